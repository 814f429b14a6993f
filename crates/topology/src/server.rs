//! One server as the readers of a [`Snapshot`](crate::Snapshot) see it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Position, ServerState, SessionDefaults, Share, Uuid, Version};

/// The place of a server in the configured list. It stays the same for as long as the list does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u16);

impl ServerId {
    /// The same number, to index a list that is parallel to the configured one.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// MySQL or MariaDB. The two differ in their GTIDs, their statements and their protocol extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// MySQL, and what descends from it without a new GTID model (Percona Server).
    MySql,
    /// MariaDB.
    MariaDb,
}

impl Engine {
    /// The engine whose server has these `@@version` and `@@version_comment`.
    pub fn of(version_text: &str, version_comment: &str) -> Engine {
        let says_mariadb = |text: &str| text.to_ascii_lowercase().contains("mariadb");
        if says_mariadb(version_text) || says_mariadb(version_comment) { Engine::MariaDb } else { Engine::MySql }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::MySql => "MySQL",
            Engine::MariaDb => "MariaDB",
        })
    }
}

/// What a server is among the others.
///
/// A server that is down keeps the role that it had when it was last seen, except that a primary whose role went to another
/// is a [`Stray`](Role::Stray). So look at [`Snapshot::primary`](crate::Snapshot::primary) for the server to write to, not for
/// one with [`Role::Primary`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// Accepts writes, and the others follow it.
    Primary,
    /// Read-only, or has a replication source configured.
    Replica,
    /// Writable, but not the primary that the others follow: gets nothing.
    Stray,
    /// Not seen yet.
    #[default]
    Unknown,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Primary => "primary",
            Role::Replica => "replica",
            Role::Stray => "stray",
            Role::Unknown => "unknown",
        })
    }
}

/// Whether the server answers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Health {
    /// No answer and no failure yet.
    #[default]
    Unknown,
    /// It answers, and applications may log in.
    Up,
    /// It does not answer, or lets no application in.
    Down {
        /// What is wrong and where to look, for a human.
        why: Arc<str>,
    },
}

/// Whether a replication thread works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ThreadState {
    /// It runs; as the IO thread, it is connected to its source.
    Running,
    /// The IO thread is trying to reach its source.
    Connecting,
    /// Stopped, by an error or by a human.
    #[default]
    Stopped,
}

/// The identity of a replica's source, which no port mapping or second name can hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceId {
    /// `Source_UUID` of MySQL.
    Uuid(Uuid),
    /// `Master_Server_Id` of MariaDB.
    ServerId(u32),
}

/// One replication channel of a replica, from `SHOW REPLICA STATUS` or `SHOW ALL SLAVES STATUS`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Replication {
    /// The thread that fetches events from the source.
    pub io: ThreadState,
    /// The thread (in MySQL the coordinator) that applies them.
    pub applier: ThreadState,
    /// `host:port` as the replica knows it. It need not be the address that we use for the same server.
    pub source: Option<Arc<str>>,
    /// The identity of the source when the replica last reached it.
    pub source_id: Option<SourceId>,
    /// `Seconds_Behind_Source`, for display only: it says 0 while a frozen primary looks connected, for up to 60 s (`replica_net_timeout`, MySQL
    /// manual 19.1.6.3; MariaDB `slave_net_timeout`). Routing uses [`Server::staleness`].
    pub seconds_behind: Option<u64>,
    /// What of the source's changes it does not apply, or applies elsewhere (`Replicate_Do_DB` and the like), in words.
    pub filters: Option<Arc<str>>,
    /// `SQL_Delay`: it applies what it received only after this delay, on purpose.
    pub delay: Duration,
    /// It finds its position by GTID (`Auto_Position`, `Using_Gtid`), so it can be repointed to another source.
    pub uses_gtids: bool,
    /// `Last_IO_Errno`: why the IO thread does not run, as a MySQL error number.
    pub io_error: Option<u32>,
    /// `Last_SQL_Errno`: why the applier does not run. One that stopped on an error would stop again.
    pub applier_error: Option<u32>,
    /// The last error of either thread, in words.
    pub last_error: Option<Arc<str>>,
}

