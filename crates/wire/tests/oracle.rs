//! `wire` against `mysql_common`, an independent implementation of the same packets: what one writes the other reads, and
//! both read the same. Where `mysql_common` is known to be wrong, the generators leave that out and say so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may say that this cannot fail")]

use std::collections::HashMap;

use bytes::BytesMut;
use mysql_common::constants::{CapabilityFlags, MariadbCapabilities, SessionStateType};
use mysql_common::io::ParseBuf;
use mysql_common::packets::session_state_change::SessionStateChange;
use mysql_common::packets::{
    AuthMoreData, AuthPlugin, AuthSwitchRequest, CommonOkPacket, ErrPacket, HandshakePacket, HandshakeResponse, OkPacket,
    OkPacketDeserializer, OldEofPacket, ResultSetTerminator, SqlState, SslRequest, StmtPacket,
};
use mysql_common::proto::{MyDeserialize, MySerialize};
use mysql_common::scramble::{scramble_native, scramble_sha256};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::handshake::{self, Greeted, Greeting, Login, decode_greeting};
use wire::result::{self, StateChange, state_changes};
use wire::{Capabilities, StatusFlags, auth};

/// The status flags that `mysql_common` knows; it drops others.
const STATUS: u16 = 0x7ffb;

fn theirs<'a, T: MyDeserialize<'a, Ctx = ()>>(payload: &'a [u8]) -> T {
    T::deserialize((), &mut ParseBuf(payload)).expect("mysql_common reads it")
}

fn theirs_with<'a, T: MyDeserialize<'a, Ctx = CapabilityFlags>>(
    payload: &'a [u8],
    capabilities: Capabilities,
) -> std::io::Result<T> {
    T::deserialize(their_capabilities(capabilities), &mut ParseBuf(payload))
}

fn their_capabilities(capabilities: Capabilities) -> CapabilityFlags {
    CapabilityFlags::from_bits_truncate(capabilities.protocol_half())
}

fn written(packet: &impl MySerialize) -> Vec<u8> {
    let mut payload = Vec::new();
    packet.serialize(&mut payload);
    payload
}

fn ours(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

/// A text without NUL, as the protocol's `string<NUL>` holds it.
fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(1..=u8::MAX, 0..40)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 240..300)]
}

/// Capabilities that both crates know, with what every connection has.
fn capabilities() -> impl Strategy<Value = Capabilities> {
    let common = their_capabilities(Capabilities::all());
    let mariadb = MariadbCapabilities::all().bits();
    (any::<u32>(), any::<u32>()).prop_map(move |(protocol, extended)| {
        let extended = if protocol & 1 == 0 { extended & mariadb } else { 0 };
        Capabilities::from_halves(protocol & common.bits(), extended)
            | Capabilities::PROTOCOL_41
            | Capabilities::SECURE_CONNECTION
    })
}

fn status() -> impl Strategy<Value = StatusFlags> {
    any::<u16>().prop_map(|bits| StatusFlags::from_bits_retain(bits & STATUS))
}

fn plugin() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(auth::NATIVE.as_bytes().to_vec()), Just(auth::CACHING_SHA2.as_bytes().to_vec()), vec(b'a'..=b'z', 1..20),]
}

