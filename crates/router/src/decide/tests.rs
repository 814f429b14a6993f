//! The decision table: a statement, a session and a snapshot in, a server and a reason out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use classifier::{Digest, Effects, Pin, PinKind, Reason, SessionEffect, Statement, Verb};
use session::{OpenTransaction, TransactionKind};
use topology::{Engine, Health, Role, Server, ServerId, Snapshot};

use super::*;
use crate::{Balance, EjectionPolicy, Ending, Hint, Rule, Steering};

const MAX_LAG: Duration = Duration::from_millis(500);
const HOLD: Duration = Duration::from_secs(10);
/// Without waiting: what cannot run is refused at once.
const POLICY: Policy = Policy {
    max_lag: MAX_LAG,
    reads_own_writes: true,
    filtered_replicas: false,
    causal_wait: Duration::ZERO,
    balancing: Balancing { balance: Balance::RoundRobin, slow_start: Duration::ZERO, ejection: EjectionPolicy::OFF },
    lazy_transactions: false,
    hold_writes: Duration::ZERO,
};
const PRIMARY: ServerId = ServerId(0);
const REPLICA: ServerId = ServerId(1);
const OTHER: ServerId = ServerId(2);

/// A primary and two replicas that lag by these times.
fn cluster(now: Instant, lags: [u64; 2]) -> Snapshot {
    let server = |id: u16, role| Server { health: Health::Up, role, ..Server::new(ServerId(id), format!("db{id}"), "h:1", 1) };
    let replica = |id, lag| Server { fresh_as_of: now.checked_sub(Duration::from_millis(lag)), ..server(id, Role::Replica) };
    Snapshot {
        generation: 1,
        servers: vec![server(0, Role::Primary), replica(1, lags[0]), replica(2, lags[1])],
        primary: Some(PRIMARY),
        last_primary: Some(PRIMARY),
        ..Snapshot::default()
    }
}

fn down(snapshot: &mut Snapshot, id: ServerId) {
    snapshot.servers[id.index()].health = Health::Down { why: Arc::from("test") };
    if snapshot.primary == Some(id) {
        snapshot.primary = None;
    }
}

fn statement(effects: Effects, session: Vec<SessionEffect>) -> Statement {
    Statement {
        verb: Verb::Other,
        effects,
        because: Reason::PlainRead,
        digest: Digest(0),
        key: classifier::StatementKey::default(),
        first_definition: 0,
        session,
    }
}

fn a_read() -> Statement {
    statement(Effects::READ_DATA, vec![])
}

fn a_write() -> Statement {
    statement(Effects::WRITE_DATA, vec![])
}

fn begin(read_only: bool) -> Statement {
    statement(Effects::TRANSACTION, vec![SessionEffect::Begin { read_only }])
}

/// The decision in short: `0 needs_primary`, or the denial's label.
fn check(statement: &Statement, session: SessionView<'_>, snapshot: &Snapshot, now: Instant, expected: &str) {
    assert_eq!(decided(statement, session, snapshot, POLICY, now), expected);
}

/// The same where statements wait.
fn check_held(statement: &Statement, session: SessionView<'_>, snapshot: &Snapshot, now: Instant, expected: &str) {
    assert_eq!(decided(statement, session, snapshot, Policy { hold_writes: HOLD, ..POLICY }, now), expected);
}

fn decided(statement: &Statement, session: SessionView<'_>, snapshot: &Snapshot, policy: Policy, now: Instant) -> String {
    match decide(statement, &session, snapshot, &policy, now, &mut Balancer::seeded(1)) {
        Decision::Forward(Route { server, because, end_first, begin_first }) => {
            let end = end_first.map_or(String::new(), |first| format!(" after ending {first}"));
            let begin = if begin_first { " and beginning" } else { "" };
            format!("{server} {}{end}{begin}", because.label())
        }
        Decision::Wait { awaited, at_most } => {
            assert_eq!(at_most, policy.hold_writes);
            format!("wait {}", awaited.label())
        }
        Decision::Refuse(denial) => denial.label().to_owned(),
    }
}

#[test]
fn a_write_goes_to_the_primary() {
    let now = Instant::now();
    check(&a_write(), SessionView::default(), &cluster(now, [0, 0]), now, "0 needs_primary");
}

#[test]
fn anything_unknown_goes_to_the_primary() {
    let now = Instant::now();
    for effects in Effects::all().iter().filter(|effect| {
        let of_sessions = Effects::CHANGE_SESSION | Effects::PREVIOUS_STATEMENT | Effects::COUNTS | Effects::FOUND_ROWS;
        !(Effects::READ_DATA | of_sessions).contains(*effect)
    }) {
        check(
            &statement(effects | Effects::READ_DATA, vec![]),
            SessionView::default(),
            &cluster(now, [0, 0]),
            now,
            "0 needs_primary",
        );
    }
}

#[test]
fn a_read_goes_to_a_fresh_replica() {
    let now = Instant::now();
    check(&a_read(), SessionView::default(), &cluster(now, [0, 0]), now, "1 fresh_replica");
}

#[test]
fn a_replica_that_lags_gets_no_reads() {
    let now = Instant::now();
    check(&a_read(), SessionView::default(), &cluster(now, [501, 500]), now, "2 fresh_replica");
}

#[test]
fn without_a_fresh_replica_the_primary_reads() {
    let now = Instant::now();
    check(&a_read(), SessionView::default(), &cluster(now, [501, 9999]), now, "0 no_fresh_replica");
}

#[test]
fn a_replica_never_seen_to_have_caught_up_gets_no_reads() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.servers[1].fresh_as_of = None;
    snapshot.servers[2].fresh_as_of = None;
    check(&a_read(), SessionView::default(), &snapshot, now, "0 no_fresh_replica");
}

#[test]
fn down_stray_weightless_and_failed_servers_get_no_reads() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    down(&mut snapshot, REPLICA);
    check(&a_read(), SessionView::default(), &snapshot, now, "2 fresh_replica");
    snapshot.servers[2].role = Role::Stray;
    check(&a_read(), SessionView::default(), &snapshot, now, "0 no_fresh_replica");
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.servers[1].weight = 0;
    check(&a_read(), SessionView { avoid: &[OTHER], ..SessionView::default() }, &snapshot, now, "0 no_fresh_replica");
}

/// A cluster in which each of the two replicas has its state and its lag.
fn with_states(now: Instant, replicas: [(ServerState, u64); 2]) -> Snapshot {
    let mut snapshot = cluster(now, replicas.map(|(_, lag)| lag));
    for (server, (state, _)) in snapshot.servers[1..].iter_mut().zip(replicas) {
        server.state = state;
    }
    snapshot
}

#[test]
fn states_decide_who_gets_reads() {
    use ServerState::{Active, Backup, Drain, Maintenance};
    let now = Instant::now();
    let check = |replicas: [(ServerState, u64); 2], expected: &str| {
        check(&a_read(), SessionView::default(), &with_states(now, replicas), now, expected);
        check(&begin(true), SessionView::default(), &with_states(now, replicas), now, expected);
    };
    let stale = 501;
    check([(Active, 0), (Active, 0)], "1 fresh_replica");
    check([(Backup, 0), (Active, 0)], "2 fresh_replica");
    check([(Backup, 0), (Active, stale)], "1 backup");
    check([(Backup, 0), (Drain, 0)], "1 backup");
    check([(Backup, stale), (Backup, 0)], "2 backup");
    check([(Backup, stale), (Active, stale)], "0 no_fresh_replica");
    for state in [Drain, Maintenance] {
        check([(state, 0), (Active, 0)], "2 fresh_replica");
        check([(state, 0), (Active, stale)], "0 no_fresh_replica");
        check([(state, 0), (state, 0)], "0 no_fresh_replica");
    }
}

