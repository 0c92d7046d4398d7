//! A still picture of the trees while writers go on: what a write replaces is kept until the copy has passed there.
//! It must never hold up a writer for longer than it takes to note what it replaces, nor fail a write: a copy that cannot
//! be kept whole fails by itself.
//!
//! Every write first notes what stood there before (its before image), unless the copy has passed the place. The copy
//! reads a page from the engine, then takes the images of that range: where there is one, it counts and not the page.
//! Images beyond a bound are written to files in the order of the copy; of several images of one key the oldest counts.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    iter::Peekable,
    ops::Bound,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Compacted, StoreError,
    kv::{Draft, Kv, Pair, Range, Shelf, Tree, Way, Work},
};

/// Pairs read at a time.
const PAGE: usize = 512;
/// Bytes of images kept in memory, about.
const BOUND: usize = 32 << 20;
/// What an image costs beside its bytes, about.
const OVERHEAD: usize = 128;
/// In the place of a length: there was no pair.
const ABSENT: u32 = u32::MAX;

/// The name of a tree that outlives what it was read from.
pub(super) type Named = (Shelf, String);

/// A place in a copy: which of its trees, and which key.
type Place = (usize, Vec<u8>);

/// Ordered keys of which still pictures can be taken.
#[derive(Debug)]
pub(super) struct Watched<K> {
    below: K,
    /// Copies under way.
    stills: Mutex<Vec<Weak<Still>>>,
}

/// What was replaced since a copy began, as far as the copy has not passed it.
#[derive(Debug)]
struct Still {
    /// The number of each tree in the copy's order.
    order: HashMap<Named, usize>,
    /// Where images beyond the bound go; nowhere in a store without a place.
    spill: Option<PathBuf>,
    bound: usize,
    images: Mutex<Images>,
}

#[derive(Debug, Default)]
struct Images {
    kept: BTreeMap<Place, Option<Vec<u8>>>,
    bytes: usize,
    /// Files of images that the copy has not taken up yet, the oldest first.
    runs: Vec<File>,
    /// Everything before it was copied.
    passed: Place,
    failed: Option<io::Error>,
}

/// A copy under way.
#[derive(Debug)]
pub(super) struct Copying<'a, K> {
    below: &'a K,
    order: Vec<Named>,
    still: Arc<Still>,
    runs: Vec<Run>,
}

/// What is called for each pair of a copy: the tree, the key, the value.
pub(super) type Copied<'a> = dyn FnMut(Tree<'_>, Vec<u8>, Vec<u8>) -> Result<(), StoreError> + 'a;

impl<K: Kv> Watched<K> {
    pub(super) fn new(below: K) -> Self {
        Self { below, stills: Mutex::default() }
    }

    /// Begins a copy of these trees in that order, as they stand now. Nobody may be writing while this is called.
    pub(super) fn copying(&self, order: Vec<Named>) -> Copying<'_, K> {
        self.copying_within(order, (self.below.path().map(Path::to_owned), BOUND))
    }

    /// `spill`: where images go when they take more than `bound` bytes.
    fn copying_within(&self, order: Vec<Named>, (spill, bound): (Option<PathBuf>, usize)) -> Copying<'_, K> {
        let numbers = order.iter().cloned().enumerate().map(|(at, tree)| (tree, at)).collect();
        let still = Arc::new(Still { order: numbers, spill, bound, images: Mutex::default() });
        self.stills().push(Arc::downgrade(&still));
        Copying { below: &self.below, order, still, runs: Vec::new() }
    }

    fn stills(&self) -> MutexGuard<'_, Vec<Weak<Still>>> {
        self.stills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> Vec<Arc<Still>> {
        let mut stills = self.stills();
        stills.retain(|still| still.strong_count() > 0);
        stills.iter().filter_map(Weak::upgrade).collect()
    }
}

