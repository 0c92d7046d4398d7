//! Former versions of rows: singly, as commits leave them, or several of one row in a bundle, which takes a fraction of the
//! room. It must never let a reader find a version twice, or miss one, while it moves into a bundle.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

use super::{bundle, rows};
use crate::{
    CommitNo, Row, StoreError, Table,
    kv::{Draft, Kv, Pair, Range, Shelf, Tree, Way},
};

/// Places read at a time.
const PAGE: usize = 512;

/// The tree of a table's former versions.
pub(crate) fn of(table: Table) -> Tree<'static> {
    Tree::new(Shelf::Past, table.name)
}

/// The versions at one place, oldest first; at least one.
pub(crate) fn at_place(value: Vec<u8>) -> Result<Vec<Row>, StoreError> {
    if bundle::is_one(&value) { bundle::decode(&value) } else { Ok(vec![rows::decode(value)?]) }
}

/// The newest former version of a row that is not later than a commit.
pub(crate) fn at<K: Kv>(kv: &K, table: Table, key: &[u8], at: CommitNo) -> Result<Option<Row>, StoreError> {
    let (from, to) = (rows::past_key(key, CommitNo(0)), rows::past_key(key, at));
    let page = kv.page(of(table), (Bound::Included(&from), Bound::Included(&to)), Way::Down, 1)?;
    let versions = page.into_iter().next().map_or_else(|| Ok(Vec::new()), |(_, value)| at_place(value))?;
    Ok(versions.into_iter().rfind(|version| version.commit <= at))
}

/// Every former version of a row, oldest first.
pub(crate) fn versions<K: Kv>(kv: &K, table: Table, key: &[u8]) -> Result<Vec<Row>, StoreError> {
    let mut found = Vec::new();
    for (_, value) in places(kv, of(table), key)? {
        found.extend(at_place(value)?);
    }
    Ok(found)
}

/// The newest former version not later than a commit, of every key of a range.
pub(crate) fn between<K: Kv>(
    kv: &K,
    table: Table,
    range: Range<'_>,
    at: CommitNo,
) -> Result<BTreeMap<Vec<u8>, Row>, StoreError> {
    let mut from = match range.0 {
        Bound::Included(key) => Bound::Included(rows::past_prefix(key)),
        Bound::Excluded(key) => Bound::Excluded(rows::past_key(key, CommitNo(u64::MAX))),
        Bound::Unbounded => Bound::Unbounded,
    };
    let to = match range.1 {
        Bound::Included(key) => Bound::Included(rows::past_key(key, CommitNo(u64::MAX))),
        Bound::Excluded(key) => Bound::Excluded(rows::past_prefix(key)),
        Bound::Unbounded => Bound::Unbounded,
    };
    let (mut found, mut limit) = (BTreeMap::new(), PAGE);
    loop {
        let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let page = kv.page(of(table), range, Way::Up, limit)?;
        // Of the last key the page may hold a part only. Its versions are read again together with what follows: bundled
        // in between, they would be where the reader has been.
        let unsure = match page.last() {
            Some((last, _)) if page.len() >= limit => Some(rows::key_of_past(last)?),
            _ => None,
        };
        for (place, value) in page {
            let key = rows::key_of_past(&place)?;
            if unsure.as_ref() == Some(&key) {
                break;
            }
            if let Some(version) = at_place(value)?.into_iter().rfind(|version| version.commit <= at) {
                found.insert(key, version);
            }
        }
        let Some(key) = unsure else { return Ok(found) };
        let next = Bound::Included(rows::past_prefix(&key));
        limit = if from == next { limit * 4 } else { PAGE };
        from = next;
    }
}

/// All places of a key with what is there, in one reading.
pub(crate) fn places<K: Kv>(kv: &K, tree: Tree<'_>, key: &[u8]) -> Result<Vec<Pair>, StoreError> {
    let (from, to) = (rows::past_prefix(key), rows::past_key(key, CommitNo(u64::MAX)));
    let mut limit = PAGE;
    loop {
        let page = kv.page(tree, (Bound::Included(&from), Bound::Included(&to)), Way::Up, limit)?;
        if page.len() < limit {
            return Ok(page);
        }
        limit *= 4;
    }
}

