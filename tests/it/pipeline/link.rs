//! Grouping turn by turn: whatever happens in whatever order, the groups kept are those that grouping everything at once
//! would give; a word that keeps records apart undoes what it is about and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use provost::jobs::{
    judge::Touched,
    link::{changed, follow, link_again, take_up, touched, unlink},
};
use provost_engine::link::{Apart, Grouping, Member, grouping};
use provost_model::{
    Because, Change, CorrelationKey, Facts, Kind, PartId, Realm, Record, RecordId, ScopeNo, Standing, Statement, Time,
    Unites, What, field,
};
use provost_store::{
    Go,
    inventory::{Draft, LinkedBy, Word},
};

use super::script::Desk;

/// Groups as they are kept: of what, called how, with whom.
type Groups = BTreeMap<(Unites, RecordId), Vec<RecordId>>;

fn id(number: u16) -> RecordId {
    let [high, low] = number.to_be_bytes();
    RecordId::from_bytes([1, high, low, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0])
}

fn number(id: RecordId) -> u16 {
    u16::from_be_bytes([id.as_bytes()[1], id.as_bytes()[2]])
}

/// What is seen of a record: its number, its keys, whether it is there.
type Seen = (u16, Vec<u16>, bool);

/// A record of one of three systems: a user with addresses, a file with a secret in it, or a service account.
fn record(number: u16, keys: &[u16], there: bool) -> Record {
    let (kind, facts) = match number % 4 {
        0 | 1 => {
            let emails = keys.iter().map(|key| format!("p{key}@x.org")).collect::<Vec<_>>();
            (Kind::User, Facts::new().with(field::EMAILS, emails))
        }
        2 => {
            let mut facts = Facts::new();
            if let Some(key) = keys.first() {
                facts.set(field::KEY_ID, format!("AKIA0000000000000{key:03}"));
            }
            if let Some(key) = keys.get(1) {
                facts.set(field::FINGERPRINT, format!("k1:{key:032x}"));
            }
            (Kind::AccessKey, facts)
        }
        _ => {
            let mut facts = Facts::new();
            if let Some(key) = keys.first() {
                facts.set(field::ARN, format!("arn:aws:iam::1:role/r{key}"));
            }
            if let Some(key) = keys.get(1) {
                facts.set(field::OIDC_ISSUER, "https://issuer.example".to_owned());
                facts.set(field::OIDC_SUBJECT, format!("s{key}"));
            }
            (Kind::ServiceAccount, facts)
        }
    };
    let at = Time::from_seconds(1_700_000_000 + i64::from(number));
    let standing = if there { Standing::Seen } else { Standing::Gone(Because::Told) };
    Record {
        id: id(number),
        kind,
        realm: Realm::new("system", &(number % 12 / 4).to_string()),
        externals: vec![format!("r{number}")],
        identity: None,
        container: None,
        first_seen: at,
        baseline: false,
        statements: vec![Statement {
            scope: ScopeNo(1),
            part: PartId::WHOLE,
            as_of: at,
            recorded: at,
            standing,
            facts,
        }],
    }
}

/// Puts records as they are now; gives what changed with that.
fn put(desk: &Desk, records: &[Record]) -> Vec<Touched> {
    let mut draft = Draft::new(desk.house.inventory(), desk.house.now());
    let mut touched = Vec::new();
    for record in records {
        let known = desk.house.inventory().record(record.id, None).unwrap();
        let what = if known.is_some() { What::Changed } else { What::Appeared };
        touched.push(Touched::between(known.as_ref(), record));
        draft.apply(Change { what, after: record.clone(), fields: Vec::new(), aliases: Vec::new() }).unwrap();
    }
    draft.commit().unwrap();
    touched
}

fn kept(desk: &Desk) -> Groups {
    let mut groups = Groups::new();
    let mut each = |group: provost_store::inventory::GroupRow, _| {
        groups.insert((group.unites, group.id), group.members);
        Ok(Go::On)
    };
    desk.house.inventory().each_group(&mut each).unwrap();
    groups
}

