//! Bytes into frames, and frames into bytes.

use bytes::{Buf, BufMut, BytesMut};

use super::codec::Compression;
use super::packets::Packets;
use crate::LinkError;

/// Bytes of a frame's header.
const HEADER: usize = 7;

/// What both servers send uncompressed, as it would hardly get shorter, in bytes (`MIN_COMPRESS_LENGTH`).
const SHORT: usize = 50;

/// Most bytes that are sent in one frame, unless a packet for a client is longer. More than this hardly compresses better.
const FRAME: usize = 64 * 1024;

/// Most bytes of any frame.
const FRAME_MAX: usize = 0xff_ffff;

/// On which side of a connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The peer is a client: it sends commands.
    Server,
    /// The peer is a server: it sends answers.
    Client,
}

/// What [`Frames::decode`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// This many bytes more are in `plain`, at least one.
    Bytes(usize),
    /// The next frame has not arrived completely. `raw` has to hold at least this many bytes.
    Incomplete(usize),
    /// The next frame begins another command. It is decoded when `plain` is empty.
    NextCommand,
}

/// One connection's position in both directions. It holds no bytes.
///
/// Frames are numbered as packets are: a command begins at 0, and the peers count on from each other's last one. A client may send its next command
/// before it has got the answer. So the frames of two commands are never mixed in `plain`, and an answer goes on from the frame whose bytes were
/// consumed last.
///
/// Servers number the packets of a result one after another, and begin the next result with the number of its frame; so clients that check the numbers
/// accept either. A packet in front of a frame gets the frame's number here. One that goes on in the next frame is numbered as the packet before it says:
/// `mysql_async` looks at its number only when all of it has come.
///
/// A client gets whole packets in a frame, as servers send them: mysql-connector-python does not find the end of one that lies in more than two frames.
#[derive(Debug)]
pub struct Frames {
    compression: Compression,
    role: Role,
    /// The number after that of the last frame that was decoded.
    received: u8,
    /// The number after that of the last frame that was sent.
    sent: u8,
    /// The number of the next frame to be sent, unless it begins a command.
    next: u8,
    /// Nothing was consumed yet of the frames that were decoded last.
    is_unanswered: bool,
    incoming: Packets,
    outgoing: Packets,
}

/// A frame's header.
#[derive(Debug, Clone, Copy)]
struct Header {
    /// Bytes that follow it.
    length: usize,
    number: u8,
    /// Bytes of what is in it, uncompressed; 0: it is stored.
    holds: usize,
}

impl Header {
    fn parse(raw: &[u8]) -> Option<Self> {
        let [l0, l1, l2, number, h0, h1, h2, ..] = raw else { return None };
        let length = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) as usize;
        Some(Self { length: length(*l0, *l1, *l2), number: *number, holds: length(*h0, *h1, *h2) })
    }

    /// As it is sent. Both lengths are at most [`FRAME_MAX`].
    fn bytes(self) -> [u8; HEADER] {
        let three = |length: usize| u32::try_from(length).unwrap_or_default().to_le_bytes();
        let ([l0, l1, l2, _], [h0, h1, h2, _]) = (three(self.length), three(self.holds));
        [l0, l1, l2, self.number, h0, h1, h2]
    }
}

impl Frames {
    /// After the login.
    pub fn new(compression: Compression, role: Role) -> Self {
        let (incoming, outgoing) = Default::default();
        Self { compression, role, received: 0, sent: 0, next: 0, is_unanswered: false, incoming, outgoing }
    }

    /// Takes the next frame off the front of `raw` and appends what it holds to `plain`. After an error the peer can only be told of it: what is sent
    /// then answers the bad frame.
    ///
    /// One frame at a time: each may hold 16 MiB, whatever it takes of `raw`.
    pub fn decode(&mut self, raw: &mut BytesMut, plain: &mut BytesMut) -> Result<Decoded, LinkError> {
        let decoded = self.try_decode(raw, plain);
        if let (Err(_), Some(header)) = (&decoded, Header::parse(raw)) {
            self.next = header.number.wrapping_add(1);
            self.is_unanswered = false;
        }
        decoded
    }

