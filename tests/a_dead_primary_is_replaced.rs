//! A primary that dies is replaced by a replica: no acknowledged write is lost, writes wait meanwhile, and reads go on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::sync::Arc;
use std::time::Instant;

use e2e::failover::{AUTOMATIC, EXPECTED};
use e2e::mysql_async::prelude::Queryable as _;
use e2e::writers::{Load, follows};
use e2e::{Cluster, Engine, Proxy, Server, Start, eventually, promptly};

e2e::suite! {
    OwnLosslessCluster: [
        a_killed_primary_is_replaced_and_comes_back_as_a_replica,
        a_primary_that_shuts_down_is_replaced,
        a_frozen_primary_is_replaced,
        a_primary_that_is_cut_off_is_replaced,
        the_most_advanced_replica_applies_what_it_has_received_and_takes_over,
        a_former_primary_that_comes_back_unseen_gets_nothing,
        a_primary_that_dies_too_soon_is_replaced_by_a_person,
        a_new_primary_that_dies_is_replaced_only_without_loss,
        a_primary_that_only_we_cannot_hear_is_kept,
        a_primary_that_its_replicas_cannot_hear_is_kept,
        acknowledgements_on_a_server_that_is_gone_are_given_up_by_a_person_only,
    ],
}

async fn start(cluster: &Cluster) -> Proxy {
    Start::before(cluster).config(AUTOMATIC).start().await
}

/// The primary is harmed under load, another one takes over, and the former one follows it once the harm is undone.
async fn is_replaced(cluster: &Cluster, what: &str, harm: impl AsyncFnOnce(&Server), undo: impl AsyncFnOnce(&Server)) {
    let proxy = start(cluster).await;
    let load = Load::start(cluster, &proxy, 4, 2).await;
    let old = cluster.primary();
    let harmed = Instant::now();
    harm(old).await;
    let primary = cluster.next_primary(&proxy, old).await;
    load.progress(50).await;
    eprintln!("no write for {:?} after the {what}", load.gap_after(harmed));
    if cluster.engine == Engine::MariaDb {
        // It was off while the receiver was stopped.
        for replica in cluster.replicas() {
            assert_eq!(replica.rows::<u8>("SELECT @@GLOBAL.rpl_semi_sync_slave_enabled", ()).await, [1], "{}", replica.name);
        }
    }
    undo(old).await;
    cluster.wait_until_all_follow_but_diverged(&proxy, primary, old).await;
    load.finish(primary).await.check();
    proxy.finish_with(&EXPECTED).await;
}

async fn a_killed_primary_is_replaced_and_comes_back_as_a_replica(cluster: Arc<Cluster>) {
    is_replaced(&cluster, "kill", Server::kill, Server::start).await;
}

async fn a_primary_that_shuts_down_is_replaced(cluster: Arc<Cluster>) {
    let proxy = start(&cluster).await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    let begun = Instant::now();
    cluster.primary().shut_down().await;
    let primary = cluster.next_primary(&proxy, cluster.primary()).await;
    load.progress(50).await;
    eprintln!("no write for {:?} after the shutdown", load.gap_after(begun));
    if cluster.engine == Engine::MySql {
        // Its replicas receive from it for seconds more, and are not waited for.
        let why = proxy.log().into_iter().find(|line| line.fields["finding"] == "revoking").expect("the finding").text;
        assert!(why.contains("it shuts down"), "{why}");
    }
    load.finish(primary).await.check();
    proxy.finish_with(&EXPECTED).await;
}

async fn a_frozen_primary_is_replaced(cluster: Arc<Cluster>) {
    is_replaced(&cluster, "freeze", Server::freeze, Server::thaw).await;
}

async fn a_primary_that_is_cut_off_is_replaced(cluster: Arc<Cluster>) {
    is_replaced(&cluster, "cut", Server::cut_off, Server::rejoin).await;
}

