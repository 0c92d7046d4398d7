//! Decides what is due: every source on its own schedule, by a durable `next_run`; house-keeping on ticks.
//! It must never look at a source twice at once, nor catch up a missed run more than once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use provost_model::{Outcome, Span, Time, Why};
use provost_store::{StoreError, inventory::SourceRow};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Schedule, Source},
    desk::{Desk, LookError},
    jobs::{anew::Reached, assess, judge, snapshot, sources::change_source},
    wire::{self, Wiring},
};

/// The scheduler's rounds: one a second.
const TICK: &str = "* * * * * *";
/// How often sources are judged and what is due by time alone is looked for, in ticks.
const HOUSE_KEEPING: u64 = 60;
/// How many records are judged anew between two words about it.
const TELL_EVERY: u64 = 10_000;
/// How soon a source is tried again that could not be looked at.
const RETRY: Span = Span::seconds(300);

/// Runs until told to stop, then lets runs under way hand over what they have. `alive` counts rounds.
pub async fn run(desk: Arc<Desk>, stop: CancellationToken, alive: Arc<AtomicU64>) -> Result<(), JobSchedulerError> {
    let (tick, mut ticks) = tokio::sync::mpsc::channel(1);
    let mut ticker = JobScheduler::new().await?;
    let job = Job::new_async(TICK, move |_, _| {
        let tick = tick.clone();
        // A round that is still under way swallows the ticks meanwhile.
        Box::pin(async move {
            let _ = tick.try_send(());
        })
    })?;
    ticker.add(job).await?;
    ticker.start().await?;

    let mut plan = Plan::of(&desk);
    let mut looking = JoinSet::new();
    let mut keeping: Option<JoinHandle<()>> = None;
    let (mut rounds, mut to_keep, mut clock_trusted) = (0_u64, false, true);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            tick = ticks.recv() => if tick.is_none() { break },
        }
        alive.fetch_add(1, Ordering::Relaxed);
        watch_clock(&desk, &mut clock_trusted);
        while looking.try_join_next().is_some() {}
        if !Arc::ptr_eq(&plan.wiring, &desk.wiring()) {
            plan = Plan::of(&desk);
            to_keep = true;
        }
        for source in due(&desk) {
            let (desk, stop, places) = (Arc::clone(&desk), stop.child_token(), Arc::clone(&plan.places));
            looking.spawn(async move {
                let _place = places.acquire().await;
                if !stop.is_cancelled() {
                    look(&desk, &source, stop).await;
                }
            });
        }
        to_keep |= rounds.is_multiple_of(HOUSE_KEEPING);
        // Beside the rounds: judging everything anew may take minutes.
        if to_keep && keeping.as_ref().is_none_or(JoinHandle::is_finished) {
            keeping = Some(tokio::spawn(keep_house(Arc::clone(&desk), clock_trusted, stop.child_token())));
            to_keep = false;
        }
        if plan.snapshot_due.is_some_and(|at| at <= desk.house.now()) {
            take_snapshot(&desk).await;
            plan.snapshot_due = next_snapshot(&desk);
        }
        rounds += 1;
    }
    ticker.shutdown().await?;
    let drain = desk.wiring().config.daemon.drain;
    let drained = tokio::time::timeout(drain, async {
        while looking.join_next().await.is_some() {}
        if let Some(keeping) = keeping {
            let _ = keeping.await;
        }
    })
    .await;
    if drained.is_err() {
        tracing::warn!("runs under way did not end in time; the next start goes on with them");
    }
    Ok(())
}

/// What follows from a configuration once it is put to work, at the start or by a reload.
struct Plan {
    wiring: Arc<Wiring>,
    places: Arc<Semaphore>,
    snapshot_due: Option<Time>,
}

impl Plan {
    fn of(desk: &Desk) -> Self {
        let wiring = desk.wiring();
        for source in &wiring.config.sources {
            if let Err(error) = plan_anew(desk, source) {
                tracing::error!(source = %source.name, %error, "keeps the time of its former schedule");
            }
        }
        let places = Arc::new(Semaphore::new(wiring.config.daemon.max_concurrent_runs));
        Self { wiring, places, snapshot_due: next_snapshot(desk) }
    }
}

/// A time further off than the schedule's own next one comes from another schedule, or from a clock that was wrong.
fn plan_anew(desk: &Desk, source: &Source) -> Result<(), StoreError> {
    let now = desk.house.now();
    let Some(next) = source.schedule.as_ref().and_then(|schedule| wire::next(schedule, now)) else { return Ok(()) };
    let latest = next + span(source.jitter);
    if desk.house.inventory().source(&source.name)?.next_run.is_some_and(|at| at > latest) {
        change_source(&desk.house, &source.name, |row, _| row.next_run = Some(next + jitter(source.jitter)))?;
    }
    Ok(())
}

/// Sources whose time has come. Their next time is written down before they are looked at, so that a run that kills the
/// daemon is not started for ever.
fn due(desk: &Desk) -> Vec<Source> {
    let wiring = desk.wiring();
    let running = desk.runs.running();
    let mut due = Vec::new();
    for source in wiring.config.sources.iter().filter(|source| !running.contains_key(&source.name)) {
        let Some(schedule) = &source.schedule else { continue };
        match is_due(desk, source, schedule) {
            Ok(true) => due.push(source.clone()),
            Ok(false) => {}
            Err(error) => tracing::error!(source = %source.name, %error, "cannot tell whether it is due"),
        }
    }
    due
}

