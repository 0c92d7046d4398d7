//! The audit log since last time: what need not be asked for again, which repositories changed, and who made what.
//! It must never spare a listing unless every event since then was read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use provost_client::{Ask, Failure};
use provost_model::{Cover, Cursor, Span, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::org::{Org, is_blind, rows_of, stopped};
use crate::{Emitter, Stopped};

/// The read.
pub(super) const READ: &str = "GET /orgs/{org}/audit-log";
/// The scope's path below the organization.
const PATH: &str = "audit-log";
/// Events of a page: the most that GitHub gives.
const PAGE: &str = "100";
/// Most pages of changes; with more, the listings tell them sooner.
const PAGES_MAX: usize = 5;
/// Pages of births of each sort read the first time.
const BIRTH_PAGES: usize = 2;
/// Events show in the log some time after they happened, so that far back is read again.
const OVERLAP: Span = Span::seconds(15 * 60);
/// Most makers remembered.
const BIRTHS_MAX: usize = 20_000;
/// The form of the cursor; another is read as nothing.
const VERSION: u32 = 1;
/// Events that tell who made something that is listed elsewhere (GitHub Docs, "Audit log events for your organization").
const BIRTHS: [&str; 6] = [
    "hook.create",
    "integration_installation.create",
    "org.create_actions_secret",
    "repo.create_actions_secret",
    "environment.create_actions_secret",
    "public_key.create",
];

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Installations,
    Requests,
    Secrets,
    Variables,
    Hooks,
    Runners,
    People,
    Oidc,
    Keys,
    Environments,
    Repositories,
}

/// Words in the name of an event, and what it may have changed. An event that no word fits changed nothing that is listed.
const WORDS: [(&str, Family); 17] = [
    ("integration", Family::Installations),
    ("oauth", Family::Installations),
    ("personal_access_token", Family::Requests),
    ("secret", Family::Secrets),
    ("variable", Family::Variables),
    ("hook", Family::Hooks),
    ("runner", Family::Runners),
    ("member", Family::People),
    ("collaborator", Family::People),
    ("role", Family::People),
    ("two_factor", Family::People),
    ("oidc", Family::Oidc),
    ("public_key", Family::Keys),
    ("deploy_key", Family::Keys),
    ("environment", Family::Environments),
    ("repo.", Family::Repositories),
    ("repository", Family::Repositories),
];

/// What the audit log says.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Whether every event since the last run was read.
    whole: bool,
    touched: BTreeSet<Family>,
    /// Repositories by name, with what changed in them.
    pub(super) repositories: BTreeMap<String, BTreeSet<Family>>,
    /// Repositories that are gone, by name.
    pub(super) destroyed: BTreeMap<String, Time>,
    /// Who made what, by external id.
    made: HashMap<String, String>,
    kept: Kept,
}

/// What is remembered from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// Everything before was read, in microseconds since 1970.
    since: i64,
    /// Who made what, by external id; the latest last.
    made: Vec<(String, String)>,
    /// When an App last did something, in seconds since 1970.
    acted: BTreeMap<String, i64>,
}

impl Changes {
    /// Whether a listing of that sort needs no asking.
    pub(super) fn spare(&self, family: Family) -> bool {
        self.whole && !self.touched.contains(&family)
    }

    /// Whether every event since the last run was read.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Who made the thing of that external id.
    pub(super) fn creator(&self, external: &str) -> Option<&str> {
        self.made.get(external).map(String::as_str)
    }

    /// When the App of that short name last did something that is logged.
    pub(super) fn acted(&self, slug: &str) -> Option<Time> {
        self.kept.acted.get(slug).map(|at| Time::from_seconds(*at))
    }

    /// Reads the log since last time, or the births in it the first time.
    pub(super) async fn read(org: &Org<'_>, to: &mut Emitter) -> Result<Self, Stopped> {
        let scope = org.scope(PATH);
        let mut changes = Self { kept: kept(org.cursor(PATH)), ..Self::default() };
        let read = if changes.kept.since == 0 { changes.births(org).await } else { changes.news(org).await };
        if let Err(failure) = read {
            // The log is there with GitHub Enterprise Cloud only. Without it everything is asked for.
            if is_blind(READ, &failure) {
                org.blind(READ, &failure.said, to).await?;
            } else {
                to.begin(&scope, None).await?;
                to.partial(&scope, failure.why, failure.to_string()).await?;
            }
            let made = changes.kept.made.iter().cloned().collect();
            return Ok(Self { kept: changes.kept, made, ..Self::default() });
        }
        // By the provider's clock; what happened meanwhile is read again.
        let now = org.web.provider_time().unwrap_or_else(|| to.now());
        changes.kept.since = now.as_micros();
        changes.made = changes.kept.made.iter().cloned().collect();
        changes.kept.version = VERSION;
        let surplus = changes.kept.made.len().saturating_sub(BIRTHS_MAX);
        changes.kept.made.drain(..surplus);
        to.begin(&scope, None).await?;
        let next = Cursor(serde_json::to_vec(&changes.kept).unwrap_or_default());
        // Nothing lives in this scope: it is a place to remember how far the log was read.
        to.cover(&scope, None, now, Cover::Full { next: Some(next), atomic: false }).await?;
        Ok(changes)
    }

    /// Events since last time.
    async fn news(&mut self, org: &Org<'_>) -> Result<(), Failure> {
        let since = Time::from_micros(self.kept.since) - OVERLAP;
        let phrase = format!("created:>={}", since.whole_seconds());
        self.whole = self.pages(org, (&phrase, "asc"), PAGES_MAX).await?;
        Ok(())
    }