/// What grouping everything at once gives.
fn at_once(desk: &Desk) -> Vec<(Unites, Grouping)> {
    let mut records = Vec::new();
    let mut each = |record: Record, _| {
        records.push(record);
        Ok(Go::On)
    };
    desk.house.inventory().each_record(None, &mut each).unwrap();
    let mut apart = Apart::default();
    for (_, word) in desk.house.inventory().parted().unwrap().iter().filter(|(_, word)| word.released.is_none()) {
        word.one.iter().for_each(|one| word.other.iter().for_each(|other| apart.insert(*one, *other)));
    }
    let of = |unites| {
        let members: Vec<Member> = records.iter().map(|it| Member::of(it, unites)).collect();
        (unites, grouping(&members, &BTreeSet::new(), &apart))
    };
    Unites::ALL.into_iter().map(of).collect()
}

type Held = BTreeMap<(CorrelationKey, u8), BTreeSet<RecordId>>;

/// Groups, records and held keys as they are kept are those that grouping everything at once gives.
fn agrees(desk: &Desk) {
    let inventory = desk.house.inventory();
    let (mut groups, mut held) = (Groups::new(), Held::new());
    for (unites, grouping) in at_once(desk) {
        groups.extend(grouping.groups.into_iter().map(|it| ((unites, it.id), it.members)));
        for it in grouping.held {
            held.entry((it.key, it.because.code())).or_default().extend(it.members);
        }
    }
    assert_eq!(kept(desk), groups);
    let mut each = |record: Record, _| {
        let row = inventory.linked(record.id, None)?;
        let with_it = groups.iter().filter(|(_, members)| members.contains(&record.id));
        assert_eq!(row.groups(), with_it.map(|(group, _)| *group).collect::<Vec<_>>(), "{}", number(record.id));
        Ok(Go::On)
    };
    inventory.each_record(None, &mut each).unwrap();
    let mut found = Held::new();
    for row in inventory.held_keys().unwrap() {
        for (because, members) in row.entries {
            let everybody = || held.get(&(row.key.clone(), because)).cloned().unwrap_or_default();
            let of_whom = if members.is_empty() { everybody() } else { members.into_iter().collect() };
            found.entry((row.key.clone(), because)).or_default().extend(of_whom);
        }
    }
    assert_eq!(found, held);
}

fn word(reason: &str) -> Word {
    Word { by: 1000, at: Time::from_seconds(1_790_000_000), reason: reason.to_owned() }
}

/// What may happen.
#[derive(Clone, Debug)]
enum Event {
    /// Records are seen, with these keys, or go.
    Seen(Vec<Seen>),
    Unlink(u16, u16),
    LinkAgain(u16, u16),
    /// A turn is cut: what was seen last is not grouped until everything is taken up.
    Cut(Vec<Seen>),
}

fn seen(records: u16, keys: u16) -> impl Strategy<Value = Vec<Seen>> {
    let keys = proptest::collection::btree_set(0..keys, 0..4).prop_map(|keys| keys.into_iter().collect());
    proptest::collection::vec((0..records, keys, prop::bool::weighted(0.85)), 1..8)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => seen(48, 14).prop_map(Event::Seen),
        2 => (0_u16..48, 0_u16..48).prop_map(|(one, other)| Event::Unlink(one, other)),
        1 => (0_u16..48, 0_u16..48).prop_map(|(one, other)| Event::LinkAgain(one, other)),
        1 => seen(48, 14).prop_map(Event::Cut),
    ]
}

fn records(seen: &[Seen]) -> Vec<Record> {
    let last: BTreeMap<u16, Record> = seen.iter().map(|it| (it.0, record(it.0, &it.1, it.2))).collect();
    last.into_values().collect()
}

