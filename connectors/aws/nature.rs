//! Human or machine: inferred from what the account shows, with reasons.
//! It must never decide against strong evidence of the other side.

use provost_model::{Reading, Time};

use super::policy::Trust;

/// Words in a name, a path or a tag's value that speak for a machine.
const MACHINE_WORDS: &[&str] = &[
    "agent",
    "api",
    "app",
    "application",
    "applications",
    "apps",
    "automation",
    "backup",
    "batch",
    "bot",
    "bots",
    "cd",
    "ci",
    "cicd",
    "circleci",
    "cron",
    "deploy",
    "deployer",
    "deployment",
    "exporter",
    "github",
    "gitlab",
    "integration",
    "jenkins",
    "job",
    "k8s",
    "kubernetes",
    "lambda",
    "machine",
    "machines",
    "monitor",
    "monitoring",
    "pipeline",
    "robot",
    "robots",
    "runner",
    "scanner",
    "script",
    "serverless",
    "service",
    "services",
    "smtp",
    "srv",
    "svc",
    "sync",
    "system",
    "systems",
    "terraform",
    "worker",
    "workload",
];
/// Words that speak for a person.
const HUMAN_WORDS: &[&str] =
    &["employee", "employees", "human", "humans", "people", "person", "persons", "staff", "workforce"];
/// Tags whose value says it outright.
const TELLING_TAGS: &[&str] =
    &["accounttype", "identitytype", "identity", "nature", "principaltype", "type", "usertype", "userkind", "kind"];
/// OpenID Connect providers at which people sign in, not workloads.
const PEOPLE_PROVIDERS: &[&str] =
    &["accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"];
/// Least weight on which an answer may rest.
const ENOUGH: u32 = 2;

/// What is known of a user. Lists may be empty, readings unknown: unknown is no evidence.
#[derive(Clone, Debug, Default)]
pub struct UserTraits<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Whether it has a console password.
    pub password: Reading<bool>,
    /// When that was last used.
    pub password_last_used: Reading<Time>,
    /// Whether a second factor is enabled.
    pub mfa: Reading<bool>,
    /// Number of active access keys.
    pub active_keys: usize,
    /// Whether any key was ever used.
    pub keys_used: bool,
    /// Its tags.
    pub tags: &'a [(String, String)],
}

/// The words of the `nature` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "pinned words of the interface")]
pub enum Nature {
    Human,
    Machine,
    Unclear,
}

/// Reasons of both sides, with their weights.
#[derive(Default)]
struct Scales {
    human: Vec<(u32, String)>,
    machine: Vec<(u32, String)>,
}

/// Whether a user is a person or a machine, and what that rests on.
pub fn of_user(user: &UserTraits<'_>) -> (Nature, String) {
    let mut scales = Scales::default();
    scales.weigh_words(user.name, user.path, user.tags);
    let has_password = user.password == Reading::Known(true);
    match user.password_last_used {
        Reading::Known(_) if has_password => scales.human(4, "console password in use"),
        _ if has_password => scales.human(3, "console password"),
        _ => {}
    }
    if user.mfa == Reading::Known(true) {
        scales.human(2, "second factor enabled");
    }
    if user.password == Reading::Known(false) {
        match (user.active_keys, user.keys_used) {
            (0, _) => scales.machine(1, "no console password"),
            (_, true) => scales.machine(4, "access keys in use and no console password"),
            (_, false) => scales.machine(3, "active access keys and no console password"),
        }
    }
    scales.verdict()
}

/// Whether people or machines act as a role, and what that rests on. `trust` is `None` if its policy could not be read.
pub fn of_role(name: &str, path: &str, trust: Option<&Trust>, tags: &[(String, String)]) -> (Nature, String) {
    let mut scales = Scales::default();
    if path.starts_with("/aws-reserved/sso.amazonaws.com/") {
        scales.human(6, "made by IAM Identity Center for people who sign in");
    } else if path.starts_with("/aws-service-role/") {
        scales.machine(6, "linked to an AWS service");
    } else {
        scales.weigh_words(name, path, tags);
    }
    let Some(trust) = trust else { return scales.verdict() };
    if !trust.services.is_empty() {
        scales.machine(4, format!("trusts the service {}", some(&trust.services)));
    }
    if !trust.saml.is_empty() && !path.starts_with("/aws-reserved/") {
        scales.human(4, format!("trusts the SAML provider {}", some(&trust.saml)));
    }
    let (people, workloads): (Vec<String>, Vec<String>) =
        trust.oidc.iter().cloned().partition(|provider| PEOPLE_PROVIDERS.iter().any(|it| provider.ends_with(it)));
    if !people.is_empty() {
        scales.human(2, format!("trusts sign-ins at {}", some(&people)));
    }
    if !workloads.is_empty() {
        scales.machine(4, format!("trusts workloads of {}", some(&workloads)));
    }
    scales.verdict()
}

