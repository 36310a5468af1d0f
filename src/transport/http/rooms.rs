//! Owns `/rooms` and `/rooms/{room}`: the list, what a room says of itself, deletion.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::App;
use super::super::caller::{Caller, InRoom, Params, room_named};
use super::super::door::Witness;
use super::super::openapi::shapes::{Paging, RoomPath};
use super::super::problem::Problem;
use super::{number, stand};
use crate::hub::Denial;
use crate::hub::attachment::Gone;
use crate::room::sessions::require;
use crate::room::{Access, End, Event};
use crate::store::Listed;
use crate::wire::time::rfc3339;

/// Rooms on one page, unless the caller asks for another number.
const PAGE: u64 = 100;

/// The most rooms on one page.
const PAGE_MAX: u64 = 1_000;

/// Rooms by name.
#[derive(Serialize, ToSchema)]
pub struct RoomsPage {
    rooms: Vec<Line>,
    /// Not on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Room)]
#[serde(rename_all = "camelCase")]
struct Line {
    room: String,
    epoch: Uuid,
    version: u64,
    /// The log is kept from here.
    oldest_version: u64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Listed> for Line {
    fn from(listed: &Listed) -> Self {
        let head = &listed.head;
        Self {
            room: listed.room.as_str().to_owned(),
            epoch: head.epoch.0,
            version: head.version.0,
            oldest_version: head.oldest.0,
            created_at: rfc3339(head.created_at),
            updated_at: rfc3339(head.updated_at),
        }
    }
}

/// What a room says of itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Portrait {
    room: String,
    epoch: Uuid,
    version: u64,
    /// The log is kept from here.
    oldest_version: u64,
    /// How many records each has.
    collections: BTreeMap<String, usize>,
    /// Of its document.
    bytes: usize,
    /// Sessions that are open.
    connections: usize,
}

/// `GET /rooms?prefix=&limit=&cursor=`: `{rooms: [{room, epoch, version, ...}], cursor?}`, for
/// admins.
#[utoipa::path(
    get,
    path = "/rooms",
    tag = "rooms",
    operation_id = "listRooms",
    summary = "List rooms; for admins",
    params(
        ("prefix" = Option<String>, Query, description = "What their names begin with."),
        Paging,
    ),
    responses((status = 200, body = RoomsPage)),
)]
pub async fn list(
    State(app): State<App>,
    Caller(bearer): Caller,
    Params(query): Params,
) -> Result<Json<RoomsPage>, Problem> {
    if !bearer.admin {
        return Err(Problem::forbidden());
    }
    let limit = number("limit", query.get("limit"))?
        .unwrap_or(PAGE)
        .clamp(1, PAGE_MAX) as usize;
    let after = query
        .get("cursor")
        .map(|cursor| room_named(cursor))
        .transpose()?;
    let prefix = query.get("prefix").map_or("", String::as_str);
    let mut listed = app.hub.list(prefix, after.as_ref(), limit + 1).await?;
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let cursor = listed.last().filter(|_| has_more).map(|last| {
        let every = percent_encoding::NON_ALPHANUMERIC;
        percent_encoding::utf8_percent_encode(last.room.as_str(), every).to_string()
    });
    let rooms = listed.iter().map(Line::from).collect();
    Ok(Json(RoomsPage { rooms, cursor }))
}

/// `GET /rooms/{room}`: `{room, epoch, version, oldestVersion, collections, bytes, connections}`.
#[utoipa::path(
    get,
    path = "/rooms/{room}",
    tag = "rooms",
    operation_id = "getRoom",
    summary = "What a room says of itself",
    params(RoomPath),
    responses((status = 200, body = Portrait)),
)]
pub async fn show(State(app): State<App>, caller: InRoom) -> Result<Response, Problem> {
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    let portrait = app
        .hub
        .ask(&room, &grant, |room, _| room.portrait())
        .await?;
    let collections = portrait.collections.iter();
    let body = Portrait {
        room: room.as_str().to_owned(),
        epoch: portrait.position.epoch.0,
        version: portrait.position.version.0,
        oldest_version: portrait.oldest.0,
        collections: collections
            .map(|(name, size)| (name.to_string(), *size))
            .collect(),
        bytes: portrait.bytes,
        connections: portrait.sessions,
    };
    let mut response = Json(body).into_response();
    stand(&mut response, portrait.position);
    Ok(response)
}

/// `DELETE /rooms/{room}`: 204 once the room is gone from the store; its connections are closed
/// with 4404.
#[utoipa::path(
    delete,
    path = "/rooms/{room}",
    tag = "rooms",
    operation_id = "deleteRoom",
    summary = "Delete a room; for admins",
    params(RoomPath),
    responses(
        (status = 204, description = "Gone from the store; its connections were closed."),
        (status = 404, description = "The room was never written."),
    ),
)]
pub async fn delete(
    State(app): State<App>,
    witness: Witness,
    caller: InRoom,
) -> Result<StatusCode, Problem> {
    let InRoom { room, grant } = caller;
    require(&grant, Access::Admin, app.hub.now().wall)?;
    let exists = app
        .hub
        .ask(&room, &grant, |room, _| room.was_written())
        .await?;
    if !exists {
        return Err(Problem::not_found("the room was never written"));
    }
    let attachment = app.hub.attach(&room, grant, None, None).await?;
    attachment
        .delete()
        .await
        .map_err(|Gone| Denial::Unavailable)?;
    loop {
        match attachment.event().await {
            Event::Ended(End::RoomDeleted) => {
                let name = Some(room.as_str().to_owned());
                witness.note(&app, "delete", name, true, json!({}));
                return Ok(StatusCode::NO_CONTENT);
            }
            Event::Ended(end) => return Err(end.into()),
            Event::Refused { refusal, .. } => return Err(refusal.into()),
            Event::Diff { .. }
            | Event::Presence(_)
            | Event::Missing { .. }
            | Event::Kept { .. }
            | Event::Pushed { .. } => {}
        }
    }
}
