//! Parameters of AWS Systems Manager, encrypted: one value each, whose versions are numbered.
//! It must never write a parameter that is not encrypted, nor one that somebody else changed meanwhile.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use provost_client::Web;
use provost_model::Order;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Destination, DestinationSpec, Holding};
use crate::{
    ActionError, Bundle,
    aws::{
        ASSUME, ASSUMES, Account, WHO, act, asked,
        document::{Document, Fields},
        give_up, is_none, json, unclear, undone,
    },
    given::{Handed, settings::parsed},
    sinks::Checked,
};

const GET: &str = "POST / X-Amz-Target=AmazonSSM.GetParameter";
const DESCRIBE: &str = "POST / X-Amz-Target=AmazonSSM.DescribeParameters";
const PUT: &str = "POST / X-Amz-Target=AmazonSSM.PutParameter";
const DELETE: &str = "POST / X-Amz-Target=AmazonSSM.DeleteParameter";
/// The type of an encrypted one.
const SECURE: &str = "SecureString";
/// What the service calls a parameter, or a version of it, that is not there.
const NONE: &[&str] = &["ParameterNotFound"];
const NO_VERSION: &[&str] = &["ParameterNotFound", "ParameterVersionNotFound"];

/// What this destination is.
pub(super) static SPEC: DestinationSpec = DestinationSpec {
    name: "aws_ssm_parameter",
    title: "AWS Systems Manager Parameter Store",
    about: "an encrypted parameter, with one part of the credential or JSON with all of them; consumers ask for it",
    readable: true,
    acts: &[PUT, DELETE],
    reads: &[GET, DESCRIBE, WHO, ASSUME],
    permissions: &[
        "ssm:GetParameter, ssm:PutParameter on that parameter; ssm:DescribeParameters; ssm:DeleteParameter only where \
         there was none before",
        "kms:Decrypt, kms:Encrypt where it is encrypted with a key of one's own",
        ASSUMES,
    ],
    checked: Checked::RealServer("moto 5.2, which checks signatures"),
    example: r#"[[rotations.places]]
kind = "aws_ssm_parameter"
# The parameter's name. It is made where it is not there yet, always encrypted.
parameter = "/prod/billing/aws"
# JSON with these fields; other fields stay as they are.
fields = { access_key_id = "AWS_ACCESS_KEY_ID", secret_access_key = "AWS_SECRET_ACCESS_KEY" }
# part = "secret_access_key"                                # instead: this part alone, as it is
# kms_key_id = "alias/secrets"                              # with which key it is encrypted where it is made
# Where the parameter is.
region = "eu-west-1"
# The keys by which it is written.
access_key_id = "credential:aws-places-id"
secret_access_key = "credential:aws-places-key"
# session_token = "credential:aws-places-token"             # where those keys are temporary
# role_arn = "arn:aws:iam::123456789012:role/writes-places" # a role that is taken on with those keys
# external_id = "provost"                                   # what that role asks for beside them
# endpoint = "https://ssm.eu-west-1.amazonaws.com"          # another address of Systems Manager
# sts_endpoint = "https://sts.eu-west-1.amazonaws.com"      # another address of the Security Token Service
"#,
    documentation: &[
        "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html",
        "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html",
        "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html",
        "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html",
        "https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    parameter: String,
    fields: Option<BTreeMap<String, String>>,
    part: Option<String>,
    kms_key_id: Option<String>,
}

/// What stands in the parameter.
enum Form {
    /// JSON with these fields.
    Fields(Fields),
    /// One part of the credential and nothing else.
    Part(String),
}

struct Parameter {
    web: Web,
    account: Account,
    name: String,
    form: Form,
    kms_key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Got {
    parameter: Present,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Present {
    r#type: String,
    value: Zeroizing<String>,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    parameters: Vec<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    name: String,
    key_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Put<'a> {
    name: &'a str,
    r#type: &'static str,
    value: &'a str,
    overwrite: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Became {
    version: i64,
}

fn build(handed: &Handed) -> Result<Box<dyn Destination>, String> {
    let (account, rest) = Account::of(handed, None)?;
    let settings: Settings = parsed(&rest)?;
    let sound = |it: char| it.is_ascii_alphanumeric() || "_.-/".contains(it);
    let name = settings.parameter;
    if name.is_empty() || name.len() > 1011 || !name.chars().all(sound) {
        return Err("parameter: expected a name such as /prod/billing/aws".to_owned());
    }
    let form = match (settings.fields, settings.part) {
        (Some(fields), None) => Form::Fields(Fields::new(fields)?),
        (None, Some(part)) if !part.is_empty() => Form::Part(part),
        _ => return Err("expected either `fields` or `part`".to_owned()),
    };
    let web = account.way("ssm", (&[GET, DESCRIBE], SPEC.acts))?;
    Ok(Box::new(Parameter { web, account, name, form, kms_key_id: settings.kms_key_id }))
}

impl Form {
    fn value(&self, text: &str) -> Option<Bundle> {
        match self {
            Form::Fields(fields) => Document::parse(text)?.value(fields),
            Form::Part(part) => Some(Bundle::new([(part.clone(), SecretString::from(text))])),
        }
    }

    /// What is written instead of that text.
    fn text(&self, value: &Bundle, before: Option<&str>) -> Result<Zeroizing<String>, ActionError> {
        match self {
            Form::Part(part) => {
                let text = value.get(part).map(|text| Zeroizing::new(text.expose_secret().to_owned()));
                text.ok_or_else(|| give_up(&format!("the value has no part {part}")))
            }
            Form::Fields(fields) => {
                fields.fit(value).map_err(|said| give_up(&said))?;
                let document = before.map_or_else(|| Some(Document::default()), Document::parse);
                let mut document = document.ok_or_else(|| give_up("the parameter's value is no JSON with fields"))?;
                let text = document.put(fields, value).and_then(|()| document.text());
                text.ok_or_else(|| give_up("the value cannot be written as JSON"))
            }
        }
    }
}

impl Parameter {
    /// What is there, or was there in that version.
    async fn at(&self, version: Option<&str>) -> Result<Option<Present>, ActionError> {
        let name = version.map_or_else(|| self.name.clone(), |version| format!("{}:{version}", self.name));
        let none = if version.is_some() { NO_VERSION } else { NONE };
        let got: Option<Got> = asked(&self.web, (GET, &json!({ "Name": name, "WithDecryption": true })), none).await?;
        Ok(got.map(|it| it.parameter))
    }

    /// With which key it is encrypted: one that is not named when it is written again is exchanged for AWS's own.
    async fn key(&self) -> Result<Option<String>, ActionError> {
        let filter = json!({ "ParameterFilters": [{ "Key": "Name", "Option": "Equals", "Values": [self.name] }] });
        let described: Option<Described> = asked(&self.web, (DESCRIBE, &filter), &[]).await?;
        let found = described.and_then(|it| it.parameters.into_iter().find(|it| it.name == self.name));
        let found = found.ok_or_else(|| give_up("the parameter's key is not told"))?;
        Ok(found.key_id)
    }

    async fn write(&self, order: &Order, text: &str, overwrite: bool) -> Result<String, ActionError> {
        let key = if overwrite { self.key().await? } else { self.kms_key_id.clone() };
        let put = Put { name: &self.name, r#type: SECURE, value: text, overwrite, key_id: key.as_deref() };
        let answer = act(&self.web, order, (PUT, json(&put)?)).await.map_err(undone)?;
        let became: Became = answer.json().map_err(|failure| unclear(&failure))?;
        Ok(became.version.to_string())
    }
}

#[async_trait]
impl Destination for Parameter {
    async fn look(&self) -> Result<Holding, ActionError> {
        let Some(present) = self.at(None).await? else { return Ok(Holding::default()) };
        Ok(Holding { version: Some(present.version.to_string()), value: self.form.value(&present.value) })
    }

    async fn put(&self, order: &Order, value: &Bundle, before: Option<&str>) -> Result<String, ActionError> {
        let present = self.at(None).await?;
        let version = present.as_ref().map(|it| it.version.to_string());
        if version.as_deref() != before {
            return Err(give_up("somebody else put another version there meanwhile"));
        }
        if present.as_ref().is_some_and(|it| it.r#type != SECURE) {
            return Err(give_up("the parameter is not encrypted: it is no SecureString"));
        }
        let text = self.form.text(value, present.as_ref().map(|it| it.value.as_str()))?;
        self.write(order, &text, present.is_some()).await
    }

    async fn restore(&self, order: &Order, before: Option<&str>, ours: &str) -> Result<(), ActionError> {
        let present = self.at(None).await?;
        let changed = || give_up("somebody else put another version there meanwhile");
        let Some(before) = before else {
            return match present {
                None => Ok(()),
                Some(present) if present.version.to_string() == ours => {
                    let body = json!({ "Name": self.name });
                    match act(&self.web, order, (DELETE, json(&body)?)).await {
                        Err(failed) if is_none(&failed.failure, NONE) => Ok(()),
                        answer => answer.map(drop).map_err(undone),
                    }
                }
                Some(_) => Err(changed()),
            };
        };
        let present = present.ok_or_else(changed)?;
        let former = self.at(Some(before)).await?;
        let former = former.ok_or_else(|| give_up("the version before it is not kept any more"))?;
        // A version never comes back: what it had does, as another one.
        if present.version.to_string() != ours {
            return if present.value == former.value { Ok(()) } else { Err(changed()) };
        }
        self.write(order, &former.value, true).await.map(drop)
    }

    async fn check(&self) -> Result<String, ActionError> {
        let caller = self.account.caller().await?;
        let found = match self.at(None).await? {
            None => "would be made",
            Some(present) if present.r#type != SECURE => return Err(give_up("the parameter is no SecureString")),
            Some(_) => "is read",
        };
        let whether = "whether it may be written is seen when it is";
        Ok(format!("{}: the parameter {} {found}; {whether}", caller.arn, self.name))
    }
}
