//! Every way from a fault to an act that anybody may try, in any order: only what policy demands leads there (promise 5).
//! It must never ask the program what is allowed: it knows the rules by itself.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use provost::jobs::{decide::Say, guard, judge};
use provost_model::{Course, DecisionId, Kind, Motion, Reading, RecordId, Remedy, Ruling, Span, Time, field};

use super::super::script::{Lists, Nobody, realm, user_with_old_key};
use super::{ANN, BOB, CID, DAN, Floor, faults::behind, world::World};

const OLD: &str = "AKIA-old";
const CONFIG: &str = "[[guardrails]]\nname = \"old-keys\"\nenabled = true\nremedy = \"rotate\"\nrules = [\"CRED-AGE\"]\n\
    answers = \"bob\"\npurpose = \"old keys are rotated\"\nafter = \"0s\"\n";
/// Root, a shared account, four persons, of whom the last has left.
const UIDS: [u32; 6] = [0, 999, ANN, BOB, CID, DAN];

/// What the subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Plain,
    Privileged,
    /// What rights it has is not known.
    Unread,
    MadeByAnn,
}

/// What somebody tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    Ask(Remedy),
    Contain,
    Approve,
    Refuse,
    Withdraw,
    /// The guardrails' turn.
    Guard,
    Pass(i64),
}

/// A decision as whoever knows the rules would keep it.
struct Known {
    id: DecisionId,
    motion: Motion,
    asker: Option<&'static str>,
    approvers: BTreeSet<&'static str>,
    needs: usize,
    until: Option<Time>,
    over: bool,
}

impl Known {
    fn holds(&self, now: Time) -> bool {
        let agreed = self.approvers.len() >= self.needs;
        !self.over && (agreed || self.until.is_some_and(|until| now < until))
    }
}

fn person(uid: u32) -> Option<&'static str> {
    match uid {
        ANN => Some("ann"),
        BOB => Some("bob"),
        CID => Some("cid"),
        _ => None,
    }
}

fn met(floor: &Floor, subject: Subject) -> RecordId {
    let admin = match subject {
        Subject::Privileged => Reading::Known(true),
        Subject::Unread => Reading::NotPermitted,
        Subject::Plain | Subject::MadeByAnn => Reading::Known(false),
    };
    let tags: std::collections::BTreeMap<String, String> = [("owner".to_owned(), "cid".to_owned())].into();
    let [user, mut access] = user_with_old_key(floor.now(), "deployer", OLD);
    let user = user.with(field::ADMIN, admin).with(field::TAGS, tags);
    if subject == Subject::MadeByAnn {
        access = access.with(field::CREATED_BY, "ann".to_owned());
    }
    // What a first complete run finds is left to people.
    for things in [Vec::new(), vec![user, access]] {
        floor.desk.through("test", Arc::new(Lists { realm: realm(), things }), Box::new(Nobody)).unwrap();
    }
    let id = floor.desk.record(Kind::AccessKey, OLD).unwrap().id;
    judge::touched(&floor.desk.house, &floor.wiring.yardstick, &[id]).unwrap();
    id
}

