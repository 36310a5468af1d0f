//! Owns `/rooms/{room}/presence` and `/rooms/{room}/messages`: who is here, and what is said, for
//! clients without a socket.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::App;
use super::super::caller::{InRoom, Params};
use super::super::openapi::shapes::{self, Name, RoomPath};
use super::super::problem::Problem;
use crate::ids::is_name;
use crate::room::Access;
use crate::room::presence::Appearance;
use crate::room::sessions::require;
use crate::wire::Violation;
use crate::wire::ask::{self, Unfit};
use crate::wire::present::{self, PersonTwin};
use crate::wire::whole;

/// The shortest lease: a client cannot say that it is here more often.
const LEASE_MS_MIN: u64 = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Here<'a> {
    client_id: String,
    #[serde(borrow)]
    state: &'a RawValue,
    #[serde(default, deserialize_with = "whole::read_option")]
    ttl_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    #[serde(default)]
    client_id: Option<String>,
}

/// Who is here.
#[derive(Serialize, ToSchema)]
pub struct People {
    #[schema(value_type = Vec<PersonTwin>)]
    users: Box<RawValue>,
}

/// How long a device is here.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    client_id: String,
    /// It lapses after that unless it is said again.
    ttl_ms: u64,
}

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        Self::malformed(unfit.reason)
    }
}

/// `GET /rooms/{room}/presence`: `{users: [{userId, clientId, user, state, since}]}`.
#[utoipa::path(
    get,
    path = "/rooms/{room}/presence",
    tag = "presence",
    operation_id = "listPresence",
    summary = "Who is here",
    params(RoomPath),
    responses((status = 200, body = People)),
)]
pub async fn show(State(app): State<App>, caller: InRoom) -> Result<Json<People>, Problem> {
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    let people = app.hub.people(&room, &grant).await?;
    Ok(Json(People {
        users: present::users(&people),
    }))
}

/// `PUT /rooms/{room}/presence`: `{clientId, state, ttlMs?}`, answered with `{clientId, ttlMs}`: it
/// lapses after that unless it is said again.
#[utoipa::path(
    put,
    path = "/rooms/{room}/presence",
    tag = "presence",
    operation_id = "putPresence",
    summary = "Be here, for a while",
    params(RoomPath),
    request_body = shapes::Here,
    responses((status = 200, body = Lease)),
)]
pub async fn put(
    State(app): State<App>,
    caller: InRoom,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Lease>, Problem> {
    let body = body?;
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    let here: Here<'_> = serde_json::from_slice(&body)
        .map_err(|_| Problem::malformed("presence is {clientId, state, ttlMs?}"))?;
    let limits = app.hub.limits();
    if here.state.get().len() > limits.presence_state_bytes_max {
        return Err(Violation::TooLarge.into());
    }
    let most = limits.presence_lease_ms_max;
    let ttl_ms = here.ttl_ms.unwrap_or(limits.presence_lease_ms);
    let ttl_ms = ttl_ms.clamp(LEASE_MS_MIN, most);
    let appearance = Appearance {
        device: Some(device(&here.client_id)?.into()),
        state: ask::presence_state(here.state)?,
        lease_ms: Some(ttl_ms),
    };
    app.hub.appear(&room, grant, appearance).await?;
    Ok(Json(Lease {
        client_id: here.client_id,
        ttl_ms,
    }))
}

/// `DELETE /rooms/{room}/presence`, with `{clientId}` or `?clientId=`: the device is gone.
#[utoipa::path(
    delete,
    path = "/rooms/{room}/presence",
    tag = "presence",
    operation_id = "deletePresence",
    summary = "Be gone",
    params(RoomPath, ("clientId" = Name, Query, description = "The device; or in the body.")),
    responses((status = 204)),
)]
pub async fn delete(
    State(app): State<App>,
    caller: InRoom,
    Params(query): Params,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body?;
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    let named = serde_json::from_slice::<Device>(&body).ok();
    let named = named.and_then(|device| device.client_id);
    let name = query.get("clientId").cloned().or(named);
    let name = name.ok_or_else(|| Problem::malformed("clientId is missing"))?;
    let appearance = Appearance {
        device: Some(device(&name)?.into()),
        state: None,
        lease_ms: None,
    };
    app.hub.appear(&room, grant, appearance).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn device(name: &str) -> Result<&str, Problem> {
    match is_name(name) {
        true => Ok(name),
        false => Err(Problem::malformed("clientId is no name")),
    }
}

/// `POST /rooms/{room}/messages`: `{event, payload?, clientId?}`, to everyone in the room.
#[utoipa::path(
    post,
    path = "/rooms/{room}/messages",
    tag = "messages",
    operation_id = "postMessage",
    summary = "A message to everyone in the room",
    params(RoomPath),
    request_body = shapes::Utterance,
    responses((status = 202, description = "Told to those who are here; it is not kept.")),
)]
pub async fn say(
    State(app): State<App>,
    caller: InRoom,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body?;
    let InRoom { room, grant } = caller;
    require(&grant, Access::Write, app.hub.now().wall)?;
    if body.len() > app.hub.limits().message_bytes_max {
        return Err(Violation::TooLarge.into());
    }
    let utterance = ask::utterance(&body)?;
    let named = serde_json::from_slice::<Device>(&body);
    let named = named.map_err(|_| Problem::malformed("clientId is no name"))?;
    let client = named.client_id.as_deref().map(device).transpose()?;
    let client = client.map(Into::into);
    app.hub.say(&room, grant, client, utterance).await?;
    Ok(StatusCode::ACCEPTED)
}
