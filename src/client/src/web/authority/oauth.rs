//! Tokens by OAuth 2: the client's own credentials (RFC 6749, 4.4), or an assertion (RFC 7523).
//! It must never show a token or a client's secret, nor ask for a token at a place that is not a declared read.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use provost_model::Why;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Jwt, Lease, Leased, Remembered, SecretOf, basic, header_value};
use crate::{Ask, Authority, Body, Failure, Web};

/// How long a token is taken to last when its giver does not say.
const UNSAID: Duration = Duration::from_secs(300);

/// The client of a grant.
pub struct Client {
    id: String,
    secret: Option<Remembered>,
    in_form: bool,
}

impl Client {
    /// A client that shows its secret in the `Authorization` header.
    pub fn basic(id: impl Into<String>, secret: SecretOf) -> Self {
        Self { id: id.into(), secret: Some(Remembered::new(secret)), in_form: false }
    }

    /// A client that shows its secret in the form.
    pub fn form(id: impl Into<String>, secret: SecretOf) -> Self {
        Self { id: id.into(), secret: Some(Remembered::new(secret)), in_form: true }
    }

    /// A client that only names itself.
    pub fn named(id: impl Into<String>) -> Self {
        Self { id: id.into(), secret: None, in_form: true }
    }
}

/// What an assertion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It stands for the client's secret (RFC 7523, 2.2).
    Client,
    /// It is the grant itself (RFC 7523, 2.1).
    Grant,
}

/// How a token is asked for.
pub struct Grant {
    /// The declared read, a POST.
    pub read: String,
    /// Values of its path.
    pub values: Vec<String>,
    /// Who asks.
    pub client: Option<Client>,
    /// With which assertion.
    pub assertion: Option<(Use, Jwt)>,
    /// What else stands in the form, such as `scope`; a `grant_type` in it replaces the usual one.
    pub form: Vec<(String, String)>,
}

/// Signs calls with tokens of a grant.
pub struct OAuth2 {
    grant: Grant,
    lease: Leased,
}

#[derive(Deserialize)]
struct Given {
    access_token: Option<SecretText>,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct SecretText(Zeroizing<String>);

/// Some providers put the number into quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl OAuth2 {
    /// Signs with tokens of that grant.
    pub fn new(grant: Grant) -> Self {
        Self { grant, lease: Leased::default() }
    }

    async fn token(&self, web: &Web, fresh: bool) -> Result<Arc<SecretString>, Failure> {
        self.lease.get(fresh, async || self.grant.asked(web, fresh).await).await
    }
}

impl Grant {
    async fn asked(&self, web: &Web, fresh: bool) -> Result<Lease, Failure> {
        let mut form = self.form.clone();
        let mut add = |name: &str, value: &str| {
            if !self.form.iter().any(|(given, _)| given == name) {
                form.push((name.to_owned(), value.to_owned()));
            }
        };
        add(
            "grant_type",
            match &self.assertion {
                Some((Use::Grant, _)) => "urn:ietf:params:oauth:grant-type:jwt-bearer",
                _ => "client_credentials",
            },
        );
        match &self.assertion {
            Some((Use::Grant, jwt)) => add("assertion", jwt.made().await?.expose_secret()),
            Some((Use::Client, jwt)) => {
                add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                add("client_assertion", jwt.made().await?.expose_secret());
            }
            None => {}
        }
        let mut headers = Vec::new();
        if let Some(client) = &self.client {
            let secret = match &client.secret {
                Some(secret) => Some(secret.get(fresh).await?),
                None => None,
            };
            match secret {
                Some(secret) if !client.in_form => headers.push((header::AUTHORIZATION, basic(&client.id, &secret)?)),
                Some(secret) => {
                    add("client_id", &client.id);
                    add("client_secret", secret.expose_secret().trim());
                }
                None => add("client_id", &client.id),
            }
        }
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        let ask = Ask::post(self.read.clone(), &values, Body::Form(form)).signed_with(headers);
        let given: Given = web.ask(ask).await?.json()?;
        given.lease(&self.read)
    }
}

impl Given {
    fn lease(self, read: &str) -> Result<Lease, Failure> {
        let malformed = |said| Failure::new(read, Why::Malformed, "", said);
        if self.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(malformed("the token given is no bearer token"));
        }
        let token = self.access_token.filter(|token| !token.0.is_empty());
        let token = token.ok_or_else(|| malformed("the answer holds no token"))?;
        let lasts = match self.expires_in {
            None => Some(UNSAID),
            Some(Seconds::Number(seconds)) => Duration::try_from_secs_f64(seconds).ok(),
            Some(Seconds::Text(text)) => text.trim().parse().ok().map(Duration::from_secs),
        };
        let lasts = lasts.ok_or_else(|| malformed("how long the token lasts makes no sense"))?;
        Ok(Lease { secret: SecretString::from(token.0.as_str()), lasts })
    }
}

#[async_trait]
impl Authority for OAuth2 {
    async fn headers(&self, web: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let token = self.token(web, fresh).await.map_err(|failure| match failure.why {
            // A token that is denied or that has no giver is a credential that does not work.
            Why::Denied | Why::Changed => Failure { why: Why::Unauthenticated, ..failure },
            _ => failure,
        })?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        Ok(vec![(header::AUTHORIZATION, header_value(&bearer)?)])
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2").field("read", &self.grant.read).finish_non_exhaustive()
    }
}
