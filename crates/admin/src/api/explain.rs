//! `POST /api/explain`: what `EXPLAIN ROUTE` says, without a client of the proxy.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use frontend::Asker;
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
    /// The account that has logged in; without one, no rule for an account fits.
    #[serde(default)]
    user: Option<String>,
    /// The client's address; without one, no rule for a network fits.
    #[serde(default)]
    address: Option<IpAddr>,
}

/// The steps of the decision for a session that has just logged in: it is in no transaction, and has set nothing.
pub(super) async fn explain(State(api): State<Api>, Json(wanted): Json<Explain>) -> Response {
    let Some(overview) = api.frontend.get() else { return not_yet() };
    let Explain { sql, schema, user, address } = wanted;
    if sql.trim().is_empty() {
        return (StatusCode::UNPROCESSABLE_ENTITY, "there is no statement to explain").into_response();
    }
    let nobody = Asker::default();
    let asker = Asker {
        user: user.as_deref().map_or(nobody.user, str::as_bytes),
        address: address.unwrap_or(nobody.address),
        schema: schema.as_deref().map(str::as_bytes),
    };
    match overview.explain(sql.as_bytes(), &asker) {
        Ok(steps) => Json(ExplainedView::from(steps)).into_response(),
        Err(why) => (StatusCode::UNPROCESSABLE_ENTITY, why).into_response(),
    }
}
