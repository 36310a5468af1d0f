//! Owns how operations on records are read from JSON: a push, a record's body, each operation for
//! itself.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Violation;
use super::whole::{are_exact, whole};
use crate::ids::{NAME_BYTES_MAX, OpId, Version, is_name};
use crate::room::entry::Json;
use crate::room::operation::{Action, Condition, OnConflict, Operation, Place};
use crate::room::record::canonical;

/// Operations in one push: some rooms' worth of a morning offline, and one read of the store.
pub const PUSH_OPERATIONS_MAX: usize = 1_000;

/// How deep a value may be nested: deeper than people do, and no deeper than JSON readers go.
pub const VALUE_DEPTH_MAX: usize = 64;

/// A push: `{clientId, ops: [...]}`.
#[derive(Debug)]
pub struct Push<'a> {
    /// The device that sends it.
    pub client: Option<String>,
    /// Operations, unread: one that is malformed is rejected alone.
    pub ops: Vec<&'a RawValue>,
}

/// An operation that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Its name, if that could be read.
    pub id: Option<String>,
    /// Its record, if that could be read.
    pub record: Option<String>,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// An operation, or why it is none, and the room that it names.
pub type Read = Result<Operation, Unfit>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PushBody<'a> {
    #[serde(default)]
    client_id: Option<String>,
    #[serde(borrow)]
    ops: Vec<&'a RawValue>,
}

/// Reads a push.
pub fn read_push(body: &[u8]) -> Result<Push<'_>, Violation> {
    let body: PushBody<'_> = serde_json::from_slice(body)
        .map_err(|_| Violation::Malformed("a push is {clientId, ops: [...]}"))?;
    if body.ops.len() > PUSH_OPERATIONS_MAX {
        return Err(Violation::TooLarge);
    }
    if body.client_id.as_deref().is_some_and(|id| !is_name(id)) {
        return Err(Violation::Malformed("clientId is no name"));
    }
    Ok(Push {
        client: body.client_id,
        ops: body.ops,
    })
}

/// Reads one operation; `fresh` makes a record's id when a `create` has none.
pub fn read_operation(raw: &RawValue, fresh: impl FnOnce() -> String) -> Read {
    let Ok(members) = serde_json::from_str::<Map<String, Value>>(raw.get()) else {
        return Err(Unfit {
            id: None,
            record: None,
            reason: "an operation is an object",
        });
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let (id, record) = (text("opId"), text("recordId"));
    read_members(&members, raw.get(), fresh).map_err(|reason| Unfit {
        id: id.map(str::to_owned),
        record: record.map(str::to_owned),
        reason,
    })
}

fn read_members(
    members: &Map<String, Value>,
    text: &str,
    fresh: impl FnOnce() -> String,
) -> Result<Operation, &'static str> {
    let id = name_in(members, "opId", "opId is no name")?.ok_or("opId is missing")?;
    let action = match members.get("type").and_then(Value::as_str) {
        Some("create") => Action::Create,
        Some("update") => Action::Update,
        Some("upsert") => Action::Upsert,
        Some("save") => Action::Save,
        Some("delete") => Action::Delete,
        Some("increment") => Action::Increment,
        _ => return Err("type is none of create, update, upsert, save, delete, increment"),
    };
    let collection = name_in(members, "collection", "collection is no name")?;
    let record = match (name_in(members, "recordId", "recordId is no name")?, action) {
        (Some(record), _) => record.to_owned(),
        (None, Action::Create) => fresh(),
        (None, _) => return Err("recordId is missing"),
    };
    let changes = Changes::of(members, text)?;
    if action == Action::Increment {
        let are_numbers = changes.fields.values().all(is_number);
        if !are_numbers {
            return Err("a delta is no number");
        }
        if !changes.unset.is_empty() {
            return Err("an increment unsets nothing");
        }
    }
    Ok(Operation {
        id: OpId::parse(id).ok_or("opId is no name")?,
        action,
        place: Place {
            collection: collection.ok_or("collection is missing")?.into(),
            record: record.into(),
        },
        condition: changes.condition(OnConflict::Merge),
        fields: changes.fields,
        unset: changes.unset,
        wants_record: false,
    })
}

fn is_number(value: &Json) -> bool {
    serde_json::from_str::<serde_json::Number>(&value.0).is_ok()
}

