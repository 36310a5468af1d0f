//! Owns the program: reads what it is asked to do, does it, and says in one line why it could not.
//!
//! Exit codes: 0 done, 1 `check` found a difference, 2 the command line or a setting is wrong,
//! 3 it failed.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use roundtable::auth;
use roundtable::server::clock::Clock;
use roundtable::server::config::{Command, Invocation, Settings, SettingsError, TokenRequest};
use roundtable::server::{self, Checked, redact, telemetry};

/// Rooms are made and dropped by the thousand; the system's allocator keeps their memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DIFFERENT: u8 = 1;
const USAGE: u8 = 2;
const FAILED: u8 = 3;

fn main() -> ExitCode {
    let invocation = match Invocation::from_process() {
        Ok(invocation) => invocation,
        Err(error) => return refused(error),
    };
    match run(invocation) {
        Ok(code) => code,
        Err(error) => match error.downcast::<SettingsError>() {
            Ok(error) => refused(error),
            Err(error) => {
                complain(&error);
                ExitCode::from(FAILED)
            }
        },
    }
}

fn run(invocation: Invocation) -> anyhow::Result<ExitCode> {
    let Invocation { command, settings } = invocation;
    // A token goes to standard output alone, and needs neither a log nor a runtime.
    if let Command::Token(request) = command {
        return print_token(&settings, request);
    }
    if command == Command::Serve {
        settings.check_serve()?;
    }
    telemetry::install_log(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(perform(command, settings))
}

async fn perform(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => server::serve(settings).await?,
        Command::Token(request) => return print_token(&settings, request),
        Command::Migrate => server::migrate(settings).await?,
        Command::Check { room } => match server::check(settings, room).await? {
            Checked::Agrees => {}
            Checked::Differs => return Ok(ExitCode::from(DIFFERENT)),
        },
        Command::Quarantine(request) => server::quarantine(settings, request).await?,
        Command::Probe => server::probe(settings).await?,
        Command::Export { room, output } => server::export(settings, room, output).await?,
        Command::Import { room, file } => server::import(settings, room, file).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print_token(settings: &Settings, request: TokenRequest) -> anyhow::Result<ExitCode> {
    let secret = settings.signing_secret()?;
    let now = Clock::system().wall();
    let token = auth::mint(secret, &request.passport(now), now)?;
    writeln!(std::io::stdout(), "{}", token.expose()).context("print the token")?;
    Ok(ExitCode::SUCCESS)
}

/// Help and the version are refusals too, to clap, and no failures.
fn refused(error: SettingsError) -> ExitCode {
    if let SettingsError::Usage(usage) = error {
        let _ = usage.print();
        return if usage.use_stderr() {
            ExitCode::from(USAGE)
        } else {
            ExitCode::SUCCESS
        };
    }
    complain(&error.into());
    ExitCode::from(USAGE)
}

/// Whether standard error can still be written to is nothing that could be told.
fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "roundtable: {}", redact::one_line(error));
}
