//! Where in a server a reading is: which namespace, which mount, and the names that things have there.
//! It must never name two things alike, nor let a name from one namespace reach into another.

use provost_client::Ask;
use provost_model::{Cursor, Entity, Key, Kind, Reading, Realm, Scope, Status, Time, field};
use serde_json::Value;

use super::{
    audit::Trail,
    hints::Hints,
    ledger::Turn,
    policy::{Book, Standing},
    server::Own,
    session::Session,
    settings::{Settings, seconds_of},
};
use crate::{Bookmarks, Emitter, Stopped, fingerprint::FingerprintKey};

/// Longest name taken from a server, in bytes; none of its own are longer.
const NAME_MAX: usize = 4_096;

/// One run.
pub(super) struct Looking<'a> {
    pub(super) session: Session,
    pub(super) settings: &'a Settings,
    pub(super) known: &'a Bookmarks,
    pub(super) realm: Realm,
    /// What it looks by.
    pub(super) own: Own,
    /// When parts are read again.
    pub(super) turn: Turn,
    pub(super) fingerprints: &'a FingerprintKey,
    /// What the audit log says of uses, and what changed by it.
    pub(super) trail: Trail,
    pub(super) hints: Hints,
}

impl Looking<'_> {
    /// Where a former run got to in a scope.
    pub(super) fn cursor(&self, scope: &Scope) -> Option<&Cursor> {
        self.known.cursors.get(&scope.path)
    }

    /// Whether changes alone are not enough any more.
    pub(super) fn is_full_due(&self, scope: &Scope) -> bool {
        self.known.full_due.contains(&scope.path)
    }

    /// Calls that may be in flight.
    pub(super) fn at_once(&self) -> usize {
        self.settings.in_flight
    }

    /// Reports the calls sent since last time, and what time their answers say it is.
    pub(super) async fn count(&self, to: &mut Emitter) -> Result<(), Stopped> {
        for call in self.session.web.calls() {
            to.call(&call.operation, call.throttled).await?;
        }
        if let Some(time) = self.session.web.provider_time() {
            to.provider_time(time).await?;
        }
        Ok(())
    }
}

/// A namespace in a run.
pub(super) struct Place<'a> {
    pub(super) looking: &'a Looking<'a>,
    /// Without slashes at the ends; empty for the root.
    pub(super) namespace: String,
    /// What its policies allow.
    pub(super) book: Book,
    /// Whether reading policies is refused.
    pub(super) policies_denied: bool,
}

/// A mount: a way to sign in, or a secrets engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Without slashes at the ends, and for a way to sign in without `auth/`.
    pub(super) path: String,
    /// `approle`, `kv`, `pki` ….
    pub(super) sort: String,
    /// The server's unique name for it.
    pub(super) accessor: String,
    /// The second generation of the key/value engine.
    pub(super) versioned: bool,
    /// Whether it is a way to sign in.
    pub(super) signs_in: bool,
}

impl Place<'_> {
    /// A scope of this namespace. A dot parts the namespace from the rest: no namespace has that name.
    pub(super) fn scope(&self, path: &str) -> Scope {
        let path = match self.namespace.as_str() {
            "" => path.to_owned(),
            namespace => format!("namespaces/{namespace}/./{path}"),
        };
        Scope::new(self.looking.realm.clone(), path)
    }

    /// The key of a thing whose external id is unique in the server.
    pub(super) fn key(&self, kind: Kind, external: impl Into<String>) -> Key {
        Key::new(self.looking.realm.clone(), kind, external)
    }

    /// The key of a thing that only its namespace and name tell apart.
    pub(super) fn named(&self, kind: Kind, name: &str) -> Key {
        match self.namespace.as_str() {
            "" => self.key(kind, name),
            namespace => self.key(kind, format!("{namespace}/::{name}")),
        }
    }

    /// The record of this namespace: what is in it ends with it. The root is the server itself.
    pub(super) fn container(&self) -> Key {
        container(&self.looking.realm, &self.namespace)
    }

    /// A path as people write it, with its namespace.
    pub(super) fn path(&self, path: &str) -> String {
        match self.namespace.as_str() {
            "" => path.to_owned(),
            namespace => format!("{namespace}/{path}"),
        }
    }

    /// When parts of a scope are read again.
    pub(super) fn turn(&self, scope: &Scope) -> Turn {
        Turn { full: self.looking.is_full_due(scope), ..self.looking.turn }
    }

    /// A read of one thing; `None` where there is none.
    pub(super) async fn read<T: serde::de::DeserializeOwned>(
        &self,
        ask: Ask,
    ) -> Result<Option<T>, provost_client::Failure> {
        self.looking.session.read(&self.namespace, ask).await
    }

    /// A listing.
    pub(super) async fn list(&self, ask: Ask) -> Result<super::session::Listed, provost_client::Failure> {
        let mut listed = self.looking.session.list(&self.namespace, ask).await?;
        listed.keys.retain(|name| !name.is_empty() && name.len() <= NAME_MAX);
        Ok(listed)
    }

    /// The entity with what these policies make of it.
    pub(super) fn stand(&self, entity: Entity, policies: Vec<String>) -> Entity {
        let standing = self.book.standing(policies.iter().map(String::as_str));
        let unknown = || if self.policies_denied { Reading::NotPermitted } else { Reading::NotCollected };
        let entity = match standing {
            Standing::Admin(because) => entity.with(field::ADMIN, true).with(field::ADMIN_BECAUSE, because),
            Standing::Plain(escalates) => {
                let escalates: Vec<String> = escalates.into_iter().map(str::to_owned).collect();
                let because = "none of its policies allows writing everywhere, nor writing policies".to_owned();
                entity.with(field::ADMIN, false).with(field::ADMIN_BECAUSE, because).with(field::ESCALATES, escalates)
            }
            Standing::Unknown => entity.with(field::ADMIN, unknown()),
        };
        entity.with(field::POLICIES, policies)
    }
}

