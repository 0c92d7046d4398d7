//! Administrator rights from documents: a summary per document, composed per identity.
//! It must never find more rights because a Deny was added.

use std::{borrow::Cow, cmp::Reverse};

use super::{
    Document, Effect,
    chains::Assumed,
    clause::{self, Clause},
    escalation::Rights,
    writes::Writes,
};

/// What the documents of an account cannot tell, said of every answer.
const ALWAYS: [&str; 3] = ["service and resource control policies (SCP, RCP)", "resource policies", "session policies"];
/// Most things named that were not evaluated.
const NAMED_MAX: usize = 64;

/// What one document contributes to the answer. Made once per document (a managed policy's by its ARN), cheap to compose:
/// an identity with ten policies costs a few dozen comparisons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    grants: Vec<Clause>,
    denies: Vec<Clause>,
    conditional: Vec<Clause>,
    /// What it gives beyond reading.
    pub(super) writes: Writes,
    /// What it contributes to ways to more rights.
    pub(super) rights: Rights,
    /// What it says of acting as roles.
    pub(super) assumed: Assumed,
}

/// A policy as it bears upon an identity.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// Whether it is written into the identity or group, not attached.
    pub inline: bool,
    /// The group through which it comes; `None` if directly.
    pub group: Option<&'a str>,
    /// Its summary; `None` if the document could not be read.
    pub summary: Option<&'a Summary>,
}

/// Whether an identity holds administrator rights, as far as its documents tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it does.
    pub admin: bool,
    /// Which statement gives or takes them.
    pub because: String,
    /// What could change the answer and was not evaluated.
    pub not_evaluated: Vec<Cow<'static, str>>,
}

impl Summary {
    /// Summarises a document. Statements that can neither give nor take administrator rights leave no trace.
    pub fn of(document: &Document) -> Self {
        let mut summary = Self {
            writes: Writes::of(document),
            rights: Rights::of(document),
            assumed: Assumed::of(document),
            ..Self::default()
        };
        for (statement, number) in document.statements.iter().zip(1_usize..) {
            let Some(found) = clause::of(statement, number) else { continue };
            match statement.effect {
                _ if statement.is_conditional() => summary.conditional.push(found),
                Effect::Allow => summary.grants.push(found),
                Effect::Deny => summary.denies.push(found),
            }
        }
        summary
    }

    fn granted(&self) -> u16 {
        self.grants.iter().fold(0, |all, clause| all | clause.powers)
    }

    fn denied(&self) -> u16 {
        self.denies.iter().fold(0, |all, clause| all | clause.powers)
    }
}

/// Whether these policies, under that permissions boundary, make an administrator: some statement allows, without
/// condition, every action or every IAM action on every resource, and after what is denied and what the boundary leaves
/// out, at least one IAM action remains by which the holder can take any right. Full control of IAM amounts to
/// administrator rights because of those actions, and everything short of them does not: PowerUserAccess is none.
pub fn admin(policies: &[Named<'_>], boundary: Option<Named<'_>>) -> Verdict {
    let summaries = || policies.iter().filter_map(|named| Some((named, named.summary?)));
    let granted = summaries().fold(0, |all, (_, summary)| all | summary.granted());
    let denied = summaries().fold(0, |all, (_, summary)| all | summary.denied());
    let limit = boundary.and_then(|named| named.summary);
    let within = limit.map_or(u16::MAX, |summary| summary.granted() & !summary.denied());
    let kept = granted & !denied;
    let powers = kept & within;
    // What decides is the best grant that still has effect; if none has, the best there was.
    let best = |powers: u16| {
        summaries()
            .flat_map(|(named, summary)| summary.grants.iter().map(move |clause| (named, clause)))
            .filter(|(_, clause)| clause.powers & powers != 0)
            .min_by_key(|(named, clause)| (clause.rank, order(named)))
    };
    let because = match (best(if powers == 0 { granted } else { powers }), boundary) {
        (None, _) => "no statement allows every action, or every IAM action, on every resource".to_owned(),
        (Some(grant), _) if kept == 0 => match taken(policies, granted) {
            Some(deny) => {
                let others = if deny.1.powers & granted == granted { "" } else { ", as do others" };
                format!("{}, but {}{others}", sentence(grant), sentence(deny))
            }
            None => sentence(grant),
        },
        (Some(grant), Some(boundary)) if powers == 0 => {
            format!("{}, but the permissions boundary {} does not allow it", sentence(grant), boundary.policy)
        }
        (Some(grant), boundary) => {
            let mut said = sentence(grant);
            if let Some(deny) = taken(policies, u16::MAX) {
                said.push_str(", less what is denied: ");
                said.push_str(&sentence(deny));
            }
            if let Some(boundary) = boundary.filter(|named| named.summary.is_some()) {
                said.push_str(", within the permissions boundary ");
                said.push_str(boundary.policy);
            }
            said
        }
    };
    Verdict { admin: powers != 0, because, not_evaluated: not_evaluated(policies, boundary) }
}

/// The Deny that takes most of those powers.
fn taken<'a>(policies: &'a [Named<'a>], powers: u16) -> Option<(&'a Named<'a>, &'a Clause)> {
    let denies = policies.iter().filter_map(|named| Some((named, named.summary?)));
    denies
        .flat_map(|(named, summary)| summary.denies.iter().map(move |clause| (named, clause)))
        .min_by_key(|(named, clause)| (Reverse((clause.powers & powers).count_ones()), order(named)))
}

/// Direct before group, then by name: the order in which AWS lists policies must not make an answer look changed.
fn order<'a>(named: &Named<'a>) -> (Option<&'a str>, &'a str, bool) {
    (named.group, named.policy, named.inline)
}

