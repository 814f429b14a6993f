//! A session begins as on a new server connection, whichever session used its connections before, and with the present state of its account.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::BTreeMap;
use std::sync::Arc;

use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, eventually, unique};
use testkit::raw::USUAL;
use testkit::{LoginAs, RawClient};
use wire::{Capabilities, ErrOwned};

e2e::suite! {
    Together: [
        a_role_ends_with_its_session,
        a_new_default_role_counts_from_the_next_session_on,
        a_revoked_role_is_gone_with_the_next_session,
        a_default_role_that_was_taken_away_is_gone_with_the_next_session,
        a_changed_password_is_noticed_at_the_next_login,
        a_dropped_account_gets_in_no_more,
        an_account_that_was_dropped_since_its_last_login_runs_nothing,
        a_missing_schema_is_reported_at_the_login,
        a_login_into_a_missing_schema_takes_no_connection_but_its_own,
        a_login_begins_in_its_own_schema,
        every_collation_of_a_login_works_on_new_and_used_connections,
        every_variable_is_as_on_a_new_connection,
        the_greeting_is_the_servers,
        connection_attributes_are_passed_on,
    ],
    Alone: [
        a_new_session_has_the_servers_defaults_of_now,
        a_server_with_init_connect_runs_it_for_every_session,
        without_autocommit_as_the_servers_default_reads_still_run_on_replicas,
    ],
}

/// A proxy with one worker, so that a session gets the connection that the one before it has left, and one more account.
struct Guest {
    proxy: Proxy,
    user: String,
}

impl Guest {
    /// Its logins are judged by a server, each of them.
    async fn start(cluster: &Cluster) -> Self {
        Self::accepted_for(cluster, "0s").await
    }

    /// Its logins are judged by a server after this time.
    async fn accepted_for(cluster: &Cluster, time: &str) -> Self {
        let user = unique("guest");
        cluster
            .prepare(format!("CREATE USER {user}@'%' IDENTIFIED BY '{user}'; GRANT SELECT, INSERT ON {SCHEMA}.* TO {user}@'%'"))
            .await;
        let config = format!(
            "listen.threads = 1
            timeouts.accepted_login = '{time}'
            users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{user}', password = '{user}' }}]"
        );
        let proxy = Start::before(cluster).config(&config).start().await;
        Self { proxy, user }
    }

    fn login(&self) -> LoginAs {
        LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(&self.user, &self.user) }
    }

    async fn session(&self) -> RawClient {
        RawClient::login(self.proxy.address, &self.login()).await.expect("the account can log in")
    }

    async fn refused(&self) -> ErrOwned {
        RawClient::login(self.proxy.address, &self.login()).await.expect_err("the account is refused")
    }

    /// Ends a session, and waits until its connection to the primary waits for the next one.
    async fn end(&self, cluster: &Cluster, mut session: RawClient) {
        let mark = unique("end");
        session.query_one(&format!("DO GET_LOCK('{mark}', 0)")).await.expect_ok();
        drop(session);
        let is_free = format!("SELECT IS_FREE_LOCK('{mark}')");
        eventually("the end of a session", async || (cluster.primary().rows::<u8>(&*is_free, ()).await == [1]).then_some(()))
            .await;
    }
}

/// The server's number of the session's connection to the primary.
async fn connection(session: &mut RawClient) -> String {
    session.query_one("SELECT CONNECTION_ID() + 0").await.expect_rows().single()
}

async fn role(session: &mut RawClient) -> String {
    session.query_one("SELECT COALESCE(CURRENT_ROLE(), 'NONE') INTO @role").await.expect_ok();
    session.query_one("SELECT @role").await.expect_rows().single()
}

async fn a_role_ends_with_its_session(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    let name = unique("role");
    cluster.prepare(format!("CREATE ROLE {name}; GRANT {name} TO {}@'%'", guest.user)).await;
    let mut first = guest.session().await;
    first.query_one(&format!("SET ROLE {name}")).await.expect_ok();
    assert_ne!(role(&mut first).await, "NONE");
    let before = connection(&mut first).await;
    guest.end(&cluster, first).await;
    let mut second = guest.session().await;
    assert_eq!(connection(&mut second).await, before, "it proves nothing on another connection");
    assert_eq!(role(&mut second).await, "NONE");
    guest.proxy.finish().await;
}

