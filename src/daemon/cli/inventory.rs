//! `inventory list|show|history`.
//! It must never show a value without saying whether it is known.

use std::collections::BTreeMap;

use provost_engine::own::told;
use provost_model::{Owner, RecordId, Time, Unites, field};
use serde::Serialize;

use super::{
    CliError, Exit, Screen,
    custody::{self, CustodyRow},
};
use crate::{
    filter::LeftOut,
    output::{
        Cell, InventoryRow, Row, Tone, age,
        inventory::{said, short_id},
    },
};

/// What one scope said of a record.
#[derive(Clone, Debug, Serialize)]
pub struct SaidRow {
    /// The source.
    pub source: String,
    /// The scope's path, with its part if it has parts.
    pub scope: String,
    /// The provider's time.
    pub as_of: Time,
    /// When it was committed.
    pub recorded: Time,
    /// What the scope holds of it now: seen, missing, gone (why), unwatched.
    pub standing: String,
    /// How many attributes it spoke of.
    pub facts: usize,
}

/// One change of one record.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryRow {
    /// When it was committed.
    pub recorded: Time,
    /// The provider's time.
    pub as_of: Time,
    /// What happened: appeared, changed, missing ….
    pub what: String,
    /// The attribute that differs, if one does.
    pub field: Option<String>,
    /// What was believed, in plain words.
    pub old: Option<String>,
    /// What is believed since, in plain words.
    pub new: Option<String>,
    /// The source that said so.
    pub source: String,
}

/// Lists records.
pub fn list(rows: Vec<InventoryRow>, left_out: &LeftOut, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.left_out(left_out)?;
    let count = rows.len();
    screen.rows(rows)?;
    if screen.is_table() {
        screen.remark(&format!("{count} {}", if count == 1 { "record" } else { "records" }))?;
    }
    Ok(Exit::Done)
}

/// What a record's page shows beside its row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// Who answers for it.
    pub owner: Option<&'a Owner>,
    /// What its secret opens, where it is kept and who reads it; nothing for what is no secret, or of a former time.
    pub custody: Option<&'a CustodyRow>,
    /// Who said what of it.
    pub said_by: &'a [SaidRow],
    /// The groups it is in.
    pub groups: &'a [(Unites, RecordId)],
}

/// Shows everything known of one record, and who said it.
pub fn show(row: &InventoryRow, page: &Page<'_>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let Page { owner, custody, said_by, groups } = *page;
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        row: &'a InventoryRow,
        ownership: Option<&'a Owner>,
        custody: Option<&'a CustodyRow>,
        statements: &'a [SaidRow],
        groups: BTreeMap<&'static str, RecordId>,
    }
    if !screen.is_table() {
        let groups = groups.iter().map(|(unites, id)| (unites.word(), *id)).collect();
        screen.value(&Whole { row, ownership: owner, custody, statements: said_by, groups })?;
        return Ok(Exit::Done);
    }
    let now = screen.look.now;
    let when = |reading: &provost_model::Reading<Time>| match reading {
        provost_model::Reading::Known(time) => age::dated(*time, now),
        other => age::reading(other, now),
    };
    let mut pairs = vec![
        ("id", row.id.to_string()),
        ("kind", row.kind.name().to_owned()),
        ("name", row.name.clone()),
        ("external id", row.external_id.clone()),
        ("source", row.source.join(", ")),
        ("identity", row.identity.map_or_else(|| "-".to_owned(), |id| id.to_string())),
        ("owner", row.owner.clone().unwrap_or_else(|| "nobody known".to_owned())),
        ("status", row.status.name().to_owned()),
        ("presence", row.presence.name().to_owned()),
        ("created", when(&row.created_at)),
        ("rotated", when(&row.rotated_at)),
        ("last used", when(&row.last_used_at)),
        ("expires", when(&row.expires_at)),
        ("first seen", age::dated(row.first_seen, now)),
        ("last seen", age::dated(row.last_seen, now)),
    ];
    pairs.extend(groups.iter().map(|(unites, id)| (group_of(*unites), id.to_string())));
    pairs.extend(row.attributes.iter().map(|(field, reading)| (field.name(), said(reading))));
    screen.pairs(&pairs)?;
    if let Some(owner) = owner {
        screen.prose("\nOwner")?;
        told(owner).iter().try_for_each(|line| screen.told(line))?;
    }
    if let Some(custody) = custody {
        custody::show(custody, screen)?;
    }
    let rows = said_by.iter().map(|it| {
        vec![
            it.source.clone().into(),
            it.scope.clone().into(),
            it.standing.clone().into(),
            age::since(it.as_of, now).into(),
            age::since(it.recorded, now).into(),
            it.facts.to_string().into(),
        ]
    });
    screen.section("Said by", &["source", "scope", "standing", "as of", "recorded", "facts"], rows.collect())?;
    Ok(Exit::Done)
}

fn group_of(unites: Unites) -> &'static str {
    match unites {
        Unites::Secrets => "group (secret)",
        Unites::Identities => "group (identity)",
        Unites::People => "group (person)",
    }
}

/// Shows what changed in one record.
pub fn history(rows: Vec<HistoryRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.rows(rows)?;
    Ok(Exit::Done)
}

/// Several records answer to what was typed: shows which, so that one can be named.
pub fn ambiguous(typed: &str, rows: &[InventoryRow], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.remark(&format!("{} records are called {typed:?}; name one by its whole id:", rows.len()))?;
    for row in rows.iter().take(10) {
        screen.remark(&format!("  {}  {} {} {}", row.id, row.kind, row.name, row.source.join(" ")))?;
    }
    Ok(Exit::Usage)
}

