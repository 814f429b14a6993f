//! One try of one statement on one server: get the connection, bring it to the session's state, send, pass the answer on.
//!
//! What was tried and failed, `forward` may try elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::{ConnectError, ServerConnection, Wanted};
use bytes::BytesMut;
use classifier::{Effects, Placement, Reason, Statement};
use net::{Link, LinkError};
use router::{Because, Previous, Route};
use session::{Distance, Grammar, Outcome, PreparedText, RequestKind, is_refused_as_a_whole};
use topology::{Position, ServerId, Snapshot};
use wire::{ErrOwned, Expect, Malformed, PrepareOk, put_packet_with};

use super::Core;
use super::deadline::TimeLimit;
use super::prepared::Execution;
use super::supervision::Progress;
use crate::acknowledgement::Acknowledgement;
use crate::packet::Packet;
use crate::relay::{Relay, RelayError};
use crate::reply::Refusal;
use crate::worker::{Reign, Shared};

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Request<'p> {
    pub(super) packet: &'p mut Packet,
    expect: Expect,
    pub(super) kind: RequestKind,
}

impl<'p> Request<'p> {
    pub(super) fn whole(packet: &'p mut Packet, expect: Expect) -> Self {
        Self { packet, expect, kind: RequestKind::Whole }
    }

    pub(super) fn prepare(packet: &'p mut Packet, id: u32) -> Self {
        Self { packet, expect: Expect::Prepare, kind: RequestKind::Prepare(id) }
    }

    pub(super) fn execute(packet: &'p mut Packet, id: u32, opens_cursor: bool) -> Self {
        Self { packet, expect: Expect::Query, kind: RequestKind::Execute { id, opens_cursor } }
    }

    pub(super) fn fetch(packet: &'p mut Packet, id: u32) -> Self {
        Self { packet, expect: Expect::Fetch, kind: RequestKind::Fetch(id) }
    }

    pub(super) fn reset_statement(packet: &'p mut Packet, id: u32) -> Self {
        Self { packet, expect: Expect::Ok, kind: RequestKind::ResetStatement(id) }
    }
}

/// Where a statement is sent, and what the decision rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination {
    pub(super) route: Route,
    pub(super) reign: Reign,
    /// It may commit something: it is sent, and its OK passed on, only under this reign.
    pub(super) may_commit: bool,
}

