//! What a client has set is there, whichever server answers; and nothing of it is left for the next session.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::fmt::Debug;
use std::sync::Arc;

use e2e::mysql_async::prelude::{FromRow, Queryable as _};
use e2e::mysql_async::{Conn, Error};
use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, eventually, unique};
use testkit::{Answer, LoginAs, RawClient};
use wire::StatusFlags;
use wire::command::{
    COM_INIT_DB, COM_RESET_CONNECTION, COM_STMT_CLOSE, COM_STMT_EXECUTE, COM_STMT_RESET, COM_STMT_SEND_LONG_DATA,
};

e2e::suite! {
    Together: [
        the_schema_follows_use,
        the_schema_follows_com_init_db,
        a_schema_that_was_dropped_is_left_everywhere,
        variables_are_the_same_on_every_server,
        the_character_set_is_the_same_on_every_server,
        a_setting_that_fails_changes_nothing,
        the_sql_mode_decides_how_statements_are_read,
        a_mode_built_on_the_present_one_follows_to_every_server,
        flags_of_the_optimizer_follow_one_by_one,
        user_variables_keep_their_values,
        a_temporary_table_is_there_until_it_is_dropped,
        a_named_lock_is_held_until_it_is_released,
        locked_tables_stay_locked,
        a_transaction_is_one,
        a_commit_with_release_ends_the_session,
        a_read_only_transaction_is_one_on_a_replica,
        without_autocommit_every_statement_belongs_to_a_transaction,
        the_next_transaction_gets_its_characteristics,
        a_handler_stays_open,
        last_insert_id_survives_reads,
        what_is_said_about_the_previous_statement_comes_from_its_server,
        warnings_of_what_was_prepared_are_shown,
        found_rows_are_those_of_the_previous_read,
        row_count_is_that_of_the_write,
        prepared_statements_run_on_several_servers,
        a_statement_keeps_the_schema_that_it_was_prepared_in,
        statements_prepared_by_sql_stay,
        parameters_are_bound_again_without_types,
        long_data_reaches_whichever_server_executes,
        a_closed_statement_is_unknown,
        a_reset_connection_has_nothing_of_before,
        a_pooled_connection_carries_nothing_over,
        a_procedure_that_changes_the_session_is_noticed,
        a_session_s_own_wait_timeout_is_kept,
        a_shown_profile_has_the_client_s_statements_only,
    ],
}

// --- Schema, variables, character set ---

