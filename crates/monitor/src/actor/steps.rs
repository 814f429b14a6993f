//! How each step is done on a real server. Each may be done again, also by another Pointsman that finds it half done.

use failover::Step;
use tokio::time::{Duration, Instant, sleep};
use topology::{Engine, ThreadState};

use super::sql;
use crate::failure::ProbeError;
use crate::session::Session;
use crate::settings::{Address, ReplicationAccount};

/// Before the first look at the transactions that are still open: what was under way when new ones had to wait is mostly done by then.
const TRANSACTIONS_GRACE: Duration = Duration::from_millis(10);
/// Between two looks at them. `innodb_trx` shows a copy, which both servers renew only once nobody has read it for 100 ms (`trx0i_s.cc`,
/// `CACHE_MIN_IDLE_TIME_NS`): who looks more often sees the same for ever.
const TRANSACTIONS_LOOK: Duration = Duration::from_millis(105);
/// How long one step waits for them.
const TRANSACTIONS_WAIT: Duration = Duration::from_millis(200);

/// Does a step. False: what it waits for has not come yet.
pub(super) async fn execute(
    session: &mut Session,
    step: &Step,
    source: Option<&Address>,
    account: Option<&ReplicationAccount>,
) -> Result<bool, ProbeError> {
    let engine = session.engine();
    match step {
        Step::Freeze { .. } => freeze(session).await?,
        // Both threads: a process that was killed while it detached this replica has stopped both.
        Step::Thaw { .. } => session.run(sql::start_replication(engine)).await?,
        Step::Fence { .. } => fence(session).await?,
        Step::Retire { .. } => retire(session).await?,
        Step::CloseWrites { .. } => {
            session.run(sql::WAIT_BRIEFLY).await?;
            session.run(sql::close(engine)).await?;
        }
        Step::AwaitTransactions { .. } => return await_transactions(session).await,
        Step::Drain { up_to, .. } => {
            session.run(sql::start_applying(engine)).await?;
            let rest = session.first(&sql::await_position(engine, &up_to.to_string()), "rest").await?;
            return Ok(rest.as_deref() == Some("0"));
        }
        Step::Detach { .. } => detach(session, source).await?,
        Step::RequireAcks { acks, .. } => {
            for sql in sql::require_acks(engine, *acks) {
                session.run(&sql).await?;
            }
        }
        Step::Follow { acknowledges, is_former_primary, .. } => {
            let Some(source) = source else { return Err(ProbeError::Missing("the source's address")) };
            follow(session, source, account, *acknowledges, *is_former_primary).await?;
        }
        Step::OpenWrites { .. } => {
            for sql in sql::open(engine) {
                session.run(sql).await?;
            }
        }
    }
    Ok(true)
}

/// A replica that was frozen in the middle of a transaction waits for the rest of it. MySQL's applier keeps that up for a minute when it is told
/// to stop, unless another source begins to send: the first thing that it says ends what was begun. So the replica follows another one for a
/// moment, which has nothing that this one lacks.
async fn detach(session: &mut Session, sibling: Option<&Address>) -> Result<(), ProbeError> {
    let engine = session.engine();
    if let (Engine::MySql, Some(sibling)) = (engine, sibling)
        && session.waits_for_rest_of_transaction().await?
    {
        session.run(sql::stop_receiving(engine)).await?;
        session.run(&sql::move_to(sibling)).await?;
        session.run(sql::start_receiving(engine)).await?;
        session.run(sql::stop_applying(engine)).await?;
    }
    session.run(sql::stop_replication(engine)).await?;
    session.run(sql::forget_source(engine)).await
}

/// On MariaDB the applier must run before the receiver stops, and must not be started when that has stopped already: what was received
/// would be thrown away.
async fn freeze(session: &mut Session) -> Result<(), ProbeError> {
    let engine = session.engine();
    if engine == Engine::MariaDb {
        let seen = session.observe().await?;
        let is_receiving = seen.channels.iter().any(|channel| channel.io != ThreadState::Stopped);
        let is_applying = seen.channels.iter().all(|channel| channel.applier == ThreadState::Running);
        if is_receiving && !is_applying {
            session.run(sql::start_applying(engine)).await?;
        }
    }
    session.run(sql::stop_receiving(engine)).await
}

