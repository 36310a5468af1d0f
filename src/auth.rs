//! Owns how a token becomes a grant.
