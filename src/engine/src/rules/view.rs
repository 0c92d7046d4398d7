//! The only door through which a rule sees anything: what it declared, and nothing else.
//! It must never hand out a field or neighbour that the rule did not declare.

use std::collections::BTreeMap;

use provost_model::{
    Attr, Believed, Field, FieldSet, Key, Kind, Owner, PartId, Reading, Realm, Record, RecordId, ScopeNo, Standing,
    Statement, Status, Time, field, field::Typed,
};

use super::{Beside, Exposure, Neighbour, Rule, exposure::OF_EXPOSURE};
use crate::{
    environment::environment_of,
    severity::{self, Raiser},
};

/// A record with its neighbourhood, as the daemon loads it. What a rule did not declare need not be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The record to be judged.
    pub record: &'a Record,
    /// For a credential: the record it authenticates as, if it is in the inventory.
    pub identity: Option<&'a Record>,
    /// For a credential: the credentials of the same identity; it may be among them itself.
    pub siblings: &'a [Record],
    /// For an identity: its credentials.
    pub credentials: &'a [Record],
    /// Other records with the same fingerprint or key id, wherever they are.
    pub places: &'a [Place],
    /// Who answers for it.
    pub owner: Option<&'a Owner>,
    /// How far every scope that speaks of any of these records was read, in the order of scopes.
    pub covers: &'a [Covered<'a>],
}

/// How far a scope, or a part of one, is vouched for: what its statements say still stood at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered<'a> {
    /// Which scope.
    pub scope: ScopeNo,
    /// Which part of it; [`PartId::WHOLE`] vouches for every part.
    pub part: PartId,
    /// The provider's time of the last complete cover: full, delta or unchanged. [`Covered::NEVER`] before the first.
    pub as_of: Time,
    /// The name of the source that reads it.
    pub source: &'a str,
    /// The scope's path.
    pub path: &'a str,
}

/// A record that shares a secret with the subject, reduced to what a rule may ask of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The record.
    pub id: RecordId,
    /// What sort of thing it is.
    pub kind: Kind,
    /// The system it is in.
    pub realm: Realm,
    /// Its external id.
    pub external: String,
    /// Where it is kept, if it is a place where a value is kept.
    pub location: Option<String>,
    /// As whom it authenticates.
    pub identity: Option<Key>,
    /// The user whose file it is.
    pub file_owner: Option<String>,
    /// Prod, staging, dev … where a tag or configuration says so.
    pub environment: Option<String>,
    /// Whether the secret part is there, not only the public one.
    pub holds_secret: bool,
    /// What sort of place it is, if it is one where values are kept.
    pub store_kind: Option<String>,
    /// What was reported of the value, if this is such a report.
    pub exposure: Option<Exposure>,
}

/// A subject as one rule may see it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    subject: &'a Subject<'a>,
    believed: &'a Believed<'a>,
    rule: &'static Rule,
    /// Whether words are wanted beside the verdict.
    speaks: bool,
}

/// A neighbour as one rule may see it.
#[derive(Clone, Copy, Debug)]
pub struct Near<'a> {
    record: &'a Record,
    subject: &'a Subject<'a>,
    declared: Beside,
}

/// The sort of store that keeps settings of CI in plain sight.
pub(super) const VARIABLE: &str = "variable";

/// Attributes of a record that a [`Place`] is made of.
pub(super) const OF_PLACES: FieldSet = FieldSet::of(&[
    field::LOCATION.field(),
    field::FILE_OWNER.field(),
    field::ENVIRONMENT.field(),
    field::TAGS.field(),
    field::PLAINTEXT.field(),
    field::PASSPHRASE.field(),
    field::STORE_KIND.field(),
])
.and(OF_EXPOSURE);

impl Covered<'_> {
    /// Before any complete reading.
    pub const NEVER: Time = Time::from_micros(i64::MIN);
}

impl Place {
    /// What there is to say of a record that shares a secret with others.
    pub fn of(record: &Record) -> Self {
        Self {
            id: record.id,
            kind: record.kind,
            realm: record.realm.clone(),
            external: record.external().to_owned(),
            location: record.get(field::LOCATION).known(),
            identity: record.identity.clone(),
            file_owner: record.get(field::FILE_OWNER).known(),
            environment: environment_of(record).map(|it| it.name),
            holds_secret: holds_secret(record),
            store_kind: record.get(field::STORE_KIND).known(),
            exposure: Exposure::of(record),
        }
    }
}

