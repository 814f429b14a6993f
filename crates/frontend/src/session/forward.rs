//! One statement: decide, get the connection, bring it to the session's state, send, pass the answer on, and note what it did.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backend::{ConnectError, ConnectOptions, Link, LinkError, ServerConnection, SessionState, WorkerPool};
use bytes::BytesMut;
use classifier::{Effects, Pin, SessionEffect, Statement, Track, Verb};
use router::{Because, Decision, Denial, Route, SessionView, Steering};
use tokio::time::timeout;
use topology::ServerId;
use wire::{ErrOwned, Expect, Frame, Malformed, PrepareOk, frame, put_packet_with};

use super::prepared::OnServer;
use super::{Core, Ended, Held};
use crate::relay::{Outcome, Relay, RelayError, TimeLimit};
use crate::reply::{self, Refusal};

/// Servers that one statement tries at most.
const ATTEMPTS: usize = 3;

/// What is to be sent: a command that stands in the first `length` bytes of the client's inbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    length: usize,
    expect: Expect,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
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
enum Failure {
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
    /// Has a statement answered, by a server or with an error, and consumes it from the client's inbox.
    pub(super) async fn forward(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        steering: Steering<'_>,
        request: Request,
    ) -> Result<(), Ended> {
        self.forward_prepare(client, statement, steering, request).await.map(|_| ())
    }

    /// The same for `COM_STMT_PREPARE`, which gives something to keep.
    pub(super) async fn forward_prepare(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        steering: Steering<'_>,
        request: Request,
    ) -> Result<Option<PrepareOk>, Ended> {
        let mut unread = Unread(request.length);
        let outcome = self.forward_unread(client, statement, steering, request, &mut unread).await;
        unread.consume(client);
        outcome
    }

    async fn forward_unread(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        steering: Steering<'_>,
        request: Request,
        unread: &mut Unread,
    ) -> Result<Option<PrepareOk>, Ended> {
        let mut failed: Vec<ServerId> = Vec::new();
        let mut corrected;
        let mut statement = statement;
        loop {
            let route = match self.decide(statement, &failed, steering) {
                Decision::Forward(route) => route,
                Decision::Refuse(denial) => return self.refuse(client, denial).await,
            };
            tracing::debug!(
                connection = self.connection_id,
                server = route.server.0,
                because = route.because.label(),
                class = statement.because.label(),
                verb = ?statement.verb,
                "routed"
            );
            let is_over = AtomicBool::new(false);
            let limit = steering.timeout().zip(steering.rule()).map(|(time, rule)| TimeLimit {
                time,
                rule: &rule.name,
                is_over: &is_over,
            });
            let attempt = self.attempt(client, statement, request, route, limit.as_ref(), unread).await;
            if statement.effects.contains(Effects::DEFINES) {
                // Even one that was lost on the way may have been done.
                self.worker.shared.classifier.knowledge().definitions_changed();
            }
            let failure = match attempt {
                Ok(Outcome { withheld: Some(error), .. }) => {
                    self.binding.answered(statement, route.server, None, Some(error.code));
                    corrected = self.learn_write(statement, route.server, &error);
                    statement = &corrected;
                    continue;
                }
                Ok(outcome) => {
                    self.settle(statement, &request, route.server, &outcome);
                    return Ok(outcome.prepared.filter(|_| outcome.error.is_none()));
                }
                Err(failure) => failure,
            };
            let is_lost_state = self.forget(route.server);
            failed.push(route.server);
            let may_try_again = match &failure {
                Failure::Connect(_) | Failure::Setup(_) | Failure::LostBefore => true,
                Failure::Lost { begun, .. } => {
                    !begun && statement.track() == Track::Replica && !matches!(request.what, What::Prepare(_))
                }
                Failure::ClientMisbehaved(_) | Failure::ClientGone => false,
            };
            if may_try_again
                && !is_lost_state
                && failed.len() < ATTEMPTS
                && self.leads_elsewhere(statement, &failed, steering, &failure)
            {
                self.log_failure(route.server, &failure);
                continue;
            }
            return self.give_up(client, statement, route.server, failure, is_lost_state).await;
        }
    }