fn name_in<'a>(
    members: &'a Map<String, Value>,
    name: &str,
    wrong: &'static str,
) -> Result<Option<&'a str>, &'static str> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if is_name(text) => Ok(Some(text)),
        Some(_) => Err(wrong),
    }
}

/// What a record's body and an operation have in common.
#[derive(Debug)]
pub struct Changes {
    /// Values, by field.
    pub fields: BTreeMap<Arc<str>, Json>,
    /// Fields to remove.
    pub unset: BTreeSet<Arc<str>>,
    /// What the client has seen.
    pub base: Option<Version>,
    /// What to do about more.
    pub on_conflict: Option<OnConflict>,
}

/// Reads the value of a member of an object, if that is there.
pub fn read_value(object: &str, member: &str) -> Result<Option<Json>, &'static str> {
    let members: Map<String, Value> =
        serde_json::from_str(object).map_err(|_| "it is no object")?;
    stays(object, member)?;
    members.get(member).map(keep).transpose()
}

impl Changes {
    /// Reads `fields`, `unset`, `baseVersion` and `onConflict`; other members are ignored. The text
    /// is what the members were read from.
    pub fn of(members: &Map<String, Value>, text: &str) -> Result<Self, &'static str> {
        let mut fields = BTreeMap::new();
        match members.get("fields") {
            None | Some(Value::Null) => {}
            Some(Value::Object(given)) => {
                for (name, value) in given {
                    fields.insert(field_named(name)?, keep(value)?);
                }
                stays(text, "fields")?;
            }
            Some(_) => return Err("fields is no object"),
        }
        let mut unset = BTreeSet::new();
        match members.get("unset") {
            None | Some(Value::Null) => {}
            Some(Value::Array(names)) => {
                for name in names {
                    let name = name.as_str().ok_or("unset is no list of names")?;
                    unset.insert(field_named(name)?);
                }
            }
            Some(_) => return Err("unset is no list of names"),
        }
        if unset.iter().any(|name| fields.contains_key(name)) {
            return Err("a field is set and unset");
        }
        let base = match members.get("baseVersion") {
            None | Some(Value::Null) => None,
            Some(base) => Some(Version(whole(base).ok_or("baseVersion is no version")?)),
        };
        let on_conflict = match members.get("onConflict") {
            None | Some(Value::Null) => None,
            Some(Value::String(word)) => Some(match word.as_str() {
                "merge" => OnConflict::Merge,
                "reject" => OnConflict::Reject,
                "strict" => OnConflict::Strict,
                _ => return Err("onConflict is none of merge, reject, strict"),
            }),
            Some(_) => return Err("onConflict is none of merge, reject, strict"),
        };
        Ok(Self {
            fields,
            unset,
            base,
            on_conflict,
        })
    }

    /// When they are to be applied, if nothing else is said of conflicts.
    #[must_use]
    pub fn condition(&self, otherwise: OnConflict) -> Condition {
        match self.base {
            None => Condition::Always,
            Some(base) => Condition::Since {
                base,
                on_conflict: self.on_conflict.unwrap_or(otherwise),
            },
        }
    }
}

fn field_named(name: &str) -> Result<Arc<str>, &'static str> {
    const { assert!(NAME_BYTES_MAX == 255) };
    if is_name(name) {
        Ok(name.into())
    } else {
        Err("a field's name is empty, longer than 255 bytes, or has a control character")
    }
}

fn keep(value: &Value) -> Result<Json, &'static str> {
    match depth(value) {
        0..=VALUE_DEPTH_MAX => canonical(value),
        _ => Err("a value is nested too deep"),
    }
}

