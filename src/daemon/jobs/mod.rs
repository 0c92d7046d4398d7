//! Turns of the daemon: each can be killed at any point and run again without loss and without duplicates (promise 8).
//! It must never take input beside the house and the configuration: restart and happy path run the same code.

pub mod anew;
pub mod assess;
mod cascade;
pub mod compare;
pub mod decide;
pub mod deliver;
mod digest;
pub mod guard;
pub mod judge;
pub mod jury;
pub mod link;
mod listing;
pub mod owners;
pub mod retention;
pub mod rotate;
pub mod runs;
pub mod scan;
pub mod snapshot;
pub mod sources;
mod spool;
pub mod tell;
pub mod tickets;
pub mod upkeep;
pub mod vouch;
mod writer;

use provost_model::{Finding, RecordId, Time};
use provost_store::{Go, StoreError, inventory::Draft};

pub use writer::{Watcher, WriteError};

use crate::house::House;

/// Subjects about which something is put into a draft in one commit.
const SUBJECTS: usize = 500;

/// Puts something into a draft, such as a place in a queue, about each subject of such findings: a commit for many of them.
fn each_subject(
    house: &House,
    which: &dyn Fn(&Finding) -> bool,
    put: &dyn Fn(&mut Draft<'_>, RecordId, Time),
) -> Result<(), StoreError> {
    let mut subjects = Vec::new();
    house.inventory().each_finding(None, &mut |finding| {
        if subjects.last() != Some(&finding.subject) && which(&finding) {
            subjects.push(finding.subject);
        }
        Ok(Go::On)
    })?;
    for batch in subjects.chunks(SUBJECTS) {
        house.again(|| {
            let now = house.now();
            let mut draft = Draft::new(house.inventory(), now);
            batch.iter().for_each(|subject| put(&mut draft, *subject, now));
            draft.commit()
        })?;
    }
    Ok(())
}
