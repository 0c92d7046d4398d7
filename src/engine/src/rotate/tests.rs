//! Sagas in a small world that fails, hangs and dies wherever it can, with a consumer who must never notice.
//! It must never let the world tell the saga what it could not see.

use proptest::prelude::*;
use provost_model::{Kind, Placed, Reading, RecordId, Remedy, Slot, Target};

use super::*;

/// Where the world lets a call end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Well,
    /// Whoever called dies before the call leaves.
    DiesBefore,
    /// Whoever called dies before the answer is written down.
    DiesAfter,
    /// It is done, and the answer is lost.
    LostDone,
    /// It is not done, and nobody says so.
    LostUndone,
    /// The other side asks to come again.
    Busy,
    /// Whoever called dies, and what was to be made is made after nobody waits for it any more.
    Late,
}

/// By what a saga knows again what it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// By nothing: there is room for two, and the provider says which is used.
    Nothing,
    /// By its own mark.
    Mark,
    /// By what was prepared: there is room for any number, and the provider says nothing of use.
    Prepared,
}

/// A provider, two destinations, and a consumer who reads the first.
#[derive(Clone, Debug)]
struct World {
    how: How,
    slots: Vec<Slot>,
    /// Version and value, which is the id of the credential it belongs to.
    places: Vec<Vec<String>>,
    made: u32,
    /// What was prepared so far, and what of it something was asked for with.
    prepared: u32,
    asked_with: Vec<String>,
    /// What is still being made, by its mark.
    late: Option<String>,
    now: Time,
    /// What the consumer has in memory.
    consumes: String,
    works: bool,
}

const OLD: &str = "old";

fn how(known: Known) -> How {
    How {
        in_place: false,
        capacity: (known != Known::Prepared).then_some(2),
        reversible: true,
        removes: true,
        marks: known == Known::Mark,
        prepares: known == Known::Prepared,
        carries: true,
        lag: (known != Known::Prepared).then_some(Span::hours(4)),
        readable: vec![true, true],
        windows: Windows::default(),
    }
}

fn slot(id: &str, at: Time) -> Slot {
    Slot { id: id.into(), active: true, made_at: Reading::Known(at), used_at: Reading::Never, mark: None }
}

fn saga(remedy: Remedy, phases: &[Phase]) -> Saga {
    let now = Time::from_seconds(1_000_000);
    let target = Target {
        record: RecordId::from_bytes([2; 16]),
        realm: "r".into(),
        kind: Kind::AccessKey,
        external_id: OLD.into(),
        name: OLD.into(),
        holder_id: "h".into(),
        holder_name: "h".into(),
    };
    let ids = (RecordId::from_bytes([7; 16]), RecordId::from_bytes([1; 16]));
    Saga { profile: "p".into(), phases: phases.to_vec(), ..Saga::new(ids, remedy, target, now) }
}

/// A rotation of a thing of that number, with a holder of its own.
pub(super) fn saga_of(number: u8) -> Saga {
    let mut saga = saga(Remedy::Rotate, &Phase::ALL);
    saga.id = RecordId::from_bytes([number; 16]);
    saga.target.record = RecordId::from_bytes([100 + number; 16]);
    saga.target.holder_id = format!("holder-{number}");
    saga
}

impl World {
    fn new(known: Known) -> Self {
        let now = Time::from_seconds(1_000_000);
        let made = now + Span::days(-400);
        let places = vec![vec![OLD.to_owned()], vec![OLD.to_owned()]];
        let slots = vec![Slot { used_at: Reading::Known(now), ..slot(OLD, made) }];
        let (prepared, asked_with, consumes) = (0, Vec::new(), OLD.to_owned());
        Self { how: how(known), slots, places, made: 0, prepared, asked_with, late: None, now, consumes, works: true }
    }

    fn held(&self, at: usize) -> &str {
        self.places[at].last().unwrap()
    }

