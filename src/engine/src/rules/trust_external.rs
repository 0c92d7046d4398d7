//! TRUST-EXTERNAL: somebody outside of the organisation may act as it.
//! It must never be silent because an outsider is known, when nothing guards against a confused deputy.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Rule, Verdict, View, life, lists, who};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "TRUST-EXTERNAL",
    version: 1,
    severity: Severity::High,
    title: "outsiders may act as it",
    why: "Whoever breaks into that account is here too; without an agreed external id, so is each of its other customers.",
    remedy: "Ask who that account belongs to. If it is a known partner, demand an external id and name the account in \
             `trusted_accounts`; else take it out of the trust policy.",
    frameworks: Mapping {
        owasp_nhi: &["NHI3"],
        nist_csf: &["GV.SC-07"],
        other: &[("nist_sp_800_53_r5", "AC-20"), ("iso_27001_2022", "A.5.19"), ("soc_2", "CC9.2")],
    },
    needs: &[Kind::Role, Kind::ServiceAccount, Kind::ServicePrincipal],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::PATH.field(),
        field::ARN.field(),
        field::EXTERNAL_ACCOUNTS.field(),
        field::EXTERNAL_ID_REQUIRED.field(),
    ]),
    neighbours: &[],
    dates: false,
    figures: &["trusted_accounts"],
    check: Check::Record(check),
};

/// Most accounts named in the words.
const NAMED: usize = 5;

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if who::is_providers_own(view) {
        return Ok(Verdict::not_applicable());
    }
    let accounts = lists::faults(view, field::EXTERNAL_ACCOUNTS)?;
    let strangers: Vec<&str> = accounts
        .iter()
        .map(String::as_str)
        .filter(|it| !thresholds.trusted_accounts.iter().any(|trusted| trusted == it))
        .collect();
    let guarded = view.get(field::EXTERNAL_ID_REQUIRED);
    if !strangers.is_empty() {
        let words = || {
            let who = match strangers.contains(&"*") {
                true => "anybody may act as it".to_owned(),
                false => format!(
                    "accounts that nobody vouched for may act as it: {}",
                    lists::first(NAMED, strangers.iter().copied())
                ),
            };
            let guard = match guarded {
                Reading::Known(true) => ", with an external id",
                Reading::Known(false) => ", without an external id",
                _ => "",
            };
            format!("{working}, {who}{guard}")
        };
        return Ok(Verdict::fail(view.says(words), view.raisers()));
    }
    match guarded {
        Reading::Known(false) => {
            let words = || {
                let named = lists::first(NAMED, accounts.iter().map(String::as_str));
                format!("{working}, trusted accounts may act as it without an external id: {named}")
            };
            Ok(Verdict::fail(view.says(words), view.raisers()))
        }
        Reading::Known(true) | Reading::NotReported | Reading::Never => Ok(Verdict::pass()),
        unknown => Err(Verdict::unknown("external_id_required", &unknown)),
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, record, truth};

    fn role(accounts: &[&str], guarded: impl Into<Reading<bool>>) -> Sample {
        let accounts: Vec<String> = accounts.iter().map(|it| (*it).to_owned()).collect();
        record(Kind::Role)
            .with(field::STATUS, Status::Active)
            .with(field::EXTERNAL_ACCOUNTS, accounts)
            .with(field::EXTERNAL_ID_REQUIRED, guarded.into())
    }

    #[test]
    fn truth_table() {
        let trusted = |sample: Sample| {
            let mut world = World::from(sample);
            world.thresholds.trusted_accounts = vec!["111111111111".to_owned()];
            world
        };
        let said =
            |reading: Reading<Vec<String>>| World::from(role(&[], false).with(field::EXTERNAL_ACCOUNTS, reading));
        let words = truth(
            &SPEC,
            vec![
                ("a stranger", role(&["222222222222"], false).into(), "fail"),
                ("a stranger with an external id", role(&["222222222222"], true).into(), "fail"),
                ("anybody", role(&["*"], Reading::NotReported).into(), "fail"),
                ("a trusted one with an external id", trusted(role(&["111111111111"], true)), "pass"),
                ("a trusted one without", trusted(role(&["111111111111"], false)), "fail"),
                ("a trusted one and a stranger", trusted(role(&["111111111111", "222222222222"], true)), "fail"),
                ("edge: nearly its number", trusted(role(&["11111111111"], true)), "fail"),
                ("where no external id is asked for", trusted(role(&["111111111111"], Reading::NotReported)), "pass"),
                ("unknown: the external id", trusted(role(&["111111111111"], Reading::NotCollected)), "inconclusive"),
                ("nobody from outside", role(&[], Reading::NotReported).into(), "pass"),
                ("not reported", said(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", said(Reading::NotCollected), "inconclusive"),
                ("denied", said(Reading::NotPermitted), "inconclusive"),
                (
                    "the provider's own",
                    role(&["*"], false).with(field::PATH, "/aws-reserved/sso.amazonaws.com/".to_owned()).into(),
                    "not_applicable",
                ),
                ("inactive", role(&["*"], false).with(field::STATUS, Status::Inactive).into(), "pass"),
            ],
        );
        assert_eq!(
            words[0],
            "active, accounts that nobody vouched for may act as it: 222222222222, without an external id"
        );
        assert_eq!(words[2], "active, anybody may act as it");
        assert_eq!(words[3], "active, trusted accounts may act as it without an external id: 111111111111");
        assert!(NOW > ago(1));
    }
}
