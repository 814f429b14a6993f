//! How a server logs and replicates, from its variables and counters.
//!
//! Asked by name from the tables of variables, so that one that a version lacks is a missing row and not an error: the semi-synchronous
//! ones come with a plugin on MySQL. Sources: MySQL manual 19.1.6 "Replication and Binary Logging Options", 29.12.14 "System Variable
//! Tables"; MariaDB "Replication and Binary Log System Variables", "Semisynchronous Replication".

use std::collections::HashMap;
use std::time::Duration;

use topology::{Engine, ReplicationSettings, SemiSync};

use super::Fields;

/// Two columns, `name` and `value`.
pub(crate) fn replication_settings_query(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => {
            "SELECT VARIABLE_NAME AS name, VARIABLE_VALUE AS value FROM performance_schema.global_variables \
             WHERE VARIABLE_NAME LIKE 'rpl\\_semi\\_sync%' OR VARIABLE_NAME IN ('log_bin', 'log_replica_updates', 'binlog_format', 'gtid_mode', \
             'enforce_gtid_consistency', 'sync_binlog', 'innodb_flush_log_at_trx_commit', 'sync_relay_log', 'relay_log_recovery', \
             'replica_preserve_commit_order', 'replica_net_timeout', 'event_scheduler') \
             UNION ALL SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.global_status \
             WHERE VARIABLE_NAME LIKE 'Rpl\\_semi\\_sync%' OR VARIABLE_NAME = 'Uptime'"
        }
        Engine::MariaDb => {
            "SELECT VARIABLE_NAME AS name, VARIABLE_VALUE AS value FROM information_schema.GLOBAL_VARIABLES \
             WHERE VARIABLE_NAME LIKE 'rpl\\_semi\\_sync%' OR VARIABLE_NAME IN ('log_bin', 'log_slave_updates', 'binlog_format', \
             'gtid_strict_mode', 'sync_binlog', 'innodb_flush_log_at_trx_commit', 'sync_relay_log', 'slave_net_timeout', 'event_scheduler') \
             UNION ALL SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
             WHERE VARIABLE_NAME LIKE 'Rpl\\_semi\\_sync%' OR VARIABLE_NAME = 'UPTIME'"
        }
    }
}

/// Variables and counters by their lower-case names of today, whatever they are called on this server.
#[derive(Debug)]
pub(crate) struct Variables(HashMap<String, String>);

