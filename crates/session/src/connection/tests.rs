use super::*;
use crate::LoginDetails;
use crate::settings::{SETTING_BYTES, SETTINGS};

fn session(schema: Option<&[u8]>) -> SessionState {
    SessionState::new(LoginDetails { collation: 45, ..LoginDetails::default() }, schema)
}

fn fresh() -> ConnectionState {
    ConnectionState::after_login(Capabilities::empty(), false)
}

/// The commands that a connection in `applied` needs: first byte and text of each.
fn commands(applied: &mut ConnectionState, state: &SessionState) -> Vec<String> {
    let mut out = BytesMut::new();
    let count = applied.catch_up(state, Capabilities::empty(), &mut out);
    let mut commands = Vec::new();
    let mut rest = &out[..];
    while let wire::Frame::Whole { payload, length, .. } = wire::frame(rest, 0, 1 << 20) {
        commands.push(format!("{} {}", payload[0], String::from_utf8_lossy(&payload[1..])));
        rest = &rest[length..];
    }
    assert_eq!(commands.len(), count);
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
fn autocommit_is_what_the_session_began_with() {
    let state = session(None).with_defaults(false, false);
    assert_eq!(
        commands(&mut fresh(), &state),
        ["3 SET session_track_state_change = ON, session_track_gtids = OWN_GTID, autocommit = 0"]
    );
}

/// MariaDB has no tracker for GTIDs, but a variable with the last one.
#[test]
fn a_connection_of_mariadb_tells_what_it_commits_also_for_another_account() {
    let mut applied = ConnectionState::after_login(Capabilities::empty(), true);
    assert!(commands(&mut applied, &session(None))[0].contains("'last_gtid'"));
    let mut next = applied.after_change_user();
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
fn a_session_that_was_reset_gets_connections_that_are() {
    let mut state = session(Some(b"shop"));
    assert!(state.set("a", b"a = 1"));
    state.reset();
    let mut applied = fresh();
    let own = "3 SET session_track_state_change = ON, session_track_gtids = OWN_GTID, autocommit = 1";
    assert_eq!(commands(&mut applied, &state), ["31 ", own, "2 shop"]);
    // One that it had already, and that was reset with it.
    applied.after_reset();
    assert_eq!(commands(&mut applied, &state), [own]);
    assert!(state.set("b", b"b = 1"));
    assert_eq!(commands(&mut applied, &state), ["3 SET b = 1"]);
}

#[test]
fn several_statements_in_a_packet_are_an_option_that_outlives_the_session() {
    let with = session(None).with_defaults(true, true);
    let mut applied = fresh();
    assert_eq!(commands(&mut applied, &with)[0].as_bytes(), b"27 \0\0");
    let mut next = applied.after_change_user();
    assert!(!commands(&mut next, &with).iter().any(|command| command.starts_with("27")));
    let mut next = applied.after_change_user();
    assert_eq!(commands(&mut next, &session(None))[0].as_bytes(), b"27 \x01\0");
    // A connection that has it from its login, or keeps it over a reset, is not told.
    let mut chosen = ConnectionState::after_login(Capabilities::MULTI_STATEMENTS, false);
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
    // In place of the one before it, it is no more than that was.
    assert!(state.set("a", &half));
    state.unset("b");
    assert!(state.set("c", b"c = 1"));
    let setting = |name| state.settings.iter().find(|setting| &*setting.name == name).map(|setting| &*setting.sql);
    assert_eq!((setting("c"), setting("b")), (Some(b"c = 1".as_slice()), None));
}
