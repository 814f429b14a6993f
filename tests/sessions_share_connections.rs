//! Sessions that share server connections are, each of them, as if it had one of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use e2e::{APP, Cluster, Engine, Proxy, Start, eventually, unique};
use testkit::answer::Rows;
use testkit::random::Random;
use testkit::{Answer, LoginAs, RawClient};

e2e::suite! {
    Together: [
        a_session_is_as_on_a_server_of_its_own,
        many_idle_sessions_need_few_connections,
        more_clients_than_connections_take_turns,
        an_account_at_its_bound_stops_no_other,
        who_finds_the_queue_full_is_told_at_once,
        connections_are_ready_after_a_quiet_time,
        nothing_of_a_session_is_seen_by_the_next,
    ],
}

/// Sequences in one run, and steps in each; `POINTSMAN_SEQUENCES` asks for more, `POINTSMAN_SEED` for one.
const SEQUENCES: u64 = 30;
const STEPS: usize = 120;
const SESSIONS: usize = 5;

// --- Equivalence ---

fn one_of<'t>(dice: &mut Random, texts: &[&'t str]) -> &'t str {
    texts[dice.index(texts.len())]
}

/// What a client does. `{me}` is a name that differs between the session and its twin.
#[derive(Debug, Clone)]
enum Step {
    Query(String),
    Prepare(String),
    /// The statement that was prepared this many before the last one.
    Execute(usize, Vec<Option<String>>),
    CloseStatement(usize),
    Reset,
}

fn step(dice: &mut Random) -> Step {
    let n = dice.index(1000);
    match dice.index(30) {
        0..=15 => Step::Query(plain(dice, n)),
        16..=20 => Step::Query(setting(dice, n)),
        21 | 22 => Step::Query(question(dice).to_owned()),
        23 => Step::Query(held(dice).to_owned()),
        24 => Step::Query(mistake(dice).to_owned()),
        25 => Step::Prepare(
            one_of(
                dice,
                &[
                    "SELECT a, b FROM t WHERE b = ? ORDER BY a",
                    "INSERT INTO t (b) VALUES (?)",
                    "SELECT ?, @@sql_mode, @@time_zone",
                    "UPDATE t SET b = ? LIMIT 1",
                    "SELECT \"quoted\", ?",
                    "SELECT @a, ?",
                ],
            )
            .to_owned(),
        ),
        26 | 27 => {
            let parameter = [Some(n.to_string()), None, Some("text".to_owned())][dice.index(3)].clone();
            Step::Execute(dice.index(3), vec![parameter])
        }
        28 => Step::CloseStatement(dice.index(3)),
        _ if dice.index(6) == 0 => Step::Reset,
        _ => Step::Query("SELECT 1".to_owned()),
    }
}

fn plain(dice: &mut Random, n: usize) -> String {
    match dice.index(11) {
        0 => format!("INSERT INTO t (b) VALUES ('{n}')"),
        1 => format!("INSERT INTO t (b) VALUES ('{n}'), ('x'), (NULL)"),
        2 => format!("INSERT INTO t (a, b) VALUES ({}, 'given')", 1_000_000 + n * 1000 + dice.index(1000)),
        3 => format!("UPDATE t SET b = CONCAT(b, '!') WHERE a % 7 = {}", n % 7),
        4 => format!("DELETE FROM t WHERE a % 50 = {}", n % 50),
        5 => "INSERT INTO t (b) SELECT b FROM t LIMIT 2".to_owned(),
        6 => format!("REPLACE INTO u VALUES ({}, '{n}')", n % 5),
        7 => "SELECT COUNT(*), MAX(a) FROM t".to_owned(),
        8 => format!("SELECT a, b FROM t WHERE a % 9 = {} ORDER BY a LIMIT 5", n % 9),
        9 => "SELECT * FROM u ORDER BY k".to_owned(),
        _ => "SELECT @@time_zone, @@sql_mode, @@character_set_client, @@collation_connection".to_owned(),
    }
}

