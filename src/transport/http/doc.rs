//! Owns `/rooms/{room}/doc`: the whole document, as JSON or as a Yjs update.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::App;
use super::super::caller::{InRoom, Params};
use super::super::openapi::shapes::RoomPath;
use super::super::problem::Problem;
use super::stand;
use crate::room::Access;
use crate::room::sessions::require;

const OCTETS: &str = "application/octet-stream";

/// `GET /rooms/{room}/doc`: an object of roots by name, or with `Accept: application/octet-stream`
/// the state (v1).
#[utoipa::path(
    get,
    path = "/rooms/{room}/doc",
    tag = "rooms",
    operation_id = "getDocument",
    summary = "The whole document",
    params(RoomPath),
    responses(
        (
            status = 200,
            content(
                (BTreeMap<String, Value> = "application/json"),
                (Vec<u8> = "application/octet-stream"),
            ),
            description = "Roots by name; or, with `Accept: application/octet-stream`, a Yjs \
                update (v1).",
        ),
    ),
)]
pub async fn show(
    State(app): State<App>,
    caller: InRoom,
    Params(query): Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    if query.contains_key("version") {
        let detail = "documents of the past are not served by this version";
        return Err(Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "unsupported",
            detail,
        ));
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let wants_bytes = accept.is_some_and(|accept| accept.contains(OCTETS));
    let (mut response, position) = if wants_bytes {
        let asked = app
            .hub
            .ask_told(&room, &grant, |room, _| (room.state(), room.position()));
        let (state, position) = asked.await?;
        (
            ([(header::CONTENT_TYPE, OCTETS)], state).into_response(),
            position,
        )
    } else {
        let asked = app
            .hub
            .ask(&room, &grant, |room, _| (room.json(), room.position()));
        let (json, position) = asked.await?;
        (
            ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
            position,
        )
    };
    stand(&mut response, position);
    // Weak: what is merged shows before it has a version.
    let tag = format!("W/\"{}\"", position.version);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}
