//! `check`: what a source's credential may see, and what a run will cost.
//! It must never call unknown what was granted, nor granted what was not tried.

use provost_connectors::{Access, Check, Verdict};
use serde_json::json;

use super::{CliError, Exit, Screen};
use crate::output::{Cell, Tone};

/// Shows what the trial of every read showed. Exit 3 if a read is denied that the connector cannot do without.
pub fn show(name: &str, access: &Access, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let lacking = access.checks.iter().any(|check| check.verdict == Verdict::Denied && !check.optional);
    let exit = if lacking { Exit::Partial } else { Exit::Done };
    if !screen.is_table() {
        screen.value(&as_json(name, access))?;
        return Ok(exit);
    }
    screen.pairs(&[("source", name.to_owned()), ("as", access.principal.clone()), ("reads", access.target.clone())])?;
    let rows = access.checks.iter().map(|check| {
        let (word, tone) = shown(check);
        vec![check.action.clone().into(), Cell::new(word).tone(tone), check.note.clone().into()]
    });
    screen.section("Permissions", &["read", "verdict", "note"], rows.collect())?;
    if !access.cost.is_empty() {
        screen.line("")?;
        screen.line("A run will cost")?;
        access.cost.iter().try_for_each(|line| screen.prose(&format!("  {line}")))?;
    }
    if let Some(policy) = &access.policy {
        screen.line("")?;
        screen.line("Least privilege")?;
        let text = serde_json::to_string_pretty(policy).unwrap_or_default();
        screen.lines(&text)?;
    }
    Ok(exit)
}

fn shown(check: &Check) -> (&'static str, Tone) {
    match (check.verdict, check.optional) {
        (Verdict::Granted, _) => ("granted", Tone::Good),
        (Verdict::Excess, _) => ("not needed", Tone::Warn),
        (Verdict::Denied, false) => ("denied", Tone::Bad),
        (Verdict::Denied, true) => ("denied, optional", Tone::Warn),
        (Verdict::Unknown, _) => ("unknown", Tone::Warn),
    }
}

fn as_json(name: &str, access: &Access) -> serde_json::Value {
    let checks: Vec<serde_json::Value> = access
        .checks
        .iter()
        .map(|check| {
            let verdict = match check.verdict {
                Verdict::Granted => "granted",
                Verdict::Excess => "excess",
                Verdict::Denied => "denied",
                Verdict::Unknown => "unknown",
            };
            json!({ "action": check.action, "verdict": verdict, "optional": check.optional, "note": check.note })
        })
        .collect();
    json!({
        "name": name,
        "principal": access.principal,
        "target": access.target,
        "checks": checks,
        "cost": access.cost,
        "policy": access.policy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::screen::fake::written, output::Format};

    fn access(optional: bool) -> Access {
        let check = |action: &str, verdict, optional| Check {
            action: action.into(),
            verdict,
            optional,
            note: "users and their keys".into(),
        };
        Access {
            principal: "arn:aws:iam::123456789012:user/audit, from the environment".into(),
            target: "account 123456789012".into(),
            checks: vec![
                check("iam:ListUsers", Verdict::Granted, false),
                check("iam:ListAccessKeys", Verdict::Denied, optional),
            ],
            cost: vec!["cold: about 190 calls".into()],
            policy: Some(json!({ "Version": "2012-10-17" })),
        }
    }

    #[test]
    fn a_check_reads_well_and_a_lacking_permission_shows_in_the_exit() {
        let (out, _) = written(Format::Table, |screen| {
            assert_eq!(show("aws-prod", &access(false), screen).unwrap(), Exit::Partial);
        });
        insta::assert_snapshot!(out, @r#"
    source  aws-prod
    as      arn:aws:iam::123456789012:user/audit, from the environment
    reads   account 123456789012

    Permissions
    READ                VERDICT  NOTE
    iam:ListUsers       granted  users and their keys
    iam:ListAccessKeys  denied   users and their keys

    A run will cost
      cold: about 190 calls

    Least privilege
    {
      "Version": "2012-10-17"
    }
    "#);
        written(Format::Json, |screen| assert_eq!(show("aws-prod", &access(true), screen).unwrap(), Exit::Done));
    }
}