impl Variables {
    pub(crate) fn read(rows: &[Fields]) -> Variables {
        let pair = |row: &Fields| {
            let name = row.text("name")?.to_ascii_lowercase().replace("master", "source").replace("slave", "replica");
            Some((name, row.text("value")?.to_owned()))
        };
        Variables(rows.iter().filter_map(pair).collect())
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    fn is_on(&self, name: &str) -> bool {
        self.is(name, "ON") || self.is(name, "1")
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.trim().parse().ok()
    }

    /// Without `purged`, which is asked elsewhere.
    pub(crate) fn replication_settings(&self, engine: Engine) -> ReplicationSettings {
        ReplicationSettings {
            log_bin: self.is_on("log_bin"),
            logs_applied: self.is_on("log_replica_updates"),
            row_format: self.is("binlog_format", "ROW"),
            gtids_enforced: match engine {
                Engine::MySql => self.is_on("gtid_mode") && self.is_on("enforce_gtid_consistency"),
                Engine::MariaDb => self.is_on("gtid_strict_mode"),
            },
            syncs_binlog: self.number("sync_binlog") == Some(1),
            flushes_at_commit: self.number("innodb_flush_log_at_trx_commit") == Some(1),
            sync_relay_log: self.number("sync_relay_log").unwrap_or_default(),
            discards_relay_log: self.is_on("relay_log_recovery"),
            keeps_commit_order: engine == Engine::MariaDb || self.is_on("replica_preserve_commit_order"),
            net_timeout: Duration::from_secs(self.number("replica_net_timeout").unwrap_or_default()),
            runs_events: self.is_on("event_scheduler"),
            purged: None,
        }
    }

    /// Zero if the server does not report it.
    pub(crate) fn uptime(&self) -> Duration {
        Duration::from_secs(self.number("uptime").unwrap_or_default())
    }

    /// `None` where it is not installed.
    pub(crate) fn semi_sync(&self) -> Option<SemiSync> {
        let small = |name| self.number(name).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let has_source = self.0.contains_key("rpl_semi_sync_source_enabled");
        let has_replica = self.0.contains_key("rpl_semi_sync_replica_enabled");
        (has_source || has_replica).then(|| SemiSync {
            source_enabled: self.is_on("rpl_semi_sync_source_enabled"),
            source_active: self.is_on("rpl_semi_sync_source_status"),
            clients: small("rpl_semi_sync_source_clients").unwrap_or_default(),
            waiting: small("rpl_semi_sync_source_wait_sessions").unwrap_or_default(),
            acks: small("rpl_semi_sync_source_wait_for_replica_count").unwrap_or(1),
            timeout: Duration::from_millis(self.number("rpl_semi_sync_source_timeout").unwrap_or_default()),
            after_sync: self.is("rpl_semi_sync_source_wait_point", "AFTER_SYNC"),
            waits_alone: self.is_on("rpl_semi_sync_source_wait_no_replica"),
            replica_enabled: self.is_on("rpl_semi_sync_replica_enabled"),
            replica_active: self.is_on("rpl_semi_sync_replica_status"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let row = |(name, value): &(&str, &str)| {
            Fields(vec![("name".to_owned(), Some((*name).to_owned())), ("value".to_owned(), Some((*value).to_owned()))])
        };
        Variables::read(&pairs.iter().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn both_engines_names_mean_the_same() {
        let expected = SemiSync {
            source_enabled: true,
            source_active: true,
            clients: 2,
            waiting: 3,
            acks: 1,
            timeout: Duration::from_hours(24),
            after_sync: true,
            waits_alone: true,
            replica_enabled: false,
            replica_active: false,
        };
        let mariadb = variables(&[
            ("RPL_SEMI_SYNC_MASTER_ENABLED", "ON"),
            ("RPL_SEMI_SYNC_MASTER_STATUS", "ON"),
            ("RPL_SEMI_SYNC_MASTER_CLIENTS", "2"),
            ("RPL_SEMI_SYNC_MASTER_WAIT_SESSIONS", "3"),
            ("RPL_SEMI_SYNC_MASTER_TIMEOUT", "86400000"),
            ("RPL_SEMI_SYNC_MASTER_WAIT_POINT", "AFTER_SYNC"),
            ("RPL_SEMI_SYNC_MASTER_WAIT_NO_SLAVE", "ON"),
            ("RPL_SEMI_SYNC_SLAVE_ENABLED", "OFF"),
        ]);
        assert_eq!(mariadb.semi_sync(), Some(expected));
        let mysql = variables(&[
            ("rpl_semi_sync_source_enabled", "ON"),
            ("Rpl_semi_sync_source_status", "ON"),
            ("Rpl_semi_sync_source_clients", "2"),
            ("Rpl_semi_sync_source_wait_sessions", "3"),
            ("rpl_semi_sync_source_timeout", "86400000"),
            ("rpl_semi_sync_source_wait_for_replica_count", "2"),
            ("rpl_semi_sync_source_wait_point", "AFTER_SYNC"),
            ("rpl_semi_sync_source_wait_no_replica", "ON"),
            ("rpl_semi_sync_replica_enabled", "ON"),
            ("Rpl_semi_sync_replica_status", "ON"),
        ]);
        assert_eq!(mysql.semi_sync(), Some(SemiSync { acks: 2, replica_enabled: true, replica_active: true, ..expected }));
        assert_eq!(variables(&[("log_bin", "ON")]).semi_sync(), None);
    }

    #[test]
    fn what_a_server_does_not_name_is_not_assumed() {
        assert_eq!(variables(&[]).replication_settings(Engine::MySql), ReplicationSettings::default());
        let settings = variables(&[
            ("log_bin", "ON"),
            ("log_replica_updates", "1"),
            ("binlog_format", "ROW"),
            ("gtid_mode", "ON"),
            ("enforce_gtid_consistency", "ON"),
            ("sync_binlog", "1"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("sync_relay_log", "10000"),
            ("relay_log_recovery", "ON"),
            ("replica_preserve_commit_order", "ON"),
            ("replica_net_timeout", "4"),
            ("event_scheduler", "ON"),
        ]);
        let expected = ReplicationSettings {
            log_bin: true,
            logs_applied: true,
            row_format: true,
            gtids_enforced: true,
            syncs_binlog: true,
            flushes_at_commit: true,
            sync_relay_log: 10_000,
            discards_relay_log: true,
            keeps_commit_order: true,
            net_timeout: Duration::from_secs(4),
            runs_events: true,
            purged: None,
        };
        assert_eq!(settings.replication_settings(Engine::MySql), expected);
        let mariadb = variables(&[("gtid_strict_mode", "ON"), ("sync_binlog", "0")]).replication_settings(Engine::MariaDb);
        assert!(mariadb.gtids_enforced && mariadb.keeps_commit_order && !mariadb.syncs_binlog);
    }
}
