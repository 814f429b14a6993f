//! Which of several replicas answers a read.
//!
//! Each algorithm has a file of its own, and sees the same: the candidates with their weights, and the [`Load`]. Before its turn, outliers are left
//! out ([`crate::ejection`]), and the weights of those that have just come back are reduced. How each algorithm does with one slow server is in
//! `benches/balancing.rs`.

mod chance;
mod latency;
mod least_connections;
mod observed;
mod random_of_two;
mod round_robin;

use std::time::{Duration, Instant};

use classifier::Digest;
use topology::{Server, ServerId};

use self::chance::Chance;
use self::round_robin::Turns;
use crate::ejection::{Ejected, Ejection, EjectionPolicy, Ejections};
use crate::load::Load;

/// How one of several servers is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The one with the fewest statements of this worker under way for its weight; in turn among several.
    LeastConnections,
    /// The one with the least load for its weight, by the statements under way and how long its reads take; in turn among several.
    #[default]
    Observed,
    /// Of two at random, the one with the least load.
    RandomOfTwo,
    /// In turn, by weight and by how long its reads take.
    Latency,
}

impl Balance {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConnections => "least_connections",
            Self::Observed => "observed",
            Self::RandomOfTwo => "random_of_two",
            Self::Latency => "latency",
        }
    }
}

/// How reads are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balancing {
    /// The choice among the candidates.
    pub balance: Balance,
    /// The share of a server that comes back grows over this time.
    pub slow_start: Duration,
    /// Which candidates are left out.
    pub ejection: EjectionPolicy,
}

impl Default for Balancing {
    fn default() -> Self {
        Self { balance: Balance::default(), slow_start: Duration::from_secs(10), ejection: EjectionPolicy::default() }
    }
}

/// A server that may answer a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub server: ServerId,
    /// Its share, at least 1.
    pub weight: u32,
    /// When it came back, if it was away.
    pub back_since: Option<Instant>,
}

impl From<&Server> for Candidate {
    fn from(server: &Server) -> Self {
        Self { server: server.id, weight: server.weight, back_since: server.back_since }
    }
}

/// What became of a statement, as far as it says something about its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A plain read was answered, `response` after it was sent.
    Read {
        /// Of its text.
        digest: Digest,
        /// From the moment when it was sent.
        response: Duration,
    },
    /// It was answered, with an error or not.
    Answered,
    /// The server failed by its own fault: it was lost, refused a connection, or has run out of something.
    Failed,
    /// It says nothing about the server: the client left, or the statement was stopped.
    GivenUp,
}

/// One of the candidates, with what its weight comes to.
#[derive(Debug, Clone, Copy)]
struct Weighted {
    server: ServerId,
    /// In hundredths of the configured one while it is reduced.
    weight: u64,
}

/// A whole weight of 1.
const WHOLE: u64 = 100;

/// The part of its weight, in [`WHOLE`], with which a server begins that comes back.
const FIRST_SHARE: u64 = 10;

impl Weighted {
    fn share(&self) -> f64 {
        self.scaled_share(1.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "weights are small numbers")]
    fn scaled_share(&self, factor: f64) -> f64 {
        self.weight as f64 * factor
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a weight times a positive factor")]
    fn scaled(&self, factor: f64) -> Self {
        Self { weight: self.scaled_share(factor).max(1.0) as u64, ..*self }
    }
}

/// The balancer's memory. One for each worker thread, so it needs no lock shared between threads.
#[derive(Debug, Clone)]
pub struct Balancer {
    turns: Turns,
    /// Those of [`Balance::Latency`], whose weights have another scale.
    shares: Turns,
    chance: Chance,
    load: Load,
    ejections: Ejections,
    /// The last ejection that was not reported yet.
    news: Option<Ejected>,
    /// Replicas that did not catch up in time, and when.
    late: Vec<(ServerId, Instant)>,
    /// Room for the candidates, so that a choice allocates nothing.
    candidates: Vec<Candidate>,
    weighted: Vec<Weighted>,
}

/// For this long, no statement waits again for a replica that did not catch up in time.
const LATE: Duration = Duration::from_secs(1);

impl Balancer {
    /// Knows nothing yet. Balancers of different seeds make different random choices.
    pub fn seeded(seed: u64) -> Self {
        Self {
            turns: Turns::default(),
            shares: Turns::default(),
            chance: Chance::seeded(seed),
            load: Load::default(),
            ejections: Ejections::default(),
            news: None,
            late: Vec::new(),
            candidates: Vec::new(),
            weighted: Vec::new(),
        }
    }

