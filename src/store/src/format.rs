//! The file that says which format a store has and which readers understand it.
//! It must never be written in place: a reader finds the old one or the new one.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{EngineKind, StoreError, steps};

/// The format that this program writes, and the newest that it knows. What brings a store there is in `steps`.
pub(crate) const VERSION: u32 = 5;
pub(crate) const NAME: &str = "format.toml";
/// In the place of an engine's name while a store takes the place of another: no program of any format opens that.
const REPLACING: &str = "being replaced";
const LONGEST: u64 = 64 << 10;

/// What the file says. Later versions may say more.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    /// The format's version.
    format: u32,
    /// The oldest format version whose programs can read the store.
    min_reader: u32,
    /// The engine whose files lie beside.
    engine: String,
    /// The directory they lie in; that of the engine's name where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// The version of the program that made the store, or brought it to this format.
    created_by: String,
    /// Said while the store is between two formats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stepping: Option<Stepping>,
}

/// A store's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Its version.
    pub(crate) version: u32,
    /// The oldest version whose programs can read the store.
    pub(crate) min_reader: u32,
    /// Where the engine is.
    pub(crate) place: Place,
    /// The copy made before the first step, while steps are still to be taken.
    pub(crate) stepping: Option<Stepping>,
}

/// The copy that was made before the first of several steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stepping {
    /// Its name in the directory of backups.
    pub(crate) copy: String,
    /// The store's last commit.
    pub(crate) commit: u64,
}

impl Format {
    /// The format of this program, with an engine in that place whose files are made anew.
    pub(crate) fn anew(place: Place) -> Self {
        let min_reader = steps::ALL.last().map_or(VERSION, |step| step.reader_of_new(&place));
        Self { version: VERSION, min_reader, place, stepping: None }
    }

    /// The same, never for older readers than these.
    pub(crate) fn beyond(self, min_reader: u32) -> Self {
        Self { min_reader: self.min_reader.max(min_reader), ..self }
    }

    /// Whether the store has a journal; those of format 1 get one by the first step.
    pub(crate) fn has_journal(&self) -> bool {
        self.version >= 2
    }
}

/// Which engine a store has, and in which of its directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: EngineKind,
    /// Rewrites of the engine so far: each makes a directory of its own.
    pub(crate) rewrites: u32,
}

impl Place {
    /// Where an engine is at first.
    pub(crate) fn first(kind: EngineKind) -> Self {
        Self { kind, rewrites: 0 }
    }

    /// Where it is after another rewrite.
    pub(crate) fn next(&self) -> Self {
        Self { kind: self.kind, rewrites: self.rewrites.saturating_add(1) }
    }

    /// The name of the directory.
    pub(crate) fn name(&self) -> String {
        match self.rewrites {
            0 => self.kind.name().to_owned(),
            rewrites => format!("{}.{rewrites}", self.kind.name()),
        }
    }

    /// The place of that name, if it is one.
    pub(crate) fn named(kind: EngineKind, name: &str) -> Option<Self> {
        let rewrites = match name.strip_prefix(kind.name())? {
            "" => 0,
            rest => rest.strip_prefix('.')?.parse().ok()?,
        };
        Some(Self { kind, rewrites }).filter(|place| place.name() == name)
    }
}

impl Said {
    /// Refuses a store that this program cannot read.
    fn understood(self, path: &Path) -> Result<Format, StoreError> {
        let Self { format: version, min_reader, .. } = self;
        if min_reader > VERSION {
            return Err(StoreError::Newer { path: path.to_owned(), min_reader, reader: VERSION });
        }
        if version == 0 || min_reader > version {
            let said = format!("its format file says format {version} for readers of {min_reader}, which cannot be");
            return Err(damaged(path, said));
        }
        if self.engine == REPLACING {
            return Err(damaged(path, "another store was taking its place, and that was cut short".to_owned()));
        }
        let Some(kind) = EngineKind::named(&self.engine) else {
            return Err(damaged(path, format!("its engine is {:?}, which is none", self.engine)));
        };
        let name = self.place.as_deref().unwrap_or(kind.name());
        let place = Place::named(kind, name);
        let place = place.ok_or_else(|| damaged(path, format!("{name:?} is no place of its engine")))?;
        Ok(Format { version, min_reader, place, stepping: self.stepping })
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
    let said: Said = toml::from_str(text).map_err(|error| damaged(path, format!("{NAME}: {}", error.message())))?;
    said.understood(path).map(Some)
}

/// Writes the format file.
pub(crate) fn write(path: &Path, format: &Format) -> Result<(), StoreError> {
    let place = &format.place;
    put(
        path,
        &Said {
            format: format.version,
            min_reader: format.min_reader,
            engine: place.kind.name().to_owned(),
            place: (place.rewrites > 0).then(|| place.name()),
            created_by: env!("CARGO_PKG_VERSION").to_owned(),
            stepping: format.stepping.clone(),
        },
    )
}

/// Writes a format file with which no program opens the directory, whatever else lies in it.
pub(crate) fn bar(path: &Path) -> Result<(), StoreError> {
    let (engine, created_by) = (REPLACING.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    put(path, &Said { format: VERSION, min_reader: 1, engine, place: None, created_by, stepping: None })
}

fn put(path: &Path, said: &Said) -> Result<(), StoreError> {
    let text = toml::to_string(said).map_err(|error| StoreError::Codec(error.to_string()))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_its_engine_and_its_rewrites_only() {
        for place in EngineKind::ALL.into_iter().flat_map(|kind| [0, 1, 12].map(|rewrites| Place { kind, rewrites })) {
            assert_eq!(Place::named(place.kind, &place.name()), Some(place));
        }
        for name in ["", "redb", "sled.", "sled.0", "sled.01", "sled.new", "sled.-1", "sled/../x", "sled.4294967296"] {
            assert_eq!(Place::named(EngineKind::Sled, name), None, "{name}");
        }
    }
}