/// Nothing answers to what was typed.
pub fn unknown(typed: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.remark(&format!(
        "no record is called {typed:?}; `provost inventory list --presence present,missing,gone` shows all"
    ))?;
    Ok(Exit::Usage)
}

impl Row for HistoryRow {
    const FIELDS: &'static [&'static str] = &["recorded", "as_of", "what", "field", "old", "new", "source"];
    const HEADINGS: &'static [&'static str] = &["recorded", "what", "field", "before", "after", "source"];

    fn fields(&self) -> Vec<String> {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            self.recorded.to_string(),
            self.as_of.to_string(),
            self.what.clone(),
            or_empty(&self.field),
            or_empty(&self.old),
            or_empty(&self.new),
            self.source.clone(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let or_dash = |text: &Option<String>| Cell::new(text.clone().unwrap_or_else(|| "-".to_owned()));
        let tone = if matches!(self.what.as_str(), "missing" | "gone") { Tone::Warn } else { Tone::Plain };
        vec![
            age::since(self.recorded, now).into(),
            Cell::new(self.what.clone()).tone(tone),
            or_dash(&self.field),
            or_dash(&self.old),
            or_dash(&self.new),
            self.source.clone().into(),
        ]
    }
}

/// The line that stands for a record in other commands' texts.
pub fn in_a_line(row: &InventoryRow) -> String {
    let location = match row.attributes.get(field::LOCATION) {
        provost_model::Reading::Known(place) => format!(" in {place}"),
        _ => String::new(),
    };
    format!("{} {} ({}){location}", row.kind, row.name, short_id(row.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::screen::fake::written,
        filter::{DEADLINE, Filter},
        output::{Format, inventory::samples},
        rows::Candidate,
    };

    fn said_by() -> Vec<SaidRow> {
        let time = samples::NOW;
        vec![SaidRow {
            source: "aws-prod".into(),
            scope: "iam/access-keys/AIDA1".into(),
            as_of: time,
            recorded: time,
            standing: "seen".into(),
            facts: 9,
        }]
    }

    #[test]
    fn rows_left_out_are_remarked_and_not_shown() {
        let filter = Filter::compile::<Candidate>("idle_days > 1").unwrap();
        let (out, err) = written(Format::Ndjson, |screen| {
            let (kept, left_out) = filter.keep(vec![samples::candidate("a")], samples::NOW, DEADLINE).unwrap();
            assert!(kept.is_empty());
            assert_eq!(list(Vec::new(), &left_out, screen).unwrap(), Exit::Done);
        });
        assert_eq!(out, "");
        assert_eq!(err, "1 row left out: unknown idle_days (never: 1)\n");
    }

    #[test]
    fn show_says_everything_and_who_said_it() {
        let (out, _) = written(Format::Table, |screen| {
            let owner = Owner::named("payments", 0.8);
            let page = Page { owner: Some(&owner), said_by: &said_by(), ..Page::default() };
            show(&samples::key("deploy\u{1b}[2J"), &page, screen).unwrap();
        });
        insta::assert_snapshot!(out, @r#"
    id           0193ab04-0576-0788-090a-0b0c0d0e0fff
    kind         access_key
    name         deploy\u{1b}[2J
    external id  AKIAEXAMPLE
    source       aws-prod
    identity     -
    owner        payments
    status       active
    presence     present
    created      2025-12-28T14:13:20Z (267 d)
    rotated      not collected
    last used    never
    expires      not reported
    first seen   2026-08-22T14:13:20Z (30 d)
    last seen    2026-09-21T14:13:20Z (now)
    tags         team=payments
    description  not permitted
    mfa          no
    tools        s3:*

    Owner
      payments (not in the people file): confidence 0.80

    Said by
    SOURCE    SCOPE                  STANDING  AS OF  RECORDED  FACTS
    aws-prod  iam/access-keys/AIDA1  seen      now    now       9
    "#);
    }

    #[test]
    fn show_for_programs_is_the_row_with_its_statements() {
        let (out, _) = written(Format::Json, |screen| {
            let group = [(Unites::Secrets, samples::key("deploy").id)];
            let page = Page { said_by: &said_by(), groups: &group, ..Page::default() };
            show(&samples::key("deploy"), &page, screen).unwrap();
        });
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["last_used_at"]["reading"], "never");
        assert_eq!(value["attributes"]["mfa"]["value"], false);
        assert_eq!(value["statements"][0]["scope"], "iam/access-keys/AIDA1");
        assert_eq!(value["groups"]["secret"], value["id"]);
    }

    #[test]
    fn history_reads_as_a_table() {
        let row = HistoryRow {
            recorded: samples::NOW,
            as_of: samples::NOW,
            what: "changed".into(),
            field: Some("status".into()),
            old: Some("active".into()),
            new: Some("inactive".into()),
            source: "aws-prod".into(),
        };
        let (out, _) = written(Format::Table, |screen| {
            history(vec![row], screen).unwrap();
        });
        insta::assert_snapshot!(out, @r#"
    RECORDED  WHAT     FIELD   BEFORE  AFTER     SOURCE
    now       changed  status  active  inactive  aws-prod
    "#);
    }

    #[test]
    fn what_answers_to_nothing_or_to_several_is_usage() {
        let (out, err) = written(Format::Table, |screen| {
            assert_eq!(unknown("x\u{1b}", screen).unwrap(), Exit::Usage);
            assert_eq!(ambiguous("a", &[samples::key("a"), samples::key("b")], screen).unwrap(), Exit::Usage);
        });
        assert_eq!(out, "");
        assert!(
            err.contains("no record is called")
                && err.contains("2 records are called \"a\"")
                && !err.contains('\u{1b}')
        );
    }
}
