//! Owns the router: every URL on one screen, grouped by who calls it.

mod alarm;
pub mod caller;
mod carrier;
mod demo;
pub mod door;
mod hocuspocus;
mod holds;
pub mod http;
mod jsonws;
mod letters;
mod line;
pub mod listener;
pub mod openapi;
mod ops;
mod outgoing;
pub mod problem;
pub mod rate;
mod requests;
mod socket;
mod socketio;
mod speech;
mod sse;
mod turn;
mod ws;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use self::door::Door;
use crate::auth::{Auth, Origins};
use crate::hub::Hub;

/// What every handler has.
#[derive(Clone)]
pub struct App {
    /// The rooms.
    pub hub: Hub,
    /// Checks tokens.
    pub auth: Auth,
    /// Counts who asks, and notes who is let in.
    pub door: Arc<Door>,
    /// The pages that may connect.
    pub origins: Arc<Origins>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// The tasks of open sockets.
    pub connections: TaskTracker,
    /// Whether the demo page is shown.
    pub has_demo: bool,
}

/// Every URL.
pub fn router(app: App) -> Router {
    let pass = from_fn_with_state(app.clone(), door::pass);
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
        .route("/audit", get(http::audit::list))
        .route("/conflicts", get(http::conflicts::list))
        .route("/conflicts/{id}/resolve", post(http::conflicts::resolve))
        .route("/sync/batch-changes", post(http::push::batch))
        .route("/sync/poll", get(http::inbox::poll))
        .route("/sync/send", post(http::inbox::send))
        .route("/sync/broadcast", post(http::inbox::broadcast))
        .route("/sync/cleanup", post(http::inbox::cleanup))
        .route("/sync/status", get(http::status::show))
        .route("/sync/stats", get(http::status::stats))
        .fallback(http::nothing)
        .method_not_allowed_fallback(http::wrong_method)
        .layer(pass.clone())
        .layer(CompressionLayer::new())
        .layer(http::body_limit(&app))
        .layer(http::body_timeout(&app))
        .layer(http::cors(&app.origins));

    Router::new()
        // People.
        .merge(demo::routes(&app))
        // Yjs clients.
        .route("/ws/{*room}", get(ws::open_yjs).layer(pass.clone()))
        .route("/hocuspocus", get(ws::open_hocuspocus).layer(pass.clone()))
        // Applications.
        .route("/api/v1/ws", get(ws::open_json).layer(pass.clone()))
        // Socket.IO clients.
        .merge(socketio::routes(&app).layer(pass))
        .nest("/api/v1", rooms)
        // Developers: `/api/v1/openapi.json`, `/api/v1/docs`.
        .merge(openapi::routes())
        // Operators.
        .route("/healthz", get(ops::health))
        .route("/readyz", get(ops::readiness))
        .route("/metrics", get(ops::metrics))
        .fallback(http::nothing)
        .layer(CatchPanicLayer::custom(http::panicked))
        .with_state(app)
}
