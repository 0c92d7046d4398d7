//! One statement seen from the question "does it give or take administrator rights?".
//! It must never count a statement that is limited to some resources as one about all.

use super::pattern::{covers, overlaps};
use super::{Effect, Selection, Statement};

/// IAM actions by each of which its holder can take any right, for itself or by acting as another identity. A right to all
/// of IAM is worth an administrator's as long as one of them is left. One bit each, in this order.
const POWERS: [&str; 13] = [
    "iam:AttachUserPolicy",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:PutUserPolicy",
    "iam:PutGroupPolicy",
    "iam:PutRolePolicy",
    "iam:CreatePolicyVersion",
    "iam:SetDefaultPolicyVersion",
    "iam:AddUserToGroup",
    "iam:UpdateAssumeRolePolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:UpdateLoginProfile",
];
/// AWS has no wildcard over partitions in what people write: `arn:aws:*` means everything there is in that account.
const PARTITIONS: [&str; 3] = ["arn:aws:", "arn:aws-cn:", "arn:aws-us-gov:"];
/// Every IAM resource has an ARN of this form.
const IAM_RESOURCES: &str = "arn:*:iam::*";
/// Most patterns told in a sentence.
const TOLD_MAX: usize = 5;

/// What a statement gives or takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// Its number in the document, counted from 1, and its Sid.
    pub(super) place: String,
    /// Which of [`POWERS`] it allows, or denies, on every IAM resource.
    pub(super) powers: u16,
    /// The smaller, the more is allowed.
    pub(super) rank: u8,
    /// What it does, in words: "allows every action on every resource".
    pub(super) said: String,
    /// What it depends on and is not evaluated; empty if nothing.
    pub(super) under: String,
}

/// Which resources a selection reaches.
enum Reach {
    Everything,
    EverythingBut(String),
    Iam,
    Some,
}

/// What a statement contributes; `None` if it can neither give nor take administrator rights.
pub(super) fn of(statement: &Statement, number: usize) -> Option<Clause> {
    let resources = statement.resources.as_ref()?;
    let (rank, powers, said) = match statement.effect {
        Effect::Allow => allow(&statement.actions, resources)?,
        Effect::Deny => deny(&statement.actions, resources)?,
    };
    let place = match &statement.sid {
        Some(sid) => format!("{number} ({sid})"),
        None => number.to_string(),
    };
    Some(Clause { place, powers, rank, said, under: under(statement) })
}

fn allow(actions: &Selection, resources: &Selection) -> Option<(u8, u16, String)> {
    let (less, on) = match reach(resources) {
        Reach::Everything => (0, "every resource".to_owned()),
        Reach::EverythingBut(list) => (1, format!("every resource but {list}")),
        Reach::Iam => (2, "every IAM resource".to_owned()),
        Reach::Some => return None,
    };
    let (rank, said) = match actions {
        Selection::Only(patterns) if patterns.iter().any(|it| covers(it, "*:*")) => {
            (0, format!("allows every action on {on}"))
        }
        Selection::AllBut(patterns) => (1, format!("allows every action but {} on {on}", told(patterns))),
        Selection::Only(patterns) if patterns.iter().any(|it| covers(it, "iam:*")) => {
            (2, format!("allows every IAM action on {on}"))
        }
        Selection::Only(_) => return None,
    };
    let powers = powers(actions);
    // PowerUserAccess: everything but IAM is no way to take more.
    (powers != 0).then_some((rank.max(less), powers, said))
}

