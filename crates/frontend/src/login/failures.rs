//! Failed logins by address, or by user of this machine: who guesses passwords is stopped, whatever accounts there are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::peer::Peer;

/// Subjects that are noted at once. Beyond them, the one that has failed the longest ago is forgotten.
const SUBJECTS: usize = 10_000;

/// In this time without a failed login, a subject has all its attempts again.
const RECOVERY: Duration = Duration::from_mins(1);

/// How many attempts each subject has used up.
#[derive(Debug, Default)]
pub(crate) struct FailedLogins(Mutex<HashMap<Subject, Used>>);

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// An address; of IPv6 the network, since a host has as many addresses in it as it likes.
    Network(IpAddr),
    /// A user of this machine, so that one who guesses does not lock out all that use the Unix socket.
    User(u32),
}

impl From<IpAddr> for Subject {
    fn from(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl From<Peer> for Subject {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Tcp(address) => address.ip().into(),
            Peer::Local { uid } => Self::User(uid),
        }
    }
}

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
    /// How long the client has to wait before it may try again; `None` if it need not. `limit`: failed logins of one subject within a minute, 0
    /// for any number.
    pub(crate) fn wait(&self, client: impl Into<Subject>, limit: usize, now: Instant) -> Option<Duration> {
        let used = self.subjects().get(&client.into())?.now(limit, now);
        let excess = used - (as_float(limit) - 1.0);
        // The last attempt may be made once all of it has come back.
        (limit > 0 && excess > 0.0).then(|| RECOVERY.mul_f64(excess / as_float(limit)))
    }

    /// A login of this client has failed.
    pub(crate) fn note(&self, client: impl Into<Subject>, limit: usize, now: Instant) {
        if limit == 0 {
            return;
        }
        let mut subjects = self.subjects();
        let subject = client.into();
        if subjects.len() >= SUBJECTS && !subjects.contains_key(&subject) {
            subjects.retain(|_, used| used.now(limit, now) > 0.0);
            if subjects.len() >= SUBJECTS {
                let oldest = subjects.iter().min_by_key(|(_, used)| used.at).map(|(subject, _)| *subject);
                oldest.and_then(|subject| subjects.remove(&subject));
            }
        }
        let used = subjects.get(&subject).map_or(0.0, |used| used.now(limit, now));
        subjects.insert(subject, Used { attempts: used + 1.0, at: now });
    }

    fn subjects(&self) -> MutexGuard<'_, HashMap<Subject, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(failed.subjects().is_empty());
        failed.note(address(1), 1, now);
        assert_eq!(failed.wait(address(1), 0, now), None);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_mapped_addresses_as_what_they_are() {
        let (failed, now) = (FailedLogins::default(), Instant::now());
        let wait = |address: &str| failed.wait(address.parse::<IpAddr>().unwrap(), 1, now);
        failed.note("2001:db8::1".parse::<IpAddr>().unwrap(), 1, now);
        assert!(wait("2001:db8::ffff:1").is_some());
        assert!(wait("2001:db8:0:1::1").is_none());
        failed.note("::ffff:192.0.2.1".parse::<IpAddr>().unwrap(), 1, now);
        assert!(wait("192.0.2.1").is_some());
        assert!(wait("192.0.2.2").is_none());
    }

    #[test]
    fn users_of_the_socket_are_counted_one_by_one() {
        let (failed, now) = (FailedLogins::default(), Instant::now());
        failed.note(Peer::Local { uid: 1 }, 1, now);
        assert!(failed.wait(Peer::Local { uid: 1 }, 1, now).is_some());
        assert_eq!(failed.wait(Peer::Local { uid: 2 }, 1, now), None);
        assert_eq!(failed.wait(IpAddr::from([127, 0, 0, 1]), 1, now), None);
    }

    #[test]
    fn so_many_addresses_are_noted_and_no_more() {
        let (failed, start) = (FailedLogins::default(), Instant::now());
        for number in 0..=u32::try_from(SUBJECTS).unwrap() {
            failed.note(IpAddr::from(std::net::Ipv4Addr::from(number)), 1, start + Duration::from_micros(number.into()));
        }
        assert_eq!(failed.subjects().len(), SUBJECTS);
        let wait = |number: u32| failed.wait(IpAddr::from(std::net::Ipv4Addr::from(number)), 1, start);
        assert!(wait(0).is_none() && wait(1).is_some() && wait(u32::try_from(SUBJECTS).unwrap()).is_some());
    }
}
