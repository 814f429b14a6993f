//! Responses as servers send them, fed whole, at every cut, and byte by byte.

use bytes::{BufMut, BytesMut};

use super::*;
use crate::packet::put_packet;
use crate::primitives::Put;
use crate::result::OkPacket;

const OLD: Capabilities = Capabilities::PROTOCOL_41;
const NEW: Capabilities = OLD.union(Capabilities::DEPRECATE_EOF).union(Capabilities::SESSION_TRACK);

/// The events of a response that do not depend on how its bytes arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// At this byte, a packet of this length is to be read.
    Read(usize, PacketKind, usize),
    /// Definitions end at this byte.
    DefinitionsEnd(usize),
    /// The response ends at this byte.
    Done(usize),
}

/// A response under construction, with the events that it must cause.
struct Recorded {
    expect: Expect,
    capabilities: Capabilities,
    bytes: BytesMut,
    events: Vec<Event>,
    sequence: u8,
}

impl Recorded {
    fn new(expect: Expect, capabilities: Capabilities) -> Self {
        Self { expect, capabilities, bytes: BytesMut::new(), events: Vec::new(), sequence: 1 }
    }

    fn read(mut self, kind: PacketKind, payload: &[u8]) -> Self {
        let at = self.bytes.len();
        self = self.pass(payload);
        self.events.push(Event::Read(at, kind, self.bytes.len() - at));
        self
    }

    fn pass(mut self, payload: &[u8]) -> Self {
        self.sequence = put_packet(&mut self.bytes, self.sequence, payload);
        self
    }

    fn columns(mut self, count: u8) -> Self {
        self = self.read(PacketKind::ColumnCount(count.into()), &[count]);
        self.definitions(count)
    }

    /// This many definitions and what follows them on this connection.
    fn definitions(mut self, count: u8) -> Self {
        for _ in 0..count {
            self = self.pass(b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0");
        }
        if self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            self.events.push(Event::DefinitionsEnd(self.bytes.len()));
            self
        } else {
            self.read(PacketKind::DefinitionsEof, &[0xfe, 0, 0, 2, 0])
        }
    }

