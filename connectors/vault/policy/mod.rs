//! What a policy lets its holder do: everything, root-protected operations, and ways to more rights than it says.
//! It must never call a policy harmless that it could not read.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use self::text::{Block, Said};

/// Most paths named of one policy.
const NAMED_MAX: usize = 64;

/// A policy, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    rules: Vec<Rule>,
    /// What its text holds and is not taken into account.
    pub(super) not_evaluated: BTreeSet<&'static str>,
}

/// What one pattern is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: String,
    capabilities: BTreeSet<String>,
}

/// What a policy, or several together, amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// Why it is as good as root, if it is.
    pub(super) admin: Option<String>,
    /// Techniques by which its holder could give itself more.
    pub(super) escalates: BTreeSet<&'static str>,
    /// Patterns with `sudo`.
    pub(super) sudo: BTreeSet<String>,
    /// Patterns with a wildcard and more than reading.
    pub(super) broad: BTreeSet<String>,
}

/// What lets its holder get more rights than were given: the technique, a path that it takes, and the capabilities, any of
/// which is enough.
const TECHNIQUES: &[(&str, &str, &[&str])] = &[
    ("write policies", "sys/policies/acl/any", WRITES),
    ("write policies (old path)", "sys/policy/any", WRITES),
    ("mount a way to sign in", "sys/auth/any", &["sudo"]),
    ("give entities policies", "identity/entity/id/any", WRITES),
    ("give groups policies", "identity/group/id/any", WRITES),
    ("give AppRoles policies", "auth/approle/role/any", WRITES),
    ("give token roles policies", "auth/token/roles/any", WRITES),
    ("make tokens without a parent", "auth/token/create-orphan", &["sudo"]),
    ("read the storage raw", "sys/raw/any", &["read"]),
    ("make a root token", "sys/generate-root/attempt", WRITES),
];
const WRITES: &[&str] = &["create", "update", "patch"];
/// Techniques that are as good as being root.
const AS_ROOT: [&str; 2] = ["write policies", "write policies (old path)"];

impl Policy {
    /// Reads a policy. An unreadable one tells in which line.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let blocks = text::blocks(text).map_err(|it| format!("the policy cannot be read from line {} on", it.line))?;
        let mut policy = Self::default();
        for block in blocks {
            policy.add(block);
        }
        Ok(policy)
    }

    fn add(&mut self, block: Block) {
        let mut capabilities = BTreeSet::new();
        for (name, said) in block.said {
            match (name.as_str(), said) {
                ("capabilities", Said::Many(words)) => capabilities.extend(words),
                ("capabilities", Said::One(word)) => drop(capabilities.insert(word)),
                // The form of before 0.5, still accepted.
                ("policy", Said::One(word)) => {
                    let words: &[&str] = match word.as_str() {
                        "read" => &["read", "list"],
                        "write" => &["create", "read", "update", "delete", "list"],
                        "sudo" => &["create", "read", "update", "delete", "list", "sudo"],
                        _ => &["deny"],
                    };
                    capabilities.extend(words.iter().map(|word| (*word).to_owned()));
                }
                ("allowed_parameters" | "denied_parameters" | "required_parameters", _) => {
                    self.not_evaluated.insert("limits on parameters");
                }
                ("control_group", _) => drop(self.not_evaluated.insert("control groups")),
                ("mfa_methods", _) => drop(self.not_evaluated.insert("second factors")),
                ("expiration", _) => drop(self.not_evaluated.insert("the end of a rule's validity")),
                _ => {}
            }
        }
        if block.path.contains("{{") {
            self.not_evaluated.insert("paths that name who asks");
        }
        let pattern = block.path.trim_start_matches('/').to_owned();
        self.rules.push(Rule { pattern, capabilities });
    }

    /// What it amounts to by itself.
    pub(super) fn rights(&self) -> Rights {
        let mut rights = Rights::default();
        for rule in &self.rules {
            if rule.denies() {
                continue;
            }
            let writes = WRITES.iter().any(|it| rule.allows(it));
            if rule.allows("sudo") && rights.sudo.len() < NAMED_MAX {
                rights.sudo.insert(rule.pattern.clone());
            }
            let more = writes || rule.allows("delete") || rule.allows("sudo");
            if more && rule.has_wildcard() && rights.broad.len() < NAMED_MAX {
                rights.broad.insert(rule.pattern.clone());
            }
            if writes && rule.fits_everything() {
                let words = rule.capabilities.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                rights.admin.get_or_insert_with(|| format!("{words} on path \"{}\"", rule.pattern));
            }
        }
        for (technique, path, capabilities) in TECHNIQUES {
            if let Some(rule) = self.decides(path)
                && !rule.denies()
                && capabilities.iter().any(|it| rule.allows(it))
            {
                rights.escalates.insert(technique);
                if AS_ROOT.contains(technique) {
                    rights.admin.get_or_insert_with(|| format!("may write policies by path \"{}\"", rule.pattern));
                }
            }
        }
        rights
    }

    /// Every pattern on which it allows more than reading, with what it allows there; and patterns of values it may read.
    pub(super) fn more_than_reading(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let more = ["create", "update", "patch", "delete", "sudo"];
        self.rules.iter().filter(|rule| !rule.denies()).filter_map(move |rule| {
            let capabilities = rule.capabilities.iter().map(String::as_str);
            let mut allowed: Vec<&str> = capabilities.filter(|it| more.contains(it)).collect();
            if rule.allows("read") && rule.pattern.contains("/data/") {
                allowed.push("read");
            }
            (!allowed.is_empty()).then_some((rule.pattern.as_str(), allowed))
        })
    }

    /// The rule that decides about a path: the most specific pattern that fits, as the server chooses it; rules of one
    /// pattern are taken together, and a denial among them wins.
    fn decides(&self, path: &str) -> Option<Rule> {
        let best = self.rules.iter().filter(|it| it.fits(path)).map(Rule::rank).max()?;
        let mut all = self.rules.iter().filter(|it| it.fits(path) && it.rank() == best);
        let mut rule = all.next()?.clone();
        for other in all {
            rule.capabilities.extend(other.capabilities.iter().cloned());
        }
        Some(rule)
    }
}

