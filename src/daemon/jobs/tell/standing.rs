//! Standing decisions: that a route of the configuration tells is written down, with who enabled it and by which words.
//! It must never leave a route enabled that the configuration does not have.

use provost_store::{
    StoreError,
    inventory::{Draft, StandingRow},
};

use super::super::each_subject;
use crate::{house::House, wire::Wiring};

/// Whose chain of evidence telling is in.
pub(in crate::jobs) const WRITER: &str = "telling";

/// Brings the standing decisions in line with the configuration; a route that is new or changed is asked about every case.
pub fn enable(house: &House, wiring: &Wiring) -> Result<(), StoreError> {
    let inventory = house.inventory();
    let mut changed = Vec::new();
    for path in &wiring.config.routes {
        let known = inventory.standing(&path.route.name)?;
        if known.is_none_or(|known| known.policy != path.policy) {
            changed.push(path);
        }
    }
    let configured = |route: &String| wiring.config.routes.iter().any(|path| path.route.name == *route);
    let over: Vec<String> = inventory.standing_routes()?.into_iter().filter(|route| !configured(route)).collect();
    if changed.is_empty() && over.is_empty() {
        return Ok(());
    }
    if !changed.is_empty() {
        // First, so that whoever dies in between begins again.
        every_case(house)?;
    }
    let by = enabled_by(wiring);
    house.again(|| {
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        for path in &changed {
            // Written by a batch whose answer was lost.
            if inventory.standing(&path.route.name)?.is_some_and(|known| known.policy == path.policy) {
                continue;
            }
            let row = StandingRow { policy: path.policy.clone(), by: by.clone(), at: now };
            draft.put_standing(&path.route.name, Some(&row))?;
            let facts = facts(&path.route.name, Some(&path.route.sink), Some(&path.policy), &by);
            draft.witness(WRITER, (now, "decision.standing"), &facts)?;
        }
        for route in &over {
            if inventory.standing(route)?.is_none() {
                continue;
            }
            draft.put_standing(route, None)?;
            draft.witness(WRITER, (now, "decision.standing_over"), &facts(route, None, None, &by))?;
        }
        draft.commit()?;
        Ok(())
    })?;
    for path in changed {
        tracing::info!(route = path.route.name, sink = path.route.sink, by, "this route tells from now on");
    }
    for route in over {
        tracing::info!(route, by, "this route tells no more");
    }
    Ok(())
}

fn facts<'f>(route: &str, sink: Option<&String>, policy: Option<&String>, by: &str) -> [(&'f str, Option<String>); 4] {
    [
        ("route", Some(route.to_owned())),
        ("sink", sink.cloned()),
        ("policy", policy.cloned()),
        ("by", Some(by.to_owned())),
    ]
}

/// Whoever wrote the configuration: the person of the people file whose file it is, or the user of this machine.
fn enabled_by(wiring: &Wiring) -> String {
    let Some(uid) = wiring.config.configured_by else { return "the configuration's defaults".to_owned() };
    let person = wiring.config.people.of_uid(uid).map(|person| person.id.clone());
    person.unwrap_or_else(|| format!("uid {uid}"))
}

/// Asks about every case once more.
pub(super) fn every_case(house: &House) -> Result<(), StoreError> {
    each_subject(house, &|_| true, &|draft, subject, now| draft.tell_at(subject, Some(now)))
}
