//! The second embedded engine: redb, one file, one table per tree, below the journal that makes batches atomic.
//! It must never call pairs durable before redb has committed them: what was settled waits in one transaction until then.

mod untouched;

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard},
};

use ::redb::{
    Builder, Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, StorageBackend, TableDefinition,
    TableError, TableHandle as _, WriteTransaction, backends::FileBackend,
};

use self::untouched::Untouched;
use crate::{
    StoreError,
    kv::{Engine, Pair, Range, Settled, Shelf, Tree, Way},
    memory::is_empty,
};

/// The one file, below the engine's directory.
const FILE: &str = "db";

/// A table that is only read.
type Readable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Tables as of the last commit.
type Opened = Vec<(Shelf, Box<str>, Arc<Readable>)>;

/// A directory with redb's file.
pub struct Redb {
    path: PathBuf,
    /// The tables that were read since the last commit, as it left them: to open one costs as much as some reads.
    opened: RwLock<Opened>,
    db: Database,
    /// What was settled and is not durable yet.
    settling: Mutex<Option<WriteTransaction>>,
}

impl Redb {
    /// redb in a directory that was checked before. After a crash redb mends its file by itself: it compares the checksum of
    /// every page and goes back to the last commit that is whole; what that lacks is in the journal.
    pub(crate) fn open(path: &Path, cache: u64) -> Result<Self, StoreError> {
        let mut open = OpenOptions::new();
        let file = open.read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(FILE))?;
        let backend = FileBackend::new(file).map_err(|error| failed(path, error))?;
        let this = Self::over(path, backend, builder(cache))?;
        File::open(path)?.sync_all()?;
        Ok(this)
    }

    /// redb over a file that is only read: what mending it would write is kept in memory. Every page is read and its
    /// checksum compared.
    pub(crate) fn rehearsed(path: &Path, cache: u64) -> Result<Self, StoreError> {
        let mut builder = builder(cache);
        builder.set_check_integrity_on_open(true);
        Self::over(path, Untouched::over(File::open(path.join(FILE))?)?, builder)
    }

    fn over(path: &Path, backend: impl StorageBackend, builder: Builder) -> Result<Self, StoreError> {
        let db = builder.create_with_backend(backend).map_err(|error| failed(path, error))?;
        Ok(Self { path: path.to_owned(), opened: RwLock::default(), db, settling: Mutex::default() })
    }

    fn settling(&self) -> MutexGuard<'_, Option<WriteTransaction>> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> Result<ReadTransaction, StoreError> {
        self.db.begin_read().map_err(|error| self.failed(error))
    }

    /// The table of a tree as the last commit left it. `None` before its first write.
    fn table(&self, tree: Tree<'_>) -> Result<Option<Arc<Readable>>, StoreError> {
        let known = |opened: &Opened| {
            let of_tree = opened.iter().find(|(shelf, name, _)| *shelf == tree.shelf && **name == *tree.name);
            of_tree.map(|(.., table)| Arc::clone(table))
        };
        if let Some(table) = known(&self.opened.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Some(table));
        }
        // Opened under the lock: a commit forgets what was opened before it, and nothing older comes in afterwards.
        let mut opened = self.opened();
        if let Some(table) = known(&opened) {
            return Ok(Some(table));
        }
        match self.reading()?.open_table(definition(&tree.to_string())) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(self.failed(error)),
            Ok(table) => {
                let table = Arc::new(table);
                opened.push((tree.shelf, tree.name.into(), Arc::clone(&table)));
                Ok(Some(table))
            }
        }
    }

    fn opened(&self) -> RwLockWriteGuard<'_, Opened> {
        self.opened.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn value(&self, table: &Readable, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = table.get(key).map_err(|error| self.failed(error))?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn pairs(&self, table: &Readable, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        if is_empty(range) {
            return Ok(Vec::new());
        }
        let found = table.range::<&[u8]>(range).map_err(|error| self.failed(error))?.map(|found| {
            let (key, value) = found.map_err(|error| self.failed(error))?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        });
        match way {
            Way::Up => found.take(limit).collect(),
            Way::Down => found.rev().take(limit).collect(),
        }
    }

    fn failed(&self, error: impl Into<::redb::Error>) -> StoreError {
        failed(&self.path, error)
    }

    /// Puts pairs into a table of an open transaction.
    fn put(&self, writes: &WriteTransaction, tree: Tree<'_>, pairs: &mut Settled<'_>) -> Result<(), StoreError> {
        let name = tree.to_string();
        let mut table = writes.open_table(definition(&name)).map_err(|error| self.failed(error))?;
        for (key, value) in pairs {
            match value {
                Some(value) => table.insert(key, value).map(drop),
                None => table.remove(key).map(drop),
            }
            .map_err(|error| self.failed(error))?;
        }
        Ok(())
    }
}

