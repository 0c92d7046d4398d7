//! The copy of a store's files as they were before the first of several steps: `before-format-N.M` in the directory of
//! backups, with a list of every file's SHA-256.
//! It must never be changed once it has its name, nor be believed where a file is not the one of the list.
//!
//! It is a copy of files and no backup, so that the release that wrote the store reads what comes back, whatever this program
//! knows of it. N is the format that the steps led to, M counts the copies of a directory.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use provost_model::Time;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    Head, StoreError,
    format::{self, Format},
    segments, space, whole,
};

/// How the names of copies begin.
const FORE: &str = "before-format-";
/// Where one is made.
const MAKING: &str = ".before-format.unfinished";
/// The list in it, and the directory of the files.
const LIST: &str = "copy.toml";
const FILES: &str = "store";
/// The longest list that is read: some 400,000 files.
const LONGEST: u64 = 64 << 20;
/// Room that a copy must leave.
pub(crate) const SPARE: u64 = 64 << 20;
/// Bytes copied at a time.
const CHUNK: usize = 256 << 10;

/// What a copy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    /// The format of the store that was copied.
    format: u32,
    /// The format the steps led to.
    to: u32,
    /// Its last commit.
    commit: u64,
    /// When that was recorded, in microseconds since 1970.
    recorded: i64,
    /// The version of the program that copied it.
    copied_by: String,
    /// Directories, the outer ones first.
    directories: Vec<PathBuf>,
    /// Files.
    files: Vec<Listed>,
}

/// A file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    /// Where it lies.
    path: PathBuf,
    bytes: u64,
    /// Hexadecimal.
    sha256: String,
}

/// A copy that is not named yet; gone by the next one if it never is.
#[derive(Debug)]
pub(crate) struct Making {
    backups: PathBuf,
    making: PathBuf,
    list: List,
    /// Locked, so that nobody takes it for what is left of a process that ended.
    _lock: File,
}

impl Making {
    /// Copies the files of a store that nobody has open.
    pub(super) fn begin((store, format): (&Path, &Format), to: u32, backups: &Path) -> Result<Self, StoreError> {
        let (directories, found) = contents(store, format)?;
        let needed = found.iter().map(|(_, bytes)| bytes).sum::<u64>().saturating_add(SPARE);
        enough((store, backups), needed, space::of(existing(backups), 0)?.free)?;
        DirBuilder::new().recursive(true).mode(0o700).create(backups)?;
        let making = backups.join(MAKING);
        let lock = begun(&making)?;
        let files = making.join(FILES);
        make(&files)?;
        directories.iter().try_for_each(|directory| make(&files.join(directory)))?;
        let mut listed = Vec::new();
        for (path, _) in found {
            let (bytes, sha256) = copy(&store.join(&path), &files.join(&path))?;
            listed.push(Listed { path, bytes, sha256 });
        }
        directories.iter().try_for_each(|directory| sync(&files.join(directory)))?;
        sync(&files)?;
        let copied_by = env!("CARGO_PKG_VERSION").to_owned();
        let list = List { format: format.version, to, commit: 0, recorded: 0, copied_by, directories, files: listed };
        Ok(Self { backups: backups.to_owned(), making, list, _lock: lock })
    }

    /// Gives it its name, once it is known where the store stood.
    pub(super) fn settle(mut self, head: Head) -> Result<Copied, StoreError> {
        (self.list.commit, self.list.recorded) = (head.number.0, head.at.as_micros());
        let text = toml::to_string(&self.list).map_err(|error| StoreError::Codec(error.to_string()))?;
        format::write_whole(&self.making.join(LIST), text.as_bytes())?;
        let newest = all(&self.backups)?.last().map_or(0, |(number, _)| *number);
        let path = self.backups.join(format!("{FORE}{}.{}", self.list.to, newest.saturating_add(1)));
        std::fs::rename(&self.making, &path)?;
        sync(&self.backups)?;
        Ok(Copied { path, list: self.list })
    }
}

/// A copy that has its name.
#[derive(Debug)]
pub(crate) struct Copied {
    path: PathBuf,
    list: List,
}

impl Copied {
    /// The latest copy in a directory, if there is any.
    pub(crate) fn latest(backups: &Path) -> Result<Option<Self>, StoreError> {
        all(backups)?.last().map(|(_, path)| Self::open(path)).transpose()
    }

