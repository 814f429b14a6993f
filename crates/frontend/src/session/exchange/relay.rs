//! Passing one response from a server to the client.
//!
//! Rows and column definitions are not decoded: the tracker looks at packet headers only, and the bytes go out from the buffer
//! that they came into. Only the packets that end something are read. They are written anew where the client has negotiated
//! less than the server connection: then it gets the EOF packets of old, and no session state.
//!
//! Memory is bounded by one read buffer on each side: while the client does not read, nothing is read from the server.

mod upload;

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use backend::Lease;
use bytes::BytesMut;
use classifier::Results;
use net::{Link, LinkError, within};
use wire::error_code::{ER_OPTION_PREVENTS_STATEMENT, ER_READ_ONLY_MODE};
use wire::{
    Capabilities, EofPacket, ErrPacket, Expect, HEADER, OkPacket, PacketKind, ResponseTracker, StatusFlags, Step, put_packet_with,
};

use session::Outcome;

use crate::acknowledgement::Acknowledgement;
use crate::moment::Moment;
use crate::session::deadline::TimeLimit;
use crate::session::supervision::Progress;

/// Most bytes of a client's further commands that are read while a response is awaited.
pub(in crate::session) const READ_AHEAD: usize = 8 * 1024;

/// Why a response could not be passed on to its end.
#[derive(Debug)]
pub(super) enum RelayError {
    /// The server's fault. If the client has got nothing yet, another server may be tried.
    Server {
        error: LinkError,
        /// Whether bytes of the response have gone to the client.
        begun: bool,
    },
    /// The client is gone, or does not read.
    Client,
    /// The client is gone while the server waits for a file: there is no response to read, and the connection has to be closed.
    ClientWithFile,
}

/// One response on its way.
pub(super) struct Relay<'a> {
    pub(super) client: &'a mut Link,
    /// What the client has negotiated.
    pub(super) capabilities: Capabilities,
    pub(super) write_limit: Duration,
    pub(super) server: &'a mut Lease,
    /// The statement number that the client gets instead of the server's, for `COM_STMT_PREPARE`.
    pub(super) statement_id: Option<u32>,
    /// Gives the client's error when the server reports that the statement was killed.
    pub(super) time_limit: Option<&'a TimeLimit<'a>>,
    /// Where a write has to be noted before the client gets the answer.
    pub(super) moment: Option<&'a Moment>,
    /// The client has asked to be told of GTIDs itself.
    pub(super) client_tracks_gtids: bool,
    /// Errors that are withheld from the client if the response has nothing else.
    pub(super) withholds: fn(u16) -> bool,
    /// Errors that are withheld from the client as long as nothing of the response has gone out. A server may have sent the definitions of columns before it
    /// finds out that it cannot sort the rows.
    pub(super) withholds_unsent: fn(u16) -> bool,
    /// Only if the server has been closed to writes since the statement was decided.
    pub(super) withholds_if_closed: bool,
    /// The size of a file that the statement may ask the client for, in bytes; `None` if it may ask for none.
    pub(super) file_limit: Option<u64>,
    /// What must still hold when the server says OK, for a statement that may commit something.
    pub(super) acknowledgement: Option<Acknowledgement<'a>>,
    /// Which results the EOF after column definitions announces as followed by another one. Some C libraries learn that only from there: they skip
    /// rows that nobody reads without a look at the packet that ends them.
    pub(super) results: Option<Box<Results>>,
    /// Packets written anew, in order, before what lies ready in the server's inbox.
    out: BytesMut,
    /// Where the status of the last inserted EOF is in `out`, until that is sent.
    definitions_at: Option<usize>,
    /// Bytes at the front of the server's inbox that may go out unchanged.
    ready: usize,
    /// EOF packets inserted so far. The sequence numbers of later packets are higher by this.
    inserted: u8,
    progress: &'a Progress,
    begun: bool,
    outcome: Outcome,
}

/// What MySQL and MariaDB say of `read_only` and `super_read_only`, in any language that their errors have (the option's name stays).
const READ_ONLY: &[u8] = b"read-only";

/// Whether the server refuses all writes. Other options that prevent a statement (`--secure-file-priv`) have the same code.
fn is_read_only(error: &ErrPacket<'_>) -> bool {
    error.code == ER_READ_ONLY_MODE
        || error.code == ER_OPTION_PREVENTS_STATEMENT && error.message.windows(READ_ONLY.len()).any(|word| word == READ_ONLY)
}

