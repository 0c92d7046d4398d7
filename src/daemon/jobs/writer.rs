//! The receiving end of a run: turns what a connector says into committed changes, batch by batch, on a thread that may
//! block. It must never commit a cursor before what it vouches for, nor believe an absence that the brake holds back.

mod ahead;
mod cover;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use provost_connectors::Event;
use provost_engine::{
    absence::{self, Vanishing},
    reconcile::{self, Birth, Said},
};
use provost_model::{
    CallCount, Change, Entity, Key, Outcome, PartId, Reading, Realm, RecordId, Run, Scope, ScopeNo, Sighting, Span,
    Time, Trouble, What, Why,
};
use provost_store::{
    StoreError,
    inventory::{BaselineState, Draft, SourceRow},
};
use thiserror::Error;

use super::{
    cascade::with_dependents,
    judge::{Gathering, Touched},
    listing::{Listing, Step},
};
use crate::{house::House, ids::Ids, tries::Tries};
use ahead::names_of;
use cover::Closed;

/// Troubles kept of one run; more are counted in the last one.
const TROUBLES_MAX: usize = 200;

/// Why a run ends before its connector is done.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The store cannot take more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another daemon may be looking by now: nothing of this run counts any more.
    #[error("the lease {0} was lost: another daemon goes on with the source")]
    Lost(String),
    /// The connector broke its contract: report it.
    #[error("the connector is faulty: {0}")]
    Connector(String),
    /// The source shows another authority than before.
    #[error(
        "the source met {met}, but it is pinned to {pinned}; if that is intended: provost sources repin {source_name} --reason …"
    )]
    OtherRealm {
        /// The source's name.
        source_name: String,
        /// What it met first.
        pinned: Realm,
        /// What it met now.
        met: Realm,
    },
}

/// What a run does beside writing: judging what it touched, and showing how far it is.
pub trait Watcher: Send {
    /// Records that changed in scopes that can now be judged, each with what is different, in the order of ids.
    fn changed(&mut self, house: &House, records: Vec<Touched>) -> Result<(), StoreError>;
    /// Everything was told; returns when nothing is left to do for it.
    fn over(&mut self) -> Result<(), StoreError>;
    /// How far it is: done, expected in all if known, of what.
    fn progress(&mut self, done: u64, total: Option<u64>, of: &'static str);
    /// Our clock is so far ahead of the provider's; behind it if negative.
    fn clock_ahead(&mut self, by: Span);
}

/// The receiving end of one run. What it knows moves only with what is durable: where another process was faster, the
/// events since the last commit are taken again.
pub struct Writer<'a> {
    house: &'a House,
    watcher: &'a mut dyn Watcher,
    made_by: [u8; 16],
    full_due: Vec<String>,
    source: SourceRow,
    run: Run,
    listings: BTreeMap<String, Listing>,
    vanishing: Vanishing,
    touched: Gathering,
    calls: BTreeMap<String, CallCount>,
    held: bool,
    committed: bool,
    /// When the source is due next, if the end of the run writes that down.
    next_run: Option<Time>,
    /// Since when what was touched can be judged, as a scope was ended.
    ripe: Option<Instant>,
    /// Events that are not durable yet. Where nobody else writes, those that are in the draft are not kept.
    waiting: VecDeque<Event>,
    /// Covers whose listing was closed, while what follows from it is not durable yet.
    closed: BTreeMap<String, Arc<Closed>>,
    staged: Staged,
}

/// What the draft at hand will have done once it is durable.
#[derive(Default)]
struct Staged {
    /// Events that are wholly in it.
    events: usize,
    /// Sightings of the event at hand that are wholly in it or were durable before, and those that were.
    sightings: (usize, usize),
    touched: Vec<Touched>,
    /// Scopes that were begun, scopes whose listing has steps staged, and covers that are wholly in it.
    begun: Vec<String>,
    listings: Vec<String>,
    covers: Vec<String>,
    /// How many sightings of the events that come were read ahead for.
    foreseen: usize,
}

