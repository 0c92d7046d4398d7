//! The composition root: from a configuration to a store that is open, connectors that can look, figures to judge by.
//! It must never read a setting that the configuration did not check, nor keep a secret longer than it takes to hand it on.

mod hands;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use provost_actions::{Fingerprints, Handed, sinks::Sink};
use provost_connectors::{Connector, Reach, Spec, fingerprint::FingerprintKey};
use provost_engine::{Policy, PolicyConfig};
use provost_model::{Span, Time};
use provost_store::{OpenOptions, Postgres, PostgresOptions, Shown, Store, StoreError, evidence::Signer, inventory};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use self::hands::Hand;
use crate::{
    clock::WallClock,
    config::{Address, Config, Environment, MalformedReference, Reference, Schedule, Source, scrubbed, telling},
    house::House,
    jobs::{assess::Watched, judge::Yardstick, owners::Known as PeopleKnown, scan::Looking},
    managed::StateFiles,
    manifests::Known,
};

/// What people may read of a store in a database.
pub const SHOWN: Shown =
    Shown { projector: inventory::shown, views: inventory::VIEWS, version: inventory::VIEWS_VERSION };

/// Why a configuration cannot be put to work.
#[derive(Debug, Error)]
pub enum WireError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no place for the store.
    #[error(
        "the store at {path} can be neither opened nor made: {error}; let this user write there, or set store.path in \
         the configuration to a directory where it may"
    )]
    NoPlace {
        /// Where it should be.
        path: PathBuf,
        /// How it failed.
        error: io::Error,
    },
    /// A source or threshold makes no sense to those who use it.
    #[error("{setting}: {said}")]
    Setting {
        /// Which setting.
        setting: String,
        /// What is wrong with it.
        said: String,
    },
    /// The key for fingerprints cannot be had.
    #[error("the key for fingerprints: {0}")]
    FingerprintKey(String),
    /// The key for checkpoints of evidence is not to be had.
    #[error("evidence.key: {0}")]
    EvidenceKey(String),
}

/// Sinks by name, each with how it is configured.
type Sinks = BTreeMap<String, (telling::Sink, Arc<dyn Sink>)>;
/// Hands by the name of their entry.
type Hands = BTreeMap<String, Arc<Hand>>;

/// Everything that follows from one configuration; replaced as a whole by a reload.
pub struct Wiring {
    /// The configuration.
    pub config: Config,
    /// Figures to judge by.
    pub yardstick: Yardstick,
    /// What the process was started with.
    pub environment: Environment,
    fingerprints: Arc<FingerprintKey>,
    connectors: Known,
    sinks: Sinks,
    hands: Hands,
    /// What others make by program, as their state files say.
    pub managed: StateFiles,
}

impl Wiring {
    /// Puts a configuration together. Every connector is built once, so that a bad setting shows now.
    pub fn new(config: Config, environment: Environment) -> Result<Self, WireError> {
        let wrong = |setting: &str, said: String| WireError::Setting { setting: setting.to_owned(), said };
        let policy = policy(config.thresholds().clone()).map_err(|said| wrong("thresholds", said))?;
        let owning = config.owning().map_err(|said| wrong("owners", said))?;
        let people = PeopleKnown::new(Arc::clone(&config.people));
        let connectors = Known::of(&config.manifests);
        let fingerprints = Arc::new(fingerprint_key(&config, &environment)?);
        let sinks = sinks_of(&config, &environment)?;
        let hands = hands::of(&config, &environment)?;
        let governance = config.governance.clone();
        let guarded = config.deciding().flat_map(|it| it.rules.iter().cloned()).collect();
        let yardstick = Yardstick { policy, owning, people, governance, guarded };
        let managed = StateFiles::new(config.state_files.clone());
        let wiring = Self { config, yardstick, environment, fingerprints, connectors, sinks, hands, managed };
        for source in &wiring.config.sources {
            wiring.connector(source)?;
        }
        Ok(wiring)
    }

    /// A sink of that name, and how it is configured.
    pub fn sink(&self, name: &str) -> Option<(telling::Sink, Arc<dyn Sink>)> {
        self.sinks.get(name).cloned()
    }

    /// Whoever changes what that `[[rotations]]` entry is about.
    pub fn hand(&self, name: &str) -> Option<Arc<Hand>> {
        self.hands.get(name).cloned()
    }

