//! There is no primary, or it does not answer: is it dead, and what was it?

use super::*;

#[test]
fn at_the_start_nothing_is_done_before_all_were_heard_of() {
    check("", "a=? b=rs>a+ c=rs>a+", "starting");
    check("a!", "a=w! b=r>a* c=?", "revoking fenced:a freeze:b");
}

#[test]
fn our_own_network_is_no_reason() {
    check("a!", "a=w~ b=r~>a+ c=r~>a+", "nobody_answers");
    check("a!", "a=w! b=r!>a+ c=r~>a+", "nobody_answers");
}

#[test]
fn a_crash_needs_all_replicas_that_answer_as_witnesses() {
    check("a!", "a=w! b=r>a* c=r>a*", "revoking fenced:a freeze:b freeze:c");
    check("a!", "a=w! b=r>a* c=r>a+", "primary_unreachable");
    check("a!", "a=w! b=rO>a* c=r>a*", "primary_suspect");
    check("a!", "a=w! b=r!>a* c=r>a*", "revoking fenced:a freeze:c");
    check("a!", "a=w! b=r!>a*", "nobody_answers");
    check("a!", "a=w! b=w", "primary_suspect");
    // One that was detached to take over was a replica.
    check("a!", "a=w! b=r", "promoting fenced:a open_writes:b");
}

#[test]
fn a_hang_has_to_last() {
    check("a!", "a=w~ b=r>a* c=r>a*", "revoking fenced:a freeze:b freeze:c fence:a");
    check("a", "a=w~ b=r>a* c=r>a*", "revoking fenced:a freeze:b freeze:c fence:a");
    let mut world = world("a!", "a=w~ b=r>a* c=r>a*");
    world.policy.hang = Duration::from_secs(10);
    check_world(&world, "revoking fenced:a freeze:b freeze:c fence:a");
    world.policy.hang += Duration::from_millis(1);
    check_world(&world, "primary_suspect");
}

#[test]
fn overload_and_blindness_are_not_death() {
    check("a!", "a=wf b=r>a* c=r>a*", "overloaded");
    check("a!", "a=wl b=r>a* c=r>a*", "blind");
    check("a!", "a=wo b=r>a* c=r>a*", "offline_by_hand");
    check("a!", "a=wo b=r>a. c=r>a.", "promoting fenced:a detach:b");
}

#[test]
fn a_process_that_has_just_started_goes_on() {
    // All may have been started at once, and the primary take longest.
    let mut starting = world("", "a=- b=r>a* c=r>a*");
    check_world(&starting, "primary_suspect");
    let mut settled = starting.clone();
    let uptime = |world: &mut World, seconds| {
        let seen = world.view.servers[1].seen.as_mut().unwrap();
        Arc::make_mut(seen).uptime = Duration::from_secs(seconds);
    };
    uptime(&mut settled, 59);
    check_world(&settled, "primary_suspect");
    uptime(&mut settled, 60);
    check_world(&settled, "revoking fenced:a freeze:b freeze:c");
    let asked = Request::Failover { to: None, accept_loss: false };
    check_world(&starting.clone().asked(asked), "revoking fenced:a freeze:b freeze:c");
    starting.now += Duration::from_secs(5);
    check_world(&starting, "revoking fenced:a freeze:b freeze:c");
    for server in &mut starting.view.servers {
        if let Some(seen) = &mut server.seen {
            Arc::make_mut(seen).received = Some(Position::empty(Engine::MySql));
        }
    }
    check_world(&starting, "primary_suspect");
    // What was begun before is gone on with at once.
    let mut begun = world("", "a=- b=r>a. c=r>a*");
    begun.history.frozen = begun.ids("b");
    check_world(&begun, "revoking fenced:a freeze:c");
    check("", "a=- b=r@12 c=r>b+@12", "promoting fenced:a open_writes:b");
    check("", "a=r b=r>a+ c=r>a+", "nobody_writable");
    // That a replica accepts writes by mistake is no sign of an interrupted replacement.
    check("", "a=r b=w>a+ c=r>a+", "nobody_writable");
    let mut world = world("", "a=r b=r>a+ c=r>a+");
    world.history.closed = world.ids("a");
    check_world(&world, "primary_back unfenced:a accepted:a open_writes:a");
}

