//! A file that is written aside and takes its name when it is whole.
//! It must never take the place of another file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::ArchiveError;

/// A file in the making, for its user alone; gone if it is dropped before it is settled.
#[derive(Debug)]
pub struct Aside {
    path: PathBuf,
    aside: PathBuf,
    file: File,
    settled: bool,
}

impl Aside {
    /// Begins a file that is to be at `path`, where nothing may be.
    pub fn create(path: &Path) -> Result<Self, ArchiveError> {
        let failed = |error| ArchiveError::File { path: path.to_owned(), error };
        if path.symlink_metadata().is_ok() {
            return Err(ArchiveError::There(path.to_owned()));
        }
        let Some(name) = path.file_name() else {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file")));
        };
        let mut unfinished = std::ffi::OsString::from(".");
        unfinished.push(name);
        unfinished.push(format!(".unfinished-{}", std::process::id()));
        let aside = path.with_file_name(unfinished);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(failed)?;
        Ok(Self { path: path.to_owned(), aside, file, settled: false })
    }

    /// Makes it durable and gives it its name.
    pub fn settle(mut self) -> Result<(), ArchiveError> {
        let path = &self.path;
        let failed = |error| ArchiveError::File { path: path.clone(), error };
        self.file.sync_all().map_err(failed)?;
        if path.symlink_metadata().is_ok() {
            return Err(ArchiveError::There(path.clone()));
        }
        std::fs::rename(&self.aside, path).map_err(failed)?;
        self.settled = true;
        let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|it| it.sync_all()).map_err(failed)
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.settled {
            let _ = std::fs::remove_file(&self.aside);
        }
    }
}
