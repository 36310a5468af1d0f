//! Owns every metric name, with its unit.
