//! What one account does neither stops, slows nor spies on another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error};
use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, eventually, promptly, unique};
use testkit::{LoginAs, RawClient};
use wire::command::COM_PROCESS_KILL;

e2e::suite! {
    Together: [
        a_kill_stops_the_statement_of_the_session_that_it_names,
        a_kill_ends_the_session_that_it_names,
        a_kill_of_ones_own_connection_ends_the_session,
        a_kill_does_not_reach_another_account,
        a_kill_of_a_servers_number_is_the_servers_business,
        a_command_kills_as_the_statement_does,
        a_denied_definition_keeps_no_reads_on_the_primary,
        settings_of_a_session_are_bounded,
        a_client_that_does_not_read_its_answers_holds_no_locks,
        a_failed_batch_of_settings_does_not_end_the_session,
    ],
}

fn guest_login(user: &str) -> LoginAs {
    LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(user, user) }
}

/// A proxy that knows one more account, which may read.
async fn with_guest(cluster: &Cluster, more: &str) -> (Proxy, String) {
    let user = unique("guest");
    cluster.prepare(format!("CREATE USER {user}@'%' IDENTIFIED BY '{user}'; GRANT SELECT ON {SCHEMA}.* TO {user}@'%'")).await;
    let config = format!(
        "{more}
        users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{user}', password = '{user}' }}]"
    );
    (Start::before(cluster).config(&config).start().await, user)
}

async fn session(proxy: &Proxy) -> RawClient {
    RawClient::login(proxy.address, &guest_login(APP)).await.expect("a login")
}

/// The session's own number: in the greeting, and by the function.
async fn number(session: &mut RawClient) -> u32 {
    let asked = session.query_one("SELECT CONNECTION_ID()").await.expect_rows().single();
    assert_eq!(asked, session.greeting.connection_id.to_string());
    session.greeting.connection_id
}

/// Starts a statement that takes long, and waits until a server runs it.
async fn start_sleeping(cluster: &Cluster, session: &mut RawClient, sql: &str) {
    let mark = unique("sleep");
    session.send_command(format!("\x03{}", sql.replace("{mark}", &mark)).as_bytes()).await;
    session.expect_response();
    let running = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%{mark}%' AND info NOT LIKE '%processlist%'"
    );
    eventually("a sleeping statement", async || {
        let mut count = 0;
        for server in &cluster.servers {
            count += server.rows::<u32>(&*running, ()).await[0];
        }
        (count == 1).then_some(())
    })
    .await;
}

async fn a_kill_stops_the_statement_of_the_session_that_it_names(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (mut sleeper, mut killer, mut bystander) = (session(&proxy).await, session(&proxy).await, session(&proxy).await);
    bystander.query_one("BEGIN").await.expect_ok();
    bystander.query_one("SELECT 1 FOR UPDATE").await.expect_rows();
    let id = number(&mut sleeper).await;
    // On the primary, and on a replica, where the number would belong to another session.
    for sql in ["SELECT SLEEP(100), '{mark}' FOR UPDATE", "SELECT SLEEP(100), '{mark}'"] {
        start_sleeping(&cluster, &mut sleeper, sql).await;
        killer.query_one(&format!("KILL QUERY {id}")).await.expect_ok();
        let answer = promptly("the end of the statement", sleeper.answers(false)).await.unwrap().remove(0);
        // MySQL's SLEEP() says 1 when it is interrupted, unless the whole statement ends.
        match answer {
            testkit::Answer::Err(error) => assert_eq!(error.code, 1317),
            answer => assert_eq!(answer.expect_rows().rows[0][0].as_deref(), Some(b"1".as_slice())),
        }
    }
    // One that finds nothing to stop stops nothing later.
    killer.query_one(&format!("KILL QUERY {id}")).await.expect_ok();
    assert_eq!(sleeper.query_one("SELECT 1").await.expect_rows().single(), "1");
    bystander.query_one("COMMIT").await.expect_ok();
    proxy.finish().await;
}

