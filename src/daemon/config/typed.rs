//! The configuration as typed: exactly what TOML says, names and types checked, nothing else.
//! It must never accept a name it does not know, except settings of a source that are its connector's to judge.

pub(super) mod guardrail;
pub(super) mod rotation;
pub(super) mod telling;

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use toml::{Table, Value};

use self::{
    guardrail::TypedGuardrail,
    rotation::{TypedRotation, TypedRotations},
    telling::{TypedRoute, TypedSink},
};
use super::{Problem, Reference, problem::nearest};

/// A configuration file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Typed {
    /// Where the inventory is kept.
    pub store: TypedStore,
    /// What is looked at, by which connector, and when.
    pub sources: Vec<TypedSource>,
    /// How the daemon runs.
    pub daemon: TypedDaemon,
    /// How owners are found.
    pub owners: TypedOwners,
    /// People and teams.
    pub people: TypedPeople,
    /// How decisions are made.
    pub governance: TypedGovernance,
    /// What policy decides by itself.
    pub guardrails: Vec<TypedGuardrail>,
    /// Limits of the rules, by rule and scope.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub thresholds: Table,
    /// When the inventory is written to files of its own.
    pub snapshots: TypedSnapshots,
    /// How secrets are recognised in several places.
    pub fingerprints: TypedFingerprints,
    /// How evidence is vouched for.
    pub evidence: TypedEvidence,
    /// Where people are told of cases.
    pub sinks: Vec<TypedSink>,
    /// Which cases are told of where.
    pub routes: Vec<TypedRoute>,
    /// How much may be changed at once.
    pub rotation: TypedRotation,
    /// What may be changed by which rotator, and where new values go.
    pub rotations: Vec<TypedRotations>,
}

/// `[store]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedStore {
    /// Directory of the embedded store. Exclusive with `url`.
    pub path: Option<String>,
    /// Address of a PostgreSQL store that several daemons may share, such as `postgres://user@host/database`, or where
    /// it is if a password stands in it: `env:NAME`, `file:/path`, `credential:ID`. Exclusive with `path`.
    pub url: Option<String>,
    /// Engine of the embedded store: `sled` or `redb`; the one it has where it is not said, `sled` for a new one.
    pub engine: Option<String>,
    /// How long former versions of records and findings are kept, such as `400d`, which is the default.
    pub keep_history: Option<String>,
    /// How long every one of them is kept; after that, of those that differ in last use and counters only, the last of each
    /// month. `7d` by default.
    pub keep_daily: Option<String>,
    /// Space kept free on the store's disk, such as `2GiB` or `5%`; by default the larger of 1 GiB and 5 %.
    pub min_free: Option<String>,
    /// Memory for pages of the embedded store, between `8MiB` and `16GiB`; `8MiB` by default, which does for 100,000
    /// records. A store of a million is loaded with far fewer bytes written when its tables fit: give it `256MiB`.
    pub cache: Option<String>,
    /// When the store is backed up, and where to.
    pub backups: TypedBackups,
}

/// `[store.backups]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedBackups {
    /// When one is taken: five cron fields. None are taken by schedule if this is missing.
    pub schedule: Option<String>,
    /// Time zone of the schedule; UTC by default.
    pub time_zone: Option<String>,
    /// How many are kept; 7 by default.
    pub keep: Option<u32>,
    /// Directory they are written to, better on another disk; `backups` in the store's directory by default.
    pub path: Option<String>,
}

/// `[daemon]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedDaemon {
    /// Path of the socket on which the daemon answers the command line.
    pub socket: Option<String>,
    /// Sources looked at at the same time; 4 by default.
    pub max_concurrent_runs: Option<u32>,
    /// How long runs may take to checkpoint on shutdown; at most and by default `25s`.
    pub drain: Option<String>,
    /// How long a daemon of several on one store may be silent before others take its work over; default 30s. The same
    /// for all of them.
    pub lease: Option<String>,
}

/// `[owners]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedOwners {
    /// Tags or labels that name an owner, the most trusted first; by default `owner`, `team`, `contact`.
    pub tags: Option<Vec<String>>,
    /// How much each sort of evidence says when it is fresh, 0 to 1.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub weights: Table,
    /// Days after which evidence that ages says half as much.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub half_life_days: Table,
}

/// `[people]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedPeople {
    /// File of persons, teams and whose things are whose.
    pub file: Option<String>,
}

