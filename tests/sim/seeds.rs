//! Owns the seeds that once failed: each runs always, with what it found.

/// A seed and what was wrong.
pub const SEEDS: &[(u64, &str)] = &[];
