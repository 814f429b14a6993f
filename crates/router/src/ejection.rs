//! Outliers: a replica that fails, or answers much more slowly than the others, gets no reads for a while.
//!
//! Each worker judges by its own statements. A replica is ejected only while most of its fellow candidates are not, and one that is left alone
//! answers whatever speaks against it: an ejection never makes a read fail, and never sends it to the primary. It ends by itself, and each one that
//! follows takes twice as long as the one before. After that the replica's share grows slowly.

use std::fmt;
use std::time::{Duration, Instant};

use topology::ServerId;

use crate::Load;
use crate::balance::Candidate;

/// When a replica is ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionPolicy {
    /// This many failures of the server in a row. 0: it is not ejected for them.
    pub failures: u32,
    /// This part of its statements of late has failed by its own fault, in per cent. 0: it is not ejected for that.
    pub errors: u32,
    /// It takes this many times as long as the median of the others. 0: it is not ejected for being slow.
    pub latency: u32,
    /// And it takes at least this long.
    pub latency_min: Duration,
    /// The part of the candidates that may be ejected at once, in per cent.
    pub share: u32,
    /// How long the first ejection takes.
    pub time: Duration,
    /// How long one takes at most. A replica that did well for this long after its return begins anew.
    pub time_max: Duration,
}

impl EjectionPolicy {
    /// No replica is ejected.
    pub const OFF: Self = Self {
        failures: 0,
        errors: 0,
        latency: 0,
        latency_min: Duration::ZERO,
        share: 0,
        time: Duration::ZERO,
        time_max: Duration::ZERO,
    };

    fn is_off(&self) -> bool {
        self.share == 0 || (self.failures == 0 && self.errors == 0 && self.latency == 0)
    }

    /// The `count`th in a row, beginning with 0.
    fn lasts(&self, count: u32) -> Duration {
        self.time.saturating_mul(1_u32.checked_shl(count).unwrap_or(u32::MAX)).min(self.time_max)
    }
}

impl Default for EjectionPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            errors: 50,
            latency: 5,
            latency_min: Duration::from_millis(5),
            share: 50,
            time: Duration::from_secs(10),
            time_max: Duration::from_mins(5),
        }
    }
}

/// Why a replica is ejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outlier {
    /// It has failed this many times in a row.
    Fails(u32),
    /// So many of its statements of late have failed, and so many there were.
    Errs {
        /// Failed by its own fault.
        failed: u32,
        /// All of them.
        of: u32,
    },
    /// It takes this many times as long as the others.
    Slow(f32),
}

impl Outlier {
    /// The name in metrics: that of the key of the configuration.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Fails(_) => "failures",
            Self::Errs { .. } => "errors",
            Self::Slow(_) => "latency",
        }
    }
}

impl fmt::Display for Outlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(count) => write!(f, "it has failed {count} times in a row"),
            Self::Errs { failed, of } => write!(f, "{failed} of its last {of} statements have failed"),
            Self::Slow(times) => write!(f, "its answers take {times:.1} times as long as those of the others"),
        }
    }
}

/// That a replica gets no reads at present.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ejection {
    /// Why.
    pub why: Outlier,
    /// When it began.
    pub since: Instant,
    /// When it ends: not before `since`.
    pub until: Instant,
}

/// A replica that has just been ejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ejected {
    /// The replica.
    pub server: ServerId,
    /// Why.
    pub why: Outlier,
    /// For how long.
    pub lasts: Duration,
}

/// All servers' records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ejections {
    /// By server number; grows to the number of servers.
    records: Vec<Record>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    /// In a row.
    failures: u32,
    recent: Recent,
    present: Option<Ejection>,
    /// Ejections in a row.
    count: u32,
    /// When the last one ended.
    back_since: Option<Instant>,
}

/// What part of a server's statements fails is judged from so many of them on.
const RECENT_MIN: u32 = 20;

/// Half of the time for which a statement counts as one of late, and at least that.
const WINDOW: Duration = Duration::from_secs(5);

/// The statements of the present window and of the one before: they cost two additions each, and no memory that grows.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    began: Option<Instant>,
    present: Counts,
    former: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    failed: u32,
    all: u32,
}

impl Recent {
    fn note(&mut self, has_failed: bool, now: Instant) {
        self.roll(now);
        self.present.all = self.present.all.saturating_add(1);
        self.present.failed = self.present.failed.saturating_add(has_failed.into());
    }

    fn roll(&mut self, now: Instant) {
        let Some(began) = self.began else {
            self.began = Some(now);
            return;
        };
        let age = now.saturating_duration_since(began);
        if age >= WINDOW {
            let former = if age < WINDOW * 2 { self.present } else { Counts::default() };
            *self = Self { began: Some(now), present: Counts::default(), former };
        }
    }

    /// The server is an outlier if at least this part of its statements has failed, in per cent.
    fn judge(mut self, per_cent: u32, now: Instant) -> Option<Outlier> {
        self.roll(now);
        let failed = self.present.failed.saturating_add(self.former.failed);
        let of = self.present.all.saturating_add(self.former.all);
        let is_outlier = per_cent > 0 && of >= RECENT_MIN && u64::from(failed) * 100 >= u64::from(of) * u64::from(per_cent);
        is_outlier.then_some(Outlier::Errs { failed, of })
    }
}