#[test]
fn a_backup_answers_what_active_replicas_lack_or_have_just_failed() {
    use ServerState::{Active, Backup};
    let now = Instant::now();
    let snapshot = with_states(now, [(Backup, 10), (Active, 100)]);
    let wrote = |ago| SessionView { wrote_at: now.checked_sub(Duration::from_millis(ago)), ..SessionView::default() };
    check(&a_read(), wrote(200), &snapshot, now, "2 fresh_replica");
    check(&a_read(), wrote(50), &snapshot, now, "1 backup");
    check(&a_read(), wrote(5), &snapshot, now, "0 own_write");
    check(&a_read(), SessionView { avoid: &[OTHER], ..SessionView::default() }, &snapshot, now, "1 backup");
    let mut without_primary = snapshot.clone();
    down(&mut without_primary, PRIMARY);
    without_primary.servers[2].health = Health::Down { why: Arc::from("test") };
    check(&a_read(), SessionView::default(), &without_primary, now, "1 backup");
    // Also where the configuration has only backups.
    let mut only_backups = with_states(now, [(Backup, 10), (Backup, 10)]);
    only_backups.servers.remove(0);
    (only_backups.primary, only_backups.last_primary) = (None, None);
    check(&a_read(), SessionView::default(), &only_backups, now, "1 backup");
}

#[test]
fn a_server_that_is_named_answers_unless_it_is_drained() {
    let now = Instant::now();
    let hint = Hint { target: Some(Target::Server("db1".into())), max_lag: None };
    let named = SessionView { steering: Steering::new(Some(&hint), None), ..SessionView::default() };
    for (state, expected) in [
        (ServerState::Active, "1 hint"),
        (ServerState::Backup, "1 hint"),
        (ServerState::Drain, "unfit_server"),
        (ServerState::Maintenance, "unfit_server"),
    ] {
        check(&a_read(), named, &with_states(now, [(state, 0), (ServerState::Active, 0)]), now, expected);
    }
}

#[test]
fn what_is_on_a_drained_replica_goes_on_there() {
    let now = Instant::now();
    for state in ServerState::ALL {
        let snapshot = with_states(now, [(state, 0), (ServerState::Active, 0)]);
        let of_kind = |kind| SessionView {
            transaction: Some(OpenTransaction { server: REPLICA, kind }),
            isolation: Isolation::ReadCommitted,
            ..SessionView::default()
        };
        check(&a_read(), of_kind(TransactionKind::ReadOnly), &snapshot, now, "1 transaction");
        check(&a_read(), of_kind(TransactionKind::Lazy { is_explicit: true }), &snapshot, now, "1 transaction");
        let stale = with_states(now, [(state, 501), (ServerState::Active, 0)]);
        let moved = "0 lazy_transaction after ending 1 and beginning";
        check(&a_read(), of_kind(TransactionKind::Lazy { is_explicit: true }), &stale, now, moved);
        check(&a_read(), SessionView { home: Some(REPLICA), ..SessionView::default() }, &stale, now, "2 fresh_replica");
    }
}

#[test]
fn a_drained_primary_answers_what_needs_it() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [501, 501]);
    snapshot.servers[0].state = ServerState::Maintenance;
    check(&a_write(), SessionView::default(), &snapshot, now, "0 needs_primary");
    check(&a_read(), SessionView::default(), &snapshot, now, "0 no_fresh_replica");
}

#[test]
fn a_rule_shares_out_its_reads_in_its_own_way() {
    let now = Instant::now();
    let snapshot = cluster(now, [0, 0]);
    let rule = Rule { balance: Some(Balance::LeastConnections), ..Rule::default() };
    let ruled = SessionView { steering: Steering::new(None, Some((0, &rule))), ..SessionView::default() };
    for (session, expected) in [(SessionView::default(), [1, 2, 1, 2]), (ruled, [2, 2, 2, 2])] {
        let mut balancer = Balancer::seeded(1);
        (0..9).for_each(|_| balancer.begin(REPLICA));
        let chosen = expected.map(|_| match decide(&a_read(), &session, &snapshot, &POLICY, now, &mut balancer) {
            Decision::Forward(route) => route.server.0,
            other => unreachable!("{other:?}"),
        });
        assert_eq!(chosen, expected);
    }
}

#[test]
fn an_ejected_replica_is_the_last_resort_before_the_primary() {
    let now = Instant::now();
    let ejection = EjectionPolicy::default();
    let policy = Policy { balancing: Balancing { ejection, ..POLICY.balancing }, ..POLICY };
    let mut balancer = Balancer::seeded(1);
    for _ in 0..ejection.failures {
        balancer.begin(REPLICA);
        balancer.end(REPLICA, Ending::Failed, now);
    }
    let mut reads = |snapshot: &Snapshot| match decide(&a_read(), &SessionView::default(), snapshot, &policy, now, &mut balancer)
    {
        Decision::Forward(route) => (route.server, route.because),
        other => unreachable!("{other:?}"),
    };
    let both = cluster(now, [0, 0]);
    assert!((0..10).all(|_| reads(&both) == (OTHER, Because::FreshReplica)));
    assert_eq!(reads(&cluster(now, [0, 501])), (REPLICA, Because::FreshReplica));
}

#[test]
fn without_a_primary_writes_are_refused_and_reads_go_on() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [60_000, 50_000]);
    down(&mut snapshot, PRIMARY);
    check(&a_write(), SessionView::default(), &snapshot, now, "no_primary");
    // However long the primary has been gone: the replica that got furthest answers, the one far behind it does not.
    check(&a_read(), SessionView::default(), &snapshot, now, "2 no_primary");
    let mut snapshot = cluster(now, [60_000, 59_800]);
    down(&mut snapshot, PRIMARY);
    check(&a_read(), SessionView::default(), &snapshot, now, "1 no_primary");
    // One that is gone got further, and counts no more.
    let mut snapshot = cluster(now, [60_000, 50_000]);
    down(&mut snapshot, PRIMARY);
    down(&mut snapshot, ServerId(2));
    check(&a_read(), SessionView::default(), &snapshot, now, "1 no_primary");
}

#[test]
fn without_a_primary_ever_seen_any_replica_reads() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    down(&mut snapshot, PRIMARY);
    snapshot.servers[1].fresh_as_of = None;
    snapshot.servers[2].fresh_as_of = None;
    check(&a_read(), SessionView::default(), &snapshot, now, "1 no_primary");
}

#[test]
fn with_nothing_up_reads_are_refused() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    for id in [PRIMARY, REPLICA, OTHER] {
        down(&mut snapshot, id);
    }
    check(&a_read(), SessionView::default(), &snapshot, now, "no_server");
}

