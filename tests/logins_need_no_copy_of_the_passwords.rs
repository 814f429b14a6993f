//! An account that only the servers know logs in with its own password, nobody learns from a failed login which accounts there are, and a client may
//! change its user.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;
use std::time::Instant;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{ChangeUserOpts, Conn, Error, Opts, OptsBuilder, SslOpts};
use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, clients, eventually, mariadb_version, promptly, unique};
use testkit::raw::USUAL;
use testkit::{LoginAs, RawClient};
use wire::command::COM_CHANGE_USER;

e2e::suite! {
    Together: [
        an_account_that_only_the_servers_know_logs_in,
        its_next_login_needs_no_password_again,
        a_changed_password_counts_at_once,
        a_failed_login_does_not_say_whether_there_is_such_a_user,
        an_account_with_a_plugin_of_its_engine_alone_logs_in,
        an_unknown_schema_is_told_to_the_right_user_only,
        no_password_is_logged,
        who_fails_too_often_has_to_wait,
        a_client_changes_its_user_and_back,
        a_changed_user_has_nothing_of_the_former_one,
        a_changed_user_reads_what_the_former_one_wrote,
        a_refused_change_of_user_ends_the_connection,
        a_change_of_user_of_an_account_that_only_the_servers_know,
        a_change_of_user_that_makes_no_sense_ends_the_connection,
    ],
}

const PASSTHROUGH: &str = "security = { auth = 'passthrough', public_key_retrieval = true }";

async fn passthrough(cluster: &Cluster, more: &str) -> Proxy {
    Start::before(cluster).config(&format!("{PASSTHROUGH}\n{more}")).start().await
}

/// An account that is in no configuration, and its password.
async fn account(cluster: &Cluster) -> (String, String) {
    let (user, password) = (unique("stranger"), unique("secret"));
    let plugin = if cluster.engine == Engine::MySql { "WITH caching_sha2_password BY" } else { "BY" };
    let create = format!("CREATE USER {user}@'%' IDENTIFIED {plugin} '{password}'; GRANT ALL ON {SCHEMA}.* TO {user}@'%'");
    cluster.prepare(create).await;
    (user, password)
}

fn as_user(proxy: &Proxy, user: &str, password: &str) -> OptsBuilder {
    proxy.options().user(Some(user)).pass(Some(password))
}

async fn log_in(options: OptsBuilder) -> Result<Conn, Error> {
    promptly("a login", Conn::new(options)).await
}

async fn who(client: &mut Conn) -> String {
    client.query_first("SELECT SUBSTRING_INDEX(USER(), '@', 1)").await.unwrap().unwrap()
}

#[track_caller]
fn code<T>(outcome: Result<T, Error>) -> u16 {
    match outcome {
        Err(Error::Server(error)) => error.code,
        Err(other) => panic!("not a server's error: {other:?}"),
        Ok(_) => panic!("not an error"),
    }
}

fn over_tls(options: OptsBuilder) -> OptsBuilder {
    options.ssl_opts(SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true))
}

// --- Accounts that only the servers know ---

async fn an_account_that_only_the_servers_know_logs_in(cluster: Arc<Cluster>) {
    let proxy = passthrough(&cluster, "").await;
    for is_encrypted in [false, true] {
        let (user, password) = account(&cluster).await;
        let options = |password: &str| {
            let options = as_user(&proxy, &user, password);
            if is_encrypted { over_tls(options) } else { options }
        };
        assert_eq!(code(log_in(options("wrong")).await), 1045);
        let mut client = log_in(options(&password)).await.unwrap();
        assert_eq!(who(&mut client).await, user);
        let table = unique("t");
        client.query_drop(format!("CREATE TABLE {table} (a INT)")).await.unwrap();
        client.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.unwrap();
        let seen = client.query_first::<u32, _>(format!("SELECT a FROM {table}")).await.unwrap();
        assert_eq!(seen, Some(1));
        // More sessions than one, on all servers.
        for _ in 0..4 {
            let mut client = log_in(options(&password)).await.unwrap();
            assert_eq!(who(&mut client).await, user);
        }
    }
    // The accounts of the configuration are as they were.
    assert_eq!(who(&mut proxy.client().await).await, APP);
    assert_eq!(code(log_in(as_user(&proxy, APP, "wrong")).await), 1045);
    let (user, password) = account(&cluster).await;
    for client in Engine::ALL {
        let said = clients::command_line_as(client, &proxy, (&user, &password), "SELECT 'in'").await;
        assert_eq!(said.output(), "in\nin\n", "{}", said.errors());
    }
    proxy.finish().await;
}

