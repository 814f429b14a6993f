use net::Link;
use session::{ConnectionState, LoginDetails, SessionState};
use tokio::net::{TcpListener, TcpStream};
use topology::ServerId;
use wire::{Capabilities, Plugin, StatusFlags};

use super::*;
use crate::Account;
use crate::connection::{LoggedIn, ServerConnection};

fn account(user: &str) -> Arc<Account> {
    Arc::new(Account { user: user.into(), password: Vec::new() })
}

fn options(user: &str) -> ConnectOptions {
    ConnectOptions { account: account(user), capabilities: Capabilities::empty(), client: None }
}

fn bounds(open: usize) -> Bounds {
    Bounds { open, idle: open, waiting: 100 }
}

fn pool(open: usize) -> Arc<ServerPool> {
    ServerPool::new(bounds(open), &[])
}

/// An account with a bound of its own, and some connections kept ready.
fn bounded(user: &str, open_max: usize, warm: usize) -> PooledAccount {
    PooledAccount { account: account(user), server_connections: Some(open_max), warm_server_connections: warm }
}

fn take(pool: &Arc<ServerPool>, user: &str, count: usize) -> Vec<Place> {
    (0..count).map_while(|_| pool.try_take(user.as_bytes())).collect()
}

fn wait(pool: &Arc<ServerPool>, user: &str) -> Turn {
    match pool.wait(&options(user), 0) {
        Queued::Turn(turn) => turn,
        other => panic!("{other:?}"),
    }
}

fn handed(turn: &mut Turn) -> Option<Handed> {
    turn.receiver.try_recv().ok().and_then(Result::ok)
}

fn has_place(turn: &mut Turn) -> Option<Place> {
    handed(turn).map(Handed::into_place)
}

/// Connections that lead nowhere.
struct Nowhere {
    listener: TcpListener,
    peers: Vec<TcpStream>,
}

impl Nowhere {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), peers: Vec::new() }
    }

    /// A connection in this place that has been idle for `idle_for`.
    async fn connection(&mut self, place: Place, user: &str, idle_for: Duration) -> Idle {
        let stream = TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap();
        self.peers.push(self.listener.accept().await.unwrap().0);
        let login = LoggedIn {
            tls: crate::tls::ServerTls::OFF,
            compression: crate::ServerCompression::Off,
            capabilities: Capabilities::empty(),
            thread_id: u32::try_from(self.peers.len()).unwrap(),
            is_mariadb: false,
            plugin: Plugin::CachingSha2,
            nonce: [0; 20],
        };
        let state = ConnectionState::after_login(Capabilities::empty(), 45, false);
        let mut connection = ServerConnection::new(Link::new(stream).unwrap(), login, StatusFlags::empty(), state);
        connection.idle_since = Instant::now().checked_sub(idle_for).unwrap();
        Idle {
            server: ServerId(0),
            options: options(user),
            connection: Box::new(connection),
            place,
            worker: 0,
            must_log_in: false,
        }
    }

    /// Adds `count` idle connections of this user.
    async fn fill(&mut self, pool: &Arc<ServerPool>, user: &str, count: usize) {
        for place in take(pool, user, count) {
            ServerPool::put_back(self.connection(place, user, Duration::ZERO).await);
        }
    }
}

/// The numbers of the idle connections, the least recently used first.
fn idle(pool: &ServerPool) -> Vec<u32> {
    pool.inner().idle.iter().map(|idle| idle.connection.thread_id()).collect()
}

fn take_idle(pool: &ServerPool, user: &str) -> Option<Idle> {
    let (options, since) = (options(user), Instant::now());
    let state = SessionState::new(LoginDetails { collation: 45, ..LoginDetails::default() }, None);
    let wanted = Wanted { options: &options, state: &state, since, keeps_idle: true, reign: None, enters_schema: false };
    pool.take_idle(0, &wanted, Distance::Login)
}

#[test]
fn places_above_a_lowered_limit_go_when_they_are_given_back() {
    let pool = pool(5);
    let mut taken = take(&pool, "a", 9);
    assert_eq!((taken.len(), pool.taken()), (5, 5));
    taken.truncate(4);
    pool.limit_to(2);
    assert_eq!((pool.limit(), pool.taken()), (2, 4));
    taken.truncate(2);
    assert_eq!(pool.taken(), 2);
    assert!(pool.try_take(b"a").is_none());
    taken.truncate(1);
    assert_eq!(take(&pool, "a", 9).len(), 1);
}