async fn the_schema_follows_use(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (other, table) = second_schema(&cluster).await;
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    assert_eq!(reads.all::<String>(&mut client, &format!("place FROM {table}")).await, ["guestbook"; 4]);
    client.query_drop(format!("USE {other}")).await.unwrap();
    assert_eq!(reads.all::<String>(&mut client, &format!("place FROM {table}")).await, ["other"; 4]);
    assert_eq!(reads.all::<String>(&mut client, "DATABASE()").await, [&*other; 4]);
    client.query_drop(format!("INSERT INTO {table} VALUES ('from here')")).await.unwrap();
    assert_eq!(cluster.primary().rows::<u32>(format!("SELECT COUNT(*) FROM {other}.{table}"), ()).await, [2]);
    client.query_drop(format!("USE {SCHEMA}")).await.unwrap();
    assert_eq!(reads.all::<String>(&mut client, &format!("place FROM {table}")).await, ["guestbook"; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn the_schema_follows_com_init_db(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (other, table) = second_schema(&cluster).await;
    let mut client = raw(&proxy).await;
    client.command(&[&[COM_INIT_DB], other.as_bytes()].concat()).await.expect_ok();
    for _ in 0..4 {
        assert_eq!(client.query_one(&format!("SELECT place FROM {table}")).await.expect_rows().single(), "other");
    }
    let missing = client.command(&[&[COM_INIT_DB][..], b"no_such_schema"].concat()).await.expect_err();
    // ER_BAD_DB_ERROR, or ER_DBACCESS_DENIED_ERROR where the account must not know.
    assert!(matches!(missing.code, 1049 | 1044), "{missing:?}");
    for _ in 0..4 {
        assert_eq!(client.query_one("SELECT DATABASE()").await.expect_rows().single(), other);
    }
    proxy.finish().await;
}

async fn a_schema_that_was_dropped_is_left_everywhere(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (other, table) = second_schema(&cluster).await;
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    client.query_drop(format!("USE {other}")).await.unwrap();
    assert_eq!(reads.all::<String>(&mut client, &format!("place FROM {table}")).await, ["other"; 4]);
    client.query_drop(format!("DROP DATABASE {other}")).await.unwrap();
    assert_eq!(reads.all::<Option<String>>(&mut client, "DATABASE()").await, [None, None, None, None]);
    client.query_drop(format!("USE {SCHEMA}")).await.unwrap();
    assert_eq!(reads.all::<String>(&mut client, &format!("place FROM {table}")).await, ["guestbook"; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn variables_are_the_same_on_every_server(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    let settings = [
        ("SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'", "'a' || 'b'", "ab"),
        ("SET SESSION time_zone = '+05:30'", "TIMEDIFF(NOW(), UTC_TIMESTAMP())", "05:30:00"),
        ("SET @@session.group_concat_max_len = 5", "GROUP_CONCAT(n) FROM (SELECT 'abcdefgh' AS n) d", "abcde"),
        ("SET LOCAL div_precision_increment = 2, lc_time_names = 'de_DE'", "CONCAT(1 / 3, DAYNAME('2024-01-01'))", "0.33Montag"),
        ("SET @@div_precision_increment := 6", "1 / 3", "0.333333"),
        ("SET sql_select_limit = 1", "COUNT(*) FROM (SELECT 1 UNION ALL SELECT 2) d", "2"),
        ("SET default_week_format = 3", "WEEK('2023-01-01')", "52"),
    ];
    // Each once on connections that are new, and once more on connections that have older settings.
    for (set, expression, expected) in settings.iter().chain(&settings) {
        client.query_drop(*set).await.unwrap_or_else(|error| panic!("{set}: {error}"));
        assert_eq!(reads.all::<String>(&mut client, expression).await, [*expected; 4], "{set}");
    }
    client.query_drop("SET group_concat_max_len = DEFAULT").await.unwrap();
    assert_eq!(reads.all::<String>(&mut client, settings[2].1).await, ["abcdefgh"; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn the_character_set_is_the_same_on_every_server(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster
        .prepare(format!(
            "CREATE TABLE guestbook.{table} (a VARCHAR(20) CHARACTER SET utf8mb4); INSERT INTO guestbook.{table} VALUES ('ä😀')"
        ))
        .await;
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    let stored = format!("a FROM {table}");
    assert_eq!(reads.all::<String>(&mut client, &stored).await, ["ä😀"; 4]);
    for (charset, bytes) in [("latin1", b"\xe4?".to_vec()), ("utf8mb4", "ä😀".into()), ("latin1", b"\xe4?".to_vec())] {
        client.query_drop(format!("SET NAMES {charset}")).await.unwrap();
        assert_eq!(reads.all::<Vec<u8>>(&mut client, &stored).await, vec![bytes; 4], "{charset}");
        assert_eq!(reads.all::<String>(&mut client, "@@character_set_client").await, [charset; 4]);
    }
    client.query_drop("SET CHARACTER SET utf8mb4").await.unwrap();
    assert_eq!(reads.all::<String>(&mut client, &stored).await, ["ä😀"; 4]);
    client.disconnect().await.unwrap();

    // The character set of the login (latin1_swedish_ci), without any SET.
    let mut client = RawClient::login(proxy.address, &LoginAs { collation: 8, ..app() }).await.unwrap();
    for _ in 0..4 {
        let rows = client.query_one(&format!("SELECT {stored}")).await.expect_rows();
        assert_eq!(rows.rows, [[Some(b"\xe4?".to_vec())]]);
    }
    proxy.finish().await;
}

async fn a_setting_that_fails_changes_nothing(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    client.query_drop("SET time_zone = '+02:00'").await.unwrap();
    for wrong in ["SET time_zone = 'Nowhere'", "SET no_such_variable = 1", "SET NAMES no_such_charset", "USE no_such_schema"] {
        client.query_drop(wrong).await.unwrap_err();
    }
    assert_eq!(reads.all::<String>(&mut client, "@@time_zone").await, ["+02:00"; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// What is a string and what is a second statement depends on the mode.
async fn the_sql_mode_decides_how_statements_are_read(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    let mark = unique("mode");
    // One string for a server that knows backslashes; else a string, a write, and a comment.
    let sql = format!(r"SELECT '{mark}\'; DELETE FROM {table}; -- '");
    client.query_drop(&sql).await.unwrap();
    assert_ne!(cluster.who_ran(&mark).await, ["db1"], "it is a read");
    client.query_drop("SET sql_mode = 'NO_BACKSLASH_ESCAPES'").await.unwrap();
    client.query_drop(&sql).await.unwrap();
    let rows = cluster.primary().rows::<u32>(format!("SELECT COUNT(*) FROM guestbook.{table}"), ()).await;
    assert_eq!(rows, [0], "the DELETE ran nowhere");
    // A name or a string.
    client.query_drop(format!("INSERT INTO {table} VALUES (7)")).await.unwrap();
    cluster.wait_for_replicas().await;
    let reads = Reads::new(&cluster);
    assert_eq!(reads.all::<String>(&mut client, &format!("\"n\" FROM {table}")).await, ["n"; 4]);
    client.query_drop("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')").await.unwrap();
    for _ in 0..4 {
        let seen: Option<String> = client.query_first(format!("SELECT \"n\" FROM {table}")).await.unwrap();
        assert_eq!(seen.as_deref(), Some("7"));
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// As frameworks do when they connect: Rails appends, others take a mode away.
async fn a_mode_built_on_the_present_one_follows_to_every_server(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    for set in [
        "SET sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
        "SET @@SESSION.sql_mode = CONCAT(CONCAT(@@sql_mode, ',ANSI_QUOTES'), ',NO_AUTO_VALUE_ON_ZERO')",
        "SET SESSION sql_mode = REPLACE(@@sql_mode, 'STRICT_ALL_TABLES', '')",
    ] {
        client.query_drop(set).await.unwrap_or_else(|error| panic!("{set}: {error}"));
        let here: Option<String> = client.query_first("/* pointsman: primary */ SELECT @@sql_mode").await.unwrap();
        let here = here.expect("a mode");
        assert_eq!(reads.all::<String>(&mut client, "@@sql_mode").await, [&*here; 4], "{set}");
    }
    let mode: Option<String> = client.query_first("SELECT @@sql_mode").await.unwrap();
    let mode = mode.expect("a mode");
    assert!(mode.contains("ANSI_QUOTES") && mode.contains("NO_AUTO_VALUE_ON_ZERO") && !mode.contains("STRICT_ALL"), "{mode}");
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Each assignment leaves the flags as they are that it does not name. A plan shows one of them: whether a derived table is one of its own.
async fn flags_of_the_optimizer_follow_one_by_one(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    for (flags, steps) in [
        (["'derived_merge=off'", "'index_merge=off'"].as_slice(), 2),
        (&["'derived_merge=off'", "'semijoin=off'", "'derived_merge=on'"], 1),
        (&["'derived_merge=off'", "'derived_merge=on'", "'derived_merge=off'", "'index_merge=off'"], 2),
        (&["'derived_merge=off'", "DEFAULT", "'index_merge=off'"], 1),
    ] {
        let mut client = proxy.client().await;
        for flag in flags {
            client.query_drop(format!("SET optimizer_switch = {flag}")).await.unwrap();
        }
        eventually("plans of both replicas", async || {
            let mark = unique("plan");
            for _ in 0..4 {
                let plan = format!("EXPLAIN FORMAT=TRADITIONAL SELECT d.n, '{mark}' FROM (SELECT n FROM {table}) AS d");
                assert_eq!(client.query::<mysql_async::Row, _>(plan).await.unwrap().len(), steps, "{flags:?}");
            }
            (cluster.who_ran(&mark).await == ["db2", "db2", "db3", "db3"]).then_some(())
        })
        .await;
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

// --- What lives on one connection ---

async fn user_variables_keep_their_values(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    client.query_drop("SET @a = 5, @`b c` = 'text'").await.unwrap();
    client.query_drop(format!("SELECT MAX(n) INTO @m FROM {table}")).await.unwrap();
    client.query_drop(format!("SELECT @counted := COUNT(*) FROM {table}")).await.unwrap();
    for _ in 0..3 {
        // Reads elsewhere in between.
        reads.all::<u32>(&mut client, &format!("COUNT(*) FROM {table}")).await;
        let seen: Option<(u32, String, u32, u32)> = client.query_first("SELECT @a, @`b c`, @m, @counted").await.unwrap();
        assert_eq!(seen.unwrap(), (5, "text".to_owned(), 3, 3));
        let filtered: Vec<u32> = client.query(format!("SELECT n FROM {table} WHERE n < @m ORDER BY n")).await.unwrap();
        assert_eq!(filtered, [1, 2]);
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_temporary_table_is_there_until_it_is_dropped(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    // It hides a table of the same name, which is why no read may go elsewhere.
    client.query_drop(format!("CREATE TEMPORARY TABLE {table} (n INT)")).await.unwrap();
    client.query_drop(format!("INSERT INTO {table} VALUES (100)")).await.unwrap();
    for _ in 0..4 {
        let seen: Vec<u32> = client.query(format!("SELECT n FROM {table}")).await.unwrap();
        assert_eq!(seen, [100]);
    }
    client.query_drop(format!("DROP TEMPORARY TABLE {table}")).await.unwrap();
    assert_eq!(reads.all::<u32>(&mut client, &format!("MAX(n) FROM {table}")).await, [3; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_named_lock_is_held_until_it_is_released(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    let (lock, mark) = (unique("lock"), unique("meanwhile"));
    let get = format!("SELECT GET_LOCK('{lock}', 0)");
    assert_eq!(one.query_first::<u32, _>(&get).await.unwrap(), Some(1));
    one.query_drop(format!("SELECT '{mark}'")).await.unwrap();
    assert_eq!(two.query_first::<u32, _>(&get).await.unwrap(), Some(0));
    assert_eq!(one.query_first::<u32, _>(format!("SELECT RELEASE_LOCK('{lock}')")).await.unwrap(), Some(1));
    assert_eq!(two.query_first::<u32, _>(&get).await.unwrap(), Some(1));
    // A client that disconnects releases it.
    two.disconnect().await.unwrap();
    assert_eq!(one.query_first::<u32, _>(format!("SELECT GET_LOCK('{lock}', 20)")).await.unwrap(), Some(1));
    one.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn locked_tables_stay_locked(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (locked, other) = (numbers(&cluster).await, numbers(&cluster).await);
    let mut client = proxy.client().await;
    let reads = Reads::new(&cluster);
    client.query_drop(format!("LOCK TABLES {locked} READ")).await.unwrap();
    assert_eq!(client.query_first::<u32, _>(format!("SELECT MAX(n) FROM {locked}")).await.unwrap(), Some(3));
    // ER_TABLE_NOT_LOCKED: a server on which nothing is locked would just answer.
    assert_error(client.query_drop(format!("SELECT * FROM {other}")).await, 1100);
    client.query_drop("UNLOCK TABLES").await.unwrap();
    assert_eq!(reads.all::<u32>(&mut client, &format!("MAX(n) FROM {other}")).await, [3; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_commit_with_release_ends_the_session(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    for (begin, end) in [
        ("BEGIN", "COMMIT AND NO CHAIN RELEASE"),
        ("START TRANSACTION READ ONLY", "ROLLBACK RELEASE"),
        ("DO 1", "COMMIT RELEASE"),
    ] {
        let mut client = raw(&proxy).await;
        client.query_one(begin).await.expect_ok();
        client.query_one(&format!("SELECT MAX(n) FROM {table}")).await.expect_rows();
        client.query_one(&end.replace("RELEASE", "NO RELEASE")).await.expect_ok();
        client.query_one(begin).await.expect_ok();
        client.query_one(end).await.expect_ok();
        client.expect_closed().await;
    }
    // The connections that the servers have closed are used by nobody else.
    let mut client = proxy.client().await;
    assert_eq!(Reads::new(&cluster).all::<u32>(&mut client, &format!("MAX(n) FROM {table}")).await, [3; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_transaction_is_one(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    let count = format!("SELECT COUNT(*) FROM {table}");
    for (begin, end, expected) in [
        ("BEGIN", "ROLLBACK", 3_u32),
        ("START TRANSACTION", "COMMIT", 4),
        ("START TRANSACTION READ WRITE", "ROLLBACK", 4),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT", "COMMIT", 5),
        // Ended by what commits implicitly.
        ("BEGIN WORK", "CREATE TABLE IF NOT EXISTS {t}_x (a INT)", 6),
    ] {
        one.query_drop(begin).await.unwrap();
        let before: u32 = one.query_first(&count).await.unwrap().unwrap();
        one.query_drop(format!("INSERT INTO {table} VALUES (4)")).await.unwrap();
        one.query_drop("SAVEPOINT s").await.unwrap();
        one.query_drop(format!("INSERT INTO {table} VALUES (5)")).await.unwrap();
        assert_eq!(one.query_first::<u32, _>(&count).await.unwrap(), Some(before + 2), "{begin}");
        one.query_drop("ROLLBACK TO SAVEPOINT s").await.unwrap();
        for _ in 0..2 {
            assert_eq!(one.query_first::<u32, _>(&count).await.unwrap(), Some(before + 1), "{begin}");
            assert_eq!(two.query_first::<u32, _>(&count).await.unwrap(), Some(before), "{begin}");
        }
        one.query_drop(end.replace("{t}", &table)).await.unwrap();
        cluster.wait_for_replicas().await;
        assert_eq!(Reads::new(&cluster).all::<u32>(&mut one, &format!("COUNT(*) FROM {table}")).await, [expected; 4], "{end}");
    }
    one.disconnect().await.unwrap();
    two.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_read_only_transaction_is_one_on_a_replica(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    for end in ["COMMIT", "ROLLBACK"] {
        let mark = unique("ro");
        let count = format!("SELECT COUNT(*), '{mark}' FROM {table}");
        let reads = async |client: &mut Conn| client.query_first::<(u32, String), _>(&count).await.unwrap().unwrap().0;
        // A session that has just written would be sent to the primary.
        Reads::new(&cluster).all::<u32>(&mut one, "1").await;
        one.query_drop("START TRANSACTION READ ONLY").await.unwrap();
        let before = reads(&mut one).await;
        two.query_drop(format!("INSERT INTO {table} VALUES (4)")).await.unwrap();
        cluster.wait_for_replicas().await;
        for _ in 0..4 {
            assert_eq!(reads(&mut one).await, before, "the transaction sees what came later");
        }
        let mut who = cluster.who_ran(&mark).await;
        assert_eq!(who.len(), 5);
        who.dedup();
        assert!(who == ["db2"] || who == ["db3"], "{who:?}");
        // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, and the transaction goes on.
        assert_error(one.query_drop(format!("INSERT INTO {table} VALUES (5)")).await, 1792);
        assert_eq!(reads(&mut one).await, before);
        one.query_drop(end).await.unwrap();
        let after = format!("COUNT(*) FROM {table}");
        assert_eq!(Reads::new(&cluster).all::<u32>(&mut one, &after).await, [before + 1; 4], "{end}");
    }
    // The next transaction ends one that is open, on whichever server it was.
    one.query_drop("START TRANSACTION READ ONLY").await.unwrap();
    one.query_drop(format!("SELECT * FROM {table}")).await.unwrap();
    one.query_drop("BEGIN").await.unwrap();
    one.query_drop(format!("INSERT INTO {table} VALUES (6)")).await.unwrap();
    one.query_drop("COMMIT").await.unwrap();
    let rows = cluster.primary().rows::<u32>(format!("SELECT COUNT(*) FROM guestbook.{table} WHERE n = 6"), ()).await;
    assert_eq!(rows, [1]);
    one.disconnect().await.unwrap();
    two.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn without_autocommit_every_statement_belongs_to_a_transaction(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    let count = format!("SELECT COUNT(*) FROM {table}");
    one.query_drop("SET autocommit = 0").await.unwrap();
    one.query_drop(format!("INSERT INTO {table} VALUES (4)")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(one.query_first::<u32, _>(&count).await.unwrap(), Some(4));
        assert_eq!(two.query_first::<u32, _>(&count).await.unwrap(), Some(3));
    }
    one.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(one.query_first::<u32, _>(&count).await.unwrap(), Some(3));
    // Autocommit back on commits.
    one.query_drop(format!("INSERT INTO {table} VALUES (4)")).await.unwrap();
    one.query_drop("SET autocommit = 1").await.unwrap();
    cluster.wait_for_replicas().await;
    assert_eq!(Reads::new(&cluster).all::<u32>(&mut two, &format!("COUNT(*) FROM {table}")).await, [4; 4]);
    assert_eq!(Reads::new(&cluster).all::<u32>(&mut one, &format!("COUNT(*) FROM {table}")).await, [4; 4]);
    one.disconnect().await.unwrap();
    two.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn the_next_transaction_gets_its_characteristics(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    let count = format!("SELECT COUNT(*) FROM {table}");
    one.query_drop("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
    one.query_drop("BEGIN").await.unwrap();
    let before: u32 = one.query_first(&count).await.unwrap().unwrap();
    two.query_drop(format!("INSERT INTO {table} VALUES (4)")).await.unwrap();
    assert_eq!(one.query_first::<u32, _>(&count).await.unwrap(), Some(before + 1));
    one.query_drop("COMMIT").await.unwrap();
    one.query_drop("SET TRANSACTION READ ONLY").await.unwrap();
    one.query_drop("BEGIN").await.unwrap();
    assert_error(one.query_drop(format!("INSERT INTO {table} VALUES (5)")).await, 1792);
    one.query_drop("COMMIT").await.unwrap();
    one.query_drop(format!("INSERT INTO {table} VALUES (5)")).await.unwrap();

    one.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    let variable = match cluster.engine {
        Engine::MySql => "@@transaction_isolation",
        Engine::MariaDb => "@@tx_isolation",
    };
    for _ in 0..4 {
        assert_eq!(one.query_first::<String, _>(format!("SELECT {variable}")).await.unwrap().as_deref(), Some("SERIALIZABLE"));
    }
    one.disconnect().await.unwrap();
    two.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_handler_stays_open(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("HANDLER {table} OPEN AS h")).await.unwrap();
    let mut seen = Vec::new();
    for step in ["FIRST", "NEXT", "NEXT"] {
        seen.push(client.query_first::<u32, _>(format!("HANDLER h READ {step}")).await.unwrap().unwrap());
        client.query_drop(format!("SELECT * FROM {table}")).await.unwrap();
    }
    assert_eq!(seen, [1, 2, 3]);
    client.query_drop("HANDLER h CLOSE").await.unwrap();
    assert_eq!(Reads::new(&cluster).all::<u32>(&mut client, &format!("MAX(n) FROM {table}")).await, [3; 4]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

// --- What a statement leaves behind ---

async fn last_insert_id_survives_reads(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster
        .prepare(format!("CREATE TABLE guestbook.{table} (id INT AUTO_INCREMENT PRIMARY KEY, n INT) AUTO_INCREMENT = 41"))
        .await;
    let mut client = proxy.client().await;
    client.query_drop(format!("INSERT INTO {table} (n) VALUES (1)")).await.unwrap();
    assert_eq!(client.last_insert_id(), Some(41));
    for _ in 0..4 {
        client.query_drop(format!("SELECT * FROM {table}")).await.unwrap();
        assert_eq!(client.query_first::<u64, _>("SELECT LAST_INSERT_ID()").await.unwrap(), Some(41));
        assert_eq!(client.query_first::<u64, _>("SELECT @@last_insert_id").await.unwrap(), Some(41));
    }
    let seen: Vec<u32> = client.query(format!("SELECT n FROM {table} WHERE id = LAST_INSERT_ID()")).await.unwrap();
    assert_eq!(seen, [1]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn what_is_said_about_the_previous_statement_comes_from_its_server(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    let mut answered_by = Vec::new();
    for _ in 0..4 {
        let mark = unique("warned");
        client.query_drop(format!("SELECT CAST('{mark}' AS SIGNED)")).await.unwrap();
        assert_eq!(client.get_warnings(), 1);
        let warnings: Vec<(String, u32, String)> = client.query("SHOW WARNINGS").await.unwrap();
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].1, 1292);
        assert!(warnings[0].2.contains(&mark), "{warnings:?}");
        answered_by.extend(cluster.who_ran(&mark).await);

        assert_error(client.query_drop(format!("SELECT no_such_column FROM {table}")).await, 1054);
        let errors: Vec<(String, u32, String)> = client.query("SHOW ERRORS").await.unwrap();
        assert_eq!(errors[0].1, 1054);
    }
    assert!(!answered_by.contains(&"db1"), "{answered_by:?}");
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// A server that warns of a text while it prepares it does so once, before any execution.
async fn warnings_of_what_was_prepared_are_shown(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = raw(&proxy).await;
    let (text, code) = match cluster.engine {
        Engine::MySql => ("SELECT 1 && 0", "1287"),
        // The name is also that of a native function.
        Engine::MariaDb => ("CREATE FUNCTION x() RETURNS INT RETURN 2", "1585"),
    };
    client.prepare(text).await.expect("it can be prepared");
    let rows = client.query_one("SHOW WARNINGS").await.expect_rows().rows;
    assert_eq!(rows.iter().map(|row| row[1].as_deref()).collect::<Vec<_>>(), [Some(code.as_bytes())], "{rows:?}");
    proxy.finish().await;
}

async fn found_rows_are_those_of_the_previous_read(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    for most in [1_u32, 3, 2, 3] {
        client.query_drop(format!("SELECT SQL_CALC_FOUND_ROWS n FROM {table} WHERE n <= {most} LIMIT 1")).await.unwrap();
        assert_eq!(client.query_first::<u32, _>("SELECT FOUND_ROWS()").await.unwrap(), Some(most));
        client.query_drop(format!("SELECT n FROM {table} WHERE n <= {most}")).await.unwrap();
        assert_eq!(client.query_first::<u32, _>("SELECT FOUND_ROWS()").await.unwrap(), Some(most));
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn row_count_is_that_of_the_write(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("SELECT * FROM {table}")).await.unwrap();
    client.query_drop(format!("UPDATE {table} SET n = n + 10")).await.unwrap();
    assert_eq!(client.affected_rows(), 3);
    assert_eq!(client.query_first::<i64, _>("SELECT ROW_COUNT()").await.unwrap(), Some(3));
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

// --- Prepared statements ---

async fn prepared_statements_run_on_several_servers(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    let mark = unique("p");
    let read = client.prep(format!("SELECT n, ?, ? FROM {table} WHERE n >= ? ORDER BY n")).await.unwrap();
    for turn in 0..6 {
        let rows: Vec<(i64, Option<String>, String)> = client.exec(&read, (Some(&mark), "text", 2)).await.unwrap();
        assert_eq!(rows, [(2, Some(mark.clone()), "text".to_owned()), (3, Some(mark.clone()), "text".to_owned())]);
        // Another type and a NULL for the same parameters.
        let rows: Vec<(i64, Option<String>, String)> =
            client.exec(&read, (None::<String>, format!("{mark}{turn}"), "3")).await.unwrap();
        assert_eq!(rows, [(3, None, format!("{mark}{turn}"))]);
    }
    assert_eq!(cluster.who_ran(&mark).await, [["db2"; 6], ["db3"; 6]].concat());
    let write = client.prep(format!("INSERT INTO {table} VALUES (?)")).await.unwrap();
    for turn in 0_i64..6 {
        client.exec_drop(&write, (-turn,)).await.unwrap();
        let rows: Vec<(i64, Option<String>, String)> = client.exec(&read, (Some("a"), "b", 3)).await.unwrap();
        assert_eq!(rows, [(3, Some("a".to_owned()), "b".to_owned())]);
    }
    let rows = cluster.primary().rows::<i64>(format!("SELECT n FROM guestbook.{table} WHERE n <= 0 ORDER BY n DESC"), ()).await;
    assert_eq!(rows, [0, -1, -2, -3, -4, -5]);
    client.close(read).await.unwrap();
    client.close(write).await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_statement_keeps_the_schema_that_it_was_prepared_in(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (other, table) = second_schema(&cluster).await;
    cluster.wait_for_replicas().await;
    let mut client = proxy.client().await;
    let mark = unique("schema");
    let read = client.prep(format!("SELECT place, DATABASE(), ? FROM {table}")).await.unwrap();
    client.query_drop(format!("USE {other}")).await.unwrap();
    for _ in 0..4 {
        let row: Option<(String, String, String)> = client.exec_first(&read, (&mark,)).await.unwrap();
        assert_eq!(row.map(|row| row.0).as_deref(), Some("guestbook"));
        let place: Option<String> = client.query_first(format!("SELECT place FROM {table}")).await.unwrap();
        assert_eq!(place.as_deref(), Some("other"));
    }
    assert_eq!(cluster.who_ran(&mark).await.len(), 4);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn statements_prepared_by_sql_stay(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = numbers(&cluster).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("PREPARE s FROM 'SELECT n FROM {table} WHERE n > ? ORDER BY n'")).await.unwrap();
    client.query_drop("SET @least = 1").await.unwrap();
    for _ in 0..3 {
        client.query_drop(format!("SELECT * FROM {table}")).await.unwrap();
        assert_eq!(client.query::<u32, _>("EXECUTE s USING @least").await.unwrap(), [2, 3]);
    }
    client.query_drop("DEALLOCATE PREPARE s").await.unwrap();
    assert_error(client.query_drop("EXECUTE s USING @least").await, 1243);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Drivers send the parameters' types once; another server has never seen them.
async fn parameters_are_bound_again_without_types(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mark = unique("typed");
    let mut client = raw(&proxy).await;
    let prepared = client.prepare(&format!("SELECT ?, '{mark}'")).await.unwrap();
    let id = prepared.ok.statement_id;
    let with_types = client.execute(id, &[Some("first")]).await;
    assert_eq!(text_of(with_types), "first");
    for turn in 0..5 {
        let text = format!("turn {turn}");
        let mut payload = execute_header(id);
        // One parameter, not NULL, types as before.
        payload.extend([0, 0]);
        payload.push(u8::try_from(text.len()).unwrap());
        payload.extend(text.as_bytes());
        client.send_command(&payload).await;
        assert_eq!(text_of(client.answers(true).await.unwrap()), text);
    }
    assert_eq!(cluster.who_ran(&mark).await, [["db2"; 3], ["db3"; 3]].concat());
    proxy.finish().await;
}

async fn long_data_reaches_whichever_server_executes(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = raw(&proxy).await;
    let mark = unique("long");
    let id = client.prepare(&format!("SELECT ?, ?, '{mark}'")).await.unwrap().ok.statement_id;
    for turn in 0..4 {
        for piece in ["in ", "several ", "pieces"] {
            client.send_command(&long_data(id, 1, piece.as_bytes())).await;
        }
        let mut payload = execute_header(id);
        // Neither is NULL; the types: TEXT and BLOB. The value of the second has gone ahead.
        payload.extend([0, 1, 0xfd, 0, 0xfc, 0, 1, b'a' + turn]);
        client.send_command(&payload).await;
        let rows = client.answers(true).await.unwrap().remove(0).expect_rows().rows;
        let seen: Vec<_> = rows[0].iter().flatten().map(|value| String::from_utf8_lossy(value)).collect();
        assert_eq!(seen[..2], [((b'a' + turn) as char).to_string(), "in several pieces".to_owned()]);
    }
    assert_eq!(cluster.who_ran(&mark).await, ["db2", "db2", "db3", "db3"]);

    // A reset forgets it.
    client.send_command(&long_data(id, 0, b"forgotten")).await;
    client.command(&[&[COM_STMT_RESET][..], &id.to_le_bytes()].concat()).await.expect_ok();
    let answer = client.execute(id, &[Some("kept"), None]).await.remove(0).expect_rows();
    assert_eq!(answer.rows[0][..2], [Some(b"kept".to_vec()), None]);
    proxy.finish().await;
}

async fn a_closed_statement_is_unknown(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = raw(&proxy).await;
    let one = client.prepare("SELECT 1").await.unwrap().ok.statement_id;
    let two = client.prepare("SELECT 2").await.unwrap().ok.statement_id;
    assert_ne!(one, two);
    for _ in 0..2 {
        assert_eq!(text_of(client.execute(one, &[]).await), "1");
    }
    client.send_command(&[&[COM_STMT_CLOSE][..], &one.to_le_bytes()].concat()).await;
    for _ in 0..2 {
        let error = client.execute(one, &[]).await.remove(0).expect_err();
        assert_eq!(error.code, 1243);
        assert_eq!(text_of(client.execute(two, &[]).await), "2");
    }
    let error = client.prepare("SELECT FROM WHERE").await.unwrap_err();
    assert_eq!(error.code, 1064);
    proxy.finish().await;
}

// --- Leaving nothing behind ---

/// Everything that can be set, each with a way to see it.
async fn set_everything(client: &mut RawClient, table: &str) {
    for sql in [
        "SET @a = 'mine', sql_mode = 'ANSI_QUOTES', time_zone = '+05:30'",
        "SET NAMES latin1",
        "SET group_concat_max_len = 77",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
        "CREATE TEMPORARY TABLE mine (a INT)",
        &format!("SELECT GET_LOCK('lock of {table}', 0)"),
        "PREPARE mine FROM 'SELECT 1'",
        &format!("INSERT INTO {table} (n) VALUES (1)"),
        "SET autocommit = 0",
        &format!("INSERT INTO {table} (n) VALUES (2)"),
    ] {
        let answer = client.query(sql).await.remove(0);
        assert!(!matches!(answer, Answer::Err(_)), "{sql}: {answer:?}");
    }
}

async fn assert_nothing_is_set(client: &mut RawClient, table: &str, engine: Engine) {
    let isolation = match engine {
        Engine::MySql => "@@transaction_isolation",
        Engine::MariaDb => "@@tx_isolation",
    };
    for (sql, expected) in [
        ("SELECT COALESCE(@a, 'nothing')", "nothing"),
        ("SELECT @@session.sql_mode = @@global.sql_mode", "1"),
        ("SELECT @@time_zone", "SYSTEM"),
        ("SELECT @@character_set_client", "utf8mb4"),
        ("SELECT @@session.group_concat_max_len = @@global.group_concat_max_len", "1"),
        (&format!("SELECT {isolation}"), "REPEATABLE-READ"),
        (&format!("SELECT COALESCE(IS_USED_LOCK('lock of {table}'), 'free')"), "free"),
        ("SELECT LAST_INSERT_ID()", "0"),
        ("SELECT @@autocommit", "1"),
        // What was not committed is gone.
        (&format!("SELECT COUNT(*) FROM {table}"), "1"),
    ] {
        // On all its servers, where it may run on several.
        for _ in 0..3 {
            assert_eq!(client.query_one(sql).await.expect_rows().single(), expected, "{sql}");
        }
    }
    assert_eq!(client.query_one("SELECT * FROM mine").await.expect_err().code, 1146);
    assert_eq!(client.query_one("EXECUTE mine").await.expect_err().code, 1243);
}

async fn a_reset_connection_has_nothing_of_before(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = ids(&cluster).await;
    let mut client = raw(&proxy).await;
    // Connections to the replicas as well.
    for _ in 0..2 {
        client.query_one("SELECT 1").await.expect_rows();
    }
    let prepared = client.prepare("SELECT 1").await.unwrap().ok.statement_id;
    set_everything(&mut client, &table).await;
    match client.command(&[COM_RESET_CONNECTION]).await {
        Answer::Ok { status, .. } => assert_eq!(status, StatusFlags::AUTOCOMMIT),
        other => panic!("{other:?}"),
    }
    cluster.wait_for_replicas().await;
    assert_nothing_is_set(&mut client, &table, cluster.engine).await;
    assert_eq!(client.execute(prepared, &[]).await.remove(0).expect_err().code, 1243);
    assert_eq!(client.query_one("SELECT DATABASE()").await.expect_rows().single(), SCHEMA, "the schema stays");
    proxy.finish().await;
}

async fn a_pooled_connection_carries_nothing_over(cluster: Arc<Cluster>) {
    // One worker: its next session gets the connections of its last one.
    let proxy = Start::before(&cluster).config("listen.threads = 1").start().await;
    let table = ids(&cluster).await;
    let mut one = raw(&proxy).await;
    for _ in 0..2 {
        one.query_one("SELECT 1").await.expect_rows();
    }
    set_everything(&mut one, &table).await;
    let id = one.query_one("SELECT CONNECTION_ID() + 0").await.expect_rows().single();
    // It disconnects without `COM_QUIT`, in the middle of a transaction.
    drop(one);

    cluster.wait_for_replicas().await;
    let is_free = format!("SELECT IS_FREE_LOCK('lock of {table}')");
    eventually("the reset of its connection", async || (cluster.primary().rows::<u8>(&*is_free, ()).await == [1]).then_some(()))
        .await;
    let mut two = raw(&proxy).await;
    assert_eq!(two.query_one("SELECT CONNECTION_ID() + 0").await.expect_rows().single(), id, "not the same server connection");
    assert_nothing_is_set(&mut two, &table, cluster.engine).await;

    // A session without a schema does not inherit one either.
    drop(two);
    let mut three = RawClient::login(proxy.address, &LoginAs { schema: None, ..app() }).await.unwrap();
    for _ in 0..3 {
        assert_eq!(three.query_one("SELECT COALESCE(DATABASE(), 'none')").await.expect_rows().single(), "none");
    }
    assert_eq!(three.query_one(&format!("SELECT * FROM {table}")).await.expect_err().code, 1046);
    proxy.finish().await;
}

/// The text does not show what a procedure does; the server tells that it did something.
async fn a_procedure_that_changes_the_session_is_noticed(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let name = unique("p");
    cluster
        .prepare(format!(
            "CREATE PROCEDURE guestbook.{name} () BEGIN SET time_zone = '+07:00'; CREATE TEMPORARY TABLE {name}_t (a INT); END"
        ))
        .await;
    let mut client = proxy.client().await;
    assert_eq!(Reads::new(&cluster).all::<String>(&mut client, "@@time_zone").await, ["SYSTEM"; 4]);
    client.query_drop(format!("CALL {name}()")).await.unwrap();
    for _ in 0..4 {
        assert_eq!(client.query_first::<String, _>("SELECT @@time_zone").await.unwrap().as_deref(), Some("+07:00"));
        assert_eq!(client.query_first::<u32, _>(format!("SELECT COUNT(*) FROM {name}_t")).await.unwrap(), Some(0));
    }
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_session_s_own_wait_timeout_is_kept(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let (mut short, mut long) = (raw(&proxy).await, raw(&proxy).await);
    short.query_one("SET SESSION wait_timeout = 1").await.expect_ok();
    let last_words = async { while !short.read_bytes(1024).await.is_empty() {} };
    e2e::promptly("the end of an idle session", last_words).await;
    assert_eq!(long.query_one("SELECT 1").await.expect_rows().single(), "1");
    proxy.finish().await;
}

async fn a_shown_profile_has_the_client_s_statements_only(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = raw(&proxy).await;
    for sql in ["SET profiling = 1", "SET time_zone = '+01:00'"] {
        client.query_one(sql).await.expect_ok();
    }
    client.query_one("SELECT 'profiled'").await.expect_rows();
    let profiles = client.query_one("SHOW PROFILES").await.expect_rows().rows;
    let texts: Vec<_> =
        profiles.iter().map(|row| String::from_utf8_lossy(row[2].as_deref().unwrap_or_default()).into_owned()).collect();
    assert_eq!(texts, ["SET time_zone = '+01:00'", "SELECT 'profiled'"]);
    proxy.finish().await;
}

// --- Helpers ---

/// Reads that must be answered by both replicas, or they prove nothing.
struct Reads<'c> {
    cluster: &'c Cluster,
}

impl<'c> Reads<'c> {
    fn new(cluster: &'c Cluster) -> Self {
        Self { cluster }
    }

    /// Four answers to `SELECT what`, of both replicas. What the primary answers before, until the replicas have what the session
    /// has written, must be the same.
    async fn all<T: FromRow + PartialEq + Debug + Send + 'static>(&self, client: &mut Conn, what: &str) -> Vec<T> {
        let mut first: Option<Vec<T>> = None;
        eventually(&format!("answers of both replicas to SELECT {what}"), async || {
            let mark = unique("read");
            let sql = match what.split_once(" FROM ") {
                Some((values, from)) => format!("SELECT {values} FROM {from} HAVING '{mark}' <> ''"),
                None => format!("SELECT {what} FROM (SELECT '{mark}') AS d"),
            };
            let mut answers = Vec::new();
            for _ in 0..4 {
                let answer = client.query_first(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
                answers.push(answer.expect("a row"));
            }
            match &first {
                Some(first) => assert_eq!(first, &answers, "{sql}"),
                None => first = Some(answers),
            }
            (self.cluster.who_ran(&mark).await == ["db2", "db2", "db3", "db3"]).then_some(())
        })
        .await;
        first.expect("it was just seen")
    }
}

/// A second schema besides the application's, and a table that both have.
async fn second_schema(cluster: &Cluster) -> (String, String) {
    let (schema, table) = (unique("other"), unique("t"));
    let fill = |schema: &str, place| {
        format!("CREATE TABLE {schema}.{table} (place VARCHAR(20)); INSERT INTO {schema}.{table} VALUES ('{place}');")
    };
    let (here, there) = (fill(SCHEMA, SCHEMA), fill(&schema, "other"));
    cluster.prepare(format!("CREATE DATABASE {schema}; GRANT ALL ON {schema}.* TO {APP}@'%'; {here} {there}")).await;
    (schema, table)
}

/// A table with the numbers 1 to 3.
async fn numbers(cluster: &Cluster) -> String {
    let table = unique("numbers");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (n INT); INSERT INTO guestbook.{table} VALUES (1), (2), (3)")).await;
    table
}

/// An empty table that numbers its rows.
async fn ids(cluster: &Cluster) -> String {
    let table = unique("ids");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (id INT AUTO_INCREMENT PRIMARY KEY, n INT)")).await;
    table
}

fn app() -> LoginAs {
    LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(APP, APP) }
}

async fn raw(proxy: &Proxy) -> RawClient {
    RawClient::login(proxy.address, &app()).await.expect("the application can log in")
}

fn execute_header(id: u32) -> Vec<u8> {
    let mut payload = vec![COM_STMT_EXECUTE];
    payload.extend(id.to_le_bytes());
    // No cursor, one iteration.
    payload.extend([0, 1, 0, 0, 0]);
    payload
}

fn long_data(id: u32, parameter: u16, data: &[u8]) -> Vec<u8> {
    [&[COM_STMT_SEND_LONG_DATA][..], &id.to_le_bytes(), &parameter.to_le_bytes(), data].concat()
}

/// The first value of the only result.
#[track_caller]
fn text_of(mut answers: Vec<Answer>) -> String {
    let rows = answers.remove(0).expect_rows();
    String::from_utf8(rows.rows[0][0].clone().expect("a value")).unwrap()
}

#[track_caller]
fn assert_error(outcome: Result<(), Error>, code: u16) {
    match outcome {
        Err(Error::Server(error)) if error.code == code => {}
        other => panic!("not error {code}: {other:?}"),
    }
}
