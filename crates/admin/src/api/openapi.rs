//! `GET /api/openapi.json`: the description of the API, for programs. It is written by hand, and its tests hold it against the code.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

/// `OpenAPI` 3.1 (<https://spec.openapis.org/oas/v3.1.1.html>).
const DOCUMENT: &str = include_str!("../openapi.json");

pub(super) async fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests;
