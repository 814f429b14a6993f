//! The connections to one server, over all workers: how many there may be, the idle ones, and the sessions that wait for one.
//!
//! A waiting session is handed the next one directly, so that no later session can take it in between: the connection itself if it belongs to the same
//! account, else its place, in which to open a new one. An account at its own bound waits only for its own connections: the next in the queue that
//! may open a connection gets the place.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use session::Distance;
use tokio::sync::{Notify, oneshot};

use super::shares::{Demand, Displaced, ShareId, Shares, Waiter};
use super::{Idle, KEEPER, PooledAccount, Wanted};
use crate::login::ConnectOptions;

/// A connection that its worker has used within this time is likely to be used by it again.
const BUSY_MOMENT: Duration = Duration::from_millis(10);

/// All connections to one server.
#[derive(Debug)]
pub(super) struct ServerPool {
    inner: Mutex<Inner>,
    /// The sessions in the queue, and those that wait because the server itself is full.
    waiting: AtomicUsize,
}

/// The limits of one server's pool, over all accounts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most connections, in use and idle.
    pub(super) open: usize,
    /// Most idle connections.
    pub(super) idle: usize,
    /// Most sessions in the queue.
    pub(super) waiting: usize,
}

/// `open` is the number of [`Place`]s, including those of `idle` and those that are being handed over. The sum over all shares is the same. It is above
/// the bound only after the bound was lowered.
#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    open: usize,
    /// The least recently used first.
    idle: Vec<Idle>,
    shares: Shares,
    /// Connections are kept ready for the accounts that ask for it, since this server's connections may be used again.
    keeps_warm: bool,
}

/// What a waiting session is given.
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

/// Room for one connection of an account. Dropping it gives it to the session that has waited longest and may have it.
#[derive(Debug)]
pub(super) struct Place(Option<(Arc<ServerPool>, ShareId)>);

impl Place {
    fn share(&self) -> Option<ShareId> {
        self.0.as_ref().map(|(_, share)| *share)
    }
}

/// What becomes of a request to wait.
#[derive(Debug)]
pub(super) enum Queued {
    /// It waits.
    Turn(Turn),
    /// Something has just become free.
    Again,
    /// It may not wait: this many wait already.
    Full(usize),
}

/// A turn in the queue. Dropping it leaves the queue.
#[derive(Debug)]
pub(super) struct Turn {
    pool: Arc<ServerPool>,
    share: ShareId,
    ticket: u64,
    receiver: oneshot::Receiver<Result<Handed, Displaced>>,
}

impl Turn {
    /// Waits for it. `None` if the server is gone.
    pub(super) async fn comes(&mut self) -> Option<Result<Handed, Displaced>> {
        (&mut self.receiver).await.ok()
    }
}

