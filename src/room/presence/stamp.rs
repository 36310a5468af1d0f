//! Owns how identity gets into presence states, and how a repeated state is recognised.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value as JsonValue};

use super::Unfit;
use crate::limits::{USER_AVATAR_BYTES_MAX, USER_COLOR_BYTES_MAX, USER_NAME_BYTES_MAX};
use crate::room::Identity;

pub(super) fn fingerprint(state: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// The state with its `user` set from the token, so that nobody can appear as somebody else. What a
/// guest says of itself is held to what a token may say.
pub(super) fn stamp(state: &[u8], identity: &Identity) -> Result<Arc<str>, Unfit> {
    let mut state: Map<String, JsonValue> = serde_json::from_slice(state)
        .map_err(|_| Unfit::Malformed("presence state is not a JSON object"))?;
    let mut user = match state.remove("user") {
        Some(JsonValue::Object(user)) => user,
        _ => Map::new(),
    };
    user.insert("id".into(), JsonValue::from(&*identity.user));
    let mut set = |key: &str, told: Option<&Arc<str>>, bytes_max| {
        let own = user.remove(key);
        let own = own.filter(|own| identity.is_guest && is_short(own, bytes_max));
        let told = told.map(|told| JsonValue::from(&**told));
        if let Some(value) = own.or(told) {
            user.insert(key.into(), value);
        }
    };
    set("name", identity.name.as_ref(), USER_NAME_BYTES_MAX);
    set("color", identity.color.as_ref(), USER_COLOR_BYTES_MAX);
    set("avatar", identity.avatar.as_ref(), USER_AVATAR_BYTES_MAX);
    state.insert("user".into(), JsonValue::Object(user));
    Ok(JsonValue::Object(state).to_string().into())
}

fn is_short(value: &JsonValue, bytes_max: usize) -> bool {
    let text = value.as_str().unwrap_or_default();
    !text.is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}
