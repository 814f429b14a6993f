//! One end of a connection: a TCP socket, with or without TLS, or a Unix socket, with or without compression, and the bytes that have arrived and are not consumed yet.

mod compressed;

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::io::poll_read_buf;

use self::compressed::{Compressed, Sent};
use crate::buffers::{self, BUFFER};
use crate::compression::{Compression, Role};
use crate::tls::TlsStream;
use crate::{LinkError, TlsAcceptor, TlsConnector};

/// A read is worth a system call only if it can bring at least this much.
const WORTHWHILE: usize = 2 * 1024;

/// A socket with its inbox. While the inbox is empty and nothing arrives, it owns no buffer, but for what rustls keeps.
#[derive(Debug)]
pub struct Link {
    stream: Stream,
    inbox: Inbox,
    /// Boxed like TLS. It knows the bytes that have arrived and are not in the inbox.
    compressed: Option<Box<Compressed>>,
    /// The peer has closed its side, and all that it sent was read.
    has_ended: bool,
}

/// Most are plain and short-lived futures hold them, so the large kind is boxed.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
    /// A process of this machine, and never with TLS: there is nobody in between.
    Unix(UnixStream),
}

impl Stream {
    fn as_socket(&self) -> SockRef<'_> {
        match self {
            Self::Plain(socket) => SockRef::from(socket),
            Self::Tls(tls) => SockRef::from(&tls.socket),
            Self::Unix(socket) => SockRef::from(socket),
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        // Readiness is asked for first, so that waiting takes no buffer.
        match self {
            Self::Plain(socket) => {
                ready!(socket.poll_read_ready(cx))?;
                poll_read_into(socket, cx, inbox)
            }
            Self::Tls(tls) => tls.poll_fill(cx, inbox),
            Self::Unix(socket) => {
                ready!(socket.poll_read_ready(cx))?;
                poll_read_into(socket, cx, inbox)
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => send_all(socket, bytes).await,
            Self::Tls(tls) => tls.send(bytes).await,
            Self::Unix(socket) => send_all(socket, bytes).await,
        }
    }

    fn is_quiet(&mut self, inbox: &mut Inbox) -> bool {
        let mut probe = [0; 1];
        let read = match self {
            Self::Plain(socket) => socket.try_read(&mut probe),
            Self::Tls(tls) => return tls.is_quiet(inbox),
            Self::Unix(socket) => socket.try_read(&mut probe),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Sends what the socket takes at once, and waits only with the rest. tokio waits until it has been told that a socket can be written to, which for one that
/// was just registered takes another turn of its loop.
async fn send_all(socket: &mut (impl AsyncWrite + AsFd + Unpin), bytes: &[u8]) -> io::Result<()> {
    let sent = match SockRef::from(&*socket).send(bytes) {
        Ok(sent) => sent,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
        Err(error) => return Err(error),
    };
    socket.write_all(bytes.get(sent..).unwrap_or_default()).await
}

/// Reads what is there from a socket that seems to be readable.
#[inline]
fn poll_read_into(socket: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
    let buffer = inbox.whole();
    if buffer.capacity() - buffer.len() < WORTHWHILE {
        buffer.reserve(BUFFER);
    }
    let result = poll_read_buf(Pin::new(socket), cx, buffer);
    if buffer.is_empty() {
        inbox.release();
    }
    Poll::Ready(ready!(result))
}

/// What has arrived and was not consumed. `None` while that is nothing.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Option<BytesMut>);

impl Inbox {
    /// Its buffer, an empty one if it had none.
    pub(crate) fn whole(&mut self) -> &mut BytesMut {
        self.0.get_or_insert_with(buffers::take)
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    fn release(&mut self) {
        if let Some(buffer) = self.0.take() {
            buffers::give_back(buffer);
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.release();
    }
}

impl Link {
    /// Takes the socket over; small packets are sent at once (`TCP_NODELAY`).
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::accepted(stream))
    }

    /// Takes over a socket that a listener has accepted which [`watch_peers`] has prepared: it has inherited all options.
    pub fn accepted(stream: TcpStream) -> Self {
        Self::over(Stream::Plain(stream), Inbox::default())
    }

    /// Takes over the socket of a process of this machine.
    pub fn unix(stream: UnixStream) -> Self {
        Self::over(Stream::Unix(stream), Inbox::default())
    }

    fn over(stream: Stream, inbox: Inbox) -> Self {
        Self { stream, inbox, compressed: None, has_ended: false }
    }

    /// Goes on encrypted, as the server. The client may have begun already: what is in the inbox counts as TLS's and as nothing else.
    pub async fn accept_tls(mut self, acceptor: &TlsAcceptor) -> Result<Self, LinkError> {
        let Stream::Plain(socket) = self.stream else { return Err(LinkError::ClearBeforeTls) };
        let early = std::mem::take(&mut self.inbox);
        let tls = TlsStream::accept(socket, acceptor, early.bytes(), &mut self.inbox).await?;
        Ok(Self::over(Stream::Tls(tls), self.inbox))
    }

    /// Goes on encrypted, as the client of a server that is reached by this name or address. The server must not have said anything more in clear.
    pub async fn connect_tls(mut self, connector: &TlsConnector, host: &str) -> Result<Self, LinkError> {
        let Stream::Plain(socket) = self.stream else { return Err(LinkError::ClearBeforeTls) };
        if !self.inbox.bytes().is_empty() {
            return Err(LinkError::ClearBeforeTls);
        }
        let tls = TlsStream::connect(socket, connector, host, &mut self.inbox).await?;
        Ok(Self::over(Stream::Tls(tls), self.inbox))
    }

    /// Goes on compressed: to be called after the login. What has arrived since is compressed as well.
    #[must_use]
    pub fn compress(mut self, compression: Compression, role: Role) -> Self {
        let raw = std::mem::take(&mut self.inbox);
        Self { compressed: Some(Box::new(Compressed::new(compression, role, raw))), ..self }
    }

    /// The number that the first packet of the answer to what was sent last has on a connection that is not compressed. `None`: this is one.
    pub fn answer_number(&self) -> Option<u8> {
        self.compressed.as_ref().map(|compressed| compressed.answer_number())
    }

    /// It is compressed: the peer numbers its packets otherwise than on a plain connection.
    pub fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// It does not leave this machine: a Unix socket.
    pub fn is_local(&self) -> bool {
        matches!(self.stream, Stream::Unix(_))
    }

    /// It has TLS.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The certificate that this side has shown to its client, DER. `None`: there is no TLS, or this is the client.
    pub fn own_certificate(&self) -> Option<&[u8]> {
        match &self.stream {
            Stream::Tls(tls) => tls.own_certificate(),
            Stream::Plain(_) | Stream::Unix(_) => None,
        }
    }

    /// The handshake went on with a former session.
    #[cfg(test)]
    pub(crate) fn is_resumed(&self) -> bool {
        matches!(&self.stream, Stream::Tls(tls) if tls.is_resumed())
    }

    /// Has the operating system check that the peer's host is still there. Half a minute without an answer to keep-alive probes, or with
    /// unacknowledged bytes, ends the connection.
    pub fn watch_peer(&self) -> io::Result<()> {
        watch(&self.stream.as_socket())
    }

    /// Registers the socket with this thread's runtime instead of that of the thread on which it was opened.
    pub fn move_here(&mut self) -> io::Result<()> {
        let cloned = self.stream.as_socket().try_clone()?;
        match &mut self.stream {
            Stream::Plain(socket) => *socket = TcpStream::from_std(cloned.into())?,
            Stream::Tls(tls) => tls.socket = TcpStream::from_std(cloned.into())?,
            Stream::Unix(socket) => *socket = UnixStream::from_std(cloned.into())?,
        }
        Ok(())
    }

    /// The bytes that have arrived and are not consumed yet.
    pub fn bytes(&self) -> &[u8] {
        self.inbox.bytes()
    }

    /// The same, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.inbox.0.as_deref_mut().unwrap_or_default()
    }

    /// Drops the first `count` bytes of the inbox (all of them, if there are fewer).
    pub fn consume(&mut self, count: usize) {
        let Some(inbox) = &mut self.inbox.0 else { return };
        if let Some(compressed) = &mut self.compressed {
            compressed.consumed(count);
        }
        if count >= inbox.len() {
            self.inbox.release();
        } else {
            inbox.advance(count);
        }
    }

    /// Gives the buffer back, with whatever is in it.
    pub fn release(&mut self) {
        let count = self.bytes().len();
        self.consume(count);
        self.inbox.release();
    }

    /// Takes the first `count` bytes out of the inbox (all of them, if there are fewer): its buffer, if that is all that it holds, else a copy.
    pub fn take(&mut self, count: usize) -> BytesMut {
        let Some(mut inbox) = self.inbox.0.take() else { return BytesMut::new() };
        if let Some(compressed) = &mut self.compressed {
            compressed.consumed(count);
        }
        if count >= inbox.len() {
            return inbox;
        }
        let mut taken = buffers::take();
        taken.extend_from_slice(inbox.get(..count).unwrap_or_default());
        inbox.advance(count);
        self.inbox.0 = Some(inbox);
        taken
    }

    /// Makes room for `total` unconsumed bytes. The caller has checked `total` against a limit.
    pub fn reserve(&mut self, total: usize) {
        let inbox = self.inbox.whole();
        inbox.reserve(total.saturating_sub(inbox.len()));
    }

    /// Reads what is there, at least one byte; 0 means that the peer has closed its side.
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// The polled form of [`Link::fill`].
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = ready!(match &mut self.compressed {
            Some(compressed) => compressed.poll_fill(cx, &mut self.stream, &mut self.inbox),
            None => self.stream.poll_fill(cx, &mut self.inbox),
        });
        self.has_ended = matches!(read, Ok(0));
        Poll::Ready(read)
    }

    /// Writes all of it, waiting while the peer does not read.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.compressed {
            Some(compressed) => compressed.send(&mut self.stream, bytes, Sent::Packets).await,
            None => self.stream.send(bytes).await,
        }
    }

