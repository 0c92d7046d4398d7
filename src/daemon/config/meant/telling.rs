//! `[[sinks]]` and `[[routes]]` as meant.
//! It must never let a route lead nowhere, nor two of them go by one name.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use jiff::{Timestamp, ToSpan as _, civil, tz::TimeZone};
use provost_actions::sinks::{self, SinkSpec};
use provost_engine::{
    Rule,
    tell::{Form, Quiet, Route, Which},
};
use provost_model::{Event, Kind, Severity, Time};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        problem::nearest,
        typed::telling::{TypedRoute, TypedSink},
    },
    Check,
};

/// How long messages to people are gathered unless it is said.
const GATHERED: Duration = Duration::from_secs(300);
/// Longest time anything is gathered.
const GATHERED_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Most letters a minute that anybody means.
const PER_MINUTE_MAX: u32 = 6_000;
/// Longest template read, in bytes.
const TEMPLATE_MAX: u64 = 64 << 10;

/// `[[sinks]]`.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub spec: &'static SinkSpec,
    /// Letters a minute at most.
    pub per_minute: u32,
    /// The file of a template of the operator's own.
    pub template_file: Option<PathBuf>,
    /// Its text, once that file was read.
    pub template: Option<String>,
    /// The kind's own settings.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// `[[routes]]`.
#[derive(Clone, Debug)]
pub struct Path {
    /// Which cases go where, and how.
    pub route: Route,
    /// The zone in which its hours are meant.
    pub time_zone: TimeZone,
    /// Letters are written and not sent.
    pub dry_run: bool,
    /// Digest of everything that is said about it and its sink: what somebody enabled.
    pub policy: String,
}

impl Sink {
    /// Reads the template, if there is one.
    pub fn read_template(&mut self) -> std::io::Result<()> {
        let read = self.template_file.as_ref().map(|file| super::super::read_up_to(file, TEMPLATE_MAX));
        self.template = read.transpose()?;
        Ok(())
    }
}

impl Path {
    /// When a letter of that severity may leave, at the earliest, if it is ready at that time.
    pub fn leaves(&self, severity: Severity, ready: Time) -> Time {
        let Some(quiet) = self.route.quiet.as_ref().filter(|it| it.but.is_none_or(|but| severity < but)) else {
            return ready;
        };
        let ends = Timestamp::from_microsecond(ready.as_micros()).ok().and_then(|at| {
            let local = at.to_zoned(self.time_zone.clone());
            let minute = u16::try_from(local.hour()).ok()? * 60 + u16::try_from(local.minute()).ok()?;
            let over_night = quiet.from > quiet.until;
            let is_quiet = match over_night {
                true => minute >= quiet.from || minute < quiet.until,
                false => (quiet.from..quiet.until).contains(&minute),
            };
            let days = i64::from(over_night && minute >= quiet.from);
            let until = civil::time(hours(quiet.until)?, minutes(quiet.until)?, 0, 0);
            let day = local.date().checked_add(days.days()).ok()?;
            is_quiet.then(|| day.to_datetime(until).to_zoned(self.time_zone.clone()).ok()).flatten()
        });
        ends.map_or(ready, |ends| Time::from_micros(ends.timestamp().as_microsecond()).max(ready))
    }
}

fn hours(of_day: u16) -> Option<i8> {
    i8::try_from(of_day / 60).ok()
}

fn minutes(of_day: u16) -> Option<i8> {
    i8::try_from(of_day % 60).ok()
}

impl Check {
    pub(super) fn sinks(&mut self, typed: Vec<TypedSink>, directory: Option<&std::path::Path>) -> Vec<Sink> {
        let mut names = BTreeSet::new();
        let mut meant = Vec::new();
        for (at, sink) in typed.into_iter().enumerate() {
            let setting = |name: &str| format!("sinks[{at}].{name}");
            self.called(setting("name"), &sink.name, &mut names);
            let Some(spec) = sinks::find(&sink.kind) else {
                self.unknown_kind(setting("kind"), &sink.kind, sinks::ALL.iter().map(|spec| spec.name).collect());
                continue;
            };
            let per_minute = sink.per_minute.unwrap_or(spec.per_minute);
            if !(1..=PER_MINUTE_MAX).contains(&per_minute) {
                self.fault(setting("per_minute"), format!("between 1 and {PER_MINUTE_MAX}"));
            }
            let file = sink.template.as_ref();
            let template_file = file.map(|file| directory.map_or_else(|| file.into(), |it| it.join(file)));
            let settings = serde_json::to_value(&sink.settings).ok();
            let Some(serde_json::Value::Object(settings)) = settings else {
                self.fault(format!("sinks[{at}]"), "its settings cannot be read");
                continue;
            };
            meant.push(Sink { name: sink.name, spec, per_minute, template_file, template: None, settings });
        }
        meant
    }

