//! What the source's credentials may see: each read tried once, with the smallest page.
//! It must never count a read as granted that was not answered.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_iam::types::SummaryKeyType;
use provost_client::{Failure, Mode, at_pace};
use provost_model::{Reading, Time, Why};
use serde_json::json;

use super::{
    SPEC,
    authorization::Authorization,
    organization, regional,
    session::Session,
    settings::{Regions, Settings, Trail},
    trail,
};
use crate::{Access, Check, Verdict};

/// How long the credential's own policies are looked for: in a large account they may come late.
const RIGHTS: Duration = Duration::from_secs(10);
/// Rights named.
const WORDS: usize = 8;

/// Everything a check says.
pub(super) async fn access(session: &Session, settings: &Settings) -> Access {
    let caller = match session.caller().await {
        Ok(caller) => caller,
        Err(failure) => {
            let checks = vec![line("sts:GetCallerIdentity", Err(failure))];
            let policy = Some(policy(settings, "aws"));
            return Access { principal: "unknown".to_owned(), checks, policy, ..Access::default() };
        }
    };
    let wrong = settings.account.as_ref().filter(|expected| **expected != caller.account);
    let target = match wrong {
        Some(expected) => format!("account {}, but this source is meant for {expected}", caller.account),
        None => format!("account {}", caller.account),
    };
    let policy = Some(policy(settings, caller.arn.split(':').nth(1).unwrap_or("aws")));
    let mut checks = vec![line("sts:GetCallerIdentity", Ok(()))];
    let (answers, cost) = tried(session, settings.pace).await;
    checks.extend(answers.into_iter().map(|(operation, answer)| line(operation, answer)));
    if settings.regions != Regions::These(Vec::new()) {
        let beside = regional::tried(session).await;
        checks.extend(beside.into_iter().map(|(operation, answer)| line(operation, answer)));
    }
    if let Some(trail) = &settings.trail {
        checks.push(line("s3:ListBucket", trail::tried(session, trail).await));
    }
    if settings.role_name.is_some() {
        checks.push(line("organizations:ListAccounts", organization::list(session).await.map(drop)));
    }
    let (realm, own) = (caller.realm(), BTreeSet::new());
    let rights = Authorization::new(session, &realm, caller.who(), &own).beyond_reading();
    checks.push(beyond_reading(tokio::time::timeout(RIGHTS, rights).await.ok()));
    checks.push(lasting(&session.lasts()));
    Access { principal: format!("{} (credentials: {})", caller.arn, caller.origin), target, checks, cost, policy }
}