impl Mount {
    /// Its record.
    pub(super) fn key(&self, place: &Place<'_>) -> Key {
        place.key(Kind::IdentityProvider, self.accessor.as_str())
    }

    /// The external id of a thing in it.
    pub(super) fn external(&self, name: &str) -> String {
        format!("{}/{name}", self.accessor)
    }

    /// The path of a thing in it, as people write it.
    pub(super) fn of(&self, place: &Place<'_>, rest: &str) -> String {
        let auth = if self.signs_in { "auth/" } else { "" };
        place.path(&format!("{auth}{}/{rest}", self.path))
    }
}

/// The record of a namespace, or of the server itself.
pub(super) fn container(realm: &Realm, namespace: &str) -> Key {
    let external = if namespace.is_empty() { "server".to_owned() } else { format!("namespace/{namespace}") };
    Key::new(realm.clone(), Kind::Application, external)
}

/// A date of the server; those of long ago stand for none.
pub(super) fn date(value: Option<&Value>) -> Option<Time> {
    let time = match value? {
        Value::String(text) => text.parse::<Time>().ok()?,
        Value::Number(number) => Time::from_seconds(number.as_i64()?),
        _ => return None,
    };
    (time.as_seconds() > 0).then_some(time)
}

/// A date that must be there.
pub(super) fn dated(value: Option<&Value>) -> Reading<Time> {
    date(value).map_or(Reading::NotReported, Reading::Known)
}

/// A length of time in seconds: a number, or text such as `24h`.
pub(super) fn length(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => length_of(text),
        _ => None,
    }
}

/// `24h0m0s` and the simpler forms.
pub(super) fn length_of(text: &str) -> Option<i64> {
    let mut total: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
        let unit = rest.get(digits..).and_then(|it| it.chars().next()).map_or(0, char::len_utf8);
        let (piece, left) = rest.split_at_checked(digits + unit)?;
        total = total.checked_add(seconds_of(piece)?)?;
        rest = left;
    }
    i64::try_from(total).ok()
}

/// A length of which nought stands for none.
pub(super) fn unless_nought(length: Option<i64>) -> Reading<i64> {
    match length {
        None => Reading::NotReported,
        Some(0) => Reading::Never,
        Some(seconds) => Reading::Known(seconds),
    }
}

/// The texts of a list; nothing if it is none.
pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A text that is not empty.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned)
}

/// The texts of a map.
pub(super) fn map(value: Option<&Value>) -> std::collections::BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, it)| Some((name.clone(), it.as_str()?.to_owned()))).collect()
}

/// A status that is read off a flag.
pub(super) fn active(is_active: bool) -> Status {
    if is_active { Status::Active } else { Status::Inactive }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_and_lengths_of_servers_are_read_and_none_is_none() {
        let parsed = Time::from_micros(1_795_914_526_975_151);
        assert_eq!(date(Some(&json!("2026-11-29T01:08:46.975151348Z"))), Some(parsed));
        assert_eq!(date(Some(&json!(1_795_914_636))), Some(Time::from_seconds(1_795_914_636)));
        for none in [json!("0001-01-01T00:00:00Z"), json!(""), json!(null), json!(0), json!(-5), json!([])] {
            assert_eq!(date(Some(&none)), None, "{none}");
        }
        let table = [
            (json!(3600), Some(3600)),
            (json!("24h0m0s"), Some(86_400)),
            (json!("0s"), Some(0)),
            (json!("90d"), Some(90 * 86_400)),
            (json!("7"), Some(7)),
            (json!("h"), None),
            (json!("1é"), None),
            (json!(""), None),
            (json!("99999999999999999999h"), None),
        ];
        for (value, seconds) in table {
            assert_eq!(length(Some(&value)), seconds, "{value}");
        }
    }
}
