//! ECS task definitions: of each family the newest revision, its roles, and which of its variables are credentials.
//! It must never read a revision twice: it cannot change.

use std::collections::BTreeMap;

use provost_client::Failure;
use provost_model::{Cursor, Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;
use serde_json::json;

use super::{
    Found, Here, One,
    environment::{Hidden, Holder, credentials},
};
use crate::aws::{
    authorization::set,
    call::{At, Rpc, or_empty},
    lists::paged,
};

const LIST: Rpc = rpc("ecs:ListTaskDefinitions", "AmazonEC2ContainerServiceV20141113.ListTaskDefinitions");
const DESCRIBE: Rpc = rpc("ecs:DescribeTaskDefinition", "AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition");
/// Most elements of a page.
const PAGE: u32 = 100;

const fn rpc(operation: &'static str, target: &'static str) -> Rpc {
    Rpc { operation, host: "ecs", service: "ecs", target }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    task_definition_arns: Vec<String>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    task_definition: Definition,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    task_role_arn: Option<String>,
    execution_role_arn: Option<String>,
    registered_at: Option<At>,
    registered_by: Option<String>,
    #[serde(default, deserialize_with = "or_empty")]
    container_definitions: Vec<Container>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: Option<String>,
    #[serde(default, deserialize_with = "or_empty")]
    environment: Vec<Variable>,
}

#[derive(Deserialize)]
struct Variable {
    name: Option<String>,
    value: Option<Hidden>,
}

/// Families by the ARN without revision, with their newest active revision.
type Families = BTreeMap<String, u64>;

/// The newest active revision of every family, each family a part; those of last time are not read again.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(LIST.operation, session, |token| async move {
        let mut body = json!({"status": "ACTIVE", "maxResults": PAGE});
        if let (Some(token), Some(body)) = (token, body.as_object_mut()) {
            body.insert("nextToken".to_owned(), json!(token));
        }
        let page: Page = session.rpc(&LIST, region, &body).await?;
        Ok((page.task_definition_arns, page.next_token))
    })
    .await?;
    let families = newest(&all);
    let known = here.cursor.map(read).unwrap_or_default();
    let mut told = known.clone();
    let mut found = Found { by_parts: true, ..Found::default() };
    for family in known.keys().filter(|family| !families.contains_key(*family)) {
        told.remove(family);
        found.parts.push((family.clone(), Vec::new()));
    }
    for (family, revision) in families {
        if !here.full_due && known.get(&family) == Some(&revision) {
            continue;
        }
        let body = json!({"taskDefinition": format!("{family}:{revision}")});
        let described = session.rpc::<Described>(&DESCRIBE, region, &body).await;
        let One::Told(described) = found.each(described)? else { continue };
        found.parts.push((family.clone(), entities(here, &family, described.task_definition)));
        told.insert(family, revision);
    }
    found.cursor = Some(write(&told));
    Ok(found)
}

fn newest(arns: &[String]) -> Families {
    let mut families = Families::new();
    for (family, revision) in arns.iter().filter_map(|arn| arn.rsplit_once(':')) {
        let Ok(revision) = revision.parse() else { continue };
        let newest = families.entry(family.to_owned()).or_insert(revision);
        *newest = revision.max(*newest);
    }
    families
}

fn read(cursor: &Cursor) -> Families {
    let text = String::from_utf8_lossy(&cursor.0);
    let line = |line: &str| line.rsplit_once(' ').and_then(|(family, it)| Some((family.to_owned(), it.parse().ok()?)));
    text.lines().filter_map(line).collect()
}

fn write(families: &Families) -> Vec<u8> {
    let lines: Vec<String> = families.iter().map(|(family, revision)| format!("{family} {revision}")).collect();
    lines.join("\n").into_bytes()
}

fn entities(here: &Here<'_>, family: &str, it: Definition) -> Vec<Entity> {
    let key = Key::new(here.realm.clone(), Kind::Workload, family);
    let name = family.rsplit_once('/').map_or(family, |(_, name)| name);
    let roles: Vec<String> = it.task_role_arn.into_iter().chain(it.execution_role_arn).collect();
    let mut workload = Entity::new(key.clone(), name)
        .with(field::ARN, family.to_owned())
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported)
        .with(field::NATURE, "machine".to_owned())
        .with(field::NATURE_BECAUSE, "an ECS task definition".to_owned())
        .with(field::ASSUMES, roles);
    set(&mut workload, field::MODIFIED_AT, it.registered_at.map(|at| at.0));
    set(&mut workload, field::AUTHORS, it.registered_by.map(|by| vec![by]));
    set(&mut workload, field::AUTHORED_AT, it.registered_at.map(|at| at.0));
    let (mut held, mut names) = (Vec::new(), Vec::new());
    for container in it.container_definitions {
        let below = container.name.unwrap_or_default();
        let variables: BTreeMap<String, Hidden> =
            container.environment.into_iter().filter_map(|it| Some((it.name?, it.value?))).collect();
        let holder = Holder { workload: &key, store_kind: "ecs_task_definition", below: &below };
        held.extend(credentials(here, &holder, &variables));
        names.extend(variables.into_keys());
    }
    names.sort_unstable();
    names.dedup();
    let workload = workload.with(field::ENVIRONMENT_NAMES, names);
    std::iter::once(workload).chain(held).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_family_the_newest_revision_counts_and_a_cursor_leads_back() {
        let arn = |it: &str| format!("arn:aws:ecs:eu-west-1:1:task-definition/{it}");
        let families = newest(&[arn("web:9"), arn("web:10"), arn("job:1"), arn("odd:x"), "odd".to_owned()]);
        assert_eq!(families, [(arn("job"), 1), (arn("web"), 10)].into());
        assert_eq!(read(&Cursor(write(&families))), families);
    }
}
