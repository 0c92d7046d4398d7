//! Guardrails at work: which of them stand, and what they decide about subjects with new faults.
//! It must never decide by one that is not written down as standing, nor twice about one fault.

use std::collections::{BTreeMap, BTreeSet};

use provost_engine::govern::{Guardrail, InForce, Left, Seen, rights_are_near};
use provost_model::{DecisionId, Finding, FindingState, Motion, Purpose, Record, RecordId, Saga, Span, Time};
use provost_store::{
    Go, StoreError,
    inventory::{Draft, GUARD_QUEUE, Inventory, Reads, StandingRow},
};

use super::{decide, each_subject, rotate};
use crate::{docket::Docket, house::House, ids::Ids, wire::Wiring};

/// Subjects asked about in one turn; the next one goes on.
const AT_ONCE: usize = 2_048;
/// When is asked again about what was left to people for a reason that may pass.
const LATER: Span = Span::days(1);
/// The same where the guardrail had decided enough for a day.
const TOMORROW: Span = Span::hours(1);

/// What a guardrail would decide about one subject.
pub struct Would<'a> {
    /// The subject.
    pub record: &'a Record,
    /// The faults it is about.
    pub rules: Vec<String>,
    /// Why it leaves it to people, if it does.
    pub left: Option<Left>,
}

/// What guardrails go by in one turn.
struct Bench<'a> {
    house: &'a House,
    wiring: &'a Wiring,
    docket: Docket<'a>,
    /// How often each has decided within a day.
    today: BTreeMap<String, usize>,
}

/// Brings what stands in line with the configuration, then decides what is due; gives the number of decisions.
pub fn turn(house: &House, wiring: &Wiring) -> Result<u64, StoreError> {
    enable(house, wiring)?;
    if wiring.config.deciding().next().is_none() {
        return Ok(0);
    }
    let ids = house.inventory().due_subjects(GUARD_QUEUE, house.now(), AT_ONCE)?;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut bench = Bench::new(house, wiring)?;
    let mut decided = 0;
    for id in ids {
        if let Some(by) = subject(&bench, id)? {
            *bench.today.entry(by).or_default() += 1;
            decided += 1;
        }
    }
    Ok(decided)
}

