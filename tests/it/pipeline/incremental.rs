//! Random histories of a whole inventory: what is judged by changes alone is what judging everything would say.

use std::collections::BTreeMap;

use proptest::prelude::*;
use provost::jobs::{
    anew::follow,
    decide::{self, Say, Wanted},
    judge::{Gathering, Settled, Touched, Yardstick, awaited, changed, due, touched},
    sources::baseline,
};
use provost_engine::{
    Owning, Policy, PolicyConfig, Roster, absence,
    govern::{Deadlines, Governance},
    own::{People, Person},
    reconcile::{self, Birth, Said},
};
use provost_model::{
    Change, Entity, Facts, Finding, FindingState, Key, Kind, PartId, Purpose, Reading, RecordId, Remedy, Ruling, Scope,
    ScopeNo, Span, Status, Time, Value, field,
};
use provost_store::{
    Go,
    inventory::{BaselineState, Draft},
};

use super::script::{Desk, realm};

/// Who there may be, and whose it is at first.
const CAST: [(Kind, &str, Option<&str>); 9] = [
    (Kind::User, "ann", None),
    (Kind::User, "bob", None),
    (Kind::AccessKey, "k1", Some("ann")),
    (Kind::AccessKey, "k2", Some("ann")),
    (Kind::AccessKey, "k3", Some("bob")),
    (Kind::Certificate, "c1", Some("bob")),
    (Kind::Certificate, "c2", Some("bob")),
    (Kind::SshKey, "file", None),
    (Kind::AiAgent, "agent", None),
];

/// Policies that take turns.
pub(super) const POLICIES: [&str; 4] = [
    "",
    "thresholds = { stale_key_days = 10, ownerless_days = 90, age_key_days = 30 }",
    "[[overrides]]\nmatch = { tag = \"env=prod\" }\nthresholds = { age_key_days = 20, off = [\"CRED-STALE\"] }",
    "[[overrides]]\nmatch = { source = \"s2\" }\nthresholds = { never_used_days = 3, idle_role_days = 20, overlap_days = 0 }",
];

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Says {
        who: usize,
        scope: u8,
        facts: Vec<(u8, u8)>,
        whose: Option<bool>,
    },
    Ends {
        who: usize,
        scope: u8,
        how: u8,
    },
    Covered(u8),
    Hours(i64),
    Policy(usize),
    Owners(bool),
    /// Another way to govern is put to work.
    Governed(usize),
    /// Somebody says what becomes of a source's first findings.
    Begun {
        source: bool,
        working: bool,
    },
    /// Somebody decides about whatever stands.
    Decides {
        who: usize,
        what: u8,
        days: i64,
    },
}

/// Ways to govern that take turns: the usual one, and one in which everything is overdue soon.
fn governance(at: usize) -> Governance {
    let usual = Governance::default();
    let days = |days: i64| days * 86_400;
    let soon = Deadlines { critical: days(1), high: days(2), medium: days(3), low: days(5), info: days(9) };
    if at == 0 { Governance { renewals: 99, ..usual } } else { Governance { deadlines: soon, renewals: 99, ..usual } }
}

pub(super) struct World {
    pub(super) desk: Desk,
    pub(super) yardstick: Yardstick,
    ids: BTreeMap<usize, RecordId>,
    settled: Settled,
}

/// Sets one attribute, in one of a few ways that matter.
fn set(facts: &mut Facts, (which, how): (u8, u8), now: Time) {
    let ago = now - Span::days(i64::from(how % 10) * 13);
    let unknown = match how % 7 {
        0 => Some(Reading::NotPermitted),
        1 => Some(Reading::Never),
        2 => Some(Reading::NotReported),
        _ => None,
    };
    let tags = [("env", "prod"), ("owner", "ann"), ("contact", "bob"), ("env", "dev")][usize::from(how / 7) % 4];
    let tags = BTreeMap::from([(tags.0.to_owned(), tags.1.to_owned())]);
    let (field, value) = match which % 14 {
        0 => (field::LAST_USED_AT.field(), Value::Time(ago)),
        1 => (field::CREATED_AT.field(), Value::Time(ago)),
        2 => (field::EXPIRES_AT.field(), Value::Time(now + Span::days(i64::from(how % 40) - 5))),
        3 => (field::TAGS.field(), Value::Map(tags)),
        4 => (field::ADMIN.field(), Value::Bool(how > 127)),
        5 => (field::FINGERPRINT.field(), Value::Text(["f1", "f2"][usize::from(how) % 2].to_owned())),
        6 => (field::USAGE_SINCE.field(), Value::Time(ago)),
        7 => (field::LOCATION.field(), Value::Text("/etc/x".to_owned())),
        8 => (field::PLAINTEXT.field(), Value::Bool(how > 127)),
        9 => (field::ROTATED_AT.field(), Value::Time(ago)),
        10 => (field::NATURE.field(), Value::Text(["human", "machine"][usize::from(how) % 2].to_owned())),
        11 => (field::DESCRIPTION.field(), Value::Text(how.to_string())),
        12 => (field::FILE_OWNER.field(), Value::Text(["ann", "bob"][usize::from(how) % 2].to_owned())),
        _ => {
            let status = [Status::Active, Status::Inactive][usize::from(how > 200)];
            (field::STATUS.field(), Value::Text(status.name().to_owned()))
        }
    };
    facts.set_value(field, unknown.unwrap_or(Reading::Known(value)));
}

