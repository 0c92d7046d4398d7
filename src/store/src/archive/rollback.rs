//! Going back to what a store was before it was brought to a later format.
//! It must never lose a commit that it was not told to lose, nor throw away the store that is there.

use std::path::{Path, PathBuf};

use provost_model::Time;

use super::{ArchiveError, place, restore, stamp};
use crate::{
    CommitNo, Embedded, Journaled, OpenOptions, Store, StoreError, format, opening, space,
    steps::{Copied, SPARE},
};

/// What going back did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolledBack {
    /// Nothing: programs of the format before read the store as it is.
    NotNeeded {
        /// The format the store is of.
        format: u32,
        /// The oldest format whose programs read it.
        min_reader: u32,
    },
    /// The store is what it was before.
    Done {
        /// The copy it came from, which stays.
        copy: PathBuf,
        /// The format it is of now.
        format: u32,
        /// Its last commit.
        commit: u64,
        /// When that was recorded.
        recorded: Time,
        /// Where the store is that was there; nowhere if there was none.
        aside: Option<PathBuf>,
        /// Commits that only that one has; not known if it cannot be read.
        lost: Option<u64>,
    },
}

/// Puts the latest copy that was made before a step of format in the place of the store.
///
/// `lose_commits`: even if that leaves out commits, or it cannot be told whether it does.
pub fn roll_back(
    directory: &Path,
    (options, lose_commits, now): (&OpenOptions, bool, Time),
) -> Result<RolledBack, ArchiveError> {
    let lock = opening::locked(directory, options.wait)?;
    let backups = options.backups_of(directory);
    let copy = Copied::latest(&backups).map_err(altered)?.ok_or(ArchiveError::NoCopy(backups))?;
    let there = there(directory, &copy, || opening::looked_at(directory, options, lock.try_clone()?))?;
    let lost = match there {
        There::Since { commits, first } => {
            if !lose_commits && let Some(present) = format::read(directory)?.filter(|it| it.min_reader <= copy.format())
            {
                return Ok(RolledBack::NotNeeded { format: present.version, min_reader: present.min_reader });
            }
            if let Some(first) = first.filter(|_| !lose_commits) {
                return Err(ArchiveError::CommitsSince { copy: copy.path().to_owned(), commits, first });
            }
            Some(commits)
        }
        There::Unknown { what } if !lose_commits => {
            return Err(ArchiveError::CannotTell { path: directory.to_owned(), copy: copy.path().to_owned(), what });
        }
        There::Unknown { .. } => None,
        There::Nothing => Some(0),
    };
    let (needed, free) = (copy.bytes().saturating_add(SPARE), space::of(directory, 0)?.free);
    if free < needed {
        let error = std::io::Error::other(format!("going back needs {needed} bytes free, there are {free}"));
        return Err(ArchiveError::File { path: directory.to_owned(), error });
    }
    let building = directory.join(restore::BUILDING);
    restore::remove(&building)?;
    if let Err(error) = copy.put_back(&building) {
        restore::remove(&building)?;
        return Err(altered(error));
    }
    let aside = directory.join(format!("rolled-back-{}", stamp(now)));
    let aside = place::replace(directory, &building, &aside).map_err(StoreError::from)?.then_some(aside);
    restore::remove(&building)?;
    let (commit, recorded) = (copy.commit(), copy.recorded());
    Ok(RolledBack::Done { copy: copy.path().to_owned(), format: copy.format(), commit, recorded, aside, lost })
}

/// What is wrong with a copy is not wrong with the store.
fn altered(error: StoreError) -> ArchiveError {
    match error {
        StoreError::Damaged { path, what } => ArchiveError::Altered { path, what },
        other => other.into(),
    }
}

/// The store that is there, beside the copy.
enum There {
    Nothing,
    /// It goes on where the copy ends, with so many commits, of which the first is of that time.
    Since {
        commits: u64,
        first: Option<Time>,
    },
    /// It cannot be read, or does not go on where the copy ends.
    Unknown {
        what: String,
    },
}

fn there(
    directory: &Path,
    copy: &Copied,
    open: impl FnOnce() -> Result<Embedded<Journaled>, StoreError>,
) -> Result<There, ArchiveError> {
    if place::parts(directory).map_err(StoreError::from)?.is_empty() {
        return Ok(There::Nothing);
    }
    let store = match open() {
        Ok(store) => store,
        Err(error @ (StoreError::Damaged { .. } | StoreError::Newer { .. })) => {
            return Ok(There::Unknown { what: error.to_string() });
        }
        Err(error) => return Err(error.into()),
    };
    let (head, commit) = (store.head()?.number.0, CommitNo(copy.commit()));
    let same = commit.0 == 0 || store.recorded(commit)? == Some(copy.recorded());
    match head.checked_sub(commit.0).filter(|_| same) {
        Some(commits) => Ok(There::Since { commits, first: store.recorded(CommitNo(commit.0 + 1))? }),
        None => Ok(There::Unknown { what: "the store that is there does not go on where the copy ends".to_owned() }),
    }
}
