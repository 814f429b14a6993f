use classifier::{Digest, Reason, StatementKey};

use super::*;

const PRIMARY: ServerId = ServerId(0);
const REPLICA: ServerId = ServerId(1);

fn fresh() -> Binding {
    Binding::new(Beginning { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, autocommit: true })
}

fn statement(effects: Effects, session: Vec<SessionEffect>) -> Statement {
    Statement {
        verb: Verb::Other,
        effects,
        because: Reason::PlainRead,
        digest: Digest(0),
        key: StatementKey::default(),
        first_definition: 0,
        session,
    }
}

fn read() -> Statement {
    statement(Effects::READ_DATA, vec![])
}

fn write() -> Statement {
    statement(Effects::WRITE_DATA, vec![])
}

/// A server's answer with these flags.
fn answer(status: StatusFlags) -> Outcome {
    Outcome { status: Some(status), ..Outcome::default() }
}

/// Lets a session settle a statement that was answered like this.
fn settle(binding: &mut Binding, statement: &Statement, server: ServerId, outcome: &Outcome) {
    let had_pending_writes = binding.may_have_pending_writes();
    if outcome.error.is_none() {
        binding.succeeded(statement, server);
    }
    binding.answered(statement, server, outcome, had_pending_writes, Instant::now());
}

#[test]
fn a_read_writes_nothing_unless_it_ends_what_was_written_before() {
    let autocommit = answer(StatusFlags::AUTOCOMMIT);
    let mut binding = fresh();
    settle(&mut binding, &read(), REPLICA, &autocommit);
    assert_eq!(binding.wrote_at(), None);
    settle(&mut binding, &write(), PRIMARY, &autocommit);
    let first = binding.wrote_at();
    assert!(first.is_some());
    // Nor does the begin or the end of a transaction, but for one that another session may have prepared.
    let begin = statement(Effects::TRANSACTION, vec![SessionEffect::Begin { read_only: false }]);
    settle(&mut binding, &begin, PRIMARY, &autocommit);
    assert_eq!(binding.wrote_at(), first);
    settle(&mut binding, &Statement { verb: Verb::Xa, ..statement(Effects::TRANSACTION, vec![]) }, PRIMARY, &autocommit);
    assert!(binding.wrote_at() > first);
    let first = binding.wrote_at();
    settle(&mut binding, &read(), REPLICA, &autocommit);
    assert_eq!(binding.wrote_at(), first);
    // Its answer was lost.
    let later = Instant::now();
    binding.may_have_written(later);
    assert_eq!(binding.wrote_at(), Some(later));

    // Within a transaction every statement may be the one that commits.
    let open = answer(StatusFlags::AUTOCOMMIT | StatusFlags::IN_TRANS);
    settle(&mut binding, &write(), PRIMARY, &open);
    let written = binding.wrote_at();
    assert!(binding.in_transaction());
    let commits = statement(Effects::CHANGE_SESSION, vec![SessionEffect::Autocommit(true)]);
    settle(&mut binding, &commits, PRIMARY, &autocommit);
    assert!(binding.wrote_at() > written);
    assert!(!binding.in_transaction());
}

#[test]
fn a_read_only_transaction_has_nothing_to_commit() {
    let mut binding = fresh();
    let begin = statement(Effects::TRANSACTION, vec![SessionEffect::Begin { read_only: true }]);
    let open = answer(StatusFlags::AUTOCOMMIT | StatusFlags::IN_TRANS);
    settle(&mut binding, &begin, REPLICA, &open);
    let begun = binding.wrote_at();
    settle(&mut binding, &read(), REPLICA, &open);
    assert_eq!(binding.wrote_at(), begun);
    assert!(!binding.may_have_pending_writes());
    assert!(binding.loses_with(REPLICA) && !binding.loses_with(PRIMARY));
    binding.transaction_ended(REPLICA);
    assert!(!binding.in_transaction() && !binding.loses_with(REPLICA));
}

#[test]
fn a_lazy_transaction_has_written_nothing_until_it_has_moved() {
    let mut binding = fresh();
    let open = answer(StatusFlags::IN_TRANS);
    settle(&mut binding, &read(), REPLICA, &open);
    binding.transaction_is_lazy(PRIMARY, false);
    assert!(binding.transaction().is_some_and(|transaction| !transaction.is_lazy()));
    binding.transaction_is_lazy(REPLICA, false);
    let before = binding.wrote_at();
    settle(&mut binding, &read(), REPLICA, &open);
    let is_lazy = |binding: &Binding| binding.transaction().is_some_and(OpenTransaction::is_lazy);
    assert!(is_lazy(&binding));
    // The replica is the primary now.
    let mut promoted = fresh();
    settle(&mut promoted, &read(), REPLICA, &open);
    promoted.transaction_is_lazy(REPLICA, false);
    settle(&mut promoted, &write(), REPLICA, &open);
    assert!(!is_lazy(&promoted) && promoted.may_have_pending_writes());
    assert!(!binding.may_have_pending_writes() && !binding.autocommit());
    assert_eq!(binding.wrote_at(), before);
    binding.transaction_moved(PRIMARY);
    assert!(binding.may_have_pending_writes() && binding.loses_with(PRIMARY));
    // The end of the one on the replica is not the end of this one.
    binding.transaction_ended(REPLICA);
    assert!(binding.in_transaction());
    settle(&mut binding, &statement(Effects::TRANSACTION, vec![SessionEffect::End]), PRIMARY, &answer(StatusFlags::empty()));
    assert!(binding.wrote_at() > before && !binding.in_transaction());
}