    /// Who made what, as far back as the first pages of each sort of birth go.
    async fn births(&mut self, org: &Org<'_>) -> Result<(), Failure> {
        for action in BIRTHS {
            self.pages(org, (&format!("action:{action}"), "desc"), BIRTH_PAGES).await?;
        }
        // Read from the latest to the first.
        self.kept.made.reverse();
        (self.touched, self.repositories, self.destroyed) = Default::default();
        Ok(())
    }

    /// Reads so many pages at most, and says whether that was all.
    async fn pages(&mut self, org: &Org<'_>, (phrase, order): (&str, &str), most: usize) -> Result<bool, Failure> {
        let mut next: Option<String> = None;
        for _ in 0..most {
            if org.is_stopping() {
                return Err(stopped(READ));
            }
            let ask = match &next {
                Some(link) => Ask::link(READ, link),
                None => Ask::get(READ, &[&org.login])
                    .query("phrase", phrase)
                    .query("include", "web")
                    .query("order", order)
                    .query("per_page", PAGE),
            };
            let answer = org.web.ask(ask).await?;
            for event in rows_of(&answer, READ, "")? {
                self.heed(org, &event);
            }
            match answer.next_link() {
                Some(link) => next = Some(link.to_owned()),
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Takes in one event.
    fn heed(&mut self, org: &Org<'_>, event: &Value) {
        let text = |field: &str| event.get(field).and_then(Value::as_str).unwrap_or_default();
        let (action, actor) = (text("action"), text("actor"));
        let millis = event.get("@timestamp").or_else(|| event.get("created_at")).and_then(Value::as_i64);
        let at = Time::from_micros(millis.unwrap_or_default().saturating_mul(1000));
        if let Some(slug) = actor.strip_suffix("[bot]") {
            let last = self.kept.acted.entry(slug.to_owned()).or_default();
            if at.as_seconds() > *last {
                *last = at.as_seconds();
                self.touched.insert(Family::Installations);
            }
        }
        let named = [text("repo"), text("repository")].into_iter().find(|it| !it.is_empty());
        let repository = named.map(|full| full.rsplit('/').next().unwrap_or(full).to_owned());
        if let (Some(name), "repo.destroy") = (&repository, action) {
            self.destroyed.insert(name.clone(), at);
        }
        for (_, family) in WORDS.iter().filter(|(word, _)| action.contains(word)) {
            match &repository {
                Some(name) => drop(self.repositories.entry(name.clone()).or_default().insert(*family)),
                None => drop(self.touched.insert(*family)),
            }
            // Accounts and Apps are the organization's, whichever repository they were given.
            if matches!(family, Family::People | Family::Installations) {
                self.touched.insert(*family);
            }
        }
        if BIRTHS.contains(&action)
            && !actor.is_empty()
            && let Some(made) = made(org, event, (action, repository.as_deref()))
        {
            self.kept.made.push((made, actor.to_owned()));
        }
    }
}

/// The external id of what an event made, where the event names it. Secrets of repositories are known by the repository's id,
/// which the event has beside its name.
fn made(org: &Org<'_>, event: &Value, (action, repository): (&str, Option<&str>)) -> Option<String> {
    let text = |field: &str| event.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = |field: &str| event.get(field).and_then(Value::as_u64);
    let secret = || text("key").or_else(|| text("secret_name")).or_else(|| text("name"));
    match action {
        "hook.create" => Some(format!("hooks/{}", number("hook_id")?)),
        "integration_installation.create" => Some(format!("installations/{}", text("integration")?)),
        "org.create_actions_secret" => Some(format!("orgs/{}/actions/secrets/{}", org.id, secret()?)),
        "repo.create_actions_secret" => {
            repository?;
            Some(format!("repos/{}/actions/secrets/{}", number("repo_id")?, secret()?))
        }
        "environment.create_actions_secret" => {
            let environment = text("environment_name")?.replace('%', "%25").replace('/', "%2F");
            Some(format!("repos/{}/environments/{environment}/secrets/{}", number("repo_id")?, secret()?))
        }
        "public_key.create" => text("fingerprint").map(str::to_owned),
        _ => None,
    }
}

fn kept(cursor: Option<&Cursor>) -> Kept {
    let read = cursor.and_then(|cursor| serde_json::from_slice::<Kept>(&cursor.0).ok());
    read.filter(|kept| kept.version == VERSION).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::spec;

    #[test]
    fn what_is_remembered_survives_its_cursor_and_another_form_is_read_as_nothing() {
        let wanted =
            Kept { version: VERSION, since: 7, made: vec![("hooks/1".into(), "ann".into())], ..Kept::default() };
        assert_eq!(kept(Some(&Cursor(serde_json::to_vec(&wanted).unwrap()))), wanted);
        let other = Kept { version: VERSION + 1, ..wanted };
        assert_eq!(kept(Some(&Cursor(serde_json::to_vec(&other).unwrap()))), Kept::default());
        assert_eq!(kept(None), Kept::default());
    }

    #[test]
    fn a_listing_is_spared_only_when_the_log_was_read_to_its_end() {
        let mut changes = Changes { whole: true, ..Changes::default() };
        changes.touched.insert(Family::Hooks);
        assert!(changes.spare(Family::Runners) && !changes.spare(Family::Hooks));
        changes.whole = false;
        assert!(!changes.spare(Family::Runners));
    }

    #[test]
    fn the_read_is_optional() {
        assert!(spec::is_optional(READ));
    }
}
