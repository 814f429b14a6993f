//! Applications on the same machine connect by a Unix socket, with all that they can do by TCP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Compression, Conn, Error, OptsBuilder};
use e2e::{APP, Cluster, Proxy, Start, binary, eventually, promptly, unique};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

e2e::suite! {
    Together: [
        a_session_by_the_socket_is_like_any_other,
        a_password_in_full_needs_no_rsa,
        tls_is_demanded_of_tcp_and_of_users_only,
        a_file_is_loaded_by_the_socket,
        a_compressed_session_by_the_socket,
        a_statement_of_the_socket_is_killed_by_tcp,
        pymysql_connects_by_the_socket,
        failed_logins_on_the_socket_do_not_count_for_tcp,
        a_client_of_the_socket_that_freezes_is_cut_off,
        many_clients_come_and_go,
        the_socket_is_removed_at_the_end_and_a_stale_one_replaced,
        a_second_instance_is_told_why_it_cannot_have_the_socket,
    ],
}

fn socket_path() -> PathBuf {
    std::env::temp_dir().join(format!("pointsman-e2e-{}", unique("socket")))
}

async fn with_socket(cluster: &Cluster, more: &str) -> (Proxy, PathBuf) {
    let path = socket_path();
    let proxy = Start::before(cluster).config(&format!("listen.socket = '{}'\n{more}", path.display())).start().await;
    (proxy, path)
}

fn by_socket(proxy: &Proxy, path: &Path) -> OptsBuilder {
    // A port where nobody listens, so that nothing goes by TCP.
    proxy.options().socket(Some(path.display().to_string())).tcp_port(1)
}

async fn log_in(options: OptsBuilder) -> Result<Conn, Error> {
    promptly("a login", Conn::new(options)).await
}

#[track_caller]
fn refusal<T>(outcome: Result<T, Error>) -> (u16, String) {
    match outcome {
        Err(Error::Server(error)) => (error.code, error.message),
        Err(other) => panic!("not a server's error: {other:?}"),
        Ok(_) => panic!("not an error"),
    }
}

async fn a_session_by_the_socket_is_like_any_other(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "listen.socket_mode = '0660'").await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let mut client = log_in(by_socket(&proxy, &path)).await.unwrap();
    let table = unique("t");
    client.query_drop(format!("CREATE TABLE {table} (a LONGTEXT)")).await.unwrap();
    let long = "x".repeat(5 << 20);
    client.exec_drop(format!("INSERT INTO {table} VALUES (?)"), (&long,)).await.unwrap();
    let back: Option<String> = client.query_first(format!("SELECT a FROM {table}")).await.unwrap();
    assert!(back == Some(long));
    client.disconnect().await.unwrap();
    // And TCP goes on beside it.
    proxy.client().await.query_drop("SELECT 1").await.unwrap();
    let (code, message) = refusal(log_in(by_socket(&proxy, &path).pass(Some("wrong"))).await);
    assert!(code == 1045 && message.contains(&format!("'{APP}'@'localhost'")), "{message}");
    eventually("the log", async || proxy.log().iter().any(|line| line.fields["peer"] == "socket").then_some(())).await;
    proxy.finish().await;
}

/// `mysql_async` sends it in clear on a socket, as the servers' own clients do.
async fn a_password_in_full_needs_no_rsa(cluster: Arc<Cluster>) {
    let path = socket_path();
    let config = format!("listen.socket = '{}'", path.display());
    let proxy = Start::before(&cluster).config(&config).argument("--force-full-authentication").start().await;
    log_in(by_socket(&proxy, &path)).await.unwrap().query_drop("SELECT 1").await.unwrap();
    assert_eq!(refusal(log_in(by_socket(&proxy, &path).pass(Some("wrong"))).await).0, 1045);
    proxy.finish().await;
}

