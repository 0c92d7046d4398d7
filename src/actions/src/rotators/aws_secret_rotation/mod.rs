//! Secrets that AWS rotates itself: it is told to do so now, and looked at until the new version is the present one.
//! It must never ask for a value, nor set rotation up where it is not.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use provost_client::Web;
use provost_model::{Kind, Order, Reading, Remedy, Slot, Target, Time};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    aws::{ASSUME, ASSUMES, Account, WHO, act, asked, give_up, json, unclear, undone},
    given::{Handed, settings::parsed},
    sinks::Checked,
};

const DESCRIBE: &str = "POST / X-Amz-Target=secretsmanager.DescribeSecret";
const VERSIONS: &str = "POST / X-Amz-Target=secretsmanager.ListSecretVersionIds";
const ROTATE: &str = "POST / X-Amz-Target=secretsmanager.RotateSecret";
/// What the service calls a secret that is not there.
const NONE: &[&str] = &["ResourceNotFoundException"];
/// What stands before a saga's id in its mark.
const MARK: &str = "provost ";
/// Most pages of versions. A secret has about a hundred with labels at most.
const PAGES: usize = 10;
/// How long a rotation is waited for in one try. It may take minutes.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(3);

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "aws_secret_rotation",
    title: "Rotation by AWS Secrets Manager",
    about: "the secret's own rotation is begun now; it makes, sets and tries the new value, and nothing leaves AWS",
    kinds: &[Kind::Secret],
    remedies: &[Remedy::Rotate],
    way: Way::InPlace,
    reversible: false,
    removes: false,
    parts: &[],
    marks: true,
    prepares: false,
    // The last use is told as a day (Secrets Manager API reference, `LastAccessedDate`).
    lag: Some(86_400),
    acts: &[ROTATE],
    reads: &[DESCRIBE, VERSIONS, WHO, ASSUME],
    permissions: &[
        "secretsmanager:DescribeSecret, secretsmanager:ListSecretVersionIds, secretsmanager:RotateSecret on those secrets",
        "lambda:InvokeFunction on the function that rotates them",
        ASSUMES,
    ],
    checked: Checked::RealServer("moto 5.2, which checks signatures and rotates at once"),
    example: r#"[[rotations]]
name = "managed-secrets"
kind = "aws_secret_rotation"
# Where the secrets are. They have rotation set up already: it is begun, never set up.
region = "eu-west-1"
# The keys by which it acts: of a user or role of its own, not that of the source that looks.
access_key_id = "credential:aws-rotator-id"
secret_access_key = "credential:aws-rotator-key"
# session_token = "credential:aws-rotator-token"               # where those keys are temporary
# role_arn = "arn:aws:iam::123456789012:role/begins-rotations" # a role that is taken on with those keys
# external_id = "provost"                                      # what that role asks for beside them
# endpoint = "https://secretsmanager.eu-west-1.amazonaws.com"  # another address of Secrets Manager
# sts_endpoint = "https://sts.eu-west-1.amazonaws.com"         # another address of the Security Token Service
"#,
    documentation: &[
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecretVersionIds.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_how.html",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

struct SecretRotation {
    account: Account,
    web: Web,
    region: String,
    patience: (Duration, Duration),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    #[serde(default)]
    rotation_enabled: bool,
    created_date: Option<f64>,
    last_accessed_date: Option<f64>,
    deleted_date: Option<f64>,
    #[serde(default)]
    version_ids_to_stages: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    versions: Vec<Version>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version_id: String,
    #[serde(default)]
    version_stages: Vec<String>,
    created_date: Option<f64>,
    last_accessed_date: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    version_id: String,
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    Ok(Box::new(built(handed)?))
}

fn built(handed: &Handed) -> Result<SecretRotation, String> {
    let (account, rest) = Account::of(handed, None)?;
    let Settings {} = parsed(&rest)?;
    let web = account.way("secretsmanager", (&[DESCRIBE, VERSIONS], SPEC.acts))?;
    let region = account.region().to_owned();
    Ok(SecretRotation { account, web, region, patience: (PATIENCE, PAUSE) })
}

impl SecretRotation {
    async fn described(&self, target: &Target) -> Result<Option<Described>, ActionError> {
        // `arn:aws:secretsmanager:eu-west-1:123456789012:secret:name-a1b2c3`: nobody else ever has the same.
        if target.external_id.split(':').nth(3) != Some(&self.region) {
            return Err(give_up("the secret is not of the region that this entry is for"));
        }
        asked(&self.web, (DESCRIBE, &json!({ "SecretId": target.external_id })), NONE).await
    }

    async fn versions(&self, target: &Target) -> Result<Vec<Version>, ActionError> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut ask = json!({ "SecretId": target.external_id, "MaxResults": 100 });
            if let (Some(token), Some(ask)) = (token.take(), ask.as_object_mut()) {
                ask.insert("NextToken".to_owned(), token.into());
            }
            let page: Option<Page> = asked(&self.web, (VERSIONS, &ask), NONE).await?;
            let Some(page) = page else { return Ok(all) };
            all.extend(page.versions);
            match page.next_token.filter(|it| !it.is_empty()) {
                Some(next) => token = Some(next),
                None => return Ok(all),
            }
        }
        Err(give_up("the list of versions does not end"))
    }
}

