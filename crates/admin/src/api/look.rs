//! Questions about the frontend: health, metrics, sessions, connections, digests.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use frontend::Overview;
use serde::Deserialize;

use super::Api;
use crate::metrics::{CONTENT_TYPE, Scrape};
use crate::views::doctor::Diagnosis;
use crate::views::ejections::EjectionView;
use crate::views::rules::RuleView;
use crate::views::statistics::{Clocks, DigestView, PoolView, SessionView};

/// Digests in one answer, unless another number is asked for.
const DIGESTS: usize = 100;

/// The process is there, and answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// What has to be ready.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Readiness {
    /// Reads are enough. Its value does not matter.
    reads: Option<String>,
}

/// 200 while it can answer writes; with `?reads` while it can answer reads. Else 503, so that a load balancer sends its clients elsewhere.
pub(super) async fn readyz(State(api): State<Api>, Query(wanted): Query<Readiness>) -> Response {
    let Some(overview) = api.frontend.get() else { return not_yet() };
    let servers = overview.servers();
    let has_primary = servers.primary_server().is_some_and(topology::Server::answers);
    let is_ready = has_primary || wanted.reads.is_some() && servers.servers.iter().any(topology::Server::answers);
    if is_ready {
        return "ready\n".into_response();
    }
    let what = if wanted.reads.is_some() { "no server answers\n" } else { "there is no primary that answers\n" };
    (StatusCode::SERVICE_UNAVAILABLE, what).into_response()
}

pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let Some(overview) = api.frontend.get() else { return not_yet() };
    let status = match api.control.status().await {
        Ok(status) => status,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    };
    let finding = (status.finding, status.severity);
    let certificates = api.certificates.borrow().clone();
    match Scrape::look(overview, &status.view, finding, api.journal.promotions(), certificates).into_text() {
        Ok(text) => ([("content-type", CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Which sessions are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sessions {
    /// At most so many.
    limit: Option<usize>,
}

pub(super) async fn sessions(State(api): State<Api>, Query(wanted): Query<Sessions>) -> Response {
    with_frontend(&api, |overview| {
        let (clocks, servers) = (Clocks::now(), overview.servers());
        let lines = overview.sessions().into_iter().take(wanted.limit.unwrap_or(usize::MAX));
        lines.map(|line| SessionView::new(line, clocks, &servers)).collect::<Vec<_>>()
    })
}

pub(super) async fn pools(State(api): State<Api>) -> Response {
    with_frontend(&api, |overview| {
        let servers = overview.servers();
        overview.pools().into_iter().map(|line| PoolView::new(line, &servers)).collect::<Vec<_>>()
    })
}

pub(super) async fn ejections(State(api): State<Api>) -> Response {
    with_frontend(&api, EjectionView::list)
}

pub(super) async fn rules(State(api): State<Api>) -> Response {
    with_frontend(&api, |overview| RuleView::list(overview.rules()))
}

pub(super) async fn settings(State(api): State<Api>) -> Response {
    let settings = Arc::clone(&api.settings.borrow());
    Json(&*settings).into_response()
}

pub(super) async fn doctor(State(api): State<Api>) -> Response {
    match api.control.status().await {
        Ok(status) => Json(Diagnosis::new(&status.view, &status.requirements)).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// Which digests are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Digests {
    /// At most so many: those that took most time.
    limit: Option<usize>,
}

pub(super) async fn digests(State(api): State<Api>, Query(wanted): Query<Digests>) -> Response {
    with_frontend(&api, |overview| {
        let (clocks, servers) = (Clocks::now(), overview.servers());
        let lines = overview.digests().into_iter().take(wanted.limit.unwrap_or(DIGESTS));
        lines.map(|line| DigestView::new(&line, clocks, &servers)).collect::<Vec<_>>()
    })
}

pub(super) async fn reset_digests(State(api): State<Api>) -> Response {
    let Some(overview) = api.frontend.get() else { return not_yet() };
    overview.reset_digests();
    "the statistics of digests begin anew".into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kill {
    /// The session's number.
    session: u32,
    /// Only its statement is stopped.
    #[serde(default)]
    only_statement: bool,
}

pub(super) async fn kill(State(api): State<Api>, Json(wanted): Json<Kill>) -> Response {
    let Some(overview) = api.frontend.get() else { return not_yet() };
    let Kill { session, only_statement } = wanted;
    if !overview.kill(session, only_statement) {
        return (StatusCode::NOT_FOUND, format!("there is no session {session}")).into_response();
    }
    let what = if only_statement { "the statement of session" } else { "session" };
    tracing::info!(session, only_statement, "a session was stopped through the admin API");
    format!("{what} {session} is told to stop").into_response()
}

fn with_frontend<T: serde::Serialize>(api: &Api, look: impl FnOnce(&Overview) -> T) -> Response {
    match api.frontend.get() {
        Some(overview) => Json(look(overview)).into_response(),
        None => not_yet(),
    }
}

/// No client can connect before the servers were looked at.
pub(super) fn not_yet() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "it has not yet begun to listen: it looks at the servers first\n").into_response()
}