async fn tls_is_demanded_of_tcp_and_of_users_only(cluster: Arc<Cluster>) {
    let path = socket_path();
    let users =
        format!("users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = 'careful', password = 'x', tls = 'required' }}]");
    let config = format!("listen.socket = '{}'\nlisten.tls = 'required'\n{users}", path.display());
    let proxy = Start::before(&cluster).config(&config).at_once().start().await;
    log_in(by_socket(&proxy, &path)).await.unwrap().query_drop("SELECT 1").await.unwrap();
    assert_eq!(refusal(log_in(proxy.options()).await).0, 3159);
    assert_eq!(refusal(log_in(by_socket(&proxy, &path).user(Some("careful")).pass(Some("x"))).await).0, 1045);
    // It is not offered either: a client that asks for it is told so.
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let mut greeting = vec![0; 4];
    stream.read_exact(&mut greeting).await.unwrap();
    greeting.resize(usize::from(greeting[0]), 0);
    stream.read_exact(&mut greeting).await.unwrap();
    let ssl_request = [&[32, 0, 0, 1, 0x00, 0x8a, 0, 0][..], &[0, 0, 0, 1, 45], &[0; 23]].concat();
    stream.write_all(&ssl_request).await.unwrap();
    let mut answer = Vec::new();
    let _ = promptly("the end", stream.read_to_end(&mut answer)).await;
    assert!(String::from_utf8_lossy(&answer).contains("TLS is not offered here"), "{answer:?}");
    proxy.finish().await;
}

async fn a_file_is_loaded_by_the_socket(cluster: Arc<Cluster>) {
    cluster.prepare("SET GLOBAL local_infile = ON").await;
    let (proxy, path) = with_socket(&cluster, "").await;
    let mut client = log_in(by_socket(&proxy, &path)).await.unwrap();
    let table = unique("t");
    client.query_drop(format!("CREATE TABLE {table} (a INT)")).await.unwrap();
    let rows = "7\n".repeat(100_000);
    let file = async move { Ok(stream::iter([Ok(rows.into())]).boxed()) };
    client.set_infile_handler(file);
    client.query_drop(format!("LOAD DATA LOCAL INFILE 'any' INTO TABLE {table}")).await.unwrap();
    let count: Option<u32> = client.query_first(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
    assert_eq!(count, Some(100_000));
    proxy.finish().await;
}

async fn a_compressed_session_by_the_socket(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "").await;
    let mut client = log_in(by_socket(&proxy, &path).compression(Some(Compression::default()))).await.unwrap();
    let long: Option<String> = client.query_first("SELECT REPEAT('x', 300000)").await.unwrap();
    assert_eq!(long.map(|long| long.len()), Some(300_000));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_statement_of_the_socket_is_killed_by_tcp(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "").await;
    let mut client = log_in(by_socket(&proxy, &path)).await.unwrap();
    let id: u64 = client.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
    let mark = unique("sleeper");
    let sleeping = client.query_drop(format!("DO SLEEP(25) /* {mark} */"));
    let killing = async {
        let mut killer = proxy.client().await;
        let find = format!("SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DO SLEEP%{mark}%'");
        eventually("the statement runs", async || {
            for server in &cluster.servers {
                if !server.rows::<u8>(&find, ()).await.is_empty() {
                    return Some(());
                }
            }
            None
        })
        .await;
        killer.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    };
    let since = Instant::now();
    let (slept, ()) = promptly("a killed statement", async { tokio::join!(sleeping, killing) }).await;
    // The servers end an interrupted SLEEP() in DO with OK or with 1317.
    assert!(slept.is_ok() || refusal(slept).0 == 1317);
    assert!(since.elapsed() < Duration::from_secs(20));
    client.query_drop("SELECT 1").await.unwrap();
    proxy.finish().await;
}

async fn pymysql_connects_by_the_socket(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "").await;
    let script = "import sys, pymysql
c = pymysql.connect(unix_socket=sys.argv[1], user='app', password='app', database='guestbook')
with c.cursor() as cursor:
    cursor.execute('SELECT 7')
    assert cursor.fetchall() == ((7,),)
