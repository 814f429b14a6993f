//! `GET /api/events`: what the dashboard shows live, as server-sent events.
//!
//! One task looks once a second while anybody reads, and publishes its look in one cell. Each stream sends what is in the cell when its reader has room,
//! so nothing is kept for a slow reader but the newest state. An entry of the journal is taken from the journal itself.
//! (Server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.)

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::api::{Api, ENTRIES};
use crate::journal::Journal;
use crate::views::live::{Looks, StateView};

/// Streams at once, by the address and the socket together. The connections that are left are for requests.
pub(crate) const STREAMS_MAX: usize = 8;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Where streams get what they send.
#[derive(Clone)]
pub(crate) struct Live {
    api: Api,
    /// The newest state as JSON; `None` while nobody reads.
    newest: watch::Sender<Option<Arc<str>>>,
    /// A stream has begun.
    begun: Arc<Notify>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Live {
    /// Streams that end when `stop` is cancelled.
    pub(crate) fn new(api: Api, stop: CancellationToken) -> Self {
        let room = Arc::new(Semaphore::new(STREAMS_MAX));
        Self { api, newest: watch::Sender::default(), begun: Arc::default(), room, stop }
    }

    /// Looks while anybody reads, until the end.
    pub(crate) async fn run(&self) {
        loop {
            tokio::select! {
                () = self.begun.notified() => {}
                () = self.stop.cancelled() => return,
            }
            let mut looks = Looks::default();
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while self.newest.receiver_count() > 0 {
                tokio::select! {
                    newest = async { ticks.tick().await; self.look(&mut looks).await } => {
                        self.newest.send_replace(newest);
                    }
                    () = self.stop.cancelled() => return,
                }
            }
            // The next reader must not begin with a state of long ago.
            self.newest.send_replace(None);
        }
    }

    /// `None` before Pointsman listens, and at its end.
    async fn look(&self, looks: &mut Looks) -> Option<Arc<str>> {
        let overview = self.api.frontend.get()?;
        let status = self.api.control.status().await.ok()?;
        serde_json::to_string(&StateView::look(overview, status, looks)).ok().map(Arc::from)
    }
}

/// Answers with a stream: the last entries of the journal, and then what happens.
pub(crate) async fn stream(Extension(live): Extension<Live>) -> Response {
    let Ok(place) = Arc::clone(&live.room).try_acquire_owned() else {
        let why = format!("there are {STREAMS_MAX} streams of events already, and no more at once");
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    let mut newest = live.newest.subscribe();
    newest.mark_changed();
    live.begun.notify_one();
    let reader = Reader::new(newest, live.api.journal, live.stop, place);
    let events = unfold(reader, |mut reader| async move {
        let (name, data) = reader.next().await?;
        Some((Ok::<_, Infallible>(Event::default().event(name).data(data)), reader))
    });
    Sse::new(events).into_response()
}

/// One who reads.
struct Reader {
    newest: watch::Receiver<Option<Arc<str>>>,
    journal: Journal,
    count: watch::Receiver<u64>,
    /// The number of the next entry of the journal.
    entry: u64,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    fn new(
        newest: watch::Receiver<Option<Arc<str>>>,
        journal: Journal,
        stop: CancellationToken,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let count = journal.counts();
        let entry = count.borrow().saturating_sub(ENTRIES as u64);
        Self { newest, journal, count, entry, stop, _place: place }
    }

    /// The next event, its name and its data; `None` at the end of Pointsman.
    async fn next(&mut self) -> Option<(&'static str, Arc<str>)> {
        loop {
            if let Some((number, entry)) = self.journal.entry_from(self.entry) {
                self.entry = number.saturating_add(1);
                return Some(("journal", serde_json::to_string(&entry).ok()?.into()));
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                changed = self.newest.changed() => changed.ok()?,
                changed = self.count.changed() => {
                    changed.ok()?;
                    continue;
                }
            }
            let newest = self.newest.borrow_and_update().clone();
            if let Some(state) = newest {
                return Some(("state", state));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use failover::History;
    use monitor::{Entry, Event as Happened, Recorder as _};

    use super::*;
    use crate::hooks::Hooks;

    struct Scene {
        newest: watch::Sender<Option<Arc<str>>>,
        journal: Journal,
        stop: CancellationToken,
    }

    impl Scene {
        fn new() -> Self {
            let (journal, history) = Journal::open(None, Hooks::default(), &[]).expect("no file is opened");
            assert_eq!(history, History::default());
            Self { newest: watch::Sender::default(), journal, stop: CancellationToken::new() }
        }

        fn record(&self, number: usize) {
            let event = Happened::PromotionEnded { why: format!("number {number}.") };
            self.journal.record(&Entry { at: SystemTime::now(), event });
        }

        fn reader(&self) -> Reader {
            let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("room");
            Reader::new(self.newest.subscribe(), self.journal.clone(), self.stop.clone(), place)
        }
    }

    #[tokio::test]
    async fn a_slow_reader_gets_the_newest_state_only() {
        let scene = Scene::new();
        let mut reader = scene.reader();
        for state in ["1", "2", "3"] {
            scene.newest.send_replace(Some(Arc::from(state)));
        }
        assert_eq!(reader.next().await, Some(("state", Arc::from("3"))));
        scene.newest.send_replace(Some(Arc::from("4")));
        assert_eq!(reader.next().await, Some(("state", Arc::from("4"))));
        scene.stop.cancel();
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn a_reader_gets_the_last_entries_and_then_each_one_once() {
        let scene = Scene::new();
        let count = 2 * ENTRIES;
        (0..count).for_each(|number| scene.record(number));
        let mut reader = scene.reader();
        for number in count - ENTRIES..count + 3 {
            if number >= count {
                scene.record(number);
            }
            let (name, data) = reader.next().await.expect("an entry");
            assert!(name == "journal" && data.contains(&format!("number {number}.")), "{number}: {data}");
        }
        scene.stop.cancel();
        assert_eq!(reader.next().await, None);
    }
}
