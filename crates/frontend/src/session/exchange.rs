//! One try of one statement on one server: check a connection out, bring it to the session's state, send, pass the answer on.
//!
//! After a failed try, `forward` may try another server.

mod checkout;
mod relay;
mod setup;

use std::sync::Arc;

use backend::Lease;
use classifier::{Effects, Placement, Results, Statement, Verb};
use net::{Link, LinkError};
use router::{Because, Hint, Previous, Route};
use session::{ClientStatements, Execution, Outcome, PreparedText, RequestKind, Session, is_refused_as_a_whole};
use topology::{Position, ServerId, Snapshot};
use wire::error_code::{ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ER_OPTION_PREVENTS_STATEMENT, ER_READ_ONLY_MODE};
use wire::{Capabilities, Command, Expect, Malformed};

pub(super) use self::relay::READ_AHEAD;
use self::relay::{Relay, RelayError};
use self::setup::{SetupCommands, prepare_own};
use super::Core;
use super::deadline::TimeLimit;
use super::failure::{Failure, is_servers_fault};
use super::supervision::Progress;
use crate::acknowledgement::Acknowledgement;
use crate::moment::Moment;
use crate::packet::Packet;
use crate::settings::Settings;
use crate::worker::{Reign, Shared};

/// The command to be sent.
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
        let expect = if opens_cursor { Expect::Cursor } else { Expect::Query };
        Self { packet, expect, kind: RequestKind::Execute { id, opens_cursor } }
    }

    pub(super) fn fetch(packet: &'p mut Packet, id: u32) -> Self {
        Self { packet, expect: Expect::Fetch, kind: RequestKind::Fetch(id) }
    }

    pub(super) fn reset_statement(packet: &'p mut Packet, id: u32) -> Self {
        Self { packet, expect: Expect::Ok, kind: RequestKind::ResetStatement(id) }
    }
}

/// Where a statement is sent, and the premises of that decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination {
    pub(super) route: Route,
    pub(super) reign: Reign,
    /// It may commit something, so it is sent, and its OK passed on, only under this reign.
    pub(super) may_commit: bool,
}

impl Destination {
    /// Its server is the primary.
    pub(super) fn is_on_primary(&self) -> bool {
        self.reign.primary == Some(self.route.server)
    }

    /// The statement may commit something on the primary.
    fn may_commit_on_primary(&self) -> bool {
        self.may_commit && self.is_on_primary()
    }

    /// Whether the decision still holds. After a handover has begun, only an open transaction may go on.
    fn holds(&self, snapshot: &Snapshot) -> bool {
        let now = Reign::of(snapshot);
        let begins_nothing = self.route.because == Because::Transaction;
        now == self.reign || (begins_nothing && Reign { is_closing: self.reign.is_closing, ..now } == self.reign)
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
        if route.begin_first {
            // Before the other one ends: if this fails, the session still has that one.
            Box::pin(self.begin_transaction_on(route.server, statement)).await?;
        }
        if let Some(server) = route.end_first {
            self.end_transaction_on(server).await;
        }
        // The session's last statement left no warnings, but an earlier one, or another session's, may have left some.
        let is_without_warnings =
            statement.effects.contains(Effects::PREVIOUS_STATEMENT) && self.previous(statement) == Previous::Nothing;
        let index = self.checkout(route.server, statement).await?;
        let Self { held, session, statements, worker, moment, settings, capabilities, .. } = self;
        let awaited = match session.binding.committed() {
            _ if route.because != Because::CausalWait => None,
            Some((_, position)) => Some(position),
            None => return Err(Failure::Behind),
        };
        let Some(lease) = held.get_mut(index) else { return Err(Failure::LostBefore) };
        let exchange = Exchange {
            statement,
            request,
            destination,
            progress: watch.0,
            session,
            statements,
            settings,
            shared: &worker.shared,
            capabilities: *capabilities,
            lease,
            is_without_warnings,
            awaited,
        };
        exchange.run(client, watch.1, moment.as_deref()).await
    }

    /// Begins a transaction that has only read on another server so far.
    async fn begin_transaction_on(&mut self, server: ServerId, statement: &Statement) -> Result<(), Failure> {
        let index = self.checkout(server, statement).await?;
        let Some(lease) = self.held.get_mut(index) else { return Err(Failure::LostBefore) };
        let mut setup = SetupCommands::default();
        setup.catch_up(lease, &self.session.state);
        setup.begin_transaction(lease);
        setup.run(lease).await?;
        self.session.binding.transaction_moved(server);
        Ok(())
    }

    /// Ends a `READ ONLY` transaction on a replica, which the next statement ends implicitly by going to the primary; or one that goes on there.
    pub(super) async fn end_transaction_on(&mut self, server: ServerId) {
        let limit = self.settings.limits.handshake;
        self.session.binding.transaction_ended(server);
        let Some(lease) = self.held.iter_mut().find(|lease| lease.server() == server) else { return };
        if !matches!(lease.run_query("COMMIT", limit).await, Ok(Ok(()))) {
            self.forget(server);
        }
    }
}

