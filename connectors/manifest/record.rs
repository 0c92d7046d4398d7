//! From a record of an answer to the things it tells of.
//! It must never turn what is absent, null or unreadable into a value.

use std::collections::{BTreeMap, HashMap};

use provost_model::{Entity, Field, Key, Kind, Reading, Realm, Status, Value as Said, field, field::Shape};
use serde_json::Value;
use url::Url;

use super::{
    meant::{IdentityOf, KindOf, List, Make, Place, Take},
    pointer::{Found, Pointer},
    time_form::Written,
};

/// Longest id taken of a provider, in bytes.
const ID_MAX: usize = 512;

/// What is remembered of the records of a list, for those that come later.
#[derive(Debug, Default)]
pub(super) struct Kept {
    rows: HashMap<String, Row>,
    /// Ids in the order of the listing.
    pub order: Vec<String>,
    /// How the listing ended.
    pub end: End,
    /// Whether it came as one answer.
    pub atomic: bool,
}

/// How a listing ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// Everything was listed.
    Whole,
    /// Something was not.
    #[default]
    Partial,
    /// Nothing was, for want of a right.
    Denied,
}

/// What is remembered of one record.
#[derive(Debug)]
struct Row {
    kind: Option<Kind>,
    values: BTreeMap<String, Value>,
}

/// A record of which a call is made.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    /// Its id.
    pub id: String,
    /// What fills the hole that names its list.
    pub fills: String,
    /// The list it is of.
    pub list: usize,
}

/// What one record tells.
#[derive(Debug)]
pub(super) struct Told {
    /// Its id, unique in its list.
    pub id: String,
    /// Things to say.
    pub entities: Vec<Entity>,
    /// Attributes that are there and cannot be read.
    pub unread: Vec<Field>,
}

/// Reads records.
pub(super) struct Reader<'a> {
    pub realm: &'a Realm,
    pub lists: &'a [List],
    pub kept: &'a [Kept],
}

/// The text of a scalar.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The id there: a text or a number that is not empty.
pub(super) fn id_at(at: &Pointer, record: &Value) -> Option<String> {
    at.of(record).value().filter(|it| !it.is_boolean()).and_then(word).filter(|it| !it.is_empty() && it.len() <= ID_MAX)
}

/// Whether whatever stands there is said: not absent, null, false or empty.
pub(super) fn holds(at: &Pointer, record: &Value) -> bool {
    at.of(record).value().is_some_and(|it| match it {
        Value::Bool(is) => *is,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        Value::Null | Value::Number(_) | Value::Object(_) => true,
    })
}

impl Kept {
    /// Remembers what later lists need of a record.
    pub(super) fn keep(&mut self, told: &Told, list: &List, record: &Value) {
        let Some(keep) = &list.keep else { return };
        let values = keep.iter().filter_map(|at| match at.of(record) {
            Found::Absent => None,
            Found::Null => Some((at.to_string(), Value::Null)),
            Found::Value(value) => Some((at.to_string(), value.clone())),
        });
        let kind = told.entities.first().map(|it| it.key.kind);
        let row = Row { kind, values: values.collect() };
        if self.rows.insert(told.id.clone(), row).is_none() {
            self.order.push(told.id.clone());
        }
    }

    /// The records of which calls are made, each with what fills the hole.
    pub(super) fn parents(&self, list: usize, at: Option<&Pointer>) -> Vec<Parent> {
        let fills = |id: &String| match at {
            None => Some(id.clone()),
            Some(at) => self.value(id, at).and_then(word).filter(|it| !it.is_empty()),
        };
        self.order.iter().filter_map(|id| Some(Parent { id: id.clone(), fills: fills(id)?, list })).collect()
    }

    fn value(&self, id: &str, at: &Pointer) -> Option<&Value> {
        self.rows.get(id)?.values.get(at.to_string().as_str())
    }
}

