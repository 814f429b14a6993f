//! The decision table: a statement, a session and a snapshot in, a server and a reason out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use classifier::{Because as Class, Digest, Effects, SessionEffect, Statement, Verb};
use topology::{Health, Role, Server, ServerId, Snapshot};

use super::*;
use crate::{Bond, OpenTransaction, Rule, Steering};

const MAX_LAG: Duration = Duration::from_millis(500);
const POLICY: Policy = Policy { max_lag: MAX_LAG, reads_own_writes: true };
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
        warnings: Vec::new(),
    }
}

fn down(snapshot: &mut Snapshot, id: ServerId) {
    snapshot.servers[id.index()].health = Health::Down { why: Arc::from("test") };
    if snapshot.primary == Some(id) {
        snapshot.primary = None;
    }
}

fn statement(effects: Effects, session: Vec<SessionEffect>) -> Statement {
    Statement { verb: Verb::Other, effects, because: Class::PlainRead, digest: Digest(0), session }
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
    let decision = decide(statement, &session, snapshot, &POLICY, now, &mut Balancer::default());
    let text = match decision {
        Decision::Forward(Route { server, because, end_first: None }) => format!("{server} {}", because.label()),
        Decision::Forward(Route { server, because, end_first: Some(first) }) => {
            format!("{server} {} after ending {first}", because.label())
        }
        Decision::Refuse(denial) => denial.label().to_owned(),
    };
    assert_eq!(text, expected);
}

#[test]
fn a_write_goes_to_the_primary() {
    let now = Instant::now();
    check(&a_write(), SessionView::default(), &cluster(now, [0, 0]), now, "0 needs_primary");
}

#[test]
fn anything_unknown_goes_to_the_primary() {
    let now = Instant::now();
    for effects in Effects::all()
        .iter()
        .filter(|effect| !matches!(*effect, Effects::READ_DATA | Effects::CHANGE_SESSION | Effects::PREVIOUS_STATEMENT))
    {
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
    let transaction = Some(OpenTransaction { server: PRIMARY, read_only: false });
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
    let transaction = Some(OpenTransaction { server: REPLICA, read_only: true });
    let session = SessionView { transaction, ..SessionView::default() };
    check(&a_read(), session, &snapshot, now, "1 transaction");
    check(&statement(Effects::TRANSACTION, vec![SessionEffect::End]), session, &snapshot, now, "1 transaction");
    check(&a_write(), session, &snapshot, now, "read_only_transaction");
    check(&statement(Effects::LOCK, vec![]), session, &snapshot, now, "primary_only_in_replica_transaction");
    check(&begin(false), session, &snapshot, now, "0 needs_primary after ending 1");
    check(&begin(true), session, &snapshot, now, "1 fresh_replica after ending 1");
}

#[test]
fn a_lagging_replica_keeps_the_transaction_that_it_has() {
    let now = Instant::now();
    let transaction = Some(OpenTransaction { server: REPLICA, read_only: true });
    check(&a_read(), SessionView { transaction, ..SessionView::default() }, &cluster(now, [9999, 0]), now, "1 transaction");
}

#[test]
fn what_lives_on_the_primary_keeps_reads_there() {
    let now = Instant::now();
    let session = SessionView { bond: Some(Bond::TemporaryTable), home: Some(PRIMARY), ..SessionView::default() };
    check(&a_read(), session, &cluster(now, [0, 0]), now, "0 temporary_table");
    check(&begin(true), session, &cluster(now, [0, 0]), now, "0 temporary_table");
}

#[test]
fn without_autocommit_reads_belong_to_a_transaction_on_the_primary() {
    let now = Instant::now();
    let session = SessionView { bond: Some(Bond::NoAutocommit), ..SessionView::default() };
    check(&a_read(), session, &cluster(now, [0, 0]), now, "0 no_autocommit");
    check(&begin(true), session, &cluster(now, [0, 0]), now, "1 fresh_replica");
}

#[test]
fn what_was_on_a_former_primary_is_reported_lost() {
    let now = Instant::now();
    let mut snapshot = cluster(now, [0, 0]);
    snapshot.primary = Some(REPLICA);
    let session = SessionView { bond: Some(Bond::NamedLock), home: Some(PRIMARY), ..SessionView::default() };
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
        SessionView { previous: Some(OTHER), ..SessionView::default() },
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
    check(&a_read(), wrote(10), &snapshot, now, "0 own_write");
    check(&a_read(), wrote(200), &snapshot, now, "1 fresh_replica");
    check(&begin(true), wrote(10), &snapshot, now, "0 own_write");
    let mut snapshot = snapshot;
    down(&mut snapshot, PRIMARY);
    check(&a_read(), wrote(10), &snapshot, now, "1 no_primary");
}

#[test]
fn causal_reads_can_be_switched_off() {
    let now = Instant::now();
    let session = SessionView { wrote_at: Some(now), ..SessionView::default() };
    let policy = Policy { reads_own_writes: false, ..POLICY };
    let decision = decide(&a_read(), &session, &cluster(now, [10, 10]), &policy, now, &mut Balancer::default());
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
fn a_server_without_weight_answers_whoever_asks_for_it_unless_it_lags() {
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
        let is_harmless =
            (Effects::READ_DATA | Effects::CHANGE_SESSION | Effects::TRANSACTION | Effects::PREVIOUS_STATEMENT).contains(effects);
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
        transaction: Some(OpenTransaction { server: PRIMARY, read_only: false }),
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
