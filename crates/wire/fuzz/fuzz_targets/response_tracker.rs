//! A server's bytes, walked at once, byte by byte, and in pieces of a size that the input chooses: the same packets at the same
//! places, whatever they are. It never asks for less than it has, and never passes on more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::Capabilities;
use wire::packet::Header;
use wire::response::{Expect, PacketKind, ResponseTracker, Step};

#[derive(Debug, PartialEq)]
enum Event {
    Packet(usize, PacketKind, usize),
    DefinitionsEnd(usize),
    Done(usize),
    Malformed,
}

fuzz_target!(|data: &[u8]| {
    let Some((&[flags, shift, piece], bytes)) = data.split_first_chunk() else {
        return;
    };
    const ALL: [Expect; 7] =
        [Expect::Query, Expect::Prepare, Expect::Ok, Expect::Text, Expect::Fetch, Expect::FieldList, Expect::Cursor];
    let expect = ALL[usize::from(flags >> 1) % ALL.len()];
    let capabilities = if flags & 1 == 0 { Capabilities::empty() } else { Capabilities::DEPRECATE_EOF };
    let tracker = ResponseTracker::new(expect, capabilities);
    let (events, walked) = walk(tracker, bytes, bytes.len().max(1), shift);
    for piece in [1, usize::from(piece).max(1)] {
        let (others, as_well) = walk(tracker, bytes, piece, shift);
        assert_eq!(events, others);
        if events.last() != Some(&Event::Malformed) {
            assert_eq!(walked, as_well);
        }
    }
});

fn walk(mut tracker: ResponseTracker, bytes: &[u8], piece: usize, shift: u8) -> (Vec<Event>, Vec<u8>) {
    let mut bytes = bytes.to_vec();
    let mut events = Vec::new();
    let mut at = 0;
    let mut end = 0;
    let mut last = None;
    loop {
        let step = match tracker.next(&mut bytes[at..end], shift) {
            Ok(step) => step,
            Err(_) => {
                events.push(Event::Malformed);
                return (events, bytes);
            }
        };
        match step {
            Step::Pass(length) => {
                assert!(length > 0 && at + length <= end);
                at += length;
            }
            Step::Packet { kind, length } => {
                assert!(at + length <= end);
                let header = Header::parse(&bytes[at..]).unwrap();
                assert_eq!(length, header.length as usize + 4);
                assert_eq!(tracker.last_sequence(), header.sequence);
                events.push(Event::Packet(at, kind, length));
                at += length;
            }
            Step::DefinitionsEnd => events.push(Event::DefinitionsEnd(at)),
            Step::NeedMore(total) => {
                assert!(total > end - at);
                if end == bytes.len() {
                    return (events, bytes);
                }
                end = (end + piece).max(at + total).min(bytes.len());
            }
            Step::Done => {
                assert!(tracker.is_done());
                events.push(Event::Done(at));
                return (events, bytes);
            }
        }
        assert!(last != Some((at, end, step)), "no progress: {step:?}");
        last = Some((at, end, step));
    }
}
