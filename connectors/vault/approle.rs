//! AppRoles: the roles as which programs sign in, with what bounds them.
//! It must never read a secret id, only the role's public half.

use std::collections::BTreeMap;

use provost_client::{Ask, Failure};
use provost_model::{Entity, Key, Kind, Reading, Status, Why, field};
use serde_json::Value;

use super::{
    ledger,
    place::{Mount, Place, length, texts, unless_nought},
    tell::{self, Found, Parts, buckets, chosen},
};
use crate::{Emitter, Stopped};

const LIST: &str = "LIST /v1/auth/{mount}/role";
const READ: &str = "GET /v1/auth/{mount}/role/{role}";
const ROLE_ID: &str = "GET /v1/auth/{mount}/role/{role}/role-id";
/// Parts of the listing of roles.
const BUCKETS: u64 = 256;
/// The policy that every token has unless its role says otherwise.
const DEFAULT: &str = "default";

/// The record of a role.
pub(super) fn key(place: &Place<'_>, mount: &Mount, role: &str) -> Key {
    place.key(Kind::ServiceAccount, mount.external(role))
}

/// Lists the roles of a mount and reads those that ask for it. Gives their names; nothing where they cannot be listed.
pub(super) async fn all(place: &Place<'_>, mount: &Mount, to: &mut Emitter) -> Result<Option<Vec<String>>, Stopped> {
    let scope = (place.scope(&format!("approle/{}/roles", mount.path)), Some(mount.key(place)));
    let roles = match place.list(Ask::list(LIST, &[&mount.path])).await {
        Ok(listed) => listed.keys,
        Err(failure) => {
            tell::failed(place, (&scope.0, scope.1), &failure, to).await?;
            return Ok(None);
        }
    };
    let mut parts = Parts::begin(place, scope.clone(), to).await?;
    // Who holds what is judged by policies: where those changed for the worse or better, every role is judged anew.
    let judged = format!("{:016x}", ledger::digest(place.book.digest_words().iter().map(String::as_str)));
    let word = |role: &str, (): &()| {
        let path = format!("auth/{}/role/{role}", mount.path);
        let hint = place.looking.hints.is_written(&place.namespace, &path);
        if hint { format!("{judged} written {}", place.looking.turn.now) } else { judged.clone() }
    };
    let listed = buckets("", (roles.iter().map(|role| (role.clone(), ())), BUCKETS), word);
    let (wanted, lost) = chosen(&parts.ledger, "", listed, &place.turn(&scope.0));
    parts.vanish(lost, to).await?;
    let reader = |roles: Vec<(String, ())>| async move {
        let mut found = Found::default();
        for (role, ()) in roles {
            found.entities.extend(Box::pin(read(place, mount, &role, &mut found.denied)).await?);
        }
        Ok(found)
    };
    Box::pin(parts.read(wanted, ("AppRoles", reader), to)).await?;
    parts.end(to).await?;
    Ok(Some(roles))
}

/// One role; `None` if it is gone since it was listed.
async fn read(
    place: &Place<'_>,
    mount: &Mount,
    role: &str,
    denied: &mut Option<Failure>,
) -> Result<Option<Entity>, Failure> {
    let mut entity = Entity::new(key(place, mount, role), role)
        .within(mount.key(place))
        .with(field::PATH, mount.of(place, &format!("role/{role}")))
        .with(field::CREDENTIAL_TYPE, "approle".to_owned())
        .with(field::NATURE, "machine".to_owned())
        .with(field::NATURE_BECAUSE, "AppRoles are for programs".to_owned())
        .with(field::CREATED_AT, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported);
    let id = match place.read::<Value>(Ask::get(ROLE_ID, &[&mount.path, role])).await {
        Ok(None) => return Ok(None),
        Ok(Some(told)) => {
            told.get("role_id").and_then(Value::as_str).map_or(Reading::NotReported, |it| Reading::Known(it.to_owned()))
        }
        Err(failure) if failure.why == Why::Denied => {
            denied.get_or_insert(failure);
            Reading::NotPermitted
        }
        Err(failure) => return Err(failure),
    };
    entity.facts.set(field::CLIENT_ID, id);
    if place.looking.own.is_role(&place.namespace, &mount.path, role) {
        entity.facts.set(field::LOOKED_BY, true);
    }
    match place.read::<BTreeMap<String, Value>>(Ask::get(READ, &[&mount.path, role])).await {
        Ok(None) => Ok(None),
        Ok(Some(told)) => Ok(Some(bounded(place, entity, &told))),
        Err(failure) if failure.why == Why::Denied => {
            denied.get_or_insert(failure);
            Ok(Some(
                entity
                    .with(field::POLICIES, Reading::NotPermitted)
                    .with(field::ADMIN, Reading::NotPermitted)
                    .with(field::RESTRICTIONS, Reading::NotPermitted)
                    .with(field::LOGIN_BOUND, Reading::NotPermitted)
                    .with(field::LIFETIME, Reading::NotPermitted)
                    .with(field::PERIOD, Reading::NotPermitted),
            ))
        }
        Err(failure) => Err(failure),
    }
}

/// The role with what its configuration says.
fn bounded(place: &Place<'_>, entity: Entity, told: &BTreeMap<String, Value>) -> Entity {
    let flag = |name: &str| told.get(name).and_then(Value::as_bool);
    let number = |name: &str| told.get(name).and_then(Value::as_i64).unwrap_or(0);
    let mut policies = texts(told.get("token_policies"));
    if flag("token_no_default_policy") != Some(true) && !policies.iter().any(|it| it == DEFAULT) {
        policies.push(DEFAULT.to_owned());
    }
    let secret_cidrs = texts(told.get("secret_id_bound_cidrs"));
    let token_cidrs = texts(told.get("token_bound_cidrs"));
    let asks_secret = flag("bind_secret_id");
    let mut limits: Vec<String> = secret_cidrs.iter().map(|it| format!("signs in from {it}")).collect();
    limits.extend(token_cidrs.iter().map(|it| format!("tokens work from {it}")));
    if number("secret_id_num_uses") > 0 {
        limits.push(format!("a secret id works {} times", number("secret_id_num_uses")));
    }
    if let Some(seconds) = length(told.get("secret_id_ttl")).filter(|it| *it > 0) {
        limits.push(format!("a secret id works {seconds} s"));
    }
    if number("token_num_uses") > 0 {
        limits.push(format!("a token works {} times", number("token_num_uses")));
    }
    let bound = asks_secret.map(|asks| asks || !secret_cidrs.is_empty() || !token_cidrs.is_empty());
    let most =
        ["token_explicit_max_ttl", "token_max_ttl"].iter().find_map(|it| length(told.get(*it)).filter(|it| *it > 0));
    place
        .stand(entity, policies)
        .with(field::STATUS, Status::Active)
        .with(field::RESTRICTIONS, limits)
        .with(field::LOGIN_BOUND, bound.map_or(Reading::NotReported, Reading::Known))
        // Without a bound of its own the mount's and the server's hold.
        .with(field::LIFETIME, most.map_or(Reading::NotReported, Reading::Known))
        .with(field::PERIOD, unless_nought(length(told.get("token_period"))))
        .with(field::NOT_EVALUATED, vec!["policies of its entity and of that one's groups".to_owned()])
}
