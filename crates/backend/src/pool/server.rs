//! The connections to one server, over all workers: how many there may be, those that nobody uses, and who waits for one.
//!
//! Whoever comes first gets the next one. It is handed over directly, so that nobody who comes later can take it in between: the connection itself
//! if it is one of the same account, else its place, to make a new one in.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use session::Distance;
use tokio::sync::{Notify, oneshot};

use super::{Idle, Wanted};
use crate::login::ConnectOptions;

/// A connection that its worker has used within this time is likely to be used by it again.
const BUSY_MOMENT: Duration = Duration::from_millis(10);

/// All connections to one server.
#[derive(Debug)]
pub(super) struct ServerPool {
    inner: Mutex<Inner>,
    /// Those in the queue, and those that wait because the server itself is full.
    waiting: AtomicUsize,
}

/// `open` is the number of [`Place`]s, those of `idle` and those that are about to be handed to `queue` included. It is above `limit` only after that
/// was lowered.
#[derive(Debug)]
struct Inner {
    limit: usize,
    open: usize,
    /// The least recently used first.
    idle: Vec<Idle>,
    queue: VecDeque<Waiter>,
    /// When the queue is so long, those who have left it are taken out: not each time, as it may be long.
    prune_at: usize,
}

/// A queue that is no longer than this is not looked through.
const SHORT_QUEUE: usize = 32;

/// So many of the first in the queue are looked at for one of the worker that gives a connection back: for anybody else it costs system calls.
const NEAR: usize = 4;

/// The first in the queue is passed over so often at most.
const PASSED_OVER_MAX: u8 = 8;

/// Somebody who waits for a connection.
#[derive(Debug)]
struct Waiter {
    options: ConnectOptions,
    worker: usize,
    passed_over: u8,
    hand: oneshot::Sender<Handed>,
}

/// What somebody who waits is given.
#[derive(Debug)]
pub(super) enum Handed {
    /// A connection of the same account.
    Connection(Idle),
    /// Room for a new one.
    Place(Place),
}

impl Handed {
    pub(super) fn into_place(self) -> Place {
        match self {
            Self::Connection(idle) => idle.place,
            Self::Place(place) => place,
        }
    }
}

/// Room for one connection. Dropped, it is given to whoever has waited for longest.
#[derive(Debug)]
pub(super) struct Place(Option<Arc<ServerPool>>);