/// Whether a record lies in a file of a host: other places, such as repositories, are called without a leading slash.
pub fn is_in_file(record: &Record) -> bool {
    record.text(field::LOCATION).known().is_some_and(|place| place.starts_with('/'))
}

/// Whether a record is an item of a store that hands out its value but does not show it, such as a secret of CI: neither
/// a setting beside one, nor a report of an exposure.
fn is_item(record: &Record) -> bool {
    let store = record.text(field::STORE_KIND).known();
    record.kind == Kind::Secret && store.is_some_and(|it| it != VARIABLE) && !record.get(field::LEAK).is_answered()
}

/// Whether the secret part of a credential is in the place of this record: a readable value, or a private key file,
/// encrypted or not. References, public keys and certificates hold none.
pub fn holds_secret(record: &Record) -> bool {
    record.get(field::PLAINTEXT) == Reading::Known(true) || record.get(field::PASSPHRASE).is_answered()
}

impl<'a> Subject<'a> {
    /// A record without any neighbourhood.
    pub fn alone(record: &'a Record) -> Self {
        Self { record, identity: None, siblings: &[], credentials: &[], places: &[], owner: None, covers: &[] }
    }

    /// How fresh a statement is: what it says stood at its own time, and at every later one at which its scope was
    /// read completely and still held the record.
    pub fn freshness(&self, said: &Statement) -> Time {
        if said.standing != Standing::Seen {
            return said.as_of;
        }
        let vouching = self.covers_of(said.scope).iter();
        let vouching = vouching.filter(|it| it.part == PartId::WHOLE || it.part == said.part);
        vouching.map(|it| it.as_of).fold(said.as_of, Time::max)
    }

    /// How fresh a reading of a record of this neighbourhood is; `None` if nothing is said of it.
    pub fn as_of(&self, record: &Record, field: Field) -> Option<Time> {
        record.said(field).map(|(_, said)| self.freshness(said))
    }

    /// Names of the sources that speak of the record.
    pub fn sources(&self) -> impl Iterator<Item = &'a str> {
        self.record.statements.iter().flat_map(|said| self.covers_of(said.scope)).map(|it| it.source)
    }

    fn covers_of(&self, scope: ScopeNo) -> &'a [Covered<'a>] {
        covers_of(self.covers, scope)
    }
}

/// Those of one scope among covers in the order of scopes.
pub(crate) fn covers_of<'a, 'b>(covers: &'b [Covered<'a>], scope: ScopeNo) -> &'b [Covered<'a>] {
    let from = covers.partition_point(|it| it.scope < scope);
    let rest = covers.get(from..).unwrap_or_default();
    rest.get(..rest.partition_point(|it| it.scope == scope)).unwrap_or_default()
}

impl<'a> View<'a> {
    /// The subject as that rule may see it.
    pub fn new(subject: &'a Subject<'a>, believed: &'a Believed<'a>, rule: &'static Rule) -> Self {
        Self { subject, believed, rule, speaks: true }
    }

