//! The drivers that applications really use, each with a script of `tests/clients` that exercises what it can do: every type, text and prepared
//! statements, large rows, several results, transactions, errors, files, TLS. `tests/clients/README.md` says which, and what else they were tried with.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Row};
use e2e::{APP, Cluster, Engine, Proxy, clients, eventually, unique};

e2e::suite! {
    Together: [
        php_mysqli,
        php_pdo,
        perl_dbd_mysql,
        perl_dbd_mariadb,
        ruby_mysql2,
        node_mysql,
        go_sql_driver,
        mariadb_connector_j,
        python_mysqlclient,
        aiomysql,
        asyncmy,
        sqlalchemy,
        sqlalchemy_asynchronously,
        django,
        django_of_debian,
        what_mysqldump_saves_can_be_loaded,
        what_mariadb_dump_saves_can_be_loaded,
        what_drivers_say_first_pins_nothing,
    ],
}

const CLIENTS: &str = "pointsman-clients:1";

async fn php_mysqli(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["php", "-d", "mysqli.allow_local_infile=1", "mysqli_client.php"], &[]).await;
}

async fn php_pdo(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["php", "pdo_client.php"], &[]).await;
}

async fn perl_dbd_mysql(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["perl", "dbi_client.pl"], &["mysql"]).await;
}

async fn perl_dbd_mariadb(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["perl", "dbi_client.pl"], &["MariaDB"]).await;
}

async fn ruby_mysql2(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["ruby", "mysql2_client.rb"], &[]).await;
}

async fn node_mysql(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["node", "node_client.js"], &[]).await;
}

async fn go_sql_driver(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["go", "run", "go_client.go"], &[]).await;
}

async fn mariadb_connector_j(cluster: Arc<Cluster>) {
    let command = ["java", "-cp", "/usr/share/java/mariadb-java-client.jar", "MariadbClient.java"];
    in_clients(&cluster, &command, &[]).await;
}

async fn python_mysqlclient(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["python3", "mysqldb_client.py"], &[]).await;
}

async fn django_of_debian(cluster: Arc<Cluster>) {
    in_clients(&cluster, &["python3", "django_client.py"], &[]).await;
}

async fn aiomysql(cluster: Arc<Cluster>) {
    in_venv(&cluster, "async_client.py", &["aiomysql"]).await;
}

async fn asyncmy(cluster: Arc<Cluster>) {
    in_venv(&cluster, "async_client.py", &["asyncmy"]).await;
}

async fn sqlalchemy(cluster: Arc<Cluster>) {
    in_venv(&cluster, "sqlalchemy_client.py", &["pymysql"]).await;
    in_venv(&cluster, "sqlalchemy_client.py", &["mysqlconnector"]).await;
}

async fn sqlalchemy_asynchronously(cluster: Arc<Cluster>) {
    in_venv(&cluster, "sqlalchemy_client.py", &["asyncmy"]).await;
}

async fn django(cluster: Arc<Cluster>) {
    in_venv(&cluster, "django_client.py", &[]).await;
}

async fn what_mysqldump_saves_can_be_loaded(cluster: Arc<Cluster>) {
    save_and_load(&cluster, &mysql_image(), &["mysqldump", "mysql"]).await;
}

async fn what_mariadb_dump_saves_can_be_loaded(cluster: Arc<Cluster>) {
    save_and_load(&cluster, CLIENTS, &["mariadb-dump", "mariadb"]).await;
}

fn mysql_image() -> String {
    let (image, tag) = Engine::MySql.image();
    format!("{image}:{tag}")
}

async fn save_and_load(cluster: &Cluster, image: &str, programs: &[&str]) {
    let (from, into) = (unique("saved"), unique("loaded"));
    for schema in [&from, &into] {
        cluster
            .prepare(format!(
                "CREATE DATABASE {schema}; GRANT ALL ON {schema}.* TO {APP}@'%'; GRANT SELECT ON {schema}.* TO monitor@'%'"
            ))
            .await;
    }
    let proxy = Proxy::start(cluster).await;
    let schemas = [from.as_str(), into.as_str()];
    let said = clients::in_image(image, &["bash", "dump.sh"], &proxy, &[&schemas, programs].concat()).await;
    is_good(&said);
    proxy.finish().await;
}

