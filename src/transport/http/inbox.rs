//! Owns `/sync/poll`, `/sync/send`, `/sync/broadcast` and `/sync/cleanup`: messages for clients
//! without a socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::App;
use super::super::caller::{Caller, Params};
use super::super::door::Witness;
use super::super::openapi::shapes::{self, Name};
use super::super::problem::Problem;
use super::number;
use crate::auth::{Bearer, Denied};
use crate::hub::inbox::{Address, Listener, Polled, Said};
use crate::ids::{RoomId, UnixMillis, is_name};
use crate::room::Access;
use crate::room::sessions::require;
use crate::wire::Violation;
use crate::wire::messages::{self, Message, To};

/// Messages that waited.
#[derive(Serialize, ToSchema)]
pub struct InboxPage<'a> {
    messages: Vec<&'a Message>,
    /// From where to go on: `since` of the next poll.
    timestamp: i64,
    count: usize,
}

/// A message that is on its way.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    message_id: String,
    /// Milliseconds since 1970.
    timestamp: i64,
}

/// What was dropped.
#[derive(Serialize, ToSchema)]
pub struct Cleaned {
    /// Messages that were over their time.
    expired: usize,
}

/// `GET /sync/poll?since=&topics=&wait=`: `{messages, timestamp, count}`, strictly after a
/// timestamp. Without `topics` every topic is heard that the token grants; with nothing to tell,
/// the answer waits up to `wait` seconds.
#[utoipa::path(
    get,
    path = "/sync/poll",
    tag = "messages",
    operation_id = "pollMessages",
    summary = "Messages to this user, kept for a while",
    params(
        (
            "since" = Option<u64>,
            Query,
            minimum = 0,
            maximum = 9007199254740991_i64,
            description = "The `timestamp` of the last answer.",
        ),
        (
            "topics" = Option<Vec<Name>>,
            Query,
            explode = false,
            min_items = 1,
            max_items = 100,
            description = "With commas between them; all that the token grants unless said.",
        ),
        (
            "wait" = Option<u64>,
            Query,
            minimum = 0,
            maximum = 9007199254740991_i64,
            description = "Seconds to wait when there is nothing to tell.",
        ),
    ),
    responses((status = 200, body = InboxPage)),
)]
pub async fn poll(
    State(app): State<App>,
    Caller(bearer): Caller,
    Params(query): Params,
) -> Result<Response, Problem> {
    let since = number("since", query.get("since"))?.unwrap_or(0);
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let topics = topics(&app, &bearer, &query)?;
    let hears = |topic: &str| match &topics {
        Some(topics) => topics.iter().any(|it| it == topic),
        None => bearer.topic(topic).is_ok(),
    };
    let wait_ms = number("wait", query.get("wait"))?.unwrap_or(0);
    let wait_ms = wait_ms.saturating_mul(1_000);
    let until = (app.hub.now().mono).plus(wait_ms.min(app.hub.limits().long_poll_ms_max));
    let user = &bearer.identity.user;
    // It listens before it looks, so that nothing comes in between.
    let listener = (wait_ms > 0).then(|| app.hub.inbox().wait(user));
    loop {
        let now = app.hub.now();
        bearer.check_expiry(now.wall)?;
        let polled = app.hub.inbox().poll(user, since, hears);
        let left_ms = until.0.saturating_sub(now.mono.0);
        match &listener {
            Some(listener) if is_worth_waiting(&app, &polled, left_ms) => {
                wait(&app, listener, &bearer, now.wall, left_ms).await;
            }
            _ => return Ok(page(&polled)),
        }
    }
}

fn is_worth_waiting(app: &App, polled: &Polled, left_ms: u64) -> bool {
    polled.messages.is_empty() && left_ms > 0 && !app.hub.draining().is_cancelled()
}

/// Waits for news, the end of the token, the end of patience, or the end of the process.
async fn wait(app: &App, listener: &Listener, bearer: &Bearer, wall: UnixMillis, left_ms: u64) {
    let expires_ms =
        (bearer.expires_at).map_or(u64::MAX, |at| at.0.saturating_sub(wall.0).max(0) as u64);
    tokio::select! {
        () = listener.woken() => {}
        () = tokio::time::sleep(Duration::from_millis(left_ms.min(expires_ms))) => {}
        () = app.hub.draining().cancelled() => {}
    }
}

fn page(polled: &Polled) -> Response {
    let messages: Vec<&Message> = polled.messages.iter().map(|it| &it.message).collect();
    let page = InboxPage {
        count: messages.len(),
        messages,
        timestamp: polled.timestamp,
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(page)).into_response()
}

