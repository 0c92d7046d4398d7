//! `inventory groups|why-linked|unlink|link-again`: how records hang together.
//! It must never show a group without what it rests on being one command away.

use provost_model::{RecordId, Time};
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::output::{Cell, Row, Tone, age, inventory::short_id};

/// A group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupRow {
    /// What its records are one of: secret, identity, person.
    pub of: &'static str,
    /// Its name: the id of its oldest record.
    pub id: RecordId,
    /// What its oldest record is called.
    pub name: String,
    /// The systems that name its records.
    pub systems: Vec<String>,
    /// Its records, oldest first.
    pub records: Vec<RecordId>,
    /// When it last changed.
    pub changed_at: Time,
}

/// A key that does not unite those who carry it.
#[derive(Clone, Debug, Serialize)]
pub struct HeldRow {
    /// What it could unite: secret, identity, person.
    pub of: &'static str,
    /// The key.
    pub key: String,
    /// Why it does not: crowded, too_large, bridge, reused, twins.
    pub because: &'static str,
    /// The same in a clause.
    pub words: &'static str,
    /// How many records it is not believed of.
    pub count: u64,
    /// Some of those records, oldest first.
    pub records: Vec<RecordId>,
    /// Since when something of it is held back.
    pub since: Time,
}

/// Records that an operator keeps apart.
#[derive(Clone, Debug, Serialize)]
pub struct ApartRow {
    /// One side, the record that was named first.
    pub one: Vec<RecordId>,
    /// The other side.
    pub other: Vec<RecordId>,
    /// The user id of whoever said so.
    pub by: u32,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
    /// The user id of whoever took it back, if it was.
    pub released_by: Option<u32>,
    /// When it was taken back.
    pub released_at: Option<Time>,
    /// Why it was taken back.
    pub released_reason: Option<String>,
}

/// One end of a step: a record, and where it says the key.
#[derive(Clone, Debug, Serialize)]
pub struct EndRow {
    /// The record.
    pub id: RecordId,
    /// What sort of thing, its name and its system, in a few words.
    pub words: String,
    /// The attribute that says the key.
    pub field: Option<&'static str>,
    /// The source that said so.
    pub source: Option<String>,
    /// The provider's time of that statement.
    pub as_of: Option<Time>,
    /// Whether the record is still there: present, missing, gone, unwatched.
    pub presence: &'static str,
}

/// One step from one record to another.
#[derive(Clone, Debug, Serialize)]
pub struct StepRow {
    /// From here …
    pub from: EndRow,
    /// … to there …
    pub to: EndRow,
    /// … by this key.
    pub key: String,
    /// Why it does not unite the two, if it does not.
    pub broken: Option<String>,
}

/// Why two records are one, or are not.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    /// Whether they are one.
    pub linked: bool,
    /// What they are one of, if they are, or could be.
    pub of: Option<&'static str>,
    /// The group both are in.
    pub group: Option<RecordId>,
    /// The answer in a sentence.
    pub said: String,
    /// The chain of records and keys between them.
    pub chain: Vec<StepRow>,
    /// The words by which they are kept apart.
    pub apart: Vec<ApartRow>,
}

/// Lists groups.
pub fn groups(rows: Vec<GroupRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    listed(rows, ("group", "groups"), screen)
}

/// Lists keys that are held back.
pub fn held(rows: Vec<HeldRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    listed(rows, ("key held back", "keys held back"), screen)
}

/// Lists who is kept apart.
pub fn apart(rows: Vec<ApartRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    listed(rows, ("word that keeps records apart", "words that keep records apart"), screen)
}

fn listed<R: Row>(rows: Vec<R>, (one, many): (&str, &str), screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let count = rows.len();
    screen.rows(rows)?;
    if screen.is_table() {
        screen.remark(&format!("{count} {}", if count == 1 { one } else { many }))?;
    }
    Ok(Exit::Done)
}

