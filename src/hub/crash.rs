//! Owns the crash journal: what each worker is about to do to a document, in files that outlive the
//! process, so that the next one knows what this one may have died of.
//!
//! Each run of the program has a folder with a lock that ends with the process, and in it one slot
//! per piece of work that goes on at a time. Before a room takes what waits for it, or is folded
//! out of the store, its name and the updates are put into a slot with one write into the system's
//! memory: that outlives the process, not the machine, and costs no disk. A slot that is done with
//! keeps what it has until it is needed again: whoever reads it judges by trying (see
//! [`super::suspects`]). A clean end removes the folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::driver::Mail;
use crate::ids::RoomId;
use crate::lib0::{Reader, Unreadable, write_buffer, write_var_uint};
use crate::room::{Input, Room};

/// The first byte of a slot, and of what is said here.
const FORMAT: u8 = 1;

/// The file whose lock says that the run goes on.
const LOCK: &str = "lock";

/// A slot's memory is given back when one large update made it so large.
const SLOT_BYTES_KEPT: usize = 256 * 1024;

/// An update may rest on others that are merged and not durable, and does nothing without them.
/// They are noted with it while they are few, as they are unless the database is slow or away: then
/// the client that sends them again sends them together, and the next death tells.
const UNKEPT_BYTES_MAX: usize = 64 * 1024;

/// The length stands first, so that the end of an earlier, longer note is not read.
const LENGTH_BYTES: usize = 4;

/// What a worker was about to do: to fold a room, or to apply updates to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The room.
    pub room: RoomId,
    /// The updates, in order.
    pub updates: Vec<Bytes>,
}

impl Suspect {
    /// A slot's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, &self.room, self.updates.iter());
        out
    }

    /// Reads a slot's bytes; a half-written one is nothing.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
        let length = u32::from_le_bytes(*length) as usize;
        parse(rest.get(..length)?).ok().flatten()
    }
}

fn parse(note: &[u8]) -> Result<Option<Suspect>, Unreadable> {
    let mut reader = Reader::new(note);
    if reader.byte()? != FORMAT {
        return Ok(None);
    }
    let Ok(room) = RoomId::parse(reader.string()?) else {
        return Ok(None);
    };
    let count = reader.count(1)?;
    let updates = (0..count).map(|_| reader.buffer().map(Bytes::copy_from_slice));
    let updates = updates.collect::<Result<_, _>>()?;
    Ok(Some(Suspect { room, updates }))
}

fn write<'a>(out: &mut Vec<u8>, room: &RoomId, updates: impl Iterator<Item = &'a Bytes> + Clone) {
    out.clear();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.push(FORMAT);
    write_buffer(out, room.as_str().as_bytes());
    write_var_uint(out, updates.clone().count() as u64);
    for update in updates {
        write_buffer(out, update);
    }
    let length = u32::try_from(out.len() - LENGTH_BYTES).unwrap_or_default();
    out[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// The journal of this run; clones share it. [`CrashJournal::none`] notes nothing.
#[derive(Debug, Clone, Default)]
pub struct CrashJournal(Option<Arc<Run>>);

#[derive(Debug)]
struct Run {
    folder: PathBuf,
    slots: Mutex<Slots>,
    is_failing: AtomicBool,
    /// Locked as long as the process lives.
    _lock: File,
}

/// The slot that was used last is used next, so that there are few.
#[derive(Debug, Default)]
struct Slots {
    free: Vec<Slot>,
    made: usize,
}

#[derive(Debug)]
struct Slot {
    file: File,
    note: Vec<u8>,
}

tokio::task_local! {
    /// For the sake of which room a task folds: who folds need not know.
    static WORK: (CrashJournal, RoomId);
}

/// What is to be noted by a fold that begins now, in this task or where it is sent.
#[must_use]
pub fn work() -> Work {
    Work(WORK.try_with(Clone::clone).ok())
}

/// See [`work`]. Commands and tests note nothing.
#[derive(Debug, Clone)]
pub struct Work(Option<(CrashJournal, RoomId)>);

impl Work {
    /// Notes it, until the note is dropped.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        let (crash, room) = self.0.as_ref()?;
        crash.room(room)
    }
}

/// A slot in use, until it is dropped.
#[derive(Debug)]
pub struct Note {
    run: Arc<Run>,
    slot: Option<Slot>,
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            if slot.note.capacity() > SLOT_BYTES_KEPT {
                slot.note = Vec::new();
            }
            self.run.slots.lock().free.push(slot);
        }
    }
}

impl CrashJournal {
    /// Notes nothing: for commands and tests.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Begins the journal of a run, which nobody else has the name of.
    ///
    /// # Errors
    ///
    /// When its folder cannot be made.
    pub fn begin(folder: &Path, run: &str) -> io::Result<Self> {
        // Under another name until it is locked: who looks for dead runs must not find it unlocked.
        let new = folder.join(format!(".{run}"));
        fs::create_dir_all(&new)?;
        let lock = File::create(new.join(LOCK))?;
        lock.try_lock()?;
        let folder = folder.join(run);
        fs::rename(&new, &folder)?;
        Ok(Self(Some(Arc::new(Run {
            folder,
            slots: Mutex::default(),
            is_failing: AtomicBool::new(false),
            _lock: lock,
        }))))
    }

