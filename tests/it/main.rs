//! Owns the tests of parts that meet the world: databases, sockets, whole servers.

mod contract;
mod support;