async fn a_kill_ends_the_session_that_it_names(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (mut idle, mut busy, mut killer) = (session(&proxy).await, session(&proxy).await, session(&proxy).await);
    let id = number(&mut idle).await;
    killer.query_one(&format!("KILL {id}")).await.expect_ok();
    idle.expect_closed().await;
    assert_eq!(killer.query_one(&format!("KILL CONNECTION {id}")).await.expect_err().code, 1094);
    let mut other = session(&proxy).await;
    let prepared = killer.prepare(&format!("KILL {}", number(&mut other).await)).await.unwrap();
    killer.execute(prepared.ok.statement_id, &[]).await.remove(0).expect_ok();
    other.expect_closed().await;
    let id = number(&mut busy).await;
    start_sleeping(&cluster, &mut busy, "SELECT SLEEP(100), '{mark}' FOR UPDATE").await;
    killer.query_one(&format!("KILL {id}")).await.expect_ok();
    // What its statement still says, and then the end.
    promptly("its end", async { while !busy.read_bytes(1024).await.is_empty() {} }).await;
    proxy.finish().await;
}

async fn a_kill_of_ones_own_connection_ends_the_session(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut suicide = session(&proxy).await;
    assert_eq!(suicide.query_one("KILL CONNECTION_ID()").await.expect_err().code, 1317);
    suicide.expect_closed().await;
    let mut careful = session(&proxy).await;
    assert_eq!(careful.query_one("KILL QUERY CONNECTION_ID()").await.expect_err().code, 1317);
    assert_eq!(careful.query_one("SELECT 1").await.expect_rows().single(), "1");
    proxy.finish().await;
}

async fn a_kill_does_not_reach_another_account(cluster: Arc<Cluster>) {
    let (proxy, user) = with_guest(&cluster, "").await;
    let mut victim = session(&proxy).await;
    victim.query_one("BEGIN").await.expect_ok();
    victim.query_one("SET @a = 1").await.expect_ok();
    let id = number(&mut victim).await;
    let mut guest = RawClient::login(proxy.address, &guest_login(&user)).await.unwrap();
    for sql in [format!("KILL {id}"), format!("KILL QUERY {id}")] {
        assert_eq!(guest.query_one(&sql).await.expect_err().code, 1095);
    }
    // The server's number, too, is not the guest's to kill.
    let connection = victim.query_one("SELECT CONNECTION_ID() + 0").await.expect_rows().single();
    assert_eq!(guest.query_one(&format!("KILL {connection}")).await.expect_err().code, 1095);
    assert_eq!(victim.query_one("SELECT @a").await.expect_rows().single(), "1");
    // The end of the proxy would wait for its transaction.
    drop(victim);
    proxy.finish().await;
}

async fn a_kill_of_a_servers_number_is_the_servers_business(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_loss_of_connections();
    let (mut victim, mut killer) = (session(&proxy).await, session(&proxy).await);
    victim.query_one("BEGIN").await.expect_ok();
    let connection = victim.query_one("SELECT CONNECTION_ID() + 0").await.expect_rows().single();
    killer.query_one(&format!("KILL {connection}")).await.expect_ok();
    let error = victim.query_one("SELECT 1").await.expect_err();
    // Its transaction is rolled back, and the session lives on.
    assert_eq!((error.code, &error.sqlstate), (1213, b"40001"), "{error:?}");
    victim.query_one("SELECT 1").await.expect_rows();
    drop(victim);
    proxy.finish().await;
}

async fn a_command_kills_as_the_statement_does(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (mut victim, mut killer) = (session(&proxy).await, session(&proxy).await);
    let id = number(&mut victim).await;
    killer.command(&[&[COM_PROCESS_KILL], &id.to_le_bytes()[..]].concat()).await.expect_ok();
    victim.expect_closed().await;
    assert_eq!(killer.command(&[&[COM_PROCESS_KILL], &id.to_le_bytes()[..]].concat()).await.expect_err().code, 1094);
    proxy.finish().await;
}

