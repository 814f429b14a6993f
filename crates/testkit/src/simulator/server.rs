//! A database server, as far as replication is concerned: its binary log, relay log, threads and semi-synchronous replication.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use topology::{
    BinlogState, Engine, Gtid, GtidPosition, GtidSet, Interval, Observation, Position, Replication, ReplicationSettings, Sample,
    SemiSync, SourceId, ThreadState, Uuid, Version,
};
use wire::error_code::{ER_GTID_STRICT_OUT_OF_ORDER, ER_SOURCE_FATAL_ERROR_READING_BINLOG};

/// A transaction, as a number that is unique in a run.
pub(crate) type Tx = usize;

/// What a transaction is.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) origin: usize,
    pub(crate) number: u64,
    /// When a client was told that it is committed.
    pub(crate) acked_at: Option<u64>,
    pub(crate) written_at: u64,
    /// Written to a replica by mistake.
    pub(crate) is_errant: bool,
    /// It may be missing at the end: a shutdown of MySQL acknowledged it, though no replica had it, or no acknowledgement was required.
    pub(crate) is_excused: bool,
    /// Servers that had acknowledged it and then threw it away unapplied.
    pub(crate) discarded_by: BTreeSet<usize>,
}

/// Where the answer to a write goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ReplyTo {
    pub(crate) proxy: usize,
    pub(crate) incarnation: u32,
    pub(crate) epoch: u64,
}

/// A commit that waits for acknowledgements.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) tx: Tx,
    pub(crate) acks: BTreeSet<usize>,
    pub(crate) reply: Option<ReplyTo>,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a variable or a thread of the server")]
pub(crate) struct Server {
    pub(crate) id: usize,
    pub(crate) engine: Engine,
    pub(crate) is_alive: bool,
    pub(crate) is_hung: bool,
    pub(crate) is_full: bool,
    pub(crate) incarnation: u32,
    pub(crate) started_at: u64,
    pub(crate) boots_read_only: bool,
    pub(crate) read_only: bool,
    pub(crate) offline: bool,
    pub(crate) writable_since: u64,
    /// When its state was last disturbed or restored.
    pub(crate) disturbed_at: u64,
    /// In the order of the binary log; those that wait for acknowledgements are in it, too.
    pub(crate) log: Vec<Tx>,
    pub(crate) logged: BTreeSet<Tx>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) relay: VecDeque<Tx>,
    pub(crate) source: Option<usize>,
    pub(crate) io: ThreadState,
    pub(crate) sql: bool,
    pub(crate) io_error: bool,
    pub(crate) applier_error: bool,
    /// The next entry of the source's log to be fetched.
    pub(crate) cursor: usize,
    /// Since when nothing came from the source although the thread says that it runs.
    pub(crate) cut_since: Option<u64>,
    pub(crate) acknowledges: bool,
    pub(crate) apply_delay: u64,
    pub(crate) source_enabled: bool,
    pub(crate) acks: u32,
    pub(crate) has_semi_sync: bool,
    pub(crate) replica_enabled: bool,
    /// The proxy and its incarnation.
    pub(crate) lock: Option<(usize, u32)>,
    pub(crate) is_pull_due: bool,
    pub(crate) is_apply_due: bool,

    executed: GtidSet,
    binlog_pos: GtidPosition,
    slave_pos: GtidPosition,
    slave_tx: Option<Tx>,
    state: BinlogState,
}

impl Server {
    pub(crate) fn new(id: usize, engine: Engine) -> Server {
        Server {
            id,
            engine,
            is_alive: true,
            is_hung: false,
            is_full: false,
            incarnation: 0,
            started_at: 0,
            boots_read_only: false,
            read_only: true,
            offline: false,
            writable_since: 0,
            disturbed_at: 0,
            log: Vec::new(),
            logged: BTreeSet::new(),
            waiting: Vec::new(),
            relay: VecDeque::new(),
            source: None,
            io: ThreadState::Stopped,
            sql: false,
            io_error: false,
            applier_error: false,
            cursor: 0,
            cut_since: None,
            acknowledges: false,
            apply_delay: 0,
            source_enabled: false,
            acks: 1,
            has_semi_sync: false,
            replica_enabled: false,
            lock: None,
            is_pull_due: false,
            is_apply_due: false,
            executed: GtidSet::default(),
            binlog_pos: GtidPosition::default(),
            slave_pos: GtidPosition::default(),
            slave_tx: None,
            state: BinlogState::default(),
        }
    }

