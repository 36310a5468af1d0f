//! Owns the store on SQLite.