    /// The same for a rule that is asked for its verdict alone.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self { speaks: false, ..self }
    }

    /// These words, if words are wanted.
    pub fn says(&self, words: impl FnOnce() -> String) -> String {
        if self.speaks { words() } else { String::new() }
    }

    /// The subject's id.
    pub fn id(&self) -> RecordId {
        self.subject.record.id
    }

    /// What sort of thing the subject is.
    pub fn kind(&self) -> Kind {
        self.subject.record.kind
    }

    /// The authority that names it.
    pub fn realm(&self) -> &'a Realm {
        &self.subject.record.realm
    }

    /// Its main external id.
    pub fn external(&self) -> &'a str {
        self.subject.record.external()
    }

    /// Whether it is said to authenticate as some identity, loaded or not.
    pub fn has_identity(&self) -> bool {
        self.subject.record.identity.is_some()
    }

    /// The key of the identity it authenticates as.
    pub fn identity_key(&self) -> Option<&'a Key> {
        self.subject.record.identity.as_ref()
    }

    /// When it was first committed.
    pub fn first_seen(&self) -> Time {
        self.subject.record.first_seen
    }

    /// Whether it was met in its source's first complete run or before.
    pub fn baseline(&self) -> bool {
        self.subject.record.baseline
    }

    /// An attribute of the subject. What the rule did not declare is [`Reading::NotCollected`].
    pub fn get<T: Typed>(&self, attr: Attr<T>) -> Reading<T> {
        if self.declared(attr.field()) { self.believed.get(attr) } else { Reading::NotCollected }
    }

    /// The same of an attribute that is a text.
    pub fn text(&self, attr: Attr<String>) -> Reading<&'a str> {
        if self.declared(attr.field()) { self.believed.text(attr) } else { Reading::NotCollected }
    }

    /// The same of an attribute that is a list.
    pub fn list(&self, attr: Attr<Vec<String>>) -> Reading<&'a [String]> {
        if self.declared(attr.field()) { self.subject.record.list(attr) } else { Reading::NotCollected }
    }

    /// The tags of the subject, if declared.
    pub fn tags(&self) -> Reading<&'a BTreeMap<String, String>> {
        if self.declared(field::TAGS.field()) { self.subject.record.pairs(field::TAGS) } else { Reading::NotCollected }
    }

    /// Whether an attribute of the subject is known.
    pub fn knows<T>(&self, attr: Attr<T>) -> bool {
        let field = attr.field();
        self.declared(field) && matches!(self.believed.reading(field), Reading::Known(_))
    }

    /// How fresh the reading of a declared attribute is; the record's own time if nothing is said of it.
    pub fn as_of(&self, field: Field) -> Time {
        let said = if self.declared(field) { self.believed.said(field) } else { None };
        said.map_or_else(|| self.seen_as_of(), |(_, said)| self.subject.freshness(said))
    }

    /// How fresh the statement is that the subject exists at all.
    pub fn seen_as_of(&self) -> Time {
        let seen = self.subject.record.statements.iter().map(|said| self.subject.freshness(said)).max();
        seen.unwrap_or(self.subject.record.first_seen)
    }

    /// Since when, at the latest, a declared attribute has been said to be as it is: the statement's own time. Only for
    /// rules that declare dates.
    pub fn said_at(&self, field: Field) -> Option<Time> {
        if !self.rule.dates || !self.declared(field) {
            return None;
        }
        self.believed.said(field).map(|(_, said)| said.as_of)
    }

    /// Whether it works at that time. Needs `status` and `expires_at` declared.
    pub fn status(&self, now: Time) -> Status {
        let declared = self.declared(field::STATUS.field()) && self.declared(field::EXPIRES_AT.field());
        if declared { self.believed.status(now) } else { Status::Unknown }
    }

    /// The record it authenticates as, if declared and in the inventory.
    pub fn identity(&self) -> Option<Near<'a>> {
        let declared = self.rule.of(Neighbour::Identity)?;
        // Whoever sees it sees what it is called: it may be the root by that.
        self.subject.identity.map(|record| self.near(record, declared.named()))
    }

    /// The other credentials of its identity, if declared.
    pub fn siblings(&self) -> impl Iterator<Item = Near<'a>> + use<'a> {
        let view = *self;
        let declared = self.rule.of(Neighbour::Siblings).into_iter();
        let all =
            declared.flat_map(move |declared| view.subject.siblings.iter().map(move |it| view.near(it, declared)));
        all.filter(move |it| it.id() != view.id())
    }

    /// The credentials of this identity, if declared.
    pub fn credentials(&self) -> impl Iterator<Item = Near<'a>> + use<'a> {
        let view = *self;
        let declared = self.rule.of(Neighbour::Credentials).into_iter();
        declared.flat_map(move |declared| view.subject.credentials.iter().map(move |it| view.near(it, declared)))
    }

    /// Records with the same secret, if declared.
    pub fn places(&self) -> &'a [Place] {
        if self.may_see(Neighbour::SameSecret) { self.subject.places } else { &[] }
    }

    /// The subject itself as one of those places, if declared.
    pub fn as_place(&self) -> Option<Place> {
        self.may_see(Neighbour::SameSecret).then(|| Place::of(self.subject.record))
    }

    /// Whether the secret part is in the place of the subject, if places are declared.
    pub fn holds_secret(&self) -> bool {
        self.may_see(Neighbour::SameSecret) && holds_secret(self.subject.record)
    }

    /// The environment that the record it authenticates as says it belongs to, if declared.
    pub fn environment_of_identity(&self) -> Option<String> {
        self.whole_identity().and_then(environment_of).map(|it| it.name)
    }

    /// Whether the subject is an item of a store that does not show its value, if places are declared.
    pub fn is_item(&self) -> bool {
        self.may_see(Neighbour::SameSecret) && is_item(self.subject.record)
    }

    /// Whether the subject lies in a file of a host. Needs `location` declared.
    pub fn is_in_file(&self) -> bool {
        self.declared(field::LOCATION.field()) && is_in_file(self.subject.record)
    }

    /// Who answers for it, if declared.
    pub fn owner(&self) -> Option<&'a Owner> {
        self.subject.owner.filter(|_| self.may_see(Neighbour::Owner))
    }

    /// What makes a fault of this subject worse: rights, environment, leaks, of itself and of the identity behind it.
    /// Nothing where words are not wanted: they are told with the words.
    pub fn raisers(&self) -> Vec<Raiser> {
        if self.speaks { severity::raisers(self.subject.record, self.whole_identity()) } else { Vec::new() }
    }

    /// Whether it, or the identity behind it, holds administrator rights in production.
    pub fn is_critical(&self) -> bool {
        let both = || std::iter::once(self.subject.record).chain(self.whole_identity());
        both().any(severity::is_privileged) && both().find_map(environment_of).is_some_and(|it| it.is_prod())
    }

    /// How fresh the data are that this rule rests on: the oldest answer among the attributes it declared.
    pub fn data_as_of(&self) -> Time {
        let answered = self.rule.reads.iter().filter_map(|field| {
            let (reading, said) = self.believed.said(field)?;
            reading.is_answered().then(|| self.subject.freshness(said))
        });
        answered.min().unwrap_or_else(|| self.seen_as_of())
    }

    /// The next instant at which the subject or a neighbour stops working by itself, as far as the rule sees that.
    pub(super) fn next_end(&self, now: Time) -> Option<Time> {
        let own = self.get(field::EXPIRES_AT);
        let near = self.siblings().chain(self.credentials()).map(|it| it.get(field::EXPIRES_AT));
        near.chain([own]).filter_map(Reading::known).filter(|end| *end > now).min()
    }

    /// The next instant at which somebody else may be the owner, as far as the rule asks.
    pub(super) fn owner_until(&self, now: Time) -> Option<Time> {
        self.owner().and_then(|owner| owner.until).filter(|at| *at > now)
    }

    fn near(&self, record: &'a Record, declared: Beside) -> Near<'a> {
        Near { record, subject: self.subject, declared }
    }

    /// The identity for what severity rests on.
    fn whole_identity(&self) -> Option<&'a Record> {
        self.subject.identity.filter(|_| self.may_see(Neighbour::Identity))
    }

    fn declared(&self, field: Field) -> bool {
        self.rule.reads.has(field)
    }

    fn may_see(&self, neighbour: Neighbour) -> bool {
        self.rule.looks_at(neighbour)
    }
}

