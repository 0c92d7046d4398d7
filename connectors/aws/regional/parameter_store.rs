//! Parameter Store: names and dates of SecureString parameters.
//! It must never ask for a value, nor say of plain parameters anything at all.

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;
use serde_json::json;

use super::{Found, Here};
use crate::aws::{
    authorization::set,
    call::{At, Rpc},
    lists::paged,
};

const DESCRIBE: Rpc =
    Rpc { operation: "ssm:DescribeParameters", host: "ssm", service: "ssm", target: "AmazonSSM.DescribeParameters" };
/// Most elements of a page.
const PAGE: u32 = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    parameters: Vec<Parameter>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    name: String,
    #[serde(rename = "Type")]
    sort: String,
    description: Option<String>,
    last_modified_date: Option<At>,
    last_modified_user: Option<String>,
    version: Option<i64>,
}

/// All SecureString parameters of the region.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(DESCRIBE.operation, session, |token| async move {
        let filter = json!([{"Key": "Type", "Option": "Equals", "Values": ["SecureString"]}]);
        let body = json!({"MaxResults": PAGE, "ParameterFilters": filter, "NextToken": token});
        let page: Page = session.rpc(&DESCRIBE, region, &body).await?;
        Ok((page.parameters, page.next_token))
    })
    .await?;
    let secure = all.into_iter().filter(|it| it.sort == "SecureString");
    Ok(Found::of(secure.map(|it| entity(here, it)).collect()))
}

fn entity(here: &Here<'_>, it: Parameter) -> Entity {
    let arn = here.arn("ssm", &format!("parameter/{}", it.name.trim_start_matches('/')));
    let modified = it.last_modified_date.map(|at| at.0);
    let mut entity = Entity::new(Key::new(here.realm.clone(), Kind::Secret, arn.as_str()), it.name)
        .with(field::ARN, arn)
        .with(field::STORE_KIND, "aws_parameter_store".to_owned())
        .with(field::STATUS, Status::Active)
        .with(field::PLAINTEXT, false)
        .with(field::ROTATION, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported)
        .with(field::EXPIRES_AT, Reading::NotReported);
    set(&mut entity, field::DESCRIPTION, it.description);
    // Every change makes a version, so the last change is the last new value.
    set(&mut entity, field::ROTATED_AT, modified);
    set(&mut entity, field::MODIFIED_AT, modified);
    let is_first = it.version == Some(1);
    entity.facts.set(field::CREATED_AT, modified.filter(|_| is_first).map_or(Reading::NotReported, Reading::Known));
    set(&mut entity, field::CREATED_BY, it.last_modified_user.filter(|_| is_first));
    entity
}
