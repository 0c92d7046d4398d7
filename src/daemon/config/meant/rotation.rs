//! `[rotation]` and `[[rotations]]` as meant.
//! It must never let a new value go nowhere, nor only to where it cannot be read back from.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use provost_actions::{
    destinations::{self, DestinationSpec},
    rotators::{self, RotatorSpec, Way},
};
use provost_engine::rotate::{Freeze, How, Limits, Windows};
use provost_model::{Record, Span, Time};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    super::typed::rotation::{TypedRotation, TypedRotations},
    Check,
};

/// Longest of all waits.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// `[[rotations]]`.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub spec: &'static RotatorSpec,
    /// Whether it acts.
    pub enabled: bool,
    /// Only what these sources see; everything if there are none.
    pub sources: Vec<String>,
    /// Only what these identities have; everything if there are none.
    pub identities: Vec<String>,
    /// How it is done.
    pub how: How,
    /// Where new values go.
    pub places: Vec<Place>,
    /// The kind's own settings.
    pub settings: Map<String, Value>,
    /// Digest of what is changed and where new values go: a saga that began goes on only by the same.
    pub arrangement: String,
}

/// `[[rotations.places]]`.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its kind.
    pub spec: &'static DestinationSpec,
    /// Its own settings.
    pub settings: Map<String, Value>,
}

impl Rotation {
    /// Whether a record is for this entry to change. `holder` is the identity it belongs to.
    pub fn takes(&self, record: &Record, sources: &[String], holder: Option<&Record>) -> bool {
        let kind = self.spec.kinds.contains(&record.kind);
        let seen = self.sources.is_empty() || sources.iter().any(|source| self.sources.contains(source));
        let of = holder.unwrap_or(record);
        let named = |pattern: &String| is_like(pattern, &of.name()) || is_like(pattern, of.external());
        kind && seen && (self.identities.is_empty() || self.identities.iter().any(named))
    }
}

/// Whether a word is as the pattern says, in which one `*` stands for anything.
fn is_like(pattern: &str, word: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == word,
        Some((head, tail)) => word.len() >= head.len() + tail.len() && word.starts_with(head) && word.ends_with(tail),
    }
}

/// A freeze as it is typed.
fn freeze(text: &str) -> Option<Freeze> {
    let (interval, why) = text.trim().split_once(' ')?;
    let (from, until) = interval.split_once('/')?;
    let from = from.parse::<Time>().or_else(|_| format!("{from}T00:00:00Z").parse()).ok()?;
    let until = Time::parse_inclusive(until).ok()?;
    (from < until).then(|| Freeze { from, until, why: why.trim().to_owned() })
}

impl Check {
    pub(super) fn limits(&mut self, typed: TypedRotation) -> Limits {
        let usual = Limits::default();
        let number = |value: Option<u32>, usual: usize| value.map_or(usual, |value| value as usize);
        if typed.per_owner == Some(0) || typed.per_day == Some(0) {
            self.fault("rotation", "per_owner and per_day are at least 1; provost rotate kill-switch stops everything");
        }
        if typed.per_day_share.is_some_and(|share| share > 100) {
            self.fault("rotation.per_day_share", "between 0 and 100");
        }
        let mut freezes = Vec::new();
        for (at, text) in typed.freezes.iter().enumerate() {
            match freeze(text) {
                Some(freeze) => freezes.push(freeze),
                None => self.fault(
                    format!("rotation.freezes[{at}]"),
                    "expected FROM/UNTIL and why, such as \"2026-12-20/2027-01-05 end of the year\"",
                ),
            }
        }
        Limits {
            of_owner: number(typed.per_owner, usual.of_owner),
            a_day: number(typed.per_day, usual.a_day),
            share: number(typed.per_day_share, usual.share),
            canary: typed.canary.unwrap_or(usual.canary),
            freezes,
        }
    }

    pub(super) fn state_files(&mut self, typed: &[String]) -> Vec<PathBuf> {
        let file = |(at, file)| self.path(&format!("rotation.state_files[{at}]"), Some(file), PathBuf::new());
        typed.iter().enumerate().map(file).collect()
    }

