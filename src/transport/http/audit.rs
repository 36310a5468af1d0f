//! Owns `/audit`: who was let in or refused, and what admins did.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::App;
use super::super::caller::{Caller, Params};
use super::super::openapi::shapes::Paging;
use super::super::problem::Problem;
use super::inbox::require_admin;
use super::number;
use crate::store::audit::{AuditLine, AuditQuery};
use crate::wire::time::rfc3339;

/// Lines on one page, unless the caller asks for another number.
const PAGE: u64 = 100;

/// The most lines on one page.
const PAGE_MAX: u64 = 1_000;

/// Lines of the audit log, the newest first.
#[derive(Serialize, ToSchema)]
pub struct AuditPage {
    audit: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditLine)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    #[schema(format = DateTime)]
    timestamp: String,
    action: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address: Option<String>,
    #[schema(value_type = BTreeMap<String, Value>)]
    detail: Box<RawValue>,
}

impl From<AuditLine> for Line {
    fn from(line: AuditLine) -> Self {
        let event = line.event;
        Self {
            id: line.id.to_string(),
            timestamp: rfc3339(event.at),
            action: event.action,
            allowed: event.is_allowed,
            user_id: event.user,
            room: event.room,
            address: event.address,
            detail: RawValue::from_string(event.detail).unwrap_or_default(),
        }
    }
}

/// `GET /audit?room=&user=&limit=&cursor=`: `{audit, cursor?}`, the newest first; for admins.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "audit",
    operation_id = "listAuditLog",
    summary = "Who was let in or refused, and what admins did; for admins",
    params(
        ("room" = Option<String>, Query, description = "Of one room."),
        ("user" = Option<String>, Query, description = "Of one user."),
        Paging,
    ),
    responses((status = 200, body = AuditPage)),
)]
pub async fn list(
    State(app): State<App>,
    Caller(bearer): Caller,
    Params(query): Params,
) -> Result<Json<AuditPage>, Problem> {
    require_admin(&bearer)?;
    let before = query.get("cursor").map(|text| text.parse());
    let before = before
        .transpose()
        .map_err(|_| Problem::malformed("cursor is none of ours"))?;
    let limit = number("limit", query.get("limit"))?;
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX) as usize;
    let wanted = AuditQuery {
        room: query.get("room").cloned(),
        user: query.get("user").cloned(),
        before,
        limit: limit + 1,
    };
    let mut lines = app.hub.audit_lines(&wanted).await?;
    let has_more = lines.len() > limit;
    lines.truncate(limit);
    let last = lines.last().filter(|_| has_more);
    let cursor = last.map(|line| line.id.to_string());
    let audit = lines.into_iter().map(Into::into).collect();
    Ok(Json(AuditPage { audit, cursor }))
}
