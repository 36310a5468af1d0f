//! Owns the settings: flags, environment, file.
