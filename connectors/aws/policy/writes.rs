//! What an identity could do beyond reading, in the words of its policies.
//! It must never leave out a right because a condition guards it, nor take one away that a Deny does not reach whole.

use super::{
    Document, Effect, Named, Selection,
    pattern::{covers, overlaps},
};

/// Beginnings of actions that only read, in every service (AWS Service Authorization Reference, access levels List and Read).
const READS: [&str; 16] = [
    "batchcheck",
    "batchdescribe",
    "batchget",
    "batchlist",
    "check",
    "describe",
    "estimate",
    "get",
    "list",
    "lookup",
    "preview",
    "query",
    "search",
    "select",
    "simulate",
    "view",
];
/// Actions that only read though their names do not say so.
const ALSO_READS: [&str; 3] =
    ["iam:generatecredentialreport", "iam:generateservicelastaccesseddetails", "iam:generateorganizationsaccessreport"];
/// Patterns told of a statement that allows all but some actions.
const TOLD_MAX: usize = 3;

/// What the statements of one document allow and deny beyond reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Writes {
    allowed: Vec<Allowed>,
    /// Denied without condition, whatever the resource.
    denied: Vec<Selection>,
}

/// One pattern, or everything but some.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Only { pattern: String, guarded: bool },
    AllBut { patterns: Vec<String>, guarded: bool },
}

impl Writes {
    pub(super) fn of(document: &Document) -> Self {
        let mut writes = Self::default();
        for statement in &document.statements {
            let guarded = statement.is_conditional();
            match (statement.effect, &statement.actions) {
                (Effect::Allow, Selection::Only(patterns)) => {
                    let beyond = patterns.iter().filter(|pattern| !only_reads(pattern));
                    writes.allowed.extend(beyond.map(|it| Allowed::Only { pattern: it.clone(), guarded }));
                }
                (Effect::Allow, Selection::AllBut(patterns)) => {
                    writes.allowed.push(Allowed::AllBut { patterns: patterns.clone(), guarded });
                }
                (Effect::Deny, actions) if !guarded && reaches_everything(statement.resources.as_ref()) => {
                    writes.denied.push(actions.clone());
                }
                (Effect::Deny, _) => {}
            }
        }
        writes
    }
}

