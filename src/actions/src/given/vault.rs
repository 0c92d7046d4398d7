//! The way to an OpenBao or a Vault server, for all who act there: signing in, reading, acting, and whose mount it is.
//! It must never keep a token where it could be shown, nor act in a mount that is not the one a target lies in.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use provost_client::{
    Answer, Ask, Authority, Body, Egress, Failure, Limits, Undone, Web,
    authority::{Lease, Leased, SecretOf},
};
use provost_model::{Order, Target, Time, Why, door};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Handed, provider::provider, settings};
use crate::ActionError;

/// The call by which an AppRole signs in. It makes a token, which ends by itself.
pub(crate) const LOGIN: &str = "POST /v1/auth/{mount}/login";
/// The call that shows whose the token is.
pub(crate) const SELF: &str = "GET /v1/auth/token/lookup-self";
/// The call that says what is mounted in a place; every token that may do something there may make it.
pub(crate) const MOUNT: &str = "GET /v1/sys/internal/ui/mounts/{path...}";
/// The settings by which one gets there, which all who act there have beside their own.
const ACCESS: [&str; 7] = ["address", "namespace", "token", "role_id", "secret_id", "approle_mount", "ca_file"];
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: &str = "X-Vault-Namespace";
/// How long a token that has no end of its own is used, and one that is read from a reference.
const KEPT: Duration = Duration::from_secs(60);
/// Largest answer taken, in bytes.
const ANSWER_MAX: usize = 16 << 20;

/// How one gets there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Access {
    address: String,
    namespace: Option<String>,
    token: Option<String>,
    role_id: Option<String>,
    secret_id: Option<String>,
    approle_mount: Option<String>,
    ca_file: Option<PathBuf>,
}

/// How one gets there, and an entry's own settings; or which of them is wrong.
pub(crate) fn parsed<T: DeserializeOwned>(handed: &Handed) -> Result<(Access, T), String> {
    let (mut access, mut own) = (handed.clone(), handed.clone());
    access.settings.retain(|name, _| ACCESS.contains(&name.as_str()));
    own.settings.retain(|name, _| !ACCESS.contains(&name.as_str()));
    let own = settings::parsed(&own).map_err(|said| match said.starts_with("unknown field") {
        true => format!("{said}; or one of {}", ACCESS.join(", ")),
        false => said,
    })?;
    Ok((settings::parsed(&access)?, own))
}

/// A mount's path as it is used: without slashes at its ends.
pub(crate) fn mount_of(setting: &str, text: &str) -> Result<String, String> {
    let mount = text.trim_matches('/');
    let sound = |piece: &str| !piece.is_empty() && piece != "." && piece != ".." && !piece.contains(char::is_control);
    if !mount.split('/').all(sound) {
        return Err(format!("`{setting}` is no path"));
    }
    Ok(mount.to_owned())
}

enum Login {
    Token(SecretOf),
    AppRole { mount: String, role_id: SecretOf, secret_id: Option<SecretOf> },
}

