//! A simulated cluster: servers, networks, clients and proxies as a model with a clock of its own, for the decisions of `failover`.
//!
//! The proxies run the real `topology::Cluster`, `failover::find` and `failover::plan`. All chance comes from one seed, so a run can be repeated
//! exactly. While faults happen, and after every event, the invariants are checked (see [`check`]).
//!
//! Left out: time zones, disks (a crash loses no synced data), and everything that a statement means. A commit that MySQL acknowledges
//! because it is shut down is not counted as acknowledged, as the planner cannot prevent that.

mod check;
mod executor;
mod faults;
mod monitor;
mod proxy;
mod replication;
mod server;
mod writes;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use failover::{Durability, Member, Policy, Step};
use topology::{Engine, ServerId, ThreadState};

use crate::random::Random;
use faults::Fault;
use proxy::Proxy;
use server::{ReplyTo, Server, Transaction, Tx};

/// Milliseconds after which a replica notices that its source has fallen silent.
const NET_TIMEOUT: u64 = 4000;
/// Faults begin within this time, in milliseconds.
const FAULTS_UNTIL: u64 = 12_000;
/// By then all faults are over, at the latest.
const CALM_AT: u64 = 20_000;
/// A person does what the finding says.
const OPERATOR_AT: u64 = 35_000;
/// By then the cluster has healed.
const HEALED_BY: u64 = 60_000;
const TRACE_LINES: usize = 120;

/// A decision that is broken on purpose, to see that the simulator notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// Replicas count as frozen although they still receive.
    SkipFreeze,
    /// The replica that has least is promoted.
    ChooseLeastAdvanced,
    /// A replica is promoted before it has applied what it has received.
    SkipDrain,
    /// A promotion does not check whether the remaining replicas have every acknowledged write.
    SkipQuorum,
    /// The old primary still gets writes during a promotion, and its answers count.
    IgnoreFence,
}

/// The options of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Print every event.
    pub is_traced: bool,
    /// Broken on purpose.
    pub breakage: Option<Breakage>,
}

/// What happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events.
    pub events: u64,
    /// Writes that were acknowledged to clients.
    pub acknowledged: usize,
    /// Promotions and switchovers.
    pub opened: usize,
    /// A person had to act.
    pub operator: usize,
    /// Acknowledged writes that are missing at the end, where that is allowed.
    pub lost: usize,
}

