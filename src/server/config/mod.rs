//! Owns the settings: typed values from flags, environment and file, and what is refused.

mod crash;
mod flags;
mod layers;
mod quarantine;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::auth::{
    InvalidJwksSource, InvalidOrigin, JwksSource, KeySource, Origins, Passport, Secret,
};
use crate::ids::{RoomId, UnixMillis};
use crate::limits::{JWT_SECRET_BYTES_MIN, Limits};
use crate::room::Access;

use super::telemetry;
pub use crash::CrashFolder;
use flags::{Flags, TokenFlags, Typed};
use layers::Outside;
pub use quarantine::QuarantineRequest;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object.
    Json,
}

/// What the server runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where rooms are kept; may have a password.
    pub database_url: Secret,
    /// Where what rooms are doing is noted, for the time after a crash.
    pub crash_journal: CrashFolder,
    /// Where other nodes meet; may have a password. Refused by [`Settings::check_serve`] so far.
    pub redis_url: Option<Secret>,
    /// What tokens are checked with. Without one, `--dev` makes a secret of its own.
    pub keys: Option<KeySource>,
    /// Guests write everywhere, and an admin token is printed.
    pub dev: bool,
    /// Whether the demo page is shown.
    pub demo: bool,
    /// The pages that may connect.
    pub origins: Origins,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log: String,
    /// The bounds, with those that flags move.
    pub limits: Limits,
}

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the server.
    Serve,
    /// Print a token.
    Token(TokenRequest),
    /// Bring the tables up to date.
    Migrate,
    /// Compare rooms with their tables: one, or all.
    Check {
        /// The room; `None` for all.
        room: Option<RoomId>,
    },
    /// Write a room's document.
    Export {
        /// The room.
        room: RoomId,
        /// The file; `None` for standard output.
        output: Option<PathBuf>,
    },
    /// Look at what is held, release it, drop it.
    Quarantine(QuarantineRequest),
    /// Do what a room did when a process died, and maybe die of it. The server asks for this.
    Probe,
    /// Merge a document into a room.
    Import {
        /// The room.
        room: RoomId,
        /// The file; `None` for standard input.
        file: Option<PathBuf>,
    },
}

/// A token as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    user: String,
    name: Option<String>,
    rooms: Vec<(String, Access)>,
    admin: bool,
    span_ms: u64,
}

/// A command with the settings it runs with.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// With what.
    pub settings: Settings,
}

/// Why the program does not start. Its text has no secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The command line is wrong, or asks for help: clap prints it.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The settings file cannot be read.
    #[error("read the settings file {}", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// The settings file is no TOML.
    #[error("read the settings file {}: {reason}", .0.display(), reason = .1)]
    Malformed(PathBuf, String),
    /// The settings file has a key that is no setting.
    #[error(
        "`{key}` in {} is no setting; `roundtable serve --help` lists them",
        .0.display(),
        key = .1
    )]
    UnknownKey(PathBuf, String),
    /// The settings file has a table or the like where a value belongs.
    #[error("`{key}` in {} is no plain value", .0.display(), key = .1)]
    Kind(PathBuf, String),
    /// A value of the environment or the file is wrong.
    #[error("{origin} is wrong: {reason}")]
    Value {
        /// Where it is.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// The address to listen on is none.
    #[error("--listen is wrong: write it as an IP address and a port, e.g. 0.0.0.0:8080")]
    Listen,
    /// The log filter is none.
    #[error("--log is wrong: write it as a level, or as module=level, with commas between")]
    Log,
    /// The database is of another kind.
    #[error("--database-url is wrong: it must begin with sqlite:// or postgres://")]
    Database,
    /// The list of origins is wrong.
    #[error("--allowed-origins is wrong: {0}")]
    Origins(#[from] InvalidOrigin),
    /// The key set is nowhere.
    #[error("--jwks is wrong: {0}")]
    Jwks(#[from] InvalidJwksSource),
    /// More than one kind of key.
    #[error(
        "tokens can be checked with one key only: set one of --jwt-secret, --jwt-public-key and \
         --jwks"
    )]
    TwoKeys,
    /// No key and no `--dev`.
    #[error(
        "nothing to check tokens with: set --jwt-secret, --jwt-public-key or --jwks, or --dev to \
         try things out on this machine"
    )]
    NoKey,
    /// The secret can be guessed.
    #[error("--jwt-secret is shorter than 32 bytes; make one with `openssl rand -hex 32`")]
    ShortSecret,
    /// Everyone could get in.
    #[error(
        "--dev lets anybody in, so it listens on this machine only; set --listen 127.0.0.1:8080, \
         or a key instead of --dev"
    )]
    DevInTheOpen,
    /// Several nodes are asked for.
    #[error(
        "--redis-url is set, but several nodes are not supported in this version yet: leave it \
         out to run a single node"
    )]
    Redis,
    /// A step of `quarantine` is about a case, and none is named.
    #[error("name the case by its number: `roundtable quarantine list` has it")]
    NoCase,
    /// `token` has nothing to sign with.
    #[error("nothing to sign a token with: set --jwt-secret to the server's")]
    NoSecret,
}

