//! `sinks …`, `routes …`, `outbox …`: where people are told, by which routes, and what became of each letter.
//! It must never show a setting of a sink: one of them may be an address that is a secret.

use provost_actions::sinks::{Checked, SinkSpec};
use provost_model::Time;
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::output::{Cell, DeliveryRow, Row, Tone, age};

/// A configured sink as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, Serialize)]
pub struct SinkRow {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// look-up, dedup key, blind.
    pub delivery: &'static str,
    /// Letters a minute at most.
    pub per_minute: u32,
    /// Letters on their way to it.
    pub waiting: u64,
    /// Letters that were given up.
    pub dead: u64,
    /// Letters of which nobody knows whether they arrived.
    pub uncertain: u64,
    /// When one arrived last.
    pub last_delivered_at: Option<Time>,
}

/// A configured route as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, Serialize)]
pub struct RouteRow {
    /// Its name.
    pub name: String,
    /// Where it leads.
    pub to: String,
    /// Which cases it takes, in words.
    pub takes: String,
    /// What it tells of them.
    pub events: Vec<&'static str>,
    /// How, in words.
    pub form: String,
    /// Who enabled it; null until a daemon put it to work.
    pub enabled_by: Option<String>,
    /// When.
    pub enabled_at: Option<Time>,
    /// Cases that it told of and that stand.
    pub cases: u64,
}

/// What came of asking a sink.
#[derive(Clone, Debug, Serialize)]
pub struct CheckRow {
    /// The sink.
    pub sink: String,
    /// Whether it lets us in.
    pub ok: bool,
    /// What was found, or what is wrong.
    pub said: String,
}

/// A kind of sink as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct KindRow {
    /// The word in `kind = "…"`.
    pub kind: &'static str,
    /// Where letters go.
    pub about: &'static str,
    /// look-up, dedup key, blind.
    pub delivery: &'static str,
    /// The same in words.
    pub because: &'static str,
    /// How far it was tried out.
    pub checked: String,
}

impl From<&SinkSpec> for KindRow {
    fn from(spec: &SinkSpec) -> Self {
        Self {
            kind: spec.name,
            about: spec.about,
            delivery: spec.delivery.word(),
            because: spec.because,
            checked: checked(spec.checked),
        }
    }
}

/// How far a kind was tried out, in words.
pub fn checked(how: Checked) -> String {
    match how {
        Checked::RealServer(which) => format!("a real server: {which}"),
        Checked::Description(which) => format!("its maker's description: {which}"),
        Checked::Words => "its maker's words alone".to_owned(),
    }
}

impl Row for SinkRow {
    const FIELDS: &'static [&'static str] =
        &["name", "kind", "delivery", "per_minute", "waiting", "dead", "uncertain", "last_delivered_at"];
    const HEADINGS: &'static [&'static str] =
        &["name", "kind", "delivery", "a minute", "waiting", "dead", "uncertain", "last"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.kind.to_owned(),
            self.delivery.to_owned(),
            self.per_minute.to_string(),
            self.waiting.to_string(),
            self.dead.to_string(),
            self.uncertain.to_string(),
            self.last_delivered_at.map(|at| at.to_string()).unwrap_or_default(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let counted = |count: u64, tone: Tone| {
            let cell = Cell::new(count.to_string());
            if count > 0 { cell.tone(tone) } else { cell.tone(Tone::Faint) }
        };
        vec![
            self.name.clone().into(),
            self.kind.into(),
            self.delivery.into(),
            self.per_minute.to_string().into(),
            counted(self.waiting, Tone::Plain),
            counted(self.dead, Tone::Bad),
            counted(self.uncertain, Tone::Warn),
            self.last_delivered_at.map_or_else(|| "never".to_owned(), |at| age::since(at, now)).into(),
        ]
    }
}

impl Row for RouteRow {
    const FIELDS: &'static [&'static str] =
        &["name", "to", "takes", "events", "form", "enabled_by", "enabled_at", "cases"];
    const HEADINGS: &'static [&'static str] = &["name", "to", "takes", "form", "enabled", "cases"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.to.clone(),
            self.takes.clone(),
            self.events.join(" "),
            self.form.clone(),
            self.enabled_by.clone().unwrap_or_default(),
            self.enabled_at.map(|at| at.to_string()).unwrap_or_default(),
            self.cases.to_string(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let enabled = match (&self.enabled_by, self.enabled_at) {
            (Some(by), Some(at)) => Cell::new(format!("by {by}, {}", age::since(at, now))),
            _ => Cell::new("not yet").tone(Tone::Warn),
        };
        vec![
            self.name.clone().into(),
            self.to.clone().into(),
            self.takes.clone().into(),
            self.form.clone().into(),
            enabled,
            self.cases.to_string().into(),
        ]
    }
}