#[test]
fn an_open_transaction_keeps_its_server() {
    let now = Instant::now();
    let transaction = Some(OpenTransaction { server: PRIMARY, kind: TransactionKind::Ordinary });
    let session = SessionView { transaction, ..SessionView::default() };
    check(&a_read(), session, &cluster(now, [0, 0]), now, "0 transaction");
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.primary = Some(REPLICA);
    snapshot.servers[0].role = Role::Stray;
    check(&a_read(), session, &snapshot, now, "transaction_lost");
    down(&mut snapshot, PRIMARY);
    check(&a_read(), session, &snapshot, now, "transaction_lost");
}

#[test]
fn a_read_only_transaction_may_run_on_a_replica_as_a_whole() {
    let now = Instant::now();
    let snapshot = cluster(now, [0, 0]);
    check(&begin(true), SessionView::default(), &snapshot, now, "1 fresh_replica");
    check(&begin(false), SessionView::default(), &snapshot, now, "0 needs_primary");
    let transaction = Some(OpenTransaction { server: REPLICA, kind: TransactionKind::ReadOnly });
    let session = SessionView { transaction, ..SessionView::default() };
    check(&a_read(), session, &snapshot, now, "1 transaction");
    check(&statement(Effects::TRANSACTION, vec![SessionEffect::End]), session, &snapshot, now, "1 transaction");
    check(&a_write(), session, &snapshot, now, "read_only_transaction");
    check(&statement(Effects::LOCK, vec![]), session, &snapshot, now, "primary_only_in_replica_transaction");
    let variable = statement(Effects::READ_DATA | Effects::USER_VARIABLES, vec![]);
    check(&variable, session, &snapshot, now, "primary_only_in_replica_transaction");
    check(&begin(false), session, &snapshot, now, "0 needs_primary after ending 1");
    check(&begin(true), session, &snapshot, now, "1 fresh_replica after ending 1");
    let hint = crate::Hint::parse("server=db2").expect("a good hint");
    let steered = SessionView { steering: Steering::new(Some(&hint), None), ..session };
    check(&begin(true), steered, &snapshot, now, "2 hint after ending 1");
}

fn lazily(statement: &Statement, session: SessionView<'_>, snapshot: &Snapshot, now: Instant) -> String {
    let session = SessionView { isolation: Isolation::ReadCommitted, ..session };
    decided(statement, session, snapshot, Policy { lazy_transactions: true, ..POLICY }, now)
}

#[test]
fn a_lazy_transaction_begins_on_a_replica_if_nothing_keeps_it_from_there() {
    let now = Instant::now();
    let fresh = cluster(now, [0, 0]);
    let plain = SessionView::default();
    let off = SessionView { is_autocommit_off: true, ..plain };
    assert_eq!(lazily(&begin(false), plain, &fresh, now), "1 lazy_transaction");
    assert_eq!(lazily(&a_read(), off, &fresh, now), "1 lazy_transaction");
    // What is no transaction, or begins with more than a read, is as it was.
    assert_eq!(lazily(&a_read(), plain, &fresh, now), "1 fresh_replica");
    assert_eq!(lazily(&begin(true), plain, &fresh, now), "1 fresh_replica");
    assert_eq!(lazily(&a_write(), off, &fresh, now), "0 no_autocommit");
    assert_eq!(lazily(&commit(), off, &fresh, now), "0 no_autocommit");
    let with_lock = statement(Effects::TRANSACTION | Effects::LOCK, vec![SessionEffect::Begin { read_only: false }]);
    assert_eq!(lazily(&with_lock, plain, &fresh, now), "0 needs_primary");
    // Another level, or the configuration does not say so.
    let lazy = Policy { lazy_transactions: true, ..POLICY };
    assert_eq!(decided(&begin(false), plain, &fresh, lazy, now), "0 needs_primary");
    assert_eq!(decided(&a_read(), off, &fresh, lazy, now), "0 no_autocommit");
    let read_committed = SessionView { isolation: Isolation::ReadCommitted, ..off };
    check(&begin(false), read_committed, &fresh, now, "0 no_autocommit");
    check(&a_read(), read_committed, &fresh, now, "0 no_autocommit");
    // Nothing that the session has on the primary, and no replica that lags or lacks its writes.
    for session in [plain, off] {
        let begin = if session.is_autocommit_off { a_read() } else { begin(false) };
        let expected = if session.is_autocommit_off { "0 no_autocommit" } else { "0 needs_primary" };
        let pinned = SessionView { pin: Some(PinKind::NextTransaction), home: Some(PRIMARY), ..session };
        assert_ne!(lazily(&begin, pinned, &fresh, now), "1 lazy_transaction");
        let at_home = SessionView { home: Some(PRIMARY), may_leave_home: true, ..session };
        assert_eq!(lazily(&begin, at_home, &fresh, now), expected);
        assert_eq!(lazily(&begin, session, &cluster(now, [9999, 9999]), now), expected);
        assert_eq!(lazily(&begin, SessionView { wrote_at: Some(now), ..session }, &cluster(now, [5, 5]), now), expected);
    }
    let mut without = fresh;
    down(&mut without, PRIMARY);
    assert_eq!(lazily(&begin(false), plain, &without, now), "no_primary");
}

#[test]
fn a_lazy_transaction_goes_on_on_the_primary_with_its_first_statement_that_is_no_plain_read() {
    let now = Instant::now();
    let snapshot = cluster(now, [0, 0]);
    for (is_explicit, moved) in
        [(true, "0 lazy_transaction after ending 1 and beginning"), (false, "0 lazy_transaction after ending 1")]
    {
        let transaction = Some(OpenTransaction { server: REPLICA, kind: TransactionKind::Lazy { is_explicit } });
        let session = SessionView { transaction, is_autocommit_off: !is_explicit, ..SessionView::default() };
        assert_eq!(lazily(&a_read(), session, &snapshot, now), "1 transaction");
        assert_eq!(lazily(&commit(), session, &snapshot, now), "1 transaction");
        let rollback = Statement { verb: Verb::Rollback, ..commit() };
        assert_eq!(lazily(&rollback, session, &snapshot, now), "1 transaction");
        assert_eq!(lazily(&begin(false), session, &snapshot, now), "1 lazy_transaction after ending 1");
        let savepoint = statement(Effects::TRANSACTION, vec![]);
        for statement in [a_write(), savepoint, statement(Effects::READ_DATA | Effects::LOCK, vec![])] {
            assert_eq!(lazily(&statement, session, &snapshot, now), moved);
        }
        // A read goes where it is fresh, too.
        assert_eq!(lazily(&a_read(), session, &cluster(now, [9999, 0]), now), moved);
        // Its level has changed since.
        let lazy = Policy { lazy_transactions: true, ..POLICY };
        assert_eq!(decided(&a_write(), session, &snapshot, lazy, now), "transaction_lost");
        // Nothing of it is lost with a primary: it waits for the next one, and reads on meanwhile.
        let mut without = snapshot.clone();
        down(&mut without, PRIMARY);
        assert_eq!(lazily(&a_read(), session, &without, now), "1 transaction");
        assert_eq!(lazily(&a_write(), session, &without, now), "no_primary");
        let set_global = Statement { verb: Verb::Set, ..a_write() };
        let mut read_only = snapshot.clone();
        (read_only.primary, read_only.servers[0].role) = (None, Role::Replica);
        assert_eq!(lazily(&set_global, session, &read_only, now), moved.replace("lazy_transaction", "last_primary"));
        let held = Policy { lazy_transactions: true, hold_writes: HOLD, ..POLICY };
        let read_committed = SessionView { isolation: Isolation::ReadCommitted, ..session };
        assert!(decided(&a_write(), read_committed, &without, held, now).starts_with("wait"));
        let mut lost = snapshot.clone();
        down(&mut lost, REPLICA);
        assert_eq!(lazily(&a_read(), session, &lost, now), "transaction_lost");
    }
}

