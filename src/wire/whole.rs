//! Owns how whole numbers are read from JSON: 4 and 4.0 are the same, up to what every reader of
//! JSON keeps exactly.

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
}