    fn try_decode(&mut self, raw: &mut BytesMut, plain: &mut BytesMut) -> Result<Decoded, LinkError> {
        loop {
            let Some(header) = Header::parse(raw) else { return Ok(Decoded::Incomplete(HEADER)) };
            if self.begins_command(header.number)? && !plain.is_empty() {
                return Ok(Decoded::NextCommand);
            }
            let end = HEADER.saturating_add(header.length);
            let Some(body) = raw.get(HEADER..end) else { return Ok(Decoded::Incomplete(end)) };
            let before = plain.len();
            match header.holds {
                0 if plain.is_empty() && raw.len() == end => {
                    raw.advance(HEADER);
                    std::mem::swap(raw, plain);
                }
                0 => {
                    plain.extend_from_slice(body);
                    raw.advance(end);
                }
                holds => {
                    plain.reserve(holds);
                    self.compression.decompress(body, holds, plain)?;
                    raw.advance(end);
                }
            }
            self.received = header.number.wrapping_add(1);
            match self.role {
                Role::Client => self.next = self.received,
                Role::Server => self.is_unanswered = true,
            }
            let bytes = plain.get(before..).unwrap_or_default();
            self.incoming.pass(bytes);
            if !bytes.is_empty() {
                return Ok(Decoded::Bytes(bytes.len()));
            }
        }
    }

    /// Whether the frame with this number is the first of a command. A number that is not due is an error.
    fn begins_command(&self, number: u8) -> Result<bool, LinkError> {
        if number == self.received {
            return Ok(false);
        }
        match self.role {
            Role::Server if number == 0 && self.incoming.is_between_packets() => Ok(true),
            // Goes on from our answer, with a file.
            Role::Server if number == self.sent && number != 0 => Ok(false),
            // Answers what we sent last, or one of the commands before it, which are short and had one frame each.
            Role::Client if number == self.sent || number == 1 => Ok(false),
            _ => Err(LinkError::OutOfOrder),
        }
    }

    /// Bytes of the peer were consumed: what is sent now answers them.
    pub fn consumed(&mut self) {
        if std::mem::take(&mut self.is_unanswered) {
            self.next = self.received;
        }
    }

    /// The number that a server gives to the first packet of its answer to what was sent last, if the connection is not compressed. Compressed, servers
    /// number differently.
    pub fn answer_number(&self) -> u8 {
        self.outgoing.next_number()
    }

    /// Makes a frame of the front of `bytes`, appends it to `out`, and returns how many bytes are in it; 0 if more are needed first.
    pub fn encode(&mut self, bytes: &[u8], continues: bool, out: &mut BytesMut) -> usize {
        let Some(content) = self.next_content(bytes, continues) else { return 0 };
        let length = content.plain.len();
        content.write(out);
        length
    }

    /// Takes what belongs in the next frame. Where it `continues`, no command begins.
    pub(crate) fn next_content(&mut self, bytes: &[u8], continues: bool) -> Option<Content> {
        if bytes.is_empty() {
            return None;
        }
        let length = match self.role {
            Role::Server => self.outgoing.whole_packets(bytes, FRAME, FRAME_MAX)?,
            Role::Client if continues => bytes.len().min(FRAME),
            Role::Client => self.command_length(bytes),
        };
        let mut plain = crate::take_buffer();
        plain.extend_from_slice(bytes.get(..length).unwrap_or(bytes));
        let number = self.next;
        self.outgoing.number(&mut plain, number);
        self.next = number.wrapping_add(1);
        self.sent = self.next;
        Some(Content { compression: self.compression, number, plain })
    }

    /// A server begins to number anew only where a command begins with a frame.
    fn command_length(&mut self, bytes: &[u8]) -> usize {
        let front = bytes.get(..FRAME.saturating_add(HEADER)).unwrap_or(bytes);
        if self.outgoing.is_between_packets() && front.get(3) == Some(&0) {
            self.next = 0;
            self.outgoing.begin_command();
        }
        self.outgoing.second_command(front).unwrap_or(front.len()).min(FRAME)
    }
}

/// What goes into one frame. It may be compressed on another thread.
#[derive(Debug)]
pub(crate) struct Content {
    compression: Compression,
    number: u8,
    plain: BytesMut,
}

impl Content {
    /// Uncompressed, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.plain.len()
    }

    /// The same as [`Content::write`], by value.
    pub(crate) fn written_after(self, mut out: BytesMut) -> BytesMut {
        self.write(&mut out);
        out
    }

    /// Appends the frame.
    pub(crate) fn write(self, out: &mut BytesMut) {
        let Self { compression, number, plain } = self;
        let (start, length) = (out.len(), plain.len());
        let body = start.saturating_add(HEADER);
        out.put_bytes(0, HEADER);
        if length >= SHORT && compression.compress(&plain, out) {
            let header = Header { length: out.len().saturating_sub(body), number, holds: length };
            out.get_mut(start..body).unwrap_or_default().copy_from_slice(&header.bytes());
        } else {
            out.get_mut(start..body).unwrap_or_default().copy_from_slice(&Header { length, number, holds: 0 }.bytes());
            out.put_slice(&plain);
        }
        crate::give_back_buffer(plain);
    }
}
