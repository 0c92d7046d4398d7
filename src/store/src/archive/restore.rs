//! Putting a backup where a store is to be.
//! It must never touch a store that somebody has open, nor throw one away: what was there is set aside.
//!
//! The store is built below the directory and moved into place when it is whole. Meanwhile the format file is one with which no
//! program opens the directory: whoever tries is told that it was cut short, and the restore can be repeated.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use provost_model::Time;

use super::{ArchiveError, Backup, Contents, place, stamp};
use crate::{OpenOptions, Store, StoreError, format, opening, segments};

/// Where a store is built before it is moved into place.
pub(super) const BUILDING: &str = "restoring";

/// What became of the store that was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Former {
    /// There was none, or an empty one.
    None,
    /// It was whole and was set aside as asked.
    SetAside {
        /// Where it is now.
        to: PathBuf,
        /// Its last commit.
        commit: u64,
    },
    /// It was damaged and was set aside.
    Damaged {
        /// Where it is now.
        to: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What is in the store now.
    pub contents: Contents,
    /// What became of the store that was there.
    pub former: Former,
    /// Entries of streams that the backup lacks and the segments beside the engine had, if they were asked.
    pub from_segments: u64,
    /// Why the segments were not believed, if they were not.
    pub segments_refused: Option<String>,
}

/// How a backup is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// A store that is there, whole and not empty is set aside.
    pub force: bool,
    /// What the segments of the store that was there hold beyond the backup is taken over.
    pub with_segments: bool,
}

/// Restores a backup into a directory.
pub fn restore(
    directory: &Path,
    backup: &mut Backup,
    (options, mode, now): (&OpenOptions, Mode, Time),
    meter: &mut dyn FnMut(u64),
) -> Result<Restored, ArchiveError> {
    let lock = opening::locked(directory, options.wait)?;
    let found = found(directory, options, &lock)?;
    if let Found::Whole { commit } = found
        && commit > 0
        && !mode.force
    {
        return Err(ArchiveError::NotEmpty { path: directory.to_owned(), commit });
    }
    let building = directory.join(BUILDING);
    remove(&building)?;
    let contents = {
        let store = crate::open(&building, &OpenOptions { wait: std::time::Duration::ZERO, ..options.clone() })?;
        let contents = backup.unpack(&store, meter)?;
        store.tidy()?;
        contents
    };
    let (from_segments, segments_refused) = match mode.with_segments {
        true => with_segments(directory, &building, options)?,
        false => (0, None),
    };
    let aside = directory.join(format!("{}-{}", found.word(), stamp(now)));
    place::replace(directory, &building, &aside).map_err(StoreError::from)?;
    remove(&building)?;
    let former = match found {
        Found::Nothing => Former::None,
        Found::Whole { commit: 0 } => {
            remove(&aside)?;
            Former::None
        }
        Found::Whole { commit } => Former::SetAside { to: aside, commit },
        Found::Damaged { what } => Former::Damaged { to: aside, what },
    };
    Ok(Restored { contents, former, from_segments, segments_refused })
}

/// Lets a store that was just built take over what the segments in a directory hold beyond it. Segments that cannot be
/// believed are left out, and why is said.
fn with_segments(
    directory: &Path,
    building: &Path,
    options: &OpenOptions,
) -> Result<(u64, Option<String>), ArchiveError> {
    let (theirs, ours) = (directory.join(segments::NAME), building.join(segments::NAME));
    if !theirs.try_exists().map_err(StoreError::from)? {
        return Ok((0, None));
    }
    remove(&ours)?;
    copy(&theirs, &ours).map_err(StoreError::from)?;
    let open = || crate::open(building, &OpenOptions { wait: std::time::Duration::ZERO, ..options.clone() });
    match open() {
        Ok(store) => {
            store.tidy()?;
            Ok((store.given_back(), None))
        }
        Err(StoreError::Damaged { what, .. }) => {
            remove(&ours)?;
            drop(open()?);
            Ok((0, Some(what)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Copies a directory of directories of files.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &copied)?;
        } else {
            std::fs::copy(&path, &copied)?;
        }
    }
    Ok(())
}

/// What is in the directory before.
enum Found {
    Nothing,
    Whole { commit: u64 },
    Damaged { what: String },
}

impl Found {
    /// How what was set aside is called.
    fn word(&self) -> &'static str {
        match self {
            Found::Damaged { .. } => "damaged",
            Found::Nothing | Found::Whole { .. } => "replaced",
        }
    }
}

fn found(directory: &Path, options: &OpenOptions, lock: &File) -> Result<Found, ArchiveError> {
    let parts = place::parts(directory).map_err(StoreError::from)?;
    match parts.first() {
        None => return Ok(Found::Nothing),
        Some(first) if first != format::NAME => {
            return Ok(Found::Damaged { what: "its format file is missing".to_owned() });
        }
        Some(_) => {}
    }
    match opening::looked_at(directory, options, lock.try_clone().map_err(StoreError::from)?) {
        Ok(store) => Ok(Found::Whole { commit: store.head()?.number.0 }),
        Err(StoreError::Damaged { what, .. }) => Ok(Found::Damaged { what }),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn remove(building: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(building) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
