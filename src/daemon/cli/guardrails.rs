//! `cases guardrails …`: what policy decides by itself, and what it leaves to people.
//! It must never show what a guardrail would decide without showing what it leaves, and why.

use provost_engine::govern::Guardrail;
use provost_model::{RecordId, Remedy, Time};
use provost_store::inventory::StandingRow;
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::output::{Cell, Row, Tone, inventory::short_id};

/// A guardrail as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, Serialize)]
pub struct GuardrailRow {
    /// Its name.
    pub name: String,
    /// stands, off, or not_yet (it is switched on, and no daemon has written that down yet).
    pub state: &'static str,
    /// rotate or disable.
    pub remedy: Remedy,
    /// About faults of these rules.
    pub rules: Vec<String>,
    /// About these kinds of things; any if there are none.
    pub kinds: Vec<&'static str>,
    /// Seen by one of these sources; any if there are none.
    pub sources: Vec<String>,
    /// About production, too.
    pub production: bool,
    /// Seconds in which people may decide first.
    pub after_seconds: i64,
    /// Decisions within a day at most.
    pub per_day: usize,
    /// Decisions within the last day.
    pub today: usize,
    /// Who answers for what it decides.
    pub answers: String,
    /// Why that person cannot, if so.
    pub nobody_answers: Option<String>,
    /// Since when it stands as it is.
    pub since: Option<Time>,
    /// Why it may decide.
    pub purpose: String,
    /// Digest of all of it, which its decisions name.
    pub policy: String,
}

/// What a guardrail makes of one subject. Field names and order are pinned.
#[derive(Clone, Debug, Serialize)]
pub struct WouldRow {
    /// The subject.
    pub id: RecordId,
    /// Its kind.
    pub kind: &'static str,
    /// What people call it.
    pub name: String,
    /// What the provider calls it.
    pub external_id: String,
    /// Rules whose faults the guardrail is about.
    pub rules: Vec<String>,
    /// rotate or disable, if it decides.
    pub decides: Option<Remedy>,
    /// Why it leaves it to people, if it does.
    pub left: Option<String>,
}

impl GuardrailRow {
    /// The row of a guardrail. `stands` is what is written down of it.
    pub fn of(it: &Guardrail, stands: Option<&StandingRow>, today: usize, nobody_answers: Option<String>) -> Self {
        let stands = stands.filter(|row| it.enabled && row.policy == it.digest());
        Self {
            name: it.name.clone(),
            state: match (it.enabled, stands.is_some()) {
                (false, _) => "off",
                (true, false) => "not_yet",
                (true, true) => "stands",
            },
            remedy: it.remedy,
            rules: it.rules.clone(),
            kinds: it.kinds.iter().map(|kind| kind.name()).collect(),
            sources: it.sources.clone(),
            production: it.production,
            after_seconds: it.after,
            per_day: it.a_day,
            today,
            answers: it.answers.clone(),
            nobody_answers,
            since: stands.map(|row| row.at),
            purpose: it.purpose.as_str().to_owned(),
            policy: it.digest(),
        }
    }
}

/// Lists guardrails.
pub fn list(rows: Vec<GuardrailRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let (none, silent) = (rows.is_empty(), rows.iter().any(|row| row.nobody_answers.is_some()));
    screen.rows(rows)?;
    if screen.is_table() {
        if none {
            screen.remark("people decide everything: there is no [[guardrails]] entry")?;
        } else {
            screen.remark("what one would decide, and what it leaves to people: provost cases guardrails NAME")?;
        }
        if silent {
            screen.remark("one that nobody answers for decides nothing")?;
        }
    }
    Ok(Exit::Done)
}

/// Lists what one guardrail would decide, then what it leaves to people.
pub fn would(name: &str, mut rows: Vec<WouldRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    rows.sort_by_key(|row| (row.left.is_some(), row.id));
    let (all, decides) = (rows.len(), rows.iter().filter(|row| row.left.is_none()).count());
    screen.rows(rows)?;
    if screen.is_table() {
        if all == 0 {
            screen.remark(&format!("nothing stands that {name} is about"))?;
            return Ok(Exit::Done);
        }
        let left = all - decides;
        screen.remark(&format!("{name} would decide about {decides} of {all}, and leaves {left} to people"))?;
        screen
            .remark("one after the other, as many a day as it may; each can be taken back: provost cases withdraw")?;
    }
    Ok(Exit::Done)
}

impl Row for GuardrailRow {
    const FIELDS: &'static [&'static str] = &[
        "name",
        "state",
        "remedy",
        "rules",
        "kinds",
        "sources",
        "production",
        "after_seconds",
        "per_day",
        "today",
        "answers",
        "nobody_answers",
        "since",
        "purpose",
        "policy",
    ];
    const HEADINGS: &'static [&'static str] = &["name", "state", "decides", "about", "today", "answers", "why"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.state.to_owned(),
            self.remedy.word().to_owned(),
            self.rules.join(" "),
            self.kinds.join(" "),
            self.sources.join(" "),
            self.production.to_string(),
            self.after_seconds.to_string(),
            self.per_day.to_string(),
            self.today.to_string(),
            self.answers.clone(),
            self.nobody_answers.clone().unwrap_or_default(),
            self.since.map(|it| it.to_string()).unwrap_or_default(),
            self.purpose.clone(),
            self.policy.clone(),
        ]
    }

    fn cells(&self, _: Time) -> Vec<Cell> {
        let answers = match &self.nobody_answers {
            Some(why) => Cell::new(why.clone()).tone(Tone::Bad),
            None => self.answers.clone().into(),
        };
        vec![
            self.name.clone().into(),
            Cell::new(self.state.replace('_', " ")).tone(if self.state == "stands" {
                Tone::Plain
            } else {
                Tone::Faint
            }),
            self.remedy.word().into(),
            self.rules.join(" ").into(),
            format!("{} of {}", self.today, self.per_day).into(),
            answers,
            self.purpose.clone().into(),
        ]
    }
}

impl Row for WouldRow {
    const FIELDS: &'static [&'static str] = &["id", "kind", "name", "external_id", "rules", "decides", "left"];
    const HEADINGS: &'static [&'static str] = &["id", "kind", "subject", "faults", "decides", "or leaves it, because"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.kind.to_owned(),
            self.name.clone(),
            self.external_id.clone(),
            self.rules.join(" "),
            self.decides.map(|it| it.word().to_owned()).unwrap_or_default(),
            self.left.clone().unwrap_or_default(),
        ]
    }

    fn cells(&self, _: Time) -> Vec<Cell> {
        vec![
            Cell::new(short_id(self.id)).tone(Tone::Faint),
            self.kind.into(),
            Cell::ending(&self.name, 32),
            self.rules.join(" ").into(),
            self.decides.map_or("-", Remedy::word).into(),
            self.left.clone().unwrap_or_default().into(),
        ]
    }
}