/// Who signs the calls.
struct Signer {
    login: Login,
    namespace: String,
    leased: Leased,
    /// The token at hand was refused: servers answer 403 to one that works no more.
    refused: AtomicBool,
    /// The role as which it signed in.
    role: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct SignedIn {
    auth: Granted,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret")]
    client_token: SecretString,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// A text that goes from the answer into what is wiped.
pub(crate) fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

/// A body of JSON that is wiped when it was sent.
pub(crate) fn wiped(value: &impl Serialize, size: usize) -> Result<Body, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    let written = serde_json::to_writer(&mut *bytes, value);
    written.map_err(|_| Failure::new("body", Why::Malformed, "", "what is to be sent cannot be written as JSON"))?;
    Ok(Body::Raw { kind: "application/json", bytes: Bytes::from_owner(bytes) })
}

impl Signer {
    async fn fetch(&self, web: &Web) -> Result<Lease, Failure> {
        match &self.login {
            Login::Token(token) => Ok(Lease { secret: asked(token).await?, lasts: KEPT }),
            Login::AppRole { mount, role_id, secret_id } => {
                let role_id = asked(role_id).await?;
                let secret_id = match secret_id {
                    Some(secret_id) => Some(asked(secret_id).await?),
                    None => None,
                };
                let granted = sign_in(web, (mount, &self.namespace), (&role_id, secret_id.as_ref())).await?;
                let role = granted.metadata.as_ref().and_then(|it| it.get("role_name")?.as_str()).map(str::to_owned);
                *self.role.lock().unwrap_or_else(PoisonError::into_inner) = role;
                let lasts = if granted.lease_duration > 0 { Duration::from_secs(granted.lease_duration) } else { KEPT };
                Ok(Lease { secret: granted.client_token, lasts })
            }
        }
    }
}

#[async_trait]
impl Authority for Signer {
    async fn headers(&self, web: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let fresh = self.refused.swap(false, Ordering::Relaxed) || fresh;
        let token = self.leased.get(fresh, async || self.fetch(web).await).await?;
        Ok(vec![(TOKEN, header(&token)?)])
    }
}

async fn asked(secret: &SecretOf) -> Result<SecretString, Failure> {
    super::secret::asked(secret).await.map_err(|error| unusable(error.said()))
}

fn header(token: &SecretString) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::from_str(token.expose_secret().trim());
    let mut value = value.map_err(|_| unusable("the token has signs that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unusable(said: &str) -> Failure {
    Failure::new(SELF, Why::Unauthenticated, "", said)
}

fn within(ask: Ask, namespace: &str) -> Ask {
    if namespace.is_empty() { ask } else { ask.header(NAMESPACE, namespace) }
}

async fn sign_in(
    web: &Web,
    (mount, namespace): (&str, &str),
    (role_id, secret_id): (&SecretString, Option<&SecretString>),
) -> Result<Granted, Failure> {
    #[derive(Serialize)]
    struct Login<'a> {
        role_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        secret_id: Option<&'a str>,
    }
    let body = wiped(
        &Login { role_id: role_id.expose_secret().trim(), secret_id: secret_id.map(|it| it.expose_secret().trim()) },
        1_024,
    )?;
    let ask = Ask::post(LOGIN, &[mount], body).signed_with(Vec::new());
    let answer = web.ask(within(ask, namespace)).await.map_err(|failure| match failure.why {
        // A server refuses an unknown role id and a spent secret id with 400.
        Why::Malformed | Why::Denied | Why::Changed => Failure { why: Why::Unauthenticated, ..failure },
        _ => failure,
    })?;
    Ok(answer.json::<SignedIn>()?.auth)
}

/// What is mounted in a place.
#[derive(Deserialize)]
struct Mounted {
    accessor: String,
    #[serde(rename = "type")]
    sort: String,
    #[serde(default)]
    options: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Whoami {
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    policies: Vec<String>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// What a listing answers.
#[derive(Default, Deserialize)]
pub(crate) struct Listed {
    /// Names.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// What some listings say of each.
    #[serde(default)]
    pub(crate) key_info: Option<Map<String, Value>>,
}

/// A server.
pub(crate) struct Server {
    web: Web,
    signer: Arc<Signer>,
}

/// A token that was granted for trying out a credential.
pub(crate) struct Tried(SecretString);

impl Server {
    /// The server that an entry's settings lead to, with exactly these reads and acts.
    pub(crate) fn new(handed: &Handed, calls: (&[&str], &[&str]), access: Access) -> Result<Self, String> {
        let reference = |setting: &str, text: &Option<String>| {
            text.as_deref().map(|text| settings::reference(handed, setting, text)).transpose()
        };
        let token = reference("token", &access.token)?;
        let (role_id, secret_id) = (reference("role_id", &access.role_id)?, reference("secret_id", &access.secret_id)?);
        let mount = mount_of("approle_mount", access.approle_mount.as_deref().unwrap_or("approle"))?;
        let login = match (token, role_id) {
            (Some(token), None) if secret_id.is_none() => Login::Token(token),
            (None, Some(role_id)) => Login::AppRole { mount, role_id, secret_id },
            _ => return Err("one way in is needed: `token`, or `role_id` with `secret_id`".to_owned()),
        };
        let namespace = access.namespace.as_deref().unwrap_or_default().trim_matches('/').to_owned();
        if !namespace.is_empty() {
            mount_of("namespace", &namespace)?;
        }
        let limits = Limits { in_flight: 4, answer: ANSWER_MAX, ..Limits::default() };
        let mut provider = provider(calls, access.address.trim_end_matches('/').to_owned(), limits);
        if let Some(path) = &access.ca_file {
            let trusting = Egress::of_environment().trusting_file(path);
            provider.egress = trusting.map_err(|said| format!("`ca_file` cannot be used: {said}"))?;
        }
        let (leased, refused, role) = (Leased::default(), AtomicBool::default(), Mutex::default());
        let signer = Arc::new(Signer { login, namespace, leased, refused, role });
        let web = Web::new(provider, signer.clone()).map_err(|said| format!("`address`: {said}"))?;
        Ok(Self { web, signer })
    }

    /// An answer as it came, 404 among them.
    pub(crate) async fn answer(&self, ask: Ask) -> Result<Answer, Failure> {
        let answer = self.web.ask(within(ask, &self.signer.namespace).or_missing()).await;
        answer.inspect_err(|failure| self.note(failure))
    }

    /// What is read there; none where the server says that there is nothing.
    pub(crate) async fn read<T: DeserializeOwned>(&self, ask: Ask) -> Result<Option<T>, Failure> {
        let answer = self.answer(ask).await?;
        if answer.is_missing() {
            return nothing(&answer).map(|()| None);
        }
        // An answer without a body.
        if answer.status() == 204 {
            return Ok(None);
        }
        Ok(Some(answer.json::<Envelope<T>>()?.data))
    }

    /// What is read there, which has to be there.
    pub(crate) async fn there<T: DeserializeOwned>(&self, ask: Ask, what: &str) -> Result<T, ActionError> {
        let found = self.read(ask).await?;
        found.ok_or_else(|| ActionError::GiveUp { said: format!("{what} is not there") })
    }

    /// A listing: without names where there are none.
    pub(crate) async fn list(&self, ask: Ask) -> Result<Listed, Failure> {
        Ok(self.read(ask).await?.unwrap_or_default())
    }

    /// Acts once.
    pub(crate) async fn act(&self, order: &Order, ask: Ask) -> Result<Answer, Undone> {
        let answer = self.web.act(order, within(ask, &self.signer.namespace)).await;
        answer.inspect_err(|undone| self.note(&undone.failure))
    }

    /// Acts once, for what the server answers under `data`: what cannot be read of it may have happened.
    pub(crate) async fn made<T: DeserializeOwned>(&self, order: &Order, ask: Ask) -> Result<T, ActionError> {
        let answer = self.act(order, ask).await?;
        let read = answer.json::<Envelope<T>>();
        Ok(read.map_err(|failure| ActionError::Ambiguous { said: failure.to_string() })?.data)
    }

    /// Refuses a place in which something else is mounted than what the target lies in, by the server's unique name for it.
    pub(crate) async fn is_home(&self, path: &str, accessor: &str) -> Result<(), ActionError> {
        let mounted: Option<Mounted> = self.read(Ask::get(MOUNT, &[path])).await?;
        if mounted.is_some_and(|it| it.accessor == accessor) {
            return Ok(());
        }
        Err(ActionError::GiveUp { said: format!("what is to be changed does not lie in what is mounted at {path}") })
    }

    /// Refuses a place in which no key/value engine of the second version is mounted.
    pub(crate) async fn is_versioned(&self, path: &str) -> Result<(), ActionError> {
        let mounted: Option<Mounted> = self.read(Ask::get(MOUNT, &[path])).await?;
        let version =
            mounted.filter(|it| it.sort == "kv").and_then(|it| it.options?.get("version")?.as_str().map(str::to_owned));
        if version.as_deref() == Some("2") {
            return Ok(());
        }
        Err(ActionError::GiveUp { said: format!("no key/value engine of version 2 is mounted at {path}") })
    }

    /// Whether there is a mount of that sort, and whose token it is that looks.
    pub(crate) async fn check(&self, path: &str, sort: &str) -> Result<String, ActionError> {
        let who = self.who().await?;
        let mounted: Option<Mounted> = self.read(Ask::get(MOUNT, &[path])).await?;
        match mounted {
            Some(mounted) if mounted.sort == sort => Ok(format!("{who}; {path} is of type {sort}")),
            _ => Err(ActionError::Retry {
                after: None,
                said: format!("{who}; nothing of type {sort} is seen at {path}"),
            }),
        }
    }

    /// Whose token it is, in words.
    pub(crate) async fn who(&self) -> Result<String, ActionError> {
        let who: Whoami = self.there(Ask::get(SELF, &[]), "the token").await?;
        let name = if who.display_name.is_empty() { "an unnamed token" } else { who.display_name.as_str() };
        Ok(format!("signed in as {}, with policies {}", door::log(name), door::log(&who.policies.join(", "))))
    }

    /// The mount, the role and the secret id by which it signs in itself, once it has.
    pub(crate) fn itself(&self) -> Option<(&str, String, &SecretOf)> {
        let Login::AppRole { mount, secret_id: Some(secret_id), .. } = &self.signer.login else { return None };
        let role = self.signer.role.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some((mount, role, secret_id))
    }

    /// Signs in as that AppRole once, to see whether it can.
    pub(crate) async fn try_in(
        &self,
        mount: &str,
        (role_id, secret_id): (&SecretString, &SecretString),
    ) -> Result<Tried, Failure> {
        let granted = sign_in(&self.web, (mount, &self.signer.namespace), (role_id, Some(secret_id))).await?;
        Ok(Tried(granted.client_token))
    }

    /// Has such a token end itself, by that call.
    pub(crate) async fn end(&self, call: &str, tried: &Tried) -> Result<(), Failure> {
        let ask = Ask::post(call, &[], Body::Json(json!({}))).signed_with(vec![(TOKEN, header(&tried.0)?)]);
        self.web.ask(within(ask, &self.signer.namespace)).await.map(|_| ())
    }

    /// A token that was refused may have ended before its time: the next call brings another.
    fn note(&self, failure: &Failure) {
        if failure.why == Why::Denied {
            self.signer.refused.store(true, Ordering::Relaxed);
        }
    }
}

/// Whether a 404 says that there is nothing in a place that the server knows. Servers answer 404 too where they know no such
/// place, and so do proxies that lead nowhere: that says nothing of what is there.
pub(crate) fn nothing(answer: &Answer) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Missing {
        errors: Option<Vec<String>>,
        data: Option<Map<String, Value>>,
    }
    match answer.json::<Missing>() {
        Ok(Missing { errors: Some(errors), .. }) if errors.is_empty() => Ok(()),
        Ok(Missing { errors: None, data: Some(data) }) if data.contains_key("error") => Ok(()),
        Ok(Missing { errors, .. }) => {
            let said = errors.and_then(|it| it.into_iter().next()).unwrap_or_else(|| "no such path".to_owned());
            Err(Failure::new(answer.operation(), Why::Changed, UNKNOWN, &said))
        }
        Err(_) => {
            Err(Failure::new(answer.operation(), Why::Unavailable, "404", "HTTP 404, and not from such a server"))
        }
    }
}

/// The code of a failure where a server does not know the path.
const UNKNOWN: &str = "unknown path";

/// Whether a server does not know such a call.
pub(crate) fn is_unknown(failure: &Failure) -> bool {
    failure.code == UNKNOWN || failure.code == "405"
}

/// The server's unique name for the mount in which a target lies, and what it is called there.
pub(crate) fn placed(target: &Target) -> Result<(&str, &str), ActionError> {
    let parts = target.external_id.split_once('/').filter(|(accessor, rest)| !accessor.is_empty() && !rest.is_empty());
    parts.ok_or_else(|| ActionError::GiveUp { said: "what is to be changed has an id of another form".to_owned() })
}

/// A date of the server; those of long ago stand for none.
pub(crate) fn date(value: Option<&Value>) -> Option<Time> {
    let time = match value? {
        Value::String(text) => text.parse::<Time>().ok()?,
        Value::Number(number) => Time::from_seconds(number.as_i64()?),
        _ => return None,
    };
    (time.as_seconds() > 0).then_some(time)
}
