use classifier::{Catalogue, Definition, ParseLimits, Placement};

use super::*;
use crate::Grammar;

const READING: Reading = Reading { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe };

/// `MYSQL_TYPE_LONGLONG` and `MYSQL_TYPE_VAR_STRING`.
const NUMBER: [u8; 2] = [0x08, 0x00];
const TEXT: [u8; 2] = [0xfd, 0x00];

fn classifier() -> Classifier {
    Classifier::new(ParseLimits::default())
}

fn prepared(sql: &str, params: u16, classifier: &Classifier) -> Prepared<()> {
    let text = Arc::new(PreparedText::new(sql.as_bytes().into(), Grammar::default()));
    let verdict = Arc::new(classifier.classify(sql.as_bytes(), &READING.context(None)));
    Prepared::new(text, READING, (verdict, classifier.knowledge().version()), params, ())
}

fn with_one(sql: &str, params: u16) -> ClientStatements<()> {
    let mut statements = ClientStatements::default();
    let id = statements.next_id();
    statements.add(id, prepared(sql, params, &classifier()));
    statements
}

/// A client's `COM_STMT_EXECUTE` with one parameter, with or without its type.
fn execute(types: Option<[u8; 2]>, value: &[u8]) -> Vec<u8> {
    let bound = types.map_or(vec![0], |types| [&[1], &types[..]].concat());
    [&[wire::COM_STMT_EXECUTE, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0], &bound[..], value].concat()
}

/// What is sent to a server connection on which the statement has the number 9.
fn sent(
    statements: &mut ClientStatements<()>,
    bound: &mut Option<Arc<[u8]>>,
    limit: usize,
    payload: &[u8],
) -> Result<Vec<u8>, Malformed> {
    let mut out = BytesMut::new();
    let capabilities = Capabilities::empty();
    let execution = Execution { capabilities, opens_cursor: false, limit, number: 9, bound };
    statements.put_execution(1, execution, payload, &mut out).map(|()| out.to_vec())
}

#[test]
fn the_statement_prepared_last_has_a_number_for_all() {
    let mut statements = ClientStatements::<()>::default();
    assert_eq!(statements.resolve(wire::LAST_STATEMENT), 0);
    for _ in 0..2 {
        let id = statements.next_id();
        statements.add(id, prepared("SELECT 1", 0, &classifier()));
    }
    assert_eq!((statements.resolve(wire::LAST_STATEMENT), statements.resolve(1)), (2, 1));
    // One that fails is no statement.
    statements.next_id();
    assert_eq!(statements.resolve(wire::LAST_STATEMENT), 0);
}

#[test]
fn a_bulk_execution_has_its_types_on_every_server_connection() {
    let mut statements = with_one("INSERT INTO t VALUES (?)", 1);
    let bulk = |flags: u16, rest: &[u8]| [&[wire::COM_STMT_BULK_EXECUTE, 1, 0, 0, 0][..], &flags.to_le_bytes(), rest].concat();
    let mut sent = |bound: &mut Option<Arc<[u8]>>, payload: &[u8]| {
        let mut out = BytesMut::new();
        let capabilities = Capabilities::MARIADB_STMT_BULK_OPERATIONS;
        let execution = Execution { capabilities, opens_cursor: false, limit: 1000, number: 9, bound };
        statements.put_execution(1, execution, payload, &mut out).map(|()| out.get(wire::HEADER..).unwrap_or_default().to_vec())
    };
    let (values, numbered) = (b"\0\x05".as_slice(), |flags: u8, rest: &[u8]| [&[0xfa, 9, 0, 0, 0, flags, 0][..], rest].concat());
    let with_types = [&TEXT[..], values].concat();
    let (mut here, mut there) = (None, None);
    assert_eq!(sent(&mut here, &bulk(0xc0, &with_types)), Ok(numbered(0xc0, &with_types)));
    assert_eq!(sent(&mut here, &bulk(0x40, values)), Ok(numbered(0x40, values)));
    assert_eq!(sent(&mut there, &bulk(0x40, values)), Ok(numbered(0xc0, &with_types)));
    assert_eq!(sent(&mut there, &bulk(0x40, values)), Ok(numbered(0x40, values)));
    assert!(sent(&mut here, &bulk(0x80, b"\x05")).is_err());
}