    /// The consumer uses what it has.
    fn live(&mut self) {
        let now = self.now;
        let used = self.slots.iter_mut().find(|slot| slot.id == self.consumes && slot.active);
        self.works &= used.is_some();
        if let Some(slot) = used {
            slot.used_at = Reading::Known(now);
        }
    }

    /// `mark` is what a new one is asked for with: the saga's, or what was prepared.
    fn apply(&mut self, act: &Act, mark: &str, value: Option<&str>) -> Answer {
        let set = |slots: &mut Vec<Slot>, active| {
            slots.iter_mut().filter(|slot| slot.id == OLD).for_each(|slot| slot.active = active);
            Answer::Done
        };
        match act {
            Act::Mint if self.how.capacity.is_some_and(|most| self.slots.len() >= most) => {
                Answer::Failed(Trouble::GiveUp, "two".into())
            }
            Act::Mint => {
                self.made += 1;
                let id = format!("new{}", self.made);
                if self.how.prepares {
                    assert!(!self.asked_with.contains(&mark.to_owned()), "{mark} was used before");
                    self.asked_with.push(mark.to_owned());
                }
                let mark = (self.how.marks || self.how.prepares).then(|| mark.to_owned());
                self.slots.push(Slot { mark, ..slot(&id, self.now) });
                Answer::Minted { fingerprint: Some(id.clone()), id }
            }
            Act::Put(at) => {
                let place = &mut self.places[usize::from(*at)];
                place.push(value.unwrap().to_owned());
                Answer::Put(place.len().to_string())
            }
            Act::Restore(at) => {
                self.places[usize::from(*at)].push(OLD.to_owned());
                Answer::Done
            }
            Act::Reload(at) => {
                if *at == 0 {
                    self.consumes = self.held(0).to_owned();
                }
                Answer::Done
            }
            Act::Verify => match self.slots.iter().any(|slot| slot.active && Some(slot.id.as_str()) == value) {
                true => Answer::Done,
                false => Answer::Failed(Trouble::GiveUp, "refused".into()),
            },
            Act::Disable => set(&mut self.slots, false),
            Act::Enable => set(&mut self.slots, true),
            Act::Delete => {
                self.slots.retain(|slot| slot.id != OLD);
                Answer::Done
            }
            Act::Discard(id) => {
                self.slots.retain(|slot| slot.id != *id);
                Answer::Done
            }
            Act::Settle(_) => Answer::Done,
            Act::Look | Act::Prepare | Act::Recover(_) => unreachable!("they are the driver's"),
        }
    }

    fn seen(&self, saga: &Saga) -> Seen {
        let ours =
            |at: usize| saga.minted.as_ref().is_some_and(|new| new.fingerprint.as_deref() == Some(self.held(at)));
        let held = (0..2).map(|at| Held { version: Some(self.places[at].len().to_string()), ours: ours(at) });
        let mut slots = self.slots.clone();
        if self.how.prepares {
            slots.iter_mut().for_each(|slot| slot.used_at = Reading::NotReported);
        }
        Seen { slots, held: held.collect() }
    }
}

