//! `quickstart`: from nothing to an inventory, findings and a daemon, without a question.
//! It must never overwrite anything, nor begin to read before it said what.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, Command, Exit, Findings, Inventory, Quickstart, Scan, Screen, Selection},
    commands::{Asked, CommandError, answer, no_parcel},
    config::{self, Paths},
    desk::Desk,
    entry::{Entry, runtime},
    output::Progress,
    vigil,
    wire::Wiring,
};

/// Rows shown of inventory and findings; the commands that show all are named.
const SHOWN: usize = 20;

/// Looks, shows, writes a configuration, stays.
pub fn run(entry: &Entry, paths: &Paths, wanted: &Quickstart, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let mut text = text(wanted, !wanted.no_aws);
    let written = !paths.file.exists();
    let mut config = if written {
        config::parse(&text, paths).map_err(cli::CliError::Config)?
    } else {
        config::load(paths).map_err(cli::CliError::Config)?
    };
    let mut wiring = Wiring::new(config.clone(), entry.environment.clone())?;
    let runtime = runtime(2)?;
    let mut asked = Vec::new();
    for source in &wiring.config.sources {
        let (_, connector) = wiring.connector(source)?;
        asked.push(async move {
            let (about, equipped) = futures::join!(connector.announce(), connector.equipped());
            (source.name.clone(), about, equipped)
        });
    }
    let mut announced = runtime.block_on(futures::future::join_all(asked));
    let lacking = announced.iter().any(|(_, _, equipped)| !equipped);
    if written && lacking {
        text = self::text(wanted, false);
        config = config::parse(&text, paths).map_err(cli::CliError::Config)?;
        announced.retain(|(_, _, equipped)| *equipped);
        wiring = Wiring::new(config, entry.environment.clone())?;
    }
    let lines: Vec<(&str, String)> = announced.iter().map(|(name, about, _)| (name.as_str(), about.clone())).collect();
    cli::quickstart::announce(&lines, screen)?;
    if written && lacking {
        screen.remark("No AWS credentials in the usual places: AWS is left out.")?;
    }
    if written {
        write(&paths.file, &text)?;
    }
    cli::quickstart::configuration(&paths.file, written, screen)?;

    let house = wiring.open(std::time::Duration::from_secs(10))?;
    let since = (!wanted.once).then(|| house.now());
    let desk = Arc::new(Desk::new(house, wiring, since));
    let exit = runtime.block_on(first_look(entry, &desk, screen))?;
    if wanted.once {
        return Ok(exit);
    }
    screen.remark("Staying to look on schedule; Ctrl-C ends it. In another terminal: provost status")?;
    runtime.block_on(vigil::run(desk, paths)).map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(Exit::Done)
}

async fn first_look(entry: &Entry, desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let bar = Arc::new(std::sync::Mutex::new(Progress::new(entry.err_terminal)));
    let meter = {
        let bar = Arc::clone(&bar);
        Arc::new(move |done, total, of: &str| {
            bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).at(done, total, of);
        })
    };
    let asked =
        Asked { desk, uid: entry.environment.uid(), meter, parcel: no_parcel(), stop: CancellationToken::new() };
    let exit = answer(&asked, &Command::Scan(Scan::default()), screen).await?;
    bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).done();
    let inventory = Command::Inventory(Inventory::List { selection: Selection::default(), presence: Vec::new() });
    let findings = Command::Findings(Findings::List { selection: Selection::default(), all: false, fail_on: None });
    if screen.is_table() {
        screen.lines("\nWhat exists")?;
    }
    shortened(&asked, &inventory, screen, "provost inventory list").await?;
    if screen.is_table() {
        screen.lines("\nWhat is wrong")?;
    }
    shortened(&asked, &findings, screen, "provost findings list").await?;
    screen.remark("Why one is wrong, and what to do: provost findings explain ID")?;
    Ok(exit)
}

/// The beginning of a command's table, and how to see all of it. Other forms are never shortened.
async fn shortened(
    asked: &Asked<'_>,
    command: &Command,
    screen: &mut Screen<'_>,
    whole: &'static str,
) -> Result<(), CommandError> {
    let (format, look, most) = (screen.format, screen.look, Some((SHOWN, whole)));
    let mut aside = Screen { out: screen.out, err: screen.err, format, look, most };
    answer(asked, command, &mut aside).await?;
    Ok(())
}

/// The configuration for this host, and AWS unless it is left out.
fn text(wanted: &Quickstart, with_aws: bool) -> String {
    let roots: Vec<String> = wanted.roots.iter().map(|root| format!("{:?}", root.display().to_string())).collect();
    let roots = if roots.is_empty() { String::new() } else { format!("roots = [{}]\n", roots.join(", ")) };
    let host = format!("[[sources]]\nname = \"this-host\"\nconnector = \"host\"\nschedule = \"43 */4 * * *\"\n{roots}");
    let instance = if wanted.instance_credentials { "instance_credentials = true\n" } else { "" };
    let aws = format!(
        "[[sources]]\nname = \"aws\"\nconnector = \"aws\"\nschedule = \"17 */6 * * *\"\njitter = \"5m\"\n{instance}"
    );
    let mut entries = vec![host.as_str()];
    if with_aws {
        entries.push(&aws);
    }
    cli::quickstart::text(entries)
}

fn write(file: &Path, text: &str) -> Result<(), CommandError> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    made.write_all(text.as_bytes())?;
    Ok(made.sync_all()?)
}
