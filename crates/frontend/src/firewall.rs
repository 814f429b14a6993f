//! Who may connect, decided by the address before a byte is read, and how many may at once.
//!
//! Passwords and what an account may do are the login's business. `limits.failed_logins` is `login::failures`.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

/// What the configuration says of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Only clients from these networks may connect. Empty: from everywhere.
    pub allow: Arc<[IpNet]>,
    /// Clients from these networks may not, whatever `allow` says.
    pub deny: Arc<[IpNet]>,
    /// A client that may not is told so (error 1130) before its connection is closed.
    pub tells: bool,
}

impl Firewall {
    /// Whether clients may connect from this address.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        (self.allow.is_empty() || contain(&self.allow, address)) && !contain(&self.deny, address)
    }
}

/// A socket that listens on IPv6 shows peers with IPv4 addresses as mapped ones.
pub(crate) fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address.to_canonical()))
}

/// How many of each kind are there now.
#[derive(Debug)]
pub(crate) struct Crowd<K: Hash + Eq>(Arc<Mutex<HashMap<K, usize>>>);

impl<K: Hash + Eq> Default for Crowd<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq + Clone> Crowd<K> {
    /// A place for one more, until it is dropped. `None` if there are `limit` already.
    pub(crate) fn enter(&self, key: K, limit: usize) -> Option<Place<K>> {
        let mut counts = lock(&self.0);
        let count = counts.entry(key.clone()).or_default();
        if *count >= limit {
            if *count == 0 {
                counts.remove(&key);
            }
            return None;
        }
        *count += 1;
        Some(Place { key, crowd: Arc::clone(&self.0) })
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Place<K: Hash + Eq> {
    key: K,
    crowd: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = lock(&self.crowd);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

fn lock<K>(counts: &Mutex<HashMap<K, usize>>) -> MutexGuard<'_, HashMap<K, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Arc<[IpNet]> {
        list.iter().map(|network| network.parse().expect("a network")).collect()
    }

    #[test]
    fn an_address_of_ipv4_is_found_however_it_is_written() {
        let networks = networks(&["10.0.0.0/8", "2001:db8::1/128"]);
        let is_in = |address: &str| contain(&networks, address.parse().expect("an address"));
        assert!(is_in("10.1.2.3") && is_in("::ffff:10.1.2.3") && is_in("2001:db8::1"));
        assert!(!is_in("11.0.0.1") && !is_in("::ffff:11.0.0.1") && !is_in("2001:db8::2"));
        assert!(!contain(&[], "127.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn an_address_must_be_allowed_and_not_denied() {
        let check = |allow: &[&str], deny: &[&str], address: &str, expected| {
            let firewall = Firewall { allow: networks(allow), deny: networks(deny), tells: false };
            assert_eq!(firewall.admits(address.parse().expect("an address")), expected, "{allow:?} {deny:?} {address}");
        };
        check(&[], &[], "192.0.2.1", true);
        check(&["10.0.0.0/8"], &[], "10.1.2.3", true);
        check(&["10.0.0.0/8"], &[], "11.1.2.3", false);
        check(&["10.0.0.0/8"], &["10.9.0.0/16"], "10.9.2.3", false);
        check(&[], &["10.9.0.0/16"], "10.8.2.3", true);
        check(&["10.0.0.0/8"], &[], "::ffff:10.1.2.3", true);
        check(&[], &["10.0.0.0/8"], "::ffff:10.1.2.3", false);
        check(&["10.0.0.0/8"], &[], "fd00::1", false);
        check(&["fd00::/8"], &[], "fd00::1", true);
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let crowd = Crowd::default();
        let (first, second) = (crowd.enter("a", 2), crowd.enter("a", 2));
        assert!(first.is_some() && second.is_some());
        assert!(crowd.enter("a", 2).is_none() && crowd.enter("b", 1).is_some());
        drop(first);
        assert!(crowd.enter("a", 2).is_some());
        drop(second);
        assert!(crowd.enter("a", 0).is_none() && lock(&crowd.0).is_empty(), "nobody is remembered");
    }
}
