//! No statement that can change data, take a lock or depend on the primary's session ever runs on a replica.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{self, Conn};
use e2e::{Cluster, Engine, Proxy, Start, eventually, unique};

e2e::suite! {
    Together: [
        every_kind_of_write_runs_on_the_primary_alone,
        prepared_writes_run_on_the_primary_alone,
        plain_reads_run_on_both_replicas_in_turn,
        replicas_have_nothing_that_the_primary_lacks,
        functions_and_views_run_where_their_definitions_allow,
        a_changed_definition_counts_at_once,
        a_function_that_turns_to_writing_past_the_proxy_is_corrected,
        what_the_monitor_may_not_see_is_no_read,
    ],
    Alone: [a_replica_that_became_writable_gets_no_writes],
    OwnCluster: [a_second_writable_server_gets_nothing],
}

/// Statements that write, lock or depend on the session; `{t}` is a table (`id` is its key, `a` an integer), `{m}` what to find
/// them by in the servers' logs.
const WRITES: &[&str] = &[
    "INSERT INTO {t} (id, a, b) VALUES (10, 1, '{m}')",
    "insert into {t} set a = 2, b = '{m}'",
    "REPLACE INTO {t} (id, a, b) VALUES (10, 3, '{m}')",
    "UPDATE {t} SET a = a + 1 WHERE b = '{m}'",
    "DELETE FROM {t} WHERE b = '{m}'",
    "INSERT INTO {t} (a, b) SELECT a, '{m}' FROM {t} LIMIT 1",
    "SELECT a, '{m}' FROM {t} FOR UPDATE",
    "SELECT a, '{m}' FROM {t} LOCK IN SHARE MODE",
    "SELECT a FROM (SELECT a FROM {t} WHERE b = '{m}' FOR UPDATE) d",
    "SELECT a, '{m}' FROM {t} LIMIT 1 INTO @a, @b",
    "SELECT a, '{m}' FROM {t} /*!50000 FOR UPDATE */",
    "SELECT GET_LOCK('{m}', 1)",
    "SELECT RELEASE_LOCK('{m}')",
    "SELECT {t}_f('{m}')",
    "SELECT 1 WHERE {t}_f('{m}') > 0",
    "CALL {t}_p('{m}')",
    "DO {t}_f('{m}')",
    "SET @a = {t}_f('{m}')",
    "SELECT @a, '{m}'",
    "SELECT @a := '{m}'",
    "SELECT LAST_INSERT_ID(), '{m}'",
    "SELECT CONNECTION_ID(), '{m}'",
    "CREATE TABLE {t}_c (a INT) COMMENT '{m}'",
    "ALTER TABLE {t}_c COMMENT 'again {m}'",
    "TRUNCATE TABLE {t}_c /* {m} */",
    "DROP TABLE {t}_c /* {m} */",
    "CREATE TEMPORARY TABLE {t}_t (a INT) COMMENT '{m}'",
    "DROP TEMPORARY TABLE {t}_t /* {m} */",
    "CREATE VIEW {t}_v AS SELECT '{m}'",
    "DROP VIEW {t}_v /* {m} */",
    "LOCK TABLES {t} WRITE /* {m} */",
    "UNLOCK TABLES /* {m} */",
    "START TRANSACTION /* {m} */",
    "SELECT COUNT(*), 'in a transaction {m}' FROM {t}",
    "COMMIT /* {m} */",
    "XA START '{t}' /* {m} */",
    "XA END '{t}' /* {m} */",
    "XA ROLLBACK '{t}' /* {m} */",
    "ANALYZE TABLE {t} /* {m} */",
    "HANDLER {t} OPEN AS h /* {m} */",
    "HANDLER h CLOSE /* {m} */",
    // Preparing is no statement in the servers' logs, so it has no mark.
    "PREPARE s FROM 'INSERT INTO {t} (a) VALUES (1)'",
    "EXECUTE s /* {m} */",
    "DEALLOCATE PREPARE s /* {m} */",
    "SELECT 1; INSERT INTO {t} (b) VALUES ('{m}'); SELECT 2",
    "EXPLAIN UPDATE {t} SET a = 1 WHERE b = '{m}'",
];

