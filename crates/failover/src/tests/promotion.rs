//! Which server takes over, and by which steps.

use super::*;

#[test]
fn the_stages_of_a_promotion() {
    check("a!", "a=wK! b=rk>a* c=rk>a.", "revoking fenced:a freeze:b");
    check("a!", "a=wK! b=rk>a.@12:10 c=rk>a.@11", "promoting fenced:a drain:b");
    check("a!", "a=wK! b=rk>a.@12 c=rk>a.@11", "promoting fenced:a detach:b");
    check("a!", "a=wK! b=rk@12 c=rk>a.@11", "promoting fenced:a require_acks:b");
    check("a!", "a=wK! b=rkK@12 c=rk>a.@11", "promoting fenced:a follow:c>b");
    check("a!", "a=wK! b=rkK@12 c=rk>b*@11", "promoting fenced:a open_writes:b");
    check("a!", "a=wK! b=wkK@12 c=rk>b+@12", "promoting fenced:a accepted:b");
    // Without semi-synchronous replication commits do not wait.
    check("a!", "a=w! b=r@12 c=r>a.@11", "promoting fenced:a follow:c>b");
}

#[test]
fn the_most_advanced_is_promoted_then_by_priority() {
    check("a!", "a=w! b=r>a.@10 c=r>a.@11", "promoting fenced:a detach:c");
    check("a!", "a=w! b=r5>a.@10 c=r>a.@11", "promoting fenced:a detach:c");
    check("a!", "a=w! b=r>a.@11 c=r5>a.@11", "promoting fenced:a detach:c");
    check("a!", "a=w! b=r>a.@11:10 c=r>a.@11", "promoting fenced:a detach:c");
    check("a!", "a=w! b=r>a.@11 c=r>a.@11", "promoting fenced:a detach:b");
    // One that already follows no other was chosen before.
    check("a!", "a=w! b=r5>a.@11 c=r@11", "promoting fenced:a follow:b>c");
    // Before all others one that is open already.
    check("a!", "a=w! b=r5@11 c=w@11 d=r>b+@11", "promoting fenced:a follow:d>c");
}

#[test]
fn unfit_servers_are_left_out_but_what_they_have_counts() {
    for flag in ["d", "D", "N", "M", "L", "G"] {
        check("a!", &format!("a=w! b=r{flag}>a.@10 c=r>a.@10"), "promoting fenced:a detach:c");
    }
    for flag in ["D", "N", "M", "L", "G"] {
        check("a!", &format!("a=w! b=r{flag}>a.@11 c=r>a.@10"), "no_candidate");
    }
    check("a!", "a=w! b=rd>a.@11 c=r>a.@10", "promoting fenced:a detach:c");
    check("a!", "a=w! b=rE>a.@11:10 c=r>a.@11", "promoting fenced:a detach:c");
    check("a!", "a=w! b=rE>a.@11:11 c=r>a.@10", "promoting fenced:a detach:b");
    // Its own transaction, which no other server has.
    check("a!", "a=w! b=r>a.@11+101 c=r>a.@10", "promoting fenced:a detach:c");
}

#[test]
fn what_only_an_errant_replica_has_received_is_not_lost() {
    check("a!", "a=wK! b=rk>a.@12+101 c=rk>a.@11", "not_revoked");
    check("a!", "a=wK! b=rk>a.@11+101 c=rk>a.@11", "promoting fenced:a detach:c");
    check("a!", "a=w! b=r>a.@12+101 c=r>a.@11", "promoting fenced:a detach:c");
}

#[test]
fn incomparable_histories_stop_it() {
    check("a!", "a=w! b=r>a.@11+200 c=r>a.@10+201", "split_history");
}

#[test]
fn lossless_needs_all_but_fewer_than_the_acknowledgements() {
    check("a!", "a=wK! b=rk>a* c=rk!>a+", "not_revoked");
    check("a!", "a=wK! b=rk>a* c=-", "not_revoked");
    check("a!", "a=wK! b=rk>a* c=r!>a+", "revoking fenced:a freeze:b");
    let mut world = world("a!", "a=wK! b=rk>a* c=rk!>a+");
    world.policy.durability = Durability::Bounded;
    check_world(&world, "revoking fenced:a freeze:b");
    world.policy.durability = Durability::Lossless;
    check_world(&world, "not_revoked");
    world.request = Some(Request::Failover { to: None, accept_loss: false });
    check_world(&world, "refused");
    world.request = Some(Request::Failover { to: None, accept_loss: true });
    check_world(&world, "revoking fenced:a freeze:b");
}

