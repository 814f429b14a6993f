//! Sessions, pools and digests.

use std::time::{Duration, Instant, SystemTime};

use frontend::{DigestLine, PoolLine, SessionLine};
use serde::Serialize;
use topology::{ServerId, Snapshot};

use super::milliseconds;

/// Both clocks at one moment, for other times.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    now: Instant,
    wall: SystemTime,
}

impl Clocks {
    pub(crate) fn now() -> Self {
        Self { now: Instant::now(), wall: SystemTime::now() }
    }

    fn ago(self, moment: Instant) -> Duration {
        self.now.saturating_duration_since(moment)
    }

    /// RFC 3339, UTC. The moment may lie ahead.
    pub(crate) fn text(self, moment: Instant) -> String {
        let wall = match moment.checked_duration_since(self.now) {
            Some(ahead) => self.wall.checked_add(ahead),
            None => self.wall.checked_sub(self.ago(moment)),
        };
        let wall = wall.unwrap_or(SystemTime::UNIX_EPOCH);
        humantime::format_rfc3339_millis(wall).to_string()
    }
}

/// One session.
#[derive(Debug, Serialize)]
pub(crate) struct SessionView {
    id: u32,
    user: String,
    peer: String,
    tls: bool,
    schema: Option<String>,
    /// `running` or `idle`.
    state: &'static str,
    /// For how long.
    state_ms: u64,
    logged_in: String,
    /// Where its statement runs, or where the last one ran.
    server: Option<String>,
    /// What keeps it on one server.
    pin: Option<&'static str>,
    /// Of its statement, or of the last one.
    digest: String,
    statements: u64,
}

impl SessionView {
    pub(crate) fn new(line: SessionLine, clocks: Clocks, servers: &Snapshot) -> Self {
        let SessionLine { id, user, peer, is_encrypted, logged_in, activity } = line;
        Self {
            id,
            user: text(&user),
            peer,
            tls: is_encrypted,
            schema: activity.schema.map(String::from),
            state: if activity.is_running { "running" } else { "idle" },
            state_ms: milliseconds(clocks.ago(activity.since)),
            logged_in: clocks.text(logged_in),
            server: activity.server.map(|server| name(server, servers)),
            pin: activity.pin,
            digest: activity.digest.to_string(),
            statements: activity.statements,
        }
    }
}

/// The connections to one server.
#[derive(Debug, Serialize)]
pub(crate) struct PoolView {
    server: String,
    open: usize,
    limit: usize,
    waiting: usize,
    ejected_by: usize,
}

impl PoolView {
    pub(crate) fn new(line: PoolLine, servers: &Snapshot) -> Self {
        let PoolLine { server, open, limit, waiting, ejected_by } = line;
        Self { server: name(server, servers), open, limit, waiting, ejected_by }
    }
}

/// The statements of one digest, account, schema and server.
#[derive(Debug, Serialize)]
pub(crate) struct DigestView {
    /// All zeros for those that found the table full.
    digest: String,
    text: String,
    user: String,
    schema: Option<String>,
    /// `null`: they were not sent.
    server: Option<String>,
    /// Why the last one ran there.
    because: &'static str,
    count: u64,
    errors: u64,
    rows_sent: u64,
    rows_changed: u64,
    bytes_sent: u64,
    sum_us: u64,
    min_us: Option<u64>,
    max_us: Option<u64>,
    /// Upper bounds (the last one has none) with the number of statements.
    histogram: Vec<(Option<u64>, u64)>,
    first_seen: String,
    last_seen: String,
}

impl DigestView {
    pub(crate) fn new(line: &DigestLine, clocks: Clocks, servers: &Snapshot) -> Self {
        let times = &line.times;
        Self {
            digest: line.digest.to_string(),
            text: text(&line.text),
            user: text(&line.user),
            schema: line.schema.as_deref().map(text),
            server: line.server.map(|server| name(server, servers)),
            because: line.because,
            count: times.count(),
            errors: line.errors,
            rows_sent: line.rows,
            rows_changed: line.changed,
            bytes_sent: line.bytes,
            sum_us: microseconds(times.sum()),
            min_us: times.least().map(microseconds),
            max_us: times.most().map(microseconds),
            histogram: times.buckets().map(|(bound, count)| (bound.map(microseconds), count)).collect(),
            first_seen: clocks.text(line.first_seen),
            last_seen: clocks.text(line.last_seen),
        }
    }
}

/// Its name; the number of one that is no longer configured.
pub(crate) fn name(server: ServerId, servers: &Snapshot) -> String {
    servers.server(server).map_or_else(|| server.to_string(), |server| server.name.to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
