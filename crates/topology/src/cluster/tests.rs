use super::*;
use crate::SemiSync;
use crate::semi_sync::LOSSLESS;
use crate::{
    Condition, DownCause, Engine, FailureKind, Gtid, GtidPosition, Health, Position, ProbeFailure, Replication, Role, Sample,
    SourceId, ThreadState, Version,
};

mod lineage;

/// Three servers and a clock of their own: `a` is the primary with server id 1, `b` and `c` follow it.
struct World {
    cluster: Cluster,
    start: Instant,
    now: Instant,
}

const A: ServerId = ServerId(0);
const B: ServerId = ServerId(1);
const C: ServerId = ServerId(2);

fn member(name: &str) -> Member {
    Member {
        name: name.into(),
        address: format!("{name}:3306").into(),
        replication_address: format!("{name}.inside:3306").into(),
        share: Share::default(),
    }
}

impl World {
    fn new() -> World {
        let start = Instant::now();
        World {
            cluster: Cluster::new((0..).map(ServerId).zip(["a", "b", "c"].map(member)).collect(), ClusterSettings::default()),
            start,
            now: start,
        }
    }

    /// All three were seen, at transaction 10.
    fn settled() -> World {
        let mut world = World::new();
        for (id, source) in [(A, None), (B, Some(1)), (C, Some(1))] {
            world.sees(id, source, source.is_some(), 10);
        }
        world
    }

