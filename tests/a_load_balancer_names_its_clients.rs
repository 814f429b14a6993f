//! Behind a load balancer that sends the PROXY protocol, a client's address is its own; nobody else can claim one.
//!
//! The load balancer here has an address of its own, [`BALANCER`]. So the test's other connections come from outside of its network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::http::get;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, OptsBuilder, SslOpts};
use e2e::{APP, Cluster, Engine, Proxy, Start, eventually, promptly};
use testkit::{LoginAs, RawClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

e2e::suite! {
    Together: [
        every_kind_of_header_names_its_client,
        a_header_without_an_address_leaves_that_of_the_load_balancer,
        a_session_works_as_without_a_load_balancer,
        tls_begins_after_the_header,
        what_comes_in_the_same_segment_is_the_clients,
        failed_logins_count_for_the_client,
        logins_wait_where_others_have_failed_and_nowhere_else,
        rules_see_the_client,
        garbage_in_place_of_a_header_is_told_and_logged,
        a_header_that_never_ends_is_cut_off,
        a_slow_header_takes_its_time_from_the_login,
        many_headers_that_never_end_cost_little,
        a_load_balancer_that_leaves_harms_nobody,
        a_header_from_elsewhere_is_a_bad_login,
        a_second_header_is_a_bad_login,
        a_reload_changes_who_is_trusted,
        servers_are_told_where_clients_are,
    ],
}

const BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

const TRUSTING: &str = "listen.proxy_networks = ['127.0.0.2']";

const BINARY_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

async fn trusting(cluster: &Cluster, more: &str) -> Proxy {
    Start::before(cluster).config(&format!("{TRUSTING}\n{more}")).start().await
}

// --- Headers ---

fn text(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().unwrap();
    let (family, destination) = if client.is_ipv4() { ("TCP4", "198.51.100.9") } else { ("TCP6", "2001:db8::9") };
    format!("PROXY {family} {} {destination} {} 3306\r\n", client.ip(), client.port()).into_bytes()
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [BINARY_START, &[command, family], &length, rest].concat()
}

/// With a TLV after the addresses.
fn binary_of(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().unwrap();
    let port = client.port().to_be_bytes();
    let tlv = [0x05, 0, 3, b'i', b'd', b'1'];
    match client.ip() {
        IpAddr::V4(ip) => binary(0x21, 0x11, &[&ip.octets()[..], &[198, 51, 100, 9], &port, &[0x0c, 0xea], &tlv].concat()),
        IpAddr::V6(ip) => binary(0x21, 0x21, &[&ip.octets()[..], &[9; 16], &port, &[0x0c, 0xea], &tlv].concat()),
    }
}

// --- The load balancer ---

async fn from_balancer(proxy: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(BALANCER, 0)).unwrap();
    promptly("a connection", socket.connect(proxy)).await.unwrap()
}

