//! The SQL console: any MySQL client asks it, it shows what the API shows and does what the API does, and hostile clients learn and change nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use e2e::clients::{Said, command_line_at, python_at};

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, OptsBuilder, Row};
use e2e::{Cluster, Engine, Proxy, Start, eventually};
use testkit::{LoginAs, RawClient};

e2e::suite! {
    Together: [
        it_shows_servers_sessions_and_statements,
        the_command_line_clients_can_ask_it,
        lists_can_be_asked_as_tables,
        it_explains_routes_rules_and_settings,
        graphical_clients_can_begin,
        it_stops_a_session,
        it_takes_a_replica_out_of_the_reads,
        only_admin_with_the_token_logs_in,
        commands_that_it_does_not_know_are_refused,
        hostile_packets_end_the_session_and_nothing_else,
    ],
    OwnCluster: [it_changes_the_primary],
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The primary is replaced when a person asks for it.
const ON_REQUEST: &str = "failover = { durability = 'manual', user = 'replication', password = 'replication' }";

/// A replica that a busy machine keeps from catching up cannot take over yet.
const BEHIND: &str = " s behind";

async fn start(cluster: &Cluster) -> (Proxy, SocketAddr) {
    let config = format!("{ON_REQUEST}\nadmin.console = '127.0.0.1:0'\nadmin.token = '{TOKEN}'");
    let mut proxy = Start::before(cluster).config(&config).start().await;
    let console = proxy.await_address("the console listens").await;
    (proxy, console)
}

fn options(console: SocketAddr, password: &str) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(console.ip().to_string())
        .tcp_port(console.port())
        .user(Some("admin"))
        .pass(Some(password))
        .prefer_socket(false)
}

async fn connect(console: SocketAddr) -> Conn {
    Conn::new(options(console, TOKEN)).await.expect("the token is right")
}

/// The rows, each by the names of its columns.
async fn rows(client: &mut Conn, sql: &str) -> Vec<BTreeMap<String, Option<String>>> {
    let rows: Vec<Row> = client.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let read = |row: Row| {
        let names: Vec<String> = row.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
        names.into_iter().enumerate().map(|(place, name)| (name, row.get(place).expect("a text"))).collect()
    };
    rows.into_iter().map(read).collect()
}

