//! Serving HTTP to whoever may connect: bounded in connections, bytes and time, since on TCP anybody may.
//!
//! One request for each connection. A client that is slow with its request is cut off; how long the answer takes is the request's own matter, as a
//! switchover may take a while.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dashboard;
use crate::tls::{AdminTls, accept as accept_tls};
use crate::token::Token;

/// Connections to one listener at once. More wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// For a request's head, and once more for its body.
const READ: Duration = Duration::from_secs(5);

/// From the head of a request by TCP to the last byte of its answer. On the socket there is no such limit: a server's data may take hours to copy.
const ANSWER: Duration = Duration::from_mins(15);

/// The head of a request.
const HEAD_MAX: usize = 16 * 1024;

/// Its body.
const BODY_MAX: usize = 64 * 1024;

/// After a failed accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves on a socket whose permissions say who may do everything.
pub(crate) async fn serve_socket(listener: UnixListener, router: Router, stop: CancellationToken) {
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    serve(accept, |stream| std::future::ready(Some(stream)), router, Duration::MAX, stop).await;
}

/// Serves on an address. Without the token, only what [`Token::admits`] names; but where no client comes without a certificate and there is no token, all of
/// it.
pub(crate) async fn serve_address(
    listener: TcpListener,
    router: Router,
    (token, tls): (Option<Token>, Option<AdminTls>),
    stop: CancellationToken,
) {
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    let Some(tls) = tls else {
        return serve(accept, |stream| std::future::ready(Some(stream)), with_token(router, token), ANSWER, stop).await;
    };
    let has_only_certificates = tls.demands_certificates() && token.is_none();
    let router = if has_only_certificates { router.layer(from_fn(of_own_pages)) } else { with_token(router, token) };
    let handshake = move |stream| {
        let acceptor = tls.acceptor();
        async move {
            let accepted = accept_tls(stream, &acceptor).await;
            accepted.inspect_err(|error| tracing::debug!(%error, "a client of the admin API left in its TLS handshake")).ok()
        }
    };
    serve(accept, handshake, router, ANSWER, stop).await;
}

/// A browser shows its certificate whatever page sends a request. Where nothing else is asked for, only pages from here may change anything: for others the
/// browser says in `Origin` where they are from.
async fn of_own_pages(request: Request, next: Next) -> Response {
    if is_from_elsewhere(request.headers()) && !request.method().is_safe() {
        return (StatusCode::FORBIDDEN, "a page from elsewhere may not ask for this").into_response();
    }
    next.run(request).await
}

fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text(ORIGIN).is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != text(HOST))
}

fn with_token(router: Router, token: Option<Token>) -> Router {
    let token = Arc::new(token);
    router.layer(from_fn(move |request: Request, next: Next| {
        let token = Arc::clone(&token);
        async move {
            match token.as_ref() {
                None if request.uri().path() == "/" => dashboard::answer(dashboard::WITHOUT_TOKEN),
                token if Token::admits(token.as_ref(), &request) => next.run(request).await,
                _ => unauthorized(),
            }
        }
    }))
}

