//! The vocabulary of attributes: each has a name, a stable number, a type, and whether it is volatile.
//! It must never hold an attribute that only one provider understands; those go into `tags` or a decision.

mod posture;
mod set;
mod vocabulary;

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::vocabulary::SPECS;
pub use self::{posture::*, set::FieldSet, vocabulary::*};
use crate::{Reading, Status, Time};

/// A value of any attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each variant is the type it is named after")]
pub enum Value {
    Bool(bool),
    Int(i64),
    Time(Time),
    Text(String),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the type it is named after")]
pub enum Shape {
    Bool,
    Int,
    Time,
    Text,
    List,
    Map,
}

/// What there is to know about one attribute.
#[derive(Debug)]
pub struct FieldSpec {
    /// The stable number on disk; never reused.
    pub code: u8,
    /// The pinned name in every interface.
    pub name: &'static str,
    /// The type of its value.
    pub shape: Shape,
    /// Volatile attributes change all the time: overwritten in place, at most one history point a day.
    pub volatile: bool,
    /// One clause for documentation.
    pub about: &'static str,
}

/// One attribute of the vocabulary: its number, of which there is always a [`FieldSpec`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(u8);

/// What there is to know about the attribute with each number.
static BY_CODE: [Option<&FieldSpec>; 1 << u8::BITS] = by_code(SPECS);

/// An attribute together with the Rust type of its value.
pub struct Attr<T>(&'static FieldSpec, PhantomData<fn() -> T>);

/// Attributes said of one thing. An attribute that is absent here was not spoken of: [`Reading::NotCollected`].
///
/// A dozen at most are said of one thing, so a sorted list is smaller and faster than a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<(Field, Reading<Value>)>);

/// Attributes that are said of one thing at most, nearly always.
const FACTS_USUAL: usize = 32;

/// A Rust type that an attribute may have.
pub trait Typed: Sized {
    /// Wraps it for storage.
    fn into_value(self) -> Value;
    /// Unwraps it; `None` if the stored value is of another type.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Field {
    /// The attribute with that number on disk.
    pub fn from_code(code: u16) -> Option<Field> {
        BY_CODE.get(usize::from(code)).copied().flatten().map(|spec| Field(spec.code))
    }

    /// The attribute of that name.
    pub fn from_name(name: &str) -> Option<Field> {
        ALL.iter().copied().find(|field| field.name() == name)
    }

    /// Its number on disk.
    pub const fn code(self) -> u16 {
        self.0 as u16
    }

    /// Everything there is to know about it.
    pub fn spec(self) -> &'static FieldSpec {
        // There is one: fields are made of attributes and of numbers that have one.
        BY_CODE.get(usize::from(self.0)).copied().flatten().unwrap_or(NAME.0)
    }

    /// Its pinned name.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// Whether it changes all the time.
    pub fn is_volatile(self) -> bool {
        self.spec().volatile
    }

    /// The attributes of which those are the specs.
    #[expect(clippy::indexing_slicing, reason = "the compiler evaluates it, and refuses a place that is not there")]
    const fn of_each<const N: usize>(specs: &[&FieldSpec]) -> [Field; N] {
        let (mut all, mut at) = ([Field(0); N], 0);
        while at < N {
            all[at] = Field(specs[at].code);
            at += 1;
        }
        all
    }
}

/// Those specs by their numbers.
#[expect(clippy::indexing_slicing, reason = "every number has a place")]
const fn by_code(mut specs: &[&'static FieldSpec]) -> [Option<&'static FieldSpec>; 1 << u8::BITS] {
    let mut all = [None; 1 << u8::BITS];
    while let [first, others @ ..] = specs {
        all[first.code as usize] = Some(*first);
        specs = others;
    }
    all
}

impl<T> Attr<T> {
    /// The attribute without its type.
    pub const fn field(self) -> Field {
        Field(self.0.code)
    }
}

impl<T> Clone for Attr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Attr<T> {}

impl Facts {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same facts with one more.
    pub fn with<T: Typed>(mut self, attr: Attr<T>, reading: impl Into<Reading<T>>) -> Self {
        self.set(attr, reading);
        self
    }

    /// Says one more thing, or says it anew.
    pub fn set<T: Typed>(&mut self, attr: Attr<T>, reading: impl Into<Reading<T>>) {
        self.set_value(attr.field(), reading.into().map(T::into_value));
    }

    /// Says something of an attribute whose type is known only at run time.
    pub fn set_value(&mut self, field: Field, reading: Reading<Value>) {
        match self.0.binary_search_by_key(&field, |(field, _)| *field) {
            Ok(at) => {
                if let Some((_, known)) = self.0.get_mut(at) {
                    *known = reading;
                }
            }
            Err(at) => self.0.insert(at, (field, reading)),
        }
    }

    /// What is said of an attribute; [`Reading::NotCollected`] if nothing is.
    pub fn get<T: Typed>(&self, attr: Attr<T>) -> Reading<T> {
        self.reading(attr.field()).typed()
    }

    /// What is said of an attribute, untyped.
    pub fn reading(&self, field: Field) -> Reading<&Value> {
        let found = self.0.binary_search_by_key(&field, |(field, _)| *field).ok().and_then(|at| self.0.get(at));
        found.map_or(Reading::NotCollected, |(_, reading)| reading.as_ref())
    }

    /// What is said in that place, counted from zero in the order of attribute numbers.
    pub(crate) fn at(&self, place: usize) -> Option<&Reading<Value>> {
        self.0.get(place).map(|(_, reading)| reading)
    }

    /// Every value said, to be cut or mended.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.0.iter_mut().filter_map(|(_, reading)| match reading {
            Reading::Known(value) => Some(value),
            _ => None,
        })
    }

    /// Everything said, in the order of attribute numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &Reading<Value>)> {
        self.0.iter().map(|(field, reading)| (*field, reading))
    }

    /// Number of attributes spoken of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Facts {
    type Item = (Field, Reading<Value>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(Field, Reading<Value>)> for Facts {
    fn from_iter<I: IntoIterator<Item = (Field, Reading<Value>)>>(facts: I) -> Self {
        let facts = facts.into_iter();
        let mut all = Self(Vec::with_capacity(facts.size_hint().1.unwrap_or_default().min(FACTS_USUAL)));
        for (field, reading) in facts {
            match all.0.last() {
                // What was stored comes in order.
                Some((last, _)) if *last >= field => all.set_value(field, reading),
                _ => all.0.push((field, reading)),
            }
        }
        all
    }
}

impl Reading<&Value> {
    /// The same with the Rust type of the attribute; a stored value of another type was not collected.
    pub(crate) fn typed<T: Typed>(self) -> Reading<T> {
        match self {
            Reading::Known(value) => T::from_value(value).map_or(Reading::NotCollected, Reading::Known),
            Reading::Never => Reading::Never,
            Reading::NotReported => Reading::NotReported,
            Reading::NotPermitted => Reading::NotPermitted,
            Reading::NotCollected => Reading::NotCollected,
        }
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.name())
        } else {
            serializer.serialize_u16(self.code())
        }
    }
}
impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = if deserializer.is_human_readable() {
            let name = String::deserialize(deserializer)?;
            Field::from_name(&name)
        } else {
            Field::from_code(u16::deserialize(deserializer)?)
        };
        found.ok_or_else(|| serde::de::Error::custom("unknown attribute"))
    }
}