    /// All of them.
    pub fn hands(&self) -> impl Iterator<Item = &Arc<Hand>> {
        self.hands.values()
    }

    /// The same with a hand more, or with another one for an entry of that name.
    pub fn with(mut self, hand: Hand) -> Self {
        self.config.rotations.retain(|entry| entry.name != hand.entry.name);
        self.config.rotations.push(hand.entry.clone());
        self.hands.insert(hand.entry.name.clone(), Arc::new(hand));
        self
    }

    /// What recognises values without keeping them.
    pub fn marks(&self) -> Arc<dyn Fingerprints> {
        Arc::new(Marks(Arc::clone(&self.fingerprints)))
    }

    /// Whoever signs checkpoints of evidence.
    pub fn signer(&self) -> Result<Signer, WireError> {
        let seed = key_of(&self.config.evidence_key, &self.environment).map_err(WireError::EvidenceKey)?;
        Signer::of_seed(&seed).ok_or_else(|| WireError::EvidenceKey("it makes no key".to_owned()))
    }

    /// Opens the store, waiting that long for another process to give it back.
    pub fn open(&self, wait: Duration) -> Result<Arc<House>, WireError> {
        let store: Arc<dyn Store> = match &self.config.store.url {
            Some(address) => Arc::new(database((&self.config, address), &self.environment, wait)?),
            None => {
                let path = &self.config.store.path;
                match provost_store::open(path, &options(&self.config, wait)) {
                    Ok(store) => Arc::new(store),
                    Err(StoreError::Io(error)) => return Err(WireError::NoPlace { path: path.clone(), error }),
                    Err(error) => return Err(error.into()),
                }
            }
        };
        Ok(Arc::new(House::new(store, Arc::new(WallClock))))
    }

    /// What a run of that source is about.
    pub fn looking(&self, source: &Source, sweep_now: bool) -> Result<Looking, WireError> {
        let (spec, connector) = self.connector(source)?;
        let full_every = Span::seconds(i64::try_from(source.full_every.as_secs()).unwrap_or(i64::MAX));
        let (name, limit) = (source.name.clone(), source.time_limit);
        let no_room = CancellationToken::new();
        Ok(Looking { source: name, spec, connector, limit, full_every, sweep_now, next_run: None, no_room })
    }

    /// The connector of a source, and its description.
    pub fn connector(&self, source: &Source) -> Result<(&'static Spec, Arc<dyn Connector>), WireError> {
        let wrong = |said: String| WireError::Setting { setting: format!("source {:?}", source.name), said };
        let spec = self.spec(source);
        let spec = spec.ok_or_else(|| wrong(self.connectors.why_not(&source.connector)))?;
        let handed = self.handed(source, spec.reach);
        let built = (spec.build)(&handed).map_err(|said| match misspelt(&said) {
            Some(known) => wrong(format!("{said}; did you mean {known:?}?")),
            None => wrong(said),
        })?;
        Ok((spec, Arc::from(built)))
    }

    /// A source as its connector is handed it: with what the daemon adds to its settings.
    pub fn handed(&self, source: &Source, reach: Reach) -> provost_connectors::Source {
        let mut settings = source.settings.clone();
        match reach {
            Reach::Provider => {
                settings.insert("pace".into(), if source.full_pace { "full" } else { "shared" }.into());
                settings
                    .insert("sweep_every".into(), format!("{}h", (source.sweep_every.as_secs() / 3600).max(1)).into());
            }
            Reach::Host => self.machine(&mut settings),
        }
        provost_connectors::Source {
            name: source.name.clone(),
            settings,
            fingerprints: Arc::clone(&self.fingerprints),
            secrets: Arc::new(Secrets(self.environment.clone())),
            clock: Arc::new(WallClock),
        }
    }

    /// What a connector that looks at this machine is told of it, unless its settings say otherwise.
    fn machine(&self, settings: &mut serde_json::Map<String, serde_json::Value>) {
        let told = [
            ("home", self.environment.get("HOME").map(str::to_owned)),
            ("xdg_config_home", self.environment.get("XDG_CONFIG_HOME").map(str::to_owned)),
            ("machine_id", machine_id()),
            ("hostname", hostname()),
        ];
        for (name, value) in told {
            if let Some(value) = value {
                settings.entry(name).or_insert_with(|| value.into());
            }
        }
        settings.entry("uid").or_insert_with(|| self.environment.uid().into());
    }

