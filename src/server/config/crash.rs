//! Owns where the crash journal is.

use std::path::PathBuf;

use crate::store;

/// What the crash journal's folder is called where it has its usual place.
const CRASH_JOURNAL: &str = "crash-journal";

/// Where the crash journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrashFolder {
    /// It was named: the server does not start without it.
    Named(PathBuf),
    /// Beside the database, or where the system says that state belongs.
    Usual(PathBuf),
    /// Nowhere.
    Off,
}

impl CrashFolder {
    /// Beside the SQLite file; else where systemd keeps state (`STATE_DIRECTORY`), else where the
    /// default database would be.
    pub(super) fn choose(
        named: Option<PathBuf>,
        database_url: &str,
        state: Option<String>,
    ) -> Self {
        match named {
            Some(named) if named.as_os_str() == "off" => Self::Off,
            Some(named) => Self::Named(named),
            None => {
                let beside = store::folder(database_url);
                // The variable may name several folders, with colons between.
                let state = state.and_then(|it| it.split(':').next().map(PathBuf::from));
                let folder = beside.or(state);
                let folder = folder.unwrap_or_else(|| "roundtable-data".into());
                Self::Usual(folder.join(CRASH_JOURNAL))
            }
        }
    }
}
