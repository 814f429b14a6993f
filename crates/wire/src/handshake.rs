//! The packets of a login: the server's greeting, the client's answer, and what follows until OK or ERR.
//!
//! Sources: MySQL `page_protocol_connection_phase_packets` (`protocol_handshake_v10`, `protocol_handshake_response`,
//! `protocol_ssl_request`, `protocol_auth_switch_request`, `protocol_auth_more_data`); MariaDB "Connection". They differ in
//! three places: MariaDB prefixes its version with `5.5.5-` so that old replicas accept it, it says that it is not MySQL by
//! clearing `LONG_PASSWORD`, and then it uses the last four of the reserved bytes for its extended capabilities.
//!
//! What the packets prove is [`crate::auth`]'s business.

use bytes::{BufMut, BytesMut};

use crate::capabilities::{Capabilities, StatusFlags};
use crate::command::COM_CHANGE_USER;
use crate::primitives::{Malformed, Put, Reader};
use crate::result::{EOF_HEADER, ERR_HEADER, ErrOwned, ErrPacket};

/// Bytes of the nonce that a login's proof is computed from.
pub const NONCE: usize = 20;

/// The part of the nonce that stands in front of a greeting's capabilities.
const NONCE_FRONT: usize = 8;

const PROTOCOL_VERSION: u8 = 10;
const SSL_REQUEST: usize = 32;
const AUTH_MORE_DATA: u8 = 0x01;
const MARIADB_VERSION_PREFIX: &[u8] = b"5.5.5-";

/// The server's first packet (`HandshakeV10`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// As sent; see [`Greeting::version_text`].
    pub server_version: Vec<u8>,
    /// The server's name for this connection, as KILL takes it.
    pub connection_id: u32,
    /// Random bytes that the client's proof covers. None is NUL or `$` ([`crate::auth::nonce_from_random`]).
    pub nonce: [u8; NONCE],
    /// What the server can do.
    pub capabilities: Capabilities,
    /// The low byte of the server's default collation.
    pub charset: u8,
    /// The state of the new session.
    pub status: StatusFlags,
    /// The plugin that the nonce is meant for; empty where the server knows no plugins.
    pub auth_plugin: Vec<u8>,
}

/// What a server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeted {
    /// A greeting: log in.
    Greeting(Greeting),
    /// The server refuses the connection: `ER_CON_COUNT_ERROR`, `ER_HOST_IS_BLOCKED`, `ER_HOST_NOT_PRIVILEGED`.
    Refused(ErrOwned),
}

/// Reads a server's first payload.
pub fn decode_greeting(payload: &[u8]) -> Result<Greeted, Malformed> {
    if payload.first() == Some(&ERR_HEADER) {
        return ErrPacket::decode(payload).map(|err| Greeted::Refused(err.to_owned()));
    }
    Greeting::decode(payload).map(Greeted::Greeting)
}

impl Greeting {
    fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != PROTOCOL_VERSION {
            return Err(Malformed::new("a greeting of another protocol version than 10"));
        }
        let server_version = reader.nul_bytes()?.to_vec();
        let connection_id = reader.u32()?;
        let nonce_front = reader.take(NONCE_FRONT)?;
        reader.u8()?;
        let low = reader.u16()?;
        let charset = reader.u8()?;
        let status = StatusFlags::from_bits_retain(reader.u16()?);
        let high = reader.u16()?;
        let nonce_length = reader.u8()?;
        reader.take(6)?;
        let extended = reader.u32()?;
        let capabilities = received(u32::from(low) | u32::from(high) << 16, extended);
        if !capabilities.contains(Capabilities::PROTOCOL_41 | Capabilities::SECURE_CONNECTION) {
            return Err(Malformed::new("a server from before the 4.1 protocol"));
        }
        let nonce_back = reader.take(usize::from(nonce_length).saturating_sub(NONCE_FRONT).max(13))?;
        let mut nonce = [0; NONCE];
        for (to, from) in nonce.iter_mut().zip(nonce_front.iter().chain(nonce_back)) {
            *to = *from;
        }
        let auth_plugin = if capabilities.contains(Capabilities::PLUGIN_AUTH) { unterminated(reader.rest()) } else { &[] };
        Ok(Self { server_version, connection_id, nonce, capabilities, charset, status, auth_plugin: auth_plugin.to_vec() })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        let (front, back) = self.nonce.split_at(NONCE_FRONT);
        let [c0, c1, c2, c3] = self.capabilities.protocol_half().to_le_bytes();
        let has_plugin = self.capabilities.contains(Capabilities::PLUGIN_AUTH);
        out.put_u8(PROTOCOL_VERSION);
        out.put_nul_bytes(&self.server_version);
        out.put_u32_le(self.connection_id);
        out.put_slice(front);
        out.put_u8(0);
        out.put_slice(&[c0, c1]);
        out.put_u8(self.charset);
        out.put_u16_le(self.status.bits());
        out.put_slice(&[c2, c3]);
        out.put_u8(if has_plugin { 21 } else { 0 });
        out.put_bytes(0, 6);
        out.put_u32_le(self.capabilities.mariadb_half());
        out.put_slice(back);
        out.put_u8(0);
        if has_plugin {
            out.put_nul_bytes(&self.auth_plugin);
        }
    }

    /// The version without the prefix that MariaDB puts in front of it (until 11.0).
    pub fn version_text(&self) -> &[u8] {
        self.server_version.strip_prefix(MARIADB_VERSION_PREFIX).unwrap_or(&self.server_version)
    }

    /// It is a MariaDB server.
    pub fn is_mariadb(&self) -> bool {
        !self.capabilities.contains(Capabilities::LONG_PASSWORD)
            || memchr::memmem::find(&self.server_version, b"MariaDB").is_some()
    }
}