impl<K: Kv> Kv for Watched<K> {
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.below.get(tree, key)
    }

    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.below.page(tree, range, way, limit)
    }

    fn get_many(&self, tree: Tree<'_>, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.below.get_many(tree, keys)
    }

    fn pages(&self, tree: Tree<'_>, ranges: &[Range<'_>], limit: usize) -> Result<Vec<Vec<Pair>>, StoreError> {
        self.below.pages(tree, ranges, limit)
    }

    fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let stills = self.under_way();
        if stills.is_empty() {
            return self.below.write(work);
        }
        self.below.write(&mut |draft| work(&mut Noting { draft, stills: &stills }))
    }

    fn trees(&self) -> Result<Vec<String>, StoreError> {
        self.below.trees()
    }

    fn faults(&self) -> Result<Vec<String>, StoreError> {
        self.below.faults()
    }

    fn contract(&self) -> Result<bool, StoreError> {
        self.below.contract()
    }

    fn compaction_needs(&self) -> Result<u64, StoreError> {
        self.below.compaction_needs()
    }

    fn compact(&self) -> Result<Compacted, StoreError> {
        self.below.compact()
    }

    fn tidy(&self) -> Result<(), StoreError> {
        self.below.tidy()
    }

    fn path(&self) -> Option<&Path> {
        self.below.path()
    }

    fn used(&self) -> Result<u64, StoreError> {
        self.below.used()
    }
}

/// A draft that notes what it replaces before it does. An image noted for a write that fails later says what still stands.
struct Noting<'a> {
    draft: &'a mut dyn Draft,
    stills: &'a [Arc<Still>],
}

impl Noting<'_> {
    fn note(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<(), StoreError> {
        for still in self.stills {
            still.note(tree, key, self.draft)?;
        }
        Ok(())
    }
}

