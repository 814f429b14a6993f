//! One database server in a container.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context as _;
use mysql_async::prelude::{FromRow, Queryable as _, StatementLike};
use mysql_async::{Conn, OptsBuilder, Params};
use testcontainers::bollard::models::{
    ContainerInspectResponse, ContainerUpdateBody, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest, PortBinding,
};
use testcontainers::bollard::query_parameters::{KillContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use testcontainers::core::{ExecCommand, WaitFor, wait::LogWaitStrategy};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _, bollard::Docker};

use crate::cluster::{Engine, Replication};
use crate::{APP, eventually, promptly};

/// Where a server listens inside its container.
const PORT: &str = "3306/tcp";

/// A test's own account, which may do anything. Its name distinguishes the test's statements from the application's.
const ADMIN: &str = "e2e_admin";

const START_LIMIT: Duration = Duration::from_mins(2);
const START_ATTEMPTS: usize = 3;

/// A server of a cluster.
#[derive(Debug)]
pub struct Server {
    /// Its name in the proxy's configuration.
    pub name: String,
    engine: Engine,
    container: ContainerAsync<GenericImage>,
    network: String,
    /// Its name on the cluster's network.
    host_inside: String,
    port: u16,
}

/// How a server begins.
pub(crate) struct Plan<'a> {
    pub(crate) engine: Engine,
    pub(crate) replication: Replication,
    /// The cluster's name: that of its network, and the beginning of its containers' names.
    pub(crate) cluster: &'a str,
    pub(crate) id: u32,
    /// The label of all that this run starts.
    pub(crate) label: (&'static str, String),
    /// Its source, by the name on the cluster's network; `None` for the primary.
    pub(crate) source: Option<String>,
}

impl Plan<'_> {
    pub(crate) fn container_name(&self, id: u32) -> String {
        format!("{}-db{id}", self.cluster)
    }

    /// Starts it. Retries if another process has taken the port between its choice and its use, or if a busy machine is late.
    pub(crate) async fn start(&self) -> anyhow::Result<Server> {
        let (image, tag) = self.engine.image();
        let mut left = START_ATTEMPTS;
        loop {
            let error = match self.try_to_start(free_port()).await {
                Ok(server) => return Ok(server),
                Err(error) => error,
            };
            left -= 1;
            if left == 0 {
                let advice = format!("cannot start {image}:{tag}; docker/images builds it, and tests/run does that by itself");
                return Err(error).context(advice);
            }
            eprintln!("{} did not start, and is tried again: {error:#}", self.container_name(self.id));
            let docker = Docker::connect_with_local_defaults()?;
            let how = RemoveContainerOptionsBuilder::new().force(true).build();
            // There may be none.
            let _ = docker.remove_container(&self.container_name(self.id), Some(how)).await;
        }
    }

    async fn try_to_start(&self, port: u16) -> anyhow::Result<Server> {
        let (image, tag) = self.engine.image();
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
        if self.replication == Replication::Lossless {
            request = request.with_env_var("SEMI_SYNC", "1");
        }
        if let Some(source) = &self.source {
            request = request.with_env_var("PRIMARY_HOST", source);
        }
        let container = request.start().await?;
        Ok(Server {
            name: format!("db{}", self.id),
            engine: self.engine,
            container,
            network: self.cluster.to_owned(),
            host_inside: self.container_name(self.id),
            port,
        })
    }
}

