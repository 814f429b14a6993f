//! Compressed links over real sockets.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use wire::put_packet;

use super::*;
use crate::{ClientCertificates, Identity, Trust};

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

#[tokio::test]
async fn what_a_listener_accepts_has_its_options() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    watch_peers(&SockRef::from(&listener)).unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let by_itself = Link::new(client.unwrap()).unwrap();
    by_itself.watch_peer().unwrap();
    let options = |link: &Link| {
        let socket = link.stream.as_socket();
        let (delay, alive) = (socket.tcp_nodelay().unwrap(), socket.keepalive().unwrap());
        (
            delay,
            alive,
            socket.tcp_keepalive_time().unwrap(),
            socket.tcp_keepalive_interval().unwrap(),
            socket.tcp_user_timeout().unwrap(),
        )
    };
    let inherited = options(&Link::accepted(server.unwrap().0));
    assert_eq!(inherited, options(&by_itself));
    assert!(inherited.0 && inherited.1);
}

/// The proxy's ends of a connection to a server, and of one from a client, with each other.
async fn links(compression: Compression, encrypted: bool) -> (Link, Link) {
    let (client, server) = sockets().await;
    let (mut client, mut server) = (Link::new(client).unwrap(), Link::new(server).unwrap());
    if encrypted {
        let acceptor = TlsAcceptor::new(&Identity::self_signed("pointsman").unwrap(), ClientCertificates::Off).unwrap();
        let connector = TlsConnector::new(Trust::Anybody, None).unwrap();
        let (one, other) = tokio::join!(client.connect_tls(&connector, "db1"), server.accept_tls(&acceptor));
        (client, server) = (one.unwrap(), other.unwrap());
    }
    (client.compress(compression, Role::Client), server.compress(compression, Role::Server))
}

fn packet(number: u8, length: usize) -> BytesMut {
    let mut out = BytesMut::new();
    put_packet(&mut out, number, &vec![b'a'; length]);
    out
}

async fn receive(link: &mut Link, count: usize) -> Vec<u8> {
    while link.bytes().len() < count {
        let read = timeout(Duration::from_secs(20), link.fill()).await.expect("bytes").unwrap();
        assert_ne!(read, 0, "closed after {} of {count} bytes", link.bytes().len());
    }
    link.take(count).to_vec()
}

#[tokio::test]
async fn commands_and_answers_pass_and_an_idle_link_holds_no_buffer() {
    for encrypted in [false, true] {
        for compression in [Compression::Zlib, Compression::ZSTD] {
            let (mut client, mut server) = links(compression, encrypted).await;
            for length in [1, 100, 65_536, 3_000_000] {
                let command = packet(0, length);
                let (sent, got) = tokio::join!(client.send(&command), receive(&mut server, command.len()));
                sent.unwrap();
                assert!(got == command);
                assert_eq!(client.answer_number(), Some(1));
                let answer = packet(1, length);
                let (sent, got) = tokio::join!(server.send(&answer), receive(&mut client, answer.len()));
                sent.unwrap();
                assert!(got[4..] == answer[4..]);
                assert!(client.is_quiet() && server.is_quiet());
                for link in [&client, &server] {
                    let compressed = link.compressed.as_ref().unwrap();
                    assert!(link.inbox.0.is_none() && compressed.is_bare());
                }
            }
            // On another runtime they go on.
            client.move_here().unwrap();
            server.move_here().unwrap();
            client.send(&packet(0, 10)).await.unwrap();
            assert_eq!(receive(&mut server, 14).await.len(), 14);
            drop(server);
            assert_eq!(timeout(Duration::from_secs(10), client.fill()).await.unwrap().unwrap_or(0), 0);
            assert!(!client.is_quiet());
        }
    }
}