impl World {
    pub(super) fn new() -> Self {
        let (desk, yardstick, settled) = (Desk::new(), Yardstick::default(), Settled::default());
        let mut it = Self { desk, yardstick, ids: BTreeMap::new(), settled };
        for scope in 0..3 {
            it.scope(scope);
        }
        it.follow();
        it
    }

    fn scope(&mut self, scope: u8) {
        let inventory = self.desk.house.inventory();
        let mut draft = Draft::new(inventory, self.desk.house.now());
        let named = Scope::new(realm(), format!("scope{scope}"));
        let row = draft.open_scope(if scope == 1 { "s2" } else { "s1" }, &named).unwrap();
        draft.put_scope(row);
        draft.commit().unwrap();
    }

    fn follow(&self) {
        follow(&self.desk.house, &self.yardstick, &mut |_| true).unwrap();
    }

    /// The change that a step makes, if any.
    fn change(&mut self, draft: &mut Draft<'_>, step: &Step) -> Option<Change> {
        let now = self.desk.house.now();
        match step {
            Step::Says { who, scope, facts, whose } => {
                let (kind, name, first) = CAST[*who];
                let next = RecordId::from_bytes([u8::try_from(*who).unwrap() + 1; 16]);
                let known = self.ids.get(who).copied();
                let before = known.and_then(|id| draft.record(id).unwrap().cloned());
                let number = ScopeNo(u32::from(*scope) + 1);
                let said = before.as_ref().and_then(|it| it.statements.iter().find(|said| said.scope == number));
                let mut all =
                    said.map_or_else(|| Facts::new().with(field::STATUS, Status::Active), |said| said.facts.clone());
                facts.iter().for_each(|fact| set(&mut all, *fact, now));
                let mut entity = Entity::new(Key::new(realm(), kind, name), name);
                entity.facts = all;
                let whose = match whose {
                    Some(anns) if first.is_some() => Some(if *anns { "ann" } else { "bob" }),
                    _ => first,
                };
                entity.identity = whose.map(|name| Key::new(realm(), Kind::User, name));
                let said = Said { scope: number, part: PartId::WHOLE, as_of: now, recorded: now };
                let birth = Birth { id: next, baseline: who % 2 == 0 };
                self.ids.insert(*who, next);
                reconcile::present(before.as_ref(), entity, said, birth)
            }
            Step::Ends { who, scope, how } => {
                let record = draft.record(*self.ids.get(who)?).unwrap()?;
                let number = ScopeNo(u32::from(*scope) + 1);
                let listing = absence::Listing { scope: number, part: PartId::WHOLE, began: now, atomic: false };
                match how {
                    0 => absence::absent(record, listing),
                    1 => absence::told_gone(record, number, PartId::WHOLE),
                    2 => absence::unwatch(record, number),
                    _ => absence::merged_away(record),
                }
            }
            _ => None,
        }
    }

    /// Does a step, and judges whom it concerns.
    pub(super) fn take(&mut self, step: &Step) {
        let news = self.does(step);
        self.hand_over(&news);
    }

    /// Has judged whom changes concern, and what is due.
    fn hand_over(&mut self, news: &[Touched]) {
        let house = self.desk.house.clone();
        self.follow();
        self.settled.turn();
        for part in news.chunks(2) {
            changed(&house, &self.yardstick, part, &mut self.settled).unwrap();
        }
        due(&house, &self.yardstick).unwrap();
        awaited(&house, &self.yardstick).unwrap();
    }