    fn rows_end(self, status: StatusFlags) -> Self {
        let mut payload = BytesMut::new();
        if self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            ok_packet(status).encode(EOF_HEADER, self.capabilities, &mut payload);
        } else {
            EofPacket { warnings: 0, status }.encode(&mut payload);
        }
        self.read(PacketKind::RowsEnd, &payload)
    }

    fn ok(self, status: StatusFlags) -> Self {
        let mut payload = BytesMut::new();
        ok_packet(status).encode(OK_HEADER, self.capabilities, &mut payload);
        self.read(PacketKind::Ok, &payload)
    }

    fn err(self) -> Self {
        self.read(PacketKind::Err, b"\xff\x15\x04#28000Access denied")
    }

    fn prepared(self, columns: u16, params: u16) -> Self {
        let ok = PrepareOk { statement_id: 1, columns, params, warnings: 0 };
        let mut payload = BytesMut::new();
        ok.encode(&mut payload);
        self.read(PacketKind::PrepareOk(ok), &payload)
    }

    /// Feeds the response in these pieces (cuts of its bytes, ascending) and compares the events.
    fn feed(&self, cuts: impl IntoIterator<Item = usize>, shift: u8) {
        self.feed_numbered(cuts, shift, false);
    }

    /// `anew`: the packets come with numbers that mean nothing, and are numbered from 1 on.
    fn feed_numbered(&self, cuts: impl IntoIterator<Item = usize>, shift: u8, anew: bool) {
        let all = [&self.bytes[..], b"\x07\0\0\x01the next response"].concat();
        let ends = cuts.into_iter().chain([all.len()]).map(|cut| cut.min(all.len()));
        let mut fed = all.clone();
        let mut tracker = ResponseTracker::new(self.expect, self.capabilities);
        if anew {
            tracker.number_from(1);
            self.each_number(&mut fed, |number| number.wrapping_mul(7));
        }
        let mut events = Vec::new();
        let mut at = 0;
        let mut needed = 0;
        for end in ends {
            while end >= needed {
                let step = tracker.next(&mut fed[at..end], shift).unwrap();
                match step {
                    Step::Pass(length) => {
                        assert!(length > 0 && at + length <= end, "{step:?} at {at}");
                        at += length;
                    }
                    Step::Packet { kind, length } => {
                        events.push(Event::Read(at, kind, length));
                        at += length;
                    }
                    Step::DefinitionsEnd => events.push(Event::DefinitionsEnd(at)),
                    Step::NeedMore(total) => {
                        assert!(total > end - at, "{step:?} with {}", end - at);
                        assert!(at + total <= self.bytes.len(), "waits for bytes that never come");
                        needed = at + total;
                        continue;
                    }
                    Step::Done => {
                        events.push(Event::Done(at));
                        assert!(tracker.is_done());
                        assert_eq!(events, self.expected());
                        assert!(fed == self.shifted(&all, shift), "sequence numbers");
                        return;
                    }
                }
                needed = at;
            }
        }
        panic!("never done: {events:?}");
    }

    fn expected(&self) -> Vec<Event> {
        let mut events = self.events.clone();
        events.push(Event::Done(self.bytes.len()));
        events
    }

    /// The bytes with every sequence number of this response moved, and the next response as it was.
    fn shifted(&self, all: &[u8], shift: u8) -> Vec<u8> {
        let mut bytes = all.to_vec();
        self.each_number(&mut bytes, |number| number.wrapping_add(shift));
        bytes
    }

    /// Changes every sequence number of this response.
    fn each_number(&self, bytes: &mut [u8], change: impl Fn(u8) -> u8) {
        let mut at = 0;
        while at < self.bytes.len() {
            let header = Header::parse(&bytes[at..]).unwrap();
            bytes[at + 3] = change(header.sequence);
            at += HEADER + header.length as usize;
        }
    }

    fn check(self) {
        let length = self.bytes.len();
        for shift in [0, 1, 255] {
            self.feed([], shift);
            self.feed(0..length, shift);
            self.feed_numbered([], shift, true);
            self.feed_numbered(0..length, shift, true);
            // Every pair of cuts would be cubic; three apart shows the same.
            for cut in 0..length {
                self.feed([cut], shift);
                self.feed([cut, cut + 3], shift);
            }
        }
    }
}

fn ok_packet(status: StatusFlags) -> OkPacket<'static> {
    OkPacket { affected_rows: 70_000, status, info: b"info", session_state: b"\x01\x05\x04shop", ..OkPacket::default() }
}

/// The same response over a connection with EOF packets and over one without.
fn check(expect: Expect, build: impl Fn(Recorded) -> Recorded) {
    for capabilities in [OLD, NEW] {
        build(Recorded::new(expect, capabilities)).check();
    }
}

/// Checks that a response which no server sends is refused.
fn check_malformed(expect: Expect, capabilities: Capabilities, packets: &[&[u8]]) {
    let mut bytes = BytesMut::new();
    for payload in packets {
        put_packet(&mut bytes, 1, payload);
    }
    let mut tracker = ResponseTracker::new(expect, capabilities);
    let mut rest = &mut bytes[..];
    loop {
        match tracker.next(rest, 0) {
            Err(_) => return,
            Ok(Step::Pass(length) | Step::Packet { length, .. }) => rest = &mut rest[length..],
            Ok(Step::DefinitionsEnd) => {}
            Ok(step) => panic!("{step:?}"),
        }
    }
}

const IDLE: StatusFlags = StatusFlags::AUTOCOMMIT;
const CHANGED: StatusFlags = IDLE.union(StatusFlags::SESSION_STATE_CHANGED);
const MORE: StatusFlags = IDLE.union(StatusFlags::MORE_RESULTS);

