//! Between a client and opensrv-mysql: one whole packet at a time, of the commands that it does right.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use bytes::{Buf as _, Bytes, BytesMut};
use net::{Link, LinkError};
use opensrv_mysql::AsyncMysqlIntermediary;
use tokio::io::{AsyncRead, AsyncReadExt as _, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use wire::error_code::{ER_NET_PACKET_TOO_LARGE, ER_UNKNOWN_COM_ERROR, sqlstate};
use wire::{Capabilities, ErrPacket, Expect, Frame, Login, ResponseTracker, Step, frame, put_packet, put_packet_with};

use super::shim::Shim;

/// The longest statement.
const PACKET_MAX: usize = 64 * 1024;

/// Bytes of an answer that wait while the client does not read.
const ANSWER: usize = 64 * 1024;

const COM_QUIT: u8 = 0x01;
const COM_INIT_DB: u8 = 0x02;
const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0e;
const COM_STMT_SEND_LONG_DATA: u8 = 0x18;
const COM_STMT_CLOSE: u8 = 0x19;
const COM_RESET_CONNECTION: u8 = 0x1f;

/// An opensrv-mysql of its own for each client.
pub(super) struct Served {
    packets: mpsc::Sender<Bytes>,
    answers: DuplexStream,
    capabilities: Capabilities,
    _task: AbortOnDropHandle<()>,
}

/// What becomes of a command.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It is passed on, perhaps in other words.
    Pass(Vec<u8>, Expect),
    /// It has no answer.
    Drop,
    /// It is not known here.
    Refuse,
    /// The client leaves.
    Leave,
}

impl Fate {
    fn of(payload: &[u8]) -> Self {
        match payload.split_first() {
            Some((&COM_QUIT, _)) => Self::Leave,
            // It drops the connection if a text is no UTF-8.
            Some((&command @ (COM_QUERY | COM_INIT_DB), text)) => {
                let text = String::from_utf8_lossy(text);
                let expect = if command == COM_QUERY { Expect::Query } else { Expect::Ok };
                Self::Pass([&[command], text.as_bytes()].concat(), expect)
            }
            // There is nothing to reset.
            Some((&(COM_PING | COM_RESET_CONNECTION), _)) => Self::Pass(vec![COM_PING], Expect::Ok),
            Some((&(COM_STMT_CLOSE | COM_STMT_SEND_LONG_DATA), _)) => Self::Drop,
            _ => Self::Refuse,
        }
    }
}

impl Served {
    /// Starts one for a client with these capabilities that has logged in.
    pub(super) async fn start(router: Router, capabilities: Capabilities) -> Result<Self, LinkError> {
        let (packets, waiting) = mpsc::channel(1);
        let (answers, out) = duplex(ANSWER);
        let reader = Packets { waiting, current: Bytes::new() };
        let task = tokio::spawn(async move {
            // An error is the end of the client, too, which finds its answers ended.
            if let Err(error) = AsyncMysqlIntermediary::run_on(Shim::new(router), reader, out).await {
                tracing::debug!(%error, "the console's session has ended");
            }
        });
        let mut served = Self { packets, answers, capabilities, _task: AbortOnDropHandle::new(task) };
        // The client has had its greeting and its OK already.
        served.read_packet().await?;
        let mut login = BytesMut::new();
        let what = capabilities & !(Capabilities::CONNECT_WITH_DB | Capabilities::PLUGIN_AUTH);
        let user = &b"admin"[..];
        let own = Login {
            capabilities: what,
            user,
            max_packet: 0,
            collation: 45,
            auth_response: &[],
            schema: None,
            auth_plugin: None,
            attributes: None,
            zstd_level: 0,
        };
        own.encode(&mut login);
        served.feed(1, &login).await?;
        served.read_packet().await?;
        Ok(served)
    }

    /// Waits for a command and has it answered. False: the client has left.
    pub(super) async fn next_command(&mut self, link: &mut Link) -> Result<bool, LinkError> {
        let payload = loop {
            match frame(link.bytes(), 0, PACKET_MAX) {
                Frame::Whole { length, payload, .. } => {
                    let payload = payload.into_owned();
                    link.consume(length);
                    break payload;
                }
                Frame::Incomplete { .. } => {
                    if link.fill().await? == 0 {
                        return Ok(false);
                    }
                }
                Frame::TooLarge { .. } => {
                    let why = "pointsman: a statement of the console has at most 64 KiB";
                    refuse(link, ER_NET_PACKET_TOO_LARGE, why).await?;
                    return Ok(false);
                }
                Frame::OutOfOrder { .. } => return Err(LinkError::OutOfOrder),
            }
        };
        match Fate::of(&payload) {
            Fate::Leave => return Ok(false),
            Fate::Drop => {}
            Fate::Refuse => refuse(link, ER_UNKNOWN_COM_ERROR, "pointsman: the console answers statements as text only").await?,
            Fate::Pass(payload, expect) => {
                self.feed(0, &payload).await?;
                self.pass_answer(expect, link).await?;
            }
        }
        Ok(true)
    }