async fn it_shows_servers_sessions_and_statements(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    let mut client = proxy.client().await;
    client.query_drop("SELECT 'shown by the console'").await.unwrap();
    let mut admin = connect(console).await;
    let servers = rows(&mut admin, "SHOW SERVERS").await;
    let roles: Vec<_> = servers.iter().map(|row| (row["name"].as_deref().unwrap(), row["role"].as_deref().unwrap())).collect();
    assert_eq!(roles, [("db1", "primary"), ("db2", "replica"), ("db3", "replica")]);
    assert_eq!(rows(&mut admin, "SHOW SERVERS LIKE 'db2'").await.len(), 1);
    let sessions = rows(&mut admin, "SHOW SESSIONS").await;
    assert!(sessions.iter().any(|row| row["id"] == Some(client.id().to_string())), "{sessions:?}");
    let digests = rows(&mut admin, "SHOW DIGESTS LIMIT 50").await;
    assert!(digests.iter().any(|row| row["text"].as_deref() == Some("SELECT ?")), "{digests:?}");
    let metrics = rows(&mut admin, "SHOW METRICS LIKE 'pointsman\\_clients'").await;
    assert!(metrics.len() <= 1 && rows(&mut admin, "SHOW METRICS LIKE '%_clients%'").await.len() >= 2);
    let findings = rows(&mut admin, "SHOW FINDINGS").await;
    assert!(findings.iter().any(|row| row["name"].as_deref() == Some("severity")), "{findings:?}");
    assert_eq!(rows(&mut admin, "SHOW POOLS").await.len(), 3);
    assert!(rows(&mut admin, "HELP").await.len() > 8);
    let result = rows(&mut admin, "RESET DIGESTS").await;
    assert!(result[0]["result"].as_deref().unwrap().contains("begin anew"), "{result:?}");
    admin.ping().await.unwrap();
    admin.disconnect().await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// The client of an engine. MariaDB's, from 11.4 on, wants TLS unless it is told otherwise.
async fn command_line(console: SocketAddr, engine: Engine, script: &str) -> Said {
    let tls = if engine == Engine::MariaDb { "--skip-ssl" } else { "--ssl-mode=preferred" };
    command_line_at(console, engine, &["--user=admin", &format!("--password={TOKEN}"), tls], script).await
}

async fn the_command_line_clients_can_ask_it(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    for engine in [Engine::MySql, Engine::MariaDb] {
        let said = command_line(console, engine, "SHOW SERVERS; SHOW POOLS; SELECT 1;").await;
        assert!(said.output().contains("db1") && said.output().contains("db3"), "{said:?}");
    }
    proxy.finish().await;
}

async fn lists_can_be_asked_as_tables(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    let client = proxy.client().await;
    let mut admin = connect(console).await;
    let names = async |admin: &mut Conn, sql: &str| {
        let rows = rows(admin, sql).await;
        rows.into_iter().map(|row| row["name"].clone().unwrap()).collect::<Vec<_>>()
    };
    let replicas = "SELECT name FROM servers WHERE role = 'replica' AND condition <> 'down' ORDER BY name DESC";
    assert_eq!(names(&mut admin, replicas).await, ["db3", "db2"]);
    assert_eq!(names(&mut admin, "SELECT * FROM servers ORDER BY name LIMIT 1, 1").await, ["db2"]);
    let own = format!("SELECT user, schema FROM sessions WHERE id = {}", client.id());
    let sessions = rows(&mut admin, &own).await;
    assert_eq!(sessions[0]["user"].as_deref(), Some("app"), "{sessions:?}");
    client.disconnect().await.unwrap();
    // Columns are known without a row.
    eventually("the session ends", async || rows(&mut admin, &own).await.is_empty().then_some(())).await;
    for table in
        ["servers", "sessions", "digests", "pools", "ejections", "findings", "doctor", "journal", "metrics", "rules", "settings"]
    {
        let count = rows(&mut admin, &format!("SELECT COUNT(*) AS n FROM {table}")).await;
        assert!(count[0]["n"].as_deref().unwrap().parse::<usize>().is_ok(), "{table}: {count:?}");
        assert!(rows(&mut admin, &format!("DESCRIBE {table}")).await.len() >= 2, "{table}");
        rows(&mut admin, &format!("SHOW {table} LIMIT 3")).await;
    }
    for (sql, expected) in [
        ("SELECT colour FROM servers", "there is no column \"colour\"; there are name,"),
        ("SELECT * FROM servers JOIN pools", "the console understands SELECT"),
        ("SELECT * FROM secrets", "there is no table \"secrets\"; there are servers,"),
    ] {
        let error = admin.query_drop(sql).await.expect_err(sql);
        assert!(matches!(&error, Error::Server(error) if error.message.contains(expected)), "{sql}: {error:?}");
    }
    admin.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn it_explains_routes_rules_and_settings(cluster: Arc<Cluster>) {
    let config = format!(
        "{ON_REQUEST}\nadmin.console = '127.0.0.1:0'\nadmin.token = '{TOKEN}'\nrouting.max_lag = '7s'\n\
         [[rules]]\nname = 'reports'\nuser = 'report'\nnetwork = '10.0.0.0/8'\nrefuse = 'not today'\n\
         [[rules]]\nname = 'items'\nuser = 'app'\ntable = 'rule_items'\ntarget = 'primary'\n"
    );
    let mut proxy = Start::before(&cluster).config(&config).start().await;
    let console = proxy.await_address("the console listens").await;
    let mut client = proxy.client().await;
    let mut admin = connect(console).await;
    let decision = async |admin: &mut Conn, sql: &str| {
        let steps = rows(admin, sql).await;
        let last = steps.last().expect("a step");
        assert_eq!(last["step"].as_deref(), Some("decision"), "{steps:?}");
        (last["subject"].clone().unwrap(), last["because"].clone().unwrap())
    };
    let (what, _) = decision(&mut admin, "EXPLAIN ROUTE SELECT 1 FROM t").await;
    assert_eq!(what, "forward");
    let (what, why) = decision(&mut admin, "EXPLAIN ROUTE USER report ADDRESS '10.1.2.3' SELECT 1 FROM t").await;
    assert!(what == "refuse" && why.contains("not today"), "{what}: {why}");
    let (what, _) = decision(&mut admin, "EXPLAIN ROUTE USER report ADDRESS 192.0.2.1 SELECT 1 FROM t").await;
    assert_eq!(what, "forward");
    let (_, why) = decision(&mut admin, "EXPLAIN ROUTE USER 'app' SCHEMA 'guestbook' SELECT 1 FROM rule_items").await;
    assert!(why.contains("a rule asks for this server"), "{why}");
    // What is explained is not counted, what runs is.
    for _ in 0..3 {
        client.query_drop("SELECT 1 FROM rule_items").await.expect_err("there is no such table");
    }
    eventually("three statements are counted", async || {
        let rules = rows(&mut admin, "SHOW RULES").await;
        let told: Vec<_> = rules.iter().map(|rule| (rule["name"].as_deref(), rule["matched"].as_deref())).collect();
        (told == [(Some("reports"), Some("0")), (Some("items"), Some("3"))]).then_some(())
    })
    .await;
    let rules = rows(&mut admin, "SELECT * FROM rules WHERE place = 1").await;
    assert_eq!(rules[0]["conditions"].as_deref(), Some(r#"{"network":["10.0.0.0/8"],"user":["report"]}"#));
    assert_eq!(rules[0]["actions"].as_deref(), Some(r#"{"refuse":"not today"}"#));

    let setting = async |admin: &mut Conn, name: &str| {
        let rows = rows(admin, &format!("SHOW SETTINGS WHERE name = '{name}'")).await;
        ["value", "source", "next"].map(|column| rows[0][column].clone().unwrap_or_default())
    };
    assert_eq!(setting(&mut admin, "routing.max_lag").await, ["7s", "file", ""]);
    assert_eq!(setting(&mut admin, "routing.hold_writes").await, ["10s", "default", ""]);
    assert_eq!(setting(&mut admin, "admin.token").await, ["(not shown)", "file", ""]);
    let all = format!("{:?}", rows(&mut admin, "SHOW SETTINGS").await);
    assert!(!all.contains(TOKEN) && all.contains("servers.db1.weight"), "{all}");
    let later = config.replace("'7s'", "'8s'").replace("[[rules]]", "listen.threads = 1\n[[rules]]").replacen(
        "listen.threads = 1\n[[rules]]\nname = 'items'",
        "[[rules]]\nname = 'items'",
        1,
    );
    let (is_reloaded, said) = proxy.reload(&later).await;
    assert!(is_reloaded, "{said}");
    assert_eq!(setting(&mut admin, "routing.max_lag").await, ["8s", "file", ""]);
    assert_eq!(setting(&mut admin, "listen.threads").await[2], "1");

    let missing = rows(&mut admin, "DOCTOR").await;
    let (_, said) = proxy.ask(&["doctor"]).await;
    for row in &missing {
        assert!(said.contains(row["missing"].as_deref().unwrap()), "{said}\n{missing:?}");
    }
    admin.disconnect().await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn graphical_clients_can_begin(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    let said = python_at("console_client.py", console, &[TOKEN]).await;
    assert_eq!((said.status.code(), said.output().trim()), (Some(0), "good"), "{}", said.errors());
    // The same by the servers' own clients, as far as it is more than one word.
    let script = "SHOW VARIABLES LIKE 'lower_case_table_names'; SHOW DATABASES; USE pointsman; SHOW TABLES; SELECT DATABASE(); \
                  SHOW COLUMNS FROM servers; SELECT name, role FROM servers WHERE name LIKE 'db%' ORDER BY 1 DESC LIMIT 1;";
    for engine in [Engine::MySql, Engine::MariaDb] {
        let said = command_line(console, engine, script).await;
        assert!(said.status.success(), "{said:?}");
        let output = said.output();
        for expected in ["lower_case_table_names\t0", "information_schema", "sessions", "db3\treplica"] {
            assert!(output.contains(expected), "{expected:?} is not in {output}");
        }
    }
    proxy.finish().await;
}

async fn it_stops_a_session(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    let mut client = proxy.client().await;
    let mut admin = connect(console).await;
    rows(&mut admin, &format!("KILL {}", client.id())).await;
    eventually("the session ends", async || client.query_drop("SELECT 1").await.is_err().then_some(())).await;
    let error = admin.query_drop(format!("KILL {}", client.id())).await.expect_err("it is gone");
    assert!(matches!(&error, Error::Server(error) if error.message.contains("there is no session")), "{error:?}");
    admin.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn it_takes_a_replica_out_of_the_reads(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    let mut admin = connect(console).await;
    rows(&mut admin, "SET SERVER db2 STATE = 'drain'").await;
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;
    let servers = rows(&mut admin, "SHOW SERVERS LIKE 'db2'").await;
    assert_eq!(servers[0]["state"].as_deref(), Some("drain"), "{servers:?}");
    rows(&mut admin, "SET SERVER db2 STATE = 'active', WEIGHT = 1").await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    let error = admin.query_drop("SET SERVER db9 WEIGHT = 1").await.expect_err("there is no such server");
    assert!(matches!(&error, Error::Server(error) if error.message.contains("db9")), "{error:?}");
    admin.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn only_admin_with_the_token_logs_in(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    for (user, password) in [("admin", "wrong"), ("admin", ""), ("app", "app"), ("root", TOKEN), ("", "")] {
        let error = Conn::new(options(console, password).user(Some(user))).await.expect_err("it is refused");
        assert!(matches!(&error, Error::Server(error) if error.code == 1045), "{user}: {error:?}");
    }
    connect(console).await.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn commands_that_it_does_not_know_are_refused(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    let mut client = RawClient::login(console, &LoginAs::new("admin", TOKEN)).await.unwrap();
    // A statement to prepare, a change of user, statistics, a cursor, the binary log, nonsense, nothing.
    for payload in [&b"\x16SELECT 1"[..], b"\x11root\0\0", b"\x09", b"\x1c\x01\0\0\0\x01\0\0\0", b"\x12", b"\x77", b""] {
        assert_eq!(client.command(payload).await.expect_err().code, 1047, "{payload:?}");
    }
    for sql in ["DROP TABLE t", "SELECT * FROM mysql.user", "SHOW SECRETS", "\u{fffd}"] {
        assert_eq!(client.query_one(sql).await.expect_err().code, 1064, "{sql}");
    }
    client.command(b"\x1f").await.expect_ok();
    client.command(b"\x0e").await.expect_ok();
    assert_eq!(client.command(b"\x03SHOW \xff\xfe").await.expect_err().code, 1064);
    assert_eq!(client.query_one("SELECT 1").await.expect_rows().rows.len(), 1);
    proxy.finish().await;
}

async fn hostile_packets_end_the_session_and_nothing_else(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    let before = proxy.resident_bytes();
    // Two commands in one write, answered one after the other.
    let mut client = RawClient::login(console, &LoginAs::new("admin", TOKEN)).await.unwrap();
    client.send_bytes(b"\x01\0\0\0\x0e\x01\0\0\0\x0e").await;
    for _ in 0..2 {
        client.expect_response();
        assert_eq!(client.receive().await.unwrap().first(), Some(&0));
    }
    // A sequence number that nobody has asked for, a length that is a lie, a packet of 16 MiB.
    for (bytes, is_told) in [(&b"\x01\0\0\xff\x0e"[..], false), (b"\xff\xff\xff\0\x03SELECT", true)] {
        let mut client = RawClient::login(console, &LoginAs::new("admin", TOKEN)).await.unwrap();
        client.send_bytes(bytes).await;
        if is_told {
            client.expect_response();
            assert_eq!(client.receive().await.unwrap().get(..3), Some(&[0xff, 0x81, 0x04][..]), "1153");
        }
        client.expect_closed().await;
    }
    // Garbage in place of a login, and half a login.
    for bytes in [&b"\x03\0\0\x01abc"[..], b"\xff\xff\xff\x01", b"\x20\0\0\x01\0\0"] {
        let mut client = RawClient::connect(console).await.unwrap();
        client.send_bytes(bytes).await;
        drop(client);
    }
    assert!(proxy.resident_bytes() < before + (32 << 20));
    connect(console).await.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn it_changes_the_primary(cluster: Arc<Cluster>) {
    let (proxy, console) = start(&cluster).await;
    let mut admin = connect(console).await;
    eventually("db2 takes over", async || match admin.query_drop("SWITCHOVER TO db2").await {
        Ok(()) => Some(()),
        Err(Error::Server(error)) if error.message.contains(BEHIND) => None,
        Err(error) => panic!("{error:?}"),
    })
    .await;
    let servers = rows(&mut admin, "SHOW SERVERS LIKE 'primary'").await;
    assert_eq!(servers[0]["name"].as_deref(), Some("db2"), "{servers:?}");
    let error = admin.query_drop("SWITCHOVER TO nobody").await.expect_err("there is no such server");
    assert!(matches!(&error, Error::Server(error) if error.message.contains("nobody")), "{error:?}");
    admin.disconnect().await.unwrap();
    proxy.finish_with(&["the primary is about to be replaced", "a new primary takes writes", BEHIND]).await;
}
