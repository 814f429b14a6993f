//! One try of one statement on one server: get the connection, bring it to the session's state, send, pass the answer on.
//!
//! What was tried and failed, `forward` may try elsewhere.

use std::collections::hash_map::Entry;

use backend::{ConnectError, ServerConnection};
use bytes::BytesMut;
use classifier::{Statement, Track};
use net::{Link, LinkError};
use router::{Because, Route};
use session::{Grammar, Outcome, RequestKind, is_refused_as_a_whole};
use topology::{ServerId, Snapshot};
use wire::{ErrOwned, Expect, Frame, Malformed, PrepareOk, frame, put_packet_with};

use super::deadline::TimeLimit;
use super::prepared::{Execution, OnServer};
use super::supervision::Progress;
use super::{Core, Held};
use crate::acknowledgement::Acknowledgement;
use crate::relay::{READ_AHEAD, Relay, RelayError};
use crate::reply::Refusal;
use crate::worker::{Reign, Shared};

/// What is to be sent: a command that stands in the first `length` bytes of the client's inbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) length: usize,
    expect: Expect,
    pub(super) kind: RequestKind,
}

impl Request {
    pub(super) fn whole(length: usize, expect: Expect) -> Self {
        Self { length, expect, kind: RequestKind::Whole }
    }

    pub(super) fn prepare(length: usize, id: u32) -> Self {
        Self { length, expect: Expect::Prepare, kind: RequestKind::Prepare(id) }
    }

    pub(super) fn execute(length: usize, id: u32, opens_cursor: bool) -> Self {
        Self { length, expect: Expect::Query, kind: RequestKind::Execute { id, opens_cursor } }
    }

    pub(super) fn fetch(length: usize, id: u32) -> Self {
        Self { length, expect: Expect::Fetch, kind: RequestKind::Fetch(id) }
    }

    pub(super) fn reset_statement(length: usize, id: u32) -> Self {
        Self { length, expect: Expect::Ok, kind: RequestKind::ResetStatement(id) }
    }
}

/// Where a statement is sent, and what the decision rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement {
    pub(super) route: Route,
    pub(super) reign: Reign,
    /// It may commit something: it is sent, and its OK passed on, only under this reign.
    pub(super) may_commit: bool,
}

impl Placement {
    /// Its server is the primary.
    pub(super) fn is_on_primary(&self) -> bool {
        self.reign.primary == Some(self.route.server)
    }

    /// What was decided still holds. A handover that has begun meanwhile lets an open transaction go on, and nothing else.
    fn holds(&self, snapshot: &Snapshot) -> bool {
        let now = Reign::of(snapshot);
        let begins_nothing = self.route.because == Because::Transaction;
        now == self.reign || (begins_nothing && Reign { is_closing: self.reign.is_closing, ..now } == self.reign)
    }
}

/// Why a statement was not answered by the server that was tried.
pub(super) enum Failure {
    /// There is no connection. Nothing was sent.
    Connect(ConnectError),
    /// The server refused to be brought to the session's state, or to prepare the statement. The statement did not run, or it
    /// was a read whose answer is thrown away with the connection.
    Setup(ErrOwned),
    /// The connection broke before anything was sent on it.
    LostBefore,
    /// The connection broke afterwards.
    Lost {
        /// How.
        error: LinkError,
        /// Whether the client has got part of the answer.
        begun: bool,
    },
    /// The server does not answer, and the monitor gets no answer either.
    Silent {
        /// Whether the statement has gone out.
        sent: bool,
        /// Whether the client has got part of the answer.
        begun: bool,
    },
    /// The server is no longer the primary that it was chosen as.
    Deposed {
        /// Whether the statement has gone out.
        sent: bool,
        /// Whether the client has got part of the answer.
        begun: bool,
    },
    /// It was stopped before it was sent; the client is told this.
    Interrupted(Refusal),
    /// It was prepared with a character set to which no statement leads back.
    NeedsReprepare,
    /// The client's packet is not what it should be.
    ClientMisbehaved(Malformed),
    /// Nobody is there to get the answer.
    ClientGone,
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self::Lost { error, begun: false }
    }
}