/// One server, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its place in the configured list and in [`Snapshot::servers`](crate::Snapshot::servers).
    pub id: ServerId,
    /// Its name in the config.
    pub name: Arc<str>,
    /// `host:port` in the config.
    pub address: Arc<str>,
    /// Its share of the reads, relative to those of the others.
    pub weight: u32,
    /// Which traffic a person lets it have.
    pub state: ServerState,
    /// When it came back: it was down before, or a person had taken its reads away. `None`: it was there all the time.
    pub back_since: Option<Instant>,
    /// Whether it answers.
    pub health: Health,
    /// What it is among the others.
    pub role: Role,
    /// MySQL or MariaDB. Like all fields below, known once it has answered.
    pub engine: Option<Engine>,
    /// Its version as numbers.
    pub version: Option<Version>,
    /// `@@version`.
    pub version_text: Option<Arc<str>>,
    /// `@@global.sql_mode`: what a new session starts with.
    pub sql_mode: Option<Arc<str>>,
    /// What a new session starts with.
    pub defaults: Option<Arc<SessionDefaults>>,
    /// For a primary everything that it committed, for another everything that it applied. `None` if it keeps no GTIDs.
    pub position: Option<Position>,
    /// Its replication channel; of several, the one in the worst state.
    pub replication: Option<Replication>,
    /// As a replica: what is left out on the way from the primary to it, by itself or by those before it, in words.
    pub filters: Option<Arc<str>>,
    /// As a replica: transactions that it has and the primary does not. Its data is not the primary's, so it is not proven fresh.
    pub diverged: Option<Arc<str>>,
    /// As a replica: it commits in the order of its source, so a read that sees one transaction sees all before it.
    pub keeps_commit_order: bool,
    /// It has everything that the primary had at this moment of our own clock.
    pub fresh_as_of: Option<Instant>,
    /// A question that was sent at this moment of our own clock has had no answer, for longer than an answer takes. The server is still up until this
    /// has lasted for several looks.
    pub silent_since: Option<Instant>,
    /// As the primary: what it acknowledges survives its loss. False while replicas should confirm each commit and there are too few to do so. An OK
    /// then comes either from a server that is shutting down (MySQL acknowledges waiting commits), or after a replica has connected. A look that
    /// begins after the OK tells which.
    pub acks_trusted: bool,
    /// When the look began on which `acks_trusted` is based.
    pub acks_seen_at: Option<Instant>,
}

impl Server {
    /// A server of which only the config is known.
    pub fn new(id: ServerId, name: impl Into<Arc<str>>, address: impl Into<Arc<str>>, weight: u32) -> Server {
        Server {
            id,
            name: name.into(),
            address: address.into(),
            weight,
            state: ServerState::Active,
            back_since: None,
            health: Health::Unknown,
            role: Role::Unknown,
            engine: None,
            version: None,
            version_text: None,
            sql_mode: None,
            defaults: None,
            position: None,
            replication: None,
            filters: None,
            diverged: None,
            keeps_commit_order: false,
            fresh_as_of: None,
            silent_since: None,
            acks_trusted: true,
            acks_seen_at: None,
        }
    }

    /// How much the data of this server may be behind the primary's: an upper bound, not an estimate.
    ///
    /// Zero for the primary. `None` means that nothing is proven: treat it as infinitely stale. The value grows while no new proof arrives, whatever
    /// the cause: a stopped applier, a frozen primary, a monitor that cannot reach either.
    pub fn staleness(&self, now: Instant) -> Option<Duration> {
        if self.role == Role::Primary {
            return Some(Duration::ZERO);
        }
        self.fresh_as_of.map(|moment| now.saturating_duration_since(moment))
    }

    /// Its share of the traffic.
    pub fn share(&self) -> Share {
        Share { weight: self.weight, state: self.state }
    }

    /// It is up and not silent.
    pub fn answers(&self) -> bool {
        self.is_up() && self.silent_since.is_none()
    }

    /// It answers, and applications may log in.
    pub fn is_up(&self) -> bool {
        self.health == Health::Up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_text_tells_the_engine() {
        for (version, comment, expected) in [
            ("8.0.36", "MySQL Community Server - GPL", Engine::MySql),
            ("8.0.36-28", "Percona Server (GPL), Release 28", Engine::MySql),
            ("10.11.19-MariaDB-0+deb12u1", "Debian 12", Engine::MariaDb),
            ("11.4.2", "mariadb.org binary distribution", Engine::MariaDb),
        ] {
            assert_eq!(Engine::of(version, comment), expected, "{version} {comment}");
        }
    }

    #[test]
    fn a_server_answers_while_it_is_up_and_not_silent() {
        let server = |health, silent_since| Server { health, silent_since, ..Server::new(ServerId(1), "b", "b:3306", 1) };
        assert!(server(Health::Up, None).answers());
        assert!(!server(Health::Up, Some(Instant::now())).answers());
        assert!(!server(Health::Unknown, None).answers());
    }

    #[test]
    fn people_read_servers_engines_and_roles_by_their_names() {
        assert_eq!(ServerId(7).to_string(), "7");
        assert_eq!([Engine::MySql, Engine::MariaDb].map(|engine| engine.to_string()), ["MySQL", "MariaDB"]);
        let roles = [Role::Primary, Role::Replica, Role::Stray, Role::Unknown].map(|role| role.to_string());
        assert_eq!(roles, ["primary", "replica", "stray", "unknown"]);
    }
}
