//! Showing connectors and manifests: what there is, what is wrong with one, what it makes of a page.
//! It must never show text from outside without its door.

use std::path::Path;

use provost_connectors::manifest::{Fault, Manifest};
use provost_model::{Entity, Reading, Realm, Trouble, Value};
use serde_json::json;

use super::{CliError, Exit, Screen};
use crate::{manifests::Known, output::Cell};

/// What a trial showed.
#[derive(Debug, Default)]
pub struct Trial {
    /// What it was about to read.
    pub announced: String,
    /// The authority it met.
    pub realm: Option<Realm>,
    /// Things seen, each with its scope.
    pub entities: Vec<(String, Entity)>,
    /// What went wrong.
    pub troubles: Vec<Trouble>,
    /// Calls sent.
    pub calls: u64,
}

/// Lists every connector, and the files that are none.
pub fn listed(known: &Known, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        let all = known.catalogue.iter().map(|spec| {
            let kinds: Vec<&str> = spec.kinds.iter().map(|kind| kind.name()).collect();
            json!({"name": spec.name, "title": spec.title, "about": spec.about, "kinds": kinds, "blind_spots": spec.blind_spots})
        });
        let refused = known.refused().map(|(name, why)| json!({"name": name, "refused": why}));
        screen.value(&all.chain(refused).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    for spec in known.catalogue.iter() {
        screen.pairs(&[(spec.name, format!("{}: {}", spec.title, spec.about))])?;
    }
    for (_, why) in known.refused() {
        screen.remark(why)?;
    }
    Ok(Exit::Done)
}

/// Says that nothing is wrong with a manifest.
pub fn sound(file: &Path, manifest: &Manifest, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(&json!([]))?;
    }
    let lists = manifest.scopes().len();
    let word = if lists == 1 { "list" } else { "lists" };
    screen.remark(&format!("{}: no problems, {lists} {word}", file.display()))?;
    Ok(Exit::Done)
}

/// Lists what is wrong with a manifest.
pub fn faults(file: &Path, faults: &[Fault], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if screen.is_table() {
        for fault in faults {
            screen.line(&format!("{}:{fault}", file.display()))?;
        }
    } else {
        let all = faults.iter().map(|it| json!({"line": it.line, "column": it.column, "said": it.said}));
        screen.value(&all.collect::<Vec<_>>())?;
    }
    let word = if faults.len() == 1 { "problem" } else { "problems" };
    screen.remark(&format!("{}: {} {word}", file.display(), faults.len()))?;
    Ok(Exit::Usage)
}

/// Shows what a trial made of the first pages. Exit 3 if something could not be read.
pub fn tried(trial: &Trial, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let exit = match (trial.troubles.iter().any(|it| !it.blind_spot), trial.entities.is_empty()) {
        (false, _) => Exit::Done,
        (true, false) => Exit::Partial,
        (true, true) => Exit::Failed,
    };
    if !screen.is_table() {
        screen.value(&as_json(trial))?;
        return Ok(exit);
    }
    let realm = trial.realm.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    screen.pairs(&[("looks at", trial.announced.clone()), ("realm", realm)])?;
    let rows = trial.entities.iter().map(|(scope, entity)| {
        let facts: Vec<String> =
            entity.facts.iter().map(|(field, reading)| format!("{}={}", field.name(), shown(reading))).collect();
        let identity =
            entity.identity.as_ref().map(|key| format!(" of {}/{}", key.kind, key.external)).unwrap_or_default();
        let told = format!("{}{identity}", facts.join(" "));
        let cells = [scope.clone(), entity.key.kind.name().to_owned(), entity.key.external.clone(), told];
        cells.into_iter().map(Cell::from).collect()
    });
    screen.section("First pages", &["list", "kind", "id", "says"], rows.collect())?;
    for trouble in &trial.troubles {
        screen.remark(&format!("{}: {}: {}", trouble.place, trouble.why, trouble.said))?;
    }
    let (things, calls) = (trial.entities.len(), trial.calls);
    screen.remark(&format!("{things} things by {calls} calls; nothing was kept"))?;
    Ok(exit)
}

/// Says what was trusted: where it may send what, and what it reads.
pub fn trusted(manifest: &Manifest, before: Option<&str>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let told = json!({
        "name": manifest.name, "digest": manifest.digest, "before": before, "base": manifest.base,
        "tokens": manifest.token_urls(), "slots": manifest.slots, "reads": manifest.reads(),
    });
    if !screen.is_table() {
        screen.value(&told)?;
        return Ok(Exit::Done);
    }
    let slots: Vec<&str> = manifest.slots.keys().map(String::as_str).collect();
    let base = manifest.base.clone().unwrap_or_else(|| "what the source says".to_owned());
    let mut pairs = vec![
        ("connector", manifest.name.clone()),
        ("digest", manifest.digest.clone()),
        ("secrets", slots.join(", ")),
        ("sent to", base),
        ("tokens from", manifest.token_urls().join(", ")),
        ("reads", manifest.reads().join(", ")),
    ];
    if let Some(before) = before {
        pairs.insert(2, ("before", before.to_owned()));
    }
    pairs.retain(|(_, text)| !text.is_empty());
    screen.pairs(&pairs)?;
    screen.remark("trusted; a source that uses it must confirm with base_url where its credential is sent")?;
    Ok(Exit::Done)
}

fn shown(reading: &Reading<Value>) -> String {
    match reading {
        Reading::Known(value) => match value {
            Value::Text(text) => text.clone(),
            Value::Bool(is) => is.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Time(at) => at.to_string(),
            Value::List(all) => all.join(","),
            Value::Map(all) => all.iter().map(|(name, it)| format!("{name}:{it}")).collect::<Vec<_>>().join(","),
        },
        other => other.word().to_owned(),
    }
}

fn as_json(trial: &Trial) -> serde_json::Value {
    let entities: Vec<serde_json::Value> = trial
        .entities
        .iter()
        .map(|(scope, entity)| {
            let facts: serde_json::Map<String, serde_json::Value> = entity
                .facts
                .iter()
                .map(|(field, reading)| (field.name().to_owned(), serde_json::to_value(reading).unwrap_or_default()))
                .collect();
            let identity = entity.identity.as_ref().map(ToString::to_string);
            json!({"scope": scope, "kind": entity.key.kind, "id": entity.key.external, "identity": identity, "facts": facts})
        })
        .collect();
    let troubles: Vec<serde_json::Value> = trial
        .troubles
        .iter()
        .map(|it| json!({"place": it.place, "why": it.why.word(), "said": it.said, "blind_spot": it.blind_spot}))
        .collect();
    json!({"realm": trial.realm, "entities": entities, "troubles": troubles, "calls": trial.calls})
}
