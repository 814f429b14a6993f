//! The password of an account, as far as a session depends on it.
//!
//! A server lets in an account whose password has expired to change the password, and answers everything else with an error (MySQL manual 8.2.16 "Server
//! Handling of Expired Passwords"; MariaDB "User Password Expiry", where `SET` works, too). Then it is that connection alone which knows the new password:
//! others would be opened with the one of the login.

use classifier::{Effects, PinKind, Statement};
use topology::ServerId;

/// What is known of the password that the session logged in with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Password {
    /// It lets the session do what its account may do.
    #[default]
    Valid,
    /// It has expired. A connection cannot even be given the session's settings.
    Expired,
    /// It had, and was changed over the connection to this server.
    ChangedOn(ServerId),
}

impl Password {
    /// An expired password can only be changed on the primary, and no replica lets in a session whose password was changed.
    pub(crate) fn pin(self) -> Option<PinKind> {
        (self != Self::Valid).then_some(PinKind::ExpiredPassword)
    }

    /// Where the session has a connection that it cannot have elsewhere.
    pub(crate) fn home(self) -> Option<ServerId> {
        match self {
            Self::ChangedOn(server) => Some(server),
            Self::Valid | Self::Expired => None,
        }
    }

    /// After a statement that this server has answered without an error. True if it has changed an expired password: the server accepts no other write.
    pub(crate) fn follow(&mut self, statement: &Statement, server: ServerId) -> bool {
        let changes = *self == Self::Expired && statement.effects.contains(Effects::WRITE_DATA);
        if changes {
            *self = Self::ChangedOn(server);
        }
        changes
    }
}
