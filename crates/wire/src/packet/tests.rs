use super::*;

const ANY: usize = usize::MAX;

fn packet(sequence: u8, payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    put_packet(&mut out, sequence, payload);
    out
}

fn whole(buf: &[u8], first_sequence: u8) -> (Cow<'_, [u8]>, u8, usize) {
    match frame(buf, first_sequence, ANY) {
        Frame::Whole { payload, sequence, length } => (payload, sequence, length),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_header_needs_four_bytes() {
    let header = Header { length: 0x0003_0201, sequence: 9 };
    let mut out = BytesMut::new();
    header.put(&mut out);
    assert_eq!(&out[..], [1, 2, 3, 9]);
    assert_eq!(Header::parse(&out), Some(header));
    for cut in 0..HEADER {
        assert_eq!(Header::parse(&out[..cut]), None);
    }
}

#[test]
fn a_small_packet_is_borrowed_and_what_follows_it_is_left() {
    let mut buf = packet(3, b"hello");
    buf.extend_from_slice(b"next");
    let (payload, sequence, length) = whole(&buf, 3);
    assert!(matches!(payload, Cow::Borrowed(b"hello")));
    assert_eq!((sequence, length), (3, 9));
}

#[test]
fn every_cut_of_a_packet_asks_for_what_is_missing() {
    let buf = packet(0, b"hello");
    for cut in 0..buf.len() {
        let needed = if cut < HEADER { HEADER } else { buf.len() };
        assert_eq!(frame(&buf[..cut], 0, ANY), Frame::Incomplete { needed });
    }
}

#[test]
fn an_empty_payload_is_a_packet() {
    let buf = packet(0, b"");
    assert_eq!(&buf[..], [0, 0, 0, 0]);
    assert_eq!(whole(&buf, 0), (Cow::Borrowed(&b""[..]), 0, 4));
}

#[test]
fn another_sequence_number_is_out_of_order() {
    let found = Frame::OutOfOrder { expected: 0, found: 1 };
    assert_eq!(frame(&packet(1, b"x"), 0, ANY), found);
    assert_eq!(frame(&packet(1, b"x")[..HEADER], 0, ANY), found);
}

#[test]
fn a_payload_past_the_limit_is_seen_in_its_header() {
    let buf = packet(0, &[7; 11]);
    assert_eq!(frame(&buf[..HEADER], 0, 10), Frame::TooLarge { length: 11 });
    assert!(matches!(frame(&buf, 0, 11), Frame::Whole { .. }));
}

/// Every length around the places where a payload is split comes back as it was, in the right number of packets.
#[test]
fn payloads_around_the_16_mib_limit_are_split_and_joined() {
    for (length, packets) in
        [(MAX_PAYLOAD - 1, 1), (MAX_PAYLOAD, 2), (MAX_PAYLOAD + 1, 2), (2 * MAX_PAYLOAD - 1, 2), (2 * MAX_PAYLOAD, 3)]
    {
        let mut sent = vec![0xab; length];
        sent[length - 1] = 0xcd;
        let mut buf = BytesMut::new();
        // Close to the end of the sequence numbers, so that they wrap.
        let next = put_packet(&mut buf, 254, &sent);
        assert_eq!(next, 254_u8.wrapping_add(packets), "{length}");
        assert_eq!(buf.len(), length + usize::from(packets) * HEADER, "{length}");

        buf.extend_from_slice(b"next");
        let (payload, sequence, used) = whole(&buf, 254);
        assert!(payload == sent, "{length}");
        assert_eq!(matches!(payload, Cow::Borrowed(_)), packets == 1, "{length}");
        assert_eq!(sequence, next.wrapping_sub(1), "{length}");
        assert_eq!(used, buf.len() - 4, "{length}");

        let mut again = BytesMut::new();
        let after = put_packet_with(&mut again, 254, |out| out.extend_from_slice(&sent));
        assert_eq!(after, next);
        assert!(again == buf[..used], "{length}");
    }
}

#[test]
fn a_split_packet_is_whole_only_with_its_last_part() {
    let buf = packet(0, &vec![1; MAX_PAYLOAD]);
    assert_eq!(frame(&buf[..buf.len() - 1], 0, ANY), Frame::Incomplete { needed: buf.len() });
    assert_eq!(frame(&buf[..HEADER + MAX_PAYLOAD], 0, ANY), Frame::Incomplete { needed: buf.len() });
    assert_eq!(frame(&buf[..HEADER + 9], 0, ANY), Frame::Incomplete { needed: HEADER + MAX_PAYLOAD });
}

#[test]
fn the_parts_of_a_split_packet_are_counted_and_limited_together() {
    let mut buf = packet(0, &vec![1; MAX_PAYLOAD + 5]);
    assert_eq!(frame(&buf, 0, MAX_PAYLOAD + 4), Frame::TooLarge { length: MAX_PAYLOAD + 5 });
    buf[HEADER + MAX_PAYLOAD + 3] = 7;
    assert_eq!(frame(&buf, 0, ANY), Frame::OutOfOrder { expected: 1, found: 7 });
}

#[test]
fn a_payload_written_in_place_is_the_same_packet() {
    let mut out = BytesMut::from(&b"before"[..]);
    let next = put_packet_with(&mut out, 255, |out| out.extend_from_slice(b"payload"));
    assert_eq!(next, 0);
    assert_eq!(out[6..], packet(255, b"payload"));
}

#[test]
fn a_writer_that_shortens_the_buffer_leaves_whole_packets() {
    let mut out = BytesMut::from(&b"before"[..]);
    put_packet_with(&mut out, 0, BytesMut::clear);
    assert_eq!(frame(&out, 0, ANY), Frame::Whole { payload: Cow::Borrowed(&[]), sequence: 0, length: 4 });
}
