//! A finding in words: its name, its severity, what is seen, what is done, and what a person must do.

use std::fmt;

use super::{Finding, Severity};
use crate::beside::Rejoin;
use crate::facts::{Named, list};
use crate::lost::Suspicion;
use crate::promotion::Hold;
use crate::{Durability, Handover};

impl Finding {
    /// The name in logs, the journal and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Finding::Starting { .. } => "starting",
            Finding::NobodyAnswers => "nobody_answers",
            Finding::SwitchingOver { .. } => "switching_over",
            Finding::RollingBack { .. } => "rolling_back",
            Finding::RolledBack { .. } => "rolled_back",
            Finding::Refused { .. } => "refused",
            Finding::Done { .. } => "done",
            Finding::PrimarySuspect { .. } => "primary_suspect",
            Finding::PrimaryUnreachable { .. } => "primary_unreachable",
            Finding::OfflineByHand { .. } => "offline_by_hand",
            Finding::Overloaded { .. } => "overloaded",
            Finding::Blind { .. } => "blind",
            Finding::Held { .. } => "held",
            Finding::NotRevoked { .. } => "not_revoked",
            Finding::SplitHistory { .. } => "split_history",
            Finding::NoCandidate { .. } => "no_candidate",
            Finding::Revoking { .. } => "revoking",
            Finding::Promoting(_) => "promoting",
            Finding::PrimaryBack { .. } => "primary_back",
            Finding::NobodyWritable { .. } => "nobody_writable",
            Finding::TwoWritable { .. } => "two_writable",
            Finding::FormerPrimaryReturned { .. } => "former_primary_returned",
            Finding::WrongSource { .. } => "wrong_source",
            Finding::LeftFrozen { .. } => "left_frozen",
            Finding::MissingAcks { .. } => "missing_acks",
            Finding::SemiSyncStall { .. } => "semi_sync_stall",
            Finding::FormerPrimaryDiverged { .. } => "former_primary_diverged",
            Finding::NeedsRebuild { .. } => "needs_rebuild",
            Finding::ReplicationBroken { .. } => "replication_broken",
            Finding::ErrantReplica { .. } => "errant_replica",
            Finding::Healthy { .. } => "healthy",
        }
    }

    /// How much a person should care.
    pub fn severity(&self) -> Severity {
        match self {
            Finding::Starting { .. }
            | Finding::SwitchingOver { .. }
            | Finding::Done { .. }
            | Finding::PrimaryBack { .. }
            | Finding::WrongSource { .. }
            | Finding::LeftFrozen { .. }
            | Finding::FormerPrimaryReturned { next: Rejoin::Follow | Rejoin::AwaitLooks, .. }
            | Finding::Healthy { .. } => Severity::Info,
            Finding::RollingBack { .. }
            | Finding::RolledBack { .. }
            | Finding::Refused { .. }
            | Finding::PrimarySuspect { .. }
            | Finding::PrimaryUnreachable { .. }
            | Finding::Overloaded { .. }
            | Finding::Blind { .. }
            | Finding::Revoking { .. }
            | Finding::Promoting(_)
            | Finding::TwoWritable { .. }
            | Finding::FormerPrimaryReturned { .. }
            | Finding::MissingAcks { .. }
            | Finding::FormerPrimaryDiverged { .. }
            | Finding::NeedsRebuild { .. }
            | Finding::ReplicationBroken { .. }
            | Finding::ErrantReplica { .. } => Severity::Warning,
            Finding::NobodyAnswers
            | Finding::OfflineByHand { .. }
            | Finding::Held { .. }
            | Finding::NotRevoked { .. }
            | Finding::SplitHistory { .. }
            | Finding::NoCandidate { .. }
            | Finding::NobodyWritable { .. }
            | Finding::SemiSyncStall { .. } => Severity::Error,
        }
    }
}

fn name(server: Option<&Named>) -> &str {
    server.map_or("the primary", |server| &*server.name)
}

