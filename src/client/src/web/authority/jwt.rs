//! Assertions: a few claims signed with a private key (RFC 7519), as GitHub Apps and OAuth clients present them.
//! It must never sign for longer than asked, nor keep the key's text.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use jsonwebtoken::{EncodingKey, Header};
use provost_model::{Clock, Span};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Lease, Leased, SecretOf, failed, header_value};
use crate::{Authority, Failure, Web};

/// How far back an assertion is dated, since clocks differ (GitHub, "Generating a JSON Web Token for a GitHub App").
const BACK: i64 = 60;

/// How an assertion is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// Makes assertions. As an authority it presents them itself, as a bearer.
pub struct Jwt {
    /// The private key in PEM, asked for at each signature.
    pub key: SecretOf,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The key's id, where the provider knows several.
    pub key_id: Option<String>,
    /// Claims beside `iat` and `exp`: `iss`, `sub`, `aud`.
    pub claims: Map<String, Value>,
    /// Whether every assertion has an id of its own (`jti`).
    pub numbered: bool,
    /// How long an assertion holds from now on.
    pub lasts: Duration,
    /// The time it is.
    pub clock: Arc<dyn Clock>,
    /// The last assertion, while it holds.
    pub lease: Leased,
}

/// Assertions made by this process.
static MADE: AtomicU64 = AtomicU64::new(0);

impl Jwt {
    /// A new assertion.
    pub async fn made(&self) -> Result<SecretString, Failure> {
        let (key, algorithm) = (self.key.clone(), self.algorithm);
        let key = tokio::task::spawn_blocking(move || key().map(|pem| read(&pem, algorithm)));
        let key = key.await.map_err(|_| failed("the private key could not be asked for"))?;
        let key = key.map_err(|said| failed(&said))??;
        let now = self.clock.now();
        let mut claims = self.claims.clone();
        let lasts = Span::seconds(i64::try_from(self.lasts.as_secs()).unwrap_or(i64::MAX));
        claims.insert("iat".to_owned(), (now.as_seconds() - BACK).into());
        claims.insert("exp".to_owned(), (now + lasts).as_seconds().into());
        if self.numbered {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            claims.insert("jti".to_owned(), format!("{}-{number}", now.as_micros()).into());
        }
        let mut header = Header::new(match self.algorithm {
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        });
        header.kid.clone_from(&self.key_id);
        let token = jsonwebtoken::encode(&header, &claims, &key);
        token.map(SecretString::from).map_err(|_| failed("the private key does not sign"))
    }
}

fn read(pem: &SecretString, algorithm: Algorithm) -> Result<EncodingKey, Failure> {
    let pem = pem.expose_secret().as_bytes();
    let key = match algorithm {
        Algorithm::Rs256 => EncodingKey::from_rsa_pem(pem),
        Algorithm::Es256 => EncodingKey::from_ec_pem(pem),
    };
    key.map_err(|_| failed("the private key is not one in PEM that fits the algorithm"))
}

#[async_trait]
impl Authority for Jwt {
    async fn headers(&self, _: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let fetch = async || Ok(Lease { secret: self.made().await?, lasts: self.lasts });
        let token = self.lease.get(fresh, fetch).await?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        Ok(vec![(header::AUTHORIZATION, header_value(&bearer)?)])
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
