//! The few packets that Pointsman itself says to a client. Every error message begins with `pointsman:`.

use std::io;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use net::LinkError;
use router::{Awaited, Denial, HintError};
use wire::error_code::{
    self, ER_ACCESS_DENIED_ERROR, ER_BAD_HOST_ERROR, ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ER_CLIENT_INTERACTION_TIMEOUT,
    ER_CON_COUNT_ERROR, ER_HANDSHAKE_ERROR, ER_HOST_IS_BLOCKED, ER_HOST_NOT_PRIVILEGED, ER_KILL_DENIED_ERROR, ER_LOCK_DEADLOCK,
    ER_MALFORMED_PACKET, ER_MUST_CHANGE_PASSWORD, ER_NEED_REPREPARE, ER_NET_PACKET_TOO_LARGE, ER_NET_PACKETS_OUT_OF_ORDER,
    ER_NET_READ_ERROR, ER_NET_READ_INTERRUPTED, ER_NET_UNCOMPRESS_ERROR, ER_NO_SUCH_THREAD, ER_NOT_SUPPORTED_YET,
    ER_OPTION_PREVENTS_STATEMENT, ER_QUERY_INTERRUPTED, ER_SECURE_TRANSPORT_REQUIRED, ER_SERVER_SHUTDOWN,
    ER_SPECIFIC_ACCESS_DENIED_ERROR, ER_UNKNOWN_COM_ERROR, ER_UNKNOWN_ERROR, ER_UNKNOWN_STMT_HANDLER, ER_UNSUPPORTED_PS,
    ER_USER_LIMIT_REACHED, ER_WRONG_ARGUMENTS,
};
use wire::result::EOF_HEADER;
use wire::{Capabilities, EofPacket, ErrOwned, ErrPacket, OkPacket, Put as _, StatusFlags, put_packet_with};

/// An error for the client.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) sqlstate: [u8; 5],
    /// Without the prefix.
    pub(crate) message: String,
}

