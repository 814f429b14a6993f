//! Connections of clients and to servers can be compressed, each by itself; what is compressed badly harms only its own session.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{ChangeUserOpts, Compression, Conn};
use e2e::tls::believing;
use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, clients, promptly, unique};
use futures_util::{StreamExt as _, stream};
use testkit::raw::USUAL;
use testkit::{LoginAs, RawClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use wire::{Capabilities, ErrPacket};

e2e::suite! {
    Together: [
        the_command_line_clients_compress,
        a_python_driver_compresses,
        packets_of_all_sizes_pass_between_all_kinds_of_legs,
        files_pass_between_all_kinds_of_legs,
        a_server_leg_is_compressed_as_configured_and_replaced_at_a_reload,
        a_server_without_it_is_used_without,
        bad_frames_end_their_session_with_an_error,
        a_client_changes_its_user_in_frames,
        a_client_that_freezes_within_a_frame_harms_nobody,
        idle_clients_need_little_memory,
    ],
}

/// A client's way to the proxy on which bytes are counted, in both directions.
async fn counted(proxy: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let counting = Arc::clone(&counting);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(proxy).await.unwrap();
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
                let up = async {
                    let count = copy(&mut from_client, &mut to_server).await.unwrap_or(0);
                    counting.fetch_add(count, Ordering::SeqCst);
                    let _ = to_server.shutdown().await;
                };
                let down = async {
                    let count = copy(&mut from_server, &mut to_client).await.unwrap_or(0);
                    counting.fetch_add(count, Ordering::SeqCst);
                    let _ = to_client.shutdown().await;
                };
                tokio::join!(up, down);
            });
        }
    });
    (address, count)
}

/// The kinds of server legs.
fn server_legs(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::MySql => &["off", "zlib", "zstd"],
        Engine::MariaDb => &["off", "zlib"],
    }
}

async fn before(cluster: &Cluster, server_leg: &str) -> Proxy {
    Start::before(cluster).config(&format!("server_compression.algorithm = '{server_leg}'")).start().await
}

/// Whether the server connection that answers is compressed.
async fn compression(client: &mut Conn) -> String {
    let row: (String, String) = client.query_first("SHOW SESSION STATUS LIKE 'Compression'").await.unwrap().unwrap();
    row.1
}

async fn the_command_line_clients_compress(cluster: Arc<Cluster>) {
    let ways: &[&[&str]] = match cluster.engine {
        Engine::MySql => &[
            &["--compression-algorithms=zlib"],
            &["--compression-algorithms=zstd", "--zstd-compression-level=22"],
            &["--compression-algorithms=zstd,zlib", "--ssl-mode=DISABLED"],
        ],
        Engine::MariaDb => &[&["--compress"]],
    };
    for server_leg in server_legs(cluster.engine) {
        let proxy = before(&cluster, server_leg).await;
        let script = "SELECT REPEAT('ab', 500000) AS a; SELECT 1; SELECT LENGTH(REPEAT('x', 17000000)) AS b; SELECT REPEAT('c', 17000000) AS c;";
        for way in ways {
            let (address, count) = counted(proxy.address).await;
            let arguments = [&["--password=app", "--max-allowed-packet=64M"], *way].concat();
            let said = clients::command_line_at(address, cluster.engine, &arguments, script).await;
            assert!(said.status.success(), "{}", said.errors());
            let expected = format!("a\n{}\n1\n1\nb\n17000000\nc\n{}\n", "ab".repeat(500_000), "c".repeat(17_000_000));
            assert!(said.output() == expected, "{} bytes", said.output().len());
            let count =
                e2e::eventually("the bytes", async || Some(count.load(Ordering::SeqCst)).filter(|count| *count > 1000)).await;
            assert!(count < 300_000, "{way:?}: {count} bytes for 18 million");
        }
        proxy.finish().await;
    }
}