impl<'a> Relay<'a> {
    pub(super) fn new(
        client: &'a mut Link,
        capabilities: Capabilities,
        write_limit: Duration,
        server: &'a mut Lease,
        progress: &'a Progress,
    ) -> Self {
        Self {
            client,
            capabilities,
            write_limit,
            server,
            statement_id: None,
            time_limit: None,
            moment: None,
            client_tracks_gtids: false,
            withholds: |_| false,
            withholds_unsent: |_| false,
            withholds_if_closed: false,
            file_limit: None,
            acknowledgement: None,
            results: None,
            out: net::take_buffer(),
            definitions_at: None,
            ready: 0,
            inserted: 0,
            progress,
            begun: false,
            outcome: Outcome::default(),
        }
    }

    /// Passes on the response to a command that was sent.
    pub(super) async fn run(mut self, expect: Expect) -> Result<Outcome, RelayError> {
        let mut tracker = ResponseTracker::new(expect, self.server.capabilities());
        if let Some(number) = self.server.link.answer_number() {
            tracker.number_from(number);
        }
        let passed = self.pass(&mut tracker).await;
        if let Err(RelayError::Client) = passed {
            // The client does not get this part. The rest is read after the statement was stopped.
            self.server.link.consume(self.ready);
            self.server.leave_unfinished(tracker);
        }
        passed?;
        if self.outcome.is_unconfirmed {
            self.flush().await?;
            return Ok(self.outcome);
        }
        self.server.response_ended();
        if let Some(status) = self.outcome.status {
            self.server.note_status(status);
        }
        let flushed = self.flush().await;
        net::give_back_buffer(std::mem::take(&mut self.out));
        flushed.map(|()| self.outcome)
    }

    async fn pass(&mut self, tracker: &mut ResponseTracker) -> Result<(), RelayError> {
        while !tracker.is_done() {
            let unread = self.server.link.bytes_mut().get_mut(self.ready..).unwrap_or_default();
            let step = tracker.next(unread, self.inserted).map_err(|error| self.server_failed(error.into()))?;
            match step {
                Step::Pass(length) => self.ready += length,
                Step::Packet { kind, length } => {
                    if matches!(kind, PacketKind::Ok | PacketKind::RowsEnd) && self.withhold_doubtful(length).await {
                        break;
                    }
                    if matches!(kind, PacketKind::Err) {
                        self.await_closing(length).await;
                    }
                    self.packet(kind, length, tracker.rows()).map_err(|error| self.server_failed(error.into()))?;
                    if matches!(kind, PacketKind::LocalInfile) {
                        self.flush().await?;
                        // Boxed, as is all else that is rare and needs much room, which every idle session would keep for it otherwise.
                        Box::pin(self.upload(tracker)).await?;
                    }
                }
                Step::DefinitionsEnd => self.insert_eof(tracker.last_sequence()),
                Step::NeedMore(total) => {
                    self.flush().await?;
                    self.server.link.reserve(total);
                    self.fill().await?;
                }
                Step::Done => break,
            }
        }
        Ok(())
    }

