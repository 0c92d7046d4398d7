//! The way to one server: signed calls, answers without their envelope, and what a refusal means.
//! It must never keep a token where it could be shown, nor take a dead token's refusals for missing permissions.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use provost_client::{Answer, Ask, Authority, Body, Failure, Web};
use provost_model::Why;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use super::settings::Login;
use crate::spec::Secrets;

/// The header that signs calls.
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
/// The header that says in which namespace a path lies.
const NAMESPACE: &str = "X-Vault-Namespace";
/// The call by which an AppRole signs in.
const LOGIN: &str = "POST /v1/auth/{mount}/login";
/// The call that shows whether the token still works.
const SELF: &str = "GET /v1/auth/token/lookup-self";
/// How long an answer to that is believed.
const ALIVE: Duration = Duration::from_secs(5);
/// Share of a token's life after which a new one is fetched.
const SPENT: f64 = 0.8;

/// Who signs the calls.
pub(super) struct Signer {
    login: Login,
    namespace: String,
    secrets: Arc<dyn Secrets>,
    held: Mutex<Option<Held>>,
}

/// A token, and when to fetch another.
struct Held {
    token: HeaderValue,
    until: Option<Instant>,
}

/// What signing in answers.
#[derive(Deserialize)]
struct SignedIn {
    auth: Granted,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret")]
    client_token: SecretString,
    lease_duration: u64,
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

impl Signer {
    pub(super) fn new(login: Login, namespace: String, secrets: Arc<dyn Secrets>) -> Self {
        Self { login, namespace, secrets, held: Mutex::new(None) }
    }

    /// How it signs in, in words.
    pub(super) fn words(&self) -> String {
        match &self.login {
            Login::Token(reference) => format!("token from {reference}"),
            Login::AppRole { mount, role_id, .. } => format!("AppRole at auth/{mount}, role id from {role_id}"),
        }
    }

    /// Forgets the token at hand, as it works no more. False if there is no way to another.
    async fn renew(&self) -> bool {
        *self.held.lock().await = None;
        matches!(self.login, Login::AppRole { .. })
    }

    async fn fetch(&self, web: &Web) -> Result<Held, Failure> {
        let secret = |reference: &str| self.secrets.get(reference).map_err(|said| unusable(&said));
        match &self.login {
            // The file behind a reference may be renewed by an agent: it is read again now and then.
            Login::Token(reference) => {
                let token = header(&secret(reference)?)?;
                Ok(Held { token, until: Some(Instant::now() + Duration::from_secs(60)) })
            }
            Login::AppRole { mount, role_id, secret_id } => {
                let mut body = json!({ "role_id": secret(role_id)?.expose_secret().trim() });
                if let Some(reference) = secret_id
                    && let Some(body) = body.as_object_mut()
                {
                    body.insert("secret_id".into(), secret(reference)?.expose_secret().trim().into());
                }
                let ask = Ask::post(LOGIN, &[mount], Body::Json(body)).signed_with(Vec::new());
                let granted = web.ask(within(ask, &self.namespace)).await.map_err(refused_login)?;
                let granted = granted.json::<SignedIn>()?.auth;
                let life = Duration::from_secs(granted.lease_duration).mul_f64(SPENT);
                let until = (granted.lease_duration > 0).then(|| Instant::now() + life);
                Ok(Held { token: header(&granted.client_token)?, until })
            }
        }
    }
}

#[async_trait]
impl Authority for Signer {
    async fn headers(&self, web: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let mut held = self.held.lock().await;
        let usable = held.as_ref().filter(|it| !fresh && it.until.is_none_or(|until| Instant::now() < until));
        let token = match usable {
            Some(held) => held.token.clone(),
            None => held.insert(self.fetch(web).await?).token.clone(),
        };
        Ok(vec![(TOKEN, token)])
    }
}

fn header(secret: &SecretString) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(secret.expose_secret().trim())
        .map_err(|_| unusable("the token has signs that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unusable(said: &str) -> Failure {
    Failure::new(SELF, Why::Unauthenticated, "", said)
}

/// A server refuses an unknown role id or a spent secret id with 400.
fn refused_login(failure: Failure) -> Failure {
    match failure.why {
        Why::Malformed | Why::Denied | Why::Changed => Failure { why: Why::Unauthenticated, ..failure },
        _ => failure,
    }
}

fn within(ask: Ask, namespace: &str) -> Ask {
    if namespace.is_empty() { ask } else { ask.header(NAMESPACE, namespace) }
}

/// What a listing answers.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Listed {
    /// Names, those of folders with a slash at the end.
    #[serde(default)]
    pub(super) keys: Vec<String>,
    /// What some listings say of each name.
    #[serde(default)]
    pub(super) key_info: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// The way to a server, for one run.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) web: Web,
    signer: Arc<Signer>,
    stop: CancellationToken,
    /// When the token was last seen to work.
    alive: Arc<Mutex<Option<Instant>>>,
}

impl Session {
    pub(super) fn new(web: Web, signer: Arc<Signer>, stop: CancellationToken) -> Self {
        Self { web, signer, stop, alive: Arc::default() }
    }

