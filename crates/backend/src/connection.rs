//! A connection to a server, logged in.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use net::{Link, LinkError, receive_packet};
use session::{ConnectionState, SessionState};
use tokio::time::timeout;
use topology::Epoch;
use wire::handshake::NONCE;
use wire::{
    Capabilities, ErrOwned, ErrPacket, Expect, Malformed, OkPacket, PacketKind, Plugin, PrepareOk, Reader, ResponseTracker,
    StatusFlags, Step, put_packet_with,
};

use crate::compression::ServerCompression;
use crate::prepared::PreparedStatements;
use crate::tls::ServerTls;

/// No packet of an answer to a question of Pointsman's own is longer, in bytes.
const LARGEST_OWN_ANSWER: usize = 16 * 1024;

/// The end of a response that no session waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Results that ended well.
    pub results: u16,
    /// The error that it ended with.
    pub error: Option<u16>,
}

/// What a login settled for as long as the connection lasts, and what it takes to log in once more.
#[derive(Debug, Clone)]
pub(crate) struct LoggedIn {
    pub(crate) capabilities: Capabilities,
    pub(crate) thread_id: u32,
    pub(crate) is_mariadb: bool,
    pub(crate) plugin: Plugin,
    pub(crate) nonce: [u8; NONCE],
    /// The terms by which it is encrypted, or is not.
    pub(crate) tls: ServerTls,
    /// The setting by which it is compressed, or is not.
    pub(crate) compression: ServerCompression,
}

/// A logged-in connection. Its holder sends commands and reads each response to its end.
#[derive(Debug)]
pub struct ServerConnection {
    /// The stream.
    pub link: Link,
    /// The state it is in.
    pub state: ConnectionState,
    /// What has been prepared on it.
    pub prepared: PreparedStatements,
    pub(crate) login: LoggedIn,
    status: StatusFlags,
    /// Responses that were asked for and not read to the end. While it is not 0, no other session may use the connection.
    outstanding: u32,
    /// Where in a response its reader has left it.
    unfinished: Option<ResponseTracker>,
    /// The epoch in which it was last opened, logged in to again, or used while its server was the primary. `None` while the server never was.
    reign: Option<Epoch>,
    /// When its last login began, or a moment later.
    pub(crate) logged_in_at: Instant,
    /// When it was last given back.
    pub(crate) idle_since: Instant,
}

impl ServerConnection {
    pub(crate) fn new(link: Link, login: LoggedIn, status: StatusFlags, state: ConnectionState) -> Self {
        let now = Instant::now();
        Self {
            link,
            state,
            prepared: PreparedStatements::default(),
            login,
            status,
            outstanding: 0,
            unfinished: None,
            reign: None,
            logged_in_at: now,
            idle_since: now,
        }
    }

    /// What the server calls this connection: the argument of `KILL`.
    pub fn thread_id(&self) -> u32 {
        self.login.thread_id
    }

    /// What was negotiated.
    pub fn capabilities(&self) -> Capabilities {
        self.login.capabilities
    }

    /// The status flags of the last OK or EOF.
    pub fn status(&self) -> StatusFlags {
        self.status
    }

    /// Notes the status flags that a response ended with.
    pub fn note_status(&mut self, status: StatusFlags) {
        self.status = status;
    }

    /// Notes that its server is the primary of this epoch.
    pub fn serves_in(&mut self, epoch: Epoch) {
        self.reign = Some(epoch);
    }

    /// Whether it leads to the primary of another epoch. What was begun on it is then not part of this one.
    pub fn is_of_another_epoch(&self, epoch: Epoch) -> bool {
        self.reign.is_some_and(|reign| reign != epoch)
    }

    /// A command was, or is about to be, sent whose response will be read.
    pub fn expect_responses(&mut self, count: u32) {
        self.outstanding = self.outstanding.saturating_add(count);
    }