fn setting(dice: &mut Random, n: usize) -> String {
    match dice.index(16) {
        0 => format!("SET time_zone = '{}'", one_of(dice, &["+01:00", "+02:00", "SYSTEM"])),
        1 => format!("SET sql_mode = '{}'", one_of(dice, &["", "ANSI_QUOTES", "STRICT_ALL_TABLES", "NO_BACKSLASH_ESCAPES"])),
        2 => one_of(dice, &["SET NAMES utf8mb4", "SET NAMES latin1", "SET NAMES utf8mb4 COLLATE utf8mb4_bin"]).to_owned(),
        3 => format!("SET @a = {n}"),
        4 => "SET @a = 'a text'".to_owned(),
        5 => "SET @a = @a + 1".to_owned(),
        6 => "SET @a = NULL, @b = 5".to_owned(),
        7 => one_of(dice, &["USE {me}_one", "USE {me}_two"]).to_owned(),
        8 => format!("SET SESSION sort_buffer_size = {}", 40_000 + n),
        9 => format!("SET autocommit = {}", usize::from(dice.index(4) != 0)),
        10 => one_of(dice, &["BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK"]).to_owned(),
        11 => one_of(dice, &["COMMIT", "ROLLBACK"]).to_owned(),
        12 => "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        13 => "SET time_zone = '+03:00', lc_time_names = 'de_DE'".to_owned(),
        14 => format!("SET last_insert_id = {n}"),
        _ => format!("SET group_concat_max_len = {}", 1000 + n),
    }
}

fn question(dice: &mut Random) -> &'static str {
    one_of(
        dice,
        &[
            "SELECT LAST_INSERT_ID()",
            "SELECT ROW_COUNT()",
            "SELECT FOUND_ROWS()",
            "SHOW WARNINGS",
            "SELECT @@warning_count",
            "SELECT @a, @b",
            "SELECT @@last_insert_id",
            "SELECT 1/0",
            "SELECT CAST('12x' AS SIGNED)",
            "SELECT SQL_CALC_FOUND_ROWS a FROM t ORDER BY a LIMIT 1",
            "SELECT LAST_INSERT_ID(77)",
        ],
    )
}

fn held(dice: &mut Random) -> &'static str {
    one_of(
        dice,
        &[
            "CREATE TEMPORARY TABLE IF NOT EXISTS temp (a INT)",
            "INSERT INTO temp VALUES (1)",
            "SELECT COUNT(*) FROM temp",
            "DROP TEMPORARY TABLE IF EXISTS temp",
            "SELECT GET_LOCK('{me}', 0) AS got",
            "SELECT IS_USED_LOCK('{me}') IS NULL AS free",
            "SELECT RELEASE_LOCK('{me}') AS released",
            "PREPARE p FROM 'SELECT COUNT(*) + ? FROM t'",
            "EXECUTE p USING @b",
            "DEALLOCATE PREPARE p",
            "CALL put(3)",
            "SET TRANSACTION READ ONLY",
            "SELECT made()",
        ],
    )
}

fn mistake(dice: &mut Random) -> &'static str {
    one_of(
        dice,
        &[
            "SELECT",
            "SELECT nothing FROM t",
            "SELECT * FROM nowhere",
            "INSERT INTO u VALUES (1, 'a'), (1, 'b')",
            "SET time_zone = 'nowhere'",
            "SET @c = 1, time_zone = 'nowhere'",
            "CALL fails()",
        ],
    )
}

/// A client of Pointsman and one of a plain server, which do the same.
struct Twins {
    shared: RawClient,
    plain: RawClient,
    /// What each has prepared.
    prepared: Vec<(u32, u32)>,
    name: String,
}

/// What of an answer has to be the same.
fn essence(answers: Vec<Answer>) -> Vec<Answer> {
    let strip = |answer| match answer {
        Answer::Ok { affected_rows, last_insert_id, status, warnings, info, .. } => {
            Answer::Ok { affected_rows, last_insert_id, status: status & SAME, warnings, info, session_state: Vec::new() }
        }
        Answer::Rows(rows) => Answer::Rows(Rows { status: rows.status & SAME, session_state: Vec::new(), ..rows }),
        Answer::Err(mut error) => {
            // The name of the schema is in some of them.
            error.message.clear();
            Answer::Err(error)
        }
    };
    answers.into_iter().map(strip).collect()
}

