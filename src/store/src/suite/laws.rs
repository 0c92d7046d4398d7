//! Laws of tables: whole batches, versions, amends, deletions, conditions, reading while others write.
//! It must never rely on the order in which rows were written.

use std::ops::Bound;

use provost_model::Time;

use super::{PLAIN, ROWS, amend, batch, commit, delete, on_disk, on_each, put, read};
use crate::{Batch, CommitNo, Fence, Go, Head, KeyRange, MAX_OPS, Op, Store, StoreError, Table};

fn listed(store: &dyn Store, table: Table, range: &KeyRange, at: Option<u64>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut note = |key: &[u8], row: crate::Row| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        found.push((text(key), text(&row.value.unwrap())));
        Ok(Go::On)
    };
    store.scan(table, range, at.map(CommitNo), &mut note).unwrap();
    found
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn commits_are_numbered_without_gaps_and_time_never_falls() {
    on_each(|store| {
        assert_eq!(store.head().unwrap(), Head::default());
        assert_eq!(commit(store, 10, []), CommitNo(1));
        assert_eq!(commit(store, 5, [put(ROWS, "a", "1")]), CommitNo(2));
        assert_eq!(store.head().unwrap(), Head { number: CommitNo(2), at: Time::from_seconds(10) });
        assert_eq!(store.get(ROWS, b"a", None).unwrap().unwrap().recorded, Time::from_seconds(10));
    });
}

#[test]
fn a_time_names_the_last_commit_before_it() {
    on_each(|store| {
        for at in [10, 20, 20, 30] {
            commit(store, at, []);
        }
        let table = [(9, 0), (10, 1), (19, 1), (20, 3), (29, 3), (30, 4), (99, 4)];
        for (at, number) in table {
            assert_eq!(store.commit_at(Time::from_seconds(at)).unwrap(), CommitNo(number), "at {at}");
        }
    });
}

#[test]
fn a_batch_that_fails_anywhere_changes_nothing() {
    on_each(|store| {
        commit(store, 1, [put(ROWS, "a", "1"), put(PLAIN, "p", "1")]);
        let steps = || [put(ROWS, "a", "2"), delete(PLAIN, "p"), Op::Append { stream: "s", value: vec![1] }];
        let failing = [
            batch(2, steps().into_iter().chain([amend(ROWS, "nowhere", "x")])),
            Batch { expect: vec![(ROWS, b"a".to_vec(), Some(CommitNo(9)))], ..batch(2, steps()) },
            Batch { expect: vec![(PLAIN, b"p".to_vec(), None)], ..batch(2, steps()) },
            Batch { fence: Some(Fence { name: "l".into(), token: 1 }), ..batch(2, steps()) },
        ];
        for failing in failing {
            assert!(matches!(store.commit(failing), Err(StoreError::Conflict(_))));
            assert_eq!(store.head().unwrap().number, CommitNo(1));
            assert_eq!(read(store, ROWS, "a", None).as_deref(), Some("1"));
            assert_eq!(read(store, PLAIN, "p", None).as_deref(), Some("1"));
            assert!(store.entries("s", 1, 9).unwrap().is_empty());
        }
        let too_large = batch(2, (0..=MAX_OPS).map(|_| put(ROWS, "a", "3")));
        assert!(matches!(store.commit(too_large), Err(StoreError::Io(_))));
        assert_eq!(read(store, ROWS, "a", None).as_deref(), Some("1"));
        let kept = Batch {
            expect: vec![(ROWS, b"a".to_vec(), Some(CommitNo(1))), (ROWS, b"z".to_vec(), None)],
            ..batch(2, steps())
        };
        assert_eq!(store.commit(kept).unwrap().appended, [1]);
    });
}

#[test]
fn rows_that_must_not_be_there_are_written_only_if_none_of_them_is() {
    on_each(|store| {
        let fresh = |at, keys: &[&str]| Batch {
            expect: keys.iter().map(|key| (ROWS, key.as_bytes().to_vec(), None)).collect(),
            ..batch(at, keys.iter().map(|key| put(ROWS, key, &at.to_string())).chain([put(PLAIN, "p", "beside")]))
        };
        store.commit(fresh(1, &["b", "d"])).unwrap();
        assert!(matches!(store.commit(fresh(2, &["a", "b", "c"])), Err(StoreError::Conflict(_))));
        assert_eq!(store.head().unwrap().number, CommitNo(1));
        assert_eq!(listed(store, ROWS, &KeyRange::all(), None), pairs(&[("b", "1"), ("d", "1")]));
        commit(store, 3, [delete(ROWS, "b")]);
        store.commit(fresh(4, &["a", "b", "c"])).unwrap();
        let told: Vec<_> =
            store.versions(ROWS, b"b").unwrap().into_iter().map(|row| (row.commit.0, row.value)).collect();
        assert_eq!(told, [(1, Some(b"1".to_vec())), (2, None), (3, Some(b"4".to_vec()))]);
    });
}

