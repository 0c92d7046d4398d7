//! Several daemons on one store: what each does is as if they had taken turns, and who lost the lease changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use proptest::prelude::*;
use provost::{
    house::House,
    jobs::{WriteError, assess, judge, sources::change_source},
};
use provost_model::{Kind, Presence, RecordId, Run, Span, Time};
use provost_store::{CommitNo, Fence, Store, StoreError};

use super::{
    script::{Act, Desk, Nobody, listing as listed},
    shared::Shared,
};

/// Names for users, so that acts can hold them.
const NAMES: [&str; 24] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w",
    "x",
];

/// Which users a source lists, in two scopes; the flag: whether the listing of a scope is one consistent response.
type Listing = [(BTreeSet<usize>, bool); 2];

fn listing() -> impl Strategy<Value = Listing> {
    let scope = || (proptest::collection::btree_set(0..NAMES.len(), 0..NAMES.len()), any::<bool>());
    [scope(), scope()]
}

fn acts(listing: &Listing) -> Vec<Act> {
    let mut acts = vec![Act::Realm("123456789012")];
    for (scope, (users, atomic)) in ["users", "report"].into_iter().zip(listing) {
        acts.push(Act::Begin(scope));
        for user in users {
            acts.push(Act::User(scope, NAMES[*user]));
            // A key beside each, in a part of its own; of somebody who is never listed, so that nobody's end takes it along:
            // what follows from an end depends on who speaks last, in turns as well.
            let key: &'static str = ["AKIA", NAMES[*user]].concat().leak();
            acts.push(Act::Key(scope, Some(NAMES[*user]), key, "somebody"));
            acts.push(Act::PartFull(scope, NAMES[*user]));
        }
        acts.push(if *atomic { Act::Atomic(scope) } else { Act::Full(scope) });
    }
    acts
}

/// What stands in the store, without ids, times and numbers that depend on who came first.
#[derive(Debug, PartialEq)]
struct Picture {
    records: Vec<(Kind, String, Presence, Option<String>)>,
    /// Of each scope of each source: statements that stand as seen, counted and as the row has it, and absences held.
    scopes: BTreeMap<(String, String), (u64, u64, u64)>,
    /// Of each source: records it sees.
    sources: BTreeMap<String, u64>,
}

fn picture(desk: &Desk) -> Picture {
    let inventory = desk.house.inventory();
    let scopes = inventory.scopes_by_number().unwrap();
    let mut seen: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut by_source: BTreeMap<String, BTreeSet<RecordId>> = BTreeMap::new();
    let mut each = |record: provost_model::Record, _| {
        for said in record.statements.iter().filter(|said| said.standing == provost_model::Standing::Seen) {
            let row = &scopes[&said.scope];
            *seen.entry((row.source.clone(), row.scope.path.clone())).or_default() += 1;
            by_source.entry(row.source.clone()).or_default().insert(record.id);
        }
        Ok(provost_store::Go::On)
    };
    inventory.each_record(None, &mut each).unwrap();
    assert_eq!(scopes.len(), inventory.scopes(None).unwrap().len(), "no two scopes share a number");
    let counted = scopes.values().map(|row| {
        let at = (row.source.clone(), row.scope.path.clone());
        let seen = seen.get(&at).copied().unwrap_or(0);
        (at, (seen, row.present, row.held))
    });
    let scopes: BTreeMap<_, _> = counted.collect();
    for (at, (seen, present, _)) in &scopes {
        assert_eq!(seen, present, "the counter of {at:?}");
    }
    let sources: BTreeMap<String, u64> = inventory
        .source_names()
        .unwrap()
        .into_iter()
        .map(|it| (it.clone(), inventory.records_of(&it).unwrap()))
        .collect();
    for (source, count) in &sources {
        assert_eq!(by_source.get(source).map_or(0, BTreeSet::len) as u64, *count, "the counter of {source}");
    }
    Picture { records: desk.picture(), scopes, sources }
}

/// What runs say they did, added up: what each saw, and what became of records.
fn totals(runs: &[Run]) -> [u64; 3] {
    let scopes = || runs.iter().flat_map(|run| &run.scopes);
    [
        scopes().map(|it| it.seen).sum(),
        scopes().map(|it| it.appeared + it.returned).sum(),
        scopes().map(|it| it.missing + it.gone).sum(),
    ]
}

