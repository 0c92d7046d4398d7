//! A record of the inventory: what each scope said of one thing, and what follows from it.
//! It must never prefer an older statement to a newer one, nor call a thing gone that one scope still vouches for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Attr, Facts, Field, Key, Kind, PartId, Reading, Realm, RecordId, ScopeNo, Time, Value, field, field::Typed,
};

/// Whether a thing works now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "pinned words of the interface")]
pub enum Status {
    Active,
    Inactive,
    Expired,
    Unknown,
}

/// Whether a thing is there, over all scopes that speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Some watched scope vouches for it.
    Present,
    /// A full listing lacked it once; not confirmed yet.
    Missing,
    /// Every watched scope that ever reported it says that it is gone.
    Gone,
    /// It left the configured selection; nobody looks any more.
    Unwatched,
}

/// Why a thing is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Two full listings lacked it, or one atomic one.
    Absent,
    /// The provider said so, or answered not-found.
    Told,
    /// What it lived in is gone.
    Container,
    /// It proved to be the same thing as an older record.
    Merged,
}

/// What one scope holds of a thing at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In the scope's last reading that could tell.
    Seen,
    /// Lacking in a full listing that began then.
    Missing {
        /// When that listing began.
        began: Time,
    },
    /// Gone.
    Gone(Because),
    /// The scope left the selection.
    Unwatched,
}

/// What one scope says of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Who says it.
    pub scope: ScopeNo,
    /// In which part of the scope.
    pub part: PartId,
    /// The provider's time: report generated, response received.
    pub as_of: Time,
    /// When it was committed.
    pub recorded: Time,
    /// What the scope holds of it now.
    pub standing: Standing,
    /// What the scope said last.
    pub facts: Facts,
}

/// Everything kept of one thing. Readings are derived from the statements, never stored beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name in this inventory, for good.
    pub id: RecordId,
    /// What sort of thing it is.
    pub kind: Kind,
    /// The authority that names it.
    pub realm: Realm,
    /// External ids; the first is the main one.
    pub externals: Vec<String>,
    /// For a credential: as whom it authenticates.
    pub identity: Option<Key>,
    /// The record whose end is the end of this one.
    pub container: Option<Key>,
    /// When it was first committed.
    pub first_seen: Time,
    /// Whether it was met in its source's first complete run or before: its age is then unknown, not zero.
    pub baseline: bool,
    /// One statement per scope and part that ever spoke of it, in order of scope and part.
    pub statements: Vec<Statement>,
}

impl Record {
    /// The main external id.
    pub fn external(&self) -> &str {
        self.externals.first().map_or("", String::as_str)
    }

    /// The key under its main external id.
    pub fn key(&self) -> Key {
        Key::new(self.realm.clone(), self.kind, self.external())
    }

    /// Whether it is there, over all scopes: one watched scope that vouches for it is enough.
    pub fn presence(&self) -> Presence {
        let watched = self.statements.iter().map(|said| said.standing).filter(|it| *it != Standing::Unwatched);
        watched
            .map(|standing| match standing {
                Standing::Seen => Presence::Present,
                Standing::Missing { .. } => Presence::Missing,
                Standing::Gone(_) | Standing::Unwatched => Presence::Gone,
            })
            .min()
            .unwrap_or(Presence::Unwatched)
    }

    /// Why it is gone, if it is.
    pub fn gone_because(&self) -> Option<Because> {
        if self.presence() != Presence::Gone {
            return None;
        }
        self.statements.iter().find_map(|said| match said.standing {
            Standing::Gone(because) => Some(because),
            _ => None,
        })
    }

    /// What is believed of an attribute: the most telling reading, of those the one with the latest `as_of`.
    pub fn reading(&self, field: Field) -> Reading<&Value> {
        self.said(field).map_or(Reading::NotCollected, |(reading, _)| reading)
    }

    /// What is believed of a typed attribute.
    pub fn get<T: Typed>(&self, attr: Attr<T>) -> Reading<T> {
        self.reading(attr.field()).typed()
    }

    /// What is believed of an attribute that is a text.
    pub fn text(&self, attr: Attr<String>) -> Reading<&str> {
        self.reading(attr.field()).text()
    }

    /// What is believed of an attribute that is a list.
    pub fn list(&self, attr: Attr<Vec<String>>) -> Reading<&[String]> {
        self.reading(attr.field()).list()
    }

    /// What is believed of an attribute that is a map.
    pub fn pairs(&self, attr: Attr<BTreeMap<String, String>>) -> Reading<&BTreeMap<String, String>> {
        self.reading(attr.field()).pairs()
    }

    /// What is believed of an attribute, and the statement it comes from.
    pub fn said(&self, field: Field) -> Option<(Reading<&Value>, &Statement)> {
        let speaking = self.statements.iter().filter(|said| said.counts());
        let mut telling = speaking
            .map(|said| (said.facts.reading(field), said))
            .filter(|(reading, _)| !matches!(reading, Reading::NotCollected));
        let weight = |(reading, said): &(Reading<&Value>, &Statement)| said.weighs(reading);
        // Nearly always one tells.
        let first = telling.next()?;
        Some(telling.fold(first, |most, other| if weight(&other) < weight(&most) { most } else { other }))
    }