/// Drives a saga to where it rests; gives what was written down at the end.
fn drive(world: &mut World, mut saga: Saga, fates: &[Fate], undo_at: Option<usize>) -> Saga {
    let (mut value, mut key, mut calls) = (None::<String>, None::<String>, 0);
    for step in 0..4_000 {
        if undo_at == Some(step) && saga.ended.is_none() {
            let now = world.now;
            turn_back(&mut saga, "somebody said so", now);
        }
        let now = world.now;
        let at_hand = AtHand { value: value.is_some(), prepared: key.clone() };
        let act = match next(&mut saga, &world.how.clone(), &at_hand, now) {
            Next::Rest => return saga,
            Next::Wait(until) => {
                assert_eq!(saga.not_before, until, "or whoever drives it asks again and again");
                if let Some(mark) = world.late.take() {
                    world.apply(&Act::Mint, &mark, None);
                }
                // Time goes by in pieces, and the consumer goes on.
                world.now = until.min(now + Span::minutes(30)).max(now + Span::seconds(1));
                world.live();
                continue;
            }
            Next::Do(act) => act,
        };
        let how = world.how.clone();
        match &act {
            Act::Look => {
                let seen = world.seen(&saga);
                after(&mut saga, &act, Answer::Seen(seen), &how, now);
            }
            Act::Recover(at) => {
                value = Some(world.held(usize::from(*at)).to_owned());
                let right = value.as_deref() == saga.minted.as_ref().unwrap().fingerprint.as_deref();
                after(&mut saga, &act, Answer::Recovered(right), &how, now);
            }
            Act::Prepare => {
                let fate = fates.get(calls).copied().unwrap_or(Fate::Well);
                calls += 1;
                world.prepared += 1;
                let made = format!("key{}", world.prepared);
                let answer = match fate {
                    Fate::DiesBefore | Fate::DiesAfter | Fate::Late => None,
                    Fate::Busy => Some(Answer::Failed(Trouble::Retry(None), "busy".into())),
                    Fate::LostUndone => Some(Answer::Failed(Trouble::Ambiguous, "cut".into())),
                    Fate::Well | Fate::LostDone => {
                        key = Some(made.clone());
                        Some(Answer::Prepared(made))
                    }
                };
                if let Some(answer) = answer {
                    after(&mut saga, &act, answer, &how, now);
                }
                // Whoever prepared it dies when it is written down, and before anything is asked for with it.
                if matches!(fate, Fate::DiesBefore | Fate::DiesAfter | Fate::LostDone) {
                    (value, key) = (None, None);
                }
            }
            _ => {
                begin(&mut saga, &act, now);
                let fate = fates.get(calls).copied().unwrap_or(Fate::Well);
                calls += 1;
                let mark = match world.how.prepares && act == Act::Mint {
                    true => key.take().unwrap(),
                    false => saga.mark(),
                };
                assert!(!world.how.prepares || act != Act::Mint || saga.prepared.as_ref() == Some(&mark));
                let call = |world: &mut World| world.apply(&act, &mark, value.as_deref());
                let answer = match fate {
                    Fate::Well => Some(call(world)),
                    Fate::DiesBefore => None,
                    Fate::Late => {
                        let known = world.how.marks || world.how.prepares;
                        world.late = (act == Act::Mint && known).then_some(mark);
                        None
                    }
                    Fate::DiesAfter => {
                        call(world);
                        None
                    }
                    Fate::LostDone => {
                        call(world);
                        Some(Answer::Failed(Trouble::Ambiguous, "cut".into()))
                    }
                    Fate::LostUndone => Some(Answer::Failed(Trouble::Ambiguous, "cut".into())),
                    Fate::Busy => Some(Answer::Failed(Trouble::Retry(None), "busy".into())),
                };
                match answer {
                    None => (value, key) = (None, None),
                    Some(answer) => {
                        if let Answer::Minted { id, .. } = &answer {
                            value = Some(id.clone());
                        }
                        after(&mut saga, &act, answer, &how, now);
                    }
                }
            }
        }
        world.live();
        world.now = world.now + Span::seconds(1);
    }
    panic!("it never rests: {saga:#?}");
}

