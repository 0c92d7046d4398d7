//! Who answers for a repository: those who administer it, and those its file CODEOWNERS names.
//! It must never take an owner of the organization for an administrator of each of its repositories.

use std::collections::{BTreeMap, BTreeSet};

use provost_model::{Cover, Cursor, Entity, Reading, field};
use serde::Deserialize;
use serde_json::json;

use super::{
    documents,
    org::{Optional, Org},
    people::People,
    repositories::Triage,
};
use crate::{Emitter, Stopped};

/// The name under which troubles speak of the question.
pub(super) const READ: &str = "graphql:owners";
/// The scope's path below the organization; a part for each repository.
const PATH: &str = "repository-owners";
/// Repositories of one question.
const AT_ONCE: usize = 50;
/// Most owners kept of one repository.
const OWNERS_MAX: usize = 50;

/// Begins a cursor; no repository is called so.
const MARK: u64 = u64::MAX;

/// Repositories of whose owners was told, and whether all of it was known.
struct Told(BTreeMap<u64, bool>);

#[derive(Deserialize)]
struct Answer {
    nodes: Vec<Option<Node>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    database_id: Option<u64>,
    collaborators: Option<Collaborators>,
    in_github: Option<File>,
    in_root: Option<File>,
    in_docs: Option<File>,
}

#[derive(Deserialize)]
struct Collaborators {
    edges: Option<Vec<Option<Edge>>>,
}

#[derive(Deserialize)]
struct Edge {
    permission: String,
    node: Account,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

#[derive(Deserialize)]
struct File {
    text: Option<String>,
}

/// Looks at the owners of the repositories that have a record and were not looked at before.
pub(super) async fn look(org: &Org<'_>, triage: &Triage, people: &People, to: &mut Emitter) -> Result<(), Stopped> {
    let index = &triage.index;
    let scope = org.scope(PATH);
    let mut told = Told::read(org.cursor(PATH));
    if org.is_due(PATH) {
        told.0.values_mut().for_each(|known| *known = false);
    }
    let wanted: Vec<&str> = index
        .0
        .iter()
        .filter(|(id, it)| it.held && !it.node.is_empty() && told.0.get(id) != Some(&true))
        .map(|(_, it)| it.node.as_str())
        .collect();
    let mut optional =
        [Optional::new("people", &["collaborators"]), Optional::new("files", &["inGithub", "inRoot", "inDocs"])];
    let mut failure = None;
    to.begin(&scope, None).await?;
    // What left the listing must not live on in what was told of it here.
    let lost: Vec<u64> = told.0.keys().copied().filter(|id| triage.whole && !index.0.contains_key(id)).collect();
    for id in lost {
        let now = to.now();
        to.cover(&scope, Some(&id.to_string()), now, Cover::Full { next: None, atomic: true }).await?;
        told.0.remove(&id);
    }
    for ids in wanted.chunks(AT_ONCE) {
        let variables = json!({ "ids": ids });
        let answer = match org.graph::<Answer>(documents::OWNERS, variables, &mut optional).await {
            Ok(answer) => answer,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        for node in answer.nodes.into_iter().flatten() {
            let Some(id) = node.database_id else { continue };
            let now = to.now();
            let (part, files) = (id.to_string(), optional.iter().all(|it| it.variable != "files" || it.is_asked()));
            to.see(&scope, Some(&part), now, entity(org, (id, files), node, people)).await?;
            to.cover(&scope, Some(&part), now, Cover::Full { next: None, atomic: true }).await?;
            // Where nobody knows who owns the organization, it is asked again.
            told.0.insert(id, people.is_known());
        }
    }
    for it in &optional {
        if let Some(said) = &it.denied {
            let what = if it.variable == "people" { "administrators of repositories" } else { "CODEOWNERS" };
            org.blind(what, said, to).await?;
        }
    }
    let now = to.now();
    to.cover(&scope, None, now, Cover::Delta { next: told.cursor() }).await?;
    match failure {
        None => Ok(()),
        Some(failure) => to.partial(&scope, failure.why, failure.to_string()).await,
    }
}

fn entity(org: &Org<'_>, (id, files): (u64, bool), node: Node, people: &People) -> Entity {
    let admins = node.collaborators.map_or(Reading::NotPermitted, |connection| {
        if !people.is_known() {
            return Reading::NotCollected;
        }
        let edges = connection.edges.unwrap_or_default().into_iter().flatten();
        let admins = edges.filter(|edge| edge.permission == "ADMIN").map(|edge| edge.node.login);
        Reading::Known(admins.filter(|login| !people.owns(login)).take(OWNERS_MAX).collect::<Vec<_>>())
    });
    // The first of these places counts (GitHub Docs, "About code owners").
    let text = [node.in_github, node.in_root, node.in_docs].into_iter().flatten().find_map(|file| file.text);
    let owners = match (files, text) {
        (false, _) => Reading::NotPermitted,
        (true, None) => Reading::Known(Vec::new()),
        (true, Some(text)) => Reading::Known(codeowners(&text)),
    };
    let mut entity = Entity {
        key: org.repository(id),
        aliases: Vec::new(),
        identity: None,
        container: None,
        facts: provost_model::Facts::new(),
    };
    entity.facts.set(field::REPO_ADMINS, admins);
    entity.facts.set(field::CODEOWNERS, owners);
    entity
}

/// Whom the file names for everything: the last rule that is for all files, or else everybody it names.
fn codeowners(text: &str) -> Vec<String> {
    let rules = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let pattern = words.next()?;
        Some((pattern, words.map(str::to_owned).collect::<Vec<_>>()))
    });
    let rules: Vec<(&str, Vec<String>)> = rules.collect();
    let whole = rules.iter().rev().find(|(pattern, _)| matches!(*pattern, "*" | "/" | "/*" | "**" | "/**"));
    if let Some((_, owners)) = whole.filter(|(_, owners)| !owners.is_empty()) {
        return owners.iter().take(OWNERS_MAX).cloned().collect();
    }
    let every: BTreeSet<String> = rules.into_iter().flat_map(|(_, owners)| owners).collect();
    every.into_iter().take(OWNERS_MAX).collect()
}

