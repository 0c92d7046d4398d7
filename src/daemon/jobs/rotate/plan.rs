//! From a decision to act to a saga that carries it out: by which entry, with which steps, or by people.
//! It must never plan for what the decision is not about.

use std::collections::BTreeMap;

use provost_engine::rotate::turn_back;
use provost_model::{
    Course, DecisionId, Ending, Motion, Phase, Reading, Record, RecordId, Remedy, Ruling, Saga, SagaId, Stage, Target,
    Time, field,
};
use provost_store::{StoreError, inventory::Draft};

use super::{super::decide, GUIDED, witness};
use crate::{
    config::{Address, rotation::Rotation},
    house::House,
    ids::Ids,
    rows::Rows,
    wire::Wiring,
};

/// What can be done about a record.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What it is about.
    pub target: Target,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The entry by which it is done; none where people do it.
    pub entry: Option<Rotation>,
    /// The steps.
    pub phases: Vec<Phase>,
    /// Why people do it, where they do.
    pub because: Option<String>,
}

/// Words in tags of what is made by a program: it would put back what we change.
const MADE_BY: [&str; 7] = ["terraform", "opentofu", "pulumi", "cloudformation", "cdk", "crossplane", "ansible"];

/// What would be done about a record; nothing if it is not there.
pub fn planned(
    (house, wiring): (&House, &Wiring),
    rows: &Rows<'_>,
    (subject, remedy, emergency): (RecordId, Remedy, bool),
) -> Result<Option<Planned>, StoreError> {
    let (Some(record), holder) = decide::subject(house.inventory(), subject)? else { return Ok(None) };
    let owner = rows.owner(&record)?.map(|owner| owner.name);
    let sources = rows.sources(&record);
    let entry = wiring.config.rotations.iter().find(|entry| {
        entry.takes(&record, &sources, holder.as_ref()) && entry.spec.phases(remedy, emergency).is_some()
    });
    let made_by = made_by(&record).or_else(|| holder.as_ref().and_then(made_by));
    let managed = match (&entry, made_by) {
        (None, _) => None,
        (Some(_), Some(program)) => Some(Ok(program)),
        // What cannot be read is no "no".
        (Some(_), None) => wiring.managed.manages(&record).transpose(),
    };
    let target = target(&record, holder.as_ref());
    let acts = |id: &String| wiring.hands().any(|hand| hand.rotator.own().contains(id));
    let looks = |it: &Record| it.get(field::LOOKED_BY) == Reading::Known(true);
    let own = entry.is_some()
        && (acts(&target.external_id)
            || looks(&record)
            || holder.as_ref().is_some_and(looks)
            || is_stores(wiring, &target));
    let because = match (entry, managed) {
        (None, _) => Some(format!("no [[rotations]] entry can {} this {}", remedy.word(), record.kind)),
        (Some(_), Some(Ok(program))) => Some(format!(
            "{program} manages it and would put back what is changed here: change it there, where its code is"
        )),
        (Some(_), Some(Err(said))) => Some(format!("whether Terraform manages it cannot be told: {said}")),
        (Some(_), None) if own => Some("Provost itself works by it: replace it by hand, then reload".to_owned()),
        (Some(_), None) => None,
    };
    let entry = entry.filter(|_| because.is_none()).cloned();
    let phases = entry.as_ref().and_then(|entry| entry.spec.phases(remedy, emergency));
    let phases = phases.unwrap_or_else(|| vec![Phase::Plan, Phase::Prove]);
    Ok(Some(Planned { target, owner, entry, phases, because }))
}

/// Whether it is the login by which the store itself is reached; on which server is not told apart.
fn is_stores(wiring: &Wiring, target: &Target) -> bool {
    let user = wiring.config.store.url.as_ref().and_then(Address::user);
    user.is_some_and(|user| [&target.external_id, &target.name, &target.holder_name].iter().any(|it| *it == user))
}

