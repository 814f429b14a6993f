//! One database server in a container.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context as _;
use mysql_async::prelude::{FromRow, Queryable as _, StatementLike};
use mysql_async::{Conn, OptsBuilder, Params};
use testcontainers::bollard::models::PortBinding;
use testcontainers::bollard::query_parameters::KillContainerOptionsBuilder;
use testcontainers::core::{ExecCommand, WaitFor, wait::LogWaitStrategy};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _, bollard::Docker};

use crate::cluster::Engine;
use crate::{APP, eventually, promptly};

/// Where a server listens inside its container.
const PORT: &str = "3306/tcp";

/// A test's own account, which may do anything. What the application does is told from what the test does by its name.
const ADMIN: &str = "e2e_admin";

const START_LIMIT: Duration = Duration::from_mins(2);

/// A server of a cluster.
#[derive(Debug)]
pub struct Server {
    /// Its name in the proxy's configuration.
    pub name: String,
    engine: Engine,
    container: ContainerAsync<GenericImage>,
    port: u16,
}

/// How a server begins.
pub(crate) struct Plan<'a> {
    pub(crate) engine: Engine,
    /// The cluster's name: that of its network, and the beginning of its containers' names.
    pub(crate) cluster: &'a str,
    pub(crate) id: u32,
    /// The label of all that this run starts.
    pub(crate) label: (&'static str, String),
}

impl Plan<'_> {
    fn container_name(&self, id: u32) -> String {
        format!("{}-db{id}", self.cluster)
    }

    /// Server 1 is the primary, the others replicate from it.
    pub(crate) async fn start(&self) -> anyhow::Result<Server> {
        let (image, tag) = self.engine.image();
        let port = free_port();
        let mut request = GenericImage::new(image, tag)
            .with_wait_for(WaitFor::log(LogWaitStrategy::stdout_or_stderr("ready for connections")))
            .with_container_name(self.container_name(self.id))
            .with_network(self.cluster)
            .with_label(self.label.0, &self.label.1)
            .with_env_var("SERVER_ID", self.id.to_string())
            .with_env_var("FAST", "1")
            .with_startup_timeout(START_LIMIT)
            // Not `with_mapped_port`, which would open the port to the world. A port of our choice survives a restart.
            .with_host_config_modifier(move |host| {
                let binding = PortBinding { host_ip: Some(Ipv4Addr::LOCALHOST.to_string()), host_port: Some(port.to_string()) };
                host.publish_all_ports = Some(false);
                host.port_bindings = Some([(PORT.to_owned(), Some(vec![binding]))].into());
            })
            .with_cmd(["--general-log=1", "--log-output=TABLE", "--max-allowed-packet=128M"]);
        if self.id > 1 {
            request = request.with_env_var("PRIMARY_HOST", self.container_name(1));
        }
        let container = request
            .start()
            .await
            .with_context(|| format!("cannot start {image}:{tag}; docker/images builds it, and tests/run does that by itself"))?;
        Ok(Server { name: format!("db{}", self.id), engine: self.engine, container, port })
    }
}

impl Server {
    /// Where it can be reached.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Connects to it directly, as a user who may do anything.
    pub async fn admin(&self) -> Conn {
        promptly("a direct connection", self.try_admin())
            .await
            .unwrap_or_else(|error| panic!("cannot log in to {}: {error}", self.name))
    }

    pub(crate) async fn try_admin(&self) -> mysql_async::Result<Conn> {
        let options = OptsBuilder::default()
            .ip_or_hostname(Ipv4Addr::LOCALHOST.to_string())
            .tcp_port(self.port)
            .prefer_socket(false)
            .user(Some(ADMIN))
            .pass(Some(ADMIN));
        Conn::new(options).await
    }

    /// Creates the test's account; on the primary, from where it replicates.
    pub(crate) async fn create_admin(&self) -> anyhow::Result<()> {
        let sql = format!("CREATE USER {ADMIN}@'%' IDENTIFIED BY '{ADMIN}'; GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION");
        let mut done = self.container.exec(ExecCommand::new(["mysql", "-e", &sql])).await?;
        let complaint = done.stderr_to_vec().await?;
        let code = done.exit_code().await?;
        anyhow::ensure!(code == Some(0), "cannot create {ADMIN}: {}", String::from_utf8_lossy(&complaint));
        Ok(())
    }

