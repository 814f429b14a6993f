//! Each account's share of the connections to one server: how many it may have, how many it has, and which of its sessions wait.
//!
//! Each account has a queue of its own, so that an account at its bound blocks no other, however many of its sessions wait. Tickets keep the order over
//! all queues. The lock is in `server`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::PooledAccount;
use super::server::Handed;
use crate::Account;
use crate::login::ConnectOptions;

/// How many at the head of a queue are searched for one of the worker that gives a connection back. Moving it to another worker costs system calls.
const NEAR: usize = 4;

/// How often the first in a queue may be passed over: in favour of the same account, since the connection would have to be closed for any other, or of
/// the same worker.
const PASSED_OVER_MAX: u8 = 8;

/// All accounts that have or want connections to the server, or that the configuration names.
#[derive(Debug, Default)]
pub(super) struct Shares {
    list: Vec<Share>,
    by_user: HashMap<Box<[u8]>, ShareId>,
    /// In all queues together.
    queued: usize,
    next_ticket: u64,
}

/// Belongs to the same account as long as that account has a connection or a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShareId(usize);

/// One account. `open` is above `open_max` only after the bound was lowered.
#[derive(Debug)]
struct Share {
    user: Box<[u8]>,
    /// The account in the configuration. Without one, another account takes this entry as soon as this account has neither connection nor waiter.
    configured: Option<Arc<Account>>,
    open: usize,
    open_max: usize,
    /// Up to this many connections, idle ones are kept.
    warm: usize,
    /// In the order of tickets.
    queue: VecDeque<Waiter>,
}

/// A session that waits for a connection.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) options: ConnectOptions,
    pub(super) hand: oneshot::Sender<Result<Handed, Displaced>>,
    worker: usize,
    passed_over: u8,
    ticket: u64,
}

/// The waiting sessions of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand {
    /// The account whose connection it has to be. `None`: any account's.
    pub(super) user: Option<Box<[u8]>>,
    pub(super) count: usize,
}

/// The queue was full, and a session of an account with fewer in it took the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Displaced {
    /// Most sessions that may wait.
    pub(super) limit: usize,
}

impl Share {
    fn has_room(&self) -> bool {
        self.open < self.open_max
    }

    fn is_left(&self) -> bool {
        self.configured.is_none() && self.open == 0 && self.queue.is_empty()
    }
}

impl Shares {
    /// Replaces the bounds. An account that is no longer named keeps its bound, since its sessions go on.
    pub(super) fn configure(&mut self, accounts: &[PooledAccount]) {
        for share in &mut self.list {
            share.configured = None;
            share.warm = 0;
        }
        for pooled in accounts {
            let ShareId(index) = self.id(&pooled.account.user);
            let Some(share) = self.list.get_mut(index) else { continue };
            share.configured = Some(Arc::clone(&pooled.account));
            share.open_max = pooled.server_connections.unwrap_or(usize::MAX);
            share.warm = pooled.warm_server_connections;
        }
    }

    /// The share of this user, which may be new.
    pub(super) fn id(&mut self, user: &[u8]) -> ShareId {
        if let Some(id) = self.by_user.get(user) {
            return *id;
        }
        let user: Box<[u8]> = user.into();
        let share =
            Share { user: user.clone(), configured: None, open: 0, open_max: usize::MAX, warm: 0, queue: VecDeque::new() };
        let free = self.list.iter().position(Share::is_left).unwrap_or(self.list.len());
        if let Some(left) = self.list.get_mut(free) {
            self.by_user.remove(&left.user);
            *left = share;
        } else {
            self.list.push(share);
        }
        self.by_user.insert(user, ShareId(free));
        ShareId(free)
    }

    /// Whether it may open one more connection.
    pub(super) fn has_room(&self, id: ShareId) -> bool {
        self.get(id).is_some_and(Share::has_room)
    }

    /// Whether it has more connections than it may have.
    pub(super) fn has_too_many(&self, id: ShareId) -> bool {
        self.get(id).is_some_and(|share| share.open > share.open_max)
    }

    /// Its own bound, if it has reached it.
    pub(super) fn bound_reached(&self, id: ShareId) -> Option<usize> {
        self.get(id).filter(|share| !share.has_room()).map(|share| share.open_max)
    }

