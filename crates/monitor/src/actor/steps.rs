//! How each step is done on a real server. Each may be repeated, even by another Pointsman that finds it half done.

use failover::Step;
use tokio::time::{Duration, Instant, sleep};
use topology::{Engine, ThreadState};

use super::sql;
use crate::connection::ServerConnection;
use crate::failure::ProbeError;
use crate::settings::{Address, ReplicationAccount};

/// Time before the first look at the transactions that are still open. By then most of those that were in progress have ended.
const TRANSACTIONS_GRACE: Duration = Duration::from_millis(10);
/// Time between two looks at them. `innodb_trx` shows a copy, which both servers renew only if it was not read for 100 ms (`trx0i_s.cc`,
/// `CACHE_MIN_IDLE_TIME_NS`): looking more often would show the same copy for ever.
const TRANSACTIONS_LOOK: Duration = Duration::from_millis(105);
/// How long one step waits for them.
const TRANSACTIONS_WAIT: Duration = Duration::from_millis(200);

/// Does a step. False: what it waits for has not come yet.
pub(super) async fn execute(
    connection: &mut ServerConnection,
    step: &Step,
    source: Option<&Address>,
    account: Option<&ReplicationAccount>,
    encrypted: bool,
) -> Result<bool, ProbeError> {
    let engine = connection.engine();
    match step {
        Step::Freeze { .. } => freeze(connection).await?,
        // Both threads: a process that was killed while it detached this replica has stopped both.
        Step::Thaw { .. } => connection.run(sql::start_replication(engine)).await?,
        Step::Fence { .. } => fence(connection).await?,
        Step::Retire { .. } => retire(connection).await?,
        Step::CloseWrites { .. } => {
            connection.run(sql::WAIT_BRIEFLY).await?;
            connection.run(sql::close(engine)).await?;
        }
        Step::AwaitTransactions { .. } => return await_transactions(connection).await,
        Step::Drain { up_to, .. } => {
            connection.run(sql::start_applying(engine)).await?;
            let rest = connection.first(&sql::await_position(engine, &up_to.to_string()), "rest").await?;
            return Ok(rest.as_deref() == Some("0"));
        }
        Step::Detach { .. } => detach(connection, source).await?,
        Step::RequireAcks { acks, .. } => {
            for sql in sql::require_acks(engine, *acks) {
                connection.run(&sql).await?;
            }
        }
        Step::Follow { acknowledges, is_former_primary, .. } => {
            let Some(source) = source else { return Err(ProbeError::Missing("the source's address")) };
            let source = sql::Source { address: source, account, encrypted };
            follow(connection, source, *acknowledges, *is_former_primary).await?;
        }
        Step::OpenWrites { .. } => {
            for sql in sql::open(engine) {
                connection.run(sql).await?;
            }
        }
    }
    Ok(true)
}

/// A replica that was frozen in the middle of a transaction waits for the rest of it. MySQL's applier goes on waiting for a minute after it is told
/// to stop, unless another source begins to send: its first event ends the transaction. So the replica follows another server for a moment, one that
/// has nothing that this one lacks.
async fn detach(connection: &mut ServerConnection, sibling: Option<&Address>) -> Result<(), ProbeError> {
    let engine = connection.engine();
    if let (Engine::MySql, Some(sibling)) = (engine, sibling)
        && connection.waits_for_rest_of_transaction().await?
    {
        connection.run(sql::stop_receiving(engine)).await?;
        connection.run(&sql::move_to(sibling)).await?;
        connection.run(sql::start_receiving(engine)).await?;
        connection.run(sql::stop_applying(engine)).await?;
    }
    connection.run(sql::stop_replication(engine)).await?;
    connection.run(sql::forget_source(engine)).await
}

/// On MariaDB the applier must run before the receiver stops, and must not be started after it has stopped: what was received would be discarded.
async fn freeze(connection: &mut ServerConnection) -> Result<(), ProbeError> {
    let engine = connection.engine();
    if engine == Engine::MariaDb {
        let seen = connection.observe().await?;
        let is_receiving = seen.channels.iter().any(|channel| channel.io != ThreadState::Stopped);
        let is_applying = seen.channels.iter().all(|channel| channel.applier == ThreadState::Running);
        if is_receiving && !is_applying {
            connection.run(sql::start_applying(engine)).await?;
        }
    }
    connection.run(sql::stop_receiving_from_the_dead(engine)).await
}

