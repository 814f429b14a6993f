//! The places for connections to one server: as many as are allowed now, and who waits for one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, Semaphore, TryAcquireError};

/// Counts the connections to one server over all workers.
#[derive(Debug)]
pub(super) struct Places {
    free: Semaphore,
    bounds: Mutex<Bounds>,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Bounds {
    /// Allowed now.
    limit: usize,
    /// Taken, although they are more than is allowed now: their place is not free when they end.
    over: usize,
}

/// The right to have one connection. Dropped, it is free.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

/// Somebody who waits, for all to see.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        let bounds = Mutex::new(Bounds { limit, over: 0 });
        Self { free: Semaphore::new(limit), bounds, waiting: AtomicUsize::new(0) }
    }

    pub(super) fn try_take(self: &Arc<Self>) -> Option<Place> {
        match self.free.try_acquire() {
            Ok(permit) => {
                permit.forget();
                Some(Place(Arc::clone(self)))
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// Waits for its turn.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = self.free.acquire().await.ok()?;
        permit.forget();
        Some(Place(Arc::clone(self)))
    }

    pub(super) fn limit(&self) -> usize {
        self.bounds().limit
    }

    pub(super) fn taken(&self) -> usize {
        let bounds = self.bounds();
        (bounds.limit + bounds.over).saturating_sub(self.free.available_permits())
    }

    pub(super) fn is_over(&self) -> bool {
        self.bounds().over > 0
    }

    /// Allows so many from now on. What is taken beyond that stays until it ends.
    pub(super) fn limit_to(&self, limit: usize) {
        let mut bounds = self.bounds();
        if limit > bounds.limit {
            let more = limit - bounds.limit;
            let forgiven = more.min(bounds.over);
            bounds.over -= forgiven;
            self.free.add_permits(more - forgiven);
        } else {
            let fewer = bounds.limit - limit;
            bounds.over += fewer - self.free.forget_permits(fewer);
        }
        bounds.limit = limit;
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

    fn bounds(&self) -> std::sync::MutexGuard<'_, Bounds> {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut bounds = self.0.bounds();
        if bounds.over > 0 {
            bounds.over -= 1;
        } else {
            self.0.free.add_permits(1);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Arc<Places>, count: usize) -> Vec<Place> {
        (0..count).map_while(|_| places.try_take()).collect()
    }

    #[test]
    fn a_lower_limit_holds_for_those_that_end() {
        let places = Arc::new(Places::new(5));
        let mut taken = take(&places, 9);
        assert_eq!((taken.len(), places.taken()), (5, 5));
        taken.truncate(4);
        places.limit_to(2);
        assert_eq!((places.limit(), places.taken(), places.is_over()), (2, 4, true));
        taken.truncate(2);
        assert_eq!((places.taken(), places.is_over()), (2, false));
        assert!(places.try_take().is_none());
        taken.truncate(1);
        assert_eq!(take(&places, 9).len(), 1);
    }

    #[test]
    fn a_higher_limit_forgives_what_was_over() {
        let places = Arc::new(Places::new(5));
        let taken = take(&places, 5);
        places.limit_to(1);
        places.limit_to(4);
        assert_eq!((places.taken(), places.is_over()), (5, true));
        places.limit_to(7);
        assert_eq!((places.taken(), places.is_over()), (5, false));
        assert_eq!(take(&places, 9).len(), 2);
        drop(taken);
        assert_eq!(take(&places, 9).len(), 7);
    }

    #[test]
    fn who_waits_can_be_seen() {
        let (places, wanted) = (Arc::new(Places::new(1)), Notify::new());
        assert_eq!(places.waiting(), 0);
        let waiting = places.wait_visibly(&wanted);
        assert_eq!(places.waiting(), 1);
        drop(waiting);
        assert_eq!(places.waiting(), 0);
    }
}
