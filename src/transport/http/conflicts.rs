//! Owns `/conflicts`: writes over concurrent changes, listed and resolved.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::App;
use super::super::caller::{Caller, Params, Segments};
use super::super::door::Witness;
use super::super::openapi::shapes::{self, Name, Paging};
use super::super::problem::Problem;
use super::number;
use crate::hub::conflicts::{Choice, Unresolved};
use crate::ids::{RoomId, is_name};
use crate::room::Access;
use crate::room::sessions::require;
use crate::store::records::{Conflict, ConflictQuery, Resolved};
use crate::wire::json::decode_actors;
use crate::wire::operations::read_value;
use crate::wire::time::rfc3339;

/// Conflicts on one page, unless the caller asks for another number.
const PAGE: u64 = 100;

/// The most conflicts on one page.
const PAGE_MAX: u64 = 1_000;

/// Conflicts, the oldest first.
#[derive(Serialize, ToSchema)]
pub struct ConflictsPage {
    conflicts: Vec<ConflictTwin>,
    /// Not on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cursor: Option<Uuid>,
}

/// A conflict as clients read it; a value that was not there, or is too long, is left out.
#[derive(Serialize, ToSchema)]
#[schema(as = Conflict)]
#[serde(rename_all = "camelCase")]
pub struct ConflictTwin {
    id: Uuid,
    room: String,
    collection: String,
    record_id: String,
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>, nullable = false)]
    mine: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>, nullable = false)]
    theirs: Option<Box<RawValue>>,
    version: u64,
    theirs_version: u64,
    user_id: String,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    theirs_user_id: Option<Arc<str>>,
    #[schema(format = DateTime)]
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    resolved: Option<ResolvedTwin>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Resolved)]
#[serde(rename_all = "camelCase")]
struct ResolvedTwin {
    resolution: String,
    user_id: String,
    #[schema(format = DateTime)]
    timestamp: String,
}

impl From<Resolved> for ResolvedTwin {
    fn from(resolved: Resolved) -> Self {
        Self {
            resolution: resolved.resolution,
            user_id: resolved.by,
            timestamp: rfc3339(resolved.at),
        }
    }
}

impl From<Conflict> for ConflictTwin {
    fn from(conflict: Conflict) -> Self {
        let row = conflict.row;
        let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        let theirs = conflict.theirs_actors.as_deref();
        Self {
            id: row.id,
            room: conflict.room.as_str().to_owned(),
            collection: row.key.collection,
            record_id: row.key.record,
            field: row.field,
            mine: json(row.mine),
            theirs: json(row.theirs),
            version: row.version.0,
            theirs_version: row.theirs_version.0,
            user_id: row.user,
            client_id: row.client,
            theirs_user_id: theirs.and_then(only_user),
            timestamp: rfc3339(row.at),
            resolved: conflict.resolved.map(Into::into),
        }
    }
}

/// The user of an entry, unless it is of several.
fn only_user(actors: &str) -> Option<Arc<str>> {
    let actors = decode_actors(actors).ok()?;
    let (first, rest) = actors.split_first()?;
    let is_alone = rest.iter().all(|actor| actor.user == first.user);
    is_alone.then(|| first.user.clone())
}

/// `GET /conflicts?room=&resolved=&limit=&cursor=`: `{conflicts, cursor?}`, the oldest first.
/// Admins see those of every room, others have to name one that they may read.
#[utoipa::path(
    get,
    path = "/conflicts",
    tag = "conflicts",
    operation_id = "listConflicts",
    summary = "Writes over concurrent changes, the oldest first",
    params(
        (
            "room" = Option<Name>,
            Query,
            description = "Of one room; needed unless the caller is an admin.",
        ),
        ("resolved" = Option<bool>, Query, description = "Only those that are, or are not."),
        Paging,
    ),
    responses((status = 200, body = ConflictsPage)),
)]
pub async fn list(
    State(app): State<App>,
    Caller(bearer): Caller,
    Params(query): Params,
) -> Result<Json<ConflictsPage>, Problem> {
    let room = query.get("room").map(|name| RoomId::parse(name));
    let room = room
        .transpose()
        .map_err(|invalid| Problem::malformed(invalid.to_string()))?;
    match &room {
        Some(room) => require(&bearer.grant(room)?, Access::Read, app.hub.now().wall)?,
        None if bearer.admin => {}
        None => return Err(Problem::forbidden()),
    }
    let resolved = match query.get("resolved").map(String::as_str) {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(Problem::malformed("resolved is neither true nor false")),
    };
    let after = query.get("cursor").map(|text| Uuid::parse_str(text));
    let after = after
        .transpose()
        .map_err(|_| Problem::malformed("cursor is none of ours"))?;
    let limit = number("limit", query.get("limit"))?;
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX) as usize;
    let mut listed = (app.hub)
        .conflicts(&ConflictQuery {
            rooms: room.map(|room| vec![room]),
            resolved,
            after,
            limit: limit + 1,
        })
        .await?;
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let cursor = listed.last().filter(|_| has_more).map(|last| last.row.id);
    let conflicts = listed.into_iter().map(Into::into).collect();
    Ok(Json(ConflictsPage { conflicts, cursor }))
}