/// The program that a record's tags say it is made by.
fn made_by(record: &Record) -> Option<String> {
    let tags: BTreeMap<String, String> = record.get(field::TAGS).known()?;
    let told = tags.iter().find_map(|(name, value)| {
        let (name, value) = (name.to_lowercase(), value.to_lowercase());
        let says_who = ["managed-by", "managed_by", "managedby", "created-by", "createdby", "provisioner"]
            .contains(&name.as_str());
        MADE_BY.into_iter().find(|program| name.contains(program) || (says_who && value.contains(program)))
    });
    told.map(str::to_owned)
}

fn target(record: &Record, holder: Option<&Record>) -> Target {
    Target {
        record: record.id,
        realm: record.realm.to_string(),
        kind: record.kind,
        external_id: record.external().to_owned(),
        name: record.name(),
        holder_id: holder.map(|it| it.external().to_owned()).unwrap_or_default(),
        holder_name: holder.map(Record::name).unwrap_or_default(),
    }
}

/// Turns a decision that is due into a saga, unless it holds no more or is not about a record.
pub(super) fn plan(
    house: &House,
    wiring: &Wiring,
    (subject, decision): (RecordId, DecisionId),
) -> Result<(), StoreError> {
    let id = Ids.make(house.now())?;
    house.again(|| {
        let _pen = house.pen();
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        draft.act_at((subject, decision), None);
        let motion = draft.motion(subject, decision)?;
        let known = draft.inventory().sagas()?.into_iter().find(|saga| saga.decision == decision);
        if let (Some(motion), Some(saga)) = (&motion, known) {
            contained(&mut draft, motion, saga, now)?;
        } else if let Some(motion) = motion
            && let Some(remedy) = motion.ruling.remedy()
            && matches!(motion.stage(now), Stage::InForce { .. })
        {
            draft.act_at((subject, decision), motion.ends_at());
            let emergency = house.inventory().is_emergency(decision)?;
            let rows = Rows::new(house.inventory(), &wiring.yardstick, now)?;
            if let Some(planned) = planned((house, wiring), &rows, (subject, remedy, emergency))? {
                let saga = saga((id, &motion), (remedy, emergency), planned, now);
                draft.put_saga(&saga)?;
                witness(&mut draft, &saga, ("planned", None, saga.waits.as_deref()), now)?;
                tracing::info!(saga = %saga.id, remedy = remedy.word(), rotator = saga.rotator, "planned");
            }
        }
        draft.commit()?;
        Ok(())
    })
}

/// What was contained before others agreed, and they did not in time or do not: it is taken back.
fn contained(draft: &mut Draft<'_>, motion: &Motion, mut saga: Saga, now: Time) -> Result<(), StoreError> {
    if !matches!(motion.ruling, Ruling::Contain { .. }) {
        return Ok(());
    }
    if matches!(motion.stage(now), Stage::InForce { .. }) {
        draft.act_at((motion.subject, motion.id), motion.ends_at());
        return Ok(());
    }
    let can = saga.deleted_at.is_none() && !matches!(saga.ended, Some((Ending::Restored | Ending::Moot, _)));
    if saga.course == Course::Forward && can {
        turn_back(&mut saga, "nobody else agreed to it", now);
        witness(draft, &saga, ("not_confirmed", None, None), now)?;
        draft.put_saga(&saga)?;
    }
    Ok(())
}

fn saga((id, motion): (SagaId, &Motion), (remedy, emergency): (Remedy, bool), planned: Planned, now: Time) -> Saga {
    Saga {
        rotator: planned.entry.as_ref().map_or(GUIDED, |entry| entry.spec.name).to_owned(),
        arrangement: planned.entry.as_ref().map(|entry| entry.arrangement.clone()).unwrap_or_default(),
        profile: planned.entry.map(|entry| entry.name).unwrap_or_default(),
        owner: planned.owner,
        emergency,
        phases: planned.phases,
        waits: planned.because,
        ..Saga::new((id, motion.id), remedy, planned.target, now)
    }
}
