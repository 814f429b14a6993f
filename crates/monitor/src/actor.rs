//! The task that changes one server. It keeps a connection of its own open, in case new ones cannot be made, and does the steps through it, one after
//! the other.

mod sql;
mod steps;

use std::time::Duration;

use failover::Step;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use topology::{FailureKind, Observation, ProbeFailure};

use crate::connection::ServerConnection;
use crate::failure::ProbeError;
use crate::settings::{Address, MonitoredServer, ReplicationAccount, Settings};

/// Time between two checks that the connection is still open.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Asks a server whether it still serves. `COM_PING` is not enough: while MySQL shuts down, it answers a ping with OK before it closes the
/// connection, but a statement with 1053.
const SIGN_OF_LIFE: &str = "DO 0";

/// How long a prober waits for last words. Only a busy machine needs longer, and a later answer is kept for the prober's next attempt.
const LISTEN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the actor waits for them. MySQL closes every connection about two seconds after it was told to shut down.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(5);

/// Most connections that were given up and still have to be ended. More than one is rare.
const ABANDONED_MAX: usize = 8;

/// Connections that are remembered as our own.
const FORMER_MAX: usize = 64;

/// Most jobs that may wait for one server. There is one plan at a time, so hardly ever more than one waits.
const JOBS_QUEUED_MAX: usize = 8;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A step of a plan, with the address of the other server if it involves one.
    Step(Step, Option<Address>),
    /// Nothing but a look.
    Look,
    /// Asks only whether the server is shutting down, through the open connection. What it has said since this moment counts, too.
    Listen(Instant),
    /// Takes the lock for changing roles, and looks: another Pointsman may have had it until now.
    Lock,
    /// The same, if we have the lock already.
    KeepLock,
    /// Gives it back.
    Unlock,
    /// A copy of the data of the server at this address in place of its own. MySQL only.
    Clone(Address),
}

/// Something to do, and where to answer.
#[derive(Debug)]
pub(crate) struct Job {
    work: Work,
    limit: Duration,
    reply: oneshot::Sender<Result<Done, ProbeFailure>>,
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Done {
    /// False: it is unfinished and has to be asked for again (open transactions, a backlog that is not applied yet), or another Pointsman has the
    /// lock.
    pub(crate) is_complete: bool,
    /// The server after it.
    pub(crate) observation: Option<Box<Observation>>,
}

/// The way to an actor.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    jobs: mpsc::Sender<Job>,
}

impl Actor {
    /// Starts the task; it ends when the last handle is gone.
    pub(crate) fn start(target: MonitoredServer, settings: Settings, account: Option<ReplicationAccount>) -> Actor {
        let (jobs, receiver) = mpsc::channel(JOBS_QUEUED_MAX);
        tokio::spawn(Worker::new(target, settings, account).run(receiver));
        Actor { jobs }
    }

