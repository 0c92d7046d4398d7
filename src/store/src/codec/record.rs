//! Records of the inventory to bytes and back.
//! It must never drop an attribute: one whose number is unknown here makes the row unreadable, not poorer.

use provost_model::{
    Because, Facts, Field, Key, Kind, PartId, Reading, Realm, Record, RecordId, ScopeNo, Standing, Statement, Time,
    Value,
};

use super::{decode as decode_form, encode as encode_form, malformed, v1};
use crate::StoreError;

const WHAT: &str = "a record";

/// The bytes of a record.
pub fn encode(record: &Record) -> Result<Vec<u8>, StoreError> {
    encode_form(WHAT, &to_disk(record))
}

/// The record of these bytes.
pub fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    from_disk(decode_form(WHAT, bytes)?).ok_or_else(|| malformed(WHAT))
}

/// The kind of the record of these bytes, without reading the rest; `None` where only [`decode`] can tell what is wrong.
pub fn kind_of(bytes: &[u8]) -> Option<Kind> {
    // The version, 16 bytes of id, the kind's number: see `v1::Record`.
    bytes.get(1 + 16).and_then(|code| Kind::from_code(*code))
}

fn to_disk(record: &Record) -> v1::Record<'_> {
    v1::Record {
        id: *record.id.as_bytes(),
        kind: record.kind.code(),
        realm: record.realm.as_str(),
        externals: record.externals.iter().map(String::as_str).collect(),
        identity: record.identity.as_ref().map(|key| key_to_disk(key, &record.realm)),
        container: record.container.as_ref().map(|key| key_to_disk(key, &record.realm)),
        first_seen: record.first_seen.as_micros(),
        baseline: record.baseline,
        statements: record.statements.iter().map(statement_to_disk).collect(),
    }
}

fn key_to_disk<'a>(key: &'a Key, own: &Realm) -> v1::Key<'a> {
    let realm = (key.realm != *own).then(|| key.realm.as_str());
    v1::Key { realm, kind: key.kind.code(), external: &key.external }
}

fn statement_to_disk(said: &Statement) -> v1::Statement<'_> {
    v1::Statement {
        scope: said.scope.0,
        part: said.part.0,
        as_of: said.as_of.as_micros(),
        // Wrapping, so that any two times survive.
        recorded_after: said.recorded.as_micros().wrapping_sub(said.as_of.as_micros()),
        standing: match said.standing {
            Standing::Seen => v1::Standing::Seen,
            Standing::Missing { began } => v1::Standing::Missing(began.as_micros()),
            Standing::Gone(Because::Absent) => v1::Standing::GoneAbsent,
            Standing::Gone(Because::Told) => v1::Standing::GoneTold,
            Standing::Gone(Because::Container) => v1::Standing::GoneContainer,
            Standing::Gone(Because::Merged) => v1::Standing::GoneMerged,
            Standing::Unwatched => v1::Standing::Unwatched,
        },
        facts: said.facts.iter().map(|(field, reading)| (field.code(), reading_to_disk(reading))).collect(),
    }
}

fn reading_to_disk(reading: &Reading<Value>) -> v1::Reading<'_> {
    match reading {
        Reading::Never => v1::Reading::Never,
        Reading::NotReported => v1::Reading::NotReported,
        Reading::NotPermitted => v1::Reading::NotPermitted,
        Reading::NotCollected => v1::Reading::NotCollected,
        Reading::Known(Value::Bool(it)) => v1::Reading::Bool(*it),
        Reading::Known(Value::Int(it)) => v1::Reading::Int(*it),
        Reading::Known(Value::Time(it)) => v1::Reading::Time(it.as_micros()),
        Reading::Known(Value::Text(it)) => v1::Reading::Text(it),
        Reading::Known(Value::List(it)) => v1::Reading::List(it.iter().map(String::as_str).collect()),
        Reading::Known(Value::Map(it)) => {
            v1::Reading::Map(it.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect())
        }
    }
}

fn from_disk(disk: v1::Record<'_>) -> Option<Record> {
    let realm = Realm::from_text(disk.realm);
    let key = |key: v1::Key<'_>| {
        let realm = key.realm.map_or_else(|| realm.clone(), Realm::from_text);
        Some(Key::new(realm, Kind::from_code(key.kind)?, key.external))
    };
    // A key that does not decode makes the record unreadable; one that is lacking does not.
    let optional = |it: Option<v1::Key<'_>>| it.map_or(Some(None), |it| key(it).map(Some));
    Some(Record {
        id: RecordId::from_bytes(disk.id),
        kind: Kind::from_code(disk.kind)?,
        identity: optional(disk.identity)?,
        container: optional(disk.container)?,
        realm: realm.clone(),
        externals: disk.externals.into_iter().map(str::to_owned).collect(),
        first_seen: Time::from_micros(disk.first_seen),
        baseline: disk.baseline,
        statements: disk.statements.into_iter().map(statement_from_disk).collect::<Option<_>>()?,
    })
}

