//! From result rows to observations: pure, so that what servers answer can be tested without them.

mod catalogue;
mod defaults;
mod filters;
mod grants;
mod replication_settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use topology::{Engine, Observation, Position, Replication, Sample, SourceId, ThreadState, Version};

use crate::failure::ProbeError;

pub(crate) use self::catalogue::{CATALOGUE_QUERIES, loadable, loadable_query};
pub(crate) use self::defaults::{collation_id, collation_name, collation_query, session_defaults};
use self::filters::channel_filters;
pub(crate) use self::filters::{binlog_filters, binlog_status_query};
pub(crate) use self::grants::{GlobalPrivileges, Need, Proof, action_needs, needs, quoted_account};
pub(crate) use self::replication_settings::{Variables, replication_settings_query};

/// One result row as text, with its column names as the server spells them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, Option<String>)>);

impl Fields {
    /// `None` if there is no such column, or it is NULL.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).and_then(|(_, value)| value.as_deref())
    }

    fn required(&self, column: &'static str) -> Result<&str, ProbeError> {
        self.text(column).ok_or(ProbeError::Missing(column))
    }

    fn non_empty(&self, column: &str) -> Option<&str> {
        self.text(column).filter(|text| !text.is_empty())
    }

    fn number<T: std::str::FromStr>(&self, column: &str) -> Option<T> {
        self.text(column)?.trim().parse().ok()
    }

    /// A switch. Some have become enumerations: `read_only` of MariaDB 12 has `NO_LOCK`, too.
    fn is_on(&self, column: &str) -> bool {
        self.text(column).is_some_and(|value| !matches!(value.to_ascii_uppercase().as_str(), "" | "0" | "OFF" | "NO"))
    }
}

/// What a quick look asks. The columns are named, so that one reader fits both looks.
pub(crate) fn sample_query(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => {
            "SELECT @@global.read_only AS read_only, @@global.offline_mode AS offline_mode, @@global.log_bin AS log_bin, \
             @@global.gtid_mode AS gtid_mode, @@global.gtid_executed AS gtid_executed"
        }
        Engine::MariaDb => {
            "SELECT @@global.read_only AS read_only, @@global.log_bin AS log_bin, \
             @@global.gtid_binlog_pos AS gtid_binlog_pos, @@global.gtid_slave_pos AS gtid_slave_pos, \
             @@global.log_slave_updates AS log_slave_updates"
        }
    }
}

/// What a full look asks first: all that a quick one does, and who the server is.
pub(crate) fn full_query(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => {
            "SELECT @@global.read_only AS read_only, @@global.offline_mode AS offline_mode, @@global.log_bin AS log_bin, \
             @@global.gtid_mode AS gtid_mode, @@global.gtid_executed AS gtid_executed, \
             @@global.super_read_only AS super_read_only, @@global.server_id AS server_id, @@global.server_uuid AS server_uuid, \
             @@global.sql_mode AS sql_mode, @@global.version AS version, @@global.collation_server AS collation_server, \
             @@global.autocommit AS autocommit, @@global.max_connections AS max_connections, \
             @@global.init_connect AS init_connect, \
             @@global.disconnect_on_expired_password AS disconnect_on_expired_password, @@global.wait_timeout AS wait_timeout, \
             @@global.interactive_timeout AS interactive_timeout, @@global.gtid_purged AS gtid_purged"
        }
        Engine::MariaDb => {
            "SELECT @@global.read_only AS read_only, @@global.log_bin AS log_bin, \
             @@global.gtid_binlog_pos AS gtid_binlog_pos, @@global.gtid_slave_pos AS gtid_slave_pos, \
             @@global.log_slave_updates AS log_slave_updates, @@global.gtid_binlog_state AS gtid_binlog_state, \
             @@global.server_id AS server_id, @@global.sql_mode AS sql_mode, @@global.version AS version, \
             @@global.collation_server AS collation_server, \
             @@global.autocommit AS autocommit, @@global.max_connections AS max_connections, \
             @@global.init_connect AS init_connect, \
             @@global.disconnect_on_expired_password AS disconnect_on_expired_password, @@global.wait_timeout AS wait_timeout, \
             @@global.interactive_timeout AS interactive_timeout"
        }
    }
}

