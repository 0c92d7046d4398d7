//! A secret of GitHub Actions: sealed for its repository, and seen by nobody but workflows from then on.
//! It must never send a value but sealed, nor say that a former one is back: GitHub gives none out.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto_box::{PublicKey, aead::OsRng};
use provost_client::{Ask, Body, Web};
use provost_model::Order;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{Destination, DestinationSpec, Holding};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        github::{repository, way},
        settings::parsed,
    },
    sinks::Checked,
};

/// What this destination is.
pub(super) static SPEC: DestinationSpec = DestinationSpec {
    name: "github_actions_secret",
    title: "GitHub Actions secrets",
    about: "puts one part into a secret of a repository, which workflows see from their next start on; nobody can read it back",
    readable: false,
    acts: &[PUT, REMOVE],
    reads: &[KEY, SECRET],
    permissions: &["secrets:write in the repository, and metadata:read"],
    checked: Checked::Description("GitHub's OpenAPI description"),
    example: EXAMPLE,
    documentation: &[
        "https://docs.github.com/en/rest/actions/secrets",
        "https://docs.github.com/en/rest/guides/encrypting-secrets-for-the-rest-api",
    ],
    build: &build,
};

const PUT: &str = "PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}";
const REMOVE: &str = "DELETE /repos/{owner}/{repo}/actions/secrets/{secret_name}";
const KEY: &str = "GET /repos/{owner}/{repo}/actions/secrets/public-key";
const SECRET: &str = "GET /repos/{owner}/{repo}/actions/secrets/{secret_name}";
/// Longest secret, in bytes (GitHub Docs, "Using secrets in GitHub Actions").
const LONGEST: usize = 48 << 10;

const EXAMPLE: &str = r#"[[rotations.places]]
kind = "github_actions_secret"                # beside a place that can be read back; a value of two parts takes two of these
repository = "acme/shop"
secret = "DEPLOY_KEY"                         # its name
part = "private_key"                          # what of the new value goes there
token = "credential:github-secrets"           # a reference; a fine-grained token for that repository with secrets: write
# base_url = "https://ghe.example.org"        # Enterprise Server; https://api.SUBDOMAIN.ghe.com with data residency
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    repository: String,
    secret: String,
    part: String,
    token: String,
    base_url: Option<String>,
}

struct Secret {
    web: Web,
    owner: String,
    repo: String,
    name: String,
    part: String,
}

/// What secrets of the repository are sealed for.
#[derive(Deserialize)]
struct Key {
    key_id: String,
    key: String,
}

fn build(handed: &Handed) -> Result<Box<dyn Destination>, String> {
    let typed: Typed = parsed(handed)?;
    let (owner, repo) = repository(&typed.repository)?;
    let plain = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let of_github = typed.secret.to_ascii_uppercase().starts_with("GITHUB_");
    let is_name =
        !typed.secret.is_empty() && typed.secret.chars().all(plain) && !typed.secret.starts_with(char::is_numeric);
    if !is_name || of_github {
        return Err("secret: expected letters, digits and _, with no digit and no GITHUB_ at the beginning".to_owned());
    }
    let web = way(handed, (SPEC.reads, SPEC.acts), (&typed.token, typed.base_url.as_deref()))?;
    let (owner, repo) = (owner.to_owned(), repo.to_owned());
    Ok(Box::new(Secret { web, owner, repo, name: typed.secret, part: typed.part }))
}

impl Secret {
    fn place(&self) -> [&str; 3] {
        [&self.owner, &self.repo, &self.name]
    }

    /// When it was put there last; none if it is not there.
    async fn version(&self) -> Result<Option<String>, ActionError> {
        #[derive(Deserialize)]
        struct Told {
            updated_at: String,
        }
        let answer = self.web.ask(Ask::get(SECRET, &self.place()).or_missing()).await?;
        if answer.is_missing() {
            return Ok(None);
        }
        Ok(Some(answer.json::<Told>()?.updated_at))
    }

    async fn key(&self) -> Result<Key, ActionError> {
        Ok(self.web.ask(Ask::get(KEY, &[&self.owner, &self.repo])).await?.json()?)
    }
}

#[async_trait]
impl Destination for Secret {
    async fn look(&self) -> Result<Holding, ActionError> {
        Ok(Holding { version: self.version().await?, value: None })
    }

    async fn put(&self, order: &Order, value: &Bundle, before: Option<&str>) -> Result<String, ActionError> {
        let part =
            value.get(&self.part).ok_or_else(|| refused(format!("the new value has no part {:?}", self.part)))?;
        if part.expose_secret().len() > LONGEST {
            return Err(refused("the value is longer than a secret of GitHub can be"));
        }
        let key = self.key().await?;
        let sealed = sealed(&key, part)?;
        if self.version().await?.as_deref() != before {
            return Err(refused("the secret was changed since it was looked at first; it is left as it is"));
        }
        let body = json!({ "encrypted_value": sealed, "key_id": key.key_id });
        self.web.act(order, Ask::act(PUT, &self.place(), Some(Body::Json(body)))).await?;
        // It is there; that nobody hears under which version changes nothing of that.
        let unclear =
            |said: &str| ActionError::Ambiguous { said: format!("it was put, and its version is not known: {said}") };
        let version = self.version().await.map_err(|error| unclear(error.said()))?;
        version.ok_or_else(|| unclear("GitHub does not list it yet"))
    }

    async fn restore(&self, order: &Order, before: Option<&str>, ours: &str) -> Result<(), ActionError> {
        let version = self.version().await?;
        if version.as_deref() == before {
            return Ok(());
        }
        if version.as_deref() != Some(ours) {
            return Err(refused("somebody else changed the secret meanwhile; it is left as it is"));
        }
        if before.is_some() {
            return Err(refused("GitHub gives no value out, so what was there before cannot be put back from here"));
        }
        match self.web.act(order, Ask::act(REMOVE, &self.place(), None)).await {
            Err(undone) if undone.failure.is_missing() => Ok(()),
            done => Ok(done.map(drop)?),
        }
    }

    async fn check(&self) -> Result<String, ActionError> {
        public(&self.key().await?)?;
        let there = if self.version().await?.is_some() { "is there" } else { "is not there yet" };
        Ok(format!(
            "{} of {}/{} {there}; whether it may be written shows only when it is",
            self.name, self.owner, self.repo
        ))
    }
}

/// The value as only GitHub can read it: a sealed box of libsodium.
fn sealed(key: &Key, value: &SecretString) -> Result<String, ActionError> {
    let sealed = public(key)?.seal(&mut OsRng, value.expose_secret().as_bytes());
    sealed.map(|it| STANDARD.encode(it)).map_err(|_| refused("the value cannot be sealed"))
}

fn public(key: &Key) -> Result<PublicKey, ActionError> {
    let bytes = STANDARD.decode(&key.key).ok();
    let key = bytes.and_then(|it| PublicKey::from_slice(&it).ok());
    key.ok_or_else(|| refused("the repository's key for secrets is none"))
}

fn refused(said: impl Into<String>) -> ActionError {
    ActionError::GiveUp { said: said.into() }
}

#[cfg(test)]
mod tests;
