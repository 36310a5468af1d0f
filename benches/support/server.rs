//! Owns running the real program for a bench, and what it costs.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context;

/// How many of a process's clock ticks are a second: Linux tells user space so on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of CPU that a process has used: user and system, all threads.
pub fn cpu_seconds_of(process: u32) -> f64 {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(path).expect("it runs on Linux");
    // The name, in brackets, may have spaces; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks
        .map(|ticks| ticks.parse::<f64>().expect("a number"))
        .sum();
    ticks / TICKS_PER_SECOND
}

/// Bytes of memory that a process holds, without what it shares with others.
pub fn memory_bytes_of(process: u32) -> f64 {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(path).expect("it runs on Linux");
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: f64 = kib.and_then(|kib| kib.parse().ok()).expect("a number");
    kib * 1024.0
}

/// The program, until it is dropped; it is killed then, without a word.
pub struct Server {
    child: Child,
    /// Open, as it is still writing there.
    _greeting: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts it on a free port and waits until it listens. `ROUNDTABLE_BIN` names another program
    /// than the one that was built with the bench.
    pub fn start(database_url: &str, folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(database_url, folder, &[])
    }

    /// As [`Self::start`], with more flags.
    pub fn start_with(database_url: &str, folder: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let built = env!("CARGO_BIN_EXE_roundtable").into();
        let program = std::env::var_os("ROUNDTABLE_BIN").unwrap_or(built);
        let mut child = Command::new(&program)
            .args(["serve", "--dev", "--log", "warn"])
            .args(["--listen", "127.0.0.1:0", "--database-url", database_url])
            .args(flags)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let mut greeting = BufReader::new(child.stdout.take().context("its output")?);
        let mut line = String::new();
        greeting.read_line(&mut line)?;
        let address = line.trim().rsplit("http://").next().unwrap_or_default();
        let address = address.parse().with_context(|| format!("read {line:?}"))?;
        Ok(Self {
            child,
            _greeting: greeting,
            address,
        })
    }

    /// Tells it to end, and waits until it has. One that is dropped is killed, and what its rooms
    /// did last is tried aside by the next before they are opened.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status()?;
        anyhow::ensure!(told.success(), "the server is gone");
        self.child.wait()?;
        Ok(())
    }

    /// Seconds of CPU that it has used: user and system, all threads.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds_of(self.child.id())
    }

    /// Bytes of memory that it holds, without what it shares with other processes.
    pub fn memory_bytes(&self) -> f64 {
        memory_bytes_of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
