//! Owns the primitives of the lib0 encoding: var-ints and var-buffers, bounded.
