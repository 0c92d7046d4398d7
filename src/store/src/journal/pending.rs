//! Writes in memory, in the order of keys, tree by tree; and how they are read together with what lies below.
//! It must never show a pair that a later write removed or replaced.

use std::{iter::Peekable, ops::Bound};

use super::writes::{Writes, Written};
use crate::{
    StoreError,
    kv::{Engine, Pair, Range, Shelf, Tree, Way},
    memory::is_empty,
};

/// Writes; one without a value removes a pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pending {
    trees: Vec<(Shelf, Box<str>, Writes)>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Bytes of memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.trees.iter().map(|(_, _, writes)| writes.bytes()).sum()
    }

    /// What was written under a key, if anything.
    pub(super) fn get(&self, tree: Tree<'_>, key: &[u8]) -> Option<Option<&[u8]>> {
        self.of(tree)?.get(key)
    }

    /// Writes a pair, or removes it.
    pub(super) fn put(&mut self, tree: Tree<'_>, key: &[u8], value: Option<&[u8]>) {
        self.made(tree, |writes| writes.put(key, value));
    }

    /// Takes later writes in.
    pub(super) fn take(&mut self, later: Pending) {
        for (shelf, name, later) in later.trees {
            self.made(Tree::new(shelf, &name), |writes| writes.take(later));
        }
    }

    /// Every tree with its writes.
    pub(super) fn trees(&self) -> impl Iterator<Item = (Tree<'_>, &Writes)> {
        self.trees.iter().map(|(shelf, name, writes)| (Tree::new(*shelf, name), writes))
    }

    /// The writes of a tree, if there are any.
    pub(super) fn of(&self, tree: Tree<'_>) -> Option<&Writes> {
        self.at(tree).and_then(|at| self.trees.get(at)).map(|(_, _, writes)| writes)
    }

    fn at(&self, tree: Tree<'_>) -> Option<usize> {
        self.trees.iter().position(|(shelf, name, _)| Tree::new(*shelf, name) == tree)
    }

    /// Does something to the writes of a tree, which are made if there were none.
    fn made(&mut self, tree: Tree<'_>, what: impl FnOnce(&mut Writes)) {
        let at = self.at(tree).unwrap_or_else(|| {
            self.trees.push((tree.shelf, tree.name.into(), Writes::default()));
            self.trees.len() - 1
        });
        if let Some((_, _, writes)) = self.trees.get_mut(at) {
            what(writes);
        }
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
    let first = engine.page(tree, range, way, limit)?;
    Below { engine, tree, way, limit }.under(layers, range, first)
}

/// A page of each of several ranges, in ascending order. The engine is asked for all of them at once.
pub(super) fn pages(
    engine: &dyn Engine,
    layers: &[&Pending],
    (tree, ranges): (Tree<'_>, &[Range<'_>]),
    limit: usize,
) -> Result<Vec<Vec<Pair>>, StoreError> {
    let firsts = side_by_side(ranges, |range| begin(*range), |ranges| engine.pages(tree, ranges, limit))?;
    let below = Below { engine, tree, way: Way::Up, limit };
    ranges.iter().zip(firsts).map(|(range, first)| below.under(layers, *range, first)).collect()
}

/// Answers what can be answered by itself, and asks for the rest together; in the order of the questions.
pub(super) fn partly<Q: Copy, A: Default>(
    questions: &[Q],
    by_itself: impl FnMut(&Q) -> Result<Option<A>, StoreError>,
    ask: impl FnOnce(&[Q]) -> Result<Vec<A>, StoreError>,
) -> Result<Vec<A>, StoreError> {
    let answers = questions.iter().map(by_itself).collect::<Result<Vec<_>, _>>()?;
    let rest: Vec<Q> = questions.iter().zip(&answers).filter(|it| it.1.is_none()).map(|it| *it.0).collect();
    let asked = if rest.is_empty() { Vec::new() } else { ask(&rest)? };
    let mut asked = asked.into_iter();
    Ok(answers.into_iter().map(|answer| answer.or_else(|| asked.next()).unwrap_or_default()).collect())
}

