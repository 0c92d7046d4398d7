//! The repositories of an organization: one question for a hundred of them tells which hold deploy keys and environments.
//! It must never take a repository for gone because one page failed.

use std::collections::BTreeSet;

use provost_client::Failure;
use provost_model::{Cover, Entity, Reading, Scope, Status, Why, field};
use serde::Deserialize;
use serde_json::json;

use super::{
    audit::Family,
    deploy_keys::{self, Key},
    documents,
    index::{Index, Repository},
    org::{Optional, Org, stopped},
    people::PageInfo,
    said::Said,
};
use crate::{Emitter, Stopped};

/// The scope's path below the organization.
pub(super) const PATH: &str = "repositories";
/// Repositories of a page: the most that GitHub gives. It is halved when GitHub's time for a question is over.
const PAGE: usize = 100;
const PAGE_LEAST: usize = 10;
/// Most pages.
const PAGES_MAX: usize = 100_000;
/// With more changed repositories than that, all are asked for again: that is cheaper.
const ONE_BY_ONE: usize = 40;

/// A repository as a document shows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    id: String,
    database_id: Option<u64>,
    pub(super) name: String,
    url: String,
    visibility: String,
    is_archived: bool,
    #[serde(default)]
    archived_at: Said<String>,
    #[serde(default)]
    created_at: Said<String>,
    deploy_keys: Option<Connection<Key>>,
    environments: Option<Connection<Environment>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection<T> {
    total_count: usize,
    nodes: Vec<Option<T>>,
}

#[derive(Deserialize)]
struct Environment {
    name: String,
}

#[derive(Deserialize)]
struct Answer {
    organization: Option<Organization>,
}

#[derive(Deserialize)]
struct Organization {
    repositories: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    total_count: u64,
    page_info: PageInfo,
    nodes: Vec<Option<Node>>,
}

#[derive(Deserialize)]
struct One {
    repository: Option<Node>,
}

/// What came of looking at the repositories.
pub(super) struct Triage {
    /// Every repository, as far as it is known.
    pub(super) index: Index,
    /// Whether the index is that of all of them.
    pub(super) whole: bool,
}

/// One look at the repositories.
struct Look<'a> {
    org: &'a Org<'a>,
    scope: Scope,
    keys: Scope,
    before: Option<Index>,
    optional: [Optional; 2],
    /// Repositories that hold something by what else was seen; `None` if that could not be seen.
    holding: Option<&'a BTreeSet<u64>>,
    /// Whether everything is told, changed or not.
    again: bool,
    index: Index,
}

/// Looks at them: not at all, at those that changed, or at all of them, by what the audit log says.
pub(super) async fn look(org: &Org<'_>, holding: Option<&BTreeSet<u64>>, to: &mut Emitter) -> Result<Triage, Stopped> {
    let before = org.cursor(PATH).and_then(Index::read);
    let again = org.is_due(PATH) || org.is_due(deploy_keys::PATH);
    let mut look = Look {
        org,
        scope: org.scope(PATH),
        keys: org.scope(deploy_keys::PATH),
        optional: [Optional::new("keys", &["deployKeys"]), Optional::new("environments", &["environments"])],
        holding,
        again: again || before.is_none(),
        index: before.clone().unwrap_or_default(),
        before,
    };
    let news = look.news();
    to.begin(&look.scope, None).await?;
    to.begin(&look.keys, None).await?;
    let ended = match news {
        Some(names) => look.each(&names, to).await?,
        None => look.all(to).await?,
    };
    look.end(ended, to).await
}

/// How a look ended: in full, with changes only, with none, or not.
enum Ended {
    Full,
    Changes,
    Nothing,
    Failed(Failure),
}

