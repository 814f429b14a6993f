//! The real binary in front of a cluster, with a log that must hold no surprise.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mysql_async::{Conn, OptsBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use toml::Table;

use crate::server::free_port;
use crate::{APP, Cluster, SCHEMA, eventually, promptly, unique};

/// A primary that does not answer for half a second says more about the machine that runs the tests than about Pointsman.
/// So does a look that takes seconds.
const BUSY: [&str; 2] = [
    "may be lost, nothing is done yet: it has been silent for a short time only",
    "a look at it has no answer while new connections are let in",
];

/// Configuration with which a replica stays one, neither stale nor silent, however busy the machine is: where something else is tested.
pub const PATIENT: &str = "routing.max_lag = '60s'\nmonitor.silence = '20s'\nmonitor.query_timeout = '20s'";

/// A running Pointsman. A test that passes ends it by [`Proxy::finish`]; one that fails prints its log.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    admin: PathBuf,
    journal: PathBuf,
    /// What it takes to start it once more.
    config: Table,
    config_file: PathBuf,
    arguments: Vec<&'static str>,
    child: Child,
    /// Of the child, or of the process that has taken over from it.
    pid: Pid,
    log: Log,
    reader: Option<JoinHandle<()>>,
    is_successor: bool,
    expected: Vec<&'static str>,
    expected_findings: Vec<String>,
    is_finished: bool,
}

/// A Pointsman that was killed. Its configuration, its address and its journal are still there.
#[derive(Debug)]
pub struct Killed {
    config: Table,
    arguments: Vec<&'static str>,
    admin: PathBuf,
    journal: PathBuf,
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
    keeps_port: bool,
}

