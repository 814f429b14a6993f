//! Asking a running Pointsman: for the commands `status`, `journal`, `switchover` and `failover`.

use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

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

async fn exchange(socket: &Path, method: Method, path: &str, body: String) -> Result<Reply, ClientError> {
    let failed = |error| ClientError::Connect { path: socket.display().to_string(), error };
    let stream = UnixStream::connect(socket).await.map_err(failed)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert("host", hyper::header::HeaderValue::from_static("pointsman"));
    request.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    let serving = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let is_success = response.status().is_success();
    let bytes = response.into_body().collect().await?.to_bytes();
    drop(sender);
    // It ends by itself now.
    let _ = serving.await;
    Ok(Reply { is_success, text: String::from_utf8_lossy(&bytes).into_owned() })
}
