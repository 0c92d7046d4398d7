//! Writes in memory, in the order of keys, tree by tree; and how they are read together with what lies below.
//! It must never show a pair that a later write removed or replaced.

use std::{collections::BTreeMap, iter::Peekable, ops::Bound};

use crate::{
    StoreError,
    kv::{Engine, Pair, Range, Shelf, Tree, Way},
    memory::is_empty,
};

/// What a write costs in memory beside its bytes, about.
const OVERHEAD: usize = 96;

/// The writes of one tree.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Writes; `None` removes a pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pending {
    trees: Vec<(Shelf, Box<str>, Writes)>,
    bytes: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Bytes of memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was written under a key, if anything.
    pub(super) fn get(&self, tree: Tree<'_>, key: &[u8]) -> Option<Option<&[u8]>> {
        self.of(tree)?.get(key).map(Option::as_deref)
    }

    /// Writes a pair, or removes it.
    pub(super) fn put(&mut self, tree: Tree<'_>, key: Vec<u8>, value: Option<Vec<u8>>) {
        let at = self.at(tree).unwrap_or_else(|| {
            self.trees.push((tree.shelf, tree.name.into(), Writes::new()));
            self.trees.len() - 1
        });
        let Some((_, _, writes)) = self.trees.get_mut(at) else { return };
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let (key_size, new) = (key.len(), size(&value));
        match writes.insert(key, value) {
            Some(old) => self.bytes = (self.bytes + new).saturating_sub(size(&old)),
            None => self.bytes += key_size + new + OVERHEAD,
        }
    }

    /// Takes later writes in.
    pub(super) fn take(&mut self, later: Pending) {
        for (shelf, name, writes) in later.trees {
            for (key, value) in writes {
                self.put(Tree::new(shelf, &name), key, value);
            }
        }
    }

    /// Every tree with its writes.
    pub(super) fn trees(&self) -> impl Iterator<Item = (Tree<'_>, &Writes)> {
        self.trees.iter().map(|(shelf, name, writes)| (Tree::new(*shelf, name), writes))
    }

    fn at(&self, tree: Tree<'_>) -> Option<usize> {
        self.trees.iter().position(|(shelf, name, _)| *shelf == tree.shelf && **name == *tree.name)
    }

    /// The writes of a tree, if there are any.
    pub(super) fn of(&self, tree: Tree<'_>) -> Option<&Writes> {
        self.at(tree).and_then(|at| self.trees.get(at)).map(|(_, _, writes)| writes)
    }
}

/// A page of a tree, with layers of writes above what the engine has. Of two layers the first is the later one.
pub(super) fn page(
    engine: &dyn Engine,
    layers: &[&Pending],
    (tree, range): (Tree<'_>, Range<'_>),
    way: Way,
    limit: usize,
) -> Result<Vec<Pair>, StoreError> {
    let mut above: Vec<_> = layers.iter().filter_map(|layer| layer.of(tree)).map(|it| walk(it, range, way)).collect();
    if above.iter_mut().all(|layer| layer.peek().is_none()) {
        return engine.page(tree, range, way, limit);
    }
    let mut below =
        Below { engine, tree, rest: Some(owned(range)), way, limit, page: Vec::new().into_iter().peekable() };
    let mut found = Vec::new();
    while found.len() < limit {
        below.fill()?;
        let nearest = |one: Option<&[u8]>, other: Option<&[u8]>| match (one, other) {
            (Some(one), Some(other)) if (one < other) == (way == Way::Up) => true,
            (one, other) => one.is_some() && other.is_none(),
        };
        let mut next: Option<&[u8]> = below.page.peek().map(|(key, _)| key.as_slice());
        for layer in &mut above {
            let key = layer.peek().map(|(key, _)| key.as_slice());
            next = if nearest(key, next) { key } else { next };
        }
        let Some(next) = next.map(<[u8]>::to_vec) else { break };
        let mut value = below.page.next_if(|(key, _)| *key == next).map(|(_, value)| value);
        // From the earliest layer to the latest, which has the last word.
        for layer in above.iter_mut().rev() {
            if let Some((_, written)) = layer.next_if(|(key, _)| **key == next) {
                value = written.clone();
            }
        }
        found.extend(value.map(|value| (next, value)));
    }
    Ok(found)
}

/// A page of each of several ranges, in ascending order. What no layer has anything in is asked of the engine at once.
pub(super) fn pages(
    engine: &dyn Engine,
    layers: &[&Pending],
    (tree, ranges): (Tree<'_>, &[Range<'_>]),
    limit: usize,
) -> Result<Vec<Vec<Pair>>, StoreError> {
    let written: Vec<&Writes> = layers.iter().filter_map(|layer| layer.of(tree)).collect();
    let touched = |range: &Range<'_>| {
        !is_empty(*range) && written.iter().any(|writes| writes.range::<[u8], _>(*range).next().is_some())
    };
    let above: Vec<bool> = ranges.iter().map(touched).collect();
    let alone: Vec<Range<'_>> = ranges.iter().zip(&above).filter(|it| !it.1).map(|it| *it.0).collect();
    let mut below = engine.pages(tree, &alone, limit)?.into_iter();
    let found = ranges.iter().zip(above).map(|(range, above)| match above {
        true => page(engine, layers, (tree, *range), Way::Up, limit),
        false => Ok(below.next().unwrap_or_default()),
    });
    found.collect()
}

type Walk<'a> = Peekable<Box<dyn Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)> + 'a>>;

fn walk<'a>(writes: &'a Writes, range: Range<'_>, way: Way) -> Walk<'a> {
    let found = writes.range::<[u8], _>(range);
    let walk: Box<dyn Iterator<Item = _>> = match way {
        Way::Up => Box::new(found),
        Way::Down => Box::new(found.rev()),
    };
    walk.peekable()
}

/// A range that outlives what it was made of.
type Owned = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// What the engine has in a range, page by page.
struct Below<'a> {
    engine: &'a dyn Engine,
    tree: Tree<'a>,
    /// What was not asked for yet.
    rest: Option<Owned>,
    way: Way,
    limit: usize,
    page: Peekable<std::vec::IntoIter<Pair>>,
}

impl Below<'_> {
    /// Sees to it that the next pair is there, if there is one.
    fn fill(&mut self) -> Result<(), StoreError> {
        if self.page.peek().is_some() {
            return Ok(());
        }
        let Some((from, to)) = self.rest.take() else { return Ok(()) };
        let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let page = self.engine.page(self.tree, range, self.way, self.limit)?;
        if let Some((last, _)) = page.last().filter(|_| page.len() >= self.limit) {
            let edge = Bound::Excluded(last.clone());
            self.rest = Some(if self.way == Way::Up { (edge, to) } else { (from, edge) });
        }
        self.page = page.into_iter().peekable();
        Ok(())
    }
}

fn owned((from, to): Range<'_>) -> Owned {
    (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec))
}
