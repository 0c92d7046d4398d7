//! `inventory list|show|history|…`: finds records, now, as believed then (`--at`) or as it was then (`--as-of`).
//! It must never mix two commits in one answer.

use std::time::{Duration, Instant};

use provost_engine::reconcile::differences;
use provost_model::{Because, Presence, Reading, Record, RecordId, Standing, Time, Value};
use provost_store::{Go, StoreError, inventory::Version};

use super::{Asked, CommandError, commit_at, custody::custody, links};
use crate::{
    cli::{
        self, Exit, Inventory, Screen, Selection, When,
        inventory::{HistoryRow, SaidRow},
    },
    desk::Desk,
    filter::{self, Filter, LeftOut},
    output::{
        InventoryRow,
        inventory::{id_matches, said},
    },
    rows::{Candidate, Rows, RowsError},
};

/// Records that are put to a filter together.
const PAGE: usize = 1024;

/// Answers one of them.
pub(super) fn inventory(asked: &Asked<'_>, action: &Inventory, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let desk = asked.desk;
    match action {
        Inventory::List { selection, presence } => list(desk, selection, presence, screen),
        Inventory::Show { id, when } => show(desk, id, when, screen),
        Inventory::History { id } => history(desk, id, screen),
        Inventory::Groups { held: true, .. } => links::held(desk, screen),
        Inventory::Groups { apart: true, .. } => links::apart(desk, screen),
        Inventory::Groups { .. } => links::groups(desk, screen),
        Inventory::WhyLinked(two) => links::why_linked(desk, two, screen),
        Inventory::Unlink(parting) => links::unlink(asked, parting, screen),
        Inventory::LinkAgain(parting) => links::link_again(asked, parting, screen),
    }
}

fn list(
    desk: &Desk,
    selection: &Selection,
    presence: &[Presence],
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let filter =
        selection.filter.as_deref().map(Filter::compile::<Candidate>).transpose().map_err(cli::CliError::from)?;
    let wanted = |it: Presence| match presence {
        [] => matches!(it, Presence::Present | Presence::Missing),
        some => some.contains(&it),
    };
    let wiring = desk.wiring();
    let head = desk.house.store().head()?;
    let at = commit_at(desk, selection.at)?.unwrap_or(head.number);
    let now = selection.at.unwrap_or(screen.look.now);
    let mut list = Listed {
        rows: Rows::new(desk.house.inventory(), &wiring.yardstick, now)?,
        filter: filter.as_ref(),
        page: Vec::new(),
        within: filter::DEADLINE,
        found: Vec::new(),
        left_out: LeftOut::default(),
    };
    let mut failed = None;
    let kinds = |kind| filter.as_ref().is_none_or(|filter| filter.may_keep(kind));
    desk.house.inventory().each_of_kinds(Some(at), &kinds, &mut |record| {
        let record = match selection.as_of {
            Some(time) => as_of(desk, record.id, time)?,
            None => Some(record),
        };
        list.page.extend(record.filter(|it| wanted(it.presence())));
        if list.page.len() < PAGE {
            return Ok(Go::On);
        }
        match list.turn() {
            Ok(()) => Ok(Go::On),
            Err(error) => {
                failed = Some(error);
                Ok(Go::Stop)
            }
        }
    })?;
    match failed {
        Some(error) => return Err(refused(error)),
        None => list.turn().map_err(refused)?,
    }
    Ok(cli::inventory::list(list.found, &list.left_out, screen)?)
}

/// A list in the making: of what is filtered away only a page is held.
struct Listed<'a> {
    rows: Rows<'a>,
    filter: Option<&'a Filter>,
    page: Vec<Record>,
    /// Time left for the filter.
    within: Duration,
    found: Vec<InventoryRow>,
    left_out: LeftOut,
}

impl Listed<'_> {
    fn turn(&mut self) -> Result<(), RowsError> {
        let begun = Instant::now();
        let (rows, left_out) = self.rows.kept(std::mem::take(&mut self.page), self.filter, self.within)?;
        self.within = self.within.saturating_sub(begun.elapsed());
        self.found.extend(rows);
        self.left_out.add(left_out);
        Ok(())
    }
}

fn refused(error: RowsError) -> CommandError {
    match error {
        RowsError::Store(error) => error.into(),
        RowsError::Filter(error) => cli::CliError::from(error).into(),
    }
}

