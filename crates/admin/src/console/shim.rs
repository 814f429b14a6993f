//! Answers the statements of one client of the console, as opensrv-mysql hands them over.

use std::io;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use opensrv_mysql::{
    AsyncMysqlShim, Column, ColumnFlags, ColumnType, ErrorKind, InitWriter, OkResponse, ParamParser, QueryResultWriter,
    StatementMetaWriter,
};
use serde_json::Value;
use tokio::io::DuplexStream;

use super::command::{Command, Question, parse};
use super::rows::Rows;
use super::tables::Shape;

/// Asks the API, in this process.
pub(super) struct Shim {
    api: TowerToHyperService<Router>,
}

/// What the client is told.
enum Answer {
    Rows(Rows),
    Ok,
    Error(String),
}

impl Shim {
    pub(super) fn new(router: Router) -> Self {
        Self { api: TowerToHyperService::new(router) }
    }

    async fn answer(&self, sql: &str) -> Answer {
        match parse(sql) {
            Command::Ok => Answer::Ok,
            Command::Rows(rows) => Answer::Rows(rows),
            Command::Unknown(why) => Answer::Error(why),
            Command::Ask(question) => match self.ask(&question).await.and_then(|rows| question.query.apply(rows)) {
                Ok(rows) => Answer::Rows(rows),
                Err(why) => Answer::Error(why),
            },
        }
    }

    async fn ask(&self, question: &Question) -> Result<Rows, String> {
        let (status, text) = self.request(question).await?;
        if !status.is_success() {
            return Err(text.trim().to_owned());
        }
        let json = || serde_json::from_str::<Value>(&text).map_err(|error| error.to_string());
        Ok(match question.shape {
            Shape::List(_) => Rows::of_objects(question.shape.columns(), json()?.as_array().map_or(&[], Vec::as_slice)),
            Shape::ListAt(key, _) => Rows::of_objects(question.shape.columns(), list(&json()?, key)),
            Shape::Findings => findings(&json()?),
            Shape::Metrics => metrics(&text),
            Shape::Done => Rows::new(&["result"], vec![vec![Some(text.trim().to_owned())]]),
        })
    }

    async fn request(&self, question: &Question) -> Result<(StatusCode, String), String> {
        let (method, body) = match &question.body {
            None => (Method::GET, Body::empty()),
            Some(body) => (Method::POST, Body::from(body.to_string())),
        };
        let request = Request::builder().method(method).uri(&question.path).header("content-type", "application/json").body(body);
        let request = request.map_err(|error| error.to_string())?;
        // It cannot fail.
        let Ok(response) = self.api.call(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// All of a status but its servers: single values first, then one row for each warning and for what is missing.
fn findings(status: &Value) -> Rows {
    let single: serde_json::Map<_, _> = status
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_array())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut rows = Rows::of_pairs(&Value::Object(single));
    for (key, name) in [("warnings", "warning"), ("missing", "missing")] {
        let texts = list(status, key).iter().filter_map(Value::as_str);
        rows.rows.extend(texts.map(|text| vec![Some(name.to_owned()), Some(text.to_owned())]));
    }
    rows
}

/// Each line with its labels and its value.
fn metrics(text: &str) -> Rows {
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    Rows::new(&["name", "value"], lines.map(|(name, value)| vec![Some(name.to_owned()), Some(value.to_owned())]).collect())
}

#[async_trait]
impl AsyncMysqlShim<DuplexStream> for Shim {
    type Error = io::Error;

    async fn auth_plugin_for_username(&self, _user: &[u8]) -> &str {
        // The client has logged in already: nothing more is asked.
        ""
    }

    async fn on_prepare<'a>(&'a mut self, _query: &'a str, info: StatementMetaWriter<'a, DuplexStream>) -> io::Result<()> {
        info.error(ErrorKind::ER_UNSUPPORTED_PS, b"pointsman: the console answers statements as text only").await
    }

    async fn on_execute<'a>(
        &'a mut self,
        _id: u32,
        _parameters: ParamParser<'a>,
        results: QueryResultWriter<'a, DuplexStream>,
    ) -> io::Result<()> {
        results.error(ErrorKind::ER_UNSUPPORTED_PS, b"pointsman: the console answers statements as text only").await
    }

    async fn on_close<'a>(&'a mut self, _id: u32) {}

    async fn on_query<'a>(&'a mut self, sql: &'a str, results: QueryResultWriter<'a, DuplexStream>) -> io::Result<()> {
        match self.answer(sql).await {
            Answer::Ok => results.completed(OkResponse::default()).await,
            Answer::Error(why) => results.error(ErrorKind::ER_PARSE_ERROR, format!("pointsman: {why}").as_bytes()).await,
            Answer::Rows(Rows { columns, rows }) => {
                let column = |name: String| Column {
                    table: String::new(),
                    column: name,
                    coltype: ColumnType::MYSQL_TYPE_VAR_STRING,
                    colflags: ColumnFlags::empty(),
                };
                let columns: Vec<Column> = columns.into_iter().map(column).collect();
                let mut writer = results.start(&columns).await?;
                for row in rows {
                    writer.write_row(row).await?;
                }
                writer.finish().await
            }
        }
    }

    async fn on_init<'a>(&'a mut self, _schema: &'a str, writer: InitWriter<'a, DuplexStream>) -> io::Result<()> {
        writer.ok().await
    }
}
