//! A collector of OpenTelemetry's spans: it keeps what Pointsman exports.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
pub use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// It listens until its runtime ends.
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// Listens on a port of the system's choice.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let received: Arc<Mutex<Vec<Span>>> = Arc::default();
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let spans = receive(stream).await.expect("a whole request");
                kept.lock().expect("no panic").extend(spans);
            }
        });
        Self { address, received }
    }

    /// What it has received so far.
    pub fn spans(&self) -> Vec<Span> {
        self.received.lock().expect("no panic").clone()
    }
}

/// One request by HTTP/1.1, which is answered with success.
async fn receive(stream: TcpStream) -> anyhow::Result<Vec<Span>> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    anyhow::ensure!(head.starts_with("POST /v1/traces HTTP/1.1"), "not a request of OTLP: {head}");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    let resources = ExportTraceServiceRequest::decode(&*body)?.resource_spans;
    Ok(resources.into_iter().flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect())
}

/// An attribute of a span, as text.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}