/// Every read of IAM, tried once.
async fn tried(session: &Session, pace: Mode) -> (Vec<(&'static str, Result<(), Failure>)>, Vec<String>) {
    let iam = &session.iam;
    let mut answers = Vec::new();
    let report = session.ask("iam:GenerateCredentialReport", || iam.generate_credential_report().send()).await;
    answers.push(("iam:GenerateCredentialReport", report.map(drop)));
    let report = session.ask("iam:GetCredentialReport", || iam.get_credential_report().send()).await;
    answers.push(("iam:GetCredentialReport", report.map(drop)));
    let operation = "iam:GetAccountAuthorizationDetails";
    let details = session.ask(operation, || iam.get_account_authorization_details().max_items(1).send()).await;
    let listed = details.as_ref().ok().and_then(|page| page.user_detail_list().first()?.user_name.clone());
    answers.push((operation, details.map(drop)));
    let users = session.ask("iam:ListUsers", || iam.list_users().max_items(1).send()).await;
    let named = users.as_ref().ok().and_then(|page| Some(page.users.first()?.user_name.clone()));
    answers.push(("iam:ListUsers", users.map(drop)));
    // A name that nobody has answers as well: not found means that asking is allowed.
    let user = listed.or(named).unwrap_or_else(|| "nobody-of-this-name".to_owned());
    let keys = session.ask("iam:ListAccessKeys", || iam.list_access_keys().user_name(&user).max_items(1).send()).await;
    answers.push(("iam:ListAccessKeys", keys.map(drop)));
    let keys = session.ask("iam:ListSSHPublicKeys", || iam.list_ssh_public_keys().user_name(&user).max_items(1).send());
    answers.push(("iam:ListSSHPublicKeys", keys.await.map(drop)));
    let operation = "iam:ListSigningCertificates";
    let found = session.ask(operation, || iam.list_signing_certificates().user_name(&user).max_items(1).send()).await;
    answers.push((operation, found.map(drop)));
    let operation = "iam:ListVirtualMFADevices";
    answers.push((
        operation,
        session.ask(operation, || iam.list_virtual_mfa_devices().max_items(1).send()).await.map(drop),
    ));
    let operation = "iam:ListServerCertificates";
    answers.push((
        operation,
        session.ask(operation, || iam.list_server_certificates().max_items(1).send()).await.map(drop),
    ));
    let operation = "iam:ListServiceSpecificCredentials";
    let call = || iam.list_service_specific_credentials().all_users(true).max_items(1).send();
    answers.push((operation, session.ask(operation, call).await.map(drop)));
    let operation = "iam:ListSAMLProviders";
    answers.push((operation, session.ask(operation, || iam.list_saml_providers().send()).await.map(drop)));
    let operation = "iam:ListOpenIDConnectProviders";
    let providers = session.ask(operation, || iam.list_open_id_connect_providers().send()).await;
    let first = providers.as_ref().ok().and_then(|page| page.open_id_connect_provider_list().first()?.arn.clone());
    answers.push((operation, providers.map(drop)));
    if let Some(arn) = first {
        let operation = "iam:GetOpenIDConnectProvider";
        let call = || iam.get_open_id_connect_provider().open_id_connect_provider_arn(&arn).send();
        answers.push((operation, session.ask(operation, call).await.map(drop)));
    }
    let operation = "iam:GetAccountSummary";
    let summary = session.ask(operation, || iam.get_account_summary().send()).await;
    let cost = summary.as_ref().ok().and_then(|answer| answer.summary_map.as_ref());
    let cost = cost.map(|summary| self::cost(summary, pace)).unwrap_or_default();
    answers.push((operation, summary.map(drop)));
    (answers, cost)
}

/// What the credential could do beyond reading, as its policies say.
fn beyond_reading(rights: Option<Result<Reading<Vec<String>>, Failure>>) -> Check {
    let advice = "attach only the policy shown, so that this credential cannot write";
    let (verdict, note) = match rights {
        Some(Ok(Reading::Known(words))) if words.is_empty() => {
            (Verdict::Granted, "its policies allow nothing beyond reading".to_owned())
        }
        Some(Ok(Reading::Known(words))) => {
            let more = if words.len() > WORDS { ", …" } else { "" };
            let named = words.iter().take(WORDS).map(String::as_str).collect::<Vec<_>>().join(", ");
            (Verdict::Excess, format!("could also: {named}{more}; {advice}"))
        }
        Some(Ok(_)) => {
            (Verdict::Unknown, format!("the account's details do not tell this credential's rights; {advice}"))
        }
        Some(Err(failure)) => (Verdict::Unknown, format!("its policies cannot be read ({}); {advice}", failure.why)),
        None => (Verdict::Unknown, format!("its policies were not found in time; {advice}")),
    };
    let action = if verdict == Verdict::Granted { "only reading" } else { "write access" };
    Check { action: action.to_owned(), verdict, optional: true, note }
}

fn lasting(lasts: &Reading<Time>) -> Check {
    let (verdict, note) = match lasts {
        Reading::Never => (Verdict::Granted, "needs nobody to renew it".to_owned()),
        Reading::Known(end) => (Verdict::Granted, format!("until {end}, then somebody has to renew it")),
        _ => (Verdict::Unknown, "it may end, and nobody says when".to_owned()),
    };
    Check { action: "lasting credential".to_owned(), verdict, optional: true, note }
}

fn line(operation: &str, answer: Result<(), Failure>) -> Check {
    let why = SPEC.permissions.iter().find(|it| it.action == operation).map_or("as whom it looks", |it| it.why);
    let (verdict, note) = match answer {
        Ok(()) => (Verdict::Granted, why.to_owned()),
        Err(failure) if failure.why == Why::Denied => (Verdict::Denied, why.to_owned()),
        // Allowed, and there is nothing there (yet).
        Err(failure) if is_absence(&failure.code) => (Verdict::Granted, why.to_owned()),
        Err(failure) => (Verdict::Unknown, failure.said),
    };
    Check { action: operation.to_owned(), verdict, optional: SPEC.may_lack(operation), note }
}

fn is_absence(code: &str) -> bool {
    matches!(code, "NoSuchEntity" | "ReportInProgress" | "ReportNotPresent" | "ReportExpired")
        || matches!(code, "CredentialReportNotReadyException" | "CredentialReportNotPresentException")
}

/// Calls of a run, from the counts of the account.
fn cost(summary: &HashMap<SummaryKeyType, i32>, pace: Mode) -> Vec<String> {
    let count = |key: SummaryKeyType| summary.get(&key).copied().unwrap_or(0).max(0);
    let (users, roles) = (count(SummaryKeyType::Users), count(SummaryKeyType::Roles));
    let rest = count(SummaryKeyType::Groups) + count(SummaryKeyType::Policies);
    let bulk = 8 + (users + roles + 999) / 1000 + (rest + 999) / 1000;
    // Keys are the busiest read: one call for each user.
    let took = at_pace(u64::try_from(users).unwrap_or_default(), pace);
    vec![
        format!(
            "cold: {bulk} calls until findings stand, then one for each of at most {users} users with keys, {took}"
        ),
        "without the credential report: one call more for each 1000 second factors, and one for each user".to_owned(),
        format!("warm: {bulk} calls and one for each user whose keys changed"),
        format!("sweep: up to {} calls, spread over sweep_every", i64::from(users) * 3),
        "each region: 12 calls, and one to three for each key, cluster and changed certificate, agent or task"
            .to_owned(),
        "who made what: 4 calls to CloudTrail a run, 36 the first time".to_owned(),
        "who read a secret: 1 to 20 calls to CloudTrail for each region that has secrets".to_owned(),
        "with a trail instead: 1 listing for each region, and 1 call for each file (one every five minutes)".to_owned(),
    ]
}

/// The least policy that allows every read.
fn policy(settings: &Settings, partition: &str) -> serde_json::Value {
    let statement = |sid: &str, optional: bool| {
        let wanted = SPEC.permissions.iter().filter(|it| it.optional == optional).map(|it| it.action);
        // Buckets are named below: nobody needs to read them all.
        let actions: Vec<_> = wanted.filter(|action| !action.starts_with("s3:")).collect();
        json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*"})
    };
    let mut statements = vec![statement("Needed", false), statement("Optional", true)];
    if let Some(Trail { bucket, prefix, .. }) = &settings.trail {
        let bucket = format!("arn:{partition}:s3:::{bucket}");
        let below = json!({"StringLike": {"s3:prefix": format!("{prefix}/*")}});
        let files = format!("{bucket}/{prefix}/*");
        statements.push(json!({"Sid": "TrailList", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": bucket,
            "Condition": below}));
        statements.push(json!({"Sid": "TrailFiles", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": files}));
    }
    if let Some(role) = &settings.role_name {
        let roles = format!("arn:{partition}:iam::*:role/{role}");
        statements.push(json!({"Sid": "Accounts", "Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": roles}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}
