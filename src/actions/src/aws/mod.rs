//! What everything at Amazon shares: settings that say by which keys and where, ways to its services, whose account it is.
//! It must only hold what more than one rotator or destination there needs, and never a key.

pub(crate) mod document;
pub(crate) mod iam;
mod partition;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use provost_client::{
    Answer, Ask, Body, Failure, Limits, Undone, Web,
    authority::{Keys, Pair, Role, SecretOf, SigV4},
};
use provost_model::{Clock, Order, Target};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::{
    ActionError,
    given::{
        Handed,
        provider::provider,
        settings::{parsed, reference},
    },
};

/// Says whose keys these are. No policy can forbid it.
pub(crate) const WHO: &str = "POST / Action=GetCallerIdentity";
/// Takes a role on.
pub(crate) const ASSUME: &str = Role::READ;
/// What an entry needs to be allowed where it takes a role on.
pub(crate) const ASSUMES: &str = "sts:AssumeRole, only with `role_arn`";
/// Version of the Security Token Service's interface.
const STS: &str = "2011-06-15";
/// Largest body that is written: a secret of 64 KiB may be twice that in JSON.
const BODY_MAX: usize = 160 << 10;
/// Names of the settings that all entries at Amazon have.
const SHARED: [&str; 8] = [
    "access_key_id",
    "secret_access_key",
    "session_token",
    "role_arn",
    "external_id",
    "region",
    "endpoint",
    "sts_endpoint",
];
/// What the answers to changes that came at the same time as another are called. Nothing happened (IAM API reference).
const BUSY: [&str; 3] = ["ConcurrentModification", "EntityTemporarilyUnmodifiable", "TooManyUpdates"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    role_arn: Option<String>,
    external_id: Option<String>,
    region: Option<String>,
    endpoint: Option<String>,
    sts_endpoint: Option<String>,
}

/// By which keys, and where.
pub(crate) struct Account {
    keys: Arc<Keys>,
    /// The name of the pair that the entry states.
    own: SecretOf,
    region: String,
    endpoint: Option<String>,
    sts_endpoint: Option<String>,
    clock: Arc<dyn Clock>,
    sts: Web,
    /// The account's number, once it was asked for.
    number: OnceCell<String>,
}

/// Whose keys they are.
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
}

impl Account {
    /// Takes the settings that all entries at Amazon have; the others are given back. Without a usual region, one has to be
    /// stated.
    pub(crate) fn of(handed: &Handed, usual: Option<&str>) -> Result<(Self, Handed), String> {
        let is_shared = |name: &str| SHARED.contains(&name);
        let part = |shared: bool| {
            let some = handed.settings.iter().filter(|(name, _)| is_shared(name) == shared);
            let settings: Map<String, Value> = some.map(|(name, value)| (name.clone(), value.clone())).collect();
            Handed { settings, ..handed.clone() }
        };
        let typed: Typed = parsed(&part(true))?;
        let region = typed.region.as_deref().or(usual).ok_or("missing field `region`")?.to_owned();
        if !partition::is_region(&region) {
            return Err("region: expected a name such as eu-west-1".to_owned());
        }
        let session_token = typed.session_token.as_deref();
        let pair = Pair {
            access_key_id: reference(handed, "access_key_id", &typed.access_key_id)?,
            secret_access_key: reference(handed, "secret_access_key", &typed.secret_access_key)?,
            session_token: session_token.map(|text| reference(handed, "session_token", text)).transpose()?,
        };
        let (own, clock) = (pair.access_key_id.clone(), handed.clock.clone());
        let keys = Arc::new(Keys::pair(pair, clock.clone()));
        let sts = |keys: &Arc<Keys>, reads: &[&str]| {
            let (origin, scope) = partition::home("sts", &region);
            let origin = typed.sts_endpoint.clone().unwrap_or(origin);
            way((reads, &[]), origin, SigV4::new(keys.clone(), scope, "sts"))
                .map_err(|said| format!("sts_endpoint: {said}"))
        };
        let keys = match typed.role_arn {
            None if typed.external_id.is_some() => return Err("external_id: there is no role_arn".to_owned()),
            None => keys,
            Some(arn) if !(arn.starts_with("arn:") && arn.contains(":role/")) => {
                return Err("role_arn: expected arn:aws:iam::ACCOUNT:role/NAME".to_owned());
            }
            Some(arn) => {
                let (session, external_id) = ("provost".to_owned(), typed.external_id);
                let role = Role { sts: sts(&keys, &[ASSUME])?, arn, session, external_id };
                Arc::new(Keys::role(role, clock.clone()))
            }
        };
        let sts = sts(&keys, &[WHO])?;
        let (endpoint, sts_endpoint) = (typed.endpoint, typed.sts_endpoint);
        let account = Self { keys, own, region, endpoint, sts_endpoint, clock, sts, number: OnceCell::new() };
        Ok((account, part(false)))
    }

    /// The region it is for.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// The way to a service, by exactly those reads and acts.
    pub(crate) fn way(&self, service: &'static str, calls: (&[&str], &[&str])) -> Result<Web, String> {
        let (origin, scope) = partition::home(service, &self.region);
        let origin = self.endpoint.clone().unwrap_or(origin);
        way(calls, origin, SigV4::new(self.keys.clone(), scope, service)).map_err(|said| format!("endpoint: {said}"))
    }

