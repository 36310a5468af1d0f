//! Owns the probe of a suspect: a child process that does what the dead process was doing, and may
//! die of it. And the command that this child runs.
//!
//! The child is told the suspect on standard input, and says on standard output what it is about to
//! do: `room`, once the room is loaded and can be read, then `update` with its number and its marks
//! before each. What it said last is what it died of.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::clock::Clock;
use super::config::{CrashFolder, Settings};
use crate::auth::Secret;
use crate::hub::Hub;
use crate::hub::crash::{self, CrashJournal, DeadRun, Suspect};
use crate::hub::loader;
use crate::hub::suspects::{Probe, Verdict};
use crate::ids::Epoch;
use crate::room::barred::hash_of;
use crate::store;

/// No room takes so long to load, and no update to apply.
const STEP_MS_MAX: u64 = 60_000;

/// The system kills what takes too much memory, and an operator what he chooses. One that is killed
/// so often, alone and one after the other, is killed for its memory.
const KILLS_MAX: usize = 3;

const ROOM: &str = "room";
const UPDATE: &str = "update";

/// Begins the crash journal of this process, and finds the runs that died.
pub(super) fn open_crash_journal(
    settings: &Settings,
    clock: Clock,
) -> anyhow::Result<(CrashJournal, Vec<DeadRun>)> {
    let folder = &settings.crash_journal;
    let (CrashFolder::Named(path) | CrashFolder::Usual(path)) = folder else {
        return Ok((CrashJournal::none(), Vec::new()));
    };
    // What another database's rooms did must not be judged by this one's.
    let database = hash_of(settings.database_url.expose().as_bytes());
    let path = &path.join(to_hex(&database[..8]));
    let open = || {
        let dead = crash::dead_runs(path)?;
        let run = clock.uuid_v4().simple().to_string();
        std::io::Result::Ok((CrashJournal::begin(path, &run)?, dead))
    };
    match (open(), folder) {
        (Ok(opened), _) => Ok(opened),
        (Err(error), CrashFolder::Usual(_)) => {
            let folder = path.display();
            tracing::warn!(%folder, %error, "no crash journal: set --crash-journal to a folder");
            Ok((CrashJournal::none(), Vec::new()))
        }
        (Err(error), CrashFolder::Named(_) | CrashFolder::Off) => {
            Err(error).with_context(|| format!("open the crash journal {}", path.display()))
        }
    }
}

/// Judges the runs that died, beside everything else.
pub(super) async fn judge(hub: Hub, dead: Vec<DeadRun>, settings: Settings) {
    let probe = ChildProbe {
        program: program(),
        database_url: settings.database_url,
    };
    hub.judge(dead, Arc::new(probe)).await;
}

/// The file that this process runs, also when another was put in its place meanwhile.
fn program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return running;
    }
    std::env::current_exe().unwrap_or_else(|_| "roundtable".into())
}

struct ChildProbe {
    program: PathBuf,
    database_url: Secret,
}

/// How far a child came, and how it ended.
struct Course {
    /// Whether the room was loaded, and the last update that was begun, with its marks.
    room: bool,
    update: Option<(usize, Bytes)>,
    /// Nothing, when it did not end in time.
    status: Option<ExitStatus>,
}

#[async_trait]
impl Probe for ChildProbe {
    async fn probe(&self, suspect: &Suspect) -> Verdict {
        let mut kills = 0;
        loop {
            let course = match self.run(suspect).await {
                Ok(course) => course,
                Err(error) => {
                    let reason = format!("run the probe: {error}");
                    return Verdict::Unclear { reason };
                }
            };
            if course.was_killed() {
                kills += 1;
                if kills < KILLS_MAX {
                    continue;
                }
            }
            return course.verdict();
        }
    }
}

impl ChildProbe {
    async fn run(&self, suspect: &Suspect) -> std::io::Result<Course> {
        let mut command = Command::new(&self.program);
        // What this process was told by flags, variables or a file must not be told otherwise.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROUNDTABLE_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .arg("probe")
            // Not on the command line, which others can read.
            .env("DATABASE_URL", self.database_url.expose())
            .env("ROUNDTABLE_CONFIG", "/dev/null")
            .env("ROUNDTABLE_LOG", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A child that died does not read; how it died is said below.
            let _ = stdin.write_all(&suspect.encode()).await;
        }
        let mut course = Course {
            room: false,
            update: None,
            status: None,
        };
        course.follow(&mut child).await?;
        Ok(course)
    }
}

