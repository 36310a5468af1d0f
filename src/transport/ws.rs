//! Owns the handshake of WebSocket connections, and their tasks: `/ws/{room}` of y-websocket,
//! `/hocuspocus`, and `/api/v1/ws` of JSON.

use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use bytes::BytesMut;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;

use super::App;
use super::caller::room_named;
use super::door::{Presented, Witness};
use super::hocuspocus::HocuspocusSocket;
use super::jsonws::JsonSocket;
use super::letters::Ear;
use super::line::Line;
use super::listener::Place;
use super::problem::Problem;
use super::socket::Socket;
use crate::auth::{Bearer, Denied, origin_allowed, subprotocol};
use crate::metric;
use crate::wire::Dialect;

/// RFC 6455, 1.3.
const ACCEPT_SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `/ws/{room}`: checks origin, token and room, attaches, and switches protocols.
pub async fn open_yjs(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    mut request: Request,
) -> Result<Response, Problem> {
    let response = switch(&app, request.headers(), "a Yjs provider")?;
    let room = room_named(uri.path().strip_prefix("/ws/").unwrap_or_default())?;
    let bearer = presented(&mut request)?;
    let grant = bearer.grant(&room)?;
    let expires_at = grant.expires_at;
    let upgrade = Upgrade::of(&mut request)?;
    let attachment = app
        .hub
        .attach(&room, grant, Some(Dialect::Yjs), None)
        .await?;
    let hub = app.hub.clone();
    upgrade.serve(&app, async move |stream, early| {
        let mut socket = Socket::new(stream, hub, attachment, expires_at, early);
        socket.run().await
    });
    Ok(response)
}

/// `/api/v1/ws`: checks origin and token, and switches protocols. Without a token the first message
/// has to bring one.
pub async fn open_json(State(app): State<App>, mut request: Request) -> Result<Response, Problem> {
    let response = switch(&app, request.headers(), "a WebSocket client")?;
    let bearer = match presented(&mut request) {
        Ok(bearer) => Some(bearer),
        Err(Denied::Missing) => None,
        Err(denied) => return Err(denied.into()),
    };
    let upgrade = Upgrade::of(&mut request)?;
    let inside = app.clone();
    let ear = Ear::of(&app, bearer.as_ref());
    upgrade.serve(&app, async move |stream, early| {
        let line = Line::new(stream, inside.hub.clone(), None, early);
        let mut socket = JsonSocket::new(line, inside, bearer, ear);
        socket.run().await
    });
    Ok(response)
}

/// `/hocuspocus`: checks origin, and a token if there is one, and switches protocols. Each document
/// brings a token of its own.
pub async fn open_hocuspocus(
    State(app): State<App>,
    witness: Witness,
    mut request: Request,
) -> Result<Response, Problem> {
    let response = switch(&app, request.headers(), "a Hocuspocus provider")?;
    let presented = match presented(&mut request) {
        Err(denied) if denied != Denied::Missing => return Err(denied.into()),
        presented => presented,
    };
    let upgrade = Upgrade::of(&mut request)?;
    let inside = app.clone();
    upgrade.serve(&app, async move |stream, early| {
        let mut socket = HocuspocusSocket::new(stream, inside, presented, witness, early);
        socket.run().await
    });
    Ok(response)
}

/// Whose token it has, as the door found it.
fn presented(request: &mut Request) -> Result<Bearer, Denied> {
    let found = request.extensions_mut().remove::<Presented>();
    found.map_or(Err(Denied::Missing), |Presented(bearer)| bearer)
}

/// What an upgrade is answered with, if it may be.
pub(super) fn switch(app: &App, headers: &HeaderMap, client: &str) -> Result<Response, Problem> {
    let accept = accept(headers, client)?;
    let origin = text(headers, header::ORIGIN);
    if !origin_allowed(origin, text(headers, header::HOST), &app.origins) {
        let detail = "the page's origin is not allowed";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    if app.hub.is_leaving() {
        return Err(crate::hub::Denial::Unavailable.into());
    }
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = subprotocol(headers) {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

/// A connection that is about to change protocols.
pub(super) struct Upgrade {
    upgrade: OnUpgrade,
    /// It is one of the connections that are counted until it ends.
    place: Option<Place>,
}

impl Upgrade {
    pub(super) fn of(request: &mut Request) -> Result<Self, Problem> {
        let place = request.extensions_mut().remove::<Place>();
        let upgrade = request
            .extensions_mut()
            .remove::<OnUpgrade>()
            .ok_or_else(|| Problem::malformed("the connection cannot change protocols"))?;
        Ok(Self { upgrade, place })
    }

    /// A task that waits for the change and then gives the stream away, and its place with it.
    pub(super) fn hand_over(
        self,
        app: &App,
        give: impl FnOnce(TcpStream, BytesMut, Option<Place>) + Send + 'static,
    ) {
        let Self { upgrade, place } = self;
        app.connections.spawn(async move {
            if let Some((stream, early)) = upgrade.await.ok().and_then(unwrap) {
                give(stream, early, place);
            }
        });
    }

    /// A task that waits for the change and then runs the socket.
    fn serve<F>(self, app: &App, run: impl FnOnce(TcpStream, BytesMut) -> F + Send + 'static)
    where
        F: Future<Output = Option<u16>> + Send,
    {
        let Self { upgrade, place } = self;
        app.connections.spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let Some((stream, early)) = unwrap(upgraded) else {
                return;
            };
            let gauge = metrics::gauge!(metric::SESSIONS);
            gauge.increment(1);
            if let Some(code) = run(stream, early).await {
                let code = code.to_string();
                metrics::counter!(metric::CLOSES, metric::LABEL_CODE => code).increment(1);
            }
            gauge.decrement(1);
            drop(place);
        });
    }
}

/// The TCP stream itself, and what was read beyond the handshake.
fn unwrap(upgraded: Upgraded) -> Option<(TcpStream, BytesMut)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), BytesMut::from(&*parts.read_buf)))
}

/// What proves that the handshake was understood (RFC 6455, 4.2).
fn accept(headers: &HeaderMap, client: &str) -> Result<HeaderValue, Problem> {
    let has = |name, word: &str| {
        let value: Option<&str> = text(headers, name);
        value.is_some_and(|value| {
            value
                .split(',')
                .any(|v| v.trim().eq_ignore_ascii_case(word))
        })
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        let detail = format!("this address speaks WebSocket: connect with {client}");
        return Err(Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "unsupported",
            detail,
        ));
    }
    if text(headers, header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "unsupported",
            "WebSocket version 13 only",
        ));
    }
    let key = text(headers, header::SEC_WEBSOCKET_KEY)
        .ok_or_else(|| Problem::malformed("no Sec-WebSocket-Key"))?;
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update(ACCEPT_SALT)
        .finalize();
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    HeaderValue::from_str(&accept).map_err(|_| Problem::internal())
}

pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ws6_the_handshake_is_answered_as_in_rfc_6455() {
        let mut headers = HeaderMap::new();
        headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
        headers.insert(
            "connection",
            HeaderValue::from_static("keep-alive, Upgrade"),
        );
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        assert!(accept(&headers, "").is_err());
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        headers.insert("sec-websocket-key", key);
        assert_eq!(
            accept(&headers, "").expect("valid"),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
