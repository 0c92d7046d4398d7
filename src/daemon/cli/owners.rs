//! `owners list|explain`, and what is said after `confirm` and `withdraw`.
//! It must never show an owner without how sure that is.

use provost_engine::own::told;
use provost_model::{Kind, Owner, OwnerWord, Party, Record, RecordId, Time};
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::output::{Cell, Row, Tone, inventory::short_id};

/// Longest name in a table.
const NAME_MOST: usize = 30;

/// One record and who answers for it.
#[derive(Clone, Debug, Serialize)]
pub struct OwnerRow {
    /// The record.
    pub id: RecordId,
    /// Its kind.
    pub kind: Kind,
    /// What people call it.
    pub name: String,
    /// The sources that see it.
    pub source: Vec<String>,
    /// Who answers for it, if anybody is named.
    pub owner: Option<String>,
    /// What is known of whoever is called so.
    pub party: Party,
    /// How sure that is, 0 to 1.
    pub confidence: f64,
    /// When a human being last confirmed it.
    pub confirmed: Option<Time>,
    /// Since when the owner has left.
    pub left: Option<Time>,
    /// Others of comparable confidence.
    pub conflicts: Vec<String>,
}

/// One record's owner in full.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedOwner {
    /// The record.
    pub id: RecordId,
    /// The record in a line.
    pub about: String,
    /// Who answers for it, with all evidence.
    pub owner: Option<Owner>,
    /// The provider's directory owners: no evidence, and shown apart.
    pub directory_owners: Vec<String>,
    /// What human beings said about it, oldest first.
    pub words: Vec<OwnerWord>,
}

impl OwnerRow {
    /// The row of a record.
    pub fn of(record: &Record, source: Vec<String>, owner: Option<Owner>) -> Self {
        let owner = owner.unwrap_or_default();
        let conflicts = owner.conflicts().map(|it| format!("{} {:.2}", it.name, it.confidence)).collect();
        Self {
            id: record.id,
            kind: record.kind,
            name: record.name(),
            source,
            party: owner.party,
            confidence: owner.confidence,
            confirmed: owner.confirmed,
            left: owner.left,
            conflicts,
            owner: Some(owner.name).filter(|name| !name.is_empty()),
        }
    }
}

/// Lists records and their owners.
pub fn list(rows: Vec<OwnerRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let (count, owned) = (rows.len(), rows.iter().filter(|row| row.owner.is_some()).count());
    let sure = rows.iter().filter(|row| row.confidence >= SURE).count();
    screen.rows(rows)?;
    if screen.is_table() {
        let word = if count == 1 { "record" } else { "records" };
        screen.remark(&format!("{count} {word}; of {owned} somebody is named, of {sure} with confidence {SURE}"))?;
    }
    Ok(Exit::Done)
}

/// Whoever is as likely as that counts as owner by default.
const SURE: f64 = 0.6;

/// Shows all evidence about one record's owner.
pub fn explain(it: &ExplainedOwner, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(it)?;
        return Ok(Exit::Done);
    }
    screen.pairs(&[("record", it.about.clone())])?;
    screen.prose("\nOwner")?;
    match &it.owner {
        Some(owner) => told(owner).iter().try_for_each(|line| screen.told(line))?,
        None => screen.told("nobody is named anywhere")?,
    }
    if !it.directory_owners.is_empty() {
        screen.prose("\nDirectory owners: who may add credentials, which is no evidence")?;
        it.directory_owners.iter().try_for_each(|name| screen.told(name))?;
    }
    if !it.words.is_empty() {
        screen.prose("\nSaid by people")?;
    }
    for word in &it.words {
        let what = word.owner.as_ref().map_or_else(|| "withdrawn".to_owned(), |owner| format!("{owner} confirmed"));
        screen.told(&format!("{} {what} by {}: {}", word.at.whole_seconds(), word.by, word.reason))?;
    }
    Ok(Exit::Done)
}

/// What somebody said about one record, and what follows from it.
pub fn done(record: &str, what: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.remark(&format!("{record}: {what}"))?;
    Ok(Exit::Done)
}

