//! The catalogue of faults: one file per rule, each describing itself and judging one subject.
//! It must never let a rule see what it did not declare, ask the time, or, unless it is about cases, know of another's findings.

use std::sync::LazyLock;

use provost_model::{Believed, Field, FieldSet, Kind, Severity, Time};

mod ai_agent_ungov;
mod auth_legacy;
mod auth_no_binding;
mod case;
mod cfg_plaintext_store;
mod cred_age;
mod cred_expired_left;
mod cred_expiring;
mod cred_expiry_far;
mod cred_inactive_left;
mod cred_leaked;
mod cred_multi_active;
mod cred_never;
mod cred_no_expiry;
mod cred_reused;
mod cred_reused_xenv;
mod cred_rotation_off;
mod cred_rotation_stuck;
mod cred_stale;
mod cred_usage_unknown;
mod cred_weak_key;
mod exposure;
mod id_idle;
mod id_orphan_consumer;
mod inputs;
mod life;
mod lists;
mod own_left;
mod own_moved;
mod own_none;
mod priv_admin;
mod priv_escalate;
mod priv_scope_broad;
mod priv_unused;
mod root_key;
#[cfg(test)]
pub(crate) mod sample;

#[cfg(test)]
pub(crate) use case::sample::fault;
mod source;
mod store_room;
mod trust_external;
mod trust_oidc_loose;
mod verdict;
mod view;
mod who;

pub use case::{CaseFile, is_about_cases};
pub use exposure::Exposure;
pub(crate) use exposure::OF_EXPOSURE;
pub use inputs::{Former, News, Relation, anybody_concerned, concerned, dates_matter};
pub use source::{Held, ScopeView, SourceView};
pub use store_room::StoreView;
pub use verdict::{Because, Lack, Outcome, Verdict, Why};
pub(crate) use view::covers_of;
pub use view::{Covered, Near, Place, Subject, View, holds_secret, is_in_file};

use crate::thresholds::Thresholds;

/// One rule: what it is about, what it needs, and how it judges.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its pinned id, such as `CRED-STALE`.
    pub id: &'static str,
    /// Grows whenever the same data would lead to another verdict.
    pub version: u32,
    /// How bad, before anything raises it.
    pub severity: Severity,
    /// The fault in a few words.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Framework ids.
    pub frameworks: Mapping,
    /// Kinds of records it judges; empty for rules about sources, the store and cases.
    pub needs: &'static [Kind],
    /// Attributes of the subject it reads, beside those that severity rests on (rights, environment, policies, tags) and,
    /// with [`Neighbour::SameSecret`], those of a [`Place`].
    pub reads: FieldSet,
    /// Neighbours it looks at, and what it reads of each. A change of that asks for a new verdict, and nothing else does.
    pub neighbours: &'static [Beside],
    /// Whether it asks since when something has been said, not only what: then every new statement is news.
    pub dates: bool,
    /// Figures of [`Thresholds`] it compares with, by name.
    pub figures: &'static [&'static str],
    /// How it judges.
    pub check: Check,
}

/// A verdict; `Err` is one reached before the rule's own question was asked: not active, in grace, not known.
pub type Judged = Result<Verdict, Verdict>;

