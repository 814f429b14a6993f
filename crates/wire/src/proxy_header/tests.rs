use proptest::prelude::*;

use super::*;

const V4: &str = "PROXY TCP4 192.0.2.1 198.51.100.1 40000 3306\r\n";

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&BINARY_START[..], &[command, family], &length, rest].concat()
}

/// The addresses of a version 2 header: the source, and some destination.
fn addresses(source: SocketAddr) -> Vec<u8> {
    let destination_port = 3306_u16.to_be_bytes();
    let ports = [source.port().to_be_bytes(), destination_port].concat();
    match source.ip() {
        IpAddr::V4(ip) => [&ip.octets()[..], &[198, 51, 100, 1], &ports].concat(),
        IpAddr::V6(ip) => [&ip.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &ports].concat(),
    }
}

fn family(source: SocketAddr) -> u8 {
    if source.is_ipv4() { 0x11 } else { 0x21 }
}

fn text(source: SocketAddr) -> String {
    let (family, destination) = if source.is_ipv4() { ("TCP4", "198.51.100.1") } else { ("TCP6", "2001:db8::2") };
    format!("PROXY {family} {} {destination} {} 3306\r\n", source.ip(), source.port())
}

#[track_caller]
fn check(bytes: &[u8], client: Option<&str>) {
    let client = client.map(|client| client.parse().unwrap());
    let whole = Ok(ProxyHeader::Whole { length: bytes.len(), client });
    assert_eq!(proxy_header(bytes), whole);
    assert_eq!(proxy_header(&[bytes, b"PROXY \r\n"].concat()), whole, "what follows is the client's");
    for cut in 0..bytes.len() {
        assert_eq!(proxy_header(&bytes[..cut]), Ok(ProxyHeader::Incomplete), "{cut} bytes");
    }
}

#[track_caller]
fn check_malformed(bytes: impl AsRef<[u8]>, why: &str) {
    let error = proxy_header(bytes.as_ref()).unwrap_err();
    assert!(error.what.contains(why), "{error}");
}

#[test]
fn a_text_header_names_the_client() {
    check(V4.as_bytes(), Some("192.0.2.1:40000"));
    check(b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255:65535"));
    check(b"PROXY TCP6 2001:db8::1 ::1 0 3306\r\n", Some("[2001:db8::1]:0"));
    check(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 3306\r\n", Some("[::ffff:192.0.2.1]:1"));
}

#[test]
fn an_unknown_client_has_no_address() {
    check(b"PROXY UNKNOWN\r\n", None);
    check(b"PROXY UNKNOWN whatever it is, 1 2 3 4 5 6 7 8\r\n", None);
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LARGEST_TEXT - 16));
    assert_eq!(longest.len(), LARGEST_TEXT);
    check(longest.as_bytes(), None);
}

#[test]
fn a_text_header_that_breaks_the_protocol_is_malformed() {
    check_malformed("PROXY TCP4 192.0.2.1 198.51.100.1 40000\r\n", "bad port");
    check_malformed("PROXY TCP4 192.0.2.1 198.51.100.1 40000 3306 1\r\n", "too many fields");
    check_malformed("PROXY TCP4 192.0.2.1  198.51.100.1 40000 3306\r\n", "bad address");
    check_malformed("PROXY TCP4 2001:db8::1 198.51.100.1 40000 3306\r\n", "bad address");
    check_malformed("PROXY TCP4 192.0.2.01 198.51.100.1 40000 3306\r\n", "bad address");
    for port in ["+80", "080", "65536", "-1", "", "8 0"] {
        check_malformed(format!("PROXY TCP4 192.0.2.1 198.51.100.1 {port} 3306\r\n"), "");
    }
    check_malformed("PROXY TCP6 192.0.2.1 ::1 40000 3306\r\n", "bad address");
    check_malformed("PROXY UDP4 192.0.2.1 198.51.100.1 40000 3306\r\n", "unknown protocol");
    check_malformed("PROXY \r\n", "unknown protocol");
    check_malformed(b"PROXY UNKNOWN \xff\r\n", "no text");
    check_malformed(format!("PROXY UNKNOWN {}\r\n", "f".repeat(LARGEST_TEXT - 15)), "107 bytes");
}

