//! The setup commands before a statement, which give the connection the session's settings.

use std::time::Duration;

use backend::ServerConnection;
use bytes::BytesMut;
use net::LinkError;
use session::{Grammar, PreparedText, SessionState};
use topology::Position;
use wire::{PrepareOk, put_packet_with};

use crate::session::failure::Failure;

/// Ends the warnings of an earlier statement. MariaDB keeps them over a statement without a table; a derived one does.
const NO_WARNINGS: &[u8] = b"DO (SELECT 1 FROM (SELECT 1) AS one)";

/// What goes out before a statement, nearly always in the same write, and how many answers it will have.
#[derive(Default)]
pub(super) struct SetupCommands {
    pub(super) commands: BytesMut,
    responses: u32,
    /// The last of them says whether the replica has what the session wrote.
    awaits_write: bool,
}

impl SetupCommands {
    /// What the connection lacks of the session's state.
    pub(super) fn catch_up(&mut self, connection: &mut ServerConnection, state: &SessionState) {
        self.responses += connection.catch_up(state, &mut self.commands);
    }

    /// Sends it by itself, and waits for its success.
    pub(super) async fn run(&mut self, connection: &mut ServerConnection) -> Result<(), Failure> {
        if self.responses == 0 && !self.awaits_write {
            return Ok(());
        }
        connection.link.send(&self.commands).await.map_err(LinkError::from)?;
        self.commands.clear();
        self.receive(connection).await
    }

    /// Clears the warnings of earlier statements.
    pub(super) fn end_warnings(&mut self, connection: &mut ServerConnection) {
        let capabilities = connection.capabilities();
        put_packet_with(&mut self.commands, 0, |payload| wire::put_query(payload, capabilities, &[NO_WARNINGS]));
        connection.expect_responses(1);
        self.responses += 1;
    }

    /// Begins a transaction.
    pub(super) fn begin_transaction(&mut self, connection: &mut ServerConnection) {
        let capabilities = connection.capabilities();
        put_packet_with(&mut self.commands, 0, |payload| wire::put_query(payload, capabilities, &[b"START TRANSACTION"]));
        connection.expect_responses(1);
        self.responses += 1;
    }

    /// Has the replica wait until it has this, if anything. MySQL manual 14.18.2, MariaDB "`MASTER_GTID_WAIT`".
    pub(super) fn await_write(&mut self, connection: &mut ServerConnection, awaited: Option<&Position>, at_most: Duration) {
        let Some(position) = awaited else { return };
        // Zero means for ever on MySQL. The router asks for no wait then.
        let seconds = at_most.max(Duration::from_millis(1)).as_secs_f64();
        let sql = match position {
            Position::MySql(set) => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{set}', {seconds})"),
            Position::MariaDb(position) => format!("SELECT MASTER_GTID_WAIT('{position}', {seconds})"),
        };
        let capabilities = connection.capabilities();
        put_packet_with(&mut self.commands, 0, |payload| wire::put_query(payload, capabilities, &[sql.as_bytes()]));
        connection.expect_responses(1);
        self.awaits_write = true;
    }

    pub(super) async fn receive(&mut self, connection: &mut ServerConnection) -> Result<(), Failure> {
        receive_own(connection, std::mem::take(&mut self.responses)).await?;
        // 0: it has it. 1 on MySQL, -1 on MariaDB: not in time.
        if std::mem::take(&mut self.awaits_write) && connection.receive_number::<i64>().await? != Some(0) {
            return Err(Failure::Behind);
        }
        Ok(())
    }
}

/// Reads the answers to what brought a connection to the session's state.
async fn receive_own(connection: &mut ServerConnection, count: u32) -> Result<(), Failure> {
    for _ in 0..count {
        connection.receive_own().await?.map_err(Failure::Setup)?;
    }
    Ok(())
}

/// Prepares a statement on one more server, without the client. Its text means what it meant `then`; the connection is left as the session is
/// `now`.
pub(super) async fn prepare_own(
    connection: &mut ServerConnection,
    text: &PreparedText,
    now: &Grammar,
) -> Result<PrepareOk, Failure> {
    let (sql, then) = (text.sql(), text.grammar());
    let detour = now.detour(then).ok_or(Failure::NeedsReprepare)?;
    let schemas = then.schema().zip(now.schema()).filter(|(then, now)| then != now);
    let capabilities = connection.capabilities();
    let mut packets = BytesMut::new();
    let set = |packets: &mut BytesMut, settings: &[Box<[u8]>], schema: Option<&[u8]>| {
        for sql in settings {
            put_packet_with(packets, 0, |payload| wire::put_query(payload, capabilities, &[b"SET ", sql]));
        }
        if let Some(schema) = schema {
            put_packet_with(packets, 0, |payload| payload.extend_from_slice(&[&[wire::COM_INIT_DB], schema].concat()));
        }
        u32::try_from(settings.len()).unwrap_or(u32::MAX).saturating_add(u32::from(schema.is_some()))
    };
    let there = set(&mut packets, &detour.there, schemas.map(|(then, _)| then));
    put_packet_with(&mut packets, 0, |payload| payload.extend_from_slice(&[&[wire::COM_STMT_PREPARE], sql].concat()));
    let back = set(&mut packets, &detour.back, schemas.map(|(_, now)| now));
    connection.expect_responses(there.saturating_add(back).saturating_add(1));
    connection.link.send(&packets).await.map_err(LinkError::from)?;
    // After an error in between, the connection is dropped with the answers that are still on their way.
    receive_own(connection, there).await?;
    let prepared = connection.receive_prepared().await?.map_err(Failure::Setup)?;
    receive_own(connection, back).await?;
    Ok(prepared)
}