#[test]
fn a_versioned_row_reads_as_it_stood_at_each_commit() {
    on_each(|store| {
        commit(store, 1, [put(ROWS, "a", "1"), put(ROWS, "b", "1")]);
        commit(store, 2, [put(ROWS, "a", "2")]);
        commit(store, 3, [delete(ROWS, "a"), put(ROWS, "c", "3")]);
        commit(store, 4, [put(ROWS, "a", "4")]);
        let table = [(0, None), (1, Some("1")), (2, Some("2")), (3, None), (4, Some("4")), (99, Some("4"))];
        for (at, value) in table {
            assert_eq!(read(store, ROWS, "a", Some(at)).as_deref(), value, "at {at}");
        }
        let all = KeyRange::all();
        assert_eq!(listed(store, ROWS, &all, Some(0)), pairs(&[]));
        assert_eq!(listed(store, ROWS, &all, Some(2)), pairs(&[("a", "2"), ("b", "1")]));
        assert_eq!(listed(store, ROWS, &all, Some(3)), pairs(&[("b", "1"), ("c", "3")]));
        assert_eq!(listed(store, ROWS, &all, None), pairs(&[("a", "4"), ("b", "1"), ("c", "3")]));
        let versions = store.versions(ROWS, b"a").unwrap();
        let told: Vec<_> = versions.into_iter().map(|row| (row.commit.0, row.recorded, row.value)).collect();
        let at = Time::from_seconds;
        let value = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(told, [(1, at(1), value("1")), (2, at(2), value("2")), (3, at(3), None), (4, at(4), value("4"))]);
    });
}

#[test]
fn within_one_batch_the_last_step_counts_and_makes_one_version() {
    on_each(|store| {
        commit(store, 1, [put(ROWS, "a", "1")]);
        commit(store, 2, [put(ROWS, "a", "2"), delete(ROWS, "a"), put(ROWS, "a", "3"), amend(ROWS, "a", "4")]);
        let numbers: Vec<_> = store.versions(ROWS, b"a").unwrap().iter().map(|row| row.commit.0).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(read(store, ROWS, "a", None).as_deref(), Some("4"));
        assert_eq!(read(store, ROWS, "a", Some(1)).as_deref(), Some("1"));
    });
}

#[test]
fn an_amend_changes_the_present_version_and_leaves_its_commit() {
    on_each(|store| {
        commit(store, 1, [put(ROWS, "a", "1")]);
        commit(store, 2, [put(ROWS, "a", "2")]);
        commit(store, 3, [amend(ROWS, "a", "2 amended")]);
        let row = store.get(ROWS, b"a", None).unwrap().unwrap();
        assert_eq!((row.commit, row.recorded), (CommitNo(2), Time::from_seconds(2)));
        assert_eq!(read(store, ROWS, "a", Some(2)).as_deref(), Some("2 amended"));
        assert_eq!(read(store, ROWS, "a", Some(1)).as_deref(), Some("1"));
        assert_eq!(store.versions(ROWS, b"a").unwrap().len(), 2);
    });
}

#[test]
fn a_plain_table_knows_the_present_only() {
    on_each(|store| {
        commit(store, 1, [put(PLAIN, "a", "1"), put(PLAIN, "b", "1")]);
        commit(store, 2, [put(PLAIN, "a", "2"), delete(PLAIN, "b")]);
        assert_eq!(read(store, PLAIN, "a", Some(1)).as_deref(), Some("2"));
        assert_eq!(store.versions(PLAIN, b"a").unwrap().len(), 1);
        assert!(store.versions(PLAIN, b"b").unwrap().is_empty());
        assert_eq!(listed(store, PLAIN, &KeyRange::all(), Some(1)), pairs(&[("a", "2")]));
    });
}

