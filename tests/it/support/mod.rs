//! Owns what the tests stand on.

pub(crate) mod postgres;
pub(crate) mod recorder;
