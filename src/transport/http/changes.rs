//! Owns `/rooms/{room}/changes`: missed events, page by page, with long-polling.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::App;
use super::super::caller::{InRoom, Params};
use super::super::openapi::shapes::{FromWhere, RoomPath};
use super::super::problem::Problem;
use super::{number, stand};
use crate::hub::Changes;
use crate::ids::{Epoch, Position, RoomId, Version};
use crate::room::sessions::require;
use crate::room::{Access, Entry, Grant};
use crate::wire::Code;
use crate::wire::json::{EventTwin, change_events};

/// Missed events.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangesPage)]
#[serde(rename_all = "camelCase")]
pub struct Page<'a> {
    room: &'a str,
    epoch: Uuid,
    /// Where to go on from.
    version: u64,
    /// Where the room stands.
    head: u64,
    /// `caught_up`, `replay` (`events`) or `snapshot` (`document`).
    recovery: &'static str,
    /// Why a snapshot: `new`, `epoch_changed`, `pruned`, `ahead` or `too_far_behind`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    #[schema(value_type = Vec<EventTwin>)]
    events: Vec<Box<RawValue>>,
    /// The state at `version`: roots by name.
    #[schema(value_type = Option<BTreeMap<String, Value>>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Box<RawValue>>,
    /// There is another page.
    has_more: bool,
}

struct Wanted {
    since: Option<(Option<Epoch>, Version)>,
    limit: usize,
    wait_ms: u64,
}

/// `GET /rooms/{room}/changes?since=&epoch=&limit=&wait=`: the events after a version. A page ends
/// at a version's end; with nothing to tell, the answer waits up to `wait` seconds.
#[utoipa::path(
    get,
    path = "/rooms/{room}/changes",
    tag = "changes",
    operation_id = "listChanges",
    summary = "Missed events, with long-polling",
    params(
        RoomPath,
        FromWhere,
        (
            "limit" = Option<u64>,
            Query,
            minimum = 0,
            maximum = 9007199254740991_i64,
            description = "Events on the page; it ends at a version's end.",
        ),
        (
            "wait" = Option<u64>,
            Query,
            minimum = 0,
            maximum = 9007199254740991_i64,
            description = "Seconds to wait when there is nothing to tell.",
        ),
    ),
    responses((status = 200, body = Page)),
)]
pub async fn list(
    State(app): State<App>,
    caller: InRoom,
    Params(query): Params,
) -> Result<Response, Problem> {
    let InRoom { room, grant } = caller;
    let wanted = wanted(&app, &query)?;
    let until = app.hub.now().mono.plus(wanted.wait_ms);
    loop {
        require(&grant, Access::Read, app.hub.now().wall)?;
        let changes = app.hub.changes(&room, &grant, wanted.since).await?;
        let left_ms = until.0.saturating_sub(app.hub.now().mono.0);
        if let Changes::Current(position) = changes
            && left_ms > 0
            && !app.hub.draining().is_cancelled()
        {
            wait(&app, &room, &grant, position, left_ms).await;
            continue;
        }
        return Ok(answer(&room, changes, wanted.limit));
    }
}

fn wanted(app: &App, query: &HashMap<String, String>) -> Result<Wanted, Problem> {
    let limits = app.hub.limits();
    let epoch = query
        .get("epoch")
        .map(|epoch| Uuid::parse_str(epoch).map(Epoch))
        .transpose()
        .map_err(|_| Problem::malformed("epoch is no UUID"))?;
    let since = number("since", query.get("since"))?.map(|since| (epoch, Version(since)));
    let limit = number("limit", query.get("limit"))?.unwrap_or(limits.changes_page_events as u64);
    let limit = limit.clamp(1, limits.changes_page_events_max as u64) as usize;
    let wait_ms = number("wait", query.get("wait"))?
        .unwrap_or(0)
        .saturating_mul(1_000);
    Ok(Wanted {
        since,
        limit,
        wait_ms: wait_ms.min(limits.long_poll_ms_max),
    })
}

/// Waits for news, the end of the token, the end of patience, or the end of the process.
async fn wait(app: &App, room: &RoomId, grant: &Grant, at: Position, left_ms: u64) {
    let now = app.hub.now().wall;
    let expires_ms = grant
        .expires_at
        .map_or(u64::MAX, |at| at.0.saturating_sub(now.0) as u64);
    let patience = Duration::from_millis(left_ms.min(expires_ms));
    tokio::select! {
        () = app.hub.wait_beyond(room, grant, at.version) => {}
        () = tokio::time::sleep(patience) => {}
        () = app.hub.draining().cancelled() => {}
    }
}

fn answer(room: &RoomId, changes: Changes, limit: usize) -> Response {
    let (head, mut page) = match changes {
        Changes::Current(head) => (head, page(room, head, "caught_up")),
        Changes::Snapshot {
            reason,
            document,
            head,
        } => {
            let mut page = page(room, head, "snapshot");
            page.reason = Some(reason.code());
            page.document = RawValue::from_string(document).ok();
            (head, page)
        }
        Changes::Replay {
            entries,
            head,
            has_more,
        } => {
            let mut page = page(room, head, "replay");
            page.has_more = fill(&mut page, room, head, &entries, limit) || has_more;
            (head, page)
        }
    };
    page.head = head.version.0;
    let mut response = Json(&page).into_response();
    stand(&mut response, head);
    response
}

/// Adds the events of whole entries up to the limit; returns whether some are left.
fn fill(
    page: &mut Page<'_>,
    room: &RoomId,
    head: Position,
    entries: &[Arc<Entry>],
    limit: usize,
) -> bool {
    for entry in entries {
        if page.events.len() >= limit {
            return true;
        }
        page.events.extend(change_events(room, head.epoch, entry));
        page.version = entry.version.0;
    }
    false
}

fn page<'a>(room: &'a RoomId, head: Position, recovery: &'static str) -> Page<'a> {
    Page {
        room: room.as_str(),
        epoch: head.epoch.0,
        version: head.version.0,
        head: head.version.0,
        recovery,
        reason: None,
        events: Vec::new(),
        document: None,
        has_more: false,
    }
}