impl Reader<'_> {
    /// What a record tells; `None` if it has no id, so that nobody can say which it is.
    pub(super) fn told(&self, list: &List, record: &Value, parent: Option<&Parent>) -> Option<Told> {
        let external = |at: &Pointer| {
            let id = id_at(at, record)?;
            Some(match parent.filter(|_| list.scoped) {
                Some(parent) => format!("{}/{id}", parent.id),
                None => id,
            })
        };
        let id = external(&list.id)?;
        let mut told = Told { id, entities: Vec::new(), unread: Vec::new() };
        for make in &list.makes {
            if make.only_if.as_ref().is_some_and(|at| !holds(at, record)) {
                continue;
            }
            let Some(kind) = kind_of(&make.kind, record) else { continue };
            let own = match &make.id {
                None => told.id.clone(),
                Some(at) => external(at)?,
            };
            let key = Key::new(self.realm.clone(), kind, own);
            let first = told.entities.first().map(|it: &Entity| it.key.clone());
            let entity = self.entity(make, (key, first), (record, parent), &mut told.unread);
            told.entities.push(entity);
        }
        Some(told)
    }

    fn entity(
        &self,
        make: &Make,
        (key, first): (Key, Option<Key>),
        (record, parent): (&Value, Option<&Parent>),
        unread: &mut Vec<Field>,
    ) -> Entity {
        let name = key.external.clone();
        let mut entity = Entity::new(key, name);
        for (field, reading) in &make.constants {
            entity.facts.set_value(*field, reading.clone());
        }
        for (field, take) in &make.fields {
            match self.read(*field, take, record, parent) {
                Ok(Some(reading)) => entity.facts.set_value(*field, reading),
                Ok(None) => {}
                Err(Unreadable) => unread.push(*field),
            }
        }
        entity.identity = make.identity.iter().find_map(|it| self.identity(it, record, (parent, first.as_ref())));
        if make.within {
            entity.container = parent.and_then(|parent| self.key(parent.list, &parent.id));
        }
        entity
    }

    fn identity(
        &self,
        of: &IdentityOf,
        record: &Value,
        (parent, first): (Option<&Parent>, Option<&Key>),
    ) -> Option<Key> {
        match of {
            IdentityOf::Record(list, at) => self.key(*list, &id_at(at, record)?),
            IdentityOf::Above => parent.and_then(|parent| self.key(parent.list, &parent.id)),
            IdentityOf::Itself => first.cloned(),
        }
    }

    /// The key of a record of that list.
    fn key(&self, list: usize, id: &str) -> Option<Key> {
        let kind = match &self.lists.get(list)?.makes.first()?.kind {
            KindOf::Fixed(kind) => *kind,
            KindOf::Told { .. } => self.kept.get(list)?.rows.get(id)?.kind?,
        };
        Some(Key::new(self.realm.clone(), kind, id))
    }

    fn read(
        &self,
        field: Field,
        take: &Take,
        record: &Value,
        parent: Option<&Parent>,
    ) -> Result<Option<Reading<Said>>, Unreadable> {
        let mut null = false;
        for place in &take.places {
            match self.found(place, record, parent) {
                Found::Value(value) => return self.value(field, take, value),
                Found::Null => null = true,
                Found::Absent => {}
            }
        }
        Ok(if null { take.null.clone() } else { take.absent.clone() })
    }

    fn found<'a>(&'a self, place: &Place, record: &'a Value, parent: Option<&Parent>) -> Found<'a> {
        if !place.above {
            return place.at.of(record);
        }
        let kept = parent.and_then(|parent| self.kept.get(parent.list)?.value(&parent.id, &place.at));
        match kept {
            None => Found::Absent,
            Some(Value::Null) => Found::Null,
            Some(value) => Found::Value(value),
        }
    }

    fn value(&self, field: Field, take: &Take, value: &Value) -> Result<Option<Reading<Said>>, Unreadable> {
        let said = match field.spec().shape {
            Shape::List => Some(Said::List(self.elements(take, value)?)),
            Shape::Map => Some(Said::Map(members(value)?)),
            Shape::Time => match take.time.read(value) {
                Written::Time(at) => Some(Said::Time(at)),
                Written::Nothing => return Ok(take.null.clone()),
                Written::Unreadable => return Err(Unreadable),
            },
            Shape::Bool | Shape::Int | Shape::Text => {
                let written = word(value).ok_or(Unreadable)?;
                let written = match self.looked_up(take, written) {
                    Ok(written) => written,
                    Err(reading) => return Ok(Some(reading)),
                };
                if written.is_empty() {
                    return Ok(take.null.clone());
                }
                scalar(field, take, written)?
            }
        };
        Ok(said.map(Reading::Known))
    }

    fn elements(&self, take: &Take, value: &Value) -> Result<Vec<String>, Unreadable> {
        let all = match value {
            Value::Array(all) => all.iter().collect(),
            one => vec![one],
        };
        let mut elements = Vec::new();
        for element in all {
            let element = match &take.each {
                Some(at) => match at.of(element) {
                    Found::Value(element) => element,
                    Found::Absent | Found::Null => continue,
                },
                None => element,
            };
            let written = word(element).ok_or(Unreadable)?;
            let written = self.looked_up(take, written.clone()).unwrap_or(written);
            if !written.is_empty() {
                elements.push(mapped(take, &written).map_or(written, str::to_owned));
            }
        }
        Ok(elements)
    }

    /// What the record of that id says where the lookup looks; the id itself where nobody knows better.
    fn looked_up(&self, take: &Take, id: String) -> Result<String, Reading<Said>> {
        let Some((list, at)) = &take.lookup else { return Ok(id) };
        let Some(kept) = self.kept.get(*list) else { return Ok(id) };
        if kept.end == End::Denied {
            return Err(Reading::NotPermitted);
        }
        Ok(kept.value(&id, at).and_then(word).filter(|it| !it.is_empty()).unwrap_or(id))
    }
}

