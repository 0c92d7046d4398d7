//! Every figure a rule compares with, its default, and where the configuration sets it otherwise.
//! It must never hold a figure that no rule reads, nor let an override match by accident.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use provost_model::{Kind, Record, Span, field};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::rules::{self, Covered, Rule};

/// The figures that hold for one subject. Days are of 24 hours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Thresholds {
    /// Grace after the provider made a thing, during which nothing is held against it.
    pub grace_days: u32,
    /// CRED-STALE: access keys, passwords and service-specific credentials unused for longer.
    pub stale_key_days: u32,
    /// CRED-STALE: other credentials unused for longer.
    pub stale_other_days: u32,
    /// CRED-NEVER: older than this and never used.
    pub never_used_days: u32,
    /// CRED-AGE: access keys, tokens, passwords and service-specific credentials.
    pub age_key_days: u32,
    /// CRED-AGE: SSH keys.
    pub age_ssh_key_days: u32,
    /// CRED-AGE: client secrets.
    pub age_client_secret_days: u32,
    /// CRED-AGE: secrets kept in CI, files and stores.
    pub age_secret_days: u32,
    /// CRED-AGE: certificates.
    pub age_certificate_days: u32,
    /// CRED-NO-EXPIRY: older than this without an expiry.
    pub no_expiry_days: u32,
    /// CRED-EXPIRING: steps before the end, the longest first.
    pub expiring_days: Vec<u32>,
    /// CRED-EXPIRING: used within so many days counts as in use.
    pub expiring_used_days: u32,
    /// CRED-EXPIRED-LEFT: still there so long after its expiry.
    pub expired_left_days: u32,
    /// CRED-MULTI-ACTIVE: a second active credential is normal for so long.
    pub overlap_days: u32,
    /// CRED-INACTIVE-LEFT: still there so long after it was switched off.
    pub inactive_left_days: u32,
    /// CRED-REUSED: identities, systems or environments that share a secret.
    pub reused_in: u32,
    /// CRED-WEAK-KEY: least size of an RSA key.
    pub rsa_bits: u32,
    /// CRED-WEAK-KEY: least size of an elliptic-curve key.
    pub ec_bits: u32,
    /// OWN-NONE, OWN-LEFT, OWN-MOVED, AI-AGENT-UNGOV: least confidence with which somebody counts as owner, 0 to 1.
    pub owner_confidence: f64,
    /// OWN-NONE: without an owner for longer.
    pub ownerless_days: u32,
    /// OWN-NONE: the same for privileged things in production.
    pub ownerless_critical_days: u32,
    /// OWN-MOVED: the owner moved longer ago and was not confirmed since.
    pub moved_days: u32,
    /// ID-IDLE: roles and users without activity for longer.
    pub idle_role_days: u32,
    /// ID-IDLE: service accounts, applications and workloads.
    pub idle_account_days: u32,
    /// AI-AGENT-UNGOV: the agent's key unused for longer.
    pub agent_key_stale_days: u32,
    /// SRC-STALE: not fully covered for so many periods of its schedule.
    pub source_periods: u32,
    /// SRC-STALE: its credential expires within so many days.
    pub source_credential_days: u32,
    /// Ids of rules that are off.
    pub off: Vec<String>,
    /// For each rule in the order of ids, the digest of the figures it compares with.
    #[serde(skip)]
    digests: Vec<String>,
}

