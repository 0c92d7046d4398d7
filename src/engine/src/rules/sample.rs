//! Records and neighbourhoods for the truth tables of rules.
//! It must never be compiled into the program.

use provost_model::{
    Attr, Facts, Key, Kind, Owner, PartId, Reading, Realm, Record, RecordId, ScopeNo, Span, Standing, Statement,
    Status, Time, field, field::Typed,
};

use super::{Covered, Outcome, Place, Rule, Subject, Verdict};
use crate::thresholds::Thresholds;

/// The present of all truth tables: 2026-11-24T12:00:00Z.
pub(crate) const NOW: Time = Time::from_seconds(1_795_521_600);

/// A record in the making.
#[derive(Clone)]
pub(crate) struct Sample {
    record: Record,
    facts: Facts,
    as_of: Time,
}

/// So many days before the present.
pub(crate) fn ago(days: i64) -> Time {
    NOW - Span::days(days)
}

/// So many days after the present.
pub(crate) fn ahead(days: i64) -> Time {
    NOW + Span::days(days)
}

/// A record of an AWS account, first seen a thousand days ago, last read a moment ago.
pub(crate) fn record(kind: Kind) -> Sample {
    let record = Record {
        id: RecordId::from_bytes([7; 16]),
        kind,
        realm: Realm::new("aws", "123456789012"),
        externals: vec!["X1".into()],
        identity: None,
        container: None,
        first_seen: ago(1000),
        baseline: false,
        statements: Vec::new(),
    };
    Sample { record, facts: Facts::new(), as_of: NOW }
}

/// An active access key of a machine user, created 500 days ago, whose uses are recorded.
pub(crate) fn key() -> Sample {
    record(Kind::AccessKey)
        .of("AIDA1")
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, ago(500))
        .with(field::USAGE_SINCE, ago(1000))
        .with(field::EXPIRES_AT, Reading::NotReported)
}

/// A machine user.
pub(crate) fn user() -> Sample {
    record(Kind::User)
        .id(9)
        .named("AIDA1")
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, ago(500))
        .with(field::NATURE, "machine".to_owned())
}

impl Sample {
    pub(crate) fn with<T: Typed>(mut self, attr: Attr<T>, reading: impl Into<Reading<T>>) -> Self {
        self.facts.set(attr, reading);
        self
    }
    pub(crate) fn id(mut self, byte: u8) -> Self {
        self.record.id = RecordId::from_bytes([byte; 16]);
        self
    }
    pub(crate) fn named(mut self, external: &str) -> Self {
        self.record.externals = vec![external.to_owned()];
        self
    }
    pub(crate) fn realm(mut self, realm: &str) -> Self {
        self.record.realm = Realm::from_text(realm);
        self
    }
    pub(crate) fn of(mut self, user: &str) -> Self {
        self.record.identity = Some(Key::new(self.record.realm.clone(), Kind::User, user));
        self
    }
    pub(crate) fn of_nobody(mut self) -> Self {
        self.record.identity = None;
        self
    }
    pub(crate) fn first_seen(mut self, at: Time) -> Self {
        self.record.first_seen = at;
        self
    }
    pub(crate) fn baseline(mut self) -> Self {
        self.record.baseline = true;
        self
    }
    pub(crate) fn told(mut self, at: Time) -> Self {
        self.as_of = at;
        self
    }
    pub(crate) fn build(self) -> Record {
        let Self { mut record, facts, as_of } = self;
        record.statements.push(Statement {
            scope: ScopeNo(1),
            part: PartId::WHOLE,
            as_of,
            recorded: as_of,
            standing: Standing::Seen,
            facts,
        });
        record
    }
}

/// A neighbourhood that owns its records.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) record: Record,
    pub(crate) identity: Option<Record>,
    pub(crate) siblings: Vec<Record>,
    pub(crate) credentials: Vec<Record>,
    pub(crate) places: Vec<Place>,
    pub(crate) owner: Option<Owner>,
    pub(crate) covered: Option<Time>,
    pub(crate) thresholds: Thresholds,
}

impl From<Sample> for World {
    fn from(sample: Sample) -> Self {
        Self {
            record: sample.build(),
            identity: None,
            siblings: Vec::new(),
            credentials: Vec::new(),
            places: Vec::new(),
            owner: None,
            covered: None,
            thresholds: Thresholds::default(),
        }
    }
}

impl World {
    pub(crate) fn identity(mut self, of: Sample) -> Self {
        self.identity = Some(of.build());
        self
    }
    pub(crate) fn sibling(mut self, it: Sample) -> Self {
        self.siblings.push(it.build());
        self
    }
    pub(crate) fn credential(mut self, it: Sample) -> Self {
        self.credentials.push(it.build());
        self
    }
    pub(crate) fn place(mut self, it: Sample) -> Self {
        self.places.push(Place::of(&it.build()));
        self
    }
    pub(crate) fn record_with<T: Typed + Clone>(mut self, attr: Attr<T>, reading: impl Into<Reading<T>>) -> Self {
        let reading = reading.into();
        for said in &mut self.record.statements {
            said.facts.set(attr, reading.clone());
        }
        self
    }
    pub(crate) fn owned_by(mut self, name: &str, confidence: f64) -> Self {
        self.owner = Some(Owner::named(name, confidence));
        self
    }
    /// The scope was covered completely at that time, later than the statement.
    pub(crate) fn covered(mut self, at: Time) -> Self {
        self.covered = Some(at);
        self
    }

    pub(crate) fn judge(&self, rule: &'static Rule) -> Verdict {
        self.judge_at(rule, NOW)
    }

    pub(crate) fn judge_at(&self, rule: &'static Rule, now: Time) -> Verdict {
        let covers: Vec<Covered<'_>> = self
            .covered
            .map(|as_of| Covered { scope: ScopeNo(1), part: PartId::WHOLE, as_of, source: "aws-prod", path: "iam" })
            .into_iter()
            .collect();
        let subject = Subject {
            record: &self.record,
            identity: self.identity.as_ref(),
            siblings: &self.siblings,
            credentials: &self.credentials,
            places: &self.places,
            owner: self.owner.as_ref(),
            covers: &covers,
        };
        rule.of_record(&subject, &self.thresholds, now)
    }
}

/// One row of a truth table: what it is about, the neighbourhood, the answer expected.
pub(crate) type Row = (&'static str, World, &'static str);

/// Judges every row and compares; for failures gives the words, so that tests can look at them.
pub(crate) fn truth(rule: &'static Rule, rows: Vec<Row>) -> Vec<String> {
    rows.into_iter()
        .filter_map(|(about, world, expected)| {
            let verdict = world.judge(rule);
            assert_eq!(verdict.word(), expected, "{}: {about}: {verdict:?}", rule.id);
            match verdict.outcome {
                Outcome::Fail(because) => Some(because.words),
                _ => None,
            }
        })
        .collect()
}