const WRITES_OF_MYSQL: &[&str] = &[
    "WITH c AS (SELECT 1 AS n) DELETE FROM {t} WHERE a IN (SELECT n FROM c) AND b = '{m}'",
    "WITH c AS (SELECT 1 AS n) UPDATE {t} SET a = 9 WHERE a IN (SELECT n FROM c) AND b = '{m}'",
    "SELECT a, '{m}' FROM {t} FOR SHARE SKIP LOCKED",
    "TABLE {t} ORDER BY id LIMIT 1 INTO @a, @b, @c /* {m} */",
];

const WRITES_OF_MARIADB: &[&str] = &[
    "INSERT INTO {t} (b) VALUES ('{m}') RETURNING id",
    "DELETE FROM {t} WHERE b = '{m}' RETURNING id",
    "CREATE SEQUENCE {t}_s COMMENT '{m}'",
    "SELECT NEXTVAL({t}_s), '{m}'",
    "SELECT NEXT VALUE FOR {t}_s, '{m}'",
    "DROP SEQUENCE {t}_s /* {m} */",
    "SELECT a, '{m}' FROM {t} /*M!100000 FOR UPDATE */",
    "ANALYZE FORMAT=JSON UPDATE {t} SET a = 5 WHERE b = '{m}'",
    "BEGIN NOT ATOMIC INSERT INTO {t} (b) VALUES ('{m}'); END",
    "SET STATEMENT max_statement_time = 10 FOR DELETE FROM {t} WHERE b = '{m}'",
];

