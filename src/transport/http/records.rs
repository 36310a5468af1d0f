//! Owns `/rooms/{room}/records/...`: records by collection and id, with `ETag` and `If-Match`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::super::App;
use super::super::caller::{InRoom, Segments};
use super::super::problem::Problem;
use super::stand;
use crate::hub::push::Pushed;
use crate::ids::{OpId, Version, is_name};
use crate::room::Access;
use crate::room::operation::{
    Action, Condition, Objection, OnConflict, OpResult, Operation, Place, Portrayal, Status,
};
use crate::room::sessions::require;
use crate::wire::operations::Changes;
use crate::wire::results;

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
pub async fn create(
    State(app): State<App>,
    at: InCollection,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let InCollection { caller, collection } = at;
    let members = members(&body?)?;
    let record = match members.get("recordId") {
        None | Some(Value::Null) => app.hub.fresh_id(),
        Some(Value::String(id)) if is_name(id) => id.clone(),
        Some(_) => return Err(Problem::malformed("recordId is no name")),
    };
    let place = Place {
        collection,
        record: record.into(),
    };
    let write = Write::of(&members, Action::Create, None)?;
    write.perform(&app, caller, place).await
}

/// `PUT .../{id}`: the record has these fields and no others; 201 when that makes it.
pub async fn replace(
    State(app): State<App>,
    at: AtRecord,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    at.write(&app, Action::Replace, &headers, &body?).await
}

/// `PATCH .../{id}`: sets the named fields, and removes those in `unset`.
pub async fn update(
    State(app): State<App>,
    at: AtRecord,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    at.write(&app, Action::Update, &headers, &body?).await
}

/// `DELETE .../{id}`: 204; 404 when there is nothing.
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
        let write = Write::of(&members(body)?, action, precondition(headers)?)?;
        write.perform(app, self.caller, self.place).await
    }
}

fn members(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    serde_json::from_slice(body).map_err(|_| Problem::malformed("the body is no JSON object"))
}

/// What `If-Match` and `If-None-Match` ask for.
fn precondition(headers: &HeaderMap) -> Result<Option<Condition>, Problem> {
    let text = |name: header::HeaderName| {
        let value = headers.get(&name)?;
        Some(
            value
                .to_str()
                .map(str::trim)
                .map_err(|_| Problem::malformed("a tag is no text")),
        )
    };
    if let Some(tag) = text(header::IF_MATCH).transpose()? {
        if tag == "*" {
            return Ok(Some(Condition::Exists));
        }
        // A tag that is none of ours matches nothing.
        let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let version = version.and_then(|tag| tag.parse().ok()).unwrap_or(u64::MAX);
        return Ok(Some(Condition::At(Version(version))));
    }
    match text(header::IF_NONE_MATCH).transpose()? {
        None => Ok(None),
        Some("*") => Ok(Some(Condition::Missing)),
        Some(_) => Err(Problem::malformed("If-None-Match of a write is *")),
    }
}

/// A write of one record.
struct Write {
    id: Option<OpId>,
    client: Option<Arc<str>>,
    action: Action,
    fields: BTreeMap<Arc<str>, crate::room::entry::Json>,
    unset: BTreeSet<Arc<str>>,
    condition: Condition,
}

