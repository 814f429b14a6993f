#![allow(clippy::indexing_slicing, reason = "tests")]

use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use classifier::{Digest, Verb};
use frontend::{SpanCounts, SpanNumbers, SpanServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

const NUMBERS: SpanNumbers = SpanNumbers { trace: [1; 16], span: [2; 8], server_span: [3; 8], parent: Some([4; 8]) };

/// An update that took 30 ms, 20 ms of them on its server.
fn statement() -> StatementSpan {
    StatementSpan {
        numbers: NUMBERS,
        ended: SystemTime::UNIX_EPOCH + Duration::from_secs(10),
        took: Duration::from_millis(30),
        served: Some(Duration::from_millis(20)),
        session: 7,
        user: (*b"app").into(),
        peer: "192.0.2.1:1234".to_owned(),
        schema: Some("shop".into()),
        server: Some(SpanServer {
            name: "db1".into(),
            address: "[2001:db8::1]:3306".into(),
            engine: Some(topology::Engine::MariaDb),
        }),
        because: "write",
        verdict: "changes_data",
        verb: Verb::Update,
        digest: Digest(5),
        text: Some((*b"update `t` set `x` = ?").into()),
        tries: 1,
        rows: None,
        changed: Some(2),
        error: Some(1062),
    }
}

fn spans(request: &ExportTraceServiceRequest) -> &[Span] {
    &request.resource_spans[0].scope_spans[0].spans
}

/// Its attributes as text.
fn attributes(span: &Span) -> Vec<(&str, String)> {
    let value = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let text = span.attributes.iter().map(|pair| (&*pair.key, pair.value.as_ref().and_then(|any| any.value.as_ref()).map(value)));
    text.map(|(key, value)| (key, value.unwrap_or_default())).collect()
}

#[test]
fn a_statement_is_a_span_with_that_of_its_server_inside() {
    let request = encode::request("shop-db", &[statement()]);
    let resource = request.resource_spans[0].resource.as_ref().expect("it has one");
    assert_eq!(
        resource.attributes[0].value.as_ref().and_then(|any| any.value.clone()),
        Some(Value::StringValue("shop-db".into()))
    );
    let [whole, server] = spans(&request) else { unreachable!("two spans: {request:?}") };
    assert_eq!(
        (whole.name.as_str(), whole.kind, &*whole.trace_id, &*whole.parent_span_id),
        ("UPDATE shop", 2, &[1; 16][..], &[4; 8][..])
    );
    assert_eq!(
        (server.name.as_str(), server.kind, &*server.trace_id, &*server.parent_span_id),
        ("UPDATE shop", 3, &[1; 16][..], &[2; 8][..])
    );
    let milliseconds = |span: &Span| [span.start_time_unix_nano, span.end_time_unix_nano].map(|time| time / 1_000_000);
    assert_eq!((milliseconds(whole), milliseconds(server)), ([9970, 10_000], [9980, 10_000]));
    assert!([whole, server].iter().all(|span| span.status.as_ref().is_some_and(|status| status.code == 2)), "both failed");
    for expected in [
        ("db.system.name", "mariadb"),
        ("db.operation.name", "UPDATE"),
        ("db.namespace", "shop"),
        ("db.query.text", "update `t` set `x` = ?"),
        ("db.response.status_code", "1062"),
        ("error.type", "1062"),
        ("client.address", "192.0.2.1:1234"),
        ("pointsman.user", "app"),
        ("pointsman.session", "7"),
        ("pointsman.reason", "write"),
        ("pointsman.verdict", "changes_data"),
        ("pointsman.tries", "1"),
        ("pointsman.changed_rows", "2"),
        ("pointsman.server", "db1"),
    ] {
        let attributes = attributes(whole);
        assert!(attributes.contains(&(expected.0, expected.1.to_owned())), "{expected:?} in {attributes:?}");
    }
    let of_server = attributes(server);
    for expected in [("server.address", "2001:db8::1"), ("server.port", "3306"), ("db.system.name", "mariadb")] {
        assert!(of_server.contains(&(expected.0, expected.1.to_owned())), "{expected:?} in {of_server:?}");
    }
}

#[test]
fn what_was_not_sent_has_no_span_of_a_server() {
    let numbers = SpanNumbers { parent: None, ..NUMBERS };
    let refused = StatementSpan { server: None, served: None, schema: None, numbers, error: None, ..statement() };
    let request = encode::request("pointsman", &[refused]);
    let [whole] = spans(&request) else { unreachable!("one span: {request:?}") };
    assert_eq!((whole.name.as_str(), whole.parent_span_id.len(), &whole.status), ("UPDATE", 0, &None));
}

#[test]
fn an_operation_is_named_as_in_sql() {
    for (verb, name) in [(Verb::Xa, "XA"), (Verb::ReleaseSavepoint, "RELEASE SAVEPOINT"), (Verb::LockTables, "LOCK TABLES")] {
        let request = encode::request("pointsman", &[StatementSpan { verb, server: None, schema: None, ..statement() }]);
        assert_eq!(spans(&request)[0].name, name);
    }
}

/// What a collector has got, and what it is to answer.
#[derive(Clone)]
struct Received {
    requests: mpsc::UnboundedSender<ExportTraceServiceRequest>,
    answer: (StatusCode, Vec<u8>),
}

async fn receive(State(received): State<Received>, headers: HeaderMap, body: axum::body::Bytes) -> (StatusCode, Vec<u8>) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    received.requests.send(ExportTraceServiceRequest::decode(body).expect("protobuf")).expect("the test waits");
    received.answer
}