    /// Does a step; gives what changed with it.
    fn does(&mut self, step: &Step) -> Vec<Touched> {
        let house = self.desk.house.clone();
        let mut draft = Draft::new(house.inventory(), house.now());
        let mut news = Vec::new();
        if let Some(change) = self.change(&mut draft, step) {
            let before = draft.record(change.after.id).unwrap();
            news.push(Touched::between(before, &change.after));
            draft.apply(change).unwrap();
        }
        match step {
            Step::Covered(scope) => {
                let named = Scope::new(realm(), format!("scope{scope}"));
                let mut row = draft.open_scope(if *scope == 1 { "s2" } else { "s1" }, &named).unwrap();
                row.as_of = Some(house.now());
                draft.put_scope(row);
            }
            Step::Hours(hours) => self.desk.pass(Span::hours(*hours)),
            Step::Policy(at) => {
                let config: PolicyConfig = toml::from_str(POLICIES[*at]).unwrap();
                self.yardstick.policy = Policy::new(config).unwrap();
            }
            Step::Owners(contact) => {
                let tag = if *contact { "contact" } else { "owner" };
                self.yardstick.owning = Owning { tags: vec![tag.to_owned()], ..Owning::default() };
            }
            Step::Governed(at) => self.yardstick.governance = governance(*at),
            Step::Says { .. } | Step::Ends { .. } | Step::Begun { .. } | Step::Decides { .. } => {}
        }
        let by = draft.commit().unwrap().map(|done| done.number);
        news.iter_mut().for_each(|it| it.by = by);
        match step {
            Step::Begun { source, working } => {
                let state = if *working { BaselineState::Working } else { BaselineState::Accepted };
                baseline(&house, if *source { "s1" } else { "s2" }, state, "it was said").unwrap();
            }
            Step::Decides { who, what, days } => self.decides(*who, (*what, *days)),
            _ => {}
        }
        news
    }

    /// Two people decide about whatever stands of it, or take back what they decided last. Whether they may is theirs.
    fn decides(&self, who: usize, (what, days): (u8, i64)) {
        let Some(subject) = self.ids.get(&who).copied() else { return };
        let house = &self.desk.house;
        let person = |id: &str, uid| Person { id: id.into(), uid: Some(uid), ..Person::default() };
        let persons = vec![person("ann", 1001), person("bob", 1002), person("cid", 1003)];
        let people = Roster::new(People { persons, ..People::default() }).unwrap();
        let desk = |uid| decide::Desk { house, people: &people, governance: &self.yardstick.governance, uid };
        let purpose = Purpose::stated("so it was said").unwrap();
        let until = house.now() + Span::days(days);
        let ruling = match what {
            0 => Ruling::Act { remedy: Remedy::Mend },
            1 => Ruling::Reject { until },
            2 | 3 => Ruling::Accept { until, control: None },
            _ => {
                let last = house.inventory().motions_of(subject, None).unwrap().pop();
                let _ = last.map(|it| desk(1002).say((subject, it.id), Say::Withdraw, &purpose));
                return;
            }
        };
        let (rules, purpose_of) = (Vec::new(), purpose.clone());
        let wanted = Wanted { subject, rules, ruling, purpose: purpose_of, routine: false, emergency: false };
        if let Ok(motion) = desk(1001).ask(&wanted) {
            for uid in [1002, 1003] {
                let _ = desk(uid).say((subject, motion.id), Say::Approve, &purpose);
            }
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut all = Vec::new();
        let mut each = |finding: Finding| {
            all.push(finding);
            Ok(Go::On)
        };
        self.desk.house.inventory().each_finding(None, &mut each).unwrap();
        all
    }
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let facts = || prop::collection::vec((any::<u8>(), any::<u8>()), 1..4);
    let says = (0..CAST.len(), 0_u8..3, facts(), prop::option::weighted(0.1, any::<bool>()))
        .prop_map(|(who, scope, facts, whose)| Step::Says { who, scope, facts, whose });
    let step = prop_oneof![
        10 => says,
        2 => (0..CAST.len(), 0_u8..3, 0_u8..4).prop_map(|(who, scope, how)| Step::Ends { who, scope, how }),
        3 => (0_u8..3).prop_map(Step::Covered),
        4 => (1_i64..700).prop_map(Step::Hours),
        1 => (0..POLICIES.len()).prop_map(Step::Policy),
        1 => any::<bool>().prop_map(Step::Owners),
        1 => (0_usize..2).prop_map(Step::Governed),
        1 => any::<(bool, bool)>().prop_map(|(source, working)| Step::Begun { source, working }),
        3 => (0..CAST.len(), 0_u8..5, 1_i64..40).prop_map(|(who, what, days)| Step::Decides { who, what, days }),
    ];
    let opening = prop::collection::vec(prop::collection::vec((any::<u8>(), any::<u8>()), 6..16), CAST.len());
    (opening, prop::collection::vec(step, 1..40)).prop_map(|(opening, steps)| {
        let says = |(who, facts)| Step::Says { who, scope: 0, facts, whose: None };
        opening.into_iter().enumerate().map(says).chain(steps).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 300, ..ProptestConfig::default() })]