/// Where one client finds a load balancer that sends this header for it.
async fn balancer(proxy: SocketAddr, header: &[u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let header = header.to_vec();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = from_balancer(proxy).await;
        server.write_all(&header).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    address
}

async fn options(proxy: &Proxy, header: &[u8]) -> OptsBuilder {
    proxy.options().tcp_port(balancer(proxy.address, header).await.port())
}

/// What the error of a failed login says.
async fn denied(proxy: &Proxy, header: &[u8]) -> (u16, String) {
    let wrong = options(proxy, header).await.pass(Some("wrong"));
    match promptly("an answer to a login", Conn::new(wrong)).await {
        Err(Error::Server(error)) => (error.code, error.message),
        other => panic!("{other:?}"),
    }
}

/// All that a connection from the load balancer gets that begins with these bytes and then waits.
async fn told(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
    let mut stream = from_balancer(proxy.address).await;
    stream.write_all(bytes).await.unwrap();
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A connection with unread bytes ends in a reset.
    let _ = promptly("the end of the connection", stream.read_to_end(&mut answer)).await;
    answer
}

#[track_caller]
fn assert_error(answer: &[u8], code: u16, words: &str) {
    let said = String::from_utf8_lossy(answer).into_owned();
    assert_eq!(answer.get(3..5), Some(&[0, 0xff][..]), "an error packet, and the first: {said:?}");
    assert_eq!(u16::from_le_bytes([answer[5], answer[6]]), code, "{said:?}");
    assert!(said.contains(words), "{said:?}");
}

async fn assert_serves(proxy: &Proxy) {
    let mut direct = proxy.client().await;
    assert_eq!(direct.query_first::<u8, _>("SELECT 1").await.unwrap(), Some(1));
    let mut balanced = Conn::new(options(proxy, &binary_of("192.0.2.77:1")).await).await.unwrap();
    assert_eq!(balanced.query_first::<u8, _>("SELECT 1").await.unwrap(), Some(1));
}

/// The log lines with this text, one per occurrence.
fn lines(proxy: &Proxy, text: &str) -> Vec<String> {
    proxy.log().into_iter().map(|line| line.text).filter(|line| line.contains(text)).collect()
}

// --- Who the client is ---

async fn every_kind_of_header_names_its_client(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "").await;
    for client in ["192.0.2.1:40000", "[2001:db8::1]:40000"] {
        for header in [text(client), binary_of(client)] {
            let (code, message) = denied(&proxy, &header).await;
            let ip = client.parse::<SocketAddr>().unwrap().ip();
            assert_eq!(code, 1045);
            assert!(message.contains(&format!("'{APP}'@'{ip}'")), "{message}");
        }
        let logged = format!("\"peer\":\"{client}\"");
        eventually("both in the log", async || (lines(&proxy, &logged).len() == 2).then_some(())).await;
    }
    // A load balancer that listens on IPv6 may put an IPv4 address so.
    let (_, message) = denied(&proxy, &text("[::ffff:192.0.2.9]:1")).await;
    assert!(message.contains("@'192.0.2.9'"), "{message}");
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_header_without_an_address_leaves_that_of_the_load_balancer(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "").await;
    let local = binary(0x20, 0, &[]);
    let local_with_address = [&binary_of("192.0.2.1:1")[..12], &[0x20], &binary_of("192.0.2.1:1")[13..]].concat();
    let unix = binary(0x21, 0x31, &[0; 216]);
    for header in [&local[..], &local_with_address, &unix, b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n"] {
        let (code, message) = denied(&proxy, header).await;
        assert_eq!(code, 1045);
        assert!(message.contains(&format!("@'{BALANCER}'")), "{message}");
    }
    proxy.finish().await;
}