    pub(crate) fn works(&self) -> bool {
        self.is_alive && !self.is_hung
    }

    pub(crate) fn has(&self, tx: Tx) -> bool {
        self.logged.contains(&tx) || self.relay.contains(&tx)
    }

    fn server_id(&self) -> u32 {
        u32::try_from(self.id).unwrap() + 1
    }

    /// The number of a transaction that is written here.
    pub(crate) fn next_number(&self, all: &[Transaction]) -> u64 {
        match self.engine {
            Engine::MySql => 1 + self.log.iter().filter(|tx| all[**tx].origin == self.id).count() as u64,
            Engine::MariaDb => {
                1 + [&self.binlog_pos, &self.slave_pos]
                    .iter()
                    .filter_map(|at| at.last(0))
                    .map(|last| last.sequence)
                    .max()
                    .unwrap_or(0)
            }
        }
    }

    /// Writes to the binary log.
    pub(crate) fn append(&mut self, tx: Tx, all: &[Transaction]) {
        self.log.push(tx);
        self.logged.insert(tx);
        if self.engine == Engine::MariaDb {
            let gtid = gtid_of(&all[tx]);
            self.binlog_pos.advance(0, gtid);
            self.state.add(0, gtid);
        }
    }

    /// It is committed: others see it.
    pub(crate) fn commit(&mut self, tx: Tx, all: &[Transaction]) {
        if self.engine == Engine::MySql {
            let number = all[tx].number;
            self.executed.add(uuid_of(all[tx].origin), None, Interval { first: number, last: number });
        }
    }

    /// Applies the next received transaction. False if that is impossible.
    pub(crate) fn apply_next(&mut self, all: &[Transaction]) -> bool {
        let Some(tx) = self.relay.front().copied() else { return false };
        if self.engine == Engine::MariaDb && self.binlog_pos.last(0).is_some_and(|last| last.sequence >= all[tx].number) {
            self.applier_error = true;
            self.sql = false;
            return false;
        }
        self.relay.pop_front();
        if !self.logged.contains(&tx) {
            self.append(tx, all);
            self.commit(tx, all);
        }
        self.slave_pos.advance(0, gtid_of(&all[tx]));
        self.slave_tx = Some(tx);
        true
    }

    /// MariaDB finds its place by the last transaction that it has received. `None` if the source does not know it.
    pub(crate) fn place_in(&self, source: &Server) -> Option<usize> {
        match (self.engine, self.relay.back().copied().or(self.slave_tx)) {
            (Engine::MySql, _) | (_, None) => Some(0),
            (Engine::MariaDb, Some(last)) => source.log.iter().rposition(|tx| *tx == last).map(|place| place + 1),
        }
    }

    /// `MASTER_DEMOTE_TO_SLAVE`
    pub(crate) fn demote(&mut self) {
        if self.engine == Engine::MariaDb {
            self.slave_pos.merge(&self.binlog_pos.clone());
            self.slave_tx = self.log.last().copied().or(self.slave_tx);
        }
    }

    /// Discards what is received and not applied.
    pub(crate) fn discard_relay_log(&mut self, all: &mut [Transaction]) {
        for tx in self.relay.drain(..) {
            all[tx].discarded_by.insert(self.id);
        }
    }

    /// Starts the applier. MariaDB discards what it has received if neither thread ran.
    pub(crate) fn start_sql(&mut self, all: &mut [Transaction]) {
        if self.source.is_none() || self.sql || self.applier_error {
            return;
        }
        if self.engine == Engine::MariaDb && self.io == ThreadState::Stopped {
            self.discard_relay_log(all);
        }
        self.sql = true;
    }

    pub(crate) fn crash(&mut self) {
        self.is_alive = false;
        self.is_hung = false;
        self.incarnation += 1;
        self.lock = None;
        self.io = ThreadState::Stopped;
        self.sql = false;
        self.cut_since = None;
        for waiting in &mut self.waiting {
            waiting.reply = None;
        }
    }

    /// What waited for acknowledgements is in the binary log, so it survives.
    pub(crate) fn restart(&mut self, now: u64, all: &mut [Transaction]) {
        self.is_alive = true;
        self.incarnation += 1;
        self.started_at = now;
        self.offline = false;
        self.read_only = self.boots_read_only || self.source.is_some();
        if !self.read_only {
            self.writable_since = now;
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.commit(waiting.tx, all);
        }
        if self.engine == Engine::MariaDb {
            self.discard_relay_log(all);
        }
        if self.source.is_some() {
            self.io = if self.io_error { ThreadState::Stopped } else { ThreadState::Connecting };
            self.sql = !self.applier_error;
        }
    }

