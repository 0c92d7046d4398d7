//! Whether the engine's files are whole. sled mends and cuts its files while it opens them, so damage must be found
//! before: a store that lies as it was left is opened at once, any other is opened as a copy first and read to the end.
//! It must never write to the files it looks at.
//!
//! What this finds: files missing, cut off, overwritten or grown since the last orderly close; after a crash, whatever
//! sled cannot open or read. What it does not: in files over 64 MiB a changed byte beyond the first 4 KiB of each
//! segment; sled's checksums find it when that page is read. Without room for a copy there is no rehearsal either.

use std::{
    fs::{DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, FileExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Embedded, Sled, StoreError, format, space};

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

/// Refuses files that are damaged.
pub(crate) fn check(path: &Path, engine: &Path, cache: u64) -> Result<(), StoreError> {
    for (name, least) in [("conf", 9), ("db", 1)] {
        match std::fs::metadata(engine.join(name)) {
            Ok(found) if found.is_file() && found.len() >= least => {}
            Ok(_) => return Err(damaged(path, format!("sled/{name} is cut off"))),
            Err(error) => return Err(damaged(path, format!("sled/{name}: {error}"))),
        }
    }
    match is_as_left(path, engine)? {
        (true, _) => Ok(()),
        (false, last) => rehearse(path, engine, cache, last),
    }
}

/// Whether the files are what they were at the last orderly close, and the last commit of that time.
fn is_as_left(path: &Path, engine: &Path) -> Result<(bool, u64), StoreError> {
    let noted = match std::fs::read_to_string(path.join(CLOSED)) {
        Ok(noted) => noted,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => return Ok((false, 0)),
        Err(error) => return Err(error.into()),
    };
    let (noted, last) = noted.split_once(' ').unwrap_or_default();
    Ok((noted == likeness(engine)?, last.trim().parse().unwrap_or(0)))
}

/// Notes what the files look like and the last commit, after sled has closed them.
pub(crate) fn note_closed(path: &Path, engine: &Path, last: u64) -> Result<(), StoreError> {
    File::open(engine.join("db"))?.sync_all()?;
    format::write_whole(&path.join(CLOSED), format!("{} {last}\n", likeness(engine)?).as_bytes())
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

/// Opens a copy and reads it to the end. It must at least hold the commit of the last orderly close.
fn rehearse(path: &Path, engine: &Path, cache: u64, last: u64) -> Result<(), StoreError> {
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
            Embedded::over(copy)?.check_log(last)
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
