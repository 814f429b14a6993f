//! Logins that a server has accepted a moment ago (`timeouts.accepted_login`), of accounts of the configuration.
//!
//! Applications without a pool connect for every request. If a server were asked each time, that would cost the client a round trip to the primary, though
//! its statements may need none. So a login like one that was accepted within this time is let in at once. The connection for its first statement is
//! logged in to after that, as always: whoever was dropped or locked meanwhile gets the server's refusal there, before anything runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backend::Account;

/// By user name and schema.
#[derive(Debug, Default)]
pub(crate) struct AcceptedLogins(Mutex<HashMap<Key, Accepted>>);

type Key = (Box<[u8]>, Box<[u8]>);

#[derive(Debug)]
struct Accepted {
    account: Arc<Account>,
    at: Instant,
}

fn key(account: &Account, schema: Option<&[u8]>) -> Key {
    (account.user.as_slice().into(), schema.unwrap_or_default().into())
}

impl AcceptedLogins {
    /// Whether a server has let this account into this schema within this time.
    pub(super) fn has(&self, account: &Account, schema: Option<&[u8]>, now: Instant, max_age: Duration) -> bool {
        let entries = self.entries();
        let entry = entries.get(&key(account, schema)).filter(|entry| *entry.account == *account);
        entry.is_some_and(|entry| now.saturating_duration_since(entry.at) < max_age)
    }

    /// Notes that a server has let it in. With `most` entries there already, further ones are not noted.
    pub(super) fn note(&self, account: &Arc<Account>, schema: Option<&[u8]>, now: Instant, most: usize) {
        let mut entries = self.entries();
        let key = key(account, schema);
        if entries.len() < most || entries.contains_key(&key) {
            entries.insert(key, Accepted { account: Arc::clone(account), at: now });
        }
    }

    /// A server refuses the account.
    pub(crate) fn forget(&self, account: &Account) {
        self.entries().retain(|_, entry| entry.account.user != account.user);
    }

    /// Forgets those that are this old.
    pub(crate) fn sweep(&self, now: Instant, max_age: Duration) {
        self.entries().retain(|_, entry| now.saturating_duration_since(entry.at) < max_age);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Accepted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn account(user: &str, password: &str) -> Arc<Account> {
        Arc::new(Account { user: user.into(), password: password.into() })
    }

    #[test]
    fn only_the_same_login_counts_and_only_for_a_while() {
        let (logins, start) = (AcceptedLogins::default(), Instant::now());
        logins.note(&account("a", "1"), Some(b"s"), start, 10);
        let has = |user, password, schema, after| logins.has(&account(user, password), schema, start + after, SECOND);
        assert!(has("a", "1", Some(b"s".as_slice()), SECOND / 2));
        assert!(!has("a", "1", Some(b"s".as_slice()), SECOND));
        assert!(!has("a", "2", Some(b"s".as_slice()), SECOND / 2));
        assert!(!has("b", "1", Some(b"s".as_slice()), SECOND / 2));
        assert!(!has("a", "1", Some(b"t".as_slice()), SECOND / 2));
        assert!(!has("a", "1", None, SECOND / 2));
    }

    #[test]
    fn a_refused_account_is_forgotten_with_all_its_schemas() {
        let (logins, now) = (AcceptedLogins::default(), Instant::now());
        for (user, schema) in [("a", Some(b"s".as_slice())), ("a", None), ("b", None)] {
            logins.note(&account(user, ""), schema, now, 10);
        }
        logins.forget(&account("a", "another"));
        let has = |user, schema| logins.has(&account(user, ""), schema, now, SECOND);
        assert!(!has("a", Some(b"s".as_slice())) && !has("a", None) && has("b", None));
    }

    #[test]
    fn there_are_at_most_so_many_and_the_old_make_room() {
        let (logins, start) = (AcceptedLogins::default(), Instant::now());
        let has = |user, after| logins.has(&account(user, ""), None, start + after, SECOND);
        logins.note(&account("a", ""), None, start, 1);
        logins.note(&account("b", ""), None, start, 1);
        assert!(has("a", Duration::ZERO) && !has("b", Duration::ZERO));
        // One that is there already is renewed.
        logins.note(&account("a", ""), None, start + SECOND / 2, 1);
        assert!(has("a", SECOND));
        logins.sweep(start + SECOND, SECOND);
        assert!(has("a", SECOND));
        logins.sweep(start + 2 * SECOND, SECOND);
        logins.note(&account("b", ""), None, start + 2 * SECOND, 1);
        assert!(!has("a", Duration::ZERO) && has("b", 2 * SECOND));
    }
}
