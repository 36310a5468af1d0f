//! Owns the strict validator that every update passes before the CRDT sees it.
