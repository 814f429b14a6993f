//! Who may log in.

use std::collections::HashMap;
use std::sync::Arc;

use backend::Account;

/// The accounts of the configuration, by user name.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    by_name: HashMap<Vec<u8>, Arc<Account>>,
}

impl Accounts {
    /// From the configured list; a later entry replaces an earlier one of the same name.
    pub fn new(accounts: impl IntoIterator<Item = Account>) -> Self {
        Self { by_name: accounts.into_iter().map(|account| (account.user.clone(), Arc::new(account))).collect() }
    }

    /// The account of that name.
    pub(crate) fn find(&self, user: &[u8]) -> Option<Arc<Account>> {
        self.by_name.get(user).cloned()
    }
}
