//! What one look at one server told.

use std::sync::Arc;
use std::time::Instant;

use crate::{Engine, Position, Replication, Uuid, Version};

/// What the monitor reports of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A full look.
    Observed(Box<Observation>),
    /// A quick look between two full ones.
    Sampled(Sample),
    /// A look that failed.
    Failed(Failure),
}

/// Everything that a full probe sees of a server. Some of it is for failover, which decides by what servers say, not by memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What a quick look sees, too.
    pub sample: Sample,
    /// Whose server it is.
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
    /// Everything received from the source, applied or not: what a promotion would have.
    pub received: Option<Position>,
    /// All replication channels; none for a server that follows nobody.
    pub channels: Vec<Replication>,
}

/// What changes from moment to moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Our own clock before the question was sent.
    pub sent_at: Instant,
    /// `@@read_only`, asked in the same statement as the positions: a primary's position counts only while it is writable.
    pub read_only: bool,
    /// `@@offline_mode` of MySQL: applications are cut off and refused with 3032.
    pub offline: bool,
    /// All that the server would have to give to a replica: `@@gtid_executed`, `@@gtid_binlog_pos`. `None` if it keeps no GTIDs.
    pub written: Option<Position>,
    /// All that the server has applied: `@@gtid_executed`, `@@gtid_slave_pos`. `None` if it keeps no GTIDs.
    pub applied: Option<Position>,
}

/// Why a look failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How much it proves.
    pub kind: FailureKind,
    /// What is wrong and where to look, for a human.
    pub why: Arc<str>,
}

/// How much a failed look proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Connection refused or reset: nobody serves at that address. One is enough.
    Gone,
    /// No answer in time, login refused, or an answer that makes no sense: may be a hiccup, so several in a row are needed.
    Suspect,
    /// It answers, but has no room for us (1040, 1203, 1226): overloaded, not dead.
    Full,
}