/// `[governance]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedGovernance {
    /// How long a fault of that severity may stand before it is overdue; `24h` by default.
    pub deadline_critical: Option<String>,
    /// How long a fault of that severity may stand before it is overdue; `7d` by default.
    pub deadline_high: Option<String>,
    /// How long a fault of that severity may stand before it is overdue; `30d` by default.
    pub deadline_medium: Option<String>,
    /// How long a fault of that severity may stand before it is overdue; `90d` by default.
    pub deadline_low: Option<String>,
    /// How long a fault of that severity may stand before it is overdue; `180d` by default.
    pub deadline_info: Option<String>,
    /// How long a risk may be taken at most, such as `365d`, which is the default.
    pub longest_exception: Option<String>,
    /// How often the same risk may be taken again; 2 by default.
    pub renewals: Option<u32>,
    /// How many people beside whoever asks have to agree where the subject is privileged or leaked; 2 by default.
    pub approvals: Option<u8>,
    /// How long something may be made unusable before others agree to it; `24h` by default.
    pub containment: Option<String>,
}

/// `[snapshots]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedSnapshots {
    /// When one is taken: five cron fields. None are taken by schedule if this is missing.
    pub schedule: Option<String>,
    /// Time zone of the schedule; UTC by default.
    pub time_zone: Option<String>,
    /// How many are kept; 30 by default.
    pub keep: Option<u32>,
    /// Directory they are written to; `snapshots` in the store's directory by default.
    pub path: Option<String>,
}

/// `[fingerprints]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedFingerprints {
    /// Where the key is. A `file:` that does not exist is made at the first start.
    pub key: Option<Reference>,
    /// The key's id, printed before each fingerprint; `k1` by default. A new key needs a new id.
    pub id: Option<String>,
}

/// `[evidence]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedEvidence {
    /// Where the private key is that signs checkpoints: 64 hexadecimal digits. A `file:` that does not exist is made when
    /// the first is signed.
    pub key: Option<Reference>,
}

/// One entry of `[[sources]]`. Whatever is not listed here belongs to the connector.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
pub struct TypedSource {
    /// A name of your own; appears wherever the source is spoken of.
    pub name: String,
    /// Which connector looks.
    pub connector: String,
    /// When it looks: five cron fields. Only on demand if this is missing.
    pub schedule: Option<String>,
    /// Time zone of the schedule, such as `Europe/Paris`; UTC by default.
    pub time_zone: Option<String>,
    /// Longest random delay after the scheduled time, such as `5m`.
    pub jitter: Option<String>,
    /// `shared` leaves most of the provider's rate to others, `full` takes what there is.
    pub pace: Option<String>,
    /// Longest time a run may take, such as `1h`.
    pub time_limit: Option<String>,
    /// How long changes alone are trusted before everything is listed again; `7d` by default.
    pub full_every: Option<String>,
    /// Over how long reads without a bulk form are spread; `7d` by default.
    pub sweep_every: Option<String>,
    /// Denied optional permissions do not show in the exit status.
    pub accept_blind_spots: Option<bool>,
    /// Tags that name an owner in this source, instead of `[owners] tags`.
    pub owner_tags: Option<Vec<String>>,
    /// The connector's own settings.
    #[schemars(skip)]
    pub settings: Table,
}

/// Settings that every source has.
pub(super) const COMMON: &[&str] = &[
    "name",
    "connector",
    "schedule",
    "time_zone",
    "jitter",
    "pace",
    "time_limit",
    "full_every",
    "sweep_every",
    "accept_blind_spots",
    "owner_tags",
];

/// What the path of an error says where `toml` keeps the place of an entry.
const SPANNED: &str = ".$__serde_spanned_private_value";

/// Reads a configuration.
pub(super) fn parse(text: &str) -> Result<Typed, Problem> {
    read(text)
}

/// Reads a text. One problem at a time: what comes after a wrong type cannot be trusted.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let syntax = |error: &toml::de::Error| Problem::new("", scrubbed(error.message())).located(text, error.span());
    let deserializer = toml::Deserializer::parse(text).map_err(|error| syntax(&error))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let setting = error.path().to_string().replace(SPANNED, "");
        let setting = if setting == "." { String::new() } else { setting };
        Problem::new(setting, scrubbed(error.inner().message())).located(text, error.inner().span())
    })
}

/// The message without values: the text that has the wrong type may be a secret in the wrong place.
pub(crate) fn scrubbed(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        return unknown(rest);
    }
    for (start, name) in [("invalid type: ", "type"), ("invalid value: ", "value")] {
        if let Some((_, expected)) = message.strip_prefix(start).and_then(|rest| rest.rsplit_once(", expected ")) {
            return format!("the {name} is wrong, expected {expected}");
        }
    }
    message.to_owned()
}

