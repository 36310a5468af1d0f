//! Owns `GET /rooms/{room}/records/{collection}`: records page by page.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::App;
use super::super::caller::{InRoom, Params};
use super::super::openapi::shapes::{CollectionPath, Name, Paging, RoomPath};
use super::super::problem::Problem;
use super::records::InCollection;
use super::{number, stand};
use crate::ids::{Version, is_name};
use crate::room::Access;
use crate::room::operation::Portrayal;
use crate::room::sessions::require;
use crate::store::records::{RecordOrder, RecordQuery, Since};
use crate::wire::results::{self, RecordTwin};
use crate::wire::time;

/// Records on one page, unless the caller asks for another number.
const PAGE: u64 = 100;

/// The most records on one page.
const PAGE_MAX: u64 = 1_000;

/// Each filter is one more condition on every row.
const FILTERS_MAX: usize = 16;

/// Records of a collection.
#[derive(Serialize, ToSchema)]
pub struct RecordsPage {
    #[schema(value_type = Vec<RecordTwin>)]
    records: Vec<Box<RawValue>>,
    /// Not on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cursor: Option<String>,
}

/// In which order.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(missing_docs, reason = "they are the documentation")]
pub enum RecordSort {
    Id,
    UpdatedAt,
}

/// `?limit=&cursor=&updatedSince=&sort=&filter[field]=`: `{records, cursor?}`, by id or, with
/// `sort=updatedAt`, by what changed last; no `cursor` on the last page.
#[utoipa::path(
    get,
    path = "/rooms/{room}/records/{collection}",
    tag = "records",
    operation_id = "listRecords",
    summary = "List records",
    params(
        RoomPath,
        CollectionPath,
        Paging,
        (
            "updatedSince" = Option<String>,
            Query,
            example = "17",
            description = "A version, or a time (RFC 3339).",
        ),
        ("sort" = Option<RecordSort>, Query, description = "`id` unless said."),
        (
            "filter" = Option<BTreeMap<Name, String>>,
            Query,
            style = DeepObject,
            explode,
            description = "`filter[field]=value`: records whose field is that; 16 at most.",
        ),
    ),
    responses((status = 200, body = RecordsPage)),
)]
pub async fn records(
    State(app): State<App>,
    at: InCollection,
    Params(params): Params,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let InCollection { caller, collection } = at;
    let InRoom { room, grant } = caller;
    require(&grant, Access::Read, app.hub.now().wall)?;
    let limit = number("limit", params.get("limit"))?;
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX) as usize;
    let mut query = RecordQuery {
        collection: collection.to_string(),
        limit: limit + 1,
        ..RecordQuery::default()
    };
    read(&params, &mut query)?;
    query.filters = filters(pairs)?;
    let (position, mut listed) = app.hub.records(&room, &grant, &query).await?;
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let cursor = listed.last().filter(|_| has_more).map(cursor_after);
    let records = listed.iter().map(results::record).collect();
    let page =
        serde_json::to_string(&RecordsPage { records, cursor }).map_err(|_| Problem::internal())?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (json, page).into_response();
    stand(&mut response, position);
    Ok(response)
}

fn read(params: &HashMap<String, String>, query: &mut RecordQuery) -> Result<(), Problem> {
    query.order = match params.get("sort").map(String::as_str) {
        None | Some("id") => RecordOrder::Id,
        Some("updatedAt") => RecordOrder::Update,
        Some(_) => return Err(Problem::malformed("sort is none of id, updatedAt")),
    };
    query.after = params
        .get("cursor")
        .map(|text| position_in(text))
        .transpose()?;
    query.since = params
        .get("updatedSince")
        .map(|text| since(text))
        .transpose()?;
    Ok(())
}

/// `filter[field]=value`, as often as it is there: all have to be met, also those of one field.
fn filters(pairs: Vec<(String, String)>) -> Result<Vec<(String, String)>, Problem> {
    let mut filters = Vec::new();
    for (name, value) in pairs {
        let field = name
            .strip_prefix("filter[")
            .and_then(|name| name.strip_suffix(']'));
        let Some(field) = field else { continue };
        if !is_name(field) {
            return Err(Problem::malformed("a filter names no field"));
        }
        filters.push((field.to_owned(), value));
    }
    if filters.len() > FILTERS_MAX {
        return Err(Problem::malformed("more than 16 filters"));
    }
    // Equal questions should be equal statements.
    filters.sort();
    Ok(filters)
}

/// A version, or a time.
fn since(text: &str) -> Result<Since, Problem> {
    let version = text.parse().map(|version| Since::Version(Version(version)));
    let since = version
        .ok()
        .or_else(|| time::parse_rfc3339(text).map(Since::Time));
    since.ok_or_else(|| Problem::malformed("updatedSince is neither a version nor a time"))
}

fn cursor_after(last: &Portrayal) -> String {
    let place = (last.meta.version.0, &last.place.record);
    URL_SAFE_NO_PAD.encode(serde_json::to_string(&place).unwrap_or_default())
}

fn position_in(cursor: &str) -> Result<(Version, String), Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = bytes.and_then(|bytes| serde_json::from_slice::<(u64, String)>(&bytes).ok());
    let (version, record) = place.ok_or_else(|| Problem::malformed("cursor is none of ours"))?;
    Ok((Version(version), record))
}
