//! Uses that the audit log shows, told beside what the server says: readers of secrets, logins of AppRoles.
//! It must never keep a record alive that the server's own listing lacks.

use std::collections::{BTreeMap, HashSet};

use provost_model::{Entity, Key, Reading, Scope, Time, field};

use super::{
    approle,
    kv::{self, Kept},
    ledger,
    place::{Mount, Place},
    tell::{Found, Parts},
};
use crate::{Emitter, Stopped};

/// Tells when roles of a mount last signed in. `roles` are all there are.
pub(super) async fn logins(
    place: &Place<'_>,
    (mount, roles): (&Mount, &[String]),
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let scope = place.scope(&format!("approle/{}/logins", mount.path));
    let trail = &place.looking.trail;
    let uses = roles.iter().filter_map(|role| {
        let at = trail.login(&mount.accessor, role)?;
        let entity = Entity::new(approle::key(place, mount, role), role.as_str());
        Some((role.as_str(), entity.within(mount.key(place)).with(field::LAST_USED_AT, at)))
    });
    tell(place, (scope, Some(mount.key(place))), (roles.iter().map(String::as_str), uses.collect()), to).await
}

/// Tells who read the secrets of a mount. `secrets` are all there are.
pub(super) async fn readers(
    place: &Place<'_>,
    (mount, secrets): (&Mount, &[Kept]),
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let scope = place.scope(&format!("kv/{}/reads", mount.path));
    let trail = &place.looking.trail;
    let paths = || secrets.iter().map(|it| it.path.as_str());
    let uses = paths().filter_map(|path| {
        let logged = if mount.versioned { format!("data/{path}") } else { path.to_owned() };
        let readers = trail.readers(&mount.accessor, &logged)?;
        let last = readers.values().max().map_or(Reading::NotReported, |at| Reading::Known(Time::from_seconds(*at)));
        let words = readers.iter().map(|(who, at)| (who.clone(), Time::from_seconds(*at).to_string()));
        let entity = Entity::new(kv::key(place, mount, path), mount.of(place, path)).within(mount.key(place));
        let entity = entity.with(field::READERS, words.collect::<BTreeMap<_, _>>()).with(field::LAST_USED_AT, last);
        let entity = entity.with(field::READS_SINCE, trail.since().map_or(Reading::NotReported, Reading::Known));
        Some((path, entity))
    });
    tell(place, (scope, Some(mount.key(place))), (paths(), uses.collect()), to).await
}

/// Tells uses that are news, each as a part of its own, and lets go of what the server has no more.
async fn tell<'n>(
    place: &Place<'_>,
    scope: (Scope, Option<Key>),
    (present, uses): (impl Iterator<Item = &'n str>, Vec<(&'n str, Entity)>),
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let Some(since) = place.looking.trail.since() else { return Ok(()) };
    let mut parts = Parts::begin(place, scope, to).await?;
    let present: HashSet<&str> = present.collect();
    let lost = parts.ledger.within("").map(|(name, _)| name).filter(|it| !present.contains(it)).map(str::to_owned);
    let lost: Vec<String> = lost.collect();
    parts.vanish(lost, to).await?;
    for (name, entity) in uses {
        let entity = entity.with(field::USAGE_SINCE, since);
        let digest = ledger::digest([format!("{entity:?}").as_str()]);
        if parts.ledger.part(name).is_none_or(|it| it.digest != digest) {
            parts.tell(name, digest, Found { entities: vec![entity], ..Found::default() }, to).await?;
        }
    }
    parts.end(to).await
}