/// Both replicas lag: one has received what it has not applied, the other has not even received it.
async fn the_most_advanced_replica_applies_what_it_has_received_and_takes_over(cluster: Arc<Cluster>) {
    let proxy = start(&cluster).await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    let [behind, ahead] = cluster.replicas() else { panic!("two replicas") };
    behind.stop_receiving().await;
    ahead.stop_applier().await;
    load.progress(200).await;
    let old = cluster.primary();
    let killed = Instant::now();
    old.kill().await;
    let primary = cluster.next_primary(&proxy, old).await;
    assert_eq!(primary.name, ahead.name);
    load.progress(50).await;
    eprintln!("no write for {:?} after the kill", load.gap_after(killed));
    old.start().await;
    cluster.wait_until_all_follow_but_diverged(&proxy, primary, old).await;
    load.finish(primary).await.check();
    proxy.finish_with(&EXPECTED).await;
}

/// Neither the process that has replaced it nor the former primary itself knows of its dismissal.
async fn a_former_primary_that_comes_back_unseen_gets_nothing(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config(AUTOMATIC).on_a_lasting_port().start().await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    let old = cluster.primary();
    old.kill().await;
    let primary = cluster.next_primary(&proxy, old).await;
    load.progress(50).await;
    let killed = proxy.kill(&EXPECTED).await;
    old.start().await;
    assert!(old.is_writable().await, "it does not come back writable: this test proves nothing");
    let proxy = killed.start_again().await;
    load.progress(50).await;
    assert_eq!(cluster.present_primary(&proxy).await.name, primary.name);
    cluster.wait_until_all_follow_but_diverged(&proxy, primary, old).await;
    load.finish(primary).await.check_writes();
    proxy.finish_with(&EXPECTED).await;
}

async fn a_primary_that_dies_too_soon_is_replaced_by_a_person(cluster: Arc<Cluster>) {
    let once = "failover = { durability = 'auto', user = 'replication', password = 'replication', cooldown = '1h' }";
    let proxy = Start::before(&cluster).config(once).start().await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    load.rest().await;
    let first = cluster.primary();
    first.kill().await;
    load.go_on();
    let second = cluster.next_primary(&proxy, first).await;
    load.progress(50).await;
    first.start().await;
    cluster.wait_until_all_follow(second).await;

    let killed = Instant::now();
    second.kill().await;
    proxy.await_finding("held").await;
    let (_, status) = proxy.ask(&["status"]).await;
    let says = format!("{} is dead, but is not replaced: the last promotion was too recent", second.name);
    assert!(status.contains(&says), "{status}");
    let (is_done, said) = proxy.ask(&["failover"]).await;
    assert!(is_done, "{said}");
    let third = cluster.next_primary(&proxy, second).await;
    load.progress(50).await;
    eprintln!("no write for {:?} after the second kill", load.gap_after(killed));
    second.start().await;
    cluster.wait_until_all_follow_but_diverged(&proxy, third, second).await;
    load.finish(third).await.check();
    proxy.finish_with(&EXPECTED).await;
}

/// The one that takes over is killed when it has ceased to be a replica, before or after it has got its first writes.
async fn a_new_primary_that_dies_is_replaced_only_without_loss(cluster: Arc<Cluster>) {
    let quick = format!("{AUTOMATIC}\nrouting.hold_writes = '2s'");
    let proxy = Start::before(&cluster).config(&quick).start().await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    let first = cluster.primary();
    first.kill().await;
    proxy.await_step("detach", 0).await;
    let second = detached(&cluster, &proxy);
    second.kill().await;
    // One server of three cannot know what the others have, nor whether another Pointsman is at work there.
    eventually("a reason to wait", async || {
        let (_, status) = proxy.ask(&["status"]).await;
        let has_reason = status.contains("acknowledged writes may be only on") || status.contains("only 1 of the 2 servers");
        has_reason.then_some(())
    })
    .await;
    let (is_done, said) = promptly("a refusal", proxy.ask(&["failover"])).await;
    assert!(!is_done, "{said}");
    eprintln!("{said}");
    assert_eq!(proxy.primary().await, None);
    second.start().await;
    let primary = eventually("a primary", async || {
        let name = proxy.primary().await?;
        (name != first.name).then(|| cluster.server(&name))
    })
    .await;
    load.progress(50).await;
    first.start().await;
    for server in cluster.servers.iter().filter(|server| server.name != primary.name) {
        cluster.wait_until_it_follows_or_diverged(&proxy, primary, server).await;
    }
    load.finish(primary).await.check();
    proxy.finish_with(&EXPECTED).await;
}