impl Told {
    fn cursor(&self) -> Cursor {
        let pairs = self.0.iter().flat_map(|(id, known)| [id.to_be_bytes(), u64::from(*known).to_be_bytes()]);
        Cursor([MARK.to_be_bytes()].into_iter().chain(pairs).flatten().collect())
    }

    fn read(cursor: Option<&Cursor>) -> Self {
        let numbers: Vec<u64> = cursor
            .map(|cursor| cursor.0.as_chunks::<8>().0.iter().map(|it| u64::from_be_bytes(*it)).collect())
            .unwrap_or_default();
        match numbers.split_first() {
            Some((&MARK, pairs)) => {
                Self(pairs.as_chunks::<2>().0.iter().map(|[id, known]| (*id, *known == 1)).collect())
            }
            // As it was written before what was told is kept apart from what is known.
            _ => Self(numbers.into_iter().map(|id| (id, true)).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_for_everything_counts_before_the_rest() {
        let table: [(&str, &[&str]); 4] = [
            ("* @ann\n/docs @bob\n* @acme/core # late\n", &["@acme/core"]),
            ("# nobody\n/api @ann ops@x.org\n/web @bob\n", &["@ann", "@bob", "ops@x.org"]),
            ("*\n/api @ann\n", &["@ann"]),
            ("", &[]),
        ];
        for (text, owners) in table {
            assert_eq!(codeowners(text), owners, "{text:?}");
        }
    }

    #[test]
    fn what_was_told_survives_its_cursor_and_older_cursors_are_read() {
        let told = BTreeMap::from([(1, true), (9, false)]);
        assert_eq!(Told::read(Some(&Told(told.clone()).cursor())).0, told);
        let older = Cursor([1_u64, 9].into_iter().flat_map(u64::to_be_bytes).collect());
        assert_eq!(Told::read(Some(&older)).0, BTreeMap::from([(1, true), (9, true)]));
        assert!(Told::read(None).0.is_empty() && Told::read(Some(&Told(BTreeMap::new()).cursor())).0.is_empty());
    }
}
