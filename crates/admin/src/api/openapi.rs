//! `GET /api/openapi.json`: the description of the API, for programs. It is written by hand, and its tests hold it against the code.

use std::sync::OnceLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

/// `OpenAPI` 3.1 (<https://spec.openapis.org/oas/v3.1.1.html>).
const DOCUMENT: &str = include_str!("../openapi.json");

/// The schema of that name; null if there is none.
pub(crate) fn schema(name: &str) -> &'static Value {
    static PARSED: OnceLock<Value> = OnceLock::new();
    let document = PARSED.get_or_init(|| serde_json::from_str(DOCUMENT).unwrap_or_default());
    document.pointer(&format!("/components/schemas/{name}")).unwrap_or(&Value::Null)
}

pub(super) async fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests;
