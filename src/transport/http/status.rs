//! Owns `/sync/status` and `/sync/stats`: how many are here. Counts, never names.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::App;
use super::super::caller::Caller;

/// How many are here.
#[derive(Serialize, ToSchema)]
pub struct Status {
    /// Sockets and streams.
    connections: usize,
    /// Users who have any.
    users: usize,
    /// Rooms that are open.
    rooms: usize,
    /// Rooms that connections follow, and topics.
    subscriptions: usize,
    /// Users with messages that wait.
    queues: usize,
}

/// `{connections, users, rooms, subscriptions, queues}`, for any token.
#[utoipa::path(
    get,
    path = "/sync/status",
    tag = "status",
    operation_id = "getStatus",
    summary = "How many are here",
    responses((status = 200, body = Status)),
)]
pub async fn show(State(app): State<App>, Caller(_): Caller) -> Json<Status> {
    let census = app.hub.census();
    let waiting = app.hub.inbox().waiting();
    Json(Status {
        connections: census.connections(),
        users: census.users(),
        rooms: app.hub.live_rooms(),
        subscriptions: census.subscriptions() + waiting.topics,
        queues: waiting.queues,
    })
}

/// The same, by its other name.
#[utoipa::path(
    get,
    path = "/sync/stats",
    tag = "status",
    operation_id = "getStats",
    summary = "How many are here",
    responses((status = 200, body = Status)),
)]
pub async fn stats(app: State<App>, caller: Caller) -> Json<Status> {
    show(app, caller).await
}