/// The topics that a poll names, each granted.
fn topics(
    app: &App,
    bearer: &Bearer,
    query: &HashMap<String, String>,
) -> Result<Option<Vec<String>>, Problem> {
    let Some(list) = query.get("topics") else {
        return Ok(None);
    };
    let topics: Vec<String> = list.split(',').map(str::to_owned).collect();
    if topics.len() > app.hub.limits().inbox_topics_max {
        return Err(Violation::TooLarge.into());
    }
    for topic in &topics {
        if !is_name(topic) {
            return Err(Problem::malformed("topics is no list of names"));
        }
        bearer.topic(topic)?;
    }
    Ok(Some(topics))
}

/// `POST /sync/send`: `{type, payload, to: {room | user | topic}, correlationId?}`, answered with
/// `{messageId, timestamp}`. Rooms and topics have to be granted for writing.
#[utoipa::path(
    post,
    path = "/sync/send",
    tag = "messages",
    operation_id = "sendMessage",
    summary = "A message to a room, user or topic",
    request_body = shapes::Letter,
    responses((status = 200, body = Sent)),
)]
pub async fn send(
    State(app): State<App>,
    Caller(bearer): Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Sent>, Problem> {
    let (words, to) = messages::read_send(&body?)?;
    let from = &bearer.identity.user;
    let said = match to {
        To::Room(name) => {
            let room = RoomId::parse(&name);
            let room = room.map_err(|invalid| Problem::malformed(invalid.to_string()))?;
            let grant = bearer.grant(&room)?;
            require(&grant, Access::Write, app.hub.now().wall)?;
            app.hub.say_in_room(&room, &grant, words).await?
        }
        To::User(name) => {
            let user: Arc<str> = name.into();
            let to = Address::User(user.clone());
            app.hub.inbox().say_to(&[user], to, from, words)?
        }
        To::Topic(name) => {
            if bearer.topic(&name)? < Access::Write {
                return Err(Denied::Forbidden.into());
            }
            let topics = Arc::new([name.into()]);
            app.hub.inbox().say_in_topics(topics, from, words)?
        }
    };
    Ok(answer(said))
}

/// `POST /sync/broadcast`: `{type, payload, topics?, correlationId?}`, to everyone or to who hears
/// one of the topics; for admins.
#[utoipa::path(
    post,
    path = "/sync/broadcast",
    tag = "messages",
    operation_id = "broadcastMessage",
    summary = "A message to everyone, or to topics; for admins",
    request_body = shapes::Broadcast,
    responses((status = 200, body = Sent)),
)]
pub async fn broadcast(
    State(app): State<App>,
    witness: Witness,
    Caller(bearer): Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Sent>, Problem> {
    require_admin(&bearer)?;
    let topics_max = app.hub.limits().inbox_topics_max;
    let (words, topics) = messages::read_broadcast(&body?, topics_max)?;
    let from = &bearer.identity.user;
    let noted = topics.clone();
    let said = match topics {
        None => app.hub.inbox().say_to_everyone(from, words)?,
        Some(topics) => {
            let topics = topics.into_iter().map(Arc::from).collect();
            app.hub.inbox().say_in_topics(topics, from, words)?
        }
    };
    let detail = json!({ "messageId": said.id, "topics": noted });
    witness.note(&app, "broadcast", None, true, detail);
    Ok(answer(said))
}

/// `POST /sync/cleanup`: drops messages that are over their time, `{expired}`; for admins. Stale
/// presence lapses by itself.
#[utoipa::path(
    post,
    path = "/sync/cleanup",
    tag = "messages",
    operation_id = "cleanUpMessages",
    summary = "Drop messages that are over their time; for admins",
    responses((status = 200, body = Cleaned)),
)]
pub async fn cleanup(
    State(app): State<App>,
    witness: Witness,
    Caller(bearer): Caller,
) -> Result<Json<Cleaned>, Problem> {
    require_admin(&bearer)?;
    let expired = app.hub.inbox().cleanup();
    witness.note(&app, "cleanup", None, true, json!({ "expired": expired }));
    Ok(Json(Cleaned { expired }))
}

/// Says no to everybody else.
pub fn require_admin(bearer: &Bearer) -> Result<(), Problem> {
    if bearer.admin {
        Ok(())
    } else {
        Err(Problem::forbidden())
    }
}

fn answer(said: Said) -> Json<Sent> {
    Json(Sent {
        message_id: said.id,
        timestamp: said.timestamp,
    })
}