#[test]
fn ranges_hold_their_bounds_at_any_commit() {
    on_each(|store| {
        let keys = ["", "\0", "\0\0", "a", "a\0", "a\0\0", "ab", "b"];
        commit(store, 1, keys.map(|key| put(ROWS, key, "1")));
        commit(store, 2, keys.map(|key| put(ROWS, key, "2")));
        for at in [None, Some(1), Some(2)] {
            let keys_of =
                |range: &KeyRange| listed(store, ROWS, range, at).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
            assert_eq!(keys_of(&KeyRange::all()), keys);
            assert_eq!(keys_of(&KeyRange::prefix(b"a")), keys[3..7]);
            assert_eq!(keys_of(&KeyRange::prefix(b"\xff")), [""; 0]);
            let (from, to) = (Bound::Excluded(b"\0".to_vec()), Bound::Included(b"a\0".to_vec()));
            assert_eq!(keys_of(&KeyRange { from, to }), keys[2..5]);
            let (from, to) = (Bound::Included(b"b".to_vec()), Bound::Excluded(b"a".to_vec()));
            assert_eq!(keys_of(&KeyRange { from, to }), [""; 0]);
        }
    });
}

#[test]
fn a_scan_stops_when_told_and_may_read_the_store_meanwhile() {
    on_each(|store| {
        commit(store, 1, (0..2_000).map(|number| put(ROWS, &format!("{number:04}"), "v")));
        let mut seen = 0;
        let mut each = |key: &[u8], _: crate::Row| {
            assert!(store.get(ROWS, key, None)?.is_some());
            seen += 1;
            Ok(if seen == 700 { Go::Stop } else { Go::On })
        };
        store.scan(ROWS, &KeyRange::all(), None, &mut each).unwrap();
        assert_eq!(seen, 700);
        let failed = store.scan(ROWS, &KeyRange::all(), None, &mut |_, _| Err(StoreError::Codec("no".into())));
        assert!(matches!(failed, Err(StoreError::Codec(_))));
    });
}

#[test]
fn a_scan_at_a_commit_sees_that_commit_whatever_is_written_meanwhile() {
    on_each(|store| {
        let key = |number: u32| format!("{number:04}");
        for round in 0..3 {
            commit(store, round, (0..1_500).map(|number| put(ROWS, &key(number), &format!("old {round}"))));
        }
        let at = store.head().unwrap().number;
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| {
                for number in (0..1_500).step_by(3) {
                    let ops = [
                        delete(ROWS, &key(number)),
                        put(ROWS, &key(number + 1), "new"),
                        put(ROWS, &format!("{number:04}x"), "new"),
                    ];
                    commit(store, 9, ops);
                    if number % 60 == 0 {
                        // Versions that a reader may be in the middle of move together.
                        let (upto, stretch) = (store.head().unwrap().number, number..number + 60);
                        let which: Vec<_> = stretch.map(|number| (key(number).into_bytes(), upto)).collect();
                        store.pack(ROWS, &which).unwrap();
                    }
                }
            });
            while !writer.is_finished() {
                let found = listed(store, ROWS, &KeyRange::all(), Some(at.0));
                assert_eq!(found.len(), 1_500);
                assert!(found.iter().all(|(_, value)| value == "old 2"));
            }
        });
    });
}

#[test]
fn what_nobody_needs_any_more_is_forgotten() {
    on_each(|store| {
        commit(store, 1, [put(ROWS, "a", "1"), put(ROWS, "b", "1"), put(ROWS, "c", "1")]);
        commit(store, 2, [put(ROWS, "a", "2"), delete(ROWS, "b")]);
        commit(store, 3, [put(ROWS, "a", "3")]);
        commit(store, 4, [put(ROWS, "a", "4"), delete(ROWS, "c")]);
        // Of a: 1; of b: 1 and its deletion.
        assert_eq!(store.forget_before(ROWS, CommitNo(3)).unwrap(), 3);
        let numbers =
            |key: &[u8]| store.versions(ROWS, key).unwrap().iter().map(|row| row.commit.0).collect::<Vec<_>>();
        assert_eq!(numbers(b"a"), [2, 3, 4]);
        assert_eq!(numbers(b"b"), [0; 0]);
        assert_eq!(numbers(b"c"), [1, 4]);
        assert_eq!(listed(store, ROWS, &KeyRange::all(), Some(3)), pairs(&[("a", "3"), ("c", "1")]));
        assert_eq!(store.forget_before(ROWS, CommitNo(99)).unwrap(), 4);
        assert_eq!(read(store, ROWS, "a", None).as_deref(), Some("4"));
    });
}

