//! Owns the tests of parts that meet the world: databases, sockets, whole servers.

// All of this is test, also what stands outside a test function.
#![allow(clippy::unwrap_used)]

mod contract;
mod hub;
mod records;
mod support;
mod together;
