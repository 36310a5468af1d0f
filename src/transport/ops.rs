//! Owns what operators and their machines ask: health, readiness, metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::App;
use super::problem::Problem;
use crate::metric;

/// The process lives.
pub async fn health() -> &'static str {
    "ok\n"
}

/// The process takes connections: it does not drain, and the store answers.
pub async fn readiness(State(app): State<App>) -> Result<&'static str, Problem> {
    if app.hub.is_ready().await {
        return Ok("ready\n");
    }
    let detail = if app.hub.is_leaving() {
        "draining"
    } else {
        "no database"
    };
    Err(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        detail,
    ))
}

/// All metrics in the format of Prometheus.
pub async fn metrics(State(app): State<App>) -> impl IntoResponse {
    metrics::gauge!(metric::ROOMS).set(app.hub.live_rooms() as f64);
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, app.metrics.render())
}
