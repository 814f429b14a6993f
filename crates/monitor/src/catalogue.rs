//! Keeps the classifier's catalogue of functions and views true.
//!
//! It is read from the primary, or from the most advanced replica: at the start, when a connection has changed a definition, and from time to time,
//! as definitions may be changed directly on a server. While it is out of date the classifier trusts no read that needs it.

use std::sync::Arc;
use std::time::Duration;

use classifier::{Catalogue, Classifier, Definition, Dialect};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use topology::{Role, ServerId, Snapshot};

use crate::Snapshots;
use crate::connection::ServerConnection;
use crate::failure::ProbeError;
use crate::settings::Settings;

/// Time between two checks whether a connection has changed a definition; also the shortest time between two readings.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// After a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Starts the task. It ends soon after `stop` is cancelled. Until its first success, the classifier treats the catalogue as unknown.
pub fn keep_catalogue(
    settings: watch::Receiver<Settings>,
    snapshots: Snapshots,
    classifier: Arc<Classifier>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    classifier.knowledge().definitions_changed();
    let keeper = Keeper { settings, snapshots, classifier, last: None, last_error: String::new() };
    tokio::spawn(async move {
        // It only reads, so it may be cut off anywhere.
        stop.run_until_cancelled(keeper.run()).await;
    })
}

struct Keeper {
    settings: watch::Receiver<Settings>,
    snapshots: Snapshots,
    classifier: Arc<Classifier>,
    /// The definitions that were read last. Mostly nothing has changed, and judging takes longer than comparing.
    last: Option<(Dialect, Vec<Definition>)>,
    last_error: String,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let Some(server) = self.snapshots.wait_until(|snapshot| source(snapshot).is_some()).await else { return };
            let Some(server) = source(&server) else { continue };
            match self.read_from(server).await {
                Ok(()) => {
                    self.last_error.clear();
                    self.wait_for_reason().await;
                }
                Err(error) => {
                    self.warn_once(server, error.to_string());
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    async fn read_from(&mut self, server: ServerId) -> Result<(), ProbeError> {
        let settings = self.settings.borrow().clone();
        let Some(target) = settings.servers.iter().find(|target| target.id == server) else { return Ok(()) };
        let as_of = self.classifier.knowledge().changes();
        let mut connection = ServerConnection::open(target, &settings).await?;
        let found = connection.definitions(settings.catalogue_timeout).await?;
        connection.close().await;
        self.take_in(found, as_of).await;
        Ok(())
    }

    /// Judges the definitions on a thread of its own, since there may be thousands of them and other tasks need this thread.
    async fn take_in(&mut self, found: (Dialect, Vec<Definition>), as_of: u64) {
        let classifier = Arc::clone(&self.classifier);
        let last = self.last.take();
        let user = self.settings.borrow().user.clone();
        let judging = tokio::task::spawn_blocking(move || {
            let catalogue = match &last {
                Some(last) if *last == found => None,
                _ => Some(Catalogue::new(found.0, &found.1)),
            };
            match catalogue {
                Some(catalogue) => {
                    log(&found.1, &catalogue, &user);
                    classifier.knowledge().learn_catalogue(catalogue, as_of);
                }
                None => classifier.knowledge().confirm_catalogue(as_of),
            }
            found
        });
        self.last = judging.await.ok();
    }

    /// Until the interval is over, or a connection has changed a definition.
    async fn wait_for_reason(&self) {
        let start = Instant::now();
        loop {
            let interval = self.settings.borrow().catalogue_interval;
            sleep(LOOK_INTERVAL.min(interval)).await;
            if self.classifier.knowledge().is_out_of_date() || start.elapsed() >= interval {
                return;
            }
        }
    }

    fn warn_once(&mut self, server: ServerId, error: String) {
        if error == self.last_error {
            return;
        }
        let settings = self.settings.borrow();
        let name = settings.servers.iter().find(|target| target.id == server).map_or("?", |target| &target.name);
        let user = &settings.user;
        tracing::warn!(
            server = name,
            %error,
            "cannot read the definitions of functions and views, and reads stay on the primary until it can be done; \
             `pointsman check --config FILE --connect` says what {user} needs"
        );
        self.last_error = error;
    }
}

/// The server to ask: the primary, or else the most advanced replica.
fn source(snapshot: &Snapshot) -> Option<ServerId> {
    snapshot.primary.or_else(|| {
        let replicas = snapshot.servers.iter().filter(|server| server.is_up() && server.role == Role::Replica);
        replicas.max_by_key(|server| server.fresh_as_of).map(|server| server.id)
    })
}

fn log(found: &[Definition], catalogue: &Catalogue, user: &str) {
    let (trusted_functions, doubtful_views) = (catalogue.trusted_functions(), catalogue.doubtful_views());
    tracing::info!(definitions = found.len(), trusted_functions, doubtful_views, "read the definitions of functions and views");
    let hidden = found.iter().filter(|definition| definition.is_hidden()).count();
    if hidden > 0 {
        tracing::warn!(
            hidden,
            "functions and views that {user} may not see stay on the primary; `pointsman check --config FILE --connect` says what it needs"
        );
    }
}
