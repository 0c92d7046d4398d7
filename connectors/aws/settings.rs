//! A source's settings as typed and as meant.
//! It must never hold a credential: those come from the places every AWS tool looks in.

use std::time::Duration;

use provost_client::Mode;
use serde::Deserialize;

use crate::settings::{pace, sweep_every, within};

/// Calls a second for each action when the bucket belongs to others too. AWS publishes no limits; 15 a second were observed
/// for the slowest actions.
const SHARED_MOST: f64 = 10.0;
/// Calls in flight unless set.
const IN_FLIGHT: usize = 16;
/// CloudTrail bears two questions a second in an account and region, those of others included.
const LOOKUP_EVERY: Duration = Duration::from_millis(600);

/// What the settings mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Profile of the shared configuration files; the environment's choice if `None`.
    pub(super) profile: Option<String>,
    /// Region for signing; IAM itself is global.
    pub(super) region: Option<String>,
    /// Another endpoint for every call.
    pub(super) endpoint_url: Option<String>,
    /// How fast.
    pub(super) pace: Mode,
    /// Calls in flight.
    pub(super) in_flight: usize,
    /// The account this source is meant for.
    pub(super) account: Option<String>,
    /// Time in which a sweep gets round.
    pub(super) sweep_every: Duration,
    /// Whether the machine's metadata service may be asked for credentials.
    pub(super) instance_credentials: bool,
    /// Calls in one run.
    pub(super) max_calls: u64,
    /// Time between two questions to CloudTrail.
    pub(super) lookup_every: Duration,
    /// Regions whose services are looked at.
    pub(super) regions: Regions,
    /// The role to take on in every account of the organization; `None` for one account alone.
    pub(super) role_name: Option<String>,
    /// What the trust policies of those roles ask for.
    pub(super) external_id: Option<String>,
    /// Accounts that are no outsiders, beside this one and those of the organization.
    pub(super) own_accounts: Vec<String>,
    /// Where a trail writes its files; the event history alone is asked if `None`.
    pub(super) trail: Option<Trail>,
}

/// Where a trail of CloudTrail writes its files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trail {
    pub(super) bucket: String,
    /// What stands before the number of the account in every key.
    #[serde(default = "logs")]
    pub(super) prefix: String,
    /// The region of the bucket.
    pub(super) region: String,
}

fn logs() -> String {
    "AWSLogs".to_owned()
}

/// Which regions are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Regions {
    /// Those that the account has enabled.
    Enabled,
    /// Those that are set; with none of them only IAM is looked at.
    These(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    profile: Option<String>,
    region: Option<String>,
    endpoint_url: Option<String>,
    pace: Option<String>,
    in_flight: Option<usize>,
    account: Option<String>,
    sweep_every: Option<String>,
    #[serde(default)]
    instance_credentials: bool,
    max_calls: Option<u64>,
    regions: Option<Vec<String>>,
    role_name: Option<String>,
    external_id: Option<String>,
    #[serde(default)]
    own_accounts: Vec<String>,
    trail: Option<Trail>,
}

impl Settings {
    /// Reads a `[[sources]]` entry's own settings.
    pub(super) fn read(table: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let typed: Typed =
            serde_json::from_value(serde_json::Value::Object(table.clone())).map_err(|error| error.to_string())?;
        let pace = pace(typed.pace.as_deref(), SHARED_MOST)?;
        let in_flight = within("in_flight", typed.in_flight.unwrap_or(IN_FLIGHT), (1, 256))?;
        if let Some(account) = typed.account.as_deref().filter(|account| !is_account(account)) {
            return Err(format!("account = {account:?}: expected twelve digits"));
        }
        if let Some(account) = typed.own_accounts.iter().find(|account| !is_account(account)) {
            return Err(format!("own_accounts: {account:?}: expected twelve digits"));
        }
        if let Some(name) = typed.role_name.as_deref().filter(|name| !is_role_name(name)) {
            return Err(format!("role_name = {name:?}: expected a role's name, with its path but without its ARN"));
        }
        if typed.external_id.is_some() && typed.role_name.is_none() {
            return Err("external_id: only a role is taken on with it; set role_name too".to_owned());
        }
        if let Some(url) = &typed.endpoint_url {
            checked_url(url)?;
        }
        if let Some(wrong) = typed.regions.iter().flatten().find(|region| !is_region(region)) {
            return Err(format!("regions: {wrong:?} is no region, such as \"eu-west-1\""));
        }
        if let Some(trail) = &typed.trail {
            trail.checked()?;
        }
        Ok(Self {
            trail: typed.trail,
            lookup_every: LOOKUP_EVERY,
            role_name: typed.role_name,
            external_id: typed.external_id,
            own_accounts: typed.own_accounts,
            regions: typed.regions.map_or(Regions::Enabled, Regions::These),
            profile: typed.profile,
            region: typed.region,
            endpoint_url: typed.endpoint_url,
            pace,
            in_flight,
            account: typed.account,
            sweep_every: sweep_every(typed.sweep_every.as_deref())?,
            instance_credentials: typed.instance_credentials,
            max_calls: typed.max_calls.unwrap_or(u64::MAX),
        })
    }
}

