//! ID-ORPHAN-CONSUMER: what it was made for is deleted or archived, and it is still there.
//! It must never infer that from silence: somebody must say that the consumer is gone.

use provost_model::{FieldSet, Kind, Noun, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "ID-ORPHAN-CONSUMER",
    version: 1,
    severity: Severity::Medium,
    title: "what it served is deleted or archived",
    why: "Nobody needs it any more and nobody looks at it, but it still opens what it opened.",
    remedy: "See that it is not used elsewhere, then switch it off and delete it.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["ID.AM-08", "PR.AA-01"],
        other: &[("nist_sp_800_53_r5", "AC-2(3)"), ("iso_27001_2022", "A.5.18")],
    },
    needs: &[
        Kind::User,
        Kind::ServiceAccount,
        Kind::Role,
        Kind::ServicePrincipal,
        Kind::Application,
        Kind::AiAgent,
        Kind::Workload,
        Kind::AccessKey,
        Kind::Password,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::OauthGrant,
        Kind::ServiceSpecificCredential,
        Kind::Secret,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::PATH.field(),
        field::ARN.field(),
        field::CONSUMER.field(),
        field::CONSUMER_GONE_AT.field(),
        field::ARCHIVED_AT.field(),
        field::LEAK.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[field::NAME.field()]).dated(&[field::ARCHIVED_AT.field()])],
    dates: false,
    figures: &["orphan_consumer_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    // A report of an exposure serves nobody.
    if who::is_root_view(view) || who::is_providers_own(view) || view.knows(field::LEAK) {
        return Ok(Verdict::not_applicable());
    }
    let gone = view.get(field::CONSUMER_GONE_AT);
    // An archived repository is no fault; what still works for it is.
    let serves = view.kind().noun() != Noun::Identity && view.kind().noun() != Noun::Application;
    let archived = if serves { view.get(field::ARCHIVED_AT) } else { Reading::NotReported };
    let identity = view.identity().filter(|_| serves);
    let of_identity = identity.as_ref().map_or(Reading::NotReported, |it| it.get(field::ARCHIVED_AT));
    let named = || view.text(field::CONSUMER).known();
    let ends = [
        (gone.known(), view.as_of(field::CONSUMER_GONE_AT.field()), "deleted", named()),
        (archived.known(), view.as_of(field::ARCHIVED_AT.field()), "archived", named()),
        (
            of_identity.known(),
            identity.as_ref().and_then(|it| it.as_of(field::ARCHIVED_AT.field())).unwrap_or(now),
            "archived",
            identity.as_ref().map(|it| it.name()),
        ),
    ];
    let first =
        ends.into_iter().filter_map(|(at, as_of, how, name)| Some((at?, as_of, how, name))).min_by_key(|it| it.0);
    let Some((at, as_of, how, name)) = first else {
        let denied = [gone, archived, of_identity].into_iter().find(|it| *it == Reading::NotPermitted);
        return match denied {
            Some(denied) => Err(Verdict::unknown("whether what it served is there", &denied)),
            None => Ok(Verdict::not_applicable()),
        };
    };
    let limit = thresholds.orphan_consumer_days;
    let since = life::over(at, days(limit), as_of, now)?;
    let words = || {
        let what = name.unwrap_or("what it served");
        format!("{working}, {what} was {how} {}, {} ago, over {limit} days", life::date(at), life::count(since))
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Span, Status};

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, record, truth, user};

    #[test]
    fn truth_table() {
        let gone =
            |at| user().with(field::CONSUMER_GONE_AT, Reading::Known(at)).with(field::CONSUMER, "shop".to_owned());
        let deploy = || record(Kind::SshKey).with(field::STATUS, Status::Active).of("AIDA1");
        let repository = |at: Time| {
            record(Kind::Workload).id(9).named("AIDA1").with(field::NAME, "o/r".to_owned()).with(field::ARCHIVED_AT, at)
        };
        let unsaid = |reading| World::from(key().with(field::ARCHIVED_AT, reading));
        let secret = |at: Sample| World::from(at.with(field::ARCHIVED_AT, ago(30)));
        let words = truth(
            &SPEC,
            vec![
                ("its workload was deleted", gone(ago(8)).into(), "fail"),
                ("edge: exactly the limit", gone(ago(7)).into(), "pass"),
                ("edge: a moment longer", gone(ago(7) - Span::micros(1)).into(), "fail"),
                ("a deploy key of an archived repository", World::from(deploy()).identity(repository(ago(30))), "fail"),
                ("of one archived lately", World::from(deploy()).identity(repository(ago(3))), "pass"),
                ("a secret that says so itself", secret(record(Kind::Secret)), "fail"),
                ("the archived repository itself", repository(ago(30)).into(), "not_applicable"),
                (
                    "its workload is there",
                    World::from(user().with(field::CONSUMER_GONE_AT, Reading::Never)),
                    "not_applicable",
                ),
                ("not archived", unsaid(Reading::Never), "not_applicable"),
                ("unknown: nobody says", unsaid(Reading::NotCollected), "not_applicable"),
                ("denied", unsaid(Reading::NotPermitted), "inconclusive"),
                ("inactive", gone(ago(30)).with(field::STATUS, Status::Inactive).into(), "pass"),
                (
                    "the provider's own",
                    gone(ago(30)).with(field::PATH, "/aws-service-role/x/".to_owned()).into(),
                    "not_applicable",
                ),
                ("data of before the limit", gone(ago(8)).told(ago(2)).into(), "inconclusive"),
            ],
        );
        assert_eq!(words[0], "active, shop was deleted 2026-11-16, 8 days ago, over 7 days");
        assert_eq!(words[2], "active, o/r was archived 2026-10-25, 30 days ago, over 7 days");
        assert!(NOW > ago(1));
    }
}
