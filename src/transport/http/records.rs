//! Owns `/rooms/{room}/records/...`: records by collection and id, with `ETag` and `If-Match`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::super::App;
use super::super::caller::{InRoom, Segments};
use super::super::openapi::shapes::{self, CollectionPath, RecordPath, RoomPath};
use super::super::problem::Problem;
use super::stand;
use super::write::{Body, Write, of_record, precondition, tag, tagged};
use crate::ids::is_name;
use crate::room::Access;
use crate::room::operation::{Action, Place};
use crate::room::sessions::require;
use crate::wire::results::RecordTwin;

/// A record's place in a path.
pub struct AtRecord {
    caller: InRoom,
    place: Place,
}

impl FromRequestParts<App> for AtRecord {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = InRoom::from_request_parts(parts, app).await?;
        let Segments(segments) = Segments::from_request_parts(parts, app).await?;
        // rooms, {room}, records, {collection}, {id}
        let [_, _, _, collection, record] = &segments[..] else {
            return Err(Problem::not_found("there is nothing at this address"));
        };
        Ok(Self {
            caller,
            place: Place {
                collection: named("collection", collection)?,
                record: named("record id", record)?,
            },
        })
    }
}

/// A collection's place in a path.
pub struct InCollection {
    /// Who, and in which room.
    pub caller: InRoom,
    /// The collection.
    pub collection: Arc<str>,
}

impl FromRequestParts<App> for InCollection {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = InRoom::from_request_parts(parts, app).await?;
        let Segments(segments) = Segments::from_request_parts(parts, app).await?;
        let [_, _, _, collection] = &segments[..] else {
            return Err(Problem::not_found("there is nothing at this address"));
        };
        Ok(Self {
            caller,
            collection: named("collection", collection)?,
        })
    }
}

fn named(what: &str, text: &str) -> Result<Arc<str>, Problem> {
    if is_name(text) {
        Ok(text.into())
    } else {
        let detail = format!("the {what} is longer than 255 bytes or has a control character");
        Err(Problem::malformed(detail))
    }
}

/// `GET .../{id}`: the record, its version as `ETag`.
#[utoipa::path(
    get,
    path = "/rooms/{room}/records/{collection}/{id}",
    tag = "records",
    operation_id = "getRecord",
    summary = "One record",
    params(
        RoomPath,
        CollectionPath,
        RecordPath,
        (
            "If-None-Match" = Option<String>,
            Header,
            description = "A known `ETag`: 304 when it still holds.",
        ),
    ),
    responses(
        (status = 200, body = RecordTwin, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "It has the version that the caller knows."),
        (status = 404, description = "There is no such record."),
    ),
)]
pub async fn show(
    State(app): State<App>,
    at: AtRecord,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let AtRecord { caller, place } = at;
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    let (position, found) = app.hub.record(&room, &grant, &place).await?;
    let found = found.ok_or_else(|| Problem::not_found("there is no such record"))?;
    let tag = tag(found.meta.version);
    let is_known = (headers.get_all(header::IF_NONE_MATCH).iter())
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        of_record(StatusCode::OK, &found)
    };
    tagged(&mut response, &tag);
    stand(&mut response, position);
    Ok(response)
}

/// `POST` on a collection: makes a record; 201 with `Location`.
#[utoipa::path(
    post,
    path = "/rooms/{room}/records/{collection}",
    tag = "records",
    operation_id = "createRecord",
    summary = "Make a record",
    params(RoomPath, CollectionPath),
    request_body = shapes::NewRecord,
    responses(
        (status = 200, body = RecordTwin, description = "A retry: it was made before."),
        (status = 204, description = "A retry, of a record that was removed since."),
        (status = 201, body = RecordTwin, headers(("ETag" = String), ("Location" = String))),
        (status = 409, description = "A record with this id is there; `record` is that."),
    ),
)]
pub async fn create(
    State(app): State<App>,
    at: InCollection,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let InCollection { caller, collection } = at;
    let body = body?;
    let body = Body::read(&body)?;
    let record = match body.members.get("recordId") {
        None | Some(Value::Null) => app.hub.fresh_id(),
        Some(Value::String(id)) if is_name(id) => id.clone(),
        Some(_) => return Err(Problem::malformed("recordId is no name")),
    };
    let place = Place {
        collection,
        record: record.into(),
    };
    let write = Write::of(&body, Action::Create, None)?;
    write.perform(&app, caller, place).await
}

