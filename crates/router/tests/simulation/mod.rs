//! A simulation of reads on replicas: discrete events, one seed, no clock of its own.
//!
//! Each replica works on a few reads at once, and the others queue; service times are exponential, as a mix of cheap and dear reads is. Clients send one
//! read after another, with a pause between them. Each belongs to a worker, and each worker has a balancer of its own that knows only its own reads.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use classifier::Digest;
use router::{Balancer, Balancing, Candidate, Ending};
use topology::ServerId;

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Each replica's mean service time in microseconds, and the same after half of the time.
    pub services: Vec<(u64, u64)>,
    /// Each replica's weight.
    pub weights: Vec<u32>,
    /// Reads that a replica works on at once.
    pub cores: usize,
    pub clients: usize,
    pub workers: usize,
    /// A client's mean pause between two reads, in microseconds.
    pub pause: u64,
    /// Kinds of reads: how many times the mean service time each takes. A client chooses one at random.
    pub kinds: Vec<u64>,
    pub seconds: u64,
    pub balancing: Balancing,
    pub seed: u64,
}

impl Scenario {
    /// Three replicas, of which the last is as slow as this; all others answer in a millisecond.
    pub fn with_one_slow(times: u64, balancing: Balancing) -> Self {
        Self {
            services: vec![(1000, 1000), (1000, 1000), (1000 * times, 1000 * times)],
            weights: vec![1; 3],
            cores: 4,
            clients: 16,
            workers: 2,
            pause: 5000,
            kinds: vec![1],
            seconds: 120,
            balancing,
            seed: 1,
        }
    }

    /// The same clients, and only the good replicas.
    pub fn without_the_slow(&self) -> Self {
        let good = self.services.len() - 1;
        Self { services: self.services[..good].to_vec(), weights: self.weights[..good].to_vec(), ..self.clone() }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Figures {
    /// Response times in microseconds, sorted.
    times: Vec<u64>,
    /// Reads of each replica, in the first half and in the second.
    pub reads: Vec<[usize; 2]>,
}

impl Figures {
    /// In microseconds.
    pub fn percentile(&self, per_mille: usize) -> u64 {
        self.times[(self.times.len() - 1) * per_mille / 1000]
    }

    /// A replica's share of the reads in one half of the time, in per cent.
    pub fn share(&self, replica: usize, half: usize) -> f64 {
        let of = |reads: &[usize; 2]| f64::from(u32::try_from(reads[half]).unwrap());
        of(&self.reads[replica]) * 100.0 / self.reads.iter().map(of).sum::<f64>()
    }
}

/// Random numbers: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times of a simulation"
    )]
    fn exponential(&mut self, mean: u64) -> u64 {
        let uniform = ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        (-uniform.ln() * mean as f64) as u64
    }
}

/// One read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Read {
    client: usize,
    replica: usize,
    kind: usize,
    sent: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client sends its next read.
    Send(usize),
    Answered(Read),
}

struct Replica {
    busy: usize,
    queue: VecDeque<Read>,
}

struct World<'a> {
    scenario: &'a Scenario,
    random: Random,
    start: Instant,
    now: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    replicas: Vec<Replica>,
    workers: Vec<Balancer>,
    figures: Figures,
}

/// Runs a scenario.
pub fn run(scenario: &Scenario) -> Figures {
    let count = scenario.services.len();
    let replica = || Replica { busy: 0, queue: VecDeque::new() };
    let mut world = World {
        scenario,
        random: Random(scenario.seed),
        start: Instant::now(),
        now: 0,
        events: (0..scenario.clients).map(|client| Reverse((0, Event::Send(client)))).collect(),
        replicas: (0..count).map(|_| replica()).collect(),
        workers: (0..scenario.workers).map(|worker| Balancer::seeded(u64::try_from(worker).unwrap())).collect(),
        figures: Figures { times: Vec::new(), reads: vec![[0; 2]; count] },
    };
    world.run();
    world.figures.times.sort_unstable();
    world.figures
}

impl World<'_> {
    fn run(&mut self) {
        while let Some(Reverse((at, event))) = self.events.pop() {
            if at > self.scenario.seconds * 1_000_000 {
                return;
            }
            self.now = at;
            match event {
                Event::Send(client) => self.send(client),
                Event::Answered(read) => self.take_answer(read),
            }
        }
    }

    fn send(&mut self, client: usize) {
        let weights = self.scenario.weights.iter();
        let candidates =
            (0..).map(ServerId).zip(weights).map(|(server, weight)| Candidate { server, weight: *weight, back_since: None });
        let moment = self.moment();
        let balancer = &mut self.workers[client % self.scenario.workers];
        let server = balancer.choose(&self.scenario.balancing, candidates, moment).expect("a replica");
        balancer.begin(server);
        let kind = self.random.below(self.scenario.kinds.len());
        let read = Read { client, replica: server.index(), kind, sent: self.now };
        let half = usize::from(self.is_second_half());
        self.figures.reads[read.replica][half] += 1;
        self.replicas[read.replica].queue.push_back(read);
        self.serve(read.replica);
    }

    fn serve(&mut self, replica: usize) {
        while self.replicas[replica].busy < self.scenario.cores {
            let Some(read) = self.replicas[replica].queue.pop_front() else { return };
            self.replicas[replica].busy += 1;
            let (first, second) = self.scenario.services[replica];
            let mean = if self.is_second_half() { second } else { first };
            let service = self.random.exponential(mean * self.scenario.kinds[read.kind]);
            self.events.push(Reverse((self.now + service, Event::Answered(read))));
        }
    }

    fn take_answer(&mut self, read: Read) {
        let took = self.now - read.sent;
        self.figures.times.push(took);
        let digest = Digest(u128::try_from(read.kind).unwrap());
        let ending = Ending::Read { digest, response: Duration::from_micros(took) };
        let moment = self.moment();
        self.workers[read.client % self.scenario.workers].end(ServerId(u16::try_from(read.replica).unwrap()), ending, moment);
        self.replicas[read.replica].busy -= 1;
        self.serve(read.replica);
        let pause = self.random.exponential(self.scenario.pause);
        self.events.push(Reverse((self.now + pause, Event::Send(read.client))));
    }

    fn moment(&self) -> Instant {
        self.start + Duration::from_micros(self.now)
    }

    fn is_second_half(&self) -> bool {
        self.now >= self.scenario.seconds * 500_000
    }
}