    /// Ends the journal of a run that did not die.
    pub fn end(&self) {
        if let Some(run) = &self.0 {
            // What is left is read once more at the next start, and does no harm.
            let _ = fs::remove_dir_all(&run.folder);
        }
    }

    /// Notes that a room is about to take what waits for it, if any of that reaches its document,
    /// on top of what it has and the store has not yet.
    #[must_use]
    pub fn mail(&self, name: &RoomId, room: &Room, mail: &[Mail]) -> Option<Note> {
        self.0.as_ref()?;
        let reaches = |mail: &Mail| match mail {
            Mail::Attach(_) => false,
            Mail::Ask(_) => true,
            Mail::Input(input, _) => reaches(input),
        };
        if !mail.iter().any(reaches) {
            return None;
        }
        let updates = mail.iter().filter_map(|mail| match mail {
            Mail::Input(Input::Submit { update, .. }, _) => Some(update),
            Mail::Input(..) | Mail::Attach(_) | Mail::Ask(_) => None,
        });
        self.turn(name, room.unkept(UNKEPT_BYTES_MAX).chain(updates))
    }

    /// Notes that a room is about to take one input, if that reaches its document.
    #[must_use]
    pub fn input(&self, name: &RoomId, room: &Room, input: &Input) -> Option<Note> {
        self.0.as_ref()?;
        reaches(input).then(|| self.turn(name, room.unkept(UNKEPT_BYTES_MAX)))?
    }

    /// Does work on what is stored of a room; folds in it are noted ([`work`]).
    pub fn during<F: Future>(
        &self,
        room: RoomId,
        work: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        WORK.scope((self.clone(), room), work)
    }

    /// Notes that a room is about to be folded, or encoded, out of what is stored.
    #[must_use]
    pub fn room(&self, room: &RoomId) -> Option<Note> {
        self.turn(room, std::iter::empty())
    }

    /// Notes that a room is about to apply updates.
    #[must_use]
    pub fn turn<'a>(
        &self,
        room: &RoomId,
        updates: impl Iterator<Item = &'a Bytes> + Clone,
    ) -> Option<Note> {
        self.0.as_ref()?.note(room, updates)
    }
}

/// Whether an input makes the CRDT do something.
fn reaches(input: &Input) -> bool {
    match input {
        Input::Submit { .. } | Input::Sync { .. } => true,
        Input::Fetched { entries } => entries.is_some(),
        Input::Recalled { recalled } => recalled.is_some(),
        Input::Attach { .. }
        | Input::Operate { .. }
        | Input::Renew { .. }
        | Input::Detach { .. }
        | Input::Present { .. }
        | Input::Appear { .. }
        | Input::Say { .. }
        | Input::AskPresence { .. }
        | Input::Appended { .. }
        | Input::Compacted { .. }
        | Input::Delete { .. }
        | Input::Erased { .. }
        | Input::Tick
        | Input::Drain => false,
    }
}

impl Run {
    fn note<'a>(
        self: &Arc<Self>,
        room: &RoomId,
        updates: impl Iterator<Item = &'a Bytes> + Clone,
    ) -> Option<Note> {
        let mut slot = match self.slot() {
            Ok(slot) => slot,
            Err(error) => {
                self.fail(&error);
                return None;
            }
        };
        write(&mut slot.note, room, updates);
        if let Err(error) = slot.file.write_all_at(&slot.note, 0) {
            self.fail(&error);
        }
        Some(Note {
            run: self.clone(),
            slot: Some(slot),
        })
    }

    fn slot(&self) -> io::Result<Slot> {
        let number = {
            let mut slots = self.slots.lock();
            if let Some(slot) = slots.free.pop() {
                return Ok(slot);
            }
            slots.made += 1;
            slots.made
        };
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true);
        Ok(Slot {
            file: file.open(self.folder.join(number.to_string()))?,
            note: Vec::new(),
        })
    }

    /// Rooms go on without a journal; that is told once.
    fn fail(&self, error: &io::Error) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "the crash journal cannot be written");
        }
    }
}

/// A run that did not end by itself, and what it was doing.
#[derive(Debug)]
pub struct DeadRun {
    /// What it was doing, or had done last, each once.
    pub suspects: Vec<Suspect>,
    folder: PathBuf,
    /// So that nobody else judges it.
    _lock: File,
}

impl DeadRun {
    /// Forgets the run.
    pub fn bury(self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "the crash journal of a dead run cannot be removed");
        }
    }
}

/// The runs in a folder that nobody goes on with.
///
/// # Errors
///
/// When the folder is there and cannot be read.
pub fn dead_runs(folder: &Path) -> io::Result<Vec<DeadRun>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut dead = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || !folder.is_dir() {
            continue;
        }
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        dead.push(DeadRun {
            suspects: suspects(&folder)?,
            folder,
            _lock: lock,
        });
    }
    Ok(dead)
}

fn suspects(folder: &Path) -> io::Result<Vec<Suspect>> {
    let mut suspects: Vec<Suspect> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let slot = entry?.path();
        if slot.file_name().is_some_and(|name| name == LOCK) {
            continue;
        }
        if let Some(suspect) = Suspect::decode(&fs::read(&slot)?)
            && !suspects.contains(&suspect)
        {
            suspects.push(suspect);
        }
    }
    Ok(suspects)
}

#[cfg(test)]
mod tests;
