//! Secrets of AWS Secrets Manager: JSON with fields, whose present version is the one with the label AWSCURRENT.
//! It must never change fields that are not its own, nor move the label away from a version that somebody else put.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use provost_client::Web;
use provost_model::{Order, Warrant as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Destination, DestinationSpec, Holding};
use crate::{
    ActionError, Bundle,
    aws::{
        ASSUME, ASSUMES, Account, WHO, act, asked,
        document::{Document, Fields},
        give_up, json, unclear, undone,
    },
    given::{Handed, settings::parsed},
    sinks::Checked,
};

const GET: &str = "POST / X-Amz-Target=secretsmanager.GetSecretValue";
const DESCRIBE: &str = "POST / X-Amz-Target=secretsmanager.DescribeSecret";
const PUT: &str = "POST / X-Amz-Target=secretsmanager.PutSecretValue";
const MOVE: &str = "POST / X-Amz-Target=secretsmanager.UpdateSecretVersionStage";
/// The label of the version that is read.
const CURRENT: &str = "AWSCURRENT";
/// What the service calls a secret, or a version of it, that is not there.
const NONE: &[&str] = &["ResourceNotFoundException"];
/// What it calls a version of that name with another value.
const TAKEN: &str = "ResourceExistsException";
/// Most names that are tried for a version.
const NAMES: u8 = 8;