impl<'a> Near<'a> {
    /// Its id.
    pub fn id(&self) -> RecordId {
        self.record.id
    }

    /// What sort of thing it is.
    pub fn kind(&self) -> Kind {
        self.record.kind
    }

    /// The authority that names it.
    pub fn realm(&self) -> &'a Realm {
        &self.record.realm
    }

    /// Its main external id, if it is the identity or the rule declared that it calls it by that; else its kind.
    pub fn external(&self) -> &'a str {
        if self.declared.named { self.record.external() } else { self.record.kind.name() }
    }

    /// When it was first committed.
    pub fn first_seen(&self) -> Time {
        self.record.first_seen
    }

    /// An attribute of it. What the rule did not declare is [`Reading::NotCollected`].
    pub fn get<T: Typed>(&self, attr: Attr<T>) -> Reading<T> {
        if self.reads(attr.field()) { self.record.get(attr) } else { Reading::NotCollected }
    }

    /// The same of an attribute that is a text.
    pub fn text(&self, attr: Attr<String>) -> Reading<&'a str> {
        if self.reads(attr.field()) { self.record.text(attr) } else { Reading::NotCollected }
    }

    /// The same of an attribute that is a list.
    pub fn list(&self, attr: Attr<Vec<String>>) -> Reading<&'a [String]> {
        if self.reads(attr.field()) { self.record.list(attr) } else { Reading::NotCollected }
    }

    /// The name people use for it, or as [`Near::external`]. Needs `name` declared.
    pub fn name(&self) -> &'a str {
        self.text(field::NAME).known().unwrap_or_else(|| self.external())
    }

    /// Whether it works at that time. Needs `status` and `expires_at` declared.
    pub fn status(&self, now: Time) -> Status {
        let declared = self.reads(field::STATUS.field()) && self.reads(field::EXPIRES_AT.field());
        if declared { self.record.status(now) } else { Status::Unknown }
    }

    /// How fresh a reading of it is of which the rule declared that it asks; `None` if nothing is said of it.
    pub fn as_of(&self, field: Field) -> Option<Time> {
        if self.declared.dated.has(field) { self.subject.as_of(self.record, field) } else { None }
    }

    fn reads(&self, field: Field) -> bool {
        self.declared.reads.has(field)
    }
}
