//! One client's session: its commands, one after the other, until it leaves.

mod attempt;
mod binding;
mod deadline;
mod explain;
mod forward;
mod patience;
mod prepared;
mod steering;

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use backend::{ConnectOptions, Lease, Link, SessionState};
use classifier::{Charset, Context, Dialect, Digest, Effects, SessionEffect, SqlMode, Statement, Verb};
use router::Steering;
use tokio_util::sync::WaitForCancellationFutureOwned;
use wire::{Capabilities, Command, Expect, Frame, Malformed, StatusFlags, frame};

use crate::login::Client;
use crate::reply::{self, Refusal};
use crate::session::attempt::Request;
use crate::session::binding::Binding;
pub(crate) use crate::session::deadline::TimeLimit;
use crate::session::patience::Patience;
use crate::session::prepared::{PreparedOn, Statements};
use crate::worker::Worker;

/// The session ends. Whoever returns it has told the client, if there was something to tell.
#[derive(Debug)]
pub(crate) struct Ended;

/// A client that is logged in.
pub(crate) struct Session {
    client: Link,
    core: Core,
}

/// All of a session but its client's stream, so that a command can be read in place while the rest is changed.
struct Core {
    worker: Arc<Worker>,
    /// What the client and Pointsman have negotiated.
    capabilities: Capabilities,
    options: ConnectOptions,
    connection_id: u32,
    peer: SocketAddr,
    /// What is repeated on every server connection.
    state: SessionState,
    /// What is not, and binds the session to a server.
    binding: Binding,
    statements: Statements,
    /// At most one connection to each server.
    held: Vec<Held>,
    patience: Patience,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// A server connection of this session.
struct Held {
    lease: Lease,
    /// What has been prepared on it.
    prepared: PreparedOn,
}

impl Session {
    pub(crate) fn new(client: Client, worker: Arc<Worker>) -> Self {
        tracing::debug!(
            connection = client.connection_id,
            peer = %client.peer,
            user = %String::from_utf8_lossy(&client.account.user),
            "logged in"
        );
        let (dialect, sql_mode) = worker.shared.initial_grammar();
        let core = Core {
            capabilities: client.capabilities,
            options: ConnectOptions { account: client.account, capabilities: ConnectOptions::passed_on(client.capabilities) },
            connection_id: client.connection_id,
            peer: client.peer,
            state: SessionState::new(client.collation, client.schema.as_deref()),
            binding: Binding::new(dialect, sql_mode, client.collation),
            statements: Statements::default(),
            held: Vec::new(),
            patience: Patience::new(worker.shared.limits.client_idle),
            drain: Box::pin(worker.shared.drain.clone().cancelled_owned()),
            worker,
        };
        Self { client: client.link, core }
    }

    /// Serves the client until it leaves, breaks the protocol, or the process ends.
    pub(crate) async fn run(mut self) {
        let Self { client, core } = &mut self;
        while let Ok(length) = core.next_command(client).await {
            let outcome = core.serve(client, length).await;
            if outcome.is_err() {
                break;
            }
        }
        tracing::debug!(connection = self.core.connection_id, "left");
        let Self { client, core } = self;
        core.held.into_iter().for_each(|held| held.lease.give_back());
        client.close().await;
    }
}

impl Core {
    /// Waits for a whole command and says how many bytes of the inbox it takes.
    async fn next_command(&mut self, client: &mut Link) -> Result<usize, Ended> {
        let max_packet = self.worker.shared.limits.max_packet;
        loop {
            if !client.bytes().is_empty() {
                match frame(client.bytes(), 0, max_packet) {
                    Frame::Whole { length, .. } => return Ok(length),
                    Frame::Incomplete { needed } => client.reserve(needed),
                    Frame::TooLarge { .. } => return Err(self.dismiss(client, &Refusal::packet_too_large(max_packet), 1).await),
                    Frame::OutOfOrder { .. } => return Err(self.dismiss(client, &Refusal::out_of_order(), 1).await),
                }
            }
            self.pause(client).await?;
        }
    }

