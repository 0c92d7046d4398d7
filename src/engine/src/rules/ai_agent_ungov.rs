//! AI-AGENT-UNGOV: an AI agent or tool server that nobody answers for, that may do anything, or whose key lies idle.
//! It must never call an agent unlimited because its limits could not be seen.

use provost_model::{FieldSet, Kind, Reading, Severity, Status, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "AI-AGENT-UNGOV",
    version: 1,
    severity: Severity::High,
    title: "AI agent without an owner, without limits, or with an idle key",
    why: "An agent acts by itself with the rights of its credentials; without somebody to answer and a list of what it may \
          do, a single injected sentence can use them all.",
    remedy: "Name an owner, allow only the tools it needs, give it a credential of its own, and remove keys it does not use.",
    frameworks: Mapping {
        owasp_nhi: &["NHI5"],
        nist_csf: &["GV.RR-02"],
        other: &[("nist_sp_800_53_r5", "AC-6"), ("iso_27001_2022", "A.5.15")],
    },
    needs: &[Kind::AiAgent],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::TOOLS.field(),
        field::TAGS.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[
        Neighbour::Owner.reading(&[]),
        Neighbour::Credentials
            .reading(&[field::NAME.field(), field::STATUS.field(), field::EXPIRES_AT.field()])
            .dated(&[field::LAST_USED_AT.field()])
            .named(),
    ],
    dates: false,
    figures: &["grace_days", "owner_confidence", "agent_key_stale_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    let mut faults = Vec::new();
    let mut doubt = None;
    let owned = view.owner().is_some_and(|owner| owner.confidence >= thresholds.owner_confidence);
    if !owned {
        match view.get(field::TAGS) {
            tags @ Reading::NotPermitted => doubt = Some(Verdict::unknown("tags", &tags)),
            _ => faults.push("nobody answers for it".to_owned()),
        }
    }
    match view.get(field::TOOLS) {
        Reading::Never => faults.push("it may use every tool".to_owned()),
        Reading::Known(tools) if tools.iter().any(|tool| tool == "*") => {
            faults.push("it may use every tool".to_owned())
        }
        Reading::Known(_) | Reading::NotReported => {}
        unknown => doubt = doubt.or_else(|| Some(Verdict::unknown("tools", &unknown))),
    }
    let (mut until, mut waits) = (None, false);
    let limit = thresholds.agent_key_stale_days;
    for credential in view.credentials().filter(|it| it.status(now) == Status::Active) {
        let Some(used) = credential.get(field::LAST_USED_AT).known() else { continue };
        let as_of = credential.as_of(field::LAST_USED_AT.field()).unwrap_or(now);
        match life::over(used, days(limit), as_of, now) {
            Ok(ago) => faults.push(format!(
                "its key {} was last used {} ago, over {limit} days",
                credential.name(),
                life::count(ago)
            )),
            Err(quiet) => {
                until = until.into_iter().chain(quiet.until).min();
                waits |= quiet.waits;
            }
        }
    }
    if faults.is_empty() {
        let mut verdict = doubt.map_or_else(|| Ok(Verdict::pass()), Err);
        let (Ok(it) | Err(it)) = &mut verdict;
        (it.until, it.waits) = (until, waits);
        return verdict;
    }
    life::usual_grace(view, thresholds, now)?;
    let mut verdict = Verdict::fail(view.says(|| format!("{working}; {}", faults.join("; "))), view.raisers());
    (verdict.until, verdict.waits) = (until, waits);
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, record, truth};

    fn agent() -> Sample {
        record(Kind::AiAgent)
            .realm("host:a")
            .baseline()
            .with(field::LOCATION, "/home/a/.mcp.json".to_owned())
            .with(field::TOOLS, vec!["read_file".to_owned()])
    }

    #[test]
    fn truth_table() {
        let owned = |it: Sample| World::from(it).owned_by("alice", 0.6);
        let tools = |reading| owned(agent().with(field::TOOLS, reading));
        let used = |at: Time| owned(agent()).credential(key().with(field::LAST_USED_AT, at));
        let later = |days| agent().with(field::CREATED_AT, ago(days));
        let words = truth(
            &SPEC,
            vec![
                ("nobody answers for it", agent().into(), "fail"),
                ("somebody does, and it is limited", owned(agent()), "pass"),
                ("edge: not sure enough who", World::from(agent()).owned_by("root", 0.59), "fail"),
                ("every tool, by omission", tools(Reading::Never), "fail"),
                ("every tool, by a star", tools(Reading::Known(vec!["*".to_owned()])), "fail"),
                ("its key lies idle", used(ago(200)), "fail"),
                ("its key is in use", used(ago(2)), "pass"),
                ("edge: exactly the threshold", used(ago(90)), "pass"),
                ("edge: a moment more", used(ago(90) - Span::micros(1)), "fail"),
                (
                    "data lag: the key may have been used since",
                    owned(agent()).credential(key().with(field::LAST_USED_AT, ago(91)).told(ago(3))),
                    "pass",
                ),
                (
                    "its idle key is inactive",
                    owned(agent())
                        .credential(key().with(field::LAST_USED_AT, ago(200)).with(field::STATUS, Status::Inactive)),
                    "pass",
                ),
                ("grace: made lately", later(2).into(), "pass"),
                ("edge: exactly the grace", later(7).into(), "fail"),
                ("unknown: limits not reported", tools(Reading::NotReported), "pass"),
                ("unknown: limits not collected", tools(Reading::NotCollected), "inconclusive"),
                ("denied: limits", tools(Reading::NotPermitted), "inconclusive"),
                ("denied: who answers for it", agent().with(field::TAGS, Reading::NotPermitted).into(), "inconclusive"),
                ("inactive", agent().with(field::STATUS, Status::Inactive).into(), "pass"),
            ],
        );
        assert_eq!(words[0], "not known to be revoked; nobody answers for it");
        assert!(NOW > ago(1));
    }
}
