//! Replicas whose transactions are not the primary's, and replicas that do not get all of them.

use super::*;

impl World {
    /// A full look at a replica of `source`: the last that it applied, and its log.
    fn sees_log(&mut self, id: ServerId, source: Option<u32>, applied: &str, logged: &str) -> Option<Snapshot> {
        let position = |text| Some(Position::parse(Engine::MariaDb, text).unwrap());
        let mut observation = self.cluster.observation(id).unwrap().clone();
        observation.sample = Sample { applied: position(applied), written: position(logged), ..self.sample(source.is_some(), 0) };
        observation.binlog_state = Some(logged.parse().unwrap());
        observation.channels = source.map(follows).into_iter().collect();
        self.report(id, Report::Observed(Box::new(observation)))
    }

    /// b was promoted at 100 and has written 20 since; a had written 50 more by then. c follows b, and a is made to follow it, too.
    fn after_a_lossy_failover(applied_by_a: &str, logged_by_a: &str) -> World {
        let mut world = World::settled();
        world.fails(A, FailureKind::Gone);
        world.later(1000);
        world.sees_log(B, None, "0-1-100", "0-1-100,0-2-120");
        world.sees_log(C, Some(2), "0-2-120", "0-1-100,0-2-120");
        assert_eq!((world.primary(), world.staleness_ms(C)), (Some(B), Some(0)));
        world.later(1000);
        world.sees_log(A, Some(2), applied_by_a, logged_by_a);
        world.later(10);
        world.sees_log(B, None, "0-1-100", "0-1-100,0-2-120");
        world
    }

    fn warns(&self, text: &str) -> bool {
        self.cluster.snapshot().warnings.iter().any(|warning| warning.contains(text))
    }
}

#[test]
fn a_diverged_former_primary_is_never_fresh() {
    for (applied, logged) in [("0-1-150", "0-1-150"), ("0-1-100", "0-1-150"), ("0-2-120", "0-1-150,0-2-120")] {
        let mut world = World::after_a_lossy_failover(applied, logged);
        assert_eq!((world.server(A).role, world.staleness_ms(A)), (Role::Replica, None), "{applied}");
        assert_eq!(world.server(A).diverged.as_deref(), Some("0-1-150"));
        assert!(world.warns("a has transactions that the primary does not have (0-1-150)"));
        assert!(world.warns("rebuild it") && !world.warns("empty transactions"), "MariaDB has none to commit");
        assert_eq!(world.staleness_ms(C), Some(0), "the other has nothing to do with it");
        // Samples do not wash it clean, and neither does the loss of the primary.
        for _ in 0..5 {
            world.later(50);
            let sample = Sample { applied: Some(at(300)), ..world.sample(true, 0) };
            world.report(A, Report::Sampled(sample));
            assert_eq!(world.staleness_ms(A), None);
        }
        world.fails(B, FailureKind::Gone);
        assert_eq!((world.staleness_ms(A), world.server(A).diverged.is_some()), (None, true));
        world.sees_log(B, None, "0-1-100", "0-1-100,0-2-120");
        // Rebuilt from the primary it is one of them again.
        world.sees_log(A, Some(2), "0-2-120", "0-2-120");
        assert_eq!((world.staleness_ms(A), world.server(A).diverged.as_deref()), (Some(0), None));
        assert!(!world.warns("transactions that"));
    }
}

#[test]
fn a_former_primary_that_lost_nothing_is_fresh_at_once() {
    let world = World::after_a_lossy_failover("0-2-120", "0-1-100,0-2-120");
    assert_eq!((world.staleness_ms(A), world.server(A).diverged.as_deref()), (Some(0), None));
    assert!(world.cluster.view().server(A).expect("a server").shares_history);
}

/// Of a stray it is reported that it accepts writes. What it has written is for failover to know.
#[test]
fn a_stray_is_not_reported_for_its_transactions() {
    let mut world = World::after_a_lossy_failover("0-1-150", "0-1-150");
    assert!(world.warns("transactions that"));
    world.sees_log(A, None, "0-1-150", "0-1-150");
    assert_eq!((world.server(A).role, world.server(A).diverged.as_deref()), (Role::Stray, None));
    assert!(!world.warns("transactions that"));
    let view = world.cluster.view();
    let stray = view.server(A).expect("a server");
    assert_eq!((stray.diverged.as_deref(), stray.shares_history), (Some("0-1-150"), false));
}

#[test]
fn what_is_known_of_a_server_outlasts_another_list() {
    let mut world = World::after_a_lossy_failover("0-1-150", "0-1-150");
    world.later(10);
    world.sees_log(A, Some(2), "0-1-150", "0-1-150");
    let members = [A, B, C].map(|id| (id, member(["a", "b", "c"][id.index()]))).to_vec();
    world.cluster.change(members, ClusterSettings::default(), world.now);
    assert_eq!(world.server(A).diverged.as_deref(), Some("0-1-150"));
}

