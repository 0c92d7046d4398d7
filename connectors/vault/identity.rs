//! Entities, the identities behind all ways to sign in, with their aliases; and groups of them.
//! It must never take two aliases for one identity unless the server does.

use provost_client::{Ask, Failure};
use provost_model::{Entity, Kind, Reading, Why, field};
use serde_json::Value;

use super::{
    ledger,
    place::{Place, active, dated, map, text, texts},
    tell::{self, Found, Parts, buckets, chosen},
};
use crate::{Emitter, Stopped};

const ENTITIES: &str = "LIST /v1/identity/entity/id";
const ENTITY: &str = "GET /v1/identity/entity/id/{id}";
const GROUPS: &str = "LIST /v1/identity/group/id";
const GROUP: &str = "GET /v1/identity/group/id/{id}";
/// Parts of either listing.
const BUCKETS: u64 = 256;
/// Ways to sign in for programs, and for people.
const FOR_PROGRAMS: [&str; 10] =
    ["approle", "kubernetes", "aws", "azure", "gcp", "cert", "jwt", "alicloud", "cf", "pcf"];
const FOR_PEOPLE: [&str; 5] = ["userpass", "ldap", "oidc", "okta", "radius"];
/// Names of alias metadata in which an address may stand.
const ADDRESSES: [&str; 3] = ["email", "mail", "upn"];

/// Entities, then groups.
pub(super) async fn all(place: &Place<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let entities = Kinds { path: "identity/entities", list: ENTITIES, read: ENTITY, of: "entities" };
    Box::pin(entities.look(place, entity, to)).await?;
    let groups = Kinds { path: "identity/groups", list: GROUPS, read: GROUP, of: "groups" };
    Box::pin(groups.look(place, group, to)).await
}

/// One of the two listings.
struct Kinds {
    path: &'static str,
    list: &'static str,
    read: &'static str,
    of: &'static str,
}