fn deny(actions: &Selection, resources: &Selection) -> Option<(u8, u16, String)> {
    let powers = powers(actions);
    if powers == 0 {
        return None;
    }
    let what = match actions {
        Selection::Only(patterns) if patterns.iter().any(|it| covers(it, "*:*")) => "every action".to_owned(),
        Selection::Only(patterns) => {
            let about: Vec<String> = patterns.iter().filter(|it| overlaps(it, "iam:*")).cloned().collect();
            told(&about)
        }
        Selection::AllBut(patterns) => format!("every action but {}", told(patterns)),
    };
    let (powers, on) = match resources {
        // All but some: all of IAM only if none of those lies in it.
        Selection::AllBut(patterns) if !patterns.iter().any(|it| overlaps(it, IAM_RESOURCES)) => {
            (powers, format!("every resource but {}", told(patterns)))
        }
        Selection::AllBut(patterns) => (0, format!("every resource but {}", told(patterns))),
        Selection::Only(_) => match reach(resources) {
            Reach::Everything => (powers, "every resource".to_owned()),
            Reach::Iam => (powers, "every IAM resource".to_owned()),
            Reach::EverythingBut(_) | Reach::Some => (0, "some resources".to_owned()),
        },
    };
    Some((0, powers, format!("denies {what} on {on}")))
}

/// Which powers a selection of actions includes.
fn powers(actions: &Selection) -> u16 {
    let included = |power: &str| match actions {
        Selection::Only(patterns) => patterns.iter().any(|it| covers(it, power)),
        Selection::AllBut(patterns) => !patterns.iter().any(|it| covers(it, power)),
    };
    POWERS.iter().rev().fold(0, |bits, power| (bits << 1) | u16::from(included(power)))
}

fn reach(resources: &Selection) -> Reach {
    match resources {
        Selection::Only(patterns) if patterns.iter().any(|it| is_everything(it)) => Reach::Everything,
        Selection::Only(patterns) if patterns.iter().any(|it| is_all_of_iam(it)) => Reach::Iam,
        Selection::Only(_) => Reach::Some,
        Selection::AllBut(patterns) if patterns.iter().any(|it| is_everything(it) || is_all_of_iam(it)) => Reach::Some,
        Selection::AllBut(patterns) => Reach::EverythingBut(told(patterns)),
    }
}

fn is_everything(pattern: &str) -> bool {
    PARTITIONS.iter().any(|partition| covers(pattern, &format!("{partition}*")))
}

/// `arn:aws:iam::123456789012:*` reaches all that IAM can reach, an account's documents being about that account.
fn is_all_of_iam(pattern: &str) -> bool {
    let mut parts: Vec<&str> = pattern.splitn(6, ':').collect();
    if let Some(account) = parts.get_mut(4).filter(|it| it.len() == 12 && it.bytes().all(|byte| byte.is_ascii_digit()))
    {
        *account = "*";
    }
    let pattern = parts.join(":");
    PARTITIONS.iter().any(|partition| covers(&pattern, &format!("{partition}iam::*:*")))
}

fn told(patterns: &[String]) -> String {
    let mut said = patterns.iter().take(TOLD_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if patterns.len() > TOLD_MAX {
        said.push_str(&format!(" and {} more", patterns.len() - TOLD_MAX));
    }
    said
}

fn under(statement: &Statement) -> String {
    let keys = statement.conditions.iter().map(|(operator, key, _)| format!("{operator} {key}"));
    let unknown = statement.unknown.iter().map(|element| format!("unknown element {element}"));
    told(&keys.chain(unknown).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_iam_can_be_written_in_many_ways() {
        for pattern in ["*", "arn:*", "arn:aws:*", "arn:aws:iam::*", "arn:aws:iam::*:*", "arn:aws:iam::123456789012:*"]
        {
            assert!(is_everything(pattern) || is_all_of_iam(pattern), "{pattern}");
        }
        let some = [
            "arn:aws:s3:::*",
            "arn:aws:iam::*:user/*",
            "arn:aws:iam::123456789012:role/x",
            "",
            "arn:aws:iam",
            "*:user/*",
        ];
        for pattern in some {
            assert!(!is_everything(pattern) && !is_all_of_iam(pattern), "{pattern}");
        }
    }

    #[test]
    fn long_lists_are_told_in_short() {
        let patterns: Vec<String> = (0..9).map(|it| format!("s{it}:*")).collect();
        assert_eq!(told(&patterns), "s0:*, s1:*, s2:*, s3:*, s4:* and 4 more");
    }
}
