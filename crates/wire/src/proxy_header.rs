//! The PROXY protocol: the header by which a proxy says for whom it has connected, a load balancer to Pointsman, or Pointsman to a server. It comes before
//! the first packet.
//!
//! Source: "The PROXY protocol, Versions 1 & 2", `doc/proxy-protocol.txt` of HAProxy. Where the connection comes from is all that is read; the address
//! that it went to, and what version 2 may add (TLVs), are skipped. So a checksum among the TLVs is not verified: TCP has one of its own.
//!
//! The crate `ppp` (2.3) was not taken: it judges the address family of LOCAL headers, which a receiver must ignore, takes `+80` for a port, limits how
//! many words follow `UNKNOWN`, does not bound version 2, and is thirty times as long.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use bytes::BufMut;

use crate::{Malformed, Reader};

/// The longest header of version 1, in bytes; the protocol sets this limit.
const LARGEST_TEXT: usize = 107;

/// The longest header of version 2, in bytes. The protocol allows 64 KiB; load balancers send some ten bytes of TLVs, or a certificate's name.
const LARGEST_BINARY: usize = 4 * 1024;

const TEXT_START: &[u8] = b"PROXY ";

const BINARY_START: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What version 2 has before the addresses: the signature, version and command, address family, length.
const BINARY_FIXED: usize = 16;

/// The beginning of a connection, as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// More bytes are needed. So far it may become a header.
    Incomplete,
    /// A whole header.
    Whole {
        /// Its bytes. What follows them is the client's.
        length: usize,
        /// Where the client is. `None`: the connection is the load balancer's own (a health check), or it does not know; the address of the socket counts.
        client: Option<SocketAddr>,
    },
}

/// Reads the header at the front of what has come. No more than 4 KiB are ever [`ProxyHeader::Incomplete`], and what cannot become a header is
/// malformed at its first wrong byte of the signature.
pub fn proxy_header(bytes: &[u8]) -> Result<ProxyHeader, Malformed> {
    if begins(bytes, BINARY_START) {
        binary(bytes)
    } else if begins(bytes, TEXT_START) {
        text(bytes)
    } else {
        Err(Malformed::new("it does not begin as a PROXY header does"))
    }
}

/// So far they agree.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, expected)| byte == expected)
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 40000 3306\r\n`.
fn text(bytes: &[u8]) -> Result<ProxyHeader, Malformed> {
    const END: &[u8] = b"\r\n";
    let largest = bytes.get(..LARGEST_TEXT).unwrap_or(bytes);
    let Some(end) = memchr::memmem::find(largest, END) else {
        if bytes.len() >= LARGEST_TEXT {
            return Err(Malformed::new("the PROXY header does not end within 107 bytes"));
        }
        return Ok(ProxyHeader::Incomplete);
    };
    let line = largest.get(TEXT_START.len()..end).unwrap_or_default();
    let line = str::from_utf8(line).map_err(|_| Malformed::new("the PROXY header is no text"))?;
    let (protocol, rest) = line.split_once(' ').unwrap_or((line, ""));
    let client = match protocol {
        "TCP4" => Some(text_source::<Ipv4Addr>(rest)?),
        "TCP6" => Some(text_source::<Ipv6Addr>(rest)?),
        // Whatever follows it is to be ignored.
        "UNKNOWN" => None,
        _ => return Err(Malformed::new("the PROXY header names an unknown protocol")),
    };
    Ok(ProxyHeader::Whole { length: end.saturating_add(END.len()), client })
}

/// The first of two addresses, with the first of two ports.
fn text_source<A: FromStr + Into<IpAddr>>(fields: &str) -> Result<SocketAddr, Malformed> {
    let mut fields = fields.split(' ');
    let mut next = || fields.next().unwrap_or_default();
    let address = |text: &str| text.parse::<A>().map_err(|_| Malformed::new("the PROXY header has a bad address"));
    let (source, _) = (address(next())?, address(next())?);
    let (port, _) = (text_port(next())?, text_port(next())?);
    if fields.next().is_some() {
        return Err(Malformed::new("the PROXY header has too many fields"));
    }
    Ok(SocketAddr::new(source.into(), port))
}

/// Digits without leading zeros.
fn text_port(text: &str) -> Result<u16, Malformed> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_canonical).ok_or(Malformed::new("the PROXY header has a bad port"))
}

/// Version 2.
fn binary(bytes: &[u8]) -> Result<ProxyHeader, Malformed> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<BINARY_FIXED>() else { return Ok(ProxyHeader::Incomplete) };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed::new("the PROXY header has an unknown version or command")),
    };
    if length > LARGEST_BINARY.saturating_sub(BINARY_FIXED) {
        return Err(Malformed::new("the PROXY header is longer than 4096 bytes"));
    }
    let Some(addresses) = rest.get(..length) else { return Ok(ProxyHeader::Incomplete) };
    // The address family of a LOCAL header is to be ignored.
    let client = if is_local { None } else { binary_source(family, Reader::new(addresses))? };
    Ok(ProxyHeader::Whole { length: BINARY_FIXED.saturating_add(length), client })
}

/// The source comes first, the ports after both addresses, in network byte order.
fn binary_source(family: u8, mut fields: Reader<'_>) -> Result<Option<SocketAddr>, Malformed> {
    let truncated = Malformed::new("the PROXY header is too short for its addresses");
    let mut field = |length| fields.take(length).map_err(|_| truncated);
    let mut field_pair = |length| Ok::<_, Malformed>((field(length)?, field(length)?));
    let (source, port) = match family {
        0x11 => {
            let (source, _) = field_pair(4)?;
            (<[u8; 4]>::try_from(source).map(IpAddr::from), field_pair(2)?.0)
        }
        0x21 => {
            let (source, _) = field_pair(16)?;
            (<[u8; 16]>::try_from(source).map(IpAddr::from), field_pair(2)?.0)
        }
        // Unspecified, datagrams, Unix sockets: they name no TCP client.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => return Ok(None),
        _ => return Err(Malformed::new("the PROXY header has an unknown address family")),
    };
    let port = <[u8; 2]>::try_from(port).map(u16::from_be_bytes);
    let (source, port) = source.and_then(|source| Ok((source, port?))).map_err(|_| truncated)?;
    Ok(Some(SocketAddr::new(source, port)))
}

/// Version 2, for a client at this address. Neither its port nor where it has connected to is told: one connection to a server serves many of an
/// address's.
pub fn put_proxy_header(buffer: &mut impl BufMut, client: IpAddr) {
    const PORTS: &[u8; 4] = &[0; 4];
    const VERSION_2_PROXY: u8 = 0x21;
    buffer.put_slice(BINARY_START);
    buffer.put_u8(VERSION_2_PROXY);
    match client {
        IpAddr::V4(client) => {
            buffer.put_slice(&[0x11, 0, 12]);
            buffer.put_slice(&client.octets());
            buffer.put_slice(&Ipv4Addr::UNSPECIFIED.octets());
        }
        IpAddr::V6(client) => {
            buffer.put_slice(&[0x21, 0, 36]);
            buffer.put_slice(&client.octets());
            buffer.put_slice(&Ipv6Addr::UNSPECIFIED.octets());
        }
    }
    buffer.put_slice(PORTS);
}

#[cfg(test)]
mod tests;
