//! Owns the API over HTTP: what its handlers share.

pub mod audit;
pub mod changes;
pub mod conflicts;
pub mod doc;
pub mod inbox;
pub mod list;
pub mod presence;
pub mod push;
pub mod records;
pub mod rooms;
pub mod status;
pub mod sync;
mod write;

use std::any::Any;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::timeout::RequestBodyTimeoutLayer;

use super::App;
use super::door::{RATE_LIMIT, RATE_LIMIT_POLICY};
use super::problem::Problem;
use crate::auth::{Origins, origin_allowed};
use crate::ids::Position;
use crate::wire::whole::WHOLE_MAX;

/// The header that names a room's epoch.
pub const EPOCH: HeaderName = HeaderName::from_static("roundtable-epoch");

/// The header that names a room's version.
pub const VERSION: HeaderName = HeaderName::from_static("roundtable-version");

/// Browsers ask once in so long whether they may call.
const PREFLIGHT_SECONDS: u64 = 600;

/// There is no such address.
pub async fn nothing() -> Problem {
    Problem::not_found("there is nothing at this address")
}

/// There is, but not for this method.
pub async fn wrong_method() -> Problem {
    let detail = "this address does not take this method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "unsupported", detail)
}

/// A handler panicked: its request fails, and nothing else.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::internal().into_response()
}

/// A body is at most an update and a state vector.
pub fn body_limit(app: &App) -> DefaultBodyLimit {
    let limits = app.hub.limits();
    DefaultBodyLimit::max(limits.update_bytes_max + limits.state_vector_bytes_max)
}

/// A body that stops arriving does not hold its connection.
pub fn body_timeout(app: &App) -> RequestBodyTimeoutLayer {
    RequestBodyTimeoutLayer::new(Duration::from_millis(app.hub.limits().handshake_ms_max))
}

/// Which pages may call, and what they may see.
pub fn cors(origins: &std::sync::Arc<Origins>) -> CorsLayer {
    let origins = origins.clone();
    let allow = AllowOrigin::predicate(move |origin: &HeaderValue, parts| {
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        origin_allowed(origin.to_str().ok(), host, &origins)
    });
    CorsLayer::new()
        .allow_origin(allow)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([
            header::ETAG,
            EPOCH,
            VERSION,
            RATE_LIMIT,
            RATE_LIMIT_POLICY,
            header::RETRY_AFTER,
        ])
        .max_age(Duration::from_secs(PREFLIGHT_SECONDS))
}

/// Adds where the room stands to an answer.
pub fn stand(response: &mut Response, position: Position) {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    set(EPOCH, position.epoch.to_string());
    set(VERSION, position.version.to_string());
    set(header::CACHE_CONTROL, "no-store".into());
}

/// A query parameter that is a number.
pub fn number(name: &str, text: Option<&String>) -> Result<Option<u64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(number) if number <= WHOLE_MAX => Ok(Some(number)),
        _ => Err(Problem::malformed(format!("{name} is no number"))),
    }
}
