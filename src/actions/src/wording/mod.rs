//! Letters as text: one template for every dialect, or one of the operator's own.
//! It must never let a text from outside format, link or mention; an operator's template cannot take that away.

mod dialect;

use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, Value, context, syntax::SyntaxConfig};
use provost_model::{Severity, Time};
use thiserror::Error;

pub use self::dialect::Dialect;
use crate::{Case, Letter};

/// The template that is built in.
const BUILT_IN: &str = include_str!("letter.txt");
/// Steps a template may take: a thousand times what the built-in one takes for twenty cases.
const FUEL: u64 = 5_000_000;
/// Longest template taken, in bytes.
const TEMPLATE_MAX: usize = 64 << 10;
/// Longest text made of a letter, in bytes; what is longer is cut, and says so.
const TEXT_MAX: usize = 30_000;

/// A template in a dialect.
#[derive(Debug)]
pub struct Wording {
    dialect: Dialect,
    environment: Environment<'static>,
}

/// Why a template makes no text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the template{}: {said}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct WordingError {
    /// Where, counted from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub said: String,
}

impl Wording {
    /// The built-in wording in that dialect, or a template of the operator's own.
    pub fn new(dialect: Dialect, template: Option<&str>) -> Result<Self, WordingError> {
        let template = template.unwrap_or(BUILT_IN);
        if template.len() > TEMPLATE_MAX {
            return Err(WordingError { line: None, said: format!("it is longer than {TEMPLATE_MAX} bytes") });
        }
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(50);
        environment.set_syntax(syntax()?);
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("dialect".into()));
        environment.set_formatter(move |out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value| {
            if value.is_undefined() {
                return Err(minijinja::Error::from(minijinja::ErrorKind::UndefinedError));
            }
            if value.is_none() {
                return Ok(());
            }
            let text = value.to_string();
            let shown = if value.is_safe() || value.is_number() { text } else { dialect.outside(&text) };
            out.write_str(&shown).map_err(minijinja::Error::from)
        });
        let marked = move |mark: fn(Dialect, &str) -> String| {
            move |value: Value| {
                let text = value.to_string();
                let inner = if value.is_safe() { text } else { dialect.outside(&text) };
                Value::from_safe_string(mark(dialect, &inner))
            }
        };
        environment.add_function("bold", marked(Dialect::bold));
        environment.add_filter("plural", |count: u64, one: String, many: String| {
            Value::from_safe_string(format!("{count} {}", if count == 1 { one } else { many }))
        });
        environment.add_filter("listed", move |all: Vec<String>| {
            let shown: Vec<String> = all.iter().map(|it| dialect.outside(it)).collect();
            Value::from_safe_string(shown.join(", "))
        });
        environment.add_filter("length", minijinja::filters::length);
        environment.add_template_owned("letter", template.to_owned()).map_err(|error| wrong(&error))?;
        let wording = Self { dialect, environment };
        // A template that fails is better known now than when it is needed.
        wording.words(&sample())?;
        Ok(wording)
    }

    /// The text of a letter.
    pub fn words(&self, letter: &Letter) -> Result<String, WordingError> {
        let template = self.environment.get_template("letter").map_err(|error| wrong(&error))?;
        let ours = |text: String| Value::from_safe_string(self.dialect.ours(&text));
        let cases: Vec<Value> = letter.cases.iter().map(|case| self.case(case)).collect();
        let baselines: Vec<Value> = letter
            .baselines
            .iter()
            .map(|it| {
                let counts: Vec<String> =
                    it.counts.iter().map(|(severity, cases)| format!("{cases} {}", severity.word())).collect();
                context! { source => &it.source, counts => ours(counts.join(", ")), work => &it.work }
            })
            .collect();
        let text = template
            .render(context! {
                id => ours(letter.id.clone()),
                route => &letter.route,
                title => ours(letter.title()),
                total => letter.total(),
                more => letter.total().saturating_sub(letter.cases.len() as u64),
                cases => cases,
                baselines => baselines,
                uncertain => letter.uncertain.iter().map(|it| ours(it.clone())).collect::<Vec<_>>(),
                all => &letter.all,
            })
            .map_err(|error| wrong(&error))?;
        Ok(cut(self.dialect.finished(text.trim_end())))
    }

    fn case(&self, case: &Case) -> Value {
        let ours = |text: &str| Value::from_safe_string(self.dialect.ours(text));
        let faults: Vec<Value> = case
            .faults
            .iter()
            .map(|fault| {
                context! {
                    rule => ours(&fault.rule), title => ours(&fault.title), because => &fault.because,
                    why => ours(&fault.why), remedy => ours(&fault.remedy),
                }
            })
            .collect();
        context! {
            event => ours(case.event.said()), id => ours(&case.id), kind => ours(&case.kind.replace('_', " ")),
            name => &case.name, external_id => &case.external_id, sources => &case.sources,
            severity => ours(case.severity.word()), action => ours(case.action.word()), owner => &case.owner,
            opened_at => ours(&case.opened_at.to_string()), deadline => case.deadline.map(|it| ours(&it.to_string())),
            due => case.due.as_deref().map(ours), overdue => case.overdue, stage => ours(&case.stage),
            settled => case.event == crate::Event::Settled, faults => faults, link => &case.link,
        }
    }
}