fn has_types(packets: &[u8], types: [u8; 2]) -> bool {
    packets.windows(3).any(|window| window == [1, types[0], types[1]])
}

#[test]
fn a_number_in_use_is_not_given_again() {
    let mut statements = with_one("SELECT 1", 0);
    assert_eq!(statements.next_id(), 2);
    statements.last_id = u32::MAX - 1;
    // Neither the number for the last one, nor 0, which MySQL uses for "none", nor 1, which is taken.
    assert_eq!(statements.next_id(), 2);
    statements.last_id = 0;
    assert_eq!(statements.next_id(), 2);
    assert!(statements.remove(1).is_some() && statements.remove(1).is_none());
    statements.last_id = 0;
    assert_eq!(statements.next_id(), 1);
}

#[test]
fn count_and_bytes_are_limited_and_given_back() {
    let mut statements = with_one("SELECT 1", 0);
    assert!(statements.has_room(2, 2, 10) && !statements.has_room(3, 2, 10) && !statements.has_room(0, 1, 10));
    assert!(!statements.has_room(usize::MAX, 2, usize::MAX - 1));
    statements.remove(1);
    assert!(statements.has_room(10, 1, 10));
    assert_eq!(statements.kept_bytes, 0);
}

/// Another execution of it would close the cursor.
#[test]
fn a_text_with_a_cursor_is_shared_with_no_other_statement() {
    let text = PreparedText::new(b"SELECT 1".as_slice().into(), Grammar::default());
    assert_ne!(text.for_cursor_of(1), text);
    assert_ne!(text.for_cursor_of(1), text.for_cursor_of(2));
    assert_eq!(text.for_cursor_of(1), text.for_cursor_of(1));
}

#[test]
fn texts_are_compared_and_questions_are_remembered() {
    let statements = with_one("SELECT 1", 0);
    let text = |sql: &str| PreparedText::new(sql.as_bytes().into(), Grammar::default());
    assert!(statements.has(&text("SELECT 1")) && !statements.has(&text("SELECT 2")));
    assert!(!statements.ask_about_previous());
    assert!(with_one("SELECT ROW_COUNT()", 0).ask_about_previous());
}

#[test]
fn long_data_is_joined_by_parameter_and_goes_before_the_execution() {
    let mut statements = with_one("INSERT INTO t VALUES (?)", 1);
    for (parameter, data) in [(0, "ab"), (1, "x"), (0, "cd")] {
        statements.add_long_data(1, parameter, data.as_bytes(), 100);
    }
    let one = statements.get(1).unwrap();
    assert!(one.has_long_data(0) && one.has_long_data(1) && !one.has_long_data(2) && !one.is_too_long());
    let packets = sent(&mut statements, &mut None, 100, &execute(Some(TEXT), b"")).unwrap();
    assert_eq!(&packets[..15], [11, 0, 0, 0, wire::COM_STMT_SEND_LONG_DATA, 9, 0, 0, 0, 0, 0, b'a', b'b', b'c', b'd']);
    assert_eq!(&packets[15..27], [8, 0, 0, 0, wire::COM_STMT_SEND_LONG_DATA, 9, 0, 0, 0, 1, 0, b'x']);
    assert_eq!(packets[31], wire::COM_STMT_EXECUTE);
    assert!(statements.forget_long_data(1) && !statements.get(1).unwrap().has_long_data(0));
    assert_eq!(statements.long_data_bytes, 0);
    assert!(!statements.forget_long_data(2));
}

#[test]
fn too_much_long_data_is_discarded_and_remembered() {
    let mut statements = with_one("INSERT INTO t VALUES (?)", 1);
    statements.add_long_data(1, 0, b"12345", 5);
    assert!(!statements.get(1).unwrap().is_too_long());
    statements.add_long_data(1, 0, b"6", 5);
    assert!(statements.get(1).unwrap().is_too_long());
    statements.add_long_data(1, 0, b"7", 5);
    statements.add_long_data(2, 0, b"8", 5);
    assert_eq!(statements.long_data_bytes, 0);
    assert!(statements.forget_long_data(1) && !statements.get(1).unwrap().is_too_long());
    statements.add_long_data(1, 0, b"12345", 5);
    statements.remove(1);
    assert_eq!(statements.long_data_bytes, 0);
}