/// The client's answer to a greeting (`HandshakeResponse41`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// The server's capabilities that the client shares. They decide which of the fields below are written.
    pub capabilities: Capabilities,
    /// The longest packet that the client takes; servers ignore it.
    pub max_packet: u32,
    /// The session's collation. The packet has room for its low byte only: an id above 255 is truncated, which would name another collation. So the
    /// caller sends an id of at most 255 here and sets the right collation afterwards.
    pub collation: u16,
    /// The account's name.
    pub user: &'a [u8],
    /// The proof that the plugin asks for. Longer than 255 bytes only with `PLUGIN_AUTH_LENENC`.
    pub auth_response: &'a [u8],
    /// The default schema; written with `CONNECT_WITH_DB`.
    pub schema: Option<&'a [u8]>,
    /// The plugin that made the proof; written with `PLUGIN_AUTH`.
    pub auth_plugin: Option<&'a [u8]>,
    /// The connection attributes, `(string<lenenc> name, string<lenenc> value)*`; written with `CONNECT_ATTRS`.
    pub attributes: Option<&'a [u8]>,
    /// The level of the compression, from 1 to 22; written with `ZSTD_COMPRESSION`. MySQL refuses others, and reads a missing one as 0.
    pub zstd_level: u8,
}

impl<'a> Login<'a> {
    /// The payload is the short packet after which a client starts TLS; the login follows inside it.
    pub fn is_ssl_request(payload: &[u8]) -> bool {
        payload.len() == SSL_REQUEST
            && Reader::new(payload)
                .u32()
                .is_ok_and(|bits| Capabilities::from_halves(bits, 0).contains(Capabilities::SSL | Capabilities::PROTOCOL_41))
    }

