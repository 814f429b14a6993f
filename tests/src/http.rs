//! One HTTP request to the admin API, written by hand: the tests also send what no library would.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::promptly;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status; 0 if the connection ended without one.
    pub status: u16,
    /// After the headers.
    pub body: String,
}

/// Sends these bytes and reads until the answer is whole, or the other side closes.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let text = promptly("an answer by HTTP", async {
        let mut stream = TcpStream::connect(address).await.expect("the admin API listens");
        // It may answer, and close, before it has got everything.
        let _ = stream.write_all(request).await;
        let mut bytes = Vec::new();
        while !is_whole(&bytes) && matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {}
        String::from_utf8(bytes).expect("text")
    })
    .await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    assert!(!is_chunked, "the tests read whole bodies only: {head}");
    Answer { status, body: body.to_owned() }
}

/// Whether the body is as long as the head says. Without a length, it ends with the connection.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let lengths = head.lines().filter_map(|line| line.split_once(':'));
    let length =
        lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).find_map(|(_, value)| value.trim().parse().ok());
    length.is_some_and(|length: usize| bytes.len() >= head.len() + 4 + length)
}

/// `GET`, with the token if there is one.
pub async fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Answer {
    exchange(address, format!("GET {path} HTTP/1.1\r\nhost: pointsman\r\n{}\r\n", authorization(token)).as_bytes()).await
}

/// `POST` of a JSON text.
pub async fn post(address: SocketAddr, path: &str, token: Option<&str>, body: &str) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nhost: pointsman\r\ncontent-type: application/json\r\n");
    let request = format!("{head}content-length: {}\r\n{}\r\n{body}", body.len(), authorization(token));
    exchange(address, request.as_bytes()).await
}

fn authorization(token: Option<&str>) -> String {
    token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default()
}
