//! What a secret opens, where it is kept and who reads it, as part of a record's page.
//! It must never show how sure something is without what shows it.

use provost_model::{RecordId, Time};
use serde::Serialize;

use super::{CliError, Screen};
use crate::output::{age, inventory::short_id};

/// The custody of one secret.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CustodyRow {
    /// Credentials at their providers that it is, and what lets it in.
    pub opens: Vec<TieRow>,
    /// What its place says that it opens, where no provider's record is known.
    pub named: Vec<String>,
    /// Places that keep it.
    pub kept_in: Vec<TieRow>,
    /// Who reads it.
    pub read_by: Vec<ReaderRow>,
    /// Since when nobody read it, if reads are recorded in every place.
    pub unread_since: Option<Time>,
    /// Records of like names, where nothing better is known. They link nothing.
    pub hints: Vec<HintRow>,
    /// Whether every name was compared.
    pub all_compared: bool,
}

/// A record of the same secret.
#[derive(Clone, Debug, Serialize)]
pub struct TieRow {
    /// The record.
    pub id: RecordId,
    /// Whether it is the record that is shown.
    pub itself: bool,
    /// What sort of thing, its name and its system, in a few words.
    pub words: String,
    /// How sure that is, 0 to 1.
    pub confidence: f64,
    /// Whether the value can be read there.
    pub readable: bool,
    /// The keys that lead there, step by step.
    pub way: Vec<HopRow>,
}

/// One step from one record to another.
#[derive(Clone, Debug, Serialize)]
pub struct HopRow {
    /// From here …
    pub from: RecordId,
    /// … to there …
    pub to: RecordId,
    /// … which is this …
    pub words: String,
    /// … by these keys.
    pub keys: Vec<String>,
}

/// Somebody who reads it.
#[derive(Clone, Debug, Serialize)]
pub struct ReaderRow {
    /// As the log or configuration names them.
    pub who: String,
    /// The identity they are, if it is in the inventory.
    pub record: Option<RecordId>,
    /// The latest read.
    pub at: Option<Time>,
    /// The place where they read it.
    pub of: RecordId,
    /// That place in a few words.
    pub words: String,
    /// What shows it: audit_log, configuration.
    pub by: &'static str,
}

/// A record of a like name.
#[derive(Clone, Debug, Serialize)]
pub struct HintRow {
    /// The record.
    pub id: RecordId,
    /// What sort of thing, its name and its system, in a few words.
    pub words: String,
    /// How much the names hint, 0 to 1.
    pub confidence: f64,
    /// What about them: like names, or names of a pair.
    pub by: &'static str,
}

/// Shows it to people.
pub(super) fn show(custody: &CustodyRow, screen: &mut Screen<'_>) -> Result<(), CliError> {
    if !custody.opens.is_empty() || !custody.named.is_empty() {
        screen.prose("\nOpens")?;
        custody.opens.iter().try_for_each(|tie| screen.told(&said(tie)))?;
        custody.named.iter().try_for_each(|named| screen.told(&format!("{named}: so its place says")))?;
    }
    // That it is where it is, is no news.
    if custody.kept_in.iter().any(|tie| !tie.itself) {
        screen.prose("\nKept in")?;
        custody.kept_in.iter().try_for_each(|tie| screen.told(&said(tie)))?;
    }
    if !custody.read_by.is_empty() {
        screen.prose("\nRead by")?;
        custody.read_by.iter().try_for_each(|reader| screen.told(&read(reader, screen.look.now)))?;
    }
    if let Some(since) = custody.unread_since {
        screen.prose("\nRead by")?;
        screen.told(&format!("nobody since {}: every place records its reads", age::dated(since, screen.look.now)))?;
    }
    if !custody.hints.is_empty() {
        screen.prose("\nPerhaps the same: a hint by names alone, which links nothing")?;
        for hint in &custody.hints {
            screen.told(&format!(
                "{} ({}): hint, {:.2}, {}",
                hint.words,
                short_id(hint.id),
                hint.confidence,
                hint.by
            ))?;
        }
    }
    if !custody.all_compared {
        screen.remark("there are too many records to compare all names; there may be more hints")?;
    }
    Ok(())
}