impl Course {
    async fn follow(&mut self, child: &mut Child) -> std::io::Result<()> {
        let step = Duration::from_millis(STEP_MS_MAX);
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            loop {
                match tokio::time::timeout(step, lines.next_line()).await {
                    Ok(line) => match line? {
                        Some(line) => self.hear(&line),
                        None => break,
                    },
                    Err(_) => return child.kill().await,
                }
            }
        }
        self.status = Some(child.wait().await?);
        Ok(())
    }

    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some(ROOM), None, None) => self.room = true,
            (Some(UPDATE), Some(index), marks) => {
                let marks = marks.and_then(from_hex).unwrap_or_default();
                self.update = index.parse().ok().map(|index| (index, marks));
            }
            _ => {}
        }
    }

    fn was_killed(&self) -> bool {
        use std::os::unix::process::ExitStatusExt;
        const SIGKILL: i32 = 9;
        self.status
            .is_some_and(|status| status.signal() == Some(SIGKILL))
    }

    fn verdict(self) -> Verdict {
        use std::os::unix::process::ExitStatusExt;
        let how = match self.status {
            Some(status) if status.success() => return Verdict::Innocent,
            Some(status) if status.signal().is_none() => {
                let reason = format!("the probe ended with {status}");
                return Verdict::Unclear { reason };
            }
            Some(status) => format!("ended the process with {status}"),
            None => format!("did not end within {} s", STEP_MS_MAX / 1_000),
        };
        match self.update {
            Some((index, marks)) => Verdict::Update {
                index,
                marks,
                reason: format!("applying it {how}"),
            },
            None if self.room => Verdict::Unclear {
                reason: format!("the probe {how}"),
            },
            None => Verdict::Room {
                reason: format!("loading it {how}"),
            },
        }
    }
}

/// Loads a room and applies updates to it, as standard input says; says what it does on standard
/// output, and dies of it or does not.
///
/// # Errors
///
/// When the store cannot be read: that says nothing of the room.
pub async fn probe(settings: Settings) -> anyhow::Result<()> {
    // When memory runs out, this process is the one to go; it may not be Linux.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut told = Vec::new();
    std::io::stdin()
        .read_to_end(&mut told)
        .context("read the suspect")?;
    let suspect = Suspect::decode(&told).context("understand the suspect")?;
    let store = store::open(settings.database_url.expose()).await?;
    let clock = Clock::system();
    let epoch = Epoch(clock.uuid_v4());
    // On a worker, whose stack is the one that rooms have.
    let work = tokio::spawn(async move {
        let loaded = loader::load(&store, &suspect.room, clock.client_id(), epoch).await;
        let mut document = match loaded {
            Ok(opened) => opened.document,
            Err(store::Failure::Unavailable(away)) => anyhow::bail!("load the room: {away}"),
            // The server refuses to open it, and does not die of it.
            Err(store::Failure::Refused(_) | store::Failure::Corrupt(_)) => return Ok(()),
        };
        read_all(&mut document);
        say(ROOM)?;
        for (index, update) in suspect.updates.iter().enumerate() {
            let marks = to_hex(&document.marks(update).encode());
            say(&format!("{UPDATE} {index} {marks}"))?;
            match document.apply(update) {
                Ok(_) | Err(crate::room::Fault::Rejected(_)) => {}
                // The server would hold it for this alone.
                Err(crate::room::Fault::Broken(_)) => std::process::abort(),
            }
            read_all(&mut document);
        }
        Ok(())
    });
    match work.await {
        Ok(done) => done,
        // So does a panic: here it ends the process as everything else that kills.
        Err(_) => std::process::abort(),
    }
}

/// Everything that the server may be asked for.
fn read_all(document: &mut crate::room::Document) {
    drop(document.state());
    drop(document.json());
    drop(document.collections());
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").context("print")?;
    out.flush().context("print")
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Bytes> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let bytes = (0..text.len()).step_by(2);
    bytes
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn course(lines: &[&str], status: Option<i32>) -> Verdict {
        let mut course = Course {
            room: false,
            update: None,
            status: status.map(ExitStatus::from_raw),
        };
        lines.iter().for_each(|line| course.hear(line));
        course.verdict()
    }

    #[test]
    fn co7_what_a_probe_said_last_is_what_it_died_of() {
        let abort = Some(6);
        assert!(matches!(course(&[], abort), Verdict::Room { .. }));
        let update = |index, marks| Verdict::Update {
            index,
            marks,
            reason: "applying it ended the process with signal: 6 (SIGABRT)".into(),
        };
        let marks = Bytes::from_static(&[1, 255]);
        assert_eq!(course(&["room", "update 0 01ff"], abort), update(0, marks));
        let lines = ["room", "update 0 01ff", "update 1 "];
        assert_eq!(course(&lines, abort), update(1, Bytes::new()));
        let hung = course(&["room", "update 3 00"], None);
        assert!(matches!(hung, Verdict::Update { index: 3, .. }), "{hung:?}");
    }

    #[test]
    fn co7_a_probe_that_lives_clears_and_one_that_fails_says_nothing() {
        assert_eq!(course(&["room", "update 0 00"], Some(0)), Verdict::Innocent);
        let failed = course(&[], Some(3 << 8));
        assert!(matches!(failed, Verdict::Unclear { .. }), "{failed:?}");
    }

    #[test]
    fn co7_marks_are_carried_as_text() {
        let bytes = Bytes::from_static(&[0, 1, 15, 16, 255]);
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
        assert_eq!(from_hex("é"), None);
    }
}
