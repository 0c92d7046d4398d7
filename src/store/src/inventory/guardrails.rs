//! Standing decisions that let guardrails decide, and the subjects about which one may have something to decide.
//! It must never leave a guardrail standing that nobody enabled.

use std::collections::BTreeMap;

use provost_model::{RecordId, Time};

use super::{Draft, GUARD_QUEUE, GUARDRAIL, Inventory, META, StandingRow, rows};
use crate::{Go, KeyRange, Op, StoreError};

impl Inventory<'_> {
    /// The standing decision that lets a guardrail decide; nothing where it may not.
    pub fn guardrail(&self, name: &str) -> Result<Option<StandingRow>, StoreError> {
        let key = key(name);
        let row = self.store.get(META, &key, None)?;
        self.note(META, &key, row.as_ref());
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a guardrail")).transpose()
    }

    /// Every guardrail that may decide, by name.
    pub fn guardrails(&self) -> Result<BTreeMap<String, StandingRow>, StoreError> {
        let mut found = BTreeMap::new();
        self.store.scan(META, &KeyRange::prefix(GUARDRAIL), None, &mut |key, row| {
            if let Some(bytes) = row.value {
                let name = String::from_utf8_lossy(key.strip_prefix(GUARDRAIL).unwrap_or_default()).into_owned();
                found.insert(name, rows::decode(&bytes, "a guardrail")?);
            }
            Ok(Go::On)
        })?;
        Ok(found)
    }
}

impl Draft<'_> {
    /// Writes down that a guardrail may decide, or that it may not any more.
    pub fn put_guardrail(&mut self, name: &str, standing: Option<&StandingRow>) -> Result<(), StoreError> {
        let key = key(name);
        self.push(match standing {
            Some(standing) => Op::Put { table: META, key, value: rows::encode(standing)? },
            None => Op::Delete { table: META, key },
        });
        Ok(())
    }

    /// The standing decision that lets a guardrail decide, to be changed or rested on here.
    pub fn guardrail(&self, name: &str) -> Result<Option<StandingRow>, StoreError> {
        self.inventory_noting().guardrail(name)
    }

    /// Says when a guardrail may have something to decide about a subject (`None`: not any more).
    pub fn guard_at(&mut self, subject: RecordId, at: Option<Time>) {
        self.schedule(GUARD_QUEUE, subject.as_bytes().to_vec(), at);
    }
}

fn key(name: &str) -> Vec<u8> {
    [GUARDRAIL, name.as_bytes()].concat()
}