    fn later(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn report(&mut self, id: ServerId, report: Report) -> Option<Snapshot> {
        self.cluster.observe(id, report, self.now)
    }

    fn sees(&mut self, id: ServerId, source: Option<u32>, read_only: bool, sequence: u64) -> Option<Snapshot> {
        let observation = Observation {
            sample: self.sample(read_only, sequence),
            engine: Engine::MariaDb,
            version: Version::parse("10.11.19"),
            version_text: "10.11.19-MariaDB".into(),
            server_uuid: None,
            server_id: u32::from(id.0) + 1,
            super_read_only: false,
            sql_mode: "STRICT_TRANS_TABLES".into(),
            binlog_state: Some(format!("0-1-{sequence}").parse().unwrap()),
            defaults: None,
            binlog_filters: None,
            uptime: Duration::ZERO,
            received: None,
            channels: source.map(follows).into_iter().collect(),
            semi_sync: None,
            settings: Arc::default(),
        };
        self.report(id, Report::Observed(Box::new(observation)))
    }

    fn sample(&self, read_only: bool, sequence: u64) -> Sample {
        Sample { sent_at: self.now, read_only, offline: false, written: Some(at(sequence)), applied: Some(at(sequence)) }
    }

    fn samples(&mut self, id: ServerId, sequence: u64) -> Option<Snapshot> {
        let sample = self.sample(id != A, sequence);
        self.report(id, Report::Sampled(sample))
    }

    fn fails(&mut self, id: ServerId, kind: FailureKind) -> Option<Snapshot> {
        self.report(id, Report::Failed(ProbeFailure { kind, why: "for a test".into() }))
    }

    fn server(&self, id: ServerId) -> &Server {
        self.cluster.snapshot().server(id).unwrap()
    }

    fn staleness_ms(&self, id: ServerId) -> Option<u128> {
        self.server(id).staleness(self.now).map(|staleness| staleness.as_millis())
    }

    fn primary(&self) -> Option<ServerId> {
        self.cluster.snapshot().primary
    }
}

fn follows(server_id: u32) -> Replication {
    Replication {
        io: ThreadState::Running,
        applier: ThreadState::Running,
        source: Some("inside:3306".into()),
        source_id: Some(SourceId::ServerId(server_id)),
        seconds_behind: Some(0),
        ..Replication::default()
    }
}

fn at(sequence: u64) -> Position {
    let mut position = GtidPosition::default();
    position.advance(0, Gtid { server_id: 1, sequence });
    Position::MariaDb(position)
}

#[test]
fn servers_are_unknown_until_they_are_seen() {
    let world = World::new();
    let snapshot = world.cluster.snapshot();
    assert_eq!((snapshot.generation, snapshot.primary, snapshot.servers.len()), (0, None, 3));
    assert_eq!((&world.server(B).health, world.server(B).role), (&Health::Unknown, Role::Unknown));
    assert_eq!(world.staleness_ms(B), None);
}

#[test]
fn roles_are_discovered_whatever_the_order_of_the_probes() {
    for order in [[A, B, C], [C, B, A], [B, A, C]] {
        let mut world = World::new();
        for id in order {
            world.sees(id, (id != A).then_some(1), id != A, 10);
        }
        assert_eq!(world.primary(), Some(A), "{order:?}");
        assert_eq!(world.server(C).role, Role::Replica, "{order:?}");
        assert_eq!(world.staleness_ms(C), Some(0), "{order:?}");
    }
}

#[test]
fn a_stray_that_answers_first_is_not_the_primary_for_a_moment() {
    for last in [FailureKind::Gone, FailureKind::Silent, FailureKind::Blind] {
        let mut world = World::new();
        world.sees(B, None, false, 10);
        world.sees(A, None, false, 10);
        assert_eq!((world.primary(), world.server(B).role), (None, Role::Unknown));
        assert_eq!(world.cluster.snapshot().warnings.len(), 0);
        world.sees(C, Some(1), true, 10);
        assert_eq!((world.primary(), world.server(B).role), (Some(A), Role::Stray));

        // The same when the last one never answers.
        let mut world = World::new();
        world.sees(A, None, false, 10);
        world.sees(B, Some(1), true, 10);
        assert_eq!(world.primary(), None);
        for _ in 0..3 {
            world.fails(C, last);
        }
        assert_eq!(world.primary(), Some(A));
    }
}

#[test]
fn a_report_that_changes_nothing_publishes_nothing() {
    let mut world = World::settled();
    let generation = world.cluster.snapshot().generation;
    assert_eq!(world.sees(B, Some(1), true, 10), None);
    assert_eq!(world.fails(B, FailureKind::Silent), None);
    assert_eq!(world.report(ServerId(7), Report::Failed(ProbeFailure { kind: FailureKind::Gone, why: "".into() })), None);
    assert_eq!(world.cluster.snapshot().generation, generation);
    world.later(50);
    assert_eq!(world.samples(A, 10).map(|snapshot| snapshot.generation), Some(generation + 1));
}

#[test]
fn an_idle_primary_keeps_its_replicas_fresh() {
    let mut world = World::settled();
    for _ in 0..20 {
        world.later(50);
        world.samples(A, 10);
        assert_eq!(world.staleness_ms(B), Some(0));
    }
    assert_eq!(world.server(A).staleness(world.now), Some(Duration::ZERO));
}

#[test]
fn staleness_of_a_replica_whose_applier_stopped_grows_by_itself() {
    let mut world = World::settled();
    for n in 1..=100 {
        world.later(50);
        world.samples(A, 10 + n);
        world.samples(B, 10 + n);
        world.samples(C, 10);
        assert_eq!(world.staleness_ms(B), Some(0));
        assert_eq!(world.staleness_ms(C), Some(u128::from(n) * 50));
    }
    assert!(world.server(C).is_up());
    world.samples(C, 80);
    assert_eq!(world.staleness_ms(C), Some(30 * 50));
    world.samples(C, 110);
    assert_eq!(world.staleness_ms(C), Some(0));
}

#[test]
fn staleness_grows_while_the_primary_cannot_be_seen() {
    let mut world = World::settled();
    world.fails(A, FailureKind::Gone);
    world.later(700);
    world.samples(B, 10);
    assert_eq!(world.staleness_ms(B), Some(700));
}

/// Its machine goes away after its process: a promotion that has begun must not be called off for that.
#[test]
fn what_a_server_died_of_stays_true_while_it_is_silent() {
    let cause = |world: &World| match &world.cluster.view().server(A).expect("known").condition {
        Condition::Down { cause, .. } => Some(*cause),
        _ => None,
    };
    for (first, expected) in [(FailureKind::Gone, DownCause::Gone), (FailureKind::ShuttingDown, DownCause::ShuttingDown)] {
        let mut world = World::settled();
        world.fails(A, first);
        world.fails(A, FailureKind::Gone);
        assert_eq!(cause(&world), Some(expected));
        for _ in 0..9 {
            world.fails(A, FailureKind::Silent);
            assert_eq!(cause(&world), Some(expected));
        }
        // An answer ends it; silence alone is silence.
        world.sees(A, None, false, 10);
        assert_eq!(cause(&world), None);
        for _ in 0..9 {
            world.fails(A, FailureKind::Silent);
        }
        assert_eq!(cause(&world), Some(DownCause::Silent));
    }
}

#[test]
fn staleness_beyond_the_history_stays_a_number() {
    let mut world = World::settled();
    for n in 1..=1500 {
        world.later(1000);
        world.samples(A, 10 + n);
        world.samples(C, 10);
    }
    assert_eq!(world.staleness_ms(C), Some(1_500_000));
}

#[test]
fn a_rebuilt_replica_starts_without_proof() {
    let mut world = World::settled();
    world.later(50);
    world.samples(C, 3);
    assert_eq!(world.staleness_ms(C), None);
}

#[test]
fn a_writable_replica_never_speaks_for_the_primary() {
    let mut world = World::settled();
    world.later(1000);
    // b is made writable by hand, and its sample arrives before any full look at it.
    let sample = world.sample(false, 11);
    world.report(B, Report::Sampled(sample));
    assert_eq!(world.primary(), Some(A));
    assert_eq!(world.staleness_ms(C), Some(1000), "b's position is not the primary's");
    let warnings = &world.cluster.snapshot().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("remove its source with RESET SLAVE ALL")), "{warnings:?}");
}

