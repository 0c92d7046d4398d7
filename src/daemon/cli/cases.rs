//! `cases …`: what is to be decided, and what was decided.
//! It must never show a decision without who made it and why.

use provost_engine::govern::Latency;
use provost_model::{DecisionId, Finding, Motion, RecordId, Ruling, Stage, Time};
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::{
    filter::Filter,
    output::{CaseRow, Cell, Row, Tone, age, finding, inventory::short_id},
};

/// A decision as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionRow {
    /// Its name.
    pub id: DecisionId,
    /// The subject.
    pub subject: RecordId,
    /// What people call the subject.
    pub name: String,
    /// act, accept, reject, reassign.
    pub ruling: &'static str,
    /// The same in words.
    pub words: String,
    /// asked, in_force, ended, refused, withdrawn.
    pub stage: &'static str,
    /// How many people more have to agree.
    pub waits_for: u8,
    /// Why more people have to agree than one.
    pub because: Vec<String>,
    /// Whoever asked; `guardrail NAME` where policy decided.
    pub asked_by: String,
    /// When.
    pub asked_at: Time,
    /// Whoever agreed.
    pub approved_by: Vec<String>,
    /// Since when it holds, or held.
    pub agreed_at: Option<Time>,
    /// Until when it holds, if it ends by itself.
    pub until: Option<Time>,
    /// How often the same was accepted before.
    pub renewal: u32,
    /// Rules whose findings it answers.
    pub rules: Vec<String>,
    /// Why, in the words of whoever asked.
    pub purpose: String,
    /// Digest of the policy it was asked for under.
    pub policy: String,
}

/// One case in full.
#[derive(Debug, Serialize)]
pub struct WholeCase {
    /// The case, if something stands.
    pub case: Option<CaseRow>,
    /// What it is about, in a line.
    pub about: String,
    /// What stands.
    pub findings: Vec<crate::output::FindingRow>,
    /// What was decided, or asked for, the oldest first.
    pub decisions: Vec<DecisionRow>,
    /// The tickets about it.
    pub tickets: Vec<TicketShown>,
}

/// A ticket of a case.
#[derive(Clone, Debug, Serialize)]
pub struct TicketShown {
    /// The route that told of the case.
    pub route: String,
    /// What the tracker calls it.
    pub key: String,
    /// open, closed, gone; and the tracker's own word for it.
    pub status: String,
    /// Who works on it, in the tracker's words.
    pub assignee: Option<String>,
    /// How many comments it has, where the tracker tells.
    pub comments: Option<u64>,
    /// When that was new.
    pub seen_at: Time,
}

/// How long each stage takes.
#[derive(Clone, Debug, Serialize)]
pub struct Stages {
    /// From a fault to whoever answers for its subject.
    pub owner_known: Latency,
    /// From a fault to a decision about it, or to the proof that it is gone where nobody decided anything.
    pub decided: Latency,
    /// From a fault to what was decided about it being done, or seen to be.
    pub acted: Latency,
    /// From a fault to the proof that it is gone.
    pub verified: Latency,
}

impl DecisionRow {
    /// The row of a decision on its way; `name` is what people call its subject.
    pub fn of(motion: &Motion, name: String, now: Time) -> Self {
        let stage = motion.stage(now);
        let first = motion.steps.first();
        Self {
            id: motion.id,
            subject: motion.subject,
            name,
            ruling: motion.ruling.word(),
            words: in_words(&motion.ruling),
            stage: stage.word(),
            waits_for: match stage {
                Stage::Asked { waits_for } => waits_for,
                Stage::InForce { .. } if motion.ends_at().is_some() && motion.ruling.remedy().is_some() => {
                    motion.needs.saturating_sub(u8::try_from(motion.approvers().len()).unwrap_or(u8::MAX))
                }
                _ => 0,
            },
            because: motion.because.clone(),
            asked_by: match motion.guardrail() {
                Some(name) => format!("guardrail {name}"),
                None => motion.asker().unwrap_or_default().to_owned(),
            },
            asked_at: first.map(|step| step.at).unwrap_or_default(),
            approved_by: motion.approvers().into_iter().map(str::to_owned).collect(),
            agreed_at: motion.agreed_at(),
            until: motion.ends_at(),
            renewal: motion.renewal,
            rules: motion.findings.iter().map(|(_, rule)| rule.clone()).collect(),
            purpose: first.map(|step| step.purpose.as_str().to_owned()).unwrap_or_default(),
            policy: motion.policy.clone(),
        }
    }

