//! Deploy keys of GitHub's repositories: a new key beside the old one, with the same access.
//! It must never remove a key by its title, nor act in a repository that only has the name of the one meant.

use async_trait::async_trait;
use provost_client::{Ask, Body, Web};
use provost_model::{Kind, Order, Reading, Remedy, Slot, Target, Time};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::{Minted, Rotator, RotatorSpec, Way, marks};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        github::{repository, way},
        settings::parsed,
        ssh_key::{digest, digest_of, digest_of_private, made, parts_of},
        ssh_login::Login,
    },
    sinks::Checked,
};

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "github_deploy_key",
    title: "GitHub deploy keys",
    about: "adds a deploy key with the access of the old one, and removes the old one when nobody uses it any more; GitHub can \
            disable none for a while, so a removed key can only be made anew",
    kinds: &[Kind::SshKey],
    remedies: &[Remedy::Rotate, Remedy::Delete, Remedy::Revoke],
    way: Way::Overlap { capacity: None },
    reversible: false,
    removes: true,
    parts: &[PRIVATE, PUBLIC],
    marks: true,
    prepares: false,
    // GitHub does not say how late it is; of its tokens it says a day.
    lag: Some(86_400),
    acts: &[MAKE, REMOVE],
    reads: &[LIMITS, REPOSITORY, KEYS],
    permissions: &[
        "administration:write in the repository, and metadata:read",
        "a token that outlives the key: deploy keys go when the token they were made with is deleted",
    ],
    checked: Checked::Description("GitHub's OpenAPI description"),
    example: EXAMPLE,
    documentation: &[
        "https://docs.github.com/en/rest/deploy-keys/deploy-keys",
        "https://docs.github.com/en/authentication/connecting-to-github-with-ssh/managing-deploy-keys",
    ],
    build: &build,
};

const MAKE: &str = "POST /repos/{owner}/{repo}/keys";
const REMOVE: &str = "DELETE /repos/{owner}/{repo}/keys/{key_id}";
const LIMITS: &str = "GET /rate_limit";
const REPOSITORY: &str = "GET /repos/{owner}/{repo}";
const KEYS: &str = "GET /repos/{owner}/{repo}/keys";

const PRIVATE: &str = "private_key";
const PUBLIC: &str = "public_key";
/// Keys on a page, and pages that are read at most.
const PAGE: usize = 100;
const PAGES: usize = 20;

const EXAMPLE: &str = r#"[[rotations]]
name = "deploy-keys"
kind = "github_deploy_key"
token = "credential:github-deploy-keys"       # a reference; keys made with it go when it is deleted on GitHub
# base_url = "https://ghe.example.org"        # Enterprise Server; https://api.SUBDOMAIN.ghe.com with data residency
# ssh = "git@github.com"                      # a new key is tried there too; without it GitHub's list is the proof
# known_hosts = "/etc/provost/known_hosts"    # with that server's own key; no other is trusted
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    token: String,
    base_url: Option<String>,
    ssh: Option<String>,
    known_hosts: Option<std::path::PathBuf>,
}

struct Keys {
    web: Web,
    login: Option<Login>,
}

/// A key as GitHub lists it.
#[derive(Deserialize)]
struct Key {
    id: u64,
    key: String,
    title: String,
    read_only: bool,
    created_at: Option<String>,
    last_used: Option<String>,
    enabled: Option<bool>,
}

/// The repository of a target, and the key in it.
struct Meant<'t> {
    owner: &'t str,
    repo: &'t str,
    /// What stands before digests in ids.
    before: &'t str,
    digest: &'t str,
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let typed: Typed = parsed(handed)?;
    let login = match (&typed.ssh, &typed.known_hosts) {
        (Some(ssh), Some(known)) => Some(Login::parse("ssh", ssh, known)?),
        (None, None) => None,
        _ => return Err("known_hosts: goes with ssh".to_owned()),
    };
    let web = way(handed, (SPEC.reads, SPEC.acts), (&typed.token, typed.base_url.as_deref()))?;
    Ok(Box::new(Keys { web, login }))
}

impl Key {
    /// As the inventory names it.
    fn digest(&self) -> String {
        let bare = || self.key.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ");
        digest_of(&self.key).unwrap_or_else(|| digest(bare().as_bytes()))
    }

    fn is_active(&self) -> bool {
        // Servers that cannot disable keys do not speak of it.
        self.enabled != Some(false)
    }
}

