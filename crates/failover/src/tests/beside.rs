//! There is a primary: what is wrong with the other servers.

use super::*;

#[test]
fn with_a_primary_nothing_is_done_unless_something_is_wrong() {
    check("a", "a=w b=rs>a+ c=rs>a+", "healthy");
    check("a", "a=wf b=rs>a* c=rs>a+", "overloaded");
    check("a", "a=wl b=rs>a* c=rs>a+", "blind");
    check("a", "a=w b=rsI>a. c=rs>a+", "needs_rebuild");
    check("a", "a=w b=rsE>a+ c=rs>a+", "replication_broken");
    check("a", "a=w b=rd>a+ c=rs>a+", "errant_replica");
    check("a", "a=w b=rs>a.  c=rs>a+".replace("  ", " ").as_str(), "replication_broken");
}

#[test]
fn what_only_a_person_can_repair_is_not_said_of_a_server_in_maintenance() {
    for server in ["b=rsMI>a.", "b=rsME>a+", "b=rdM>a+", "b=rdM", "b=rsM>a.", "b=rM"] {
        check("a", &format!("a=w {server} c=rs>a+"), "healthy");
    }
    check("a", "a=w b=rsME>a+ c=rsE>a+", "replication_broken");
    // What endangers others is, and it is not forgotten.
    check("a", "a=w b=wM c=rs>a+", "two_writable");
    check("a", "a=w b=wxM c=rs>a+", "two_writable retire:b");
    check("a", "a=w b=rsM>c+ c=rs", "former_primary_returned follow:c>a!");
}

#[test]
fn what_we_have_cut_off_is_closed_and_what_a_person_has_is_not() {
    let mut world = world("a", "a=w b=wox c=rs>a+");
    check_world(&world, "healthy");
    world.history.closed = world.ids("b");
    check_world(&world, "two_writable retire:b");
}

#[test]
fn beside_a_primary_what_can_be_mended_is() {
    check("a", "a=w b=wx c=rs>a+", "two_writable retire:b");
    let mut manual = world("a", "a=w b=wx c=rs>a+");
    manual.policy.durability = Durability::Manual;
    check_world(&manual, "two_writable");
    let said = manual.decide().0.to_string();
    assert!(!said.contains("is set read-only"), "nothing is done, so it is not said either: {said}");
    check("a", "a=w b=ws c=rs>a+", "two_writable close_writes:b");
    check("a", "a=w b=w c=rs>a+", "two_writable");
    check("a", "a=w b=rs c=rs>a+", "former_primary_returned follow:b>a!");
    check("a", "a=w b=r c=rs>a+", "former_primary_returned");
    check("a", "a=w b=rd c=rs>a+", "former_primary_diverged");
    check("a", "a=w b=rd c=rs>b+", "wrong_source follow:c>a");
    check("a", "a=w b=rs>a+ c=rs>b+", "healthy");
    check("a", "a=w b=rs>a. c=rs>a.", "left_frozen thaw:b thaw:c");
    let mut world = world("a", "a=w b=rs>a. c=rs>a+");
    check_world(&world, "replication_broken");
    world.history.frozen = world.ids("b");
    check_world(&world, "left_frozen thaw:b");
    world.policy.has_replication_account = false;
    world.view.servers = super::tests::world("a", "a=w b=rs c=rs>a+").view.servers;
    check_world(&world, "former_primary_returned");
    assert!(world.decide().0.to_string().contains("CHANGE REPLICATION SOURCE TO"), "{}", world.decide().0);
}

#[test]
fn lossless_is_set_up_again_where_a_restart_has_lost_it() {
    let lossless = |cluster| world("a", cluster).with_durability(Durability::Lossless);
    check_world(&lossless("a=wK b=rk>a+ c=rk>a+"), "healthy");
    check_world(&lossless("a=wk b=rk>a+ c=rk>a+"), "missing_acks require_acks:a");
    check("a", "a=wk b=rk>a+ c=rk>a+", "healthy");
    let point = lossless("a=wK b=rk>a+ c=rk>a+").with_semi_sync('a', |its| its.after_sync = false);
    check_world(&point, "missing_acks require_acks:a");
    let timeout = |timeout| lossless("a=wK b=rk>a+ c=rk>a+").with_semi_sync('a', |its| its.timeout = timeout);
    check_world(&timeout(Duration::from_hours(23)), "missing_acks require_acks:a");
    check_world(&timeout(Duration::from_hours(25)), "healthy");
}