#[test]
fn waiting_sessions_get_free_places_in_turn() {
    let pool = pool(1);
    let mut taken = take(&pool, "a", 1);
    let (mut first, left, mut third) = (wait(&pool, "a"), wait(&pool, "a"), wait(&pool, "b"));
    assert!(has_place(&mut first).is_none());
    taken.clear();
    let place = has_place(&mut first).unwrap();
    assert!(pool.try_take(b"a").is_none() && has_place(&mut third).is_none());
    drop(left);
    drop(place);
    assert_eq!(pool.taken(), 1);
    drop(has_place(&mut third).unwrap());
    assert_eq!(pool.taken(), 0);
}

#[test]
fn a_place_handed_to_a_session_that_leaves_is_not_lost() {
    let pool = pool(1);
    let taken = take(&pool, "a", 1);
    let (first, mut second) = (wait(&pool, "a"), wait(&pool, "b"));
    drop(taken);
    drop(first);
    drop(has_place(&mut second).unwrap());
    assert_eq!(pool.taken(), 0);
    assert_eq!(take(&pool, "a", 1).len(), 1);
}

#[test]
fn a_higher_limit_serves_waiting_sessions() {
    let pool = pool(1);
    let _taken = take(&pool, "a", 1);
    let mut turns = [wait(&pool, "a"), wait(&pool, "a"), wait(&pool, "a")];
    pool.limit_to(3);
    assert!(has_place(&mut turns[0]).is_some() && handed(&mut turns[1]).is_some());
}

#[test]
fn room_that_came_before_the_wait_is_not_missed() {
    let pool = pool(1);
    let mut turn = wait(&pool, "a");
    assert!(has_place(&mut turn).is_some());
    assert_eq!(pool.taken(), 0);
}

#[tokio::test]
async fn a_connection_that_came_before_the_wait_is_not_missed() {
    let pool = pool(1);
    Nowhere::new().await.fill(&pool, "a", 1).await;
    assert!(matches!(pool.wait(&options("a"), 0), Queued::Again));
    assert!(matches!(pool.wait(&options("b"), 0), Queued::Again));
    assert!(pool.make_room(b"b") && pool.try_take(b"b").is_some());
}