    pub(super) fn opened(&mut self, id: ShareId) {
        if let Some(share) = self.list.get_mut(id.0) {
            share.open = share.open.saturating_add(1);
        }
    }

    pub(super) fn closed(&mut self, id: ShareId) {
        if let Some(share) = self.list.get_mut(id.0) {
            share.open = share.open.saturating_sub(1);
        }
    }

    /// Whether one more connection has to be opened for it, to be kept ready.
    pub(super) fn lacks(&self, id: ShareId) -> bool {
        self.get(id).is_some_and(|share| share.open < share.warm.min(share.open_max))
    }

    /// The users for whom one more connection has to be opened.
    pub(super) fn lacking(&self) -> Vec<Box<[u8]>> {
        let shares = self.list.iter().enumerate().filter(|(index, _)| self.lacks(ShareId(*index)));
        shares.map(|(_, share)| share.user.clone()).collect()
    }

    pub(super) fn is_kept_warm(&self, id: ShareId) -> bool {
        self.get(id).is_some_and(|share| share.warm > 0)
    }

    /// Whether this is the account as it is now. A connection with a former password is of no use to later logins.
    pub(super) fn is_current(&self, id: ShareId, account: &Arc<Account>) -> bool {
        self.get(id).and_then(|share| share.configured.as_ref()) == Some(account)
    }