fn said(tie: &TieRow) -> String {
    if tie.itself {
        return "this record".to_owned();
    }
    let step = |hop: &HopRow| format!("by {}", hop.keys.join(" and "));
    let mut steps: Vec<String> = Vec::new();
    for (at, hop) in tie.way.iter().enumerate() {
        let last = at + 1 == tie.way.len();
        steps.push(if last { step(hop) } else { format!("{} to {}", step(hop), hop.words) });
    }
    let unread = if tie.readable { "" } else { "; its value cannot be read there" };
    let way = steps.join(", then ");
    format!("{} ({}): confidence {:.2} {way}{unread}", tie.words, short_id(tie.id), tie.confidence)
}

fn read(reader: &ReaderRow, now: Time) -> String {
    let when = reader.at.map_or_else(String::new, |at| format!(", last {}", age::dated(at, now)));
    let who = reader.record.map_or_else(|| reader.who.clone(), |id| format!("{} ({})", reader.who, short_id(id)));
    let by = match reader.by {
        "audit_log" => "as the audit log says",
        _ => "which is handed to it",
    };
    format!("{who}{when}: {}, {by}", reader.words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::screen::fake::written, output::Format, output::inventory::samples};

    fn tie(byte: u8, words: &str, keys: &[&[&str]]) -> TieRow {
        let id = RecordId::from_bytes([byte; 16]);
        let hop = |keys: &&[&str]| HopRow {
            from: id,
            to: id,
            words: "secret between in host:b".into(),
            keys: keys.iter().map(|it| (*it).to_owned()).collect(),
        };
        let way: Vec<HopRow> = keys.iter().map(hop).collect();
        TieRow {
            id,
            itself: keys.is_empty(),
            words: words.into(),
            confidence: 0.9,
            readable: byte.is_multiple_of(2),
            way,
        }
    }

    #[test]
    fn the_custody_of_a_secret_is_told_with_what_shows_it() {
        let row = CustodyRow {
            opens: vec![tie(2, "access_key AKIA1 in aws:1", &[&["key id AKIA1", "fingerprint k1:0a"]])],
            named: vec!["ftp.example as robot\u{1b}".into()],
            kept_in: vec![
                tie(4, "", &[]),
                tie(5, "secret AWS in github:org/1", &[&["fingerprint k1:0a"], &["key id AKIA1"]]),
            ],
            read_by: vec![ReaderRow {
                who: "arn:aws:iam::1:role/app".into(),
                record: None,
                at: Some(samples::NOW),
                of: RecordId::from_bytes([4; 16]),
                words: "secret ci/aws in openbao:c1".into(),
                by: "audit_log",
            }],
            unread_since: None,
            hints: vec![HintRow {
                id: RecordId::from_bytes([6; 16]),
                words: "secret DEPLOY in github:org/1".into(),
                confidence: 0.3,
                by: "like names",
            }],
            all_compared: true,
        };
        let (out, err) = written(Format::Table, |screen| show(&row, screen).unwrap());
        assert_eq!(err, "");
        insta::assert_snapshot!(out, @r#"
    Opens
      access_key AKIA1 in aws:1 (02020202): confidence 0.90 by key id AKIA1 and fingerprint k1:0a
      ftp.example as robot\u{1b}: so its place says

    Kept in
      this record
      secret AWS in github:org/1 (05050505): confidence 0.90 by fingerprint k1:0a to secret between in
        host:b, then by key id AKIA1; its value cannot be read there

    Read by
      arn:aws:iam::1:role/app, last 2026-09-21T14:13:20Z (now): secret ci/aws in openbao:c1, as the
        audit log says

    Perhaps the same: a hint by names alone, which links nothing
      secret DEPLOY in github:org/1 (06060606): hint, 0.30, like names
    "#);
    }

    #[test]
    fn silence_is_told_where_it_means_something_and_nothing_else_takes_room() {
        let quiet = CustodyRow { unread_since: Some(samples::NOW), all_compared: true, ..CustodyRow::default() };
        let (out, _) = written(Format::Table, |screen| show(&quiet, screen).unwrap());
        assert_eq!(out, "\nRead by\n  nobody since 2026-09-21T14:13:20Z (now): every place records its reads\n");
        let alone = CustodyRow { kept_in: vec![tie(4, "", &[])], ..CustodyRow::default() };
        let (out, err) = written(Format::Table, |screen| show(&alone, screen).unwrap());
        assert_eq!((out.as_str(), err.lines().count()), ("", 1));
    }
}