/// What a full look asks second. One row for each channel; none for a server that follows no other.
pub(crate) fn channels_query(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "SHOW REPLICA STATUS",
        Engine::MariaDb => "SHOW ALL SLAVES STATUS",
    }
}

/// Reads positions, and remembers the last of each kind: most looks see the same text again, and comparing equal positions that share their memory is
/// cheap.
#[derive(Debug)]
pub(crate) struct Reader {
    engine: Engine,
    written: Option<(String, Position)>,
    applied: Option<(String, Position)>,
}

impl Reader {
    pub(crate) fn new(engine: Engine) -> Reader {
        Reader { engine, written: None, applied: None }
    }

    pub(crate) fn sample(&mut self, sent_at: Instant, fields: &Fields) -> Result<Sample, ProbeError> {
        fields.required("read_only")?;
        let (written, applied) = match self.engine {
            Engine::MySql => self.mysql_positions(fields)?,
            Engine::MariaDb => self.mariadb_positions(fields)?,
        };
        Ok(Sample { sent_at, read_only: fields.is_on("read_only"), offline: fields.is_on("offline_mode"), written, applied })
    }

    /// Without GTIDs for new transactions, `gtid_executed` does not change with the data, so it is no position.
    fn mysql_positions(&mut self, fields: &Fields) -> Result<(Option<Position>, Option<Position>), ProbeError> {
        let has_gtids = matches!(fields.required("gtid_mode")?, "ON" | "ON_PERMISSIVE");
        if !has_gtids {
            return Ok((None, None));
        }
        let executed = remembered(&mut self.applied, self.engine, fields.required("gtid_executed")?)?;
        Ok((fields.is_on("log_bin").then(|| executed.clone()), Some(executed)))
    }

    /// What a replica has applied is in `gtid_slave_pos` alone: `gtid_binlog_pos` and `gtid_current_pos` also include what was written on it by
    /// mistake, which would make it look further than it is.
    fn mariadb_positions(&mut self, fields: &Fields) -> Result<(Option<Position>, Option<Position>), ProbeError> {
        let applied = remembered(&mut self.applied, self.engine, fields.required("gtid_slave_pos")?)?;
        if !fields.is_on("log_bin") {
            return Ok((None, Some(applied)));
        }
        let mut written = remembered(&mut self.written, self.engine, fields.required("gtid_binlog_pos")?)?;
        advance_to_applied(&mut written, &applied, fields.is_on("log_slave_updates"));
        Ok((Some(written), Some(applied)))
    }

    /// Everything except what other queries ask for: the defaults of sessions, the filters of the binary log, and how the server replicates.
    pub(crate) fn observation(
        &mut self,
        sent_at: Instant,
        fields: &Fields,
        channels: &[Fields],
    ) -> Result<Observation, ProbeError> {
        let sample = self.sample(sent_at, fields)?;
        let version_text = fields.required("version")?;
        Ok(Observation {
            binlog_state: fields.text("gtid_binlog_state").map(str::parse).transpose()?,
            defaults: None,
            binlog_filters: None,
            uptime: Duration::ZERO,
            received: received(self.engine, sample.applied.as_ref(), channels)?,
            sample,
            engine: self.engine,
            version: Version::parse(version_text),
            version_text: version_text.into(),
            server_uuid: fields.text("server_uuid").and_then(|uuid| uuid.parse().ok()),
            server_id: fields.number("server_id").ok_or(ProbeError::Missing("server_id"))?,
            super_read_only: fields.is_on("super_read_only"),
            sql_mode: fields.required("sql_mode")?.into(),
            channels: channels.iter().filter_map(|channel| replication(self.engine, channel)).collect(),
            semi_sync: None,
            settings: Arc::default(),
        })
    }
}

