//! Owns the dialects: frames to requests, events to frames. Pure.
