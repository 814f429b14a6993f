//! What the monitor's account needs, and what it has, from `SHOW GRANTS`.

use std::collections::BTreeSet;

use topology::Engine;

use super::{Fields, binlog_status_query, channels_query, loadable_query};

/// A privilege that the account needs.
#[derive(Debug)]
pub(crate) struct Need {
    /// What follows `GRANT`.
    pub(crate) right: &'static str,
    /// Without it ..
    pub(crate) lack: &'static str,
    pub(crate) proof: Proof,
}

/// How to find out whether the account has it.
#[derive(Debug)]
pub(crate) enum Proof {
    /// This statement is refused without the privilege. It also works if the privilege comes from a role.
    Trial(&'static str),
    /// Without the privilege the answer has less, and no error. One of these global privileges is enough.
    Named(&'static [&'static str]),
}

/// The privileges that observing needs, and no more: found by trial on MySQL 9.7 and MariaDB 10.11.
pub(crate) fn needs(engine: Engine) -> [Need; 5] {
    const BLIND: &str = "the server cannot be looked at";
    const NO_FILTERS: &str = "filters of its binary log are not known";
    const NO_FUNCTIONS: &str = "reads that call stored functions stay on the primary";
    const NO_LOADABLES: &str = "reads that call any stored function stay on the primary, as a loadable one may bear its name";
    const NO_VIEWS: &str = "a view looks like a table, and what it does is not known";
    let need = |right, lack, proof| Need { right, lack, proof };
    let (status, binlog, loadable) = (channels_query(engine), binlog_status_query(engine), loadable_query(engine));
    let view = need("SHOW VIEW ON *.*", NO_VIEWS, Proof::Named(&["SHOW VIEW"]));
    match engine {
        Engine::MySql => [
            need("REPLICATION CLIENT ON *.*", BLIND, Proof::Trial(status)),
            need("REPLICATION CLIENT ON *.*", NO_FILTERS, Proof::Trial(binlog)),
            view,
            need("SHOW_ROUTINE ON *.*", NO_FUNCTIONS, Proof::Named(&["SHOW_ROUTINE", "SELECT"])),
            need("SELECT ON performance_schema.user_defined_functions", NO_LOADABLES, Proof::Trial(loadable)),
        ],
        Engine::MariaDb => [
            need("REPLICA MONITOR ON *.*", BLIND, Proof::Trial(status)),
            need("BINLOG MONITOR ON *.*", NO_FILTERS, Proof::Trial(binlog)),
            view,
            need("SELECT ON mysql.proc", NO_FUNCTIONS, Proof::Trial("SELECT name FROM mysql.proc LIMIT 0")),
            need("SELECT ON mysql.func", NO_LOADABLES, Proof::Trial(loadable)),
        ],
    }
}

/// The privileges that changing roles needs besides. A missing one would show only in the middle of a promotion, so they are checked before.
pub(crate) fn action_needs(engine: Engine) -> Vec<Need> {
    const NO_PROMOTION: &str = "no primary can be replaced";
    const NO_FENCE: &str = "a former primary cannot be cut off from its clients";
    const NO_DRAIN: &str = "a switchover cannot see which transactions are open";
    let need = |right, lack, names| Need { right, lack, proof: Proof::Named(names) };
    match engine {
        Engine::MySql => vec![
            need("SYSTEM_VARIABLES_ADMIN ON *.*", NO_PROMOTION, &["SYSTEM_VARIABLES_ADMIN", "SUPER"]),
            need("REPLICATION_SLAVE_ADMIN ON *.*", NO_PROMOTION, &["REPLICATION_SLAVE_ADMIN", "SUPER"]),
            need("RELOAD ON *.*", NO_PROMOTION, &["RELOAD"]),
            need("CONNECTION_ADMIN ON *.*", NO_FENCE, &["CONNECTION_ADMIN", "SUPER"]),
            need("PROCESS ON *.*", NO_DRAIN, &["PROCESS"]),
        ],
        Engine::MariaDb => vec![
            need(
                "REPLICATION SLAVE ADMIN ON *.*",
                NO_PROMOTION,
                &["REPLICATION SLAVE ADMIN", "REPLICATION REPLICA ADMIN", "SUPER"],
            ),
            need("REPLICATION MASTER ADMIN ON *.*", NO_PROMOTION, &["REPLICATION MASTER ADMIN", "SUPER"]),
            need("READ_ONLY ADMIN ON *.*", NO_PROMOTION, &["READ_ONLY ADMIN", "READ ONLY ADMIN", "SUPER"]),
            need("RELOAD ON *.*", NO_PROMOTION, &["RELOAD"]),
            need("CONNECTION ADMIN ON *.*", NO_FENCE, &["CONNECTION ADMIN", "SUPER"]),
            need("PROCESS ON *.*", NO_DRAIN, &["PROCESS"]),
        ],
    }
}