/// `PUT .../{id}`: the record has these fields and no others; 201 when that makes it.
#[utoipa::path(
    put,
    path = "/rooms/{room}/records/{collection}/{id}",
    tag = "records",
    operation_id = "replaceRecord",
    summary = "The record has these fields and no others",
    params(
        RoomPath,
        CollectionPath,
        RecordPath,
        (
            "If-Match" = Option<String>,
            Header,
            description = "An `ETag`, or `*` for any: 412 when it no longer holds.",
        ),
        (
            "If-None-Match" = Option<String>,
            Header,
            pattern = r"^\*$",
            description = "`*`: only if there is none.",
        ),
    ),
    request_body = shapes::RecordBody,
    responses(
        (status = 200, body = RecordTwin, headers(("ETag" = String))),
        (status = 204, description = "A retry, of a record that was removed since."),
        (status = 201, body = RecordTwin, headers(("ETag" = String), ("Location" = String))),
        (status = 404, description = "There is no such record."),
        (status = 409, description = "It changed meanwhile: `conflicts` and `record` say how."),
        (status = 412, description = "The precondition does not hold; `record` is what is there."),
    ),
)]
pub async fn replace(
    State(app): State<App>,
    at: AtRecord,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    at.write(&app, Action::Replace, &headers, &body?).await
}

/// `PATCH .../{id}`: sets the named fields, and removes those in `unset`.
#[utoipa::path(
    patch,
    path = "/rooms/{room}/records/{collection}/{id}",
    tag = "records",
    operation_id = "updateRecord",
    summary = "Change some fields",
    params(
        RoomPath,
        CollectionPath,
        RecordPath,
        (
            "If-Match" = Option<String>,
            Header,
            description = "An `ETag`, or `*` for any: 412 when it no longer holds.",
        ),
        (
            "If-None-Match" = Option<String>,
            Header,
            pattern = r"^\*$",
            description = "`*`: only if there is none.",
        ),
    ),
    request_body = shapes::RecordBody,
    responses(
        (status = 200, body = RecordTwin, headers(("ETag" = String))),
        (status = 204, description = "A retry, of a record that was removed since."),
        (status = 404, description = "There is no such record."),
        (status = 409, description = "It changed meanwhile: `conflicts` and `record` say how."),
        (status = 412, description = "The precondition does not hold; `record` is what is there."),
    ),
)]
pub async fn update(
    State(app): State<App>,
    at: AtRecord,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    at.write(&app, Action::Update, &headers, &body?).await
}

/// `DELETE .../{id}`: 204; 404 when there is nothing.
#[utoipa::path(
    delete,
    path = "/rooms/{room}/records/{collection}/{id}",
    tag = "records",
    operation_id = "deleteRecord",
    summary = "Remove a record",
    params(
        RoomPath,
        CollectionPath,
        RecordPath,
        (
            "If-Match" = Option<String>,
            Header,
            description = "An `ETag`, or `*` for any: 412 when it no longer holds.",
        ),
    ),
    responses(
        (status = 204),
        (status = 404, description = "There is no such record."),
        (status = 409, description = "It changed meanwhile."),
        (status = 412, description = "The precondition does not hold; `record` is what is there."),
    ),
)]
pub async fn delete(
    State(app): State<App>,
    at: AtRecord,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body?;
    let body = if body.is_empty() { b"{}" } else { &body[..] };
    at.write(&app, Action::Delete, &headers, body).await
}

impl AtRecord {
    async fn write(
        self,
        app: &App,
        action: Action,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, Problem> {
        let write = Write::of(&Body::read(body)?, action, precondition(headers)?)?;
        write.perform(app, self.caller, self.place).await
    }
}
