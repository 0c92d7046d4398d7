//! One scope while it is being read: who was seen, who was lacking, and what may be concluded at its end.
//! It must never conclude anything from a listing that was not full.

use std::collections::{BTreeSet, HashMap};

use provost_engine::absence::{self, Brake, Vanishing};
use provost_model::{Change, Cover, PartId, RecordId, ScopeNo, ScopeReport, Standing, Time, What};
use provost_store::{
    Go, StoreError,
    inventory::{Draft, Inventory, ScopeRow},
};

use super::spool::Spool;
use crate::house::House;

/// A record that a full listing lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// In which part of the scope.
    pub part: PartId,
    /// Which record.
    pub id: RecordId,
    /// Whether the listing was one consistent response.
    pub atomic: bool,
}

/// What a draft will have done to a listing once it is durable.
pub enum Step {
    /// A record was seen.
    Saw(PartId, RecordId),
    /// A part was read.
    Part(PartId, Cover),
    /// A record changed.
    Changed(What),
    /// The reading ended, or got to a checkpoint, with that many more absences held back.
    Ended(Box<ScopeRow>, u64),
}

/// One scope while it is being read.
pub struct Listing {
    /// What is kept of the scope.
    pub row: ScopeRow,
    /// When this reading of it began.
    pub began: Time,
    /// What this run did in it.
    pub report: ScopeReport,
    seen: Spool,
    parts: HashMap<PartId, Vec<RecordId>>,
    lacking: Vec<Lacking>,
    /// Absences of this run so far: all, and those that are news, let through or held.
    lacked: u64,
    absent: u64,
    present_at_start: u64,
    staged: Vec<Step>,
}

impl Listing {
    /// The reading of that scope begins.
    pub fn begin(row: ScopeRow, began: Time) -> Self {
        let report = ScopeReport { scope: row.scope.path.clone(), cover: "open".into(), ..ScopeReport::default() };
        let present_at_start = row.present;
        Self {
            row,
            began,
            report,
            seen: Spool::default(),
            parts: HashMap::new(),
            lacking: Vec::new(),
            lacked: 0,
            absent: 0,
            present_at_start,
            staged: Vec::new(),
        }
    }

    /// Stages what a draft will have done. Tells whether it is the first such step.
    pub fn stage(&mut self, step: Step) -> bool {
        self.staged.push(step);
        self.staged.len() == 1
    }

    /// The draft was refused: nothing of it was done.
    pub fn unstage(&mut self) {
        self.staged.clear();
    }

    /// The draft is durable: so it was.
    pub fn keep(&mut self, house: &House) -> Result<(), StoreError> {
        for step in std::mem::take(&mut self.staged) {
            match step {
                Step::Saw(part, id) => self.saw(part, id)?,
                Step::Part(part, cover) => self.part_covered(house, part, &cover)?,
                Step::Changed(what) => self.count(what),
                Step::Ended(row, held) => {
                    self.report.held += held;
                    self.report.cover.clone_from(&row.last_cover);
                    self.row = *row;
                }
            }
        }
        Ok(())
    }

    fn saw(&mut self, part: PartId, id: RecordId) -> Result<(), StoreError> {
        self.report.seen += 1;
        if part == PartId::WHOLE {
            self.seen.push(id)?;
        } else {
            self.parts.entry(part).or_default().push(id);
        }
        Ok(())
    }

    /// A part was read. Only a full reading of it lets anything be lacking.
    fn part_covered(&mut self, house: &House, part: PartId, cover: &Cover) -> Result<(), StoreError> {
        let seen = self.parts.remove(&part).unwrap_or_default();
        let Cover::Full { atomic, .. } = cover else { return Ok(()) };
        if self.present_at_start == 0 {
            return Ok(());
        }
        let (number, atomic) = (self.row.number, *atomic);
        self.lacking.extend(house.again(|| {
            let mut lacking = Vec::new();
            house.inventory().each_place(number, part, &mut |id| {
                if !seen.contains(&id) {
                    lacking.push(Lacking { part, id, atomic });
                }
                Ok(Go::On)
            })?;
            Ok(lacking)
        })?);
        Ok(())
    }

    /// The whole scope was read in full: whatever stands in it and was not seen is lacking.
    pub fn fully_covered(&mut self, house: &House, atomic: bool) -> Result<(), StoreError> {
        let (number, part) = (self.row.number, PartId::WHOLE);
        let seen = &mut self.seen;
        self.lacking.extend(house.again(|| {
            let (mut seen, mut lacking) = (seen.sorted()?.peekable(), Vec::new());
            house.inventory().each_place(number, part, &mut |id| {
                loop {
                    match seen.peek() {
                        Some(Ok(next)) if *next < id => drop(seen.next()),
                        Some(Ok(next)) if *next == id => return Ok(Go::On),
                        Some(Err(_)) => {
                            return Err(seen.next().and_then(Result::err).map_or_else(lost, StoreError::Io));
                        }
                        Some(Ok(_)) | None => break,
                    }
                }
                lacking.push(Lacking { part, id, atomic });
                Ok(Go::On)
            })?;
            Ok(lacking)
        })?);
        self.seen = Spool::default();
        Ok(())
    }

    /// Counts a change.
    fn count(&mut self, what: What) {
        match what {
            What::Appeared => self.report.appeared += 1,
            What::Changed => self.report.changed += 1,
            What::Returned => self.report.returned += 1,
            What::Missing => self.report.missing += 1,
            What::Gone => self.report.gone += 1,
            What::Touched | What::Unwatched => {}
        }
    }

    /// Takes what is lacking so far, together with the brake's answer for it. `source` counts what vanished and what is
    /// present in the whole source, this not included. What was missing before is no news: it was let through once; nor is what
    /// Provost itself removed, and saw removed.
    pub fn settle(
        &mut self,
        inventory: Inventory<'_>,
        source: &mut Vanishing,
    ) -> Result<(Vec<Lacking>, Brake), StoreError> {
        let mut news = 0;
        let removed = if self.lacking.is_empty() { BTreeSet::new() } else { removed(inventory)? };
        for it in self.lacking.iter().filter(|it| !removed.contains(&it.id)) {
            let said = inventory.record(it.id, None)?.and_then(|record| {
                record.statements.into_iter().find(|said| said.scope == self.row.number && said.part == it.part)
            });
            news += u64::from(said.is_some_and(|said| said.standing == Standing::Seen));
        }
        let lacking = std::mem::take(&mut self.lacking);
        self.lacked += lacking.len() as u64;
        self.absent += news;
        source.absent += news;
        let emptied = self.absent > 0 && self.lacked >= self.present_at_start;
        let absent = if emptied { self.lacked } else { self.absent };
        let brake = absence::brake(Vanishing { absent, present: self.present_at_start }, *source);
        Ok((lacking, brake))
    }
}

/// What changes removed that were carried out.
fn removed(inventory: Inventory<'_>) -> Result<BTreeSet<RecordId>, StoreError> {
    let sagas = inventory.sagas()?.into_iter().filter(|saga| saga.deleted_at.is_some());
    Ok(sagas.map(|saga| saga.target.record).collect())
}

/// The change that the absence of a record from the reading of a scope would make, if any.
pub fn vanish(
    draft: &mut Draft<'_>,
    (scope, began): (ScopeNo, Time),
    lacking: Lacking,
) -> Result<Option<Change>, StoreError> {
    let Lacking { part, id, atomic } = lacking;
    let listing = absence::Listing { scope, part, began, atomic };
    Ok(draft.record(id)?.and_then(|record| absence::absent(record, listing)))
}

fn lost() -> StoreError {
    StoreError::Codec("a spool".into())
}