impl Typed for bool {
    fn into_value(self) -> Value {
        Value::Bool(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bool(it) = value { Some(*it) } else { None }
    }
}
impl Typed for i64 {
    fn into_value(self) -> Value {
        Value::Int(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Int(it) = value { Some(*it) } else { None }
    }
}
impl Typed for Time {
    fn into_value(self) -> Value {
        Value::Time(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Time(it) = value { Some(*it) } else { None }
    }
}
impl Typed for String {
    fn into_value(self) -> Value {
        Value::Text(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(it) = value { Some(it.clone()) } else { None }
    }
}
impl Typed for Vec<String> {
    fn into_value(self) -> Value {
        Value::List(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::List(it) = value { Some(it.clone()) } else { None }
    }
}
impl Typed for BTreeMap<String, String> {
    fn into_value(self) -> Value {
        Value::Map(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Map(it) = value { Some(it.clone()) } else { None }
    }
}
impl Typed for Status {
    fn into_value(self) -> Value {
        Value::Text(self.name().to_owned())
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(it) = value { Status::from_name(it) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_names_are_unique() {
        for pair in ALL.windows(2) {
            assert!(pair[0].spec().code < pair[1].spec().code, "{}", pair[1]);
        }
        for field in ALL {
            assert_eq!(Field::from_name(field.name()), Some(*field));
            assert_eq!(Field::from_code(field.spec().code.into()), Some(*field));
        }
    }

    #[test]
    fn what_was_not_spoken_of_was_not_collected() {
        let facts = Facts::new().with(MFA, true).with(EXPIRES_AT, Reading::Never);
        assert_eq!(facts.get(MFA), Reading::Known(true));
        assert_eq!(facts.get(EXPIRES_AT), Reading::Never);
        assert_eq!(facts.get(LAST_USED_AT), Reading::NotCollected);
    }
}
