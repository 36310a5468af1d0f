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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc6_what_an_operation_may_set_is_read_back_from_every_store() {
        // As it is sent, and as Postgres writes it.
        let numbers = [
            ("2.4e16", "24000000000000000"),
            ("9223372036854775808", "9223372036854775808"),
            ("18446744073709552000", "18446744073709551616"),
            ("-1e25", "-10000000000000000000000000"),
            ("0.1e-6", "0.0000001"),
            ("[{\"a\":1e21}]", "[{\"a\":1000000000000000000000}]"),
        ];
        for (sent, stored) in numbers {
            let value = canonical(&serde_json::from_str(sent).expect("JSON")).expect(sent);
            let fields = BTreeMap::from([("f".into(), value)]);
            let text = encode_fields(&fields);
            assert_eq!(decode_fields(&text).expect("readable"), fields, "{sent}");
            let text = format!("{{\"f\":{stored}}}");
            assert_eq!(decode_fields(&text).expect("readable"), fields, "{stored}");
        }
    }
}
