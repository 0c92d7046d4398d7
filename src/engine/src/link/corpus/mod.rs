//! A made-up organisation seen through eight systems, with the truth about it: which records are one secret, one identity,
//! one person, and who answers for what. The same seed gives the same records. It must never be compiled into the program.

mod machines;
mod people;
mod secrets;

use provost_model::{
    Because, Facts, Key, Kind, PartId, Reading, Realm, Record, RecordId, ScopeNo, Span, Standing, Statement, Time,
    Unites, field,
};

use crate::dice::Dice;

/// The present of the corpus: 2026-11-24T12:00:00Z.
pub const NOW: Time = Time::from_seconds(1_795_521_600);

/// A record, and what is true of it.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// What the inventory holds.
    pub record: Record,
    /// What is so.
    pub truth: Truth,
}

/// What is true of a record; numbers are the same for records of one real thing and of no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Which secret it is or keeps.
    pub secret: Option<u32>,
    /// Which identity it is.
    pub identity: Option<u32>,
    /// Whose account it is: a place in [`Corpus::people`].
    pub person: Option<u32>,
    /// Who answers for it: a place in [`Corpus::people`].
    pub owner: Option<u32>,
}

/// A human being of the organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Somebody {
    /// Their name; several people bear the same.
    pub name: String,
    /// Their present address.
    pub email: String,
    /// Their login.
    pub login: String,
    /// The team they are in: a number from 0.
    pub team: u32,
    /// Whether they left.
    pub left: bool,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// Records in the order in which they were first seen.
    pub records: Vec<Labelled>,
    /// The people.
    pub people: Vec<Somebody>,
}

/// How well a grouping meets the truth, in pairs of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Pairs united and truly one.
    pub right: u64,
    /// Pairs united that are not one.
    pub wrong: u64,
    /// Pairs that are one and were not united.
    pub missed: u64,
}

impl Corpus {
    /// The organisation of that seed.
    pub fn of(seed: u64) -> Self {
        let mut maker = Maker { dice: Dice(seed), corpus: Corpus::default(), entities: 0, made: 0 };
        people::fill(&mut maker);
        let principals = machines::fill(&mut maker);
        secrets::fill(&mut maker, &principals);
        maker.corpus.records.sort_by_key(|it| it.record.id);
        maker.corpus
    }

    /// The record ids that the truth unites so, thing by thing.
    pub fn truth(&self, unites: Unites) -> Vec<Vec<RecordId>> {
        let mut things = std::collections::BTreeMap::<u32, Vec<RecordId>>::new();
        for it in &self.records {
            let thing = match unites {
                Unites::Secrets => it.truth.secret,
                Unites::Identities => it.truth.identity,
                Unites::People => it.truth.person,
            };
            if let Some(thing) = thing {
                things.entry(thing).or_default().push(it.record.id);
            }
        }
        things.into_values().collect()
    }
}

