//! Reading everything through: whether rows, versions, streams, queues and the log of commits say what they may say.
//! It must never take for a fault what is only being written: whatever looks wrong is read again while nobody writes.

use std::ops::Bound;

use super::{Embedded, leases, log, past, queues, rows, streams};
use crate::{
    CommitNo, MAX_FAULTS, Report, StoreError,
    kv::{Kv, Pair, Shelf, Tree, Way},
};

/// Pairs read at a time.
const PAGE: usize = 512;

/// Reads everything through.
pub(super) fn check<K: Kv>(store: &Embedded<K>) -> Result<Report, StoreError> {
    let head = store.stands().number;
    let mut report = Report { faults: [store.kv.faults()?, store.faults_of_segments()?].concat(), ..Report::default() };
    for name in store.kv.trees()? {
        let Some(tree) = Tree::named(&name) else {
            report.faults.push(format!("there is a tree {name:?} of an unknown sort"));
            continue;
        };
        let mut walk = Walk { store, tree, report: &mut report, chain: Chain::default() };
        walk.through()?;
    }
    if report.commits < head.0 {
        report.faults.push(format!("the log of commits has {} of {}", report.commits, head.0));
    }
    report.faults.truncate(MAX_FAULTS);
    Ok(report)
}

/// What the pair before says of the next one.
#[derive(Default)]
struct Chain {
    sequence: u64,
    hash: [u8; 32],
    key: Vec<u8>,
    commit: CommitNo,
    recorded: i64,
}

struct Walk<'a, K> {
    store: &'a Embedded<K>,
    tree: Tree<'a>,
    report: &'a mut Report,
    chain: Chain,
}