    /// Reads a packet of the server's inbox, after what lies ready, and queues it or its replacement.
    fn packet(&mut self, kind: PacketKind, length: usize, rows: u64) -> Result<(), wire::Malformed> {
        let from = self.server.capabilities();
        let inbox = self.server.link.bytes();
        let packet = inbox.get(self.ready..self.ready + length).unwrap_or_default();
        if let (Some(moment), PacketKind::Ok | PacketKind::RowsEnd | PacketKind::Err) = (self.moment, kind) {
            moment.note(Instant::now());
        }
        let (Some(&sequence), Some(payload)) = (packet.get(HEADER - 1), packet.get(HEADER..)) else {
            return Err(wire::Malformed::new("a packet shorter than its header"));
        };
        match kind {
            PacketKind::Ok | PacketKind::RowsEnd => {
                let ok = OkPacket::decode(payload, from)?;
                let is_end_of_rows = matches!(kind, PacketKind::RowsEnd);
                self.outcome.note(&ok, Some(rows).filter(|_| is_end_of_rows));
                self.progress.result_ended();
                if let Some(results) = &mut self.results {
                    results.ended(is_end_of_rows);
                }
                let wants_eof = is_end_of_rows && !self.capabilities.contains(Capabilities::DEPRECATE_EOF);
                let filtered = self.outcome.absorb(&ok, !self.client_tracks_gtids)?;
                let loses_state = !self.capabilities.contains(Capabilities::SESSION_TRACK)
                    && (!ok.info.is_empty() || ok.status.contains(StatusFlags::SESSION_STATE_CHANGED));
                if !(wants_eof || loses_state || filtered.is_some()) {
                    self.ready += length;
                    return Ok(());
                }
                if let Some(at) = self.definitions_at.take().filter(|_| is_end_of_rows) {
                    complete_definitions(&mut self.out, at, &ok);
                }
                let out = &mut self.out;
                out.extend_from_slice(inbox.get(..self.ready).unwrap_or_default());
                put_packet_with(out, sequence, |out| {
                    if wants_eof {
                        let status = ok.status - StatusFlags::SESSION_STATE_CHANGED;
                        EofPacket { warnings: ok.warnings, status }.encode(out);
                    } else {
                        let header = if is_end_of_rows { 0xfe } else { 0x00 };
                        let session_state = filtered.as_deref().unwrap_or(ok.session_state);
                        let mut status = ok.status;
                        status.set(StatusFlags::SESSION_STATE_CHANGED, !session_state.is_empty());
                        OkPacket { session_state, status, ..ok }.encode(header, self.capabilities, out);
                    }
                });
                self.server.link.consume(self.ready + length);
                self.ready = 0;
            }
            PacketKind::Err => {
                let error = ErrPacket::decode(payload)?;
                self.outcome.error = Some(error.code);
                let is_all = !self.begun && self.out.is_empty() && self.ready == 0;
                let is_closed = || self.acknowledgement.is_some_and(|acknowledgement| acknowledgement.is_closed());
                if is_all && (self.withholds)(error.code) && (!self.withholds_if_closed || is_closed()) {
                    self.outcome.withheld = Some(error.to_owned());
                    self.server.link.consume(length);
                    return Ok(());
                }
                if !self.begun && (self.withholds_unsent)(error.code) {
                    self.outcome.withheld = Some(error.to_owned());
                    self.server.link.consume(self.ready + length);
                    self.ready = 0;
                    self.out.clear();
                    return Ok(());
                }
                let Some(why) = self.time_limit.filter(|limit| limit.ended(error.code)).map(TimeLimit::refusal) else {
                    self.ready += length;
                    return Ok(());
                };
                self.put_in_place_of(length, &why.packet(sequence));
            }
            PacketKind::PrepareOk(prepared) => {
                self.outcome.prepared = Some(prepared);
                self.outcome.has_warnings = prepared.warnings > 0;
                let number = self.ready + HEADER + 1..self.ready + HEADER + 5;
                if let (Some(id), Some(place)) = (self.statement_id, self.server.link.bytes_mut().get_mut(number)) {
                    place.copy_from_slice(&id.to_le_bytes());
                }
                self.ready += length;
            }
            PacketKind::LocalInfile if self.file_limit.is_none() => {
                return Err(wire::Malformed::new("a request for a file by a statement that loads none"));
            }
            PacketKind::LocalInfile | PacketKind::ColumnCount(_) | PacketKind::DefinitionsEof | PacketKind::Text => {
                self.ready += length;
            }
        }
        Ok(())
    }

    /// Replaces an OK of `length` bytes that may not be passed on by an error.
    async fn withhold_doubtful(&mut self, length: usize) -> bool {
        let Some(acknowledgement) = self.acknowledgement.filter(|acknowledgement| !acknowledgement.counts()) else {
            return false;
        };
        let Some(doubt) = Box::pin(acknowledgement.doubt()).await else { return false };
        let sequence = self.server.link.bytes().get(self.ready + HEADER - 1).copied().unwrap_or_default();
        self.outcome.error = Some(doubt.code);
        self.outcome.is_unconfirmed = true;
        self.put_in_place_of(length, &doubt.packet(sequence));
        true
    }

    /// If the server says that it has become read-only, waits until the snapshot shows it, too: then the statement waits for the next primary.
    async fn await_closing(&mut self, length: usize) {
        let packet = self.server.link.bytes().get(self.ready..self.ready + length).unwrap_or_default();
        let says_read_only = |payload: &[u8]| ErrPacket::decode(payload).is_ok_and(|error| is_read_only(&error));
        if let Some(acknowledgement) = self.acknowledgement.filter(|_| self.withholds_if_closed && !self.begun)
            && packet.get(HEADER..).is_some_and(says_read_only)
        {
            Box::pin(acknowledgement.await_closing()).await;
        }
    }

    /// Queues what lies ready, and after it this packet, which replaces the server's own of `length` bytes.
    fn put_in_place_of(&mut self, length: usize, packet: &[u8]) {
        self.out.extend_from_slice(self.server.link.bytes().get(..self.ready).unwrap_or_default());
        self.out.extend_from_slice(packet);
        self.server.link.consume(self.ready + length);
        self.ready = 0;
    }