#[test]
fn a_primary_that_turns_read_only_is_noticed_by_a_sample() {
    let mut world = World::settled();
    let sample = world.sample(true, 10);
    let snapshot = world.report(A, Report::Sampled(sample)).unwrap();
    assert_eq!(snapshot.primary, None);
    assert!(snapshot.warnings[0].contains("read-only"), "{:?}", snapshot.warnings);
}

#[test]
fn a_server_is_down_after_so_many_failures_in_a_row() {
    let mut world = World::settled();
    for _ in 0..2 {
        world.fails(A, FailureKind::Silent);
        world.fails(A, FailureKind::Silent);
        assert!(world.server(A).is_up());
        world.samples(A, 10);
    }
    world.fails(A, FailureKind::Silent);
    world.fails(A, FailureKind::Silent);
    let snapshot = world.fails(A, FailureKind::Silent).unwrap();
    assert_eq!(snapshot.primary, None);
    assert_eq!(snapshot.servers[0].health, Health::Down { why: "for a test".into() });
    assert_eq!(snapshot.servers[0].role, Role::Primary, "nobody has taken over");
    assert_eq!(snapshot.warnings.len(), 1, "{:?}", snapshot.warnings);

    world.sees(A, None, false, 10);
    assert_eq!(world.primary(), Some(A));
}

#[test]
fn a_refused_connection_is_enough() {
    let mut world = World::settled();
    world.fails(B, FailureKind::Gone);
    assert!(!world.server(B).is_up());
    assert_eq!(world.server(B).role, Role::Replica);
}

#[test]
fn a_full_server_is_not_dead_for_a_while() {
    let mut world = World::settled();
    for _ in 0..9 {
        assert_eq!(world.fails(A, FailureKind::Full), None);
        world.later(1000);
    }
    assert_eq!(world.primary(), Some(A));
    world.later(1000);
    world.fails(A, FailureKind::Full);
    assert_eq!(world.primary(), None);
}

#[test]
fn a_server_in_offline_mode_is_down_for_applications() {
    let mut world = World::settled();
    let sample = Sample { offline: true, ..world.sample(false, 10) };
    let snapshot = world.report(A, Report::Sampled(sample)).unwrap();
    assert_eq!(snapshot.primary, None);
    assert!(matches!(&snapshot.servers[0].health, Health::Down { why } if why.contains("offline_mode")));
    world.samples(A, 10);
    assert_eq!(world.primary(), Some(A));
}

#[test]
fn a_promotion_by_hand_is_followed_and_the_old_primary_stays_out() {
    let mut world = World::settled();
    world.fails(A, FailureKind::Gone);
    world.later(1000);
    world.sees(B, None, false, 10);
    assert_eq!(world.primary(), Some(B), "a replica was promoted, though c has not heard yet");
    assert_eq!(world.server(A).role, Role::Stray);

    // The old primary comes back as it was, and c still follows it.
    world.later(1000);
    world.sees(A, None, false, 11);
    assert_eq!(world.primary(), Some(B));
    assert_eq!(world.server(A).role, Role::Stray);
    assert!(world.cluster.snapshot().warnings[0].contains("came back writable"));
    world.sees(C, Some(1), true, 10);
    assert_eq!(world.primary(), Some(B));

    // Also while the new one has trouble.
    world.fails(B, FailureKind::Gone);
    assert_eq!(world.primary(), None);
    world.sees(B, None, false, 12);

    // It follows another, although it still accepts writes.
    world.sees(A, Some(2), false, 11);
    assert!(!world.cluster.view().server(A).expect("a server").is_deposed);

    // Once it is made a replica it is one of them, and may be promoted again.
    world.sees(A, Some(2), true, 11);
    world.sees(C, Some(2), true, 12);
    assert_eq!(world.server(A).role, Role::Replica);
    assert_eq!(world.cluster.snapshot().warnings.len(), 0);
    world.sees(B, Some(1), true, 12);
    world.sees(A, None, false, 12);
    assert_eq!(world.primary(), Some(A));
}

#[test]
fn after_a_promotion_freshness_counts_from_the_new_primary() {
    let mut world = World::settled();
    world.fails(A, FailureKind::Gone);
    world.later(1000);
    world.sees(B, None, false, 15);
    world.samples(C, 10);
    assert_eq!(world.staleness_ms(C), Some(1000));
    world.samples(C, 15);
    assert_eq!(world.staleness_ms(C), Some(0));
    assert_eq!(world.server(C).fresh_as_of, Some(world.start + Duration::from_secs(1)));
}

