//! Which server, why, and how stale: `EXPLAIN ROUTE` tells it, rules and hints change it, and a log can be audited without a server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use e2e::clients::{command_line, python};
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, Row};
use e2e::{Cluster, Engine, Proxy, Start, binary, eventually, unique};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

e2e::suite! {
    Together: [
        explain_route_foretells_where_statements_run,
        explain_route_answers_the_command_line_clients,
        a_hint_chooses_the_server,
        a_hint_never_sends_a_write_to_a_replica,
        a_query_attribute_is_a_hint_and_reaches_the_server,
        rules_steer_and_refuse,
        a_rule_ends_statements_that_take_too_long,
        a_log_is_audited_without_a_server,
    ],
    Alone: [explain_route_tells_how_stale_a_replica_is],
}

/// One row of `EXPLAIN ROUTE`.
#[derive(Debug)]
struct Step {
    name: String,
    subject: String,
    result: String,
    because: String,
    role: Option<String>,
    staleness_ms: Option<String>,
}

async fn explain(client: &mut Conn, sql: &str) -> Vec<Step> {
    let rows: Vec<Row> = client.query(format!("EXPLAIN ROUTE {sql}")).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let read = |mut row: Row| Step {
        name: row.take("step").unwrap(),
        subject: row.take("subject").unwrap(),
        result: row.take("result").unwrap(),
        because: row.take("because").unwrap(),
        role: row.take("server_role").unwrap(),
        staleness_ms: row.take("staleness_ms").unwrap(),
    };
    rows.into_iter().map(read).collect()
}

fn decision(steps: &[Step]) -> (&str, &str) {
    let last = steps.last().expect("a decision");
    assert_eq!(last.name, "decision");
    (&last.subject, &last.result)
}

fn server<'s>(steps: &'s [Step], name: &str) -> &'s Step {
    steps.iter().find(|step| step.name == "server" && step.subject == name).expect("each server is told of")
}

async fn new_table(cluster: &Cluster) -> String {
    let name = unique("t");
    cluster.prepare(format!("CREATE TABLE guestbook.{name} (id INT PRIMARY KEY, a INT)")).await;
    name
}

