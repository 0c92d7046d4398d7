//! Laws of taking a store apart and putting one together.
//! It must never compare two stores by what only one of them can say.

use proptest::prelude::*;
use provost_model::Time;

use super::{PLAIN, ROWS, amend, batch, commit, delete, on_each, put};
use crate::{Batch, CommitNo, Entry, Fence, Op, Piece, Row, Store, StoreError, memory};

/// Every piece of a store, sorted where order says nothing.
pub(crate) fn taken(store: &dyn Store) -> Vec<Piece> {
    let mut all = Vec::new();
    store
        .pieces(&mut |piece| {
            all.push(piece);
            Ok(())
        })
        .unwrap();
    all.sort_by_key(|piece| format!("{piece:?}"));
    all
}

pub(crate) fn put_together(store: &dyn Store, pieces: Vec<Piece>) -> Result<(), StoreError> {
    let mut pieces = pieces.into_iter();
    store.rebuild(&mut || Ok(pieces.next()))
}

fn in_order(store: &dyn Store) -> Vec<Piece> {
    let mut all = Vec::new();
    store
        .pieces(&mut |piece| {
            all.push(piece);
            Ok(())
        })
        .unwrap();
    all
}

/// Every shape there is, with a past.
pub(crate) fn fill(store: &dyn Store) {
    let append = |value: &str| Op::Append { stream: "s", value: value.into() };
    let schedule = |item: &str, at| Op::Schedule { queue: "q", item: item.into(), at: Time::from_seconds(at) };
    commit(store, 10, (0..700).map(|row| put(ROWS, &format!("{row:04}"), "first")));
    commit(store, 20, (0..700).step_by(2).map(|row| put(ROWS, &format!("{row:04}"), "second")));
    commit(store, 30, [delete(ROWS, "0001"), amend(ROWS, "0002", "amended"), put(ROWS, "\0\0", ""), append("one")]);
    commit(store, 30, [put(PLAIN, "a", "1"), put(PLAIN, "b", "2"), append("two"), schedule("i", -5)]);
    commit(store, 40, [delete(PLAIN, "b"), schedule("j", 99), schedule("i", 50), put(ROWS, "0001", "again")]);
    commit(store, 50, [Op::Append { stream: "other", value: vec![0, 255] }, delete(ROWS, "0003")]);
    let lease = |name, holder, until| store.lease(name, holder, Time::from_seconds(50), Time::from_seconds(until));
    let given_back = lease("l", "one", 90).unwrap().unwrap();
    store.release(&given_back).unwrap();
    lease("held", "two", 95).unwrap().unwrap();
    let packed = ["0001", "0003"].map(|key| (key.as_bytes().to_vec(), CommitNo(6)));
    store.pack(ROWS, &packed).unwrap();
}

#[test]
fn a_store_put_together_from_another_is_the_same() {
    on_each(|store| {
        fill(store);
        let pieces = taken(store);
        let count = |of: fn(&Piece) -> bool| pieces.iter().filter(|piece| of(piece)).count();
        assert_eq!(count(|piece| matches!(piece, Piece::Commit { .. })), 6);
        assert_eq!(count(|piece| matches!(piece, Piece::Entry { .. })), 3);
        assert_eq!(count(|piece| matches!(piece, Piece::Due { .. })), 2);
        assert_eq!(count(|piece| matches!(piece, Piece::Lease { .. })), 2);
        assert_eq!(count(|piece| matches!(piece, Piece::Row { versioned: false, .. })), 1);
        on_each(|other| {
            put_together(other, in_order(store)).unwrap();
            assert_eq!(taken(other), pieces);
            assert_eq!(other.head().unwrap(), store.head().unwrap());
            for time in [5, 10, 35, 50] {
                let at = store.commit_at(Time::from_seconds(time)).unwrap();
                assert_eq!(other.commit_at(Time::from_seconds(time)).unwrap(), at);
                for key in ["0001", "0002", "0003", "\0\0", "0004", "nowhere"] {
                    let of = |store: &dyn Store| store.get(ROWS, key.as_bytes(), Some(at)).unwrap();
                    assert_eq!(of(other), of(store), "{key:?} at {at:?}");
                    assert_eq!(
                        other.versions(ROWS, key.as_bytes()).unwrap(),
                        store.versions(ROWS, key.as_bytes()).unwrap()
                    );
                }
            }
            assert_eq!(
                other.due("q", Time::from_seconds(99), 9).unwrap(),
                store.due("q", Time::from_seconds(99), 9).unwrap()
            );
            let go_on = batch(60, [Op::Append { stream: "s", value: b"three".to_vec() }, put(ROWS, "0003", "back")]);
            let held = Some(Fence { name: "held".to_owned(), token: 1 });
            let done = other.commit(Batch { fence: held, ..go_on }).unwrap();
            assert_eq!((done.number, done.appended), (CommitNo(7), vec![3]));
            let again = other.lease("l", "three", Time::from_seconds(60), Time::from_seconds(61)).unwrap().unwrap();
            assert_eq!(again.token, 2, "a token is never given twice");
        });
    });
}

