//! Looks at every server, again and again, and publishes what all of them look like together.
//!
//! One task per server holds one persistent connection and asks: a full look (roles, replication, versions) every [`Settings::interval`], a quick one
//! (positions, read-only or not) every [`Settings::position_interval`]. One more task owns the [`topology::Cluster`] and is the only writer of the
//! snapshot. `topology` decides what the answers mean, and `failover` what to do about them; both are pure, and the IO is here. That task also
//! carries out the decisions: it begins a stage of a plan, and one more task per server (the actor) does the steps through a connection of its own. A
//! fourth kind of task reads the definitions of functions and views for the classifier. The monitor knows nothing of client sessions.

mod actor;
mod answers;
mod catalogue;
mod changes;
mod check;
mod connection;
mod control;
mod executor;
mod failure;
mod journal;
mod prober;
mod settings;
mod snapshots;
mod tls;

use std::sync::Arc;

use failover::History;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use topology::{
    Cluster, ClusterSettings, Member, Publisher, Report, ServerId, ServerView, Share, ShareChange, Snapshot, publishing,
};

pub use catalogue::keep_catalogue;
pub use check::{AccountCheck, check_accounts, look_once};
pub use control::{Change, Control, MonitorEnded, Status};
pub use journal::{Entry, Event, Moment, NoRecorder, Outcome, Pending, Recorder};
pub use settings::{Address, FailoverSettings, MonitoredServer, ReplicationAccount, Settings};
pub use snapshots::Snapshots;
pub use tls::{ServerTls, TlsMode};

use control::{COMMANDS_QUEUED_MAX, Command};
use executor::{Ended, Executor, Orders, server_named};
use prober::Prober;

/// Reports that may wait for the cluster task. When the queue is full, probers wait: one late look is worth more than a queue of old ones.
const REPORTS_QUEUED_MAX: usize = 64;

/// Time between two decisions if no report comes: some depend on time alone.
const DECISION_INTERVAL: Duration = Duration::from_millis(100);

/// What the monitor needs to change roles.
#[derive(Debug)]
pub struct Failover {
    /// When and how a primary is replaced.
    pub settings: FailoverSettings,
    /// The journal's record of earlier processes.
    pub history: History,
    /// Keeps the journal.
    pub recorder: Arc<dyn Recorder>,
}

impl Failover {
    /// Looks, and changes nothing.
    pub fn none() -> Failover {
        Failover {
            settings: FailoverSettings {
                policy: failover::Policy {
                    durability: failover::Durability::Manual,
                    members: Vec::new(),
                    hang: Duration::from_secs(3),
                    cooldown: Duration::ZERO,
                    daily_max: 0,
                    has_replication_account: false,
                },
                account: None,
                step_timeout: Duration::from_secs(5),
            },
            history: History::default(),
            recorder: Arc::new(NoRecorder),
        }
    }
}

/// Starts the monitor on the current tokio runtime. It ends soon after `stop` is cancelled, or when it is dropped with the runtime.
///
/// The first snapshot contains only the list; [`Snapshots::wait_until`] waits for a better one.
pub fn start(settings: Settings, failover: Failover, stop: CancellationToken) -> (Snapshots, Control, JoinHandle<()>) {
    let cluster = new_cluster(&settings);
    let (publisher, readable) = publishing(cluster.snapshot().clone());
    let (announce, generations) = watch::channel(0);
    let (commands, asked) = mpsc::channel(COMMANDS_QUEUED_MAX);
    let executor = Executor::start(&settings, failover.settings, failover.history, failover.recorder, readable.writes().clone());
    let (report, reports) = mpsc::channel(REPORTS_QUEUED_MAX);
    let (settings, known) = watch::channel(settings);
    let monitor = Monitor {
        cluster,
        publisher,
        announce,
        executor,
        settings,
        report,
        probers: Vec::new(),
        reload: None,
        suspend: None,
        is_suspended: false,
    };
    let task = tokio::spawn(monitor.run(asked, reports, stop));
    (Snapshots::new(readable, generations), Control::new(commands, known), task)
}

/// Nothing is known yet but the list.
fn new_cluster(settings: &Settings) -> Cluster {
    Cluster::new(members(settings), cluster_settings(settings))
}

