//! Judges pages of records on several threads, while one writes what came of them, in the order of the pages.
//! It must never write a page before those before it, nor leave one out because the thread that had it failed.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use provost_model::{Record, RecordId, Time};
use provost_store::{
    StoreError,
    inventory::{Draft, Reads, Sealed},
};

use super::{
    Yardstick,
    household::Bench,
    verdicts::{self, Judged},
};
use crate::house::House;

/// Threads that judge at most: whatever else the machine does goes on.
const HANDS_MAX: usize = 4;
/// Pages handed out and not written yet, for each thread.
const AHEAD: usize = 2;

/// Whom a page is about.
pub(in crate::jobs) type Which<'a> = &'a (dyn Fn(&Record) -> bool + Sync);

/// Those who judge pages.
struct Crew<'a> {
    house: &'a House,
    yardstick: &'a Yardstick,
    which: Which<'a>,
}

/// A page that was judged.
struct Done {
    judged: Vec<Judged>,
    /// What the verdicts rest on.
    reads: Reads,
    now: Time,
}

/// Judges every record of some pages of whom `which` speaks, each with its neighbourhood but nobody else. `next` gives the
/// next page, `None` after the last one; `with` says what goes with a page's verdicts, whose last record it is told. Nobody
/// else judges meanwhile.
pub(in crate::jobs) fn pages(
    house: &House,
    yardstick: &Yardstick,
    which: Which<'_>,
    next: &mut dyn FnMut() -> Result<Option<Vec<Sealed>>, StoreError>,
    with: &mut dyn FnMut(&mut Draft<'_>, RecordId) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let _gavel = house.gavel();
    let crew = Crew { house, yardstick, which };
    let hands = thread::available_parallelism().map_or(1, usize::from).min(HANDS_MAX);
    let (give, given) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let given = Mutex::new(given);
    thread::scope(|threads| {
        // Ends with this closure, however it ends, and with it the threads.
        let give = give;
        for _ in 0..hands {
            let (crew, given, tell) = (&crew, &given, tell.clone());
            thread::Builder::new().name("judging".to_owned()).spawn_scoped(threads, move || crew.work(given, &tell))?;
        }
        let (mut ready, mut pages) = (BTreeMap::new(), BTreeMap::new());
        let (mut begun, mut written, mut over) = (0_usize, 0_usize, false);
        loop {
            while !over && begun < written + hands * AHEAD {
                let Some(page) = next()?.filter(|page| !page.is_empty()) else {
                    over = true;
                    break;
                };
                pages.insert(begun, page.iter().map(|it| it.id).collect());
                give.send((begun, page)).map_err(|_| failed())?;
                begun += 1;
            }
            if written == begun {
                return Ok(());
            }
            let (place, done) = told.recv().map_err(|_| failed())?;
            ready.insert(place, done);
            while let Some(done) = ready.remove(&written) {
                let ids: Vec<RecordId> = pages.remove(&written).unwrap_or_default();
                crew.write(done, &ids, with)?;
                written += 1;
            }
        }
    })
}

type Given = Mutex<mpsc::Receiver<(usize, Vec<Sealed>)>>;
type Tell = mpsc::Sender<(usize, Result<Done, StoreError>)>;

impl Crew<'_> {
    /// Judges one page after the other until there is none.
    fn work(&self, given: &Given, tell: &Tell) {
        loop {
            let next = given.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((place, page)) = next else { return };
            let done = catch_unwind(AssertUnwindSafe(|| self.judge(&|bench| bench.inventory.unsealed(&page))));
            if tell.send((place, done.unwrap_or_else(|_| Err(failed())))).is_err() {
                return;
            }
        }
    }

    /// Judges the records that `read` gives.
    fn judge(&self, read: &dyn Fn(&Bench<'_>) -> Result<Vec<Record>, StoreError>) -> Result<Done, StoreError> {
        let (house, reads, now) = (self.house, Reads::default(), self.house.now());
        let scopes = house.inventory().scopes(None)?;
        let bench = Bench::new(house.inventory().noting(&reads), self.yardstick, &scopes)?;
        let households = {
            let _still = house.still();
            bench.page(read(&bench)?, self.which)?
        };
        let mut judged = Vec::new();
        for household in households {
            judged.extend(verdicts::judged(&bench, household, now)?);
        }
        drop(bench);
        Ok(Done { judged, reads, now })
    }

    /// Writes what came of a page; where another process was faster, or the store is away, the page is judged again.
    fn write(
        &self,
        done: Result<Done, StoreError>,
        ids: &[RecordId],
        with: &mut dyn FnMut(&mut Draft<'_>, RecordId) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut first = Some(done);
        self.house.again(|| {
            let done = first.take().unwrap_or_else(|| self.judge(&|bench| bench.inventory.records(ids, None)))?;
            let inventory = self.house.inventory().noting(&done.reads);
            let mut draft = Draft::new(inventory, done.now);
            let subjects = done.judged.len();
            let findings = verdicts::write(&mut draft, done.judged, done.now)?;
            ids.last().map_or(Ok(()), |last| with(&mut draft, *last))?;
            draft.commit()?;
            tracing::debug!(records = ids.len(), subjects, findings, "judged a page");
            Ok(())
        })
    }
}

fn failed() -> StoreError {
    StoreError::Io(std::io::Error::other("judging panicked"))
}
