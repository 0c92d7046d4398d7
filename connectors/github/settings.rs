//! A source's settings as typed and as meant.
//! It must never hold a credential: those are references that are resolved when they are used.

use std::time::Duration;

use provost_client::{Limits, Mode};
use serde::Deserialize;
use url::Url;

use crate::settings::{pace, sweep_every, within};

/// Calls a second of one read when the budget belongs to others too. The budget itself is learned from the answers.
const SHARED_MOST: f64 = 10.0;
/// Calls in flight unless set. GitHub allows a hundred to everybody who shares the credential.
const IN_FLIGHT: usize = 8;
/// Share of the hourly budget left to others unless set.
const RESERVE: f64 = 0.2;
/// The interface of github.com.
const PUBLIC: &str = "https://api.github.com";

/// What the settings mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Where the interface is.
    pub(super) api: Api,
    /// As whom to look.
    pub(super) as_whom: AsWhom,
    /// The only organizations to look at, in small letters; for an App all it is installed in if empty.
    pub(super) organizations: Vec<String>,
    /// The enterprise whose organizations are looked at.
    pub(super) enterprise: Option<String>,
    /// How fast.
    pub(super) pace: Mode,
    /// Calls in flight.
    pub(super) in_flight: usize,
    /// Share of the budget left to others.
    pub(super) reserve: f64,
    /// Time in which a sweep gets round.
    pub(super) sweep_every: Duration,
    /// Calls of one run to each organization.
    pub(super) max_calls: u64,
    /// Time of one call; not to be set.
    pub(super) attempt: Duration,
}

/// Where the interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Api {
    /// The origin of REST with the path before every call.
    pub(super) base: String,
    /// The read that stands for GraphQL.
    pub(super) graphql: String,
    /// The host people know it by, which names the realm: `github.com`, `ghe.example.org`.
    pub(super) host: String,
}

/// As whom to look. Both hold references, never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AsWhom {
    /// As a GitHub App.
    App {
        /// The App's id.
        id: u64,
        /// Where its private key is.
        key: String,
    },
    /// With a token.
    Token(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    base_url: Option<String>,
    app_id: Option<u64>,
    private_key: Option<String>,
    token: Option<String>,
    #[serde(default)]
    organizations: Vec<String>,
    enterprise: Option<String>,
    pace: Option<String>,
    in_flight: Option<usize>,
    reserve: Option<f64>,
    sweep_every: Option<String>,
    max_calls: Option<u64>,
}

impl Settings {
    /// Reads a `[[sources]]` entry's own settings.
    pub(super) fn read(table: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let typed: Typed =
            serde_json::from_value(serde_json::Value::Object(table.clone())).map_err(|error| error.to_string())?;
        let as_whom = match (typed.app_id, typed.private_key, typed.token) {
            (Some(id), Some(key), None) => AsWhom::App { id, key },
            (None, None, Some(token)) => AsWhom::Token(token),
            (Some(_), None, None) => return Err("app_id needs private_key".to_owned()),
            (None, Some(_), None) => return Err("private_key needs app_id".to_owned()),
            _ => return Err("expected either app_id with private_key, or token".to_owned()),
        };
        for name in typed.organizations.iter().chain(&typed.enterprise) {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
                return Err(format!("{name:?}: expected the name of an organization or enterprise as in its address"));
            }
        }
        if matches!(as_whom, AsWhom::Token(_)) && typed.organizations.is_empty() && typed.enterprise.is_none() {
            return Err("a token needs organizations or enterprise: it does not say where it may look".to_owned());
        }
        let pace = pace(typed.pace.as_deref(), SHARED_MOST)?;
        let in_flight = within("in_flight", typed.in_flight.unwrap_or(IN_FLIGHT), (1, 100))?;
        let reserve = within("reserve", typed.reserve.unwrap_or(RESERVE), (0.0, 0.95))?;
        Ok(Self {
            api: Api::at(typed.base_url.as_deref().unwrap_or(PUBLIC))?,
            as_whom,
            organizations: typed.organizations.iter().map(|name| name.to_ascii_lowercase()).collect(),
            enterprise: typed.enterprise,
            pace,
            in_flight,
            reserve,
            sweep_every: sweep_every(typed.sweep_every.as_deref())?,
            max_calls: typed.max_calls.unwrap_or(u64::MAX),
            attempt: Limits::default().attempt,
        })
    }

    /// Whether that organization is among those chosen.
    pub(super) fn chooses(&self, login: &str) -> bool {
        self.organizations.is_empty() || self.organizations.iter().any(|it| it.eq_ignore_ascii_case(login))
    }
}

