//! `record`: one source is looked at once, cold, and what its provider answered is written down without secrets.
//! It must never touch the store, write over a file, or let others read what it writes.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use provost_connectors::{Bookmarks, Connector, Emitter, Event, Reach, Recorder};
use provost_model::{Trouble, Why};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, Exit, Screen},
    clock::WallClock,
    commands::CommandError,
    config::{self, Paths, Source},
    entry::{Entry, runtime},
    logging,
    wire::Wiring,
};

/// Batches of events on their way.
const CHANNEL: usize = 16;

/// What a recorded look saw.
#[derive(Debug, Default)]
struct Seen {
    entities: usize,
    troubles: Vec<Trouble>,
}

/// Records a source.
pub fn run(
    (name, to): (&str, Option<&Path>),
    entry: &Entry,
    paths: &Paths,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    logging::begin(&entry.environment, entry.err_terminal, true);
    let config = config::load(paths).map_err(cli::CliError::Config)?;
    let source = config.source(name).cloned().map_err(|nearest| {
        let hint = nearest.map_or_else(String::new, |it| format!("; did you mean {it:?}?"));
        CommandError::Usage(format!("there is no source {name:?}{hint}"))
    })?;
    let wiring = Wiring::new(config, entry.environment.clone())?;
    if matches!(wiring.connector(&source)?.0.reach, Reach::Host) {
        return Err(CommandError::Usage(format!("{name:?} looks at this machine and calls nobody")));
    }
    let to = to.map_or_else(|| PathBuf::from(format!("{name}.cassette.jsonl")), Path::to_owned);
    let recorder = recorder(&to)?;
    recorder.clone().of_this_process().map_err(CommandError::Usage)?;
    // Built anew, now that every way out is recorded.
    let (_, connector) = wiring.connector(&source)?;
    let seen = runtime(1)?.block_on(looked(connector, &source));
    let calls = recorder.written().map_err(CommandError::Usage)?;
    let told = serde_json::json!({ "source": name, "file": to, "calls": calls, "entities": seen.entities });
    if screen.is_table() {
        let file = to.display();
        screen.line(&format!("{calls} calls of {name} are in {file}, {} things were seen", seen.entities))?;
        screen.line("Secrets are masked, names are not: look through it before you hand it on.")?;
    } else {
        screen.value(&told)?;
    }
    for trouble in &seen.troubles {
        screen.remark(&format!("{name}: not seen: {}: {}", trouble.place, trouble.said))?;
    }
    Ok(if seen.troubles.iter().all(|it| it.blind_spot) { Exit::Done } else { Exit::Partial })
}

/// Writes to a file that is new, and readable for its owner alone.
fn recorder(to: &Path) -> Result<Recorder, CommandError> {
    let unwritten = |error: &dyn std::fmt::Display| CommandError::Usage(format!("{}: {error}", to.display()));
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| unwritten(&error))?;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    Recorder::new(file.map_err(|error| unwritten(&error))?, salt).map_err(|said| unwritten(&said))
}

/// Looks once, as in a first run, and keeps only what was told of it.
async fn looked(connector: Arc<dyn Connector>, source: &Source) -> Seen {
    let (out, mut events) = mpsc::channel::<Vec<Event>>(CHANNEL);
    let (stop, limit) = (CancellationToken::new(), source.time_limit);
    let mut emitter = Emitter::new(out, Arc::new(WallClock), stop);
    let looking = tokio::spawn(async move {
        let known = Bookmarks::default();
        let looked = tokio::time::timeout(limit, connector.discover(&known, &mut emitter)).await;
        let _ = emitter.flush().await;
        looked.unwrap_or_else(|_| Err(trouble(Why::TimedOut, "the time allowed for a run is over")))
    });
    let mut seen = Seen::default();
    while let Some(batch) = events.recv().await {
        for event in batch {
            match event {
                Event::See { sightings, .. } => seen.entities += sightings.len(),
                Event::Trouble(trouble) => seen.troubles.push(trouble),
                _ => {}
            }
        }
    }
    let looked = looking.await.unwrap_or_else(|_| Err(trouble(Why::Stopped, "the connector broke off")));
    seen.troubles.extend(looked.err());
    seen
}

fn trouble(why: Why, said: &str) -> Trouble {
    Trouble { place: "the run".to_owned(), why, said: said.to_owned(), blind_spot: false }
}
