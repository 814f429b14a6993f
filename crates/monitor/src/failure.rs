//! From an error of the driver to what it proves, and to a message that helps to repair it.

use std::io::ErrorKind;
use std::time::Duration;

use mysql_async::{DriverError, Error, IoError, ServerError};
use topology::{FailureKind, ParsePositionError, ProbeFailure};
use wire::error_code::{
    ER_ACCESS_DENIED_ERROR, ER_ACCOUNT_HAS_BEEN_LOCKED, ER_ACCOUNT_HAS_BEEN_LOCKED_MARIADB, ER_CLIENT_INTERACTION_TIMEOUT,
    ER_COLUMNACCESS_DENIED_ERROR, ER_CON_COUNT_ERROR, ER_CONNECTION_KILLED, ER_DBACCESS_DENIED_ERROR, ER_HOST_IS_BLOCKED,
    ER_HOST_NOT_PRIVILEGED, ER_MUST_CHANGE_PASSWORD, ER_MUST_CHANGE_PASSWORD_LOGIN, ER_QUERY_INTERRUPTED,
    ER_RESTART_SERVER_FAILED, ER_SECURE_TRANSPORT_REQUIRED, ER_SERVER_OFFLINE_MODE, ER_SERVER_SHUTDOWN,
    ER_SPECIFIC_ACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED,
};

/// Why a look at a server failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// An error of the server, the network or the driver.
    #[error(transparent)]
    Driver(#[from] Error),
    /// The connection could not be made, or no login happened, in time.
    #[error("no login within {0:?}: the server is hung or overloaded, or a firewall drops our packets")]
    ConnectTimeout(Duration),
    /// The server wants a proof that the driver cannot give.
    #[error("the account logs in with parsec, which the monitor does not speak")]
    Plugin,
    /// There is no connection to ask through.
    #[error("not connected")]
    NotConnected,
    /// Neither a look nor a new connection was answered.
    #[error("no answer within {0:?}, no login either: the server is hung or overloaded, or a firewall drops our packets")]
    Silent(Duration),
    /// The answer did not come in time.
    #[error("connected, but no answer within {0:?}: the server is hung or overloaded")]
    QueryTimeout(Duration),
    /// Others are let in and answered, while a look is not.
    #[error("a look at it has no answer while new connections are let in: it waits for a lock; see SHOW PROCESSLIST there")]
    LookHangs,
    /// The answer lacks a value that every server of this engine reports.
    #[error("answered without {0}: is this a MySQL 8.4+ or MariaDB 10.11+ server?")]
    Missing(&'static str),
    /// The answer has a position that cannot be read.
    #[error("unreadable GTIDs: {0}")]
    Position(#[from] ParsePositionError),
}

impl ProbeError {
    /// The connection was cut while in use, which proves nothing until a new one was tried.
    pub(crate) fn is_cut_connection(&self) -> bool {
        match self {
            ProbeError::Driver(Error::Server(error)) if CUTS.contains(&error.code) => true,
            ProbeError::Driver(error) => kind_of(error) == FailureKind::Gone,
            _ => false,
        }
    }

    /// The account may not do what was asked.
    pub(crate) fn is_denial(&self) -> bool {
        let denials = [
            ER_DBACCESS_DENIED_ERROR,
            ER_TABLEACCESS_DENIED_ERROR,
            ER_COLUMNACCESS_DENIED_ERROR,
            ER_SPECIFIC_ACCESS_DENIED_ERROR,
        ];
        matches!(self, ProbeError::Driver(Error::Server(error)) if denials.contains(&error.code))
    }

    /// `CLONE` has copied everything, and the server ends itself to use it: its success looks like this where nothing restarts it from within.
    pub(crate) fn says_that_clone_restarts(&self) -> bool {
        matches!(self, ProbeError::Driver(Error::Server(error)) if error.code == ER_RESTART_SERVER_FAILED)
    }

    /// A time limit has passed without an answer.
    pub(crate) fn is_timeout(&self) -> bool {
        let timed_out = |error: &std::io::Error| error.kind() == ErrorKind::TimedOut;
        match self {
            ProbeError::Driver(Error::Io(IoError::Io(error))) => timed_out(error),
            ProbeError::ConnectTimeout(_) | ProbeError::Silent(_) | ProbeError::QueryTimeout(_) => true,
            _ => false,
        }
    }

    /// The server did not answer at all.
    pub(crate) fn is_silence(&self) -> bool {
        self.kind() == FailureKind::Silent
    }

    /// How much this proves.
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            ProbeError::Driver(error) => kind_of(error),
            ProbeError::ConnectTimeout(_) | ProbeError::Silent(_) => FailureKind::Silent,
            ProbeError::Plugin
            | ProbeError::NotConnected
            | ProbeError::QueryTimeout(_)
            | ProbeError::LookHangs
            | ProbeError::Missing(_)
            | ProbeError::Position(_) => FailureKind::Blind,
        }
    }

    /// The failure of a look as `user`, with its message.
    pub(crate) fn to_failure(&self, user: &str) -> ProbeFailure {
        let why = match self {
            ProbeError::Driver(error) => why(error, user),
            ProbeError::Plugin => format!(
                "user {user} logs in with parsec, which the monitor does not speak: use ed25519 or mysql_native_password for it"
            ),
            _ => self.to_string(),
        };
        ProbeFailure { kind: self.kind(), why: why.into() }
    }
}