#[test]
fn a_promotion_can_be_held() {
    let mut world = world("a!", "a=w! b=r>a* c=r>a*");
    world.policy.durability = Durability::Manual;
    check_world(&world, "held");
    world.request = Some(Request::Failover { to: None, accept_loss: false });
    check_world(&world, "revoking fenced:a freeze:b freeze:c");
    world.request = None;
    world.policy.durability = Durability::Auto;
    world.history.promotions = vec![world.now.checked_sub(Duration::from_secs(299)).unwrap()];
    check_world(&world, "held");
    world.history.promotions = vec![world.now.checked_sub(Duration::from_mins(5)).unwrap()];
    check_world(&world, "revoking fenced:a freeze:b freeze:c");
    world.history.promotions = vec![world.now.checked_sub(Duration::from_secs(400)).unwrap(); 3];
    check_world(&world, "held");
}

#[test]
fn what_has_begun_goes_on_during_the_cooldown() {
    let cooling = |cluster: &str| {
        let mut world = world("a!", cluster);
        world.history.promotions = vec![world.now];
        world
    };
    check_world(&cooling("a=w! b=r@12 c=r>a.@11"), "promoting fenced:a follow:c>b");
    check_world(&cooling("a=w! b=r@12 c=r>a.@11").with_durability(Durability::Manual), "held");
    // A former primary that stays outside was not detached to take over.
    for b in ["b=r@11", "b=rx@12", "b=rd@12", "b=r!@12"] {
        check_world(&cooling(&format!("a=w! {b} c=r>a.@12")), "held");
    }
    // What another has does not hold it up, if that one is gone or has gone its own way.
    check_world(&cooling("a=w! b=r@12 c=rd>a.@13 d=r>a.@11"), "promoting fenced:a follow:d>b");
    check_world(&cooling("a=w! b=r@12 c=r!>a+@13 d=r>a.@11"), "promoting fenced:a follow:d>b");
}

#[test]
fn promotions_are_counted_for_a_day() {
    let mut world = world("a!", "a=w! b=r>a* c=r>a*");
    world.history.promotions = vec![world.now; 3];
    world.now += Duration::from_hours(24) - Duration::from_millis(1);
    check_world(&world, "held");
    world.now += Duration::from_millis(1);
    check_world(&world, "revoking fenced:a freeze:b freeze:c");
}

#[test]
fn writes_open_once_enough_replicas_follow() {
    check("a!", "a=wK! b=rkK@12 c=rk>b+@12 d=rk>a.@11", "promoting fenced:a follow:d>b open_writes:b");
    let two = world("a!", "a=wK! b=rkK@12 c=rk>b+@12 d=rk>a.@11 e=rk>a.@11")
        .with_semi_sync('a', |its| its.acks = 2)
        .with_semi_sync('b', |its| its.acks = 2);
    check_world(&two, "promoting fenced:a follow:d>b follow:e>b");
    // One that receives nothing, or does not answer, does not count.
    check("a!", "a=w! b=r@12 c=r>b.@12", "promoting fenced:a follow:c>b");
    check("a!", "a=w! b=r@12 c=r!>b+@12 d=r>a.@11", "promoting fenced:a follow:d>b");
    // It was told to follow and cannot: telling it again changes nothing.
    check("a!", "a=w! b=r@12 c=rI>b.@12", "promoting fenced:a open_writes:b");
    check("a!", "a=w! b=r@12 c=rd>a.@12 d=r>b+@12", "promoting fenced:a open_writes:b");
}

#[test]
fn before_writes_open_commits_wait_as_before() {
    let promoted = |cluster| world("a!", cluster);
    let b = |change: fn(&mut SemiSync)| promoted("a=wK! b=rkK@12 c=rk>b+@12").with_semi_sync('b', change);
    check_world(&b(|_| ()), "promoting fenced:a open_writes:b");
    check_world(&b(|its| its.after_sync = false), "promoting fenced:a require_acks:b");
    check_world(&b(|its| its.acks = 2), "promoting fenced:a require_acks:b");
    check_world(&b(|its| its.timeout = Duration::from_hours(1)), "promoting fenced:a require_acks:b");
    // Without the promise they wait only if there is a replica, and not for ever.
    let bounded = |world: World| world.with_durability(Durability::Bounded);
    check_world(&bounded(b(|its| its.timeout = Duration::from_hours(1))), "promoting fenced:a open_writes:b");
    check_world(&bounded(promoted("a=wK! b=rk@12 c=rk>b+@12")), "promoting fenced:a require_acks:b");
    check_world(&bounded(promoted("a=wK! b=rk@12 c=rk!>a+@12")), "promoting fenced:a open_writes:b");
    check_world(&bounded(promoted("a=wK! b=rk@12 c=r>b+@12")), "promoting fenced:a open_writes:b");
}