#[test]
fn a_primary_without_gtids_proves_nothing_and_says_so() {
    let mut world = World::new();
    world.sees(B, Some(1), true, 10);
    world.sees(C, Some(1), true, 10);
    world.sees(A, None, false, 10);
    world.later(50);
    let sample = Sample { written: None, applied: None, ..world.sample(false, 0) };
    let snapshot = world.report(A, Report::Sampled(sample)).unwrap();
    assert_eq!(snapshot.primary, Some(A));
    assert!(snapshot.warnings[0].contains("keeps no GTIDs"), "{:?}", snapshot.warnings);
    assert_eq!(world.staleness_ms(B), Some(50));
}

#[test]
fn the_worst_channel_is_shown() {
    let mut world = World::settled();
    let mut observation = world.cluster.observation(B).unwrap().clone();
    let broken = Replication { applier: ThreadState::Stopped, last_error: Some("duplicate key".into()), ..follows(9) };
    observation.channels.push(broken.clone());
    world.report(B, Report::Observed(Box::new(observation)));
    assert_eq!(world.server(B).replication, Some(broken));
    assert_eq!(world.server(B).role, Role::Replica);
}

/// Whatever keeps us from looking, for however long.
#[test]
fn a_server_that_is_out_of_sight_stays_as_it_was_last_seen() {
    let mut world = World::settled();
    for id in [A, B] {
        let before = world.server(id).clone();
        let snapshot = world.fails(id, FailureKind::Blind).unwrap();
        assert_eq!(snapshot.servers[id.index()], before);
        assert_eq!((snapshot.primary, snapshot.last_primary), (Some(A), Some(A)));
        let warning = snapshot.warnings.last().unwrap();
        assert!(warning.contains("cannot be looked at") && warning.contains("for a test"), "{warning}");
        for _ in 0..100 {
            world.later(1000);
            assert_eq!(world.fails(id, FailureKind::Blind), None, "the same again is no news");
        }
        assert_eq!(world.server(id), &before);
    }
    // A sample may get through while the rest stays hidden.
    let sample = world.sample(false, 10);
    assert_eq!(world.report(A, Report::Sampled(sample)).unwrap().warnings.len(), 2);
    world.sees(A, None, false, 10);
    world.sees(B, Some(1), true, 10);
    assert_eq!(world.cluster.snapshot().warnings.len(), 0);
}

#[test]
fn staleness_of_a_replica_out_of_sight_grows_with_the_writes_that_it_may_lack() {
    let mut world = World::settled();
    world.fails(C, FailureKind::Blind);
    for n in 1..=20 {
        world.later(50);
        world.samples(A, 10 + n);
        assert_eq!(world.staleness_ms(C), Some(u128::from(n) * 50));
    }
    assert!(world.server(C).is_up());
}

#[test]
fn a_primary_out_of_sight_loses_its_role_once_another_is_followed() {
    let mut world = World::settled();
    world.fails(A, FailureKind::Blind);
    world.sees(B, None, false, 11);
    assert_eq!(world.primary(), Some(A), "b is writable, but nobody follows it: it may be a mistake");
    world.sees(C, Some(2), true, 11);
    assert_eq!((world.primary(), world.server(A).role), (Some(B), Role::Stray));

    // It comes back into sight as it was, and c is repointed to it by an old script: the role is not given back.
    world.sees(A, None, false, 12);
    world.sees(C, Some(1), true, 12);
    assert_eq!(world.primary(), Some(B));
    assert!(world.cluster.snapshot().warnings.iter().any(|warning| warning.contains("came back writable")));
    world.sees(A, Some(2), true, 12);
    assert_eq!(world.server(A).role, Role::Replica);
}

#[test]
fn a_server_that_was_down_when_it_went_out_of_sight_stays_down() {
    let mut world = World::settled();
    world.fails(A, FailureKind::Gone);
    let warnings = world.cluster.snapshot().warnings.len();
    world.fails(A, FailureKind::Blind);
    assert!(!world.server(A).is_up(), "what came back may be anything");
    assert_eq!(world.cluster.snapshot().warnings.len(), warnings);
    // The other way round it is no longer merely out of sight.
    world.fails(B, FailureKind::Blind);
    world.fails(B, FailureKind::Gone);
    assert!(!world.server(B).is_up());
    assert!(!world.cluster.snapshot().warnings.iter().any(|warning| warning.contains("looked at")));
}

#[test]
fn a_server_that_was_never_in_sight_stays_unknown_with_a_warning() {
    let mut world = World::new();
    for _ in 0..10 {
        world.fails(B, FailureKind::Blind);
    }
    assert_eq!((&world.server(B).health, world.server(B).role), (&Health::Unknown, Role::Unknown));
    assert!(world.cluster.snapshot().warnings[0].starts_with("b answers, but cannot be looked at"));
    let condition = |world: &World, id| world.cluster.view().server(id).expect("a server").condition.clone();
    assert_eq!((condition(&world, B), condition(&world, C)), (Condition::Blind { why: "for a test".into() }, Condition::Unknown));
    world.sees(B, Some(1), true, 10);
    assert!(world.server(B).is_up());
}

