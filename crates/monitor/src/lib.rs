//! Looks at every server, again and again, and publishes what all of them look like together.
//!
//! One task per server holds one persistent connection and asks: a full look (roles, replication, versions) every
//! [`Settings::interval`], a quick one (positions, read-only or not) every [`Settings::position_interval`]. One more task owns the
//! [`topology::Cluster`] and is the only writer of the snapshot. What to make of the answers is decided in `topology`, and what to do about
//! them in `failover`, which are pure; here is the IO. That task also has the decisions carried out: it begins a stage of a plan, and one more
//! task per server (the actor) does the steps through a connection of its own. A fourth kind of task reads the definitions of functions
//! and views for the classifier. The monitor knows nothing of client sessions.

mod actor;
mod answers;
mod catalogue;
mod changes;
mod check;
mod control;
mod executor;
mod failure;
mod journal;
mod prober;
mod session;
mod settings;
mod snapshots;

use std::sync::Arc;

use failover::History;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use topology::{Cluster, ClusterSettings, Member, Publisher, Report, ServerId, Snapshot, publishing};

pub use catalogue::keep_catalogue;
pub use check::{AccountCheck, check_accounts, look_once};
pub use control::{Change, Control, MonitorEnded, Status};
pub use journal::{Entry, Event, Moment, NoRecorder, Outcome, Pending, Recorder};
pub use settings::{Address, FailoverSettings, ReplicationAccount, Settings, Target};
pub use snapshots::Snapshots;

use control::{COMMANDS_QUEUED_MAX, Command};
use executor::{Ended, Executor, Orders};
use prober::Prober;

/// Reports that may wait for the cluster task. When it is behind, probers wait: a late look is worth more than a queue of old ones.
const REPORTS_QUEUED_MAX: usize = 64;

/// Between two decisions when no report comes: some depend on time alone.
const DECISION_INTERVAL: Duration = Duration::from_millis(100);

/// What the monitor does beside looking.
#[derive(Debug)]
pub struct Failover {
    /// When and how a primary is replaced.
    pub settings: FailoverSettings,
    /// What the journal has of the time before this process.
    pub history: History,
    /// Who keeps the journal.
    pub recorder: Arc<dyn Recorder>,
}

impl Failover {
    /// Looks, and changes nothing: for so many servers.
    pub fn none(servers: usize) -> Failover {
        Failover {
            settings: FailoverSettings {
                policy: failover::Policy {
                    durability: failover::Durability::Manual,
                    members: vec![failover::Member::default(); servers],
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
/// The first snapshot knows nothing but the list; [`Snapshots::wait_until`] waits for a better one.
pub fn start(settings: Settings, failover: Failover, stop: CancellationToken) -> (Snapshots, Control, JoinHandle<()>) {
    let cluster = new_cluster(&settings);
    let (publisher, readable) = publishing(cluster.snapshot().clone());
    let (announce, generations) = watch::channel(0);
    let (commands, asked) = mpsc::channel(COMMANDS_QUEUED_MAX);
    let executor = Executor::start(&settings, failover.settings, failover.history, failover.recorder, readable.writes().clone());
    let wanted = settings.servers.iter().map(|_| Arc::default()).collect();
    let task = tokio::spawn(Monitor { cluster, publisher, announce, executor, wanted }.run(settings, asked, stop));
    (Snapshots::new(readable, generations), Control::new(commands), task)
}

/// Nothing is known yet but the list.
fn new_cluster(settings: &Settings) -> Cluster {
    let members = settings.servers.iter().map(member).collect();
    Cluster::new(members, ClusterSettings { failures: settings.failures, ..ClusterSettings::default() })
}

fn member(target: &Target) -> Member {
    Member {
        name: target.name.as_str().into(),
        address: target.address().into(),
        replication_address: target.replication.to_string().into(),
        weight: target.weight,
    }
}

/// The owner of the cluster's state.
struct Monitor {
    cluster: Cluster,
    publisher: Publisher,
    announce: watch::Sender<u64>,
    executor: Executor,
    /// Has a server looked at in full, in the order of the config.
    wanted: Vec<Arc<Notify>>,
}

impl Monitor {
    async fn run(mut self, settings: Settings, mut asked: mpsc::Receiver<Command>, stop: CancellationToken) {
        let (report, mut reports) = mpsc::channel(REPORTS_QUEUED_MAX);
        let mut probers = JoinSet::new();
        for (((id, target), wanted), actor) in
            (0..).map(ServerId).zip(&settings.servers).zip(&self.wanted).zip(self.executor.actors())
        {
            probers.spawn(Prober::new(id, target.clone(), &settings, report.clone(), Arc::clone(wanted), actor.clone()).run());
        }
        drop(report);
        let mut ticks = interval(DECISION_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The probers are cut off wherever they are: all they do is look.
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ended = self.executor.ended() => self.take_end(ended),
                Some(command) = asked.recv() => self.take_command(command),
                report = reports.recv() => match report {
                    Some((id, report)) => self.take_in(id, report),
                    None => return,
                },
                _ = ticks.tick() => {}
            }
            self.decide();
        }
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
            // Whoever asked may have gone.
            Command::Status(reply) => drop(reply.send(self.executor.status(self.cluster.view()))),
            Command::Rebuild(server, reply) => self.executor.rebuild(&self.cluster.view(), &server, reply),
            Command::Change(change, reply) => self.executor.ask(&self.cluster.view(), &change, reply),
        }
    }

    fn decide(&mut self) {
        let Orders { unfence, fence, accept, is_closing, looks } = self.executor.consider(&self.cluster.view());
        let suspects = self.publisher.reader().suspects().take();
        for id in looks.into_iter().chain(suspects) {
            if let Some(wanted) = self.wanted.get(id.index()) {
                wanted.notify_one();
            }
        }
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

    fn publish(&mut self, snapshot: Option<Snapshot>) {
        let Some(snapshot) = snapshot else { return };
        let before = self.publisher.reader().load_full();
        changes::log(&before, &snapshot);
        let generation = snapshot.generation;
        self.publisher.publish(snapshot.into());
        self.announce.send_replace(generation);
    }
}