async fn a_session_works_as_without_a_load_balancer(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "").await;
    for header in [text("192.0.2.1:40000"), binary_of("[2001:db8::1]:40000")] {
        let mut client = Conn::new(options(&proxy, &header).await).await.unwrap();
        let long = "x".repeat(100_000);
        let length = client.exec_first::<u32, _, _>("SELECT LENGTH(?)", (long,)).await.unwrap();
        assert_eq!(length, Some(100_000));
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn tls_begins_after_the_header(cluster: Arc<Cluster>) {
    // The usual clients of these tests have no TLS.
    let required = format!("{TRUSTING}\nlisten.tls = 'required'");
    let proxy = Start::before(&cluster).config(&required).at_once().start().await;
    let tls = SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
    let over_tls = options(&proxy, &binary_of("192.0.2.1:40000")).await.ssl_opts(tls);
    let mut client = Conn::new(over_tls).await.unwrap();
    assert_eq!(client.query_first::<u8, _>("SELECT 1").await.unwrap(), Some(1));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// No usual client talks first, but a load balancer may join what a health check sends.
async fn what_comes_in_the_same_segment_is_the_clients(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "").await;
    // A packet with a wrong number, which is told as that.
    let answer = told(&proxy, &[&text("192.0.2.1:40000")[..], &[1, 0, 0, 7, 0]].concat()).await;
    let greeting = 4 + usize::from(answer[0]);
    assert_eq!(u16::from_le_bytes([answer[greeting + 5], answer[greeting + 6]]), 1156, "{answer:?}");
    proxy.finish().await;
}

async fn failed_logins_count_for_the_client(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "limits.failed_logins = 2").await;
    for _ in 0..2 {
        assert_eq!(denied(&proxy, &text("192.0.2.1:40000")).await.0, 1045);
    }
    // Another port and another version of the header are no other client.
    let (code, message) = denied(&proxy, &binary_of("192.0.2.1:40001")).await;
    assert_eq!(code, 1129);
    assert!(message.contains("Host '192.0.2.1' is blocked"), "{message}");
    assert_eq!(denied(&proxy, &text("192.0.2.2:40000")).await.0, 1045);
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn logins_wait_where_others_have_failed_and_nowhere_else(cluster: Arc<Cluster>) {
    let delays = "timeouts = { failed_login_delay = '300ms', failed_login_delay_max = '600ms' }";
    let config = format!("{delays}\nadmin.address = '127.0.0.1:0'");
    let mut proxy = trusting(&cluster, &config).await;
    let admin = proxy.await_address("the admin API listens").await;
    let delayed = async || {
        let body = get(admin, "/metrics", None).await.body;
        let count = body.lines().find_map(|line| line.strip_prefix("pointsman_delayed_logins_total "));
        count.expect("the metric").parse::<f64>().unwrap()
    };
    let (here, elsewhere) = (text("192.0.2.1:40000"), text("192.0.2.2:40000"));
    let nobody = async |header: &[u8]| {
        let login = options(&proxy, header).await.user(Some("nobody")).pass(Some("wrong"));
        promptly("an answer to a login", Conn::new(login)).await.expect_err("there is no such user")
    };
    // Three are free. Whether the user exists makes no difference.
    for _ in 0..3 {
        denied(&proxy, &here).await;
        nobody(&here).await;
    }
    assert!(delayed().await < 1.0);
    for (count, expected) in
        [(2.0, Duration::from_millis(300)), (4.0, Duration::from_millis(600)), (6.0, Duration::from_millis(600))]
    {
        let began = Instant::now();
        denied(&proxy, &here).await;
        assert!(began.elapsed() >= expected, "{:?}", began.elapsed());
        let began = Instant::now();
        nobody(&here).await;
        assert!(began.elapsed() >= expected, "{:?}", began.elapsed());
        assert!((delayed().await - count).abs() < 0.5);
    }
    // The same user does not wait elsewhere.
    Conn::new(options(&proxy, &elsewhere).await).await.unwrap().disconnect().await.unwrap();
    assert!((delayed().await - 6.0).abs() < 0.5);
    // A right password waits as well, once.
    let began = Instant::now();
    Conn::new(options(&proxy, &here).await).await.unwrap().disconnect().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    assert!((delayed().await - 7.0).abs() < 0.5);
    Conn::new(options(&proxy, &here).await).await.unwrap().disconnect().await.unwrap();
    assert!((delayed().await - 7.0).abs() < 0.5);
    proxy.finish().await;
}

async fn rules_see_the_client(cluster: Arc<Cluster>) {
    let rule = "rules = [{ name = 'guests', network = '192.0.2.0/24', refuse = 'not from there' }]";
    let proxy = trusting(&cluster, rule).await;
    let mut guest = Conn::new(options(&proxy, &text("192.0.2.1:1")).await).await.unwrap();
    let refused = guest.query_drop("SELECT 1").await.unwrap_err();
    assert!(refused.to_string().contains("not from there"), "{refused}");
    let mut other = Conn::new(options(&proxy, &text("198.51.100.1:1")).await).await.unwrap();
    other.query_drop("SELECT 1").await.unwrap();
    proxy.finish().await;
}

// --- Headers that are none ---

async fn garbage_in_place_of_a_header_is_told_and_logged(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "").await;
    let wrong: [&[u8]; 6] = [
        b"\x20\0\0\x01",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 here 1 2\r\n",
        &[&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(),
        &binary(0x21, 0x11, &[0; 11]),
        // A length beyond the limit: nothing of it is waited for.
        &[BINARY_START, &[0x21, 0x11, 0xff, 0xff]].concat(),
    ];
    for (count, bytes) in (1..).zip(wrong) {
        assert_error(&told(&proxy, bytes).await, 1043, "bad PROXY header");
        let logged = eventually("the log", async || {
            let logged = lines(&proxy, "bad PROXY header");
            (logged.len() >= count).then_some(logged)
        });
        assert_eq!(logged.await.len(), count, "each once");
    }
    assert!(lines(&proxy, "bad PROXY header").iter().all(|line| line.contains("\"INFO\"") && line.contains("127.0.0.2")));
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_header_that_never_ends_is_cut_off(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "timeouts.handshake = '400ms'").await;
    let (text, binary) = (text("192.0.2.1:40000"), binary_of("192.0.2.1:40000"));
    for bytes in [&b""[..], b"PROXY", &text[..text.len() - 1], &binary[..5], &binary[..16], &binary[..binary.len() - 1]] {
        let since = Instant::now();
        let answer = told(&proxy, bytes).await;
        assert!(since.elapsed() >= Duration::from_millis(400), "closed before its time");
        assert_error(&answer, 1043, "listen.proxy_networks");
    }
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_slow_header_takes_its_time_from_the_login(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "timeouts.handshake = '3s'").await;
    let header = text("192.0.2.1:40000");
    let since = Instant::now();
    let mut stream = from_balancer(proxy.address).await;
    for byte in &header[..header.len() - 1] {
        stream.write_all(&[*byte]).await.unwrap();
    }
    eventually("most of the time has passed", async || (since.elapsed() > Duration::from_millis(2500)).then_some(())).await;
    stream.write_all(b"\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert_eq!(answer[4], 10, "a greeting: {answer:?}");
    let lasted = since.elapsed();
    assert!(lasted >= Duration::from_secs(3) && lasted < Duration::from_secs(5), "{lasted:?}");
    proxy.finish().await;
}

async fn many_headers_that_never_end_cost_little(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "").await;
    let before = proxy.resident_bytes();
    let mut streams = Vec::new();
    let longest = [BINARY_START, &[0x21, 0x11, 0x0f, 0xf0], &[0; 4000]].concat();
    for _ in 0..200 {
        let mut stream = from_balancer(proxy.address).await;
        stream.write_all(&longest).await.unwrap();
        streams.push(stream);
    }
    assert_serves(&proxy).await;
    let grown = proxy.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more");
    drop(streams);
    proxy.finish().await;
}

async fn a_load_balancer_that_leaves_harms_nobody(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "").await;
    for header in [text("192.0.2.1:40000"), binary_of("192.0.2.1:40000")] {
        for length in 0..header.len() {
            let mut stream = from_balancer(proxy.address).await;
            stream.write_all(&header[..length]).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(rest(&mut stream).await, b"", "after {length} bytes");
        }
    }
    assert_serves(&proxy).await;
    // A health check of a port is no news.
    assert_eq!(lines(&proxy, "127.0.0.2"), [""; 0]);
    proxy.finish().await;
}

