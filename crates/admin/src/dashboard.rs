//! The dashboard: one page, and what it loads, out of the binary.
//!
//! The page holds nothing secret, so it is served to everybody. All that it shows it asks from the API, with the token that its reader types in. It is a
//! plain HTML page with modules of `JavaScript`, as browsers read them: there is no build step, and nothing comes from another place.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Response};
use axum::response::IntoResponse as _;

/// A file: its path, its type and its content.
pub(crate) type Asset = (&'static str, &'static str, &'static str);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! script {
    ($name:literal) => {
        (concat!("/dashboard/", $name), SCRIPT, include_str!(concat!("dashboard/", $name)))
    };
}

/// All of them.
pub(crate) const ASSETS: &[Asset] = &[
    ("/", HTML, include_str!("dashboard/index.html")),
    ("/dashboard/dashboard.css", CSS, include_str!("dashboard/dashboard.css")),
    ("/dashboard/icon.svg", "image/svg+xml", include_str!("dashboard/icon.svg")),
    script!("main.js"),
    script!("api.js"),
    script!("dom.js"),
    script!("format.js"),
    script!("history.js"),
    script!("status.js"),
    script!("topology.js"),
    script!("servers.js"),
    script!("ejections.js"),
    script!("rules.js"),
    script!("actions.js"),
    script!("lists.js"),
    script!("journal.js"),
    script!("explain.js"),
];

/// The page where no token is configured: it says so.
pub(crate) const WITHOUT_TOKEN: Asset = ("/", HTML, include_str!("dashboard/without_token.html"));

/// What a browser may do with an answer: load from here alone, run no script but the files above, show it in no frame of another page, take it for nothing
/// but its type, and keep no copy.
const HEADERS: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

/// Whether this path is a part of the page.
pub(crate) fn is_asset(path: &str) -> bool {
    ASSETS.iter().any(|(known, ..)| *known == path)
}

/// Answers with a file.
pub(crate) fn answer((_, kind, content): Asset) -> Response<Body> {
    ([(CONTENT_TYPE, HeaderValue::from_static(kind))], content).into_response()
}

/// Adds what every answer has, that of the API as well.
pub(crate) async fn secure(mut response: Response<Body>) -> Response<Body> {
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_no_script_and_no_style_of_its_own_and_loads_only_what_is_served() {
        for (_, _, page) in [ASSETS[0], WITHOUT_TOKEN] {
            check_page(page);
        }
    }

    fn check_page(page: &str) {
        assert!(page.starts_with("<!doctype html>"));
        for forbidden in ["style=", "<style", "javascript:", "http://", "https://", " onclick", " onload"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        let attributes = page.split(['"', '\'']).filter(|text| text.starts_with('/'));
        for path in attributes {
            assert!(is_asset(path), "{path}");
        }
    }

    #[test]
    fn the_scripts_load_only_what_is_served_and_make_no_markup_of_text() {
        for (name, _, content) in ASSETS.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                ".style",
                "localStorage",
            ] {
                assert!(!content.contains(forbidden), "{name}: {forbidden}");
            }
            for module in content.lines().filter_map(|line| line.split_once(" from './")?.1.split_once('\'')) {
                assert!(is_asset(&format!("/dashboard/{}", module.0)), "{name} loads {}", module.0);
            }
        }
    }
}