#[test]
fn autocommit_is_what_the_server_says() {
    let mut binding = fresh();
    settle(&mut binding, &read(), PRIMARY, &answer(StatusFlags::empty()));
    assert!(!binding.autocommit());
    assert!(!binding.autocommit());
    assert!(binding.may_have_pending_writes());
    settle(&mut binding, &read(), PRIMARY, &answer(StatusFlags::AUTOCOMMIT));
    assert_eq!(binding.pin_of_reads(), None);
}

#[test]
fn a_reset_forgets_everything_except_the_last_write() {
    let mut binding = fresh();
    let pin = statement(Effects::CHANGE_SESSION, vec![SessionEffect::Pin(Pin::TableLocks)]);
    settle(&mut binding, &pin, PRIMARY, &answer(StatusFlags::AUTOCOMMIT));
    let gtid = Some(Box::from(b"3e11fa47-71ca-11e1-9e33-c80aa9429562:23".as_slice()));
    settle(&mut binding, &write(), PRIMARY, &Outcome { gtid, ..answer(StatusFlags::AUTOCOMMIT) });
    let written = binding.wrote_at();
    let committed = binding.committed().map(|(server, position)| (server, position.clone()));
    assert!(committed.is_some());
    let now = Instant::now();
    binding.has_caught_up(REPLICA, now);
    binding.reset(
        Beginning { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, autocommit: true },
        Instant::now(),
    );
    assert_eq!((binding.wrote_at(), binding.home(), binding.previous()), (written, None, None));
    assert_eq!(binding.committed().map(|(server, position)| (server, position.clone())), committed);
    assert_eq!(binding.proven(), [(REPLICA, now)]);
}

#[test]
fn an_insert_id_is_known_until_its_connection_is_lost() {
    let autocommit = answer(StatusFlags::AUTOCOMMIT);
    let inserted = Outcome { has_insert_id: true, ..answer(StatusFlags::AUTOCOMMIT) };
    let mut binding = fresh();
    settle(&mut binding, &write(), PRIMARY, &autocommit);
    binding.connection_lost(PRIMARY, |_| true);
    assert!(!binding.insert_id_is_lost(), "there was none");

    settle(&mut binding, &write(), PRIMARY, &inserted);
    assert!(binding.insert_id_is_on(PRIMARY));
    binding.connection_lost(REPLICA, |_| true);
    assert!(!binding.insert_id_is_lost());
    binding.connection_lost(PRIMARY, |_| true);
    assert!(binding.insert_id_is_lost());
    settle(&mut binding, &write(), PRIMARY, &autocommit);
    assert!(binding.insert_id_is_lost(), "no new one has come");
    settle(&mut binding, &write(), PRIMARY, &inserted);
    assert!(!binding.insert_id_is_lost());

    binding.insert_id_noted();
    binding.connection_lost(PRIMARY, |_| true);
    assert!(!binding.insert_id_is_lost(), "any connection can be set to it");
    // The answer to a call does not show a procedure's inserts.
    let call = statement(Effects::WRITE_DATA | Effects::SESSION_UNSEEN, vec![]);
    settle(&mut binding, &call, PRIMARY, &autocommit);
    assert!(binding.insert_id_is_on(PRIMARY));
}

#[test]
fn a_cursor_keeps_its_connection_and_no_reads() {
    let mut binding = fresh();
    binding.cursor_opened(7, PRIMARY);
    binding.cursor_opened(7, PRIMARY);
    binding.cursor_opened(8, PRIMARY);
    assert!(binding.loses_with(PRIMARY) && !binding.loses_with(REPLICA));
    assert_eq!(binding.pin_of_reads(), None);
    assert!(binding.has_cursors());
    binding.cursor_closed(7);
    assert!(!binding.has_cursor(7) && binding.has_cursor(8));
    binding.cursor_closed(8);
    assert!(!binding.loses_with(PRIMARY) && !binding.has_cursors());
}

