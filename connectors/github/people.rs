//! The accounts of an organization: members with their role and second factor, and collaborators from outside.
//! It must never take a login for an account: names are given anew when an account is gone.

use std::collections::{HashMap, HashSet};

use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Reading, Status, Why, field};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    audit::Family,
    documents,
    listing::Seen,
    org::{Optional, Org, stopped},
    said::Said,
};
use crate::{
    Emitter, Stopped,
    aws::nature::{Nature, UserTraits, of_user},
};

/// The scope's path below the organization.
const PATH: &str = "members";
/// Members of a page: the most that GitHub gives.
const PAGE: usize = 100;
/// Most pages.
const PAGES_MAX: usize = 10_000;

/// Who is a member: ids by login, and who owns the organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct People {
    ids: HashMap<String, u64>,
    owners: HashSet<String>,
    /// Whether they could be listed.
    known: bool,
}

#[derive(Deserialize)]
struct Answer {
    organization: Option<Organization>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Organization {
    members_with_role: Connection,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    page_info: PageInfo,
    edges: Vec<Option<Edge>>,
}

/// Where the next page of a GraphQL listing begins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Edge {
    role: Option<String>,
    #[serde(default)]
    has_two_factor_enabled: Said<bool>,
    node: Option<Member>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    database_id: Option<u64>,
    login: String,
    #[serde(default)]
    created_at: Said<String>,
    organization_verified_domain_emails: Option<Vec<String>>,
}

impl People {
    /// The id of the member of that login.
    pub(super) fn id(&self, login: &str) -> Option<u64> {
        self.ids.get(&login.to_ascii_lowercase()).copied()
    }

    /// Whether the members could be listed: who owns the organization is known only then.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Whether that login owns the organization.
    pub(super) fn owns(&self, login: &str) -> bool {
        self.owners.contains(&login.to_ascii_lowercase())
    }

    fn add(&mut self, login: &str, id: u64, owns: bool) {
        let login = login.to_ascii_lowercase();
        if owns {
            self.owners.insert(login.clone());
        }
        self.ids.insert(login, id);
    }

    /// A line for each: login, id, and `o` for an owner.
    fn cursor(&self) -> Cursor {
        let mut lines: Vec<String> = self
            .ids
            .iter()
            .map(|(login, id)| format!("{login} {id}{}", if self.owners.contains(login) { " o" } else { "" }))
            .collect();
        lines.sort_unstable();
        Cursor(lines.join("\n").into_bytes())
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let mut people = Self { known: true, ..Self::default() };
        for line in std::str::from_utf8(&cursor.0).ok()?.lines() {
            let mut words = line.split(' ');
            people.add(words.next()?, words.next()?.parse().ok()?, words.next().is_some());
        }
        Some(people)
    }
}

/// Looks at the members, and gives them.
pub(super) async fn members(org: &Org<'_>, to: &mut Emitter) -> Result<People, Stopped> {
    let scope = org.scope(PATH);
    let before = org.cursor(PATH).filter(|_| !org.is_due(PATH)).and_then(People::read);
    if let Some(people) = before.filter(|_| org.changes.spare(Family::People)) {
        org.unchanged(PATH, to).await?;
        return Ok(people);
    }
    let now = to.now();
    let mut optional = [Optional::new("emails", &["organizationVerifiedDomainEmails"])];
    let (entities, people) = match list(org, &mut optional).await {
        Ok(found) => found,
        Err(failure) => {
            org.failed(&scope, documents::name_of(documents::MEMBERS), &failure, to).await?;
            return Ok(People::default());
        }
    };
    if let [Optional { denied: Some(said), .. }] = &optional {
        org.blind("members' addresses in the organization's domains", said, to).await?;
    }
    to.begin(&scope, None).await?;
    for entity in entities {
        to.see(&scope, None, now, entity).await?;
    }
    to.cover(&scope, None, now, Cover::Full { next: Some(people.cursor()), atomic: false }).await?;
    Ok(people)
}

