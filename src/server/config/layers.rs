//! Owns where a setting comes from: flags win, then the environment, then the file.
//!
//! The lower layers become flags, so that one parser judges every value, whatever its source.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use config::{FileFormat, Value, ValueKind};

use super::SettingsError;
use super::flags::Cli;

/// The file that is read when none is named.
pub(super) const FILE: &str = "roundtable.toml";

/// What the outside says, so that nothing here touches the process.
pub(super) struct Outside<'a> {
    /// A variable of the environment.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file.
    pub(super) read: &'a dyn Fn(&Path) -> std::io::Result<String>,
}

/// A value that did not come from the command line.
struct Layered {
    flag: String,
    value: String,
    origin: String,
}

/// Parses the command line with everything that the lower layers add.
pub(super) fn parse(args: Vec<OsString>, outside: &Outside<'_>) -> Result<Cli, SettingsError> {
    let command = command();
    let args = with_serve(args);
    let typed = command.clone().try_get_matches_from(&args)?;
    let Some((_, typed)) = typed.subcommand() else {
        return Ok(Cli::from_arg_matches(&typed)?);
    };
    let layered = lower_layers(typed, outside)?;
    let mut all = args[..2].to_vec();
    all.extend(
        layered
            .iter()
            .map(|it| format!("--{}={}", it.flag, it.value).into()),
    );
    all.extend_from_slice(&args[2..]);
    let matches = command
        .try_get_matches_from(all)
        .map_err(|error| blame(error, &layered))?;
    Ok(Cli::from_arg_matches(&matches)?)
}

/// The variable of a setting.
fn variable(flag: &str) -> String {
    match flag {
        // By these two names every tool knows them.
        "database-url" => "DATABASE_URL".into(),
        "redis-url" => "REDIS_URL".into(),
        _ => format!("ROUNDTABLE_{}", flag.replace('-', "_").to_ascii_uppercase()),
    }
}

/// The command line with its variables in the help, and in each command's help what it needs.
fn command() -> clap::Command {
    let settings = setting_names();
    let mut root = Cli::command();
    let names: Vec<String> = root
        .get_subcommands()
        .map(|it| it.get_name().to_owned())
        .collect();
    for name in names {
        root = root.mut_subcommand(&name, |sub| {
            sub.mut_args(|arg| {
                let Some(flag) = arg
                    .get_long()
                    .filter(|it| settings.contains(&(*it).to_owned()))
                else {
                    return arg;
                };
                let variable = variable(flag);
                let is_shown = match name.as_str() {
                    "serve" => true,
                    "token" => ["config", "jwt-secret"].contains(&flag),
                    _ => ["config", "database-url", "log", "log-format"].contains(&flag),
                };
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let help = format!("{} [env: {variable}]", help.trim_end_matches('.'));
                arg.help(help).hide(!is_shown)
            })
        });
    }
    root
}

/// Every setting by the name of its flag: what `serve` takes.
fn setting_names() -> Vec<String> {
    let root = Cli::command();
    let serve = root.find_subcommand("serve").into_iter();
    serve
        .flat_map(clap::Command::get_arguments)
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .filter(|long| !["help", "version"].contains(&long.as_str()))
        .collect()
}

/// `serve` is meant when no command is named.
fn with_serve(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.is_empty() {
        args.push("roundtable".into());
    }
    let first = args.get(1).map(|arg| arg.to_string_lossy().into_owned());
    let is_command_or_help = first.is_some_and(|first| {
        !first.starts_with('-') || ["-h", "--help", "-V", "--version"].contains(&first.as_str())
    });
    if !is_command_or_help {
        args.insert(1, "serve".into());
    }
    args
}

fn lower_layers(typed: &ArgMatches, outside: &Outside<'_>) -> Result<Vec<Layered>, SettingsError> {
    let names = setting_names();
    let in_file = file(typed, &names, outside)?;
    let mut layered = Vec::new();
    for flag in names {
        let id = flag.replace('-', "_");
        if typed.value_source(&id) == Some(ValueSource::CommandLine) {
            continue;
        }
        let variable = variable(&flag);
        // An empty variable counts as none: that is how compose files leave one out.
        if let Some(value) = (outside.variable)(&variable).filter(|value| !value.is_empty()) {
            layered.push(Layered {
                flag,
                value,
                origin: format!("the variable {variable}"),
            });
        } else if let Some((value, path)) = in_file.get(&flag) {
            let origin = format!("`{flag}` in {}", path.display());
            layered.push(Layered {
                flag,
                value: value.clone(),
                origin,
            });
        }
    }
    Ok(layered)
}

type FileValues = BTreeMap<String, (String, PathBuf)>;

fn file(
    typed: &ArgMatches,
    names: &[String],
    outside: &Outside<'_>,
) -> Result<FileValues, SettingsError> {
    let named = typed
        .get_one::<PathBuf>("config")
        .cloned()
        .or_else(|| (outside.variable)("ROUNDTABLE_CONFIG").map(PathBuf::from))
        .filter(|path| !path.as_os_str().is_empty());
    let path = named.clone().unwrap_or_else(|| FILE.into());
    let text = match (outside.read)(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(FileValues::new());
        }
        Err(error) => return Err(SettingsError::File(path, error)),
    };
    let source = config::File::from_str(&text, FileFormat::Toml);
    let table: BTreeMap<String, Value> = config::Config::builder()
        .add_source(source)
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| SettingsError::Malformed(path.clone(), place(&error)))?;
    let mut values = FileValues::new();
    for (key, value) in table {
        if key == "config" || !names.contains(&key) {
            return Err(SettingsError::UnknownKey(path, key));
        }
        let value = plain(value).ok_or_else(|| SettingsError::Kind(path.clone(), key.clone()))?;
        values.insert(key, (value, path.clone()));
    }
    Ok(values)
}

/// Where the mistake is. The parser's further lines quote the file, which may have secrets.
fn place(error: &config::ConfigError) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// A value as it would be typed; a list is joined by commas.
fn plain(value: Value) -> Option<String> {
    match value.kind {
        ValueKind::Boolean(flag) => Some(flag.to_string()),
        ValueKind::I64(number) => Some(number.to_string()),
        ValueKind::String(text) => Some(text),
        ValueKind::Array(members) => {
            let members: Option<Vec<String>> = members.into_iter().map(plain).collect();
            members.map(|members| members.join(","))
        }
        _ => None,
    }
}

/// Says of a bad value where it came from, since nobody typed the flag that is complained about.
fn blame(error: clap::Error, layered: &[Layered]) -> SettingsError {
    let culprit = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => layered.iter().find(|it| {
            let named = arg
                .strip_prefix("--")
                .and_then(|arg| arg.split([' ', '=', '[']).next());
            named == Some(it.flag.as_str())
        }),
        _ => None,
    };
    let Some(culprit) = culprit else {
        return SettingsError::Usage(error);
    };
    let reason = std::error::Error::source(&error).map(ToString::to_string);
    let reason = reason.unwrap_or_else(|| "it is not a possible value".into());
    SettingsError::Value {
        origin: culprit.origin.clone(),
        reason,
    }
}