async fn a_python_driver_compresses(cluster: Arc<Cluster>) {
    for server_leg in server_legs(cluster.engine) {
        let proxy = before(&cluster, server_leg).await;
        let said = clients::python("compressed_client.py", &proxy, &unique("c"), &[]).await;
        assert!(said.status.success() && said.output().trim() == "good", "{server_leg}: {}{}", said.output(), said.errors());
        proxy.finish().await;
    }
}

async fn packets_of_all_sizes_pass_between_all_kinds_of_legs(cluster: Arc<Cluster>) {
    for server_leg in server_legs(cluster.engine) {
        let proxy = before(&cluster, server_leg).await;
        for (compress, encrypt) in [(false, false), (true, false), (true, true)] {
            let options = proxy.options().compression(compress.then(Compression::default)).max_allowed_packet(Some(64 << 20));
            let options = if encrypt { options.ssl_opts(believing()) } else { options };
            let mut client = promptly("a login", Conn::new(options)).await.unwrap();
            let full = (1 << 24) - 1;
            let longest = if compress && !encrypt { 17_000_000 } else { 1_000_000 };
            for length in [1, 30, 50, 16_384, 65_536, 300_000, longest] {
                let sent = "x".repeat(length);
                let answer: (usize, String) =
                    client.query_first(format!("SELECT LENGTH('{sent}'), REPEAT('y', {length})")).await.unwrap().unwrap();
                assert!(answer == (length, "y".repeat(length)), "{server_leg} {compress} {length}");
                if length < full {
                    let answer: String = client.exec_first("SELECT ?", (&sent,)).await.unwrap().unwrap();
                    assert!(answer == sent, "{server_leg} {compress} {length}");
                }
            }
            several_results(&mut client).await;
            client.disconnect().await.unwrap();
        }
        proxy.finish().await;
    }
}

/// Servers begin to number packets anew with each result.
async fn several_results(client: &mut Conn) {
    let sql = "SELECT 1; SELECT REPEAT('a', 70000); SET @a = 1; SELECT @a; SELECT 'b'";
    for _ in 0..3 {
        let mut results = client.query_iter(sql).await.unwrap();
        let mut read = Vec::new();
        while !results.is_empty() {
            read.push(results.collect::<String>().await.unwrap());
        }
        let ones = vec!["1".to_owned()];
        assert!(read == [ones.clone(), vec!["a".repeat(70_000)], Vec::new(), ones, vec!["b".to_owned()]], "{}", read.len());
    }
    let rows: Vec<(u64, String)> = client
        .query(
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 900) SELECT n, REPEAT('z', 200) FROM r",
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 900);
    // A session of another account's connection, and a connection that is logged in to again.
    client.reset().await.unwrap();
    assert_eq!(client.query_first::<u8, _>("SELECT 1").await.unwrap(), Some(1));
}

async fn files_pass_between_all_kinds_of_legs(cluster: Arc<Cluster>) {
    cluster.prepare("SET GLOBAL local_infile = ON").await;
    for server_leg in server_legs(cluster.engine) {
        let proxy = before(&cluster, server_leg).await;
        for compress in [false, true] {
            let table = unique("t");
            cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a VARCHAR(100))")).await;
            let options = proxy.options().compression(compress.then(Compression::default));
            let mut client = promptly("a login", Conn::new(options)).await.unwrap();
            // In more than 256 packets, so that their numbers wrap.
            let lines = 700_u32;
            client.set_infile_handler(async move {
                Ok(stream::iter((0..lines).map(|line| Ok(format!("{line}{}\n", "l".repeat(90)).into()))).boxed())
            });
            let load = format!("LOAD DATA LOCAL INFILE 'any' INTO TABLE {table}");
            client.query_drop(load).await.unwrap();
            assert_eq!(client.affected_rows(), u64::from(lines), "{server_leg} {compress}");
            let count: Option<u32> =
                client.query_first(format!("SELECT COUNT(*) FROM {table} WHERE LENGTH(a) > 90")).await.unwrap();
            assert_eq!(count, Some(lines));
            client.disconnect().await.unwrap();
        }
        proxy.finish().await;
    }
}

