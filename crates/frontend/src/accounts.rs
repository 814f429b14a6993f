//! Who may log in, and when each of them wrote last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use backend::Account;
use ipnet::IpNet;

use crate::moment::Moment;
use crate::rate::Rate;

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
#[derive(Debug, Clone)]
pub struct Accounts {
    scope: CausalScope,
    /// When anybody wrote last.
    of_all: Arc<Moment>,
    by_name: HashMap<Vec<u8>, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    account: Arc<Account>,
    /// `None` where each session sees its own writes only.
    moment: Option<Arc<Moment>>,
    terms: AccountTerms,
    rate: Option<Arc<Rate>>,
}

/// On what terms an account is served. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountTerms {
    /// It logs in over TLS or not at all.
    pub demands_tls: bool,
    /// It logs in from these networks only. Empty: from everywhere.
    pub networks: Arc<[IpNet]>,
    /// Its sessions at once. One more gets `ER_USER_LIMIT_REACHED`.
    pub client_connections: Option<usize>,
    /// Its statements in a second, over all its sessions. More get `ER_USER_LIMIT_REACHED`.
    pub statements_per_second: Option<u32>,
}

impl Accounts {
    /// From the configured list; a later entry replaces an earlier one of the same name.
    pub fn new<A: Into<Arc<Account>>>(accounts: impl IntoIterator<Item = A>, scope: CausalScope) -> Self {
        let of_all = Arc::new(Moment::never());
        let moment = || match scope {
            CausalScope::Session => None,
            CausalScope::User => Some(Arc::new(Moment::never())),
            CausalScope::Global => Some(Arc::clone(&of_all)),
        };
        let entry = |account: Arc<Account>| {
            let entry = Entry { account, moment: moment(), terms: AccountTerms::default(), rate: None };
            (entry.account.user.clone(), entry)
        };
        let by_name = accounts.into_iter().map(|account| entry(account.into())).collect();
        Self { scope, of_all, by_name }
    }

    /// The same, where these users are served on these terms.
    #[must_use]
    pub fn with_terms<'a>(mut self, users: impl IntoIterator<Item = (&'a [u8], AccountTerms)>) -> Self {
        for (user, terms) in users {
            if let Some(entry) = self.by_name.get_mut(user) {
                entry.rate = terms.statements_per_second.map(|most| Arc::new(Rate::new(most, Instant::now())));
                entry.terms = terms;
            }
        }
        self
    }

    /// The same in place of an earlier list: what was last written is carried over. Where that was not noted so far, something may have been written
    /// just now.
    pub(crate) fn following(mut self, before: &Self) -> Self {
        if self.scope == CausalScope::Global && before.scope == CausalScope::Global {
            self.of_all = Arc::clone(&before.of_all);
        }
        for (name, entry) in &mut self.by_name {
            // What was used up stays so.
            if let Some(rate) = before.rate(name).filter(|rate| Some(rate.per_second()) == entry.terms.statements_per_second) {
                entry.rate = Some(rate);
            }
            let noted = match self.scope {
                CausalScope::Session => continue,
                CausalScope::Global => Some(Arc::clone(&self.of_all)),
                CausalScope::User if before.scope == CausalScope::User => before.moment(name, || None),
                CausalScope::User => None,
            };
            // A user that is new here may have sessions by `security.auth = "passthrough"`.
            let is_noted = noted.is_some() && before.scope == self.scope;
            let moment = noted.unwrap_or_else(|| Arc::new(Moment::never()));
            if !is_noted {
                moment.note(Instant::now());
            }
            entry.moment = Some(moment);
        }
        self
    }

    /// Whether this user is in the list.
    pub(crate) fn has(&self, user: &[u8]) -> bool {
        self.by_name.contains_key(user)
    }

    /// The account of that name.
    pub(crate) fn find(&self, user: &[u8]) -> Option<Arc<Account>> {
        self.by_name.get(user).map(|entry| Arc::clone(&entry.account))
    }

    /// On what terms this user is served. `None`: on none.
    pub(crate) fn terms(&self, user: &[u8]) -> Option<&AccountTerms> {
        self.by_name.get(user).map(|entry| &entry.terms)
    }

    /// How many statements this user may begin.
    pub(crate) fn rate(&self, user: &[u8]) -> Option<Arc<Rate>> {
        self.by_name.get(user)?.rate.clone()
    }

    /// The last write, besides its own, that a session of that user must see. `own`: that of an account that is not in the list.
    pub(crate) fn moment(&self, user: &[u8], own: impl FnOnce() -> Option<Arc<Moment>>) -> Option<Arc<Moment>> {
        match (self.by_name.get(user), self.scope) {
            (Some(entry), _) => entry.moment.clone(),
            (None, CausalScope::Session) => None,
            (None, CausalScope::User) => own(),
            (None, CausalScope::Global) => Some(Arc::clone(&self.of_all)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(names: &[&str], scope: CausalScope) -> Accounts {
        let account = |name: &&str| Account { user: name.as_bytes().to_vec(), password: Vec::new() };
        Accounts::new(names.iter().map(account), scope)
    }

    fn last(accounts: &Accounts, user: &str) -> Option<Instant> {
        accounts.moment(user.as_bytes(), || None)?.last()
    }

    #[test]
    fn a_new_list_knows_what_was_written_under_the_old_one() {
        let at = Instant::now();
        for scope in [CausalScope::User, CausalScope::Global] {
            let before = accounts(&["a", "b"], scope);
            before.moment(b"a", || None).expect("a moment").note(at);
            let after = accounts(&["a", "c"], scope).following(&before);
            assert!(last(&after, "a") >= Some(at));
            assert!(last(&after, "c") >= Some(at));
            // Sessions of the old list still write.
            before.moment(b"a", || None).expect("a moment").note(at + std::time::Duration::from_secs(1));
            assert!(last(&after, "a") > Some(at));
            assert!(!after.has(b"b"));
        }
    }

    #[test]
    fn where_nothing_was_noted_something_may_just_have_been_written() {
        let before = accounts(&["a"], CausalScope::Session);
        let since = Instant::now();
        for scope in [CausalScope::User, CausalScope::Global] {
            assert!(last(&accounts(&["a"], scope).following(&before), "a") >= Some(since));
        }
        let after = accounts(&["a"], CausalScope::Session).following(&accounts(&["a"], CausalScope::User));
        assert!(after.moment(b"a", || None).is_none());
    }
}
