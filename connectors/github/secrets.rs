//! Secrets and variables of Actions, Dependabot and Codespaces: their names and dates, wherever they are held.
//! It must never keep the value of a variable: what looks like a credential leaves a fingerprint, the rest nothing.

use provost_model::{Entity, Facts, Key, Kind, Reading, Status, Time, field};
use serde::Deserialize;
use serde_json::Value;

use super::{listing::Seen, org::Org, said::Said};
use crate::host::{
    environment::{self, Pair},
    found::Finds,
    value::is_aws_key_id,
};

/// The product that hands the secret out, as it stands in GitHub's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    Actions,
    Dependabot,
    Codespaces,
}

/// Who holds it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder<'a> {
    Organization,
    Repository { id: u64, name: &'a str },
    Environment { id: u64, name: &'a str, environment: &'a str },
}

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    created_at: Said<String>,
    #[serde(default)]
    updated_at: Said<String>,
    #[serde(default)]
    visibility: Said<String>,
    /// Of variables only.
    #[serde(default)]
    value: Said<String>,
}

impl Product {
    fn word(self) -> &'static str {
        match self {
            Product::Actions => "actions",
            Product::Dependabot => "dependabot",
            Product::Codespaces => "codespaces",
        }
    }
}

pub(super) fn actions(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    Ok(vec![secret(seen.org, Product::Actions, Holder::Organization, row)?])
}

pub(super) fn dependabot(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    Ok(vec![secret(seen.org, Product::Dependabot, Holder::Organization, row)?])
}

pub(super) fn codespaces(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    Ok(vec![secret(seen.org, Product::Codespaces, Holder::Organization, row)?])
}

pub(super) fn variables(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    Ok(variable(seen.org, Holder::Organization, row)?.into_iter().collect())
}

/// A secret of that product and holder. Its value is nobody's to read.
pub(super) fn secret(
    org: &Org<'_>,
    product: Product,
    holder: Holder<'_>,
    row: Value,
) -> Result<Entity, serde_json::Error> {
    let it: Row = serde_json::from_value(row)?;
    let external = external(org, holder, product.word(), ("secrets", &it.name));
    let creator = org.changes.creator(&external).map(str::to_owned);
    let facts = Facts::new()
        .with(field::CREDENTIAL_TYPE, format!("{}_secret", product.word()))
        .with(field::STORE_KIND, format!("github_{}", product.word()))
        .with(field::PLAINTEXT, false);
    let mut entity = held(org, (external, holder), it, facts);
    if let Some(by) = creator {
        entity.facts.set(field::CREATED_BY, by);
    }
    Ok(entity)
}

/// A variable, if it holds a credential or the public half of one: others are settings, and no business of an inventory of
/// credentials.
pub(super) fn variable(org: &Org<'_>, holder: Holder<'_>, row: Value) -> Result<Option<Entity>, serde_json::Error> {
    let mut it: Row = serde_json::from_value(row)?;
    let value = zeroize::Zeroizing::new(std::mem::take(&mut it.value).is().unwrap_or_default());
    let mut facts = Facts::new();
    if is_aws_key_id(&value) {
        facts.set(field::CREDENTIAL_TYPE, "aws_access_key_id".to_owned());
        facts.set(field::KEY_ID, value.to_string());
        facts.set(field::OPENS, value.to_string());
    } else {
        let mut finds = Finds::new(org.fingerprints, Time::default());
        environment::search(&[Pair::new("", &it.name, &value)], None, &mut finds);
        let Some(found) = finds.finish().0.pop() else { return Ok(None) };
        facts = found.facts;
    }
    facts.set(field::STORE_KIND, "variable".to_owned());
    let external = external(org, holder, "actions", ("variables", &it.name));
    Ok(Some(held(org, (external, holder), it, facts)))
}

fn external(org: &Org<'_>, holder: Holder<'_>, product: &str, (sort, name): (&str, &str)) -> String {
    match holder {
        Holder::Organization => format!("orgs/{}/{product}/{sort}/{name}", org.id),
        Holder::Repository { id, .. } => format!("repos/{id}/{product}/{sort}/{name}"),
        // The name of an environment may hold a slash.
        Holder::Environment { id, environment, .. } => {
            format!("repos/{id}/environments/{}/{sort}/{name}", environment.replace('%', "%25").replace('/', "%2F"))
        }
    }
}

fn held(org: &Org<'_>, (external, holder): (String, Holder<'_>), it: Row, facts: Facts) -> Entity {
    let mut entity = Entity::new(Key::new(org.realm.clone(), Kind::Secret, external), it.name)
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::CREATED_AT, it.created_at.dated())
        .with(field::ROTATED_AT, it.updated_at.dated())
        .with(field::LAST_USED_AT, Reading::NotReported);
    for (field, reading) in facts.iter() {
        entity.facts.set_value(field, reading.clone());
    }
    entity.facts.set(field::STATUS, Status::Active);
    match holder {
        Holder::Organization => {
            entity.with(field::REACH, it.visibility.reading()).with(field::LOCATION, org.login.clone())
        }
        Holder::Repository { id, name } => {
            entity.with(field::LOCATION, format!("{}/{name}", org.login)).of(org.repository(id))
        }
        Holder::Environment { id, name, environment } => entity
            .with(field::LOCATION, format!("{}/{name}/environments/{environment}", org.login))
            .with(field::ENVIRONMENT, environment.to_owned())
            .of(org.repository(id)),
    }
}