/// A frame of which a part is here is no answer, but the connection is not idle.
#[tokio::test]
async fn a_part_of_a_frame_makes_a_link_unquiet() {
    let (mut peer, socket) = sockets().await;
    let mut link = Link::new(socket).unwrap().compress(Compression::Zlib, Role::Client);
    link.send(&packet(0, 1)).await.unwrap();
    peer.write_all(b"\x05\0\0\x01\0\0\0\x01\0").await.unwrap();
    // Not a byte for the reader, however long it waits.
    assert!(timeout(Duration::from_millis(100), link.fill()).await.is_err());
    assert!(link.bytes().is_empty() && !link.is_empty() && !link.is_quiet());
    // The rest, and a frame that nobody asked for, which is decoded only when somebody wants it.
    peer.write_all(b"\0\x01\x0e\x01\0\0\x02\0\0\0\x07").await.unwrap();
    assert_eq!(receive(&mut link, 5).await, b"\x01\0\0\x01\x0e");
    while link.is_empty() && link.is_quiet() {
        tokio::task::yield_now().await;
    }
    assert!(!link.is_quiet());
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_no_memory() {
    for encrypted in [false, true] {
        let (mut client, server) = links(Compression::Zlib, encrypted).await;
        // Noise, which does not get shorter.
        let mut state = 1_u32;
        let mut noise = packet(0, 0);
        noise.clear();
        for _ in 0..400 {
            let payload: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .take(100_000)
            .collect();
            put_packet(&mut noise, 1, &payload);
        }
        assert!(timeout(Duration::from_millis(300), client.send(&noise)).await.is_err(), "nobody reads, and all was sent");
        drop(server);
    }
}

#[tokio::test]
async fn a_client_that_sends_ahead_is_read_no_further_than_a_bound_and_its_end_is_noticed() {
    let (mut peer, socket) = sockets().await;
    let mut link = Link::new(socket).unwrap().compress(Compression::Zlib, Role::Server);
    let command = b"\x05\0\0\0\0\0\0\x01\0\0\0\x0e";
    peer.write_all(command).await.unwrap();
    link.fill().await.unwrap();
    // Two more, and the end: the present command is not consumed yet.
    peer.write_all(&[&command[..], command].concat()).await.unwrap();
    peer.shutdown().await.unwrap();
    assert_eq!(timeout(Duration::from_secs(10), link.fill()).await.unwrap().unwrap(), 0);
    assert_eq!(link.bytes().len(), 5);
    for _ in 0..2 {
        link.consume(5);
        assert_eq!(link.fill().await.unwrap(), 5);
    }
    // Much more than the bound.
    let (mut peer, socket) = sockets().await;
    let mut link = Link::new(socket).unwrap().compress(Compression::Zlib, Role::Server);
    peer.write_all(&command.repeat(10_000)).await.unwrap();
    link.fill().await.unwrap();
    assert!(timeout(Duration::from_millis(100), link.fill()).await.is_err());
    let raw = link.compressed.as_ref().unwrap().raw_length();
    assert!((8 * 1024..=64 * 1024).contains(&raw), "{raw}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the stream is cut, the same bytes arrive, and none is left behind where the reader waits.
    #[test]
    fn any_cut_of_the_stream_arrives(lengths in proptest::collection::vec(0..40_000_usize, 1..5), cuts in proptest::collection::vec(1..5_000_usize, 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut raw, from_peer) = sockets().await;
            let mut reader = Link::new(from_peer).unwrap().compress(Compression::Zlib, Role::Server);
            let mut sent = BytesMut::new();
            lengths.iter().fold(0, |number, length| put_packet(&mut sent, number, &vec![b'a'; *length]));
            let mut frames = crate::Frames::new(Compression::Zlib, Role::Client);
            let (mut bytes, mut rest) = (BytesMut::new(), &sent[..]);
            while !rest.is_empty() {
                rest = &rest[frames.encode(rest, true, &mut bytes)..];
            }
            let writing = async {
                let mut rest = &bytes[..];
                for cut in cuts.iter().cycle() {
                    let (now, later) = rest.split_at(rest.len().min(*cut));
                    raw.write_all(now).await.unwrap();
                    tokio::task::yield_now().await;
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
            };
            let ((), got) = tokio::join!(writing, receive(&mut reader, sent.len()));
            assert!(got == sent && reader.is_empty());
        });
    }
}