#[test]
fn a_replica_acknowledges_as_before_or_if_its_source_waits() {
    let acknowledges = |cluster| {
        let (_, plan) = world("a!", cluster).decide();
        plan.stage.iter().find_map(|step| match step {
            Step::Follow { acknowledges, .. } => Some(*acknowledges),
            _ => None,
        })
    };
    assert_eq!(acknowledges("a=w! b=rkK@12 c=rK>a.@11"), Some(true));
    assert_eq!(acknowledges("a=w! b=r@12 c=rk>a.@11"), Some(true));
    assert_eq!(acknowledges("a=w! b=r@12 c=rK>a.@11"), Some(false));
    assert_eq!(acknowledges("a=w! b=rK@12 c=r>a.@11"), Some(false), "it is not installed there");
}

#[test]
fn another_writable_server_is_closed_before_writes_open() {
    check("a!", "a=w! b=r@12 c=w@11 d=r>a.@11", "promoting fenced:a fence:c");
    check("a!", "a=w! b=r@12 c=r@11 d=r>a.@11", "promoting fenced:a follow:d>b");
    check("a!", "a=w! b=r@12 c=w!@11 d=r>a.@11", "promoting fenced:a follow:d>b");
}

#[test]
fn the_old_primary_follows_the_new_one_once_writes_are_open() {
    check("a!", "a=r@12 b=w@12 c=r>b+@12", "promoting fenced:a follow:a>b!");
    let mut world = world("a!", "a=r@12 b=w@12 c=r>b+@12");
    world.policy.has_replication_account = false;
    check_world(&world, "promoting fenced:a accepted:b");
    check("a!", "a=r!@12 b=w@12 c=r>b+@12", "promoting fenced:a accepted:b");
    let closed = super::tests::world("a!", "a=w! b=wo@12 c=r@12").with_closed("b");
    check_world(&closed, "promoting fenced:a open_writes:b");
    check("a!", "a=w! b=rx@12 c=r>a.@11", "promoting fenced:a unfenced:b follow:c>b");
}

/// The servers may have changed since they were judged.
#[test]
fn only_a_server_that_still_takes_writes_is_accepted() {
    let Finding::Promoting(promotion) = world("a!", "a=w! b=w@12 c=r>b+@12").decide().0 else { panic!("no promotion") };
    let accepted = |cluster: &str, compares: &str| {
        let world = world("a!", cluster);
        let situation = Situation { view: &world.view, policy: &world.policy, history: &world.history, request: None };
        let compares = world.ids(compares).into_iter().collect();
        plan(&Finding::Promoting(Promotion { compares, ..promotion.clone() }), &situation, world.now).accept
    };
    assert_eq!(accepted("a=w! b=w@12 c=r>b+@12", ""), Some(ServerId(1)));
    assert_eq!(accepted("a=w! b=w!@12 c=r>b+@12", ""), None);
    // First it has to be compared with another.
    assert_eq!(accepted("a=w! b=w@12 c=r>b+@12", "bc"), None);
}

#[test]
fn a_primary_that_hangs_read_only_needs_no_fence() {
    check("a!", "a=r~ b=r>a* c=r>a*", "revoking fenced:a freeze:b freeze:c");
}

/// A replica that was frozen when last seen, after the loss, has nothing that the others lack.
#[test]
fn an_acknowledging_replica_that_is_gone_counts_only_if_it_was_frozen_before() {
    let gone = |c: &str, second| world("a!", &format!("a=wK! b=rk>a.@12 {c}")).with_look('c', second).shown();
    assert_eq!(gone("c=rk!>a.@11", 12), "promoting fenced:a detach:b");
    assert_eq!(gone("c=rk!>a.@11", 10), "not_revoked");
    assert_eq!(gone("c=rk!>a.@13", 12), "not_revoked");
    assert_eq!(gone("c=rk!>a+@11", 12), "not_revoked");
    // It may have been made a replica since.
    assert_eq!(gone("c=r!@11", 5), "not_revoked");
    assert_eq!(gone("c=r@11", 11), "promoting fenced:a detach:b");
    // The same before the replicas are frozen.
    let before = |c: &str, second| world("a!", &format!("a=wK! b=rk>a*@12 {c}")).with_look('c', second).shown();
    assert_eq!(before("c=rk!>a.@11", 12), "revoking fenced:a freeze:b");
    assert_eq!(before("c=rk!>a.@13", 12), "not_revoked");
}