/// Rounds in which two sources are looked at, one after the other or both at once.
fn told(rounds: &[[Listing; 2]], at_once: bool) -> (Picture, Vec<[u64; 3]>, u64) {
    let store = Arc::new(Shared::new());
    // A moment between reading and writing, so that others get in between.
    store.before_each(move |_, place| {
        if at_once && place.is_multiple_of(3) {
            thread::sleep(Duration::from_micros(300));
        }
        Ok(())
    });
    let one = Desk::over(Arc::clone(&store) as Arc<dyn Store>);
    let two = one.beside(Arc::clone(&store) as Arc<dyn Store>, "other");
    let mut all = Vec::new();
    for [for_one, for_two] in rounds {
        let (for_one, for_two) = (acts(for_one), acts(for_two));
        let runs = if at_once {
            thread::scope(|threads| {
                let other = threads.spawn(|| two.run(&for_two));
                [one.run(&for_one), other.join().unwrap()]
            })
        } else {
            [one.run(&for_one), two.run(&for_two)]
        };
        all.push(totals(&runs));
    }
    (picture(&one), all, store.refused.load(Ordering::SeqCst))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn two_daemons_at_once_leave_what_they_leave_one_after_the_other(
        rounds in proptest::collection::vec([listing(), listing()], 1..4),
    ) {
        let (serial, counted, refused) = told(&rounds, false);
        prop_assert_eq!(refused, 0, "nobody was faster");
        let (together, summed, _) = told(&rounds, true);
        prop_assert_eq!(together, serial);
        for (together, serial) in summed.iter().zip(&counted) {
            prop_assert_eq!(together[0], serial[0], "each thing seen is counted once");
        }
        let first = |all: &[[u64; 3]]| all[0][1];
        prop_assert_eq!(first(&summed), first(&counted), "each thing appears once");
    }
}

#[test]
fn who_meets_the_same_things_at_the_same_time_is_refused_now_and_then() {
    let all: BTreeSet<usize> = (0..NAMES.len()).collect();
    let both = [[(all.clone(), false), (all.clone(), false)], [(all.clone(), false), (all, false)]];
    let (together, counted, refused) = told(&[both.clone(), both], true);
    assert!(refused > 0, "or the property test shows nothing");
    assert_eq!(together.records.len(), 2 * NAMES.len());
    assert_eq!(counted, [[8 * 24, 2 * 24, 0], [8 * 24, 0, 0]]);
}

const WORK: &str = "work/test";

/// Takes the lease of the source's work for ten minutes.
fn lease(desk: &Desk, holder: &str) -> Option<Fence> {
    let now = desk.house.now();
    desk.house.store().lease(WORK, holder, now, now + Span::seconds(600)).unwrap()
}

fn head(desk: &Desk) -> CommitNo {
    desk.house.store().head().unwrap().number
}

fn is_refused<T>(done: Result<T, StoreError>) -> bool {
    matches!(done, Err(StoreError::Conflict(_)))
}

#[test]
fn a_daemon_that_slept_through_its_lease_can_change_nothing_at_whatever_step_it_wakes_up() {
    // Made long ago, and nobody's: there is something to say about each.
    let users = |names: &[&'static str]| -> Vec<Act> {
        names.iter().map(|name| Act::Tagged("users", name, ("payer", "ann"))).collect()
    };
    let begin = [Act::Realm("123456789012"), Act::Begin("users")];
    let first = [&begin[..], &users(&["a", "b", "c", "d"]), &[Act::Full("users")]].concat();
    let mut acts = [&begin[..], &users(&["a", "b", "c"])].concat();
    acts.extend([Act::Full("users"), Act::Begin("report"), Act::User("report", "a"), Act::Atomic("report")]);
    let mut batches = 1;
    for asleep_before in 0.. {
        let store = Arc::new(Shared::new());
        let desk = Desk::over(Arc::clone(&store) as Arc<dyn Store>);
        desk.run(&first);
        let sleeper = desk.fenced(lease(&desk, "one").unwrap());
        let before = store.batches.load(Ordering::SeqCst);
        // It falls asleep before that batch; when it wakes up, another daemon has taken over.
        let (tell, told) = std::sync::mpsc::channel();
        let (tell, succeed) = (std::sync::Mutex::new(tell), desk.beside(Arc::clone(&store) as Arc<dyn Store>, "test"));
        store.before_each(move |_, place| {
            if place == before + asleep_before {
                succeed.pass(Span::seconds(601));
                let fence = lease(&succeed, "two").unwrap();
                tell.lock().unwrap().send((head(&succeed), fence)).unwrap();
            }
            Ok(())
        });
        let ended = sleeper.look(&acts, Box::new(Nobody));
        let Ok((stood, successor)) = told.try_recv() else {
            assert!(ended.is_ok(), "it never slept");
            break;
        };
        batches += 1;
        assert!(matches!(&ended, Err(WriteError::Lost(lease)) if lease == WORK), "{ended:?}");
        assert_eq!(head(&desk), stood, "nothing of what it had in hand was taken");
        // Nor is anything it tries later.
        let yardstick = judge::Yardstick::default();
        let everybody: Vec<RecordId> = ["a", "d"].iter().map(|id| desk.record(Kind::User, id).unwrap().id).collect();
        assert!(is_refused(change_source(&sleeper.house, "test", |row, _| row.next_run = Some(Time::default()))));
        assert!(is_refused(judge::touched(&sleeper.house, &yardstick, &everybody)));
        let watched =
            assess::Watched { name: "test".into(), connector: "scripted".into(), period: Some(Span::hours(1)) };
        desk.pass(Span::hours(99));
        assert!(is_refused(assess::assess(&sleeper.house, &yardstick, &watched)));
        assert_eq!(head(&desk), stood);
        // The successor goes on as if nobody had been there.
        let again = lease(&desk, "two").unwrap();
        assert!(again.token >= successor.token);
        let run = desk.fenced(again).look(&acts, Box::new(Nobody)).unwrap();
        assert_eq!(run.outcome, provost_model::Outcome::Complete);
        assert_eq!(desk.house.inventory().source("test").unwrap().last_run, Some(run.id));
        assert_eq!(picture(&desk).sources["test"], 3);
    }
    assert!(batches > 4, "it fell asleep before {batches} batches");
}

