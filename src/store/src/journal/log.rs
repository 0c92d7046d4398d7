//! The journal's file: entries one after the other, each on the disk before it is acknowledged.
//! It must never take half an entry for a whole one, nor read past one that is none.
//!
//! An entry is the length of its content (4 bytes), the CRC-32 of what follows (4), its sequence number (8) and the
//! content. Numbers are big-endian. What a crash cut off at the end was not acknowledged, and is cut away.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::StoreError;

const HEADER: usize = 16;

/// The file, open at its end.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    length: u64,
    /// The number of the first entry; zero if there is none.
    first: u64,
    sequence: u64,
}

impl Log {
    /// Opens the file, hands over the content of each entry, oldest first, and cuts a torn end away.
    pub(super) fn open(path: &Path, each: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>) -> Result<Self, StoreError> {
        let mut open = OpenOptions::new();
        let file = open.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let whole = file.metadata()?.len();
        let mut log = Self { file, length: 0, first: 0, sequence: 0 };
        let mut from = BufReader::new(log.file.try_clone()?);
        let mut content = Vec::new();
        while let Some(sequence) = next(&mut from, whole - log.length, log.sequence, &mut content)? {
            each(&content)?;
            log.begin(sequence);
            log.sequence = sequence;
            log.length += (HEADER + content.len()) as u64;
        }
        if log.length < whole {
            tracing::warn!(
                bytes = whole - log.length,
                "the end of the journal was cut off by a crash; it was not acknowledged"
            );
            log.cut()?;
        }
        Ok(log)
    }

    /// The number of the last entry ever written, as far as the file knows; zero if it knows none.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The number of the first entry in the file; zero if there is none.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Goes on counting after that number, if it is the greater one.
    pub(super) fn follow(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
    }

    fn begin(&mut self, sequence: u64) {
        if self.first == 0 {
            self.first = sequence;
        }
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds an entry; it is on the disk when this returns. If it fails, the entry is not there.
    pub(super) fn append(&mut self, content: &[u8]) -> Result<(), StoreError> {
        let sequence = self.sequence + 1;
        let length = u32::try_from(content.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let numbers = [&length.to_be_bytes()[..], &sum(sequence, content).to_be_bytes(), &sequence.to_be_bytes()];
        let header = numbers.concat();
        let behind = self.length + HEADER as u64;
        // In two pieces: megabytes need not be copied for sixteen bytes.
        let written = self.file.write_all_at(content, behind);
        let written = written.and_then(|()| self.file.write_all_at(&header, self.length));
        let written = written.and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Whatever got there must not be found again.
            self.cut()?;
            return Err(error.into());
        }
        self.begin(sequence);
        (self.sequence, self.length) = (sequence, behind + u64::from(length));
        Ok(())
    }

    /// What is wrong with the file, read from its beginning.
    pub(super) fn fault(&self) -> Result<Option<String>, StoreError> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        let (mut from, mut content, mut read, mut last) = (BufReader::new(file), Vec::new(), 0, 0);
        while let Some(sequence) = next(&mut from, self.length - read, last, &mut content)? {
            read += (HEADER + content.len()) as u64;
            last = sequence;
        }
        let (length, on_disk) = (self.length, self.file.metadata()?.len());
        if read < length || on_disk != length {
            return Ok(Some(format!("of {length} bytes {read} can be read, the file has {on_disk}")));
        }
        Ok(None)
    }

    /// Forgets every entry.
    pub(super) fn clear(&mut self) -> Result<(), StoreError> {
        (self.length, self.first) = (0, 0);
        self.cut()
    }

    fn cut(&self) -> Result<(), StoreError> {
        self.file.set_len(self.length)?;
        Ok(self.file.sync_all()?)
    }
}

/// Reads the next entry's content; its sequence number, or `None` where no whole entry follows.
fn next(from: &mut BufReader<File>, left: u64, before: u64, content: &mut Vec<u8>) -> Result<Option<u64>, StoreError> {
    let mut header = [0; HEADER];
    if left < HEADER as u64 {
        return Ok(None);
    }
    from.read_exact(&mut header)?;
    let [a, b, c, d, e, f, g, h, rest @ ..] = header;
    let (length, said) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    let sequence = u64::from_be_bytes(rest);
    // Numbers go on, so that what an earlier use of the file left behind is not taken for an entry.
    if u64::from(length) > left - HEADER as u64 || (before != 0 && sequence != before + 1) {
        return Ok(None);
    }
    content.resize(length as usize, 0);
    from.read_exact(content)?;
    Ok((sum(sequence, content) == said).then_some(sequence))
}

fn sum(sequence: u64, content: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&sequence.to_be_bytes());
    sum.update(content);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn read(path: &Path) -> (Log, Vec<Vec<u8>>) {
        let mut all = Vec::new();
        let log = Log::open(path, &mut |content| {
            all.push(content.to_vec());
            Ok(())
        });
        (log.unwrap(), all)
    }

    fn written(path: &Path) -> Vec<Vec<u8>> {
        let (mut log, _) = read(path);
        let all: Vec<Vec<u8>> = (0..5_u8).map(|at| vec![at; 100 * usize::from(at)]).collect();
        all.iter().for_each(|content| log.append(content).unwrap());
        all
    }

    #[test]
    fn entries_come_back_in_order_and_more_can_be_added() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("journal");
        let mut all = written(&path);
        let (mut log, found) = read(&path);
        assert_eq!(found, all);
        log.append(b"more").unwrap();
        all.push(b"more".to_vec());
        assert_eq!(read(&path).1, all);
        log.clear().unwrap();
        log.append(b"anew").unwrap();
        assert_eq!(read(&path).1, [b"anew"]);
    }

    #[test]
    fn an_end_cut_off_or_changed_anywhere_is_cut_away_and_the_rest_stays() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("journal");
        let all = written(&path);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let (mut harmed, kept) = (whole.clone(), whole.get(..at).unwrap());
            harmed[at] ^= 1;
            for bytes in [kept, &harmed] {
                std::fs::write(&path, bytes).unwrap();
                let (mut log, found) = read(&path);
                assert_eq!(found, all[..found.len()], "at {at}");
                assert!(found.len() < all.len());
                log.append(b"more").unwrap();
                let after = read(&path).1;
                assert_eq!(after.last().map(Vec::as_slice), Some(b"more".as_slice()), "at {at}");
                assert_eq!(after.len(), found.len() + 1);
            }
        }
    }
}
