//! Owns the only clock and dice.
