//! One end of a TCP connection: the socket and the bytes that arrived and were not consumed yet.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use crate::buffers::{self, BUFFER};

/// A read is worth a system call only if it can bring at least this much.
const WORTHWHILE: usize = 2 * 1024;

/// A socket with its inbox. While the inbox is empty and nothing arrives, it owns no buffer.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    /// `None` while idle.
    inbox: Option<BytesMut>,
}

impl Link {
    /// Takes the socket over; small packets are sent at once (`TCP_NODELAY`).
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, inbox: None })
    }

    /// Has the system find out whether the peer's host is still there: it may vanish without a word. Half a minute of silence on an idle
    /// connection, or of bytes that nobody acknowledges, ends it.
    pub fn watch_peer(&self) -> io::Result<()> {
        const SILENCE: Duration = Duration::from_secs(15);
        const PROBES: Duration = Duration::from_secs(5);
        let socket = SockRef::from(&self.stream);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(PROBES).with_retries(3))?;
        socket.set_tcp_user_timeout(Some(2 * SILENCE))
    }

    /// Has the runtime of this thread look after the socket, in place of the one of the thread that it was opened on.
    pub fn move_here(&mut self) -> io::Result<()> {
        let socket = SockRef::from(&self.stream).try_clone()?;
        self.stream = TcpStream::from_std(socket.into())?;
        Ok(())
    }

    /// The bytes that arrived and were not consumed.
    pub fn bytes(&self) -> &[u8] {
        self.inbox.as_deref().unwrap_or_default()
    }

    /// The same, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.inbox.as_deref_mut().unwrap_or_default()
    }

    /// Drops the first `count` bytes of the inbox (all of them, if there are fewer).
    pub fn consume(&mut self, count: usize) {
        let Some(inbox) = &mut self.inbox else { return };
        if count >= inbox.len() {
            self.release();
        } else {
            inbox.advance(count);
        }
    }

    /// Gives the buffer back, with whatever is in it.
    pub fn release(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            buffers::give_back(inbox);
        }
    }

    /// Takes the first `count` bytes out of the inbox (all of them, if there are fewer): its buffer, if that is all that it holds, else a copy.
    pub fn take(&mut self, count: usize) -> BytesMut {
        let Some(mut inbox) = self.inbox.take() else { return BytesMut::new() };
        if count >= inbox.len() {
            return inbox;
        }
        let mut taken = buffers::take();
        taken.extend_from_slice(inbox.get(..count).unwrap_or_default());
        inbox.advance(count);
        self.inbox = Some(inbox);
        taken
    }

    /// Makes room for `total` unconsumed bytes. The caller has checked `total` against a limit.
    pub fn reserve(&mut self, total: usize) {
        let inbox = self.inbox.get_or_insert_with(buffers::take);
        inbox.reserve(total.saturating_sub(inbox.len()));
    }

    /// Reads what is there, at least one byte; 0 means that the peer has closed its side.
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// The polled form of [`Link::fill`].
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Asked first, so that waiting takes no buffer.
        ready!(self.stream.poll_read_ready(cx))?;
        let inbox = self.inbox.get_or_insert_with(buffers::take);
        if inbox.capacity() - inbox.len() < WORTHWHILE {
            inbox.reserve(BUFFER);
        }
        let result = poll_read_buf(Pin::new(&mut self.stream), cx, inbox);
        if inbox.is_empty() {
            self.release();
        }
        Poll::Ready(ready!(result))
    }

    /// Writes all of it, waiting while the peer does not read.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends the first `count` bytes of `from`'s inbox and consumes them: the relay's way of passing bytes on uncopied.
    pub async fn send_from(&mut self, from: &mut Link, count: usize) -> io::Result<()> {
        self.stream.write_all(from.bytes().get(..count).unwrap_or_default()).await?;
        from.consume(count);
        Ok(())
    }

    /// Whether nothing has arrived and the peer has not closed: the state in which an idle server connection must be.
    pub fn is_quiet(&self) -> bool {
        let mut probe = [0; 1];
        self.bytes().is_empty()
            && matches!(self.stream.try_read(&mut probe), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits until the peer sends something or closes.
    pub async fn stir(&self) -> io::Result<()> {
        self.stream.ready(Interest::READABLE).await.map(|_| ())
    }

    /// Says that nothing more will be sent; errors do not matter any more.
    pub async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.release();
    }
}
