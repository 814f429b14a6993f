//! Accounts that a server has let in and that the configuration does not list (`security.auth = "passthrough"`).
//!
//! Each is remembered with its password for a while after its last login, so that its next client need not send the password again. A server may ask for
//! the whole password at each new connection, so a hash would not do. The password is overwritten in memory once the last session and the last idle
//! server connection of the account are gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backend::Account;

use crate::moment::Moment;

/// All of them, by user name.
#[derive(Debug, Default)]
pub(crate) struct RememberedLogins(Mutex<HashMap<Box<[u8]>, Remembered>>);

#[derive(Debug)]
struct Remembered {
    account: Arc<Account>,
    /// The last login.
    at: Instant,
    /// The account's last write. While a session has it, the entry stays.
    moment: Arc<Moment>,
}

impl Remembered {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.moment) > 1
    }
}

impl RememberedLogins {
    /// The account of that name, if it has logged in within this time.
    pub(super) fn find(&self, user: &[u8], now: Instant, max_age: Duration) -> Option<Arc<Account>> {
        let entries = self.entries();
        let entry = entries.get(user).filter(|entry| now.saturating_duration_since(entry.at) < max_age)?;
        Some(Arc::clone(&entry.account))
    }

    /// Notes a login that a server has accepted. Beyond `most` entries, the one whose last login is the longest ago is forgotten.
    pub(super) fn note(&self, account: &Arc<Account>, now: Instant, most: usize) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(account.user.as_slice()) {
            entry.account = Arc::clone(account);
            entry.at = now;
            return;
        }
        if entries.len() >= most {
            let unused = entries.iter().filter(|(_, entry)| !entry.is_in_use());
            let oldest = unused.min_by_key(|(_, entry)| entry.at).map(|(user, _)| user.clone());
            oldest.and_then(|user| entries.remove(&user));
        }
        // What the account wrote before is not known.
        let moment = Arc::new(Moment::at(now));
        entries.insert(account.user.as_slice().into(), Remembered { account: Arc::clone(account), at: now, moment });
    }

    /// A server refuses the account with this password.
    pub(crate) fn forget(&self, account: &Account) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(account.user.as_slice())
            && *entry.account == *account
        {
            entries.remove(account.user.as_slice());
        }
    }

    /// Forgets those whose last login is this long ago, but for accounts that are in use.
    pub(crate) fn sweep(&self, now: Instant, max_age: Duration) {
        self.entries().retain(|_, entry| entry.is_in_use() || now.saturating_duration_since(entry.at) < max_age);
    }

    /// The account's last write, for the sessions that must see it.
    pub(crate) fn moment(&self, user: &[u8]) -> Option<Arc<Moment>> {
        self.entries().get(user).map(|entry| Arc::clone(&entry.moment))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn account(user: &str, password: &str) -> Arc<Account> {
        Arc::new(Account { user: user.into(), password: password.into() })
    }

    #[test]
    fn an_account_is_found_for_a_while_after_its_last_login() {
        let (logins, start) = (RememberedLogins::default(), Instant::now());
        logins.note(&account("a", "1"), start, 10);
        let found = |after| logins.find(b"a", start + after, HOUR).map(|account| account.password.clone());
        assert_eq!(found(HOUR / 2), Some(b"1".to_vec()));
        assert_eq!(found(HOUR), None);
        logins.note(&account("a", "2"), start + HOUR / 2, 10);
        assert_eq!(found(HOUR), Some(b"2".to_vec()));
        assert_eq!(logins.find(b"b", start, HOUR), None);
        logins.sweep(start + HOUR, HOUR);
        assert!(logins.moment(b"a").is_some());
        logins.sweep(start + 2 * HOUR, HOUR);
        assert!(logins.moment(b"a").is_none());
    }

    #[test]
    fn a_refused_password_is_forgotten_and_a_newer_one_is_not() {
        let (logins, now) = (RememberedLogins::default(), Instant::now());
        logins.note(&account("a", "new"), now, 10);
        logins.forget(&account("a", "old"));
        logins.forget(&account("b", "new"));
        assert!(logins.find(b"a", now, HOUR).is_some());
        logins.forget(&account("a", "new"));
        assert!(logins.find(b"a", now, HOUR).is_none());
    }

    #[test]
    fn there_are_at_most_so_many_and_those_in_use_stay() {
        let (logins, start) = (RememberedLogins::default(), Instant::now());
        let login = |user, seconds| logins.note(&account(user, ""), start + Duration::from_secs(seconds), 2);
        login("a", 0);
        let in_use = logins.moment(b"a");
        login("b", 1);
        login("c", 2);
        let is_there = |user: &[u8]| logins.moment(user).is_some();
        assert!(is_there(b"a") && !is_there(b"b") && is_there(b"c"));
        logins.sweep(start + 2 * HOUR, HOUR);
        assert!(is_there(b"a") && !is_there(b"c"));
        drop(in_use);
        logins.sweep(start + 2 * HOUR, HOUR);
        assert!(!is_there(b"a"));
    }

    #[test]
    fn a_new_entry_counts_as_just_written() {
        let (logins, now) = (RememberedLogins::default(), Instant::now());
        logins.note(&account("a", ""), now, 2);
        assert!(logins.moment(b"a").unwrap().last() >= Some(now));
    }
}
