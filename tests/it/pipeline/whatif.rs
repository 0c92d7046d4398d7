//! What another policy would open and close: what it says comes true, of the present and of every time kept.
//! It must never be told by the store that anybody asked.

use std::collections::BTreeMap;

use proptest::prelude::*;
use provost::jobs::judge::whatif::{Change, WhatIf, When, scopes};
use provost_engine::{Policy, PolicyConfig};
use provost_model::{Finding, FindingState, RecordId, Severity, Time};

use super::incremental::{POLICIES, Step, World, steps};

/// What would be different: for each finding its severity by the policy at work and by the other, where it is open.
type Told = BTreeMap<RecordId, (Option<Severity>, Option<Severity>)>;

fn policy(text: &str) -> Policy {
    Policy::new(toml::from_str::<PolicyConfig>(text).unwrap()).unwrap()
}

fn now(world: &World) -> When {
    let house = &world.desk.house;
    When { commit: house.store().head().unwrap().number, now: house.now(), past: false }
}

fn then(world: &World, at: Time) -> When {
    When { commit: world.desk.house.store().commit_at(at).unwrap(), now: at, past: true }
}

fn told(world: &World, other: &Policy, when: When) -> Told {
    let house = &world.desk.house;
    let scopes = scopes(house, when).unwrap();
    let mut asking = WhatIf::new(house, (&world.yardstick, other), &scopes, when).unwrap();
    let mut told = Told::new();
    while let Some(page) = asking.page().unwrap() {
        for it in page {
            let severity = it.finding.severity;
            let both = match it.change {
                Change::Opens => (None, Some(severity)),
                Change::Closes => (Some(severity), None),
                Change::Severity(former) => (Some(former), Some(severity)),
            };
            assert_eq!(told.insert(it.finding.id, both), None, "told once: {:?}", it.finding);
        }
    }
    told
}

fn open(findings: &[Finding]) -> BTreeMap<RecordId, Severity> {
    findings.iter().filter(|it| it.state == FindingState::Open).map(|it| (it.id, it.severity)).collect()
}

/// What is different between two moments.
fn happened(before: &[Finding], after: &[Finding]) -> Told {
    let (before, after) = (open(before), open(after));
    let ids = before.keys().chain(after.keys());
    let both = ids.map(|id| (*id, (before.get(id).copied(), after.get(id).copied())));
    both.filter(|(_, (before, after))| before != after).collect()
}

/// Without what has no history: who belongs together, and what secrets are one. Every scope is read to the end.
fn kept(steps: Vec<Step>) -> Vec<Step> {
    let lasting = |step| match step {
        Step::Says { who, scope, facts, .. } => {
            let facts = facts.into_iter().filter(|(which, _)| which % 14 != 5).collect();
            Some(Step::Says { who, scope, facts, whose: None })
        }
        Step::Owners(_) | Step::Governed(_) | Step::Begun { .. } => None,
        other => Some(other),
    };
    steps.into_iter().filter_map(lasting).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_comes_true_when_the_policy_is_put_to_work(steps in steps(), next in 0..POLICIES.len()) {
        let mut world = World::new();
        world.desk.clock.stop();
        steps.iter().for_each(|step| world.take(step));
        let (head, before) = (world.desk.house.store().head().unwrap(), world.findings());
        let told: Vec<Told> = POLICIES.iter().map(|text| told(&world, &policy(text), now(&world))).collect();
        prop_assert_eq!(world.desk.house.store().head().unwrap(), head, "nothing was written");
        prop_assert_eq!(&world.findings(), &before);
        world.take(&Step::Policy(next));
        prop_assert_eq!(&told[next], &happened(&before, &world.findings()));
        prop_assume!(told.iter().any(|it| !it.is_empty()));
    }

    #[test]
    fn of_a_past_time_is_told_what_was_told_then(steps in steps()) {
        let mut world = World::new();
        world.desk.clock.stop();
        let others: Vec<Policy> = POLICIES.iter().map(|text| policy(text)).collect();
        let mut then_told = Vec::new();
        for (at, step) in kept(steps).iter().enumerate() {
            world.take(step);
            if at % 9 == 8 {
                (0..3).for_each(|scope| world.take(&Step::Covered(scope)));
                let asked = world.desk.house.now();
                let policy_then = world.yardstick.policy.clone();
                let all: Vec<Told> = others.iter().map(|other| told(&world, other, now(&world))).collect();
                then_told.push((asked, policy_then, all));
                // What is volatile is overwritten within a day.
                world.take(&Step::Hours(25));
            }
        }
        for (asked, policy_then, all) in &then_told {
            world.yardstick.policy = policy_then.clone();
            let again: Vec<Told> = others.iter().map(|other| told(&world, other, then(&world, *asked))).collect();
            prop_assert_eq!(&again, all, "as of {}", asked);
        }
        prop_assume!(then_told.iter().any(|(_, _, all)| all.iter().any(|it| !it.is_empty())));
    }
}
