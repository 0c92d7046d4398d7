//! Rotators and destinations of a configuration, put together.
//! It must never give a rotator the credential of a source: each names its own.

use std::{collections::BTreeMap, sync::Arc};

use provost_actions::{destinations::Destination, rotators::Rotator};

use super::{Hands, WireError, handed};
use crate::config::{Config, Environment, rotation::Rotation};

/// Who changes what one `[[rotations]]` entry is about.
pub struct Hand {
    /// The entry.
    pub entry: Rotation,
    /// Who changes it at its provider.
    pub rotator: Arc<dyn Rotator>,
    /// Where new values go, in their order.
    pub places: Vec<Arc<dyn Destination>>,
}

/// All of them, each built once, so that a bad setting shows now.
pub(super) fn of(config: &Config, environment: &Environment) -> Result<Hands, WireError> {
    let mut hands = BTreeMap::new();
    for entry in &config.rotations {
        let wrong = |place: &str, said: String| WireError::Setting {
            setting: format!("rotation {:?}{place}", entry.name),
            said,
        };
        let rotator = (entry.spec.build)(&handed((&entry.name, &entry.settings), environment));
        let rotator = Arc::from(rotator.map_err(|said| wrong("", said))?);
        let mut places = Vec::new();
        for (at, place) in entry.places.iter().enumerate() {
            let built = (place.spec.build)(&handed((&entry.name, &place.settings), environment));
            places.push(Arc::from(built.map_err(|said| wrong(&format!(" places[{at}]"), said))?));
        }
        hands.insert(entry.name.clone(), Arc::new(Hand { entry: entry.clone(), rotator, places }));
    }
    Ok(hands)
}