fn happen(desk: &Desk, event: &Event) {
    let known = |number: u16| desk.house.inventory().record(id(number), None).unwrap().is_some();
    match event {
        Event::Seen(seen) => {
            let records = records(seen);
            changed(&desk.house, &put(desk, &records)).unwrap();
        }
        Event::Unlink(one, other) if one != other && known(*one) && known(*other) => {
            unlink(&desk.house, (id(*one), id(*other)), word("not the same")).unwrap();
        }
        Event::LinkAgain(one, other) => {
            drop(link_again(&desk.house, (id(*one), id(*other)), &word("the same")).unwrap())
        }
        Event::Unlink(..) => {}
        Event::Cut(seen) => {
            put(desk, &records(seen));
            let mut draft = Draft::new(desk.house.inventory(), desk.house.now());
            draft.put_unjudged("cut", true);
            draft.commit().unwrap();
            take_up(&desk.house, &|_| false).unwrap();
            follow(&desk.house, &mut || true).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn groups_kept_turn_by_turn_are_those_of_grouping_everything_at_once(
        events in proptest::collection::vec(event(), 1..24),
    ) {
        let desk = Desk::new();
        follow(&desk.house, &mut || true).unwrap();
        for event in &events {
            happen(&desk, event);
            agrees(&desk);
        }
    }

    #[test]
    fn after_link_and_unlink_the_groups_are_those_of_before(
        first in proptest::collection::vec(seen(40, 24), 3..12), joins in any::<[prop::sample::Index; 4]>(),
    ) {
        let desk = Desk::new();
        for seen in &first {
            happen(&desk, &Event::Seen(seen.clone()));
        }
        let before = kept(&desk);
        let numbers: BTreeMap<u16, (Vec<u16>, bool)> =
            first.iter().flat_map(|seen| seen.iter()).filter(|it| it.0 % 4 < 2).map(|it| (it.0, (it.1.clone(), it.2))).collect();
        prop_assume!(numbers.len() > 1);
        let at = *numbers.keys().nth(joins[0].index(numbers.len())).unwrap();
        let keys: Vec<u16> = numbers.values().flat_map(|it| it.0.clone()).collect();
        prop_assume!(!keys.is_empty());
        let key = keys[joins[1].index(keys.len())];
        let side = |at: u16| -> Vec<u16> {
            let people = before.iter().filter(|((unites, _), _)| *unites == Unites::People);
            let group = people.map(|(_, ids)| ids).find(|ids| ids.contains(&id(at)));
            group.map_or_else(|| vec![at], |ids| ids.iter().map(|it| number(*it)).collect())
        };
        let carriers: Vec<u16> = numbers.iter().filter(|(_, it)| it.0.contains(&key)).map(|(number, _)| *number).collect();
        let (one, other) = (side(at), side(carriers[0]));
        // A key that one side carries, and only that side.
        prop_assume!(carriers.iter().all(|it| other.contains(it)) && !other.contains(&at));
        let shared = |side: &[u16]| -> BTreeSet<u16> { side.iter().flat_map(|it| numbers[it].0.clone()).collect() };
        prop_assume!(shared(&one).is_disjoint(&shared(&other)));
        let (mut learned, there) = numbers[&at].clone();
        learned.push(key);
        happen(&desk, &Event::Seen(vec![(at, learned, there)]));
        let named = (one[joins[2].index(one.len())], other[joins[3].index(other.len())]);
        happen(&desk, &Event::Unlink(named.0, named.1));
        prop_assert_eq!(kept(&desk), before);
        agrees(&desk);
    }
}

#[test]
fn what_is_held_back_among_those_who_lost_a_key_is_forgotten_whoever_carries_it_now() {
    // In both orders of the turn: whoever carries it now is grouped after the others, and before them.
    for now in [36, 4] {
        let desk = Desk::new();
        happen(&desk, &Event::Seen(vec![(20, vec![13], false), (8, vec![13], false)]));
        agrees(&desk);
        assert_eq!(desk.house.inventory().held_keys().unwrap().len(), 1);
        happen(&desk, &Event::Seen(vec![(8, vec![], false), (now, vec![13], false), (20, vec![], false)]));
        agrees(&desk);
    }
}

#[test]
fn many_carriers_make_a_key_unite_nobody_and_fewer_make_it_unite_again() {
    let desk = Desk::new();
    // Files that keep one key, of which every two hold together by the fingerprint of its value.
    let file = |at: u16| (at * 4 + 2, vec![7, 100 + at / 2], true);
    let groups = |desk: &Desk| kept(desk).into_values().map(|it| it.len()).collect::<Vec<_>>();
    let mut there = 0;
    for (size, expected) in [(30, vec![30]), (50, vec![50]), (52, vec![2; 26]), (64, vec![2; 32]), (66, vec![2; 33])] {
        happen(&desk, &Event::Seen((there..size).map(file).collect()));
        agrees(&desk);
        assert_eq!(groups(&desk), expected, "{size}");
        there = size;
    }
    for (size, expected) in [(64, vec![2; 32]), (50, vec![50]), (20, vec![20])] {
        happen(&desk, &Event::Seen((size..there).map(|at| (at * 4 + 2, vec![], true)).collect()));
        agrees(&desk);
        assert_eq!(groups(&desk), expected, "{size}");
        there = size;
    }
    // All at once, over several parts of a turn.
    happen(&desk, &Event::Seen((20..200).map(file).collect()));
    agrees(&desk);
}

#[test]
fn a_long_chain_is_in_no_group_until_it_breaks() {
    let desk = Desk::new();
    // Every file shares the key id or the fingerprint with the next one: in the end more hang together than is looked at.
    let link = |at: u16| (at * 4 + 2, vec![at.div_ceil(2), at / 2], true);
    let too_large = |desk: &Desk| {
        let held = desk.house.inventory().held_keys().unwrap().into_iter().flat_map(|row| row.entries);
        held.filter(|(because, _)| *because == provost_engine::link::Because::TooLarge.code()).count()
    };
    for part in [0..20, 20..60, 60..200, 200..256] {
        happen(&desk, &Event::Seen(part.map(link).collect()));
        agrees(&desk);
    }
    assert!(too_large(&desk) == 0 && !kept(&desk).is_empty());
    happen(&desk, &Event::Seen((256..270).map(link).collect()));
    agrees(&desk);
    assert!(too_large(&desk) > 200 && kept(&desk).is_empty());
    for broken in [100, 30, 130, 131, 250] {
        happen(&desk, &Event::Seen(vec![(broken * 4 + 2, vec![], true)]));
        agrees(&desk);
    }
    assert!(too_large(&desk) == 0 && !kept(&desk).is_empty());
}

#[test]
fn a_new_version_of_grouping_groups_everything_in_as_many_turns_as_it_takes() {
    let desk = Desk::new();
    let seen: Vec<_> = (0..300).map(|number: u16| (number, vec![number / 10], true)).collect();
    put(&desk, &records(&seen));
    let mut turns = 0;
    follow(&desk.house, &mut || {
        turns += 1;
        turns < 2
    })
    .unwrap();
    assert!(!desk.house.inventory().linked_by().unwrap().unwrap().everything);
    follow(&desk.house, &mut || true).unwrap();
    agrees(&desk);
    let mark = desk.house.inventory().linked_by().unwrap();
    assert_eq!(mark.map(|it: LinkedBy| it.everything), Some(true));
    let commits = desk.house.store().head().unwrap().number;
    follow(&desk.house, &mut || true).unwrap();
    touched(&desk.house, &[id(1), id(2), id(3)]).unwrap();
    assert_eq!(desk.house.store().head().unwrap().number, commits, "nothing changed, nothing is written");
}
