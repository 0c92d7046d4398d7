//! What owners rest on beside records: the words of human beings, and who is met as a person or team.
//! It must never forget who said something, when and why.

use provost_model::{Noun, OwnerWord, Record, RecordId};

use super::{Draft, Inventory, META, OWNER_WORDS, PEOPLE, PEOPLE_CHANGED, Version, index, rows};
use crate::{CommitNo, Go, KeyRange, Op, StoreError};

/// People read with one question.
const AT_ONCE: usize = 1_000;

impl Inventory<'_> {
    /// What was said last about the owner of a record, as it stood at a commit (`None`: now).
    pub fn owner_word(&self, id: RecordId, at: Option<CommitNo>) -> Result<Option<OwnerWord>, StoreError> {
        let row = self.store.get(OWNER_WORDS, id.as_bytes(), at)?;
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a word about an owner")).transpose()
    }

    /// Everything that was ever said about the owner of a record, oldest first.
    pub fn owner_words(&self, id: RecordId) -> Result<Vec<Version<OwnerWord>>, StoreError> {
        let kept = self.store.versions(OWNER_WORDS, id.as_bytes())?.into_iter();
        let kept = kept.filter_map(|row| row.value.map(|bytes| (row.commit, row.recorded, bytes)));
        kept.map(|(commit, recorded, bytes)| {
            Ok(Version { commit, recorded, it: rows::decode(&bytes, "a word about an owner")? })
        })
        .collect()
    }

    /// Whether anything was ever said about any owner.
    pub fn has_owner_words(&self) -> Result<bool, StoreError> {
        let mut any = false;
        self.store.scan(OWNER_WORDS, &KeyRange::all(), None, &mut |_, _| {
            any = true;
            Ok(Go::Stop)
        })?;
        Ok(any)
    }

    /// The last commit in which a person or team changed; `None` before any was met.
    pub fn people_changed(&self) -> Result<Option<CommitNo>, StoreError> {
        Ok(self.store.get(META, PEOPLE_CHANGED, None)?.map(|row| row.commit))
    }

    /// Every person and team, gone ones included, in the order of ids. Nothing is noted as read: a directory has tens of
    /// thousands, and what rests on them is judged anew by their digest.
    pub fn people(&self) -> Result<Vec<Record>, StoreError> {
        let mut ids = Vec::new();
        self.store.scan(PEOPLE, &KeyRange::all(), None, &mut |key, _| {
            ids.push(index::tail_id(key)?);
            Ok(Go::On)
        })?;
        let unnoted = Self { reads: None, ..*self };
        let mut people = Vec::with_capacity(ids.len());
        for part in ids.chunks(AT_ONCE) {
            people.extend(unnoted.records(part, None)?);
        }
        Ok(people)
    }
}

impl Draft<'_> {
    /// Writes what a human being says about the owner of a record.
    pub fn put_owner_word(&mut self, id: RecordId, word: &OwnerWord) -> Result<(), StoreError> {
        let value = rows::encode(word)?;
        self.push(Op::Put { table: OWNER_WORDS, key: id.as_bytes().to_vec(), value });
        self.tell_at(id, Some(self.at()));
        Ok(())
    }
}

/// Notes persons and teams among changed records: those met for the first time, and that any changed at all.
pub(super) fn steps<'a>(changes: impl Iterator<Item = (Option<&'a Record>, &'a Record)>) -> Vec<Op> {
    let mut ops = Vec::new();
    let people = changes.filter(|(_, now)| now.kind.noun() == Noun::Person);
    for (before, now) in people {
        if ops.is_empty() {
            ops.push(Op::Put { table: META, key: PEOPLE_CHANGED.to_vec(), value: Vec::new() });
        }
        if before.is_none() {
            ops.push(Op::Put { table: PEOPLE, key: now.id.as_bytes().to_vec(), value: Vec::new() });
        }
    }
    ops
}

#[cfg(test)]
mod tests {
    use provost_model::{Change, Facts, Key, Kind, PartId, Realm, ScopeNo, Standing, Statement, Time, What};

    use super::*;
    use crate::Store;

    fn change(store: &dyn Store, byte: u8, kind: Kind, at: i64) {
        let said = Statement {
            scope: ScopeNo(1),
            part: PartId::WHOLE,
            as_of: Time::from_seconds(at),
            recorded: Time::from_seconds(at),
            standing: Standing::Seen,
            facts: Facts::new(),
        };
        let inventory = Inventory::of(store);
        let id = RecordId::from_bytes([byte; 16]);
        let known = inventory.record(id, None).unwrap();
        let what = if known.is_some() { What::Changed } else { What::Appeared };
        let after = Record {
            id,
            kind,
            realm: Realm::new("okta", "1"),
            externals: vec![format!("x{byte}")],
            identity: None::<Key>,
            container: None,
            first_seen: Time::from_seconds(1),
            baseline: false,
            statements: vec![said],
        };
        let mut draft = Draft::new(inventory, Time::from_seconds(at));
        draft.apply(Change { what, after, fields: Vec::new(), aliases: Vec::new() }).unwrap();
        draft.commit().unwrap();
    }

    #[test]
    fn people_are_found_among_records_and_their_changes_are_noticed() {
        let store = crate::memory();
        let changed = || Inventory::of(&store).people_changed().unwrap();
        change(&store, 1, Kind::User, 10);
        assert_eq!(changed(), None);
        change(&store, 2, Kind::Person, 11);
        let first = changed();
        change(&store, 3, Kind::Team, 12);
        change(&store, 4, Kind::User, 13);
        let second = changed();
        change(&store, 2, Kind::Person, 14);
        assert!(first.is_some() && first < second && second < changed());
        let kinds: Vec<Kind> = Inventory::of(&store).people().unwrap().iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [Kind::Person, Kind::Team]);
    }

    #[test]
    fn words_about_owners_are_kept_with_all_that_went_before() {
        let store = crate::memory();
        let id = RecordId::from_bytes([7; 16]);
        assert!(!Inventory::of(&store).has_owner_words().unwrap());
        for (at, owner) in [(1, Some("ann")), (2, Some("bob")), (3, None)] {
            let mut draft = Draft::new(Inventory::of(&store), Time::from_seconds(at));
            let word = OwnerWord {
                owner: owner.map(str::to_owned),
                by: "eve".into(),
                at: Time::from_seconds(at),
                reason: format!("reason {at}"),
            };
            draft.put_owner_word(id, &word).unwrap();
            draft.commit().unwrap();
        }
        let inventory = Inventory::of(&store);
        assert!(inventory.has_owner_words().unwrap());
        let words: Vec<_> = inventory.owner_words(id).unwrap().into_iter().map(|it| it.it).collect();
        assert_eq!(words.iter().map(|it| it.owner.as_deref()).collect::<Vec<_>>(), [Some("ann"), Some("bob"), None]);
        let then = store.commit_at(Time::from_seconds(2)).unwrap();
        assert_eq!(inventory.owner_word(id, Some(then)).unwrap().as_ref(), words.get(1));
        assert_eq!(inventory.owner_word(id, None).unwrap().as_ref(), words.get(2));
    }
}