/// Whether the client is asked for its password itself, or its proof was enough.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Proof,
    Password,
    Refused(u16),
}

/// What a client with this proof is told first.
async fn asked(proxy: &Proxy, user: &str, password: &str) -> Asked {
    let mut client = RawClient::connect(proxy.address).await.unwrap();
    let login = wire::Login {
        capabilities: USUAL,
        max_packet: 1 << 24,
        collation: 45,
        user: user.as_bytes(),
        auth_response: &wire::Plugin::CachingSha2.response(password.as_bytes(), &client.greeting.nonce),
        schema: None,
        auth_plugin: Some(b"caching_sha2_password"),
        attributes: None,
        zstd_level: 0,
    };
    let mut payload = bytes::BytesMut::new();
    login.encode(&mut payload);
    client.send_next(&payload).await;
    match client.receive().await.unwrap().as_slice() {
        [1, 3] => Asked::Proof,
        [1, 4] => Asked::Password,
        error => Asked::Refused(wire::ErrPacket::decode(error).unwrap().code),
    }
}

/// Why a login failed, without the user's name.
async fn refusal(proxy: &Proxy, user: &str, password: &str) -> String {
    match log_in(as_user(proxy, user, password)).await {
        Err(Error::Server(error)) => error.to_string().replace(user, ""),
        other => panic!("{other:?}"),
    }
}

async fn its_next_login_needs_no_password_again(cluster: Arc<Cluster>) {
    let mut proxy = passthrough(&cluster, "").await;
    let (user, password) = account(&cluster).await;
    assert_eq!(asked(&proxy, &user, &password).await, Asked::Password);
    log_in(as_user(&proxy, &user, &password)).await.unwrap().disconnect().await.unwrap();
    assert_eq!(asked(&proxy, &user, &password).await, Asked::Proof);
    assert_eq!(asked(&proxy, &user, "wrong").await, Asked::Password);
    // It is forgotten once it is old, and with passthrough itself.
    assert!(proxy.reload("timeouts = { remembered_login = '1ms' }").await.0);
    eventually("it is forgotten", async || (asked(&proxy, &user, &password).await == Asked::Password).then_some(())).await;
    assert!(proxy.reload("security = { auth = 'configured' }").await.0);
    assert_eq!(code(log_in(as_user(&proxy, &user, &password)).await), 1045);
    proxy.finish().await;
}

async fn a_changed_password_counts_at_once(cluster: Arc<Cluster>) {
    let proxy = passthrough(&cluster, "").await;
    let (user, password) = account(&cluster).await;
    log_in(as_user(&proxy, &user, &password)).await.unwrap().disconnect().await.unwrap();
    cluster.prepare(format!("ALTER USER {user}@'%' IDENTIFIED BY 'another'")).await;
    assert_eq!(code(log_in(as_user(&proxy, &user, &password)).await), 1045);
    let mut client = log_in(as_user(&proxy, &user, "another")).await.unwrap();
    assert_eq!(who(&mut client).await, user);
    assert_eq!(code(log_in(as_user(&proxy, &user, &password)).await), 1045);
    assert_eq!(asked(&proxy, &user, "another").await, Asked::Proof);
    cluster.prepare(format!("DROP USER {user}@'%'")).await;
    assert_eq!(code(log_in(as_user(&proxy, &user, "another")).await), 1045);
    assert_eq!(asked(&proxy, &user, "another").await, Asked::Password);
    proxy.finish().await;
}

