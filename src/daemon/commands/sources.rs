//! `sources` and `baseline`: what is known of each source, and what an operator says about one.
//! It must never accept a word about a source that never ran.

use provost_model::{FindingState, Time, Trouble};
use provost_store::{
    Go,
    inventory::{BaselineState, Inventory},
};

use super::CommandError;
use crate::{
    cli::{self, Baseline, Exit, Screen, Sources, baseline::Decided, sources::SourceRow},
    config::Source,
    desk::Desk,
    jobs::{assess, sources as words},
    rows::Rows,
    wire,
};

/// Answers `sources`.
pub(super) fn sources(desk: &Desk, action: Option<&Sources>, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let house = &desk.house;
    let wiring = desk.wiring();
    let (name, said) = match action {
        None | Some(Sources::List) => return Ok(cli::sources::list(rows(desk)?, screen)?),
        Some(Sources::Show { name }) => {
            let row = rows(desk)?.into_iter().find(|row| row.name == *name);
            let row = row.ok_or_else(|| CommandError::Usage(format!("there is no source {name:?}")))?;
            return Ok(cli::sources::show(&row, screen)?);
        }
        Some(Sources::Release(it)) => {
            known(house.inventory(), &it.name)?;
            let released = words::release(house, &it.name, &it.reason)?;
            desk.judge(&released)?;
            (&it.name, format!("{} absences let through: {}", released.len(), it.reason))
        }
        Some(Sources::Repin(it)) => {
            known(house.inventory(), &it.name)?;
            let left = words::repin(house, &it.name, &it.reason)?;
            desk.judge(&left)?;
            (&it.name, format!("the next run accepts what it meets: {}", it.reason))
        }
        Some(Sources::Retire(it)) => {
            known(house.inventory(), &it.name)?;
            if wiring.config.sources.iter().any(|source| source.name == it.name) {
                return Err(CommandError::Usage(format!(
                    "{} is still in the configuration; take it out first",
                    it.name
                )));
            }
            let touched = words::retire(house, &it.name, &it.reason)?;
            desk.judge(&touched)?;
            (&it.name, format!("{} records are unwatched from now on: {}", touched.len(), it.reason))
        }
    };
    tracing::info!(source = %name, said = %said, "an operator decided about a source");
    if let Some(source) = wiring.config.sources.iter().find(|source| source.name == *name) {
        assess::assess(house, &wiring.yardstick, &wiring.watched(source, house.now()))?;
    }
    Ok(cli::sources::done(name, &said, screen)?)
}

/// Answers `baseline`.
pub(super) fn baseline(desk: &Desk, action: &Baseline, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let inventory = desk.house.inventory();
    let (source, decided, state, reason) = match action {
        Baseline::Accept { source, reason } => (source, Decided::Accept, BaselineState::Accepted, reason.as_str()),
        Baseline::Work { source } => (source, Decided::Work, BaselineState::Working, "to be worked off"),
    };
    known(inventory, source)?;
    words::baseline(&desk.house, source, state, reason)?;
    let wiring = desk.wiring();
    let rows = Rows::new(inventory, &wiring.yardstick, desk.house.now())?;
    let mut count = 0;
    inventory.each_finding(None, &mut |finding| {
        if finding.baseline && finding.state == FindingState::Open {
            let record = inventory.record(finding.subject, None)?;
            count += u64::from(record.is_some_and(|record| rows.sources(&record).contains(source)));
        }
        Ok(Go::On)
    })?;
    Ok(cli::baseline::done(source, decided, count, screen)?)
}

/// Every source, configured or once run.
pub(super) fn rows(desk: &Desk) -> Result<Vec<SourceRow>, CommandError> {
    let inventory = desk.house.inventory();
    let wiring = desk.wiring();
    let configured = &wiring.config.sources;
    let mut rows = Vec::new();
    for source in configured {
        let declared = wiring.spec(source).map_or(&[][..], |spec| spec.blind_spots);
        rows.push(one(inventory, source.name.clone(), (Some((source, desk.house.now())), declared))?);
    }
    for name in inventory.source_names()? {
        if !configured.iter().any(|source| source.name == name) {
            rows.push(one(inventory, name, (None, &[]))?);
        }
    }
    Ok(rows)
}

/// What is known of a source; `configured` is what the configuration says of it now, if anything, and `declared` what its
/// connector never sees.
fn one(
    inventory: Inventory<'_>,
    name: String,
    (configured, declared): (Option<(&Source, Time)>, &[&str]),
) -> Result<SourceRow, CommandError> {
    let row = inventory.source(&name)?;
    let next_run = configured.and_then(|(source, now)| {
        let schedule = source.schedule.as_ref()?;
        // Before a daemon set the time.
        row.next_run.or_else(|| wire::next(schedule, now))
    });
    let run = row.last_run.map(|id| inventory.run(&name, id)).transpose()?.flatten();
    let scopes = inventory.scopes(Some(&name))?;
    let mut notes = Vec::new();
    if configured.is_none() && row.retired.is_none() {
        notes.push(format!("not in the configuration any more; provost sources retire {name} --reason …"));
    }
    notes.extend(row.retired.as_ref().map(|why| format!("retired: {why}")));
    let held: u64 = scopes.iter().map(|scope| scope.held).sum();
    if held > 0 {
        notes.push(format!("{held} absences held back; provost sources release {name} --reason …"));
    }
    if let (Some(pinned), Some(met)) = (&row.realm, &row.met) {
        notes.push(format!("pinned to {pinned}, but met {met}; provost sources repin {name} --reason …"));
    }
    if row.baseline == BaselineState::Taken {
        notes.push(format!("its first findings wait for a decision; provost baseline accept|work {name}"));
    }
    let mut troubles: Vec<&Trouble> = run.iter().flat_map(|run| &run.troubles).collect();
    // What ended the whole run comes first.
    troubles.sort_by_key(|trouble| !trouble.place.is_empty());
    let (unseen, troubles): (Vec<&Trouble>, Vec<&Trouble>) = troubles.into_iter().partition(|it| it.blind_spot);
    notes.extend(troubles.into_iter().map(|trouble| format!("not seen: {}", cli::scan::told(trouble))));
    let cannot_see = declared.iter().map(|it| (*it).to_owned());
    let cannot_see = cannot_see.chain(unseen.into_iter().map(cli::scan::told)).collect();
    Ok(SourceRow {
        connector: configured.map_or_else(|| "-".to_owned(), |(source, _)| source.connector.clone()),
        realm: row.realm.map(|realm| realm.to_string()),
        records: inventory.records_of(&name)?,
        outcome: run.as_ref().map(|run| run.outcome),
        last_run: run.map(|run| run.started),
        last_complete: row.last_complete,
        next_run,
        notes,
        cannot_see,
        name,
    })
}

fn known(inventory: Inventory<'_>, name: &str) -> Result<(), CommandError> {
    let names = inventory.source_names()?;
    if names.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(CommandError::Usage(format!("no source {name:?} ever ran; there are: {}", names.join(", "))))
}
