//! Owns the store on PostgreSQL.