async fn a_server_leg_is_compressed_as_configured_and_replaced_at_a_reload(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    assert_eq!(compression(&mut client).await, "OFF");
    let (is_done, said) = proxy.reload("server_compression.algorithm = 'zlib'").await;
    assert!(is_done, "{said}");
    assert_eq!(compression(&mut client).await, "ON");
    // What the server has sent of a megabyte.
    client.query_drop("BEGIN").await.unwrap();
    let sent = async |client: &mut Conn| {
        let row: (String, u64) = client.query_first("SHOW SESSION STATUS LIKE 'Bytes_sent'").await.unwrap().unwrap();
        row.1
    };
    let before = sent(&mut client).await;
    client.query_first::<String, _>("SELECT REPEAT('ab', 500000)").await.unwrap().unwrap();
    let after = sent(&mut client).await;
    assert!(after - before < 20_000, "{} bytes", after - before);
    client.query_drop("COMMIT").await.unwrap();
    // Another session takes the connection over, by COM_CHANGE_USER.
    let mut other = proxy.client().await;
    assert_eq!(compression(&mut other).await, "ON");
    if cluster.engine == Engine::MySql {
        let (is_done, said) = proxy.reload("server_compression.algorithm = 'zstd'").await;
        assert!(is_done, "{said}");
        assert_eq!(compression(&mut client).await, "ON");
        let row: (String, String) =
            client.query_first("SHOW SESSION STATUS LIKE 'Compression_algorithm'").await.unwrap().unwrap();
        assert_eq!(row.1, "zstd");
    }
    client.disconnect().await.unwrap();
    other.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_server_without_it_is_used_without(cluster: Arc<Cluster>) {
    if cluster.engine == Engine::MariaDb {
        let proxy = before(&cluster, "zstd").await;
        let mut client = proxy.client().await;
        assert_eq!(compression(&mut client).await, "OFF");
        client.disconnect().await.unwrap();
        proxy.finish().await;
    }
}

/// Logged in with zlib, and past it.
async fn compressed(proxy: &Proxy) -> TcpStream {
    let login = LoginAs { capabilities: USUAL | Capabilities::COMPRESS, ..LoginAs::new(APP, APP) };
    RawClient::login(proxy.address, &login).await.unwrap().into_stream()
}

fn stored(number: u8, bytes: &[u8]) -> Vec<u8> {
    let [l0, l1, l2, _] = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[l0, l1, l2, number, 0, 0, 0], bytes].concat()
}

/// The next frame: its number and what is in it.
async fn receive(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 7];
    promptly("a frame", stream.read_exact(&mut header)).await.unwrap();
    let length = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) as usize;
    let mut body = vec![0; length(&header)];
    promptly("a frame", stream.read_exact(&mut body)).await.unwrap();
    if length(&header[4..]) > 0 {
        let mut plain = Vec::new();
        flate2::read::ZlibDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain.len(), length(&header[4..]));
        body = plain;
    }
    (header[3], body)
}

const PING: &[u8] = b"\x01\0\0\0\x0e";

