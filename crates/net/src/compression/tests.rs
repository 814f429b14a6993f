//! Frames of both sides, cut at random and spoiled.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Frame, frame, put_packet};

use super::*;
use crate::LinkError;

const ALGORITHMS: [Compression; 3] = [Compression::Zlib, Compression::ZSTD, Compression::Zstd { level: 22 }];

fn encoded(frames: &mut Frames, mut bytes: &[u8], is_file: bool) -> BytesMut {
    let mut out = BytesMut::new();
    while !bytes.is_empty() {
        let length = frames.encode(bytes, is_file, &mut out);
        bytes = &bytes[length..];
    }
    out
}

fn packets(payloads: &[Vec<u8>], first: u8) -> Vec<u8> {
    let mut out = BytesMut::new();
    payloads.iter().fold(first, |number, payload| put_packet(&mut out, number, payload));
    out.to_vec()
}

/// All that can be decoded, with what is left.
fn decoded(frames: &mut Frames, raw: &[u8]) -> Result<(Vec<u8>, Vec<u8>), LinkError> {
    let (mut raw, mut plain) = (BytesMut::from(raw), BytesMut::new());
    while let Decoded::Bytes(_) = frames.decode(&mut raw, &mut plain)? {}
    Ok((plain.to_vec(), raw.to_vec()))
}

/// The numbers and lengths of frames.
fn headers(mut raw: &[u8]) -> Vec<(u8, usize, usize)> {
    let mut headers = Vec::new();
    while let [l0, l1, l2, number, h0, h1, h2, rest @ ..] = raw {
        let (length, holds) = (u32::from_le_bytes([*l0, *l1, *l2, 0]), u32::from_le_bytes([*h0, *h1, *h2, 0]));
        headers.push((*number, length as usize, holds as usize));
        raw = &rest[length as usize..];
    }
    headers
}

fn stored(number: u8, bytes: &[u8]) -> Vec<u8> {
    let [l0, l1, l2, _] = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[l0, l1, l2, number, 0, 0, 0], bytes].concat()
}

#[test]
fn the_manuals_example_is_read() {
    let frame = b"\x22\0\0\0\x32\0\0\x78\x9c\xd3\x63\x60\x60\x60\x2e\x4e\xcd\x49\x4d\x2e\x51\x50\x32\x30\x34\x32\x36\x31\x35\x33\xb7\xb0\xc4\xcd\x52\x02\0\x0c\xd1\x0a\x6c";
    let (plain, left) = decoded(&mut Frames::new(Compression::Zlib, Role::Server), frame).unwrap();
    assert_eq!(plain, b"\x2e\0\0\0\x03select \"012345678901234567890123456789012345\"");
    assert!(left.is_empty());
}

