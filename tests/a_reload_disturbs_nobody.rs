//! The configuration changes while statements run: servers come and go, users and rules count at once, and a mistake changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::failover::AUTOMATIC;
use e2e::mysql_async::Error;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::writers::Load;
use e2e::{APP, Cluster, Proxy, SCHEMA, Start, eventually, unique};
use testkit::{LoginAs, RawClient};

e2e::suite! {
    Together: [
        servers_come_and_go_under_load,
        a_weight_of_zero_sends_reads_elsewhere,
        a_file_that_has_changed_is_read_anew,
        the_primary_cannot_be_taken_off,
        a_transaction_on_a_removed_replica_ends_with_an_error,
        an_unreachable_server_harms_no_session,
        a_mistake_leaves_everything_as_it_was,
        rules_and_routing_count_from_the_next_statement_on,
        users_count_from_the_next_login_on,
        causal_reads_of_all_count_for_sessions_that_are_there,
        a_limit_of_connections_can_be_lowered_and_raised,
        what_needs_a_restart_is_named,
    ],
    OwnCluster: [
        a_failover_that_waits_for_a_person_goes_on_by_another_configuration,
    ],
}

const ALL: [&str; 3] = ["db1", "db2", "db3"];

async fn reload(proxy: &mut Proxy, toml: &str) -> String {
    let (is_done, said) = proxy.reload(toml).await;
    assert!(is_done, "{said}");
    said
}

async fn servers_come_and_go_under_load(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let all = proxy.servers_toml(&ALL);
    let load = Load::start(&cluster, &proxy, 4, 4).await;
    let mut transaction = proxy.client().await;
    transaction.query_drop("BEGIN").await.unwrap();
    transaction.query_drop(format!("INSERT INTO {SCHEMA}.{} (id) VALUES (0)", load.table)).await.unwrap();
    for _ in 0..3 {
        let fewer = proxy.servers_toml(&["db1", "db2"]);
        assert!(reload(&mut proxy, &fewer).await.contains("servers gone: db3"));
        proxy.wait_for_reads_on(&cluster, &["db2"]).await;
        load.progress(50).await;
        assert!(reload(&mut proxy, &all).await.contains("new servers: db3"));
        proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
        load.progress(50).await;
    }
    transaction.query_drop("ROLLBACK").await.unwrap();
    transaction.disconnect().await.unwrap();
    let account = load.finish(cluster.primary()).await;
    assert_eq!((account.lost, account.refusals, account.read_errors, account.unknown), (vec![], vec![], vec![], 0));
    proxy.finish().await;
}

async fn a_weight_of_zero_sends_reads_elsewhere(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let usual = proxy.servers_toml(&ALL);
    let light = usual.replace("name = \"db2\"", "name = \"db2\", weight = 0");
    assert_ne!(light, usual);
    reload(&mut proxy, &light).await;
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;
    reload(&mut proxy, &usual).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    proxy.finish().await;
}

async fn a_file_that_has_changed_is_read_anew(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("reload.on_change = true").start().await;
    proxy.expect_in_log("the configuration was not reloaded");
    let usual = proxy.servers_toml(&ALL);
    proxy.reconfigure(&usual.replace("name = \"db2\"", "name = \"db2\", weight = 0"));
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;
    proxy.reconfigure("routing.max_lag = 'soon'");
    eventually("the mistake in the log", async || {
        proxy.log().iter().any(|line| line.text.contains("the configuration was not reloaded")).then_some(())
    })
    .await;
    proxy.reconfigure("routing.max_lag = '1s'");
    proxy.reconfigure(&usual);
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    proxy.finish().await;
}

async fn the_primary_cannot_be_taken_off(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_in_log("the configuration was not reloaded");
    let without = proxy.servers_toml(&["db2", "db3"]);
    let (is_done, said) = proxy.reload(&without).await;
    assert!(!is_done && said.contains("db1 is the primary") && said.contains("switch over"), "{said}");
    still_serves(&proxy, &cluster).await;
    proxy.finish().await;
}

