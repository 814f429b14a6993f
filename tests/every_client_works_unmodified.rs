//! Any driver, text or binary protocol, any packet size: what works against a server works here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, Opts, Row, Value};
use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, clients, promptly, unique};
use testkit::{LoginAs, RawClient};
use wire::Capabilities;

e2e::suite! {
    Together: [
        the_mysql_command_line_client,
        the_mariadb_command_line_client,
        pymysql,
        mysql_connector_python,
        mysql_async_with_every_kind_of_value,
        the_greeting_is_that_of_the_primary,
        several_statements_in_one_query,
        procedures_with_several_results,
        packets_of_any_size_to_the_client,
        a_result_of_many_rows,
        clients_that_know_fewer_capabilities,
        a_wrong_password_is_refused,
        an_unknown_user_is_refused,
        an_unknown_schema_is_refused,
        native_passwords,
        full_authentication_by_rsa,
        a_hundred_clients_at_once,
    ],
    // Such statements fill the servers' logs, and others would have to search them.
    OwnCluster: [packets_of_any_size_to_the_server],
}

// --- Programs ---

async fn the_mysql_command_line_client(cluster: Arc<Cluster>) {
    command_line_client(&cluster, Engine::MySql).await;
}

async fn the_mariadb_command_line_client(cluster: Arc<Cluster>) {
    command_line_client(&cluster, Engine::MariaDb).await;
}

/// One engine's client, whichever the servers are.
async fn command_line_client(cluster: &Cluster, client: Engine) {
    let proxy = Proxy::start(cluster).await;
    let table = unique("cli");
    let script = format!(
        "CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20) CHARACTER SET utf8mb4);
        INSERT INTO {table} (a) VALUES ('ä😀'), (NULL), ('three');
        BEGIN; SELECT * FROM {table} ORDER BY id; COMMIT;
        DELIMITER //
        CREATE PROCEDURE {table}_p () BEGIN SELECT 'first'; SELECT 'second'; END//
        DELIMITER ;
        CALL {table}_p();
        USE {SCHEMA}; SELECT DATABASE();
        SELECT LAST_INSERT_ID();
        SELECT CAST('x' AS SIGNED); SHOW WARNINGS;"
    );
    let said = clients::command_line(client, &proxy, APP, &script).await;
    assert!(said.status.success(), "{}", said.errors());
    let warning = "Level\tCode\tMessage\nWarning\t1292\tTruncated incorrect INTEGER value: 'x'";
    assert_eq!(
        said.output().trim_end(),
        format!(
            "id\ta\n1\tä😀\n2\tNULL\n3\tthree\nfirst\nfirst\nsecond\nsecond\nDATABASE()\n{SCHEMA}\nLAST_INSERT_ID()\n1\nCAST('x' AS SIGNED)\n0\n{warning}"
        )
    );

    let failed = clients::command_line(client, &proxy, APP, "SELECT * FROM no_such_table").await;
    assert!(failed.errors().contains("ERROR 1146 (42S02)"), "{}", failed.errors());
    let denied = clients::command_line(client, &proxy, "wrong", "SELECT 1").await;
    assert!(!denied.status.success());
    assert!(
        denied.errors().contains("ERROR 1045 (28000): pointsman: Access denied for user 'app'@'127.0.0.1' (using password: YES)"),
        "{}",
        denied.errors()
    );
    proxy.finish().await;
}

async fn pymysql(cluster: Arc<Cluster>) {
    python("pymysql_client.py", &cluster, &[]).await;
}

async fn mysql_connector_python(cluster: Arc<Cluster>) {
    python("connector_client.py", &cluster, &[]).await;
}