#[test]
fn single_versions_are_forgotten_and_the_one_before_answers_for_them() {
    on_each(|store| {
        for round in 1..=5 {
            commit(store, round, [put(ROWS, "a", &format!("{round}")), put(ROWS, "a\0", "other")]);
        }
        let which = |commits: &[u64]| commits.iter().map(|at| (b"a".to_vec(), CommitNo(*at))).collect::<Vec<_>>();
        // 5 is the present one, 9 never was.
        assert_eq!(store.forget_versions(ROWS, &which(&[2, 4, 5, 9])).unwrap(), 2);
        assert_eq!(store.forget_versions(ROWS, &which(&[2, 4])).unwrap(), 0);
        for (at, value) in [(1, "1"), (2, "1"), (3, "3"), (4, "3"), (5, "5")] {
            assert_eq!(read(store, ROWS, "a", Some(at)).as_deref(), Some(value), "at {at}");
        }
        assert_eq!(store.versions(ROWS, b"a\0").unwrap().len(), 5);
        assert!(store.forget_versions(ROWS, &vec![(b"a".to_vec(), CommitNo(1)); MAX_OPS + 1]).is_err());
        assert_eq!(store.check().unwrap().faults, [""; 0]);
    });
}

#[test]
fn forgetting_goes_through_more_than_a_page_of_versions() {
    on_each(|store| {
        for round in 0..5 {
            commit(store, round, (0..400).map(|number| put(ROWS, &format!("{number:03}"), "v")));
        }
        assert_eq!(store.forget_before(ROWS, CommitNo(4)).unwrap(), 2 * 400);
        assert_eq!(store.versions(ROWS, b"399").unwrap().len(), 3);
        assert_eq!(store.forget_before(ROWS, CommitNo(4)).unwrap(), 0);
    });
}

#[test]
fn packed_versions_answer_as_before_and_can_be_forgotten_one_by_one() {
    on_each(|store| {
        let long = |round: i64| format!("what lasts {} and the round {round}", "x".repeat(200));
        for round in 1..=80 {
            let ops = [put(ROWS, "a", &long(round)), put(ROWS, "a\0", "other"), put(ROWS, "b", "b")];
            commit(store, round, ops.into_iter().chain((round == 40).then(|| delete(ROWS, "b"))));
        }
        let answers =
            |upto: u64| -> Vec<_> { (0..=upto).map(|at| listed(store, ROWS, &KeyRange::all(), Some(at))).collect() };
        let versions = |key: &str| store.versions(ROWS, key.as_bytes()).unwrap();
        let (before, all) = (answers(80), versions("a"));
        let which: Vec<_> = ["a", "b", "nothing"].map(|key| (key.as_bytes().to_vec(), CommitNo(75))).to_vec();
        let saved = store.pack(ROWS, &which).unwrap();
        assert_eq!(store.pack(ROWS, &which).unwrap(), 0, "nothing is left to be packed");
        assert!(saved == 0 || saved > 75 * 200, "{saved}");
        assert!(answers(80) == before && versions("a") == all && versions("a\0").len() == 80);
        // Written on top of it, packed again, then taken out of the middle, the beginning and the end of bundles.
        commit(store, 81, [delete(ROWS, "a")]);
        commit(store, 82, [put(ROWS, "a", "again")]);
        store.pack(ROWS, &[(b"a".to_vec(), CommitNo(81))]).unwrap();
        assert!(answers(80) == before && versions("a").len() == 82);
        let gone = [1, 2, 40, 64, 65, 81].map(|at| (b"a".to_vec(), CommitNo(at)));
        assert_eq!(store.forget_versions(ROWS, &gone).unwrap(), 6);
        assert_eq!(store.forget_versions(ROWS, &gone).unwrap(), 0);
        let kept: Vec<u64> = versions("a").iter().map(|row| row.commit.0).collect();
        assert_eq!(kept, (3..=82).filter(|at| ![40, 64, 65, 81].contains(at)).collect::<Vec<_>>());
        for (at, answer) in [(2, None), (40, Some(39)), (65, Some(63)), (66, Some(66))] {
            assert_eq!(read(store, ROWS, "a", Some(at)), answer.map(long), "at {at}");
        }
        assert_eq!(store.check().unwrap().faults, [""; 0]);
        assert_eq!(store.forget_before(ROWS, CommitNo(70)).unwrap(), 63 + 68 + 68);
        assert_eq!(versions("a").len(), 13);
        assert!(answers(80)[70..] == before[70..]);
        assert!(store.pack(ROWS, &vec![(b"a".to_vec(), CommitNo(1)); MAX_OPS + 1]).is_err());
    });
}

