//! Opening a store on disk: whose it is, who has it, which version wrote it, whether it is whole.
//! It must never change a store that it refuses.

use std::{
    fs::{DirBuilder, File},
    io::Read,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::fs::FlockOperation;

use crate::{
    Embedded, EngineKind, Journaled, StoreError,
    format::{self, Format, Place},
    kv::Engine,
    segments,
    steps::{self, Step, Walk},
    whole,
};

/// What an engine's directory is called, after its name, while the store is being made.
const MAKING: &str = "new";
/// Who holds the store: its process id in decimal digits, valid while the directory is locked.
const HOLDER: &str = "pid";

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// How long to wait for another process to give it back.
    pub wait: Duration,
    /// Bytes of pages kept in memory.
    pub cache: u64,
    /// Bytes of durable writes that wait in memory, at most, until they are put into their trees.
    pub journal: usize,
    /// Where the copy goes that is made before a step of format; `backups` in the store's directory if it is not said.
    pub backups: Option<PathBuf>,
    /// The engine it must have; where it is not said, the one it has, or sled for a new one.
    pub engine: Option<EngineKind>,
}

impl Default for OpenOptions {
    /// No waiting; 32 MiB of pages, which do for 200,000 records; 16 MiB of journal; whichever engine.
    fn default() -> Self {
        Self { wait: Duration::ZERO, cache: 32 << 20, journal: 16 << 20, backups: None, engine: None }
    }
}

impl OpenOptions {
    /// Where copies of the store at that path go.
    pub(crate) fn backups_of(&self, path: &Path) -> PathBuf {
        self.backups.clone().unwrap_or_else(|| path.join("backups"))
    }
}

/// The hold on a store's directory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The store's directory.
    pub(crate) path: PathBuf,
    /// Bytes of pages kept in memory.
    pub(crate) cache: u64,
    /// Where the engine is now.
    place: Mutex<Place>,
    /// The directory itself is what is locked, so that asking leaves no trace in it.
    _dir: File,
}

impl Hold {
    /// Where the engine is now.
    pub(crate) fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the engine is somewhere else now; gives where it was.
    pub(crate) fn moved_to(&self, place: Place) -> Place {
        std::mem::replace(&mut *self.place.lock().unwrap_or_else(PoisonError::into_inner), place)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // The engine has closed its files: it is dropped before this. Without the note the next opening looks closer.
        let _ = whole::note_closed(&self.path, &self.place());
        // Left behind it would only name a process that does not hold the lock: nobody reads it then.
        let _ = std::fs::remove_file(self.path.join(HOLDER));
    }
}

/// Opens the store in a directory, or makes one there.
///
/// Refused stores are left as they are, byte for byte: another user's (root's included), locked ones, ones that need a
/// newer reader or have another engine than asked for, and damaged ones as far as `whole::check` finds it before the
/// engine writes.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Embedded<Journaled>, StoreError> {
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
pub(crate) fn open_locked(path: &Path, options: &OpenOptions, dir: File) -> Result<Embedded<Journaled>, StoreError> {
    opened_by(steps::ALL, path, options, dir)
}

/// Opens a store and takes those of these steps that are due.
pub(crate) fn opened_by(
    steps: &[Step],
    path: &Path,
    options: &OpenOptions,
    dir: File,
) -> Result<Embedded<Journaled>, StoreError> {
    let format = found(path, options)?;
    whole::check(path, &format.place, format.has_journal(), options.cache)?;
    // The copy before the first step needs the files as they were closed, and room: both before anything is changed.
    let walk = Walk::begin(path, &format, (steps, options))?;
    let store = running(path, options, (&format.place, dir.try_clone()?))?;
    if let Some(walk) = walk
        && !walk.go(&store)?
    {
        drop(store);
        return opened_by(steps, path, options, dir);
    }
    store.with_segments(&path.join(segments::NAME))
}

/// Opens the store in a directory without taking any step, and lets it be read.
pub fn look<T, E: From<StoreError>>(
    path: &Path,
    options: &OpenOptions,
    read: impl FnOnce(&Embedded<Journaled>) -> Result<T, E>,
) -> Result<T, E> {
    read(&looked_at(path, options, locked(path, options.wait)?)?)
}

