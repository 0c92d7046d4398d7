//! What people's tokens may reach in a GitHub organization: the access is taken back, the token stays its owner's.
//! It must never take back access to an organization that only has the name of the one meant.

use async_trait::async_trait;
use provost_client::{Ask, Body, Web};
use provost_model::{Kind, Order, Reading, Remedy, Slot, Target, Time};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    given::{Handed, github::way, settings::parsed},
    sinks::Checked,
};

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "github_token_grant",
    title: "Tokens with access to a GitHub organization",
    about: "takes back what a fine-grained token, or a classic one authorized for single sign-on, may reach in an organization; \
            its owner has to ask for it again",
    kinds: &[Kind::Token],
    remedies: &[Remedy::Revoke],
    way: Way::Overlap { capacity: None },
    reversible: false,
    removes: true,
    parts: &[],
    marks: false,
    prepares: false,
    lag: None,
    acts: &[REVOKE, DEAUTHORIZE],
    reads: &[LIMITS, ORG, TOKENS, AUTHORIZATIONS],
    permissions: &[
        "an app installed in the organization, with organization_personal_access_tokens:write: GitHub lets nobody else revoke \
         fine-grained tokens",
        "for single sign-on: organization_administration:write of an owner",
    ],
    checked: Checked::Description("GitHub's OpenAPI description"),
    example: EXAMPLE,
    documentation: &[
        "https://docs.github.com/en/rest/orgs/personal-access-tokens",
        "https://docs.github.com/en/enterprise-cloud@latest/rest/orgs/orgs#list-saml-sso-authorizations-for-an-organization",
    ],
    build: &build,
};

const REVOKE: &str = "POST /orgs/{org}/personal-access-tokens/{pat_id}";
const DEAUTHORIZE: &str = "DELETE /orgs/{org}/credential-authorizations/{credential_id}";
const LIMITS: &str = "GET /rate_limit";
const ORG: &str = "GET /orgs/{org}";
const TOKENS: &str = "GET /orgs/{org}/personal-access-tokens";
const AUTHORIZATIONS: &str = "GET /orgs/{org}/credential-authorizations";

/// Rows of a page, and pages that are read at most.
const PAGE: usize = 100;
const PAGES: usize = 200;

const EXAMPLE: &str = r#"[[rotations]]
name = "org-tokens"
kind = "github_token_grant"
org = "acme"
token = "credential:github-token-grants"      # a reference to a token of an app that may do it
# base_url = "https://ghe.example.org"        # Enterprise Server; https://api.SUBDOMAIN.ghe.com with data residency
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    org: String,
    token: String,
    base_url: Option<String>,
}

struct Grants {
    web: Web,
    org: String,
}

/// A fine-grained token as GitHub lists it.
#[derive(Deserialize)]
struct FineGrained {
    id: u64,
    token_id: u64,
    token_expired: bool,
    access_granted_at: Option<String>,
    token_last_used_at: Option<String>,
}

/// An authorization for single sign-on as GitHub lists it.
#[derive(Deserialize)]
struct Authorization {
    credential_id: u64,
    credential_authorized_at: Option<String>,
    credential_accessed_at: Option<String>,
}

/// Which grant a target is, by the number that its id ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    /// A fine-grained token's, by the token's number.
    Token(u64),
    /// An authorization for single sign-on of that organization.
    Authorization { org: u64, id: u64 },
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let typed: Typed = parsed(handed)?;
    let plain = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    if typed.org.is_empty() || !typed.org.chars().all(plain) {
        return Err("org: the login of an organization".to_owned());
    }
    let web = way(handed, (SPEC.reads, SPEC.acts), (&typed.token, typed.base_url.as_deref()))?;
    Ok(Box::new(Grants { web, org: typed.org }))
}

fn meant(id: &str) -> Result<Meant, ActionError> {
    let number = |text: &str| text.parse::<u64>().ok();
    let found = match id.split('/').collect::<Vec<_>>().as_slice() {
        ["personal-access-tokens", id] => number(id).map(Meant::Token),
        ["orgs", org, "credential-authorizations", id] => {
            number(org).zip(number(id)).map(|(org, id)| Meant::Authorization { org, id })
        }
        _ => None,
    };
    found.ok_or_else(|| refused("it is not called by the number of a grant"))
}

