//! Judges what is there by the policy at work and by another one, and tells what the other would make different.
//! It must never write anything, nor hold up whoever does: it takes neither pen nor gavel.

use provost_engine::{
    Policy, Rule, judge_record,
    rules::{ALL, is_about_cases},
};
use provost_model::{Finding, FindingState, Kind, Presence, Record, RecordId, Severity, Time};
use provost_store::{CommitNo, StoreError, inventory::ScopeRow};

use super::{
    Yardstick,
    household::{Bench, Household, Loaded},
};
use crate::{
    house::House,
    jobs::assess::{self, Watched},
};

/// Records judged between two looks at whether to go on.
const PAGE: usize = 1024;

/// As of when is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Which commit's records and findings.
    pub commit: CommitNo,
    /// The time that rules go by.
    pub now: Time,
    /// Whether that is over: what has no history is today's, and sources are not judged.
    pub past: bool,
}

/// What another policy would do to a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It would be open, and is not by the policy at work.
    Opens,
    /// It would not be open, and is by the policy at work.
    Closes,
    /// It is open by both, by the policy at work with that severity.
    Severity(Severity),
}

/// One finding that another policy would make different.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What it would do.
    pub change: Change,
    /// The finding as the policy has it by which it is open; by the other one if it is by both.
    pub finding: Finding,
    /// The subject's kind; `None` for a source.
    pub kind: Option<Kind>,
    /// What people call the subject.
    pub name: String,
}

/// What another policy would do, worked out page by page.
pub struct WhatIf<'a> {
    house: &'a House,
    bench: Bench<'a>,
    other: &'a Policy,
    when: When,
    rules: Vec<&'static Rule>,
    after: Option<RecordId>,
    /// Records looked at so far that are not gone.
    pub records: u64,
}

/// Every scope as far as it was read by then: scopes have no history, so none was read further than that moment.
pub fn scopes(house: &House, when: When) -> Result<Vec<ScopeRow>, StoreError> {
    let mut scopes = house.inventory().scopes(None)?;
    if when.past {
        scopes.iter_mut().for_each(|row| row.as_of = row.as_of.map(|as_of| as_of.min(when.now)));
    }
    Ok(scopes)
}

impl<'a> WhatIf<'a> {
    /// Asks what would be if `other` were at work instead of the yardstick's policy. `scopes` are those of [`scopes`].
    pub fn new(
        house: &'a House,
        (yardstick, other): (&'a Yardstick, &'a Policy),
        scopes: &'a [ScopeRow],
        when: When,
    ) -> Result<Self, StoreError> {
        let bench = Bench::at(house.inventory(), yardstick, scopes, Some(when.commit))?;
        let otherwise = |rule: &&Rule| yardstick.policy.digest_of(rule) != other.digest_of(rule);
        let rules = ALL.iter().copied().filter(otherwise).collect();
        Ok(Self { house, bench, other, when, rules, after: None, records: 0 })
    }

    /// The rules that would judge otherwise, by id.
    pub fn rules(&self) -> &[&'static Rule] {
        &self.rules
    }

    /// What is different of the next records; `None` after the last.
    pub fn page(&mut self) -> Result<Option<Vec<Difference>>, StoreError> {
        if self.rules.iter().all(|rule| rule.needs.is_empty() && !is_about_cases(rule.id)) {
            return Ok(None);
        }
        let page = self.bench.inventory.records_at(self.when.commit, self.after, PAGE)?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = Some(last.id);
        self.records += page.iter().filter(|it| it.presence() != Presence::Gone).count() as u64;
        let (bench, other, rules) = (&self.bench, self.other, &self.rules);
        let otherwise = |record: &Record| {
            rules.iter().any(|rule| rule.speaks_of(record.kind))
                && *bench.thresholds(record) != *other.of_record(record, &bench.covers)
        };
        let mut found = Vec::new();
        for household in bench.page(page, &otherwise)? {
            for loaded in &household.subjects {
                found.extend(self.judged(&household, loaded)?);
            }
        }
        Ok(Some(found))
    }

    /// What is different of a source. Of the past nothing can be said of it.
    pub fn source(&self, watched: &Watched) -> Result<Vec<Difference>, StoreError> {
        if self.when.past || self.rules.iter().all(|rule| !rule.needs.is_empty()) {
            return Ok(Vec::new());
        }
        let policies = [&self.bench.yardstick.policy, self.other];
        let [at_work, other] = assess::supposed(self.house, watched, (self.bench.yardstick, policies, self.when.now))?;
        Ok(differences(&at_work, &other, (None, &watched.name)))
    }