    /// How it signs in, in words.
    pub(super) fn origin(&self) -> String {
        self.signer.words()
    }

    /// Whose token it is; and that it works.
    pub(super) async fn look_up_self<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let home = self.signer.namespace.clone();
        let answer = match self.send(within(Ask::get(SELF, &[]), &home)).await {
            Err(failure) if failure.why == Why::Denied && self.signer.renew().await => {
                self.send(within(Ask::get(SELF, &[]), &home)).await
            }
            answer => answer,
        };
        let answer = answer.map_err(|failure| match failure.why {
            // The default policy allows it to every token that works.
            Why::Denied => Failure { why: Why::Unauthenticated, ..failure },
            _ => failure,
        })?;
        *self.alive.lock().await = Some(Instant::now());
        Ok(answer.json::<Envelope<T>>()?.data)
    }

    /// A read that needs no token, without an envelope.
    pub(super) async fn plain<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Failure> {
        self.send(ask.signed_with(Vec::new())).await?.json()
    }

    /// A read in a namespace; `None` where the server says that there is nothing.
    pub(super) async fn read<T: DeserializeOwned>(&self, namespace: &str, ask: Ask) -> Result<Option<T>, Failure> {
        let ask = within(ask, namespace).or_missing();
        let operation = ask.read().to_owned();
        let answer = match self.send(ask.clone()).await {
            Err(failure) if failure.why == Why::Denied => {
                if self.is_alive().await? {
                    return Err(failure);
                }
                self.send(ask).await?
            }
            answer => answer?,
        };
        if answer.is_missing() {
            return nothing(&operation, &answer).map(|()| None);
        }
        Ok(Some(answer.json::<Envelope<T>>()?.data))
    }

    /// A listing in a namespace: without names where there are none.
    pub(super) async fn list(&self, namespace: &str, ask: Ask) -> Result<Listed, Failure> {
        Ok(self.read(namespace, ask).await?.unwrap_or_default())
    }

    /// Whether the token at hand still works; false if it did not and there is another now.
    async fn is_alive(&self) -> Result<bool, Failure> {
        if self.alive.lock().await.is_some_and(|at| at.elapsed() < ALIVE) {
            return Ok(true);
        }
        let home = self.signer.namespace.clone();
        match self.send(within(Ask::get(SELF, &[]), &home)).await {
            Ok(_) => {
                *self.alive.lock().await = Some(Instant::now());
                Ok(true)
            }
            Err(failure) if failure.why == Why::Denied => match self.signer.renew().await {
                true => Ok(false),
                false => Err(Failure { why: Why::Unauthenticated, ..failure }),
            },
            Err(failure) => Err(failure),
        }
    }

    async fn send(&self, ask: Ask) -> Result<Answer, Failure> {
        let operation = ask.read().to_owned();
        tokio::select! {
            answer = self.web.ask(ask) => answer,
            () = self.stop.cancelled() => {
                Err(Failure::new(&operation, Why::Stopped, "", "the run was stopped"))
            }
        }
    }
}

/// What a server says in a body of 404.
#[derive(Deserialize)]
struct Missing {
    errors: Option<Vec<String>>,
    data: Option<Map<String, Value>>,
}

/// Whether a 404 says that there is nothing at a place the server knows. Servers answer 404 too where they know no such
/// place, and so do proxies that lead nowhere: that says nothing of what is there.
fn nothing(operation: &str, answer: &Answer) -> Result<(), Failure> {
    let said: Option<Missing> = answer.json().ok();
    match said {
        Some(Missing { errors: Some(errors), .. }) if errors.is_empty() => Ok(()),
        Some(Missing { errors: None, data: Some(data) }) if data.contains_key("error") => Ok(()),
        Some(Missing { errors: Some(errors), .. }) => {
            let said = errors.first().map(String::as_str).unwrap_or_default();
            Err(Failure::new(operation, Why::Changed, UNSUPPORTED, said))
        }
        Some(_) => Err(Failure::new(operation, Why::Changed, UNSUPPORTED, "the server knows no such path")),
        None => Err(Failure::new(operation, Why::Unavailable, "404", "HTTP 404, and not from a server of this kind")),
    }
}

/// The code of a failure where a server does not know the path.
const UNSUPPORTED: &str = "unsupported";

/// Whether a server does not know such a read, so that another one must do.
pub(super) fn is_unsupported(failure: &Failure) -> bool {
    failure.code == UNSUPPORTED || failure.code == "405"
}
