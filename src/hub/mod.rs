//! Owns the engine room: tasks live here.