/// The privileges that observing and changing roles need.
const FITTING: [&str; 22] = [
    "USAGE",
    "REPLICATION CLIENT",
    "SHOW VIEW",
    "SHOW_ROUTINE",
    "REPLICA MONITOR",
    "SLAVE MONITOR",
    "BINLOG MONITOR",
    "PROCESS",
    "RELOAD",
    "REPLICATION SLAVE",
    "SYSTEM_VARIABLES_ADMIN",
    "CONNECTION_ADMIN",
    "REPLICATION_SLAVE_ADMIN",
    "SYSTEM_USER",
    "REPLICATION SLAVE ADMIN",
    "REPLICATION REPLICA ADMIN",
    "REPLICATION MASTER ADMIN",
    "READ_ONLY ADMIN",
    "READ ONLY ADMIN",
    "CONNECTION ADMIN",
    "SERVICE_CONNECTION_ADMIN",
    "CLONE_ADMIN",
];

/// What `SHOW GRANTS` has on everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GlobalPrivileges(BTreeSet<String>);

impl GlobalPrivileges {
    pub(crate) fn read(rows: &[Fields]) -> GlobalPrivileges {
        let lines = rows.iter().filter_map(|row| row.0.first()?.1.as_deref());
        let lists = lines.filter_map(|line| line.strip_prefix("GRANT ")?.split_once(" ON *.* TO ").map(|(list, _)| list));
        GlobalPrivileges(lists.flat_map(|list| list.split(',')).map(|name| name.trim().to_ascii_uppercase()).collect())
    }

    pub(crate) fn has_one_of(&self, names: &[&str]) -> bool {
        self.0.contains("ALL PRIVILEGES") || names.iter().any(|name| self.0.contains(*name))
    }

    /// The privileges that Pointsman does not need.
    pub(crate) fn superfluous(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).filter(|name| !FITTING.contains(name)).collect()
    }
}

/// `user@host` of `CURRENT_USER()`, quoted.
pub(crate) fn quoted_account(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("'{}'@'{}'", user.replace('\'', "''"), host.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> GlobalPrivileges {
        let row = |line: &&str| Fields(vec![("Grants for m@%".to_owned(), Some((*line).to_owned()))]);
        GlobalPrivileges::read(&lines.iter().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn grants_are_read_as_both_engines_print_them() {
        let mysql = read(&[
            "GRANT REPLICATION CLIENT, SHOW VIEW ON *.* TO `m`@`%`",
            "GRANT SHOW_ROUTINE ON *.* TO `m`@`%`",
            "GRANT SELECT ON `performance_schema`.`user_defined_functions` TO `m`@`%`",
        ]);
        assert!(mysql.has_one_of(&["SHOW_ROUTINE", "SELECT"]) && mysql.has_one_of(&["SHOW VIEW"]));
        assert!(!mysql.has_one_of(&["SELECT"]), "on one table only");
        assert_eq!(mysql.superfluous(), Vec::<&str>::new());

        let mariadb = read(&["GRANT SELECT, BINLOG MONITOR, SLAVE MONITOR ON *.* TO `m`@`%` IDENTIFIED BY PASSWORD '*AB'"]);
        assert_eq!(mariadb.superfluous(), ["SELECT"]);
        assert!(!mariadb.has_one_of(&["SHOW VIEW"]));

        let all = read(&["GRANT ALL PRIVILEGES ON *.* TO `m`@`%` WITH GRANT OPTION"]);
        assert!(all.has_one_of(&["SHOW VIEW"]));
        assert_eq!(all.superfluous(), ["ALL PRIVILEGES"]);
        assert_eq!(read(&["GRANT `role` TO `m`@`%`", ""]), GlobalPrivileges::default());
    }

    #[test]
    fn accounts_are_quoted() {
        assert_eq!(quoted_account("monitor@%"), "'monitor'@'%'");
        assert_eq!(quoted_account("o'hara@x@10.0.0.%"), "'o''hara@x'@'10.0.0.%'");
    }
}
