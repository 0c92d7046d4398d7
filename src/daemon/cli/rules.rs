//! `rules list|what-if`: what is looked for, and what other thresholds would make different.
//! It must never show what would be as if it were.

use std::collections::BTreeMap;

use provost_model::{Kind, RecordId, Severity, Time};
use serde::Serialize;
use serde_json::Value;

use super::{CliError, Exit, Screen};
use crate::output::{Cell, Format, Row, Tone, finding::tone, inventory::short_id};

/// Longest name of a subject in a table.
const SUBJECT_MOST: usize = 42;

/// One rule. Field names and order are pinned.
#[derive(Clone, Debug, Serialize)]
pub struct RuleRow {
    /// Its id.
    pub id: &'static str,
    /// Its version.
    pub version: u32,
    /// How bad what it finds is, before anything raises that.
    pub severity: Severity,
    /// What is wrong.
    pub title: &'static str,
    /// Kinds of records it judges; none if it judges sources.
    pub kinds: Vec<Kind>,
    /// The figures it compares with, as they hold everywhere.
    pub figures: BTreeMap<&'static str, Value>,
    /// Whether it is off everywhere.
    pub off: bool,
    /// How many overrides say something else for some.
    pub overrides: usize,
    /// How many of its findings are open.
    pub open: u64,
}

/// How many findings of one rule would be different.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many would open.
    pub opens: u64,
    /// How many would close.
    pub closes: u64,
    /// How many would be of another severity.
    pub severities: u64,
}

/// One finding that would be different. Field names and order are pinned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifferenceRow {
    /// `opens`, `closes` or `severity`.
    pub change: &'static str,
    /// The rule.
    pub rule: String,
    /// How bad it would be, or is, if it would close.
    pub severity: Severity,
    /// How bad it is, if that would change.
    pub former_severity: Option<Severity>,
    /// The finding: the same for ever for one rule about one subject.
    pub finding: RecordId,
    /// The record it is about.
    pub subject: RecordId,
    /// Its kind; none for a source.
    pub kind: Option<Kind>,
    /// What the provider calls it.
    pub external_id: String,
    /// What people call it.
    pub name: String,
    /// What it rests on.
    pub because: String,
}

/// What other thresholds would make different.
#[derive(Clone, Debug, Serialize)]
pub struct WouldBe {
    /// As of when.
    pub at: Time,
    /// Records looked at.
    pub records: u64,
    /// Sources looked at.
    pub sources: u64,
    /// All changes together.
    pub total: Counts,
    /// The same for each rule that would judge otherwise.
    pub rules: BTreeMap<&'static str, Counts>,
    /// What the answer cannot know.
    pub notices: Vec<String>,
    /// The worst of each sort, as many as were asked for.
    pub findings: Vec<DifferenceRow>,
}

/// Lists the rules.
pub fn list(rows: Vec<RuleRow>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.rows(rows)?;
    Ok(Exit::Done)
}

/// Shows some differences as soon as they are known, where [`come_singly`] says so.
pub fn as_they_come(rows: Vec<DifferenceRow>, screen: &mut Screen<'_>) -> Result<(), CliError> {
    if come_singly(screen) {
        screen.rows(rows)?;
    }
    Ok(())
}

/// Whether differences are to be shown as soon as they are known, all of them.
pub fn come_singly(screen: &Screen<'_>) -> bool {
    screen.format == Format::Ndjson
}

