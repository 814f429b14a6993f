//! What each promise needs of each server, and what is missing, with the statement that repairs it and its cost.
//!
//! The settings are those of the servers' manuals for durable replication; what they protect from was measured on both engines.

use std::fmt;
use std::time::Duration;

use topology::{ClusterView, Engine, LOSSLESS_TIMEOUT_MIN, Observation, SemiSync, ServerView, ThreadState};

use crate::facts::{Named, named, semi_sync};
use crate::{Durability, Policy};

/// Something that a promise needs and a server lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The server.
    pub server: Named,
    /// What cannot be promised without it.
    pub promise: Promise,
    /// What is missing, for display.
    pub missing: &'static str,
    /// The statement that repairs it, or the line of the server's configuration.
    pub statement: &'static str,
    /// The cost of the repair, for display.
    pub cost: &'static str,
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// The server can take over, or be followed by others after it has.
    Promotion,
    /// No acknowledged write is lost in a promotion.
    Lossless,
    /// A loss of power loses nothing that was acknowledged.
    PowerLoss,
    /// A dead primary is noticed soon.
    Detection,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promise::Promotion => "promotion",
            Promise::Lossless => "lossless promotion",
            Promise::PowerLoss => "no loss when the power fails",
            Promise::Detection => "quick detection",
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requirement { server, promise, missing, statement, cost } = self;
        write!(f, "{server}: {missing} (needed for {promise}). To mend it: {statement}. Cost: {cost}")
    }
}

/// A replica that notices a silent source later than this prolongs the detection of a hang.
const NET_TIMEOUT_MAX: Duration = Duration::from_secs(5);

const FREE: &str = "costs nothing";
const RESTART: &str = "takes a restart";
const SYNC: &str = "one sync to disk for each commit, shared by those that commit together";
const ROUND_TRIP: &str = "each commit waits for one round trip to a replica";

/// What is missing, by server.
pub fn requirements(view: &ClusterView, policy: &Policy) -> Vec<Requirement> {
    let is_lossless = match policy.durability {
        Durability::Lossless => true,
        Durability::Bounded | Durability::Manual => false,
        Durability::Auto => {
            view.servers.iter().any(|server| semi_sync(server).is_some_and(|its| its.source_enabled || its.replica_enabled))
        }
    };
    view.servers.iter().flat_map(|server| of_server(server, view, is_lossless)).collect()
}

fn of_server(server: &ServerView, view: &ClusterView, is_lossless: bool) -> Vec<Requirement> {
    let Some(seen) = server.seen.as_deref() else { return Vec::new() };
    let mut rules = for_promotion(seen);
    if is_lossless {
        rules.extend(for_lossless(seen, view.primary == Some(server.id)));
    }
    rules.extend(for_power_loss(seen, is_lossless));
    rules.extend(for_detection(seen));
    let to_requirement = |rule: Rule| Requirement {
        server: named(server),
        promise: rule.promise,
        missing: rule.missing,
        statement: if seen.engine == Engine::MariaDb { rule.mariadb } else { rule.mysql },
        cost: rule.cost,
    };
    rules.into_iter().filter(|rule| rule.is_missing).map(to_requirement).collect()
}

struct Rule {
    is_missing: bool,
    promise: Promise,
    missing: &'static str,
    mysql: &'static str,
    mariadb: &'static str,
    cost: &'static str,
}

fn for_promotion(seen: &Observation) -> Vec<Rule> {
    let settings = &seen.settings;
    let rule = |is_missing, missing, mysql, mariadb, cost| Rule {
        is_missing,
        promise: Promise::Promotion,
        missing,
        mysql,
        mariadb,
        cost,
    };
    let is_positioned = seen.channels.iter().all(|channel| channel.uses_gtids);
    vec![
        rule(!settings.log_bin, "it keeps no binary log", "log_bin in my.cnf", "log_bin in my.cnf", RESTART),
        rule(
            !settings.logs_applied,
            "its binary log lacks what it applies",
            "log_replica_updates = ON in my.cnf",
            "log_slave_updates = ON in my.cnf",
            RESTART,
        ),
        rule(
            !settings.gtids_enforced,
            "GTIDs are not enforced",
            "gtid_mode = ON and enforce_gtid_consistency = ON: SET GLOBAL in the steps of the manual, or in my.cnf with a restart",
            "SET GLOBAL gtid_strict_mode = ON",
            "statements that GTIDs forbid end with an error",
        ),
        rule(
            !settings.row_format,
            "binlog_format is not ROW",
            "SET PERSIST binlog_format = ROW",
            "SET GLOBAL binlog_format = ROW, and in my.cnf",
            "larger binary logs",
        ),
        rule(
            !is_positioned,
            "it finds its place by file and offset, so it cannot follow another source",
            "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 1; START REPLICA",
            "STOP SLAVE; CHANGE MASTER TO MASTER_USE_GTID = slave_pos; START SLAVE",
            FREE,
        ),
    ]
}

