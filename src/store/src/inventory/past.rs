//! Reading records and findings as they stood at a commit: page by page, and subject by subject.
//! It must never read what is kept of the present alone: indexes and scopes have no past.

use std::ops::Bound;

use provost_model::{Finding, Record, RecordId, Time};

use super::{FINDINGS, Inventory, RECORDS};
use crate::{CommitNo, Go, KeyRange, StoreError, codec};

impl Inventory<'_> {
    /// All findings about a subject as they stood at a commit (`None`: now), resolved ones included.
    pub fn findings_at(&self, subject: RecordId, at: Option<CommitNo>) -> Result<Vec<Finding>, StoreError> {
        if at.is_none() {
            return self.findings_of(subject);
        }
        let row = self.store.get(FINDINGS, subject.as_bytes(), at)?.and_then(|row| row.value);
        row.map_or_else(|| Ok(Vec::new()), |bytes| codec::finding::decode(&bytes))
    }

    /// Up to `limit` records as they stood at a commit, gone ones included, in the order of ids: those after that one.
    pub fn records_at(&self, at: CommitNo, after: Option<RecordId>, limit: usize) -> Result<Vec<Record>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes().to_vec()));
        let mut records = Vec::new();
        self.store.scan(RECORDS, &KeyRange { from, to: Bound::Unbounded }, Some(at), &mut |_, row| {
            if let Some(bytes) = row.value {
                records.push(codec::record::decode(&bytes)?);
            }
            Ok(if records.len() < limit { Go::On } else { Go::Stop })
        })?;
        Ok(records)
    }

    /// When the first commit was; `None` in an empty store.
    pub fn begin(&self) -> Result<Option<Time>, StoreError> {
        let head = self.store.head()?;
        if head.number == CommitNo(0) {
            return Ok(None);
        }
        // No commit is as early as `before`; one is as early as `at`.
        let (mut before, mut at) = (i64::MIN / 2, head.at.as_micros());
        while before + 1 < at {
            let middle = before + (at - before) / 2;
            match self.store.commit_at(Time::from_micros(middle))? {
                CommitNo(0) => before = middle,
                _ => at = middle,
            }
        }
        Ok(Some(Time::from_micros(at)))
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{
        Change, Facts, FindingState, Kind, PartId, Realm, ScopeNo, Severity, Standing, Statement, What,
    };

    use super::*;
    use crate::{Store, inventory::Draft};

    fn id(byte: u8) -> RecordId {
        RecordId::from_bytes([byte; 16])
    }

    fn change(byte: u8, second: i64) -> Change {
        let at = Time::from_seconds(second);
        let said = Statement {
            scope: ScopeNo(1),
            part: PartId::WHOLE,
            as_of: at,
            recorded: at,
            standing: Standing::Seen,
            facts: Facts::new(),
        };
        let after = Record {
            id: id(byte),
            kind: Kind::User,
            realm: Realm::new("aws", "1"),
            externals: vec![format!("u{byte}")],
            identity: None,
            container: None,
            first_seen: at,
            baseline: false,
            statements: vec![said],
        };
        Change { what: What::Appeared, after, fields: Vec::new(), aliases: Vec::new() }
    }

    fn finding(because: &str) -> Finding {
        Finding {
            id: id(9),
            rule: "ID-IDLE".into(),
            rule_version: 1,
            subject: id(1),
            external_id: "u1".into(),
            source: None,
            state: FindingState::Open,
            severity: Severity::Medium,
            severity_steps: Vec::new(),
            opened_at: Time::from_seconds(10),
            opened_as_of: Time::from_seconds(10),
            resolved_at: None,
            resolution: None,
            unconfirmed_since: None,
            baseline: false,
            because: because.to_owned(),
            until: None,
            policy: String::new(),
        }
    }

    /// Two users and a finding about the first; ten seconds later another user, and other words.
    fn grown() -> impl Store {
        let store = crate::memory();
        let inventory = Inventory::of(&store);
        for (second, users, because) in [(10, &[1, 3][..], "then"), (20, &[2], "now")] {
            let mut draft = Draft::new(inventory, Time::from_seconds(second));
            users.iter().for_each(|user| draft.apply(change(*user, second)).unwrap());
            draft.put_findings(id(1), &[finding(because)]).unwrap();
            draft.commit().unwrap();
        }
        store
    }

    #[test]
    fn what_stood_then_is_read_as_it_stood() {
        let store = grown();
        let inventory = Inventory::of(&store);
        let then = store.commit_at(Time::from_seconds(19)).unwrap();
        let now = store.head().unwrap().number;
        let page = |at, after, limit| -> Vec<RecordId> {
            inventory.records_at(at, after, limit).unwrap().iter().map(|it| it.id).collect()
        };
        assert_eq!(page(then, None, 9), [id(1), id(3)]);
        assert_eq!(page(now, None, 2), [id(1), id(2)]);
        assert_eq!(page(now, Some(id(2)), 2), [id(3)]);
        let said = |at| inventory.findings_at(id(1), at).unwrap().remove(0).because;
        assert_eq!((said(Some(then)), said(Some(now)), said(None)), ("then".into(), "now".into(), "now".into()));
        assert!(inventory.findings_at(id(1), Some(CommitNo(0))).unwrap().is_empty());
    }

    #[test]
    fn the_beginning_is_the_time_of_the_first_commit() {
        assert_eq!(Inventory::of(&crate::memory()).begin().unwrap(), None);
        assert_eq!(Inventory::of(&grown()).begin().unwrap(), Some(Time::from_seconds(10)));
    }
}