    pub(super) fn rotations(&mut self, typed: Vec<TypedRotations>) -> Vec<Rotation> {
        let mut names = BTreeSet::new();
        let mut meant = Vec::new();
        for (at, entry) in typed.into_iter().enumerate() {
            let setting = |name: &str| format!("rotations[{at}].{name}");
            self.called(setting("name"), &entry.name, &mut names);
            let Some(spec) = rotators::find(&entry.kind) else {
                self.unknown_kind(setting("kind"), &entry.kind, rotators::ALL.iter().map(|spec| spec.name).collect());
                continue;
            };
            let arrangement =
                Sha256::digest(format!("{} {:?} {:?}", entry.kind, entry.settings, entry.places).as_bytes());
            let arrangement = arrangement.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            let places: Vec<Place> =
                entry.places.iter().enumerate().filter_map(|it| self.place((&setting("places"), it))).collect();
            let carries = !spec.parts.is_empty();
            match (carries, places.is_empty()) {
                (true, true) => {
                    self.fault(setting("places"), "the new value has to be put somewhere: [[rotations.places]]")
                }
                (false, false) => {
                    self.fault(setting("places"), "no value leaves the provider: there is nothing to put anywhere")
                }
                _ => {}
            }
            if carries && !places.is_empty() && !places.iter().any(|place| place.spec.readable) {
                self.fault(
                    setting("places"),
                    "one of them has to be one that can be read back: see provost rotate kinds",
                );
            }
            let windows = self.windows(&setting, &entry);
            let how = How {
                in_place: spec.way == Way::InPlace,
                capacity: if let Way::Overlap { capacity } = spec.way { capacity } else { None },
                reversible: spec.reversible,
                removes: spec.removes,
                marks: spec.marks,
                prepares: spec.prepares,
                carries,
                lag: spec.lag.map(|seconds| Span::seconds(seconds.into())),
                readable: places.iter().map(|place| place.spec.readable).collect(),
                windows,
            };
            let Some(settings) = json(&entry.settings) else {
                self.fault(format!("rotations[{at}]"), "its settings cannot be read");
                continue;
            };
            let (name, enabled, sources, identities) = (entry.name, entry.enabled, entry.sources, entry.identities);
            meant.push(Rotation { name, spec, enabled, sources, identities, how, places, settings, arrangement });
        }
        meant
    }

    fn place(&mut self, (setting, (at, typed)): (&str, (usize, &toml::Table))) -> Option<Place> {
        let mut typed = typed.clone();
        let setting = format!("{setting}[{at}]");
        let Some(toml::Value::String(kind)) = typed.remove("kind") else {
            self.fault(setting, "the place says no kind");
            return None;
        };
        let Some(spec) = destinations::find(&kind) else {
            self.unknown_kind(
                format!("{setting}.kind"),
                &kind,
                destinations::ALL.iter().map(|spec| spec.name).collect(),
            );
            return None;
        };
        let settings = json(&typed);
        if settings.is_none() {
            self.fault(setting, "its settings cannot be read");
        }
        Some(Place { spec, settings: settings? })
    }

    fn windows(&mut self, setting: &dyn Fn(&str) -> String, entry: &TypedRotations) -> Windows {
        let usual = Windows::default();
        let mut window = |name: &str, typed: &Option<String>, usual: Span| {
            let seconds = u64::try_from(usual.as_micros() / 1_000_000).unwrap_or(0);
            let length = self.length(setting(name), typed.as_ref(), Duration::from_secs(seconds));
            if length > LONGEST {
                self.fault(setting(name), "at most 365d");
            }
            Span::seconds(i64::try_from(length.as_secs()).unwrap_or(i64::MAX))
        };
        let windows = Windows {
            overlap: window("overlap", &entry.overlap, usual.overlap),
            quiet: window("quiet", &entry.quiet, usual.quiet),
            blind: window("blind", &entry.blind, usual.blind),
            idle: window("idle", &entry.idle, usual.idle),
            watch: window("watch", &entry.watch, usual.watch),
            look_every: window("look_every", &entry.look_every, usual.look_every),
        };
        if windows.look_every < Span::seconds(1) {
            self.fault(setting("look_every"), "at least 1s");
        }
        windows
    }
}

fn json(table: &toml::Table) -> Option<Map<String, Value>> {
    match serde_json::to_value(table) {
        Ok(Value::Object(settings)) => Some(settings),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_is_an_interval_with_a_reason() {
        let read = freeze("2026-12-20/2027-01-05 end of the year").unwrap();
        assert_eq!((read.from.to_string().as_str(), read.why.as_str()), ("2026-12-20T00:00:00Z", "end of the year"));
        assert!(read.until > "2027-01-05T23:59:59Z".parse().unwrap());
        for wrong in ["", "2026-12-20", "2026-12-20/2027-01-05", "2027-01-05/2026-12-20 why", "x/y why"] {
            assert!(freeze(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn one_star_stands_for_anything() {
        for (pattern, word, is) in [
            ("deploy-*", "deploy-a", true),
            ("deploy-*", "undeploy-a", false),
            ("*-ci", "a-ci", true),
            ("a*a", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
        ] {
            assert_eq!(is_like(pattern, word), is, "{pattern} {word}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let mut check = Check::default();
        let freezes = vec!["soon".to_owned()];
        check.limits(TypedRotation {
            per_owner: Some(0),
            per_day_share: Some(101),
            freezes,
            ..TypedRotation::default()
        });
        let entry = |kind: &str| TypedRotations { name: "a".into(), kind: kind.into(), ..TypedRotations::default() };
        check.rotations(vec![
            entry("aws_acess_key"),
            TypedRotations { watch: Some("999d".into()), ..entry("vault_static_role") },
        ]);
        let said: Vec<String> = check.0.iter().map(ToString::to_string).collect();
        let all = said.join("\n");
        for part in [
            "kill-switch stops everything",
            "between 0 and 100",
            "rotation.freezes[0]",
            "did you mean \"aws_access_key\"?",
            "is there twice",
            "rotations[1].watch: at most 365d",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }
}
