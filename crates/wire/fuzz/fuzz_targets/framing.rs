//! A stream of packets, framed: whatever is whole writes back to the bytes it came from, and no prefix of it is whole.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::packet::{Frame, frame, put_packet, put_packet_with};

fuzz_target!(|data: &[u8]| {
    let Some((&[first, limit, cut], mut rest)) = data.split_first_chunk() else {
        return;
    };
    let max_payload = usize::from(limit) * 16;
    let mut expected = first;
    while let Frame::Whole { payload, sequence, length } = frame(rest, expected, max_payload) {
        assert!(payload.len() <= max_payload && length <= rest.len());
        let mut written = BytesMut::new();
        let next = put_packet(&mut written, expected, &payload);
        assert_eq!(next, sequence.wrapping_add(1));
        assert_eq!(&written[..], &rest[..length]);
        let mut in_place = BytesMut::new();
        assert_eq!(put_packet_with(&mut in_place, expected, |out| out.extend_from_slice(&payload)), next);
        assert_eq!(in_place, written);
        let prefix = usize::from(cut) % length;
        match frame(&rest[..prefix], expected, max_payload) {
            Frame::Incomplete { needed } => assert!(prefix < needed && needed <= length),
            other => panic!("{other:?}"),
        }
        rest = &rest[length..];
        expected = next;
    }
    if let Frame::Incomplete { needed } = frame(rest, expected, max_payload) {
        assert!(needed > rest.len());
    }
});
