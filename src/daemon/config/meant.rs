//! The configuration as meant: every value checked, every default filled in, nothing left to interpret.
//! It must never stop at the first problem: one look shows them all.

mod governance;
mod guardrail;
pub mod rotation;
pub mod telling;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::tz::TimeZone;
use provost_engine::{
    Owning, Roster,
    govern::{Governance, Guardrail},
    rotate::Limits,
};
use provost_model::Span;
use provost_store::EngineKind;
use toml::Table;

use crate::jobs::retention::Keep;

use super::{
    Address, Paths, Problem, Reference, Size, duration,
    problem::nearest,
    typed::{COMMON, Typed, TypedBackups, TypedSnapshots, TypedSource},
};

/// Longest drain; systemd kills after 30 seconds.
const DRAIN_MAX: Duration = Duration::from_secs(25);
/// Memory for pages of the embedded store unless it is said: measured to do for 100,000 records.
const STORE_CACHE: u64 = 8 << 20;
/// What it may be.
const STORE_CACHES: RangeInclusive<u64> = 8 << 20..=16 << 30;
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// A configuration that can be run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the inventory is kept.
    pub store: StoreChoice,
    /// What is looked at.
    pub sources: Vec<Source>,
    /// How the daemon runs.
    pub daemon: DaemonSettings,
    /// Tags that name an owner, the most trusted first.
    pub owner_tags: Vec<String>,
    /// The file of people and teams.
    pub people_file: Option<PathBuf>,
    /// The directory of manifests: connectors that are files.
    pub manifests: PathBuf,
    /// People and teams, once that file was read.
    pub people: Arc<Roster>,
    /// How decisions are made.
    pub governance: Governance,
    /// What policy decides by itself.
    pub guardrails: Vec<Guardrail>,
    /// When snapshots are taken.
    pub snapshots: Snapshots,
    /// Where the key for fingerprints is.
    pub fingerprint_key: Reference,
    /// The key's id.
    pub fingerprint_key_id: String,
    /// Where the key for checkpoints of evidence is.
    pub evidence_key: Reference,
    /// Where people are told of cases.
    pub sinks: Vec<telling::Sink>,
    /// Which cases are told of where.
    pub routes: Vec<telling::Path>,
    /// How much may be changed at once.
    pub limits: Limits,
    /// State files of what others make by program.
    pub state_files: Vec<PathBuf>,
    /// What may be changed by which rotator, and where new values go.
    pub rotations: Vec<rotation::Rotation>,
    /// Whose file the configuration is, if it is one.
    pub configured_by: Option<u32>,
    thresholds: Table,
    weights: Table,
    half_lives: Table,
}

/// `[store]`.
#[derive(Clone, Debug)]
pub struct StoreChoice {
    /// The directory of the embedded store; with an address, of what this daemon keeps for itself.
    pub path: PathBuf,
    /// Its engine; the one it has if `None`.
    pub engine: Option<EngineKind>,
    /// How long history is kept.
    pub keep: Keep,
    /// The address of a store in a database, instead of the embedded one.
    pub url: Option<Address>,
    /// What is kept free on its disk.
    pub min_free: Size,
    /// Bytes of its pages kept in memory.
    pub cache: u64,
    /// When it is backed up, and where to.
    pub backups: Backups,
}

/// `[store.backups]`.
#[derive(Clone, Debug)]
pub struct Backups {
    /// When; only on demand if `None`.
    pub schedule: Option<Schedule>,
    /// How many are kept.
    pub keep: usize,
    /// The directory they are written to.
    pub path: PathBuf,
}

impl StoreChoice {
    /// What it is called, by which the command line and a daemon see whether they mean the same one.
    pub fn name(&self) -> PathBuf {
        self.url.as_ref().map_or_else(|| self.path.clone(), |url| PathBuf::from(url.to_string()))
    }
}

/// `[daemon]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonSettings {
    /// The socket's path.
    pub socket: PathBuf,
    /// Sources looked at at the same time.
    pub max_concurrent_runs: usize,
    /// How long runs may take to checkpoint on shutdown.
    pub drain: Duration,
    /// How long a daemon of several may be silent before others take its work over.
    pub lease: Duration,
}

/// When something is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The cron expression.
    pub cron: Cron,
    /// The zone in which it is read.
    pub time_zone: TimeZone,
}