    fn judged(&self, household: &Household, loaded: &Loaded) -> Result<Vec<Difference>, StoreError> {
        let Some(record) = household.record(loaded.member) else { return Ok(Vec::new()) };
        let (bench, now) = (&self.bench, self.when.now);
        let (mut at_work, mut other) = (loaded.findings.clone(), loaded.findings.clone());
        let figures = (bench.thresholds(record), self.other.of_record(record, &bench.covers));
        bench.show(household, loaded, (false, now), &mut |subject| {
            judge_record(subject, &mut at_work, (&figures.0, &bench.owners_by), now);
            judge_record(subject, &mut other, (&figures.1, &bench.owners_by), now);
        })?;
        let about = (record, loaded.motions.as_slice());
        bench.hear(about, &mut at_work, (&figures.0, now));
        bench.hear(about, &mut other, (&figures.1, now));
        Ok(differences(&at_work, &other, (Some(record.kind), &record.name())))
    }
}

/// In what the findings of one subject by another policy differ from those by the policy at work.
fn differences(at_work: &[Finding], other: &[Finding], (kind, name): (Option<Kind>, &str)) -> Vec<Difference> {
    fn open<'a>(findings: &'a [Finding], like: &Finding) -> Option<&'a Finding> {
        findings.iter().find(|it| it.id == like.id && it.state == FindingState::Open)
    }
    let by_other = other.iter().filter(|it| it.state == FindingState::Open).filter_map(|finding| {
        let change = match open(at_work, finding) {
            None => Change::Opens,
            Some(known) if known.severity != finding.severity => Change::Severity(known.severity),
            Some(_) => return None,
        };
        Some((change, finding))
    });
    let by_work = at_work.iter().filter(|it| it.state == FindingState::Open && open(other, it).is_none());
    let all = by_other.chain(by_work.map(|finding| (Change::Closes, finding)));
    all.map(|(change, finding)| Difference { change, finding: finding.clone(), kind, name: name.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use provost_model::{Realm, Scope};
    use provost_store::inventory::Draft;

    use super::*;
    use crate::{clock::WallClock, output::finding::samples::finding};

    /// A finding of that number.
    fn of(number: u8, severity: Severity, state: FindingState) -> Finding {
        Finding { id: RecordId::from_bytes([number; 16]), state, ..finding("CRED-AGE", severity) }
    }

    #[test]
    fn a_difference_is_what_is_open_by_one_alone_or_worse_by_one() {
        use FindingState::{Open, Resolved, Suspended};
        use Severity::{High, Medium};
        let at_work = [
            of(1, Medium, Open),
            of(2, Medium, Open),
            of(3, Medium, Open),
            of(4, Medium, Resolved),
            of(5, Medium, Open),
            of(7, Medium, Suspended),
        ];
        let other = [
            of(1, Medium, Open),
            of(2, High, Open),
            of(3, Medium, Resolved),
            of(4, High, Open),
            of(6, Medium, Open),
            of(7, High, Suspended),
        ];
        let found = differences(&at_work, &other, (Some(Kind::AccessKey), "deploy"));
        let told: Vec<_> =
            found.iter().map(|it| (it.finding.id.as_bytes()[0], it.change, it.finding.severity)).collect();
        assert_eq!(
            told,
            [
                (2, Change::Severity(Medium), High),
                (4, Change::Opens, High),
                (6, Change::Opens, Medium),
                (3, Change::Closes, Medium),
                (5, Change::Closes, Medium),
            ]
        );
        assert!(found.iter().all(|it| it.name == "deploy" && it.kind == Some(Kind::AccessKey)));
        assert!(differences(&at_work, &at_work, (None, "x")).is_empty());
    }

    #[test]
    fn of_a_past_time_no_scope_was_read_further_than_that() {
        let house = House::new(Arc::new(provost_store::memory()), Arc::new(WallClock));
        let mut draft = Draft::new(house.inventory(), house.now());
        for (path, read) in [("iam/users", Some(10)), ("iam/keys", Some(30)), ("iam/roles", None)] {
            let mut row = draft.open_scope("aws", &Scope::new(Realm::new("aws", "1"), path)).unwrap();
            row.as_of = read.map(Time::from_seconds);
            draft.put_scope(row);
        }
        draft.commit().unwrap();
        let read = |past| -> Vec<Option<Time>> {
            let when = When { commit: CommitNo(1), now: Time::from_seconds(20), past };
            scopes(&house, when).unwrap().iter().map(|row| row.as_of).collect()
        };
        let at = |second| Some(Time::from_seconds(second));
        assert_eq!((read(false), read(true)), (vec![at(30), None, at(10)], vec![at(20), None, at(10)]));
    }
}
