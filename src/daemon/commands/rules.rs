//! `rules list|what-if`: the rules with their figures, and what other thresholds would open and close.
//! It must never write anything, nor open the file that was named: whoever asks has read it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use provost_engine::{Policy, rules::ALL};
use provost_model::{FindingState, RecordId, Severity, Time};
use provost_store::{CommitNo, Go};

use super::{Asked, CommandError};
use crate::{
    cli::{
        self, Exit, Rules, Screen,
        rules::{Counts, DifferenceRow, RuleRow, WouldBe},
    },
    config::thresholds_of,
    desk::Desk,
    jobs::{
        judge::whatif::{self, Change, Difference, When},
        retention::Keep,
    },
    wire,
};

/// Answers one of them.
pub(super) async fn rules(asked: &Asked<'_>, action: &Rules, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match action {
        Rules::List => list(asked.desk, screen),
        Rules::WhatIf(wanted) => what_if(asked, wanted, screen).await,
    }
}

fn list(desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let wiring = desk.wiring();
    let policy = &wiring.yardstick.policy;
    let mut open: HashMap<String, u64> = HashMap::new();
    desk.house.inventory().each_finding(None, &mut |finding| {
        if finding.state == FindingState::Open {
            *open.entry(finding.rule).or_default() += 1;
        }
        Ok(Go::On)
    })?;
    let row = |rule: &&'static provost_engine::Rule| {
        let (off, overrides) = policy.standing(rule);
        RuleRow {
            id: rule.id,
            version: rule.version,
            severity: rule.severity,
            title: rule.title,
            kinds: rule.needs.to_vec(),
            figures: policy.figures(rule).into_iter().collect(),
            off,
            overrides,
            open: open.get(rule.id).copied().unwrap_or_default(),
        }
    };
    Ok(cli::rules::list(ALL.iter().map(row).collect(), screen)?)
}

async fn what_if(asked: &Asked<'_>, wanted: &cli::WhatIf, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (desk, wiring) = (asked.desk, asked.desk.wiring());
    let other = policy(wanted)?;
    let when = when(desk, wanted.at, wiring.config.store.keep)?;
    let scopes = whatif::scopes(&desk.house, when)?;
    let mut asking = whatif::WhatIf::new(&desk.house, (&wiring.yardstick, &other), &scopes, when)?;
    let mut found = Found::new(wanted.limit, asking.rules().iter().map(|rule| rule.id));
    let singly = cli::rules::come_singly(screen);
    let by_source = !when.past && asking.rules().iter().any(|rule| rule.needs.is_empty());
    let sources = wiring.config.sources.iter().filter(|_| by_source);
    for source in sources.clone() {
        let rows = found.note(asking.source(&wiring.watched(source, when.now))?, singly);
        cli::rules::as_they_come(rows, screen)?;
    }
    while let Some(differences) = asking.page()? {
        let rows = found.note(differences, singly);
        cli::rules::as_they_come(rows, screen)?;
        (asked.meter)(asking.records, None, "records judged by both");
        // Lets whoever interrupts it be heard.
        tokio::task::yield_now().await;
        if asked.stop.is_cancelled() {
            return Ok(Exit::Partial);
        }
    }
    let notices = notices(when, wiring.config.store.keep, desk.house.now());
    let looked_at = (asking.records, sources.count() as u64);
    let it = found.would_be((when.now, looked_at), notices);
    Ok(cli::rules::what_if(&it, screen)?)
}

/// The policy of the thresholds that came with the question.
fn policy(wanted: &cli::WhatIf) -> Result<Policy, CommandError> {
    let wrong = |said: String| CommandError::Usage(format!("{}: {said}", wanted.file.display()));
    let text = wanted.policy_text.as_deref().ok_or_else(|| wrong("its thresholds did not come with it".to_owned()))?;
    let table = thresholds_of(text).map_err(|problem| wrong(problem.to_string()))?;
    wire::policy(table).map_err(|said| wrong(format!("thresholds: {said}")))
}

/// As of when is asked; refused where that cannot be told.
fn when(desk: &Desk, at: Option<Time>, keep: Keep) -> Result<When, CommandError> {
    let (now, inventory) = (desk.house.now(), desk.house.inventory());
    // The last instant of today is still to come, and means now.
    let Some(at) = at.filter(|at| *at < now || at.day() != now.day()) else {
        return Ok(When { commit: inventory.store().head()?.number, now, past: false });
    };
    if at > now {
        return Err(CommandError::Usage(format!("{at} is still to come")));
    }
    let (commit, kept) = (inventory.store().commit_at(at)?, now - keep.history);
    if commit == CommitNo(0) || at < kept {
        let said = match inventory.begin()? {
            Some(begin) => format!("; it can be told from {} on", later_second(begin.max(kept))),
            None => String::new(),
        };
        return Err(CommandError::Usage(format!("what there was at {at} is not known{said}")));
    }
    Ok(When { commit, now: at, past: true })
}

/// That instant, or the next whole second after it.
fn later_second(at: Time) -> Time {
    let whole = at.whole_seconds();
    if whole == at { at } else { Time::from_seconds(whole.as_seconds() + 1) }
}

