use super::*;

fn changes(block: &[u8]) -> Vec<Result<StateChange<'_>, Malformed>> {
    state_changes(block).collect()
}

fn check(block: &[u8], expect: &[StateChange<'_>]) {
    let found: Result<Vec<_>, _> = state_changes(block).collect();
    assert_eq!(found.as_deref(), Ok(expect));
}

fn variable<'a>(name: &'a [u8], value: &'a [u8]) -> StateChange<'a> {
    StateChange::SystemVariable { name, value }
}

#[test]
fn an_empty_block_holds_nothing() {
    check(b"", &[]);
}

#[test]
fn mysql_reports_a_variable_per_entry() {
    check(
        b"\x00\x0f\x0aautocommit\x03OFF\x00\x0e\x08sql_mode\x04ANSI",
        &[variable(b"autocommit", b"OFF"), variable(b"sql_mode", b"ANSI")],
    );
}

#[test]
fn mariadb_reports_several_variables_in_one_entry() {
    check(
        b"\x00\x20\x0aautocommit\x02ON\x09last_gtid\x070-1-100\x01\x05\x04shop",
        &[variable(b"autocommit", b"ON"), variable(b"last_gtid", b"0-1-100"), StateChange::Schema(b"shop")],
    );
}

#[test]
fn gtids_come_without_their_encoding_and_length() {
    let uuid = b"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
    let mut block = vec![3, 42, 0, 40];
    block.extend_from_slice(uuid);
    check(&block, &[StateChange::Gtids(uuid)]);
}

#[test]
fn gtids_in_an_unknown_encoding_are_not_guessed() {
    let data = &[1, 2, b'x', b'y'];
    check(&[3, 4, 1, 2, b'x', b'y'], &[StateChange::Other { kind: 3, data }]);
}

#[test]
fn the_other_types_are_what_they_say() {
    check(b"\x01\x01\x00", &[StateChange::Schema(b"")]);
    // As the manuals have it, and as the servers send it.
    for (yes, no) in [(&b"\x02\x02\x011"[..], &b"\x02\x02\x010"[..]), (b"\x02\x011", b"\x02\x010")] {
        check(yes, &[StateChange::StateChanged(true)]);
        check(no, &[StateChange::StateChanged(false)]);
    }
    check(b"\x04\x01\x00", &[StateChange::TransactionCharacteristics(b"")]);
    check(
        b"\x04\x1d\x1cSTART TRANSACTION READ ONLY;",
        &[StateChange::TransactionCharacteristics(b"START TRANSACTION READ ONLY;")],
    );
    check(b"\x05\x09\x08T___W___", &[StateChange::TransactionState(b"T___W___")]);
}

#[test]
fn an_unknown_type_is_skipped_and_the_next_entry_is_read() {
    check(
        b"\x63\x03\x01\x02\x03\x01\x02\x01a",
        &[StateChange::Other { kind: 0x63, data: &[1, 2, 3] }, StateChange::Schema(b"a")],
    );
}

#[test]
fn an_entry_of_no_variables_is_no_change() {
    check(b"\x00\x00\x01\x02\x01a", &[StateChange::Schema(b"a")]);
}

#[test]
fn every_cut_ends_in_one_error_after_what_was_whole() {
    let block = b"\x00\x0f\x0aautocommit\x03OFF\x01\x05\x04shop";
    for cut in 0..block.len() {
        let found = changes(&block[..cut]);
        let whole = usize::from(cut >= 17);
        let is_clean = cut == 0 || cut == 17;
        assert_eq!(found.len(), whole + usize::from(!is_clean), "{cut}");
        assert_eq!(found.last().is_some_and(Result::is_err), !is_clean, "{cut}");
    }
}

#[test]
fn a_variable_that_reaches_beyond_its_entry_is_malformed() {
    let found = changes(b"\x00\x03\x01a\x05\x01\x05\x04shop");
    assert_eq!(found.len(), 1);
    assert!(found[0].is_err());
}

#[test]
fn entries_of_the_general_tracker_can_be_left_out() {
    let check = |block: &[u8], expect: &[u8]| assert_eq!(without_own_trackers(block, false).as_deref(), Ok(expect));
    check(b"", b"");
    check(b"\x02\x011", b"");
    check(b"\x01\x05\x04shop\x02\x011\x63\x00", b"\x01\x05\x04shop\x63\x00");
    assert!(without_own_trackers(b"\x01\x05\x04sho", false).is_err());
}

#[test]
fn gtids_can_be_left_out_in_the_way_of_either_server() {
    let check = |block: &[u8], expect: &[u8]| {
        assert_eq!(without_own_trackers(block, true).as_deref(), Ok(expect));
        assert_eq!(without_own_trackers(block, false).as_deref(), Ok(block));
    };
    check(b"\x03\x05\x00\x03u:1\x01\x05\x04shop", b"\x01\x05\x04shop");
    check(b"\x00\x10\x09last_gtid\x050-1-2", b"");
    check(b"\x00\x14\x01a\x01b\x09last_gtid\x050-1-2", b"\x00\x04\x01a\x01b");
    assert!(without_own_trackers(b"\x00\x03\x01a\x05", true).is_err());
}
