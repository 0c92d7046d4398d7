//! Which records a listing showed: sixteen bytes each, in bounded memory, sorted at the end.
//! It must never keep more than its bound in memory; the rest waits in an unnamed file.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
};

use provost_model::RecordId;

/// Ids kept in memory before they are spilled: 16 MiB.
const IN_MEMORY: usize = 1 << 20;

/// Ids as they come, in any order and with repetitions.
pub struct Spool {
    tail: Vec<RecordId>,
    bound: usize,
    file: Option<File>,
    /// Ids in each sorted stretch of the file.
    stretches: Vec<u64>,
}

/// The ids in order, each once.
pub struct Sorted {
    sources: Vec<Box<dyn Iterator<Item = io::Result<RecordId>>>>,
    heap: BinaryHeap<Reverse<(RecordId, usize)>>,
    last: Option<RecordId>,
}

impl Default for Spool {
    fn default() -> Self {
        Self::bounded(IN_MEMORY)
    }
}

impl Spool {
    fn bounded(bound: usize) -> Self {
        Self { tail: Vec::new(), bound, file: None, stretches: Vec::new() }
    }

    /// Adds an id.
    pub fn push(&mut self, id: RecordId) -> io::Result<()> {
        self.tail.push(id);
        if self.tail.len() >= self.bound { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.tail.sort_unstable();
        self.tail.dedup();
        let file = match &mut self.file {
            Some(file) => file,
            slot => slot.insert(tempfile::tempfile()?),
        };
        let bytes: Vec<u8> = self.tail.iter().flat_map(|id| *id.as_bytes()).collect();
        file.write_all(&bytes)?;
        self.stretches.push(self.tail.len() as u64);
        self.tail.clear();
        Ok(())
    }

    /// The ids in order, each once. They can be asked for again.
    pub fn sorted(&mut self) -> io::Result<Sorted> {
        self.tail.sort_unstable();
        let mut sources: Vec<Box<dyn Iterator<Item = io::Result<RecordId>>>> = Vec::new();
        let mut offset = 0;
        for length in &self.stretches {
            let Some(file) = &self.file else { break };
            // A file of its own per stretch, so that each has its own place to read at.
            let mut stretch = reopened(file)?;
            stretch.seek(SeekFrom::Start(offset))?;
            sources.push(Box::new(ids(BufReader::new(stretch).take(length * 16))));
            offset += length * 16;
        }
        sources.push(Box::new(self.tail.clone().into_iter().map(Ok)));
        let mut sorted = Sorted { sources, heap: BinaryHeap::new(), last: None };
        for at in 0..sorted.sources.len() {
            sorted.refill(at)?;
        }
        Ok(sorted)
    }
}

fn reopened(file: &File) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn ids(mut from: impl Read) -> impl Iterator<Item = io::Result<RecordId>> {
    std::iter::from_fn(move || {
        let mut id = [0; 16];
        match from.read_exact(&mut id) {
            Ok(()) => Some(Ok(RecordId::from_bytes(id))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    })
}

impl Sorted {
    fn refill(&mut self, at: usize) -> io::Result<()> {
        if let Some(next) = self.sources.get_mut(at).and_then(Iterator::next) {
            self.heap.push(Reverse((next?, at)));
        }
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = io::Result<RecordId>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((id, at)) = self.heap.pop()?;
            if let Err(error) = self.refill(at) {
                return Some(Err(error));
            }
            if self.last != Some(id) {
                self.last = Some(id);
                return Some(Ok(id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spilled_or_not_the_ids_come_sorted_and_once() {
        let id = |byte: u8| RecordId::from_bytes([byte; 16]);
        for bound in [1, 2, 3, 100] {
            let mut spool = Spool::bounded(bound);
            for byte in [9, 3, 7, 3, 1, 9, 200, 0] {
                spool.push(id(byte)).unwrap();
            }
            for _ in 0..2 {
                let sorted: Vec<_> = spool.sorted().unwrap().map(Result::unwrap).collect();
                assert_eq!(sorted, [0, 1, 3, 7, 9, 200].map(id), "bound {bound}");
            }
        }
    }
}