impl Ejections {
    /// The server has failed by its own fault.
    pub(crate) fn note_failure(&mut self, server: ServerId, now: Instant) {
        let record = self.of_mut(server);
        record.failures = record.failures.saturating_add(1);
        record.recent.note(true, now);
    }

    /// The server has answered.
    pub(crate) fn note_answer(&mut self, server: ServerId, now: Instant) {
        let record = self.of_mut(server);
        record.failures = 0;
        record.recent.note(false, now);
    }

    /// Its ejection, if it is ejected.
    pub(crate) fn present(&self, server: ServerId, now: Instant) -> Option<Ejection> {
        self.records.get(server.index())?.present.filter(|ejection| now < ejection.until)
    }

    /// When its last ejection ended.
    pub(crate) fn back_since(&self, server: ServerId) -> Option<Instant> {
        self.records.get(server.index())?.back_since
    }

    /// Removes those that are ejected from the candidates, and judges the others. Returns the one that it has ejected.
    pub(crate) fn sift(
        &mut self,
        candidates: &mut Vec<Candidate>,
        load: &mut Load,
        policy: &EjectionPolicy,
        now: Instant,
    ) -> Option<Ejected> {
        for candidate in &*candidates {
            self.end_if_due(candidate.server, load, policy, now);
        }
        let is_out = |ejections: &Self, candidate: &Candidate| ejections.present(candidate.server, now).is_some();
        let out = candidates.iter().filter(|candidate| is_out(self, candidate)).count();
        let out_max = candidates.len().saturating_mul(usize::try_from(policy.share).unwrap_or(100)) / 100;
        let may_eject = !policy.is_off() && out < out_max.min(candidates.len().saturating_sub(1));
        let ejected = if may_eject { self.eject_one(candidates, load, policy, now) } else { None };
        if out > 0 && out < candidates.len() || ejected.is_some() {
            candidates.retain(|candidate| !is_out(self, candidate));
        }
        ejected
    }

    fn end_if_due(&mut self, server: ServerId, load: &mut Load, policy: &EjectionPolicy, now: Instant) {
        let Some(record) = self.records.get_mut(server.index()) else { return };
        let ended = record.present.map(|ejection| ejection.until).filter(|until| policy.is_off() || now >= *until);
        if let Some(until) = ended {
            *record = Record { count: record.count, back_since: Some(until.min(now)), ..Record::default() };
            load.forget(server);
        }
        let did_well = record.back_since.is_some_and(|since| now.saturating_duration_since(since) >= policy.time_max);
        if record.present.is_none() && did_well {
            record.count = 0;
        }
    }

    fn eject_one(&mut self, candidates: &[Candidate], load: &Load, policy: &EjectionPolicy, now: Instant) -> Option<Ejected> {
        let inside = || candidates.iter().map(|candidate| candidate.server).filter(|id| self.present(*id, now).is_none());
        let quickest = load.quickest(inside());
        let why = |server: ServerId| {
            let failures = self.records.get(server.index()).map_or(0, |record| record.failures);
            if policy.failures > 0 && failures >= policy.failures {
                return Some(Outlier::Fails(failures));
            }
            let recent = self.records.get(server.index()).and_then(|record| record.recent.judge(policy.errors, now));
            if recent.is_some() {
                return recent;
            }
            // Comparing with the quickest first saves the median for those that need it.
            let limit = limit_of(policy);
            let seems_slow = policy.latency > 0 && load.slowness(server) >= limit * quickest && load.is_proven(server);
            if !seems_slow || load.response(server)? < policy.latency_min {
                return None;
            }
            let times = load.slowness(server) / median(load, inside().filter(|other| *other != server))?;
            (times >= limit).then_some(Outlier::Slow(times))
        };
        let (server, why) = inside().find_map(|server| Some((server, why(server)?)))?;
        let record = self.of_mut(server);
        let lasts = policy.lasts(record.count);
        record.present = Some(Ejection { why, since: now, until: now + lasts });
        record.count = record.count.saturating_add(1);
        Some(Ejected { server, why, lasts })
    }

    fn of_mut(&mut self, server: ServerId) -> &mut Record {
        let index = server.index();
        if index >= self.records.len() {
            self.records.resize(index + 1, Record::default());
        }
        #[expect(clippy::indexing_slicing, reason = "resized just above")]
        &mut self.records[index]
    }
}

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn limit_of(policy: &EjectionPolicy) -> f32 {
    policy.latency as f32
}

/// The lower median of these servers' slowness, as far as it is proven. Without a sorted copy: there are few of them.
fn median(load: &Load, servers: impl Iterator<Item = ServerId> + Clone) -> Option<f32> {
    let known = servers.filter(|server| load.is_proven(*server)).map(|server| load.slowness(server));
    let middle = known.clone().count().div_ceil(2);
    known.clone().find(|value| {
        let less = known.clone().filter(|other| other.total_cmp(value).is_lt()).count();
        let equal = known.clone().filter(|other| other.total_cmp(value).is_eq()).count();
        (less + 1..=less + equal).contains(&middle)
    })
}

#[cfg(test)]
mod tests;
