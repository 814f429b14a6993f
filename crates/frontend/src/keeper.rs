//! Watches all sessions at once: it signals those whose server is silent, and those that hold connections which other sessions need.
//!
//! A session by itself would need a timer for each statement to notice either. Server connections that are to be ready before anybody needs them are
//! opened by `warm`.

mod warm;

use std::sync::Arc;
use std::time::Duration;

use backend::{Pools, WaitedFor};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use topology::{Epoch, ServerId, Snapshot};

use crate::registry::Signal;
use crate::worker::Shared;

/// Time between two looks at the servers. A statement may learn this much later that its server is silent.
const LOOK: Duration = Duration::from_millis(50);

/// Between two looks at idle sessions.
const IDLE_LOOK: Duration = Duration::from_millis(500);

/// Time between two looks for sessions that could give a connection back: each looks at all sessions, and under load there is always one that waits.
const ASK_PAUSE: Duration = Duration::from_millis(2);

/// Runs until all sessions are to end.
pub(crate) async fn keep(shared: Arc<Shared>, pools: Arc<Pools>) {
    tokio::join!(look_after_sessions(&shared, &pools), warm::keep_warm(&shared, &pools));
}

async fn look_after_sessions(shared: &Shared, pools: &Pools) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looked_at, mut asked_at) = (Instant::now(), Instant::now());
    let mut deposed = Deposed::default();
    loop {
        let wanted = async {
            sleep_until(asked_at + ASK_PAUSE).await;
            pools.wanted().await;
        };
        tokio::select! {
            _ = ticks.tick() => {}
            () = wanted => {}
            () = shared.stop.cancelled() => return,
        }
        asked_at = Instant::now();
        let snapshot = shared.servers.load_full();
        tell_of_sick_servers(shared, &snapshot);
        if let Some(server) = deposed.look(&snapshot) {
            shared.sessions.tell_busy_on(server, Signal::SERVER_SICK);
        }
        ask_for_what_would_be_lost(shared, &snapshot);
        ask_for_wanted(shared, pools);
        if looked_at.elapsed() >= IDLE_LOOK {
            looked_at = Instant::now();
            let settings = shared.settings.load();
            shared.sessions.tell_idle_for(settings.limits.session_idle, Signal::GIVE_BACK);
            let now = std::time::Instant::now();
            shared.remembered.sweep(now, settings.remembered_login.unwrap_or_default());
            shared.accepted.sweep(now, settings.limits.accepted_login);
            follow_limits(pools, &snapshot);
        }
    }
}

/// Each of them decides for itself whether it waits on.
fn tell_of_sick_servers(shared: &Shared, snapshot: &Snapshot) {
    for server in snapshot.servers.iter().filter(|server| !server.answers()) {
        shared.sessions.tell_busy_on(server.id, Signal::SERVER_SICK);
    }
}

/// After a change of primary, sessions are signalled for this long that the old one no longer counts: one of them may just be sending to it.
const AFTERMATH: Duration = Duration::from_secs(2);

/// The server that was the primary before this one.
#[derive(Debug, Default)]
struct Deposed {
    last: Option<(ServerId, Epoch)>,
    since: Option<(ServerId, Instant)>,
}

impl Deposed {
    /// The server whose statements will not be acknowledged any more, for a while after its successor has begun.
    fn look(&mut self, snapshot: &Snapshot) -> Option<ServerId> {
        let now = snapshot.primary.map(|primary| (primary, snapshot.epoch));
        if let (Some((old, _)), Some((new, _))) = (self.last, now)
            && self.last != now
        {
            self.since = (old != new).then(|| (old, Instant::now()));
        }
        self.last = now.or(self.last);
        self.since = self.since.filter(|(_, since)| since.elapsed() < AFTERMATH);
        self.since.map(|(server, _)| server)
    }
}

/// Before a handover idle sessions note what only their connection to the old primary knows (`LAST_INSERT_ID()`), and give it back.
fn ask_for_what_would_be_lost(shared: &Shared, snapshot: &Snapshot) {
    if let Some(primary) = snapshot.primary.filter(|_| snapshot.is_closing) {
        shared.sessions.tell_idle_on(primary, None, usize::MAX, Signal::GIVE_BACK | Signal::WANTED);
    }
}

fn ask_for_wanted(shared: &Shared, pools: &Pools) {
    for WaitedFor { server, user, count } in pools.waited_for() {
        shared.sessions.tell_idle_on(server, user.as_deref(), count, Signal::GIVE_BACK | Signal::WANTED);
    }
}

fn follow_limits(pools: &Pools, snapshot: &Snapshot) {
    for server in &snapshot.servers {
        let Some(defaults) = &server.defaults else { continue };
        let max_connections = usize::try_from(defaults.max_connections).unwrap_or(usize::MAX);
        if let Some(limit) = pools.server_takes(server.id, max_connections) {
            tracing::info!(
                server = %server.name,
                max_connections,
                limit,
                "fewer connections than limits.server_connections, as the server takes no more and others need some"
            );
        }
    }
}
