//! Owns `/rooms/{room}/events`: the messages of one room as Server-Sent Events. A reader that does
//! not read holds a version, and nothing gathers for it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::App;
use super::caller::{InRoom, Params};
use super::http::number;
use super::line::{READY_BYTES, retry_after_ms};
use super::openapi::shapes::{FromWhere, Name, RoomPath};
use super::problem::Problem;
use crate::hub::Hub;
use crate::hub::reader::{Reader, Since};
use crate::ids::{Epoch, Version};
use crate::room::sessions::require;
use crate::room::{Access, End, Event, Grant};
use crate::wire::notice::Notice;
use crate::wire::{Code, Violation};

/// A comment at least so often, so that proxies and clients see that the stream lives.
const COMMENT_MS: u64 = 15_000;

/// When a client comes back after its stream broke, unless it is told otherwise.
const RETRY_MS: u64 = 2_000;

/// `GET /rooms/{room}/events?since=&epoch=`, or with `Last-Event-ID: epoch:version`.
#[utoipa::path(
    get,
    path = "/rooms/{room}/events",
    tag = "changes",
    operation_id = "streamEvents",
    summary = "The messages of a room as Server-Sent Events",
    params(
        RoomPath,
        FromWhere,
        ("clientId" = Option<Name>, Query, description = "The device."),
        (
            "Last-Event-ID" = Option<String>,
            Header,
            description = "`epoch:version`; comes before `since`.",
        ),
    ),
    responses(
        (
            status = 200,
            body = String,
            content_type = "text/event-stream",
            description = "`subscribed`, `changes`, `presence`, `message`, `reset`, `drain`.",
        ),
    ),
)]
pub async fn stream(
    State(app): State<App>,
    caller: InRoom,
    Params(query): Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    if app.hub.is_leaving() {
        return Err(crate::hub::Denial::Unavailable.into());
    }
    let since = match headers.get("last-event-id") {
        Some(id) if !id.is_empty() => Some(position(id)?),
        _ => {
            let epoch = query.get("epoch").map(|epoch| Uuid::parse_str(epoch));
            let epoch = epoch
                .transpose()
                .map_err(|_| Problem::malformed("epoch is no UUID"))?;
            let since = number("since", query.get("since"))?;
            since.map(|since| (epoch.map(Epoch), Version(since)))
        }
    };
    let client = query.get("clientId").map(String::as_str);
    if client.is_some_and(|client| !crate::ids::is_name(client)) {
        return Err(Problem::malformed("clientId is no name"));
    }
    let client = client.map(Into::into);
    let mut reader = app.hub.reader(&room, grant.clone(), client).await?;
    let since = since.map_or(Since::New, |(epoch, version)| Since::Seen(epoch, version));
    reader.subscribe(None, since);
    let told = Stream {
        draining: app.hub.draining().clone(),
        hub: app.hub,
        reader,
        grant,
        ready: [Bytes::from(format!("retry: {RETRY_MS}\n\n"))].into(),
        is_over: false,
    };
    let body = stream::unfold(told, async |mut told| {
        let next = told.next().await?;
        Some((Ok::<_, std::convert::Infallible>(next), told))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    let event_stream = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, event_stream);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather an answer before they pass it on do not gather this one.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn position(id: &HeaderValue) -> Result<(Option<Epoch>, Version), Violation> {
    let text = id.to_str().ok();
    let parts = text.and_then(|text| text.rsplit_once(':'));
    let read = parts.and_then(|(epoch, version)| {
        let epoch = Uuid::parse_str(epoch).ok()?;
        Some((Some(Epoch(epoch)), Version(version.parse().ok()?)))
    });
    read.ok_or(Violation::Malformed("Last-Event-ID is no epoch:version"))
}

/// One stream.
struct Stream {
    hub: Hub,
    reader: Reader,
    grant: Grant,
    draining: CancellationToken,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

impl Stream {
    /// The next piece; `None` is the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            let now = self.hub.now().wall;
            if self.is_over || require(&self.grant, Access::Read, now).is_err() {
                return None;
            }
            if self.reader.is_behind() {
                self.catch_up().await;
                continue;
            }
            let mut heard = Vec::new();
            self.reader.hear(READY_BYTES, &mut heard);
            self.ready.extend(heard.iter().map(Notice::server_sent));
            while let Some(event) = self.reader.next_event() {
                self.tell(event);
            }
            if self.ready.is_empty() && !self.is_over && !self.reader.is_behind() {
                self.wait().await;
            }
        }
    }

    async fn catch_up(&mut self) {
        match self.reader.catch_up(&self.hub, self.grant.clone()).await {
            Ok(caught_up) => {
                self.reader.arrive(&caught_up);
                let notices = caught_up.notices.iter();
                self.ready.extend(notices.map(Notice::server_sent));
            }
            // The client comes back from where it stands.
            Err(_) => self.is_over = true,
        }
    }

    fn tell(&mut self, event: Event) {
        let Event::Ended(end) = event else { return };
        self.is_over = true;
        match end {
            End::RoomDeleted | End::EpochChanged => {
                let reset = Notice::reset(self.reader.room(), end.code());
                self.ready.push_back(reset.server_sent());
            }
            End::Unavailable => self.say_drain(),
            End::Malformed(_)
            | End::Expired
            | End::Forbidden
            | End::TooLarge
            | End::Internal
            | End::Idle
            | End::TooFast => {}
        }
    }

    fn say_drain(&mut self) {
        self.is_over = true;
        let wait_ms = retry_after_ms(&self.hub);
        let told = Notice::drain(wait_ms).server_sent();
        self.ready.push_back(told);
        // What clients of streams heed by themselves.
        let retry = format!("retry: {wait_ms}\n\n");
        self.ready.push_back(retry.into());
    }

    /// Waits for news, the end of the token, or the time for a comment.
    async fn wait(&mut self) {
        let now = self.hub.now().wall;
        let expires_at = self.grant.expires_at;
        let expires_ms = expires_at.map_or(u64::MAX, |at| at.0.saturating_sub(now.0).max(0) as u64);
        let patience = Duration::from_millis(COMMENT_MS.min(expires_ms));
        let reader = &self.reader;
        tokio::select! {
            () = poll_fn(|cx| reader.poll_woken(cx)) => {}
            // The room's last word is its own; a room that is slow to say it is not waited for.
            () = self.draining.cancelled() => self.say_drain(),
            () = tokio::time::sleep(patience) => {
                if expires_ms > COMMENT_MS {
                    self.ready.push_back(Bytes::from_static(b": here\n\n"));
                }
            }
        }
    }
}