    /// A replica has refused as a write what was taken for a read, and nothing has happened yet: from now on it is a write.
    fn learn_write(&self, statement: &Statement, server: ServerId, error: &ErrOwned) -> Statement {
        if self.worker.shared.classifier.knowledge().learn_write(statement.digest) {
            tracing::warn!(
                connection = self.connection_id,
                server = server.0,
                digest = %statement.digest,
                code = error.code,
                message = %String::from_utf8_lossy(&error.message),
                "a replica refused a statement that was taken for a read; it runs on the primary from now on"
            );
        }
        let effects = statement.effects | Effects::UNKNOWN | Effects::SESSION_UNSEEN;
        Statement { effects, because: classifier::Because::LearnedWrite, ..statement.clone() }
    }

    fn decide(&self, statement: &Statement, failed: &[ServerId], steering: Steering<'_>) -> Decision {
        let held = match statement.track() {
            Track::Session | Track::Previous => self.held_servers(),
            Track::Replica | Track::Primary => Vec::new(),
        };
        self.worker.decide(statement, &self.view(&held, failed, steering))
    }

    /// What the router has to know of the session.
    pub(super) fn view<'v>(&self, held: &'v [ServerId], failed: &'v [ServerId], steering: Steering<'v>) -> SessionView<'v> {
        SessionView {
            transaction: self.binding.transaction(),
            bond: self.binding.bond(),
            home: self.binding.home(),
            previous: self.binding.previous().filter(|server| self.is_held(*server)),
            held,
            wrote_at: self.binding.wrote_at(),
            avoid: failed,
            steering,
        }
    }

    /// Where the session has connections.
    pub(super) fn held_servers(&self) -> Vec<ServerId> {
        self.held.iter().map(|held| held.lease.server()).collect()
    }

    /// Whether another attempt would go to a server that has not failed, or to one whose dead connection was just replaced.
    fn leads_elsewhere(&self, statement: &Statement, failed: &[ServerId], steering: Steering<'_>, failure: &Failure) -> bool {
        match self.decide(statement, failed, steering) {
            Decision::Forward(route) => {
                let times = failed.iter().filter(|server| **server == route.server).count();
                times == 0 || (times == 1 && matches!(failure, Failure::LostBefore))
            }
            Decision::Refuse(_) => false,
        }
    }

    /// One try on one server.
    async fn attempt(
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

        let mut out = BytesMut::new();
        let mut own_responses = lease.catch_up(state, &mut out);
        // A statement that may write must not run if the state could not be set: then it waits for the answers. A read does not.
        if own_responses > 0 && !is_retried {
            lease.link.send(&out).await.map_err(|error| Failure::from(LinkError::from(error)))?;
            out.clear();
            receive_own(lease, std::mem::take(&mut own_responses)).await?;
        }
        if let What::Execute(id) = request.what {
            let is_new = !prepared.contains_key(&id);
            if is_new {
                if own_responses > 0 {
                    lease.link.send(&out).await.map_err(|error| Failure::from(LinkError::from(error)))?;
                    out.clear();
                    receive_own(lease, std::mem::take(&mut own_responses)).await?;
                }
                let Some(statement) = statements.get(id) else { return Err(Failure::LostBefore) };
                let on_server = prepare_own(lease, &statement.sql, statement.schema.as_deref(), state.schema()).await?;
                prepared.insert(id, OnServer::new(on_server.statement_id));
            }
            let Some(on_server) = prepared.get_mut(&id) else { return Err(Failure::LostBefore) };
            let Frame::Whole { payload, .. } = frame(client.bytes(), 0, limits.max_packet) else {
                return Err(Failure::ClientMisbehaved(Malformed::new("an incomplete packet")));
            };
            out.reserve(payload.len() + wire::HEADER);
            Self::put_execution(statements, id, on_server, capabilities, &payload, &mut out)
                .map_err(Failure::ClientMisbehaved)?;
        } else if !out.is_empty() {
            out.extend_from_slice(client.bytes().get(..request.length).unwrap_or_default());
        }

        lease.expect_responses(1);
        let bytes = if out.is_empty() { client.bytes().get(..request.length).unwrap_or_default() } else { &out };
        lease.link.send(bytes).await.map_err(|error| Failure::from(LinkError::from(error)))?;
        drop(out);
        if !is_retried {
            // Frees what may be many megabytes, and lets the relay watch the client.
            unread.consume(client);
        }
        if own_responses > 0 {
            receive_own(lease, own_responses).await?;
        }
        let thread_id = lease.thread_id();
        let mut relay = Relay::new(client, capabilities, limits.client_write, lease);
        if is_retried && matches!(route.because, Because::FreshReplica | Because::NoPrimary | Because::Steered(_)) {
            relay.withholds = is_refused_write;
        }
        if let What::Prepare(id) = request.what {
            relay.statement_id = Some(id);
        }
        relay.time_limit = time_limit;
        let answer = relay.run(request.expect);
        let answer = match time_limit {
            None => answer.await,
            Some(limit) => {
                let kill = kill(&worker.pool, route.server, options, state, thread_id);
                within(limit.time, answer, limit.is_over, kill).await?
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
        let lease = self.worker.pool.lease(server, &self.options, &self.state).await.map_err(Failure::Connect)?;
        self.held.push(Held { lease, prepared: super::PreparedOn::default() });
        Ok(self.held.len() - 1)
    }

    fn is_held(&self, server: ServerId) -> bool {
        self.held.iter().any(|held| held.lease.server() == server)
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

    /// Drops the connection to a server; true if the session loses something with it that it cannot do without.
    fn forget(&mut self, server: ServerId) -> bool {
        let Some(index) = self.held.iter().position(|held| held.lease.server() == server) else { return false };
        self.held.swap_remove(index);
        self.binding.loses_with(server)
    }

    /// A statement was answered: what did it change?
    fn settle(&mut self, statement: &Statement, request: &Request, server: ServerId, outcome: &Outcome) {
        if outcome.error.is_none() {
            self.remember(statement);
            self.binding.succeeded(statement, server);
        } else if statement.verb == Verb::Batch && !statement.session.is_empty() {
            // Some of its parts ran, and which is not known.
            self.binding.pin(Pin::Connection, server);
        }
        self.binding.answered(statement, server, outcome.status, outcome.error);
        if let Some(schema) = &outcome.schema {
            self.state.use_schema(schema);
        }
        let is_unforeseen = outcome.state_changed
            && statement.session.is_empty()
            && !statement.effects.contains(Effects::CHANGE_SESSION)
            && matches!(request.what, What::Whole | What::Execute(_));
        if is_unforeseen {
            // A procedure that sets variables or makes temporary tables: what exactly, the server does not say.
            self.binding.pin(Pin::Connection, server);
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.lease.server() == server) {
            held.lease.applied.follow(&self.state);
        }
    }

    /// Notes what is to be repeated on the session's other connections.
    fn remember(&mut self, statement: &Statement) {
        for effect in &statement.session {
            let is_noted = match effect {
                SessionEffect::Use(schema) => {
                    self.state.use_schema(schema);
                    true
                }
                SessionEffect::Set { name, sql } => self.state.set(name, sql),
                SessionEffect::SetCharset { sql, .. } => self.state.set("names", sql),
                _ => true,
            };
            if !is_noted {
                self.binding.pin_anywhere(Pin::Connection);
            }
        }
    }

    async fn refuse(&mut self, client: &mut Link, denial: Denial) -> Result<Option<PrepareOk>, Ended> {
        let refusal = self.refusal(denial);
        match denial {
            Denial::TransactionLost | Denial::PinLost => Err(self.dismiss(client, &refusal, 1).await),
            _ => self.reply(client, &refusal).await.map(|()| None),
        }
    }

    /// The last word to the client on a statement that no server has answered.
    async fn give_up(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        server: ServerId,
        failure: Failure,
        is_lost_state: bool,
    ) -> Result<Option<PrepareOk>, Ended> {
        self.log_failure(server, &failure);
        let refusal = match failure {
            // A client with half an answer must not take what follows for the other half.
            Failure::ClientGone | Failure::Lost { begun: true, .. } => return Err(Ended),
            Failure::Lost { error, begun: false } => {
                let may_have_written = !(Effects::READ_DATA | Effects::CHANGE_SESSION).contains(statement.effects);
                let refusal = Refusal::server_lost(may_have_written, &error.to_string());
                return Err(self.dismiss(client, &refusal, 1).await);
            }
            Failure::LostBefore => Refusal::server_lost(false, "its connection was closed while idle"),
            Failure::Setup(error) | Failure::Connect(ConnectError::Refused { error, .. }) => {
                let packet = reply::server_error(&error, 1);
                let sent = client.send(&packet).await.map_err(|_| Ended);
                return if is_lost_state { Err(Ended) } else { sent.map(|()| None) };
            }
            Failure::Connect(error) => Refusal::from(&error),
            Failure::ClientMisbehaved(malformed) => Refusal::malformed(&malformed),
        };
        if is_lost_state {
            Err(self.dismiss(client, &refusal, 1).await)
        } else {
            self.reply(client, &refusal).await.map(|()| None)
        }
    }

    fn log_failure(&self, server: ServerId, failure: &Failure) {
        let connection = self.connection_id;
        let server = server.0;
        match failure {
            Failure::Connect(error) => tracing::warn!(connection, server, %error, "no connection for a statement"),
            Failure::Setup(error) => {
                let message = String::from_utf8_lossy(&error.message);
                tracing::warn!(connection, server, code = error.code, %message, "a server refused the session's state");
            }
            Failure::Lost { error, begun } => {
                tracing::warn!(connection, server, %error, begun, "lost a server during a statement");
            }
            Failure::LostBefore => tracing::info!(connection, server, "a server has closed an idle connection"),
            Failure::ClientMisbehaved(error) => tracing::info!(connection, %error, "a client broke the protocol"),
            Failure::ClientGone => tracing::debug!(connection, "a client left during its statement"),
        }
    }
}

/// What a read-only server says to a statement that writes: `ER_OPTION_PREVENTS_STATEMENT`,
/// `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`, `ER_READ_ONLY_MODE` (the same numbers in both servers).
fn is_refused_write(code: u16) -> bool {
    matches!(code, 1290 | 1792 | 1836)
}

/// Once its time is over, a statement that was killed gets so much more to say so.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Waits for an answer. When its time is over, kills the statement, and then takes what it still says.
async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = T>,
    is_over: &AtomicBool,
    kill: impl Future<Output = ()>,
) -> Result<T, Failure> {
    let mut answer = pin!(answer);
    if let Ok(answered) = timeout(limit, &mut answer).await {
        return Ok(answered);
    }
    is_over.store(true, Ordering::Relaxed);
    let late = |_| Failure::Lost { error: LinkError::Lost(std::io::ErrorKind::TimedOut.into()), begun: true };
    let (answered, ()) = tokio::join!(timeout(LAST_WORDS, answer), kill);
    answered.map_err(late)
}

/// `KILL QUERY`, through another connection of the same account.
async fn kill(pool: &WorkerPool, server: ServerId, options: &ConnectOptions, state: &SessionState, thread_id: u32) {
    let killed = async {
        let mut lease =
            pool.lease(server, options, &SessionState::new(state.collation(), None)).await.map_err(|error| error.to_string())?;
        let outcome = lease.run_query(&format!("KILL QUERY {thread_id}"), LAST_WORDS).await;
        lease.give_back();
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(String::from_utf8_lossy(&error.message).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    if let Err(error) = killed.await {
        tracing::warn!(server = server.0, error, "cannot kill a statement whose time is over");
    }
}

/// The bytes of the client's inbox that belong to the statement under way.
struct Unread(usize);

impl Unread {
    fn consume(&mut self, client: &mut Link) {
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
