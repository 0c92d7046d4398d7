//! What differs between two snapshots: both are read side by side in the order of ids, whatever their size.
//! It must never call a thing changed because somebody looked again.

use std::{io, iter::Peekable};

use serde::Serialize;
use serde_json::Value;

/// Fields that move whenever somebody looks.
const RESTLESS: [&str; 1] = ["last_seen"];

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// `appeared`, `disappeared` or `changed`.
    pub what: &'static str,
    /// The record.
    pub id: String,
    /// What sort of thing it is.
    pub kind: String,
    /// What the provider calls it.
    pub external_id: String,
    /// What people call it.
    pub name: String,
    /// The fields that differ: name, before, after.
    pub fields: Vec<(String, Value, Value)>,
}

/// The differences from one stream of rows to another, each in the order of ids.
pub fn compare<A, B>(before: A, after: B) -> Compare<A, B>
where
    A: Iterator<Item = io::Result<Value>>,
    B: Iterator<Item = io::Result<Value>>,
{
    Compare { before: before.peekable(), after: after.peekable() }
}

/// See [`compare`].
pub struct Compare<A: Iterator, B: Iterator> {
    before: Peekable<A>,
    after: Peekable<B>,
}

impl<A, B> Iterator for Compare<A, B>
where
    A: Iterator<Item = io::Result<Value>>,
    B: Iterator<Item = io::Result<Value>>,
{
    type Item = io::Result<Difference>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.before.peek(), self.after.peek()) {
                (None, None) => return None,
                (Some(Err(_)), _) => return self.before.next().and_then(Result::err).map(Err),
                (_, Some(Err(_))) => return self.after.next().and_then(Result::err).map(Err),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(Ok(before)), Some(Ok(after))) => text(before, "id").cmp(&text(after, "id")),
            };
            match order {
                std::cmp::Ordering::Less => {
                    return self.before.next().map(|it| it.map(|row| whole("disappeared", &row)));
                }
                std::cmp::Ordering::Greater => {
                    return self.after.next().map(|it| it.map(|row| whole("appeared", &row)));
                }
                std::cmp::Ordering::Equal => {
                    let (Some(Ok(before)), Some(Ok(after))) = (self.before.next(), self.after.next()) else {
                        return None;
                    };
                    let fields = differing(&before, &after);
                    if !fields.is_empty() {
                        return Some(Ok(Difference { fields, ..whole("changed", &after) }));
                    }
                }
            }
        }
    }
}

fn whole(what: &'static str, row: &Value) -> Difference {
    Difference {
        what,
        id: text(row, "id"),
        kind: text(row, "kind"),
        external_id: text(row, "external_id"),
        name: text(row, "name"),
        fields: Vec::new(),
    }
}

/// The fields in which two rows differ; those of `attributes` each by itself.
fn differing(before: &Value, after: &Value) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    let empty = serde_json::Map::new();
    let fields = |row: &Value| row.as_object().cloned().unwrap_or_default();
    let (old, new) = (fields(before), fields(after));
    for (name, value) in &new {
        let former = old.get(name).cloned().unwrap_or(Value::Null);
        if name == "attributes" {
            let (old, new) = (former.as_object().unwrap_or(&empty), value.as_object().unwrap_or(&empty));
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            let at =
                |map: &serde_json::Map<String, Value>, name: &String| map.get(name).cloned().unwrap_or(Value::Null);
            found.extend(names.into_iter().map(|it| (it.clone(), at(old, it), at(new, it))).filter(|(_, a, b)| a != b));
        } else if former != *value && !RESTLESS.contains(&name.as_str()) {
            found.push((name.clone(), former, value.clone()));
        }
    }
    found
}

fn text(row: &Value, field: &str) -> String {
    row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: &str, status: &str, seen: u32) -> io::Result<Value> {
        Ok(
            json!({"id": id, "kind": "user", "external_id": id, "status": status, "last_seen": seen, "attributes": {"mfa": status}}),
        )
    }

    #[test]
    fn what_came_what_went_what_changed() {
        let before = [row("a", "active", 1), row("b", "active", 1), row("c", "active", 1)];
        let after = [row("b", "active", 2), row("c", "inactive", 2), row("d", "active", 2)];
        let found: Vec<_> = compare(before.into_iter(), after.into_iter()).map(Result::unwrap).collect();
        let words: Vec<_> = found.iter().map(|it| (it.what, it.id.as_str(), it.fields.len())).collect();
        assert_eq!(words, [("disappeared", "a", 0), ("changed", "c", 2), ("appeared", "d", 0)]);
    }

    #[test]
    fn a_torn_line_is_an_error_not_an_absence() {
        let torn = [Err(io::Error::other("torn"))];
        assert!(compare(torn.into_iter(), [row("a", "active", 1)].into_iter()).next().unwrap().is_err());
    }
}
