//! Backups: a whole store as of one commit, in one file, from any back end and for any.
//! It must never write over anything, nor believe a file whose digest it did not check.
//!
//! A backup is a line that says what it is, the version of its form (4 bytes, big-endian), one zstd stream, and the SHA-256
//! of all that (32 bytes). The stream holds pieces (`bytes`), the last of which counts the others.

mod aside;
mod bytes;
mod moving;
mod newest;
mod place;
mod restore;
mod rollback;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use provost_model::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use self::bytes::Said;
use crate::{CommitNo, Piece, Store, StoreError};

pub use aside::Aside;
pub use moving::{fill, fill_directory};
pub use newest::{Newest, name, newest, prune};
pub use restore::{Former, Mode, Restored, restore};
pub use rollback::{RolledBack, roll_back};

/// How a backup begins.
const MAGIC: &[u8] = b"provost store backup\n";
/// The version of the form that this program writes, and the newest that it reads.
const VERSION: u32 = 1;
const HEADER: u64 = MAGIC.len() as u64 + 4;
const DIGEST: u64 = 32;
/// zstd's own default: a sixth of the size at hundreds of MB a second.
const LEVEL: i32 = 3;
/// The largest window a reader makes room for: 8 MiB, four times what `LEVEL` asks for.
const WINDOW_LOG: u32 = 23;
/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// What can go wrong with a backup, named by what the caller does next.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file failed.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// There is something at the place already: choose another name.
    #[error("{0} is there already; choose another name")]
    There(PathBuf),
    /// The file is something else: look for the right one.
    #[error("{0} is no backup of a store")]
    NoBackup(PathBuf),
    /// A later Provost wrote it: use that one.
    #[error("the backup {path} is of form {version}, this program reads up to {VERSION}; use the newer provost")]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its form.
        version: u32,
    },
    /// It is not what was written: use another one.
    #[error("the backup {path} is not the file that was written: {what}")]
    Altered {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is a store with something in it: nothing was changed.
    #[error(
        "the store at {path} is not empty, its last commit is {commit}; nothing was changed. To set it aside and restore \
         the backup in its place, add --force"
    )]
    NotEmpty {
        /// Where.
        path: PathBuf,
        /// Its last commit.
        commit: u64,
    },
    /// There is nothing to go back to.
    #[error("there is no copy of the store from before a step of format in {0} (store.backups.path)")]
    NoCopy(PathBuf),
    /// Going back would lose commits: nothing was changed.
    #[error(
        "{commits} commits were made since the store was copied to {copy}, the first at {first}; nothing was changed. To go \
         back without them (the store that is there is set aside, not thrown away), add --lose-commits"
    )]
    CommitsSince {
        /// The copy.
        copy: PathBuf,
        /// How many.
        commits: u64,
        /// When the first was recorded.
        first: Time,
    },
    /// It cannot be told what going back would lose: nothing was changed.
    #[error(
        "it cannot be told which commits {path} has and {copy} has not: {what}. To go back all the same (the store that is \
         there is set aside, not thrown away), add --lose-commits"
    )]
    CannotTell {
        /// The store.
        path: PathBuf,
        /// The copy.
        copy: PathBuf,
        /// Why.
        what: String,
    },
}

/// What is in a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// When it was taken, in microseconds since 1970.
    pub taken_at: i64,
    /// The version of the program that took it.
    pub provost: String,
    /// The last commit.
    pub commit: u64,
    /// Present rows of all tables.
    pub rows: u64,
    /// Former versions of rows.
    pub versions: u64,
    /// Entries of all streams.
    pub entries: u64,
    /// Items of all due queues.
    pub due: u64,
    /// Leases.
    pub leases: u64,
}

impl Contents {
    /// Counts a piece.
    pub fn count(&mut self, piece: &Piece) {
        match piece {
            Piece::Commit { number, .. } => self.commit = number.0,
            Piece::Row { present: true, .. } => self.rows += 1,
            Piece::Row { present: false, .. } => self.versions += 1,
            Piece::Entry { .. } => self.entries += 1,
            Piece::Due { .. } => self.due += 1,
            Piece::Lease { .. } => self.leases += 1,
        }
    }

