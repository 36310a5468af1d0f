//! Owns `/rooms/{room}/push` and `/sync/batch-changes`: operations, for one room and for several.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::App;
use super::super::caller::{Caller, InRoom};
use super::super::openapi::shapes::{self, RoomPath};
use super::super::problem::Problem;
use super::stand;
use crate::hub::Denial;
use crate::hub::push::{Pushed, Unjudged};
use crate::ids::RoomId;
use crate::room::operation::Operation;
use crate::room::sessions::require;
use crate::room::{Access, Grant};
use crate::wire::operations::{self, PUSH_OPERATIONS_MAX, Unfit};
use crate::wire::push::sort;
use crate::wire::results::{self, ResultTwin};
use crate::wire::{Code, Violation};

/// What a push came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Pushed)]
pub struct Pushing {
    epoch: Uuid,
    /// Where the room stands.
    version: u64,
    /// In the order of the operations.
    #[schema(value_type = Vec<ResultTwin>)]
    results: Vec<Box<RawValue>>,
}

/// What a batch came to.
#[derive(Serialize, ToSchema)]
pub struct Batched {
    /// In the order of the operations.
    #[schema(value_type = Vec<shapes::RoomResult>)]
    results: Vec<Box<RawValue>>,
}

/// `POST /rooms/{room}/push`: `{clientId?, ops: [...]}`, answered with `{epoch, version, results}`
/// once all that was applied is durable. A malformed operation is rejected alone.
#[utoipa::path(
    post,
    path = "/rooms/{room}/push",
    tag = "records",
    operation_id = "push",
    summary = "Operations on records",
    params(RoomPath),
    request_body = shapes::Push,
    responses((status = 200, body = Pushing, description = "All that was applied is durable.")),
)]
pub async fn push(
    State(app): State<App>,
    caller: InRoom,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body?;
    let InRoom { room, grant } = caller;
    require(&grant, Access::Write, app.hub.now().wall)?;
    let push = operations::read_push(&body)?;
    let client = push.client.as_deref().map(Arc::from);
    let (operations, misfits) = sort(&push, || app.hub.fresh_id());
    let Pushed { results, position } = app.hub.push(&room, grant, client, operations).await?;
    let body = Pushing {
        epoch: position.epoch.0,
        version: position.version.0,
        results: misfits.between(&results),
    };
    let mut response = Json(body).into_response();
    stand(&mut response, position);
    Ok(response)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch<'a> {
    #[serde(default)]
    client_id: Option<String>,
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct InWhich {
    room: String,
}

/// `POST /sync/batch-changes`: `{clientId?, changes: [{room, ...operation}]}`, answered with
/// `{results: [{room, epoch, version, ...result}]}` in order. What cannot be done in one room is
/// rejected there alone.
#[utoipa::path(
    post,
    path = "/sync/batch-changes",
    tag = "records",
    operation_id = "pushBatch",
    summary = "Operations for several rooms",
    request_body = shapes::Batch,
    responses((status = 200, body = Batched)),
)]
pub async fn batch(
    State(app): State<App>,
    Caller(bearer): Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Batched>, Problem> {
    let body = body?;
    let batch: Batch<'_> = serde_json::from_slice(&body)
        .map_err(|_| Problem::malformed("a batch is {clientId, changes: [{room, ...}]}"))?;
    if batch.changes.len() > PUSH_OPERATIONS_MAX {
        return Err(Violation::TooLarge.into());
    }
    if batch
        .client_id
        .as_deref()
        .is_some_and(|it| !crate::ids::is_name(it))
    {
        return Err(Problem::malformed("clientId is no name"));
    }
    let client: Option<Arc<str>> = batch.client_id.as_deref().map(Arc::from);
    let mut answers: Vec<Option<Answer>> = vec![None; batch.changes.len()];
    let mut rooms: Vec<(RoomId, Vec<(usize, Operation)>)> = Vec::new();
    let mut places: HashMap<RoomId, usize> = HashMap::new();
    for (place, raw) in batch.changes.iter().enumerate() {
        let read = operations::read_operation(raw, || app.hub.fresh_id());
        let named = serde_json::from_str::<InWhich>(raw.get());
        let room = named.ok().and_then(|named| RoomId::parse(&named.room).ok());
        match (room, read) {
            (Some(room), Ok(operation)) => {
                let at = *places.entry(room.clone()).or_insert_with(|| {
                    rooms.push((room, Vec::new()));
                    rooms.len() - 1
                });
                rooms[at].1.push((place, operation));
            }
            (room, Err(unfit)) => {
                answers[place] = Some(Answer::rejected(room, &unfit, "malformed"));
            }
            (None, Ok(operation)) => {
                let unfit = unfit(&operation, "room is no name of a room");
                answers[place] = Some(Answer::rejected(None, &unfit, "malformed"));
            }
        }
    }
    for (room, changes) in rooms {
        let grant = bearer.grant(&room).map_err(|_| "forbidden");
        let (places, operations): (Vec<usize>, Vec<Operation>) = changes.into_iter().unzip();
        let told = in_room(&app, room, grant, client.clone(), operations).await;
        for (place, answer) in places.into_iter().zip(told) {
            answers[place] = Some(answer);
        }
    }
    let results = answers.into_iter().flatten().map(Answer::text).collect();
    Ok(Json(Batched { results }))
}

/// What became of one operation in its room.
#[derive(Clone)]
struct Answer {
    room: Option<RoomId>,
    epoch: Option<String>,
    /// Where the room stands: said for results without a version of their own.
    head: Option<u64>,
    result: Box<RawValue>,
}

impl Answer {
    fn rejected(room: Option<RoomId>, unfit: &Unfit, code: &'static str) -> Self {
        Self {
            room,
            epoch: None,
            head: None,
            result: results::rejection(unfit, code),
        }
    }

    fn text(self) -> Box<RawValue> {
        let mut members = serde_json::Map::new();
        let mut put = |name: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                members.insert(name.into(), value);
            }
        };
        put("room", self.room.map(|room| room.as_str().into()));
        put("epoch", self.epoch.map(Into::into));
        put("version", self.head.map(Into::into));
        let result: serde_json::Map<_, _> =
            serde_json::from_str(self.result.get()).expect("a result is an object");
        members.extend(result);
        serde_json::value::to_raw_value(&members).expect("strings are JSON")
    }
}

