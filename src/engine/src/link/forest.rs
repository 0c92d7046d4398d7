//! Sets that grow together: the classical union-find over places in a list.
//! It must never depend on anything but the unions asked for.

use std::collections::BTreeMap;

/// Places `0..n`, each in one set.
pub(super) struct Forest(Vec<usize>);

impl Forest {
    /// So many places, each a set of its own.
    pub(super) fn new(places: usize) -> Self {
        Self((0..places).collect())
    }

    /// The name of a place's set: its smallest place.
    pub(super) fn root(&mut self, place: usize) -> usize {
        let above = |forest: &Self, at: usize| forest.0.get(at).copied().unwrap_or(at);
        let mut root = place;
        while above(self, root) != root {
            root = above(self, root);
        }
        let mut at = place;
        while above(self, at) != root {
            let next = above(self, at);
            if let Some(slot) = self.0.get_mut(at) {
                *slot = root;
            }
            at = next;
        }
        root
    }

    /// Makes two sets one.
    pub(super) fn unite(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        let (low, high) = (one.min(other), one.max(other));
        if let Some(slot) = self.0.get_mut(high) {
            *slot = low;
        }
    }

    /// Makes the sets of all these one.
    pub(super) fn unite_all(&mut self, places: &[usize]) {
        for pair in places.windows(2) {
            if let [one, other] = pair {
                self.unite(*one, *other);
            }
        }
    }

    /// Every set, by its smallest place, its places in order.
    pub(super) fn sets(&mut self) -> Vec<Vec<usize>> {
        let mut sets = BTreeMap::<usize, Vec<usize>>::new();
        for place in 0..self.0.len() {
            sets.entry(self.root(place)).or_default().push(place);
        }
        sets.into_values().collect()
    }
}