#[test]
fn events_are_passed_on_until_they_end() {
    for capabilities in [OLD, NEW] {
        let events = || Recorded::new(Expect::Events, capabilities).pass(b"\0an event").pass(&[0; 300]);
        events().read(PacketKind::Text, b"\xfe\0\0\x02\0").check();
        events().read(PacketKind::Err, b"\xff\xd4\x04#HY000Could not find first log file name in binary log index file").check();
    }
}

#[test]
fn an_ok_or_an_error_is_a_whole_response() {
    for expect in [Expect::Query, Expect::Ok] {
        check(expect, |r| r.ok(IDLE));
        check(expect, |r| r.ok(CHANGED));
        check(expect, Recorded::err);
    }
    check(Expect::Prepare, Recorded::err);
    check(Expect::Text, Recorded::err);
}

#[test]
fn text_rows_are_passed_on_unread() {
    check(Expect::Query, |r| {
        r.columns(2).pass(b"\x011\x05hello").pass(b"\xfb\xfb").pass(b"\x00\x00").pass(b"\xfc\x00\x01rest").rows_end(CHANGED)
    });
}

#[test]
fn with_eof_packets_nine_bytes_that_begin_with_0xfe_are_a_row() {
    let start = || Recorded::new(Expect::Query, OLD).columns(1);
    start().pass(b"\xfe\x01\0\0\0\0\0\0\0").rows_end(IDLE).check();
    start().pass(&[0xfe; 300]).rows_end(IDLE).feed([], 0);
}

#[test]
fn a_result_may_have_no_rows() {
    check(Expect::Query, |r| r.columns(1).rows_end(IDLE));
}

#[test]
fn binary_rows_begin_like_an_ok_and_are_rows() {
    check(Expect::Query, |r| r.columns(1).pass(b"\x00\x00\x01\x00\x00\x00").pass(b"\x00\x04").rows_end(IDLE));
}

#[test]
fn results_follow_each_other_while_more_are_announced() {
    check(Expect::Query, |r| {
        r.columns(1).pass(b"\x011").rows_end(MORE).ok(MORE).columns(2).rows_end(MORE | StatusFlags::PS_OUT_PARAMS).ok(IDLE)
    });
}

const CURSOR: StatusFlags = IDLE.union(StatusFlags::CURSOR_EXISTS);

#[test]
fn an_open_cursor_ends_the_result_at_its_definitions() {
    for count in [1, 3] {
        check(Expect::Cursor, |mut r| {
            r = r.read(PacketKind::ColumnCount(count.into()), &[count]);
            for _ in 0..count {
                r = r.pass(b"\x03def...");
            }
            r.rows_end(CURSOR)
        });
    }
    check(Expect::Cursor, |r| r.columns(1).pass(b"\x00\x00\x01").rows_end(CURSOR));
    check(Expect::Cursor, |r| r.columns(1).pass(b"\x00\x00\x01").rows_end(MORE).ok(IDLE));
}

/// As the cursors of stored procedures are, which are open while the procedure sends its results.
#[test]
fn a_cursor_that_the_client_did_not_ask_for_ends_no_result_at_its_definitions() {
    let more = CURSOR | StatusFlags::MORE_RESULTS;
    check(Expect::Query, |r| {
        r.columns(1).rows_end(more).columns(2).rows_end(more).columns(1).pass(b"\x013").rows_end(more).ok(IDLE)
    });
}

#[test]
fn fetched_rows_come_without_definitions() {
    for status in [CURSOR, IDLE.union(StatusFlags::LAST_ROW_SENT), MORE, CHANGED] {
        check(Expect::Fetch, |r| r.rows_end(status));
        check(Expect::Fetch, |r| r.pass(b"\x00\x00\x01\x00\x00\x00").pass(b"\x00\x04").rows_end(status));
    }
    check(Expect::Fetch, Recorded::err);
    check(Expect::Fetch, |r| r.pass(b"\x00\x00\x01").err());
}

