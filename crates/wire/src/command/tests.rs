use super::*;

const NONE: Capabilities = Capabilities::empty();
const ATTRIBUTES: Capabilities = Capabilities::QUERY_ATTRIBUTES;

/// The parameters of an execution that ends with `rest`, of a peer without query attributes.
fn split(rest: &[u8], params: u16) -> Result<Parameters<'_>, Malformed> {
    execute_parameters(&Execute { statement_id: 1, flags: 0, iterations: 1, rest }, params, NONE)
}

fn check(payload: &[u8], expect: Command<'_>) {
    assert_eq!(Command::parse(payload, NONE), Ok(expect));
}

#[test]
fn commands_borrow_what_follows_their_byte() {
    check(&[0x01], Command::Quit);
    check(b"\x02shop", Command::InitDb(b"shop"));
    check(b"\x03SELECT 1", Command::Query { sql: b"SELECT 1", attributes: Attributes::default() });
    check(b"\x03", Command::Query { sql: b"", attributes: Attributes::default() });
    check(&[0x09], Command::Statistics);
    check(&[0x0e], Command::Ping);
    check(b"\x16SELECT ?", Command::Prepare(b"SELECT ?"));
    check(&[0x19, 1, 0, 0, 0], Command::CloseStatement(1));
    check(&[0x1a, 0, 0, 0, 1], Command::ResetStatement(1 << 24));
    check(&[0x1f], Command::ResetConnection);
    check(b"\x11app\0\0\0", Command::ChangeUser);
    check(&[0x15, 1, 0, 0, 0], Command::RegisterReplica);
    check(&[0x12, 4, 0, 0, 0], Command::BinlogDump);
    check(&[0x1e, 0, 0], Command::BinlogDump);
    check(&[0x18, 1, 0, 0, 0, 2, 0, 7, 8], Command::SendLongData { statement_id: 1, parameter: 2, data: &[7, 8] });
    check(&[0x1c, 1, 0, 0, 0, 0, 1, 0, 0], Command::Fetch { statement_id: 1, rows: 256 });
    check(&[0x1b, 0, 0], Command::SetOption(MULTI_STATEMENTS_ON));
    check(&[0x1b, 1, 0], Command::SetOption(MULTI_STATEMENTS_OFF));
    check(&[0x1b, 0, 1], Command::SetOption(256));
    check(b"\x04t\0a%", Command::FieldList { table: b"t", columns: b"a%" });
    check(b"\x04t\0", Command::FieldList { table: b"t", columns: b"" });
    check(b"\x04t", Command::FieldList { table: b"t", columns: b"" });
    check(&[0x0c, 1, 2, 0, 0], Command::ProcessKill(513));
    check(&[0x0a], Command::ProcessInfo);
    check(&[0x0d], Command::Debug);
    check(&[0x07, 4], Command::Refresh(4));
    check(&[0x07], Command::Refresh(0));
}

#[test]
fn every_other_byte_is_another_command() {
    let known = [1, 2, 3, 4, 7, 9, 10, 12, 13, 14, 0x11, 0x12, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1e, 0x1f];
    for byte in (0..=u8::MAX).filter(|byte| !known.contains(byte)) {
        check(&[byte, 1, 2], Command::Other(byte));
    }
}

#[test]
fn a_bulk_execution_is_one_only_where_it_was_negotiated_and_comes_back_as_it_was() {
    let payload = b"\xfa\x07\0\0\0\xc0\0\x03\0\x0f\0\0\x01\0\0\0\0\x01a";
    check(payload, Command::Other(0xfa));
    let Ok(Command::BulkExecute(bulk)) = Command::parse(payload, Capabilities::MARIADB_STMT_BULK_OPERATIONS) else {
        panic!("not a bulk execution");
    };
    let (types, values) = bulk.parameters(2).unwrap();
    assert_eq!((bulk.statement_id, types), (7, Some(&b"\x03\0\x0f\0"[..])));
    assert!(bulk.parameters(20).is_err());
    let put = |types| {
        let mut out = BytesMut::new();
        put_bulk_execute(&mut out, 9, bulk.flags, types, values);
        out
    };
    assert_eq!(&put(types)[..], [&b"\xfa\x09"[..], &payload[2..]].concat());
    // Without types, the flag says so.
    let without = [&b"\xfa\x09\0\0\0\x40\0"[..], values].concat();
    assert_eq!(&put(None)[..], without);
    let Ok(Command::BulkExecute(bulk)) = Command::parse(&without, Capabilities::MARIADB_STMT_BULK_OPERATIONS) else {
        panic!("not a bulk execution");
    };
    assert_eq!(bulk.parameters(2), Ok((None, values)));
    for length in 1..7 {
        assert!(Command::parse(&payload[..length], Capabilities::MARIADB_STMT_BULK_OPERATIONS).is_err(), "{length}");
    }
}