/// Blocks on lines of their own leave no line.
fn syntax() -> Result<SyntaxConfig, WordingError> {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    builder.build().map_err(|error| wrong(&error))
}

/// No longer than a message may be, between two letters.
fn cut(mut text: String) -> String {
    if text.len() <= TEXT_MAX {
        return text;
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= TEXT_MAX).last().unwrap_or_default();
    // At the end of a line, so that no mark-up stays open.
    let end = text.get(..end).and_then(|it| it.rfind('\n')).unwrap_or(end);
    text.truncate(end);
    text.push_str("\n…");
    text
}

fn wrong(error: &minijinja::Error) -> WordingError {
    let said = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    WordingError { line: error.line(), said }
}

/// A letter that has everything a letter can have, for templates to be tried with.
pub(crate) fn sample() -> Letter {
    let at = Time::from_seconds(1_795_000_000);
    let fault = crate::Fault {
        rule: "CRED-STALE".into(),
        title: "not used for a long time".into(),
        because: "last used 2026-05-03, 210 days ago; limit 45".into(),
        why: "A key nobody uses is a door nobody watches.".into(),
        remedy: "Disable it, wait, then delete it.".into(),
    };
    let case = Case {
        event: crate::Event::Opened,
        id: "01234567-89ab-7cde-8f01-23456789abcd".into(),
        kind: "access_key".into(),
        name: "AKIAIOSFODNN7EXAMPLE".into(),
        external_id: "AKIAIOSFODNN7EXAMPLE".into(),
        sources: vec!["aws-prod".into()],
        severity: Severity::High,
        action: provost_model::Remedy::Disable,
        owner: Some("payments".into()),
        opened_at: at,
        deadline: Some(at),
        due: Some("Sun 2026-12-06 13:00 UTC, in 7 days".into()),
        overdue: false,
        stage: "open".into(),
        faults: vec![fault],
        link: "provost cases show 01234567".into(),
    };
    Letter {
        id: "01234567-89ab-7cde-8f01-000000000001".into(),
        route: "sample".into(),
        written_at: at,
        first_tried_at: at,
        thread: None,
        address: None,
        cases: vec![case],
        counts: vec![crate::Count { event: crate::Event::Opened, severity: Severity::High, cases: 1 }],
        baselines: vec![crate::Baseline {
            source: "aws-prod".into(),
            counts: vec![(Severity::High, 3)],
            work: "provost baseline work aws-prod".into(),
        }],
        uncertain: vec!["01234567-89ab-7cde-8f01-000000000000".into()],
        all: "provost cases list".into(),
    }
}

#[cfg(test)]
mod tests;
