//! One row of the inventory, with the field names other programs rely on.
//! It must never turn an unknown reading into an empty value.

use provost_model::{Facts, Field, Kind, Presence, Reading, Record, RecordId, Status, Time, Value, field};
use serde::{Serialize, Serializer};

use super::{
    age,
    table::{Cell, Tone},
    write::{Row, write_json},
};

/// Longest name in a table, in letters: two lines of its column.
const NAME_MOST: usize = 52;

/// One record as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InventoryRow {
    /// Our own name for it.
    pub id: RecordId,
    /// What sort of thing it is.
    pub kind: Kind,
    /// Names of the sources that see it.
    pub source: Vec<String>,
    /// The provider's main id for it.
    pub external_id: String,
    /// What people call it.
    pub name: String,
    /// The record a credential authenticates as.
    pub identity: Option<RecordId>,
    /// Who answers for it, as far as known.
    pub owner: Option<String>,
    /// When the provider made it.
    pub created_at: Reading<Time>,
    /// When its secret part was last replaced.
    pub rotated_at: Reading<Time>,
    /// Its last use.
    pub last_used_at: Reading<Time>,
    /// When it stops working by itself.
    pub expires_at: Reading<Time>,
    /// Whether it works now.
    pub status: Status,
    /// Whether it is there.
    pub presence: Presence,
    /// When it was first committed.
    pub first_seen: Time,
    /// When a source last vouched for it.
    pub last_seen: Time,
    /// Every other attribute spoken of.
    #[serde(serialize_with = "attributes")]
    pub attributes: Facts,
}

/// What is known of a record beside the record itself.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Names of the sources that see it.
    pub sources: Vec<String>,
    /// The record it authenticates as.
    pub identity: Option<RecordId>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When a source last vouched for it; by default when it was first seen.
    pub last_seen: Option<Time>,
}

impl InventoryRow {
    /// The row of a record at that time.
    pub fn of(record: &Record, beside: Beside, now: Time) -> Self {
        Self {
            id: record.id,
            kind: record.kind,
            source: beside.sources,
            external_id: record.external().to_owned(),
            name: record.name(),
            identity: beside.identity,
            owner: beside.owner,
            created_at: record.get(field::CREATED_AT),
            rotated_at: record.get(field::ROTATED_AT),
            last_used_at: record.get(field::LAST_USED_AT),
            expires_at: record.get(field::EXPIRES_AT),
            status: record.status(now),
            presence: record.presence(),
            first_seen: record.first_seen,
            last_seen: beside.last_seen.unwrap_or(record.first_seen),
            attributes: record
                .facts()
                .iter()
                .filter(|(field, _)| !has_column(*field))
                .map(|(f, r)| (f, r.clone()))
                .collect(),
        }
    }

    /// Whether that is what somebody typed for this row: its id, the end of its id (from six digits), its external id.
    pub fn is_called(&self, typed: &str) -> bool {
        self.external_id == typed || id_matches(self.id, typed)
    }
}

/// Whether the id is that, or ends so; six digits at least.
pub fn id_matches(id: RecordId, typed: &str) -> bool {
    typed.len() >= 6 && id.to_string().ends_with(&typed.to_ascii_lowercase())
}

/// The end of an id, by which tables show it: the beginning of a UUIDv7 is the same for all records of one scan.
pub fn short_id(id: RecordId) -> String {
    let id = id.to_string();
    id.get(id.len().saturating_sub(8)..).unwrap_or(&id).to_owned()
}

/// Attributes with a column of their own are not repeated among the others.
fn has_column(attribute: Field) -> bool {
    let own = [
        field::NAME.field(),
        field::STATUS.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::LAST_USED_AT.field(),
        field::EXPIRES_AT.field(),
    ];
    own.contains(&attribute)
}

/// As an object with names, whatever form facts have on disk.
fn attributes<S: Serializer>(facts: &Facts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(facts.iter().map(|(field, reading)| (field.name(), reading)))
}

