//! Looks at every server, again and again, and publishes what all of them look like together.
//!
//! One task per server holds one persistent connection and asks: a full look (roles, replication, versions) every
//! [`Settings::interval`], a quick one (positions, read-only or not) every [`Settings::position_interval`]. One more task owns the
//! [`topology::Cluster`] and is the only writer of the snapshot. What to make of the answers is decided in `topology`, which is
//! pure; here is the IO. A third kind of task reads the definitions of functions and views for the classifier. The monitor knows nothing of
//! client sessions, and changes nothing on a server.

mod answers;
mod catalogue;
mod changes;
mod failure;
mod prober;
mod session;
mod settings;
mod snapshots;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::{Cluster, ClusterSettings, Member, Publisher, Report, ServerId, publishing};

pub use catalogue::keep_catalogue;
pub use settings::{Settings, Target};
pub use snapshots::Snapshots;

use prober::Prober;

/// Reports that may wait for the cluster task. When it is behind, probers wait: a late look is worth more than a queue of old ones.
const REPORTS_QUEUED_MAX: usize = 64;

/// Starts the monitor on the current tokio runtime. It ends soon after `stop` is cancelled, or when it is dropped with the runtime.
///
/// The first snapshot knows nothing but the list; [`Snapshots::wait_until`] waits for a better one.
pub fn start(settings: Settings, stop: CancellationToken) -> (Snapshots, JoinHandle<()>) {
    let cluster = Cluster::new(
        settings.servers.iter().map(member).collect(),
        ClusterSettings { failures: settings.failures, ..ClusterSettings::default() },
    );
    let (publisher, readable) = publishing(cluster.snapshot().clone());
    let (announce, generations) = watch::channel(0);
    let task = tokio::spawn(Monitor { cluster, publisher, announce }.run(settings, stop));
    (Snapshots::new(readable, generations), task)
}

fn member(target: &Target) -> Member {
    Member { name: target.name.as_str().into(), address: target.address().into(), weight: target.weight }
}

/// The owner of the cluster's state.
struct Monitor {
    cluster: Cluster,
    publisher: Publisher,
    announce: watch::Sender<u64>,
}

impl Monitor {
    async fn run(mut self, settings: Settings, stop: CancellationToken) {
        let (report, mut reports) = mpsc::channel(REPORTS_QUEUED_MAX);
        let mut probers = JoinSet::new();
        for (id, target) in (0..).map(ServerId).zip(&settings.servers) {
            probers.spawn(Prober::new(id, target.clone(), &settings, report.clone()).run());
        }
        drop(report);
        // The probers are cut off wherever they are: all they do is look.
        while let Some(Some((id, report))) = stop.run_until_cancelled(reports.recv()).await {
            self.take_in(id, report);
        }
    }

    fn take_in(&mut self, id: ServerId, report: Report) {
        let before = self.publisher.reader().load_full();
        let Some(snapshot) = self.cluster.observe(id, report, Instant::now().into_std()) else { return };
        changes::log(&before, &snapshot);
        let generation = snapshot.generation;
        self.publisher.publish(snapshot.into());
        self.announce.send_replace(generation);
    }
}
