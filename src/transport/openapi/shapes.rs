//! Owns the shapes of what clients send, as the OpenAPI document says them; what they are told is
//! described where it is written.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::wire::results::ResultTwin;

/// 1 to 255 bytes of UTF-8 without control characters.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 255,
    pattern = r"^[^\u0000-\u001F\u007F-\u009F]+$"
)]
pub struct Name(pub String);

/// A room, in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RoomPath {
    /// The room, percent-encoded: a slash is `%2F`.
    #[param(value_type = Name, example = "project:42")]
    pub room: String,
}

/// A collection of a room, in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct CollectionPath {
    /// The collection.
    #[param(value_type = Name, example = "tasks")]
    pub collection: String,
}

/// A record, in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RecordPath {
    /// The record's id in its collection.
    #[param(value_type = Name, example = "t1")]
    pub id: String,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Items on the page, 100 unless said; clamped to 1 to 1,000.
    #[param(required = false, minimum = 0, maximum = 9007199254740991_i64)]
    pub limit: Option<u64>,
    /// The `cursor` of the page before.
    #[param(required = false)]
    pub cursor: Option<String>,
}

/// From where to be told.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FromWhere {
    /// The version that the client has seen; without it the answer is a snapshot.
    #[param(required = false, minimum = 0, maximum = 9007199254740991_i64)]
    pub since: Option<u64>,
    /// The epoch that `since` is of; without it any is meant.
    #[param(required = false, format = Uuid)]
    pub epoch: Option<String>,
}

/// What to do when something changed after `baseVersion`.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum OnConflict {
    /// Field by field; the last write wins on a field that both changed, and the conflict is
    /// logged.
    Merge,
    /// Nothing is applied if both changed a field.
    Reject,
    /// Nothing is applied if the record changed at all.
    Strict,
}

/// What an operation does.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum OperationType {
    /// Makes a record; one that is there is a conflict.
    Create,
    /// Changes a record that is there.
    Update,
    /// Makes or changes.
    Upsert,
    /// Removes a record.
    Delete,
    /// Adds: `fields` are deltas.
    Increment,
}

/// An operation on one record.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Operation {
    /// The client's own name for it, the same in every retry.
    #[schema(value_type = Name)]
    pub op_id: String,
    /// What it does.
    pub r#type: OperationType,
    /// The collection.
    #[schema(value_type = Name)]
    pub collection: String,
    /// The record; `create` may leave it out and is given a UUIDv7.
    #[schema(value_type = Option<Name>)]
    pub record_id: Option<String>,
    /// Values by field; `null` is a value.
    pub fields: Option<BTreeMap<Name, Value>>,
    /// Fields to remove.
    #[schema(value_type = Option<Vec<Name>>)]
    pub unset: Option<Vec<String>>,
    /// The version of the record that the client last saw.
    #[schema(minimum = 0, maximum = 9007199254740991_i64)]
    pub base_version: Option<u64>,
    /// What to do when something changed after it; `merge` unless said.
    pub on_conflict: Option<OnConflict>,
}

/// Operations for one room.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Push {
    /// The device.
    #[schema(value_type = Option<Name>)]
    pub client_id: Option<String>,
    /// In order; each is judged for itself. One that is malformed is rejected alone, so that this
    /// takes any values.
    #[schema(value_type = Vec<Value>, max_items = 1000, example = json!([
        {"opId": "6f1c", "type": "create", "collection": "tasks", "fields": {"title": "Paint"}}
    ]))]
    pub ops: Vec<Operation>,
}

/// An operation for a room that it names.
#[derive(ToSchema)]
pub struct RoomOperation {
    /// The room.
    #[schema(value_type = Name)]
    pub room: String,
    /// What is done there.
    #[serde(flatten)]
    pub operation: Operation,
}

/// Operations for several rooms.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Batch {
    /// The device.
    #[schema(value_type = Option<Name>)]
    pub client_id: Option<String>,
    /// In order; see `RoomOperation`. What is malformed is rejected alone, so that this takes any
    /// values.
    #[schema(value_type = Vec<Value>, max_items = 1000, example = json!([
        {"room": "r", "opId": "6f", "type": "delete", "collection": "tasks", "recordId": "t1"}
    ]))]
    pub changes: Vec<RoomOperation>,
}

