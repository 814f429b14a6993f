//! Responses of real servers (`recorded/`), walked and read.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it expects"
)]

use bytes::BytesMut;
use wire::result::{EOF_HEADER, OK_HEADER};
use wire::{
    Capabilities, EofPacket, ErrPacket, Expect, HEADER, OkPacket, PacketKind, PrepareOk, ResponseTracker, StateChange, Step,
    state_changes,
};

const MYSQL: &str = include_str!("recorded/mysql-9.7.4.txt");
const MARIADB: &str = include_str!("recorded/mariadb-10.11.txt");

struct Recorded {
    expect: Expect,
    capabilities: Capabilities,
    command: String,
    packets: Vec<String>,
    bytes: Vec<u8>,
}

fn recorded(file: &str) -> Vec<Recorded> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let recorded: Vec<_> = lines.map(parse).collect();
    assert!(recorded.len() > 100);
    recorded
}

fn parse(line: &str) -> Recorded {
    let fields: Vec<_> = line.split(" | ").collect();
    let [expect, end, command, packets, hex] = fields[..] else { panic!("{line}") };
    Recorded {
        expect: match expect {
            "query" => Expect::Query,
            "execute" => Expect::Cursor,
            "prepare" => Expect::Prepare,
            "text" => Expect::Text,
            "fetch" => Expect::Fetch,
            "field_list" => Expect::FieldList,
            _ => Expect::Ok,
        },
        capabilities: match end {
            "new" => Capabilities::DEPRECATE_EOF | Capabilities::SESSION_TRACK,
            _ => Capabilities::empty(),
        },
        command: command.to_owned(),
        packets: packets.split(' ').map(str::to_owned).collect(),
        bytes: (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect(),
    }
}

/// Walks a response of which `piece` bytes more arrive whenever more are needed. Gives every packet to `read`.
fn walk(recorded: &Recorded, piece: usize, mut read: impl FnMut(PacketKind, &[u8])) {
    let mut tracker = ResponseTracker::new(recorded.expect, recorded.capabilities);
    let mut bytes = recorded.bytes.clone();
    let (mut at, mut end) = (0, 0);
    let mut packets = Vec::new();
    loop {
        match tracker.next(&mut bytes[at..end], 0).unwrap() {
            Step::Pass(length) => at += length,
            Step::Packet { kind, length } => {
                packets.push(format!("{kind:?}").split(['(', ' ']).next().unwrap().to_owned());
                read(kind, &bytes[at + HEADER..at + length]);
                at += length;
            }
            Step::DefinitionsEnd => packets.push("DefinitionsEnd".to_owned()),
            Step::NeedMore(needed) => {
                assert!(at + needed <= bytes.len(), "{}: waits for what never comes", recorded.command);
                end = (at + needed).max(end + piece).min(bytes.len());
            }
            Step::Done => break,
        }
    }
    assert_eq!((packets.as_slice(), at), (recorded.packets.as_slice(), bytes.len()), "{}", recorded.command);
}

#[test]
fn every_response_ends_where_the_server_ended_it() {
    for recorded in recorded(MYSQL).iter().chain(&recorded(MARIADB)) {
        for piece in [1, 2, 7, 64, usize::MAX >> 1] {
            walk(recorded, piece, |_, _| ());
        }
    }
}

#[test]
fn every_packet_that_is_read_writes_back_to_the_same_bytes() {
    for recorded in recorded(MYSQL).iter().chain(&recorded(MARIADB)) {
        walk(recorded, 1, |kind, payload| {
            let Some(again) = written(kind, payload, recorded.capabilities) else {
                return;
            };
            let mut expect = payload.to_vec();
            if expect.len() == 5 && expect[0] == EOF_HEADER {
                // Servers leave the flag for session state on in EOF packets, where no state can follow.
                expect[4] &= !0x40;
            }
            assert_eq!(again, expect, "{} {kind:?}", recorded.command);
        });
    }
}

fn written(kind: PacketKind, payload: &[u8], capabilities: Capabilities) -> Option<BytesMut> {
    let mut out = BytesMut::new();
    match kind {
        PacketKind::Ok => OkPacket::decode(payload, capabilities).unwrap().encode(OK_HEADER, capabilities, &mut out),
        PacketKind::RowsEnd if capabilities.contains(Capabilities::DEPRECATE_EOF) => {
            OkPacket::decode(payload, capabilities).unwrap().encode(EOF_HEADER, capabilities, &mut out);
        }
        PacketKind::RowsEnd | PacketKind::DefinitionsEof => EofPacket::decode(payload).unwrap().encode(&mut out),
        PacketKind::Err => ErrPacket::decode(payload).unwrap().encode(&mut out),
        PacketKind::PrepareOk(read) => {
            assert_eq!(PrepareOk::decode(payload), Ok(read));
            read.encode(&mut out);
        }
        PacketKind::ColumnCount(_) | PacketKind::LocalInfile | PacketKind::Text => return None,
    }
    Some(out)
}

/// What the trackers say after the command that begins with `command`, one line per change.
fn changes(file: &str, command: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let is_meant = |recorded: &&Recorded| {
        recorded.command.starts_with(command) && recorded.capabilities.contains(Capabilities::SESSION_TRACK)
    };
    let recorded = recorded(file);
    walk(recorded.iter().find(is_meant).unwrap(), 1, |kind, payload| {
        if let PacketKind::Ok | PacketKind::RowsEnd = kind {
            let ok = OkPacket::decode(payload, Capabilities::SESSION_TRACK).unwrap();
            lines.extend(state_changes(ok.session_state).map(|change| line(change.unwrap())));
        }
    });
    // The servers differ in the order of their trackers.
    lines.sort();
    lines
}

fn line(change: StateChange<'_>) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match change {
        StateChange::SystemVariable { name, value } => format!("{}={}", text(name), text(value)),
        StateChange::Schema(schema) => format!("schema {}", text(schema)),
        StateChange::StateChanged(changed) => format!("changed {changed}"),
        StateChange::Gtids(gtids) => format!("gtids {}", text(gtids)),
        StateChange::TransactionCharacteristics(sql) => format!("characteristics {}", text(sql)),
        StateChange::TransactionState(state) => format!("state {}", text(state)),
        StateChange::Other { kind, data } => format!("{kind} {data:?}"),
    }
}

#[test]
fn both_servers_track_schema_variables_and_transactions() {
    for file in [MYSQL, MARIADB] {
        assert_eq!(changes(file, "USE guestbook"), ["changed true", "schema guestbook"]);
        assert_eq!(changes(file, "SET autocommit=0"), ["autocommit=OFF", "changed true"]);
        assert_eq!(changes(file, "SET @x = 1"), ["changed true"]);
        assert_eq!(
            changes(file, "START TRANSACTION READ ONLY"),
            ["characteristics START TRANSACTION READ ONLY;", "state T_______"]
        );
        assert_eq!(changes(file, "SELECT 1"), [""; 0]);
    }
}

#[test]
fn gtids_come_by_their_own_tracker_from_mysql_and_as_a_variable_from_mariadb() {
    for command in ["INSERT INTO t VALUES (1,'one'),", "COMMIT", "CALL p()", "SELECT f()"] {
        let has = |file, prefix: &str| changes(file, command).iter().any(|line| line.starts_with(prefix));
        assert!(has(MYSQL, "gtids "), "{command}");
        assert!(has(MARIADB, "last_gtid=0-"), "{command}");
    }
}
