//! Secret ids of AppRoles, by their accessors: how old each is, when it ends, from where and how often it works.
//! It must never ask for a secret id itself, nor tell of a role whose accessors were not listed.

use provost_client::{Ask, Body, Failure};
use provost_model::{Entity, Kind, Reading, Status, Time, Why, field};
use serde_json::{Value, json};

use super::{
    approle,
    place::{Mount, Place, date, map, texts},
    tell::{Found, Parts, Wanted, buckets, chosen},
};
use crate::{Emitter, Stopped};

const LIST: &str = "LIST /v1/auth/{mount}/role/{role}/secret-id";
/// A read, though it is sent as POST: the accessor stands in the body.
const LOOKUP: &str = "POST /v1/auth/{mount}/role/{role}/secret-id-accessor/lookup";
/// Parts of one role's accessors: a new one costs the reading of a sixteenth.
const BUCKETS: u64 = 16;
/// Roles whose accessors are listed in every run, however small the share that a warm run may cost.
const ROLES_LEAST: usize = 100;
/// Behind a role's name: when its accessors were listed.
const LISTED: &str = "/listed";

/// Lists the accessors of roles whose turn it is, and looks up those that are new or due.
pub(super) async fn all(
    place: &Place<'_>,
    (mount, roles): (&Mount, &[String]),
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let scope = (place.scope(&format!("approle/{}/secret-ids", mount.path)), Some(mount.key(place)));
    let mut parts = Parts::begin(place, scope.clone(), to).await?;
    let gone: Vec<String> = lost(&parts, roles);
    parts.vanish(gone, to).await?;
    let turn = place.turn(&scope.0);
    let listing = due(&parts, (mount, roles));
    let mut wanted = Vec::new();
    let mut flying = Listing::start(place, mount, listing);
    let mut listed_roles = Vec::new();
    while let Some((role, answer)) = flying.next().await {
        let accessors = match answer {
            Ok(accessors) => accessors,
            // Deleted since the roles were listed: its record is told gone by the next listing of those.
            Err(failure) if failure.said.contains("does not exist") => continue,
            Err(failure) => {
                if parts.failed(failure) {
                    break;
                }
                continue;
            }
        };
        let names = accessors.into_iter().map(|it| (it, ()));
        let prefix = format!("{role}/");
        let listed = buckets(&prefix, (names, BUCKETS), |_, ()| String::new());
        let (want, mut lost) = chosen(&parts.ledger, &prefix, listed, &turn);
        lost.retain(|it| !it.ends_with(LISTED));
        parts.vanish(lost, to).await?;
        let payload = |it: Wanted<Vec<(String, ())>>| Wanted {
            name: it.name,
            digest: it.digest,
            payload: (role.clone(), it.payload),
        };
        wanted.extend(want.into_iter().map(payload));
        listed_roles.push(role);
    }
    drop(flying);
    let reader = |(role, accessors): (String, Vec<(String, ())>)| async move {
        let mut found = Found::default();
        for (accessor, ()) in accessors {
            found.entities.extend(look_up(place, (mount, &role), &accessor, &mut found.denied).await?);
        }
        Ok(found)
    };
    Box::pin(parts.read(wanted, ("secret ids", reader), to)).await?;
    for role in listed_roles {
        parts.ledger.note(&format!("{role}{LISTED}"), 0, 0, (&place.looking.turn, None));
    }
    parts.end(to).await
}

/// Parts of roles that are no more.
fn lost(parts: &Parts<'_, '_>, roles: &[String]) -> Vec<String> {
    let present: std::collections::HashSet<&str> = roles.iter().map(String::as_str).collect();
    let role = |name: &str| name.rsplit_once('/').map_or(String::new(), |(role, _)| role.to_owned());
    let all = parts.ledger.within("").map(|(name, _)| name);
    all.filter(|name| !present.contains(role(name).as_str())).map(str::to_owned).collect()
}

