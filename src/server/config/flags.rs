//! Owns the flags and commands as they are typed, with their help. `mod.rs` decides what they mean.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};

use super::LogFormat;
use super::values::{Bytes, Span, bytes, pattern, room, span, user};
use crate::ids::RoomId;
use crate::room::Access;

/// A self-hosted server for shared live state.
#[derive(Debug, Parser)]
#[command(name = "roundtable", version, propagate_version = true)]
#[command(
    after_help = "Without a command, `serve` is meant. Flags win, then the environment, then \
    the file. `roundtable serve --help` lists every setting."
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Typed,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Typed {
    /// Run the server (also with no command).
    Serve {
        #[command(flatten)]
        flags: Flags,
    },
    /// Make a token for development, signed with --jwt-secret.
    Token {
        #[command(flatten)]
        token: TokenFlags,
        #[command(flatten)]
        flags: Flags,
    },
    /// Bring the database's tables up to date, and end.
    Migrate {
        #[command(flatten)]
        flags: Flags,
    },
    /// Rebuild rooms from snapshot and log and compare with the tables; exit 1 on any difference.
    Check {
        /// One room; without it, every room.
        #[arg(value_parser = room)]
        room: Option<RoomId>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Write a room's document as a Yjs state update.
    Export {
        /// The room.
        #[arg(value_parser = room)]
        room: RoomId,
        /// The file to write; without it, standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
    /// List, show, release or drop what took the server or a room down and is held since.
    Quarantine {
        #[command(flatten)]
        request: QuarantineFlags,
        #[command(flatten)]
        flags: Flags,
    },
    /// Do what a room did when a process died.
    #[command(hide = true)]
    Probe {
        #[command(flatten)]
        flags: Flags,
    },
    /// Merge a Yjs state update into a room.
    Import {
        /// The room.
        #[arg(value_parser = room)]
        room: RoomId,
        /// The file to read; without it, standard input.
        file: Option<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
}

/// What is done about the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Step {
    /// What is held, and what was released.
    List,
    /// One case in detail.
    Show,
    /// Let the room be opened, or the update in.
    Release,
    /// Delete the room for good, or forget the bytes of the update and go on refusing it.
    Drop,
}

/// What is done about the quarantine, and to which case.
#[derive(Debug, Args)]
pub(super) struct QuarantineFlags {
    /// What to do.
    #[arg(value_enum)]
    pub(super) step: Step,
    /// The case, by its number on the list.
    pub(super) id: Option<i64>,
    /// List as JSON, one object per line.
    #[arg(long)]
    pub(super) json: bool,
    /// Write the bytes of the shown update to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

/// What a token shall say.
#[derive(Debug, Args)]
pub(super) struct TokenFlags {
    /// The user's id.
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(super) sub: String,
    /// The name that others see.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// What it grants, e.g. project:42=write or 'table:*=read'; may be repeated.
    #[arg(long = "room", value_name = "PATTERN=read|write", value_parser = pattern)]
    pub(super) rooms: Vec<(String, Access)>,
    /// Grants everything in every room.
    #[arg(long)]
    pub(super) admin: bool,
    /// How long it holds: 1h, 15m, or seconds.
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    pub(super) expires: Span,
}

const ACCESS: &str = "Access";
const KEEPING: &str = "Keeping";
const LIMITS: &str = "Limits";
const RUNNING: &str = "Running";

/// The settings: each is also an environment variable and a key of the file, by the same name.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Read settings from this file; without it, from roundtable.toml if there is one.
    #[arg(long, value_name = "PATH", help_heading = RUNNING)]
    pub(super) config: Option<PathBuf>,

    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", help_heading = RUNNING)]
    pub(super) listen: String,

    /// How log lines are written: text for people, json for machines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, help_heading = RUNNING)]
    pub(super) log_format: LogFormat,

    /// What is logged: error, warn, info, debug or trace, or by module (roundtable::hub=debug).
    #[arg(long, value_name = "FILTER", default_value = "info", help_heading = RUNNING)]
    pub(super) log: String,

    /// Seconds over which a stopping server sends its connections away.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, help_heading = RUNNING)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=3_600))]
    pub(super) drain_seconds: u64,

    /// Where rooms are kept: sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME.
    #[arg(
        long,
        value_name = "URL",
        default_value = "sqlite://roundtable-data/roundtable.db"
    )]
    #[arg(help_heading = KEEPING)]
    pub(super) database_url: String,

    /// Where what rooms are doing is noted, so that a restart knows what a crash died of, or `off`
    /// [default: beside the SQLite file, else $STATE_DIRECTORY, else roundtable-data].
    #[arg(long, value_name = "FOLDER", help_heading = KEEPING)]
    pub(super) crash_journal: Option<PathBuf>,

    /// Redis, for several nodes. Not supported in this version yet.
    #[arg(long, value_name = "URL", help_heading = KEEPING)]
    pub(super) redis_url: Option<String>,

    /// How long entries that a snapshot covers are kept, for replay and history: 30d, 12h,
    /// seconds.
    #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = span)]
    #[arg(help_heading = KEEPING)]
    pub(super) log_retention: Span,

    /// Versions of a room that stay in its log, however young the others are.
    #[arg(long, value_name = "VERSIONS", default_value_t = 1_000_000, help_heading = KEEPING)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_log_versions: u64,

    /// Entries after which a room's snapshot is renewed.
    #[arg(long, value_name = "ENTRIES", default_value_t = 1_000, help_heading = KEEPING)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) snapshot_every: u64,

    /// How long lines of the audit log are kept: 90d, 12h, seconds.
    #[arg(long, value_name = "SPAN", default_value = "90d", value_parser = span)]
    #[arg(help_heading = KEEPING)]
    pub(super) audit_retention: Span,

    /// Seconds that a room without connections stays in memory.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, help_heading = KEEPING)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(super) idle_seconds: u64,

    /// Check tokens with this secret, at least 32 bytes (HS256).
    #[arg(long, value_name = "SECRET", help_heading = ACCESS)]
    pub(super) jwt_secret: Option<String>,

    /// Check tokens with this public key, a PEM file (RS256, ES256 or EdDSA, by its type).
    #[arg(long, value_name = "PATH", help_heading = ACCESS)]
    pub(super) jwt_public_key: Option<PathBuf>,

    /// Check tokens with this JWK set, a file or an https URL.
    #[arg(long, value_name = "PATH|URL", help_heading = ACCESS)]
    pub(super) jwks: Option<String>,

    /// For development: anybody is a guest who writes everywhere, and an admin token is printed.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "BOOL")]
    #[arg(help_heading = ACCESS)]
    #[arg(
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub(super) dev: bool,

    /// Show the demo page at /: `--demo=false` leaves it out.
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "BOOL")]
    #[arg(help_heading = ACCESS)]
    #[arg(default_value = "true", default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub(super) demo: bool,

    /// Pages that may connect besides the server's own, e.g. https://a.example,https://b.example,
    /// or * for any. With --dev and no list, any.
    #[arg(long, value_name = "LIST", help_heading = ACCESS)]
    pub(super) allowed_origins: Option<String>,

    /// The largest message of a client, e.g. 16MiB.
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = bytes)]
    #[arg(help_heading = LIMITS)]
    pub(super) max_frame_bytes: Bytes,

    /// Connections at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, help_heading = LIMITS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_connections: u32,

    /// Rooms in memory at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, help_heading = LIMITS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_rooms: u32,

    /// Rooms that one user may have open at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, help_heading = LIMITS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_rooms_per_user: u32,

    /// What may wait per room while the database is away, before writes are refused.
    #[arg(long, value_name = "BYTES", default_value = "8MiB", value_parser = bytes)]
    #[arg(help_heading = LIMITS)]
    pub(super) max_backlog_bytes: Bytes,

    /// Requests of one user within --requests-window, but for those that poll or wait; 0 is any.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, help_heading = LIMITS)]
    pub(super) max_requests: u32,

    /// Polls and waiting requests of one user within --requests-window; 0 is any.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, help_heading = LIMITS)]
    pub(super) max_polls: u32,

    /// The window for --max-requests and --max-polls.
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = span)]
    #[arg(help_heading = LIMITS)]
    pub(super) requests_window: Span,

    /// Bad tokens of one address in a minute; 0 is any.
    #[arg(long, value_name = "COUNT", default_value_t = 60, help_heading = LIMITS)]
    pub(super) max_auth_failures: u32,
}
