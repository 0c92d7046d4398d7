//! Streams outside the engine: every entry is kept in a file of its own chain too, so that it outlives the engine.
//! It must never drop an entry that was acknowledged, nor hold one that was not.
//!
//! A batch that appends is written here first, but left open: the length of its first frame stays zero. When the engine has
//! made the batch durable, the length is written and the file synced; only then is the batch acknowledged. So an entry found
//! here is one that the engine had, and want of room shows before anything is committed.
//!
//! When the store is opened both sides are brought together. What the engine has and the files lack is added to the files:
//! that is what a crash leaves. What the files have and the engine lacks was acknowledged and lost by the engine: it is given
//! back to it. Nothing is ever taken away from either side; two sides that tell different stories are refused.

mod file;

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use self::file::{Open, Reading};
use crate::{Entry, StoreError, embedded::streams::Tail};

/// Where they are, below the store's directory.
pub(crate) const NAME: &str = "segments";
/// How a file's name ends.
const ENDING: &str = ".seg";
/// Bytes after which a new file is begun.
const LIMIT: u64 = 16 << 20;

/// The segments of all streams of a store.
#[derive(Debug)]
pub(crate) struct Segments {
    directory: PathBuf,
    limit: u64,
    streams: BTreeMap<String, Open>,
    /// Set when a file could not be finished: it may then say less than the engine.
    broken: bool,
}

/// Entries written but left open: stream by stream, where each begins and with which bytes.
#[derive(Debug)]
pub(crate) struct Reserved(Vec<(String, file::Pending)>);

