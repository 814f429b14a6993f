//! The dashboard shows in a browser what the API says, does what is clicked and confirmed, and takes text of clients for nothing but text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2e::browser::{Browser, Window};
use e2e::failover::AUTOMATIC;
use e2e::http::{get, post};
use e2e::mysql_async::Conn;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::readers::Readers;
use e2e::{Cluster, PATIENT, Proxy, SCHEMA, Start, eventually, promptly, unique};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

e2e::suite! {
    Together: [
        the_page_shows_what_the_api_says,
        a_wrong_token_is_told_and_without_one_configured_the_page_says_so,
        streams_are_few_and_end_with_pointsman,
        a_route_is_explained_without_a_client,
    ],
    Alone: [what_is_clicked_and_confirmed_is_done, ejections_and_rules_are_shown_as_the_api_says],
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// As many streams as there may be at once.
const STREAMS_MAX: usize = 8;

/// What would run if it were taken for markup.
const MARKUP: &str = "<img src=x onerror=alert(1)>";

/// A Pointsman with the dashboard, and where that is.
async fn start(cluster: &Cluster, config: &str) -> (Proxy, SocketAddr) {
    let config = format!("admin.address = '127.0.0.1:0'\n{config}");
    let mut proxy = Start::before(cluster).config(&config).start().await;
    let address = proxy.await_address("the admin API listens").await;
    (proxy, address)
}

fn with_token(more: &str) -> String {
    format!("admin.token = '{TOKEN}'\n{more}")
}

async fn json(admin: SocketAddr, path: &str) -> Value {
    let answer = get(admin, path, Some(TOKEN)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

async fn sign_in(window: &Window, admin: SocketAddr, token: &str) {
    window.go(&format!("http://{admin}/")).await;
    window.fill("#token", token).await;
    window.click("#login-form button").await;
}

/// A window that is signed in and shows data.
async fn signed_in(browser: &Browser, admin: SocketAddr) -> Window {
    let window = browser.open().await;
    sign_in(&window, admin, TOKEN).await;
    window.await_text("#link", |text| text == "live").await;
    eventually("the servers on the page", async || (window.texts("#servers tr").await.len() == 3).then_some(())).await;
    window
}

/// What the row of a server shows in one column.
async fn shown(window: &Window, server: &str, field: &str) -> String {
    window.text(&format!("tr[data-server='{server}'] [data-field='{field}']")).await.unwrap_or_default()
}

fn picture(cluster: &Cluster, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dashboard");
    folder.join(format!("{}-{name}.png", cluster.engine.label()))
}

/// Sessions that write, read, and hold a transaction, and a statement with what looks like markup.
async fn work(cluster: &Cluster, proxy: &Proxy) -> Vec<Conn> {
    let table = unique("entries");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY, name VARCHAR(20))")).await;
    let mut clients = Vec::new();
    for id in 0..4 {
        let mut client = proxy.client().await;
        client.query_drop(format!("INSERT INTO {table} VALUES ({id}, 'somebody')")).await.unwrap();
        clients.push(client);
    }
    clients[0].query_drop(format!("SELECT 1 AS `{MARKUP}`")).await.unwrap();
    clients[1].query_drop("BEGIN").await.unwrap();
    clients[1].query_drop(format!("UPDATE {table} SET name = 'nobody' WHERE id = 1")).await.unwrap();
    for _ in 0..200 {
        for client in &mut clients[2..] {
            client.query_drop(format!("SELECT id, name FROM {table} WHERE id = 2")).await.unwrap();
        }
    }
    clients
}

async fn the_page_shows_what_the_api_says(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, &with_token("")).await;
    let browser = Browser::start().await;
    let window = signed_in(&browser, admin).await;
    let clients = work(&cluster, &proxy).await;
    servers_are_shown(&window, admin).await;
    digests_are_shown(&window, admin).await;
    sessions_are_shown(&window, admin).await;
    routes_are_explained(&window).await;
    is_within_its_policy(&window).await;
    traffic_is_shown(&cluster, &proxy, &window).await;
    assert_eq!(window.log().await, Vec::<String>::new(), "nothing is wrong in the browser");
    window.close().await;
    for client in clients {
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn servers_are_shown(window: &Window, admin: SocketAddr) {
    let status = json(admin, "/api/status").await;
    for server in status["servers"].as_array().unwrap() {
        let name = server["name"].as_str().unwrap();
        assert_eq!(shown(window, name, "role").await, server["role"].as_str().unwrap());
        assert_eq!(shown(window, name, "state").await, "active");
        assert_eq!(shown(window, name, "weight").await, server["weight"].to_string());
        window.await_text(&format!("tr[data-server='{name}'] [data-field='staleness']"), |text| text.ends_with(" ms")).await;
        assert_eq!(window.text(&format!("[data-node='{name}'] .role")).await.as_deref(), server["role"].as_str());
    }
    assert_eq!(window.text("#max-lag").await.as_deref(), Some("1.00 s"));
    assert_eq!(window.texts(".replication").await.len(), 2, "an arrow for each replica");
    window.await_text("#finding-name", |text| text.eq_ignore_ascii_case("healthy")).await;
    assert_eq!(window.text("#finding-text").await.as_deref(), status["text"].as_str());
    let entries = json(admin, "/api/journal").await;
    assert_eq!(window.texts("#journal li").await.len(), entries.as_array().unwrap().len());
}

/// By digest and server: the text, the reason and the count.
async fn digests_are_shown(window: &Window, admin: SocketAddr) {
    eventually("the digests of the API on the page", async || {
        let of_api = json(admin, "/api/digests?limit=20").await;
        let expected: Vec<Vec<String>> = of_api.as_array().unwrap().iter().map(digest_cells).collect();
        let script = "return [...document.querySelectorAll('#digests tr')].map((line) => ['text', 'server', 'because', 'count']
            .map((field) => line.querySelector(`[data-field=\"${field}\"]`).textContent))";
        let there: Vec<Vec<String>> = serde_json::from_value(window.run(script).await).unwrap();
        (there == expected && there.iter().any(|cells| cells[0].contains(MARKUP))).then_some(())
    })
    .await;
    assert_eq!(window.run("return document.images.length").await, 0, "a statement is text");
}

/// While statements run all the time. Pictures are made of it, for people.
async fn traffic_is_shown(cluster: &Cluster, proxy: &Proxy, window: &Window) {
    let mut client = proxy.client().await;
    let load = async {
        loop {
            client.query_drop("SELECT 1 FROM DUAL FOR UPDATE").await.unwrap();
            for _ in 0..8 {
                client.query_drop("SELECT 1").await.unwrap();
            }
        }
    };
    let looks = async {
        for server in ["db1", "db2", "db3"] {
            let rate = format!("tr[data-server='{server}'] [data-field='rate'] .value");
            window.await_text(&rate, |text| text.replace(',', "").parse().is_ok_and(|rate: f64| rate > 1.0)).await;
        }
        for scheme in ["light", "dark"] {
            window.prefer(scheme).await;
            window.picture(&picture(cluster, scheme)).await;
        }
    };
    tokio::select! {
        () = load => {}
        () = looks => {}
    }
}

fn digest_cells(digest: &Value) -> Vec<String> {
    let text = |key: &str| digest[key].as_str().unwrap_or("not sent").replace('_', if key == "because" { " " } else { "_" });
    vec![text("text"), text("server"), text("because"), digest["count"].to_string()]
}

async fn sessions_are_shown(window: &Window, admin: SocketAddr) {
    eventually("the sessions of the API on the page", async || {
        let pin_of = |session: &Value| session["pin"].as_str().unwrap_or("–").to_owned();
        let of_api = json(admin, "/api/sessions").await;
        let expected: BTreeMap<String, String> =
            of_api.as_array().unwrap().iter().map(|session| (session["id"].to_string(), pin_of(session))).collect();
        let ids = window.texts("#sessions [data-field='id']").await;
        let there: BTreeMap<_, _> = ids.into_iter().zip(window.texts("#sessions [data-field='pin']").await).collect();
        (there == expected && there.values().any(|pin| pin == "transaction")).then_some(())
    })
    .await;
    window.await_text("#pins", |text| text == "Pinned: 1 by transaction.").await;
    window.await_text("#sessions-count", |text| text.starts_with("4 of ")).await;
}

async fn routes_are_explained(window: &Window) {
    window.fill("#sql", "INSERT INTO entries VALUES (1)").await;
    window.click("#explain-form button").await;
    window.await_text(".decision", |text| text.starts_with("Runs on db1")).await;
    window.fill("#sql", &format!("SELECT '{MARKUP}' AS `{MARKUP}`")).await;
    window.fill("#schema", SCHEMA).await;
    window.click("#explain-form button").await;
    window.await_text(".decision", |text| text.starts_with("Runs on db2") || text.starts_with("Runs on db3")).await;
    let digest = window.text("[data-step='digest'] .sql").await.unwrap();
    assert_eq!(digest, format!("SELECT ? AS `{MARKUP}`"));
    assert_eq!(window.run("return document.images.length").await, 0, "a statement is text");
    assert_eq!(window.texts("[data-step='server']").await.len(), 3);
    window.fill("#sql", "/* pointsman: nonsense=1 */ SELECT 1").await;
    window.click("#explain-form button").await;
    window.await_text("#explained .error", |text| text.contains("nonsense")).await;
    // The log of the browser has a line for each request that failed.
    let log = window.log().await;
    assert!(log.len() == 1 && log[0].contains("/api/explain") && log[0].contains("422"), "{log:?}");
    window.fill("#sql", &format!("SELECT '{MARKUP}' AS `{MARKUP}`")).await;
    window.click("#explain-form button").await;
    window.await_text(".decision", |text| text.starts_with("Runs on")).await;
}

/// A script in the page that is not one of the page's files does not run.
async fn is_within_its_policy(window: &Window) {
    let script = "window.broken = []; document.addEventListener('securitypolicyviolation', (event) => window.broken.push(event.effectiveDirective));
        const script = document.createElement('script'); script.textContent = 'window.ran = true'; document.body.append(script); script.remove();
        return window.ran === undefined";
    assert_eq!(window.run(script).await, true);
    eventually("the browser to say so", async || {
        (window.run("return window.broken").await == json!(["script-src-elem"])).then_some(())
    })
    .await;
    let log = window.log().await;
    assert!(log.iter().all(|line| line.contains("Content Security Policy")) && log.len() == 1, "{log:?}");
}

async fn a_wrong_token_is_told_and_without_one_configured_the_page_says_so(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, &with_token("")).await;
    let browser = Browser::start().await;
    let window = browser.open().await;
    sign_in(&window, admin, "0123456789abcdef0123456789abcdee").await;
    window.await_text("#login-error", |text| text == "This token is wrong.").await;
    assert_eq!(window.run("return sessionStorage.length").await, 0, "a wrong token is not kept");
    window.picture(&picture(&cluster, "login")).await;
    proxy.finish().await;

    let (proxy, admin) = start(&cluster, "").await;
    window.go(&format!("http://{admin}/")).await;
    window.await_text("h2", |text| text == "The dashboard needs a token").await;
    assert_eq!(window.texts("input").await, Vec::<String>::new());
    assert_eq!(get(admin, "/api/status", None).await.status, 401);
    window.picture(&picture(&cluster, "without-token")).await;
    window.close().await;
    proxy.finish().await;
}

/// A stream of events, with its status line and its headers read.
async fn stream(admin: SocketAddr) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(admin).await.expect("the admin API listens");
    let head = format!("GET /api/events HTTP/1.1\r\nhost: pointsman\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        text += &some(&mut stream).await.expect("an answer");
    }
    (stream, text)
}