/// While it is decided about one, another may come.
#[test]
fn a_suspicion_that_was_unfounded_gives_way_to_the_next() {
    let mut world = World::after_a_lossy_failover("0-2-120", "0-1-100,0-2-120");
    let primary_at = |world: &mut World, asked: Instant| {
        let now = std::mem::replace(&mut world.now, asked);
        world.sees_log(B, None, "0-1-130", "0-1-130,0-2-120");
        world.now = now;
    };
    world.later(10);
    world.sees_log(C, Some(2), "0-1-130", "0-1-130");
    for _ in 0..2 {
        world.later(10);
        let asked = world.now;
        world.later(5);
        assert_eq!(world.server(C).diverged.as_deref(), None);
        world.sees_log(C, Some(2), "0-1-140", "0-1-140");
        primary_at(&mut world, asked);
    }
    assert_eq!(world.server(C).diverged.as_deref(), Some("0-1-140"));
}

/// A replica is often asked just before the primary, or answers later.
#[test]
fn what_an_earlier_look_at_the_primary_lacks_proves_nothing() {
    let mut world = World::after_a_lossy_failover("0-2-120", "0-1-100,0-2-120");
    world.later(10);
    // For an instant it looks as if c had a transaction of server 1 that b lacks.
    world.sees_log(C, Some(2), "0-1-130", "0-1-130,0-2-120");
    assert_eq!((world.server(C).diverged.as_deref(), world.staleness_ms(C)), (None, Some(10)));
    world.later(10);
    world.sees_log(B, None, "0-1-130", "0-1-130,0-2-120");
    assert_eq!((world.server(C).diverged.as_deref(), world.staleness_ms(C)), (None, Some(0)));
}

#[test]
fn a_suspicion_is_decided_although_every_look_at_the_replica_falls_into_one_at_the_primary() {
    let mut world = World::after_a_lossy_failover("0-2-120", "0-1-100,0-2-120");
    let mut rounds = 0;
    while world.server(C).diverged.is_none() {
        rounds += 1;
        assert!(rounds < 4, "not decided");
        let asked = world.now;
        world.later(5);
        world.sees_log(C, Some(2), "0-1-130", "0-1-130");
        let mut observation = world.cluster.observation(B).unwrap().clone();
        observation.sample.sent_at = asked;
        world.report(B, Report::Observed(Box::new(observation)));
        world.later(250);
    }
    assert!(rounds > 1, "decided by a look that had begun before");
}

#[test]
fn a_replica_is_not_fresh_before_it_was_compared_with_the_new_primary() {
    let mut world = World::settled();
    world.sees_log(A, None, "", "0-1-150");
    world.sees_log(C, Some(1), "0-1-150", "0-1-150");
    assert_eq!(world.staleness_ms(C), Some(0));
    // b did not get the last 50, and is promoted all the same.
    world.fails(A, FailureKind::Gone);
    world.later(1000);
    world.sees_log(B, None, "0-1-100", "0-1-100,0-2-120");
    assert_eq!((world.primary(), world.staleness_ms(C)), (Some(B), None));
    world.later(250);
    world.sees_log(B, None, "0-1-100", "0-1-100,0-2-121");
    assert_eq!(world.server(C).diverged.as_deref(), Some("0-1-150"));
}

/// b is about to be promoted, without the last 50.
fn before_a_lossy_promotion() -> World {
    let mut world = World::settled();
    world.later(10);
    world.sees_log(A, None, "", "0-1-150");
    world.sees(B, None, true, 100);
    world
}

#[test]
fn a_promotion_that_a_quick_look_shows_is_compared_at_once() {
    let mut world = before_a_lossy_promotion();
    world.sees_log(C, Some(1), "0-1-150", "0-1-150");
    assert_eq!(world.staleness_ms(C), Some(0));
    world.fails(A, FailureKind::Gone);
    world.later(10);
    let sample = world.sample(false, 100);
    world.report(B, Report::Sampled(sample));
    assert_eq!((world.primary(), world.staleness_ms(C)), (Some(B), None));
    assert_eq!(world.server(C).diverged.as_deref(), Some("0-1-150"));
}

