//! Owns group commit: the appends of many rooms in one transaction.
