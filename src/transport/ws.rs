//! Owns `/ws/{room}`: the handshake of a y-websocket connection, and its task.

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
use super::listener::Place;
use super::problem::Problem;
use super::socket::Socket;
use crate::auth::{origin_allowed, subprotocol, token_in};
use crate::hub::Attachment;
use crate::ids::UnixMillis;
use crate::metric;
use crate::wire::Dialect;

/// RFC 6455, 1.3.
const ACCEPT_SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Checks origin, token and room, attaches, and switches protocols.
pub async fn open(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    mut request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers();
    let accept = accept(headers)?;
    let origin = text(headers, header::ORIGIN);
    if !origin_allowed(origin, text(headers, header::HOST), &app.origins) {
        let detail = "the page's origin is not allowed";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    if app.hub.is_leaving() {
        return Err(crate::hub::Denial::Unavailable.into());
    }
    let room = room_named(uri.path().strip_prefix("/ws/").unwrap_or_default())?;
    let token = token_in(headers, uri.query());
    let token = token.as_ref().map(crate::auth::Secret::expose);
    let bearer = app.auth.authenticate(token, app.hub.now().wall).await?;
    let grant = bearer.grant(&room)?;
    let protocol = subprotocol(headers);
    let expires_at = grant.expires_at;
    let place = request.extensions_mut().remove::<Place>();
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or_else(|| Problem::malformed("the connection cannot change protocols"))?;
    let attachment = app
        .hub
        .attach(&room, grant, Some(Dialect::Yjs), None)
        .await?;
    let connections = app.connections.clone();
    connections.spawn(async move {
        serve(app, upgrade, attachment, expires_at).await;
        // Until here it was one of the connections that are counted.
        drop(place);
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

async fn serve(
    app: App,
    upgrade: OnUpgrade,
    attachment: Attachment,
    expires_at: Option<UnixMillis>,
) {
    let Ok(upgraded) = upgrade.await else { return };
    let Some((stream, early)) = unwrap(upgraded) else {
        return;
    };
    let gauge = metrics::gauge!(metric::SESSIONS);
    gauge.increment(1);
    let socket = Socket::new(stream, app.hub.clone(), attachment, expires_at, early);
    if let Some(code) = socket.run().await {
        metrics::counter!(metric::CLOSES, metric::LABEL_CODE => code.to_string()).increment(1);
    }
    gauge.decrement(1);
}

/// The TCP stream itself, and what was read beyond the handshake.
fn unwrap(upgraded: Upgraded) -> Option<(TcpStream, BytesMut)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), BytesMut::from(&*parts.read_buf)))
}

/// What proves that the handshake was understood (RFC 6455, 4.2).
fn accept(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let has = |name, word: &str| {
        let value: Option<&str> = text(headers, name);
        value.is_some_and(|value| {
            value
                .split(',')
                .any(|v| v.trim().eq_ignore_ascii_case(word))
        })
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        let detail = "this address speaks WebSocket: connect with a Yjs provider";
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

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
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
        assert!(accept(&headers).is_err());
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        headers.insert("sec-websocket-key", key);
        assert_eq!(
            accept(&headers).expect("valid"),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
