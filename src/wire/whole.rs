//! Owns how whole numbers are read from JSON: 4 and 4.0 are the same, up to what every reader of
//! JSON keeps exactly; and which of the larger ones stay what they are.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// The largest whole number that JavaScript keeps exactly.
pub const WHOLE_MAX: u64 = (1 << 53) - 1;

/// The whole number that a value is, if it is one.
#[must_use]
pub fn whole(value: &Value) -> Option<u64> {
    let exact = value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let is_whole = number >= 0.0 && number.fract() == 0.0 && number <= WHOLE_MAX as f64;
        is_whole.then_some(number as u64)
    });
    exact.filter(|number| *number <= WHOLE_MAX)
}

/// For `#[serde(deserialize_with)]`.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    whole(&value).ok_or_else(|| D::Error::custom("no whole number"))
}

/// For members that may be `null`.
pub fn read_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => match whole(&value) {
            Some(number) => Ok(Some(number)),
            None => Err(D::Error::custom("no whole number")),
        },
    }
}

/// Digits that any float has room for.
const DIGITS_EXACT: usize = 15;

/// Whether each integer in a JSON text is still itself as a float, or is how JavaScript writes one.
/// It has to be asked of the text: a parsed value does not tell an integer from a float any more.
#[must_use]
pub fn are_exact(json: &str) -> bool {
    let mut rest = json;
    while let Some(start) = rest.find(|c: char| c == '"' || c.is_ascii_digit()) {
        rest = &rest[start..];
        let end;
        if rest.starts_with('"') {
            end = string_end(rest);
        } else {
            let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
            end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            if !is_exact(&rest[..end]) {
                return false;
            }
        }
        rest = &rest[end..];
    }
    true
}

/// Where what follows a string begins.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    let quote = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    quote.map_or(text.len(), |at| at + 2)
}

fn is_exact(number: &str) -> bool {
    let is_integer = number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_integer || number.len() <= DIGITS_EXACT {
        return true;
    }
    let float: f64 = number.parse().unwrap_or(f64::INFINITY);
    // All its digits, or the fewest that tell it from its neighbours, as JavaScript has them.
    format!("{float:.0}") == number || float.to_string() == number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ht4_a_whole_number_is_one_however_it_is_written() {
        let read = |text: &str| whole(&serde_json::from_str(text).expect("JSON"));
        for (text, number) in [("4", 4), ("4.0", 4), ("4e1", 40), ("0", 0), ("-0.0", 0)] {
            assert_eq!(read(text), Some(number), "{text}");
        }
        assert_eq!(read("9007199254740991"), Some(WHOLE_MAX));
        for text in [
            "-1",
            "4.5",
            "9007199254740992",
            "1e300",
            "\"4\"",
            "null",
            "[]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn op17_an_integer_is_itself_as_a_float_or_as_javascript_writes_one() {
        let exact = [
            "0",
            "-9007199254740992",
            "9007199254740994",
            "1152921504606846976",
            "1152921504606847000",
            "100000000000000000000",
            "-18446744073709552000",
            "18446744073709551616",
            "123456789012345680000",
            "1.2345678901234567890",
            "123456789012345678e3",
            r#"{"12345678901234567890":"12345678901234567890"}"#,
            r#"["\\\"",12345678,"\"12345678901234567890",[]]"#,
            "\"not closed 12345678901234567890",
        ];
        for text in exact {
            assert!(are_exact(text), "{text}");
        }
        let others = [
            "9007199254740993",
            "-9007199254740993",
            "18446744073709551615",
            "18446744073709551617",
            "-18446744073709551617",
            "123456789012345678901234567890",
            r#"{"a":["\\",{"b":18446744073709551617}]}"#,
        ];
        for text in others {
            assert!(!are_exact(text), "{text}");
        }
        assert!(!are_exact(&"9".repeat(400)));
    }
}
