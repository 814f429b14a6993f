//! What one worker knows of the servers' load, from its own statements: how many are under way, and how long reads take.
//!
//! How long a read takes depends more on the read than on the server. So a server's *slowness* compares like with like: it is the average, over its
//! last reads, of what each took relative to what such reads usually take on any server ([`Typical`]). One report of ten seconds among reads of a
//! millisecond then says nothing against the server that happened to get it.

use std::time::{Duration, Instant};

use classifier::Digest;
use topology::ServerId;

use crate::typical::Typical;

/// The averages are over about this many reads.
const MEMORY: f32 = 16.0;

/// This many reads tell how slow a server is.
const PROVEN: f32 = 10.0;

/// A server that takes at most so many times as long as the quickest counts as equally quick. Less is noise, which would concentrate reads on one.
const SIMILAR: f32 = 2.0;

/// After this time without a read, half of what speaks against a server is forgotten, so that a slow one gets a read now and then and can show
/// that it has recovered.
const HALF_LIFE: Duration = Duration::from_secs(5);

/// One worker's statements on each server: those under way, and how long the last reads took.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// By server number; grows to the number of servers.
    servers: Vec<ServerLoad>,
    typical: Typical,
}

/// One server's.
#[derive(Debug, Clone, Copy)]
struct ServerLoad {
    under_way: u32,
    /// In seconds, smoothed; `None` before the first read.
    response: Option<f32>,
    /// Smoothed; 1 is usual.
    slowness: f32,
    /// How many reads `slowness` is based on, at most [`MEMORY`]. It begins with one usual read, so that the first real one does not decide alone.
    weight: f32,
    /// When the last of these reads was answered.
    last: Option<Instant>,
}

impl Default for ServerLoad {
    fn default() -> Self {
        Self { under_way: 0, response: None, slowness: 1.0, weight: 1.0, last: None }
    }
}

impl ServerLoad {
    /// The part that still counts of what the last reads have shown.
    fn memory(&self, now: Instant) -> f32 {
        let idle = self.last.map(|last| now.saturating_duration_since(last));
        idle.map_or(0.0, |idle| (-idle.as_secs_f32() / HALF_LIFE.as_secs_f32()).exp2())
    }

    fn take_in(&mut self, slowness: Option<f32>, response: Duration, now: Instant) {
        let smooth = |before: f32, new: f32, count: f32| before + (new - before) / count;
        let seconds = response.as_secs_f32();
        self.response = Some(self.response.map_or(seconds, |before| smooth(before, seconds, MEMORY)));
        let Some(new) = slowness else { return };
        let memory = self.memory(now);
        let before = if self.last.is_some() { 1.0 + (self.slowness - 1.0) * memory } else { self.slowness };
        let weight = if self.last.is_some() { self.weight * memory } else { self.weight };
        self.weight = (weight + 1.0).min(MEMORY);
        self.slowness = smooth(before, new, self.weight);
        self.last = Some(now);
    }
}

impl Load {
    /// A statement has been given to this server.
    pub(crate) fn begin(&mut self, server: ServerId) {
        let load = self.of_mut(server);
        load.under_way = load.under_way.saturating_add(1);
    }

    /// A statement has ended.
    pub(crate) fn end(&mut self, server: ServerId) {
        let load = self.of_mut(server);
        load.under_way = load.under_way.saturating_sub(1);
    }

    /// A read of this digest was answered, `response` after it was sent.
    pub(crate) fn answered(&mut self, server: ServerId, digest: Digest, response: Duration, now: Instant) {
        let slowness = self.typical.compare(digest, response);
        self.of_mut(server).take_in(slowness, response, now);
    }

    /// How slow it was counts no more.
    pub(crate) fn forget(&mut self, server: ServerId) {
        let load = self.of_mut(server);
        *load = ServerLoad { under_way: load.under_way, ..ServerLoad::default() };
    }

    /// Statements that this server works on, or that wait for a connection to it.
    pub fn under_way(&self, server: ServerId) -> u32 {
        self.of(server).under_way
    }

    /// How long its reads take, smoothed over some of them; `None` before the first.
    pub fn response(&self, server: ServerId) -> Option<Duration> {
        self.of(server).response.map(Duration::from_secs_f32)
    }

    /// How long its last reads took relative to what such reads usually take.
    pub fn slowness(&self, server: ServerId) -> f32 {
        self.of(server).slowness
    }

    /// Whether there were enough reads to tell.
    pub(crate) fn is_proven(&self, server: ServerId) -> bool {
        self.of(server).weight >= PROVEN
    }

    /// How many times as slow as the quickest it is, as far as is still believed. At least 1.
    pub(crate) fn times_slower(&self, server: ServerId, quickest: f32, now: Instant) -> f32 {
        self.slower_than(1.0, server, quickest, now)
    }

    /// The same, without differences that are noise.
    pub(crate) fn penalty(&self, server: ServerId, quickest: f32, now: Instant) -> f32 {
        self.slower_than(SIMILAR, server, quickest, now)
    }

    /// 1, unless it is more than so many times as slow.
    fn slower_than(&self, tolerated: f32, server: ServerId, quickest: f32, now: Instant) -> f32 {
        let load = self.of(server);
        let times = load.slowness / quickest;
        // What is forgotten only makes it less.
        if times <= tolerated {
            return 1.0;
        }
        let times = 1.0 + (times - 1.0) * load.memory(now);
        if times <= tolerated { 1.0 } else { times }
    }