impl Look<'_> {
    /// Names of the repositories that changed, if the audit log tells and they are few.
    fn news(&self) -> Option<Vec<String>> {
        if self.again || !self.org.changes.is_whole() {
            return None;
        }
        let telling = [Family::Keys, Family::Environments, Family::Repositories];
        let touched = self.org.changes.repositories.iter();
        let names: Vec<String> = touched
            .filter(|(_, families)| telling.iter().any(|family| families.contains(family)))
            .map(|(name, _)| name.clone())
            .collect();
        (names.len() <= ONE_BY_ONE).then_some(names)
    }

    /// Looks at those repositories one by one.
    async fn each(&mut self, names: &[String], to: &mut Emitter) -> Result<Ended, Stopped> {
        let ids: Vec<(String, u64)> =
            self.index.by_name().into_iter().map(|(name, id)| (name.to_owned(), id)).collect();
        let mut told = false;
        for name in names {
            if self.org.is_stopping() {
                return Ok(Ended::Failed(stopped(documents::name_of(documents::REPOSITORY))));
            }
            let variables = json!({"owner": self.org.login, "name": name});
            let answer = self.org.graph::<One>(documents::REPOSITORY, variables, &mut self.optional).await;
            let known = ids.iter().find(|(its, _)| its == name).map(|(_, id)| *id);
            let failure = match answer {
                Ok(One { repository: Some(node) }) => {
                    told = true;
                    match self.repository(node, to).await? {
                        Ok(()) => continue,
                        Err(failure) => failure,
                    }
                }
                // It is not there under that name: moved, renamed, or gone. Only the log's own word makes it gone.
                Ok(One { repository: None }) => Failure::new("", Why::Changed, "NOT_FOUND", ""),
                Err(failure) => failure,
            };
            if failure.why != Why::Changed {
                return Ok(Ended::Failed(failure));
            }
            if let (Some(id), Some(at)) = (known, self.org.changes.destroyed.get(name)) {
                self.index.0.remove(&id);
                to.gone(&self.scope, None, *at, self.org.repository(id)).await?;
                told = true;
            } else if known.is_some() {
                // Under another name, or out of sight: the next look at all of them says which.
                return self.all(to).await;
            }
        }
        Ok(if told { Ended::Changes } else { Ended::Nothing })
    }

    /// Looks at all of them.
    async fn all(&mut self, to: &mut Emitter) -> Result<Ended, Stopped> {
        let name = documents::name_of(documents::REPOSITORIES);
        let lacks = |said| Ok(Ended::Failed(Failure::new(name, Why::Malformed, "", said)));
        let mut first = PAGE;
        let mut after: Option<String> = None;
        let former = std::mem::take(&mut self.index);
        for _ in 0..PAGES_MAX {
            if self.org.is_stopping() {
                return Ok(Ended::Failed(stopped(name)));
            }
            let variables = json!({"login": self.org.login, "first": first, "after": after});
            let answer = self.org.graph::<Answer>(documents::REPOSITORIES, variables, &mut self.optional).await;
            let page = match answer {
                Ok(Answer { organization: Some(organization) }) => organization.repositories,
                Ok(Answer { organization: None }) => return lacks("the organization is missing in the answer"),
                Err(failure) if failure.why == Why::Unavailable && first > PAGE_LEAST => {
                    first = (first / 2).max(PAGE_LEAST);
                    continue;
                }
                Err(failure) => {
                    self.index = former;
                    return Ok(Ended::Failed(failure));
                }
            };
            for node in page.nodes {
                let Some(node) = node else { return lacks("a repository is missing in the answer") };
                if let Err(failure) = self.repository(node, to).await? {
                    return Ok(Ended::Failed(failure));
                }
            }
            let done = u64::try_from(self.index.0.len()).unwrap_or_default();
            to.progress(done, Some(page.total_count), "repositories").await?;
            match page.page_info {
                PageInfo { has_next_page: false, .. } => return Ok(Ended::Full),
                PageInfo { end_cursor, .. } if end_cursor.is_some() && end_cursor != after => after = end_cursor,
                _ => break,
            }
        }
        lacks("the listing does not end")
    }

    /// Takes in one repository and tells what it holds.
    async fn repository(&mut self, mut node: Node, to: &mut Emitter) -> Result<Result<(), Failure>, Stopped> {
        let lacks = |said| Failure::new(documents::name_of(documents::REPOSITORIES), Why::Malformed, "", said);
        let Some(id) = node.database_id else { return Ok(Err(lacks("a repository has no id"))) };
        let before = self.before.as_ref().and_then(|index| index.0.get(&id));
        let now = to.now();
        let mut it = Repository {
            name: node.name.clone(),
            node: node.id.clone(),
            archived: node.is_archived,
            held: before.is_some_and(|it| it.held) || self.holding.is_some_and(|it| it.contains(&id)),
            keys: before.map_or(0, |it| it.keys),
            environments: before.map(|it| it.environments.clone()).unwrap_or_default(),
        };
        if let Some(environments) = &node.environments {
            it.environments = environments.nodes.iter().flatten().map(|it| it.name.clone()).collect();
            if environments.total_count > environments.nodes.len() {
                match deploy_keys::environments(self.org, &node.name).await {
                    Ok(names) => it.environments = names,
                    Err(failure) => return Ok(Err(failure)),
                }
            }
        }
        if let Some(keys) = node.deploy_keys.take() {
            let mut found: Vec<Key> = keys.nodes.into_iter().flatten().collect();
            if keys.total_count > found.len() {
                match deploy_keys::all(self.org, &node.name).await {
                    Ok(keys) => found = keys,
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            it.keys = deploy_keys::digest(&found);
            let differs = before.is_none_or(|before| before.keys != it.keys);
            // Without memory of it, even a repository without keys is told: it may have had some.
            if differs || self.again {
                let place = format!("{}/{}", self.org.login, node.name);
                for key in &found {
                    let entity = deploy_keys::entity(self.org, (id, &place), key);
                    to.see(&self.keys, Some(&id.to_string()), now, entity).await?;
                }
                let cover = Cover::Full { next: None, atomic: true };
                to.cover(&self.keys, Some(&id.to_string()), now, cover).await?;
            }
        }
        it.held |= it.keys != 0 || !it.environments.is_empty();
        if it.held {
            to.see(&self.scope, None, now, entity(self.org, id, &node)).await?;
        }
        self.index.0.insert(id, it);
        Ok(Ok(()))
    }

    async fn end(self, ended: Ended, to: &mut Emitter) -> Result<Triage, Stopped> {
        let now = to.now();
        for it in &self.optional {
            if let Some(said) = &it.denied {
                let what = if it.variable == "keys" { "deploy keys" } else { "environments" };
                self.org.blind(what, said, to).await?;
            }
        }
        let done = Cover::Delta { next: deploy_keys::cursor() };
        let next = self.index.cursor();
        let (cover, keys, whole) = match ended {
            // Without memory, and without knowing what else they hold, one that is not told may still be there.
            Ended::Full if self.before.is_some() || self.holding.is_some() => {
                (Cover::Full { next: Some(next), atomic: false }, done, true)
            }
            Ended::Full | Ended::Changes => (Cover::Delta { next }, done, true),
            Ended::Nothing => (Cover::Unchanged { at: now }, Cover::Unchanged { at: now }, true),
            Ended::Failed(failure) => {
                to.partial(&self.scope, failure.why, failure.to_string()).await?;
                to.cover(&self.keys, None, now, Cover::Partial { why: failure.why }).await?;
                // What was known before still names repositories to sweep.
                let index = self.before.unwrap_or_default();
                return Ok(Triage { index, whole: false });
            }
        };
        to.cover(&self.scope, None, now, cover).await?;
        to.cover(&self.keys, None, now, keys).await?;
        Ok(Triage { index: self.index, whole })
    }
}

/// The record of a repository: the workload that its workflows are, with its secrets and keys.
fn entity(org: &Org<'_>, id: u64, node: &Node) -> Entity {
    let archived = match (node.is_archived, &node.archived_at) {
        (false, _) => Reading::Never,
        (true, at) => at.dated(),
    };
    Entity::new(org.repository(id), format!("{}/{}", org.login, node.name))
        .with(field::CREDENTIAL_TYPE, "repository".to_owned())
        .with(field::STATUS, if node.is_archived { Status::Inactive } else { Status::Active })
        .with(field::ARCHIVED_AT, archived)
        .with(field::URL, node.url.clone())
        .with(field::PATH, format!("{}/{}", org.login, node.name))
        .with(field::REACH, node.visibility.to_ascii_lowercase())
        .with(field::CREATED_AT, node.created_at.dated())
        .with(field::LAST_USED_AT, Reading::NotReported)
        .with(field::NATURE, "machine".to_owned())
        .with(field::NATURE_BECAUSE, "workflows of a repository".to_owned())
}

/// Asks for repositories that turned out to hold something, so that they have a record.
pub(super) async fn hold(
    org: &Org<'_>,
    triage: &mut Triage,
    found: &BTreeSet<u64>,
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let new: Vec<u64> = found.iter().copied().filter(|id| triage.index.0.get(id).is_some_and(|it| !it.held)).collect();
    if new.is_empty() || !triage.whole {
        return Ok(());
    }
    let scope = org.scope(PATH);
    for id in new {
        let Some(name) = triage.index.0.get(&id).map(|it| it.name.clone()) else { continue };
        let variables = json!({"owner": org.login, "name": name});
        let mut optional = [Optional::new("keys", &["deployKeys"]), Optional::new("environments", &["environments"])];
        // Only who it is is wanted here.
        optional.iter_mut().for_each(|it| it.denied = Some(String::new()));
        let answer = org.graph::<One>(documents::REPOSITORY, variables, &mut optional).await;
        let Ok(One { repository: Some(node) }) = answer else { continue };
        let now = to.now();
        to.see(&scope, None, now, entity(org, id, &node)).await?;
        if let Some(it) = triage.index.0.get_mut(&id) {
            it.held = true;
            it.node.clone_from(&node.id);
        }
    }
    let now = to.now();
    to.cover(&scope, None, now, Cover::Delta { next: triage.index.cursor() }).await
}