#[test]
fn an_empty_packet_is_no_command() {
    assert!(Command::parse(&[], NONE).is_err());
}

#[test]
fn a_command_without_its_fields_is_malformed() {
    for whole in [
        &[0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0][..],
        &[0x18, 1, 0, 0, 0, 2, 0],
        &[0x19, 1, 0, 0, 0],
        &[0x1a, 1, 0, 0, 0],
        &[0x1c, 1, 0, 0, 0, 2, 0, 0, 0],
        &[0x1b, 0, 0],
        &[0x0c, 1, 0, 0, 0],
    ] {
        assert!(Command::parse(whole, NONE).is_ok());
        for cut in 1..whole.len() {
            assert!(Command::parse(&whole[..cut], NONE).is_err(), "{whole:?} {cut}");
        }
    }
}

#[test]
fn bytes_after_the_last_field_are_ignored() {
    check(&[0x0e, 0], Command::Ping);
    check(&[0x19, 1, 0, 0, 0, 9], Command::CloseStatement(1));
}

#[test]
fn an_execution_opens_a_cursor_by_one_of_its_three_flags() {
    for (flags, has_cursor) in [(0, false), (1, true), (2, false), (4, false), (7, true), (8, false), (9, true)] {
        let payload = [0x17, 5, 0, 0, 0, flags, 1, 0, 0, 0, 0xaa];
        let Ok(Command::Execute(execute)) = Command::parse(&payload, NONE) else { panic!() };
        assert_eq!((execute.statement_id, execute.iterations, execute.rest), (5, 1, &[0xaa][..]));
        assert_eq!((execute.has_cursor(), execute.cursor_flags()), (has_cursor, flags & 7));
    }
}

#[test]
fn parameters_are_split_at_bitmap_flag_and_types() {
    // Nine parameters: two bytes of bitmap, eighteen of types.
    let mut rest = vec![0b1, 0b1, 1];
    rest.extend([8; 18]);
    rest.extend(b"values");
    let parameters = split(&rest, 9).unwrap();
    assert_eq!(parameters.null_bitmap, [1, 1]);
    assert_eq!(parameters.types, Some(&[8; 18][..]));
    assert_eq!(parameters.values, b"values");
    for cut in 0..rest.len() - 6 {
        assert!(split(&rest[..cut], 9).is_err(), "{cut}");
    }
}

#[test]
fn types_may_be_those_of_the_execution_before() {
    let parameters = split(&[0, 0, 7, 7], 1).unwrap();
    assert_eq!(parameters.types, None);
    assert_eq!(parameters.values, [7, 7]);
}

#[test]
fn without_parameters_the_rest_does_not_matter() {
    for rest in [&[][..], &[0], &[1, 2, 3]] {
        assert_eq!(split(rest, 0), Ok(Parameters::default()));
    }
}

#[test]
fn the_largest_count_of_parameters_does_not_overflow() {
    let rest = vec![1; 8192 + 1 + 2 * 65535];
    assert!(split(&rest, u16::MAX).is_ok());
    assert!(split(&rest[1..], u16::MAX).is_err());
}