    /// Sends the first `count` bytes of `from`'s inbox and consumes them: the relay's way of passing bytes on uncopied.
    pub async fn send_from(&mut self, from: &mut Link, count: usize) -> io::Result<()> {
        self.send(from.bytes().get(..count).unwrap_or_default()).await?;
        from.consume(count);
        Ok(())
    }

    /// The same in the middle of a command: what is sent is a file that the server has asked for.
    pub async fn send_file_from(&mut self, from: &mut Link, count: usize) -> io::Result<()> {
        let file = from.bytes().get(..count).unwrap_or_default();
        match &mut self.compressed {
            Some(compressed) => compressed.send(&mut self.stream, file, Sent::File).await?,
            None => self.stream.send(file).await?,
        }
        from.consume(count);
        Ok(())
    }

    /// Nothing has arrived that was not consumed.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty() && self.compressed.as_ref().is_none_or(|compressed| compressed.is_empty())
    }

    /// Whether nothing has arrived and the peer has not closed: the state in which an idle server connection must be.
    pub fn is_quiet(&mut self) -> bool {
        if !self.is_empty() {
            return false;
        }
        match &mut self.compressed {
            Some(compressed) => compressed.is_quiet(&mut self.stream),
            None => self.stream.is_quiet(&mut self.inbox),
        }
    }

    /// Waits until the peer sends something, be it only TLS's own, or closes.
    pub async fn stir(&self) -> io::Result<()> {
        let ready = match &self.stream {
            Stream::Plain(socket) => socket.ready(Interest::READABLE).await,
            Stream::Tls(tls) => tls.socket.ready(Interest::READABLE).await,
            Stream::Unix(socket) => socket.ready(Interest::READABLE).await,
        };
        ready.map(|_| ())
    }

    /// Says that nothing more will be sent; errors do not matter any more.
    pub async fn close(mut self) {
        let _ = match &mut self.stream {
            // Nothing that was sent can be lost by closing it: the peer has closed its side, and is read to the end.
            Stream::Plain(_) if self.has_ended => Ok(()),
            Stream::Plain(socket) => socket.shutdown().await,
            Stream::Tls(tls) => {
                tls.say_goodbye().await;
                tls.socket.shutdown().await
            }
            Stream::Unix(socket) => socket.shutdown().await,
        };
    }
}

/// Gives a socket that listens, and so each that it accepts, the options of [`Link::new`] and [`Link::watch_peer`], which would cost six system calls for
/// each client.
pub fn watch_peers(listener: &SockRef<'_>) -> io::Result<()> {
    listener.set_tcp_nodelay(true)?;
    watch(listener)
}

fn watch(socket: &SockRef<'_>) -> io::Result<()> {
    const SILENCE: Duration = Duration::from_secs(15);
    const PROBES: Duration = Duration::from_secs(5);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(PROBES).with_retries(3))?;
    socket.set_tcp_user_timeout(Some(2 * SILENCE))
}

#[cfg(test)]
mod tests;