async fn list(org: &Org<'_>, optional: &mut [Optional; 1]) -> Result<(Vec<Entity>, People), Failure> {
    let name = documents::name_of(documents::MEMBERS);
    let (mut entities, mut people, mut after) =
        (Vec::new(), People { known: true, ..People::default() }, None::<String>);
    for _ in 0..PAGES_MAX {
        if org.is_stopping() {
            return Err(stopped(name));
        }
        let variables = json!({"login": org.login, "first": PAGE, "after": after});
        let answer: Answer = org.graph(documents::MEMBERS, variables, optional).await?;
        let lacks = || Failure::new(name, Why::Malformed, "", "a member is missing in the answer");
        let page = answer.organization.ok_or_else(lacks)?.members_with_role;
        for edge in page.edges {
            let edge = edge.ok_or_else(lacks)?;
            let member = edge.node.ok_or_else(lacks)?;
            let id = member.database_id.ok_or_else(lacks)?;
            let owns = edge.role.as_deref() == Some("ADMIN");
            people.add(&member.login, id, owns);
            entities.push(user(org, (id, owns), edge.has_two_factor_enabled.reading(), member));
        }
        match page.page_info {
            PageInfo { has_next_page: false, .. } => return Ok((entities, people)),
            PageInfo { end_cursor, .. } if end_cursor != after && end_cursor.is_some() => after = end_cursor,
            _ => break,
        }
    }
    Err(Failure::new(name, Why::Malformed, "", "the listing does not end"))
}

fn user(org: &Org<'_>, (id, owns): (u64, bool), mfa: Reading<bool>, member: Member) -> Entity {
    let groups = if owns { vec!["owners".to_owned()] } else { Vec::new() };
    let emails = member.organization_verified_domain_emails.map_or(Reading::NotPermitted, Reading::Known);
    account(org, id, &member.login)
        .with(field::CREATED_AT, member.created_at.dated())
        .with(field::ADMIN, owns)
        .with(field::GROUPS, groups)
        .with(field::MFA, mfa)
        .with(field::EMAILS, emails)
}

/// An account and what its name tells of its nature. A second factor tells nothing: machine users have one too.
fn account(org: &Org<'_>, id: u64, login: &str) -> Entity {
    let (nature, because) = of_user(&UserTraits { name: login, ..UserTraits::default() });
    let nature = match nature {
        Nature::Human => "human",
        Nature::Machine => "machine",
        Nature::Unclear => "unclear",
    };
    Entity::new(org.user(id), login)
        .with(field::USERNAME, login.to_owned())
        .with(field::STATUS, Status::Active)
        .with(field::NATURE, nature.to_owned())
        .with(field::NATURE_BECAUSE, because)
        .with(field::LAST_USED_AT, Reading::NotReported)
}

#[derive(Deserialize)]
struct Outsider {
    id: u64,
    login: String,
    #[serde(default, rename = "type")]
    sort: Said<String>,
}

/// A collaborator from outside the organization.
pub(super) fn outsider(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    let it: Outsider = serde_json::from_value(row)?;
    let mut entity = account(seen.org, it.id, &it.login).with(field::GROUPS, vec!["outside collaborators".to_owned()]);
    if it.sort == Said::Is("Bot".to_owned()) {
        entity.facts.set(field::NATURE, "machine".to_owned());
        entity.facts.set(field::NATURE_BECAUSE, "GitHub calls it a bot".to_owned());
    }
    Ok(vec![entity])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_survive_their_cursor_and_logins_have_no_case() {
        let mut people = People { known: true, ..People::default() };
        people.add("Ann", 1, true);
        people.add("bob", 2, false);
        let back = People::read(&people.cursor()).unwrap();
        assert_eq!(back, people);
        assert_eq!((back.id("ANN"), back.owns("ann"), back.owns("Bob"), back.id("eve")), (Some(1), true, false, None));
        assert_eq!(People::read(&Cursor(b"ann".to_vec())), None);
    }
}