fn ends_well(world: &World, saga: &Saga) {
    let (ending, _) = saga.ended.unwrap_or_else(|| panic!("{:?} {:#?}", saga.held, saga.journal));
    assert!(world.works, "the consumer was refused");
    assert_eq!(world.slots.len(), 1, "{:?}", world.slots);
    let live = &world.slots[0];
    assert!(live.active);
    match ending {
        Ending::Done => assert!(live.id.starts_with("new")),
        Ending::Restored => assert_eq!(live.id, OLD),
        Ending::Moot => panic!("it was there"),
    }
    assert!((0..2).all(|at| world.held(at) == live.id), "{:?}", world.places);
    assert_eq!(world.consumes, live.id);
    let put = saga.journal.iter().any(|it| matches!(it.act, Act::Put(_)));
    assert!(
        !put || saga.placed.iter().all(|it| it.settled),
        "what places kept for a way back is given up: {:?}",
        saga.placed
    );
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Well),
        1 => Just(Fate::DiesBefore),
        1 => Just(Fate::DiesAfter),
        1 => Just(Fate::LostDone),
        1 => Just(Fate::LostUndone),
        1 => Just(Fate::Busy),
        1 => Just(Fate::Late),
    ]
}

#[test]
fn an_undisturbed_rotation_takes_every_step_once() {
    let mut world = World::new(Known::Nothing);
    let done = drive(&mut world, saga(Remedy::Rotate, &Phase::ALL), &[], None);
    ends_well(&world, &done);
    let begun: Vec<Act> = done.journal.iter().filter(|it| it.what == "begun").map(|it| it.act.clone()).collect();
    let all = [
        Act::Mint,
        Act::Put(0),
        Act::Put(1),
        Act::Reload(0),
        Act::Reload(1),
        Act::Disable,
        Act::Delete,
        Act::Settle(0),
        Act::Settle(1),
    ];
    assert_eq!(begun, all);
    // A day of overlap and quiet with four hours of lag, seven days of watch.
    assert!(world.now - done.begun_at >= Span::hours(8 * 24 + 4));
}

#[test]
fn every_call_may_die_or_be_lost_once() {
    for known in [Known::Nothing, Known::Mark, Known::Prepared] {
        for at in 0..10 {
            for fate in [Fate::DiesBefore, Fate::DiesAfter, Fate::LostDone, Fate::LostUndone, Fate::Busy, Fate::Late] {
                let mut world = World::new(known);
                let fates: Vec<Fate> = (0..at).map(|_| Fate::Well).chain([fate]).collect();
                let done = drive(&mut world, saga(Remedy::Rotate, &Phase::ALL), &fates, None);
                ends_well(&world, &done);
                assert_eq!(done.ended.unwrap().0, Ending::Done, "{fate:?} at {at}");
            }
        }
    }
}

#[test]
fn an_old_one_that_is_still_used_is_never_disabled() {
    let mut world = World::new(Known::Nothing);
    // Nobody tells the consumer.
    world.how.readable = vec![true, true];
    let mut at_work = saga(Remedy::Rotate, &Phase::ALL);
    at_work.phases.retain(|phase| *phase != Phase::Propagate);
    let mut value = None;
    for _ in 0..3_000 {
        let now = world.now;
        let how = world.how.clone();
        let at_hand = AtHand { value: value.is_some(), prepared: None };
        match next(&mut at_work, &how, &at_hand, now) {
            Next::Rest => panic!("{at_work:?}"),
            Next::Wait(until) => world.now = until,
            Next::Do(Act::Look) => {
                let seen = world.seen(&at_work);
                after(&mut at_work, &Act::Look, Answer::Seen(seen), &how, now);
            }
            Next::Do(act) => {
                begin(&mut at_work, &act, now);
                let answer = world.apply(&act, "", value.as_deref());
                if let Answer::Minted { id, .. } = &answer {
                    value = Some(id.clone());
                }
                after(&mut at_work, &act, answer, &how, now);
            }
        }
        world.live();
    }
    assert!(at_work.phase == Phase::Observe && world.works, "{:?}", at_work.waits);
    assert!(at_work.waits.unwrap().contains("was used at"));
}

