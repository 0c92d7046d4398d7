//! A store that takes far more room than it needs is rewritten by the daemon itself, or its owner told why not.
//! It must never be read through for nothing.

use std::sync::{Arc, Mutex};

use provost::{
    house::House,
    jobs::{judge::Yardstick, upkeep},
};
use provost_engine::store_subject;
use provost_model::{Clock, FindingState, Span, Time};
use provost_store::{Compacted, Space};

use super::shared::Shared;

const GIB: u64 = 1 << 30;

struct Hands(Mutex<Time>);

impl Clock for Hands {
    fn now(&self) -> Time {
        *self.0.lock().unwrap()
    }
}

#[test]
fn a_store_is_rewritten_when_that_gives_much_back_and_a_finding_stands_while_there_is_no_room() {
    let (store, clock) = (Arc::new(Shared::new()), Arc::new(Hands(Mutex::new(Time::from_seconds(1_790_000_000)))));
    let house = House::new(Arc::clone(&store) as _, Arc::clone(&clock) as _);
    let turn = || upkeep::turn(&house, &Yardstick::default()).unwrap();
    let disk = |used: u64, live: u64, free: u64| {
        *store.disk.lock().unwrap() = Some((Space { free, total: 100 * GIB, used }, live));
    };
    let findings = || -> Vec<(String, FindingState)> {
        let all = house.inventory().findings_of(store_subject()).unwrap();
        all.into_iter().map(|it| (it.rule, it.state)).collect()
    };
    let later = |days: i64| *clock.0.lock().unwrap() = clock.now() + Span::days(days);
    assert_eq!(turn(), None, "a shared store is its server's business");
    disk(GIB / 8, 0, GIB);
    assert_eq!(turn(), None, "a small one is left");
    assert_eq!(house.store().head().unwrap().number.0, 0);
    disk(GIB, GIB / 2, 9 * GIB);
    assert_eq!(turn(), None, "little would be given back");
    disk(3 * GIB / 2, GIB / 4, 9 * GIB);
    assert_eq!(turn(), None, "it was read through when it took a GiB, and has not doubled");
    disk(2 * GIB, GIB / 2, 9 * GIB);
    assert_eq!(turn(), Some(Compacted { before: 2 * GIB, after: GIB / 2 }));
    assert_eq!((turn(), findings().len()), (None, 0));
    // No room: said once, tried again the next day, and done when there is.
    disk(4 * GIB, GIB, GIB);
    assert_eq!(turn(), None);
    assert_eq!(findings(), [("STORE-ROOM".to_owned(), FindingState::Open)]);
    disk(4 * GIB, GIB, 9 * GIB);
    assert_eq!(turn(), None, "not before a day is over");
    later(1);
    assert_eq!(turn(), Some(Compacted { before: 4 * GIB, after: GIB }));
    assert_eq!(findings(), [("STORE-ROOM".to_owned(), FindingState::Resolved)]);
}