impl<'a> Start<'a> {
    /// In front of these servers.
    pub fn before(cluster: &'a Cluster) -> Self {
        Self { cluster, config: String::new(), arguments: Vec::new(), waits: true, keeps_port: false }
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

    /// On a port where clients find it again after [`Proxy::kill`] and [`Killed::start_again`].
    #[must_use]
    pub fn on_a_lasting_port(mut self) -> Self {
        self.keeps_port = true;
        self
    }

    /// Starts it.
    pub async fn start(self) -> Proxy {
        let mut config = usual_config(self.cluster);
        let (admin, journal) = (temporary(&unique("admin")), temporary(&unique("journal")));
        merge(&mut config, format!("admin.socket = '{}'", admin.display()).parse().expect("TOML"));
        merge(&mut config, format!("failover.journal = '{}'", journal.display()).parse().expect("TOML"));
        if self.keeps_port {
            merge(&mut config, format!("listen.address = '127.0.0.1:{}'", free_port()).parse().expect("TOML"));
        }
        merge(&mut config, self.config.parse().expect("a test's TOML"));
        let proxy = spawn(Killed { config, arguments: self.arguments, admin, journal }).await;
        if self.waits {
            proxy.wait_for_reads_on(self.cluster, &["db2", "db3"]).await;
        }
        proxy
    }
}

async fn spawn(Killed { config, arguments, admin, journal }: Killed) -> Proxy {
    let config_file = temporary(&unique("config"));
    write_config(&config_file, &config);
    let mut child = Command::new(binary())
        .args(["run", "--config"])
        .arg(&config_file)
        .args(&arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("pointsman starts");
    let log = Log::default();
    let reader = tokio::spawn(log.clone().collect(BufReader::new(child.stderr.take().expect("a pipe"))));
    let pid = Pid::from_raw(i32::try_from(child.id().expect("it runs")).expect("a process id")).expect("a process id");
    let mut proxy = Proxy {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        admin,
        journal,
        config,
        config_file,
        arguments,
        child,
        pid,
        log,
        reader: Some(reader),
        is_successor: false,
        expected: Vec::new(),
        expected_findings: Vec::new(),
        is_finished: false,
    };
    proxy.address = proxy.await_address("listening").await;
    proxy
}

impl Killed {
    /// Starts it once more, with the same configuration, before the same servers.
    pub async fn start_again(self) -> Proxy {
        spawn(self).await
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

    /// A finding of this name is no surprise.
    pub fn expect_finding(&mut self, finding: &str) {
        self.expected_findings.push(finding.to_owned());
    }

    /// The primary will be gone for a while, and the log will say so.
    pub fn expect_loss_of_the_primary(&mut self) {
        for finding in ["primary_suspect", "primary_unreachable", "held", "replication_broken", "nobody_writable"] {
            self.expect_finding(finding);
        }
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

    /// Runs `pointsman COMMAND --socket ..` against it: whether it succeeded, and what it said.
    pub async fn ask(&self, command: &[&str]) -> (bool, String) {
        let asking = Command::new(binary()).args(command).arg("--socket").arg(&self.admin).kill_on_drop(true).output();
        let output = promptly("an answer to a command", asking).await.expect("pointsman starts");
        let said = [output.stdout, output.stderr].concat();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{command:?} ended with {}", output.status);
        (output.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// The socket that its commands use.
    pub fn admin_socket(&self) -> &std::path::Path {
        &self.admin
    }

    /// Lays this TOML over its configuration, and has it read that once more: whether it took it over, and what it said. A mistake is not kept.
    pub async fn reload(&mut self, toml: &str) -> (bool, String) {
        let before = self.config.clone();
        self.reconfigure(toml);
        let (is_done, said) = self.ask(&["reload"]).await;
        if !is_done {
            self.config = before;
            write_config(&self.config_file, &self.config);
        }
        (is_done, said)
    }

    /// Lays this TOML over its configuration file, without a reload.
    pub fn reconfigure(&mut self, toml: &str) {
        merge(&mut self.config, toml.parse().expect("a test's TOML"));
        write_config(&self.config_file, &self.config);
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        kill_process(self.pid, Signal::HUP).expect("it runs");
    }

    /// The configured servers of these names.
    pub fn servers_toml(&self, names: &[&str]) -> String {
        let servers = self.config["servers"].as_array().expect("a list").iter();
        let chosen = servers.filter(|server| names.iter().any(|name| server["name"].as_str() == Some(name)));
        format!("servers = {}", toml::Value::Array(chosen.cloned().collect()))
    }

    /// The name of the server that it sends writes to, as it says itself.
    pub async fn primary(&self) -> Option<String> {
        let (_, status) = self.ask(&["status", "--json"]).await;
        let status: Value = serde_json::from_str(&status).ok()?;
        status["primary"].as_str().map(str::to_owned)
    }

    /// Waits until it finds the situation to be this.
    pub async fn await_finding(&self, finding: &str) {
        eventually(&format!("the finding {finding}"), async || {
            let (_, status) = self.ask(&["status", "--json"]).await;
            let status: Value = serde_json::from_str(&status).ok()?;
            (status["finding"] == finding).then_some(())
        })
        .await;
    }

    /// Waits until the log, after the given number of lines, shows a step of this name. It looks so often that hardly anything is done after the
    /// step.
    pub async fn await_step(&self, step: &str, lines: usize) {
        let told = async {
            while !self.log.lines().iter().skip(lines).any(|line| line.fields["step"] == step) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        promptly(&format!("the step {step}"), told).await;
    }

    /// How often the log tells of a step of this name that was done.
    pub fn steps(&self, step: &str) -> usize {
        self.log.lines().iter().filter(|line| line.fields["step"] == step && line.fields["outcome"] == "done").count()
    }

    /// The entries of its journal, as the file has them.
    pub fn journal(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.journal).expect("a journal");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Waits for a line with this message.
    pub async fn await_line(&mut self, message: &str) -> Line {
        let (log, child, is_successor) = (self.log.clone(), &mut self.child, self.is_successor);
        eventually(&format!("{message:?} in the log"), async || {
            let found = log.lines().into_iter().find(|line| line.fields["message"] == message);
            if found.is_none()
                && !is_successor
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!("pointsman has ended by itself: {status}");
            }
            found
        })
        .await
    }

    /// Waits for a line with this message, and returns the address in it.
    pub async fn await_address(&mut self, message: &str) -> SocketAddr {
        let line = self.await_line(message).await;
        line.fields["address"].as_str().and_then(|text| text.parse().ok()).expect("an address in the log")
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

    /// Has another process take over, and goes on with that one. The former process goes on while it has sessions.
    pub async fn upgrade(&mut self) {
        let before = self.log.lines().len();
        kill_process(self.pid, Signal::USR2).expect("it runs");
        let taken_over = eventually("another process takes over", async || {
            let lines = self.log.lines();
            let mut new = lines.into_iter().skip(before);
            new.find(|line| line.fields["message"] == "another process has taken over")
        })
        .await;
        let process = taken_over.fields["process"].as_i64().expect("a process id");
        self.pid = Pid::from_raw(i32::try_from(process).expect("a process id")).expect("a process id");
        self.is_successor = true;
    }

    /// Whether the first process still runs, after [`Proxy::upgrade`].
    pub fn has_former(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    /// Waits for the end of the first process, which must be a good one.
    pub async fn former_ended(&mut self) {
        let status = promptly("the end of the former process", self.child.wait()).await.expect("its status");
        assert!(status.success(), "the former process ended with {status}");
    }

    /// Sends SIGUSR2, which is to fail.
    pub fn ask_for_an_upgrade(&self) {
        kill_process(self.pid, Signal::USR2).expect("it runs");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        kill_process(self.pid, Signal::TERM).expect("it runs");
    }

    /// Waits for its end. The status of a process that has taken over is not known: it is nobody's child. It counts as good if it has said that it stopped.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = promptly("the end of pointsman", self.child.wait()).await.expect("its status");
        if let Some(reader) = self.reader.take() {
            promptly("the end of the log", reader).await.expect("the end of the log");
        }
        if self.is_successor {
            let lines = self.log.lines();
            let count = |message: &str| lines.iter().filter(|line| line.fields["message"] == message).count();
            assert_eq!(count("stopped"), count("listening"), "each process has stopped as it should");
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

    /// Like [`Proxy::finish`], where these texts in the log are no surprise.
    pub async fn finish_with(mut self, expected: &[&'static str]) {
        self.expected.extend(expected);
        self.finish().await;
    }

    /// Kills it as a crash would, and checks what it has logged until then.
    pub async fn kill(mut self, expected: &[&'static str]) -> Killed {
        kill_process(self.pid, Signal::KILL).expect("it runs");
        self.ended().await;
        self.expected.extend(expected);
        self.check_log();
        self.is_finished = true;
        // The journal is not this process's alone.
        let journal = std::mem::take(&mut self.journal);
        let mut config = std::mem::take(&mut self.config);
        merge(&mut config, format!("listen.address = '{}'", self.address).parse().expect("TOML"));
        Killed { config, arguments: std::mem::take(&mut self.arguments), admin: self.admin.clone(), journal }
    }

    /// Like [`Proxy::finish`], for one that has ended already.
    pub fn check_ended(mut self) {
        assert!(self.reader.is_none(), "it has not ended");
        self.check_log();
        self.is_finished = true;
    }

    fn check_log(&self) {
        let is_expected = |line: &Line| {
            BUSY.iter().any(|text| line.text.contains(text))
                || self.expected.iter().any(|text| line.text.contains(text))
                || self.expected_findings.iter().any(|finding| line.fields["finding"] == *finding)
        };
        let surprises: Vec<String> =
            self.log.lines().into_iter().filter(|line| line.is_alarm() && !is_expected(line)).map(|line| line.text).collect();
        assert!(surprises.is_empty(), "unexpected in the log:\n{}", surprises.join("\n"));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.journal);
        let _ = std::fs::remove_file(&self.config_file);
        if self.is_successor && !self.is_finished {
            // The child alone is killed by itself.
            let _ = kill_process(self.pid, Signal::KILL);
        }
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

/// A path of this test run's own, where nothing is yet.
fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("pointsman-e2e-{name}"))
}

fn write_config(path: &PathBuf, config: &Table) {
    std::fs::write(path, config.to_string()).expect("a file of this test's own");
}

fn usual_config(cluster: &Cluster) -> Table {
    let mut config: Table = format!(
        "listen.address = '127.0.0.1:0'
        log = {{ format = 'json', level = 'info' }}
        monitor = {{ user = 'monitor', password = 'monitor' }}
        security.public_key_retrieval = true
        users = [{{ name = '{APP}', password = '{APP}' }}]
        failover = {{ durability = 'manual' }}
        # Which replica answers does not depend on how quick they are.
        routing.balance = 'round_robin'
        ejection.latency = 0
        reload = {{ on_change = false }}"
    )
    .parse()
    .expect("TOML");
    let servers = cluster.servers.iter().map(|server| {
        let entries = [
            ("name", server.name.clone()),
            ("address", server.address().to_string()),
            ("replication_address", format!("{}:3306", server.host_inside())),
        ];
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
