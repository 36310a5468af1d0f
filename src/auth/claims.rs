//! Owns what a token's claims say: who, which rooms, until when. Does not check signatures.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{Bearer, Denied, Patterns};
use crate::ids::UnixMillis;
use crate::limits;
use crate::room::Identity;

/// The claims as they stand. Members that are not listed are ignored.
#[derive(Deserialize)]
struct Claims {
    sub: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    name: Option<Value>,
    color: Option<Value>,
    avatar: Option<Value>,
    rooms: Option<Value>,
    topics: Option<Value>,
    admin: Option<Value>,
}

/// Reads the payload of a token whose signature is right, and judges its times.
pub(super) fn read(payload: &str, now: UnixMillis) -> Result<Bearer, Denied> {
    let claims: Claims =
        serde_json::from_str(payload).map_err(|_| Denied::Invalid("its claims are no object"))?;
    let expires_at = expiry(claims.exp, now)?;
    not_before(claims.nbf, now)?;
    let user = subject(claims.sub)?;
    let color = text(
        claims.color,
        limits::USER_COLOR_BYTES_MAX,
        "its `color` is no short text",
    )?;
    let identity = Identity {
        name: text(
            claims.name,
            limits::USER_NAME_BYTES_MAX,
            "its `name` is no short text",
        )?,
        color: Some(color.unwrap_or_else(|| color_of(&user))),
        avatar: text(
            claims.avatar,
            limits::USER_AVATAR_BYTES_MAX,
            "its `avatar` is no short text",
        )?,
        user,
        is_guest: false,
    };
    Ok(Bearer {
        identity: Arc::new(identity),
        rooms: patterns(claims.rooms, "its `rooms` is no object")?,
        topics: patterns(claims.topics, "its `topics` is no object")?,
        admin: flag(claims.admin)?,
        expires_at: Some(expires_at),
    })
}

/// A colour for a user who has none: the same for the same id, on every node, readable on white.
#[must_use]
pub(super) fn color_of(user: &str) -> Arc<str> {
    // FNV-1a: stable over releases and machines, which the standard hasher does not promise.
    let hash = user.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let hue = hash % 360;
    let (low, high) = (COLOR_LOW, COLOR_HIGH);
    let rising = low + (high - low) * (hue % 60) / 60;
    let falling = high - (high - low) * (hue % 60) / 60;
    let (red, green, blue) = match hue / 60 {
        0 => (high, rising, low),
        1 => (falling, high, low),
        2 => (low, high, rising),
        3 => (low, falling, high),
        4 => (rising, low, high),
        _ => (high, low, falling),
    };
    format!("#{red:02x}{green:02x}{blue:02x}").into()
}

/// The channels between which the hue moves: about 60 % saturation at 45 % lightness.
const COLOR_LOW: u32 = 0x2e;
const COLOR_HIGH: u32 = 0xb8;

fn subject(claim: Option<Value>) -> Result<Arc<str>, Denied> {
    let Some(Value::String(user)) = claim else {
        return Err(Denied::Invalid("it has no `sub`"));
    };
    if user.trim().is_empty() {
        return Err(Denied::Invalid("its `sub` is empty"));
    }
    if user.len() > limits::USER_ID_BYTES_MAX {
        return Err(Denied::Invalid("its `sub` is longer than 255 bytes"));
    }
    // Postgres cannot store NUL, and other control characters only disguise one user as another.
    if user.chars().any(char::is_control) {
        return Err(Denied::Invalid("its `sub` has a control character"));
    }
    Ok(user.into())
}

fn expiry(claim: Option<Value>, now: UnixMillis) -> Result<UnixMillis, Denied> {
    let exp = claim.ok_or(Denied::Invalid("it has no `exp`"))?;
    let exp = numeric_date(&exp).ok_or(Denied::Invalid("its `exp` is no number"))?;
    if now >= exp {
        return Err(Denied::Expired);
    }
    Ok(exp)
}

fn not_before(claim: Option<Value>, now: UnixMillis) -> Result<(), Denied> {
    let Some(nbf) = claim else {
        return Ok(());
    };
    let nbf = numeric_date(&nbf).ok_or(Denied::Invalid("its `nbf` is no number"))?;
    if now < nbf {
        return Err(Denied::Invalid("it is not valid yet"));
    }
    Ok(())
}

/// Seconds since 1970, whole or not (RFC 7519, section 2), as milliseconds. Ends saturate.
fn numeric_date(claim: &Value) -> Option<UnixMillis> {
    if let Some(seconds) = claim.as_i64() {
        return Some(UnixMillis(seconds.saturating_mul(1000)));
    }
    // A float cast saturates, and JSON has neither NaN nor infinity.
    claim
        .as_f64()
        .map(|seconds| UnixMillis((seconds * 1000.0) as i64))
}