async fn every_kind_of_write_runs_on_the_primary_alone(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    let own = match cluster.engine {
        Engine::MySql => WRITES_OF_MYSQL,
        Engine::MariaDb => WRITES_OF_MARIADB,
    };
    let mut wrong = Vec::new();
    for template in WRITES.iter().chain(own) {
        let mark = unique("w");
        let sql = template.replace("{t}", &table).replace("{m}", &mark);
        if let Err(error) = run(&mut client, &sql).await {
            wrong.push(format!("{sql}: {error}"));
            continue;
        }
        let mut who = cluster.who_ran(&mark).await;
        who.dedup();
        if who != ["db1"] && template.contains("{m}") {
            wrong.push(format!("{sql}: ran on {who:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn prepared_writes_run_on_the_primary_alone(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    for sql in [
        "INSERT INTO {t} (a, b) VALUES (?, ?)",
        "UPDATE {t} SET a = ? WHERE b = ?",
        "SELECT id FROM {t} WHERE a = ? AND b = ? FOR UPDATE",
        "SELECT ?, {t}_f(?)",
        "DELETE FROM {t} WHERE a = ? AND b = ?",
    ] {
        let mark = unique("w");
        let sql = sql.replace("{t}", &table);
        for turn in 0..3 {
            client.exec_drop(&sql, (turn, &mark)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        assert_eq!(cluster.who_ran(&mark).await, ["db1"; 3], "{sql}");
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// The other half of the promise: without it, a proxy that sends everything to the primary would pass.
async fn plain_reads_run_on_both_replicas_in_turn(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    cluster.wait_for_replicas().await;
    let mut client = proxy.client().await;
    let (text, prepared) = (unique("text"), unique("prepared"));
    for _ in 0..4 {
        client.query_drop(format!("SELECT a, '{text}' FROM {table}")).await.unwrap();
    }
    for _ in 0..4 {
        client.exec_drop(format!("SELECT a, ? FROM {table} WHERE id > ?"), (&prepared, 0)).await.unwrap();
    }
    for mark in [text, prepared] {
        assert_eq!(cluster.who_ran(&mark).await, ["db2", "db2", "db3", "db3"], "{mark}");
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn replicas_have_nothing_that_the_primary_lacks(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    for turn in 0..20 {
        client.query_drop(format!("INSERT INTO {table} (a) VALUES ({turn})")).await.unwrap();
        client.query_drop(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
    }
    cluster.wait_for_replicas().await;
    for replica in cluster.replicas() {
        let own: Vec<String> = match cluster.engine {
            Engine::MySql => {
                let primary = cluster.primary().rows::<String>("SELECT @@global.server_uuid", ()).await.remove(0);
                let all = replica.rows::<String>("SELECT @@global.gtid_executed", ()).await.remove(0);
                all.split(',').filter(|part| !part.trim().starts_with(&primary)).map(str::to_owned).collect()
            }
            Engine::MariaDb => {
                let all = replica.rows::<String>("SELECT @@global.gtid_binlog_state", ()).await.remove(0);
                all.split(',').filter(|gtid| gtid.split('-').nth(1) != Some("1")).map(str::to_owned).collect()
            }
        };
        assert!(own.is_empty(), "{own:?}: {} has transactions of its own", replica.name);
        let rows = replica.rows::<u32>(format!("SELECT COUNT(*) FROM guestbook.{table}"), ()).await;
        // Twenty of the client and two that the table began with.
        assert_eq!(rows, [22], "on {}", replica.name);
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Whether a statement, in a session that has done nothing else, runs on the primary or on a replica, both times.
async fn where_it_runs(cluster: &Cluster, proxy: &Proxy, template: &str) -> &'static str {
    let mark = unique("f");
    let sql = template.replace("{m}", &mark);
    for _ in 0..2 {
        let mut client = proxy.client().await;
        client.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        client.disconnect().await.unwrap();
    }
    match *cluster.who_ran(&mark).await {
        ["db1", "db1"] => "primary",
        [one, other] if one != "db1" && other != "db1" => "replica",
        _ => "elsewhere",
    }
}

/// Functions and views over a table: `{t}_reads`, `{t}_writes`, `{t}_locks`, and a view `v_..` over each.
async fn new_definitions(cluster: &Cluster) -> String {
    let name = new_table(cluster).await;
    cluster
        .prepare(format!(
            "USE guestbook;
            CREATE FUNCTION {name}_reads (x INT) RETURNS INT READS SQL DATA
                BEGIN DECLARE n INT DEFAULT 0; SELECT COUNT(*) INTO n FROM {name} WHERE a <> x; RETURN n; END;
            CREATE FUNCTION {name}_calls (x INT) RETURNS INT READS SQL DATA RETURN {name}_reads(x) + 1;
            CREATE FUNCTION {name}_writes (x INT) RETURNS INT MODIFIES SQL DATA
                BEGIN INSERT INTO {name} (a) VALUES (x); RETURN 1; END;
            CREATE FUNCTION {name}_locks (x INT) RETURNS INT NO SQL RETURN IS_FREE_LOCK('{name}');
            CREATE VIEW {name}_v_plain AS SELECT a FROM {name};
            CREATE VIEW {name}_v_calls AS SELECT a, {name}_calls(a) AS c FROM {name}_v_plain;
            CREATE VIEW {name}_v_locks AS SELECT {name}_locks(1) AS l;
            CREATE VIEW {name}_v_over AS SELECT l FROM {name}_v_locks"
        ))
        .await;
    name
}

async fn functions_and_views_run_where_their_definitions_allow(cluster: Arc<Cluster>) {
    let table = new_definitions(&cluster).await;
    let proxy = Proxy::start(&cluster).await;
    for (template, expected) in [
        ("SELECT {t}_reads(1), '{m}'", "replica"),
        ("SELECT guestbook.{t}_calls(a), '{m}' FROM {t}", "replica"),
        ("SELECT a, '{m}' FROM {t}_v_plain", "replica"),
        ("SELECT c, '{m}' FROM guestbook.{t}_v_calls", "replica"),
        ("SELECT {t}_locks(1), '{m}'", "primary"),
        ("SELECT l, '{m}' FROM {t}_v_locks", "primary"),
        ("SELECT l, '{m}' FROM {t}_v_over", "primary"),
        ("SELECT {t}_writes(1), '{m}'", "primary"),
    ] {
        assert_eq!(where_it_runs(&cluster, &proxy, &template.replace("{t}", &table)).await, expected, "{template}");
    }
    proxy.finish().await;
}

/// The verdict on a view follows its definition, also for statements that were prepared before.
async fn a_changed_definition_counts_at_once(cluster: Arc<Cluster>) {
    let table = new_definitions(&cluster).await;
    // Only the change itself may make the catalogue be read.
    let proxy = Start::before(&cluster).config("[monitor]\ncatalogue_interval = \"1h\"").start().await;
    let mut client = proxy.client().await;
    let read = format!("SELECT *, '{{m}}' FROM {table}_v_plain");
    let prepared = client.prep(format!("SELECT *, ? FROM {table}_v_plain")).await.unwrap();
    assert_eq!(where_it_runs(&cluster, &proxy, &read).await, "replica");

    let mut other = proxy.client().await;
    other.query_drop(format!("CREATE OR REPLACE VIEW {table}_v_plain AS SELECT {table}_locks(1) AS l")).await.unwrap();
    assert_eq!(where_it_runs(&cluster, &proxy, &read).await, "primary");
    let mark = unique("p");
    client.exec_drop(&prepared, (&mark,)).await.unwrap();
    assert_eq!(cluster.who_ran(&mark).await, ["db1"]);

    other.query_drop(format!("CREATE OR REPLACE VIEW {table}_v_plain AS SELECT a FROM {table}")).await.unwrap();
    eventually("reads of the view on replicas again", async || {
        (where_it_runs(&cluster, &proxy, &read).await == "replica").then_some(())
    })
    .await;
    client.disconnect().await.unwrap();
    other.disconnect().await.unwrap();
    proxy.finish().await;
}

/// The proxy does not know that the function writes now. A replica refuses it, the primary runs it, and the client does not notice.
async fn a_function_that_turns_to_writing_past_the_proxy_is_corrected(cluster: Arc<Cluster>) {
    let table = new_definitions(&cluster).await;
    let mut proxy = Start::before(&cluster).config("[monitor]\ncatalogue_interval = \"1h\"").start().await;
    proxy.expect_in_log("a replica refused a statement that was taken for a read");
    let mut client = proxy.client().await;
    let prepared = client.prep(format!("SELECT {table}_reads(?), 'prepared'")).await.unwrap();
    let text = format!("SELECT {table}_reads(7), '{{m}}'");
    assert_eq!(where_it_runs(&cluster, &proxy, &text).await, "replica");
    cluster
        .prepare(format!(
            "USE guestbook; DROP FUNCTION {table}_reads;
            CREATE FUNCTION {table}_reads (x INT) RETURNS INT READS SQL DATA
                BEGIN INSERT INTO {table} (a) VALUES (x); RETURN x; END"
        ))
        .await;

    let marks = [unique("w"), unique("w")];
    for mark in &marks {
        let answer: Option<(i32, String)> = client.query_first(text.replace("{m}", mark)).await.unwrap();
        assert_eq!(answer.unwrap().0, 7);
    }
    let tried = cluster.who_ran(&marks[0]).await;
    assert!(tried == ["db1", "db2"] || tried == ["db1", "db3"], "{tried:?}");
    assert_eq!(cluster.who_ran(&marks[1]).await, ["db1"]);
    for _ in 0..2 {
        let answer: Option<(i32, String)> = client.exec_first(&prepared, (8,)).await.unwrap();
        assert_eq!(answer.unwrap().0, 8);
    }
    for (value, times) in [(7, 2), (8, 2)] {
        let sql = format!("SELECT COUNT(*) FROM guestbook.{table} WHERE a = {value}");
        assert_eq!(cluster.primary().rows::<u32>(sql, ()).await, [times], "each call wrote once");
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// An account that may only look at replication sees no bodies: its functions stay on the primary, and so do views whose text it does not see.
async fn what_the_monitor_may_not_see_is_no_read(cluster: Arc<Cluster>) {
    let table = new_definitions(&cluster).await;
    let account = unique("m");
    let observe = match cluster.engine {
        Engine::MySql => "REPLICATION CLIENT, SHOW VIEW",
        Engine::MariaDb => "REPLICA MONITOR, BINLOG MONITOR, SHOW VIEW",
    };
    cluster.prepare(format!("CREATE USER {account}@'%' IDENTIFIED BY 'm'; GRANT {observe} ON *.* TO {account}@'%'")).await;
    let config = format!("[monitor]\nuser = \"{account}\"\npassword = \"m\"");
    let mut proxy = Start::before(&cluster).config(&config).start().await;
    proxy.expect_in_log("functions and views that");
    for (template, expected) in [
        ("SELECT {t}_reads(1), '{m}'", "primary"),
        ("SELECT a, '{m}' FROM {t}_v_plain", "primary"),
        ("SELECT a, '{m}' FROM {t}", "replica"),
    ] {
        assert_eq!(where_it_runs(&cluster, &proxy, &template.replace("{t}", &table)).await, expected, "{template}");
    }
    proxy.finish().await;
}

/// A replica without `read_only` stays a replica, and Pointsman reports it.
async fn a_replica_that_became_writable_gets_no_writes(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    proxy.expect_in_log("db2 is a replica, but accepts writes");
    cluster.replicas()[0].run("SET GLOBAL read_only = OFF").await;
    await_alarm(&proxy, "db2 is a replica, but accepts writes").await;
    assert_writes_reach_only_db1(&proxy, &cluster, &table).await;

    let read_only = match cluster.engine {
        Engine::MySql => "SET GLOBAL super_read_only = ON",
        Engine::MariaDb => "SET GLOBAL read_only = ON",
    };
    cluster.replicas()[0].run(read_only).await;
    proxy.finish().await;
}

/// Two servers accept writes. The one that the others follow is the primary; the other has unknown data.
async fn a_second_writable_server_gets_nothing(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    cluster.wait_for_replicas().await;
    proxy.expect_in_log("db3 accepts writes, but db1 is the primary");
    proxy.expect_in_log("server accepts writes, but is not the primary");
    proxy.expect_finding("two_writable");
    // Between the three.
    proxy.expect_finding("replication_broken");
    proxy.expect_finding("former_primary_returned");
    cluster.replicas()[1].run("STOP REPLICA; RESET REPLICA ALL; SET GLOBAL read_only = OFF").await;
    await_alarm(&proxy, "db3 accepts writes, but db1 is the primary").await;
    assert_writes_reach_only_db1(&proxy, &cluster, &table).await;
    proxy.wait_for_reads_on(&cluster, &["db2"]).await;
    proxy.finish().await;
}

async fn assert_writes_reach_only_db1(proxy: &Proxy, cluster: &Cluster, table: &str) {
    let mut client = proxy.client().await;
    let mark = unique("w");
    for _ in 0..6 {
        client.query_drop(format!("INSERT INTO {table} (b) VALUES ('{mark}')")).await.unwrap();
    }
    assert_eq!(cluster.who_ran(&mark).await, ["db1"; 6]);
    client.disconnect().await.unwrap();
}

async fn await_alarm(proxy: &Proxy, text: &str) {
    eventually(text, async || proxy.log().iter().any(|line| line.text.contains(text)).then_some(())).await;
}

/// A table of two rows, with a function and a procedure that write to it.
async fn new_table(cluster: &Cluster) -> String {
    let name = unique("t");
    cluster
        .prepare(format!(
            "CREATE TABLE guestbook.{name} (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(80));
            INSERT INTO guestbook.{name} (a) VALUES (1), (2);
            CREATE FUNCTION guestbook.{name}_f (m VARCHAR(80)) RETURNS INT MODIFIES SQL DATA
                BEGIN INSERT INTO guestbook.{name} (b) VALUES (m); RETURN 1; END;
            CREATE PROCEDURE guestbook.{name}_p (m VARCHAR(80)) INSERT INTO guestbook.{name} (b) VALUES (m)"
        ))
        .await;
    name
}

/// Runs statements and reads all that they answer.
async fn run(client: &mut Conn, sql: &str) -> mysql_async::Result<()> {
    client.query_iter(sql).await?.drop_result().await
}