/// Figures as typed: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "each is the figure of that name in Thresholds")]
pub struct Limits {
    pub grace_days: Option<u32>,
    pub stale_key_days: Option<u32>,
    pub stale_other_days: Option<u32>,
    pub never_used_days: Option<u32>,
    pub age_key_days: Option<u32>,
    pub age_ssh_key_days: Option<u32>,
    pub age_client_secret_days: Option<u32>,
    pub age_secret_days: Option<u32>,
    pub age_certificate_days: Option<u32>,
    pub no_expiry_days: Option<u32>,
    pub expiring_days: Option<Vec<u32>>,
    pub expiring_used_days: Option<u32>,
    pub expired_left_days: Option<u32>,
    pub overlap_days: Option<u32>,
    pub inactive_left_days: Option<u32>,
    pub reused_in: Option<u32>,
    pub rsa_bits: Option<u32>,
    pub ec_bits: Option<u32>,
    pub owner_confidence: Option<f64>,
    pub ownerless_days: Option<u32>,
    pub ownerless_critical_days: Option<u32>,
    pub moved_days: Option<u32>,
    pub idle_role_days: Option<u32>,
    pub idle_account_days: Option<u32>,
    pub agent_key_stale_days: Option<u32>,
    pub source_periods: Option<u32>,
    pub source_credential_days: Option<u32>,
    pub off: Option<Vec<String>>,
}

/// Which subjects an override is for: everything stated must hold, and something must be stated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matcher {
    /// The name of a source that sees it.
    pub source: Option<String>,
    /// Its realm (`aws:123456789012`) or the realm's provider (`aws`).
    pub realm: Option<String>,
    /// Its kind.
    pub kind: Option<Kind>,
    /// A tag it carries, as `name` or `name=value`.
    pub tag: Option<String>,
    /// A scope that speaks of it, or one above that scope.
    pub scope: Option<String>,
}

/// One override.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// For which subjects.
    #[serde(rename = "match")]
    pub matching: Matcher,
    /// What is different for them.
    pub thresholds: Limits,
}

/// The policy as typed in the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// What holds everywhere.
    pub thresholds: Limits,
    /// What is different somewhere; later ones win.
    pub overrides: Vec<Override>,
}

/// The policy as meant: validated.
#[derive(Debug)]
pub struct Policy {
    everywhere: Arc<Thresholds>,
    overrides: Vec<Override>,
    /// The figures for every choice of overrides met so far: there are few, and records there are many of.
    met: Mutex<HashMap<Vec<usize>, Arc<Thresholds>>>,
}

/// Choices of overrides that are remembered.
const MET_MAX: usize = 1000;

/// A policy that makes no sense, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPolicy(pub String);

impl Default for Thresholds {
    fn default() -> Self {
        let mut it = Self {
            grace_days: 7,
            stale_key_days: 45,
            stale_other_days: 90,
            never_used_days: 30,
            age_key_days: 90,
            age_ssh_key_days: 365,
            age_client_secret_days: 180,
            age_secret_days: 365,
            age_certificate_days: 398,
            no_expiry_days: 0,
            expiring_days: vec![30, 14, 7, 1],
            expiring_used_days: 30,
            expired_left_days: 30,
            overlap_days: 14,
            inactive_left_days: 30,
            reused_in: 2,
            rsa_bits: 2048,
            ec_bits: 256,
            owner_confidence: 0.6,
            ownerless_days: 7,
            ownerless_critical_days: 1,
            moved_days: 14,
            idle_role_days: 90,
            idle_account_days: 180,
            agent_key_stale_days: 90,
            source_periods: 3,
            source_credential_days: 14,
            off: Vec::new(),
            digests: Vec::new(),
        };
        it.digests = digests(&it);
        it
    }
}

impl Thresholds {
    /// Whether a rule is off.
    pub fn is_off(&self, rule: &str) -> bool {
        self.off.iter().any(|off| off.eq_ignore_ascii_case(rule))
    }

    /// Sixteen hexadecimal digits that differ when any figure does that the rule compares with, or it is switched on or
    /// off. Nothing for a rule that is not known.
    pub fn digest_of(&self, rule: &str) -> &str {
        let at = rules::ALL.binary_search_by(|it| it.id.cmp(rule)).ok();
        at.and_then(|at| self.digests.get(at)).map_or("", String::as_str)
    }