    fn standing(&self) -> String {
        match self.stage {
            "asked" => format!("waits for {} more", self.waits_for),
            other => other.replace('_', " "),
        }
    }
}

/// A ruling in a few words.
fn in_words(ruling: &Ruling) -> String {
    match ruling {
        Ruling::Act { remedy } => remedy.word().to_owned(),
        Ruling::Accept { until, control: Some(control) } => {
            format!("accept until {}, with {control}", until.whole_seconds())
        }
        Ruling::Accept { until, control: None } => format!("accept until {}", until.whole_seconds()),
        Ruling::Reject { until } => format!("no fault, looked at again {}", until.whole_seconds()),
        Ruling::Reassign { owner } => format!("{owner} answers for it"),
        Ruling::Contain { until } => {
            format!("disable at once; taken back {} unless others agree", until.whole_seconds())
        }
    }
}

/// Lists cases, the most urgent first.
pub fn list(rows: Vec<CaseRow>, filter: Option<&Filter>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let mut rows = screen.kept(rows, filter)?;
    let due = |row: &CaseRow| (row.deadline.is_none(), row.deadline);
    rows.sort_by(|one, other| {
        due(one).cmp(&due(other)).then_with(|| other.severity.cmp(&one.severity)).then_with(|| one.id.cmp(&other.id))
    });
    let count = |what: &dyn Fn(&CaseRow) -> bool| rows.iter().filter(|row| what(row)).count();
    let (all, overdue) = (rows.len(), count(&|row| row.overdue));
    let (unowned, waiting) = (count(&|row| row.owner.is_none()), count(&|row| row.baseline && row.deadline.is_none()));
    screen.rows(rows)?;
    if screen.is_table() {
        let word = if all == 1 { "case" } else { "cases" };
        let nobody = if unowned > 0 { format!(", of {unowned} nobody answers for the subject") } else { String::new() };
        screen.remark(&format!("{all} {word}, {overdue} overdue{nobody}"))?;
        if waiting > 0 {
            screen.remark(&format!(
                "of {waiting} no deadline runs: a first complete run found them; see: provost baseline work SOURCE"
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// Shows one case.
pub fn show(whole: &WholeCase, findings: &[Finding], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(whole)?;
        return Ok(Exit::Done);
    }
    let now = screen.look.now;
    let mut pairs = vec![("subject", whole.about.clone())];
    if let Some(case) = &whole.case {
        let deadline = match case.deadline {
            Some(at) if case.overdue => format!("{}, overdue", age::dated(at, now)),
            Some(at) => age::dated(at, now),
            None => "none runs: nobody said that the baseline is to be worked off".to_owned(),
        };
        pairs.extend([
            ("id", case.id.to_string()),
            ("severity", case.severity.word().to_owned()),
            ("action", case.action.word().to_owned()),
            ("owner", case.owner.clone().unwrap_or_else(|| "nobody".to_owned())),
            ("deadline", deadline),
            ("stage", case.stage.to_owned()),
        ]);
    } else {
        pairs.push(("stage", "nothing stands".to_owned()));
    }
    screen.pairs(&pairs)?;
    let faults = findings.iter().map(|it| {
        vec![
            Cell::new(it.severity.word()).tone(finding::tone(it.severity)),
            it.rule.clone().into(),
            age::since(it.opened_at, now).into(),
            it.because.clone().into(),
        ]
    });
    screen.section("Faults", &["severity", "rule", "since", "because"], faults.collect())?;
    if !whole.tickets.is_empty() {
        screen.prose("\nTickets")?;
    }
    for it in &whole.tickets {
        let assignee = it.assignee.as_ref().map(|who| format!(", {who} works on it")).unwrap_or_default();
        let since = age::since(it.seen_at, now);
        screen.told(&format!("{} (route {}): {}{assignee}; seen so {since}", it.key, it.route, it.status))?;
    }
    if !whole.decisions.is_empty() {
        screen.prose("\nDecisions")?;
    }
    for it in &whole.decisions {
        let agreed =
            if it.approved_by.is_empty() { String::new() } else { format!(", agreed {}", it.approved_by.join(", ")) };
        screen.told(&format!(
            "{} {}: {}; asked {} by {}{agreed}: {}",
            short_id(it.id),
            it.standing(),
            it.words,
            it.asked_at.whole_seconds(),
            it.asked_by,
            it.purpose
        ))?;
    }
    Ok(Exit::Done)
}

/// Lists decisions, the newest first.
pub fn decisions(mut rows: Vec<DecisionRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    let (all, waiting) = (rows.len(), rows.iter().filter(|row| row.waits_for > 0).count());
    screen.rows(rows)?;
    if screen.is_table() {
        let word = if all == 1 { "decision" } else { "decisions" };
        screen.remark(&format!("{all} {word}, {waiting} waiting for somebody to agree"))?;
    }
    Ok(Exit::Done)
}

/// What became of a decision by what was just said.
pub fn done(row: &DecisionRow, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(row)?;
        return Ok(Exit::Done);
    }
    let short = short_id(row.id);
    screen.remark(&format!("{}: {}: {}", row.name, row.words, row.standing()))?;
    if row.waits_for > 0 && row.stage == "asked" {
        let because = if row.because.is_empty() { "who asked made it".to_owned() } else { row.because.join(", ") };
        screen.remark(&format!("others have to agree ({because}): provost cases approve {short} --reason …"))?;
    }
    match row.ruling {
        "act" if row.stage == "in_force" => screen.remark("who does it, and how far it is: provost rotate status")?,
        "contain" if row.stage == "in_force" && row.waits_for > 0 => {
            screen
                .remark(&format!("it is done at once; others confirm it: provost cases approve {short} --reason …"))?;
        }
        _ => {}
    }
    Ok(Exit::Done)
}

/// Shows how long each stage takes.
pub fn latency(stages: &Stages, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(stages)?;
        return Ok(Exit::Done);
    }
    let took = |seconds: Option<i64>| seconds.map_or_else(|| "-".to_owned(), length);
    let rows = [
        ("owner known", stages.owner_known),
        ("decided", stages.decided),
        ("acted", stages.acted),
        ("verified", stages.verified),
    ];
    let rows = rows.into_iter().map(|(name, it)| {
        vec![
            name.into(),
            it.settled.to_string().into(),
            took(it.p50).into(),
            took(it.p90).into(),
            it.open.to_string().into(),
            Cell::new(took(it.oldest_open)).tone(if it.open > 0 { Tone::Warn } else { Tone::Plain }),
        ]
    });
    let header = ["from a fault to", "settled", "p50", "p90", "open", "oldest open"];
    screen.section("Identity decision latency", &header, rows.collect())?;
    Ok(Exit::Done)
}

/// A length of time as ages are shown.
fn length(seconds: i64) -> String {
    if seconds < 30 {
        return "at once".to_owned();
    }
    age::since(Time::from_seconds(0), Time::from_seconds(seconds))
}

impl Row for DecisionRow {
    const FIELDS: &'static [&'static str] = &[
        "id",
        "subject",
        "name",
        "ruling",
        "words",
        "stage",
        "waits_for",
        "because",
        "asked_by",
        "asked_at",
        "approved_by",
        "agreed_at",
        "until",
        "renewal",
        "rules",
        "purpose",
        "policy",
    ];
    const HEADINGS: &'static [&'static str] = &["id", "subject", "decision", "stands", "by", "since", "why"];

    fn fields(&self) -> Vec<String> {
        let time = |time: Option<Time>| time.map(|it| it.to_string()).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.subject.to_string(),
            self.name.clone(),
            self.ruling.to_owned(),
            self.words.clone(),
            self.stage.to_owned(),
            self.waits_for.to_string(),
            self.because.join("; "),
            self.asked_by.clone(),
            self.asked_at.to_string(),
            self.approved_by.join(" "),
            time(self.agreed_at),
            time(self.until),
            self.renewal.to_string(),
            self.rules.join(" "),
            self.purpose.clone(),
            self.policy.clone(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let by = std::iter::once(self.asked_by.as_str()).chain(self.approved_by.iter().map(String::as_str));
        vec![
            Cell::new(short_id(self.id)).tone(Tone::Faint),
            Cell::ending(&self.name, 24),
            self.words.clone().into(),
            Cell::new(self.standing()).tone(if self.waits_for > 0 { Tone::Warn } else { Tone::Plain }),
            by.collect::<Vec<_>>().join(", ").into(),
            age::since(self.asked_at, now).into(),
            self.purpose.clone().into(),
        ]
    }
}