impl Row for OwnerRow {
    const FIELDS: &'static [&'static str] =
        &["id", "kind", "name", "source", "owner", "party", "confidence", "confirmed", "left", "conflicts"];
    const HEADINGS: &'static [&'static str] = &["id", "kind", "name", "owner", "confidence", "notes"];

    fn fields(&self) -> Vec<String> {
        let time = |time: Option<Time>| time.map(|it| it.to_string()).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.kind.to_string(),
            self.name.clone(),
            self.source.join(" "),
            self.owner.clone().unwrap_or_default(),
            word(self.party).to_owned(),
            format!("{:.2}", self.confidence),
            time(self.confirmed),
            time(self.left),
            self.conflicts.join("; "),
        ]
    }

    fn cells(&self, _: Time) -> Vec<Cell> {
        let mut notes = Vec::new();
        notes.extend(self.confirmed.map(|_| "confirmed".to_owned()));
        notes.extend(self.left.map(|_| "left".to_owned()));
        if !self.conflicts.is_empty() {
            notes.push(format!("or {}", self.conflicts.join(", ")));
        }
        let tone = match (self.owner.is_some() && self.confidence >= SURE, self.left) {
            (true, None) => Tone::Plain,
            (true, Some(_)) => Tone::Bad,
            (false, _) => Tone::Warn,
        };
        vec![
            short_id(self.id).into(),
            self.kind.name().into(),
            Cell::beginning(&self.name, NAME_MOST),
            Cell::new(self.owner.clone().unwrap_or_else(|| "-".to_owned())).tone(tone),
            format!("{:.2}", self.confidence).into(),
            notes.join(", ").into(),
        ]
    }
}

fn word(party: Party) -> &'static str {
    match party {
        Party::Unknown => "unknown",
        Party::Person => "person",
        Party::Team => "team",
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{OtherOwner, OwnerEvidence, Signal};

    use super::*;
    use crate::{
        cli::screen::fake::written,
        output::{Format, inventory::samples::NOW},
    };

    fn owner() -> Owner {
        let piece = |signal, source: &str, names: &str, confidence| OwnerEvidence {
            signal,
            source: source.into(),
            names: names.into(),
            as_of: None,
            weight: confidence,
            confidence,
        };
        let bob = OtherOwner {
            name: "bob".into(),
            confidence: 0.8,
            conflicts: true,
            left: None,
            evidence: vec![piece(Signal::AppOwner, "app_owner", "bob@x.org", 0.8)],
        };
        Owner {
            party: Party::Person,
            evidence: vec![piece(Signal::Tag, "tag Owner", "Ann\u{1b}[2J", 0.9)],
            others: vec![bob],
            ..Owner::named("ann", 0.9)
        }
    }

    fn row(owner: Option<Owner>) -> OwnerRow {
        let owner = owner.unwrap_or_default();
        OwnerRow {
            id: RecordId::from_bytes([7; 16]),
            kind: Kind::Role,
            name: "deploy".into(),
            source: vec!["aws-prod".into()],
            party: owner.party,
            confidence: owner.confidence,
            confirmed: None,
            left: owner.left,
            conflicts: owner.conflicts().map(|it| format!("{} {:.2}", it.name, it.confidence)).collect(),
            owner: Some(owner.name).filter(|it| !it.is_empty()),
        }
    }

    #[test]
    fn owners_are_listed_with_how_sure_they_are() {
        let gone = Owner { left: Some(NOW), ..Owner::named("carol", 0.9) };
        let (out, err) = written(Format::Table, |screen| {
            list(vec![row(Some(owner())), row(Some(gone)), row(None)], screen).unwrap();
        });
        insta::assert_snapshot!(out, @r"
        ID        KIND  NAME    OWNER  CONFIDENCE  NOTES
        07070707  role  deploy  ann    0.90        or bob 0.80
        07070707  role  deploy  carol  0.90        left
        07070707  role  deploy  -      0.00
        ");
        assert_eq!(err, "3 records; of 2 somebody is named, of 2 with confidence 0.6\n");
        let (out, _) = written(Format::Csv, |screen| drop(list(vec![row(Some(owner()))], screen)));
        insta::assert_snapshot!(out, @r"
        id,kind,name,source,owner,party,confidence,confirmed,left,conflicts
        07070707-0707-0707-0707-070707070707,role,deploy,aws-prod,ann,person,0.90,,,bob 0.80
        ");
    }

    #[test]
    fn an_owner_is_explained_with_all_that_speaks_for_others() {
        let word = |owner: Option<&str>| OwnerWord {
            owner: owner.map(str::to_owned),
            by: "eve".into(),
            at: NOW,
            reason: "asked".into(),
        };
        let it = ExplainedOwner {
            id: RecordId::from_bytes([7; 16]),
            about: "role deploy (07070707)".into(),
            owner: Some(owner()),
            directory_owners: vec!["mallory@x.org".into()],
            words: vec![word(Some("bob")), word(None)],
        };
        let (out, _) = written(Format::Table, |screen| drop(explain(&it, screen)));
        insta::assert_snapshot!(out, @r"
        record  role deploy (07070707)

        Owner
          ann (a person): confidence 0.90
            tag: tag Owner says Ann\u{1b}[2J, 0.90
          contradicted by bob: confidence 0.80
            app_owner: app_owner says bob@x.org, 0.80

        Directory owners: who may add credentials, which is no evidence
          mallory@x.org

        Said by people
          2026-09-21T14:13:20Z bob confirmed by eve: asked
          2026-09-21T14:13:20Z withdrawn by eve: asked
        ");
    }
}
