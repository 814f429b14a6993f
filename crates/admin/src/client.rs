//! Asking a running Pointsman: for the commands `status`, `journal`, `switchover` and `failover`.

use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// One event: the state of some hundred servers is far less.
const EVENT_MAX: usize = 4 * 1024 * 1024;

/// What it has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request succeeded.
    pub is_success: bool,
    /// JSON for a question, plain words for a request.
    pub text: String,
}

/// Why it could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No process listens there.
    #[error("nobody answers at {path} ({error}): is pointsman running, with [admin] socket = {path:?}, and may you open it?")]
    Connect {
        /// The socket.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The connection broke, or the peer does not speak HTTP.
    #[error("the answer was broken off: {0}")]
    Http(#[from] hyper::Error),
}

/// Asks a question.
pub async fn get(socket: &Path, path: &str) -> Result<Reply, ClientError> {
    exchange(socket, Method::GET, path, String::new()).await
}

/// Asks for something to be done, with a JSON object.
pub async fn post(socket: &Path, path: &str, body: String) -> Result<Reply, ClientError> {
    exchange(socket, Method::POST, path, body).await
}

/// Asks for what happens, as server-sent events.
pub async fn events(socket: &Path) -> Result<Events, ClientError> {
    let response = send(socket, Method::GET, "/api/events", String::new()).await?;
    let is_success = response.status().is_success();
    Ok(Events { body: response.into_body(), is_success, unread: Vec::new() })
}

/// What happens, event by event.
pub struct Events {
    body: Incoming,
    is_success: bool,
    unread: Vec<u8>,
}

impl Events {
    /// The name of the next event and its data. `None` at the end, as Pointsman has ended, or has refused a stream.
    pub async fn next(&mut self) -> Result<Option<(String, String)>, ClientError> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let event = String::from_utf8_lossy(self.unread.get(..end).unwrap_or_default()).into_owned();
                self.unread.drain(..end + 2);
                let field =
                    |key: &str| event.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim_start().to_owned();
                return Ok(Some((field("event:"), field("data:"))));
            }
            match self.body.frame().await {
                Some(frame) if self.is_success && self.unread.len() < EVENT_MAX => {
                    self.unread.extend(frame?.data_ref().map(|bytes| bytes.to_vec()).unwrap_or_default());
                }
                _ => return Ok(None),
            }
        }
    }
}

async fn exchange(socket: &Path, method: Method, path: &str, body: String) -> Result<Reply, ClientError> {
    let response = send(socket, method, path, body).await?;
    let is_success = response.status().is_success();
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(Reply { is_success, text: String::from_utf8_lossy(&bytes).into_owned() })
}

async fn send(socket: &Path, method: Method, path: &str, body: String) -> Result<Response<Incoming>, ClientError> {
    let failed = |error| ClientError::Connect { path: socket.display().to_string(), error };
    let stream = UnixStream::connect(socket).await.map_err(failed)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert("host", hyper::header::HeaderValue::from_static("pointsman"));
    request.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    // It ends by itself with the answer.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