/// `[[sources]]`.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Which connector looks.
    pub connector: String,
    /// When; only on demand if `None`.
    pub schedule: Option<Schedule>,
    /// Longest random delay after the scheduled time.
    pub jitter: Duration,
    /// Whether it takes the provider's whole rate.
    pub full_pace: bool,
    /// Longest time a run may take.
    pub time_limit: Duration,
    /// How long changes alone are trusted.
    pub full_every: Duration,
    /// Over how long sweeps are spread.
    pub sweep_every: Duration,
    /// Denied optional permissions do not show in the exit status.
    pub accept_blind_spots: bool,
    /// Tags that name an owner in this source.
    pub owner_tags: Vec<String>,
    /// The connector's own settings.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// `[snapshots]`.
#[derive(Clone, Debug)]
pub struct Snapshots {
    /// When; only on demand if `None`.
    pub schedule: Option<Schedule>,
    /// How many are kept.
    pub keep: usize,
    /// The directory they are written to.
    pub path: PathBuf,
}

/// Values taken apart, with the problems met on the way.
#[derive(Default)]
struct Check(Vec<Problem>);

impl Config {
    /// What a typed configuration means.
    pub fn mean(mut typed: Typed, paths: &Paths) -> Result<Self, Vec<Problem>> {
        let mut check = Check::default();
        let store = check.store(&typed, paths);
        let owner_tags = check.tags("owners.tags", typed.owners.tags.clone(), &["owner", "team", "contact"]);
        let sources = check.sources(&typed.sources, &owner_tags);
        let daemon = check.daemon(&typed, paths);
        let people_file = typed.people.file.as_ref().map(|file| check.path("people.file", Some(file), PathBuf::new()));
        let governance = check.governance(&typed.governance);
        let guardrails = check.guardrails(std::mem::take(&mut typed.guardrails), &sources);
        let snapshots = check.snapshots(&typed.snapshots, &store);
        let sinks = check.sinks(std::mem::take(&mut typed.sinks), paths.file.parent());
        let routes = check.routes(std::mem::take(&mut typed.routes), &sinks);
        let state_files = check.state_files(&typed.rotation.state_files);
        let limits = check.limits(std::mem::take(&mut typed.rotation));
        let rotations = check.rotations(std::mem::take(&mut typed.rotations));
        let key_id = typed.fingerprints.id.unwrap_or_else(|| "k1".to_owned());
        if key_id.is_empty() || key_id.len() > 16 || !key_id.chars().all(|it| it.is_ascii_alphanumeric()) {
            check.fault("fingerprints.id", "an id has 1 to 16 letters and digits, such as k1");
        }
        if !check.0.is_empty() {
            return Err(check.0);
        }
        Ok(Self {
            store,
            sources,
            daemon,
            owner_tags,
            people_file,
            manifests: crate::manifests::directory(&paths.file),
            people: Arc::default(),
            governance,
            guardrails,
            snapshots,
            fingerprint_key: typed.fingerprints.key.unwrap_or_else(|| Reference::File(paths.fingerprint_key.clone())),
            fingerprint_key_id: key_id,
            evidence_key: typed.evidence.key.unwrap_or_else(|| Reference::File(paths.evidence_key.clone())),
            sinks,
            routes,
            limits,
            rotations,
            state_files,
            configured_by: None,
            thresholds: typed.thresholds,
            weights: typed.owners.weights,
            half_lives: typed.owners.half_life_days,
        })
    }

    /// Guardrails that are switched on.
    pub fn deciding(&self) -> impl Iterator<Item = &Guardrail> {
        self.guardrails.iter().filter(|it| it.enabled)
    }

    /// `[thresholds]`, for the engine to take apart.
    pub fn thresholds(&self) -> &Table {
        &self.thresholds
    }

    /// How owners are found, or what is wrong with it.
    pub fn owning(&self) -> Result<Owning, String> {
        let said = |what: &'static str| move |error: toml::de::Error| format!("{what}: {}", error.message());
        let weights = self.weights.clone().try_into().map_err(said("weights"))?;
        let half_lives = self.half_lives.clone().try_into().map_err(said("half_life_days"))?;
        let of_their_own = self.sources.iter().filter(|source| source.owner_tags != self.owner_tags);
        let tags_of: BTreeMap<String, Vec<String>> =
            of_their_own.map(|source| (source.name.clone(), source.owner_tags.clone())).collect();
        Owning { tags: self.owner_tags.clone(), tags_of, weights, half_lives }.checked()
    }

    /// The source of that name, or the name most like it.
    pub fn source(&self, name: &str) -> Result<&Source, Option<&str>> {
        let found = self.sources.iter().find(|source| source.name == name);
        found.ok_or_else(|| nearest(name, self.sources.iter().map(|source| source.name.as_str())))
    }
}

impl Source {
    /// The common setting that one of the connector's own is probably a misspelling of.
    pub fn probably_meant(setting: &str) -> Option<&'static str> {
        nearest(setting, COMMON.iter().copied())
    }
}

