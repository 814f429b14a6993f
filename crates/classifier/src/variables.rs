//! System variables: which may be read anywhere, and which assignments may be repeated on another server.
//!
//! Sources: MySQL manual 7.1.8 "Server System Variables" and `performance_schema.variables_metadata` (9.7.4); MariaDB "Server System
//! Variables" and `information_schema.SYSTEM_VARIABLES` (10.11.18).

/// `@@global.x`, `SET PERSIST x` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// No scope is written: the session's value, except that `SET @@transaction_isolation` is about the next transaction only.
    Unscoped,
    Session,
    /// `GLOBAL`, `PERSIST`, `PERSIST_ONLY`.
    Global,
}

impl Scope {
    pub(crate) fn of_word(word: &[u8]) -> Option<Self> {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("session") || is("local") {
            Some(Self::Session)
        } else if is("global") || is("persist") || is("persist_only") {
            Some(Self::Global)
        } else {
            None
        }
    }
}

/// What reading a variable depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VariableClass {
    /// Pointsman sets the session's own value on every server, or all servers of a cluster have the same value.
    SameEverywhere,
    /// Lives on the primary's connection.
    PrimarySession,
    /// The same; an earlier insert has left it there.
    InsertId,
    /// Left by the previous statement.
    PreviousStatement,
    /// May differ from server to server.
    Unknown,
}

/// What drivers and frameworks ask when they connect (Connector/J, Connector/ODBC, Connector/NET, MariaDB Connectors, `PyMySQL`, Django,
/// Rails, Laravel, `SQLAlchemy`, Hibernate): either the session's value, which Pointsman repeats on every server that it uses, or a fact about
/// the build and its fixed settings, which servers of one cluster share.
const SAME_EVERYWHERE: &[&str] = &[
    "auto_increment_increment",
    "auto_increment_offset",
    "autocommit",
    "big_tables",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    "default_storage_engine",
    "default_week_format",
    "div_precision_increment",
    "explicit_defaults_for_timestamp",
    "foreign_key_checks",
    "group_concat_max_len",
    "have_ssl",
    "init_connect",
    "innodb_lock_wait_timeout",
    "interactive_timeout",
    "lc_messages",
    "lc_time_names",
    "license",
    "lock_wait_timeout",
    "lower_case_file_system",
    "lower_case_table_names",
    "max_allowed_packet",
    "max_execution_time",
    "max_join_size",
    "max_statement_time",
    "net_buffer_length",
    "net_read_timeout",
    "net_write_timeout",
    "protocol_version",
    "query_cache_size",
    "query_cache_type",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "storage_engine",
    "system_time_zone",
    "time_zone",
    "transaction_isolation",
    "transaction_read_only",
    "tx_isolation",
    "tx_read_only",
    "unique_checks",
    "version",
    "version_comment",
    "version_compile_machine",
    "version_compile_os",
    "wait_timeout",
];

/// What reading `@@name` depends on.
pub(crate) fn class_of(name: &[u8], scope: Scope) -> VariableClass {
    let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
    if ["warning_count", "error_count"].iter().any(&is) {
        VariableClass::PreviousStatement
    } else if ["identity", "last_insert_id", "last_gtid"].iter().any(&is) {
        VariableClass::InsertId
    } else if ["insert_id", "in_transaction", "pseudo_thread_id"].iter().any(&is) {
        VariableClass::PrimarySession
    } else if scope != Scope::Global && SAME_EVERYWHERE.iter().any(is) {
        VariableClass::SameEverywhere
    } else {
        VariableClass::Unknown
    }
}