/// Exports two statements to a collector that answers so.
async fn exported(status: StatusCode, answer: Vec<u8>) -> (usize, SpanCounts) {
    let (requests, mut received) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = listener.local_addr().expect("an address").to_string();
    let app = Router::new().route("/v1/traces", post(receive)).with_state(Received { requests, answer: (status, answer) });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (sender, spans) = mpsc::channel(4);
    for _ in 0..2 {
        sender.send(statement()).await.expect("there is room");
    }
    let (queue, _) = SpanQueue::new();
    let stop = CancellationToken::new();
    stop.cancel();
    let collector = Collector { authority, path: "/v1/traces".to_owned(), service: "pointsman".to_owned() };
    export_spans(collector, spans, Arc::clone(&queue), stop).await;
    let request = received.recv().await.expect("what is left is exported at the end");
    (self::spans(&request).len(), queue.counts())
}

#[tokio::test]
async fn a_collector_gets_them_in_one_request() {
    assert_eq!(exported(StatusCode::OK, Vec::new()).await, (4, SpanCounts { exported: 2, ..SpanCounts::default() }));
    let json = b"{\"partialSuccess\":{}}".to_vec();
    assert_eq!(exported(StatusCode::OK, json).await.1.exported, 2);
}

#[tokio::test]
async fn what_the_collector_rejects_is_counted() {
    let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "too old".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    assert_eq!(exported(StatusCode::OK, answer).await.1, SpanCounts { exported: 1, failed: 1, dropped: 0 });
    let refused = exported(StatusCode::SERVICE_UNAVAILABLE, Vec::new()).await.1;
    assert_eq!(refused, SpanCounts { exported: 0, failed: 2, dropped: 0 });
}

#[tokio::test]
async fn an_absent_collector_costs_spans_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let (sender, spans) = mpsc::channel(4);
    sender.send(statement()).await.expect("there is room");
    drop(sender);
    let (queue, _) = SpanQueue::new();
    let collector = Collector { authority, path: "/".to_owned(), service: String::new() };
    export_spans(collector, spans, Arc::clone(&queue), CancellationToken::new()).await;
    assert_eq!(queue.counts(), SpanCounts { failed: 1, ..SpanCounts::default() });
}
