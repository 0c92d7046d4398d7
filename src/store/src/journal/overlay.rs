//! A write in the making: what it wrote so far, over what is durable.
//! It must never answer from below what it wrote itself.

use super::{State, pending::Pending};
use crate::{
    StoreError,
    kv::{Draft, Shelf, Tree},
};

/// A write in the making.
pub(super) struct Overlay<'a> {
    state: &'a State,
    writes: Pending,
    /// What is durable, as far as it was read ahead: tree by tree, in the order of keys.
    ahead: Vec<(Shelf, Box<str>, Vec<Answer>)>,
}

/// A key, and what is durable under it.
type Answer = (Box<[u8]>, Option<Vec<u8>>);

impl<'a> Overlay<'a> {
    /// One that has written nothing yet.
    pub(super) fn over(state: &'a State) -> Self {
        Self { state, writes: Pending::default(), ahead: Vec::new() }
    }

    /// What it wrote.
    pub(super) fn writes(self) -> Pending {
        self.writes
    }

    /// What was read ahead under a key, if it was.
    fn ahead(&self, tree: Tree<'_>, key: &[u8]) -> Option<Option<&[u8]>> {
        let (_, _, answers) = self.ahead.iter().find(|(shelf, name, _)| Tree::new(*shelf, name) == tree)?;
        let at = answers.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        answers.get(at).map(|(_, value)| value.as_deref())
    }
}

impl Draft for Overlay<'_> {
    fn get(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(tree, key).or_else(|| self.ahead(tree, key)) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.state.get(tree, key),
        }
    }

    fn foresee(&mut self, wanted: &mut [(Tree<'_>, &[u8])]) -> Result<(), StoreError> {
        self.ahead.clear();
        wanted.sort_unstable();
        for of_tree in wanted.chunk_by(|one, other| one.0 == other.0) {
            let Some((tree, _)) = of_tree.first() else { continue };
            let keys: Vec<&[u8]> = of_tree.iter().map(|it| it.1).collect();
            let found = keys.iter().map(|key| Box::from(*key)).zip(self.state.get_many(*tree, &keys)?);
            self.ahead.push((tree.shelf, tree.name.into(), found.collect()));
        }
        Ok(())
    }

    fn put(&mut self, tree: Tree<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.writes.put(tree, key, Some(value));
        Ok(())
    }

    fn delete(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<(), StoreError> {
        self.writes.put(tree, key, None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::{Journaled, Memory, kv::Kv as _};

    #[test]
    fn what_is_read_ahead_is_what_is_durable_and_gives_way_to_what_is_written() {
        let dir = TempDir::new().unwrap();
        let journaled = Journaled::open(Arc::new(Memory::default()), dir.path(), usize::MAX, None).unwrap();
        let (one, other) = (Tree::new(Shelf::Rows, "one"), Tree::new(Shelf::Rows, "other"));
        let both = |draft: &mut dyn Draft, key: u8, value: u8| {
            draft.put(one, &[key], &[value])?;
            draft.put(other, &[key], &[value + 100])
        };
        journaled.write(&mut |draft| both(draft, 1, 1).and_then(|()| both(draft, 2, 2))).unwrap();
        let read = |draft: &mut dyn Draft| -> Vec<Option<Vec<u8>>> {
            let keys = [(one, [1]), (other, [1]), (one, [2]), (other, [2]), (one, [3])];
            keys.iter().map(|(tree, key)| draft.get(*tree, key).unwrap()).collect()
        };
        let some = |value: u8| Some(vec![value]);
        journaled
            .write(&mut |draft| {
                draft.foresee(&mut [(other, &[2]), (one, &[3]), (one, &[1]), (one, &[1])])?;
                assert_eq!(read(draft), [some(1), some(101), some(2), some(102), None]);
                draft.put(one, &[3], &[3])?;
                draft.delete(other, &[2])?;
                assert_eq!(read(draft), [some(1), some(101), some(2), None, some(3)]);
                draft.foresee(&mut [(one, &[3]), (other, &[2])])?;
                assert_eq!(read(draft), [some(1), some(101), some(2), None, some(3)]);
                Ok(())
            })
            .unwrap();
    }
}