    /// The slowness of the quickest of these servers.
    pub(crate) fn quickest(&self, servers: impl Iterator<Item = ServerId>) -> f32 {
        let least = servers.map(|server| self.slowness(server)).fold(f32::INFINITY, f32::min);
        if least.is_finite() { least.max(f32::EPSILON) } else { 1.0 }
    }

    fn of(&self, server: ServerId) -> ServerLoad {
        self.servers.get(server.index()).copied().unwrap_or_default()
    }

    fn of_mut(&mut self, server: ServerId) -> &mut ServerLoad {
        let index = server.index();
        if index >= self.servers.len() {
            self.servers.resize_with(index + 1, ServerLoad::default);
        }
        #[expect(clippy::indexing_slicing, reason = "resized just above")]
        &mut self.servers[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: ServerId = ServerId(2);
    const OTHER: ServerId = ServerId(0);
    const DIGEST: Digest = Digest(7);

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// So many reads of this length on a server that is used with another one whose reads take 1 ms.
    fn loaded(reads: usize, length: Duration, now: Instant) -> Load {
        let mut load = Load::default();
        for _ in 0..100 {
            load.answered(OTHER, DIGEST, ms(1), now);
        }
        for _ in 0..reads {
            load.answered(SERVER, DIGEST, length, now);
            load.answered(OTHER, DIGEST, ms(1), now);
            load.answered(OTHER, DIGEST, ms(1), now);
        }
        load
    }

    #[test]
    fn statements_are_counted_while_they_are_under_way() {
        let mut load = Load::default();
        load.begin(SERVER);
        load.begin(SERVER);
        assert_eq!((load.under_way(SERVER), load.under_way(OTHER), load.under_way(ServerId(9))), (2, 0, 0));
        load.forget(SERVER);
        assert_eq!(load.under_way(SERVER), 2, "they are still under way");
        (0..3).for_each(|_| load.end(SERVER));
        assert_eq!((load.under_way(SERVER), load.response(SERVER)), (0, None));
    }

    #[test]
    fn response_times_are_smoothed_and_follow_a_change() {
        let (mut load, now) = (Load::default(), Instant::now());
        let is_about = |load: &Load, milliseconds: f32| {
            let response = load.response(SERVER).expect("a response").as_secs_f32() * 1000.0;
            assert!((response - milliseconds).abs() < milliseconds / 20.0, "{response} ms");
        };
        load.answered(SERVER, DIGEST, ms(8), now);
        is_about(&load, 8.0);
        load.answered(SERVER, DIGEST, ms(16), now);
        is_about(&load, 8.5);
        (0..100).for_each(|_| load.answered(SERVER, DIGEST, ms(100), now));
        is_about(&load, 100.0);
    }

    #[test]
    fn a_slow_server_is_told_from_a_slow_statement() {
        let now = Instant::now();
        let mut load = loaded(20, ms(10), now);
        let times = |load: &Load| load.times_slower(SERVER, load.quickest([SERVER, OTHER].into_iter()), now);
        assert!((7.0..=13.0).contains(&times(&load)), "{}", times(&load));
        load.forget(SERVER);
        for _ in 0..20 {
            load.answered(SERVER, Digest(1), ms(1000), now);
            load.answered(OTHER, Digest(1), ms(1000), now);
        }
        assert!(times(&load) < 1.5, "{}", times(&load));
    }

    #[test]
    fn one_read_does_not_make_a_server_slow() {
        let now = Instant::now();
        let mut load = loaded(100, ms(1), now);
        load.answered(SERVER, DIGEST, Duration::from_secs(100), now);
        assert!((1.0..SIMILAR).contains(&load.times_slower(SERVER, 1.0, now)), "{}", load.slowness(SERVER));
        (0..3).for_each(|_| load.answered(SERVER, DIGEST, Duration::from_secs(100), now));
        assert!(load.times_slower(SERVER, 1.0, now) > SIMILAR, "{}", load.slowness(SERVER));
        (0..60).for_each(|_| load.answered(SERVER, DIGEST, ms(1), now));
        assert!(load.times_slower(SERVER, 1.0, now) < SIMILAR, "{}", load.slowness(SERVER));
    }

    #[test]
    fn what_speaks_against_a_server_is_forgotten_without_news() {
        let now = Instant::now();
        let load = loaded(20, ms(10), now);
        let quickest = load.quickest([SERVER, OTHER].into_iter());
        let times = |after| load.times_slower(SERVER, quickest, now + after);
        assert!(((times(HALF_LIFE) - 1.0).mul_add(2.0, 1.0) - times(Duration::ZERO)).abs() < 0.1);
        assert!(times(HALF_LIFE * 5) < SIMILAR);
        // One read that was as quick as usual is then believed.
        let (mut recovered, later) = (load.clone(), now + HALF_LIFE * 5);
        recovered.answered(SERVER, DIGEST, ms(1), later);
        assert!(recovered.times_slower(SERVER, quickest, later) < SIMILAR);
        let mut still = load.clone();
        still.answered(SERVER, DIGEST, ms(10), later);
        assert!(still.times_slower(SERVER, quickest, later) > SIMILAR);
    }

    #[test]
    fn few_reads_prove_nothing() {
        let now = Instant::now();
        for (reads, expected) in [(0, false), (8, false), (9, true), (50, true)] {
            assert_eq!(loaded(reads, ms(10), now).is_proven(SERVER), expected, "{reads}");
        }
    }
}
