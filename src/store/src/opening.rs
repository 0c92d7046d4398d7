//! Opening a store on disk: whose it is, who has it, which version wrote it, whether it is whole.
//! It must never change a store that it refuses.

use std::{
    fs::{DirBuilder, File},
    io::Read,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::FlockOperation;

use crate::{Embedded, Journaled, Sled, StoreError, format, segments, whole};

/// Where sled's files are, below the store's directory.
const ENGINE: &str = "sled";
/// Where they are made before the store is a store.
const MAKING: &str = "sled.new";
/// Who holds the store: its process id in decimal digits, valid while the directory is locked.
const HOLDER: &str = "pid";

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// How long to wait for another process to give it back.
    pub wait: Duration,
    /// Bytes of pages kept in memory.
    pub cache: u64,
    /// Bytes of durable writes that wait in memory until they are put into their trees.
    pub journal: usize,
}

impl Default for OpenOptions {
    /// No waiting; 32 MiB of pages, which do for 200,000 records; 16 MiB of journal.
    fn default() -> Self {
        Self { wait: Duration::ZERO, cache: 32 << 20, journal: 16 << 20 }
    }
}

/// The hold on a store's directory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The store's directory.
    pub(crate) path: PathBuf,
    /// The directory itself is what is locked, so that asking leaves no trace in it.
    _dir: File,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // sled has closed its files: they are dropped before this. Without the note the next opening looks closer.
        let _ = whole::note_closed(&self.path, &self.path.join(ENGINE));
        // Left behind it would only name a process that does not hold the lock: nobody reads it then.
        let _ = std::fs::remove_file(self.path.join(HOLDER));
    }
}

/// Opens the store in a directory, or makes one there.
///
/// Refused stores are left as they are, byte for byte: another user's (root's included), locked ones, ones that need a
/// newer reader, and damaged ones as far as `whole::check` finds it before the engine writes.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Embedded<Journaled<Sled>>, StoreError> {
    let dir = locked(path, options.wait)?;
    open_locked(path, options, dir)
}

/// The lock on a directory of this user's, which is made if it is not there. It holds as long as the file or a clone of it
/// is open.
pub(crate) fn locked(path: &Path, wait: Duration) -> Result<File, StoreError> {
    make_dir(path)?;
    ours(path)?;
    lock(path, wait)
}

/// Opens the store in a directory that is locked.
pub(crate) fn open_locked(
    path: &Path,
    options: &OpenOptions,
    dir: File,
) -> Result<Embedded<Journaled<Sled>>, StoreError> {
    let engine = path.join(ENGINE);
    let mut journal = true;
    match (format::read(path)?, engine.try_exists()?) {
        (Some(format), true) => {
            format.readable(path)?;
            journal = format.has_journal();
        }
        (Some(format), false) if path.join(MAKING).try_exists()? => {
            // The process that made the store ended between its last two steps.
            format.readable(path)?;
            std::fs::rename(path.join(MAKING), &engine)?;
        }
        (Some(_), false) => return Err(damaged(path, "the engine's directory is missing")),
        (None, true) => return Err(damaged(path, "its format file is missing")),
        (None, false) => make(path, options)?,
    }
    whole::check(path, &engine, journal, options.cache)?;
    whole::forget_closed(path)?;
    let kv = opened(path, &engine, options.cache)?;
    let hold = hold(path, dir)?;
    if !journal {
        // Before anything is written that an older reader would not see.
        format::write(path)?;
    }
    let store = Embedded::over(Journaled::open(kv.held(hold), &engine, options.journal)?)?;
    Ok(store.with_segments(&path.join(segments::NAME))?.0)
}

/// Makes the engine's files aside, then the format file, then moves them into place: a store is whole or not there.
fn make(path: &Path, options: &OpenOptions) -> Result<(), StoreError> {
    let making = path.join(MAKING);
    if making.try_exists()? {
        std::fs::remove_dir_all(&making)?;
    }
    DirBuilder::new().mode(0o700).create(&making)?;
    drop(Journaled::open(opened(path, &making, options.cache)?, &making, options.journal)?);
    whole::note_closed(path, &making)?;
    format::write(path)?;
    std::fs::rename(&making, path.join(ENGINE))?;
    Ok(File::open(path)?.sync_all()?)
}

fn opened(path: &Path, engine: &Path, cache: u64) -> Result<Sled, StoreError> {
    if !whole::is_let_go(engine)? {
        return Err(StoreError::Locked { path: path.to_owned(), holder: holder(path) });
    }
    let engine = engine.to_owned();
    whole::guarded(path, move || Sled::open(&engine, cache))
}

fn make_dir(path: &Path) -> Result<(), StoreError> {
    if !path.try_exists()? {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    Ok(())
}

/// Refuses another user's store. Root is no exception: what it writes there the owner could not read afterwards.
fn ours(path: &Path) -> Result<(), StoreError> {
    let (owner, uid) = (std::fs::metadata(path)?.uid(), rustix::process::geteuid().as_raw());
    if owner == uid { Ok(()) } else { Err(StoreError::Foreign { path: path.to_owned(), owner, uid }) }
}

fn lock(path: &Path, wait: Duration) -> Result<File, StoreError> {
    let dir = File::open(path)?;
    let begun = Instant::now();
    loop {
        match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(dir),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if begun.elapsed() < wait => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StoreError::Locked { path: path.to_owned(), holder: holder(path) });
            }
            Err(error) => return Err(StoreError::Io(error.into())),
        }
    }
}

fn hold(path: &Path, dir: File) -> Result<Hold, StoreError> {
    format::write_whole(&path.join(HOLDER), std::process::id().to_string().as_bytes())?;
    Ok(Hold { path: path.to_owned(), _dir: dir })
}

fn holder(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path.join(HOLDER)).ok()?.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what: what.to_owned() }
}