/// `POST /conflicts/{id}/resolve`: `{resolution: "mine" | "theirs" | "merged", value?, clientId?}`,
/// answered with the conflict once the chosen value is durable. Twice is a conflict: 409.
#[utoipa::path(
    post,
    path = "/conflicts/{id}/resolve",
    tag = "conflicts",
    operation_id = "resolveConflict",
    summary = "End a conflict with one of the values",
    params(("id" = Uuid, Path, description = "The conflict.")),
    request_body = shapes::Resolution,
    responses(
        (status = 200, body = ConflictTwin, description = "The chosen value is durable."),
        (status = 404, description = "There is no such conflict."),
        (status = 409, description = "It is resolved, or its record was deleted."),
        (status = 422, description = "The value was too long to be kept; merge instead."),
    ),
)]
pub async fn resolve(
    State(app): State<App>,
    witness: Witness,
    Caller(bearer): Caller,
    Segments(segments): Segments,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ConflictTwin>, Problem> {
    let body = body?;
    let unknown = || Problem::not_found("there is no such conflict");
    // conflicts, {id}, resolve
    let id = segments.get(1).and_then(|id| Uuid::parse_str(id).ok());
    let found = app.hub.conflict(id.ok_or_else(unknown)?).await?;
    let mut conflict = found.ok_or_else(unknown)?;
    let grant = bearer.grant(&conflict.room)?;
    require(&grant, Access::Write, app.hub.now().wall)?;
    let (choice, client) = read(&body)?;
    let ended = (app.hub).end_conflict(&conflict, grant, client, choice);
    let resolved = ended.await?;
    let room = Some(conflict.room.as_str().to_owned());
    let detail = json!({ "conflict": conflict.row.id, "resolution": resolved.resolution });
    witness.note(&app, "resolve", room, true, detail);
    conflict.resolved = Some(resolved);
    Ok(Json(conflict.into()))
}

fn read(body: &[u8]) -> Result<(Choice, Option<Arc<str>>), Problem> {
    let shape = || Problem::malformed("a resolution is {resolution, value?}");
    let body = str::from_utf8(body).map_err(|_| shape())?;
    let members: Map<String, Value> = serde_json::from_str(body).map_err(|_| shape())?;
    let client = match members.get("clientId") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if is_name(name) => Some(name.as_str().into()),
        Some(_) => return Err(Problem::malformed("clientId is no name")),
    };
    let choice = match members.get("resolution").and_then(Value::as_str) {
        Some("mine") => Choice::Mine,
        Some("theirs") => Choice::Theirs,
        Some("merged") => {
            let value = read_value(body, "value").map_err(Problem::malformed)?;
            let needed = || Problem::malformed("merged needs a value");
            Choice::Merged(value.ok_or_else(needed)?)
        }
        _ => {
            let detail = "resolution is none of mine, theirs, merged";
            return Err(Problem::malformed(detail));
        }
    };
    Ok((choice, client))
}

impl From<Unresolved> for Problem {
    fn from(unresolved: Unresolved) -> Self {
        let conflict = |detail| Self::new(StatusCode::CONFLICT, "conflict", detail);
        match unresolved {
            Unresolved::Resolved => conflict("the conflict is resolved"),
            Unresolved::Gone => conflict("the record was deleted meanwhile"),
            Unresolved::Unknown => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unsupported",
                "this value is not known any more: it was too long to be kept; merge instead",
            ),
            Unresolved::Unjudged(unjudged) => unjudged.into(),
        }
    }
}
