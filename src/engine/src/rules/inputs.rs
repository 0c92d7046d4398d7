//! What a change of one record means for the rules: whom it concerns, by what each rule declared to read.
//! It must never answer "nobody" where a rule could come to another verdict.

use std::sync::LazyLock;

use provost_model::{Attr, FieldSet, Key, Kind, PartId, Reading, Record, ScopeNo, Standing, Statement, field};

use super::{ALL, Beside, Neighbour, Rule, view::OF_PLACES};
use crate::{own, severity};

/// What is different about a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Attributes of which something else is believed.
    pub fields: FieldSet,
    /// It has other names.
    pub named: bool,
    /// Others speak of it or are believed, or those who do hold something else of it.
    pub spoken: bool,
    /// Among what is believed by another's word is something of which a rule asks how fresh it is of a credential beside its
    /// subject.
    pub aged: bool,
    /// It appeared, is there otherwise than it was, or is somebody else's.
    pub whole: bool,
    /// Something of it was said anew, so that statements are of another time.
    pub dated: bool,
    /// What it is tied to no more.
    pub former: Option<Box<Former>>,
}

/// What a record was tied to before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Former {
    /// As whom it authenticated.
    pub identities: Vec<Key>,
    /// The values by which places of one secret recognise each other.
    pub marks: Vec<String>,
}

/// What a record that changed is to a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// The subject.
    Itself,
    /// The identity it authenticates as.
    Identity,
    /// Another credential of the same identity.
    Sibling,
    /// One of its credentials.
    Credential,
    /// A place of the same secret.
    Twin,
}

/// Attributes of siblings and credentials of which a rule asks how fresh they are.
static OF_AGE: LazyLock<FieldSet> = LazyLock::new(|| {
    let declared = ALL.iter().flat_map(|rule| [Neighbour::Siblings, Neighbour::Credentials].map(|it| rule.of(it)));
    declared.flatten().fold(FieldSet::EMPTY, |all, it| all.and(it.dated))
});

/// Attributes by which places of one secret recognise each other.
const MARKS: [Attr<String>; 3] = [field::FINGERPRINT, field::KEY_ID, field::OPENS];
const OF_MARKS: FieldSet = FieldSet::of(&[field::FINGERPRINT.field(), field::KEY_ID.field(), field::OPENS.field()]);

impl News {
    /// Everything may be different.
    pub fn everything() -> Self {
        let fields = FieldSet::ALL;
        Self { fields, named: true, spoken: true, aged: true, whole: true, dated: true, former: None }
    }

    /// What differs between a record and what it was; `None` if it appeared.
    pub fn between(before: Option<&Record>, after: &Record) -> Self {
        let Some(before) = before else { return Self::everything() };
        let speakers = |it: &Record| -> Vec<_> { it.statements.iter().map(by_whom).collect() };
        let dates = |it: &Record| -> Vec<_> { it.statements.iter().map(|said| said.as_of).collect() };
        let whole = before.identity != after.identity || before.presence() != after.presence();
        let all = [before, after].into_iter().flat_map(|it| &it.statements).flat_map(|said| said.facts.iter());
        let (mut compared, mut fields) = (FieldSet::EMPTY, FieldSet::EMPTY);
        let (mut spoken, mut aged) = (speakers(before) != speakers(after), false);
        for (field, _) in all {
            if compared.has(field) {
                continue;
            }
            compared = compared.with(field);
            let (was, is) = (before.said(field), after.said(field));
            if was.map(|(reading, _)| reading) != is.map(|(reading, _)| reading) {
                fields = fields.with(field);
            } else if was.map(|(_, said)| by_whom(said)) != is.map(|(_, said)| by_whom(said)) {
                spoken = true;
                aged |= OF_AGE.has(field);
            }
        }
        let former = Former {
            identities: before.identity.iter().filter(|it| after.identity.as_ref() != Some(*it)).cloned().collect(),
            marks: MARKS.into_iter().filter_map(|attr| given_up(before, after, attr)).collect(),
        };
        let former = (former != Former::default()).then(|| Box::new(former));
        let (named, dated) = (before.externals != after.externals, dates(before) != dates(after));
        Self { fields, named, spoken, aged, whole, dated, former }
    }

    /// Whether it is other than it was, or believed by another's word, whatever its attributes are.
    pub fn is_other(&self) -> bool {
        self.whole || self.named || self.spoken
    }

    /// Takes in what became different afterwards.
    pub fn add(&mut self, later: News) {
        self.fields = self.fields.and(later.fields);
        self.named |= later.named;
        self.spoken |= later.spoken;
        self.aged |= later.aged;
        self.whole |= later.whole;
        self.dated |= later.dated;
        if let Some(former) = later.former {
            let known = self.former.get_or_insert_default();
            known.identities.extend(former.identities);
            known.marks.extend(former.marks);
        }
    }
}

/// Which statement it is, and how it stands: what is not seen any more is as old as it is, whoever vouched for it.
fn by_whom(said: &Statement) -> (ScopeNo, PartId, Standing) {
    (said.scope, said.part, said.standing)
}

fn given_up(before: &Record, after: &Record, attr: Attr<String>) -> Option<String> {
    let Reading::Known(mark) = before.text(attr) else { return None };
    (after.text(attr) != Reading::Known(mark)).then(|| mark.to_owned())
}