impl Keys {
    /// Every key of the target's repository, which is the one whose number the target's id has.
    async fn keys(&self, meant: &Meant<'_>) -> Result<Vec<Key>, ActionError> {
        #[derive(Deserialize)]
        struct Repository {
            id: u64,
        }
        let names = [meant.owner, meant.repo];
        let found: Repository = self.web.ask(Ask::get(REPOSITORY, &names)).await?.json()?;
        if meant.before != format!("repos/{}/keys/", found.id) {
            return Err(refused("the repository of that name is another one now"));
        }
        let mut keys = Vec::new();
        for page in 1..=PAGES {
            let ask = Ask::get(KEYS, &names).query("per_page", PAGE.to_string()).query("page", page.to_string());
            let more: Vec<Key> = self.web.ask(ask).await?.json()?;
            let is_last = more.len() < PAGE;
            keys.extend(more);
            if is_last {
                return Ok(keys);
            }
        }
        Err(refused("the repository has more keys than are read"))
    }
}

/// What a target says of where its key is.
fn meant<'t>(target: &'t Target, id: &'t str) -> Result<Meant<'t>, ActionError> {
    let (before, digest) = parts_of(id).ok_or_else(|| refused("it is not called by the digest of a key"))?;
    let (owner, repo) = repository(&target.holder_name).map_err(|_| refused("its repository is not known"))?;
    Ok(Meant { owner, repo, before, digest })
}

#[async_trait]
impl Rotator for Keys {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let meant = meant(target, &target.external_id)?;
        let time = |text: &Option<String>| text.as_deref().and_then(|it| it.parse::<Time>().ok());
        let slot = |key: Key| Slot {
            id: format!("{}{}", meant.before, key.digest()),
            active: key.is_active(),
            made_at: time(&key.created_at).map_or(Reading::NotReported, Reading::Known),
            used_at: match &key.last_used {
                None => Reading::Never,
                text => time(text).map_or(Reading::NotReported, Reading::Known),
            },
            mark: marks::split(&key.title).0,
        };
        Ok(self.keys(&meant).await?.into_iter().map(slot).collect())
    }

    async fn mint(&self, order: &Order, target: &Target, mark: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let meant = meant(target, &target.external_id)?;
        let keys = self.keys(&meant).await?;
        let old = keys.iter().find(|it| it.digest() == meant.digest);
        let old = old.ok_or_else(|| refused("the key is not in its repository any more"))?;
        let key = made(mark).map_err(|said| ActionError::Retry { after: None, said })?;
        let body = json!({ "title": marks::with(mark, &old.title), "key": key.public, "read_only": old.read_only });
        let ask = Ask::act(MAKE, &[meant.owner, meant.repo], Some(Body::Json(body)));
        self.web.act(order, ask).await?;
        let public = SecretString::from(format!("{} {mark}", key.public));
        let value = Bundle::new([(PRIVATE.to_owned(), key.private), (PUBLIC.to_owned(), public)]);
        Ok(Minted { id: format!("{}{}", meant.before, key.digest), value })
    }

    async fn verify(&self, target: &Target, id: &str, value: &Bundle) -> Result<(), ActionError> {
        let meant = meant(target, id)?;
        let private = value.get(PRIVATE).ok_or_else(|| refused("the value has no private key"))?;
        if digest_of_private(private).as_deref() != Some(meant.digest) {
            return Err(refused("the value is that of another key"));
        }
        let keys = self.keys(&meant).await?;
        if !keys.iter().any(|it| it.digest() == meant.digest && it.is_active()) {
            return Err(refused("GitHub does not list the key, or not as enabled"));
        }
        match &self.login {
            Some(login) => login.tried(private).await,
            None => Ok(()),
        }
    }

    async fn disable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(refused("GitHub cannot disable a deploy key for a while"))
    }

    async fn enable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(refused("GitHub cannot disable a deploy key for a while, nor enable one"))
    }

    async fn delete(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let meant = meant(target, id)?;
        let keys = self.keys(&meant).await?;
        let Some(key) = keys.iter().find(|it| it.digest() == meant.digest) else { return Ok(()) };
        let number = key.id.to_string();
        match self.web.act(order, Ask::act(REMOVE, &[meant.owner, meant.repo, &number], None)).await {
            Err(undone) if undone.failure.is_missing() => Ok(()),
            done => Ok(done.map(drop)?),
        }
    }

    async fn check(&self) -> Result<String, ActionError> {
        if let Some(login) = &self.login {
            login.check()?;
        }
        // Every token may ask that, an app's too, which has no user (GitHub Docs, "REST API endpoints for rate limits").
        self.web.ask(Ask::get(LIMITS, &[])).await?;
        Ok("the token works; whether it may change keys of a repository shows when it looks at one".to_owned())
    }
}

fn refused(said: &str) -> ActionError {
    ActionError::GiveUp { said: said.to_owned() }
}

#[cfg(test)]
mod tests;