impl Engine for Redb {
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.table(tree)? {
            Some(table) => self.value(&table, key),
            None => Ok(None),
        }
    }

    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        match self.table(tree)? {
            Some(table) => self.pairs(&table, range, way, limit),
            None => Ok(Vec::new()),
        }
    }

    fn get_many(&self, tree: Tree<'_>, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let Some(table) = self.table(tree)? else { return Ok(vec![None; keys.len()]) };
        keys.iter().map(|key| self.value(&table, key)).collect()
    }

    fn pages(&self, tree: Tree<'_>, ranges: &[Range<'_>], limit: usize) -> Result<Vec<Vec<Pair>>, StoreError> {
        let Some(table) = self.table(tree)? else { return Ok(vec![Vec::new(); ranges.len()]) };
        ranges.iter().map(|range| self.pairs(&table, *range, Way::Up, limit)).collect()
    }

    /// If it fails, nothing that was settled since the last sync is there.
    fn settle(&self, tree: Tree<'_>, pairs: &mut Settled<'_>) -> Result<(), StoreError> {
        let mut settling = self.settling();
        let writes = match settling.take() {
            Some(writes) => writes,
            None => self.db.begin_write().map_err(|error| self.failed(error))?,
        };
        self.put(&writes, tree, pairs)?;
        *settling = Some(writes);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let Some(writes) = self.settling().take() else { return Ok(()) };
        // Before, so that the commit finds the pages free that only open tables held; after, so that nobody reads them any more.
        self.opened().clear();
        let done = writes.commit().map_err(|error| self.failed(error));
        self.opened().clear();
        done
    }

    fn trees(&self) -> Result<Vec<String>, StoreError> {
        let tables = self.reading()?;
        let tables = tables.list_tables().map_err(|error| self.failed(error))?;
        Ok(tables.map(|table| table.name().to_owned()).collect())
    }

    fn used(&self) -> Result<u64, StoreError> {
        Ok(std::fs::metadata(self.path.join(FILE))?.len())
    }
}

impl std::fmt::Debug for Redb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redb").field("path", &self.path).finish_non_exhaustive()
    }
}

fn builder(cache: u64) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(usize::try_from(cache).unwrap_or(usize::MAX));
    builder
}

fn definition(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

fn failed(path: &Path, error: impl Into<::redb::Error>) -> StoreError {
    match error.into() {
        ::redb::Error::Corrupted(what) => StoreError::Damaged { path: path.to_owned(), what },
        ::redb::Error::Io(error) => StoreError::Io(error),
        other => StoreError::Io(std::io::Error::other(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    /// Whoever reads while a commit goes on opens tables as they were before it.
    #[test]
    fn what_is_durable_is_read_however_much_was_read_meanwhile() {
        let dir = tempfile::TempDir::new().unwrap();
        let redb = Redb::open(dir.path(), 1 << 20).unwrap();
        let tree = Tree::new(Shelf::Rows, "things");
        assert_eq!(redb.get(tree, b"key").unwrap(), None);
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    redb.get(tree, b"key").unwrap();
                }
            });
            let read = (0_u8..100).find(|round| {
                let value = [*round];
                redb.settle(tree, &mut std::iter::once((&b"key"[..], Some(&value[..])))).unwrap();
                redb.sync().unwrap();
                redb.get(tree, b"key").unwrap().as_deref() != Some(&value)
            });
            over.store(true, Ordering::Relaxed);
            assert_eq!(read, None, "a round whose value was not read");
        });
    }
}