fn unfit(operation: &Operation, reason: &'static str) -> Unfit {
    Unfit {
        id: Some(operation.id.as_str().to_owned()),
        record: Some(operation.place.record.to_string()),
        reason,
    }
}

/// The operations of one room, each with its answer.
async fn in_room(
    app: &App,
    room: RoomId,
    grant: Result<Grant, &'static str>,
    client: Option<Arc<str>>,
    operations: Vec<Operation>,
) -> Vec<Answer> {
    let reject = |code: &'static str, operations: &[Operation]| -> Vec<Answer> {
        let unfit = operations
            .iter()
            .map(|it| unfit(it, "the room does not take it"));
        unfit
            .map(|it| Answer::rejected(Some(room.clone()), &it, code))
            .collect()
    };
    let grant = match grant {
        Ok(grant) if require(&grant, Access::Write, app.hub.now().wall).is_ok() => grant,
        _ => return reject("forbidden", &operations),
    };
    let named = operations.clone();
    match app.hub.push(&room, grant, client, operations).await {
        Ok(Pushed { results, position }) => {
            let answers = results.iter().map(|result| Answer {
                room: Some(room.clone()),
                epoch: Some(position.epoch.to_string()),
                head: Some(position.version.0),
                result: results::result(result),
            });
            answers.collect()
        }
        Err(unjudged) => reject(code_of(&unjudged), &named),
    }
}

fn code_of(unjudged: &Unjudged) -> &'static str {
    match unjudged {
        Unjudged::Denied(Denial::TooMany) => "too_many_requests",
        Unjudged::Denied(Denial::Internal) => "internal",
        Unjudged::Denied(Denial::Unavailable | Denial::Quarantined) => "unavailable",
        Unjudged::Refused(refusal) => refusal.code(),
        Unjudged::Ended(end) => end.code(),
    }
}
