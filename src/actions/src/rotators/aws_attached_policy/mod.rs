//! Managed policies of IAM that are attached to a user, a role or a group: detached, and attached again.
//! It must only touch the one policy that it is set up for, and nobody who merely has the same name by now.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use provost_client::{Ask, Web};
use provost_model::{Kind, Order, Reading, Remedy, Slot, Target};
use serde::Deserialize;

use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    aws::{
        ASSUME, ASSUMES, Account, WHO, act, form, give_up,
        iam::{VERSION, listed},
        strange, undone,
    },
    given::{Handed, settings::parsed},
    sinks::Checked,
};

const READS: &[&str] = &[USER.get, ROLE.get, GROUP.get, USER.list, ROLE.list, GROUP.list];

/// The calls of one sort of holder, and what they call it.
struct Calls {
    get: &'static str,
    list: &'static str,
    attach: &'static str,
    detach: &'static str,
    /// The field with its name.
    name: &'static str,
    /// The element with its id.
    id: &'static str,
}

const USER: Calls = Calls {
    get: "POST / Action=GetUser",
    list: "POST / Action=ListAttachedUserPolicies",
    attach: "POST / Action=AttachUserPolicy",
    detach: "POST / Action=DetachUserPolicy",
    name: "UserName",
    id: "UserId",
};

const ROLE: Calls = Calls {
    get: "POST / Action=GetRole",
    list: "POST / Action=ListAttachedRolePolicies",
    attach: "POST / Action=AttachRolePolicy",
    detach: "POST / Action=DetachRolePolicy",
    name: "RoleName",
    id: "RoleId",
};

const GROUP: Calls = Calls {
    get: "POST / Action=GetGroup",
    list: "POST / Action=ListAttachedGroupPolicies",
    attach: "POST / Action=AttachGroupPolicy",
    detach: "POST / Action=DetachGroupPolicy",
    name: "GroupName",
    id: "GroupId",
};

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "aws_attached_policy",
    title: "AWS managed policies",
    about: "one managed policy is detached from a user, a role or a group, and attached again where somebody misses it",
    kinds: &[Kind::User, Kind::ServiceAccount, Kind::Role, Kind::Group],
    remedies: &[Remedy::Restrict],
    way: Way::InPlace,
    reversible: true,
    removes: false,
    parts: &[],
    marks: false,
    prepares: false,
    lag: None,
    acts: &[USER.attach, USER.detach, ROLE.attach, ROLE.detach, GROUP.attach, GROUP.detach],
    reads: &[USER.get, USER.list, ROLE.get, ROLE.list, GROUP.get, GROUP.list, WHO, ASSUME],
    permissions: &[
        "iam:GetUser, iam:ListAttachedUserPolicies, iam:AttachUserPolicy, iam:DetachUserPolicy on the users it changes",
        "the same of Role and Group, on the roles and groups it changes; the condition iam:PolicyARN keeps it to the policy",
        ASSUMES,
    ],
    checked: Checked::RealServer("moto 5.2, which checks signatures"),
    example: r#"[[rotations]]
name = "no-more-admins"
kind = "aws_attached_policy"
# The managed policy that is detached. Inline policies are not touched.
policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess"
# The keys by which it acts: of a user or role of its own, not that of the source that looks.
access_key_id = "credential:aws-rotator-id"
secret_access_key = "credential:aws-rotator-key"
# session_token = "credential:aws-rotator-token"            # where those keys are temporary
# role_arn = "arn:aws:iam::123456789012:role/restricts"     # a role that is taken on with those keys
# external_id = "provost"                                   # what that role asks for beside them
# Which partition of AWS, and whose Security Token Service is asked.
region = "eu-west-1"
# endpoint = "https://iam.amazonaws.com"                    # another address of IAM
# sts_endpoint = "https://sts.eu-west-1.amazonaws.com"      # another address of the Security Token Service
"#,
    documentation: &[
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAttachedUserPolicies.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_DetachUserPolicy.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachUserPolicy.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_DetachRolePolicy.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_DetachGroupPolicy.html",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    policy_arn: String,
}