// --- Who is not trusted ---

async fn a_header_from_elsewhere_is_a_bad_login(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "limits.failed_logins = 2").await;
    for header in [text("192.0.2.1:40000"), binary_of("192.0.2.1:40000")] {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(&header).await.unwrap();
        let answer = rest(&mut stream).await;
        assert_eq!(answer[4], 10, "it is greeted as everybody: {answer:?}");
        assert!(!String::from_utf8_lossy(&answer).contains("Access denied"));
    }
    assert_eq!(lines(&proxy, "192.0.2.1"), [""; 0]);
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_second_header_is_a_bad_login(cluster: Arc<Cluster>) {
    let proxy = trusting(&cluster, "").await;
    for second in [text("203.0.113.1:1"), binary_of("203.0.113.1:1")] {
        let answer = told(&proxy, &[binary_of("192.0.2.1:40000"), second].concat()).await;
        assert_eq!(answer[4], 10, "{answer:?}");
    }
    assert_eq!(lines(&proxy, "203.0.113.1"), [""; 0]);
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_reload_changes_who_is_trusted(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).start().await;
    let greeted = async |proxy: &Proxy| {
        let mut stream = from_balancer(proxy.address).await;
        let mut start = [0; 5];
        promptly("a greeting", stream.read_exact(&mut start)).await.unwrap();
        start[4]
    };
    assert_eq!(greeted(&proxy).await, 10);
    let mut before = proxy.client().await;
    let (is_done, said) = proxy.reload("listen.proxy_networks = ['127.0.0.0/8', '::1']").await;
    assert!(is_done && !said.contains("next one"), "{said}");
    let (code, message) = denied(&proxy, &text("192.0.2.1:40000")).await;
    assert!(code == 1045 && message.contains("@'192.0.2.1'"), "{message}");
    // Who is connected stays so.
    assert_eq!(before.query_first::<u8, _>("SELECT 1").await.unwrap(), Some(1));
    let (is_done, said) = proxy.reload("listen.proxy_networks = []").await;
    assert!(is_done, "{said}");
    assert_eq!(greeted(&proxy).await, 10);
    RawClient::login(proxy.address, &LoginAs::new(APP, APP)).await.unwrap();
    proxy.finish().await;
}