/// Asks for many things in the order of the keys at which they begin, so that what lies side by side is met side by side; gives
/// the answers in the order of the questions.
pub(super) fn side_by_side<'k, Q: Copy, A>(
    questions: &[Q],
    begins: impl Fn(&Q) -> &'k [u8],
    ask: impl FnOnce(&[Q]) -> Result<Vec<A>, StoreError>,
) -> Result<Vec<A>, StoreError> {
    if questions.is_sorted_by_key(&begins) {
        return ask(questions);
    }
    let mut order: Vec<(usize, &Q)> = questions.iter().enumerate().collect();
    order.sort_unstable_by_key(|(_, question)| begins(question));
    let answers = ask(&order.iter().map(|(_, question)| **question).collect::<Vec<_>>())?;
    let mut answers: Vec<(usize, A)> = order.into_iter().map(|(at, _)| at).zip(answers).collect();
    answers.sort_unstable_by_key(|(at, _)| *at);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// The key at which a range begins, or behind it.
fn begin(range: Range<'_>) -> &[u8] {
    match range.0 {
        Bound::Included(from) | Bound::Excluded(from) => from,
        Bound::Unbounded => &[],
    }
}

/// What a layer has in a range.
type Walk<'a> = Peekable<Box<dyn Iterator<Item = Written<'a>> + 'a>>;

/// What the engine has, page by page.
struct Below<'a> {
    engine: &'a dyn Engine,
    tree: Tree<'a>,
    way: Way,
    limit: usize,
}

/// What is left of a range, if anything is.
type Rest = Option<(Bound<Vec<u8>>, Bound<Vec<u8>>)>;

impl Below<'_> {
    /// A page of a range with layers of writes above, given the engine's first one.
    fn under(&self, layers: &[&Pending], range: Range<'_>, first: Vec<Pair>) -> Result<Vec<Pair>, StoreError> {
        let written = layers.iter().filter_map(|layer| layer.of(self.tree));
        let touched = written.filter(|writes| !is_empty(range) && writes.touches(range));
        let mut above: Vec<Walk<'_>> = touched.map(|writes| writes.walk(range, self.way).peekable()).collect();
        if above.is_empty() {
            return Ok(first);
        }
        let (mut page, mut rest) = self.taken(first, range);
        let mut found = Vec::new();
        while found.len() < self.limit {
            if page.peek().is_none()
                && let Some((from, to)) = rest.take()
            {
                let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
                (page, rest) = self.taken(self.engine.page(self.tree, range, self.way, self.limit)?, range);
            }
            let nearest = |one: Option<&[u8]>, other: Option<&[u8]>| match (one, other) {
                (Some(one), Some(other)) if (one < other) == (self.way == Way::Up) => true,
                (one, other) => one.is_some() && other.is_none(),
            };
            let mut next: Option<&[u8]> = page.peek().map(|(key, _)| key.as_slice());
            for layer in &mut above {
                let key = layer.peek().map(|(key, _)| *key);
                next = if nearest(key, next) { key } else { next };
            }
            let Some(next) = next.map(<[u8]>::to_vec) else { break };
            let mut value = page.next_if(|(key, _)| *key == next).map(|(_, value)| value);
            // From the earliest layer to the latest, which has the last word.
            for layer in above.iter_mut().rev() {
                if let Some((_, written)) = layer.next_if(|(key, _)| *key == next) {
                    value = written.map(<[u8]>::to_vec);
                }
            }
            found.extend(value.map(|value| (next, value)));
        }
        Ok(found)
    }

    /// A page of the engine's, and what is left of its range.
    fn taken(&self, page: Vec<Pair>, range: Range<'_>) -> (Peekable<std::vec::IntoIter<Pair>>, Rest) {
        let last = page.last().filter(|_| page.len() >= self.limit);
        let rest = last.map(|(last, _)| {
            let edge = Bound::Excluded(last.clone());
            let (from, to) = (range.0.map(<[u8]>::to_vec), range.1.map(<[u8]>::to_vec));
            if self.way == Way::Up { (edge, to) } else { (from, edge) }
        });
        (page.into_iter().peekable(), rest)
    }
}