/// The store in a directory that is locked, opened without taking any step. One with steps to take must only be read.
pub(crate) fn looked_at(path: &Path, options: &OpenOptions, dir: File) -> Result<Embedded<Journaled>, StoreError> {
    let format = found(path, options)?;
    whole::check(path, &format.place, format.has_journal(), options.cache)?;
    let store = running(path, options, (&format.place, dir))?;
    // Before the last step there need not be any, and they would be filled.
    if format.version < format::VERSION { Ok(store) } else { store.with_segments(&path.join(segments::NAME)) }
}

/// The store over an engine whose files were checked.
fn running(
    path: &Path,
    options: &OpenOptions,
    (place, dir): (&Place, File),
) -> Result<Embedded<Journaled>, StoreError> {
    whole::forget_closed(path)?;
    clear_rewrites(path, place)?;
    let directory = path.join(place.name());
    let engine = opened(path, place, &directory, options.cache)?;
    let hold = hold(path, dir, (place.clone(), options.cache))?;
    Embedded::over(Journaled::open(engine, &directory, options.journal, Some(hold))?)
}

/// The format of the store; one that is not there is made.
fn found(path: &Path, options: &OpenOptions) -> Result<Format, StoreError> {
    let Some(format) = format::read(path)? else {
        // In its first place or in one that a rewrite moved it to. One that was being made is none yet.
        for entry in std::fs::read_dir(path)? {
            let name = entry?.file_name();
            let is_place = |kind| name.to_str().and_then(|name| Place::named(kind, name)).is_some();
            if EngineKind::ALL.into_iter().any(is_place) {
                return Err(damaged(path, "its format file is missing"));
            }
        }
        return make(path, options);
    };
    let (place, kind) = (format.place.clone(), options.engine);
    if let Some(asked) = kind.filter(|kind| *kind != place.kind) {
        return Err(StoreError::OtherEngine { path: path.to_owned(), found: place.kind.name(), asked: asked.name() });
    }
    let (engine, making) = (path.join(place.name()), making(path, place.kind));
    if !engine.try_exists()? {
        if place.rewrites > 0 || !making.try_exists()? {
            return Err(damaged(path, "the engine's directory is missing"));
        }
        // The process that made the store ended between its last two steps.
        std::fs::rename(making, engine)?;
    }
    Ok(format)
}

/// Removes what a rewrite left that was cut short: directories of the engine that the format file does not name.
fn clear_rewrites(path: &Path, place: &Place) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let other = entry.file_name().to_str().and_then(|name| Place::named(place.kind, name));
        if other.is_some_and(|other| other != *place) {
            tracing::info!(path = %entry.path().display(), "removing what is left of a rewrite");
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the engine's files aside, then the format file, then moves them into place: a store is whole or not there.
fn make(path: &Path, options: &OpenOptions) -> Result<Format, StoreError> {
    let place = Place::first(options.engine.unwrap_or_default());
    let making = making(path, place.kind);
    if making.try_exists()? {
        std::fs::remove_dir_all(&making)?;
    }
    DirBuilder::new().mode(0o700).create(&making)?;
    drop(Journaled::open(opened(path, &place, &making, options.cache)?, &making, options.journal, None)?);
    let format = Format::anew(place);
    format::write(path, &format)?;
    std::fs::rename(&making, path.join(format.place.name()))?;
    File::open(path)?.sync_all()?;
    whole::note_closed(path, &format.place)?;
    Ok(format)
}

fn making(path: &Path, kind: EngineKind) -> PathBuf {
    path.join(format!("{}.{MAKING}", kind.name()))
}

/// Opens an engine, or makes one in an empty directory, on a thread of its own.
pub(crate) fn opened(path: &Path, place: &Place, engine: &Path, cache: u64) -> Result<Arc<dyn Engine>, StoreError> {
    if !whole::is_let_go(engine, place.kind)? {
        return Err(StoreError::Locked { path: path.to_owned(), holder: holder(path) });
    }
    let (kind, engine) = (place.kind, engine.to_owned());
    whole::guarded(path, move || kind.open(&engine, cache))
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

fn hold(path: &Path, dir: File, (place, cache): (Place, u64)) -> Result<Hold, StoreError> {
    format::write_whole(&path.join(HOLDER), std::process::id().to_string().as_bytes())?;
    Ok(Hold { path: path.to_owned(), cache, place: Mutex::new(place), _dir: dir })
}

fn holder(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path.join(HOLDER)).ok()?.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what: what.to_owned() }
}
