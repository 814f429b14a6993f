//! One connection to one server, and the looks that are taken through it.

use std::time::Duration;

use classifier::{Definition, Dialect};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};
use tokio::time::{Instant, timeout};
use topology::{Engine, Observation, Sample};

use crate::answers::{CATALOGUE_QUERIES, Fields, Reader, channels_query, full_query, loadable, loadable_query, sample_query};
use crate::failure::ProbeError;
use crate::settings::{Settings, Target};

/// Replication status rows are a few KB; a GTID set with many gaps may be more.
const MAX_ALLOWED_PACKET: usize = 16 << 20;
/// Only a client's own guess of when the server would drop an idle connection. Ours is never idle.
const WAIT_TIMEOUT_SECS: usize = 28_800;

/// A logged-in connection. After any error it must be dropped: an answer may still be under way on it.
#[derive(Debug)]
pub(crate) struct Session {
    conn: Conn,
    engine: Engine,
    reader: Reader,
    query_timeout: Duration,
}

impl Session {
    /// Connects, logs in, and finds out whose server it is.
    pub(crate) async fn open(target: &Target, settings: &Settings) -> Result<Session, ProbeError> {
        let late = |_| ProbeError::ConnectTimeout(settings.connect_timeout);
        // The driver has no timeouts of its own.
        let mut conn = timeout(settings.connect_timeout, Conn::new(options(target, settings))).await.map_err(late)??;
        let late = |_| ProbeError::QueryTimeout(settings.query_timeout);
        let asked = conn.query_first::<Row, _>("SELECT @@version AS version, @@version_comment AS version_comment");
        let row = timeout(settings.query_timeout, asked).await.map_err(late)??;
        let (version, comment) = row.as_ref().map(|row| (text(row, 0), text(row, 1))).unwrap_or_default();
        let engine = Engine::of(&version.unwrap_or_default(), &comment.unwrap_or_default());
        Ok(Session { conn, engine, reader: Reader::new(engine), query_timeout: settings.query_timeout })
    }

    /// The full look: two queries.
    pub(crate) async fn observe(&mut self) -> Result<Observation, ProbeError> {
        let sent_at = Instant::now().into_std();
        let fields = self.ask(full_query(self.engine)).await?.into_iter().next().unwrap_or_default();
        let channels = self.ask(channels_query(self.engine)).await?;
        self.reader.observation(sent_at, &fields, &channels)
    }

    /// The quick look.
    pub(crate) async fn sample(&mut self) -> Result<Sample, ProbeError> {
        // Before the query, so that the answer proves what was true at this moment.
        let sent_at = Instant::now().into_std();
        let fields = self.ask(sample_query(self.engine)).await?.into_iter().next().unwrap_or_default();
        self.reader.sample(sent_at, &fields)
    }

    /// What users have defined beside tables, and in whose grammar.
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

    /// Ends the connection as the server likes it.
    pub(crate) async fn close(self) {
        let _ = timeout(self.query_timeout, self.conn.disconnect()).await;
    }

    async fn ask(&mut self, query: &str) -> Result<Vec<Fields>, ProbeError> {
        self.ask_within(self.query_timeout, query).await
    }

    async fn ask_within(&mut self, limit: Duration, query: &str) -> Result<Vec<Fields>, ProbeError> {
        let late = |_| ProbeError::QueryTimeout(limit);
        let rows: Vec<Row> = timeout(limit, self.conn.query(query)).await.map_err(late)??;
        Ok(rows.iter().map(fields).collect())
    }
}

fn options(target: &Target, settings: &Settings) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(target.host.clone())
        .tcp_port(target.port)
        .user(Some(settings.user.clone()))
        .pass(Some(settings.password.clone()))
        // Otherwise it moves to the server's unix socket, if there happens to be one of that name on this machine.
        .prefer_socket(false)
        // Known values save a round trip at login.
        .max_allowed_packet(Some(MAX_ALLOWED_PACKET))
        .wait_timeout(Some(WAIT_TIMEOUT_SECS))
        .stmt_cache_size(0)
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
