//! The routes, in one table: the router is made of it, and a test holds it against `openapi.json`.

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use axum::{Extension, Router};

use super::{
    Api, explain, failover, journal_entries, look, openapi, rebuild, reload_config, set_share, status, switchover, upgrade,
};
use crate::dashboard::{self, ASSETS, Asset};
use crate::live::{self, Live};

/// One of them.
pub(super) struct Route {
    /// As a key of an `OpenAPI` path.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the test of openapi.json"))]
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    handler: MethodRouter<Api>,
}

/// The API, and the page that shows it.
pub(super) fn router(api: Api, live: Live) -> Router {
    let with_api = routes().into_iter().fold(Router::new(), |router, Route { path, handler, .. }| router.route(path, handler));
    let add =
        |router: Router<Api>, asset: &'static Asset| router.route(asset.0, routing::get(async || dashboard::answer(*asset)));
    ASSETS.iter().fold(with_api, add).layer(Extension(live)).with_state(api)
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/healthz", look::healthz),
        get("/readyz", look::readyz),
        get("/metrics", look::metrics),
        get("/api/openapi.json", openapi::document),
        get("/api/status", status),
        get("/api/events", live::stream),
        get("/api/sessions", look::sessions),
        get("/api/pools", look::pools),
        get("/api/ejections", look::ejections),
        get("/api/digests", look::digests),
        get("/api/rules", look::rules),
        get("/api/settings", look::settings),
        get("/api/doctor", look::doctor),
        post("/api/digests/reset", look::reset_digests),
        post("/api/explain", explain::explain),
        post("/api/kill", look::kill),
        get("/api/journal", journal_entries),
        post("/api/switchover", switchover),
        post("/api/failover", failover),
        post("/api/rebuild", rebuild),
        post("/api/servers/{name}", set_share),
        put("/api/servers/{name}", set_share),
        post("/api/reload", reload_config),
        post("/api/upgrade", upgrade),
    ]
}

fn get<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route { method: "get", path, handler: routing::get(handler) }
}

fn post<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route { method: "post", path, handler: routing::post(handler) }
}

fn put<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route { method: "put", path, handler: routing::put(handler) }
}