#[test]
fn a_house_without_the_lease_is_not_held_up_by_it() {
    let desk = Desk::over(Arc::new(Shared::new()));
    let sleeper: House = desk.house.fenced(lease(&desk, "one"));
    desk.pass(Span::seconds(601));
    assert!(lease(&desk, "two").is_some());
    assert!(is_refused(change_source(&sleeper, "test", |_, _| ())));
    change_source(&desk.house, "test", |_, _| ()).unwrap();
}

#[test]
fn a_store_that_goes_away_at_any_call_is_waited_for_and_nothing_is_lost_or_done_twice() {
    let [first, second]: [Listing; 2] = [
        [((0..9).collect(), false), ((3..12).collect(), true)],
        [((0..7).collect(), false), ((3..14).collect(), false)],
    ];
    let undisturbed = told(&[[first.clone(), second.clone()], [second.clone(), first.clone()]], false);
    let mut disturbed = 0;
    for at in (0..).step_by(5) {
        let store = Arc::new(Shared::new());
        let one = Desk::over(Arc::clone(&store) as Arc<dyn Store>);
        let two = one.beside(Arc::clone(&store) as Arc<dyn Store>, "other");
        let mut all = vec![totals(&[one.run(&acts(&first)), two.run(&acts(&second))])];
        // The batch is taken, but its answer is lost: asked again, it is refused, and what it wanted is there already.
        let from = store.batches.load(Ordering::SeqCst);
        let cut = Arc::clone(&store);
        store.before_each(move |batch, place| {
            if place == from + at {
                cut.lose_answer(batch)?;
            }
            Ok(())
        });
        all.push(totals(&[one.run(&acts(&second)), two.run(&acts(&first))]));
        if store.batches.load(Ordering::SeqCst) <= from + at {
            break;
        }
        disturbed += 1;
        assert_eq!(picture(&one), undisturbed.0, "cut at batch {at}");
        assert_eq!(all[1][0], undisturbed.1[1][0], "each thing seen is counted once, cut at batch {at}");
        assert_eq!(one.house.away_since(), None);
    }
    assert!(disturbed > 1, "{disturbed}");
}

#[test]
fn a_step_that_meets_a_store_that_is_away_waits_and_says_so() {
    let store = Arc::new(Shared::new());
    let desk = Desk::over(Arc::clone(&store) as Arc<dyn Store>);
    desk.run(&listed(&["a"]));
    for calls in 1..4 {
        store.away.store(calls, Ordering::SeqCst);
        let (told, house) = (Arc::clone(&store), &desk.house);
        let mut seen = false;
        house
            .again(|| {
                seen |= house.away_since().is_some();
                told.head()
            })
            .unwrap();
        assert!(seen && house.away_since().is_none());
    }
    // Who is to end waits no longer.
    store.away.store(u64::MAX, Ordering::SeqCst);
    desk.house.closing().cancel();
    assert!(matches!(change_source(&desk.house, "test", |_, _| ()), Err(StoreError::Away(_))));
}