// --- Towards the servers ---

/// Whom the account lets in is up to the server, and connections are not shared between addresses. MySQL does not know the protocol.
async fn servers_are_told_where_clients_are(cluster: Arc<Cluster>) {
    const NEAR: &str = "203.0.113.7:40000";
    const TELLING: &str = "security.server_proxy_protocol = true
        users = [{ name = 'app', password = 'app' }, { name = 'near', password = 'secret' }]";
    if cluster.engine == Engine::MySql {
        return a_server_without_the_protocol_is_named(&cluster, TELLING).await;
    }
    for server in std::iter::once(cluster.primary()).chain(cluster.replicas()) {
        server.run("SET GLOBAL proxy_protocol_networks = '*'").await;
    }
    cluster.prepare("CREATE OR REPLACE USER near@'203.0.113.%' IDENTIFIED BY 'secret'").await;
    cluster.prepare("GRANT SELECT ON guestbook.* TO near@'203.0.113.%'").await;
    let proxy = trusting(&cluster, TELLING).await;
    let near = |options: OptsBuilder| options.user(Some("near")).pass(Some("secret"));
    let who = async |client: &mut Conn| {
        let who: Option<(String, String)> = client.query_first("SELECT USER(), CURRENT_USER()").await.unwrap();
        let host: Option<String> = client
            .query_first(
                "SELECT HOST FROM information_schema.PROCESSLIST WHERE USER = 'near' AND INFO LIKE '%told here%' /* told here */",
            )
            .await
            .unwrap();
        (who.unwrap(), host.unwrap())
    };
    let seen = |address: &str| {
        let who = (format!("near@{address}"), "near@203.0.113.%".to_owned());
        (who, address.to_owned())
    };
    let mut first = Conn::new(near(options(&proxy, &binary_of(NEAR)).await)).await.unwrap();
    let mut second = Conn::new(near(options(&proxy, text("203.0.113.8:1").as_slice()).await)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(who(&mut first).await, seen("203.0.113.7"));
        assert_eq!(who(&mut second).await, seen("203.0.113.8"));
    }
    let elsewhere = Conn::new(near(options(&proxy, &binary_of("198.51.100.1:40000")).await)).await;
    let Err(Error::Server(error)) = elsewhere else { panic!("{elsewhere:?}") };
    assert_eq!((error.code, error.message.contains("near'@'198.51.100.1")), (1698, true), "{error}");
    first.disconnect().await.unwrap();
    second.disconnect().await.unwrap();
    proxy.finish().await;
    for server in std::iter::once(cluster.primary()).chain(cluster.replicas()) {
        server.run("SET GLOBAL proxy_protocol_networks = ''").await;
    }
}

async fn a_server_without_the_protocol_is_named(cluster: &Cluster, config: &str) {
    let mut proxy = Start::before(cluster).config(&format!("{TRUSTING}\n{config}")).at_once().start().await;
    proxy.expect_in_log("no connection for a statement");
    let mut client = Conn::new(options(&proxy, &binary_of("203.0.113.7:40000")).await).await.unwrap();
    let refused = client.query_drop("SELECT 1 FROM entries").await;
    let Err(Error::Server(error)) = refused else { panic!("{refused:?}") };
    assert!(error.message.contains("server_proxy_protocol"), "{error}");
    proxy.finish().await;
}
