//! One client's session: its commands, one after the other, until it leaves.

mod binlog;
mod commands;
mod cursor;
mod deadline;
mod definitions;
mod exchange;
mod explain;
mod failure;
mod forward;
mod give_back;
mod hold;
mod idle_timer;
mod kill;
mod loss;
mod prepared;
mod span;
mod statistics;
mod steering;
mod supervision;

pub use self::explain::RouteStep;
pub(crate) use self::explain::explain_for_new_session;

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use arc_swap::Guard;
use backend::Lease;
use classifier::{Context, Digest, Effects, SessionEffect, SqlMode, Statement, Verb};
use net::Link;
use router::{Hint, Steering};
use session::{ClientStatements, Session};
use tokio_util::sync::WaitForCancellationFutureOwned;
use topology::WriteUnderWay;
use wire::{Capabilities, Command, Expect, Frame, Malformed, StatusFlags, frame};

use crate::firewall::Place;
use crate::login::{Client, Connection, UserChange};
use crate::moment::Moment;
use crate::packet::Packet;
use crate::peer::Peer;
use crate::rate::Rate;
use crate::record::Trail;
use crate::registry::{Registered, Signal};
use crate::reply::{self, Refusal};
use crate::session::exchange::Request;
use crate::session::idle_timer::IdleTimer;
use crate::session::prepared::ExecutionKind;
use crate::settings::{Pooling, Settings};
use crate::spans::TraceParent;
use crate::worker::Worker;
use net::within;

/// The session ends. The client has already got the error, if there was one.
#[derive(Debug)]
pub(crate) struct Ended;

/// A client that is logged in.
pub(crate) struct ClientSession {
    client: Link,
    core: Core,
}

/// A session without its client's stream, so that a command can be read in place while the rest changes.
struct Core {
    worker: Arc<Worker>,
    settings: Arc<Settings>,
    /// It gives its connections to others between its transactions.
    shares_connections: bool,
    /// What the client and Pointsman have negotiated.
    capabilities: Capabilities,
    /// What others see of this session.
    entry: Registered,
    peer: Peer,
    /// How many statements its account may begin.
    rate: Option<Arc<Rate>>,
    /// Among the sessions of its account.
    _place: Option<Place<Box<[u8]>>>,
    /// That of its greeting.
    nonce: [u8; 20],
    /// The last write of the other sessions whose writes this one must see.
    moment: Option<Arc<Moment>>,
    /// Its settings, and what binds it to servers.
    session: Session,
    statements: ClientStatements<Option<Hint>>,
    /// At most one connection to each server.
    held: Vec<Lease>,
    /// When its login began.
    since: Instant,
    /// While a statement or a transaction of the session is under way on the primary.
    write: Option<WriteUnderWay>,
    /// The statement under way.
    trail: Trail,
    /// The application's span that it belongs to.
    trace_parent: Option<TraceParent>,
    /// The number of the packet that answers the command under way.
    answer_sequence: u8,
    idle_timer: IdleTimer,
    /// The `COM_CHANGE_USER` with which it ends.
    user_change: Option<Box<[u8]>>,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl ClientSession {
    pub(crate) fn new(client: Client, worker: Arc<Worker>) -> Self {
        let Client { connection, entry, state, place, lease, since, former } = client;
        let Connection { link, id, peer, capabilities, nonce } = connection;
        let options = entry.options();
        let account = &options.account;
        tracing::debug!(connection = id, %peer, user = %String::from_utf8_lossy(&account.user), "logged in");
        let beginning = worker.shared.beginning(state.login().collation);
        let settings = worker.shared.settings();
        let mut session = match former {
            None => Session::new(state, beginning),
            Some(former) => Session::succeeding(former, state, beginning),
        };
        if options.has_expired_password() {
            tracing::info!(connection = id, user = %String::from_utf8_lossy(&account.user), "let in to change an expired password");
            session.binding.password_has_expired();
        }
        let core = Core {
            capabilities,
            peer,
            nonce,
            moment: worker.shared.moment(&settings, &account.user),
            rate: settings.accounts.rate(&account.user),
            _place: place,
            entry,
            session,
            statements: ClientStatements::default(),
            held: Vec::from_iter(lease),
            since,
            write: None,
            trail: Trail::begin(),
            trace_parent: None,
            answer_sequence: 1,
            idle_timer: IdleTimer::new(settings.limits.client_idle),
            user_change: None,
            shares_connections: settings.pooling == Pooling::Transaction,
            settings,
            drain: Box::pin(worker.shared.drain.clone().cancelled_owned()),
            worker,
        };
        Self { client: link, core }
    }

    /// Serves the client until it leaves, breaks the protocol, changes its user, or the process ends.
    ///
    /// A block, since an async function would keep what it is given a second time.
    pub(crate) fn run(self) -> impl Future<Output = Option<UserChange>> {
        let Self { mut client, mut core } = self;
        async move {
            while let Ok(mut packet) = core.next_command(&mut client).await {
                if core.serve(&mut client, &mut packet).await.is_err() {
                    break;
                }
                core.end_write();
                core.share();
            }
            tracing::debug!(connection = core.entry.id(), "left");
            core.give_back_all();
            if let Some(payload) = core.user_change.take() {
                return Some(core.into_user_change(client, payload));
            }
            drop(core);
            client.close().await;
            None
        }
    }
}

impl Core {
    /// Ends the write under way on the primary, unless a transaction is open.
    fn end_write(&mut self) {
        if !self.session.binding.in_transaction() {
            self.write = None;
        }
    }