/// Whether what is in a member of an object stays what it is; others may say what they like.
fn stays(object: &str, member: &str) -> Result<(), &'static str> {
    if are_exact(object) {
        return Ok(());
    }
    let members: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(object).map_err(|_| "it is no object")?;
    match members.get(member) {
        Some(raw) if !are_exact(raw.get()) => Err("an integer is beyond 2^53"),
        _ => Ok(()),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(items) => 1 + items.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Read {
        let raw: &RawValue = serde_json::from_str(text).expect("JSON");
        read_operation(raw, || "fresh".into())
    }

    #[test]
    fn op22_an_operation_is_read_with_what_it_leaves_out() {
        let made =
            read(r#"{"opId":"1","type":"create","collection":"t","fields":{"b":1.0,"a":[]}}"#);
        let made = made.expect("well formed");
        assert_eq!(
            (&*made.place.record, made.condition),
            ("fresh", Condition::Always)
        );
        let fields: Vec<_> = made.fields.iter().map(|(k, v)| (&**k, &*v.0)).collect();
        assert_eq!(fields, [("a", "[]"), ("b", "1")]);
        let set = read(
            r#"{"opId":"1","type":"update","collection":"t","recordId":"r","unset":["x"],
                "baseVersion":3,"onConflict":"strict","foo":18446744073709551617,"fields":null}"#,
        );
        let condition = Condition::Since {
            base: Version(3),
            on_conflict: OnConflict::Strict,
        };
        assert_eq!(set.expect("well formed").condition, condition);
    }

    #[test]
    fn op23_a_malformed_operation_says_which_it_is_and_what_is_wrong() {
        let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
        let wrong = [
            (r#""opId":"""#, "opId is no name"),
            (r#""opId":"a\u0000""#, "opId is no name"),
            (
                r#""type":"put""#,
                "type is none of create, update, upsert, save, delete, increment",
            ),
            (r#""collection":7"#, "collection is no name"),
            (r#""recordId":["x"]"#, "recordId is no name"),
            (r#""recordId":null"#, "recordId is missing"),
            (r#""fields":[]"#, "fields is no object"),
            (
                r#""fields":{"":1}"#,
                "a field's name is empty, longer than 255 bytes, or has a control character",
            ),
            (
                r#""fields":{"a":12345678901234567890}"#,
                "an integer is beyond 2^53",
            ),
            (
                r#""fields":{"a":[123456789012345678901234567890]}"#,
                "an integer is beyond 2^53",
            ),
            (
                &format!(r#""fields":{{"a":{deep}}}"#),
                "a value is nested too deep",
            ),
            (
                r#""fields":{"a":1},"unset":["a"]"#,
                "a field is set and unset",
            ),
            (r#""unset":"a""#, "unset is no list of names"),
            (r#""baseVersion":-1"#, "baseVersion is no version"),
            (r#""baseVersion":1.5"#, "baseVersion is no version"),
            (
                r#""onConflict":"win""#,
                "onConflict is none of merge, reject, strict",
            ),
            (
                r#""type":"increment","fields":{"a":"1"}"#,
                "a delta is no number",
            ),
            (
                r#""type":"increment","fields":{"a":1},"unset":["b"]"#,
                "an increment unsets nothing",
            ),
        ];
        for (members, reason) in wrong {
            // A later member of the same name replaces an earlier one.
            let text = format!(
                r#"{{"opId":"1","type":"update","collection":"t","recordId":"r",{members}}}"#
            );
            assert_eq!(read(&text).expect_err(members).reason, reason);
        }
        let none = read("7").expect_err("no object");
        assert_eq!((none.id, none.reason), (None, "an operation is an object"));
        let unfit = read(r#"{"opId":"x","recordId":"r","type":1}"#).expect_err("no type");
        assert_eq!(
            (unfit.id.as_deref(), unfit.record.as_deref()),
            (Some("x"), Some("r"))
        );
    }

    #[test]
    fn op24_a_push_is_bounded_and_reads_its_operations_one_by_one() {
        let ops = vec!["{}"; PUSH_OPERATIONS_MAX].join(",");
        let body = format!(r#"{{"clientId":"tab","ops":[{ops}]}}"#);
        let push = read_push(body.as_bytes()).expect("as many as may be");
        assert_eq!(
            (push.client.as_deref(), push.ops.len()),
            (Some("tab"), 1_000)
        );
        let body = format!(r#"{{"ops":[{ops},7]}}"#);
        assert_eq!(
            read_push(body.as_bytes()).expect_err("one more"),
            Violation::TooLarge
        );
        for body in [
            "",
            "[]",
            "{}",
            r#"{"ops":{}}"#,
            r#"{"ops":[],"clientId":""}"#,
        ] {
            assert!(
                matches!(read_push(body.as_bytes()), Err(Violation::Malformed(_))),
                "{body}"
            );
        }
        // A lone surrogate fails its own operation.
        let body = r#"{"ops":[{"opId":"\ud800"},{"opId":"2"}]}"#;
        let push = read_push(body.as_bytes()).expect("a list");
        assert!(read_operation(push.ops[0], String::new).is_err());
    }
}