/// One try that has its connection.
struct Exchange<'e, 'p> {
    statement: &'e Statement,
    request: &'e mut Request<'p>,
    destination: &'e Destination,
    progress: &'e Progress,
    session: &'e Session,
    statements: &'e mut ClientStatements<Option<Hint>>,
    settings: &'e Settings,
    shared: &'e Shared,
    /// What the client has negotiated.
    capabilities: Capabilities,
    lease: &'e mut Lease,
    /// The statement asks about warnings, the session has none, and the connection may have others.
    is_without_warnings: bool,
    /// What the replica must have before it answers.
    awaited: Option<&'e Position>,
}

impl Exchange<'_, '_> {
    async fn run(
        mut self,
        client: &mut Link,
        time_limit: Option<&TimeLimit<'_>>,
        moment: Option<&Moment>,
    ) -> Result<Outcome, Failure> {
        let may_be_sent_again = self.may_be_sent_again();
        let results = self.results();
        let mut setup = self.set_up().await?;
        self.send(&mut setup).await?;
        if !self.is_retried() && !may_be_sent_again {
            self.request.packet.release();
        }
        setup.receive(self.lease).await?;
        self.relay(client, (may_be_sent_again, results), time_limit, moment).await
    }

    /// What a client that gets an EOF packet after column definitions is told there. Asked before the packet may be released.
    fn results(&self) -> Option<Box<Results>> {
        if self.capabilities.contains(Capabilities::DEPRECATE_EOF) || !self.request.kind.runs() {
            return None;
        }
        if self.statement.verb == Verb::Call {
            return Some(Box::new(Results::of_call()));
        }
        if self.statement.verb != Verb::Batch && !ends_with_a_comment(self.request.packet.bytes()) {
            return None;
        }
        let payload = self.request.packet.payload();
        match Command::parse(&payload, self.capabilities) {
            Ok(Command::Query { sql, .. }) => Some(Box::new(self.shared.classifier.results(sql, &self.session.context()))),
            _ => None,
        }
    }

    /// A read may run again elsewhere, so it does not wait for the setup. A statement that may write must not run if the state could not be set.
    fn is_retried(&self) -> bool {
        self.statement.placement() == Placement::Replica && self.destination.route.because != Because::Transaction
    }

    /// Whether it can be sent again if the server refuses it because it was just closed to writes. Asked before its packet may be released.
    fn may_be_sent_again(&self) -> bool {
        self.destination.may_commit_on_primary()
            && self.destination.route.because != Because::Transaction
            && self.request.packet.len() <= LARGEST_SENT_AGAIN
            && is_refused_as_a_whole(self.statement)
    }

    /// Writes the setup commands, which go out with the statement, and the statement itself if it has to be rewritten. A statement that may write waits here
    /// until the session's state is set.
    async fn set_up(&mut self) -> Result<SetupCommands, Failure> {
        let mut setup = SetupCommands::default();
        if !self.session.binding.has_expired_password() {
            setup.catch_up(self.lease, &self.session.state);
            if self.is_without_warnings {
                setup.end_warnings(self.lease);
            }
        }
        if !self.is_retried() {
            setup.run(self.lease).await?;
        }
        match self.request.kind {
            RequestKind::Execute { id, opens_cursor } => self.set_up_execution(id, opens_cursor, &mut setup).await?,
            RequestKind::Fetch(id) | RequestKind::ResetStatement(id) => {
                let text = self.text(id)?.for_cursor_of(id);
                let on_server = self.lease.prepared.get(&text).ok_or(Failure::LostBefore)?;
                setup.commands.extend_from_slice(&with_statement_id(self.request.packet.bytes(), on_server.id)?);
            }
            RequestKind::Whole | RequestKind::Prepare(_) => {
                setup.await_write(self.lease, self.awaited, self.settings.policy.causal_wait);
                if !setup.commands.is_empty() {
                    setup.commands.extend_from_slice(self.request.packet.bytes());
                }
            }
        }
        Ok(setup)
    }

    /// Prepares the statement where this connection does not know it, and writes its execution.
    async fn set_up_execution(&mut self, id: u32, opens_cursor: bool, setup: &mut SetupCommands) -> Result<(), Failure> {
        let text = self.text(id)?;
        let text = if opens_cursor { Arc::new(text.for_cursor_of(id)) } else { Arc::clone(text) };
        // Before it is prepared: a replica that lacks the session's write may lack the table, too.
        setup.await_write(self.lease, self.awaited, self.settings.policy.causal_wait);
        if self.lease.prepared.get(&text).is_none() {
            setup.run(self.lease).await?;
            // Boxed, like everything that is rare and large: every idle session would keep the space for it otherwise.
            let prepared = Box::pin(prepare_own(self.lease, &text, &self.session.state.grammar())).await?;
            self.lease.prepared.add(&text, prepared.statement_id, !self.session.binding.has_cursors());
        }
        let on_server = self.lease.prepared.get(&text).ok_or(Failure::LostBefore)?;
        let payload = self.request.packet.payload();
        setup.commands.reserve(payload.len() + wire::HEADER);
        let execution = Execution {
            capabilities: self.capabilities,
            opens_cursor,
            limit: self.settings.limits.prepared_statement_bytes,
            number: on_server.id,
            bound: &mut on_server.types,
        };
        self.statements.put_execution(id, execution, &payload, &mut setup.commands).map_err(Failure::ClientMisbehaved)
    }

