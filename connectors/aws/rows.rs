//! What a credential report says, as things of the inventory.
//! It must never make two records of one key: a slot that cannot be named waits for its listing.

use provost_model::{Entity, Facts, Key, Kind, Reading, Realm, Status, Time, field};

use super::{
    nature::{self, UserTraits},
    people::User,
    report::{CertSlot, KEY_USE_TRACKED_SINCE, KeySlot, PASSWORD_USE_TRACKED_SINCE, Row},
    slots,
};

/// The external id of the root user.
pub(super) const ROOT: &str = "root";

/// Everything one row says, in order: the user, its password, its keys, its signing certificates.
pub(super) fn entities(realm: &Realm, row: &Row<'_>, user: Option<&User>) -> Vec<Entity> {
    let id = user.map_or(ROOT, |user| user.id.as_str());
    let identity = Key::new(realm.clone(), Kind::User, id);
    let mut all = vec![identified(identity.clone(), row, user)];
    all.extend(password(&identity, row));
    let named = slots::nameable(id, &slots::slots(row));
    for (slot, alias) in named {
        let key = row.keys.iter().find(|key| key.slot == slot);
        all.extend(key.map(|key| access_key(&identity, alias, key)));
    }
    all.extend(row.certs.iter().filter_map(|cert| certificate(&identity, cert)));
    all
}

/// The user of a row without a report: what its name and tags alone tell.
pub(super) fn unreported(realm: &Realm, user: &User) -> Entity {
    let traits = UserTraits { name: &user.name, path: &user.path, tags: &user.tags, ..UserTraits::default() };
    let (nature, because) = nature::of_user(&traits);
    bare(Key::new(realm.clone(), Kind::User, user.id.as_str()))
        .with(field::NATURE, nature.word().to_owned())
        .with(field::NATURE_BECAUSE, because)
}

/// A user of whom only its second factor is told: a virtual one, or none that the listing could show.
pub(super) fn second_factor(realm: &Realm, user_id: &str, is_listed: bool) -> Entity {
    let mfa = if is_listed { Reading::Known(true) } else { Reading::NotReported };
    bare(Key::new(realm.clone(), Kind::User, user_id)).with(field::MFA, mfa)
}

/// The time of a report of which this row is a part: it cannot be older than the latest date anything in it has.
pub(super) fn no_older(as_of: Time, row: &Row<'_>) -> Time {
    let keys = row.keys.iter().flat_map(|key| [key.last_rotated, key.last_used.known()]);
    let certs = row.certs.iter().map(|cert| cert.last_rotated);
    let user = [row.created.known(), row.password.last_used.known(), row.password.last_changed.known()];
    keys.chain(certs).chain(user).flatten().fold(as_of, Time::max)
}

fn identified(key: Key, row: &Row<'_>, user: Option<&User>) -> Entity {
    let mut entity = bare(key).with(field::MFA, row.mfa_active).with(field::LAST_USED_AT, last_sign_of_life(row));
    let Some(user) = user else {
        return entity
            .with(field::NAME, ROOT.to_owned())
            .with(field::ARN, row.arn.to_owned())
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, row.created)
            .with(field::ADMIN, true)
            .with(field::ADMIN_BECAUSE, "the root user may do everything in its account".to_owned())
            .with(field::NATURE, nature::Nature::Human.word().to_owned())
            .with(field::NATURE_BECAUSE, "root user of the account".to_owned());
    };
    let traits = UserTraits {
        name: &user.name,
        path: &user.path,
        password: row.password.enabled,
        password_last_used: row.password.last_used,
        mfa: row.mfa_active,
        active_keys: row.keys.iter().filter(|key| key.active).count(),
        keys_used: row.keys.iter().any(|key| matches!(key.last_used, Reading::Known(_))),
        tags: &user.tags,
    };
    let (nature, because) = nature::of_user(&traits);
    entity.facts.set(field::NATURE, nature.word().to_owned());
    entity.facts.set(field::NATURE_BECAUSE, because);
    entity
}

