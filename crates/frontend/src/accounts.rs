//! Who may log in, and when each of them wrote last.

use std::collections::HashMap;
use std::sync::Arc;

use backend::Account;

use crate::moment::Moment;

/// Whose writes the reads of a session must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CausalScope {
    /// The session's own.
    #[default]
    Session,
    /// Those of all sessions of its account: for applications that connect anew for each request.
    User,
    /// Those of all sessions.
    Global,
}

/// The accounts of the configuration, by user name.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    by_name: HashMap<Vec<u8>, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    account: Arc<Account>,
    /// `None` where each session sees its own writes only.
    moment: Option<Arc<Moment>>,
}

impl Accounts {
    /// From the configured list; a later entry replaces an earlier one of the same name.
    pub fn new(accounts: impl IntoIterator<Item = Account>, scope: CausalScope) -> Self {
        let of_all = Arc::new(Moment::never());
        let moment = || match scope {
            CausalScope::Session => None,
            CausalScope::User => Some(Arc::new(Moment::never())),
            CausalScope::Global => Some(Arc::clone(&of_all)),
        };
        let entry = |account: Account| (account.user.clone(), Entry { account: Arc::new(account), moment: moment() });
        Self { by_name: accounts.into_iter().map(entry).collect() }
    }

    /// The account of that name.
    pub(crate) fn find(&self, user: &[u8]) -> Option<Arc<Account>> {
        self.by_name.get(user).map(|entry| Arc::clone(&entry.account))
    }

    /// When those wrote last whose writes a session of that user must see, beside its own.
    pub(crate) fn moment(&self, user: &[u8]) -> Option<Arc<Moment>> {
        self.by_name.get(user)?.moment.clone()
    }
}
