//! What a change of one record means for the rules: whom it concerns, by what each rule declared to read.
//! It must never answer "nobody" where a rule could come to another verdict.

use std::sync::LazyLock;

use provost_model::{Attr, Field, FieldSet, Key, Kind, PartId, Reading, Record, ScopeNo, Standing, Value, field};

use super::{Neighbour, Rule, view::OF_PLACES};
use crate::{own, severity};

/// What is different about a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Attributes of which something else is believed, or the same by another's word.
    pub fields: FieldSet,
    /// It appeared, or other than attributes is different: presence, names, links, who speaks of it and what they hold.
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

/// Attributes by which places of one secret recognise each other.
const MARKS: [Attr<String>; 3] = [field::FINGERPRINT, field::KEY_ID, field::OPENS];
const OF_MARKS: FieldSet = FieldSet::of(&[field::FINGERPRINT.field(), field::KEY_ID.field(), field::OPENS.field()]);

impl News {
    /// Everything may be different.
    pub fn everything() -> Self {
        Self { fields: FieldSet::ALL, whole: true, dated: true, former: None }
    }

    /// What differs between a record and what it was; `None` if it appeared.
    pub fn between(before: Option<&Record>, after: &Record) -> Self {
        let Some(before) = before else { return Self::everything() };
        let spoken = |it: &Record| -> Vec<(ScopeNo, PartId, Standing)> {
            it.statements.iter().map(|said| (said.scope, said.part, said.standing)).collect()
        };
        let dates = |it: &Record| -> Vec<_> { it.statements.iter().map(|said| said.as_of).collect() };
        let whole =
            before.externals != after.externals || before.identity != after.identity || spoken(before) != spoken(after);
        let all = [before, after].into_iter().flat_map(|it| &it.statements).flat_map(|said| said.facts.iter());
        let (mut compared, mut fields) = (FieldSet::EMPTY, FieldSet::EMPTY);
        for (field, _) in all {
            if compared.has(field) {
                continue;
            }
            compared = compared.with(field);
            if told(before, field) != told(after, field) {
                fields = fields.with(field);
            }
        }
        let former = Former {
            identities: before.identity.iter().filter(|it| after.identity.as_ref() != Some(*it)).cloned().collect(),
            marks: MARKS.into_iter().filter_map(|attr| given_up(before, after, attr)).collect(),
        };
        let former = (former != Former::default()).then(|| Box::new(former));
        Self { fields, whole, dated: dates(before) != dates(after), former }
    }

    /// Takes in what became different afterwards.
    pub fn add(&mut self, later: News) {
        self.fields = self.fields.and(later.fields);
        self.whole |= later.whole;
        self.dated |= later.dated;
        if let Some(former) = later.former {
            let known = self.former.get_or_insert_default();
            known.identities.extend(former.identities);
            known.marks.extend(former.marks);
        }
    }
}

/// What is believed of an attribute, and who says so.
fn told(record: &Record, field: Field) -> Option<(Reading<&Value>, ScopeNo, PartId)> {
    record.said(field).map(|(reading, said)| (reading, said.scope, said.part))
}

fn given_up(before: &Record, after: &Record, attr: Attr<String>) -> Option<String> {
    let Reading::Known(mark) = before.text(attr) else { return None };
    (after.text(attr) != Reading::Known(mark)).then(|| mark.to_owned())
}

impl Rule {
    /// What it reads of a record that stands so to its subject; `None` if it does not look at it.
    fn reads_of(&self, relation: Relation) -> Option<FieldSet> {
        let owned = self.of(Neighbour::Owner).map(|_| own::RESTS_ON);
        match relation {
            Relation::Itself => {
                let places = self.of(Neighbour::SameSecret).map_or(FieldSet::EMPTY, |_| OF_PLACES.and(OF_MARKS));
                Some(self.reads.and(severity::RESTS_ON).and(places).and(owned.unwrap_or_default()))
            }
            Relation::Identity => {
                let declared = self.of(Neighbour::Identity).map(|reads| reads.and(severity::RESTS_ON));
                match (declared, owned) {
                    (None, None) => None,
                    (declared, owned) => Some(declared.unwrap_or_default().and(owned.unwrap_or_default())),
                }
            }
            Relation::Sibling => self.of(Neighbour::Siblings),
            Relation::Credential => self.of(Neighbour::Credentials),
            Relation::Twin => self.of(Neighbour::SameSecret).map(|reads| reads.and(OF_PLACES).and(OF_MARKS)),
        }
    }

    /// Whether news of a record that stands so to a subject may lead to another verdict about it.
    pub fn concerned(&self, relation: Relation, news: &News) -> bool {
        let dated = self.dates && news.dated && relation == Relation::Itself;
        dated || self.reads_of(relation).is_some_and(|reads| news.whole || reads.meets(news.fields))
    }

    /// Whether it goes by how fresh a reading of a record is that stands so to its subject.
    fn asks_freshness(&self, relation: Relation) -> bool {
        relation == Relation::Itself || self.reads_of(relation).is_some()
    }
}

/// What all rules about a kind read of a record that stands so to the subject.
#[derive(Clone, Copy, Debug, Default)]
struct Inputs {
    looked_at: bool,
    reads: FieldSet,
    dates: bool,
}

const RELATIONS: [Relation; 5] =
    [Relation::Itself, Relation::Identity, Relation::Sibling, Relation::Credential, Relation::Twin];

static INPUTS: LazyLock<Vec<[Inputs; 5]>> = LazyLock::new(|| {
    let kinds = (0..=u8::MAX).map_while(Kind::from_code);
    kinds.map(|kind| RELATIONS.map(|relation| inputs(kind, relation))).collect()
});

fn inputs(kind: Kind, relation: Relation) -> Inputs {
    let of_rule = |rule: &&Rule| {
        let reads = rule.reads_of(relation);
        let dates = rule.dates && relation == Relation::Itself;
        Inputs { looked_at: reads.is_some(), reads: reads.unwrap_or_default(), dates }
    };
    Rule::about(kind).iter().map(of_rule).fold(Inputs::default(), Inputs::and)
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
    fn and(self, other: Self) -> Self {
        Self {
            looked_at: self.looked_at || other.looked_at,
            reads: self.reads.and(other.reads),
            dates: self.dates || other.dates,
        }
    }

    fn are_met(self, news: &News) -> bool {
        (self.dates && news.dated) || (self.looked_at && (news.whole || self.reads.meets(news.fields)))
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