fn dated(text: Option<&String>, otherwise: Reading<Time>) -> Reading<Time> {
    match text {
        None => otherwise,
        Some(text) => text.parse().map_or(Reading::NotReported, Reading::Known),
    }
}

impl Grants {
    /// Every row of a listing. GitHub's description and its example disagree on how one asks for a single token.
    async fn all<T: DeserializeOwned>(&self, read: &'static str) -> Result<Vec<T>, ActionError> {
        let mut rows = Vec::new();
        for page in 1..=PAGES {
            let ask = Ask::get(read, &[&self.org]).query("per_page", PAGE.to_string()).query("page", page.to_string());
            let more: Vec<T> = self.web.ask(ask).await?.json()?;
            let is_last = more.len() < PAGE;
            rows.extend(more);
            if is_last {
                return Ok(rows);
            }
        }
        Err(refused("the organization has more grants than are read"))
    }

    /// The number of the organization, for a target of this server.
    async fn number(&self) -> Result<u64, ActionError> {
        #[derive(Deserialize)]
        struct Org {
            id: u64,
        }
        let org: Org = self.web.ask(Ask::get(ORG, &[&self.org])).await?.json()?;
        Ok(org.id)
    }

    async fn token(&self, id: u64) -> Result<Option<FineGrained>, ActionError> {
        Ok(self.all::<FineGrained>(TOKENS).await?.into_iter().find(|it| it.token_id == id))
    }

    async fn authorization(&self, org: u64, id: u64) -> Result<Option<Authorization>, ActionError> {
        if self.number().await? != org {
            return Err(refused("the organization of that name is another one"));
        }
        Ok(self.all::<Authorization>(AUTHORIZATIONS).await?.into_iter().find(|it| it.credential_id == id))
    }
}

#[async_trait]
impl Rotator for Grants {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let slot = |active, made: Option<&String>, used: Option<&String>| Slot {
            id: target.external_id.clone(),
            active,
            made_at: dated(made, Reading::NotReported),
            used_at: dated(used, Reading::Never),
            mark: None,
        };
        let found = match meant(&target.external_id)? {
            Meant::Token(id) => self
                .token(id)
                .await?
                .map(|it| slot(!it.token_expired, it.access_granted_at.as_ref(), it.token_last_used_at.as_ref())),
            Meant::Authorization { org, id } => self
                .authorization(org, id)
                .await?
                .map(|it| slot(true, it.credential_authorized_at.as_ref(), it.credential_accessed_at.as_ref())),
        };
        Ok(found.into_iter().collect())
    }

    async fn mint(&self, _: &Order, _: &Target, _: &str, _: &Bundle) -> Result<Minted, ActionError> {
        Err(refused("nobody but its owner makes a token"))
    }

    async fn verify(&self, _: &Target, _: &str, _: &Bundle) -> Result<(), ActionError> {
        Err(refused("nothing new is made that could be tried"))
    }

    async fn disable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(refused("GitHub cannot disable it for a while"))
    }

    async fn enable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(refused("only its owner can ask for it again"))
    }

    async fn delete(&self, order: &Order, _: &Target, id: &str) -> Result<(), ActionError> {
        let ask = match meant(id)? {
            Meant::Token(id) => {
                let Some(token) = self.token(id).await? else { return Ok(()) };
                let body = Body::Json(json!({ "action": "revoke" }));
                Ask::act(REVOKE, &[&self.org, &token.id.to_string()], Some(body))
            }
            Meant::Authorization { org, id } => {
                if self.authorization(org, id).await?.is_none() {
                    return Ok(());
                }
                Ask::act(DEAUTHORIZE, &[&self.org, &id.to_string()], None)
            }
        };
        match self.web.act(order, ask).await {
            Err(undone) if undone.failure.is_missing() => Ok(()),
            done => Ok(done.map(drop)?),
        }
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.web.ask(Ask::get(LIMITS, &[])).await?;
        let number = self.number().await?;
        Ok(format!("the token works; {} is organization {number}; whether it may revoke shows when it does", self.org))
    }
}

fn refused(said: &str) -> ActionError {
    ActionError::GiveUp { said: said.to_owned() }
}

#[cfg(test)]
mod tests;