impl fmt::Display for Finding {
    #[allow(clippy::too_many_lines, reason = "one line for each finding")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Starting { unheard } => write!(f, "nothing is done before all servers were heard of; missing: {}", list(unheard)),
            Finding::NobodyAnswers => f.write_str(
                "no server answers: that is our own network, or all of them are down; nothing is done. Look at the network of this machine",
            ),
            Finding::SwitchingOver { from, to, doing } => write!(f, "switchover from {from} to {to}: {doing}"),
            Finding::RollingBack { from, to, why } => {
                write!(f, "the switchover from {from} to {to} is undone, writes open again on {from}: {why}")
            }
            Finding::RolledBack { primary, why } => write!(f, "the switchover was given up, {primary} goes on as the primary: {why}"),
            Finding::Refused { reasons } => write!(f, "not done: {}", reasons.join("; ")),
            Finding::Done { primary } => write!(f, "done: {primary} is the primary"),
            Finding::PrimarySuspect { primary, why } => write!(f, "{primary} may be lost, nothing is done yet: {why}"),
            Finding::PrimaryUnreachable { primary, seen_by } => write!(
                f,
                "{primary} does not answer us, but {} still receive from it: only our way to it is broken, so nobody is promoted. \
                 Look at the network between this machine and {primary}",
                list(seen_by)
            ),
            Finding::OfflineByHand { primary } => write!(
                f,
                "offline_mode is on at {primary}, and not by us: nothing is done. SET GLOBAL offline_mode = OFF there, or \
                 `pointsman failover` to replace it"
            ),
            Finding::Overloaded { primary } => {
                write!(f, "{primary} answers, but has no room for us: that is overload, so nobody is promoted. Raise max_connections there")
            }
            Finding::Blind { primary, why } => write!(f, "{primary} answers, but cannot be looked at, so nobody is promoted: {why}"),
            Finding::Held { primary, why } => {
                write!(f, "{} is dead, but is not replaced: {why}. `pointsman failover` replaces it now", name(primary.as_ref()))
            }
            Finding::NotRevoked { primary, missing, acks } => write!(
                f,
                "{} is dead, but is not replaced: acknowledged writes may be only on {}, and fewer than {acks} of these may be missing. Start \
                 them, or the primary; `pointsman failover --accept-loss` replaces it without them",
                name(primary.as_ref()),
                list(missing)
            ),
            Finding::SplitHistory { servers } => write!(
                f,
                "nobody is promoted: {} have each what the other lacks. Compare their GTIDs, choose one, and rebuild the other from it",
                list(servers)
            ),
            Finding::NoCandidate { primary, excluded } => {
                let reasons: Vec<String> = excluded.iter().map(ToString::to_string).collect();
                let reasons = if reasons.is_empty() { "there is no other".to_owned() } else { reasons.join("; ") };
                write!(f, "{} is dead, and nobody can take over: {reasons}", name(primary.as_ref()))
            }
            Finding::Revoking { primary, cause } => {
                write!(f, "{} is replaced ({cause}): it is fenced, and its replicas cease to receive from it", name(primary.as_ref()))
            }
            Finding::Promoting(promotion) => {
                write!(f, "{} takes over from {} ({})", promotion.to, name(promotion.old.as_ref()), promotion.cause)?;
                match promotion.durability {
                    Durability::Lossless => f.write_str("; it has every acknowledged write"),
                    _ => f.write_str("; writes that it had not received by then are lost"),
                }
            }
            Finding::PrimaryBack { primary, opens } => {
                let does = if *opens { "writes open on it" } else { "its replacement is given up" };
                write!(f, "{primary} is back, and goes on as the primary: {does}")
            }
            Finding::NobodyWritable { best } => {
                f.write_str("all servers are read-only, and it was not us who set them so: nothing is done. ")?;
                match best {
                    Some(best) => write!(f, "SET GLOBAL read_only = OFF on {best}, which has all that the others have"),
                    None => f.write_str("SET GLOBAL read_only = OFF on the one that is to be the primary"),
                }
            }
            Finding::TwoWritable { primary, stray, closes: true } => {
                write!(f, "{stray} accepts writes beside the primary {primary}: it gets none, and is set read-only")
            }
            Finding::TwoWritable { primary, stray, closes: false } => write!(
                f,
                "{stray} accepts writes beside the primary {primary}, and cannot be closed from here: it gets none. SET GLOBAL read_only = ON \
                 there, and compare its GTIDs; if its commits wait for acknowledgements, restart it first"
            ),
            Finding::FormerPrimaryReturned { server, primary, mariadb, next } => returned(f, server, primary, *mariadb, *next),
            Finding::WrongSource { server, source, primary } => {
                write!(f, "{server} still follows {source}, but {primary} is the primary: it is repointed")
            }
            Finding::LeftFrozen { primary, servers } => {
                write!(f, "{} received nothing from {primary} since a replacement that did not happen: they receive again", list(servers))
            }
            Finding::MissingAcks { primary, acks } => {
                write!(f, "durability is lossless, but {primary} does not wait for replicas: {acks} acknowledgements are required again")
            }
            Finding::SemiSyncStall { primary, waiting, clients, acks } => write!(
                f,
                "{waiting} commits on {primary} wait for {acks} acknowledgements, but only {clients} replicas acknowledge: nobody is \
                 promoted, as that would not help. START REPLICA (MariaDB: START SLAVE) on the others"
            ),
            Finding::FormerPrimaryDiverged { server, primary, mariadb, transactions } => {
                write!(f, "{server} has transactions that {primary} does not have ({transactions}): it stays out. ")?;
                if !*mariadb {
                    let log = "mysqlbinlog --read-from-remote-server --verbose --include-gtids";
                    write!(f, "What they changed: {log}='{transactions}', with host and binary logs of {server}. ")?;
                }
                rebuild(f, server, primary, *mariadb)
            }
            Finding::NeedsRebuild { server, primary, mariadb } => {
                write!(f, "{primary} no longer has the binary logs that {server} needs. ")?;
                rebuild(f, server, primary, *mariadb)
            }
            Finding::ReplicationBroken { server, error: Some(error), mariadb, .. } => {
                write!(f, "the replication of {server} has stopped: {error}. Repair that, then {} on it", start(*mariadb))
            }
            Finding::ReplicationBroken { server, error: None, mariadb, .. } => {
                write!(f, "somebody has stopped the replication of {server}. {} on it when it may go on", start(*mariadb))
            }
            Finding::ErrantReplica { server, primary, mariadb, transactions } => {
                write!(f, "{server} has transactions that {primary} does not have ({transactions}): it gets no reads and is never promoted. ")?;
                rebuild(f, server, primary, *mariadb)
            }
            Finding::Healthy { primary } => write!(f, "{primary} is the primary, and nothing is wrong"),
        }
    }
}

