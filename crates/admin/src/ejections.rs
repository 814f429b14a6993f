//! Ejections in the journal: one entry when the first worker begins to give a server no reads, and one when the last has ended.
//!
//! The frontend announces each ejection. An end is announced by nobody, as it only means that a time has passed, so it is looked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use frontend::{EjectionLine, Overview, PresentEjection};
use monitor::{Entry, Event, Recorder as _};
use tokio_util::sync::CancellationToken;
use topology::{ServerId, Snapshot};

use crate::journal::Journal;
use crate::views::statistics::name;

/// Between two looks while a server is ejected, at most: a reload may end an ejection before its time.
const PERIOD: Duration = Duration::from_secs(1);

/// Until `stop` is cancelled.
pub async fn record_ejections(overview: Overview, journal: Journal, stop: CancellationToken) {
    let mut begun = overview.ejections_begun();
    let mut under_way = UnderWay::default();
    loop {
        let pause = under_way.next_end().map(|until| until.saturating_duration_since(Instant::now()).min(PERIOD));
        tokio::select! {
            () = stop.cancelled() => return,
            // The sender lives as long as the overview.
            _ = begun.changed() => {}
            () = tokio::time::sleep(pause.unwrap_or(PERIOD)), if pause.is_some() => {}
        }
        for event in under_way.compare(&overview.ejections(), &overview.servers(), Instant::now()) {
            if let Event::EjectionEnded { server, took } = &event {
                tracing::info!(%server, ?took, "a replica gets reads again (ejection)");
            }
            journal.record(&Entry { at: SystemTime::now(), event });
        }
    }
}

/// The ejections whose beginning is in the journal, and whose end is not.
#[derive(Debug, Default)]
struct UnderWay(BTreeMap<ServerId, Episode>);

#[derive(Debug)]
struct Episode {
    server: String,
    since: Instant,
    /// As far as is known: another worker may eject the server for longer.
    until: Instant,
}

impl UnderWay {
    fn next_end(&self) -> Option<Instant> {
        self.0.values().map(|episode| episode.until).min()
    }

    /// What has begun and what has ended, and takes note of it.
    fn compare(&mut self, lines: &[EjectionLine], servers: &Snapshot, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        let present = |server: &ServerId| lines.iter().find(|line| line.server == *server)?.present.as_ref();
        // One that begins after the end of what is known is another one.
        let goes_on = |server: &ServerId, episode: &Episode| present(server).is_some_and(|present| present.since < episode.until);
        self.0.retain(|server, episode| {
            let goes_on = goes_on(server, episode);
            if !goes_on {
                let took = now.min(episode.until).saturating_duration_since(episode.since);
                events.push(Event::EjectionEnded { server: episode.server.clone(), took });
            }
            goes_on
        });
        for line in lines {
            let Some(PresentEjection { reasons, why, since, until, .. }) = &line.present else { continue };
            let known = self.0.entry(line.server).or_insert_with(|| {
                let server = name(line.server, servers);
                let (lasts, reason) = (until.saturating_duration_since(*since), reasons.first().copied().unwrap_or_default());
                events.push(Event::Ejected { server: server.clone(), reason, text: why.clone(), lasts });
                Episode { server, since: *since, until: *until }
            });
            known.until = *until;
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        begin: Instant,
        under_way: UnderWay,
    }

    impl World {
        fn new() -> Self {
            Self { begin: Instant::now(), under_way: UnderWay::default() }
        }

        fn at(&self, second: u64) -> Instant {
            self.begin + Duration::from_secs(second)
        }

        /// What is recorded at a second, when a server is ejected from one second to another.
        fn look(&mut self, second: u64, present: Option<(u64, u64)>) -> Vec<String> {
            let present = present.map(|(since, until)| PresentEjection {
                workers: 1,
                reasons: vec!["errors"],
                why: String::new(),
                since: self.at(since),
                until: self.at(until),
            });
            let lines = [EjectionLine { server: ServerId(1), present, count: 0 }];
            let events = self.under_way.compare(&lines, &Snapshot::default(), self.at(second));
            events
                .into_iter()
                .map(|event| match event {
                    Event::Ejected { reason, lasts, .. } => format!("ejected by {reason} for {lasts:?}"),
                    Event::EjectionEnded { took, .. } => format!("ended after {took:?}"),
                    other => format!("{other:?}"),
                })
                .collect()
        }
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn each_ejection_is_recorded_once_when_it_begins_and_once_when_it_ends() {
        let mut world = World::new();
        assert_eq!(world.look(0, None), NOTHING);
        assert_eq!(world.look(1, Some((1, 11))), ["ejected by errors for 10s"]);
        assert_eq!(world.under_way.next_end(), Some(world.at(11)));
        assert_eq!(world.look(2, Some((1, 11))), NOTHING);
        assert_eq!(world.look(12, None), ["ended after 10s"]);
        assert_eq!(world.look(13, None), NOTHING);
        assert_eq!(world.under_way.next_end(), None);
    }

    #[test]
    fn ejections_by_several_workers_that_overlap_are_one() {
        let mut world = World::new();
        assert_eq!(world.look(1, Some((1, 11))), ["ejected by errors for 10s"]);
        assert_eq!(world.look(5, Some((1, 15))), NOTHING);
        assert_eq!(world.look(12, Some((5, 15))), NOTHING);
        assert_eq!(world.look(15, None), ["ended after 14s"]);
    }

    #[test]
    fn one_that_begins_after_the_end_of_another_is_a_new_one_even_if_nobody_has_looked_in_between() {
        let mut world = World::new();
        assert_eq!(world.look(1, Some((1, 11))), ["ejected by errors for 10s"]);
        assert_eq!(world.look(13, Some((12, 32))), ["ended after 10s", "ejected by errors for 20s"]);
    }

    #[test]
    fn one_that_a_reload_has_ended_has_ended_then() {
        let mut world = World::new();
        assert_eq!(world.look(1, Some((1, 11))), ["ejected by errors for 10s"]);
        assert_eq!(world.look(4, None), ["ended after 3s"]);
    }
}