/// The first statements of drivers that are in no package: MySQL Connector/J 9, MariaDB Connector/J 3 and its reactive sibling, Connector/NET,
/// `MySqlConnector`, Connector/ODBC, Rails, Laravel, and what pools ask before they give a connection away.
const FIRST: &[&str] = &[
    "/* mysql-connector-j-9.7.0 (Revision: 0) */SELECT  @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, @@character_set_connection AS character_set_connection, @@character_set_results AS character_set_results, @@collation_connection AS collation_connection, @@max_allowed_packet AS max_allowed_packet, @@sql_mode AS sql_mode, @@system_time_zone AS system_time_zone, @@time_zone AS time_zone, @@wait_timeout AS wait_timeout",
    "SET character_set_results = NULL",
    "SET autocommit=1",
    "SET sql_mode='STRICT_TRANS_TABLES'",
    "set autocommit=1,session_track_system_variables = CONCAT(@@global.session_track_system_variables,',sql_mode'),NAMES utf8mb4",
    "set session_track_schema=1",
    "SELECT @@max_allowed_packet,@@wait_timeout",
    "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci",
    "SET character_set_server = 'utf8mb4', collation_server = 'utf8mb4_general_ci'",
    "SET  @@SESSION.sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES'),  @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483",
    "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci', SESSION sql_mode='ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION READ ONLY",
    "SET SESSION TRANSACTION READ WRITE",
    "SET sql_select_limit=DEFAULT",
    "SET net_write_timeout=600",
    "/* ping */ SELECT 1",
    "SELECT 1",
    "SELECT 'x'",
    "SELECT VERSION()",
    "SHOW WARNINGS",
];

async fn what_drivers_say_first_pins_nothing(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = proxy.client().await;
    for first in FIRST {
        client.query_drop(*first).await.unwrap_or_else(|error| panic!("{first}: {error}"));
        // As a pool does it for the next user.
        client.ping().await.unwrap();
        reads_go_to_a_replica(&mut client, first).await;
    }
    client.reset().await.unwrap();
    reads_go_to_a_replica(&mut client, "COM_RESET_CONNECTION").await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn reads_go_to_a_replica(client: &mut Conn, after: &str) {
    eventually(&format!("a read on a replica after {after}"), async || {
        let rows: Vec<Row> = client.query("EXPLAIN ROUTE SELECT 1").await.unwrap();
        let decision = rows.into_iter().map(|row| row.get::<String, _>(2).unwrap()).next_back()?;
        (decision != "db1").then_some(())
    })
    .await;
}

// --- Helpers ---

/// Runs a script with a program of the image of clients.
async fn in_clients(cluster: &Cluster, command: &[&str], more: &[&str]) {
    let proxy = ready(cluster).await;
    let table = unique("t");
    is_good(&clients::in_image(CLIENTS, command, &proxy, &[&[table.as_str()], more].concat()).await);
    proxy.finish().await;
}

/// Runs a script with Python's drivers from its package index.
async fn in_venv(cluster: &Cluster, script: &str, more: &[&str]) {
    let proxy = ready(cluster).await;
    is_good(&clients::python(script, &proxy, &unique("t"), more).await);
    proxy.finish().await;
}

async fn ready(cluster: &Cluster) -> Proxy {
    cluster.prepare("SET GLOBAL local_infile = ON").await;
    Proxy::start(cluster).await
}

#[track_caller]
fn is_good(said: &clients::Said) {
    assert!(said.status.success(), "{}\n{}", said.output(), said.errors());
    assert_eq!(said.output().trim(), "good", "{}", said.errors());
}
