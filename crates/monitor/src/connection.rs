//! One connection to one server, and the looks that are taken through it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use classifier::{Definition, Dialect};
use futures_util::FutureExt as _;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, Row, SslOpts, Value};
use tokio::time::{Instant, timeout};
use topology::{Engine, Observation, Position, ReplicationSettings, Sample, SessionDefaults};

use crate::answers::{
    CATALOGUE_QUERIES, Fields, Reader, Variables, binlog_filters, binlog_status_query, channels_query, collation_id,
    collation_name, collation_query, full_query, loadable, loadable_query, replication_settings_query, sample_query,
    session_defaults,
};
use crate::failure::ProbeError;
use crate::settings::{MonitoredServer, Settings};
use crate::tls::TlsMode;

/// Replication status rows are a few KB; a GTID set with many gaps may be more.
const MAX_ALLOWED_PACKET: usize = 16 << 20;
/// The driver's assumption of when the server drops an idle connection, in seconds. Ours is never idle.
const WAIT_TIMEOUT_SECS: usize = 28_800;

/// A logged-in connection. After any error it must be dropped: an answer may still be in transit.
#[derive(Debug)]
pub(crate) struct ServerConnection {
    conn: Conn,
    engine: Engine,
    reader: Reader,
    query_timeout: Duration,
    /// The collation that the server had last, by name and id.
    collation: Option<(String, u16)>,
    /// Kept, so that equal values share their memory.
    defaults: Option<Arc<SessionDefaults>>,
    /// Kept, so that equal values share their memory.
    settings: Arc<ReplicationSettings>,
    /// What the binary log leaves out; nothing before it was asked for.
    binlog_filters: Option<Arc<str>>,
    has_asked_for_filters: bool,
}

impl ServerConnection {
    /// Connects, logs in, and finds out whose server it is.
    pub(crate) async fn open(target: &MonitoredServer, settings: &Settings) -> Result<ServerConnection, ProbeError> {
        let late = |_| ProbeError::ConnectTimeout(settings.connect_timeout);
        // The driver has no timeouts of its own.
        let opening = async {
            // The driver panics where it is asked for a plugin that it was built without. That is `parsec`: the driver would derive its key on this
            // thread, from as many iterations as the server likes, and nothing else of the monitor would run meanwhile.
            let connecting = AssertUnwindSafe(connect(target, settings)).catch_unwind();
            let mut conn = connecting.await.map_err(|_| ProbeError::Plugin)??;
            let row = conn.query_first::<Row, _>("SELECT @@version AS version, @@version_comment AS version_comment").await?;
            Ok::<_, ProbeError>((conn, row))
        };
        let (conn, row) = timeout(settings.connect_timeout, opening).await.map_err(late)??;
        let (version, comment) = row.as_ref().map(|row| (text(row, 0), text(row, 1))).unwrap_or_default();
        let engine = Engine::of(&version.unwrap_or_default(), &comment.unwrap_or_default());
        Ok(ServerConnection {
            conn,
            engine,
            reader: Reader::new(engine),
            query_timeout: settings.query_timeout,
            collation: None,
            defaults: None,
            settings: Arc::default(),
            binlog_filters: None,
            has_asked_for_filters: false,
        })
    }

    /// Whose server it is.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// The server's number of this connection.
    pub(crate) fn id(&self) -> u32 {
        self.conn.id()
    }

    /// Checks that the server answers at all, even if locks are held.
    pub(crate) async fn ping(&mut self) -> Result<(), ProbeError> {
        Ok(self.conn.ping().await?)
    }

    /// The full look: three queries, and two more the first time. It has no time limit, and neither has the quick one: that is the prober's affair.
    pub(crate) async fn observe(&mut self) -> Result<Observation, ProbeError> {
        let sent_at = Instant::now().into_std();
        let fields = self.ask(full_query(self.engine)).await?.into_iter().next().unwrap_or_default();
        let channels = self.ask(channels_query(self.engine)).await?;
        let mut observation = self.reader.observation(sent_at, &fields, &channels)?;
        observation.defaults = self.session_defaults(&fields).await?;
        observation.binlog_filters = self.binlog_filters().await?;
        let variables = Variables::read(&self.ask(replication_settings_query(self.engine)).await?);
        observation.semi_sync = variables.semi_sync();
        observation.uptime = variables.uptime();
        observation.settings = self.replication_settings(&variables, &fields)?;
        Ok(observation)
    }

    fn replication_settings(&mut self, variables: &Variables, look: &Fields) -> Result<Arc<ReplicationSettings>, ProbeError> {
        let purged = look.text("gtid_purged").map(|text| Position::parse(self.engine, text)).transpose()?;
        let settings = ReplicationSettings { purged, ..variables.replication_settings(self.engine) };
        if *self.settings != settings {
            self.settings = settings.into();
        }
        Ok(Arc::clone(&self.settings))
    }

    async fn session_defaults(&mut self, look: &Fields) -> Result<Option<Arc<SessionDefaults>>, ProbeError> {
        let Some(name) = collation_name(look) else { return Ok(None) };
        if self.collation.as_ref().is_none_or(|(known, _)| known != name) {
            let id = collation_id(&self.ask(collation_query(self.engine)).await?);
            self.collation = id.map(|id| (name.to_owned(), id));
        }
        let defaults = self.collation.as_ref().and_then(|(_, id)| session_defaults(look, *id));
        if self.defaults.as_deref() != defaults.as_ref() {
            self.defaults = defaults.map(Arc::new);
        }
        Ok(self.defaults.clone())
    }

