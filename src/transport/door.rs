//! Owns the door that every request passes: its token is checked once, requests and bad tokens are
//! counted, and who is let in or refused is noted.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::App;
use super::listener::Peer;
use super::problem::Problem;
use super::rate::{Budget, Standing};
use crate::auth::{Bearer, Denied, token_in};
use crate::ids::Millis;
use crate::limits::Limits;
use crate::room::Identity;
use crate::store::audit::AuditEvent;

/// What is left of the caller's budget.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The budgets that there are.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Bad tokens are counted by the minute.
const FAILURES_WINDOW_MS: u64 = 60_000;

/// The longest text of a request that is noted: a room's name fits, each byte of it encoded.
const NOTED_BYTES_MAX: usize = 1_024;

/// What is counted at the door.
#[derive(Debug)]
pub struct Door {
    /// Ordinary requests, by user.
    requests: Budget,
    /// Polls, and requests that wait, by user.
    polls: Budget,
    /// Missing and bad tokens, by address.
    failures: Budget,
}

impl Door {
    /// A door where nobody has been yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let window_ms = limits.requests_window_ms;
        let failures_max = limits.auth_failures_per_minute_max;
        Self {
            requests: Budget::new("requests", limits.requests_max, window_ms),
            polls: Budget::new("polls", limits.polls_max, window_ms),
            failures: Budget::new("failures", failures_max, FAILURES_WINDOW_MS),
        }
    }

    /// Counts a bad token that came on a socket; whether there were too many from its address.
    pub fn is_failing(&self, witness: &Witness, denied: &Denied, now: Millis) -> bool {
        let spend = || self.failures.spend(&witness.place(), now);
        is_bad(denied) && matches!(spend(), Some(Standing { left: None, .. }))
    }

    /// The budget that a request counts to. Opening a socket counts to none: what it does is
    /// limited there.
    fn budget(&self, uri: &Uri) -> Option<&Budget> {
        let path = uri.path().strip_prefix("/api/v1/")?;
        let in_room = path
            .strip_prefix("rooms/")
            .and_then(|it| it.split_once('/'));
        match (path, in_room) {
            ("ws", _) => None,
            ("sync/poll", _) => Some(&self.polls),
            (_, Some((_, "changes" | "events" | "presence" | "sync"))) => Some(&self.polls),
            _ => Some(&self.requests),
        }
    }
}

/// Whether there was no token that ever was good. One that has expired was: whoever has it is told
/// so, however often, and fetches another.
fn is_bad(denied: &Denied) -> bool {
    matches!(denied, Denied::Missing | Denied::Invalid(_))
}

/// Whose token a request has, as the door found it.
#[derive(Clone)]
pub struct Presented(pub Result<Bearer, Denied>);

/// Lets a request pass, or not.
pub async fn pass(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(OriginalUri(uri)) = OriginalUri::from_request_parts(&mut parts, &app).await;
    let token = token_in(&parts.headers, uri.query());
    let token = token.as_ref().map(crate::auth::Secret::expose);
    let now = app.hub.now();
    let presented = app.auth.authenticate(token, now.wall).await;
    let witness = Witness::of(&parts, presented.as_ref().ok());
    let visit = Visit {
        method: parts.method.clone(),
        uri,
        witness,
    };
    let is_bad = presented.as_ref().is_err_and(is_bad);
    let budget = app.door.budget(&visit.uri).filter(|_| presented.is_ok());
    let standing = budget.and_then(|budget| {
        let standing = budget.spend(&visit.witness.who(), now.mono)?;
        Some((budget, standing))
    });
    parts.extensions.insert(Presented(presented));
    let mut response = match standing {
        Some((_, Standing { left: None, .. })) => too_many("too many requests of this user"),
        _ => next.run(Request::from_parts(parts, body)).await,
    };
    if is_bad && response.status() == StatusCode::UNAUTHORIZED {
        let spent = app.door.failures.spend(&visit.witness.place(), now.mono);
        if let Some(standing @ Standing { left: None, .. }) = spent {
            response = too_many("too many bad tokens from this address");
            tell(&mut response, &app.door.failures, standing);
            return response;
        }
    }
    visit.note(&app, response.status());
    if let Some((budget, standing)) = standing {
        tell(&mut response, budget, standing);
    }
    response
}

fn too_many(detail: &'static str) -> Response {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).into_response()
}

/// Adds what is left, as in draft-ietf-httpapi-ratelimit-headers.
fn tell(response: &mut Response, budget: &Budget, standing: Standing) {
    let Standing {
        left,
        reset_seconds,
    } = standing;
    let (name, rest) = (budget.name, left.unwrap_or(0));
    let mut set = |header: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(header, value);
        }
    };
    set(RATE_LIMIT_POLICY, budget.policy());
    set(RATE_LIMIT, format!("\"{name}\";r={rest};t={reset_seconds}"));
    if left.is_none() {
        set(header::RETRY_AFTER, reset_seconds.to_string());
    }
}

/// A request at the door.
struct Visit {
    method: Method,
    uri: Uri,
    witness: Witness,
}

