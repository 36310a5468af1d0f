//! Owns every bound of the program, each with its reason.
