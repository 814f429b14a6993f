//! Plugins that a server may want the monitor's account to log in with. A panic would end the task that changes a server's role.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use bytes::BytesMut;
use common::target;
use monitor::{Settings, check_accounts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wire::{Capabilities, Greeting, HEADER, StatusFlags, put_packet};

const NONCE: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
const ACCESS_DENIED: &[u8] = b"\xff\x15\x04#28000Access denied for user 'watcher'";

async fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await.ok()?;
    let mut payload = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]).try_into().unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    Some(payload)
}

/// What the monitor says of a server that wants this plugin, and says all of this in turn. And how long its last answer was.
async fn said_of(plugin: &str, packets: &[&[u8]]) -> (String, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings::new(vec![target(listener.local_addr().unwrap())], "watcher", "secret");
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut payload = BytesMut::new();
        Greeting {
            server_version: b"11.8.9-MariaDB".to_vec(),
            connection_id: 1,
            nonce: [b'n'; 20],
            capabilities: Capabilities::PROTOCOL_41 | Capabilities::SECURE_CONNECTION | Capabilities::PLUGIN_AUTH,
            charset: 45,
            status: StatusFlags::AUTOCOMMIT,
            auth_plugin: b"mysql_native_password".to_vec(),
        }
        .encode(&mut payload);
        let switch = [b"\xfe", plugin.as_bytes(), b"\0", NONCE].concat();
        let (mut sequence, mut length) = (0, 0);
        for payload in [&payload[..], &switch].iter().chain(packets) {
            let mut packet = BytesMut::new();
            put_packet(&mut packet, sequence, payload);
            stream.write_all(&packet).await.unwrap();
            match receive(&mut stream).await {
                Some(payload) => length = payload.len(),
                None => break,
            }
            sequence += 2;
        }
        length
    };
    let (checks, length) = tokio::join!(check_accounts(&settings, false), serve);
    (checks[0].missing.join("\n"), length)
}

#[tokio::test]
async fn the_proof_of_ed25519_is_given() {
    let (said, length) = said_of("client_ed25519", &[ACCESS_DENIED]).await;
    assert_eq!(length, 64);
    assert!(said.contains("login refused for user watcher"), "{said}");
}

/// Here with so many iterations that deriving the key would take a quarter of an hour.
#[tokio::test]
async fn parsec_is_named_as_what_is_not_spoken() {
    let (said, _) = said_of("parsec", &[&[&[1, b'P', 20][..], &[7; 18]].concat()]).await;
    assert!(said.contains("user watcher logs in with parsec") && said.contains("ed25519"), "{said}");
}

#[tokio::test]
async fn any_other_plugin_is_named() {
    let (said, _) = said_of("auth_gssapi_client", &[]).await;
    assert!(said.contains("user watcher logs in with auth_gssapi_client"), "{said}");
}