/// Does as much as possible, the most effective first. The connection may hang in any of this, and is then given up.
async fn fence(connection: &mut ServerConnection) -> Result<(), ProbeError> {
    let engine = connection.engine();
    connection.run(sql::WAIT_BRIEFLY).await?;
    match engine {
        Engine::MySql => {
            connection.run(sql::GO_OFFLINE).await?;
            connection.run(sql::close(engine)).await
        }
        Engine::MariaDb => {
            // A waiting commit keeps the server from becoming read-only, and becomes visible when its connection is killed: what it wrote
            // is compared before this server is used again.
            let closed = connection.run(sql::close(engine)).await;
            for id in connection.column(sql::CLIENTS, "id").await? {
                // It may have left by itself.
                let _ = connection.run(&format!("KILL {id}")).await;
            }
            match closed {
                Ok(()) => Ok(()),
                Err(_) => connection.run(sql::close(engine)).await,
            }
        }
    }
}

/// No client is left that could see the OK of a commit, so waiting commits may end. Until they do, the server cannot be closed.
async fn retire(connection: &mut ServerConnection) -> Result<(), ProbeError> {
    let engine = connection.engine();
    connection.run(sql::WAIT_BRIEFLY).await?;
    if engine == Engine::MySql {
        connection.run(sql::GO_OFFLINE).await?;
    }
    for id in connection.column(sql::CLIENTS, "id").await? {
        // It may have left by itself.
        let _ = connection.run(&format!("KILL {id}")).await;
    }
    if connection.observe().await?.semi_sync.is_some_and(|semi_sync| semi_sync.source_enabled) {
        connection.run(sql::require_no_acks(engine)).await?;
    }
    connection.run(sql::close(engine)).await
}

async fn await_transactions(connection: &mut ServerConnection) -> Result<bool, ProbeError> {
    let end = Instant::now() + TRANSACTIONS_WAIT;
    sleep(TRANSACTIONS_GRACE).await;
    loop {
        let open = connection.first(sql::OPEN_TRANSACTIONS, "open").await?;
        if open.as_deref() == Some("0") {
            return Ok(true);
        }
        // The next look, which may follow at once, has to see a new copy.
        sleep(TRANSACTIONS_LOOK).await;
        if Instant::now() >= end {
            return Ok(false);
        }
    }
}

async fn follow(
    connection: &mut ServerConnection,
    source: sql::Source<'_>,
    acknowledges: bool,
    is_former_primary: bool,
) -> Result<(), ProbeError> {
    let engine = connection.engine();
    let seen = connection.observe().await?;
    // The applier goes on where it can: after a freeze in the middle of a transaction, MySQL's would not stop for a minute.
    let keeps_place = engine == Engine::MySql && seen.channels.iter().any(|channel| channel.uses_gtids);
    if keeps_place {
        connection.run(sql::stop_receiving(engine)).await?;
    } else if !seen.channels.is_empty() {
        connection.run(sql::stop_replication(engine)).await?;
    }
    if is_former_primary {
        connection.run(sql::WAIT_BRIEFLY).await?;
        connection.run(sql::close(engine)).await?;
        if seen.semi_sync.is_some_and(|semi_sync| semi_sync.source_enabled) {
            connection.run(sql::require_no_acks(engine)).await?;
        }
    }
    if acknowledges {
        connection.run(sql::acknowledge(engine)).await?;
    }
    let place = match (keeps_place, is_former_primary && seen.channels.is_empty()) {
        (true, _) => sql::Place::Kept,
        (false, true) => sql::Place::OfFormerPrimary,
        (false, false) => sql::Place::ByGtid,
    };
    connection.run(&sql::follow(engine, source, place)).await?;
    connection.run(sql::start_replication(engine)).await?;
    if is_former_primary && seen.sample.offline {
        connection.run("SET GLOBAL offline_mode = 0").await?;
    }
    Ok(())
}
