//! From a command line to an answer: which configuration, beside the store or through the daemon that holds it.
//! It must never open a store that a daemon answers for.

use std::{
    ffi::OsString,
    io::Write,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Parser as _;
use provost_connectors::Catalogue;
use provost_model::Clock as _;
use provost_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::{
    archive,
    cli::{self, Cli, Command, Evidence, Exit, Rules, Screen, StoreAction},
    clock::WallClock,
    commands::{Asked, CommandError, Meter, Parcel, answer, needs_store, no_parcel},
    config::{self, Config, Environment, Paths, Problem, Source},
    connector,
    desk::Desk,
    evidence, logging,
    manifests::Known,
    output::{Look, Progress},
    quickstart, recording,
    socket::ask,
    vigil,
    wire::{WireError, Wiring},
};

/// How long a command waits for a store that another process holds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long of that at a time: the process may be a daemon that is starting, and answers for the store soon.
const TURN: Duration = Duration::from_millis(200);

/// What the process was started with.
pub struct Entry {
    /// The words of the command line, the program's name first.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub environment: Environment,
    /// Whether answers go to a terminal.
    pub out_terminal: bool,
    /// Whether remarks go to a terminal.
    pub err_terminal: bool,
}

/// Answers one command line.
pub fn run(entry: &Entry, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let cli = match Cli::try_parse_from(&entry.arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage.status() } else { Exit::Done.status() });
        }
    };
    let no_colour = cli.global.no_color || entry.environment.get("NO_COLOR").is_some();
    let width = entry.environment.get("COLUMNS").and_then(|it| it.parse().ok()).or_else(|| terminal_width(entry));
    let look = Look::suited(entry.out_terminal, width, no_colour, WallClock.now());
    let mut screen = Screen { out, err, format: cli.global.output, look, most: None };
    let exit = match dispatch(entry, &cli, &mut screen, no_colour) {
        Ok(exit) => exit,
        Err(error) => {
            let exit = error.exit();
            if exit != Exit::Done {
                let _ = screen.err.write_all(error.told().as_bytes());
            }
            exit
        }
    };
    ExitCode::from(exit.status())
}

fn dispatch(entry: &Entry, cli: &Cli, screen: &mut Screen<'_>, no_colour: bool) -> Result<Exit, CommandError> {
    let paths = Paths::find(cli.global.config.as_deref(), &entry.environment)
        .map_err(|problem| cli::CliError::Config(vec![problem]))?;
    match &cli.command {
        Command::Completions { shell } => Ok(cli::completions::print(*shell, screen)?),
        Command::Config(action) => configuration(*action, entry, &paths, screen),
        Command::Check { name } => check(name, entry, &paths, screen),
        Command::Record { source, to } => recording::run((source, to.as_deref()), entry, &paths, screen),
        Command::Connector(action) => connector::run(action, entry, &paths, screen),
        Command::Evidence(Evidence::Verify { file, head, checkpoint, key }) => {
            evidence::verify(file, (head, checkpoint, key), screen)
        }
        Command::Quickstart(wanted) => {
            logging::begin(&entry.environment, entry.err_terminal, true);
            quickstart::run(entry, &paths, wanted, screen)
        }
        Command::Store(StoreAction::Restore { file, latest: _, force }) => {
            logging::begin(&entry.environment, entry.err_terminal, true);
            let config = config::load(&paths).map_err(cli::CliError::Config)?;
            archive::restore((&config, &entry.environment), (file.as_deref(), *force), &meter(entry), screen)
        }
        Command::Store(StoreAction::Migrate { to, place }) => {
            logging::begin(&entry.environment, entry.err_terminal, true);
            let config = config::load(&paths).map_err(cli::CliError::Config)?;
            let meter = meter(entry);
            archive::migrate((&config, &entry.environment, &paths.file), (to, place), &meter, screen)
        }
        Command::Store(StoreAction::Rollback { lose_commits }) => {
            logging::begin(&entry.environment, entry.err_terminal, true);
            let config = config::load(&paths).map_err(cli::CliError::Config)?;
            archive::roll_back(&config, *lose_commits, screen)
        }
        Command::Store(StoreAction::Backup { file }) => {
            logging::begin(&entry.environment, entry.err_terminal, true);
            let keeping = archive::Keeping::begin(file)?;
            let exit = with_store(entry, (cli, &paths, keeping.parcel()), screen, no_colour)?;
            if exit == Exit::Done { keeping.end(screen) } else { Ok(exit) }
        }
        Command::Rules(Rules::WhatIf(wanted)) => {
            logging::begin(&entry.environment, entry.err_terminal, true);
            let cli = with_thresholds(cli, wanted)?;
            with_store(entry, (&cli, &paths, no_parcel()), screen, no_colour)
        }
        Command::Run => {
            logging::begin(&entry.environment, entry.err_terminal, false);
            daemon(entry, &paths)
        }
        command if needs_store(command) => {
            logging::begin(&entry.environment, entry.err_terminal, true);
            with_store(entry, (cli, &paths, no_parcel()), screen, no_colour)
        }
        _ => Err(CommandError::Usage("nothing answers that command".into())),
    }
}

