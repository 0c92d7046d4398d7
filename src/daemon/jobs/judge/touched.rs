//! What a run changed, on its way to those who judge: which records, what is different about each, and since which commit.
//! It must never make less of a change than what was handed over.

use std::collections::{BTreeMap, btree_map::Entry};

use provost_engine::{News, link::RESTS_ON};
use provost_model::{CorrelationKey, Record, RecordId};
use provost_store::{CommitNo, inventory::KeyRef};

/// A record, and what is different about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which record.
    pub id: RecordId,
    /// What is different.
    pub news: News,
    /// The last commit that changed it; `None` if whoever judges has to take it for the newest.
    pub by: Option<CommitNo>,
    /// The keys it is grouped by since then, if anything changed that groups rest on; `None` if they have to be read.
    pub keys: Option<Box<[KeyRef]>>,
}

impl Touched {
    /// A record about which anything may be different.
    pub fn wholly(id: RecordId) -> Self {
        Self { id, news: News::everything(), by: None, keys: None }
    }

    /// A record with what a change makes different; of a commit that is still to come.
    pub fn between(before: Option<&Record>, after: &Record) -> Self {
        let mut it = Self { id: after.id, news: News::between(before, after), by: None, keys: None };
        if it.regroups() {
            it.keys = Some(CorrelationKey::all_of(after).iter().map(KeyRef::of).collect());
        }
        it
    }

    /// Whether groups may be others now.
    pub fn regroups(&self) -> bool {
        self.news.is_other() || self.news.fields.meets(RESTS_ON)
    }
}

/// Changes that are gathered, each record once.
#[derive(Debug, Default)]
pub struct Gathering(BTreeMap<RecordId, Touched>);

impl Gathering {
    /// Adds a change to those of the same record, which came before it.
    pub fn add(&mut self, touched: Touched) {
        match self.0.entry(touched.id) {
            Entry::Vacant(first) => drop(first.insert(touched)),
            Entry::Occupied(mut known) => {
                let all = known.get_mut();
                if touched.regroups() {
                    all.keys = touched.keys;
                }
                all.news.add(touched.news);
                all.by = all.by.zip(touched.by).map(|(last, by)| last.max(by));
            }
        }
    }

    /// Everything gathered, in the order of ids; begins anew.
    pub fn take(&mut self) -> Vec<Touched> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Sort;

    use super::*;

    #[test]
    fn a_record_is_as_new_as_the_newest_of_its_changes() {
        let id = |byte| RecordId::from_bytes([byte; 16]);
        let by =
            |byte, by: Option<u64>| Touched { id: id(byte), news: News::default(), by: by.map(CommitNo), keys: None };
        let mut all = Gathering::default();
        [by(2, Some(7)), by(1, Some(5)), by(2, Some(6)), by(1, None), by(1, Some(9))]
            .into_iter()
            .for_each(|it| all.add(it));
        assert_eq!(all.take(), [by(1, None), by(2, Some(7))]);
        assert_eq!(all.take(), []);
    }

    #[test]
    fn a_record_has_the_keys_of_the_last_change_that_groups_rest_on() {
        let key = |value: &str| -> Option<Box<[KeyRef]>> {
            let key = CorrelationKey { sort: Sort::KeyId, value: value.to_owned(), within: None };
            Some([KeyRef::of(&key)].into())
        };
        let touched = |whole, keys: &Option<Box<[KeyRef]>>| Touched {
            id: RecordId::from_bytes([1; 16]),
            news: News { whole, ..News::default() },
            by: Some(CommitNo(1)),
            keys: keys.clone(),
        };
        let table = [
            ([(true, key("a")), (true, key("b"))], key("b")),
            ([(true, key("a")), (false, None)], key("a")),
            ([(true, key("a")), (true, None)], None),
            ([(false, None), (true, key("b"))], key("b")),
        ];
        for (changes, keys) in table {
            let mut all = Gathering::default();
            changes.iter().for_each(|(whole, keys)| all.add(touched(*whole, keys)));
            assert_eq!(all.take()[0].keys, keys, "{changes:?}");
        }
    }
}