/// Shows what would be different.
pub fn what_if(it: &WouldBe, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    match screen.format {
        Format::Json => {
            screen.value(it)?;
            return Ok(Exit::Done);
        }
        Format::Ndjson => it.summary().iter().try_for_each(|line| screen.remark(line))?,
        Format::Csv => {
            screen.rows(it.findings.iter().cloned())?;
            it.summary().iter().try_for_each(|line| screen.remark(line))?;
        }
        Format::Table => {
            it.summary().iter().try_for_each(|line| screen.line(line))?;
            screen.section("By rule", &["rule", "opens", "closes", "severity"], it.by_rule())?;
            let cells = it.findings.iter().map(|row| row.cells(screen.look.now)).collect();
            screen.section("Findings", DifferenceRow::HEADINGS, cells)?;
        }
    }
    let more = it.total.all() - it.findings.len() as u64;
    if more > 0 && !come_singly(screen) {
        screen.remark(&format!("… and {more} more: give --limit, or -o ndjson for all of them"))?;
    }
    it.notices.iter().try_for_each(|notice| screen.remark(notice))?;
    Ok(Exit::Done)
}

impl Counts {
    /// How many would be different.
    fn all(&self) -> u64 {
        self.opens + self.closes + self.severities
    }
}

impl WouldBe {
    /// What matters, in a line; and what was looked at, in another.
    fn summary(&self) -> Vec<String> {
        let Counts { opens, closes, severities } = &self.total;
        let many = |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        if self.rules.is_empty() {
            return vec!["would change nothing: every rule would judge by the figures that are at work".to_owned()];
        }
        let change = match self.total.all() {
            0 => "would change no finding".to_owned(),
            _ => format!("would open {opens}, close {closes}, change the severity of {}", many(*severities, "finding")),
        };
        let sources = if self.sources > 0 { format!(" and {}", many(self.sources, "source")) } else { String::new() };
        let records = many(self.records, "record");
        vec![change, format!("{records}{sources} looked at, as of {}", self.at.whole_seconds())]
    }

    fn by_rule(&self) -> Vec<Vec<Cell>> {
        let cell = |count: u64| Cell::new(count.to_string()).tone(if count == 0 { Tone::Faint } else { Tone::Plain });
        let row =
            |(rule, it): (&&str, &Counts)| vec![(*rule).into(), cell(it.opens), cell(it.closes), cell(it.severities)];
        self.rules.iter().map(row).collect()
    }
}

impl Row for RuleRow {
    const FIELDS: &'static [&'static str] =
        &["id", "version", "severity", "title", "kinds", "figures", "off", "overrides", "open"];
    const HEADINGS: &'static [&'static str] = &["rule", "severity", "open", "what is wrong", "figures"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.id.to_owned(),
            self.version.to_string(),
            self.severity.word().to_owned(),
            self.title.to_owned(),
            self.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" "),
            self.figures(" "),
            self.off.to_string(),
            self.overrides.to_string(),
            self.open.to_string(),
        ]
    }

    fn cells(&self, _: Time) -> Vec<Cell> {
        let overridden = match self.overrides {
            0 => String::new(),
            1 => "1 override".to_owned(),
            more => format!("{more} overrides"),
        };
        let off = if self.off { "off".to_owned() } else { String::new() };
        let figures = [off, self.figures(", "), overridden];
        let figures: Vec<&str> = figures.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
        vec![
            self.id.into(),
            Cell::new(self.severity.word()).tone(tone(self.severity)),
            self.open.to_string().into(),
            self.title.into(),
            if figures.is_empty() { "-".to_owned() } else { figures.join("; ") }.into(),
        ]
    }
}

impl RuleRow {
    fn figures(&self, between: &str) -> String {
        let figures = self.figures.iter().map(|(name, value)| format!("{name}={value}"));
        figures.collect::<Vec<_>>().join(between)
    }
}

