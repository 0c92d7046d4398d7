//! The life of a finding, as one pure function of what it was and what the rule says now.
//! It must never resolve a finding by silence, doubt or older data.

use provost_model::{Believed, Finding, FindingId, FindingState, Motion, Presence, RecordId, Resolution, Time};
use sha2::{Digest, Sha256};

use crate::{
    govern::{Governance, OpenFault, runs_since},
    rules::{Because, CaseFile, Neighbour, Outcome, Rule, Subject, Verdict, is_about_cases},
    severity::weigh,
    thresholds::Thresholds,
};

/// What a verdict is about, and when.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The rule that judged.
    pub rule: &'a Rule,
    /// The record, or [`source_subject`] or [`store_subject`] for rules about those.
    pub subject: RecordId,
    /// The subject's main external id; the source's name for rules about sources.
    pub external_id: &'a str,
    /// For rules about sources: the source's name.
    pub source: Option<&'a str>,
    /// Whether the subject is there. A source that is configured is present.
    pub presence: Presence,
    /// Whether the source's first complete run is not over, or was this one.
    pub baseline: bool,
    /// What it was judged by.
    pub measure: Measure<'a>,
    /// The time.
    pub now: Time,
}

/// Digests of what a rule judges by, beside the data: the figures it compares with and, for rules that ask for the
/// owner, where owners are named; for rules about cases, how long what may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure<'a> {
    /// See [`Thresholds::digest_of`].
    pub figures: &'a str,
    /// Of the owner tags, or of how long what may stand.
    pub beside: Option<&'a str>,
}

/// What came of judging one record by all rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// How many findings changed.
    pub changed: u64,
    /// When time alone may change something.
    pub until: Option<Time>,
    /// Whether a later reading that says the same again may change something.
    pub waits: bool,
}

/// Asks every rule about a record, and brings its findings up to date. `owners` is the digest of the owner tags. Words
/// are made only for a fault that is there and for a finding that stands.
pub fn judge_record(
    subject: &Subject<'_>,
    findings: &mut Vec<Finding>,
    (thresholds, owners): (&Thresholds, &str),
    now: Time,
) -> Judgement {
    let record = subject.record;
    let presence = record.presence();
    let mut all = Judgement::default();
    // Of what is not there nothing new can be said, and time changes nothing.
    if presence != Presence::Present && findings.iter().all(|it| it.state == FindingState::Resolved) {
        return all;
    }
    let believed = Believed::of(record);
    for rule in Rule::about(record.kind) {
        let known = findings.iter().find(|it| it.rule == rule.id);
        let stands = known.is_some_and(|it| it.state != FindingState::Resolved);
        if presence != Presence::Present && !stands {
            continue;
        }
        let accepted = known.filter(|it| it.resolution == Some(Resolution::Accepted)).and_then(|it| it.until);
        let opened_as_of = known.filter(|_| stands).map(|it| it.opened_as_of);
        // Words are wanted for what stands whatever the verdict is.
        let in_words = || rule.in_words(subject, &believed, (thresholds, now));
        let mut verdict = if stands { in_words() } else { rule.in_short(subject, &believed, (thresholds, now)) };
        if stands || verdict.is_fail() {
            verdict = if stands { verdict } else { in_words() };
            let case = Case {
                rule,
                subject: record.id,
                external_id: record.external(),
                source: None,
                presence,
                baseline: record.baseline,
                measure: Measure {
                    figures: thresholds.digest_of(rule.id),
                    beside: rule.looks_at(Neighbour::Owner).then_some(owners),
                },
                now,
            };
            all.changed += u64::from(rejudge(findings, &verdict, &case));
        }
        if presence == Presence::Present {
            let ends = verdict.until.into_iter().chain(accepted.filter(|it| *it > now));
            all.until = ends.chain(all.until).min();
            let older = opened_as_of.is_some_and(|opened| verdict.as_of.is_some_and(|as_of| as_of < opened));
            all.waits |= verdict.waits || older;
        }
    }
    // What is wrong with the case is left to [`judge_case`], which knows what was decided.
    all.changed += withdraw(findings, Rule::about(record.kind).iter().copied().chain(Rule::about_cases()), now);
    all
}