    /// The way to the Security Token Service by other keys than the entry's own.
    pub(crate) fn as_another(&self, pair: Pair) -> Result<Web, String> {
        let (origin, scope) = partition::home("sts", &self.region);
        let keys = Arc::new(Keys::pair(pair, self.clock.clone()));
        way((&[WHO], &[]), self.sts_endpoint.clone().unwrap_or(origin), SigV4::new(keys, scope, "sts"))
    }

    /// The name of the pair by which it acts, if it can be read. It may block.
    pub(crate) fn own(&self) -> Vec<String> {
        (self.own)()
            .ok()
            .map(|id| id.expose_secret().trim().to_owned())
            .filter(|id| !id.is_empty())
            .into_iter()
            .collect()
    }

    /// Whose keys the entry's own are.
    pub(crate) async fn caller(&self) -> Result<Caller, Failure> {
        who(&self.sts).await
    }

    /// Refuses a target in another account: what is not listed here would be taken for gone.
    pub(crate) async fn is_of(&self, target: &Target) -> Result<(), ActionError> {
        let at = target.realm.rfind(|it: char| !it.is_ascii_digit()).map_or(0, |at| at + 1);
        let number = target.realm.get(at..).unwrap_or_default();
        let own = self.number.get_or_try_init(async || Ok::<_, Failure>(self.caller().await?.account)).await?;
        if number.len() == 12 && number != own {
            return Err(give_up(&format!("its account is {number}, and these keys are of {own}")));
        }
        Ok(())
    }
}

/// Whose keys sign what goes that way.
pub(crate) async fn who(sts: &Web) -> Result<Caller, Failure> {
    let answer = sts.ask(Ask::post(WHO, &[], form(STS, &[]))).await?;
    let document = answer.xml()?;
    match (document.said("Account"), document.said("Arn")) {
        (Some(account), Some(arn)) => Ok(Caller { account: account.to_owned(), arn: arn.to_owned() }),
        _ => Err(strange(&answer)),
    }
}

fn way((reads, acts): (&[&str], &[&str]), origin: String, signer: SigV4) -> Result<Web, String> {
    let limits = Limits { in_flight: 2, answer: 4 << 20, ..Limits::default() };
    Web::new(provider((reads, acts), origin, limits), Arc::new(signer))
}

/// A call of the query protocol.
pub(crate) fn form(version: &str, fields: &[(&str, &str)]) -> Body {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Body::Form([("Version", version)].iter().chain(fields).map(pair).collect())
}

/// A call of the JSON protocol. What is written is wiped when it was sent.
pub(crate) fn json(value: &impl Serialize) -> Result<Body, ActionError> {
    // Large enough that no secret is left behind by growing.
    let mut written = Zeroizing::new(Vec::with_capacity(BODY_MAX));
    serde_json::to_writer(&mut *written, value).map_err(|_| give_up("the call cannot be written"))?;
    Ok(Body::Raw { kind: "application/x-amz-json-1.1", bytes: Bytes::from_owner(Wiped(written)) })
}

/// Bytes that are wiped by whoever has them last.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Asks by the JSON protocol; none where the service says with that code that there is no such thing.
pub(crate) async fn asked<T: DeserializeOwned>(
    web: &Web,
    (read, body): (&str, &Value),
    none: &[&str],
) -> Result<Option<T>, ActionError> {
    match web.ask(Ask::post(read, &[], json(body)?)).await {
        Err(failure) if is_none(&failure, none) => Ok(None),
        answer => Ok(Some(answer?.json()?)),
    }
}

/// Whether a service says with one of these codes that there is no such thing. Most say so with 400, some with 404.
pub(crate) fn is_none(failure: &Failure, codes: &[&str]) -> bool {
    codes.iter().any(|code| failure.code == *code || (failure.is_missing() && failure.said.contains(code)))
}

/// Makes a change that is named by what it does.
pub(crate) async fn act(web: &Web, order: &Order, (act, body): (&str, Body)) -> Result<Answer, Undone> {
    web.act(order, Ask::act(act, &[], Some(body))).await
}

/// What a change that did not end well means.
pub(crate) fn undone(undone: Undone) -> ActionError {
    if BUSY.contains(&undone.failure.code.as_str()) {
        return ActionError::Retry { after: undone.after, said: undone.failure.to_string() };
    }
    undone.into()
}

/// An answer to a change that was made, and which cannot be read.
pub(crate) fn unclear(failure: &Failure) -> ActionError {
    ActionError::Ambiguous { said: failure.to_string() }
}

/// An answer that lacks what it must have.
pub(crate) fn strange(answer: &Answer) -> Failure {
    let said = "the answer lacks what it must have";
    Failure::new(answer.operation(), provost_model::Why::Malformed, "", said)
}

/// Nothing happened, and nothing will.
pub(crate) fn give_up(said: &str) -> ActionError {
    ActionError::GiveUp { said: said.to_owned() }
}
