//! What a source of a manifest may see: every list is asked for its smallest page once.
//! It must never call granted what was not tried.

use provost_client::Failure;
use provost_model::Why;
use serde_json::Value;

use super::{
    look::{Looking, page, smallest},
    meant::List,
    record::{Parent, id_at},
    settings::Settings,
};
use crate::{Access, Check, Verdict};

/// Tries every list.
pub(super) async fn access(looking: &Looking<'_>, settings: &Settings) -> Access {
    let manifest = looking.manifest;
    let mut access = Access { target: settings.base.clone(), ..Access::default() };
    let realm = looking.realm().await;
    access.principal = match &realm {
        Ok(realm) => format!("{} {realm}", manifest.title),
        Err(failure) => format!("{}, but nobody can be asked: {}", manifest.title, failure.said),
    };
    // Of each list, a record of which a call can be tried.
    let mut firsts: Vec<Option<Value>> = Vec::new();
    for list in &manifest.lists {
        let tried = tried(looking, list, &firsts).await;
        let (verdict, note) = match &tried {
            Ok(Tried::Granted(_)) => (Verdict::Granted, list.why.clone()),
            Ok(Tried::Nowhere) => (Verdict::Unknown, format!("{}: there is nothing to try it with", list.why)),
            Err(failure) if failure.why == Why::Denied => (Verdict::Denied, list.why.clone()),
            Err(failure) => (Verdict::Unknown, failure.said.clone()),
        };
        access.checks.push(Check { action: list.permission.clone(), verdict, optional: list.optional, note });
        firsts.push(match tried {
            Ok(Tried::Granted(first)) => first,
            Ok(Tried::Nowhere) | Err(_) => None,
        });
    }
    access.cost = cost(looking);
    access
}

/// What asking a list for its smallest page showed.
enum Tried {
    /// It may be read; with its first record, if there is one.
    Granted(Option<Value>),
    /// There is no parent to ask it of.
    Nowhere,
}

/// Asks a list for its smallest page.
async fn tried(looking: &Looking<'_>, list: &List, firsts: &[Option<Value>]) -> Result<Tried, Failure> {
    let parent = match &list.each {
        None => None,
        Some(each) => {
            let Some(record) = firsts.get(each.list).and_then(Option::as_ref) else { return Ok(Tried::Nowhere) };
            let above = looking.manifest.lists.get(each.list);
            let id = above.and_then(|above| id_at(&above.id, record));
            let fills = each.at.as_ref().map_or_else(|| id.clone(), |at| id_at(at, record));
            let (Some(id), Some(fills)) = (id, fills) else { return Ok(Tried::Nowhere) };
            Some(Parent { id, fills, list: each.list })
        }
    };
    let ask = smallest(looking, list, parent.as_ref()).map_err(|said| Failure {
        operation: list.scope.clone(),
        why: Why::Malformed,
        code: String::new(),
        said,
    })?;
    let answer = looking.web.ask(ask).await?;
    let (_, records) = page(list, &answer)?;
    Ok(Tried::Granted(records.into_iter().next()))
}

/// What a run costs, in words.
fn cost(looking: &Looking<'_>) -> Vec<String> {
    let lists = &looking.manifest.lists;
    let mut lines = Vec::new();
    for list in lists {
        let size = match &list.paging.size {
            Some((_, most)) => format!("a call for every {most} of them"),
            None if list.paging.is_whole() => "one call".to_owned(),
            None => "a call for every page".to_owned(),
        };
        let each = list.each.as_ref().and_then(|each| lists.get(each.list));
        let each = each.map_or_else(String::new, |above| format!(", for each of {}", above.scope.replace('-', " ")));
        lines.push(format!("{}: {size}{each}; as much when nothing changed", list.scope.replace('-', " ")));
    }
    lines
}