impl Kinds {
    async fn look(
        &self,
        place: &Place<'_>,
        describe: fn(&Place<'_>, &str, Option<&Value>) -> Entity,
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        let scope = (place.scope(self.path), Some(place.container()));
        let listed = match place.list(Ask::list(self.list, &[])).await {
            Ok(listed) => listed,
            Err(failure) => return tell::failed(place, (&scope.0, scope.1), &failure, to).await,
        };
        let mut info = listed.key_info.unwrap_or_default();
        let names = listed.keys.into_iter().map(|id| {
            let short = info.remove(&id).unwrap_or_default();
            (id, short)
        });
        let judged = format!("{:016x}", ledger::digest(place.book.digest_words().iter().map(String::as_str)));
        let parted = buckets("", (names, BUCKETS), |_, short| format!("{judged} {short}"));
        let mut parts = Parts::begin(place, scope.clone(), to).await?;
        let (wanted, lost) = chosen(&parts.ledger, "", parted, &place.turn(&scope.0));
        parts.vanish(lost, to).await?;
        let reader = |ids: Vec<(String, Value)>| async move {
            let mut found = Found::default();
            for (id, short) in ids {
                found.entities.extend(self.one(place, (&id, &short), describe, &mut found.denied).await?);
            }
            Ok(found)
        };
        Box::pin(parts.read(wanted, (self.of, reader), to)).await?;
        parts.end(to).await
    }

    async fn one(
        &self,
        place: &Place<'_>,
        (id, short): (&str, &Value),
        describe: fn(&Place<'_>, &str, Option<&Value>) -> Entity,
        denied: &mut Option<Failure>,
    ) -> Result<Option<Entity>, Failure> {
        match place.read::<Value>(Ask::get(self.read, &[id])).await {
            Ok(told) => Ok(told.map(|told| describe(place, id, Some(&told)))),
            Err(failure) if failure.why == Why::Denied => {
                denied.get_or_insert(failure);
                let entity = describe(place, id, None);
                Ok(Some(match text(short.get("name")) {
                    Some(name) => entity.with(field::NAME, name),
                    None => entity,
                }))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// An entity. Without its details only its id is known.
fn entity(place: &Place<'_>, id: &str, told: Option<&Value>) -> Entity {
    let name = told.and_then(|it| text(it.get("name"))).unwrap_or_else(|| id.to_owned());
    let entity = Entity::new(place.key(Kind::User, id), name)
        .within(place.container())
        .with(field::PATH, place.path(&format!("identity/entity/id/{id}")))
        .with(field::LAST_USED_AT, Reading::NotReported);
    let Some(told) = told else {
        return entity
            .with(field::STATUS, Reading::NotPermitted)
            .with(field::CREATED_AT, Reading::NotPermitted)
            .with(field::POLICIES, Reading::NotPermitted)
            .with(field::ADMIN, Reading::NotPermitted)
            .with(field::ALIASES, Reading::NotPermitted)
            .with(field::GROUPS, Reading::NotPermitted);
    };
    let none = Vec::new();
    let aliases = told.get("aliases").and_then(Value::as_array).unwrap_or(&none);
    let disabled = told.get("disabled").and_then(Value::as_bool);
    let entity = place
        .stand(entity, texts(told.get("policies")))
        .with(field::STATUS, disabled.map_or(Reading::NotReported, |it| Reading::Known(active(!it))))
        .with(field::CREATED_AT, dated(told.get("creation_time")))
        .with(field::TAGS, map(told.get("metadata")))
        .with(field::GROUPS, texts(told.get("group_ids")))
        .with(field::NOT_EVALUATED, vec!["policies of its groups and of its ways to sign in".to_owned()]);
    known_elsewhere(entity, aliases)
}

/// What its aliases say of the same identity in other systems.
fn known_elsewhere(mut entity: Entity, aliases: &[Value]) -> Entity {
    let sort = |alias: &Value| text(alias.get("mount_type")).unwrap_or_default();
    let name = |alias: &Value| text(alias.get("name")).unwrap_or_default();
    let said = |alias: &Value, word: &str| text(alias.get("metadata").and_then(|it| it.get(word)));
    let words = aliases.iter().map(|alias| {
        let mount = text(alias.get("mount_path")).or_else(|| text(alias.get("mount_accessor"))).unwrap_or_default();
        format!("{} {}", mount.trim_end_matches('/'), name(alias))
    });
    entity.facts.set(field::ALIASES, words.collect::<Vec<_>>());
    // Two client ids or ARNs would be two programs under one entity: then neither is said to be this one.
    let mut ids = aliases.iter().filter(|it| sort(it) == "approle").map(name);
    if let (Some(role_id), None) = (ids.next(), ids.next()) {
        entity.facts.set(field::CLIENT_ID, role_id);
    }
    let arn =
        |alias: &Value| said(alias, "canonical_arn").or_else(|| Some(name(alias)).filter(|it| it.starts_with("arn:")));
    let mut arns = aliases.iter().filter(|it| sort(it) == "aws").filter_map(arn);
    if let (Some(arn), None) = (arns.next(), arns.next()) {
        entity.facts.set(field::ARN, arn);
    }
    let addressed = aliases.iter().filter(|it| FOR_PEOPLE.contains(&sort(it).as_str()));
    let mut emails: Vec<String> = addressed
        .flat_map(|alias| ADDRESSES.iter().filter_map(move |it| said(alias, it)).chain([name(alias)]))
        .filter(|it| it.contains('@'))
        .collect();
    emails.sort_unstable();
    emails.dedup();
    if !emails.is_empty() {
        entity.facts.set(field::EMAILS, emails);
    }
    let (nature, because) = nature(&aliases.iter().map(sort).collect::<Vec<_>>());
    entity.with(field::NATURE, nature.to_owned()).with(field::NATURE_BECAUSE, because)
}

/// Whether a human being or a program signs in so.
fn nature(sorts: &[String]) -> (&'static str, String) {
    let among = |list: &[&str]| sorts.iter().find(|it| list.contains(&it.as_str()));
    match (among(&FOR_PROGRAMS), among(&FOR_PEOPLE)) {
        (Some(program), None) => ("machine", format!("signs in by {program}")),
        (None, Some(person)) => ("human", format!("signs in by {person}")),
        (Some(program), Some(person)) => ("unclear", format!("signs in by {program} and by {person}")),
        (None, None) => ("unclear", "no alias tells how it signs in".to_owned()),
    }
}

/// A group. Without its details only its id is known.
fn group(place: &Place<'_>, id: &str, told: Option<&Value>) -> Entity {
    let name = told.and_then(|it| text(it.get("name"))).unwrap_or_else(|| id.to_owned());
    let entity = Entity::new(place.key(Kind::Group, id), name)
        .within(place.container())
        .with(field::PATH, place.path(&format!("identity/group/id/{id}")));
    let Some(told) = told else {
        return entity
            .with(field::CREATED_AT, Reading::NotPermitted)
            .with(field::POLICIES, Reading::NotPermitted)
            .with(field::ADMIN, Reading::NotPermitted);
    };
    let sort = text(told.get("type")).map_or(Reading::NotReported, Reading::Known);
    place
        .stand(entity, texts(told.get("policies")))
        .with(field::CREATED_AT, dated(told.get("creation_time")))
        .with(field::CREDENTIAL_TYPE, sort)
        .with(field::GROUPS, texts(told.get("parent_group_ids")))
        .with(field::TAGS, map(told.get("metadata")))
}

#[cfg(test)]
mod tests {
    use provost_model::{Key, Realm};
    use serde_json::json;

    use super::*;

    fn of(aliases: Value) -> Entity {
        let key = Key::new(Realm::new("vault", "x"), Kind::User, "e");
        known_elsewhere(Entity::new(key, "e"), aliases.as_array().unwrap())
    }

    #[test]
    fn an_alias_names_the_same_identity_in_another_system() {
        let entity = of(json!([
            {"mount_type": "approle", "mount_path": "auth/approle/", "name": "f4cd5770-7d66-d2a2-a5f0-6aeff7e36ec7"},
            {"mount_type": "aws", "mount_path": "auth/aws/", "name": "AROA1", "metadata": {"canonical_arn": "arn:aws:iam::1:role/ci"}},
        ]));
        assert_eq!(entity.facts.get(field::CLIENT_ID).known().unwrap(), "f4cd5770-7d66-d2a2-a5f0-6aeff7e36ec7");
        assert_eq!(entity.facts.get(field::ARN).known().unwrap(), "arn:aws:iam::1:role/ci");
        assert_eq!(entity.facts.get(field::NATURE).known().unwrap(), "machine");
        assert_eq!(
            entity.facts.get(field::ALIASES).known().unwrap(),
            ["auth/approle f4cd5770-7d66-d2a2-a5f0-6aeff7e36ec7", "auth/aws AROA1"]
        );
        let person = of(json!([{"mount_type": "oidc", "name": "sub-1", "metadata": {"email": "ann@x.org"}}]));
        assert_eq!(person.facts.get(field::EMAILS).known().unwrap(), ["ann@x.org"]);
        assert_eq!(person.facts.get(field::NATURE).known().unwrap(), "human");
    }

    #[test]
    fn two_programs_under_one_entity_are_neither() {
        let alias = |id: &str| json!({"mount_type": "approle", "name": id});
        let entity = of(json!([alias("a"), alias("b")]));
        assert_eq!(entity.facts.get(field::CLIENT_ID), Reading::NotCollected);
        assert_eq!(of(json!([])).facts.get(field::NATURE).known().unwrap(), "unclear");
    }
}
