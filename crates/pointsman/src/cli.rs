//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use classifier::Dialect;
use topology::ServerState;

/// A replication-aware SQL routing proxy for MySQL and MariaDB.
///
/// Point your application's DSN at Pointsman: writes go to the primary, reads go to replicas that are fresh enough.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 good, 1 failed, 2 wrong usage or configuration.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy until SIGTERM or SIGINT, then let open statements finish.
    Run(RunOptions),
    /// Check a configuration file and list all its mistakes.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Also log in to every server as the monitor, try everything that it does, and say which GRANT is missing. Changes nothing.
        #[arg(long)]
        connect: bool,
    },
    /// Look at every server's settings, and say what is missing for a promotion without loss, with the statement that repairs it; with --config, also which
    /// certificates end soon. Changes nothing.
    Doctor {
        /// The configuration file, by which it looks at the servers itself.
        #[arg(long, required_unless_present = "socket")]
        config: Option<PathBuf>,
        /// The socket of a running Pointsman, which says what it has seen.
        #[arg(long, conflicts_with = "config")]
        socket: Option<PathBuf>,
    },
    /// Show the state of the servers, and what is done about it.
    Status {
        #[command(flatten)]
        running: Running,
        /// As the API has it.
        #[arg(long)]
        json: bool,
    },
    /// Print the last findings, decisions and steps, one JSON object a line.
    Journal {
        #[command(flatten)]
        running: Running,
        /// How many.
        #[arg(long, default_value_t = 50)]
        last: usize,
    },
    /// List the sessions: whose they are, what they do, and what keeps them on one server.
    Sessions {
        #[command(flatten)]
        running: Running,
        /// As the API has it.
        #[arg(long)]
        json: bool,
    },
    /// List what statements there were, by digest, account, schema and server; those that took most time come first.
    Digests {
        #[command(flatten)]
        running: Running,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Begin the statistics anew, and list nothing.
        #[arg(long, conflicts_with = "json")]
        reset: bool,
        /// As the API has it, with histograms.
        #[arg(long)]
        json: bool,
    },
    /// Watch servers, traffic and digests in the terminal, each second.
    Top {
        #[command(flatten)]
        running: Running,
    },
    /// Stop a session, or only its statement.
    Kill {
        #[command(flatten)]
        running: Running,
        /// The number that `pointsman sessions` shows.
        session: u32,
        /// Only the statement that it runs.
        #[arg(long)]
        query: bool,
    },
    /// Have it read its configuration file again, as SIGHUP does. A mistake in the file leaves everything as it was.
    Reload {
        #[command(flatten)]
        running: Running,
    },
    /// Have a new process of the program on disk take over the listening sockets, while this one lets its sessions finish: no client is refused. If the new one
    /// does not start, nothing changes.
    Upgrade {
        #[command(flatten)]
        running: Running,
    },
    /// Change a server's weight or state at once. It stays so until Pointsman ends, or the configuration file says something else than before.
    Set {
        #[command(flatten)]
        running: Running,
        /// Its name in the configuration.
        server: String,
        /// Its share of the reads, relative to those of the others; 0 keeps reads away from it.
        #[arg(long, required_unless_present = "state")]
        weight: Option<u32>,
        /// "active"; "backup": reads only while no active replica may answer; "drain": no new reads; "maintenance": nor is it promoted.
        #[arg(long, value_parser = ServerState::ALL.map(ServerState::name))]
        state: Option<String>,
    },
    /// Make another server the primary while the present one is healthy: open transactions may end, new ones wait, and no client gets an error.
    Switchover {
        #[command(flatten)]
        running: Running,
        /// The next primary; without it the best fit.
        #[arg(long)]
        to: Option<String>,
        /// How long open transactions get to end, such as "5s", which is the default.
        #[arg(long, value_parser = humantime::parse_duration)]
        drain: Option<Duration>,
        /// How long the new primary gets after that, before the old one goes on. By default "4s". With `--drain` it should be less than `routing.hold_writes`,
        /// or writes that wait get an error.
        #[arg(long, value_parser = humantime::parse_duration)]
        limit: Option<Duration>,
    },
    /// Replace a server's data by a copy of the primary's, by CLONE of MySQL. The server stops, and becomes a replica when it runs again. Its own
    /// data is lost.
    Rebuild {
        #[command(flatten)]
        running: Running,
        /// Its name in the configuration.
        server: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Promote a replica in place of a primary that is down, where that does not happen automatically.
    Failover {
        #[command(flatten)]
        running: Running,
        /// The next primary; without it the best fit.
        #[arg(long)]
        to: Option<String>,
        /// Go on although acknowledged writes may be lost.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Say how a statement is classified, where it may run, and why. Needs no server.
    ///
    /// With --jsonl a whole query log can be audited: each line of the standard input is a JSON object with "sql" and, where they differ
    /// from the options, "schema", "sql_mode", "charset" and "engine". Each gets a line with "class", "target", "because", "digest" and "pins".
    #[allow(clippy::doc_markdown, reason = "the words are shown as they are")]
    Explain(ExplainRequest),
}

/// Which Pointsman is asked.
#[derive(Debug, Args)]
pub(crate) struct Running {
    /// Its configuration file, for `[admin] socket`.
    #[arg(long, required_unless_present = "socket")]
    pub(crate) config: Option<PathBuf>,
    /// The socket itself.
    #[arg(long, conflicts_with = "config")]
    pub(crate) socket: Option<PathBuf>,
}

/// How to run.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The configuration file.
    #[arg(long)]
    pub(crate) config: PathBuf,
    /// How sessions are spread over threads. The default is the faster one; the other is for measurements.
    #[arg(long, value_enum, default_value_t = RuntimeKind::WorkerPerCore, hide = true)]
    pub(crate) runtime: RuntimeKind,
    /// Ask every client for its password in full: for tests of that exchange.
    #[arg(long, hide = true)]
    pub(crate) force_full_authentication: bool,
    /// Take the place of the process that has started this one.
    #[arg(long, hide = true)]
    pub(crate) take_over: bool,
}

/// The two ways to spread sessions over threads.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RuntimeKind {
    WorkerPerCore,
    MultiThread,
}

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct ExplainRequest {
    /// The statement.
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
    pub(crate) sql: Option<String>,
    /// Read statements from the standard input, one JSON object a line.
    #[arg(long)]
    pub(crate) jsonl: bool,
    /// The servers' grammar.
    #[arg(long, value_enum, default_value_t = Engine::Mysql)]
    pub(crate) engine: Engine,
    /// The session's `sql_mode`.
    #[arg(long, default_value = "")]
    pub(crate) sql_mode: String,
    /// The session's character set.
    #[arg(long, default_value = "utf8mb4")]
    pub(crate) charset: String,
    /// The session's default schema.
    #[arg(long)]
    pub(crate) schema: Option<String>,
}

/// The servers' kind.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Engine {
    Mysql,
    Mariadb,
}

impl From<Engine> for Dialect {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Mysql => Self::MySql,
            Engine::Mariadb => Self::MariaDb,
        }
    }
}

/// Prints an answer. It is no error if the reader has gone away.
pub(crate) fn say(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