impl Api {
    /// The interface behind an address: of github.com and of data residency at a host `api.…`, of a GitHub Enterprise
    /// Server below `/api/v3`, with GraphQL beside it (GitHub Docs, "Forming calls with GraphQL").
    fn at(text: &str) -> Result<Self, String> {
        let wrong = || format!("base_url = {text:?}: expected https://HOST or https://HOST/api/v3");
        let url = Url::parse(text).map_err(|_| wrong())?;
        let clean = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !matches!(url.scheme(), "http" | "https") || !clean || url.fragment().is_some() {
            return Err(wrong());
        }
        let named = url.host_str().ok_or_else(wrong)?;
        let origin = url.origin().ascii_serialization();
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let api = |path: &str, graphql: String, host: &str| Self {
            base: format!("{origin}{path}"),
            graphql,
            host: format!("{host}{port}"),
        };
        match (url.path().trim_end_matches('/'), named.strip_prefix("api.")) {
            ("", Some(host)) => Ok(api("", "POST /graphql".to_owned(), host)),
            // A server of one's own without the usual path: a proxy, or a counterpart in a test.
            ("", None) if url.scheme() == "http" => Ok(api("", "POST /graphql".to_owned(), named)),
            ("" | "/api/v3", None) => Ok(api("/api/v3", format!("POST {origin}/api/graphql"), named)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Settings, String> {
        Settings::read(value.as_object().unwrap())
    }

    #[test]
    fn every_github_has_its_addresses() {
        let table = [
            ("https://api.github.com", "https://api.github.com", "POST /graphql", "github.com"),
            ("https://api.acme.ghe.com/", "https://api.acme.ghe.com", "POST /graphql", "acme.ghe.com"),
            ("https://ghe.x.org", "https://ghe.x.org/api/v3", "POST https://ghe.x.org/api/graphql", "ghe.x.org"),
            (
                "https://ghe.x.org:8443/api/v3/",
                "https://ghe.x.org:8443/api/v3",
                "POST https://ghe.x.org:8443/api/graphql",
                "ghe.x.org:8443",
            ),
        ];
        for (text, base, graphql, host) in table {
            let api = Api::at(text).unwrap();
            assert_eq!((api.base.as_str(), api.graphql.as_str(), api.host.as_str()), (base, graphql, host));
        }
        assert_eq!(read(json!({"token": "env:T", "organizations": ["a"]})).unwrap().api.host, "github.com");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        let app = |more: serde_json::Value| {
            let mut table = json!({"app_id": 1, "private_key": "file:/k.pem"});
            table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            table
        };
        for (table, says) in [
            (json!({}), "either"),
            (json!({"app_id": 1}), "private_key"),
            (json!({"token": "env:T"}), "organizations"),
            (json!({"token": "env:T", "app_id": 1, "private_key": "env:K"}), "either"),
            (app(json!({"base_url": "https://me:secret@host"})), "https://HOST"),
            (app(json!({"base_url": "https://host/else"})), "https://HOST"),
            (app(json!({"organizations": ["a/b"]})), "name of an organization"),
            (app(json!({"reserve": 1.0})), "0.95"),
            (app(json!({"in_flight": 0})), "1 to 100"),
            (app(json!({"sweep_every": "soon"})), "7d"),
            (app(json!({"api_key": "x"})), "unknown field"),
        ] {
            let error = read(table).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
