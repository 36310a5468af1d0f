//! Owns the JSON twins of what operations come to: results, conflicts, records.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::operations::Unfit;
use super::time::rfc3339;
use crate::ids::{OpId, Version};
use crate::room::entry::{Json, Value};
use crate::room::operation::{Clash, Objection, OpResult, Portrayal, Status};

/// A result: `{opId, status, recordId, version?, conflicts?, record?, error?}`.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Result)]
#[serde(rename_all = "camelCase")]
pub struct ResultTwin<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    op_id: Option<Cow<'a, str>>,
    status: StatusTwin,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    record_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    version: Option<u64>,
    #[serde(borrow, skip_serializing_if = "Vec::is_empty", default)]
    conflicts: Vec<ClashTwin<'a>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<RecordTwin>, nullable = false)]
    record: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    error: Option<ErrorTwin<'a>>,
    /// In the stored form alone.
    #[schema(ignore)]
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    made: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ResultStatus)]
#[serde(rename_all = "lowercase")]
enum StatusTwin {
    Applied,
    Merged,
    Duplicate,
    Conflict,
    Rejected,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ResultError)]
struct ErrorTwin<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// A field that changed on both sides; a value that is not there is left out.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Clash)]
#[serde(rename_all = "camelCase")]
struct ClashTwin<'a> {
    #[serde(borrow)]
    field: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>, nullable = false)]
    mine: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>, nullable = false)]
    theirs: Option<&'a RawValue>,
    theirs_version: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// A member that is there, even as `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// A record: `{collection, recordId, version, fields, createdAt, createdBy, updatedAt,
/// updatedBy}`.
#[derive(Serialize, ToSchema)]
#[schema(as = Record)]
#[serde(rename_all = "camelCase")]
pub struct RecordTwin<'a> {
    /// The collection.
    pub collection: &'a str,
    /// Its id there.
    pub record_id: &'a str,
    /// The version that changed it last.
    pub version: u64,
    /// Values, by field.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub fields: &'a RawValue,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// A user id.
    pub created_by: &'a str,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// A user id.
    pub updated_by: &'a str,
}

impl From<Status> for StatusTwin {
    fn from(status: Status) -> Self {
        match status {
            Status::Applied => Self::Applied,
            Status::Merged => Self::Merged,
            Status::Duplicate => Self::Duplicate,
            Status::Conflict => Self::Conflict,
            Status::Rejected => Self::Rejected,
        }
    }
}

impl From<StatusTwin> for Status {
    fn from(status: StatusTwin) -> Self {
        match status {
            StatusTwin::Applied => Self::Applied,
            StatusTwin::Merged => Self::Merged,
            StatusTwin::Duplicate => Self::Duplicate,
            StatusTwin::Conflict => Self::Conflict,
            StatusTwin::Rejected => Self::Rejected,
        }
    }
}

impl<'a> From<&'a Clash> for ClashTwin<'a> {
    fn from(clash: &'a Clash) -> Self {
        Self {
            field: Cow::Borrowed(&clash.field),
            mine: raw(&clash.mine),
            theirs: raw(&clash.theirs),
            theirs_version: clash.theirs_version.0,
            truncated: clash.mine == Value::TooLong || clash.theirs == Value::TooLong,
        }
    }
}

/// The JSON of a value, if there is one that is told.
#[must_use]
pub fn raw(value: &Value) -> Option<&RawValue> {
    match value {
        Value::Absent | Value::TooLong => None,
        Value::Json(Json(text)) => {
            Some(serde_json::from_str(text).expect("a canonical value is JSON"))
        }
    }
}

/// The stable word for an objection.
#[must_use]
pub fn code_of(objection: Objection) -> &'static str {
    match objection {
        Objection::NotFound => "not_found",
        Objection::Taken(_) => "conflict",
        Objection::Malformed(_) => "malformed",
        Objection::PreconditionFailed => "precondition_failed",
    }
}

/// A record as clients read it.
#[must_use]
pub fn record(portrayal: &Portrayal) -> Box<RawValue> {
    let meta = &portrayal.meta;
    let twin = RecordTwin {
        collection: &portrayal.place.collection,
        record_id: &portrayal.place.record,
        version: meta.version.0,
        fields: serde_json::from_str(&portrayal.fields.0).expect("a canonical value is JSON"),
        created_at: rfc3339(meta.created_at),
        created_by: &meta.created_by,
        updated_at: rfc3339(meta.updated_at),
        updated_by: &meta.updated_by,
    };
    serde_json::value::to_raw_value(&twin).expect("strings are JSON")
}