/// Not the one for changes of the session, which Pointsman's own questions may set, nor those for how a query was optimised.
const SAME: wire::StatusFlags = wire::StatusFlags::AUTOCOMMIT
    .union(wire::StatusFlags::IN_TRANS)
    .union(wire::StatusFlags::NO_BACKSLASH_ESCAPES)
    .union(wire::StatusFlags::MORE_RESULTS);

impl Twins {
    async fn login(cluster: &Cluster, proxy: &Proxy, name: String) -> Self {
        let login = |side: &str| LoginAs { schema: Some(format!("{side}{name}_one")), ..LoginAs::new(APP, APP) };
        let shared = RawClient::login(proxy.address, &login("s")).await.expect("a login");
        let plain = RawClient::login(cluster.primary().address(), &login("p")).await.expect("a login");
        Self { shared, plain, prepared: Vec::new(), name }
    }

    /// Both answers.
    async fn take(&mut self, step: &Step) -> (Vec<Answer>, Vec<Answer>) {
        let mine = |sql: &str, side: &str| sql.replace("{me}", &format!("{side}{}", self.name));
        match step {
            Step::Query(sql) => {
                let (one, other) = (mine(sql, "s"), mine(sql, "p"));
                (self.shared.query(&one).await, self.plain.query(&other).await)
            }
            Step::Prepare(sql) => {
                let (one, other) = (self.shared.prepare(sql).await, self.plain.prepare(sql).await);
                if let (Ok(one), Ok(other)) = (&one, &other) {
                    self.prepared.push((one.ok.statement_id, other.ok.statement_id));
                }
                let verdict = |outcome: Result<testkit::raw::Prepared, wire::ErrOwned>| match outcome {
                    Ok(prepared) => vec![Answer::rows(&[&prepared.columns.join(",")], &[])],
                    Err(error) => vec![Answer::Err(error)],
                };
                (verdict(one), verdict(other))
            }
            Step::Execute(back, parameters) => {
                let Some((one, other)) = self.prepared.iter().rev().nth(*back).copied() else { return Default::default() };
                let parameters: Vec<_> = parameters.iter().map(Option::as_deref).collect();
                (self.shared.execute(one, &parameters).await, self.plain.execute(other, &parameters).await)
            }
            Step::CloseStatement(back) => {
                let Some(place) = self.prepared.len().checked_sub(1 + back) else { return Default::default() };
                let (one, other) = self.prepared.remove(place);
                let close = |id: u32| [&[0x19], id.to_le_bytes().as_slice()].concat();
                self.shared.send_command(&close(one)).await;
                self.plain.send_command(&close(other)).await;
                Default::default()
            }
            Step::Reset => {
                self.prepared.clear();
                (vec![self.shared.command(&[0x1f]).await], vec![self.plain.command(&[0x1f]).await])
            }
        }
    }
}

async fn a_session_is_as_on_a_server_of_its_own(cluster: Arc<Cluster>) {
    // As few connections as five sessions need that may all be in a transaction: they change hands all the time.
    let proxy = Start::before(&cluster).config("limits.server_connections = 6\nlisten.threads = 2").start().await;
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    // The same in every run, but for what the replicas have got in time.
    let first = 1;
    let sequences = number("POINTSMAN_SEQUENCES").unwrap_or(SEQUENCES);
    let seeds = number("POINTSMAN_SEED").map_or(first..=first + sequences - 1, |seed| seed..=seed);
    let run = unique("r");
    let names: Vec<String> = (0..SESSIONS).map(|index| format!("{run}_{index}")).collect();
    let schemas = |name: &String| ["s", "p"].map(|side| [format!("{side}{name}_one"), format!("{side}{name}_two")]).concat();
    let schemas: Vec<String> = names.iter().flat_map(schemas).collect();
    let each = |sql: &dyn Fn(&String) -> String| schemas.iter().map(sql).collect::<Vec<_>>().join("; ");
    cluster.prepare(each(&|schema| definitions(schema))).await;
    for seed in seeds {
        cluster.prepare(each(&|schema| format!("TRUNCATE {schema}.t; TRUNCATE {schema}.u"))).await;
        run_sequence(&cluster, &proxy, &names, seed).await;
    }
    proxy.finish().await;
    cluster.prepare(each(&|schema| format!("DROP DATABASE {schema}"))).await;
}

