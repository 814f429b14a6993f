//! Physical packets: the 4-byte header, and the splitting of a payload of 16 MiB - 1 bytes or more into several packets.
//!
//! A payload is sent in physical packets of 0xFFFFFF bytes and a last one that is shorter, empty if need be. The sequence
//! number counts physical packets and wraps. Sources: MySQL `page_protocol_basic_packets`; MariaDB "0 - Packet".
//! The other direction of a session, a server's response, is walked by [`crate::response`] without putting payloads together.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use crate::primitives::Reader;

/// Bytes of a physical packet's header.
pub const HEADER: usize = 4;

/// The longest payload of a physical packet. One of exactly this length is continued in the next packet.
pub const MAX_PAYLOAD: usize = 0xff_ffff;

/// The header of a physical packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload that follow; at most [`MAX_PAYLOAD`].
    pub length: u32,
    /// The packet's number within its command and the response to it.
    pub sequence: u8,
}

impl Header {
    /// Reads the header at the front of `buf`; `None` while fewer than [`HEADER`] bytes are there.
    #[inline]
    pub const fn parse(buf: &[u8]) -> Option<Self> {
        match buf {
            [b0, b1, b2, sequence, ..] => Some(Self { length: u32::from_le_bytes([*b0, *b1, *b2, 0]), sequence: *sequence }),
            _ => None,
        }
    }

    /// Appends the header.
    pub fn put(self, out: &mut BytesMut) {
        let [b0, b1, b2, _] = self.length.to_le_bytes();
        out.put_slice(&[b0, b1, b2, self.sequence]);
    }
}

/// Appends one logical packet, split where its payload needs it. Returns the sequence number that comes next.
pub fn put_packet(out: &mut BytesMut, sequence: u8, payload: &[u8]) -> u8 {
    let mut sequence = sequence;
    let mut rest = payload;
    loop {
        let (now, later) = rest.split_at_checked(MAX_PAYLOAD).unwrap_or((rest, &[]));
        // `now` has at most MAX_PAYLOAD bytes, so the conversion cannot fail.
        let length = u32::try_from(now.len()).unwrap_or_default();
        out.reserve(HEADER.saturating_add(now.len()));
        Header { length, sequence }.put(out);
        out.put_slice(now);
        sequence = sequence.wrapping_add(1);
        if now.len() < MAX_PAYLOAD {
            return sequence;
        }
        rest = later;
    }
}

/// Appends one logical packet whose payload `write` appends. The header is filled in afterwards, so the payload is written
/// once; only one that has to be split is moved. Returns the sequence number that comes next.
pub fn put_packet_with(out: &mut BytesMut, sequence: u8, write: impl FnOnce(&mut BytesMut)) -> u8 {
    let start = out.len();
    out.put_bytes(0, HEADER);
    write(out);
    let body = start.saturating_add(HEADER).min(out.len());
    let length = out.len() - body;
    if length < MAX_PAYLOAD
        && let Ok(length) = u32::try_from(length)
        && let Some(header) = out.get_mut(start..body)
    {
        header.copy_from_slice(&(length | u32::from(sequence) << 24).to_le_bytes());
        return sequence.wrapping_add(1);
    }
    let payload = out.split_off(body);
    out.truncate(start);
    put_packet(out, sequence, &payload)
}

/// What the front of a client's byte stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole logical packet.
    Whole {
        /// Its payload: borrowed where it came in one physical packet.
        payload: Cow<'a, [u8]>,
        /// The number of its last physical packet; a response starts with the next one.
        sequence: u8,
        /// Bytes of the input that it took, with all headers.
        length: usize,
    },
    /// More has to be read before anything can be said.
    Incomplete {
        /// The buffer has to hold at least this many bytes, counted from its start.
        needed: usize,
    },
    /// The payload exceeds the limit. The headers alone show it, before the payload has arrived.
    TooLarge {
        /// Its length in bytes, as far as the headers seen so far show.
        length: usize,
    },
    /// A physical packet carries another number than it should.
    OutOfOrder {
        /// The number that was due.
        expected: u8,
        /// The number that came.
        found: u8,
    },
}

/// Looks at the front of `buf` for a logical packet whose first physical packet is due to carry `first_sequence`, with a
/// payload of `max_payload` bytes at most. Reads headers only, until all of it is there.
pub fn frame(buf: &[u8], first_sequence: u8, max_payload: usize) -> Frame<'_> {
    let mut expected = first_sequence;
    let mut end = 0_usize;
    let mut payload_length = 0_usize;
    loop {
        let body = end.saturating_add(HEADER);
        let Some(header) = buf.get(end..).and_then(Header::parse) else {
            return Frame::Incomplete { needed: body };
        };
        if header.sequence != expected {
            return Frame::OutOfOrder { expected, found: header.sequence };
        }
        let length = header.length as usize;
        payload_length = payload_length.saturating_add(length);
        if payload_length > max_payload {
            return Frame::TooLarge { length: payload_length };
        }
        end = body.saturating_add(length);
        if buf.len() < end {
            return Frame::Incomplete { needed: end };
        }
        if length < MAX_PAYLOAD {
            break;
        }
        expected = expected.wrapping_add(1);
    }
    Frame::Whole { payload: join(buf.get(..end).unwrap_or_default(), payload_length), sequence: expected, length: end }
}

/// The payload of the physical packets in `buf`, which are all there.
fn join(buf: &[u8], payload_length: usize) -> Cow<'_, [u8]> {
    if payload_length < MAX_PAYLOAD {
        return Cow::Borrowed(buf.get(HEADER..).unwrap_or_default());
    }
    let mut payload = Vec::with_capacity(payload_length);
    let mut reader = Reader::new(buf);
    while let Ok(length) = reader.u24() {
        let Ok(body) = reader.u8().and_then(|_sequence| reader.take(length as usize)) else {
            break;
        };
        payload.extend_from_slice(body);
    }
    Cow::Owned(payload)
}

#[cfg(test)]
mod tests;