    /// How many connections of each account may be closed.
    pub(super) fn spare(&self, keeps_warm: bool) -> Spare {
        let spare = |share: &Share| share.open.saturating_sub(if keeps_warm { share.warm } else { 0 });
        Spare(self.list.iter().map(spare).collect())
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// The waiting sessions, by account: one at its own bound waits for its own connections. `beside_queue` is the number that waits outside the queue.
    pub(super) fn demands(&self, beside_queue: usize) -> Vec<Demand> {
        let waiting = self.list.iter().filter(|share| !share.queue.is_empty());
        let (for_any, for_own): (Vec<_>, Vec<_>) = waiting.partition(|share| share.has_room());
        let count = for_any.iter().map(|share| share.queue.len()).fold(beside_queue, usize::saturating_add);
        let own = for_own.iter().map(|share| Demand { user: Some(share.user.clone()), count: share.queue.len() });
        own.chain((count > 0).then_some(Demand { user: None, count })).collect()
    }

    /// Adds a waiting session, and returns its ticket.
    pub(super) fn enqueue(
        &mut self,
        id: ShareId,
        options: ConnectOptions,
        worker: usize,
        hand: oneshot::Sender<Result<Handed, Displaced>>,
    ) -> u64 {
        let ticket = self.next_ticket;
        if let Some(share) = self.list.get_mut(id.0) {
            self.next_ticket = ticket.wrapping_add(1);
            self.queued = self.queued.saturating_add(1);
            share.queue.push_back(Waiter { options, hand, worker, passed_over: 0, ticket });
        }
        ticket
    }

    /// Removes a session that no longer waits.
    pub(super) fn leave(&mut self, id: ShareId, ticket: u64) -> Option<Waiter> {
        let share = self.list.get_mut(id.0)?;
        let index = share.queue.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()?;
        self.remove(id, index)
    }

    /// The session that leaves the full queue for one more of this account: the last of the account with the most in it. `None` if this account has as
    /// many.
    pub(super) fn displace_for(&mut self, id: ShareId) -> Option<Waiter> {
        let own = self.get(id)?.queue.len().saturating_add(1);
        let lengths = self.list.iter().map(|share| share.queue.len()).enumerate();
        let (index, longest) = lengths.max_by_key(|(_, length)| *length).filter(|(_, longest)| *longest > own)?;
        self.remove(ShareId(index), longest.saturating_sub(1))
    }

    /// Removes and returns the session that gets a free place: the first whose account may open a connection.
    pub(super) fn next(&mut self) -> Option<(ShareId, Waiter)> {
        let first = self.first(|_, share| share.has_room())?;
        Some((first, self.remove(first, 0)?))
    }

    /// Removes and returns the session that gets this account's connection, or its place, from this worker.
    pub(super) fn next_for(&mut self, own: ShareId, worker: usize) -> Option<(ShareId, Waiter)> {
        let first = self.first(|id, share| id == own || share.has_room())?;
        if first != own {
            let own_wait = self.get(own).is_some_and(|share| !share.queue.is_empty());
            let front = self.list.get_mut(first.0)?.queue.front_mut()?;
            if !own_wait || front.passed_over >= PASSED_OVER_MAX {
                return Some((first, self.remove(first, 0)?));
            }
            front.passed_over += 1;
        }
        let near = self.near(own, worker).unwrap_or(0);
        Some((own, self.remove(own, near)?))
    }

    /// Removes and returns all waiting sessions. They are not notified.
    pub(super) fn clear_queues(&mut self) -> Vec<Waiter> {
        self.queued = 0;
        self.list.iter_mut().flat_map(|share| std::mem::take(&mut share.queue)).collect()
    }

    /// The eligible account whose first waiter has waited longest. Accounts are few, and this is called only while sessions wait.
    fn first(&self, is_eligible: impl Fn(ShareId, &Share) -> bool) -> Option<ShareId> {
        if self.queued == 0 {
            return None;
        }
        let shares = self.list.iter().enumerate().map(|(index, share)| (ShareId(index), share));
        let fronts = shares.filter_map(|(id, share)| Some((share.queue.front()?.ticket, id, share)));
        fronts.filter(|(_, id, share)| is_eligible(*id, share)).min_by_key(|(ticket, ..)| *ticket).map(|(_, id, _)| id)
    }

    /// A session of this worker among the first in a queue, if the very first may be passed over.
    fn near(&mut self, id: ShareId, worker: usize) -> Option<usize> {
        let queue = &mut self.list.get_mut(id.0)?.queue;
        if queue.front()?.passed_over >= PASSED_OVER_MAX {
            return None;
        }
        let near = queue.iter().take(NEAR).position(|waiter| waiter.worker == worker).filter(|near| *near > 0)?;
        queue.front_mut()?.passed_over += 1;
        Some(near)
    }

    fn remove(&mut self, id: ShareId, index: usize) -> Option<Waiter> {
        let waiter = self.list.get_mut(id.0)?.queue.remove(index)?;
        self.queued = self.queued.saturating_sub(1);
        Some(waiter)
    }

    fn get(&self, id: ShareId) -> Option<&Share> {
        self.list.get(id.0)
    }
}

/// How many connections of each account may be closed.
pub(super) struct Spare(Vec<usize>);

impl Spare {
    /// Counts one connection of this account as closed. False if that would be one too many.
    pub(super) fn take(&mut self, id: ShareId) -> bool {
        let Some(left) = self.0.get_mut(id.0) else { return true };
        let is_spare = *left > 0;
        *left = left.saturating_sub(1);
        is_spare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(user: &str) -> Arc<Account> {
        Arc::new(Account { user: user.into(), password: Vec::new() })
    }

    fn bounded(user: &str, open_max: usize) -> PooledAccount {
        PooledAccount { account: account(user), server_connections: Some(open_max), warm_server_connections: 0 }
    }

    /// Queues these, in this order: account and worker of each.
    fn queue(shares: &mut Shares, waiters: &[(&str, usize)]) {
        for (user, worker) in waiters {
            let id = shares.id(user.as_bytes());
            let options = ConnectOptions { account: account(user), capabilities: wire::Capabilities::empty(), client: None };
            shares.enqueue(id, options, *worker, oneshot::channel().0);
        }
    }

    fn described(shares: &Shares, (id, waiter): &(ShareId, Waiter)) -> String {
        let user = String::from_utf8_lossy(&shares.get(*id).unwrap().user).into_owned();
        format!("{user}{}", waiter.worker)
    }

    /// The sessions that get the next connections of this account from worker 0.
    fn order(shares: &mut Shares, user: &str, count: usize) -> Vec<String> {
        let own = shares.id(user.as_bytes());
        let next = |_| shares.next_for(own, 0).map(|next| described(shares, &next));
        (0..count).map_while(next).collect()
    }

    #[test]
    fn a_worker_serves_its_own_first_but_passes_nobody_over_for_ever() {
        let shares = &mut Shares::default();
        queue(shares, &[("a", 1), ("a", 1), ("a", 0), ("a", 1), ("a", 0)]);
        assert_eq!(order(shares, "a", 9), ["a0", "a0", "a1", "a1", "a1"]);
        // Only the first few are searched.
        queue(shares, &[("a", 1), ("a", 1), ("a", 1), ("a", 1), ("a", 0)]);
        assert_eq!(order(shares, "a", 2), ["a1", "a0"]);
        shares.clear_queues();
        queue(shares, &[("a", 1)]);
        for _ in 0..PASSED_OVER_MAX {
            queue(shares, &[("a", 0)]);
            assert_eq!(order(shares, "a", 1), ["a0"]);
        }
        queue(shares, &[("a", 0)]);
        assert_eq!(order(shares, "a", 2), ["a1", "a0"]);
    }

    #[test]
    fn a_connection_goes_to_its_own_account_first_but_not_for_ever() {
        let shares = &mut Shares::default();
        queue(shares, &[("b", 0)]);
        queue(shares, &[("a", 0); 20]);
        let served = order(shares, "a", 10);
        assert_eq!(served.iter().position(|who| who == "b0"), Some(usize::from(PASSED_OVER_MAX)));
        // No session of its own account waits.
        shares.clear_queues();
        queue(shares, &[("b", 0)]);
        assert_eq!(order(shares, "a", 1), ["b0"]);
    }

    #[test]
    fn a_free_place_goes_to_the_first_whose_account_may_open_one() {
        let shares = &mut Shares::default();
        shares.configure(&[bounded("a", 1)]);
        let a = shares.id(b"a");
        shares.opened(a);
        queue(shares, &[("a", 1), ("a", 2), ("b", 3), ("c", 4)]);
        let next = |shares: &mut Shares| shares.next().map(|next| described(shares, &next));
        assert_eq!(next(shares).as_deref(), Some("b3"));
        shares.closed(a);
        assert_eq!(next(shares).as_deref(), Some("a1"));
        shares.opened(a);
        assert_eq!(next(shares).as_deref(), Some("c4"));
        assert_eq!((next(shares), shares.queued()), (None, 1));
        // It may always have its own connection.
        assert_eq!(order(shares, "a", 9), ["a2"]);
    }

    #[test]
    fn a_full_queue_makes_room_for_the_account_that_has_fewer_in_it() {
        let shares = &mut Shares::default();
        queue(shares, &[("a", 1), ("a", 2), ("b", 3), ("a", 4)]);
        let (a, b) = (shares.id(b"a"), shares.id(b"b"));
        assert!(shares.displace_for(a).is_none());
        assert_eq!(shares.displace_for(b).map(|waiter| waiter.worker), Some(4));
        assert!(shares.displace_for(b).is_none());
        assert_eq!(shares.queued(), 3);
    }

    #[test]
    fn a_session_that_leaves_is_no_longer_in_the_queue() {
        let shares = &mut Shares::default();
        queue(shares, &[("a", 1), ("a", 2), ("a", 3)]);
        let a = shares.id(b"a");
        assert_eq!(shares.leave(a, 1).map(|waiter| waiter.worker), Some(2));
        assert!(shares.leave(a, 1).is_none());
        assert_eq!(order(shares, "a", 9), ["a1", "a3"]);
        assert_eq!(shares.queued(), 0);
    }

    #[test]
    fn the_entry_of_an_account_that_is_gone_is_used_for_another() {
        let shares = &mut Shares::default();
        shares.configure(&[bounded("a", 1), bounded("b", 1)]);
        let a = shares.id(b"a");
        shares.opened(a);
        shares.configure(&[bounded("c", 2)]);
        // Its sessions go on, with the bound that it had.
        assert!(!shares.has_room(a) && shares.bound_reached(a) == Some(1));
        assert_eq!(shares.list.len(), 2);
        shares.closed(a);
        shares.configure(&[bounded("c", 2), bounded("d", 3)]);
        assert_eq!(shares.list.len(), 2);
        assert_eq!(shares.id(b"d"), a);
        // An account that comes back gets a new entry.
        assert!(shares.id(b"a") != a && shares.by_user.len() == 3);
    }

    #[test]
    fn it_is_known_which_account_waits_for_which_connections() {
        let shares = &mut Shares::default();
        shares.configure(&[bounded("a", 1)]);
        let a = shares.id(b"a");
        shares.opened(a);
        queue(shares, &[("a", 1), ("a", 2), ("b", 3), ("c", 4)]);
        let own = Demand { user: Some(b"a".as_slice().into()), count: 2 };
        assert_eq!(shares.demands(1), [own, Demand { user: None, count: 3 }]);
    }
}
