//! The firewall: who may connect from where, how many at once, and how much an account may do. What is refused is counted, and a reload counts at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::net::SocketAddr;
use std::sync::Arc;

use e2e::http::get;
use e2e::mysql_async::Error;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::{APP, Cluster, Proxy, Start, eventually, promptly};
use testkit::{LoginAs, RawClient};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};

e2e::suite! {
    Together: [
        a_denied_network_is_turned_away_before_a_byte,
        a_denied_client_is_told_where_that_is_wanted,
        only_allowed_networks_may_connect,
        an_account_logs_in_from_its_networks_only,
        an_address_has_so_many_connections,
        an_account_has_so_many_sessions_and_statements,
        those_who_never_log_in_take_no_place_of_others,
        a_flood_of_refused_connections_harms_nobody,
    ],
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The addresses of this machine from which the tests connect.
const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.7";

/// A Pointsman whose clients come from more than one address, and where its metrics are.
async fn start(cluster: &Cluster, config: &str) -> (Proxy, SocketAddr) {
    let config = format!("admin.address = '127.0.0.1:0'\nadmin.token = '{TOKEN}'\n{config}");
    let mut proxy = Start::before(cluster).config(&config).start().await;
    proxy.expect_in_log("refused a connection");
    let admin = proxy.await_address("the admin API listens").await;
    (proxy, admin)
}

/// What a client from this address gets first; nothing if the connection is closed at once.
async fn first_bytes(proxy: &Proxy, from: &str) -> Vec<u8> {
    first_of(&mut connect(proxy, from).await).await
}

async fn first_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    // A closed connection may also be reset.
    let count = promptly("a greeting or the end", stream.read(&mut bytes)).await.unwrap_or(0);
    bytes.truncate(count);
    bytes
}

/// A client from this address that has been greeted, and says nothing.
async fn greeted(proxy: &Proxy, from: &str) -> TcpStream {
    let mut stream = connect(proxy, from).await;
    assert!(is_greeting(&first_of(&mut stream).await));
    stream
}

async fn connect(proxy: &Proxy, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    promptly("a connection", socket.connect(proxy.address)).await.unwrap()
}

fn is_greeting(bytes: &[u8]) -> bool {
    bytes.get(4) == Some(&10)
}

/// The code of an error packet that came in place of a greeting.
fn error_code(bytes: &[u8]) -> Option<u16> {
    let [_, _, _, _, 0xff, low, high, ..] = bytes else { return None };
    Some(u16::from_le_bytes([*low, *high]))
}

async fn refused(admin: SocketAddr, reason: &str) -> f64 {
    let body = get(admin, "/metrics", Some(TOKEN)).await.body;
    let key = format!("pointsman_login_failures_total{{reason=\"{reason}\"}} ");
    body.lines().find_map(|line| line.strip_prefix(&key)).map_or(0.0, |count| count.parse().unwrap())
}

async fn a_denied_network_is_turned_away_before_a_byte(cluster: Arc<Cluster>) {
    let (mut proxy, admin) = start(&cluster, "firewall.deny = '127.0.0.7'").await;
    assert_eq!(first_bytes(&proxy, ELSEWHERE).await, b"");
    assert!(is_greeting(&first_bytes(&proxy, HERE).await));
    eventually("it is counted", async || (refused(admin, "network").await >= 1.0).then_some(())).await;
    let (is_done, said) = proxy.reload("firewall.deny = '127.0.0.8'").await;
    assert!(is_done, "{said}");
    assert!(is_greeting(&first_bytes(&proxy, ELSEWHERE).await), "a reload counts at once");
    assert_eq!(first_bytes(&proxy, "127.0.0.8").await, b"");
    proxy.finish().await;
}

async fn a_denied_client_is_told_where_that_is_wanted(cluster: Arc<Cluster>) {
    let (proxy, _) = start(&cluster, "firewall.deny = '127.0.0.7'\nfirewall.rejection = 'error'").await;
    let told = first_bytes(&proxy, ELSEWHERE).await;
    assert_eq!(error_code(&told), Some(1130), "{}", String::from_utf8_lossy(&told));
    proxy.finish().await;
}

async fn only_allowed_networks_may_connect(cluster: Arc<Cluster>) {
    let (proxy, _) = start(&cluster, "firewall.allow = ['127.0.0.1', '10.0.0.0/8']").await;
    assert!(is_greeting(&first_bytes(&proxy, HERE).await));
    assert_eq!(first_bytes(&proxy, ELSEWHERE).await, b"");
    proxy.finish().await;
}