fn for_lossless(seen: &Observation, is_primary: bool) -> Vec<Rule> {
    let settings = &seen.settings;
    let semi_sync = seen.semi_sync;
    let is = |test: fn(&SemiSync) -> bool| semi_sync.is_some_and(|semi_sync| test(&semi_sync));
    let rule = |is_missing, missing, mysql, mariadb, cost| Rule {
        is_missing,
        promise: Promise::Lossless,
        missing,
        mysql,
        mariadb,
        cost,
    };
    let is_installed = semi_sync.is_some();
    let is_replica = !is_primary && !seen.channels.is_empty();
    vec![
        rule(
            !is_installed,
            "semi-synchronous replication is not installed",
            "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'; INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
            "it is built in: the version is too old",
            FREE,
        ),
        rule(
            is_installed && is_primary && !is(|its| its.source_enabled),
            "commits do not wait for a replica",
            "SET PERSIST rpl_semi_sync_source_enabled = ON",
            "SET GLOBAL rpl_semi_sync_master_enabled = ON, and in my.cnf",
            ROUND_TRIP,
        ),
        rule(
            is_installed && !is(|its| its.after_sync),
            "others see a commit before a replica has it",
            "SET PERSIST rpl_semi_sync_source_wait_point = AFTER_SYNC",
            "SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC, and in my.cnf",
            FREE,
        ),
        rule(
            is_installed && !is(|its| its.timeout >= LOSSLESS_TIMEOUT_MIN),
            "after a time-out commits succeed without a replica",
            "SET PERSIST rpl_semi_sync_source_timeout = 86400000",
            "SET GLOBAL rpl_semi_sync_master_timeout = 86400000, and in my.cnf",
            "writes stop while too few replicas acknowledge",
        ),
        rule(
            is_installed && !is(|its| its.waits_alone),
            "commits succeed at once while too few replicas are connected",
            "SET PERSIST rpl_semi_sync_source_wait_no_replica = ON",
            "SET GLOBAL rpl_semi_sync_master_wait_no_slave = ON, and in my.cnf",
            "writes stop while too few replicas acknowledge",
        ),
        rule(
            is_installed && is_replica && !is(|its| its.replica_enabled),
            "it does not acknowledge what it receives",
            "SET PERSIST rpl_semi_sync_replica_enabled = ON; STOP REPLICA IO_THREAD; START REPLICA IO_THREAD",
            "SET GLOBAL rpl_semi_sync_slave_enabled = ON, and in my.cnf; STOP SLAVE IO_THREAD; START SLAVE IO_THREAD",
            FREE,
        ),
        rule(
            settings.discards_relay_log,
            "it throws away what it has received and not applied when it restarts",
            "relay_log_recovery = OFF in my.cnf",
            "upgrade",
            RESTART,
        ),
        rule(
            !settings.keeps_commit_order,
            "it applies transactions out of order",
            "STOP REPLICA SQL_THREAD; SET PERSIST replica_preserve_commit_order = ON; START REPLICA SQL_THREAD",
            "SET GLOBAL slave_parallel_mode = 'conservative'",
            "less parallel work in some loads",
        ),
    ]
}

fn for_power_loss(seen: &Observation, is_lossless: bool) -> Vec<Rule> {
    let settings = &seen.settings;
    let rule = |is_missing, missing, mysql, mariadb, cost| Rule {
        is_missing,
        promise: Promise::PowerLoss,
        missing,
        mysql,
        mariadb,
        cost,
    };
    let acknowledges = seen.semi_sync.is_some_and(|its| its.replica_enabled);
    vec![
        rule(
            !settings.syncs_binlog,
            "the binary log is not on disk when a commit is answered",
            "SET PERSIST sync_binlog = 1",
            "SET GLOBAL sync_binlog = 1, and in my.cnf",
            SYNC,
        ),
        rule(
            !settings.flushes_at_commit,
            "InnoDB's log is not on disk when a commit is answered",
            "SET PERSIST innodb_flush_log_at_trx_commit = 1",
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in my.cnf",
            SYNC,
        ),
        rule(
            is_lossless && acknowledges && settings.sync_relay_log != 1,
            "what it acknowledges is not on its disk yet",
            "SET PERSIST sync_relay_log = 1",
            "SET GLOBAL sync_relay_log = 1, and in my.cnf",
            "one sync to disk for each transaction received",
        ),
    ]
}

fn for_detection(seen: &Observation) -> Vec<Rule> {
    let is_connected = seen.channels.iter().any(|channel| channel.io != ThreadState::Stopped);
    vec![Rule {
        is_missing: is_connected && seen.settings.net_timeout > NET_TIMEOUT_MAX,
        promise: Promise::Detection,
        missing: "it notices only late that its source has fallen silent",
        mysql: "SET PERSIST replica_net_timeout = 4; STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 1; START REPLICA",
        mariadb: "SET GLOBAL slave_net_timeout = 4, and in my.cnf; STOP SLAVE; CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 1; START SLAVE",
        cost: "one small packet a second",
    }]
}
