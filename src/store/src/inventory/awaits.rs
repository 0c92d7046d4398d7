//! Subjects that wait for a scope to be read again: a later reading that says the same may change what is said of them.
//! It must never forget one before it was judged: its row goes in the commit of the verdict.

use std::ops::Bound;

use provost_model::{RecordId, ScopeNo, Time};

use super::{AWAITS, Draft, Inventory, index, rows};
use crate::{Go, KeyRange, Op, StoreError};

impl Inventory<'_> {
    /// Scopes that subjects wait for, each with the time of the reading up to which those who waited were judged.
    pub fn awaited(&self) -> Result<Vec<(ScopeNo, Option<Time>)>, StoreError> {
        let mut scopes = Vec::new();
        let mut next = Some(ScopeNo(0));
        // One look a scope, however many wait for it.
        while let Some(scope) = next.take() {
            let from = Bound::Included(key_of(scope, None));
            self.store.scan(AWAITS, &KeyRange { from, to: Bound::Unbounded }, None, &mut |key, row| {
                let scope = scope_of(key)?;
                let told = if key.len() == 4 { row.value.map(|bytes| time(&bytes)).transpose()? } else { None };
                scopes.push((scope, told));
                next = scope.0.checked_add(1).map(ScopeNo);
                Ok(Go::Stop)
            })?;
        }
        Ok(scopes)
    }

    /// Up to `limit` subjects that wait for a reading of a scope later than that time, after that one.
    pub fn awaiting(
        &self,
        scope: ScopeNo,
        (read, after): (Time, Option<RecordId>),
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        let mut range = KeyRange::prefix(&key_of(scope, None));
        if let Some(after) = after {
            range.from = Bound::Excluded(key_of(scope, Some(after)));
        }
        let mut ids = Vec::new();
        self.store.scan(AWAITS, &range, None, &mut |key, row| {
            if key.len() > 4 && row.value.map(|bytes| time(&bytes)).transpose()?.is_some_and(|known| known < read) {
                ids.push(index::tail_id(key)?);
            }
            Ok(if ids.len() < limit { Go::On } else { Go::Stop })
        })?;
        Ok(ids)
    }

    /// Whether anybody waits for a scope.
    pub fn is_awaited(&self, scope: ScopeNo) -> Result<bool, StoreError> {
        let mut any = false;
        self.store.scan(AWAITS, &KeyRange::prefix(&key_of(scope, None)), None, &mut |_, _| {
            any = true;
            Ok(Go::Stop)
        })?;
        Ok(any)
    }

    /// Whether that subject waits for a scope.
    pub fn awaits(&self, scope: ScopeNo, subject: RecordId) -> Result<bool, StoreError> {
        let row = self.store.get(AWAITS, &key_of(scope, Some(subject)), None)?;
        Ok(row.is_some_and(|row| row.value.is_some()))
    }
}

impl Draft<'_> {
    /// Says that a subject, judged on the scope's reading of that time, waits for the next.
    pub fn wait(&mut self, scope: ScopeNo, subject: RecordId, read: Time) -> Result<(), StoreError> {
        let value = rows::encode(&read)?;
        self.ops.push(Op::Put { table: AWAITS, key: key_of(scope, Some(subject)), value });
        Ok(())
    }

    /// Says that a subject waits for a scope no longer.
    pub fn wait_no_more(&mut self, scope: ScopeNo, subject: RecordId) {
        self.ops.push(Op::Delete { table: AWAITS, key: key_of(scope, Some(subject)) });
    }

    /// Says that those who waited for a reading of that scope were judged on the one of that time (`None`: nobody waits).
    pub fn put_awaited(&mut self, scope: ScopeNo, read: Option<Time>) -> Result<(), StoreError> {
        let key = key_of(scope, None);
        self.ops.push(match read {
            Some(read) => Op::Put { table: AWAITS, key, value: rows::encode(&read)? },
            None => Op::Delete { table: AWAITS, key },
        });
        Ok(())
    }
}

fn key_of(scope: ScopeNo, subject: Option<RecordId>) -> Vec<u8> {
    let mut key = scope.0.to_be_bytes().to_vec();
    if let Some(subject) = subject {
        key.extend_from_slice(subject.as_bytes());
    }
    key
}

fn scope_of(key: &[u8]) -> Result<ScopeNo, StoreError> {
    let (scope, _) = key.split_first_chunk::<4>().ok_or_else(|| StoreError::Codec("who waits for a scope".into()))?;
    Ok(ScopeNo(u32::from_be_bytes(*scope)))
}

fn time(bytes: &[u8]) -> Result<Time, StoreError> {
    rows::decode(bytes, "since when somebody waits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[test]
    fn who_waits_is_found_by_scope_and_by_the_reading_it_was_judged_on() {
        let store = memory();
        let inventory = Inventory::of(&store);
        let (id, at) = (|byte| RecordId::from_bytes([byte; 16]), Time::from_seconds);
        let mut draft = Draft::new(inventory, at(1));
        for (scope, who, read) in [(1, 1, 10), (1, 2, 20), (1, 3, 10), (7, 1, 10), (u32::MAX, 9, 10)] {
            draft.wait(ScopeNo(scope), id(who), at(read)).unwrap();
        }
        draft.put_awaited(ScopeNo(7), Some(at(10))).unwrap();
        draft.commit().unwrap();
        let awaited = [(ScopeNo(1), None), (ScopeNo(7), Some(at(10))), (ScopeNo(u32::MAX), None)];
        assert_eq!(inventory.awaited().unwrap(), awaited);
        assert_eq!(inventory.awaiting(ScopeNo(1), (at(15), None), 9).unwrap(), [id(1), id(3)]);
        assert_eq!(inventory.awaiting(ScopeNo(1), (at(15), Some(id(1))), 9).unwrap(), [id(3)]);
        assert_eq!(inventory.awaiting(ScopeNo(1), (at(30), None), 2).unwrap(), [id(1), id(2)]);
        assert!(inventory.awaits(ScopeNo(7), id(1)).unwrap() && !inventory.awaits(ScopeNo(7), id(2)).unwrap());
        assert!(inventory.is_awaited(ScopeNo(7)).unwrap() && !inventory.is_awaited(ScopeNo(2)).unwrap());
        let mut draft = Draft::new(inventory, at(2));
        draft.wait_no_more(ScopeNo(7), id(1));
        draft.put_awaited(ScopeNo(7), None).unwrap();
        draft.commit().unwrap();
        assert!(!inventory.is_awaited(ScopeNo(7)).unwrap());
    }
}
