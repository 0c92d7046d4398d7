//! Who signs calls: a token in a header, a user and password, a token by OAuth, an assertion signed with a key.
//! It must never keep a secret longer than it saves asking for it, nor show one in its debug form.

mod jwt;
mod lease;
mod oauth;
mod sigv4;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, header};
use provost_model::Why;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub use self::{
    jwt::{Algorithm, Jwt},
    lease::{Lease, Leased},
    oauth::{Client, Grant, OAuth2, Use},
    sigv4::{Keys, Pair, Role, SigV4},
};
use super::{Authority, Outgoing, Web};
use crate::Failure;

/// What obtaining a credential is called where a call is named.
pub(crate) const OPERATION: &str = "credentials";

/// Gives a secret at the time of use, or says in words without it why it cannot. It may block.
pub type SecretOf = Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// Nobody: calls are not signed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

#[async_trait]
impl Authority for Nobody {
    async fn headers(&self, _: &Web, _: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        Ok(Vec::new())
    }
}

/// A secret in a header.
pub struct Token {
    name: HeaderName,
    /// What stands before the secret.
    before: String,
    secret: Remembered,
}

impl Token {
    /// `Authorization: Bearer …`.
    pub fn bearer(secret: SecretOf) -> Self {
        Self { name: header::AUTHORIZATION, before: "Bearer ".to_owned(), secret: Remembered::new(secret) }
    }

    /// The secret in a header of that name, behind those words: `("x-api-key", "")`, `("authorization", "SSWS ")`.
    pub fn header(name: &str, before: &str, secret: SecretOf) -> Result<Self, String> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no name of a header"))?;
        Ok(Self { name, before: before.to_owned(), secret: Remembered::new(secret) })
    }
}

#[async_trait]
impl Authority for Token {
    async fn headers(&self, _: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let secret = self.secret.get(fresh).await?;
        let value = Zeroizing::new(format!("{}{}", self.before, secret.expose_secret().trim()));
        Ok(vec![(self.name.clone(), header_value(&value)?)])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Several secrets, each in a header of its own.
pub struct Several(Vec<Arc<dyn Authority>>);

impl Several {
    /// The headers of all of them.
    pub fn new(all: Vec<Arc<dyn Authority>>) -> Self {
        Self(all)
    }
}

#[async_trait]
impl Authority for Several {
    async fn headers(&self, web: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let mut headers = Vec::new();
        for one in &self.0 {
            headers.extend(one.headers(web, fresh).await?);
        }
        Ok(headers)
    }

    async fn signature(
        &self,
        web: &Web,
        call: &Outgoing<'_>,
        fresh: bool,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let mut headers = Vec::new();
        for one in &self.0 {
            headers.extend(one.signature(web, call, fresh).await?);
        }
        Ok(headers)
    }
}

impl fmt::Debug for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Several({})", self.0.len())
    }
}

/// A user and a password (RFC 7617).
pub struct Basic {
    user: String,
    password: Remembered,
}

impl Basic {
    /// That user, with the secret as its password.
    pub fn new(user: impl Into<String>, password: SecretOf) -> Self {
        Self { user: user.into(), password: Remembered::new(password) }
    }
}

#[async_trait]
impl Authority for Basic {
    async fn headers(&self, _: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        Ok(vec![(header::AUTHORIZATION, basic(&self.user, &*self.password.get(fresh).await?)?)])
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A secret that is asked for again after a minute, or when it was refused: a place for secrets may be slow, and may be
/// given a new one at any time.
pub(crate) struct Remembered {
    secret: SecretOf,
    lease: Leased,
}

/// How long a secret is kept.
const KEPT: std::time::Duration = std::time::Duration::from_secs(60);

impl Remembered {
    pub(crate) fn new(secret: SecretOf) -> Self {
        Self { secret, lease: Leased::default() }
    }

    pub(crate) async fn get(&self, fresh: bool) -> Result<Arc<SecretString>, Failure> {
        let fetch = async || {
            let secret = self.secret.clone();
            let secret = tokio::task::spawn_blocking(move || secret()).await;
            let secret = secret.map_err(|_| failed("the secret could not be asked for"))?;
            Ok(Lease { secret: secret.map_err(|said| failed(&said))?, lasts: KEPT })
        };
        self.lease.get(fresh, fetch).await
    }
}

fn basic(user: &str, password: &SecretString) -> Result<HeaderValue, Failure> {
    if user.contains(':') {
        return Err(failed("the user's name must hold no colon"));
    }
    let pair = Zeroizing::new(format!("{user}:{}", password.expose_secret().trim()));
    header_value(&Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()))))
}

fn header_value(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text).map_err(|_| failed("the secret has signs that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The failure of a call that could not be signed.
fn failed(said: &str) -> Failure {
    Failure::new(OPERATION, Why::Unauthenticated, "", said)
}