/// What became of an operation in its room.
#[derive(ToSchema)]
pub struct RoomResult {
    /// The room, if it could be read.
    pub room: Option<String>,
    /// The room's.
    pub epoch: Option<Uuid>,
    /// The result.
    #[serde(flatten)]
    pub result: ResultTwin<'static>,
}

/// A record as it is to be.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct RecordBody {
    /// Values by field; `null` is a value.
    pub fields: Option<BTreeMap<Name, Value>>,
    /// Fields to remove.
    #[schema(value_type = Option<Vec<Name>>)]
    pub unset: Option<Vec<String>>,
    /// The version of the record that the client last saw.
    #[schema(minimum = 0, maximum = 9007199254740991_i64)]
    pub base_version: Option<u64>,
    /// What to do when something changed after it; `strict` unless said.
    pub on_conflict: Option<OnConflict>,
    /// The client's own name for the operation, the same in every retry.
    #[schema(value_type = Option<Name>)]
    pub op_id: Option<String>,
    /// The device.
    #[schema(value_type = Option<Name>)]
    pub client_id: Option<String>,
}

/// A record to be made.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct NewRecord {
    /// Its id; a UUIDv7 unless said.
    #[schema(value_type = Option<Name>)]
    pub record_id: Option<String>,
    /// What is in it.
    #[serde(flatten)]
    pub body: RecordBody,
}

/// How a device is here.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Here {
    /// The device.
    #[schema(value_type = Name)]
    pub client_id: String,
    /// The application's own; `user` in it is set by the server. `null` says goodbye.
    #[schema(required)]
    pub state: Option<BTreeMap<String, Value>>,
    /// How long without saying it again, 30 s unless said; clamped to 1 s to 5 min.
    #[schema(minimum = 0, maximum = 9007199254740991_i64)]
    pub ttl_ms: Option<u64>,
}

/// A message to everyone in a room.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Utterance {
    /// What it says happened, in the application's words.
    #[schema(value_type = Name)]
    pub event: String,
    /// Whatever the application wants to say.
    pub payload: Option<Value>,
    /// The device.
    #[schema(value_type = Option<Name>)]
    pub client_id: Option<String>,
}

/// To whom a message goes.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum To {
    /// Those who are in this room.
    Room(Name),
    /// This user, on all devices.
    User(Name),
    /// Those who hear this topic.
    Topic(Name),
}

/// A message that is kept for those who are away.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Letter {
    /// What it says happened, in the application's words.
    #[schema(value_type = Name)]
    pub r#type: String,
    /// Whatever the application wants to say.
    pub payload: Option<Value>,
    /// To whom.
    pub to: To,
    /// What it answers, in the application's words.
    #[schema(value_type = Option<Name>)]
    pub correlation_id: Option<String>,
}

/// A message to everyone, or to who hears one of the topics.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Broadcast {
    /// What it says happened, in the application's words.
    #[schema(value_type = Name)]
    pub r#type: String,
    /// Whatever the application wants to say.
    pub payload: Option<Value>,
    /// Without them it is for everyone.
    #[schema(value_type = Option<Vec<Name>>, min_items = 1, max_items = 100)]
    pub topics: Option<Vec<String>>,
    /// What it answers, in the application's words.
    #[schema(value_type = Option<Name>)]
    pub correlation_id: Option<String>,
}

/// Which value a conflict ends with.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Choice {
    /// Of who wrote over it.
    Mine,
    /// What was written over.
    Theirs,
    /// `value`.
    Merged,
}

/// How a conflict ends.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Resolution {
    /// Which value.
    pub resolution: Choice,
    /// Needed by `merged`.
    pub value: Option<Value>,
    /// The device.
    #[schema(value_type = Option<Name>)]
    pub client_id: Option<String>,
}

/// What went wrong (RFC 9457), as `application/problem+json`.
#[derive(ToSchema)]
pub struct Problem {
    /// `about:blank`: `code` says more.
    pub r#type: String,
    /// The status, in words.
    pub title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// Stable: programs may rely on it.
    pub code: Code,
    /// One sentence for a person.
    pub detail: String,
}

/// What went wrong, in one stable word.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they are the documentation")]
pub enum Code {
    Malformed,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    PreconditionFailed,
    TooLarge,
    TooManyRequests,
    Unsupported,
    Unavailable,
    RoomDeleted,
    EpochChanged,
    Incomplete,
    Idle,
    Internal,
}
