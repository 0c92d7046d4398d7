//! The daemon's rounds: looks at what `cluster` claimed for it, keeps house where that is its turn, drains at the end.
//! It must never look at a source twice at once, nor wait for a store that is away instead of going round.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use provost_model::{Outcome, Time, Why};
use provost_store::{StoreError, inventory::TURN_QUEUE, lease_of};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::{
    archive,
    cluster::{self, Then, Work},
    couriers::Couriers,
    desk::{Desk, LookError},
    house::House,
    jobs::{
        WriteError, anew::Reached, assess, guard, judge, retention, snapshot, sources::change_source, upkeep,
        vouch::Vouched,
    },
    tenancy::Hold,
    wire::{self, Wiring},
};

/// The scheduler's rounds: one a second.
const TICK: &str = "* * * * * *";
/// How often sources are judged and what is due by time alone is looked for, in ticks.
const HOUSE_KEEPING: u64 = 60;
/// How often the ends of evidence are told to the log, in ticks; and after how many the first time.
const VOUCH: u64 = 3_600;
const VOUCH_FIRST: u64 = 30;
/// How often daemons that are gone are forgotten, in ticks.
const FORGET: u64 = 10;
/// Turns that one daemon does for all: judging what is due, and judging sources.
const EVALUATE: &str = "evaluate";
const ASSESS: &str = "assess";
/// Telling people, which one daemon does for all: no sink hears it from two of them.
const TELL: &str = "tell";
/// How many records are judged anew between two words about it.
const TELL_EVERY: u64 = 10_000;

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
    let mut shift = Shift::default();
    let mut looking = JoinSet::new();
    let mut keeping: Option<JoinHandle<()>> = None;
    let mut backing: Option<JoinHandle<()>> = None;
    let (mut couriers, mut vouched) = (Couriers::default(), Vouched::default());
    let (mut rounds, mut to_keep, mut clock_trusted) = (0_u64, false, true);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            tick = ticks.recv() => if tick.is_none() { break },
        }
        alive.fetch_add(1, Ordering::Relaxed);
        while looking.try_join_next().is_some() {}
        if !is_there(&desk) {
            continue;
        }
        watch_clock(&desk, &mut clock_trusted);
        if !Arc::ptr_eq(&plan.wiring, &desk.wiring()) {
            plan = Plan::of(&desk);
            to_keep = true;
        }
        shift.attend(&desk);
        if desk.house.store().shared() && rounds.is_multiple_of(FORGET) {
            logged(desk.tenancy.forget_gone(), "cannot tell which daemons are gone");
        }
        match cluster::claim(&desk, &plan.places) {
            Ok(claimed) => claimed.into_iter().for_each(|work| {
                let (desk, stop) = (Arc::clone(&desk), stop.child_token());
                looking.spawn(async move { look(&desk, work, stop).await });
            }),
            Err(error) => tracing::error!(%error, "cannot tell what is due"),
        }
        to_keep |= rounds.is_multiple_of(HOUSE_KEEPING);
        // Beside the rounds: judging everything anew may take minutes.
        if to_keep && keeping.as_ref().is_none_or(JoinHandle::is_finished) {
            let turns = (shift.turn(&desk, EVALUATE), shift.turn(&desk, ASSESS));
            keeping = Some(tokio::spawn(keep_house(Arc::clone(&desk), turns, clock_trusted, stop.child_token())));
            to_keep = false;
        }
        if let Some(house) = shift.turn(&desk, TELL) {
            couriers.round(&house, &plan.wiring, &stop).await;
            if rounds % VOUCH == VOUCH_FIRST {
                vouched.tell(&house, &plan.wiring);
            }
        }
        match cluster::claim_snapshot(&desk) {
            Ok(Some(hold)) => take_snapshot(&desk, hold).await,
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot tell whether a snapshot is due"),
        }
        if plan.backup_due.is_some_and(|at| at <= desk.house.now())
            && backing.as_ref().is_none_or(JoinHandle::is_finished)
        {
            backing = Some(tokio::spawn(back_up(Arc::clone(&desk))));
            plan.backup_due = next_backup(&desk);
        }
        rounds += 1;
    }
    desk.house.closing().cancel();
    ticker.shutdown().await?;
    let drain = desk.wiring().config.daemon.drain;
    let drained = tokio::time::timeout(drain, async {
        while looking.join_next().await.is_some() {}
        couriers.home().await;
        if let Some(keeping) = keeping {
            let _ = keeping.await;
        }
        if let Some(backing) = backing {
            let _ = backing.await;
        }
    })
    .await;
    if drained.is_err() {
        tracing::warn!("runs under way did not end in time; the next start goes on with them");
    }
    logged(shift.leave(&desk), "cannot say that this daemon is gone; it is forgotten by itself");
    Ok(())
}