    /// These figures with others where `limits` says so.
    #[must_use]
    pub fn with(mut self, limits: &Limits) -> Self {
        fn put<T: Clone>(to: &mut T, from: &Option<T>) {
            if let Some(it) = from {
                to.clone_from(it);
            }
        }
        put(&mut self.grace_days, &limits.grace_days);
        put(&mut self.stale_key_days, &limits.stale_key_days);
        put(&mut self.stale_other_days, &limits.stale_other_days);
        put(&mut self.never_used_days, &limits.never_used_days);
        put(&mut self.age_key_days, &limits.age_key_days);
        put(&mut self.age_ssh_key_days, &limits.age_ssh_key_days);
        put(&mut self.age_client_secret_days, &limits.age_client_secret_days);
        put(&mut self.age_secret_days, &limits.age_secret_days);
        put(&mut self.age_certificate_days, &limits.age_certificate_days);
        put(&mut self.no_expiry_days, &limits.no_expiry_days);
        put(&mut self.expiring_days, &limits.expiring_days);
        put(&mut self.expiring_used_days, &limits.expiring_used_days);
        put(&mut self.expired_left_days, &limits.expired_left_days);
        put(&mut self.overlap_days, &limits.overlap_days);
        put(&mut self.inactive_left_days, &limits.inactive_left_days);
        put(&mut self.reused_in, &limits.reused_in);
        put(&mut self.rsa_bits, &limits.rsa_bits);
        put(&mut self.ec_bits, &limits.ec_bits);
        put(&mut self.owner_confidence, &limits.owner_confidence);
        put(&mut self.ownerless_days, &limits.ownerless_days);
        put(&mut self.ownerless_critical_days, &limits.ownerless_critical_days);
        put(&mut self.moved_days, &limits.moved_days);
        put(&mut self.idle_role_days, &limits.idle_role_days);
        put(&mut self.idle_account_days, &limits.idle_account_days);
        put(&mut self.agent_key_stale_days, &limits.agent_key_stale_days);
        put(&mut self.source_periods, &limits.source_periods);
        put(&mut self.source_credential_days, &limits.source_credential_days);
        put(&mut self.off, &limits.off);
        self.expiring_days.sort_unstable_by(|a, b| b.cmp(a));
        self.digests = digests(&self);
        self
    }
}

impl Policy {
    /// The policy that the configuration means.
    pub fn new(config: PolicyConfig) -> Result<Self, InvalidPolicy> {
        check(&config.thresholds)?;
        for each in &config.overrides {
            if each.matching == Matcher::default() {
                return Err(InvalidPolicy(
                    "an override must say what it matches: source, realm, kind, tag or scope".into(),
                ));
            }
            check(&each.thresholds)?;
        }
        Ok(Self::of(Thresholds::default().with(&config.thresholds), config.overrides))
    }

    fn of(everywhere: Thresholds, overrides: Vec<Override>) -> Self {
        Self { everywhere: Arc::new(everywhere), overrides, met: Mutex::default() }
    }

    /// Digest of whatever a rule compares with anywhere: when it differs, the rule judges anew. An override counts only
    /// for rules that compare with what it sets.
    pub fn digest_of(&self, rule: &Rule) -> String {
        let mut parts = vec![Value::String(self.everywhere.digest_of(rule.id).to_owned())];
        for each in &self.overrides {
            let figures = figures_of(rule, &each.thresholds);
            if !figures.is_empty() {
                parts.push(Value::Array(figures));
                parts.push(serde_json::to_value(&each.matching).unwrap_or_default());
            }
        }
        digest_of(&parts)
    }

    /// The figures of a rule that hold everywhere, by name.
    pub fn figures(&self, rule: &Rule) -> Vec<(&'static str, Value)> {
        let all = serde_json::to_value(self.everywhere.as_ref()).unwrap_or_default();
        rule.figures.iter().filter_map(|name| Some((*name, all.get(name)?.clone()))).collect()
    }

    /// Whether a rule is off everywhere, and how many overrides say something else of it or its figures.
    pub fn standing(&self, rule: &Rule) -> (bool, usize) {
        let overrides = self.overrides.iter().filter(|it| !figures_of(rule, &it.thresholds).is_empty());
        (self.everywhere.is_off(rule.id), overrides.count())
    }