#[test]
fn a_connection_that_knows_what_the_client_may_ask_for_is_kept() {
    let ok = || answer(StatusFlags::AUTOCOMMIT);
    let check = |statements: &[(Statement, ServerId, Outcome)], expected: [bool; 2]| {
        let mut binding = fresh();
        for (statement, server, outcome) in statements {
            settle(&mut binding, statement, *server, outcome);
        }
        assert_eq!([PRIMARY, REPLICA].map(|server| binding.keeps(server)), expected, "{statements:?}");
        binding
    };
    let warns = || Outcome { has_warnings: true, ..ok() };
    let counts = || statement(Effects::READ_DATA | Effects::COUNTS, vec![]);
    check(&[], [false, false]);
    check(&[(read(), REPLICA, ok())], [false, false]);
    check(&[(write(), PRIMARY, ok())], [false, false]);
    check(&[(write(), PRIMARY, answer(StatusFlags::AUTOCOMMIT | StatusFlags::IN_TRANS))], [true, false]);
    check(&[(write(), PRIMARY, Outcome { has_insert_id: true, ..ok() }), (read(), REPLICA, ok())], [true, false]);
    // Warnings are those of the last statement.
    check(&[(read(), REPLICA, warns())], [false, true]);
    check(&[(read(), REPLICA, warns()), (read(), PRIMARY, ok())], [false, false]);
    check(&[(read(), REPLICA, warns()), (read(), PRIMARY, warns())], [true, false]);
    // So are counts.
    check(&[(counts(), REPLICA, ok())], [false, true]);
    check(&[(counts(), REPLICA, ok()), (write(), PRIMARY, ok())], [true, false]);
    // A change that no answer shows stays until the connection is another session's.
    let set = statement(Effects::CHANGE_SESSION, vec![SessionEffect::Autocommit(true)]);
    let fails = || Outcome { error: Some(1231), ..Outcome::default() };
    let mut unseen = check(&[(set, REPLICA, fails()), (read(), PRIMARY, ok())], [false, true]);
    unseen.left(PRIMARY);
    assert!(unseen.keeps(REPLICA));
    unseen.left(REPLICA);
    assert!(!unseen.keeps(REPLICA));
}

#[test]
fn a_replica_that_says_so_has_the_last_write_and_no_later_one() {
    let mut binding = fresh();
    let now = Instant::now();
    let later = now + std::time::Duration::from_secs(1);
    binding.has_caught_up(REPLICA, now);
    assert_eq!(binding.proven(), [], "nothing was written");
    let gtid = || Some(Box::from(b"3e11fa47-71ca-11e1-9e33-c80aa9429562:23".as_slice()));
    settle(&mut binding, &write(), PRIMARY, &Outcome { gtid: gtid(), ..answer(StatusFlags::AUTOCOMMIT) });
    binding.has_caught_up(REPLICA, now);
    binding.has_caught_up(ServerId(2), now);
    assert_eq!(binding.proven(), [(REPLICA, now), (ServerId(2), now)]);
    binding.has_caught_up(REPLICA, later);
    assert_eq!(binding.proven(), [(ServerId(2), now), (REPLICA, later)]);
    settle(&mut binding, &write(), PRIMARY, &Outcome { gtid: gtid(), ..answer(StatusFlags::AUTOCOMMIT) });
    assert_eq!(binding.proven(), []);
}

#[test]
fn items_are_bounded_in_number_and_size() {
    let mut binding = fresh();
    binding.pin(Pin::UserVariable("v".repeat(LONGEST_NAME).into()), PRIMARY);
    assert_eq!(binding.pin_of_reads(), None, "it is remembered by its name");
    binding.pin(Pin::UserVariable("v".repeat(LONGEST_NAME + 1).into()), PRIMARY);
    assert_eq!(binding.pin_of_reads(), Some(PinKind::Connection));

    let mut binding = fresh();
    for number in 0..2 * ITEMS {
        binding.pin(Pin::UserVariable(number.to_string().into()), PRIMARY);
    }
    assert_eq!(binding.items.len(), ITEMS + 1);
    assert_eq!(binding.pin_of_reads(), Some(PinKind::Connection));
}

#[test]
fn warnings_and_errors_are_there_until_the_next_statement() {
    let mut binding = fresh();
    settle(&mut binding, &read(), REPLICA, &Outcome { has_warnings: true, ..answer(StatusFlags::AUTOCOMMIT) });
    assert!(binding.has_diagnostics());
    assert_eq!(binding.previous(), Some(REPLICA), "only this server can show them");
    settle(&mut binding, &read(), REPLICA, &answer(StatusFlags::AUTOCOMMIT));
    assert!(!binding.has_diagnostics());
    settle(&mut binding, &read(), REPLICA, &Outcome { error: Some(1146), ..Outcome::default() });
    assert!(binding.has_diagnostics());
}
