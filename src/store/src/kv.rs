//! The small interface that an engine must offer: ordered keys in named trees, written atomically and durably.
//! It must never know what the bytes mean: rows, streams, queues and leases are built on it, once for all engines.

use std::{fmt, ops::Bound, path::Path};

use crate::{Compacted, StoreError};

/// One tree of an engine. Each table, stream and queue has its own, so that they grow and are rewritten apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tree<'a> {
    /// What sort of tree it is.
    pub shelf: Shelf,
    /// Whose: the name of the table, stream or queue; empty where there is only one.
    pub name: &'a str,
}

/// What a tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shelf {
    /// The present rows of a table.
    Rows,
    /// Former versions of the rows of a table.
    Past,
    /// Entries of a stream.
    Stream,
    /// Items of a due queue, in the order in which they are due.
    Due,
    /// The time of each item of a due queue.
    DueAt,
    /// The time of each commit.
    Commits,
    /// Who holds which lease.
    Leases,
    /// Up to where the journal is in the trees.
    Settled,
}

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// From where to where a page goes.
pub type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// In which order a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Ascending keys.
    Up,
    /// Descending keys.
    Down,
}

/// Ordered keys that are written atomically and durably. Every call may block.
pub trait Kv: Send + Sync {
    /// The value under a key.
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` pairs of a range. What is written meanwhile may or may not be in it; a pair is never torn.
    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError>;

    /// The values under several keys of one tree, in the order asked for.
    fn get_many(&self, tree: Tree<'_>, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(tree, key)).collect()
    }

    /// A page of each of several ranges of one tree, in ascending order, in the order asked for.
    fn pages(&self, tree: Tree<'_>, ranges: &[Range<'_>], limit: usize) -> Result<Vec<Vec<Pair>>, StoreError> {
        ranges.iter().map(|range| self.page(tree, *range, Way::Up, limit)).collect()
    }

    /// Runs `work` and makes what it wrote durable in one piece; if it fails, nothing is written. `work` must not write
    /// other than by its draft.
    fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Does what was put off.
    fn tidy(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The names of the trees there are, as on disk, in any order; one that was emptied may be among them.
    fn trees(&self) -> Result<Vec<String>, StoreError>;

    /// What is wrong with the files beside the trees, a sentence each.
    fn faults(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// Shuts out programs of older formats, before the first thing is written that they would take for damage. `false`: that
    /// cannot be, and no such thing may be written.
    fn contract(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Bytes that must be free for a rewrite.
    fn compaction_needs(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// Rewrites what is live, beside readers and writers.
    fn compact(&self) -> Result<Compacted, StoreError> {
        let used = self.used()?;
        Ok(Compacted { before: used, after: used })
    }

    /// Where it is on disk.
    fn path(&self) -> Option<&Path>;

    /// Bytes it takes.
    fn used(&self) -> Result<u64, StoreError>;
}

/// What a journal needs below it: ordered keys, not more. Every call may block.
pub trait Engine: fmt::Debug + Send + Sync {
    /// The value under a key.
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` pairs of a range. What is settled meanwhile may or may not be in it; a pair is never torn.
    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError>;

    /// The values under several keys of one tree, in the order asked for.
    fn get_many(&self, tree: Tree<'_>, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(tree, key)).collect()
    }

    /// A page of each of several ranges of one tree, in ascending order, in the order asked for.
    fn pages(&self, tree: Tree<'_>, ranges: &[Range<'_>], limit: usize) -> Result<Vec<Vec<Pair>>, StoreError> {
        ranges.iter().map(|range| self.page(tree, *range, Way::Up, limit)).collect()
    }

    /// Puts pairs in their place, in ascending order of keys: neither atomic nor durable before [`Engine::sync`]. `None`
    /// removes a pair.
    fn settle(&self, tree: Tree<'_>, pairs: &mut Settled<'_>) -> Result<(), StoreError>;

    /// Makes durable whatever was settled.
    fn sync(&self) -> Result<(), StoreError>;

    /// The names of the trees there are, as on disk, in any order; one that was emptied may be among them.
    fn trees(&self) -> Result<Vec<String>, StoreError>;

    /// Bytes it takes.
    fn used(&self) -> Result<u64, StoreError>;
}

/// Pairs to be put in place.
pub type Settled<'a> = dyn Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + 'a;

/// What runs inside a write.
pub type Work<'a> = dyn FnMut(&mut dyn Draft) -> Result<(), StoreError> + 'a;

/// A write in the making. It reads what it wrote.
pub trait Draft {
    /// The value under a key, with this draft's writes applied.
    fn get(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Says what will be asked for next, so that it can be read together: cheaper than one by one. What was said before is
    /// forgotten, and the list is sorted on the way.
    fn foresee(&mut self, _wanted: &mut [(Tree<'_>, &[u8])]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes a pair.
    fn put(&mut self, tree: Tree<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes a pair, if it is there.
    fn delete(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<(), StoreError>;
}

impl<'a> Tree<'a> {
    /// The time of each commit.
    pub const COMMITS: Tree<'static> = Tree { shelf: Shelf::Commits, name: "" };
    /// The tables there are: whether each is versioned. Beside the commits, where readers of format 2 do not look.
    pub const TABLES: Tree<'static> = Tree { shelf: Shelf::Commits, name: "tables" };
    /// Who holds which lease.
    pub const LEASES: Tree<'static> = Tree { shelf: Shelf::Leases, name: "" };
    /// Up to where the journal is in the trees.
    pub const SETTLED: Tree<'static> = Tree { shelf: Shelf::Settled, name: "" };

    /// The tree of that sort and name.
    pub fn new(shelf: Shelf, name: &'a str) -> Self {
        Self { shelf, name }
    }

    /// The tree of that name on disk, if it is one.
    pub fn named(name: &'a str) -> Option<Self> {
        let (word, name) = name.split_once('/')?;
        let shelf = Shelf::ALL.into_iter().find(|shelf| shelf.word() == word)?;
        Some(Self { shelf, name })
    }
}

impl Shelf {
    /// Every sort.
    pub const ALL: [Shelf; 8] = [
        Shelf::Rows,
        Shelf::Past,
        Shelf::Stream,
        Shelf::Due,
        Shelf::DueAt,
        Shelf::Commits,
        Shelf::Leases,
        Shelf::Settled,
    ];

    /// The word on disk, for good.
    fn word(self) -> &'static str {
        match self {
            Shelf::Rows => "rows",
            Shelf::Past => "past",
            Shelf::Stream => "stream",
            Shelf::Due => "due",
            Shelf::DueAt => "due-at",
            Shelf::Commits => "commits",
            Shelf::Leases => "leases",
            Shelf::Settled => "settled",
        }
    }
}

impl fmt::Display for Tree<'_> {
    /// The name on disk, for good.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.shelf.word(), self.name)
    }
}
