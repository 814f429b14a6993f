//! The task that changes one server: a connection of its own, kept open so that it is there when new ones cannot be made, and the steps
//! that are done through it, one after the other.

mod sql;
mod steps;

use std::time::Duration;

use failover::Step;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};
use topology::{Failure, FailureKind, Observation};

use crate::failure::ProbeError;
use crate::session::Session;
use crate::settings::{Address, ReplicationAccount, Settings, Target};

/// Between two looks whether the connection is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What has arrived is read at once.
const LISTEN_TIMEOUT: Duration = Duration::from_millis(100);

/// Jobs that may wait for one server. There is one plan at a time, so two are more than ever wait.
const JOBS_QUEUED_MAX: usize = 8;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A step of a plan; where it leads to another server, with that one's address.
    Step(Step, Option<Address>),
    /// Nothing but a look.
    Look,
    /// Nothing but to hear whether the server has said something on this connection, which was idle.
    Listen,
    /// The lock of whoever changes roles, and a look: somebody else may have had it until now.
    Lock,
    /// The same, by who has it already.
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
    reply: oneshot::Sender<Result<Done, Failure>>,
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Done {
    /// False: it goes on, and is to be asked for again (transactions that are still open, a backlog that is not applied yet), or somebody else has
    /// the lock.
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
    pub(crate) fn start(target: Target, settings: Settings, account: Option<ReplicationAccount>) -> Actor {
        let (jobs, receiver) = mpsc::channel(JOBS_QUEUED_MAX);
        tokio::spawn(Worker { target, settings, account, session: None, abandoned: None }.run(receiver));
        Actor { jobs }
    }

    /// Has something done. Past the limit the answer is a failure, and the connection is dropped, whatever the server still does.
    pub(crate) async fn execute(&self, work: Work, limit: Duration) -> Result<Done, Failure> {
        let (reply, answer) = oneshot::channel();
        let gone = || Failure { kind: FailureKind::Silent, why: "the task that changes this server has ended".into() };
        self.jobs.send(Job { work, limit, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// What a server that is gone has said before: MySQL tells idle connections that it shuts down (1053), while those that are in use are cut without
    /// a word.
    pub(crate) async fn last_words(&self) -> Option<Failure> {
        let heard = timeout(LISTEN_TIMEOUT, self.execute(Work::Listen, LISTEN_TIMEOUT)).await.ok()?;
        heard.err().filter(|failure| failure.kind == FailureKind::ShuttingDown)
    }
}

struct Worker {
    target: Target,
    settings: Settings,
    account: Option<ReplicationAccount>,
    session: Option<Session>,
    /// A connection that was given up in the middle of something: the server may go on with it, and with the lock that it holds.
    abandoned: Option<u32>,
}

impl Worker {
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
        let late = ProbeError::QueryTimeout(job.limit);
        // Taken out: a connection with an unfinished answer is of no use to anybody.
        let session = self.session.take();
        let former = session.as_ref().map(Session::id).or(self.abandoned);
        let outcome = match timeout(job.limit, self.work(session, &job.work)).await {
            Ok(Ok((session, done))) => {
                (self.session, self.abandoned) = (Some(session), None);
                Ok(done)
            }
            Ok(Err(error)) => Err(self.without_secrets(error.to_failure(&self.settings.user))),
            Err(_) => {
                self.abandoned = former;
                Err(late.to_failure(&self.settings.user))
            }
        };
        // Whoever asked may have gone on.
        let _ = job.reply.send(outcome);
    }

    /// A server that does not understand a statement repeats some of it, and the journal is for more eyes than the configuration.
    fn without_secrets(&self, failure: Failure) -> Failure {
        match self.account.as_ref().map(|account| &*account.password).filter(|password| !password.is_empty()) {
            Some(password) => Failure { why: failure.why.replace(password, "***").into(), ..failure },
            None => failure,
        }
    }

    async fn work(&self, session: Option<Session>, work: &Work) -> Result<(Session, Done), ProbeError> {
        let mut session = match session {
            Some(session) => session,
            None if matches!(work, Work::Listen) => return Err(ProbeError::NotConnected),
            None => self.open().await?,
        };
        let done = match work {
            Work::Step(step, source) => {
                let is_complete = steps::execute(&mut session, step, source.as_ref(), self.account.as_ref()).await?;
                Done { is_complete, observation: Some(Box::new(session.observe().await?)) }
            }
            Work::Listen => {
                session.ping().await?;
                Done { is_complete: true, observation: None }
            }
            Work::Look => Done { is_complete: true, observation: Some(Box::new(session.observe().await?)) },
            Work::Lock | Work::KeepLock => {
                let is_complete = session.first(&sql::lock(), "held").await?.as_deref() == Some("1");
                let observation = match work {
                    Work::Lock if is_complete => Some(Box::new(session.observe().await?)),
                    _ => None,
                };
                Done { is_complete, observation }
            }
            Work::Clone(donor) => {
                self.clone_from(&mut session, donor).await?;
                Done { is_complete: true, observation: None }
            }
            Work::Unlock => {
                session.run(&sql::unlock()).await?;
                Done { is_complete: true, observation: None }
            }
        };
        Ok((session, done))
    }

    /// A new connection. The one before it is ended, if the server still works on it.
    async fn open(&self) -> Result<Session, ProbeError> {
        let mut session = Session::open(&self.target, &self.settings).await?;
        if let Some(abandoned) = self.abandoned {
            // It may have ended by itself.
            let _ = session.run(&format!("KILL {abandoned}")).await;
        }
        Ok(session)
    }

    /// The server ends itself when the copy is there, and says so by an error.
    async fn clone_from(&self, session: &mut Session, donor: &Address) -> Result<(), ProbeError> {
        let (user, password) = match &self.account {
            Some(account) => (&account.user, &account.password),
            None => (&self.settings.user, &self.settings.password),
        };
        session.run(&sql::allow_donor(donor)).await?;
        session.run(sql::ALLOW_CLONING).await?;
        match session.run(&sql::clone_from(donor, user, password)).await {
            Err(error) if error.says_that_clone_restarts() || error.is_cut_connection() => Ok(()),
            other => other,
        }
    }

    async fn keep_alive(&mut self) {
        let limit = self.settings.connect_timeout;
        self.session = match self.session.take() {
            Some(mut session) => match timeout(limit, session.ping()).await {
                Ok(Ok(())) => Some(session),
                _ => None,
            },
            None => match timeout(limit, self.open()).await {
                Ok(Ok(session)) => Some(session),
                _ => None,
            },
        };
    }
}