async fn run_sequence(cluster: &Cluster, proxy: &Proxy, names: &[String], seed: u64) {
    let mut dice = Random::new(seed);
    let mut twins = Vec::new();
    for name in names {
        twins.push(Twins::login(cluster, proxy, name.clone()).await);
    }
    let mut taken: Vec<(usize, Step)> = Vec::new();
    for _ in 0..STEPS {
        let index = dice.index(SESSIONS);
        let step = step(&mut dice);
        // MariaDB's warnings outlast statements without tables, which may run on another server.
        let is_about_warnings = matches!(&step, Step::Query(sql) if sql.contains("WARNINGS") || sql.contains("warning_count"));
        let last = taken.iter().rev().find(|(of, _)| *of == index).map(|(_, step)| step);
        let has_table = matches!(last, Some(Step::Query(sql)) if [" t ", " t", " u "].iter().any(|table| sql.contains(table)));
        if is_about_warnings && !has_table && cluster.primary().engine() == Engine::MariaDb {
            continue;
        }
        taken.push((index, step.clone()));
        let twins = &mut twins[index];
        let (shared, plain) = twins.take(&step).await;
        let (mut shared, mut plain) = (essence(shared), essence(plain));
        name_alike(&mut plain, &twins.name);
        if is_told_gone(&step, &shared) {
            continue;
        }
        if matches!(&step, Step::Query(sql) if sql.contains("FOUND_ROWS")) {
            // That MySQL discourages it is a warning.
            [&mut shared, &mut plain].into_iter().for_each(without_warnings);
        }
        let history: Vec<_> = taken.iter().filter(|(of, _)| *of == index).map(|(_, step)| format!("{step:?}")).collect();
        assert_eq!(shared, plain, "POINTSMAN_SEED={seed}: session {index} after\n{}", history.join("\n"));
    }
    for (index, twins) in twins.iter_mut().enumerate() {
        let sql = "SHOW SESSION VARIABLES";
        let (shared, plain) = (variables(&mut twins.shared, sql).await, variables(&mut twins.plain, sql).await);
        let history: Vec<_> = taken.iter().filter(|(of, _)| *of == index).map(|(_, step)| format!("{step:?}")).collect();
        assert_eq!(shared, plain, "POINTSMAN_SEED={seed}: variables of session {index} after\n{}", history.join("\n"));
    }
}

/// The count of a statement is an error where it is no longer known, and never a wrong number.
fn is_told_gone(step: &Step, answers: &[Answer]) -> bool {
    let is_about_counts = matches!(step, Step::Query(sql) if sql.contains("ROW_COUNT") || sql.contains("FOUND_ROWS()"));
    is_about_counts && matches!(answers, [Answer::Err(error)] if error.code == 1105)
}

/// Messages among the rows have the twin's schema in them.
fn name_alike(answers: &mut Vec<Answer>, name: &str) {
    let (own, other) = (format!("p{name}"), format!("s{name}"));
    for answer in answers {
        let Answer::Rows(rows) = answer else { continue };
        for value in rows.rows.iter_mut().flatten().flatten() {
            if let Ok(text) = std::str::from_utf8(value)
                && text.contains(&own)
            {
                *value = text.replace(&own, &other).into_bytes();
            }
        }
    }
}

fn without_warnings(answers: &mut Vec<Answer>) {
    for answer in answers {
        if let Answer::Rows(rows) = answer {
            rows.warnings = 0;
        }
    }
}

