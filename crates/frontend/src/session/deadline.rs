//! The time that a rule gives to a statement, and what happens when it is over.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backend::{ConnectOptions, LinkError, SessionState, WorkerPool};
use router::Steering;
use tokio::time::timeout;
use topology::ServerId;

use super::attempt::Failure;
use crate::reply::Refusal;

/// A time that a rule gives to an answer. Whoever watches the clock kills the statement when it is over.
#[derive(Debug)]
pub(crate) struct TimeLimit<'a> {
    time: Duration,
    rule: &'a str,
    is_over: AtomicBool,
    has_begun: AtomicBool,
}

impl<'a> TimeLimit<'a> {
    /// What the rules say of this statement, if they say anything.
    pub(super) fn of(steering: &Steering<'a>) -> Option<Self> {
        let (time, rule) = steering.timeout().zip(steering.rule())?;
        Some(Self { time, rule: &rule.name, is_over: AtomicBool::new(false), has_begun: AtomicBool::new(false) })
    }

    /// The client has got the first bytes of the answer.
    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// Whether this error (`ER_QUERY_INTERRUPTED`) is what came of it.
    pub(crate) fn ended(&self, code: u16) -> bool {
        code == 1317 && self.is_over.load(Ordering::Relaxed)
    }

    /// What the client is told instead.
    pub(crate) fn refusal(&self) -> Refusal {
        // ER_QUERY_TIMEOUT
        let why = format!("interrupted; the rule {:?} gives it {} ms", self.rule, self.time.as_millis());
        Refusal::new(3024, *b"HY000", why)
    }
}

/// Once its time is over, a statement that was killed gets so much more to say so.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Waits for an answer. When its time is over, kills the statement, and then takes what it still says.
pub(super) async fn keep<T>(
    limit: &TimeLimit<'_>,
    answer: impl Future<Output = T>,
    kill: impl Future<Output = ()>,
) -> Result<T, Failure> {
    let mut answer = pin!(answer);
    if let Ok(answered) = timeout(limit.time, &mut answer).await {
        return Ok(answered);
    }
    limit.is_over.store(true, Ordering::Relaxed);
    let late = |_| Failure::Lost {
        error: LinkError::Lost(std::io::ErrorKind::TimedOut.into()),
        begun: limit.has_begun.load(Ordering::Relaxed),
    };
    let (answered, ()) = tokio::join!(timeout(LAST_WORDS, answer), kill);
    answered.map_err(late)
}

/// `KILL QUERY`, through another connection of the same account.
pub(super) async fn kill(pool: &WorkerPool, server: ServerId, options: &ConnectOptions, state: &SessionState, thread_id: u32) {
    let killed = async {
        let mut lease =
            pool.lease(server, options, &SessionState::new(state.collation(), None)).await.map_err(|error| error.to_string())?;
        let outcome = lease.run_query(&format!("KILL QUERY {thread_id}"), LAST_WORDS).await;
        lease.give_back();
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(String::from_utf8_lossy(&error.message).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    if let Err(error) = killed.await {
        tracing::warn!(server = server.0, error, "cannot kill a statement whose time is over");
    }
}
