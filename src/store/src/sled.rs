//! The embedded default: sled, one tree per table and index, below the journal that makes batches atomic.
//! It must never call a batch durable that only the page cache knows: sled's own flush does not reach the disk.

mod block;
mod blocks;
mod starts;

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use self::blocks::Blocks;
use crate::{
    StoreError,
    kv::{Engine, Pair, Range, Settled, Tree, Way},
    memory::is_empty,
};

/// How the name of a snapshot of sled's page table ends while it is being written.
const HALF_WRITTEN: &str = ".generating";
/// The tree that sled makes for itself.
const OWN: &str = "__sled__default";
/// How sled's name of a tree of blocks begins, for good.
const IN_BLOCKS: &str = "blocks/";

/// A directory with sled's files.
pub struct Sled {
    path: PathBuf,
    db: ::sled::Db,
    /// Whether pairs have a value each: so did programs of formats up to 4, and it stays so until the engine is rewritten.
    singly: bool,
    /// Handles of the trees used so far.
    trees: RwLock<HashMap<String, Kept>>,
    /// sled's one large file, to reach the disk after each flush.
    file: File,
    /// Files beside it that are on the disk already: sled puts very large pages into files of their own.
    beside: Mutex<HashSet<OsString>>,
    /// Set when a write failed half-way: memory may then be ahead of the disk, so nothing is answered any more.
    broken: AtomicBool,
}

/// How the pairs of a tree are kept.
#[derive(Clone, Debug)]
enum Kept {
    /// A value each.
    Singly(::sled::Tree),
    /// Many in a value.
    InBlocks(Arc<Blocks>),
}

impl Sled {
    /// sled in a directory that was checked before.
    pub(crate) fn open(path: &Path, cache: u64) -> Result<Self, StoreError> {
        clear_half_written(path)?;
        // sled counts what a page has on disk; in memory it takes about twice as much.
        let config = ::sled::Config::new().path(path).cache_capacity(cache / 2).mode(::sled::Mode::LowSpace);
        let db = config.flush_every_ms(Some(500)).open().map_err(|error| failed(path, error))?;
        let file = File::open(path.join("db"))?;
        File::open(path)?.sync_all()?;
        let singly =
            db.tree_names().iter().any(|name| *name != OWN.as_bytes() && !name.starts_with(IN_BLOCKS.as_bytes()));
        let this = Self {
            path: path.to_owned(),
            db,
            singly,
            trees: RwLock::default(),
            file,
            beside: Mutex::default(),
            broken: AtomicBool::new(false),
        };
        this.sync_beside()?;
        Ok(this)
    }

    /// Reads every tree to its end, so that every page that is in use is read and its checksum compared.
    pub(crate) fn read_through(&self) -> Result<(), StoreError> {
        for name in self.names() {
            match self.kept(&name)? {
                Kept::InBlocks(blocks) => blocks.read_through()?,
                Kept::Singly(tree) => {
                    tree.iter().try_for_each(|pair| pair.map(drop)).map_err(|error| failed(&self.path, error))?;
                }
            }
        }
        Ok(())
    }

    fn tree(&self, tree: Tree<'_>) -> Result<Kept, StoreError> {
        if self.broken.load(Ordering::Acquire) {
            return Err(StoreError::Io(std::io::Error::other("an earlier write failed half-way; open the store anew")));
        }
        let name = tree.to_string();
        if let Some(known) = self.trees.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(known.clone());
        }
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        // Opened under the lock: all who read a tree of blocks wait for the one who writes it.
        if let Some(known) = trees.get(&name) {
            return Ok(known.clone());
        }
        let kept = self.kept(&name)?;
        trees.insert(name, kept.clone());
        Ok(kept)
    }

    fn kept(&self, name: &str) -> Result<Kept, StoreError> {
        let open = |name: &str| self.db.open_tree(name).map_err(|error| failed(&self.path, error));
        Ok(match self.singly {
            true => Kept::Singly(open(name)?),
            false => Kept::InBlocks(Arc::new(Blocks::over(&self.path, open(&format!("{IN_BLOCKS}{name}"))?))),
        })
    }

    /// The names of the trees there are, however they are kept.
    fn names(&self) -> Vec<String> {
        // sled has one of its own, whose name is no name of ours.
        let names = self.db.tree_names().into_iter().map(|name| String::from_utf8_lossy(&name).into_owned());
        let ours = names.filter(|name| name != OWN);
        ours.map(|name| name.strip_prefix(IN_BLOCKS).map(str::to_owned).unwrap_or(name)).collect()
    }

    /// Remembers that a write failed half-way.
    fn unless_broken(&self, done: Result<(), StoreError>) -> Result<(), StoreError> {
        if done.is_err() {
            self.broken.store(true, Ordering::Release);
        }
        done
    }

    fn sync_beside(&self) -> Result<(), std::io::Error> {
        let mut known = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = self.path.join("blobs");
        let mut present = HashSet::new();
        let mut grew = false;
        for entry in std::fs::read_dir(&dir)? {
            let name = entry?.file_name();
            if !known.contains(&name) {
                match File::open(dir.join(&name)) {
                    Ok(file) => file.sync_all()?,
                    // sled removes such a file as soon as the page it holds was replaced.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                grew = true;
            }
            present.insert(name);
        }
        if grew {
            File::open(&dir)?.sync_all()?;
        }
        *known = present;
        Ok(())
    }
}

