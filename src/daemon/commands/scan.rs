//! `scan`: looks at sources now, several at a time, and says how each run ended.
//! It must never end well when something was not seen.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use provost_model::{FindingState, Run, Severity};
use provost_store::Go;

use super::{Asked, CommandError};
use crate::{
    cli::{self, Exit, Scan, Screen},
    config::Source,
    desk::{LookError, exit_status},
};

/// Looks at the sources named, or at all.
pub(super) async fn scan(asked: &Asked<'_>, scan: &Scan, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let wiring = asked.desk.wiring();
    let sources = named(&wiring.config.sources, &scan.names)?;
    if sources.is_empty() {
        return Err(CommandError::Usage("the configuration has no sources; see: provost config example".into()));
    }
    judge_anew(asked).await?;
    let at_a_time = wiring.config.daemon.max_concurrent_runs;
    let looks = sources.iter().map(|source| {
        let meter = Arc::clone(&asked.meter);
        let on = Box::new(move |done, total, of: &'static str| meter(done, total, of));
        asked.desk.look(source, scan.sweep, on, asked.stop.clone())
    });
    let looked: Vec<Result<Run, LookError>> = stream::iter(looks).buffered(at_a_time).collect().await;
    let mut runs = Vec::new();
    for (source, result) in sources.iter().zip(looked) {
        match result {
            Ok(run) => runs.push(run),
            Err(error) if sources.len() == 1 => return Err(error.into()),
            Err(error) => screen.remark(&format!("{}: {error}", source.name))?,
        }
    }
    let failed = runs.len() < sources.len();
    let exit = cli::scan::show(&runs, &open(asked)?, scan.fail_on, screen)?;
    let blind = runs.iter().zip(&sources).any(|(run, source)| exit_status(run, source.accept_blind_spots) != 0);
    Ok(match exit {
        Exit::Done if failed => Exit::Failed,
        Exit::Done if blind => Exit::Partial,
        other => other,
    })
}

/// Before anything new is seen, so that what a changed policy closes is told from what was fixed.
async fn judge_anew(asked: &Asked<'_>) -> Result<(), LookError> {
    let meter = Arc::clone(&asked.meter);
    let on = move |done: u64| {
        if done > 0 {
            meter(done, None, "records judged anew");
        }
    };
    asked.desk.judge_anew(on, asked.stop.clone()).await?;
    Ok(())
}

fn named(all: &[Source], names: &[String]) -> Result<Vec<Source>, CommandError> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    let find = |name: &String| {
        let known: Vec<&str> = all.iter().map(|source| source.name.as_str()).collect();
        let unknown = || CommandError::Usage(format!("there is no source {name:?}; there are: {}", known.join(", ")));
        all.iter().find(|source| source.name == *name).cloned().ok_or_else(unknown)
    };
    names.iter().map(find).collect()
}

/// Severities of what is open.
fn open(asked: &Asked<'_>) -> Result<Vec<Severity>, CommandError> {
    let mut open = Vec::new();
    asked.desk.house.inventory().each_finding(None, &mut |finding| {
        if finding.state == FindingState::Open {
            open.push(finding.severity);
        }
        Ok(Go::On)
    })?;
    Ok(open)
}
