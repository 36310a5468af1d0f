//! Owns the reference store: the contract as ordered maps.
