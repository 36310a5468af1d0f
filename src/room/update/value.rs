//! Owns the judgement of values inside items: lib0 `any` values and JSON texts.
//! Takes only what the CRDT and every client decode; keeps nothing.

use crate::lib0::Reader;
use crate::room::update::Rejected;

/// How deep arrays and objects may lie in one another: decoders recurse, and their stacks end.
pub(super) const VALUE_DEPTH_MAX: usize = 64;

/// Reads over one `any` value.
pub(super) fn skip_any(reader: &mut Reader<'_>, depth: usize) -> Result<(), Rejected> {
    match reader.byte()? {
        // Undefined, null, false, true.
        127 | 126 | 121 | 120 => {}
        125 => {
            reader.var_int()?;
        }
        124 => {
            reader.take(4)?;
        }
        123 | 122 => {
            reader.take(8)?;
        }
        119 => {
            reader.string()?;
        }
        116 => {
            reader.buffer()?;
        }
        118 => {
            let count = reader.count(2)?;
            for _ in 0..count {
                reader.string()?;
                skip_any(reader, deeper(depth)?)?;
            }
        }
        117 => {
            let count = reader.count(1)?;
            for _ in 0..count {
                skip_any(reader, deeper(depth)?)?;
            }
        }
        _ => return Err(Rejected::Malformed("unknown type of value")),
    }
    Ok(())
}

/// Checks that `text` is one JSON value that the CRDT's decoder takes too.
pub(super) fn check_json(text: &str) -> Result<(), Rejected> {
    let mut json = Json {
        bytes: text.as_bytes(),
        at: 0,
    };
    json.space();
    json.value(0)?;
    json.space();
    if json.at == json.bytes.len() {
        Ok(())
    } else {
        Err(NOT_JSON)
    }
}

const NOT_JSON: Rejected = Rejected::Malformed("format or embed is not JSON");

fn deeper(depth: usize) -> Result<usize, Rejected> {
    if depth == VALUE_DEPTH_MAX {
        Err(Rejected::TooDeep("value"))
    } else {
        Ok(depth + 1)
    }
}

/// A scanner over JSON text that is known to be UTF-8.
struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Json<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Rejected> {
        if self.peek() != Some(byte) {
            return Err(NOT_JSON);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Rejected> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(NOT_JSON);
        }
        self.at += word.len();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), Rejected> {
        match self.peek() {
            Some(b'n') => self.word(b"null"),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'"') => self.string(),
            Some(b'[') => self.entries(b']', depth, Self::value),
            Some(b'{') => self.entries(b'}', depth, Self::member),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(NOT_JSON),
        }
    }

    fn entries(
        &mut self,
        end: u8,
        depth: usize,
        entry: impl Fn(&mut Self, usize) -> Result<(), Rejected>,
    ) -> Result<(), Rejected> {
        let depth = deeper(depth)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            entry(self, depth)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => return self.expect(end),
            }
        }
    }

    fn member(&mut self, depth: usize) -> Result<(), Rejected> {
        self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        self.value(depth)
    }

    fn string(&mut self) -> Result<(), Rejected> {
        self.expect(b'"')?;
        loop {
            match self.peek().ok_or(NOT_JSON)? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                0..=0x1f => return Err(NOT_JSON),
                _ => self.at += 1,
            }
        }
    }

    /// An escape. Halves of a surrogate pair must come together: the CRDT's decoder refuses others.
    fn escape(&mut self) -> Result<(), Rejected> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let unit = self.unit()?;
                if (0xdc00..0xe000).contains(&unit) {
                    return Err(NOT_JSON);
                }
                if (0xd800..0xdc00).contains(&unit) {
                    self.expect(b'\\')?;
                    let low = self.unit()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(NOT_JSON);
                    }
                }
            }
            _ => return Err(NOT_JSON),
        }
        Ok(())
    }

    /// `u` and four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, Rejected> {
        self.expect(b'u')?;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self
                .peek()
                .and_then(|byte| char::from(byte).to_digit(16))
                .ok_or(NOT_JSON)?;
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), Rejected> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits()?;
        if self.bytes[whole] == b'0' && self.at - whole > 1 {
            return Err(NOT_JSON);
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| NOT_JSON)?;
        if !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(Rejected::Malformed("number out of range"));
        }
        // The CRDT has signed integers and refuses what only an unsigned one holds.
        if is_integer
            && text
                .parse::<u64>()
                .is_ok_and(|number| i64::try_from(number).is_err())
        {
            return Err(Rejected::Malformed("number out of range"));
        }
        Ok(())
    }

    /// At least one digit; answers where they begin.
    fn digits(&mut self) -> Result<usize, Rejected> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            Err(NOT_JSON)
        } else {
            Ok(start)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_exactly_when_the_crdt_takes_it() {
        let texts = [
            "null",
            "true",
            "\"bold\"",
            "{}",
            "[]",
            " [1, -2.5e3,\t{\"a\":[]}] ",
            "{\"a\":1,\"a\":2}",
            "\"\\u00e9\\n\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83d\\u0041\"",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e5",
            "-0",
            "1e999",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "",
            " ",
            "nul",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{a:1}",
            "\"a",
            "\"\u{1}\"",
            "undefined",
            "1 2",
            "{\"a\":1,}",
            "\"\\x\"",
            "\"\\u12\"",
        ];
        for text in texts {
            assert_eq!(
                check_json(text).is_ok(),
                yrs::Any::from_json(text).is_ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn values_nest_64_deep_and_no_deeper() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check_json(&nested(64)), Ok(()));
        assert_eq!(check_json(&nested(65)), Err(Rejected::TooDeep("value")));
        let any = |depth| [[117, 1].repeat(depth), vec![126]].concat();
        assert_eq!(skip_any(&mut Reader::new(&any(64)), 0), Ok(()));
        assert_eq!(
            skip_any(&mut Reader::new(&any(65)), 0),
            Err(Rejected::TooDeep("value"))
        );
    }
}