/// Session variables whose assignment has the same meaning on every server. What is not here pins the session to its connection:
/// what only counts for writes (`sql_log_bin`, `binlog_*`, `gtid_*`, `insert_id`), what identifies (`pseudo_*`), what Pointsman uses itself
/// (`session_track_gtids`, `session_track_state_change`), and what is not known.
const REPEATABLE: &[&str] = &[
    "alter_algorithm",
    "analyze_sample_percentage",
    "auto_increment_increment",
    "auto_increment_offset",
    "autocommit",
    "big_tables",
    "block_encryption_mode",
    "bulk_insert_buffer_size",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "character_set_server",
    "check_constraint_checks",
    "collation_connection",
    "collation_server",
    "cte_max_recursion_depth",
    "default_collation_for_utf8mb4",
    "default_regex_flags",
    "default_storage_engine",
    "default_tmp_storage_engine",
    "default_week_format",
    "div_precision_increment",
    "end_markers_in_json",
    "eq_range_index_dive_limit",
    "expensive_subquery_limit",
    "explain_format",
    "explain_json_format_version",
    "explicit_defaults_for_timestamp",
    "foreign_key_checks",
    "group_concat_max_len",
    "idle_readonly_transaction_timeout",
    "idle_transaction_timeout",
    "idle_write_transaction_timeout",
    "in_predicate_conversion_threshold",
    "information_schema_stats_expiry",
    "innodb_ft_enable_stopword",
    "innodb_lock_wait_timeout",
    "innodb_snapshot_isolation",
    "innodb_strict_mode",
    "innodb_table_locks",
    "interactive_timeout",
    "internal_tmp_mem_storage_engine",
    "join_buffer_size",
    "join_buffer_space_limit",
    "join_cache_level",
    "keep_files_on_create",
    "lc_messages",
    "lc_time_names",
    "lock_wait_timeout",
    "log_slow_filter",
    "log_slow_query_time",
    "log_slow_rate_limit",
    "log_slow_verbosity",
    "long_query_time",
    "low_priority_updates",
    "max_delayed_threads",
    "max_error_count",
    "max_execution_time",
    "max_heap_table_size",
    "max_join_size",
    "max_length_for_sort_data",
    "max_points_in_geometry",
    "max_recursive_iterations",
    "max_rowid_filter_size",
    "max_seeks_for_key",
    "max_session_mem_used",
    "max_sort_length",
    "max_sp_recursion_depth",
    "max_statement_time",
    "min_examined_row_limit",
    "mrr_buffer_size",
    "net_read_timeout",
    "net_retry_count",
    "net_write_timeout",
    "note_verbosity",
    "old_alter_table",
    "old_mode",
    "optimizer_max_subgraph_pairs",
    "optimizer_prune_level",
    "optimizer_search_depth",
    "optimizer_selectivity_sampling_limit",
    "optimizer_switch",
    "optimizer_use_condition_selectivity",
    "preload_buffer_size",
    "print_identified_with_as_hex",
    "progress_report_time",
    "query_alloc_block_size",
    "query_cache_type",
    "query_cache_wlock_invalidate",
    "query_prealloc_size",
    "range_alloc_block_size",
    "range_optimizer_max_mem_size",
    "read_buffer_size",
    "read_rnd_buffer_size",
    "rowid_merge_buff_size",
    "session_track_schema",
    "session_track_transaction_info",
    "set_operations_buffer_size",
    "show_create_table_verbosity",
    "show_gipk_in_create_table_and_information_schema",
    "sort_buffer_size",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_buffer_result",
    "sql_generate_invisible_primary_key",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_require_primary_key",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "standard_compliant_cte",
    "storage_engine",
    "terminology_use_previous",
    "time_zone",
    "timestamp",
    "tmp_disk_table_size",
    "tmp_memory_table_size",
    "tmp_table_size",
    "transaction_isolation",
    "transaction_read_only",
    "tx_isolation",
    "tx_read_only",
    "unique_checks",
    "updatable_views_with_limit",
    "use_stat_tables",
    "wait_timeout",
    "windowing_use_high_precision",
];

/// Whether `SET name = literal` means the same on every server. The name is in lower case.
pub(crate) fn is_repeatable(name: &str) -> bool {
    REPEATABLE.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(REPEATABLE.is_sorted());
        assert!(SAME_EVERYWHERE.is_sorted());
    }

    #[test]
    fn the_session_reads_its_own_values_and_asks_the_primary_for_the_rest() {
        assert_eq!(class_of(b"SQL_MODE", Scope::Unscoped), VariableClass::SameEverywhere);
        assert_eq!(class_of(b"sql_mode", Scope::Global), VariableClass::Unknown);
        assert_eq!(class_of(b"server_id", Scope::Unscoped), VariableClass::Unknown);
        assert_eq!(class_of(b"identity", Scope::Session), VariableClass::InsertId);
        assert_eq!(class_of(b"insert_id", Scope::Session), VariableClass::PrimarySession);
        assert_eq!(class_of(b"warning_count", Scope::Unscoped), VariableClass::PreviousStatement);
    }
}
