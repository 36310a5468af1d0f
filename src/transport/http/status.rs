//! Owns `/sync/status` and `/sync/stats`: how many are here. Counts, never names.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::App;
use super::super::caller::Caller;

/// `{connections, users, rooms, subscriptions, queues}`, for any token.
pub async fn show(State(app): State<App>, Caller(_): Caller) -> Json<Value> {
    let census = app.hub.census();
    let waiting = app.hub.inbox().waiting();
    Json(json!({
        "connections": census.connections(),
        "users": census.users(),
        "rooms": app.hub.live_rooms(),
        "subscriptions": census.subscriptions() + waiting.topics,
        "queues": waiting.queues,
    }))
}
