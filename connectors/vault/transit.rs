//! Keys of transit engines: how old their versions are, whether they turn over by themselves, whether they can be taken out.
//! It must never export a key.

use provost_client::{Ask, Failure};
use provost_model::{Entity, Kind, Reading, Span, Status, Time, Why, field};
use serde_json::Value;

use super::{
    place::{Mount, Place, date, length},
    tell::{self, Found, Parts, buckets, chosen},
};
use crate::{Emitter, Stopped, host::keys::PublicKey};

const LIST: &str = "LIST /v1/{mount}/keys";
const READ: &str = "GET /v1/{mount}/keys/{key}";
/// Parts of a listing.
const BUCKETS: u64 = 256;
/// How long after its time a rotation is looked for.
const GRACE: Span = Span::hours(1);

/// The keys of a mount.
pub(super) async fn all(place: &Place<'_>, mount: &Mount, to: &mut Emitter) -> Result<(), Stopped> {
    let scope = (place.scope(&format!("transit/{}/keys", mount.path)), Some(mount.key(place)));
    let keys = match place.list(Ask::list(LIST, &[&mount.path])).await {
        Ok(listed) => listed.keys,
        Err(failure) => return tell::failed(place, (&scope.0, scope.1), &failure, to).await,
    };
    let parted = buckets("", (keys.into_iter().map(|key| (key, ())), BUCKETS), |_, ()| String::new());
    let mut parts = Parts::begin(place, scope.clone(), to).await?;
    let (wanted, lost) = chosen(&parts.ledger, "", parted, &place.turn(&scope.0));
    parts.vanish(lost, to).await?;
    let reader = |keys: Vec<(String, ())>| async move {
        let mut found = Found::default();
        for (key, ()) in keys {
            let entity = one(place, mount, &key, &mut found).await?;
            found.entities.extend(entity);
        }
        Ok::<_, Failure>(found)
    };
    Box::pin(parts.read(wanted, ("transit keys", reader), to)).await?;
    parts.end(to).await
}

async fn one(place: &Place<'_>, mount: &Mount, key: &str, found: &mut Found) -> Result<Option<Entity>, Failure> {
    let entity = Entity::new(place.key(Kind::Secret, mount.external(key)), mount.of(place, key))
        .within(mount.key(place))
        .with(field::PATH, mount.of(place, &format!("keys/{key}")))
        .with(field::CREDENTIAL_TYPE, "transit_key".to_owned())
        .with(field::STORE_KIND, "vault_transit".to_owned())
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported);
    match place.read::<Value>(Ask::get(READ, &[&mount.path, key])).await {
        Ok(None) => Ok(None),
        Ok(Some(told)) => {
            let (entity, due) = described(entity, &told);
            found.changes_at = [found.changes_at, due.map(|due| due + GRACE)].into_iter().flatten().min();
            Ok(Some(entity))
        }
        Err(failure) if failure.why == Why::Denied => {
            found.denied.get_or_insert(failure);
            Ok(Some(
                entity
                    .with(field::CREATED_AT, Reading::NotPermitted)
                    .with(field::ROTATED_AT, Reading::NotPermitted)
                    .with(field::ROTATION, Reading::NotPermitted)
                    .with(field::ROTATION_PERIOD, Reading::NotPermitted)
                    .with(field::VERSION_COUNT, Reading::NotPermitted)
                    .with(field::EXPORTABLE, Reading::NotPermitted),
            ))
        }
        Err(failure) => Err(failure),
    }
}