/// Errors that concern only one connection.
const CUTS: [u16; 3] = [ER_QUERY_INTERRUPTED, ER_CONNECTION_KILLED, ER_CLIENT_INTERACTION_TIMEOUT];

// From errno.h; the standard library has no kinds for them.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

fn kind_of(error: &Error) -> FailureKind {
    match error {
        Error::Io(IoError::Io(error)) => match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => FailureKind::Gone,
            // Our own machine has no more ports or descriptors, or the server sent what makes no sense.
            ErrorKind::AddrNotAvailable | ErrorKind::InvalidData => FailureKind::Blind,
            _ if error.raw_os_error().is_some_and(|code| [EMFILE, ENFILE].contains(&code)) => FailureKind::Blind,
            // No route, no such host name, no answer of the other side's kernel.
            _ => FailureKind::Silent,
        },
        Error::Driver(DriverError::ConnectionClosed) => FailureKind::Gone,
        Error::Server(error) => match error.code {
            ER_SERVER_SHUTDOWN => FailureKind::ShuttingDown,
            ER_SERVER_OFFLINE_MODE => FailureKind::Offline,
            ER_CON_COUNT_ERROR | ER_TOO_MANY_USER_CONNECTIONS | ER_USER_LIMIT_REACHED => FailureKind::Full,
            // Any other error still proves that the server answers.
            _ => FailureKind::Blind,
        },
        _ => FailureKind::Blind,
    }
}

fn why(error: &Error, user: &str) -> String {
    match error {
        Error::Io(IoError::Io(error)) => why_io(error),
        Error::Driver(DriverError::ConnectionClosed) => "the server closed the connection: is it starting or stopping?".into(),
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            format!(
                "user {user} logs in with {name}, which is not supported here: use caching_sha2_password, or ed25519 on MariaDB"
            )
        }
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            "the server offers no TLS, and server_tls.mode does not allow a connection in clear".into()
        }
        Error::Server(error) => why_server(error, user),
        other => other.to_string(),
    }
}

fn why_io(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            "connection refused: nothing listens there; is the server running, and the address right?".into()
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            format!("the connection broke before a login ({error}): is the server starting or stopping?")
        }
        ErrorKind::InvalidData => {
            format!("the server is not believed (server_tls), does not believe us, or makes no sense: {error}")
        }
        _ => error.to_string(),
    }
}

