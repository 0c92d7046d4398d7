//! Which work is this daemon's: sources and turns that are due are claimed from queues that all daemons on a store share.
//! It must never start what it did not claim, nor catch up a missed time more than once.
//!
//! An item of the work queue is a source as a whole: one run, one pinned realm, one brake and one baseline belong to it.
//! A connector whose source falls into wholes of their own would name them behind the source's name. What is about a
//! machine belongs to the machine whose daemon looked at it first, and no other daemon takes it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use provost_model::{Span, Time};
use provost_store::{
    StoreError,
    inventory::{Draft, SourceRow, TURN_QUEUE, WORK_QUEUE},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::{Schedule, Source},
    desk::Desk,
    house::House,
    jobs::sources::change_source,
    tenancy::Hold,
    wire,
};

/// Due items looked at in one round.
const DUE_MAX: usize = 1024;
/// Items of a queue that are put in order at the start.
const QUEUED_MAX: usize = 1 << 20;
/// How soon a source is tried again that could not be looked at.
const RETRY: Span = Span::seconds(300);
/// The turn in which a snapshot is taken.
const SNAPSHOT: &str = "snapshot";

/// A source that is this daemon's to look at now.
pub struct Work {
    /// The source.
    pub source: Source,
    /// The lease of its work.
    pub hold: Hold,
    /// A place among the runs under way.
    pub place: OwnedSemaphorePermit,
    /// When the schedule has it next, if that is to be written down with the end of the run.
    pub next_run: Option<Time>,
}

/// Claims sources whose time has come, as many as there are free places. When they are due again is written down before
/// they are looked at: a daemon alone does not start a run that kills it for ever.
pub fn claim(desk: &Desk, places: &Arc<Semaphore>) -> Result<Vec<Work>, StoreError> {
    let (wiring, running) = (desk.wiring(), desk.runs.running());
    let due = desk.house.store().due(WORK_QUEUE, desk.tenancy.now()?, DUE_MAX)?;
    let mut mine: BTreeMap<Vec<u8>, (usize, &Source)> = BTreeMap::new();
    for (place, (_, item)) in due.into_iter().enumerate() {
        let named = |source: &&Source| source.name.as_bytes() == item && source.schedule.is_some();
        let source = wiring.config.sources.iter().find(named).filter(|it| !running.contains_key(&it.name));
        if let Some(source) = source.filter(|_| mine.len() < places.available_permits())
            && is_here(desk, source)?
        {
            mine.insert(item, (place, source));
        }
    }
    // Items of others are passed over: claimed with ours where they lie between them, and given back.
    let Some(last) = mine.values().map(|(place, _)| *place).max() else { return Ok(Vec::new()) };
    let mut claimed = Vec::new();
    for claim in desk.tenancy.claim(WORK_QUEUE, last + 1)? {
        let hold = desk.tenancy.keep(claim.fence);
        let Some((_, source)) = mine.get(&claim.item) else { continue };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { continue };
        match begin(desk, source, &hold) {
            Ok(Some(next_run)) => claimed.push(Work { source: (*source).clone(), hold, place, next_run }),
            Ok(None) => {}
            Err(error) => tracing::error!(source = %source.name, %error, "cannot write down when it is due again"),
        }
    }
    Ok(claimed)
}

/// Writes down when a source is due again, and on which machine it is if it is about one. Gives what is to be written
/// down of that at the end; `None` if it was looked at meanwhile, or is another machine's.
fn begin(desk: &Desk, source: &Source, hold: &Hold) -> Result<Option<Option<Time>>, StoreError> {
    let (house, now) = (hold.house(), desk.tenancy.now()?);
    let (shared, next) = (house.store().shared(), next(source, now));
    house.again(|| {
        let _pen = house.pen();
        let mut draft = Draft::new(house.inventory(), house.now());
        let mut row = draft.source(&source.name)?;
        if row.next_run.is_none_or(|at| at > now) || !is_here(desk, source)? {
            return Ok(None);
        }
        // Where others share the store, what this daemon leaves undone is due when its lease ends.
        row.next_run = if shared { Some(now + desk.tenancy.length()) } else { next };
        draft.put_source(&source.name, &row)?;
        if shared && desk.wiring().is_about_a_machine(source) {
            draft.put_machine(&source.name, Some(&wire::machine()));
        }
        draft.commit()?;
        Ok(Some(next.filter(|_| shared)))
    })
}

/// What becomes of a source that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Its schedule goes on: that is written down already.
    Done,
    /// Its schedule goes on, though it was not looked at.
    OnSchedule,
    /// It could not be looked at as it should: soon, or when its schedule says so if that is sooner.
    Soon,
    /// This daemon ends: another one, or the next start, goes on at once.
    AtOnce,
}

