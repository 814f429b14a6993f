//! Compression between a link's stream and its inbox.
//!
//! Invariant: a frame that has arrived completely is decoded before anybody waits for the socket, unless it begins another command than the one whose
//! bytes are in the inbox.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::task::{spawn_blocking, yield_now};

use super::{Inbox, Stream};
use crate::buffers;
use crate::compression::{Compression, Decoded, Frames, Role};

/// While the next command waits for the present one to be consumed, most of it that is read, in bytes.
const READ_AHEAD: usize = 8 * 1024;

/// More than this is compressed on another thread, as the worker's other sessions would wait for it, in bytes.
const MUCH: usize = 128 * 1024;

/// What is being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Commands or answers.
    Packets,
    /// A file, in the middle of a command.
    File,
}

/// What a compressed link has besides. Idle, it owns no buffer.
#[derive(Debug)]
pub(super) struct Compressed {
    frames: Frames,
    /// What has arrived and was not decoded.
    raw: Inbox,
    /// The beginning of a packet for a client. It has at most 16 MiB.
    unsent: BytesMut,
}

impl Compressed {
    pub(super) fn new(compression: Compression, role: Role, raw: Inbox) -> Self {
        Self { frames: Frames::new(compression, role), raw, unsent: BytesMut::new() }
    }

    /// Everything that has arrived was decoded.
    pub(super) fn is_empty(&self) -> bool {
        self.raw.bytes().is_empty()
    }

    /// It owns no buffer.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.raw.0.is_none() && self.unsent.capacity() == 0
    }

    #[cfg(test)]
    pub(super) fn raw_length(&self) -> usize {
        self.raw.bytes().len()
    }

    /// This many bytes of the inbox were consumed.
    pub(super) fn consumed(&mut self, count: usize) {
        if count > 0 {
            self.frames.consumed();
        }
    }

    pub(super) fn answer_number(&self) -> u8 {
        self.frames.answer_number()
    }

    /// Appends what one frame holds. It is decoded as a whole, so a frame of which a part is here counts as not here.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, stream: &mut Stream, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        loop {
            match self.decode(inbox)? {
                Decoded::Bytes(count) => return Poll::Ready(Ok(count)),
                // Whoever consumes the present command asks again.
                Decoded::NextCommand if self.raw.bytes().len() >= READ_AHEAD => return Poll::Pending,
                Decoded::NextCommand | Decoded::Incomplete(_) => {}
            }
            if ready!(stream.poll_fill(cx, &mut self.raw))? == 0 {
                return Poll::Ready(Ok(0));
            }
        }
    }

    fn decode(&mut self, inbox: &mut Inbox) -> io::Result<Decoded> {
        let Some(raw) = &mut self.raw.0 else { return Ok(Decoded::Incomplete(0)) };
        let plain = inbox.whole();
        let decoded = self.frames.decode(raw, plain);
        if plain.is_empty() {
            inbox.release();
        }
        if let Ok(Decoded::Incomplete(needed)) = decoded {
            raw.reserve(needed.saturating_sub(raw.len()));
        }
        if raw.is_empty() {
            self.raw.release();
        }
        decoded.map_err(crate::LinkError::into_io)
    }

    /// Writes all of it, but for the beginning of a packet for a client, which waits for the rest.
    pub(super) async fn send(&mut self, stream: &mut Stream, bytes: &[u8], sent: Sent) -> io::Result<()> {
        let mut waiting = std::mem::take(&mut self.unsent);
        let mut rest = bytes;
        if !waiting.is_empty() {
            waiting.extend_from_slice(bytes);
            rest = &waiting;
        }
        let mut out = buffers::take();
        while let Some(content) = self.frames.next_content(rest, sent == Sent::File) {
            let length = content.len();
            rest = rest.get(length..).unwrap_or_default();
            if length > MUCH {
                out = spawn_blocking(move || content.written_after(out)).await?;
            } else {
                content.write(&mut out);
            }
            // Commands and answers that fit go out in one write.
            if rest.is_empty() || out.len() >= buffers::BUFFER {
                stream.send(&out).await?;
                out.clear();
                // Compressing is work, and a socket that takes everything makes no pause in it.
                if !rest.is_empty() {
                    yield_now().await;
                }
            }
        }
        stream.send(&out).await?;
        buffers::give_back(out);
        let left = rest.len();
        if waiting.is_empty() && left > 0 {
            self.unsent = buffers::take();
            self.unsent.extend_from_slice(bytes.get(bytes.len().saturating_sub(left)..).unwrap_or_default());
        } else if left > 0 {
            waiting.advance(waiting.len().saturating_sub(left));
            self.unsent = waiting;
        } else if waiting.capacity() > 0 {
            buffers::give_back(waiting);
        }
        Ok(())
    }

    pub(super) fn is_quiet(&mut self, stream: &mut Stream) -> bool {
        stream.is_quiet(&mut self.raw)
    }
}