async fn a_denied_definition_keeps_no_reads_on_the_primary(cluster: Arc<Cluster>) {
    let (proxy, user) = with_guest(&cluster, "").await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT)")).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    let mut guest = RawClient::login(proxy.address, &guest_login(&user)).await.unwrap();
    let mut reader = session(&proxy).await;
    let mark = unique("read");
    for _ in 0..50 {
        for sql in ["CREATE VIEW v AS SELECT 1", "DO 1; CREATE VIEW v AS SELECT 1", "CREATE FUNCTION"] {
            let last = guest.query(sql).await.pop().expect("an answer");
            assert!(matches!(last.expect_err().code, 1142 | 1044 | 1064 | 1370));
        }
        reader.query_one(&format!("SELECT '{mark}' FROM {table}")).await.expect_rows();
    }
    let ran = cluster.who_ran(&mark).await;
    assert_eq!((ran.len(), ran.contains(&"db1")), (50, false), "{ran:?}");
    // A client that does not wait for the answer is refused all the same, perhaps a moment later.
    for _ in 0..10 {
        let mut hasty = RawClient::login(proxy.address, &guest_login(&user)).await.unwrap();
        hasty.send_command(b"\x03CREATE VIEW v AS SELECT 1").await;
        drop(hasty);
        eventually("a read on a replica", async || {
            let mark = unique("read");
            let mut client = session(&proxy).await;
            client.query_one(&format!("SELECT '{mark}' FROM {table}")).await.expect_rows();
            (cluster.who_ran(&mark).await != ["db1"]).then_some(())
        })
        .await;
    }
    proxy.finish().await;
}

async fn settings_of_a_session_are_bounded(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = session(&proxy).await;
    client.query_one("SELECT 1").await.expect_rows();
    let before = proxy.resident_bytes();
    let comment = "x".repeat(1 << 20);
    for number in 0..200 {
        client.query_one(&format!("SET sql_select_limit = {} /* {comment} */", number + 1000)).await.expect_ok();
        client.query_one(&format!("SET sql_mode = CONCAT(@@sql_mode, ',') /* {number} */")).await.expect_ok();
    }
    for number in 0..400 {
        client.query_one(&format!("SET @`{number}{}` = 1", "v".repeat(50))).await.expect_ok();
    }
    let grown = proxy.resident_bytes().saturating_sub(before);
    assert!(grown < 30 << 20, "{grown} bytes");
    // It has what it has set, and is none the worse for it.
    assert_eq!(client.query_one("SELECT @@sql_select_limit").await.expect_rows().single(), "1199");
    proxy.finish().await;
}

async fn a_client_that_does_not_read_its_answers_holds_no_locks(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("timeouts.client_write = '300ms'").start().await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT PRIMARY KEY); INSERT INTO {SCHEMA}.{table} VALUES (1)")).await;
    let mut rude = session(&proxy).await;
    rude.query_one("BEGIN").await.expect_ok();
    rude.query_one(&format!("SELECT a FROM {table} FOR UPDATE")).await.expect_rows();
    // Pings by the hundred thousand, and no look at the answers.
    let pings = [1, 0, 0, 0, 0x0e].repeat(200_000);
    let flood = tokio::task::spawn_local(async move {
        for _ in 0..50 {
            rude.send_bytes(&pings).await;
        }
        rude
    });
    let mut polite = proxy.client().await;
    eventually("the row to be free", async || polite.query_drop(format!("SELECT a FROM {table} FOR UPDATE NOWAIT")).await.ok())
        .await;
    flood.abort();
    polite.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_failed_batch_of_settings_does_not_end_the_session(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client: Conn = proxy.client().await;
    // A connection to a replica only, as far as the session itself has asked for one.
    client.query_drop("SELECT 1").await.unwrap();
    let Err(Error::Server(error)) = client.query_drop("SET time_zone = '+01:00'; SET time_zone = 'Nowhere'").await else {
        panic!("there is no such time zone")
    };
    assert_eq!(error.code, 1298);
    for _ in 0..4 {
        assert_eq!(client.query_first::<String, _>("SELECT @@time_zone").await.unwrap().as_deref(), Some("+01:00"));
    }
    for number in 0..300 {
        let sql = match cluster.engine {
            Engine::MySql => format!("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES') /* {number} */"),
            Engine::MariaDb => {
                format!("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES'), @@time_zone = '+0{}:00'", number % 9 + 1)
            }
        };
        client.query_drop(sql).await.unwrap();
    }
    client.query_drop("SELECT 1").await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}