#[test]
fn short_bytes_are_stored_and_long_ones_get_shorter() {
    for compression in ALGORITHMS {
        let mut frames = Frames::new(compression, Role::Client);
        let short = packets(&[vec![b'a'; 45]], 0);
        assert_eq!(&encoded(&mut frames, &short, false)[..], &stored(0, &short));
        let long = packets(&[vec![b'a'; 46]], 0);
        assert_eq!(headers(&encoded(&mut frames, &long, false))[0].2, 50);
        let noise: Vec<u8> = (0..10_000_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let sent = encoded(&mut frames, &packets(&[noise], 0), false);
        assert!(sent.len() <= 10_004 + 7, "{}", sent.len());
    }
}

#[test]
fn a_big_packet_goes_in_numbered_frames_and_comes_back() {
    let payload: Vec<u8> = (0..17_000_000_u32).map(|place| place.to_le_bytes()[1]).collect();
    for compression in [Compression::Zlib, Compression::ZSTD] {
        let (mut ours, mut theirs) = (Frames::new(compression, Role::Client), Frames::new(compression, Role::Server));
        let sent = packets(std::slice::from_ref(&payload), 0);
        let raw = encoded(&mut ours, &sent, false);
        let numbers: Vec<u8> = headers(&raw).iter().map(|header| header.0).collect();
        assert!(numbers.iter().zip(0..).all(|(number, place)| usize::from(*number) == place % 256) && numbers.len() == 260);
        assert!(raw.len() < sent.len() / 4);
        let (plain, left) = decoded(&mut theirs, &raw).unwrap();
        assert!(plain == sent && left.is_empty());
        assert_eq!(ours.answer_number(), 2);
        // The answer goes on from the last frame, modulo 256, and its packets from the same number.
        theirs.consumed();
        let answer = encoded(&mut theirs, &packets(&[vec![0; 7]], 2), false);
        assert_eq!(answer[..], stored(4, &packets(&[vec![0; 7]], 4)));
        assert_eq!(decoded(&mut ours, &answer).unwrap().0, packets(&[vec![0; 7]], 4));
    }
}

/// mysql-connector-python reads one frame more at most where a packet is not complete.
#[test]
fn a_client_gets_whole_packets_in_a_frame_and_the_largest_in_two() {
    let mut server = Frames::new(Compression::Zlib, Role::Server);
    let lengths = [10, 65_000, 1_000, 300_000, 5];
    let answer = packets(&lengths.map(|length| vec![b'a'; length]), 1);
    let raw = encoded(&mut server, &answer, false);
    let holds: Vec<usize> = headers(&raw).iter().map(|header| header.2.max(header.1)).collect();
    assert_eq!(holds, [65_018, 1_004, 300_004, 9]);
    // What is not complete waits.
    let mut out = BytesMut::new();
    for cut in [0, 3, 4, 100, answer.len() - 10] {
        let tail = &answer[14 + 65_004 + 1_004..];
        assert_eq!(server.encode(&tail[..cut.min(300_003)], false, &mut out), 0);
    }
    assert!(out.is_empty());
    let largest = packets(&[vec![b'a'; (1 << 24) + 5]], 1);
    let raw = encoded(&mut server, &largest, false);
    assert_eq!(headers(&raw).iter().map(|header| header.2.max(header.1)).collect::<Vec<_>>(), [(1 << 24) - 1, 4 + 4 + 6]);
}

#[test]
fn a_packet_has_the_number_of_its_frame_unless_it_goes_on_in_the_next() {
    let mut server = Frames::new(Compression::Zlib, Role::Server);
    let answer = [vec![b'a'; 5], vec![b'b'; 5], vec![b'c'; 5], vec![b'd'; 1 << 24]];
    let raw = encoded(&mut server, &packets(&answer, 1), false);
    let mut frames = Vec::new();
    let (mut raw, mut plain) = (BytesMut::from(&raw[..]), BytesMut::new());
    let mut client = Frames::new(Compression::Zlib, Role::Client);
    while let Decoded::Bytes(count) = client.decode(&mut raw, &mut plain).unwrap() {
        frames.push(plain[plain.len() - count + 3]);
    }
    // Three packets; the large one, with the number after theirs; four bytes and the last packet.
    assert_eq!((frames.len(), frames[0], frames[1]), (3, 0, 3));
    assert_eq!(plain[plain.len() - 5..], [1, 0, 0, 4, b'd']);
}

#[test]
fn each_command_has_frames_of_its_own() {
    let commands = [packets(&[b"one".to_vec()], 0), packets(&[vec![b'x'; 100]], 0), packets(&[b"three".to_vec()], 0)];
    let raw = encoded(&mut Frames::new(Compression::Zlib, Role::Client), &commands.concat(), false);
    assert_eq!(headers(&raw).iter().map(|header| (header.0, header.2)).collect::<Vec<_>>(), [(0, 0), (0, 104), (0, 0)]);
}

#[test]
fn a_file_goes_on_from_the_answer_whatever_its_packets_numbers() {
    let (mut ours, mut server) = (Frames::new(Compression::Zlib, Role::Client), Frames::new(Compression::Zlib, Role::Server));
    decoded(&mut server, &encoded(&mut ours, &packets(&[b"\x03LOAD DATA".to_vec()], 0), false)).unwrap();
    server.consumed();
    decoded(&mut ours, &encoded(&mut server, &packets(&[b"\xfbfile".to_vec()], 1), false)).unwrap();
    // A packet with number 0 begins no command here.
    for (number, payload) in [(2, &b"line"[..]), (0, b"line"), (9, b"")] {
        let raw = encoded(&mut ours, &packets(&[payload.to_vec()], number), true);
        assert_eq!(decoded(&mut server, &raw).unwrap().0.len(), payload.len() + 4);
    }
    server.consumed();
    let answer = encoded(&mut server, &packets(&[b"\0\0\0".to_vec()], 5), false);
    assert_eq!(answer[..], stored(5, &packets(&[b"\0\0\0".to_vec()], 5)));
    decoded(&mut ours, &answer).unwrap();
}

/// A client may send its next command before it has the answer to the present one.
#[test]
fn the_next_command_waits_and_does_not_disturb_the_numbers_of_the_answer() {
    let mut server = Frames::new(Compression::Zlib, Role::Server);
    let (first, second) = (packets(&[vec![b'a'; 30]], 0), packets(&[vec![b'b'; 30]], 0));
    let mut raw = BytesMut::from(&[stored(0, &first[..20]), stored(1, &first[20..]), stored(0, &second)].concat()[..]);
    let mut plain = BytesMut::new();
    assert_eq!(server.decode(&mut raw, &mut plain).unwrap(), Decoded::Bytes(20));
    assert_eq!(server.decode(&mut raw, &mut plain).unwrap(), Decoded::Bytes(14));
    assert_eq!(server.decode(&mut raw, &mut plain).unwrap(), Decoded::NextCommand);
    assert_eq!(plain, first);
    plain.clear();
    server.consumed();
    assert_eq!(headers(&encoded(&mut server, &packets(&[b"row".to_vec()], 1), false))[0].0, 2);
    assert_eq!(server.decode(&mut raw, &mut plain).unwrap(), Decoded::Bytes(second.len()));
    assert_eq!(headers(&encoded(&mut server, &packets(&[b"row".to_vec()], 2), false))[0].0, 3);
    server.consumed();
    assert_eq!(headers(&encoded(&mut server, &packets(&[b"ok".to_vec()], 1), false))[0].0, 1);
}

#[test]
fn numbers_that_are_not_due_are_refused() {
    let command = packets(&[vec![b'a'; 10]], 0);
    for raw in [
        stored(1, &command),
        [stored(0, &command[..5]), stored(2, &command[5..])].concat(),
        // The command before it is not complete.
        [stored(0, &command[..5]), stored(0, &command)].concat(),
        [stored(0, &command[..2]), stored(0, &command)].concat(),
    ] {
        let mut server = Frames::new(Compression::Zlib, Role::Server);
        assert!(matches!(decoded(&mut server, &raw), Err(LinkError::OutOfOrder)), "{raw:?}");
    }
    let mut client = Frames::new(Compression::Zlib, Role::Client);
    encoded(&mut client, &command, false);
    assert!(matches!(decoded(&mut client, &stored(2, b"abc")), Err(LinkError::OutOfOrder)));
}

#[test]
fn a_frame_that_lies_is_refused_and_its_error_answers_it() {
    let bytes = packets(&[vec![b'a'; 200]], 0);
    for compression in ALGORITHMS {
        let good = encoded(&mut Frames::new(compression, Role::Client), &bytes, false).to_vec();
        let change = |place: usize, to: u8| {
            let mut bad = good.clone();
            bad[place] = to;
            bad
        };
        let holds = good[4];
        let longer = [&[good[0] + 1], &good[1..], b"\0"].concat();
        let other = match compression {
            Compression::Zlib => Compression::ZSTD,
            Compression::Zstd { .. } => Compression::Zlib,
        };
        let of_other = encoded(&mut Frames::new(other, Role::Client), &bytes, false).to_vec();
        let claims_most = [&good[..4], b"\xff\xff\xff", &good[7..]].concat();
        for bad in [
            change(4, holds - 1),
            change(4, holds + 1),
            change(5, 1),
            change(7, 0),
            change(0, good[0] - 1),
            longer,
            of_other,
            claims_most,
        ] {
            let mut server = Frames::new(compression, Role::Server);
            let error = decoded(&mut server, &bad).unwrap_err();
            assert!(matches!(error, LinkError::BadFrame(_)), "{compression:?} {error}");
            assert_eq!(headers(&encoded(&mut server, &packets(&[b"\xffno".to_vec()], 1), false))[0].0, 1);
        }
    }
    // Nothing cannot hold something.
    let error = decoded(&mut Frames::new(Compression::Zlib, Role::Server), b"\0\0\0\0\x01\0\0").unwrap_err();
    assert!(matches!(error, LinkError::BadFrame(_)), "{error}");
}

#[test]
fn a_frame_takes_no_more_than_it_claims() {
    // Zeros by the megabyte, in a frame that claims a kilobyte.
    let zeros = vec![0; 4 << 20];
    for (compression, packed) in [
        (Compression::Zlib, {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::Write::write_all(&mut encoder, &zeros).unwrap();
            encoder.finish().unwrap()
        }),
        (Compression::ZSTD, zstd::bulk::compress(&zeros, 19).unwrap()),
    ] {
        let [l0, l1, l2, _] = u32::try_from(packed.len()).unwrap().to_le_bytes();
        let mut raw = BytesMut::from(&[&[l0, l1, l2, 0, 0, 4, 0], &packed[..]].concat()[..]);
        let mut plain = BytesMut::new();
        assert!(Frames::new(compression, Role::Server).decode(&mut raw, &mut plain).is_err());
        assert!(plain.is_empty() && plain.capacity() <= 16 * 1024, "{}", plain.capacity());
    }
}

#[test]
fn empty_frames_say_nothing() {
    let command = packets(&[vec![b'a'; 10]], 0);
    let raw = [stored(0, b""), stored(1, &command), stored(2, b"")].concat();
    let (plain, left) = decoded(&mut Frames::new(Compression::Zlib, Role::Server), &raw).unwrap();
    assert_eq!((plain, left), (command, Vec::new()));
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(
        prop_oneof![vec(any::<u8>(), 0..200), (any::<u8>(), 0..200_000_usize).prop_map(|(byte, length)| vec![byte; length])],
        1..6,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Sent in pieces of any size and received in others, the bytes are the same but for the numbers of the packets.
    #[test]
    fn what_is_sent_arrives(answer in payloads(), sends in vec(1..100_000_usize, 1..8), reads in vec(1..40_000_usize, 1..8), algorithm in 0..3_usize) {
        let compression = ALGORITHMS[algorithm];
        let (mut client, mut server) = (Frames::new(compression, Role::Client), Frames::new(compression, Role::Server));
        let command = packets(&[b"\x03SELECT".to_vec()], 0);
        prop_assert_eq!(decoded(&mut server, &encoded(&mut client, &command, false)).unwrap().0, command);
        server.consumed();
        let sent = packets(&answer, 1);
        let mut raw = Vec::new();
        let mut rest = &sent[..];
        let mut waiting = BytesMut::new();
        for size in sends.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*size));
            waiting.extend_from_slice(now);
            let mut out = BytesMut::new();
            loop {
                let length = server.encode(&waiting, false, &mut out);
                if length == 0 {
                    break;
                }
                bytes::Buf::advance(&mut waiting, length);
            }
            raw.extend_from_slice(&out);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let (mut inbox, mut plain) = (BytesMut::new(), BytesMut::new());
        let mut rest = &raw[..];
        for size in reads.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*size));
            inbox.extend_from_slice(now);
            rest = later;
            while let Decoded::Bytes(_) = client.decode(&mut inbox, &mut plain).unwrap() {}
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(inbox.is_empty() && waiting.is_empty());
        prop_assert_eq!(plain.len(), sent.len());
        let mut at = 0;
        for payload in &answer {
            let number = plain[at + 3];
            match frame(&plain[at..], number, usize::MAX) {
                Frame::Whole { payload: read, length, .. } => {
                    prop_assert_eq!(&read[..], &payload[..]);
                    at += length;
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn no_bytes_panic(raw in vec(any::<u8>(), 0..400), algorithm in 0..3_usize, role in any::<bool>()) {
        let role = if role { Role::Server } else { Role::Client };
        let _ = decoded(&mut Frames::new(ALGORITHMS[algorithm], role), &raw);
    }
}
