//! Who is judged together, an identity with its credentials or a record by itself, and how each sees the others.
//! It must never show a subject without a neighbour that a rule about it looks at.

use std::sync::Arc;

use provost_engine::{Covered, Hearing, Judgement, Place, Rule, Subject, Thresholds, judge_case};
use provost_model::{Finding, Key, Motion, Noun, Presence, Reading, Record, RecordId, Time, field};
use provost_store::{
    CommitNo, StoreError,
    inventory::{Inventory, ScopeRow},
};

use super::{super::owners::Owners, Yardstick, covers};
use crate::worked::Worked;

/// Places of one secret that are looked at; more than that are somebody's test value.
pub(super) const PLACES_MAX: usize = 50;

/// Records that are judged together, and which of them are.
pub(super) struct Household {
    pub(super) identity: Option<Record>,
    /// Those that are there come first.
    pub(super) members: Vec<Record>,
    there: usize,
    pub(super) subjects: Vec<Loaded>,
}

/// One member to be judged, with what only it needs.
pub(super) struct Loaded {
    /// Its place among the members; `None` for the identity.
    pub(super) member: Option<usize>,
    pub(super) places: Vec<Place>,
    pub(super) findings: Vec<Finding>,
    /// What people asked for and decided about it.
    pub(super) motions: Vec<Motion>,
    /// Whether other records keep the same secret.
    pub(super) has_twins: bool,
}

/// Who is judged together: an identity and its credentials, or a record by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Together {
    Identity(Key),
    Alone(RecordId),
}

impl Together {
    /// With whom that record is judged.
    pub(super) fn with(record: &Record) -> Self {
        match &record.identity {
            Some(identity) => Self::Identity(identity.clone()),
            None if record.kind.noun() == Noun::Identity => Self::Identity(record.key()),
            None => Self::Alone(record.id),
        }
    }
}

impl Household {
    pub(super) fn of(identity: Option<Record>, mut members: Vec<Record>) -> Self {
        members.sort_by_key(|it| !is_there(it));
        let there = members.iter().take_while(|it| is_there(it)).count();
        Self { identity, members, there, subjects: Vec::new() }
    }

    /// Everybody in it, the identity first, each with its place among the members.
    pub(super) fn everybody(&self) -> impl Iterator<Item = (Option<usize>, &Record)> {
        let members = self.members.iter().enumerate().map(|(at, record)| (Some(at), record));
        self.identity.iter().map(|record| (None, record)).chain(members)
    }

    /// The member of that place.
    pub(super) fn record(&self, member: Option<usize>) -> Option<&Record> {
        match member {
            None => self.identity.as_ref(),
            Some(at) => self.members.get(at),
        }
    }

    /// Those credentials that are there.
    pub(super) fn credentials(&self) -> &[Record] {
        self.members.get(..self.there).unwrap_or_default()
    }
}

/// What judging needs, loaded once.
pub(super) struct Bench<'a> {
    pub(super) inventory: Inventory<'a>,
    /// As of which commit records, findings and words about owners are read; `None` for now. Indexes are today's.
    pub(super) at: Option<CommitNo>,
    pub(super) yardstick: &'a Yardstick,
    pub(super) covers: Vec<Covered<'a>>,
    owners: Owners<'a>,
    /// Digest of what is configured about owners.
    pub(super) owners_by: String,
    worked: Worked,
    /// Digest of what rules about cases go by.
    cases_by: String,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        inventory: Inventory<'a>,
        yardstick: &'a Yardstick,
        scopes: &'a [ScopeRow],
    ) -> Result<Self, StoreError> {
        Self::at(inventory, yardstick, scopes, None)
    }

    /// The same as of a commit (`None`: now).
    pub(super) fn at(
        inventory: Inventory<'a>,
        yardstick: &'a Yardstick,
        scopes: &'a [ScopeRow],
        at: Option<CommitNo>,
    ) -> Result<Self, StoreError> {
        let owners = Owners::new(inventory, yardstick, at)?;
        let worked = Worked::of(inventory)?;
        let (owners_by, cases_by) = (yardstick.owners_digest(), yardstick.cases_digest(&worked));
        Ok(Self { inventory, at, yardstick, covers: covers(scopes), owners, owners_by, worked, cases_by })
    }

    /// These subjects and nobody else.
    pub(super) fn only(&self, ids: &[RecordId]) -> Result<Vec<Household>, StoreError> {
        self.page(self.inventory.records(ids, self.at)?, &|_| true)
    }

    /// The figures that hold for a record.
    pub(super) fn thresholds(&self, record: &Record) -> Arc<Thresholds> {
        self.yardstick.policy.of_record(record, &self.covers)
    }

    /// Judges the case that a record's findings make, after the record itself was judged.
    pub(super) fn hear(
        &self,
        (record, motions): (&Record, &[Motion]),
        findings: &mut Vec<Finding>,
        (thresholds, now): (&Thresholds, Time),
    ) -> Judgement {
        let speaking = record.statements.iter().filter_map(|said| {
            let at = self.covers.binary_search_by_key(&said.scope, |it| it.scope).ok();
            at.and_then(|at| self.covers.get(at)).map(|it| it.source)
        });
        let waits = findings.iter().any(|it| it.baseline);
        let hearing = Hearing {
            subject: record.id,
            external_id: record.external(),
            source: None,
            presence: record.presence(),
            motions,
            worked: if waits { self.worked.since(speaking) } else { None },
            governance: &self.yardstick.governance,
            by: &self.cases_by,
        };
        judge_case(findings, &hearing, thresholds, now)
    }

    /// Shows one member with its neighbourhood. Who answers for it is found out only where a rule asks, or `wholly`.
    pub(super) fn show(
        &self,
        household: &Household,
        loaded: &Loaded,
        (wholly, now): (bool, Time),
        look: &mut dyn FnMut(&Subject<'_>),
    ) -> Result<(), StoreError> {
        let Some(record) = household.record(loaded.member) else { return Ok(()) };
        let identity = loaded.member.and(household.identity.as_ref());
        let (siblings, credentials): (&[Record], &[Record]) = match loaded.member {
            Some(_) => (household.credentials(), &[]),
            None => (&[], household.credentials()),
        };
        let asked = wholly || Rule::asks_owner(record.kind, record.identity.is_some());
        let owner = if asked { self.owners.of(record, identity, now)? } else { None };
        look(&Subject {
            record,
            identity,
            siblings,
            credentials,
            places: &loaded.places,
            owner: owner.as_ref(),
            covers: &self.covers,
        });
        Ok(())
    }
}

/// The values by which places of one secret recognise each other.
pub(super) fn marks(record: &Record) -> Vec<&str> {
    let mut marks: Vec<&str> = Vec::new();
    for attr in [field::FINGERPRINT, field::KEY_ID, field::OPENS] {
        if let Reading::Known(mark) = record.text(attr) {
            marks.push(mark);
        }
    }
    marks
}

pub(super) fn is_there(record: &Record) -> bool {
    matches!(record.presence(), Presence::Present | Presence::Missing)
}
