//! The firewall: who may connect from where, how many at once, and how much an account may do. What is refused is counted, and a reload counts at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::net::SocketAddr;
use std::sync::Arc;

use e2e::clients::python_at;
use e2e::http::get;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, OptsBuilder, Row};
use e2e::tls::{Authority, TestFile};
use e2e::{APP, Cluster, Proxy, Start, eventually, promptly};
use testkit::{LoginAs, RawClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

e2e::suite! {
    Together: [
        a_denied_network_is_turned_away_before_a_byte,
        a_denied_client_is_told_where_that_is_wanted,
        only_allowed_networks_may_connect,
        an_account_logs_in_from_its_networks_only,
        an_address_has_so_many_connections,
        an_account_has_so_many_sessions_and_statements,
        a_rule_has_room_for_so_many_statements,
        those_who_never_log_in_take_no_place_of_others,
        a_flood_of_refused_connections_harms_nobody,
        the_admin_addresses_speak_tls_with_those_who_prove_who_they_are,
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

async fn a_rule_has_room_for_so_many_statements(cluster: Arc<Cluster>) {
    let rule = |most: u32| format!("rules = [{{ name = 'calm', table = 'calm', statements_per_second = {most} }}]");
    let (mut proxy, admin) = start(&cluster, &rule(5)).await;
    let (mut first, mut second) = (proxy.client().await, proxy.client().await);
    // Of 60 statements of both sessions, prepared or not.
    let flood = async |first: &mut Conn, second: &mut Conn| {
        let mut refused = 0;
        for turn in 0..60 {
            let done = match turn % 3 {
                0 => first.query_drop("SELECT 1 AS calm").await,
                1 => second.query_drop("SELECT 2 AS calm").await,
                _ => second.exec_drop("SELECT ? AS calm", (3,)).await,
            };
            match done {
                Ok(()) => {}
                Err(Error::Server(error)) if error.code == 1226 => {
                    assert!(error.message.contains("the rule \"calm\" allows 5 statements per second"), "{error}");
                    refused += 1;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        refused
    };
    let refused = flood(&mut first, &mut second).await;
    assert!((20..=55).contains(&refused), "{refused} of 60");
    // It is about what the rule matches, and explained where it applies.
    first.query_drop("SELECT 1 AS hasty").await.unwrap();
    let steps: Vec<Row> = first.query("EXPLAIN ROUTE SELECT 1 AS calm").await.unwrap();
    let texts = steps.iter().filter_map(|row| row.get::<String, _>("because")).collect::<Vec<_>>().join("\n");
    assert!(texts.contains("the rule allows 5 statements per second, over all sessions"), "{texts}");
    let key = "pointsman_rule_refusals_total{rule=\"calm\",reason=\"statements_per_second\"} ";
    eventually("each refusal is counted", async || {
        let body = get(admin, "/metrics", Some(TOKEN)).await.body;
        let counted: f64 = body.lines().find_map(|line| line.strip_prefix(key))?.parse().unwrap();
        ((counted - f64::from(refused)).abs() < 0.5).then_some(())
    })
    .await;
    let (is_done, said) = proxy.reload(&rule(1000)).await;
    assert!(is_done, "{said}");
    assert_eq!(flood(&mut first, &mut second).await, 0, "a reload counts at once");
    first.disconnect().await.unwrap();
    second.disconnect().await.unwrap();
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

async fn the_admin_addresses_speak_tls_with_those_who_prove_who_they_are(cluster: Arc<Cluster>) {
    let (servers, clients) = (Authority::new(), Authority::new());
    let (own, shown) = (servers.sign("127.0.0.1"), clients.sign("admin"));
    let (certificate, key) = (TestFile::new(&own.certificate), TestFile::new(&own.key));
    let (server_ca, client_ca) = (TestFile::new(&servers.pem), TestFile::new(&clients.pem));
    let (client_certificate, client_key) = (TestFile::new(&shown.certificate), TestFile::new(&shown.key));
    let tls = format!(
        "tls = 'required'\ntls_certificate = {}\ntls_key = {}\ntls_client_ca = {}",
        certificate.toml(),
        key.toml(),
        client_ca.toml()
    );
    let addresses = "address = '127.0.0.1:0'\nconsole = '127.0.0.1:0'";
    let config = format!("[admin]\n{addresses}\ntoken = '{TOKEN}'\n{tls}");
    let mut proxy = Start::before(&cluster).config(&config).start().await;
    let (admin, console) = (proxy.await_address("the admin API listens").await, proxy.await_address("the console listens").await);
    let ask = async |admin: SocketAddr, path: &str, ca: &TestFile, token: &str, has_certificate: bool| {
        let (ca, certificate, key) = (ca.path(), client_certificate.path(), client_key.path());
        let mut arguments = vec![path, &*ca, token];
        if has_certificate {
            arguments.extend([&*certificate, &*key]);
        }
        let said = python_at("https_client.py", admin, &arguments).await;
        assert!(said.status.success(), "{}", said.errors());
        said.output().trim().to_owned()
    };
    // The metrics are long: they pass whole.
    assert_eq!(ask(admin, "/metrics", &server_ca, TOKEN, true).await, "200");
    assert_eq!(ask(admin, "/api/status", &server_ca, TOKEN, true).await, "200");
    assert_eq!(ask(admin, "/api/status", &server_ca, "-", true).await, "401", "the token is needed besides");
    assert_eq!(ask(admin, "/healthz", &server_ca, TOKEN, false).await, "refused");
    assert_eq!(get(admin, "/healthz", Some(TOKEN)).await.status, 0, "not in clear");

    let options = |ca: &Authority| {
        let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(console.port()).user(Some("admin"));
        options.pass(Some(TOKEN)).prefer_socket(false).ssl_opts(Some(ca.believed().with_client_identity(Some(shown.identity()))))
    };
    let mut client = Conn::new(options(&servers)).await.unwrap();
    let rows: Vec<Row> = client.query("SELECT name FROM servers").await.unwrap();
    assert_eq!(rows.len(), 3);
    client.disconnect().await.unwrap();
    let error = Conn::new(options(&servers).ssl_opts(None)).await.expect_err("not in clear");
    assert!(matches!(&error, Error::Server(error) if error.code == 3159), "{error:?}");
    Conn::new(options(&servers).ssl_opts(Some(servers.believed()))).await.expect_err("not without a certificate");
    // Who begins a handshake and says nothing more, or something else, harms nobody.
    let mut silent = promptly("a connection", TcpStream::connect(admin)).await.unwrap();
    silent.write_all(b"\x16\x03\x01").await.unwrap();

    // Another certificate counts at once.
    let others = Authority::new();
    let (other_ca, renewed) = (TestFile::new(&others.pem), others.sign("127.0.0.1"));
    certificate.write(&renewed.certificate);
    key.write(&renewed.key);
    let (is_done, said) = proxy.reload(&config).await;
    assert!(is_done, "{said}");
    assert_eq!(ask(admin, "/healthz", &other_ca, TOKEN, true).await, "200");
    assert_eq!(ask(admin, "/healthz", &server_ca, TOKEN, true).await, "not believed");
    Conn::new(options(&others)).await.unwrap().disconnect().await.unwrap();
    proxy.finish().await;

    // Without a token the certificate counts in its place.
    let mut proxy = Start::before(&cluster).config(&format!("[admin]\naddress = '127.0.0.1:0'\n{tls}")).start().await;
    let admin = proxy.await_address("the admin API listens").await;
    assert_eq!(ask(admin, "/api/status", &other_ca, "-", true).await, "200");
    assert_eq!(ask(admin, "/metrics", &other_ca, "-", false).await, "refused");
    proxy.finish().await;
}
