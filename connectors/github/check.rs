//! What the source's credential may see: each read of an organization tried once, with the smallest page.
//! It must never count a read as granted that was not answered.

use std::collections::BTreeMap;

use provost_client::{Ask, Failure, Patience, Web};
use provost_model::{Reading, Time, Why};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    SPEC, alerts, audit, documents, lists,
    org::{Optional, graph},
    settings::{AsWhom, Settings},
    signing::INSTALLATIONS,
    spec,
    whom::{Place, Whom},
};
use crate::{Access, Check, Verdict};

/// Rights named.
const WORDS: usize = 8;
/// Rows of a page.
const PAGE: u64 = 100;

#[derive(Deserialize)]
struct Answer {
    organization: Option<Organization>,
}

#[derive(Deserialize)]
struct Organization {
    repositories: Repositories,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repositories {
    total_count: u64,
}

/// Everything a check says.
pub(super) async fn access(settings: &Settings, whom: &Whom) -> Access {
    let policy = matches!(settings.as_whom, AsWhom::App { .. }).then(policy);
    let found = match whom.places(settings, Patience::none()).await {
        Ok(found) => found,
        Err(failure) => {
            let checks = vec![line(INSTALLATIONS, Err(&failure))];
            return Access { principal: whom.name(), checks, policy, ..Access::default() };
        }
    };
    let names: Vec<&str> = found.places.iter().map(|place| place.login.as_str()).collect();
    let target = format!("{} of {}", names.join(", "), settings.api.host);
    let mut checks = vec![line(INSTALLATIONS, Ok(()))];
    checks.extend(found.troubles.iter().map(|trouble| Check {
        action: trouble.place.clone(),
        verdict: Verdict::Denied,
        optional: false,
        note: trouble.said.clone(),
    }));
    let (mut cost, mut repositories) = (Vec::new(), 0);
    for place in &found.places {
        let (tried, count) = tried(settings, place).await;
        let several = found.places.len() > 1;
        checks.extend(tried.into_iter().map(|mut check| {
            if several {
                check.action = format!("{} ({})", check.action, place.login);
            }
            check
        }));
        repositories += count.unwrap_or_default();
    }
    if !found.places.is_empty() {
        cost = costs(u64::try_from(found.places.len()).unwrap_or_default(), repositories);
    }
    checks.push(beyond_reading(&found.could_write));
    checks.push(lasting(&found.ends));
    Access { principal: whom.name(), target, checks, cost, policy }
}

/// Every read of an organization, tried once; and how many repositories it has.
async fn tried(settings: &Settings, Place { login, web, .. }: &Place) -> (Vec<Check>, Option<u64>) {
    let mut checks = Vec::new();
    for read in lists::reads().chain([alerts::READ, audit::READ]) {
        let mut ask = Ask::get(read, &[login]).query("per_page", "1");
        if read == alerts::READ {
            ask = ask.query("hide_secret", "true");
        }
        checks.push(line(read, web.ask(ask).await.as_ref().map(drop)));
    }
    let answer = repositories(settings, login, web).await;
    checks.extend(answer.as_ref().ok().into_iter().flat_map(|(_, optional)| optional).filter_map(|it| {
        let note = it.denied.clone()?;
        Some(Check {
            action: format!("{} of repositories", it.variable),
            verdict: Verdict::Denied,
            optional: true,
            note,
        })
    }));
    checks.push(line(documents::name_of(documents::REPOSITORIES), answer.as_ref().map(drop)));
    (checks, answer.ok().map(|(count, _)| count))
}

async fn repositories(settings: &Settings, login: &str, web: &Web) -> Result<(u64, [Optional; 2]), Failure> {
    let mut optional = [Optional::new("keys", &["deployKeys"]), Optional::new("environments", &["environments"])];
    let variables = json!({"login": login, "first": 1, "after": null});
    let read = (settings.api.graphql.as_str(), documents::REPOSITORIES);
    let answer: Answer = graph(web, read, variables, &mut optional).await?;
    let lacks = || Failure::new(read.0, Why::Malformed, "", "the organization is missing in the answer");
    Ok((answer.organization.ok_or_else(lacks)?.repositories.total_count, optional))
}

/// Calls of a run, in words with figures.
fn costs(organizations: u64, repositories: u64) -> Vec<String> {
    let pages = repositories.div_ceil(PAGE).max(organizations);
    // Listings, the log and births in it; members and owners come in pages beside.
    let around = 34 * organizations;
    vec![
        format!("cold: about {} calls, and one for each repository with deploy keys", pages + around),
        format!("warm: about {} calls with the audit log, {} without", 8 * organizations, pages + 18 * organizations),
        format!("sweep: up to 6 calls for each of {repositories} repositories in sweep_every, most of them unchanged"),
    ]
}

/// One line of a check.
fn line(read: &str, answer: Result<(), &Failure>) -> Check {
    let optional = spec::is_optional(read);
    let (verdict, note) = match answer {
        Ok(()) => (Verdict::Granted, String::new()),
        Err(failure) if failure.why == Why::Denied || failure.is_missing() => (Verdict::Denied, failure.said.clone()),
        Err(failure) => (Verdict::Unknown, failure.said.clone()),
    };
    Check { action: read.to_owned(), verdict, optional, note }
}

/// What the credential could do beyond reading.
fn beyond_reading(could_write: &Reading<Vec<String>>) -> Check {
    let (verdict, note) = match could_write {
        Reading::Known(words) if words.is_empty() => (Verdict::Granted, "it may only read".to_owned()),
        Reading::Known(words) => {
            let more = if words.len() > WORDS { ", …" } else { "" };
            let named = words.iter().take(WORDS).map(String::as_str).collect::<Vec<_>>().join(", ");
            (Verdict::Excess, format!("could also: {named}{more}; tokens that are asked for can only read"))
        }
        _ => (Verdict::Unknown, "GitHub does not say what else this token may do".to_owned()),
    };
    Check { action: "beyond reading".to_owned(), verdict, optional: true, note }
}

fn lasting(ends: &Reading<Time>) -> Check {
    let (verdict, note) = match ends {
        Reading::Known(at) => (Verdict::Granted, format!("it ends at {at}")),
        Reading::Never => (Verdict::Granted, "it does not end by itself".to_owned()),
        _ => (Verdict::Unknown, "GitHub does not say when it ends".to_owned()),
    };
    Check { action: "expiry".to_owned(), verdict, optional: true, note }
}

/// The permissions of a GitHub App that sees everything this connector reads, as a manifest has them (GitHub Docs,
/// "Registering a GitHub App from a manifest").
fn policy() -> Value {
    let permissions: BTreeMap<&str, &str> =
        SPEC.permissions.iter().filter_map(|it| it.action.split_once(':')).collect();
    json!({ "default_permissions": permissions })
}
