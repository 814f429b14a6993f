use super::*;

const TRACK: Capabilities = Capabilities::SESSION_TRACK.union(Capabilities::PROTOCOL_41);
const PLAIN: Capabilities = Capabilities::PROTOCOL_41;

fn encoded(ok: &OkPacket<'_>, header: u8, capabilities: Capabilities) -> Vec<u8> {
    let mut out = BytesMut::new();
    ok.encode(header, capabilities, &mut out);
    out.to_vec()
}

fn ok() -> OkPacket<'static> {
    OkPacket {
        affected_rows: 300,
        last_insert_id: 7,
        status: StatusFlags::AUTOCOMMIT | StatusFlags::SESSION_STATE_CHANGED,
        warnings: 2,
        info: b"Rows matched: 1",
        session_state: b"\x01\x05\x04shop",
    }
}

#[test]
fn an_ok_comes_back_as_it_was_under_both_headers() {
    for header in [OK_HEADER, EOF_HEADER] {
        let payload = encoded(&ok(), header, TRACK);
        assert_eq!(payload[0], header);
        assert_eq!(OkPacket::decode(&payload, TRACK), Ok(ok()));
    }
}

#[test]
fn the_shortest_ok_has_seven_bytes() {
    let payload = encoded(&OkPacket::default(), OK_HEADER, TRACK);
    assert_eq!(payload, [0; 7]);
    assert_eq!(OkPacket::decode(&payload, TRACK), Ok(OkPacket::default()));
    for cut in 0..payload.len() {
        assert!(OkPacket::decode(&payload[..cut], TRACK).is_err());
    }
}

#[test]
fn every_cut_of_an_ok_is_malformed_or_an_ok_without_its_end() {
    let payload = encoded(&ok(), OK_HEADER, TRACK);
    for cut in 0..payload.len() {
        if let Ok(found) = OkPacket::decode(&payload[..cut], TRACK) {
            let has_info = cut > 9;
            assert_eq!(found.info.is_empty(), !has_info, "{cut}");
            assert!(found.session_state.is_empty());
        }
    }
}

#[test]
fn a_peer_that_does_not_track_gets_neither_state_nor_its_flag() {
    let payload = encoded(&ok(), OK_HEADER, PLAIN);
    let expect = OkPacket { status: StatusFlags::AUTOCOMMIT, session_state: b"", ..ok() };
    assert_eq!(OkPacket::decode(&payload, PLAIN), Ok(expect));
}

#[test]
fn a_changed_state_may_be_empty() {
    let empty = OkPacket { info: b"", session_state: b"", ..ok() };
    let payload = encoded(&empty, OK_HEADER, TRACK);
    assert_eq!(payload[payload.len() - 2..], [0, 0]);
    assert_eq!(OkPacket::decode(&payload, TRACK), Ok(empty));
}

#[test]
fn state_is_read_where_the_flag_announces_it_and_something_is_there() {
    let state = |flag: StatusFlags, end: &[u8]| {
        let [low, high] = flag.bits().to_le_bytes();
        let payload = [&[0, 0, 0, low, high, 0, 0, 1, b'i'], end].concat();
        OkPacket::decode(&payload, TRACK).map(|ok| ok.session_state.to_vec())
    };
    let (announced, not_announced) = (StatusFlags::SESSION_STATE_CHANGED, StatusFlags::AUTOCOMMIT);
    assert_eq!(state(announced, b"\x03\x02\x011"), Ok(b"\x02\x011".to_vec()));
    assert_eq!(state(announced, b""), Ok(vec![]));
    assert_eq!(state(not_announced, b"\x03\x02\x011"), Ok(vec![]));
    assert_eq!(state(not_announced, b""), Ok(vec![]));
}

#[test]
fn state_that_no_flag_announces_is_not_written() {
    let silent = OkPacket { status: StatusFlags::AUTOCOMMIT, ..ok() };
    let payload = encoded(&silent, OK_HEADER, TRACK);
    assert_eq!(OkPacket::decode(&payload, TRACK).unwrap().session_state, b"");
}

#[test]
fn info_is_length_encoded_for_everybody_and_taken_as_it_is_where_it_is_not() {
    let payload = [0, 0, 0, 2, 0, 0, 0, 4, b't', b'e', b'x', b't'];
    for capabilities in [TRACK, PLAIN] {
        assert_eq!(OkPacket::decode(&payload, capabilities).unwrap().info, b"text");
    }
    let raw = [0, 0, 0, 2, 0, 0, 0, b't', b'e', b'x', b't'];
    assert_eq!(OkPacket::decode(&raw, PLAIN).unwrap().info, b"text");
    assert!(OkPacket::decode(&raw, TRACK).is_err());
}