async fn a_transaction_on_a_removed_replica_ends_with_an_error(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_loss_of_connections();
    let mut client = proxy.client().await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)")).await;
    e2e::eventually("a transaction on db3", async || {
        let mark = unique("mark");
        client.query_drop("START TRANSACTION READ ONLY").await.unwrap();
        client.query_drop(format!("SELECT COUNT(*), '{mark}' FROM {table}")).await.unwrap();
        if cluster.who_ran(&mark).await == ["db3"] {
            return Some(());
        }
        client.query_drop("COMMIT").await.unwrap();
        None
    })
    .await;
    let fewer = proxy.servers_toml(&["db1", "db2"]);
    reload(&mut proxy, &fewer).await;
    let lost = client.query_drop(format!("SELECT COUNT(*) FROM {table}")).await;
    assert!(matches!(&lost, Err(Error::Server(error)) if error.code == 1213), "{lost:?}");
    client.query_drop(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn an_unreachable_server_harms_no_session(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_in_log("server is down");
    proxy.expect_finding("replica_down");
    let usual = proxy.servers_toml(&ALL);
    let more = usual.replace("servers = [", "servers = [{ name = 'db4', address = '127.0.0.1:1' }, ");
    let load = Load::start(&cluster, &proxy, 2, 2).await;
    assert!(reload(&mut proxy, &more).await.contains("new servers: db4"));
    e2e::eventually("db4 to be seen as down", async || {
        let (_, status) = proxy.ask(&["status"]).await;
        status.lines().any(|line| line.contains("db4") && line.contains("gone")).then_some(())
    })
    .await;
    load.progress(50).await;
    reload(&mut proxy, &usual).await;
    let account = load.finish(cluster.primary()).await;
    assert_eq!((account.lost, account.refusals, account.read_errors, account.unknown), (vec![], vec![], vec![], 0));
    proxy.finish().await;
}

async fn a_mistake_leaves_everything_as_it_was(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_in_log("the configuration was not reloaded");
    for (mistake, expected) in [
        ("routing.max_lag = 'soon'", "max_lag"),
        ("routing.max_leg = '2s'", "max_lag"),
        ("users = []", "there is no [[users]]"),
        ("servers = []", "there is no [[servers]]"),
    ] {
        let (is_done, said) = proxy.reload(mistake).await;
        assert!(!is_done && said.contains(expected), "{mistake}: {said}");
    }
    still_serves(&proxy, &cluster).await;
    proxy.finish().await;
}

async fn still_serves(proxy: &Proxy, cluster: &Cluster) {
    proxy.wait_for_reads_on(cluster, &["db2", "db3"]).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("CREATE TABLE {SCHEMA}.{} (id INT PRIMARY KEY)", unique("t"))).await.unwrap();
    client.disconnect().await.unwrap();
}