fn start(mariadb: bool) -> &'static str {
    if mariadb { "START SLAVE" } else { "START REPLICA" }
}

fn returned(f: &mut fmt::Formatter<'_>, server: &Named, primary: &Named, mariadb: bool, next: Rejoin) -> fmt::Result {
    match next {
        Rejoin::Follow => write!(f, "{server} follows nobody and has nothing that {primary} lacks: it is made its replica"),
        Rejoin::AwaitLooks => write!(f, "{server} follows nobody: it is compared with {primary} before it may be its replica"),
        Rejoin::NeedAccount => {
            write!(
                f,
                "{server} follows nobody and has nothing that {primary} lacks, but no replication account is configured. "
            )?;
            if mariadb {
                write!(
                    f,
                    "Run on it: CHANGE MASTER TO MASTER_HOST='<{primary}>', MASTER_USER='..', MASTER_PASSWORD='..', \
                     MASTER_USE_GTID=slave_pos, MASTER_DEMOTE_TO_SLAVE=1; START SLAVE"
                )
            } else {
                write!(
                    f,
                    "Run on it: CHANGE REPLICATION SOURCE TO SOURCE_HOST='<{primary}>', SOURCE_USER='..', SOURCE_PASSWORD='..', \
                     SOURCE_AUTO_POSITION=1; START REPLICA"
                )
            }
        }
    }
}

/// MySQL clones over the network; MariaDB is rebuilt from a backup.
fn rebuild(f: &mut fmt::Formatter<'_>, server: &Named, primary: &Named, mariadb: bool) -> fmt::Result {
    if mariadb {
        write!(
            f,
            "Rebuild it: on {primary}, mariadb-backup --backup --stream=mbstream; on {server}, empty its data directory, unpack, \
             mariadb-backup --prepare, set gtid_slave_pos from mariadb_backup_binlog_info, CHANGE MASTER TO .. MASTER_USE_GTID=slave_pos"
        )
    } else {
        write!(
            f,
            "Rebuild it: on {server}, SET GLOBAL clone_valid_donor_list='<{primary}>:3306'; CLONE INSTANCE FROM 'user'@'<{primary}>':3306 \
             IDENTIFIED BY '..'"
        )
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Suspicion::SilentBriefly => "it has been silent for a short time only",
            Suspicion::AwaitLooks => "its replicas have yet to notice, or to be looked at",
            Suspicion::NoWitness => "no replica answers that could confirm it",
            Suspicion::NotHeardOf => "it was not heard of yet",
            Suspicion::MayBeStarting => "it has not been seen since this process began, and may still be starting",
        })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::Manual => f.write_str("durability is manual"),
            Hold::Cooldown { left } => write!(f, "the last promotion was too recent, the next may be in {} s", left.as_secs()),
            Hold::DailyMax => f.write_str("there were as many promotions in 24 hours as are allowed"),
        }
    }
}

impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Handover::AwaitTransactions => "open transactions may end, new ones wait",
            Handover::CloseWrites => "writes are taken away from the old primary",
            Handover::CatchUp => "the next primary applies the rest",
            Handover::Detach => "the next primary ceases to be a replica",
            Handover::Finish => "the other replicas follow it, then writes open",
        })
    }
}