/// Shows why two records are one, or are not.
pub fn why(why: &Why, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(why)?;
        return Ok(Exit::Done);
    }
    screen.prose(&why.said)?;
    for step in &why.chain {
        screen.line("")?;
        let broken = step.broken.as_ref().map_or_else(String::new, |because| format!(" (does not unite: {because})"));
        screen.prose(&format!("{}{broken}", step.key))?;
        for end in [&step.from, &step.to] {
            screen.prose(&format!("  {}", told(end, screen.look.now)))?;
        }
    }
    for word in &why.apart {
        screen.line("")?;
        screen.prose(&format!("kept apart by uid {} at {}: {}", word.by, word.at.whole_seconds(), word.reason))?;
    }
    Ok(Exit::Done)
}

fn told(end: &EndRow, now: Time) -> String {
    let said = match (&end.field, &end.source, end.as_of) {
        (Some(field), Some(source), Some(as_of)) => {
            format!(": {field} as of {}, from {source}", age::dated(as_of, now))
        }
        _ => String::new(),
    };
    let presence = if end.presence == "present" { String::new() } else { format!(", {}", end.presence) };
    format!("{} ({}){presence}{said}", end.words, short_id(end.id))
}

/// Says what was done about two records.
pub fn done(rows: &[ApartRow], said: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(rows)?;
        return Ok(Exit::Done);
    }
    screen.prose(said)?;
    Ok(Exit::Done)
}

fn ids(ids: &[RecordId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn short(ids: &[RecordId]) -> String {
    ids.iter().map(|id| short_id(*id)).collect::<Vec<_>>().join(" ")
}

impl Row for GroupRow {
    const FIELDS: &'static [&'static str] = &["of", "id", "name", "systems", "records", "changed_at"];
    const HEADINGS: &'static [&'static str] = &["group", "one", "name", "systems", "records", "changed"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.of.to_owned(),
            self.id.to_string(),
            self.name.clone(),
            self.systems.join(" "),
            ids(&self.records),
            self.changed_at.to_string(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        vec![
            Cell::new(short_id(self.id)).tone(Tone::Faint),
            self.of.into(),
            Cell::ending(&self.name, 40),
            self.systems.join(" ").into(),
            self.records.len().to_string().into(),
            age::since(self.changed_at, now).into(),
        ]
    }
}

impl Row for HeldRow {
    const FIELDS: &'static [&'static str] = &["of", "key", "because", "words", "count", "records", "since"];
    const HEADINGS: &'static [&'static str] = &["one", "key", "records", "held back because", "since"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.of.to_owned(),
            self.key.clone(),
            self.because.to_owned(),
            self.words.to_owned(),
            self.count.to_string(),
            ids(&self.records),
            self.since.to_string(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        vec![
            self.of.into(),
            Cell::beginning(&self.key, 60),
            self.count.to_string().into(),
            Cell::new(self.words).tone(Tone::Warn),
            age::since(self.since, now).into(),
        ]
    }
}

impl Row for ApartRow {
    const FIELDS: &'static [&'static str] =
        &["one", "other", "by", "at", "reason", "released_by", "released_at", "released_reason"];
    const HEADINGS: &'static [&'static str] = &["one side", "other side", "by", "when", "why", "taken back"];

    fn fields(&self) -> Vec<String> {
        vec![
            ids(&self.one),
            ids(&self.other),
            self.by.to_string(),
            self.at.to_string(),
            self.reason.clone(),
            self.released_by.map(|it| it.to_string()).unwrap_or_default(),
            self.released_at.map(|it| it.to_string()).unwrap_or_default(),
            self.released_reason.clone().unwrap_or_default(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let released = self.released_at.map(|at| age::since(at, now));
        vec![
            short(&self.one).into(),
            short(&self.other).into(),
            format!("uid {}", self.by).into(),
            age::since(self.at, now).into(),
            self.reason.clone().into(),
            released.unwrap_or_else(|| "-".to_owned()).into(),
        ]
    }
}