/// The roles whose accessors are listed in this run: those that the audit log names and those never listed, then those
/// listed longest ago, as many as a warm run may cost.
fn due(parts: &Parts<'_, '_>, (mount, roles): (&Mount, &[String])) -> Vec<String> {
    let place = parts.place();
    let looking = place.looking;
    let written = |role: &str| looking.hints.is_written(&place.namespace, &format!("auth/{}/role/{role}", mount.path));
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for role in roles {
        match parts.ledger.looked_at(&format!("{role}{LISTED}")) {
            Some(at) if !written(role) => rest.push((at, role)),
            _ => first.push(role.clone()),
        }
    }
    let turn = place.turn(&parts.scope());
    let most = if turn.full || turn.sweep_now {
        rest.len()
    } else {
        share(parts.ledger.items(), roles.len(), looking.settings.warm_share)
    };
    rest.sort_unstable();
    first.extend(rest.into_iter().take(most).map(|(_, role)| role.clone()));
    first
}

/// How many roles may be listed: a share of what it would cost to read everything, but not so few that a small server is
/// seen late.
fn share(accessors: u64, roles: usize, share: f64) -> usize {
    // A role is read by three calls, and each accessor by one.
    let cold = accessors as f64 + 3.0 * roles as f64;
    ((cold * share) as usize).max(ROLES_LEAST)
}

/// Listings of accessors in flight.
struct Listing<'a> {
    flying: futures::stream::BoxStream<'a, (String, Result<Vec<String>, Failure>)>,
}

impl<'a> Listing<'a> {
    fn start(place: &'a Place<'a>, mount: &'a Mount, roles: Vec<String>) -> Self {
        use futures::StreamExt;
        let flights = roles.into_iter().map(move |role| async move {
            let answer = place.list(Ask::list(LIST, &[&mount.path, &role])).await.map(|listed| listed.keys);
            (role, answer)
        });
        Self { flying: futures::stream::iter(flights).buffer_unordered(place.looking.at_once()).boxed() }
    }

    async fn next(&mut self) -> Option<(String, Result<Vec<String>, Failure>)> {
        use futures::StreamExt;
        self.flying.next().await
    }
}

/// One accessor; `None` if its secret id is gone since it was listed.
async fn look_up(
    place: &Place<'_>,
    (mount, role): (&Mount, &str),
    accessor: &str,
    denied: &mut Option<Failure>,
) -> Result<Option<Entity>, Failure> {
    let body = Body::Json(json!({ "secret_id_accessor": accessor }));
    let told = match place.read::<Value>(Ask::post(LOOKUP, &[&mount.path, role], body)).await {
        Ok(None) => return Ok(None),
        Ok(Some(told)) => Ok(told),
        Err(failure) if failure.why == Why::Denied => Err(failure),
        Err(failure) => return Err(failure),
    };
    let identity = approle::key(place, mount, role);
    let key = place.key(Kind::ClientSecret, mount.external(&format!("{role}/{accessor}")));
    let entity = Entity::new(key, format!("{role}/{accessor}"))
        .of(identity)
        .with(field::KEY_ID, accessor.to_owned())
        .with(field::CREDENTIAL_TYPE, "approle_secret_id".to_owned())
        .with(field::MULTI_ACTIVE_ALLOWED, true)
        .with(field::PATH, mount.of(place, &format!("role/{role}/secret-id")));
    Ok(Some(match told {
        Ok(told) => described(entity, &told, place.looking.turn.now),
        Err(failure) => {
            denied.get_or_insert(failure);
            entity
                .with(field::CREATED_AT, Reading::NotPermitted)
                .with(field::EXPIRES_AT, Reading::NotPermitted)
                .with(field::LAST_USED_AT, Reading::NotPermitted)
                .with(field::USES_LEFT, Reading::NotPermitted)
                .with(field::RESTRICTIONS, Reading::NotPermitted)
                .with(field::TAGS, Reading::NotPermitted)
        }
    }))
}