#[test]
fn a_primary_that_is_back_goes_on() {
    check("a!", "a=rb b=r>a+ c=r>a.", "primary_back unfenced:a accepted:a thaw:c open_writes:a");
    check("a!", "a=r b=r>a+ c=r>a+", "nobody_writable");
    check("a!", "a=wKx b=rk>a. c=rk!>a+", "primary_back unfenced:a accepted:a thaw:b");
    check("a!", "a=wx b=r>a. c=r>a.", "promoting fenced:a detach:b");
    // What it has written since it was fenced does not keep the others from taking over.
    check("a!", "a=wx@12 b=r>a.@11 c=r>a.@10", "promoting fenced:a detach:b");
    // This process was not there when it was the primary.
    check("", "a=wKx b=rk>a. c=rk!>a+", "primary_back unfenced:a accepted:a thaw:b");
}

/// A replica follows a server that is out of sight, and that another Pointsman may have opened.
#[test]
fn a_primary_that_its_replicas_have_left_does_not_go_on() {
    check("a!", "a=wKx b=rk>a. c=rk!>a+", "primary_back unfenced:a accepted:a thaw:b");
    check("a!", "a=wKx b=rk>c+ c=rk!", "not_revoked");
}

#[test]
fn who_was_opened_last_is_remembered_over_a_restart() {
    // A former primary stays out with transactions of its own, and the switchover of the present one was interrupted.
    let mut interrupted = world("", "a=r@10+200 b=r@10+201 c=r>b.@10+201");
    interrupted.history.closed = interrupted.ids("b");
    check_world(&interrupted, "split_history");
    interrupted.history.opened = Some(ServerId(1));
    check_world(&interrupted, "primary_back unfenced:b accepted:b thaw:c open_writes:b");
    // No other server could follow it.
    let no_binlog = interrupted.clone().with_settings('b', |its| its.log_bin = false);
    check_world(&no_binlog, "split_history");
    // Unless another was opened since.
    let mut since = world("", "a=w@10+200 b=r@10+201 c=r>b.@10+201");
    since.history = interrupted.history.clone();
    check_world(&since, "split_history");
    // It serves, and there is no need to replace it: the other one has less.
    let mut two = world("", "a=w@10 b=w@11 c=r>b+@11 d=r>a.@10");
    two.history.opened = Some(ServerId(1));
    assert!(!two.decide().0.to_string().contains("b is replaced"), "{}", two.decide().0);
}

/// It is unknown which of them is the primary, so no replicas are touched.
#[test]
fn nothing_is_frozen_if_histories_differ_and_no_server_is_known_to_be_lost() {
    check("", "a=w@10+200 b=w@10+201 c=r>b+@10+201", "split_history");
}

#[test]
fn the_history_follows_the_steps() {
    let mut history = History::default();
    let (a, b) = (ServerId(0), ServerId(1));
    history.begin(StepKind::Freeze, a);
    history.begin(StepKind::CloseWrites, b);
    assert_eq!((history.frozen.contains(&a), history.closed.contains(&b), history.opened), (true, true, None));
    history.end(StepKind::OpenWrites, a);
    assert_eq!((history.frozen.contains(&a), history.opened), (false, Some(a)));
    history.end(StepKind::Follow, b);
    assert_eq!((history.closed.contains(&b), history.opened), (false, Some(a)));
    for step in [StepKind::Thaw, StepKind::Detach] {
        history.begin(StepKind::Freeze, b);
        history.end(step, b);
        assert!(!history.frozen.contains(&b), "{step:?}");
    }
}

