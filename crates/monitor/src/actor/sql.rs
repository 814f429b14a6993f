//! The statements of the steps, for both engines: pure, so that each can be tested without a server.
//!
//! Sources: MySQL manual 15.4.2 "SQL Statements for Controlling Replica Servers", 19.4.10 "Semisynchronous Replication", 7.1.8 "Server System
//! Variables" (`offline_mode`, `super_read_only`); MariaDB "Replication Statements", "Semisynchronous Replication", "Read-Only Replicas".

use topology::Engine;

use crate::settings::{Address, ReplicationAccount};

/// The timeout of semi-synchronous replication, in milliseconds: a day, which is meant as "for ever".
const ACK_TIMEOUT_MS: u32 = 86_400_000;

/// The lock that a Pointsman holds on a majority of all servers while it changes their roles.
const LOCK: &str = "pointsman.failover";

/// Takes the lock, or keeps it: 1 if this connection has it then.
pub(crate) fn lock() -> String {
    format!("SELECT IF(IS_USED_LOCK('{LOCK}') = CONNECTION_ID(), 1, GET_LOCK('{LOCK}', 0)) AS held")
}

/// The connection that has the lock.
pub(crate) fn lock_holder() -> String {
    format!("SELECT IS_USED_LOCK('{LOCK}') AS holder")
}

pub(crate) fn unlock() -> String {
    format!("DO RELEASE_LOCK('{LOCK}')")
}

/// A replica receives no more.
pub(crate) fn stop_receiving(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "STOP REPLICA IO_THREAD",
        Engine::MariaDb => "STOP SLAVE IO_THREAD",
    }
}

/// The same for a replica whose source has died. MariaDB's receiver, if it acknowledges (semi-synchronous replication), ends by connecting to its source once
/// more, to end its connection there. To a host that is gone this takes seconds, and a promotion would wait for it. A receiver that does not acknowledge
/// ends at once, so the switch is off meanwhile. It is one statement, which the server carries out to its end even if this connection is lost. From 11 on the
/// switch counts only when a receiver starts, so it stays as it is: if the statement were killed, it would stay off. There the receiver tries for a second
/// only, instead of five.
pub(crate) fn stop_receiving_from_the_dead(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => stop_receiving(engine),
        Engine::MariaDb => {
            "BEGIN NOT ATOMIC \
             DECLARE acknowledges INT DEFAULT @@GLOBAL.rpl_semi_sync_slave_enabled; \
             DECLARE tries BIGINT DEFAULT @@GLOBAL.rpl_semi_sync_slave_kill_conn_timeout; \
             DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN \
             SET GLOBAL rpl_semi_sync_slave_enabled = acknowledges, GLOBAL rpl_semi_sync_slave_kill_conn_timeout = tries; RESIGNAL; \
             END; \
             SET GLOBAL rpl_semi_sync_slave_enabled = IF(@@version < '11', 0, acknowledges), \
             GLOBAL rpl_semi_sync_slave_kill_conn_timeout = 1; \
             STOP SLAVE IO_THREAD; \
             SET GLOBAL rpl_semi_sync_slave_enabled = acknowledges, GLOBAL rpl_semi_sync_slave_kill_conn_timeout = tries; \
             END"
        }
    }
}

/// A replica receives again.
pub(crate) fn start_receiving(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "START REPLICA IO_THREAD",
        Engine::MariaDb => "START SLAVE IO_THREAD",
    }
}

/// A replica applies what it has received. On MariaDB, if neither thread runs, this discards it first (MDEV-4698).
pub(crate) fn start_applying(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "START REPLICA SQL_THREAD",
        Engine::MariaDb => "START SLAVE SQL_THREAD",
    }
}

/// Waits up to a second for a position to be applied; 0 if it is.
pub(crate) fn await_position(engine: Engine, position: &str) -> String {
    match engine {
        Engine::MySql => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET({}, 1) AS rest", quoted(position)),
        Engine::MariaDb => format!("SELECT MASTER_GTID_WAIT({}, 1) AS rest", quoted(position)),
    }
}

/// A replica applies no more.
pub(crate) fn stop_applying(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "STOP REPLICA SQL_THREAD",
        Engine::MariaDb => "STOP SLAVE SQL_THREAD",
    }
}

/// Both threads end.
pub(crate) fn stop_replication(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "STOP REPLICA",
        Engine::MariaDb => "STOP ALL SLAVES",
    }
}

/// The source is forgotten.
pub(crate) fn forget_source(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "RESET REPLICA ALL",
        Engine::MariaDb => "RESET SLAVE ALL",
    }
}

/// No statement of ours waits longer than a second for the locks that commits hold.
pub(crate) const WAIT_BRIEFLY: &str = "SET SESSION lock_wait_timeout = 1";