async fn a_new_default_role_counts_from_the_next_session_on(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    let (name, user) = (unique("role"), &guest.user);
    cluster.prepare(format!("CREATE ROLE {name}; GRANT {name} TO {user}@'%'")).await;
    let mut first = guest.session().await;
    assert_eq!(role(&mut first).await, "NONE");
    guest.end(&cluster, first).await;
    let default = |role: &str| match cluster.engine {
        Engine::MySql => format!("SET DEFAULT ROLE {role} TO {user}@'%'"),
        Engine::MariaDb => format!("SET DEFAULT ROLE {role} FOR {user}@'%'"),
    };
    cluster.prepare(default(&name)).await;
    let mut second = guest.session().await;
    assert!(role(&mut second).await.contains(&name));
    guest.end(&cluster, second).await;
    cluster.prepare(default("NONE")).await;
    let mut third = guest.session().await;
    assert_eq!(role(&mut third).await, "NONE");
    guest.proxy.finish().await;
}

async fn a_revoked_role_is_gone_with_the_next_session(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    let (name, user, table) = (unique("role"), &guest.user, unique("t"));
    cluster
        .prepare(format!(
            "CREATE TABLE {SCHEMA}.{table} (a INT); CREATE ROLE {name}; GRANT DELETE ON {SCHEMA}.{table} TO {name}; GRANT {name} TO {user}@'%'"
        ))
        .await;
    let mut first = guest.session().await;
    first.query_one(&format!("SET ROLE {name}")).await.expect_ok();
    first.query_one(&format!("DELETE FROM {table}")).await.expect_ok();
    guest.end(&cluster, first).await;
    cluster.prepare(format!("REVOKE {name} FROM {user}@'%'")).await;
    let mut second = guest.session().await;
    assert_eq!(second.query_one(&format!("DELETE FROM {table}")).await.expect_err().code, 1142);
    guest.proxy.finish().await;
}

async fn a_default_role_that_was_taken_away_is_gone_with_the_next_session(cluster: Arc<Cluster>) {
    let of = if cluster.engine == Engine::MySql { "TO" } else { "FOR" };
    for is_revoked in [false, true] {
        let guest = Guest::start(&cluster).await;
        let (name, user, table) = (unique("role"), &guest.user, unique("t"));
        cluster
            .prepare(format!(
                "CREATE TABLE {SCHEMA}.{table} (a INT); CREATE ROLE {name}; GRANT DELETE ON {SCHEMA}.{table} TO {name};
                GRANT {name} TO {user}@'%'; SET DEFAULT ROLE {name} {of} {user}@'%'"
            ))
            .await;
        let delete = format!("DELETE FROM {table}");
        let mut first = guest.session().await;
        // From here on its connection is anybody's.
        first.query_one(&delete).await.expect_ok();
        let connections = format!("SELECT id FROM information_schema.processlist WHERE user = '{user}'");
        let before = cluster.primary().rows::<u64>(&*connections, ()).await;
        let take_away =
            if is_revoked { format!("REVOKE {name} FROM {user}@'%'") } else { format!("SET DEFAULT ROLE NONE {of} {user}@'%'") };
        cluster.prepare(take_away).await;
        let mut second = guest.session().await;
        let now = cluster.primary().rows::<u64>(&*connections, ()).await;
        assert_eq!(now, before, "it proves nothing on another connection");
        assert_eq!(second.query_one(&delete).await.expect_err().code, 1142, "revoked: {is_revoked}");
        guest.proxy.finish().await;
    }
}

async fn a_changed_password_is_noticed_at_the_next_login(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    let first = guest.session().await;
    guest.end(&cluster, first).await;
    cluster.prepare(format!("ALTER USER {}@'%' IDENTIFIED BY 'another'", guest.user)).await;
    assert_eq!(guest.refused().await.code, 1045);
    cluster.prepare(format!("ALTER USER {}@'%' IDENTIFIED BY '{}'", guest.user, guest.user)).await;
    assert_eq!(guest.session().await.query_one("SELECT 1").await.expect_rows().single(), "1");
    guest.proxy.finish().await;
}