#[test]
fn types_that_a_client_sends_once_reach_every_server_connection() {
    let mut statements = with_one("SELECT ?", 1);
    let (mut here, mut there) = (None, None);
    let value = 7_u64.to_le_bytes();
    assert!(has_types(&sent(&mut statements, &mut here, 100, &execute(Some(NUMBER), &value)).unwrap(), NUMBER));
    assert_eq!((here.as_deref(), statements.get(1).unwrap().types()), (Some(&NUMBER[..]), Some(&NUMBER[..])));
    let again = execute(None, &value);
    assert!(!has_types(&sent(&mut statements, &mut here, 100, &again).unwrap(), NUMBER), "known there");
    assert!(has_types(&sent(&mut statements, &mut there, 100, &again).unwrap(), NUMBER), "not known there");
    // After other types were bound elsewhere, the first connection needs them again.
    sent(&mut statements, &mut there, 100, &execute(Some(TEXT), b"\x01a")).unwrap();
    assert!(has_types(&sent(&mut statements, &mut here, 100, &execute(None, b"\x01a")).unwrap(), TEXT));
}

#[test]
fn types_count_against_the_limit_of_a_session() {
    let mut statements = with_one("SELECT ?", 1);
    let value = 7_u64.to_le_bytes();
    assert!(sent(&mut statements, &mut None, 9, &execute(Some(NUMBER), &value)).is_err());
    assert!(sent(&mut statements, &mut None, 10, &execute(Some(NUMBER), &value)).is_ok());
    assert!(sent(&mut statements, &mut None, 10, &execute(Some(TEXT), b"\x01a")).is_ok(), "in place of the former");
    assert_eq!(statements.kept_bytes, 10);
    statements.remove(1);
    assert_eq!(statements.kept_bytes, 0);
}

#[test]
fn a_cursor_is_requested_only_if_one_has_to_be_opened() {
    let mut statements = with_one("SELECT 1", 0);
    let payload = [wire::COM_STMT_EXECUTE, 1, 0, 0, 0, 1, 1, 0, 0, 0];
    for opens_cursor in [false, true] {
        let (mut out, mut bound) = (BytesMut::new(), None);
        let execution = Execution { capabilities: Capabilities::empty(), opens_cursor, limit: 100, number: 9, bound: &mut bound };
        statements.put_execution(1, execution, &payload, &mut out).unwrap();
        assert_eq!(out[9], u8::from(opens_cursor));
    }
}

#[test]
fn a_malformed_execution_is_refused() {
    let mut statements = with_one("SELECT ?", 1);
    assert!(sent(&mut statements, &mut None, 100, &[wire::COM_STMT_EXECUTE, 1]).is_err());
    assert!(sent(&mut statements, &mut None, 100, b"\x0e").is_err());
    assert!(sent(&mut statements, &mut None, 100, &execute(Some(NUMBER), b"")[..11]).is_err());
    statements.remove(1);
    assert!(sent(&mut statements, &mut None, 100, &execute(Some(NUMBER), &[0; 8])).is_err());
}

#[test]
fn a_verdict_is_given_again_when_knowledge_grows() {
    let classifier = classifier();
    let mut statement = prepared("SELECT f(1)", 0, &classifier);
    let before = statement.verdict(&classifier);
    assert_eq!(before.placement(), Placement::Primary);
    assert!(Arc::ptr_eq(&before, &statement.verdict(&classifier)), "nothing new is known");
    let function = Definition::Function { name: "f".into(), body: Some("RETURN 1".into()), sql_mode: "".into() };
    classifier.knowledge().learn_catalogue(Catalogue::new(Dialect::MySql, &[function]), 0);
    assert_eq!(statement.verdict(&classifier).placement(), Placement::Replica);
    assert_eq!((statement.params(), statement.context().schema), (0, None));
}

#[test]
fn a_statement_is_read_as_when_it_was_prepared() {
    let grammar = crate::SessionState::new(crate::LoginDetails::default(), Some(b"shop")).grammar();
    let text = Arc::new(PreparedText::new(b"SELECT ?, ?".as_slice().into(), grammar));
    let verdict = Arc::new(classifier().classify(text.sql(), &READING.context(None)));
    let mut statements = ClientStatements::default();
    statements.add(1, Prepared::new(text, READING, (verdict, 0), 2, ()));
    let found = statements.get_mut(1).expect("a statement");
    assert_eq!((found.params(), found.context().schema), (2, Some("shop")));
    assert!(statements.get_mut(2).is_none());
}