impl Segments {
    /// The segments in a directory, which is made if it is not there. What a crash cut off is cut away.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::with_limit(directory, LIMIT)
    }

    pub(crate) fn with_limit(directory: &Path, limit: u64) -> Result<Self, StoreError> {
        make(directory)?;
        let mut streams = BTreeMap::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let Some(stream) = entry.file_name().to_str().and_then(stream_of) else {
                return Err(damaged(directory, format!("{:?} is no stream", entry.file_name())));
            };
            if let Some(open) = last(&entry.path())? {
                streams.insert(stream, open);
            }
        }
        Ok(Self { directory: directory.to_owned(), limit, streams, broken: false })
    }

    /// The streams that have segments.
    pub(crate) fn streams(&self) -> Vec<String> {
        self.streams.keys().cloned().collect()
    }

    /// The last entry of a stream here.
    pub(crate) fn tail(&self, stream: &str) -> Tail {
        self.streams.get(stream).map(|open| open.tail).unwrap_or_default()
    }

    /// Writes entries, which follow those that are here, but leaves them open.
    pub(crate) fn reserve(&mut self, entries: &[(&str, Entry)]) -> Result<Reserved, StoreError> {
        if self.broken {
            let said = "an earlier entry could not be written to its segment; open the store anew";
            return Err(io::Error::other(said).into());
        }
        let mut reserved = Reserved(Vec::new());
        let mut names: Vec<&str> = entries.iter().map(|(stream, _)| *stream).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let of_stream = entries.iter().filter(|(stream, _)| *stream == name).map(|(_, entry)| entry);
            match self.reserve_one(name, of_stream) {
                Ok(pending) => reserved.0.push((name.to_owned(), pending)),
                Err(error) => {
                    self.give_up(reserved);
                    return Err(error);
                }
            }
        }
        Ok(reserved)
    }

    fn reserve_one<'a>(
        &mut self,
        stream: &str,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<file::Pending, StoreError> {
        let full = self.streams.get(stream).is_none_or(|open| open.length >= self.limit);
        if full {
            let tail = self.tail(stream);
            let directory = self.directory.join(name_of(stream));
            make(&directory)?;
            let open = Open::begin(&directory.join(format!("{:012}{ENDING}", tail.sequence + 1)), tail)?;
            self.streams.insert(stream.to_owned(), open);
        }
        match self.streams.get_mut(stream) {
            Some(open) => open.reserve(entries),
            None => Err(StoreError::Codec("a stream without a segment".to_owned())),
        }
    }

    /// Finishes entries whose batch is durable.
    pub(crate) fn seal(&mut self, reserved: Reserved) -> Result<(), StoreError> {
        for (stream, pending) in reserved.0 {
            let done = self.streams.get_mut(&stream).map_or(Ok(()), |open| open.seal(pending));
            if let Err(error) = done {
                self.broken = true;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Forgets entries whose batch came to nothing. What is left of them is written over or cut away.
    pub(crate) fn give_up(&mut self, reserved: Reserved) {
        for (stream, _) in reserved.0 {
            if let Some(open) = self.streams.get(&stream) {
                open.cut();
            }
        }
    }

    /// Entries of a stream from a sequence number on, up to about that many bytes.
    pub(crate) fn entries(&self, stream: &str, from: u64, bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let (mut found, mut taken) = (Vec::new(), 0);
        walk(&self.directory, (stream, from), &mut |entry| {
            taken += entry.value.len();
            found.push(entry);
            taken < bytes
        })?;
        Ok(found)
    }

    /// Where they are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

/// What is wrong with the files of a stream that ends with that entry in the engine. Entries may be added meanwhile.
pub(crate) fn faults(directory: &Path, stream: &str, tail: Tail) -> Option<String> {
    let mut last = Tail::default();
    let walked = walk(directory, (stream, 1), &mut |entry| {
        last = Tail { sequence: entry.sequence, hash: entry.hash };
        entry.sequence < tail.sequence
    });
    let other = format!(
        "the segments of stream {stream:?} end with entry {}, the engine with {}, or their contents differ",
        last.sequence, tail.sequence
    );
    match walked {
        Err(error) => Some(error.to_string()),
        Ok(()) => (last != tail).then_some(other),
    }
}

/// Reads a stream's files from the one that holds an entry on, until `each` has enough. The chain is checked throughout.
fn walk(directory: &Path, (stream, from): (&str, u64), each: &mut dyn FnMut(Entry) -> bool) -> Result<(), StoreError> {
    let files = files(&directory.join(name_of(stream)))?;
    let first = files.iter().rposition(|(first, _)| *first <= from).unwrap_or(0);
    let mut before: Option<Tail> = None;
    for (first, path) in files.iter().skip(first) {
        let mut reading = Reading::of(path)?;
        if reading.tail.sequence + 1 != *first || before.is_some_and(|before| before != reading.tail) {
            return Err(damaged(path, "it does not follow the segment before it".to_owned()));
        }
        while let Some(entry) = reading.next()? {
            if entry.sequence >= from && !each(entry) {
                return Ok(());
            }
        }
        before = Some(reading.tail);
    }
    Ok(())
}

/// The last segment of a stream, open at its end.
fn last(directory: &Path) -> Result<Option<Open>, StoreError> {
    let mut files = files(directory)?;
    while let Some((first, path)) = files.pop() {
        match Open::at_end(&path)? {
            Some(open) if open.first() == first => return Ok(Some(open)),
            Some(_) => return Err(damaged(&path, "it is not the segment its name says".to_owned())),
            // Ended while the file was begun: there is nothing in it.
            None => std::fs::remove_file(&path)?,
        }
    }
    Ok(None)
}

/// The segments of a stream, with the number of the first entry of each, in order.
fn files(directory: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ENDING));
        match name.and_then(|first| first.parse().ok()) {
            Some(first) => found.push((first, path)),
            None => return Err(damaged(&path, "it is no segment".to_owned())),
        }
    }
    found.sort();
    Ok(found)
}

