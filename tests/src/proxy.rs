//! The real binary in front of a cluster, with a log that must hold no surprise.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mysql_async::{Conn, OptsBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use toml::Table;

use crate::{APP, Cluster, SCHEMA, eventually, promptly, unique};

/// A running Pointsman. A test that passes ends it by [`Proxy::finish`]; one that fails prints its log.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    pid: Pid,
    log: Log,
    reader: Option<JoinHandle<()>>,
    expected: Vec<&'static str>,
    is_finished: bool,
}

/// What it has written so far.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

/// One line of its log.
#[derive(Debug, Clone)]
pub struct Line {
    /// As it stands.
    pub text: String,
    /// Its fields; null if it is no JSON, such as a panic.
    pub fields: Value,
}

/// A Pointsman to be started.
#[derive(Debug)]
pub struct Start<'a> {
    cluster: &'a Cluster,
    config: String,
    arguments: Vec<&'static str>,
    waits: bool,
}

impl<'a> Start<'a> {
    /// In front of these servers.
    pub fn before(cluster: &'a Cluster) -> Self {
        Self { cluster, config: String::new(), arguments: Vec::new(), waits: true }
    }

    /// With this TOML on top of the usual configuration.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.config);
        self
    }

    /// With one more argument of `pointsman run`.
    #[must_use]
    pub fn argument(mut self, argument: &'static str) -> Self {
        self.arguments.push(argument);
        self
    }

    /// Without waiting until both replicas answer reads.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.waits = false;
        self
    }

    /// Starts it.
    pub async fn start(self) -> Proxy {
        let mut config = usual_config(self.cluster);
        merge(&mut config, self.config.parse().expect("a test's TOML"));
        let mut child = Command::new(binary())
            .args(["run", "--config", "/dev/stdin"])
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("pointsman starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(config.to_string().as_bytes()).await.expect("pointsman reads its configuration");
        drop(stdin);

        let log = Log::default();
        let reader = tokio::spawn(log.clone().collect(BufReader::new(child.stderr.take().expect("a pipe"))));
        let pid = Pid::from_raw(i32::try_from(child.id().expect("it runs")).expect("a process id")).expect("a process id");
        let mut proxy = Proxy {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child,
            pid,
            log,
            reader: Some(reader),
            expected: Vec::new(),
            is_finished: false,
        };
        let listening = proxy.await_line("listening").await;
        proxy.address = listening.fields["address"].as_str().and_then(|text| text.parse().ok()).expect("an address in the log");
        if self.waits {
            proxy.wait_for_reads_on(self.cluster, &["db2", "db3"]).await;
        }
        proxy
    }
}

impl Proxy {
    /// Starts one with the usual configuration, and waits until both replicas answer reads.
    pub async fn start(cluster: &Cluster) -> Self {
        Start::before(cluster).start().await
    }