#[test]
fn what_begins_otherwise_is_malformed_at_its_first_wrong_byte() {
    for bytes in [&b"p"[..], b"PROXZ", b"\r\n\r\n\x01", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n", b"\x20\0\0\x01", b"PROXY\t"] {
        check_malformed(bytes, "does not begin");
    }
    assert_eq!(proxy_header(b""), Ok(ProxyHeader::Incomplete));
}

#[test]
fn a_binary_header_names_the_client() {
    for client in ["192.0.2.1:40000", "[2001:db8::1]:40000"] {
        let source = client.parse().unwrap();
        check(&binary(0x21, family(source), &addresses(source)), Some(client));
        // A TLV without sense is skipped as one that means something.
        check(&binary(0x21, family(source), &[&addresses(source)[..], &[4, 0xff, 0xff, 0]].concat()), Some(client));
    }
}

#[test]
fn a_local_header_has_no_address_whatever_it_says() {
    let source = addresses("192.0.2.1:40000".parse().unwrap());
    for family in [0x00, 0x11, 0x21, 0xff] {
        check(&binary(0x20, family, &[]), None);
        check(&binary(0x20, family, &source), None);
    }
}

#[test]
fn sockets_other_than_tcp_have_no_address() {
    for family in [0x00, 0x12, 0x22, 0x31, 0x32] {
        check(&binary(0x21, family, &[]), None);
        check(&binary(0x21, family, &[7; 216]), None);
    }
}

#[test]
fn a_binary_header_that_breaks_the_protocol_is_malformed() {
    check_malformed(binary(0x21, 0x11, &[0; 11]), "too short");
    check_malformed(binary(0x21, 0x21, &[0; 35]), "too short");
    check_malformed(binary(0x21, 0x13, &[0; 36]), "address family");
    check_malformed(binary(0x21, 0x41, &[0; 36]), "address family");
    check_malformed(binary(0x22, 0x11, &[0; 12]), "command");
    check_malformed(binary(0x11, 0x11, &[0; 12]), "version");
}

#[test]
fn a_binary_header_that_is_too_long_is_refused_before_it_comes() {
    let source = addresses("192.0.2.1:40000".parse().unwrap());
    let longest = [&source[..], &vec![0; LARGEST_BINARY - BINARY_FIXED - source.len()]].concat();
    check(&binary(0x21, 0x11, &longest), Some("192.0.2.1:40000"));
    let longer = binary(0x21, 0x11, &[&longest[..], &[0]].concat());
    check_malformed(&longer[..BINARY_FIXED], "longer than");
}

proptest! {
    #[test]
    fn every_address_is_read_as_it_was_written(source: SocketAddr, tlvs in prop::collection::vec(any::<u8>(), 0..64)) {
        // A flow label or scope has no place in a header.
        let source = SocketAddr::new(source.ip(), source.port());
        let line = text(source);
        let whole = Ok(ProxyHeader::Whole { length: line.len(), client: Some(source) });
        prop_assert_eq!(proxy_header(line.as_bytes()), whole);
        let bytes = binary(0x21, family(source), &[addresses(source), tlvs].concat());
        let whole = Ok(ProxyHeader::Whole { length: bytes.len(), client: Some(source) });
        prop_assert_eq!(proxy_header(&bytes), whole);
    }

    #[test]
    fn a_verdict_stands_whatever_comes_after_it(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", &BINARY_START[..]]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
        cut: prop::sample::Index,
    ) {
        let bytes = [start, &rest].concat();
        let first = proxy_header(&bytes[..cut.index(bytes.len() + 1)]);
        let then = proxy_header(&bytes);
        prop_assert!(matches!(first, Ok(ProxyHeader::Incomplete)) || first == then, "{:?}, then {:?}", first, then);
    }
}

proptest! {
    #[test]
    fn a_header_of_ours_names_the_client(client: IpAddr) {
        let mut header = Vec::new();
        put_proxy_header(&mut header, client);
        let whole = ProxyHeader::Whole { length: header.len(), client: Some(SocketAddr::new(client, 0)) };
        prop_assert_eq!(proxy_header(&header), Ok(whole));
    }
}