async fn python(script: &str, cluster: &Cluster, arguments: &[&'static str]) {
    let proxy = arguments.iter().fold(Start::before(cluster), |start, argument| start.argument(argument)).start().await;
    let said = clients::python(script, &proxy, &unique("py")).await;
    assert!(said.status.success(), "{}", said.errors());
    assert_eq!(said.output().trim(), "good");
    proxy.finish().await;
}

// --- Values, results, packets ---

async fn mysql_async_with_every_kind_of_value(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    let mut client = proxy.client().await;
    client
        .query_drop(format!(
            "CREATE TABLE {table} (a BIGINT, b BIGINT UNSIGNED, c DOUBLE, d VARCHAR(50) CHARACTER SET utf8mb4, e BLOB, f DATE, g TIME(6), h DATETIME(6), i INT)"
        ))
        .await
        .unwrap();
    let row = vec![
        Value::Int(i64::MIN),
        Value::UInt(u64::MAX),
        Value::Double(-0.1),
        Value::Bytes("ä😀' \\ \"".into()),
        Value::Bytes((0..=255).collect()),
        Value::Date(2024, 2, 29, 0, 0, 0, 0),
        Value::Time(true, 34, 21, 59, 59, 999_999),
        Value::Date(1999, 12, 31, 23, 59, 59, 1),
        Value::NULL,
    ];
    client.exec_drop(format!("INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"), row.clone()).await.unwrap();
    assert_eq!(client.affected_rows(), 1);
    cluster.wait_for_replicas().await;
    for _ in 0..3 {
        let binary: Row = client.exec_first(format!("SELECT * FROM {table}"), ()).await.unwrap().unwrap();
        assert_eq!(binary.unwrap(), row);
        let text: Row = client.query_first(format!("SELECT * FROM {table}")).await.unwrap().unwrap();
        assert_eq!(text.get::<i64, _>(0), Some(i64::MIN));
        assert_eq!(text.get::<u64, _>(1), Some(u64::MAX));
        assert_eq!(text.get::<String, _>(3).as_deref(), Some("ä😀' \\ \""));
        assert_eq!(text.get::<Vec<u8>, _>(4), Some((0..=255).collect()));
        assert_eq!(text.get::<Value, _>(8), Some(Value::NULL));
        assert_eq!(text.columns_ref()[3].name_str(), "d");
        assert_eq!(text.columns_ref()[3].table_str(), table);
    }
    client.ping().await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn the_greeting_is_that_of_the_primary(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let client = RawClient::connect(proxy.address).await.unwrap();
    let direct = cluster.primary().rows::<String>("SELECT @@version", ()).await.remove(0);
    let greeted = String::from_utf8(client.greeting.server_version.clone()).unwrap();
    assert_eq!(greeted.trim_start_matches("5.5.5-"), direct);
    proxy.finish().await;
}

async fn several_statements_in_one_query(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    let mut client = proxy.client().await;
    client.query_drop(format!("CREATE TABLE {table} (a INT)")).await.unwrap();
    let sql = format!(
        "SELECT 1; INSERT INTO {table} VALUES (1), (2); SELECT COUNT(*) FROM {table}; SET @x = 1; SELECT NULL FROM {table} WHERE FALSE"
    );
    let mut results = client.query_iter(&sql).await.unwrap();
    assert_eq!(results.collect::<u32>().await.unwrap(), [1]);
    assert_eq!(results.collect::<u32>().await.unwrap(), [0_u32; 0]);
    assert_eq!(results.collect::<u32>().await.unwrap(), [2]);
    assert_eq!(results.collect::<u32>().await.unwrap(), [0_u32; 0]);
    assert_eq!(results.collect::<u32>().await.unwrap(), [0_u32; 0]);
    results.drop_result().await.unwrap();

    // An error ends it, and what came before counts.
    let error = client
        .query_drop(format!("INSERT INTO {table} VALUES (3); SELECT * FROM no_such_table; INSERT INTO {table} VALUES (4)"))
        .await;
    assert_eq!(code(error), 1146);
    let seen: Vec<u32> = client.query(format!("SELECT a FROM {table} ORDER BY a FOR UPDATE")).await.unwrap();
    assert_eq!(seen, [1, 2, 3]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn procedures_with_several_results(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let name = unique("p");
    cluster
        .prepare(format!("CREATE PROCEDURE guestbook.{name} (IN a INT) BEGIN SELECT a; SELECT a + 1 UNION SELECT a + 2; END"))
        .await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let mut text = client.query_iter(format!("CALL {name}(5)")).await.unwrap();
        assert_eq!(text.collect::<u32>().await.unwrap(), [5]);
        assert_eq!(text.collect::<u32>().await.unwrap(), [6, 7]);
        text.drop_result().await.unwrap();
        let mut binary = client.exec_iter(format!("CALL {name}(?)"), (8,)).await.unwrap();
        assert_eq!(binary.collect::<u32>().await.unwrap(), [8]);
        assert_eq!(binary.collect::<u32>().await.unwrap(), [9, 10]);
        binary.drop_result().await.unwrap();
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Around the longest payload of one packet (2^24 - 1), where a packet of no bytes must follow, and well beyond.
const SIZES: [usize; 5] = [wire::MAX_PAYLOAD - 1, wire::MAX_PAYLOAD, wire::MAX_PAYLOAD + 1, 2 * wire::MAX_PAYLOAD, 40_000_000];

async fn packets_of_any_size_to_the_server(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = raw(&proxy).await;
    for size in SIZES {
        // The payload is the command's byte and the text.
        let (before, after) = ("SELECT LENGTH('", "')");
        let length = size - 1 - before.len() - after.len();
        let sql = format!("{before}{}{after}", "x".repeat(length));
        assert_eq!(client.query_one(&sql).await.expect_rows().single(), length.to_string(), "{size}");
    }
    assert_eq!(client.query_one("SELECT 'in step'").await.expect_rows().single(), "in step");
    drop(client);

    let table = unique("t");
    let mut client = proxy.client().await;
    client.query_drop(format!("CREATE TABLE {table} (a LONGBLOB)")).await.unwrap();
    let value: Vec<u8> = (0..20_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    client.exec_drop(format!("INSERT INTO {table} VALUES (?)"), (&value,)).await.unwrap();
    let seen: Option<Vec<u8>> = client.exec_first(format!("SELECT a FROM {table} FOR UPDATE"), ()).await.unwrap();
    assert!(seen.as_ref() == Some(&value), "the value came back changed: {:?} bytes", seen.map(|seen| seen.len()));
    client.query_drop(format!("DROP TABLE {table}")).await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn packets_of_any_size_to_the_client(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = raw(&proxy).await;
    for size in SIZES {
        // The payload of a row is its only value behind a length of 4 bytes, or of 9 where it does not fit into 3.
        let length = if size - 4 < 1 << 24 { size - 4 } else { size - 9 };
        let rows = client.query_one(&format!("SELECT REPEAT('x', {length}), 1")).await.expect_rows();
        assert_eq!(rows.rows[0][0].as_ref().unwrap().len(), length);
        let rows = client.query_one(&format!("SELECT REPEAT('x', {length}) UNION ALL SELECT 'last'")).await.expect_rows();
        assert_eq!(rows.rows.iter().map(|row| row[0].as_ref().unwrap().len()).collect::<Vec<_>>(), [length, 4]);
    }
    assert_eq!(client.query_one("SELECT 'in step'").await.expect_rows().single(), "in step");
    proxy.finish().await;
}

async fn a_result_of_many_rows(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    let digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 \
        UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let sql = format!(
        "SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n FROM {digits} a, {digits} b, {digits} c, {digits} e ORDER BY n"
    );
    let expected: Vec<u32> = (0..10_000).collect();
    for _ in 0..2 {
        assert!(client.query::<u32, _>(&sql).await.unwrap() == expected);
        assert!(client.exec::<u32, _, _>(&sql, ()).await.unwrap() == expected);
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Old drivers know neither results without EOF packets nor session tracking.
async fn clients_that_know_fewer_capabilities(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (a INT); INSERT INTO guestbook.{table} VALUES (1), (2)")).await;
    let all = testkit::raw::USUAL;
    for without in [
        Capabilities::DEPRECATE_EOF,
        Capabilities::SESSION_TRACK,
        Capabilities::DEPRECATE_EOF | Capabilities::SESSION_TRACK,
        Capabilities::PLUGIN_AUTH_LENENC,
        Capabilities::DEPRECATE_EOF | Capabilities::SESSION_TRACK | Capabilities::MULTI_STATEMENTS | Capabilities::TRANSACTIONS,
    ] {
        let mut client = RawClient::login(proxy.address, &LoginAs { capabilities: all - without, ..app() }).await.unwrap();
        for _ in 0..3 {
            let rows = client.query_one(&format!("SELECT a, NULL FROM {table} ORDER BY a")).await.expect_rows();
            assert_eq!(rows.rows, [[Some(b"1".to_vec()), None], [Some(b"2".to_vec()), None]], "without {without:?}");
            client.query_one(&format!("SELECT a FROM {table} WHERE FALSE")).await.expect_rows();
            client.query_one("SET @a = 1, NAMES utf8mb4").await.expect_ok();
            let id = client.prepare(&format!("SELECT a FROM {table} WHERE a > ?")).await.unwrap().ok.statement_id;
            let rows = client.execute(id, &[Some("1")]).await.remove(0).expect_rows();
            assert_eq!(rows.rows, [[Some(b"2".to_vec())]], "without {without:?}");
        }
        if without.contains(Capabilities::MULTI_STATEMENTS) {
            assert_eq!(
                client.query("SELECT 1; SELECT 2").await.remove(0).expect_err().code,
                1064,
                "several statements were not asked for"
            );
        }
    }
    proxy.finish().await;
}

// --- Logins ---

async fn a_wrong_password_is_refused(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    for plugin in ["caching_sha2_password", "mysql_native_password"] {
        for (password, using) in [("wrong", "YES"), ("", "NO")] {
            let login = LoginAs { plugin: Some(plugin.to_owned()), ..LoginAs::new(APP, password) };
            let error = RawClient::login(proxy.address, &login).await.unwrap_err();
            assert_eq!((error.code, &error.sqlstate), (1045, b"28000"));
            let message = String::from_utf8(error.message).unwrap();
            assert_eq!(
                message,
                format!("pointsman: Access denied for user 'app'@'127.0.0.1' (using password: {using})"),
                "{plugin}"
            );
        }
    }
    proxy.finish().await;
}

/// The answer does not tell that there is no such user.
async fn an_unknown_user_is_refused(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    for plugin in ["caching_sha2_password", "mysql_native_password"] {
        for password in ["wrong", ""] {
            let login = LoginAs { plugin: Some(plugin.to_owned()), ..LoginAs::new("nobody", password) };
            let error = RawClient::login(proxy.address, &login).await.unwrap_err();
            assert_eq!(error.code, 1045);
            assert!(error.message.starts_with(b"pointsman: Access denied for user 'nobody'@'127.0.0.1'"));
        }
    }
    proxy.finish().await;
}

async fn an_unknown_schema_is_refused(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let login = LoginAs { schema: Some("no_such_schema".to_owned()), ..app() };
    let error = match RawClient::login(proxy.address, &login).await {
        Err(error) => error,
        // Pointsman has no server connection yet, so the first statement tells.
        Ok(mut client) => client.query_one("SELECT 1").await.expect_err(),
    };
    // ER_BAD_DB_ERROR, or ER_DBACCESS_DENIED_ERROR where the account must not know.
    assert!(matches!(error.code, 1049 | 1044), "{error:?}");
    let mut client = proxy.client().await;
    assert!(matches!(code(client.query_drop("USE no_such_schema").await), 1049 | 1044));
    client.query_drop("SELECT 1").await.unwrap();
    client.disconnect().await.unwrap();
    let mut log = proxy;
    log.expect_in_log("a server refused the session's state");
    log.finish().await;
}

async fn native_passwords(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let login = LoginAs { plugin: Some("mysql_native_password".to_owned()), ..app() };
    let mut client = RawClient::login(proxy.address, &login).await.unwrap();
    assert_eq!(client.query_one("SELECT 1").await.expect_rows().single(), "1");
    // A client that does not know the plugin of the greeting, nor what plugins are.
    let capabilities = testkit::raw::USUAL - Capabilities::PLUGIN_AUTH - Capabilities::PLUGIN_AUTH_LENENC;
    let login = LoginAs { capabilities, ..login };
    let mut client = RawClient::login(proxy.address, &login).await.unwrap();
    assert_eq!(client.query_one("SELECT 1").await.expect_rows().single(), "1");
    proxy.finish().await;
}

async fn full_authentication_by_rsa(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).argument("--force-full-authentication").start().await;
    let mut client = proxy.client().await;
    assert_eq!(client.query_first::<u32, _>("SELECT 1").await.unwrap(), Some(1));
    client.disconnect().await.unwrap();
    let wrong = Opts::from(proxy.options().pass(Some("wrong")));
    assert_eq!(code(promptly("a login", Conn::new(wrong)).await.map(drop)), 1045);
    let said = clients::command_line(Engine::MySql, &proxy, APP, "SELECT 'in'").await;
    assert_eq!(said.output(), "in\nin\n", "{}", said.errors());
    proxy.finish().await;
    python("pymysql_client.py", &cluster, &["--force-full-authentication"]).await;
}

async fn a_hundred_clients_at_once(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (client INT, turn INT)")).await;
    let mut tasks = Vec::new();
    for number in 0..100_u32 {
        let (options, table) = (proxy.options(), table.clone());
        tasks.push(tokio::spawn(async move {
            let mut client = Conn::new(options).await.unwrap();
            for turn in 0..5_u32 {
                client.exec_drop(format!("INSERT INTO {table} VALUES (?, ?)"), (number, turn)).await.unwrap();
                assert_eq!(
                    client.exec_first::<(u32, u32), _, _>("SELECT ?, ?", (number, turn)).await.unwrap(),
                    Some((number, turn))
                );
                let own = format!("SELECT '{number}-{turn}'");
                assert_eq!(client.query_first::<String, _>(own).await.unwrap(), Some(format!("{number}-{turn}")));
            }
            client.disconnect().await.unwrap();
        }));
    }
    for task in tasks {
        promptly("a client", task).await.unwrap();
    }
    let sum = format!("SELECT COUNT(*), SUM(client * 10 + turn) FROM guestbook.{table}");
    assert_eq!(cluster.primary().rows::<(u32, u32)>(sum, ()).await, [(500, (0..100).map(|client| client * 50 + 10).sum())]);
    proxy.finish().await;
}

// --- Helpers ---

fn app() -> LoginAs {
    LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(APP, APP) }
}

async fn raw(proxy: &Proxy) -> RawClient {
    RawClient::login(proxy.address, &app()).await.expect("the application can log in")
}

#[track_caller]
fn code(outcome: Result<(), Error>) -> u16 {
    match outcome {
        Err(Error::Server(error)) => error.code,
        other => panic!("not a server's error: {other:?}"),
    }
}
