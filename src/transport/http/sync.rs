//! Owns `/rooms/{room}/sync`: a Yjs exchange without a socket.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;

use super::super::App;
use super::super::caller::InRoom;
use super::super::openapi::shapes::RoomPath;
use super::super::problem::Problem;
use super::stand;
use crate::hub::Denial;
use crate::hub::attachment::Gone;
use crate::lib0::{Reader, write_buffer};
use crate::room::sessions::require;
use crate::room::{Access, Event, Refusal};

/// An update with nothing in it.
const EMPTY_UPDATE: [u8; 2] = [0, 0];

/// `POST /rooms/{room}/sync`: two var-buffers, what the client has (a state vector) and what it
/// gives (an update); both may be empty. Answered, once the update is durable, with what the client
/// lacks and what the server has.
///
/// An update that rests on changes which the server lacks is refused with 422 `incomplete`, and
/// `stateVector` (base64) says from what to start.
#[utoipa::path(
    post,
    path = "/rooms/{room}/sync",
    tag = "rooms",
    operation_id = "syncDocument",
    summary = "Exchange Yjs updates without a socket",
    params(RoomPath),
    request_body(
        content = Vec<u8>,
        content_type = "application/octet-stream",
        description = "Two var-buffers (lib0): state vector, update; both may be empty.",
    ),
    responses(
        (
            status = 200,
            body = Vec<u8>,
            content_type = "application/octet-stream",
            description = "Two var-buffers: what the client lacks, the server's state vector.",
        ),
        (
            status = 422,
            description = "The update rests on changes that the server lacks; `stateVector` \
                (base64) says from where to start.",
        ),
    ),
)]
pub async fn exchange(
    State(app): State<App>,
    caller: InRoom,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body?;
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    let (state_vector, update) = read(&body)?;
    let mut refusal = None;
    if !update.is_empty() && *update != EMPTY_UPDATE {
        let mut attachment = app.hub.attach(&room, grant.clone(), None, None).await?;
        attachment
            .submit(update)
            .await
            .map_err(|Gone| Denial::Unavailable)?;
        loop {
            match attachment.event().await {
                Event::Kept { .. } => break,
                Event::Refused {
                    refusal: incomplete @ Refusal::Incomplete { .. },
                    ..
                } => {
                    refusal = Some(incomplete);
                    break;
                }
                Event::Refused { refusal, .. } => return Err(refusal.into()),
                Event::Ended(end) => return Err(end.into()),
                Event::Diff { .. }
                | Event::Presence(_)
                | Event::Missing { .. }
                | Event::Pushed { .. } => {}
            }
        }
    }
    let asked = app.hub.ask_told(&room, &grant, move |room, _| {
        let diff = match state_vector.is_empty() {
            true => room.diff(&[0]),
            false => room.diff(&state_vector),
        };
        (diff, room.position())
    });
    let (diff, position) = asked.await?;
    let (lacking, known) = diff?;
    let mut reply = Vec::with_capacity(lacking.len() + known.len() + 16);
    write_buffer(&mut reply, &lacking);
    write_buffer(&mut reply, &known);
    let mut response = match refusal {
        None => ([(header::CONTENT_TYPE, "application/octet-stream")], reply).into_response(),
        Some(refusal) => {
            let known = base64::engine::general_purpose::STANDARD.encode(&known);
            Problem::from(refusal)
                .with("stateVector", known.into())
                .into_response()
        }
    };
    stand(&mut response, position);
    Ok(response)
}

/// Takes a body apart: state vector and update, both unchecked.
pub fn read(body: &Bytes) -> Result<(Bytes, Bytes), Problem> {
    let malformed = |_| Problem::malformed("the body is two var-buffers: state vector, update");
    let mut reader = Reader::new(body);
    let state_vector = body.slice_ref(reader.buffer().map_err(malformed)?);
    let update = body.slice_ref(reader.buffer().map_err(malformed)?);
    if !reader.is_empty() {
        return Err(Problem::malformed("bytes after the update"));
    }
    Ok((state_vector, update))
}