impl Server {
    /// Where it can be reached.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The name by which the others of its cluster reach it, on the usual port.
    pub fn host_inside(&self) -> &str {
        &self.host_inside
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

    /// Closes a connection, as an administrator or `wait_timeout` would, and waits until it is closed.
    pub async fn close_connection(&self, id: u64) {
        self.run(format!("KILL {id}")).await;
        let there = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
        eventually("the end of a connection", async || (self.rows::<u32>(&*there, ()).await == [0]).then_some(())).await;
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

    /// A file in its container.
    pub async fn read_file(&self, path: &str) -> String {
        self.execute(&["cat", path]).await
    }

    /// Appends to a file in its container, which everybody there may read.
    pub async fn append_to_file(&self, path: &str, text: &str) {
        self.execute(&["sh", "-c", "printf %s \"$1\" >> \"$2\" && chmod a+r \"$2\"", "sh", text, path]).await;
    }

    async fn execute(&self, command: &[&str]) -> String {
        let mut done = self.container.exec(ExecCommand::new(command.iter().copied())).await.expect("a command in the container");
        let output = done.stdout_to_vec().await.expect("its output");
        assert_eq!(done.exit_code().await.expect("its end"), Some(0), "{command:?}");
        String::from_utf8_lossy(&output).into_owned()
    }

    /// As a replica: applies no more of what it receives.
    pub async fn stop_applier(&self) {
        self.run("STOP REPLICA SQL_THREAD").await;
    }

    /// As a replica: receives no more.
    pub async fn stop_receiving(&self) {
        self.run("STOP REPLICA IO_THREAD").await;
    }

    /// As a replica: applies again.
    pub async fn start_applier(&self) {
        self.run("START REPLICA SQL_THREAD").await;
    }

    /// Kills it, as in a crash.
    pub async fn kill(&self) {
        let docker = Docker::connect_with_local_defaults().expect("Docker is there");
        let how = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        docker.kill_container(self.container.id(), Some(how)).await.expect("the server can be killed");
        eventually("the end of a killed server", async || (!self.container.is_running().await.ok()?).then_some(())).await;
    }

    /// Has it shut down in good order (SIGTERM).
    pub async fn shut_down(&self) {
        let docker = Docker::connect_with_local_defaults().expect("Docker is there");
        let how = KillContainerOptionsBuilder::new().signal("SIGTERM").build();
        docker.kill_container(self.container.id(), Some(how)).await.expect("the server can be told");
        eventually("the end of a server", async || (!self.container.is_running().await.ok()?).then_some(())).await;
    }

    /// Starts it again after [`Server::kill`], and waits until it answers.
    pub async fn start(&self) {
        self.container.start().await.expect("the server starts again");
        eventually(&format!("an answer of {}", self.name), async || {
            if self.container.is_running().await.ok() == Some(false) {
                // MariaDB 10.11.18 now and then ends by signal 11 while it recovers from a kill; what a service manager would do helps.
                eprintln!("{} has ended by itself, and is started once more:\n{}", self.name, self.last_words().await);
                self.container.start().await.expect("the server starts again");
            }
            self.answers().await.then_some(())
        })
        .await;
    }

    /// The end of its log.
    async fn last_words(&self) -> String {
        const LINES: usize = 40;
        let log = self.container.stderr_to_vec().await.unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Freezes its processes: connections stay open, and nothing answers.
    pub async fn freeze(&self) {
        // Docker gives up ("unable to freeze") where a process does not stop within its few tries.
        eventually(&format!("a pause of {}", self.name), async || self.container.pause().await.ok()).await;
    }

    /// Undoes [`Server::freeze`].
    pub async fn thaw(&self) {
        self.container.unpause().await.expect("the server can go on");
    }

    /// Lets it use so many thousandths of one core, so that it is slow.
    pub async fn slow_down(&self, thousandths: i64) {
        let docker = Docker::connect_with_local_defaults().expect("Docker is there");
        let body = ContainerUpdateBody { nano_cpus: Some(thousandths * 1_000_000), ..Default::default() };
        docker.update_container(self.container.id(), body).await.expect("the server can be slowed down");
    }

    /// Undoes [`Server::slow_down`].
    pub async fn speed_up(&self) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.slow_down(i64::try_from(cores).expect("a small number") * 1000).await;
    }

    /// Lets it start no thread from now on: its control group has room for no more. It keeps those that it has, so that a connection is refused if it keeps
    /// none in reserve (`thread_cache_size`).
    pub async fn deny_threads(&self) {
        self.limit_threads(1).await;
    }

    /// Undoes [`Server::deny_threads`].
    pub async fn allow_threads(&self) {
        self.limit_threads(-1).await;
    }

    async fn limit_threads(&self, most: i64) {
        let docker = Docker::connect_with_local_defaults().expect("Docker is there");
        let body = ContainerUpdateBody { pids_limit: Some(most), ..Default::default() };
        docker.update_container(self.container.id(), body).await.expect("the server's threads can be limited");
    }

    /// Gives its temporary files a small disk of their own. Statements that need one must not be under way.
    pub async fn separate_temporary_files(&self) {
        self.enter(&["--mount", "--pid", "mount", "-t", "tmpfs", "-o", "size=16m,mode=1777", "small", "/tmp"]).await;
    }

    /// Undoes [`Server::separate_temporary_files`].
    pub async fn reunite_temporary_files(&self) {
        self.enter(&["--mount", "--pid", "umount", "--lazy", "/tmp"]).await;
    }

    /// Fills the small disk.
    pub async fn fill_temporary_files(&self) {
        // It ends with an error, as the disk is full then.
        self.execute(&["sh", "-c", "head -c 100m /dev/zero > /tmp/full || true"]).await;
    }

    /// Undoes [`Server::fill_temporary_files`].
    pub async fn empty_temporary_files(&self) {
        self.execute(&["rm", "/tmp/full"]).await;
    }

    /// Takes it off the network: what is sent to it vanishes.
    pub async fn cut_off(&self) {
        let docker = Docker::connect_with_local_defaults().expect("Docker is there");
        let request = NetworkDisconnectRequest { container: self.container.id().to_owned(), force: Some(true) };
        docker.disconnect_network(&self.network, request).await.expect("the server can be cut off");
    }

    /// Undoes [`Server::cut_off`].
    pub async fn rejoin(&self) {
        let docker = Docker::connect_with_local_defaults().expect("Docker is there");
        let request = NetworkConnectRequest { container: self.container.id().to_owned(), endpoint_config: None };
        docker.connect_network(&self.network, request).await.expect("the server can be connected");
        self.wait_until_it_answers().await;
    }

    /// A one-way cut: what it is sent arrives, and what it sends to this machine vanishes, until [`Server::lose_nothing`].
    pub async fn lose_what_it_sends_to_us(&self) {
        let gateway = self.settings().await.gateway.expect("a gateway");
        self.filter(&["-A", "OUTPUT", "-d", &gateway, "-j", "DROP"]).await;
    }

    /// The same with what it sends to another server.
    pub async fn lose_what_it_sends_to(&self, other: &Server) {
        let address = other.settings().await.ip_address.expect("an address");
        self.filter(&["-A", "OUTPUT", "-d", &address, "-j", "DROP"]).await;
    }

    /// Undoes one-way cuts.
    pub async fn lose_nothing(&self) {
        self.filter(&["-F", "OUTPUT"]).await;
    }

    /// How it is on its cluster's network.
    async fn settings(&self) -> EndpointSettings {
        let networks = self.inspected().await.network_settings.and_then(|settings| settings.networks);
        networks.and_then(|mut networks| networks.remove(&self.network)).expect("it is on the network")
    }

    async fn inspected(&self) -> ContainerInspectResponse {
        let docker = Docker::connect_with_local_defaults().expect("Docker is there");
        docker.inspect_container(self.container.id(), None).await.expect("the server can be looked at")
    }

    /// Changes the packet filter of its own network namespace, which ends with its container.
    async fn filter(&self, rule: &[&str]) {
        self.enter(&[&["--net", "iptables", "--wait"], rule].concat()).await;
    }

    /// Runs a command of this machine in some of its namespaces. That takes root's rights on this machine.
    async fn enter(&self, command: &[&str]) {
        let pid = self.inspected().await.state.and_then(|state| state.pid).expect("its process").to_string();
        let enter = ["nsenter", "--target", &pid];
        let root = if rustix::process::geteuid().is_root() { &[][..] } else { &["sudo", "--non-interactive"] };
        let words: Vec<&str> = [root, &enter, command].concat();
        let done = tokio::process::Command::new(words[0]).args(&words[1..]).output();
        let done = promptly("a command in a namespace", done).await.expect("nsenter is there");
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    pub(crate) async fn wait_until_it_answers(&self) {
        eventually(&format!("an answer of {}", self.name), async || self.answers().await.then_some(())).await;
    }

    async fn answers(&self) -> bool {
        let asking = async {
            let conn = self.try_admin().await?;
            conn.disconnect().await
        };
        matches!(tokio::time::timeout(Duration::from_secs(2), asking).await, Ok(Ok(())))
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
pub(crate) fn free_port() -> u16 {
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