impl<'a> Writer<'a> {
    /// The receiving end of a run that begins now. `made_by` is the digest of whatever cursors depend on; in the scopes of
    /// `full_due` the connector was told to read everything again.
    pub fn begin(
        house: &'a House,
        watcher: &'a mut dyn Watcher,
        run: Run,
        (made_by, full_due): ([u8; 16], Vec<String>),
    ) -> Result<Self, WriteError> {
        let begun = house.again(|| {
            let _pen = house.pen();
            let mut draft = Draft::new(house.inventory(), run.started);
            let mut source = draft.source(&run.source)?;
            source.last_run = Some(run.id);
            draft.put_run(&run)?;
            draft.put_source(&run.source, &source)?;
            // Taken back once everything was judged: what a run that is cut leaves behind is found by this.
            draft.put_unjudged(&run.source, true);
            let present = draft.inventory().scopes(Some(&run.source))?.iter().map(|row| row.present).sum();
            draft.commit()?;
            Ok((source, present))
        });
        let (source, present) = begun.map_err(|error| told(house, error))?;
        Ok(Self {
            house,
            watcher,
            made_by,
            full_due,
            source,
            run,
            listings: BTreeMap::new(),
            vanishing: Vanishing { absent: 0, present },
            touched: Gathering::default(),
            calls: BTreeMap::new(),
            held: false,
            committed: false,
            next_run: None,
            ripe: None,
            waiting: VecDeque::new(),
            closed: BTreeMap::new(),
            staged: Staged::default(),
        })
    }

    /// The source is due next at that time, unless the run is stopped before its end.
    pub fn then_due(&mut self, next_run: Option<Time>) {
        self.next_run = next_run;
    }

    /// Takes a batch of events in, as one commit where nothing vanishes.
    pub fn take(&mut self, events: Vec<Event>) -> Result<(), WriteError> {
        let house = self.house;
        for event in events {
            self.hear(event);
        }
        let mut tries = Tries::of(house);
        loop {
            match self.take_in() {
                Err(WriteError::Store(error)) => {
                    self.unstage();
                    tries.another(error).map_err(|error| told(house, error))?;
                }
                taken => {
                    house.reached();
                    return taken;
                }
            }
        }
    }

    /// Takes in what waits.
    fn take_in(&mut self) -> Result<(), WriteError> {
        let house = self.house;
        let _pen = house.pen();
        let mut draft = Draft::new(house.inventory(), house.now());
        while let Some(event) = self.next_event() {
            if self.take_one(&mut draft, event)? {
                self.ripe.get_or_insert_with(Instant::now);
            }
            if house.store().shared() {
                self.staged.events += 1;
                self.staged.sightings.0 = 0;
            } else {
                self.staged.sightings = (0, 0);
            }
        }
        self.commit(&mut draft)
    }

    /// The next event that is not in the draft yet. It is kept until it is durable where somebody else may be faster.
    fn next_event(&mut self) -> Option<Event> {
        match self.house.store().shared() {
            true => self.waiting.get(self.staged.events).cloned(),
            false => self.waiting.pop_front(),
        }
    }

    /// Since when something can be judged; `None` if no scope was ended since the last time.
    pub fn ripe_since(&self) -> Option<Instant> {
        self.ripe
    }

    /// Judges what was touched. Called when nothing waits to be taken in, so that scopes that end together are judged
    /// together.
    pub fn rest(&mut self) -> Result<(), WriteError> {
        self.ripe = None;
        self.judge()
    }

    /// The connector is done, or gave up: closes the books and says how the run ended.
    pub fn end(mut self, looked: Result<(), Trouble>) -> Result<Run, WriteError> {
        let gave_up = looked.is_err();
        if let Err(trouble) = looked {
            self.trouble(trouble);
        }
        let house = self.house;
        self.run = house.again(|| self.close(gave_up)).map_err(|error| told(house, error))?;
        self.judge()?;
        self.watcher.over().map_err(|error| told(house, error))?;
        let judged = house.again(|| {
            let _pen = house.pen();
            let mut draft = Draft::new(house.inventory(), house.now());
            draft.put_unjudged(&self.run.source, false);
            draft.commit()
        });
        judged.map_err(|error| told(house, error))?;
        Ok(self.run)
    }

