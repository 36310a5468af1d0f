//! Owns the shapes of what Socket.IO clients are sent.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

/// `ChangeEvent`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangeEvent<'a> {
    pub id: &'a str,
    pub r#type: &'a str,
    pub entity_type: &'a str,
    pub entity_id: &'a str,
    pub table_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_id: Option<&'a RawValue>,
    pub user_id: &'a str,
    pub timestamp: &'a str,
    pub changes: Vec<FieldChange<'a>>,
    pub metadata: BTreeMap<String, &'a RawValue>,
    pub version: u64,
}

/// `FieldChange`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FieldChange<'a> {
    pub field_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// `sync:op`.
#[derive(Debug, Serialize)]
pub(super) struct SyncOp<'a> {
    pub id: &'a str,
    pub entity: &'a str,
    #[serde(rename = "entityId")]
    pub entity_id: Option<&'a str>,
    pub r#type: &'a str,
    pub data: BTreeMap<&'a str, Option<&'a RawValue>>,
    #[serde(rename = "clientId")]
    pub client_id: &'a str,
    #[serde(rename = "userId")]
    pub user_id: &'a str,
    pub server_seq: u64,
}

/// `UserPresence`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserPresence<'a> {
    pub user_id: &'a str,
    pub user_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<&'a str>,
    pub table_id: &'a str,
    pub view_id: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<&'a RawValue>,
    pub last_seen: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<&'a str>,
}

/// `user_left`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserLeft<'a> {
    pub user_id: &'a str,
    pub table_id: &'a str,
}

/// `cursor_position`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CursorPosition<'a> {
    pub user_id: &'a str,
    pub cursor: Option<&'a RawValue>,
}

/// `selection`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Selection<'a> {
    pub user_id: &'a str,
    pub selection: Option<&'a RawValue>,
}

/// `error`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trouble<'a> {
    pub message: &'a str,
    pub code: &'a str,
    pub retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

/// An answer to an event that asked for one.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ack<'a> {
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_events_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

impl<'a> Ack<'a> {
    /// It was done.
    pub(super) fn done(version: Option<u64>) -> Self {
        Self {
            ok: true,
            version,
            ..Self::default()
        }
    }

    /// It was not.
    pub(super) fn refused(code: &'a str, message: &'a str) -> Self {
        Self {
            code: Some(code),
            message: Some(message),
            ..Self::default()
        }
    }
}

/// `connection_recovered`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recovered<'a> {
    pub timestamp: &'a str,
    pub missed_events_count: usize,
}

/// `heartbeat_ack`.
#[derive(Debug, Serialize)]
pub(super) struct Heard<'a> {
    pub timestamp: &'a str,
}

/// `table_state` and `sync:state`: the state, where events cannot be replayed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<&'a str>,
    pub epoch: &'a str,
    pub version: u64,
    pub reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<Record<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<&'a RawValue>,
}

/// A record of a table's state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record<'a> {
    pub record_id: &'a str,
    pub fields: &'a RawValue,
}
