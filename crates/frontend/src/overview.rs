//! What others may see of the frontend while it runs: counts, sessions, pools. It changes nothing but what it is asked to: it forgets statistics, and
//! stops a session or its statement.

mod ejections;
mod rules;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::Pools;
use classifier::CacheStats;
use topology::{ServerId, Snapshot};

use crate::login::LoginCounts;
use crate::registry::{Activity, Signal};
use crate::session::{RouteStep, explain_for_new_session};
use crate::spans::SpanCounts;
use crate::statistics::{DigestLine, MergedDigests, RuleCounts, Totals};
use crate::worker::{Shared, Worker};

pub use self::ejections::{EjectionLine, PresentEjection};
pub use self::rules::RuleLine;

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

/// How many sessions do what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// With a statement under way.
    pub running: usize,
    /// Without.
    pub idle: usize,
    /// Those of both that are kept on one server, by the label of what keeps them ([`Activity::pin`]).
    pub pinned: BTreeMap<&'static str, usize>,
}

/// Whose statement is to be explained.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The account; empty for none, for which no rule of an account is meant.
    pub user: &'a [u8],
    /// From where it has logged in.
    pub address: IpAddr,
    /// The session's default schema.
    pub schema: Option<&'a [u8]>,
}

/// Nobody in particular.
impl Default for Asker<'_> {
    fn default() -> Self {
        Self { user: b"", address: Ipv4Addr::UNSPECIFIED.into(), schema: None }
    }
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
    /// Workers that give it no reads at present, as it is an outlier.
    pub ejected_by: usize,
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

    /// What became of sampled statements.
    pub fn spans(&self) -> SpanCounts {
        self.shared.spans.counts()
    }

    /// All sessions, in the order of their numbers.
    pub fn sessions(&self) -> Vec<SessionLine> {
        self.shared.sessions.lines()
    }

    /// The same as numbers.
    pub fn session_counts(&self) -> SessionCounts {
        self.shared.sessions.counts()
    }

    /// Stops a session, or only its statement. False if there is none of this number.
    pub fn kill(&self, id: u32, only_statement: bool) -> bool {
        self.shared.sessions.tell(id, if only_statement { Signal::KILL_QUERY } else { Signal::KILL_SESSION })
    }

    /// The connections to each server.
    pub fn pools(&self) -> Vec<PoolLine> {
        let (pools, now) = (&self.pools, Instant::now());
        let line = |server| PoolLine {
            server,
            open: pools.open_connections(server),
            limit: pools.limit(server),
            waiting: pools.waiting(server),
            ejected_by: self.workers.iter().filter(|worker| worker.balancer().ejection(server, now).is_some()).count(),
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

    /// The rules in force, in their order.
    pub fn rules(&self) -> Vec<RuleLine> {
        let all = self.totals().rules;
        let counts =
            |name: &str| all.iter().find(|(known, _)| **known == *name).map_or_else(RuleCounts::default, |(_, counts)| *counts);
        self.shared.settings.load().rules.iter().map(|rule| RuleLine::new(rule, counts(&rule.name))).collect()
    }

    /// What `EXPLAIN ROUTE` says about a statement of a session that has just logged in; or why it cannot run.
    pub fn explain(&self, sql: &[u8], asker: &Asker<'_>) -> Result<Vec<RouteStep>, String> {
        // The balancers differ from worker to worker, and any of them may get the next session.
        let Some(worker) = self.workers.first() else { return Ok(Vec::new()) };
        explain_for_new_session(worker, sql, asker).map_err(|refusal| refusal.message)
    }

    /// The servers, as routing sees them.
    pub fn servers(&self) -> Arc<Snapshot> {
        self.shared.servers.load_full()
    }
}
