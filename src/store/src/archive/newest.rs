//! The backups kept in a directory, and which of them is the newest whole one.
//! It must never pass over a backup that is not whole without saying so.

use std::path::{Path, PathBuf};

use provost_model::Time;

use super::{ArchiveError, Backup, Contents, stamp};

/// How the name of a backup ends.
const ENDING: &str = ".backup";

/// The name of a backup of that commit, taken now. Names sort as the times do.
pub fn name(now: Time, commit: u64) -> String {
    format!("{}-c{commit}{ENDING}", stamp(now))
}

/// The newest whole backup of a directory, and what is wrong with newer files.
#[derive(Debug)]
pub struct Newest {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub contents: Contents,
    /// Newer ones that are not whole, and why.
    pub passed_over: Vec<String>,
}

/// Finds the newest whole backup; `None` if there is none.
pub fn newest(directory: &Path) -> Result<Option<Newest>, ArchiveError> {
    let mut passed_over = Vec::new();
    for path in all(directory)?.into_iter().rev() {
        match Backup::open(&path).and_then(|mut backup| backup.contents()) {
            Ok(contents) => return Ok(Some(Newest { path, contents, passed_over })),
            Err(error) => passed_over.push(error.to_string()),
        }
    }
    Ok(None)
}

/// Removes all but the newest `keep` backups that were taken by schedule.
pub fn prune(directory: &Path, keep: usize) -> Result<(), ArchiveError> {
    let all = all(directory)?;
    for path in all.iter().take(all.len().saturating_sub(keep)) {
        std::fs::remove_file(path).map_err(|error| ArchiveError::File { path: path.clone(), error })?;
    }
    Ok(())
}

/// Every backup by its name, the oldest first.
fn all(directory: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let failed = |error| ArchiveError::File { path: directory.to_owned(), error };
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(ENDING) && name.starts_with(|letter: char| letter.is_ascii_digit()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