#[test]
fn the_columns_of_a_table_come_without_their_count() {
    let column = b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0\x017";
    check(Expect::FieldList, |r| r.rows_end(IDLE));
    check(Expect::FieldList, |r| r.pass(column).pass(column).rows_end(MORE));
    check(Expect::FieldList, Recorded::err);
    check(Expect::FieldList, |r| r.pass(column).err());
}

/// A SELECT list has no limit of 65,535.
#[test]
fn a_result_may_have_any_number_of_columns() {
    for count in [u64::from(u16::MAX) + 1, 1 << 24, u64::MAX] {
        let mut payload = Vec::new();
        payload.put_lenenc_int(count);
        for capabilities in [OLD, NEW] {
            Recorded::new(Expect::Query, capabilities).read(PacketKind::ColumnCount(count), &payload).err().check();
        }
    }
    for capabilities in [OLD, NEW] {
        let mut recorded = Recorded::new(Expect::Query, capabilities).read(PacketKind::ColumnCount(70_000), b"\xfd\x70\x11\x01");
        for _ in 0..70_000 {
            recorded = recorded.pass(b"\x03def");
        }
        recorded.definitions(0).pass(b"\x011").rows_end(IDLE).feed([5, 1000, 500_000], 1);
    }
}

/// Both servers count the columns of a prepared statement modulo 65,536 and then define all of them.
#[test]
fn what_was_not_counted_is_never_taken_for_the_next_response() {
    for expect in [Expect::Query, Expect::Prepare, Expect::Ok] {
        for capabilities in [OLD, NEW] {
            check_malformed(expect, capabilities, &[b"\x03def\x00\x00\x00\x011\x00\x0c?\x00\x02\x00\x00\x00"]);
        }
    }
    check_malformed(Expect::Prepare, OLD, &[&[0, 1, 0, 0, 0, 1, 0, 0, 0], b"\x03def", b"\x03def"]);
}

#[test]
fn an_error_ends_everything_wherever_it_comes() {
    check(Expect::Query, |r| r.columns(1).err());
    check(Expect::Query, |r| r.columns(1).pass(b"\x011").err());
    check(Expect::Query, |r| r.columns(1).rows_end(MORE).err());
    check(Expect::Query, |r| r.ok(MORE).err());
    for capabilities in [OLD, NEW] {
        let among_definitions = |r: Recorded| r.read(PacketKind::ColumnCount(2), &[2]).pass(b"\x03def...").err();
        among_definitions(Recorded::new(Expect::Query, capabilities)).check();
    }
    Recorded::new(Expect::Query, OLD).read(PacketKind::ColumnCount(1), &[1]).pass(b"\x03def...").err().check();
}

#[test]
fn a_progress_report_changes_nothing() {
    let report = b"\xff\xff\xff\x01\x02\x10\x27\x00\x04copy";
    check(Expect::Query, |r| r.pass(report).pass(report).ok(IDLE));
    check(Expect::Query, |r| r.pass(report).columns(1).pass(report).pass(b"\x011").rows_end(IDLE));
    check(Expect::Ok, |r| r.pass(report).err());
}

#[test]
fn prepared_statements_have_definitions_of_what_they_have() {
    check(Expect::Prepare, |r| r.prepared(0, 0));
    check(Expect::Prepare, |r| r.prepared(0, 2).definitions(2));
    check(Expect::Prepare, |r| r.prepared(3, 0).definitions(3));
    check(Expect::Prepare, |r| r.prepared(2, 1).definitions(1).definitions(2));
}

#[test]
fn a_request_for_a_file_is_followed_by_the_verdict() {
    check(Expect::Query, |r| r.read(PacketKind::LocalInfile, b"\xfb/etc/passwd").ok(IDLE));
    check(Expect::Query, |r| r.read(PacketKind::LocalInfile, b"\xfb/etc/passwd").err());
}

#[test]
fn statistics_are_any_text() {
    for text in [&b"Uptime: 1"[..], b"\x00", b"\xfe", b"\xfb"] {
        check(Expect::Text, |r| r.read(PacketKind::Text, text));
    }
}

