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
    /// CRED-EXPIRY-FAR: made to last longer than so many days.
    pub expiry_far_days: u32,
    /// CRED-EXPIRY-FAR: the same for client secrets.
    pub expiry_far_client_secret_days: u32,
    /// CRED-EXPIRING: steps before the end, the longest first.
    pub expiring_days: Vec<u32>,
    /// CRED-EXPIRING: used within so many days counts as in use.
    pub expiring_used_days: u32,
    /// CRED-EXPIRED-LEFT: still there so long after its expiry.
    pub expired_left_days: u32,
    /// CRED-MULTI-ACTIVE: a second active credential is normal for so long.
    pub overlap_days: u32,
    /// CRED-ROTATION-STUCK: whoever uses a credential has moved to its successor within so many days.
    pub rotation_stuck_days: u32,
    /// CRED-ROTATION-OFF: rotation is late after so many of its periods since it was last done.
    pub rotation_periods: u32,
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
    /// ID-ORPHAN-CONSUMER: what it served has been deleted or archived for longer.
    pub orphan_consumer_days: u32,
    /// PRIV-UNUSED: services granted and unused for longer.
    pub unused_rights_days: u32,
    /// PRIV-UNUSED: at least so many in a hundred of the services granted.
    pub unused_rights_percent: u32,
    /// PRIV-SCOPE-BROAD: uses were watched for longer.
    pub scope_used_days: u32,
    /// PRIV-SCOPE-BROAD: used on at most so many in a hundred of what it reaches.
    pub scope_used_percent: u32,
    /// TRUST-EXTERNAL: accounts of partners, by their numbers, who may act here with an external id.
    pub trusted_accounts: Vec<String>,
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
    pub expiry_far_days: Option<u32>,
    pub expiry_far_client_secret_days: Option<u32>,
    pub expiring_days: Option<Vec<u32>>,
    pub expiring_used_days: Option<u32>,
    pub expired_left_days: Option<u32>,
    pub overlap_days: Option<u32>,
    pub rotation_stuck_days: Option<u32>,
    pub rotation_periods: Option<u32>,
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
    pub orphan_consumer_days: Option<u32>,
    pub unused_rights_days: Option<u32>,
    pub unused_rights_percent: Option<u32>,
    pub scope_used_days: Option<u32>,
    pub scope_used_percent: Option<u32>,
    pub trusted_accounts: Option<Vec<String>>,
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
            expiry_far_days: 365,
            expiry_far_client_secret_days: 180,
            expiring_days: vec![30, 14, 7, 1],
            expiring_used_days: 30,
            expired_left_days: 30,
            overlap_days: 14,
            rotation_stuck_days: 10,
            rotation_periods: 2,
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
            orphan_consumer_days: 7,
            unused_rights_days: 90,
            unused_rights_percent: 50,
            scope_used_days: 90,
            scope_used_percent: 10,
            trusted_accounts: Vec::new(),
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
        put(&mut self.expiry_far_days, &limits.expiry_far_days);
        put(&mut self.expiry_far_client_secret_days, &limits.expiry_far_client_secret_days);
        put(&mut self.expiring_days, &limits.expiring_days);
        put(&mut self.expiring_used_days, &limits.expiring_used_days);
        put(&mut self.expired_left_days, &limits.expired_left_days);
        put(&mut self.overlap_days, &limits.overlap_days);
        put(&mut self.rotation_stuck_days, &limits.rotation_stuck_days);
        put(&mut self.rotation_periods, &limits.rotation_periods);
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
        put(&mut self.orphan_consumer_days, &limits.orphan_consumer_days);
        put(&mut self.unused_rights_days, &limits.unused_rights_days);
        put(&mut self.unused_rights_percent, &limits.unused_rights_percent);
        put(&mut self.scope_used_days, &limits.scope_used_days);
        put(&mut self.scope_used_percent, &limits.scope_used_percent);
        put(&mut self.trusted_accounts, &limits.trusted_accounts);
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

    /// The figures that hold for what belongs to no source.
    pub fn everywhere(&self) -> &Thresholds {
        &self.everywhere
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
    if [limits.unused_rights_percent, limits.scope_used_percent].iter().flatten().any(|it| *it > 100) {
        return wrong("unused_rights_percent and scope_used_percent must be at most 100".into());
    }
    if limits.rotation_periods == Some(0) {
        return wrong("rotation_periods must be at least 1".into());
    }
    if limits.trusted_accounts.iter().flatten().any(|it| it.trim().is_empty() || it.contains('*')) {
        return wrong("trusted_accounts must name accounts, one by one".into());
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
mod tests;