#[test]
fn two_keys_leave_no_room_and_a_disabled_one_is_not_rotated() {
    let mut world = World::new(Known::Nothing);
    world.slots.push(slot("other", world.now));
    let held = drive(&mut world, saga(Remedy::Rotate, &Phase::ALL), &[], None);
    assert!(held.held.unwrap().contains("no room for a new one beside old and other"));
    let mut world = World::new(Known::Nothing);
    world.slots[0].active = false;
    let held = drive(&mut world, saga(Remedy::Rotate, &Phase::ALL), &[], None);
    assert!(held.held.unwrap().contains("disabled already"));
    let mut world = World::new(Known::Nothing);
    world.slots.clear();
    world.works = true;
    let moot = drive(&mut world, saga(Remedy::Rotate, &Phase::ALL), &[], None);
    assert_eq!(moot.ended.unwrap().0, Ending::Moot);
}

#[test]
fn what_was_done_can_be_taken_back_until_it_is_removed() {
    let disable = [Phase::Plan, Phase::Disable, Phase::Prove];
    let mut world = World::new(Known::Nothing);
    world.consumes = "nothing".into();
    let mut done = drive(&mut world, saga(Remedy::Disable, &disable), &[], None);
    assert!(done.ended.is_some() && !world.slots[0].active);
    turn_back(&mut done, "it was needed", world.now);
    let back = drive(&mut world, done, &[], None);
    assert!(back.ended.unwrap().0 == Ending::Restored && world.slots[0].active);
    let mut world = World::new(Known::Nothing);
    let mut done = drive(&mut world, saga(Remedy::Rotate, &Phase::ALL), &[], None);
    turn_back(&mut done, "too late", world.now);
    let held = drive(&mut world, done, &[], None);
    assert!(held.held.unwrap().contains("was removed"));
}

#[test]
fn a_key_that_somebody_else_made_meanwhile_is_never_taken_for_ours() {
    let mut world = World::new(Known::Nothing);
    world.how.capacity = None;
    let mut at_work = saga(Remedy::Rotate, &Phase::ALL);
    at_work.before = Some(world.slots.clone());
    at_work.phase = Phase::Mint;
    begin(&mut at_work, &Act::Mint, world.now);
    // One that was used by somebody, and one that may be either's.
    let mut theirs = slot("theirs", world.now);
    theirs.used_at = Reading::Known(world.now);
    world.slots.push(theirs);
    let held = drive(&mut world, at_work, &[], None);
    assert!(held.held.is_some() && world.slots.len() == 2);
}

#[test]
fn what_was_prepared_is_asked_with_once_and_only_as_it_is_written_down() {
    let how = how(Known::Prepared);
    let now = Time::from_seconds(1_000_000);
    let mut at_work = saga(Remedy::Rotate, &Phase::ALL);
    at_work.phase = Phase::Mint;
    let at_hand = |prepared: &str| AtHand { value: false, prepared: Some(prepared.to_owned()) };
    assert_eq!(next(&mut at_work, &how, &AtHand::default(), now), Next::Do(Act::Prepare));
    assert_eq!(next(&mut at_work, &how, &at_hand("a"), now), Next::Do(Act::Prepare), "nothing is written down");
    after(&mut at_work, &Act::Prepare, Answer::Prepared("a".into()), &how, now);
    // Whoever died, and whoever else prepared something meanwhile, begins again.
    for other in [AtHand::default(), at_hand("b")] {
        assert_eq!(next(&mut at_work, &how, &other, now), Next::Do(Act::Prepare));
    }
    assert!(at_work.is_untouched());
    assert_eq!(next(&mut at_work, &how, &at_hand("a"), now), Next::Do(Act::Mint));
    begin(&mut at_work, &Act::Mint, now);
    // What comes too late takes the place of nothing.
    after(&mut at_work, &Act::Prepare, Answer::Prepared("late".into()), &how, now);
    assert_eq!(at_work.doing.as_ref().map(|it| &it.act), Some(&Act::Mint));
    assert_eq!(at_work.prepared.as_deref(), Some("a"));
    // Nothing happened: that one is used up all the same.
    after(&mut at_work, &Act::Mint, Answer::Failed(Trouble::Retry(None), "busy".into()), &how, now);
    assert_eq!(at_work.prepared, None);
    let later = at_work.not_before;
    assert_eq!(next(&mut at_work, &how, &at_hand("a"), later), Next::Do(Act::Prepare));
}

