use classifier::Dialect;

use super::*;
use crate::LoginDetails;
use crate::settings::{SETTING_BYTES, SETTINGS};

fn session(schema: Option<&[u8]>) -> SessionState {
    SessionState::new(LoginDetails { collation: 45, ..LoginDetails::default() }, schema)
}

fn fresh() -> ConnectionState {
    ConnectionState::after_login(Capabilities::empty(), 45, false)
}

/// The commands that a connection in `applied` needs: first byte and text of each.
fn commands(applied: &mut ConnectionState, state: &SessionState) -> Vec<String> {
    let mut out = BytesMut::new();
    let count = applied.catch_up(state, Capabilities::empty(), &mut out).commands;
    let mut commands = Vec::new();
    let mut rest = &out[..];
    while let wire::Frame::Whole { payload, length, .. } = wire::frame(rest, 0, 1 << 20) {
        commands.push(format!("{} {}", payload[0], String::from_utf8_lossy(&payload[1..])));
        rest = &rest[length..];
    }
    assert_eq!(commands.len(), count as usize);
    commands
}

#[test]
fn a_fresh_connection_gets_schema_and_settings_once() {
    let mut state = session(Some(b"shop"));
    assert!(state.set("time_zone", b"time_zone = '+00:00'"));
    let mut applied = fresh();
    assert_eq!(
        commands(&mut applied, &state),
        [
            "3 SET session_track_state_change = ON, session_track_gtids = OWN_GTID, autocommit = 1",
            "3 SET time_zone = '+00:00'",
            "2 shop"
        ]
    );
    assert!(commands(&mut applied, &state).is_empty());
}

#[test]
fn a_connection_that_logged_in_to_the_schema_is_not_told_it_once_more() {
    let own = "3 SET session_track_state_change = ON, session_track_gtids = OWN_GTID, autocommit = 1";
    let mut applied = fresh().in_schema(b"shop");
    assert_eq!(applied.schema(), Some(&b"shop"[..]));
    assert_eq!(commands(&mut applied, &session(Some(b"shop"))), [own]);
    assert_eq!(commands(&mut fresh().in_schema(b"shop"), &session(Some(b"other"))), [own, "2 other"]);
    assert_eq!(fresh().in_schema(b"").schema(), None);
    assert_eq!(fresh().in_schema(b"").distance(&session(None)), Distance::Commands);
}

#[test]
fn autocommit_is_what_the_session_began_with() {
    let state = session(None).with_defaults(Dialect::MySql, false, false);
    assert_eq!(
        commands(&mut fresh(), &state),
        ["3 SET session_track_state_change = ON, session_track_gtids = OWN_GTID, autocommit = 0"]
    );
}

/// MariaDB has no tracker for GTIDs, but a variable that holds the last one.
#[test]
fn a_mariadb_connection_reports_what_it_commits_also_for_another_account() {
    let mut applied = ConnectionState::after_login(Capabilities::empty(), 45, true);
    assert!(commands(&mut applied, &session(None))[0].contains("'last_gtid'"));
    let mut next = applied.after_change_user(45);
    assert!(commands(&mut next, &session(None))[0].contains("'last_gtid'"));
}

#[test]
fn a_later_setting_is_the_only_one_repeated() {
    let mut state = session(None);
    let mut applied = fresh();
    commands(&mut applied, &state);
    assert!(state.set("a", b"a = 1"));
    assert!(state.set("b", b"b = 1"));
    commands(&mut applied, &state);
    assert!(state.set("a", b"a = 2"));
    assert_eq!(commands(&mut applied, &state), ["3 SET a = 2"]);
}

#[test]
fn the_connection_that_ran_the_change_needs_nothing() {
    let mut state = session(None);
    let mut applied = fresh();
    commands(&mut applied, &state);
    assert!(state.set("a", b"a = 1"));
    state.use_schema(b"shop");
    applied.follow(&state);
    assert!(commands(&mut applied, &state).is_empty());
}

#[test]
fn a_schema_that_was_chosen_elsewhere_is_followed() {
    let mut state = session(Some(b"shop"));
    let mut applied = fresh();
    commands(&mut applied, &state);
    state.use_schema(b"store");
    assert_eq!(commands(&mut applied, &state), ["2 store"]);
}

#[test]
fn a_session_whose_schema_was_dropped_gets_connections_without_one() {
    let mut state = session(Some(b"shop"));
    let mut applied = fresh();
    commands(&mut applied, &state);
    state.use_schema(b"");
    assert_eq!(state.schema(), None);
    assert_eq!(applied.distance(&state), Distance::Login);
    applied.follow(&state);
    assert!(commands(&mut applied, &state).is_empty());
}