/// Runs one seed.
///
/// # Errors
/// The invariant that does not hold, with the seed and the last events.
pub fn run(seed: u64, options: Options) -> Result<Summary, String> {
    let mut world = World::new(seed, options);
    match world.run() {
        Ok(()) => Ok(world.summary),
        Err(why) if options.is_traced => Err(format!("seed {seed}: {why}")),
        // Lines are kept only when they are wanted.
        Err(_) => {
            let mut world = World::new(seed, options);
            world.is_recording = true;
            let why = world.run().err().unwrap_or_else(|| "the second run of this seed went another way".to_owned());
            let lines: Vec<String> = world.trace.into();
            Err(format!("{}\nPOINTSMAN_SEED={seed} repeats it: {why}", lines.join("\n")))
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Event {
    ClientWrites { proxy: usize },
    WriteArrives { to: usize, reply: ReplyTo },
    Reply { from: usize, tx: Tx, reply: ReplyTo },
    Pull { replica: usize },
    Ack { source: usize, incarnation: u32, replica: usize, tx: Tx },
    Apply { replica: usize },
    ConnectIo { replica: usize },
    CheckIo { replica: usize },
    ProbeTimer { proxy: usize, incarnation: u32, server: usize },
    ProbeArrives { probe: Probe },
    ProbeEnds { probe: Probe, outcome: Outcome },
    StepArrives { of: Stage, step: Step },
    StepEnds { of: Stage, is_done: bool, step: Step },
    Begin { fault: Fault },
    End { fault: Fault },
    Calm,
    Operator,
}

/// Where a step belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stage {
    proxy: usize,
    incarnation: u32,
    round: u64,
    place: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Probe {
    proxy: usize,
    incarnation: u32,
    server: usize,
    sent_at: u64,
    /// Of the phase that waits for it; `None` for the regular ones.
    round: Option<u64>,
    number: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Seen(Box<topology::Observation>),
    Refused,
    Full,
    Silent,
}

struct Scheduled {
    at: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct World {
    random: Random,
    options: Options,
    is_recording: bool,
    trace: VecDeque<String>,
    start: Instant,
    now: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    numbers: u64,
    servers: Vec<Server>,
    proxies: Vec<Proxy>,
    all: Vec<Transaction>,
    /// From one node to another nothing gets through. Proxies come after the servers.
    blocked: BTreeSet<(usize, usize)>,
    policy: Policy,
    is_lossless: bool,
    uses_locks: bool,
    last_acked: Option<(Tx, usize)>,
    answered_probes: BTreeSet<u64>,
    is_calm: bool,
    healed_since: Option<u64>,
    summary: Summary,
    failure: Option<String>,
}

impl World {
    fn new(seed: u64, options: Options) -> World {
        let mut random = Random::new(seed);
        let engine = if random.percent(50) { Engine::MySql } else { Engine::MariaDb };
        let count = usize::try_from(random.between(2, 5)).unwrap();
        // With two servers one is no majority, so that two proxies cannot exclude each other.
        let proxies = if random.percent(30) && count > 2 { 2 } else { 1 };
        let is_lossless = random.percent(60);
        let has_semi_sync = is_lossless || random.percent(40);
        let skips_quorum = options.breakage == Some(Breakage::SkipQuorum);
        let durability = match is_lossless && !skips_quorum {
            true if random.percent(50) => Durability::Lossless,
            true => Durability::Auto,
            false => Durability::Bounded,
        };
        let mut members = vec![Member::default(); count];
        for member in &mut members {
            member.priority = u8::try_from(random.between(99, 101)).unwrap();
        }
        if count > 3 && random.percent(20) {
            members[count - 1].never_promote = true;
        }
        let policy = Policy {
            durability,
            members: (0..).map(ServerId).zip(members).collect(),
            hang: Duration::from_millis(random.between(1000, 6000)),
            cooldown: Duration::ZERO,
            daily_max: 1000,
            has_replication_account: true,
        };
        let mut servers: Vec<Server> = (0..count).map(|id| Server::new(id, engine)).collect();
        let acks = if engine == Engine::MySql && count > 3 && random.percent(40) { 2 } else { 1 };
        for server in &mut servers {
            server.has_semi_sync = has_semi_sync;
            server.acks = acks;
            server.replica_enabled = has_semi_sync;
            server.boots_read_only = random.percent(50);
            server.apply_delay = if random.percent(20) { random.between(5, 60) } else { 0 };
            if server.id > 0 {
                server.source = Some(0);
                server.io = ThreadState::Connecting;
                server.sql = true;
            }
        }
        servers[0].read_only = false;
        servers[0].source_enabled = has_semi_sync;
        let uses_locks = proxies > 1 || random.percent(20);
        World {
            random,
            options,
            is_recording: options.is_traced,
            trace: VecDeque::new(),
            start: Instant::now(),
            now: 0,
            queue: BinaryHeap::new(),
            numbers: 0,
            proxies: (0..proxies).map(|_| Proxy::new(count)).collect(),
            servers,
            all: Vec::new(),
            blocked: BTreeSet::new(),
            policy,
            is_lossless,
            uses_locks,
            last_acked: None,
            answered_probes: BTreeSet::new(),
            is_calm: false,
            healed_since: None,
            summary: Summary::default(),
            failure: None,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let about = (self.servers[0].engine, self.servers.len(), self.proxies.len(), self.is_lossless, self.servers[0].acks);
        self.say(|| format!("engine, servers, proxies, lossless, acks: {about:?}"));
        for replica in 1..self.servers.len() {
            self.after(0, Event::ConnectIo { replica });
        }
        for proxy in 0..self.proxies.len() {
            self.start_proxy(proxy);
            self.after(200, Event::ClientWrites { proxy });
        }
        self.plan_faults();
        self.at(OPERATOR_AT, Event::Operator);
        while let Some(Reverse(next)) = self.queue.pop() {
            self.now = next.at;
            self.summary.events += 1;
            self.handle(next.event);
            if let Some(why) = self.failure.take() {
                return Err(why);
            }
            if self.is_calm && self.has_healed() {
                return self.check_end();
            }
            if self.now > HEALED_BY && !self.is_lossless && self.proxies.len() > 1 {
                // Each proxy may have opened another server while they had different views: a person has to choose.
                self.summary.operator += 1;
                return Ok(());
            }
            if self.now > HEALED_BY {
                return Err(format!("the cluster has not healed: {}", self.describe()));
            }
        }
        Err("nothing happens any more".to_owned())
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::ClientWrites { proxy } => self.client_writes(proxy),
            Event::WriteArrives { to, reply } => self.write_arrives(to, reply),
            Event::Reply { from, tx, reply } => self.reply(from, tx, reply),
            Event::Pull { replica } => self.pull(replica),
            Event::Ack { source, incarnation, replica, tx } => self.ack(source, incarnation, replica, tx),
            Event::Apply { replica } => self.apply(replica),
            Event::ConnectIo { replica } => self.connect_io(replica),
            Event::CheckIo { replica } => self.check_io(replica),
            Event::ProbeTimer { proxy, incarnation, server } => self.probe_timer(proxy, incarnation, server),
            Event::ProbeArrives { probe } => self.probe_arrives(probe),
            Event::ProbeEnds { probe, outcome } => self.probe_ends(probe, outcome),
            Event::StepArrives { of, step } => self.step_arrives(of, step),
            Event::StepEnds { of, is_done, step } => self.step_ends(of, is_done, &step),
            Event::Begin { fault } => self.begin(fault),
            Event::End { fault } => self.end(fault),
            Event::Calm => self.calm(),
            Event::Operator => self.operator(),
        }
    }

    fn at(&mut self, at: u64, event: Event) {
        self.numbers += 1;
        self.queue.push(Reverse(Scheduled { at, number: self.numbers, event }));
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    fn instant(&self, at: u64) -> Instant {
        self.start + Duration::from_millis(at)
    }

    /// Packets get from one node to the other.
    fn is_open(&self, from: usize, to: usize) -> bool {
        !self.blocked.contains(&(from, to))
    }

    fn is_open_both_ways(&self, one: usize, other: usize) -> bool {
        self.is_open(one, other) && self.is_open(other, one)
    }

    /// The node of a proxy.
    fn node(&self, proxy: usize) -> usize {
        self.servers.len() + proxy
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        if !self.is_recording {
            return;
        }
        let line = format!("{:>6} {}", self.now, line());
        #[allow(clippy::print_stderr, reason = "asked for")]
        if self.options.is_traced {
            eprintln!("{line}");
        }
        self.trace.push_back(line);
        if self.trace.len() > TRACE_LINES {
            self.trace.pop_front();
        }
    }

    fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }
}
