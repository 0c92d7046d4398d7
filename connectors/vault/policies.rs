//! The policies of a namespace: told as records, and kept as the book by which identities are judged.
//! It must never count a policy as harmless that could not be read.

use provost_client::{Ask, Failure};
use provost_model::{Entity, Kind, Reading, Status, Why, field};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    place::{Place, date},
    policy::{Book, Policy, Rights},
    session::is_unsupported,
    tell::{self, Whole, is_hopeless},
};
use crate::{Emitter, Stopped};

/// All of them with their texts, in one answer; OpenBao has it.
const DETAILED: &str = "LIST /v1/sys/policies/detailed/acl";
const LIST: &str = "LIST /v1/sys/policies/acl";
const READ: &str = "GET /v1/sys/policies/acl/{name}";
/// The policy that the server itself holds to, without a text.
const ROOT: &str = "root";

/// What a server says of a policy.
#[derive(Default, Deserialize)]
struct Told {
    policy: Option<String>,
    #[serde(default)]
    modified: Value,
}

/// Lists the policies, tells them, and gives the book.
pub(super) async fn all(place: &mut Place<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let scope = (place.scope("policies"), Some(place.container()));
    let found = list(place).await;
    place.policies_denied = found.as_ref().is_err_and(|it| it.why == Why::Denied);
    let (told, atomic) = match found {
        Ok(found) => found,
        Err(failure) => return tell::failed(place, (&scope.0, scope.1), &failure, to).await,
    };
    let (mut book, mut entities, mut denied) = (Book::default(), Vec::new(), None);
    book.complete = true;
    for (name, text) in told {
        let (entity, rights) = match text {
            Ok(told) => entity(place, &name, &told),
            Err(failure) => {
                denied.get_or_insert(failure);
                let key = place.named(Kind::Policy, &name);
                let entity = Entity::new(key, name.as_str()).within(place.container());
                let unseen = entity.with(field::POLICY_DIGEST, Reading::NotPermitted);
                (unseen.with(field::ADMIN, Reading::NotPermitted), None)
            }
        };
        place.policies_denied |= rights.is_none() && denied.is_some();
        book.note(name, rights);
        entities.push(entity);
    }
    place.book = book;
    tell::whole(place, scope, Ok(Whole { entities, atomic, denied }), to).await
}

type Texts = Vec<(String, Result<Told, Failure>)>;

/// Every policy with its text, or with the refusal of it; and whether all came in one answer.
async fn list(place: &Place<'_>) -> Result<(Texts, bool), Failure> {
    match place.list(Ask::list(DETAILED, &[])).await {
        Ok(listed) => {
            let mut info = listed.key_info.unwrap_or_default();
            let told = listed.keys.into_iter().filter_map(|name| {
                let told = serde_json::from_value(info.remove(&name)?).ok()?;
                Some((name, Ok(told)))
            });
            return Ok((told.collect(), true));
        }
        Err(failure) if is_unsupported(&failure) || failure.why == Why::Denied => {}
        Err(failure) => return Err(failure),
    }
    let mut told = Vec::new();
    for name in place.list(Ask::list(LIST, &[])).await?.keys {
        let text = if name == ROOT {
            Ok(Told::default())
        } else {
            match place.read::<Told>(Ask::get(READ, &[&name])).await {
                Ok(Some(text)) => Ok(text),
                // Deleted since the listing.
                Ok(None) => continue,
                Err(failure) if is_hopeless(failure.why) || failure.why != Why::Denied => return Err(failure),
                Err(failure) => Err(failure),
            }
        };
        told.push((name, text));
    }
    Ok((told, false))
}

fn entity(place: &Place<'_>, name: &str, told: &Told) -> (Entity, Option<Rights>) {
    let text = told.policy.as_deref().unwrap_or_default();
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut entity = Entity::new(place.named(Kind::Policy, name), name)
        .within(place.container())
        .with(field::PATH, place.path(&format!("sys/policies/acl/{name}")))
        .with(field::STATUS, Status::Active)
        .with(field::POLICY_DIGEST, digest);
    if let Some(modified) = date(Some(&told.modified)) {
        entity.facts.set(field::MODIFIED_AT, modified);
    }
    let read = match name {
        ROOT => Ok((Rights { admin: Some("it is the root policy".to_owned()), ..Rights::default() }, Vec::new())),
        _ => Policy::read(text).map(|policy| {
            let not_evaluated: Vec<String> = policy.not_evaluated.iter().map(|it| (*it).to_owned()).collect();
            (policy.rights(), not_evaluated)
        }),
    };
    match read {
        Ok((rights, not_evaluated)) => {
            let list = |set: &std::collections::BTreeSet<&'static str>| set.iter().map(|it| (*it).to_owned()).collect();
            let escalates: Vec<String> = list(&rights.escalates);
            let because = rights
                .admin
                .clone()
                .unwrap_or_else(|| "no path of it allows writing everywhere, nor writing policies".to_owned());
            let entity = entity
                .with(field::ADMIN, rights.admin.is_some())
                .with(field::ADMIN_BECAUSE, because)
                .with(field::ESCALATES, escalates)
                .with(field::SUDO_PATHS, rights.sudo.iter().cloned().collect::<Vec<_>>())
                .with(field::BROAD_WRITES, rights.broad.iter().cloned().collect::<Vec<_>>())
                .with(field::NOT_EVALUATED, not_evaluated);
            (entity, Some(rights))
        }
        Err(said) => (entity.with(field::ADMIN, Reading::NotCollected).with(field::NOT_EVALUATED, vec![said]), None),
    }
}
