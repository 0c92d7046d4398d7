//! Access keys of IAM users: a second one beside the old one, tried by the Security Token Service.
//! It must never touch a root user's keys, nor take a key that it does not know yet for one that does not work.

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use provost_client::{
    Ask, Element, Failure, Web,
    authority::{Pair, SecretOf},
};
use provost_model::{Kind, Order, Reading, Remedy, Slot, Target, Time, Why};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    aws::{
        ASSUME, ASSUMES, Account, WHO, act, form, give_up,
        iam::{VERSION, listed},
        strange, unclear, undone, who,
    },
    given::{Handed, settings::parsed},
    sinks::Checked,
};

const LIST: &str = "POST / Action=ListAccessKeys";
const USED: &str = "POST / Action=GetAccessKeyLastUsed";
const CREATE: &str = "POST / Action=CreateAccessKey";
const UPDATE: &str = "POST / Action=UpdateAccessKey";
const DELETE: &str = "POST / Action=DeleteAccessKey";
/// The parts of a key.
const ID: &str = "access_key_id";
const SECRET: &str = "secret_access_key";
/// How long a new key may be unknown: IAM says of itself that it is eventually consistent.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(2);

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "aws_access_key",
    title: "AWS access keys",
    about: "a second access key of the same IAM user; the old one is switched off, and deleted when nobody missed it",
    kinds: &[Kind::AccessKey],
    remedies: &[Remedy::Rotate, Remedy::Disable, Remedy::Delete],
    way: Way::Overlap { capacity: Some(2) },
    reversible: true,
    removes: true,
    parts: &[ID, SECRET],
    marks: false,
    prepares: false,
    // Last use is told within four hours (IAM User Guide, "Refining permissions using last accessed information").
    lag: Some(4 * 3600),
    acts: &[CREATE, UPDATE, DELETE],
    reads: &[LIST, USED, WHO, ASSUME],
    permissions: &[
        "iam:ListAccessKeys, iam:GetAccessKeyLastUsed, iam:CreateAccessKey, iam:UpdateAccessKey, iam:DeleteAccessKey on the \
         users whose keys are changed, such as arn:aws:iam::*:user/svc/*",
        ASSUMES,
    ],
    checked: Checked::RealServer("moto 5.2, which checks signatures, behind a proxy that refuses keys that are off"),
    example: r#"[[rotations]]
