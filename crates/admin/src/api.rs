//! The HTTP API: what can be asked of a running Pointsman. `openapi.json` describes it.
//!
//! Who may open the Unix socket may do everything: its permissions (0600) are the only protection. On TCP a token is needed (`token`).

mod explain;
mod look;
mod openapi;
mod routes;

pub(crate) use self::openapi::schema;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use frontend::Overview;
use monitor::{Change, Control, MonitorEnded};
use serde::Deserialize;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use topology::{ServerState, ShareChange};

use crate::certificates::Certificates;
use crate::console;
use crate::http::{serve_address, serve_socket};
use crate::journal::Journal;
use crate::live::Live;
use crate::settings::Settings;
use crate::tls::AdminTls;
use crate::token::Token;
use crate::views::StatusView;

/// Entries of the journal in one answer, unless another number is asked for.
pub(crate) const ENTRIES: usize = 50;

/// How long open transactions get before a switchover, and the new primary after that, unless the request says otherwise. Together they are less than
/// the default of `routing.hold_writes`, so that even a switchover that is undone at its end causes no error.
const DRAIN: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(4);

/// Requests to read the configuration file again, or to start a successor, each with the channel for the result.
pub type Requests = mpsc::Sender<oneshot::Sender<Result<String, String>>>;

/// Where it listens.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For this machine.
    pub socket: Option<UnixListener>,
    /// For others, with the token that they need. Without one, see [`Token`].
    pub address: Option<(TcpListener, Option<Token>)>,
    /// For MySQL clients, who log in with the token.
    pub console: Option<(TcpListener, Token)>,
    /// For the last two. `None`: they are not encrypted.
    pub tls: Option<AdminTls>,
}

/// Serves until `stop` is cancelled.
pub async fn serve(listeners: Listeners, api: Api, stop: CancellationToken) {
    let live = Live::new(api.clone(), stop.clone());
    let router = routes::router(api, live.clone());
    let Listeners { socket, address, console, tls } = listeners;
    let on_socket = async {
        if let Some(listener) = socket {
            serve_socket(listener, router.clone(), stop.clone()).await;
        }
    };
    let on_address = async {
        if let Some((listener, token)) = address {
            serve_address(listener, router.clone(), (token, tls.clone()), stop.clone()).await;
        }
    };
    let on_console = async {
        if let Some((listener, token)) = console {
            console::serve(listener, router.clone(), (token, tls.clone()), stop.clone()).await;
        }
    };
    tokio::join!(on_socket, on_address, on_console, live.run());
}

/// Whom it asks.
#[derive(Clone)]
pub struct Api {
    /// The monitor.
    pub control: Control,
    /// What has happened.
    pub journal: Journal,
    /// Who reads the configuration again.
    pub reload: Requests,
    /// Who starts a process that takes over.
    pub upgrade: Requests,
    /// What is configured.
    pub settings: Settings,
    /// Until when the certificates count.
    pub certificates: Certificates,
    /// The frontend, once it listens.
    pub frontend: Arc<OnceLock<Overview>>,
}

async fn status(State(api): State<Api>) -> Response {
    match api.control.status().await {
        Ok(status) => Json(StatusView::from(status)).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    last: Option<usize>,
}

async fn journal_entries(State(api): State<Api>, Query(wanted): Query<Entries>) -> Response {
    Json(api.journal.last(wanted.last.unwrap_or(ENTRIES))).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switchover {
    /// The next primary; `null` for the best candidate.
    to: Option<String>,
    /// How long open transactions get to end, in milliseconds.
    drain_ms: Option<u64>,
    /// How long the new primary gets after that, in milliseconds.
    limit_ms: Option<u64>,
}

async fn switchover(State(api): State<Api>, Json(wanted): Json<Switchover>) -> Response {
    let period = |milliseconds: Option<u64>, default| milliseconds.map_or(default, Duration::from_millis);
    let (drain, limit) = (period(wanted.drain_ms, DRAIN), period(wanted.limit_ms, LIMIT));
    change(&api, Change::Switchover { to: wanted.to, drain, limit }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failover {
    /// The next primary; `null` for the best candidate.
    to: Option<String>,
    /// Go on although acknowledged writes may be lost.
    #[serde(default)]
    accept_loss: bool,
}

async fn failover(State(api): State<Api>, Json(wanted): Json<Failover>) -> Response {
    change(&api, Change::Failover { to: wanted.to, accept_loss: wanted.accept_loss }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rebuild {
    /// Its name in the config.
    server: String,
}

async fn rebuild(State(api): State<Api>, Json(wanted): Json<Rebuild>) -> Response {
    answer(api.control.rebuild(wanted.server).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetShare {
    weight: Option<u32>,
    /// `active`, `backup`, `drain` or `maintenance`.
    state: Option<String>,
}

async fn set_share(State(api): State<Api>, Path(server): Path<String>, Json(wanted): Json<SetShare>) -> Response {
    let state = wanted.state.map(|name| ServerState::named(&name).ok_or(name)).transpose();
    let change = match state {
        Ok(state) => ShareChange { weight: wanted.weight, state },
        Err(name) => {
            let known = ServerState::ALL.map(ServerState::name).join(", ");
            return (StatusCode::UNPROCESSABLE_ENTITY, format!("{name:?} is no state of a server; there are {known}"))
                .into_response();
        }
    };
    answer(api.control.set(server, change).await)
}

async fn reload_config(State(api): State<Api>) -> Response {
    request(&api.reload).await
}

async fn upgrade(State(api): State<Api>) -> Response {
    request(&api.upgrade).await
}

async fn request(requests: &Requests) -> Response {
    let (reply, outcome) = oneshot::channel();
    // If it cannot be sent, the answer cannot come either.
    let _ = requests.send(reply).await;
    match outcome.await {
        Ok(Ok(done)) => (StatusCode::OK, done).into_response(),
        Ok(Err(why)) => (StatusCode::CONFLICT, why).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "Pointsman is about to end").into_response(),
    }
}

async fn change(api: &Api, change: Change) -> Response {
    answer(api.control.change(change).await)
}

fn answer(outcome: Result<Result<String, String>, MonitorEnded>) -> Response {
    match outcome {
        Ok(Ok(done)) => (StatusCode::OK, done).into_response(),
        Ok(Err(why)) => (StatusCode::CONFLICT, why).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