fn statement_from_disk(disk: v1::Statement<'_>) -> Option<Statement> {
    let facts =
        disk.facts.into_iter().map(|(code, reading)| Some((Field::from_code(code)?, reading_from_disk(reading))));
    Some(Statement {
        scope: ScopeNo(disk.scope),
        part: PartId(disk.part),
        as_of: Time::from_micros(disk.as_of),
        recorded: Time::from_micros(disk.as_of.wrapping_add(disk.recorded_after)),
        standing: match disk.standing {
            v1::Standing::Seen => Standing::Seen,
            v1::Standing::Missing(began) => Standing::Missing { began: Time::from_micros(began) },
            v1::Standing::GoneAbsent => Standing::Gone(Because::Absent),
            v1::Standing::GoneTold => Standing::Gone(Because::Told),
            v1::Standing::GoneContainer => Standing::Gone(Because::Container),
            v1::Standing::GoneMerged => Standing::Gone(Because::Merged),
            v1::Standing::Unwatched => Standing::Unwatched,
        },
        facts: facts.collect::<Option<Facts>>()?,
    })
}

fn reading_from_disk(disk: v1::Reading<'_>) -> Reading<Value> {
    match disk {
        v1::Reading::Never => Reading::Never,
        v1::Reading::NotReported => Reading::NotReported,
        v1::Reading::NotPermitted => Reading::NotPermitted,
        v1::Reading::NotCollected => Reading::NotCollected,
        v1::Reading::Bool(it) => Reading::Known(Value::Bool(it)),
        v1::Reading::Int(it) => Reading::Known(Value::Int(it)),
        v1::Reading::Time(it) => Reading::Known(Value::Time(Time::from_micros(it))),
        v1::Reading::Text(it) => Reading::Known(Value::Text(it.to_owned())),
        v1::Reading::List(it) => Reading::Known(Value::List(it.into_iter().map(str::to_owned).collect())),
        v1::Reading::Map(it) => {
            let owned = it.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
            Reading::Known(Value::Map(owned.collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use provost_model::field;

    use super::*;

    /// Written by the first version; it must be readable for ever.
    const FIXTURE: &str = include_str!("../../fixtures/record-v1.hex");

    fn example() -> Record {
        let user = Key::new(Realm::new("aws", "123456789012"), Kind::User, "AIDAEXAMPLE");
        let mut facts =
            Facts::new().with(field::NAME, "ci-deploy".to_owned()).with(field::LAST_USED_AT, Reading::Never);
        facts.set(field::CREATED_AT, Time::from_seconds(1_700_000_000));
        facts.set(field::MFA, Reading::NotPermitted);
        facts.set(field::ADMIN, true);
        facts.set(field::SLOT, 1);
        facts.set(field::GROUPS, vec!["deployers".to_owned()]);
        facts.set(field::TAGS, std::collections::BTreeMap::from([("owner".to_owned(), "sre".to_owned())]));
        let said = Statement {
            scope: ScopeNo(3),
            part: PartId::named("AIDAEXAMPLE"),
            as_of: Time::from_seconds(1_790_000_000),
            recorded: Time::from_seconds(1_790_000_060),
            standing: Standing::Seen,
            facts,
        };
        let missing = Standing::Missing { began: Time::from_seconds(1_790_000_000) };
        let later = Statement {
            scope: ScopeNo(9),
            part: PartId::WHOLE,
            standing: missing,
            facts: Facts::new(),
            ..said.clone()
        };
        Record {
            id: RecordId::from_bytes([1, 0x93, 0xab, 4, 5, 0x76, 7, 8, 0x89, 10, 11, 12, 13, 14, 15, 16]),
            kind: Kind::AccessKey,
            realm: Realm::new("aws", "123456789012"),
            externals: vec!["AKIAEXAMPLE".to_owned(), "AIDAEXAMPLE/slot-1@2023-11-14".to_owned()],
            identity: Some(user.clone()),
            container: Some(Key::new(Realm::new("host", "f00d"), Kind::Workload, user.external)),
            first_seen: Time::from_seconds(1_780_000_000),
            baseline: true,
            statements: vec![said, later],
        }
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.split_whitespace().collect();
        digits
            .concat()
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_record_of_the_first_version_is_read_as_it_was_meant() {
        let hex: String = encode(&example()).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, FIXTURE.split_whitespace().collect::<String>(), "what is written is still version 1");
        assert_eq!(decode(&unhex(FIXTURE)).unwrap(), example());
    }

    #[test]
    fn an_unknown_version_attribute_or_kind_is_refused_and_so_are_cut_and_long_bytes() {
        let whole = encode(&example()).unwrap();
        for cut in 0..whole.len() {
            assert!(matches!(decode(&whole[..cut]), Err(StoreError::Codec(_))), "cut at {cut}");
        }
        let mut other = whole.clone();
        other.push(0);
        assert!(decode(&other).is_err());
        other.clone_from(&whole);
        other[0] = 2;
        assert!(decode(&other).unwrap_err().to_string().contains("version 2"));
        other.clone_from(&whole);
        other[17] = 200;
        assert!(decode(&other).is_err());
        let example = example();
        let mut disk = to_disk(&example);
        disk.statements[0].facts[0].0 = 60_000;
        assert!(decode(&encode_form(WHAT, &disk).unwrap()).is_err());
        assert!(decode(&vec![1; super::super::LONGEST + 1]).is_err());
    }

    fn key() -> impl Strategy<Value = Key> {
        let realm = prop_oneof![Just("aws:1".to_owned()), ".{0,6}"];
        (realm, 0_u8..22, ".{0,9}")
            .prop_map(|(realm, kind, id)| Key::new(Realm::from_text(realm), Kind::from_code(kind).unwrap(), id))
    }

    fn reading() -> impl Strategy<Value = Reading<Value>> {
        prop_oneof![
            Just(Reading::Never),
            Just(Reading::NotReported),
            Just(Reading::NotPermitted),
            Just(Reading::NotCollected),
            any::<bool>().prop_map(|it| Reading::Known(Value::Bool(it))),
            any::<i64>().prop_map(|it| Reading::Known(Value::Int(it))),
            any::<i64>().prop_map(|it| Reading::Known(Value::Time(Time::from_micros(it)))),
            ".{0,9}".prop_map(|it| Reading::Known(Value::Text(it))),
            proptest::collection::vec(".{0,5}", 0..3).prop_map(|it| Reading::Known(Value::List(it))),
            proptest::collection::btree_map(".{0,5}", ".{0,5}", 0..3).prop_map(|it| Reading::Known(Value::Map(it))),
        ]
    }

    fn statement() -> impl Strategy<Value = Statement> {
        let standing = prop_oneof![
            Just(Standing::Seen),
            any::<i64>().prop_map(|it| Standing::Missing { began: Time::from_micros(it) }),
            prop_oneof![Just(Because::Absent), Just(Because::Told), Just(Because::Container), Just(Because::Merged)]
                .prop_map(Standing::Gone),
            Just(Standing::Unwatched),
        ];
        let fields = prop_oneof![Just(1_u16), Just(2), Just(3), Just(12), Just(20), Just(33)];
        let facts =
            proptest::collection::vec((fields.prop_map(|code| Field::from_code(code).unwrap()), reading()), 0..6);
        (any::<u32>(), any::<u64>(), any::<[i64; 2]>(), standing, facts).prop_map(
            |(scope, part, times, standing, facts)| {
                let [as_of, recorded] = times.map(Time::from_micros);
                Statement {
                    scope: ScopeNo(scope),
                    part: PartId(part),
                    as_of,
                    recorded,
                    standing,
                    facts: facts.into_iter().collect(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn every_record_survives_its_bytes(
            id in any::<[u8; 16]>(), names in (key(), proptest::collection::vec(".{0,9}", 0..4)), links in any::<[bool; 3]>(),
            others in (key(), key()), seen in any::<i64>(), statements in proptest::collection::vec(statement(), 0..4),
        ) {
            let record = Record {
                id: RecordId::from_bytes(id), kind: names.0.kind, realm: names.0.realm, externals: names.1,
                identity: links[0].then_some(others.0), container: links[1].then_some(others.1),
                first_seen: Time::from_micros(seen), baseline: links[2], statements,
            };
            let bytes = encode(&record).unwrap();
            prop_assert_eq!(kind_of(&bytes), Some(record.kind));
            prop_assert_eq!(decode(&bytes).unwrap(), record);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&[1], bytes.as_slice()].concat());
        }
    }
}
