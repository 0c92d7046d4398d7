//! Where blocks begin: which block a key lies in is known without sled, which copies a node of sixteen blocks for each look
//! between keys, and none for a block whose key is known.
//! It must never know what is not so: what a write changes is told here before anybody reads.

use std::{
    collections::BTreeMap,
    ops::Bound::{self, Excluded, Included, Unbounded},
};

use ::sled::IVec;

/// The most that are known of a tree: a megabyte or two.
const MOST: usize = 16 * 1024;

/// What is known of where the blocks of a tree begin.
#[derive(Debug)]
pub(super) struct Starts {
    /// The lowest keys of blocks, and whether the block behind each is known too: the next one here, or none behind the last.
    known: BTreeMap<IVec, bool>,
    /// Behind which key something is forgotten next.
    hand: IVec,
    most: usize,
}

impl Default for Starts {
    fn default() -> Self {
        Self { known: BTreeMap::new(), hand: IVec::default(), most: MOST }
    }
}

/// A block: the lowest key that may be in it, and that of the next one if there is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: IVec,
    pub(super) next: Option<IVec>,
}

impl Stretch {
    /// Whether a key can lie in no other block.
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        *self.from <= *key && self.reaches(key)
    }

    /// Whether the next block begins above a key.
    pub(super) fn reaches(&self, key: &[u8]) -> bool {
        self.next.as_ref().is_none_or(|next| *key < **next)
    }
}

impl Starts {
    /// The last block that begins within a bound.
    pub(super) fn upto(&self, bound: Bound<&[u8]>) -> Option<Stretch> {
        let (from, followed) = self.known.range::<[u8], _>((Unbounded, bound)).next_back()?;
        followed.then(|| Stretch { from: from.clone(), next: self.behind(from) })
    }

    /// A block is there, and which one follows.
    pub(super) fn learn(&mut self, Stretch { from, next }: &Stretch) {
        self.known.insert(from.clone(), true);
        if let Some(next) = next {
            self.known.entry(next.clone()).or_insert(false);
        }
        self.keep_within_bounds();
    }

    /// A block was written under that key.
    pub(super) fn written(&mut self, from: &[u8]) {
        // One that begins within another takes its end over; of one that begins elsewhere nothing is known.
        let within = self.known.range::<[u8], _>((Unbounded, Included(from))).next_back();
        if within.is_some_and(|(known, followed)| *followed && **known != *from) {
            self.known.insert(from.into(), true);
            self.keep_within_bounds();
        }
    }

    /// The block under that key was removed.
    pub(super) fn removed(&mut self, from: &[u8]) {
        let followed = self.known.remove(from);
        if followed != Some(true) {
            self.before(from);
        }
    }

    fn behind(&self, from: &[u8]) -> Option<IVec> {
        self.known.range::<[u8], _>((Excluded(from), Unbounded)).next().map(|(next, _)| next.clone())
    }

    /// What follows the block before that key is not known any more.
    fn before(&mut self, from: &[u8]) {
        if let Some((_, followed)) = self.known.range_mut::<[u8], _>((Unbounded, Excluded(from))).next_back() {
            *followed = false;
        }
    }

    /// Forgets what is too much, going round: what is asked for at random is known as often as there is room for it.
    fn keep_within_bounds(&mut self) {
        while self.known.len() > self.most {
            let next = self.behind(&self.hand).or_else(|| self.known.keys().next().cloned());
            let Some(next) = next else { return };
            self.known.remove(&next);
            self.before(&next);
            self.hand = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Ask(u8),
        Write(u8),
        Remove(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = || 0_u8..24;
        let step = prop_oneof![
            4 => key().prop_map(Step::Ask),
            2 => key().prop_map(Step::Write),
            1 => key().prop_map(Step::Remove),
        ];
        proptest::collection::vec(step, 1..200)
    }

    /// The truth about a key, by all the starts there are.
    fn truth(all: &BTreeSet<u8>, key: u8) -> Option<Stretch> {
        let from = all.range(..=key).next_back()?;
        let one = |key: &u8| IVec::from(&[*key]);
        Some(Stretch { from: one(from), next: all.range(from + 1..).next().map(one) })
    }

    proptest! {
        #[test]
        fn what_is_known_is_so(steps in steps(), most in 1_usize..30) {
            let (mut starts, mut all) = (Starts { most, ..Starts::default() }, BTreeSet::from([3]));
            for step in steps {
                match step {
                    Step::Ask(key) => {
                        if let Some(truth) = truth(&all, key) {
                            starts.learn(&truth);
                            prop_assert!(starts.known.len() <= most);
                            // There is room for all there may be: nothing is forgotten.
                            prop_assert!(most < 24 || starts.upto(Included(&[key])) == Some(truth));
                        }
                    }
                    Step::Write(key) => {
                        all.insert(key);
                        starts.written(&[key]);
                    }
                    Step::Remove(key) => {
                        all.remove(&key);
                        starts.removed(&[key]);
                    }
                }
                for key in 0..24 {
                    let known = starts.upto(Included(&[key]));
                    prop_assert!(known.is_none() || known == truth(&all, key));
                    let below = starts.upto(Excluded(&[key + 1]));
                    prop_assert!(below.is_none() || below == truth(&all, key));
                }
                let last = starts.upto(Unbounded);
                prop_assert!(last.is_none() || last == truth(&all, u8::MAX - 1));
            }
        }
    }

    #[test]
    fn what_was_learned_or_written_within_it_is_known() {
        let mut starts = Starts::default();
        starts.learn(&Stretch { from: IVec::from(b"a"), next: Some(IVec::from(b"p")) });
        starts.written(b"f");
        let known = |starts: &Starts, key: &[u8]| starts.upto(Included(key)).map(|it| (it.from, it.next));
        assert_eq!(known(&starts, b"c"), Some((IVec::from(b"a"), Some(IVec::from(b"f")))));
        assert_eq!(known(&starts, b"g"), Some((IVec::from(b"f"), Some(IVec::from(b"p")))));
        assert_eq!(known(&starts, b"q"), None);
        starts.removed(b"f");
        assert_eq!(known(&starts, b"g"), Some((IVec::from(b"a"), Some(IVec::from(b"p")))));
    }
}