fn tries() -> impl Strategy<Value = Vec<(usize, Try)>> {
    let one = prop_oneof![
        3 => prop::sample::select(vec![Remedy::Rotate, Remedy::Disable, Remedy::Delete]).prop_map(Try::Ask),
        2 => Just(Try::Contain),
        6 => Just(Try::Approve),
        1 => Just(Try::Refuse),
        1 => Just(Try::Withdraw),
        1 => Just(Try::Guard),
        1 => prop::sample::select(vec![1_i64, 5, 30]).prop_map(Try::Pass),
    ];
    prop::collection::vec((0..UIDS.len(), one), 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_way_leads_from_a_fault_to_an_act_but_by_what_policy_demands(
        subject in prop::sample::select(vec![Subject::Plain, Subject::Privileged, Subject::Unread, Subject::MadeByAnn]),
        tries in tries(),
    ) {
        let world = World::new(OLD);
        let mut floor = Floor::new(CONFIG, &[], |_, faults| behind(&world.hand(true), faults));
        let id = met(&floor, subject);
        let creator = (subject == Subject::MadeByAnn).then_some("ann");
        let (mut known, mut held_once): (Vec<Known>, BTreeSet<DecisionId>) = (Vec::new(), BTreeSet::new());
        for (who, what) in tries {
            let (uid, now) = (UIDS[who], floor.now());
            let by = person(uid);
            let needs = |contained: bool| match subject {
                Subject::Privileged => 2,
                _ if by == creator && creator.is_some() => 1,
                _ => usize::from(contained),
            };
            match what {
                Try::Ask(_) | Try::Contain => {
                    let until = now + Span::hours(4);
                    let ruling = match what {
                        Try::Ask(remedy) => Ruling::Act { remedy },
                        _ => Ruling::Contain { until },
                    };
                    let contained = what == Try::Contain;
                    let asked = floor.want(uid, id, (ruling, false));
                    prop_assert_eq!(asked.is_ok(), by.is_some(), "{:?} by {}", what, uid);
                    if let Ok(motion) = asked {
                        known.push(Known {
                            id: motion.id,
                            motion,
                            asker: by,
                            approvers: BTreeSet::new(),
                            needs: needs(contained),
                            until: contained.then_some(until),
                            over: false,
                        });
                    }
                }
                Try::Approve | Try::Refuse | Try::Withdraw => {
                    let Some(it) = known.last_mut() else { continue };
                    let say = match what {
                        Try::Approve => Say::Approve,
                        Try::Refuse => Say::Refuse,
                        _ => Say::Withdraw,
                    };
                    let waits = it.approvers.len() < it.needs && it.until.is_none_or(|until| now < until);
                    let stranger = by.is_some() && by != it.asker && by != creator;
                    let may = match what {
                        Try::Approve => stranger && waits && by.is_some_and(|by| !it.approvers.contains(by)),
                        Try::Refuse => stranger && waits && by.is_some_and(|by| !it.approvers.contains(by)),
                        _ => by.is_some(),
                    } && !it.over;
                    if floor.say(uid, &it.motion, say).is_ok() {
                        prop_assert!(may, "{:?} by {} of {:?}", what, uid, it.motion);
                        match what {
                            Try::Approve => drop(it.approvers.insert(by.unwrap())),
                            _ => it.over = true,
                        }
                    }
                }
                Try::Guard => {
                    if guard::turn(&floor.desk.house, &floor.wiring).unwrap() > 0 {
                        prop_assert!(matches!(subject, Subject::Plain | Subject::MadeByAnn), "{:?}", subject);
                        prop_assert!(known.is_empty(), "somebody had said something");
                        let motion = floor.desk.house.inventory().motions_of(id, None).unwrap().remove(0);
                        let (approvers, until) = (BTreeSet::new(), None);
                        known.push(Known { id: motion.id, motion, asker: None, approvers, needs: 0, until, over: false });
                    }
                }
                Try::Pass(hours) => floor.desk.pass(Span::hours(hours)),
            }
            let (before, now) = (floor.faults.calls().len(), floor.now());
            held_once.extend(known.iter().filter(|it| it.holds(now)).map(|it| it.id));
            floor.turn();
            if floor.faults.calls().len() == before {
                continue;
            }
            for saga in floor.sagas().iter().filter(|saga| saga.journal.last().is_some_and(|it| it.at >= now)) {
                prop_assert!(held_once.contains(&saga.decision), "it never held: {:#?}", saga);
                let holds = known.iter().any(|it| it.id == saga.decision && it.holds(now));
                // What cannot be taken back any more is brought to its end.
                let may = saga.course == Course::Back || saga.deleted_at.is_some();
                prop_assert!(holds || may, "it holds no more: {:#?}", saga);
            }
        }
        let acted = floor.sagas().iter().any(|saga| !saga.is_untouched());
        prop_assert!(!held_once.is_empty() || (!acted && floor.faults.calls().is_empty()));
    }
}