/// Somebody who waits, for all to see.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl ServerPool {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let inner = Inner { limit, open: 0, idle: Vec::new(), queue: VecDeque::new(), prune_at: SHORT_QUEUE };
        Arc::new(Self { inner: Mutex::new(inner), waiting: AtomicUsize::new(0) })
    }

    /// Room, if there is some.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut inner = self.inner();
        (inner.open < inner.limit).then(|| {
            inner.open += 1;
            Place(Some(Arc::clone(self)))
        })
    }

    /// The idle connection that fits best: of the worker's own, with the least to do, the one that was used last; or none that is further away than
    /// `at_most`. Another worker's is taken only if nobody has used it for a moment, or if there is no room for a new one: it costs system calls
    /// to take it over, and two busy workers would take each other's again and again.
    pub(super) fn take_idle(&self, worker: usize, wanted: &Wanted<'_>, at_most: Distance) -> Option<Idle> {
        let mut inner = self.inner();
        let has_room = inner.open < inner.limit;
        let (mut best, mut now) = (None, None);
        for (index, idle) in inner.idle.iter().enumerate().rev().filter(|(_, idle)| idle.options == *wanted.options) {
            let is_foreign = idle.worker != worker;
            let mut idle_for = || now.get_or_insert_with(Instant::now).saturating_duration_since(idle.connection.idle_since);
            if is_foreign && !is_worth_moving(has_room, idle_for()) {
                continue;
            }
            let distance = idle.distance(wanted);
            let rank = (is_foreign, distance);
            if distance <= at_most && best.is_none_or(|(best, _)| rank < best) {
                best = Some((rank, index));
            }
            if rank == (false, Distance::None) {
                break;
            }
        }
        let (_, index) = best?;
        Some(inner.idle.remove(index))
    }

    /// Waits in the queue for a connection of this account, or for room to make one. Dropped, the receiver leaves the queue.
    pub(super) fn wait(self: &Arc<Self>, options: &ConnectOptions, worker: usize) -> oneshot::Receiver<Handed> {
        let (hand, receiver) = oneshot::channel();
        let mut inner = self.inner();
        if inner.queue.len() >= inner.prune_at {
            inner.queue.retain(|waiter| !waiter.hand.is_closed());
            inner.prune_at = (2 * inner.queue.len()).max(SHORT_QUEUE);
        }
        inner.queue.push_back(Waiter { options: options.clone(), worker, passed_over: 0, hand });
        drop(inner);
        // Something may have become free in between.
        if let Some(place) = self.try_take() {
            drop(place);
        }
        receiver
    }

    /// Nobody uses this connection any more.
    pub(super) fn put_back(mut idle: Idle) {
        let Some(pool) = idle.place.0.clone() else { return };
        loop {
            let mut inner = pool.inner();
            if inner.open > inner.limit {
                drop(inner);
                return;
            }
            let Some(waiter) = inner.next_for(idle.worker) else {
                inner.idle.push(idle);
                return;
            };
            drop(inner);
            let is_of_account = waiter.options == idle.options;
            let handed = if is_of_account { Handed::Connection(idle) } else { Handed::Place(idle.place) };
            match waiter.hand.send(handed) {
                Err(Handed::Connection(refused)) => idle = refused,
                // One that is of another account is gone, and its place goes to the next in the queue if this one has left.
                Ok(()) | Err(Handed::Place(_)) => return,
            }
        }
    }

    /// Closes the connection that has been idle for longest. False if there is none.
    pub(super) fn evict(&self) -> bool {
        let mut inner = self.inner();
        let evicted = (!inner.idle.is_empty()).then(|| inner.idle.remove(0));
        drop(inner);
        evicted.is_some()
    }

    /// Closes the idle connections that are not to be kept.
    pub(super) fn retain(&self, mut keeps: impl FnMut(&mut Idle) -> bool) {
        let mut inner = self.inner();
        let close: Vec<Idle> = inner.idle.extract_if(.., |idle| !keeps(idle)).collect();
        drop(inner);
        drop(close);
    }

    pub(super) fn limit(&self) -> usize {
        self.inner().limit
    }

    pub(super) fn taken(&self) -> usize {
        self.inner().open
    }

    /// Allows so many from now on. What is in use beyond that stays until it is given back.
    pub(super) fn limit_to(self: &Arc<Self>, limit: usize) {
        self.inner().limit = limit;
        while self.taken() > limit && self.evict() {}
        let has_queue = || !self.inner().queue.is_empty();
        while has_queue() && self.try_take().is_some() {}
    }

    /// Nobody gets a connection here any more. Those in use are closed when they are given back.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        inner.limit = 0;
        let (idle, queue) = (std::mem::take(&mut inner.idle), std::mem::take(&mut inner.queue));
        drop(inner);
        drop((idle, queue));
    }

    /// Counts one more who waits, and lets `wanted` know.
    pub(super) fn wait_visibly(&self, wanted: &Notify) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        wanted.notify_one();
        Waiting(&self.waiting)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whose turn it is when this worker gives a connection back: the first in the queue, or somebody close behind of the same worker.
    fn next_for(&mut self, worker: usize) -> Option<Waiter> {
        let first = self.queue.front_mut()?;
        if first.worker == worker || first.passed_over >= PASSED_OVER_MAX {
            return self.queue.pop_front();
        }
        first.passed_over += 1;
        let near = self.queue.iter().take(NEAR).position(|waiter| waiter.worker == worker);
        self.queue.remove(near.unwrap_or(0))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(pool) = self.0.take() else { return };
        loop {
            let mut inner = pool.inner();
            let next = if inner.open > inner.limit { None } else { inner.queue.pop_front() };
            let Some(waiter) = next else {
                inner.open = inner.open.saturating_sub(1);
                return;
            };
            drop(inner);
            match waiter.hand.send(Handed::Place(Place(Some(Arc::clone(&pool))))) {
                // It has left; the place is still this one, to be given to the next.
                Err(Handed::Place(mut refused)) => drop(refused.0.take()),
                Ok(()) | Err(Handed::Connection(_)) => return,
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether to take a connection that another worker has used so long ago.
fn is_worth_moving(has_room: bool, idle_for: Duration) -> bool {
    !has_room || idle_for >= BUSY_MOMENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Account;

    fn options(user: &str) -> ConnectOptions {
        let account = Account { user: user.into(), password: Vec::new() };
        ConnectOptions { account: Arc::new(account), capabilities: wire::Capabilities::empty() }
    }

    fn take(pool: &Arc<ServerPool>, count: usize) -> Vec<Place> {
        (0..count).map_while(|_| pool.try_take()).collect()
    }

    fn has_place(receiver: &mut oneshot::Receiver<Handed>) -> Option<Place> {
        receiver.try_recv().ok().map(Handed::into_place)
    }

    #[test]
    fn a_lower_limit_holds_for_those_that_end() {
        let pool = ServerPool::new(5);
        let mut taken = take(&pool, 9);
        assert_eq!((taken.len(), pool.taken()), (5, 5));
        taken.truncate(4);
        pool.limit_to(2);
        assert_eq!((pool.limit(), pool.taken()), (2, 4));
        taken.truncate(2);
        assert_eq!(pool.taken(), 2);
        assert!(pool.try_take().is_none());
        taken.truncate(1);
        assert_eq!(take(&pool, 9).len(), 1);
    }

    #[test]
    fn who_waits_gets_what_becomes_free_in_turn() {
        let pool = ServerPool::new(1);
        let mut taken = take(&pool, 1);
        let (mut first, left, mut third) =
            (pool.wait(&options("a"), 0), pool.wait(&options("a"), 0), pool.wait(&options("b"), 0));
        assert!(has_place(&mut first).is_none());
        taken.clear();
        let place = has_place(&mut first).unwrap();
        assert!(pool.try_take().is_none() && has_place(&mut third).is_none());
        drop(left);
        drop(place);
        assert_eq!(pool.taken(), 1);
        drop(has_place(&mut third).unwrap());
        assert_eq!(pool.taken(), 0);
    }

    #[test]
    fn a_place_that_is_handed_to_somebody_who_leaves_is_not_lost() {
        let pool = ServerPool::new(1);
        let taken = take(&pool, 1);
        let waiter = pool.wait(&options("a"), 0);
        drop(taken);
        drop(waiter);
        assert_eq!(pool.taken(), 0);
    }

    #[test]
    fn a_higher_limit_serves_those_who_wait() {
        let pool = ServerPool::new(1);
        let _taken = take(&pool, 1);
        let mut waiters = [pool.wait(&options("a"), 0), pool.wait(&options("a"), 0)];
        pool.limit_to(2);
        assert!(has_place(&mut waiters[1]).is_none());
        assert!(waiters[0].try_recv().is_ok());
    }

    #[test]
    fn room_that_came_before_the_wait_is_not_missed() {
        let pool = ServerPool::new(1);
        let mut waiter = pool.wait(&options("a"), 0);
        assert!(has_place(&mut waiter).is_some());
        assert_eq!(pool.taken(), 0);
    }

    #[test]
    fn nobody_waits_for_a_server_that_is_gone() {
        let pool = ServerPool::new(1);
        let taken = take(&pool, 1);
        let mut waiter = pool.wait(&options("a"), 0);
        pool.close();
        assert!(matches!(waiter.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        drop(taken);
        assert_eq!(pool.taken(), 0);
        assert!(pool.try_take().is_none());
    }

    #[test]
    fn a_connection_in_use_stays_with_its_worker_while_there_is_room() {
        assert!(!is_worth_moving(true, BUSY_MOMENT / 2));
        assert!(is_worth_moving(true, BUSY_MOMENT));
        assert!(is_worth_moving(false, Duration::ZERO));
    }

    #[test]
    fn a_worker_serves_its_own_first_but_nobody_is_passed_over_for_ever() {
        let waiter = |worker| Waiter { options: options("a"), worker, passed_over: 0, hand: oneshot::channel().0 };
        let mut inner = Inner { limit: 1, open: 1, idle: Vec::new(), queue: VecDeque::new(), prune_at: SHORT_QUEUE };
        let order = |inner: &mut Inner, count: usize| {
            (0..count).map_while(|_| inner.next_for(0)).map(|next| next.worker).collect::<Vec<_>>()
        };
        inner.queue.extend([1, 1, 0, 1, 0].map(waiter));
        assert_eq!(order(&mut inner, 9), [0, 0, 1, 1, 1]);
        // Beyond the first few nobody is looked for.
        inner.queue.extend([1, 1, 1, 1, 0].map(waiter));
        assert_eq!(order(&mut inner, 2), [1, 0]);
        inner.queue.clear();
        inner.queue.push_back(waiter(1));
        for _ in 0..PASSED_OVER_MAX {
            inner.queue.push_back(waiter(0));
            assert_eq!(order(&mut inner, 1), [0]);
        }
        inner.queue.push_back(waiter(0));
        assert_eq!(order(&mut inner, 2), [1, 0]);
    }

    #[test]
    fn those_who_have_left_do_not_fill_the_queue() {
        let pool = ServerPool::new(1);
        let _taken = take(&pool, 1);
        for _ in 0..10 * SHORT_QUEUE {
            drop(pool.wait(&options("a"), 0));
        }
        assert!(pool.inner().queue.len() <= SHORT_QUEUE + 1);
    }

    #[test]
    fn who_waits_can_be_seen() {
        let (pool, wanted) = (ServerPool::new(1), Notify::new());
        assert_eq!(pool.waiting(), 0);
        let waiting = pool.wait_visibly(&wanted);
        assert_eq!(pool.waiting(), 1);
        drop(waiting);
        assert_eq!(pool.waiting(), 0);
    }
}