fn make(directory: &Path) -> Result<(), StoreError> {
    if !directory.try_exists()? {
        DirBuilder::new().mode(0o700).create(directory)?;
        if let Some(parent) = directory.parent() {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

/// The name of a stream's directory: whatever is no letter, digit, dash or underscore as its number, so that no name leads
/// anywhere else.
fn name_of(stream: &str) -> String {
    let mut name = String::from("s-");
    for byte in stream.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    name
}

fn stream_of(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name.strip_prefix("s-")?.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(rest.next())? * 16 + digit(rest.next())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|stream| name_of(stream) == name)
}

fn damaged(path: &Path, what: String) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stream_is_known_by_its_directory_and_no_name_leads_elsewhere(stream in ".{0,12}") {
            let name = name_of(&stream);
            prop_assert!(!name.contains(['/', '.', '\0']));
            prop_assert_eq!(stream_of(&name), Some(stream));
        }
    }

    fn chain(stream: &'static str, from: Tail, count: usize) -> Vec<(&'static str, Entry)> {
        let mut tail = from;
        let mut entries = Vec::new();
        for _ in 0..count {
            let sequence = tail.sequence + 1;
            let value = vec![7; 90];
            let hash = crate::embedded::streams::chained(&tail.hash, sequence, &value);
            tail = Tail { sequence, hash };
            entries.push((stream, Entry { sequence, at: provost_model::Time::from_seconds(1), hash, value }));
        }
        entries
    }

    fn add(segments: &mut Segments, entries: &[(&str, Entry)]) {
        let reserved = segments.reserve(entries).unwrap();
        segments.seal(reserved).unwrap();
    }

    #[test]
    fn a_full_segment_is_followed_by_another_and_all_are_read_and_checked() {
        let dir = tempfile::TempDir::new().unwrap();
        let all = chain("s", Tail::default(), 40);
        for (round, entry) in all.iter().enumerate() {
            // Opened anew for every entry, with room for about four.
            let mut segments = Segments::with_limit(&dir.path().join("all"), 600).unwrap();
            assert_eq!(segments.tail("s").sequence, round as u64);
            add(&mut segments, std::slice::from_ref(entry));
        }
        let segments = Segments::open(&dir.path().join("all")).unwrap();
        let stream = dir.path().join("all/s-s");
        let files = files(&stream).unwrap();
        assert!(files.len() > 5, "{files:?}");
        let values: Vec<Entry> = all.iter().map(|(_, entry)| entry.clone()).collect();
        for from in [1, 2, 17, 40] {
            assert_eq!(segments.entries("s", from, usize::MAX).unwrap(), values[from as usize - 1..]);
        }
        let tail = segments.tail("s");
        assert_eq!(faults(segments.directory(), "s", tail), None);
        assert!(faults(segments.directory(), "s", Tail { hash: [1; 32], ..tail }).is_some());
        for (first, path) in &files {
            let whole = std::fs::read(path).unwrap();
            for at in (0..whole.len()).step_by(13) {
                let mut harmed = whole.clone();
                harmed[at] ^= 1;
                std::fs::write(path, harmed).unwrap();
                assert!(faults(segments.directory(), "s", tail).is_some(), "byte {at} of segment {first}");
            }
            std::fs::write(path, whole).unwrap();
        }
        std::fs::remove_file(&files[2].1).unwrap();
        assert!(faults(segments.directory(), "s", tail).is_some(), "a segment is missing");
    }

    #[test]
    fn what_was_left_open_is_no_entry() {
        let dir = tempfile::TempDir::new().unwrap();
        let all = chain("s", Tail::default(), 6);
        let mut segments = Segments::open(dir.path()).unwrap();
        add(&mut segments, &all[..2]);
        let left_open = segments.reserve(&all[2..4]).unwrap();
        drop((segments, left_open));
        let mut segments = Segments::open(dir.path()).unwrap();
        assert_eq!(segments.tail("s").sequence, 2);
        let longer = segments.reserve(&all[2..6]).unwrap();
        segments.give_up(longer);
        add(&mut segments, &all[2..3]);
        assert_eq!(segments.entries("s", 1, usize::MAX).unwrap().len(), 3);
        assert!(segments.reserve(&all[4..5]).is_err(), "an entry that does not follow");
        assert_eq!(Segments::open(dir.path()).unwrap().tail("s").sequence, 3);
    }
}
