//! Owns the check of what is stored: every room is folded and compared with what it says of itself.
