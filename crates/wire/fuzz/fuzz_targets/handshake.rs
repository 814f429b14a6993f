//! Packets of a login: what is decoded encodes to something that decodes the same, and no login succeeds without the password.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::auth::{Challenge, ClientLogin, ClientStep, Expected, Plugin, ServerLogin, ServerStep};
use wire::handshake::{AuthMoreData, AuthSwitch, ChangeUser, Greeted, Greeting, Login, decode_greeting};
use wire::{Capabilities, StatusFlags};

/// Nothing that the fuzzer could find proves it.
const PASSWORD: &[u8] = b"\x8f\x11 a password that no input proves \xd0\x00\x7f";

fuzz_target!(|data: &[u8]| {
    let Some((&flags, payload)) = data.split_first() else {
        return;
    };
    packets(payload);
    server(flags, payload);
    client(flags, payload);
});

fn written(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    write(&mut out);
    out
}

fn packets(payload: &[u8]) {
    if let Ok(Greeted::Greeting(greeting)) = decode_greeting(payload) {
        let again = written(|out| greeting.encode(out));
        assert_eq!(decode_greeting(&again), Ok(Greeted::Greeting(greeting.clone())));
        assert!(greeting.server_version.ends_with(greeting.version_text()));
    }
    Login::is_ssl_request(payload);
    if let Ok(login) = Login::decode(payload) {
        // A client that promises a plugin or attributes and sends none is read, and written without the promise.
        let again = written(|out| login.encode(out));
        let mut expect = login;
        for (promise, is_broken) in
            [(Capabilities::PLUGIN_AUTH, login.auth_plugin.is_none()), (Capabilities::CONNECT_ATTRS, login.attributes.is_none())]
        {
            if is_broken {
                expect.capabilities.remove(promise);
            }
        }
        assert_eq!(Login::decode(&again), Ok(expect));
    }
    if let Ok(switch) = AuthSwitch::decode(payload)
        && payload.len() > 1
    {
        let again = written(|out| switch.encode(out));
        let read = AuthSwitch::decode(&again).unwrap();
        assert_eq!(read.plugin, switch.plugin);
        assert!(read.nonce.starts_with(switch.nonce));
    }
    if let Ok(more) = AuthMoreData::decode(payload) {
        assert_eq!(written(|out| more.encode(out)), payload);
    }
}

fn server(flags: u8, payload: &[u8]) {
    let challenge = Challenge {
        nonce: *b"abcdefghijklmnopqrst",
        announced: Some(if flags & 1 == 0 { Plugin::Native } else { Plugin::CachingSha2 }),
        force_full: flags & 2 != 0,
        secure_transport: flags & 4 != 0,
    };
    let expected = match flags & 24 {
        0 => Expected::Password(PASSWORD),
        8 => Expected::Nothing,
        16 => Expected::Disclosure { remembered: Some(PASSWORD) },
        _ => Expected::Disclosure { remembered: None },
    };
    // The login ends where the second byte says; what follows are further packets of 1 to 32 bytes, cut where they say.
    let Some((&length, payload)) = payload.split_first() else {
        return;
    };
    let (first, rest) = payload.split_at(usize::from(length).min(payload.len()));
    let is_again = flags & 32 != 0;
    let login = if is_again { ChangeUser::decode(first, Capabilities::from_bits_retain(u64::from(flags) << 13)) } else { Login::decode(first) };
    let Ok(login) = login else {
        return;
    };
    let start = if is_again { ServerLogin::again } else { ServerLogin::start };
    let (mut server, mut step) = start(challenge, &login, expected);
    let mut switches = 0;
    for packet in rest.chunks(32) {
        step = match step {
            ServerStep::Accepted { .. } => panic!("no password was given"),
            ServerStep::DecryptPassword(text) => server.on_decrypted(Some(&text)),
            ServerStep::Send(payload) => {
                switches += usize::from(payload.first() == Some(&0xfe));
                assert!(switches <= 1);
                server.on_packet(packet)
            }
            ServerStep::Disclosed(password) => {
                assert!(matches!(expected, Expected::Disclosure { .. }) && *password != PASSWORD);
                server.on_packet(packet)
            }
            ServerStep::SendPublicKey | ServerStep::Denied(_) => server.on_packet(packet),
        };
    }
    assert!(!matches!(step, ServerStep::Accepted { .. }));
}

fn client(flags: u8, payload: &[u8]) {
    let greeting = Greeting {
        server_version: b"9.7.0".to_vec(),
        connection_id: 1,
        nonce: *b"abcdefghijklmnopqrst",
        capabilities: Capabilities::from_halves(0xffff_ffff, 0),
        charset: 45,
        status: StatusFlags::AUTOCOMMIT,
        auth_plugin: if flags & 1 == 0 { &b"mysql_native_password"[..] } else { b"caching_sha2_password" }.to_vec(),
    };
    let is_secure = flags & 2 != 0;
    let mut client = ClientLogin::start(PASSWORD, &greeting, is_secure);
    let mut packets = payload.split(|&byte| byte == 0xaa);
    let ended = packets.by_ref().any(|packet| {
        match client.on_packet(packet, greeting.capabilities) {
            Ok(ClientStep::Send(sent)) => assert!(is_secure || !sent.starts_with(PASSWORD)),
            Ok(ClientStep::RequestPublicKey(_) | ClientStep::EncryptPassword { .. } | ClientStep::Await) => {}
            Ok(ClientStep::DeriveKey(challenge)) => assert!(challenge.iterations.get() <= 8192),
            Ok(ClientStep::Done(_) | ClientStep::Failed(_) | ClientStep::Unsupported(_)) | Err(_) => return true,
        }
        false
    });
    if ended {
        assert!(packets.all(|packet| client.on_packet(packet, greeting.capabilities).is_err()));
    }
}