fn sentence((named, clause): (&Named<'_>, &Clause)) -> String {
    format!("{}, statement {} {}", place(named), clause.place, clause.said)
}

fn place(named: &Named<'_>) -> String {
    match (named.inline, named.group) {
        (false, None) => format!("{} attached directly", named.policy),
        (false, Some(group)) => format!("{} attached via group {group}", named.policy),
        (true, None) => format!("inline policy {}", named.policy),
        (true, Some(group)) => format!("inline policy {} of group {group}", named.policy),
    }
}

/// What every answer leaves out, then what this one does, in order.
fn not_evaluated(policies: &[Named<'_>], boundary: Option<Named<'_>>) -> Vec<Cow<'static, str>> {
    let mut said: Vec<Cow<'static, str>> = Vec::new();
    for (named, what) in policies.iter().map(|named| (named, "")).chain(boundary.iter().map(|it| (it, "boundary "))) {
        match named.summary {
            None => said.push(format!("{what}{} (its document could not be read)", named.policy).into()),
            Some(summary) => said.extend(summary.conditional.iter().map(|clause| {
                let Clause { place, said, under, .. } = clause;
                Cow::Owned(format!("{what}{}, statement {place}: {said} under {under}", named.policy))
            })),
        }
    }
    said.sort_unstable();
    said.dedup();
    said.truncate(NAMED_MAX);
    ALWAYS.into_iter().map(Cow::Borrowed).chain(said).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary(statements: &str) -> Summary {
        Summary::of(&Document::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)).unwrap())
    }

    fn direct<'a>(policy: &'a str, summary: &'a Summary) -> Named<'a> {
        Named { policy, inline: false, group: None, summary: Some(summary) }
    }

    const ADMIN: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    const POWER_USER: &str = r#"{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},
        {"Effect":"Allow","Action":["iam:CreateServiceLinkedRole","iam:ListRoles"],"Resource":"*"}"#;

    #[test]
    fn what_makes_an_administrator_and_what_does_not() {
        let cases: &[(&str, bool, &str)] = &[
            (ADMIN, true, "P attached directly, statement 1 allows every action on every resource"),
            (
                r#"{"Effect":"Allow","Action":["s3:*","*:*"],"Resource":["arn:aws:s3:::x","*"]}"#,
                true,
                "allows every action",
            ),
            (
                r#"{"Effect":"Allow","Action":"IAM:*","Resource":"*"}"#,
                true,
                "allows every IAM action on every resource",
            ),
            (
                r#"{"Effect":"Allow","Action":"i*","Resource":"arn:aws:iam::123456789012:*"}"#,
                true,
                "every IAM resource",
            ),
            (r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws-cn:*"}"#, true, "every action on every resource"),
            (POWER_USER, false, "no statement allows"),
            (
                r#"{"Sid":"Nearly","Effect":"Allow","NotAction":"aws-portal:*","Resource":"*"}"#,
                true,
                "statement 1 (Nearly) allows every action but aws-portal:* on",
            ),
            (
                r#"{"Effect":"Allow","NotAction":"iam:CreateUser","Resource":"*"}"#,
                true,
                "every action but iam:CreateUser",
            ),
            (r#"{"Effect":"Allow","NotAction":"i?m:*","Resource":"*"}"#, false, "no statement"),
            (r#"{"Effect":"Allow","NotAction":"*","Resource":"*"}"#, false, "no statement"),
            (
                r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::logs/*"}"#,
                true,
                "every resource but arn:aws:s3:::logs/*",
            ),
            (r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:iam::*:*"}"#, false, "no statement"),
            (r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#, false, "no statement"),
            (r#"{"Effect":"Allow","Action":"iam:Get*","Resource":"*"}"#, false, "no statement"),
            (r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::x"}"#, false, "no statement"),
            (r#"{"Effect":"Allow","Action":"*"}"#, false, "no statement"),
        ];
        for (statements, wanted, because) in cases {
            let summary = summary(statements);
            let verdict = admin(&[direct("P", &summary)], None);
            assert_eq!(verdict.admin, *wanted, "{statements}: {}", verdict.because);
            assert!(verdict.because.contains(because), "{statements}: {}", verdict.because);
            assert_eq!(verdict.not_evaluated, ALWAYS, "{statements}");
        }
    }

    #[test]
    fn a_deny_takes_away_what_it_reaches() {
        let cases: &[(&str, bool, &str)] = &[
            (
                r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#,
                false,
                ", but D attached directly, statement 1 denies every action on every resource",
            ),
            (r#"{"Effect":"Deny","Action":"iam:*","Resource":"*"}"#, false, "denies iam:* on every resource"),
            (r#"{"Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::*:*"}"#, false, "every IAM resource"),
            (
                r#"{"Effect":"Deny","NotAction":["iam:Get*","sts:*"],"Resource":"*"}"#,
                false,
                "denies every action but iam:Get*, sts:*",
            ),
            (
                r#"{"Effect":"Deny","Action":"iam:*","NotResource":"arn:aws:s3:::x"}"#,
                false,
                "every resource but arn:aws:s3:::x",
            ),
            (
                r#"{"Effect":"Deny","Action":["iam:A*","iam:P*","iam:C*"],"Resource":"*"},{"Effect":"Deny","Action":["iam:U*","iam:S*"],"Resource":"*"}"#,
                false,
                "denies iam:A*, iam:P*, iam:C* on every resource, as do others",
            ),
            (
                r#"{"Effect":"Deny","Action":"iam:*","NotResource":"arn:aws:iam::*:user/x"}"#,
                true,
                "less what is denied",
            ),
            (
                r#"{"Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::*:role/audit"}"#,
                true,
                "less what is denied: D attached directly, statement 1 denies iam:* on some resources",
            ),
            (
                r#"{"Effect":"Deny","Action":["iam:CreateAccessKey","s3:*"],"Resource":"*"}"#,
                true,
                "denies iam:CreateAccessKey on every resource",
            ),
            (r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"}"#, true, "every action on every resource"),
            (r#"{"Effect":"Deny","NotAction":"iam:*","Resource":"*"}"#, true, "every action on every resource"),
        ];
        let all = summary(ADMIN);
        for (statements, wanted, because) in cases {
            let denies = summary(statements);
            for order in [[direct("A", &all), direct("D", &denies)], [direct("D", &denies), direct("A", &all)]] {
                let verdict = admin(&order, None);
                assert_eq!(verdict.admin, *wanted, "{statements}: {}", verdict.because);
                assert!(verdict.because.contains(because), "{statements}: {}", verdict.because);
            }
        }
    }

    #[test]
    fn a_boundary_caps() {
        let (all, iam) = (summary(ADMIN), summary(r#"{"Effect":"Allow","Action":"iam:*","Resource":"*"}"#));
        let cases: &[(&str, bool, &str)] = &[
            (ADMIN, true, ", within the permissions boundary B"),
            (POWER_USER, false, ", but the permissions boundary B does not allow it"),
            (r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#, false, "boundary B does not allow"),
            (
                r#"{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"iam:*","Resource":"*"}"#,
                false,
                "boundary B",
            ),
            (
                r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
                false,
                "boundary B",
            ),
        ];
        for (statements, wanted, because) in cases {
            let limit = summary(statements);
            for rights in [&all, &iam] {
                let verdict = admin(&[direct("A", rights)], Some(direct("B", &limit)));
                assert_eq!(verdict.admin, *wanted, "{statements}: {}", verdict.because);
                assert!(verdict.because.contains(because), "{statements}: {}", verdict.because);
            }
        }
        let unread = Named { policy: "B", inline: false, group: None, summary: None };
        let verdict = admin(&[direct("A", &all)], Some(unread));
        assert!(verdict.admin && verdict.not_evaluated.iter().any(|it| it.contains("boundary B (its document")));
        assert!(!admin(&[], Some(direct("B", &all))).admin, "a boundary gives nothing");
    }

    #[test]
    fn what_depends_on_a_condition_is_said_and_not_counted() {
        let guarded = summary(
            r#"{"Sid":"Mfa","Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":true}}},
            {"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
        );
        let verdict = admin(&[direct("P", &guarded)], None);
        assert!(!verdict.admin);
        let said = "P, statement 1 (Mfa): allows every action on every resource under Bool aws:MultiFactorAuthPresent";
        assert_eq!(verdict.not_evaluated.get(ALWAYS.len()..).unwrap(), [said]);
        let (all, denies) = (
            summary(ADMIN),
            summary(
                r#"{"Effect":"Deny","NotAction":"iam:ChangePassword","Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}"#,
            ),
        );
        let verdict = admin(&[direct("A", &all), direct("D", &denies)], None);
        assert!(verdict.admin && verdict.not_evaluated.len() == ALWAYS.len() + 1, "{verdict:?}");
        let harmless = summary(
            r#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
        );
        assert_eq!(admin(&[direct("P", &harmless)], None).not_evaluated, ALWAYS, "it could not change the answer");
        let odd = summary(r#"{"Effect":"Allow","Action":"*","Resource":"*","When":"later"}"#);
        assert!(!admin(&[direct("P", &odd)], None).admin, "an unknown element may narrow it");
    }

    #[test]
    fn the_answer_names_how_the_policy_came_and_the_best_grant() {
        let (all, iam) = (summary(ADMIN), summary(r#"{"Effect":"Allow","Action":"iam:*","Resource":"*"}"#));
        let by = |inline, group| Named { policy: "AdministratorAccess", inline, group, summary: Some(&all) };
        for (named, wanted) in [
            (by(false, Some("ops")), "AdministratorAccess attached via group ops, statement 1 "),
            (by(true, Some("ops")), "inline policy AdministratorAccess of group ops, statement 1 "),
            (by(true, None), "inline policy AdministratorAccess, statement 1 "),
        ] {
            let because = admin(&[direct("IamOnly", &iam), named], None).because;
            assert!(because.starts_with(wanted), "{because}");
        }
    }

    #[test]
    fn of_two_grants_alike_the_same_is_named_in_either_order() {
        let (all, deny) = (summary(ADMIN), summary(r#"{"Effect":"Deny","Action":"iam:*","Resource":"*"}"#));
        let ask = |names: [&str; 2], also: &[Named<'_>]| {
            let [one, other] = names.map(|name| direct(name, &all));
            admin(&[&[one, other], also].concat(), None).because
        };
        assert_eq!(ask(["A", "B"], &[]), ask(["B", "A"], &[]));
        let denies = |one, other| [direct(one, &deny), direct(other, &deny)];
        assert_eq!(ask(["A", "B"], &denies("D", "E")), ask(["A", "B"], &denies("E", "D")));
    }

    fn arbitrary_statement() -> impl Strategy<Value = String> {
        let pattern = || {
            prop::sample::select(vec!["*", "iam:*", "iam:A*", "iam:P*", "iam:C*", "iam:[SU]*", "s3:*", "*:*", "i?m:*"])
        };
        let resource =
            || prop::sample::select(vec!["*", "arn:aws:iam::*:*", "arn:aws:s3:::x", "arn:aws:iam::*:user/*"]);
        let element = (any::<bool>(), prop::collection::vec(pattern(), 1..3), any::<bool>(), resource(), 0..4);
        (any::<bool>(), element).prop_map(|(allow, (not_action, actions, not_resource, resource, condition))| {
            let effect = if allow { "Allow" } else { "Deny" };
            let action = if not_action { "NotAction" } else { "Action" };
            let on = if not_resource { "NotResource" } else { "Resource" };
            let condition = if condition == 0 { r#","Condition":{"Bool":{"a:b":"true"}}"# } else { "" };
            format!(r#"{{"Effect":"{effect}","{action}":{actions:?},"{on}":"{resource}"{condition}}}"#)
        })
    }

    proptest! {
        #[test]
        fn the_order_in_which_policies_are_listed_changes_no_word(
            documents in prop::collection::vec(prop::collection::vec(arbitrary_statement(), 1..4), 1..4),
        ) {
            let read: Vec<Summary> = documents.iter().map(|it| summary(&it.join(","))).collect();
            let mut named: Vec<Named<'_>> = read.iter().zip(["a", "b", "c"]).map(|(it, name)| direct(name, it)).collect();
            let one_way = admin(&named, None);
            named.reverse();
            prop_assert_eq!(one_way, admin(&named, None));
        }

        #[test]
        fn a_deny_more_never_makes_an_administrator(
            documents in prop::collection::vec(prop::collection::vec(arbitrary_statement(), 1..4), 1..4),
            more in arbitrary_statement(),
            limit in prop::option::of(arbitrary_statement()),
        ) {
            let read = |all: &[Vec<String>]| all.iter().map(|it| summary(&it.join(","))).collect::<Vec<_>>();
            let before = read(&documents);
            let limit = limit.map(|it| summary(&it));
            let ask = |all: &[Summary]| {
                let named: Vec<Named<'_>> = all.iter().map(|it| direct("P", it)).collect();
                admin(&named, limit.as_ref().map(|it| direct("B", it))).admin
            };
            let deny = more.replace("Allow", "Deny");
            let mut apart = documents.clone();
            apart.push(vec![deny.clone()]);
            let mut within = documents.clone();
            within[0].insert(0, deny);
            for after in [apart, within] {
                prop_assert!(ask(&before) || !ask(&read(&after)), "{after:?}");
            }
        }
    }
}
