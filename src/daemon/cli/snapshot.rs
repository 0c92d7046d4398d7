//! `snapshot take|list|diff|verify`: what is said of snapshots.
//! It must never call a snapshot whole whose digests were not checked.

use provost_model::{Kind, RecordId, Time};
use serde::Serialize;

use super::{CliError, Exit, Screen, status::bytes};
use crate::output::{Cell, Row, Tone, age, inventory::short_id};

/// One snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotRow {
    /// Its name, by which `diff` and `verify` find it.
    pub name: String,
    /// The commit it shows.
    pub commit: u64,
    /// When it was taken.
    pub taken_at: Time,
    /// Records in it.
    pub records: u64,
    /// Findings in it.
    pub findings: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// One difference between two moments.
#[derive(Clone, Debug, Serialize)]
pub struct DiffRow {
    /// What happened in between: appeared, changed, missing, gone, returned.
    pub what: String,
    /// The record.
    pub id: RecordId,
    /// What sort of thing it is.
    pub kind: Kind,
    /// What the provider calls it.
    pub external_id: String,
    /// What people call it.
    pub name: String,
    /// The attribute that differs, if one does.
    pub field: Option<String>,
    /// Before, in plain words.
    pub old: Option<String>,
    /// After, in plain words.
    pub new: Option<String>,
}

/// What checking one snapshot showed.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyRow {
    /// Its name.
    pub name: String,
    /// Whether every digest is right.
    pub whole: bool,
    /// What is wrong, or what was checked.
    pub said: String,
}

/// Lists snapshots.
pub fn list(rows: Vec<SnapshotRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.rows(rows)?;
    Ok(Exit::Done)
}

/// Shows the one just taken.
pub fn taken(row: SnapshotRow, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.rows([row])?;
    Ok(Exit::Done)
}

/// Shows differences.
pub fn diff(rows: Vec<DiffRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let none = rows.is_empty();
    screen.rows(rows)?;
    if none && screen.is_table() {
        screen.remark("no differences")?;
    }
    Ok(Exit::Done)
}

/// Shows what checking showed; exit 1 if a snapshot is not whole.
pub fn verify(rows: Vec<VerifyRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let exit = if rows.iter().all(|row| row.whole) { Exit::Done } else { Exit::Failed };
    screen.rows(rows)?;
    Ok(exit)
}

impl Row for SnapshotRow {
    const FIELDS: &'static [&'static str] = &["name", "commit", "taken_at", "records", "findings", "bytes"];
    const HEADINGS: &'static [&'static str] = &["name", "commit", "taken", "records", "findings", "size"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.commit.to_string(),
            self.taken_at.to_string(),
            self.records.to_string(),
            self.findings.to_string(),
            self.bytes.to_string(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        vec![
            self.name.clone().into(),
            self.commit.to_string().into(),
            age::since(self.taken_at, now).into(),
            self.records.to_string().into(),
            self.findings.to_string().into(),
            bytes(self.bytes).into(),
        ]
    }
}

impl Row for DiffRow {
    const FIELDS: &'static [&'static str] = &["what", "id", "kind", "external_id", "name", "field", "old", "new"];
    const HEADINGS: &'static [&'static str] = &["what", "id", "kind", "name", "field", "before", "after"];

    fn fields(&self) -> Vec<String> {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            self.what.clone(),
            self.id.to_string(),
            self.kind.name().to_owned(),
            self.external_id.clone(),
            self.name.clone(),
            or_empty(&self.field),
            or_empty(&self.old),
            or_empty(&self.new),
        ]
    }

    fn cells(&self, _: Time) -> Vec<Cell> {
        let or_dash = |text: &Option<String>| Cell::new(text.clone().unwrap_or_else(|| "-".to_owned()));
        vec![
            self.what.clone().into(),
            Cell::new(short_id(self.id)).tone(Tone::Faint),
            self.kind.name().into(),
            self.name.clone().into(),
            or_dash(&self.field),
            or_dash(&self.old),
            or_dash(&self.new),
        ]
    }
}

impl Row for VerifyRow {
    const FIELDS: &'static [&'static str] = &["name", "whole", "said"];
    const HEADINGS: &'static [&'static str] = &["name", "whole", "said"];

    fn fields(&self) -> Vec<String> {
        vec![self.name.clone(), self.whole.to_string(), self.said.clone()]
    }

    fn cells(&self, _: Time) -> Vec<Cell> {
        let whole = if self.whole { Cell::new("yes").tone(Tone::Good) } else { Cell::new("no").tone(Tone::Bad) };
        vec![self.name.clone().into(), whole, self.said.clone().into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::screen::fake::written,
        output::{Format, inventory::samples::NOW},
    };

    #[test]
    fn one_snapshot_that_is_not_whole_fails_the_check() {
        let row =
            |whole| VerifyRow { name: "2026-10-01".into(), whole, said: "records.ndjson.zst: another digest".into() };
        let (out, _) = written(Format::Table, |screen| {
            assert_eq!(verify(vec![row(true), row(false)], screen).unwrap(), Exit::Failed);
        });
        assert!(out.contains("another digest"));
    }

    #[test]
    fn snapshots_and_differences_read_as_tables() {
        let (out, _) = written(Format::Table, |screen| {
            let row = SnapshotRow {
                name: "2026-10-01T030500Z".into(),
                commit: 4711,
                taken_at: NOW,
                records: 100_000,
                findings: 321,
                bytes: 5 << 20,
            };
            list(vec![row], screen).unwrap();
            let row = DiffRow {
                what: "changed".into(),
                id: RecordId::from_bytes([1; 16]),
                kind: Kind::AccessKey,
                external_id: "AKIA".into(),
                name: "deploy".into(),
                field: Some("status".into()),
                old: Some("active".into()),
                new: Some("inactive".into()),
            };
            diff(vec![row], screen).unwrap();
        });
        insta::assert_snapshot!(out, @r#"
    NAME                COMMIT  TAKEN  RECORDS  FINDINGS  SIZE
    2026-10-01T030500Z  4711    now    100000   321       5.0 MiB
    WHAT     ID        KIND        NAME    FIELD   BEFORE  AFTER
    changed  01010101  access_key  deploy  status  active  inactive
    "#);
    }
}
