//! Who signs calls to GitHub: one of an App's installations by a short token, or a token somebody made.
//! It must never ask for a token that could write.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use octocrab::Octocrab;
use provost_client::{
    Authority, Failure, Web,
    authority::{Lease, Leased, SecretOf},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    apps::Installation,
    octo::{as_app, failed, unsigned},
    spec,
};

/// The read that makes a token of an installation. It writes nothing but that token.
pub(super) const TOKENS: &str = "POST /app/installations/{installation_id}/access_tokens";
/// The read that lists where an App is installed.
pub(super) const INSTALLATIONS: &str = "GET /app/installations";
/// How long such a token lasts (GitHub Docs, "Generating an installation access token for a GitHub App").
const TOKEN_LASTS: Duration = Duration::from_secs(3600);
/// Installations of a page: the most that GitHub gives.
const PAGE: u8 = 100;
/// Most pages.
const PAGES_MAX: u32 = 1_000;

/// A GitHub App: its id, and its private key as it is at the time of use.
#[derive(Clone)]
pub(super) struct App {
    pub(super) id: u64,
    pub(super) key: SecretOf,
}

impl App {
    /// Where it is installed.
    pub(super) async fn installations(&self, web: &Web) -> Result<Vec<Installation>, Failure> {
        let octocrab = as_app(web, self.id, self.key.clone()).await?;
        let mut all: Vec<Installation> = Vec::new();
        for number in 1..=PAGES_MAX {
            let query = json!({"per_page": PAGE, "page": number});
            let page: Result<Vec<Installation>, _> = octocrab.get("/app/installations", Some(&query)).await;
            let page = page.map_err(|error| failed(INSTALLATIONS, &error))?;
            let is_last = page.len() < usize::from(PAGE);
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
        Err(Failure::new(INSTALLATIONS, provost_model::Why::Malformed, "", "the listing does not end"))
    }

    /// Octocrab as this App.
    async fn octocrab(&self, web: &Web) -> Result<Octocrab, Failure> {
        as_app(web, self.id, self.key.clone()).await
    }
}

/// Signs as one installation of an App.
pub(super) struct AsInstallation {
    app: App,
    id: u64,
    /// What a token is asked for: what is used of what was granted, to read.
    wanted: Value,
    token: Leased,
}

impl AsInstallation {
    /// The installation of that id with what it was granted.
    pub(super) fn new(app: App, id: u64, granted: &BTreeMap<String, String>) -> Self {
        let used: BTreeMap<&str, &str> =
            granted.keys().filter(|name| spec::uses(name)).map(|name| (name.as_str(), "read")).collect();
        // Without any, GitHub would give the token everything: its metadata are granted always.
        let used = if used.is_empty() { BTreeMap::from([("metadata", "read")]) } else { used };
        Self { app, id, wanted: json!({ "permissions": used }), token: Leased::default() }
    }

    async fn fetch(&self, web: &Web) -> Result<Lease, Failure> {
        #[derive(Deserialize)]
        struct Made {
            token: String,
        }
        let octocrab = self.app.octocrab(web).await?;
        let path = format!("/app/installations/{}/access_tokens", self.id);
        let made: Result<Made, _> = octocrab.post(path, Some(&self.wanted)).await;
        let made = made.map_err(|error| failed(TOKENS, &error))?;
        Ok(Lease { secret: SecretString::from(made.token), lasts: TOKEN_LASTS })
    }
}

#[async_trait]
impl Authority for AsInstallation {
    async fn headers(&self, web: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let token = self.token.get(fresh, async || self.fetch(web).await).await?;
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
        let mut value = value.map_err(|_| unsigned("the token that was made is none".to_owned()))?;
        value.set_sensitive(true);
        Ok(vec![(header::AUTHORIZATION, value)])
    }
}
