//! Owns the state vector: how far each client's clock is known.

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::lib0::{Reader, Unreadable, write_var_uint};
use crate::room::index::CLOCK_MAX;

/// How many clocks of each client are known. A client that is not in it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateVector(FxHashMap<u64, u32>);

/// Why bytes are not a state vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidStateVector {
    /// The bytes are not lib0.
    Unreadable(Unreadable),
    /// A client is there twice.
    ClientTwice,
    /// A clock is larger than 2^31 - 1.
    ClockTooLarge,
    /// There are bytes after the last entry.
    Trailing,
}

impl std::fmt::Display for InvalidStateVector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreadable(why) => why.reason(),
            Self::ClientTwice => "client twice in a state vector",
            Self::ClockTooLarge => "clock larger than 2^31 - 1",
            Self::Trailing => "bytes after the last entry",
        })
    }
}

impl std::error::Error for InvalidStateVector {}

impl From<Unreadable> for InvalidStateVector {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

impl StateVector {
    /// Reads the v1 encoding: a count, then client and clock of each.
    ///
    /// A clock of zero says nothing and is left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidStateVector> {
        let mut reader = Reader::new(bytes);
        let count = reader.count(2)?;
        let mut clocks = FxHashMap::with_capacity_and_hasher(count, Default::default());
        for _ in 0..count {
            let client = reader.var_uint()?;
            let clock = u32::try_from(reader.var_uint()?).unwrap_or(u32::MAX);
            if clock > CLOCK_MAX {
                return Err(InvalidStateVector::ClockTooLarge);
            }
            if clocks.insert(client, clock).is_some() {
                return Err(InvalidStateVector::ClientTwice);
            }
        }
        if !reader.is_empty() {
            return Err(InvalidStateVector::Trailing);
        }
        clocks.retain(|_, clock| *clock > 0);
        Ok(Self(clocks))
    }

    /// The v1 encoding, clients in descending order as Yjs writes them.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_unstable_by(|a, b| b.cmp(a));
        let mut out = Vec::with_capacity(2 + entries.len() * 8);
        write_var_uint(&mut out, entries.len() as u64);
        for (client, clock) in entries {
            write_var_uint(&mut out, client);
            write_var_uint(&mut out, u64::from(clock));
        }
        out.into()
    }

    /// The first clock of `client` that is not known.
    #[must_use]
    pub fn clock(&self, client: u64) -> u32 {
        self.0.get(&client).copied().unwrap_or(0)
    }

    /// Raises the clock of `client` to at least `clock`.
    pub fn raise(&mut self, client: u64, clock: u32) {
        if clock > 0 {
            let known = self.0.entry(client).or_default();
            *known = clock.max(*known);
        }
    }

    /// Takes the larger clock of each client.
    pub fn merge(&mut self, other: &Self) {
        for (client, clock) in other.iter() {
            self.raise(client, clock);
        }
    }

    /// Clients and their clocks, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.0.iter().map(|(client, clock)| (*client, *clock))
    }

    /// Whether no clock is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(u64, u32)> for StateVector {
    fn from_iter<I: IntoIterator<Item = (u64, u32)>>(clocks: I) -> Self {
        let mut vector = Self::default();
        for (client, clock) in clocks {
            vector.raise(client, clock);
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_vector_reads_back_as_written() {
        let vector: StateVector = [(1, 3), (4_294_967_295, 1), (7, 2_147_483_647)]
            .into_iter()
            .collect();
        assert_eq!(StateVector::parse(&vector.encode()), Ok(vector));
        assert_eq!(StateVector::parse(&[0]), Ok(StateVector::default()));
    }

    #[test]
    fn a_state_vector_that_claims_500_million_entries_is_refused() {
        let bomb = [0x80, 0xca, 0xb5, 0xee, 0x01];
        assert_eq!(
            StateVector::parse(&bomb),
            Err(InvalidStateVector::Unreadable(Unreadable::TooMany))
        );
    }

    #[test]
    fn a_state_vector_with_a_fault_is_refused() {
        assert_eq!(
            StateVector::parse(&[2, 1, 1, 1, 2]),
            Err(InvalidStateVector::ClientTwice)
        );
        assert_eq!(
            StateVector::parse(&[1, 1, 1, 0]),
            Err(InvalidStateVector::Trailing)
        );
        assert_eq!(
            StateVector::parse(&[1, 1, 0x80, 0x80, 0x80, 0x80, 0x08]),
            Err(InvalidStateVector::ClockTooLarge)
        );
    }

    #[test]
    fn merging_takes_the_larger_clock() {
        let mut left: StateVector = [(1, 3), (2, 5)].into_iter().collect();
        left.merge(&[(1, 4), (3, 1), (2, 2)].into_iter().collect());
        assert_eq!(left, [(1, 4), (2, 5), (3, 1)].into_iter().collect());
    }
}
