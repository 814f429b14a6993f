//! Any driver, text or binary protocol, any packet size: what works against a server works here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use bytes::Bytes;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, InfileData, Opts, Row, Value};
use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, clients, promptly, unique};
use futures_util::StreamExt as _;
use testkit::raw::{USUAL, execute_payload};
use testkit::{LoginAs, RawClient};
use wire::command::{COM_FIELD_LIST, COM_SET_OPTION, COM_STMT_BULK_EXECUTE, COM_STMT_CLOSE, COM_STMT_FETCH, COM_STMT_RESET};
use wire::{Capabilities, StatusFlags};

e2e::suite! {
    Together: [
        the_mysql_command_line_client,
        the_mariadb_command_line_client,
        pymysql,
        mysql_connector_python,
        mysql_async_with_every_kind_of_value,
        the_greeting_is_that_of_the_primary,
        a_configured_version_is_greeted_with,
        admin_commands_reach_the_primary_if_the_configuration_says_so,
        the_binary_log_is_followed_if_the_configuration_says_so,
        statements_are_executed_in_bulk_where_the_servers_can,
        columns_have_extended_types_where_the_servers_can,
        several_statements_in_one_query,
        procedures_with_several_results,
        procedures_send_results_while_their_own_cursors_are_open,
        packets_of_any_size_to_the_client,
        a_result_of_many_rows,
        clients_that_know_fewer_capabilities,
        a_wrong_password_is_refused,
        an_unknown_user_is_refused,
        an_unknown_schema_is_refused,
        native_passwords,
        full_authentication_by_rsa,
        a_hundred_clients_at_once,
        rows_are_fetched_from_a_cursor,
        several_statements_are_switched_on_and_off,
        the_columns_of_a_table_are_listed,
        compression_that_is_not_offered_is_refused,
        column_definitions_say_that_another_result_follows,
        a_missing_index_is_told_before_the_rows,
        warnings_of_a_statement_that_is_prepared_arrive,
        warnings_are_counted_before_the_rows,
        a_file_of_the_client_is_loaded,
        a_file_that_is_not_whole_is_not_loaded,
    ],
    // Such statements fill the servers' logs, and others would have to search them.
    OwnCluster: [packets_of_any_size_to_the_server],
}

// --- Files ---

/// So many lines of a file, in pieces.
fn file(lines: usize) -> impl Future<Output = Result<InfileData, Error>> + Send + Sync + 'static {
    let piece = |from: usize| {
        (from..(from + 500).min(lines)).map(|id| format!("{id}\tline number {id} of a file\n")).collect::<Vec<_>>().concat()
    };
    let pieces = (0..lines).step_by(500).map(move |from| Ok(Bytes::from(piece(from)))).collect::<Vec<_>>();
    async { Ok(futures_util::stream::iter(pieces).boxed()) }
}

async fn table_for_files(cluster: &Cluster) -> (String, String) {
    let table = unique("file");
    cluster.prepare("SET GLOBAL local_infile = ON").await;
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY, line VARCHAR(100))")).await;
    let load = format!("LOAD DATA LOCAL INFILE 'any' INTO TABLE {table}");
    (table, load)
}

/// A client that can send files.
async fn with_files(proxy: &Proxy) -> RawClient {
    let login = LoginAs { capabilities: USUAL | Capabilities::LOCAL_FILES, ..app() };
    RawClient::login(proxy.address, &login).await.unwrap()
}