impl Destination {
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
    /// The replica has not applied in time what the session wrote. The read did run, and its answer is thrown away with the connection.
    Behind,
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
        request: &mut Request<'_>,
        destination: &Destination,
        watch: (&Progress, Option<&TimeLimit<'_>>),
    ) -> Result<Outcome, Failure> {
        let route = destination.route;
        if let Some(server) = route.end_first {
            self.end_transaction_on(server).await;
        }
        let (progress, time_limit) = watch;
        let is_retried = statement.placement() == Placement::Replica && route.because != Because::Transaction;
        // Its last statement left none, but one before it, or another session's, may have.
        let is_without_warnings =
            statement.effects.contains(Effects::PREVIOUS_STATEMENT) && self.previous(statement) == Previous::Nothing;
        let index = self.connect(route.server, statement).await?;
        let capabilities = self.capabilities;
        let may_write = statement.placement() == Placement::Primary || self.session.binding.may_have_pending_writes();
        let Self { held, session, statements, worker, moment, settings, .. } = self;
        let state = &session.state;
        let awaited = match session.binding.committed() {
            _ if route.because != Because::CausalWait => None,
            Some((_, position)) => Some(position),
            None => return Err(Failure::Behind),
        };
        let limits = &settings.limits;
        let Some(lease) = held.get_mut(index) else { return Err(Failure::LostBefore) };

        let mut setup = SetupCommands::default();
        setup.responses = lease.catch_up(state, &mut setup.commands);
        if is_without_warnings {
            setup.end_warnings(lease);
        }
        // A statement that may write must not run if the state could not be set: then it waits for the answers. A read does not.
        if !is_retried {
            setup.run(lease).await?;
        }
        if let RequestKind::Execute { id, opens_cursor } = request.kind {
            let Some(statement) = statements.get(id) else { return Err(Failure::LostBefore) };
            let text = if opens_cursor { Arc::new(statement.text.for_cursor_of(id)) } else { Arc::clone(&statement.text) };
            if lease.prepared.get(&text).is_none() {
                setup.run(lease).await?;
                let prepared = Box::pin(prepare_own(lease, &text, &state.grammar())).await?;
                lease.prepared.add(&text, prepared.statement_id, !session.binding.has_cursors());
            }
            setup.await_write(lease, awaited, settings.policy.causal_wait);
            let on_server = lease.prepared.get(&text).ok_or(Failure::LostBefore)?;
            let payload = request.packet.payload();
            setup.commands.reserve(payload.len() + wire::HEADER);
            let execution = Execution { capabilities, opens_cursor, limit: limits.prepared_statement_bytes };
            Self::put_execution(statements, id, on_server, execution, &payload, &mut setup.commands)
                .map_err(Failure::ClientMisbehaved)?;
        } else if let RequestKind::Fetch(id) | RequestKind::ResetStatement(id) = request.kind {
            let text = statements.get(id).ok_or(Failure::LostBefore)?.text.for_cursor_of(id);
            let on_server = lease.prepared.get(&text).ok_or(Failure::LostBefore)?;
            setup.commands.extend_from_slice(&with_statement_id(request.packet.bytes(), on_server.id)?);
        } else {
            setup.await_write(lease, awaited, settings.policy.causal_wait);
            if !setup.commands.is_empty() {
                setup.commands.extend_from_slice(request.packet.bytes());
            }
        }

        if destination.may_commit && destination.is_on_primary() {
            if !destination.holds(&worker.shared.servers.load()) {
                return Err(Failure::Deposed { sent: false, begun: false });
            }
            lease.serves_in(destination.reign.epoch);
        }
        lease.expect_responses(1);
        progress.sent(lease.thread_id());
        let bytes = if setup.commands.is_empty() { request.packet.bytes() } else { &setup.commands };
        lease.link.send(bytes).await.map_err(LinkError::from)?;
        setup.commands = BytesMut::new();
        // One that may be refused because the server was just closed to writes can then be sent again.
        let may_be_sent_again = destination.may_commit
            && destination.is_on_primary()
            && route.because != Because::Transaction
            && request.packet.len() <= LARGEST_SENT_AGAIN
            && is_refused_as_a_whole(statement);
        if !is_retried && !may_be_sent_again {
            request.packet.release();
        }
        setup.receive(lease).await?;

        let mut relay = Relay::new(client, capabilities, limits.client_write, lease, progress);
        relay.time_limit = time_limit;
        relay.client_tracks_gtids = session.binding.tracks_gtids();
        relay.moment = moment.as_deref().filter(|_| may_write);
        if is_retried && worker.shared.servers.load().primary != Some(route.server) {
            relay.withholds = is_refused_write;
        }
        if destination.may_commit && destination.is_on_primary() {
            let Reign { epoch, .. } = destination.reign;
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
        relay.run(request.expect).await.map_err(|error| match error {
            RelayError::Server { error, begun } => Failure::Lost { error, begun },
            RelayError::Client => Failure::ClientGone,
        })
    }

    /// The place of the connection to this server among those held; another one if there is none that is alive.
    async fn connect(&mut self, server: ServerId, statement: &Statement) -> Result<usize, Failure> {
        let reign = self.worker.shared.reign(server);
        if let Some((index, lease)) = self.held.iter_mut().enumerate().find(|(_, lease)| lease.server() == server) {
            let is_of_now = reign.is_none_or(|epoch| !lease.is_of_another_epoch(epoch));
            if !(is_of_now && lease.is_clean() && lease.link.is_quiet()) {
                return Err(Failure::LostBefore);
            }
            let is_near = lease.state.distance(&self.session.state) != Distance::Login;
            if is_near || self.session.binding.keeps(server) {
                return Ok(index);
            }
            self.held.swap_remove(index).give_back();
        }
        let wanted = Wanted {
            options: self.entry.options(),
            state: &self.session.state,
            since: if asks_what_others_left(statement) { Instant::now() } else { self.since },
            keeps_idle: self.worker.shared.keeps_idle(server),
            reign,
        };
        let lease = match self.worker.pool.take(server, &wanted) {
            Some(lease) => lease,
            // Boxed, as is all else that is rare and needs much room, which every idle session would keep for it otherwise.
            None => Box::pin(self.worker.pool.lease(server, &wanted)).await.map_err(Failure::Connect)?,
        };
        self.held.push(lease);
        Ok(self.held.len() - 1)
    }

    /// A `READ ONLY` transaction on a replica, which the next statement ends implicitly by going to the primary.
    pub(super) async fn end_transaction_on(&mut self, server: ServerId) {
        let limit = self.settings.limits.handshake;
        self.session.binding.transaction_ended();
        let Some(lease) = self.held.iter_mut().find(|lease| lease.server() == server) else { return };
        if !matches!(lease.run_query("COMMIT", limit).await, Ok(Ok(()))) {
            self.forget(server);
        }
    }
}

/// On a connection that others have used, the answer would be about their sequences and GTIDs, unless the connection is logged in to once more before.
fn asks_what_others_left(statement: &Statement) -> bool {
    let is_about_them = matches!(statement.because, Reason::Sequence | Reason::ServerVariable);
    is_about_them && statement.effects.contains(Effects::INSERT_ID)
}

/// Ends the warnings of an earlier statement. MariaDB keeps them over a statement without a table; a derived one does.
const NO_WARNINGS: &[u8] = b"DO (SELECT 1 FROM (SELECT 1) AS one)";

/// What goes out before a statement, nearly always in the same write, and how many answers it will have.
#[derive(Default)]
struct SetupCommands {
    commands: BytesMut,
    responses: u32,
    /// The last of them says whether the replica has what the session wrote.
    awaits_write: bool,
}

impl SetupCommands {
    /// Sends it by itself, and waits for its success.
    async fn run(&mut self, connection: &mut ServerConnection) -> Result<(), Failure> {
        if self.responses == 0 {
            return Ok(());
        }
        connection.link.send(&self.commands).await.map_err(LinkError::from)?;
        self.commands.clear();
        self.receive(connection).await
    }

