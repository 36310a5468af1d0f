//! Owns what can be asked about the quarantine.

use std::path::PathBuf;

use super::SettingsError;
use super::flags::{QuarantineFlags, Step};

/// What an operator does about the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuarantineRequest {
    /// Lists it.
    List {
        /// As JSON, one object per line.
        json: bool,
    },
    /// Shows one case.
    Show {
        /// Its number.
        id: i64,
        /// Where its bytes go.
        out: Option<PathBuf>,
    },
    /// Lets the room be opened, or the update in.
    Release {
        /// Its number.
        id: i64,
    },
    /// Deletes the room, or forgets the bytes of the update.
    Drop {
        /// Its number.
        id: i64,
    },
}

impl TryFrom<QuarantineFlags> for QuarantineRequest {
    type Error = SettingsError;

    fn try_from(flags: QuarantineFlags) -> Result<Self, SettingsError> {
        let QuarantineFlags {
            step,
            id,
            json,
            out,
        } = flags;
        if step == Step::List {
            return Ok(Self::List { json });
        }
        let id = id.ok_or(SettingsError::NoCase)?;
        Ok(match step {
            Step::List => Self::List { json },
            Step::Show => Self::Show { id, out },
            Step::Release => Self::Release { id },
            Step::Drop => Self::Drop { id },
        })
    }
}