/// Every sequence of four reports: what each kind of failure does depends on what it proves, not on what came before it.
#[test]
fn only_what_speaks_against_a_server_takes_it_down() {
    use FailureKind::{Blind, Full, Gone, Silent};
    let kinds = [None, Some(Gone), Some(Silent), Some(Full), Some(Blind)];
    for number in 0..kinds.len().pow(4) {
        let sequence: Vec<Option<FailureKind>> =
            (0..4).map(|digit| kinds[number / kinds.len().pow(digit) % kinds.len()]).collect();
        let mut world = World::settled();
        let (mut is_up, mut silences) = (true, 0);
        for kind in &sequence {
            match kind {
                None => drop(world.sees(A, None, false, 10)),
                Some(kind) => drop(world.fails(A, *kind)),
            }
            silences = if *kind == Some(Silent) { silences + 1 } else { 0 };
            is_up = kind.is_none() || (is_up && *kind != Some(Gone) && silences < 3);
            assert_eq!(world.server(A).is_up(), is_up, "{sequence:?}");
            assert_eq!(world.primary(), is_up.then_some(A), "{sequence:?}");
            assert_eq!(world.cluster.snapshot().last_primary, Some(A), "{sequence:?}");
        }
    }
}

#[test]
fn silence_is_published_once_and_ends_with_any_answer() {
    let ends: [fn(&mut World); 5] = [
        |world| drop(world.sees(A, None, false, 10)),
        |world| drop(world.samples(A, 10)),
        |world| drop(world.fails(A, FailureKind::Blind)),
        |world| drop(world.fails(A, FailureKind::Full)),
        |world| drop(world.fails(A, FailureKind::Gone)),
    ];
    for end in ends {
        let mut world = World::settled();
        let since = world.now;
        world.later(500);
        let snapshot = world.report(A, Report::Silent { since }).unwrap();
        assert_eq!((snapshot.servers[0].silent_since, snapshot.primary), (Some(since), Some(A)));
        for _ in 0..2 {
            world.later(1000);
            assert_eq!(world.report(A, Report::Silent { since: world.now }), None, "the first unanswered question counts");
            assert_eq!(world.fails(A, FailureKind::Silent), None);
        }
        assert!(world.server(A).is_up());
        end(&mut world);
        assert_eq!(world.server(A).silent_since, None);
    }

    let mut world = World::settled();
    let since = world.now;
    world.report(A, Report::Silent { since });
    for _ in 0..3 {
        world.fails(A, FailureKind::Silent);
    }
    assert_eq!((world.server(A).is_up(), world.server(A).silent_since), (false, Some(since)));
}

#[test]
fn a_look_that_is_older_than_the_last_is_no_news_and_a_quick_one_hides_no_full_one() {
    let mut world = World::settled();
    let before = world.now;
    world.later(10);
    world.samples(B, 12);
    let quick = world.now;
    // A full look that was asked for before the quick one, and arrives after it.
    world.now = before + Duration::from_millis(5);
    world.sees(B, None, true, 11);
    world.now = quick;
    let view = world.cluster.view();
    let seen = view.server(B).and_then(|server| server.seen.clone()).unwrap();
    assert!(seen.channels.is_empty(), "what only a full look shows is taken");
    assert_eq!(seen.sample.applied, Some(at(12)), "what the quick one has seen since stays");
    assert_eq!(view.server(B).and_then(|server| server.seen_at), Some(before + Duration::from_millis(5)));
    // One that was asked for before that.
    world.now = before;
    world.sees(B, Some(9), true, 11);
    world.now = quick;
    assert!(
        world.cluster.view().server(B).is_some_and(|server| server.seen.as_ref().is_some_and(|seen| seen.channels.is_empty()))
    );
}

#[test]
fn what_a_lossless_primary_reports_without_its_replicas_is_not_trusted() {
    for (semi_sync, is_trusted) in [
        (LOSSLESS, true),
        (SemiSync { clients: 0, ..LOSSLESS }, false),
        (SemiSync { clients: 1, acks: 2, ..LOSSLESS }, false),
        (SemiSync { source_active: false, ..LOSSLESS }, false),
        // Not meant to be lossless.
        (SemiSync { source_enabled: false, clients: 0, ..LOSSLESS }, true),
        (SemiSync { timeout: Duration::from_secs(10), clients: 0, ..LOSSLESS }, true),
        (SemiSync { waits_alone: false, clients: 0, ..LOSSLESS }, true),
    ] {
        let mut world = World::settled();
        let mut look = |semi_sync| {
            world.later(600);
            let mut observation = (*world.cluster.view().server(A).and_then(|server| server.seen.clone()).unwrap()).clone();
            observation.sample.sent_at = world.now;
            observation.semi_sync = Some(semi_sync);
            world.report(A, Report::Observed(Box::new(observation)));
            assert_eq!(world.server(A).acks_seen_at, Some(world.now));
            world.server(A).acks_trusted
        };
        assert_eq!(look(semi_sync), is_trusted, "{semi_sync:?}");
        assert!(look(LOSSLESS), "they came back");
    }
}