#[test]
fn what_was_compared_with_the_old_primary_only_is_not_fresh() {
    let mut world = before_a_lossy_promotion();
    world.fails(A, FailureKind::Gone);
    let asked = world.now;
    world.later(5);
    world.sees_log(C, Some(1), "0-1-150", "0-1-150");
    assert!(world.staleness_ms(C).is_some());
    // This look at b began before that at c, so it proves neither.
    let mut promoted = world.cluster.observation(B).unwrap().clone();
    (promoted.sample.sent_at, promoted.sample.read_only) = (asked, false);
    world.report(B, Report::Observed(Box::new(promoted)));
    assert_eq!((world.primary(), world.staleness_ms(C), world.server(C).diverged.as_deref()), (Some(B), None, None));
}

/// Without `log_slave_updates` a promoted server's own log begins with its own writes, below where it is.
#[test]
fn an_old_number_of_a_primary_that_did_not_log_what_it_applied_proves_no_replica_fresh() {
    let mut world = World::settled();
    world.fails(A, FailureKind::Gone);
    world.later(1000);
    let mut promoted = world.cluster.observation(B).unwrap().clone();
    let position = |text: &str| Some(Position::parse(Engine::MariaDb, text).unwrap());
    // `written` is what the monitor makes of gtid_binlog_pos = 0-2-5 and gtid_slave_pos = 0-1-100.
    promoted.sample = Sample { applied: position("0-1-100"), written: position("0-1-100"), ..world.sample(false, 0) };
    promoted.binlog_state = Some("0-2-5".parse().unwrap());
    promoted.channels.clear();
    world.report(B, Report::Observed(Box::new(promoted)));
    world.sees_log(C, Some(2), "0-1-60", "");
    assert_eq!((world.primary(), world.server(C).diverged.as_deref()), (Some(B), None));
    assert_eq!(world.staleness_ms(C), Some(1000), "as fresh as a was at 10, and no more");
    world.sees_log(C, Some(2), "0-1-100", "");
    assert_eq!(world.staleness_ms(C), Some(0));
}

#[test]
fn filters_are_found_all_the_way_up_the_chain() {
    let mut world = World::settled();
    let with_filter = |world: &mut World, id: ServerId, source: u32, filter: Option<&str>, of_log: Option<&str>| {
        let mut observation = world.cluster.observation(id).unwrap().clone();
        observation.channels = vec![Replication { filters: filter.map(Into::into), ..follows(source) }];
        observation.binlog_filters = of_log.map(Into::into);
        world.report(id, Report::Observed(Box::new(observation)));
    };
    // c follows b, which follows a.
    with_filter(&mut world, B, 1, Some("Replicate_Do_DB = shop"), None);
    with_filter(&mut world, C, 2, None, None);
    assert_eq!(world.server(B).filters.as_deref(), Some("Replicate_Do_DB = shop"));
    assert_eq!(world.server(C).filters.as_deref(), Some("Replicate_Do_DB = shop"));
    assert!(world.warns("c does not get everything that the primary writes (Replicate_Do_DB = shop)"));
    with_filter(&mut world, B, 1, None, Some("Binlog_Ignore_DB = shop"));
    assert_eq!(world.server(B).filters.as_deref(), None, "its own log is about those after it");
    assert_eq!(world.server(C).filters.as_deref(), Some("Binlog_Ignore_DB = shop"));

    let mut primary = world.cluster.observation(A).unwrap().clone();
    primary.binlog_filters = Some("Binlog_Do_DB = shop".into());
    world.report(A, Report::Observed(Box::new(primary)));
    assert_eq!(world.server(A).filters, None);
    assert_eq!(world.server(C).filters.as_deref(), Some("Binlog_Ignore_DB = shop; Binlog_Do_DB = shop"));
    assert_eq!((world.primary(), world.staleness_ms(B)), (Some(A), Some(0)), "staleness is another matter");
}

#[test]
fn equal_defaults_of_sessions_are_no_news() {
    let mut world = World::settled();
    let mut observation = world.cluster.observation(B).unwrap().clone();
    let defaults = |collation| {
        let hours = Duration::from_hours(8);
        let (wait_timeout, interactive_timeout) = (hours, hours);
        let (autocommit, max_connections, has_init_connect) = (true, 151, false);
        let defaults = crate::SessionDefaults {
            collation,
            autocommit,
            max_connections,
            has_init_connect,
            refuses_expired_passwords: true,
            wait_timeout,
            interactive_timeout,
        };
        Some(Arc::new(defaults))
    };
    observation.defaults = defaults(255);
    assert!(world.report(B, Report::Observed(Box::new(observation.clone()))).is_some());
    let shown = world.server(B).defaults.clone().unwrap();
    observation.defaults = defaults(255);
    assert_eq!(world.report(B, Report::Observed(Box::new(observation.clone()))), None);
    assert!(Arc::ptr_eq(&shown, world.server(B).defaults.as_ref().unwrap()), "readers may keep it");
    observation.defaults = defaults(45);
    assert!(world.report(B, Report::Observed(Box::new(observation))).is_some());
}
