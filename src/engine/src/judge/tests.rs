//! The life of findings: as a table of its turns, and as properties of whole lives.
//! It must never be compiled into the program.

use proptest::prelude::*;
use provost_model::{Reading, Span, field};

use super::*;
use crate::{
    rules::{
        Lack,
        sample::{NOW, World, ago, key, user},
    },
    severity::Raiser,
};

fn rule() -> &'static Rule {
    Rule::of_id("CRED-STALE").unwrap()
}

fn case<'a>(presence: Presence, now: Time) -> Case<'a> {
    Case {
        rule: rule(),
        subject: RecordId::from_bytes([7; 16]),
        external_id: "AKIA1",
        source: None,
        presence,
        baseline: false,
        measure: by("p1"),
        now,
    }
}

fn by(figures: &str) -> Measure<'_> {
    Measure { figures, beside: None }
}

fn present(now: Time) -> Case<'static> {
    case(Presence::Present, now)
}

fn as_of(verdict: Verdict, at: Time) -> Verdict {
    Verdict { as_of: Some(at), ..verdict }
}

fn fail(at: Time) -> Verdict {
    as_of(Verdict::fail("active, last used 2026-03-02, 267 days ago, over 45 days", vec![]), at)
}

fn doubt(at: Time) -> Verdict {
    as_of(Verdict::inconclusive(Lack::Permission, "denied"), at)
}

fn open() -> Finding {
    judge(None, &fail(ago(10)), &present(ago(10))).unwrap()
}

#[test]
fn only_a_failure_of_something_present_opens() {
    let finding = open();
    assert_eq!((finding.state, finding.opened_at, finding.opened_as_of), (FindingState::Open, ago(10), ago(10)));
    assert_eq!(finding.because, "active, last used 2026-03-02, 267 days ago, over 45 days");
    for verdict in [as_of(Verdict::pass(), NOW), doubt(NOW), as_of(Verdict::not_applicable(), NOW)] {
        assert_eq!(judge(None, &verdict, &present(NOW)), None, "{verdict:?}");
    }
    for presence in [Presence::Missing, Presence::Gone, Presence::Unwatched] {
        assert_eq!(judge(None, &fail(NOW), &case(presence, NOW)), None, "{presence:?}");
    }
}

#[test]
fn an_open_finding_ends_by_a_fresh_pass_or_by_the_end_of_its_subject() {
    let table = [
        (as_of(Verdict::pass(), NOW), Presence::Present, Some(Resolution::Fixed)),
        (as_of(Verdict::pass(), ago(10)), Presence::Present, Some(Resolution::Fixed)),
        (as_of(Verdict::not_applicable(), NOW), Presence::Present, Some(Resolution::Fixed)),
        (as_of(Verdict::pass(), ago(11)), Presence::Present, None),
        (doubt(NOW), Presence::Present, None),
        (as_of(Verdict::pass(), NOW), Presence::Missing, None),
        (doubt(NOW), Presence::Gone, Some(Resolution::Gone)),
        (fail(NOW), Presence::Gone, Some(Resolution::Gone)),
    ];
    for (verdict, presence, expected) in table {
        let after = judge(Some(&open()), &verdict, &case(presence, NOW)).unwrap();
        assert_eq!(after.resolution, expected, "{verdict:?} {presence:?}");
        match expected {
            Some(_) => assert_eq!((after.state, after.resolved_at), (FindingState::Resolved, Some(NOW))),
            None => assert_eq!((after.state, after.unconfirmed_since), (FindingState::Open, Some(NOW))),
        }
    }
}

#[test]
fn a_resolution_names_what_changed() {
    let pass = as_of(Verdict::pass(), NOW);
    let policy = Case { measure: by("p2"), ..present(NOW) };
    assert_eq!(judge(Some(&open()), &pass, &policy).unwrap().resolution, Some(Resolution::PolicyChanged));
    let before = Finding { rule_version: 0, ..open() };
    assert_eq!(judge(Some(&before), &pass, &policy).unwrap().resolution, Some(Resolution::RuleChanged));
    // Confirmed under the new policy first, it is fixed afterwards.
    let confirmed = judge(Some(&open()), &fail(NOW), &policy).unwrap();
    assert_eq!(judge(Some(&confirmed), &pass, &policy).unwrap().resolution, Some(Resolution::Fixed));
}

