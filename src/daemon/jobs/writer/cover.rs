//! The end of a listing: what it lacks, whether the brake lets that be believed, and the cursor that vouches for it.
//! It must never close a listing twice: where a commit is refused, what follows from the one end is tried again.

use std::sync::Arc;

use provost_engine::absence::Brake;
use provost_model::{Cover, Scope, Time, Trouble, Why};
use provost_store::inventory::{Draft, ScopeRow};

use super::{WriteError, Writer, unbegun};
use crate::jobs::listing::{Lacking, Step, vanish};

/// A listing at its end: what it lacks, and whether that is believed.
pub(super) struct Closed {
    cover: Cover,
    lacking: Vec<Lacking>,
    brake: Brake,
}

impl Writer<'_> {
    /// A scope was covered: what its listing lacks is believed or held back, and its cursor moves.
    pub(super) fn cover(
        &mut self,
        draft: &mut Draft<'_>,
        scope: &Scope,
        (cover, as_of): (Cover, Time),
    ) -> Result<(), WriteError> {
        self.commit(draft)?;
        let now = self.house.now();
        let closed = self.close_listing(scope, (cover, as_of))?;
        let listing = self.listing(scope)?;
        let (mut row, began, mut held) = (listing.row.clone(), listing.began, 0);
        let cover = &closed.cover;
        cover.word().clone_into(&mut row.last_cover);
        if !matches!(cover, Cover::Partial { .. }) {
            held = self.believe(draft, (&mut row, began), &closed)?;
            if !matches!(cover, Cover::Delta { .. }) {
                row.covered_at = Some(now);
            }
            row.as_of = Some(as_of.max(row.as_of.unwrap_or(as_of)));
            let cold = row.full_at.is_none() || row.made_by != self.made_by;
            if cover.is_full() {
                row.full_at = Some(now);
            } else if cold && matches!(cover, Cover::Delta { .. }) {
                // Read from nothing: the time for which changes alone are trusted runs from here, however many runs it takes.
                row.full_at = Some(began);
            }
            if cover.is_full() || cover.next().is_some() {
                row.made_by = self.made_by;
                draft.put_cursor(&mut row, cover.next());
            }
        }
        draft.put_scope(row.clone());
        self.stage(&scope.path, Step::Ended(Box::new(row), held));
        self.staged.covers.push(scope.path.clone());
        Ok(())
    }

    /// Closes a listing: what it lacks, and what the brake says to that. Once for each cover, however often what follows
    /// from it is tried.
    fn close_listing(&mut self, scope: &Scope, (cover, as_of): (Cover, Time)) -> Result<Arc<Closed>, WriteError> {
        if let Some(closed) = self.closed.get(&scope.path) {
            return Ok(Arc::clone(closed));
        }
        let house = self.house;
        let Some(listing) = self.listings.get_mut(&scope.path) else { return Err(unbegun(scope)) };
        let stale = cover.is_full() && listing.row.as_of.is_some_and(|known| known > as_of);
        let cover = if stale { Cover::Partial { why: Why::Stale } } else { cover };
        if let Cover::Full { atomic, .. } = cover {
            listing.fully_covered(house, atomic)?;
        }
        let (lacking, brake) = match cover {
            Cover::Partial { .. } => (Vec::new(), Brake::Free),
            _ => listing.settle(house.inventory(), &mut self.vanishing)?,
        };
        let closed = Arc::new(Closed { cover, lacking, brake });
        self.closed.insert(scope.path.clone(), Arc::clone(&closed));
        if stale {
            let said = format!("the answer is as of {as_of}, older than what is known already");
            self.trouble(Trouble { place: scope.path.clone(), why: Why::Stale, said, blind_spot: false });
        }
        Ok(closed)
    }

    /// Lets the absences found so far through, or holds them back and remembers them. Gives the number held back.
    fn believe(
        &mut self,
        draft: &mut Draft<'_>,
        (row, began): (&mut ScopeRow, Time),
        closed: &Closed,
    ) -> Result<u64, WriteError> {
        let (number, path, lacking) = (row.number, row.scope.path.clone(), &closed.lacking);
        if row.held > 0 {
            for (part, id, ..) in draft.inventory().held(number)? {
                if !lacking.iter().any(|it| (it.part, it.id) == (part, id)) {
                    draft.unhold(number, part, id);
                    row.held = row.held.saturating_sub(1);
                }
            }
        }
        let (pass, mut held) = (closed.brake == Brake::Free, 0);
        for absence in lacking {
            let Some(change) = vanish(draft, (number, began), *absence)? else { continue };
            if pass {
                draft.unhold(number, absence.part, absence.id);
                self.apply(draft, &path, change)?;
            } else {
                held += 1;
                draft.hold(number, absence.part, absence.id, (began, absence.atomic))?;
            }
            if draft.is_full() {
                self.commit(draft)?;
            }
        }
        let before = self.listings.get(&path).map_or(0, |listing| listing.report.held);
        row.held = if pass { 0 } else { before + held };
        Ok(held)
    }
}
