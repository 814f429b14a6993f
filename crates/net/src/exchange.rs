//! A login: both sides send packets strictly in turn, with consecutive numbers.

use bytes::BytesMut;
use wire::{Frame, frame, put_packet};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Link, LinkError, TlsAcceptor, TlsConnector};

/// A link during its login.
#[derive(Debug)]
pub struct Exchange {
    link: Link,
    sequence: u8,
    /// What goes out with the next packet.
    queued: BytesMut,
    /// No packet may be longer, in bytes: the peer is not trusted yet.
    max_packet: usize,
}

impl Exchange {
    /// The first packet has number 0, whichever side sends it.
    pub fn new(link: Link, max_packet: usize) -> Self {
        Self::resume(link, 0, max_packet)
    }

    /// In the middle of a connection's life: the next packet has this number.
    pub fn resume(link: Link, sequence: u8, max_packet: usize) -> Self {
        Self { link, sequence, queued: BytesMut::new(), max_packet }
    }

    /// The next packet of the peer. Over TLS it may be a password.
    pub async fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        let (payload, sequence) = receive_packet(&mut self.link, self.sequence, self.max_packet).await?;
        self.sequence = sequence.wrapping_add(1);
        Ok(Zeroizing::new(payload))
    }

    /// Adds the next packet, which is sent together with the one after it.
    pub fn queue(&mut self, payload: &[u8]) {
        self.queued.reserve(wire::HEADER.saturating_add(payload.len()));
        self.sequence = put_packet(&mut self.queued, self.sequence, payload);
    }

    /// Sends the next packet. Over TLS it may be a password.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), LinkError> {
        self.queue(payload);
        let mut packet = std::mem::take(&mut self.queued);
        let sent = self.link.send(&packet).await;
        packet.zeroize();
        Ok(sent?)
    }

    /// Goes on encrypted, as the server: to be called when the client has asked for it.
    pub async fn accept_tls(self, acceptor: &TlsAcceptor) -> Result<Self, LinkError> {
        let link = self.link.accept_tls(acceptor).await?;
        Ok(Self { link, ..self })
    }

    /// Goes on encrypted, as the client: to be called when the server has been asked for it.
    pub async fn connect_tls(self, connector: &TlsConnector, host: &str) -> Result<Self, LinkError> {
        let link = self.link.connect_tls(connector, host).await?;
        Ok(Self { link, ..self })
    }

    /// It does not leave this machine.
    pub fn is_local(&self) -> bool {
        self.link.is_local()
    }

    /// It has TLS.
    pub fn is_encrypted(&self) -> bool {
        self.link.is_encrypted()
    }

    /// The certificate that this side has shown to its client, DER. `None`: there is no TLS, or this is the client.
    pub fn own_certificate(&self) -> Option<&[u8]> {
        self.link.own_certificate()
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
                // The buffer is used again as it is.
                if let Some(read) = link.bytes_mut().get_mut(..length) {
                    read.zeroize();
                }
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