impl Write {
    /// Reads `{fields, unset?, baseVersion?, onConflict?, opId?, clientId?}`.
    fn of(
        members: &Map<String, Value>,
        action: Action,
        precondition: Option<Condition>,
    ) -> Result<Self, Problem> {
        let changes = Changes::of(members).map_err(Problem::malformed)?;
        let name = |member: &str| match members.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(name)) if is_name(name) => Ok(Some(name.as_str())),
            Some(_) => Err(Problem::malformed(format!("{member} is no name"))),
        };
        // Optimistic locking: any change of the record counts, unless the body says otherwise.
        let condition = changes.condition(OnConflict::Strict);
        Ok(Self {
            id: name("opId")?.and_then(OpId::parse),
            client: name("clientId")?.map(Arc::from),
            action,
            condition: precondition.unwrap_or(condition),
            fields: changes.fields,
            unset: changes.unset,
        })
    }

    async fn perform(self, app: &App, caller: InRoom, place: Place) -> Result<Response, Problem> {
        let InRoom { room, grant } = caller;
        require(&grant, Access::Write, app.hub.now().wall)?;
        let fresh = || OpId::parse(&app.hub.fresh_id());
        let operation = Operation {
            id: self.id.or_else(fresh).ok_or_else(Problem::internal)?,
            action: self.action,
            place: place.clone(),
            fields: self.fields,
            unset: self.unset,
            condition: self.condition,
            wants_record: true,
        };
        let is_unseen = !matches!(self.condition, Condition::Since { .. });
        let pushed = app
            .hub
            .push(&room, grant, self.client, vec![operation])
            .await?;
        let Pushed { results, position } = pushed;
        let result = results.into_iter().next().ok_or_else(Problem::internal)?;
        refuse(&result, is_unseen)?;
        let mut response = match (&result.portrayal, self.action) {
            (_, Action::Delete) if result.version == Version::ZERO => {
                return Err(Problem::not_found("there is no such record"));
            }
            (Some(portrayal), action) if action != Action::Delete => {
                let status = if result.is_made {
                    StatusCode::CREATED
                } else {
                    StatusCode::OK
                };
                let mut response = of_record(status, portrayal);
                tagged(&mut response, &tag(portrayal.meta.version));
                response
            }
            _ => StatusCode::NO_CONTENT.into_response(),
        };
        if result.is_made {
            located(
                &mut response,
                room.as_str(),
                &place.collection,
                &result.record,
            );
        }
        stand(&mut response, position);
        Ok(response)
    }
}

/// The problem, when nothing was applied.
fn refuse(result: &OpResult, is_unseen: bool) -> Result<(), Problem> {
    let there = result.portrayal.as_deref().map(results::record);
    let problem = match (result.status, result.objection) {
        (Status::Applied | Status::Merged | Status::Duplicate, _) => return Ok(()),
        (_, Some(Objection::NotFound)) => Problem::not_found("there is no such record"),
        (_, Some(Objection::Malformed(reason))) => Problem::malformed(reason),
        (_, Some(objection @ Objection::PreconditionFailed)) => {
            let status = StatusCode::PRECONDITION_FAILED;
            Problem::new(status, "precondition_failed", objection.to_string())
        }
        (_, Some(objection @ Objection::Taken(_))) => {
            Problem::new(StatusCode::CONFLICT, "conflict", objection.to_string())
        }
        // Who did not say what it had seen is not surprised that the record is gone.
        (_, None) if there.is_none() && is_unseen => Problem::not_found("the record was deleted"),
        (_, None) => {
            let names: Vec<&str> = result.clashes.iter().map(|clash| &*clash.field).collect();
            let detail = match (there.is_none(), names.is_empty()) {
                (true, _) => "the record was deleted meanwhile".to_owned(),
                (false, true) => "the record changed meanwhile".to_owned(),
                (false, false) => format!("changed meanwhile: {}", names.join(", ")),
            };
            Problem::new(StatusCode::CONFLICT, "conflict", detail)
                .with("conflicts", results::clashes(&result.clashes))
        }
    };
    Err(match there {
        Some(there) => problem.with(
            "record",
            serde_json::from_str(there.get()).unwrap_or_default(),
        ),
        None => problem,
    })
}

fn of_record(status: StatusCode, portrayal: &Portrayal) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, results::record(portrayal).get().to_owned()).into_response()
}

fn tag(version: Version) -> String {
    format!("\"{version}\"")
}

fn tagged(response: &mut Response, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

fn located(response: &mut Response, room: &str, collection: &str, record: &str) {
    let encode = |part| {
        let every = percent_encoding::NON_ALPHANUMERIC;
        percent_encoding::utf8_percent_encode(part, every).to_string()
    };
    let path = format!(
        "/api/v1/rooms/{}/records/{}/{}",
        encode(room),
        encode(collection),
        encode(record)
    );
    if let Ok(path) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
}