fn definitions(schema: &str) -> String {
    format!(
        "CREATE DATABASE {schema};
         CREATE TABLE {schema}.t (a INT AUTO_INCREMENT PRIMARY KEY, b VARCHAR(1000));
         CREATE TABLE {schema}.u (k INT PRIMARY KEY, v VARCHAR(20));
         CREATE PROCEDURE {schema}.put(n INT) MODIFIES SQL DATA INSERT INTO t (b) VALUES (n);
         CREATE PROCEDURE {schema}.fails() MODIFIES SQL DATA SIGNAL SQLSTATE '45000';
         CREATE FUNCTION {schema}.made() RETURNS INT MODIFIES SQL DATA DETERMINISTIC BEGIN INSERT INTO t (b) VALUES ('made'); RETURN 1; END;
         GRANT ALL ON {schema}.* TO {APP}@'%'"
    )
}

/// But for those that count, that name the connection, and those by which Pointsman is told of changes.
async fn variables(client: &mut RawClient, sql: &str) -> BTreeMap<String, String> {
    let rows = client.query_one(sql).await.expect_rows();
    let text =
        |value: &Option<Vec<u8>>| value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    let moving = |name: &str| {
        let counts = ["timestamp", "pseudo_thread_id", "last_gtid", "statement_id", "in_transaction"];
        name.starts_with("session_track") || name.starts_with("rand_seed") || name.starts_with("gtid_") || counts.contains(&name)
    };
    let pairs = rows.rows.iter().map(|row| (text(&row[0]), text(&row[1])));
    pairs.filter(|(name, _)| !moving(name)).collect()
}

// --- Sharing ---

async fn connections(cluster: &Cluster) -> usize {
    let mut most = 0;
    for server in &cluster.servers {
        let sql = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{APP}'");
        most = most.max(server.rows::<usize>(sql, ()).await[0]);
    }
    most
}

async fn many_idle_sessions_need_few_connections(cluster: Arc<Cluster>) {
    const CLIENTS: usize = 200;
    let proxy = Start::before(&cluster).config("timeouts.server_idle = '2s'").start().await;
    let before = connections(&cluster).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = RawClient::login(proxy.address, &LoginAs::new(APP, APP)).await.expect("a login");
        client.query_one("SELECT COUNT(*) FROM information_schema.engines").await.expect_rows();
        clients.push(client);
    }
    eventually("most connections to be closed", async || (connections(&cluster).await <= before + 10).then_some(())).await;
    for client in &mut clients {
        assert_eq!(client.query_one("SELECT 1").await.expect_rows().single(), "1");
    }
    proxy.finish().await;
}

async fn more_clients_than_connections_take_turns(cluster: Arc<Cluster>) {
    const CLIENTS: usize = 32;
    let proxy = Start::before(&cluster).config("limits.server_connections = 3\nlisten.threads = 2").start().await;
    let table = unique("turns");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (client INT, n INT)")).await;
    let address = proxy.address;
    let client = |index: usize| {
        let table = table.clone();
        async move {
            let login = LoginAs { schema: Some("guestbook".to_owned()), ..LoginAs::new(APP, APP) };
            let mut client = RawClient::login(address, &login).await.expect("a login");
            client.query_one(&format!("SET @me = {index}")).await.expect_ok();
            for n in 0..30 {
                client.query_one("BEGIN").await.expect_ok();
                client.query_one(&format!("INSERT INTO {table} VALUES ({index}, {n})")).await.expect_ok();
                client.query_one("COMMIT").await.expect_ok();
                let count = client.query_one(&format!("SELECT COUNT(*) FROM {table} WHERE client = {index}")).await;
                assert_eq!(count.expect_rows().single(), (n + 1).to_string());
                assert_eq!(client.query_one("SELECT @me").await.expect_rows().single(), index.to_string());
            }
        }
    };
    let tasks: Vec<_> = (0..CLIENTS).map(|index| tokio::task::spawn_local(client(index))).collect();
    for task in tasks {
        e2e::promptly("a client's turns", task).await.expect("a client ends well");
    }
    proxy.finish().await;
}

