//! What people may read of rows with tools of their own: documents beside the rows, and the SQL views made of them.
//! It must never show what `inventory list` would not, nor be read back by this program.

use std::collections::BTreeMap;

use provost_model::{Field, Finding, Key, Noun, Reading, Record, Run, Standing, Time, field};
use serde::Serialize;
use serde_json::{Value, json};

use super::{FINDINGS, RECORDS, RUNS, SCOPES, SOURCES, ScopeRow, SourceRow, index, rows::decode};
use crate::codec;

/// The views, a public interface: columns are added at their end, never taken away. ARCHITECTURE lists them.
pub const VIEWS: &str = include_str!("views.sql");
/// Their version: greater by one with every change of that file.
pub const VIEWS_VERSION: i32 = 1;

/// The document of a row; `None` for rows that only this program needs, and for those that it cannot read.
pub fn shown(table: &str, key: &[u8], value: &[u8]) -> Option<String> {
    if table == RECORDS.name {
        return codec::record::decode(value).ok().and_then(|it| record(&it));
    }
    let document = if table == FINDINGS.name {
        codec::finding::decode(value).ok().map(|all| all.iter().map(finding).collect())
    } else if table == SCOPES.name {
        decode(value, "a scope").ok().map(|it| scope(&it))
    } else if table == SOURCES.name {
        let name = String::from_utf8_lossy(key).trim_end_matches('\0').to_owned();
        decode(value, "a source").ok().map(|it| source(&name, &it))
    } else if table == RUNS.name {
        codec::run::decode(value).ok().map(|it| run(&it))
    } else {
        None
    };
    document.map(|document: Value| document.to_string())
}

/// Attributes with columns of their own.
const COLUMNS: [Field; 6] = [
    field::NAME.field(),
    field::STATUS.field(),
    field::CREATED_AT.field(),
    field::ROTATED_AT.field(),
    field::LAST_USED_AT.field(),
    field::EXPIRES_AT.field(),
];

/// The document of a record: most of what is written at a first load, so it is written straight into its text. What is not
/// there is left out, for which the views show null.
#[derive(Serialize)]
struct Document<'a> {
    id: String,
    kind: &'a str,
    noun: &'a str,
    realm: &'a str,
    external_id: &'a str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    presence: &'static str,
    created_at: Reading<Option<String>>,
    rotated_at: Reading<Option<String>>,
    last_used_at: Reading<Option<String>>,
    expires_at: Reading<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<String>,
    statements: Vec<Said>,
    attributes: BTreeMap<&'a str, &'a Reading<provost_model::Value>>,
}

/// What a statement says of who sees a record.
#[derive(Serialize)]
struct Said {
    scope: u32,
    seen: bool,
    recorded: Option<String>,
}

fn record(it: &Record) -> Option<String> {
    let facts = it.facts();
    let others = facts.iter().filter(|(attribute, _)| !COLUMNS.contains(attribute));
    let statements = it.statements.iter().map(|said| Said {
        scope: said.scope.0,
        seen: said.standing == Standing::Seen,
        recorded: time(said.recorded),
    });
    let document = Document {
        id: it.id.to_string(),
        kind: it.kind.name(),
        noun: noun(it.kind.noun()),
        realm: it.realm.as_str(),
        external_id: it.external(),
        name: it.name(),
        identity: it.identity.as_ref().map(digits),
        container: it.container.as_ref().map(digits),
        status: it.get(field::STATUS).known().map(|status| status.name()),
        presence: it.presence().name(),
        created_at: it.get(field::CREATED_AT).map(time),
        rotated_at: it.get(field::ROTATED_AT).map(time),
        last_used_at: it.get(field::LAST_USED_AT).map(time),
        expires_at: it.get(field::EXPIRES_AT).map(time),
        first_seen: time(it.first_seen),
        statements: statements.collect(),
        attributes: others.map(|(attribute, reading)| (attribute.name(), reading)).collect(),
    };
    serde_json::to_string(&document).ok()
}

fn finding(it: &Finding) -> Value {
    let mut shown = plain(it);
    for (name, at) in [
        ("opened_at", Some(it.opened_at)),
        ("opened_as_of", Some(it.opened_as_of)),
        ("resolved_at", it.resolved_at),
        ("unconfirmed_since", it.unconfirmed_since),
        ("until", it.until),
    ] {
        if let Value::Object(fields) = &mut shown {
            fields.insert(name.to_owned(), at.map(time).into());
        }
    }
    shown
}

fn scope(it: &ScopeRow) -> Value {
    json!({
        "number": it.number.0,
        "source": it.source,
        "scope": it.scope.to_string(),
        "watched": it.watched,
        "covered_at": it.covered_at.map(time),
        "full_at": it.full_at.map(time),
        "last_cover": it.last_cover,
    })
}

fn source(name: &str, it: &SourceRow) -> Value {
    json!({
        "name": name,
        "realm": it.realm.as_ref().map(|realm| realm.as_str()),
        "first_complete": it.first_complete.map(time),
        "last_complete": it.last_complete.map(time),
        "last_run": it.last_run.map(|run| run.to_string()),
        "baseline": it.baseline.word(),
        "next_run": it.next_run.map(time),
        "retired": it.retired,
        "credential_expires": it.credential_expires.map(time),
    })
}

fn run(it: &Run) -> Value {
    let sum = |of: fn(&provost_model::ScopeReport) -> u64| it.scopes.iter().map(of).sum::<u64>();
    json!({
        "id": it.id.to_string(),
        "source": it.source,
        "realm": it.realm.as_ref().map(|realm| realm.as_str()),
        "started": time(it.started),
        "ended": it.ended.map(time),
        "outcome": it.outcome.word(),
        "seen": sum(|scope| scope.seen),
        "appeared": sum(|scope| scope.appeared),
        "changed": sum(|scope| scope.changed),
        "gone": sum(|scope| scope.gone),
        "calls": it.calls.iter().map(|call| call.sent).sum::<u64>(),
        "troubles": plain(&it.troubles),
    })
}

fn noun(noun: Noun) -> &'static str {
    match noun {
        Noun::Identity => "identity",
        Noun::Credential => "credential",
        Noun::Secret => "secret",
        Noun::Application => "application",
        Noun::Grant => "grant",
        Noun::Person => "person",
    }
}

/// A time as the database reads it; none beyond its calendar's years of four digits.
fn time(at: Time) -> Option<String> {
    const YEARS: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;
    YEARS.contains(&at.as_micros()).then(|| at.to_string())
}

/// The key of the row in which the record of a name is found.
fn digits(key: &Key) -> String {
    index::digest(key).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn plain(it: &impl Serialize) -> Value {
    serde_json::to_value(it).unwrap_or_default()
}