    async fn feed(&self, sequence: u8, payload: &[u8]) -> Result<(), LinkError> {
        let mut packet = BytesMut::new();
        put_packet(&mut packet, sequence, payload);
        self.packets.send(packet.freeze()).await.map_err(|_| LinkError::Closed)
    }

    /// Passes on all of an answer, so that the next packet goes out only after it.
    async fn pass_answer(&mut self, expect: Expect, link: &mut Link) -> Result<(), LinkError> {
        let mut tracker = ResponseTracker::new(expect, self.capabilities);
        let (mut bytes, mut ready) = (BytesMut::new(), 0_usize);
        while !tracker.is_done() {
            match tracker.next(bytes.get_mut(ready..).unwrap_or_default(), 0)? {
                Step::Pass(length) | Step::Packet { length, .. } => ready = ready.saturating_add(length),
                Step::DefinitionsEnd => {}
                Step::NeedMore(_) => {
                    link.send(bytes.get(..ready).unwrap_or_default()).await?;
                    bytes.advance(std::mem::take(&mut ready));
                    if self.answers.read_buf(&mut bytes).await? == 0 {
                        return Err(LinkError::Closed);
                    }
                }
                Step::Done => break,
            }
        }
        Ok(link.send(bytes.get(..ready).unwrap_or_default()).await?)
    }

    /// Takes one packet that nobody needs.
    async fn read_packet(&mut self) -> Result<(), LinkError> {
        let mut header = [0; wire::HEADER];
        self.answers.read_exact(&mut header).await?;
        let [low, middle, high, _] = header;
        let mut payload = vec![0; usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16];
        self.answers.read_exact(&mut payload).await?;
        Ok(())
    }
}

async fn refuse(link: &mut Link, code: u16, message: &str) -> Result<(), LinkError> {
    let mut out = BytesMut::new();
    put_packet_with(&mut out, 1, |out| {
        ErrPacket { code, sqlstate: sqlstate(code), message: message.as_bytes() }.encode(out);
    });
    Ok(link.send(&out).await?)
}

/// What opensrv-mysql reads: never bytes of two packets at once.
struct Packets {
    waiting: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl AsyncRead for Packets {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.current.is_empty() {
            // Nothing more is the end.
            let Some(next) = ready!(self.waiting.poll_recv(cx)) else { return Poll::Ready(Ok(())) };
            self.current = next;
        }
        let count = self.current.len().min(buf.remaining());
        buf.put_slice(&self.current.split_to(count));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_done_right_is_passed_on() {
        let check = |payload: &[u8], expected: Fate| assert_eq!(Fate::of(payload), expected, "{payload:?}");
        check(b"\x03SHOW SERVERS", Fate::Pass(b"\x03SHOW SERVERS".to_vec(), Expect::Query));
        check(b"\x03\xff", Fate::Pass("\u{3}\u{fffd}".into(), Expect::Query));
        check(b"\x02x", Fate::Pass(b"\x02x".to_vec(), Expect::Ok));
        check(b"\x0e", Fate::Pass(vec![COM_PING], Expect::Ok));
        check(b"\x1f", Fate::Pass(vec![COM_PING], Expect::Ok));
        check(b"\x01", Fate::Leave);
        check(b"\x19\x01\0\0\0", Fate::Drop);
        for payload in [&b""[..], b"\x16SELECT 1", b"\x17\x01", b"\x11root\0", b"\x12", b"\x77garbage", b"\x04t\0"] {
            check(payload, Fate::Refuse);
        }
    }

    #[tokio::test]
    async fn two_packets_never_come_in_one_read() {
        let (sender, waiting) = mpsc::channel(2);
        sender.send(Bytes::from_static(b"abcdef")).await.expect("there is room");
        sender.send(Bytes::from_static(b"gh")).await.expect("there is room");
        drop(sender);
        let mut packets = Packets { waiting, current: Bytes::new() };
        let mut reads = Vec::new();
        let mut buffer = [0; 4];
        loop {
            let count = packets.read(&mut buffer).await.expect("it does not fail");
            if count == 0 {
                break;
            }
            reads.push(buffer[..count].to_vec());
        }
        assert_eq!(reads, [&b"abcd"[..], b"ef", b"gh"]);
    }
}
