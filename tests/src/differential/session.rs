//! One session that runs one statement, and what it was answered.

use std::fmt;
use std::net::SocketAddr;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, OptsBuilder, Params, QueryResult, Row, Value};

use super::case_files::Settings;

/// The account that runs the statements. It may do anything with data and files, and nothing that bypasses `read_only`.
pub(super) const READER: &str = "reader";

/// The default schema of cases that have none: their tables must be somewhere.
pub(super) const USUAL_SCHEMA: &str = "test";

/// The errors by which a server that is read-only, or a session that may only read, refuses a statement as a write.
///
/// 1290 `ER_OPTION_PREVENTS_STATEMENT`, 1792 `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`, 1836 `ER_READ_ONLY_MODE`, 1223
/// `ER_CANT_UPDATE_WITH_READLOCK`, 1099 `ER_TABLE_NOT_LOCKED_FOR_WRITE`, 1874 `ER_INNODB_READ_ONLY`, 1036 `ER_OPEN_AS_READONLY`.
const REFUSALS: &[u16] = &[1290, 1792, 1836, 1223, 1099, 1874, 1036];

/// 1064 `ER_PARSE_ERROR`, 1295 `ER_UNSUPPORTED_PS`: how a server refuses to prepare a batch, and some statements.
const UNPREPARED: &[u16] = &[1064, 1295];

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These results, one for each statement of the text.
    Results(Vec<ResultSet>),
    /// It was refused, or failed.
    Failed(Failure),
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSet {
    /// The columns' names; none for an OK packet.
    pub columns: Vec<String>,
    /// The rows, as text, sorted: few reads promise an order.
    pub rows: Vec<String>,
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its number.
    pub code: u16,
    /// What the server says.
    pub message: String,
}

impl Failure {
    /// The server has no such function (`ER_SP_DOES_NOT_EXIST`), but other versions have it, and no stored function has that name.
    pub fn is_of_other_versions(&self) -> bool {
        let called = self.message.split(' ').find_map(|word| word.split_once('.')).map(|(_, name)| name);
        self.code == 1305 && called.is_some_and(super::missing::is_native_somewhere)
    }
}

impl Answer {
    /// The error, if it is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Results(_) => None,
            Self::Failed(failure) => Some(failure),
        }
    }

    /// Whether both are results with the same columns, or both the same error.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed(one), Self::Failed(other)) => one.code == other.code,
            (Self::Results(one), Self::Results(other)) => {
                one.iter().map(|result| result.columns.len()).eq(other.iter().map(|result| result.columns.len()))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Results(results) => write!(
                f,
                "{} results of {:?} columns",
                results.len(),
                results.iter().map(|r| r.columns.len()).collect::<Vec<_>>()
            ),
            Self::Failed(failure) => write!(f, "{failure}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

impl Failure {
    /// Whether the server took the statement for a write.
    pub(super) fn is_refusal(&self) -> bool {
        REFUSALS.contains(&self.code)
    }

    fn of(error: Error) -> Self {
        match error {
            Error::Server(error) => Self { code: error.code, message: error.message },
            error => panic!("no answer of the server: {error}"),
        }
    }
}

/// A session that is as a case wants it. An error where its schema is missing.
pub(super) async fn open(server: SocketAddr, settings: &Settings, schema: &str) -> Result<Conn, Failure> {
    let options = OptsBuilder::default()
        .ip_or_hostname(server.ip().to_string())
        .tcp_port(server.port())
        .prefer_socket(false)
        .user(Some(READER))
        .pass(Some(READER))
        .db_name(Some(schema))
        // Every statement that is prepared is also closed, and seen to be gone.
        .stmt_cache_size(0)
        // The driver would ask for these.
        .max_allowed_packet(Some(16 << 20))
        .wait_timeout(Some(3600));
    let mut session = Conn::new(options).await.map_err(Failure::of)?;
    let setup = format!("SET NAMES {}, sql_mode = '{}'", settings.charset, settings.sql_mode);
    session.query_drop(setup).await.map_err(Failure::of)?;
    Ok(session)
}

/// Runs a statement as its client would: by the binary protocol, with 1 for each placeholder, if it has any.
pub(super) async fn ask(session: &mut Conn, sql: &str) -> Answer {
    let mut answer = try_ask(session, sql).await;
    // The server has put the statement away only when it takes the next command. There, the driver tells the error of a batch's
    // later statement.
    if let Err(error) = session.ping().await {
        answer = answer.and(Err(error));
        session.ping().await.expect("the session is alive");
    }
    answer.map_or_else(|error| Answer::Failed(Failure::of(error)), Answer::Results)
}

async fn try_ask(session: &mut Conn, sql: &str) -> mysql_async::Result<Vec<ResultSet>> {
    if !sql.contains('?') {
        return collect(session.query_iter(sql).await?).await;
    }
    let statement = match session.prep(sql).await {
        Ok(statement) => statement,
        // A batch, or something else that cannot be prepared: then the `?` is part of a literal.
        Err(Error::Server(error)) if UNPREPARED.contains(&error.code) => return collect(session.query_iter(sql).await?).await,
        Err(error) => return Err(error),
    };
    let parameters = match statement.num_params() {
        0 => Params::Empty,
        count => Params::Positional(vec![Value::Int(1); usize::from(count)]),
    };
    let results = match session.exec_iter(&statement, parameters).await {
        Ok(result) => collect(result).await,
        Err(error) => Err(error),
    };
    session.close(statement).await?;
    results
}

async fn collect<P: mysql_async::prelude::Protocol>(mut result: QueryResult<'_, '_, P>) -> mysql_async::Result<Vec<ResultSet>> {
    let mut results = Vec::new();
    loop {
        let columns: Vec<String> = result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
        let is_last = columns.is_empty() && result.is_empty();
        let rows: Vec<Row> = result.collect().await?;
        let mut rows: Vec<String> = rows.into_iter().map(|row| format!("{:?}", row.unwrap())).collect();
        rows.sort();
        results.push(ResultSet { columns, rows });
        if is_last || result.is_empty() {
            return Ok(results);
        }
    }
}
