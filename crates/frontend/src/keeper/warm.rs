//! Opens server connections in advance, for the accounts that ask for it (`warm_server_connections`).
//!
//! They are opened on the keeper's runtime and lie in the pool as those of a worker that is none: the first session that takes one moves it to its
//! own worker, as it would another worker's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::{ConnectError, Pools, WarmUp, WorkerPool};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use topology::{Role, Server, ServerId};

use crate::worker::Shared;

/// Between two looks at what is missing.
const LOOK: Duration = Duration::from_millis(500);

/// Pause after a failed attempt for one account at one server. It doubles after each further failure ..
const PAUSE: Duration = Duration::from_secs(1);

/// .. up to this.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// Between two warnings about the same account and server.
const WARNING_PAUSE: Duration = Duration::from_mins(1);

/// Runs until Pointsman is to end.
pub(super) async fn keep_warm(shared: &Shared, pools: &Arc<Pools>) {
    let pool = pools.keeper();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = Failures::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.closed.cancelled() => return,
        }
        pool.sweep();
        tokio::select! {
            () = open_missing(shared, &pool, &mut failures) => {}
            () = shared.closed.cancelled() => return,
        }
    }
}

/// All accounts and servers at once: one that does not answer keeps no other waiting for longer than `timeouts.connect`.
async fn open_missing(shared: &Shared, pool: &WorkerPool, failures: &mut Failures) {
    let snapshot = shared.servers.load_full();
    failures.forget_old(Instant::now());
    let mut tries = JoinSet::new();
    for server in &snapshot.servers {
        let missing = pool.pools().lacking(server.id, shared.keeps_idle(server.id) && server.role != Role::Stray);
        for warm_up in missing.into_iter().filter(|_| is_of_use(server)) {
            if failures.may_try(&Key::of(&warm_up), Instant::now()) {
                let (pool, reign) = (pool.clone(), shared.reign(server.id));
                tries.spawn(async move {
                    let mut outcome = Ok(true);
                    while matches!(outcome, Ok(true)) {
                        outcome = pool.warm_up(&warm_up, reign).await;
                    }
                    (Key::of(&warm_up), outcome)
                });
            }
        }
    }
    while let Some(tried) = tries.join_next().await {
        match tried {
            Ok((key, Ok(_))) => failures.succeeded(&key),
            Ok((key, Err(error))) => tell(failures, key, &error),
            // It was cancelled, or it has panicked, which is told elsewhere.
            Err(_) => {}
        }
    }
}

/// Statements may be sent there.
fn is_of_use(server: &Server) -> bool {
    server.answers() && matches!(server.role, Role::Primary | Role::Replica)
}

fn tell(failures: &mut Failures, key: Key, error: &ConnectError) {
    let (server, user) = (key.server.0, String::from_utf8_lossy(&key.user).into_owned());
    if failures.failed(key, Instant::now()) {
        tracing::warn!(server, user, %error, "cannot open connections ahead of need (warm_server_connections)");
    } else {
        tracing::debug!(server, user, %error, "still cannot open connections ahead of need");
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    server: ServerId,
    user: Vec<u8>,
}

impl Key {
    fn of(warm_up: &WarmUp) -> Self {
        Self { server: warm_up.server, user: warm_up.account().user.clone() }
    }
}

/// The tries that have failed lately.
#[derive(Debug, Default)]
struct Failures(HashMap<Key, Failed>);

#[derive(Debug)]
struct Failed {
    next_try: Instant,
    pause: Duration,
    warned_at: Instant,
}

impl Failures {
    fn may_try(&self, key: &Key, now: Instant) -> bool {
        self.0.get(key).is_none_or(|failed| now >= failed.next_try)
    }

    /// Whether to warn of it.
    fn failed(&mut self, key: Key, now: Instant) -> bool {
        let known = self.0.get(&key);
        let pause = known.map_or(PAUSE, |failed| failed.pause.saturating_mul(2).min(PAUSE_MAX));
        let warned_at = known.map(|failed| failed.warned_at).filter(|at| now.saturating_duration_since(*at) < WARNING_PAUSE);
        self.0.insert(key, Failed { next_try: now + pause, pause, warned_at: warned_at.unwrap_or(now) });
        warned_at.is_none()
    }

    /// The next failure waits for a short time only. When the last warning was is not forgotten: a server may fail and answer in turn.
    fn succeeded(&mut self, key: &Key) {
        if let Some(failed) = self.0.get_mut(key) {
            failed.pause = PAUSE / 2;
        }
    }

    /// Those that have not been tried again for long: their servers or accounts may be gone.
    fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, failed| now.saturating_duration_since(failed.next_try) < WARNING_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(server: u16) -> Key {
        Key { server: ServerId(server), user: b"app".to_vec() }
    }

    #[test]
    fn failing_attempts_become_less_frequent() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let mut now = start;
        assert!(failures.may_try(&key(1), now));
        for pause in [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
            failures.failed(key(1), now);
            assert!(!failures.may_try(&key(1), now + pause / 2) && failures.may_try(&key(1), now + pause));
            assert!(failures.may_try(&key(2), now));
            now += pause;
        }
        failures.succeeded(&key(1));
        failures.failed(key(1), now);
        assert!(failures.may_try(&key(1), now + PAUSE));
    }

    #[test]
    fn a_failure_is_warned_of_once_a_minute() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let mut warnings = 0;
        for second in 0..150 {
            let now = start + Duration::from_secs(second);
            failures.forget_old(now);
            if failures.may_try(&key(1), now) {
                warnings += usize::from(failures.failed(key(1), now));
            }
            if second % 2 == 0 {
                failures.succeeded(&key(1));
            }
        }
        assert_eq!(warnings, 3);
    }

    #[test]
    fn an_old_failure_is_forgotten() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        failures.failed(key(1), now);
        failures.forget_old(now + PAUSE);
        assert_eq!(failures.0.len(), 1);
        failures.forget_old(now + PAUSE + WARNING_PAUSE);
        assert!(failures.0.is_empty());
    }
}