    /// A copy of which the list can be read. Its files are compared when they are used.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let damaged = |what: String| StoreError::Damaged { path: path.to_owned(), what };
        let mut text = String::new();
        let file = File::open(path.join(LIST)).map_err(|error| damaged(format!("{LIST}: {error}")))?;
        let read = file.take(LONGEST).read_to_string(&mut text);
        read.map_err(|error| damaged(format!("{LIST}: {error}")))?;
        let list: List = toml::from_str(&text).map_err(|error| damaged(format!("{LIST}: {}", error.message())))?;
        let named = list.directories.iter().chain(list.files.iter().map(|file| &file.path));
        for inside in named {
            if inside.components().next().is_none() || !inside.components().all(|it| matches!(it, Component::Normal(_)))
            {
                return Err(damaged(format!("{LIST} names {inside:?}")));
            }
        }
        if !list.files.iter().any(|file| file.path == Path::new(format::NAME)) {
            return Err(damaged(format!("{LIST} names no {}", format::NAME)));
        }
        Ok(Self { path: path.to_owned(), list })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name in the directory of backups.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The format of the store that was copied.
    pub(crate) fn format(&self) -> u32 {
        self.list.format
    }

    /// Its last commit.
    pub(crate) fn commit(&self) -> u64 {
        self.list.commit
    }

    /// When its last commit was recorded.
    pub(crate) fn recorded(&self) -> Time {
        Time::from_micros(self.list.recorded)
    }

    /// Bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.list.files.iter().map(|file| file.bytes).sum()
    }

    /// Copies its files into a directory that is not there, and compares each with the list.
    pub(crate) fn put_back(&self, to: &Path) -> Result<(), StoreError> {
        let files = self.path.join(FILES);
        make(to)?;
        self.list.directories.iter().try_for_each(|directory| make(&to.join(directory)))?;
        for listed in &self.list.files {
            let damaged = |what: String| StoreError::Damaged { path: files.join(&listed.path), what };
            let copied = copy(&files.join(&listed.path), &to.join(&listed.path));
            let copied = copied.map_err(|error| damaged(error.to_string()))?;
            if copied != (listed.bytes, listed.sha256.clone()) {
                return Err(damaged(format!("it is not the file that {LIST} tells of")));
            }
        }
        self.list.directories.iter().try_for_each(|directory| sync(&to.join(directory)))?;
        sync(to)
    }
}

/// The copies in a directory by their numbers, the oldest first.
fn all(backups: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let entries = match std::fs::read_dir(backups) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(FORE)?.split_once('.')?.1.parse().ok());
        found.extend(number.map(|number| (number, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// Directories, and files with their lengths, of a store: what belongs to it and to nothing else in its directory.
type Contents = (Vec<PathBuf>, Vec<(PathBuf, u64)>);

fn contents(store: &Path, format: &Format) -> Result<Contents, StoreError> {
    let mut pending = Vec::new();
    let (mut directories, mut files) = (Vec::new(), Vec::new());
    for name in [format::NAME, whole::CLOSED, segments::NAME, &format.place.name()] {
        if store.join(name).try_exists()? {
            pending.push(PathBuf::from(name));
        }
    }
    while let Some(path) = pending.pop() {
        let about = store.join(&path).symlink_metadata()?;
        if about.is_dir() {
            for entry in std::fs::read_dir(store.join(&path))? {
                pending.push(path.join(entry?.file_name()));
            }
            directories.push(path);
        } else if about.is_file() {
            files.push((path, about.len()));
        } else {
            let what = format!("{} is neither a file nor a directory", path.display());
            return Err(StoreError::Damaged { path: store.to_owned(), what });
        }
    }
    directories.sort();
    files.sort();
    Ok((directories, files))
}

/// Refuses where there is not room enough for a copy.
fn enough((store, backups): (&Path, &Path), needed: u64, free: u64) -> Result<(), StoreError> {
    if free < needed {
        let (path, backups) = (store.to_owned(), backups.to_owned());
        return Err(StoreError::NoRoomForCopy { path, backups, needed, free });
    }
    Ok(())
}

/// The nearest directory above that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"))
}

/// An empty directory to make a copy in, locked; what a process left there that ended is removed.
fn begun(making: &Path) -> Result<File, StoreError> {
    for _ in 0..2 {
        match DirBuilder::new().mode(0o700).create(making) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                lock(making)?;
                std::fs::remove_dir_all(making)?;
            }
            other => {
                other?;
                break;
            }
        }
    }
    lock(making)
}

fn lock(making: &Path) -> Result<File, StoreError> {
    let file = File::open(making)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let said = format!("another store is being copied into {}; try again", making.display());
            Err(io::Error::other(said).into())
        }
        Err(error) => Err(StoreError::Io(error.into())),
    }
}

fn make(directory: &Path) -> Result<(), StoreError> {
    Ok(DirBuilder::new().mode(0o700).create(directory)?)
}

fn sync(directory: &Path) -> Result<(), StoreError> {
    Ok(File::open(directory)?.sync_all()?)
}

/// Copies a file; gives how long it is, and its SHA-256.
fn copy(from: &Path, to: &Path) -> Result<(u64, String), StoreError> {
    let mut from = File::open(from)?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let (mut digest, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let count = from.read(&mut chunk)?;
        let part = chunk.get(..count).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        digest.update(part);
        to.write_all(part)?;
        bytes += count as u64;
    }
    to.sync_all()?;
    Ok((bytes, digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