#[test]
fn an_execution_is_rewritten_with_another_id_and_the_types_it_needs() {
    let rest = [0b10, 1, 3, 0, 6, 0, 9, 9, 9, 9];
    let with_types = split(&rest, 2).unwrap();
    let without_types = Parameters { types: None, ..with_types };
    let remembered: &[u8] = &[8, 0x80, 6, 0];
    let check = |parameters: &Parameters<'_>, types, expect: &[u8]| {
        let mut out = BytesMut::new();
        put_execute(&mut out, 7, 0, Some((parameters, types)));
        let Ok(Command::Execute(execute)) = Command::parse(&out, NONE) else { panic!() };
        assert_eq!((execute.statement_id, execute.flags, execute.iterations), (7, 0, 1));
        assert_eq!(execute.rest, expect);
    };
    check(&with_types, None, &rest);
    check(&with_types, Some(remembered), &[0b10, 1, 8, 0x80, 6, 0, 9, 9, 9, 9]);
    check(&without_types, Some(remembered), &[0b10, 1, 8, 0x80, 6, 0, 9, 9, 9, 9]);
    check(&without_types, None, &[0b10, 0, 9, 9, 9, 9]);
}

#[test]
fn an_execution_without_parameters_ends_after_its_count() {
    let empty = Parameters::default();
    for parameters in [None, Some((&empty, None)), Some((&empty, Some(&[][..])))] {
        let mut out = BytesMut::new();
        put_execute(&mut out, 1, 0, parameters);
        assert_eq!(&out[..], [0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0]);
    }
}

#[test]
fn an_execution_is_rewritten_with_the_cursor_that_it_asks_for() {
    for flags in 0..=u8::MAX {
        let mut out = BytesMut::new();
        put_execute(&mut out, 7, flags, None);
        let Ok(Command::Execute(execute)) = Command::parse(&out, NONE) else { panic!() };
        assert_eq!(execute.flags, flags & 7, "nothing but the cursor");
    }
}

/// Names and text values.
fn seen<'a>(attributes: &Attributes<'a>) -> Vec<(&'a [u8], Option<&'a [u8]>)> {
    let mut seen = Vec::new();
    attributes.each(|_| false, |name, value| seen.push((name, value))).unwrap();
    seen
}

