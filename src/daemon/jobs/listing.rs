//! One scope while it is being read: who was seen, who was lacking, and what may be concluded at its end.
//! It must never conclude anything from a listing that was not full.

use std::collections::HashMap;

use provost_engine::absence::{self, Brake, Vanishing};
use provost_model::{Change, Cover, PartId, RecordId, ScopeReport, Standing, Time, What};
use provost_store::{
    Go, StoreError,
    inventory::{Draft, Inventory, ScopeRow},
};

use super::spool::Spool;

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
        }
    }

    /// A record was seen.
    pub fn saw(&mut self, part: PartId, id: RecordId) -> Result<(), StoreError> {
        self.report.seen += 1;
        if part == PartId::WHOLE {
            self.seen.push(id)?;
        } else {
            self.parts.entry(part).or_default().push(id);
        }
        Ok(())
    }

    /// A part was read. Only a full reading of it lets anything be lacking.
    pub fn part_covered(&mut self, inventory: Inventory<'_>, part: PartId, cover: &Cover) -> Result<(), StoreError> {
        let seen = self.parts.remove(&part).unwrap_or_default();
        let Cover::Full { atomic, .. } = cover else { return Ok(()) };
        if self.present_at_start == 0 {
            return Ok(());
        }
        let (lacking, atomic) = (&mut self.lacking, *atomic);
        inventory.each_place(self.row.number, part, &mut |id| {
            if !seen.contains(&id) {
                lacking.push(Lacking { part, id, atomic });
            }
            Ok(Go::On)
        })
    }

    /// The whole scope was read in full: whatever stands in it and was not seen is lacking.
    pub fn fully_covered(&mut self, inventory: Inventory<'_>, atomic: bool) -> Result<(), StoreError> {
        let mut seen = std::mem::take(&mut self.seen).sorted()?.peekable();
        let (lacking, part) = (&mut self.lacking, PartId::WHOLE);
        inventory.each_place(self.row.number, part, &mut |id| {
            loop {
                match seen.peek() {
                    Some(Ok(next)) if *next < id => drop(seen.next()),
                    Some(Ok(next)) if *next == id => return Ok(Go::On),
                    Some(Err(_)) => return Err(seen.next().and_then(Result::err).map_or_else(lost, StoreError::Io)),
                    Some(Ok(_)) | None => break,
                }
            }
            lacking.push(Lacking { part, id, atomic });
            Ok(Go::On)
        })
    }

    /// The reading ended like this, or got to a checkpoint.
    pub fn end(&mut self, cover: &str) {
        self.report.cover = cover.to_owned();
        self.row.last_cover = cover.to_owned();
    }

    /// Counts a change.
    pub fn count(&mut self, what: What) {
        match what {
            What::Appeared => self.report.appeared += 1,
            What::Changed => self.report.changed += 1,
            What::Returned => self.report.returned += 1,
            What::Missing => self.report.missing += 1,
            What::Gone => self.report.gone += 1,
            What::Touched | What::Unwatched => {}
        }
    }

    /// The change that one absence would make, if any.
    pub fn vanish(&self, draft: &mut Draft<'_>, lacking: Lacking) -> Result<Option<Change>, StoreError> {
        let Lacking { part, id, atomic } = lacking;
        let listing = absence::Listing { scope: self.row.number, part, began: self.began, atomic };
        Ok(draft.record(id)?.and_then(|record| absence::absent(record, listing)))
    }

    /// Takes what is lacking so far, together with the brake's answer for it. `source` counts what vanished and what is
    /// present in the whole source, this not included. What was missing before is no news: it was let through once.
    pub fn settle(
        &mut self,
        inventory: Inventory<'_>,
        source: &mut Vanishing,
    ) -> Result<(Vec<Lacking>, Brake), StoreError> {
        let lacking = std::mem::take(&mut self.lacking);
        let mut news = 0;
        for it in &lacking {
            let said = inventory.record(it.id, None)?.and_then(|record| {
                record.statements.into_iter().find(|said| said.scope == self.row.number && said.part == it.part)
            });
            news += u64::from(said.is_some_and(|said| said.standing == Standing::Seen));
        }
        self.lacked += lacking.len() as u64;
        self.absent += news;
        source.absent += news;
        let emptied = self.absent > 0 && self.lacked >= self.present_at_start;
        let absent = if emptied { self.lacked } else { self.absent };
        let brake = absence::brake(Vanishing { absent, present: self.present_at_start }, *source);
        Ok((lacking, brake))
    }
}

fn lost() -> StoreError {
    StoreError::Codec("a spool".into())
}