impl Refusal {
    /// `code` is one of [`error_code`], which has the SQLSTATE, too.
    pub(crate) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, sqlstate: error_code::sqlstate(code), message: message.into() }
    }

    /// A write may or may not have taken effect.
    fn unknown_outcome(message: String) -> Self {
        Self { sqlstate: error_code::RESOLUTION_UNKNOWN, ..Self::new(ER_NET_READ_ERROR, message) }
    }

    pub(crate) fn too_many_connections(limit: usize) -> Self {
        Self::new(ER_CON_COUNT_ERROR, format!("too many connections; limits.client_connections is {limit}"))
    }

    pub(crate) fn no_proxy_header() -> Self {
        let why = "no PROXY header came, with which each connection from this address must begin (listen.proxy_networks)";
        Self::new(ER_HANDSHAKE_ERROR, why)
    }

    pub(crate) fn bad_proxy_header(what: wire::Malformed) -> Self {
        let why = format!("bad PROXY header: {}; from this address there must be one (listen.proxy_networks)", what.what);
        Self::new(ER_HANDSHAKE_ERROR, why)
    }

    pub(crate) fn packet_too_large(limit: usize) -> Self {
        Self::new(ER_NET_PACKET_TOO_LARGE, format!("got a packet bigger than limits.max_packet, which is {limit} bytes"))
    }

    pub(crate) fn out_of_order() -> Self {
        Self::new(ER_NET_PACKETS_OUT_OF_ORDER, "got packets out of order")
    }

    pub(crate) fn malformed(what: &wire::Malformed) -> Self {
        Self::new(ER_MALFORMED_PACKET, what.to_string())
    }

    pub(crate) fn unknown_command(command: u8) -> Self {
        Self::new(ER_UNKNOWN_COM_ERROR, format!("command 0x{command:02x} is not supported"))
    }

    pub(crate) fn password_expired() -> Self {
        Self::new(ER_MUST_CHANGE_PASSWORD, "the password has expired; change it before anything else")
    }

    pub(crate) fn no_binlog() -> Self {
        let why = "the binary log is not passed on here (security.binlog_commands); read it from a server";
        Self::new(ER_NOT_SUPPORTED_YET, why)
    }

    pub(crate) fn unknown_statement(id: u32, command: &str) -> Self {
        Self::new(ER_UNKNOWN_STMT_HANDLER, format!("unknown prepared statement handler ({id}) given to {command}"))
    }

    pub(crate) fn explanation_prepared() -> Self {
        Self::new(ER_UNSUPPORTED_PS, "EXPLAIN ROUTE is not supported in the prepared statement protocol; send it as text")
    }

    /// In the servers' words, which some drivers look for.
    pub(crate) fn access_denied(user: &[u8], host: &str, with_password: bool) -> Self {
        let user = String::from_utf8_lossy(user);
        let using = if with_password { "YES" } else { "NO" };
        Self::new(ER_ACCESS_DENIED_ERROR, format!("Access denied for user '{user}'@'{host}' (using password: {using})"))
    }

    /// Pointsman does not know the account, and no server can be asked about it.
    pub(crate) fn nobody_to_ask() -> Self {
        Self::new(ER_BAD_HOST_ERROR, "no server can say now whether the password is right; Pointsman's log has the reason")
    }

    /// In the servers' words.
    pub(crate) fn host_not_allowed(host: &str) -> Self {
        Self::new(ER_HOST_NOT_PRIVILEGED, format!("Host '{host}' is not allowed to connect to this server ([firewall])"))
    }

    pub(crate) fn too_many_of_address(limit: usize) -> Self {
        Self::new(ER_CON_COUNT_ERROR, format!("too many connections of this address; limits.address_connections is {limit}"))
    }

    pub(crate) fn too_many_logins(limit: usize) -> Self {
        Self::new(ER_CON_COUNT_ERROR, format!("too many clients are about to log in; limits.logins is {limit}"))
    }

    /// Like the servers' `MAX_USER_CONNECTIONS` and `MAX_QUERIES_PER_HOUR`.
    pub(crate) fn account_limit(key: &str, limit: u64) -> Self {
        Self::new(ER_USER_LIMIT_REACHED, format!("the user has reached the limit of its {key} ({limit})"))
    }

    /// The same for the statements that match a rule.
    pub(crate) fn rule_limit(rule: &str, limit: u32) -> Self {
        Self::new(
            ER_USER_LIMIT_REACHED,
            format!("the rule {rule:?} allows {limit} statements per second (statements_per_second)"),
        )
    }

    /// In the servers' words.
    pub(crate) fn blocked(host: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(1);
        let why = format!("too many of its logins have failed (limits.failed_logins); try again in {seconds} s");
        Self::new(ER_HOST_IS_BLOCKED, format!("Host '{host}' is blocked: {why}"))
    }

    pub(crate) fn shutting_down() -> Self {
        Self::new(ER_SERVER_SHUTDOWN, "Pointsman is shutting down; connect again")
    }

    pub(crate) fn tls_required() -> Self {
        let why = "connections using insecure transport are prohibited here (listen.tls); connect with TLS";
        Self::new(ER_SECURE_TRANSPORT_REQUIRED, why)
    }

    pub(crate) fn idle_for_too_long() -> Self {
        Self::new(ER_CLIENT_INTERACTION_TIMEOUT, "the client was disconnected because of inactivity; see timeouts.client_idle")
    }

    /// What a client did wrong that sent compressed what cannot be read. `None`: its connection broke.
    pub(crate) fn bad_frame(error: &io::Error) -> Option<Self> {
        match LinkError::of(error)? {
            LinkError::OutOfOrder => Some(Self::out_of_order()),
            error @ LinkError::BadFrame(_) => Some(Self::new(ER_NET_UNCOMPRESS_ERROR, error.to_string())),
            _ => None,
        }
    }

    /// The connection to the server broke while it was working.
    pub(crate) fn server_lost(may_have_written: bool, why: &str) -> Self {
        if may_have_written {
            Self::unknown_outcome(format!("lost the server during the statement, which may or may not have taken effect ({why})"))
        } else {
            Self::new(ER_NET_READ_ERROR, format!("lost the server during the statement ({why})"))
        }
    }

    /// A server has said OK to what may have been a commit, and the OK does not count: as when the reply was lost, the outcome is unknown.
    pub(crate) fn unconfirmed(why: &str) -> Self {
        Self::unknown_outcome(format!("the statement may or may not have taken effect ({why})"))
    }

    /// The same error as without waiting.
    pub(crate) fn waited_in_vain(awaited: Awaited, time: Duration) -> Self {
        Self::new(
            ER_OPTION_PREVENTS_STATEMENT,
            format!("waited {time:?} for {awaited}; the statement was not sent (routing.hold_writes)"),
        )
    }

    /// The same for a statement that cannot even wait.
    pub(crate) fn too_many_held(awaited: Awaited, limit: &str, most: usize) -> Self {
        Self::new(ER_OPTION_PREVENTS_STATEMENT, format!("too many statements wait already for {awaited}; {limit} is {most}"))
    }

    pub(crate) fn server_silent() -> Self {
        Self::new(ER_NET_READ_INTERRUPTED, "the server that this statement needs does not answer; the statement was not sent")
    }

    pub(crate) fn file_too_large(limit: u64) -> Self {
        Self::new(
            ER_NET_PACKET_TOO_LARGE,
            format!("the file is over limits.local_infile ({limit} bytes); the statement was stopped, and the session ends"),
        )
    }

    pub(crate) fn replica_behind() -> Self {
        let why = "no replica has the session's last write yet, and no primary can answer in its place; try again";
        Self::new(ER_NET_READ_INTERRUPTED, why)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(ER_QUERY_INTERRUPTED, "query execution was interrupted")
    }

    pub(crate) fn needs_reprepare() -> Self {
        let why = "the statement was prepared with another character set, and its server connection is gone; prepare it again";
        Self::new(ER_NEED_REPREPARE, why)
    }

    pub(crate) fn unknown_thread(id: u64) -> Self {
        Self::new(ER_NO_SUCH_THREAD, format!("unknown thread id: {id}; it is a number of a session here, and none has it now"))
    }

    pub(crate) fn not_owner(id: u64) -> Self {
        let why = "its server connection, as SHOW PROCESSLIST shows it, can be killed with the servers' privileges";
        Self::new(ER_KILL_DENIED_ERROR, format!("you are not owner of thread {id}; {why}"))
    }

    /// `denial`, in other words than its own.
    pub(crate) fn denied(denial: Denial, message: String) -> Self {
        Self::new(code_of(denial), message)
    }

    /// The same, where the session has lost something with the server as well: nothing else will tell the client.
    pub(crate) fn with_lost_pins(mut self, has_lost: bool) -> Self {
        if has_lost {
            self.message
                .push_str("; what this session had there (temporary tables, locks, variables) is lost, and it goes on without");
        }
        self
    }

    /// A complete packet.
    pub(crate) fn packet(&self, sequence: u8) -> BytesMut {
        let message = format!("pointsman: {}", self.message);
        error_packet(self.code, self.sqlstate, message.as_bytes(), sequence)
    }
}