    pub(super) fn routes(&mut self, typed: Vec<TypedRoute>, sinks: &[Sink]) -> Vec<Path> {
        let mut names = BTreeSet::new();
        let mut meant = Vec::new();
        for (at, route) in typed.into_iter().enumerate() {
            let setting = |name: &str| format!("routes[{at}].{name}");
            self.called(setting("name"), &route.name, &mut names);
            let Some(sink) = sinks.iter().find(|sink| sink.name == route.to) else {
                let known = || sinks.iter().map(|sink| sink.name.as_str());
                let hint = nearest(&route.to, known()).map(|near| format!("; did you mean {near:?}?"));
                self.fault(setting("to"), format!("there is no sink {:?}{}", route.to, hint.unwrap_or_default()));
                continue;
            };
            for rule in route.rules.iter().filter(|rule| Rule::of_id(rule).is_none()) {
                self.fault(setting("rules"), format!("there is no rule {rule:?}; see provost rules list"));
            }
            for kind in route.kinds.iter().filter(|kind| *kind != "source" && *kind != "store") {
                if kind.parse::<Kind>().is_err() {
                    self.fault(setting("kinds"), format!("there is no kind {kind:?}"));
                }
            }
            let which = Which {
                severity: route.severity.as_ref().and_then(|word| self.severity(setting("severity"), word)),
                owners: route.owners.clone(),
                owned: route.owned,
                sources: route.sources.clone(),
                kinds: route.kinds.clone(),
                rules: route.rules.clone(),
                rest: route.rest,
            };
            let usual = if sink.spec.gathers { GATHERED } else { Duration::ZERO };
            let gather = self.length(setting("gather"), route.gather.as_ref(), usual);
            if gather > GATHERED_MAX {
                self.fault(setting("gather"), "at most 7d");
            }
            if !gather.is_zero() && !sink.spec.gathers {
                self.fault(setting("gather"), format!("{} takes each case by itself: 0s", sink.spec.name));
            }
            let form = match i64::try_from(gather.as_secs()).unwrap_or(i64::MAX) {
                0 => Form::Each,
                for_seconds => Form::Gathered {
                    for_seconds,
                    at_once: self.unless_never(setting("at_once"), route.at_once.as_ref()),
                    by_owner: route.by_owner,
                },
            };
            let events = match &route.events {
                None if sink.spec.gathers => Event::ALL.into_iter().filter(|event| *event != Event::Changed).collect(),
                None => Event::ALL.into_iter().collect(),
                Some(words) => words.iter().filter_map(|word| self.event(setting("events"), word)).collect(),
            };
            let quiet = route.quiet.as_ref().and_then(|hours| {
                let (from, until) = self.hours(setting("quiet"), hours)?;
                Some(Quiet { from, until, but: self.unless_never(setting("quiet_but"), route.quiet_but.as_ref()) })
            });
            let time_zone = self.time_zone(&setting("time_zone"), route.time_zone.as_deref());
            let policy = policy(&route, sink);
            let route_ = Route { name: route.name, sink: route.to, which, events, form, quiet };
            meant.push(Path { route: route_, time_zone, dry_run: route.dry_run, policy });
        }
        meant
    }

    fn severity(&mut self, setting: String, word: &str) -> Option<Severity> {
        let severity = Severity::ALL.into_iter().find(|it| it.word() == word);
        if severity.is_none() {
            self.fault(setting, "critical, high, medium, low or info");
        }
        severity
    }

    /// A severity, `critical` where nothing is said, or none for `never`.
    fn unless_never(&mut self, setting: String, word: Option<&String>) -> Option<Severity> {
        match word.map(String::as_str) {
            None => Some(Severity::Critical),
            Some("never") => None,
            Some(word) => self.severity(setting, word),
        }
    }

    fn event(&mut self, setting: String, word: &str) -> Option<Event> {
        let event = Event::from_word(word);
        if event.is_none() {
            self.fault(setting, "opened, worse, changed, overdue, settled or unproven");
        }
        event
    }

    fn hours(&mut self, setting: String, text: &str) -> Option<(u16, u16)> {
        let minute = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
            (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
        };
        let hours = text.split_once('-').and_then(|(from, until)| Some((minute(from)?, minute(until)?)));
        let hours = hours.filter(|(from, until)| from != until);
        if hours.is_none() {
            self.fault(setting, "two times of day, such as 22:00-07:00");
        }
        hours
    }
}

