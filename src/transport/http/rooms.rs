//! Owns `/rooms` and `/rooms/{room}`: the list, what a room says of itself, deletion.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::caller::{Caller, InRoom, Params, room_named};
use super::super::door::Witness;
use super::super::problem::Problem;
use super::{number, stand};
use crate::hub::Denial;
use crate::hub::attachment::Gone;
use crate::room::sessions::require;
use crate::room::{Access, End, Event};
use crate::wire::time::rfc3339;

/// Rooms on one page, unless the caller asks for another number.
const PAGE: u64 = 100;

/// The most rooms on one page.
const PAGE_MAX: u64 = 1_000;

/// `GET /rooms?prefix=&limit=&cursor=`: `{rooms: [{room, epoch, version, ...}], cursor?}`, for
/// admins.
pub async fn list(
    State(app): State<App>,
    Caller(bearer): Caller,
    Params(query): Params,
) -> Result<Json<Value>, Problem> {
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
    let rooms: Vec<Value> = listed
        .iter()
        .map(|line| {
            json!({
                "room": line.room.as_str(),
                "epoch": line.head.epoch.to_string(),
                "version": line.head.version.0,
                "oldestVersion": line.head.oldest.0,
                "createdAt": rfc3339(line.head.created_at),
                "updatedAt": rfc3339(line.head.updated_at),
            })
        })
        .collect();
    let mut body = Map::new();
    if let (true, Some(last)) = (has_more, listed.last()) {
        let every = percent_encoding::NON_ALPHANUMERIC;
        let cursor = percent_encoding::utf8_percent_encode(last.room.as_str(), every).to_string();
        body.insert("cursor".into(), cursor.into());
    }
    body.insert("rooms".into(), rooms.into());
    Ok(Json(body.into()))
}

/// `GET /rooms/{room}`: `{room, epoch, version, oldestVersion, collections, bytes, connections}`.
pub async fn show(State(app): State<App>, caller: InRoom) -> Result<Response, Problem> {
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    let portrait = app
        .hub
        .ask(&room, &grant, |room, _| room.portrait())
        .await?;
    let collections: Map<String, Value> = portrait
        .collections
        .iter()
        .map(|(name, size)| (name.to_string(), Value::from(*size)))
        .collect();
    let body = json!({
        "room": room.as_str(),
        "epoch": portrait.position.epoch.to_string(),
        "version": portrait.position.version.0,
        "oldestVersion": portrait.oldest.0,
        "collections": collections,
        "bytes": portrait.bytes,
        "connections": portrait.sessions,
    });
    let mut response = Json(body).into_response();
    stand(&mut response, portrait.position);
    Ok(response)
}

/// `DELETE /rooms/{room}`: 204 once the room is gone from the store; its connections are closed
/// with 4404.
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
