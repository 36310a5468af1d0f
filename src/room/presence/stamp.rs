//! Owns how identity gets into presence states, and how a repeated state is recognised.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value as JsonValue};

use super::Unfit;
use crate::room::Identity;

pub(super) fn fingerprint(state: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// The state with its `user` set from the token, so that nobody can appear as somebody else.
pub(super) fn stamp(state: &[u8], identity: &Identity) -> Result<Arc<str>, Unfit> {
    let mut state: Map<String, JsonValue> = serde_json::from_slice(state)
        .map_err(|_| Unfit::Malformed("presence state is not a JSON object"))?;
    let mut user = match state.remove("user") {
        Some(JsonValue::Object(user)) => user,
        _ => Map::new(),
    };
    user.insert("id".into(), JsonValue::from(&*identity.user));
    let mut set = |key: &str, value: Option<&str>| match value {
        Some(value) => drop(user.insert(key.into(), JsonValue::from(value))),
        None if identity.is_guest => {}
        None => drop(user.remove(key)),
    };
    set("name", identity.name.as_deref());
    set("avatar", identity.avatar.as_deref());
    if !(identity.is_guest && user.contains_key("color")) {
        user.insert("color".into(), JsonValue::from(identity.color.as_deref()));
    }
    state.insert("user".into(), JsonValue::Object(user));
    Ok(JsonValue::Object(state).to_string().into())
}
