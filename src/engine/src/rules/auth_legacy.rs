//! AUTH-LEGACY: a lasting secret where a way without one exists.
//! It must never take the name of a secret for what is in it.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Place, Rule, Verdict, View, life, view::VARIABLE};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "AUTH-LEGACY",
    version: 1,
    severity: Severity::Medium,
    title: "lasting secret where federation or a narrower kind exists",
    why: "A secret that lasts can be copied and used elsewhere; what is asked for anew each time cannot.",
    remedy: "Sign in without it: by OpenID Connect from CI, by the identity of the workload in the cloud, by an app or \
             a fine-grained token at a code host. Then delete it.",
    frameworks: Mapping {
        owasp_nhi: &["NHI4"],
        nist_csf: &["PR.AA-03"],
        other: &[("nist_sp_800_53_r5", "IA-2"), ("iso_27001_2022", "A.8.5")],
    },
    needs: &[
        Kind::AccessKey,
        Kind::Token,
        Kind::SshKey,
        Kind::ClientSecret,
        Kind::ServiceSpecificCredential,
        Kind::Secret,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::FEDERATION.field(),
        field::CREDENTIAL_TYPE.field(),
        field::STORE_KIND.field(),
        field::LONG_LIVED.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[]), Neighbour::SameSecret.reading(&[])],
    dates: false,
    figures: &["grace_days"],
    check: Check::Record(check),
};

/// Sorts of tokens that their provider has a better kind for.
const SUPERSEDED: [(&str, &str); 2] = [
    ("github_pat", "a classic personal access token: a fine-grained token or a GitHub App reaches less"),
    ("okta_api_token", "an API token with the rights of its user: OAuth for service apps has scopes"),
];

/// Sorts of credentials of clouds that take OpenID Connect tokens of CI systems instead.
const OF_CLOUDS: [&str; 3] = ["aws_secret_access_key", "google_service_account_key", "azure_client_secret"];

/// Places where CI systems that issue OpenID Connect tokens keep secrets, and settings beside them.
const OF_CI: [&str; 4] = ["github_actions", "gitlab_ci", "ci_pipeline", VARIABLE];

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if view.get(field::LONG_LIVED) == Reading::Known(false) {
        return Ok(Verdict::pass());
    }
    if !life::keeps_secret(view) {
        return Ok(Verdict::not_applicable());
    }
    let federation = view.text(field::FEDERATION);
    if federation == Reading::NotPermitted {
        return Err(Verdict::unknown("federation", &federation));
    }
    let why = match federation {
        Reading::Known(way) => Some(format!("{way} could take its place")),
        _ => superseded(view).or_else(|| in_ci(view)),
    };
    let Some(why) = why else { return Ok(Verdict::pass()) };
    // One secret, one finding: the credential at its provider is judged, not its copies.
    if (view.knows(field::LOCATION) || view.is_item()) && view.places().iter().any(is_provided) {
        return Ok(Verdict::pass());
    }
    life::usual_grace(view, thresholds, now)?;
    Ok(Verdict::fail(view.says(|| format!("{working}, {why}")), view.raisers()))
}

fn superseded(view: &View<'_>) -> Option<String> {
    let sort = view.text(field::CREDENTIAL_TYPE).known()?;
    SUPERSEDED.iter().find(|(its, _)| *its == sort).map(|(_, why)| (*why).to_owned())
}

/// A cloud's credential that a CI system keeps: seen at the cloud with a copy there, or there alone.
fn in_ci(view: &View<'_>) -> Option<String> {
    let sort = view.text(field::CREDENTIAL_TYPE).known().unwrap_or_default();
    let of_cloud = view.kind() == Kind::AccessKey || OF_CLOUDS.contains(&sort);
    let own = view.text(field::STORE_KIND).known().filter(|it| is_ci(it)).map(|kind| (kind, view.external()));
    let kept = own.or_else(|| {
        let mut copies = view.places().iter().filter_map(|it| Some((it.store_kind.as_deref()?, it.external.as_str())));
        copies.find(|(kind, _)| is_ci(kind))
    });
    let of_cloud = of_cloud || view.places().iter().any(|it| it.kind == Kind::AccessKey && it.location.is_none());
    let (kind, external) = kept.filter(|_| of_cloud)?;
    Some(format!("a cloud's lasting key kept for CI ({kind}, {external}), which can sign in by OpenID Connect"))
}