    /// The figures that hold for a source as such.
    pub fn of_source(&self, name: &str) -> Arc<Thresholds> {
        self.overlaid(|it| *it == Matcher { source: Some(name.to_owned()), ..Matcher::default() })
    }

    /// The figures that hold for a record. `covers` are those of its scopes, or more, in the order of scopes.
    pub fn of_record(&self, record: &Record, covers: &[Covered<'_>]) -> Arc<Thresholds> {
        self.overlaid(|it| it.matches(record, covers))
    }

    fn overlaid(&self, applies: impl Fn(&Matcher) -> bool) -> Arc<Thresholds> {
        let chosen = self.overrides.iter().enumerate().filter(|(_, it)| applies(&it.matching));
        let chosen: Vec<usize> = chosen.map(|(at, _)| at).collect();
        if chosen.is_empty() {
            return Arc::clone(&self.everywhere);
        }
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = met.get(&chosen) {
            return Arc::clone(known);
        }
        let limits = chosen.iter().filter_map(|at| self.overrides.get(*at)).map(|it| &it.thresholds);
        let figures = Arc::new(limits.fold(Thresholds::clone(&self.everywhere), Thresholds::with));
        if met.len() >= MET_MAX {
            met.clear();
        }
        met.insert(chosen, Arc::clone(&figures));
        figures
    }
}

impl Clone for Policy {
    fn clone(&self) -> Self {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { everywhere: Arc::clone(&self.everywhere), overrides: self.overrides.clone(), met: Mutex::new(met) }
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.everywhere == other.everywhere && self.overrides == other.overrides
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::of(Thresholds::default(), Vec::new())
    }
}

impl Matcher {
    /// Whether everything stated holds for that record.
    pub fn matches(&self, record: &Record, covers: &[Covered<'_>]) -> bool {
        let speaking = || record.statements.iter().flat_map(|said| rules::covers_of(covers, said.scope));
        let source = self.source.as_ref().is_none_or(|it| speaking().any(|by| by.source == it));
        let scope = self.scope.as_ref().is_none_or(|it| speaking().any(|by| below(by.path, it)));
        let realm = self.realm.as_ref().is_none_or(|it| {
            let realm = &record.realm;
            realm.as_str() == it || realm.provider() == it
        });
        let kind = self.kind.is_none_or(|it| record.kind == it);
        source && scope && realm && kind && self.tag.as_ref().is_none_or(|it| tagged(record, it))
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidPolicy {}

/// So many days.
pub fn days(count: u32) -> Span {
    Span::days(i64::from(count))
}

fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn tagged(record: &Record, tag: &str) -> bool {
    let Some(tags) = record.pairs(field::TAGS).known() else { return false };
    match tag.split_once('=') {
        Some((name, value)) => tags.iter().any(|(key, it)| key.eq_ignore_ascii_case(name) && it == value),
        None => tags.keys().any(|key| key.eq_ignore_ascii_case(tag)),
    }
}

fn check(limits: &Limits) -> Result<(), InvalidPolicy> {
    let wrong = |what: String| Err(InvalidPolicy(what));
    for id in limits.off.iter().flatten() {
        if Rule::of_id(id).is_none() {
            return wrong(format!("off: there is no rule {id:?}"));
        }
    }
    if limits.owner_confidence.is_some_and(|it| !(0.0..=1.0).contains(&it)) {
        return wrong("owner_confidence must be between 0 and 1".into());
    }
    if limits.expiring_days.as_ref().is_some_and(|it| it.is_empty() || it.len() > 10) {
        return wrong("expiring_days must have one to ten steps".into());
    }
    if limits.reused_in.is_some_and(|it| it < 2) {
        return wrong("reused_in must be at least 2".into());
    }
    if limits.source_periods == Some(0) {
        return wrong("source_periods must be at least 1".into());
    }
    Ok(())
}

/// The digest of each rule's figures.
fn digests(thresholds: &Thresholds) -> Vec<String> {
    let figures = serde_json::to_value(thresholds).unwrap_or_default();
    let of = |rule: &&Rule| {
        let named: Vec<&Value> = rule.figures.iter().filter_map(|name| figures.get(name)).collect();
        digest_of(&(named, thresholds.is_off(rule.id)))
    };
    rules::ALL.iter().map(of).collect()
}

/// What an override sets of the figures that a rule compares with, each under its name.
fn figures_of(rule: &Rule, limits: &Limits) -> Vec<Value> {
    let set = serde_json::to_value(limits).unwrap_or_default();
    let named = rule.figures.iter().filter_map(|name| {
        let figure = set.get(name).filter(|it| !it.is_null())?;
        Some(serde_json::json!([name, figure]))
    });
    let off = limits.off.as_ref().map(|off| off.iter().any(|it| it.eq_ignore_ascii_case(rule.id)).into());
    named.chain(off).collect()
}

/// The first half of a half of SHA-256 over the JSON form; struct fields keep their order, so it is canonical.
pub(crate) fn digest_of(it: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(it).unwrap_or_default();
    Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provost_model::{PartId, ScopeNo, Time};

    use super::*;
    use crate::rules::sample;

    fn policy(text: &str) -> Result<Policy, String> {
        let config: PolicyConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        Policy::new(config).map_err(|error| error.to_string())
    }

    #[test]
    fn later_overrides_win_where_they_match() {
        let policy = policy(
            r#"
            thresholds = { age_key_days = 80 }
            [[overrides]]
            match = { realm = "aws", kind = "access_key" }
            thresholds = { age_key_days = 60, off = ["CRED-STALE"] }
            [[overrides]]
            match = { source = "aws-dev", scope = "iam", tag = "env=dev" }
            thresholds = { age_key_days = 200 }
            "#,
        )
        .unwrap();
        let cover = |source: &'static str, path: &'static str| {
            [Covered { scope: ScopeNo(1), part: PartId::WHOLE, as_of: Time::from_seconds(0), source, path }]
        };
        let tags = |value: &str| BTreeMap::from([("Env".to_owned(), value.to_owned())]);
        let key = |value: &str| sample::key().with(field::TAGS, tags(value)).build();
        let days = |record: &Record, covers: &[Covered<'_>]| policy.of_record(record, covers).age_key_days;
        assert_eq!(days(&sample::user().build(), &[]), 80);
        assert_eq!(days(&sample::key().realm("gcp:1").build(), &[]), 80);
        assert_eq!(days(&key("dev"), &[]), 60);
        assert_eq!(days(&key("dev"), &cover("aws-dev", "iam/users")), 200);
        assert_eq!(days(&key("dev"), &cover("aws-dev", "iamx")), 60);
        assert_eq!(days(&key("prod"), &cover("aws-dev", "iam")), 60);
        assert_eq!(days(&key("dev"), &cover("aws-prod", "iam")), 60);
        assert!(policy.of_record(&key("dev"), &[]).is_off("cred-stale"));
        assert_eq!(policy.of_source("aws-dev").age_key_days, 80);
    }

    #[test]
    fn nonsense_is_refused_with_the_reason() {
        let table = [
            ("thresholds = { age_key_day = 3 }", "age_key_day"),
            ("thresholds = { age_key_days = -3 }", "age_key_days"),
            ("thresholds = { off = [\"CRED-STAL\"] }", "no rule \"CRED-STAL\""),
            ("thresholds = { owner_confidence = 1.5 }", "between 0 and 1"),
            ("thresholds = { expiring_days = [] }", "one to ten"),
            ("thresholds = { reused_in = 1 }", "at least 2"),
            ("thresholds = { source_periods = 0 }", "at least 1"),
            ("[[overrides]]\nmatch = {}\nthresholds = {}", "must say what it matches"),
            ("[[overrides]]\nmatch = { realms = \"aws\" }\nthresholds = {}", "realms"),
            ("unknown = 1", "unknown"),
        ];
        for (text, reason) in table {
            let error = policy(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    /// The ids of rules whose digest under a policy is another than under the usual one.
    fn moved(text: &str) -> Vec<&'static str> {
        let (usual, other) = (Policy::default(), policy(text).unwrap());
        rules::ALL.iter().filter(|rule| usual.digest_of(rule) != other.digest_of(rule)).map(|rule| rule.id).collect()
    }

    #[test]
    fn a_figure_moves_the_digests_of_the_rules_that_compare_with_it() {
        let graced = ["AI-AGENT-UNGOV", "CFG-PLAINTEXT-STORE", "CRED-REUSED", "CRED-WEAK-KEY", "PRIV-ADMIN"];
        for (text, expected) in [
            ("thresholds = { grace_days = 7 }", &[][..]),
            ("thresholds = { grace_days = 8 }", &graced[..]),
            ("thresholds = { off = [\"CRED-AGE\"] }", &["CRED-AGE"]),
            ("thresholds = { expiring_days = [9, 3] }", &["CRED-EXPIRING"]),
            ("[[overrides]]\nmatch = { realm = \"aws\" }\nthresholds = { grace_days = 8 }", &graced),
            ("[[overrides]]\nmatch = { realm = \"aws\" }\nthresholds = { idle_role_days = 8 }", &["ID-IDLE"]),
        ] {
            assert_eq!(moved(text), expected, "{text}");
        }
        let one = policy("[[overrides]]\nmatch = { realm = \"aws\" }\nthresholds = { rsa_bits = 4096 }").unwrap();
        let other = policy("[[overrides]]\nmatch = { realm = \"gcp\" }\nthresholds = { rsa_bits = 4096 }").unwrap();
        let rule = Rule::of_id("CRED-WEAK-KEY").unwrap();
        assert_ne!(one.digest_of(rule), other.digest_of(rule), "whom it is for counts too");
    }

    #[test]
    fn a_rule_shows_its_figures_and_where_they_differ() {
        let policy = policy(
            "thresholds = { age_key_days = 80, off = [\"cred-stale\"] }\n[[overrides]]\nmatch = { realm = \"aws\" }\n\
             thresholds = { age_key_days = 60 }",
        )
        .unwrap();
        let rule = |id| Rule::of_id(id).unwrap();
        let figures = policy.figures(rule("CRED-AGE"));
        assert_eq!(figures.len(), rule("CRED-AGE").figures.len());
        assert!(figures.contains(&("age_key_days", 80.into())) && figures.contains(&("age_secret_days", 365.into())));
        assert!(policy.figures(rule("SRC-HELD")).is_empty());
        let standing = ["CRED-AGE", "CRED-STALE", "ID-IDLE"].map(|id| policy.standing(rule(id)));
        assert_eq!(standing, [(false, 1), (true, 0), (false, 0)]);
    }

    #[test]
    fn every_figure_is_compared_with_by_a_rule_that_says_so() {
        let figures = serde_json::to_value(Thresholds::default()).unwrap();
        let named: Vec<&str> = rules::ALL.iter().flat_map(|rule| rule.figures).copied().collect();
        for figure in figures.as_object().unwrap().keys().filter(|it| *it != "off") {
            assert!(named.contains(&figure.as_str()), "{figure}");
        }
        for name in named {
            assert!(figures.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn overridden_figures_are_made_once() {
        let policy =
            policy("[[overrides]]\nmatch = { kind = \"access_key\" }\nthresholds = { age_key_days = 60 }").unwrap();
        let (key, user) = (sample::key().build(), sample::user().build());
        assert!(Arc::ptr_eq(&policy.of_record(&key, &[]), &policy.of_record(&key, &[])));
        assert_eq!((policy.of_record(&key, &[]).age_key_days, policy.of_record(&user, &[]).age_key_days), (60, 90));
    }
}