    /// Has the warnings of earlier statements forgotten.
    fn end_warnings(&mut self, connection: &mut ServerConnection) {
        let capabilities = connection.capabilities();
        put_packet_with(&mut self.commands, 0, |payload| wire::put_query(payload, capabilities, &[NO_WARNINGS]));
        connection.expect_responses(1);
        self.responses += 1;
    }

    /// Has the replica wait until it has this, if anything. MySQL manual 14.18.2, MariaDB "`MASTER_GTID_WAIT`".
    fn await_write(&mut self, connection: &mut ServerConnection, awaited: Option<&Position>, at_most: Duration) {
        let Some(position) = awaited else { return };
        // Zero would be for ever on MySQL; the router asks for no wait then.
        let seconds = at_most.max(Duration::from_millis(1)).as_secs_f64();
        let sql = match position {
            Position::MySql(set) => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{set}', {seconds})"),
            Position::MariaDb(position) => format!("SELECT MASTER_GTID_WAIT('{position}', {seconds})"),
        };
        let capabilities = connection.capabilities();
        put_packet_with(&mut self.commands, 0, |payload| wire::put_query(payload, capabilities, &[sql.as_bytes()]));
        connection.expect_responses(1);
        self.awaits_write = true;
    }

    async fn receive(&mut self, connection: &mut ServerConnection) -> Result<(), Failure> {
        receive_own(connection, std::mem::take(&mut self.responses)).await?;
        // 0: it has it. 1 on MySQL, -1 on MariaDB: not in time.
        if std::mem::take(&mut self.awaits_write) && connection.receive_number::<i64>().await? != Some(0) {
            return Err(Failure::Behind);
        }
        Ok(())
    }
}

/// Where a packet about a prepared statement has its number, behind header and command.
const STATEMENT_ID: std::ops::Range<usize> = wire::HEADER + 1..wire::HEADER + 5;

/// The client's packet about a prepared statement, with the server's number for it.
fn with_statement_id(packet: &[u8], id: u32) -> Result<Vec<u8>, Failure> {
    match (packet.get(..STATEMENT_ID.start), packet.get(STATEMENT_ID.end..)) {
        (Some(command), Some(rest)) => Ok([command, &id.to_le_bytes(), rest].concat()),
        _ => Err(Failure::ClientMisbehaved(Malformed::new("a packet without the number of a statement"))),
    }
}

/// A longer write is not kept until it is answered, in bytes.
const LARGEST_SENT_AGAIN: usize = 4 * 1024;

/// What a read-only server says to a statement that writes: `ER_OPTION_PREVENTS_STATEMENT`,
/// `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`, `ER_READ_ONLY_MODE` (the same numbers in both servers).
fn is_refused_write(code: u16) -> bool {
    matches!(code, 1290 | 1792 | 1836)
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
async fn prepare_own(connection: &mut ServerConnection, text: &PreparedText, now: &Grammar) -> Result<PrepareOk, Failure> {
    let (sql, then) = (text.sql(), text.grammar());
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