#[test]
fn a_lagging_replica_keeps_the_transaction_that_it_has() {
    let now = Instant::now();
    let transaction = Some(OpenTransaction { server: REPLICA, kind: TransactionKind::ReadOnly });
    check(&a_read(), SessionView { transaction, ..SessionView::default() }, &cluster(now, [9999, 0]), now, "1 transaction");
}

#[test]
fn what_lives_on_the_primary_keeps_reads_there() {
    let now = Instant::now();
    let session = SessionView { pin: Some(PinKind::TemporaryTable), home: Some(PRIMARY), ..SessionView::default() };
    check(&a_read(), session, &cluster(now, [0, 0]), now, "0 temporary_table");
    check(&begin(true), session, &cluster(now, [0, 0]), now, "0 temporary_table");
}

#[test]
fn without_autocommit_reads_belong_to_a_transaction_on_the_primary() {
    let now = Instant::now();
    let session = SessionView { is_autocommit_off: true, ..SessionView::default() };
    check(&a_read(), session, &cluster(now, [0, 0]), now, "0 no_autocommit");
    check(&begin(true), session, &cluster(now, [0, 0]), now, "1 fresh_replica");
}

#[test]
fn what_was_on_a_former_primary_is_reported_lost() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.primary = Some(REPLICA);
    let session = SessionView { pin: Some(PinKind::NamedLock), home: Some(PRIMARY), ..SessionView::default() };
    check(&a_read(), session, &snapshot, now, "pin_lost");
    check(&a_write(), session, &snapshot, now, "pin_lost");
    // Without any primary it is not lost yet.
    snapshot.primary = None;
    check(&a_write(), session, &snapshot, now, "no_primary");
}

#[test]
fn a_question_about_the_previous_statement_goes_where_that_ran() {
    let now = Instant::now();
    let about = statement(Effects::PREVIOUS_STATEMENT, vec![]);
    check(
        &about,
        SessionView { previous: Previous::On(OTHER), ..SessionView::default() },
        &cluster(now, [0, 0]),
        now,
        "2 previous_statement",
    );
    check(&about, SessionView::default(), &cluster(now, [0, 0]), now, "0 session_change");
}

#[test]
fn a_session_change_prefers_connections_that_are_there() {
    let now = Instant::now();
    let change = statement(Effects::CHANGE_SESSION, vec![SessionEffect::Autocommit(true)]);
    let snapshot = cluster(now, [0, 0]);
    check(&change, SessionView::default(), &snapshot, now, "0 session_change");
    check(&change, SessionView { held: &[OTHER], ..SessionView::default() }, &snapshot, now, "2 session_change");
    check(&change, SessionView { held: &[OTHER, PRIMARY], ..SessionView::default() }, &snapshot, now, "0 session_change");
    let mut snapshot = snapshot;
    down(&mut snapshot, PRIMARY);
    check(&change, SessionView::default(), &snapshot, now, "1 no_primary");
}

#[test]
fn a_change_that_cannot_be_repeated_goes_to_the_primary() {
    let now = Instant::now();
    let pin = SessionEffect::Pin(classifier::Pin::UserVariable("a".into()));
    check(&statement(Effects::CHANGE_SESSION, vec![pin]), SessionView::default(), &cluster(now, [0, 0]), now, "0 needs_primary");
}

#[test]
fn every_excluded_server_has_its_reason() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [700, 0]);
    snapshot.servers[2].role = Role::Unknown;
    let session = SessionView::default();
    let policy = POLICY;
    let reasons: Vec<_> = candidates(&session, &snapshot, &policy, now).map(|(_, exclusion)| exclusion).collect();
    let stale = Exclusion::Stale { staleness: Duration::from_millis(700), max_lag: MAX_LAG };
    assert_eq!(reasons, [Some(Exclusion::Primary), Some(stale), Some(Exclusion::UnknownRole)]);
}

#[test]
fn a_session_reads_where_its_own_write_has_arrived() {
    let now = Instant::now();
    let wrote =
        |milliseconds| SessionView { wrote_at: now.checked_sub(Duration::from_millis(milliseconds)), ..SessionView::default() };
    let snapshot = cluster(now, [100, 20]);
    check(&a_read(), wrote(50), &snapshot, now, "2 fresh_replica");
    check(&a_read(), wrote(20), &snapshot, now, "2 fresh_replica");
    check(&a_read(), wrote(10), &snapshot, now, "0 own_write");
    check(&a_read(), wrote(200), &snapshot, now, "1 fresh_replica");
    check(&begin(true), wrote(10), &snapshot, now, "0 own_write");
    let mut snapshot = snapshot;
    down(&mut snapshot, PRIMARY);
    check(&a_read(), wrote(10), &snapshot, now, "1 no_primary");
}

fn at(engine: Engine, text: &str) -> Position {
    Position::parse(engine, text).unwrap()
}

/// However old the last proof of their freshness is.
#[test]
fn a_session_reads_where_what_it_committed_is_seen() {
    let now = Instant::now();
    let check = |engine, committed: &str, has: [&str; 2], keeps_order: bool, expected: &str| {
        let mut snapshot = cluster(now, [100, 100]);
        for (server, has) in snapshot.servers[1..].iter_mut().zip(has) {
            (server.position, server.keeps_commit_order) = (Some(at(engine, has)), keeps_order);
        }
        let committed = at(engine, committed);
        let session = SessionView { wrote_at: Some(now), committed: Some(&committed), ..SessionView::default() };
        check(&a_read(), session, &snapshot, now, expected);
    };
    let mysql = Engine::MySql;
    let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    let set = |last: u32| format!("{uuid}:1-{last}");
    check(mysql, &format!("{uuid}:7"), [&set(6), &set(7)], true, "2 fresh_replica");
    check(mysql, &format!("{uuid}:7"), [&set(6), &set(6)], true, "0 own_write");
    // One that was committed earlier may come later.
    check(mysql, &format!("{uuid}:7"), [&set(7), &set(7)], false, "0 own_write");
    check(Engine::MariaDb, "0-1-7", ["0-1-6", "0-1-8"], false, "2 fresh_replica");
    check(Engine::MariaDb, "0-1-7", ["0-1-7,5-1-9", "0-1-6"], false, "0 own_write");
    // One that is too stale answers nothing, whatever it has.
    let mut stale = cluster(now, [700, 700]);
    stale.servers[1].position = Some(at(Engine::MariaDb, "0-1-7"));
    let committed = at(Engine::MariaDb, "0-1-7");
    let session = SessionView { wrote_at: Some(now), committed: Some(&committed), ..SessionView::default() };
    self::check(&a_read(), session, &stale, now, "0 no_fresh_replica");
}

