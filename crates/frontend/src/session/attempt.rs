//! One try of one statement on one server: get the connection, bring it to the session's state, send, pass the answer on.
//!
//! What was tried and failed, `forward` may try elsewhere.

use std::collections::hash_map::Entry;

use backend::{ConnectError, Link, LinkError, ServerConnection};
use bytes::BytesMut;
use classifier::{Statement, Track};
use router::{Because, Route};
use topology::ServerId;
use wire::{ErrOwned, Expect, Frame, Malformed, PrepareOk, frame, put_packet_with};

use super::deadline::{self, TimeLimit};
use super::prepared::OnServer;
use super::{Core, Held};
use crate::relay::{Outcome, Relay, RelayError};

/// What is to be sent: a command that stands in the first `length` bytes of the client's inbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) length: usize,
    expect: Expect,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// As it stands.
    Whole,
    /// A statement to prepare, which the client will know by this number.
    Prepare(u32),
    /// The execution of the statement that the client knows by this number.
    Execute(u32),
}

impl Request {
    pub(super) fn whole(length: usize, expect: Expect) -> Self {
        Self { length, expect, what: What::Whole }
    }

    pub(super) fn prepare(length: usize, id: u32) -> Self {
        Self { length, expect: Expect::Prepare, what: What::Prepare(id) }
    }

    pub(super) fn execute(length: usize, id: u32) -> Self {
        Self { length, expect: Expect::Query, what: What::Execute(id) }
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
        route: Route,
        time_limit: Option<&TimeLimit<'_>>,
        unread: &mut Unread,
    ) -> Result<Outcome, Failure> {
        if let Some(server) = route.end_first {
            self.end_transaction_on(server).await;
        }
        let is_retried = statement.track() == Track::Replica && route.because != Because::Transaction;
        let index = self.connect(route.server).await?;
        let capabilities = self.capabilities;
        let Self { held, state, statements, worker, options, .. } = self;
        let limits = &worker.shared.limits;
        let Some(Held { lease, prepared }) = held.get_mut(index) else { return Err(Failure::LostBefore) };

        let mut ahead = Ahead::default();
        ahead.responses = lease.catch_up(state, &mut ahead.commands);
        // A statement that may write must not run if the state could not be set: then it waits for the answers. A read does not.
        if !is_retried {
            ahead.run(lease).await?;
        }
        if let What::Execute(id) = request.what {
            let Some(statement) = statements.get(id) else { return Err(Failure::LostBefore) };
            let on_server = match prepared.entry(id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    ahead.run(lease).await?;
                    let (then, now) = (statement.schema.as_deref(), state.schema());
                    let prepared = Box::pin(prepare_own(lease, &statement.sql, then, now)).await?;
                    place.insert(OnServer::new(prepared.statement_id))
                }
            };
            let Frame::Whole { payload, .. } = frame(client.bytes(), 0, limits.max_packet) else {
                return Err(Failure::ClientMisbehaved(Malformed::new("an incomplete packet")));
            };
            ahead.commands.reserve(payload.len() + wire::HEADER);
            Self::put_execution(statements, id, on_server, capabilities, &payload, &mut ahead.commands)
                .map_err(Failure::ClientMisbehaved)?;
        } else if !ahead.commands.is_empty() {
            ahead.commands.extend_from_slice(client.bytes().get(..request.length).unwrap_or_default());
        }

        lease.expect_responses(1);
        let as_it_stands = client.bytes().get(..request.length).unwrap_or_default();
        let bytes = if ahead.commands.is_empty() { as_it_stands } else { &ahead.commands };
        lease.link.send(bytes).await.map_err(LinkError::from)?;
        ahead.commands = BytesMut::new();
        if !is_retried {
            // Frees what may be many megabytes, and lets the relay watch the client.
            unread.consume(client);
        }
        ahead.receive(lease).await?;

        let thread_id = lease.thread_id();
        let mut relay = Relay::new(client, capabilities, limits.client_write, lease);
        relay.time_limit = time_limit;
        if is_retried && worker.shared.servers.load().primary != Some(route.server) {
            relay.withholds = is_refused_write;
        }
        if let What::Prepare(id) = request.what {
            relay.statement_id = Some(id);
        }
        let answer = match time_limit {
            None => relay.run(request.expect).await,
            Some(limit) => {
                let kill = deadline::kill(&worker.pool, route.server, options, state, thread_id);
                Box::pin(deadline::keep(limit, relay.run(request.expect), kill)).await?
            }
        };
        let outcome = answer.map_err(|error| match error {
            RelayError::Server { error, begun } => Failure::Lost { error, begun },
            RelayError::Client => Failure::ClientGone,
        })?;
        if let (What::Prepare(id), Some(on_server), None) = (request.what, &outcome.prepared, outcome.error) {
            prepared.insert(id, OnServer::new(on_server.statement_id));
        }
        Ok(outcome)
    }

    /// The place of the connection to this server among those held; a new one if there is none that is alive.
    async fn connect(&mut self, server: ServerId) -> Result<usize, Failure> {
        if let Some(index) = self.held.iter().position(|held| held.lease.server() == server) {
            let is_alive = self.held.get(index).is_some_and(|held| held.lease.is_clean() && held.lease.link.is_quiet());
            return if is_alive { Ok(index) } else { Err(Failure::LostBefore) };
        }
        // Boxed, as is all else that is rare and needs much room, which every idle session would keep for it otherwise.
        let lease = Box::pin(self.worker.pool.lease(server, &self.options, &self.state)).await.map_err(Failure::Connect)?;
        self.held.push(Held { lease, prepared: super::PreparedOn::default() });
        Ok(self.held.len() - 1)
    }

    /// A `READ ONLY` transaction on a replica, which the next statement ends implicitly by going to the primary.
    async fn end_transaction_on(&mut self, server: ServerId) {
        let limit = self.worker.shared.limits.handshake;
        self.binding.transaction_ended();
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

/// Prepares a statement on one more server, without the client. Its names belong to the schema that was the session's `then`; the
/// connection is left in the schema that is the session's `now`.
async fn prepare_own(
    connection: &mut ServerConnection,
    sql: &[u8],
    then: Option<&[u8]>,
    now: Option<&[u8]>,
) -> Result<PrepareOk, Failure> {
    let detour = then.zip(now).filter(|(then, now)| then != now);
    let mut packets = BytesMut::new();
    let mut put = |command: u8, text: &[u8]| {
        put_packet_with(&mut packets, 0, |payload| {
            payload.extend_from_slice(&[command]);
            payload.extend_from_slice(text);
        });
    };
    if let Some((then, _)) = detour {
        put(wire::COM_INIT_DB, then);
    }
    put(wire::COM_STMT_PREPARE, sql);
    if let Some((_, now)) = detour {
        put(wire::COM_INIT_DB, now);
    }
    connection.expect_responses(if detour.is_some() { 3 } else { 1 });
    connection.link.send(&packets).await.map_err(LinkError::from)?;
    // After an error in between, the connection is dropped with the answers that are still on their way.
    receive_own(connection, u32::from(detour.is_some())).await?;
    let prepared = connection.receive_prepared().await?.map_err(Failure::Setup)?;
    receive_own(connection, u32::from(detour.is_some())).await?;
    Ok(prepared)
}
