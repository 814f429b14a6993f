//! Carries out what `failover` decides: one stage, a look at all servers, the next decision. It remembers nothing that the servers show themselves:
//! only what a person has asked for, and the history that keeps it from acting too often.

mod evidence;
mod progress;
mod rebuild;
mod requests;
mod stage;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use failover::{Durability, Finding, History, Plan, Policy, Severity, Situation, Step, durability, find, plan, requirements};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use topology::{ClusterView, Observation, Report, ServerId, ServerView, Writes};

use crate::actor::Actor;
use crate::control::Status;
use crate::journal::{Entry, Event, Moment, Outcome, Recorder};
use crate::settings::{FailoverSettings, ReplicationAccount, Settings};
use evidence::evidence;
use progress::Promotion;
use requests::Asked;
pub(crate) use requests::server_named;
use stage::{Locked, Servers, StageEnd, Told, Tried};

/// Pause after a failed stage, or while another Pointsman has the lock, up to twice as long at random. It grows with each further failure.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// A step is written to the journal before it is done, unless writing takes longer than this.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Time between two looks at the others while the primary may be lost.
const WITNESS_INTERVAL: Duration = Duration::from_millis(20);

/// What the owner of the cluster must do, in this order.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) unfence: Option<ServerId>,
    pub(crate) fence: Option<ServerId>,
    pub(crate) accept: Option<ServerId>,
    pub(crate) is_closing: bool,
    /// These are to be looked at now: what they show of the primary decides.
    pub(crate) looks: Vec<ServerId>,
}

/// Work on the servers that is in progress.
#[derive(Debug)]
enum Running {
    Locking(JoinHandle<Result<Locked, String>>),
    Stage(JoinHandle<StageEnd>),
}

/// What has ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Whether we have the locks to change roles, and why.
    Locking(Result<Locked, String>),
    /// The outcome of the steps.
    Stage(StageEnd),
}

/// The state of what is being done.
#[derive(Debug)]
pub(crate) struct Executor {
    policy: Policy,
    /// For servers that do not replicate yet.
    account: Option<ReplicationAccount>,
    servers: Servers,
    recorder: Arc<dyn Recorder>,
    /// What our own sessions have in progress on the primary.
    writes: Writes,
    history: History,
    asked: Option<Asked>,
    running: Option<Running>,
    has_locks: bool,
    /// The last journal entry about them.
    locks: Option<Event>,
    fenced: Option<ServerId>,
    is_closing: bool,
    promotion: Option<Promotion>,
    found: Option<Finding>,
    /// When another try may follow.
    retry_at: Instant,
    /// Stages that have failed, one after the other.
    failures: u32,
    /// When the others were last asked about a primary that may be lost.
    looked_at: Instant,
}

impl Executor {
    pub(crate) fn start(
        settings: &Settings,
        failover: FailoverSettings,
        history: History,
        recorder: Arc<dyn Recorder>,
        writes: Writes,
    ) -> Executor {
        Executor {
            servers: servers(settings, &failover, |_| None),
            policy: failover.policy,
            account: failover.account,
            recorder,
            writes,
            history,
            asked: None,
            running: None,
            has_locks: false,
            locks: None,
            fenced: None,
            is_closing: false,
            promotion: None,
            found: None,
            retry_at: Instant::now(),
            failures: 0,
            looked_at: Instant::now(),
        }
    }

    /// The actor of a server.
    pub(crate) fn actor(&self, id: ServerId) -> Option<&Actor> {
        self.servers.actor(id)
    }

    /// Whether this account is the one that servers without replication get.
    pub(crate) fn has_account(&self, account: Option<&ReplicationAccount>) -> bool {
        self.account.as_ref() == account
    }