impl Core {
    /// One try on one server.
    pub(super) async fn attempt(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        request: Request,
        placement: &Placement,
        watch: (&Progress, Option<&TimeLimit<'_>>),
        unread: &mut Unread,
    ) -> Result<Outcome, Failure> {
        let route = placement.route;
        if let Some(server) = route.end_first {
            self.end_transaction_on(server).await;
        }
        let (progress, time_limit) = watch;
        let is_retried = statement.track() == Track::Replica && route.because != Because::Transaction;
        let index = self.connect(route.server).await?;
        let capabilities = self.capabilities;
        let may_write = statement.track() == Track::Primary || self.session.binding.may_have_pending_writes();
        let Self { held, session, statements, worker, moment, .. } = self;
        let state = &session.state;
        let limits = &worker.shared.limits;
        let Some(Held { lease, prepared }) = held.get_mut(index) else { return Err(Failure::LostBefore) };

        let mut ahead = Ahead::default();
        ahead.responses = lease.catch_up(state, &mut ahead.commands);
        // A statement that may write must not run if the state could not be set: then it waits for the answers. A read does not.
        if !is_retried {
            ahead.run(lease).await?;
        }
        if let RequestKind::Execute { id, opens_cursor } = request.kind {
            let Some(statement) = statements.get(id) else { return Err(Failure::LostBefore) };
            let on_server = match prepared.entry(id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    ahead.run(lease).await?;
                    let prepared = Box::pin(prepare_own(lease, &statement.sql, &statement.grammar, &state.grammar())).await?;
                    place.insert(OnServer::new(prepared.statement_id))
                }
            };
            let Frame::Whole { payload, .. } = frame(client.bytes(), 0, limits.max_packet) else {
                return Err(Failure::ClientMisbehaved(Malformed::new("an incomplete packet")));
            };
            ahead.commands.reserve(payload.len() + wire::HEADER);
            let execution = Execution { capabilities, opens_cursor, limit: limits.prepared_statement_bytes };
            Self::put_execution(statements, id, on_server, execution, &payload, &mut ahead.commands)
                .map_err(Failure::ClientMisbehaved)?;
        } else if let RequestKind::Fetch(id) | RequestKind::ResetStatement(id) = request.kind {
            let on_server = prepared.get(&id).ok_or(Failure::LostBefore)?;
            let packet = client.bytes().get(..request.length).unwrap_or_default();
            let (Some(command), Some(rest)) = (packet.get(..STATEMENT_ID.start), packet.get(STATEMENT_ID.end..)) else {
                return Err(Failure::ClientMisbehaved(Malformed::new("a packet without the number of a statement")));
            };
            ahead.commands.extend_from_slice(&[command, &on_server.id.to_le_bytes(), rest].concat());
        } else if !ahead.commands.is_empty() {
            ahead.commands.extend_from_slice(client.bytes().get(..request.length).unwrap_or_default());
        }

        if placement.may_commit && placement.is_on_primary() {
            if !placement.holds(&worker.shared.servers.load()) {
                return Err(Failure::Deposed { sent: false, begun: false });
            }
            lease.serves_in(placement.reign.epoch);
        }
        lease.expect_responses(1);
        progress.sent(lease.thread_id());
        let as_it_stands = client.bytes().get(..request.length).unwrap_or_default();
        let bytes = if ahead.commands.is_empty() { as_it_stands } else { &ahead.commands };
        lease.link.send(bytes).await.map_err(LinkError::from)?;
        ahead.commands = BytesMut::new();
        // One that may be refused because the server was just closed to writes can then be sent again.
        let may_be_sent_again = placement.may_commit
            && placement.is_on_primary()
            && route.because != Because::Transaction
            && request.length <= LARGEST_SENT_AGAIN
            && is_refused_as_a_whole(statement);
        if !is_retried && !may_be_sent_again {
            // Frees what may be many megabytes, and lets the relay watch the client.
            unread.consume(client);
        }
        ahead.receive(lease).await?;

        let mut relay = Relay::new(client, capabilities, limits.client_write, lease, progress);
        relay.time_limit = time_limit;
        relay.client_tracks_gtids = session.binding.tracks_gtids();
        relay.moment = moment.as_deref().filter(|_| may_write);
        if is_retried && worker.shared.servers.load().primary != Some(route.server) {
            relay.withholds = is_refused_write;
        }
        if placement.may_commit && placement.is_on_primary() {
            let Reign { epoch, .. } = placement.reign;
            let Shared { servers, generations, .. } = &*worker.shared;
            relay.acknowledgement = Some(Acknowledgement { servers, generations, server: route.server, epoch });
            if may_be_sent_again {
                relay.withholds = is_refused_write;
                relay.withholds_if_closed = true;
            }
        }
        if let RequestKind::Prepare(id) = request.kind {
            relay.statement_id = Some(id);
        }
        let outcome = relay.run(request.expect).await.map_err(|error| match error {
            RelayError::Server { error, begun } => Failure::Lost { error, begun },
            RelayError::Client => Failure::ClientGone,
        })?;
        if let (RequestKind::Prepare(id), Some(on_server), None) = (request.kind, &outcome.prepared, outcome.error) {
            prepared.insert(id, OnServer::new(on_server.statement_id));
        }
        Ok(outcome)
    }