impl Row for DifferenceRow {
    const FIELDS: &'static [&'static str] = &[
        "change",
        "rule",
        "severity",
        "former_severity",
        "finding",
        "subject",
        "kind",
        "external_id",
        "name",
        "because",
    ];
    const HEADINGS: &'static [&'static str] = &["change", "severity", "rule", "id", "kind", "subject", "because"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.change.to_owned(),
            self.rule.clone(),
            self.severity.word().to_owned(),
            self.former_severity.map(|it| it.word().to_owned()).unwrap_or_default(),
            self.finding.to_string(),
            self.subject.to_string(),
            self.kind.map(|kind| kind.name().to_owned()).unwrap_or_default(),
            self.external_id.clone(),
            self.name.clone(),
            self.because.clone(),
        ]
    }

    fn cells(&self, _: Time) -> Vec<Cell> {
        let severity = match self.former_severity {
            Some(former) => format!("{former} to {}", self.severity),
            None => self.severity.word().to_owned(),
        };
        vec![
            self.change.into(),
            Cell::new(severity).tone(tone(self.severity)),
            self.rule.clone().into(),
            Cell::new(short_id(self.subject)).tone(Tone::Faint),
            self.kind.map_or("source", Kind::name).into(),
            Cell::ending(&self.name, SUBJECT_MOST),
            self.because.clone().into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use provost_model::door::corpus::HOSTILE;

    use super::*;
    use crate::{cli::screen::fake::written, output::inventory::samples::NOW};

    fn difference(change: &'static str, former: Option<Severity>, name: &str) -> DifferenceRow {
        DifferenceRow {
            change,
            rule: "CRED-AGE".to_owned(),
            severity: Severity::Medium,
            former_severity: former,
            finding: RecordId::from_bytes([9; 16]),
            subject: RecordId::from_bytes([7; 16]),
            kind: Some(Kind::AccessKey),
            external_id: "AKIAEXAMPLE".to_owned(),
            name: name.to_owned(),
            because: "active, 70 days old, over 60".to_owned(),
        }
    }

    fn would_be(findings: Vec<DifferenceRow>, total: Counts) -> WouldBe {
        let rules = BTreeMap::from([("CRED-AGE", total.clone()), ("ID-IDLE", Counts::default())]);
        WouldBe {
            at: NOW,
            records: 12,
            sources: 0,
            total,
            rules,
            notices: vec!["people are today's".to_owned()],
            findings,
        }
    }

    #[test]
    fn the_first_line_says_it_all_and_what_is_not_shown_is_counted() {
        let rows = vec![difference("opens", None, "deploy"), difference("severity", Some(Severity::High), "old")];
        let it = would_be(rows, Counts { opens: 3, closes: 0, severities: 1 });
        let (out, err) = written(Format::Table, |screen| assert_eq!(what_if(&it, screen).unwrap(), Exit::Done));
        insta::assert_snapshot!(out, @r#"
    would open 3, close 0, change the severity of 1 finding
    12 records looked at, as of 2026-09-21T14:13:20Z

    By rule
    RULE      OPENS  CLOSES  SEVERITY
    CRED-AGE  3      0       1
    ID-IDLE   0      0       0

    Findings
    CHANGE    SEVERITY        RULE      ID        KIND        SUBJECT  BECAUSE
    opens     medium          CRED-AGE  07070707  access_key  deploy   active, 70 days old, over 60
    severity  high to medium  CRED-AGE  07070707  access_key  old      active, 70 days old, over 60
    "#);
        assert_eq!(err, "… and 2 more: give --limit, or -o ndjson for all of them\npeople are today's\n");
        assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    }

    #[test]
    fn nothing_different_is_told_from_nothing_found() {
        let mut it = would_be(Vec::new(), Counts::default());
        let told = |it: &WouldBe| {
            let (out, _) = written(Format::Table, |screen| assert_eq!(what_if(it, screen).unwrap(), Exit::Done));
            out.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(&it), "would change no finding; 12 records looked at, as of 2026-09-21T14:13:20Z");
        (it.records, it.sources) = (1, 2);
        let both = "would change no finding; 1 record and 2 sources looked at, as of 2026-09-21T14:13:20Z";
        assert_eq!(told(&it), both);
        it.rules.clear();
        assert_eq!(told(&it), "would change nothing: every rule would judge by the figures that are at work");
    }

    #[test]
    fn programs_get_everything_in_one_object_or_a_line_each() {
        let it = would_be(vec![difference("closes", None, "deploy")], Counts { closes: 1, ..Counts::default() });
        let (out, err) = written(Format::Json, |screen| assert_eq!(what_if(&it, screen).unwrap(), Exit::Done));
        assert_eq!(err, "");
        insta::assert_snapshot!(out, @r#"{"at":"2026-09-21T14:13:20Z","records":12,"sources":0,"total":{"opens":0,"closes":1,"severities":0},"rules":{"CRED-AGE":{"opens":0,"closes":1,"severities":0},"ID-IDLE":{"opens":0,"closes":0,"severities":0}},"notices":["people are today's"],"findings":[{"change":"closes","rule":"CRED-AGE","severity":"medium","former_severity":null,"finding":"09090909-0909-0909-0909-090909090909","subject":"07070707-0707-0707-0707-070707070707","kind":"access_key","external_id":"AKIAEXAMPLE","name":"deploy","because":"active, 70 days old, over 60"}]}"#);
        let (out, _) = written(Format::Csv, |screen| assert_eq!(what_if(&it, screen).unwrap(), Exit::Done));
        insta::assert_snapshot!(out, @r#"
    change,rule,severity,former_severity,finding,subject,kind,external_id,name,because
    closes,CRED-AGE,medium,,09090909-0909-0909-0909-090909090909,07070707-0707-0707-0707-070707070707,access_key,AKIAEXAMPLE,deploy,"active, 70 days old, over 60"
    "#);
        let (out, err) = written(Format::Ndjson, |screen| {
            as_they_come(it.findings.clone(), screen).unwrap();
            what_if(&it, screen).unwrap();
        });
        assert_eq!((out.lines().count(), err.lines().count()), (1, 3), "{out}{err}");
    }

    #[test]
    fn hostile_names_pass_the_door() {
        for (text, tries) in HOSTILE {
            let it = would_be(vec![difference("opens", None, text)], Counts { opens: 1, ..Counts::default() });
            let (out, _) = written(Format::Table, |screen| assert_eq!(what_if(&it, screen).unwrap(), Exit::Done));
            assert!(out.chars().all(|letter| letter == '\n' || !letter.is_control()), "{tries}: {out:?}");
        }
    }

    #[test]
    fn a_rule_is_listed_with_its_figures() {
        let rule = |off, overrides| RuleRow {
            id: "CRED-STALE",
            version: 2,
            severity: Severity::Medium,
            title: "active credential not used for a long time",
            kinds: vec![Kind::AccessKey, Kind::Password],
            figures: BTreeMap::from([("stale_key_days", 45.into()), ("stale_other_days", 90.into())]),
            off,
            overrides,
            open: 7,
        };
        let (out, _) = written(Format::Table, |screen| {
            list(vec![rule(false, 0), rule(true, 2), RuleRow { figures: BTreeMap::new(), ..rule(false, 0) }], screen)
                .unwrap();
        });
        insta::assert_snapshot!(out, @r#"
    RULE        SEVERITY  OPEN  WHAT IS WRONG                       FIGURES
    CRED-STALE  medium    7     active credential not used for a    stale_key_days=45,
                                long time                           stale_other_days=90
    CRED-STALE  medium    7     active credential not used for a    off; stale_key_days=45,
                                long time                           stale_other_days=90; 2 overrides
    CRED-STALE  medium    7     active credential not used for a    -
                                long time
    "#);
        let (out, _) =
            written(Format::Csv, |screen| assert_eq!(list(vec![rule(false, 1)], screen).unwrap(), Exit::Done));
        insta::assert_snapshot!(out, @r#"
    id,version,severity,title,kinds,figures,off,overrides,open
    CRED-STALE,2,medium,active credential not used for a long time,access_key password,stale_key_days=45 stale_other_days=90,false,1,7
    "#);
    }
}