async fn a_failed_login_does_not_say_whether_there_is_such_a_user(cluster: Arc<Cluster>) {
    let (known, right) = account(&cluster).await;
    let (remembered, password) = account(&cluster).await;
    let (locked, _) = account(&cluster).await;
    cluster.prepare(format!("ALTER USER {locked}@'%' ACCOUNT LOCK")).await;
    let demanding = unique("demanding");
    let users = format!(
        "users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{demanding}', password = 'p', tls = 'required' }}]"
    );
    let proxy = passthrough(&cluster, &users).await;
    log_in(as_user(&proxy, &remembered, &password)).await.unwrap();
    let nobody = unique("nobody");
    let of_nobody = refusal(&proxy, &nobody, "wrong").await;
    assert!(of_nobody.contains("Access denied"), "{of_nobody}");
    for user in [&nobody, &known, &remembered, &locked, APP, &demanding] {
        assert_eq!(asked(&proxy, user, "wrong").await, Asked::Password, "{user}");
        assert_eq!(refusal(&proxy, user, "wrong").await, of_nobody, "{user}");
    }
    // Even the right password does not help who must use TLS.
    assert_eq!(asked(&proxy, &demanding, "p").await, Asked::Password);
    assert_eq!(refusal(&proxy, &demanding, "p").await, of_nobody);
    log_in(as_user(&proxy, &known, &right)).await.unwrap();
    // A server was asked each time, and so the answer took as long.
    let time = async |user: &str| {
        let start = Instant::now();
        refusal(&proxy, user, "wrong").await;
        start.elapsed()
    };
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..9 {
        times.0.push(time(APP).await);
        times.1.push(time(&nobody).await);
    }
    times.0.sort();
    times.1.sort();
    let (app, nobody) = (times.0[4].as_secs_f64(), times.1[4].as_secs_f64());
    assert!(app > nobody / 3.0 && app < nobody * 3.0, "{app} {nobody}");
    proxy.finish().await;
}

/// What signs with a key pair (MariaDB's ed25519, and parsec where it has it) and what encrypts the password at each login (MySQL's), with the password in
/// the configuration and without.
async fn an_account_with_a_plugin_of_its_engine_alone_logs_in(cluster: Arc<Cluster>) {
    let plugins = match cluster.engine {
        Engine::MySql => &["sha256_password"][..],
        Engine::MariaDb if mariadb_version() == "10.11" => &["ed25519"],
        Engine::MariaDb => &["ed25519", "parsec"],
    };
    for plugin in plugins {
        log_in_by(plugin, &cluster).await;
    }
}

async fn log_in_by(plugin: &str, cluster: &Cluster) {
    let (listed, unlisted) = (unique("listed"), unique("unlisted"));
    for user in [&listed, &unlisted] {
        let identified = match cluster.engine {
            Engine::MariaDb => format!("VIA {plugin} USING PASSWORD('{user}')"),
            Engine::MySql => format!("WITH {plugin} BY '{user}'"),
        };
        let grant = format!("GRANT ALL ON {SCHEMA}.* TO {user}@'%'");
        cluster.prepare(format!("CREATE USER {user}@'%' IDENTIFIED {identified}; {grant}")).await;
    }
    let users = format!("users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{listed}', password = '{listed}' }}]");
    let proxy = passthrough(cluster, &users).await;
    for user in [&listed, &unlisted] {
        // The second session takes over a connection of the first one, where it logs in again.
        for _ in 0..2 {
            let mut client = log_in(as_user(&proxy, user, user)).await.unwrap();
            for _ in 0..4 {
                assert_eq!(who(&mut client).await, *user);
            }
            client.disconnect().await.unwrap();
        }
        assert_eq!(code(log_in(as_user(&proxy, user, "wrong")).await), 1045);
    }
    proxy.finish().await;
}

async fn an_unknown_schema_is_told_to_the_right_user_only(cluster: Arc<Cluster>) {
    let proxy = passthrough(&cluster, "").await;
    let (user, password) = account(&cluster).await;
    let options = |password| as_user(&proxy, &user, password).db_name(Some("no_such_schema"));
    assert_eq!(code(log_in(options("wrong")).await), 1045);
    assert!(matches!(code(log_in(options(&password)).await), 1044 | 1049));
    proxy.finish().await;
}

async fn no_password_is_logged(cluster: Arc<Cluster>) {
    let proxy = passthrough(&cluster, "log = { level = 'trace' }").await;
    let (user, password) = account(&cluster).await;
    let wrong = unique("mistyped");
    assert_eq!(code(log_in(as_user(&proxy, &user, &wrong)).await), 1045);
    let mut client = log_in(over_tls(as_user(&proxy, &user, &password))).await.unwrap();
    client.query_drop("SELECT 1").await.unwrap();
    client.disconnect().await.unwrap();
    eventually("the user is in the log", async || proxy.log().iter().any(|line| line.text.contains(&user)).then_some(())).await;
    let bytes = |text: &str| format!("{:?}", text.as_bytes()).trim_matches(['[', ']']).to_owned();
    for line in proxy.log() {
        for secret in [&password, &wrong] {
            assert!(!line.text.contains(secret.as_str()) && !line.text.contains(&bytes(secret)), "{}", line.text);
        }
    }
    proxy.finish().await;
}

