//! The inventory that recorded pages lead to, kept line by line.
//! It must never change unseen: `PROVOST_UPDATE_DOCS=1` writes it anew, and the difference is read by somebody.

use std::fs;

use provost_model::Entity;
use serde_json::json;

use super::{eyes, fixtures, names, overlay, recorded::replayed, shipped, source, writes};
use crate::generic::{Door, Said, looked};

/// One line for each thing, in order.
pub(super) fn inventory(said: &Said) -> String {
    let line = |scope: &str, entity: &Entity| {
        let facts: serde_json::Map<String, serde_json::Value> = entity
            .facts
            .iter()
            .map(|(field, reading)| (field.name().to_owned(), serde_json::to_value(reading).unwrap()))
            .collect();
        let identity = entity.identity.as_ref().map(ToString::to_string);
        json!({"scope": scope, "key": entity.key.to_string(), "identity": identity, "facts": facts}).to_string()
    };
    said.entities().iter().map(|((scope, _), entity)| line(scope, entity) + "\n").collect()
}

#[tokio::test]
async fn recorded_pages_lead_to_the_same_inventory() {
    for name in names() {
        let manifest = shipped(&name);
        let door = Door::open(replayed(&name), None).await;
        let said = looked(&*eyes(&manifest, &source(&manifest, &door.url, overlay::settings(&name)))).await;
        assert!(said.broke.is_none() && said.troubles.is_empty(), "{name}: {:?} {:?}", said.broke, said.troubles);
        assert!(said.covers.iter().all(|(place, _)| said.is_whole(place)), "{name}: {:?}", said.covers);
        let path = fixtures().join(format!("{name}.inventory.jsonl"));
        let told = inventory(&said);
        if writes() {
            fs::write(&path, &told).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(told, kept, "{name}");
        assert!(!kept.is_empty() && !kept.contains(super::TOKEN), "{name}");
    }
}