async fn a_dropped_account_gets_in_no_more(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    let mut first = guest.session().await;
    for _ in 0..4 {
        first.query_one("SELECT 1").await.expect_rows();
    }
    guest.end(&cluster, first).await;
    cluster.prepare(format!("DROP USER {}@'%'", guest.user)).await;
    // ER_ACCESS_DENIED_ERROR, or what MariaDB says instead at random, so that it does not reveal which accounts exist.
    assert!(matches!(guest.refused().await.code, 1045 | 1698));
    guest.proxy.finish().await;
}

async fn an_account_that_was_dropped_since_its_last_login_runs_nothing(cluster: Arc<Cluster>) {
    let guest = Guest::accepted_for(&cluster, "1h").await;
    let first = guest.session().await;
    guest.end(&cluster, first).await;
    cluster.prepare(format!("DROP USER {}@'%'", guest.user)).await;
    for sql in ["SELECT 1 FROM t", "DO 1"] {
        let told = guest.session().await.query_one(sql).await.expect_err();
        assert!(matches!(told.code, 1045 | 1698), "{told:?}");
        // It is asked for again from then on.
        assert!(matches!(guest.refused().await.code, 1045 | 1698));
        cluster
            .prepare(format!("CREATE USER {0}@'%' IDENTIFIED BY '{0}'; GRANT SELECT ON {SCHEMA}.* TO {0}@'%'", guest.user))
            .await;
        guest.session().await;
        cluster.prepare(format!("DROP USER {}@'%'", guest.user)).await;
    }
    guest.proxy.finish_with(&["no connection for a statement"]).await;
}

async fn a_missing_schema_is_reported_at_the_login(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    // With a line break, which must not begin a line of the log.
    for schema in ["no_such_schema", "no_such\n2026-11-25T00:00:00Z ERROR forged"] {
        let login = LoginAs { schema: Some(schema.to_owned()), ..guest.login() };
        let told = RawClient::login(guest.proxy.address, &login).await.expect_err("there is none");
        // ER_BAD_DB_ERROR, or ER_DBACCESS_DENIED_ERROR where the account must not know.
        assert!(matches!(told.code, 1049 | 1044), "{told:?}");
    }
    guest.proxy.finish().await;
}

async fn a_login_into_a_missing_schema_takes_no_connection_but_its_own(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    // At once, so that each has a connection to the primary.
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let mut session = guest.session().await;
        connection(&mut session).await;
        sessions.push(session);
    }
    for session in sessions {
        guest.end(&cluster, session).await;
    }
    let missing = LoginAs { schema: Some("no_such_schema".to_owned()), ..guest.login() };
    let told = RawClient::login(guest.proxy.address, &missing).await.expect_err("there is none");
    assert!(matches!(told.code, 1049 | 1044), "{told:?}");
    let count = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{}'", guest.user);
    eventually("two of three connections", async || (cluster.primary().rows::<u8>(&*count, ()).await == [2]).then_some(())).await;
    guest.proxy.finish().await;
}

async fn a_login_begins_in_its_own_schema(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    let first = guest.session().await;
    guest.end(&cluster, first).await;
    for schema in [None, Some(SCHEMA), Some("information_schema"), None] {
        let login = LoginAs { schema: schema.map(str::to_owned), ..guest.login() };
        let mut session = RawClient::login(guest.proxy.address, &login).await.unwrap();
        let sql = "SELECT COALESCE(DATABASE(), 'none'), @@session_track_state_change + 0";
        let answer = session.query_one(sql).await.expect_rows().rows;
        assert_eq!(answer, [[Some(schema.unwrap_or("none").into()), Some(b"1".to_vec())]], "{schema:?}");
        guest.end(&cluster, session).await;
    }
    guest.proxy.finish().await;
}

