//! Metrics, statistics of digests, sessions, the slow log and health checks show what really happened, to those who may see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use e2e::clients::{in_terminal, python_at};
use e2e::collector::{Collector, Span, attribute};
use e2e::http::{exchange, get, post};
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error};
use e2e::tls::{Authority, TestFile};
use e2e::{APP, Cluster, Engine, PATIENT, Proxy, SCHEMA, Start, eventually, unique};
use serde_json::Value;

e2e::suite! {
    Together: [
        each_metric_is_documented_and_each_documented_one_is_there,
        statements_move_the_metrics_of_their_route,
        digests_show_what_ran_where_and_begin_anew,
        a_full_table_of_digests_keeps_what_it_has,
        sessions_are_seen_and_can_be_stopped,
        slow_statements_are_logged_with_their_route_and_without_literals,
        sampled_statements_are_spans_of_the_applications_trace,
        a_terminal_shows_it_all_until_a_key_is_pressed,
        nothing_is_shown_or_changed_without_the_token,
        without_a_token_there_are_metrics_and_health_only,
        a_certificate_that_ends_soon_is_told_until_it_is_renewed,
    ],
    OwnCluster: [it_is_ready_for_writes_only_with_a_primary],
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A Pointsman with the admin API by TCP, and where that is.
async fn start(cluster: &Cluster, config: &str) -> (Proxy, SocketAddr) {
    let config = format!("admin.address = '127.0.0.1:0'\nadmin.token = '{TOKEN}'\n{config}");
    let mut proxy = Start::before(cluster).config(&config).start().await;
    let address = proxy.await_address("the admin API listens").await;
    (proxy, address)
}

/// Each line of `/metrics` by its name with its labels.
async fn metrics(admin: SocketAddr) -> BTreeMap<String, f64> {
    let answer = get(admin, "/metrics", Some(TOKEN)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.ends_with("# EOF\n"), "it is whole");
    let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a value"))
        .map(|(key, value)| (key.to_owned(), value.parse().unwrap()))
        .collect()
}

/// What a metric of this name has gained, over all lines with all of these labels.
fn gained(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let matches = |key: &str| key.split('{').next() == Some(name) && labels.iter().all(|label| key.contains(label));
    let sum =
        |metrics: &BTreeMap<String, f64>| metrics.iter().filter(|(key, _)| matches(key)).map(|(_, value)| value).sum::<f64>();
    sum(after) - sum(before)
}

async fn json(admin: SocketAddr, path: &str) -> Vec<Value> {
    let answer = get(admin, path, Some(TOKEN)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).expect("a list")
}

async fn each_metric_is_documented_and_each_documented_one_is_there(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, "").await;
    let mut client = proxy.client().await;
    // So that each family has a line: an error of Pointsman's own, a pin, and a login that fails.
    client.query_drop("/* pointsman: server=nowhere */ SELECT 1").await.unwrap_err();
    client.query_drop("/* pointsman: max_lag=1h */ SELECT 1").await.unwrap();
    client.query_drop("BEGIN").await.unwrap();
    Conn::new(proxy.options().pass(Some("wrong"))).await.unwrap_err();
    let documented: BTreeSet<_> = include_str!("../crates/admin/metrics.md")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    // A change of primary would be needed for the first one, an outlier, rules and a certificate for the others.
    let needs_more = [
        "last_promotion_timestamp_seconds",
        "ejections_total",
        "rule_matches_total",
        "rule_refusals_total",
        "certificate_expiry_timestamp_seconds",
    ];
    let absent: BTreeSet<_> = needs_more.iter().map(|name| format!("pointsman_{name}")).collect();
    let name = |key: &str| {
        let name = key.split('{').next().unwrap();
        ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned()
    };
    // What has failed is counted after its answer.
    let there = eventually("all documented metrics", async || {
        let there: BTreeSet<_> = metrics(admin).await.keys().map(|key| name(key)).collect();
        documented.difference(&there).all(|name| absent.contains(name)).then_some(there)
    })
    .await;
    let secret: Vec<_> = there.difference(&documented).collect();
    assert!(secret.is_empty(), "not documented: {secret:?}");
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_certificate_that_ends_soon_is_told_until_it_is_renewed(cluster: Arc<Cluster>) {
    const DAY: Duration = Duration::from_hours(24);
    const ABOUT_TO_END: &str = "a certificate is about to end";
    let authority = Authority::new();
    let (soon, late) = (authority.sign_for("127.0.0.1", 3 * DAY), authority.sign_for("127.0.0.1", 30 * DAY));
    let (certificate, key) = (TestFile::new(&soon.certificate), TestFile::new(&soon.key));
    let own = TestFile::new(&format!("{}{}", late.certificate, authority.pem));
    let own_key = TestFile::new(&late.key);
    let config = format!(
        "reload.on_change = false\nlisten = {{ tls_certificate = {}, tls_key = {} }}\nserver_tls = {{ certificate = {}, key = {} }}",
        certificate.toml(),
        key.toml(),
        own.toml(),
        own_key.toml()
    );
    let (mut proxy, admin) = start(&cluster, &config).await;
    proxy.expect_in_log(ABOUT_TO_END);
    let warnings = |proxy: &Proxy| {
        let is_warning = |line: &e2e::Line| line.fields["message"].as_str().is_some_and(|text| text.starts_with(ABOUT_TO_END));
        proxy.log().into_iter().filter(is_warning).map(|line| line.fields).collect::<Vec<_>>()
    };
    let told = eventually("a warning", async || warnings(&proxy).pop()).await;
    assert_eq!((told["certificate"].as_str(), told["days"].as_u64()), (Some("listen.tls_certificate"), Some(2)), "{told}");
    let days_left = async |key: &str| {
        let name = format!("pointsman_certificate_expiry_timestamp_seconds{{certificate=\"{key}\"}}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        format!("{:.0}", (metrics(admin).await[&name] - now.as_secs_f64()) / DAY.as_secs_f64())
    };
    assert_eq!(
        (days_left("listen.tls_certificate").await, days_left("server_tls.certificate").await),
        ("3".to_owned(), "30".to_owned())
    );

    let before = warnings(&proxy).len();
    assert_eq!(before, 1);
    certificate.write(&late.certificate);
    key.write(&late.key);
    let (is_done, said) = proxy.reload("").await;
    assert!(is_done, "{said}");
    assert_eq!(days_left("listen.tls_certificate").await, "30");
    assert_eq!(warnings(&proxy).len(), before);
    proxy.finish().await;
}

async fn statements_move_the_metrics_of_their_route(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, PATIENT).await;
    let table = format!("{SCHEMA}.{}", unique("t"));
    cluster.prepare(format!("CREATE TABLE {table} (id INT PRIMARY KEY)")).await;
    let mut client = proxy.client().await;
    let before = metrics(admin).await;
    for id in 0..3 {
        client.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await.unwrap();
    }
    client.query_drop(format!("INSERT INTO {table} VALUES (0)")).await.unwrap_err();
    let mut reader = proxy.client().await;
    for _ in 0..10 {
        let rows: Vec<u32> = reader.query("SELECT 1 UNION SELECT 2").await.unwrap();
        assert_eq!(rows.len(), 2);
    }
    client.query_drop("BEGIN").await.unwrap();
    // A statement is counted after its answer was passed on.
    let count = "pointsman_statement_duration_seconds_count";
    let after = eventually("all statements are counted", async || {
        let after = metrics(admin).await;
        let is_there = |reason: &str, expected: f64| gained(&before, &after, count, &[reason]) >= expected;
        (is_there(r#"reason="needs_primary""#, 5.0) && is_there(r#"reason="fresh_replica""#, 10.0)).then_some(after)
    })
    .await;
    let check = |name: &str, labels: &[&str], expected: f64| {
        let count = gained(&before, &after, name, labels);
        assert!((count - expected).abs() < 1e-9, "{name} {labels:?} has gained {count}, not {expected}");
    };
    check(count, &[r#"server="db1""#, r#"reason="needs_primary""#], 5.0);
    check("pointsman_statement_duration_seconds_bucket", &[r#"reason="needs_primary""#, r#"le="+Inf""#], 5.0);
    check("pointsman_statement_errors_total", &[r#"server="db1""#], 1.0);
    check(count, &[r#"server="db2""#, r#"reason="fresh_replica""#], 5.0);
    check(count, &[r#"server="db3""#, r#"reason="fresh_replica""#], 5.0);
    check("pointsman_rows_sent_total", &[r#"reason="fresh_replica""#], 20.0);
    check("pointsman_logins_total", &[], 1.0);
    check("pointsman_pinned_sessions", &[r#"pin="transaction""#], 1.0);
    assert!(gained(&before, &after, "pointsman_bytes_sent_total", &[r#"server="db2""#]) > 5.0 * 20.0);
    assert!(gained(&before, &after, "process_cpu_seconds_total", &[]) >= 0.0);
    let now = |key: &str| after.get(key).copied().unwrap_or_else(|| panic!("no {key}"));
    assert_eq!((now("pointsman_primary_up"), now(r#"pointsman_server_role{server="db1",role="primary"}"#)), (1.0, 1.0));
    assert!(now(r#"pointsman_server_staleness_seconds{server="db2"}"#) < 60.0);
    assert!(now(r#"pointsman_server_connections{server="db1"}"#) >= 1.0);
    client.disconnect().await.unwrap();
    reader.disconnect().await.unwrap();
    proxy.finish().await;
}

/// The lines of this digest text.
async fn digest_lines(admin: SocketAddr, text: &str) -> Vec<Value> {
    let lines = json(admin, "/api/digests?limit=1000").await;
    lines.into_iter().filter(|line| line["text"].as_str().is_some_and(|known| known.contains(text))).collect()
}

async fn digests_show_what_ran_where_and_begin_anew(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, "").await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY, name VARCHAR(20))")).await;
    let mut client = proxy.client().await;
    for id in 0..4 {
        client.query_drop(format!("INSERT INTO {table} VALUES ({id}, 'secret')")).await.unwrap();
    }
    client.exec_drop(format!("INSERT INTO {table} VALUES (?, ?)"), (9, "secret")).await.unwrap();
    client.query_drop(format!("INSERT INTO {table} VALUES (0, 'secret')")).await.unwrap_err();
    let line = eventually("all statements are counted", async || {
        let lines = digest_lines(admin, &table).await;
        let [line] = lines.as_slice() else { panic!("one digest, whether prepared or not: {lines:?}") };
        (line["count"] == 6).then(|| line.clone())
    })
    .await;
    let number = |key: &str| line[key].as_u64().unwrap_or_else(|| panic!("{key} in {line}"));
    assert_eq!((number("errors"), number("rows_changed")), (1, 5), "{line}");
    assert_eq!((&line["user"], &line["schema"], &line["server"]), (&APP.into(), &SCHEMA.into(), &"db1".into()));
    assert_eq!(line["because"], "needs_primary");
    assert!(!line["text"].as_str().unwrap().contains("secret"), "no literal: {line}");
    assert!(number("min_us") <= number("max_us") && number("sum_us") >= number("max_us") && number("min_us") > 0);
    let histogram = line["histogram"].as_array().unwrap();
    assert_eq!(histogram.iter().map(|bucket| bucket[1].as_u64().unwrap()).sum::<u64>(), 6);
    assert!(line["first_seen"].as_str() < line["last_seen"].as_str());
    assert_eq!(post(admin, "/api/digests/reset", Some(TOKEN), "").await.status, 200);
    assert_eq!(digest_lines(admin, &table).await, Vec::<Value>::new());
    client.exec_drop(format!("INSERT INTO {table} VALUES (?, ?)"), (10, "secret")).await.unwrap();
    eventually("a statement that was prepared before has its text again", async || {
        (digest_lines(admin, &table).await.len() == 1).then_some(())
    })
    .await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_full_table_of_digests_keeps_what_it_has(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, "limits.digest_statistics = 3\nlisten.threads = 1").await;
    let mut client = proxy.client().await;
    post(admin, "/api/digests/reset", Some(TOKEN), "").await;
    for columns in 1..=20 {
        let list = (0..columns).map(|number| format!("1 AS a{number}")).collect::<Vec<_>>().join(", ");
        client.query_drop(format!("/* pointsman: server=db2 */ SELECT {list}")).await.unwrap();
    }
    let count_of = |lines: &[Value], has_text: bool| {
        let matching = lines.iter().filter(|line| line["text"].as_str().is_some_and(|text| text.is_empty() != has_text));
        matching.map(|line| line["count"].as_u64().unwrap()).sum::<u64>()
    };
    let lines = eventually("all statements are counted", async || {
        let lines = json(admin, "/api/digests").await;
        (count_of(&lines, true) + count_of(&lines, false) == 20).then_some(lines)
    })
    .await;
    assert_eq!((lines.len(), count_of(&lines, true), count_of(&lines, false)), (4, 3, 17), "{lines:?}");
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn sessions_are_seen_and_can_be_stopped(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, "").await;
    let mut idle = proxy.client().await;
    idle.query_drop("SET @a = 1").await.unwrap();
    let mut busy = proxy.client().await;
    let (idle_id, busy_id) = (idle.id(), busy.id());
    let running = tokio::spawn(async move {
        let outcome = busy.query_drop("SELECT SLEEP(100) FROM DUAL FOR UPDATE").await;
        (busy, outcome)
    });
    let session = async |id: u32| json(admin, "/api/sessions").await.into_iter().find(|session| session["id"] == id);
    let seen =
        eventually("the statement runs", async || session(busy_id).await.filter(|session| session["state"] == "running")).await;
    assert_eq!((&seen["user"], &seen["schema"], &seen["tls"]), (&APP.into(), &Value::Null, &false.into()), "{seen}");
    let seen = session(idle_id).await.unwrap();
    assert_eq!(
        (&seen["state"], &seen["pin"], &seen["statements"]),
        (&"idle".into(), &"user_variable".into(), &1.into()),
        "{seen}"
    );
    let kill = async |body: String| post(admin, "/api/kill", Some(TOKEN), &body).await.status;
    assert_eq!(kill(format!(r#"{{"session": {busy_id}, "only_statement": true}}"#)).await, 200);
    let (mut busy, outcome) = running.await.unwrap();
    // MySQL's SLEEP() ends with 1, MariaDB's statement with an error.
    assert!(outcome.is_ok() || matches!(&outcome, Err(Error::Server(error)) if error.code == 1317), "{outcome:?}");
    busy.query_drop("SELECT 1").await.unwrap();
    assert_eq!(kill(format!(r#"{{"session": {idle_id}}}"#)).await, 200);
    eventually("the session is gone", async || session(idle_id).await.is_none().then_some(())).await;
    idle.query_drop("SELECT 1").await.unwrap_err();
    assert_eq!(kill(format!(r#"{{"session": {idle_id}}}"#)).await, 404);
    assert_eq!(kill(r#"{"session": "x"}"#.to_owned()).await, 422);
    busy.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_terminal_shows_it_all_until_a_key_is_pressed(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    client.query_drop("SELECT 'a' AS shown_in_a_terminal").await.unwrap();
    let texts = ["healthy: db1 is the primary", "db3", "stmts/s", "1 of 10000", "SELECT ? AS shown_in_a_terminal"];
    let said = in_terminal(&proxy, "top", &texts, "q").await;
    assert!(said.status.success(), "{}{}", said.output(), said.errors());
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn slow_statements_are_logged_with_their_route_and_without_literals(cluster: Arc<Cluster>) {
    let (mut proxy, _) = start(&cluster, "log.slow_statement = '300ms'").await;
    proxy.expect_in_log("a slow statement");
    let mut client = proxy.client().await;
    client.query_drop("SELECT 'quick'").await.unwrap();
    client.query_drop("SELECT SLEEP(0.31), 'secret'").await.unwrap();
    let line = proxy.await_line("a slow statement").await;
    let field = |key: &str| line.fields[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(field("user"), APP);
    assert!(["db1", "db2", "db3"].contains(&field("server").as_str()) && !field("because").is_empty(), "{}", line.text);
    assert!(field("text").contains("SLEEP") && !line.text.contains("secret"), "{}", line.text);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn sampled_statements_are_spans_of_the_applications_trace(cluster: Arc<Cluster>) {
    let collector = Collector::start().await;
    let config = format!("tracing.endpoint = 'http://{}'\ntracing.share = 0", collector.address);
    let (proxy, admin) = start(&cluster, &config).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    // MariaDB has no query attributes.
    let has_attributes = cluster.engine == Engine::MySql;
    let said = python_at("traced_client.py", proxy.address, &[parent, if has_attributes { "yes" } else { "no" }]).await;
    assert_eq!((said.status.code(), said.output().trim()), (Some(0), "good"), "{}", said.errors());
    let mut client = proxy.client().await;
    let refused = format!("/*traceparent='{parent}'*/ SELECT no_such_column");
    client.query_drop(refused).await.expect_err("it does not exist");
    client
        .query_drop("SELECT 'unsampled' /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'*/")
        .await
        .unwrap();

    let expected = if has_attributes { 4 } else { 2 };
    let kind = |kind: i32| move |span: &Span| span.kind == kind;
    let spans = eventually("the collector has them", async || {
        let spans = collector.spans();
        (spans.iter().filter(|span| kind(2)(span)).count() >= expected).then_some(spans)
    })
    .await;
    let (whole, on_server): (Vec<_>, Vec<_>) = spans.iter().partition(|span| kind(2)(span));
    assert_eq!((whole.len(), on_server.len()), (expected, expected), "those with a sampled parent, and no others: {spans:#?}");
    for span in &whole {
        assert_eq!(span.trace_id[..2], [0x0a, 0xf7], "{span:?}");
        assert_eq!(span.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31], "{span:?}");
        let inner = on_server.iter().find(|inner| inner.parent_span_id == span.span_id).expect("each has its server's");
        assert!(inner.start_time_unix_nano >= span.start_time_unix_nano && inner.end_time_unix_nano <= span.end_time_unix_nano);
        let at = format!("{}:{}", attribute(inner, "server.address").unwrap(), attribute(inner, "server.port").unwrap());
        assert!(cluster.servers.iter().any(|server| server.address().to_string() == at), "{at}");
        assert_eq!(attribute(span, "pointsman.user").as_deref(), Some(APP));
        assert!(attribute(span, "pointsman.reason").is_some_and(|reason| !reason.is_empty()), "{span:?}");
        assert!(!format!("{span:?}").contains("by a comment"), "literals are not exported: {span:?}");
    }
    let failed: Vec<_> = whole.iter().filter_map(|span| attribute(span, "db.response.status_code")).collect();
    assert_eq!(failed, ["1054"]);
    let counted = r#"pointsman_sampled_statements_total{result="exported"}"#;
    eventually("they are counted", async || (format!("{}", metrics(admin).await[counted]) == expected.to_string()).then_some(()))
        .await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn nothing_is_shown_or_changed_without_the_token(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, "").await;
    for token in [None, Some("0123456789abcdef0123456789abcdee"), Some("")] {
        for path in ["/metrics", "/api/status", "/api/sessions", "/api/digests", "/api/journal", "/api/events", "/nowhere"] {
            assert_eq!(get(admin, path, token).await.status, 401, "{path}");
        }
        assert_eq!(post(admin, "/api/switchover", token, "{}").await.status, 401);
        assert_eq!(post(admin, "/api/reload", token, "{}").await.status, 401);
        assert_eq!(get(admin, "/healthz", token).await.status, 200);
        assert_eq!(get(admin, "/readyz", token).await.status, 200);
        assert_eq!(get(admin, "/readyz?reads", token).await.status, 200);
    }
    assert_eq!(get(admin, "/api/status", Some(TOKEN)).await.status, 200);
    assert_eq!(get(admin, "/nowhere", Some(TOKEN)).await.status, 404);
    assert_eq!(get(admin, "/readyz?nonsense", Some(TOKEN)).await.status, 400);
    assert_eq!(exchange(admin, b"\x16\x03\x01\x02\x00garbage\r\n\r\n").await.status, 400);
    assert_eq!(exchange(admin, &[b"GET /".as_slice(), &vec![b'a'; 1 << 20]].concat()).await.status / 100, 4);
    proxy.finish().await;
}

async fn without_a_token_there_are_metrics_and_health_only(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("admin.address = '127.0.0.1:0'").start().await;
    let admin = proxy.await_address("the admin API listens").await;
    for (path, expected) in [("/metrics", 200), ("/healthz", 200), ("/readyz", 200), ("/api/status", 401), ("/api/digests", 401)]
    {
        assert_eq!(get(admin, path, None).await.status, expected, "{path}");
    }
    assert_eq!(post(admin, "/api/kill", None, r#"{"session": 1}"#).await.status, 401);
    proxy.finish().await;
}

async fn it_is_ready_for_writes_only_with_a_primary(cluster: Arc<Cluster>) {
    let (mut proxy, admin) = start(&cluster, "failover.durability = 'manual'").await;
    proxy.expect_loss_of_the_primary();
    assert_eq!(get(admin, "/readyz", None).await.status, 200);
    cluster.primary().kill().await;
    eventually("it is not ready for writes", async || (get(admin, "/readyz", None).await.status == 503).then_some(())).await;
    assert_eq!(get(admin, "/readyz?reads", None).await.status, 200);
    assert_eq!(get(admin, "/healthz", None).await.status, 200);
    let seen = metrics(admin).await;
    assert_eq!(seen.get("pointsman_primary_up"), Some(&0.0));
    assert_eq!(seen.get(r#"pointsman_server_up{server="db1"}"#), Some(&0.0));
    proxy.finish().await;
}