#[test]
fn a_read_waits_on_a_replica_that_is_about_to_have_what_its_session_wrote() {
    let now = Instant::now();
    let committed = at(Engine::MariaDb, "0-1-7");
    let ago = |millis| now.checked_sub(Duration::from_millis(millis));
    let [lately, still, before] = [4, 999, 1000].map(|millis| [(REPLICA, ago(millis).unwrap())]);
    let session = SessionView { wrote_at: ago(5), committed: Some(&committed), ..SessionView::default() };
    let mut snapshot = cluster(now, [30, 30]);
    for server in &mut snapshot.servers[1..] {
        server.position = Some(at(Engine::MariaDb, "0-1-6"));
    }
    let policy = Policy { causal_wait: Duration::from_millis(10), ..POLICY };
    let decide = |session: SessionView<'_>, snapshot: &Snapshot, policy: Policy, balancer: &mut Balancer| match decide(
        &a_read(),
        &session,
        snapshot,
        &policy,
        now,
        balancer,
    ) {
        Decision::Forward(route) => format!("{} {}", route.server.0, route.because.label()),
        other => format!("{other:?}"),
    };
    let check = |session, snapshot: &Snapshot, policy, expected: &str| {
        assert_eq!(decide(session, snapshot, policy, &mut Balancer::seeded(1)), expected);
    };
    check(session, &snapshot, policy, "1 causal_wait");
    check(session, &snapshot, POLICY, "0 own_write");
    // So soon the primary answers sooner.
    check(SessionView { wrote_at: ago(1), ..session }, &snapshot, policy, "0 own_write");
    // What was written is not known.
    check(SessionView { committed: None, ..session }, &snapshot, policy, "0 own_write");
    // Once is enough for one statement.
    check(SessionView { avoid: &[REPLICA], ..session }, &snapshot, policy, "0 own_write");
    let with = |change: &dyn Fn(&mut Server)| {
        let mut snapshot = snapshot.clone();
        change(&mut snapshot.servers[1]);
        snapshot
    };
    check(session, &with(&|server| server.weight = 0), policy, "2 causal_wait");
    let mut weightless = snapshot.clone();
    weightless.servers[1..].iter_mut().for_each(|server| server.weight = 0);
    check(session, &weightless, policy, "0 own_write");
    check(session, &with(&|server| server.filters = Some("db".into())), policy, "2 causal_wait");
    check(session, &with(&|server| server.position = Some(at(Engine::MariaDb, "0-1-6,5-1-9"))), policy, "2 causal_wait");
    check(session, &with(&|server| server.position = None), policy, "2 causal_wait");
    check(session, &with(&|server| server.fresh_as_of = ago(700)), policy, "2 causal_wait");
    // One that has said so itself a moment ago does not wait again, whatever it was seen to have.
    check(SessionView { proven: &lately, ..session }, &snapshot, policy, "1 fresh_replica");
    check(SessionView { proven: &still, ..session }, &snapshot, policy, "1 fresh_replica");
    check(SessionView { proven: &before, ..session }, &snapshot, policy, "1 causal_wait");
    check(SessionView { proven: &lately, committed: None, ..session }, &snapshot, policy, "0 own_write");
    // One that has it already is better.
    check(session, &with(&|server| server.position = Some(at(Engine::MariaDb, "0-1-7"))), policy, "1 fresh_replica");
    // Those that were waited for in vain are not waited for again soon.
    let mut balancer = Balancer::seeded(1);
    balancer.note_late(REPLICA, now);
    assert_eq!(decide(session, &snapshot, policy, &mut balancer), "2 causal_wait");
    balancer.note_late(OTHER, now);
    assert_eq!(decide(session, &snapshot, policy, &mut balancer), "0 own_write");
}

#[test]
fn causal_reads_can_be_switched_off() {
    let now = Instant::now();
    let session = SessionView { wrote_at: Some(now), ..SessionView::default() };
    let policy = Policy { reads_own_writes: false, ..POLICY };
    let decision = decide(&a_read(), &session, &cluster(now, [10, 10]), &policy, now, &mut Balancer::seeded(1));
    assert!(matches!(decision, Decision::Forward(Route { server: REPLICA, because: Because::FreshReplica, .. })));
}

/// A session that has nothing but this hint.
fn check_hint(hint: &str, statement: &Statement, snapshot: &Snapshot, now: Instant, expected: &str) {
    let hint = crate::Hint::parse(hint).expect("a good hint");
    let session = SessionView { steering: Steering::new(Some(&hint), None), ..SessionView::default() };
    check(statement, session, snapshot, now, expected);
}

#[test]
fn a_hint_chooses_among_the_servers_that_may_answer_a_read() {
    let now = Instant::now();
    let cluster = |lags| cluster(now, lags);
    check_hint("primary", &a_read(), &cluster([0, 0]), now, "0 hint");
    check_hint("replica", &a_read(), &cluster([900, 0]), now, "2 fresh_replica");
    check_hint("replica", &a_read(), &cluster([900, 900]), now, "no_replica");
    check_hint("replica max_lag=1s", &a_read(), &cluster([900, 1100]), now, "1 fresh_replica");
    check_hint("max_lag=10ms", &a_read(), &cluster([20, 20]), now, "0 no_fresh_replica");
    check_hint("server=db2", &a_read(), &cluster([0, 0]), now, "2 hint");
    check_hint("server=db2", &a_read(), &cluster([0, 900]), now, "unfit_server");
    check_hint("server=db2, max_lag=1s", &a_read(), &cluster([0, 900]), now, "2 hint");
    check_hint("server=db0", &a_read(), &cluster([0, 0]), now, "0 hint");
    check_hint("server=db9", &a_read(), &cluster([0, 0]), now, "no_such_server");
}

#[test]
fn a_server_without_weight_answers_statements_that_ask_for_it_unless_it_lags() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.servers[1].weight = 0;
    check_hint("server=db1", &a_read(), &snapshot, now, "1 hint");
    check_hint("replica", &a_read(), &snapshot, now, "2 fresh_replica");
    snapshot.servers[1].fresh_as_of = now.checked_sub(Duration::from_secs(2));
    check_hint("server=db1", &a_read(), &snapshot, now, "unfit_server");
}

#[test]
fn a_hint_never_sends_a_write_to_a_replica() {
    let now = Instant::now();
    let snapshot = cluster(now, [0, 0]);
    for effects in Effects::all().iter() {
        // Naming a user variable comes with what is done with it.
        let is_harmless = (Effects::READ_DATA
            | Effects::CHANGE_SESSION
            | Effects::TRANSACTION
            | Effects::PREVIOUS_STATEMENT
            | Effects::COUNTS
            | Effects::FOUND_ROWS
            | Effects::USER_VARIABLES)
            .contains(effects);
        if !is_harmless {
            let statement = statement(effects, vec![]);
            check_hint("replica", &statement, &snapshot, now, "write_to_replica");
            check_hint("server=db1", &statement, &snapshot, now, "write_to_replica");
            check_hint("server=db0", &statement, &snapshot, now, "0 needs_primary");
            check_hint("primary", &statement, &snapshot, now, "0 needs_primary");
        }
    }
    check_hint("replica", &begin(false), &snapshot, now, "0 needs_primary");
    check_hint("replica", &begin(true), &snapshot, now, "1 fresh_replica");
}