/// Only replication writes. On MariaDB accounts with `READ_ONLY ADMIN` still can.
pub(crate) fn close(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "SET GLOBAL super_read_only = 1",
        Engine::MariaDb => "SET GLOBAL read_only = 1",
    }
}

/// Cuts off all applications at once, even those whose commits wait; they see no OK. MySQL only.
pub(crate) const GO_OFFLINE: &str = "SET GLOBAL offline_mode = 1";

/// Writes are accepted, by applications that are let in.
pub(crate) fn open(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::MySql => &["SET GLOBAL super_read_only = 0", "SET GLOBAL read_only = 0", "SET GLOBAL offline_mode = 0"],
        Engine::MariaDb => &["SET GLOBAL read_only = 0"],
    }
}

/// Commits wait for acknowledgements from now on.
pub(crate) fn require_acks(engine: Engine, acks: u32) -> Vec<String> {
    match engine {
        Engine::MySql => vec![
            format!(
                "SET GLOBAL rpl_semi_sync_source_wait_point = 'AFTER_SYNC', GLOBAL rpl_semi_sync_source_timeout = {ACK_TIMEOUT_MS}, \
                 GLOBAL rpl_semi_sync_source_wait_for_replica_count = {acks}, GLOBAL rpl_semi_sync_source_wait_no_replica = 1"
            ),
            "SET GLOBAL rpl_semi_sync_source_enabled = 1".to_owned(),
        ],
        Engine::MariaDb => vec![
            format!(
                "SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC', GLOBAL rpl_semi_sync_master_timeout = {ACK_TIMEOUT_MS}, \
                 GLOBAL rpl_semi_sync_master_wait_no_slave = 1"
            ),
            "SET GLOBAL rpl_semi_sync_master_enabled = 1".to_owned(),
        ],
    }
}

/// Commits no longer wait for acknowledgements. This acknowledges the waiting ones, so use it only on a server that is read-only.
pub(crate) fn require_no_acks(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "SET GLOBAL rpl_semi_sync_source_enabled = 0",
        Engine::MariaDb => "SET GLOBAL rpl_semi_sync_master_enabled = 0",
    }
}

/// What a replica receives it acknowledges, from its next connection on.
pub(crate) fn acknowledge(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "SET GLOBAL rpl_semi_sync_replica_enabled = 1",
        Engine::MariaDb => "SET GLOBAL rpl_semi_sync_slave_enabled = 1",
    }
}

/// How a replica finds where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It does so by GTID already, and its applier may run.
    Kept,
    /// By GTID from now on.
    ByGtid,
    /// The same, and what it wrote itself counts as applied.
    OfFormerPrimary,
}

/// Another source, with the account that the replica has. MySQL only.
pub(crate) fn move_to(source: &Address) -> String {
    format!("CHANGE REPLICATION SOURCE TO SOURCE_HOST = {}, SOURCE_PORT = {}", quoted(&source.host), source.port)
}

/// Whom a replica is to follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) address: &'a Address,
    /// Without one, the one that the replica has is kept.
    pub(crate) account: Option<&'a ReplicationAccount>,
    /// Over TLS. Otherwise as the replica has it.
    pub(crate) encrypted: bool,
}

/// Another source.
pub(crate) fn follow(engine: Engine, source: Source<'_>, place: Place) -> String {
    let Source { address, account, encrypted } = source;
    let host = quoted(&address.host);
    let port = address.port;
    match engine {
        Engine::MySql => {
            let account = account.map_or_else(String::new, |account| {
                format!(", SOURCE_USER = {}, SOURCE_PASSWORD = {}", quoted(&account.user), quoted(&account.password))
            });
            let place = if place == Place::Kept { "" } else { ", SOURCE_AUTO_POSITION = 1" };
            let tls = if encrypted { ", SOURCE_SSL = 1" } else { "" };
            // By default a replica gives up after ten tries, a minute apart. The public key is needed if the source has no TLS.
            format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = {host}, SOURCE_PORT = {port}{account}{place}{tls}, \
                 GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400, SOURCE_HEARTBEAT_PERIOD = 1"
            )
        }
        Engine::MariaDb => {
            let account = account.map_or_else(String::new, |account| {
                format!(", MASTER_USER = {}, MASTER_PASSWORD = {}", quoted(&account.user), quoted(&account.password))
            });
            let tls = if encrypted { ", MASTER_SSL = 1" } else { "" };
            let demote = if place == Place::OfFormerPrimary { ", MASTER_DEMOTE_TO_SLAVE = 1" } else { "" };
            format!(
                "CHANGE MASTER TO MASTER_HOST = {host}, MASTER_PORT = {port}{account}{tls}, MASTER_USE_GTID = slave_pos, \
                 MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1{demote}"
            )
        }
    }
}

/// Both threads run.
pub(crate) fn start_replication(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "START REPLICA",
        Engine::MariaDb => "START SLAVE",
    }
}