/// Shows on a terminal how far a long step is.
fn meter(entry: &Entry) -> Meter {
    let bar = Mutex::new(Progress::new(entry.err_terminal));
    Arc::new(move |done, total, of| bar.lock().unwrap_or_else(PoisonError::into_inner).at(done, total, of))
}

/// Answers beside the store, or through the daemon that holds it.
fn with_store(
    entry: &Entry,
    (cli, paths, parcel): (&Cli, &Paths, Parcel),
    screen: &mut Screen<'_>,
    no_colour: bool,
) -> Result<Exit, CommandError> {
    let config = config::load(paths).map_err(cli::CliError::Config)?;
    let bar = Mutex::new(Progress::new(entry.err_terminal));
    let mut at = |done, total, of: &str| bar.lock().unwrap_or_else(PoisonError::into_inner).at(done, total, of);
    let arguments = match &cli.command {
        Command::Rules(Rules::WhatIf(wanted)) => wanted.words(&cli.global),
        _ => passed_on(&entry.arguments),
    };
    let (socket, store) = (config.daemon.socket.clone(), config.store.name());
    let mut answered = || {
        let terminal = (entry.out_terminal, no_colour);
        match ask((&socket, &store), arguments.clone(), screen, terminal, (&mut at, &parcel)) {
            Ok(Ok(status)) => Ok(Some(Exit::of_status(status))),
            Ok(Err(error)) => Err(CommandError::from(error)),
            Err(_nobody) => Ok(None),
        }
    };
    if let Some(exit) = answered()? {
        return Ok(exit);
    }
    // A database lets in as many as come: nobody has to give it back.
    let wait = if config.store.url.is_some() { PATIENCE } else { TURN };
    let mut turns = PATIENCE.as_millis() / wait.as_millis();
    let wiring = Wiring::new(config, entry.environment.clone())?;
    let house = loop {
        turns -= 1;
        match wiring.open(wait) {
            Err(WireError::Store(StoreError::Locked { .. })) if turns > 0 => {}
            opened => break opened?,
        }
        if let Some(exit) = answered()? {
            return Ok(exit);
        }
    };
    let desk = Desk::new(house, wiring, None);
    let bar = Arc::new(bar);
    let meter = {
        let bar = Arc::clone(&bar);
        Arc::new(move |done, total, of: &str| bar.lock().unwrap_or_else(PoisonError::into_inner).at(done, total, of))
    };
    let runtime = runtime(1)?;
    let exit = runtime.block_on(async {
        let stop = CancellationToken::new();
        let asked = Asked { desk: &desk, uid: entry.environment.uid(), meter, parcel, stop: stop.clone() };
        let interrupted = async {
            let _ = tokio::signal::ctrl_c().await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answered = answer(&asked, &cli.command, screen) => answered,
            () = interrupted => Ok(Exit::Partial),
        }
    });
    bar.lock().unwrap_or_else(PoisonError::into_inner).done();
    exit
}