c.ping()
c.close()
try:
    pymysql.connect(unix_socket=sys.argv[1], user='app', password='no')
except pymysql.err.OperationalError as error:
    assert error.args[0] == 1045
print('good')";
    let python = std::env::var_os("POINTSMAN_PYTHON").expect("POINTSMAN_PYTHON");
    let run = tokio::process::Command::new(python).args(["-c", script]).arg(&path).output();
    let said = promptly("PyMySQL", run).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "good\n", "{}", String::from_utf8_lossy(&said.stderr));
    proxy.finish().await;
}

async fn failed_logins_on_the_socket_do_not_count_for_tcp(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "limits.failed_logins = 2").await;
    for expected in [1045, 1045, 1129] {
        let (code, message) = refusal(log_in(by_socket(&proxy, &path).pass(Some("wrong"))).await);
        assert_eq!(code, expected, "{message}");
    }
    proxy.client().await.query_drop("SELECT 1").await.unwrap();
    proxy.finish().await;
}

async fn a_client_of_the_socket_that_freezes_is_cut_off(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "timeouts = { handshake = '400ms', client_write = '1s' }").await;
    let since = Instant::now();
    let mut silent = UnixStream::connect(&path).await.unwrap();
    let mut greeting = Vec::new();
    promptly("the end of the connection", silent.read_to_end(&mut greeting)).await.unwrap();
    assert!(since.elapsed() >= Duration::from_millis(400) && greeting[4] == 10);
    // Who does not read its result is not waited for, and none of it piles up.
    let before = proxy.resident_bytes();
    let mut client = log_in(by_socket(&proxy, &path)).await.unwrap();
    let mut result = client.query_iter("SELECT REPEAT('x', 60000000) FROM (SELECT 1 UNION ALL SELECT 2) t").await.unwrap();
    eventually("the client is cut off", async || proxy.log().iter().any(|line| line.text.contains("client_write")).then_some(()))
        .await;
    assert!(proxy.resident_bytes().saturating_sub(before) < 64 << 20);
    assert!(result.collect::<String>().await.is_err());
    drop(client);
    log_in(by_socket(&proxy, &path)).await.unwrap();
    proxy.finish().await;
}

async fn many_clients_come_and_go(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "").await;
    for length in 0..200 {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let _ = stream.write_all(&vec![b'P'; length % 60]).await;
    }
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(log_in(by_socket(&proxy, &path)).await.unwrap());
    }
    for client in &mut clients {
        client.query_drop("SELECT 1").await.unwrap();
    }
    proxy.finish().await;
}

async fn the_socket_is_removed_at_the_end_and_a_stale_one_replaced(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "").await;
    let killed = proxy.kill(&[]).await;
    assert!(path.exists(), "nobody removes it after a crash");
    let proxy = killed.start_again().await;
    log_in(by_socket(&proxy, &path)).await.unwrap().query_drop("SELECT 1").await.unwrap();
    proxy.finish().await;
    assert!(!path.exists());
}

async fn a_second_instance_is_told_why_it_cannot_have_the_socket(cluster: Arc<Cluster>) {
    let (proxy, path) = with_socket(&cluster, "").await;
    let config = std::env::temp_dir().join(format!("pointsman-e2e-{}", unique("second")));
    let monitor = "monitor = { user = 'monitor', password = 'monitor' }\nusers = [{ name = 'app', password = 'app' }]";
    let listen = format!("listen = {{ address = '127.0.0.1:0', socket = '{}' }}", path.display());
    std::fs::write(&config, format!("{listen}\n{monitor}\n{}", proxy.servers_toml(&["db1"]))).unwrap();
    let second = tokio::process::Command::new(binary())
        .args(["run", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let second = promptly("the end of the second instance", second).await.unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("another process listens on it") && said.contains(&path.display().to_string()), "{said}");
    std::fs::remove_file(&config).unwrap();
    log_in(by_socket(&proxy, &path)).await.unwrap().query_drop("SELECT 1").await.unwrap();
    proxy.finish().await;
}