struct AttachedPolicy {
    account: Account,
    iam: Web,
    policy: String,
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let (account, rest) = Account::of(handed, Some("us-east-1"))?;
    let Settings { policy_arn } = parsed(&rest)?;
    if !policy_arn.starts_with("arn:") || !policy_arn.contains(":policy/") {
        return Err("policy_arn: expected the ARN of a managed policy".to_owned());
    }
    let iam = account.way("iam", (READS, SPEC.acts))?;
    Ok(Box::new(AttachedPolicy { account, iam, policy: policy_arn }))
}

fn calls(target: &Target) -> Result<&'static Calls, ActionError> {
    match target.kind {
        Kind::User | Kind::ServiceAccount => Ok(&USER),
        Kind::Role => Ok(&ROLE),
        Kind::Group => Ok(&GROUP),
        _ => Err(give_up("no policy is attached to such a thing")),
    }
}

impl AttachedPolicy {
    /// The calls for the target, once it is known that its name still leads to it.
    async fn found(&self, target: &Target) -> Result<&'static Calls, ActionError> {
        let calls = calls(target)?;
        if target.name.is_empty() {
            return Err(give_up("its name is not known"));
        }
        let answer = self.iam.ask(Ask::post(calls.get, &[], form(VERSION, &[(calls.name, &target.name)]))).await?;
        let document = answer.xml()?;
        let id = document.said(calls.id).ok_or_else(|| strange(&answer))?;
        if id != target.external_id {
            return Err(give_up("its name belongs to somebody else by now"));
        }
        Ok(calls)
    }

    async fn attached(&self, calls: &Calls, name: &str) -> Result<bool, ActionError> {
        let policies = listed(&self.iam, (calls.list, "AttachedPolicies"), &[(calls.name, name)]).await?;
        Ok(policies.iter().any(|it| it.said("PolicyArn") == Some(&self.policy)))
    }
}

#[async_trait]
impl Rotator for AttachedPolicy {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        self.account.is_of(target).await?;
        let calls = self.found(target).await?;
        let active = self.attached(calls, &target.name).await?;
        let (made_at, used_at) = (Reading::NotReported, Reading::NotReported);
        Ok(vec![Slot { id: target.external_id.clone(), active, made_at, used_at, mark: None }])
    }

    async fn mint(&self, _: &Order, _: &Target, _: &str, _: &Bundle) -> Result<Minted, ActionError> {
        Err(give_up("a policy is not replaced"))
    }

    async fn verify(&self, _: &Target, _: &str, _: &Bundle) -> Result<(), ActionError> {
        Err(give_up("there is nothing to try"))
    }

    async fn disable(&self, order: &Order, target: &Target, _: &str) -> Result<(), ActionError> {
        let calls = self.found(target).await?;
        let body = form(VERSION, &[(calls.name, &target.name), ("PolicyArn", &self.policy)]);
        match act(&self.iam, order, (calls.detach, body)).await {
            Ok(_) => Ok(()),
            // IAM says so of a policy that is not attached, and of one that is not there.
            Err(failed) if failed.failure.is_missing() && !self.attached(calls, &target.name).await? => Ok(()),
            Err(failed) => Err(undone(failed)),
        }
    }

    async fn enable(&self, order: &Order, target: &Target, _: &str) -> Result<(), ActionError> {
        let calls = self.found(target).await?;
        let body = form(VERSION, &[(calls.name, &target.name), ("PolicyArn", &self.policy)]);
        act(&self.iam, order, (calls.attach, body)).await.map(drop).map_err(undone)
    }

    async fn delete(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(give_up("a policy is detached and not deleted"))
    }

    async fn check(&self) -> Result<String, ActionError> {
        let caller = self.account.caller().await?;
        Ok(format!("signs as {}; whether it may detach {} is seen when it does", caller.arn, self.policy))
    }

    fn own(&self) -> Vec<String> {
        self.account.own()
    }
}