/// It takes no writes, so it has all that was ever acknowledged, whichever other servers are missing.
#[test]
fn an_old_primary_that_can_be_asked_vouches_for_the_next() {
    check("a!", "a=rK@10 b=rk@10 c=rk!>b+@9", "promoting fenced:a require_acks:b");
    check("a!", "a=rK!@10 b=rk@10 c=rk!>b+@9", "not_revoked");
    let silent_about_gtids = world("a!", "a=rK@11 b=rk@10 c=rk!>b+@9").with('a', |seen| seen.sample.applied = None);
    check_world(&silent_about_gtids, "not_revoked");
    // A process that has just started knows it by what it has closed or opened, if no server is missing that could have been opened since.
    let started = |c: &str| world("", &format!("a=rK@10 b=rk@10 {c}"));
    check_world(&started("c=rko>b+@10").with_closed("ac"), "promoting fenced:a require_acks:b");
    check_world(&started("c=rk!>b+@10").with_closed("a"), "not_revoked");
    let mut opened = started("c=rko>b+@10").with_closed("c");
    opened.history.opened = Some(ServerId(0));
    check_world(&opened, "promoting fenced:a require_acks:b");
}

#[test]
fn fewer_than_the_acknowledgements_may_be_missing() {
    let acks = |cluster, acks| world("a!", cluster).with_semi_sync('a', |its| its.acks = acks).shown();
    assert_eq!(acks("a=wK! b=rk>a. c=rk>a. d=rk!>a+", 1), "not_revoked");
    assert_eq!(acks("a=wK! b=rk>a. c=rk>a. d=rk!>a+", 2), "promoting fenced:a detach:b");
    assert_eq!(acks("a=wK! b=rk>a. c=rk!>a+ d=rk!>a+", 2), "not_revoked");
}

#[test]
fn a_server_that_others_could_not_follow_is_not_promoted() {
    let b = |change: fn(&mut Observation)| world("a!", "a=w! b=r5>a. c=r>a.").with('b', change).shown();
    assert_eq!(b(|_| ()), "promoting fenced:a detach:b");
    assert_eq!(b(|seen| seen.sample.applied = None), "promoting fenced:a detach:c");
    assert_eq!(b(|seen| seen.sample.written = None), "promoting fenced:a detach:c");
    assert_eq!(b(|seen| Arc::make_mut(&mut seen.settings).logs_applied = false), "promoting fenced:a detach:c");
    // What the configuration says of a next primary does not hold for the one that was it.
    check("a!", "a=rbN b=r>a+ c=r>a+", "primary_back unfenced:a accepted:a open_writes:a");
    // It came back writable, unless others follow it by now.
    check("a!", "a=w! b=wx@12 c=r>a.@12", "promoting fenced:a detach:c");
    check("a!", "a=w! b=wx@12 c=r>b+@12", "promoting fenced:a unfenced:b accepted:b");
}

#[test]
fn a_failover_that_is_asked_for() {
    let mut world = world("a", "a=w b=rs>a+ c=rs>a+");
    world.request = Some(Request::Failover { to: Some(world.id('b')), accept_loss: false });
    check_world(&world, "refused");
    world.request = Some(Request::Failover { to: Some(world.id('a')), accept_loss: false });
    check_world(&world, "done");
    world.view = super::tests::world("a!", "a=w! b=r>a.@10 c=r>a.@11").view;
    world.request = Some(Request::Failover { to: Some(world.id('b')), accept_loss: false });
    check_world(&world, "refused");
    world.request = Some(Request::Failover { to: Some(world.id('b')), accept_loss: true });
    check_world(&world, "promoting fenced:a detach:b");
}

#[test]
fn with_manual_durability_only_what_was_begun_is_done() {
    let manual = |cluster| world("a", cluster).with_durability(Durability::Manual);
    check_world(&manual("a=w b=rs c=rs>a+"), "former_primary_returned");
    check_world(&manual("a=w b=rs c=rs>a+").with_closed("b"), "former_primary_returned follow:b>a!");
    check_world(&manual("a=w b=rs>a. c=rs>a+").with_frozen("b"), "left_frozen thaw:b");
}
