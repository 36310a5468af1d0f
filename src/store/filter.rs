//! Owns what a filter on records means, so that every store means the same.

use serde_json::{Number, Value};

use super::records::RecordQuery;

/// What a field has to be.
pub(super) struct Filter<'a> {
    pub(super) field: &'a str,
    /// The string that is asked for.
    pub(super) text: &'a str,
    /// The number or the boolean that the text reads as, too.
    pub(super) other: Option<Value>,
}

/// The filters of a query; nothing when no record can pass: no name and no value has U+0000, and
/// not every database takes a text with one.
pub(super) fn filters(query: &RecordQuery) -> Option<Vec<Filter<'_>>> {
    let has_nul = |text: &str| text.contains('\0');
    if has_nul(&query.collection) {
        return None;
    }
    let filters = query.filters.iter().map(|(field, text)| {
        let passes = !has_nul(field) && !has_nul(text);
        passes.then(|| Filter {
            field,
            text,
            other: other(text),
        })
    });
    filters.collect()
}

impl Filter<'_> {
    /// Whether a record with these fields passes.
    pub(super) fn passes(&self, fields: &Value) -> bool {
        match (fields.get(self.field), &self.other) {
            (Some(Value::String(text)), _) => text == self.text,
            (Some(Value::Number(number)), Some(Value::Number(other))) => is_same(number, other),
            (Some(Value::Bool(is)), Some(Value::Bool(other))) => is == other,
            _ => false,
        }
    }
}

/// The text as a number or a boolean, if it reads so.
fn other(text: &str) -> Option<Value> {
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        // JSON allows white space around a number.
        _ if text.contains(char::is_whitespace) => None,
        _ => number(text).map(Value::Number),
    }
}

/// A number as a document has it: an integer of 64 bits with a sign, or a float.
fn number(text: &str) -> Option<Number> {
    let number: Number = serde_json::from_str(text).ok()?;
    match number.as_i64() {
        Some(integer) => Some(integer.into()),
        None => Number::from_f64(number.as_f64()?),
    }
}

fn is_same(one: &Number, other: &Number) -> bool {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one == other,
        (Some(integer), None) => is_integer(other, integer),
        (None, Some(integer)) => is_integer(one, integer),
        (None, None) => one.as_f64() == other.as_f64(),
    }
}

/// Exact: not every integer is a float.
fn is_integer(float: &Number, integer: i64) -> bool {
    let float = float.as_f64();
    float.is_some_and(|float| float.fract() == 0.0 && float as i128 == i128::from(integer))
}