/// A hint that cannot be followed is an error and is not ignored, because its author relies on it.
impl From<HintError> for Refusal {
    fn from(error: HintError) -> Self {
        Self::new(ER_WRONG_ARGUMENTS, error.to_string())
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::denied(denial, denial.to_string())
    }
}

/// The servers' own error for the same situation, where there is one.
fn code_of(denial: Denial) -> u16 {
    match denial {
        Denial::NoPrimary | Denial::Handover => ER_OPTION_PREVENTS_STATEMENT,
        Denial::TransactionLost => ER_LOCK_DEADLOCK,
        Denial::NoServer | Denial::PinLost => ER_SERVER_SHUTDOWN,
        Denial::ReadOnlyTransaction | Denial::PrimaryOnlyInReplicaTransaction => ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
        Denial::ByRule(_) => ER_SPECIFIC_ACCESS_DENIED_ERROR,
        Denial::WriteToReplica(_) => ER_NOT_SUPPORTED_YET,
        // The servers have nothing like it, and no driver takes this one for a lost connection.
        Denial::NoReplica
        | Denial::Unfit(_)
        | Denial::InsertIdLost
        | Denial::PreviousStatementLost
        | Denial::PreviousStatementElsewhere => ER_UNKNOWN_ERROR,
        Denial::NoSuchServer => ER_WRONG_ARGUMENTS,
    }
}