/// Lists sinks.
pub fn sinks(rows: Vec<SinkRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if rows.is_empty() && screen.is_table() {
        screen.remark("no sinks are configured; see: provost sinks kinds, provost sinks example KIND")?;
        return Ok(Exit::Done);
    }
    screen.rows(rows)?;
    Ok(Exit::Done)
}

/// Lists kinds of sinks.
pub fn kinds(rows: &[KindRow], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(rows)?;
        return Ok(Exit::Done);
    }
    for row in rows {
        screen.prose(&format!("{}: {}", row.kind, row.about))?;
        screen.told(&format!("without a clear answer: {}: {}", row.delivery, row.because))?;
        screen.told(&format!("checked against {}", row.checked))?;
    }
    Ok(Exit::Done)
}

/// Shows what came of asking sinks.
pub fn checks(rows: &[CheckRow], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let exit = if rows.iter().all(|row| row.ok) { Exit::Done } else { Exit::Failed };
    if !screen.is_table() {
        screen.value(rows)?;
        return Ok(exit);
    }
    for row in rows {
        let word = if row.ok { "ok" } else { "not ok" };
        screen.prose(&format!("{}: {word}: {}", row.sink, row.said))?;
    }
    Ok(exit)
}

/// Shows a message as it would be sent. It passed the sink's own door; this one keeps it from doing anything to a terminal.
pub fn preview(text: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if screen.is_table() {
        screen.lines(text)?
    } else {
        screen.value(text)?
    }
    Ok(Exit::Done)
}

/// Shows an entry for the configuration, as it is to be copied.
pub fn example(text: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.lines(text)?;
    Ok(Exit::Done)
}

/// Lists routes.
pub fn routes(rows: Vec<RouteRow>, no_rest: bool, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if rows.is_empty() && screen.is_table() {
        screen.remark("no routes are configured: nobody is told of anything")?;
        return Ok(Exit::Done);
    }
    screen.rows(rows)?;
    if no_rest && screen.is_table() {
        screen.remark("cases that none of them takes are told of nowhere: one with rest = true would take those")?;
    }
    Ok(Exit::Done)
}

/// Says by which routes a case is told of.
pub fn routes_of(about: &str, names: &[String], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(names)?;
    } else if names.is_empty() {
        screen.line(&format!("{about}: no route takes it"))?;
    } else {
        screen.line(&format!("{about}: {}", names.join(", ")))?;
    }
    Ok(Exit::Done)
}

/// Lists letters.
pub fn outbox(rows: Vec<DeliveryRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let count = |state: &str| rows.iter().filter(|row| row.state == state).count();
    let (all, waits, dead, uncertain) =
        (rows.len(), count("waits") + count("trying"), count("dead"), count("uncertain"));
    screen.rows(rows)?;
    if screen.is_table() {
        let word = if all == 1 { "letter" } else { "letters" };
        screen.remark(&format!("{all} {word}, {waits} on their way, {dead} given up, {uncertain} uncertain"))?;
        if dead > 0 {
            screen.remark("send those that were given up on their way again: provost outbox retry --dead")?;
        }
    }
    Ok(Exit::Done)
}

/// Shows one letter, as it would be read.
pub fn letter(row: &DeliveryRow, text: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    #[derive(Serialize)]
    struct Whole<'a> {
        letter: &'a DeliveryRow,
        text: &'a str,
    }
    if !screen.is_table() {
        screen.value(&Whole { letter: row, text })?;
        return Ok(Exit::Done);
    }
    let now = screen.look.now;
    let mut pairs = vec![
        ("id", row.id.to_string()),
        ("route", format!("{}, to {}", row.route, row.sink)),
        ("state", row.state.to_owned()),
        ("written", age::dated(row.written_at, now)),
        ("tries", row.tries.to_string()),
    ];
    pairs.extend(row.next_at.map(|at| ("next try", age::dated(at, now))));
    pairs.extend(row.ended_at.map(|at| ("ended", age::dated(at, now))));
    pairs.extend(row.said.clone().map(|said| ("said", said)));
    pairs.extend(row.reference.clone().map(|reference| ("reference", reference)));
    pairs.extend(row.url.clone().map(|url| ("url", url)));
    screen.pairs(&pairs)?;
    screen.line("")?;
    screen.prose(text)?;
    Ok(Exit::Done)
}

/// Says what was done to letters.
pub fn done(letters: usize, what: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let word = if letters == 1 { "letter" } else { "letters" };
    screen.line(&format!("{letters} {word} {what}"))?;
    Ok(Exit::Done)
}