#[test]
fn a_finding_of_something_nobody_watches_is_suspended_and_comes_back() {
    let suspended = judge(Some(&open()), &doubt(NOW), &case(Presence::Unwatched, NOW)).unwrap();
    assert_eq!(suspended.state, FindingState::Suspended);
    let back = judge(Some(&suspended), &fail(NOW), &present(NOW)).unwrap();
    assert_eq!((back.state, back.opened_at), (FindingState::Open, ago(10)));
    let unclear = judge(Some(&suspended), &doubt(NOW), &present(NOW)).unwrap();
    assert_eq!((unclear.state, unclear.unconfirmed_since), (FindingState::Open, Some(NOW)));
}

#[test]
fn doubt_is_dated_once_and_ends_with_a_confirmation() {
    let first = judge(Some(&open()), &doubt(ago(5)), &present(ago(5))).unwrap();
    assert_eq!(judge(Some(&first), &doubt(NOW), &present(NOW)), None);
    assert_eq!(first.unconfirmed_since, Some(ago(5)));
    let confirmed = judge(Some(&first), &fail(NOW), &present(NOW)).unwrap();
    assert_eq!((confirmed.unconfirmed_since, confirmed.opened_at), (None, ago(10)));
}

#[test]
fn a_resolved_finding_reopens_under_its_name_but_an_accepted_one_waits_for_its_date() {
    let fixed = judge(Some(&open()), &as_of(Verdict::pass(), ago(5)), &present(ago(5))).unwrap();
    assert_eq!(judge(Some(&fixed), &doubt(NOW), &present(NOW)), None);
    let again = judge(Some(&fixed), &fail(NOW), &present(NOW)).unwrap();
    assert_eq!((again.id, again.state, again.opened_at, again.resolution), (fixed.id, FindingState::Open, NOW, None));
    let accepted = Finding { resolution: Some(Resolution::Accepted), until: Some(NOW + Span::days(1)), ..fixed };
    assert_eq!(judge(Some(&accepted), &fail(NOW), &present(NOW)), None);
    let worse = as_of(Verdict::fail(open().because, vec![Raiser::Prod("tag env=prod".into())]), NOW);
    let opened = judge(Some(&accepted), &worse, &present(NOW)).unwrap();
    assert_eq!((opened.state, opened.until), (FindingState::Open, None), "what became worse was not accepted");
    let lapsed = Finding { until: Some(NOW), ..accepted };
    assert_eq!(judge(Some(&lapsed), &fail(NOW), &present(NOW)).unwrap().state, FindingState::Open);
}

#[test]
fn the_passing_of_days_is_no_news_but_another_date_threshold_or_severity_is() {
    let says = |words: &str| as_of(Verdict::fail(words, vec![]), NOW);
    let table = [
        ("active, last used 2026-03-02, 268 days ago, over 45 days", false),
        ("active, last used 2026-03-03, 267 days ago, over 45 days", true),
        ("active, last used 2026-03-02, 267 days ago, over 60 days", true),
    ];
    for (words, news) in table {
        assert_eq!(judge(Some(&open()), &says(words), &present(NOW)).is_some(), news, "{words}");
    }
    let raised = as_of(Verdict::fail(open().because, vec![Raiser::Prod("tag env=prod".into())]), NOW);
    assert_eq!(judge(Some(&open()), &raised, &present(NOW)).unwrap().severity, provost_model::Severity::High);
}

#[test]
fn names_are_stable_and_differ_by_rule_and_subject() {
    let subject = RecordId::from_bytes([7; 16]);
    let id = finding_id("CRED-STALE", subject);
    // Pinned: other programs keep these names.
    assert_eq!(id.to_string(), "02da6b28-07b0-8568-85f3-3fb23096ade0");
    assert_ne!(id, finding_id("CRED-NEVER", subject));
    assert_ne!(id, finding_id("CRED-STALE", RecordId::from_bytes([8; 16])));
    assert_eq!(id.as_bytes()[6] >> 4, 8);
    assert_eq!(id.as_bytes()[8] >> 6, 2);
    assert_ne!(source_subject("aws-prod"), source_subject("aws-dev"));
}

