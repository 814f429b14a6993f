//! Why a try of a statement was not answered, and what may be done then.

use backend::ConnectError;
use net::LinkError;
use topology::ServerId;
use wire::error_code::{
    EE_CANTCREATEFILE, EE_DISK_FULL, EE_OUT_OF_FILERESOURCES, EE_OUTOFMEMORY, EE_READ, EE_WRITE, ER_CANT_CREATE_THREAD,
    ER_CON_COUNT_ERROR, ER_DISK_FULL, ER_OUT_OF_RESOURCES, ER_OUTOFMEMORY, ER_SERVER_OFFLINE_MODE, ER_SERVER_SHUTDOWN,
};
use wire::{ErrOwned, Malformed};

use super::Core;
use crate::login::is_account_refused;
use crate::reply::Refusal;

/// Why a statement was not answered by the server that was tried.
pub(super) enum Failure {
    /// There is no connection. Nothing was sent.
    Connect(ConnectError),
    /// The server refused to set the session's state, or to prepare the statement. The statement did not run, or it was a read whose answer is discarded
    /// with the connection.
    Setup(ErrOwned),
    /// A replica answered a read with an error that speaks against the replica, and the client has got nothing of it.
    Unwell(ErrOwned),
    /// The replica did not apply the session's write in time. The read did run, and its answer is discarded with the connection.
    Behind,
    /// The connection broke before anything was sent on it.
    LostBefore,
    /// The connection broke afterwards.
    Lost {
        error: LinkError,
        /// Whether the client has got part of the answer.
        begun: bool,
    },
    /// The server does not answer, and the monitor gets no answer either.
    Silent {
        /// Whether the statement has gone out.
        sent: bool,
        /// Whether the client has got part of the answer.
        begun: bool,
    },
    /// The server is no longer the primary that it was chosen as.
    Deposed {
        /// Whether the statement has gone out.
        sent: bool,
        /// Whether the client has got part of the answer.
        begun: bool,
    },
    /// It was stopped before it was sent; the client is told this.
    Interrupted(Refusal),
    /// It was prepared with a character set to which no statement leads back.
    NeedsReprepare,
    /// The client's packet is malformed.
    ClientMisbehaved(Malformed),
    /// The client has left.
    ClientGone,
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self::Lost { error, begun: false }
    }
}

impl Failure {
    /// Whether all connections to the server are in use, and the statement has already waited for one.
    pub(super) fn is_lack_of_room(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::Exhausted { .. }))
    }

    /// Whether it speaks against the server, whatever the statement. That a connection was closed while it was idle does not.
    pub(super) fn is_servers_fault(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Unreachable { .. } | ConnectError::Timeout { .. })
            | Self::Lost { .. }
            | Self::Silent { .. } => true,
            Self::Setup(error) | Self::Connect(ConnectError::Refused { error, .. }) => is_servers_fault(error.code),
            _ => false,
        }
    }

    /// Whether the server lets the account in no more: it was dropped, or has another password.
    pub(super) fn is_about_the_account(&self) -> bool {
        matches!(self, Self::Connect(error) if is_account_refused(error))
    }

    /// Whether another server may be tried: nothing has happened yet, or it is a plain read and the client has got nothing.
    pub(super) fn may_be_tried_elsewhere(&self, is_read: bool) -> bool {
        match self {
            Self::Connect(_) | Self::Setup(_) | Self::Behind | Self::LostBefore | Self::Silent { sent: false, .. } => true,
            Self::Unwell(_) => is_read,
            Self::Lost { begun, .. } | Self::Silent { begun, .. } => !begun && is_read,
            Self::Deposed { .. } | Self::ClientMisbehaved(_) | Self::ClientGone | Self::Interrupted(_) | Self::NeedsReprepare => {
                false
            }
        }
    }

    /// Whether nothing of the statement was sent, and a later try, or another primary, may succeed.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::LostBefore
            | Self::Silent { sent: false, .. }
            | Self::Deposed { sent: false, .. }
            | Self::Connect(ConnectError::Unreachable { .. } | ConnectError::Timeout { .. }) => true,
            Self::Setup(error) | Self::Connect(ConnectError::Refused { error, .. }) => {
                matches!(error.code, ER_SERVER_SHUTDOWN | ER_SERVER_OFFLINE_MODE)
            }
            _ => false,
        }
    }
}

/// Errors by which a server says that it is not well, and not that the statement or the account is wrong: it has no room for connections or threads, has
/// run out of memory or of space, or is shutting down.
pub(super) fn is_servers_fault(code: u16) -> bool {
    matches!(
        code,
        EE_CANTCREATEFILE
            | EE_READ
            | EE_WRITE
            | EE_OUTOFMEMORY
            | EE_DISK_FULL
            | EE_OUT_OF_FILERESOURCES
            | ER_DISK_FULL
            | ER_OUTOFMEMORY
            | ER_CON_COUNT_ERROR
            | ER_OUT_OF_RESOURCES
            | ER_SERVER_SHUTDOWN
            | ER_CANT_CREATE_THREAD
            | ER_SERVER_OFFLINE_MODE
    )
}

impl Core {
    pub(super) fn log_failure(&self, server: ServerId, failure: &Failure) {
        let connection = self.entry.id();
        let server = server.0;
        match failure {
            Failure::Connect(error) => tracing::warn!(connection, server, %error, "no connection for a statement"),
            Failure::Setup(error) => {
                let message = String::from_utf8_lossy(&error.message);
                tracing::warn!(connection, server, code = error.code, %message, "a server refused the session's state");
            }
            Failure::Unwell(error) => {
                let message = String::from_utf8_lossy(&error.message);
                tracing::warn!(connection, server, code = error.code, %message, "a replica is not well, and could not answer a read");
            }
            Failure::Lost { error, begun } => {
                tracing::warn!(connection, server, %error, begun, "lost a server during a statement");
            }
            Failure::Behind => tracing::debug!(connection, server, "a replica did not catch up in time (routing.causal_wait)"),
            Failure::LostBefore => tracing::info!(connection, server, "a server has closed an idle connection"),
            Failure::Silent { sent, begun } => {
                // The monitor warns when it is sure.
                tracing::info!(connection, server, sent, begun, "left a server that does not answer");
            }
            Failure::Deposed { sent, begun } => tracing::info!(connection, server, sent, begun, "left a former primary"),
            Failure::Interrupted(refusal) => tracing::debug!(connection, why = refusal.message, "stopped before it was sent"),
            Failure::NeedsReprepare => tracing::info!(connection, "a statement has to be prepared again"),
            Failure::ClientMisbehaved(error) => tracing::info!(connection, %error, "a client broke the protocol"),
            Failure::ClientGone => tracing::debug!(connection, "a client left during its statement"),
        }
    }
}