    /// The place of the connection to this server among those held; a new one if there is none that is alive.
    async fn connect(&mut self, server: ServerId) -> Result<usize, Failure> {
        let reign = self.worker.shared.reign(server);
        if let Some(index) = self.held.iter().position(|held| held.lease.server() == server) {
            let is_of_now = |held: &Held| reign.is_none_or(|epoch| !held.lease.is_of_another_epoch(epoch));
            let is_alive = |held: &Held| held.lease.is_clean() && held.lease.link.is_quiet();
            let is_alive = self.held.get(index).is_some_and(|held| is_of_now(held) && is_alive(held));
            return if is_alive { Ok(index) } else { Err(Failure::LostBefore) };
        }
        // Boxed, as is all else that is rare and needs much room, which every idle session would keep for it otherwise.
        let keeps_idle = self.worker.shared.keeps_idle(server);
        let lease = self.worker.pool.lease(server, self.entry.options(), &self.session.state, keeps_idle, reign);
        let lease = Box::pin(lease).await.map_err(Failure::Connect)?;
        self.held.push(Held { lease, prepared: super::PreparedOn::default() });
        Ok(self.held.len() - 1)
    }

    /// A `READ ONLY` transaction on a replica, which the next statement ends implicitly by going to the primary.
    pub(super) async fn end_transaction_on(&mut self, server: ServerId) {
        let limit = self.worker.shared.limits.handshake;
        self.session.binding.transaction_ended();
        let Some(held) = self.held.iter_mut().find(|held| held.lease.server() == server) else { return };
        if !matches!(held.lease.run_query("COMMIT", limit).await, Ok(Ok(()))) {
            self.forget(server);
        }
    }
}

/// What goes out before a statement, nearly always in the same write, and how many answers it will have.
#[derive(Default)]
struct Ahead {
    commands: BytesMut,
    responses: u32,
}

impl Ahead {
    /// Sends it by itself, and waits for its success.
    async fn run(&mut self, connection: &mut ServerConnection) -> Result<(), Failure> {
        if self.responses == 0 {
            return Ok(());
        }
        connection.link.send(&self.commands).await.map_err(LinkError::from)?;
        self.commands.clear();
        self.receive(connection).await
    }

    async fn receive(&mut self, connection: &mut ServerConnection) -> Result<(), Failure> {
        receive_own(connection, std::mem::take(&mut self.responses)).await
    }
}

/// Where a packet about a prepared statement has its number, behind header and command.
const STATEMENT_ID: std::ops::Range<usize> = wire::HEADER + 1..wire::HEADER + 5;

/// A longer write is not kept until it is answered, in bytes.
const LARGEST_SENT_AGAIN: usize = READ_AHEAD / 2;

/// What a read-only server says to a statement that writes: `ER_OPTION_PREVENTS_STATEMENT`,
/// `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`, `ER_READ_ONLY_MODE` (the same numbers in both servers).
fn is_refused_write(code: u16) -> bool {
    matches!(code, 1290 | 1792 | 1836)
}

/// The bytes of the client's inbox that belong to the statement under way.
pub(super) struct Unread(pub(super) usize);

impl Unread {
    pub(super) fn consume(&mut self, client: &mut Link) {
        client.consume(std::mem::take(&mut self.0));
    }
}

/// Reads the answers to what brought a connection to the session's state.
async fn receive_own(connection: &mut ServerConnection, count: u32) -> Result<(), Failure> {
    for _ in 0..count {
        connection.receive_own().await?.map_err(Failure::Setup)?;
    }
    Ok(())
}

/// Prepares a statement on one more server, without the client. Its text means what it meant `then`; the connection is left as the session is
/// `now`.
async fn prepare_own(connection: &mut ServerConnection, sql: &[u8], then: &Grammar, now: &Grammar) -> Result<PrepareOk, Failure> {
    let detour = now.detour(then).ok_or(Failure::NeedsReprepare)?;
    let schemas = then.schema().zip(now.schema()).filter(|(then, now)| then != now);
    let capabilities = connection.capabilities();
    let mut packets = BytesMut::new();
    let set = |packets: &mut BytesMut, settings: &[Box<[u8]>], schema: Option<&[u8]>| {
        for sql in settings {
            put_packet_with(packets, 0, |payload| wire::put_query(payload, capabilities, &[b"SET ", sql]));
        }
        if let Some(schema) = schema {
            put_packet_with(packets, 0, |payload| payload.extend_from_slice(&[&[wire::COM_INIT_DB], schema].concat()));
        }
        u32::try_from(settings.len()).unwrap_or(u32::MAX).saturating_add(u32::from(schema.is_some()))
    };
    let there = set(&mut packets, &detour.there, schemas.map(|(then, _)| then));
    put_packet_with(&mut packets, 0, |payload| payload.extend_from_slice(&[&[wire::COM_STMT_PREPARE], sql].concat()));
    let back = set(&mut packets, &detour.back, schemas.map(|(_, now)| now));
    connection.expect_responses(there.saturating_add(back).saturating_add(1));
    connection.link.send(&packets).await.map_err(LinkError::from)?;
    // After an error in between, the connection is dropped with the answers that are still on their way.
    receive_own(connection, there).await?;
    let prepared = connection.receive_prepared().await?.map_err(Failure::Setup)?;
    receive_own(connection, back).await?;
    Ok(prepared)
}