name = "aws-keys"
kind = "aws_access_key"
# The keys by which it acts: of a user or role of its own, not that of the source that looks.
access_key_id = "credential:aws-rotator-id"
secret_access_key = "credential:aws-rotator-key"
# session_token = "credential:aws-rotator-token"            # where those keys are temporary
# role_arn = "arn:aws:iam::123456789012:role/rotates-keys"  # a role that is taken on with those keys
# external_id = "provost"                                   # what that role asks for beside them
# Which partition of AWS, and whose Security Token Service tries new keys.
region = "eu-west-1"
# endpoint = "https://iam.amazonaws.com"                    # another address of IAM
# sts_endpoint = "https://sts.eu-west-1.amazonaws.com"      # another address of the Security Token Service
"#,
    documentation: &[
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id-credentials-access-keys-update.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html",
        "https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

struct AccessKeys {
    account: Account,
    iam: Web,
    /// How long a new key may be unknown, and how long to wait between two tries.
    patience: (Duration, Duration),
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    Ok(Box::new(built(handed)?))
}

fn built(handed: &Handed) -> Result<AccessKeys, String> {
    let (account, rest) = Account::of(handed, Some("us-east-1"))?;
    let Settings {} = parsed(&rest)?;
    let iam = account.way("iam", (&[LIST, USED], SPEC.acts))?;
    Ok(AccessKeys { account, iam, patience: (PATIENCE, PAUSE) })
}

impl AccessKeys {
    /// What IAM says of each key of that user.
    async fn listed(&self, user: &str) -> Result<Vec<Element>, Failure> {
        listed(&self.iam, (LIST, "AccessKeyMetadata"), &[("UserName", user)]).await
    }

    async fn slot(&self, listed: &Element) -> Result<Slot, Failure> {
        let lacks = || Failure::new(LIST, Why::Malformed, "", "a key in the list lacks its id or its status");
        let id = listed.said("AccessKeyId").ok_or_else(lacks)?;
        let active = match listed.said("Status").ok_or_else(lacks)? {
            "Active" => true,
            // One that AWS itself took out of use counts as off too.
            _ => false,
        };
        let made_at = time(listed.said("CreateDate")).map_or(Reading::NotReported, Reading::Known);
        let used_at = self.used(id).await?;
        Ok(Slot { id: id.to_owned(), active, made_at, used_at, mark: None })
    }

    async fn used(&self, id: &str) -> Result<Reading<Time>, Failure> {
        let answer = match self.iam.ask(Ask::post(USED, &[], form(VERSION, &[("AccessKeyId", id)]))).await {
            Err(failure) if failure.why == Why::Denied => return Ok(Reading::NotPermitted),
            answer => answer?,
        };
        let document = answer.xml()?;
        let used = document.find("AccessKeyLastUsed").ok_or_else(|| strange(&answer))?;
        match used.said("LastUsedDate") {
            // The date is left out for a key that was never used, or not since this is recorded (April 2015).
            None => Ok(Reading::Never),
            said => Ok(Reading::Known(time(said).ok_or_else(|| strange(&answer))?)),
        }
    }

    async fn switch(&self, order: &Order, target: &Target, (id, status): (&str, &str)) -> Result<(), ActionError> {
        let fields = [("UserName", user(target)?), ("AccessKeyId", id), ("Status", status)];
        act(&self.iam, order, (UPDATE, form(VERSION, &fields))).await.map(drop).map_err(undone)
    }
}

#[async_trait]
impl Rotator for AccessKeys {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let user = user(target)?;
        self.account.is_of(target).await?;
        let mut slots = Vec::new();
        for listed in self.listed(user).await? {
            slots.push(self.slot(&listed).await?);
        }
        Ok(slots)
    }

    async fn mint(&self, order: &Order, target: &Target, _: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let body = form(VERSION, &[("UserName", user(target)?)]);
        let answer = act(&self.iam, order, (CREATE, body)).await.map_err(undone)?;
        // It was made; that what came back cannot be read changes nothing of that.
        let made = answer.xml().map_err(|failure| unclear(&failure))?;
        let (Some(id), Some(secret)) = (made.said("AccessKeyId"), made.said("SecretAccessKey")) else {
            return Err(unclear(&strange(&answer)));
        };
        let parts = [(ID.to_owned(), SecretString::from(id)), (SECRET.to_owned(), SecretString::from(secret))];
        Ok(Minted { id: id.to_owned(), value: Bundle::new(parts) })
    }

    async fn verify(&self, target: &Target, id: &str, value: &Bundle) -> Result<(), ActionError> {
        use secrecy::ExposeSecret as _;
        let user = user(target)?;
        let (Some(its), Some(secret)) = (value.get(ID), value.get(SECRET)) else {
            return Err(give_up("the value has not both parts of a key"));
        };
        if its.expose_secret().trim() != id {
            return Err(give_up("the value is of another key"));
        }
        let given = |part: &SecretString| -> SecretOf {
            let part = part.clone();
            std::sync::Arc::new(move || Ok(part.clone()))
        };
        let pair = Pair { access_key_id: given(its), secret_access_key: given(secret), session_token: None };
        let sts = self.account.as_another(pair).map_err(|said| give_up(&said))?;
        let (patience, pause) = self.patience;
        let until = Instant::now() + patience;
        let caller = loop {
            match who(&sts).await {
                Ok(caller) => break caller,
                // A new key is not known everywhere at once.
                Err(failure) if failure.why == Why::Unauthenticated && Instant::now() + pause < until => {
                    sleep(pause).await;
                }
                Err(failure) if failure.why == Why::Unauthenticated => return Err(give_up(&failure.to_string())),
                Err(failure) => return Err(failure.into()),
            }
        };
        // `arn:aws:iam::123456789012:user/path/name`.
        if !caller.arn.contains(":user/") || caller.arn.rsplit('/').next() != Some(user) {
            return Err(give_up(&format!("the new key works, and is of {}", caller.arn)));
        }
        Ok(())
    }

    async fn disable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        self.switch(order, target, (id, "Inactive")).await
    }

    async fn enable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        self.switch(order, target, (id, "Active")).await
    }

    async fn delete(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let user = user(target)?;
        let body = form(VERSION, &[("UserName", user), ("AccessKeyId", id)]);
        match act(&self.iam, order, (DELETE, body)).await {
            Ok(_) => Ok(()),
            // IAM says the same where there is no user of that name, and then it is not known whether the key is gone.
            Err(failed) if failed.failure.is_missing() => {
                let keys = self.listed(user).await?;
                let is_there = keys.iter().any(|key| key.said("AccessKeyId") == Some(id));
                if is_there { Err(undone(failed)) } else { Ok(()) }
            }
            Err(failed) => Err(undone(failed)),
        }
    }

    async fn check(&self) -> Result<String, ActionError> {
        let caller = self.account.caller().await?;
        Ok(format!("signs as {}; whether it may change keys is seen when it does", caller.arn))
    }

    fn own(&self) -> Vec<String> {
        self.account.own()
    }
}

/// The user's name. A root user's keys are not for a machine to change.
fn user(target: &Target) -> Result<&str, ActionError> {
    match target.holder_name.as_str() {
        "" => Err(give_up("it is not known whose key it is")),
        "<root_account>" => Err(give_up("keys of the root user are changed by people, or better deleted")),
        name => Ok(name),
    }
}

fn time(said: Option<&str>) -> Option<Time> {
    said?.parse().ok()
}