/// A proxy that knows one more account, whose entry has these keys.
async fn with_guest(cluster: &Cluster, keys: &str, more: &str) -> (Proxy, String) {
    let user = unique("guest");
    let grants = format!("CREATE USER {user}@'%' IDENTIFIED BY '{user}'; GRANT ALL ON guestbook.* TO {user}@'%'");
    cluster.prepare(grants).await;
    let users = format!("users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{user}', password = '{user}', {keys} }}]");
    (Start::before(cluster).config(&format!("{more}\n{users}")).start().await, user)
}

async fn session(proxy: &Proxy, user: &str) -> RawClient {
    let login = LoginAs { schema: Some("guestbook".to_owned()), ..LoginAs::new(user, user) };
    RawClient::login(proxy.address, &login).await.expect("a login")
}

/// Far more sessions of one account want connections than it may have, and all that it has are in use for long.
async fn an_account_at_its_bound_stops_no_other(cluster: Arc<Cluster>) {
    const WAITING: usize = 40;
    let (proxy, user) =
        with_guest(&cluster, "server_connections = 2", "limits.server_connections = 4\ntimeouts.lease = '60s'").await;
    let mut holding = vec![session(&proxy, &user).await, session(&proxy, &user).await];
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        waiting.push(session(&proxy, &user).await);
    }
    let mut other = session(&proxy, APP).await;
    let table = unique("bound");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (n INT)")).await;
    for client in &mut holding {
        client.query_one("BEGIN").await.expect_ok();
        client.query_one(&format!("INSERT INTO {table} VALUES (0)")).await.expect_ok();
    }
    for client in &mut waiting {
        client.send_command(format!("\x03INSERT INTO {table} VALUES (1)").as_bytes()).await;
        client.expect_response();
    }
    let began = std::time::Instant::now();
    for n in 0..20 {
        other.query_one(&format!("INSERT INTO {table} VALUES ({n})")).await.expect_ok();
        // A new session gets in, too.
        session(&proxy, APP).await.query_one("SELECT 1 FOR UPDATE").await.expect_rows();
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "the other account has waited for {:?}", began.elapsed());
    let sql = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{user}'");
    assert_eq!(cluster.primary().rows::<usize>(sql, ()).await, [2]);
    for client in &mut holding {
        client.query_one("COMMIT").await.expect_ok();
    }
    for client in &mut waiting {
        let answers = e2e::promptly("a turn", client.answers(false)).await.expect("an answer");
        answers.into_iter().for_each(Answer::expect_ok);
    }
    proxy.finish().await;
}

async fn who_finds_the_queue_full_is_told_at_once(cluster: Arc<Cluster>) {
    let config = "limits.server_connections = 1\nlimits.waiting = 1\ntimeouts.lease = '60s'";
    let mut proxy = Start::before(&cluster).config(config).start().await;
    proxy.expect_in_log("no connection for a statement");
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(session(&proxy, APP).await);
    }
    let [holding, waiting, late] = clients.as_mut_slice() else { panic!("three clients") };
    holding.query_one("BEGIN").await.expect_ok();
    holding.query_one("SELECT 1 FOR UPDATE").await.expect_rows();
    for client in [&mut *waiting, &mut *late] {
        client.send_command(b"\x03SELECT 1 FOR UPDATE").await;
        client.expect_response();
    }
    // Whichever comes second finds the other one in the queue.
    let told = async {
        tokio::select! {
            answers = waiting.answers(false) => (answers, &mut *late),
            answers = late.answers(false) => (answers, &mut *waiting),
        }
    };
    let (answers, in_queue) = e2e::promptly("an error at once", told).await;
    let error = answers.expect("an answer").remove(0).expect_err();
    assert_eq!(error.code, 1040, "{error}");
    assert!(String::from_utf8_lossy(&error.message).contains("(limits.waiting)"), "{error}");
    holding.query_one("COMMIT").await.expect_ok();
    e2e::promptly("a turn", in_queue.answers(false)).await.expect("an answer").remove(0).expect_rows();
    proxy.finish().await;
}

