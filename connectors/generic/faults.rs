//! Two promises of every connector: a fault on any page shows and covers nothing, and the calls are those it declares.
//! It must never take a fault that did not show for one that did no harm.

use std::{collections::BTreeSet, sync::Arc};

use futures::StreamExt as _;
use provost_model::{Reading, Value};

use super::{Door, Estate, Fault, Said, Upstream, estates, in_rust, through};
use crate::manifest;

/// One estate, its door, and what a run without faults says.
struct Ready {
    estate: Box<dyn Estate>,
    upstream: Arc<Upstream>,
    whole: Said,
    /// The requests of that run, each once, in order, with their number.
    pages: Vec<(String, u64)>,
}

/// Runs at a time: most of them wait.
const AT_ONCE: usize = 16;

async fn ready(estate: Box<dyn Estate>) -> Ready {
    let upstream = estate.start().await;
    let door = Door::open(Arc::clone(&upstream), None).await;
    let whole = through(&door, &*estate).await;
    Ready { estate, upstream, pages: door.seen(), whole }
}

/// What is wrong with a run in which one page had a fault: it must be spoken of, and something be left uncovered, unless the
/// page can be borne; what is covered has to be told as if there had been no fault, but for readings that are not answered.
fn judged(whole: &Said, faulty: &Said, can_be_borne: bool) -> Result<(), String> {
    let uncovered = whole.covers.keys().any(|place| whole.is_whole(place) && !faulty.is_whole(place));
    let must_show = uncovered || !can_be_borne;
    if must_show && faulty.broke.is_none() && faulty.troubles.is_empty() {
        return Err("nothing was said of it".to_owned());
    }
    if must_show && !uncovered && faulty.troubles.iter().all(|it| it.blind_spot) {
        return Err("everything was covered all the same".to_owned());
    }
    for (place, cover) in faulty.covers.iter().filter(|(place, _)| faulty.is_whole(place)) {
        let (should, told) = (whole.covered_by(place), faulty.covered_by(place));
        let missing: Vec<&String> = should.keys().filter(|key| !told.contains_key(*key)).collect();
        if !missing.is_empty() {
            return Err(format!("{place:?} is covered as {}, without {missing:?}", cover.word()));
        }
        for (key, entity) in told {
            // What stands in for a page may tell more in one place.
            let Some(right) = should.get(&key) else { continue };
            for (field, said) in entity.facts.iter().filter(|(_, said)| said.is_answered()) {
                let right = right.facts.iter().find(|(it, _)| *it == field).map(|(_, right)| whole.text(right));
                // A name is always given: the id, where nobody tells another.
                let is_id = field.name() == "name" && told_as_id(said, &key);
                if right.as_ref() != Some(&faulty.text(said)) && !is_id {
                    return Err(format!("{key} has {} {said:?} in place of {right:?}", field.name()));
                }
            }
        }
    }
    Ok(())
}

fn told_as_id(said: &Reading<Value>, key: &str) -> bool {
    matches!(said, Reading::Known(Value::Text(name)) if key.ends_with(name.as_str()))
}

/// Tries every fault on every page of those estates.
async fn tried(estates: Vec<Box<dyn Estate>>) {
    let mut found = Vec::new();
    for estate in estates {
        let ready = ready(estate).await;
        let name = ready.estate.spec().name;
        assert!(ready.whole.broke.is_none() && ready.whole.troubles.is_empty(), "{name}: {:?}", ready.whole);
        assert!(!ready.pages.is_empty() && !ready.whole.seen.is_empty(), "{name} shows nothing that could be missed");
        let faults = Fault::all(&ready.estate.throttle());
        let orders = ready.estate.orders();
        let shows = |page: &&(String, u64)| !orders.iter().any(|words| page.0.contains(words));
        let each = ready.pages.iter().filter(shows).flat_map(|(page, _)| faults.iter().map(move |fault| (page, fault)));
        let runs = futures::stream::iter(each).map(async |(page, fault)| {
            let door = Door::open(Arc::clone(&ready.upstream), None).await;
            door.go_wrong(page, ready.estate.alike(), fault);
            let faulty = through(&door, &*ready.estate).await;
            judged(&ready.whole, &faulty, ready.estate.can_bear(page))
                .err()
                .map(|said| format!("{name}: {fault:?} at {page}: {said}"))
        });
        let told: Vec<Option<String>> = runs.buffer_unordered(AT_ONCE).collect().await;
        found.extend(told.into_iter().flatten());
    }
    assert!(found.is_empty(), "{} faults did harm:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn a_fault_on_any_page_of_a_connector_in_rust_shows_and_covers_nothing() {
    tried(in_rust()).await;
}

#[tokio::test]
async fn a_fault_on_any_page_of_a_manifest_shows_and_covers_nothing() {
    tried(manifest::estates()).await;
}

#[tokio::test]
async fn the_calls_are_those_that_were_declared() {
    for estate in estates() {
        let ready = ready(estate).await;
        let spec = ready.estate.spec();
        let declared: BTreeSet<&str> = spec.reads.iter().map(|read| read.0).collect();
        let made: BTreeSet<&str> = ready.whole.calls.keys().map(|it| it.split(" (").next().unwrap()).collect();
        let undeclared: Vec<_> = made.difference(&declared).collect();
        assert!(undeclared.is_empty(), "{} calls {undeclared:?}", spec.name);
        let spare: BTreeSet<&str> = ready.estate.spare().into_iter().collect();
        let unused: Vec<_> = declared.difference(&made).filter(|it| !spare.contains(*it)).collect();
        assert!(unused.is_empty(), "{} declares {unused:?}, and never calls it", spec.name);
        let sent: u64 = ready.pages.iter().map(|(_, times)| times).sum();
        assert_eq!(ready.whole.calls.values().sum::<u64>(), sent, "{}: calls told and calls sent", spec.name);
    }
}
