//! Whether the engine's files are whole. sled mends and cuts its files while it opens them, so damage must be found
//! before: files that differ from what they were at the last orderly close are refused; after a crash, which leaves no
//! such note, a copy is opened first and read to the end.
//! It must never write to the files it looks at.
//!
//! What this finds: after an orderly close, any file missing, cut off, grown or changed; after a crash, whatever sled
//! cannot open or read. What it does not: in files over 64 MiB a changed byte beyond the first 4 KiB of each segment,
//! which sled's checksums find when that page is read; and after a crash a changed byte that makes sled fall back to an
//! older state of a page. Without room for a copy there is no rehearsal either.

use std::{
    fs::{DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, FileExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use crate::{Embedded, Journaled, Sled, StoreError, format, journal::FILES, space};

/// What the files looked like at the last orderly close.
const CLOSED: &str = "closed";
/// Where the copy is tried.
const REHEARSAL: &str = "rehearsal";
/// Files up to this size are digested whole.
const SMALL: u64 = 64 << 20;
/// sled's segments: each begins with a header.
const SEGMENT: u64 = 512 << 10;
const BEGINNING: u64 = 4 << 10;
/// Room that a copy must leave.
const SPARE: u64 = 64 << 20;
/// How long sled's threads may outlive it: 300 times 10 ms.
const PATIENCE: u32 = 300;
const MOMENT: Duration = Duration::from_millis(10);

/// Refuses files that are damaged. `journal`: whether there must be one.
pub(crate) fn check(path: &Path, engine: &Path, journal: bool, cache: u64) -> Result<(), StoreError> {
    for (name, least) in
        [("conf", 9), ("db", 1)].into_iter().chain(FILES.map(|file| (file, 0)).into_iter().filter(|_| journal))
    {
        match std::fs::metadata(engine.join(name)) {
            Ok(found) if found.is_file() && found.len() >= least => {}
            Ok(_) => return Err(damaged(path, format!("sled/{name} is cut off"))),
            Err(error) => return Err(damaged(path, format!("sled/{name}: {error}"))),
        }
    }
    match std::fs::read(path.join(CLOSED)) {
        Ok(noted) if noted == likeness(engine)?.as_bytes() => Ok(()),
        Ok(_) => Err(damaged(path, "its files were changed after it was closed".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => rehearse(path, engine, cache),
        Err(error) => Err(error.into()),
    }
}

/// Notes what the files look like, once sled has let go of them. Without the note the next opening rehearses.
pub(crate) fn note_closed(path: &Path, engine: &Path) -> Result<(), StoreError> {
    if !is_let_go(engine)? {
        return Ok(());
    }
    File::open(engine.join("db"))?.sync_all()?;
    format::write_whole(&path.join(CLOSED), likeness(engine)?.as_bytes())
}

/// Takes the note away before anything is written: what a crash leaves must not be compared with it.
pub(crate) fn forget_closed(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path.join(CLOSED)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(File::open(path)?.sync_all()?),
    }
}

/// Waits until nobody has sled's file open: threads of sled may outlive it by a moment, and so may a process that was
/// being started meanwhile. `false` if that takes longer than a few seconds.
pub(crate) fn is_let_go(engine: &Path) -> Result<bool, StoreError> {
    let file = match File::open(engine.join("db")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    for _ in 0..PATIENCE {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => std::thread::sleep(MOMENT),
            Err(error) => return Err(StoreError::Io(error.into())),
        }
    }
    Ok(false)
}

/// Runs sled on a thread of its own: some damage makes it panic, and a panic there ends the thread only.
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

/// Opens a copy and reads it to the end.
fn rehearse(path: &Path, engine: &Path, cache: u64) -> Result<(), StoreError> {
    let aside = path.join(REHEARSAL);
    clear(&aside)?;
    let needed: u64 = files(engine)?.iter().map(|(_, length)| length).sum();
    if space::of(path, 0)?.free < needed.saturating_add(SPARE) {
        tracing::warn!(path = %path.display(), needed, "opened the store after a crash without a rehearsal: no room for a copy");
        return Ok(());
    }
    let copied = copy(engine, &aside);
    let tried = copied.and_then(|()| {
        let aside = aside.clone();
        guarded(path, move || {
            let copy = Sled::open(&aside, cache)?;
            copy.read_through()?;
            Embedded::over(Journaled::open(copy, &aside, usize::MAX)?)?.check_log()
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

fn copy(engine: &Path, aside: &Path) -> Result<(), StoreError> {
    DirBuilder::new().mode(0o700).create(aside)?;
    DirBuilder::new().mode(0o700).create(aside.join("blobs"))?;
    for (name, _) in files(engine)? {
        let (from, to) = (File::open(engine.join(&name))?, File::create(aside.join(&name))?);
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
    let mut bytes = vec![0; BEGINNING as usize];
    for (name, length) in files(engine)? {
        digest.update(name.as_os_str().as_encoded_bytes());
        digest.update(length.to_be_bytes());
        let file = File::open(engine.join(&name))?;
        let step = if length <= SMALL { BEGINNING } else { SEGMENT };
        let mut place = 0;
        while place < length {
            let count = file.read_at(&mut bytes, place)?;
            digest.update(bytes.get(..count).unwrap_or_default());
            if count == 0 {
                break;
            }
            place += if step == BEGINNING { count as u64 } else { step };
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn damaged(path: &Path, what: String) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what }
}