    /// By induction the findings are, byte for byte, those of a store in which everything is judged after every step: judging
    /// everything once more changes none. Only the number of days in a finding's words may be older.
    #[test]
    fn judging_by_changes_alone_is_judging_everything(steps in steps()) {
        let mut world = World::new();
        world.desk.clock.stop();
        let mut opened = 0;
        for step in &steps {
            world.take(step);
            let before = world.findings();
            let all: Vec<RecordId> = world.ids.values().copied().collect();
            let house = &world.desk.house;
            prop_assert_eq!(touched(house, &world.yardstick, &all).unwrap(), 0, "after {:?}: {:?}", step, difference(&before, &world.findings()));
            prop_assert_eq!(&before, &world.findings());
            opened = opened.max(before.iter().filter(|it| it.state == FindingState::Open).count());
        }
        prop_assume!(opened > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 300, ..ProptestConfig::default() })]

    /// What is handed over only when others were judged is judged all the same, unless it was read with them.
    #[test]
    fn what_is_handed_over_late_is_judged_as_if_it_had_been_at_once(
        steps in steps(),
        late in prop::collection::vec(0_u8..4, 60),
    ) {
        let mut world = World::new();
        world.desk.clock.stop();
        let mut held = Gathering::default();
        for (step, late) in steps.iter().zip(late.into_iter().chain([3]).cycle()) {
            let news = world.does(step);
            match late {
                0 | 1 => news.into_iter().for_each(|it| held.add(it)),
                2 => world.hand_over(&news),
                _ => {
                    world.hand_over(&news);
                    world.hand_over(&held.take());
                }
            }
        }
        world.hand_over(&held.take());
        let before = world.findings();
        let all: Vec<RecordId> = world.ids.values().copied().collect();
        prop_assert_eq!(touched(&world.desk.house, &world.yardstick, &all).unwrap(), 0, "{:?}", difference(&before, &world.findings()));
        prop_assume!(before.iter().any(|it| it.state == FindingState::Open));
    }
}

/// A key that was used 26 days ago, and whose it is: 70 days later nobody knows what happened since, until something else is
/// told of the key.
#[test]
fn who_waits_for_a_later_reading_is_judged_by_whatever_is_said_later() {
    let mut world = World::new();
    world.desk.clock.stop();
    let says = |who, scope, facts: &[(u8, u8)]| Step::Says { who, scope, facts: facts.to_vec(), whose: None };
    let open = |world: &World| -> Vec<String> {
        let open = world.findings().into_iter().filter(|it| it.state == FindingState::Open);
        let mut rules: Vec<String> =
            open.map(|it| it.rule).filter(|it| it == "CRED-STALE" || it == "ID-IDLE").collect();
        rules.sort();
        rules
    };
    for step in [says(0, 0, &[(1, 19)]), says(2, 1, &[(0, 12), (1, 19)]), Step::Hours(70 * 24)] {
        world.take(&step);
    }
    assert_eq!(open(&world), [""; 0]);
    // It has a tag now, which says nothing of whose it is.
    world.take(&says(2, 1, &[(3, 3)]));
    assert_eq!(open(&world), ["CRED-STALE", "ID-IDLE"]);
}

fn difference(before: &[Finding], after: &[Finding]) -> Vec<(Option<Finding>, Finding)> {
    let former = |it: &Finding| before.iter().find(|old| old.id == it.id).cloned();
    after.iter().filter(|it| former(it).as_ref() != Some(*it)).map(|it| (former(it), it.clone())).collect()
}