    /// Reads a payload. A schema or a plugin name without its NUL, at the very end, is accepted as the servers do.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let low = reader.u16()?;
        if !Capabilities::from_halves(u32::from(low), 0).contains(Capabilities::PROTOCOL_41) {
            return Err(Malformed::new("a client from before the 4.1 protocol"));
        }
        let high = reader.u16()?;
        let max_packet = reader.u32()?;
        let collation = u16::from(reader.u8()?);
        reader.take(19)?;
        let extended = reader.u32()?;
        let capabilities = received(u32::from(low) | u32::from(high) << 16, extended);
        let user = reader.nul_bytes()?;
        let auth_response = if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
            reader.lenenc_bytes()?
        } else {
            short_response(&mut reader, capabilities)?
        };
        let has = |flag| capabilities.contains(flag);
        let schema = has(Capabilities::CONNECT_WITH_DB).then(|| text(&mut reader));
        let (auth_plugin, attributes) = plugin_and_attributes(&mut reader, capabilities)?;
        let zstd_level = if has(Capabilities::ZSTD_COMPRESSION) { reader.u8().unwrap_or(0) } else { 0 };
        Ok(Self { capabilities, max_packet, collation, user, auth_response, schema, auth_plugin, attributes, zstd_level })
    }

    /// Appends the payload. What is `None` is left out together with its capability, so that the packet is always one that
    /// can be read.
    pub fn encode(&self, out: &mut BytesMut) {
        let capabilities = self.written_capabilities();
        put_front(out, capabilities, self.max_packet, self.collation);
        out.put_nul_bytes(self.user);
        if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
            out.put_lenenc_bytes(self.auth_response);
        } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let length = u8::try_from(self.auth_response.len()).unwrap_or(u8::MAX);
            out.put_u8(length);
            out.put_slice(self.auth_response.get(..usize::from(length)).unwrap_or(self.auth_response));
        } else {
            out.put_nul_bytes(self.auth_response);
        }
        let optional = |flag, field: Option<&'a [u8]>| field.filter(|_| capabilities.contains(flag));
        if let Some(schema) = optional(Capabilities::CONNECT_WITH_DB, self.schema) {
            out.put_nul_bytes(schema);
        }
        if let Some(plugin) = optional(Capabilities::PLUGIN_AUTH, self.auth_plugin) {
            out.put_nul_bytes(plugin);
        }
        if let Some(attributes) = optional(Capabilities::CONNECT_ATTRS, self.attributes) {
            out.put_lenenc_bytes(attributes);
        }
        if capabilities.contains(Capabilities::ZSTD_COMPRESSION) {
            out.put_u8(self.zstd_level);
        }
    }

    /// Appends the payload of the packet after which TLS starts.
    pub fn encode_ssl_request(&self, out: &mut BytesMut) {
        let capabilities = self.written_capabilities() | Capabilities::SSL;
        put_front(out, capabilities, self.max_packet, self.collation);
    }

    fn written_capabilities(&self) -> Capabilities {
        let mut capabilities = self.capabilities | Capabilities::PROTOCOL_41;
        for (flag, is_absent) in [
            (Capabilities::CONNECT_WITH_DB, self.schema.is_none()),
            (Capabilities::PLUGIN_AUTH, self.auth_plugin.is_none()),
            (Capabilities::CONNECT_ATTRS, self.attributes.is_none()),
        ] {
            if is_absent {
                capabilities.remove(flag);
            }
        }
        capabilities
    }
}

/// `COM_CHANGE_USER`: a login on a connection that has one already. The server resets the session, asks for the proof again, and begins as after a
/// new login.
///
/// Sources: MySQL `page_protocol_com_change_user`; MariaDB "`COM_CHANGE_USER`". It differs from a login: `init_connect` is not run (both servers),
/// and on MariaDB the role that was set stays, and the effects of `IGNORE_SPACE` and `INTERACTIVE` are not applied again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeUser<'a> {
    /// The account's name.
    pub user: &'a [u8],
    /// The proof that the plugin makes of the nonce that came last. Servers answer with a new nonce all the same.
    pub auth_response: &'a [u8],
    /// The default schema; empty for none. A server that cannot give it refuses the login.
    pub schema: &'a [u8],
    /// The session's collation.
    pub collation: u16,
    /// The plugin that made the proof.
    pub auth_plugin: &'a [u8],
    /// The connection attributes, as in [`Login::attributes`].
    pub attributes: &'a [u8],
}

impl<'a> ChangeUser<'a> {
    /// Reads a payload of a client with these capabilities, as the login that it is. Its end may be missing, from the collation on.
    pub fn decode(payload: &'a [u8], capabilities: Capabilities) -> Result<Login<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != COM_CHANGE_USER {
            return Err(Malformed::new("not a COM_CHANGE_USER"));
        }
        let user = reader.nul_bytes()?;
        let auth_response = short_response(&mut reader, capabilities)?;
        let schema = Some(text(&mut reader));
        let collation = if reader.is_empty() { 0 } else { reader.u16()? };
        let (auth_plugin, attributes) = plugin_and_attributes(&mut reader, capabilities)?;
        Ok(Login { capabilities, max_packet: 0, collation, user, auth_response, schema, auth_plugin, attributes, zstd_level: 0 })
    }
}

