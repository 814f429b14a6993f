//! Exports sampled statements to an OpenTelemetry collector: OTLP over HTTP, in protobuf.
//!
//! A collector that is slow or away costs spans, never statements: what cannot be sent is counted, not kept. There is no TLS and no retry here: both are
//! the work of a collector on the same host.

mod encode;

use std::sync::Arc;
use std::time::Duration;

use frontend::{SpanQueue, StatementSpan};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Most statements in one request.
const BATCH_MAX: usize = 512;

/// How long the first statement of a request may wait for others.
const BATCH_TIME: Duration = Duration::from_secs(1);

/// How long a request may take.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// No answer is longer, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// Where spans go, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Its host and port.
    pub authority: String,
    /// Of the request.
    pub path: String,
    /// The `service.name` of the spans.
    pub service: String,
}

/// Why spans could not be exported.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the answer cannot be read: {0}")]
    Answer(Box<dyn std::error::Error + Send + Sync>),
    #[error("it answers {0}")]
    Refused(hyper::StatusCode),
    #[error("no answer within {REQUEST_MAX:?}")]
    Timeout,
}

/// Exports statements until it is told to stop, and then what is left.
pub async fn export_spans(
    collector: Collector,
    mut spans: Receiver<StatementSpan>,
    queue: Arc<SpanQueue>,
    stop: CancellationToken,
) {
    let mut batch = Vec::new();
    let mut is_failing = false;
    loop {
        tokio::select! {
            received = spans.recv_many(&mut batch, BATCH_MAX) => if received == 0 { return },
            () = stop.cancelled() => {
                spans.close();
                if spans.recv_many(&mut batch, BATCH_MAX).await == 0 {
                    return;
                }
            }
        }
        let fill = async {
            while batch.len() < BATCH_MAX {
                let Some(span) = spans.recv().await else { break };
                batch.push(span);
            }
        };
        tokio::select! {
            _ = timeout(BATCH_TIME, fill) => {}
            () = stop.cancelled() => {}
        }
        let count = batch.len() as u64;
        let sent = timeout(REQUEST_MAX, send(&collector, &batch)).await.unwrap_or(Err(ExportError::Timeout));
        batch.clear();
        match sent {
            Ok(rejected) => {
                queue.note_failed(rejected.min(count));
                queue.note_exported(count.saturating_sub(rejected));
                if is_failing {
                    tracing::info!(collector = collector.authority, "spans are exported again");
                }
                is_failing = false;
            }
            Err(error) => {
                queue.note_failed(count);
                // Once, not for each of many requests.
                if !is_failing {
                    tracing::warn!(collector = collector.authority, %error, "spans are lost, as they cannot be exported (tracing.endpoint)");
                }
                is_failing = true;
            }
        }
    }
}

/// Sends one request. Returns how many of the spans the collector has rejected.
async fn send(collector: &Collector, batch: &[StatementSpan]) -> Result<u64, ExportError> {
    let stream = TcpStream::connect(&collector.authority).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends by itself with the answer.
    tokio::spawn(connection);
    let body = encode::request(&collector.service, batch).encode_to_vec();
    let request = Request::post(&collector.path)
        .header(HOST, &collector.authority)
        .header(CONTENT_TYPE, "application/x-protobuf")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| ExportError::Answer(error.into()))?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(ExportError::Refused(response.status()));
    }
    let answer = Limited::new(response.into_body(), ANSWER_MAX).collect().await.map_err(ExportError::Answer)?;
    // Some collectors answer with nothing, or with JSON: it is a success all the same.
    let answer = ExportTraceServiceResponse::decode(answer.to_bytes()).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    // These are spans, of which a statement has up to two.
    Ok(u64::try_from(rejected).unwrap_or_default())
}

#[cfg(test)]
mod tests;