    /// Every attribute spoken of, with what is believed of it, in the order of attribute numbers.
    pub fn facts(&self) -> Facts {
        let mut fields: Vec<Field> = self
            .statements
            .iter()
            .filter(|said| said.counts())
            .flat_map(|said| said.facts.iter().map(|(field, _)| field))
            .collect();
        fields.sort_unstable();
        fields.dedup();
        fields.into_iter().map(|field| (field, self.reading(field).map(Value::clone))).collect()
    }

    /// The name people use for it, or its external id.
    pub fn name(&self) -> String {
        self.get(field::NAME).known().unwrap_or_else(|| self.external().to_owned())
    }

    /// Whether it works now. `expires_at` in the past makes an active thing expired.
    pub fn status(&self, now: Time) -> Status {
        Status::at(self.get(field::STATUS), &self.get(field::EXPIRES_AT), now)
    }

    /// The latest provider's time any statement carries.
    pub fn as_of(&self) -> Time {
        self.statements.iter().map(|said| said.as_of).max().unwrap_or(self.first_seen)
    }
}

impl Statement {
    /// By what one statement's reading of an attribute is believed before another's: the greatest is.
    pub(crate) fn weighs<T>(&self, reading: &Reading<T>) -> (u8, Time, ScopeNo, PartId) {
        (reading.weight(), self.as_of, self.scope, self.part)
    }

    /// What a scope said stays believed when the thing is gone or nobody looks any more, unless the record was merged
    /// away.
    pub(crate) fn counts(&self) -> bool {
        self.standing != Standing::Gone(Because::Merged)
    }
}

impl Status {
    /// Whether a thing works at that time, by what is said of it: an end in the past makes an active thing expired.
    pub(crate) fn at(said: Reading<Status>, end: &Reading<Time>, now: Time) -> Status {
        match (said.known().unwrap_or(Status::Unknown), end) {
            (Status::Active | Status::Unknown, Reading::Known(end)) if *end <= now => Status::Expired,
            (said, _) => said,
        }
    }

    /// The pinned word.
    pub fn name(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Inactive => "inactive",
            Status::Expired => "expired",
            Status::Unknown => "unknown",
        }
    }

    /// The status of that word.
    pub fn from_name(word: &str) -> Option<Status> {
        [Status::Active, Status::Inactive, Status::Expired, Status::Unknown].into_iter().find(|it| it.name() == word)
    }
}

impl Presence {
    /// The pinned word.
    pub fn name(self) -> &'static str {
        match self {
            Presence::Present => "present",
            Presence::Missing => "missing",
            Presence::Gone => "gone",
            Presence::Unwatched => "unwatched",
        }
    }
}

impl Because {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Because::Absent => "absent",
            Because::Told => "told",
            Because::Container => "container",
            Because::Merged => "merged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(scope: u32, as_of: i64, standing: Standing, facts: Facts) -> Statement {
        Statement {
            scope: ScopeNo(scope),
            part: PartId::WHOLE,
            as_of: Time::from_seconds(as_of),
            recorded: Time::from_seconds(as_of),
            standing,
            facts,
        }
    }

    fn record(statements: Vec<Statement>) -> Record {
        Record {
            id: RecordId::from_bytes([7; 16]),
            kind: Kind::AccessKey,
            realm: Realm::new("aws", "1"),
            externals: vec!["AKIA".into()],
            identity: None,
            container: None,
            first_seen: Time::from_seconds(1),
            baseline: false,
            statements,
        }
    }

    #[test]
    fn one_scope_that_vouches_is_enough() {
        let gone = Standing::Gone(Because::Absent);
        let missing = Standing::Missing { began: Time::from_seconds(1) };
        let table = [
            (vec![Standing::Seen, gone], Presence::Present),
            (vec![missing, gone], Presence::Missing),
            (vec![gone, gone], Presence::Gone),
            (vec![gone, Standing::Unwatched], Presence::Gone),
            (vec![Standing::Seen, Standing::Unwatched], Presence::Present),
            (vec![Standing::Unwatched], Presence::Unwatched),
        ];
        for (standings, presence) in table {
            let statements = standings.iter().map(|it| said(1, 1, *it, Facts::new())).collect();
            assert_eq!(record(statements).presence(), presence, "{standings:?}");
        }
    }

    #[test]
    fn the_later_statement_wins_but_an_answer_beats_silence() {
        let older = said(1, 10, Standing::Seen, Facts::new().with(field::STATUS, Status::Active));
        let newer = said(2, 20, Standing::Seen, Facts::new().with(field::STATUS, Status::Inactive));
        let silent = said(3, 30, Standing::Seen, Facts::new().with(field::STATUS, Reading::NotPermitted));
        for statements in [vec![older.clone(), newer.clone(), silent.clone()], vec![silent, newer, older]] {
            assert_eq!(record(statements).get(field::STATUS), Reading::Known(Status::Inactive));
        }
    }

    #[test]
    fn a_passed_expiry_makes_an_active_thing_expired() {
        let facts = Facts::new().with(field::STATUS, Status::Active).with(field::EXPIRES_AT, Time::from_seconds(50));
        let record = record(vec![said(1, 1, Standing::Seen, facts)]);
        assert_eq!(record.status(Time::from_seconds(49)), Status::Active);
        assert_eq!(record.status(Time::from_seconds(50)), Status::Expired);
    }
}