    /// What a client needs to log in as the application.
    pub fn options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname(self.address.ip().to_string())
            .tcp_port(self.address.port())
            .user(Some(APP))
            .pass(Some(APP))
            .db_name(Some(SCHEMA))
            // Otherwise the client would find the server's own socket and go past the proxy.
            .prefer_socket(false)
            .max_allowed_packet(Some(64 << 20))
            .wait_timeout(Some(3600))
    }

    /// A client that is logged in.
    pub async fn client(&self) -> Conn {
        promptly("a login", Conn::new(self.options())).await.expect("the application can log in")
    }

    /// Waits until reads are answered by just these servers, in turn.
    pub async fn wait_for_reads_on(&self, cluster: &Cluster, names: &[&str]) {
        use mysql_async::prelude::Queryable as _;
        let mut client = self.client().await;
        eventually(&format!("reads on {names:?}"), async || {
            let mark = unique("where");
            for _ in 0..2 * names.len() {
                client.query_drop(format!("SELECT '{mark}'")).await.ok()?;
            }
            let mut ran = cluster.who_ran(&mark).await;
            ran.dedup();
            (ran == names).then_some(())
        })
        .await;
        client.disconnect().await.expect("the client says goodbye");
    }

    /// A warning or an error with this text is no surprise.
    pub fn expect_in_log(&mut self, text: &'static str) {
        self.expected.push(text);
    }

    /// The primary will be gone for a while, and the log will say so.
    pub fn expect_loss_of_the_primary(&mut self) {
        self.expect_in_log("server is down");
        self.expect_in_log("there is no primary to write to");
        self.expect_in_log("no primary: db1 is down");
        self.expect_loss_of_connections();
    }

    /// Statements will lose the server that they run on, or find it gone.
    pub fn expect_loss_of_connections(&mut self) {
        self.expect_in_log("lost a server during a statement");
        self.expect_in_log("no connection for a statement");
    }

    /// Waits for a line with this message.
    pub async fn await_line(&mut self, message: &str) -> Line {
        let (log, child) = (self.log.clone(), &mut self.child);
        eventually(&format!("{message:?} in the log"), async || {
            let found = log.lines().into_iter().find(|line| line.fields["message"] == message);
            if found.is_none()
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!("pointsman has ended by itself: {status}");
            }
            found
        })
        .await
    }

    /// What it has written so far.
    pub fn log(&self) -> Vec<Line> {
        self.log.lines()
    }

    /// Resident memory, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        kill_process(self.pid, Signal::TERM).expect("it runs");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = promptly("the end of pointsman", self.child.wait()).await.expect("its status");
        if let Some(reader) = self.reader.take() {
            reader.await.expect("the end of the log");
        }
        status
    }

    /// Ends it, and fails if it does not end well or has logged a warning or an error that was not expected.
    pub async fn finish(mut self) {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "pointsman ended with {status}");
        self.check_log();
        self.is_finished = true;
    }

    /// Like [`Proxy::finish`], for one that has ended already.
    pub fn check_ended(mut self) {
        assert!(self.reader.is_none(), "it has not ended");
        self.check_log();
        self.is_finished = true;
    }

    fn check_log(&self) {
        let is_expected = |line: &Line| self.expected.iter().any(|text| line.text.contains(text));
        let surprises: Vec<String> =
            self.log.lines().into_iter().filter(|line| line.is_alarm() && !is_expected(line)).map(|line| line.text).collect();
        assert!(surprises.is_empty(), "unexpected in the log:\n{}", surprises.join("\n"));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines: Vec<String> = self.log.lines().into_iter().map(|line| line.text).collect();
            eprintln!("the log of the proxy at {}:\n{}", self.address, lines.join("\n"));
        } else {
            assert!(self.is_finished, "a test must end its proxy with finish(), which checks the log");
        }
    }
}

impl Log {
    async fn collect(self, stderr: BufReader<tokio::process::ChildStderr>) {
        let mut lines = stderr.lines();
        while let Ok(Some(text)) = lines.next_line().await {
            let fields = serde_json::from_str(&text).unwrap_or(Value::Null);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Line { text, fields });
        }
    }

    fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Line {
    /// A warning, an error, or what is no log line at all, such as a panic.
    fn is_alarm(&self) -> bool {
        !matches!(self.fields["level"].as_str(), Some("INFO" | "DEBUG" | "TRACE"))
    }
}

fn usual_config(cluster: &Cluster) -> Table {
    let mut config: Table = format!(
        "listen.address = '127.0.0.1:0'
        log = {{ format = 'json', level = 'info' }}
        monitor = {{ user = 'monitor', password = 'monitor' }}
        users = [{{ name = '{APP}', password = '{APP}' }}]"
    )
    .parse()
    .expect("TOML");
    let servers = cluster.servers.iter().map(|server| {
        let entries = [("name", server.name.clone()), ("address", server.address().to_string())];
        entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect::<Table>().into()
    });
    config.insert("servers".to_owned(), servers.collect::<Vec<toml::Value>>().into());
    config
}

/// Lays `over` over `config`: tables are merged, everything else is replaced.
fn merge(config: &mut Table, over: Table) {
    for (key, value) in over {
        match (config.get_mut(&key), value) {
            (Some(toml::Value::Table(here)), toml::Value::Table(over)) => merge(here, over),
            (_, value) => drop(config.insert(key, value)),
        }
    }
}

/// `POINTSMAN_BINARY`, or what cargo builds now: a binary of last week would prove nothing.
pub fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        std::env::var_os("POINTSMAN_BINARY")
            .map_or_else(build, |path| PathBuf::from(path).canonicalize().expect("POINTSMAN_BINARY"))
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let built = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--package", "pointsman", "--message-format", "json-render-diagnostics"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "pointsman cannot be built");
    let messages = String::from_utf8(built.stdout).expect("UTF-8");
    let executables = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    executables.max_by_key(|path| path.ends_with("pointsman")).expect("cargo names the binary")
}
