//! Owns the primitives of the lib0 encoding: var-ints, buffers and strings, bounded.
//! Nothing here allocates for a count that the bytes do not back.

use std::fmt;

/// The largest integer that a JavaScript peer reads: 2^53 - 1.
pub const UINT_MAX: u64 = (1 << 53) - 1;

/// Why bytes cannot be read as lib0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The bytes end within a value.
    End,
    /// An integer is larger than 2^53 - 1.
    TooLarge,
    /// A count claims more entries than the bytes left can hold.
    TooMany,
    /// A string is not UTF-8.
    NotUtf8,
}

impl Unreadable {
    /// The reason in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::End => "bytes end within a value",
            Self::TooLarge => "integer larger than 2^53 - 1",
            Self::TooMany => "count larger than the bytes left",
            Self::NotUtf8 => "string is not UTF-8",
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Unreadable {}

/// Reads lib0 values from the front of a slice. Every answer borrows from it.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether all bytes have been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Unreadable> {
        let byte = *self.bytes.get(self.at).ok_or(Unreadable::End)?;
        self.at += 1;
        Ok(byte)
    }

    /// `count` bytes as they are.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(Unreadable::End)?;
        self.at += count;
        Ok(taken)
    }

    /// A `varUint`, at most [`UINT_MAX`].
    #[inline]
    pub fn var_uint(&mut self) -> Result<u64, Unreadable> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.var_rest(u64::from(first & 0x7f), 7)
    }

    /// A `varInt`, at most [`UINT_MAX`] either way. Negative zero reads as zero.
    pub fn var_int(&mut self) -> Result<i64, Unreadable> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3f);
        let magnitude = if first & 0x80 == 0 {
            low
        } else {
            self.var_rest(low, 6)?
        };
        let value = i64::try_from(magnitude).map_err(|_| Unreadable::TooLarge)?;
        Ok(if first & 0x40 == 0 { value } else { -value })
    }

    /// A count of entries of at least `entry_bytes` bytes each, which the bytes left can hold.
    #[inline]
    pub fn count(&mut self, entry_bytes: usize) -> Result<usize, Unreadable> {
        let count = usize::try_from(self.var_uint()?).map_err(|_| Unreadable::TooMany)?;
        if count > self.remaining() / entry_bytes {
            return Err(Unreadable::TooMany);
        }
        Ok(count)
    }

    /// A `varUint8Array`.
    #[inline]
    pub fn buffer(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = usize::try_from(self.var_uint()?).map_err(|_| Unreadable::End)?;
        self.take(length)
    }

    /// A `varString`.
    #[inline]
    pub fn string(&mut self) -> Result<&'a str, Unreadable> {
        std::str::from_utf8(self.buffer()?).map_err(|_| Unreadable::NotUtf8)
    }

    /// The rest of a var-int whose low bits are read: at most eight bytes of seven bits in all.
    #[inline(never)]
    fn var_rest(&mut self, low: u64, bits: u32) -> Result<u64, Unreadable> {
        let mut value = low;
        let mut shift = bits;
        for (count, byte) in self.bytes[self.at..].iter().enumerate() {
            if shift > 49 {
                return Err(Unreadable::TooLarge);
            }
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte < 0x80 {
                self.at += count + 1;
                return if value > UINT_MAX {
                    Err(Unreadable::TooLarge)
                } else {
                    Ok(value)
                };
            }
        }
        Err(Unreadable::End)
    }
}

/// Appends a `varUint`.
pub fn write_var_uint(out: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push((rest as u8 & 0x7f) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a `varUint8Array`.
pub fn write_buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    write_var_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a `varString`.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    write_buffer(out, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_var_uint_reads_back_as_written() {
        for value in [
            0,
            1,
            63,
            64,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            UINT_MAX,
        ] {
            let mut out = Vec::new();
            write_var_uint(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.var_uint(), Ok(value));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn a_var_uint_beyond_2_53_is_refused_however_long() {
        let mut out = Vec::new();
        write_var_uint(&mut out, UINT_MAX + 1);
        assert_eq!(Reader::new(&out).var_uint(), Err(Unreadable::TooLarge));
        assert_eq!(
            Reader::new(&[0x80; 40]).var_uint(),
            Err(Unreadable::TooLarge)
        );
        assert_eq!(Reader::new(&[0x80; 3]).var_uint(), Err(Unreadable::End));
    }

    #[test]
    fn a_var_int_carries_its_sign_in_the_first_byte() {
        assert_eq!(Reader::new(&[0x00]).var_int(), Ok(0));
        assert_eq!(Reader::new(&[0x40]).var_int(), Ok(0));
        assert_eq!(Reader::new(&[0x41]).var_int(), Ok(-1));
        assert_eq!(Reader::new(&[0x80, 0x01]).var_int(), Ok(64));
        assert_eq!(Reader::new(&[0xff, 0x01]).var_int(), Ok(-127));
        assert_eq!(
            Reader::new(&[0xff; 40]).var_int(),
            Err(Unreadable::TooLarge)
        );
    }

    #[test]
    fn a_count_is_bounded_by_the_bytes_left() {
        assert_eq!(Reader::new(&[2, 0, 0, 0, 0]).count(2), Ok(2));
        assert_eq!(
            Reader::new(&[3, 0, 0, 0, 0]).count(2),
            Err(Unreadable::TooMany)
        );
    }

    #[test]
    fn a_string_must_be_utf8_and_whole() {
        assert_eq!(Reader::new(&[2, b'h', b'i']).string(), Ok("hi"));
        assert_eq!(Reader::new(&[1, 0xff]).string(), Err(Unreadable::NotUtf8));
        assert_eq!(Reader::new(&[9, b'h']).string(), Err(Unreadable::End));
    }
}
