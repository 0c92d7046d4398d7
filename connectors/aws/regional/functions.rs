//! Lambda functions: as which role each acts, and which of its environment variables are credentials.
//! It must never read a function's code, nor keep what its variables hold.

use std::collections::BTreeMap;

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;

use super::{
    Found, Here,
    environment::{Hidden, Holder, credentials},
};
use crate::aws::{
    authorization::set,
    call::{At, Rest, with_query},
    lists::paged,
};

const LIST: Rest = Rest { operation: "lambda:ListFunctions", host: "lambda", service: "lambda", method: "GET" };

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    functions: Vec<Function>,
    next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Function {
    function_name: String,
    function_arn: String,
    role: Option<String>,
    description: Option<String>,
    last_modified: Option<At>,
    state: Option<String>,
    environment: Option<Environment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    variables: Option<BTreeMap<String, Hidden>>,
    error: Option<serde::de::IgnoredAny>,
}

/// All functions of the region with their environments.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(LIST.operation, session, |marker| async move {
        let path = with_query("/2015-03-31/functions", &[("Marker", marker.as_deref())]);
        let page: Page = session.rest(&LIST, region, (&path, None)).await?;
        Ok((page.functions, page.next_marker.filter(|marker| !marker.is_empty())))
    })
    .await?;
    Ok(Found::of(all.into_iter().flat_map(|it| entities(here, it)).collect()))
}

fn entities(here: &Here<'_>, it: Function) -> Vec<Entity> {
    let key = Key::new(here.realm.clone(), Kind::Workload, it.function_arn.as_str());
    let status = match it.state.as_deref() {
        // Inactive functions sleep until they are called.
        Some("Active" | "Inactive") | None => Status::Active,
        Some("Pending" | "Failed") => Status::Inactive,
        Some(_) => Status::Unknown,
    };
    let mut workload = Entity::new(key.clone(), it.function_name)
        .with(field::ARN, it.function_arn)
        .with(field::STATUS, status)
        .with(field::CREATED_AT, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported)
        .with(field::NATURE, "machine".to_owned())
        .with(field::NATURE_BECAUSE, "a Lambda function".to_owned())
        .with(field::ASSUMES, it.role.into_iter().collect::<Vec<_>>());
    set(&mut workload, field::DESCRIPTION, it.description.filter(|it| !it.is_empty()));
    set(&mut workload, field::MODIFIED_AT, it.last_modified.map(|at| at.0));
    let mut held = Vec::new();
    let names = match it.environment {
        None => Reading::Known(Vec::new()),
        // The variables are encrypted with a key that these eyes may not use.
        Some(Environment { error: Some(_), .. }) => Reading::NotPermitted,
        Some(Environment { variables, error: None }) => {
            let variables = variables.unwrap_or_default();
            let holder = Holder { workload: &key, store_kind: "lambda_environment", below: "" };
            held = credentials(here, &holder, &variables);
            Reading::Known(variables.into_keys().collect())
        }
    };
    let workload = workload.with(field::ENVIRONMENT_NAMES, names);
    std::iter::once(workload).chain(held).collect()
}
