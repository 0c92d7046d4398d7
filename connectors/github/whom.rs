//! As whom a source looks, and which organizations that reaches: installations of an App, or those named beside a token.
//! It must never look at an organization that was not chosen.

use std::{collections::BTreeSet, sync::Arc};

use provost_client::{
    Ask, Authority, Egress, Failure, Patience, Provider, Web,
    authority::{Nobody, Token},
};
use provost_model::{Reading, Time, Trouble, Why};
use serde::Deserialize;
use serde_json::json;

use super::{
    documents, limits,
    org::graph,
    people::PageInfo,
    said::Said,
    settings::{AsWhom, Settings},
    signing::{App, AsInstallation, INSTALLATIONS},
    spec::{GRAPHQL, ORGANIZATION, SPEC},
};
use crate::Source;

/// The version of the interface that answers are read by.
const VERSION: &str = "2022-11-28";
/// Scopes of classic tokens that only read (GitHub Docs, "Scopes for OAuth apps"); `repo` is not among them.
const READING: [&str; 9] = [
    "read:org",
    "read:user",
    "user:email",
    "read:audit_log",
    "read:enterprise",
    "read:packages",
    "read:public_key",
    "read:repo_hook",
    "read:network_configurations",
];
/// Most organizations of an enterprise, in pages of a hundred.
const PAGES_MAX: usize = 1_000;

/// As whom a source looks.
pub(super) struct Whom {
    sort: Sort,
    /// The way by which it is asked where one may look.
    front: Web,
    egress: Egress,
}

enum Sort {
    App(App),
    Token,
}

/// An organization and the way to it.
pub(super) struct Place {
    pub(super) id: u64,
    pub(super) login: String,
    pub(super) web: Web,
}

/// Where a source may look, and what else it could do.
pub(super) struct Found {
    pub(super) places: Vec<Place>,
    /// Organizations that were chosen and cannot be looked at.
    pub(super) troubles: Vec<Trouble>,
    pub(super) could_write: Reading<Vec<String>>,
    pub(super) ends: Reading<Time>,
}

impl Whom {
    /// As whom these settings say.
    pub(super) fn new(
        settings: &Settings,
        source: &Source,
        (egress, patience): (Egress, Patience),
    ) -> Result<Self, String> {
        let (sort, authority): (Sort, Arc<dyn Authority>) = match &settings.as_whom {
            AsWhom::App { id, key } => {
                let key = source.secret(key).map_err(|said| format!("private_key: {said}"))?;
                (Sort::App(App { id: *id, key }), Arc::new(Nobody))
            }
            AsWhom::Token(reference) => {
                let token = source.secret(reference).map_err(|said| format!("token: {said}"))?;
                (Sort::Token, Arc::new(Token::bearer(token)))
            }
        };
        let front = Web::new(provider(settings, egress.clone(), patience), authority)?;
        Ok(Self { sort, front, egress })
    }

    /// The way by which it is asked where one may look.
    pub(super) fn front(&self) -> &Web {
        &self.front
    }

    /// Who that is, for people.
    pub(super) fn name(&self) -> String {
        match &self.sort {
            Sort::App(app) => format!("GitHub App {}", app.id),
            Sort::Token => "the owner of a token".to_owned(),
        }
    }

    /// Where it may look.
    pub(super) async fn places(&self, settings: &Settings, patience: Patience) -> Result<Found, Failure> {
        self.front.begin();
        match &self.sort {
            Sort::App(app) => self.installations(app, settings, patience).await,
            Sort::Token => self.organizations(settings).await,
        }
    }

    async fn installations(&self, app: &App, settings: &Settings, patience: Patience) -> Result<Found, Failure> {
        let mut found = Found {
            places: Vec::new(),
            troubles: Vec::new(),
            could_write: Reading::NotCollected,
            // The key of an App holds until it is deleted.
            ends: Reading::Never,
        };
        let mut writes = BTreeSet::new();
        let mut missing: BTreeSet<&str> = settings.organizations.iter().map(String::as_str).collect();
        for it in app.installations(&self.front).await? {
            writes.extend(it.writes());
            let is_organization = it.target_type != Said::Is("User".to_owned());
            let suspended = it.is_suspended();
            let Some((id, login)) = it.account.as_ref().and_then(|it| Some((it.id, it.login.clone().is()?))) else {
                continue;
            };
            if !is_organization || !settings.chooses(&login) {
                continue;
            }
            missing.remove(login.to_ascii_lowercase().as_str());
            if suspended {
                found.troubles.push(unseen(&login, "the App is suspended there"));
                continue;
            }
            let authority = Arc::new(AsInstallation::new(app.clone(), it.id, &it.permissions));
            let web = Web::new(provider(settings, self.egress.clone(), patience), authority);
            let web = web.map_err(|said| Failure::new(INSTALLATIONS, Why::Malformed, "", &said))?;
            found.places.push(Place { id, login, web });
        }
        found.troubles.extend(missing.into_iter().map(|login| unseen(login, "the App is not installed there")));
        found.places.sort_by_key(|place| place.id);
        found.could_write = Reading::Known(writes.into_iter().collect());
        Ok(found)
    }

