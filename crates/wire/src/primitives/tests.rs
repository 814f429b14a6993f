use bytes::BytesMut;

use super::*;

fn lenenc(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_lenenc_int(value);
    out
}

#[test]
fn fixed_integers_are_little_endian() {
    let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0x80]);
    assert_eq!(reader.u8(), Ok(1));
    assert_eq!(reader.u16(), Ok(0x0302));
    assert_eq!(reader.u24(), Ok(0x0006_0504));
    assert_eq!(reader.u32(), Ok(1));
    assert_eq!(reader.u64(), Ok(0x8000_0000_0000_0002));
    assert!(reader.is_empty());
}

#[test]
fn a_read_past_the_end_fails_and_takes_nothing() {
    let bytes = [7; 7];
    for length in 0..=bytes.len() {
        let mut reader = Reader::new(&bytes[..length]);
        assert_eq!(reader.u64(), Err(TRUNCATED));
        assert_eq!(reader.take(length + 1), Err(TRUNCATED));
        assert_eq!(reader.take(usize::MAX), Err(TRUNCATED));
        assert_eq!(reader.remaining(), length);
        assert_eq!(reader.u32().is_ok(), length >= 4);
    }
}

#[test]
fn lenenc_integers_use_the_shortest_form() {
    let check = |value: u64, expect: &[u8]| assert_eq!(lenenc(value), expect, "{value}");
    check(0, &[0]);
    check(0xfa, &[0xfa]);
    check(0xfb, &[0xfc, 0xfb, 0]);
    check(0xff, &[0xfc, 0xff, 0]);
    check(0xffff, &[0xfc, 0xff, 0xff]);
    check(0x1_0000, &[0xfd, 0, 0, 1]);
    check(0xff_ffff, &[0xfd, 0xff, 0xff, 0xff]);
    check(0x100_0000, &[0xfe, 0, 0, 0, 1, 0, 0, 0, 0]);
    check(u64::MAX, &[0xfe, 255, 255, 255, 255, 255, 255, 255, 255]);
}

#[test]
fn lenenc_integers_are_read_in_any_form_and_never_beyond_the_end() {
    for value in [0, 1, 0xfa, 0xfb, 0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, u64::MAX] {
        let bytes = lenenc(value);
        assert_eq!(Reader::new(&bytes).lenenc_int(), Ok(value));
        for cut in 0..bytes.len() {
            assert_eq!(Reader::new(&bytes[..cut]).lenenc_int(), Err(TRUNCATED), "{value} {cut}");
        }
    }
    assert_eq!(Reader::new(&[0xfc, 1, 0]).lenenc_int(), Ok(1));
    assert_eq!(Reader::new(&[0xfe, 1, 0, 0, 0, 0, 0, 0, 0]).lenenc_int(), Ok(1));
}

#[test]
fn null_and_the_mark_of_an_error_are_no_integers() {
    for byte in [0xfb, 0xff] {
        assert!(Reader::new(&[byte, 0, 0, 0, 0, 0, 0, 0, 0]).lenenc_int().is_err());
    }
}

#[test]
fn a_string_longer_than_the_packet_is_malformed() {
    assert_eq!(Reader::new(&[3, 1, 2]).lenenc_bytes(), Err(TRUNCATED));
    let huge = lenenc(u64::MAX);
    assert_eq!(Reader::new(&huge).lenenc_bytes(), Err(TRUNCATED));
    assert_eq!(Reader::new(&[2, 1, 2, 3]).lenenc_bytes(), Ok(&[1, 2][..]));
}

#[test]
fn a_nul_string_ends_at_its_nul_and_needs_one() {
    let mut reader = Reader::new(b"ab\0c");
    assert_eq!(reader.nul_bytes(), Ok(&b"ab"[..]));
    assert!(reader.nul_bytes().is_err());
    assert_eq!(reader.rest(), b"c");
    assert!(reader.is_empty());
}

#[test]
fn a_nul_inside_a_string_cannot_make_further_fields() {
    let mut out = BytesMut::new();
    out.put_nul_bytes(b"shop\0mysql_clear_password");
    out.put_lenenc_bytes(b"a\0b");
    assert_eq!(&out[..], b"shop\0\x03a\0b");
}

#[test]
fn the_message_says_what_is_wrong() {
    assert_eq!(TRUNCATED.to_string(), "malformed packet: it ends in the middle of a field");
}