    /// Writes down how the run ended, and gives it.
    fn close(&self, gave_up: bool) -> Result<Run, StoreError> {
        let house = self.house;
        let _pen = house.pen();
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        // Operators and the scheduler may have written into it meanwhile.
        let mut source = draft.source(&self.run.source)?;
        let mut run = self.run.clone();
        let mut partial = gave_up || run.troubles.iter().any(|it| !it.blind_spot);
        for listing in self.listings.values() {
            let (mut row, mut report) = (listing.row.clone(), listing.report.clone());
            match report.cover.as_str() {
                // The last delta of a run that came to its end vouches for the whole scope; one that a cut run left
                // behind is a checkpoint.
                "delta" if !gave_up => row.covered_at = Some(now),
                "open" | "delta" => {
                    report.cover = "partial".to_owned();
                    row.last_cover.clone_from(&report.cover);
                }
                _ => {}
            }
            partial |= report.cover == "partial";
            // Changes up to here are everything, where everything was asked for and nothing went wrong.
            if !gave_up && report.cover == "delta" && self.full_due.contains(&row.scope.path) {
                row.full_at = Some(listing.began);
            }
            draft.put_scope(row);
            run.scopes.push(report);
        }
        run.calls = self.calls.values().cloned().collect();
        run.ended = Some(now);
        let nothing = !self.committed && run.scopes.iter().all(|scope| scope.seen == 0);
        run.outcome = match (gave_up && nothing, self.held, partial) {
            (true, _, _) => Outcome::Failed,
            (_, true, _) => Outcome::Held,
            (_, _, true) => Outcome::Partial,
            _ => Outcome::Complete,
        };
        if run.outcome == Outcome::Complete {
            source.last_complete = Some(now);
            if source.first_complete.is_none() {
                source.first_complete = Some(now);
                source.baseline = BaselineState::Taken;
            }
        }
        if !run.troubles.iter().any(|it| it.why == Why::Stopped) {
            source.next_run = self.next_run.or(source.next_run);
        }
        draft.put_source(&run.source, &source)?;
        draft.put_run(&run)?;
        draft.commit()?;
        Ok(run)
    }

    /// Takes up what concerns this run alone; everything else waits to be taken in.
    fn hear(&mut self, event: Event) {
        match event {
            Event::Trouble(trouble) => self.trouble(trouble),
            Event::ClockAhead(by) => self.watcher.clock_ahead(by),
            Event::Call { operation, throttled } => self.count(operation, throttled),
            Event::Progress(done, total, of) => self.watcher.progress(done, total, of),
            other => self.waiting.push_back(other),
        }
    }

    /// Takes one event in; true if what was touched can be judged now.
    fn take_one(&mut self, draft: &mut Draft<'_>, event: Event) -> Result<bool, WriteError> {
        match event {
            Event::Realm(realm) => self.meet(draft, realm)?,
            Event::Begin { scope, at, hangs_on } => self.begin_scope(draft, &scope, (at, hangs_on.as_ref()))?,
            Event::See { scope, part, as_of, sightings } => {
                let part = part.as_deref().map_or(PartId::WHOLE, PartId::named);
                self.see(draft, &scope, (part, as_of), sightings)?;
            }
            Event::Cover { scope, part: Some(part), cover, .. } => {
                if self.listings.contains_key(&scope.path) {
                    self.stage(&scope.path, Step::Part(PartId::named(&part), cover));
                }
            }
            Event::Cover { scope, part: None, cover, as_of } => {
                self.cover(draft, &scope, (cover, as_of))?;
                return Ok(true);
            }
            Event::Unwatch(scope) => self.unwatch(draft, &scope)?,
            Event::Eyes { could_write, expires_at } => self.eyes(draft, (could_write, expires_at))?,
            Event::Trouble(_) | Event::ClockAhead(_) | Event::Call { .. } | Event::Progress(..) => self.hear(event),
        }
        Ok(false)
    }

    fn meet(&mut self, draft: &mut Draft<'_>, realm: Realm) -> Result<(), WriteError> {
        self.run.realm = Some(realm.clone());
        self.source = draft.source(&self.run.source)?;
        match &self.source.realm {
            Some(pinned) if *pinned != realm => {
                let (source_name, pinned) = (self.run.source.clone(), pinned.clone());
                self.source.met = Some(realm.clone());
                draft.put_source(&self.run.source, &self.source)?;
                // The run ends here, and its row says so.
                let said = format!("it met {realm}, but is pinned to {pinned}");
                let mut run = self.run.clone();
                run.troubles.push(Trouble { place: realm.to_string(), why: Why::Changed, said, blind_spot: false });
                run.ended = Some(self.house.now());
                run.outcome = Outcome::Failed;
                draft.put_run(&run)?;
                self.commit(draft)?;
                self.run = run;
                return Err(WriteError::OtherRealm { source_name, pinned, met: realm });
            }
            Some(_) => self.source.met = None,
            None => self.source.realm = Some(realm),
        }
        draft.put_source(&self.run.source, &self.source)?;
        Ok(())
    }