impl Check {
    fn fault(&mut self, setting: impl Into<String>, said: impl Into<String>) {
        self.0.push(Problem::new(setting, said));
    }

    /// The value, or a problem and its default.
    fn or<T>(&mut self, setting: &str, value: Option<Result<T, String>>, default: T) -> T {
        match value {
            Some(Ok(value)) => value,
            Some(Err(said)) => {
                self.fault(setting, said);
                default
            }
            None => default,
        }
    }

    fn length(&mut self, setting: String, text: Option<&String>, default: Duration) -> Duration {
        self.or(&setting, text.map(|text| duration::parse(text)), default)
    }

    fn store(&mut self, typed: &Typed, paths: &Paths) -> StoreChoice {
        if typed.store.url.is_some() && typed.store.path.is_some() {
            self.fault("store.url", "path and url exclude each other");
        }
        let url = typed.store.url.as_deref().map(|text| Address::parse(text).map(Some));
        let url = self.or("store.url", url, None);
        let min_free = self.or("store.min_free", typed.store.min_free.as_deref().map(Size::parse), Size::Default);
        let path = self.path("store.path", typed.store.path.as_ref(), paths.store.clone());
        let engine = typed
            .store
            .engine
            .as_deref()
            .map(|name| EngineKind::named(name).map(Some).ok_or_else(|| "either \"sled\" or \"redb\"".to_owned()));
        let engine = self.or("store.engine", engine, None);
        if engine.is_some() && typed.store.url.is_some() {
            self.fault("store.engine", "a store at an address has no engine of ours");
        }
        let mut days = |setting: &str, text: Option<&String>, default: u64| {
            let length = self.length(setting.to_owned(), text, Duration::from_secs(default * 86_400));
            if !(86_400..=100 * 366 * 86_400).contains(&length.as_secs()) {
                self.fault(setting, "between 1d and 36600d");
            }
            Span::seconds(i64::try_from(length.as_secs()).unwrap_or(i64::MAX / 4_000_000))
        };
        let keep = Keep {
            history: days("store.keep_history", typed.store.keep_history.as_ref(), 400),
            daily: days("store.keep_daily", typed.store.keep_daily.as_ref(), 7),
        };
        let backups = self.backups(&typed.store.backups, &path);
        let cache = self.cache(typed.store.cache.as_deref());
        StoreChoice { path, url, engine, keep, min_free, cache, backups }
    }

    fn cache(&mut self, typed: Option<&str>) -> u64 {
        match self.or("store.cache", typed.map(Size::parse), Size::Bytes(STORE_CACHE)) {
            Size::Bytes(bytes) if STORE_CACHES.contains(&bytes) => bytes,
            _ => {
                self.fault("store.cache", "between 8MiB and 16GiB");
                STORE_CACHE
            }
        }
    }

    fn backups(&mut self, typed: &TypedBackups, store: &Path) -> Backups {
        let keep = typed.keep.unwrap_or(7);
        if keep == 0 {
            self.fault("store.backups.keep", "at least 1");
        }
        Backups {
            schedule: self.schedule("store.backups", typed.schedule.as_deref(), typed.time_zone.as_deref()),
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
            path: self.path("store.backups.path", typed.path.as_ref(), store.join("backups")),
        }
    }

    fn path(&mut self, setting: &str, text: Option<&String>, default: PathBuf) -> PathBuf {
        let absolute = |text: &String| {
            let path = PathBuf::from(text);
            if path.is_absolute() { Ok(path) } else { Err("the path must be absolute".to_owned()) }
        };
        self.or(setting, text.map(absolute), default)
    }

    fn daemon(&mut self, typed: &Typed, paths: &Paths) -> DaemonSettings {
        let drain = self.length("daemon.drain".into(), typed.daemon.drain.as_ref(), DRAIN_MAX);
        if drain > DRAIN_MAX {
            self.fault("daemon.drain", "at most 25s: the service manager kills after 30s");
        }
        let lease = self.length("daemon.lease".into(), typed.daemon.lease.as_ref(), Duration::from_secs(30));
        if lease < Duration::from_secs(2) || lease > Duration::from_secs(600) {
            self.fault("daemon.lease", "between 2s and 10m");
        }
        let runs = typed.daemon.max_concurrent_runs.unwrap_or(4);
        if !(1..=64).contains(&runs) {
            self.fault("daemon.max_concurrent_runs", "between 1 and 64");
        }
        DaemonSettings {
            socket: self.path("daemon.socket", typed.daemon.socket.as_ref(), paths.socket.clone()),
            max_concurrent_runs: usize::try_from(runs).unwrap_or(4),
            drain,
            lease,
        }
    }

