//! One organization while it is being looked at: where it is, what is known of it, and how it is asked.
//! It must never take an answer that lacks parts for a whole one.

use std::time::Duration;

use provost_client::{Answer, Ask, Failure, Web};
use provost_model::{Cover, Cursor, Key, Kind, Realm, Scope, Trouble, Why};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{audit::Changes, documents, spec};
use crate::{Bookmarks, Emitter, Stopped, fingerprint::FingerprintKey};

/// One organization.
pub(super) struct Org<'a> {
    pub(super) web: &'a Web,
    /// The read that stands for GraphQL.
    pub(super) graphql: &'a str,
    pub(super) realm: &'a Realm,
    pub(super) known: &'a Bookmarks,
    pub(super) fingerprints: &'a FingerprintKey,
    pub(super) stop: CancellationToken,
    pub(super) sweep_every: Duration,
    /// Its id, which stays when it is renamed.
    pub(super) id: u64,
    /// Its name.
    pub(super) login: String,
    /// What the audit log says has changed.
    pub(super) changes: Changes,
}

/// A field of a GraphQL document that is left out where it may not be seen.
#[derive(Clone, Debug)]
pub(super) struct Optional {
    /// The variable that leaves it out.
    pub(super) variable: &'static str,
    /// The fields under it, as they stand in places of an answer.
    pub(super) fields: &'static [&'static str],
    /// Why it was left out.
    pub(super) denied: Option<String>,
}

impl Optional {
    pub(super) const fn new(variable: &'static str, fields: &'static [&'static str]) -> Self {
        Self { variable, fields, denied: None }
    }

    /// Whether it is asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.denied.is_none()
    }
}

impl Org<'_> {
    /// A scope of this organization.
    pub(super) fn scope(&self, path: &str) -> Scope {
        Scope::new(self.realm.clone(), format!("orgs/{}/{path}", self.id))
    }

    /// Where a former run got to in a scope.
    pub(super) fn cursor(&self, path: &str) -> Option<&Cursor> {
        self.known.cursors.get(&self.scope(path).path)
    }

    /// Whether a full reading of a scope is due.
    pub(super) fn is_due(&self, path: &str) -> bool {
        self.known.full_due.contains(&self.scope(path).path)
    }

    /// Whether the run should end soon.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// The key of a repository.
    pub(super) fn repository(&self, id: u64) -> Key {
        Key::new(self.realm.clone(), Kind::Workload, format!("repos/{id}"))
    }

    /// The key of an account.
    pub(super) fn user(&self, id: u64) -> Key {
        Key::new(self.realm.clone(), Kind::User, id.to_string())
    }

    /// Asks one of the documents. A field that may not be seen is left out and the question put again.
    pub(super) async fn graph<T: DeserializeOwned>(
        &self,
        document: &'static str,
        variables: Value,
        optional: &mut [Optional],
    ) -> Result<T, Failure> {
        graph(self.web, (self.graphql, document), variables, optional).await
    }

    /// Says what went wrong with a listing: a blind spot where its permission is optional and it may not be seen. GitHub
    /// says not-found both of what may not be seen and of what an organization's plan does not have.
    pub(super) async fn failed(
        &self,
        scope: &Scope,
        read: &str,
        failure: &Failure,
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        if is_blind(read, failure) {
            return self.blind(read, &failure.said, to).await;
        }
        to.begin(scope, None).await?;
        to.partial(scope, failure.why, failure.to_string()).await
    }

    /// Declares a blind spot.
    pub(super) async fn blind(&self, place: &str, said: &str, to: &mut Emitter) -> Result<(), Stopped> {
        let said = format!("{}: {said}", self.login);
        to.trouble(Trouble { place: place.to_owned(), why: Why::Denied, said, blind_spot: true }).await
    }

    /// Says that nothing changed in a scope.
    pub(super) async fn unchanged(&self, path: &str, to: &mut Emitter) -> Result<(), Stopped> {
        let scope = self.scope(path);
        to.begin(&scope, None).await?;
        let now = to.now();
        to.cover(&scope, None, now, Cover::Unchanged { at: now }).await
    }
}

/// Whether a failure only means that something optional may not be seen.
pub(super) fn is_blind(read: &str, failure: &Failure) -> bool {
    (failure.why == Why::Denied || failure.is_missing()) && spec::is_optional(read)
}

/// Asks one of the documents over that way.
pub(super) async fn graph<T: DeserializeOwned>(
    web: &Web,
    (read, document): (&str, &'static str),
    variables: Value,
    optional: &mut [Optional],
) -> Result<T, Failure> {
    #[derive(Deserialize)]
    struct Data<T> {
        data: T,
    }
    loop {
        let mut variables = variables.clone();
        for it in optional.iter() {
            if let Some(variables) = variables.as_object_mut() {
                variables.insert(it.variable.to_owned(), it.is_asked().into());
            }
        }
        let answer = web.ask(Ask::graphql(read, document, variables).with_gaps()).await?;
        let Some(gap) = answer.gaps().first() else { return Ok(answer.json::<Data<T>>()?.data) };
        let names = |it: &&mut Optional| it.is_asked() && gap.place.split('/').any(|step| it.fields.contains(&step));
        match optional.iter_mut().find(names) {
            Some(it) if gap.why == Why::Denied => it.denied = Some(gap.said.clone()),
            _ => return Err(Failure::new(documents::name_of(document), gap.why, &gap.code, &gap.said)),
        }
    }
}

/// The rows of one page: the body itself, or the list at that field of it.
pub(super) fn rows_of(answer: &Answer, read: &str, field: &str) -> Result<Vec<Value>, Failure> {
    let body: Value = answer.json()?;
    let rows = match (field, body) {
        ("", Value::Array(rows)) => Some(rows),
        (field, Value::Object(mut body)) => match body.remove(field) {
            Some(Value::Array(rows)) => Some(rows),
            _ => None,
        },
        _ => None,
    };
    rows.ok_or_else(|| Failure::new(read, Why::Malformed, "", "the answer has no list where it should be"))
}

/// The failure of a run that should end.
pub(super) fn stopped(read: &str) -> Failure {
    Failure::new(read, Why::Stopped, "", "the run was stopped")
}