impl From<&backend::ConnectError> for Refusal {
    fn from(error: &backend::ConnectError) -> Self {
        match error {
            backend::ConnectError::Exhausted { .. } => Self::new(ER_CON_COUNT_ERROR, error.to_string()),
            backend::ConnectError::KeyNotTrusted { .. } | backend::ConnectError::UnsupportedPlugin { .. } => {
                Self::new(ER_ACCESS_DENIED_ERROR, error.to_string())
            }
            backend::ConnectError::Timeout { .. } => Self::new(ER_NET_READ_INTERRUPTED, error.to_string()),
            _ => Self::new(ER_BAD_HOST_ERROR, error.to_string()),
        }
    }
}

/// A server's own error, passed on as it is.
pub(crate) fn server_error(error: &ErrOwned, sequence: u8) -> BytesMut {
    error_packet(error.code, error.sqlstate, &error.message, sequence)
}

fn error_packet(code: u16, sqlstate: [u8; 5], message: &[u8], sequence: u8) -> BytesMut {
    let mut packet = BytesMut::new();
    put_packet_with(&mut packet, sequence, |out| ErrPacket { code, sqlstate, message }.encode(out));
    packet
}

/// An OK without anything to say but the session's status.
pub(crate) fn ok(sequence: u8, status: StatusFlags, capabilities: Capabilities) -> BytesMut {
    ok_with_info(sequence, status, &[], capabilities)
}

/// An OK with a text.
pub(crate) fn ok_with_info(sequence: u8, status: StatusFlags, info: &[u8], capabilities: Capabilities) -> BytesMut {
    let mut packet = BytesMut::new();
    let ok = OkPacket { affected_rows: 0, last_insert_id: 0, status, warnings: 0, info, session_state: &[] };
    put_packet_with(&mut packet, sequence, |out| ok.encode(0x00, capabilities, out));
    packet
}

/// An EOF, as `COM_SET_OPTION` is answered.
pub(crate) fn eof(sequence: u8, status: StatusFlags, capabilities: Capabilities) -> BytesMut {
    let mut packet = BytesMut::new();
    put_packet_with(&mut packet, sequence, |out| put_eof(out, status, capabilities));
    packet
}

fn put_eof(out: &mut BytesMut, status: StatusFlags, capabilities: Capabilities) {
    let end = EofPacket { warnings: 0, status };
    if capabilities.contains(Capabilities::DEPRECATE_EOF) {
        end.to_ok().encode(EOF_HEADER, capabilities, out);
    } else {
        end.encode(out);
    }
}

/// A result set of one number.
pub(crate) fn number(sequence: u8, column: &[u8], value: u64, status: StatusFlags, capabilities: Capabilities) -> BytesMut {
    result(sequence, &[(column, Column::Number)], &[[Some(value.to_string())]], status, capabilities)
}

/// A result set of one number that may be negative.
pub(crate) fn count(sequence: u8, column: &[u8], value: i64, status: StatusFlags, capabilities: Capabilities) -> BytesMut {
    result(sequence, &[(column, Column::Count)], &[[Some(value.to_string())]], status, capabilities)
}

/// A result set of texts.
pub(crate) fn rows<const COLUMNS: usize>(
    sequence: u8,
    columns: &[&str],
    rows: &[[Option<String>; COLUMNS]],
    status: StatusFlags,
    capabilities: Capabilities,
) -> BytesMut {
    let columns: Vec<_> = columns.iter().map(|name| (name.as_bytes(), Column::Text)).collect();
    result(sequence, &columns, rows, status, capabilities)
}

#[derive(Debug, Clone, Copy)]
enum Column {
    /// In utf8mb4.
    Text,
    /// An unsigned integer.
    Number,
    /// A signed one.
    Count,
}