fn text(
    claim: Option<Value>,
    bytes_max: usize,
    reason: &'static str,
) -> Result<Option<Arc<str>>, Denied> {
    let text = match claim {
        None => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(Denied::Invalid(reason)),
    };
    if text.len() > bytes_max || text.chars().any(char::is_control) {
        return Err(Denied::Invalid(reason));
    }
    Ok(Some(text.into()).filter(|text: &Arc<str>| !text.is_empty()))
}

fn patterns(claim: Option<Value>, reason: &'static str) -> Result<Patterns, Denied> {
    match claim {
        None => Ok(Patterns::default()),
        Some(Value::Object(claim)) => Patterns::parse(&claim),
        Some(_) => Err(Denied::Invalid(reason)),
    }
}

fn flag(claim: Option<Value>) -> Result<bool, Denied> {
    match claim {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(Denied::Invalid("its `admin` is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000_000);

    fn read_json(claims: Value) -> Result<Bearer, Denied> {
        read(&claims.to_string(), NOW)
    }

    #[test]
    fn ac5_a_token_ends_at_the_millisecond_of_its_exp() {
        let until = |exp: Value| {
            read_json(json!({ "sub": "ada", "exp": exp })).map(|bearer| bearer.expires_at)
        };
        assert_eq!(until(json!(1_000_001)), Ok(Some(UnixMillis(1_000_001_000))));
        assert_eq!(
            until(json!(1_000_000.25)),
            Ok(Some(UnixMillis(1_000_000_250)))
        );
        assert_eq!(until(json!(u64::MAX)), Ok(Some(UnixMillis(i64::MAX))));
        assert_eq!(until(json!(1_000_000)), Err(Denied::Expired));
        assert_eq!(until(json!(-1)), Err(Denied::Expired));
        assert!(matches!(until(json!("1000001")), Err(Denied::Invalid(_))));
        assert!(matches!(until(json!(null)), Err(Denied::Invalid(_))));
        assert!(matches!(
            read_json(json!({ "sub": "ada" })),
            Err(Denied::Invalid(_))
        ));
    }

    #[test]
    fn ac6_a_token_does_not_hold_before_its_nbf() {
        let from = |nbf: Value| read_json(json!({ "sub": "ada", "exp": 2_000_000, "nbf": nbf }));
        assert!(from(json!(1_000_000)).is_ok());
        assert_eq!(
            from(json!(1_000_001)),
            Err(Denied::Invalid("it is not valid yet"))
        );
        assert_eq!(
            from(json!("soon")),
            Err(Denied::Invalid("its `nbf` is no number"))
        );
    }

    #[test]
    fn ac7_a_token_without_a_usable_sub_is_refused() {
        let long = "x".repeat(256);
        for sub in [
            json!(null),
            json!(""),
            json!("  "),
            json!(7),
            json!("a\u{0}b"),
            json!(long),
        ] {
            let refused = read_json(json!({ "sub": sub, "exp": 2_000_000 }));
            assert!(matches!(refused, Err(Denied::Invalid(_))), "{sub}");
        }
        assert!(matches!(
            read_json(json!({ "exp": 2_000_000 })),
            Err(Denied::Invalid(_))
        ));
    }

    #[test]
    fn ac8_identity_is_what_the_token_says_and_nothing_else() {
        let bearer = read_json(json!({
            "sub": "ada", "exp": 2_000_000, "name": "Ada", "color": "#ff0000",
            "avatar": "https://a.example/ada.png", "iss": "someone", "aud": ["any"],
        }))
        .unwrap();
        assert_eq!(
            *bearer.identity,
            Identity {
                user: "ada".into(),
                name: Some("Ada".into()),
                color: Some("#ff0000".into()),
                avatar: Some("https://a.example/ada.png".into()),
                is_guest: false,
            }
        );
    }

    #[test]
    fn ac8_members_of_the_wrong_kind_refuse_the_token() {
        for (member, value) in [
            ("name", json!(1)),
            ("name", json!("x".repeat(257))),
            ("color", json!(["red"])),
            ("avatar", json!("x".repeat(2_049))),
            ("rooms", json!(["project:42"])),
            ("topics", json!("all")),
            ("admin", json!("true")),
            ("admin", json!(1)),
        ] {
            let mut claims = json!({ "sub": "ada", "exp": 2_000_000 });
            claims[member] = value;
            assert!(
                matches!(read_json(claims), Err(Denied::Invalid(_))),
                "{member}"
            );
        }
    }

    #[test]
    fn ac9_a_user_without_a_color_is_given_the_same_one_everywhere() {
        assert_eq!(&*color_of("ada"), &*color_of("ada"));
        assert_ne!(&*color_of("ada"), &*color_of("bob"));
        for user in ["ada", "bob", "", "日本", "guest-00000000"] {
            let color = color_of(user);
            assert_eq!(color.len(), 7);
            assert!(u32::from_str_radix(&color[1..], 16).is_ok(), "{color}");
        }
        let bearer = read_json(json!({ "sub": "ada", "exp": 2_000_000, "color": "" })).unwrap();
        assert_eq!(bearer.identity.color, Some(color_of("ada")));
    }
}