impl Version {
    fn slot(self) -> Slot {
        Slot {
            active: has(&self.version_stages, "AWSCURRENT"),
            made_at: self.created_date.map_or(Reading::NotReported, known),
            used_at: self.last_accessed_date.map_or(Reading::Never, known),
            // The saga's id is the version's: see `token`.
            mark: Some(format!("{MARK}{}", self.version_id)),
            id: self.version_id,
        }
    }
}

#[async_trait]
impl Rotator for SecretRotation {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        self.account.is_of(target).await?;
        let Some(described) = self.described(target).await? else { return Ok(Vec::new()) };
        let mut slots = vec![Slot {
            id: target.external_id.clone(),
            active: described.deleted_date.is_none(),
            made_at: described.created_date.map_or(Reading::NotReported, known),
            used_at: described.last_accessed_date.map_or(Reading::Never, known),
            mark: None,
        }];
        slots.extend(self.versions(target).await?.into_iter().map(Version::slot));
        Ok(slots)
    }

    async fn mint(&self, order: &Order, target: &Target, mark: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let token = token(mark).ok_or_else(|| give_up("the mark holds no name for a version"))?;
        let described = self.described(target).await?.ok_or_else(|| give_up("there is no such secret"))?;
        if !described.rotation_enabled {
            // To begin it would set it up too, on a schedule that nobody chose.
            return Err(give_up("rotation is not set up for the secret"));
        }
        let body = json!({ "SecretId": target.external_id, "ClientRequestToken": token });
        let answer = act(&self.web, order, (ROTATE, json(&body)?)).await.map_err(undone)?;
        let begun: Begun = answer.json().map_err(|failure| unclear(&failure))?;
        Ok(Minted { id: begun.version_id, value: Bundle::default() })
    }

    async fn verify(&self, target: &Target, id: &str, _: &Bundle) -> Result<(), ActionError> {
        let (patience, pause) = self.patience;
        let until = Instant::now() + patience;
        loop {
            let described = self.described(target).await?.ok_or_else(|| give_up("there is no such secret"))?;
            let stages = described.version_ids_to_stages.get(id).map(Vec::as_slice).unwrap_or_default();
            if has(stages, "AWSCURRENT") {
                return Ok(());
            }
            if has(stages, "AWSPREVIOUS") {
                return Err(give_up("another version has taken its place already"));
            }
            if Instant::now() + pause >= until {
                let said = "the rotation has begun, and is not at its end".to_owned();
                return Err(ActionError::Retry { after: Some(patience), said });
            }
            sleep(pause).await;
        }
    }

    async fn disable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(give_up("a secret that rotates itself is not switched off"))
    }

    async fn enable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(give_up("a secret that rotates itself is not switched on"))
    }

    async fn delete(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(give_up("its versions are removed by the service itself"))
    }

    async fn check(&self) -> Result<String, ActionError> {
        let caller = self.account.caller().await?;
        Ok(format!("signs as {}; whether it may begin rotations is seen when it does", caller.arn))
    }

    fn own(&self) -> Vec<String> {
        self.account.own()
    }
}

/// What the new version is called: the saga's own id, so that the same saga never begins two rotations (the service takes a
/// token of 32 to 64 signs once).
fn token(mark: &str) -> Option<&str> {
    let id = mark.strip_prefix(MARK)?;
    let sound = |it: char| it.is_ascii_alphanumeric() || it == '-';
    ((32..=64).contains(&id.len()) && id.chars().all(sound)).then_some(id)
}

fn has(stages: &[String], stage: &str) -> bool {
    stages.iter().any(|it| it == stage)
}

/// A time as the JSON protocol has it: seconds, with a fraction.
#[allow(clippy::cast_possible_truncation, reason = "a fraction of a microsecond is nothing, and a cast saturates")]
fn known(seconds: f64) -> Reading<Time> {
    Reading::Known(Time::from_micros((seconds * 1e6) as i64))
}
