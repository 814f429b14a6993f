//! An encrypted stream: a socket, and rustls between it and the inbox.
//!
//! Invariant: decrypted bytes are in the inbox before any of these functions returns. So rustls never holds bytes that a reader waits for, and the
//! socket's readiness means the same as without TLS.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, BufRead as _, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rustls::{ClientConnection, Connection, ServerConnection};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{TlsAcceptor, TlsConnector};
use crate::LinkError;
use crate::link::Inbox;

/// Most bytes of one read: nearly two of TLS's largest records.
const READ: usize = 32 * 1024;

/// Most bytes that are encrypted at once, and wait while the peer does not read.
const UNSENT_MAX: usize = 32 * 1024;

/// After this many reads, a peer that sends only TLS's own records does not count as quiet.
const OWN_RECORDS_MAX: usize = 16;

thread_local! {
    /// Bytes that were just read, still encrypted. rustls copies them, so one buffer is enough for all streams.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// A socket on which TLS has been agreed.
#[derive(Debug)]
pub(crate) struct TlsStream {
    pub(crate) socket: TcpStream,
    session: Connection,
    /// What this side has shown, as the server; DER.
    certificate: Option<Arc<[u8]>>,
    /// Nothing more comes: the peer has sent `close_notify`, or closed its side of the socket.
    has_ended: bool,
}

impl TlsStream {
    /// The server's side. `early` is what the client has already sent of the handshake. These bytes go to TLS only: unencrypted bytes that an attacker has
    /// inserted as the client's end the handshake.
    pub(crate) async fn accept(
        socket: TcpStream,
        acceptor: &TlsAcceptor,
        early: &[u8],
        inbox: &mut Inbox,
    ) -> Result<Box<Self>, LinkError> {
        let session = ServerConnection::new(Arc::clone(&acceptor.config))?;
        Self::begin(socket, session.into(), Some(Arc::clone(&acceptor.certificate)), early, inbox).await
    }

    /// The client's side, for a server with this name or address.
    pub(crate) async fn connect(
        socket: TcpStream,
        connector: &TlsConnector,
        host: &str,
        inbox: &mut Inbox,
    ) -> Result<Box<Self>, LinkError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| LinkError::NoTlsName(host.to_owned()))?;
        let session = ClientConnection::new(connector.0.clone(), name)?;
        Self::begin(socket, session.into(), None, &[], inbox).await
    }

    async fn begin(
        socket: TcpStream,
        mut session: Connection,
        certificate: Option<Arc<[u8]>>,
        early: &[u8],
        inbox: &mut Inbox,
    ) -> Result<Box<Self>, LinkError> {
        session.set_buffer_limit(Some(UNSENT_MAX));
        let mut stream = Box::new(Self { socket, session, certificate, has_ended: false });
        let mut early = Some(early);
        let outcome = poll_fn(|cx| stream.poll_handshake(cx, &mut early, inbox)).await;
        if outcome.is_err() {
            // The peer is told why, if there is room for that.
            poll_fn(|cx| Poll::Ready(stream.poll_flush(cx).is_ready())).await;
        }
        outcome.map(|()| stream)
    }

    fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        early: &mut Option<&[u8]>,
        inbox: &mut Inbox,
    ) -> Poll<Result<(), LinkError>> {
        loop {
            ready!(self.poll_flush(cx))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.has_ended {
                return Poll::Ready(Err(LinkError::Closed));
            }
            match early.take() {
                Some(bytes) => self.decrypt(bytes, inbox).map_err(LinkError::from)?,
                None => ready!(self.poll_read(cx, inbox))?,
            };
        }
    }

    /// Waits for bytes and puts what they decrypt to into the inbox. 0 if that is nothing because the peer has closed its side.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        loop {
            if self.has_ended {
                return Poll::Ready(Ok(0));
            }
            let count = match ready!(self.poll_read(cx, inbox)) {
                Ok(count) => count,
                Err(LinkError::Lost(error)) => return Poll::Ready(Err(error)),
                Err(error) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
            };
            // A record that is not whole yet, or one of TLS itself, is nothing to the caller.
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
        }
    }

    /// One read of the socket, and how many bytes that has brought to the inbox.
    fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<Result<usize, LinkError>> {
        let read = READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                self.has_ended = true;
            }
            Poll::Ready(self.decrypt(buffer.filled(), inbox).map_err(LinkError::from))
        });
        let read = ready!(read);
        // TLS itself may have to answer, or to send an alert. What does not fit now goes out with the next bytes.
        let _ = self.poll_flush(cx);
        Poll::Ready(read)
    }

    fn decrypt(&mut self, mut bytes: &[u8], inbox: &mut Inbox) -> Result<usize, rustls::Error> {
        let mut count = 0_usize;
        while !bytes.is_empty() && !self.has_ended {
            // It takes them in by pieces.
            match self.session.read_tls(&mut bytes) {
                Ok(1..) => {}
                Ok(0) => break,
                Err(error) => return Err(rustls::Error::General(error.to_string())),
            }
            let state = self.session.process_new_packets()?;
            self.has_ended = state.peer_has_closed();
            if state.plaintext_bytes_to_read() > 0 {
                count = count.saturating_add(self.take_out(inbox.whole()));
            }
        }
        Ok(count)
    }

    /// Moves all that is decrypted.
    fn take_out(&mut self, inbox: &mut BytesMut) -> usize {
        let mut count = 0_usize;
        let mut reader = self.session.reader();
        while let Ok(chunk @ [_, ..]) = reader.fill_buf() {
            let length = chunk.len();
            inbox.extend_from_slice(chunk);
            reader.consume(length);
            count = count.saturating_add(length);
        }
        count
    }

    /// Encrypts and writes all of it, waiting while the peer does not read.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| {
            loop {
                ready!(self.poll_flush(cx))?;
                if bytes.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let taken = self.session.writer().write(bytes)?;
                bytes = bytes.get(taken..).unwrap_or_default();
            }
        })
        .await
    }

    /// Writes what is encrypted already.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut ToSocket(&mut self.socket, cx)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the peer has not closed, and nothing has come but what TLS says for itself: a TLS 1.3 server sends tickets for later sessions whenever
    /// it likes. What else has come is in the inbox afterwards. A record of which only a part is here counts as not here, as does what comes a moment
    /// later.
    pub(crate) fn is_quiet(&mut self, inbox: &mut Inbox) -> bool {
        READ_BUFFER.with_borrow_mut(|buffer| {
            for _ in 0..OWN_RECORDS_MAX {
                if self.has_ended {
                    return false;
                }
                match self.socket.try_read(buffer) {
                    Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
                    Ok(0) => return false,
                    Ok(count) => {
                        if !matches!(self.decrypt(buffer.get(..count).unwrap_or_default(), inbox), Ok(0)) {
                            return false;
                        }
                    }
                }
            }
            false
        })
    }

    /// The certificate that this side has shown, as the server; DER.
    pub(crate) fn own_certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    #[cfg(test)]
    pub(crate) fn is_resumed(&self) -> bool {
        self.session.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Sends `close_notify`, if that is possible at once.
    pub(crate) async fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        poll_fn(|cx| Poll::Ready(self.poll_flush(cx).is_ready())).await;
    }
}

/// The socket, as rustls writes to it.
struct ToSocket<'a, 'b>(&'a mut TcpStream, &'a mut Context<'b>);

impl ToSocket<'_, '_> {
    fn done(written: Poll<io::Result<usize>>) -> io::Result<usize> {
        match written {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for ToSocket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::done(Pin::new(&mut *self.0).poll_write(self.1, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // The usual case, and `send` costs less than `writev`.
            [only] => self.write(only),
            _ => Self::done(Pin::new(&mut *self.0).poll_write_vectored(self.1, slices)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