impl Row for InventoryRow {
    const FIELDS: &'static [&'static str] = &[
        "id",
        "kind",
        "source",
        "external_id",
        "name",
        "identity",
        "owner",
        "created_at",
        "rotated_at",
        "last_used_at",
        "expires_at",
        "status",
        "presence",
        "first_seen",
        "last_seen",
        "attributes",
    ];
    const HEADINGS: &'static [&'static str] =
        &["id", "kind", "name", "source", "owner", "status", "age", "used", "expires"];

    fn fields(&self) -> Vec<String> {
        let mut others = Vec::new();
        // Writing to memory cannot fail, and every attribute can be written as JSON.
        let _ = write_json(&Others(&self.attributes), &mut others);
        vec![
            self.id.to_string(),
            self.kind.name().to_owned(),
            self.source.join(" "),
            self.external_id.clone(),
            self.name.clone(),
            self.identity.map(|id| id.to_string()).unwrap_or_default(),
            self.owner.clone().unwrap_or_default(),
            instant(&self.created_at),
            instant(&self.rotated_at),
            instant(&self.last_used_at),
            instant(&self.expires_at),
            self.status.name().to_owned(),
            self.presence.name().to_owned(),
            self.first_seen.to_string(),
            self.last_seen.to_string(),
            String::from_utf8(others).unwrap_or_default(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let (standing, tone) = match (self.presence, self.status) {
            (Presence::Present, Status::Active) => (self.status.name(), Tone::Plain),
            (Presence::Present, Status::Expired) => (self.status.name(), Tone::Warn),
            (Presence::Present, _) => (self.status.name(), Tone::Faint),
            (Presence::Missing, _) => (self.presence.name(), Tone::Warn),
            (Presence::Gone | Presence::Unwatched, _) => (self.presence.name(), Tone::Faint),
        };
        vec![
            Cell::new(short_id(self.id)).tone(Tone::Faint),
            self.kind.name().into(),
            Cell::ending(&self.name, NAME_MOST),
            self.source.join(" ").into(),
            self.owner.clone().unwrap_or_else(|| "-".to_owned()).into(),
            Cell::new(standing).tone(tone),
            when(&self.created_at, now),
            when(&self.last_used_at, now),
            when(&self.expires_at, now),
        ]
    }
}

struct Others<'a>(&'a Facts);

impl Serialize for Others<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        attributes(self.0, serializer)
    }
}

/// In CSV: the instant, or the word that says why there is none.
fn instant(reading: &Reading<Time>) -> String {
    match reading {
        Reading::Known(time) => time.to_string(),
        unknown => unknown.word().to_owned(),
    }
}

fn when(reading: &Reading<Time>, now: Time) -> Cell {
    let tone = if reading.is_answered() { Tone::Plain } else { Tone::Faint };
    let said = match reading {
        Reading::NotReported | Reading::NotCollected => "-".to_owned(),
        other => age::reading(other, now),
    };
    Cell::new(said).tone(tone)
}

