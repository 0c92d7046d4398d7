//! What must be true of grouping whatever comes, and how well it meets the labelled corpus.
//! It must never know more of the rules than their words.

use std::collections::BTreeSet;

use proptest::prelude::*;
use provost_model::{CorrelationKey, Kind, Realm, RecordId, Sort, Time, Unites};

use super::{
    Apart, Because, Grouping, Member, Stop,
    corpus::{Corpus, Score},
    grouping, way,
};

const SEED: u64 = 2026;

/// Groups the whole corpus.
fn of_corpus(corpus: &Corpus, unites: Unites) -> Grouping {
    let members: Vec<Member> = corpus.records.iter().map(|it| Member::of(&it.record, unites)).collect();
    grouping(&members, &BTreeSet::new(), &Apart::default())
}

#[test]
fn the_labelled_corpus_is_met_with_the_precision_and_recall_that_were_asked_for() {
    let corpus = Corpus::of(SEED);
    for unites in Unites::ALL {
        let grouping = of_corpus(&corpus, unites);
        let score = Score::of(grouping.groups.iter().map(|it| it.members.as_slice()), &corpus.truth(unites));
        let found = (score.precision(), score.recall());
        assert!(found.0 >= 0.98 && found.1 >= 0.90, "{}: {found:?} {score:?}", unites.word());
        assert!(!grouping.held.is_empty(), "the traps of {} are there", unites.word());
    }
}

#[test]
fn every_reason_to_hold_back_is_met_in_the_corpus_but_size() {
    let corpus = Corpus::of(SEED);
    let held = Unites::ALL.into_iter().flat_map(|unites| of_corpus(&corpus, unites).held);
    let reasons: BTreeSet<Because> = held.map(|it| it.because).collect();
    let expected = [Because::Crowded, Because::Bridge, Because::Reused, Because::Twins];
    assert_eq!(reasons, expected.into_iter().collect());
}

fn id(number: u8) -> RecordId {
    RecordId::from_bytes([number; 16])
}

fn key(number: u8) -> CorrelationKey {
    CorrelationKey { sort: Sort::Email, value: format!("{number}@x.org"), within: None }
}

/// A record of a system of its own, with these keys.
fn member(number: u8, keys: &[u8]) -> Member {
    Member {
        id: id(number),
        realm: Realm::new("system", &number.to_string()),
        kind: Kind::User,
        from: Some(Time::from_seconds(i64::from(number))),
        there: true,
        keys: keys.iter().copied().collect::<BTreeSet<_>>().into_iter().map(key).collect(),
    }
}

fn group_of(members: &[Member]) -> Vec<Vec<u8>> {
    grouped(&grouping(members, &BTreeSet::new(), &Apart::default()))
}

fn grouped(grouping: &Grouping) -> Vec<Vec<u8>> {
    grouping.groups.iter().map(|it| it.members.iter().map(|id| id.as_bytes()[0]).collect()).collect()
}

#[test]
fn a_group_is_called_by_its_oldest_record_through_merge_and_split() {
    let names = |members: &[Member]| -> Vec<RecordId> {
        grouping(members, &BTreeSet::new(), &Apart::default()).groups.iter().map(|it| it.id).collect()
    };
    let mut members = vec![member(1, &[1]), member(2, &[1]), member(3, &[2]), member(4, &[2])];
    assert_eq!(names(&members), [id(1), id(3)]);
    members[1] = member(2, &[1, 2]);
    assert_eq!(names(&members), [id(1)], "a merge keeps the older id");
    members[1] = member(2, &[2]);
    assert_eq!(names(&members), [id(2)], "the part without the oldest record has another");
}

#[test]
fn more_than_fifty_are_held_back_and_those_who_hold_together_without_it_stay() {
    let mut members: Vec<Member> = (0..51).map(|number| member(number, &[1])).collect();
    assert_eq!(group_of(&members[..50]).len(), 1);
    assert!(group_of(&members).is_empty());
    members[7] = member(7, &[1, 9]);
    members[8] = member(8, &[1, 9]);
    assert_eq!(group_of(&members), [[7, 8]]);
    // Many keys, none of them carried by many.
    let ring: Vec<Member> = (0..60).map(|number| member(number, &[number, (number + 1) % 60])).collect();
    let found = grouping(&ring, &BTreeSet::new(), &Apart::default());
    assert!(found.groups.is_empty() && found.held.iter().all(|it| it.because == Because::TooLarge));
    assert_eq!(found.held.len(), 60);
}

