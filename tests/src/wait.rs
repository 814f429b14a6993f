//! Waiting for a condition, and never for a time.

use std::time::Duration;

/// How long anything is waited for before the test fails. Long, as the machine may be busy; a passing test never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until there is something to see; panics with `what` after [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    promptly(what, seen).await
}

/// Awaits `work`; panics with `what` after [`PATIENCE`].
pub async fn promptly<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}