#[test]
fn of_what_appeared_while_nobody_answered_only_what_was_prepared_is_ours() {
    let how = how(Known::Prepared);
    let now = Time::from_seconds(1_000_000);
    let of = |id: &str, mark: &str| Slot { mark: Some(mark.to_owned()), ..slot(id, now) };
    let looked = |prepared: Option<&str>| {
        let mut at_work = saga(Remedy::Rotate, &Phase::ALL);
        (at_work.phase, at_work.prepared) = (Phase::Mint, prepared.map(str::to_owned));
        at_work.before = Some(vec![of(OLD, "first")]);
        begin(&mut at_work, &Act::Mint, now);
        let mut slots = vec![of(OLD, "first"), of("theirs", "b"), of("ours", "a"), of("too", "c")];
        slots.iter_mut().for_each(|slot| slot.used_at = Reading::NotReported);
        after(&mut at_work, &Act::Look, Answer::Seen(Seen { slots, held: Vec::new() }), &how, now);
        at_work
    };
    let found = looked(Some("a"));
    assert_eq!((found.strays.clone(), found.prepared.clone(), found.held.clone()), (vec!["ours".into()], None, None));
    assert!(found.journal.iter().all(|it| it.what != "left"));
    assert!(looked(Some("d")).strays.is_empty(), "it was not made");
    // A program that could not prepare anything died over it.
    let older = looked(None);
    assert!(older.strays.is_empty() && older.journal.iter().any(|it| it.what == "left"));
}

#[test]
fn one_that_was_made_late_by_a_call_of_somebody_who_died_is_removed_before_the_end() {
    for undone in [false, true] {
        let mut world = World::new(Known::Mark);
        let mut at_work = saga(Remedy::Rotate, &Phase::ALL);
        at_work.before = Some(world.slots.clone());
        at_work.placed = vec![Placed { before: Some("1".into()), ..Placed::default() }; 2];
        let mut value = None;
        while at_work.phase != Phase::Observe {
            let (now, how) = (world.now, world.how.clone());
            let at_hand = AtHand { value: value.is_some(), prepared: None };
            let Next::Do(act) = next(&mut at_work, &how, &at_hand, now) else { panic!("{at_work:#?}") };
            begin(&mut at_work, &act, now);
            let answer = match act {
                Act::Look => Answer::Seen(world.seen(&at_work)),
                _ => world.apply(&act, &at_work.mark(), value.as_deref()),
            };
            if let Answer::Minted { id, .. } = &answer {
                value = Some(id.clone());
            }
            after(&mut at_work, &act, answer, &how, now);
        }
        world.slots.push(Slot { mark: Some(at_work.mark()), ..slot("late", world.now) });
        if undone {
            turn_back(&mut at_work, "somebody said so", world.now);
        }
        let done = drive(&mut world, at_work, &[], None);
        ends_well(&world, &done);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever dies, is lost or is taken back, wherever: the consumer never notices, and in the end one credential works and the
    /// destinations have it.
    #[test]
    fn nobody_notices(
        known in prop::sample::select(vec![Known::Nothing, Known::Mark, Known::Prepared]),
        fates in prop::collection::vec(fate(), 0..30),
        undo in prop::option::of(0_usize..400),
    ) {
        let mut world = World::new(known);
        let done = drive(&mut world, saga(Remedy::Rotate, &Phase::ALL), &fates, undo);
        let too_late = done.held.as_deref().is_some_and(|why| why.contains("was removed"));
        if too_late {
            prop_assert!(world.works && world.slots.len() == 1 && undo.is_some());
        } else {
            ends_well(&world, &done);
        }
    }
}