    /// Waits for a whole command.
    async fn next_command(&mut self, client: &mut Link) -> Result<Packet, Ended> {
        loop {
            if !self.entry.signals.take(Signal::KILL_SESSION).is_empty() {
                return Err(Ended);
            }
            if !client.bytes().is_empty() {
                self.follow_settings();
                let max_packet = self.settings.limits.max_packet;
                match frame(client.bytes(), 0, max_packet) {
                    Frame::Whole { length, sequence, .. } => {
                        self.answer_sequence = sequence.wrapping_add(1);
                        return Ok(Packet::new(client.take(length)));
                    }
                    Frame::Incomplete { needed } => client.reserve(needed),
                    Frame::TooLarge { .. } => return Err(self.dismiss(client, &Refusal::packet_too_large(max_packet), 1).await),
                    Frame::OutOfOrder { .. } => return Err(self.dismiss(client, &Refusal::out_of_order(), 1).await),
                }
            }
            self.pause(client).await?;
        }
    }

    /// Adopts the present configuration.
    fn follow_settings(&mut self) {
        let latest = self.worker.shared.settings.load();
        if Arc::ptr_eq(&latest, &self.settings) {
            return;
        }
        self.settings = Guard::into_inner(latest);
        let (user, shared) = (&self.entry.options().account.user, &self.worker.shared);
        self.rate = self.settings.accounts.rate(user);
        if self.settings.accounts.has(user) || shared.remembered.moment(user).is_some() {
            self.moment = shared.moment(&self.settings, user);
        }
    }

    /// Waits for bytes of the client. This is where an idle session spends its life.
    async fn pause(&mut self, client: &mut Link) -> Result<(), Ended> {
        self.idle_timer.start();
        self.note_idle();
        if self.is_wanted() {
            Box::pin(self.give_back(true)).await;
        }
        loop {
            match self.await_client(client).await {
                PauseEnd::Bytes => break,
                PauseEnd::Left => return Err(Ended),
                PauseEnd::Refusal(refusal) => return Err(self.dismiss(client, &refusal, 0).await),
                PauseEnd::Told(signal) if signal.contains(Signal::KILL_SESSION) => return Err(Ended),
                // Boxed, like everything that is rare and large: every idle session would keep the space for it otherwise.
                PauseEnd::Told(signal) => Box::pin(self.give_back(signal.contains(Signal::WANTED))).await,
            }
        }
        self.entry.signals.note_awake();
        Ok(())
    }

    async fn await_client(&mut self, client: &mut Link) -> PauseEnd {
        // A session may finish its transaction. The listener enforces the time limit of the drain.
        let may_drain = !self.session.binding.in_transaction();
        poll_fn(|cx| {
            if let Poll::Ready(read) = client.poll_fill(cx) {
                return Poll::Ready(match read {
                    Ok(1..) => PauseEnd::Bytes,
                    Ok(0) => PauseEnd::Left,
                    Err(error) => Refusal::bad_frame(&error).map_or(PauseEnd::Left, PauseEnd::Refusal),
                });
            }
            if may_drain && self.drain.as_mut().poll(cx).is_ready() {
                return Poll::Ready(PauseEnd::Refusal(Refusal::shutting_down()));
            }
            let wanted = Signal::KILL_SESSION | Signal::GIVE_BACK | Signal::WANTED;
            if let Poll::Ready(signal) = self.entry.signals.poll(cx, wanted) {
                return Poll::Ready(PauseEnd::Told(signal));
            }
            self.idle_timer.poll_end(cx).map(|()| PauseEnd::Refusal(Refusal::idle_for_too_long()))
        })
        .await
    }

