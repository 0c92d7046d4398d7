//! Who signs the calls of a manifest's source: the ways of the client, put together as the manifest says.
//! It must never hold a secret, only how to ask for one.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use provost_client::{
    Ask, Authority, Body, Failure, Web,
    authority::{Algorithm, Basic, Client, Grant, Lease, Leased, Nobody, OAuth2, SecretOf, Several, Token, Use},
};
use provost_model::Why;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    meant::{self, Login, TokenOf, Way},
    pointer::Pointer,
    settings::Settings,
    template::{Fillings, Template},
};
use crate::Source;

/// How long a token is taken to last where OAuth is not spoken: its giver says so to nobody.
const LASTS: Duration = Duration::from_secs(300);

/// Who signs the calls of that source.
pub(super) fn of(settings: &Settings, source: &Source) -> Result<Arc<dyn Authority>, String> {
    let hands = Hands { settings, source };
    match &settings.way {
        Way::Headers(headers) => {
            let mut all: Vec<Arc<dyn Authority>> = Vec::new();
            for (name, before, slot) in headers {
                all.push(Arc::new(Token::header(name, before, hands.secret(slot)?)?));
            }
            Ok(Arc::new(Several::new(all)))
        }
        Way::Basic(user, slot) => Ok(Arc::new(Basic::new(user.fill(&settings.with)?, hands.secret(slot)?))),
        Way::Assertion(jwt) => Ok(Arc::new(hands.jwt(jwt)?)),
        Way::Token(token) => Ok(Arc::new(OAuth2::new(hands.grant(token)?))),
        Way::Login(login) => Ok(Arc::new(hands.exchange(login)?)),
    }
}

/// Nobody, for a trial of a manifest that nobody trusts.
pub(super) fn nobody() -> Arc<dyn Authority> {
    Arc::new(Nobody)
}

struct Hands<'a> {
    settings: &'a Settings,
    source: &'a Source,
}

impl Hands<'_> {
    fn secret(&self, slot: &str) -> Result<SecretOf, String> {
        let reference = self.settings.slots.get(slot).ok_or_else(|| format!("{slot} is bound to nothing"))?;
        self.source.secret(reference).map_err(|said| format!("{slot}: {said}"))
    }

    fn grant(&self, token: &TokenOf) -> Result<Grant, String> {
        let with = &self.settings.with;
        let client = match &token.client {
            None => None,
            Some(client) => {
                let id = client.id.fill(with)?;
                Some(match &client.secret {
                    None => Client::named(id),
                    Some(slot) if client.in_header => Client::basic(id, self.secret(slot)?),
                    Some(slot) => Client::form(id, self.secret(slot)?),
                })
            }
        };
        let assertion = match &token.jwt {
            None => None,
            Some(jwt) => Some((if jwt.grant { Use::Grant } else { Use::Client }, self.jwt(jwt)?)),
        };
        let form = filled(&token.form, with)?;
        Ok(Grant { read: format!("POST {}", token.url), values: Vec::new(), client, assertion, form })
    }

    fn jwt(&self, jwt: &meant::Jwt) -> Result<provost_client::authority::Jwt, String> {
        let with = &self.settings.with;
        let claims = filled(&jwt.claims, with)?;
        Ok(provost_client::authority::Jwt {
            key: self.secret(&jwt.key)?,
            algorithm: if jwt.elliptic { Algorithm::Es256 } else { Algorithm::Rs256 },
            key_id: jwt.key_id.as_ref().map(|it| it.fill(with)).transpose()?,
            claims: claims.into_iter().map(|(name, value)| (name, Value::String(value))).collect(),
            numbered: jwt.numbered,
            lasts: Duration::from_secs(jwt.seconds.into()),
            clock: Arc::clone(&self.source.clock),
            lease: Leased::default(),
        })
    }

    fn exchange(&self, login: &Login) -> Result<Exchange, String> {
        let mut slots = Vec::new();
        for hole in login.json.iter().flat_map(|(_, it)| it.holes()) {
            if self.settings.slots.contains_key(hole) {
                slots.push((hole.to_owned(), self.secret(hole)?));
            }
        }
        Ok(Exchange {
            read: format!("POST {}", login.url),
            json: login.json.clone(),
            with: self.settings.with.clone(),
            slots,
            take: login.take.clone(),
            lease: Leased::default(),
        })
    }
}

fn filled(named: &[(String, Template)], with: &Fillings) -> Result<Vec<(String, String)>, String> {
    named.iter().map(|(name, it)| Ok((name.clone(), it.fill(with)?))).collect()
}

/// Asks for a token with JSON that holds the secret.
struct Exchange {
    read: String,
    json: Vec<(String, Template)>,
    with: Fillings,
    slots: Vec<(String, SecretOf)>,
    take: Pointer,
    lease: Leased,
}

impl Exchange {
    async fn asked(&self, web: &Web) -> Result<Lease, Failure> {
        let failed = |said: &str| Failure {
            operation: self.read.clone(),
            why: Why::Unauthenticated,
            code: String::new(),
            said: said.to_owned(),
        };
        let (slots, mut with) = (self.slots.clone(), self.with.clone());
        let resolved = tokio::task::spawn_blocking(move || {
            let each = slots.into_iter().map(|(name, secret)| Ok((name, secret()?)));
            each.collect::<Result<Vec<(String, SecretString)>, String>>()
        });
        let resolved = resolved.await.map_err(|_| failed("the secret could not be asked for"))?;
        let secrets = resolved.map_err(|said| failed(&said))?;
        with.extend(secrets.iter().map(|(name, secret)| (name.clone(), secret.expose_secret().trim().to_owned())));
        let body = filled(&self.json, &with).map_err(|said| failed(&said))?;
        let body: Map<String, Value> = body.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        let ask = Ask::post(self.read.clone(), &[], Body::Json(Value::Object(body))).signed_with(Vec::new());
        let given: Value = web.ask(ask).await?.json()?;
        let token = token_at(&self.take, &given).ok_or_else(|| failed("the answer holds no token"))?;
        Ok(Lease { secret: token, lasts: LASTS })
    }
}

/// The token in an answer. It may be longer than any id.
fn token_at(at: &Pointer, given: &Value) -> Option<SecretString> {
    let text = at.of(given).value().and_then(Value::as_str).filter(|it| !it.is_empty())?;
    Some(SecretString::from(text))
}

#[async_trait]
impl Authority for Exchange {
    async fn headers(&self, web: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let token = self.lease.get(fresh, async || self.asked(web).await).await?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        let mut value = HeaderValue::from_str(&bearer).map_err(|_| Failure {
            operation: self.read.clone(),
            why: Why::Unauthenticated,
            code: String::new(),
            said: "the token has signs that no header may have".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(vec![(header::AUTHORIZATION, value)])
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("read", &self.read).finish_non_exhaustive()
    }
}
