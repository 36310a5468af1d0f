//! Tests of the settings, over an environment and files that are given.

mod commands;

use std::collections::HashMap;
use std::io::{Error, ErrorKind};

use super::*;

const SECRET: &str = "a secret of thirty-two bytes or more";

/// Parses words after the program's name, over variables and a `roundtable.toml`.
fn parse(
    words: &[&str],
    variables: &[(&str, &str)],
    file: Option<&str>,
) -> Result<Invocation, SettingsError> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let read = |path: &Path| match file {
        Some(text) if path == Path::new("roundtable.toml") => Ok(text.to_owned()),
        _ if path == Path::new("other.toml") => Ok("listen = '127.0.0.1:4'".to_owned()),
        _ => Err(Error::from(ErrorKind::NotFound)),
    };
    let args = std::iter::once("roundtable")
        .chain(words.iter().copied())
        .map(OsString::from);
    Invocation::parse(args.collect(), &variable, &read)
}

fn settings(words: &[&str]) -> Settings {
    parse(words, &[], None).unwrap().settings
}

fn refusal(words: &[&str]) -> String {
    match parse(words, &[], None) {
        Ok(invocation) => invocation.settings.check_serve().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn cf1_flags_win_then_the_environment_then_the_file() {
    let port = |words: &[&str], variables: &[(&str, &str)], file| {
        parse(words, variables, file)
            .unwrap()
            .settings
            .listen
            .port()
    };
    let flag: &[&str] = &["serve", "--listen", "127.0.0.1:1"];
    let variable: &[(&str, &str)] = &[("ROUNDTABLE_LISTEN", "127.0.0.1:2")];
    let file = Some("listen = '127.0.0.1:3'");
    assert_eq!(port(flag, variable, file), 1);
    assert_eq!(port(&["serve"], variable, file), 2);
    assert_eq!(port(&["serve"], &[], file), 3);
    assert_eq!(port(&["serve"], &[("ROUNDTABLE_LISTEN", "")], file), 3);
    assert_eq!(port(&["serve"], &[], None), 8080);
    assert_eq!(port(&["serve", "--config", "other.toml"], &[], file), 4);
    assert_eq!(port(&[], &[("ROUNDTABLE_CONFIG", "other.toml")], file), 4);
}

#[test]
fn cf1_every_setting_can_come_from_the_environment_and_the_file() {
    let variables = [
        ("DATABASE_URL", "postgres://u:p@h/db"),
        ("REDIS_URL", "redis://h"),
        ("ROUNDTABLE_JWT_SECRET", SECRET),
        ("ROUNDTABLE_DEV", "1"),
        ("ROUNDTABLE_LOG_FORMAT", "json"),
        ("ROUNDTABLE_LOG", "debug"),
        ("ROUNDTABLE_MAX_FRAME_BYTES", "1MiB"),
    ];
    let file = "
        drain-seconds = 5
        idle-seconds = '6'
        log-retention = '12h'
        snapshot-every = 7
        max-connections = 8
        max-rooms = 9
        max-rooms-per-user = 10
        max-backlog-bytes = 65536
        allowed-origins = ['https://a.example', 'https://b.example']
        log-format = 'text'
    ";
    let read = parse(&[], &variables, Some(file)).unwrap().settings;
    assert_eq!(read.database_url.expose(), "postgres://u:p@h/db");
    assert_eq!(read.redis_url, Some(Secret::new("redis://h")));
    assert_eq!(read.keys, Some(KeySource::Secret(Secret::new(SECRET))));
    assert_eq!(
        (read.dev, read.log_format, read.log.as_str()),
        (true, LogFormat::Json, "debug")
    );
    assert_eq!(
        read.origins,
        Origins::parse("https://a.example,https://b.example").unwrap()
    );
    let limits = Limits {
        frame_bytes_max: 1 << 20,
        update_bytes_max: 1 << 20,
        drain_ms: 5_000,
        room_idle_ms: 6_000,
        log_retention_ms: 12 * 60 * 60 * 1_000,
        snapshot_every_entries: 7,
        connections_max: 8,
        rooms_max: 9,
        rooms_per_user_max: 10,
        backlog_bytes_max: 65_536,
        ..Limits::default()
    };
    assert_eq!(read.limits, limits);
}

#[test]
fn cf1_the_defaults_of_the_flags_are_those_of_the_limits() {
    let read = settings(&["serve"]);
    assert_eq!(read.limits, Limits::default());
    assert_eq!(
        read.database_url.expose(),
        "sqlite://roundtable-data/roundtable.db"
    );
    assert_eq!(read.origins, Origins::Listed(Vec::new()));
    assert_eq!(
        (read.dev, read.log_format, read.keys),
        (false, LogFormat::Text, None)
    );
}

#[test]
fn cf2_an_unknown_key_of_the_file_is_named() {
    let message = |file| parse(&[], &[], Some(file)).unwrap_err().to_string();
    assert!(message("databse-url = 'x'").starts_with("`databse-url` in roundtable.toml is no"));
    assert!(message("config = 'x'").starts_with("`config` in roundtable.toml is no setting"));
    assert!(message("[listen]\nport = 1").starts_with("`listen` in roundtable.toml is no plain"));
}

#[test]
fn cf2_a_file_that_was_named_has_to_be_there() {
    let missing = parse(&["serve", "--config", "none.toml"], &[], None);
    assert!(matches!(missing, Err(SettingsError::File(..))));
}

#[test]
fn cf3_a_wrong_value_is_refused_with_the_place_it_came_from() {
    let message =
        |variables: &[(&str, &str)], file| parse(&[], variables, file).unwrap_err().to_string();
    let wrong = message(&[("ROUNDTABLE_LOG_RETENTION", "1w")], None);
    assert!(
        wrong.starts_with("the variable ROUNDTABLE_LOG_RETENTION is wrong: write"),
        "{wrong}"
    );
    let wrong = message(&[], Some("max-rooms = 0"));
    assert!(
        wrong.starts_with("`max-rooms` in roundtable.toml is wrong"),
        "{wrong}"
    );
    let wrong = message(&[("ROUNDTABLE_DEV", "maybe")], None);
    assert!(
        wrong.starts_with("the variable ROUNDTABLE_DEV is wrong"),
        "{wrong}"
    );
    let wrong = message(&[("ROUNDTABLE_LOG_FORMAT", "xml")], None);
    assert!(
        wrong.starts_with("the variable ROUNDTABLE_LOG_FORMAT is wrong"),
        "{wrong}"
    );
    assert!(refusal(&["serve", "--listen", "8080"]).starts_with("--listen is wrong"));
    assert!(refusal(&["serve", "--database-url", "mysql://a:b@c/d"]).starts_with("--database-url"));
    assert!(refusal(&["--dev", "--allowed-origins", "a.example"]).starts_with("--allowed-origins"));
    assert!(refusal(&["--dev", "--log", "roundtable=loud"]).starts_with("--log is wrong"));
    assert!(refusal(&["--jwks", "http://id.example/"]).starts_with("--jwks is wrong"));
    assert_eq!(
        settings(&["--listen", "localhost:9"]).listen,
        "127.0.0.1:9".parse().unwrap()
    );
}

#[test]
fn cf3_no_message_has_a_secret() {
    let file = format!("jwt-secret = '{SECRET}' oops");
    let messages = [
        parse(&[], &[], Some(&file)).unwrap_err().to_string(),
        refusal(&["--jwt-secret", "hunter2"]),
        refusal(&["--database-url", "mysql://u:hunter2@h/d"]),
        refusal(&["--jwks", "http://u:hunter2@id.example/"]),
        refusal(&["--dev", "--redis-url", "redis://:hunter2@h"]),
    ];
    for message in messages {
        assert!(
            !message.contains("hunter2") && !message.contains("thirty"),
            "{message}"
        );
    }
    let secret = [
        ("ROUNDTABLE_JWT_SECRET", SECRET),
        ("DATABASE_URL", "postgres://u:hunter2@h/d"),
    ];
    let help = parse(&["serve", "--help"], &secret, None)
        .unwrap_err()
        .to_string();
    assert!(!help.contains(SECRET) && !help.contains("hunter2"));
    let shown = format!("{:?}", parse(&[], &secret, None).unwrap());
    assert!(
        !shown.contains(SECRET) && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn cf6_a_server_without_key_or_dev_does_not_start() {
    let message = refusal(&["serve"]);
    assert!(
        message.contains("--jwt-secret") && message.contains("--dev"),
        "{message}"
    );
    assert!(settings(&["--dev"]).check_serve().is_ok());
    for key in [
        ["--jwt-secret", SECRET],
        ["--jwt-public-key", "a.pem"],
        ["--jwks", "a.json"],
    ] {
        assert!(settings(&key).check_serve().is_ok());
    }
}

#[test]
fn cf6_dev_does_not_listen_in_the_open() {
    for address in ["0.0.0.0:8080", "[::]:8080", "192.168.0.1:8080"] {
        let message = refusal(&["--dev", "--listen", address]);
        assert!(message.contains("--listen 127.0.0.1:8080"), "{message}");
    }
    assert!(
        settings(&["--dev", "--listen", "[::1]:1"])
            .check_serve()
            .is_ok()
    );
    let open = settings(&["--listen", "0.0.0.0:8080", "--jwt-secret", SECRET]);
    assert!(open.check_serve().is_ok());
}

#[test]
fn cf6_two_kinds_of_keys_are_refused() {
    let (secret, pem, set) = (
        ["--jwt-secret", SECRET],
        ["--jwt-public-key", "a"],
        ["--jwks", "b"],
    );
    for pair in [[secret, pem], [secret, set], [pem, set]] {
        assert!(refusal(&pair.concat()).contains("one key only"));
    }
}

#[test]
fn cf6_a_secret_that_can_be_guessed_is_refused_except_in_dev() {
    let short = "x".repeat(31);
    assert!(refusal(&["--jwt-secret", &short]).contains("shorter than 32 bytes"));
    assert!(
        settings(&["--dev", "--jwt-secret", &short])
            .check_serve()
            .is_ok()
    );
    assert!(
        settings(&["--jwt-secret", &"x".repeat(32)])
            .check_serve()
            .is_ok()
    );
    assert!(
        settings(&["--jwt-secret", &short])
            .signing_secret()
            .is_err()
    );
    assert!(matches!(
        settings(&[]).signing_secret(),
        Err(SettingsError::NoSecret)
    ));
}

#[test]
fn cf6_several_nodes_are_refused_so_far() {
    let message = refusal(&["--jwt-secret", SECRET, "--redis-url", "redis://h"]);
    assert!(
        message.contains("not supported in this version yet"),
        "{message}"
    );
}

#[test]
fn co6_the_crash_journal_is_beside_the_database_or_where_state_belongs() {
    let folder = |words: &[&str], variables: &[(&str, &str)]| {
        parse(words, variables, None)
            .unwrap()
            .settings
            .crash_journal
    };
    let usual = |path: &str| CrashFolder::Usual(path.into());
    let sqlite = [
        "serve",
        "--database-url",
        "sqlite:///var/rooms/a.db?mode=rwc",
    ];
    let postgres = ["serve", "--database-url", "postgres://u:p@h/db"];
    let state = [("STATE_DIRECTORY", "/var/lib/roundtable:/other")];
    assert_eq!(
        folder(&["serve"], &[]),
        usual("roundtable-data/crash-journal")
    );
    assert_eq!(folder(&sqlite, &state), usual("/var/rooms/crash-journal"));
    assert_eq!(
        folder(&postgres, &[]),
        usual("roundtable-data/crash-journal")
    );
    assert_eq!(
        folder(&postgres, &state),
        usual("/var/lib/roundtable/crash-journal")
    );
    let named = [("ROUNDTABLE_CRASH_JOURNAL", "/run/roundtable")];
    assert_eq!(
        folder(&sqlite, &named),
        CrashFolder::Named("/run/roundtable".into())
    );
    assert_eq!(
        folder(&["serve", "--crash-journal", "off"], &named),
        CrashFolder::Off
    );
}

#[test]
fn co10_a_step_about_a_case_names_it() {
    let request = |words: &[&str]| match parse(words, &[], None).map(|it| it.command) {
        Ok(Command::Quarantine(request)) => Ok(request),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    };
    let list = |json| Ok(QuarantineRequest::List { json });
    assert_eq!(request(&["quarantine", "list"]), list(false));
    assert_eq!(request(&["quarantine", "list", "--json"]), list(true));
    let show = QuarantineRequest::Show {
        id: 7,
        out: Some("case.bin".into()),
    };
    let words = [
        "quarantine",
        "show",
        "7",
        "--out",
        "case.bin",
        "--database-url",
        "sqlite://a",
    ];
    assert_eq!(request(&words), Ok(show));
    let release = QuarantineRequest::Release { id: 7 };
    assert_eq!(request(&["quarantine", "release", "7"]), Ok(release));
    let drop = QuarantineRequest::Drop { id: 7 };
    assert_eq!(request(&["quarantine", "drop", "7"]), Ok(drop));
    let unnamed = request(&["quarantine", "drop"]).unwrap_err();
    assert!(
        unnamed.starts_with("name the case by its number"),
        "{unnamed}"
    );
    assert!(request(&["quarantine", "burn", "7"]).is_err());
}
