//! One segment: entries of one stream, one after the other, each carrying the hash of all before it.
//! It must never take a frame that was left open, cut off or changed for an entry.
//!
//! A segment begins with a line that says what it is, the number of its first entry (8 bytes) and the hash before it (32).
//! A frame is its length (4 bytes), the CRC-32 of what follows (4), and the entry: number (8), time in microseconds (8), hash
//! (32), value. Numbers are big-endian. A length of zero: the frame was left open, and nothing after it counts.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use provost_model::Time;

use super::damaged;
use crate::{Entry, StoreError, embedded::streams::Tail};

const MAGIC: &[u8] = b"provost segment 1\n";
const HEADER: u64 = MAGIC.len() as u64 + 40;
/// Length and checksum of a frame.
const MARK: usize = 8;
/// What a frame holds beside the value.
const ABOUT: usize = 48;
/// Longest value: what one batch may write.
const LONGEST: u64 = 32 << 20;

/// A segment to which entries are added.
#[derive(Debug)]
pub(super) struct Open {
    path: PathBuf,
    file: File,
    /// The entry before the first one.
    before: Tail,
    pub(super) length: u64,
    pub(super) tail: Tail,
}

/// Entries written but left open.
#[derive(Debug)]
pub(super) struct Pending {
    /// Length and checksum of the first frame.
    mark: [u8; MARK],
    length: u64,
    tail: Tail,
}

impl Open {
    /// Begins a segment that follows an entry.
    pub(super) fn begin(path: &Path, before: Tail) -> Result<Self, StoreError> {
        let mut open = OpenOptions::new();
        let file = open.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let first = (before.sequence + 1).to_be_bytes();
        file.write_all_at(&[MAGIC, &first, &before.hash].concat(), 0)?;
        file.sync_all()?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), file, before, length: HEADER, tail: before })
    }

    /// Opens a segment at its end; what follows the last whole frame is cut away. `None` if not even its beginning is whole.
    pub(super) fn at_end(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.metadata()?.len() < HEADER {
            return Ok(None);
        }
        let mut reading = Reading::of(path)?;
        let before = reading.tail;
        while reading.next()?.is_some() {}
        let open = Self { path: path.to_owned(), file, before, length: reading.place, tail: reading.tail };
        if open.file.metadata()?.len() > open.length {
            tracing::warn!(path = %path.display(), "the end of a segment was cut off by a crash; it was not acknowledged");
            open.cut();
        }
        Ok(Some(open))
    }

    /// The number of its first entry.
    pub(super) fn first(&self) -> u64 {
        self.before.sequence + 1
    }

    /// Writes entries behind the last one, the first of them left open.
    pub(super) fn reserve<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) -> Result<Pending, StoreError> {
        let (mut bytes, mut tail) = (Vec::new(), self.tail);
        for entry in entries {
            if !tail.precedes(entry) {
                return Err(damaged(
                    &self.path,
                    format!("entry {} does not follow entry {}", entry.sequence, tail.sequence),
                ));
            }
            frame(entry, &mut bytes)?;
            tail = Tail { sequence: entry.sequence, hash: entry.hash };
        }
        let Some(first) = bytes.first_chunk_mut::<MARK>() else {
            return Ok(Pending { mark: [0; MARK], length: 0, tail });
        };
        let mark = std::mem::replace(first, [0; MARK]);
        if let Err(error) = self.file.write_all_at(&bytes, self.length) {
            self.cut();
            return Err(error.into());
        }
        Ok(Pending { mark, length: bytes.len() as u64, tail })
    }

    /// Closes what was left open and makes it durable.
    pub(super) fn seal(&mut self, pending: Pending) -> Result<(), StoreError> {
        if pending.length == 0 {
            return Ok(());
        }
        self.file.write_all_at(&pending.mark, self.length)?;
        self.file.sync_data()?;
        (self.length, self.tail) = (self.length + pending.length, pending.tail);
        Ok(())
    }

    /// Cuts away what is behind the last entry. Where that fails it stays, left open: it is not read and is written over.
    pub(super) fn cut(&self) {
        let _ = self.file.set_len(self.length);
    }
}

/// A segment being read.
#[derive(Debug)]
pub(super) struct Reading {
    path: PathBuf,
    from: BufReader<File>,
    left: u64,
    /// Bytes up to here are whole entries.
    place: u64,
    pub(super) tail: Tail,
}

impl Reading {
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut from = BufReader::with_capacity(64 << 10, file);
        let mut header = [0; HEADER as usize];
        if length < HEADER {
            return Err(damaged(path, "its beginning is cut off".to_owned()));
        }
        from.read_exact(&mut header)?;
        let said = header.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<8>());
        let Some((first, hash)) = said else { return Err(damaged(path, "it is no segment".to_owned())) };
        let hash = hash.try_into().map_err(|_| damaged(path, "it is no segment".to_owned()))?;
        let sequence = u64::from_be_bytes(*first).checked_sub(1);
        let sequence = sequence.ok_or_else(|| damaged(path, "entries are counted from one".to_owned()))?;
        Ok(Self { path: path.to_owned(), from, left: length - HEADER, place: HEADER, tail: Tail { sequence, hash } })
    }

    /// The next entry; `None` where no whole one follows.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        let mut mark = [0; MARK];
        if self.left < MARK as u64 {
            return Ok(None);
        }
        self.from.read_exact(&mut mark)?;
        self.left -= MARK as u64;
        let [a, b, c, d, e, f, g, h] = mark;
        let (length, said) = (u64::from(u32::from_be_bytes([a, b, c, d])), u32::from_be_bytes([e, f, g, h]));
        if length < ABOUT as u64 || length > LONGEST + ABOUT as u64 || length > self.left {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.from.read_exact(&mut bytes)?;
        self.left -= length;
        if crc32fast::hash(&bytes) != said {
            return Ok(None);
        }
        let Some(entry) = entry(bytes) else { return Ok(None) };
        if !self.tail.precedes(&entry) {
            return Err(damaged(&self.path, format!("entry {} breaks the chain", entry.sequence)));
        }
        self.tail = Tail { sequence: entry.sequence, hash: entry.hash };
        self.place += MARK as u64 + length;
        Ok(Some(entry))
    }
}

fn frame(entry: &Entry, into: &mut Vec<u8>) -> Result<(), StoreError> {
    let mut content = Vec::with_capacity(ABOUT + entry.value.len());
    content.extend_from_slice(&entry.sequence.to_be_bytes());
    content.extend_from_slice(&entry.at.as_micros().to_be_bytes());
    content.extend_from_slice(&entry.hash);
    content.extend_from_slice(&entry.value);
    let length = u32::try_from(content.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(&crc32fast::hash(&content).to_be_bytes());
    into.extend_from_slice(&content);
    Ok(())
}

fn entry(mut bytes: Vec<u8>) -> Option<Entry> {
    let (sequence, rest) = bytes.split_first_chunk::<8>()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (hash, _) = rest.split_first_chunk::<32>()?;
    let (sequence, at, hash) = (u64::from_be_bytes(*sequence), i64::from_be_bytes(*at), *hash);
    bytes.drain(..ABOUT);
    Some(Entry { sequence, at: Time::from_micros(at), hash, value: bytes })
}