#[test]
fn a_query_may_have_attributes_in_front_of_its_text() {
    let parse = |payload| match Command::parse(payload, ATTRIBUTES) {
        Ok(Command::Query { sql, attributes }) => Ok((sql, attributes)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let (sql, attributes) = parse(b"\x03\x00\x01SELECT 1").unwrap();
    assert_eq!((sql, seen(&attributes)), (&b"SELECT 1"[..], vec![]));

    // A text, NULL, an integer of four bytes, a date of four.
    let payload = b"\x03\x04\x01\x02\x01\xfe\x00\x07primary\xfe\x00\x01n\x03\x00\x01i\x0a\x00\x01d\x03yes\x01\x02\x03\x04\x04\xe7\x07\x01\x02SELECT 2";
    let (sql, attributes) = parse(payload).unwrap();
    assert_eq!(sql, b"SELECT 2");
    assert_eq!(seen(&attributes), [(&b"primary"[..], Some(&b"yes"[..])), (b"n", None), (b"i", None), (b"d", None)]);
    for cut in 1..payload.len() - 8 {
        assert!(parse(&payload[..cut]).is_err(), "{cut}");
    }
    for bad in [
        &b"\x03\x01\x02"[..],
        b"\x03\x01\x01\x00\x00",
        b"\x03\xfd\xff\xff\xff\x01\x00",
        b"\x03\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
}

/// What the value of one attribute of this type takes from `values`; the rest is the statement.
fn taken(kind: u16, values: &[u8]) -> Option<usize> {
    let [low, high] = kind.to_le_bytes();
    let payload = [&[0x03, 1, 1, 0, 1, low, high, 1, b'n'][..], values].concat();
    match Command::parse(&payload, ATTRIBUTES) {
        Ok(Command::Query { sql, .. }) => Some(values.len() - sql.len()),
        Ok(other) => panic!("{other:?}"),
        Err(_) => None,
    }
}

#[test]
fn every_number_that_is_no_fixed_type_is_that_of_a_text() {
    let values = b"\x04abcdefghijklmnopqrst";
    for kind in 0..=u16::MAX {
        let expected = match kind & 0x7fff {
            1 => Some(1),
            2 => Some(2),
            3 | 4 => Some(4),
            5 | 8 => Some(8),
            // A TIME has no length of four, and a BOOL does not exist.
            0x0b | 0xf4 => None,
            _ => Some(5),
        };
        assert_eq!(taken(kind, values), expected, "{kind:#x}");
    }
}

#[test]
fn dates_and_times_have_few_lengths() {
    let lengths: &[(u16, &[u8])] =
        &[(0x07, &[0, 4, 7, 11, 13]), (0x0c, &[0, 4, 7, 11, 13]), (0x0a, &[0, 4]), (0x0b, &[0, 8, 12]), (0x800b, &[0, 8, 12])];
    for &(kind, lengths) in lengths {
        for length in 0..=u8::MAX {
            let values = [&[length][..], &[b'a'; 300]].concat();
            let expected = lengths.contains(&length).then(|| usize::from(length) + 1);
            assert_eq!(taken(kind, &values), expected, "{kind:#x} of {length}");
        }
    }
    assert_eq!(taken(0x07, b"\xfc\x04\x00abcdefgh"), Some(7), "a length in a longer form");
}

#[test]
fn an_execution_may_have_attributes_after_its_parameters() {
    // One parameter, an integer, and the attribute max_lag.
    let rest = b"\x02\x00\x01\x03\x00\x00\xfe\x00\x07max_lag\x05\x00\x00\x00\x032ms";
    let execute = Execute { statement_id: 1, flags: 8, iterations: 1, rest };
    let parameters = execute_parameters(&execute, 1, ATTRIBUTES).unwrap();
    assert_eq!(parameters.count, Some(2));
    let attributes = parameters.attributes(1, parameters.types);
    assert_eq!(seen(&attributes), [(&b"max_lag"[..], Some(&b"2ms"[..]))]);
    for cursor in [0, 1, 7] {
        let mut out = BytesMut::new();
        put_execute(&mut out, 9, cursor, Some((&parameters, None)));
        assert_eq!(&out[..10], [0x17, 9, 0, 0, 0, 8 | cursor, 1, 0, 0, 0]);
        assert_eq!(&out[10..], rest);
    }

    // The parameter was sent ahead.
    let rest = b"\x02\x00\x01\xfe\x00\x00\xfe\x00\x07max_lag\x032ms";
    let parameters = execute_parameters(&Execute { rest, ..execute }, 1, ATTRIBUTES).unwrap();
    let mut seen = Vec::new();
    parameters.attributes(1, parameters.types).each(|index| index == 0, |name, value| seen.push((name, value))).unwrap();
    assert_eq!(seen, [(&b"max_lag"[..], Some(&b"2ms"[..]))]);

    // A statement without parameters, with and without the flag.
    let none = Execute { rest: b"", flags: 0, ..execute };
    assert_eq!(execute_parameters(&none, 0, ATTRIBUTES), Ok(Parameters::default()));
    let empty = Execute { rest: b"\x00", ..execute };
    assert_eq!(execute_parameters(&empty, 0, ATTRIBUTES).unwrap().count, Some(0));
    assert!(execute_parameters(&empty, 1, ATTRIBUTES).is_err());
}

#[test]
fn a_query_of_our_own_has_no_attributes() {
    for capabilities in [NONE, ATTRIBUTES] {
        let mut out = BytesMut::new();
        put_query(&mut out, capabilities, &[b"SELECT ", b"1"]);
        let expect = Command::Query { sql: b"SELECT 1", attributes: Attributes::default() };
        assert_eq!(Command::parse(&out, capabilities), Ok(expect));
    }
}

/// The flag says so only of a statement without parameters.
#[test]
fn a_statement_with_parameters_has_their_number_wherever_attributes_were_negotiated() {
    let execute = |flags| Execute { statement_id: 1, flags, iterations: 1, rest: &[1, 0, 0, 7] };
    let count = |flags, params| execute_parameters(&execute(flags), params, ATTRIBUTES).map(|parameters| parameters.count);
    assert_eq!(count(0, 1), Ok(Some(1)));
    assert_eq!(count(PARAMETER_COUNT_AVAILABLE, 0), Ok(Some(1)));
    assert_eq!(count(0, 0), Ok(None));
}
