//! What others may see of the frontend while it runs: counts, sessions, pools. It changes nothing but what it is asked to: it forgets statistics, and
//! stops a session or its statement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::Pools;
use classifier::CacheStats;
use topology::{ServerId, Snapshot};

use crate::login::LoginCounts;
use crate::registry::{Activity, Signal};
use crate::session::{RouteStep, explain_for_new_session};
use crate::statistics::{DigestLine, MergedDigests, Totals};
use crate::worker::{Shared, Worker};

/// A view of a frontend that runs. A copy is cheap.
#[derive(Clone)]
pub struct Overview {
    pub(crate) shared: Arc<Shared>,
    pub(crate) workers: Arc<[Arc<Worker>]>,
    pub(crate) pools: Arc<Pools>,
}

/// One session.
#[derive(Debug, Clone)]
pub struct SessionLine {
    /// The number that its client knows.
    pub id: u32,
    /// The account.
    pub user: Box<[u8]>,
    /// The client's address and port, or `socket`.
    pub peer: String,
    /// The client's connection is encrypted.
    pub is_encrypted: bool,
    /// When it logged in.
    pub logged_in: Instant,
    /// What it does.
    pub activity: Activity,
}

/// The connections to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLine {
    /// The server.
    pub server: ServerId,
    /// Open connections, in use and idle.
    pub open: usize,
    /// How many there may be.
    pub limit: usize,
    /// Statements that wait for one.
    pub waiting: usize,
}

impl Overview {
    /// The statements of all workers.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for worker in &*self.workers {
            totals.add(&worker.statistics().totals);
        }
        totals
    }

    /// The same by digest, account, schema and server. Those that took most time together come first.
    pub fn digests(&self) -> Vec<DigestLine> {
        let mut all = MergedDigests::default();
        for worker in &*self.workers {
            worker.statistics().digests.add_to(&mut all);
        }
        all.into_lines()
    }

    /// Begins the statistics of digests anew.
    pub fn reset_digests(&self) {
        for worker in &*self.workers {
            worker.statistics().digests.reset();
        }
    }

    /// All sessions, in the order of their numbers.
    pub fn sessions(&self) -> Vec<SessionLine> {
        self.shared.sessions.lines()
    }

    /// Stops a session, or only its statement. False if there is none of this number.
    pub fn kill(&self, id: u32, only_statement: bool) -> bool {
        self.shared.sessions.tell(id, if only_statement { Signal::KILL_QUERY } else { Signal::KILL_SESSION })
    }

    /// The connections to each server.
    pub fn pools(&self) -> Vec<PoolLine> {
        let pools = &self.pools;
        let line = |server| PoolLine {
            server,
            open: pools.open_connections(server),
            limit: pools.limit(server),
            waiting: pools.waiting(server),
        };
        self.servers().servers.iter().map(|server| line(server.id)).collect()
    }

    /// Clients, those that are about to log in included.
    pub fn clients(&self) -> usize {
        self.shared.client_count()
    }

    /// How many there may be.
    pub fn clients_max(&self) -> usize {
        self.shared.settings.load().limits.client_connections
    }

    /// Statements and logins that wait for a primary.
    pub fn held(&self) -> usize {
        self.shared.held.count()
    }

    /// What became of the clients that have come.
    pub fn logins(&self) -> LoginCounts {
        self.shared.logins.counts()
    }

    /// How often verdicts on reads were known.
    pub fn cache(&self) -> CacheStats {
        self.shared.classifier.cache_stats()
    }

    /// How stale the answers of reads may be (`routing.max_lag`).
    pub fn max_lag(&self) -> Duration {
        self.shared.settings.load().policy.max_lag
    }

    /// What `EXPLAIN ROUTE` says about a statement of a session that has just logged in, with this schema; or why it cannot run.
    pub fn explain(&self, sql: &[u8], schema: Option<&[u8]>) -> Result<Vec<RouteStep>, String> {
        // The balancers differ from worker to worker, and any of them may get the next session.
        let Some(worker) = self.workers.first() else { return Ok(Vec::new()) };
        explain_for_new_session(worker, sql, schema).map_err(|refusal| refusal.message)
    }

    /// The servers, as routing sees them.
    pub fn servers(&self) -> Arc<Snapshot> {
        self.shared.servers.load_full()
    }
}
