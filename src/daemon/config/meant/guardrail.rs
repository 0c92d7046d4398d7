//! `[[guardrails]]` as meant.
//! It must never let policy decide what cannot be taken back, nor without somebody who answers for it.

use std::{collections::BTreeSet, time::Duration};

use provost_engine::{Rule, govern::Guardrail, rules};
use provost_model::{Kind, Purpose, Remedy};

use super::{super::typed::guardrail::TypedGuardrail, Check, Source};

/// How long people have unless it is said.
const AFTER: Duration = Duration::from_secs(86_400);
/// Longest time people have.
const AFTER_MAX: Duration = Duration::from_secs(365 * 86_400);
/// Most decisions a day that anybody means.
const PER_DAY_MAX: u32 = 10_000;

impl Check {
    pub(super) fn guardrails(&mut self, typed: Vec<TypedGuardrail>, sources: &[Source]) -> Vec<Guardrail> {
        let mut names = BTreeSet::new();
        let mut meant = Vec::new();
        for (at, entry) in typed.into_iter().enumerate() {
            let setting = |name: &str| format!("guardrails[{at}].{name}");
            self.called(setting("name"), &entry.name, &mut names);
            let remedy = Remedy::from_word(&entry.remedy).filter(|remedy| remedy.can_be_taken_back());
            if remedy.is_none() {
                let can: Vec<&str> =
                    Remedy::ALL.into_iter().filter(|it| it.can_be_taken_back()).map(Remedy::word).collect();
                let said = format!("policy decides only what can be taken back: {}", can.join(" or "));
                self.fault(setting("remedy"), said);
            }
            if entry.rules.is_empty() {
                self.fault(setting("rules"), "name at least one rule: see provost rules list");
            }
            for rule in entry.rules.iter().filter(|rule| Rule::of_id(rule).is_none()) {
                let known = rules::ALL.iter().map(|rule| rule.id).collect();
                self.unknown(setting("rules"), ("rule", rule), known, "see provost rules list");
            }
            for source in entry.sources.iter().filter(|name| !sources.iter().any(|it| it.name == **name)) {
                self.fault(setting("sources"), format!("there is no source {source:?}"));
            }
            let kinds: Vec<Kind> = entry
                .kinds
                .iter()
                .filter_map(|kind| {
                    let known = kind.parse().ok();
                    if known.is_none() {
                        self.fault(setting("kinds"), format!("there is no kind {kind:?}"));
                    }
                    known
                })
                .collect();
            let after = self.length(setting("after"), entry.after.as_ref(), AFTER);
            if after > AFTER_MAX {
                self.fault(setting("after"), "at most 365d");
            }
            let per_day = entry.per_day.unwrap_or(1);
            if !(1..=PER_DAY_MAX).contains(&per_day) {
                self.fault(setting("per_day"), format!("between 1 and {PER_DAY_MAX}; enabled = false switches it off"));
            }
            if entry.answers.trim().is_empty() {
                self.fault(setting("answers"), "name the person of the people file who answers for what it decides");
            }
            let purpose = Purpose::stated(&entry.purpose);
            if purpose.is_none() {
                self.fault(setting("purpose"), "say why, in up to 2000 bytes");
            }
            let (Some(remedy), Some(purpose)) = (remedy, purpose) else { continue };
            meant.push(Guardrail {
                name: entry.name,
                enabled: entry.enabled,
                remedy,
                rules: entry.rules,
                kinds,
                sources: entry.sources,
                production: entry.production,
                after: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                a_day: per_day as usize,
                answers: entry.answers.trim().to_owned(),
                purpose,
            });
        }
        meant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(text: &str) -> (Vec<Guardrail>, Vec<String>) {
        let mut check = Check::default();
        let guardrails = check.guardrails(vec![toml::from_str(text).unwrap()], &[]);
        (guardrails, check.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_said_is_careful() {
        let (all, problems) = meant(
            "name = \"unused\"\nremedy = \"disable\"\nrules = [\"CRED-STALE\"]\nanswers = \"ann\"\npurpose = \"unused\"",
        );
        assert_eq!(problems, [""; 0]);
        let it = &all[0];
        assert_eq!((it.enabled, it.production, it.after, it.a_day), (false, false, 86_400, 1));
    }

    #[test]
    fn what_cannot_be_meant_is_said_all_at_once() {
        let (all, problems) = meant(
            "name = \"x\"\nremedy = \"delete\"\nrules = [\"CRED-STAL\"]\nkinds = [\"keys\"]\nsources = [\"nowhere\"]\n\
             after = \"9999d\"\nper_day = 0\nanswers = \" \"\npurpose = \"\"",
        );
        assert!(all.is_empty());
        let said = problems.join("\n");
        for part in [
            "only what can be taken back: rotate or disable",
            "did you mean \"CRED-STALE\"?",
            "no kind \"keys\"",
            "no source \"nowhere\"",
            "at most 365d",
            "per_day",
            "answers for what it decides",
            "say why",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let none = meant("name = \"x\"\nremedy = \"rotate\"\nrules = []\nanswers = \"ann\"\npurpose = \"why\"").1;
        assert!(none[0].contains("name at least one rule"), "{none:?}");
    }
}
