//! The few packets that Pointsman itself says to a client. Every error message begins with `pointsman:`.

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use router::{Awaited, Denial, HintError};
use wire::result::EOF_HEADER;
use wire::{Capabilities, EofPacket, ErrOwned, ErrPacket, OkPacket, Put as _, StatusFlags, put_packet_with};

/// An error that the client is told.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) sqlstate: [u8; 5],
    /// Without the prefix.
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: u16, sqlstate: [u8; 5], message: impl Into<String>) -> Self {
        Self { code, sqlstate, message: message.into() }
    }

    /// `ER_CON_COUNT_ERROR`
    pub(crate) fn too_many_connections(limit: usize) -> Self {
        Self::new(1040, *b"08004", format!("too many connections; limits.client_connections is {limit}"))
    }

    /// `ER_NET_PACKET_TOO_LARGE`
    pub(crate) fn packet_too_large(limit: usize) -> Self {
        Self::new(1153, *b"08S01", format!("got a packet bigger than limits.max_packet, which is {limit} bytes"))
    }

    /// `ER_NET_PACKETS_OUT_OF_ORDER`
    pub(crate) fn out_of_order() -> Self {
        Self::new(1156, *b"08S01", "got packets out of order")
    }

    /// `ER_MALFORMED_PACKET`
    pub(crate) fn malformed(what: &wire::Malformed) -> Self {
        Self::new(1835, *b"HY000", what.to_string())
    }

    /// `ER_UNKNOWN_COM_ERROR`
    pub(crate) fn unknown_command(command: u8) -> Self {
        Self::new(1047, *b"08S01", format!("command 0x{command:02x} is not supported"))
    }

    /// `ER_UNKNOWN_STMT_HANDLER`
    pub(crate) fn unknown_statement(id: u32, command: &str) -> Self {
        Self::new(1243, *b"HY000", format!("unknown prepared statement handler ({id}) given to {command}"))
    }

    /// `ER_UNSUPPORTED_PS`: drivers that prepare everything send the text instead.
    pub(crate) fn explanation_prepared() -> Self {
        Self::new(1295, *b"HY000", "EXPLAIN ROUTE is not supported in the prepared statement protocol; send it as text")
    }

    /// `ER_ACCESS_DENIED_ERROR`, in the servers' words, which some drivers look for.
    pub(crate) fn access_denied(user: &[u8], host: &str, with_password: bool) -> Self {
        let user = String::from_utf8_lossy(user);
        let using = if with_password { "YES" } else { "NO" };
        Self::new(1045, *b"28000", format!("Access denied for user '{user}'@'{host}' (using password: {using})"))
    }

    /// `ER_SERVER_SHUTDOWN`
    pub(crate) fn shutting_down() -> Self {
        Self::new(1053, *b"08S01", "Pointsman is shutting down; connect again")
    }

    /// `ER_SECURE_TRANSPORT_REQUIRED`
    pub(crate) fn tls_required() -> Self {
        Self::new(3159, *b"HY000", "connections using insecure transport are prohibited here (listen.tls); connect with TLS")
    }

    /// `ER_CLIENT_INTERACTION_TIMEOUT`
    pub(crate) fn idle_for_too_long() -> Self {
        Self::new(4031, *b"HY000", "the client was disconnected because of inactivity; see timeouts.client_idle")
    }

    /// The connection to the server broke while it was working: `ER_NET_READ_ERROR`. Not the 2013 that client libraries say in this case: they take
    /// a packet with one of their own numbers for a broken one.
    pub(crate) fn server_lost(may_have_written: bool, why: &str) -> Self {
        if may_have_written {
            // SQLSTATE 08007: transaction resolution unknown.
            Self::new(
                1158,
                *b"08007",
                format!("lost the server during the statement, which may or may not have taken effect ({why})"),
            )
        } else {
            Self::new(1158, *b"08S01", format!("lost the server during the statement ({why})"))
        }
    }

    /// A server has said OK to what may have been a commit, and the OK does not count: as when the reply was lost, nobody knows.
    pub(crate) fn unconfirmed(why: &str) -> Self {
        Self::new(1158, *b"08007", format!("the statement may or may not have taken effect ({why})"))
    }

    /// `ER_OPTION_PREVENTS_STATEMENT`, as without waiting: drivers and pools know it as "go elsewhere".
    pub(crate) fn waited_in_vain(awaited: Awaited, time: Duration) -> Self {
        Self::new(1290, *b"HY000", format!("waited {time:?} for {awaited}; the statement was not sent (routing.hold_writes)"))
    }

    /// The same for one that cannot even wait.
    pub(crate) fn too_many_held(awaited: Awaited, limit: &str, most: usize) -> Self {
        Self::new(1290, *b"HY000", format!("too many statements wait already for {awaited}; {limit} is {most}"))
    }

    /// `ER_NET_READ_INTERRUPTED`
    pub(crate) fn server_silent() -> Self {
        Self::new(1159, *b"08S01", "the server that this statement needs does not answer; the statement was not sent")
    }

    /// `ER_QUERY_INTERRUPTED`
    pub(crate) fn interrupted() -> Self {
        Self::new(1317, *b"70100", "query execution was interrupted")
    }

    /// `ER_NEED_REPREPARE`
    pub(crate) fn needs_reprepare() -> Self {
        let why = "the statement was prepared with another character set, and its server connection is gone; prepare it again";
        Self::new(1615, *b"HY000", why)
    }

    /// `ER_NO_SUCH_THREAD`
    pub(crate) fn unknown_thread(id: u64) -> Self {
        Self::new(1094, *b"HY000", format!("unknown thread id: {id}; it is a number of a session here, and none has it now"))
    }

    /// `ER_KILL_DENIED_ERROR`
    pub(crate) fn not_owner(id: u64) -> Self {
        let why = "its server connection, as SHOW PROCESSLIST shows it, can be killed with the servers' privileges";
        Self::new(1095, *b"HY000", format!("you are not owner of thread {id}; {why}"))
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

/// A hint that cannot be followed is better told than left out: whoever wrote it relies on it.
impl From<HintError> for Refusal {
    fn from(error: HintError) -> Self {
        // ER_WRONG_ARGUMENTS
        Self::new(1210, *b"HY000", error.to_string())
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::new(denial.code(), *denial.sqlstate(), denial.to_string())
    }
}

impl From<&backend::ConnectError> for Refusal {
    fn from(error: &backend::ConnectError) -> Self {
        match error {
            // ER_CON_COUNT_ERROR
            backend::ConnectError::Exhausted { .. } => Self::new(1040, *b"08004", error.to_string()),
            // ER_ACCESS_DENIED_ERROR
            backend::ConnectError::KeyNotTrusted { .. } | backend::ConnectError::UnsupportedPlugin { .. } => {
                Self::new(1045, *b"28000", error.to_string())
            }
            // ER_NET_READ_INTERRUPTED
            backend::ConnectError::Timeout { .. } => Self::new(1159, *b"08S01", error.to_string()),
            // ER_BAD_HOST_ERROR: of the servers' own numbers the one for a host that cannot be talked to. Clients take the 2003 that they
            // would say themselves for a broken packet.
            _ => Self::new(1042, *b"08S01", error.to_string()),
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
    let mut packet = BytesMut::new();
    let ok = OkPacket { affected_rows: 0, last_insert_id: 0, status, warnings: 0, info: &[], session_state: &[] };
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
        sequence = put_packet_with(&mut out, sequence, |out| put_definition(out, name, *kind));
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

fn put_definition(out: &mut BytesMut, name: &[u8], kind: Column) {
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