/// A person opens one server and closes another only after it: the one that was opened last is meant.
#[test]
fn who_is_opened_beside_a_stray_without_a_primary_is_promoted() {
    let mut world = World::settled();
    world.fails(A, FailureKind::Gone);
    world.cluster.fence(A);
    world.fails(C, FailureKind::Gone);
    world.sees(C, None, false, 10);
    assert_eq!(world.server(C).role, Role::Stray, "it came back writable");
    world.sees(B, None, false, 10);
    assert_eq!((world.server(B).role, world.cluster.snapshot().primary), (Role::Stray, None));
    let mut other = World { cluster: world.cluster.clone(), ..world };
    other.sees(B, None, true, 10);
    assert_eq!(other.cluster.snapshot().primary, None, "nobody has promoted what came back writable");
    world.sees(C, None, true, 10);
    assert_eq!(world.cluster.snapshot().primary, Some(B));
}

#[test]
fn who_was_opened_beside_the_primary_is_not_promoted_by_its_loss() {
    let mut world = World::settled();
    world.sees(B, None, false, 11);
    assert_eq!(world.server(B).role, Role::Stray);
    world.fails(A, FailureKind::Gone);
    world.cluster.fence(A);
    assert_eq!(world.cluster.snapshot().primary, None);
}

#[test]
fn who_is_accepted_is_the_primary_though_it_came_back_writable() {
    let mut world = World::settled();
    let epoch = world.cluster.snapshot().epoch;
    world.fails(A, FailureKind::Gone);
    world.cluster.fence(A);
    world.fails(B, FailureKind::Gone);
    world.sees(B, None, false, 10);
    assert_eq!(world.cluster.snapshot().primary, None);
    let snapshot = world.cluster.accept(B).expect("another primary");
    assert_eq!((snapshot.primary, snapshot.epoch), (Some(B), epoch.next()));
    assert_eq!(world.cluster.view().last_primary, Some(B));
    assert!(world.cluster.view().server(A).expect("a server").is_deposed, "it may come back as it was");
}

#[test]
fn a_fenced_primary_gets_nothing_until_that_is_taken_back() {
    let mut world = World::settled();
    assert_eq!(world.cluster.unfence(A), None);
    let fenced = world.cluster.fence(A).expect("news");
    assert_eq!((fenced.primary, world.server(A).role), (None, Role::Stray));
    assert!(world.cluster.view().server(A).expect("a server").is_deposed);
    assert_eq!(world.cluster.fence(A), None);
    let unfenced = world.cluster.unfence(A).expect("news");
    assert_eq!(unfenced.primary, Some(A));
    // A server that was promoted is fenced no more.
    world.cluster.fence(A);
    world.cluster.fence(B);
    world.sees(B, None, false, 10);
    assert_eq!(world.primary(), None);
    assert_eq!(world.cluster.accept(B).and_then(|snapshot| snapshot.primary), Some(B));
}

#[test]
fn a_handover_is_announced_once() {
    let mut world = World::settled();
    assert_eq!(world.cluster.close(false), None);
    let closing = world.cluster.close(true).expect("news");
    assert!(closing.is_closing && closing.primary == Some(A));
    assert_eq!(world.cluster.close(true), None);
    assert!(world.cluster.close(false).is_some_and(|open| !open.is_closing));
}

#[test]
fn a_primary_that_hands_over_in_sight_is_not_deposed() {
    let mut world = World::settled();
    world.sees(A, None, true, 10);
    world.sees(B, None, false, 10);
    assert_eq!(world.primary(), Some(B));
    assert!(!world.cluster.view().server(A).expect("a server").is_deposed);
}

/// That it is read-only after it was down may be how it starts.
#[test]
fn a_server_has_been_down_until_it_is_seen_writable() {
    let has_been_down = |world: &World| world.cluster.view().server(A).expect("a server").has_been_down;
    let mut world = World::settled();
    world.sees(A, None, true, 10);
    assert!(!has_been_down(&world));
    world.fails(A, FailureKind::Gone);
    assert!(has_been_down(&world));
    world.sees(A, None, true, 10);
    assert!(has_been_down(&world));
    world.sees(A, None, false, 10);
    assert!(!has_been_down(&world));
    // Nor was it, if it was only closed to applications.
    world.fails(A, FailureKind::Offline);
    assert!(!has_been_down(&world));
}

