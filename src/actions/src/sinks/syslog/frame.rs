//! A letter as messages of RFC 5424: what stands before the text, the data beside it, and the text in one line.
//! It must never let a text from outside end a value, a message or a line.

use provost_model::{Severity, Time, door};

use crate::{Baseline, Case, Dialect, Event, Letter, Wording, sinks::Handed};

/// What says that the text is UTF-8 (RFC 5424, 6.4).
pub(super) const BOM: char = '\u{feff}';
/// The text of a message, where the operator has none of their own.
const LINE: &str = include_str!("line.txt");
/// Longest value of the data, in bytes before it is escaped.
const VALUE_MAX: usize = 256;
/// Octets that the data leave to the text, at least.
const TEXT_MIN: usize = 128;
/// Longest name of a machine (RFC 5424, 6).
const HOSTNAME_MAX: usize = 255;

/// What makes messages of letters.
pub(super) struct Frames {
    facility: u8,
    most: usize,
    sd_id: String,
    hostname: String,
    wording: Wording,
}

/// A message, in its parts.
struct Parts {
    severity: u8,
    at: Time,
    /// Its MSGID: a word of our own.
    word: &'static str,
    /// Its data, what matters most first.
    data: Vec<(&'static str, String)>,
    text: String,
}

impl Frames {
    /// Of that facility, of at most so many octets.
    pub(super) fn new((facility, most): (u8, usize), sd_id: String, handed: &Handed) -> Result<Self, String> {
        let template = handed.template.as_deref().unwrap_or(LINE);
        let wording = Wording::new(Dialect::Plain, Some(template)).map_err(|error| error.to_string())?;
        let hostname: String = handed.hostname.chars().filter(char::is_ascii_graphic).take(HOSTNAME_MAX).collect();
        let hostname = if hostname.is_empty() { "-".to_owned() } else { hostname };
        Ok(Self { facility, most, sd_id, hostname, wording })
    }

    /// One for each case, one for what a first complete run found, and one for what is beside them.
    pub(super) fn of(&self, letter: &Letter) -> Result<Vec<String>, String> {
        let alone = Letter { cases: Vec::new(), baselines: Vec::new(), uncertain: Vec::new(), ..letter.clone() };
        let mut frames = Vec::new();
        for case in &letter.cases {
            let count = crate::Count { event: case.event, severity: case.severity, cases: 1 };
            let about = Letter { cases: vec![case.clone()], counts: vec![count], ..alone.clone() };
            let parts = Parts {
                severity: severity_of(case),
                at: letter.written_at,
                word: case.event.word(),
                data: data_of(letter, case),
                text: self.text(&about)?,
            };
            frames.push(self.frame(&parts));
        }
        for baseline in &letter.baselines {
            let about = Letter { counts: Vec::new(), baselines: vec![baseline.clone()], ..alone.clone() };
            let parts = Parts {
                severity: 6,
                at: letter.written_at,
                word: "baseline",
                data: data_of_baseline(letter, baseline),
                text: self.text(&about)?,
            };
            frames.push(self.frame(&parts));
        }
        let untold = letter.total() > letter.cases.len() as u64;
        if untold || !letter.uncertain.is_empty() || frames.is_empty() {
            let about = Letter { uncertain: letter.uncertain.clone(), ..alone };
            let mut data = vec![("letter", letter.id.clone()), ("route", letter.route.clone())];
            data.push(("cases", letter.total().to_string()));
            data.push(("uncertain", letter.uncertain.join(",")));
            let severity = if untold { severity_code(letter.severity()) } else { 6 };
            let parts = Parts { severity, at: letter.written_at, word: "digest", data, text: self.text(&about)? };
            frames.push(self.frame(&parts));
        }
        Ok(frames)
    }

    fn text(&self, letter: &Letter) -> Result<String, String> {
        let text = self.wording.words(letter).map_err(|error| error.to_string())?;
        Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
    }

    fn frame(&self, parts: &Parts) -> String {
        let priority = u16::from(self.facility) * 8 + u16::from(parts.severity);
        let (at, hostname) = (parts.at, &self.hostname);
        let mut frame = format!("<{priority}>1 {at} {hostname} provost - {} [{}", parts.word, self.sd_id);
        for (name, value) in parts.data.iter().filter(|(_, value)| !value.is_empty()) {
            let param = format!(" {name}=\"{}\"", value_of(value));
            // What matters less is left out where there is no room.
            if frame.len() + param.len() + TEXT_MIN > self.most {
                break;
            }
            frame.push_str(&param);
        }
        frame.push_str("] ");
        frame.push(BOM);
        frame.push_str(&shortened(&parts.text, self.most.saturating_sub(frame.len())));
        frame
    }
}

fn data_of(letter: &Letter, case: &Case) -> Vec<(&'static str, String)> {
    let worst = case.faults.first();
    vec![
        ("letter", letter.id.clone()),
        ("case", case.id.clone()),
        ("severity", case.severity.word().to_owned()),
        ("rule", worst.map(|fault| fault.rule.clone()).unwrap_or_default()),
        ("kind", case.kind.clone()),
        ("action", case.action.word().to_owned()),
        ("name", case.name.clone()),
        ("externalId", case.external_id.clone()),
        ("sources", case.sources.join(",")),
        ("owner", case.owner.clone().unwrap_or_default()),
        ("openedAt", case.opened_at.to_string()),
        ("deadline", case.deadline.map(|it| it.to_string()).unwrap_or_default()),
        ("overdue", case.overdue.to_string()),
        ("stage", case.stage.clone()),
        ("route", letter.route.clone()),
        ("link", case.link.clone()),
    ]
}

fn data_of_baseline(letter: &Letter, baseline: &Baseline) -> Vec<(&'static str, String)> {
    let mut data = vec![("letter", letter.id.clone()), ("source", baseline.source.clone())];
    data.extend(baseline.counts.iter().map(|(severity, cases)| (severity.word(), cases.to_string())));
    data.push(("route", letter.route.clone()));
    data
}

/// What is settled wakes nobody, however bad it was.
fn severity_of(case: &Case) -> u8 {
    if case.event == Event::Settled { 6 } else { severity_code(case.severity) }
}

/// A severity of ours as one of RFC 5424, table 2: from critical to informational.
fn severity_code(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}

/// A value of the data (RFC 5424, 6.3.3): quotes, backslashes and brackets escaped, and nothing hidden.
fn value_of(text: &str) -> String {
    let shown = door::terminal(text);
    let mut value = String::with_capacity(shown.len() + 8);
    for letter in shortened(&shown, VALUE_MAX).chars() {
        if matches!(letter, '"' | '\\' | ']') {
            value.push('\\');
        }
        value.push(letter);
    }
    value
}

/// No more than so many bytes, with a sign where something is missing.
fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub('…'.len_utf8());
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last().unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default())
}
