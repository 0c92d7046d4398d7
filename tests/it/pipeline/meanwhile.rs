//! What others write about a source while it is looked at: the run's own words at its end leave it as it is.

use provost::{
    house::House,
    jobs::{
        Watcher,
        judge::Touched,
        sources::{baseline, change_source},
    },
};
use provost_model::{Outcome, Span, Time};
use provost_store::{StoreError, inventory::BaselineState};

use super::script::{Desk, listing};

const NEXT: Time = Time::from_seconds(1_800_000_000);

/// A scheduler and an operator who write while the run is under way.
struct Busy;

impl Watcher for Busy {
    fn changed(&mut self, house: &House, _: Vec<Touched>) -> Result<(), StoreError> {
        change_source(house, "test", |row, _| row.next_run = Some(NEXT))?;
        baseline(house, "test", BaselineState::Accepted, "known since the audit")
    }
    fn over(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
    fn progress(&mut self, _: u64, _: Option<u64>, _: &'static str) {}
    fn clock_ahead(&mut self, _: Span) {}
}

#[test]
fn what_is_decided_during_a_run_is_not_undone_by_its_end() {
    let desk = Desk::new();
    desk.run(&listing(&["a"]));
    let run = desk.watched(&listing(&["a", "b"]), Box::new(Busy)).unwrap();
    assert_eq!(run.outcome, Outcome::Complete);
    let row = desk.house.inventory().source("test").unwrap();
    assert_eq!((row.next_run, row.baseline, row.words.len()), (Some(NEXT), BaselineState::Accepted, 1));
    assert_eq!((row.last_run, row.last_complete), (Some(run.id), run.ended), "and its own words are there");
}