impl Draft for Noting<'_> {
    fn get(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.draft.get(tree, key)
    }

    fn foresee(&mut self, wanted: &mut [(Tree<'_>, &[u8])]) -> Result<(), StoreError> {
        self.draft.foresee(wanted)
    }

    fn put(&mut self, tree: Tree<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.note(tree, key)?;
        self.draft.put(tree, key, value)
    }

    fn delete(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<(), StoreError> {
        self.note(tree, key)?;
        self.draft.delete(tree, key)
    }
}

impl Still {
    fn images(&self) -> MutexGuard<'_, Images> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, tree: Tree<'_>, key: &[u8], draft: &mut dyn Draft) -> Result<(), StoreError> {
        let Some(at) = self.order.get(&(tree.shelf, tree.name.to_owned())) else { return Ok(()) };
        let place = (*at, key.to_vec());
        let mut images = self.images();
        if images.failed.is_some() || place < images.passed || images.kept.contains_key(&place) {
            return Ok(());
        }
        let image = draft.get(tree, key)?;
        images.bytes += size(&place, image.as_ref());
        images.kept.insert(place, image);
        if let Some(directory) = self.spill.as_ref().filter(|_| images.bytes > self.bound) {
            let kept = std::mem::take(&mut images.kept);
            images.bytes = 0;
            match spilt(directory, &kept) {
                Ok(run) => images.runs.push(run),
                Err(error) => images.failed = Some(error),
            }
        }
        Ok(())
    }
}

impl<K: Kv> Copying<'_, K> {
    /// The names of its trees of a sort.
    pub(super) fn trees_of(&self, shelf: Shelf) -> HashSet<String> {
        self.order.iter().filter(|tree| tree.0 == shelf).map(|tree| tree.1.clone()).collect()
    }

    /// Hands over every pair as it stood when the copy began, tree by tree, in the order of keys.
    pub(super) fn each(mut self, each: &mut Copied<'_>) -> Result<(), StoreError> {
        let order = std::mem::take(&mut self.order);
        for (at, (shelf, name)) in order.iter().enumerate() {
            let tree = Tree::new(*shelf, name);
            let mut from = Bound::Unbounded;
            loop {
                let page =
                    self.below.page(tree, (from.as_ref().map(Vec::as_slice), Bound::Unbounded), Way::Up, PAGE)?;
                let last = if page.len() < PAGE { None } else { page.last().map(|(key, _)| key.clone()) };
                // The least place after this page.
                let end = match &last {
                    Some(key) => (at, [key.as_slice(), &[0]].concat()),
                    None => (at + 1, Vec::new()),
                };
                self.merged((tree, at), page, end, each)?;
                match last {
                    Some(key) => from = Bound::Excluded(key),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Hands over a page with the images of its range, which ends before `end`.
    fn merged(
        &mut self,
        (tree, at): (Tree<'_>, usize),
        page: Vec<Pair>,
        end: Place,
        each: &mut Copied<'_>,
    ) -> Result<(), StoreError> {
        let mut kept = self.taken(end.clone())?.into_iter().peekable();
        let mut page = page.into_iter().peekable();
        loop {
            let mut next = page.peek().map(|(key, _)| (at, key.clone()));
            let images = self.runs.iter().filter_map(|run| run.next.as_ref()).map(|(place, _)| place);
            for place in images.filter(|place| **place < end).chain(kept.peek().map(|(place, _)| place)) {
                if next.as_ref().is_none_or(|next| place < next) {
                    next = Some(place.clone());
                }
            }
            let Some(next) = next else { return Ok(()) };
            let mut value = page.next_if(|(key, _)| *key == next.1).map(|(_, value)| value);
            if let Some(image) = of(&mut kept, &next) {
                value = image;
            }
            // From the latest to the oldest, which has the last word.
            for run in self.runs.iter_mut().rev() {
                if let Some(image) = run.of(&next)? {
                    value = image;
                }
            }
            if let Some(value) = value {
                each(tree, next.1, value)?;
            }
        }
    }

    /// Takes the images before a place, after which nothing before it is noted any more; takes up new files.
    fn taken(&mut self, end: Place) -> Result<BTreeMap<Place, Option<Vec<u8>>>, StoreError> {
        let mut images = self.still.images();
        if let Some(error) = images.failed.take() {
            let said = format!("keeping what was replaced while the store was copied: {error}");
            return Err(io::Error::new(error.kind(), said).into());
        }
        let later = images.kept.split_off(&end);
        let taken = std::mem::replace(&mut images.kept, later);
        images.bytes -= taken.iter().map(|(place, image)| size(place, image.as_ref())).sum::<usize>();
        images.passed = end;
        for file in std::mem::take(&mut images.runs) {
            self.runs.push(Run::of_file(file)?);
        }
        self.runs.retain(|run| run.next.is_some());
        Ok(taken)
    }
}

type Kept = Peekable<std::collections::btree_map::IntoIter<Place, Option<Vec<u8>>>>;

fn of(kept: &mut Kept, place: &Place) -> Option<Option<Vec<u8>>> {
    kept.next_if(|(next, _)| next == place).map(|(_, image)| image)
}

fn size((_, key): &Place, image: Option<&Vec<u8>>) -> usize {
    key.len() + image.map_or(0, Vec::len) + OVERHEAD
}

/// A file of images, in order.
#[derive(Debug)]
struct Run {
    from: BufReader<File>,
    next: Option<(Place, Option<Vec<u8>>)>,
}

impl Run {
    fn of_file(mut file: File) -> Result<Self, StoreError> {
        file.rewind()?;
        let mut run = Self { from: BufReader::with_capacity(64 << 10, file), next: None };
        run.go_on()?;
        Ok(run)
    }

    fn of(&mut self, place: &Place) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        match self.next.take_if(|(next, _)| next == place) {
            Some((_, image)) => {
                self.go_on()?;
                Ok(Some(image))
            }
            None => Ok(None),
        }
    }

    fn go_on(&mut self) -> Result<(), StoreError> {
        let mut tree = [0; 4];
        match self.from.read_exact(&mut tree) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let tree = u32::from_be_bytes(tree) as usize;
        let key = self.bytes()?.unwrap_or_default();
        self.next = Some(((tree, key), self.bytes()?));
        Ok(())
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length == ABSENT {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        self.from.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Writes images to a file without a name: it is gone when nobody has it open, also after a crash.
fn spilt(directory: &Path, kept: &BTreeMap<Place, Option<Vec<u8>>>) -> Result<File, io::Error> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let path = directory.join(format!("images-{}.new", COUNT.fetch_add(1, Ordering::Relaxed)));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    let mut to = BufWriter::with_capacity(1 << 20, file);
    let length = |length: usize| u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge));
    for ((tree, key), image) in kept {
        to.write_all(&length(*tree)?.to_be_bytes())?;
        to.write_all(&length(key.len())?.to_be_bytes())?;
        to.write_all(key)?;
        to.write_all(&image.as_ref().map_or(Ok(ABSENT), |image| length(image.len()))?.to_be_bytes())?;
        to.write_all(image.as_deref().unwrap_or_default())?;
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::{EngineKind, Journaled, OpenOptions};

    const THINGS: Tree<'static> = Tree { shelf: Shelf::Rows, name: "things" };

    fn write(kv: &dyn Kv, pairs: &[(u32, Option<&str>)]) {
        let work = &mut |draft: &mut dyn Draft| {
            pairs.iter().try_for_each(|(key, value)| match value {
                Some(value) => draft.put(THINGS, &key.to_be_bytes(), value.as_bytes()),
                None => draft.delete(THINGS, &key.to_be_bytes()),
            })
        };
        kv.write(work).unwrap();
    }

    #[test]
    fn images_beyond_the_bound_go_to_files_and_the_oldest_counts() {
        let dir = TempDir::new().unwrap();
        crate::open(dir.path(), &OpenOptions::default()).map(drop).unwrap();
        let engine = dir.path().join("sled");
        let sled = EngineKind::Sled.open(&engine, 1 << 20).unwrap();
        let kv: Watched<Journaled> = Watched::new(Journaled::open(sled, &engine, 1 << 10, None).unwrap());
        let before: Vec<u32> = (0..3_000).step_by(2).collect();
        before
            .chunks(100)
            .for_each(|keys| write(&kv, &keys.iter().map(|key| (*key, Some("before"))).collect::<Vec<_>>()));
        let order = vec![(THINGS.shelf, THINGS.name.to_owned())];
        let copying = kv.copying_within(order, (Some(engine.clone()), 4_000));
        let still = Arc::clone(&copying.still);
        // Everything is replaced twice before the copy reads its first page: in several files, some keys in two of them.
        for round in ["one", "two"] {
            let writes: Vec<_> = (0..3_000).map(|key| (key, (key % 3 != 0).then_some(round))).collect();
            writes.chunks(100).for_each(|writes| write(&kv, writes));
        }
        let files = still.images().runs.len();
        assert!(files > 50, "{files} files");
        let mut found = Vec::new();
        copying
            .each(&mut |_, key, value| {
                assert_eq!(value, b"before");
                found.push(u32::from_be_bytes(key.try_into().unwrap()));
                if found.len() % 30 == 0 {
                    write(&kv, &[(found.len() as u32 * 7 % 3_000, Some("during"))]);
                }
                Ok(())
            })
            .unwrap();
        assert!(found == before);
        let left = std::fs::read_dir(&engine)
            .unwrap()
            .filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().starts_with("images"));
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn a_copy_that_cannot_be_kept_whole_fails_and_no_write_does() {
        let dir = TempDir::new().unwrap();
        crate::open(dir.path(), &OpenOptions::default()).map(drop).unwrap();
        let engine = dir.path().join("sled");
        let sled = EngineKind::Sled.open(&engine, 1 << 20).unwrap();
        let kv = Watched::new(Journaled::open(sled, &engine, 1 << 20, None).unwrap());
        write(&kv, &[(1, Some("before"))]);
        let nowhere = Some(dir.path().join("nowhere"));
        let copying = kv.copying_within(vec![(THINGS.shelf, THINGS.name.to_owned())], (nowhere, 0));
        write(&kv, &[(1, Some("after"))]);
        let failed = copying.each(&mut |_, _, _| Ok(()));
        assert!(matches!(failed, Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::NotFound));
        assert_eq!(kv.get(THINGS, &1_u32.to_be_bytes()).unwrap().as_deref(), Some(&b"after"[..]));
    }
}