/// The server that was detached from its source.
fn detached<'c>(cluster: &'c Cluster, proxy: &Proxy) -> &'c Server {
    let log = proxy.log();
    let line = log.iter().find(|line| line.fields["step"] == "detach").expect("the step");
    cluster.server(line.fields["server"].as_str().expect("its server"))
}

async fn acknowledgements_on_a_server_that_is_gone_are_given_up_by_a_person_only(cluster: Arc<Cluster>) {
    let quick = format!("{AUTOMATIC}\nrouting.hold_writes = '1s'");
    let proxy = Start::before(&cluster).config(&quick).start().await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    let [left, gone] = cluster.replicas() else { panic!("two replicas") };
    gone.kill().await;
    load.progress(50).await;
    cluster.primary().kill().await;
    proxy.await_finding("not_revoked").await;
    let (_, status) = proxy.ask(&["status"]).await;
    assert!(status.contains(&format!("acknowledged writes may be only on {}", gone.name)), "{status}");
    let mut client = proxy.client().await;
    let Err(e2e::mysql_async::Error::Server(error)) = client.query_drop(format!("INSERT INTO {} VALUES (0)", load.table)).await
    else {
        panic!("a write without a primary")
    };
    assert!(error.code == 1290 && error.message.contains("waited 1s"), "{error}");
    client.disconnect().await.unwrap();

    let (is_done, said) = proxy.ask(&["failover"]).await;
    assert!(!is_done && said.contains("acknowledged writes may be only on"), "{said}");
    let (is_done, said) = proxy.ask(&["failover", "--accept-loss"]).await;
    assert!(is_done, "{said}");
    assert_eq!(proxy.primary().await.as_deref(), Some(&*left.name));
    load.progress(50).await;
    // The one that was left had acknowledged everything after all.
    load.finish(left).await.check();
    proxy.finish_with(&EXPECTED).await;
}

/// One-way: it gets what we send, and its replicas get what it sends.
async fn a_primary_that_only_we_cannot_hear_is_kept(cluster: Arc<Cluster>) {
    let proxy = start(&cluster).await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    let primary = cluster.primary();
    primary.lose_what_it_sends_to_us().await;
    proxy.await_finding("primary_unreachable").await;
    primary.lose_nothing().await;
    load.progress(50).await;
    assert_eq!(proxy.primary().await.as_deref(), Some(&*primary.name));
    assert_eq!(proxy.steps("detach"), 0, "somebody was promoted");
    cluster.wait_until_all_follow(primary).await;
    load.finish(primary).await.check();
    proxy.finish_with(&EXPECTED).await;
}

/// One-way: commits wait for acknowledgements that were sent and never asked for. Another primary would have no better network.
async fn a_primary_that_its_replicas_cannot_hear_is_kept(cluster: Arc<Cluster>) {
    let proxy = start(&cluster).await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    let primary = cluster.primary();
    for replica in cluster.replicas() {
        primary.lose_what_it_sends_to(replica).await;
    }
    for replica in cluster.replicas() {
        eventually("a replica that has lost its source", async || (!follows(replica, primary).await).then_some(())).await;
    }
    primary.lose_nothing().await;
    load.progress(50).await;
    assert_eq!(proxy.primary().await.as_deref(), Some(&*primary.name));
    assert_eq!(proxy.steps("detach"), 0, "somebody was promoted");
    cluster.wait_until_all_follow(primary).await;
    load.finish(primary).await.check();
    proxy.finish_with(&EXPECTED).await;
}
