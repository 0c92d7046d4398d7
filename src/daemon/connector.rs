//! `connector list|lint|try|trust`: manifests from the file to the first page.
//! It must never send a credential for a manifest that nobody trusts, nor keep anything of a trial.

use std::{path::Path, sync::Arc};

use provost_connectors::{
    Bookmarks, Connector as Eyes, Emitter, Event, Reach,
    manifest::{Depth, Manifest, SHIPPED, Trust},
};
use provost_model::{Clock, Sighting, Trouble, Why};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, Connector, Exit, Screen, connector::Trial},
    clock::WallClock,
    commands::CommandError,
    config::{self, Paths},
    entry::{Entry, runtime},
    logging,
    manifests::{self, Known, ManifestError, Text},
    wire::Wiring,
};

/// What a mock server is shown where a credential belongs.
const MOCK: &str = "test-token";
/// Batches of events on their way.
const CHANNEL: usize = 16;

/// Answers one of these commands.
pub fn run(action: &Connector, entry: &Entry, paths: &Paths, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let directory = manifests::directory(&paths.file);
    match action {
        Connector::List => Ok(cli::connector::listed(&Known::of(&directory), screen)?),
        Connector::Lint { file } => match read(file).and_then(|text| text.manifest()) {
            Ok(manifest) => Ok(cli::connector::sound(file, &manifest, screen)?),
            Err(ManifestError::Faults(file, faults)) => Ok(cli::connector::faults(&file, &faults, screen)?),
            Err(error) => Err(usage(&error)),
        },
        Connector::Try { file, source, base, settings } => {
            logging::begin(&entry.environment, entry.err_terminal, true);
            let text = read(file).map_err(|error| usage(&error))?;
            let manifest = text.manifest().map_err(|error| usage(&error))?;
            let eyes = match (source, base) {
                (Some(source), _) => as_source((&text, &manifest), source, (entry, paths))?,
                (None, Some(base)) => at_base(&manifest, base, settings)?,
                (None, None) => return Err(CommandError::Usage("name a --source, or a --base".to_owned())),
            };
            let trial = runtime(1)?.block_on(looked(eyes));
            Ok(cli::connector::tried(&trial, screen)?)
        }
        Connector::Trust { file } => {
            let text = read(file).map_err(|error| usage(&error))?;
            match manifests::trust(&text, &directory) {
                Ok((manifest, before)) => Ok(cli::connector::trusted(&manifest, before.as_deref(), screen)?),
                Err(ManifestError::Faults(file, faults)) => Ok(cli::connector::faults(&file, &faults, screen)?),
                Err(error) => Err(usage(&error)),
            }
        }
    }
}

fn read(file: &Path) -> Result<Text, ManifestError> {
    Text::read(file)
}

fn usage(error: &ManifestError) -> CommandError {
    CommandError::Usage(error.to_string())
}

/// Eyes that look as a source of the configuration does, with its credential: for a trusted manifest only.
fn as_source(
    (text, manifest): (&Text, &Arc<Manifest>),
    name: &str,
    (entry, paths): (&Entry, &Paths),
) -> Result<Box<dyn Eyes>, CommandError> {
    let config = config::load(paths).map_err(cli::CliError::Config)?;
    let shipped = SHIPPED.contains(&text.text.as_str());
    if !shipped && !manifests::is_trusted(text, &config.manifests).map_err(|error| usage(&error))? {
        let said = format!(
            "{0} is not trusted, so no credential is sent for it: read it, then `provost connector trust {0}`; or try it \
             with --base against a mock server",
            text.path.display()
        );
        return Err(CommandError::Usage(said));
    }
    let source = config.source(name).map_err(|nearest| {
        let hint = nearest.map_or_else(String::new, |it| format!("; did you mean {it:?}?"));
        CommandError::Usage(format!("there is no source {name:?}{hint}"))
    })?;
    let source = source.clone();
    if source.connector != manifest.name {
        let said = format!("source {name:?} is of connector {:?}, not {:?}", source.connector, manifest.name);
        return Err(CommandError::Usage(said));
    }
    let handed = Wiring::new(config, entry.environment.clone())?.handed(&source, Reach::Provider);
    let trust = if shipped { Trust::Shipped } else { Trust::Pinned };
    manifest.connector(&handed, trust, Depth::FirstPage).map_err(CommandError::Usage)
}

