//! What has no bulk form: secrets, variables, webhooks and runners of repositories and environments, a share at a time.
//! It must never be part of what a run needs: all of it is counted apart.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, future::BoxFuture, stream};
use provost_client::Failure;
use provost_model::{Cover, Entity, PartId, Scope, Time};
use serde_json::Value;

use super::{
    audit::Family,
    count,
    index::{Index, Repository},
    listing::{Heard, Pages, Tags, unreadable},
    org::{Org, is_blind},
    round::Position,
    runners,
    secrets::{self, Holder, Product},
    webhooks,
};
use crate::{Emitter, Stopped};

/// Stands behind the operations of a sweep in the count.
pub(super) const SWEEP: &str = " (sweep)";
/// Repositories asked at a time; the gate bounds and paces what leaves.
const AT_ONCE: usize = 16;
/// After so many refusals without one answer, nobody is asked any more.
const REFUSALS: usize = 3;

/// A sort of thing that is asked for repository by repository.
struct Sort {
    /// The scope's path below the organization; a part for each repository.
    path: &'static str,
    read: &'static str,
    rows: &'static str,
    /// Rows of a page: the most that the read gives.
    page: usize,
    /// Whether it is asked for each environment.
    environments: bool,
    /// What in the audit log makes it worth asking at once.
    family: Family,
    map: fn(&Org<'_>, Holder<'_>, Value) -> Result<Option<Entity>, serde_json::Error>,
}

const SORTS: [Sort; 8] = [
    Sort {
        path: "repository-actions-secrets",
        read: "GET /repos/{owner}/{repo}/actions/secrets",
        rows: "secrets",
        page: 100,
        environments: false,
        family: Family::Secrets,
        map: |org, holder, row| secrets::secret(org, Product::Actions, holder, row).map(Some),
    },
    Sort {
        path: "repository-variables",
        read: "GET /repos/{owner}/{repo}/actions/variables",
        rows: "variables",
        page: 30,
        environments: false,
        family: Family::Variables,
        map: secrets::variable,
    },
    Sort {
        path: "repository-dependabot-secrets",
        read: "GET /repos/{owner}/{repo}/dependabot/secrets",
        rows: "secrets",
        page: 100,
        environments: false,
        family: Family::Secrets,
        map: |org, holder, row| secrets::secret(org, Product::Dependabot, holder, row).map(Some),
    },
    Sort {
        path: "repository-codespaces-secrets",
        read: "GET /repos/{owner}/{repo}/codespaces/secrets",
        rows: "secrets",
        page: 100,
        environments: false,
        family: Family::Secrets,
        map: |org, holder, row| secrets::secret(org, Product::Codespaces, holder, row).map(Some),
    },
    Sort {
        path: "repository-webhooks",
        read: "GET /repos/{owner}/{repo}/hooks",
        rows: "",
        page: 100,
        environments: false,
        family: Family::Hooks,
        map: |org, holder, row| {
            let Holder::Repository { id, name } = holder else { return Ok(None) };
            let hook = webhooks::webhook(org, &format!("{}/{name}", org.login), row)?;
            Ok(Some(hook.within(org.repository(id))))
        },
    },
    Sort {
        path: "repository-runners",
        read: "GET /repos/{owner}/{repo}/actions/runners",
        rows: "runners",
        page: 100,
        environments: false,
        family: Family::Runners,
        map: |org, holder, row| {
            let Holder::Repository { id, name } = holder else { return Ok(None) };
            let place = format!("{}/{name}", org.login);
            let runner = runners::runner(org, (&format!("repos/{id}"), &place), row)?;
            Ok(Some(runner.within(org.repository(id))))
        },
    },
    Sort {
        path: "environment-secrets",
        read: "GET /repos/{owner}/{repo}/environments/{environment_name}/secrets",
        rows: "secrets",
        page: 100,
        environments: true,
        family: Family::Secrets,
        map: |org, holder, row| secrets::secret(org, Product::Actions, holder, row).map(Some),
    },
    Sort {
        path: "environment-variables",
        read: "GET /repos/{owner}/{repo}/environments/{environment_name}/variables",
        rows: "variables",
        page: 30,
        environments: true,
        family: Family::Variables,
        map: secrets::variable,
    },
];

