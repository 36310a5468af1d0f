//! Owns the core: one room on one node, pure and synchronous. No clock, no dice, no IO.

pub mod grant;
pub mod index;
pub mod update;

pub use grant::{Access, Grant, Identity};
