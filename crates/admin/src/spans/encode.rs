//! Statements as spans: names and values by OpenTelemetry's semantic conventions for databases.
//!
//! A statement is one span of kind SERVER, as the client has it, and within it one of kind CLIENT for what its server took. The difference is the time
//! in Pointsman: waiting for a connection, for a primary or for a replica to catch up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use frontend::{SpanServer, StatementSpan};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use topology::Engine;

/// One request with all of them.
pub(super) fn request(service: &str, batch: &[StatementSpan]) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let resource =
        Resource { attributes: vec![text("service.name", service), text("service.version", version)], ..Resource::default() };
    let scope =
        InstrumentationScope { name: "pointsman".to_owned(), version: version.to_owned(), ..InstrumentationScope::default() };
    let spans = batch.iter().flat_map(|statement| [Some(as_the_client_has_it(statement)), on_its_server(statement)]).flatten();
    let scope_spans = ScopeSpans { scope: Some(scope), spans: spans.collect(), ..ScopeSpans::default() };
    let resource_spans = ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn as_the_client_has_it(statement: &StatementSpan) -> Span {
    let mut attributes = common(statement);
    attributes.extend([
        text("client.address", &statement.peer),
        text("pointsman.user", &String::from_utf8_lossy(&statement.user)),
        number("pointsman.session", statement.session.into()),
        text("pointsman.reason", statement.because),
        text("pointsman.verdict", statement.verdict),
        text("pointsman.digest", &statement.digest.to_string()),
        number("pointsman.tries", statement.tries.into()),
    ]);
    attributes.extend(statement.text.as_ref().map(|sql| text("db.query.text", &String::from_utf8_lossy(sql))));
    attributes.extend(statement.rows.map(|rows| number("db.response.returned_rows", rows)));
    attributes.extend(statement.changed.map(|rows| number("pointsman.changed_rows", rows)));
    attributes.extend(statement.server.as_ref().map(|server| text("pointsman.server", &server.name)));
    Span {
        span_id: statement.numbers.span.into(),
        parent_span_id: statement.numbers.parent.map(Vec::from).unwrap_or_default(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanoseconds(statement.ended, statement.took),
        attributes,
        ..span(statement)
    }
}

fn on_its_server(statement: &StatementSpan) -> Option<Span> {
    let (server, served) = (statement.server.as_ref()?, statement.served?);
    let mut attributes = common(statement);
    attributes.push(text("pointsman.server", &server.name));
    attributes.extend(address(server));
    Some(Span {
        span_id: statement.numbers.server_span.into(),
        parent_span_id: statement.numbers.span.into(),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: nanoseconds(statement.ended, served.min(statement.took)),
        attributes,
        ..span(statement)
    })
}

/// What both spans have.
fn span(statement: &StatementSpan) -> Span {
    let verb = verb(statement);
    let status = statement.error.map(|_| Status { code: StatusCode::Error.into(), ..Status::default() });
    Span {
        trace_id: statement.numbers.trace.into(),
        name: statement.schema.as_ref().map_or_else(|| verb.clone(), |schema| format!("{verb} {schema}")),
        end_time_unix_nano: nanoseconds(statement.ended, Duration::ZERO),
        status,
        ..Span::default()
    }
}

fn common(statement: &StatementSpan) -> Vec<KeyValue> {
    let system = match statement.server.as_ref().and_then(|server| server.engine) {
        Some(Engine::MariaDb) => "mariadb",
        _ => "mysql",
    };
    let mut attributes = vec![text("db.system.name", system), text("db.operation.name", &verb(statement))];
    attributes.extend(statement.schema.as_ref().map(|schema| text("db.namespace", schema)));
    if let Some(code) = statement.error {
        attributes.extend(["db.response.status_code", "error.type"].map(|key| text(key, &code.to_string())));
    }
    attributes
}

fn address(server: &SpanServer) -> Vec<KeyValue> {
    let (host, port) = server.address.rsplit_once(':').unwrap_or((&server.address, ""));
    let port = port.parse().ok().map(|port| number("server.port", port));
    std::iter::once(text("server.address", host.trim_matches(['[', ']']))).chain(port).collect()
}

/// The leading keyword, or keywords, as SQL writes them.
fn verb(statement: &StatementSpan) -> String {
    let mut text = String::new();
    for letter in format!("{:?}", statement.verb).chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

/// Since 1970, so long before this moment.
fn nanoseconds(moment: SystemTime, before: Duration) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(before);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