#[test]
fn a_command_without_result_may_end_with_an_eof() {
    check(Expect::Ok, |r| r.rows_end(IDLE));
}

#[test]
fn only_one_ok_answers_a_command_without_result() {
    check(Expect::Ok, |r| r.ok(MORE));
}

#[test]
fn an_ok_with_a_large_state_is_read_whole() {
    let state = vec![b'x'; 70_000];
    let mut block = vec![0x63];
    block.put_lenenc_bytes(&state);
    let ok = OkPacket { session_state: &block, ..ok_packet(CHANGED) };
    let mut payload = BytesMut::new();
    ok.encode(EOF_HEADER, NEW, &mut payload);
    let recorded = Recorded::new(Expect::Query, NEW).columns(1).read(PacketKind::RowsEnd, &payload);
    for cut in [0, 50, 70, 1000, 70_100] {
        recorded.feed([cut], 0);
    }
}

/// With EOF packets, 0xFE begins an end of at most 8 bytes; without them, one of less than 16 MiB. A row that begins so has
/// a first value of 16 MiB or more.
#[test]
fn rows_of_16_mib_and_more_are_rows_whatever_they_begin_with() {
    for capabilities in [OLD, NEW] {
        for first in [0xfe, 0x00, 0xfd] {
            for length in [MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 1, 2 * MAX_PAYLOAD, 2 * MAX_PAYLOAD + 9] {
                if first == 0xfe && length < MAX_PAYLOAD {
                    continue;
                }
                let mut row = vec![0xff; length];
                row[0] = first;
                let start = Recorded::new(Expect::Query, capabilities).columns(1);
                let row_at = start.bytes.len();
                let recorded = start.pass(&row).pass(b"\x011").rows_end(IDLE);
                recorded.feed([], 3);
                // Around the headers of the row's packets, and inside.
                let split = row_at + HEADER + MAX_PAYLOAD;
                let around = (row_at..row_at + 7).chain(split - 2..split + 7);
                recorded.feed(around.chain([split + 1000]), 3);
                recorded.feed([row_at + HEADER], 0);
                recorded.feed([split], 0);
                recorded.feed([split + HEADER], 0);
            }
        }
    }
}

#[test]
fn the_rest_of_a_split_row_is_no_row_of_its_own() {
    for capabilities in [OLD, NEW] {
        let row = vec![b'a'; MAX_PAYLOAD + 9];
        let recorded = Recorded::new(Expect::Query, capabilities).columns(1).pass(&row).pass(b"\x011").rows_end(IDLE);
        recorded.feed([], 0);
    }
}

#[test]
fn definitions_can_be_split_too() {
    for capabilities in [OLD, NEW] {
        let mut recorded =
            Recorded::new(Expect::Query, capabilities).read(PacketKind::ColumnCount(1), &[1]).pass(&vec![3; MAX_PAYLOAD]);
        recorded = recorded.definitions(0);
        recorded.rows_end(IDLE).feed([9, MAX_PAYLOAD + 9, MAX_PAYLOAD + 11], 1);
    }
}

#[test]
fn a_long_row_is_passed_on_with_its_first_byte() {
    let mut bytes = Recorded::new(Expect::Query, NEW).columns(1).bytes;
    let at = bytes.len();
    bytes.put_slice(&[0, 0, 0x50, 9, 0xfd]);
    let mut tracker = ResponseTracker::new(Expect::Query, NEW);
    let mut rest = &mut bytes[..];
    let mut steps = Vec::new();
    for _ in 0..5 {
        let step = tracker.next(rest, 0).unwrap();
        if let Step::Pass(length) | Step::Packet { length, .. } = step {
            rest = &mut rest[length..];
        }
        steps.push(step);
    }
    assert_eq!(steps[2], Step::DefinitionsEnd);
    assert_eq!(steps[3], Step::Pass(5));
    assert_eq!(steps[4], Step::NeedMore(1));
    assert!(at > 0 && !tracker.is_done());
}