async fn explain_route_foretells_where_statements_run(cluster: Arc<Cluster>) {
    // A replica that is to wait for the session's write, and does not get it in time, runs the read in vain, and the primary runs it again.
    let proxy = Start::before(&cluster).config("routing.causal_wait = '10s'").start().await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    for template in [
        "SELECT a, '{m}' FROM {t}",
        "SELECT a, '{m}' FROM {t} FOR UPDATE",
        "INSERT INTO {t} (id) VALUES (1) /* {m} */",
        "SELECT a, '{m}' FROM {t}",
        "/* pointsman: server=db3 max_lag=1h */ SELECT a, '{m}' FROM {t}",
        "BEGIN /* {m} */",
        "SELECT a, '{m}' FROM {t} WHERE a = 1",
        "COMMIT /* {m} */",
        "SELECT @a, '{m}'",
    ] {
        let mark = unique("m");
        let sql = template.replace("{t}", &table).replace("{m}", &mark);
        // A session's own write may become readable on a replica in between.
        let foretold = eventually("the same answer before and after", async || {
            let before = explain(&mut client, &sql).await;
            let after = explain(&mut client, &sql).await;
            (decision(&before) == decision(&after) && decision(&after).0 == "forward").then_some(after)
        })
        .await;
        let (_, name) = decision(&foretold);
        client.query_drop(&sql).await.unwrap();
        let ran = cluster.who_ran(&mark).await;
        // Between the two, a replica may have caught up with the session's write, as it should.
        let is_caught_up = name == "db1" && template.starts_with("SELECT a, '{m}' FROM {t}") && ran != ["db1"];
        assert!(ran == [name] || is_caught_up, "{sql}: foretold {name}, ran on {ran:?}");
    }
    let steps = explain(&mut client, "SELECT 1").await;
    assert_eq!(server(&steps, "db1").role.as_deref(), Some("primary"));
    assert_eq!(server(&steps, "db2").role.as_deref(), Some("replica"));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn explain_route_answers_the_command_line_clients(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    for client in Engine::ALL {
        let said = command_line(client, &proxy, "app", "EXPLAIN ROUTE DELETE FROM t WHERE id = 5;\nSELECT 'goes on';\n").await;
        assert!(said.status.success(), "{}", said.errors());
        let output = said.output();
        for expected in [
            "step\tsubject\tresult\tbecause",
            "classify\tDELETE\tthe primary\t",
            "\tDELETE FROM t WHERE id = ?\t",
            "decision\tforward\tdb1\t",
            "goes on",
        ] {
            assert!(output.contains(expected), "{expected:?} is not in {output}");
        }
    }
    proxy.finish().await;
}

async fn explain_route_tells_how_stale_a_replica_is(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_finding("replication_broken");
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    let db2 = &cluster.replicas()[0];
    db2.stop_applier().await;
    cluster.primary().run(format!("INSERT INTO guestbook.{table} VALUES (1, 1)")).await;
    let steps = eventually("db2 to lag", async || {
        let steps = explain(&mut client, &format!("SELECT a FROM {table}")).await;
        server(&steps, "db2").because.contains("it lags by").then_some(steps)
    })
    .await;
    let db2_step = server(&steps, "db2");
    assert_eq!(db2_step.result, "excluded");
    let staleness: u64 = db2_step.staleness_ms.as_deref().expect("a number").parse().expect("a number");
    assert!(staleness > 1000, "{steps:?}");
    assert_eq!(server(&steps, "db3").result, "chosen");
    assert_eq!(decision(&steps), ("forward", "db3"));
    db2.start_applier().await;
    cluster.wait_for_replicas().await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_hint_chooses_the_server(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    for (hint, expected) in [("primary", "db1"), ("server=db3", "db3"), ("server=db2, max_lag=1m", "db2"), ("server=db1", "db1")]
    {
        let mark = unique("hint");
        for _ in 0..2 {
            client.query_drop(format!("/* pointsman: {hint} */ SELECT a, '{mark}' FROM {table}")).await.unwrap();
            client.exec_drop(format!("/* pointsman: {hint} */ SELECT a, ? FROM {table}"), (&mark,)).await.unwrap();
        }
        assert_eq!(cluster.who_ran(&mark).await, [expected; 4], "{hint}");
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// MySQL's own: MariaDB and its clients know no query attributes.
async fn a_query_attribute_is_a_hint_and_reaches_the_server(cluster: Arc<Cluster>) {
    if cluster.engine == Engine::MariaDb {
        return;
    }
    let table = new_table(&cluster).await;
    let proxy = Proxy::start(&cluster).await;
    let said = python("attributes_client.py", &proxy, &table, &[]).await;
    assert!(said.status.success() && said.output().trim() == "good", "{}{}", said.output(), said.errors());
    for (text, server) in [("text with an attribute", "db3"), ("prepared with an attribute", "db3"), ("from the primary", "db1")]
    {
        assert_eq!(cluster.who_ran(text).await, [server; 3]);
    }
    proxy.finish().await;
}

async fn a_hint_never_sends_a_write_to_a_replica(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    for hint in ["replica", "server=db2"] {
        for sql in ["INSERT INTO {t} (a) VALUES ({m})", "SELECT a FROM {t} WHERE '{m}' <> '' FOR UPDATE", "DO GET_LOCK('{m}', 0)"]
        {
            let mark = unique("refused");
            let sql = format!("/* pointsman: {hint} */ {}", sql.replace("{t}", &table).replace("{m}", &mark));
            assert_refused(client.query_drop(&sql).await, 1235, "a hint asks for a replica");
            assert_refused(client.exec_drop(&sql, ()).await, 1235, "a hint asks for a replica");
            assert!(cluster.who_ran(&mark).await.is_empty(), "{sql}");
        }
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn rules_steer_and_refuse(cluster: Arc<Cluster>) {
    let (reports, secrets) = (new_table(&cluster).await, new_table(&cluster).await);
    let config = format!(
        r#"
        [[rules]]
        name = "closed"
        table = "guestbook.{secrets}"
        network = "127.0.0.0/8"
        refuse = "closed for the night"

        [[rules]]
        name = "reports"
        table = ["{reports}"]
        user = "app"
        target = "db3"
        "#
    );
    let proxy = Start::before(&cluster).config(&config).start().await;
    let mut client = proxy.client().await;
    let mark = unique("rule");
    for _ in 0..3 {
        client.query_drop(format!("SELECT a, '{mark}' FROM {reports}")).await.unwrap();
        client.exec_drop(format!("SELECT a, ? FROM {reports}"), (&mark,)).await.unwrap();
    }
    assert_eq!(cluster.who_ran(&mark).await, ["db3"; 6]);
    let mark = unique("rule");
    client.query_drop(format!("UPDATE {reports} SET a = 1 /* {mark} */")).await.unwrap();
    assert_eq!(cluster.who_ran(&mark).await, ["db1"]);
    for sql in ["SELECT a FROM {s}", "DELETE FROM `{s}`", "SELECT 1; SELECT a FROM guestbook.{s}"] {
        let sql = sql.replace("{s}", &secrets);
        assert_refused(client.query_drop(&sql).await, 1227, "the rule \"closed\" refuses this statement: closed for the night");
    }
    let steps = explain(&mut client, &format!("SELECT a FROM {reports}")).await;
    assert!(steps.iter().any(|step| step.name == "rule" && step.subject == "reports"), "{steps:?}");
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_rule_ends_statements_that_take_too_long(cluster: Arc<Cluster>) {
    let table = new_table(&cluster).await;
    cluster.prepare(format!("INSERT INTO guestbook.{table} VALUES (1, 1)")).await;
    let config = format!("[[rules]]\nname = \"short\"\ntable = \"{table}\"\ntimeout = \"300ms\"");
    let proxy = Start::before(&cluster).config(&config).start().await;
    let mut client = proxy.client().await;
    for sql in ["SELECT SLEEP(100), a FROM {t} WHERE a = SLEEP(100)", "UPDATE {t} SET a = 2 + SLEEP(100)"] {
        let sql = sql.replace("{t}", &table);
        let start = Instant::now();
        assert_refused(client.query_drop(&sql).await, 3024, "interrupted; the rule \"short\" gives it 300 ms");
        assert!(start.elapsed().as_secs() < 60);
        // The session lives, and nothing of the statement has happened.
        let read: Option<i32> = client.query_first(format!("SELECT a FROM {table}")).await.unwrap();
        assert_eq!(read, Some(1));
    }
    eventually("no statement that sleeps on", async || {
        let mut sleeping = 0;
        for server in &cluster.servers {
            let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE ? AND USER = 'app'";
            sleeping += server.rows::<u32>(sql, (format!("%{table}%SLEEP(100)%"),)).await[0];
        }
        (sleeping == 0).then_some(())
    })
    .await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_log_is_audited_without_a_server(cluster: Arc<Cluster>) {
    let engine = cluster.engine.label();
    let mut input = String::new();
    for id in 0..25_000 {
        for sql in ["SELECT a FROM t WHERE id = {n}", "UPDATE t SET a = {n}", "SELECT a FROM t WHERE id = {n} FOR UPDATE"] {
            let sql = sql.replace("{n}", &id.to_string());
            input.push_str(&serde_json::json!({ "sql": sql, "schema": "shop", "engine": engine }).to_string());
            input.push('\n');
        }
        input.push_str("{\"sql\": broken\n");
    }
    let mut child = Command::new(binary())
        .args(["explain", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    let done = child.wait_with_output().await.unwrap();
    feeding.await.unwrap().unwrap();
    assert!(done.status.success());
    let mut targets = std::collections::BTreeMap::<String, usize>::new();
    for line in done.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let verdict: serde_json::Value = serde_json::from_slice(line).unwrap();
        let target = verdict["target"].as_str().unwrap_or("error");
        *targets.entry(target.to_owned()).or_default() += 1;
    }
    let expected =
        [("error", 25_000), ("primary", 50_000), ("replica", 25_000)].map(|(target, count)| (target.to_owned(), count));
    assert_eq!(targets.into_iter().collect::<Vec<_>>(), expected);
}

fn assert_refused(outcome: Result<(), Error>, code: u16, message: &str) {
    match outcome {
        Err(Error::Server(error)) => {
            assert_eq!(error.code, code, "{error}");
            assert!(error.message.contains(message), "{error}");
        }
        other => panic!("expected {code} {message:?}, got {other:?}"),
    }
}