impl<K: Kv> Walk<'_, K> {
    fn through(&mut self) -> Result<(), StoreError> {
        let mut from = Bound::Unbounded;
        loop {
            let range = (from.as_ref().map(Vec::as_slice), Bound::Unbounded);
            let page = self.store.kv.page(self.tree, range, Way::Up, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = Bound::Excluded(last.clone());
            for pair in page {
                if self.report.faults.len() >= MAX_FAULTS {
                    return Ok(());
                }
                self.look_at(pair)?;
            }
        }
    }

    fn look_at(&mut self, (key, value): Pair) -> Result<(), StoreError> {
        let fault = match self.tree.shelf {
            Shelf::Rows => self.row(&key, value)?,
            Shelf::Past => self.version(&key, value)?,
            Shelf::Stream => self.entry(&key, value),
            Shelf::Due => self.due(&key)?,
            Shelf::DueAt => self.due_at(&key, &value)?,
            Shelf::Commits if !self.tree.name.is_empty() => {
                log::versioned_table(&key, &value).err().map(|_| "the name of a table cannot be read")
            }
            Shelf::Commits => self.commit(&key, &value),
            Shelf::Leases => leases::decode(&value).err().map(|_| "cannot be read"),
            Shelf::Settled => None,
        };
        if let Some(fault) = fault {
            let digits: String = key.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
            self.report.faults.push(format!("{}, key {digits}: {fault}", self.tree));
        }
        Ok(())
    }

    fn row(&mut self, key: &[u8], value: Vec<u8>) -> Result<Option<&'static str>, StoreError> {
        self.report.rows += 1;
        let Ok(row) = rows::decode(value) else { return Ok(Some("the row cannot be read")) };
        if row.value.is_none() {
            return Ok(Some("the present version says that it is deleted"));
        }
        self.after_head(key, row.commit)
    }

    /// Whether a commit number is beyond the head; one that was being written meanwhile is not.
    fn after_head(&self, key: &[u8], commit: CommitNo) -> Result<Option<&'static str>, StoreError> {
        if commit <= self.store.stands().number {
            return Ok(None);
        }
        let _writer = self.store.writer();
        let there = self.store.kv.get(self.tree, key)?.is_some();
        let beyond = there && commit > self.store.stands().number;
        Ok(beyond.then_some("its commit is later than the last one"))
    }

    fn version(&mut self, place: &[u8], value: Vec<u8>) -> Result<Option<&'static str>, StoreError> {
        let Ok(key) = rows::key_of_past(place) else { return Ok(Some("the place of the version cannot be read")) };
        let Ok(versions) = past::at_place(value) else {
            self.report.versions += 1;
            return Ok(Some("the version cannot be read"));
        };
        self.report.versions += versions.len() as u64;
        let (first, last) = (versions.first().map(|it| it.commit), versions.last().map(|it| it.commit));
        let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
        if rows::past_key(&key, first) != place {
            return Ok(Some("the version is of another commit than its place says"));
        }
        let mut follows = std::mem::replace(&mut self.chain.key, key.clone()) == key;
        if follows && self.chain.commit >= first {
            if !self.ascends(&key)? {
                return Ok(Some("the version is not older than the one that follows it"));
            }
            // A bundle that lost its first version lies elsewhere since, and was read a second time.
            follows = false;
        }
        self.chain.commit = last;
        let times = versions.iter().map(|it| it.recorded.as_micros());
        let times: Vec<i64> = follows.then_some(self.chain.recorded).into_iter().chain(times).collect();
        self.chain.recorded = times.last().copied().unwrap_or_default();
        if !times.is_sorted() {
            return Ok(Some("the version was recorded before the one that it follows"));
        }
        // Read after the version: what replaced it meanwhile is only later still.
        let present = self.store.kv.get(Tree::new(Shelf::Rows, self.tree.name), &key)?;
        match present.as_deref().map(rows::commit_of) {
            Some(Ok(present)) if present <= last => Ok(Some("the version is not older than the present one")),
            _ => self.after_head(place, last),
        }
    }

    /// Whether the former versions of a key ascend, while nobody writes.
    fn ascends(&self, key: &[u8]) -> Result<bool, StoreError> {
        let _writer = self.store.writer();
        let mut commits = Vec::new();
        for (_, value) in past::places(&self.store.kv, self.tree, key)? {
            let Ok(versions) = past::at_place(value) else { return Ok(false) };
            commits.extend(versions.iter().map(|it| it.commit));
        }
        Ok(commits.is_sorted_by(|one, next| one < next))
    }

    fn entry(&mut self, key: &[u8], value: Vec<u8>) -> Option<&'static str> {
        self.report.entries += 1;
        let Ok(entry) = streams::entry((key.to_vec(), value)) else { return Some("the entry cannot be read") };
        let gap = entry.sequence != self.chain.sequence + 1;
        let broken = streams::chained(&self.chain.hash, entry.sequence, &entry.value) != entry.hash;
        (self.chain.sequence, self.chain.hash) = (entry.sequence, entry.hash);
        match (gap, broken) {
            (true, _) => Some("an entry before it is missing"),
            (false, true) => Some("its hash is not that of what is before it and of its content"),
            (false, false) => None,
        }
    }

    fn due(&mut self, place: &[u8]) -> Result<Option<&'static str>, StoreError> {
        self.report.due += 1;
        let Ok((_, item)) = queues::split(place) else { return Ok(Some("the item cannot be read")) };
        let fault = Some("the queue holds the item at another time than the item itself says");
        Ok(if self.pairs_up(place, &item)? { None } else { fault })
    }

    fn due_at(&mut self, item: &[u8], at: &[u8]) -> Result<Option<&'static str>, StoreError> {
        let fault = Some("the item is not in the queue at the time it says");
        Ok(if self.pairs_up(&[at, item].concat(), item)? { None } else { fault })
    }

    /// Whether a place in a queue and the time of its item agree; if not, whether they still do not while nobody writes.
    fn pairs_up(&self, place: &[u8], item: &[u8]) -> Result<bool, StoreError> {
        let (queue, times) = (Tree::new(Shelf::Due, self.tree.name), queues::times_of(self.tree.name));
        let agree = |place: &[u8]| -> Result<bool, StoreError> {
            let at = self.store.kv.get(times, item)?;
            let named = at.is_some_and(|at| [at.as_slice(), item].concat() == place);
            Ok(named && self.store.kv.get(queue, place)?.is_some())
        };
        if agree(place)? {
            return Ok(true);
        }
        let _writer = self.store.writer();
        let gone = match self.tree.shelf {
            Shelf::Due => self.store.kv.get(queue, place)?.is_none(),
            _ => self.store.kv.get(times, item)?.is_none_or(|at| [at.as_slice(), item].concat() != place),
        };
        Ok(gone || agree(place)?)
    }

    fn commit(&mut self, number: &[u8], at: &[u8]) -> Option<&'static str> {
        self.report.commits += 1;
        let Ok(at) = log::time(at) else { return Some("the time of the commit cannot be read") };
        let former = std::mem::replace(&mut self.chain.recorded, at.as_micros());
        let first = self.report.commits == 1;
        if number != self.report.commits.to_be_bytes() {
            Some("a commit before it is missing")
        } else if !first && former > at.as_micros() {
            Some("its time is before that of the commit that it follows")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Time;

    use super::*;
    use crate::{
        Batch, Memory, Op, Store, Table,
        kv::{Draft, Work},
        memory,
    };

    const THINGS: Table = Table { name: "things", versioned: true };

    /// A store with something of every sort, in three commits.
    fn filled() -> Embedded<Memory> {
        let store = memory();
        for round in 1..=3 {
            let at = Time::from_seconds(round);
            let value = vec![u8::try_from(round).unwrap()];
            let ops = vec![
                Op::Put { table: THINGS, key: b"a".to_vec(), value: value.clone() },
                Op::Append { stream: "s", value },
                Op::Schedule { queue: "q", item: b"i".to_vec(), at },
            ];
            store.commit(Batch { at, ops, ..Batch::default() }).unwrap();
        }
        store.lease("l", "me", Time::from_seconds(3), Time::from_seconds(9)).unwrap();
        store
    }

    #[test]
    fn a_store_that_agrees_with_itself_has_no_faults() {
        let found = filled().check().unwrap();
        assert_eq!(found, Report { rows: 1, versions: 2, entries: 3, due: 1, commits: 3, faults: Vec::new() });
    }

    #[test]
    fn every_fault_is_named() {
        let row = |commit: u64, at: i64, value: Option<&[u8]>| {
            let mut bytes = Vec::new();
            rows::encode(CommitNo(commit), Time::from_seconds(at), value, &mut bytes);
            bytes
        };
        let (things, past) = (Tree::new(Shelf::Rows, "things"), Tree::new(Shelf::Past, "things"));
        let (stream, due) = (Tree::new(Shelf::Stream, "s"), Tree::new(Shelf::Due, "q"));
        let place = |at: i64| [&((at * 1_000_000).cast_unsigned() ^ (1 << 63)).to_be_bytes()[..], b"i"].concat();
        type Harm = Box<dyn Fn(&mut dyn Draft) -> Result<(), StoreError>>;
        let put = |tree: Tree<'static>, key: &[u8], value: Vec<u8>| -> Harm {
            let key = key.to_vec();
            Box::new(move |draft| draft.put(tree, &key, &value))
        };
        let gone = |tree: Tree<'static>, key: &[u8]| -> Harm {
            let key = key.to_vec();
            Box::new(move |draft| draft.delete(tree, &key))
        };
        let harms: Vec<(&str, Harm)> = vec![
            ("the row cannot be read", put(things, b"a", vec![1, 2])),
            ("says that it is deleted", put(things, b"a", row(3, 3, None))),
            ("later than the last one", put(things, b"b", row(4, 3, Some(b"x")))),
            ("of another commit than its place", put(past, &rows::past_key(b"a", CommitNo(1)), row(2, 1, Some(b"x")))),
            ("recorded before the one", put(past, &rows::past_key(b"a", CommitNo(2)), row(2, 0, Some(b"x")))),
            ("not older than the present", put(past, &rows::past_key(b"a", CommitNo(3)), row(3, 3, Some(b"x")))),
            ("the place of the version", put(past, b"a", row(1, 1, Some(b"x")))),
            ("the version cannot be read", put(past, &rows::past_key(b"a", CommitNo(1)), vec![])),
            ("the entry cannot be read", put(stream, &2_u64.to_be_bytes(), vec![1])),
            ("an entry before it is missing", gone(stream, &2_u64.to_be_bytes())),
            ("its hash is not", put(stream, &3_u64.to_be_bytes(), vec![0; 41])),
            ("holds the item at another time", put(due, &place(8), Vec::new())),
            ("not in the queue at the time", gone(due, &place(3))),
            ("the item cannot be read", put(due, b"i", Vec::new())),
            ("a commit before it is missing", gone(Tree::COMMITS, &2_u64.to_be_bytes())),
            ("the log of commits has 2 of 3", gone(Tree::COMMITS, &3_u64.to_be_bytes())),
            ("its time is before", put(Tree::COMMITS, &2_u64.to_be_bytes(), vec![0; 8])),
            ("time of the commit cannot", put(Tree::COMMITS, &2_u64.to_be_bytes(), vec![])),
            ("leases/, key 6c: cannot be read", put(Tree::LEASES, b"l", vec![1])),
        ];
        for (said, harm) in harms {
            let store = filled();
            let work: &mut Work<'_> = &mut |draft| harm(draft);
            store.kv.write(work).unwrap();
            let faults = store.check().unwrap().faults;
            assert!(faults.iter().any(|fault| fault.contains(said)), "{said}: {faults:?}");
        }
    }

    #[test]
    fn what_is_written_meanwhile_is_no_fault() {
        let store = filled();
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| {
                for round in 4..400_i64 {
                    let at = Time::from_seconds(round);
                    let ops = (0..9_u8).flat_map(|key| {
                        let item = vec![key];
                        [
                            Op::Put { table: THINGS, key: item.clone(), value: vec![1] },
                            Op::Schedule { queue: "q", item, at: Time::from_seconds(round * i64::from(key) % 7) },
                            Op::Append { stream: "s", value: vec![key] },
                        ]
                    });
                    store.commit(Batch { at, ops: ops.collect(), ..Batch::default() }).unwrap();
                }
            });
            while !writer.is_finished() {
                assert_eq!(store.check().unwrap().faults, [""; 0]);
            }
        });
    }
}