fn cluster_settings(settings: &Settings) -> ClusterSettings {
    ClusterSettings { failures: settings.failures, ..ClusterSettings::default() }
}

fn members(settings: &Settings) -> Vec<(ServerId, Member)> {
    let member = |target: &MonitoredServer| Member {
        name: target.name.as_str().into(),
        address: target.address().into(),
        replication_address: target.replication.to_string().into(),
        share: target.share,
    };
    settings.servers.iter().map(|target| (target.id, member(target))).collect()
}

/// The owner of the cluster's state.
struct Monitor {
    cluster: Cluster,
    publisher: Publisher,
    announce: watch::Sender<u64>,
    executor: Executor,
    settings: watch::Sender<Settings>,
    /// For the probers.
    report: mpsc::Sender<(ServerId, Report)>,
    probers: Vec<Probing>,
    /// Another configuration that waits until no work on the servers is in progress.
    reload: Option<Reload>,
    /// It is to stop deciding once nothing is in progress.
    suspend: Option<oneshot::Sender<Result<(), String>>>,
    /// It only looks at the servers: another process decides.
    is_suspended: bool,
}

/// Another configuration, and the channel for the result.
type Reload = (Box<(Settings, FailoverSettings)>, oneshot::Sender<Result<(), String>>);

/// A server that is being probed, until this is dropped.
#[derive(Debug)]
struct Probing {
    target: MonitoredServer,
    /// Requests a full look.
    wanted: Arc<Notify>,
    /// Aborting the prober at any point is safe: it only reads.
    _task: AbortOnDropHandle<()>,
}

