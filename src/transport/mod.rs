//! Owns the router: every URL on one screen, grouped by who calls it.

pub mod socket;
pub mod speech;