    pub(crate) fn sample(&self, sent_at: Instant) -> Sample {
        Sample {
            sent_at,
            read_only: self.read_only,
            offline: self.offline,
            written: Some(match self.engine {
                Engine::MySql => Position::MySql(self.executed.clone()),
                Engine::MariaDb => Position::MariaDb(self.binlog_pos.union(&self.slave_pos)),
            }),
            applied: Some(self.applied()),
        }
    }

    fn applied(&self) -> Position {
        match self.engine {
            Engine::MySql => Position::MySql(self.executed.clone()),
            Engine::MariaDb => Position::MariaDb(self.slave_pos.clone()),
        }
    }

    fn received(&self, all: &[Transaction]) -> Position {
        let mut received = self.applied();
        for tx in &self.relay {
            match &mut received {
                Position::MySql(set) => {
                    set.add(uuid_of(all[*tx].origin), None, Interval { first: all[*tx].number, last: all[*tx].number });
                }
                Position::MariaDb(position) => position.advance(0, gtid_of(&all[*tx])),
            }
        }
        received
    }

    /// A full look.
    pub(crate) fn observe(&self, sent_at: Instant, uptime: Duration, all: &[Transaction], clients: u32) -> Observation {
        Observation {
            sample: self.sample(sent_at),
            engine: self.engine,
            version: Some(Version { major: 9, minor: 7, patch: 4 }),
            version_text: "9.7.4".into(),
            server_uuid: (self.engine == Engine::MySql).then(|| uuid_of(self.id)),
            server_id: self.server_id(),
            super_read_only: self.read_only,
            sql_mode: "".into(),
            binlog_state: (self.engine == Engine::MariaDb).then(|| self.state.clone()),
            defaults: None,
            binlog_filters: None,
            uptime,
            received: Some(self.received(all)),
            channels: self.source.map(|source| self.channel(source)).into_iter().collect(),
            semi_sync: self.has_semi_sync.then(|| self.semi_sync(clients)),
            settings: Arc::new(settings()),
        }
    }

    fn channel(&self, source: usize) -> Replication {
        Replication {
            io: self.io,
            applier: if self.sql { ThreadState::Running } else { ThreadState::Stopped },
            source: Some(address_of(source).into()),
            source_id: Some(match self.engine {
                Engine::MySql => SourceId::Uuid(uuid_of(source)),
                Engine::MariaDb => SourceId::ServerId(u32::try_from(source).unwrap() + 1),
            }),
            seconds_behind: Some(0),
            uses_gtids: true,
            io_error: self.io_error.then_some(ER_SOURCE_FATAL_ERROR_READING_BINLOG.into()),
            applier_error: self.applier_error.then_some(ER_GTID_STRICT_OUT_OF_ORDER.into()),
            ..Replication::default()
        }
    }

    fn semi_sync(&self, clients: u32) -> SemiSync {
        SemiSync {
            source_enabled: self.source_enabled,
            source_active: self.source_enabled,
            clients,
            waiting: u32::try_from(self.waiting.len()).unwrap(),
            acks: self.acks,
            timeout: Duration::from_hours(24),
            after_sync: true,
            waits_alone: true,
            replica_enabled: self.replica_enabled,
            replica_active: self.acknowledges,
        }
    }
}

fn settings() -> ReplicationSettings {
    ReplicationSettings {
        log_bin: true,
        logs_applied: true,
        row_format: true,
        gtids_enforced: true,
        syncs_binlog: true,
        flushes_at_commit: true,
        sync_relay_log: 1,
        keeps_commit_order: true,
        net_timeout: Duration::from_millis(super::NET_TIMEOUT),
        ..ReplicationSettings::default()
    }
}

fn gtid_of(transaction: &Transaction) -> Gtid {
    Gtid { server_id: u32::try_from(transaction.origin).unwrap() + 1, sequence: transaction.number }
}

fn uuid_of(server: usize) -> Uuid {
    Uuid(server as u128 + 1)
}

pub(crate) fn address_of(server: usize) -> String {
    format!("db{}:3306", server + 1)
}