/// The same question with the thresholds of the file it names: a daemon opens no file for a caller.
fn with_thresholds(cli: &Cli, wanted: &cli::WhatIf) -> Result<Cli, CommandError> {
    if wanted.policy_text.is_some() {
        return Err(CommandError::Usage("name a FILE; --policy-text is how a daemon is asked".to_owned()));
    }
    let text = config::thresholds_in(&wanted.file)
        .map_err(|problem| CommandError::Usage(format!("{}: {problem}", wanted.file.display())))?;
    let wanted = cli::WhatIf { policy_text: Some(text), ..wanted.clone() };
    Ok(Cli { command: Command::Rules(Rules::WhatIf(wanted)), ..cli.clone() })
}

/// The words for the daemon: all but the program's name and the configuration, which it has already.
fn passed_on(arguments: &[OsString]) -> Vec<String> {
    let mut passed = Vec::new();
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if word == "--config" {
            words.next();
        } else if !word.starts_with("--config=") {
            passed.push(word);
        }
    }
    passed
}

fn daemon(entry: &Entry, paths: &Paths) -> Result<Exit, CommandError> {
    let config = config::load(paths).map_err(cli::CliError::Config)?;
    let wiring = Wiring::new(config, entry.environment.clone())?;
    let house = wiring.open(PATIENCE)?;
    let since = house.now();
    let desk = Arc::new(Desk::new(house, wiring, Some(since)));
    runtime(2)?.block_on(vigil::run(desk, paths)).map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(Exit::Done)
}

fn configuration(
    action: cli::ConfigAction,
    entry: &Entry,
    paths: &Paths,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    match action {
        cli::ConfigAction::Schema => Ok(cli::config::schema(screen)?),
        cli::ConfigAction::Example => {
            let known = Catalogue::shipped();
            let connectors = known.iter().map(|spec| (spec.title, spec.about, spec.example));
            Ok(cli::config::example(connectors, screen)?)
        }
        cli::ConfigAction::Check => {
            let read = config::load(paths);
            let mut problems = Vec::new();
            if let Ok(config) = &read
                && let Err(WireError::Setting { setting, said }) =
                    Wiring::new(config.clone(), entry.environment.clone())
            {
                problems.push(Problem::new(setting, said));
            }
            Ok(cli::config::check(&paths.file, read.as_ref().map_err(Vec::as_slice), &problems, screen)?)
        }
    }
}

/// Tries what a source of the configuration, or a connector with its own defaults, may see.
fn check(name: &str, entry: &Entry, paths: &Paths, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let config = config::load(paths).map_err(cli::CliError::Config)?;
    let source = match config.source(name) {
        Ok(source) => source.clone(),
        Err(_) if Known::of(&config.manifests).catalogue.find(name).is_some() => of_connector(name, paths)?,
        Err(nearest) => {
            let hint = nearest.map_or_else(String::new, |it| format!("; did you mean {it:?}?"));
            return Err(CommandError::Usage(format!("there is no source or connector {name:?}{hint}")));
        }
    };
    let wiring = Wiring::new(config, entry.environment.clone())?;
    let (_, connector) = wiring.connector(&source)?;
    let access = runtime(1)?.block_on(connector.check());
    Ok(cli::check::show(name, &access, screen)?)
}

/// A source of that connector with nothing set.
pub(crate) fn of_connector(name: &str, paths: &Paths) -> Result<Source, CommandError> {
    let text = format!("[[sources]]\nname = {name:?}\nconnector = {name:?}\n");
    let config: Config = config::parse(&text, paths).map_err(cli::CliError::Config)?;
    config.sources.into_iter().next().ok_or_else(|| CommandError::Usage(format!("{name:?} is no connector")))
}

/// The runtime of the process. What one connector does to send and to hear is best done by one thread: another one that is
/// woken for half of it costs more than it does. A daemon looks at several sources at once.
pub(crate) fn runtime(workers: usize) -> Result<tokio::runtime::Runtime, CommandError> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?)
}

fn terminal_width(entry: &Entry) -> Option<u16> {
    if !entry.out_terminal {
        return None;
    }
    rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok().map(|size| size.ws_col).filter(|columns| *columns > 0)
}
