//! The result of one look at one server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{BinlogState, Engine, Position, Replication, ReplicationSettings, SemiSync, SessionDefaults, Uuid, Version};

/// What the monitor reports of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A full look.
    Observed(Box<Observation>),
    /// A quick look between two full ones.
    Sampled(Sample),
    /// Neither the look nor the login of a new connection was answered, for longer than an answer takes.
    Silent {
        /// When the question was sent.
        since: Instant,
    },
    /// A look that failed.
    Failed(ProbeFailure),
}

/// Everything that a full probe sees of a server. Some of it is for failover, which decides by what servers say, not by memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What a quick look sees, too.
    pub sample: Sample,
    /// MySQL or MariaDB.
    pub engine: Engine,
    /// `@@version` as numbers.
    pub version: Option<Version>,
    /// `@@version`
    pub version_text: Arc<str>,
    /// `@@server_uuid`; MariaDB has none that replication uses.
    pub server_uuid: Option<Uuid>,
    /// `@@server_id`
    pub server_id: u32,
    /// `@@super_read_only` of MySQL: even administrators cannot write.
    pub super_read_only: bool,
    /// `@@global.sql_mode`
    pub sql_mode: Arc<str>,
    /// `@@gtid_binlog_state` of MariaDB.
    pub binlog_state: Option<BinlogState>,
    /// What a new session starts with.
    pub defaults: Option<Arc<SessionDefaults>>,
    /// What its binary log leaves out (`Binlog_Do_DB`, `Binlog_Ignore_DB`), for display.
    pub binlog_filters: Option<Arc<str>>,
    /// Status variable `Uptime`: how long it has run; zero if unknown.
    pub uptime: Duration,
    /// Everything received from the source, applied or not: what a promotion would have.
    pub received: Option<Position>,
    /// All replication channels; empty for a server that follows no other.
    pub channels: Vec<Replication>,
    /// Semi-synchronous replication; `None` where it is not installed.
    pub semi_sync: Option<SemiSync>,
    /// How it logs and replicates. A promotion and its durability depend on it.
    pub settings: Arc<ReplicationSettings>,
}

/// What changes from moment to moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Our own clock before the question was sent.
    pub sent_at: Instant,
    /// `@@read_only`, asked in the same statement as the positions: a primary's position counts only while it is writable.
    pub read_only: bool,
    /// `@@offline_mode` of MySQL: applications are cut off and get `ER_SERVER_OFFLINE_MODE`.
    pub offline: bool,
    /// Everything that the server could send to a replica: `@@gtid_executed`, `@@gtid_binlog_pos`; the latter advanced to `@@gtid_slave_pos`, as
    /// without `log_slave_updates` it lacks what came from others. `None` if it keeps no GTIDs.
    pub written: Option<Position>,
    /// All that the server has applied: `@@gtid_executed`, `@@gtid_slave_pos`. `None` if it keeps no GTIDs.
    pub applied: Option<Position>,
}

/// Why a look failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    /// How much it proves.
    pub kind: FailureKind,
    /// What is wrong and where to look, for a human.
    pub why: Arc<str>,
}

/// How much a failed look proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Connection refused or reset: no server runs at that address. One failure is enough.
    Gone,
    /// The server itself says that it shuts down (1053).
    ShuttingDown,
    /// `offline_mode` is on (3032).
    Offline,
    /// No answer of any kind, neither to the look nor to a new connection. It may be a short hiccup, so several in a row are needed.
    Silent,
    /// It answers, but has no room for us (1040, 1203, 1226): overloaded, not dead.
    Full,
    /// It answers, but does not let us look, or not in a way that we understand. It may serve applications normally, so this is no evidence against
    /// it.
    Blind,
}
