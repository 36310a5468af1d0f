//! Owns how a claim's patterns (`{"project:42": "write", "table:*": "read"}`) are read and matched.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Denied;
use crate::limits;
use crate::room::Access;

/// Names and prefixes with what they grant. Empty grants nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    exact: HashMap<Box<str>, Access>,
    /// The longest first, so that the first match is the longest.
    prefixes: Vec<(Box<str>, Access)>,
}

impl Patterns {
    /// Reads a claim: an object from patterns to `"read"` or `"write"`.
    ///
    /// A pattern is a name, or a prefix followed by one `*` at its end; any other `*` is itself.
    ///
    /// # Errors
    ///
    /// With too many patterns, or a value that is neither of the two words.
    pub(super) fn parse(claim: &Map<String, Value>) -> Result<Self, Denied> {
        if claim.len() > limits::TOKEN_PATTERNS_MAX {
            return Err(Denied::Invalid("it has more than 1,000 patterns"));
        }
        let mut patterns = Self::default();
        for (pattern, value) in claim {
            let access = match value.as_str() {
                Some("read") => Access::Read,
                Some("write") => Access::Write,
                _ => {
                    return Err(Denied::Invalid(
                        "a pattern grants neither `read` nor `write`",
                    ));
                }
            };
            match pattern.strip_suffix('*') {
                Some(prefix) => patterns.prefixes.push((prefix.into(), access)),
                None => {
                    patterns.exact.insert(pattern.as_str().into(), access);
                }
            }
        }
        patterns
            .prefixes
            .sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(patterns)
    }

    /// What `name` is granted: by its exact name, else by the longest prefix that fits.
    #[must_use]
    pub fn access(&self, name: &str) -> Option<Access> {
        if let Some(access) = self.exact.get(name) {
            return Some(*access);
        }
        let fits = |(prefix, _): &&(Box<str>, Access)| name.starts_with(&**prefix);
        self.prefixes.iter().find(fits).map(|(_, access)| *access)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patterns(claim: Value) -> Result<Patterns, Denied> {
        Patterns::parse(claim.as_object().unwrap())
    }

    #[test]
    fn ac10_the_longest_match_wins_and_an_exact_name_beats_a_prefix() {
        let granted = patterns(json!({
            "*": "read",
            "table:*": "write",
            "table:secret:*": "read",
            "table:secret:7": "write",
            "project:42": "write",
        }))
        .unwrap();
        assert_eq!(granted.access("anything"), Some(Access::Read));
        assert_eq!(granted.access("table:1"), Some(Access::Write));
        assert_eq!(granted.access("table:"), Some(Access::Write));
        assert_eq!(granted.access("table:secret:1"), Some(Access::Read));
        assert_eq!(granted.access("table:secret:7"), Some(Access::Write));
        assert_eq!(granted.access("project:42"), Some(Access::Write));
        assert_eq!(granted.access("project:421"), Some(Access::Read));
    }

    #[test]
    fn ac10_an_exact_name_beats_an_equally_long_prefix() {
        let granted = patterns(json!({ "room": "read", "room*": "write" })).unwrap();
        assert_eq!(granted.access("room"), Some(Access::Read));
        assert_eq!(granted.access("rooms"), Some(Access::Write));
    }

    #[test]
    fn ac10_a_star_is_a_wildcard_only_at_the_end() {
        let granted = patterns(json!({ "team:*:docs": "write" })).unwrap();
        assert_eq!(granted.access("team:1:docs"), None);
        assert_eq!(granted.access("team:*:docs"), Some(Access::Write));
    }

    #[test]
    fn ac11_other_words_than_read_and_write_refuse_the_token() {
        for word in [
            json!("admin"),
            json!("Read"),
            json!(""),
            json!(true),
            json!(null),
            json!({}),
        ] {
            let refused = patterns(json!({ "a": "read", "b": word }));
            assert!(matches!(refused, Err(Denied::Invalid(_))), "{refused:?}");
        }
    }

    #[test]
    fn ac12_more_than_1000_patterns_refuse_the_token() {
        let many = |n: usize| {
            (0..n)
                .map(|i| (format!("room:{i}"), json!("read")))
                .collect()
        };
        assert!(Patterns::parse(&many(1000)).is_ok());
        assert!(matches!(
            Patterns::parse(&many(1001)),
            Err(Denied::Invalid(_))
        ));
    }
}
