//! Owns what the ids of a document stand for: clocks, places, types.