/// The key as its server describes it, and when it turns over next.
fn described(mut entity: Entity, told: &Value) -> (Entity, Option<Time>) {
    let number = |name: &str| told.get(name).and_then(Value::as_i64);
    let flag = |name: &str| told.get(name).and_then(Value::as_bool);
    let versions = told.get("keys").and_then(Value::as_object);
    let latest = number("latest_version");
    // Symmetric keys give a date for each version, others an object with one.
    let version = |number: i64| versions.and_then(|it| it.get(&number.to_string()));
    let made = |number: i64| {
        let it = version(number)?;
        date(it.get("creation_time").or(Some(it)))
    };
    let rotated = latest.and_then(made);
    let period = length(told.get("auto_rotate_period"));
    let due = rotated.zip(period.filter(|it| *it > 0)).map(|(at, period)| at + Span::seconds(period));
    let known = |time: Option<Time>| time.map_or(Reading::NotReported, Reading::Known);
    if let Some(public) = latest.and_then(version).and_then(|it| it.get("public_key")?.as_str()).and_then(public_key) {
        for (its, reading) in public.facts().iter() {
            entity.facts.set_value(its, reading.clone());
        }
    }
    if let Some(sort) = told.get("type").and_then(Value::as_str) {
        entity.facts.set(field::ALGORITHM, sort.to_owned());
    }
    let takes_out = flag("exportable").zip(flag("allow_plaintext_backup")).map(|(one, other)| one || other);
    let entity = entity
        .with(field::STATUS, if flag("soft_deleted") == Some(true) { Status::Inactive } else { Status::Active })
        .with(field::CREATED_AT, known(made(1)))
        .with(field::ROTATED_AT, known(rotated))
        .with(field::ROTATION_DUE_AT, known(due))
        .with(
            field::ROTATION,
            match period {
                None => Reading::NotReported,
                Some(0) => Reading::Known("off".to_owned()),
                Some(_) => Reading::Known("on".to_owned()),
            },
        )
        .with(field::ROTATION_PERIOD, super::place::unless_nought(period))
        .with(field::VERSION_COUNT, latest.map_or(Reading::NotReported, Reading::Known))
        .with(
            field::OLDEST_VERSION_ACCEPTED,
            number("min_decryption_version").map_or(Reading::NotReported, Reading::Known),
        )
        .with(field::EXPORTABLE, takes_out.map_or(Reading::NotReported, Reading::Known));
    (entity, due)
}

fn public_key(pem: &str) -> Option<PublicKey> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.split("-----END").next()?;
    let compact: String = body.chars().filter(|it| !it.is_whitespace()).take(16 << 10).collect();
    PublicKey::from_spki(&STANDARD.decode(compact).ok()?)
}

#[cfg(test)]
mod tests {
    use provost_model::{Key, Realm};
    use serde_json::json;

    use super::*;

    fn of(told: &Value) -> (Entity, Option<Time>) {
        let key = Key::new(Realm::new("vault", "x"), Kind::Secret, "k");
        described(Entity::new(key, "k"), told)
    }

    #[test]
    fn both_forms_of_versions_are_read() {
        let (entity, due) = of(&json!({"type": "aes256-gcm96", "latest_version": 2, "auto_rotate_period": 2_592_000,
            "keys": {"1": 1_795_914_636, "2": 1_795_914_700}, "min_decryption_version": 1, "exportable": false,
            "allow_plaintext_backup": false}));
        let rotated = Time::from_seconds(1_795_914_700);
        assert_eq!(entity.facts.get(field::CREATED_AT), Reading::Known(Time::from_seconds(1_795_914_636)));
        assert_eq!(entity.facts.get(field::ROTATED_AT), Reading::Known(rotated));
        assert_eq!(due, Some(rotated + Span::days(30)));
        assert_eq!(entity.facts.get(field::ROTATION), Reading::Known("on".to_owned()));
        assert_eq!(entity.facts.get(field::EXPORTABLE), Reading::Known(false));
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4WE38Jy9RsITO40DpXDQmoVfFhmG\nB19Sh1UY9hTZk+fWpd2vUw4m5UpuqmgWVW2ipgFhZwonIbYZgokNxvj56A==\n-----END PUBLIC KEY-----\n";
        let (entity, due) = of(&json!({"type": "ecdsa-p256", "latest_version": 1, "auto_rotate_period": 0,
            "keys": {"1": {"creation_time": "2026-11-29T01:10:36.74560454Z", "public_key": pem}},
            "exportable": false, "allow_plaintext_backup": true}));
        assert_eq!(due, None);
        assert_eq!(entity.facts.get(field::ROTATION), Reading::Known("off".to_owned()));
        assert_eq!(entity.facts.get(field::ROTATION_PERIOD), Reading::Never);
        assert_eq!(entity.facts.get(field::EXPORTABLE), Reading::Known(true));
        assert!(entity.facts.get(field::FINGERPRINT).known().is_some());
        assert_eq!(entity.facts.get(field::ALGORITHM), Reading::Known("ecdsa-p256".to_owned()));
    }

    #[test]
    fn what_was_not_said_is_not_known() {
        let (entity, _) = of(&json!({}));
        for unsaid in [field::CREATED_AT, field::ROTATED_AT] {
            assert_eq!(entity.facts.get(unsaid), Reading::NotReported);
        }
        assert_eq!(entity.facts.get(field::ROTATION), Reading::NotReported);
        // The first version was trimmed away: nobody says any more when the key was made.
        let (entity, _) = of(&json!({"latest_version": 3, "keys": {"3": 1_795_914_700}}));
        assert_eq!(entity.facts.get(field::CREATED_AT), Reading::NotReported);
    }
}
