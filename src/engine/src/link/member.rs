//! What grouping knows of a record: its keys, who named it, since when it is there. And which records are kept apart.
//! It must never know a name.

use std::collections::BTreeSet;

use provost_model::{CorrelationKey, FieldSet, Kind, Presence, Realm, Record, RecordId, Time, Unites, field};

/// A record as grouping sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The record.
    pub id: RecordId,
    /// The system that names it.
    pub realm: Realm,
    /// What sort of thing it is there.
    pub kind: Kind,
    /// Since when it has been there, if that is known.
    pub from: Option<Time>,
    /// Whether it is still there, as far as known.
    pub there: bool,
    /// Its keys, each once, in order.
    pub keys: Vec<CorrelationKey>,
}

/// Pairs of records that an operator keeps apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart(BTreeSet<(RecordId, RecordId)>);

/// The attributes on which keys and grouping rest, beside presence and names.
pub const RESTS_ON: FieldSet = FieldSet::of(&[
    field::FINGERPRINT.field(),
    field::KEY_ID.field(),
    field::OPENS.field(),
    field::ARN.field(),
    field::CLIENT_ID.field(),
    field::OIDC_SUBJECT.field(),
    field::OIDC_ISSUER.field(),
    field::SUBJECT.field(),
    field::ISSUER.field(),
    field::NATURE.field(),
    field::EMAILS.field(),
    field::CREATED_AT.field(),
]);

impl Member {
    /// A record as it is grouped with others of one secret, identity or person; without keys if none speaks of that.
    pub fn of(record: &Record, unites: Unites) -> Self {
        Self::whole(record).among(unites)
    }

    /// A record with all its keys, of whatever they speak.
    pub fn whole(record: &Record) -> Self {
        let made = record.get(field::CREATED_AT).known();
        Self {
            id: record.id,
            realm: record.realm.clone(),
            kind: record.kind,
            // What was met in a source's first run may be of any age.
            from: made.or_else(|| (!record.baseline).then_some(record.first_seen)),
            there: record.presence() != Presence::Gone,
            keys: CorrelationKey::all_of(record),
        }
    }

    /// The same with only those keys that speak of one sort of thing.
    pub fn among(&self, unites: Unites) -> Self {
        let keys = self.keys.iter().filter(|key| key.unites() == unites).cloned().collect();
        Self { realm: self.realm.clone(), keys, ..*self }
    }
}

impl Apart {
    /// Keeps two records apart.
    pub fn insert(&mut self, one: RecordId, other: RecordId) {
        self.0.insert((one.min(other), one.max(other)));
    }

    /// Whether two records are kept apart.
    pub fn holds(&self, one: RecordId, other: RecordId) -> bool {
        !self.0.is_empty() && self.0.contains(&(one.min(other), one.max(other)))
    }

    /// Whether nobody is kept apart.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{Attr, Field, Reading};

    use super::*;
    use crate::rules::sample;

    /// A record with every attribute that keys are made of.
    fn record(kind: Kind) -> Record {
        let texts: [(Attr<String>, &str); 9] = [
            (field::FINGERPRINT, "k1:000102030405060708090a0b0c0d0e0f"),
            (field::KEY_ID, "AKIAIOSFODNN7EXAMPLE"),
            (field::OPENS, "k1:ff0102030405060708090a0b0c0d0e0f"),
            (field::ARN, "arn:aws:iam::1:user/ann"),
            (field::CLIENT_ID, "6f1b0c9e-0000-4000-8000-000000000001"),
            (field::OIDC_SUBJECT, "repo:a/b"),
            (field::OIDC_ISSUER, "https://issuer.example"),
            (field::SUBJECT, "CN=ann"),
            (field::ISSUER, "CN=ca"),
        ];
        let sample = texts.into_iter().fold(sample::record(kind), |it, (attr, text)| it.with(attr, text.to_owned()));
        sample.with(field::EMAILS, vec!["ann@x.example".to_owned()]).with(field::CREATED_AT, sample::ago(9)).build()
    }

    fn members(record: &Record) -> [Member; 3] {
        [Unites::Secrets, Unites::Identities, Unites::People].map(|unites| Member::of(record, unites))
    }

    #[test]
    fn grouping_rests_on_the_attributes_it_names_and_on_no_others() {
        let kinds = [Kind::User, Kind::AccessKey, Kind::Certificate, Kind::Application, Kind::Person];
        let mut moved = FieldSet::EMPTY;
        for record in kinds.map(record) {
            for named in (0..200).filter_map(Field::from_code) {
                let mut other = record.clone();
                other.statements[0].facts.set_value(named, Reading::NotPermitted);
                if members(&other) != members(&record) {
                    moved = moved.with(named);
                }
            }
        }
        // Of whose nature nothing is said counts as a human being's, as does what may not be seen.
        assert_eq!(moved.with(field::NATURE.field()), RESTS_ON);
    }
}