/// `x`, expected one of `a`, `b`.
fn unknown(rest: &str) -> String {
    let (typed, expected) = rest.split_once('`').unwrap_or((rest, ""));
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(typed, known.iter().copied()) {
        Some(near) => format!("there is no setting {typed:?}; did you mean {near:?}?"),
        None => format!("there is no setting {typed:?}; there are {}", known.join(", ")),
    }
}

impl<'de> Deserialize<'de> for TypedSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SourceVisitor)
    }
}

/// By hand, since refusing unknown names does not mix with collecting them, and collecting by `flatten` loses the
/// place of every error.
struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = TypedSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with name and connector")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TypedSource, A::Error> {
        let mut source = TypedSource::default();
        let (mut name, mut connector) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => name = Some(map.next_value()?),
                "connector" => connector = Some(map.next_value()?),
                "schedule" => source.schedule = some(&mut map)?,
                "time_zone" => source.time_zone = some(&mut map)?,
                "jitter" => source.jitter = some(&mut map)?,
                "pace" => source.pace = some(&mut map)?,
                "time_limit" => source.time_limit = some(&mut map)?,
                "full_every" => source.full_every = some(&mut map)?,
                "sweep_every" => source.sweep_every = some(&mut map)?,
                "accept_blind_spots" => source.accept_blind_spots = some(&mut map)?,
                "owner_tags" => source.owner_tags = some(&mut map)?,
                _ => {
                    source.settings.insert(key, map.next_value::<Value>()?);
                }
            }
        }
        source.name = name.ok_or_else(|| A::Error::custom("the source has no name"))?;
        source.connector = connector.ok_or_else(|| A::Error::custom("the source names no connector"))?;
        Ok(source)
    }
}

fn some<'de, T: DeserializeOwned, A: MapAccess<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    map.next_value().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_setting_is_listed_once() {
        let schema = schemars::schema_for!(TypedSource).to_value();
        let listed: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let mut common: Vec<&str> = COMMON.to_vec();
        common.sort_unstable();
        let mut listed: Vec<&str> = listed.into_iter().map(String::as_str).collect();
        listed.sort_unstable();
        assert_eq!(listed, common);
    }

    #[test]
    fn what_is_not_common_goes_to_the_connector() {
        let typed = parse("[[sources]]\nname = \"a\"\nconnector = \"host\"\nroots = [\"/srv\"]\ndepth = 3\n").unwrap();
        let settings = &typed.sources[0].settings;
        assert_eq!(settings.keys().collect::<Vec<_>>(), ["depth", "roots"]);
    }

    #[test]
    fn problems_have_a_place_a_setting_and_a_hint() {
        let table = [
            ("[stor]\n", "line 1, column 2: stor: there is no setting \"stor\"; did you mean \"store\"?"),
            (
                "[store]\npth = \"/x\"\n",
                "line 2, column 1: store.pth: there is no setting \"pth\"; did you mean \"path\"?",
            ),
            ("[store]\npath = 3\n", "line 2, column 8: store.path: the type is wrong, expected a string"),
            ("[[sources]]\nname = \"a\"\n", "line 1, column 1: sources[0]: the source names no connector"),
        ];
        for (text, said) in table {
            assert_eq!(parse(text).unwrap_err().to_string(), said);
        }
        let jitter = parse("[[sources]]\nname = \"a\"\nconnector = \"b\"\njitter = 5\n").unwrap_err();
        assert_eq!((jitter.setting.as_str(), jitter.line, jitter.column), ("sources[0].jitter", Some(4), Some(10)));
    }

    #[test]
    fn a_literal_secret_is_refused_and_not_repeated() {
        let secret = "s3cr3t-Value-0123456789";
        for text in [
            format!("[fingerprints]\nkey = \"{secret}\"\n"),
            format!("[daemon]\nmax_concurrent_runs = \"{secret}\"\n"),
            format!("[[sources]]\nname = \"a\"\nconnector = \"b\"\naccept_blind_spots = \"{secret}\"\n"),
            format!("[fingerprints]\nkey = \"{secret}\n"),
            format!("[fingerprints]\nkey = {secret}\n"),
        ] {
            let problem = parse(&text).unwrap_err();
            assert!(!format!("{problem} {problem:?}").contains(secret), "{problem}");
            assert!(problem.line.is_some(), "{problem}");
        }
    }
}