#[test]
fn a_pin_holds_against_a_hint() {
    let now = Instant::now();
    let hint = crate::Hint::parse("replica").expect("a good hint");
    let session = SessionView {
        transaction: Some(OpenTransaction { server: PRIMARY, kind: TransactionKind::Ordinary }),
        steering: Steering::new(Some(&hint), None),
        ..SessionView::default()
    };
    check(&a_read(), session, &cluster(now, [0, 0]), now, "0 transaction");
}

#[test]
fn a_rule_steers_reads_leaves_writes_and_can_refuse() {
    let now = Instant::now();
    let snapshot = cluster(now, [0, 0]);
    let rule = Rule { target: Some(Target::Replica), max_lag: Some(Duration::from_secs(1)), ..Rule::default() };
    let hint = crate::Hint::parse("primary").expect("a good hint");
    let steered = |hint, rule| SessionView { steering: Steering::new(hint, Some((3, rule))), ..SessionView::default() };
    check(&a_read(), steered(None, &rule), &cluster(now, [900, 1100]), now, "1 fresh_replica");
    check(&a_write(), steered(None, &rule), &snapshot, now, "0 needs_primary");
    check(&a_read(), steered(Some(&hint), &rule), &snapshot, now, "0 hint");
    let refusing = Rule { refuse: Some("closed".into()), ..rule.clone() };
    check(&a_read(), steered(Some(&hint), &refusing), &snapshot, now, "rule");
    check(&a_write(), steered(None, &refusing), &snapshot, now, "rule");
}

#[test]
fn a_replica_whose_data_is_not_the_primarys_gets_no_reads() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.servers[1].diverged = Some("0-1-150".into());
    snapshot.servers[2].filters = Some("Replicate_Do_DB = shop".into());
    check(&a_read(), SessionView::default(), &snapshot, now, "0 no_fresh_replica");
    let reasons: Vec<_> = candidates(&SessionView::default(), &snapshot, &POLICY, now).map(|(_, reason)| reason).collect();
    assert_eq!(reasons, [Some(Exclusion::Primary), Some(Exclusion::Diverged), Some(Exclusion::Filtered)]);
    // Wrong data is no better for the lack of a primary.
    down(&mut snapshot, PRIMARY);
    check(&a_read(), SessionView::default(), &snapshot, now, "no_server");
}

// --- Servers that fell silent ---

fn silent(snapshot: &mut Snapshot, id: ServerId, now: Instant) {
    snapshot.servers[id.index()].silent_since = now.checked_sub(Duration::from_millis(600));
}

#[test]
fn a_silent_replica_gets_no_reads() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    silent(&mut snapshot, REPLICA, now);
    check(&a_read(), SessionView::default(), &snapshot, now, "2 fresh_replica");
    silent(&mut snapshot, OTHER, now);
    check(&a_read(), SessionView::default(), &snapshot, now, "0 no_fresh_replica");
}

#[test]
fn while_the_primary_is_silent_the_replicas_that_got_furthest_read() {
    let now = Instant::now();
    // Both are staler than is allowed, since it is unknown what the primary has.
    let mut snapshot = cluster(now, [5000, 5100]);
    silent(&mut snapshot, PRIMARY, now);
    check(&a_read(), SessionView::default(), &snapshot, now, "1 silent_primary");
    check(&a_write(), SessionView::default(), &snapshot, now, "0 needs_primary");
}

#[test]
fn a_read_of_ones_own_write_has_nowhere_to_go_but_the_primary() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [100, 100]);
    silent(&mut snapshot, PRIMARY, now);
    let wrote_at = now.checked_sub(Duration::from_millis(50));
    check(&a_read(), SessionView { wrote_at, ..SessionView::default() }, &snapshot, now, "0 own_write");
    check_held(&a_read(), SessionView { wrote_at, ..SessionView::default() }, &snapshot, now, "wait silent_primary");
    let snapshot = cluster(now, [100, 100]);
    check_held(&a_read(), SessionView { wrote_at, ..SessionView::default() }, &snapshot, now, "0 own_write");
    let failed = SessionView { wrote_at, avoid: &[PRIMARY], ..SessionView::default() };
    check_held(&a_read(), failed, &snapshot, now, "wait unreachable_primary");
    check(&a_read(), failed, &snapshot, now, "0 own_write");
}

#[test]
fn a_session_change_does_not_wait_for_a_silent_server() {
    let now = Instant::now();
    let change = statement(Effects::CHANGE_SESSION, vec![SessionEffect::Autocommit(true)]);
    let mut snapshot = cluster(now, [0, 0]);
    silent(&mut snapshot, REPLICA, now);
    let held = SessionView { held: &[REPLICA, OTHER], ..SessionView::default() };
    check(&change, held, &snapshot, now, "2 session_change");
}

// --- What a connection remembers ---

#[test]
fn what_a_lost_connection_remembered_is_not_asked_of_another() {
    let now = Instant::now();
    let snapshot = cluster(now, [0, 0]);
    let about = statement(Effects::PREVIOUS_STATEMENT, vec![]);
    let lost = SessionView { previous: Previous::Lost, ..SessionView::default() };
    check(&about, lost, &snapshot, now, "previous_statement_lost");
    check(&a_read(), lost, &snapshot, now, "1 fresh_replica");

    let by_id = statement(Effects::WRITE_DATA | Effects::INSERT_ID, vec![]);
    check(&by_id, SessionView { insert_id_is_lost: true, ..SessionView::default() }, &snapshot, now, "insert_id_lost");
    check(&by_id, SessionView::default(), &snapshot, now, "0 needs_primary");
    check(&a_write(), SessionView { insert_id_is_lost: true, ..SessionView::default() }, &snapshot, now, "0 needs_primary");
}

#[test]
fn a_write_that_asks_about_the_previous_statement_runs_where_that_ran_or_not_at_all() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    let write = statement(Effects::WRITE_DATA | Effects::PREVIOUS_STATEMENT, vec![]);
    let after = |server| SessionView { previous: Previous::On(server), ..SessionView::default() };
    check(&write, after(PRIMARY), &snapshot, now, "0 needs_primary");
    check(&write, after(REPLICA), &snapshot, now, "previous_statement_elsewhere");
    check(&write, SessionView::default(), &snapshot, now, "0 needs_primary");
    down(&mut snapshot, PRIMARY);
    check(&write, after(REPLICA), &snapshot, now, "no_primary");
}

// --- Ways back ---

#[test]
fn a_batch_of_settings_runs_on_the_primary() {
    let now = Instant::now();
    let batch = Statement {
        verb: Verb::Batch,
        ..statement(Effects::CHANGE_SESSION, vec![SessionEffect::Autocommit(true), SessionEffect::Autocommit(false)])
    };
    let held = SessionView { held: &[REPLICA], ..SessionView::default() };
    check(&batch, held, &cluster(now, [0, 0]), now, "0 session_change");
}