async fn who_fails_too_often_has_to_wait(cluster: Arc<Cluster>) {
    // Thirty a minute: one comes back every two seconds.
    let proxy =
        Start::before(&cluster).config("limits = { failed_logins = 30 }\ntimeouts.failed_login_delay = '0s'").start().await;
    let mut client = proxy.client().await;
    let mut failed = 0;
    let blocked = loop {
        match log_in(as_user(&proxy, APP, "wrong")).await {
            Err(Error::Server(error)) if error.code == 1045 => failed += 1,
            Err(Error::Server(error)) => break error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(blocked.code, 1129);
    assert!(blocked.message.contains("limits.failed_logins") && blocked.message.contains("try again in"), "{blocked}");
    assert!((30..45).contains(&failed), "{failed}");
    // The right password does not help, a session goes on, and after a while there is another attempt.
    assert_eq!(code(log_in(proxy.options()).await), 1129);
    assert_eq!(client.query_first::<u32, _>("SELECT 1").await.unwrap(), Some(1));
    eventually("it may try again", async || log_in(proxy.options()).await.ok()).await;
    proxy.finish().await;
}

// --- Another user on the same connection ---

fn to(user: &str, password: &str) -> ChangeUserOpts {
    ChangeUserOpts::default()
        .with_user(Some(user.to_owned()))
        .with_pass(Some(password.to_owned()))
        .with_db_name(Some(SCHEMA.to_owned()))
}

/// A proxy that knows one more account, and its name, which is also its password.
async fn with_two(cluster: &Cluster) -> (Proxy, String) {
    let user = unique("second");
    cluster.prepare(format!("CREATE USER {user}@'%' IDENTIFIED BY '{user}'; GRANT ALL ON {SCHEMA}.* TO {user}@'%'")).await;
    let users = format!("users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{user}', password = '{user}' }}]");
    (Start::before(cluster).config(&users).start().await, user)
}

async fn a_client_changes_its_user_and_back(cluster: Arc<Cluster>) {
    let (proxy, second) = with_two(&cluster).await;
    let mut client = proxy.client().await;
    let id: u32 = client.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
    for _ in 0..3 {
        for user in [second.as_str(), APP] {
            promptly("a change of user", client.change_user(to(user, user))).await.unwrap();
            for _ in 0..3 {
                assert_eq!(who(&mut client).await, user);
            }
            let schema = client.query_first::<Option<String>, _>("SELECT DATABASE()").await.unwrap().unwrap();
            assert_eq!(schema.as_deref(), Some(SCHEMA));
            assert_eq!(client.query_first::<u32, _>("SELECT CONNECTION_ID()").await.unwrap(), Some(id));
        }
    }
    // Without a schema there is none.
    client.change_user(to(&second, &second).with_db_name(None)).await.unwrap();
    assert_eq!(client.query_first::<Option<String>, _>("SELECT DATABASE()").await.unwrap(), Some(None));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_changed_user_has_nothing_of_the_former_one(cluster: Arc<Cluster>) {
    let (proxy, second) = with_two(&cluster).await;
    let (table, lock) = (unique("t"), unique("lock"));
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT)")).await;
    for user in [second.as_str(), APP] {
        let mut client = proxy.client().await;
        let prepared = client.prep("SELECT 'prepared'").await.unwrap();
        client.query_drop("SET @mine = 5, sort_buffer_size = 123456").await.unwrap();
        client.query_drop(format!("CREATE TEMPORARY TABLE {table}_own (a INT)")).await.unwrap();
        assert_eq!(client.query_first::<u32, _>(format!("SELECT GET_LOCK('{lock}', 0)")).await.unwrap(), Some(1));
        client.query_drop(format!("BEGIN; INSERT INTO {table} VALUES (1)")).await.unwrap();
        client.change_user(to(user, user)).await.unwrap();
        // What it held is free at once.
        let mut other = proxy.client().await;
        assert_eq!(other.query_first::<u32, _>(format!("SELECT GET_LOCK('{lock}', 0)")).await.unwrap(), Some(1));
        assert_eq!(other.query_first::<u32, _>(format!("SELECT COUNT(*) FROM {table} FOR UPDATE")).await.unwrap(), Some(0));
        assert_eq!(client.query_first::<Option<u32>, _>("SELECT @mine").await.unwrap(), Some(None));
        assert_ne!(client.query_first::<u32, _>("SELECT @@sort_buffer_size").await.unwrap(), Some(123_456));
        assert_eq!(code(client.query_drop(format!("SELECT * FROM {table}_own")).await), 1146);
        assert_eq!(code(client.exec_drop(&prepared, ()).await), 1243);
        let route: Option<e2e::mysql_async::Row> = client.query_first("EXPLAIN ROUTE SELECT 1").await.unwrap();
        assert!(!format!("{route:?}").to_lowercase().contains("pinned"), "{route:?}");
        other.disconnect().await.unwrap();
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn a_changed_user_reads_what_the_former_one_wrote(cluster: Arc<Cluster>) {
    let (proxy, second) = with_two(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT)")).await;
    let mut client = proxy.client().await;
    for turn in 1..=40_u32 {
        client.query_drop(format!("INSERT INTO {table} VALUES ({turn})")).await.unwrap();
        let user = if turn % 2 == 0 { APP } else { &second };
        client.change_user(to(user, user)).await.unwrap();
        assert_eq!(client.query_first(format!("SELECT COUNT(*) FROM {table}")).await.unwrap(), Some(turn));
    }
    proxy.finish().await;
}

async fn a_refused_change_of_user_ends_the_connection(cluster: Arc<Cluster>) {
    let (proxy, second) = with_two(&cluster).await;
    for (user, password) in [(second.as_str(), "wrong"), ("nobody", "wrong"), ("nobody", ""), (APP, "")] {
        let mut client = proxy.client().await;
        assert_eq!(code(client.change_user(to(user, password)).await), 1045, "{user} {password}");
        assert!(client.query_drop("SELECT 1").await.is_err());
    }
    let mut client = proxy.client().await;
    let schema = to(&second, &second).with_db_name(Some("no_such_schema".to_owned()));
    assert!(matches!(code(client.change_user(schema).await), 1044 | 1049));
    assert!(client.query_drop("SELECT 1").await.is_err());
    proxy.finish().await;
}

async fn a_change_of_user_of_an_account_that_only_the_servers_know(cluster: Arc<Cluster>) {
    let proxy = passthrough(&cluster, "").await;
    let (user, password) = account(&cluster).await;
    for options in [proxy.options(), over_tls(proxy.options())] {
        let mut client = Conn::new(Opts::from(options)).await.unwrap();
        promptly("a change of user", client.change_user(to(&user, &password))).await.unwrap();
        assert_eq!(who(&mut client).await, user);
        client.change_user(to(APP, APP)).await.unwrap();
        assert_eq!(who(&mut client).await, APP);
        assert_eq!(code(client.change_user(to(&user, "wrong")).await), 1045);
    }
    proxy.finish().await;
}

async fn a_change_of_user_that_makes_no_sense_ends_the_connection(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let garbage: [&[u8]; 5] = [b"", b"app", b"app\0", b"app\0\xff", b"app\0\x05abc"];
    for rest in garbage {
        let mut client = RawClient::login(proxy.address, &LoginAs::new(APP, APP)).await.unwrap();
        client.send_command(&[&[COM_CHANGE_USER], rest].concat()).await;
        let answer = client.receive().await.unwrap();
        assert_eq!(wire::ErrPacket::decode(&answer).unwrap().code, 1835, "{rest:?}");
        client.expect_closed().await;
    }
    // A collation that does not fit into the login at a server.
    let mut client = RawClient::login(proxy.address, &LoginAs::new(APP, APP)).await.unwrap();
    client.send_command(&[&[COM_CHANGE_USER], &b"app\0\0\0\x2c\x01caching_sha2_password\0"[..]].concat()).await;
    let answer = client.receive().await.unwrap();
    assert_eq!(wire::ErrPacket::decode(&answer).unwrap().code, 1115);
    client.expect_closed().await;
    // The client goes silent in the middle: nobody else is disturbed.
    let mut silent = RawClient::login(proxy.address, &LoginAs::new(APP, APP)).await.unwrap();
    silent.send_command(&[&[COM_CHANGE_USER], &b"app\0\0\0\x2d\0caching_sha2_password\0"[..]].concat()).await;
    assert_eq!(silent.receive().await.unwrap()[0], 0xfe);
    assert_eq!(who(&mut proxy.client().await).await, APP);
    proxy.finish().await;
}