/// What came of one repository.
enum Told {
    Unchanged,
    /// Everything in it, and the tags of the answers.
    Things(Vec<Entity>, Vec<(u64, String)>),
}

/// Looks at the share of repositories whose turn it is, and at those the audit log names; gives those that hold something.
pub(super) async fn turn(org: &Org<'_>, index: &Index, to: &mut Emitter) -> Result<BTreeSet<u64>, Stopped> {
    let mut holding = BTreeSet::new();
    for sort in &SORTS {
        Round { org, index, sort, scope: org.scope(sort.path) }.go(&mut holding, to).await?;
        count(org, SWEEP, to).await?;
        if org.is_stopping() {
            break;
        }
    }
    Ok(holding)
}

/// The repositories of an index whose turn it is.
pub(super) fn share(org: &Org<'_>, among: &BTreeSet<u64>, position: &mut Position, now: Time) -> Vec<u64> {
    position.share(among, org.known.sweep_now, (org.sweep_every, now))
}

/// One sort of thing in the repositories whose turn it is.
struct Round<'a> {
    org: &'a Org<'a>,
    index: &'a Index,
    sort: &'static Sort,
    scope: Scope,
}

impl Round<'_> {
    async fn go(&self, holding: &mut BTreeSet<u64>, to: &mut Emitter) -> Result<(), Stopped> {
        let (org, now) = (self.org, to.now());
        let mut position = org.cursor(self.sort.path).and_then(Position::read).unwrap_or_else(|| Position::begun(now));
        let named = self.named();
        let every: BTreeSet<u64> = self.index.0.keys().copied().collect();
        position.keep(|key| self.sort.environments || every.contains(&key));
        let before = position.clone();
        let due = share(org, &every, &mut position, now);
        let order: Vec<u64> = named.iter().copied().chain(due.into_iter().filter(|id| !named.contains(id))).collect();
        let tags = position.tags.clone();
        let wanted: Vec<_> = order.iter().filter_map(|id| Some((*id, self.index.0.get(id)?))).collect();
        let tags = &tags;
        let mut questions: Vec<BoxFuture<'_, _>> = Vec::with_capacity(wanted.len());
        for (id, it) in wanted {
            questions.push(Box::pin(async move { (id, self.ask(id, it, tags).await) }));
        }
        let mut asked = stream::iter(questions).buffered(AT_ONCE);
        let (mut begun, mut answered, mut refusals, mut failed) = (false, false, Vec::new(), None);
        while let Some((id, told)) = asked.next().await {
            match told {
                Ok(told) => {
                    answered = true;
                    if !begun {
                        to.begin(&self.scope, None).await?;
                        begun = true;
                    }
                    self.tell((id, told), (&mut position, holding), to).await?;
                }
                Err(failure) if is_blind(self.sort.read, &failure) => {
                    refusals.push(failure);
                    if !answered && refusals.len() >= REFUSALS {
                        break;
                    }
                }
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
        }
        drop(asked);
        if failed.is_some() {
            // Whoever was not reached keeps its turn.
            position.back(&before);
        }
        self.end((begun, answered), position, (refusals, failed), to).await
    }

    async fn end(
        &self,
        (begun, answered): (bool, bool),
        position: Position,
        (refusals, failed): (Vec<Failure>, Option<Failure>),
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        if let Some(first) = refusals.first() {
            // Of a repository that was renamed or archived meanwhile nothing is known; refused everywhere, it is a blind spot.
            let said = if answered {
                format!("{} in {} repositories", first.said, refusals.len())
            } else {
                first.said.clone()
            };
            self.org.blind(self.sort.read, &said, to).await?;
            if !answered && failed.is_none() {
                return Ok(());
            }
        }
        if !begun {
            to.begin(&self.scope, None).await?;
        }
        let now = to.now();
        to.cover(&self.scope, None, now, Cover::Delta { next: position.cursor() }).await?;
        match failed {
            None => Ok(()),
            Some(failure) => to.partial(&self.scope, failure.why, failure.to_string()).await,
        }
    }

    /// Repositories that the audit log names for this sort.
    fn named(&self) -> BTreeSet<u64> {
        let changed = &self.org.changes.repositories;
        if changed.is_empty() {
            return BTreeSet::new();
        }
        let ids = self.index.by_name();
        let of_this = |families: &BTreeSet<Family>| {
            families.contains(&self.sort.family) || (self.sort.environments && families.contains(&Family::Environments))
        };
        let named = changed.iter().filter(|(_, families)| of_this(families));
        named.filter_map(|(name, _)| ids.get(name.as_str()).copied()).collect()
    }

    /// Asks one repository, or each of its environments.
    async fn ask(&self, id: u64, it: &Repository, tags: &BTreeMap<u64, String>) -> Result<Told, Failure> {
        if !self.sort.environments {
            let holder = Holder::Repository { id, name: &it.name };
            return self.one((id, it), None, holder, tags.get(&id)).await;
        }
        let keys = it.environments.iter().map(|name| (key(id, name, &it.environments), name));
        let keys: Vec<(u64, &String)> = keys.collect();
        // Several answers make one part: either none of them changed, or all are needed.
        let all_known = !keys.is_empty() && keys.iter().all(|(key, _)| tags.contains_key(key));
        let mut conditional = all_known;
        loop {
            let (mut entities, mut kept, mut same) = (Vec::new(), Vec::new(), 0);
            for (key, name) in &keys {
                let holder = Holder::Environment { id, name: &it.name, environment: name };
                let tag = tags.get(key).filter(|_| conditional);
                match self.one((*key, it), Some(name), holder, tag).await? {
                    Told::Unchanged => same += 1,
                    Told::Things(found, tags) => {
                        entities.extend(found);
                        kept.extend(tags);
                    }
                }
            }
            if conditional && same == keys.len() {
                return Ok(Told::Unchanged);
            }
            if same == 0 {
                return Ok(Told::Things(entities, kept));
            }
            conditional = false;
        }
    }

    async fn one(
        &self,
        (key, it): (u64, &Repository),
        environment: Option<&str>,
        holder: Holder<'_>,
        tag: Option<&String>,
    ) -> Result<Told, Failure> {
        let (org, sort) = (self.org, self.sort);
        let values: Vec<&str> = [org.login.as_str(), it.name.as_str()].into_iter().chain(environment).collect();
        let pages = Pages {
            web: org.web,
            stop: &org.stop,
            read: sort.read,
            values: &values,
            rows: sort.rows,
            page: sort.page,
            query: &[],
        };
        let (rows, tags) = match pages.hear(&Tags::of(tag.map(String::as_str))).await? {
            Heard::Unchanged => return Ok(Told::Unchanged),
            Heard::Rows(rows, tags) => (rows, tags),
        };
        let mut entities = Vec::new();
        for (at, row) in rows.into_iter().enumerate() {
            entities.extend((sort.map)(org, holder, row).map_err(|_| unreadable(sort.read, at))?);
        }
        Ok(Told::Things(entities, tags.one().map(|tag| (key, tag.to_owned())).into_iter().collect()))
    }

    async fn tell(
        &self,
        (id, told): (u64, Told),
        (position, holding): (&mut Position, &mut BTreeSet<u64>),
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        let Told::Things(entities, tags) = told else { return Ok(()) };
        let (part, now) = (id.to_string(), to.now());
        position.tags.remove(&id);
        position.tags.extend(tags);
        if !entities.is_empty() {
            holding.insert(id);
        }
        for entity in entities {
            to.see(&self.scope, Some(&part), now, entity).await?;
        }
        to.cover(&self.scope, Some(&part), now, Cover::Full { next: None, atomic: true }).await
    }
}

/// What the tag of an environment's answer is kept under: other environments beside it make it another.
fn key(id: u64, name: &str, all: &[String]) -> u64 {
    PartId::named(&format!("{id}\n{name}\n{}", all.join("\n"))).0
}
