//! Semi-synchronous replication: which acknowledgements a commit waits for.
//!
//! Sources: MySQL manual 19.4.10 "Semisynchronous Replication"; MariaDB "Semisynchronous Replication". The variables differ in name only
//! (`source` and `replica` in MySQL; MariaDB has no count of acknowledgements: it is always one).

use std::time::Duration;

/// The settings and status of a server, as a source and as a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a variable of the server")]
pub struct SemiSync {
    /// `rpl_semi_sync_source_enabled`: as a source, commits wait for acknowledgements.
    pub source_enabled: bool,
    /// `Rpl_semi_sync_source_status`: commits wait at present; off after a wait has timed out.
    pub source_active: bool,
    /// `Rpl_semi_sync_source_clients`: replicas that would acknowledge. Dead ones are counted until the source notices.
    pub clients: u32,
    /// `Rpl_semi_sync_source_wait_sessions`: commits that are waiting.
    pub waiting: u32,
    /// `rpl_semi_sync_source_wait_for_replica_count`: acknowledgements that a commit needs; always 1 on MariaDB.
    pub acks: u32,
    /// `rpl_semi_sync_source_timeout`: after this wait a commit succeeds without acknowledgement, and so do all later ones.
    pub timeout: Duration,
    /// `rpl_semi_sync_source_wait_point = AFTER_SYNC`: a commit is invisible until it is acknowledged.
    pub after_sync: bool,
    /// `rpl_semi_sync_source_wait_no_replica`: commits wait also while there are fewer replicas than they need.
    pub waits_alone: bool,
    /// `rpl_semi_sync_replica_enabled`: as a replica, it acknowledges what it receives (from its next connection to the source on).
    pub replica_enabled: bool,
    /// `Rpl_semi_sync_replica_status`: it does acknowledge at present.
    pub replica_active: bool,
}

/// A timeout of at least a day counts as none: an operator will notice a commit that waits longer.
pub const LOSSLESS_TIMEOUT_MIN: Duration = Duration::from_hours(24);

impl SemiSync {
    /// As a source, it may now report success for a commit that no replica has: it is set up to wait for acknowledgements for ever, and there are too
    /// few replicas to give them. MySQL acknowledges waiting commits by itself when it shuts down, or when the waiting is switched off. A source
    /// whose settings let it go on alone promises nothing that could be broken.
    pub fn may_answer_unasked(&self) -> bool {
        let promises = self.source_enabled && self.waits_alone && self.timeout >= LOSSLESS_TIMEOUT_MIN;
        promises && (!self.source_active || self.clients < self.acks)
    }

    /// As a source, it reports no commit that no replica has received. This is about the present moment. To set a server up, only its settings count
    /// (`failover`'s `require_acks`), as `source_active` changes with the replicas.
    pub fn is_lossless(&self) -> bool {
        self.source_enabled && self.source_active && self.after_sync && self.waits_alone && self.timeout >= LOSSLESS_TIMEOUT_MIN
    }
}

/// How a server logs and replicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a variable of the server")]
pub struct ReplicationSettings {
    /// `@@log_bin`
    pub log_bin: bool,
    /// `@@log_replica_updates`, `@@log_slave_updates`: what it applies is in its own binary log, so that others can follow it.
    pub logs_applied: bool,
    /// `@@binlog_format = ROW`
    pub row_format: bool,
    /// MySQL: `gtid_mode = ON` and `enforce_gtid_consistency = ON`. MariaDB: `gtid_strict_mode = ON`.
    pub gtids_enforced: bool,
    /// `@@sync_binlog = 1`: a commit is on disk in the binary log before it is answered.
    pub syncs_binlog: bool,
    /// `@@innodb_flush_log_at_trx_commit = 1`
    pub flushes_at_commit: bool,
    /// `@@sync_relay_log`: events between two syncs of the relay log; 1 where an acknowledgement must survive a loss of power.
    pub sync_relay_log: u64,
    /// `@@relay_log_recovery` of MySQL: received transactions that are not applied are discarded at a restart.
    pub discards_relay_log: bool,
    /// `@@replica_preserve_commit_order` of MySQL; true on MariaDB, whose parallel modes keep it within a domain.
    pub keeps_commit_order: bool,
    /// `@@replica_net_timeout`: the time after which a replica notices that its source is silent.
    pub net_timeout: Duration,
    /// `@@event_scheduler = ON`
    pub runs_events: bool,
    /// `@@gtid_purged` of MySQL: transactions that its binary logs no longer have.
    pub purged: Option<crate::Position>,
}

/// A source with one replica, which loses nothing, but only just.
#[cfg(test)]
pub(crate) const LOSSLESS: SemiSync = SemiSync {
    source_enabled: true,
    source_active: true,
    clients: 1,
    waiting: 0,
    acks: 1,
    timeout: LOSSLESS_TIMEOUT_MIN,
    after_sync: true,
    waits_alone: true,
    replica_enabled: false,
    replica_active: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_lossless_only_with_all_that_this_takes() {
        assert!(LOSSLESS.is_lossless());
        for lossy in [
            SemiSync { source_enabled: false, ..LOSSLESS },
            SemiSync { source_active: false, ..LOSSLESS },
            SemiSync { after_sync: false, ..LOSSLESS },
            SemiSync { waits_alone: false, ..LOSSLESS },
            SemiSync { timeout: Duration::from_hours(23), ..LOSSLESS },
        ] {
            assert!(!lossy.is_lossless(), "{lossy:?}");
        }
    }
}