/// What comes next; `None` at the end.
async fn some(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = vec![0; 16 * 1024];
    let length = promptly("more of a stream", stream.read(&mut bytes)).await.unwrap_or(0);
    (length > 0).then(|| String::from_utf8_lossy(&bytes[..length]).into_owned())
}

async fn streams_are_few_and_end_with_pointsman(cluster: Arc<Cluster>) {
    let (proxy, admin) = start(&cluster, &with_token("")).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS_MAX {
        let (stream, head) = stream(admin).await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        streams.push(stream);
    }
    assert!(stream(admin).await.1.starts_with("HTTP/1.1 503"), "no more than {STREAMS_MAX}");
    assert_eq!(get(admin, "/api/status", Some(TOKEN)).await.status, 200, "requests have room beside the streams");
    drop(streams.pop());
    eventually("room for another one", async || stream(admin).await.1.starts_with("HTTP/1.1 200").then_some(())).await;
    let mut seen = String::new();
    while seen.matches("event: state").count() < 2 {
        seen += &some(&mut streams[0]).await.expect("a state each second");
    }
    let state = seen.lines().find_map(|line| line.strip_prefix("data: ").filter(|data| data.contains("max_lag_ms"))).unwrap();
    let state: Value = serde_json::from_str(state).unwrap();
    assert_eq!((&state["status"]["primary"], &state["max_lag_ms"]), (&"db1".into(), &1000.into()), "{state}");
    // It waits for none of those who read.
    proxy.finish().await;
    for mut stream in streams {
        let mut last = String::new();
        while let Some(more) = some(&mut stream).await {
            last = more;
        }
        assert!(last.ends_with("0\r\n\r\n"), "ended, and not cut off: {last:?}");
    }
}

