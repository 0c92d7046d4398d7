//! The inventory that each estate leads to, kept line by line.
//! It must never change unseen: `PROVOST_UPDATE_DOCS=1` writes it anew, and somebody reads the difference.

use std::{fs, path::PathBuf};

use provost_model::Entity;
use serde_json::{Map, Value, json};

use super::{Door, Said, estates, through};

/// One line for each thing, in order.
fn inventory(said: &Said) -> String {
    let line = |scope: &str, entity: &Entity| {
        let fact = |reading| serde_json::from_str::<Value>(&said.text(reading)).unwrap();
        let facts: Map<String, Value> =
            entity.facts.iter().map(|(field, reading)| (field.name().to_owned(), fact(reading))).collect();
        let name = |key: &Option<provost_model::Key>| key.as_ref().map(ToString::to_string);
        let (identity, container) = (name(&entity.identity), name(&entity.container));
        json!({
            "scope": scope, "key": entity.key.to_string(), "aliases": entity.aliases, "identity": identity,
            "container": container, "facts": facts,
        })
        .to_string()
    };
    said.entities().iter().map(|((scope, _), entity)| line(scope, entity) + "\n").collect()
}

#[tokio::test]
async fn every_estate_leads_to_the_same_inventory() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/inventories");
    let mut other = Vec::new();
    for estate in estates() {
        let name = estate.spec().name;
        let door = Door::open(estate.start().await, None).await;
        let said = through(&door, &*estate).await;
        assert!(said.broke.is_none() && said.troubles.is_empty(), "{name}: {:?} {:?}", said.broke, said.troubles);
        let (path, told) = (directory.join(format!("{name}.jsonl")), inventory(&said));
        assert!(!told.is_empty(), "{name} shows nothing");
        if std::env::var_os("PROVOST_UPDATE_DOCS").is_some() {
            fs::write(&path, &told).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let differs = |(told, kept): &(&str, &str)| told != kept;
        if let Some((told, kept)) = told.lines().zip(kept.lines()).find(differs) {
            other.push(format!("{name}: told {told}\nkept {kept}"));
        } else if told.lines().count() != kept.lines().count() {
            other.push(format!("{name}: {} things told, {} kept", told.lines().count(), kept.lines().count()));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
}