#[test]
fn a_store_taken_apart_while_it_is_written_is_as_it_stood_at_its_commit() {
    on_each(|store| {
        fill(store);
        let (before, head) = (taken(store), store.head().unwrap().number);
        let (mut all, mut count) = (Vec::new(), 0_usize);
        let at = store.pieces(&mut |piece| {
            all.push(piece);
            count += 1;
            if count % 41 != 0 {
                return Ok(());
            }
            // Behind the copy, before it, and where it is.
            let key = |salt: usize| format!("{:04}", (count * salt) % 720);
            let item = format!("{}", count % 5).into_bytes();
            commit(
                store,
                60,
                [
                    put(ROWS, &key(7), "later"),
                    delete(ROWS, &key(11)),
                    put(ROWS, &key(13), "later"),
                    amend(ROWS, &key(13), "amended later"),
                    put(PLAIN, &key(3), "later"),
                    delete(PLAIN, "a"),
                    Op::Append { stream: "s", value: b"later".to_vec() },
                    Op::Schedule { queue: "q", item: item.clone(), at: Time::from_seconds(3) },
                    Op::Unschedule { queue: "q", item: b"i".to_vec() },
                    Op::Schedule { queue: "later", item, at: Time::from_seconds(3) },
                ],
            );
            let upto = store.head()?.number;
            store.pack(ROWS, &[7, 11, 13].map(|row| (key(row).into_bytes(), upto)))?;
            store.forget_before(ROWS, upto)?;
            store.lease("held", "two", Time::from_seconds(60), Time::from_seconds(999))?;
            store.lease("new", "two", Time::from_seconds(60), Time::from_seconds(999)).map(drop)
        });
        assert_eq!(at.unwrap(), head);
        assert!(store.head().unwrap().number > CommitNo(head.0 + 20));
        all.sort_by_key(|piece| format!("{piece:?}"));
        assert!(all == before, "{} pieces, not {}", all.len(), before.len());
    });
}

#[test]
fn copies_of_several_moments_go_on_at_once() {
    on_each(|store| {
        fill(store);
        let before = taken(store);
        let (mut outer, mut inner) = (Vec::new(), None);
        store
            .pieces(&mut |piece| {
                outer.push(piece);
                if outer.len() == 100 {
                    commit(store, 60, [put(ROWS, "0699", "between"), delete(PLAIN, "a")]);
                    let expected = taken(store);
                    let mut during = Vec::new();
                    store.pieces(&mut |piece| {
                        during.push(piece);
                        if during.len() == 50 {
                            commit(store, 70, [put(ROWS, "0699", "after"), put(PLAIN, "a", "after")]);
                        }
                        Ok(())
                    })?;
                    during.sort_by_key(|piece| format!("{piece:?}"));
                    inner = Some((during, expected));
                }
                Ok(())
            })
            .unwrap();
        outer.sort_by_key(|piece| format!("{piece:?}"));
        let (during, expected) = inner.unwrap();
        assert!(outer == before && during == expected);
    });
}

#[test]
fn an_error_ends_a_copy() {
    on_each(|store| {
        fill(store);
        let ended = store.pieces(&mut |_| Err(StoreError::Codec("enough".to_owned())));
        assert!(matches!(ended, Err(StoreError::Codec(said)) if said == "enough"));
        commit(store, 60, [put(ROWS, "a", "1")]);
    });
}

#[test]
fn pieces_that_contradict_each_other_and_stores_that_are_not_empty_are_refused() {
    let row = |commit, value: Option<&str>, present, versioned| Piece::Row {
        table: "things".to_owned(),
        versioned,
        key: vec![1],
        row: Row { commit: CommitNo(commit), recorded: Time::from_seconds(1), value: value.map(|it| it.into()) },
        present,
    };
    let commit_of = |number, at| Piece::Commit { number: CommitNo(number), at: Time::from_seconds(at) };
    let entry = |sequence, hash| Piece::Entry {
        stream: "s".to_owned(),
        entry: Entry { sequence, at: Time::from_seconds(1), hash, value: vec![] },
    };
    let bad = [
        vec![commit_of(2, 1)],
        vec![commit_of(1, 1), commit_of(3, 1)],
        vec![commit_of(1, 2), commit_of(2, 1)],
        vec![commit_of(1, 1), row(2, Some("v"), true, true)],
        vec![commit_of(1, 1), row(0, Some("v"), true, true)],
        vec![commit_of(1, 1), row(1, None, true, true)],
        vec![commit_of(1, 1), row(1, Some("v"), false, false)],
        vec![commit_of(1, 1), row(1, Some("v"), true, true), row(1, Some("v"), true, false)],
        vec![commit_of(1, 1), entry(1, [0; 32])],
        vec![commit_of(1, 1), entry(2, crate::embedded::streams::chained(&[0; 32], 2, b""))],
    ];
    on_each(|store| {
        assert!(put_together(store, vec![]).is_ok());
        store.lease("l", "one", Time::from_seconds(1), Time::from_seconds(2)).unwrap();
        assert!(put_together(store, vec![commit_of(1, 1)]).is_err(), "a lease is something");
    });
    for pieces in bad {
        on_each(|store| assert!(put_together(store, pieces.clone()).is_err(), "{pieces:?}"));
    }
    on_each(|store| {
        commit(store, 1, []);
        assert!(put_together(store, vec![commit_of(1, 1)]).is_err());
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_store_taken_apart_and_put_together_is_the_same(batches in super::model::batches()) {
        let (store, other) = (memory(), memory());
        for batch in batches {
            let _ = store.commit(batch);
        }
        put_together(&other, in_order(&store)).unwrap();
        prop_assert_eq!(taken(&other), taken(&store));
    }
}