async fn a_file_of_the_client_is_loaded(cluster: Arc<Cluster>) {
    const LINES: usize = 100_000;
    let (table, load) = table_for_files(&cluster).await;
    let proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    client.set_infile_handler(file(LINES));
    client.query_drop(&load).await.unwrap();
    assert_eq!((client.affected_rows(), client.get_warnings()), (LINES as u64, 0));
    let count = format!("SELECT COUNT(*), MAX(id), MAX(line) FROM {table}");
    let expected = (LINES, LINES - 1, format!("line number {} of a file", LINES - 1));
    assert_eq!(client.query_first(&count).await.unwrap(), Some(expected.clone()));
    // A client that has no file says so by an empty packet.
    let mut without = with_files(&proxy).await;
    without.send_command(&[b"\x03", load.as_bytes()].concat()).await;
    assert_eq!(without.receive().await.unwrap(), b"\xfbany");
    without.send_next(b"").await;
    assert_eq!(without.receive().await.unwrap().first(), Some(&0));
    assert_eq!(without.query_one(&format!("SELECT COUNT(*) FROM {table}")).await.expect_rows().single(), LINES.to_string());
    // In a transaction, and among several statements.
    client.query_drop("BEGIN").await.unwrap();
    client.query_drop(format!("DELETE FROM {table}")).await.unwrap();
    client.set_infile_handler(file(1000));
    client.query_drop(format!("SELECT 1; {load}; SELECT 2")).await.unwrap();
    assert_eq!(client.query_first(&count).await.unwrap(), Some((1000, 999, "line number 999 of a file".to_owned())));
    // Refused before the file is asked for.
    client.set_infile_handler(file(1000));
    assert_eq!(code(client.query_drop(format!("{load} (id, no_such_column)")).await), 1054);
    client.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(client.query_first(&count).await.unwrap(), Some(expected));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_file_that_is_not_whole_is_not_loaded(cluster: Arc<Cluster>) {
    let (table, load) = table_for_files(&cluster).await;
    let proxy = Start::before(&cluster).config("limits.local_infile = '100KiB'").start().await;
    let is_empty = async || {
        let mut client = proxy.client().await;
        // Waits for whoever still has locks on it.
        client
            .query_drop(format!("INSERT INTO {SCHEMA}.{table} VALUES (-1, ''); DELETE FROM {SCHEMA}.{table} WHERE id = -1"))
            .await
            .unwrap();
        assert_eq!(client.query_first(format!("SELECT COUNT(*) FROM {SCHEMA}.{table}")).await.unwrap(), Some(0));
        client.disconnect().await.unwrap();
    };
    let mut client = proxy.client().await;
    client.set_infile_handler(file(10_000));
    assert_eq!(code(client.query_drop(&load).await), 1153);
    assert!(client.query_drop("SELECT 1").await.is_err(), "the session has ended");
    is_empty().await;
    // A client that leaves in the middle.
    let mut client = with_files(&proxy).await;
    client.send_command(&[b"\x03", load.as_bytes()].concat()).await;
    assert_eq!(client.receive().await.unwrap(), b"\xfbany");
    client.send_next(b"1\tone\n2\ttwo\n").await;
    drop(client);
    is_empty().await;
    proxy.finish().await;
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
    cluster.prepare("SET GLOBAL local_infile = ON").await;
    python("connector_client.py", &cluster, &[]).await;
}

async fn python(script: &str, cluster: &Cluster, arguments: &[&'static str]) {
    let proxy = arguments.iter().fold(Start::before(cluster), |start, argument| start.argument(argument)).start().await;
    let said = clients::python(script, &proxy, &unique("py"), &[]).await;
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

async fn a_configured_version_is_greeted_with(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("listen.server_version = '8.0.99-ours'").start().await;
    let client = RawClient::connect(proxy.address).await.unwrap();
    assert_eq!(client.greeting.server_version, b"8.0.99-ours");
    proxy.finish().await;
}

async fn admin_commands_reach_the_primary_if_the_configuration_says_so(cluster: Arc<Cluster>) {
    const COM_DEBUG: &[u8] = b"\x0d";
    for (config, expected) in [("", 1047), ("security.admin_commands = true", 1227)] {
        let proxy = Start::before(&cluster).config(config).start().await;
        let mut client = raw(&proxy).await;
        assert_eq!(client.command(COM_DEBUG).await.expect_err().code, expected, "{config}");
        assert_eq!(client.query_one("SELECT 1").await.expect_rows().single(), "1");
        proxy.finish().await;
    }
}

async fn the_binary_log_is_followed_if_the_configuration_says_so(cluster: Arc<Cluster>) {
    let table = unique("followed");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT, b LONGTEXT)")).await;
    let monitor = if cluster.engine == Engine::MariaDb { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
    let grants = format!("GRANT REPLICATION SLAVE, {monitor}, SELECT ON *.* TO follower@'%'");
    cluster.prepare(format!("CREATE USER IF NOT EXISTS follower@'%' IDENTIFIED BY 'follower'; {grants}")).await;
    let users = "users = [{ name = 'app', password = 'app' }, { name = 'follower', password = 'follower' }]";
    let proxy = Start::before(&cluster).config(users).start().await;
    let mut client = raw(&proxy).await;
    for command in [0x12, 0x15, 0x1e] {
        let error = client.command(&[command, 0, 0]).await.expect_err();
        assert_eq!(error.code, 1235);
        assert!(String::from_utf8_lossy(&error.message).contains("security.binlog_commands"));
    }
    proxy.finish().await;
    let config = format!("security.binlog_commands = true\n{users}");
    let proxy = Start::before(&cluster).config(&config).start().await;
    let said = clients::python("binlog_client.py", &proxy, &table, &[]).await;
    assert_eq!(said.output(), "good\n", "{}", said.errors());
    // Without the right to it, and from a place that is not there, the server's own words.
    let mut client = raw(&proxy).await;
    client.send_command(b"\x12\x04\0\0\0\0\0\x09\0\0\0no_such_log").await;
    let error = client.receive().await.unwrap();
    assert!(matches!(wire::ErrPacket::decode(&error).unwrap().code, 1227 | 1142 | 1045));
    assert_eq!(client.query_one("SELECT 'in step'").await.expect_rows().single(), "in step");
    proxy.finish().await;
}

/// One set of a number and a text for a bulk execution, each with its indicator.
fn bulk_row(number: i32, text: Option<&str>) -> Vec<u8> {
    let text = match text {
        Some(text) => [&[0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat(),
        None => vec![1],
    };
    [&[0], &number.to_le_bytes()[..], &text].concat()
}

async fn statements_are_executed_in_bulk_where_the_servers_can(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("bulk");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT PRIMARY KEY, b VARCHAR(20))")).await;
    let capabilities = (USUAL - Capabilities::LONG_PASSWORD) | Capabilities::MARIADB_STMT_BULK_OPERATIONS;
    let mut client = RawClient::login(proxy.address, &LoginAs { capabilities, ..app() }).await.unwrap();
    if cluster.engine == Engine::MySql {
        assert!(!client.capabilities.contains(Capabilities::MARIADB_STMT_BULK_OPERATIONS));
        assert_eq!(client.command(&[COM_STMT_BULK_EXECUTE, 1, 0, 0, 0, 0, 0]).await.expect_err().code, 1047);
        return proxy.finish().await;
    }
    let insert = client.prepare(&format!("INSERT INTO {table} VALUES (?, ?)")).await.unwrap().ok.statement_id;
    let bulk = |id: u32, types: Option<&[u8]>, rows: &[Vec<u8>]| {
        let flags = u16::from(types.is_some()) * 128;
        [&[COM_STMT_BULK_EXECUTE][..], &id.to_le_bytes(), &flags.to_le_bytes(), types.unwrap_or_default(), &rows.concat()]
            .concat()
    };
    // MYSQL_TYPE_LONG and MYSQL_TYPE_VAR_STRING.
    let types = [3, 0, 253, 0];
    let rows = [bulk_row(1, Some("one")), bulk_row(2, None), bulk_row(3, Some("three"))];
    client.command(&bulk(insert, Some(&types), &rows)).await.expect_ok();
    // The types are known from here on, also to another connection, and to "the statement prepared last".
    client.command(&bulk(insert, None, &[bulk_row(4, Some("four"))])).await.expect_ok();
    client.command(&bulk(wire::LAST_STATEMENT, None, &[bulk_row(5, None)])).await.expect_ok();
    let error = client.command(&bulk(insert, None, &[bulk_row(6, None), bulk_row(1, None)])).await.expect_err();
    assert_eq!(error.code, 1062);
    assert_eq!(client.command(&bulk(77, None, &[])).await.expect_err().code, 1243);
    let all = format!("SELECT GROUP_CONCAT(a, IFNULL(b, '-') ORDER BY a) FROM {table}");
    assert_eq!(client.query_one(&all).await.expect_rows().single(), "1one,2-,3three,4four,5-");
    // Whoever breaks off in the middle of a value breaks the protocol, as the server finds.
    client.send_command(&bulk(insert, Some(&types), &[vec![0, 1]])).await;
    assert!(client.receive().await.is_ok_and(|answer| answer[0] == 0xff));
    drop(client);
    assert_eq!(raw(&proxy).await.query_one("SELECT 'others go on'").await.expect_rows().single(), "others go on");
    proxy.finish().await;
}

/// The definition of the only column of a result, and its row.
async fn definition_and_row(client: &mut RawClient, sql: &str) -> (Vec<u8>, Vec<u8>) {
    client.send_command(&[&[wire::COM_QUERY][..], sql.as_bytes()].concat()).await;
    assert_eq!(client.receive().await.unwrap(), [1], "{sql}");
    let definition = client.receive().await.unwrap();
    let row = client.receive().await.unwrap();
    assert_eq!(client.receive().await.unwrap()[0], wire::result::EOF_HEADER);
    (definition, row)
}

async fn columns_have_extended_types_where_the_servers_can(cluster: Arc<Cluster>) {
    /// What follows the names: its type, as a format (1) with a name of four bytes; nothing; nothing at all. Then the length of the fixed fields.
    const JSON: &[u8] = b"\x06\x01\x04json\x0c";
    const EMPTY: &[u8] = b"\x00\x0c";
    const FIXED: &[u8] = b"\x0c";

    let proxy = Proxy::start(&cluster).await;
    let table = unique("json");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a JSON); INSERT INTO {SCHEMA}.{table} VALUES ('{{}}')")).await;
    let extended = (USUAL - Capabilities::LONG_PASSWORD) | Capabilities::MARIADB_EXTENDED_METADATA;
    for (capabilities, json, empty) in [(extended, JSON, EMPTY), (USUAL, FIXED, FIXED), (extended, JSON, EMPTY)] {
        let mut client = RawClient::login(proxy.address, &LoginAs { capabilities, ..app() }).await.unwrap();
        let has_types = client.capabilities.contains(Capabilities::MARIADB_EXTENDED_METADATA);
        assert_eq!(has_types, cluster.engine == Engine::MariaDb && capabilities == extended);
        let (json, empty) = if has_types { (json, empty) } else { (FIXED, FIXED) };
        // From a replica, from the primary, from Pointsman itself.
        for (sql, name, types, row) in [
            (format!("SELECT a FROM {table}"), "a", json, Some(&b"\x02{}"[..])),
            (format!("SELECT a FROM {table} FOR UPDATE"), "a", json, Some(b"\x02{}")),
            ("SELECT CONNECTION_ID()".to_owned(), "CONNECTION_ID()", empty, None),
        ] {
            let (definition, received) = definition_and_row(&mut client, &sql).await;
            let mut reader = wire::Reader::new(&definition);
            let names: Vec<_> = (0..6).map(|_| reader.lenenc_bytes().unwrap()).collect();
            assert_eq!(names[4], name.as_bytes());
            assert_eq!(reader.take(types.len()).unwrap(), types, "{sql} with {capabilities:?}");
            assert_eq!(reader.rest().len(), 12);
            assert!(row.is_none_or(|row| row == received), "{sql}");
        }
    }
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

async fn procedures_send_results_while_their_own_cursors_are_open(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let name = unique("p");
    let body = "DECLARE a INT; DECLARE c CURSOR FOR SELECT 1 UNION SELECT 2; OPEN c; FETCH c INTO a; \
        SELECT 1 AS x LIMIT 0; SELECT 2 AS y, 3 AS z LIMIT 0; SELECT a";
    cluster.prepare(format!("CREATE PROCEDURE {SCHEMA}.{name} () BEGIN {body}; END")).await;
    for capabilities in [USUAL, USUAL - Capabilities::DEPRECATE_EOF] {
        let mut client = RawClient::login(proxy.address, &LoginAs { capabilities, ..app() }).await.unwrap();
        let call = client.prepare(&format!("CALL {name}()")).await.unwrap().ok.statement_id;
        let mut text = vec![wire::COM_QUERY];
        text.extend_from_slice(format!("CALL {name}()").as_bytes());
        let binary = execute_payload(call, &[]);
        let mut with_cursor = binary.clone();
        with_cursor[5] = wire::CURSOR_TYPE_READ_ONLY;
        for (command, is_binary) in [(text, false), (binary, true), (with_cursor, true)] {
            client.send_command(&command).await;
            let answers = client.answers(is_binary).await.unwrap();
            let [empty, another, last, end] = <[_; 4]>::try_from(answers).expect("three results and an OK");
            assert_eq!(empty.expect_rows().columns, ["x"]);
            assert_eq!(another.expect_rows().columns, ["y", "z"]);
            assert_eq!(last.expect_rows().single(), "1");
            end.expect_ok();
        }
        // Nothing is left that keeps the session from sharing connections.
        assert_eq!(client.query_one("SELECT 'in step'").await.expect_rows().single(), "in step");
    }
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
        // The payload of a row is its only value after a length of 4 bytes, or of 9 where it does not fit into 3.
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

// --- Commands that few drivers use ---

/// The status of the packet that ends rows, for clients of either kind.
fn end_status(client: &RawClient, payload: &[u8]) -> StatusFlags {
    assert_eq!(payload[0], 0xfe, "{payload:?}");
    if client.capabilities.contains(Capabilities::DEPRECATE_EOF) {
        wire::OkPacket::decode(payload, client.capabilities).unwrap().status
    } else {
        wire::EofPacket::decode(payload).unwrap().status
    }
}

async fn open_cursor(client: &mut RawClient, statement: u32) {
    let mut payload = testkit::raw::execute_payload(statement, &[]);
    payload[5] = wire::CURSOR_TYPE_READ_ONLY;
    client.send_command(&payload).await;
    assert_eq!(client.receive().await.unwrap(), [1], "one column");
    assert_ne!(client.receive().await.unwrap()[0], 0xfe, "its definition");
    let end = client.receive().await.unwrap();
    assert!(end_status(client, &end).contains(StatusFlags::CURSOR_EXISTS), "the rows wait");
}

/// Up to `count` rows, and whether the cursor has more.
async fn fetch(client: &mut RawClient, statement: u32, count: u32) -> Result<(usize, bool), u16> {
    client.send_command(&[&[COM_STMT_FETCH][..], &statement.to_le_bytes(), &count.to_le_bytes()].concat()).await;
    let mut rows = 0;
    loop {
        let payload = client.receive().await.unwrap();
        match payload[0] {
            0xff => return Err(wire::ErrPacket::decode(&payload).unwrap().code),
            0xfe => return Ok((rows, !end_status(client, &payload).contains(StatusFlags::LAST_ROW_SENT))),
            _ => rows += 1,
        }
    }
}

async fn rows_are_fetched_from_a_cursor(cluster: Arc<Cluster>) {
    // A cursor is more than an idle session gives back.
    let proxy = Start::before(&cluster).config("timeouts.session_idle = '50ms'").start().await;
    let table = unique("cursor");
    let values = (0..10).map(|n| format!("({n})")).collect::<Vec<_>>().join(", ");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT); INSERT INTO {SCHEMA}.{table} VALUES {values}")).await;
    for capabilities in [USUAL, USUAL - Capabilities::DEPRECATE_EOF] {
        let mut client = RawClient::login(proxy.address, &LoginAs { capabilities, ..app() }).await.unwrap();
        let one = client.prepare(&format!("SELECT a FROM {table}")).await.unwrap().ok.statement_id;
        let two = client.prepare(&format!("SELECT a + 1 FROM {table} LIMIT 4")).await.unwrap().ok.statement_id;
        assert_eq!(fetch(&mut client, one, 1).await, Err(1421), "nothing is open yet");
        open_cursor(&mut client, one).await;
        assert_eq!(fetch(&mut client, one, 3).await, Ok((3, true)));
        open_cursor(&mut client, two).await;
        // Other statements in between, wherever they run.
        for _ in 0..4 {
            assert_eq!(client.query_one("SELECT 'between'").await.expect_rows().single(), "between");
        }
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        assert_eq!(fetch(&mut client, one, 5).await, Ok((5, true)));
        assert_eq!(fetch(&mut client, two, 9).await, Ok((4, false)));
        assert_eq!(fetch(&mut client, one, 9).await, Ok((2, false)));
        assert_eq!(fetch(&mut client, one, 9).await, Err(1421));
        // Again, and closed before its end.
        open_cursor(&mut client, one).await;
        assert_eq!(fetch(&mut client, one, 1).await, Ok((1, true)));
        client.command(&[&[COM_STMT_RESET][..], &one.to_le_bytes()].concat()).await.expect_ok();
        assert_eq!(fetch(&mut client, one, 1).await, Err(1421));
        open_cursor(&mut client, one).await;
        client.send_command(&[&[COM_STMT_CLOSE][..], &one.to_le_bytes()].concat()).await;
        assert_eq!(fetch(&mut client, one, 1).await, Err(1243));
        // Without rows to wait for there is no cursor, and the whole answer comes at once.
        let update = client.prepare(&format!("UPDATE {table} SET a = a")).await.unwrap().ok.statement_id;
        let mut payload = testkit::raw::execute_payload(update, &[]);
        payload[5] = wire::CURSOR_TYPE_READ_ONLY;
        client.command(&payload).await.expect_ok();
        assert_eq!(client.query_one("SELECT 'in step'").await.expect_rows().single(), "in step");
    }
    proxy.finish().await;
}

async fn several_statements_are_switched_on_and_off(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let login = LoginAs { capabilities: USUAL - Capabilities::MULTI_STATEMENTS, ..app() };
    let mut client = RawClient::login(proxy.address, &login).await.unwrap();
    let option = |option: u16| [&[COM_SET_OPTION][..], &option.to_le_bytes()].concat();
    for sql in ["SELECT 1; SELECT 2", "DO 1; SET @a = 1; SELECT 2"] {
        for _ in 0..4 {
            assert_eq!(client.query(sql).await.remove(0).expect_err().code, 1064);
        }
        let answer = command(&mut client, &option(0)).await;
        assert_eq!(end_status(&client, &answer), StatusFlags::AUTOCOMMIT);
        for _ in 0..4 {
            assert_eq!(client.query(sql).await.pop().unwrap().expect_rows().single(), "2");
        }
        let answer = command(&mut client, &option(1)).await;
        end_status(&client, &answer);
    }
    assert_eq!(client.query("SELECT 1; SELECT 2").await.remove(0).expect_err().code, 1064);
    assert_eq!(client.command(&option(2)).await.expect_err().code, 1047);
    proxy.finish().await;
}

/// The only packet of an answer.
async fn command(client: &mut RawClient, payload: &[u8]) -> Vec<u8> {
    client.send_command(payload).await;
    client.receive().await.unwrap()
}

async fn the_columns_of_a_table_are_listed(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("listed");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT, b INT, c INT)")).await;
    for capabilities in [USUAL, USUAL - Capabilities::DEPRECATE_EOF] {
        let mut client = RawClient::login(proxy.address, &LoginAs { capabilities, ..app() }).await.unwrap();
        client.send_command(&[&[COM_FIELD_LIST], table.as_bytes(), b"\0"].concat()).await;
        let mut columns = 0;
        loop {
            let payload = client.receive().await.unwrap();
            if payload[0] == 0xfe {
                break;
            }
            columns += 1;
        }
        assert_eq!(columns, 3);
        assert_eq!(command(&mut client, &[&[COM_FIELD_LIST][..], b"no_such_table\0"].concat()).await[0], 0xff);
        assert_eq!(client.query_one("SELECT 'in step'").await.expect_rows().single(), "in step");
    }
    proxy.finish().await;
}

/// It would begin at once, and neither side would understand the other any more.
async fn compression_that_is_not_offered_is_refused(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("listen.compression = []").start().await;
    for flag in [Capabilities::COMPRESS, Capabilities::ZSTD_COMPRESSION] {
        let mut client = RawClient::connect(proxy.address).await.unwrap();
        let mut payload = wire_login(&client.greeting);
        let flags = u32::from_le_bytes(payload[..4].try_into().unwrap()) | flag.protocol_half();
        payload[..4].copy_from_slice(&flags.to_le_bytes());
        client.send_next(&payload).await;
        let answer = client.receive().await.unwrap();
        let error = wire::ErrPacket::decode(&answer).unwrap();
        assert!(String::from_utf8_lossy(error.message).contains("compression"), "{error:?}");
        client.expect_closed().await;
    }
    proxy.finish().await;
}

/// A login without its proof.
fn wire_login(greeting: &wire::Greeting) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    let plugin = greeting.auth_plugin.clone();
    wire::Login {
        capabilities: USUAL,
        max_packet: 1 << 24,
        collation: 45,
        user: APP.as_bytes(),
        auth_response: b"",
        schema: None,
        auth_plugin: Some(&plugin),
        attributes: None,
        zstd_level: 0,
    }
    .encode(&mut out);
    out.to_vec()
}

/// MariaDB's C library skips the rows of a result that nobody reads, and believes the status before them.
async fn column_definitions_say_that_another_result_follows(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let name = unique("p");
    cluster.prepare(format!("CREATE PROCEDURE {SCHEMA}.{name} () BEGIN SELECT 1; SELECT REPEAT('x', 300000); END")).await;
    let login = LoginAs { capabilities: USUAL - Capabilities::DEPRECATE_EOF, ..app() };
    // So that the server knows the password.
    drop(raw(&proxy).await);
    for address in [cluster.primary().address(), proxy.address] {
        let mut client = RawClient::login(address, &login).await.unwrap();
        let large = "SELECT REPEAT('x', 300000)";
        for (sql, expected) in [
            (format!("CALL {name}()"), vec![true, true]),
            ("SELECT 1; SELECT 2".to_owned(), vec![true, false]),
            (format!("{large}; DO 1; {large}"), vec![true, false]),
            (format!("{large}; -- the end"), vec![true]),
            (format!("{large};"), vec![false]),
            (format!("{large}; CALL {name}(); {large}"), vec![true, true, true, false]),
        ] {
            client.send_command(&[b"\x03", sql.as_bytes()].concat()).await;
            let mut follows = Vec::new();
            loop {
                let packet = client.receive().await.unwrap();
                let end = if packet[0] == 0 {
                    wire::OkPacket::decode(&packet, client.capabilities).unwrap().status
                } else {
                    client.receive().await.unwrap();
                    let packet = client.receive().await.unwrap();
                    follows.push(end_status(&client, &packet).contains(StatusFlags::MORE_RESULTS));
                    client.receive().await.unwrap();
                    let packet = client.receive().await.unwrap();
                    end_status(&client, &packet)
                };
                if !end.contains(StatusFlags::MORE_RESULTS) {
                    break;
                }
            }
            assert_eq!(follows, expected, "{sql} at {address}");
        }
    }
    proxy.finish().await;
}

/// A client may ask for the count of warnings before it reads the rows, as PHP's mysqli does after an execution. It is in the EOF after the column
/// definitions.
async fn warnings_are_counted_before_the_rows(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a VARCHAR(10), KEY (a))")).await;
    let capabilities = USUAL - Capabilities::DEPRECATE_EOF;
    // The parser warns of the first, the optimizer of the second.
    let (setting, sql) = match cluster.engine {
        Engine::MySql => ("SET @any = 1", format!("SELECT SQL_CALC_FOUND_ROWS a FROM {table} FOR UPDATE")),
        Engine::MariaDb => ("SET note_verbosity = 'unusable_keys'", format!("SELECT a FROM {table} WHERE a = 1 FOR UPDATE")),
    };
    let counts = async |address| {
        let mut client =
            RawClient::login(address, &LoginAs { capabilities, schema: Some(SCHEMA.to_owned()), ..app() }).await.unwrap();
        client.query_one(setting).await.expect_ok();
        // There are no rows: after the definition and its EOF comes that of the rows.
        let (_, eof) = definition_and_row(&mut client, &sql).await;
        wire::EofPacket::decode(&eof).unwrap().warnings
    };
    // So that the server knows the password.
    drop(raw(&proxy).await);
    let (direct, here) = (counts(cluster.primary().address()).await, counts(proxy.address).await);
    assert_eq!((direct, here), (1, 1));
    proxy.finish().await;
}

/// The same for what the optimizer has found: PHP's mysqli reports missing indexes by it.
async fn a_missing_index_is_told_before_the_rows(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    let filled = "(a INT PRIMARY KEY, b INT); INSERT INTO";
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} {filled} {SCHEMA}.{table} VALUES (1, 1), (2, 2)")).await;
    let capabilities = USUAL - Capabilities::DEPRECATE_EOF;
    let flags = async |address, condition: &str| {
        let mut client =
            RawClient::login(address, &LoginAs { capabilities, schema: Some(SCHEMA.to_owned()), ..app() }).await.unwrap();
        let sql = format!("SELECT a FROM {table} WHERE {condition} FOR UPDATE");
        client.send_command(&[b"\x03", sql.as_bytes()].concat()).await;
        let mut packets = Vec::new();
        for _ in 0..3 {
            packets.push(client.receive().await.unwrap());
        }
        let [_count, _definition, eof] = &packets[..] else { panic!("{packets:?}") };
        wire::EofPacket::decode(eof).unwrap().status.contains(StatusFlags::NO_INDEX_USED)
    };
    // So that the server knows the password.
    drop(raw(&proxy).await);
    for (condition, lacks_index) in [("b = 1", true), ("a = 1", false)] {
        let (direct, here) = (flags(cluster.primary().address(), condition).await, flags(proxy.address, condition).await);
        assert_eq!((direct, here), (lacks_index, lacks_index), "{condition}");
    }
    proxy.finish().await;
}

