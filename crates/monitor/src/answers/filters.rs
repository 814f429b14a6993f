//! Replication filters: those of a replica, from its status, and those of a source's binary log.
//!
//! Sources: MySQL manual "Replication and Binary Logging Options", 15.7.7.36 "SHOW REPLICA STATUS"; MariaDB "Replication Filters".

use topology::Engine;

use super::Fields;

/// The columns of a replica's status that name filters. Those that a server lacks are skipped.
const OF_A_CHANNEL: [&str; 10] = [
    "Replicate_Do_DB",
    "Replicate_Ignore_DB",
    "Replicate_Do_Table",
    "Replicate_Ignore_Table",
    "Replicate_Wild_Do_Table",
    "Replicate_Wild_Ignore_Table",
    "Replicate_Rewrite_DB",
    "Replicate_Ignore_Server_Ids",
    "Replicate_Do_Domain_Ids",
    "Replicate_Ignore_Domain_Ids",
];
const OF_A_BINARY_LOG: [&str; 2] = ["Binlog_Do_DB", "Binlog_Ignore_DB"];

/// The servers' own schemas. Leaving these out is usual, and applications have no data in them.
const OWN_SCHEMAS: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

/// Asks for the filters of the binary log. Only a restart changes them.
pub(crate) fn binlog_status_query(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "SHOW BINARY LOG STATUS",
        Engine::MariaDb => "SHOW MASTER STATUS",
    }
}

/// Of its answer, which has no row without a binary log.
pub(crate) fn binlog_filters(rows: &[Fields]) -> Option<String> {
    rows.first().and_then(|row| named(&OF_A_BINARY_LOG, row))
}

/// Of a channel.
pub(crate) fn channel_filters(channel: &Fields) -> Option<String> {
    named(&OF_A_CHANNEL, channel)
}

fn named(columns: &[&str], row: &Fields) -> Option<String> {
    let is_harmless = |column: &str, value: &str| {
        column.ends_with("_Ignore_DB") && value.split(',').all(|schema| OWN_SCHEMAS.contains(&schema.trim()))
    };
    let found = columns.iter().filter_map(|column| Some((*column, row.non_empty(column)?)));
    let words: Vec<String> = found
        .filter(|(column, value)| !is_harmless(column, value))
        .map(|(column, value)| format!("{column} = {value}"))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_that_may_touch_data_is_named() {
        let row = |column: &str, value: &str| Fields(vec![(column.to_owned(), Some(value.to_owned()))]);
        for column in OF_A_CHANNEL {
            assert_eq!(channel_filters(&row(column, "a")), Some(format!("{column} = a")));
            assert_eq!(channel_filters(&row(column, "")), None);
        }
        assert_eq!(
            binlog_filters(&[row("Binlog_Do_DB", "mysql")]),
            Some("Binlog_Do_DB = mysql".into()),
            "nothing else is logged"
        );
        assert_eq!(binlog_filters(&[row("Binlog_Ignore_DB", "mysql,shop")]), Some("Binlog_Ignore_DB = mysql,shop".into()));
        assert_eq!(binlog_filters(&[row("Binlog_Ignore_DB", "mysql, sys,information_schema,performance_schema")]), None);
        assert_eq!(binlog_filters(&[]), None);
    }
}
