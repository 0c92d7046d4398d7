//! Bedrock agents: which there are, and as which role each acts.
//! It must never keep an agent's instruction.

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Found, Here, One};
use crate::aws::{
    authorization::set,
    call::{At, Rest},
    lists::paged,
};

const LIST: Rest = Rest { operation: "bedrock:ListAgents", host: "bedrock-agent", service: "bedrock", method: "POST" };
const GET: Rest = Rest { operation: "bedrock:GetAgent", host: "bedrock-agent", service: "bedrock", method: "GET" };
/// Most elements of a page.
const PAGE: u32 = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    agent_summaries: Vec<Summary>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    agent_id: String,
    agent_name: Option<String>,
    agent_status: Option<String>,
    updated_at: Option<At>,
    latest_agent_version: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Described {
    agent: Agent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    agent_resource_role_arn: Option<String>,
    created_at: Option<At>,
}

/// All agents of the region. Each is looked into only when the listing, which dates every change, is not that of last time.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(LIST.operation, session, |token| async move {
        let mut body = json!({"maxResults": PAGE});
        if let (Some(token), Some(body)) = (token, body.as_object_mut()) {
            body.insert("nextToken".to_owned(), json!(token));
        }
        let page: Page = session.rest(&LIST, region, ("/agents/", Some(&body))).await?;
        Ok((page.agent_summaries, page.next_token))
    })
    .await?;
    let dated = all.iter().all(|it| it.updated_at.is_some());
    let digest = digest(&all);
    if dated && here.is_as_before(&digest) {
        return Ok(Found { cursor: Some(digest), unchanged: true, ..Found::default() });
    }
    let mut found = Found { cursor: Some(digest), ..Found::default() };
    for it in all {
        let path = format!("/agents/{}/", it.agent_id);
        let described = session.rest::<Described>(&GET, region, (&path, None)).await;
        let mut entity = entity(here, it);
        match found.each(described)? {
            One::Passed => continue,
            One::Refused => {
                entity.facts.set(field::ASSUMES, Reading::NotPermitted);
                entity.facts.set(field::CREATED_AT, Reading::NotPermitted);
            }
            One::Told(Described { agent }) => {
                entity.facts.set(field::ASSUMES, agent.agent_resource_role_arn.into_iter().collect::<Vec<_>>());
                set(&mut entity, field::CREATED_AT, agent.created_at.map(|at| at.0));
            }
        }
        found.entities.push(entity);
    }
    Ok(found)
}

fn digest(all: &[Summary]) -> Vec<u8> {
    let mut lines: Vec<String> = all
        .iter()
        .map(|it| {
            let (updated, version) = (it.updated_at.map(|at| at.0), it.latest_agent_version.as_deref());
            format!("{} {updated:?} {version:?} {:?} {:?}", it.agent_id, it.agent_status, it.agent_name)
        })
        .collect();
    lines.sort_unstable();
    Sha256::digest(lines.join("\n")).to_vec()
}

fn entity(here: &Here<'_>, it: Summary) -> Entity {
    let arn = here.arn("bedrock", &format!("agent/{}", it.agent_id));
    let name = it.agent_name.unwrap_or(it.agent_id);
    let status = match it.agent_status.as_deref() {
        Some("PREPARED" | "UPDATING" | "VERSIONING") => Status::Active,
        Some("CREATING" | "PREPARING" | "NOT_PREPARED" | "DELETING" | "FAILED") => Status::Inactive,
        _ => Status::Unknown,
    };
    let mut entity = Entity::new(Key::new(here.realm.clone(), Kind::AiAgent, arn.as_str()), name)
        .with(field::ARN, arn)
        .with(field::STATUS, status)
        .with(field::CLIENT, "bedrock".to_owned())
        .with(field::LAST_USED_AT, Reading::NotReported);
    set(&mut entity, field::DESCRIPTION, it.description);
    set(&mut entity, field::MODIFIED_AT, it.updated_at.map(|at| at.0));
    entity
}