impl Rule {
    /// What it asks of a record that stands so to its subject.
    fn inputs(&self, relation: Relation) -> Inputs {
        let owned = self.of(Neighbour::Owner).map(|_| own::RESTS_ON);
        let reads = |neighbour| self.of(neighbour).map(|it| it.reads);
        match relation {
            Relation::Itself => {
                let places = self.of(Neighbour::SameSecret).map_or(FieldSet::EMPTY, |_| OF_PLACES.and(OF_MARKS));
                let reads = self.reads.and(severity::RESTS_ON).and(places).and(owned.unwrap_or_default());
                Inputs { dates: self.dates, ..Inputs::whatever(Some(reads)) }
            }
            Relation::Identity => {
                let declared = reads(Neighbour::Identity).map(|reads| reads.and(severity::RESTS_ON));
                let both = declared.into_iter().chain(owned).reduce(FieldSet::and);
                Inputs::whatever(both)
            }
            Relation::Sibling => Inputs::declared(self.of(Neighbour::Siblings)),
            Relation::Credential => Inputs::declared(self.of(Neighbour::Credentials)),
            Relation::Twin => {
                Inputs::whatever(reads(Neighbour::SameSecret).map(|reads| reads.and(OF_PLACES).and(OF_MARKS)))
            }
        }
    }

    /// Whether news of a record that stands so to a subject may lead to another verdict about it.
    pub fn concerned(&self, relation: Relation, news: &News) -> bool {
        self.inputs(relation).are_met(news)
    }

    /// Whether it goes by how fresh a reading of a record is that stands so to its subject.
    fn asks_freshness(&self, relation: Relation) -> bool {
        self.inputs(relation).looked_at
    }
}

/// What a rule, or all about a kind, ask of a record that stands so to the subject.
#[derive(Clone, Copy, Debug, Default)]
struct Inputs {
    looked_at: bool,
    reads: FieldSet,
    /// Whether they ask how fresh something is.
    age: bool,
    /// Whether they go by its names.
    names: bool,
    /// Whether they go by who speaks of it and is believed. Of credentials nobody does but who waits for a later reading of them,
    /// who is judged again with whatever is said anew.
    speakers: bool,
    dates: bool,
}

const RELATIONS: [Relation; 5] =
    [Relation::Itself, Relation::Identity, Relation::Sibling, Relation::Credential, Relation::Twin];

static INPUTS: LazyLock<Vec<[Inputs; 5]>> = LazyLock::new(|| {
    let kinds = (0..=u8::MAX).map_while(Kind::from_code);
    kinds.map(|kind| RELATIONS.map(|relation| inputs(kind, relation))).collect()
});

fn inputs(kind: Kind, relation: Relation) -> Inputs {
    Rule::about(kind).iter().map(|rule| rule.inputs(relation)).fold(Inputs::default(), Inputs::and)
}

/// What all rules read, whatever their subject.
static OF_ALL: LazyLock<[Inputs; 5]> = LazyLock::new(|| {
    RELATIONS.map(|relation| INPUTS.iter().map(|all| of_relation(all, relation)).fold(Inputs::default(), Inputs::and))
});

fn of_relation(all: &[Inputs; 5], relation: Relation) -> Inputs {
    let place = RELATIONS.iter().position(|it| *it == relation);
    place.and_then(|place| all.get(place)).copied().unwrap_or_default()
}

impl Inputs {
    /// These attributes, and whatever else there is of a record; nothing if it is not looked at.
    fn whatever(reads: Option<FieldSet>) -> Self {
        let Some(reads) = reads else { return Self::default() };
        Self { looked_at: true, reads, age: true, names: true, speakers: true, dates: false }
    }

    /// What was declared of a neighbour, and nothing else of it but whether it is there.
    fn declared(beside: Option<Beside>) -> Self {
        let Some(Beside { who: _, reads, dated, named }) = beside else { return Self::default() };
        Self { looked_at: true, reads, age: !dated.is_empty(), names: named, ..Self::default() }
    }

    fn and(self, other: Self) -> Self {
        Self {
            looked_at: self.looked_at || other.looked_at,
            reads: self.reads.and(other.reads),
            age: self.age || other.age,
            names: self.names || other.names,
            speakers: self.speakers || other.speakers,
            dates: self.dates || other.dates,
        }
    }

    fn are_met(self, news: &News) -> bool {
        let looked_at = self.looked_at
            && (news.whole
                || self.reads.meets(news.fields)
                || self.age && news.aged
                || self.names && news.named
                || self.speakers && news.spoken);
        looked_at || self.dates && news.dated
    }
}

/// Whether any rule about that kind of subject may come to another verdict by news of a record that stands so to it.
pub fn concerned(kind: Kind, relation: Relation, news: &News) -> bool {
    let of_kind = INPUTS.get(usize::from(kind.code()));
    of_kind.is_some_and(|all| of_relation(all, relation).are_met(news))
}

/// The same of subjects of any kind.
pub fn anybody_concerned(relation: Relation, news: &News) -> bool {
    of_relation(&OF_ALL, relation).are_met(news)
}

/// Whether a subject of that kind that waits for a later reading may have it by a new statement about a record that stands
/// so to it.
pub fn dates_matter(kind: Kind, relation: Relation) -> bool {
    Rule::about(kind).iter().any(|rule| rule.asks_freshness(relation))
}

#[cfg(test)]
mod declared;
#[cfg(test)]
mod tests;