/// `prepare` makes a stream of what was accepted, in the connection's own task. `None`: the client was none.
async fn serve<T, A, P, S>(
    accept: impl Fn() -> A,
    prepare: impl Fn(T) -> P,
    router: Router,
    answer: Duration,
    stop: CancellationToken,
) where
    T: Send + 'static,
    A: Future<Output = std::io::Result<T>>,
    P: Future<Output = Option<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = router.layer(from_fn(read_body)).layer(map_response(dashboard::secure));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            // It is never closed.
            Ok(place) = Arc::clone(&room).acquire_owned() => tokio::select! {
                accepted = accept() => accepted.map(|stream| (stream, place)),
                () = stop.cancelled() => break,
            },
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, place)) => {
                let (service, stop) = (TowerToHyperService::new(router.clone()), stop.clone());
                let prepared = prepare(stream);
                tasks.spawn(async move {
                    let _place = place;
                    let stream = tokio::select! {
                        stream = prepared => stream,
                        () = stop.cancelled() => return,
                    };
                    let Some(stream) = stream else { return };
                    let mut connection = std::pin::pin!(
                        http1::Builder::new()
                            .keep_alive(false)
                            .timer(TokioTimer::new())
                            .header_read_timeout(READ)
                            .max_buf_size(HEAD_MAX)
                            .serve_connection(TokioIo::new(stream), service)
                    );
                    tokio::select! {
                        // The client has got an answer, or is gone.
                        _ = timeout(answer, connection.as_mut()) => {}
                        () = stop.cancelled() => {
                            connection.as_mut().graceful_shutdown();
                            let _ = timeout(READ, connection).await;
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin API cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Takes in the whole body before the request is looked at.
async fn read_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match timeout(READ, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(body)) => next.run(Request::from_parts(head, Body::from(body.to_bytes()))).await,
        Ok(Err(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "a request has at most 64 KiB").into_response(),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request did not come within 5 s").into_response(),
    }
}

fn unauthorized() -> Response {
    let challenge = [("www-authenticate", "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "this needs the token of [admin] (Authorization: Bearer ..)").into_response()
}

#[cfg(test)]
mod tests {

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::mpsc;

    use super::*;

    /// A server without sockets, and where its clients come from.
    fn start() -> (mpsc::Sender<DuplexStream>, CancellationToken) {
        let (clients, waiting) = mpsc::channel::<DuplexStream>(2 * CONNECTIONS_MAX);
        let (waiting, stop) = (tokio::sync::Mutex::new(waiting), CancellationToken::new());
        let router = Router::new().route("/", get(async || "here")).route("/", post(async |body: String| body.len().to_string()));
        let ending = stop.clone();
        tokio::spawn(async move {
            let accept = || async { waiting.lock().await.recv().await.ok_or_else(|| std::io::ErrorKind::BrokenPipe.into()) };
            serve(accept, |stream| std::future::ready(Some(stream)), router, ANSWER, ending).await;
        });
        (clients, stop)
    }

    async fn connect(clients: &mpsc::Sender<DuplexStream>) -> DuplexStream {
        let (mine, theirs) = duplex(1 << 20);
        clients.send(theirs).await.expect("it accepts");
        mine
    }

    async fn answer(mut client: DuplexStream) -> String {
        let mut text = String::new();
        // Cut off, or ended.
        let _ = client.read_to_string(&mut text).await;
        text.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn with_a_certificate_alone_pages_from_elsewhere_change_nothing() {
        let (clients, waiting) = mpsc::channel::<DuplexStream>(8);
        let waiting = tokio::sync::Mutex::new(waiting);
        let router = Router::new().route("/", get(async || "here")).route("/", post(async || "done"));
        tokio::spawn(async move {
            let accept = || async { waiting.lock().await.recv().await.ok_or_else(|| std::io::ErrorKind::BrokenPipe.into()) };
            let router = router.layer(from_fn(of_own_pages));
            serve(accept, |stream| std::future::ready(Some(stream)), router, ANSWER, CancellationToken::new()).await;
        });
        let check = async |method: &str, origin: &str, expected: &str| {
            let mut client = connect(&clients).await;
            let request = format!("{method} / HTTP/1.1\r\nhost: p.example:6034\r\n{origin}content-length: 0\r\n\r\n");
            client.write_all(request.as_bytes()).await.expect("sent");
            let got = answer(client).await;
            assert!(got.contains(expected), "{got:?} to {request}");
        };
        check("POST", "", "200").await;
        check("POST", "origin: https://p.example:6034\r\n", "200").await;
        check("POST", "origin: https://evil.example\r\n", "403").await;
        check("POST", "origin: https://p.example\r\n", "403").await;
        check("POST", "origin: null\r\n", "403").await;
        check("GET", "origin: https://evil.example\r\n", "200").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_too_large_or_too_slow_is_cut_off() {
        let (clients, _stop) = start();
        let check = async |request: String, expected: &str| {
            let mut client = connect(&clients).await;
            let _ = client.write_all(request.as_bytes()).await;
            let got = answer(client).await;
            assert!(got.contains(expected), "{got:?} for {} bytes", request.len());
        };
        check("GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "200").await;
        check(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(2 * HEAD_MAX)), "431").await;
        check(
            format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{}", BODY_MAX + 1, "a".repeat(BODY_MAX + 1)),
            "413",
        )
        .await;
        check("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc".to_owned(), "408").await;
        check("GET / HT".to_owned(), "").await;
        check("\0\u{1}\u{2}garbage\r\n\r\n".to_owned(), "400").await;
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_say_nothing_keep_others_waiting_for_a_moment_only() {
        let (clients, _stop) = start();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            silent.push(connect(&clients).await);
        }
        let begin = tokio::time::Instant::now();
        let mut client = connect(&clients).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is taken");
        assert!(answer(client).await.contains("200"));
        assert!(begin.elapsed() >= READ && begin.elapsed() < 2 * READ, "{:?}", begin.elapsed());
    }
}