#[test]
fn commits_without_replicas_to_acknowledge_them_are_an_error() {
    let stall = |waiting, clients, acks| {
        world("a", "a=wK b=rk>a+ c=rk>a+")
            .with_semi_sync('a', |its| (its.waiting, its.clients, its.acks) = (waiting, clients, acks))
    };
    check_world(&stall(1, 0, 1), "semi_sync_stall");
    assert_eq!(stall(1, 0, 1).decide().0.severity().label(), "error");
    check_world(&stall(0, 0, 1), "healthy");
    check_world(&stall(1, 1, 1), "healthy");
    check_world(&stall(1, 2, 1), "healthy");
    check_world(&stall(1, 1, 2), "semi_sync_stall");
    // It has given up waiting.
    check_world(&stall(1, 0, 1).with_semi_sync('a', |its| its.source_active = false), "healthy");
}

#[test]
fn a_server_that_the_binary_logs_do_not_reach_back_to_is_rebuilt() {
    let purged = |cluster, last| world("a", cluster).with_settings('a', |its| its.purged = Some(Position::MySql(position(last))));
    check_world(&purged("a=w b=rs@8 c=rs>a+", "8"), "former_primary_returned follow:b>a!");
    check_world(&purged("a=w b=rs@8 c=rs>a+", "9"), "needs_rebuild");
    // It is not told to follow what it could not.
    check_world(&purged("a=w b=rd c=rs>b+@8", "8"), "wrong_source follow:c>a");
    check_world(&purged("a=w b=rd c=rs>b+@8", "9"), "former_primary_diverged");
}

#[test]
fn replication_that_has_stopped_in_part_is_broken() {
    let broken = |change: fn(&mut Replication)| world("a", "a=w b=rs>a+ c=rs>a+").with_channel('b', change);
    check_world(&broken(|its| its.applier = ThreadState::Stopped), "replication_broken");
    check_world(&broken(|its| its.io_error = Some(2003)), "replication_broken");
    check_world(&broken(|its| its.applier_error = Some(1062)), "replication_broken");
    let said = |change| broken(change).decide().0.to_string();
    let by_hand = said(|its| (its.applier, its.last_error) = (ThreadState::Stopped, Some("an old error".into())));
    assert!(by_hand.contains("somebody has stopped") && !by_hand.contains("an old error"), "{by_hand}");
    let retries: [fn(&mut Replication); 2] = [|its| its.io_error = Some(2003), |its| its.applier_error = Some(1062)];
    for retry in retries {
        let broken = broken(retry).with_channel('b', |its| its.last_error = Some("no route".into()));
        let said = broken.decide().0.to_string();
        assert!(said.contains("no route"), "{said}");
    }
}

#[test]
fn frozen_replicas_are_told_from_those_that_a_person_has_stopped() {
    check("a", "a=w b=rs>a. c=rs>a. d=rs!>a+", "left_frozen thaw:b thaw:c");
    check("a", "a=w b=rs>a. c=rs>a. d=rs>b+", "left_frozen thaw:b thaw:c");
    check("a", "a=w b=rsE>a. c=rsE>a.", "replication_broken");
    // What we have frozen receives nothing from its source any more, even if that follows the primary by now.
    check_world(&world("a", "a=w b=rs>a+ c=rs>b.").with_frozen("c"), "wrong_source follow:c>a");
    check_world(&world("a", "a=w b=rs>a+ c=rs>b+").with_frozen("c"), "healthy");
    check("a", "a=w b=rs>a+ c=rs>b.", "replication_broken");
    check("a", "a=w b=rd c=r>b+", "former_primary_diverged");
    // A server's former source does not count once it follows no other.
    let mut detached = world("a", "a=w b=rd c=rs>b+");
    detached.view.servers[1].follows = Following::Server(ServerId(0));
    check_world(&detached, "wrong_source follow:c>a");
}