    fn text(&self, id: u32) -> Result<&Arc<PreparedText>, Failure> {
        self.statements.get(id).map(session::Prepared::text).ok_or(Failure::LostBefore)
    }

    /// Sends the statement, if the decision still holds.
    async fn send(&mut self, setup: &mut SetupCommands) -> Result<(), Failure> {
        if self.destination.may_commit_on_primary() {
            if !self.destination.holds(&self.shared.servers.load()) {
                return Err(Failure::Deposed { sent: false, begun: false });
            }
            self.lease.serves_in(self.destination.reign.epoch);
        }
        self.lease.expect_responses(1);
        self.progress.sent(self.lease.thread_id());
        let bytes = if setup.commands.is_empty() { self.request.packet.bytes() } else { &setup.commands };
        self.lease.link.send(bytes).await.map_err(LinkError::from)?;
        setup.commands = bytes::BytesMut::new();
        Ok(())
    }

    /// Passes the answer on.
    async fn relay(
        self,
        client: &mut Link,
        (may_be_sent_again, results): (bool, Option<Box<Results>>),
        time_limit: Option<&TimeLimit<'_>>,
        moment: Option<&Moment>,
    ) -> Result<Outcome, Failure> {
        let may_write = self.statement.placement() == Placement::Primary || self.session.binding.may_have_pending_writes();
        let Destination { route, reign, .. } = *self.destination;
        let Shared { servers, generations, .. } = self.shared;
        let is_retried = self.is_retried();
        let mut relay = Relay::new(client, self.capabilities, self.settings.limits.client_write, self.lease, self.progress);
        relay.time_limit = time_limit;
        relay.client_tracks_gtids = self.session.binding.tracks_gtids();
        relay.moment = moment.filter(|_| may_write);
        if is_retried && servers.load().primary != Some(route.server) {
            relay.withholds = is_refused_write;
            if !self.session.binding.loses_with(route.server) {
                relay.withholds_unsent = is_servers_fault;
            }
        }
        if self.destination.may_commit_on_primary() {
            relay.acknowledgement = Some(Acknowledgement { servers, generations, server: route.server, epoch: reign.epoch });
            if may_be_sent_again {
                relay.withholds = is_refused_write;
                relay.withholds_if_closed = true;
            }
        }
        if matches!(self.statement.verb, Verb::Load | Verb::Batch) {
            relay.file_limit = u64::try_from(self.settings.limits.local_infile).ok();
        }
        if let RequestKind::Prepare(id) = self.request.kind {
            relay.statement_id = Some(id);
        }
        relay.results = results;
        relay.run(self.request.expect).await.map_err(|error| match error {
            RelayError::Server { error, begun } => Failure::Lost { error, begun },
            RelayError::Client | RelayError::ClientWithFile => Failure::ClientGone,
        })
    }
}

/// Largest write that is kept until it is answered, in bytes.
const LARGEST_SENT_AGAIN: usize = 4 * 1024;

/// Whether a read-only server answers a statement that writes with this error.
fn is_refused_write(code: u16) -> bool {
    matches!(code, ER_OPTION_PREVENTS_STATEMENT | ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION | ER_READ_ONLY_MODE)
}

/// Whether a comment may follow the last semicolon, which servers take for another statement.
fn ends_with_a_comment(packet: &[u8]) -> bool {
    let semicolon = packet.iter().rposition(|byte| *byte == b';');
    let rest = semicolon.and_then(|at| packet.get(at + 1..)).unwrap_or_default();
    matches!(rest.trim_ascii_start(), [b'-' | b'#' | b'/', ..])
}

/// Where the number is in a packet about a prepared statement: after header and command.
const STATEMENT_ID: std::ops::Range<usize> = wire::HEADER + 1..wire::HEADER + 5;

/// The client's packet about a prepared statement, with the server's number for it.
fn with_statement_id(packet: &[u8], id: u32) -> Result<Vec<u8>, Failure> {
    match (packet.get(..STATEMENT_ID.start), packet.get(STATEMENT_ID.end..)) {
        (Some(command), Some(rest)) => Ok([command, &id.to_le_bytes(), rest].concat()),
        _ => Err(Failure::ClientMisbehaved(Malformed::new("a packet without the number of a statement"))),
    }
}
