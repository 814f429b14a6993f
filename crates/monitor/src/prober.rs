//! The task that looks at one server for as long as the monitor lives.

mod unanswered;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use topology::{FailureKind, Observation, ProbeFailure, Report, Sample, ServerId};

use crate::actor::Actor;
use crate::connection::ServerConnection;
use crate::failure::ProbeError;
use crate::settings::{MonitoredServer, Settings};
use unanswered::Silence;

/// Pauses between attempts to reach a server that is away: the shortest and the longest, doubling in between.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Looks at one server and reports what it sees, in order.
#[derive(Debug)]
pub(crate) struct Prober {
    id: ServerId,
    target: MonitoredServer,
    settings: Settings,
    reports: mpsc::Sender<(ServerId, Report)>,
    /// A full look is needed now.
    wanted: Arc<Notify>,
    /// The actor, which has another connection to the server.
    actor: Actor,
}

/// The receiver of the reports is gone.
struct ReceiverGone;

/// How the looks through one connection ended.
enum End {
    /// The connection was cut after good looks. Perhaps only this one was killed; the next attempt will show.
    Cut,
    Failed(ProbeError),
}

impl Prober {
    pub(crate) fn new(
        target: MonitoredServer,
        settings: &Settings,
        reports: mpsc::Sender<(ServerId, Report)>,
        wanted: Arc<Notify>,
        actor: Actor,
    ) -> Prober {
        Prober { id: target.id, target, settings: settings.clone(), reports, wanted, actor }
    }

    /// Runs until the receiver is gone, or until it is aborted.
    pub(crate) async fn run(self) {
        let mut wait = RETRY_MIN;
        let mut silence = Silence::since(Instant::now());
        let mut ended = None;
        while self.attempt(&mut wait, &mut silence, &mut ended).await.is_ok() {}
    }

    /// One connection, from its beginning to its end. What it waits after a failure doubles. `ended` belongs to the last connection, if the server
    /// has ended it: the moment at which it was made.
    async fn attempt(&self, wait: &mut Duration, silence: &mut Silence, ended: &mut Option<Instant>) -> Result<(), ReceiverGone> {
        let mut let_in = None;
        let end = match self.connect(silence).await? {
            Ok(connection) => {
                (let_in, *ended) = (Some(Instant::now()), None);
                self.follow(connection, wait).await?
            }
            Err(error) => End::Failed(error),
        };
        let mut is_silent = false;
        match end {
            End::Cut => *ended = let_in,
            End::Failed(error) => {
                let failure = self.judge(&error, *ended).await;
                if failure.kind == FailureKind::ShuttingDown {
                    *ended = ended.or(let_in);
                }
                is_silent = failure.kind == FailureKind::Silent;
                self.report(Report::Failed(failure)).await?;
                sleep(*wait).await;
                *wait = (*wait * 2).min(RETRY_MAX);
            }
        }
        if !is_silent {
            *silence = Silence::since(Instant::now());
        }
        Ok(())
    }

    /// What a failure proves after a connection that the server has ended.
    async fn judge(&self, error: &ProbeError, ended: Option<Instant>) -> ProbeFailure {
        let mut failure = error.to_failure(&self.settings.user);
        let Some(let_in) = ended else { return failure };
        // When a container or a machine goes away, so do its name and address, and no host is left to refuse a connection. That alone may be a fault
        // of our own network; after the server itself has ended a connection, it is not.
        if failure.kind == FailureKind::Silent && !error.is_timeout() {
            failure.kind = FailureKind::Gone;
        }
        if failure.kind == FailureKind::Gone {
            failure = self.actor.last_words(let_in).await.unwrap_or(failure);
        }
        failure
    }

    /// Looks through one connection until it fails. The connection counts only once a full look through it succeeded: a server that
    /// lets in and then drops is no better than one that refuses.
    async fn follow(&self, connection: ServerConnection, wait: &mut Duration) -> Result<End, ReceiverGone> {
        let (mut connection, mut seen) = match self.look(connection, Look::Full).await? {
            Ok(done) => done,
            Err(error) => return Ok(End::Failed(error)),
        };
        *wait = RETRY_MIN;
        let (mut read_only, mut observed_at) = (false, Instant::now());
        let mut ticks = interval(self.settings.position_interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            match seen {
                Seen::All(observation) => {
                    (read_only, observed_at) = (observation.sample.read_only, Instant::now());
                    self.report(Report::Observed(observation)).await?;
                }
                Seen::Position(sample) => self.report(Report::Sampled(sample)).await?,
            }
            let is_wanted = tokio::select! {
                _ = ticks.tick() => false,
                () = self.wanted.notified() => true,
            };
            let is_full = is_wanted || observed_at.elapsed() >= self.settings.interval;
            let look = if is_full { Look::Full } else { Look::Quick { read_only } };
            match self.look(connection, look).await? {
                Ok(done) => (connection, seen) = done,
                Err(error) if error.is_cut_connection() => {
                    tracing::debug!(server = self.target.name, %error, "the connection for looks was cut");
                    return Ok(End::Cut);
                }
                Err(error) => return Ok(End::Failed(error)),
            }
        }
    }

    async fn report_failure(&self, error: &ProbeError) -> Result<(), ReceiverGone> {
        self.report(Report::Failed(error.to_failure(&self.settings.user))).await
    }

    async fn report(&self, report: Report) -> Result<(), ReceiverGone> {
        self.reports.send((self.id, report)).await.map_err(|_| ReceiverGone)
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
enum Look {
    Full,
    /// The position. If `read_only` has changed, a full look follows, as the replication source shows what that means.
    Quick {
        /// What it was.
        read_only: bool,
    },
}

enum Seen {
    All(Box<Observation>),
    Position(Sample),
}

/// Takes the connection and returns it only if the answer is complete, since it could not be used otherwise.
async fn look(mut connection: ServerConnection, look: Look) -> Result<(ServerConnection, Seen), ProbeError> {
    if let Look::Quick { read_only } = look {
        let sample = connection.sample().await?;
        if sample.read_only == read_only {
            return Ok((connection, Seen::Position(sample)));
        }
    }
    let observation = Box::new(connection.observe().await?);
    Ok((connection, Seen::All(observation)))
}