    /// Chooses one of the candidates. `None` if there are none.
    pub fn choose(
        &mut self,
        balancing: &Balancing,
        candidates: impl Iterator<Item = Candidate>,
        now: Instant,
    ) -> Option<ServerId> {
        self.candidates.clear();
        self.candidates.extend(candidates);
        let ejected = self.ejections.sift(&mut self.candidates, &mut self.load, &balancing.ejection, now);
        self.news = ejected.or(self.news);
        self.weighted.clear();
        for candidate in &self.candidates {
            let since = candidate.back_since.max(self.ejections.back_since(candidate.server));
            let weight = u64::from(candidate.weight) * grown(since, balancing.slow_start, now);
            self.weighted.push(Weighted { server: candidate.server, weight });
        }
        let (candidates, load) = (self.weighted.as_slice(), &self.load);
        match balancing.balance {
            Balance::RoundRobin => self.turns.take(candidates.iter().copied()),
            Balance::LeastConnections => least_connections::choose(candidates, load, &mut self.turns),
            Balance::Observed => observed::choose(candidates, load, &mut self.turns, now),
            Balance::RandomOfTwo => random_of_two::choose(candidates, load, &mut self.chance, now),
            Balance::Latency => latency::choose(candidates, load, &mut self.shares, now),
        }
    }

    /// A statement has been given to this server.
    pub fn begin(&mut self, server: ServerId) {
        self.load.begin(server);
    }

    /// It has ended.
    pub fn end(&mut self, server: ServerId, ending: Ending, now: Instant) {
        self.load.end(server);
        match ending {
            Ending::Read { digest, response } => {
                self.load.answered(server, digest, response, now);
                self.ejections.note_answer(server, now);
            }
            Ending::Answered => self.ejections.note_answer(server, now),
            Ending::Failed => self.ejections.note_failure(server, now),
            Ending::GivenUp => {}
        }
    }

    /// The load of the servers, as this worker sees it.
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// Why this worker gives a server no reads, since when, and until when.
    pub fn ejection(&self, server: ServerId, now: Instant) -> Option<Ejection> {
        self.ejections.present(server, now)
    }

    /// An ejection since this was asked last.
    pub fn take_news(&mut self) -> Option<Ejected> {
        self.news.take()
    }

    /// Whether waiting for this replica to catch up is worth a try.
    pub fn may_wait(&self, server: ServerId, now: Instant) -> bool {
        self.late.iter().all(|(late, since)| *late != server || now.saturating_duration_since(*since) >= LATE)
    }

    /// Notes that this replica did not catch up in time.
    pub fn note_late(&mut self, server: ServerId, now: Instant) {
        self.late.retain(|(late, _)| *late != server);
        self.late.push((server, now));
    }
}

/// The part of its weight, in [`WHOLE`], that a server has which is back since then.
fn grown(since: Option<Instant>, slow_start: Duration, now: Instant) -> u64 {
    let Some(since) = since else { return WHOLE };
    let passed = now.saturating_duration_since(since);
    if passed >= slow_start {
        return WHOLE;
    }
    let part = passed.as_nanos() * u128::from(WHOLE) / slow_start.as_nanos();
    u64::try_from(part).unwrap_or(WHOLE).max(FIRST_SHARE)
}

#[cfg(test)]
mod tests;