    /// Answers a command.
    async fn serve(&mut self, client: &mut Link, packet: &mut Packet) -> Result<(), Ended> {
        let payload = packet.payload();
        let command = match Command::parse(&payload, self.capabilities) {
            Ok(command) => command,
            Err(malformed) => {
                return Err(self.dismiss(client, &Refusal::malformed(&malformed), self.answer_sequence).await);
            }
        };
        if let Some(rate) = self.rate.as_ref().filter(|_| is_limited(&command))
            && !rate.take(Instant::now())
        {
            let refusal = Refusal::account_limit("statements_per_second", rate.per_second().into());
            return self.reply(client, &refusal).await;
        }
        self.trace_parent = None;
        match command {
            Command::Query { sql, attributes } => {
                let statement = self.classify(sql);
                let context = self.session.context();
                if let Some(own) = kill::own_answer(&statement, sql, &context) {
                    return Box::pin(self.answer_own(client, own)).await;
                }
                if let Some(answer) = self.count_answer(&statement, sql, &context) {
                    self.session.binding.asked();
                    return self.say(client, &answer).await;
                }
                if let Some(explained) = explained_route(&statement, sql, &context) {
                    return Box::pin(self.explain_route(client, &explained)).await;
                }
                let hint = steering::hint(sql).and_then(|hint| steering::with_attributes(hint, &attributes, |_| false));
                let hint = match hint {
                    Ok(hint) => hint,
                    Err(refusal) => return self.reply(client, &refusal).await,
                };
                let matched = self.matched(sql, context, &statement);
                self.learn_text(&statement, sql, &context);
                self.trace_parent = self.parent_by_attribute(&attributes, |_| false).or_else(|| self.parent_by_comment(sql));
                let request = Request::whole(packet, Expect::Query);
                self.forward(client, &statement, matched.steering(hint.as_ref()), request).await.map(drop)
            }
            Command::Execute(execute) => {
                let kind = if execute.has_cursor() { ExecutionKind::WithCursor } else { ExecutionKind::Whole };
                let execution = (self.statements.resolve(execute.statement_id), kind);
                let hint = self.execution_hint(&execute);
                match hint {
                    Ok(hint) => self.execute(client, execution, hint, packet).await,
                    Err(refusal) => self.reply(client, &refusal).await,
                }
            }
            Command::BulkExecute(bulk) => {
                let id = self.statements.resolve(bulk.statement_id);
                let hint = self.statements.get(id).and_then(|prepared| prepared.extra.clone());
                Box::pin(self.execute(client, (id, ExecutionKind::InBulk), hint, packet)).await
            }
            Command::Fetch { statement_id, .. } => Box::pin(self.fetch(client, statement_id, packet)).await,
            Command::Prepare(sql) => {
                let sql = Box::from(sql);
                Box::pin(self.prepare(client, sql, packet)).await
            }
            Command::CloseStatement(id) => self.close_statement(self.statements.resolve(id)).await,
            Command::SendLongData { statement_id, parameter, data } => {
                let id = self.statements.resolve(statement_id);
                self.statements.add_long_data(id, parameter, data, self.settings.limits.max_packet);
                Ok(())
            }
            Command::ResetStatement(id) => Box::pin(self.reset_statement(client, id, packet)).await,
            Command::InitDb(schema) => {
                let statement = session_statement(Verb::Use, vec![SessionEffect::Use(Box::from(schema))]);
                self.forward(client, &statement, Steering::default(), Request::whole(packet, Expect::Ok)).await.map(drop)
            }
            Command::Statistics => {
                let statement = session_statement(Verb::Show, Vec::new());
                self.forward(client, &statement, Steering::default(), Request::whole(packet, Expect::Text)).await.map(drop)
            }
            Command::Ping => self.reply_ok(client).await,
            Command::ResetConnection => self.reset(client).await,
            Command::ChangeUser => Err(Box::pin(self.change_user(&payload)).await),
            Command::Quit => Err(Ended),
            Command::FieldList { .. } => {
                let statement = Statement { effects: Effects::READ_DATA, ..session_statement(Verb::Show, Vec::new()) };
                self.forward(client, &statement, Steering::default(), Request::whole(packet, Expect::FieldList)).await.map(drop)
            }
            Command::ProcessInfo => {
                let statement = Statement { effects: Effects::THIS_SERVER, ..session_statement(Verb::Show, Vec::new()) };
                self.forward(client, &statement, Steering::default(), Request::whole(packet, Expect::Query)).await.map(drop)
            }
            Command::ProcessKill(id) => Box::pin(self.process_kill(client, id, packet)).await,
            Command::SetOption(option) => self.set_option(client, option).await,
            Command::Refresh(_) | Command::Debug if self.settings.admin_commands => {
                let statement = Statement { effects: Effects::UNKNOWN, ..session_statement(Verb::Other, Vec::new()) };
                self.forward(client, &statement, Steering::default(), Request::whole(packet, Expect::Ok)).await.map(drop)
            }
            Command::RegisterReplica => Box::pin(self.follow_binlog(client, packet, Expect::Ok)).await,
            Command::BinlogDump => Box::pin(self.follow_binlog(client, packet, Expect::Events)).await,
            Command::Refresh(_) | Command::Debug | Command::Other(_) => {
                let byte = payload.first().copied().unwrap_or_default();
                self.reply(client, &Refusal::unknown_command(byte)).await
            }
        }
    }