/// Digest of a route and its sink: whatever is changed about either is enabled anew.
fn policy(route: &TypedRoute, sink: &Sink) -> String {
    let mut hash = Sha256::new();
    let settings = serde_json::to_string(&sink.settings).unwrap_or_default();
    let said = format!("{route:?}\n{}\n{settings}\n{:?}", sink.spec.name, sink.template_file);
    hash.update(said.as_bytes());
    hex::encode(hash.finalize().get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use provost_engine::tell::Form;

    use super::*;
    use crate::config::{Config, Paths, Scene, parse};

    fn meant(text: &str) -> Result<Config, Vec<String>> {
        let paths = Paths {
            scene: Scene::User,
            file: "/etc/provost/provost.toml".into(),
            file_named: false,
            store: "/s".into(),
            fingerprint_key: "/k".into(),
            evidence_key: "/e".into(),
            socket: "/x".into(),
        };
        parse(text, &paths).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    const SINKS: &str = "[[sinks]]\nname = \"chat\"\nkind = \"slack\"\ntoken = \"env:T\"\nchannel = \"C1\"\n\
                         [[sinks]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"https://x.example/\"\n";

    fn route(lines: &str) -> Result<Path, Vec<String>> {
        let text = format!("{SINKS}[[routes]]\nname = \"r\"\nto = \"chat\"\n{lines}\n");
        meant(&text).map(|mut config| config.routes.remove(0))
    }

    #[test]
    fn messages_to_people_are_gathered_and_programs_get_each_case() {
        let chat = route("").unwrap();
        let usual = Form::Gathered { for_seconds: 300, at_once: Some(Severity::Critical), by_owner: false };
        assert_eq!((chat.route.form, chat.route.events.contains(&Event::Changed)), (usual, false));
        assert_eq!(route("gather = \"0s\"").unwrap().route.form, Form::Each);
        let hook = meant(&format!("{SINKS}[[routes]]\nname = \"r\"\nto = \"hook\"\n")).unwrap().routes.remove(0);
        assert_eq!((hook.route.form, hook.route.events.len()), (Form::Each, Event::ALL.len()));
        let policies = ["", "rest = true", "severity = \"high\""].map(|lines| route(lines).unwrap().policy);
        assert!(policies[0] != policies[1] && policies[1] != policies[2], "what is changed is enabled anew");
    }

    #[test]
    fn every_problem_is_said_with_what_was_probably_meant() {
        for (lines, said) in [
            ("severity = \"hi\"", "routes[0].severity: critical, high, medium"),
            ("rules = [\"CRED-STAL\"]", "there is no rule \"CRED-STAL\""),
            ("kinds = [\"key\"]", "there is no kind \"key\""),
            ("events = [\"new\"]", "routes[0].events: opened, worse"),
            ("gather = \"8d\"", "routes[0].gather: at most 7d"),
            ("quiet = \"22-7\"", "two times of day"),
            ("quiet = \"22:00-22:00\"", "two times of day"),
            ("quiet = \"22:00-07:00\"\ntime_zone = \"Mars/X\"", "there is no such time zone"),
        ] {
            let problems = route(lines).unwrap_err();
            assert!(problems[0].contains(said), "{lines}: {problems:?}");
        }
        for (text, said) in [
            ("[[sinks]]\nname = \"a b\"\nkind = \"slack\"\n", "sinks[0].name: letters"),
            ("[[sinks]]\nname = \"a\"\nkind = \"slak\"\n", "did you mean \"slack\"?"),
            ("[[sinks]]\nname = \"a\"\nkind = \"slack\"\nper_minute = 0\n", "sinks[0].per_minute: between 1"),
            ("[[routes]]\nname = \"r\"\nto = \"caht\"\n", "routes[0].to: there is no sink \"caht\""),
        ] {
            let problems = meant(text).unwrap_err();
            assert!(problems[0].contains(said), "{text}: {problems:?}");
        }
        let twice = format!("{SINKS}[[routes]]\nname = \"r\"\nto = \"hook\"\ngather = \"1m\"\n").repeat(2);
        let problems = meant(&twice).unwrap_err().join("\n");
        assert!(
            problems.contains("\"chat\" is there twice") && problems.contains("\"r\" is there twice"),
            "{problems}"
        );
        assert!(problems.contains("webhook takes each case by itself"), "{problems}");
    }

    #[test]
    fn nothing_leaves_in_quiet_hours_but_what_is_bad_enough() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let path = route("quiet = \"22:00-07:00\"\ntime_zone = \"Europe/Paris\"").unwrap();
        for (ready, leaves) in [
            ("2026-11-29T20:59:00Z", "2026-11-29T20:59:00Z"),
            ("2026-11-29T21:00:00Z", "2026-11-30T06:00:00Z"),
            ("2026-11-30T02:00:00Z", "2026-11-30T06:00:00Z"),
            ("2026-11-30T06:00:00Z", "2026-11-30T06:00:00Z"),
            // The night in which clocks go back has an hour more.
            ("2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"),
        ] {
            assert_eq!(path.leaves(Severity::High, at(ready)), at(leaves), "{ready}");
            assert_eq!(path.leaves(Severity::Critical, at(ready)), at(ready));
        }
        let noon = route("quiet = \"12:00-13:30\"\nquiet_but = \"never\"").unwrap();
        assert_eq!(noon.leaves(Severity::Critical, at("2026-11-29T12:10:00Z")), at("2026-11-29T13:30:00Z"));
        assert_eq!(noon.leaves(Severity::Critical, at("2026-11-29T13:30:00Z")), at("2026-11-29T13:30:00Z"));
    }
}