/// What a primary has from its time as a replica is in its binary log only if it logged that. A domain that it never wrote in may be of
/// another source, unless nothing at all was logged.
fn advance_to_applied(written: &mut Position, applied: &Position, logs_applied: bool) {
    let (Position::MariaDb(written), Position::MariaDb(applied)) = (written, applied) else { return };
    for (domain, gtid) in applied.iter() {
        let is_behind = match written.last(domain) {
            Some(last) => last.sequence < gtid.sequence,
            None => !logs_applied,
        };
        if is_behind {
            written.advance(domain, gtid);
        }
    }
}

fn remembered(last: &mut Option<(String, Position)>, engine: Engine, text: &str) -> Result<Position, ProbeError> {
    if let Some((_, position)) = last.as_ref().filter(|(seen, _)| seen == text) {
        return Ok(position.clone());
    }
    let position = Position::parse(engine, text)?;
    *last = Some((text.to_owned(), position.clone()));
    Ok(position)
}

/// After a restart the received set is empty although all of it is applied, so the applied set is added to it (MySQL manual, SHOW REPLICA STATUS,
/// `Retrieved_Gtid_Set`).
fn received(engine: Engine, applied: Option<&Position>, channels: &[Fields]) -> Result<Option<Position>, ProbeError> {
    let column = match engine {
        Engine::MySql => "Retrieved_Gtid_Set",
        Engine::MariaDb => "Gtid_IO_Pos",
    };
    let Some(mut received) = applied.cloned() else { return Ok(None) };
    for text in channels.iter().filter_map(|channel| channel.non_empty(column)) {
        received.merge(&Position::parse(engine, text)?);
    }
    Ok(Some(received))
}

/// `None` for a channel without a source, as `RESET SLAVE` leaves it on some versions.
fn replication(engine: Engine, channel: &Fields) -> Option<Replication> {
    let [host, port, io, applier, behind] = match engine {
        Engine::MySql => ["Source_Host", "Source_Port", "Replica_IO_Running", "Replica_SQL_Running", "Seconds_Behind_Source"],
        Engine::MariaDb => ["Master_Host", "Master_Port", "Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master"],
    };
    let host = channel.non_empty(host)?;
    let errors: Vec<&str> = ["Last_IO_Error", "Last_SQL_Error"].iter().filter_map(|column| channel.non_empty(column)).collect();
    Some(Replication {
        io: thread_state(channel.text(io)),
        applier: thread_state(channel.text(applier)),
        source: Some(format!("{host}:{}", channel.text(port).unwrap_or("3306")).into()),
        source_id: source_id(engine, channel),
        seconds_behind: channel.number(behind),
        delay: Duration::from_secs(channel.number("SQL_Delay").unwrap_or_default()),
        uses_gtids: match engine {
            Engine::MySql => channel.is_on("Auto_Position"),
            Engine::MariaDb => channel.is_on("Using_Gtid"),
        },
        io_error: channel.number("Last_IO_Errno").filter(|number| *number != 0),
        applier_error: channel.number("Last_SQL_Errno").filter(|number| *number != 0),
        filters: channel_filters(channel).map(Into::into),
        last_error: (!errors.is_empty()).then(|| Arc::from(errors.join("; "))),
    })
}

fn thread_state(text: Option<&str>) -> ThreadState {
    match text {
        Some("Yes") => ThreadState::Running,
        Some("Connecting" | "Preparing") => ThreadState::Connecting,
        _ => ThreadState::Stopped,
    }
}

/// Both are empty or 0 until the replica has reached its source once.
fn source_id(engine: Engine, channel: &Fields) -> Option<SourceId> {
    match engine {
        Engine::MySql => channel.non_empty("Source_UUID")?.parse().ok().map(SourceId::Uuid),
        Engine::MariaDb => channel.number("Master_Server_Id").filter(|id| *id != 0).map(SourceId::ServerId),
    }
}

#[cfg(test)]
mod tests;
