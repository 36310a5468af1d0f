//! Owns how errors are told over HTTP: problem documents (RFC 9457) with a stable `code`.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::auth::Denied;
use crate::hub::Denial;
use crate::hub::Unsaid;
use crate::hub::inbox::Undeliverable;
use crate::hub::push::Unjudged;
use crate::room::{End, Refusal};
use crate::wire::{Code, Violation};

/// An answer that says what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    more: Vec<(&'static str, Value)>,
}

impl Problem {
    /// A problem with its status, stable code and one sentence for a person.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            more: Vec::new(),
        }
    }

    /// The problem with one more member.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: Value) -> Self {
        self.more.push((member, value));
        self
    }

    /// The request is not one that can be understood.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// The token is good and does not grant this.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::from(Denied::Forbidden)
    }

    /// There is nothing here.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// Something of ours failed.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        for (member, value) in self.more {
            body[member] = value;
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = "the body is larger than the limit";
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
            }
            _ => Self::malformed("the body did not arrive whole"),
        }
    }
}

impl From<Violation> for Problem {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Malformed(reason) => Self::malformed(reason),
            Violation::TooLarge => {
                let detail = "the request holds more than the limit";
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
            }
        }
    }
}

impl From<Unjudged> for Problem {
    fn from(unjudged: Unjudged) -> Self {
        match unjudged {
            Unjudged::Denied(denial) => denial.into(),
            Unjudged::Refused(refusal) => refusal.into(),
            Unjudged::Ended(end) => end.into(),
        }
    }
}

impl From<Undeliverable> for Problem {
    fn from(undeliverable: Undeliverable) -> Self {
        match undeliverable {
            Undeliverable::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the payload is larger than the limit",
            ),
            Undeliverable::Full => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "too many messages wait for their users",
            ),
        }
    }
}

impl From<Unsaid> for Problem {
    fn from(unsaid: Unsaid) -> Self {
        match unsaid {
            Unsaid::Denied(denial) => denial.into(),
            Unsaid::Undeliverable(undeliverable) => undeliverable.into(),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let (status, code) = match denied {
            Denied::Missing | Denied::Invalid(_) | Denied::Expired => {
                (StatusCode::UNAUTHORIZED, "unauthenticated")
            }
            Denied::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Denied::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, denied.to_string())
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Unavailable => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the room cannot be opened now",
            ),
            Denial::TooMany => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "this user has too many rooms open",
            ),
            Denial::Quarantined => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the room is in quarantine until an operator releases it",
            )
            .with("reason", "quarantined".into()),
            Denial::Internal => Self::internal(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Forbidden => StatusCode::FORBIDDEN,
            Refusal::Expired => StatusCode::UNAUTHORIZED,
            Refusal::Incomplete { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Malformed(_) | Refusal::Quarantined => StatusCode::BAD_REQUEST,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::EpochChanged => StatusCode::CONFLICT,
            Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::RoomDeleted => StatusCode::GONE,
        };
        Self::new(status, refusal.code(), refusal.to_string())
    }
}

impl From<End> for Problem {
    fn from(end: End) -> Self {
        let status = match end {
            End::Malformed(_) => StatusCode::BAD_REQUEST,
            End::Expired => StatusCode::UNAUTHORIZED,
            End::Forbidden => StatusCode::FORBIDDEN,
            End::RoomDeleted => StatusCode::GONE,
            End::EpochChanged => StatusCode::CONFLICT,
            End::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            End::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            End::Unavailable | End::Idle => StatusCode::SERVICE_UNAVAILABLE,
            End::TooFast => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, end.code(), "the room ended the session")
    }
}