    /// Runs statements on it, past the proxy.
    pub async fn run(&self, sql: impl AsRef<str>) {
        let mut admin = self.admin().await;
        let sql = sql.as_ref();
        admin.query_drop(sql).await.unwrap_or_else(|error| panic!("{}: {sql}: {error}", self.name));
        let _ = admin.disconnect().await;
    }

    /// Asks it for rows, past the proxy.
    pub async fn rows<T: FromRow + Send + 'static>(&self, sql: impl StatementLike, params: impl Into<Params> + Send) -> Vec<T> {
        let mut admin = self.admin().await;
        let rows = admin.exec(sql, params).await.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let _ = admin.disconnect().await;
        rows
    }

    /// The application's statements that it ran and that contain `text`, oldest first.
    ///
    /// The preparation of a statement is none; its execution counts with its parameters filled in.
    pub async fn ran(&self, text: &str) -> Vec<String> {
        const LOG: &str = "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log \
             WHERE command_type IN ('Query', 'Execute') AND user_host LIKE ? AND LOCATE(?, argument) > 0 ORDER BY event_time, thread_id";
        self.rows(LOG, (format!("{APP}[{APP}]%"), text)).await
    }

    /// The files in the only folder that the server may write files to, one per line.
    pub async fn files(&self) -> String {
        const FOLDER: &str = "/var/lib/mysql/files";
        let command = ExecCommand::new(["find", FOLDER, "-type", "f", "-printf", "%p, %s bytes\n"]);
        let mut done = self.container.exec(command).await.expect("a command in the container");
        String::from_utf8_lossy(&done.stdout_to_vec().await.expect("its output")).into_owned()
    }

    /// As a replica: applies no more of what it receives.
    pub async fn stop_applier(&self) {
        self.run("STOP REPLICA SQL_THREAD").await;
    }

    /// As a replica: applies again.
    pub async fn start_applier(&self) {
        self.run("START REPLICA SQL_THREAD").await;
    }

    /// Kills it as a crash would: no goodbye to anybody.
    pub async fn kill(&self) {
        let docker = Docker::connect_with_local_defaults().expect("Docker is there");
        let how = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        docker.kill_container(self.container.id(), Some(how)).await.expect("the server can be killed");
        eventually("the end of a killed server", async || (!self.container.is_running().await.ok()?).then_some(())).await;
    }

    /// Starts it again after [`Server::kill`], and waits until it answers.
    pub async fn start(&self) {
        self.container.start().await.expect("the server starts again");
        self.wait_until_it_answers().await;
    }

    /// Stops its processes in their tracks: connections stay open and nobody answers.
    pub async fn freeze(&self) {
        self.container.pause().await.expect("the server can be paused");
    }

    /// Undoes [`Server::freeze`].
    pub async fn thaw(&self) {
        self.container.unpause().await.expect("the server can go on");
    }

    pub(crate) async fn wait_until_it_answers(&self) {
        eventually(&format!("an answer of {}", self.name), async || {
            let conn = tokio::time::timeout(Duration::from_secs(2), self.try_admin()).await.ok()?.ok()?;
            let _ = conn.disconnect().await;
            Some(())
        })
        .await;
    }

    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        let name = self.name.clone();
        self.container.rm().await.with_context(|| format!("cannot remove {name}"))
    }

    /// Whose server it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }
}

/// A port that is free now, and stays so while its server is stopped: outgoing connections take theirs from another range.
fn free_port() -> u16 {
    use std::hash::{BuildHasher as _, RandomState};
    const FROM: u16 = 15_000;
    const UP_TO: u16 = 30_000;
    let chance = RandomState::new();
    let candidates = (0_u32..1000).filter_map(|turn| u16::try_from(chance.hash_one(turn) % u64::from(UP_TO - FROM)).ok());
    candidates
        .map(|offset| FROM + offset)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("there is a free port")
}