async fn warnings_of_a_statement_that_is_prepared_arrive(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT)")).await;
    let capabilities = USUAL - Capabilities::DEPRECATE_EOF;
    // Warnings that a server gives while it prepares: a deprecated function's, for example. What the servers say is what must arrive.
    let sql = match cluster.engine {
        Engine::MySql => "SELECT SQL_CALC_FOUND_ROWS ?",
        Engine::MariaDb => "SELECT ? PROCEDURE ANALYSE()",
    };
    let count = async |address| {
        let mut client = RawClient::login(address, &LoginAs { capabilities, ..app() }).await.unwrap();
        client.send_command(&[&[wire::command::COM_STMT_PREPARE], sql.as_bytes()].concat()).await;
        let first = client.receive().await.unwrap();
        if first[0] == 0xff {
            return Vec::new();
        }
        let ok = wire::PrepareOk::decode(&first).unwrap();
        let mut warnings = vec![ok.warnings];
        for count in [ok.params, ok.columns].into_iter().filter(|count| *count > 0) {
            for _ in 0..count {
                client.receive().await.unwrap();
            }
            warnings.push(wire::EofPacket::decode(&client.receive().await.unwrap()).unwrap().warnings);
        }
        warnings
    };
    // So that the server knows the password.
    drop(raw(&proxy).await);
    let (direct, here) = (count(cluster.primary().address()).await, count(proxy.address).await);
    assert_eq!(direct, here);
    if cluster.engine == Engine::MySql {
        assert!(direct.iter().any(|warnings| *warnings > 0), "it proves nothing: {direct:?}");
    }
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
