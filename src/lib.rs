//! Roundtable: a server for shared live state. A room is a log, and every connection is a cursor on
//! it.
//!
//! # The path of a change
//!
//! A socket's bytes become a request ([`wire`]), pass the session's grant and the validator
//! ([`room`]), are merged into the room's document and leave at once to everyone who is live. The
//! room's open batch goes to the journal, which keeps many rooms in one transaction ([`store`]);
//! only then are versions told and acks sent ([`hub`]).
//!
//! # Reading order
//!
//! [`ids`], [`limits`] and [`metric`], [`room`] (the core: told, and answers), [`wire`] (frames),
//! [`store`] (keeping), [`hub`] (where tasks live), [`transport`] (carriers), [`server`]
//! (composition).

pub mod auth;
pub mod hub;
pub mod ids;
pub mod lib0;
pub mod limits;
pub mod metric;
pub mod room;
pub mod server;
pub mod store;
pub mod transport;
pub mod wire;