    /// Whether a stage or the locking is in progress.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Whether nothing is in progress that another process would have to wait for.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.running.is_none() && !self.has_locks && self.asked.is_none() && self.fenced.is_none()
    }

    /// Whether a person has asked for a change of primary, and waits for it. A failover of a lost primary does not count: it goes on under any
    /// configuration, and may need the new one.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.is_some() || self.is_closing
    }

    /// Applies another configuration. Actors of unchanged servers go on.
    pub(crate) fn change(
        &mut self,
        view: &ClusterView,
        settings: &Settings,
        failover: FailoverSettings,
        is_kept: impl Fn(ServerId) -> bool,
    ) {
        if self.has_locks {
            self.give_locks_back(view);
        }
        let before = &self.servers;
        let knows_account = self.has_account(failover.account.as_ref());
        let known = |id| before.actor(id).filter(|_| knows_account && is_kept(id)).cloned();
        self.servers = servers(settings, &failover, known);
        self.policy = failover.policy;
        self.account = failover.account;
    }

    /// Waits for the end of the work in progress; for ever, if there is none.
    pub(crate) async fn ended(&mut self) -> Ended {
        let ended = match &mut self.running {
            None => std::future::pending().await,
            Some(Running::Locking(task)) => {
                Ended::Locking(task.await.unwrap_or_else(|_| Err("the task that asked for the locks has failed".to_owned())))
            }
            Some(Running::Stage(task)) => Ended::Stage(task.await.unwrap_or_default()),
        };
        self.running = None;
        ended
    }

    /// Takes in what has ended. The looks are for the cluster.
    pub(crate) fn take_end(&mut self, view: &ClusterView, ended: Ended) -> Vec<(ServerId, Report)> {
        match ended {
            Ended::Locking(outcome) => {
                self.has_locks = outcome.is_ok();
                if let Err(why) = &outcome {
                    self.retry_at = Instant::now() + jittered(RETRY);
                    self.refuse_failover(why);
                }
                let (text, looks) = match outcome {
                    Ok(locked) => (locked.text, locked.looks),
                    Err(why) => (why, Vec::new()),
                };
                let locks = Event::Locks { held: self.has_locks, text };
                if self.locks.as_ref() != Some(&locks) {
                    self.record(locks.clone());
                    self.locks = Some(locks);
                }
                reports(looks)
            }
            Ended::Stage(end) => {
                let has_failed = !end.had_locks || end.tried.iter().any(|tried| tried.outcome.is_err());
                self.failures = if has_failed { self.failures.saturating_add(1) } else { 0 };
                self.retry_at = Instant::now() + self.pause();
                // Locks die with their connections, so they are asked for again when a step has failed.
                self.has_locks &= !has_failed;
                for tried in &end.tried {
                    self.note(view, tried);
                }
                reports(end.looks)
            }
        }
    }

    /// Looks at the situation, and begins the next stage if there is one and none is in progress.
    pub(crate) fn consider(&mut self, view: &ClusterView) -> Orders {
        let now = Instant::now();
        if self.running.is_some() {
            // Nothing else is decided meanwhile.
            return Orders { fence: self.fenced, is_closing: self.is_closing, ..Orders::default() };
        }
        let situation = Situation {
            view,
            policy: &self.policy,
            history: &self.history,
            request: self.asked.as_ref().map(|asked| asked.request),
        };
        let finding = find(&situation, now.into_std());
        let plan = plan(&finding, &situation, now.into_std());
        self.note_finding(view, &finding);
        self.follow_promotion(view, &finding, &plan);
        self.answer_request(&finding);
        let orders = Orders {
            unfence: plan.unfence,
            fence: plan.fence,
            accept: plan.accept.filter(|_| self.has_locks),
            // Statements need not wait for the locks.
            is_closing: plan.is_closing && self.has_locks,
            looks: self.witnesses(view, &finding, now),
        };
        (self.fenced, self.is_closing) = (orders.fence, orders.is_closing);
        self.begin(view, plan, now);
        self.found = Some(finding);
        orders
    }

    /// The servers to look at: a lost primary is judged by what the others show in looks that begin after its loss.
    fn witnesses(&mut self, view: &ClusterView, finding: &Finding, now: Instant) -> Vec<ServerId> {
        if !matches!(finding, Finding::PrimarySuspect { .. }) || now < self.looked_at + WITNESS_INTERVAL {
            return Vec::new();
        }
        self.looked_at = now;
        view.servers.iter().filter(|server| server.answers()).map(|server| server.id).collect()
    }

    fn begin(&mut self, view: &ClusterView, plan: Plan, now: Instant) {
        if plan.stage.is_empty() && (plan.accept.is_none() || self.has_locks) {
            match (self.has_locks, plan.fence) {
                (true, None) => self.give_locks_back(view),
                (true, Some(_)) => {}
                (false, _) => self.locks = None,
            }
            return;
        }
        if now < self.retry_at {
            return;
        }
        let answering: Vec<ServerId> =
            view.servers.iter().filter(|server| server.is_reachable()).map(|server| server.id).collect();
        let servers = self.servers.clone();
        if !self.has_locks {
            self.running = Some(Running::Locking(tokio::spawn(servers.take_lock(answering, self.accepts_loss()))));
            return;
        }
        for step in &plan.stage {
            self.history.begin(step.kind(), step.server());
            if step.must_be_noted() {
                self.record_step(view, step, Duration::ZERO, Outcome::Begins);
            }
        }
        let sibling = plan.stage.iter().find_map(|step| match step {
            Step::Detach { server } => sibling(view, *server),
            _ => None,
        });
        let (before, accepts_loss) = (self.hook_before(), self.accepts_loss());
        let kept = plan.stage.iter().any(Step::must_be_noted).then(|| self.recorder.flush());
        self.running = Some(Running::Stage(tokio::spawn(async move {
            if let Some(kept) = kept {
                // A disk that hangs must not keep the primary from being replaced.
                let _ = tokio::time::timeout(FLUSH_TIMEOUT, kept).await;
            }
            if let Some(before) = before {
                before.await;
            }
            servers.run(plan.stage, answering, sibling, accepts_loss).await
        })));
    }

    /// The pause before the next try, which grows with each failure in a row.
    fn pause(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => jittered(RETRY * 2_u32.saturating_pow(failures - 1)).min(RETRY_MAX),
        }
    }

    fn give_locks_back(&mut self, view: &ClusterView) {
        (self.has_locks, self.locks) = (false, None);
        let (servers, all) = (self.servers.clone(), view.servers.iter().map(|server| server.id).collect::<Vec<_>>());
        tokio::spawn(async move { servers.unlock(&all).await });
    }

    /// What is kept of a step.
    fn note(&mut self, view: &ClusterView, tried: &Tried) {
        let outcome = match &tried.outcome {
            Ok(true) => Outcome::Done,
            Ok(false) => Outcome::GoesOn,
            Err(failure) => Outcome::Failed(failure.why.to_string()),
        };
        if outcome == Outcome::Done {
            self.history.end(tried.step.kind(), tried.step.server());
            if matches!(tried.step, Step::AwaitTransactions { .. }) && self.writes.are_none() {
                self.end_of_transactions();
            }
        }
        self.record_step(view, &tried.step, tried.took, outcome);
    }

    fn record_step(&self, view: &ClusterView, step: &Step, took: Duration, outcome: Outcome) {
        let server = name(view, step.server());
        self.record(Event::Step { step: step.label(), server, detail: progress::detail(view, step), took, outcome });
    }

    fn note_finding(&mut self, view: &ClusterView, finding: &Finding) {
        if self.found.as_ref().is_some_and(|found| found.label() == finding.label()) {
            return;
        }
        let text = finding.to_string();
        let severity = finding.severity();
        match severity {
            Severity::Error => tracing::error!(finding = finding.label(), "{text}"),
            Severity::Warning => tracing::warn!(finding = finding.label(), "{text}"),
            Severity::Info => tracing::info!(finding = finding.label(), "{text}"),
        }
        self.record(Event::Found { finding: finding.label(), severity: severity.label(), text, evidence: evidence(view) });
    }

    fn hook_before(&mut self) -> Option<crate::journal::Pending> {
        let promotion = self.promotion.as_mut().filter(|promotion| !promotion.is_announced)?;
        promotion.is_announced = true;
        let entry = Entry { at: SystemTime::now(), event: promotion.began() };
        Some(self.recorder.hook(Moment::Before, &entry))
    }

    pub(crate) fn record(&self, event: Event) {
        record(&*self.recorder, event);
    }

    /// How things are.
    pub(crate) fn status(&self, view: ClusterView) -> Status {
        let situation = Situation { view: &view, policy: &self.policy, history: &self.history, request: None };
        let finding = self.found.clone().unwrap_or_else(|| find(&situation, Instant::now().into_std()));
        let text = match &self.locks {
            Some(Event::Locks { held: false, text: why }) => format!("{finding}. That has to wait: {why}"),
            _ => finding.to_string(),
        };
        Status {
            finding: finding.label(),
            severity: finding.severity().label(),
            text,
            durability: match self.policy.durability {
                Durability::Manual => Durability::Manual,
                _ => durability(&situation, view.last_primary),
            },
            requirements: requirements(&view, &self.policy),
            view,
        }
    }
}

