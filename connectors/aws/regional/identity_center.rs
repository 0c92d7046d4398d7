//! Identity Center: applications that people and programs sign in to through it.
//! It must never ask a region's instance for more than its applications.

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Status, field};
use serde::Deserialize;
use serde_json::json;

use super::{Found, Here};
use crate::aws::{
    authorization::set,
    call::{At, Rpc},
    lists::paged,
};

const INSTANCES: Rpc = rpc("sso:ListInstances", "SWBExternalService.ListInstances");
const APPLICATIONS: Rpc = rpc("sso:ListApplications", "SWBExternalService.ListApplications");
/// Most elements of a page.
const PAGE: u32 = 100;

const fn rpc(operation: &'static str, target: &'static str) -> Rpc {
    Rpc { operation, host: "sso", service: "sso", target }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instances {
    instances: Vec<Instance>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    instance_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Applications {
    applications: Vec<Application>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Application {
    application_arn: String,
    application_provider_arn: Option<String>,
    name: Option<String>,
    description: Option<String>,
    status: Option<String>,
    created_date: Option<At>,
    portal_options: Option<Portal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Portal {
    sign_in_options: Option<SignIn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SignIn {
    application_url: Option<String>,
}

/// All applications of the region's instances; most regions have none.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let instances = paged(INSTANCES.operation, session, |token| async move {
        let page: Instances = session.rpc(&INSTANCES, region, &page_of(token, None)).await?;
        Ok((page.instances, page.next_token))
    })
    .await?;
    let mut found = Found::default();
    for instance in instances {
        let arn = instance.instance_arn.as_str();
        let all = paged(APPLICATIONS.operation, session, |token| async move {
            let page: Applications = session.rpc(&APPLICATIONS, region, &page_of(token, Some(arn))).await?;
            Ok((page.applications, page.next_token))
        })
        .await?;
        found.entities.extend(all.into_iter().map(|it| entity(here, it)));
    }
    Ok(found)
}

fn page_of(token: Option<String>, instance: Option<&str>) -> serde_json::Value {
    let mut body = serde_json::Map::new();
    body.insert("MaxResults".to_owned(), json!(PAGE));
    body.extend(token.map(|token| ("NextToken".to_owned(), json!(token))));
    body.extend(instance.map(|arn| ("InstanceArn".to_owned(), json!(arn))));
    body.into()
}

fn entity(here: &Here<'_>, it: Application) -> Entity {
    let name = it.name.filter(|name| !name.is_empty()).unwrap_or_else(|| it.application_arn.clone());
    let status = match it.status.as_deref() {
        Some("ENABLED") => Status::Active,
        Some("DISABLED") => Status::Inactive,
        _ => Status::Unknown,
    };
    let mut entity = Entity::new(Key::new(here.realm.clone(), Kind::Application, it.application_arn.as_str()), name)
        .with(field::ARN, it.application_arn)
        .with(field::STATUS, status);
    set(&mut entity, field::DESCRIPTION, it.description.filter(|it| !it.is_empty()));
    set(&mut entity, field::CREATED_AT, it.created_date.map(|at| at.0));
    set(&mut entity, field::SERVICE, it.application_provider_arn);
    let url = it.portal_options.and_then(|it| it.sign_in_options).and_then(|it| it.application_url);
    set(&mut entity, field::URL, url.as_deref().and_then(bare));
    entity
}

/// The address without user, query and fragment.
fn bare(url: &str) -> Option<String> {
    let mut url = url::Url::parse(url).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only for addresses that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(url.into())
}