    fn classify(&self, sql: &[u8]) -> Statement {
        self.worker.shared.classifier.classify(sql, &self.session.context())
    }

    async fn reply_ok(&mut self, client: &mut Link) -> Result<(), Ended> {
        let packet = reply::ok(self.answer_sequence, self.status(), self.capabilities);
        self.say(client, &packet).await
    }

    /// Sends the client an error. The session goes on.
    async fn reply(&mut self, client: &mut Link, refusal: &Refusal) -> Result<(), Ended> {
        tracing::debug!(connection = self.entry.id(), code = refusal.code, message = refusal.message, "refused");
        self.trail.failed(refusal.code);
        self.worker.statistics().totals.note_refusal(refusal.code);
        self.say(client, &refusal.packet(self.answer_sequence)).await
    }

    /// Sends an answer of Pointsman's own. A client that does not read it counts as gone.
    async fn say(&self, client: &mut Link, packet: &[u8]) -> Result<(), Ended> {
        let limit = self.settings.limits.client_write;
        if let Ok(sent) = within(limit, client.send(packet)).await {
            return sent.map_err(|_| Ended);
        }
        let connection = self.entry.id();
        tracing::info!(connection, ?limit, "closed a client that does not read its answers (timeouts.client_write)");
        Err(Ended)
    }

    /// Sends the client an error after which the session cannot go on.
    async fn dismiss(&mut self, client: &mut Link, refusal: &Refusal, sequence: u8) -> Ended {
        tracing::info!(connection = self.entry.id(), code = refusal.code, message = refusal.message, "closed a session");
        client.release();
        self.worker.statistics().totals.note_refusal(refusal.code);
        let _ = self.say(client, &refusal.packet(sequence)).await;
        Ended
    }

    /// What the client may know of its session's status when Pointsman answers by itself.
    fn status(&self) -> StatusFlags {
        let mut status = StatusFlags::empty();
        status.set(StatusFlags::AUTOCOMMIT, self.session.binding.autocommit());
        status.set(StatusFlags::IN_TRANS, self.session.binding.in_transaction());
        let escapes_nothing = self.session.binding.sql_mode().contains(SqlMode::NO_BACKSLASH_ESCAPES);
        status.set(StatusFlags::NO_BACKSLASH_ESCAPES, escapes_nothing);
        status
    }
}

/// Whether it counts as a statement of its account.
fn is_limited(command: &Command<'_>) -> bool {
    matches!(command, Command::Query { .. } | Command::Prepare(_) | Command::Execute(_) | Command::BulkExecute(_))
}

/// What ended a wait for the client.
enum PauseEnd {
    Bytes,
    Left,
    Refusal(Refusal),
    Told(Signal),
}

/// The statement after `EXPLAIN ROUTE`. Most statements are not examined again.
fn explained_route(statement: &Statement, sql: &[u8], context: &Context<'_>) -> Option<Box<[u8]>> {
    let may_be_one = matches!(statement.verb, Verb::Explain | Verb::Describe | Verb::Batch);
    may_be_one.then(|| classifier::explained_route(sql, context)).flatten().map(Box::from)
}

/// The statement that represents a command that changes the session and has no text.
fn session_statement(verb: Verb, session: Vec<SessionEffect>) -> Statement {
    Statement {
        verb,
        effects: Effects::CHANGE_SESSION,
        because: classifier::Reason::SessionStatement,
        digest: Digest::default(),
        key: classifier::StatementKey::default(),
        first_definition: 0,
        session,
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::malformed(&malformed)
    }
}
