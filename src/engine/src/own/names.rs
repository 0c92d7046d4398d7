//! How somebody is named in tags, logs and files, and what of it names nobody.
//! It must never take a machine or an excuse for a person.

use provost_model::Realm;

/// Values people write where a tag is compulsory and they know nothing.
const NOBODYS: [&str; 12] =
    ["-", "?", "n/a", "na", "none", "null", "nobody", "unknown", "tbd", "todo", "unassigned", "changeme"];
/// Machines that appear where people are named.
const MACHINES: [&str; 10] = [
    "root",
    "system",
    "terraform",
    "github-actions",
    "gitlab-ci",
    "jenkins",
    "cloudformation",
    "dependabot",
    "renovate",
    "administrator",
];
/// Longest name taken for one.
const NAME_MAX: usize = 200;

/// One way to read a reference to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The name, in small letters.
    pub text: String,
    /// The realm that the reference itself names.
    pub realm: Option<Realm>,
    /// Whether only a team is meant.
    pub team_only: bool,
}

/// Whether a value names anybody.
pub(super) fn names_somebody(value: &str) -> bool {
    !value.is_empty() && value.len() <= NAME_MAX && !NOBODYS.contains(&value.to_lowercase().as_str())
}

/// Whether whoever is named so where people are named is a machine.
pub(super) fn is_machine(value: &str) -> bool {
    let value = value.to_lowercase();
    let session = principal(&value);
    MACHINES.contains(&value.as_str())
        || ["[bot]", "-bot", "_bot", ".amazonaws.com", ".gserviceaccount.com"].iter().any(|it| value.ends_with(it))
        || (value.starts_with("arn:") && session.is_none())
}

/// The ways to read a reference, the most literal first.
pub(super) fn forms(text: &str) -> Vec<Form> {
    let text = text.trim().to_lowercase();
    let text = text.strip_prefix("mailto:").unwrap_or(&text);
    let bare = |text: &str, team_only| Form { text: text.to_owned(), realm: None, team_only };
    if let Some((realm, name)) = principal(text) {
        return vec![Form { text: name.to_owned(), realm: Some(realm), team_only: false }];
    }
    let mut forms = vec![bare(text, false)];
    // Ann Miller <ann@x.org>
    let address = text.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or(text);
    if address != text {
        forms.push(bare(address, false));
    }
    // ann+aws@x.org
    if let Some((local, domain)) = address.split_once('@')
        && let Some((name, _)) = local.split_once('+')
    {
        forms.push(bare(&format!("{name}@{domain}"), false));
    }
    // @ann, @organisation/team
    if let Some(handle) = text.strip_prefix('@') {
        forms.push(bare(handle, false));
        if let Some((_, team)) = handle.rsplit_once('/') {
            forms.push(bare(team, true));
        }
    }
    for (before, after) in [("team:", ""), ("team-", ""), ("group:", ""), ("", "-team"), ("", " team")] {
        let core = text.strip_prefix(before).and_then(|it| it.strip_suffix(after));
        forms.extend(core.filter(|core| !core.is_empty() && *core != text).map(|core| bare(core.trim(), true)));
    }
    forms
}

/// The person behind an Amazon Resource Name: a user, or the session that a directory opened for an address.
fn principal(arn: &str) -> Option<(Realm, &str)> {
    let mut parts = arn.strip_prefix("arn:")?.splitn(5, ':');
    let (_partition, service) = (parts.next()?, parts.next()?);
    let (_region, account) = (parts.next()?, parts.next()?);
    let resource = parts.next()?;
    let (_, name) = resource.rsplit_once('/')?;
    let person = match service {
        "iam" => resource.starts_with("user/"),
        "sts" => resource.starts_with("assumed-role/") && name.contains('@'),
        _ => false,
    };
    (person && !name.is_empty()).then(|| (Realm::new("aws", account), name))
}

/// A name in small letters and digits, with one dash for whatever else it has.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            slug.push(letter);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        forms(text).into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn references_are_read_as_people_write_them() {
        let table: [(&str, &[&str]); 9] = [
            (" Ann@X.org ", &["ann@x.org"]),
            ("mailto:ann@x.org", &["ann@x.org"]),
            ("Ann Miller <ann@x.org>", &["ann miller <ann@x.org>", "ann@x.org"]),
            ("ann+aws@x.org", &["ann+aws@x.org", "ann@x.org"]),
            ("@acme/payments", &["@acme/payments", "acme/payments", "payments"]),
            ("payments-team", &["payments-team", "payments"]),
            ("Payments Team", &["payments team", "payments"]),
            ("arn:aws:iam::123456789012:user/staff/ann", &["ann"]),
            ("arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_1/ann@x.org", &["ann@x.org"]),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(forms("arn:aws:iam::1:user/ann")[0].realm, Some(Realm::new("aws", "1")));
    }

    #[test]
    fn machines_are_no_people() {
        for machine in [
            "dependabot[bot]",
            "Terraform",
            "arn:aws:iam::1:role/deploy",
            "arn:aws:sts::1:assumed-role/deploy/botocore-session-1",
            "cloudformation.amazonaws.com",
            "ci@project.iam.gserviceaccount.com",
        ] {
            assert!(is_machine(machine), "{machine}");
        }
        for person in ["ann", "abbot", "arn:aws:iam::1:user/ann", "robot@x.org"] {
            assert!(!is_machine(person), "{person}");
        }
        for excuse in ["", "N/A", "tbd", &"x".repeat(300)] {
            assert!(!names_somebody(excuse), "{excuse}");
        }
    }

    #[test]
    fn slugs_have_one_dash_for_anything_else() {
        assert_eq!(slug("/Teams/Data Platform_2/"), "teams-data-platform-2");
        assert_eq!(slug("***"), "");
    }
}
