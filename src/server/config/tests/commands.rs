//! CF: commands, their help, and what each takes.

use super::*;

#[test]
fn cf5_serve_is_meant_without_a_command() {
    for words in [&[][..], &["serve"], &["--dev"], &["serve", "--dev"]] {
        assert_eq!(parse(words, &[], None).unwrap().command, Command::Serve);
    }
    assert!(settings(&["--dev"]).dev && settings(&["--dev=true"]).dev);
    let off = parse(&["--dev=false"], &[("ROUNDTABLE_DEV", "true")], None).unwrap();
    assert!(!off.settings.dev);
    assert!(settings(&["serve"]).demo && !settings(&["--demo=false"]).demo);
}

#[test]
fn cf5_each_command_takes_what_it_needs() {
    let command = |words: &[&str]| parse(words, &[], None).unwrap().command;
    let room = RoomId::parse("project:42").unwrap();
    assert_eq!(
        command(&["migrate", "--database-url", "sqlite://x.db"]),
        Command::Migrate
    );
    assert_eq!(command(&["check"]), Command::Check { room: None });
    assert_eq!(
        command(&["check", "project:42"]),
        Command::Check {
            room: Some(room.clone())
        }
    );
    assert_eq!(
        command(&["export", "project:42", "--output", "a.bin"]),
        Command::Export {
            room: room.clone(),
            output: Some("a.bin".into())
        }
    );
    assert_eq!(
        command(&["import", "project:42"]),
        Command::Import { room, file: None }
    );
    let Command::Token(request) = command(&[
        "token",
        "--sub",
        "ada",
        "--name",
        "Ada",
        "--room",
        "a=read",
        "--room",
        "b:*=write",
        "--admin",
        "--expires",
        "15m",
    ]) else {
        panic!("not a token");
    };
    let passport = Passport {
        user: "ada".into(),
        name: Some("Ada".into()),
        rooms: vec![("a".into(), Access::Read), ("b:*".into(), Access::Write)],
        admin: true,
        expires_at: UnixMillis(900_001),
    };
    assert_eq!(request.passport(UnixMillis(1)), passport);
    for bad in [
        &["export"][..],
        &["export", ""],
        &["token"],
        &["nonsense"],
        &["serve", "x"],
    ] {
        assert!(
            matches!(parse(bad, &[], None), Err(SettingsError::Usage(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn cf7_help_names_every_setting_with_its_variable() {
    let help = parse(&["serve", "--help"], &[], None)
        .unwrap_err()
        .to_string();
    for (flag, variable) in [
        ("--listen", "ROUNDTABLE_LISTEN"),
        ("--database-url", "DATABASE_URL"),
        ("--redis-url", "REDIS_URL"),
        ("--jwt-secret", "ROUNDTABLE_JWT_SECRET"),
        ("--jwt-public-key", "ROUNDTABLE_JWT_PUBLIC_KEY"),
        ("--jwks", "ROUNDTABLE_JWKS"),
        ("--dev", "ROUNDTABLE_DEV"),
        ("--demo", "ROUNDTABLE_DEMO"),
        ("--allowed-origins", "ROUNDTABLE_ALLOWED_ORIGINS"),
        ("--log-format", "ROUNDTABLE_LOG_FORMAT"),
        ("--config", "ROUNDTABLE_CONFIG"),
        ("--max-backlog-bytes", "ROUNDTABLE_MAX_BACKLOG_BYTES"),
        ("--max-log-versions", "ROUNDTABLE_MAX_LOG_VERSIONS"),
        ("--audit-retention", "ROUNDTABLE_AUDIT_RETENTION"),
        ("--max-requests", "ROUNDTABLE_MAX_REQUESTS"),
        ("--max-polls", "ROUNDTABLE_MAX_POLLS"),
        ("--requests-window", "ROUNDTABLE_REQUESTS_WINDOW"),
        ("--max-auth-failures", "ROUNDTABLE_MAX_AUTH_FAILURES"),
    ] {
        assert!(
            help.contains(flag) && help.contains(&format!("[env: {variable}]")),
            "{flag}"
        );
    }
    let help = parse(&["token", "--help"], &[], None)
        .unwrap_err()
        .to_string();
    assert!(
        help.contains("--jwt-secret") && !help.contains("--max-rooms"),
        "{help}"
    );
}