/// Whether the store answers; if not, this round is left out.
fn is_there(desk: &Desk) -> bool {
    match desk.house.store().head() {
        Err(StoreError::Away(_)) => {
            desk.house.out_of_reach();
            false
        }
        _ => {
            desk.house.reached();
            true
        }
    }
}

fn logged(done: Result<(), StoreError>, what: &str) {
    if let Err(error) = done {
        tracing::error!(%error, "{what}");
    }
}

/// What this daemon holds from one round to the next, where it shares the store: its membership, and turns that it does
/// for all. It keeps a turn until it ends or is lost; another daemon then takes it.
#[derive(Default)]
struct Shift {
    membership: Option<Hold>,
    turns: BTreeMap<&'static str, Hold>,
}

impl Shift {
    /// Sees to it that this daemon is a member.
    fn attend(&mut self, desk: &Desk) {
        let here = self.membership.as_ref().is_some_and(|hold| !hold.lost().is_cancelled());
        if desk.house.store().shared() && !here {
            // Given back before it is taken anew: giving it back afterwards would be giving back the new one.
            self.membership = None;
            match desk.tenancy.join() {
                Ok(membership) => self.membership = membership,
                Err(error) => tracing::error!(%error, "cannot say that this daemon is at work"),
            }
        }
    }

    /// The house for a turn that one daemon does for all; `None` while another one does it.
    fn turn(&mut self, desk: &Desk, name: &'static str) -> Option<House> {
        self.turns.retain(|_, hold| !hold.lost().is_cancelled());
        if !self.turns.contains_key(name) {
            match desk.tenancy.take(&lease_of(TURN_QUEUE, name.as_bytes())) {
                Ok(hold) => drop(hold.and_then(|hold| self.turns.insert(name, hold))),
                Err(error) => tracing::error!(%error, turn = name, "cannot tell whose turn it is"),
            }
        }
        self.turns.get(name).map(Hold::house)
    }

    /// Gives everything back.
    fn leave(self, desk: &Desk) -> Result<(), StoreError> {
        drop(self.turns);
        self.membership.map_or(Ok(()), |membership| desk.tenancy.leave(membership))
    }
}

/// What follows from a configuration once it is put to work, at the start or by a reload.
struct Plan {
    wiring: Arc<Wiring>,
    places: Arc<Semaphore>,
    /// When the next backup is taken. Daemons that share a store each take their own.
    backup_due: Option<Time>,
}

impl Plan {
    fn of(desk: &Desk) -> Self {
        let wiring = desk.wiring();
        logged(cluster::plan(desk), "keeps the times of the former schedules");
        let places = Arc::new(Semaphore::new(wiring.config.daemon.max_concurrent_runs));
        let backup_due = next_backup(desk);
        Self { wiring, places, backup_due }
    }
}

