//! Owns the demo page: the files of `web/dist`, which are part of the program once they are built,
//! and the headers that keep a browser from doing anything else with them.

use std::borrow::Cow;
use std::fmt::Write;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;

use super::App;

/// The page's scripts, styles and connections are its own origin's. Sockets are named besides, for
/// browsers to whom `'self'` is HTTP alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// What a name under `/assets/` once meant, it means forever: it says a hash of what is there.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The page itself is asked for anew each time; usually the answer is that it is the same.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

const NOT_BUILT: &str = "This server was built without its demo page. Run `make web`, then build \
    it again.\nEverything else is there: see /api/v1, /ws and /healthz.\n";

/// What `web/build.mjs` has made. A build for development reads it from there at each request.
#[derive(rust_embed::Embed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

/// One file of the page.
struct Leaf {
    bytes: Cow<'static, [u8]>,
    hash: [u8; 32],
}

fn leaf(path: &str) -> Option<Leaf> {
    let file = Built::get(path)?;
    let hash = file.metadata.sha256_hash();
    Some(Leaf {
        bytes: file.data,
        hash,
    })
}

/// The page and what it loads, or nothing where it is not wanted.
pub fn routes(app: &App) -> Router<App> {
    if !app.has_demo {
        return Router::new();
    }
    Router::new()
        .route("/", get(page))
        .route("/assets/{name}", get(asset))
        .layer(CompressionLayer::new())
}

async fn page(headers: HeaderMap) -> Response {
    match leaf("index.html") {
        Some(leaf) => answer(&headers, leaf, "text/html; charset=utf-8", ASK_AGAIN),
        None => (StatusCode::NOT_FOUND, NOT_BUILT).into_response(),
    }
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match (leaf(&format!("assets/{name}")), content_type(&name)) {
        (Some(leaf), Some(kind)) => answer(&headers, leaf, kind, FOREVER),
        _ => super::http::nothing().await.into_response(),
    }
}

/// The kinds of files that the page is made of; there are no others.
fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

fn answer(asked: &HeaderMap, leaf: Leaf, kind: &'static str, cache: HeaderValue) -> Response {
    let tag = tag_of(&leaf);
    let is_known = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|known| names(known, &tag));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        leaf.bytes.into_response()
    };
    let mut set = |name: HeaderName, value: HeaderValue| {
        response.headers_mut().insert(name, value);
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        set(header::ETAG, tag);
    }
    set(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    set(header::CACHE_CONTROL, cache);
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    set(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// A weak tag: the same file may come compressed, or not.
fn tag_of(leaf: &Leaf) -> String {
    let mut tag = String::from("W/\"");
    for byte in &leaf.hash[..16] {
        // Writing into a string does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag + "\""
}

fn names(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Leaf {
        Leaf {
            bytes: Cow::Borrowed(b"<!doctype html>"),
            hash: [0xab; 32],
        }
    }

    fn asking(known: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(known))])
    }

    #[test]
    fn dm1_the_page_may_load_and_connect_to_nothing_but_its_own_origin() {
        let response = answer(&HeaderMap::new(), some(), "text/html", ASK_AGAIN);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .expect("text");
        let rules: Vec<_> = policy.split("; ").collect();
        assert_eq!(
            rules,
            [
                "default-src 'self'",
                "connect-src 'self' ws: wss:",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'"
            ]
        );
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
    }

    #[test]
    fn dm2_a_file_that_the_browser_has_is_not_sent_again() {
        let first = answer(&HeaderMap::new(), some(), "text/html", ASK_AGAIN);
        let tag = "W/\"abababababababababababababababab\"";
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::ETAG], tag);
        for (known, status) in [
            ("W/\"abababababababababababababababab\"", 304),
            ("\"other\", W/\"abababababababababababababababab\"", 304),
            ("*", 304),
            ("\"other\"", 200),
            ("", 200),
        ] {
            let again = answer(&asking(known), some(), "text/html", ASK_AGAIN);
            assert_eq!(again.status(), status, "{known}");
            assert_eq!(again.headers()[header::ETAG], tag);
        }
    }

    #[tokio::test]
    async fn dm3_without_its_files_the_page_says_how_to_make_them() {
        let response = page(HeaderMap::new()).await;
        match leaf("index.html") {
            Some(leaf) => {
                let html = String::from_utf8(leaf.bytes.into_owned()).expect("text");
                assert_eq!(response.status(), StatusCode::OK);
                assert!(html.contains("/assets/main-") && !html.contains("{{"));
            }
            None => assert_eq!(response.status(), StatusCode::NOT_FOUND),
        }
        assert!(NOT_BUILT.contains("make web"));
    }

    #[tokio::test]
    async fn dm2_what_is_no_file_of_the_page_is_not_found() {
        for name in ["", "..", "../index.html", "main.map", "main", "x.js"] {
            let response = asset(Path(name.into()), HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name}");
        }
    }
}