/// Whose case is judged, and by what beside its findings.
#[derive(Clone, Copy, Debug)]
pub struct Hearing<'a> {
    /// The record, or [`source_subject`] or [`store_subject`].
    pub subject: RecordId,
    /// The subject's main external id; a source's name.
    pub external_id: &'a str,
    /// For a source: its name.
    pub source: Option<&'a str>,
    /// Whether the subject is there.
    pub presence: Presence,
    /// What people asked for and decided about it, in the order in which it was asked for.
    pub motions: &'a [Motion],
    /// Since when what the first complete runs of all its sources found is worked off; `None` while it is not.
    pub worked: Option<Time>,
    /// The policy by which decisions are made.
    pub governance: &'a Governance,
    /// Digest of that policy and of what is worked off.
    pub by: &'a str,
}

/// Asks the rules about cases what is wrong with the case that a subject's other findings make, and brings what they found
/// before up to date. To be asked whenever something else found of the subject is otherwise.
pub fn judge_case(findings: &mut Vec<Finding>, hearing: &Hearing<'_>, thresholds: &Thresholds, now: Time) -> Judgement {
    let mut all = Judgement::default();
    if findings.iter().all(|it| it.state == FindingState::Resolved) {
        return all;
    }
    let verdicts: Vec<(&Rule, Verdict)> = {
        let open = findings.iter().filter(|it| it.state == FindingState::Open && !is_about_cases(&it.rule));
        let faults: Vec<OpenFault<'_>> =
            open.map(|finding| OpenFault { finding, runs_since: runs_since(finding, hearing.worked) }).collect();
        let verdict = |rule: &'static Rule| {
            let former = findings.iter().find(|it| it.rule == rule.id);
            let (motions, governance) = (hearing.motions, hearing.governance);
            (rule, rule.of_case(&CaseFile { faults: &faults, motions, governance, former }, thresholds, now))
        };
        Rule::about_cases().map(verdict).collect()
    };
    for (rule, verdict) in verdicts {
        let case = Case {
            rule,
            subject: hearing.subject,
            external_id: hearing.external_id,
            source: hearing.source,
            presence: hearing.presence,
            // A case is never what a first complete run found.
            baseline: false,
            measure: Measure { figures: thresholds.digest_of(rule.id), beside: Some(hearing.by) },
            now,
        };
        all.changed += u64::from(rejudge(findings, &verdict, &case));
        if hearing.presence == Presence::Present {
            all.until = verdict.until.into_iter().chain(all.until).min();
        }
    }
    all
}

impl Judgement {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let until = self.until.into_iter().chain(other.until).min();
        Self { changed: self.changed + other.changed, until, waits: self.waits || other.waits }
    }
}

impl Measure<'_> {
    /// Whether that is what a finding says it was judged by.
    fn is(&self, said: &str) -> bool {
        match self.beside {
            None => said == self.figures,
            Some(beside) => said.split_once('-') == Some((self.figures, beside)),
        }
    }
}

impl std::fmt::Display for Measure<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.figures)?;
        self.beside.map_or(Ok(()), |beside| write!(f, "-{beside}"))
    }
}

/// The finding as it is after a verdict, if it is any different from before. `None` if nothing changes, and if there is
/// no finding.
///
/// An open finding is resolved only by a rule that finds no fault on data at least as fresh as those that opened it, or
/// by the subject's end. Missing subjects, doubtful verdicts and older data leave it open and unconfirmed.
pub fn judge(before: Option<&Finding>, verdict: &Verdict, case: &Case<'_>) -> Option<Finding> {
    let after = match before {
        None => opened(verdict, case)?,
        Some(finding) => match finding.state {
            FindingState::Open | FindingState::Suspended => standing(finding, verdict, case),
            FindingState::Resolved => reopened(finding, verdict, case)?,
        },
    };
    (!before.is_some_and(|before| same(before, &after))).then_some(after)
}