#[test]
fn a_quick_look_is_news_only_after_a_full_one_and_in_its_order() {
    let mut world = World::new();
    assert_eq!(world.samples(B, 10), None);
    assert_eq!(world.server(B).health, Health::Unknown);
    let mut world = World::settled();
    let early = world.sample(true, 11);
    world.later(10);
    world.samples(B, 12);
    world.report(B, Report::Sampled(early));
    assert_eq!(world.cluster.observation(B).expect("a look").sample.applied, Some(at(12)));
}

#[test]
fn a_source_is_known_by_either_of_its_addresses() {
    let follows_at = |address: &str| {
        let mut world = World::settled();
        let mut observation = world.cluster.observation(B).unwrap().clone();
        observation.channels = vec![Replication { source: Some(address.into()), source_id: None, ..follows(1) }];
        world.report(B, Report::Observed(Box::new(observation)));
        let view = world.cluster.view();
        let server = view.server(B).expect("a server");
        (server.follows, view.source_of(server).as_deref().map(str::to_owned))
    };
    let to_a = (crate::Following::Server(A), Some("a".to_owned()));
    assert_eq!((follows_at("a:3306"), follows_at("a.inside:3306")), (to_a.clone(), to_a));
    assert_eq!(follows_at("x:3306"), (crate::Following::Unknown, Some("x:3306".to_owned())));
}

#[test]
fn steps_are_tried_on_what_may_be_reached() {
    let mut world = World::settled();
    let can = |world: &World| world.cluster.view().server(A).map(|server| (server.answers(), server.is_reachable()));
    assert_eq!(can(&world), Some((true, true)));
    for (kind, expected) in [
        (FailureKind::Full, (false, true)),
        (FailureKind::Blind, (false, true)),
        (FailureKind::Offline, (false, true)),
        (FailureKind::Gone, (false, false)),
    ] {
        world.fails(A, kind);
        assert_eq!(can(&world), Some(expected), "{kind:?}");
        world.sees(A, None, false, 10);
    }
    let since = world.now;
    world.report(A, Report::Silent { since });
    assert_eq!(can(&world), Some((false, false)));
}

#[test]
fn what_was_received_is_what_a_promotion_would_have() {
    let mut world = World::settled();
    let mut observation = world.cluster.observation(B).unwrap().clone();
    observation.received = Some(at(15));
    world.report(B, Report::Observed(Box::new(observation)));
    assert_eq!(world.cluster.view().server(B).expect("a server").received(), Some(&at(15)));
    assert_eq!(world.cluster.snapshot().primary_server().map(|server| server.id), Some(A));
}

/// Servers that come and go while all goes on.
mod changes {
    use super::*;

    const D: ServerId = ServerId(3);

    fn change(world: &mut World, members: &[(ServerId, &str)]) -> Option<Snapshot> {
        let members = members.iter().map(|(id, name)| (*id, member(name))).collect();
        world.cluster.change(members, ClusterSettings::default(), world.now)
    }

    #[test]
    fn what_is_known_of_a_server_that_stays_is_kept() {
        let mut world = World::settled();
        let epoch = world.cluster.snapshot().epoch;
        let snapshot = change(&mut world, &[(C, "c"), (D, "d"), (A, "a")]).expect("news");
        let names: Vec<&str> = snapshot.servers.iter().map(|server| &*server.name).collect();
        assert_eq!((names, snapshot.primary, snapshot.epoch), (vec!["c", "d", "a"], Some(A), epoch));
        assert_eq!((world.server(C).role, world.staleness_ms(C)), (Role::Replica, Some(0)));
        assert_eq!((world.server(D).role, world.staleness_ms(D)), (Role::Unknown, None));
        assert!(world.cluster.snapshot().server(B).is_none() && world.cluster.view().server(B).is_none());

        world.sees(D, Some(1), true, 10);
        assert_eq!((world.server(D).role, world.staleness_ms(D)), (Role::Replica, Some(0)));
        // What was on its way is of no use any more.
        assert_eq!(world.sees(B, Some(1), true, 10), None);
    }

    fn listed(id: ServerId, share: Share) -> (ServerId, Member) {
        (id, Member { share, ..member(["a", "b", "c"][id.index()]) })
    }

    #[test]
    fn what_a_person_sets_stays_until_the_list_says_something_else() {
        let share = |weight, state| Share { weight, state };
        let (active, drain) = (ServerState::Active, ServerState::Drain);
        let set = |weight, state| ShareChange { weight, state };
        let check = |first: Share, change: ShareChange, second: Share, expected: [Share; 2]| {
            let mut world = World::settled();
            let list = |world: &mut World, share| {
                let members = [A, B, C].map(|id| listed(id, share)).to_vec();
                world.cluster.change(members, ClusterSettings::default(), world.now);
            };
            list(&mut world, first);
            world.cluster.set(B, change, world.now);
            assert_eq!(world.server(B).share(), expected[0], "{first} {change:?}");
            assert_eq!((world.server(C).share(), world.cluster.view().server(B).unwrap().share), (first, expected[0]));
            list(&mut world, second);
            assert_eq!(world.server(B).share(), expected[1], "{first} {change:?} {second}");
        };
        let usual = Share::default();
        check(usual, set(Some(5), None), usual, [share(5, active); 2]);
        check(usual, set(None, Some(drain)), usual, [share(1, drain); 2]);
        check(usual, set(Some(0), Some(drain)), share(3, active), [share(0, drain), share(3, drain)]);
        check(share(1, drain), set(None, Some(active)), share(1, ServerState::Backup), [usual, share(1, ServerState::Backup)]);
        check(usual, ShareChange::default(), share(2, drain), [usual, share(2, drain)]);
    }