#[test]
fn packets_that_must_be_read_have_a_limit() {
    for (expect, packets) in [
        (Expect::Query, &[&[0x00][..]][..]),
        (Expect::Query, &[&[0xff]]),
        (Expect::Text, &[b"U"]),
        (Expect::Query, &[&[1], &[3], &[0xfe]]),
    ] {
        let mut bytes = BytesMut::new();
        let (last, before) = packets.split_last().unwrap();
        for payload in before {
            put_packet(&mut bytes, 1, payload);
        }
        let length = u32::try_from(MAX_TERMINAL).unwrap() + 1;
        Header { length, sequence: 1 }.put(&mut bytes);
        bytes.put_slice(last);
        let mut tracker = ResponseTracker::new(expect, NEW);
        let mut rest = &mut bytes[..];
        let error = loop {
            match tracker.next(rest, 0) {
                Err(error) => break error,
                Ok(Step::Pass(length) | Step::Packet { length, .. }) => rest = &mut rest[length..],
                Ok(Step::DefinitionsEnd) => {}
                Ok(step) => panic!("{step:?}"),
            }
        };
        assert!(error.what.contains("too long"), "{error}");
    }
}

#[test]
fn what_no_server_sends_is_malformed() {
    for capabilities in [OLD, NEW] {
        let malformed = |expect, packets: &[&[u8]]| check_malformed(expect, capabilities, packets);
        malformed(Expect::Query, &[&[]]);
        malformed(Expect::Query, &[&[0xfe, 0, 0, 2, 0]]);
        malformed(Expect::Query, &[&[0xfc, 0, 0]]);
        malformed(Expect::Query, &[&[0xfd, 0, 0, 0]]);
        malformed(Expect::Query, &[&[1, 1]]);
        malformed(Expect::Query, &[&[0, 0, 0, 2, 0, 0]]);
        malformed(Expect::Query, &[&[0xff, 1]]);
        malformed(Expect::Query, &[&[2], &[3], &[0xfe, 0, 0, 2, 0]]);
        malformed(Expect::Query, &[&[1], &[]]);
        malformed(Expect::Prepare, &[&[1]]);
        malformed(Expect::Prepare, &[&[0, 1, 0, 0, 0]]);
        malformed(Expect::Ok, &[&[1]]);
        malformed(Expect::Ok, &[&[0, 0]]);
        malformed(Expect::Ok, &[&[0xfe, 0]]);
        malformed(Expect::Text, &[&[]]);
        malformed(Expect::Fetch, &[&[]]);
        malformed(Expect::Fetch, &[&[0, 0], &[0xfe, 0]]);
        malformed(Expect::FieldList, &[&[3], &[]]);
        malformed(Expect::Query, &[&[1], &[3], &[0xfe]]);
    }
    check_malformed(Expect::Query, OLD, &[&[1], &[3], &[3]]);
    check_malformed(Expect::Query, OLD, &[&[1], &[3], &[0xfe, 0, 0, 2, 0], &[0xfe, 0]]);
    check_malformed(Expect::Query, OLD, &[&[1], &[3], &[0xfe, 0, 0, 2, 0], &[]]);
    check_malformed(Expect::Query, NEW, &[&[1], &[3], &[0xfe, 0, 0, 2, 0]]);
    check_malformed(Expect::Query, NEW, &[&[1], &[3], &[]]);
}

#[test]
fn the_last_sequence_number_is_the_shifted_one_of_the_packet_before() {
    let mut bytes = Recorded::new(Expect::Query, NEW).columns(2).pass(b"\x011").rows_end(IDLE).bytes;
    let mut tracker = ResponseTracker::new(Expect::Query, NEW);
    let mut rest = &mut bytes[..];
    let mut seen = Vec::new();
    loop {
        match tracker.next(rest, 254).unwrap() {
            Step::Pass(length) | Step::Packet { length, .. } => rest = &mut rest[length..],
            Step::DefinitionsEnd => {}
            Step::Done => break,
            step @ Step::NeedMore(_) => panic!("{step:?}"),
        }
        seen.push(tracker.last_sequence());
    }
    // The count, the definitions, their end, the row, the end.
    assert_eq!(seen, [255, 1, 1, 2, 3]);
}