    /// Pieces in all, commits left out.
    pub fn pieces(&self) -> u64 {
        self.rows + self.versions + self.entries + self.due + self.leases
    }
}

/// Writes a backup of a store, beside whoever reads and writes it. `meter` is told how many pieces are written.
pub fn pack(
    store: &dyn Store,
    to: &mut dyn Write,
    (now, meter): (Time, &mut dyn FnMut(u64)),
) -> Result<Contents, StoreError> {
    let mut digested = Digested { to, digest: Sha256::new() };
    digested.write_all(MAGIC)?;
    digested.write_all(&VERSION.to_be_bytes())?;
    let mut packed = zstd::Encoder::new(BufWriter::with_capacity(CHUNK, &mut digested), LEVEL)?;
    let mut contents =
        Contents { taken_at: now.as_micros(), provost: env!("CARGO_PKG_VERSION").to_owned(), ..Contents::default() };
    let mut frame = Vec::new();
    let CommitNo(commit) = store.pieces(&mut |piece| {
        contents.count(&piece);
        let pieces = contents.pieces();
        if pieces.is_multiple_of(10_000) {
            meter(pieces);
        }
        Ok(packed.write_all(bytes::written(&Said::Piece(piece), &mut frame)?)?)
    })?;
    contents.commit = commit;
    packed.write_all(bytes::written(&Said::End(contents.clone()), &mut frame)?)?;
    packed.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    let Digested { to, digest } = digested;
    to.write_all(&digest.finalize())?;
    to.flush()?;
    Ok(contents)
}

/// Takes a backup into a file of its own, which is there whole or not at all.
pub fn back_up(store: &dyn Store, path: &Path, how: (Time, &mut dyn FnMut(u64))) -> Result<Contents, ArchiveError> {
    let mut aside = Aside::create(path)?;
    let contents = pack(store, &mut aside, how)?;
    aside.settle()?;
    Ok(contents)
}

/// A moment as part of a name: 2026-11-24T13-45-00Z.
fn stamp(now: Time) -> String {
    let text = Time::from_seconds(now.as_seconds()).to_string();
    text.chars().map(|letter| if letter == ':' { '-' } else { letter }).collect()
}

/// A backup whose digest was checked.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    file: File,
    /// Where the digest begins.
    end: u64,
}