#[test]
fn a_session_that_was_reset_gets_connections_that_are_reset() {
    let mut state = session(Some(b"shop"));
    assert!(state.set("a", b"a = 1"));
    state.reset();
    let mut applied = fresh();
    let own = "3 SET session_track_state_change = ON, session_track_gtids = OWN_GTID, autocommit = 1";
    assert_eq!(commands(&mut applied, &state), ["31 ", own, "2 shop"]);
    // A connection that it already had, and that was reset with it.
    applied.after_reset();
    assert_eq!(commands(&mut applied, &state), [own]);
    assert!(state.set("b", b"b = 1"));
    assert_eq!(commands(&mut applied, &state), ["3 SET b = 1"]);
}

#[test]
fn several_statements_in_a_packet_are_an_option_that_outlives_the_session() {
    let with = session(None).with_defaults(Dialect::MySql, true, true);
    let mut applied = fresh();
    assert_eq!(commands(&mut applied, &with)[0].as_bytes(), b"27 \0\0");
    let mut next = applied.after_change_user(45);
    assert!(!commands(&mut next, &with).iter().any(|command| command.starts_with("27")));
    let mut next = applied.after_change_user(45);
    assert_eq!(commands(&mut next, &session(None))[0].as_bytes(), b"27 \x01\0");
    // A connection that has it from its login, or keeps it over a reset, gets no command.
    let mut chosen = ConnectionState::after_login(Capabilities::MULTI_STATEMENTS, 45, false);
    assert!(!commands(&mut chosen, &with).iter().any(|command| command.starts_with("27")));
    chosen.after_reset();
    assert!(!commands(&mut chosen, &with).iter().any(|command| command.starts_with("27")));
    // COM_SET_OPTION on another connection.
    let mut without = with.clone();
    without.allow_multi_statements(false);
    assert_eq!(commands(&mut chosen, &without), ["27 \x01\0"]);
}

#[test]
fn a_setting_repeated_before_a_reset_is_not_taken_for_one_after_it() {
    let mut state = session(None);
    let mut applied = fresh();
    assert!(state.set("a", b"a = 1"));
    commands(&mut applied, &state);
    state.reset();
    assert_eq!(commands(&mut applied, &state)[0], "31 ");
}

#[test]
fn variables_are_restored_all_or_none() {
    let value = |name: &str, bytes: usize| (Box::from(name), Box::from(vec![b'x'; bytes]));
    let half = SETTING_BYTES / 2 - 2;
    let mut state = session(None);
    assert!(state.restore_variables(&[value("a", half), value("b", half)]));
    let mut state = session(None);
    assert!(!state.restore_variables(&[value("a", half), value("b", half), value("c", 1)]));
    assert!(!state.restore_variables(&[value("a", half), value("b", half + 1)]), "the names count, too");
    assert!(state.settings.is_empty());
}

#[test]
fn settings_are_bounded_in_number_and_bytes() {
    let mut state = session(None);
    for index in 0..SETTINGS {
        assert!(state.set(&format!("v{index}"), b"x"));
    }
    assert!(!state.set("one_more", b"x"));
    assert!(!state.has_room([1].into_iter()));

    let mut state = session(None);
    let half = vec![b'x'; SETTING_BYTES / 2 - 1];
    assert!(state.has_room([SETTING_BYTES / 2, SETTING_BYTES / 2].into_iter()));
    assert!(!state.has_room([SETTING_BYTES / 2, SETTING_BYTES / 2, 1].into_iter()));
    assert!(state.set("a", &half) && state.set("b", &half));
    assert!(!state.set("c", b""));
    // It replaces the one before it, and is no longer.
    assert!(state.set("a", &half));
}

/// The distance from a connection that served `one` to `other`.
#[track_caller]
fn distance(one: &SessionState, other: &SessionState) -> Distance {
    let mut connection = fresh();
    commands(&mut connection, one);
    let distance = connection.distance(other);
    // A near connection is in the session's state after these commands, and has nothing left of the former session.
    if distance != Distance::Login {
        commands(&mut connection, other);
        assert_eq!(connection.distance(other), Distance::None);
    }
    distance
}

#[test]
fn sessions_with_the_same_settings_are_at_no_distance() {
    let mut one = session(Some(b"shop"));
    assert!(one.set("a", b"a = 1") && one.set("b", b"b = 1"));
    let mut other = session(Some(b"shop"));
    assert!(other.set("a", b"a = 1") && other.set("b", b"b = 1"));
    assert_eq!(distance(&one, &other), Distance::None);
}

