//! One run of one source: connector on one side, writer on the other, a bounded channel between them.
//! It must never let a slow store fill the memory, nor a slow provider hold up the end of the daemon.

use std::{sync::Arc, time::Duration};

use provost_connectors::{Bookmarks, Connector, Emitter, Event, Spec};
use provost_model::{Run, Span, Time, Trouble, Why};
use provost_store::{StoreError, inventory::Inventory};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Watcher, WriteError, digest, writer::Writer};
use crate::{house::House, ids::Ids};

/// Batches on their way from connector to store.
const IN_FLIGHT: usize = 2;
/// Scopes that end within such a time are judged together, and a record of several of them once.
const TOGETHER: Duration = Duration::from_millis(500);
/// How long a connector that is told to stop may take to hand over what it has.
const GRACE: Duration = Duration::from_secs(8);

/// What is to be looked at, and within which limits.
pub struct Looking {
    /// The source's name.
    pub source: String,
    /// The connector's description.
    pub spec: &'static Spec,
    /// The connector.
    pub connector: Arc<dyn Connector>,
    /// Longest time a run may take.
    pub limit: Duration,
    /// After how long a full reading is due, whatever cursors say.
    pub full_every: Span,
    /// Sweep now, not at leisure.
    pub sweep_now: bool,
    /// When it is due next, if the end of the run is to write that down: done and due again are one thing then.
    pub next_run: Option<Time>,
    /// Cancelled when less is free on the store's disk than must stay free.
    pub no_room: CancellationToken,
}

/// Looks once. The run says how it ended; an error means that it could not even be written down.
pub async fn scan(
    house: Arc<House>,
    looking: Looking,
    mut watcher: Box<dyn Watcher>,
    stop: CancellationToken,
) -> Result<Run, WriteError> {
    let started = house.now();
    let run = Run::begun(Ids.make(started).map_err(StoreError::Io)?, &looking.source, started);
    let made_by = made_by(&looking);
    let known = bookmarks(house.inventory(), &looking, (made_by, started))?;

    let (out, mut batches) = mpsc::channel(IN_FLIGHT);
    let (ended, looked) = oneshot::channel::<Result<(), Trouble>>();
    let writing = {
        let (house, full_due, runtime) = (Arc::clone(&house), known.full_due.clone(), Handle::current());
        let next_run = looking.next_run;
        tokio::task::spawn_blocking(move || {
            let mut writer = Writer::begin(&house, watcher.as_mut(), run, (made_by, full_due))?;
            writer.then_due(next_run);
            while let Some(batch) = next(&runtime, &mut batches, &mut writer)? {
                writer.take(batch)?;
            }
            let silent = Trouble {
                place: String::new(),
                why: Why::Stopped,
                said: "the run was dropped".into(),
                blind_spot: false,
            };
            writer.end(looked.blocking_recv().unwrap_or(Err(silent)))
        })
    };

    let emitter = Emitter::new(out, house.clock(), stop.child_token());
    // On a worker, where its connections are: from the thread that waits for the run every answer would have to wake it.
    let looking_on = AbortOnDropHandle::new(tokio::spawn(look(looking, known, emitter, stop)));
    let looked = looking_on.await;
    let panicked = looked.is_err();
    // Of one that panicked nobody tells the writer how it ended: the run is written down as broken off.
    let _ = looked.map(|looked| ended.send(looked));
    let run = writing.await.map_err(|_| WriteError::Connector("the writer panicked".into()))??;
    if panicked { Err(WriteError::Connector("it panicked".into())) } else { Ok(run) }
}

/// Has the connector look until it is done, or its time is over, or it is told to stop.
async fn look(
    looking: Looking,
    known: Bookmarks,
    mut emitter: Emitter,
    stop: CancellationToken,
) -> Result<(), Trouble> {
    let told = emitter.stop().clone();
    let looked = {
        let mut looking_on = looking.connector.discover(&known, &mut emitter);
        let ended_early = tokio::select! {
            looked = &mut looking_on => Ok(looked),
            () = tokio::time::sleep(looking.limit) => Err(trouble(Why::TimedOut, "the time allowed for a run is over")),
            () = stop.cancelled() => Err(trouble(Why::Stopped, "the run was stopped; the next one goes on")),
            () = looking.no_room.cancelled() => {
                Err(trouble(Why::Stopped, "the store's disk is nearly full; the next run goes on"))
            }
        };
        match ended_early {
            Ok(looked) => looked,
            Err(why) => {
                told.cancel();
                // It may end by itself now, with a checkpoint; whatever it says, it was not done.
                let _ = tokio::time::timeout(GRACE, &mut looking_on).await;
                Err(why)
            }
        }
    };
    // What was seen before the end is handed over too. A writer that is gone says why itself.
    let _ = emitter.flush().await;
    looked
}

/// The next batch. Meanwhile what can be judged is, once it has waited for what ends together with it.
fn next(
    runtime: &Handle,
    batches: &mut mpsc::Receiver<Vec<Event>>,
    writer: &mut Writer<'_>,
) -> Result<Option<Vec<Event>>, WriteError> {
    while let Some(since) = writer.ripe_since() {
        let left = TOGETHER.saturating_sub(since.elapsed());
        // Batches that wait already would have nothing judged as long as the connector is the faster one.
        let came = match left.is_zero() {
            true => None,
            false => runtime.block_on(tokio::time::timeout(left, batches.recv())).ok(),
        };
        match came {
            Some(batch) => return Ok(batch.map(|first| together(first, batches))),
            None => writer.rest()?,
        }
    }
    Ok(batches.blocking_recv().map(|first| together(first, batches)))
}

/// A batch with those that wait behind it: the more is made durable at once, the fewer times the disk is waited for.
fn together(mut first: Vec<Event>, batches: &mut mpsc::Receiver<Vec<Event>>) -> Vec<Event> {
    for _ in 0..IN_FLIGHT {
        match batches.try_recv() {
            Ok(next) => first.extend(next),
            Err(_) => break,
        }
    }
    first
}

fn trouble(why: Why, said: &str) -> Trouble {
    Trouble { place: String::new(), why, said: said.to_owned(), blind_spot: false }
}

/// Digest of whatever cursors depend on: the connector, its version, its settings.
fn made_by(looking: &Looking) -> [u8; 16] {
    digest::half([looking.spec.name, &looking.spec.version.to_string(), &looking.connector.disposition()])
}

/// Where former runs got to, as far as this one may build upon it.
fn bookmarks(
    inventory: Inventory<'_>,
    looking: &Looking,
    (made_by, now): ([u8; 16], Time),
) -> Result<Bookmarks, StoreError> {
    let mut known = Bookmarks { sweep_now: looking.sweep_now, ..Bookmarks::default() };
    for row in inventory.scopes(Some(&looking.source))? {
        if row.made_by != made_by {
            continue;
        }
        if row.full_at.is_none_or(|at| at + looking.full_every <= now) {
            known.full_due.push(row.scope.path.clone());
        }
        if let Some(cursor) = inventory.cursor(&row)? {
            known.cursors.insert(row.scope.path.clone(), cursor);
        }
    }
    Ok(known)
}
