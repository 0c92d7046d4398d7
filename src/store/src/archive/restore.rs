//! Putting a backup where a store is to be.
//! It must never touch a store that somebody has open, nor throw one away: what was there is set aside.
//!
//! The store is built below the directory and moved into place when it is whole. The format file goes first and the engine
//! last: whoever opens the directory in between is told that the engine is missing, and the restore can be repeated.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use provost_model::Time;

use super::{ArchiveError, Backup, Contents, place};
use crate::{OpenOptions, Store, StoreError, format, opening};

/// Where a store is built before it is moved into place.
const BUILDING: &str = "restoring";

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
}

/// Restores a backup into a directory. A store that is there and whole is set aside only if `force` says so.
pub fn restore(
    directory: &Path,
    backup: &mut Backup,
    (options, force, now): (&OpenOptions, bool, Time),
    meter: &mut dyn FnMut(u64),
) -> Result<Restored, ArchiveError> {
    let lock = opening::locked(directory, options.wait)?;
    let found = found(directory, options, &lock)?;
    if let Found::Whole { commit } = found
        && commit > 0
        && !force
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
    Ok(Restored { contents, former })
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
    match opening::open_locked(directory, options, lock.try_clone().map_err(StoreError::from)?) {
        Ok(store) => Ok(Found::Whole { commit: store.head()?.number.0 }),
        Err(StoreError::Damaged { what, .. }) => Ok(Found::Damaged { what }),
        Err(error) => Err(error.into()),
    }
}

fn remove(building: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(building) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A moment as part of a name: 2026-11-24T13-45-00Z.
fn stamp(now: Time) -> String {
    let text = Time::from_seconds(now.as_seconds()).to_string();
    text.chars().map(|letter| if letter == ':' { '-' } else { letter }).collect()
}
