//! All sessions, and how a session learns of events outside of it: a `KILL`, a silent server, a connection that another session waits for.
//!
//! A session is a task of its own, and no other task may touch its state. Other tasks raise a signal, and the session looks at its signals wherever
//! it waits.

mod activity;
mod signals;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backend::{Account, ConnectOptions};
use classifier::Digest;
use topology::ServerId;

pub use self::activity::Activity;
use self::activity::Current;
pub(crate) use self::signals::{Signal, Signals};
use crate::overview::{SessionCounts, SessionLine};
use crate::peer::Peer;

/// The first number of a session. Servers count their connections from 1, so a number shows to which of the two it belongs: `KILL` takes both.
pub(crate) const FIRST_ID: u32 = 1 << 30;

/// The last one: drivers keep it in 32 bits with a sign.
const LAST_ID: u32 = i32::MAX as u32;

/// All connected sessions.
#[derive(Debug)]
pub(crate) struct Registry {
    sessions: Mutex<Sessions>,
    /// The beginning of the time in which idle sessions are noted.
    epoch: Instant,
}

#[derive(Debug)]
struct Sessions {
    by_id: HashMap<u32, Arc<Entry>>,
    next_id: u32,
}

/// A session's entry in the registry, until the session ends, however that happens.
#[derive(Debug)]
pub(crate) struct Registered {
    entry: Arc<Entry>,
    registry: Arc<Registry>,
}

/// One session as others see it.
#[derive(Debug)]
pub(crate) struct Entry {
    id: u32,
    options: ConnectOptions,
    origin: Origin,
    activity: Current,
    pub(crate) signals: Signals,
    epoch: Instant,
}

/// How a session's client has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) peer: Peer,
    pub(crate) is_encrypted: bool,
    pub(crate) since: Instant,
}

/// The result of a request to stop a session or its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// The session was told.
    Told,
    /// There is no such session.
    Unknown,
    /// It is another account's.
    NotOwner,
}

/// Whether a number can be that of a session, not of a server's connection.
pub(crate) fn is_session_id(number: u64) -> bool {
    (u64::from(FIRST_ID)..=u64::from(LAST_ID)).contains(&number)
}

impl Registry {
    pub(crate) fn new() -> Self {
        let sessions = Mutex::new(Sessions { by_id: HashMap::new(), next_id: FIRST_ID });
        Self { sessions, epoch: Instant::now() }
    }