    /// Executes a job. After the time limit the answer is a failure, and the connection is dropped, whatever the server still does.
    pub(crate) async fn execute(&self, work: Work, limit: Duration) -> Result<Done, ProbeFailure> {
        let (reply, answer) = oneshot::channel();
        let gone = || ProbeFailure { kind: FailureKind::Silent, why: "the task that changes this server has ended".into() };
        self.jobs.send(Job { work, limit, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Whether a server that takes no new connections says through an old one that it is shutting down, or has said so since it let the prober in.
    /// MySQL cuts connections that are in use without an error. The others stay open for two seconds, and get 1053 in answer to their next statement.
    pub(crate) async fn last_words(&self, let_in: Instant) -> Option<ProbeFailure> {
        let heard = timeout(LISTEN_TIMEOUT, self.execute(Work::Listen(let_in), LAST_WORDS_TIMEOUT)).await.ok()?;
        heard.err().filter(|failure| failure.kind == FailureKind::ShuttingDown)
    }
}

struct Worker {
    target: MonitoredServer,
    settings: Settings,
    account: Option<ReplicationAccount>,
    connection: Option<ServerConnection>,
    /// The server's number of the present connection.
    current: Option<u32>,
    /// The numbers of the last connections that were opened, whether or not they are still open.
    former: Vec<u32>,
    /// Connections that were given up in the middle of something: the server may go on with them, and with the lock that they hold.
    abandoned: Vec<u32>,
    /// The server has said on the last connection that it shuts down, and the prober does not know it yet.
    last_words: Option<LastWords>,
}

/// The news that a server is shutting down. It comes once, as the answer to the first question.
#[derive(Debug)]
struct LastWords {
    /// When the question was sent. A later login reaches another process.
    asked_at: Instant,
    failure: ProbeFailure,
}

impl Worker {
    fn new(target: MonitoredServer, settings: Settings, account: Option<ReplicationAccount>) -> Worker {
        Worker {
            target,
            settings,
            account,
            connection: None,
            current: None,
            former: Vec::new(),
            abandoned: Vec::new(),
            last_words: None,
        }
    }

    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut ticks = interval(KEEP_ALIVE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                job = jobs.recv() => match job {
                    Some(job) => self.serve(job).await,
                    None => return,
                },
                _ = ticks.tick() => self.keep_alive().await,
            }
        }
    }

    async fn serve(&mut self, job: Job) {
        let is_listening = matches!(job.work, Work::Listen(_));
        if is_listening && job.reply.is_closed() {
            return;
        }
        let outcome = match job.work {
            Work::Listen(since) if let Some(said) = self.said_since(since) => Err(said),
            _ => self.perform(&job).await,
        };
        // The asker may have given up.
        let is_heard = job.reply.send(outcome).is_ok();
        if is_listening && is_heard {
            // The failures that follow are reported as what they are.
            self.last_words = None;
        }
    }

    async fn perform(&mut self, job: &Job) -> Result<Done, ProbeFailure> {
        let asked_at = Instant::now();
        let late = ProbeError::QueryTimeout(job.limit);
        // Taken out, since a connection with an unfinished answer cannot be used again.
        let connection = self.connection.take();
        self.current = connection.as_ref().map(ServerConnection::id);
        match timeout(job.limit, self.work(connection, &job.work)).await {
            Ok(Ok((connection, done))) => {
                (self.connection, self.last_words) = (Some(connection), None);
                Ok(done)
            }
            Ok(Err(error)) => Err(self.take_failure(asked_at, &error)),
            Err(_) => {
                self.abandon();
                Err(late.to_failure(&self.settings.user))
            }
        }
    }

    /// What has failed, and what is to be kept of it.
    fn take_failure(&mut self, asked_at: Instant, error: &ProbeError) -> ProbeFailure {
        if matches!(error, ProbeError::QueryTimeout(_)) {
            self.abandon();
        }
        let failure = self.without_secrets(error.to_failure(&self.settings.user));
        self.remember_last_words(asked_at, &failure);
        failure
    }

    /// The next connection ends it.
    fn abandon(&mut self) {
        self.abandoned.extend(self.current.take());
        keep_last(&mut self.abandoned, ABANDONED_MAX);
    }

    fn remember_last_words(&mut self, asked_at: Instant, failure: &ProbeFailure) {
        if failure.kind == FailureKind::ShuttingDown {
            self.last_words = Some(LastWords { asked_at, failure: failure.clone() });
        }
    }

    /// An earlier answer is from the process before the one that let the prober in, and says nothing about that one.
    fn said_since(&self, since: Instant) -> Option<ProbeFailure> {
        self.last_words.as_ref().filter(|said| said.asked_at >= since).map(|said| said.failure.clone())
    }

    /// A syntax error quotes part of the statement, and more people may read the journal than the configuration.
    fn without_secrets(&self, failure: ProbeFailure) -> ProbeFailure {
        match self.account.as_ref().map(|account| &*account.password).filter(|password| !password.is_empty()) {
            Some(password) => ProbeFailure { why: failure.why.replace(password, "***").into(), ..failure },
            None => failure,
        }
    }

    async fn work(&mut self, connection: Option<ServerConnection>, work: &Work) -> Result<(ServerConnection, Done), ProbeError> {
        let mut connection = match connection {
            Some(connection) => connection,
            None if matches!(work, Work::Listen(_)) => return Err(ProbeError::NotConnected),
            None => self.open().await?,
        };
        let done = match work {
            Work::Step(step, source) => {
                let is_complete = {
                    let (account, encrypted) = (self.account.as_ref(), self.settings.tls.is_demanded());
                    steps::execute(&mut connection, step, source.as_ref(), account, encrypted).await?
                };
                Done { is_complete, observation: Some(Box::new(connection.observe().await?)) }
            }
            Work::Listen(_) => {
                connection.run(SIGN_OF_LIFE).await?;
                Done { is_complete: true, observation: None }
            }
            Work::Look => Done { is_complete: true, observation: Some(Box::new(connection.observe().await?)) },
            Work::Lock | Work::KeepLock => {
                let is_complete = connection.first(&sql::lock(), "held").await?.as_deref() == Some("1");
                // The holder may be a former connection of our own that the server has not ended yet. Then this server's lock counts for no
                // Pointsman.
                if !is_complete {
                    let holder = connection.first(&sql::lock_holder(), "holder").await?.and_then(|id| id.parse().ok());
                    if holder.is_none_or(|holder| self.former.contains(&holder)) {
                        return Err(ProbeError::NotConnected);
                    }
                }
                let observation = match work {
                    Work::Lock if is_complete => Some(Box::new(connection.observe().await?)),
                    _ => None,
                };
                Done { is_complete, observation }
            }
            Work::Clone(donor) => {
                self.clone_from(&mut connection, donor).await?;
                Done { is_complete: true, observation: None }
            }
            Work::Unlock => {
                connection.run(&sql::unlock()).await?;
                Done { is_complete: true, observation: None }
            }
        };
        Ok((connection, done))
    }

    /// A new connection. Those that were given up before it are ended, if the server still works on them.
    async fn open(&mut self) -> Result<ServerConnection, ProbeError> {
        let mut connection = ServerConnection::open(&self.target, &self.settings).await?;
        self.current = Some(connection.id());
        self.former.push(connection.id());
        keep_last(&mut self.former, FORMER_MAX);
        for abandoned in &self.abandoned {
            // It may have ended by itself.
            let _ = connection.run(&format!("KILL {abandoned}")).await;
        }
        self.abandoned.clear();
        Ok(connection)
    }

    /// The server stops when the copy is complete, and reports that as an error.
    async fn clone_from(&self, connection: &mut ServerConnection, donor: &Address) -> Result<(), ProbeError> {
        let (user, password) = match &self.account {
            Some(account) => (&account.user, &account.password),
            None => (&self.settings.user, &self.settings.password),
        };
        connection.run(&sql::allow_donor(donor)).await?;
        connection.run(sql::ALLOW_CLONING).await?;
        match connection.run(&sql::clone_from(donor, user, password, self.settings.tls.is_demanded())).await {
            Err(error) if error.says_that_clone_restarts() || error.is_cut_connection() => Ok(()),
            other => other,
        }
    }

    async fn keep_alive(&mut self) {
        let asked_at = Instant::now();
        let limit = self.settings.connect_timeout;
        let connection = self.connection.take();
        self.current = connection.as_ref().map(ServerConnection::id);
        let kept = async {
            match connection {
                Some(mut connection) => connection.run(SIGN_OF_LIFE).await.map(|()| connection),
                None => self.open().await,
            }
        };
        match timeout(limit, kept).await {
            Ok(Ok(connection)) => (self.connection, self.last_words) = (Some(connection), None),
            Ok(Err(error)) => drop(self.take_failure(asked_at, &error)),
            Err(_) => self.abandon(),
        }
    }
}

fn keep_last(ids: &mut Vec<u32>, count: usize) {
    let surplus = ids.len().saturating_sub(count);
    ids.drain(..surplus);
}

#[cfg(test)]
mod tests;
