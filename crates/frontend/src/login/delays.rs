//! Logins that have to wait, because others like them have failed: who guesses passwords gets slower and slower.
//!
//! A login waits before its proof is looked at, so that a right password takes as long as a wrong one, and a name that nobody has as long as any other. It
//! waits on a timer, and keeps no worker from anything.
//!
//! Two things are counted. One is the failed logins of a user *from an address*. By user alone, anybody could keep a user's clients waiting by giving wrong
//! passwords for it. A login that succeeds forgets them: the application that has just been given its new password goes on at full speed. The other is
//! the failed logins of an address, whatever users it names, since one password can be tried with many names. A success does not forget those: whoever has
//! one account could then guess the passwords of all others. Nobody is ever refused here, so clients that share an address with one who guesses have to
//! wait at most for the longest delay. What refuses is `limits.failed_logins`.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Subject;

/// Of each kind that are noted at once. Beyond them, the one that has failed the longest ago is forgotten.
const NOTED_MAX: usize = 10_000;

/// Failed logins of a user from an address that cost nothing: people mistype.
const FREE_OF_USER: u32 = 3;

/// Those of an address with any users: several people, or applications, may be behind it.
const FREE_OF_ADDRESS: u32 = 20;

/// In this time one failed login is forgotten.
const FORGET: Duration = Duration::from_secs(30);

/// No more than this are remembered beyond the free ones: enough for the longest delay, and soon forgotten.
const EXCESS_MAX: u32 = 16;

/// Who has to wait.
#[derive(Debug, Default)]
pub(crate) struct LoginDelays {
    /// With a secret key, so that nobody can choose a name that counts as another one's.
    hasher: RandomState,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Names are of any length, so only their hashes are kept.
    of_user: HashMap<(Subject, u64), Failed>,
    of_address: HashMap<Subject, Failed>,
}

/// Failed logins, of which one after the other is forgotten.
#[derive(Debug, Clone, Copy)]
struct Failed {
    count: f64,
    at: Instant,
}

/// How long a login waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DelayPolicy {
    /// After the first failed login that is not free. Each further one doubles it. Zero: none waits.
    pub(crate) first: Duration,
    /// At most.
    pub(crate) most: Duration,
}

impl DelayPolicy {
    /// After so many failed logins of which `free` cost nothing.
    fn after(self, failed: u32, free: u32) -> Duration {
        let Some(excess) = failed.checked_sub(free) else { return Duration::ZERO };
        self.first.saturating_mul(1_u32.checked_shl(excess).unwrap_or(u32::MAX)).min(self.most)
    }
}

impl Failed {
    fn now(self, now: Instant) -> f64 {
        let forgotten = now.saturating_duration_since(self.at).as_secs_f64() / FORGET.as_secs_f64();
        (self.count - forgotten).max(0.0)
    }
}

impl LoginDelays {
    /// How long a login of this user has to wait now.
    pub(crate) fn of(&self, client: impl Into<Subject>, user: &[u8], policy: DelayPolicy, now: Instant) -> Duration {
        let (subject, counts) = (client.into(), self.counts());
        let of_user = counts.of_user.get(&(subject, self.hasher.hash_one(user)));
        let of_address = counts.of_address.get(&subject);
        let delay =
            |failed: Option<&Failed>, free| failed.map_or(Duration::ZERO, |failed| policy.after(whole(failed.now(now)), free));
        delay(of_user, FREE_OF_USER).max(delay(of_address, FREE_OF_ADDRESS))
    }

    /// A login of this user has failed.
    pub(crate) fn note_failure(&self, client: impl Into<Subject>, user: &[u8], now: Instant) {
        let (subject, mut counts) = (client.into(), self.counts());
        note(&mut counts.of_user, (subject, self.hasher.hash_one(user)), FREE_OF_USER, now);
        note(&mut counts.of_address, subject, FREE_OF_ADDRESS, now);
    }

