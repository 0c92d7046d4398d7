//! What a run changed, on its way to those who judge: which records, what is different about each, and since which commit.
//! It must never make less of a change than what was handed over.

use std::collections::BTreeMap;

use provost_engine::News;
use provost_model::RecordId;
use provost_store::CommitNo;

/// A record, and what is different about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which record.
    pub id: RecordId,
    /// What is different.
    pub news: News,
    /// The last commit that changed it; `None` if whoever judges has to take it for the newest.
    pub by: Option<CommitNo>,
}

impl Touched {
    /// A record about which anything may be different.
    pub fn wholly(id: RecordId) -> Self {
        Self { id, news: News::everything(), by: None }
    }
}

/// Changes that are gathered, each record once.
#[derive(Debug, Default)]
pub struct Gathering(BTreeMap<RecordId, (News, Option<CommitNo>)>);

impl Gathering {
    /// Adds a change to those of the same record.
    pub fn add(&mut self, Touched { id, news, by }: Touched) {
        let (all, last) = self.0.entry(id).or_insert_with(|| (News::default(), Some(CommitNo(0))));
        all.add(news);
        *last = last.zip(by).map(|(last, by)| last.max(by));
    }

    /// Everything gathered, in the order of ids; begins anew.
    pub fn take(&mut self) -> Vec<Touched> {
        std::mem::take(&mut self.0).into_iter().map(|(id, (news, by))| Touched { id, news, by }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_new_as_the_newest_of_its_changes() {
        let id = |byte| RecordId::from_bytes([byte; 16]);
        let by = |byte, by: Option<u64>| Touched { id: id(byte), news: News::default(), by: by.map(CommitNo) };
        let mut all = Gathering::default();
        [by(2, Some(7)), by(1, Some(5)), by(2, Some(6)), by(1, None), by(1, Some(9))]
            .into_iter()
            .for_each(|it| all.add(it));
        assert_eq!(all.take(), [by(1, None), by(2, Some(7))]);
        assert_eq!(all.take(), []);
    }
}