    async fn organizations(&self, settings: &Settings) -> Result<Found, Failure> {
        #[derive(Deserialize)]
        struct Organization {
            id: u64,
            login: String,
        }
        let mut found = Found {
            places: Vec::new(),
            troubles: Vec::new(),
            could_write: Reading::NotReported,
            ends: Reading::NotReported,
        };
        let mut names: BTreeSet<String> = settings.organizations.iter().cloned().collect();
        if let Some(enterprise) = &settings.enterprise {
            let of_it = self.enterprise(settings, enterprise).await?;
            names = if names.is_empty() { of_it } else { names.intersection(&of_it).cloned().collect() };
        }
        let mut failure = None;
        for name in names {
            let answer = match self.front.ask(Ask::get(ORGANIZATION, &[&name])).await {
                Ok(answer) => answer,
                Err(error) => {
                    found.troubles.push(unseen(&name, &error.said));
                    failure = Some(error);
                    continue;
                }
            };
            if let Some(scopes) = answer.header("x-oauth-scopes") {
                let beyond = scopes.split(',').map(str::trim).filter(|it| !it.is_empty() && !READING.contains(it));
                found.could_write = Reading::Known(beyond.map(str::to_owned).collect());
            }
            if let Some(at) = answer.header("github-authentication-token-expiration").and_then(ends) {
                found.ends = Reading::Known(at);
            }
            let Organization { id, login } = answer.json()?;
            found.places.push(Place { id, login, web: self.front.clone() });
        }
        match failure {
            Some(failure) if found.places.is_empty() => Err(failure),
            _ => Ok(found),
        }
    }

    /// The names of the organizations of an enterprise.
    async fn enterprise(&self, settings: &Settings, slug: &str) -> Result<BTreeSet<String>, Failure> {
        #[derive(Deserialize)]
        struct Answer {
            enterprise: Option<Enterprise>,
        }
        #[derive(Deserialize)]
        struct Enterprise {
            organizations: Connection,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Connection {
            page_info: PageInfo,
            nodes: Vec<Option<Node>>,
        }
        #[derive(Deserialize)]
        struct Node {
            login: String,
        }
        let name = documents::name_of(documents::ORGANIZATIONS);
        let (mut names, mut after) = (BTreeSet::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let variables = json!({"slug": slug, "after": after});
            let read = (settings.api.graphql.as_str(), documents::ORGANIZATIONS);
            let answer: Answer = graph(&self.front, read, variables, &mut []).await?;
            let unknown = || Failure::new(name, Why::Denied, "NOT_FOUND", "there is no such enterprise to be seen");
            let page = answer.enterprise.ok_or_else(unknown)?.organizations;
            names.extend(page.nodes.into_iter().flatten().map(|it| it.login.to_ascii_lowercase()));
            match page.page_info {
                PageInfo { has_next_page: false, .. } => return Ok(names),
                PageInfo { end_cursor, .. } if end_cursor.is_some() && end_cursor != after => after = end_cursor,
                _ => break,
            }
        }
        Err(Failure::new(name, Why::Malformed, "", "the listing does not end"))
    }
}

fn unseen(login: &str, said: &str) -> Trouble {
    Trouble { place: format!("orgs/{login}"), why: Why::Denied, said: said.to_owned(), blind_spot: false }
}

/// When a token ends, as GitHub writes it: `2026-12-31 08:00:00 UTC`, or with an offset such as `+0200`.
fn ends(text: &str) -> Option<Time> {
    let mut words = text.split(' ');
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let zone = match zone {
        "UTC" => "Z".to_owned(),
        other => format!("{}:{}", other.get(..3)?, other.get(3..)?),
    };
    format!("{date}T{time}{zone}").parse().ok()
}

/// What is known of GitHub before the first call.
fn provider(settings: &Settings, egress: Egress, patience: Patience) -> Provider {
    let named = |read: &'static str| if read == GRAPHQL { settings.api.graphql.clone() } else { read.to_owned() };
    Provider {
        origin: settings.api.base.clone(),
        reads: SPEC.reads.iter().map(|read| named(read.0)).collect(),
        documents: documents::ALL.iter().map(|(_, text)| *text).collect(),
        headers: vec![
            ("accept".to_owned(), "application/vnd.github+json".to_owned()),
            ("x-github-api-version".to_owned(), VERSION.to_owned()),
        ],
        pace: settings.pace,
        reserve: settings.reserve,
        limits: limits(settings),
        egress,
        patience,
        ..Provider::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_is_read_as_github_writes_it() {
        assert_eq!(ends("2026-12-31 08:00:00 UTC"), Some("2026-12-31T08:00:00Z".parse().unwrap()));
        assert_eq!(ends("2026-12-31 08:00:00 +0200"), Some("2026-12-31T06:00:00Z".parse().unwrap()));
        assert_eq!(ends("soon"), None);
    }
}
