//! `POST /api/explain`: what `EXPLAIN ROUTE` says, without a client of the proxy.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::Api;
use super::look::not_yet;
use crate::views::route::ExplainedView;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Explain {
    /// The statement. The limit of a request's body is the limit of its length.
    sql: String,
    /// The session's default schema.
    #[serde(default)]
    schema: Option<String>,
}

/// The steps of the decision for a session that has just logged in: it is in no transaction, and has set nothing.
pub(super) async fn explain(State(api): State<Api>, Json(wanted): Json<Explain>) -> Response {
    let Some(overview) = api.frontend.get() else { return not_yet() };
    let Explain { sql, schema } = wanted;
    if sql.trim().is_empty() {
        return (StatusCode::UNPROCESSABLE_ENTITY, "there is no statement to explain").into_response();
    }
    match overview.explain(sql.as_bytes(), schema.as_deref().map(str::as_bytes)) {
        Ok(steps) => Json(ExplainedView::from(steps)).into_response(),
        Err(why) => (StatusCode::UNPROCESSABLE_ENTITY, why).into_response(),
    }
}
