//! Who may ask over TCP.

use std::fmt;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;

use crate::dashboard;

/// A secret that a request must bring (`Authorization: Bearer`, RFC 6750).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Box<[u8]>);

/// Without the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// The secret, which must not be empty.
    pub fn new(secret: &[u8]) -> Option<Self> {
        (!secret.is_empty()).then(|| Self(secret.into()))
    }

    /// The secret itself, as the password of the console.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.0
    }

    /// Load balancers and schedulers ask for their health checks, and browsers for the page. Neither can bring a token; the answers hold no secret.
    fn is_open(path: &str) -> bool {
        matches!(path, "/healthz" | "/readyz") || dashboard::is_asset(path)
    }

    /// Whether a request may be answered. Without a token there are the health checks, the metrics and the empty page: what changes something, and what shows statements
    /// and accounts, needs one.
    pub(crate) fn admits(token: Option<&Self>, request: &Request) -> bool {
        let path = request.uri().path();
        let Some(Self(secret)) = token else { return Self::is_open(path) || path == "/metrics" };
        let brought = request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked("Bearer ".len()));
        let is_right =
            brought.is_some_and(|(scheme, brought)| scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(brought.ct_eq(secret)));
        is_right || Self::is_open(path)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn without_the_token_there_are_health_checks_and_an_empty_page() {
        let token = Token::new(b"secret");
        let check = |path: &str, authorization: Option<&str>, expected| {
            let mut request = Request::builder().uri(path);
            if let Some(value) = authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let request = request.body(Body::empty()).expect("a request");
            assert_eq!(Token::admits(token.as_ref(), &request), expected, "{path} {authorization:?}");
        };
        check("/metrics", None, false);
        check("/metrics", Some("Bearer secret"), true);
        check("/metrics", Some("bearer secret"), true);
        check("/metrics", Some("Bearer secre"), false);
        check("/metrics", Some("Bearer secret2"), false);
        check("/metrics", Some("Bearer "), false);
        check("/metrics", Some("Basic secret"), false);
        check("/metrics", Some("secret"), false);
        check("/api/status", None, false);
        check("/api/switchover", Some("Bearer"), false);
        check("/healthz", None, true);
        check("/readyz?reads", None, true);
        check("/healthz/../api/status", None, false);
        check("/", None, true);
        check("/dashboard/main.js", None, true);
        check("/dashboard/../api/status", None, false);
        check("/api/events", None, false);
        check("/api/openapi.json", None, false);
    }

    #[test]
    fn where_there_is_no_token_nothing_can_be_changed() {
        let check = |path: &str, expected| {
            let request = Request::builder().uri(path).header(AUTHORIZATION, "Bearer ").body(Body::empty()).expect("a request");
            assert_eq!(Token::admits(None, &request), expected, "{path}");
        };
        assert_eq!(Token::new(b""), None);
        check("/metrics", true);
        check("/readyz", true);
        check("/", true);
        check("/api/status", false);
        check("/api/digests", false);
        check("/api/switchover", false);
    }
}
