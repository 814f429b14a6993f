//! Another primary while the present one is healthy.

use super::*;

fn switchover(before: &str, cluster: &str, drain_ms: i64, give_up_ms: i64, expect: &str) {
    let mut world = world(before, cluster);
    let at = |ms: i64| {
        let by = Duration::from_millis(ms.unsigned_abs());
        if ms < 0 { world.now.checked_sub(by).unwrap() } else { world.now + by }
    };
    world.request = Some(Request::Switchover { to: Some(world.id('b')), drain_until: at(drain_ms), give_up_at: at(give_up_ms) });
    check_world(&world, expect);
}

#[test]
fn the_stages_of_a_switchover() {
    switchover("a", "a=w b=rs>a+ c=rs>a+", 1, 100, "switching_over closing await_transactions:a");
    switchover("a", "a=w b=rs>a+ c=rs>a+", 0, 100, "switching_over closing close_writes:a");
    switchover("a!", "a=r@12 b=rs>a+@11 c=rs>a+", -1, 100, "switching_over closing drain:b");
    switchover("a!", "a=r@12 b=rs>a+@12 c=rs>a+", -1, 100, "switching_over fenced:a closing detach:b");
    switchover("a!", "a=r@12 b=rs@12 c=rs>a+", -1, 100, "switching_over fenced:a closing follow:c>b");
    switchover("a!", "a=r@12 b=rs@12 c=rs>b+", -1, -1, "switching_over fenced:a closing open_writes:b");
    switchover("b", "a=r@12 b=w@12 c=rs>b+", -1, 100, "done");
    switchover("a!", "a=r@12 b=rs@12 c=rs>b+ d=rs>a+", -1, 100, "switching_over fenced:a closing follow:d>b open_writes:b");
    switchover("a!", "a=r@12 b=rsx>a+@12 c=rs>a+", -1, 100, "switching_over fenced:a closing detach:b");
    switchover("a!", "a=r@12 b=rsx@12 c=rs>b+", -1, 100, "switching_over fenced:a unfenced:b closing open_writes:b");
    switchover("a!", "a=r@12 b=ws@12 c=rs>b+", -1, 100, "switching_over fenced:a closing follow:a>b!");
    // It follows no other, but it was not detached for this.
    switchover("a!", "a=r@12 b=rs@11 c=rs>a+", -1, 100, "rolling_back unfenced:a open_writes:a");
}

#[test]
fn a_switchover_is_done_without_an_account_for_the_old_primary() {
    let mut world = world("a!", "a=r@12 b=ws@12 c=rs>b+");
    world.policy.has_replication_account = false;
    let (to, drain_until, give_up_at) = (Some(world.id('b')), world.now, world.now + Duration::from_secs(10));
    let world = world.asked(Request::Switchover { to, drain_until, give_up_at });
    check_world(&world, "switching_over fenced:a accepted:b closing");
    assert!(world.decide().0.to_string().contains("switchover from a to b: the other replicas follow it"));
}

#[test]
fn a_switchover_is_refused_or_rolled_back() {
    for flag in ["d", "D", "N", "L", "G"] {
        switchover("a", &format!("a=w b=r{flag}>a+ c=rs>a+"), 1, 100, "refused");
    }
    switchover("a", "a=w b=rs>a. c=rs>a+", 1, 100, "refused");
    switchover("a", "a=w b=rs>c+ c=rs>a+", 1, 100, "refused");
    switchover("a", "a=w b=rs!>a+ c=rs>a+", 1, 100, "refused");
    switchover("a", "a=w b=rs>a+ c=rs>a+", -5, 0, "rolled_back");
    switchover("a!", "a=r@12 b=rs>a+@11 c=rs>a+", -5, 0, "rolling_back unfenced:a open_writes:a");
    switchover("a!", "a=r@12 b=rsE>a+@11 c=rs>a+", -5, 100, "rolling_back unfenced:a open_writes:a");
    switchover("a!", "a=r@12 b=rs!>a+@11 c=rs>a+", -5, 100, "rolling_back unfenced:a open_writes:a");
    switchover("a!", "a=r! b=rs>a*@11 c=rs>a*", -5, 100, "refused");
    switchover("a!", "a=r@12 b=rsI>a.@11 c=rs>a+", -5, 100, "rolling_back unfenced:a open_writes:a");
    switchover("a!", "a=r@12 b=rs>c+@11 c=rs>a+", -5, 100, "rolling_back unfenced:a open_writes:a");
    switchover("a!", "a=r@12 b=rs!@12 c=rs>a+", -5, 100, "rolling_back unfenced:a open_writes:a");
    // Somebody else is at it.
    switchover("a!", "a=w@12 b=rs>a+@11 c=rs>a+", -5, 100, "refused");
    switchover("a!", "a=r>c+@12 b=rs>a+@11 c=w", -5, 100, "refused");
    switchover("b!", "a=rs>b+ b=r@12 c=rs>b+", -5, 100, "refused");
}

/// The best of several is chosen as in a promotion.
#[test]
fn a_switchover_without_a_name_goes_to_the_best() {
    let to = |cluster: &str| {
        let world = world("a", cluster);
        let (drain_until, give_up_at) = (world.now, world.now + Duration::from_secs(10));
        let asked = world.asked(Request::Switchover { to: None, drain_until, give_up_at });
        match asked.decide().0 {
            Finding::SwitchingOver { to, .. } => to.to_string(),
            other => other.label().to_owned(),
        }
    };
    assert_eq!(to("a=w b=rs>a+ c=rs>a+"), "b");
    assert_eq!(to("a=w b=rs>a+ c=rs5>a+"), "c");
    assert_eq!(to("a=w b=rs>a+ c=rsN>a+"), "b");
    assert_eq!(to("a=w b=rsN>a+ c=rsD>a+"), "refused");
}

#[test]
fn a_switchover_does_not_wait_for_a_replica_that_is_far_behind() {
    let behind = |seconds| {
        let world = world("a", "a=w b=rs>a+ c=rs>a+").with_channel('b', |its| its.seconds_behind = Some(seconds));
        let (to, drain_until, give_up_at) = (Some(world.id('b')), world.now, world.now + Duration::from_secs(10));
        world.asked(Request::Switchover { to, drain_until, give_up_at })
    };
    check_world(&behind(4), "switching_over closing close_writes:a");
    check_world(&behind(5), "switching_over closing close_writes:a");
    check_world(&behind(6), "refused");
    let mut without_account = behind(0);
    without_account.policy.has_replication_account = false;
    check_world(&without_account, "refused");
    let stopped = behind(0).with_channel('b', |its| its.applier = ThreadState::Stopped);
    check_world(&stopped, "refused");
}