/// The latest use of any of the user's credentials that the report shows. Never, if all of them say so; not collected for
/// a user without any, since a key may be hidden.
fn last_sign_of_life(row: &Row<'_>) -> Reading<Time> {
    let enabled = row.password.enabled != Reading::Known(false);
    let password = enabled.then_some(row.password.last_used);
    let shown = row.keys.iter().filter(|key| key.slot_exists()).map(|key| key.last_used);
    let uses: Vec<Reading<Time>> = password.into_iter().chain(shown).collect();
    match uses.iter().filter_map(|use_| use_.known()).max() {
        Some(latest) => Reading::Known(latest),
        None if uses.contains(&Reading::Never) && uses.iter().all(Reading::is_answered) => Reading::Never,
        None => Reading::NotCollected,
    }
}

fn password(identity: &Key, row: &Row<'_>) -> Option<Entity> {
    if row.password.enabled == Reading::Known(false) {
        return None;
    }
    // The report does not say whether root has a password; every account's root can at least reset one.
    let status = if row.is_root { Reading::NotReported } else { row.password.enabled.map(|_| Status::Active) };
    if !row.is_root && status == Reading::NotReported {
        return None;
    }
    let key = Key::new(identity.realm.clone(), Kind::Password, format!("{}/password", identity.external));
    let entity = bare(key)
        .of(identity.clone())
        .with(field::NAME, format!("password of {}", if row.is_root { ROOT } else { row.user }))
        .with(field::STATUS, status)
        .with(field::ROTATED_AT, row.password.last_changed)
        .with(field::LAST_USED_AT, row.password.last_used)
        .with(field::USAGE_SINCE, PASSWORD_USE_TRACKED_SINCE)
        .with(field::NEXT_ROTATION_AT, row.password.next_rotation)
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::MFA, row.mfa_active);
    Some(entity)
}

/// A key known by its slot. It has no name and no creation time until it is listed: the report's date moves with every
/// change of status.
fn access_key(identity: &Key, alias: String, key: &KeySlot<'_>) -> Entity {
    let mut entity = bare(Key::new(identity.realm.clone(), Kind::AccessKey, alias))
        .of(identity.clone())
        .with(field::STATUS, if key.active { Status::Active } else { Status::Inactive })
        .with(field::SLOT, i64::from(key.slot))
        .with(field::LAST_USED_AT, key.last_used)
        .with(field::USAGE_SINCE, KEY_USE_TRACKED_SINCE)
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::LONG_LIVED, true);
    if let Some(rotated) = key.last_rotated {
        entity.facts.set(field::ROTATED_AT, rotated);
    }
    if let Some(service) = key.service {
        entity.facts.set(field::LAST_USED_SERVICE, service.to_owned());
    }
    if let Some(region) = key.region {
        entity.facts.set(field::LAST_USED_REGION, region.to_owned());
    }
    entity
}

fn certificate(identity: &Key, cert: &CertSlot) -> Option<Entity> {
    let rotated = cert.last_rotated.filter(|_| cert.active)?;
    let external = certificate_alias(&identity.external, cert.slot, rotated);
    let entity = bare(Key::new(identity.realm.clone(), Kind::Certificate, external))
        .of(identity.clone())
        .with(field::STATUS, Status::Active)
        .with(field::SLOT, i64::from(cert.slot))
        .with(field::ROTATED_AT, rotated)
        .with(field::LAST_USED_AT, Reading::NotReported)
        .with(field::CREDENTIAL_TYPE, "signing_certificate".to_owned());
    Some(entity)
}

/// The external id of a signing certificate known only by its slot.
pub(super) fn certificate_alias(user_id: &str, slot: u8, rotated: Time) -> String {
    format!("{user_id}/certificate-{slot}@{rotated}")
}

/// A thing without a name: another scope gives it one.
fn bare(key: Key) -> Entity {
    Entity { key, aliases: Vec::new(), identity: None, container: None, facts: Facts::new() }
}