fn result<const COLUMNS: usize>(
    sequence: u8,
    columns: &[(&[u8], Column)],
    rows: &[[Option<String>; COLUMNS]],
    status: StatusFlags,
    capabilities: Capabilities,
) -> BytesMut {
    let mut out = BytesMut::new();
    let mut sequence = put_packet_with(&mut out, sequence, |out| out.put_lenenc_int(COLUMNS as u64));
    for (name, kind) in columns {
        sequence = put_packet_with(&mut out, sequence, |out| put_definition(out, name, *kind, capabilities));
    }
    if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
        sequence = put_packet_with(&mut out, sequence, |out| EofPacket { warnings: 0, status }.encode(out));
    }
    for row in rows {
        sequence = put_packet_with(&mut out, sequence, |out| row.iter().for_each(|value| put_value(out, value.as_deref())));
    }
    put_packet_with(&mut out, sequence, |out| put_eof(out, status, capabilities));
    out
}

fn put_definition(out: &mut BytesMut, name: &[u8], kind: Column, capabilities: Capabilities) {
    const UTF8MB4: u16 = 45;
    const BINARY: u16 = 63;
    const VAR_STRING: u8 = 0xfd;
    const LONGLONG: u8 = 0x08;
    const NOT_NULL_BINARY: u16 = 1 | 128;
    const UNSIGNED: u16 = 32;
    let (charset, length, code, flags) = match kind {
        Column::Text => (UTF8MB4, 4 * 1024, VAR_STRING, 0),
        Column::Number => (BINARY, 21, LONGLONG, NOT_NULL_BINARY | UNSIGNED),
        Column::Count => (BINARY, 21, LONGLONG, NOT_NULL_BINARY),
    };
    for text in [b"def".as_slice(), b"", b"", b"", name, b""] {
        out.put_lenenc_bytes(text);
    }
    if capabilities.contains(Capabilities::MARIADB_EXTENDED_METADATA) {
        out.put_lenenc_bytes(b"");
    }
    out.put_lenenc_int(0x0c);
    out.put_u16_le(charset);
    out.put_u32_le(length);
    out.put_u8(code);
    out.put_u16_le(flags);
    // No decimals, two bytes of filler.
    out.put_bytes(0, 3);
}

fn put_value(out: &mut BytesMut, value: Option<&str>) {
    const NULL: u8 = 0xfb;
    match value {
        Some(text) => out.put_lenenc_bytes(text.as_bytes()),
        None => out.put_u8(NULL),
    }
}

#[cfg(test)]
mod tests {
    use classifier::Reason;
    use router::Exclusion;

    use super::*;

    /// Drivers act on the numbers.
    #[test]
    fn a_denial_has_the_error_that_drivers_know() {
        for (denial, code, sqlstate) in [
            (Denial::NoPrimary, 1290, b"HY000"),
            (Denial::NoServer, 1053, b"08S01"),
            (Denial::Handover, 1290, b"HY000"),
            (Denial::TransactionLost, 1213, b"40001"),
            (Denial::PinLost, 1053, b"08S01"),
            (Denial::ReadOnlyTransaction, 1792, b"25006"),
            (Denial::PrimaryOnlyInReplicaTransaction, 1792, b"25006"),
            (Denial::InsertIdLost, 1105, b"HY000"),
            (Denial::PreviousStatementLost, 1105, b"HY000"),
            (Denial::PreviousStatementElsewhere, 1105, b"HY000"),
            (Denial::ByRule(0), 1227, b"42000"),
            (Denial::WriteToReplica(Reason::Writes), 1235, b"42000"),
            (Denial::NoReplica, 1105, b"HY000"),
            (Denial::Unfit(Exclusion::Silent), 1105, b"HY000"),
            (Denial::NoSuchServer, 1210, b"HY000"),
        ] {
            let refusal = Refusal::from(denial);
            assert_eq!((refusal.code, &refusal.sqlstate), (code, sqlstate), "{denial:?}");
        }
    }

    /// By the SQLSTATE a client tells a lost write from a lost read.
    #[test]
    fn only_what_may_have_written_has_an_unknown_outcome() {
        for (refusal, sqlstate) in [
            (Refusal::server_lost(true, "why"), b"08007"),
            (Refusal::unconfirmed("why"), b"08007"),
            (Refusal::server_lost(false, "why"), b"08S01"),
        ] {
            assert_eq!((refusal.code, &refusal.sqlstate), (1158, sqlstate), "{refusal:?}");
        }
    }
}
