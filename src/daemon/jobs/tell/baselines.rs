//! What the first complete run of a source found, told as a whole: a beginning is no news.
//! It must never be told twice by one route.

use std::collections::BTreeMap;

use provost_engine::tell::Form;
use provost_model::Severity;
use provost_store::{
    Go, StoreError,
    inventory::{BaselineState, Draft, Reads},
};

use super::{mail_room::MailRoom, standing::every_case};
use crate::{config::telling::Path, docket::Docket, house::House, wire::Wiring};

/// Once somebody said that what a first complete run found is to be worked off, each case of it is told of.
pub(super) fn work(house: &House, wiring: &Wiring) -> Result<(), StoreError> {
    for source in &wiring.config.sources {
        let inventory = house.inventory();
        let stands = inventory.source(&source.name)?.baseline;
        if stands == inventory.seen_baseline(&source.name)? {
            continue;
        }
        if stands == BaselineState::Working {
            every_case(house)?;
        }
        house.again(|| {
            let mut draft = Draft::new(house.inventory(), house.now());
            draft.put_seen_baseline(&source.name, stands)?;
            draft.commit()?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Has every route that gathers tell what first complete runs found since.
pub(super) fn tell(house: &House, wiring: &Wiring) -> Result<(), StoreError> {
    let gathers = |path: &&Path| matches!(path.route.form, Form::Gathered { .. });
    for path in wiring.config.routes.iter().filter(gathers) {
        let asked = &path.route.which.sources;
        for source in &wiring.config.sources {
            let name = &source.name;
            let inventory = house.inventory();
            if !asked.is_empty() && !asked.contains(name) || inventory.told_baseline(&path.route.name, name)? {
                continue;
            }
            // What was accepted or is worked off already is nobody's beginning any more.
            let row = inventory.source(name)?;
            let counts = match row.baseline {
                BaselineState::None => continue,
                BaselineState::Taken => counted(house, wiring, name)?,
                BaselineState::Accepted | BaselineState::Working => BTreeMap::new(),
            };
            house.again(|| {
                // Written by a batch whose answer was lost.
                if inventory.told_baseline(&path.route.name, name)? {
                    return Ok(());
                }
                let reads = Reads::default();
                let mut room = MailRoom::new(house, (wiring, &reads), house.now())?;
                if !counts.is_empty() {
                    room.begin_with(path, (name, counts.clone()))?;
                }
                room.draft.put_told_baseline(&path.route.name, name);
                room.commit()
            })?;
        }
    }
    Ok(())
}

/// How many cases of each severity a source's first complete run found.
fn counted(house: &House, wiring: &Wiring, source: &str) -> Result<BTreeMap<Severity, u64>, StoreError> {
    let mut counts = BTreeMap::new();
    Docket::new(house, wiring, house.now())?.each(&mut |row| {
        if row.baseline && row.source.iter().any(|it| it == source) {
            *counts.entry(row.severity).or_default() += 1;
        }
        Ok(Go::On)
    })?;
    Ok(counts)
}