impl ChangeUser<'_> {
    /// Appends the payload, for a connection with these capabilities, `PLUGIN_AUTH` and `SECURE_CONNECTION` among them. A proof beyond 255 bytes is
    /// cut.
    pub fn encode(&self, capabilities: Capabilities, out: &mut BytesMut) {
        let length = u8::try_from(self.auth_response.len()).unwrap_or(u8::MAX);
        out.put_u8(COM_CHANGE_USER);
        out.put_nul_bytes(self.user);
        out.put_u8(length);
        out.put_slice(self.auth_response.get(..usize::from(length)).unwrap_or(self.auth_response));
        out.put_nul_bytes(self.schema);
        out.put_u16_le(self.collation);
        out.put_nul_bytes(self.auth_plugin);
        if capabilities.contains(Capabilities::CONNECT_ATTRS) {
            out.put_lenenc_bytes(self.attributes);
        }
    }
}

fn put_front(out: &mut BytesMut, capabilities: Capabilities, max_packet: u32, collation: u16) {
    let [collation, _] = collation.to_le_bytes();
    out.put_u32_le(capabilities.protocol_half());
    out.put_u32_le(max_packet);
    out.put_u8(collation);
    out.put_bytes(0, 19);
    out.put_u32_le(capabilities.mariadb_half());
}

/// Capabilities as received: the extended half is MariaDB's only if `LONG_PASSWORD` is cleared.
fn received(protocol: u32, extended: u32) -> Capabilities {
    let capabilities = Capabilities::from_halves(protocol, 0);
    if capabilities.contains(Capabilities::LONG_PASSWORD) { capabilities } else { Capabilities::from_halves(protocol, extended) }
}

/// A client's proof of at most 255 bytes.
fn short_response<'a>(reader: &mut Reader<'a>, capabilities: Capabilities) -> Result<&'a [u8], Malformed> {
    if !capabilities.contains(Capabilities::SECURE_CONNECTION) {
        return reader.nul_bytes();
    }
    let length = reader.u8()?;
    reader.take(usize::from(length))
}

type PluginAndAttributes<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// The end of a login: the plugin and the connection attributes, as far as they were negotiated and sent.
fn plugin_and_attributes<'a>(reader: &mut Reader<'a>, capabilities: Capabilities) -> Result<PluginAndAttributes<'a>, Malformed> {
    let is_sent = |flag, reader: &Reader<'_>| capabilities.contains(flag) && !reader.is_empty();
    let plugin = is_sent(Capabilities::PLUGIN_AUTH, reader).then(|| text(reader));
    let attributes = if is_sent(Capabilities::CONNECT_ATTRS, reader) { Some(reader.lenenc_bytes()?) } else { None };
    Ok((plugin, attributes))
}

/// A `string<NUL>` that may lack its NUL at the end of the packet.
fn text<'a>(reader: &mut Reader<'a>) -> &'a [u8] {
    match reader.nul_bytes() {
        Ok(text) => text,
        Err(_) => reader.rest(),
    }
}

/// A text at the end of a packet up to its NUL, if it has one (some servers sent none: MySQL bug 59453).
fn unterminated(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The server asks for a proof by another plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthSwitch<'a> {
    /// The plugin. Empty in the short form that asks for the one from before 4.1 (`mysql_old_password`).
    pub plugin: &'a [u8],
    /// What the plugin gets: for ours the 20 bytes of a nonce.
    pub nonce: &'a [u8],
}

impl<'a> AuthSwitch<'a> {
    /// Reads a payload. The NUL that servers put after the nonce is dropped.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != EOF_HEADER {
            return Err(Malformed::new("not a request for another plugin"));
        }
        if reader.is_empty() {
            return Ok(Self { plugin: &[], nonce: &[] });
        }
        let plugin = reader.nul_bytes()?;
        let data = reader.rest();
        let nonce = match data.split_last() {
            Some((0, nonce)) if nonce.len() == NONCE => nonce,
            _ => data,
        };
        Ok(Self { plugin, nonce })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(EOF_HEADER);
        out.put_nul_bytes(self.plugin);
        out.put_slice(self.nonce);
        out.put_u8(0);
    }
}

/// More data from a plugin to its other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthMoreData<'a> {
    /// Only the two plugins know its meaning.
    pub data: &'a [u8],
}

impl<'a> AuthMoreData<'a> {
    /// Reads a payload.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        match payload {
            [AUTH_MORE_DATA, data @ ..] => Ok(Self { data }),
            _ => Err(Malformed::new("not the data of an authentication plugin")),
        }
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(AUTH_MORE_DATA);
        out.put_slice(self.data);
    }
}

#[cfg(test)]
mod tests;
