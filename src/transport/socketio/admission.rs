//! Owns who is let into a Socket.IO session: the token of the handshake's `auth`, or of the request
//! that opened it.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, SocketRef, TryData};
use socketioxide::handler::{FromMessageParts, MessageHandler, Value};
use socketioxide::socket::{DisconnectReason, Socket};

use super::flow::{Admitted, Flow, Heard, Left};
use crate::auth::{Bearer, Denied};
use crate::ids::is_name;
use crate::transport::App;
use crate::transport::door::{Presented, Witness};
use crate::transport::requests::code_of;

/// What a client says in `auth`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Credentials {
    token: Option<String>,
    client_id: Option<String>,
    device_id: Option<String>,
}

/// Why nobody is let in: what `connect_error` says.
#[derive(Debug)]
pub struct Refused {
    code: &'static str,
    reason: String,
}

impl Refused {
    fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, reason }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.reason)
    }
}

/// Lets somebody in, or not. From now on it is listened to.
pub async fn admit(app: App, socket: SocketRef, auth: TryData<Credentials>) -> Result<(), Refused> {
    let Some(flow) = flow_of(&socket) else {
        return Err(Refused::new("internal", "the server failed"));
    };
    let auth = auth.0.unwrap_or_default();
    let bearer = check(&app, &socket, auth.token.as_deref()).await?;
    if app.hub.is_leaving() {
        return Err(Refused::new("unavailable", "the server goes away"));
    }
    let device = auth.client_id.or(auth.device_id).filter(|id| is_name(id));
    let admitted = Admitted {
        bearer,
        device: device.map(Into::into),
    };
    if !flow.admit(admitted) {
        return Err(Refused::new("unsupported", "open a new connection"));
    }
    // Before it is told that it is connected: what it says first is heard.
    socket.on_fallback(Ear(flow.clone()));
    socket.on_disconnect(async move |reason: DisconnectReason| {
        match reason {
            DisconnectReason::ClientNSDisconnect => flow.leave(Left::Goodbye),
            // The client is told, and still there.
            DisconnectReason::ServerNSDisconnect => {}
            _ => flow.leave(Left::Lost),
        }
    });
    Ok(())
}

/// Whose token it is: that of `auth`, or of the request that opened the session.
async fn check(app: &App, socket: &SocketRef, token: Option<&str>) -> Result<Bearer, Refused> {
    let (parts, now) = (socket.req_parts(), app.hub.now());
    let checked = match token.filter(|token| !token.is_empty()) {
        Some(token) => app.auth.authenticate(Some(token), now.wall).await,
        None => {
            let presented = parts.extensions.get::<Presented>();
            presented.map_or(Err(Denied::Missing), |it| it.0.clone())
        }
    };
    let witness = Witness::of(parts, checked.as_ref().ok());
    let note = |action, is_allowed| {
        let detail = json!({ "path": "/socket.io/" });
        witness.note(app, action, None, is_allowed, detail);
    };
    match checked {
        Ok(bearer) => {
            note("join", true);
            Ok(bearer)
        }
        Err(denied) => {
            if app.door.is_failing(&witness, &denied, now.mono) {
                let reason = "too many bad tokens from this address";
                return Err(Refused::new("too_many_requests", reason));
            }
            note("token", false);
            Err(Refused::new(code_of(denied), denied.to_string()))
        }
    }
}

/// The flow of a session, as its first request brought it.
pub fn flow_of(socket: &SocketRef) -> Option<Arc<Flow>> {
    socket.req_parts().extensions.get::<Arc<Flow>>().cloned()
}

/// Hears events in the order in which they come.
struct Ear(Arc<Flow>);

impl MessageHandler<LocalAdapter, Ear> for Ear {
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, mut value: Value, ack: Option<i64>) {
        let sender = AckSender::from_message_parts(&socket, &mut value, &ack);
        let ack = ack.and_then(|_| sender.ok());
        self.0.hear(Heard { value, ack });
    }
}
