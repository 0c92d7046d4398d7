//! What is believed of one record, looked up once: for those who ask a dozen questions about the same record.
//! It must never answer otherwise than the record itself.

use std::collections::BTreeMap;

use crate::{Attr, Field, Reading, Record, Statement, Status, Time, Value, field, field::Typed};

/// Attribute numbers that are looked up once; all there are.
const NUMBERS: usize = 256;

/// A record with the place of every attribute that is spoken of.
#[derive(Clone, Debug)]
pub struct Believed<'a> {
    record: &'a Record,
    /// For each attribute number: one more than the place of the statement that is believed, and the place in its facts.
    places: [(u8, u8); NUMBERS],
    /// Whether every place fitted.
    whole: bool,
}

impl<'a> Believed<'a> {
    /// Looks everything up.
    pub fn of(record: &'a Record) -> Self {
        let mut it = Self { record, places: [(0, 0); NUMBERS], whole: true };
        for (at, said) in record.statements.iter().enumerate() {
            if said.counts() {
                it.take(at, said);
            }
        }
        it
    }

    fn take(&mut self, at: usize, said: &Statement) {
        let Some(above) = u8::try_from(at + 1).ok().filter(|_| said.facts.len() <= usize::from(u8::MAX)) else {
            self.whole = false;
            return;
        };
        let alone = self.record.statements.len() == 1;
        for (place, (field, reading)) in (0_u8..).zip(said.facts.iter()) {
            if *reading == Reading::NotCollected {
                continue;
            }
            let better = alone || {
                let former = self.found(field);
                former.is_none_or(|(known, by)| said.weighs(&reading.as_ref()) > by.weighs(&known))
            };
            match self.places.get_mut(usize::from(field.code())) {
                Some(slot) if better => *slot = (above, place),
                Some(_) => {}
                None => self.whole = false,
            }
        }
    }

    fn found(&self, field: Field) -> Option<(Reading<&'a Value>, &'a Statement)> {
        let (above, place) = *self.places.get(usize::from(field.code()))?;
        let said = self.record.statements.get(usize::from(above.checked_sub(1)?))?;
        Some((said.facts.at(usize::from(place))?.as_ref(), said))
    }

    /// The record.
    pub fn record(&self) -> &'a Record {
        self.record
    }

    /// What is believed of an attribute, and the statement it comes from.
    pub fn said(&self, field: Field) -> Option<(Reading<&'a Value>, &'a Statement)> {
        if self.whole { self.found(field) } else { self.record.said(field) }
    }

    /// What is believed of an attribute.
    pub fn reading(&self, field: Field) -> Reading<&'a Value> {
        self.said(field).map_or(Reading::NotCollected, |(reading, _)| reading)
    }

    /// What is believed of a typed attribute.
    pub fn get<T: Typed>(&self, attr: Attr<T>) -> Reading<T> {
        self.reading(attr.field()).typed()
    }

    /// What is believed of an attribute that is a text.
    pub fn text(&self, attr: Attr<String>) -> Reading<&'a str> {
        self.reading(attr.field()).text()
    }

    /// Whether it works at that time.
    pub fn status(&self, now: Time) -> Status {
        Status::at(self.get(field::STATUS), &self.get(field::EXPIRES_AT), now)
    }
}

impl<'a> Reading<&'a Value> {
    /// The same as a text; a value of another type was not collected.
    pub(crate) fn text(self) -> Reading<&'a str> {
        self.narrowed(|value| if let Value::Text(it) = value { Some(it.as_str()) } else { None })
    }

    /// The same as a list.
    pub(crate) fn list(self) -> Reading<&'a [String]> {
        self.narrowed(|value| if let Value::List(it) = value { Some(it.as_slice()) } else { None })
    }

    /// The same as a map.
    pub(crate) fn pairs(self) -> Reading<&'a BTreeMap<String, String>> {
        self.narrowed(|value| if let Value::Map(it) = value { Some(it) } else { None })
    }

    fn narrowed<U>(self, to: impl FnOnce(&'a Value) -> Option<U>) -> Reading<U> {
        match self {
            Reading::Known(value) => to(value).map_or(Reading::NotCollected, Reading::Known),
            Reading::Never => Reading::Never,
            Reading::NotReported => Reading::NotReported,
            Reading::NotPermitted => Reading::NotPermitted,
            Reading::NotCollected => Reading::NotCollected,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Because, Facts, Kind, PartId, Realm, RecordId, ScopeNo, Standing};

    fn reading(sort: u8, number: i64) -> Reading<Value> {
        match sort {
            0 => Reading::Known(Value::Int(number)),
            1 => Reading::Never,
            2 => Reading::NotReported,
            3 => Reading::NotPermitted,
            4 => Reading::Known(Value::Text(number.to_string())),
            _ => Reading::NotCollected,
        }
    }

    proptest! {
        #[test]
        fn it_answers_as_the_record_does(
            said in prop::collection::vec((0_i64..4, 0_u8..4, prop::collection::vec((0_usize..8, 0_u8..6), 0..6)), 0..5),
            many in any::<bool>(),
        ) {
            let mut statements: Vec<Statement> = said.into_iter().enumerate().map(|(scope, (as_of, standing, facts))| Statement {
                scope: ScopeNo(u32::try_from(scope).unwrap_or(0)),
                part: PartId::WHOLE,
                as_of: Time::from_seconds(as_of),
                recorded: Time::from_seconds(as_of),
                standing: if standing == 0 { Standing::Gone(Because::Merged) } else { Standing::Seen },
                facts: facts.into_iter().map(|(at, sort)| (field::ALL[at], reading(sort, as_of))).collect::<Facts>(),
            }).collect();
            if many && !statements.is_empty() {
                // More than there are places for.
                let first = statements[0].clone();
                statements.extend((1000..1300).map(|scope| Statement { scope: ScopeNo(scope), ..first.clone() }));
            }
            let record = Record {
                id: RecordId::from_bytes([1; 16]), kind: Kind::AccessKey, realm: Realm::new("aws", "1"),
                externals: vec!["x".into()], identity: None, container: None, first_seen: Time::from_seconds(0),
                baseline: false, statements,
            };
            let believed = Believed::of(&record);
            for field in &field::ALL[..10] {
                prop_assert_eq!(believed.said(*field), record.said(*field));
            }
        }
    }
}