impl Rule {
    fn allows(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    fn denies(&self) -> bool {
        self.allows("deny") || self.capabilities.is_empty()
    }

    fn has_wildcard(&self) -> bool {
        self.pattern.ends_with('*') || self.pattern.split('/').any(|it| it == "+")
    }

    /// Whether no path is left out, or none that matters: `*`, `+/*`.
    fn fits_everything(&self) -> bool {
        self.pattern == "*"
            || (self.pattern.ends_with("/*") && self.pattern.split('/').all(|it| matches!(it, "+" | "*")))
    }

    fn fits(&self, path: &str) -> bool {
        let (pattern, prefix) = match self.pattern.strip_suffix('*') {
            Some(pattern) => (pattern, true),
            None => (self.pattern.as_str(), false),
        };
        let (mut wanted, mut there) = (pattern.split('/').peekable(), path.split('/'));
        while let Some(piece) = wanted.next() {
            let last = wanted.peek().is_none();
            let Some(met) = there.next() else { return false };
            let fits = match last && prefix {
                true => piece == "+" || met.starts_with(piece),
                // Who asks decides what stands there.
                false => piece == "+" || piece == met || piece.contains("{{"),
            };
            if !fits {
                return false;
            }
        }
        prefix || there.next().is_none()
    }

    /// How specific a pattern is, as servers compare them: where the first wildcard is, whether it ends in one, how many
    /// segments are wildcards, how long it is.
    fn rank(&self) -> (usize, bool, std::cmp::Reverse<usize>, usize, &str) {
        let plus = self.pattern.split('/').filter(|it| *it == "+").count();
        let first = self.pattern.find(['+', '*']).unwrap_or(usize::MAX);
        (first, !self.pattern.ends_with('*'), std::cmp::Reverse(plus), self.pattern.len(), &self.pattern)
    }
}

/// What is known of a namespace's policies, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    known: BTreeMap<String, Option<Rights>>,
    /// Whether every policy of the namespace is in it.
    pub(super) complete: bool,
}

/// What an identity's policies make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As good as root, and why.
    Admin(String),
    /// Not, as far as its policies say, with the techniques by which it could become so.
    Plain(BTreeSet<&'static str>),
    /// A policy of it could not be read.
    Unknown,
}

impl Book {
    /// Notes a policy; `None` if it could not be read.
    pub(super) fn note(&mut self, name: impl Into<String>, rights: Option<Rights>) {
        self.known.insert(name.into(), rights);
    }