#[test]
fn a_tracker_is_small() {
    assert!(size_of::<ResponseTracker>() <= 48);
}

/// What becomes of a response of which this much has arrived.
fn arrived(expect: Expect, capabilities: Capabilities, bytes: &[u8]) -> Result<Step, Malformed> {
    let (mut fed, mut at) = (bytes.to_vec(), 0);
    let mut tracker = ResponseTracker::new(expect, capabilities);
    loop {
        match tracker.next(&mut fed[at..], 0)? {
            Step::Pass(length) | Step::Packet { length, .. } => at += length,
            Step::DefinitionsEnd => {}
            last => return Ok(last),
        }
    }
}

#[test]
fn the_rows_of_the_present_result_are_counted() {
    let mut tracker = ResponseTracker::new(Expect::Query, OLD);
    let mut bytes = Recorded::new(Expect::Query, OLD).columns(1).pass(b"\x01a").pass(b"\x01b").pass(b"\x01c").bytes;
    assert_eq!(tracker.rows(), 0);
    let mut at = 0;
    while let Step::Pass(length) | Step::Packet { length, .. } = tracker.next(&mut bytes[at..], 0).unwrap() {
        at += length;
    }
    assert_eq!((tracker.rows(), at), (3, bytes.len()));
}

#[test]
fn an_empty_packet_has_no_place_among_definitions_and_rows() {
    let empty_after = |before: Recorded, capabilities| {
        let bytes = before.pass(b"").pass(b"\x01a").bytes;
        arrived(Expect::Query, capabilities, &bytes).is_err()
    };
    for capabilities in [OLD, NEW] {
        let query = || Recorded::new(Expect::Query, capabilities);
        assert!(empty_after(query().read(PacketKind::ColumnCount(1), &[1]), capabilities));
        assert!(empty_after(query().columns(1), capabilities));
        assert!(empty_after(query().columns(1).pass(b"\x01a"), capabilities));
    }
}

#[test]
fn only_an_execution_that_may_open_a_cursor_ends_with_its_definitions() {
    let end_of_definitions = [&[0xfe, 0, 0][..], &StatusFlags::CURSOR_EXISTS.bits().to_le_bytes()].concat();
    let after = |expect| {
        let response = Recorded::new(expect, OLD).read(PacketKind::ColumnCount(1), &[1]).pass(b"\x03def");
        arrived(expect, OLD, &response.pass(&end_of_definitions).bytes)
    };
    assert_eq!(after(Expect::Cursor), Ok(Step::Done));
    assert_eq!(after(Expect::Query), Ok(Step::NeedMore(HEADER)));
}

/// Else a row of 16 MiB would be buffered as a whole.
#[test]
fn a_long_row_is_no_sign_of_a_cursor_and_is_not_waited_for() {
    let mut bytes = Recorded::new(Expect::Cursor, NEW).columns(1).bytes;
    let length = u32::try_from(MAX_PAYLOAD).unwrap();
    Header { length, sequence: 4 }.put(&mut bytes);
    bytes.put_slice(&[0xfe, 0, 0, 0]);
    assert_eq!(arrived(Expect::Cursor, NEW, &bytes), Ok(Step::NeedMore(1)));
}

#[test]
fn a_packet_that_is_read_may_be_as_long_as_is_said() {
    let of_length = |length: usize| {
        let packet = [&[0, 0, 0, 2, 0, 0, 0][..], &vec![b' '; length - 7]].concat();
        arrived(Expect::Ok, OLD, &Recorded::new(Expect::Ok, OLD).pass(&packet).bytes)
    };
    assert_eq!(of_length(MAX_TERMINAL), Ok(Step::Done));
    assert!(of_length(MAX_TERMINAL + 1).is_err());
}