/// What the answer about a past time cannot know.
fn notices(when: When, keep: Keep, now: Time) -> Vec<String> {
    if !when.past {
        return Vec::new();
    }
    let mut notices = vec![
        "of then: records, findings, words about owners; scopes count as read up to that time",
        "of today: people, configured owners, which records belong together, which secrets are one",
        "left out: rules about sources",
    ];
    if when.now < now - keep.daily {
        notices.push("last uses may have been later: of that time one day a month may be all that is kept");
    }
    notices.into_iter().map(str::to_owned).collect()
}

/// What was found so far: counts of everything, and the worst of each sort.
struct Found {
    limit: usize,
    total: Counts,
    rules: BTreeMap<&'static str, Counts>,
    /// What opens, closes, and is of another severity.
    worst: [BTreeMap<Place, DifferenceRow>; 3],
}

/// Where a row stands among those of its sort: the worst first.
type Place = (Reverse<Severity>, String, String, RecordId);

impl Found {
    fn new(limit: u32, rules: impl Iterator<Item = &'static str>) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            total: Counts::default(),
            rules: rules.map(|rule| (rule, Counts::default())).collect(),
            worst: Default::default(),
        }
    }

    /// Counts differences; gives them back if they are shown `singly`, and keeps the worst otherwise.
    fn note(&mut self, differences: Vec<Difference>, singly: bool) -> Vec<DifferenceRow> {
        let mut rows = Vec::new();
        for it in differences {
            for counts in std::iter::once(&mut self.total).chain(self.rules.get_mut(it.finding.rule.as_str())) {
                *match it.change {
                    Change::Opens => &mut counts.opens,
                    Change::Closes => &mut counts.closes,
                    Change::Severity(_) => &mut counts.severities,
                } += 1;
            }
            if singly {
                rows.push(row(it));
            } else {
                self.keep(it);
            }
        }
        rows
    }

    fn keep(&mut self, it: Difference) {
        let [opens, closes, severities] = &mut self.worst;
        let kept = match it.change {
            Change::Opens => opens,
            Change::Closes => closes,
            Change::Severity(_) => severities,
        };
        let place = (Reverse(it.finding.severity), it.finding.rule.clone(), it.name.clone(), it.finding.id);
        kept.insert(place, row(it));
        if kept.len() > self.limit {
            kept.pop_last();
        }
    }

    fn would_be(self, (at, (records, sources)): (Time, (u64, u64)), notices: Vec<String>) -> WouldBe {
        let findings = self.worst.into_iter().flat_map(BTreeMap::into_values).collect();
        WouldBe { at, records, sources, total: self.total, rules: self.rules, notices, findings }
    }
}

fn row(it: Difference) -> DifferenceRow {
    let (change, former_severity) = match it.change {
        Change::Opens => ("opens", None),
        Change::Closes => ("closes", None),
        Change::Severity(former) => ("severity", Some(former)),
    };
    DifferenceRow {
        change,
        rule: it.finding.rule,
        severity: it.finding.severity,
        former_severity,
        finding: it.finding.id,
        subject: it.finding.subject,
        kind: it.kind,
        external_id: it.finding.external_id,
        name: it.name,
        because: it.finding.because,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::finding::samples::finding;

    fn difference(number: u8, change: Change, severity: Severity) -> Difference {
        let mut finding = finding("CRED-AGE", severity);
        finding.id = RecordId::from_bytes([number; 16]);
        Difference { change, finding, kind: None, name: format!("n{number}") }
    }

    #[test]
    fn everything_is_counted_and_the_worst_are_kept() {
        let mut found = Found::new(2, ["CRED-AGE", "ID-IDLE"].into_iter());
        let opens = [(1, Severity::Low), (2, Severity::High), (3, Severity::Medium), (4, Severity::High)];
        let opens = opens.map(|(number, severity)| difference(number, Change::Opens, severity));
        assert!(found.note(opens.to_vec(), false).is_empty());
        found.note(vec![difference(5, Change::Severity(Severity::Low), Severity::High)], false);
        let it = found.would_be((Time::default(), (9, 1)), Vec::new());
        assert_eq!(it.total, Counts { opens: 4, closes: 0, severities: 1 });
        assert_eq!((&it.rules["CRED-AGE"], &it.rules["ID-IDLE"]), (&it.total, &Counts::default()));
        let kept: Vec<_> = it.findings.iter().map(|row| (row.change, row.name.as_str(), row.former_severity)).collect();
        assert_eq!(kept, [("opens", "n2", None), ("opens", "n4", None), ("severity", "n5", Some(Severity::Low))]);
    }

    #[test]
    fn what_comes_singly_is_not_kept() {
        let mut found = Found::new(2, ["CRED-AGE"].into_iter());
        let rows = found.note(vec![difference(1, Change::Closes, Severity::Low)], true);
        assert_eq!((rows.len(), rows[0].change), (1, "closes"));
        let it = found.would_be((Time::default(), (9, 1)), Vec::new());
        assert_eq!((it.total.closes, it.findings.len()), (1, 0));
    }

    #[test]
    fn the_second_from_which_on_is_never_too_early() {
        assert_eq!(later_second(Time::from_seconds(7)), Time::from_seconds(7));
        assert_eq!(later_second(Time::from_micros(7_000_001)), Time::from_seconds(8));
    }
}
