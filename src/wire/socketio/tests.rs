//! Shows what becomes of events and messages.