impl Score {
    /// Compares groups found with the true ones.
    pub fn of<'a>(found: impl IntoIterator<Item = &'a [RecordId]>, truth: &[Vec<RecordId>]) -> Self {
        let things = truth.iter().enumerate().flat_map(|(thing, ids)| ids.iter().map(move |id| (*id, thing)));
        let thing_of: std::collections::HashMap<RecordId, usize> = things.collect();
        let mut score = Self::default();
        for group in found {
            for (at, one) in group.iter().enumerate() {
                for other in group.iter().skip(at + 1) {
                    let same = thing_of.get(one).is_some_and(|thing| thing_of.get(other) == Some(thing));
                    *(if same { &mut score.right } else { &mut score.wrong }) += 1;
                }
            }
        }
        let pairs = truth.iter().map(|ids| (ids.len() * ids.len().saturating_sub(1) / 2) as u64);
        score.missed = pairs.sum::<u64>().saturating_sub(score.right);
        score
    }

    /// Of the pairs united, the share that is truly one.
    pub fn precision(&self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    /// Of the pairs that are one, the share that was united.
    pub fn recall(&self) -> f64 {
        share(self.right, self.right + self.missed)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Where a record comes from, when it came, and whether it is still there.
#[derive(Clone, Debug)]
struct Origin {
    realm: Realm,
    kind: Kind,
    external: String,
    /// Days before the present at which it was made.
    made: i64,
    /// Whether the provider says when it was made.
    dated: bool,
    gone: bool,
}

impl Origin {
    fn new(realm: &str, kind: Kind, external: impl Into<String>, made: i64) -> Self {
        Self { realm: Realm::from_text(realm), kind, external: external.into(), made, dated: true, gone: false }
    }

    fn gone(mut self, gone: bool) -> Self {
        self.gone = gone;
        self
    }

    fn undated(mut self) -> Self {
        self.dated = false;
        self
    }
}

/// What makes the organisation.
struct Maker {
    dice: Dice,
    corpus: Corpus,
    entities: u32,
    made: u64,
}

impl Maker {
    /// A new real thing.
    fn thing(&mut self) -> u32 {
        self.entities += 1;
        self.entities
    }

    /// Somebody who is still there, to answer for something.
    fn owner(&mut self) -> Option<u32> {
        let most = self.corpus.people.len() as u64;
        let picked = self.dice.below(most) as u32;
        let there = |at: u32| self.corpus.people.get(at as usize).is_some_and(|it| !it.left);
        (picked..most as u32).chain(0..picked).find(|at| there(*at))
    }

    fn email_of(&self, person: Option<u32>) -> Option<String> {
        Some(self.corpus.people.get(person? as usize)?.email.clone())
    }

    /// Puts a record into the inventory.
    fn put(&mut self, origin: Origin, name: &str, (facts, truth): (Facts, Truth)) {
        self.put_of(origin, name, None, (facts, truth));
    }

    /// Puts a record that authenticates as an identity into the inventory.
    fn put_of(&mut self, origin: Origin, name: &str, identity: Option<Key>, (facts, truth): (Facts, Truth)) {
        self.made += 1;
        // Looked at daily since a year ago: what is older was met in the first run.
        let seen_ago = origin.made.min(365);
        let (first_seen, made) = (NOW - Span::days(seen_ago), NOW - Span::days(origin.made));
        let mut facts = facts.with(field::NAME, name.to_owned());
        facts.set(field::CREATED_AT, if origin.dated { Reading::Known(made) } else { Reading::NotReported });
        let scope = origin.realm.as_str().bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
        let said = Statement {
            scope: ScopeNo(scope),
            part: PartId::WHOLE,
            as_of: first_seen,
            recorded: first_seen,
            standing: if origin.gone { Standing::Gone(Because::Told) } else { Standing::Seen },
            facts,
        };
        let record = Record {
            id: record_id(first_seen, self.made),
            kind: origin.kind,
            realm: origin.realm,
            externals: vec![origin.external],
            container: identity.clone(),
            identity,
            first_seen,
            baseline: origin.made >= 365,
            statements: vec![said],
        };
        self.corpus.records.push(Labelled { record, truth });
    }
}

/// Laid out as a UUIDv7: the milliseconds first, then what makes it unique.
fn record_id(at: Time, number: u64) -> RecordId {
    let millis = (at.as_micros() / 1000).unsigned_abs().to_be_bytes();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(millis.into_iter().skip(2).chain([0x70, 0]).chain(number.to_be_bytes())) {
        *to = from;
    }
    RecordId::from_bytes(bytes)
}

impl Dice {
    fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below((most - least + 1).unsigned_abs()).cast_signed()
    }

    /// So many hexadecimal digits.
    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.below(16) as u32, 16).unwrap_or('0')).collect()
    }

    /// A random UUID.
    fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|digits| self.hex(digits)).join("-")
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = self.below(from.len() as u64) as usize;
        from.get(at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_organisation_of_many_systems() {
        let (one, again, other) = (Corpus::of(1), Corpus::of(1), Corpus::of(2));
        let records = |corpus: &Corpus| corpus.records.iter().map(|it| it.record.clone()).collect::<Vec<_>>();
        assert_eq!(records(&one), records(&again));
        assert_ne!(records(&one), records(&other));
        assert!(one.records.len() >= 5000, "{}", one.records.len());
        let systems: BTreeSet<&str> = one.records.iter().map(|it| it.record.realm.provider()).collect();
        assert_eq!(
            systems.into_iter().collect::<Vec<_>>(),
            ["aws", "entra", "github", "host", "jira", "kubernetes", "okta", "openbao"]
        );
        let ids: BTreeSet<RecordId> = one.records.iter().map(|it| it.record.id).collect();
        assert_eq!(ids.len(), one.records.len());
    }

    #[test]
    fn a_score_counts_pairs() {
        let id = |byte: u8| RecordId::from_bytes([byte; 16]);
        let truth = vec![vec![id(1), id(2), id(3)], vec![id(4), id(5)]];
        let found: [Vec<RecordId>; 2] = [vec![id(1), id(2)], vec![id(3), id(4)]];
        let score = Score::of(found.iter().map(Vec::as_slice), &truth);
        assert_eq!(score, Score { right: 1, wrong: 1, missed: 3 });
        assert_eq!((score.precision(), score.recall()), (0.5, 0.25));
    }
}