/// An attribute that is there and cannot be read.
struct Unreadable;

fn kind_of(kind: &KindOf, record: &Value) -> Option<Kind> {
    match kind {
        KindOf::Fixed(kind) => Some(*kind),
        KindOf::Told { at, map, other } => {
            let told = at.of(record).value().and_then(word).and_then(|word| map.get(&word));
            told.copied().unwrap_or(*other)
        }
    }
}

fn mapped<'a>(take: &'a Take, written: &str) -> Option<&'a str> {
    take.map.get(written).or(take.other.as_ref()).map(String::as_str)
}

fn scalar(field: Field, take: &Take, written: String) -> Result<Option<Said>, Unreadable> {
    let has_map = !take.map.is_empty() || take.other.is_some();
    let written = match mapped(take, &written) {
        Some(mapped) => mapped.to_owned(),
        None if field == field::STATUS.field() => {
            let known = if has_map { None } else { Status::from_name(&written.to_lowercase()) };
            known.unwrap_or(Status::Unknown).name().to_owned()
        }
        // A word the manifest does not know says nothing.
        None if has_map => return Ok(None),
        None => written,
    };
    Ok(Some(match field.spec().shape {
        Shape::Bool => Said::Bool(written.parse().map_err(|_| Unreadable)?),
        Shape::Int => Said::Int(written.parse().map_err(|_| Unreadable)?),
        _ if field == field::URL.field() => Said::Text(origin(&written).ok_or(Unreadable)?),
        _ => Said::Text(written),
    }))
}

/// Scheme, host and port: what follows them in the address of a hook is often the secret that opens it.
fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    url.host_str()?;
    Some(url.origin().ascii_serialization())
}

fn members(value: &Value) -> Result<BTreeMap<String, String>, Unreadable> {
    let members = value.as_object().ok_or(Unreadable)?;
    members.iter().map(|(name, value)| Ok((name.clone(), word(value).ok_or(Unreadable)?))).collect()
}