#[test]
fn a_step_that_a_person_could_have_done_is_noted_before_it_is_done() {
    let server = ServerId(1);
    let steps = [
        Step::Freeze { server },
        Step::Thaw { server },
        Step::Fence { server },
        Step::Retire { server },
        Step::CloseWrites { server },
        Step::AwaitTransactions { server },
        Step::Detach { server },
        Step::OpenWrites { server },
    ];
    for step in steps {
        let mut history = History::default();
        history.begin(step.kind(), server);
        assert_eq!(step.must_be_noted(), history != History::default(), "{step:?}");
    }
}

#[test]
fn a_primary_that_shuts_down_is_replaced_while_its_replicas_still_receive() {
    check("a!", "a=wz b=r>a+ c=r>a+", "revoking fenced:a freeze:b freeze:c");
}

#[test]
fn replicas_of_a_primary_that_hangs_may_notice_late() {
    let late = |cluster, seconds| world("a!", cluster).with_settings('b', |its| its.net_timeout = Duration::from_secs(seconds));
    check_world(&late("a=w~ b=r>a+ c=r>a+", 9), "primary_unreachable");
    check_world(&late("a=w~ b=r>a+ c=r>a+", 10), "primary_suspect");
    check_world(&late("a=w~ b=r>a+ c=r>a+", 60), "primary_suspect");
    check_world(&late("a=w! b=r>a+ c=r>a+", 60), "primary_unreachable");
    // One that follows another replica says nothing about the primary.
    check("a!", "a=w! b=r>a* c=r>b+", "revoking fenced:a freeze:b");
}

#[test]
fn an_offline_primary_is_replaced_only_if_it_was_us() {
    check("a!", "a=wo b=rI>a. c=r>a*", "offline_by_hand");
    check("a!", "a=wo b=r!>a. c=r>a*", "offline_by_hand");
    check("a!", "a=wo b=r! c=r>a*", "offline_by_hand");
    let revoking = "revoking fenced:a freeze:b freeze:c";
    check_world(&world("a!", "a=wo b=r>a* c=r>a*").with_closed("a"), revoking);
    check_world(&world("a!", "a=wo b=r>a* c=r>a*").with_frozen("b"), revoking);
    check("a!", "a=wox b=r>a* c=r>a*", revoking);
    check("a!", "a=wo b=r@12 c=r>a*", "revoking fenced:a freeze:c");
    let asked = Request::Failover { to: None, accept_loss: false };
    check_world(&world("a!", "a=wo b=r>a* c=r>a*").asked(asked), revoking);
}

/// A process that has just started finds these.
#[test]
fn the_lost_primary_is_the_one_that_most_replicas_follow() {
    let begun = |cluster: &str, names: &str| world("", cluster).with_frozen(names).shown();
    assert_eq!(begun("a=- b=- c=r>a. d=r>b* e=r>b*", "c"), "revoking fenced:b freeze:d freeze:e");
    assert_eq!(begun("a=- b=- c=r>b. d=r>a* e=r>a*", "c"), "revoking fenced:a freeze:d freeze:e");
    // A follower that does not answer says nothing.
    assert_eq!(begun("a=- b=- c=r>a. d=r>a* e=r!>b* f=r!>b* g=r!>b*", "c"), "revoking fenced:a freeze:d");
    // No server follows them, so it could be either.
    check("", "a=- b=- c=r d=r>c+", "nobody_writable");
}

#[test]
fn the_lost_primary_is_found_by_what_it_was_last_seen_to_be() {
    // The only one that was never seen.
    check("", "a=- b=r@12 c=r>b+@12 d=r!>b+@12", "promoting fenced:a open_writes:b");
    // The only one that was writable.
    check("", "a=w! b=- c=r@12 d=r>c+@12", "promoting fenced:a open_writes:c");
    check("", "a=r! b=w! c=r@12 d=r>c+@12", "promoting fenced:b open_writes:c");
    // The one that we have closed.
    check_world(&world("", "a=r b=r@12 c=r>b+@12").with_closed("a"), "promoting fenced:a open_writes:b");
}
