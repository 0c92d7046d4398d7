//! What every sink must do, over all of them.
//! It must never name a sink.

use provost_model::door::corpus::HOSTILE;
use serde_json::{Map, Value, json};

use super::*;
use crate::testing::{handed, letter};

/// The settings of a sink's example, without those that every sink has.
fn settings(spec: &SinkSpec) -> Map<String, Value> {
    let entry: toml::Table = toml::from_str(spec.example).unwrap_or_else(|error| panic!("{}: {error}", spec.name));
    let entry = entry["sinks"].as_array().unwrap()[0].as_table().unwrap().clone();
    assert_eq!(entry["kind"].as_str(), Some(spec.name));
    let Value::Object(mut settings) = serde_json::to_value(entry).unwrap() else { unreachable!() };
    settings.retain(|name, _| !["name", "kind"].contains(&name.as_str()));
    settings
}

fn built(spec: &SinkSpec, settings: Map<String, Value>) -> Result<Box<dyn Sink>, String> {
    // What an example has in the configuration directory is laid where a test can read it.
    let (_dir, settings) = super::tickets::manifest::tests::laid(settings);
    (spec.build)(&handed(Value::Object(settings)))
}

#[test]
fn every_example_works() {
    for spec in ALL {
        let sink = built(spec, settings(spec)).unwrap_or_else(|said| panic!("{}: {said}", spec.name));
        assert_eq!(sink.delivery(), spec.delivery, "{}", spec.name);
        assert_eq!(find(spec.name).unwrap().title, spec.title);
        assert!(!spec.documentation.is_empty() && !spec.because.is_empty() && spec.per_minute > 0, "{}", spec.name);
    }
    assert!(ALL.windows(2).all(|two| two[0].name < two[1].name), "in the order of their names");
}

#[test]
fn an_unknown_setting_is_refused_by_its_name() {
    for spec in ALL {
        let mut settings = settings(spec);
        settings.insert("hunter1".into(), json!("hunter2"));
        let said = built(spec, settings).err().unwrap();
        assert!(said.contains("`hunter1`") && !said.contains("hunter2"), "{}: {said}", spec.name);
    }
}

#[test]
fn a_secret_itself_is_refused_and_not_repeated() {
    for spec in ALL {
        let all = settings(spec);
        let is_reference = |text: &str| ["env:", "file:", "credential:"].iter().any(|it| text.starts_with(it));
        for (name, _) in all.iter().filter(|(_, value)| value.as_str().is_some_and(is_reference)) {
            let mut settings = all.clone();
            settings.insert(name.clone(), json!("hunter2"));
            let said = built(spec, settings).err().unwrap_or_else(|| panic!("{} takes a literal {name}", spec.name));
            assert!(said.starts_with(&format!("{name}: ")) && !said.contains("hunter2"), "{}: {said}", spec.name);
        }
    }
}

#[test]
fn nothing_from_outside_formats_links_or_mentions_on_any_wire() {
    for spec in ALL {
        let sink = built(spec, settings(spec)).unwrap();
        for (text, tries) in HOSTILE {
            let mut letter = letter();
            letter.cases[0].name = format!("begin{text}end");
            let preview = sink.preview(&letter).unwrap();
            assert!(preview.contains("begin"), "{}: {preview}", spec.name);
            let hidden = |it: char| it != '\n' && provost_model::door::is_hidden(it);
            assert!(!preview.chars().any(hidden), "{}: {tries}: {preview:?}", spec.name);
            assert!(!preview.contains("\nCRITICAL"), "{}: {tries}: {preview}", spec.name);
        }
    }
}