impl Nature {
    /// The pinned word.
    pub fn word(self) -> &'static str {
        match self {
            Nature::Human => "human",
            Nature::Machine => "machine",
            Nature::Unclear => "unclear",
        }
    }
}

impl Scales {
    fn human(&mut self, weight: u32, reason: impl Into<String>) {
        self.human.push((weight, reason.into()));
    }

    fn machine(&mut self, weight: u32, reason: impl Into<String>) {
        self.machine.push((weight, reason.into()));
    }

    fn weigh_words(&mut self, name: &str, path: &str, tags: &[(String, String)]) {
        for (key, value) in tags {
            let key: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
            if !TELLING_TAGS.iter().any(|it| key.eq_ignore_ascii_case(it)) {
                continue;
            }
            if has_word(value, HUMAN_WORDS).is_some() {
                self.human(4, format!("tag says {}", shortened(value)));
            } else if has_word(value, MACHINE_WORDS).is_some() {
                self.machine(4, format!("tag says {}", shortened(value)));
            }
        }
        if let Some(word) = has_word(path, MACHINE_WORDS) {
            self.machine(2, format!("path says {word}"));
        } else if let Some(word) = has_word(path, HUMAN_WORDS) {
            self.human(2, format!("path says {word}"));
        }
        if let Some(word) = has_word(name, MACHINE_WORDS) {
            self.machine(3, format!("name says {word}"));
        } else if let Some(word) = has_word(name, HUMAN_WORDS) {
            self.human(3, format!("name says {word}"));
        } else if let Some((local, _)) = name.split_once('@').filter(|(local, _)| !local.is_empty()) {
            self.human(if is_first_last(local) { 3 } else { 2 }, "name is an e-mail address");
        } else if is_first_last(name) {
            self.human(2, "name has the form first.last");
        }
    }

    /// The heavier side, if it weighs at least twice the other.
    fn verdict(mut self) -> (Nature, String) {
        let weight = |side: &[(u32, String)]| side.iter().map(|(weight, _)| weight).sum::<u32>();
        let (human, machine) = (weight(&self.human), weight(&self.machine));
        let (for_human, for_machine) = (listed(&mut self.human), listed(&mut self.machine));
        let against =
            |reasons: &str| if reasons.is_empty() { String::new() } else { format!("; against it: {reasons}") };
        if human >= ENOUGH && human >= 2 * machine {
            return (Nature::Human, for_human + &against(&for_machine));
        }
        if machine >= ENOUGH && machine >= 2 * human {
            return (Nature::Machine, for_machine + &against(&for_human));
        }
        let because = match (human, machine) {
            (0, 0) => "nothing speaks for either".to_owned(),
            (_, 0) => format!("only for a human: {for_human}"),
            (0, _) => format!("only for a machine: {for_machine}"),
            _ => format!("for a human: {for_human}; for a machine: {for_machine}"),
        };
        (Nature::Unclear, because)
    }
}

/// Reasons, the weightiest first.
fn listed(side: &mut [(u32, String)]) -> String {
    side.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    side.iter().map(|(_, reason)| reason.as_str()).collect::<Vec<_>>().join(", ")
}

