//! CFG-PLAINTEXT-STORE: a secret written out where configuration belongs, or where others can read it.
//! It must never count a program's own credential file that only its user can read.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CFG-PLAINTEXT-STORE",
    version: 1,
    severity: Severity::High,
    title: "secret written out in configuration or readable by others",
    why: "Configuration is copied, committed, logged, backed up and shown; a secret in it travels with it.",
    remedy: "Keep it in a secret store and hand it over at run time; then replace it, since copies are about.",
    frameworks: Mapping {
        owasp_nhi: &["NHI2"],
        nist_csf: &["PR.DS-01"],
        other: &[("pci_dss_4.0.1", "8.6.2"), ("nist_sp_800_53_r5", "IA-5(7)")],
    },
    needs: &[
        Kind::AccessKey,
        Kind::Password,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::ServiceSpecificCredential,
        Kind::Secret,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::PLAINTEXT.field(),
        field::STORE_KIND.field(),
        field::READABLE_BY_OTHERS.field(),
        field::MODE.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[])],
    dates: false,
    figures: &["grace_days"],
    check: Check::Record(check),
};

/// Places for configuration, by the beginning of `store_kind`. Anything else that keeps secrets in the clear is a
/// program's own credential file, which is a fault only if others can read it.
const CONFIGURATION: [&str; 14] = [
    "dotenv",
    "env",
    "systemd",
    "compose",
    "ci_",
    "cron",
    "system_environment",
    "mcp",
    "git_config",
    "pip_conf",
    "configmap",
    "user_data",
    "variable",
    "shell",
];

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    match view.get(field::PLAINTEXT) {
        Reading::Known(true) => {}
        Reading::Known(false) | Reading::Never => return Ok(Verdict::pass()),
        // Only places where values are kept speak of it.
        Reading::NotReported | Reading::NotCollected => return Ok(Verdict::not_applicable()),
        denied => return Err(Verdict::unknown("plaintext", &denied)),
    }
    let kind = view.text(field::STORE_KIND).known().unwrap_or_default();
    let configuration = CONFIGURATION.iter().any(|start| kind.starts_with(start));
    let others = view.get(field::READABLE_BY_OTHERS);
    let open = others == Reading::Known(true);
    if !configuration && !open {
        return match others {
            Reading::Known(_) | Reading::Never | Reading::NotReported => Ok(Verdict::pass()),
            unknown => Err(Verdict::unknown("readable_by_others", &unknown)),
        };
    }
    life::usual_grace(view, thresholds, now)?;
    let words = view.says(|| {
        let place = if kind.is_empty() { "a file" } else { kind };
        let mut words = format!("{working}, written out in {place}");
        if open {
            words.push_str(", readable by other users");
            if let Some(mode) = view.text(field::MODE).known() {
                words.push_str(&format!(" (mode {mode})"));
            }
        }
        words
    });
    Ok(Verdict::fail(words, view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, record, truth};

    fn kept(store: &str, open: impl Into<Reading<bool>>) -> Sample {
        record(Kind::Token)
            .realm("host:a")
            .baseline()
            .with(field::LOCATION, "/srv/app/.env".to_owned())
            .with(field::PLAINTEXT, true)
            .with(field::STORE_KIND, store.to_owned())
            .with(field::READABLE_BY_OTHERS, open)
            .with(field::MODE, "0644".to_owned())
    }

    #[test]
    fn truth_table() {
        let plain = |reading| World::from(kept("dotenv", false).with(field::PLAINTEXT, reading));
        let later = |days| {
            let mut it = World::from(kept("dotenv", false).first_seen(ago(days)));
            it.record.baseline = false;
            it
        };
        let words = truth(
            &SPEC,
            vec![
                ("in a place for configuration", kept("dotenv", false).into(), "fail"),
                ("a service's environment", kept("systemd_unit", false).into(), "fail"),
                ("an agent's configuration", kept("mcp_config", false).into(), "fail"),
                ("a program's own file, private", kept("aws_credentials", false).into(), "pass"),
                ("edge: the same file, open to others", kept("aws_credentials", true).into(), "fail"),
                ("a reference", plain(Reading::Known(false)), "pass"),
                ("grace: appeared after the first run", later(3), "pass"),
                ("edge: exactly the grace", later(7), "fail"),
                ("met by the first run: no grace", kept("dotenv", false).first_seen(NOW).into(), "fail"),
                ("expired", kept("dotenv", true).with(field::EXPIRES_AT, ago(1)).into(), "pass"),
                ("inactive", kept("dotenv", true).with(field::STATUS, Status::Inactive).into(), "pass"),
                ("unknown: not reported", plain(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", plain(Reading::NotCollected), "not_applicable"),
                ("denied", plain(Reading::NotPermitted), "inconclusive"),
                ("who can read it is not collected", kept("npmrc", Reading::NotCollected).into(), "inconclusive"),
                ("a provider's record", key().into(), "not_applicable"),
                ("data lag does not matter", kept("dotenv", false).told(ago(9)).into(), "fail"),
            ],
        );
        assert_eq!(words[0], "not known to be revoked, written out in dotenv");
        assert_eq!(
            words[3],
            "not known to be revoked, written out in aws_credentials, readable by other users (mode 0644)"
        );
    }
}
