//! Laws of streams, due queues and leases.
//! It must never measure time: every time is given.

use provost_model::Time;

use super::{batch, commit, on_each};
use crate::{Batch, Entry, Fence, Held, Op, Store, StoreError, lease_of};

fn append(value: &str) -> Op {
    Op::Append { stream: "s", value: value.into() }
}

fn schedule(item: &str, at: i64) -> Op {
    Op::Schedule { queue: "q", item: item.into(), at: Time::from_seconds(at) }
}

fn due(store: &dyn Store, now: i64, limit: usize) -> Vec<(i64, String)> {
    let found = store.due("q", Time::from_seconds(now), limit).unwrap();
    found.into_iter().map(|(at, item)| (at.as_seconds(), String::from_utf8(item).unwrap())).collect()
}

fn lease(store: &dyn Store, holder: &str, now: i64, until: i64) -> Option<u64> {
    store.lease("l", holder, Time::from_seconds(now), Time::from_seconds(until)).unwrap().map(|fence| fence.token)
}

fn renew(store: &dyn Store, token: u64, now: i64, until: i64) -> bool {
    let fence = Fence { name: "l".to_owned(), token };
    store.renew(&fence, Time::from_seconds(now), Time::from_seconds(until)).unwrap()
}

fn fenced(store: &dyn Store, at: i64, token: u64) -> bool {
    let fence = Some(Fence { name: "l".to_owned(), token });
    match store.commit(Batch { fence, ..batch(at, []) }) {
        Ok(_) => true,
        Err(StoreError::Conflict(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_stream_counts_from_one_and_each_entry_carries_the_hash_of_all_before() {
    on_each(|store| {
        let first = store.commit(batch(1, [append("one"), append("two")])).unwrap();
        let second = store.commit(batch(2, [append("three"), Op::Append { stream: "other", value: vec![] }])).unwrap();
        assert_eq!((first.appended, second.appended), (vec![1, 2], vec![3, 1]));
        let entries = store.entries("s", 1, 99).unwrap();
        let mut before = [0; 32];
        for (place, Entry { sequence, hash, value, .. }) in entries.iter().enumerate() {
            assert_eq!(*sequence, place as u64 + 1);
            assert_eq!(crate::embedded::streams::chained(&before, *sequence, value), *hash);
            before = *hash;
        }
        assert_eq!(entries[2].at, Time::from_seconds(2));
        let some = store.entries("s", 2, 1).unwrap();
        assert_eq!(some, entries[1..2]);
        assert!(store.entries("s", 4, 9).unwrap().is_empty());
        assert!(store.entries("nowhere", 0, 9).unwrap().is_empty());
    });
}

#[test]
fn the_chain_of_hashes_is_the_documented_one() {
    on_each(|store| {
        commit(store, 1, [append("abc")]);
        // SHA-256 over 32 zero bytes, seven zero bytes, a one, and abc.
        let expected = "328976acf07e9b1c4a8967f2d63902c9a724235b6363ac83087246ad84cd222a";
        let hash: String = store.entries("s", 1, 1).unwrap()[0].hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, expected);
    });
}

#[test]
fn due_items_come_in_the_order_of_their_time() {
    on_each(|store| {
        commit(store, 1, [schedule("c", 30), schedule("a", 10), schedule("b", 10), schedule("old", -5)]);
        assert_eq!(due(store, -6, 9), []);
        assert_eq!(due(store, 10, 9), [(-5, "old".into()), (10, "a".into()), (10, "b".into())]);
        assert_eq!(due(store, 99, 2), [(-5, "old".into()), (10, "a".into())]);
        assert_eq!(store.due("q", Time::from_micros(i64::MAX), 9).unwrap().len(), 4);
        assert_eq!(store.due("other", Time::from_seconds(99), 9).unwrap(), []);
    });
}

#[test]
fn an_item_is_in_a_queue_once_wherever_it_was_moved() {
    on_each(|store| {
        commit(store, 1, [schedule("a", 10)]);
        commit(store, 2, [schedule("a", 20), schedule("a", 15), schedule("a", 15)]);
        assert_eq!(due(store, 99, 9), [(15, "a".into())]);
        let unschedule = |item: &str| Op::Unschedule { queue: "q", item: item.into() };
        commit(store, 3, [unschedule("a"), unschedule("never there")]);
        assert_eq!(due(store, 99, 9), []);
        commit(store, 4, [schedule("a", 40)]);
        assert_eq!(due(store, 99, 9), [(40, "a".into())]);
    });
}

#[test]
fn a_lease_is_one_holders_and_every_new_holder_gets_a_greater_token() {
    on_each(|store| {
        assert_eq!(lease(store, "one", 10, 20), Some(1));
        assert_eq!(lease(store, "two", 15, 25), None);
        assert_eq!(lease(store, "one", 15, 30), None, "held, be it by itself");
        assert!(renew(store, 1, 15, 30));
        assert_eq!(lease(store, "two", 29, 40), None);
        assert_eq!(lease(store, "two", 30, 40), Some(2));
        assert_eq!(lease(store, "one", 35, 45), None);
        assert!(!fenced(store, 35, 1), "a lost lease must not write");
        assert!(!renew(store, 1, 35, 99), "nor be prolonged");
        assert!(fenced(store, 36, 2));
        assert!(!fenced(store, 40, 2), "a lease that ran out must not write");
        assert!(!renew(store, 2, 40, 99), "nor be prolonged, though nobody took it meanwhile");
        assert_eq!(lease(store, "two", 41, 50), Some(3), "who comes back late is a new holder");
        assert!(!fenced(store, 42, 2));
    });
}

#[test]
fn a_lease_given_back_is_free_at_once_and_its_token_is_never_given_again() {
    on_each(|store| {
        assert_eq!(lease(store, "one", 10, 99), Some(1));
        let fence = |token| Fence { name: "l".to_owned(), token };
        store.release(&fence(7)).unwrap();
        assert_eq!(lease(store, "two", 11, 99), None);
        store.release(&fence(1)).unwrap();
        store.release(&fence(1)).unwrap();
        assert!(!fenced(store, 12, 1));
        assert!(!renew(store, 1, 12, 99), "a beat that comes late takes nothing anew");
        assert_eq!(store.leases().unwrap(), []);
        assert_eq!(lease(store, "two", 12, 99), Some(2));
        store.release(&fence(1)).unwrap();
        assert!(fenced(store, 13, 2));
    });
}

#[test]
fn a_clock_that_was_set_back_prolongs_no_lease() {
    on_each(|store| {
        assert_eq!(lease(store, "one", 100, 110), Some(1));
        commit(store, 200, []);
        assert_eq!(lease(store, "two", 50, 60), Some(2), "the store has seen 200: the lease of one is over");
        assert!(fenced(store, 50, 2), "ten seconds were asked for, counted from 200");
        assert!(!renew(store, 1, 50, 60));
        assert_eq!(lease(store, "one", 209, 300), None);
        assert!(renew(store, 2, 50, 70), "twenty more, counted from 200");
        assert_eq!(lease(store, "one", 219, 300), None);
        assert_eq!(lease(store, "one", 220, 300), Some(3));
    });
}

fn claim(store: &dyn Store, holder: &str, (now, until): (i64, i64), limit: usize) -> Vec<(String, i64, u64)> {
    let (now, until) = (Time::from_seconds(now), Time::from_seconds(until));
    let claims = store.claim("q", holder, (now, until), limit).unwrap();
    let told = claims.into_iter().map(|claim| {
        assert_eq!(claim.fence.name, lease_of("q", &claim.item));
        (String::from_utf8(claim.item).unwrap(), claim.due.as_seconds(), claim.fence.token)
    });
    told.collect()
}

fn claimed(of: &[(&str, i64, u64)]) -> Vec<(String, i64, u64)> {
    of.iter().map(|(item, due, token)| ((*item).to_owned(), *due, *token)).collect()
}

#[test]
fn due_items_are_claimed_by_one_holder_each_and_stay_in_their_queue() {
    on_each(|store| {
        commit(store, 1, [schedule("c", 30), schedule("a", 10), schedule("b", 20), schedule("later", 999)]);
        assert_eq!(claim(store, "one", (9, 99), 9), []);
        assert_eq!(claim(store, "one", (40, 50), 2), claimed(&[("a", 10, 1), ("b", 20, 1)]));
        assert_eq!(claim(store, "one", (40, 50), 9), claimed(&[("c", 30, 1)]), "what it holds it does not get again");
        assert_eq!(claim(store, "two", (49, 60), 9), []);
        assert_eq!(due(store, 40, 9).len(), 3);
        let fence = Fence { name: lease_of("q", b"b"), token: 1 };
        // Done: the item moves on, in a commit that holds its claim.
        store.commit(Batch { fence: Some(fence.clone()), ..batch(45, [schedule("b", 100)]) }).unwrap();
        store.release(&fence).unwrap();
        assert_eq!(claim(store, "two", (50, 60), 1), claimed(&[("a", 10, 2)]), "the claim of one ran out");
        assert_eq!(claim(store, "three", (50, 60), 9), claimed(&[("c", 30, 2)]));
        let all = claim(store, "one", (101, 110), 9);
        assert_eq!(all, claimed(&[("a", 10, 3), ("c", 30, 3), ("b", 100, 2)]), "the most overdue first");
    });
}

#[test]
fn a_claim_goes_past_any_number_of_items_that_are_held() {
    on_each(|store| {
        commit(store, 1, (0..700).map(|number| schedule(&format!("{number:03}"), number)));
        assert_eq!(claim(store, "one", (800, 900), 600).len(), 600);
        let rest = claim(store, "two", (800, 900), 99);
        assert_eq!((rest.len(), rest.first().cloned()), (99, Some(("600".to_owned(), 600, 1))));
        assert_eq!(claim(store, "two", (800, 900), 99), claimed(&[("699", 699, 1)]));
    });
}

#[test]
fn a_claim_is_an_ordinary_lease_on_the_stores_clock() {
    on_each(|store| {
        commit(store, 1, [schedule("a", 10)]);
        assert_eq!(claim(store, "one", (100, 110), 9), claimed(&[("a", 10, 1)]));
        commit(store, 200, []);
        assert_eq!(claim(store, "two", (50, 60), 9), claimed(&[("a", 10, 2)]), "the store has seen 200");
        let take = |holder: &str, now: i64, until: i64| {
            let (now, until) = (Time::from_seconds(now), Time::from_seconds(until));
            store.lease(&lease_of("q", b"a"), holder, now, until).unwrap().map(|fence| fence.token)
        };
        assert_eq!(take("one", 209, 300), None);
        assert_eq!(take("two", 209, 300), None);
        let fence = Fence { name: lease_of("q", b"a"), token: 2 };
        assert!(store.renew(&fence, Time::from_seconds(209), Time::from_seconds(300)).unwrap());
        assert_eq!(claim(store, "one", (299, 310), 9), []);
        assert_eq!(claim(store, "one", (300, 310), 9), claimed(&[("a", 10, 3)]));
    });
}

#[test]
fn many_claim_at_once_and_no_item_is_claimed_twice() {
    on_each(|store| {
        commit(store, 1, (0..120).map(|number| schedule(&format!("{number:03}"), 1)));
        let mut all: Vec<String> = std::thread::scope(|threads| {
            let takers: Vec<_> = ["one", "two", "three"]
                .into_iter()
                .map(|holder| {
                    threads.spawn(move || {
                        let mut mine = Vec::new();
                        loop {
                            let claims = claim(store, holder, (10, 99), 7);
                            if claims.is_empty() {
                                return mine;
                            }
                            mine.extend(claims.into_iter().map(|(item, ..)| item));
                        }
                    })
                })
                .collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
        });
        all.sort();
        assert_eq!(all, (0..120).map(|number| format!("{number:03}")).collect::<Vec<_>>());
    });
}

#[test]
fn leases_are_listed_with_their_holders_until_they_are_given_back() {
    on_each(|store| {
        assert_eq!(store.leases().unwrap(), []);
        let take = |name: &str, holder: &str, until: i64| {
            store.lease(name, holder, Time::from_seconds(1), Time::from_seconds(until)).unwrap().unwrap()
        };
        let given_back = take("m", "one", 9);
        take("z", "two", 5);
        take("a", "one", 7);
        store.release(&given_back).unwrap();
        let held = |name: &str, holder: &str, until: i64| Held {
            name: name.to_owned(),
            holder: holder.to_owned(),
            token: 1,
            until: Time::from_seconds(until),
        };
        assert_eq!(store.leases().unwrap(), [held("a", "one", 7), held("z", "two", 5)]);
        for number in 0..300 {
            take(&format!("n{number:03}"), "three", 9);
        }
        assert_eq!(store.leases().unwrap().len(), 302);
    });
}

#[test]
fn the_stores_clock_is_never_before_its_last_commit() {
    on_each(|store| {
        commit(store, 100, []);
        assert!(store.clock(Time::from_seconds(50)).unwrap() >= Time::from_seconds(100));
    });
}

#[test]
fn no_two_items_share_a_lease() {
    assert_eq!(lease_of("work", b"aws-prod"), "work/aws-prod");
    assert_eq!(lease_of("work", b"a\0b %\xff"), "work/a%00b%20%25%ff");
}