/// Judges one of a subject's findings among all of them; true if anything changed.
pub fn rejudge(findings: &mut Vec<Finding>, verdict: &Verdict, case: &Case<'_>) -> bool {
    let at = findings.iter().position(|it| it.rule == case.rule.id);
    let known = at.and_then(|at| findings.get_mut(at));
    match (judge(known.as_deref(), verdict, case), known) {
        (None, _) => return false,
        (Some(after), Some(known)) => *known = after,
        (Some(after), None) => findings.push(after),
    }
    true
}

/// Resolves a subject's findings that none of the rules about it asks about any more: the rule is gone, or is about other
/// things now. Gives the number of findings that changed.
pub fn withdraw(findings: &mut [Finding], rules: impl Iterator<Item = &'static Rule>, now: Time) -> u64 {
    if findings.iter().all(|it| it.state == FindingState::Resolved) {
        return 0;
    }
    let rules: Vec<&str> = rules.map(|rule| rule.id).collect();
    let left =
        findings.iter_mut().filter(|it| it.state != FindingState::Resolved && !rules.contains(&it.rule.as_str()));
    left.map(|finding| *finding = resolved(finding.clone(), Resolution::RuleChanged, now)).count() as u64
}

/// The finding's name: the same rule about the same subject has the same one for ever.
pub fn finding_id(rule: &str, subject: RecordId) -> FindingId {
    derived("finding", &[rule.as_bytes(), subject.as_bytes()])
}

/// What stands for a source where a finding names its subject.
pub fn source_subject(name: &str) -> RecordId {
    derived("source", &[name.as_bytes()])
}

/// What stands for the store where a finding names its subject.
pub fn store_subject() -> RecordId {
    derived("store", &[])
}

fn opened(verdict: &Verdict, case: &Case<'_>) -> Option<Finding> {
    let Outcome::Fail(because) = &verdict.outcome else { return None };
    if case.presence != Presence::Present {
        return None;
    }
    let finding = Finding {
        id: finding_id(case.rule.id, case.subject),
        rule: case.rule.id.to_owned(),
        rule_version: case.rule.version,
        subject: case.subject,
        external_id: case.external_id.to_owned(),
        source: case.source.map(str::to_owned),
        state: FindingState::Open,
        severity: case.rule.severity,
        severity_steps: Vec::new(),
        opened_at: case.now,
        opened_as_of: verdict.as_of.unwrap_or(case.now),
        resolved_at: None,
        resolution: None,
        unconfirmed_since: None,
        baseline: case.baseline,
        because: String::new(),
        until: None,
        policy: String::new(),
    };
    Some(confirmed(finding, because, verdict, case))
}

/// An open or suspended finding after a verdict.
fn standing(finding: &Finding, verdict: &Verdict, case: &Case<'_>) -> Finding {
    let mut after = finding.clone();
    match case.presence {
        Presence::Gone => return resolved(after, Resolution::Gone, case.now),
        Presence::Unwatched => {
            after.state = FindingState::Suspended;
            return after;
        }
        Presence::Missing => {
            after.state = FindingState::Open;
            return unconfirmed(after, case);
        }
        Presence::Present => after.state = FindingState::Open,
    }
    match &verdict.outcome {
        Outcome::Fail(because) => confirmed(after, because, verdict, case),
        Outcome::Inconclusive(_) => {
            after.until = verdict.until;
            unconfirmed(after, case)
        }
        Outcome::Pass | Outcome::NotApplicable => {
            let fresh = verdict.as_of.is_none_or(|as_of| as_of >= finding.opened_as_of);
            if !fresh {
                after.until = verdict.until;
                return unconfirmed(after, case);
            }
            let reason = if finding.rule_version != case.rule.version {
                Resolution::RuleChanged
            } else if !case.measure.is(&finding.policy) {
                Resolution::PolicyChanged
            } else {
                Resolution::Fixed
            };
            resolved(after, reason, case.now)
        }
    }
}

