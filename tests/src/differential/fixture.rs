//! The data that statements read: what the SQL files of `tests/fixtures` make, and what turns out to be missing.

use std::path::Path;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use super::case_files::Settings;
use super::missing::{Catalog, Remedy, quote, remedy};
use super::session::{Failure, READER};
use crate::{Cluster, Engine, promptly};

/// Schemas that are the server's own.
pub(super) const SYSTEM_SCHEMAS: &str = "'information_schema', 'performance_schema', 'mysql', 'sys'";

/// The fixture, on a primary and its replicas.
pub(super) struct Fixture<'c> {
    cluster: &'c Cluster,
    primary: Conn,
    replica: Conn,
    catalog: Catalog,
    own_schemas: usize,
    /// How often something was missing.
    pub(super) supplies: usize,
}

impl<'c> Fixture<'c> {
    /// Removes all that is there, and lays a new one.
    pub(super) async fn lay(cluster: &'c Cluster) -> Self {
        let primary = cluster.primary().admin().await;
        let replica = cluster.replicas()[0].admin().await;
        let mut fixture = Self { cluster, primary, replica, catalog: Catalog::new(), own_schemas: 0, supplies: 0 };
        let schemas: Vec<String> = fixture
            .ask(&format!("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ({SYSTEM_SCHEMAS})"))
            .await;
        for schema in schemas {
            fixture.run(&format!("DROP DATABASE {}", quote(&schema))).await.expect("a schema can be dropped");
        }
        let grants = format!(
            "DROP USER IF EXISTS {READER}; CREATE USER {READER} IDENTIFIED BY '{READER}'; \
             GRANT FILE ON *.* TO {READER}; GRANT ALL ON `%`.* TO {READER}"
        );
        fixture.run(&grants).await.expect("an account can be created");
        for file in ["common.sql", &format!("{}.sql", cluster.engine.label())] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            fixture.run(&text).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        fixture.settle().await;
        fixture
    }

    /// Gives a statement that failed what it needs: true if it is worth another try. May change the schema that it runs in.
    pub(super) async fn supply(&mut self, failure: &Failure, sql: &str, settings: &Settings, schema: &mut String) -> bool {
        let found = remedy(self.engine(), failure, sql, schema, &self.catalog);
        let done = match &found {
            None => return false,
            // Names have to be the same bytes in the same character set.
            Some(Remedy::Ddl(ddl)) => self.run(&format!("SET NAMES {}; {ddl}", settings.charset)).await,
            Some(Remedy::OwnSchema) => Err(failure.clone()),
        };
        if done.is_err() {
            if schema.starts_with("own_") {
                return false;
            }
            self.own_schemas += 1;
            *schema = format!("own_{}", self.own_schemas);
            self.run(&format!("CREATE DATABASE {}", quote(schema))).await.expect("a schema can be created");
        }
        self.supplies += 1;
        self.settle().await;
        true
    }

    fn engine(&self) -> Engine {
        self.cluster.engine
    }

    /// Waits until the first replica has it, and looks what there is.
    async fn settle(&mut self) {
        self.run("SET NAMES utf8mb4").await.expect("a character set");
        let (position, wait) = match self.engine() {
            Engine::MySql => ("SELECT @@global.gtid_executed", "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 30)"),
            Engine::MariaDb => ("SELECT @@global.gtid_binlog_pos", "SELECT MASTER_GTID_WAIT(?, 30)"),
        };
        let position: String = self.ask(position).await.remove(0);
        let waited: Option<u8> = self.replica.exec_first(wait, (&position,)).await.expect("the replica answers");
        assert_eq!(waited, Some(0), "the replica reaches {position}");
        let columns = format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA NOT IN ({SYSTEM_SCHEMAS})"
        );
        let mut catalog = Catalog::new();
        for (schema, table, column) in self.ask::<(String, String, String)>(&columns).await {
            catalog.entry((schema, table)).or_default().push(column);
        }
        self.catalog = catalog;
    }

    async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        let work = async { self.primary.query_iter(sql).await?.drop_result().await };
        match promptly("a change of the fixture", work).await {
            Ok(()) => Ok(()),
            Err(mysql_async::Error::Server(error)) => Err(Failure { code: error.code, message: error.message }),
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    async fn ask<T: mysql_async::prelude::FromRow + Send + 'static>(&mut self, sql: &str) -> Vec<T> {
        self.primary.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}