fn is_due(desk: &Desk, source: &Source, schedule: &Schedule) -> Result<bool, StoreError> {
    let now = desk.house.now();
    let row = desk.house.inventory().source(&source.name)?;
    let due = match (row.next_run, row.last_run) {
        (Some(at), _) => at <= now,
        // Never looked at: at once.
        (None, None) => true,
        (None, Some(_)) => false,
    };
    if due || row.next_run.is_none() {
        let next = wire::next(schedule, now).map(|at| at + jitter(source.jitter));
        change_source(&desk.house, &source.name, |row, _| row.next_run = next)?;
    }
    Ok(due)
}

/// A run that was under way when the daemon ended, or was stopped by its end, goes on at once; so does one that was due
/// for the first time but came to nothing.
pub fn resume(desk: &Desk) -> Result<(), StoreError> {
    for source in &desk.wiring().config.sources {
        let row = desk.house.inventory().source(&source.name)?;
        let run = row.last_run.map(|id| desk.house.inventory().run(&source.name, id)).transpose()?.flatten();
        let cut_off = run.is_none_or(|run| {
            run.outcome == Outcome::Running || run.troubles.iter().any(|trouble| trouble.why == Why::Stopped)
        });
        if source.schedule.is_some() && cut_off {
            let now = desk.house.now();
            change_source(&desk.house, &source.name, |row, _| row.next_run = Some(now))?;
        }
    }
    Ok(())
}

async fn look(desk: &Desk, source: &Source, stop: CancellationToken) {
    let soon = || {
        let retry = desk.house.now() + RETRY;
        let sooner = |row: &mut SourceRow, _| row.next_run = row.next_run.map(|at| at.min(retry));
        if let Err(error) = change_source(&desk.house, &source.name, sooner) {
            tracing::error!(source = %source.name, %error, "could not be scheduled again");
        }
    };
    match desk.look(source, false, Box::new(|_, _, _| {}), stop.clone()).await {
        Ok(run) => {
            tracing::info!(source = %source.name, run = %run.id, outcome = run.outcome.word(), calls = run.calls_sent(), "looked");
            let ended_early = run.troubles.iter().any(|trouble| trouble.why == Why::Stopped);
            if ended_early && !stop.is_cancelled() {
                soon();
            }
        }
        Err(LookError::Busy(_)) => {}
        Err(error) => {
            tracing::error!(source = %source.name, %error, "could not look");
            soon();
        }
    }
}

/// Says when the clock is not believed any more, and when it is again.
fn watch_clock(desk: &Desk, trusted: &mut bool) {
    match desk.clock_distrust() {
        Ok(Some(why)) => {
            if *trusted {
                tracing::warn!(%why, "the clock is not trusted: verdicts by time alone wait");
            }
            *trusted = false;
        }
        Ok(None) => {
            if !*trusted {
                tracing::info!("the clock is trusted again");
            }
            *trusted = true;
        }
        Err(error) => tracing::error!(%error, "cannot tell whether the clock is right"),
    }
}

/// Judges everything if what is judged by has changed, then what is due by time alone unless the clock is not
/// trusted, and every source; while nobody looks, the store does what it put off.
async fn keep_house(desk: Arc<Desk>, clock_trusted: bool, stop: CancellationToken) {
    match desk.judge_anew(tell_how_far(), stop).await {
        Ok(Reached::Already) => {}
        Ok(Reached::Now) => tracing::info!("judged everything by the thresholds, owner tags and rules of now"),
        Ok(Reached::NotYet) => tracing::info!("judging everything anew goes on later"),
        Err(error) => tracing::error!(%error, "could not judge everything anew"),
    }
    let kept = tokio::task::spawn_blocking(move || -> Result<(), StoreError> {
        let wiring = desk.wiring();
        if clock_trusted {
            judge::due(&desk.house, &wiring.yardstick)?;
        }
        // Whom a run that was cut left waiting.
        judge::awaited(&desk.house, &wiring.yardstick)?;
        for source in &wiring.config.sources {
            assess::assess(&desk.house, &wiring.yardstick, &wiring.watched(source, desk.house.now()))?;
        }
        if desk.runs.running().is_empty() { desk.house.store().tidy() } else { Ok(()) }
    });
    match kept.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "house-keeping failed"),
        Err(_) => tracing::error!("house-keeping panicked"),
    }
}

/// Logs how far judging everything anew is, in large steps.
fn tell_how_far() -> impl FnMut(u64) + Send + 'static {
    let mut told = 0;
    move |done| {
        if done == 0 || done >= told + TELL_EVERY {
            tracing::info!(records = done, "judging everything anew");
            told = done;
        }
    }
}

fn next_snapshot(desk: &Desk) -> Option<Time> {
    desk.wiring().config.snapshots.schedule.as_ref().and_then(|schedule| wire::next(schedule, desk.house.now()))
}

async fn take_snapshot(desk: &Arc<Desk>) {
    let desk = Arc::clone(desk);
    let taken = tokio::task::spawn_blocking(move || {
        let wiring = desk.wiring();
        let directory = &wiring.config.snapshots.path;
        snapshot::take(&desk.house, &wiring.yardstick, directory)?;
        snapshot::prune(directory, wiring.config.snapshots.keep)
    });
    match taken.await {
        Ok(Ok(_)) => tracing::info!("took a snapshot"),
        Ok(Err(error)) => tracing::error!(%error, "could not take a snapshot"),
        Err(_) => tracing::error!("taking a snapshot panicked"),
    }
}

fn span(length: Duration) -> Span {
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