    /// Keeps what the source looks with. What this run could not tell is not known any more.
    fn eyes(
        &mut self,
        draft: &mut Draft<'_>,
        (could_write, expires_at): (Reading<Vec<String>>, Reading<Time>),
    ) -> Result<(), WriteError> {
        // The row may have been put into this draft by the same batch.
        self.commit(draft)?;
        self.source = draft.source(&self.run.source)?;
        self.source.could_write = could_write.known().map(|words| words.join("\n"));
        self.source.credential_expires = expires_at.known();
        draft.put_source(&self.run.source, &self.source)?;
        Ok(())
    }

    fn begin_scope(
        &mut self,
        draft: &mut Draft<'_>,
        scope: &Scope,
        (at, hangs_on): (Time, Option<&Key>),
    ) -> Result<(), WriteError> {
        if !self.listings.contains_key(&scope.path) {
            let mut row = draft.open_scope(&self.run.source, scope)?;
            row.watched = true;
            row.hangs_on = hangs_on.map(provost_store::inventory::digest);
            draft.put_scope(row.clone());
            self.listings.insert(scope.path.clone(), Listing::begin(row, at));
            self.staged.begun.push(scope.path.clone());
        }
        Ok(())
    }

    fn see(
        &mut self,
        draft: &mut Draft<'_>,
        scope: &Scope,
        at: (PartId, Time),
        sightings: Vec<Sighting>,
    ) -> Result<(), WriteError> {
        let row = &self.listing(scope)?.row;
        let number = row.number;
        draft.speak_of(row);
        self.foresee(draft, &sightings)?;
        // What was durable before counts for the first event that waits.
        let durable = if self.staged.events == 0 { self.staged.sightings.1 } else { 0 };
        for (index, sighting) in sightings.into_iter().enumerate().skip(durable) {
            match sighting {
                Sighting::Present(entity) => self.see_one(draft, (&scope.path, number), at, entity)?,
                Sighting::Gone(key) => self.told_gone(draft, (&scope.path, number), (at.0, &key))?,
            }
            self.staged.sightings.0 = index + 1;
        }
        Ok(())
    }

    fn see_one(
        &mut self,
        draft: &mut Draft<'_>,
        (path, scope): (&str, ScopeNo),
        (part, as_of): (PartId, Time),
        entity: Entity,
    ) -> Result<(), WriteError> {
        let now = self.house.now();
        let mut found: Vec<RecordId> = Vec::new();
        for name in names_of(&entity) {
            found.extend(draft.resolve(&name)?);
        }
        found.sort_unstable();
        found.dedup();
        let id = match found.first() {
            Some(oldest) => *oldest,
            None => {
                let id = Ids.make(now).map_err(StoreError::Io)?;
                draft.born(id);
                id
            }
        };
        // One thing under two records: the older lives on, the other is the same thing and goes.
        for twin in found.iter().skip(1) {
            if let Some(change) = draft.record(*twin)?.and_then(absence::merged_away) {
                self.apply(draft, path, change)?;
            }
        }
        let said = Said { scope, part, as_of, recorded: now };
        let birth = Birth { id, baseline: self.source.first_complete.is_none() };
        let change = reconcile::present(draft.record(id)?, entity, said, birth);
        change.map_or(Ok(()), |change| self.apply(draft, path, change))?;
        self.stage(path, Step::Saw(part, id));
        Ok(())
    }

    fn told_gone(
        &mut self,
        draft: &mut Draft<'_>,
        (path, scope): (&str, ScopeNo),
        (part, key): (PartId, &Key),
    ) -> Result<(), WriteError> {
        let Some(id) = draft.resolve(key)? else { return Ok(()) };
        let change = draft.record(id)?.and_then(|record| absence::told_gone(record, scope, part));
        change.map_or(Ok(()), |change| self.apply(draft, path, change))
    }

    /// Takes a change into the draft, and whatever follows from it: with its container a thing goes too.
    fn apply(&mut self, draft: &mut Draft<'_>, path: &str, change: Change) -> Result<(), WriteError> {
        for change in with_dependents(draft, change)? {
            self.stage(path, Step::Changed(change.what));
            self.keep(draft, change)?;
            if draft.is_full() {
                self.commit(draft)?;
            }
        }
        Ok(())
    }

