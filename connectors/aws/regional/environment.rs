//! Environment variables of functions and tasks: which of them are credentials, by name, kind and keyed fingerprint.
//! It must never keep a value, nor show one to anybody but the fingerprint.

use std::collections::BTreeMap;

use provost_model::{Attr, Entity, Facts, Key, Reading, Status, Time, field};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::Here;
use crate::host::{
    environment::{Pair, search},
    found::{Finds, Found},
};

/// A value of an environment. It cannot be shown, and its memory is wiped.
pub(super) struct Hidden(Zeroizing<String>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Where an environment stands.
pub(super) struct Holder<'a> {
    /// The workload that is given it.
    pub(super) workload: &'a Key,
    /// What sort of place that is.
    pub(super) store_kind: &'static str,
    /// Stands before the name of a variable, such as a container's name; may be empty.
    pub(super) below: &'a str,
}

/// The credentials of an environment, each a record in that workload.
pub(super) fn credentials(here: &Here<'_>, holder: &Holder<'_>, variables: &BTreeMap<String, Hidden>) -> Vec<Entity> {
    let pairs: Vec<Pair<'_>> =
        variables.iter().map(|(name, value)| Pair::new(holder.below, name, value.0.as_str())).collect();
    let mut finds = Finds::new(here.prints, here.now);
    search(&pairs, None, &mut finds);
    // More than the thousands that are kept of one place fit into no environment.
    let (found, _) = finds.finish();
    found.into_iter().map(|it| entity(here, holder, it)).collect()
}

fn entity(here: &Here<'_>, holder: &Holder<'_>, found: Found) -> Entity {
    let Found { kind, position, name, facts, .. } = found;
    let place = holder.workload.external.as_str();
    let mut entity = Entity::new(Key::new(here.realm.clone(), kind, format!("{place}#{position}")), name)
        .within(holder.workload.clone())
        .with(field::LOCATION, place.to_owned())
        .with(field::POSITION, position)
        .with(field::STORE_KIND, holder.store_kind.to_owned())
        .with(field::CREATED_AT, Reading::<Time>::NotReported)
        .with(field::ROTATED_AT, Reading::<Time>::NotReported)
        .with(field::LAST_USED_AT, Reading::<Time>::NotReported);
    for (field, reading) in facts.iter() {
        entity.facts.set_value(field, reading.clone());
    }
    unsaid(&mut entity.facts, field::EXPIRES_AT, Reading::NotReported);
    unsaid(&mut entity.facts, field::STATUS, Reading::Known(Status::Unknown));
    entity
}

fn unsaid<T: field::Typed>(facts: &mut Facts, attr: Attr<T>, reading: Reading<T>) {
    if matches!(facts.reading(attr.field()), Reading::NotCollected) {
        facts.set(attr, reading);
    }
}