fn show(desk: &Desk, typed: &str, when: &When, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let id = match called(desk, typed, screen)? {
        Ok(id) => id,
        Err(exit) => return Ok(exit),
    };
    let at = commit_at(desk, when.at)?;
    let record = match when.as_of {
        Some(time) => as_of(desk, id, time)?,
        None => desk.house.inventory().record(id, at)?,
    };
    let Some(record) = record else {
        return Err(CommandError::Usage(format!("{typed:?} was not known at that time")));
    };
    let wiring = desk.wiring();
    let rows = Rows::new(desk.house.inventory(), &wiring.yardstick, when.at.unwrap_or(screen.look.now))?;
    let said_by: Vec<SaidRow> = record
        .statements
        .iter()
        .map(|it| SaidRow {
            source: rows.scopes().get(&it.scope).map_or_else(String::new, |row| row.source.clone()),
            scope: rows.scopes().get(&it.scope).map_or_else(String::new, |row| row.scope.path.clone()),
            as_of: it.as_of,
            recorded: it.recorded,
            standing: standing(it.standing),
            facts: it.facts.len(),
        })
        .collect();
    let owner = rows.owner(&record)?;
    let groups = desk.house.inventory().linked(id, at)?.groups();
    // How records hang together is known of now.
    let custody =
        if when.at.is_none() && when.as_of.is_none() { custody(desk.house.inventory(), &record)? } else { None };
    let beside =
        cli::inventory::Page { owner: owner.as_ref(), custody: custody.as_ref(), said_by: &said_by, groups: &groups };
    Ok(cli::inventory::show(&rows.of(&record)?, &beside, screen)?)
}

fn history(desk: &Desk, typed: &str, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let id = match called(desk, typed, screen)? {
        Ok(id) => id,
        Err(exit) => return Ok(exit),
    };
    let wiring = desk.wiring();
    let rows = Rows::new(desk.house.inventory(), &wiring.yardstick, screen.look.now)?;
    let versions = desk.house.inventory().record_versions(id)?;
    let mut lines = Vec::new();
    let mut before: Option<&Record> = None;
    for version in &versions {
        lines.extend(step(before, version, rows.sources(&version.it).join(" ")));
        before = Some(&version.it);
    }
    Ok(cli::inventory::history(lines, screen)?)
}

/// What one version says that the former did not.
fn step(before: Option<&Record>, version: &Version<Record>, source: String) -> Vec<HistoryRow> {
    let after = &version.it;
    let line = |what: &str, field: Option<String>, old: Option<String>, new: Option<String>| HistoryRow {
        recorded: version.recorded,
        as_of: after.as_of(),
        what: what.to_owned(),
        field,
        old,
        new,
        source: source.clone(),
    };
    let Some(before) = before else {
        return vec![line("appeared", None, None, None)];
    };
    let mut lines = Vec::new();
    if before.presence() != after.presence() {
        let words = |it: &Record| Some(standing_of(it));
        lines.push(line(after.presence().name(), Some("presence".into()), words(before), words(after)));
    }
    let learned = after.externals.iter().filter(|name| !before.externals.contains(name));
    lines.extend(learned.map(|name| line("changed", Some("external_id".into()), None, Some(name.clone()))));
    let plain = |reading: &Reading<Value>| Some(said(reading));
    lines.extend(
        differences(before, after)
            .iter()
            .map(|it| line("changed", Some(it.field.name().into()), plain(&it.old), plain(&it.new))),
    );
    lines
}

/// A record as its providers saw it at that time: the version made by the last statement that is not later.
fn as_of(desk: &Desk, id: RecordId, time: Time) -> Result<Option<Record>, StoreError> {
    let versions = desk.house.inventory().record_versions(id)?;
    Ok(versions.into_iter().rev().map(|version| version.it).find(|record| record.as_of() <= time))
}

/// The record that is called so; what else to say if there is none, or more than one.
pub(super) fn called(
    desk: &Desk,
    typed: &str,
    screen: &mut Screen<'_>,
) -> Result<Result<RecordId, Exit>, CommandError> {
    if let Ok(id) = typed.parse::<RecordId>()
        && desk.house.inventory().record(id, None)?.is_some()
    {
        return Ok(Ok(id));
    }
    let wiring = desk.wiring();
    let rows = Rows::new(desk.house.inventory(), &wiring.yardstick, screen.look.now)?;
    let mut found = Vec::new();
    desk.house.inventory().each_record(None, &mut |record, _| {
        if id_matches(record.id, typed) || record.externals.iter().any(|name| name == typed) || record.name() == typed {
            found.push(rows.of(&record)?);
        }
        Ok(Go::On)
    })?;
    Ok(match found.as_slice() {
        [] => Err(cli::inventory::unknown(typed, screen)?),
        [one] => Ok(one.id),
        many => Err(cli::inventory::ambiguous(typed, many, screen)?),
    })
}

fn standing_of(record: &Record) -> String {
    match record.gone_because() {
        Some(because) => format!("gone ({})", because.word()),
        None => record.presence().name().to_owned(),
    }
}

fn standing(standing: Standing) -> String {
    match standing {
        Standing::Seen => "seen".into(),
        Standing::Missing { .. } => "missing".into(),
        Standing::Gone(because) => format!("gone ({})", Because::word(because)),
        Standing::Unwatched => "unwatched".into(),
    }
}