    /// Without the privilege to see them, there are none.
    async fn binlog_filters(&mut self) -> Result<Option<Arc<str>>, ProbeError> {
        if self.has_asked_for_filters {
            return Ok(self.binlog_filters.clone());
        }
        self.binlog_filters = match self.ask(binlog_status_query(self.engine)).await {
            Ok(rows) => binlog_filters(&rows).map(Into::into),
            Err(error) if error.is_denial() => None,
            Err(error) => return Err(error),
        };
        self.has_asked_for_filters = true;
        Ok(self.binlog_filters.clone())
    }

    /// The quick look.
    pub(crate) async fn sample(&mut self) -> Result<Sample, ProbeError> {
        // Before the query, so that the answer proves what was true at this moment.
        let sent_at = Instant::now().into_std();
        let fields = self.ask(sample_query(self.engine)).await?.into_iter().next().unwrap_or_default();
        self.reader.sample(sent_at, &fields)
    }

    /// Users' functions and views, and the grammar of their texts.
    pub(crate) async fn definitions(&mut self, limit: Duration) -> Result<(Dialect, Vec<Definition>), ProbeError> {
        let mut found = Vec::new();
        for (query, read) in CATALOGUE_QUERIES {
            found.extend(self.ask_within(limit, query).await?.iter().filter_map(read));
        }
        match self.ask_within(limit, loadable_query(self.engine)).await {
            Ok(rows) => found.extend(rows.iter().filter_map(loadable)),
            Err(error) if error.is_denial() => found.push(Definition::HiddenLoadables),
            Err(error) => return Err(error),
        }
        let dialect = match self.engine {
            Engine::MySql => Dialect::MySql,
            Engine::MariaDb => Dialect::MariaDb,
        };
        Ok((dialect, found))
    }

    /// As a replica of MySQL: the relay log may end in the middle of a transaction. The applied position is up to `replica_checkpoint_period` old, so
    /// this is over-reported, which is safe.
    pub(crate) async fn waits_for_rest_of_transaction(&mut self) -> Result<bool, ProbeError> {
        let channels = self.ask(channels_query(self.engine)).await?;
        let differ = |channel: &Fields, one, other| channel.text(one) != channel.text(other);
        Ok(channels.iter().any(|channel| {
            channel.text("Replica_IO_Running") == Some("No")
                && channel.text("Replica_SQL_Running") == Some("Yes")
                && (differ(channel, "Source_Log_File", "Relay_Source_Log_File")
                    || differ(channel, "Read_Source_Log_Pos", "Exec_Source_Log_Pos"))
        }))
    }

    /// Runs a statement whose answer does not matter.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), ProbeError> {
        Ok(self.conn.query_drop(sql).await?)
    }

    /// One column of all rows, NULLs left out.
    pub(crate) async fn column(&mut self, sql: &str, column: &str) -> Result<Vec<String>, ProbeError> {
        Ok(self.ask(sql).await?.iter().filter_map(|row| row.text(column).map(str::to_owned)).collect())
    }

    /// One column of the first row.
    pub(crate) async fn first(&mut self, sql: &str, column: &str) -> Result<Option<String>, ProbeError> {
        Ok(self.column(sql, column).await?.into_iter().next())
    }

    /// Ends the connection in an orderly way.
    pub(crate) async fn close(self) {
        let _ = timeout(self.query_timeout, self.conn.disconnect()).await;
    }

    async fn ask(&mut self, query: &str) -> Result<Vec<Fields>, ProbeError> {
        let rows: Vec<Row> = self.conn.query(query).await?;
        Ok(rows.iter().map(fields).collect())
    }

    pub(crate) async fn ask_within(&mut self, limit: Duration, query: &str) -> Result<Vec<Fields>, ProbeError> {
        timeout(limit, self.ask(query)).await.map_err(|_| ProbeError::QueryTimeout(limit))?
    }
}

async fn connect(target: &MonitoredServer, settings: &Settings) -> Result<Conn, Error> {
    match Conn::new(options(target, settings, settings.tls.options())).await {
        // The driver knows no "if it is offered".
        Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if settings.tls.mode == TlsMode::Preferred => {
            Conn::new(options(target, settings, None)).await
        }
        opened => opened,
    }
}

fn options(target: &MonitoredServer, settings: &Settings, tls: Option<SslOpts>) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(target.host.clone())
        .tcp_port(target.port)
        .user(Some(settings.user.clone()))
        .pass(Some(settings.password.clone()))
        .ssl_opts(tls)
        // Otherwise it moves to the server's unix socket, if there happens to be one of that name on this machine.
        .prefer_socket(false)
        // Known values save a round trip at login.
        .max_allowed_packet(Some(MAX_ALLOWED_PACKET))
        .wait_timeout(Some(WAIT_TIMEOUT_SECS))
        .stmt_cache_size(0)
        // Where the global default is 0, the first look would begin a transaction that never ends, and keeps old rows from being purged. And a
        // backslash in a literal must mean the same everywhere.
        .init(vec!["SET autocommit = 1, sql_mode = ''"])
        .into()
}

fn fields(row: &Row) -> Fields {
    let name = |(place, column): (usize, &mysql_async::Column)| (column.name_str().into_owned(), text(row, place));
    Fields(row.columns_ref().iter().enumerate().map(name).collect())
}

/// The text protocol sends bytes for everything but NULL.
fn text(row: &Row, place: usize) -> Option<String> {
    match row.as_ref(place) {
        Some(Value::Bytes(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}
