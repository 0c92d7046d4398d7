//! Whether the engine's files are whole. Engines mend and cut their files while they open them, so damage must be found
//! before: files that differ from what they were at the last orderly close are refused; after a crash, which leaves no
//! such note, the opening is rehearsed where nothing is written to them: sled with a copy that is read to the end, redb
//! with its writes kept in memory, and every page's checksum compared.
//! It must never write to the files it looks at.
//!
//! What this finds: after an orderly close, any file missing, cut off, grown or changed; after a crash, whatever the
//! engine cannot open or read. What it does not: in files over 64 MiB a changed byte beyond the first 4 KiB of each half
//! mebibyte, which sled's checksums find when that page is read, and redb's at the next crash; and after a crash a changed
//! byte that makes an engine fall back to an older state, unless the journal shows that something is lacking. Without room
//! for a copy there is no rehearsal of sled either.

use std::{
    fs::{DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, FileExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use crate::{
    Embedded, EngineKind, Journaled, StoreError,
    format::{self, Place},
    journal::FILES,
    kv::Engine,
    redb::Redb,
    sled::Sled,
    space,
};

/// What the files looked like at the last orderly close.
pub(crate) const CLOSED: &str = "closed";
/// Where the opening is rehearsed.
const REHEARSAL: &str = "rehearsal";
/// Files up to this size are digested whole.
const SMALL: u64 = 64 << 20;
/// sled's segments, each of which begins with a header; and as good a step as any for redb.
const SEGMENT: u64 = 512 << 10;
const BEGINNING: usize = 4 << 10;
/// What is read at a time of a file that is digested whole.
const WHOLE: usize = 64 << 10;
/// Room that a copy must leave.
const SPARE: u64 = 64 << 20;
/// How long an engine's threads may outlive it: 300 times 10 ms.
const PATIENCE: u32 = 300;
const MOMENT: Duration = Duration::from_millis(10);

/// Refuses files that are damaged. `journal`: whether there must be one.
pub(crate) fn check(path: &Path, place: &Place, journal: bool, cache: u64) -> Result<(), StoreError> {
    let engine = path.join(place.name());
    let files = place.kind.files().iter().copied();
    for (name, least) in files.chain(FILES.map(|file| (file, 0)).into_iter().filter(|_| journal)) {
        match std::fs::metadata(engine.join(name)) {
            Ok(found) if found.is_file() && found.len() >= least => {}
            Ok(_) => return Err(damaged(path, format!("{}/{name} is cut off", place.name()))),
            Err(error) => return Err(damaged(path, format!("{}/{name}: {error}", place.name()))),
        }
    }
    match std::fs::read(path.join(CLOSED)) {
        Ok(noted) if noted == likeness(&engine)?.as_bytes() => Ok(()),
        Ok(_) => Err(damaged(path, "its files were changed after it was closed".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => rehearse(path, &engine, place.kind, cache),
        Err(error) => Err(error.into()),
    }
}

/// Notes what the files look like, once the engine has let go of them. Without the note the next opening rehearses.
pub(crate) fn note_closed(path: &Path, place: &Place) -> Result<(), StoreError> {
    let engine = path.join(place.name());
    if !is_let_go(&engine, place.kind)? {
        return Ok(());
    }
    if let Some(large) = large(&engine, place.kind)? {
        large.sync_all()?;
    }
    format::write_whole(&path.join(CLOSED), likeness(&engine)?.as_bytes())
}

/// Takes the note away before anything is written: what a crash leaves must not be compared with it.
pub(crate) fn forget_closed(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path.join(CLOSED)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(File::open(path)?.sync_all()?),
    }
}

/// Waits until nobody has the engine's file open: threads of sled may outlive it by a moment, and so may a process that
/// was being started meanwhile. `false` if that takes longer than a few seconds.
pub(crate) fn is_let_go(engine: &Path, kind: EngineKind) -> Result<bool, StoreError> {
    let Some(file) = large(engine, kind)? else { return Ok(true) };
    for _ in 0..PATIENCE {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => std::thread::sleep(MOMENT),
            Err(error) => return Err(StoreError::Io(error.into())),
        }
    }
    Ok(false)
}

/// The engine's large file, if there is one.
fn large(engine: &Path, kind: EngineKind) -> Result<Option<File>, StoreError> {
    let Some((name, _)) = kind.files().first() else { return Ok(None) };
    match File::open(engine.join(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Runs an engine on a thread of its own: some damage makes it panic, and a panic there ends the thread only.
pub(crate) fn guarded<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let thread = std::thread::Builder::new().name("store opening".to_owned()).spawn(work)?;
    match thread.join() {
        Ok(Err(StoreError::Damaged { what, .. })) => Err(damaged(path, what)),
        Ok(Err(StoreError::Codec(what))) => Err(damaged(path, format!("cannot decode {what}"))),
        Ok(Err(StoreError::Io(error))) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
            Err(damaged(path, error.to_string()))
        }
        Ok(other) => other,
        Err(_) => Err(damaged(path, "the engine gave up".to_owned())),
    }
}

/// Opens the engine where nothing it writes reaches its files, with what is in the journal, and reads it through.
fn rehearse(path: &Path, engine: &Path, kind: EngineKind, cache: u64) -> Result<(), StoreError> {
    let aside = path.join(REHEARSAL);
    clear(&aside)?;
    let mut needed = files(engine)?;
    if kind == EngineKind::Redb {
        needed.retain(|(name, _)| FILES.iter().any(|file| name == Path::new(file)));
    }
    let bytes: u64 = needed.iter().map(|(_, length)| length).sum();
    if space::of(path, 0)?.free < bytes.saturating_add(SPARE) {
        tracing::warn!(path = %path.display(), bytes, "opened the store after a crash without a rehearsal: no room for a copy");
        return Ok(());
    }
    let copied = copy(engine, &needed, &aside);
    let tried = copied.and_then(|()| {
        let (engine, aside) = (engine.to_owned(), aside.clone());
        guarded(path, move || {
            let rehearsed: Arc<dyn Engine> = match kind {
                EngineKind::Sled => {
                    let copy = Sled::open(&aside, cache)?;
                    copy.read_through()?;
                    Arc::new(copy)
                }
                EngineKind::Redb => Arc::new(Redb::rehearsed(&engine, cache)?),
            };
            Embedded::over(Journaled::open(rehearsed, &aside, usize::MAX, None)?)?.check_log()
        })
    });
    clear(&aside)?;
    tried
}

fn clear(aside: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn copy(engine: &Path, files: &[(PathBuf, u64)], aside: &Path) -> Result<(), StoreError> {
    DirBuilder::new().mode(0o700).create(aside)?;
    DirBuilder::new().mode(0o700).create(aside.join("blobs"))?;
    for (name, _) in files {
        let (from, to) = (File::open(engine.join(name))?, File::create(aside.join(name))?);
        // A clone shares the blocks, where the file system can do that.
        if rustix::fs::ioctl_ficlone(&to, &from).is_err() {
            std::io::copy(&mut &from, &mut &to)?;
        }
    }
    Ok(())
}

/// Every file of the engine with its length, in order.
fn files(engine: &Path) -> Result<Vec<(PathBuf, u64)>, StoreError> {
    let mut found = Vec::new();
    for dir in ["", "blobs"] {
        let entries = match std::fs::read_dir(engine.join(dir)) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_file() {
                found.push((Path::new(dir).join(entry.file_name()), about.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A digest over names, lengths and contents; of large files over the beginning of each segment only.
fn likeness(engine: &Path) -> Result<String, StoreError> {
    let mut digest = Sha256::new();
    let mut bytes = vec![0; WHOLE];
    for (name, length) in files(engine)? {
        digest.update(name.as_os_str().as_encoded_bytes());
        digest.update(length.to_be_bytes());
        let file = File::open(engine.join(&name))?;
        let (at_once, step) = if length <= SMALL { (WHOLE, None) } else { (BEGINNING, Some(SEGMENT)) };
        let mut place = 0;
        while place < length {
            let count = file.read_at(bytes.get_mut(..at_once).unwrap_or_default(), place)?;
            digest.update(bytes.get(..count).unwrap_or_default());
            if count == 0 {
                break;
            }
            place += step.unwrap_or(count as u64);
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn damaged(path: &Path, what: String) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what }
}