#[test]
fn other_headers_are_no_ok() {
    for header in 1..=0xff_u8 {
        let is_ok = OkPacket::decode(&[header, 0, 0, 0, 0, 0, 0], TRACK).is_ok();
        assert_eq!(is_ok, header == EOF_HEADER);
    }
}

#[test]
fn an_eof_is_five_bytes_and_never_announces_state() {
    let eof = EofPacket {
        warnings: 258,
        status: StatusFlags::AUTOCOMMIT | StatusFlags::MORE_RESULTS | StatusFlags::SESSION_STATE_CHANGED,
    };
    let mut out = BytesMut::new();
    eof.encode(&mut out);
    assert_eq!(&out[..], [0xfe, 2, 1, 0x0a, 0]);
    let expect = EofPacket { status: StatusFlags::AUTOCOMMIT | StatusFlags::MORE_RESULTS, ..eof };
    assert_eq!(EofPacket::decode(&out), Ok(expect));
    for cut in 0..out.len() {
        assert!(EofPacket::decode(&out[..cut]).is_err());
    }
}

#[test]
fn nine_bytes_that_begin_with_0xfe_are_no_eof() {
    assert!(EofPacket::decode(&[0xfe, 0, 0, 0, 0, 0, 0, 0]).is_ok());
    assert!(EofPacket::decode(&[0xfe, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    assert!(EofPacket::decode(&[0, 0, 0, 0, 0]).is_err());
}

#[test]
fn ends_of_rows_translate_both_ways() {
    let eof = ok().to_eof();
    assert_eq!((eof.warnings, eof.status), (2, ok().status));
    assert_eq!(eof.to_ok().to_eof(), eof);
}

#[test]
fn an_error_has_a_class_with_and_without_its_mark() {
    let check = |payload: &[u8], code, sqlstate: &[u8; 5], message: &[u8]| {
        let expect = ErrPacket { code, sqlstate: *sqlstate, message };
        assert_eq!(ErrPacket::decode(payload), Ok(expect));
    };
    check(b"\xff\x15\x04#28000Access denied", 1045, b"28000", b"Access denied");
    check(b"\xff\x10\x04Too many connections", 1040, b"HY000", b"Too many connections");
    check(b"\xff\x10\x04", 1040, b"HY000", b"");
    check(b"\xff\x10\x04#2800", 1040, b"HY000", b"#2800");
    check(b"\xff\x10\x04#28000", 1040, b"28000", b"");
}

#[test]
fn an_error_comes_back_as_it_was_and_reads_well() {
    let owned = ErrOwned { code: 1290, sqlstate: *b"HY000", message: b"read only \xff".to_vec() };
    let mut out = BytesMut::new();
    owned.as_packet().encode(&mut out);
    let read = ErrPacket::decode(&out).unwrap();
    assert_eq!(read.to_owned(), owned);
    assert!(!read.is_progress());
    assert_eq!(owned.to_string(), "1290 (HY000): read only \u{fffd}");
}

#[test]
fn progress_is_no_error() {
    // stage 35 ('#') of 40: no SQLSTATE follows.
    let payload = b"\xff\xff\xff\x23\x28\x10\x27\x00\x04copy";
    let report = ErrPacket::decode(payload).unwrap();
    assert!(report.is_progress());
    assert_eq!(report.sqlstate, ErrPacket::GENERAL);
}

#[test]
fn an_error_without_code_is_malformed() {
    for payload in [&[][..], &[0xff], &[0xff, 1], &[0, 0, 0]] {
        assert!(ErrPacket::decode(payload).is_err());
    }
}

#[test]
fn a_prepared_statement_comes_back_as_it_was() {
    let prepared = PrepareOk { statement_id: 0x0102_0304, columns: 5, params: 6, warnings: 7 };
    let mut out = BytesMut::new();
    prepared.encode(&mut out);
    assert_eq!(&out[..], [0, 4, 3, 2, 1, 5, 0, 6, 0, 0, 7, 0]);
    assert_eq!(PrepareOk::decode(&out), Ok(prepared));
    for cut in (0..out.len()).filter(|&cut| cut != 9) {
        assert!(PrepareOk::decode(&out[..cut]).is_err(), "{cut}");
    }
    assert_eq!(PrepareOk::decode(&out[..9]).unwrap().warnings, 0);
    assert!(PrepareOk::decode(&[0xff; 12]).is_err());
}
