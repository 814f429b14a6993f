//! How reads are shared out among replicas: by weight, by state, and away from a slow one; and how a person changes that while statements run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::readers::Readers;
use e2e::writers::Load;
use e2e::{Cluster, PATIENT, Proxy, SCHEMA, Start, eventually, unique};
use serde_json::Value;

e2e::suite! {
    Together: [
        shares_follow_the_weights,
        weights_and_states_change_under_load_without_an_error,
        what_a_person_has_set_outlives_a_reload_that_says_nothing_of_it,
        a_transaction_on_a_drained_replica_ends_there,
        what_cannot_be_set_is_refused,
    ],
    Alone: [
        a_backup_answers_only_while_no_active_replica_may,
        a_slow_replica_is_spared_and_comes_back,
        a_server_in_maintenance_may_go_without_a_warning,
    ],
}

/// A server that comes back has its whole share at once.
const AT_ONCE: &str = "routing.slow_start = '0s'\nlisten.threads = 1";

async fn set(proxy: &Proxy, server: &str, change: &[&str]) -> String {
    let (is_done, said) = proxy.ask(&[&["set", server], change].concat()).await;
    assert!(is_done, "{said}");
    said
}

/// A server as `pointsman status` shows it.
async fn status_of(proxy: &Proxy, server: &str) -> Value {
    let (_, status) = proxy.ask(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    status["servers"].as_array().unwrap().iter().find(|view| view["name"] == server).expect("the server").clone()
}

/// How many of so many reads, one after another, each server answers.
async fn shares(cluster: &Cluster, proxy: &Proxy, count: usize) -> [usize; 3] {
    let mut client = proxy.client().await;
    let mark = unique("share");
    for _ in 0..count {
        client.query_drop(format!("SELECT '{mark}'")).await.unwrap();
    }
    client.disconnect().await.unwrap();
    let ran = cluster.who_ran(&mark).await;
    ["db1", "db2", "db3"].map(|name| ran.iter().filter(|server| **server == name).count())
}

async fn shares_follow_the_weights(cluster: Arc<Cluster>) {
    // How many of 80 the heavier one may be off; `None` where that depends on how long reads take, which nobody knows on a busy machine. Their tables in
    // the router hold them to the weights.
    for (balance, tolerance) in
        [("round_robin", Some(1)), ("least_connections", Some(1)), ("observed", None), ("latency", None), ("random_of_two", None)]
    {
        let config = format!("{AT_ONCE}\n{PATIENT}\nrouting.balance = '{balance}'\nejection.share = 0");
        let proxy = Start::before(&cluster).config(&config).start().await;
        set(&proxy, "db2", &["--weight", "3"]).await;
        let [primary, heavy, light] = shares(&cluster, &proxy, 80).await;
        assert_eq!((primary, heavy + light), (0, 80), "{balance}");
        assert!(tolerance.is_none_or(|tolerance| heavy.abs_diff(60) <= tolerance), "{balance}: {heavy} of 80");
        set(&proxy, "db2", &["--weight", "0"]).await;
        assert_eq!(shares(&cluster, &proxy, 20).await, [0, 0, 20], "{balance}");
        proxy.finish().await;
    }
}

async fn weights_and_states_change_under_load_without_an_error(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config(&format!("{AT_ONCE}\n{PATIENT}")).start().await;
    let load = Load::start(&cluster, &proxy, 4, 4).await;
    for change in [["--state", "drain"], ["--state", "maintenance"], ["--weight", "0"], ["--state", "backup"]] {
        for (server, other) in [("db2", "db3"), ("db3", "db2")] {
            set(&proxy, server, &change).await;
            proxy.wait_for_reads_on(&cluster, &[other]).await;
            load.progress(20).await;
            set(&proxy, server, &["--state", "active", "--weight", "1"]).await;
            proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
            load.progress(20).await;
        }
    }
    for server in ["db2", "db3"] {
        set(&proxy, server, &["--state", "drain"]).await;
    }
    // Nobody else may.
    proxy.wait_for_reads_on(&cluster, &["db1"]).await;
    load.progress(20).await;
    // Writes are not reads.
    set(&proxy, "db1", &["--state", "maintenance"]).await;
    load.progress(20).await;
    let account = load.finish(cluster.primary()).await;
    assert_eq!((account.lost, account.refusals, account.read_errors, account.unknown), (vec![], vec![], vec![], 0));
    let (_, status) = proxy.ask(&["status"]).await;
    assert_eq!(status.matches("weight 1    drain").count(), 2, "{status}");
    let last = proxy.journal().pop().expect("an entry");
    assert_eq!(
        (&last["event"], &last["server"], &last["after"]["state"]),
        (&"share_set".into(), &"db1".into(), &"maintenance".into())
    );
    proxy.finish().await;
}

async fn what_a_person_has_set_outlives_a_reload_that_says_nothing_of_it(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config(AT_ONCE).start().await;
    let usual = proxy.servers_toml(&["db1", "db2", "db3"]);
    let with = |more: &str| usual.replace("name = \"db2\"", &format!("name = \"db2\", {more}"));
    set(&proxy, "db2", &["--weight", "5", "--state", "drain"]).await;
    for (toml, weight, state) in [
        ("routing.max_lag = '2s'".to_owned(), 5, "drain"),
        (with("weight = 7"), 7, "drain"),
        (with("weight = 7, state = 'backup'"), 7, "backup"),
        (usual.clone(), 1, "active"),
    ] {
        let (is_done, said) = proxy.reload(&toml).await;
        assert!(is_done, "{said}");
        let status = status_of(&proxy, "db2").await;
        assert_eq!((&status["weight"], &status["state"]), (&weight.into(), &state.into()), "{toml}");
    }
    proxy.finish().await;
}

async fn a_transaction_on_a_drained_replica_ends_there(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config(&format!("{AT_ONCE}\n{PATIENT}")).start().await;
    let mark = unique("inside");
    let read = format!("SELECT '{mark}'");
    set(&proxy, "db3", &["--state", "drain"]).await;
    let mut client = proxy.client().await;
    client.query_drop("START TRANSACTION READ ONLY").await.unwrap();
    client.query_drop(&read).await.unwrap();
    set(&proxy, "db2", &["--state", "drain"]).await;
    set(&proxy, "db3", &["--state", "active"]).await;
    client.query_drop(&read).await.unwrap();
    client.query_drop("COMMIT").await.unwrap();
    assert_eq!(cluster.who_ran(&mark).await, ["db2", "db2"]);
    client.query_drop(&read).await.unwrap();
    assert_eq!(cluster.who_ran(&mark).await, ["db2", "db2", "db3"]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn what_cannot_be_set_is_refused(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (is_done, said) = proxy.ask(&["set", "db 7/x", "--weight", "3"]).await;
    assert!(!is_done && said.contains("no server has the name \"db 7/x\"; there are db1, db2, db3"), "{said}");
    assert!(set(&proxy, "db2", &["--state", "active"]).await.contains("db2 is as it was: weight 1, active"));
    proxy.finish().await;
}

async fn a_backup_answers_only_while_no_active_replica_may(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config(&format!("{AT_ONCE}\nrouting.max_lag = '500ms'")).start().await;
    set(&proxy, "db3", &["--state", "backup"]).await;
    proxy.wait_for_reads_on(&cluster, &["db2"]).await;
    let [db2, db3] = cluster.replicas() else { panic!("two replicas") };
    db2.stop_applier().await;
    cluster.primary().run(format!("CREATE TABLE {SCHEMA}.{} (id INT PRIMARY KEY)", unique("t"))).await;
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;
    db2.start_applier().await;
    proxy.wait_for_reads_on(&cluster, &["db2"]).await;
    // And the primary is the last resort.
    for replica in [db2, db3] {
        replica.stop_applier().await;
    }
    cluster.primary().run(format!("CREATE TABLE {SCHEMA}.{} (id INT PRIMARY KEY)", unique("t"))).await;
    proxy.wait_for_reads_on(&cluster, &["db1"]).await;
    for replica in [db2, db3] {
        replica.start_applier().await;
    }
    proxy.wait_for_reads_on(&cluster, &["db2"]).await;
    cluster.wait_for_replicas().await;
    proxy.finish_with(&["has stopped", "replication"]).await;
}

/// Its reads take what its processor needs, and that is what it lacks.
async fn a_slow_replica_is_spared_and_comes_back(cluster: Arc<Cluster>) {
    let table = Readers::table(&cluster).await;
    let by_default = "routing.balance = 'observed'\nejection.share = 0";
    let by_ejection =
        "routing.balance = 'round_robin'\nejection = { latency = 3, latency_min = '1ms', time = '5s', time_max = '10s' }";
    for config in [by_default, by_ejection] {
        let proxy = Start::before(&cluster).config(&format!("{AT_ONCE}\n{PATIENT}\n{config}")).start().await;
        let slow = &cluster.replicas()[0];
        let readers = Readers::start(&proxy, &table, 3).await;
        slow.slow_down(60).await;
        let is_spared = |[primary, slow, good]: [usize; 3]| primary == 0 && slow * 10 < good;
        readers.shared(&cluster, "reads that spare the slow replica", is_spared).await;
        slow.speed_up().await;
        let is_used = |[_, recovered, good]: [usize; 3]| recovered * 2 > good;
        readers.shared(&cluster, "reads on the replica that was slow", is_used).await;
        assert_eq!(readers.finish().await, Vec::<String>::new());
        let is_told = proxy.log().iter().any(|line| line.text.contains("gives a replica no reads for a while"));
        assert_eq!(is_told, config == by_ejection);
        proxy.finish_with(&["server has fallen silent"]).await;
    }
}

async fn a_server_in_maintenance_may_go_without_a_warning(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config(AT_ONCE).start().await;
    set(&proxy, "db3", &["--state", "maintenance"]).await;
    proxy.wait_for_reads_on(&cluster, &["db2"]).await;
    let db3 = &cluster.replicas()[1];
    db3.shut_down().await;
    eventually("db3 to be down", async || {
        let condition = status_of(&proxy, "db3").await["condition"].clone();
        (condition == "gone" || condition == "shutting_down").then_some(())
    })
    .await;
    db3.start().await;
    eventually("db3 to be up", async || (status_of(&proxy, "db3").await["condition"] == "up").then_some(())).await;
    cluster.wait_for_replicas().await;
    set(&proxy, "db3", &["--state", "active"]).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    proxy.finish().await;
}
