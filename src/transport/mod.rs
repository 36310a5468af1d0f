//! Owns the router: every URL on one screen, grouped by who calls it.

pub mod caller;
mod holds;
pub mod http;
mod jsonws;
mod line;
pub mod listener;
mod ops;
mod outgoing;
pub mod problem;
mod requests;
mod socket;
mod speech;
mod sse;
mod ws;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::auth::{Auth, Origins};
use crate::hub::Hub;

/// What every handler has.
#[derive(Clone)]
pub struct App {
    /// The rooms.
    pub hub: Hub,
    /// Checks tokens.
    pub auth: Auth,
    /// The pages that may connect.
    pub origins: Arc<Origins>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// The tasks of open sockets.
    pub connections: TaskTracker,
}

/// Every URL.
pub fn router(app: App) -> Router {
    let rooms = Router::new()
        .route("/rooms", get(http::rooms::list))
        .route(
            "/rooms/{room}",
            get(http::rooms::show).delete(http::rooms::delete),
        )
        .route("/rooms/{room}/doc", get(http::doc::show))
        .route("/rooms/{room}/sync", post(http::sync::exchange))
        .route("/rooms/{room}/changes", get(http::changes::list))
        .route("/rooms/{room}/events", get(sse::stream))
        .route(
            "/rooms/{room}/presence",
            get(http::presence::show)
                .put(http::presence::put)
                .delete(http::presence::delete),
        )
        .route("/rooms/{room}/messages", post(http::presence::say))
        .route("/rooms/{room}/push", post(http::push::push))
        .route(
            "/rooms/{room}/records/{collection}",
            get(http::list::records).post(http::records::create),
        )
        .route(
            "/rooms/{room}/records/{collection}/{id}",
            get(http::records::show)
                .put(http::records::replace)
                .patch(http::records::update)
                .delete(http::records::delete),
        )
        .route("/sync/batch-changes", post(http::push::batch))
        .fallback(http::nothing)
        .method_not_allowed_fallback(http::wrong_method)
        .layer(CompressionLayer::new())
        .layer(http::body_limit(&app))
        .layer(http::body_timeout(&app))
        .layer(http::cors(&app.origins));

    Router::new()
        // Yjs clients.
        .route("/ws/{*room}", get(ws::open_yjs))
        // Applications.
        .route("/api/v1/ws", get(ws::open_json))
        .nest("/api/v1", rooms)
        // Operators.
        .route("/healthz", get(ops::health))
        .route("/readyz", get(ops::readiness))
        .route("/metrics", get(ops::metrics))
        .fallback(http::nothing)
        .layer(CatchPanicLayer::custom(http::panicked))
        .with_state(app)
}