    /// The description of a source's connector.
    pub fn spec(&self, source: &Source) -> Option<&'static Spec> {
        self.connectors.catalogue.find(&source.connector)
    }

    /// Whether a source can be looked at only on the machine it is about.
    pub fn is_about_a_machine(&self, source: &Source) -> bool {
        self.spec(source).is_some_and(|spec| matches!(spec.reach, Reach::Host))
    }

    /// What judging a source needs to know of it.
    pub fn watched(&self, source: &Source, now: Time) -> Watched {
        let period = source.schedule.as_ref().and_then(|schedule| longest_gap(schedule, now));
        Watched { name: source.name.clone(), connector: source.connector.clone(), period }
    }
}

/// The places that settings of sources may refer to.
struct Secrets(Environment);

impl provost_connectors::Secrets for Secrets {
    fn check(&self, reference: &str) -> Result<(), String> {
        reference.parse::<Reference>().map(drop).map_err(|error| error.to_string())
    }

    fn get(&self, reference: &str) -> Result<SecretString, String> {
        let reference: Reference = reference.parse().map_err(|error: MalformedReference| error.to_string())?;
        reference.resolve(&self.0).map_err(|error| error.to_string())
    }
}

impl provost_actions::Secrets for Secrets {
    fn check(&self, reference: &str) -> Result<(), String> {
        provost_connectors::Secrets::check(self, reference)
    }

    fn get(&self, reference: &str) -> Result<SecretString, String> {
        provost_connectors::Secrets::get(self, reference)
    }
}

/// Fingerprints of values on their way.
struct Marks(Arc<FingerprintKey>);

impl Fingerprints for Marks {
    /// What is too weak to have a fingerprint is like nothing else: values of ours are not.
    fn of(&self, value: &[u8]) -> String {
        self.0.of("saga", value).map_or_else(|| "too weak".to_owned(), |fingerprint| fingerprint.to_string())
    }
}

/// What an entry of that name with those settings is handed.
fn handed((name, settings): (&str, &Map<String, Value>), environment: &Environment) -> Handed {
    Handed {
        name: name.to_owned(),
        settings: settings.clone(),
        template: None,
        hostname: hostname().unwrap_or_else(|| "localhost".to_owned()),
        secrets: Arc::new(Secrets(environment.clone())),
        clock: Arc::new(WallClock),
    }
}

/// The sinks of a configuration, each built once, so that a bad setting shows now.
fn sinks_of(config: &Config, environment: &Environment) -> Result<Sinks, WireError> {
    let mut sinks = BTreeMap::new();
    for sink in &config.sinks {
        let handed = Handed { template: sink.template.clone(), ..handed((&sink.name, &sink.settings), environment) };
        let built = (sink.spec.build)(&handed);
        let built = built.map_err(|said| WireError::Setting { setting: format!("sink {:?}", sink.name), said })?;
        sinks.insert(sink.name.clone(), (sink.clone(), Arc::from(built)));
    }
    Ok(sinks)
}

/// Opens the store in a database. What this daemon keeps for itself alone stays in its own directory.
pub fn database(
    (config, address): (&Config, &Address),
    environment: &Environment,
    wait: Duration,
) -> Result<Postgres, WireError> {
    let path = &config.store.path;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| WireError::NoPlace { path: path.clone(), error })?;
    let url = address
        .resolve(environment)
        .map_err(|error| WireError::Setting { setting: "store.url".to_owned(), said: error.to_string() })?;
    let options = PostgresOptions { patience: wait, shown: Some(SHOWN), ..PostgresOptions::default() };
    Ok(Postgres::open(url.expose_secret(), options)?)
}

/// How the store of a configuration is opened.
pub fn options(config: &Config, wait: Duration) -> OpenOptions {
    let backups = Some(config.store.backups.path.clone());
    OpenOptions { wait, cache: config.store.cache, engine: config.store.engine, backups, ..OpenOptions::default() }
}

/// What this machine is called by its user.
pub fn hostname() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_owned)
}

/// What tells this machine from every other: its machine id, or its name where it has none.
pub fn machine() -> String {
    let id = machine_id().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    id.or_else(hostname).unwrap_or_else(|| "unnamed".to_owned())
}