#[test]
fn what_ends_a_state_reaches_the_server_that_has_it() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.primary = None;
    snapshot.servers[0].role = Role::Replica;
    let locked = SessionView { home: Some(PRIMARY), pin: Some(PinKind::TableLocks), ..SessionView::default() };
    let unpin = |effects| statement(effects, vec![SessionEffect::Unpin(Pin::TableLocks)]);
    check(&unpin(Effects::LOCK), locked, &snapshot, now, "0 ends_state");
    // It does more than that.
    check(&unpin(Effects::LOCK | Effects::WRITE_DATA), locked, &snapshot, now, "no_primary");
    check(&a_write(), locked, &snapshot, now, "no_primary");
    // Also when another server is the primary now.
    snapshot.primary = Some(OTHER);
    snapshot.servers[2].role = Role::Primary;
    check(&unpin(Effects::LOCK), locked, &snapshot, now, "0 ends_state");
    check(&a_write(), locked, &snapshot, now, "pin_lost");
    down(&mut snapshot, PRIMARY);
    check(&unpin(Effects::LOCK), locked, &snapshot, now, "pin_lost");
}

#[test]
fn a_rollback_reaches_its_transaction_although_the_server_has_lost_its_role() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.primary = None;
    snapshot.servers[0].role = Role::Replica;
    let transaction = Some(OpenTransaction { server: PRIMARY, kind: TransactionKind::Ordinary });
    let session = SessionView { transaction, ..SessionView::default() };
    let end = |verb| Statement { verb, ..statement(Effects::TRANSACTION, vec![SessionEffect::End]) };
    check(&end(Verb::Rollback), session, &snapshot, now, "0 transaction");
    check(&end(Verb::Commit), session, &snapshot, now, "transaction_lost");
}

#[test]
fn without_a_primary_a_servers_variable_is_set_on_the_last_one() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.primary = None;
    snapshot.servers[0].role = Role::Replica;
    let set = |effects| Statement { verb: Verb::Set, ..statement(effects, vec![]) };
    check(&set(Effects::WRITE_DATA), SessionView::default(), &snapshot, now, "0 last_primary");
    check(&set(Effects::WRITE_DATA | Effects::READ_DATA), SessionView::default(), &snapshot, now, "no_primary");
    check(&a_write(), SessionView::default(), &snapshot, now, "no_primary");
    down(&mut snapshot, PRIMARY);
    check(&set(Effects::WRITE_DATA), SessionView::default(), &snapshot, now, "no_primary");
    snapshot.last_primary = None;
    check(&set(Effects::WRITE_DATA), SessionView::default(), &snapshot, now, "no_primary");
}

#[test]
fn filtered_replicas_read_where_the_configuration_says_so() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 900]);
    snapshot.servers[1].filters = Some("Replicate_Do_DB = shop".into());
    let allowed = Policy { filtered_replicas: true, ..POLICY };
    let reasons = |policy: &Policy| {
        candidates(&SessionView::default(), &snapshot, policy, now).map(|(_, reason)| reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&POLICY)[1], Some(Exclusion::Filtered));
    assert_eq!(reasons(&allowed)[1], None);
    // The other reasons stay.
    snapshot.servers[2].filters = Some("Replicate_Do_DB = shop".into());
    assert!(matches!(
        candidates(&SessionView::default(), &snapshot, &allowed, now).last(),
        Some((_, Some(Exclusion::Stale { .. })))
    ));
}

#[test]
fn what_may_do_more_than_end_a_state_does_not_reach_the_old_server() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.primary = None;
    snapshot.servers[0].role = Role::Replica;
    let locked = SessionView { home: Some(PRIMARY), pin: Some(PinKind::TableLocks), ..SessionView::default() };
    for more in [Effects::UNKNOWN, Effects::SESSION_UNSEEN] {
        let unpin = statement(Effects::LOCK | more, vec![SessionEffect::Unpin(Pin::TableLocks)]);
        check(&unpin, locked, &snapshot, now, "no_primary");
    }
}

#[test]
fn user_variables_change_nothing_about_what_a_transaction_may_do() {
    let now = Instant::now();
    let transaction = Some(OpenTransaction { server: REPLICA, kind: TransactionKind::ReadOnly });
    let session = SessionView { transaction, ..SessionView::default() };
    let end = statement(Effects::TRANSACTION | Effects::USER_VARIABLES, vec![SessionEffect::End]);
    check(&end, session, &cluster(now, [0, 0]), now, "1 transaction");
    let begin = Statement {
        effects: Effects::TRANSACTION | Effects::USER_VARIABLES,
        ..statement(Effects::empty(), vec![SessionEffect::Begin { read_only: true }])
    };
    check(&begin, SessionView::default(), &cluster(now, [0, 0]), now, "1 fresh_replica");
}

#[test]
fn a_filtered_replica_without_weight_is_filtered_first() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.servers[1].weight = 0;
    snapshot.servers[1].filters = Some("Replicate_Do_DB = shop".into());
    let reason = |policy: &Policy| candidates(&SessionView::default(), &snapshot, policy, now).nth(1).map(|(_, reason)| reason);
    assert_eq!(reason(&POLICY), Some(Some(Exclusion::Filtered)));
    assert_eq!(reason(&Policy { filtered_replicas: true, ..POLICY }), Some(Some(Exclusion::NoWeight)));
}

// --- Waiting ---

fn without_primary(now: Instant) -> Snapshot {
    let mut snapshot = cluster(now, [0, 0]);
    down(&mut snapshot, PRIMARY);
    snapshot
}

fn closing(now: Instant) -> Snapshot {
    Snapshot { is_closing: true, ..cluster(now, [0, 0]) }
}

fn commit() -> Statement {
    Statement { verb: Verb::Commit, ..statement(Effects::TRANSACTION, vec![SessionEffect::End]) }
}

/// Everything by itself, in the four states in which something may have to wait: no primary, a silent one, one to which no connection could be had,
/// and one that is about to hand over.
#[test]
fn only_what_the_primary_has_to_run_waits() {
    let now = Instant::now();
    let mut silent_primary = cluster(now, [0, 0]);
    silent(&mut silent_primary, PRIMARY, now);
    let use_schema = statement(Effects::CHANGE_SESSION, vec![SessionEffect::Use(Box::from(b"test".as_slice()))]);
    let assign =
        statement(Effects::CHANGE_SESSION | Effects::USER_VARIABLES, vec![SessionEffect::Pin(Pin::UserVariable("x".into()))]);
    let insert_id = statement(Effects::PRIMARY_SESSION | Effects::INSERT_ID, vec![]);
    let (closed, quiet, unreached) = ("wait primary", "wait silent_primary", "wait unreachable_primary");
    for (what, in_turn) in [
        (a_read(), ["1 no_primary", "1 silent_primary", "1 fresh_replica", "1 fresh_replica"]),
        (a_write(), [closed, quiet, unreached, "wait handover"]),
        (begin(false), [closed, quiet, unreached, "wait handover"]),
        (begin(true), ["1 no_primary", "1 silent_primary", "1 fresh_replica", "1 fresh_replica"]),
        (commit(), [closed, quiet, unreached, "0 needs_primary"]),
        (assign, [closed, quiet, unreached, "wait handover"]),
        (insert_id, [closed, quiet, unreached, "0 needs_primary"]),
        (statement(Effects::READ_DATA | Effects::LOCK, vec![]), [closed, quiet, unreached, "wait handover"]),
        (use_schema, ["1 no_primary", "1 silent_primary", "1 fresh_replica", "0 session_change"]),
    ] {
        let states = [without_primary(now), silent_primary.clone(), cluster(now, [0, 0]), closing(now)];
        for (state, (snapshot, expected)) in states.iter().zip(in_turn).enumerate() {
            let avoid: &[ServerId] = if state == 2 { &[PRIMARY] } else { &[] };
            check_held(&what, SessionView { avoid, ..SessionView::default() }, snapshot, now, expected);
        }
    }
}

