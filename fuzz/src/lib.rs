//! Owns what every fuzz target does with its bytes; `fuzz_targets/` only hands them over.
//! `tests/corpus.rs` has this file as a module, so nothing here needs more than a stable compiler.

pub mod author;
pub mod forge;
pub mod frames;
pub mod hocuspocus;
pub mod lib0;
pub mod log;
pub mod request;
pub mod room;
pub mod script;
pub mod stored;
pub mod token;
pub mod update;
pub mod yjs;

/// What a target does with its bytes.
pub type Run = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Run); 9] = [
    ("frames", frames::run),
    ("hocuspocus", hocuspocus::run),
    ("lib0", lib0::run),
    ("request", request::run),
    ("room", room::run),
    ("stored", stored::run),
    ("token", token::run),
    ("update", update::run),
    ("yjs", yjs::run),
];