async fn every_collation_of_a_login_works_on_new_and_used_connections(cluster: Arc<Cluster>) {
    const SHOWN: &str = "SELECT CONCAT_WS(' ', @@character_set_client, @@character_set_connection, @@character_set_results, \
        @@collation_connection, @@character_set_database, @@collation_database, @@character_set_server, @@collation_server) INTO @shown";
    let guest = Guest::start(&cluster).await;
    // So that the server knows the password, and the direct logins need no key.
    drop(guest.session().await);
    let shown = async |address, collation| {
        let login = LoginAs { collation, ..guest.login() };
        let mut session = RawClient::login(address, &login).await.map_err(|error| error.code)?;
        session.query_one(SHOWN).await.expect_ok();
        Ok::<_, u16>(session.query_one("SELECT @shown").await.expect_rows().rows)
    };
    let mut accepted = 0;
    for collation in 0..=255 {
        let direct = shown(cluster.primary().address(), collation).await;
        accepted += u32::from(direct.is_ok());
        // Two sessions: the second one, at the latest, has a connection that is not new.
        for turn in 0..2 {
            assert_eq!(shown(guest.proxy.address, collation).await, direct, "collation {collation}, session {turn}");
        }
    }
    assert!(accepted > 150, "{accepted}");
    guest.proxy.finish().await;
}

/// All session variables, but those that are about the connection or the moment.
async fn variables(session: &mut RawClient) -> BTreeMap<String, String> {
    // On the primary, as the connection that is compared.
    session.query_one("SET @here = 1").await.expect_ok();
    let rows = session.query_one("/* pointsman: primary */ SHOW SESSION VARIABLES").await.expect_rows();
    let text = |value: &Option<Vec<u8>>| String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
    let own = [
        "timestamp",
        "pseudo_thread_id",
        "statement_id",
        "last_gtid",
        "session_track_state_change",
        "session_track_gtids",
        "session_track_system_variables",
    ];
    let moving = |name: &str| own.contains(&name) || name.starts_with("gtid_") || name.starts_with("rand_seed");
    rows.rows.iter().map(|row| (text(&row[0]), text(&row[1]))).filter(|(name, _)| !moving(name)).collect()
}

/// For all that a login can ask for, and all that the session before has set.
async fn every_variable_is_as_on_a_new_connection(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    drop(guest.session().await);
    let flags = [
        Capabilities::empty(),
        Capabilities::IGNORE_SPACE,
        Capabilities::INTERACTIVE,
        Capabilities::FOUND_ROWS,
        Capabilities::MULTI_STATEMENTS,
    ];
    for flag in flags {
        let login = LoginAs { capabilities: (USUAL - Capabilities::MULTI_STATEMENTS) | flag, ..guest.login() };
        let mut direct = RawClient::login(cluster.primary().address(), &login).await.expect("a direct login");
        let expected = variables(&mut direct).await;
        for _ in 0..2 {
            let mut session = RawClient::login(guest.proxy.address, &login).await.expect("a login");
            assert_eq!(variables(&mut session).await, expected, "{flag:?}");
            for set in [
                "SET sql_mode = '', time_zone = '+01:00', wait_timeout = 77, autocommit = 0",
                "SET NAMES latin1",
                "SET character_set_results = NULL",
                "SET @a = 1",
            ] {
                session.query_one(set).await.expect_ok();
            }
            guest.end(&cluster, session).await;
        }
    }
    guest.proxy.finish().await;
}

/// Drivers choose a character set, and their dialect, by it.
async fn the_greeting_is_the_servers(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let here = RawClient::connect(proxy.address).await.unwrap().greeting;
    let there = RawClient::connect(cluster.primary().address()).await.unwrap().greeting;
    let seen = |greeting: &wire::Greeting| {
        (String::from_utf8_lossy(&greeting.server_version).into_owned(), greeting.charset, greeting.status)
    };
    assert_eq!(seen(&here), seen(&there));
    proxy.finish().await;
}

