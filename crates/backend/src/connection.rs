//! A connection to a server, logged in.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::time::timeout;
use wire::{
    Capabilities, ErrOwned, ErrPacket, Expect, Malformed, OkPacket, PacketKind, PrepareOk, ResponseTracker, StatusFlags, Step,
    put_packet_with,
};

use crate::state::{Applied, SessionState};
use crate::{Link, LinkError};

/// A logged-in connection. Whoever holds it sends commands and reads each response to its end.
#[derive(Debug)]
pub struct ServerConnection {
    /// The stream.
    pub link: Link,
    /// The state it is in.
    pub applied: Applied,
    capabilities: Capabilities,
    status: StatusFlags,
    thread_id: u32,
    /// Responses that were asked for and not read to the end. Not 0: dirty, and never used again by another session.
    outstanding: u32,
    /// When it was last given back.
    pub(crate) idle_since: Instant,
}

impl ServerConnection {
    pub(crate) fn new(link: Link, capabilities: Capabilities, status: StatusFlags, thread_id: u32, applied: Applied) -> Self {
        Self { link, applied, capabilities, status, thread_id, outstanding: 0, idle_since: Instant::now() }
    }

    /// What the server calls this connection: the argument of `KILL`.
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// What was negotiated.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// The status flags of the last OK or EOF.
    pub fn status(&self) -> StatusFlags {
        self.status
    }

    /// Notes the status flags that a response ended with.
    pub fn note_status(&mut self, status: StatusFlags) {
        self.status = status;
    }

    /// A command was, or is about to be, sent whose response will be read.
    pub fn expect_responses(&mut self, count: u32) {
        self.outstanding = self.outstanding.saturating_add(count);
    }

    /// A response was read to its end.
    pub fn response_ended(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// Nothing is under way, and nothing came unasked.
    pub fn is_clean(&self) -> bool {
        self.outstanding == 0 && self.link.bytes().is_empty()
    }

    /// Appends what brings this connection to `state` and says how many responses that makes.
    pub fn catch_up(&mut self, state: &SessionState, out: &mut BytesMut) -> u32 {
        let count = u32::try_from(self.applied.catch_up(state, self.capabilities, out)).unwrap_or(u32::MAX);
        self.expect_responses(count);
        count
    }

    /// Reads one response that is for Pointsman alone. `Ok(Err(_))` is the server's error.
    pub async fn receive_own(&mut self) -> Result<Result<(), ErrOwned>, LinkError> {
        self.receive(Expect::Query).await.map(|outcome| outcome.map(|_| ()))
    }

    /// Reads the response to a `COM_STMT_PREPARE` of Pointsman's own.
    pub async fn receive_prepared(&mut self) -> Result<Result<PrepareOk, ErrOwned>, LinkError> {
        match self.receive(Expect::Prepare).await? {
            Ok(Some(prepared)) => Ok(Ok(prepared)),
            Ok(None) => Err(LinkError::Malformed(Malformed::new("no answer to a prepare"))),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn receive(&mut self, expect: Expect) -> Result<Result<Option<PrepareOk>, ErrOwned>, LinkError> {
        let mut tracker = ResponseTracker::new(expect, self.capabilities);
        let mut outcome = Ok(None);
        while !tracker.is_done() {
            match tracker.next(self.link.bytes_mut(), 0)? {
                Step::Pass(length) => self.link.consume(length),
                Step::Packet { kind, length } => {
                    let payload = self.link.bytes().get(wire::HEADER..length).unwrap_or_default();
                    match kind {
                        PacketKind::Ok | PacketKind::RowsEnd => {
                            self.status = OkPacket::decode(payload, self.capabilities)?.status;
                        }
                        PacketKind::Err => outcome = Err(ErrPacket::decode(payload)?.to_owned()),
                        PacketKind::PrepareOk(prepared) => outcome = Ok(Some(prepared)),
                        PacketKind::LocalInfile => return Err(Malformed::new("an unexpected request for a local file").into()),
                        PacketKind::ColumnCount(_) | PacketKind::DefinitionsEof | PacketKind::Text => {}
                    }
                    self.link.consume(length);
                }
                Step::NeedMore(total) => {
                    self.link.reserve(total);
                    if self.link.fill().await? == 0 {
                        return Err(LinkError::Closed);
                    }
                }
                Step::DefinitionsEnd | Step::Done => {}
            }
        }
        self.response_ended();
        Ok(outcome)
    }

    /// Runs one command without parameters for Pointsman itself, within `limit`.
    pub async fn run_own(&mut self, command: &[u8], limit: Duration) -> Result<Result<(), ErrOwned>, LinkError> {
        self.run_payload(limit, |payload| payload.extend_from_slice(command)).await
    }

    /// Runs one statement for Pointsman itself, within `limit`.
    pub async fn run_query(&mut self, sql: &str, limit: Duration) -> Result<Result<(), ErrOwned>, LinkError> {
        let capabilities = self.capabilities;
        self.run_payload(limit, |payload| wire::put_query(payload, capabilities, &[sql.as_bytes()])).await
    }

    async fn run_payload(
        &mut self,
        limit: Duration,
        write: impl FnOnce(&mut BytesMut),
    ) -> Result<Result<(), ErrOwned>, LinkError> {
        let mut packet = BytesMut::new();
        put_packet_with(&mut packet, 0, write);
        self.expect_responses(1);
        let exchange = async {
            self.link.send(&packet).await?;
            self.receive_own().await
        };
        timeout(limit, exchange).await.map_err(|_| LinkError::Timeout(limit))?
    }

    /// `COM_RESET_CONNECTION`: the next session finds nothing of this one.
    pub async fn reset(&mut self, limit: Duration) -> Result<bool, LinkError> {
        let outcome = self.run_own(&[wire::COM_RESET_CONNECTION], limit).await?;
        self.applied.forget_all_but_schema();
        Ok(outcome.is_ok())
    }
}
