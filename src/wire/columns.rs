//! Owns the JSON columns of a stored record: values, names, versions by field.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::ids::Version;
use crate::room::entry::Json;
use crate::room::record::canonical;

/// Values by field, as one object.
#[must_use]
pub fn encode_fields(fields: &BTreeMap<Arc<str>, Json>) -> String {
    let fields: BTreeMap<&str, &RawValue> = fields
        .iter()
        .map(|(name, Json(text))| {
            let value = serde_json::from_str(text).expect("a canonical value is JSON");
            (&**name, value)
        })
        .collect();
    serde_json::to_string(&fields).expect("strings are JSON")
}

/// Reads what [`encode_fields`] wrote, also as a database writes it.
pub fn decode_fields(text: &str) -> Result<BTreeMap<Arc<str>, Json>, serde_json::Error> {
    let fields: BTreeMap<Arc<str>, serde_json::Value> = serde_json::from_str(text)?;
    let fields = fields.into_iter().map(|(name, value)| {
        let value = canonical(&value).map_err(serde::de::Error::custom)?;
        Ok((name, value))
    });
    fields.collect()
}

/// Names, as a list.
#[must_use]
pub fn encode_names(names: &BTreeSet<Arc<str>>) -> String {
    serde_json::to_string(names).expect("strings are JSON")
}

/// Reads what [`encode_names`] wrote.
pub fn decode_names(text: &str) -> Result<BTreeSet<Arc<str>>, serde_json::Error> {
    serde_json::from_str(text)
}

/// Versions by field, as one object.
#[must_use]
pub fn encode_versions(versions: &BTreeMap<Arc<str>, Version>) -> String {
    let versions: BTreeMap<&str, u64> = versions.iter().map(|(name, it)| (&**name, it.0)).collect();
    serde_json::to_string(&versions).expect("strings are JSON")
}

/// Reads what [`encode_versions`] wrote.
pub fn decode_versions(text: &str) -> Result<BTreeMap<Arc<str>, Version>, serde_json::Error> {
    let versions: BTreeMap<Arc<str>, u64> = serde_json::from_str(text)?;
    Ok(versions
        .into_iter()
        .map(|(name, it)| (name, Version(it)))
        .collect())
}