/// A run that was under way when the daemon ended, or was stopped by its end, goes on at once; so does one that was due
/// for the first time but came to nothing. Where others share the store, what is left undone is due by itself.
pub fn resume(desk: &Desk) -> Result<(), StoreError> {
    if desk.house.store().shared() {
        return Ok(());
    }
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

async fn look(desk: &Desk, work: Work, stop: CancellationToken) {
    let looked = match stop.is_cancelled() {
        true => None,
        false => Some(desk.look_claimed(&work, stop.clone()).await),
    };
    let Work { source, hold, .. } = &work;
    let then = match looked {
        None => Then::AtOnce,
        Some(Ok(run)) => {
            tracing::info!(source = %source.name, run = %run.id, outcome = run.outcome.word(), calls = run.calls_sent(), "looked");
            let ended_early = run.troubles.iter().any(|trouble| trouble.why == Why::Stopped);
            match (ended_early, stop.is_cancelled()) {
                (true, true) => Then::AtOnce,
                (true, false) => Then::Soon,
                (false, _) => Then::Done,
            }
        }
        Some(Err(LookError::Busy(_) | LookError::Elsewhere(_))) => Then::OnSchedule,
        Some(Err(LookError::Write(WriteError::Lost(_)))) => {
            tracing::warn!(source = %source.name, "the lease was lost: another daemon goes on");
            return;
        }
        Some(Err(error)) => {
            tracing::error!(source = %source.name, %error, "could not look");
            Then::Soon
        }
    };
    if let Err(error) = cluster::settle(desk, source, hold, then) {
        tracing::error!(source = %source.name, %error, "could not be scheduled again");
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
/// trusted, and every source, where that is this daemon's turn; while nobody looks, the store does what it put off.
async fn keep_house(
    desk: Arc<Desk>,
    (evaluate, assess): (Option<House>, Option<House>),
    clock_trusted: bool,
    stop: CancellationToken,
) {
    if let Some(house) = evaluate.clone() {
        match desk.judge_anew_in(house, tell_how_far(), stop).await {
            Ok(Reached::Already) => {}
            Ok(Reached::Now) => tracing::info!("judged everything by the thresholds, owner tags and rules of now"),
            Ok(Reached::NotYet) => tracing::info!("judging everything anew goes on later"),
            Err(error) => tracing::error!(%error, "could not judge everything anew"),
        }
    }
    let kept = tokio::task::spawn_blocking(move || -> Result<(), StoreError> {
        let wiring = desk.wiring();
        let judging = evaluate.clone();
        if let Some(house) = evaluate.filter(|_| clock_trusted) {
            judge::due(&house, &wiring.yardstick)?;
            guard::turn(&house, &wiring)?;
            let turn = retention::turn(&house, wiring.config.store.keep)?;
            if turn.over
                && let Some(done) = upkeep::turn(&house, &wiring.yardstick)?
            {
                tracing::info!(before = done.before, after = done.after, "rewrote the store, in bytes");
            }
            if turn.forgotten > 0 {
                tracing::info!(versions = turn.forgotten, over = turn.over, "forgot history that need not be kept");
            }
        }
        // Whom a run that was cut left waiting.
        if let Some(house) = &judging {
            judge::awaited(house, &wiring.yardstick)?;
        }
        if let Some(house) = assess {
            for source in &wiring.config.sources {
                assess::assess(&house, &wiring.yardstick, &wiring.watched(source, house.now()))?;
            }
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

fn next_backup(desk: &Desk) -> Option<Time> {
    let wiring = desk.wiring();
    wiring.config.store.backups.schedule.as_ref().and_then(|schedule| wire::next(schedule, desk.house.now()))
}

async fn back_up(desk: Arc<Desk>) {
    match tokio::task::spawn_blocking(move || archive::take(&desk)).await {
        Ok(Ok(contents)) => tracing::info!(commit = contents.commit, "took a backup of the store"),
        Ok(Err(error)) => tracing::error!(%error, "could not take a backup of the store"),
        Err(_) => tracing::error!("taking a backup of the store panicked"),
    }
}

async fn take_snapshot(desk: &Arc<Desk>, hold: Hold) {
    let desk = Arc::clone(desk);
    let taken = tokio::task::spawn_blocking(move || {
        let wiring = desk.wiring();
        let directory = &wiring.config.snapshots.path;
        snapshot::take(&hold.house(), &wiring.yardstick, directory)?;
        snapshot::prune(directory, wiring.config.snapshots.keep)
    });
    match taken.await {
        Ok(Ok(_)) => tracing::info!("took a snapshot"),
        Ok(Err(error)) => tracing::error!(%error, "could not take a snapshot"),
        Err(_) => tracing::error!("taking a snapshot panicked"),
    }
}