fn servers(settings: &Settings, failover: &FailoverSettings, known: impl Fn(ServerId) -> Option<Actor>) -> Servers {
    let told = |target: &crate::MonitoredServer| {
        let start = || Actor::start(target.clone(), settings.clone(), failover.account.clone());
        Told { id: target.id, actor: known(target.id).unwrap_or_else(start), address: target.replication.clone() }
    };
    Servers { all: settings.servers.iter().map(told).collect(), step_timeout: failover.step_timeout }
}

fn reports(looks: Vec<(ServerId, Box<Observation>)>) -> Vec<(ServerId, Report)> {
    looks.into_iter().map(|(id, look)| (id, Report::Observed(look))).collect()
}

/// Another server that answers and has nothing that this one lacks, and is not its source.
fn sibling(view: &ClusterView, of: ServerId) -> Option<ServerId> {
    let server = view.server(of)?;
    let has_less =
        |other: &ServerView| matches!((server.received(), other.received()), (Some(mine), Some(theirs)) if mine.contains(theirs));
    let fits = |other: &&ServerView| {
        other.id != of && other.answers() && server.follows != topology::Following::Server(other.id) && has_less(other)
    };
    view.servers.iter().find(fits).map(|other| other.id)
}

/// Two Pointsmen that retry at the same moment would collide again.
fn jittered(time: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) % 100;
    time + time * u32::try_from(chance).unwrap_or(0) / 100
}

/// Keeps an entry, in the journal and in the log.
fn record(recorder: &dyn Recorder, event: Event) {
    let entry = Entry { at: SystemTime::now(), event };
    progress::log(&entry.event);
    recorder.record(&entry);
}

fn name(view: &ClusterView, id: ServerId) -> String {
    view.server(id).map_or_else(|| id.to_string(), |server| server.name.to_string())
}
