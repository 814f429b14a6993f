//! What a session had on a server connection is there, or the session is told that it is gone: it never gets the answer of a connection that
//! knows nothing of it. And what ends a state reaches the server that has it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error};
use e2e::{APP, Cluster, Proxy, SCHEMA, Start, eventually, promptly, unique};
use testkit::{LoginAs, RawClient};

e2e::suite! {
    Together: [
        the_last_insert_id_is_not_made_up,
        an_unseen_insert_id_is_not_made_up_either,
        user_variables_are_not_made_up,
        the_loss_of_a_temporary_table_is_reported_once,
        row_count_and_found_rows_come_from_their_own_connection,
        a_prepared_statement_keeps_its_sql_mode,
        a_prepared_statement_keeps_its_character_set,
    ],
    Alone: [
        what_makes_a_server_read_only_can_be_undone,
    ],
}

/// Closes a session's connection to the primary.
async fn cut(cluster: &Cluster, client: &mut Conn) {
    let id: u64 = client.query_first("SELECT CONNECTION_ID() + 0").await.unwrap().unwrap();
    cluster.primary().close_connection(id).await;
}

#[track_caller]
fn told<T: std::fmt::Debug>(outcome: Result<T, Error>) -> u16 {
    match outcome {
        Err(Error::Server(error)) => error.code,
        other => panic!("no error of a server: {other:?}"),
    }
}

async fn ids(cluster: &Cluster) -> String {
    let table = unique("ids");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT AUTO_INCREMENT PRIMARY KEY, a INT)")).await;
    table
}

async fn the_last_insert_id_is_not_made_up(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = ids(&cluster).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("INSERT INTO {table} (a) VALUES (10)")).await.unwrap();
    cut(&cluster, &mut client).await;
    for sql in [
        format!("INSERT INTO {table} (a) VALUES (LAST_INSERT_ID())"),
        format!("UPDATE {table} SET a = LAST_INSERT_ID ( )"),
        "SELECT LAST_INSERT_ID()".to_owned(),
        "SELECT @@identity".to_owned(),
    ] {
        assert_eq!(told(client.query_drop(&sql).await), 1105, "{sql}");
    }
    assert_eq!(cluster.primary().rows::<u32>(format!("SELECT a FROM {SCHEMA}.{table}"), ()).await, [10]);
    // The session is as good as ever, and knows the next one.
    client.query_drop(format!("INSERT INTO {table} (a) VALUES (20)")).await.unwrap();
    client.query_drop(format!("INSERT INTO {table} (a) VALUES (LAST_INSERT_ID())")).await.unwrap();
    assert_eq!(cluster.primary().rows::<u32>(format!("SELECT a FROM {SCHEMA}.{table}"), ()).await, [10, 20, 2]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// No answer names what a procedure inserts.
async fn an_unseen_insert_id_is_not_made_up_either(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_loss_of_connections();
    let table = ids(&cluster).await;
    cluster.prepare(format!("CREATE PROCEDURE {SCHEMA}.{table}_p () INSERT INTO {table} (a) VALUES (1)")).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("CALL {table}_p()")).await.unwrap();
    cut(&cluster, &mut client).await;
    let code = told(client.query_drop("SELECT LAST_INSERT_ID()").await);
    assert!(matches!(code, 1105 | 1158), "{code}");
    proxy.finish().await;
}