/// How a rule judges, by what it is about.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// A record of the inventory.
    Record(fn(&View<'_>, &Thresholds, Time) -> Judged),
    /// A source.
    Source(fn(&SourceView, &Thresholds, Time) -> Judged),
    /// The store that all is kept in.
    Store(fn(&StoreView, &Thresholds, Time) -> Judged),
    /// Whatever stands of one subject, of any kind, and what people decided about it.
    Case(fn(&CaseFile<'_>, &Thresholds, Time) -> Judged),
}

/// What a rule looks at beside its subject; the daemon loads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Neighbour {
    /// The record that a credential authenticates as.
    Identity,
    /// The other credentials of the same identity.
    Siblings,
    /// The credentials of an identity.
    Credentials,
    /// Records with the same fingerprint or key id.
    SameSecret,
    /// The accountable owner.
    Owner,
}

/// A neighbour that a rule looks at, with the attributes it reads of it beside those that severity, places and owners
/// rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Which neighbour.
    pub who: Neighbour,
    /// What it reads of it.
    pub reads: FieldSet,
    /// Of which of that it asks how fresh it is, too.
    pub dated: FieldSet,
    /// Whether it calls it by its external id, which everybody may who looks at the identity.
    pub named: bool,
}

impl Neighbour {
    /// This neighbour, of which these attributes are read.
    pub const fn reading(self, fields: &[Field]) -> Beside {
        Beside { who: self, reads: FieldSet::of(fields), dated: FieldSet::EMPTY, named: false }
    }
}

impl Beside {
    /// The same, of which these are read, too, and how fresh they are.
    #[must_use]
    pub const fn dated(self, fields: &[Field]) -> Self {
        let dated = FieldSet::of(fields);
        Self { reads: self.reads.and(dated), dated: self.dated.and(dated), ..self }
    }

    /// The same, called by its external id.
    #[must_use]
    pub const fn named(self) -> Self {
        Self { named: true, ..self }
    }
}

/// Framework ids of a rule, as constants.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// OWASP Non-Human Identities Top 10 (2025).
    pub owasp_nhi: &'static [&'static str],
    /// NIST Cybersecurity Framework 2.0.
    pub nist_csf: &'static [&'static str],
    /// Others, each with its version in the key.
    pub other: &'static [(&'static str, &'static str)],
}

/// Every rule, by id.
pub static ALL: &[&Rule] = &[
    &ai_agent_ungov::SPEC,
    &auth_legacy::SPEC,
    &auth_no_binding::SPEC,
    &cfg_plaintext_store::SPEC,
    &cred_age::SPEC,
    &cred_expired_left::SPEC,
    &cred_expiring::SPEC,
    &cred_expiry_far::SPEC,
    &cred_inactive_left::SPEC,
    &cred_leaked::SPEC,
    &cred_multi_active::SPEC,
    &cred_never::SPEC,
    &cred_no_expiry::SPEC,
    &cred_reused::SPEC,
    &cred_reused_xenv::SPEC,
    &cred_rotation_off::SPEC,
    &cred_rotation_stuck::SPEC,
    &cred_stale::SPEC,
    &cred_usage_unknown::SPEC,
    &cred_weak_key::SPEC,
    &case::exc_expired::SPEC,
    &case::sla_breach::SPEC,
    &id_idle::SPEC,
    &id_orphan_consumer::SPEC,
    &own_left::SPEC,
    &own_moved::SPEC,
    &own_none::SPEC,
    &priv_admin::SPEC,
    &priv_escalate::SPEC,
    &priv_scope_broad::SPEC,
    &priv_unused::SPEC,
    &root_key::SPEC,
    &source::held::SPEC,
    &source::overprivileged::SPEC,
    &source::stale::SPEC,
    &store_room::SPEC,
    &trust_external::SPEC,
    &trust_oidc_loose::SPEC,
];

/// Rules by the number of the kind they judge.
static ABOUT: LazyLock<Vec<Vec<&'static Rule>>> = LazyLock::new(|| {
    let about = |kind: Kind| ALL.iter().copied().filter(|rule| rule.needs.contains(&kind)).collect();
    (0..=u8::MAX).map_while(Kind::from_code).map(about).collect()
});

