//! Tokens, by a sample of their accessors: root, without end, periodic, orphaned.
//! It must never hold a token, nor let one that fell out of the sample count as gone: who is in it stays while it lives.

use std::collections::HashSet;

use provost_client::{Ask, Body};
use provost_model::{Entity, Kind, Reading, Status, Time, Trouble, Why, field};
use serde_json::{Value, json};

use super::{
    ledger::name_digest,
    place::{Place, date, dated, length, map, text, texts},
    tell::{self, Found, Parts, Wanted},
};
use crate::{Emitter, Stopped};

/// Root-protected: whoever may list accessors may learn of every token there is.
const LIST: &str = "LIST /v1/auth/token/accessors";
/// A read, though it is sent as POST: the accessor stands in the body.
const LOOKUP: &str = "POST /v1/auth/token/lookup-accessor";

/// The sample of a namespace's tokens.
pub(super) async fn all(place: &Place<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let most = place.looking.settings.tokens;
    if most == 0 {
        return Ok(());
    }
    let scope = (place.scope("tokens"), Some(place.container()));
    let mut accessors = match place.list(Ask::list(LIST, &[])).await {
        Ok(listed) => listed.keys,
        Err(failure) => return tell::failed(place, (&scope.0, scope.1), &failure, to).await,
    };
    let mut parts = Parts::begin(place, scope, to).await?;
    let listed: HashSet<&str> = accessors.iter().map(String::as_str).collect();
    let lost = parts.ledger.within("").map(|(name, _)| name).filter(|it| !listed.contains(it)).map(str::to_owned);
    let lost: Vec<String> = lost.collect();
    parts.vanish(lost, to).await?;
    // Whoever makes tokens cannot choose their accessors, and so not who is in the sample.
    accessors.sort_by_cached_key(|it| name_digest(it));
    let room = most.saturating_sub(parts.ledger.within("").count());
    let total = accessors.len();
    let turn = place.turn(&parts.scope());
    let (known, new): (Vec<String>, Vec<String>) =
        accessors.into_iter().partition(|it| parts.ledger.part(it).is_some());
    let sampled = known.len() + room.min(new.len());
    let due = known.into_iter().filter(|it| parts.ledger.wants(it, 0, &turn));
    let wanted = due.chain(new.into_iter().take(room)).map(|it| Wanted { name: it.clone(), digest: 0, payload: it });
    let wanted = wanted.collect();
    let reader = |accessor: String| async move {
        let mut found = Found::default();
        let body = Body::Json(json!({ "accessor": accessor }));
        match place.read::<Value>(Ask::post(LOOKUP, &[], body)).await {
            Ok(None) => {}
            Ok(Some(told)) => {
                let entity = token(place, &accessor, &told);
                // A token that is listed after its end was renewed: it is looked at again then.
                found.changes_at = date(told.get("expire_time"));
                found.entities.push(entity);
            }
            // Ended since it was listed.
            Err(failure) if failure.said.contains("invalid accessor") => {}
            Err(failure) if failure.why == Why::Denied => {
                let entity = named(place, &accessor).with(field::POLICIES, Reading::NotPermitted);
                let entity = entity.with(field::ADMIN, Reading::NotPermitted);
                found.entities.push(entity.with(field::EXPIRES_AT, Reading::NotPermitted));
                found.denied = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
        Ok(found)
    };
    Box::pin(parts.read(wanted, ("tokens", reader), to)).await?;
    if sampled < total {
        let said = format!("{sampled} of {total} tokens are looked at, as tokens = {most} says");
        let place = parts.scope().path;
        to.trouble(Trouble { place, why: Why::NotReached, said, blind_spot: true }).await?;
    }
    parts.end(to).await
}

fn named(place: &Place<'_>, accessor: &str) -> Entity {
    Entity::new(place.key(Kind::Token, accessor), accessor)
        .within(place.container())
        .with(field::KEY_ID, accessor.to_owned())
        .with(field::LAST_USED_AT, Reading::NotReported)
}

fn token(place: &Place<'_>, accessor: &str, told: &Value) -> Entity {
    let mut entity = named(place, accessor);
    let mut policies = texts(told.get("policies"));
    policies.extend(texts(told.get("identity_policies")));
    policies.sort_unstable();
    policies.dedup();
    if let Some(id) = text(told.get("entity_id")) {
        entity.identity = Some(place.key(Kind::User, id));
    }
    if place.looking.own.is_token(accessor) {
        entity.facts.set(field::LOOKED_BY, true);
    }
    described(place.stand(entity, policies), told, place.looking.turn.now)
}

fn described(entity: Entity, told: &Value, now: Time) -> Entity {
    let ends = date(told.get("expire_time"));
    let period = length(told.get("period")).filter(|it| *it > 0);
    let number = |name: &str| told.get(name).and_then(Value::as_i64);
    let name = text(told.get("display_name")).unwrap_or_else(|| "token".to_owned());
    let expires = match (told.get("expire_time"), ends) {
        (None, _) => Reading::NotReported,
        (Some(_), None) => Reading::Never,
        (Some(_), Some(at)) => Reading::Known(at),
    };
    let long_lived = matches!(expires, Reading::Never) || period.is_some();
    entity
        .with(field::NAME, name)
        .with(field::CREDENTIAL_TYPE, text(told.get("type")).unwrap_or_else(|| "service".to_owned()))
        .with(field::STATUS, if ends.is_some_and(|at| at <= now) { Status::Expired } else { Status::Active })
        .with(field::CREATED_AT, dated(told.get("creation_time")))
        .with(field::EXPIRES_AT, expires)
        .with(field::PERIOD, period.map_or(Reading::Never, Reading::Known))
        .with(field::ORPHAN, told.get("orphan").and_then(Value::as_bool).map_or(Reading::NotReported, Reading::Known))
        .with(
            field::USES_LEFT,
            match number("num_uses") {
                None => Reading::NotReported,
                Some(0) => Reading::Never,
                Some(left) => Reading::Known(left),
            },
        )
        .with(field::LONG_LIVED, long_lived)
        .with(field::PATH, text(told.get("path")).map_or(Reading::NotReported, Reading::Known))
        .with(field::TAGS, map(told.get("meta")))
        .with(field::NOT_EVALUATED, vec!["policies of the groups of its entity".to_owned()])
}

#[cfg(test)]
mod tests {
    use provost_model::{Key, Realm};

    use super::*;

    fn of(told: &Value) -> Entity {
        let key = Key::new(Realm::new("vault", "x"), Kind::Token, "a");
        described(Entity::new(key, "a"), told, Time::from_seconds(1_795_914_600))
    }

    #[test]
    fn what_lives_on_is_told_from_what_ends() {
        let root = of(&json!({"creation_time": 1_795_914_351, "expire_time": null, "orphan": true, "num_uses": 0}));
        assert_eq!(root.facts.get(field::EXPIRES_AT), Reading::Never);
        assert_eq!(root.facts.get(field::LONG_LIVED), Reading::Known(true));
        assert_eq!(root.facts.get(field::ORPHAN), Reading::Known(true));
        assert_eq!(root.facts.get(field::USES_LEFT), Reading::Never);
        let periodic = of(&json!({"expire_time": "2026-11-30T01:08:47Z", "period": 86_400, "orphan": false}));
        assert_eq!(periodic.facts.get(field::PERIOD), Reading::Known(86_400));
        assert_eq!(periodic.facts.get(field::LONG_LIVED), Reading::Known(true));
        let plain = of(&json!({"expire_time": "2026-11-30T01:08:47Z", "display_name": "ci"}));
        assert_eq!(plain.facts.get(field::LONG_LIVED), Reading::Known(false));
        assert_eq!(plain.facts.get(field::NAME).known().unwrap(), "ci");
        assert_eq!(of(&json!({})).facts.get(field::EXPIRES_AT), Reading::NotReported);
        assert_eq!(of(&json!({})).facts.get(field::ORPHAN), Reading::NotReported);
    }
}
