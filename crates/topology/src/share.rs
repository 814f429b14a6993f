//! What a person decides about a server's traffic, in the configuration or while Pointsman runs.

use std::fmt;

/// Which traffic a server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ServerState {
    /// Reads, by its weight.
    #[default]
    Active,
    /// Reads only while no active replica may answer them.
    Backup,
    /// No new reads. What a session has there goes on until it ends.
    Drain,
    /// As `Drain`; and it is not promoted, and nothing is said about its condition but what endangers others.
    Maintenance,
}

impl ServerState {
    /// All of them.
    pub const ALL: [ServerState; 4] = [ServerState::Active, ServerState::Backup, ServerState::Drain, ServerState::Maintenance];

    /// As the configuration and the API spell it.
    pub fn name(self) -> &'static str {
        match self {
            ServerState::Active => "active",
            ServerState::Backup => "backup",
            ServerState::Drain => "drain",
            ServerState::Maintenance => "maintenance",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<ServerState> {
        ServerState::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A server's share of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its share of the reads, relative to those of the others. 0: none.
    pub weight: u32,
    /// Which traffic it gets.
    pub state: ServerState,
}

impl Default for Share {
    fn default() -> Share {
        Share { weight: 1, state: ServerState::Active }
    }
}

impl Share {
    /// It gets reads, be it as the last resort.
    pub fn takes_reads(self) -> bool {
        self.weight > 0 && matches!(self.state, ServerState::Active | ServerState::Backup)
    }

    /// With what a person changes.
    #[must_use]
    pub fn with(self, change: ShareChange) -> Share {
        Share { weight: change.weight.unwrap_or(self.weight), state: change.state.unwrap_or(self.state) }
    }

    /// What changes from this to `new`.
    pub fn change_to(self, new: Share) -> ShareChange {
        ShareChange {
            weight: Some(new.weight).filter(|weight| *weight != self.weight),
            state: Some(new.state).filter(|state| *state != self.state),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weight {}, {}", self.weight, self.state)
    }
}

/// What a person changes about a server's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ShareChange {
    /// `None`: as it was.
    pub weight: Option<u32>,
    /// `None`: as it was.
    pub state: Option<ServerState>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_names_of_the_configuration() {
        for state in ServerState::ALL {
            assert_eq!(ServerState::named(state.name()), Some(state));
        }
        assert_eq!(ServerState::named("Active"), None);
        assert_eq!(Share { weight: 3, state: ServerState::Drain }.to_string(), "weight 3, drain");
    }

    #[test]
    fn only_what_differs_changes() {
        let share = |weight, state| Share { weight, state };
        let shares = [share(1, ServerState::Active), share(0, ServerState::Drain), share(1, ServerState::Drain)];
        for before in shares {
            for after in shares {
                assert_eq!(before.with(before.change_to(after)), after);
            }
            assert_eq!(before.change_to(before), ShareChange::default());
        }
    }

    #[test]
    fn reads_need_a_weight_and_a_state() {
        let takes_reads = |weight| ServerState::ALL.map(|state| Share { weight, state }.takes_reads());
        assert_eq!(takes_reads(1), [true, true, false, false]);
        assert_eq!(takes_reads(0), [false; 4]);
    }
}