fn machine_id() -> Option<String> {
    fs::read_to_string("/etc/machine-id").ok()
}

/// The policy of a `[thresholds]` table: figures that hold everywhere stand in it as they are, or in a table `thresholds` as
/// in an override; beside them the overrides.
pub fn policy(mut table: toml::Table) -> Result<Policy, String> {
    let overrides = table.remove("overrides");
    let mut everywhere = match table.remove("thresholds") {
        None => toml::Table::new(),
        Some(toml::Value::Table(figures)) => figures,
        Some(_) => return Err("thresholds in it is a table of figures".to_owned()),
    };
    for (figure, value) in table {
        if everywhere.contains_key(&figure) {
            return Err(format!("{figure} is given twice"));
        }
        everywhere.insert(figure, value);
    }
    let mut whole = toml::Table::from_iter([("thresholds".to_owned(), toml::Value::Table(everywhere))]);
    whole.extend(overrides.map(|overrides| ("overrides".to_owned(), overrides)));
    let typed: PolicyConfig = whole.try_into().map_err(|error: toml::de::Error| scrubbed(error.message()))?;
    Policy::new(typed).map_err(|error| error.to_string())
}

/// When a schedule comes round next after a moment.
pub fn next(schedule: &Schedule, after: Time) -> Option<Time> {
    let after = jiff::Timestamp::from_microsecond(after.as_micros()).ok()?.to_zoned(schedule.time_zone.clone());
    let next = schedule.cron.find_next_occurrence(&after, false).ok()?;
    Some(Time::from_micros(next.timestamp().as_microsecond()))
}

/// The longest time between neighbours of the next few occurrences.
fn longest_gap(schedule: &Schedule, from: Time) -> Option<Span> {
    let mut last = next(schedule, from)?;
    let mut longest = None;
    for _ in 0..16 {
        let following = next(schedule, last)?;
        longest = longest.max(Some(following - last));
        last = following;
    }
    longest
}

/// A common setting that the unknown one a connector complains of is probably a misspelling of.
fn misspelt(said: &str) -> Option<&'static str> {
    let unknown = said.strip_prefix("unknown field `")?.split('`').next()?;
    Source::probably_meant(unknown)
}

/// The key for fingerprints: made at first start where the configuration names a file that is not there.
fn fingerprint_key(config: &Config, environment: &Environment) -> Result<FingerprintKey, WireError> {
    let key = key_of(&config.fingerprint_key, environment).map_err(WireError::FingerprintKey)?;
    Ok(FingerprintKey::new(config.fingerprint_key_id.clone(), *key))
}

/// The key that a reference leads to; a file that is not there is made.
fn key_of(reference: &Reference, environment: &Environment) -> Result<Zeroizing<[u8; 32]>, String> {
    if let Reference::File(path) = reference {
        make_key(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let secret = reference.resolve(environment).map_err(|error| error.to_string())?;
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(secret.expose_secret().trim(), key.as_mut())
        .map_err(|_| "it must be 64 hexadecimal digits".to_owned())?;
    Ok(key)
}

fn make_key(path: &Path) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => file.write_all(format!("{}\n", hex::encode(key)).as_bytes()).and_then(|()| file.sync_all()),
        // Somebody else was faster: theirs is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use provost_engine::Rule;

    use super::*;

    #[test]
    fn figures_stand_in_their_table_as_they_are_or_one_table_deeper() {
        let of = |text: &str| policy(toml::from_str(text).unwrap());
        let digest = |text: &str| of(text).unwrap().digest_of(Rule::of_id("CRED-STALE").unwrap());
        assert_eq!(digest("stale_key_days = 30"), digest("[thresholds]\nstale_key_days = 30"));
        assert_ne!(digest("stale_key_days = 30"), digest(""));
        let override_ = "[[overrides]]\nmatch = { source = \"a\" }\nthresholds = { stale_key_days = 9 }";
        assert_ne!(digest(&format!("stale_key_days = 30\n{override_}")), digest("stale_key_days = 30"));
        for (text, said) in [
            ("stale_key_day = 30", "stale_key_day"),
            ("stale_key_days = 30\n[thresholds]\nstale_key_days = 31", "stale_key_days is given twice"),
            ("thresholds = 3", "a table"),
        ] {
            let refused = of(text).map(drop).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
