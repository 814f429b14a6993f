//! Failed logins by address: who guesses passwords is stopped, whatever accounts there are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that are noted at once. Beyond them, the one that has failed the longest ago is forgotten.
const ADDRESSES: usize = 10_000;

/// In this time without a failed login, an address has all its attempts again.
const RECOVERY: Duration = Duration::from_mins(1);

/// How many attempts each address has used up.
#[derive(Debug, Default)]
pub(crate) struct FailedLogins(Mutex<HashMap<IpAddr, Used>>);

/// Attempts come back evenly, so that there is a limit in every span of time.
#[derive(Debug, Clone, Copy)]
struct Used {
    attempts: f64,
    at: Instant,
}

impl Used {
    fn now(self, limit: usize, now: Instant) -> f64 {
        let recovered = now.saturating_duration_since(self.at).as_secs_f64() / RECOVERY.as_secs_f64();
        (self.attempts - recovered * as_float(limit)).max(0.0)
    }
}

impl FailedLogins {
    /// How long this address has to wait before it may try again; `None` if it need not. `limit`: failed logins of one address within a minute, 0
    /// for any number.
    pub(crate) fn wait(&self, address: IpAddr, limit: usize, now: Instant) -> Option<Duration> {
        let used = self.addresses().get(&subject(address))?.now(limit, now);
        let excess = used - (as_float(limit) - 1.0);
        // The last attempt may be made once all of it has come back.
        (limit > 0 && excess > 0.0).then(|| RECOVERY.mul_f64(excess / as_float(limit)))
    }

    /// A login from this address has failed.
    pub(crate) fn note(&self, address: IpAddr, limit: usize, now: Instant) {
        if limit == 0 {
            return;
        }
        let mut addresses = self.addresses();
        let address = subject(address);
        if addresses.len() >= ADDRESSES && !addresses.contains_key(&address) {
            addresses.retain(|_, used| used.now(limit, now) > 0.0);
            if addresses.len() >= ADDRESSES {
                let oldest = addresses.iter().min_by_key(|(_, used)| used.at).map(|(address, _)| *address);
                oldest.and_then(|address| addresses.remove(&address));
            }
        }
        let used = addresses.get(&address).map_or(0.0, |used| used.now(limit, now));
        addresses.insert(address, Used { attempts: used + 1.0, at: now });
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is counted: of IPv6 the network, since a host has as many addresses in it as it likes.
fn subject(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

fn as_float(limit: usize) -> f64 {
    f64::from(u32::try_from(limit).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 6;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn after_so_many_failures_an_address_has_to_wait_until_an_attempt_has_come_back() {
        let (failed, start) = (FailedLogins::default(), Instant::now());
        for count in 0..LIMIT {
            assert_eq!(failed.wait(address(1), LIMIT, start), None, "{count}");
            failed.note(address(1), LIMIT, start);
        }
        let wait = failed.wait(address(1), LIMIT, start).unwrap();
        assert!((wait.as_secs_f64() - 10.0).abs() < 0.001, "{wait:?}");
        assert_eq!(failed.wait(address(2), LIMIT, start), None);
        assert!(failed.wait(address(1), LIMIT, start + Duration::from_secs(9)).is_some());
        let later = start + Duration::from_secs(11);
        assert_eq!(failed.wait(address(1), LIMIT, later), None);
        failed.note(address(1), LIMIT, later);
        assert!(failed.wait(address(1), LIMIT, later).is_some());
        assert_eq!(failed.wait(address(1), LIMIT, later + RECOVERY), None);
    }

    #[test]
    fn nothing_is_counted_without_a_limit() {
        let (failed, now) = (FailedLogins::default(), Instant::now());
        for _ in 0..1000 {
            failed.note(address(1), 0, now);
        }
        assert!(failed.addresses().is_empty());
        failed.note(address(1), 1, now);
        assert_eq!(failed.wait(address(1), 0, now), None);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_mapped_addresses_as_what_they_are() {
        let (failed, now) = (FailedLogins::default(), Instant::now());
        let wait = |address: &str| failed.wait(address.parse().unwrap(), 1, now);
        failed.note("2001:db8::1".parse().unwrap(), 1, now);
        assert!(wait("2001:db8::ffff:1").is_some());
        assert!(wait("2001:db8:0:1::1").is_none());
        failed.note("::ffff:192.0.2.1".parse().unwrap(), 1, now);
        assert!(wait("192.0.2.1").is_some());
        assert!(wait("192.0.2.2").is_none());
    }

    #[test]
    fn so_many_addresses_are_noted_and_no_more() {
        let (failed, start) = (FailedLogins::default(), Instant::now());
        for number in 0..=u32::try_from(ADDRESSES).unwrap() {
            failed.note(std::net::Ipv4Addr::from(number).into(), 1, start + Duration::from_micros(number.into()));
        }
        assert_eq!(failed.addresses().len(), ADDRESSES);
        let wait = |number: u32| failed.wait(std::net::Ipv4Addr::from(number).into(), 1, start);
        assert!(wait(0).is_none() && wait(1).is_some() && wait(u32::try_from(ADDRESSES).unwrap()).is_some());
    }
}