/// Counts a waiting session as long as it exists.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl ServerPool {
    pub(super) fn new(bounds: Bounds, accounts: &[PooledAccount]) -> Arc<Self> {
        let mut shares = Shares::default();
        shares.configure(accounts);
        let inner = Inner { bounds, open: 0, idle: Vec::new(), shares, keeps_warm: true };
        Arc::new(Self { inner: Mutex::new(inner), waiting: AtomicUsize::new(0) })
    }

    /// Room for a connection of this user, if there is any.
    pub(super) fn try_take(self: &Arc<Self>, user: &[u8]) -> Option<Place> {
        let mut inner = self.inner();
        let share = inner.shares.id(user);
        (inner.has_room() && inner.shares.has_room(share)).then(|| {
            inner.take(share);
            Place(Some((Arc::clone(self), share)))
        })
    }

    /// Room for one more connection that is to be kept ready. It never makes a session wait, and closes no connection.
    pub(super) fn try_take_to_warm(self: &Arc<Self>, user: &[u8]) -> Option<Place> {
        let is_wanted = self.waiting() > 0;
        let mut inner = self.inner();
        let share = inner.shares.id(user);
        (!is_wanted && inner.may_warm() && inner.shares.lacks(share)).then(|| {
            inner.take(share);
            Place(Some((Arc::clone(self), share)))
        })
    }

    /// The users for whom one more connection has to be opened now, to be kept ready.
    pub(super) fn lacking(&self) -> Vec<Box<[u8]>> {
        let inner = self.inner();
        if inner.may_warm() { inner.shares.lacking() } else { Vec::new() }
    }

    /// Whether connections are kept ready here at all.
    pub(super) fn keep_warm(&self, keeps_warm: bool) {
        self.inner().keeps_warm = keeps_warm;
    }

    /// Whether connections are kept ready for the account that has this place.
    pub(super) fn is_kept_warm(&self, place: &Place) -> bool {
        place.share().is_some_and(|share| self.inner().shares.is_kept_warm(share))
    }

    /// The idle connection that fits best and is no further away than `at_most`: one of the worker's own, with the least to do, and of these the one that
    /// was used last. Another worker's connection is taken only if it has been idle for a moment, or if there is no room for a new one: taking it over
    /// costs system calls, and two busy workers would take each other's again and again.
    pub(super) fn take_idle(&self, worker: usize, wanted: &Wanted<'_>, at_most: Distance) -> Option<Idle> {
        let mut inner = self.inner();
        let Inner { idle: list, shares, .. } = &*inner;
        let (mut best, mut now) = (None, None);
        for (index, idle) in list.iter().enumerate().rev().filter(|(_, idle)| idle.options == *wanted.options) {
            let is_foreign = idle.worker != worker;
            let has_room = || inner.has_room() && idle.place.share().is_some_and(|share| shares.has_room(share));
            let mut idle_for = || now.get_or_insert_with(Instant::now).saturating_duration_since(idle.connection.idle_since);
            if is_foreign && idle.worker != KEEPER && !is_worth_moving(has_room(), idle_for()) {
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

    /// Joins the queue for a connection of this account, or for room to open one. If the queue is full, the account with the most sessions in it gives way.
    pub(super) fn wait(self: &Arc<Self>, options: &ConnectOptions, worker: usize) -> Queued {
        let (hand, receiver) = oneshot::channel();
        let mut inner = self.inner();
        let share = inner.shares.id(&options.account.user);
        if inner.in_the_way(share).is_some() {
            return Queued::Again;
        }
        let limit = inner.bounds.waiting;
        let is_full = inner.shares.queued() >= limit;
        let displaced = if is_full { inner.shares.displace_for(share) } else { None };
        if is_full && displaced.is_none() {
            return Queued::Full(limit);
        }
        let ticket = inner.shares.enqueue(share, options.clone(), worker, hand);
        drop(inner);
        if let Some(waiter) = displaced {
            // It may have left the queue by itself.
            let _ = waiter.hand.send(Err(Displaced { limit }));
        }
        // Room may have become free in between.
        self.serve(None);
        Queued::Turn(Turn { pool: Arc::clone(self), share, ticket, receiver })
    }

    /// Takes a connection back that its session no longer uses.
    pub(super) fn put_back(mut idle: Idle) {
        let Some((pool, own)) = idle.place.0.clone() else { return };
        loop {
            let mut inner = pool.inner();
            if inner.open > inner.bounds.open || inner.shares.has_too_many(own) {
                drop(inner);
                return;
            }
            let Some((share, waiter)) = inner.shares.next_for(own, idle.worker) else {
                let surplus = inner.keep(idle);
                drop(inner);
                drop(surplus);
                return;
            };
            if waiter.options == idle.options {
                drop(inner);
                match waiter.hand.send(Ok(Handed::Connection(idle))) {
                    Err(Ok(Handed::Connection(refused))) => idle = refused,
                    Ok(()) | Err(_) => return,
                }
            } else {
                inner.shares.closed(own);
                inner.shares.opened(share);
                drop(inner);
                let Idle { mut place, connection, .. } = idle;
                drop(connection);
                place.0 = Some((pool, share));
                // If this session has left, its place goes to the next in the queue.
                drop(waiter.hand.send(Ok(Handed::Place(place))));
                return;
            }
        }
    }

    /// Closes the connection that has been idle longest. False if there is none.
    pub(super) fn evict(&self) -> bool {
        let mut inner = self.inner();
        let evicted = (!inner.idle.is_empty()).then(|| inner.idle.remove(0));
        drop(inner);
        evicted.is_some()
    }

    /// Closes the idle connection that keeps this user from opening one. False if there is none.
    pub(super) fn make_room(&self, user: &[u8]) -> bool {
        let mut inner = self.inner();
        let share = inner.shares.id(user);
        let evicted = inner.in_the_way(share).map(|index| inner.idle.remove(index));
        drop(inner);
        evicted.is_some()
    }

    /// Closes the idle connections that `keeps` rejects.
    pub(super) fn retain(&self, mut keeps: impl FnMut(&mut Idle) -> bool) {
        let mut inner = self.inner();
        let close: Vec<Idle> = inner.idle.extract_if(.., |idle| !keeps(idle)).collect();
        drop(inner);
        drop(close);
    }

    /// Closes this worker's connections that the server has closed, and those that have been idle longer than `limit`, except those that are kept ready.
    pub(super) fn sweep(&self, worker: usize, limit: Duration) {
        let mut inner = self.inner();
        let Inner { idle, shares, keeps_warm, .. } = &mut *inner;
        let mut spare = shares.spare(*keeps_warm);
        let mut closes = |idle: &mut Idle| {
            let is_old = idle.connection.idle_since.elapsed() >= limit;
            let is_dead = !idle.connection.link.is_quiet();
            let Some(share) = idle.place.share().filter(|_| is_old || is_dead) else { return false };
            spare.take(share) || is_dead || !shares.is_current(share, &idle.options.account)
        };
        let closed: Vec<_> = idle.extract_if(.., |idle| idle.worker == worker && closes(idle)).collect();
        drop(inner);
        drop(closed);
    }

    pub(super) fn limit(&self) -> usize {
        self.inner().bounds.open
    }

    /// The user's own bound, if it has reached it.
    pub(super) fn bound_reached(&self, user: &[u8]) -> Option<usize> {
        let mut inner = self.inner();
        let share = inner.shares.id(user);
        inner.shares.bound_reached(share)
    }

    pub(super) fn taken(&self) -> usize {
        self.inner().open
    }

    /// Replaces the bounds. Connections in use beyond them stay until they are given back.
    pub(super) fn configure(self: &Arc<Self>, bounds: Bounds, accounts: &[PooledAccount]) {
        let mut inner = self.inner();
        inner.bounds = bounds;
        inner.shares.configure(accounts);
        drop(inner);
        self.shrink();
        self.serve(None);
    }

    /// Replaces the limit. Connections in use beyond it stay until they are given back.
    pub(super) fn limit_to(self: &Arc<Self>, limit: usize) {
        self.inner().bounds.open = limit;
        self.shrink();
        self.serve(None);
    }

    /// Hands out no more connections. Those in use are closed when they are given back.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        inner.bounds.open = 0;
        let (idle, queue) = (std::mem::take(&mut inner.idle), inner.shares.clear_queues());
        drop(inner);
        drop((idle, queue));
    }

    /// Counts one more waiting session, and notifies `wanted`.
    pub(super) fn wait_visibly(&self, wanted: &Notify) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        wanted.notify_one();
        Waiting(&self.waiting)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// The accounts whose sessions wait, and for whose connections.
    pub(super) fn demands(&self) -> Vec<Demand> {
        let waiting = self.waiting();
        if waiting == 0 {
            return Vec::new();
        }
        let inner = self.inner();
        // Those that already have a place wait because the server itself is full.
        inner.shares.demands(waiting.saturating_sub(inner.shares.queued()))
    }

    /// Closes the idle connections that are above a bound.
    fn shrink(&self) {
        loop {
            let mut inner = self.inner();
            let Some(index) = inner.surplus() else { return };
            let evicted = inner.idle.remove(index);
            drop(inner);
            drop(evicted);
        }
    }

    /// Takes back the place that this account has left, and hands the free places to those in the queue that may have them.
    fn serve(self: &Arc<Self>, mut left: Option<ShareId>) {
        loop {
            let mut inner = self.inner();
            if let Some(share) = left.take() {
                inner.release(share);
            }
            let Some((share, waiter)) = inner.admit() else { return };
            drop(inner);
            let place = Place(Some((Arc::clone(self), share)));
            if let Err(Ok(Handed::Place(mut refused))) = waiter.hand.send(Ok(Handed::Place(place))) {
                // The session has left the queue meanwhile. Dropping the place here would call this function recursively.
                left = refused.0.take().map(|(_, share)| share);
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_room(&self) -> bool {
        self.open < self.bounds.open
    }

    fn take(&mut self, share: ShareId) {
        self.open = self.open.saturating_add(1);
        self.shares.opened(share);
    }

    fn release(&mut self, share: ShareId) {
        self.open = self.open.saturating_sub(1);
        self.shares.closed(share);
    }

    /// The first in the queue that may have a free place. The place is taken.
    fn admit(&mut self) -> Option<(ShareId, Waiter)> {
        if !self.has_room() {
            return None;
        }
        let (share, waiter) = self.shares.next()?;
        self.take(share);
        Some((share, waiter))
    }

    /// Whether one more connection may be opened in advance.
    fn may_warm(&self) -> bool {
        self.keeps_warm && self.shares.queued() == 0 && self.has_room() && self.idle.len() < self.bounds.idle
    }

    /// Keeps an idle connection, and returns the one that has to be closed for it.
    fn keep(&mut self, idle: Idle) -> Option<Idle> {
        self.idle.push(idle);
        (self.idle.len() > self.bounds.idle).then(|| self.idle.remove(0))
    }

    /// The idle connection that has to be closed before this account can open one: one of its own if it is at its bound, else any.
    fn in_the_way(&self, share: ShareId) -> Option<usize> {
        if !self.shares.has_room(share) {
            return self.idle.iter().position(|idle| idle.place.share() == Some(share));
        }
        (!self.has_room() && !self.idle.is_empty()).then_some(0)
    }

    /// An idle connection that is above a bound.
    fn surplus(&self) -> Option<usize> {
        if self.open > self.bounds.open || self.idle.len() > self.bounds.idle {
            return (!self.idle.is_empty()).then_some(0);
        }
        self.idle.iter().position(|idle| idle.place.share().is_some_and(|share| self.shares.has_too_many(share)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((pool, share)) = self.0.take() {
            pool.serve(Some(share));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let left = self.pool.inner().shares.leave(self.share, self.ticket);
        drop(left);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether to take a connection that another worker used this long ago.
fn is_worth_moving(has_room: bool, idle_for: Duration) -> bool {
    !has_room || idle_for >= BUSY_MOMENT
}

#[cfg(test)]
mod tests;