/// What these policies allow beyond reading, under that permissions boundary, in order and once each. `None` if nothing was
/// found and some document could not be read.
pub fn writes(policies: &[Named<'_>], boundary: Option<Named<'_>>) -> Option<Vec<String>> {
    let all = || policies.iter().filter_map(|named| named.summary).map(|summary| &summary.writes);
    let limit = boundary.and_then(|named| named.summary).map(|summary| &summary.writes);
    let denied: Vec<&Selection> = all().chain(limit).flat_map(|writes| &writes.denied).collect();
    let mut words: Vec<String> = all()
        .flat_map(|writes| &writes.allowed)
        .filter(|allowed| !denied.iter().any(|denied| takes(denied, allowed)))
        .filter(|allowed| limit.is_none_or(|limit| limit.allowed.iter().any(|it| meet(it, allowed))))
        .map(word)
        .collect();
    words.sort_unstable();
    words.dedup();
    let unread = policies.iter().any(|named| named.summary.is_none());
    if words.is_empty() && unread { None } else { Some(words) }
}

/// Whether whatever a pattern stands for only reads.
fn only_reads(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let Some((_, action)) = pattern.split_once(':') else { return false };
    READS.iter().any(|verb| action.starts_with(verb)) || ALSO_READS.contains(&pattern.as_str())
}

fn reaches_everything(resources: Option<&Selection>) -> bool {
    matches!(resources, Some(Selection::Only(patterns)) if patterns.iter().any(|pattern| pattern == "*"))
}

/// Whether a Deny takes all of what is allowed.
fn takes(denied: &Selection, allowed: &Allowed) -> bool {
    match (denied, allowed) {
        (Selection::Only(denied), Allowed::Only { pattern, .. }) => denied.iter().any(|it| covers(it, pattern)),
        (Selection::Only(denied), Allowed::AllBut { .. }) => denied.iter().any(|it| covers(it, "*:*")),
        (Selection::AllBut(spared), Allowed::Only { pattern, .. }) => !spared.iter().any(|it| overlaps(it, pattern)),
        (Selection::AllBut(spared), Allowed::AllBut { .. }) => spared.iter().all(|it| only_reads(it)),
    }
}

/// Whether a boundary leaves something of what is allowed.
fn meet(limit: &Allowed, allowed: &Allowed) -> bool {
    match (limit, allowed) {
        (Allowed::Only { pattern: one, .. }, Allowed::Only { pattern: other, .. }) => overlaps(one, other),
        (Allowed::Only { pattern, .. }, Allowed::AllBut { patterns, .. })
        | (Allowed::AllBut { patterns, .. }, Allowed::Only { pattern, .. }) => {
            !patterns.iter().any(|it| covers(it, pattern))
        }
        (Allowed::AllBut { .. }, Allowed::AllBut { .. }) => true,
    }
}

fn word(allowed: &Allowed) -> String {
    let (said, guarded) = match allowed {
        Allowed::Only { pattern, guarded } if covers(pattern, "*:*") => ("every action".to_owned(), guarded),
        Allowed::Only { pattern, guarded } => (pattern.clone(), guarded),
        Allowed::AllBut { patterns, guarded } => {
            let more = if patterns.len() > TOLD_MAX { " and others" } else { "" };
            let named: Vec<&str> = patterns.iter().take(TOLD_MAX).map(String::as_str).collect();
            (format!("every action but {}{more}", named.join(" and ")), guarded)
        }
    };
    if *guarded { format!("{said} (under conditions)") } else { said }
}

#[cfg(test)]
mod tests {
    use super::{super::Summary, *};

    fn summary(statements: &str) -> Summary {
        Summary::of(&Document::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)).unwrap())
    }

    fn named(summary: Option<&Summary>) -> Named<'_> {
        Named { policy: "P", inline: false, group: None, summary }
    }

    fn of(statements: &str) -> Vec<String> {
        writes(&[named(Some(&summary(statements)))], None).unwrap()
    }

    #[test]
    fn what_only_reads_leaves_no_word() {
        let reads = r#"{"Effect":"Allow","Action":["iam:Get*","iam:List*","IAM:GenerateCredentialReport","ec2:Describe*"],
            "Resource":"*"}"#;
        assert!(of(reads).is_empty());
        // Whatever our own policy asks for only reads.
        for permission in super::super::super::SPEC.permissions {
            assert!(only_reads(permission.action), "{}", permission.action);
        }
    }

    #[test]
    fn what_could_write_is_named() {
        let cases: &[(&str, &[&str])] = &[
            (r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#, &["every action"]),
            (
                r#"{"Effect":"Allow","Action":["iam:Get*","iam:CreateAccessKey","s3:*"],"Resource":"arn:aws:s3:::x"}"#,
                &["iam:CreateAccessKey", "s3:*"],
            ),
            (r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}"#, &["sts:AssumeRole"]),
            (
                r#"{"Effect":"Allow","NotAction":["iam:*","organizations:*"],"Resource":"*"}"#,
                &["every action but iam:* and organizations:*"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"*","Condition":{"Bool":{"a:b":"true"}}}"#,
                &["s3:PutObject (under conditions)"],
            ),
        ];
        for (statements, words) in cases {
            assert_eq!(of(statements), *words, "{statements}");
        }
    }

    #[test]
    fn a_deny_takes_only_what_it_reaches_whole() {
        let allow = r#"{"Effect":"Allow","Action":["s3:*","iam:PassRole"],"Resource":"*"}"#;
        let cases: &[(&str, &[&str])] = &[
            (r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"}"#, &["iam:PassRole"]),
            (r#"{"Effect":"Deny","NotAction":["iam:Get*","s3:Get*"],"Resource":"*"}"#, &["s3:*"]),
            (r#"{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}"#, &["iam:PassRole", "s3:*"]),
            (r#"{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::x"}"#, &["iam:PassRole", "s3:*"]),
            (
                r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"a:b":"true"}}}"#,
                &["iam:PassRole", "s3:*"],
            ),
        ];
        for (deny, words) in cases {
            assert_eq!(of(&format!("{allow},{deny}")), *words, "{deny}");
        }
    }

    #[test]
    fn a_boundary_leaves_what_it_allows_too() {
        let all = summary(r#"{"Effect":"Allow","Action":["s3:*","iam:PassRole"],"Resource":"*"}"#);
        let limit = summary(r#"{"Effect":"Allow","Action":["s3:PutObject","iam:Get*"],"Resource":"*"}"#);
        assert_eq!(writes(&[named(Some(&all))], Some(named(Some(&limit)))).unwrap(), ["s3:*"]);
        assert_eq!(writes(&[named(Some(&all))], Some(named(None))).unwrap(), ["iam:PassRole", "s3:*"]);
    }

    #[test]
    fn an_unread_document_leaves_the_answer_open() {
        let (reads, all) = (
            summary(r#"{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}"#),
            summary(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#),
        );
        assert_eq!(writes(&[named(Some(&reads)), named(None)], None), None);
        assert_eq!(writes(&[named(Some(&all)), named(None)], None).unwrap(), ["s3:*"]);
    }
}