    /// A login of this user has succeeded.
    pub(crate) fn note_success(&self, client: impl Into<Subject>, user: &[u8]) {
        self.counts().of_user.remove(&(client.into(), self.hasher.hash_one(user)));
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note<K: Hash + Eq + Copy>(noted: &mut HashMap<K, Failed>, key: K, free: u32, now: Instant) {
    if noted.len() >= NOTED_MAX && !noted.contains_key(&key) {
        noted.retain(|_, failed| failed.now(now) > 0.0);
        if noted.len() >= NOTED_MAX {
            let oldest = noted.iter().min_by_key(|(_, failed)| failed.at).map(|(key, _)| *key);
            oldest.and_then(|key| noted.remove(&key));
        }
    }
    let before = noted.get(&key).map_or(0.0, |failed| failed.now(now));
    noted.insert(key, Failed { count: (before + 1.0).min(f64::from(free + EXCESS_MAX)), at: now });
}

/// What is left of one that is partly forgotten counts as a whole one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and a small number")]
fn whole(count: f64) -> u32 {
    count.ceil() as u32
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const POLICY: DelayPolicy = DelayPolicy { first: Duration::from_millis(250), most: Duration::from_secs(4) };
    const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn failed(user: &str, times: u32, now: Instant) -> LoginDelays {
        let delays = LoginDelays::default();
        (0..times).for_each(|_| delays.note_failure(NEAR, user.as_bytes(), now));
        delays
    }

    #[test]
    fn each_failed_login_doubles_the_delay_of_the_next_one() {
        let now = Instant::now();
        for (times, expected) in [(0, 0), (2, 0), (3, 250), (4, 500), (5, 1000), (6, 2000), (7, 4000), (8, 4000), (1000, 4000)] {
            assert_eq!(failed("app", times, now).of(NEAR, b"app", POLICY, now), Duration::from_millis(expected), "{times}");
        }
        let off = DelayPolicy { first: Duration::ZERO, ..POLICY };
        assert_eq!(failed("app", 1000, now).of(NEAR, b"app", off, now), Duration::ZERO);
    }

    #[test]
    fn nobody_makes_a_user_wait_elsewhere() {
        let now = Instant::now();
        let delays = failed("app", 1000, now);
        assert_eq!(delays.of(FAR, b"app", POLICY, now), Duration::ZERO);
        assert_eq!(delays.of(NEAR, b"app", POLICY, now), POLICY.most);
    }

    #[test]
    fn many_names_from_one_address_wait_as_well() {
        let (delays, now) = (LoginDelays::default(), Instant::now());
        for number in 0..FREE_OF_ADDRESS {
            assert_eq!(delays.of(NEAR, b"somebody", POLICY, now), Duration::ZERO, "{number}");
            delays.note_failure(NEAR, format!("user {number}").as_bytes(), now);
        }
        assert_eq!(delays.of(NEAR, b"somebody", POLICY, now), POLICY.first);
        // One's own account is no way to guess those of others.
        delays.note_success(NEAR, b"mine");
        assert_eq!(delays.of(NEAR, b"somebody", POLICY, now), POLICY.first);
    }

    #[test]
    fn a_success_forgets_the_failures_of_its_user() {
        let now = Instant::now();
        let delays = failed("app", 6, now);
        delays.note_success(FAR, b"app");
        delays.note_success(NEAR, b"other");
        assert!(delays.of(NEAR, b"app", POLICY, now) > Duration::ZERO);
        delays.note_success(NEAR, b"app");
        assert_eq!(delays.of(NEAR, b"app", POLICY, now), Duration::ZERO);
    }

    #[test]
    fn failures_are_forgotten_one_by_one() {
        let now = Instant::now();
        let delays = failed("app", 5, now);
        let after = |forgotten: u32| delays.of(NEAR, b"app", POLICY, now + FORGET * forgotten);
        assert_eq!([after(0), after(1), after(2), after(3)].map(|delay| delay.as_millis()), [1000, 500, 250, 0]);
        // Whoever has tried for hours is believed again after ten minutes.
        let delays = failed("app", 100_000, now);
        assert_eq!(delays.of(NEAR, b"app", POLICY, now + FORGET * (EXCESS_MAX + FREE_OF_USER)), Duration::ZERO);
    }

    #[test]
    fn a_bounded_number_is_noted_and_the_oldest_is_forgotten() {
        let (delays, start) = (LoginDelays::default(), Instant::now());
        let address = |number: u32| IpAddr::from(Ipv4Addr::from(number));
        let most = u32::try_from(NOTED_MAX).expect("a small number");
        for number in 0..=most {
            delays.note_failure(address(number), b"app", start + Duration::from_micros(number.into()));
        }
        let counts = delays.counts();
        assert_eq!((counts.of_user.len(), counts.of_address.len()), (NOTED_MAX, NOTED_MAX));
        assert!(!counts.of_address.contains_key(&address(0).into()) && counts.of_address.contains_key(&address(1).into()));
    }
}