async fn a_route_is_explained_without_a_client(cluster: Arc<Cluster>) {
    let rule = "rules = [{ name = 'no drops', class = 'write', table = 'precious', refuse = 'not here' }]";
    let (proxy, admin) = start(&cluster, &with_token(rule)).await;
    let mut client = proxy.client().await;
    for (sql, schema) in [
        ("SELECT 1", None),
        ("EXPLAIN ROUTE SELECT 1 FOR UPDATE", Some(SCHEMA)),
        ("/* pointsman: server=db3 */ SELECT 2", Some(SCHEMA)),
        ("DELETE FROM precious", Some(SCHEMA)),
    ] {
        let body = json!({ "sql": sql, "schema": schema }).to_string();
        let answer = post(admin, "/api/explain", Some(TOKEN), &body).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        let steps: Value = serde_json::from_str(&answer.body).unwrap();
        let steps = steps["steps"].as_array().unwrap();
        let rows: Vec<(String, String, String)> = client
            .query_map(format!("EXPLAIN ROUTE {}", sql.trim_start_matches("EXPLAIN ROUTE ")), |row: e2e::mysql_async::Row| {
                (row.get("step").unwrap(), row.get("subject").unwrap(), row.get("result").unwrap())
            })
            .await
            .unwrap();
        let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
        let told: Vec<_> = steps.iter().map(|step| (text(step, "step"), text(step, "subject"), text(step, "result"))).collect();
        // Which replica's turn it is, and what the cache has seen, differs from worker to worker.
        let comparable = |rows: &[(String, String, String)]| {
            let rows = rows.iter().filter(|(step, ..)| !["cache", "server", "decision"].contains(&step.as_str()));
            rows.cloned().collect::<Vec<_>>()
        };
        assert_eq!(comparable(&told), comparable(&rows), "{sql}");
        let decision = |rows: &[(String, String, String)]| rows.last().unwrap().1.clone();
        assert_eq!(decision(&told), decision(&rows), "{sql}");
    }
    let status = async |body: &str| post(admin, "/api/explain", Some(TOKEN), body).await.status;
    assert_eq!(status(r#"{"sql": " "}"#).await, 422);
    assert_eq!(status(r#"{"sql": "SELECT 1", "role": "app"}"#).await, 422);
    assert_eq!(status(r#"{"sql": "SELECT 1", "user": "app", "address": "10.1.2.3"}"#).await, 200);
    assert_eq!(status(r#"{"sql": "SELECT 1", "address": "nowhere"}"#).await, 422);
    assert_eq!(status(&json!({ "sql": "x".repeat(70_000) }).to_string()).await, 413);
    assert_eq!(post(admin, "/api/explain", None, r#"{"sql": "SELECT 1"}"#).await.status, 401);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// What the API says about a server.
async fn server(admin: SocketAddr, name: &str) -> Value {
    let status = json(admin, "/api/status").await;
    status["servers"].as_array().unwrap().iter().find(|server| server["name"] == name).unwrap().clone()
}

async fn await_server(admin: SocketAddr, name: &str, key: &str, expected: Value) {
    let what = format!("{name}: {key} = {expected}");
    eventually(&what, async || (server(admin, name).await[key] == expected).then_some(())).await;
}

async fn press(window: &Window, server: &str, action: &str) {
    window.click(&format!("tr[data-server='{server}'] button[data-action='{action}']")).await;
}

async fn what_is_clicked_and_confirmed_is_done(cluster: Arc<Cluster>) {
    let (mut proxy, admin) = start(&cluster, &with_token(AUTOMATIC)).await;
    proxy.expect_in_log("the primary is about to be replaced");
    proxy.expect_in_log("a new primary takes writes");
    proxy.expect_in_log("acknowledged writes may be lost with it");
    cluster.wait_until_all_are_seen_to_follow(&proxy, cluster.primary()).await;
    let browser = Browser::start().await;
    let window = signed_in(&browser, admin).await;

    press(&window, "db3", "drain").await;
    window.await_text("#dialog-title", |text| text == "Drain db3?").await;
    window.click("#dialog-cancel").await;
    assert_eq!(server(admin, "db3").await["state"], "active", "not without a confirmation");
    press(&window, "db3", "drain").await;
    window.click("#dialog-confirm").await;
    await_server(admin, "db3", "state", "drain".into()).await;
    window.await_text("tr[data-server='db3'] [data-field='state']", |text| text == "drain").await;
    press(&window, "db3", "active").await;
    window.click("#dialog-confirm").await;
    await_server(admin, "db3", "state", "active".into()).await;

    press(&window, "db2", "weight").await;
    window.fill("#dialog-input", "7").await;
    window.click("#dialog-confirm").await;
    await_server(admin, "db2", "weight", 7.into()).await;
    window.await_text("tr[data-server='db2'] [data-field='weight']", |text| text == "7").await;
    window.await_text("#journal li[data-event='share_set']", |text| text.contains("weight 7")).await;

    press(&window, "db2", "promote").await;
    window.await_text("#dialog-title", |text| text == "Make db2 the primary?").await;
    window.picture(&picture(&cluster, "dialog")).await;
    window.click("#dialog-confirm").await;
    window.await_text("tr[data-server='db2'] [data-field='role']", |text| text == "primary").await;
    window.await_text("tr[data-server='db1'] [data-field='role']", |text| text == "replica").await;
    window.await_text("#journal li[data-event='promoted']", |text| text.to_lowercase().contains("db2 is the primary")).await;
    window.await_text("#done", |text| text.contains("db2")).await;
    await_server(admin, "db2", "role", "primary".into()).await;
    assert_eq!(window.log().await, Vec::<String>::new(), "nothing is wrong in the browser");
    window.picture(&picture(&cluster, "after-switchover")).await;

    the_page_says_when_it_is_cut_off(&cluster, proxy, &window).await;
    window.close().await;
}

/// The servers are put back in order meanwhile.
async fn the_page_says_when_it_is_cut_off(cluster: &Cluster, proxy: Proxy, window: &Window) {
    cluster.wait_until_all_are_seen_to_follow(&proxy, cluster.server("db2")).await;
    let (is_done, said) = proxy.ask(&["switchover", "--to", "db1"]).await;
    assert!(is_done, "{said}");
    cluster.wait_until_all_are_seen_to_follow(&proxy, cluster.primary()).await;
    window.await_text("tr[data-server='db1'] [data-field='role']", |text| text == "primary").await;
    proxy.finish().await;
    window.await_text("#link", |text| text.starts_with("no data since ")).await;
}

/// Of each kind one: it refuses, it has a rate, it sends elsewhere; and one that nothing matches.
const RULES: &str = "rules = [
    { name = 'no drops', class = 'write', table = 'precious', refuse = 'not here' },
    { name = 'few', table = ['few', 'fewer'], statements_per_second = 1 },
    { name = 'reports', class = 'read', user = 'app', schema = 'guestbook', target = 'replica', max_lag = '30s' },
    { name = 'nobody <b>', user = 'nobody', target = 'primary' },
]";

async fn ejections_and_rules_are_shown_as_the_api_says(cluster: Arc<Cluster>) {
    let ejection = "ejection = { latency = 3, latency_min = '1ms', time = '20s', time_max = '20s' }\nlisten.threads = 1";
    let (proxy, admin) = start(&cluster, &with_token(&format!("{RULES}\n{ejection}\n{PATIENT}"))).await;
    let browser = Browser::start().await;
    let window = signed_in(&browser, admin).await;
    await_ejections(&window, admin, |ejected| ejected.is_empty()).await;
    assert_eq!(window.texts("#ejections [data-field='ejected']").await, ["no"; 3]);
    rules_are_shown(&proxy, &window, admin).await;

    let table = Readers::table(&cluster).await;
    let readers = Readers::start(&proxy, &table, 3).await;
    let slow = cluster.server("db2");
    slow.slow_down(60).await;
    await_ejections(&window, admin, |ejected| ejected == ["db2"]).await;
    window.await_text("tr[data-server='db2'] [data-field='state']", |text| text == "active, ejected").await;
    window.await_text("#journal li[data-event='ejected']", |text| text.contains("db2 gets no reads")).await;
    for scheme in ["light", "dark"] {
        window.prefer(scheme).await;
        window.picture(&picture(&cluster, &format!("ejected-{scheme}"))).await;
    }
    slow.speed_up().await;
    await_ejections(&window, admin, |ejected| ejected.is_empty()).await;
    window.await_text("tr[data-server='db2'] [data-field='state']", |text| text == "active").await;
    window.await_text("#journal li[data-event='ejection_ended']", |text| text.contains("db2 gets reads again")).await;
    let events = json(admin, "/api/journal").await;
    let events = events.as_array().unwrap().iter().filter(|entry| entry["server"] == "db2").map(|entry| entry["event"].clone());
    assert_eq!(events.take(2).collect::<Vec<_>>(), ["ejected", "ejection_ended"]);
    assert_eq!(readers.finish().await, Vec::<String>::new());
    assert_eq!(window.log().await, Vec::<String>::new(), "nothing is wrong in the browser");
    window.close().await;
    proxy.finish_with(&["server has fallen silent"]).await;
}

/// Waits until these servers are ejected, and the page shows what the API says.
async fn await_ejections(window: &Window, admin: SocketAddr, is_wanted: impl Fn(Vec<&str>) -> bool) {
    eventually("the ejections of the API on the page", async || {
        let of_api = json(admin, "/api/ejections").await;
        let all = of_api.as_array().unwrap();
        let ejected = all.iter().filter(|line| line["ejected_by"] != 0).map(|line| line["server"].as_str().unwrap()).collect();
        let expected: Vec<Vec<String>> = all.iter().map(ejection_cells).collect();
        let there = cells(window, "#ejections tr", &["server", "ejected", "reason", "count"]).await;
        (is_wanted(ejected) && there == expected && are_times_shown(window, all).await).then_some(())
    })
    .await;
}

fn ejection_cells(line: &Value) -> Vec<String> {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let reasons: Vec<&str> = line["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap()).collect();
    let reason = if reasons.is_empty() { "–".to_owned() } else { format!("{}: {}", reasons.join(", "), text("why")) };
    let ejected = if line["ejected_by"] == 0 { "no" } else { "yes" };
    vec![text("server"), ejected.to_owned(), reason, line["count"].to_string()]
}

/// The browser knows the hour at its place.
async fn are_times_shown(window: &Window, lines: &[Value]) -> bool {
    let there = cells(window, "#ejections tr", &["since", "until"]).await;
    for (line, there) in lines.iter().zip(there) {
        for (key, there) in ["since", "until"].into_iter().zip(there) {
            let expected = match line[key].as_str() {
                Some(at) => window.run(&format!("return new Date('{at}').toLocaleTimeString('en-GB')")).await,
                None => "–".into(),
            };
            if !there.starts_with(expected.as_str().unwrap()) {
                return false;
            }
        }
    }
    true
}

/// The text of these fields of each row.
async fn cells(window: &Window, rows: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let script = format!(
        "return [...document.querySelectorAll({})].map((line) => {}
            .map((field) => line.querySelector(`[data-field=\"${{field}}\"]`).textContent))",
        json!(rows),
        json!(fields)
    );
    serde_json::from_value(window.run(&script).await).unwrap()
}

async fn rules_are_shown(proxy: &Proxy, window: &Window, admin: SocketAddr) {
    let mut client = proxy.client().await;
    client.query_drop("SELECT 1").await.unwrap();
    client.query_drop("DROP TABLE IF EXISTS precious").await.expect_err("it is refused");
    // The next second may begin between two of them.
    eventually("a statement over its limit", async || client.query_drop("DROP TABLE IF EXISTS few").await.err()).await;
    client.disconnect().await.unwrap();
    let expected = eventually("the counts of the rules", async || {
        let of_api = json(admin, "/api/rules").await;
        let count = |place: usize, key: &str| of_api[place][key].as_u64().unwrap();
        let are_counted = count(0, "refused") == 1 && count(1, "limited") == 1 && count(2, "matched") >= 1;
        are_counted.then(|| of_api.as_array().unwrap().iter().map(rule_cells).collect::<Vec<_>>())
    })
    .await;
    let fields = ["place", "name", "conditions", "actions", "limit", "matched", "refused", "limited"];
    eventually("the rules of the API on the page", async || {
        (cells(window, "#rules tr", &fields).await == expected).then_some(())
    })
    .await;
    let columns = |column: usize| expected.iter().map(|cells| &*cells[column]).collect::<Vec<_>>();
    assert_eq!(columns(1), ["no drops", "few", "reports", "nobody <b>"]);
    assert_eq!(columns(2)[..2], ["class: write; table: precious", "table: few or fewer"]);
    assert_eq!(columns(3), ["refuse: not here", "–", "max lag: 30000 ms; target: replica", "target: primary"]);
    assert_eq!((columns(4), columns(6)), (vec!["–", "1/s", "–", "–"], vec!["1", "0", "0", "0"]));
}

fn rule_cells(rule: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let values = |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(" or ");
    let pairs = |keys: &Value, text: &dyn Fn(&Value) -> String| {
        let keys = keys.as_object().unwrap().iter().filter(|(key, _)| *key != "statements_per_second");
        keys.map(|(key, value)| format!("{}: {}", key.replace('_', " "), text(value))).collect::<Vec<_>>().join("; ")
    };
    let or_dash = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    let limit = rule["actions"]["statements_per_second"].as_str().map(|limit| format!("{limit}/s"));
    let number = |key: &str| rule[key].to_string();
    vec![
        number("place"),
        text(&rule["name"]),
        pairs(&rule["conditions"], &values),
        or_dash(pairs(&rule["actions"], &text)),
        or_dash(limit.unwrap_or_default()),
        number("matched"),
        number("refused"),
        number("limited"),
    ]
}