#[test]
fn nobody_waits_for_a_server_that_is_gone() {
    let pool = pool(1);
    let taken = take(&pool, "a", 1);
    let mut turn = wait(&pool, "a");
    pool.close();
    assert!(matches!(turn.receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    drop(taken);
    assert_eq!(pool.taken(), 0);
    assert!(pool.try_take(b"a").is_none());
}

#[test]
fn a_connection_in_use_stays_with_its_worker_while_there_is_room() {
    assert!(!is_worth_moving(true, BUSY_MOMENT / 2));
    assert!(is_worth_moving(true, BUSY_MOMENT));
    assert!(is_worth_moving(false, Duration::ZERO));
}

#[tokio::test]
async fn an_unused_connection_may_go_to_any_worker() {
    let pool = pool(9);
    let mut nowhere = Nowhere::new().await;
    for worker in [1, KEEPER] {
        let mut connection = nowhere.connection(take(&pool, "a", 1).remove(0), "a", Duration::ZERO).await;
        connection.worker = worker;
        // Whatever the clock says, it has just been used.
        connection.connection.idle_since = Instant::now() + Duration::from_mins(1);
        ServerPool::put_back(connection);
    }
    assert_eq!(take_idle(&pool, "a").map(|idle| idle.worker), Some(KEEPER));
    assert_eq!(idle(&pool), [1]);
}

#[test]
fn sessions_that_have_left_do_not_fill_the_queue() {
    let pool = pool(1);
    let _taken = take(&pool, "a", 1);
    for _ in 0..1000 {
        drop(wait(&pool, "a"));
    }
    assert_eq!(pool.inner().shares.queued(), 0);
}

#[test]
fn waiting_sessions_are_counted() {
    let (pool, wanted) = (pool(1), Notify::new());
    assert_eq!(pool.waiting(), 0);
    let waiting = pool.wait_visibly(&wanted);
    assert_eq!((pool.waiting(), pool.demands()), (1, vec![Demand { user: None, count: 1 }]));
    drop(waiting);
    assert_eq!((pool.waiting(), pool.demands()), (0, Vec::new()));
}

#[test]
fn an_account_at_its_bound_waits_for_its_own_and_blocks_no_other() {
    let pool = ServerPool::new(bounds(3), &[bounded("a", 2, 0)]);
    let mut taken = take(&pool, "a", 9);
    assert_eq!((taken.len(), pool.bound_reached(b"a"), pool.bound_reached(b"b")), (2, Some(2), None));
    let mut turns: Vec<_> = (0..5).map(|_| wait(&pool, "a")).collect();
    // There is room, but not for this account.
    assert!(turns.iter_mut().all(|turn| handed(turn).is_none()));
    let other = take(&pool, "b", 9);
    assert_eq!(other.len(), 1);
    let (mut next, mut last) = (wait(&pool, "b"), wait(&pool, "b"));
    drop(other);
    let other = has_place(&mut next).unwrap();
    taken.pop();
    let own = has_place(&mut turns[0]).unwrap();
    assert!(handed(&mut turns[1]).is_none() && handed(&mut last).is_none());
    drop((other, own));
    assert!(handed(&mut turns[1]).is_some() && handed(&mut last).is_some());
}

#[test]
fn a_changed_bound_applies_to_waiting_sessions() {
    let pool = ServerPool::new(bounds(9), &[bounded("a", 1, 0)]);
    let mut taken = take(&pool, "a", 9);
    let mut turns = [wait(&pool, "a"), wait(&pool, "a")];
    pool.configure(bounds(9), &[bounded("a", 2, 0)]);
    let second = has_place(&mut turns[0]).unwrap();
    assert!(handed(&mut turns[1]).is_none());
    pool.configure(bounds(9), &[bounded("a", 1, 0)]);
    taken.clear();
    assert!(handed(&mut turns[1]).is_none());
    drop(second);
    assert!(handed(&mut turns[1]).is_some());
}

#[test]
fn a_full_queue_refuses_at_once() {
    let pool = ServerPool::new(Bounds { waiting: 2, ..bounds(1) }, &[]);
    let taken = take(&pool, "a", 1);
    let (first, second) = (wait(&pool, "a"), wait(&pool, "a"));
    assert!(matches!(pool.wait(&options("a"), 0), Queued::Full(2)));
    // There is room again as soon as one has left.
    drop(second);
    let mut third = wait(&pool, "a");
    pool.configure(Bounds { waiting: 0, ..bounds(1) }, &[]);
    assert!(matches!(pool.wait(&options("a"), 0), Queued::Full(0)));
    drop(taken);
    drop(first);
    assert!(handed(&mut third).is_some());
}

#[test]
fn an_account_that_fills_the_queue_gives_way_to_another() {
    let pool = ServerPool::new(Bounds { waiting: 3, ..bounds(1) }, &[]);
    let taken = take(&pool, "a", 1);
    let mut turns = [wait(&pool, "a"), wait(&pool, "a"), wait(&pool, "a")];
    let mut other = wait(&pool, "b");
    assert!(matches!(turns[2].receiver.try_recv(), Ok(Err(Displaced { limit: 3 }))));
    assert!(matches!(pool.wait(&options("a"), 0), Queued::Full(3)));
    drop(taken);
    drop(turns);
    assert!(handed(&mut other).is_some());
}

#[tokio::test]
async fn an_account_at_its_bound_gives_up_only_its_own_idle_connection() {
    let pool = ServerPool::new(bounds(9), &[bounded("a", 1, 0)]);
    let mut nowhere = Nowhere::new().await;
    nowhere.fill(&pool, "b", 1).await;
    nowhere.fill(&pool, "a", 1).await;
    assert!(pool.try_take(b"a").is_none() && pool.make_room(b"a"));
    assert_eq!((idle(&pool), pool.taken()), (vec![1], 1));
    assert!(pool.try_take(b"a").is_some() && !pool.make_room(b"a"));
}

#[tokio::test]
async fn a_connection_is_handed_over_within_its_account_and_its_place_to_others() {
    let pool = pool(1);
    let mut nowhere = Nowhere::new().await;
    let taken = take(&pool, "a", 1).pop().unwrap();
    let (mut own, mut other) = (wait(&pool, "a"), wait(&pool, "b"));
    ServerPool::put_back(nowhere.connection(taken, "a", Duration::ZERO).await);
    let Some(Handed::Connection(connection)) = handed(&mut own) else { panic!("no connection") };
    ServerPool::put_back(connection);
    let Some(Handed::Place(place)) = handed(&mut other) else { panic!("no place") };
    // It counts for the account that has it.
    assert_eq!((pool.taken(), place.share()), (1, Some(pool.inner().shares.id(b"b"))));
}

#[tokio::test]
async fn above_the_idle_bound_the_least_recently_used_is_closed() {
    let pool = ServerPool::new(Bounds { idle: 2, ..bounds(9) }, &[]);
    let mut nowhere = Nowhere::new().await;
    nowhere.fill(&pool, "a", 3).await;
    nowhere.fill(&pool, "b", 1).await;
    assert_eq!((idle(&pool), pool.taken()), (vec![3, 4], 2));
    pool.configure(Bounds { idle: 1, ..bounds(9) }, &[]);
    assert_eq!((idle(&pool), pool.taken()), (vec![4], 1));
}

#[tokio::test]
async fn a_lower_bound_of_an_account_closes_its_idle_connections() {
    let pool = pool(9);
    let mut nowhere = Nowhere::new().await;
    nowhere.fill(&pool, "a", 2).await;
    nowhere.fill(&pool, "b", 2).await;
    pool.configure(bounds(9), &[bounded("a", 1, 0)]);
    assert_eq!((idle(&pool), pool.taken()), (vec![2, 3, 4], 3));
}

#[tokio::test]
async fn connections_that_are_kept_ready_outlast_their_idle_time() {
    let limit = Duration::from_mins(1);
    let pool = ServerPool::new(bounds(9), &[bounded("a", 9, 2)]);
    let mut nowhere = Nowhere::new().await;
    for user in ["a", "b", "a", "a"] {
        let place = pool.try_take(user.as_bytes()).unwrap();
        ServerPool::put_back(nowhere.connection(place, user, limit).await);
    }
    let in_use = take_idle(&pool, "a").unwrap();
    pool.sweep(1, limit);
    assert_eq!(idle(&pool), [1, 2, 3]);
    pool.sweep(0, limit);
    // Together with the one in use there are two.
    assert_eq!((idle(&pool), pool.taken()), (vec![3], 2));
    drop(in_use);
    pool.keep_warm(false);
    pool.sweep(0, limit);
    assert_eq!(pool.taken(), 0);
    pool.keep_warm(true);
    // A connection with a former password is not kept.
    let place = pool.try_take(b"a").unwrap();
    let mut former = nowhere.connection(place, "a", limit).await;
    former.options.account = Arc::new(Account { user: b"a".to_vec(), password: b"former".to_vec() });
    ServerPool::put_back(former);
    pool.sweep(0, limit);
    assert_eq!(pool.taken(), 0);
}

#[tokio::test]
async fn a_connection_is_kept_ready_only_where_no_session_pays_for_it() {
    let pool = ServerPool::new(Bounds { idle: 2, ..bounds(4) }, &[bounded("a", 9, 2), bounded("b", 1, 3)]);
    let mut nowhere = Nowhere::new().await;
    let lacking = |pool: &ServerPool| pool.lacking().concat();
    let try_take = |user: &str| pool.try_take_to_warm(user.as_bytes());
    assert_eq!((lacking(&pool).as_slice(), pool.lacking().len()), (b"ab".as_slice(), 2));
    assert!(try_take("c").is_none());
    // Not above the account's own bound.
    let place = try_take("b").unwrap();
    assert!(try_take("b").is_none());
    assert_eq!(lacking(&pool), b"a");
    // Not above the bound on idle connections.
    ServerPool::put_back(nowhere.connection(place, "b", Duration::ZERO).await);
    nowhere.fill(&pool, "a", 1).await;
    assert!(try_take("a").is_none() && lacking(&pool).is_empty());
    let mut in_use = vec![take_idle(&pool, "b").unwrap().place];
    assert_eq!(lacking(&pool), b"a");
    // Not while a session waits, and not above the limit.
    let (wanted, mut more) = (Notify::new(), take(&pool, "c", 1));
    let waiting = pool.wait_visibly(&wanted);
    assert!(try_take("a").is_none());
    drop(waiting);
    more.extend(take(&pool, "c", 9));
    assert!(try_take("a").is_none() && lacking(&pool).is_empty());
    // Not where the server has to see each session.
    in_use.clear();
    pool.keep_warm(false);
    assert!(try_take("a").is_none() && lacking(&pool).is_empty());
    pool.keep_warm(true);
    assert!(try_take("a").is_some());
}