/// Removes snapshots of the page table that a crash left half written. sled means to pass them over, since the one before
/// goes only when the new one has its name, but looks for another ending (0.34.7, `get_snapshot_files`), takes such a file
/// for the newest snapshot and refuses to open.
fn clear_half_written(path: &Path) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(HALF_WRITTEN) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Engine for Sled {
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.tree(tree)? {
            Kept::InBlocks(blocks) => blocks.get(key),
            Kept::Singly(tree) => {
                Ok(tree.get(key).map_err(|error| failed(&self.path, error))?.map(|value| value.to_vec()))
            }
        }
    }

    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        if is_empty(range) {
            return Ok(Vec::new());
        }
        let found = match self.tree(tree)? {
            Kept::InBlocks(blocks) => return blocks.page(range, way, limit),
            Kept::Singly(tree) => tree.range::<&[u8], _>(range),
        };
        let pair = |found: Result<(::sled::IVec, ::sled::IVec), ::sled::Error>| {
            found.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(|error| failed(&self.path, error))
        };
        match way {
            Way::Up => found.take(limit).map(pair).collect(),
            Way::Down => found.rev().take(limit).map(pair).collect(),
        }
    }

    fn get_many(&self, tree: Tree<'_>, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        match self.tree(tree)? {
            Kept::InBlocks(blocks) => blocks.get_many(keys),
            Kept::Singly(_) => keys.iter().map(|key| self.get(tree, key)).collect(),
        }
    }

    fn pages(&self, tree: Tree<'_>, ranges: &[Range<'_>], limit: usize) -> Result<Vec<Vec<Pair>>, StoreError> {
        match self.tree(tree)? {
            Kept::InBlocks(blocks) if !ranges.iter().any(|range| is_empty(*range)) => blocks.pages(ranges, limit),
            _ => ranges.iter().map(|range| self.page(tree, *range, Way::Up, limit)).collect(),
        }
    }

    fn settle(&self, tree: Tree<'_>, pairs: &mut Settled<'_>) -> Result<(), StoreError> {
        let tree = match self.tree(tree)? {
            Kept::InBlocks(blocks) => return self.unless_broken(blocks.settle(pairs)),
            Kept::Singly(tree) => tree,
        };
        let done = pairs.map(|(key, value)| match value {
            Some(value) => tree.insert(key, value).map(drop),
            None => tree.remove(key).map(drop),
        });
        let done = done.collect::<Result<(), _>>();
        self.unless_broken(done.map_err(|error| failed(&self.path, error)))
    }

    /// `flush` ends in `sync_file_range` (sled 0.34.7, pagecache/iobuf.rs), which gives no guarantee after a power cut;
    /// `sync_data` does.
    fn sync(&self) -> Result<(), StoreError> {
        let flushed = self.db.flush().map_err(|error| failed(&self.path, error));
        let durable = flushed.and_then(|_| Ok(self.sync_beside()?)).and_then(|()| Ok(self.file.sync_data()?));
        self.unless_broken(durable)
    }

    fn trees(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.names())
    }

    fn used(&self) -> Result<u64, StoreError> {
        self.db.size_on_disk().map_err(|error| failed(&self.path, error))
    }
}

impl std::fmt::Debug for Sled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sled").field("path", &self.path).finish_non_exhaustive()
    }
}

fn failed(path: &Path, error: ::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Corruption { .. } => {
            StoreError::Damaged { path: path.to_owned(), what: "a page fails its checksum".to_owned() }
        }
        ::sled::Error::Unsupported(what) => StoreError::Damaged { path: path.to_owned(), what },
        ::sled::Error::ReportableBug(what) => StoreError::Damaged { path: path.to_owned(), what },
        other => StoreError::Io(other.into()),
    }
}
