//! The few packets that Pointsman itself says to a client. Every error message begins with `pointsman:`.

use bytes::{BufMut as _, BytesMut};
use router::{Denial, HintError};
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

    /// `ER_CLIENT_INTERACTION_TIMEOUT`
    pub(crate) fn idle_for_too_long() -> Self {
        Self::new(4031, *b"HY000", "the client was disconnected because of inactivity; see timeouts.client_idle")
    }

    /// The connection to the server broke while it was working. Code 2013 is what a client library says in this case.
    pub(crate) fn server_lost(may_have_written: bool, why: &str) -> Self {
        if may_have_written {
            // SQLSTATE 08007: transaction resolution unknown.
            Self::new(
                2013,
                *b"08007",
                format!("lost the server during the statement, which may or may not have taken effect ({why})"),
            )
        } else {
            Self::new(2013, *b"08S01", format!("lost the server during the statement ({why})"))
        }
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
        // ER_CONNECT_TO_FOREIGN_DATA_SOURCE is about federated tables; 1040 and 2003 are what users know for these two.
        match error {
            backend::ConnectError::Exhausted { .. } => Self::new(1040, *b"08004", error.to_string()),
            _ => Self::new(2003, *b"08S01", error.to_string()),
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

/// A result set of texts.
pub(crate) fn rows<const COLUMNS: usize>(
    columns: &[&str],
    rows: &[[Option<String>; COLUMNS]],
    status: StatusFlags,
    capabilities: Capabilities,
) -> BytesMut {
    let mut out = BytesMut::new();
    let end = EofPacket { warnings: 0, status };
    let mut sequence = put_packet_with(&mut out, 1, |out| out.put_lenenc_int(COLUMNS as u64));
    for column in columns {
        sequence = put_packet_with(&mut out, sequence, |out| put_definition(out, column));
    }
    if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
        sequence = put_packet_with(&mut out, sequence, |out| end.encode(out));
    }
    for row in rows {
        sequence = put_packet_with(&mut out, sequence, |out| row.iter().for_each(|value| put_value(out, value.as_deref())));
    }
    put_packet_with(&mut out, sequence, |out| {
        if capabilities.contains(Capabilities::DEPRECATE_EOF) {
            end.to_ok().encode(EOF_HEADER, capabilities, out);
        } else {
            end.encode(out);
        }
    });
    out
}

/// A text column in utf8mb4.
fn put_definition(out: &mut BytesMut, name: &str) {
    const UTF8MB4: u16 = 45;
    const VAR_STRING: u8 = 0xfd;
    for text in ["def", "", "", "", name, name] {
        out.put_lenenc_bytes(text.as_bytes());
    }
    out.put_lenenc_int(0x0c);
    out.put_u16_le(UTF8MB4);
    out.put_u32_le(4 * 1024);
    out.put_u8(VAR_STRING);
    // No flags, no decimals, two bytes of filler.
    out.put_bytes(0, 5);
}

fn put_value(out: &mut BytesMut, value: Option<&str>) {
    const NULL: u8 = 0xfb;
    match value {
        Some(text) => out.put_lenenc_bytes(text.as_bytes()),
        None => out.put_u8(NULL),
    }
}