impl Monitor {
    async fn run(
        mut self,
        mut asked: mpsc::Receiver<Command>,
        mut reports: mpsc::Receiver<(ServerId, Report)>,
        stop: CancellationToken,
    ) {
        self.probe(Vec::new());
        let mut ticks = interval(DECISION_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ended = self.executor.ended() => self.take_end(ended),
                Some(command) = asked.recv() => self.take_command(command),
                Some((id, report)) = reports.recv() => self.take_in(id, report),
                _ = ticks.tick() => {}
            }
            if !self.is_suspended {
                self.decide();
            }
            let suspects = self.publisher.reader().suspects().take();
            self.look_at(suspects);
            self.suspend_if_idle();
            if !self.executor.is_busy()
                && let Some((settings, reply)) = self.reload.take()
            {
                // The asker may have gone.
                let _ = reply.send(self.change(*settings));
            }
        }
    }

    /// Starts probers for all servers; unchanged servers keep theirs.
    fn probe(&mut self, mut kept: Vec<Probing>) {
        let settings = self.settings.borrow();
        for target in &settings.servers {
            let known = kept.iter().position(|probing| probing.target.id == target.id).map(|place| kept.swap_remove(place));
            let start = || {
                let (wanted, actor) = (Arc::default(), self.executor.actor(target.id)?.clone());
                let prober = Prober::new(target.clone(), &settings, self.report.clone(), Arc::clone(&wanted), actor);
                Some(Probing { target: target.clone(), wanted, _task: AbortOnDropHandle::new(tokio::spawn(prober.run())) })
            };
            self.probers.extend(known.or_else(start));
        }
    }

    fn suspend_if_idle(&mut self) {
        if let Some(reply) = self.suspend.take_if(|_| self.executor.is_at_rest()) {
            // Who does not wait any more takes over nothing.
            self.is_suspended = reply.send(Ok(())).is_ok();
        }
    }

    /// Applies another configuration, or returns why not.
    fn change(&mut self, (settings, failover): (Settings, FailoverSettings)) -> Result<(), String> {
        if self.executor.is_asked() {
            return Err("a change of primary that was asked for is under way: reload once it is over".to_owned());
        }
        let view = self.cluster.view();
        let is_named = |id| settings.servers.iter().any(|target| target.id == id);
        if let Some(primary) = view.primary.filter(|id| !is_named(*id)).and_then(|id| view.server(id)) {
            return Err(format!(
                "{} is the primary, and would be gone or have another address: switch over to another server first",
                primary.name
            ));
        }
        let before = self.settings.borrow().clone();
        let is_same = |id: ServerId| {
            let of = |settings: &Settings| {
                let target = settings.servers.iter().find(|target| target.id == id);
                target.map(|target| MonitoredServer { share: Share::default(), ..target.clone() })
            };
            before.common() == settings.common() && of(&before) == of(&settings)
        };
        let has_same_account = self.executor.has_account(failover.account.as_ref());
        self.executor.change(&view, &settings, failover, is_same);
        let snapshot = self.cluster.change(members(&settings), cluster_settings(&settings), Instant::now().into_std());
        self.settings.send_replace(settings.clone());
        let mut kept = std::mem::take(&mut self.probers);
        // A prober with a new actor must be restarted, or it would ask the former actor for last words.
        kept.retain(|probing| has_same_account && is_same(probing.target.id));
        self.probe(kept);
        self.publish(snapshot);
        Ok(())
    }

    fn take_in(&mut self, id: ServerId, report: Report) {
        let snapshot = self.cluster.observe(id, report, Instant::now().into_std());
        self.publish(snapshot);
    }

    fn take_end(&mut self, ended: Ended) {
        for (id, report) in self.executor.take_end(&self.cluster.view(), ended) {
            self.take_in(id, report);
        }
    }

    fn take_command(&mut self, command: Command) {
        match command {
            // The asker may have gone.
            Command::Status(reply) => drop(reply.send(self.executor.status(self.cluster.view()))),
            Command::Change(_, reply) | Command::Rebuild(_, reply) if self.is_suspended => {
                let _ = reply.send(Err("another process has taken over, and decides".to_owned()));
            }
            Command::Rebuild(server, reply) => self.executor.rebuild(&self.cluster.view(), &server, reply),
            Command::Set(server, change, reply) => drop(reply.send(self.set(&server, change))),
            Command::Reload(settings, reply) => self.reload = Some((settings, reply)),
            Command::Suspend(reply) if self.executor.is_asked() => {
                let _ =
                    reply.send(Err("a change of primary that was asked for is under way: try again once it is over".to_owned()));
            }
            Command::Suspend(reply) => self.suspend = Some(reply),
            Command::Resume => self.is_suspended = false,
            Command::Change(change, reply) => self.executor.ask(&self.cluster.view(), &change, reply),
        }
    }

    /// Changes a server's share of the traffic; returns what was done, or why it was not.
    fn set(&mut self, server: &str, change: ShareChange) -> Result<String, String> {
        let view = self.cluster.view();
        let ServerView { id, name, share, .. } = server_named(&view, server)?;
        let after = share.with(change);
        if *share == after {
            return Ok(format!("{name} is as it was: {share}"));
        }
        let snapshot = self.cluster.set(*id, change, Instant::now().into_std());
        self.publish(snapshot);
        self.executor.record(Event::ShareSet { server: name.to_string(), before: *share, after });
        Ok(format!("{name}: {after} (before: {share})"))
    }

    fn decide(&mut self) {
        let Orders { unfence, fence, accept, is_closing, looks } = self.executor.consider(&self.cluster.view());
        self.look_at(looks);
        if let Some(id) = unfence {
            let snapshot = self.cluster.unfence(id);
            self.publish(snapshot);
        }
        if let Some(id) = fence {
            let snapshot = self.cluster.fence(id);
            self.publish(snapshot);
        }
        if let Some(id) = accept {
            let snapshot = self.cluster.accept(id);
            self.publish(snapshot);
        }
        let snapshot = self.cluster.close(is_closing);
        self.publish(snapshot);
    }

    /// Has these looked at now.
    fn look_at(&self, servers: impl IntoIterator<Item = ServerId>) {
        for id in servers {
            if let Some(probing) = self.probers.iter().find(|probing| probing.target.id == id) {
                probing.wanted.notify_one();
            }
        }
    }

    fn publish(&mut self, snapshot: Option<Snapshot>) {
        let Some(snapshot) = snapshot else { return };
        let before = self.publisher.reader().load_full();
        changes::log(&before, &snapshot);
        let generation = snapshot.generation;
        self.publisher.publish(snapshot.into());
        self.announce.send_replace(generation);
    }
}