/// As much as can be done, in the order of effect; the connection may hang in any of it, and is given up then.
async fn fence(session: &mut Session) -> Result<(), ProbeError> {
    let engine = session.engine();
    session.run(sql::WAIT_BRIEFLY).await?;
    match engine {
        Engine::MySql => {
            session.run(sql::GO_OFFLINE).await?;
            session.run(sql::close(engine)).await
        }
        Engine::MariaDb => {
            // A waiting commit keeps the server from becoming read-only, and becomes visible when its connection is killed: what it wrote
            // is compared before this server is used again.
            let closed = session.run(sql::close(engine)).await;
            for id in session.column(sql::CLIENTS, "id").await? {
                // It may have left by itself.
                let _ = session.run(&format!("KILL {id}")).await;
            }
            match closed {
                Ok(()) => Ok(()),
                Err(_) => session.run(sql::close(engine)).await,
            }
        }
    }
}

/// Nobody is left who could hear of a commit that ends now, so those that wait may end: until they do, the server cannot be closed.
async fn retire(session: &mut Session) -> Result<(), ProbeError> {
    let engine = session.engine();
    session.run(sql::WAIT_BRIEFLY).await?;
    if engine == Engine::MySql {
        session.run(sql::GO_OFFLINE).await?;
    }
    for id in session.column(sql::CLIENTS, "id").await? {
        // It may have left by itself.
        let _ = session.run(&format!("KILL {id}")).await;
    }
    if session.observe().await?.semi_sync.is_some_and(|semi_sync| semi_sync.source_enabled) {
        session.run(sql::require_no_acks(engine)).await?;
    }
    session.run(sql::close(engine)).await
}

async fn await_transactions(session: &mut Session) -> Result<bool, ProbeError> {
    let end = Instant::now() + TRANSACTIONS_WAIT;
    sleep(TRANSACTIONS_GRACE).await;
    loop {
        let open = session.first(sql::OPEN_TRANSACTIONS, "open").await?;
        if open.as_deref() == Some("0") {
            return Ok(true);
        }
        // Another step may follow this one at once, and has to see something new.
        sleep(TRANSACTIONS_LOOK).await;
        if Instant::now() >= end {
            return Ok(false);
        }
    }
}

async fn follow(
    session: &mut Session,
    source: &Address,
    account: Option<&ReplicationAccount>,
    acknowledges: bool,
    is_former_primary: bool,
) -> Result<(), ProbeError> {
    let engine = session.engine();
    let seen = session.observe().await?;
    // The applier goes on where it can: after a freeze in the middle of a transaction, MySQL's would not stop for a minute.
    let keeps_place = engine == Engine::MySql && seen.channels.iter().any(|channel| channel.uses_gtids);
    if keeps_place {
        session.run(sql::stop_receiving(engine)).await?;
    } else if !seen.channels.is_empty() {
        session.run(sql::stop_replication(engine)).await?;
    }
    if is_former_primary {
        session.run(sql::WAIT_BRIEFLY).await?;
        session.run(sql::close(engine)).await?;
        if seen.semi_sync.is_some_and(|semi_sync| semi_sync.source_enabled) {
            session.run(sql::require_no_acks(engine)).await?;
        }
    }
    if acknowledges {
        session.run(sql::acknowledge(engine)).await?;
    }
    let place = match (keeps_place, is_former_primary && seen.channels.is_empty()) {
        (true, _) => sql::Place::Kept,
        (false, true) => sql::Place::OfFormerPrimary,
        (false, false) => sql::Place::ByGtid,
    };
    session.run(&sql::follow(engine, source, account, place)).await?;
    session.run(sql::start_replication(engine)).await?;
    if is_former_primary && seen.sample.offline {
        session.run("SET GLOBAL offline_mode = 0").await?;
    }
    Ok(())
}
