//! `sources list`, and what is said after `retire`, `repin` and `release`.
//! It must never show a partial run as a complete one.

use provost_model::{Outcome, Time};
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::output::{Cell, Row, Tone, age};

/// Notes of a source that are shown in a list of them.
const NOTES_MAX: usize = 6;

/// One source and its last run.
#[derive(Clone, Debug, Serialize)]
pub struct SourceRow {
    /// Its name in the configuration.
    pub name: String,
    /// Which connector looks.
    pub connector: String,
    /// The authority it is pinned to, once it met one.
    pub realm: Option<String>,
    /// Records it vouches for.
    pub records: u64,
    /// How its last run ended.
    pub outcome: Option<Outcome>,
    /// When its last run began.
    pub last_run: Option<Time>,
    /// When everything of it was last seen completely.
    pub last_complete: Option<Time>,
    /// When it is due next.
    pub next_run: Option<Time>,
    /// What somebody should know: held absences, what was not seen, another realm, retired.
    pub notes: Vec<String>,
    /// What it cannot see: what no interface of its provider shows anybody, and what its last run was not shown.
    pub cannot_see: Vec<String>,
}

/// Lists sources; their notes follow below the table.
pub fn list(rows: Vec<SourceRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let notes: Vec<String> =
        rows.iter().flat_map(|row| noted(row).map(|note| format!("{}: {note}", row.name))).collect();
    let empty = rows.is_empty();
    screen.rows(rows)?;
    if screen.is_table() {
        if empty {
            screen.remark("no sources are configured; `provost config example` shows how")?;
        }
        notes.iter().try_for_each(|note| screen.line(note))?;
    }
    Ok(Exit::Done)
}

/// The notes of a source in a list of them.
fn noted(row: &SourceRow) -> impl Iterator<Item = String> {
    let unseen = row.cannot_see.len();
    let things = if unseen == 1 { "thing" } else { "things" };
    let told = format!("{unseen} {things} it cannot see: provost sources show {}", row.name);
    let more = row.notes.len().saturating_sub(NOTES_MAX);
    let left = format!("{more} notes more: provost sources show {}", row.name);
    let shown = row.notes.iter().take(NOTES_MAX).cloned();
    shown.chain((more > 0).then_some(left)).chain((unseen > 0).then_some(told))
}

/// Shows one source wholly.
pub fn show(row: &SourceRow, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(row)?;
        return Ok(Exit::Done);
    }
    let time = |time: Option<Time>| time.map_or_else(|| "never".to_owned(), |it| it.to_string());
    screen.pairs(&[
        ("source", row.name.clone()),
        ("connector", row.connector.clone()),
        ("realm", row.realm.clone().unwrap_or_else(|| "not met yet".to_owned())),
        ("records", row.records.to_string()),
        ("last run", time(row.last_run)),
        ("outcome", row.outcome.map_or_else(|| "-".to_owned(), |it| it.word().to_owned())),
        ("complete", time(row.last_complete)),
        ("next run", row.next_run.map_or_else(|| "on demand".to_owned(), |it| it.to_string())),
    ])?;
    for (title, lines) in [("notes", &row.notes), ("cannot see", &row.cannot_see)] {
        if !lines.is_empty() {
            screen.line("")?;
            screen.line(&format!("{title}:"))?;
            lines.iter().try_for_each(|line| screen.line(&format!("  {line}")))?;
        }
    }
    Ok(Exit::Done)
}

/// What was done about one source, and what follows from it.
pub fn done(source: &str, what: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.remark(&format!("{source}: {what}"))?;
    Ok(Exit::Done)
}

/// The tone in which an outcome is shown.
pub(super) fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Complete => Tone::Good,
        Outcome::Running => Tone::Plain,
        Outcome::Partial | Outcome::Held => Tone::Warn,
        Outcome::Failed => Tone::Bad,
    }
}

impl Row for SourceRow {
    const FIELDS: &'static [&'static str] = &[
        "name",
        "connector",
        "realm",
        "records",
        "outcome",
        "last_run",
        "last_complete",
        "next_run",
        "notes",
        "cannot_see",
    ];
    const HEADINGS: &'static [&'static str] =
        &["name", "connector", "realm", "records", "last run", "outcome", "complete", "next"];

    fn fields(&self) -> Vec<String> {
        let time = |time: Option<Time>| time.map(|it| it.to_string()).unwrap_or_default();
        vec![
            self.name.clone(),
            self.connector.clone(),
            self.realm.clone().unwrap_or_default(),
            self.records.to_string(),
            self.outcome.map(|it| it.word().to_owned()).unwrap_or_default(),
            time(self.last_run),
            time(self.last_complete),
            time(self.next_run),
            self.notes.join("; "),
            self.cannot_see.join("; "),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let time =
            |time: Option<Time>, none: &str| time.map_or_else(|| none.to_owned(), |it| age::since(it, now)).into();
        let outcome = self.outcome.map_or_else(|| Cell::new("-"), |it| Cell::new(it.word()).tone(tone(it)));
        vec![
            self.name.clone().into(),
            self.connector.clone().into(),
            Cell::beginning(self.realm.as_deref().unwrap_or("-"), 20),
            self.records.to_string().into(),
            time(self.last_run, "never"),
            outcome,
            time(self.last_complete, "never"),
            time(self.next_run, "on demand"),
        ]
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::output::inventory::samples::NOW;
    use provost_model::Span;

    pub(crate) fn source(outcome: Outcome) -> SourceRow {
        SourceRow {
            name: "aws-prod".into(),
            connector: "aws".into(),
            realm: Some("aws:123456789012".into()),
            records: 1234,
            outcome: Some(outcome),
            last_run: Some(NOW - Span::hours(2)),
            last_complete: Some(NOW - Span::days(3)),
            next_run: Some(NOW + Span::hours(4)),
            notes: vec!["not seen: iam:ListAccessKeys".into()],
            cannot_see: vec!["who asked for it".into(), "what it is for".into()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::screen::fake::written, output::Format};

    #[test]
    fn a_partial_run_is_shown_as_partial() {
        let (out, _) = written(Format::Table, |screen| {
            list(vec![samples::source(Outcome::Partial)], screen).unwrap();
        });
        insta::assert_snapshot!(out, @r#"
    NAME      CONNECTOR  REALM             RECORDS  LAST RUN  OUTCOME  COMPLETE  NEXT
    aws-prod  aws        aws:123456789012  1234     2 h       partial  3 d       in 4 h
    aws-prod: not seen: iam:ListAccessKeys
    aws-prod: 2 things it cannot see: provost sources show aws-prod
    "#);
    }

    #[test]
    fn nothing_configured_says_what_to_do() {
        let (_, err) = written(Format::Table, |screen| {
            list(Vec::new(), screen).unwrap();
        });
        assert!(err.contains("provost config example"));
    }
}
