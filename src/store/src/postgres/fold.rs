//! What a batch comes to, row by row: many steps on a row become the one change that they amount to.
//! It must never say more than the steps in their order would have done, nor ask the database.

use std::collections::BTreeMap;

use provost_model::Time;
use serde_json::Value;

use crate::{Batch, CommitNo, Op, StoreError, Table, embedded};

/// What people may read of a row: its table, key and value made into a document of JSON, or none.
pub type Projector = fn(&str, &[u8], &[u8]) -> Option<String>;

/// What people may read of the store with tools of their own.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Makes the documents beside the rows.
    pub projector: Projector,
    /// SQL that makes or replaces views of those documents.
    pub views: &'static str,
    /// The version of that SQL: where it is greater than the database's, it is run.
    pub version: i32,
}

/// Rows to write, column by column.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) tables: Vec<i16>,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) values: Vec<Vec<u8>>,
    pub(super) shown: Vec<Option<String>>,
}

/// Rows to remove, column by column.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) tables: Vec<i16>,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) versioned: Vec<bool>,
    /// The batch itself had put a row there: its deletion is a version even if there was no row before.
    pub(super) was_put: Vec<bool>,
}

/// Items of queues, column by column; without a time: taken out.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) queues: Vec<String>,
    pub(super) items: Vec<Vec<u8>>,
    pub(super) times: Vec<i64>,
}

/// A batch as sets.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// What the rows must still be like, as far as writing them does not show it.
    pub(super) expected: Vec<(Table, i16, Vec<u8>, Option<CommitNo>)>,
    /// Present rows whose value is overwritten; comes first.
    pub(super) amended: Rows,
    /// Rows that must not be there yet.
    pub(super) fresh: Rows,
    /// Rows of versioned tables: the version they replace is kept.
    pub(super) versioned: Rows,
    /// Rows of plain tables.
    pub(super) plain: Rows,
    /// Rows removed.
    pub(super) gone: Gone,
    /// Items put into queues or moved.
    pub(super) scheduled: Items,
    /// Items taken out of queues.
    pub(super) unscheduled: Items,
    /// Entries of streams, in order.
    pub(super) appended: Vec<(String, Vec<u8>)>,
}

/// What becomes of one row.
#[derive(Default)]
struct Fate<'a> {
    /// The value that the row there gets first.
    amended: Option<&'a [u8]>,
    /// The batch is refused if there is one.
    fresh: bool,
    then: Then<'a>,
}

#[derive(Clone, Copy, Default)]
enum Then<'a> {
    #[default]
    Left,
    Put(&'a [u8]),
    Gone {
        was_put: bool,
    },
}