/// The first of these words that the text holds as a word of its own. Digits at its end do not matter: `bot2`.
fn has_word<'a>(text: &str, words: &'a [&'a str]) -> Option<&'a str> {
    let parts = text.split(|it: char| !it.is_ascii_alphanumeric());
    parts
        .map(|part| part.trim_end_matches(|it: char| it.is_ascii_digit()))
        .find_map(|part| words.iter().find(|word| part.eq_ignore_ascii_case(word)))
        .copied()
}

/// `ada.lovelace`, `a.lovelace2`.
fn is_first_last(text: &str) -> bool {
    let Some((first, last)) = text.split_once('.') else { return false };
    let last = last.trim_end_matches(|it: char| it.is_ascii_digit());
    let letters = |part: &str| part.chars().all(|it| it.is_alphabetic() || it == '-' || it == '\'');
    !first.is_empty() && last.chars().count() >= 2 && letters(first) && letters(last)
}

fn some(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => shortened(one),
        [first, rest @ ..] => format!("{} and {} more", shortened(first), rest.len()),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn users_are_told_apart_with_reasons() {
        use Nature::{Human, Machine, Unclear};
        let service = tags(&[("identity-type", "service")]);
        let person = tags(&[("user_type", "Human")]);
        let (yes, no, used) = (Reading::Known(true), Reading::Known(false), Reading::Known(Time::from_seconds(1)));
        let base = UserTraits::default;
        let cases = [
            (
                UserTraits { name: "ada", password: yes, password_last_used: used, mfa: yes, ..base() },
                Human,
                "console password in use, second factor enabled",
            ),
            (UserTraits { name: "ada.lovelace", ..base() }, Human, "name has the form first.last"),
            (
                UserTraits { name: "ada@example.com", password: no, ..base() },
                Human,
                "name is an e-mail address; against it: no console password",
            ),
            (
                UserTraits { name: "x", password: no, active_keys: 1, keys_used: true, ..base() },
                Machine,
                "access keys in use and no console password",
            ),
            (
                UserTraits { name: "svc-000001", path: "/service/", password: no, ..base() },
                Machine,
                "name says svc, path says service, no console password",
            ),
            (UserTraits { name: "GitHub-Actions", ..base() }, Machine, "name says github"),
            (UserTraits { name: "deploy-bot2@example.com", ..base() }, Machine, "name says deploy"),
            (
                UserTraits { name: "ses-smtp-user.20200101", password: no, active_keys: 1, ..base() },
                Machine,
                "name says smtp",
            ),
            (
                UserTraits { name: "x", tags: &service, password: no, ..base() },
                Machine,
                "tag says service, no console password",
            ),
            (
                UserTraits { name: "svc-x", tags: &person, ..base() },
                Unclear,
                "for a human: tag says Human; for a machine: name says svc",
            ),
            (
                UserTraits { name: "svc-x", password: yes, password_last_used: used, ..base() },
                Unclear,
                "for a human: console password in use; for a machine: name says svc",
            ),
            (
                UserTraits { name: "ada", password: yes, password_last_used: used, mfa: yes, path: "/apps/", ..base() },
                Human,
                "; against it: path says apps",
            ),
            (UserTraits { name: "x", password: no, ..base() }, Unclear, "only for a machine: no console password"),
            (UserTraits { name: "x", ..base() }, Unclear, "nothing speaks for either"),
            (UserTraits { name: "robotics", path: "/", ..base() }, Unclear, "nothing speaks for either"),
        ];
        for (user, wanted, because) in cases {
            let (nature, said) = of_user(&user);
            assert_eq!(nature, wanted, "{}: {said}", user.name);
            assert!(said.contains(because), "{}: {said}", user.name);
        }
    }

    #[test]
    fn roles_are_told_apart_by_whom_they_trust() {
        use Nature::{Human, Machine, Unclear};
        let trust = |list: &str| Trust {
            services: if list.contains("service") { vec!["ec2.amazonaws.com".into()] } else { Vec::new() },
            oidc: match list {
                "oidc" => vec!["arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com".into()],
                "cognito" => vec!["cognito-identity.amazonaws.com".into()],
                _ => Vec::new(),
            },
            saml: if list.contains("saml") { vec!["arn:aws:iam::1:saml-provider/okta".into()] } else { Vec::new() },
            accounts: vec!["arn:aws:iam::2:root".into()],
            anyone: false,
        };
        for (name, path, whom, wanted) in [
            ("r", "/", "service", Machine),
            ("r", "/", "oidc", Machine),
            ("r", "/", "saml", Human),
            ("r", "/", "cognito", Human),
            ("r", "/", "account", Unclear),
            ("r", "/", "service saml", Unclear),
            ("ci-deploy", "/", "account", Machine),
            ("AWSReservedSSO_Admin_1", "/aws-reserved/sso.amazonaws.com/eu-west-1/", "saml", Human),
            ("AWSServiceRoleForSupport", "/aws-service-role/support.amazonaws.com/", "service", Machine),
        ] {
            let (nature, said) = of_role(name, path, Some(&trust(whom)), &[]);
            assert_eq!(nature, wanted, "{name} {whom}: {said}");
        }
        assert_eq!(of_role("r", "/", None, &[]).0, Unclear);
    }
}