#[test]
fn the_way_is_shown_and_where_it_is_broken() {
    let members = [member(1, &[1]), member(2, &[1, 2]), member(3, &[2]), member(4, &[7]), member(5, &[])];
    let steps = |apart: &[(u8, u8)], to: u8| {
        let mut words = Apart::default();
        apart.iter().for_each(|(one, other)| words.insert(id(*one), id(*other)));
        let found = grouping(&members, &BTreeSet::new(), &words);
        let steps = way(&members, &found, (id(1), id(to)));
        steps.map(|steps| steps.into_iter().map(|it| (it.to.as_bytes()[0], it.stop)).collect::<Vec<_>>())
    };
    assert_eq!(steps(&[], 3), Some(vec![(2, None), (3, None)]));
    assert_eq!(steps(&[(1, 3)], 3), Some(vec![(2, None), (3, Some(Stop::Apart))]));
    assert_eq!(steps(&[], 4), None);
    assert_eq!(steps(&[], 5), None);
    let pairs = [member(1, &[1]), member(2, &[1, 5]), member(3, &[5, 2]), member(4, &[2])];
    let found = grouping(&pairs, &BTreeSet::new(), &Apart::default());
    let broken: Vec<_> = way(&pairs, &found, (id(1), id(4))).unwrap().into_iter().map(|it| it.stop).collect();
    assert_eq!(broken, [None, Some(Stop::Held(Because::Bridge)), None]);
}

/// Up to forty records in few systems with few keys, some of them gone.
fn anything() -> impl Strategy<Value = Vec<Member>> {
    let one = (0_u8..3, proptest::collection::btree_set(0_u8..24, 0..4), 0..5_i64, any::<bool>());
    proptest::collection::vec(one, 2..40).prop_map(|all| {
        (0_u8..)
            .zip(all)
            .map(|(number, (realm, keys, from, there))| Member {
                realm: Realm::new("system", &realm.to_string()),
                from: (from > 0).then(|| Time::from_seconds(from)),
                there,
                ..member(number, &keys.into_iter().collect::<Vec<_>>())
            })
            .collect()
    })
}

fn words(pairs: &[(u8, u8)], most: usize) -> Apart {
    let mut apart = Apart::default();
    let place = |it: u8| id((usize::from(it) % most) as u8);
    pairs.iter().filter(|(one, other)| place(*one) != place(*other)).for_each(|(one, other)| {
        apart.insert(place(*one), place(*other));
    });
    apart
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(
        members in anything(), pairs in proptest::collection::vec((0_u8..40, 0_u8..40), 0..6), turns in any::<u64>(),
    ) {
        let apart = words(&pairs, members.len());
        let mut others = members.clone();
        let most = others.len();
        (0..most).for_each(|at| others.swap(at, (turns.rotate_left(at as u32) % most as u64) as usize));
        let crowded = BTreeSet::new();
        prop_assert_eq!(grouping(&members, &crowded, &apart), grouping(&others, &crowded, &apart));
    }

    #[test]
    fn nobody_is_in_two_groups_or_with_whom_they_are_kept_apart_from(
        members in anything(), pairs in proptest::collection::vec((0_u8..40, 0_u8..40), 0..9),
    ) {
        let apart = words(&pairs, members.len());
        let found = grouping(&members, &BTreeSet::new(), &apart);
        let mut met = BTreeSet::new();
        for group in &found.groups {
            prop_assert!(group.members.len() > 1 && group.id == group.members[0]);
            for one in &group.members {
                prop_assert!(met.insert(*one));
                prop_assert!(group.members.iter().all(|other| !apart.holds(*one, *other)));
                let joined = |other: &RecordId| {
                    let steps = way(&members, &found, (*one, *other));
                    one == other || steps.is_some_and(|it| !it.is_empty() && it.iter().all(|step| step.stop.is_none()))
                };
                prop_assert!(group.members.iter().all(joined));
            }
        }
    }

    /// A record learns a key of another group, with which its own had none in common: they become one, or get into each
    /// other's way. Parting the two sides makes everything as it was.
    #[test]
    fn after_link_and_unlink_the_grouping_is_the_one_before(
        members in anything(), pairs in proptest::collection::vec((0_u8..40, 0_u8..40), 0..3),
        joins in any::<[prop::sample::Index; 2]>(),
    ) {
        let apart = words(&pairs, members.len());
        let crowded = BTreeSet::new();
        let before = grouping(&members, &crowded, &apart);
        let at = joins[0].index(members.len());
        let keys: Vec<CorrelationKey> = members.iter().flat_map(|it| it.keys.clone()).collect();
        prop_assume!(!keys.is_empty());
        let key = keys[joins[1].index(keys.len())].clone();
        let side = |id: RecordId| before.group_of(id).map_or_else(|| vec![id], |group| group.members.clone());
        let carriers: Vec<RecordId> = members.iter().filter(|it| it.keys.contains(&key)).map(|it| it.id).collect();
        // A key that one side carries, and only that side.
        let other = side(carriers[0]);
        prop_assume!(carriers.iter().all(|id| other.contains(id)) && !other.contains(&members[at].id));
        let one = side(members[at].id);
        let keys = |side: &[RecordId]| -> BTreeSet<CorrelationKey> {
            members.iter().filter(|it| side.contains(&it.id)).flat_map(|it| it.keys.clone()).collect()
        };
        prop_assume!(keys(&one).is_disjoint(&keys(&other)));
        let mut linked = members.clone();
        linked[at].keys.push(key);
        linked[at].keys.sort();
        let mut parted = apart.clone();
        one.iter().for_each(|a| other.iter().for_each(|b| parted.insert(*a, *b)));
        prop_assert_eq!(grouped(&grouping(&linked, &crowded, &parted)), grouped(&before));
    }
}