/// Folds a batch. Every table of it has a number.
pub(super) fn fold(
    batch: &Batch,
    number_of: impl Fn(&str) -> Option<i16>,
    shown: Option<Projector>,
) -> Result<Folded, StoreError> {
    let mut fates: BTreeMap<(i16, &[u8]), (Table, Fate<'_>)> = BTreeMap::new();
    let mut due: BTreeMap<(&str, &[u8]), Option<Time>> = BTreeMap::new();
    let mut folded = Folded::default();
    for op in &batch.ops {
        match op {
            Op::Put { table, key, .. } | Op::Amend { table, key, .. } | Op::Delete { table, key } => {
                let number = number_of(table.name).ok_or_else(|| StoreError::Codec("a table's number".to_owned()))?;
                let (_, fate) = fates.entry((number, key)).or_insert_with(|| (*table, Fate::default()));
                if !fate.meet(op) {
                    return Err(embedded::conflict(*table, key));
                }
            }
            Op::Append { stream, value } => folded.appended.push(((*stream).to_owned(), value.clone())),
            Op::Schedule { queue, item, at } => drop(due.insert((queue, item), Some(*at))),
            Op::Unschedule { queue, item } => drop(due.insert((queue, item), None)),
        }
    }
    for (table, key, commit) in &batch.expect {
        let number = number_of(table.name).ok_or_else(|| StoreError::Codec("a table's number".to_owned()))?;
        match fates.get_mut(&(number, key.as_slice())) {
            // Writing them as new rows finds out whether they are.
            Some((_, fate)) if commit.is_none() && fate.is_put() => fate.fresh = true,
            _ => folded.expected.push((*table, number, key.clone(), *commit)),
        }
    }
    for ((number, key), (table, fate)) in fates {
        let document = |value: &[u8]| shown.and_then(|shown| shown(table.name, key, value)).map(text);
        if let Some(value) = fate.amended {
            // What follows in the batch overwrites what people see of it.
            let seen = if matches!(fate.then, Then::Left) { document(value) } else { None };
            folded.amended.push((number, key), value, seen);
        }
        match fate.then {
            Then::Left => {}
            Then::Put(value) => {
                let rows = match (fate.fresh, table.versioned) {
                    (true, _) => &mut folded.fresh,
                    (false, true) => &mut folded.versioned,
                    (false, false) => &mut folded.plain,
                };
                rows.push((number, key), value, document(value));
            }
            Then::Gone { was_put } => folded.gone.push((number, key), table.versioned, was_put),
        }
    }
    for ((queue, item), at) in due {
        let items = if at.is_some() { &mut folded.scheduled } else { &mut folded.unscheduled };
        items.queues.push(queue.to_owned());
        items.items.push(item.to_vec());
        items.times.extend(at.map(Time::as_micros));
    }
    Ok(folded)
}

impl<'a> Fate<'a> {
    /// Whether nothing but a new value becomes of it.
    fn is_put(&self) -> bool {
        self.amended.is_none() && matches!(self.then, Then::Put(_))
    }

    /// The next step; false if it needs a row that the steps before it removed.
    fn meet(&mut self, op: &'a Op) -> bool {
        match (op, self.then) {
            (Op::Put { value, .. }, _) | (Op::Amend { value, .. }, Then::Put(_)) => self.then = Then::Put(value),
            (Op::Amend { value, .. }, Then::Left) => self.amended = Some(value),
            (Op::Amend { .. }, Then::Gone { .. }) => return false,
            (Op::Delete { .. }, Then::Put(_)) => self.then = Then::Gone { was_put: true },
            (Op::Delete { .. }, Then::Left) => self.then = Then::Gone { was_put: false },
            _ => {}
        }
        true
    }
}

impl Rows {
    fn push(&mut self, (table, key): (i16, &[u8]), value: &[u8], shown: Option<String>) {
        self.tables.push(table);
        self.keys.push(key.to_vec());
        self.values.push(value.to_vec());
        self.shown.push(shown);
    }
}

impl Gone {
    fn push(&mut self, (table, key): (i16, &[u8]), versioned: bool, was_put: bool) {
        self.tables.push(table);
        self.keys.push(key.to_vec());
        self.versioned.push(versioned);
        self.was_put.push(was_put);
    }
}

/// A document without zero characters: the database's hold none, they are shown as U+FFFD.
pub(super) fn text(document: String) -> String {
    if !document.contains("\\u0000") {
        return document;
    }
    serde_json::from_str(&document).map_or(document, |value| without_zero(value).to_string())
}

fn without_zero(value: Value) -> Value {
    let cleaned = |text: String| text.replace('\0', "\u{fffd}");
    match value {
        Value::String(text) => Value::String(cleaned(text)),
        Value::Array(items) => items.into_iter().map(without_zero).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, it)| (cleaned(name), without_zero(it))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{PLAIN, ROWS, amend, batch, delete, put};

    fn folded(ops: impl IntoIterator<Item = Op>) -> Result<Folded, StoreError> {
        let shown: Projector =
            |_, _, value| Some(Value::String(String::from_utf8_lossy(value).into_owned()).to_string());
        fold(&batch(1, ops), |name| Some(if name == "things" { 1 } else { 2 }), Some(shown))
    }

    #[test]
    fn many_steps_on_a_row_become_one_change() {
        let a = |value| put(ROWS, "a", value);
        let done = folded([a("1"), delete(ROWS, "a"), a("2"), amend(ROWS, "a", "3"), put(PLAIN, "p", "x")]).unwrap();
        assert_eq!(done.versioned.values, [b"3"]);
        assert_eq!(done.versioned.shown, [Some("\"3\"".to_owned())]);
        assert_eq!(done.plain.keys, [b"p"]);
        assert!(done.amended.keys.is_empty() && done.gone.keys.is_empty());
        let done =
            folded([amend(ROWS, "a", "1"), amend(ROWS, "a", "2"), delete(ROWS, "a"), delete(ROWS, "a")]).unwrap();
        assert_eq!(done.amended.values, [b"2"]);
        assert_eq!((done.gone.was_put, done.amended.shown), (vec![false], vec![None]));
        assert_eq!(folded([a("1"), delete(ROWS, "a"), delete(ROWS, "a")]).unwrap().gone.was_put, [true]);
        assert!(matches!(folded([delete(ROWS, "a"), amend(ROWS, "a", "1")]), Err(StoreError::Conflict(_))));
    }

    #[test]
    fn what_must_not_be_there_is_written_as_new_and_everything_else_is_asked_for() {
        let row = |key: &str, commit| (ROWS, key.as_bytes().to_vec(), commit);
        let ops = [put(ROWS, "new", "1"), put(ROWS, "old", "1"), put(ROWS, "put", "1"), amend(ROWS, "amended", "1")];
        let mut batch = batch(1, ops);
        batch.ops.extend([amend(ROWS, "twice", "1"), put(ROWS, "twice", "2"), delete(ROWS, "gone")]);
        let absent = ["new", "amended", "twice", "gone", "read"].map(|key| row(key, None));
        batch.expect = absent.into_iter().chain([row("old", Some(CommitNo(1)))]).collect();
        let folded = fold(&batch, |_| Some(1), None).unwrap();
        assert_eq!(folded.fresh.keys, [b"new"]);
        assert_eq!(folded.versioned.keys, [&b"old"[..], b"put", b"twice"]);
        let asked: Vec<_> = folded.expected.iter().map(|(.., key, _)| key.as_slice()).collect();
        assert_eq!(asked, [&b"amended"[..], b"twice", b"gone", b"read", b"old"]);
    }

    #[test]
    fn a_document_loses_its_zero_characters_and_nothing_else() {
        let document = serde_json::json!({"a\0": ["x\0y", {"b": "\\u0000"}], "n": 1});
        assert_eq!(text(document.to_string()), "{\"a\u{fffd}\":[\"x\u{fffd}y\",{\"b\":\"\\\\u0000\"}],\"n\":1}");
    }
}