    /// What these policies make of their holder.
    pub(super) fn standing<'a>(&self, policies: impl IntoIterator<Item = &'a str>) -> Standing {
        let (mut escalates, mut unknown) = (BTreeSet::new(), false);
        for name in policies {
            if name == "root" {
                return Standing::Admin("holds the policy root".to_owned());
            }
            match self.known.get(name) {
                Some(Some(rights)) => match &rights.admin {
                    Some(because) => return Standing::Admin(format!("policy {name}: {because}")),
                    None => escalates.extend(&rights.escalates),
                },
                Some(None) => unknown = true,
                // A policy that does not exist allows nothing.
                None => unknown |= !self.complete,
            }
        }
        if unknown { Standing::Unknown } else { Standing::Plain(escalates) }
    }

    /// Tells apart states in which somebody's standing could differ.
    pub(super) fn digest_words(&self) -> Vec<String> {
        let word = |(name, rights): (&String, &Option<Rights>)| match rights {
            None => Some(format!("{name} unread")),
            Some(it) if it.admin.is_none() && it.escalates.is_empty() => None,
            Some(it) => Some(format!("{name} {:?} {:?}", it.admin, it.escalates)),
        };
        let mut words: Vec<String> = self.known.iter().filter_map(word).collect();
        words.push(format!("complete {}", self.complete));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(text: &str) -> Rights {
        Policy::read(text).unwrap().rights()
    }

    #[test]
    fn what_is_as_good_as_root_is_called_so() {
        let table = [
            (r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#, true),
            (r#"path "*" { policy = "write" }"#, true),
            (r#"path "+/*" { capabilities = ["update"] }"#, true),
            (r#"path "*" { capabilities = ["read", "list"] }"#, false),
            (r#"path "sys/policies/acl/*" { capabilities = ["update"] }"#, true),
            (
                r#"path "sys/*" { capabilities = ["create"] } path "sys/policies/*" { capabilities = ["deny"] }
                path "sys/policy/*" { capabilities = ["deny"] }"#,
                false,
            ),
            (r#"path "sys/+/acl/any" { capabilities = ["update"] }"#, true),
            (r#"path "secret/*" { capabilities = ["create", "update", "delete"] }"#, false),
            (r#"path "*" { capabilities = ["update", "deny"] }"#, false),
            ("", false),
        ];
        for (text, admin) in table {
            assert_eq!(rights(text).admin.is_some(), admin, "{text}");
        }
    }

    #[test]
    fn ways_to_more_rights_sudo_and_wildcards_are_named() {
        let text = r#"
            path "identity/entity/id/*" { capabilities = ["update"] }
            path "auth/approle/role/ci" { capabilities = ["update"] }
            path "auth/approle/role/+/secret-id" { capabilities = ["update"] }
            path "sys/audit" { capabilities = ["read", "sudo"] }
            path "kv/+/x" { capabilities = ["delete"] }
            path "kv/*" { capabilities = ["read"] }"#;
        let rights = rights(text);
        assert_eq!(rights.escalates.iter().copied().collect::<Vec<_>>(), ["give entities policies"]);
        assert_eq!(rights.sudo.iter().map(String::as_str).collect::<Vec<_>>(), ["sys/audit"]);
        let broad = ["auth/approle/role/+/secret-id", "identity/entity/id/*", "kv/+/x"];
        assert_eq!(rights.broad.iter().map(String::as_str).collect::<Vec<_>>(), broad);
        assert_eq!(rights.admin, None);
    }

    #[test]
    fn what_is_not_evaluated_is_said() {
        let text = r#"path "a/{{identity.entity.id}}" { capabilities = ["update"] allowed_parameters = { "*" = [] } }"#;
        let policy = Policy::read(text).unwrap();
        let said = ["limits on parameters", "paths that name who asks"];
        assert_eq!(policy.not_evaluated.into_iter().collect::<Vec<_>>(), said);
        assert_eq!(Policy::read("path \"a\" {\n").unwrap_err(), "the policy cannot be read from line 2 on");
    }

    #[test]
    fn an_unread_policy_leaves_the_standing_open_unless_another_settles_it() {
        let mut book = Book::default();
        book.note("plain", Some(Rights::default()));
        book.note("broken", None);
        book.note("boss", Some(Rights { admin: Some("update on path \"*\"".into()), ..Rights::default() }));
        assert_eq!(book.standing(["plain"]), Standing::Plain(BTreeSet::new()));
        assert_eq!(book.standing(["plain", "broken"]), Standing::Unknown);
        assert_eq!(book.standing(["never-seen"]), Standing::Unknown);
        assert!(matches!(book.standing(["boss", "broken"]), Standing::Admin(because) if because.contains("boss")));
        assert!(matches!(book.standing(["root"]), Standing::Admin(_)));
        book.complete = true;
        assert_eq!(book.standing(["never-made"]), Standing::Plain(BTreeSet::new()));
    }
}