/// The connections of before are there when statements come again, and one that was lost is replaced.
async fn connections_are_ready_after_a_quiet_time(cluster: Arc<Cluster>) {
    let (proxy, user) = with_guest(&cluster, "warm_server_connections = 2", "timeouts.server_idle = '1s'").await;
    let mut client = session(&proxy, &user).await;
    client.query_one("SELECT 1 FOR UPDATE").await.expect_rows();
    let sql = format!("SELECT id FROM information_schema.processlist WHERE user = '{user}' ORDER BY id");
    let connections = async || {
        let mut all = Vec::new();
        for server in &cluster.servers {
            all.push(server.rows::<u64>(sql.clone(), ()).await);
        }
        all
    };
    let ready = async || Some(connections().await).filter(|all| all.iter().all(|ids| ids.len() == 2));
    let before = eventually("two connections to each server", ready).await;
    cluster.primary().run(format!("KILL {}", before[0][0])).await;
    let replaced = async || ready().await.filter(|all| all[0] != before[0]);
    let before = eventually("another one in its place", replaced).await;
    for _ in 0..20 {
        client.query_one("SELECT COUNT(*) FROM information_schema.engines").await.expect_rows();
        client.query_one("SELECT 1 FOR UPDATE").await.expect_rows();
    }
    assert_eq!(connections().await, before);
    proxy.finish().await;
}

/// Whatever a session does, the next one on its connection is as on a fresh one.
async fn nothing_of_a_session_is_seen_by_the_next(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("listen.threads = 1").start().await;
    let login = LoginAs { schema: Some("guestbook".to_owned()), ..LoginAs::new(APP, APP) };
    // Logged in first: no connection has to be logged in to again for its sake.
    let mut watcher = RawClient::login(proxy.address, &login).await.unwrap();
    let mut direct = RawClient::login(cluster.primary().address(), &login).await.unwrap();
    let sql = "SHOW SESSION VARIABLES";
    let expected = variables(&mut direct, sql).await;
    let table = unique("left");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (a INT AUTO_INCREMENT PRIMARY KEY, b INT)")).await;
    let mut used = BTreeSet::new();
    for statement in [
        "SET sql_mode = '', time_zone = '+01:00', wait_timeout = 77, autocommit = 0",
        "SET NAMES latin1",
        "SET character_set_results = NULL",
        "SET @a = 1",
        "SET @a = RAND()",
        "USE information_schema",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET TRANSACTION READ ONLY",
        "SET max_join_size = 5",
        "CREATE TEMPORARY TABLE secret AS SELECT 'secret' AS s",
        "SELECT GET_LOCK('secret', 0)",
        "PREPARE secret FROM 'SELECT 1'",
        "INSERT INTO {table} (b) VALUES (1)",
        "INSERT INTO {table} VALUES (1, 1)",
        "SELECT CAST('12x' AS SIGNED)",
        "SELECT LAST_INSERT_ID(99)",
        "SET @b = 1, time_zone = 'nowhere'",
    ] {
        let mut session = RawClient::login(proxy.address, &login).await.unwrap();
        session.query(&statement.replace("{table}", &table)).await;
        let in_between = ["SELECT @a, @b", "SELECT LAST_INSERT_ID()", "SHOW WARNINGS", "EXECUTE secret", "SELECT s FROM secret"];
        for question in in_between {
            let (seen, plain) = (watcher.query(question).await, direct.query(question).await);
            assert_eq!(essence(seen), essence(plain), "{question} after {statement}");
        }
        assert_eq!(variables(&mut watcher, sql).await, variables(&mut direct, sql).await, "during {statement}");
        drop(session);
        let taken = watcher.query_one("SELECT IS_USED_LOCK('secret') IS NULL, CONNECTION_ID() + 0").await.expect_rows();
        used.extend(taken.rows[0][1].clone());
        assert_eq!(variables(&mut watcher, sql).await, expected, "after {statement}");
    }
    eprintln!("{} connections were used on {}", used.len(), cluster.primary().engine().label());
    proxy.finish().await;
}
