//! Owns the router: every URL on one screen.