/// A server may copy from this one. MySQL only.
pub(crate) fn allow_donor(donor: &Address) -> String {
    format!("SET GLOBAL clone_valid_donor_list = {}", quoted(&format!("{}:{}", donor.host, donor.port)))
}

/// CLONE is refused under `super_read_only`; applications stay outside by `read_only`.
pub(crate) const ALLOW_CLONING: &str = "SET GLOBAL super_read_only = 0";

/// Replaces all data by a copy of the donor's, as this account of the donor.
pub(crate) fn clone_from(donor: &Address, user: &str, password: &str, encrypted: bool) -> String {
    let (user, host, port, password) = (quoted(user), quoted(&donor.host), donor.port, quoted(password));
    // Left to itself, it goes on in clear where TLS cannot be had.
    let tls = if encrypted { " REQUIRE SSL" } else { "" };
    format!("CLONE INSTANCE FROM {user}@{host}:{port} IDENTIFIED BY {password}{tls}")
}

/// Transactions that are open, those of the server itself and of this connection left out.
pub(crate) const OPEN_TRANSACTIONS: &str =
    "SELECT COUNT(*) AS open FROM information_schema.innodb_trx WHERE trx_mysql_thread_id NOT IN (0, CONNECTION_ID())";

/// Connections of applications: neither replication's nor the server's own, nor this one.
pub(crate) const CLIENTS: &str = "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() \
     AND USER NOT IN ('system user', 'event_scheduler', SUBSTRING_INDEX(CURRENT_USER(), '@', 1)) \
     AND COMMAND NOT IN ('Binlog Dump', 'Binlog Dump GTID', 'Daemon', 'Slave_IO', 'Slave_SQL')";

/// A string literal of any text, for sessions with an empty `sql_mode`, as ours are.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_with_its_account_or_keeps_the_one_it_has() {
        let source = Address { host: "db2".into(), port: 3307 };
        let account = ReplicationAccount { user: "repl".into(), password: "it's \\ secret".into() };
        let with = |account| Source { address: &source, account, encrypted: false };
        let mysql = follow(Engine::MySql, with(Some(&account)), Place::OfFormerPrimary);
        assert!(
            mysql
                .contains("SOURCE_HOST = 'db2', SOURCE_PORT = 3307, SOURCE_USER = 'repl', SOURCE_PASSWORD = 'it''s \\\\ secret'"),
            "{mysql}"
        );
        assert!(mysql.contains("SOURCE_AUTO_POSITION = 1") && mysql.contains("SOURCE_RETRY_COUNT = 86400"), "{mysql}");
        let mariadb = follow(Engine::MariaDb, with(None), Place::OfFormerPrimary);
        assert!(!mariadb.contains("MASTER_USER") && mariadb.ends_with("MASTER_DEMOTE_TO_SLAVE = 1"), "{mariadb}");
        assert!(!follow(Engine::MariaDb, with(None), Place::ByGtid).contains("DEMOTE"));
        let kept = follow(Engine::MySql, with(None), Place::Kept);
        assert!(!kept.contains("AUTO_POSITION"), "MySQL changes that only while the applier is stopped: {kept}");
        assert!(!kept.contains("SSL") && !mariadb.contains("SSL"), "what a replica has is kept: {kept}; {mariadb}");
        let encrypted = Source { encrypted: true, ..with(None) };
        assert!(follow(Engine::MySql, encrypted, Place::Kept).contains("SOURCE_SSL = 1"));
        assert!(follow(Engine::MariaDb, encrypted, Place::ByGtid).contains("MASTER_SSL = 1"));
    }

    #[test]
    fn a_receiver_of_a_dead_source_does_not_connect_to_it_again() {
        let mariadb = stop_receiving_from_the_dead(Engine::MariaDb);
        let place = |part: &str| mariadb.find(part).unwrap_or_else(|| panic!("{part}"));
        assert!(place("enabled = IF(@@version < '11', 0, acknowledges)") < place("STOP SLAVE IO_THREAD"), "{mariadb}");
        assert!(place("timeout = 1") < place("STOP SLAVE IO_THREAD"), "{mariadb}");
        assert_eq!(mariadb.matches("enabled = acknowledges").count(), 2, "whether it fails or not: {mariadb}");
        assert_eq!(mariadb.matches("timeout = tries").count(), 2, "whether it fails or not: {mariadb}");
        assert_eq!(stop_receiving_from_the_dead(Engine::MySql), stop_receiving(Engine::MySql));
    }

    #[test]
    fn acknowledgements_are_on_before_they_are_needed_and_wait_for_ever() {
        let mysql = require_acks(Engine::MySql, 2);
        assert!(
            mysql[0].contains("count = 2") && mysql[0].contains("86400000") && mysql[1].ends_with("enabled = 1"),
            "{mysql:?}"
        );
        assert!(require_acks(Engine::MariaDb, 1)[0].contains("AFTER_SYNC"), "MariaDB's default is AFTER_COMMIT");
    }
}
