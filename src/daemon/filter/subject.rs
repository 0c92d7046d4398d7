//! How rows answer an expression's questions.
//! It must never answer with a default where the row has no value.

use std::{collections::HashMap, sync::Arc};

use cel::{Value, objects::Key};
use provost_model::{Field, Reading, Record, Time, Value as Stored, field};

use super::Vocabulary;
use crate::{
    output::{CaseRow, FindingRow},
    rows::Candidate,
};

/// A sort of rows that expressions can ask.
pub trait Subject: Send + Sync {
    /// The names it knows.
    fn vocabulary() -> &'static Vocabulary;

    /// The row's reading of a name of the vocabulary.
    fn look(&self, name: &str, now: Time) -> Reading<Value>;
}

impl Subject for Candidate {
    fn vocabulary() -> &'static Vocabulary {
        Vocabulary::inventory()
    }

    fn look(&self, name: &str, now: Time) -> Reading<Value> {
        let (record, beside) = (&self.record, &self.beside);
        Reading::Known(match name {
            "id" => text(record.id.to_string()),
            "kind" => text(record.kind.name()),
            "source" => list(&beside.sources),
            "external_id" => text(record.external()),
            "name" => text(record.name()),
            "identity" => beside.identity.map_or(Value::Null, |id| text(id.to_string())),
            "owner" => beside.owner.as_deref().map_or(Value::Null, text),
            "status" => text(record.status(now).name()),
            "presence" => text(record.presence().name()),
            "first_seen" => instant(record.first_seen),
            "last_seen" => instant(beside.last_seen.unwrap_or(record.first_seen)),
            "age_days" => return record.get(field::CREATED_AT).map(|then| days(then, now)),
            "idle_days" => return record.get(field::LAST_USED_AT).map(|then| days(then, now)),
            other => return attribute(record, other),
        })
    }
}

impl Subject for FindingRow {
    fn vocabulary() -> &'static Vocabulary {
        Vocabulary::findings()
    }

    fn look(&self, name: &str, now: Time) -> Reading<Value> {
        Reading::Known(match name {
            "id" => text(self.id.to_string()),
            "rule" => text(self.rule.as_str()),
            "rule_version" => Value::Int(i64::from(self.rule_version)),
            "subject" => text(self.subject.to_string()),
            "external_id" => text(self.external_id.as_str()),
            "state" => text(self.state.word()),
            "severity" => text(self.severity.word()),
            "opened_at" => instant(self.opened_at),
            "resolved_at" => self.resolved_at.map_or(Value::Null, instant),
            "resolution" => self.resolution.map_or(Value::Null, |it| text(it.word())),
            "because" => text(self.because.as_str()),
            "frameworks" => map(self.frameworks.iter().map(|(name, ids)| (name.as_str(), list(ids)))),
            "age_days" => days(self.opened_at, now),
            _ => return Reading::NotCollected,
        })
    }
}

impl Subject for CaseRow {
    fn vocabulary() -> &'static Vocabulary {
        Vocabulary::cases()
    }

    fn look(&self, name: &str, now: Time) -> Reading<Value> {
        let optional = |it: Option<&str>| it.map_or(Value::Null, text);
        Reading::Known(match name {
            "id" => text(self.id.to_string()),
            "kind" => text(self.kind),
            "name" => text(self.name.as_str()),
            "external_id" => text(self.external_id.as_str()),
            "source" => list(&self.source),
            "severity" => text(self.severity.word()),
            "action" => text(self.action.word()),
            "owner" => optional(self.owner.as_deref()),
            "deadline" => self.deadline.map_or(Value::Null, instant),
            "overdue" => Value::Bool(self.overdue),
            "rules" => list(&self.rules),
            "opened_at" => instant(self.opened_at),
            "stage" => text(self.stage),
            "decision" => self.decision.map_or(Value::Null, |id| text(id.to_string())),
            "baseline" => Value::Bool(self.baseline),
            "age_days" => days(self.opened_at, now),
            _ => return Reading::NotCollected,
        })
    }
}

fn attribute(record: &Record, name: &str) -> Reading<Value> {
    let Some(field) = Field::from_name(name) else { return Reading::NotCollected };
    record.reading(field).map(|stored| match stored {
        Stored::Bool(yes) => Value::Bool(*yes),
        Stored::Int(number) => Value::Int(*number),
        Stored::Time(time) => instant(*time),
        Stored::Text(it) => text(it.as_str()),
        Stored::List(items) => list(items),
        Stored::Map(entries) => map(entries.iter().map(|(name, it)| (name.as_str(), text(it.as_str())))),
    })
}

fn text(text: impl Into<String>) -> Value {
    Value::String(Arc::new(text.into()))
}

fn list(items: &[String]) -> Value {
    Value::List(Arc::new(items.iter().map(|item| text(item.as_str())).collect()))
}

fn map<'a>(entries: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let entries: HashMap<Key, Value> = entries.map(|(name, it)| (Key::from(name), it)).collect();
    Value::Map(entries.into())
}

fn days(then: Time, now: Time) -> Value {
    Value::Int((now - then).whole_days())
}

/// The instant as the language has it, within the years 1 to 9999 which it can hold. Its default is the Unix epoch.
fn instant(time: Time) -> Value {
    const EARLIEST: i64 = -62_135_596_800_000_000;
    const LATEST: i64 = 253_402_300_799_000_000;
    let micros = time.as_micros().clamp(EARLIEST, LATEST);
    let distance = std::time::Duration::from_micros(micros.unsigned_abs());
    let epoch = cel::Timestamp::default().0;
    Value::Timestamp(if micros < 0 { epoch - distance } else { epoch + distance })
}