/// What is to be written among the former versions of a table.
#[derive(Default)]
pub(crate) struct Changes {
    writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Versions forgotten.
    pub(crate) forgotten: u64,
    /// Bytes of keys and values that this saves.
    pub(crate) saved: u64,
}

impl Changes {
    /// Bytes to be written.
    pub(crate) fn bytes(&self) -> usize {
        self.writes.iter().map(|(place, value)| place.len() + value.as_ref().map_or(0, Vec::len)).sum()
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Writes them.
    pub(crate) fn write(&self, draft: &mut dyn Draft, table: Table) -> Result<(), StoreError> {
        self.writes.iter().try_for_each(|(place, value)| match value {
            Some(value) => draft.put(of(table), place, value),
            None => draft.delete(of(table), place),
        })
    }

    /// Takes those versions of a key away.
    fn forget(&mut self, key: &[u8], places: Vec<Pair>, which: &HashSet<CommitNo>) -> Result<(), StoreError> {
        for (place, value) in places {
            let versions = at_place(value)?;
            let before = versions.len();
            let kept: Vec<Row> = versions.into_iter().filter(|it| !which.contains(&it.commit)).collect();
            if kept.len() == before {
                continue;
            }
            self.forgotten += (before - kept.len()) as u64;
            let now = placed(key, &kept)?;
            if now.as_ref().is_none_or(|(at, _)| *at != place) {
                self.writes.push((place, None));
            }
            self.writes.extend(now.map(|(place, value)| (place, Some(value))));
        }
        Ok(())
    }
}

/// Where versions of a key lie together, and their bytes; `None` if there are none.
fn placed(key: &[u8], versions: &[Row]) -> Result<Option<Pair>, StoreError> {
    let Some(first) = versions.first() else { return Ok(None) };
    let value = match versions {
        [only] => {
            let mut bytes = Vec::new();
            rows::encode(only.commit, only.recorded, only.value.as_deref(), &mut bytes);
            bytes
        }
        several => bundle::encode(several)?,
    };
    Ok(Some((rows::past_key(key, first.commit), value)))
}

/// The versions of a page of keys that nobody reading at `commit` or later needs, of the keys after `after`; and the key
/// after which to go on. Nobody may be writing.
pub(crate) fn forgettable<K: Kv>(
    kv: &K,
    table: Table,
    commit: CommitNo,
    after: Option<&[u8]>,
) -> Result<(Changes, Option<Vec<u8>>), StoreError> {
    let from = after.map(|key| rows::past_key(key, CommitNo(u64::MAX)));
    let from = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let page = kv.page(of(table), (from, Bound::Unbounded), Way::Up, PAGE)?;
    let mut keys = page.iter().map(|(place, _)| rows::key_of_past(place)).collect::<Result<Vec<_>, _>>()?;
    keys.dedup();
    let mut changes = Changes::default();
    for key in &keys {
        let places = places(kv, of(table), key)?;
        let mut versions = Vec::new();
        for (_, value) in &places {
            versions.extend(at_place(value.clone())?.iter().map(|it| (it.commit, it.value.is_none())));
        }
        let present = kv.get(Tree::new(Shelf::Rows, table.name), key)?.as_deref().map(rows::commit_of).transpose()?;
        let followed = versions.iter().skip(1).map(|(next, _)| Some(*next)).chain([present]);
        let replaced = versions.iter().zip(followed).filter(|((own, deleted), next)| {
            // A deletion that nothing followed says no more than the absence of all versions does.
            if *deleted { *own < commit } else { next.is_some_and(|by| by < commit) }
        });
        let which: HashSet<CommitNo> = replaced.map(|((own, _), _)| *own).collect();
        changes.forget(key, places, &which)?;
    }
    Ok((changes, if page.len() < PAGE { None } else { keys.pop() }))
}

/// Takes single versions of a key away. Nobody may be writing.
pub(crate) fn forget<K: Kv>(
    kv: &K,
    table: Table,
    (key, which): (&[u8], &HashSet<CommitNo>),
    changes: &mut Changes,
) -> Result<(), StoreError> {
    changes.forget(key, places(kv, of(table), key)?, which)
}

/// Bundles the versions of a key up to a commit, where that saves room. Nobody may be writing.
pub(crate) fn pack<K: Kv>(
    kv: &K,
    table: Table,
    (key, upto): (&[u8], CommitNo),
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let (mut before, mut versions) = (Vec::new(), Vec::new());
    for (place, value) in places(kv, of(table), key)? {
        let here = at_place(value.clone())?;
        if here.last().is_some_and(|last| last.commit > upto) {
            break;
        }
        versions.extend(here);
        before.push((place, value));
    }
    if before.len() < 2 {
        return Ok(());
    }
    let mut after = Vec::new();
    for some in bundled(&versions) {
        after.extend(placed(key, some)?);
    }
    let room = |pairs: &[Pair]| pairs.iter().map(|(place, value)| place.len() + value.len()).sum::<usize>();
    let Some(saved) = room(&before).checked_sub(room(&after)).filter(|saved| *saved > 0) else { return Ok(()) };
    changes.saved += saved as u64;
    let there = |pairs: &[Pair], place: &[u8]| pairs.iter().any(|(other, _)| other == place);
    changes.writes.extend(before.iter().filter(|(it, _)| !there(&after, it)).map(|(it, _)| (it.clone(), None)));
    let new = after.into_iter().filter(|pair| !before.contains(pair));
    changes.writes.extend(new.map(|(place, value)| (place, Some(value))));
    Ok(())
}

/// Divides versions into bundles within the bounds; one that is too long stays by itself.
fn bundled(versions: &[Row]) -> Vec<&[Row]> {
    let length = |version: &Row| version.value.as_ref().map_or(0, Vec::len);
    let (mut bundles, mut rest) = (Vec::new(), versions);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(bundle::MOST).take_while(|version| {
            bytes += length(version);
            bytes <= bundle::LONGEST
        });
        let (some, others) = rest.split_at(fitting.count().max(1));
        bundles.push(some);
        rest = others;
    }
    bundles
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
    };

    use provost_model::Time;

    use super::*;
    use crate::{Batch, Op, Store, kv::Work, memory};

    const THINGS: Table = Table { name: "things", versioned: true };

    /// Does something after the first page was read of former versions.
    struct Meanwhile<'a, K> {
        kv: &'a K,
        done: AtomicBool,
        act: &'a (dyn Fn() + Sync),
    }

    impl<K: Kv> Kv for Meanwhile<'_, K> {
        fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.kv.get(tree, key)
        }
        fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
            let page = self.kv.page(tree, range, way, limit);
            if tree == of(THINGS) && !self.done.swap(true, Ordering::SeqCst) {
                (self.act)();
            }
            page
        }
        fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
            self.kv.write(work)
        }
        fn trees(&self) -> Result<Vec<String>, StoreError> {
            self.kv.trees()
        }
        fn used(&self) -> Result<u64, StoreError> {
            self.kv.used()
        }
        fn path(&self) -> Option<&Path> {
            self.kv.path()
        }
    }

    #[test]
    fn versions_that_move_into_bundles_between_two_pages_are_found_once() {
        // Of some keys the first page holds a part; of one key all pages of the usual size hold a part only.
        for (keys, rounds) in [(300_u16, 4), (2, 700)] {
            let store = memory();
            for round in 1..=rounds {
                let put = |key: u16| Op::Put {
                    table: THINGS,
                    key: key.to_be_bytes().to_vec(),
                    value: format!("{round}{}", "x".repeat(90)).into(),
                };
                let ops = (0..keys).map(put).collect();
                store.commit(Batch { at: Time::from_seconds(round), ops, ..Batch::default() }).unwrap();
            }
            let at = CommitNo(rounds as u64 - 1);
            let everything = (Bound::Unbounded, Bound::Unbounded);
            let before = between(&store.kv, THINGS, everything, at).unwrap();
            assert_eq!(before.len(), usize::from(keys));
            assert!(before.values().all(|version| version.commit == at));
            let which: Vec<_> = (0..keys).map(|key| (key.to_be_bytes().to_vec(), at)).collect();
            let act = || assert!(store.pack(THINGS, &which).unwrap() > 0);
            let kv = Meanwhile { kv: &store.kv, done: AtomicBool::new(false), act: &act };
            assert!(between(&kv, THINGS, everything, at).unwrap() == before);
            assert!(between(&store.kv, THINGS, everything, at).unwrap() == before);
        }
    }
}