#[test]
fn the_same_names_are_near_and_another_name_takes_a_login() {
    let with = |settings: &[(&str, &str)]| {
        let mut state = session(Some(b"shop"));
        assert!(settings.iter().all(|(name, sql)| state.set(name, sql.as_bytes())));
        state
    };
    let none = with(&[]);
    let a = with(&[("a", "a = 1")]);
    let a_2 = with(&[("a", "a = 2")]);
    let both = with(&[("b", "b = 1"), ("a", "a = 1")]);
    for (one, other, expected) in [
        (&none, &a, Distance::Commands),
        (&a, &a_2, Distance::Commands),
        (&a, &both, Distance::Commands),
        (&a, &none, Distance::Login),
        (&both, &a, Distance::Login),
    ] {
        assert_eq!(distance(one, other), expected, "{one:?} {other:?}");
    }
    assert_eq!(distance(&session(None), &none), Distance::Commands);
    assert_eq!(distance(&none, &session(None)), Distance::Login);
    assert_eq!(distance(&none, &none.clone().with_defaults(Dialect::MySql, false, false)), Distance::Login);
    let mut unusual = SessionState::new(LoginDetails { collation: 8, ..LoginDetails::default() }, Some(b"shop"));
    assert_eq!(distance(&none, &unusual), Distance::Login);
    unusual = none.clone();
    unusual.allow_multi_statements(true);
    assert_eq!(distance(&none, &unusual), Distance::Commands);
}

/// All settings after the first one that differs are made again.
#[test]
fn settings_are_made_again_in_the_sessions_order() {
    let mut one = session(None);
    assert!(one.set("names", b"NAMES latin1") && one.set("character_set_results", b"character_set_results = NULL"));
    let mut connection = fresh();
    commands(&mut connection, &one);
    let mut other = session(None);
    assert!(other.set("names", b"NAMES utf8mb4") && other.set("character_set_results", b"character_set_results = NULL"));
    assert_eq!(commands(&mut connection, &other), ["3 SET NAMES utf8mb4", "3 SET character_set_results = NULL"]);
    // The other way round: the last one wins.
    let mut third = session(None);
    assert!(third.set("character_set_results", b"character_set_results = NULL") && third.set("names", b"NAMES utf8mb4"));
    assert_eq!(commands(&mut connection, &third), ["3 SET NAMES utf8mb4"]);
}

#[test]
fn a_session_that_was_reset_needs_no_login_after_anothers_settings() {
    let mut one = session(Some(b"shop"));
    assert!(one.set("a", b"a = 1"));
    let mut reset = session(Some(b"shop"));
    reset.reset();
    assert_eq!(distance(&one, &reset), Distance::Commands);
    let mut connection = fresh();
    commands(&mut connection, &reset);
    assert_eq!(connection.distance(&one), Distance::Login, "a reset is not what a login leaves");
    let mut again = reset.clone();
    assert!(again.set("a", b"a = 1"));
    commands(&mut connection, &again);
    assert!(connection.catch_up(&reset, Capabilities::empty(), &mut BytesMut::new()).is_reset);
}

#[test]
fn an_insert_id_is_set_only_where_it_differs() {
    let mut connection = fresh();
    let mut state = session(None);
    commands(&mut connection, &state);
    connection.note(Traces { insert_id: true, ..Traces::default() });
    assert_eq!(commands(&mut connection, &state), ["3 SET last_insert_id = 0"]);
    state.set_insert_id(Some(7));
    assert_eq!(commands(&mut connection, &state), ["3 SET last_insert_id = 7"]);
    connection.note(Traces { insert_id: true, ..Traces::default() });
    connection.note_insert_id(7);
    assert_eq!(connection.distance(&state), Distance::None);
    // It is on another connection of the session, and the question goes there.
    state.set_insert_id(None);
    assert_eq!(connection.distance(&state), Distance::None);
}

#[test]
fn what_a_session_may_have_left_keeps_others_away() {
    let after = |traces: &[Traces]| {
        let mut connection = fresh();
        for traces in traces {
            connection.note(*traces);
        }
        connection.is_known()
    };
    let none = Traces::default();
    let (set, unset) = (Some(true), Some(false));
    assert!(after(&[none]));
    assert!(!after(&[Traces { unseen: true, ..none }, none]));
    assert!(!after(&[Traces { lasting_warnings: set, ..none }, none]));
    assert!(after(&[Traces { lasting_warnings: set, ..none }, Traces { lasting_warnings: unset, ..none }]));
    assert!(!after(&[Traces { next_transaction: set, ..none }, none]));
    assert!(after(&[Traces { next_transaction: set, ..none }, Traces { next_transaction: unset, ..none }]));
}

#[test]
fn what_a_connection_has_found_is_its_sessions_after_its_first_result() {
    let mut connection = fresh();
    assert!(connection.has_own_counts());
    connection.left();
    connection.note(Traces::default());
    assert!(!connection.has_own_counts());
    connection.note(Traces { rows: true, ..Traces::default() });
    assert!(connection.has_own_counts());
    assert!(!connection.after_change_user(45).has_own_counts(), "MySQL keeps it over a login");
}