/// Fields that changed on both sides, as clients read them.
#[must_use]
pub fn clashes(clashes: &[Clash]) -> serde_json::Value {
    let twins: Vec<_> = clashes.iter().map(ClashTwin::from).collect();
    serde_json::to_value(&twins).expect("strings are JSON")
}

/// A result as clients read it.
#[must_use]
pub fn result(result: &OpResult) -> Box<RawValue> {
    let mut twin = twin_of(result);
    twin.record = result.portrayal.as_deref().map(record);
    twin.error = result.objection.map(|objection| ErrorTwin {
        code: Cow::Borrowed(code_of(objection)),
        message: Cow::Owned(objection.to_string()),
    });
    serde_json::value::to_raw_value(&twin).expect("strings are JSON")
}

/// The result of an operation that could not be read, or not be judged.
#[must_use]
pub fn rejection(unfit: &Unfit, code: &'static str) -> Box<RawValue> {
    let twin = ResultTwin {
        op_id: unfit.id.as_deref().map(Cow::Borrowed),
        status: StatusTwin::Rejected,
        record_id: unfit.record.as_deref().map(Cow::Borrowed),
        version: None,
        conflicts: Vec::new(),
        record: None,
        error: Some(ErrorTwin {
            code: Cow::Borrowed(code),
            message: Cow::Borrowed(unfit.reason),
        }),
        made: false,
    };
    serde_json::value::to_raw_value(&twin).expect("strings are JSON")
}

fn twin_of(result: &OpResult) -> ResultTwin<'_> {
    ResultTwin {
        op_id: Some(Cow::Borrowed(result.id.as_str())),
        status: result.status.into(),
        record_id: Some(Cow::Borrowed(&result.record)),
        version: (result.version > Version::ZERO).then_some(result.version.0),
        conflicts: result.clashes.iter().map(ClashTwin::from).collect(),
        record: None,
        error: None,
        made: false,
    }
}

/// A result that was applied, for the store.
#[must_use]
pub fn encode(result: &OpResult) -> String {
    let mut twin = twin_of(result);
    // The row has it.
    twin.op_id = None;
    twin.made = result.is_made;
    serde_json::to_string(&twin).expect("strings are JSON")
}

/// Reads what [`encode`] wrote.
pub fn decode(id: OpId, text: &str) -> Result<OpResult, serde_json::Error> {
    let twin: ResultTwin<'_> = serde_json::from_str(text)?;
    let clashes = twin.conflicts.into_iter().map(|clash| {
        let value = |raw: Option<&RawValue>| match raw {
            Some(raw) => Value::Json(Json(raw.get().into())),
            None if clash.truncated => Value::TooLong,
            None => Value::Absent,
        };
        Clash {
            mine: value(clash.mine),
            theirs: value(clash.theirs),
            theirs_version: Version(clash.theirs_version),
            field: (*clash.field).into(),
        }
    });
    Ok(OpResult {
        id,
        status: twin.status.into(),
        clashes: clashes.collect(),
        record: Arc::from(&*twin.record_id.unwrap_or_default()),
        version: Version(twin.version.unwrap_or_default()),
        is_made: twin.made,
        portrayal: None,
        objection: None,
        is_recalled: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged() -> OpResult {
        let json = |text: &str| Value::Json(Json(text.into()));
        OpResult {
            id: OpId::parse("1").expect("a name"),
            status: Status::Merged,
            record: "r \"1\"".into(),
            version: Version(7),
            is_made: true,
            clashes: vec![Clash {
                field: "a".into(),
                mine: json("null"),
                theirs: Value::Absent,
                theirs_version: Version(5),
            }],
            portrayal: None,
            objection: None,
            is_recalled: false,
        }
    }

    #[test]
    fn op25_a_result_comes_back_from_its_stored_form_whole() {
        let result = merged();
        let stored = encode(&result);
        assert_eq!(
            decode(result.id.clone(), &stored).expect("readable"),
            result
        );
    }

    #[test]
    fn op26_a_result_says_what_became_of_its_operation() {
        let text = result(&merged());
        let expected = r#"{"opId":"1","status":"merged","recordId":"r \"1\"","version":7,"#
            .to_owned()
            + r#""conflicts":[{"field":"a","mine":null,"theirsVersion":5}]}"#;
        assert_eq!(text.get(), expected);
        let rejected = OpResult {
            status: Status::Rejected,
            version: Version::ZERO,
            clashes: Vec::new(),
            objection: Some(Objection::NotFound),
            ..merged()
        };
        let expected = r#"{"opId":"1","status":"rejected","recordId":"r \"1\"","#.to_owned()
            + r#""error":{"code":"not_found","message":"there is no such record"}}"#;
        assert_eq!(result(&rejected).get(), expected);
    }
}
