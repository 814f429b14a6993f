//! The reign of a primary to which something belongs.

use std::fmt;

/// Counts the changes of primary since this process began. A server connection, a write and an acknowledgement belong to one epoch. Anything of an
/// earlier epoch comes from a primary that has been replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_count_up_and_never_begin_again() {
        assert!(Epoch(7) < Epoch(7).next());
        assert_eq!((Epoch(7).next(), Epoch(u64::MAX).next()), (Epoch(8), Epoch(u64::MAX)));
        assert_eq!(Epoch(7).to_string(), "7");
    }
}