    /// A number that no session has now.
    pub(crate) fn take_id(&self) -> u32 {
        let mut sessions = self.sessions();
        loop {
            let id = sessions.next_id;
            sessions.next_id = if id >= LAST_ID { FIRST_ID } else { id + 1 };
            if !sessions.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    /// Adds a session that is let in. Its client does not know so yet: once it does, a `KILL` of its number must find it.
    pub(crate) fn add(self: &Arc<Self>, id: u32, options: ConnectOptions, origin: Origin) -> Registered {
        let activity = Current::new(origin.since);
        let entry = Arc::new(Entry { id, options, origin, activity, signals: Signals::default(), epoch: self.epoch });
        self.sessions().by_id.insert(id, Arc::clone(&entry));
        Registered { entry, registry: Arc::clone(self) }
    }

    /// Tells a session of the same account to stop its statement, or to end.
    pub(crate) fn kill(&self, id: u64, account: &Account, signal: Signal) -> Kill {
        let entry = u32::try_from(id).ok().and_then(|id| self.sessions().by_id.get(&id).cloned());
        match entry {
            None => Kill::Unknown,
            Some(entry) if entry.options.account.user != account.user => Kill::NotOwner,
            Some(entry) => {
                entry.signals.raise(signal);
                Kill::Told
            }
        }
    }

    /// Tells any session, whoever's it is. False if there is none of this number.
    pub(crate) fn tell(&self, id: u32, signal: Signal) -> bool {
        let entry = self.sessions().by_id.get(&id).cloned();
        entry.is_some_and(|entry| {
            entry.signals.raise(signal);
            true
        })
    }

    /// What each of them does, in the order of their numbers.
    pub(crate) fn lines(&self) -> Vec<SessionLine> {
        let mut entries = self.entries();
        entries.sort_unstable_by_key(|entry| entry.id);
        entries.iter().map(|entry| entry.line()).collect()
    }

    /// How many of them do what. A line of each would cost twenty times as much.
    pub(crate) fn counts(&self) -> SessionCounts {
        let mut counts = SessionCounts::default();
        for entry in self.entries() {
            let (is_running, pin) = entry.activity.state();
            *if is_running { &mut counts.running } else { &mut counts.idle } += 1;
            if let Some(pin) = pin {
                *counts.pinned.entry(pin).or_default() += 1;
            }
        }
        counts
    }

    /// All of them. The lock is held only for the list, not while each session's own is waited for.
    fn entries(&self) -> Vec<Arc<Entry>> {
        self.sessions().by_id.values().cloned().collect()
    }

    /// Tells every session whose statement runs on this server.
    pub(crate) fn tell_busy_on(&self, server: ServerId, signal: Signal) {
        for entry in self.sessions().by_id.values().filter(|entry| entry.signals.busy_on() == Some(server)) {
            entry.signals.raise(signal);
        }
    }

    /// Signals the sessions that have been idle for this long and hold connections.
    pub(crate) fn tell_idle_for(&self, time: Duration, signal: Signal) {
        let now = self.epoch.elapsed();
        for entry in self.sessions().by_id.values() {
            if entry.signals.idle_since().is_some_and(|since| now.saturating_sub(since) >= time) {
                entry.signals.raise(signal);
            }
        }
    }

    /// Signals this many idle sessions that hold a connection to this server, the longest idle first; of this user, if one is given.
    pub(crate) fn tell_idle_on(&self, server: ServerId, user: Option<&[u8]>, count: usize, signal: Signal) {
        let mut idle: Vec<(Duration, Arc<Entry>)> = {
            let sessions = self.sessions();
            let is_asked = |entry: &&Arc<Entry>| user.is_none_or(|user| entry.options.account.user == user);
            let holding = sessions.by_id.values().filter(|entry| entry.signals.may_give_back(server)).filter(is_asked);
            holding.filter_map(|entry| Some((entry.signals.idle_since()?, Arc::clone(entry)))).collect()
        };
        idle.sort_by_key(|(since, _)| *since);
        idle.iter().take(count).for_each(|(_, entry)| entry.signals.raise(signal));
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Registered {
    type Target = Arc<Entry>;

    fn deref(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.sessions().by_id.remove(&self.entry.id);
    }
}

impl Entry {
    /// The number that the client has for its connection.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The account and capabilities with which it logs in to servers.
    pub(crate) fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// A statement of this digest begins.
    pub(crate) fn begin(&self, digest: Digest, now: Instant) {
        self.activity.begin(digest, now);
    }

    /// It has ended. It ran there, and this is what the session has now.
    pub(crate) fn end(&self, server: Option<ServerId>, pin: Option<&'static str>, schema: Option<&str>, now: Instant) {
        self.activity.end(server, pin, schema, now);
    }

    fn line(&self) -> SessionLine {
        let Origin { peer, is_encrypted, since } = self.origin;
        SessionLine {
            id: self.id,
            user: self.options.account.user.as_slice().into(),
            peer: peer.to_string(),
            is_encrypted,
            logged_in: since,
            activity: self.activity.get(),
        }
    }

    /// The session waits for its client now, and could give back its connections to these servers.
    pub(crate) fn idle(&self, servers: impl Iterator<Item = ServerId>) {
        self.signals.note_idle(self.epoch.elapsed(), servers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(user: &str) -> Account {
        Account { user: user.into(), password: Vec::new() }
    }

    fn origin() -> Origin {
        Origin { peer: Peer::Local { uid: 0 }, is_encrypted: false, since: Instant::now() }
    }

    fn options(user: &str) -> ConnectOptions {
        ConnectOptions { account: Arc::new(account(user)), capabilities: wire::Capabilities::empty(), client: None }
    }

    #[test]
    fn a_session_is_killed_by_its_own_account_only() {
        let registry = Arc::new(Registry::new());
        let (mine, other) = (registry.take_id(), registry.take_id());
        let entry = registry.add(mine, options("app"), origin());
        let _other = registry.add(other, options("other"), origin());
        assert_ne!(mine, other);
        assert_eq!(registry.kill(mine.into(), &account("app"), Signal::KILL_QUERY), Kill::Told);
        assert_eq!(entry.signals.take(Signal::all()), Signal::KILL_QUERY);
        assert_eq!(registry.kill(other.into(), &account("app"), Signal::KILL_QUERY), Kill::NotOwner);
        assert_eq!(registry.kill(1, &account("app"), Signal::KILL_QUERY), Kill::Unknown);
        assert_eq!(registry.kill(u64::MAX, &account("app"), Signal::KILL_QUERY), Kill::Unknown);
        drop(entry);
        assert_eq!(registry.kill(mine.into(), &account("app"), Signal::KILL_QUERY), Kill::Unknown);
    }

    #[test]
    fn numbers_begin_again_without_those_in_use() {
        let registry = Arc::new(Registry::new());
        let first = registry.take_id();
        assert_eq!(first, FIRST_ID);
        let _first = registry.add(first, options("app"), origin());
        registry.sessions().next_id = LAST_ID;
        assert_eq!(registry.take_id(), LAST_ID);
        assert_eq!(registry.take_id(), FIRST_ID + 1);
        assert!(is_session_id(first.into()) && is_session_id(LAST_ID.into()));
        assert!(!is_session_id(u64::from(FIRST_ID) - 1) && !is_session_id(u64::from(LAST_ID) + 1));
    }

    #[test]
    fn sessions_are_counted_by_what_they_do() {
        let registry = Arc::new(Registry::new());
        let now = Instant::now();
        let entries: Vec<_> = (0..4).map(|_| registry.add(registry.take_id(), options("app"), origin())).collect();
        entries[0].begin(Digest(1), now);
        entries[1].end(None, Some("transaction"), None, now);
        entries[2].end(None, Some("temporary_table"), None, now);
        entries[2].begin(Digest(1), now);
        let pinned = [("temporary_table", 1), ("transaction", 1)].into();
        assert_eq!(registry.counts(), SessionCounts { running: 2, idle: 2, pinned });
    }

    #[test]
    fn the_longest_idle_is_asked_first_for_the_connection_that_is_wanted() {
        let registry = Arc::new(Registry::new());
        let entries: Vec<_> = (0..3).map(|_| registry.add(registry.take_id(), options("app"), origin())).collect();
        let on = |server: u16| std::iter::once(ServerId(server));
        entries[0].signals.note_idle(Duration::from_secs(3), on(1));
        entries[1].signals.note_idle(Duration::from_secs(1), on(1));
        entries[2].signals.note_idle(Duration::from_secs(2), on(0));
        registry.tell_idle_on(ServerId(1), None, 1, Signal::GIVE_BACK);
        let told = || entries.iter().map(|entry| !entry.signals.take(Signal::GIVE_BACK).is_empty()).collect::<Vec<_>>();
        assert_eq!(told(), [false, true, false]);
        registry.tell_idle_on(ServerId(1), None, 9, Signal::GIVE_BACK);
        assert_eq!(told(), [true, true, false]);
        entries[0].signals.note_busy_on(ServerId(1));
        registry.tell_busy_on(ServerId(1), Signal::SERVER_SICK);
        assert_eq!(entries[0].signals.take(Signal::all()), Signal::SERVER_SICK);
        registry.tell_idle_on(ServerId(1), None, 9, Signal::GIVE_BACK);
        assert_eq!(told(), [false, true, false]);
    }

    #[test]
    fn only_sessions_of_an_account_are_asked_for_its_connections() {
        let registry = Arc::new(Registry::new());
        let entries: Vec<_> = ["app", "other"].map(|user| registry.add(registry.take_id(), options(user), origin())).into();
        for entry in &entries {
            entry.signals.note_idle(Duration::from_secs(1), std::iter::once(ServerId(1)));
        }
        registry.tell_idle_on(ServerId(1), Some(b"other"), 9, Signal::GIVE_BACK);
        let told = entries.iter().map(|entry| !entry.signals.take(Signal::GIVE_BACK).is_empty());
        assert_eq!(told.collect::<Vec<_>>(), [false, true]);
    }
}
