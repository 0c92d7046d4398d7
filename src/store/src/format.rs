//! The file that says which format a store has and which readers understand it.
//! It must never be written in place: a reader finds the old one or the new one.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::StoreError;

/// The format that this program writes, and the newest that it reads.
/// 2 has a journal before the engine; what it holds a reader of 1 would not see.
pub(crate) const VERSION: u32 = 2;
pub(crate) const NAME: &str = "format.toml";
const LONGEST: u64 = 64 << 10;

/// What the file says. Later versions may say more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Format {
    /// The format's version.
    format: u32,
    /// The oldest format version whose programs can read the store.
    min_reader: u32,
    /// The engine whose files lie beside.
    engine: String,
    /// The version of the program that made the store.
    created_by: String,
}

impl Format {
    /// Whether the store has a journal; those of format 1 get one when they are opened.
    pub(crate) fn has_journal(&self) -> bool {
        self.format >= 2
    }

    /// Refuses a store that this program cannot read.
    pub(crate) fn readable(&self, path: &Path) -> Result<(), StoreError> {
        if self.min_reader > VERSION {
            return Err(StoreError::Newer { path: path.to_owned(), min_reader: self.min_reader, reader: VERSION });
        }
        if self.engine != "sled" {
            return Err(damaged(path, format!("its engine is {:?}, not sled", self.engine)));
        }
        Ok(())
    }
}

/// Reads the format file, if there is one.
pub(crate) fn read(path: &Path) -> Result<Option<Format>, StoreError> {
    let mut bytes = Vec::new();
    match File::open(path.join(NAME)) {
        Ok(file) => file.take(LONGEST).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged(path, format!("{NAME} is no text")))?;
    toml::from_str(text).map(Some).map_err(|error| damaged(path, format!("{NAME}: {}", error.message())))
}

/// Writes the format file of this program.
pub(crate) fn write(path: &Path) -> Result<(), StoreError> {
    let created_by = env!("CARGO_PKG_VERSION").to_owned();
    let format = Format { format: VERSION, min_reader: VERSION, engine: "sled".to_owned(), created_by };
    let text = toml::to_string(&format).map_err(|error| StoreError::Codec(error.to_string()))?;
    write_whole(&path.join(NAME), text.as_bytes())
}

/// Writes a small file so that it is there whole or not at all.
pub(crate) fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let aside = file.with_extension("new");
    let mut open = OpenOptions::new();
    let mut new = open.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    std::fs::rename(&aside, file)?;
    match file.parent() {
        Some(dir) => Ok(File::open(dir)?.sync_all()?),
        None => Ok(()),
    }
}

fn damaged(path: &Path, what: String) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what }
}
