//! The receiving end of a run: turns what a connector says into committed changes, batch by batch, on a thread that may
//! block. It must never commit a cursor before what it vouches for, nor believe an absence that the brake holds back.

use std::{collections::BTreeMap, time::Instant};

use provost_connectors::Event;
use provost_engine::{
    News,
    absence::{self, Brake, Vanishing},
    reconcile::{self, Birth, Said},
};
use provost_model::{
    CallCount, Change, Cover, Entity, Key, Outcome, PartId, Reading, Realm, RecordId, Run, Scope, Sighting, Span, Time,
    Trouble, What, Why,
};
use provost_store::{
    StoreError,
    inventory::{BaselineState, Draft, SourceRow},
};
use thiserror::Error;

use super::{cascade::with_dependents, judge::Touched, listing::Listing};
use crate::{house::House, ids::Ids};

/// Troubles kept of one run; more are counted in the last one.
const TROUBLES_MAX: usize = 200;

/// Why a run ends before its connector is done.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The store cannot take more.
    #[error(transparent)]
    Store(#[from] StoreError),
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

/// The receiving end of one run.
pub struct Writer<'a> {
    house: &'a House,
    watcher: &'a mut dyn Watcher,
    made_by: [u8; 16],
    full_due: Vec<String>,
    source: SourceRow,
    run: Run,
    listings: BTreeMap<String, Listing>,
    vanishing: Vanishing,
    touched: BTreeMap<RecordId, News>,
    calls: BTreeMap<String, CallCount>,
    held: bool,
    committed: bool,
    /// Since when what was touched can be judged, as a scope was ended.
    ripe: Option<Instant>,
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
        let _pen = house.pen();
        let inventory = house.inventory();
        let mut source = inventory.source(&run.source)?;
        source.last_run = Some(run.id);
        let present = inventory.scopes(Some(&run.source))?.iter().map(|row| row.present).sum();
        let mut draft = Draft::new(inventory, run.started);
        draft.put_run(&run)?;
        draft.put_source(&run.source, &source)?;
        // Taken back once everything was judged: what a run that is cut leaves behind is found by this.
        draft.put_unjudged(&run.source, true);
        draft.commit()?;
        Ok(Self {
            house,
            watcher,
            made_by,
            full_due,
            source,
            run,
            listings: BTreeMap::new(),
            vanishing: Vanishing { absent: 0, present },
            touched: BTreeMap::new(),
            calls: BTreeMap::new(),
            held: false,
            committed: false,
            ripe: None,
        })
    }

    /// Takes a batch of events in, as one commit where nothing vanishes.
    pub fn take(&mut self, events: Vec<Event>) -> Result<(), WriteError> {
        let house = self.house;
        let _pen = house.pen();
        let mut draft = Draft::new(house.inventory(), house.now());
        for event in events {
            if self.take_one(&mut draft, event)? {
                self.ripe.get_or_insert_with(Instant::now);
            }
        }
        self.commit(&mut draft)
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
        {
            let house = self.house;
            let _pen = house.pen();
            let now = house.now();
            let mut draft = Draft::new(house.inventory(), now);
            // Operators and the scheduler may have written into it meanwhile.
            self.source = house.inventory().source(&self.run.source)?;
            let mut partial = gave_up || self.run.troubles.iter().any(|it| !it.blind_spot);
            for mut listing in std::mem::take(&mut self.listings).into_values() {
                match listing.report.cover.as_str() {
                    // The last delta of a run that came to its end vouches for the whole scope; one that a cut run left
                    // behind is a checkpoint.
                    "delta" if !gave_up => listing.row.covered_at = Some(now),
                    "open" | "delta" => listing.end("partial"),
                    _ => {}
                }
                partial |= listing.report.cover == "partial";
                // Changes up to here are everything, where everything was asked for and nothing went wrong.
                if !gave_up && listing.report.cover == "delta" && self.full_due.contains(&listing.row.scope.path) {
                    listing.row.full_at = Some(listing.began);
                }
                draft.put_scope(listing.row);
                self.run.scopes.push(listing.report);
            }
            self.run.calls = std::mem::take(&mut self.calls).into_values().collect();
            self.run.ended = Some(now);
            let nothing = !self.committed && self.run.scopes.iter().all(|scope| scope.seen == 0);
            self.run.outcome = match (gave_up && nothing, self.held, partial) {
                (true, _, _) => Outcome::Failed,
                (_, true, _) => Outcome::Held,
                (_, _, true) => Outcome::Partial,
                _ => Outcome::Complete,
            };
            if self.run.outcome == Outcome::Complete {
                self.source.last_complete = Some(now);
                if self.source.first_complete.is_none() {
                    self.source.first_complete = Some(now);
                    self.source.baseline = BaselineState::Taken;
                }
            }
            draft.put_source(&self.run.source, &self.source)?;
            draft.put_run(&self.run)?;
            draft.commit()?;
        }
        self.judge()?;
        self.watcher.over()?;
        let _pen = self.house.pen();
        let mut draft = Draft::new(self.house.inventory(), self.house.now());
        draft.put_unjudged(&self.run.source, false);
        draft.commit()?;
        Ok(self.run)
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
                // Places are read as committed.
                if draft.is_full() {
                    self.commit(draft)?;
                }
                if let Some(listing) = self.listings.get_mut(&scope.path) {
                    listing.part_covered(draft.inventory(), PartId::named(&part), &cover)?;
                }
            }
            Event::Cover { scope, part: None, cover, as_of } => {
                self.cover(draft, &scope, (cover, as_of))?;
                return Ok(true);
            }
            Event::Unwatch(scope) => self.unwatch(draft, &scope)?,
            Event::Trouble(trouble) => self.trouble(trouble),
            Event::ClockAhead(by) => self.watcher.clock_ahead(by),
            Event::Eyes { could_write, expires_at } => self.eyes(draft, (could_write, expires_at))?,
            Event::Call { operation, throttled } => self.count(operation, throttled),
            Event::Progress(done, total, of) => self.watcher.progress(done, total, of),
        }
        Ok(false)
    }

    fn meet(&mut self, draft: &mut Draft<'_>, realm: Realm) -> Result<(), WriteError> {
        self.run.realm = Some(realm.clone());
        self.source = draft.inventory().source(&self.run.source)?;
        match &self.source.realm {
            Some(pinned) if *pinned != realm => {
                let (source_name, pinned) = (self.run.source.clone(), pinned.clone());
                self.source.met = Some(realm.clone());
                draft.put_source(&self.run.source, &self.source)?;
                // The run ends here, and its row says so.
                let said = format!("it met {realm}, but is pinned to {pinned}");
                self.trouble(Trouble { place: realm.to_string(), why: Why::Changed, said, blind_spot: false });
                self.run.ended = Some(self.house.now());
                self.run.outcome = Outcome::Failed;
                draft.put_run(&self.run)?;
                self.commit(draft)?;
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
        self.source = draft.inventory().source(&self.run.source)?;
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
        let Some(mut listing) = self.listings.remove(&scope.path) else { return Err(unbegun(scope)) };
        let names = sightings.iter().flat_map(|sighting| match sighting {
            Sighting::Present(entity) => names_of(entity),
            Sighting::Gone(key) => vec![key.clone()],
        });
        draft.prefetch(&names.collect::<Vec<_>>())?;
        for sighting in sightings {
            match sighting {
                Sighting::Present(entity) => self.see_one(draft, &mut listing, at, entity)?,
                Sighting::Gone(key) => self.told_gone(draft, &mut listing, (at.0, &key))?,
            }
        }
        self.listings.insert(scope.path.clone(), listing);
        Ok(())
    }

    fn see_one(
        &mut self,
        draft: &mut Draft<'_>,
        listing: &mut Listing,
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
            None => Ids.make(now).map_err(StoreError::Io)?,
        };
        // One thing under two records: the older lives on, the other is the same thing and goes.
        for twin in found.iter().skip(1) {
            if let Some(change) = draft.record(*twin)?.and_then(absence::merged_away) {
                self.apply(draft, listing, change)?;
            }
        }
        let said = Said { scope: listing.row.number, part, as_of, recorded: now };
        let birth = Birth { id, baseline: self.source.first_complete.is_none() };
        let change = reconcile::present(draft.record(id)?, entity, said, birth);
        listing.saw(part, id)?;
        change.map_or(Ok(()), |change| self.apply(draft, listing, change))
    }

    fn told_gone(
        &mut self,
        draft: &mut Draft<'_>,
        listing: &mut Listing,
        (part, key): (PartId, &Key),
    ) -> Result<(), WriteError> {
        let Some(id) = draft.resolve(key)? else { return Ok(()) };
        let change = draft.record(id)?.and_then(|record| absence::told_gone(record, listing.row.number, part));
        change.map_or(Ok(()), |change| self.apply(draft, listing, change))
    }

    /// Takes a change into the draft, and whatever follows from it: with its container a thing goes too.
    fn apply(&mut self, draft: &mut Draft<'_>, listing: &mut Listing, change: Change) -> Result<(), WriteError> {
        for change in with_dependents(draft, change)? {
            listing.count(change.what);
            self.take_in(draft, change)?;
            if draft.is_full() {
                self.commit(draft)?;
            }
        }
        Ok(())
    }

    /// Takes one change into the draft, and remembers what it makes different.
    fn take_in(&mut self, draft: &mut Draft<'_>, change: Change) -> Result<(), WriteError> {
        let before = if change.what == What::Appeared { None } else { draft.record(change.after.id)? };
        let news = News::between(before, &change.after);
        self.touched.entry(change.after.id).or_default().add(news);
        draft.apply(change)?;
        Ok(())
    }

    fn cover(&mut self, draft: &mut Draft<'_>, scope: &Scope, (cover, as_of): (Cover, Time)) -> Result<(), WriteError> {
        self.commit(draft)?;
        let now = self.house.now();
        let Some(mut listing) = self.listings.remove(&scope.path) else { return Err(unbegun(scope)) };
        let stale = cover.is_full() && listing.row.as_of.is_some_and(|known| known > as_of);
        let cover = if stale { Cover::Partial { why: Why::Stale } } else { cover };
        if let Cover::Full { atomic, .. } = cover {
            listing.fully_covered(draft.inventory(), atomic)?;
        }
        listing.end(cover.word());
        if !matches!(cover, Cover::Partial { .. }) {
            self.believe(draft, &mut listing)?;
            if !matches!(cover, Cover::Delta { .. }) {
                listing.row.covered_at = Some(now);
            }
            listing.row.as_of = Some(as_of.max(listing.row.as_of.unwrap_or(as_of)));
            let cold = listing.row.full_at.is_none() || listing.row.made_by != self.made_by;
            if cover.is_full() {
                listing.row.full_at = Some(now);
            } else if cold && matches!(cover, Cover::Delta { .. }) {
                // Read from nothing: the time for which changes alone are trusted runs from here, however many runs it takes.
                listing.row.full_at = Some(listing.began);
            }
            if cover.is_full() || cover.next().is_some() {
                listing.row.made_by = self.made_by;
                draft.put_cursor(&mut listing.row, cover.next());
            }
        } else if stale {
            let said = format!("the answer is as of {as_of}, older than what is known already");
            self.trouble(Trouble { place: scope.path.clone(), why: Why::Stale, said, blind_spot: false });
        }
        draft.put_scope(listing.row.clone());
        self.listings.insert(scope.path.clone(), listing);
        Ok(())
    }

    /// Lets the absences found so far through, or holds them back and remembers them.
    fn believe(&mut self, draft: &mut Draft<'_>, listing: &mut Listing) -> Result<(), WriteError> {
        let (lacking, brake) = listing.settle(draft.inventory(), &mut self.vanishing)?;
        let number = listing.row.number;
        if listing.row.held > 0 {
            for (part, id, ..) in draft.inventory().held(number)? {
                if !lacking.iter().any(|it| (it.part, it.id) == (part, id)) {
                    draft.unhold(number, part, id);
                    listing.row.held = listing.row.held.saturating_sub(1);
                }
            }
        }
        let pass = brake == Brake::Free;
        for absence in lacking {
            let Some(change) = listing.vanish(draft, absence)? else { continue };
            if pass {
                draft.unhold(number, absence.part, absence.id);
                self.apply(draft, listing, change)?;
            } else {
                self.held = true;
                listing.report.held += 1;
                draft.hold(number, absence.part, absence.id, (listing.began, absence.atomic))?;
            }
            if draft.is_full() {
                self.commit(draft)?;
            }
        }
        listing.row.held = if pass { 0 } else { listing.report.held };
        Ok(())
    }

    fn unwatch(&mut self, draft: &mut Draft<'_>, scope: &Scope) -> Result<(), WriteError> {
        self.commit(draft)?;
        let below = draft.inventory().scopes(Some(&self.run.source))?;
        for mut row in below.into_iter().filter(|row| row.watched && scope.holds(&row.scope)) {
            for (_, id) in draft.inventory().places(row.number)? {
                if let Some(change) = draft.record(id)?.and_then(|record| absence::unwatch(record, row.number)) {
                    self.take_in(draft, change)?;
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

    /// Makes durable what the draft holds, and goes on with an empty one.
    fn commit(&mut self, draft: &mut Draft<'_>) -> Result<(), WriteError> {
        let next = Draft::new(draft.inventory(), self.house.now());
        let full = std::mem::replace(draft, next);
        self.committed |= full.changed() > 0;
        full.commit()?;
        Ok(())
    }

    fn judge(&mut self) -> Result<(), WriteError> {
        let touched = std::mem::take(&mut self.touched).into_iter().map(|(id, news)| Touched { id, news });
        let touched: Vec<Touched> = touched.collect();
        if !touched.is_empty() {
            self.watcher.changed(self.house, touched)?;
        }
        Ok(())
    }
}

fn unbegun(scope: &Scope) -> WriteError {
    WriteError::Connector(format!("it spoke of {scope} before it began it"))
}

fn names_of(entity: &Entity) -> Vec<Key> {
    let alias = |external: &String| Key::new(entity.key.realm.clone(), entity.key.kind, external.clone());
    std::iter::once(entity.key.clone()).chain(entity.aliases.iter().map(alias)).collect()
}