    /// A response was read to its end.
    pub fn response_ended(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// No response is outstanding, and nothing unrequested has arrived.
    pub fn is_clean(&self) -> bool {
        self.outstanding == 0 && self.link.is_empty()
    }

    /// Appends what brings this connection to `state` and says how many responses that makes.
    pub fn catch_up(&mut self, state: &SessionState, out: &mut BytesMut) -> u32 {
        self.prepared.put_closings(out);
        let done = self.state.catch_up(state, self.login.capabilities, out);
        if done.is_reset {
            self.prepared = PreparedStatements::default();
        }
        self.expect_responses(done.commands);
        done.commands
    }

    /// Appends a question whether the account may do more than change its password, and says how many responses that makes. MariaDB lets in everybody
    /// whose password has expired (`disconnect_on_expired_password = 0`, its default), and lets `SET` pass. Others refuse the login or the settings.
    pub fn ask_for_expiry(&mut self, out: &mut BytesMut) -> u32 {
        if !self.login.is_mariadb {
            return 0;
        }
        // A command that changes nothing, right after a login that has chosen the same.
        let is_on = self.login.capabilities.contains(Capabilities::MULTI_STATEMENTS);
        let [low, high] = if is_on { wire::MULTI_STATEMENTS_ON } else { wire::MULTI_STATEMENTS_OFF }.to_le_bytes();
        put_packet_with(out, 0, |payload| payload.extend_from_slice(&[wire::COM_SET_OPTION, low, high]));
        self.expect_responses(1);
        1
    }

    /// Closes the statements that are to be closed, at once. They have no answer.
    pub async fn close_statements(&mut self) -> std::io::Result<()> {
        let mut packets = BytesMut::new();
        self.prepared.put_closings(&mut packets);
        if packets.is_empty() { Ok(()) } else { self.link.send(&packets).await }
    }

    /// Leaves the response under way to [`Self::discard_unfinished`].
    pub fn leave_unfinished(&mut self, tracker: ResponseTracker) {
        self.unfinished = Some(tracker);
    }

    /// Reads to its end a response that was left, and discards it. `None` if none was left.
    pub async fn discard_unfinished(&mut self) -> Result<Option<Rest>, LinkError> {
        let Some(tracker) = self.unfinished.take() else { return Ok(None) };
        let mut results = 0;
        let ended = self.read_to_end(tracker, &mut results).await?;
        Ok(Some(Rest { results, error: ended.err().map(|error| error.code) }))
    }

    /// Reads one response that is for Pointsman alone, an OK or an error. `Ok(Err(_))` is the server's error.
    pub async fn receive_own(&mut self) -> Result<Result<(), ErrOwned>, LinkError> {
        self.receive(Expect::Ok).await.map(|outcome| outcome.map(|_| ()))
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
        self.read_to_end(ResponseTracker::new(expect, self.login.capabilities), &mut 0).await
    }

    async fn read_to_end(
        &mut self,
        mut tracker: ResponseTracker,
        results: &mut u16,
    ) -> Result<Result<Option<PrepareOk>, ErrOwned>, LinkError> {
        let mut outcome = Ok(None);
        while !tracker.is_done() {
            match tracker.next(self.link.bytes_mut(), 0)? {
                Step::Pass(length) => self.link.consume(length),
                Step::Packet { kind, length } => {
                    let payload = self.link.bytes().get(wire::HEADER..length).unwrap_or_default();
                    match kind {
                        PacketKind::Ok | PacketKind::RowsEnd => {
                            self.status = OkPacket::decode(payload, self.login.capabilities)?.status;
                            *results = results.saturating_add(1);
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
        let capabilities = self.login.capabilities;
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

    /// `COM_RESET_CONNECTION`. False if the server refuses.
    pub async fn reset(&mut self, limit: Duration) -> Result<bool, LinkError> {
        let outcome = self.run_own(&[wire::COM_RESET_CONNECTION], limit).await?;
        self.state.after_reset();
        self.prepared = PreparedStatements::default();
        Ok(outcome.is_ok())
    }

    /// Ends all that a session has on the server: transaction, locks, temporary tables, statements. Only what the next login on this
    /// connection makes anew is left. False if the server refuses.
    pub(crate) async fn clear(&mut self, limit: Duration) -> Result<bool, LinkError> {
        Ok(self.reset(limit).await? && self.leave_role(limit).await?)
    }

    /// Ends a role that no login ends: MariaDB keeps it over a reset and over `COM_CHANGE_USER`, unless the account has a default role by then. False if
    /// the server refuses.
    pub(crate) async fn leave_role(&mut self, limit: Duration) -> Result<bool, LinkError> {
        Ok(!self.login.is_mariadb || self.run_query("SET ROLE NONE", limit).await?.is_ok())
    }

    /// Whether `COM_CHANGE_USER` makes it as good as new: MariaDB does not apply these two capabilities again, and a password that had expired is another
    /// one by then.
    pub(crate) fn is_reusable(&self) -> bool {
        let lost = Capabilities::IGNORE_SPACE | Capabilities::INTERACTIVE;
        let capabilities = self.login.capabilities;
        let is_for_expired_password = capabilities.contains(Capabilities::CAN_HANDLE_EXPIRED_PASSWORDS);
        !(is_for_expired_password || self.login.is_mariadb && capabilities.intersects(lost))
    }

    /// Asks for one number, for Pointsman itself, within `limit`. `None` if the answer is none.
    pub async fn ask_number(&mut self, sql: &str, limit: Duration) -> Result<Option<u64>, LinkError> {
        let mut packet = BytesMut::new();
        put_packet_with(&mut packet, 0, |payload| wire::put_query(payload, self.login.capabilities, &[sql.as_bytes()]));
        self.expect_responses(1);
        let exchange = async {
            self.link.send(&packet).await?;
            self.receive_number().await
        };
        timeout(limit, exchange).await.map_err(|_| LinkError::Timeout(limit))?
    }

    /// The answer to a question for one number that was sent. `None` if the answer is none.
    pub async fn receive_number<T: std::str::FromStr>(&mut self) -> Result<Option<T>, LinkError> {
        // The count of columns, one definition, one row, the end.
        let mut row = Vec::new();
        for sequence in 1..=4 {
            let (payload, _) = receive_packet(&mut self.link, sequence, LARGEST_OWN_ANSWER).await?;
            match (sequence, payload.first()) {
                (1, Some(1)) | (2 | 4, _) => {}
                // The end, where the session has set sql_select_limit = 0; or an error, such as that of a KILL.
                (3, Some(0xfe | 0xff)) => return Ok(None),
                (3, _) => row = payload,
                _ => return Ok(None),
            }
        }
        self.response_ended();
        let value = Reader::new(&row).lenenc_bytes().ok().and_then(|text| std::str::from_utf8(text).ok());
        Ok(value.and_then(|text| text.parse().ok()))
    }
}