prop_compose! {
    fn greeting()(
        server_version in text(),
        connection_id: u32,
        nonce: [u8; 20],
        capabilities in capabilities(),
        charset: u8,
        status in status(),
        plugin in plugin(),
    ) -> Greeting {
        let has_plugin = capabilities.contains(Capabilities::PLUGIN_AUTH);
        Greeting {
            server_version,
            connection_id,
            nonce,
            capabilities,
            charset,
            status,
            auth_plugin: if has_plugin { plugin } else { Vec::new() },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn greetings_are_read_alike(greeting in greeting()) {
        let payload = ours(|out| greeting.encode(out));
        let read: HandshakePacket<'_> = theirs(&payload);
        prop_assert_eq!(read.protocol_version(), 10);
        prop_assert_eq!(read.server_version_ref(), &greeting.server_version);
        prop_assert_eq!(read.connection_id(), greeting.connection_id);
        prop_assert_eq!(&read.nonce()[..20], &greeting.nonce[..]);
        prop_assert_eq!(read.capabilities().bits(), greeting.capabilities.protocol_half());
        prop_assert_eq!(read.mariadb_ext_capabilities().bits(), greeting.capabilities.mariadb_half());
        prop_assert_eq!(read.default_collation(), greeting.charset);
        prop_assert_eq!(read.status_flags().bits(), greeting.status.bits());
        prop_assert_eq!(read.auth_plugin_name_ref().unwrap_or_default(), &greeting.auth_plugin);
        prop_assert_eq!(written(&read), payload.clone());
        prop_assert_eq!(decode_greeting(&payload), Ok(Greeted::Greeting(greeting)));
    }

    #[test]
    fn logins_are_read_alike(
        capabilities in capabilities(),
        max_packet: u32,
        collation: u8,
        user in text(),
        auth_response in vec(any::<u8>(), 0..256),
        schema in text(),
        plugin in plugin(),
        attributes in proptest::collection::hash_map("[a-z_]{1,10}", ".{0,20}", 0..5),
    ) {
        let mut block = Vec::new();
        for (name, value) in &attributes {
            wire::Put::put_lenenc_bytes(&mut block, name.as_bytes());
            wire::Put::put_lenenc_bytes(&mut block, value.as_bytes());
        }
        let has = |flag| capabilities.contains(flag);
        let login = Login {
            capabilities,
            max_packet,
            collation: collation.into(),
            user: &user,
            auth_response: &auth_response,
            schema: has(Capabilities::CONNECT_WITH_DB).then_some(&schema),
            auth_plugin: has(Capabilities::PLUGIN_AUTH).then_some(&plugin),
            attributes: has(Capabilities::CONNECT_ATTRS).then_some(&block),
            zstd_level: 0,
        };
        let payload = ours(|out| login.encode(out));
        prop_assert_eq!(Login::decode(&payload), Ok(login));

        let read: HandshakeResponse<'_> = theirs(&payload);
        prop_assert_eq!(read.capabilities().bits(), capabilities.protocol_half());
        prop_assert_eq!(read.mariadb_ext_capabilities().bits(), capabilities.mariadb_half());
        prop_assert_eq!(read.collation(), collation);
        prop_assert_eq!(read.user(), &user);
        prop_assert_eq!(read.scramble_buf(), &auth_response);
        prop_assert_eq!(read.db_name(), login.schema);
        prop_assert_eq!(read.auth_plugin().map(AuthPlugin::as_bytes), login.auth_plugin);
        prop_assert_eq!(read.connect_attributes(), login.attributes.map(|_| attributes));
    }

    #[test]
    fn their_logins_are_read(
        protocol: u32,
        user in option::of(text()),
        response in option::of(vec(any::<u8>(), 0..200)),
        schema in option::of(text()),
        attributes: bool,
        max_packet: u32,
    ) {
        let attributes = attributes.then(|| HashMap::from([("_os".to_owned(), "Linux".to_owned())]));
        let capabilities = CapabilityFlags::from_bits_truncate(protocol)
            | CapabilityFlags::CLIENT_PROTOCOL_41
            | CapabilityFlags::CLIENT_SECURE_CONNECTION;
        let theirs = HandshakeResponse::new(
            response.clone(),
            (8, 4, 0),
            user.clone(),
            schema.clone(),
            Some(AuthPlugin::CachingSha2Password),
            capabilities,
            attributes.clone(),
            max_packet,
        );
        let payload = written(&theirs);
        let read = Login::decode(&payload).unwrap();
        prop_assert_eq!(read.capabilities.protocol_half(), theirs.capabilities().bits());
        prop_assert_eq!(read.max_packet, max_packet);
        prop_assert_eq!(read.collation, 45);
        prop_assert_eq!(read.user, user.unwrap_or_default());
        prop_assert_eq!(read.auth_response, response.unwrap_or_default());
        prop_assert_eq!(read.schema, schema.as_deref());
        prop_assert_eq!(read.auth_plugin, Some(auth::CACHING_SHA2.as_bytes()));
        prop_assert_eq!(read.attributes, attributes.map(|_| &b"\x03_os\x05Linux"[..]));
        prop_assert!(!Login::is_ssl_request(&payload));

        let ssl = SslRequest::new(capabilities | CapabilityFlags::CLIENT_SSL, max_packet, 45);
        prop_assert!(Login::is_ssl_request(&written(&ssl)));
    }

    #[test]
    fn switches_and_more_data_are_read_alike(plugin in plugin(), nonce in vec(1..=127_u8, 20), data in bytes()) {
        let switch = handshake::AuthSwitch { plugin: &plugin, nonce: &nonce };
        let payload = ours(|out| switch.encode(out));
        prop_assert_eq!(handshake::AuthSwitch::decode(&payload), Ok(switch));
        let read: AuthSwitchRequest<'_> = theirs(&payload);
        let name = read.auth_plugin();
        prop_assert_eq!(name.as_bytes(), &plugin[..]);
        prop_assert_eq!(read.plugin_data(), &nonce[..]);

        let more = handshake::AuthMoreData { data: &data };
        let payload = ours(|out| more.encode(out));
        prop_assert_eq!(handshake::AuthMoreData::decode(&payload), Ok(more));
        let read: AuthMoreData<'_> = theirs(&payload);
        prop_assert_eq!(read.data(), &data[..]);
        prop_assert_eq!(written(&read), payload);
    }

    #[test]
    fn proofs_are_the_same(password in vec(any::<u8>(), 0..70), nonce: [u8; 20]) {
        let native = auth::native_response(&password, &nonce);
        let expect = scramble_native(&nonce, &password).map_or(Vec::new(), Vec::from);
        prop_assert_eq!(&native, &expect);
        prop_assert!(auth::verify_native(&password, &nonce, &expect));
        let sha2 = auth::caching_sha2_response(&password, &nonce);
        let expect = scramble_sha256(&nonce, &password).map_or(Vec::new(), Vec::from);
        prop_assert_eq!(&sha2, &expect);
        prop_assert!(auth::verify_caching_sha2(&password, &nonce, &expect));
    }

    #[test]
    fn oks_are_read_alike(
        affected_rows: u64,
        last_insert_id: u64,
        status in status(),
        warnings: u16,
        info in bytes(),
        session_state in bytes(),
        is_rows_end: bool,
        tracks: bool,
    ) {
        let has_state = tracks && status.contains(StatusFlags::SESSION_STATE_CHANGED);
        let ok = result::OkPacket {
            affected_rows,
            last_insert_id,
            status: if tracks { status } else { status - StatusFlags::SESSION_STATE_CHANGED },
            warnings,
            info: &info,
            session_state: if has_state { &session_state } else { &[] },
        };
        let capabilities = if tracks { Capabilities::SESSION_TRACK } else { Capabilities::empty() };
        let header = if is_rows_end { result::EOF_HEADER } else { result::OK_HEADER };
        let payload = ours(|out| ok.encode(header, capabilities, out));
        prop_assert_eq!(result::OkPacket::decode(&payload, capabilities), Ok(ok));

        let read: OkPacket<'_> = if is_rows_end {
            theirs_with::<OkPacketDeserializer<'_, ResultSetTerminator>>(&payload, capabilities).unwrap().into()
        } else {
            theirs_with::<OkPacketDeserializer<'_, CommonOkPacket>>(&payload, capabilities).unwrap().into()
        };
        // It leaves the counts of a result's end out.
        if !is_rows_end {
            prop_assert_eq!(read.affected_rows(), affected_rows);
            prop_assert_eq!(read.last_insert_id().unwrap_or_default(), last_insert_id);
        }
        prop_assert_eq!(read.status_flags().bits(), ok.status.bits());
        prop_assert_eq!(read.warnings(), warnings);
        prop_assert_eq!(read.info_ref().unwrap_or_default(), &info[..]);
        prop_assert_eq!(read.session_state_info_ref().unwrap_or_default(), ok.session_state);
    }

    #[test]
    fn eofs_are_read_alike(warnings: u16, status in status()) {
        let eof = result::EofPacket { warnings, status: status - StatusFlags::SESSION_STATE_CHANGED };
        let payload = ours(|out| eof.encode(out));
        let read: OkPacket<'_> =
            theirs_with::<OkPacketDeserializer<'_, OldEofPacket>>(&payload, Capabilities::empty()).unwrap().into();
        prop_assert_eq!((read.warnings(), read.status_flags().bits()), (warnings, eof.status.bits()));
        prop_assert_eq!(result::EofPacket::decode(&payload), Ok(eof));
    }

    #[test]
    fn errors_are_read_alike(code in 0..u16::MAX, sqlstate: [u8; 5], message in bytes()) {
        let err = result::ErrPacket { code, sqlstate, message: &message };
        let payload = ours(|out| err.encode(out));
        prop_assert_eq!(result::ErrPacket::decode(&payload), Ok(err));
        let read: ErrPacket<'_> = theirs_with(&payload, Capabilities::PROTOCOL_41).unwrap();
        let error = read.server_error();
        prop_assert_eq!(error.error_code(), code);
        prop_assert_eq!(error.sql_state_ref().map(SqlState::as_bytes), Some(sqlstate));
        prop_assert_eq!(error.message_ref(), &message[..]);
        prop_assert_eq!(written(&read), payload);
    }

    #[test]
    fn prepared_statements_are_read_alike(statement_id: u32, columns: u16, params: u16, warnings: u16) {
        let prepared = result::PrepareOk { statement_id, columns, params, warnings };
        let payload = ours(|out| prepared.encode(out));
        prop_assert_eq!(result::PrepareOk::decode(&payload), Ok(prepared));
        let read: StmtPacket = theirs(&payload);
        prop_assert_eq!(read.statement_id(), statement_id);
        prop_assert_eq!((read.num_columns(), read.num_params()), (columns, params));
        prop_assert_eq!(read.warning_count(), warnings);
    }

    /// Without type 2, in which `mysql_common` wants a length that servers do not send.
    #[test]
    fn session_state_is_read_alike(entries in vec((prop_oneof![0..2_u8, 3..6_u8], vec((bytes(), bytes()), 1..4)), 0..6)) {
        let block = block(&entries);
        let payload = ours(|out| {
            let ok = result::OkPacket {
                status: StatusFlags::SESSION_STATE_CHANGED,
                session_state: &block,
                ..result::OkPacket::default()
            };
            ok.encode(result::OK_HEADER, Capabilities::SESSION_TRACK, out);
        });
        let read: OkPacket<'_> =
            theirs_with::<OkPacketDeserializer<'_, CommonOkPacket>>(&payload, Capabilities::SESSION_TRACK)
                .unwrap()
                .into();
        let mut expect = Vec::new();
        for info in read.session_state_info().unwrap() {
            their_changes(&info.decode().unwrap(), info.data_type(), &mut expect);
        }
        let found: Vec<_> = state_changes(&block)
            .map(|change| our_change(change.expect("mysql_common read it")))
            .collect();
        prop_assert_eq!(found, expect);
    }
}

/// Type, name or text, value.
type Change = (u8, Vec<u8>, Vec<u8>);
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A block of these entries: type, and pairs, of which a type that is no variable uses the first half of the first.
fn block(entries: &[(u8, Pairs)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (kind, pairs) in entries {
        let mut data = Vec::new();
        if *kind == 3 {
            data.push(0);
        }
        for (name, value) in pairs {
            wire::Put::put_lenenc_bytes(&mut data, name);
            if *kind != 0 {
                break;
            }
            wire::Put::put_lenenc_bytes(&mut data, value);
        }
        block.push(*kind);
        wire::Put::put_lenenc_bytes(&mut block, &data);
    }
    block
}

fn our_change(change: StateChange<'_>) -> Change {
    let (kind, name, value) = match change {
        StateChange::SystemVariable { name, value } => (0, name, value),
        StateChange::Schema(name) => (1, name, &[][..]),
        StateChange::StateChanged(changed) => (2, if changed { &b"1"[..] } else { b"" }, &[][..]),
        StateChange::Gtids(gtids) => (3, gtids, &[][..]),
        StateChange::TransactionCharacteristics(text) => (4, text, &[][..]),
        StateChange::TransactionState(text) => (5, text, &[][..]),
        StateChange::Other { kind, data } => (kind, data, &[][..]),
    };
    (kind, name.to_vec(), value.to_vec())
}

fn their_changes(change: &SessionStateChange<'_>, kind: SessionStateType, into: &mut Vec<Change>) {
    let kind = kind as u8;
    let single = |bytes: &[u8]| (kind, bytes.to_vec(), Vec::new());
    match change {
        SessionStateChange::SystemVariables(variables) => {
            for variable in variables {
                into.push((kind, variable.name_bytes().to_vec(), variable.value_bytes().to_vec()));
            }
        }
        SessionStateChange::Schema(schema) => into.push(single(schema.as_bytes())),
        SessionStateChange::IsTracked(changed) => into.push(single(if *changed { b"1" } else { b"" })),
        // mysql_common gives the encoding and the length along with the text.
        SessionStateChange::Gtids(gtids) => {
            let mut reader = wire::Reader::new(gtids.as_bytes());
            reader.u8().unwrap();
            into.push(single(reader.lenenc_bytes().unwrap()));
        }
        SessionStateChange::TransactionCharacteristics(text) => into.push(single(text.as_bytes())),
        SessionStateChange::TransactionState(text) => into.push(single(text.as_bytes())),
        SessionStateChange::Unsupported(data) => into.push(single(data.as_bytes())),
    }
}