async fn user_variables_are_not_made_up(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    client.query_drop("SET @a = 5").await.unwrap();
    cut(&cluster, &mut client).await;
    // Its value is known, so that it is set again.
    assert_eq!(client.query_first::<u32, _>("SELECT @a").await.unwrap(), Some(5));
    client.query_drop("SET @a = 2 + 3").await.unwrap();
    cut(&cluster, &mut client).await;
    assert_eq!(told(client.query_drop("SELECT @a").await), 1158);
    // Once told, the session goes on without.
    assert_eq!(client.query_first::<Option<u32>, _>("SELECT @a").await.unwrap(), Some(None));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn the_loss_of_a_temporary_table_is_reported_once(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("temporary");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT)")).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("CREATE TEMPORARY TABLE {table} (b INT)")).await.unwrap();
    cut(&cluster, &mut client).await;
    // There is another table of that name.
    assert_eq!(told(client.query_drop(format!("SELECT * FROM {table}")).await), 1158);
    client.query_drop(format!("SELECT a FROM {table}")).await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn row_count_and_found_rows_come_from_their_own_connection(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = ids(&cluster).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    let mut client = proxy.client().await;
    // A replica has read, and the primary would say something else.
    client.query_drop("SELECT 1 UNION SELECT 2").await.unwrap();
    assert_eq!(told(client.query_drop(format!("INSERT INTO {table} (a) VALUES (FOUND_ROWS())")).await), 1105);
    client.query_drop("SELECT 1 UNION SELECT 2").await.unwrap();
    assert_eq!(client.query_first::<u32, _>("SELECT FOUND_ROWS()").await.unwrap(), Some(2));
    client.query_drop(format!("INSERT INTO {table} (a) VALUES (1), (2), (3)")).await.unwrap();
    client.query_drop(format!("INSERT INTO {table} (a) VALUES (ROW_COUNT())")).await.unwrap();
    let last = format!("SELECT a FROM {SCHEMA}.{table} ORDER BY id DESC LIMIT 1");
    assert_eq!(cluster.primary().rows::<u32>(last, ()).await, [3]);
    client.query_drop("DO 1").await.unwrap();
    cut(&cluster, &mut client).await;
    // Alone, it is known from the answer to what asked for the number; inside of a statement it is not.
    assert_eq!(client.query_first::<i32, _>("SELECT ROW_COUNT()").await.unwrap(), Some(-1));
    client.query_drop("DO 1").await.unwrap();
    cut(&cluster, &mut client).await;
    assert_eq!(told(client.query_drop("SELECT ROW_COUNT() + 1").await), 1105);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn raw(proxy: &Proxy) -> RawClient {
    RawClient::login(proxy.address, &LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(APP, APP) }).await.unwrap()
}

/// Executes a statement until both replicas have done so; all answers.
async fn execute_everywhere(cluster: &Cluster, client: &mut RawClient, statement: u32, mark: &str) -> Vec<String> {
    let mut answers = Vec::new();
    eventually("an execution on both replicas", async || {
        let rows = client.execute(statement, &[]).await.remove(0).expect_rows();
        answers.push(String::from_utf8(rows.rows[0][0].clone().unwrap()).unwrap());
        let ran = cluster.who_ran(mark).await;
        (ran.contains(&"db2") && ran.contains(&"db3")).then_some(())
    })
    .await;
    answers.dedup();
    answers
}

async fn a_prepared_statement_keeps_its_sql_mode(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT); INSERT INTO {SCHEMA}.{table} VALUES (42)")).await;
    for (then, expression, expected, now) in [
        ("SET sql_mode = 'ANSI_QUOTES'", "\"a\"", "42", "SET sql_mode = ''"),
        ("SET sql_mode = ''", "\"a\"", "a", "SET sql_mode = 'ANSI_QUOTES'"),
        ("SET sql_mode = 'PIPES_AS_CONCAT'", "'1' || '2'", "12", "SET sql_mode = ''"),
        ("SET sql_mode = ''", "'1' || '2'", "1", "SET sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')"),
        ("DO 1", "'1' || '2'", "1", "SET sql_mode = 'PIPES_AS_CONCAT'"),
    ] {
        let mut client = raw(&proxy).await;
        client.query_one(then).await.expect_ok();
        let mark = unique("mode");
        // One replica prepares it now, the other one when the mode is another.
        let statement =
            client.prepare(&format!("SELECT CAST({expression} AS CHAR) FROM {table} WHERE '{mark}' <> ''")).await.unwrap();
        client.query_one(now).await.expect_ok();
        let answers = execute_everywhere(&cluster, &mut client, statement.ok.statement_id, &mark).await;
        assert_eq!(answers, [expected], "{then}; {expression}; {now}");
        // And the session's own mode is what it has set.
        let mode = client.query_one("SELECT '1' || '2'").await.expect_rows().single();
        assert_eq!(mode == "12", now.contains("PIPES"), "{now}");
    }
    proxy.finish().await;
}

async fn a_prepared_statement_keeps_its_character_set(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = raw(&proxy).await;
    client.query_one("SET NAMES latin1").await.expect_ok();
    let mark = unique("charset");
    // Two letters in latin1, one in utf8mb4.
    let statement = client.prepare(&format!("SELECT CHAR_LENGTH('\u{e9}') FROM (SELECT '{mark}') d")).await.unwrap();
    client.query_one("SET NAMES utf8mb4").await.expect_ok();
    let answers = execute_everywhere(&cluster, &mut client, statement.ok.statement_id, &mark).await;
    assert_eq!(answers, ["2"]);
    assert_eq!(client.query_one("SELECT CHAR_LENGTH('\u{e9}')").await.expect_rows().single(), "1");

    // No statement leads back to the character set of the login, so that is said.
    let mut client = raw(&proxy).await;
    let mark = unique("charset");
    let statement = client.prepare(&format!("SELECT '{mark}'")).await.unwrap();
    client.query_one("SET NAMES latin1").await.expect_ok();
    let mut told = Vec::new();
    for _ in 0..4 {
        match client.execute(statement.ok.statement_id, &[]).await.remove(0) {
            testkit::Answer::Err(error) => told.push(error.code),
            answer => drop(answer.expect_rows()),
        }
    }
    assert!(told.iter().all(|code| *code == 1615), "{told:?}");
    proxy.finish().await;
}

async fn what_makes_a_server_read_only_can_be_undone(cluster: Arc<Cluster>) {
    let admin = "e2e_admin";
    let config = format!("users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{admin}', password = '{admin}' }}]");
    let mut proxy = Start::before(&cluster).config(&config).start().await;
    proxy.expect_in_log("no primary");
    proxy.expect_finding("nobody_writable");
    let table = ids(&cluster).await;
    let mut client = proxy.client().await;
    let insert = format!("INSERT INTO {table} (a) VALUES (1)");
    let refused = async |client: &mut Conn| {
        eventually("no primary", async || {
            matches!(client.query_drop(&insert).await, Err(Error::Server(e)) if e.message.starts_with("pointsman: "))
                .then_some(())
        })
        .await;
    };
    let accepted = async |client: &mut Conn| {
        eventually("a primary again", async || client.query_drop(&insert).await.ok()).await;
    };
    let mut operator = RawClient::login(proxy.address, &LoginAs::new(admin, admin)).await.unwrap();
    operator.query_one("SET GLOBAL read_only = 1").await.expect_ok();
    refused(&mut client).await;
    promptly("the way back", operator.query_one("SET GLOBAL read_only = 0")).await.expect_ok();
    accepted(&mut client).await;

    operator.query_one("FLUSH TABLES WITH READ LOCK").await.expect_ok();
    operator.query_one("SET GLOBAL read_only = 1").await.expect_ok();
    refused(&mut client).await;
    promptly("the way back", operator.query_one("UNLOCK TABLES")).await.expect_ok();
    promptly("the way back", operator.query_one("SET GLOBAL read_only = 0")).await.expect_ok();
    accepted(&mut client).await;
    client.disconnect().await.unwrap();
    drop(operator);
    proxy.finish().await;
}
