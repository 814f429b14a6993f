//! The task that looks at one server for as long as the monitor lives.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use topology::{Observation, Report, Sample, ServerId};

use crate::failure::ProbeError;
use crate::session::Session;
use crate::settings::{Settings, Target};

/// Waits between attempts to reach a server that is away: from the first to the last, doubling.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Looks at one server and reports what it sees, in order.
#[derive(Debug)]
pub(crate) struct Prober {
    id: ServerId,
    target: Target,
    settings: Settings,
    reports: mpsc::Sender<(ServerId, Report)>,
}

/// Nobody listens to the reports any more.
struct Deaf;

impl Prober {
    pub(crate) fn new(id: ServerId, target: Target, settings: &Settings, reports: mpsc::Sender<(ServerId, Report)>) -> Prober {
        Prober { id, target, settings: settings.clone(), reports }
    }

    /// Runs until nobody listens, or until it is aborted.
    pub(crate) async fn run(self) {
        let mut wait = RETRY_MIN;
        loop {
            let outcome = match self.open().await {
                Ok((session, first)) => {
                    wait = RETRY_MIN;
                    self.follow(session, first).await
                }
                Err(error) => {
                    let outcome = self.report_failure(error).await;
                    sleep(wait).await;
                    wait = (wait * 2).min(RETRY_MAX);
                    outcome
                }
            };
            if let Err(Deaf) = outcome {
                return;
            }
        }
    }

    /// A connection counts only once a full look through it succeeded: a server that lets in and then drops is no better than one
    /// that refuses.
    async fn open(&self) -> Result<(Session, Observation), ProbeError> {
        let mut session = Session::open(&self.target, &self.settings).await?;
        let first = session.observe().await?;
        Ok((session, first))
    }

    /// Looks through one connection until it fails; the next attempt then follows at once.
    async fn follow(&self, mut session: Session, first: Observation) -> Result<(), Deaf> {
        let mut read_only = first.sample.read_only;
        let mut observed_at = Instant::now();
        self.report(observed(first)).await?;

        let mut ticks = interval(self.settings.position_interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let is_full = observed_at.elapsed() >= self.settings.interval;
            match look(&mut session, is_full, read_only).await {
                Ok(Seen::All(observation)) => {
                    read_only = observation.sample.read_only;
                    observed_at = Instant::now();
                    self.report(observed(observation)).await?;
                }
                Ok(Seen::Position(sample)) => self.report(Report::Sampled(sample)).await?,
                // Somebody may have killed this connection only. If the server is at fault, the next attempt will tell.
                Err(error) if error.is_cut_connection() => return Ok(()),
                Err(error) => return self.report_failure(error).await,
            }
        }
    }

    async fn report_failure(&self, error: ProbeError) -> Result<(), Deaf> {
        self.report(Report::Failed(error.into_failure(&self.settings.user))).await
    }

    async fn report(&self, report: Report) -> Result<(), Deaf> {
        self.reports.send((self.id, report)).await.map_err(|_| Deaf)
    }
}

enum Seen {
    All(Observation),
    Position(Sample),
}

/// A quick look that sees a server change sides becomes a full one: its replication source tells what that means.
async fn look(session: &mut Session, is_full: bool, read_only: bool) -> Result<Seen, ProbeError> {
    if !is_full {
        let sample = session.sample().await?;
        if sample.read_only == read_only {
            return Ok(Seen::Position(sample));
        }
    }
    session.observe().await.map(Seen::All)
}

fn observed(observation: Observation) -> Report {
    Report::Observed(Box::new(observation))
}