    /// Inserts the EOF that the client expects after the column definitions.
    fn insert_eof(&mut self, last_sequence: u8) {
        if self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            return;
        }
        let status = self.server.status() & (StatusFlags::AUTOCOMMIT | StatusFlags::IN_TRANS | StatusFlags::NO_BACKSLASH_ESCAPES);
        let is_followed = self.results.as_ref().is_some_and(|results| results.is_next_followed());
        let status = if is_followed { status | StatusFlags::MORE_RESULTS } else { status };
        self.out.extend_from_slice(self.server.link.bytes().get(..self.ready).unwrap_or_default());
        self.server.link.consume(std::mem::take(&mut self.ready));
        // Clients take the warnings of a statement that is being prepared from here; those of a result come at its end.
        let warnings = self.outcome.prepared.map_or(0, |prepared| prepared.warnings);
        put_packet_with(&mut self.out, last_sequence.wrapping_add(1), |out| EofPacket { warnings, status }.encode(out));
        self.definitions_at = self.out.len().checked_sub(EOF_BODY);
        self.inserted = self.inserted.wrapping_add(1);
    }

    /// Sends what is queued, in one write.
    async fn flush(&mut self) -> Result<(), RelayError> {
        if self.out.is_empty() && self.ready == 0 {
            return Ok(());
        }
        self.begun = true;
        self.progress.begin();
        let count = u64::try_from(self.out.len().saturating_add(self.ready)).unwrap_or(u64::MAX);
        self.outcome.bytes = self.outcome.bytes.saturating_add(count);
        let write = async {
            if self.out.is_empty() {
                self.client.send_from(&mut self.server.link, self.ready).await?;
                self.ready = 0;
                return io::Result::Ok(());
            }
            self.out.extend_from_slice(self.server.link.bytes().get(..self.ready).unwrap_or_default());
            self.server.link.consume(std::mem::take(&mut self.ready));
            self.client.send(&self.out).await?;
            self.out.clear();
            self.definitions_at = None;
            Ok(())
        };
        match within(self.write_limit, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(RelayError::Client),
            Err(_) => {
                tracing::info!(limit = ?self.write_limit, "closed a client that does not read its result (timeouts.client_write)");
                Err(RelayError::Client)
            }
        }
    }

    /// Reads more from the server, and notices meanwhile if the client goes away.
    async fn fill(&mut self) -> Result<(), RelayError> {
        match fill_watching(&mut self.server.link, self.client).await {
            Ok(Filled::Some) => Ok(()),
            Ok(Filled::End) => Err(self.server_failed(LinkError::Closed)),
            Ok(Filled::ClientGone) => Err(RelayError::Client),
            Err(error) => Err(self.server_failed(error.into())),
        }
    }

    fn server_failed(&self, error: LinkError) -> RelayError {
        RelayError::Server { error, begun: self.begun }
    }
}

/// The count of warnings and the status flags, at the end of an EOF packet.
const EOF_BODY: usize = 4;

/// What a server knows of a result before its rows.
const KNOWN_BEFORE_ROWS: StatusFlags = StatusFlags::MORE_RESULTS
    .union(StatusFlags::PS_OUT_PARAMS)
    .union(StatusFlags::NO_GOOD_INDEX_USED)
    .union(StatusFlags::NO_INDEX_USED)
    .union(StatusFlags::METADATA_CHANGED);

/// Adds to a queued EOF what only the end of the rows has said: how many warnings there are, and some of the flags. A server knows most warnings before
/// the rows: those of the parser and of the optimizer.
fn complete_definitions(out: &mut [u8], at: usize, end: &OkPacket<'_>) {
    let Some(body) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<EOF_BODY>()) else { return };
    let [warnings @ .., status_low, status_high] = body;
    *warnings = end.warnings.to_le_bytes();
    let [known_low, known_high] = (end.status & KNOWN_BEFORE_ROWS).bits().to_le_bytes();
    *status_low |= known_low;
    *status_high |= known_high;
}

enum Filled {
    Some,
    End,
    ClientGone,
}

/// Fills the server's inbox. Meanwhile a client that closes its side is noticed, and a few commands ahead are taken in.
async fn fill_watching(server: &mut Link, client: &mut Link) -> io::Result<Filled> {
    poll_fn(|cx| {
        if let Poll::Ready(read) = server.poll_fill(cx) {
            return Poll::Ready(read.map(|count| if count == 0 { Filled::End } else { Filled::Some }));
        }
        while client.bytes().len() < READ_AHEAD {
            match client.poll_fill(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(Filled::ClientGone)),
            }
        }
        Poll::Pending
    })
    .await
}
