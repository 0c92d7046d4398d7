//! EKS: clusters with the issuer of their tokens, and which of their service accounts act as which roles.
//! It must never ask a cluster itself: only what AWS keeps of it is read.

use std::collections::BTreeMap;

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;

use super::{Found, Here, One};
use crate::aws::{
    authorization::set,
    call::{At, Rest, or_empty, with_query},
    lists::paged,
};

const CLUSTERS: Rest = rest("eks:ListClusters");
const CLUSTER: Rest = rest("eks:DescribeCluster");
const ASSOCIATIONS: Rest = rest("eks:ListPodIdentityAssociations");
const ASSOCIATION: Rest = rest("eks:DescribePodIdentityAssociation");

const fn rest(operation: &'static str) -> Rest {
    Rest { operation, host: "eks", service: "eks", method: "GET" }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Clusters {
    clusters: Vec<String>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Described {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    arn: String,
    name: String,
    created_at: Option<At>,
    role_arn: Option<String>,
    status: Option<String>,
    identity: Option<Identity>,
    #[serde(default, deserialize_with = "or_empty")]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Identity {
    oidc: Option<Oidc>,
}

#[derive(Deserialize)]
struct Oidc {
    issuer: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Associations {
    associations: Vec<Listed>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    association_id: String,
    association_arn: String,
    namespace: String,
    service_account: String,
}

#[derive(Deserialize)]
struct DescribedAssociation {
    association: Association,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Association {
    role_arn: Option<String>,
    target_role_arn: Option<String>,
    created_at: Option<At>,
    modified_at: Option<At>,
    #[serde(default, deserialize_with = "or_empty")]
    tags: BTreeMap<String, String>,
}

/// All clusters of the region, and the service accounts that act as roles in each.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let names = paged(CLUSTERS.operation, session, |token| async move {
        let page: Clusters = session.rest(&CLUSTERS, region, (&with_query("/clusters", &[next(&token)]), None)).await?;
        Ok((page.clusters, page.next_token))
    })
    .await?;
    let mut found = Found::default();
    for name in names {
        let path = format!("/clusters/{name}");
        let described = session.rest::<Described>(&CLUSTER, region, (&path, None)).await;
        let issuer = match found.each(described)? {
            One::Passed => continue,
            One::Refused => {
                let arn = here.arn("eks", &format!("cluster/{name}"));
                let entity = workload(here, arn, &name).with(field::STATUS, Reading::NotPermitted);
                found.entities.push(entity);
                Reading::NotPermitted
            }
            One::Told(Described { cluster }) => {
                let oidc = cluster.identity.as_ref().and_then(|identity| identity.oidc.as_ref());
                let issuer = oidc.and_then(|oidc| oidc.issuer.clone()).map_or(Reading::Never, Reading::Known);
                found.entities.push(entity(here, cluster, issuer.clone()));
                issuer
            }
        };
        service_accounts(here, &path, &issuer, &mut found).await?;
    }
    Ok(found)
}

async fn service_accounts(
    here: &Here<'_>,
    cluster: &str,
    issuer: &Reading<String>,
    found: &mut Found,
) -> Result<(), Failure> {
    let (session, region) = (here.session, here.region);
    let path = format!("{cluster}/pod-identity-associations");
    let path = path.as_str();
    let listed = paged(ASSOCIATIONS.operation, session, |token| async move {
        let page: Associations =
            session.rest(&ASSOCIATIONS, region, (&with_query(path, &[next(&token)]), None)).await?;
        Ok((page.associations, page.next_token))
    })
    .await;
    let One::Told(listed) = found.each(listed)? else { return Ok(()) };
    for it in listed {
        let name = format!("{}/{}", it.namespace, it.service_account);
        let mut entity = workload(here, it.association_arn, &name)
            .with(field::STATUS, Status::Active)
            .with(field::OIDC_SUBJECT, format!("system:serviceaccount:{}:{}", it.namespace, it.service_account))
            .with(field::OIDC_ISSUER, issuer.clone());
        let one = format!("{path}/{}", it.association_id);
        let described = session.rest::<DescribedAssociation>(&ASSOCIATION, region, (&one, None)).await;
        match found.each(described)? {
            One::Passed => continue,
            One::Refused => entity.facts.set(field::ASSUMES, Reading::NotPermitted),
            One::Told(DescribedAssociation { association: it }) => {
                let roles: Vec<String> = it.role_arn.into_iter().chain(it.target_role_arn).collect();
                entity.facts.set(field::ASSUMES, roles);
                entity.facts.set(field::TAGS, it.tags);
                set(&mut entity, field::CREATED_AT, it.created_at.map(|at| at.0));
                set(&mut entity, field::MODIFIED_AT, it.modified_at.map(|at| at.0));
            }
        }
        found.entities.push(entity);
    }
    Ok(())
}

fn next(token: &Option<String>) -> (&'static str, Option<&str>) {
    ("nextToken", token.as_deref())
}

fn workload(here: &Here<'_>, arn: String, name: &str) -> Entity {
    Entity::new(Key::new(here.realm.clone(), Kind::Workload, arn.as_str()), name)
        .with(field::ARN, arn)
        .with(field::LAST_USED_AT, Reading::NotReported)
        .with(field::NATURE, "machine".to_owned())
        .with(field::NATURE_BECAUSE, "a workload of EKS".to_owned())
}

fn entity(here: &Here<'_>, it: Cluster, issuer: Reading<String>) -> Entity {
    let status = match it.status.as_deref() {
        Some("ACTIVE" | "UPDATING") => Status::Active,
        Some("CREATING" | "DELETING" | "FAILED" | "PENDING") => Status::Inactive,
        _ => Status::Unknown,
    };
    let mut entity = workload(here, it.arn, &it.name)
        .with(field::STATUS, status)
        .with(field::OIDC_ISSUER, issuer)
        .with(field::ASSUMES, it.role_arn.into_iter().collect::<Vec<_>>())
        .with(field::TAGS, it.tags);
    set(&mut entity, field::CREATED_AT, it.created_at.map(|at| at.0));
    entity
}
