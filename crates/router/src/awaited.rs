//! What a statement waits for that cannot run now.

use std::fmt;

/// What has to happen before a statement can be sent. Nothing of it was sent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Awaited {
    /// There is no primary.
    Primary,
    /// The primary is silent: the statement waits until it answers again, or another server becomes the primary.
    SilentPrimary,
    /// No connection to the primary could be made, and the monitor has not seen yet what is wrong with it.
    UnreachablePrimary,
    /// The primary is about to hand over to another server, so nothing new begins on it.
    Handover,
}

impl Awaited {
    /// The name in metrics, logs and `EXPLAIN ROUTE`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::SilentPrimary => "silent_primary",
            Self::UnreachablePrimary => "unreachable_primary",
            Self::Handover => "handover",
        }
    }
}

/// Follows "waits for" and "waited 10s for".
impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "a primary: no server is one now",
            Self::SilentPrimary => "the primary: it does not answer",
            Self::UnreachablePrimary => "the primary: no connection to it can be had",
            Self::Handover => "the next primary: the present one is about to hand over, and begins nothing new",
        })
    }
}