fn is_ci(store_kind: &str) -> bool {
    OF_CI.contains(&store_kind)
}

fn is_provided(place: &Place) -> bool {
    place.location.is_none() && place.store_kind.is_none()
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, record, truth};

    fn token(sort: &str) -> Sample {
        record(Kind::Token)
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, ago(100))
            .with(field::CREDENTIAL_TYPE, sort.to_owned())
    }

    fn kept(byte: u8, store: &str) -> Sample {
        record(Kind::Secret)
            .id(byte)
            .realm("github:org/1")
            .named("repos/7/secrets/AWS")
            .with(field::STORE_KIND, store.to_owned())
            .with(field::CREATED_AT, ago(100))
    }

    #[test]
    fn truth_table() {
        let file = || {
            token("github_pat")
                .id(3)
                .with(field::LOCATION, "/x".to_owned())
                .with(field::STATUS, Status::Unknown)
                .with(field::PLAINTEXT, true)
        };
        let way = |reading| World::from(token("deploy_key").with(field::FEDERATION, reading));
        let said = || Reading::Known("OpenID Connect of GitHub Actions".to_owned());
        let words = truth(
            &SPEC,
            vec![
                ("its provider says what could take its place", way(said()), "fail"),
                ("its provider says that nothing could", way(Reading::Never), "pass"),
                ("unknown: nobody says", way(Reading::NotCollected), "pass"),
                ("not reported", way(Reading::NotReported), "pass"),
                ("denied", way(Reading::NotPermitted), "inconclusive"),
                ("a classic token", token("github_pat").into(), "fail"),
                ("a fine-grained one", token("github_fine_grained_pat").into(), "pass"),
                ("grace: made lately", token("github_pat").with(field::CREATED_AT, ago(6)).into(), "pass"),
                ("edge: exactly the grace", token("github_pat").with(field::CREATED_AT, ago(7)).into(), "fail"),
                ("a classic token in a file", file().into(), "fail"),
                ("the file leaves it to the token", World::from(file()).place(token("github_pat")), "pass"),
                ("a reference to one", file().with(field::PLAINTEXT, false).into(), "not_applicable"),
                ("an access key kept in CI", World::from(key()).place(kept(8, "github_actions")), "fail"),
                ("an access key whose id a setting of CI names", World::from(key()).place(kept(8, "variable")), "fail"),
                (
                    "an access key that leaked into a repository",
                    World::from(key()).place(kept(8, "repository")),
                    "pass",
                ),
                (
                    "the secret of CI lies in a repository, not in a file",
                    World::from(kept(8, "github_actions").with(field::LOCATION, "o/r".to_owned())).place(key()),
                    "pass",
                ),
                ("an access key kept in a vault", World::from(key()).place(kept(8, "vault_kv")), "pass"),
                ("an access key by itself", key().into(), "pass"),
                ("what CI keeps leaves it to the key", World::from(kept(8, "github_actions")).place(key()), "pass"),
                ("what CI keeps is not known: its name says nothing", kept(8, "github_actions").into(), "pass"),
                (
                    "a session's key",
                    World::from(key().with(field::LONG_LIVED, false)).place(kept(8, "github_actions")),
                    "pass",
                ),
                ("inactive", token("github_pat").with(field::STATUS, Status::Inactive).into(), "pass"),
            ],
        );
        assert_eq!(words[0], "active, OpenID Connect of GitHub Actions could take its place");
        assert_eq!(
            words[4],
            "active, a cloud's lasting key kept for CI (github_actions, repos/7/secrets/AWS), which can sign in by \
             OpenID Connect"
        );
        assert!(NOW > ago(1));
    }
}