impl Rule {
    /// The rule of that id, in any case.
    pub fn of_id(id: &str) -> Option<&'static Rule> {
        ALL.iter().copied().find(|rule| rule.id.eq_ignore_ascii_case(id))
    }

    /// Rules that judge records of that kind.
    pub fn about(kind: Kind) -> &'static [&'static Rule] {
        ABOUT.get(usize::from(kind.code())).map_or(&[], Vec::as_slice)
    }

    /// Rules that judge cases, of whatever kind their subject is.
    pub fn about_cases() -> impl Iterator<Item = &'static Rule> {
        case::ALL.iter().copied()
    }

    /// Whether it may have something to say of records of that kind.
    pub fn speaks_of(&self, kind: Kind) -> bool {
        match self.check {
            Check::Record(_) => self.needs.contains(&kind),
            Check::Case(_) => !Self::about(kind).is_empty(),
            Check::Source(_) | Check::Store(_) => false,
        }
    }

    /// What it declared of a neighbour; `None` if it does not look at it.
    pub(crate) fn of(&self, neighbour: Neighbour) -> Option<Beside> {
        self.neighbours.iter().copied().find(|it| it.who == neighbour)
    }

    /// Whether it looks at that neighbour.
    pub fn looks_at(&self, neighbour: Neighbour) -> bool {
        self.of(neighbour).is_some()
    }

    /// Whether any rule about such a record asks who answers for it. A credential is answered for with its identity.
    pub fn asks_owner(kind: Kind, has_identity: bool) -> bool {
        let alone = !has_identity || kind.noun() == provost_model::Noun::Identity;
        alone && Self::about(kind).iter().any(|rule| rule.looks_at(Neighbour::Owner))
    }

    /// Rules that judge sources.
    pub fn about_sources() -> impl Iterator<Item = &'static Rule> {
        ALL.iter().copied().filter(|rule| matches!(rule.check, Check::Source(_)))
    }

    /// Rules that judge the store.
    pub fn about_store() -> impl Iterator<Item = &'static Rule> {
        ALL.iter().copied().filter(|rule| matches!(rule.check, Check::Store(_)))
    }

    /// Judges a record. Not applicable if the rule is off for it or about something else.
    pub fn of_record(&'static self, subject: &Subject<'_>, thresholds: &Thresholds, now: Time) -> Verdict {
        let believed = Believed::of(subject.record);
        self.in_words(subject, &believed, (thresholds, now))
    }

    /// The same of a record whose readings were looked up.
    pub(crate) fn in_words(
        &'static self,
        subject: &Subject<'_>,
        believed: &Believed<'_>,
        (thresholds, now): (&Thresholds, Time),
    ) -> Verdict {
        let view = View::new(subject, believed, self);
        let mut verdict = self.ask(&view, thresholds, now);
        verdict.as_of = Some(view.data_as_of());
        verdict
    }

    /// The same without words, and without asking how fresh the data are.
    pub(crate) fn in_short(
        &'static self,
        subject: &Subject<'_>,
        believed: &Believed<'_>,
        (thresholds, now): (&Thresholds, Time),
    ) -> Verdict {
        self.ask(&View::new(subject, believed, self).without_words(), thresholds, now)
    }

    fn ask(&self, view: &View<'_>, thresholds: &Thresholds, now: Time) -> Verdict {
        let Check::Record(check) = self.check else { return Verdict::not_applicable() };
        if !self.needs.contains(&view.kind()) || thresholds.is_off(self.id) {
            return Verdict::not_applicable();
        }
        let mut verdict = check(view, thresholds, now).unwrap_or_else(|early| early);
        // Whatever is said of a working thing, or beside one, may be otherwise once it has expired.
        // And whoever is the owner now may not be once the evidence is older.
        verdict.until = verdict.until.into_iter().chain(view.next_end(now)).chain(view.owner_until(now)).min();
        verdict
    }

    /// Judges a source. Not applicable if the rule is off or about something else.
    pub fn of_source(&self, source: &SourceView, thresholds: &Thresholds, now: Time) -> Verdict {
        let Check::Source(check) = self.check else { return Verdict::not_applicable() };
        self.of_ours(|| check(source, thresholds, now), thresholds, now)
    }

    /// Judges the store. Not applicable if the rule is off or about something else.
    pub fn of_store(&self, store: &StoreView, thresholds: &Thresholds, now: Time) -> Verdict {
        let Check::Store(check) = self.check else { return Verdict::not_applicable() };
        self.of_ours(|| check(store, thresholds, now), thresholds, now)
    }

    /// Judges a case. Not applicable if the rule is off or about something else.
    pub fn of_case(&self, case: &CaseFile<'_>, thresholds: &Thresholds, now: Time) -> Verdict {
        let Check::Case(check) = self.check else { return Verdict::not_applicable() };
        self.of_ours(|| check(case, thresholds, now), thresholds, now)
    }

    /// What is Provost's own is read at the moment it is judged.
    fn of_ours(&self, check: impl FnOnce() -> Judged, thresholds: &Thresholds, now: Time) -> Verdict {
        if thresholds.is_off(self.id) {
            return Verdict::not_applicable();
        }
        let mut verdict = check().unwrap_or_else(|early| early);
        verdict.as_of = Some(now);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use provost_model::field;

    use super::*;

    #[test]
    fn every_rule_describes_itself() {
        let ids: Vec<&str> = ALL.iter().map(|rule| rule.id).collect();
        assert!(ids.is_sorted() && ids.iter().collect::<BTreeSet<_>>().len() == ids.len(), "{ids:?}");
        for rule in ALL {
            assert!(rule.version > 0 && !rule.title.is_empty(), "{}", rule.id);
            assert!(rule.why.ends_with('.') && rule.remedy.ends_with('.'), "{}", rule.id);
            let about_ours = !matches!(rule.check, Check::Record(_));
            assert_eq!(about_ours, rule.needs.is_empty(), "{}", rule.id);
            assert_eq!(about_ours, rule.reads.is_empty(), "{}", rule.id);
            assert_eq!(Rule::of_id(&rule.id.to_lowercase()).map(|it| it.id), Some(rule.id));
        }
    }

    #[test]
    fn only_ids_of_the_second_nist_framework_are_given() {
        let functions = [
            "GV.", "ID.AM-", "ID.RA-", "ID.IM-", "PR.AA-", "PR.DS-", "PR.IR-", "PR.PS-", "DE.CM-", "DE.AE-", "RS.",
            "RC.",
        ];
        for rule in ALL {
            let ids = rule.frameworks.nist_csf;
            assert!(ids.iter().all(|id| functions.iter().any(|it| id.starts_with(it))), "{}: {ids:?}", rule.id);
            let owasp = rule.frameworks.owasp_nhi;
            assert!(
                owasp
                    .iter()
                    .all(|id| id.strip_prefix("NHI").is_some_and(|it| (1..=10).contains(&it.parse().unwrap_or(0))))
            );
        }
    }

    #[test]
    fn what_was_not_declared_is_not_seen() {
        let record = sample::key().with(field::TAGS, std::collections::BTreeMap::new()).build();
        let identity = sample::user().build();
        let siblings = [sample::key().id(8).build()];
        let subject = Subject { identity: Some(&identity), siblings: &siblings, ..Subject::alone(&record) };
        let believed = Believed::of(&record);
        let view = View::new(&subject, &believed, &cred_stale::SPEC);
        assert!(view.get(field::STATUS).is_answered() && view.identity().is_some());
        assert_eq!(view.get(field::TAGS), provost_model::Reading::NotCollected);
        assert!(view.siblings().next().is_none());
    }

    #[test]
    fn a_rule_that_is_off_or_about_something_else_does_not_apply() {
        let record = sample::key().with(field::LAST_USED_AT, sample::ago(400)).build();
        let subject = Subject::alone(&record);
        let off = Thresholds::default()
            .with(&crate::thresholds::Limits { off: Some(vec!["cred-stale".into()]), ..Default::default() });
        let word = |rule: &'static Rule, figures| rule.of_record(&subject, figures, sample::NOW).word();
        let usual = Thresholds::default();
        assert_eq!(word(&cred_stale::SPEC, &usual), "fail");
        assert_eq!(word(&cred_stale::SPEC, &off), "not_applicable");
        assert_eq!(word(&id_idle::SPEC, &usual), "not_applicable");
    }
}