async fn rules_and_routing_count_from_the_next_statement_on(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)")).await;
    let mut client = proxy.client().await;
    let prepared = client.prep(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
    client.exec_drop(&prepared, ()).await.unwrap();
    let rule = |then: &str| format!("rules = [{{ name = 'ours', table = '{table}', {then} }}]");
    reload(&mut proxy, &rule("refuse = 'not today'")).await;
    for outcome in [
        client.query_drop(format!("SELECT COUNT(*) FROM {table}")).await,
        client.exec_drop(&prepared, ()).await,
        client.query_drop(format!("DELETE FROM {table}")).await,
    ] {
        let refused = matches!(&outcome, Err(Error::Server(error)) if error.code == 1227 && error.message.contains("not today"));
        assert!(refused, "{outcome:?}");
    }
    reload(&mut proxy, &rule("target = 'db3'")).await;
    let mark = unique("mark");
    for _ in 0..4 {
        client.query_drop(format!("SELECT COUNT(*), '{mark}' FROM {table}")).await.unwrap();
    }
    assert_eq!(cluster.who_ran(&mark).await, ["db3"; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// By SIGHUP, as a rotation of passwords would do it.
async fn users_count_from_the_next_login_on(cluster: Arc<Cluster>) {
    let user = unique("guest");
    cluster.prepare(format!("CREATE USER {user}@'%' IDENTIFIED BY '{user}'; GRANT SELECT ON {SCHEMA}.* TO {user}@'%'")).await;
    let mut proxy = Proxy::start(&cluster).await;
    let login = LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(&user, &user) };
    assert!(RawClient::login(proxy.address, &login).await.is_err());

    let app = format!("{{ name = '{APP}', password = '{APP}' }}");
    proxy.reconfigure(&format!("users = [{app}, {{ name = '{user}', password = '{user}' }}]"));
    proxy.hang_up();
    let mut guest =
        e2e::eventually("the new user to be let in", async || RawClient::login(proxy.address, &login).await.ok()).await;
    assert_eq!(guest.query_one("SELECT CURRENT_USER()").await.expect_rows().single(), format!("{user}@%"));

    reload(&mut proxy, &format!("users = [{app}]")).await;
    assert!(RawClient::login(proxy.address, &login).await.is_err());
    // A session that is there goes on, as on a server.
    assert_eq!(guest.query_one("SELECT CURRENT_USER()").await.expect_rows().single(), format!("{user}@%"));
    proxy.finish().await;
}

async fn causal_reads_of_all_count_for_sessions_that_are_there(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("routing.causal_reads = 'off'").start().await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)")).await;
    let (mut writer, mut reader) = (proxy.client().await, proxy.client().await);
    reader.query_drop("SELECT 1").await.unwrap();
    reload(&mut proxy, "routing.causal_reads = 'global'").await;
    for id in 1..200_u32 {
        writer.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await.unwrap();
        let seen: Option<u32> = reader.query_first(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
        assert_eq!(seen, Some(id));
    }
    for client in [writer, reader] {
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn a_limit_of_connections_can_be_lowered_and_raised(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("timeouts.lease = '100ms'").start().await;
    proxy.expect_in_log("no connection for a statement");
    let (mut first, mut second) = (proxy.client().await, proxy.client().await);
    for client in [&mut first, &mut second] {
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop("COMMIT").await.unwrap();
    }
    reload(&mut proxy, "limits.server_connections = 1").await;
    first.query_drop("BEGIN").await.unwrap();
    let refused = second.query_drop("BEGIN").await;
    assert!(matches!(&refused, Err(Error::Server(error)) if error.message.contains("limits.server_connections")), "{refused:?}");
    reload(&mut proxy, "limits.server_connections = 2").await;
    second.query_drop("BEGIN").await.unwrap();
    for mut client in [first, second] {
        client.query_drop("COMMIT").await.unwrap();
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn what_needs_a_restart_is_named(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let said = reload(&mut proxy, "listen.threads = 7\nlimits.digest_cache = 77").await;
    assert!(said.ends_with("still as at the start, until the next one: listen.threads, limits.digest_cache"), "{said}");
    let said = reload(&mut proxy, "routing.max_lag = '2s'").await;
    assert!(said.contains("listen.threads"), "it still is: {said}");
    proxy.finish().await;
}

async fn a_failover_that_waits_for_a_person_goes_on_by_another_configuration(cluster: Arc<Cluster>) {
    let config = AUTOMATIC.replace("'auto'", "'manual'");
    let mut proxy = Start::before(&cluster).config(&config).start().await;
    cluster.primary().kill().await;
    e2e::eventually("the primary to be missed", async || proxy.primary().await.is_none().then_some(())).await;
    let fewer = proxy.servers_toml(&["db2", "db3"]);
    assert!(reload(&mut proxy, "failover.durability = 'bounded'").await.contains("reloaded"));
    let new = e2e::eventually("a new primary", async || proxy.primary().await).await;
    assert_ne!(new, "db1");
    // Its absence is no longer reported.
    reload(&mut proxy, &fewer).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("CREATE TABLE {SCHEMA}.{} (id INT PRIMARY KEY)", unique("t"))).await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish_with(&[""]).await;
}
