//! One command of a client, which owns its bytes: the client's stream can be read and written while it is under way.

use std::borrow::Cow;

use bytes::BytesMut;
use wire::{Frame, frame};

/// A whole logical packet, with its headers. Dropped, its buffer serves the next one.
#[derive(Debug)]
pub(crate) struct Packet(BytesMut);

impl Packet {
    /// From bytes that [`frame`] has found to be whole.
    pub(crate) fn new(bytes: BytesMut) -> Self {
        Self(bytes)
    }

    /// All of it, as it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Without headers: borrowed where it came in one physical packet. Empty once it was released.
    pub(crate) fn payload(&self) -> Cow<'_, [u8]> {
        match frame(&self.0, 0, usize::MAX) {
            Frame::Whole { payload, .. } => payload,
            _ => Cow::Borrowed(&[]),
        }
    }

    /// With headers, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// It is not needed any more, and may be many megabytes.
    pub(crate) fn release(&mut self) {
        net::give_back_buffer(std::mem::take(&mut self.0));
    }

    /// It will wait for long.
    pub(crate) fn compact(&mut self) {
        net::compact_buffer(&mut self.0);
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        if self.0.capacity() > 0 {
            self.release();
        }
    }
}
