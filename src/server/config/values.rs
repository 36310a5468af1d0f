//! Owns how the values of settings are written: spans of time, numbers of bytes, grants. Pure.

use crate::ids::RoomId;
use crate::limits::USER_ID_BYTES_MAX;
use crate::room::Access;

/// A span of time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) u64);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) usize);

/// A hundred years: everything longer is a slip, and would overflow a date.
const SPAN_SECONDS_MAX: u64 = 100 * 365 * 24 * 60 * 60;

/// Below this no protocol works; above it one message could fill the machine.
const BYTES_MIN: usize = 64 * 1024;
const BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Reads `30d`, `12h`, `15m`, `90s`, or plain seconds.
pub(super) fn span(text: &str) -> Result<Span, String> {
    let (digits, unit) = split(text);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("write it as 30d, 12h, 15m, 90s, or plain seconds".into()),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| "it does not begin with a number".to_owned())?;
    match count.checked_mul(seconds) {
        Some(total) if total <= SPAN_SECONDS_MAX => Ok(Span(total * 1_000)),
        _ => Err("it is longer than a hundred years".into()),
    }
}

/// Reads `16MiB`, `512KiB`, `1GiB`, or plain bytes; between 64 KiB and 1 GiB.
pub(super) fn bytes(text: &str) -> Result<Bytes, String> {
    let (digits, unit) = split(text);
    let factor = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "GiB" => 1024 * 1024 * 1024,
        _ => return Err("write it as 16MiB, 512KiB, 1GiB, or plain bytes".into()),
    };
    let count: usize = digits
        .parse()
        .map_err(|_| "it does not begin with a number".to_owned())?;
    match count.checked_mul(factor) {
        Some(total) if (BYTES_MIN..=BYTES_MAX).contains(&total) => Ok(Bytes(total)),
        _ => Err("it must be between 64KiB and 1GiB".into()),
    }
}

/// Reads `PATTERN=read` or `PATTERN=write`. The last `=` counts, for names may have some.
pub(super) fn pattern(text: &str) -> Result<(String, Access), String> {
    let access = |word| match word {
        "read" => Some(Access::Read),
        "write" => Some(Access::Write),
        _ => None,
    };
    text.rsplit_once('=')
        .filter(|(pattern, _)| !pattern.is_empty())
        .and_then(|(pattern, word)| Some((pattern.to_owned(), access(word)?)))
        .ok_or_else(|| "write it as PATTERN=read or PATTERN=write".into())
}

/// Reads a user's id, as a token may have it.
pub(super) fn user(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > USER_ID_BYTES_MAX || text.contains(char::is_control) {
        return Err("it must have 1 to 255 bytes and no control characters".into());
    }
    Ok(text.to_owned())
}

/// Reads the name of a room.
pub(super) fn room(text: &str) -> Result<RoomId, String> {
    RoomId::parse(text).map_err(|error| error.to_string())
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cf4_a_span_is_a_number_with_a_unit_or_plain_seconds() {
        let minute = 60 * 1_000;
        assert_eq!(span("90"), Ok(Span(90_000)));
        assert_eq!(span("0s"), Ok(Span(0)));
        assert_eq!(span("90s"), Ok(Span(90_000)));
        assert_eq!(span("15m"), Ok(Span(15 * minute)));
        assert_eq!(span("12h"), Ok(Span(12 * 60 * minute)));
        assert_eq!(span("30d"), Ok(Span(30 * 24 * 60 * minute)));
        for bad in [
            "",
            "h",
            "1w",
            "1.5h",
            "-1",
            "1 h",
            "99999999999999999999",
            "999999d",
        ] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cf4_a_size_is_a_number_with_a_unit_or_plain_bytes() {
        assert_eq!(bytes("65536"), Ok(Bytes(65_536)));
        assert_eq!(bytes("64KiB"), Ok(Bytes(65_536)));
        assert_eq!(bytes("16 MiB"), Ok(Bytes(16 << 20)));
        assert_eq!(bytes("1GiB"), Ok(Bytes(1 << 30)));
        for bad in [
            "",
            "MiB",
            "16MB",
            "63KiB",
            "2GiB",
            "18446744073709551615GiB",
        ] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cf4_a_user_is_one_that_a_token_may_name() {
        assert_eq!(user("ada"), Ok("ada".to_owned()));
        for bad in ["", " ", "a\nb", &"x".repeat(256)] {
            assert!(user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cf4_a_grant_is_a_pattern_and_one_of_two_words() {
        assert_eq!(
            pattern("table:*=read"),
            Ok(("table:*".into(), Access::Read))
        );
        assert_eq!(pattern("a=b=write"), Ok(("a=b".into(), Access::Write)));
        for bad in ["table:*", "=read", "a=admin", "a=", ""] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }
}