impl Invocation {
    /// Reads the command line, the environment and the settings file of this process.
    ///
    /// # Errors
    ///
    /// Also when help or the version was asked for, as [`SettingsError::Usage`].
    pub fn from_process() -> Result<Self, SettingsError> {
        let variable = |name: &str| std::env::var(name).ok();
        let read = |path: &Path| std::fs::read_to_string(path);
        Self::parse(std::env::args_os().collect(), &variable, &read)
    }

    /// Reads a command line, the program's name first, over variables and files that are given.
    ///
    /// # Errors
    ///
    /// When a value is wrong, wherever it comes from. Safety is judged by the `check_` functions.
    pub fn parse(
        args: Vec<OsString>,
        variable: &dyn Fn(&str) -> Option<String>,
        read: &dyn Fn(&Path) -> std::io::Result<String>,
    ) -> Result<Self, SettingsError> {
        let state = variable("STATE_DIRECTORY").filter(|folder| !folder.is_empty());
        let cli = layers::parse(args, &Outside { variable, read })?;
        let (command, flags) = match cli.command {
            Typed::Serve { flags } => (Command::Serve, flags),
            Typed::Token { token, flags } => (Command::Token(token.into()), flags),
            Typed::Migrate { flags } => (Command::Migrate, flags),
            Typed::Check { room, flags } => (Command::Check { room }, flags),
            Typed::Export {
                room,
                output,
                flags,
            } => (Command::Export { room, output }, flags),
            Typed::Import { room, file, flags } => (Command::Import { room, file }, flags),
            Typed::Quarantine { request, flags } => {
                (Command::Quarantine(request.try_into()?), flags)
            }
            Typed::Probe { flags } => (Command::Probe, flags),
        };
        Ok(Self {
            command,
            settings: Settings::from_flags(flags, state)?,
        })
    }
}

impl Settings {
    fn from_flags(flags: Flags, state: Option<String>) -> Result<Self, SettingsError> {
        let limits = Limits::from_flags(&flags);
        let origins = origins(&flags)?;
        if !telemetry::is_filter(&flags.log) {
            return Err(SettingsError::Log);
        }
        Ok(Self {
            listen: listen(&flags.listen)?,
            database_url: database(&flags.database_url)?,
            crash_journal: CrashFolder::choose(flags.crash_journal, &flags.database_url, state),
            redis_url: flags.redis_url.map(Secret::new),
            keys: keys(flags.jwt_secret, flags.jwt_public_key, flags.jwks)?,
            dev: flags.dev,
            demo: flags.demo,
            origins,
            log_format: flags.log_format,
            log: flags.log,
            limits,
        })
    }

    /// Refuses combinations that a server must not run with, and says what to set.
    ///
    /// # Errors
    ///
    /// The first that is found.
    pub fn check_serve(&self) -> Result<(), SettingsError> {
        if self.redis_url.is_some() {
            return Err(SettingsError::Redis);
        }
        if self.dev && !self.listen.ip().is_loopback() {
            return Err(SettingsError::DevInTheOpen);
        }
        match &self.keys {
            None if !self.dev => Err(SettingsError::NoKey),
            Some(KeySource::Secret(secret)) => self.check_length(secret),
            None | Some(KeySource::PublicKey(_) | KeySource::Jwks(_)) => Ok(()),
        }
    }