async fn an_account_logs_in_from_its_networks_only(cluster: Arc<Cluster>) {
    let (mut proxy, _) = start(&cluster, "").await;
    let there = LoginAs::new(APP, APP);
    let before = RawClient::login(proxy.address, &there).await;
    assert!(before.is_ok(), "{before:?}");
    let user = format!("[[users]]\nname = '{APP}'\npassword = '{APP}'\nnetworks = '127.0.0.7'");
    let (is_done, said) = proxy.reload(&user).await;
    assert!(is_done, "{said}");
    let error = RawClient::login(proxy.address, &there).await.expect_err("it is refused");
    let wrong = RawClient::login(proxy.address, &LoginAs::new(APP, "wrong")).await.expect_err("it is refused");
    assert_eq!((error.code, &error.message), (1045, &wrong.message), "it does not learn that its password was right");
    proxy.finish().await;
}

async fn an_address_has_so_many_connections(cluster: Arc<Cluster>) {
    let (mut proxy, admin) = start(&cluster, "").await;
    let (is_done, said) = proxy.reload("limits.address_connections = 2").await;
    assert!(is_done, "{said}");
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(greeted(&proxy, ELSEWHERE).await);
    }
    assert_eq!(error_code(&first_bytes(&proxy, ELSEWHERE).await), Some(1040));
    assert!(is_greeting(&first_bytes(&proxy, "127.0.0.9").await), "another address is not concerned");
    assert!(refused(admin, "address_connections").await >= 1.0);
    held.pop();
    eventually("there is room again", async || is_greeting(&first_bytes(&proxy, ELSEWHERE).await).then_some(())).await;
    proxy.finish().await;
}

async fn an_account_has_so_many_sessions_and_statements(cluster: Arc<Cluster>) {
    let (mut proxy, _) = start(&cluster, "").await;
    let user = format!("[[users]]\nname = '{APP}'\npassword = '{APP}'\nclient_connections = 2\nstatements_per_second = 5");
    let (is_done, said) = proxy.reload(&user).await;
    assert!(is_done, "{said}");
    let (mut first, second) = (proxy.client().await, proxy.client().await);
    let error = e2e::mysql_async::Conn::new(proxy.options()).await.expect_err("a third is one too many");
    assert!(matches!(&error, Error::Server(error) if error.code == 1226), "{error:?}");
    second.disconnect().await.unwrap();
    let mut again = eventually("there is room again", async || e2e::mysql_async::Conn::new(proxy.options()).await.ok()).await;
    let mut refused = 0;
    for turn in 0..40 {
        let client = if turn % 2 == 0 { &mut first } else { &mut again };
        match client.query_drop("SELECT 1").await {
            Ok(()) => {}
            Err(Error::Server(error)) if error.code == 1226 => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(refused > 0, "40 statements need 8 s");
    eventually("a second brings more", async || first.query_drop("SELECT 1").await.ok()).await;
    first.disconnect().await.unwrap();
    again.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn those_who_never_log_in_take_no_place_of_others(cluster: Arc<Cluster>) {
    let (mut proxy, admin) = start(&cluster, "").await;
    let mut client = proxy.client().await;
    let (is_done, said) = proxy.reload("limits.logins = 3\ntimeouts.handshake = '2s'").await;
    assert!(is_done, "{said}");
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(greeted(&proxy, ELSEWHERE).await);
    }
    assert_eq!(error_code(&first_bytes(&proxy, HERE).await), Some(1040));
    client.query_drop("SELECT 1").await.unwrap();
    assert!(refused(admin, "logins").await >= 1.0);
    eventually("their time is over", async || is_greeting(&first_bytes(&proxy, HERE).await).then_some(())).await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_flood_of_refused_connections_harms_nobody(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, "firewall.deny = '127.0.0.7'").await;
    let mut client = proxy.client().await;
    for _ in 0..20 {
        for _ in 0..100 {
            drop(connect(&proxy, ELSEWHERE).await);
        }
        client.query_drop("SELECT 1").await.unwrap();
    }
    eventually("all are counted", async || (refused(admin, "network").await >= 2000.0).then_some(())).await;
    let lines = proxy.log().iter().filter(|line| line.text.contains("refused a connection")).count();
    assert!(lines < 500, "2000 refused connections have made {lines} lines");
    client.disconnect().await.unwrap();
    proxy.finish().await;
}