    fn snapshots(&mut self, typed: &TypedSnapshots, store: &StoreChoice) -> Snapshots {
        let keep = typed.keep.unwrap_or(30);
        if keep == 0 {
            self.fault("snapshots.keep", "at least 1");
        }
        Snapshots {
            schedule: self.schedule("snapshots", typed.schedule.as_deref(), typed.time_zone.as_deref()),
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
            path: self.path("snapshots.path", typed.path.as_ref(), store.path.join("snapshots")),
        }
    }

    fn sources(&mut self, typed: &[TypedSource], owner_tags: &[String]) -> Vec<Source> {
        let mut names = BTreeSet::new();
        let mut sources = Vec::new();
        for (index, source) in typed.iter().enumerate() {
            let at = format!("sources[{index}]");
            if !is_name(&source.name) {
                self.fault(format!("{at}.name"), "a name has 1 to 64 letters, digits, dots, dashes or underscores");
            } else if !names.insert(source.name.as_str()) {
                self.fault(format!("{at}.name"), format!("there is another source named {:?}", source.name));
            }
            sources.push(self.source(&at, source, owner_tags));
        }
        sources
    }

    fn source(&mut self, at: &str, typed: &TypedSource, owner_tags: &[String]) -> Source {
        let setting = |name: &str| format!("{at}.{name}");
        let schedule = self.schedule(at, typed.schedule.as_deref(), typed.time_zone.as_deref());
        let hour = Duration::from_secs(3_600);
        let jitter = self.length(setting("jitter"), typed.jitter.as_ref(), Duration::ZERO);
        let time_limit = self.length(setting("time_limit"), typed.time_limit.as_ref(), hour);
        let full_every = self.length(setting("full_every"), typed.full_every.as_ref(), WEEK);
        let sweep_every = self.length(setting("sweep_every"), typed.sweep_every.as_ref(), WEEK);
        if jitter > 24 * hour {
            self.fault(setting("jitter"), "at most 24h");
        }
        for (name, length) in [("time_limit", time_limit), ("full_every", full_every), ("sweep_every", sweep_every)] {
            if length < Duration::from_secs(1) || length > 366 * 24 * hour {
                self.fault(setting(name), "between 1s and 366d");
            }
        }
        let pace = typed.pace.as_deref().map(|pace| match pace {
            "shared" => Ok(false),
            "full" => Ok(true),
            _ => Err("either \"shared\" or \"full\"".to_owned()),
        });
        let settings = match serde_json::to_value(&typed.settings) {
            Ok(serde_json::Value::Object(settings)) => settings,
            _ => {
                self.fault(at, "the connector's settings hold a number that is not finite");
                serde_json::Map::new()
            }
        };
        let default: Vec<&str> = owner_tags.iter().map(String::as_str).collect();
        Source {
            name: typed.name.clone(),
            connector: typed.connector.clone(),
            schedule,
            jitter,
            full_pace: self.or(&setting("pace"), pace, false),
            time_limit,
            full_every,
            sweep_every,
            accept_blind_spots: typed.accept_blind_spots.unwrap_or(false),
            owner_tags: self.tags(&setting("owner_tags"), typed.owner_tags.clone(), &default),
            settings,
        }
    }

    fn schedule(&mut self, at: &str, cron: Option<&str>, zone: Option<&str>) -> Option<Schedule> {
        let time_zone = self.time_zone(&format!("{at}.time_zone"), zone);
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = cron.map(|text| {
            let five = "five fields: minute, hour, day of month, month, day of week, such as 17 */6 * * *";
            parser.parse(text).map(Some).map_err(|error| format!("{}; {five}", error.to_string().trim_end_matches('.')))
        });
        let cron = self.or(&format!("{at}.schedule"), cron, None)?;
        Some(Schedule { cron, time_zone })
    }

    fn time_zone(&mut self, setting: &str, zone: Option<&str>) -> TimeZone {
        let time_zone = zone.map(|zone| {
            TimeZone::get(zone).map_err(|_| "there is no such time zone; write one such as Europe/Paris".to_owned())
        });
        self.or(setting, time_zone, TimeZone::UTC)
    }

    fn tags(&mut self, setting: &str, typed: Option<Vec<String>>, default: &[&str]) -> Vec<String> {
        let tags = typed.unwrap_or_else(|| default.iter().map(|tag| (*tag).to_owned()).collect());
        if tags.len() > 32 || tags.iter().any(|tag| tag.trim().is_empty()) {
            self.fault(setting, "at most 32 tags, none of them empty");
        }
        tags
    }
}

