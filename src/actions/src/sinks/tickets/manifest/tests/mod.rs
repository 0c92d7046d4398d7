//! Manifests: those that are shipped, at work against a tracker of memory, and those that are refused.

mod bad;
mod life;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{SPEC, file, meant};
use crate::{sinks::Sink, testing::handed};

pub(super) const REDMINE: &str = include_str!("../examples/redmine.toml");
pub(super) const YOUTRACK: &str = include_str!("../examples/youtrack.toml");

/// Those settings, with the files of the configuration directory that are shipped in a place where they can be read.
pub(in crate::sinks) fn laid(mut settings: Map<String, Value>) -> (TempDir, Map<String, Value>) {
    let dir = tempfile::tempdir().unwrap();
    for value in settings.values_mut() {
        let path = value.as_str().filter(|it| it.starts_with("/etc/provost/tickets/"));
        let name = path.and_then(|it| Path::new(it).file_name()).and_then(|it| it.to_str());
        let text = match name {
            Some("redmine.toml") => REDMINE,
            Some("youtrack.toml") => YOUTRACK,
            _ => continue,
        };
        *value = written(&dir, text).into();
    }
    (dir, settings)
}

/// A manifest in a file that can be trusted.
fn written(dir: &TempDir, text: &str) -> String {
    let path = dir.path().join("manifest.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// A sink by that manifest, with these settings beside it.
fn built(text: &str, mut settings: Value) -> Result<Box<dyn Sink>, String> {
    let dir = tempfile::tempdir().unwrap();
    settings["manifest"] = written(&dir, text).into();
    (SPEC.build)(&handed(settings))
}

/// The settings of a shipped manifest.
fn settings(text: &str, base: &str) -> Value {
    if text == YOUTRACK {
        return json!({"base_url": base, "slots": {"token": "env:t"},
            "settings": {"project": "0-7", "field": "State", "done": "Fixed", "open": "Open"}});
    }
    json!({"base_url": base, "slots": {"key": "env:t"},
        "settings": {"project": "nhi", "tracker": "3", "closed": "5", "open": "1"}})
}

#[test]
fn what_is_shipped_can_be_used_as_it_is() {
    for (text, delivery) in [(REDMINE, crate::sinks::Delivery::LookUp), (YOUTRACK, crate::sinks::Delivery::Blind)] {
        let sink = built(text, settings(text, "https://tracker.example")).unwrap_or_else(|said| panic!("{said}"));
        assert_eq!(sink.delivery(), delivery);
        let meant = file::parse(text).and_then(meant::mean).map_err(|said| panic!("{said}"));
        assert_eq!(meant.ok().unwrap().slots().len(), 1);
    }
}

#[test]
fn a_list_that_nobody_vouches_for_is_not_believed() {
    let text = REDMINE.replace("consistent = true", "consistent = false");
    let sink = built(&text, settings(REDMINE, "https://tracker.example")).unwrap();
    assert_eq!(sink.delivery(), crate::sinks::Delivery::Blind);
}
