//! Which servers get no reads at present, as they are outliers, and how often that has happened.

use std::time::Instant;

use router::Ejection;
use tokio::sync::watch;
use topology::ServerId;

use super::Overview;

/// Whether a server is ejected, and how often it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EjectionLine {
    /// The server.
    pub server: ServerId,
    /// If any worker gives it no reads now.
    pub present: Option<PresentEjection>,
    /// How often a worker has begun to give it none.
    pub count: u64,
}

/// The ejections of a server that are under way, those of all workers together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentEjection {
    /// Workers that give it no reads.
    pub workers: usize,
    /// The labels of their reasons, each once, in the order in which they have begun. There is at least one.
    pub reasons: Vec<&'static str>,
    /// Why the first of them has begun, in words.
    pub why: String,
    /// When the first of them has begun.
    pub since: Instant,
    /// When the last of them ends: not before `since`.
    pub until: Instant,
}

impl PresentEjection {
    /// `None` of none.
    fn sum(mut all: Vec<Ejection>) -> Option<Self> {
        all.sort_by_key(|ejection| ejection.since);
        let first = all.first()?;
        let mut reasons = Vec::new();
        for ejection in &all {
            let reason = ejection.why.label();
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        let until = all.iter().map(|ejection| ejection.until).max()?;
        Some(Self { workers: all.len(), reasons, why: first.why.to_string(), since: first.since, until })
    }
}

impl Overview {
    /// The ejections of each server.
    pub fn ejections(&self) -> Vec<EjectionLine> {
        let (now, counts) = (Instant::now(), self.totals().ejections);
        let present = |server| self.workers.iter().filter_map(|worker| worker.balancer().ejection(server, now)).collect();
        let line = |server| EjectionLine {
            server,
            present: PresentEjection::sum(present(server)),
            count: counts.iter().filter(|((known, _), _)| *known == server).map(|(_, count)| count).sum(),
        };
        self.servers().servers.iter().map(|server| line(server.id)).collect()
    }

    /// How many workers there are, each of which ejects servers by itself.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Changes after each ejection.
    pub fn ejections_begun(&self) -> watch::Receiver<()> {
        self.shared.ejections_begun.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use router::Outlier;

    use super::*;

    #[test]
    fn ejections_by_several_workers_are_one_from_the_first_beginning_to_the_last_end() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let ejection = |why, since, until| Ejection { why, since: at(since), until: at(until) };
        let all =
            vec![ejection(Outlier::Slow(7.0), 20, 60), ejection(Outlier::Fails(5), 10, 50), ejection(Outlier::Fails(6), 30, 40)];
        let expected = PresentEjection {
            workers: 3,
            reasons: vec!["failures", "latency"],
            why: "it has failed 5 times in a row".to_owned(),
            since: at(10),
            until: at(60),
        };
        assert_eq!(PresentEjection::sum(all), Some(expected));
        assert_eq!(PresentEjection::sum(Vec::new()), None);
    }
}