/// Eyes that look at an address of the command line, without any credential of ours.
fn at_base(manifest: &Arc<Manifest>, base: &str, settings: &[String]) -> Result<Box<dyn Eyes>, CommandError> {
    let mut table = Map::from_iter([("base_url".to_owned(), Value::from(base)), ("pace".to_owned(), "full".into())]);
    for slot in manifest.plain_slots() {
        table.insert(slot, format!("env:{MOCK}").into());
    }
    for setting in settings {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| CommandError::Usage(format!("--set {setting:?}: expected NAME=VALUE")))?;
        if manifest.slots.contains_key(name) {
            return Err(CommandError::Usage(format!("--set {name}: a slot is bound by a source of the configuration")));
        }
        table.insert(name.to_owned(), value.into());
    }
    // Whatever nobody said: a mock server does not care.
    for name in manifest.settings.keys() {
        table.entry(name.clone()).or_insert_with(|| name.as_str().into());
    }
    let handed = provost_connectors::Source {
        name: manifest.name.clone(),
        settings: table,
        fingerprints: Arc::new(provost_connectors::fingerprint::FingerprintKey::new("k0".to_owned(), [0; 32])),
        secrets: Arc::new(Mock),
        clock: Arc::new(WallClock),
    };
    manifest.connector(&handed, Trust::Nobody, Depth::FirstPage).map_err(CommandError::Usage)
}

/// Stands where secrets would be: whatever is asked for is the word for mock servers.
struct Mock;

impl provost_connectors::Secrets for Mock {
    fn check(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn get(&self, _: &str) -> Result<SecretString, String> {
        Ok(MOCK.into())
    }
}

/// Looks once, and keeps what is said.
async fn looked(eyes: Box<dyn Eyes>) -> Trial {
    let mut trial = Trial { announced: eyes.announce().await, ..Trial::default() };
    let (out, mut events) = mpsc::channel::<Vec<Event>>(CHANNEL);
    let clock: Arc<dyn Clock> = Arc::new(WallClock);
    let looking = tokio::spawn(async move {
        let mut emitter = Emitter::new(out, clock, CancellationToken::new());
        let seen = eyes.discover(&Bookmarks::default(), &mut emitter).await;
        let _ = emitter.flush().await;
        seen
    });
    while let Some(batch) = events.recv().await {
        batch.into_iter().for_each(|event| take(&mut trial, event));
    }
    match looking.await {
        Ok(Ok(())) => {}
        Ok(Err(trouble)) => trial.troubles.push(trouble),
        Err(_) => trial.troubles.push(Trouble {
            place: String::new(),
            why: Why::Stopped,
            said: "the connector broke off".to_owned(),
            blind_spot: false,
        }),
    }
    trial
}

fn take(trial: &mut Trial, event: Event) {
    match event {
        Event::Realm(realm) => trial.realm = Some(realm),
        Event::See { scope, sightings, .. } => {
            let present = sightings.into_iter().filter_map(|it| match it {
                Sighting::Present(entity) => Some((scope.path.clone(), entity)),
                Sighting::Gone(_) => None,
            });
            trial.entities.extend(present);
        }
        // That a trial reads the first page only is known.
        Event::Trouble(trouble) if trouble.why == Why::NotReached => {}
        Event::Trouble(trouble) => trial.troubles.push(trouble),
        Event::Call { .. } => trial.calls += 1,
        Event::Begin { .. }
        | Event::Cover { .. }
        | Event::Unwatch(_)
        | Event::ClockAhead(_)
        | Event::Eyes { .. }
        | Event::Progress(..) => {}
    }
}