async fn connection_attributes_are_passed_on(cluster: Arc<Cluster>) {
    if cluster.engine == Engine::MariaDb {
        // Its performance schema, which would show them, is off by default; the packet is the same.
        return;
    }
    let guest = Guest::start(&cluster).await;
    let (address, user) = (guest.proxy.address, guest.user.clone());
    let mut session = e2e::mysql_async::Conn::new(
        e2e::mysql_async::OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(Some(user.clone()))
            .pass(Some(user.clone()))
            .connect_attribute("program_name", "the test")
            .prefer_socket(false),
    )
    .await
    .unwrap();
    e2e::mysql_async::prelude::Queryable::query_drop(&mut session, "DO 1").await.unwrap();
    let sql = "SELECT COUNT(*) FROM performance_schema.session_connect_attrs a JOIN performance_schema.threads t \
         ON t.processlist_id = a.processlist_id WHERE t.processlist_user = ? AND a.attr_name = 'program_name' AND a.attr_value = 'the test'";
    let found = cluster.primary().rows::<u32>(sql, (user,)).await;
    assert!(found[0] >= 1, "{found:?}");
    session.disconnect().await.unwrap();
    guest.proxy.finish().await;
}

async fn a_new_session_has_the_servers_defaults_of_now(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    let first = guest.session().await;
    guest.end(&cluster, first).await;
    let primary = cluster.primary();
    let old = primary.rows::<(String, u32)>("SELECT @@global.sql_mode, @@global.wait_timeout", ()).await.remove(0);
    primary.run("SET GLOBAL sql_mode = 'ANSI_QUOTES', GLOBAL wait_timeout = 1234").await;
    let mut second = guest.session().await;
    second.query_one("SELECT CONCAT(@@sql_mode, ' ', @@wait_timeout) INTO @now").await.expect_ok();
    let now = second.query_one("SELECT @now").await.expect_rows().single();
    primary.run(format!("SET GLOBAL sql_mode = '{}', GLOBAL wait_timeout = {}", old.0, old.1)).await;
    assert_eq!(now, "ANSI_QUOTES 1234");
    guest.proxy.finish().await;
}

async fn a_server_with_init_connect_runs_it_for_every_session(cluster: Arc<Cluster>) {
    let guest = Guest::start(&cluster).await;
    let primary = cluster.primary();
    primary.run("SET GLOBAL init_connect = 'SET @greeted = 1'").await;
    let greeted = async || {
        let mut session = guest.session().await;
        session.query_one("SET @other = 1").await.expect_ok();
        session.query_one("SELECT COALESCE(@greeted, 0)").await.expect_rows().single()
    };
    // As soon as the monitor has seen it, that is.
    eventually("sessions that all have been greeted", async || {
        for _ in 0..8 {
            if greeted().await != "1" {
                return None;
            }
        }
        Some(())
    })
    .await;
    primary.run("SET GLOBAL init_connect = ''").await;
    guest.proxy.finish().await;
}

async fn without_autocommit_as_the_servers_default_reads_still_run_on_replicas(cluster: Arc<Cluster>) {
    for server in &cluster.servers {
        server.run("SET GLOBAL autocommit = 0").await;
    }
    let outcome = {
        let proxy = Start::before(&cluster).at_once().start().await;
        let login = LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(APP, APP) };
        let mut session = RawClient::login(proxy.address, &login).await.unwrap();
        // Every statement belongs to a transaction, as without a proxy.
        let first = session.query_one("SELECT @@autocommit").await.expect_rows().single();
        session.query_one("SET autocommit = 1").await.expect_ok();
        let mut servers = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let mark = unique("read");
            session.query_one(&format!("SELECT '{mark}'")).await.expect_rows();
            servers.extend(cluster.who_ran(&mark).await.into_iter().map(str::to_owned));
        }
        let open = format!(
            "SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
             ON p.id = t.trx_mysql_thread_id WHERE p.user = '{APP}'"
        );
        let mut transactions = Vec::new();
        for replica in cluster.replicas() {
            transactions.extend(replica.rows::<u32>(&*open, ()).await);
        }
        proxy.finish().await;
        (first, servers, transactions)
    };
    for server in &cluster.servers {
        server.run("SET GLOBAL autocommit = 1").await;
    }
    let (first, servers, transactions) = outcome;
    assert_eq!(first, "0");
    assert!(servers.contains("db2") && servers.contains("db3"), "{servers:?}");
    assert_eq!(transactions, [0, 0]);
}
