//! Owns the requests of Socket.IO clients before the engine sees them: their origin, the session
//! that they belong to, and how much of it may wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use dashmap::DashMap;
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use socketioxide::service::SocketIoService;
use tower::Service;

use super::flow::Flow;
use super::packets::counted;
use super::stream::Metered;
use crate::auth::origin_allowed;
use crate::hub::Denial;
use crate::room::End;
use crate::transport::App;
use crate::transport::listener::Place;
use crate::transport::problem::Problem;
use crate::transport::ws::{Upgrade, switch, text};

/// The engine; what is not its own is not found.
pub type Engine = SocketIoService<Router>;

/// The version of Engine.IO that is spoken.
const ENGINE_VERSION: &str = "4";

/// The largest body that is read only to be thrown away.
const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sessions by id; one that is gone is forgotten at the next look.
type Flows = DashMap<Box<str>, Weak<Flow>>;

/// Before the engine.
pub struct Front {
    app: App,
    engine: Engine,
    flows: Flows,
    /// Sessions that there are, whether or not anybody was let in.
    live: Arc<AtomicUsize>,
}

/// What the engine says at first.
#[derive(Deserialize)]
struct Opened<'a> {
    sid: &'a str,
}

impl Front {
    /// Before this engine.
    pub fn new(app: App, engine: Engine) -> Self {
        Self {
            app,
            engine,
            flows: Flows::new(),
            live: Arc::default(),
        }
    }

    /// The flow of the session that a request names, or of a new one.
    fn flow(&self, uri: &Uri) -> Result<Option<Arc<Flow>>, Denial> {
        if let Some(sid) = query(uri, "sid") {
            let found = self.flows.get(&*sid).map(|flow| flow.upgrade());
            return match found {
                Some(Some(flow)) => Ok(Some(flow)),
                Some(None) => {
                    self.flows.remove(&*sid);
                    Ok(None)
                }
                None => Ok(None),
            };
        }
        let limits = self.app.hub.limits();
        let is_full = self.live.load(Ordering::Relaxed) >= limits.connections_max;
        if self.app.hub.is_leaving() || is_full {
            return Err(Denial::Unavailable);
        }
        let heard_max = limits.messages_burst_max as usize + 1_000;
        Ok(Some(Arc::new(Flow::new(heard_max, self.live.clone()))))
    }

    /// Remembers the session of a flow, and forgets those that are gone.
    fn remember(&self, payload: &[u8], flow: &Arc<Flow>) {
        let opened = payload.strip_prefix(b"0");
        let opened = opened.and_then(|json| serde_json::from_slice::<Opened<'_>>(json).ok());
        if let Some(Opened { sid }) = opened {
            if self.flows.len() > 2 * self.live.load(Ordering::Relaxed) {
                self.flows.retain(|_, flow| flow.strong_count() > 0);
            }
            self.flows.insert(sid.into(), Arc::downgrade(flow));
        }
    }

    /// Changes to WebSocket; the stream waits for its session.
    fn open(&self, mut request: Request, flow: Arc<Flow>) -> Result<Response<Body>, Problem> {
        let response = switch(&self.app, request.headers(), "a Socket.IO client")?;
        let upgrade = Upgrade::of(&mut request)?;
        let (parts, _) = request.into_parts();
        let (mut engine, app) = (self.engine.clone(), self.app.clone());
        upgrade.hand_over(&self.app, move |stream, early, place| {
            let stream = Metered::new(stream, early, flow, app, place);
            let request = axum::http::Request::from_parts(parts, ());
            // What was asked for was looked at; the engine goes on by itself.
            drop(engine.call((stream, request)));
        });
        Ok(response)
    }

    /// A request of the polling transport.
    async fn poll(&self, mut request: Request, flow: Arc<Flow>) -> Response<Body> {
        let is_post = request.method() == Method::POST;
        if is_post {
            flow.room().await;
            if declared_bytes(&request) > self.app.hub.limits().frame_bytes_max as u64 {
                // The session says so; an error here would end it unheard.
                flow.end_with(End::TooLarge);
                discard(request.into_body()).await;
                return "ok".into_response();
            }
        }
        if flow.is_cut() {
            return gone();
        }
        let is_new = query(request.uri(), "sid").is_none();
        // The engine keeps what opened a session, and its connection ends before.
        request.extensions_mut().remove::<Place>();
        let mut engine = self.engine.clone();
        let Ok(answer) = Service::<Request>::call(&mut engine, request).await;
        if is_post {
            return answer.map(Body::new);
        }
        let (parts, body) = answer.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX)
            .await
            .unwrap_or_default();
        if is_new {
            self.remember(&body, &flow);
        }
        flow.took(counted(&body));
        let meter = self.app.hub.meter();
        meter.sent(body.len());
        Response::from_parts(parts, body.into())
    }
}

/// Answers a request.
pub async fn serve(front: Arc<Front>, request: Request) -> Response<Body> {
    match pass(&front, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn pass(front: &Front, mut request: Request) -> Result<Response<Body>, Problem> {
    let headers = request.headers();
    let origin = text(headers, header::ORIGIN);
    if !origin_allowed(origin, text(headers, header::HOST), &front.app.origins) {
        let detail = "the page's origin is not allowed";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    let uri = request.uri().clone();
    let Some(flow) = front.flow(&uri)? else {
        return Ok(gone());
    };
    if query(&uri, "EIO").as_deref() != Some(ENGINE_VERSION) {
        let detail = "this address speaks Engine.IO 4: connect with a Socket.IO client";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "unsupported", detail));
    }
    request.extensions_mut().insert(flow.clone());
    match query(&uri, "transport").as_deref() {
        Some("websocket") => front.open(request, flow),
        _ => Ok(front.poll(request, flow).await),
    }
}

/// As the engine says it: the client opens a new session.
fn gone() -> Response<Body> {
    let body = r#"{"code":1,"message":"Session ID unknown"}"#;
    let json = [(header::CONTENT_TYPE, "application/json")];
    (
        StatusCode::BAD_REQUEST,
        json,
        Bytes::from_static(body.as_bytes()),
    )
        .into_response()
}

/// Takes a body and throws it away; who sends too much of it is not listened to.
async fn discard(body: Body) {
    let mut rest = body.into_data_stream();
    let mut bytes = 0;
    while bytes < DISCARDED_BYTES_MAX
        && let Some(Ok(chunk)) = rest.next().await
    {
        bytes += chunk.len();
    }
}

fn declared_bytes(request: &Request) -> u64 {
    let length = text(request.headers(), header::CONTENT_LENGTH);
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn query(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
}
