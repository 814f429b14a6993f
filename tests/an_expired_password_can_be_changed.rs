//! A client whose password has expired can change it, as far as the servers let it, and then goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, clients, unique};
use testkit::raw::USUAL;
use testkit::{Answer, LoginAs, RawClient};
use wire::Capabilities;
use wire::command::COM_RESET_CONNECTION;

e2e::suite! {
    Together: [
        a_client_that_knows_how_changes_its_expired_password,
        a_client_that_does_not_know_how_gets_what_the_servers_say,
        a_password_that_only_the_servers_know_is_changed,
        a_lost_connection_takes_nothing_away_before_the_change,
    ],
}

const MUST_CHANGE: u16 = 1820;
const MUST_CHANGE_AT_LOGIN: u16 = 1862;

/// An account whose password, its name, has expired on all servers.
async fn expired(cluster: &Cluster) -> String {
    let user = unique("late");
    let create = format!("CREATE USER {user}@'%' IDENTIFIED BY '{user}'; GRANT ALL ON {SCHEMA}.* TO {user}@'%'");
    cluster.prepare(format!("{create}; ALTER USER {user}@'%' PASSWORD EXPIRE")).await;
    user
}

async fn knowing(cluster: &Cluster, user: &str) -> Proxy {
    let users = format!("users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{user}', password = '{user}' }}]");
    Start::before(cluster).config(&users).start().await
}

fn login(user: &str, password: &str, more: Capabilities) -> LoginAs {
    LoginAs { capabilities: USUAL | more, schema: Some(SCHEMA.to_owned()), ..LoginAs::new(user, password) }
}

fn knows_how(user: &str) -> LoginAs {
    login(user, user, Capabilities::CAN_HANDLE_EXPIRED_PASSWORDS)
}

fn change_sql(cluster: &Cluster, password: &str) -> String {
    match cluster.engine {
        Engine::MySql => format!("ALTER USER USER() IDENTIFIED BY '{password}'"),
        Engine::MariaDb => format!("SET PASSWORD = PASSWORD('{password}')"),
    }
}

async fn refused(client: &mut RawClient, sql: &str) -> u16 {
    client.query_one(sql).await.expect_err().code
}

async fn single(client: &mut RawClient, sql: &str) -> String {
    client.query_one(sql).await.expect_rows().single()
}

async fn a_client_that_knows_how_changes_its_expired_password(cluster: Arc<Cluster>) {
    let user = expired(&cluster).await;
    let proxy = knowing(&cluster, &user).await;
    let mut client = RawClient::login(proxy.address, &knows_how(&user)).await.unwrap();
    for sql in ["SELECT 1", "SELECT COUNT(*) FROM information_schema.tables", "BEGIN", "USE mysql", "SHOW WARNINGS"] {
        assert_eq!(refused(&mut client, sql).await, MUST_CHANGE, "{sql}");
    }
    assert_eq!(client.command(&[COM_RESET_CONNECTION]).await.expect_err().code, MUST_CHANGE);
    client.command(b"\x0e").await.expect_ok();
    client.query_one(&change_sql(&cluster, "new")).await.expect_ok();

    // It goes on, on this connection alone.
    let primary = cluster.primary().rows::<u32>("SELECT @@server_id", ()).await[0].to_string();
    assert_eq!(single(&mut client, "SELECT DATABASE()").await, SCHEMA);
    let table = unique("t");
    client.query_one(&format!("CREATE TABLE {table} (a INT)")).await.expect_ok();
    client.query_one("SET @a = 1").await.expect_ok();
    client.query_one(&format!("INSERT INTO {table} VALUES (@a)")).await.expect_ok();
    cluster.wait_for_replicas().await;
    for _ in 0..4 {
        assert_eq!(single(&mut client, &format!("SELECT @@server_id FROM {table}")).await, primary);
    }
    client.command(&[COM_RESET_CONNECTION]).await.expect_ok();
    assert_eq!(single(&mut client, &format!("SELECT @@server_id FROM {table}")).await, primary);

    // The configuration has the old password, and the servers have the new one.
    for password in [user.as_str(), "new"] {
        let refused = RawClient::login(proxy.address, &login(&user, password, Capabilities::empty())).await.unwrap_err();
        assert_eq!(refused.code, 1045, "{password}");
    }
    proxy.finish_with(&["a user has changed its expired password"]).await;
}

/// MySQL refuses the login. MariaDB lets everybody in, if `disconnect_on_expired_password` is off, as it is unless somebody turns it on.
async fn a_client_that_does_not_know_how_gets_what_the_servers_say(cluster: Arc<Cluster>) {
    let user = expired(&cluster).await;
    let proxy = knowing(&cluster, &user).await;
    for schema in [None, Some(SCHEMA.to_owned())] {
        let login = LoginAs { schema, ..login(&user, &user, Capabilities::empty()) };
        let outcome = RawClient::login(proxy.address, &login).await;
        match cluster.engine {
            Engine::MySql => assert_eq!(outcome.unwrap_err().code, MUST_CHANGE_AT_LOGIN),
            Engine::MariaDb => assert_eq!(refused(&mut outcome.unwrap(), "SELECT 1").await, MUST_CHANGE),
        }
    }
    // An account like any other again.
    cluster.prepare(format!("ALTER USER {user}@'%' IDENTIFIED BY '{user}'")).await;
    let mut client = RawClient::login(proxy.address, &login(&user, &user, Capabilities::empty())).await.unwrap();
    assert_eq!(single(&mut client, "SELECT 1").await, "1");
    proxy.finish().await;
}

async fn a_password_that_only_the_servers_know_is_changed(cluster: Arc<Cluster>) {
    let user = expired(&cluster).await;
    let passthrough = "security = { auth = 'passthrough', public_key_retrieval = true }";
    let proxy = Start::before(&cluster).config(passthrough).start().await;
    let run = async |password: &str, script: &str| {
        let arguments = [format!("--user={user}"), format!("--password={password}"), "--connect-expired-password".to_owned()];
        let arguments = arguments.each_ref().map(String::as_str);
        clients::command_line_at(proxy.address, cluster.engine, &arguments, script).await
    };
    let script = format!("{}; SELECT DATABASE();", change_sql(&cluster, "new"));
    let said = run(&user, &script).await;
    assert_eq!(said.output(), format!("DATABASE()\n{SCHEMA}\n"), "{}", said.errors());
    let said = run("new", "SELECT 'in'").await;
    assert_eq!(said.output(), "in\nin\n", "{}", said.errors());
    let said = run(&user, "SELECT 'in'").await;
    assert!(said.errors().contains("ERROR 1045"), "{}", said.errors());
    proxy.finish().await;
}

async fn a_lost_connection_takes_nothing_away_before_the_change(cluster: Arc<Cluster>) {
    let user = expired(&cluster).await;
    let proxy = knowing(&cluster, &user).await;
    let mut client = RawClient::login(proxy.address, &knows_how(&user)).await.unwrap();
    assert_eq!(refused(&mut client, "SELECT 1").await, MUST_CHANGE);
    let ids = format!("SELECT id FROM information_schema.processlist WHERE user = '{user}'");
    for id in cluster.primary().rows::<u64>(ids, ()).await {
        cluster.primary().close_connection(id).await;
    }
    client.query_one(&change_sql(&cluster, "new")).await.expect_ok();
    let Answer::Rows(rows) = client.query_one("SELECT 1").await else { panic!("no rows") };
    assert_eq!(rows.single(), "1");
    proxy.finish_with(&["a user has changed its expired password"]).await;
}
