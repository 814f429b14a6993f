//! A login: packets strictly one after the other, numbered through, from either side.

use bytes::BytesMut;
use wire::{Frame, frame, put_packet};

use crate::{Link, LinkError};

/// A link during its login.
#[derive(Debug)]
pub struct Exchange {
    link: Link,
    sequence: u8,
    /// No packet may be longer, in bytes: nobody is trusted yet.
    max_packet: usize,
}

impl Exchange {
    /// Begins with packet number 0, whoever sends it.
    pub fn new(link: Link, max_packet: usize) -> Self {
        Self { link, sequence: 0, max_packet }
    }

    /// The next packet of the peer.
    pub async fn receive(&mut self) -> Result<Vec<u8>, LinkError> {
        let (payload, sequence) = receive_packet(&mut self.link, self.sequence, self.max_packet).await?;
        self.sequence = sequence.wrapping_add(1);
        Ok(payload)
    }

    /// Sends the next packet.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), LinkError> {
        let mut packet = BytesMut::new();
        self.sequence = put_packet(&mut packet, self.sequence, payload);
        Ok(self.link.send(&packet).await?)
    }

    /// The login is over. What the peer has sent beyond it is in the link's inbox.
    pub fn into_link(self) -> Link {
        self.link
    }
}

/// The next packet of a peer, whose number must be this one, and the number of its last part.
pub async fn receive_packet(link: &mut Link, sequence: u8, max_packet: usize) -> Result<(Vec<u8>, u8), LinkError> {
    loop {
        match frame(link.bytes(), sequence, max_packet) {
            Frame::Whole { payload, sequence, length } => {
                let payload = payload.into_owned();
                link.consume(length);
                return Ok((payload, sequence));
            }
            Frame::Incomplete { needed } => link.reserve(needed),
            Frame::TooLarge { .. } => return Err(LinkError::TooLarge),
            Frame::OutOfOrder { .. } => return Err(LinkError::OutOfOrder),
        }
        if link.fill().await? == 0 {
            return Err(LinkError::Closed);
        }
    }
}