/// One turn of a life: a verdict, whether the subject is there, the thresholds, and days until the next turn.
fn turns() -> impl Strategy<Value = Vec<(u8, u8, bool, i64, i64)>> {
    prop::collection::vec((0_u8..4, 0_u8..4, any::<bool>(), 0_i64..5, 0_i64..5), 1..30)
}

fn verdict(sort: u8, at: Time) -> Verdict {
    match sort {
        0 => fail(at),
        1 => as_of(Verdict::pass(), at),
        2 => doubt(at),
        _ => as_of(Verdict::not_applicable(), at),
    }
}

fn presence(sort: u8) -> Presence {
    [Presence::Present, Presence::Missing, Presence::Gone, Presence::Unwatched][usize::from(sort)]
}

proptest! {
    #[test]
    fn lives_keep_the_promises(turns in turns()) {
        let mut now = ago(1000);
        let mut finding: Option<Finding> = None;
        for (sort, there, policy, lag, wait) in turns {
            now = now + Span::days(wait);
            let verdict = verdict(sort, now - Span::days(lag));
            let case = Case { measure: by(if policy { "p1" } else { "p2" }), ..case(presence(there), now) };
            let before = finding.clone();
            let Some(after) = judge(before.as_ref(), &verdict, &case) else { continue };
            // Twice is once.
            prop_assert_eq!(judge(Some(&after), &verdict, &case), None);
            prop_assert_eq!(after.resolution.is_some(), after.state == FindingState::Resolved);
            let newly_resolved = after.state == FindingState::Resolved
                && before.as_ref().is_some_and(|it| it.state != FindingState::Resolved);
            if newly_resolved && case.presence != Presence::Gone {
                // Neither doubt nor older data nor absence resolves.
                prop_assert!(matches!(verdict.outcome, Outcome::Pass | Outcome::NotApplicable));
                prop_assert!(verdict.as_of >= before.as_ref().map(|it| it.opened_as_of));
                prop_assert_eq!(case.presence, Presence::Present);
            }
            if let Some(before) = before.filter(|it| it.state != FindingState::Resolved) {
                prop_assert_eq!((after.id, after.opened_at, after.opened_as_of), (before.id, before.opened_at, before.opened_as_of));
            }
            finding = Some(after);
        }
    }

    #[test]
    fn the_order_of_rules_does_not_matter(
        used in 0_i64..400, made in 0_i64..800, admin in any::<Option<bool>>(), status in 0_u8..4, seed in any::<u64>()
    ) {
        let status = [Reading::Known(provost_model::Status::Active), Reading::Known(provost_model::Status::Inactive),
            Reading::NotPermitted, Reading::NotCollected][usize::from(status)];
        let subject = key().with(field::STATUS, status).with(field::CREATED_AT, ago(made)).with(field::LAST_USED_AT, ago(used));
        let rights = admin.map_or(Reading::NotPermitted, Reading::Known);
        let world = World::from(subject).identity(user().with(field::ADMIN, rights));
        let all = |order: &[&'static Rule]| {
            let mut found: Vec<Finding> = order.iter().filter_map(|rule| {
                judge(None, &world.judge(rule), &Case { rule, ..present(NOW) })
            }).collect();
            found.sort_by_key(|finding| finding.id);
            found
        };
        let mut shuffled: Vec<&'static Rule> = crate::rules::ALL.to_vec();
        shuffled.sort_by_key(|rule| finding_id(rule.id, RecordId::from_bytes([seed as u8; 16])));
        prop_assert_eq!(all(crate::rules::ALL), all(&shuffled));
    }

    #[test]
    fn until_nothing_changes_by_itself(
        used in 0_i64..200, made in 0_i64..200, end in -40_i64..60, hours in 0_i64..3000, sort in 0_u8..3
    ) {
        let last = [Reading::Known(ago(used)), Reading::Never, Reading::NotReported][usize::from(sort)];
        let subject = key().with(field::CREATED_AT, ago(made)).with(field::LAST_USED_AT, last)
            .with(field::EXPIRES_AT, NOW + Span::days(end));
        let later = NOW + Span::hours(hours);
        // The scope goes on being read, so that only time passes.
        let at = |rule: &'static Rule, now: Time| {
            World::from(subject.clone()).covered(now).judge_at(rule, now)
        };
        for rule in crate::rules::ALL.iter().copied() {
            let verdict = at(rule, NOW);
            if verdict.until.is_none_or(|until| later < until) {
                prop_assert_eq!(at(rule, later).word(), verdict.word(), "{} at {}: {:?}", rule.id, later, verdict);
            }
        }
    }
}

