//! What people do themselves: the steps they are told, and the look that proves them done.
//! It must never believe a word: only what was seen ends it.

use provost_model::{Ending, FindingState, Presence, Remedy, Resolution, Saga, Span, Status, Target};
use provost_store::{StoreError, inventory::Draft};

use super::witness;
use crate::house::House;

/// How often it is looked whether it is done.
const EVERY: Span = Span::minutes(10);

/// Ends a guided saga if what it asks for was seen.
pub(super) fn look(house: &House, saga: &Saga) -> Result<(), StoreError> {
    house.again(|| {
        let _pen = house.pen();
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        let Some(mut saga) = draft.saga(saga.id)? else { return Ok(()) };
        if saga.ended.is_some() || saga.paused_by.is_some() {
            return Ok(());
        }
        let record = house.inventory().record(saga.target.record, None)?;
        let gone = record.as_ref().is_none_or(|it| it.presence() == Presence::Gone);
        let useless = record.as_ref().is_some_and(|it| matches!(it.status(now), Status::Inactive | Status::Expired));
        let motion = draft.motion(saga.target.record, saga.decision)?;
        let findings = house.inventory().findings_of(saga.target.record)?;
        let asked: Vec<_> = motion.iter().flat_map(|motion| &motion.findings).map(|(id, _)| *id).collect();
        let settled = |id| {
            let found = findings.iter().find(|finding| finding.id == id);
            found.is_none_or(|it| it.state == FindingState::Resolved && it.resolution != Some(Resolution::Accepted))
        };
        let mended = !asked.is_empty() && asked.iter().all(|id| settled(*id));
        let done = match saga.remedy {
            Remedy::Delete | Remedy::Revoke => gone,
            Remedy::Disable => gone || useless,
            _ => gone || mended,
        };
        let withdrawn = !motion.is_some_and(|it| matches!(it.stage(now), provost_model::Stage::InForce { .. }));
        saga.not_before = now + EVERY;
        if done || withdrawn {
            let ending = if done { Ending::Done } else { Ending::Restored };
            saga.ended = Some((ending, now));
            saga.proven_at = done.then_some(now);
            witness(&mut draft, &saga, ("ended", None, Some(ending.word())), now)?;
        }
        draft.put_saga(&saga)?;
        draft.commit()?;
        Ok(())
    })
}

/// What people are told to do.
pub fn steps(remedy: Remedy, target: &Target) -> Vec<String> {
    let (name, kind) = (&target.name, target.kind.to_string().replace('_', " "));
    let holder = match target.holder_name.as_str() {
        "" => String::new(),
        holder => format!(" of {holder}"),
    };
    let it = format!("the {kind} {name}{holder}");
    let mut steps: Vec<String> = match remedy {
        Remedy::Rotate => vec![
            format!("make a second credential beside {it}, with the same rights; leave the old one as it is"),
            "put its value where its consumers find it, and have them read it: provost inventory custody shows who they are".to_owned(),
            "see that the new one is used and the old one is not".to_owned(),
            "disable the old one; wait a week; remove it".to_owned(),
        ],
        Remedy::Disable => vec![format!("disable {it}, in a way that can be undone")],
        Remedy::Delete => vec![format!("disable {it}, wait a week, then remove it")],
        Remedy::Restrict => vec![format!("take the rights away from {it} that it does not need; keep what they were")],
        Remedy::Revoke => vec![format!("take back {it}")],
        other => vec![format!("{} {it}", other.word())],
    };
    steps.push("nothing more has to be said: the next look proves it".to_owned());
    steps
}
