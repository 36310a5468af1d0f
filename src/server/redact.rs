//! Owns the last look at a message before a person reads it: no passwords in addresses, no tokens.

use std::fmt::Write;

/// An error with its causes on one line, redacted.
#[must_use]
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Some libraries repeat their cause in their own words.
        if last.ends_with(&text) {
            continue;
        }
        let separator = if line.is_empty() { "" } else { ": " };
        let _ = write!(line, "{separator}{}", text.trim().replace('\n', " "));
        last = text;
    }
    redact(&line)
}

/// Hides what stands between `://` and `@`, and everything that looks like a token.
#[must_use]
pub fn redact(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace() || "\"'`<>()".contains(c));
    words.map(redact_word).collect()
}

fn redact_word(word: &str) -> String {
    let word = match word.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://***@{host}"),
            None => word.to_owned(),
        },
        None => word.to_owned(),
    };
    // Every JSON Web Token begins with `{"` in base64.
    match word.find("eyJ") {
        Some(at) => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let end = word[at..]
                .find(|c| !is_part(c))
                .map_or(word.len(), |length| at + length);
            format!("{}***{}", &word[..at], &word[end..])
        }
        None => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cf9_passwords_of_addresses_and_tokens_are_hidden() {
        for (text, shown) in [
            (
                "open postgres://u:p@ss@h:5432/db: no",
                "open postgres://***@h:5432/db: no",
            ),
            ("url 'redis://:pw@h' is bad", "url 'redis://***@h' is bad"),
            ("open sqlite://a.db", "open sqlite://a.db"),
            ("token=eyJhbGciOi.eyJzdWIi.sig_-x&a=1 x", "token=***&a=1 x"),
            ("write to a@b.example", "write to a@b.example"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn cf9_an_error_is_one_line_with_its_causes() {
        let cause = anyhow::anyhow!("no route to\n postgres://u:p@h/db");
        let error = cause.context("open the database").context("start");
        assert_eq!(
            one_line(&error),
            "start: open the database: no route to  postgres://***@h/db"
        );
    }
}