/// What of a case is judged by, where nothing was decided.
fn hearing(presence: Presence, governance: &Governance) -> Hearing<'_> {
    let subject = RecordId::from_bytes([7; 16]);
    let (external_id, source, motions) = ("AKIA1", None, &[][..]);
    Hearing { subject, external_id, source, presence, motions, worked: None, governance, by: "g-1" }
}

#[test]
fn what_is_wrong_with_a_case_stands_only_beside_something_else_and_ends_with_it() {
    const BREACH: &str = "GOV-SLA-BREACH";
    let governance = Governance::default();
    let figures = Thresholds::default();
    let heard = |findings: &mut Vec<Finding>, presence, now| {
        judge_case(findings, &hearing(presence, &governance), &figures, now)
    };
    let state = |findings: &[Finding]| findings.iter().find(|it| it.rule == BREACH).map(|it| (it.state, it.resolution));
    let due = ago(10) + Span::days(30);
    let mut findings = vec![open()];
    let before = heard(&mut findings, Presence::Present, NOW);
    assert_eq!((before.changed, before.until, findings.len()), (0, Some(due), 1));
    let then = heard(&mut findings, Presence::Present, due);
    assert_eq!((then.changed, then.until), (1, None));
    assert_eq!(state(&findings), Some((FindingState::Open, None)));
    assert_eq!(heard(&mut findings, Presence::Present, due + Span::days(1)), Judgement::default(), "twice is once");
    let table = [
        // what became of the fault, whether the subject is there, what becomes of the case
        (FindingState::Resolved, Presence::Present, (FindingState::Resolved, Some(Resolution::Fixed))),
        (FindingState::Resolved, Presence::Gone, (FindingState::Resolved, Some(Resolution::Gone))),
        (FindingState::Suspended, Presence::Unwatched, (FindingState::Suspended, None)),
        (FindingState::Open, Presence::Missing, (FindingState::Open, None)),
    ];
    for (fault, presence, case) in table {
        let mut findings = findings.clone();
        findings[0].state = fault;
        heard(&mut findings, presence, due + Span::days(1));
        assert_eq!(state(&findings), Some(case), "{fault:?} {presence:?}");
    }
    // Switched off, or by another way to govern, it is not said to be mended.
    let off = figures.clone().with(&crate::thresholds::Limits { off: Some(vec![BREACH.into()]), ..Default::default() });
    let mut one = findings.clone();
    judge_case(&mut one, &hearing(Presence::Present, &governance), &off, due);
    assert_eq!(state(&one), Some((FindingState::Resolved, Some(Resolution::PolicyChanged))));
    // Nothing else stands: there is no case, and nothing of it begins.
    findings.retain(|it| it.rule == BREACH);
    heard(&mut findings, Presence::Present, due + Span::days(1));
    assert_eq!(state(&findings), Some((FindingState::Resolved, Some(Resolution::Fixed))));
    assert_eq!(heard(&mut findings, Presence::Present, due + Span::days(99)), Judgement::default());
}

#[test]
fn judging_a_record_leaves_what_is_wrong_with_its_case_alone() {
    let world = key().with(field::LAST_USED_AT, ago(267)).told(ago(1)).build();
    let (figures, governance) = (Thresholds::default(), Governance::default());
    let mut findings = Vec::new();
    judge_record(&Subject::alone(&world), &mut findings, (&figures, "o"), NOW);
    let late = NOW + Span::days(40);
    judge_case(
        &mut findings,
        &Hearing { subject: world.id, ..hearing(Presence::Present, &governance) },
        &figures,
        late,
    );
    let breach = |all: &[Finding]| all.iter().find(|it| it.rule == "GOV-SLA-BREACH").cloned().unwrap();
    let before = breach(&findings);
    assert_eq!(before.state, FindingState::Open);
    judge_record(&Subject::alone(&world), &mut findings, (&figures, "o"), late);
    assert_eq!(breach(&findings), before);
}