impl Visit {
    /// Notes who was refused, and who came in to stay.
    fn note(&self, app: &App, status: StatusCode) {
        let (action, is_allowed) = match status {
            StatusCode::UNAUTHORIZED => ("token", false),
            StatusCode::FORBIDDEN => ("access", false),
            // Who comes in there shows a token later.
            StatusCode::SWITCHING_PROTOCOLS if self.uri.path().starts_with("/socket.io") => return,
            StatusCode::SWITCHING_PROTOCOLS => ("join", true),
            _ => return,
        };
        // The query may have a token in it.
        let path = brief(self.uri.path());
        let detail = json!({ "method": self.method.as_str(), "path": path });
        let room = room_in(self.uri.path());
        self.witness.note(app, action, room, is_allowed, detail);
    }
}

/// The room of a path, as far as it can be read.
fn room_in(path: &str) -> Option<String> {
    let rooms = path.strip_prefix("/api/v1/rooms/");
    let in_api = rooms.and_then(|rest| rest.split('/').next());
    let encoded = in_api.or_else(|| path.strip_prefix("/ws/"))?;
    let name = percent_decode_str(encoded).decode_utf8_lossy();
    Some(brief(&name).to_owned())
}

/// As much of a text as is worth noting, whatever somebody sends.
fn brief(text: &str) -> &str {
    &text[..text.floor_char_boundary(NOTED_BYTES_MAX)]
}

/// Who does something, and from where: for the audit log.
pub struct Witness {
    user: Option<Arc<str>>,
    address: Option<IpAddr>,
}

impl Witness {
    /// Who has this bearer, and where the request came from.
    pub fn of(parts: &Parts, bearer: Option<&Bearer>) -> Self {
        // A guest is another one with every request.
        let named = bearer.filter(|bearer| !bearer.identity.is_guest);
        Self {
            user: named.map(|bearer| bearer.identity.user.clone()),
            address: parts.extensions.get::<Peer>().map(|peer| peer.0),
        }
    }

    /// The same place, and who came to be known there.
    pub fn become_of(&self, who: Option<&Identity>) -> Self {
        let named = who.filter(|identity| !identity.is_guest);
        let user = named.map(|identity| identity.user.clone());
        Self {
            user: user.or_else(|| self.user.clone()),
            address: self.address,
        }
    }

    /// Notes what was done, or tried. `detail` must have no token in it.
    pub fn note(
        &self,
        app: &App,
        action: &'static str,
        room: Option<String>,
        is_allowed: bool,
        detail: Value,
    ) {
        app.hub.audit().note(AuditEvent {
            at: app.hub.now().wall,
            action: action.into(),
            user: self.user.as_deref().map(str::to_owned),
            room,
            is_allowed,
            address: self.address.map(|address| address.to_string()),
            detail: detail.to_string(),
        });
    }

    /// Whose budget it is: the user's, or the place's where nobody has a name.
    fn who(&self) -> String {
        match &self.user {
            Some(user) => format!("user {user}"),
            None => self.place(),
        }
    }

    /// Where it comes from; somebody with IPv6 has a whole network of addresses.
    fn place(&self) -> String {
        match self.address {
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("from {a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            Some(IpAddr::V4(address)) => format!("from {address}"),
            None => "from somewhere".into(),
        }
    }
}

impl FromRequestParts<App> for Witness {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        let presented = parts.extensions.get::<Presented>();
        let bearer = presented.and_then(|presented| presented.0.as_ref().ok());
        Ok(Self::of(parts, bearer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rl4_what_follows_a_room_has_a_budget_of_its_own() {
        let door = Door::new(&Limits::default());
        let budget = |uri: &'static str| {
            let budget = door.budget(&Uri::from_static(uri));
            budget.map(|budget| budget.name)
        };
        for uri in [
            "/api/v1/rooms",
            "/api/v1/rooms/poll",
            "/api/v1/rooms/r/records/tasks/sync",
            "/api/v1/rooms/r/presence/tab",
            "/api/v1/sync/send",
            "/api/v1/nothing",
        ] {
            assert_eq!(budget(uri), Some("requests"), "{uri}");
        }
        for uri in [
            "/api/v1/sync/poll?since=1",
            "/api/v1/rooms/r/changes?since=1",
            "/api/v1/rooms/r/presence",
            "/api/v1/rooms/r/sync",
            "/api/v1/rooms/r/events",
        ] {
            assert_eq!(budget(uri), Some("polls"), "{uri}");
        }
        assert_eq!(budget("/ws/room"), None);
        assert_eq!(budget("/api/v1/ws"), None);
    }

    #[test]
    fn rl5_an_address_of_ipv6_counts_as_its_network() {
        let place = |address: &str| {
            let address = Some(address.parse().expect("an address"));
            let user = None;
            Witness { user, address }.who()
        };
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff:1"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_ne!(place("127.0.0.1"), place("127.0.0.2"));
    }

    #[test]
    fn au3_the_room_of_a_path_is_noted_as_it_was_tried() {
        let room = |path: &str| room_in(path);
        assert_eq!(room("/ws/a/b%20c"), Some("a/b c".into()));
        assert_eq!(room("/api/v1/rooms/a%2Fb/doc"), Some("a/b".into()));
        assert_eq!(room("/api/v1/rooms/%FF"), Some("\u{fffd}".into()));
        assert_eq!(room("/api/v1/conflicts"), None);
        let long = format!("/ws/{}", "ä".repeat(10_000));
        assert_eq!(room_in(&long), Some("ä".repeat(512)));
    }
}
