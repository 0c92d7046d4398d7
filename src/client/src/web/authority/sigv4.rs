//! Signatures of AWS (Signature Version 4): over each call's method, address, headers and body, with a pair of keys.
//! It must never sign a call for another service or region than its own, nor show a key.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::{HeaderName, HeaderValue, header};
use provost_model::{Clock, Time};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{KEPT, Lease, Leased, SecretOf, failed};
use crate::{
    Ask, Body, Failure, Web,
    web::{Authority, Outgoing},
};

/// A pair of keys, with the token that belongs to it where it is temporary.
#[derive(Clone)]
pub struct Pair {
    /// Its name, `AKIA…` or `ASIA…`.
    pub access_key_id: SecretOf,
    /// What signs.
    pub secret_access_key: SecretOf,
    /// The token of a temporary one.
    pub session_token: Option<SecretOf>,
}

/// A role to be taken on.
pub struct Role {
    /// The way to the Security Token Service, signed by whoever may take the role on. It has to declare
    /// [`Role::READ`].
    pub sts: Web,
    /// The role's ARN.
    pub arn: String,
    /// What the sessions are called in the account's trail.
    pub session: String,
    /// What the role's owner asks for beside the keys.
    pub external_id: Option<String>,
}

impl Role {
    /// The call by which a role is taken on.
    pub const READ: &'static str = "POST / Action=AssumeRole";
}

enum Source {
    Pair(Pair),
    Role(Box<Role>),
}

/// Where the keys come from. They are kept for as long as that saves asking: a minute, or a session's time.
pub struct Keys {
    source: Source,
    clock: Arc<dyn Clock>,
    lease: Leased,
}

impl Keys {
    /// A pair that is asked for where it is kept.
    pub fn pair(pair: Pair, clock: Arc<dyn Clock>) -> Self {
        Self { source: Source::Pair(pair), clock, lease: Leased::default() }
    }

    /// The temporary pair of a role, taken on anew before each ends.
    pub fn role(role: Role, clock: Arc<dyn Clock>) -> Self {
        Self { source: Source::Role(Box::new(role)), clock, lease: Leased::default() }
    }

    async fn get(&self, fresh: bool) -> Result<Credentials, Failure> {
        let kept = self
            .lease
            .get(fresh, async || match &self.source {
                Source::Pair(pair) => pair.asked().await,
                Source::Role(role) => role.taken(&*self.clock).await,
            })
            .await?;
        let mut parts = kept.expose_secret().split('\n');
        let (id, secret, token) = (parts.next(), parts.next(), parts.next().filter(|it| !it.is_empty()));
        let (Some(id), Some(secret)) = (id, secret) else { return Err(failed("the keys are not a pair")) };
        Ok(Credentials::new(id, secret, token.map(str::to_owned), None, "provost"))
    }
}

/// Signs calls to one service in one region.
pub struct SigV4 {
    keys: Arc<Keys>,
    /// Region and service.
    scope: (String, &'static str),
}

impl SigV4 {
    /// With those keys, for calls to that service in that region.
    pub fn new(keys: Arc<Keys>, region: impl Into<String>, service: &'static str) -> Self {
        Self { keys, scope: (region.into(), service) }
    }

    fn signed(&self, keys: Credentials, it: &Outgoing<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
        // What is not signed here is set by the transport, or says nothing of what is done.
        let signed = |name: &HeaderName| *name == header::CONTENT_TYPE || name.as_str().starts_with("x-amz-");
        let headers = it.headers.iter().filter(|(name, _)| signed(name));
        let headers: Vec<(&str, &str)> =
            headers.map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect::<Option<_>>()?;
        let body = SignableBody::Bytes(it.body);
        let signable = SignableRequest::new(it.method, it.url.as_str(), headers.into_iter(), body).ok()?;
        let identity = keys.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.scope.0)
            .name(self.scope.1)
            .time(instant(self.keys.clock.now()))
            .settings(SigningSettings::default())
            .build()
            .ok()?;
        let (instructions, _) = sign(signable, &params.into()).ok()?.into_parts();
        let header = |(name, value): (&str, &str)| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        };
        instructions.headers().map(header).collect()
    }
}

#[async_trait]
impl Authority for SigV4 {
    async fn headers(&self, _: &Web, _: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        Err(failed("each call is signed by itself"))
    }

    async fn signature(
        &self,
        _: &Web,
        call: &Outgoing<'_>,
        fresh: bool,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let keys = self.keys.get(fresh).await?;
        self.signed(keys, call).ok_or_else(|| failed("the call cannot be signed with these keys"))
    }
}

impl Pair {
    async fn asked(&self) -> Result<Lease, Failure> {
        let pair = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let token = pair.session_token.as_ref().map(|token| token()).transpose()?;
            Ok::<_, String>(((pair.access_key_id)()?, (pair.secret_access_key)()?, token))
        });
        let asked = asked.await.map_err(|_| failed("the keys could not be asked for"))?;
        let (id, secret, token) = asked.map_err(|said| failed(&said))?;
        let token = token.as_ref().map_or("", |token| token.expose_secret());
        lease((id.expose_secret(), secret.expose_secret(), token), KEPT)
    }
}

impl Role {
    async fn taken(&self, clock: &dyn Clock) -> Result<Lease, Failure> {
        let mut form = vec![
            ("Version".to_owned(), "2011-06-15".to_owned()),
            ("RoleArn".to_owned(), self.arn.clone()),
            ("RoleSessionName".to_owned(), self.session.clone()),
        ];
        form.extend(self.external_id.clone().map(|id| ("ExternalId".to_owned(), id)));
        // Boxed: the call that is being signed waits for this one.
        let answer = Box::pin(self.sts.ask(Ask::post(Self::READ, &[], Body::Form(form)))).await?.xml()?;
        let (id, secret, token) =
            (answer.said("AccessKeyId"), answer.said("SecretAccessKey"), answer.said("SessionToken"));
        let ends: Option<Time> = answer.said("Expiration").and_then(|it| it.parse().ok());
        let (Some(id), Some(secret), Some(token), Some(ends)) = (id, secret, token, ends) else {
            return Err(failed("the role was taken on, and the answer holds no keys"));
        };
        let lasts = u64::try_from((ends - clock.now()).as_micros()).unwrap_or_default();
        lease((id, secret, token), Duration::from_micros(lasts))
    }
}

/// The keys as one secret, a line each.
fn lease((id, secret, token): (&str, &str, &str), lasts: Duration) -> Result<Lease, Failure> {
    let parts = [id.trim(), secret.trim(), token.trim()];
    let [id, secret, _] = parts;
    if id.is_empty() || secret.is_empty() || parts.iter().any(|it| it.contains(char::is_control)) {
        return Err(failed("the keys are not a pair"));
    }
    let joined = Zeroizing::new(parts.join("\n"));
    Ok(Lease { secret: SecretString::from(joined.as_str()), lasts })
}

fn instant(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.as_seconds()).unwrap_or_default())
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_role = matches!(self.source, Source::Role(_));
        f.debug_struct("Keys").field("of_role", &of_role).finish_non_exhaustive()
    }
}

impl fmt::Debug for SigV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigV4").field("scope", &self.scope).finish_non_exhaustive()
    }
}