async fn bad_frames_end_their_session_with_an_error(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let zlib = |bytes: &[u8]| {
        let mut packed = Vec::new();
        flate2::read::ZlibEncoder::new(bytes, flate2::Compression::best()).read_to_end(&mut packed).unwrap();
        packed
    };
    let claims = |packed: &[u8], holds: u32| {
        let (length, holds) = (u32::try_from(packed.len()).unwrap().to_le_bytes(), holds.to_le_bytes());
        [&[length[0], length[1], length[2], 0, holds[0], holds[1], holds[2]], packed].concat()
    };
    let long = zlib(&vec![0; 4 << 20]);
    for (name, frame, code) in [
        ("a number that is not due", stored(7, PING), 1156),
        ("a command that begins within another", [stored(0, &PING[..2]), stored(0, PING)].concat(), 1156),
        ("no zlib", claims(b"abcdefgh", 100), 1157),
        ("more than it claims", claims(&long, 100), 1157),
        ("less than it claims", claims(&zlib(PING), 6), 1157),
        ("nothing that claims most", claims(b"", 0xff_ffff), 1157),
        ("a packet out of order", stored(0, b"\x01\0\0\x05\x0e"), 1156),
    ] {
        let mut client = compressed(&proxy).await;
        for _ in 0..2 {
            client.write_all(&stored(0, PING)).await.unwrap();
            let (number, answer) = receive(&mut client).await;
            assert_eq!((number, answer[3], answer[4]), (1, 1, 0), "{name}");
        }
        client.write_all(&frame).await.unwrap();
        let (number, answer) = receive(&mut client).await;
        assert_eq!(ErrPacket::decode(&answer[4..]).unwrap().code, code, "{name}");
        assert_eq!(number, frame[3].wrapping_add(1), "{name}");
        let mut rest = Vec::new();
        let _ = promptly("the end", client.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{name}: {rest:?}");
    }
    let mut client = proxy.client().await;
    assert_eq!(client.query_first::<u8, _>("SELECT 1").await.unwrap(), Some(1));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// The login within the connection is compressed, too, and so is what follows.
async fn a_client_changes_its_user_in_frames(cluster: Arc<Cluster>) {
    let proxy = before(&cluster, "zlib").await;
    let mut client = Conn::new(proxy.options().compression(Compression::fast())).await.unwrap();
    for _ in 0..3 {
        promptly("a change of user", client.change_user(ChangeUserOpts::default())).await.unwrap();
        let long: String = client.query_first("SELECT REPEAT('a', 100000)").await.unwrap().unwrap();
        assert_eq!(long.len(), 100_000);
    }
    let wrong = ChangeUserOpts::default().with_pass(Some("wrong".to_owned()));
    assert!(promptly("a refused change of user", client.change_user(wrong)).await.is_err());
    proxy.finish().await;
}

async fn a_client_that_freezes_within_a_frame_harms_nobody(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("timeouts.client_idle = '1s'").start().await;
    let mut frozen = compressed(&proxy).await;
    let frame = stored(0, PING);
    frozen.write_all(&frame[..9]).await.unwrap();
    let mut client = proxy.client().await;
    assert_eq!(client.query_first::<u8, _>("SELECT 1").await.unwrap(), Some(1));
    // Half a command is no command: the client is idle, and learns why it is disconnected.
    let (_, answer) = receive(&mut frozen).await;
    assert_eq!(ErrPacket::decode(&answer[4..]).unwrap().code, 4031);
    // One that goes on in time is answered; two commands at once are answered one after the other.
    let mut slow = compressed(&proxy).await;
    slow.write_all(&frame[..9]).await.unwrap();
    slow.flush().await.unwrap();
    slow.write_all(&[&frame[9..], &frame[..], &frame[..3]].concat()).await.unwrap();
    for _ in 0..2 {
        let (number, answer) = receive(&mut slow).await;
        assert_eq!((number, answer[3], answer[4]), (1, 1, 0));
    }
    slow.write_all(&frame[3..]).await.unwrap();
    assert_eq!(receive(&mut slow).await.0, 1);
    proxy.finish().await;
}

async fn idle_clients_need_little_memory(cluster: Arc<Cluster>) {
    const CLIENTS: u64 = 200;
    let proxy = Proxy::start(&cluster).await;
    let mut clients = Vec::new();
    let open = async |clients: &mut Vec<Conn>| {
        let mut client = Conn::new(proxy.options().compression(Compression::default())).await.unwrap();
        client.query_first::<String, _>("SELECT REPEAT('ab', 50000)").await.unwrap();
        clients.push(client);
    };
    for _ in 0..20 {
        open(&mut clients).await;
    }
    let before = proxy.resident_bytes();
    for _ in 0..CLIENTS {
        open(&mut clients).await;
    }
    let each = proxy.resident_bytes().saturating_sub(before) / CLIENTS;
    assert!(each < 16 * 1024, "{each} bytes for each idle client");
    for client in clients {
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}