fn why_server(error: &ServerError, user: &str) -> String {
    let what = match error.code {
        ER_ACCESS_DENIED_ERROR => format!("login refused for user {user}: check user and password in [monitor] in the config"),
        ER_HOST_NOT_PRIVILEGED => format!("user {user} may not log in from here: create it for this host, or for '%'"),
        ER_HOST_IS_BLOCKED => "the server blocks this host after failed connections: run FLUSH HOSTS there".into(),
        ER_CON_COUNT_ERROR | ER_TOO_MANY_USER_CONNECTIONS | ER_USER_LIMIT_REACHED => {
            "no room for the monitor's connection: raise max_connections or the user's limit".into()
        }
        ER_SPECIFIC_ACCESS_DENIED_ERROR => format!(
            "user {user} lacks a privilege to observe: GRANT REPLICATION CLIENT (MySQL) or REPLICA MONITOR (MariaDB) ON *.* to it; \
             `pointsman check --config FILE --connect` says all that is missing"
        ),
        ER_SERVER_OFFLINE_MODE => "offline_mode is on: the server refuses applications".into(),
        ER_SERVER_SHUTDOWN => "the server is shutting down".into(),
        ER_MUST_CHANGE_PASSWORD | ER_MUST_CHANGE_PASSWORD_LOGIN => {
            format!("the password of user {user} has expired: ALTER USER .. IDENTIFIED BY .. PASSWORD EXPIRE NEVER")
        }
        ER_ACCOUNT_HAS_BEEN_LOCKED | ER_ACCOUNT_HAS_BEEN_LOCKED_MARIADB => {
            format!("the account of user {user} is locked: ALTER USER .. ACCOUNT UNLOCK")
        }
        ER_SECURE_TRANSPORT_REQUIRED => "the server insists on TLS: set server_tls.mode".into(),
        _ => return format!("the server said {}: {}", error.code, error.message),
    };
    format!("{what} (the server said {}: {})", error.code, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> Error {
        Error::Server(ServerError { code, message: "words of the server".into(), state: "HY000".into() })
    }

    fn io(kind: ErrorKind) -> Error {
        Error::Io(IoError::Io(kind.into()))
    }

    #[test]
    fn failures_prove_what_they_prove_and_say_what_to_do() {
        for (error, kind, says) in [
            (io(ErrorKind::ConnectionRefused), FailureKind::Gone, "is the server running"),
            (io(ErrorKind::ConnectionReset), FailureKind::Gone, "starting or stopping"),
            (io(ErrorKind::HostUnreachable), FailureKind::Silent, "unreachable"),
            (Error::Driver(DriverError::ConnectionClosed), FailureKind::Gone, "closed the connection"),
            (Error::Driver(DriverError::PacketOutOfOrder), FailureKind::Blind, "out of order"),
            (server(1045), FailureKind::Blind, "login refused for user watcher: check user and password in [monitor]"),
            (server(1130), FailureKind::Blind, "may not log in from here"),
            (server(1129), FailureKind::Blind, "FLUSH HOSTS"),
            (server(1040), FailureKind::Full, "max_connections"),
            (server(1203), FailureKind::Full, "max_connections"),
            (server(1226), FailureKind::Full, "max_connections"),
            (server(1227), FailureKind::Blind, "GRANT REPLICATION CLIENT"),
            (server(3032), FailureKind::Offline, "offline_mode"),
            (server(1053), FailureKind::ShuttingDown, "shutting down"),
            (server(1820), FailureKind::Blind, "has expired"),
            (server(1862), FailureKind::Blind, "has expired"),
            (server(3118), FailureKind::Blind, "ACCOUNT UNLOCK"),
            (server(4151), FailureKind::Blind, "ACCOUNT UNLOCK"),
            (server(1044), FailureKind::Blind, "1044"),
            (server(1142), FailureKind::Blind, "1142"),
            (server(1143), FailureKind::Blind, "1143"),
            (Error::Io(IoError::Io(std::io::Error::from_raw_os_error(24))), FailureKind::Blind, "open files"),
            (io(ErrorKind::TimedOut), FailureKind::Silent, "timed out"),
            (server(3159), FailureKind::Blind, "TLS"),
            (server(9999), FailureKind::Blind, "9999: words of the server"),
        ] {
            let shown = format!("{error:?}");
            let failure = ProbeError::from(error).to_failure("watcher");
            assert_eq!(failure.kind, kind, "{shown}");
            assert!(failure.why.contains(says), "{shown}: {}", failure.why);
        }
        let of = |error: ProbeError| error.to_failure("watcher");
        assert_eq!(of(ProbeError::ConnectTimeout(Duration::from_secs(1))).kind, FailureKind::Silent);
        assert_eq!(of(ProbeError::LookHangs).kind, FailureKind::Blind);
        assert_eq!(of(ProbeError::Missing("server_id")).kind, FailureKind::Blind);
        let failure = of(ProbeError::Silent(Duration::from_secs(1)));
        assert_eq!(failure.kind, FailureKind::Silent);
        assert!(failure.why.contains("no answer within 1s"), "{}", failure.why);
    }
}
