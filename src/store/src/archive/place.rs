//! The parts of a store's directory, and how a store takes the place of another.
//! It must never leave a moment in which an empty directory could be taken for a new store.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use crate::{format, segments};

/// What the directories of engines begin with.
const ENGINES: [&str; 2] = ["sled", "redb"];
/// Other parts of a store: what belongs to the engine's files and to nothing else.
const OTHERS: [&str; 4] = ["closed", "rehearsal", segments::NAME, format::NAME];

/// The names of the parts of a store that are in a directory, the format file first.
pub(super) fn parts(directory: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let engine = name.split('.').next().is_some_and(|kind| ENGINES.contains(&kind));
        if engine || OTHERS.contains(&name.as_str()) {
            found.push(name);
        }
    }
    found.sort_by_key(|name| (name != format::NAME, name.clone()));
    Ok(found)
}

/// Moves a store that was built elsewhere on the same device into a directory; what was there goes to `aside`. Tells whether
/// anything was there. In between, the format file is one with which no program of any format opens the directory: neither
/// half of a store, nor the engine of one format with the format file of another.
pub(super) fn replace(directory: &Path, built: &Path, aside: &Path) -> io::Result<bool> {
    let (former, new) = (parts(directory)?, parts(built)?);
    if !former.is_empty() {
        DirBuilder::new().mode(0o700).create(aside)?;
    }
    if former.iter().any(|name| name == format::NAME) {
        std::fs::copy(directory.join(format::NAME), aside.join(format::NAME))?;
        File::open(aside)?.sync_all()?;
    }
    format::bar(directory).map_err(io::Error::other)?;
    for name in former.iter().filter(|name| *name != format::NAME) {
        std::fs::rename(directory.join(name), aside.join(name))?;
    }
    for name in new.iter().filter(|name| *name != format::NAME) {
        std::fs::rename(built.join(name), directory.join(name))?;
    }
    File::open(directory)?.sync_all()?;
    std::fs::rename(built.join(format::NAME), directory.join(format::NAME))?;
    File::open(directory)?.sync_all()?;
    Ok(!former.is_empty())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::{OpenOptions, StoreError, open};

    #[test]
    fn a_store_of_which_half_was_moved_is_opened_by_nobody() {
        let (dir, built) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        for path in [dir.path(), built.path()] {
            drop(open(path, &OpenOptions::default()).unwrap());
        }
        // The engine cannot be moved into itself: what comes before it is moved.
        let aside = dir.path().join("sled/aside");
        assert!(replace(dir.path(), built.path(), &aside).is_err());
        assert!(!dir.path().join("closed").exists() && aside.join("closed").exists());
        let refused = open(dir.path(), &OpenOptions::default()).map(drop).unwrap_err();
        assert!(matches!(&refused, StoreError::Damaged { what, .. } if what.contains("cut short")), "{refused}");
    }
}