/// A value in plain words, for `show`.
pub fn said(reading: &Reading<Value>) -> String {
    match reading {
        Reading::Known(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        Reading::Known(Value::Int(number)) => number.to_string(),
        Reading::Known(Value::Time(time)) => time.to_string(),
        Reading::Known(Value::Text(text)) => text.clone(),
        Reading::Known(Value::List(list)) => list.join(", "),
        Reading::Known(Value::Map(map)) => map.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(", "),
        unknown => unknown.word().replace('_', " "),
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::rows::Candidate;
    use provost_model::{PartId, Realm, ScopeNo, Standing, Statement};

    pub(crate) const NOW: Time = Time::from_seconds(1_790_000_000);

    /// A row of an access key with a few readings of every sort.
    pub(crate) fn key(name: &str) -> InventoryRow {
        let Candidate { record, beside } = candidate(name);
        InventoryRow::of(&record, beside, NOW)
    }

    /// The same before it is a row.
    pub(crate) fn candidate(name: &str) -> Candidate {
        let day = |ago: i64| Time::from_seconds(1_790_000_000 - ago * 86_400);
        let tags = std::collections::BTreeMap::from([("team".to_owned(), "payments".to_owned())]);
        let facts = Facts::new()
            .with(field::NAME, name.to_owned())
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, day(267))
            .with(field::LAST_USED_AT, Reading::Never)
            .with(field::EXPIRES_AT, Reading::NotReported)
            .with(field::TAGS, tags)
            .with(field::MFA, false)
            .with(field::TOOLS, vec!["s3:*".to_owned()])
            .with(field::DESCRIPTION, Reading::NotPermitted);
        let said = Statement {
            scope: ScopeNo(1),
            part: PartId::WHOLE,
            as_of: day(0),
            recorded: day(0),
            standing: Standing::Seen,
            facts,
        };
        let record = Record {
            id: RecordId::from_bytes([1, 0x93, 0xab, 4, 5, 0x76, 7, 0x88, 9, 10, 11, 12, 13, 14, 15, 255]),
            kind: Kind::AccessKey,
            realm: Realm::new("aws", "123456789012"),
            externals: vec!["AKIAEXAMPLE".into()],
            identity: None,
            container: None,
            first_seen: day(30),
            baseline: false,
            statements: vec![said],
        };
        let beside = Beside {
            sources: vec!["aws-prod".into()],
            owner: Some("payments".into()),
            last_seen: Some(day(0)),
            ..Beside::default()
        };
        Candidate { record, beside }
    }
}

#[cfg(test)]
mod tests {
    use provost_model::door::corpus::HOSTILE;

    use super::{samples::*, *};
    use crate::output::write::{Format, Look, write_rows};

    fn written(row: InventoryRow, format: Format) -> String {
        let mut out = Vec::new();
        write_rows([row], format, &Look { width: 100, colour: false, now: NOW }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_record_a_line_with_the_pinned_fields_in_order() {
        insta::assert_snapshot!(written(key("deploy"), Format::Ndjson), @r#"{"id":"0193ab04-0576-0788-090a-0b0c0d0e0fff","kind":"access_key","source":["aws-prod"],"external_id":"AKIAEXAMPLE","name":"deploy","identity":null,"owner":"payments","created_at":{"reading":"known","value":"2025-12-28T14:13:20Z"},"rotated_at":{"reading":"not_collected"},"last_used_at":{"reading":"never"},"expires_at":{"reading":"not_reported"},"status":"active","presence":"present","first_seen":"2026-08-22T14:13:20Z","last_seen":"2026-09-21T14:13:20Z","attributes":{"tags":{"reading":"known","value":{"team":"payments"}},"description":{"reading":"not_permitted"},"mfa":{"reading":"known","value":false},"tools":{"reading":"known","value":["s3:*"]}}}"#);
    }

    #[test]
    fn the_table_fits_and_says_ages() {
        insta::assert_snapshot!(written(key("deploy"), Format::Table), @r#"
    ID        KIND        NAME    SOURCE    OWNER     STATUS  AGE    USED   EXPIRES
    0d0e0fff  access_key  deploy  aws-prod  payments  active  267 d  never  -
    "#);
    }

    #[test]
    fn the_csv_has_the_same_fields() {
        insta::assert_snapshot!(written(key("=deploy"), Format::Csv), @r#"
    id,kind,source,external_id,name,identity,owner,created_at,rotated_at,last_used_at,expires_at,status,presence,first_seen,last_seen,attributes
    0193ab04-0576-0788-090a-0b0c0d0e0fff,access_key,aws-prod,AKIAEXAMPLE,'=deploy,,payments,2025-12-28T14:13:20Z,not_collected,never,not_reported,active,present,2026-08-22T14:13:20Z,2026-09-21T14:13:20Z,"{""tags"":{""reading"":""known"",""value"":{""team"":""payments""}},""description"":{""reading"":""not_permitted""},""mfa"":{""reading"":""known"",""value"":false},""tools"":{""reading"":""known"",""value"":[""s3:*""]}}"
    "#);
    }

    #[test]
    fn json_is_one_array() {
        let all: Vec<serde_json::Value> = serde_json::from_str(&written(key("deploy"), Format::Json)).unwrap();
        assert_eq!(all.len(), 1);
        let names: Vec<&str> = InventoryRow::FIELDS.to_vec();
        assert!(names.iter().all(|name| all[0].get(name).is_some()));
    }

    #[test]
    fn hostile_names_stay_in_their_line_in_every_format() {
        for (text, tries) in HOSTILE {
            assert_eq!(written(key(text), Format::Ndjson).lines().count(), 1, "{tries}");
            assert_eq!(written(key(text), Format::Csv).lines().count(), 2, "{tries}");
            assert!(!written(key(text), Format::Json).contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{tries}");
        }
    }

    #[test]
    fn an_id_may_be_given_by_its_end() {
        let row = key("x");
        assert!(row.is_called("AKIAEXAMPLE") && row.is_called("0D0E0FFF") && row.is_called(&row.id.to_string()));
        assert!(!row.is_called("fff"));
    }
}