/// Writes down when a source is due again that was looked at, before its lease is given back.
pub fn settle(desk: &Desk, source: &Source, hold: &Hold, then: Then) -> Result<(), StoreError> {
    let (house, now) = (hold.house(), desk.tenancy.now()?);
    let on_schedule = |row: &SourceRow| if house.store().shared() { next(source, now) } else { row.next_run };
    match (then, house.store().shared()) {
        // Written down before it began.
        (Then::Done, _) | (Then::OnSchedule, false) => Ok(()),
        _ => change_source(&house, &source.name, |row, _| {
            row.next_run = match then {
                Then::Done | Then::OnSchedule => on_schedule(row),
                Then::Soon => on_schedule(row).map(|at| at.min(now + RETRY)),
                Then::AtOnce => Some(now),
            }
        }),
    }
}

/// Whether a source can be looked at from here: whatever is at a provider, and what is about this machine.
pub fn is_here(desk: &Desk, source: &Source) -> Result<bool, StoreError> {
    if !desk.house.store().shared() || !desk.wiring().is_about_a_machine(source) {
        return Ok(true);
    }
    let machine = desk.house.inventory().machine_of(&source.name)?;
    Ok(machine.is_none_or(|machine| machine == wire::machine()))
}

/// Puts every source of the configuration into the queue where it belongs, and the snapshot too. A time further off than
/// the schedule's own next one comes from another schedule, or from a clock that was wrong.
pub fn plan(desk: &Desk) -> Result<(), StoreError> {
    let (wiring, now) = (desk.wiring(), desk.tenancy.now()?);
    let queued = queued(&desk.house, WORK_QUEUE)?;
    for source in &wiring.config.sources {
        let Some(schedule) = &source.schedule else { continue };
        if !is_here(desk, source)? {
            tracing::info!(source = %source.name, "is about another machine, whose daemon looks at it");
            continue;
        }
        let latest = wire::next(schedule, now).map(|at| at + span(source.jitter));
        let row = desk.house.inventory().source(&source.name)?;
        let in_place = row.next_run.is_some() && queued.get(source.name.as_bytes()).copied() == row.next_run;
        if !in_place || further(row.next_run, latest) {
            change_source(&desk.house, &source.name, |row: &mut SourceRow, _| match (row.next_run, row.last_run) {
                (Some(at), _) if !further(Some(at), latest) => {}
                // Never looked at: at once.
                (None, None) => row.next_run = Some(now),
                _ => row.next_run = next(source, now),
            })?;
        }
    }
    if let Some(schedule) = &wiring.config.snapshots.schedule {
        let at = self::queued(&desk.house, TURN_QUEUE)?.get(SNAPSHOT.as_bytes()).copied();
        let next = wire::next(schedule, now);
        if at.is_none() || further(at, next) {
            schedule_snapshot(&desk.house, next)?;
        }
    }
    Ok(())
}

/// Claims the snapshot, if one is due. Its next time is written down first.
pub fn claim_snapshot(desk: &Desk) -> Result<Option<Hold>, StoreError> {
    let wiring = desk.wiring();
    let Some(schedule) = &wiring.config.snapshots.schedule else { return Ok(None) };
    let now = desk.tenancy.now()?;
    if !desk.house.store().due(TURN_QUEUE, now, DUE_MAX)?.iter().any(|(_, item)| item == SNAPSHOT.as_bytes()) {
        return Ok(None);
    }
    let mut claims =
        desk.tenancy.claim(TURN_QUEUE, DUE_MAX)?.into_iter().map(|it| (it.item, desk.tenancy.keep(it.fence)));
    let Some((_, hold)) = claims.find(|(item, _)| item == SNAPSHOT.as_bytes()) else { return Ok(None) };
    schedule_snapshot(&hold.house(), wire::next(schedule, now))?;
    Ok(Some(hold))
}

fn schedule_snapshot(house: &House, at: Option<Time>) -> Result<(), StoreError> {
    house.again(|| {
        let mut draft = Draft::new(house.inventory(), house.now());
        draft.turn_at(SNAPSHOT, at);
        draft.commit().map(|_| ())
    })
}

/// Every item of a queue, with its time.
fn queued(house: &House, queue: &str) -> Result<BTreeMap<Vec<u8>, Time>, StoreError> {
    let all = house.store().due(queue, Time::from_micros(i64::MAX), QUEUED_MAX)?;
    Ok(all.into_iter().map(|(at, item)| (item, at)).collect())
}

fn further(at: Option<Time>, latest: Option<Time>) -> bool {
    at.zip(latest).is_some_and(|(at, latest)| at > latest)
}

/// When a source is due after a moment.
fn next(source: &Source, after: Time) -> Option<Time> {
    let next = |schedule: &Schedule| wire::next(schedule, after);
    source.schedule.as_ref().and_then(next).map(|at| at + jitter(source.jitter))
}

/// A length of time, as times are counted.
pub fn span(length: Duration) -> Span {
    Span::micros(i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4))
}

fn jitter(most: Duration) -> Span {
    let mut random = [0_u8; 8];
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 || getrandom::fill(&mut random).is_err() {
        return Span::seconds(0);
    }
    Span::micros(i64::try_from(u64::from_le_bytes(random) % micros).unwrap_or(0))
}