    #[test]
    fn nothing_is_published_for_a_change_that_changes_nothing() {
        let mut world = World::settled();
        let same = ShareChange { weight: Some(1), state: Some(ServerState::Active) };
        assert_eq!(world.cluster.set(B, same, world.now), None);
        assert_eq!(world.cluster.set(D, ShareChange { weight: Some(7), state: None }, world.now), None);
        let snapshot = world.cluster.set(B, ShareChange { weight: Some(7), state: None }, world.now).expect("news");
        assert_eq!((snapshot.server(B).unwrap().weight, snapshot.server(B).unwrap().back_since), (7, None));
    }

    #[test]
    fn a_server_is_back_when_it_may_get_reads_again() {
        let mut world = World::settled();
        let back_since = |world: &World, id| world.cluster.snapshot().server(id).unwrap().back_since;
        let set = |world: &mut World, weight, state| {
            world.later(10);
            world.cluster.set(B, ShareChange { weight, state }, world.now);
            back_since(world, B) == Some(world.now)
        };
        assert_eq!(back_since(&world, B), None);
        for (weight, state, is_back) in [
            (Some(3), None, false),
            (None, Some(ServerState::Drain), false),
            (None, Some(ServerState::Maintenance), false),
            (None, Some(ServerState::Backup), true),
            (None, Some(ServerState::Active), true),
            (Some(0), None, false),
            (Some(2), None, true),
            (Some(4), None, false),
        ] {
            assert_eq!(set(&mut world, weight, state), is_back, "{weight:?} {state:?}");
        }
        for _ in 0..3 {
            world.fails(C, FailureKind::Gone);
        }
        world.later(10);
        world.sees(C, Some(1), true, 10);
        assert_eq!((back_since(&world, C), back_since(&world, A)), (Some(world.now), None));
        let came_back = world.now;
        world.later(10);
        world.sees(C, Some(1), true, 10);
        assert_eq!(back_since(&world, C), Some(came_back));
    }

    #[test]
    fn nothing_is_said_about_the_flaws_of_a_server_in_maintenance() {
        let mut world = World::settled();
        world.sees(B, Some(1), true, 10);
        world.fails(B, FailureKind::Blind);
        assert_eq!(world.cluster.snapshot().warnings.len(), 1);
        let state = |state| ShareChange { weight: None, state: Some(state) };
        world.cluster.set(B, state(ServerState::Maintenance), world.now);
        assert!(world.cluster.snapshot().warnings.is_empty());
        world.cluster.set(B, state(ServerState::Active), world.now);
        assert_eq!(world.cluster.snapshot().warnings.len(), 1);
    }

    #[test]
    fn a_weight_that_changes_is_all_that_changes() {
        let mut world = World::settled();
        let before = world.cluster.snapshot().clone();
        let weighty = [A, B, C].map(|id| listed(id, Share { weight: 7, ..Share::default() })).to_vec();
        let after = world.cluster.change(weighty, ClusterSettings::default(), world.now).expect("news");
        let heavier = before.servers.iter().map(|server| Server { weight: 7, ..server.clone() }).collect();
        assert_eq!(after, Snapshot { servers: heavier, generation: after.generation, ..before });
    }

    #[test]
    fn followers_are_counted_by_server_and_not_by_place() {
        let mut world = World::settled();
        change(&mut world, &[(D, "d"), (C, "c"), (B, "b"), (A, "a")]);
        world.sees(D, None, false, 10);
        assert_eq!((world.primary(), world.server(D).role), (Some(A), Role::Stray));
    }

    #[test]
    fn a_dead_primary_that_is_taken_off_the_list_is_forgotten() {
        let mut world = World::settled();
        for _ in 0..3 {
            world.fails(A, FailureKind::Gone);
        }
        assert_eq!(world.primary(), None);
        let snapshot = change(&mut world, &[(B, "b"), (C, "c")]).expect("news");
        assert_eq!((snapshot.primary, snapshot.last_primary), (None, None));
        // The other one is promoted.
        world.sees(B, None, false, 11);
        world.sees(C, Some(2), true, 11);
        assert_eq!((world.primary(), world.server(C).role), (Some(B), Role::Replica));
    }
}
