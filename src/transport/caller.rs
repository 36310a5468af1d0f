//! Owns who is calling: the token of a request, checked, and the room in its path, parsed.

use axum::extract::{FromRequestParts, OriginalUri, Query};
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use std::collections::HashMap;

use super::App;
use super::door::Presented;
use super::problem::Problem;
use crate::auth::{Bearer, token_in};
use crate::ids::RoomId;
use crate::room::Grant;

/// Whoever sent the request, by a good token.
pub struct Caller(pub Bearer);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(Presented(presented)) = parts.extensions.remove() {
            return Ok(Self(presented?));
        }
        let token = token_in(&parts.headers, parts.uri.query());
        let token = token.as_ref().map(crate::auth::Secret::expose);
        let now = app.hub.now().wall;
        Ok(Self(app.auth.authenticate(token, now).await?))
    }
}

/// The room of an API path, and what the caller may do in it.
pub struct InRoom {
    /// The room.
    pub room: RoomId,
    /// What the caller may do.
    pub grant: Grant,
}

impl FromRequestParts<App> for InRoom {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Caller(bearer) = Caller::from_request_parts(parts, app).await?;
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::internal())?;
        let name = uri
            .path()
            .strip_prefix("/api/v1/rooms/")
            .unwrap_or_default();
        let name = name.split('/').next().unwrap_or_default();
        let room = room_named(name)?;
        let grant = bearer.grant(&room)?;
        Ok(Self { room, grant })
    }
}

/// The parts of an API path after `/api/v1/`, decoded each for itself.
pub struct Segments(pub Vec<String>);

impl FromRequestParts<App> for Segments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::internal())?;
        let path = uri.path().strip_prefix("/api/v1/").unwrap_or_default();
        let segments = path.split('/').map(|part| decoded("path", part));
        Ok(Self(segments.collect::<Result<_, _>>()?))
    }
}

/// The parameters after the `?`.
pub struct Params(pub HashMap<String, String>);

impl FromRequestParts<App> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, app).await;
        let Query(params) = query.map_err(|_| Problem::malformed("the query is malformed"))?;
        Ok(Self(params))
    }
}

/// A room by its percent-encoded name.
pub fn room_named(encoded: &str) -> Result<RoomId, Problem> {
    let name = decoded("room name", encoded)?;
    RoomId::parse(&name).map_err(|invalid| Problem::malformed(invalid.to_string()))
}

fn decoded(what: &str, encoded: &str) -> Result<String, Problem> {
    let mut parts = encoded.split('%').skip(1);
    let is_escape =
        |part: &str| part.len() >= 2 && part.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if !parts.all(is_escape) {
        return Err(Problem::malformed(format!("{what} is not percent-encoded")));
    }
    let name = percent_decode_str(encoded)
        .decode_utf8()
        .map_err(|_| Problem::malformed(format!("{what} is not UTF-8")))?;
    Ok(name.into_owned())
}