fn is_name(name: &str) -> bool {
    let sound = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    (1..=64).contains(&name.len()) && name.chars().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn paths() -> Paths {
        Paths::find(None, &Environment::new([("HOME".to_owned(), "/home/a".to_owned())], 1000)).unwrap()
    }

    #[test]
    fn nothing_typed_is_a_whole_configuration() {
        let config = parse("", &paths()).unwrap();
        assert_eq!(config.store.path, std::path::Path::new("/home/a/.local/state/provost"));
        assert_eq!(config.snapshots.path, std::path::Path::new("/home/a/.local/state/provost/snapshots"));
        assert_eq!(config.owner_tags, ["owner", "team", "contact"]);
        assert_eq!(config.fingerprint_key.to_string(), "file:/home/a/.config/provost/fingerprint.key");
        assert_eq!(config.daemon.drain, DRAIN_MAX);
    }

    #[test]
    fn the_pinned_example_means_what_it_says() {
        let text = r#"
            [store]
            path = "/var/lib/provost"
            [[sources]]
            name = "aws-prod"
            connector = "aws"
            schedule = "17 */6 * * *"
            time_zone = "Europe/Paris"
            jitter = "5m"
            pace = "shared"
            regions = ["eu-west-1"]
            [thresholds]
            stale_days = 90
        "#;
        let config = parse(text, &paths()).unwrap();
        let source = config.source("aws-prod").unwrap();
        assert_eq!((source.jitter, source.full_pace), (Duration::from_secs(300), false));
        assert_eq!(source.settings["regions"][0], "eu-west-1");
        let when = source.schedule.as_ref().unwrap();
        let start: jiff::Zoned = "2026-11-24T05:00:00[Europe/Paris]".parse().unwrap();
        let next = when.cron.find_next_occurrence(&start, false).unwrap();
        assert_eq!(next.to_string(), "2026-11-24T06:17:00+01:00[Europe/Paris]");
        assert_eq!(when.time_zone.iana_name(), Some("Europe/Paris"));
        assert_eq!(config.thresholds().len(), 1);
        assert_eq!(config.source("aws-pord").unwrap_err(), Some("aws-prod"));
    }

    #[test]
    fn all_problems_are_shown_at_once() {
        let text = r#"
            [store]
            path = "relative"
            url = "postgres://x"
            engine = "rocks"
            keep_history = "1h"
            keep_daily = "a while"
            min_free = "5"
            cache = "1MiB"
            [daemon]
            drain = "1m"
            lease = "1s"
            max_concurrent_runs = 0
            [snapshots]
            keep = 0
            schedule = "* * * * * *"
            [fingerprints]
            id = "k 1"
            [[sources]]
            name = "a"
            connector = "host"
            schedule = "61 * * * *"
            time_zone = "Europe/Pariss"
            jitter = "5"
            pace = "fast"
            full_every = "0s"
            [[sources]]
            name = "a"
            connector = "host"
            owner_tags = [""]
            [[sources]]
            name = "a b"
            connector = "host"
        "#;
        let problems = parse(text, &paths()).unwrap_err();
        let said: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        insta::assert_snapshot!(said, @r#"
    store.url: path and url exclude each other
    store.min_free: write a size with its unit, such as 2GiB, 500MB or 5%
    store.path: the path must be absolute
    store.engine: either "sled" or "redb"
    store.keep_history: between 1d and 36600d
    store.keep_daily: write a length of time with its unit, such as 5m, 25s or 7d
    store.cache: between 8MiB and 16GiB
    sources[0].time_zone: there is no such time zone; write one such as Europe/Paris
    sources[0].schedule: Component error: Number out of bounds; five fields: minute, hour, day of month, month, day of week, such as 17 */6 * * *
    sources[0].jitter: write a length of time with its unit, such as 5m, 25s or 7d
    sources[0].full_every: between 1s and 366d
    sources[0].pace: either "shared" or "full"
    sources[1].name: there is another source named "a"
    sources[1].owner_tags: at most 32 tags, none of them empty
    sources[2].name: a name has 1 to 64 letters, digits, dots, dashes or underscores
    daemon.drain: at most 25s: the service manager kills after 30s
    daemon.lease: between 2s and 10m
    daemon.max_concurrent_runs: between 1 and 64
    snapshots.keep: at least 1
    snapshots.schedule: Invalid pattern: Pattern must have 5 fields when seconds are disallowed; five fields: minute, hour, day of month, month, day of week, such as 17 */6 * * *
    fingerprints.id: an id has 1 to 16 letters and digits, such as k1
    "#);
    }
}