impl Backup {
    /// Opens a backup and compares it with the digest at its end.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let failed = |error| ArchiveError::File { path: path.to_owned(), error };
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        let mut begin = vec![0; HEADER as usize];
        if !about.is_file() || about.len() < HEADER + DIGEST || file.read_exact_at(&mut begin, 0).is_err() {
            return Err(ArchiveError::NoBackup(path.to_owned()));
        }
        let version = begin.strip_prefix(MAGIC).and_then(|version| version.try_into().ok()).map(u32::from_be_bytes);
        match version {
            Some(VERSION) => {}
            Some(version) if version > VERSION => {
                return Err(ArchiveError::Newer { path: path.to_owned(), version });
            }
            _ => return Err(ArchiveError::NoBackup(path.to_owned())),
        }
        let backup = Self { path: path.to_owned(), file, end: about.len() - DIGEST };
        let mut said = [0; DIGEST as usize];
        backup.file.read_exact_at(&mut said, backup.end).map_err(failed)?;
        if backup.digest().map_err(failed)? != said {
            return Err(backup.altered("its SHA-256 is another one"));
        }
        Ok(backup)
    }

    /// Reads it to its end; what is in it.
    pub fn contents(&mut self) -> Result<Contents, ArchiveError> {
        let mut reading = self.read()?;
        while reading.next()?.is_some() {}
        reading.contents()
    }

    /// Fills an empty store with it; gives what was in it. `meter` is told how many pieces are read.
    pub fn unpack(&mut self, store: &dyn Store, meter: &mut dyn FnMut(u64)) -> Result<Contents, ArchiveError> {
        let path = self.path.clone();
        let mut reading = self.read()?;
        let mut failed = None;
        let rebuilt = store.rebuild(&mut || match reading.next() {
            Ok(piece) => {
                let pieces = reading.counted.pieces();
                if pieces.is_multiple_of(10_000) {
                    meter(pieces);
                }
                Ok(piece)
            }
            Err(error) => {
                let said = StoreError::Codec(error.to_string());
                failed = Some(error);
                Err(said)
            }
        });
        match (failed, rebuilt) {
            (Some(error), _) => Err(error),
            (None, Err(StoreError::Codec(what))) => Err(ArchiveError::Altered { path, what }),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => reading.contents(),
        }
    }

    fn read(&mut self) -> Result<Reading<'_>, ArchiveError> {
        let failed = |error| ArchiveError::File { path: self.path.clone(), error };
        let mut file = &self.file;
        file.seek(SeekFrom::Start(HEADER)).map_err(failed)?;
        let packed = BufReader::with_capacity(CHUNK, file.take(self.end - HEADER));
        let mut from = zstd::Decoder::with_buffer(packed).map_err(failed)?;
        from.window_log_max(WINDOW_LOG).map_err(failed)?;
        let from = BufReader::with_capacity(CHUNK, from);
        Ok(Reading { path: &self.path, from, counted: Contents::default(), said: None })
    }

    fn digest(&self) -> io::Result<[u8; DIGEST as usize]> {
        let (mut digest, mut place) = (Sha256::new(), 0);
        let mut chunk = vec![0; CHUNK];
        while place < self.end {
            let wanted = usize::try_from(self.end - place).unwrap_or(CHUNK).min(CHUNK);
            let part = chunk.get_mut(..wanted).unwrap_or_default();
            self.file.read_exact_at(part, place)?;
            digest.update(&*part);
            place += wanted as u64;
        }
        Ok(digest.finalize().into())
    }

    fn altered(&self, what: &str) -> ArchiveError {
        ArchiveError::Altered { path: self.path.clone(), what: what.to_owned() }
    }
}

/// A backup being read.
struct Reading<'a> {
    path: &'a Path,
    from: BufReader<zstd::Decoder<'static, BufReader<io::Take<&'a File>>>>,
    /// What was read so far.
    counted: Contents,
    /// What the end says was written.
    said: Option<Contents>,
}

impl Reading<'_> {
    /// The next piece; `None` after the last.
    fn next(&mut self) -> Result<Option<Piece>, ArchiveError> {
        if self.said.is_some() {
            return Ok(None);
        }
        match bytes::read(&mut self.from).map_err(|what| self.altered(what))? {
            Said::Piece(piece) => {
                self.counted.count(&piece);
                Ok(Some(piece))
            }
            Said::End(said) => {
                self.counted.taken_at = said.taken_at;
                self.counted.provost.clone_from(&said.provost);
                self.said = Some(said);
                let mut after = [0];
                match (self.from.read(&mut after), self.said == Some(self.counted.clone())) {
                    (Ok(0), true) => Ok(None),
                    (Ok(0), false) => Err(self.altered("it does not hold what its end says".to_owned())),
                    _ => Err(self.altered("there is something after its end".to_owned())),
                }
            }
        }
    }

    /// What was in it, once everything was read.
    fn contents(self) -> Result<Contents, ArchiveError> {
        match self.said {
            Some(said) => Ok(said),
            None => Err(self.altered("its end was not read".to_owned())),
        }
    }

    fn altered(&self, what: String) -> ArchiveError {
        ArchiveError::Altered { path: self.path.to_owned(), what }
    }
}

/// A side to which everything goes through a digest.
struct Digested<'a> {
    to: &'a mut dyn Write,
    digest: Sha256,
}

impl Write for Digested<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
