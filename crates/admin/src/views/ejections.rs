//! Which servers are ejected.

use frontend::{EjectionLine, Overview, PresentEjection};
use serde::Serialize;
use topology::Snapshot;

use super::statistics::{Clocks, name};

/// One server.
#[derive(Debug, Default, Serialize)]
pub(crate) struct EjectionView {
    server: String,
    /// Workers that give it no reads now.
    ejected_by: usize,
    /// All of them.
    workers: usize,
    /// The keys of the configuration by which it is an outlier.
    reasons: Vec<&'static str>,
    /// Why the first of them has begun, in words.
    why: Option<String>,
    /// When the first of them has begun. RFC 3339, UTC.
    since: Option<String>,
    /// When the last of them ends.
    until: Option<String>,
    /// How often a worker has begun to.
    count: u64,
}

impl EjectionView {
    /// All servers, in the order of the configuration.
    pub(crate) fn list(overview: &Overview) -> Vec<Self> {
        let (clocks, servers, workers) = (Clocks::now(), overview.servers(), overview.workers());
        overview.ejections().into_iter().map(|line| Self::new(line, workers, clocks, &servers)).collect()
    }

    fn new(line: EjectionLine, workers: usize, clocks: Clocks, servers: &Snapshot) -> Self {
        let EjectionLine { server, present, count } = line;
        let (mut view, server) = (Self::default(), name(server, servers));
        if let Some(PresentEjection { workers: ejected_by, reasons, why, since, until }) = present {
            let (since, until) = (Some(clocks.text(since)), Some(clocks.text(until)));
            view = Self { ejected_by, reasons, why: Some(why), since, until, ..view };
        }
        Self { server, workers, count, ..view }
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let line = EjectionLine { server: topology::ServerId(0), present: None, count: 0 };
        Self::new(line, 1, Clocks::now(), &Snapshot::default())
    }
}
