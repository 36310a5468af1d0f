//! Owns what a room keeps out: updates that brought it down, recognised also in another encoding.
//!
//! A client that comes back sends what it has in one piece, and so the same content in other bytes.
//! What stays the same are the ids: an update with which the document would have all that a barred
//! one would have added is that one, with or without more.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::index::Index;
use super::update::Checked;
use crate::lib0::{Reader, Unreadable, write_var_uint};

/// SHA-256 of bytes.
#[must_use]
pub fn hash_of(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(bytes))
}

/// What an update adds to a document: per client, the clock behind its last new block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(SmallVec<[(u64, u32); 1]>);

impl Marks {
    /// What a checked update adds.
    #[must_use]
    pub(super) fn of(checked: &Checked) -> Self {
        let additions = checked.staged.additions.iter();
        let mut ends: SmallVec<[(u64, u32); 1]> = additions.map(|it| (it.client, it.end)).collect();
        // Of one client the last end counts.
        ends.sort_unstable_by(|a, b| (a.0, b.1).cmp(&(b.0, a.1)));
        ends.dedup_by_key(|(client, _)| *client);
        Self(ends)
    }

    /// Reads what [`Marks::encode`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(bytes);
        let mut ends = SmallVec::new();
        if bytes.is_empty() {
            return Ok(Self(ends));
        }
        for _ in 0..reader.count(2)? {
            let client = reader.var_uint()?;
            let end = u32::try_from(reader.var_uint()?).unwrap_or(u32::MAX);
            ends.push((client, end));
        }
        Ok(Self(ends))
    }

    /// A count, then client and clock of each.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(1 + self.0.len() * 8);
        write_var_uint(&mut out, self.0.len() as u64);
        for (client, end) in &self.0 {
            write_var_uint(&mut out, *client);
            write_var_uint(&mut out, u64::from(*end));
        }
        out.into()
    }

    /// Whether this adds something of `other` to a document with these clocks, and nothing of
    /// `other` is missing then. What adds nothing is known by its bytes alone.
    fn completes(&self, other: &Self, clock: impl Fn(u64) -> u32) -> bool {
        let adds = |client: u64, end: u32| {
            let mine = self.0.iter().find(|(it, _)| *it == client);
            mine.is_some_and(|(_, mine)| *mine >= end)
        };
        let others = || other.0.iter().copied();
        others().any(|(client, end)| adds(client, end))
            && others().all(|(client, end)| adds(client, end) || clock(client) >= end)
    }
}

/// The updates that a room keeps out.
#[derive(Debug, Default)]
pub struct Barred(Vec<(Bytes, Marks)>);

impl Barred {
    /// Keeps out an update with this hash and what it holds.
    pub fn add(&mut self, hash: Bytes, marks: Marks) {
        self.0.push((hash, marks));
    }

    /// Whether nothing is kept out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these are the very bytes of one.
    #[must_use]
    pub fn is_one(&self, bytes: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let hash = hash_of(bytes);
        self.0.iter().any(|(barred, _)| *barred == hash)
    }

    /// Whether with a checked update the document would have all of one of them.
    #[must_use]
    pub(super) fn includes(&self, checked: &Checked, index: &Index) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let marks = Marks::of(checked);
        let clock = |client| index.clock(client);
        self.0
            .iter()
            .any(|(_, barred)| marks.completes(barred, clock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(ends: &[(u64, u32)]) -> Marks {
        Marks(ends.iter().copied().collect())
    }

    #[test]
    fn co3_marks_come_back_as_they_were_written() {
        for ends in [&[][..], &[(1, 5)], &[(1, 5), (u64::from(u32::MAX), 2)]] {
            let written = marks(ends);
            assert_eq!(Marks::parse(&written.encode()), Ok(written));
        }
        assert_eq!(Marks::parse(&[]), Ok(Marks::default()));
        assert!(Marks::parse(&[9, 1]).is_err());
    }

    #[test]
    fn co3_more_than_what_is_barred_is_barred_and_less_is_not() {
        let barred = marks(&[(1, 5), (2, 3)]);
        let completes = |ends: &[(u64, u32)]| marks(ends).completes(&barred, |_| 0);
        assert!(completes(&[(1, 5), (2, 3)]));
        assert!(completes(&[(1, 9), (2, 3), (7, 1)]));
        assert!(!completes(&[(1, 4), (2, 3)]));
        assert!(!completes(&[(1, 9)]));
        assert!(!marks(&[(1, 9)]).completes(&marks(&[]), |_| 0));
    }

    #[test]
    fn co3_what_came_by_another_way_is_not_needed_again() {
        let barred = marks(&[(1, 5), (2, 3)]);
        let known = |client| if client == 2 { 8 } else { 0 };
        assert!(marks(&[(1, 5)]).completes(&barred, known));
        assert!(!marks(&[(2, 9)]).completes(&barred, |_| 0));
        assert!(
            !marks(&[(7, 9)]).completes(&barred, |_| 100),
            "it adds nothing of it"
        );
    }
}
