//! Owns the OpenAPI document, made from the handlers, and the page on which it is read.

pub mod shapes;

use axum::Router;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::App;
use super::http;
use super::sse;

/// Where the document is.
const DOCUMENT: &str = "/api/v1/openapi.json";

/// Where it is read.
const PAGE: &str = "/api/v1/docs";

const PROBLEM: &str = "application/problem+json";

/// What is in `paths` is in the router, and the other way round: a test compares them.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Roundtable",
        description = "Rooms of shared live state over HTTP. Times are RFC 3339 in UTC unless they \
            are said to be milliseconds; unknown members are ignored. `/api/v1/ws` and the other \
            sockets are described in docs/PROTOCOLS.md.",
    ),
    servers((url = "/api/v1")),
    paths(
        http::rooms::list,
        http::rooms::show,
        http::rooms::delete,
        http::doc::show,
        http::sync::exchange,
        http::changes::list,
        sse::stream,
        http::presence::show,
        http::presence::put,
        http::presence::delete,
        http::presence::say,
        http::push::push,
        http::push::batch,
        http::list::records,
        http::records::create,
        http::records::show,
        http::records::replace,
        http::records::update,
        http::records::delete,
        http::conflicts::list,
        http::conflicts::resolve,
        http::inbox::poll,
        http::inbox::send,
        http::inbox::broadcast,
        http::inbox::cleanup,
        http::status::show,
        http::status::stats,
        http::audit::list,
    ),
    components(schemas(
        http::list::RecordSort,
        shapes::Operation,
        shapes::Problem,
        shapes::RoomOperation,
    )),
    security(("bearer" = []), ("token" = [])),
    modifiers(&Everywhere),
)]
struct Api;

/// What is true of every operation.
struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
        let token = ApiKey::Query(ApiKeyValue::new("token"));
        components.add_security_scheme("token", SecurityScheme::ApiKey(token));
        let problem = ResponseBuilder::new()
            .description("What went wrong.")
            .content(
                PROBLEM,
                Content::new(Some(Ref::from_schema_name("Problem"))),
            )
            .build();
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                let responses = &mut operation.responses.responses;
                for (status, response) in responses.iter_mut() {
                    if let (b'4', RefOr::T(response)) = (status.as_bytes()[0], response) {
                        response.content = problem.content.clone();
                    }
                }
                responses.insert("default".into(), RefOr::T(problem.clone()));
            }
        }
    }
}

/// The document, and the page that shows it; both are for everyone.
pub fn routes() -> Router<App> {
    let config = Config::default().try_it_out_enabled(true);
    SwaggerUi::new(PAGE)
        .url(DOCUMENT, Api::openapi())
        .config(config)
        .into()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The routes of `/api/v1` as the router's source has them: `(path, method)`.
    fn routed() -> BTreeSet<(String, String)> {
        let source = include_str!("../mod.rs");
        let (_, rooms) = source
            .split_once("let rooms")
            .expect("the routes of the API");
        let (rooms, _) = rooms.split_once(".fallback").expect("their end");
        let mut found = BTreeSet::new();
        for route in rooms.split(".route(").skip(1) {
            let path = route.split('"').nth(1).expect("a path");
            for method in ["get", "put", "post", "delete", "patch"] {
                let is_called = |before: &str| {
                    route.contains(&format!("{before}{method}(http"))
                        || route.contains(&format!("{before}{method}(sse"))
                };
                if is_called(" ") || is_called(".") {
                    found.insert((path.to_owned(), method.to_owned()));
                }
            }
        }
        found
    }

    fn described() -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for (path, item) in &Api::openapi().paths.paths {
            let item = serde_json::to_value(item).expect("a document is JSON");
            let methods = item.as_object().expect("an item is an object").keys();
            found.extend(methods.map(|method| (path.clone(), method.clone())));
        }
        found
    }

    #[test]
    fn ht3_every_route_is_described_and_nothing_else() {
        let (routed, described) = (routed(), described());
        assert!(routed.len() > 25, "{routed:?}");
        assert_eq!(routed, described);
    }

    #[test]
    fn ht3_operations_have_names_of_their_own() {
        let mut document = Api::openapi();
        let mut names = BTreeSet::new();
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                let name = operation.operation_id.clone().expect("a name");
                assert!(names.insert(name.clone()), "{name} twice");
                assert!(operation.responses.responses.contains_key("default"));
            }
        }
    }
}