    /// Takes one change into the draft, and remembers what it makes different.
    fn keep(&mut self, draft: &mut Draft<'_>, change: Change) -> Result<(), WriteError> {
        let before = if change.what == What::Appeared { None } else { draft.record(change.after.id)? };
        self.staged.touched.push(Touched::between(before, &change.after));
        draft.apply(change)?;
        Ok(())
    }

    fn unwatch(&mut self, draft: &mut Draft<'_>, scope: &Scope) -> Result<(), WriteError> {
        self.commit(draft)?;
        let below = draft.inventory().scopes(Some(&self.run.source))?;
        for mut row in below.into_iter().filter(|row| row.watched && scope.holds(&row.scope)) {
            for (_, id) in draft.inventory().places(row.number)? {
                if let Some(change) = draft.record(id)?.and_then(|record| absence::unwatch(record, row.number)) {
                    self.keep(draft, change)?;
                }
                if draft.is_full() {
                    self.commit(draft)?;
                }
            }
            row.watched = false;
            draft.put_scope(row);
            self.commit(draft)?;
        }
        Ok(())
    }

    fn trouble(&mut self, trouble: Trouble) {
        tracing::warn!(source = %self.run.source, place = %trouble.place, why = %trouble.why, "could not see everything");
        if self.run.troubles.len() < TROUBLES_MAX {
            self.run.troubles.push(trouble);
        } else if let Some(last) = self.run.troubles.last_mut() {
            last.said = "and more".into();
            last.blind_spot &= trouble.blind_spot;
        }
    }

    fn count(&mut self, operation: String, throttled: bool) {
        let count = self.calls.entry(operation.clone()).or_default();
        count.operation = operation;
        count.sent += 1;
        count.throttled += u64::from(throttled);
    }

    fn listing(&self, scope: &Scope) -> Result<&Listing, WriteError> {
        self.listings.get(&scope.path).ok_or_else(|| unbegun(scope))
    }

    /// Stages what the draft will have done to a listing.
    fn stage(&mut self, path: &str, step: Step) {
        self.held |= matches!(step, Step::Ended(_, held) if held > 0);
        if self.listings.get_mut(path).is_some_and(|listing| listing.stage(step)) {
            self.staged.listings.push(path.to_owned());
        }
    }

    /// Makes durable what the draft holds, and goes on with an empty one.
    fn commit(&mut self, draft: &mut Draft<'_>) -> Result<(), WriteError> {
        let full = draft.replace(self.house.now());
        let changed = full.changed() > 0;
        let by = full.commit()?.map(|done| done.number);
        self.committed |= changed;
        let Staged { events, sightings: (done, _), touched, listings, covers, .. } = std::mem::take(&mut self.staged);
        self.staged.sightings = (done, done);
        self.waiting.drain(..events.min(self.waiting.len()));
        for it in touched {
            self.touched.add(Touched { by, ..it });
        }
        covers.iter().for_each(|path| drop(self.closed.remove(path)));
        for path in listings {
            self.listings.get_mut(&path).map_or(Ok(()), |listing| listing.keep(self.house))?;
        }
        Ok(())
    }

    /// The draft at hand was refused: nothing of it was done, and its events are still to be taken in.
    fn unstage(&mut self) {
        let Staged { sightings: (_, durable), begun, listings, .. } = std::mem::take(&mut self.staged);
        self.staged.sightings = (durable, durable);
        for path in listings {
            if let Some(listing) = self.listings.get_mut(&path) {
                listing.unstage();
            }
        }
        for path in begun {
            self.listings.remove(&path);
        }
    }

    fn judge(&mut self) -> Result<(), WriteError> {
        let touched = self.touched.take();
        if !touched.is_empty() {
            let house = self.house;
            self.watcher.changed(house, touched).map_err(|error| told(house, error))?;
        }
        Ok(())
    }
}

/// A refused batch of somebody who lost the lease is not about who was faster.
fn told(house: &House, error: StoreError) -> WriteError {
    match (&error, house.fence()) {
        (StoreError::Conflict(_), Some(fence)) if house.lost_lease().unwrap_or(true) => {
            WriteError::Lost(fence.name.clone())
        }
        _ => WriteError::Store(error),
    }
}

fn unbegun(scope: &Scope) -> WriteError {
    WriteError::Connector(format!("it spoke of {scope} before it began it"))
}
