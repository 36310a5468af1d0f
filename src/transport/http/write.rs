//! Owns how one record is written over HTTP: its precondition, its operation, what is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::super::App;
use super::super::caller::InRoom;
use super::super::problem::Problem;
use super::stand;
use crate::hub::push::Pushed;
use crate::ids::{OpId, Version, is_name};
use crate::room::Access;
use crate::room::entry::Json;
use crate::room::operation::{
    Action, Condition, Objection, OnConflict, OpResult, Operation, Place, Portrayal, Status,
};
use crate::room::sessions::require;
use crate::wire::operations::Changes;
use crate::wire::results;

/// What `If-Match` and `If-None-Match` ask for.
pub fn precondition(headers: &HeaderMap) -> Result<Option<Condition>, Problem> {
    let missing = match &tags(headers, header::IF_NONE_MATCH)?[..] {
        [] => None,
        ["*"] => Some(Condition::Missing),
        _ => return Err(Problem::malformed("If-None-Match of a write is *")),
    };
    Ok(match &tags(headers, header::IF_MATCH)?[..] {
        [] => missing,
        ["*"] => Some(Condition::Exists),
        tags => Some(Condition::At(tags.iter().filter_map(version_in).collect())),
    })
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Vec<&str>, Problem> {
    let mut tags = Vec::new();
    for line in headers.get_all(name) {
        let line = line.to_str();
        let line = line.map_err(|_| Problem::malformed("a tag is no text"))?;
        tags.extend(line.split(',').map(str::trim));
    }
    Ok(tags)
}

/// The version of a tag. One that is none of ours matches nothing.
fn version_in(tag: &&str) -> Option<Version> {
    let number = tag.strip_prefix('"')?.strip_suffix('"')?;
    number.parse().ok().map(Version)
}

/// The body of a write: an object.
pub struct Body<'a> {
    text: &'a str,
    /// What the object has.
    pub members: Map<String, Value>,
}

impl<'a> Body<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, Problem> {
        let shape = || Problem::malformed("the body is no JSON object");
        let text = str::from_utf8(body).map_err(|_| shape())?;
        let members = serde_json::from_str(text).map_err(|_| shape())?;
        Ok(Self { text, members })
    }
}

/// A write of one record.
pub struct Write {
    id: Option<OpId>,
    client: Option<Arc<str>>,
    action: Action,
    fields: BTreeMap<Arc<str>, Json>,
    unset: BTreeSet<Arc<str>>,
    condition: Condition,
}

impl Write {
    /// Reads `{fields, unset?, baseVersion?, onConflict?, opId?, clientId?}`.
    pub fn of(
        Body { text, members }: &Body<'_>,
        action: Action,
        precondition: Option<Condition>,
    ) -> Result<Self, Problem> {
        let changes = Changes::of(members, text).map_err(Problem::malformed)?;
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

    /// Applies it, and answers once that is durable.
    pub async fn perform(
        self,
        app: &App,
        caller: InRoom,
        place: Place,
    ) -> Result<Response, Problem> {
        let InRoom { room, grant } = caller;
        require(&grant, Access::Write, app.hub.now().wall)?;
        let is_unseen = !matches!(self.condition, Condition::Since { .. });
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
        let pushed = app
            .hub
            .push(&room, grant, self.client, vec![operation])
            .await?;
        let Pushed { results, position } = pushed;
        let result = results.into_iter().next().ok_or_else(Problem::internal)?;
        refuse(&result, is_unseen)?;
        // The retry of a change is no news of a record.
        let is_made = result.is_made && self.action != Action::Update;
        let mut response = match (&result.portrayal, self.action) {
            (_, Action::Delete) if result.version == Version::ZERO => {
                return Err(Problem::not_found("there is no such record"));
            }
            (Some(portrayal), action) if action != Action::Delete => {
                let status = if is_made {
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
        if is_made {
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

/// The answer that is a record.
pub fn of_record(status: StatusCode, portrayal: &Portrayal) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, results::record(portrayal).get().to_owned()).into_response()
}

/// The tag of a version.
pub fn tag(version: Version) -> String {
    format!("\"{version}\"")
}

/// Says which version the answer is of.
pub fn tagged(response: &mut Response, tag: &str) {
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