/// How often each guardrail has decided within a day.
pub fn today(inventory: Inventory<'_>, now: Time) -> Result<BTreeMap<String, usize>, StoreError> {
    let mut counts = BTreeMap::new();
    for motion in inventory.motions(None)? {
        let recent = motion.steps.first().is_some_and(|step| now - step.at < Span::days(1));
        if let (Some(name), true) = (motion.guardrail(), recent) {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    Ok(counts)
}

/// What a guardrail would decide about everything that stands; it need not be switched on.
pub fn would(
    (house, wiring): (&House, &Wiring),
    by: &Guardrail,
    each: &mut dyn FnMut(Would<'_>) -> Go,
) -> Result<(), StoreError> {
    let bench = Bench::new(house, wiring)?;
    bench.docket.by_subject(&mut |subject, findings| {
        if !findings.iter().any(|it| is_about(by, it)) {
            return Ok(Go::On);
        }
        let seen = Known::of(house.inventory(), &bench, (subject, findings.to_vec()))?;
        let Some(known) = seen else { return Ok(Go::On) };
        Ok(match known.decide(by, RecordId::from_bytes([0; 16]), &bench)? {
            Some(done) => {
                let rules = by.meant(&known.seen()).iter().map(|it| it.rule.clone()).collect();
                each(Would { record: &known.record, rules, left: done.err() })
            }
            None => Go::On,
        })
    })
}

/// Why a change that a guardrail decided may not go on, if so: the guardrail stands no more; or may not begin, by what is known by
/// now of its subject.
pub fn forbids(inventory: Inventory<'_>, motion: &Motion, saga: &Saga) -> Result<Option<String>, StoreError> {
    let Some(name) = motion.guardrail() else { return Ok(None) };
    if inventory.guardrail(name)?.is_none() {
        return Ok(Some(format!("guardrail {name} stands no more")));
    }
    if !saga.is_untouched() {
        return Ok(None);
    }
    let (record, identity) = decide::subject(inventory, saga.target.record)?;
    let Some(record) = record else { return Ok(Some(Left::Away.to_string())) };
    Ok(rights_are_near(&record, identity.as_ref()).err().map(|left| left.to_string()))
}

/// Gives a guardrail's decision back to people.
pub fn give_up(draft: &mut Draft<'_>, motion: Motion, (why, uid): (&str, u32), now: Time) -> Result<(), StoreError> {
    let purpose = Purpose::stated(why).zip(InForce::of(motion, now).ok());
    if let Some(motion) = purpose.and_then(|(why, held)| held.give_up(uid, why, now)) {
        decide::put(draft, &motion, now)?;
    }
    Ok(())
}

impl<'a> Bench<'a> {
    fn new(house: &'a House, wiring: &'a Wiring) -> Result<Self, StoreError> {
        let now = house.now();
        Ok(Self { house, wiring, docket: Docket::new(house, wiring, now)?, today: today(house.inventory(), now)? })
    }
}

fn is_about(by: &Guardrail, finding: &Finding) -> bool {
    finding.state == FindingState::Open && by.rules.contains(&finding.rule)
}

/// Writes down which guardrails decide from now on, and which no more; one that is new or changed is asked about every fault.
fn enable(house: &House, wiring: &Wiring) -> Result<(), StoreError> {
    let stand = house.inventory().guardrails()?;
    let new = |it: &&Guardrail| stand.get(&it.name).is_none_or(|row| row.policy != it.digest());
    let changed: Vec<&Guardrail> = wiring.config.deciding().filter(new).collect();
    let over: BTreeSet<&String> =
        stand.keys().filter(|name| !wiring.config.deciding().any(|it| it.name == **name)).collect();
    if changed.is_empty() && over.is_empty() {
        return Ok(());
    }
    if !changed.is_empty() {
        // First, so that whoever dies in between begins again.
        let about = |finding: &Finding| changed.iter().any(|by| is_about(by, finding));
        each_subject(house, &about, &|draft, subject, now| draft.guard_at(subject, Some(now)))?;
    }
    house.again(|| {
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        for it in &changed {
            // Written by a batch whose answer was lost.
            if draft.guardrail(&it.name)?.is_some_and(|row| row.policy == it.digest()) {
                continue;
            }
            let row = StandingRow { policy: it.digest(), by: it.answers.clone(), at: now };
            draft.put_guardrail(&it.name, Some(&row))?;
            let facts = [
                ("guardrail", Some(it.name.clone())),
                ("remedy", Some(it.remedy.word().to_owned())),
                ("rules", Some(it.rules.join(" "))),
                ("per_day", Some(it.a_day.to_string())),
                ("policy", Some(it.digest())),
                ("answers", Some(it.answers.clone())),
                ("configured_by", wiring.config.configured_by.map(|uid| uid.to_string())),
                ("purpose", Some(it.purpose.as_str().to_owned())),
            ];
            draft.witness(decide::WRITER, (now, "guardrail.standing"), &facts)?;
        }
        for name in &over {
            if draft.guardrail(name)?.is_some() {
                draft.put_guardrail(name, None)?;
                draft.witness(decide::WRITER, (now, "guardrail.over"), &[("guardrail", Some((*name).clone()))])?;
            }
        }
        draft.commit()?;
        Ok(())
    })?;
    for it in changed {
        tracing::info!(guardrail = it.name, remedy = it.remedy.word(), answers = it.answers, "decides from now on");
    }
    for name in over {
        tracing::info!(guardrail = name, "decides no more");
    }
    Ok(())
}

/// Asks every guardrail about one subject; gives the name of the one that decided something.
fn subject(bench: &Bench<'_>, id: RecordId) -> Result<Option<String>, StoreError> {
    let (house, name) = (bench.house, Ids.make(bench.house.now())?);
    house.again(|| {
        // Findings, and whatever people say of them meanwhile, are written by one at a time.
        let _gavel = house.gavel();
        let _pen = house.pen();
        let now = house.now();
        let reads = Reads::default();
        let inventory = house.inventory().noting(&reads);
        let mut draft = Draft::new(inventory, now);
        let known = Known::of(inventory, bench, (id, inventory.findings_of(id)?))?;
        let (mut next, mut decided) = (None, None);
        for by in bench.wiring.config.deciding() {
            // It may decide only as it is written down.
            if inventory.guardrail(&by.name)?.is_none_or(|row| row.policy != by.digest()) {
                continue;
            }
            let Some(known) = &known else { break };
            match known.decide(by, name, bench)? {
                Some(Ok(held)) => {
                    decided = Some((by.name.clone(), held));
                    break;
                }
                Some(Err(left)) => {
                    tracing::debug!(guardrail = by.name, subject = %id, %left, "left to people");
                    next = [next, again(&left, now)].into_iter().flatten().min();
                }
                None => {}
            }
        }
        draft.guard_at(id, next.filter(|_| decided.is_none()));
        match decided {
            Some((by, held)) => {
                let remedy = held.motion().ruling.remedy().map_or("", provost_model::Remedy::word);
                decide::hold(draft, held, now)?;
                tracing::info!(guardrail = by, subject = %id, remedy, "a guardrail decided");
                Ok(Some(by))
            }
            None => draft.commit().map(|_| None),
        }
    })
}

/// When is asked again, if a reason may pass by itself.
fn again(left: &Left, now: Time) -> Option<Time> {
    match left {
        Left::Early(until) => Some(*until),
        Left::Daily(_) => Some(now + TOMORROW),
        // A fault that comes up anew is asked about anew.
        Left::Away | Left::Decided(_) | Left::Maker(_) => None,
        _ => Some(now + LATER),
    }
}

/// What is known of a subject.
struct Known {
    record: Record,
    identity: Option<Record>,
    findings: Vec<Finding>,
    motions: Vec<Motion>,
    sources: Vec<String>,
    owner: Option<String>,
    creator: Option<String>,
}

impl Known {
    fn of(
        inventory: Inventory<'_>,
        bench: &Bench<'_>,
        (id, findings): (RecordId, Vec<Finding>),
    ) -> Result<Option<Self>, StoreError> {
        let (Some(record), identity) = decide::subject(inventory, id)? else { return Ok(None) };
        let owner = bench.docket.owner(&record, &findings)?;
        let creator = decide::creator(bench.wiring.yardstick.people.of_file(), &record);
        let motions = inventory.motions_of(id, None)?;
        let sources = bench.docket.rows().sources(&record);
        Ok(Some(Self { record, identity, findings, motions, sources, owner, creator }))
    }

    fn seen(&self) -> Seen<'_> {
        Seen {
            record: &self.record,
            identity: self.identity.as_ref(),
            findings: &self.findings,
            motions: &self.motions,
            sources: &self.sources,
            owner: self.owner.as_deref(),
            creator: self.creator.as_deref(),
        }
    }

    fn decide(
        &self,
        by: &Guardrail,
        name: DecisionId,
        bench: &Bench<'_>,
    ) -> Result<Option<Result<InForce, Left>>, StoreError> {
        let Bench { house, wiring, docket, today } = bench;
        let runs = |finding: &Finding| docket.runs_since(finding, Some(&self.record));
        let today = today.get(&by.name).copied().unwrap_or(0);
        let (name, people) = ((name, wiring.environment.uid()), wiring.yardstick.people.of_file());
        let held = match by.decide(name, &self.seen(), (people, &runs), (today, house.now())) {
            Some(Ok(held)) => held,
            otherwise => return Ok(otherwise),
        };
        // What people would have to do themselves is theirs to decide.
        let planned = rotate::planned((house, wiring), docket.rows(), (self.record.id, by.remedy, false))?;
        Ok(Some(match planned.and_then(|planned| planned.because) {
            Some(because) => Err(Left::NoHand(because)),
            None => Ok(held),
        }))
    }
}