    /// Waits for bytes of the client. This is where an idle session spends its life.
    async fn pause(&mut self, client: &mut Link) -> Result<(), Ended> {
        // A session in a transaction may end it; the time limit of the drain is not this session's business.
        let may_drain = !self.binding.in_transaction();
        self.patience.start();
        let refusal = poll_fn(|cx| {
            if let Poll::Ready(read) = client.poll_fill(cx) {
                return Poll::Ready(if matches!(read, Ok(1..)) { Ok(()) } else { Err(None) });
            }
            if may_drain && self.drain.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Some(Refusal::shutting_down())));
            }
            self.patience.poll_end(cx).map(|()| Err(Some(Refusal::idle_for_too_long())))
        })
        .await;
        match refusal {
            Ok(()) => Ok(()),
            Err(None) => Err(Ended),
            Err(Some(refusal)) => Err(self.dismiss(client, &refusal, 0).await),
        }
    }

    /// Serves the command in the first `length` bytes of the client's inbox, and consumes it.
    async fn serve(&mut self, client: &mut Link, length: usize) -> Result<(), Ended> {
        let max_packet = self.worker.shared.limits.max_packet;
        let Frame::Whole { payload, .. } = frame(client.bytes(), 0, max_packet) else { return Err(Ended) };
        let command = match Command::parse(&payload, self.capabilities) {
            Ok(command) => command,
            Err(malformed) => {
                return Err(self.dismiss(client, &Refusal::malformed(&malformed), 1).await);
            }
        };
        match command {
            Command::Query { sql, attributes } => {
                let statement = self.classify(sql);
                let context = self.reading().context(self.state.schema());
                if let Some(explained) = explained_route(&statement, sql, &context) {
                    return Box::pin(self.explain_route(client, &explained, length)).await;
                }
                let hint = steering::hint(sql).and_then(|hint| steering::with_attributes(hint, &attributes, |_| false));
                let hint = match hint {
                    Ok(hint) => hint,
                    Err(refusal) => return self.decline(client, length, &refusal).await,
                };
                let matched = self.matched(sql, context, &statement);
                let request = Request::whole(length, Expect::Query);
                self.forward(client, &statement, matched.steering(hint.as_ref()), request).await
            }
            Command::Execute(execute) => {
                let id = execute.statement_id;
                let hint = self.statements.get(id).map_or(Ok(None), |prepared| prepared.hint(&execute, self.capabilities));
                match hint {
                    Ok(hint) => self.execute(client, id, hint, length).await,
                    Err(refusal) => self.decline(client, length, &refusal).await,
                }
            }
            Command::Prepare(sql) => {
                let sql = Box::from(sql);
                self.prepare(client, sql, length).await
            }
            Command::CloseStatement(id) => {
                client.consume(length);
                self.close_statement(id).await
            }
            Command::SendLongData { statement_id, parameter, data } => {
                self.statements.add_long_data(statement_id, parameter, data, max_packet);
                client.consume(length);
                Ok(())
            }
            Command::ResetStatement(id) => {
                client.consume(length);
                if self.statements.forget_long_data(id) {
                    self.reply_ok(client).await
                } else {
                    self.reply(client, &Refusal::unknown_statement(id, "mysql_stmt_reset")).await
                }
            }
            Command::InitDb(schema) => {
                let statement = session_statement(Verb::Use, vec![SessionEffect::Use(Box::from(schema))]);
                self.forward(client, &statement, Steering::default(), Request::whole(length, Expect::Ok)).await
            }
            Command::Statistics => {
                let statement = session_statement(Verb::Show, Vec::new());
                self.forward(client, &statement, Steering::default(), Request::whole(length, Expect::Text)).await
            }
            Command::Ping => {
                client.consume(length);
                self.reply_ok(client).await
            }
            Command::ResetConnection => {
                client.consume(length);
                self.reset(client).await
            }
            Command::Quit => Err(Ended),
            Command::Other(byte) => self.decline(client, length, &Refusal::unknown_command(byte)).await,
        }
    }

    fn classify(&self, sql: &[u8]) -> Statement {
        self.worker.shared.classifier.classify(sql, &self.reading().context(self.state.schema()))
    }

    /// How the session's text is to be read now.
    fn reading(&self) -> Reading {
        Reading { dialect: self.binding.dialect(), sql_mode: self.binding.sql_mode(), charset: self.binding.charset() }
    }

    /// `COM_RESET_CONNECTION`: everything that the client has set is gone, on all its connections.
    async fn reset(&mut self, client: &mut Link) -> Result<(), Ended> {
        let limit = self.worker.shared.limits.handshake;
        let mut kept = Vec::with_capacity(self.held.len());
        for mut held in std::mem::take(&mut self.held) {
            // One that cannot be reset is closed with its lease, which undoes the same.
            if let Ok(true) = held.lease.reset(limit).await {
                kept.push(Held { lease: held.lease, prepared: PreparedOn::default() });
            }
        }
        self.held = kept;
        self.state.reset();
        self.statements = Statements::default();
        let (dialect, sql_mode) = self.worker.shared.initial_grammar();
        self.binding = Binding::new(dialect, sql_mode, self.state.collation());
        self.reply_ok(client).await
    }

    async fn reply_ok(&mut self, client: &mut Link) -> Result<(), Ended> {
        let packet = reply::ok(1, self.status(), self.capabilities);
        client.send(&packet).await.map_err(|_| Ended)
    }

    /// Tells the client of an error; the session goes on.
    async fn reply(&mut self, client: &mut Link, refusal: &Refusal) -> Result<(), Ended> {
        tracing::debug!(connection = self.connection_id, code = refusal.code, message = refusal.message, "refused");
        client.send(&refusal.packet(1)).await.map_err(|_| Ended)
    }

    /// Answers a command with an error in place of serving it.
    async fn decline(&mut self, client: &mut Link, length: usize, refusal: &Refusal) -> Result<(), Ended> {
        client.consume(length);
        self.reply(client, refusal).await
    }

    /// Tells the client of an error after which the session cannot go on.
    async fn dismiss(&mut self, client: &mut Link, refusal: &Refusal, sequence: u8) -> Ended {
        tracing::info!(connection = self.connection_id, code = refusal.code, message = refusal.message, "closed a session");
        let packet = refusal.packet(sequence);
        let _ = tokio::time::timeout(self.worker.shared.limits.client_write, client.send(&packet)).await;
        Ended
    }

    /// What the client may know of its session's status when Pointsman answers by itself.
    fn status(&self) -> StatusFlags {
        let mut status = StatusFlags::empty();
        status.set(StatusFlags::AUTOCOMMIT, self.binding.autocommit());
        status.set(StatusFlags::IN_TRANS, self.binding.in_transaction());
        status
    }
}

/// The statement behind `EXPLAIN ROUTE`. Most statements are not looked at again.
fn explained_route(statement: &Statement, sql: &[u8], context: &Context<'_>) -> Option<Box<[u8]>> {
    let may_be_one = matches!(statement.verb, Verb::Explain | Verb::Describe | Verb::Batch);
    may_be_one.then(|| classifier::explained_route(sql, context)).flatten().map(Box::from)
}

/// How the text of a statement is to be read, without the schema.
#[derive(Debug, Clone, Copy)]
struct Reading {
    dialect: Dialect,
    sql_mode: SqlMode,
    charset: Charset,
}

impl Reading {
    fn context(self, schema: Option<&[u8]>) -> Context<'_> {
        let Self { dialect, sql_mode, charset } = self;
        Context { dialect, sql_mode, charset, schema: schema.and_then(|schema| std::str::from_utf8(schema).ok()) }
    }
}

/// What stands for a command that changes the session and has no text.
fn session_statement(verb: Verb, session: Vec<SessionEffect>) -> Statement {
    Statement {
        verb,
        effects: Effects::CHANGE_SESSION,
        because: classifier::Because::SessionStatement,
        digest: Digest::default(),
        session,
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::malformed(&malformed)
    }
}