fn described(entity: Entity, told: &Value, now: Time) -> Entity {
    let created = date(told.get("creation_time"));
    let expires = date(told.get("expiration_time"));
    let uses = told.get("secret_id_num_uses").and_then(Value::as_i64);
    // A use is written down only where uses are counted.
    let updated = date(told.get("last_updated_time"));
    let used = match (uses, created, updated) {
        (Some(1..), Some(created), Some(updated)) if updated > created => Reading::Known(updated),
        (Some(1..), Some(_), Some(_)) => Reading::Never,
        _ => Reading::NotReported,
    };
    let mut limits: Vec<String> = texts(told.get("cidr_list")).iter().map(|it| format!("signs in from {it}")).collect();
    limits.extend(texts(told.get("token_bound_cidrs")).iter().map(|it| format!("tokens work from {it}")));
    let ended = expires.is_some_and(|at| at <= now);
    let (ends, long_lived) = match (told.get("expiration_time"), expires) {
        (None, _) => (Reading::NotReported, Reading::NotReported),
        (Some(_), None) => (Reading::Never, Reading::Known(true)),
        (Some(_), Some(at)) => (Reading::Known(at), Reading::Known(false)),
    };
    entity
        .with(field::STATUS, if ended { Status::Expired } else { Status::Active })
        .with(field::CREATED_AT, created.map_or(Reading::NotReported, Reading::Known))
        .with(field::EXPIRES_AT, ends)
        .with(field::LONG_LIVED, long_lived)
        .with(field::LAST_USED_AT, used)
        .with(
            field::USES_LEFT,
            match uses {
                None => Reading::NotReported,
                Some(0) => Reading::Never,
                Some(left) => Reading::Known(left),
            },
        )
        .with(field::RESTRICTIONS, limits)
        .with(field::TAGS, map(told.get("metadata")))
}

#[cfg(test)]
mod tests {
    use provost_model::{Key, Realm};

    use super::*;

    fn told(value: Value) -> Entity {
        let key = Key::new(Realm::new("vault", "x"), Kind::ClientSecret, "a");
        described(Entity::new(key, "a"), &value, Time::from_seconds(1_795_914_600))
    }

    #[test]
    fn a_use_shows_only_where_uses_are_counted() {
        let (made, used) = ("2026-11-29T01:08:01.338786779Z", "2026-11-29T01:08:48.143382904Z");
        let of = |uses: i64, updated: &str| {
            told(json!({"creation_time": made, "last_updated_time": updated, "secret_id_num_uses": uses,
                "expiration_time": "0001-01-01T00:00:00Z", "cidr_list": ["10.0.0.0/8"], "metadata": {"owner": "t1"}}))
        };
        let counted = of(2, used);
        assert_eq!(counted.facts.get(field::LAST_USED_AT), Reading::Known(used.parse().unwrap()));
        assert_eq!(counted.facts.get(field::USES_LEFT), Reading::Known(2));
        assert_eq!(counted.facts.get(field::EXPIRES_AT), Reading::Never);
        assert_eq!(counted.facts.get(field::RESTRICTIONS), Reading::Known(vec!["signs in from 10.0.0.0/8".to_owned()]));
        assert_eq!(of(3, made).facts.get(field::LAST_USED_AT), Reading::Never);
        assert_eq!(of(0, used).facts.get(field::LAST_USED_AT), Reading::NotReported);
        assert_eq!(of(0, used).facts.get(field::USES_LEFT), Reading::Never);
    }

    #[test]
    fn an_ended_one_is_expired_and_a_missing_field_is_no_default() {
        let ended = told(json!({"expiration_time": "2026-11-29T00:00:00Z"}));
        assert_eq!(ended.facts.get(field::STATUS), Reading::Known(Status::Expired));
        assert_eq!(ended.facts.get(field::CREATED_AT), Reading::NotReported);
        assert_eq!(ended.facts.get(field::USES_LEFT), Reading::NotReported);
        assert_eq!(told(json!({})).facts.get(field::EXPIRES_AT), Reading::NotReported);
    }

    #[test]
    fn a_small_server_is_listed_whole_and_a_large_one_by_its_share() {
        assert_eq!(share(10, 10, 0.045), ROLES_LEAST);
        assert_eq!(share(5_000, 500, 0.045), 292);
        assert_eq!(share(5_000, 500, 1.0), 6_500);
    }
}
