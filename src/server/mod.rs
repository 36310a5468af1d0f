//! Owns composition: start and drain.

pub mod clock;
pub mod config;
pub mod telemetry;
