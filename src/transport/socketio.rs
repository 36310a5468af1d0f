//! Owns `/socket.io/`: Engine.IO and Socket.IO by their crate, each session a carrier of JSON
//! messages. What events mean is in [`crate::wire::socketio`].
//!
//! The crate emits to whoever has room and drops the rest, and reads whatever comes. Here a session
//! is given what it writes and read as it hears: see [`flow`].

mod admission;
mod flow;
mod frames;
mod front;
mod packets;
mod racks;
mod session;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{MethodRouter, any};
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::{ParserConfig, SocketIo};

use self::front::Front;
use self::racks::Racks;
use self::session::Session;
use super::jsonws::JsonSocket;
use super::letters::Ear;
use super::{App, http};
use crate::metric;

/// Packets that the engine holds for a session, its pings among them.
const ENGINE_PACKETS_MAX: usize = 4 * flow::GIVEN_MAX;

/// Everything under `/socket.io/`.
pub fn routes(app: &App) -> Router<App> {
    let engine = engine(app);
    Router::new()
        .route("/socket.io", engine.clone())
        .route("/socket.io/", engine)
        .layer(http::body_timeout(app))
        .layer(http::cors(&app.origins))
}

/// The engine, and what is before and behind it.
fn engine(app: &App) -> MethodRouter<App> {
    let limits = app.hub.limits();
    let message_bytes_max = limits.frame_bytes_max;
    let handshake = Duration::from_millis(limits.handshake_ms_max);
    // Binary attachments mean nothing here: an event with one is refused, not gathered.
    let parser = ParserConfig::common()
        .max_incoming_binaries(1)
        .max_incoming_binary_buf_size(message_bytes_max)
        .packet_completion_timeout(handshake);
    let (service, io) = SocketIo::builder()
        .max_buffer_size(ENGINE_PACKETS_MAX)
        .max_payload(message_bytes_max as u64)
        .ws_max_message_size(message_bytes_max)
        .ws_max_frame_size(message_bytes_max)
        .connect_timeout(handshake)
        .upgrade_timeout(handshake)
        .with_parser(parser)
        .build_with_inner_svc(Router::new());
    let racks = Arc::new(Racks::default());
    let (of_admission, of_sessions) = (app.clone(), app.clone());
    let admit = async move |socket: SocketRef, auth: TryData<_>| {
        admission::admit(of_admission, socket, auth).await
    };
    let enter = async move |socket: SocketRef| converse(of_sessions, racks, socket);
    io.ns("/", enter.with(admit));
    let front = Arc::new(Front::new(app.clone(), service));
    any(move |request| front::serve(front, request))
}

/// Runs the session of somebody who was let in.
fn converse(app: App, racks: Arc<Racks>, socket: SocketRef) {
    let Some(flow) = admission::flow_of(&socket) else {
        return;
    };
    let Some(admitted) = flow.admitted() else {
        return;
    };
    let device = admitted
        .device
        .unwrap_or_else(|| socket.id.to_string().into());
    let ear = Ear::of(&app, Some(&admitted.bearer));
    let connections = app.connections.clone();
    connections.spawn(async move {
        let gauge = metrics::gauge!(metric::SESSIONS);
        gauge.increment(1);
        let who = (admitted.bearer.identity.clone(), device);
        let session = Session::new(socket, flow, app.hub.clone(), racks, who);
        let mut socket = JsonSocket::new(session, app, Some(admitted.bearer), ear);
        if let Some(code) = socket.run().await {
            let code = code.to_string();
            metrics::counter!(metric::CLOSES, metric::LABEL_CODE => code).increment(1);
        }
        gauge.decrement(1);
    });
}