#[test]
fn many_rows_are_read_in_the_order_asked_for() {
    on_each(|store| {
        commit(store, 1, [put(ROWS, "a", "1"), put(ROWS, "b", "2")]);
        let found = store.get_many(ROWS, &[b"b".to_vec(), b"x".to_vec(), b"a".to_vec()]).unwrap();
        let values: Vec<_> = found.into_iter().map(|row| row.and_then(|row| row.value)).collect();
        assert_eq!(values, [Some(b"2".to_vec()), None, Some(b"1".to_vec())]);
    });
}

#[test]
fn many_reads_see_what_is_in_place_and_what_was_written_since() {
    on_each(|store| {
        let many = (0..700).map(|number| put(ROWS, &format!("m{number:03}"), "v"));
        commit(store, 1, many.chain(["a1", "a2", "b1", "c1"].map(|key| put(ROWS, key, "old"))));
        store.tidy().unwrap();
        commit(store, 2, [put(ROWS, "a0", "new"), put(ROWS, "b1", "new"), delete(ROWS, "a2"), put(ROWS, "d1", "new")]);
        let below = |prefixes: &[&str], limit: usize| -> Vec<Vec<String>> {
            let prefixes: Vec<Vec<u8>> = prefixes.iter().map(|it| it.as_bytes().to_vec()).collect();
            let found = store.keys_below(ROWS, &prefixes, limit).unwrap();
            let words = |keys: &Vec<Vec<u8>>| keys.iter().map(|it| String::from_utf8(it.clone()).unwrap()).collect();
            found.iter().map(words).collect()
        };
        assert_eq!(
            below(&["c", "a", "x", "d", "b"], 9),
            [vec!["c1"], vec!["a0", "a1"], vec![], vec!["d1"], vec!["b1"]]
        );
        assert_eq!(below(&["a", "m"], 1), [["a0"], ["m000"]]);
        let all = below(&["m", "c"], usize::MAX);
        assert_eq!((all[0].len(), all[0].is_sorted(), all[1].len()), (700, true, 1));
        assert_eq!(below(&["m"], 600)[0].len(), 600);
        // Nothing comes after such keys but other tables.
        let last = Op::Put { table: ROWS, key: vec![255, 255, 1], value: vec![1] };
        commit(store, 3, [last, put(PLAIN, "p", "of another table")]);
        let ends = store.keys_below(ROWS, &[vec![255], vec![255, 255], vec![255, 255, 2], vec![]], 2).unwrap();
        assert_eq!(ends[..3], [vec![vec![255, 255, 1]], vec![vec![255, 255, 1]], vec![]]);
        assert_eq!(ends[3], [b"a0".to_vec(), b"a1".to_vec()]);
        let keys = ["d1", "a2", "c1", "b1", "zz", "a0"].map(|key| key.as_bytes().to_vec());
        let rows = store.get_many(ROWS, &keys).unwrap();
        let single = keys.iter().map(|key| store.get(ROWS, key, None).unwrap()).collect::<Vec<_>>();
        assert_eq!(rows, single);
        assert_eq!(rows.iter().filter(|row| row.is_some()).count(), 4);
    });
}

#[test]
fn a_store_on_disk_is_found_again_as_it_was_left() {
    for engine in crate::EngineKind::ALL {
        let dir = tempfile::TempDir::new().unwrap();
        let store = on_disk(&dir, engine);
        let large = "x".repeat(700_000);
        let one = Op::Append { stream: "s", value: b"one".to_vec() };
        commit(&store, 10, [put(ROWS, "a", "1"), put(ROWS, "large", &large), one]);
        let due = Op::Schedule { queue: "q", item: b"i".to_vec(), at: Time::from_seconds(30) };
        commit(&store, 20, [put(ROWS, "a", "2"), due]);
        let fence = store.lease("l", "me", Time::from_seconds(20), Time::from_seconds(60)).unwrap().unwrap();
        let head = store.head().unwrap();
        drop(store);
        let store = on_disk(&dir, engine);
        assert_eq!(store.head().unwrap(), head);
        assert_eq!(read(&store, ROWS, "a", Some(1)).as_deref(), Some("1"));
        assert_eq!(read(&store, ROWS, "large", None), Some(large));
        assert_eq!(store.due("q", Time::from_seconds(30), 9).unwrap().len(), 1);
        let two = batch(21, [Op::Append { stream: "s", value: b"two".to_vec() }]);
        let appended = store.commit(Batch { fence: Some(fence), ..two }).unwrap();
        assert_eq!((appended.number, appended.appended), (CommitNo(3), vec![2]));
        let space = store.space().unwrap();
        assert!(space.used > 0 && space.total >= space.free && space.total < u64::MAX);
    }
}