/// A resolved finding whose fault is there again. An accepted one stays so until its date, unless it became worse.
fn reopened(finding: &Finding, verdict: &Verdict, case: &Case<'_>) -> Option<Finding> {
    let accepted = finding.resolution == Some(Resolution::Accepted);
    if accepted && finding.until.is_some_and(|until| case.now < until) && !is_worse(finding, verdict, case) {
        return None;
    }
    opened(verdict, case)
}

/// Whether a fault is worse than it was when it was accepted: then it is not what was accepted.
fn is_worse(finding: &Finding, verdict: &Verdict, case: &Case<'_>) -> bool {
    let Outcome::Fail(because) = &verdict.outcome else { return false };
    weigh(case.rule.severity, &because.raisers).0 > finding.severity
}

fn confirmed(mut finding: Finding, because: &Because, verdict: &Verdict, case: &Case<'_>) -> Finding {
    (finding.severity, finding.severity_steps) = weigh(case.rule.severity, &because.raisers);
    finding.because.clone_from(&because.words);
    finding.rule_version = case.rule.version;
    if !case.measure.is(&finding.policy) {
        finding.policy = case.measure.to_string();
    }
    finding.external_id = case.external_id.to_owned();
    finding.until = verdict.until;
    finding.unconfirmed_since = None;
    finding
}

fn unconfirmed(mut finding: Finding, case: &Case<'_>) -> Finding {
    finding.unconfirmed_since = finding.unconfirmed_since.or(Some(case.now));
    finding
}

fn resolved(mut finding: Finding, reason: Resolution, now: Time) -> Finding {
    finding.state = FindingState::Resolved;
    finding.resolution = Some(reason);
    finding.resolved_at = Some(now);
    finding.unconfirmed_since = None;
    finding.until = None;
    finding
}

/// Whether two states of a finding tell the reader the same. Counts of days grow by themselves and are no news.
fn same(before: &Finding, after: &Finding) -> bool {
    // Taken apart, so that a new field cannot be forgotten here.
    let Finding {
        id,
        rule,
        rule_version,
        subject,
        external_id,
        source,
        state,
        severity,
        severity_steps,
        opened_at,
        opened_as_of,
        resolved_at,
        resolution,
        unconfirmed_since,
        baseline,
        because,
        until,
        policy,
    } = before;
    let what = (*id, *subject, *state, *severity, *baseline, *rule_version);
    let when = (*opened_at, *opened_as_of, *resolved_at, *resolution, *unconfirmed_since, *until);
    what == (after.id, after.subject, after.state, after.severity, after.baseline, after.rule_version)
        && when
            == (
                after.opened_at,
                after.opened_as_of,
                after.resolved_at,
                after.resolution,
                after.unconfirmed_since,
                after.until,
            )
        && *rule == after.rule
        && *external_id == after.external_id
        && *source == after.source
        && *policy == after.policy
        && *severity_steps == after.severity_steps
        && (*because == after.because || timeless(because).eq(timeless(&after.because)))
}

/// The words without the number in every `… days ago`, `at least … days old` and the like: whatever precedes "days"
/// and follows neither "over" nor "within", which introduce thresholds. One day and two days read alike.
pub(crate) fn timeless(words: &str) -> impl Iterator<Item = &str> {
    let mut all = words.split(' ').peekable();
    let (mut before, mut counted) = ("", false);
    std::iter::from_fn(move || {
        loop {
            let word = all.next()?;
            let counts = all.peek().is_some_and(|next| next.starts_with("day")) && word.parse::<i64>().is_ok();
            let threshold = matches!(before, "over" | "within");
            let unit = std::mem::replace(&mut counted, counts && !threshold);
            before = word;
            if !counted {
                let bare = word.strip_prefix("days").or_else(|| word.strip_prefix("day"));
                return Some(bare.filter(|_| unit).unwrap_or(word));
            }
        }
    })
}

/// First half of SHA-256 over the parts, with the bits of a UUID of version 8.
fn derived(domain: &str, parts: &[&[u8]]) -> RecordId {
    let mut hash = Sha256::new();
    for part in std::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    RecordId::from_bytes(bytes)
}

#[cfg(test)]
mod tests;