/// What this destination is.
pub(super) static SPEC: DestinationSpec = DestinationSpec {
    name: "aws_secrets_manager",
    title: "AWS Secrets Manager",
    about: "fields of a secret that is JSON; consumers ask for it, and come by the new value when they ask again",
    readable: true,
    acts: &[PUT, MOVE],
    reads: &[GET, DESCRIBE, WHO, ASSUME],
    permissions: &[
        "secretsmanager:GetSecretValue, secretsmanager:DescribeSecret, secretsmanager:PutSecretValue, \
         secretsmanager:UpdateSecretVersionStage on that secret",
        "kms:Decrypt, kms:GenerateDataKey where it is encrypted with a key of one's own",
        ASSUMES,
    ],
    checked: Checked::RealServer("moto 5.2, which checks signatures"),
    example: r#"[[rotations.places]]
kind = "aws_secrets_manager"
# The secret's name or ARN. It must be there and have a value, if only {}: a value that was there is what is gone back to.
secret_id = "prod/billing/aws"
# Under which names the parts of the credential are kept. Other fields of the secret stay as they are.
fields = { access_key_id = "AWS_ACCESS_KEY_ID", secret_access_key = "AWS_SECRET_ACCESS_KEY" }
# Where the secret is.
region = "eu-west-1"
# The keys by which it is written.
access_key_id = "credential:aws-places-id"
secret_access_key = "credential:aws-places-key"
# session_token = "credential:aws-places-token"                   # where those keys are temporary
# role_arn = "arn:aws:iam::123456789012:role/writes-secrets"      # a role that is taken on with those keys
# external_id = "provost"                                         # what that role asks for beside them
# endpoint = "https://secretsmanager.eu-west-1.amazonaws.com"     # another address of Secrets Manager
# sts_endpoint = "https://sts.eu-west-1.amazonaws.com"            # another address of the Security Token Service
"#,
    documentation: &[
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html",
        "https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    secret_id: String,
    fields: BTreeMap<String, String>,
}

struct SecretsManager {
    web: Web,
    /// Held for the way to the Security Token Service.
    account: Account,
    secret: String,
    fields: Fields,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Present {
    version_id: String,
    /// None where the value is bytes.
    secret_string: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    name: String,
    deleted_date: Option<f64>,
    #[serde(default)]
    version_ids_to_stages: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Put<'a> {
    secret_id: &'a str,
    client_request_token: &'a str,
    secret_string: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Became {
    version_id: String,
    #[serde(default)]
    version_stages: Vec<String>,
}

fn build(handed: &Handed) -> Result<Box<dyn Destination>, String> {
    let (account, rest) = Account::of(handed, None)?;
    let Settings { secret_id, fields } = parsed(&rest)?;
    if secret_id.is_empty() || secret_id.len() > 2048 {
        return Err("secret_id: expected the secret's name or ARN".to_owned());
    }
    let web = account.way("secretsmanager", (&[GET, DESCRIBE], SPEC.acts))?;
    Ok(Box::new(SecretsManager { web, account, secret: secret_id, fields: Fields::new(fields)? }))
}

impl SecretsManager {
    async fn present(&self) -> Result<Option<Present>, ActionError> {
        asked(&self.web, (GET, &json!({ "SecretId": self.secret, "VersionStage": CURRENT })), NONE).await
    }

    async fn described(&self) -> Result<Described, ActionError> {
        let described = asked(&self.web, (DESCRIBE, &json!({ "SecretId": self.secret })), NONE).await?;
        described.ok_or_else(|| give_up("there is no such secret"))
    }

    /// Moves the label from one version to another. The service refuses if it is not at the first.
    async fn label(&self, order: &Order, (from, to): (&str, &str)) -> Result<(), ActionError> {
        let body = json!({
            "SecretId": self.secret, "VersionStage": CURRENT, "RemoveFromVersionId": from, "MoveToVersionId": to,
        });
        act(&self.web, order, (MOVE, json(&body)?)).await.map(drop).map_err(undone)
    }

    /// What a version is called: the same for the same order and the same version before it, so that a call that arrives
    /// late makes no second one. Never a function of the value.
    fn named(&self, order: &Order, before: &str, number: u8) -> String {
        let (commit, at) = (order.decision().commit(), order.decision().at());
        let text = format!("{commit}\n{at}\n{}\n{before}\n{number}", self.secret);
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let ends = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
        ends.iter().filter_map(|(from, to)| hex.get(*from..*to)).collect::<Vec<_>>().join("-")
    }
}

#[async_trait]
impl Destination for SecretsManager {
    async fn look(&self) -> Result<Holding, ActionError> {
        let Some(present) = self.present().await? else { return Ok(Holding::default()) };
        let document = present.secret_string.as_ref().and_then(|text| Document::parse(text));
        let value = document.and_then(|document| document.value(&self.fields));
        Ok(Holding { version: Some(present.version_id), value })
    }

    async fn put(&self, order: &Order, value: &Bundle, before: Option<&str>) -> Result<String, ActionError> {
        self.fields.fit(value).map_err(|said| give_up(&said))?;
        let present = self.present().await?;
        let present =
            present.ok_or_else(|| give_up("there is no such secret, or it has no value to go back to yet"))?;
        if Some(present.version_id.as_str()) != before {
            return Err(give_up("somebody else put another version there meanwhile"));
        }
        let document = present.secret_string.as_ref().and_then(|text| Document::parse(text));
        let mut document = document.ok_or_else(|| give_up("the secret's value is no JSON with fields"))?;
        let text = document.put(&self.fields, value).and_then(|()| document.text());
        let text = text.ok_or_else(|| give_up("the value cannot be written as JSON"))?;
        for number in 0..NAMES {
            let name = self.named(order, &present.version_id, number);
            let put = Put { secret_id: &self.secret, client_request_token: &name, secret_string: &text };
            let answer = match act(&self.web, order, (PUT, json(&put)?)).await {
                // Put by this order before, and taken back: another value takes another name.
                Err(failed) if failed.failure.code == TAKEN => continue,
                answer => answer.map_err(undone)?,
            };
            let became: Became = answer.json().map_err(|failure| unclear(&failure))?;
            // The same value once more under the same name changes nothing, not even the label.
            if !became.version_stages.iter().any(|it| it == CURRENT) {
                self.label(order, (&present.version_id, &became.version_id)).await?;
            }
            return Ok(became.version_id);
        }
        Err(give_up("every name for a version of this order is taken"))
    }

    async fn restore(&self, order: &Order, before: Option<&str>, ours: &str) -> Result<(), ActionError> {
        let before = before.ok_or_else(|| give_up("there was no version before it, and a secret cannot be emptied"))?;
        let described = self.described().await?;
        let is_at = |version: &str| {
            described.version_ids_to_stages.get(version).is_some_and(|stages| stages.iter().any(|it| it == CURRENT))
        };
        if is_at(before) {
            return Ok(());
        }
        if !is_at(ours) {
            return Err(give_up("somebody else put another version there meanwhile"));
        }
        self.label(order, (ours, before)).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        let caller = self.account.caller().await?;
        let described = self.described().await?;
        if described.deleted_date.is_some() {
            return Err(give_up("the secret is about to be deleted"));
        }
        let Some(present) = self.present().await? else {
            return Err(give_up("the secret has no value yet; {} will do"));
        };
        let is_object = present.secret_string.is_some_and(|text| Document::parse(&text).is_some());
        if !is_object {
            return Err(give_up("the secret's value is no JSON with fields"));
        }
        let whether = "whether it may be written is seen when it is";
        Ok(format!("{} reads the secret {}; {whether}", caller.arn, described.name))
    }
}