#[test]
fn a_read_that_only_the_primary_can_answer_waits_for_one() {
    let now = Instant::now();
    let mut snapshot = without_primary(now);
    down(&mut snapshot, REPLICA);
    down(&mut snapshot, OTHER);
    check_held(&a_read(), SessionView::default(), &snapshot, now, "wait primary");
    // During a handover it may still be asked.
    let stale = Snapshot { is_closing: true, ..cluster(now, [900, 900]) };
    check_held(&a_read(), SessionView::default(), &stale, now, "0 no_fresh_replica");
    // Unless the read begins a transaction on it.
    check_held(&begin(true), SessionView::default(), &stale, now, "wait handover");
    let no_autocommit = SessionView { is_autocommit_off: true, ..SessionView::default() };
    check_held(&a_read(), no_autocommit, &stale, now, "wait handover");
    check_held(&commit(), no_autocommit, &stale, now, "0 no_autocommit");
}

#[test]
fn a_handover_lets_open_transactions_and_pinned_sessions_go_on() {
    let now = Instant::now();
    let transaction = Some(OpenTransaction { server: PRIMARY, kind: TransactionKind::Ordinary });
    let in_transaction = SessionView { transaction, ..SessionView::default() };
    let pinned = SessionView { home: Some(PRIMARY), pin: Some(PinKind::TemporaryTable), ..SessionView::default() };
    for what in [a_read(), a_write(), begin(false), commit()] {
        check_held(&what, in_transaction, &closing(now), now, "0 transaction");
        check_held(&what, pinned, &closing(now), now, "0 temporary_table");
    }
    // Unless it can take what it has along.
    let movable = SessionView { home: Some(PRIMARY), may_leave_home: true, ..SessionView::default() };
    check_held(&a_write(), movable, &closing(now), now, "wait handover");
    check_held(&a_write(), SessionView { may_leave_home: false, ..movable }, &closing(now), now, "0 needs_primary");
    // A read-only transaction on a replica is no business of the primary's, until it is left for one.
    let reading = SessionView {
        transaction: Some(OpenTransaction { server: REPLICA, kind: TransactionKind::ReadOnly }),
        ..SessionView::default()
    };
    check_held(&a_read(), reading, &closing(now), now, "1 transaction");
    check_held(&begin(false), reading, &closing(now), now, "wait handover");
}

#[test]
fn a_transaction_does_not_wait_for_a_silent_primary_and_is_lost_without_one() {
    let now = Instant::now();
    let transaction = Some(OpenTransaction { server: PRIMARY, kind: TransactionKind::Ordinary });
    let session = SessionView { transaction, ..SessionView::default() };
    let mut snapshot = cluster(now, [0, 0]);
    silent(&mut snapshot, PRIMARY, now);
    check_held(&a_write(), session, &snapshot, now, "0 transaction");
    check_held(&a_write(), session, &without_primary(now), now, "transaction_lost");
    // The old primary is up and takes itself for the primary, but was deposed.
    let deposed = Snapshot { primary: None, ..cluster(now, [0, 0]) };
    check_held(&commit(), session, &deposed, now, "transaction_lost");
}

#[test]
fn a_pinned_session_waits_for_its_own_primary_and_loses_the_pin_to_another() {
    let now = Instant::now();
    let pinned = SessionView { home: Some(PRIMARY), pin: Some(PinKind::TemporaryTable), ..SessionView::default() };
    check_held(&a_write(), pinned, &without_primary(now), now, "wait primary");
    let mut promoted = without_primary(now);
    promoted.primary = Some(OTHER);
    promoted.servers[2].role = Role::Primary;
    check_held(&a_write(), pinned, &promoted, now, "pin_lost");
    // User variables are needed by those who name them, and by what may use them unseen, not by plain reads.
    let with_variables = SessionView { home: Some(PRIMARY), ..SessionView::default() };
    check_held(&a_read(), with_variables, &promoted, now, "1 fresh_replica");
    check_held(&a_write(), with_variables, &promoted, now, "pin_lost");
}

#[test]
fn without_waiting_the_errors_come_at_once() {
    let now = Instant::now();
    check(&a_write(), SessionView::default(), &without_primary(now), now, "no_primary");
    check(&a_write(), SessionView::default(), &closing(now), now, "handover");
    check(&a_write(), SessionView { avoid: &[PRIMARY], ..SessionView::default() }, &cluster(now, [0, 0]), now, "0 needs_primary");
}

/// What no new primary would change is refused at once.
#[test]
fn refusals_do_not_wait() {
    let now = Instant::now();
    let snapshot = without_primary(now);
    let refusing = Rule { refuse: Some("closed".into()), ..Rule::default() };
    let refused = SessionView { steering: Steering::new(None, Some((0, &refusing))), ..SessionView::default() };
    check_held(&a_write(), refused, &snapshot, now, "rule");
    let hint = crate::Hint::parse("replica").expect("a good hint");
    let steered = SessionView { steering: Steering::new(Some(&hint), None), avoid: &[REPLICA, OTHER], ..SessionView::default() };
    check_held(&a_read(), steered, &snapshot, now, "no_replica");
    let lost = SessionView { insert_id_is_lost: true, ..SessionView::default() };
    check_held(&statement(Effects::WRITE_DATA | Effects::INSERT_ID, vec![]), lost, &snapshot, now, "insert_id_lost");
}

#[test]
fn denials_and_reasons_say_what_people_need_to_know() {
    for (denial, says) in [
        (Denial::NoPrimary, "plain reads still can"),
        (Denial::NoServer, "no server"),
        (Denial::Handover, "try it again"),
        (Denial::TransactionLost, "rolled back, try it again"),
        (Denial::PinLost, "another server is the primary now"),
        (Denial::ReadOnlyTransaction, "READ ONLY"),
        (Denial::PrimaryOnlyInReplicaTransaction, "without READ ONLY"),
        (Denial::InsertIdLost, "last insert id"),
        (Denial::PreviousStatementLost, "timeouts.session_idle"),
        (Denial::PreviousStatementElsewhere, "ran on a replica"),
        (Denial::ByRule(0), "rule"),
        (Denial::WriteToReplica(Reason::Writes), "hint"),
        (Denial::NoReplica, "EXPLAIN ROUTE"),
        (Denial::Unfit(Exclusion::Silent), "has not answered"),
        (Denial::NoSuchServer, "name"),
    ] {
        assert!(denial.to_string().contains(says), "{denial}");
    }
    for (awaited, says) in [
        (Awaited::Primary, "no server is one now"),
        (Awaited::SilentPrimary, "does not answer"),
        (Awaited::UnreachablePrimary, "no connection to it"),
        (Awaited::Handover, "about to hand over"),
    ] {
        assert!(awaited.to_string().contains(says), "{awaited}");
    }
    assert!(Because::SilentPrimary.to_string().contains("primary does not answer"));
    assert!(Exclusion::Filtered.to_string().contains("filters"));
}