impl Trail {
    fn checked(&self) -> Result<(), String> {
        let Self { bucket, prefix, region } = self;
        // S3 user guide, "Bucket naming rules".
        let of_bucket = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(of_bucket) || bucket.contains("..") {
            return Err(format!("trail.bucket = {bucket:?}: expected a bucket's name, without s3:// and prefix"));
        }
        let of_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.=+!".contains(&byte);
        let is_inner = !prefix.is_empty() && !prefix.starts_with('/') && !prefix.ends_with('/');
        if !is_inner || prefix.len() > 512 || !prefix.bytes().all(of_prefix) || prefix.contains("..") {
            return Err(format!(
                "trail.prefix = {prefix:?}: expected what stands before the account's number, such as \"AWSLogs\" or \
                 \"logs/AWSLogs/o-1a2b3c\", without a slash at its ends"
            ));
        }
        if !is_region(region) {
            return Err(format!("trail.region = {region:?} is no region, such as \"eu-west-1\""));
        }
        Ok(())
    }
}

/// Whether a text is an account's number.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A role's name (IAM API reference, `RoleName`), with its path before it.
fn is_role_name(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&byte);
    !text.is_empty() && text.len() <= 512 && text.bytes().all(sign) && !text.starts_with('/') && !text.ends_with('/')
}

/// Whether a text has the form of a region's name, which becomes part of hosts.
pub(super) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let (Some((number, words)), true) = (parts.split_last(), text.len() <= 32) else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.len() >= 2 && words.iter().all(is_word) && !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit())
}

fn checked_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|error| format!("endpoint_url: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err("endpoint_url: expected http:// or https:// without user and password".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::SWEEP_EVERY;

    fn read(value: serde_json::Value) -> Result<Settings, String> {
        Settings::read(value.as_object().unwrap())
    }

    #[test]
    fn nothing_set_means_a_small_share_and_no_metadata_service() {
        let settings = read(json!({})).unwrap();
        assert_eq!(settings.pace, Mode::Shared { most: SHARED_MOST });
        assert!(!settings.instance_credentials);
        assert_eq!(settings.sweep_every, SWEEP_EVERY);
        assert_eq!(settings.regions, Regions::Enabled);
    }

    #[test]
    fn a_region_has_words_and_a_number() {
        for region in ["eu-west-1", "us-gov-west-1", "cn-north-1", "ap-southeast-12"] {
            assert!(is_region(region), "{region}");
        }
        for wrong in ["", "eu-west", "eu--1", "EU-west-1", "eu-west-1/", "1", "eu-1", "eu.west-1-1"] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (table, says) in [
            (json!({"pace": "fast"}), "shared"),
            (json!({"in_flight": 0}), "1 to 256"),
            (json!({"account": "12"}), "twelve"),
            (json!({"sweep_every": "soon"}), "7d"),
            (json!({"endpoint_url": "https://me:secret@host"}), "without user"),
            (json!({"secret_key": "x"}), "unknown field"),
            (json!({"role_name": "arn:aws:iam::1:role/x"}), "without its ARN"),
            (json!({"external_id": "x"}), "role_name"),
            (json!({"own_accounts": ["1"]}), "twelve"),
            (json!({"trail": {"bucket": "corp-trail"}}), "region"),
            (json!({"trail": {"bucket": "s3://corp", "region": "eu-west-1"}}), "without s3://"),
            (json!({"trail": {"bucket": "corp-trail", "region": "europe"}}), "no region"),
            (json!({"trail": {"bucket": "corp-trail", "prefix": "/AWSLogs", "region": "eu-west-1"}}), "trail.prefix"),
            (json!({"trail": {"bucket": "corp-trail", "prefix": "a/../b", "region": "eu-west-1"}}), "trail.prefix"),
            (json!({"regions": ["eu-west-1", "eu-west-1.evil.example"]}), "no region"),
        ] {
            let error = read(table).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