    /// The secret to sign tokens with.
    ///
    /// # Errors
    ///
    /// When there is none, or one that the server would refuse.
    pub fn signing_secret(&self) -> Result<&Secret, SettingsError> {
        match &self.keys {
            Some(KeySource::Secret(secret)) => self.check_length(secret).map(|()| secret),
            Some(KeySource::PublicKey(_) | KeySource::Jwks(_)) | None => {
                Err(SettingsError::NoSecret)
            }
        }
    }

    fn check_length(&self, secret: &Secret) -> Result<(), SettingsError> {
        if secret.expose().len() < JWT_SECRET_BYTES_MIN && !self.dev {
            return Err(SettingsError::ShortSecret);
        }
        Ok(())
    }
}

impl TokenRequest {
    /// What the token shall say when it is made now.
    #[must_use]
    pub fn passport(self, now: UnixMillis) -> Passport {
        let span_ms = i64::try_from(self.span_ms).unwrap_or(i64::MAX);
        Passport {
            user: self.user,
            name: self.name,
            rooms: self.rooms,
            admin: self.admin,
            expires_at: UnixMillis(now.0.saturating_add(span_ms)),
        }
    }
}

impl From<TokenFlags> for TokenRequest {
    fn from(flags: TokenFlags) -> Self {
        Self {
            user: flags.sub,
            name: flags.name,
            rooms: flags.rooms,
            admin: flags.admin,
            span_ms: flags.expires.0,
        }
    }
}

impl Limits {
    fn from_flags(flags: &Flags) -> Self {
        let usual = Self::default();
        let frame_bytes_max = flags.max_frame_bytes.0;
        Self {
            frame_bytes_max,
            update_bytes_max: frame_bytes_max,
            state_vector_bytes_max: usual.state_vector_bytes_max.min(frame_bytes_max),
            backlog_bytes_max: flags.max_backlog_bytes.0,
            connections_max: flags.max_connections as usize,
            rooms_max: flags.max_rooms as usize,
            rooms_per_user_max: flags.max_rooms_per_user as usize,
            requests_max: flags.max_requests,
            polls_max: flags.max_polls,
            requests_window_ms: flags.requests_window.0,
            auth_failures_per_minute_max: flags.max_auth_failures,
            room_idle_ms: flags.idle_seconds * 1_000,
            drain_ms: flags.drain_seconds * 1_000,
            snapshot_every_entries: flags.snapshot_every,
            log_retention_ms: flags.log_retention.0,
            log_versions_max: flags.max_log_versions,
            audit_retention_ms: flags.audit_retention.0,
            ..usual
        }
    }
}

fn listen(text: &str) -> Result<SocketAddr, SettingsError> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| SettingsError::Listen)
}

fn database(url: &str) -> Result<Secret, SettingsError> {
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if !known.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(SettingsError::Database);
    }
    Ok(Secret::new(url))
}

fn keys(
    secret: Option<String>,
    public_key: Option<PathBuf>,
    jwks: Option<String>,
) -> Result<Option<KeySource>, SettingsError> {
    match (secret, public_key, jwks) {
        (None, None, None) => Ok(None),
        (Some(secret), None, None) => Ok(Some(KeySource::Secret(Secret::new(secret)))),
        (None, Some(path), None) => Ok(Some(KeySource::PublicKey(path))),
        (None, None, Some(source)) => Ok(Some(KeySource::Jwks(JwksSource::parse(&source)?))),
        _ => Err(SettingsError::TwoKeys),
    }
}

fn origins(flags: &Flags) -> Result<Origins, SettingsError> {
    match &flags.allowed_origins {
        Some(list) => Ok(Origins::parse(list)?),
        None if flags.dev => Ok(Origins::Any),
        None => Ok(Origins::Listed(Vec::new())),
    }
}

#[cfg(test)]
mod tests;
