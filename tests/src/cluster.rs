//! A primary and two replicas, on a network of their own.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::Value;

use crate::server::{Plan, Server};
use crate::{eventually, promptly};

/// The engine of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// MySQL 9.7.
    MySql,
    /// MariaDB 10.11, or the version that the environment names (`POINTSMAN_E2E_MARIADB=11.8`).
    MariaDb,
}

impl Engine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::MySql, Self::MariaDb];

    /// The name in tests' names.
    pub fn label(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }

    /// The local image and its tag.
    pub fn image(self) -> (&'static str, &'static str) {
        match self {
            Self::MySql => ("pointsman-mysql", "9.7"),
            Self::MariaDb => ("pointsman-mariadb", mariadb_version()),
        }
    }

    /// The program that is this engine's command line client, in its image.
    pub fn cli(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }
}

/// The version of MariaDB that is tested.
pub fn mariadb_version() -> &'static str {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| std::env::var("POINTSMAN_E2E_MARIADB").unwrap_or_else(|_| "10.11".to_owned()));
    &VERSION
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// For no replica.
    Asynchronous,
    /// For one replica that has received it, however long that takes.
    Lossless,
}

/// The servers. `servers[0]` is the primary.
#[derive(Debug)]
pub struct Cluster {
    /// MySQL or MariaDB.
    pub engine: Engine,
    replication: Replication,
    name: String,
    /// All of them, the primary first.
    pub servers: Vec<Server>,
}

const SERVERS: u32 = 3;

impl Cluster {
    /// Starts them, and waits until the replicas replicate.
    pub async fn start(engine: Engine) -> anyhow::Result<Self> {
        Self::start_with(engine, Replication::Asynchronous).await
    }

    /// The same, where commits may wait for a replica.
    pub async fn start_with(engine: Engine, replication: Replication) -> anyhow::Result<Self> {
        let name = cluster_name();
        let plan = |id| {
            let mut plan = Plan { engine, replication, cluster: &name, id, label: label(), source: None };
            // Server 1 is the primary, the others replicate from it.
            plan.source = (id > 1).then(|| plan.container_name(1));
            async move { plan.start().await }
        };
        // The first container creates the network, and two must not try at the same time.
        let primary = plan(1).await?;
        let (second, third) = tokio::try_join!(plan(2), plan(SERVERS))?;
        // Where a commit waits for a replica, there must be one.
        primary.create_admin().await?;
        let servers = vec![primary, second, third];
        for server in &servers {
            // The account comes to the replicas by replication, so this is what proves it.
            server.wait_until_it_answers().await;
        }
        Ok(Self { engine, replication, name: name.clone(), servers })
    }

    /// Replaces a server by a new one with the same name, which begins as a replica of `source` and with nothing.
    pub async fn replace(&mut self, place: usize, source: usize) -> anyhow::Result<()> {
        let source = self.servers[source].host_inside().to_owned();
        let id = u32::try_from(place + 1)?;
        self.servers.remove(place).remove().await?;
        let (engine, replication) = (self.engine, self.replication);
        let plan = Plan { engine, replication, cluster: &self.name, id, label: label(), source: Some(source) };
        let server = plan.start().await?;
        server.wait_until_it_answers().await;
        self.servers.insert(place, server);
        Ok(())
    }

    /// The server that began as the primary.
    pub fn primary(&self) -> &Server {
        &self.servers[0]
    }

    /// The servers that began as replicas.
    pub fn replicas(&self) -> &[Server] {
        &self.servers[1..]
    }

    /// The names of the servers that ran a statement of the application with `text` in it, once for each time.
    pub async fn who_ran(&self, text: &str) -> Vec<&str> {
        let mut names = Vec::new();
        for server in &self.servers {
            names.extend(std::iter::repeat_n(server.name.as_str(), server.ran(text).await.len()));
        }
        names
    }

    /// Runs SQL on the primary, past the proxy, and waits until the replicas have what it wrote.
    pub async fn prepare(&self, sql: impl AsRef<str>) {
        self.primary().run(sql).await;
        self.wait_for_replicas().await;
    }

    /// Waits until every replica has applied what the primary has now.
    pub async fn wait_for_replicas(&self) {
        let position = self.primary().rows::<String>(self.position_sql(), ()).await.remove(0);
        for replica in self.replicas() {
            let what = format!("{} to reach {position}", replica.name);
            eventually(&what, async || self.has_reached(replica, &position).await.then_some(())).await;
        }
    }

    fn position_sql(&self) -> &'static str {
        match self.engine {
            Engine::MySql => "SELECT @@global.gtid_executed",
            Engine::MariaDb => "SELECT @@global.gtid_binlog_pos",
        }
    }

    async fn has_reached(&self, replica: &Server, position: &str) -> bool {
        let sql = match self.engine {
            Engine::MySql => "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 1)",
            Engine::MariaDb => "SELECT MASTER_GTID_WAIT(?, 1)",
        };
        replica.rows::<Value>(sql, (position,)).await == [Value::Int(0)]
    }

    /// What makes a server follow another one.
    pub fn follow_sql(&self, source: &Server) -> String {
        let host = source.host_inside();
        match self.engine {
            Engine::MySql => format!(
                "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{host}', SOURCE_PORT = 3306, SOURCE_USER = 'replication', \
                 SOURCE_PASSWORD = 'replication', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; \
                 START REPLICA"
            ),
            Engine::MariaDb => format!(
                "STOP SLAVE; CHANGE MASTER TO MASTER_HOST = '{host}', MASTER_PORT = 3306, MASTER_USER = 'replication', \
                 MASTER_PASSWORD = 'replication', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1; START SLAVE"
            ),
        }
    }

    /// Removes its containers and its network.
    pub async fn remove(self) {
        let removal = async {
            for server in self.servers {
                if let Err(error) = server.remove().await {
                    eprintln!("{error:#}");
                }
            }
        };
        promptly("the removal of a cluster", removal).await;
    }
}

/// Everything that a run starts has this label, so that `tests/run` can find what a killed run has left.
pub(crate) fn label() -> (&'static str, String) {
    ("pointsman.e2e", run_id())
}

/// The run, as `tests/run` has named it.
fn run_id() -> String {
    std::env::var("POINTSMAN_E2E_RUN").unwrap_or_else(|_| "by-hand".to_owned())
}

fn cluster_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("pointsman-e2e-{}-{}-{}", run_id(), std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
