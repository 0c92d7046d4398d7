//! Values of secrets that the operator allows to be read: recognised, fingerprinted, dropped.
//! It must never read a path that the settings do not name, nor keep, log or return a value.

use std::collections::BTreeMap;

use provost_client::{Ask, Failure};
use provost_model::{Entity, Kind, Reading, Trouble, Why, field};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    kv::{self, Kept},
    ledger,
    place::{Mount, Place},
    settings::ValueRead,
    tell::{Found, Parts, Wanted},
};
use crate::{
    Emitter, Stopped,
    host::{
        environment::{self, Pair},
        found::{self, Finds, Item},
    },
};

/// Most names in one secret that are looked at.
const NAMES_MAX: usize = 256;
/// Longest value that is fingerprinted, in bytes.
const VALUE_MAX: usize = 64 << 10;

#[derive(Deserialize)]
struct Told {
    /// Nothing where the version is deleted.
    data: Option<Map<String, Value>>,
}

/// Reads the values that the settings name in a mount, each once for every version of it.
pub(super) async fn all(
    place: &Place<'_>,
    (mount, secrets): (&Mount, &[Kept]),
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let reads: Vec<&ValueRead> =
        place.looking.settings.value_reads.iter().filter(|it| it.mount == mount.path).collect();
    if reads.is_empty() {
        return Ok(());
    }
    let scope = (place.scope(&format!("kv/{}/values", mount.path)), Some(mount.key(place)));
    if !mount.versioned {
        let said = format!("read_values: {} is of the first generation, whose values are not read", mount.path);
        let place = scope.0.path.clone();
        return to.trouble(Trouble { place, why: Why::Changed, said, blind_spot: true }).await;
    }
    let mut parts = Parts::begin(place, scope.clone(), to).await?;
    let turn = place.turn(&scope.0);
    let chosen: BTreeMap<&str, (Ask, u64)> = secrets
        .iter()
        .filter_map(|kept| {
            let ask = reads.iter().find_map(|read| read.ask(&kept.path))?;
            let logged = format!("{}/data/{}", mount.path, kept.path);
            let written = place.looking.hints.is_written(&place.namespace, &logged);
            let word = if written { format!("written {}", turn.now) } else { kept.version.clone() };
            Some((kept.path.as_str(), (ask, ledger::digest([word.as_str()]))))
        })
        .collect();
    let lost = parts.ledger.within("").map(|(name, _)| name).filter(|it| !chosen.contains_key(it)).map(str::to_owned);
    let lost: Vec<String> = lost.collect();
    parts.vanish(lost, to).await?;
    let wanted = chosen.into_iter().filter(|(path, (_, digest))| parts.ledger.wants(path, *digest, &turn));
    let wanted =
        wanted.map(|(path, (ask, digest))| Wanted { name: path.to_owned(), digest, payload: (path.to_owned(), ask) });
    let wanted = wanted.collect();
    let reader = |(path, ask): (String, Ask)| async move {
        match place.read::<Told>(ask).await {
            Ok(told) => Ok(Found { entities: recognised(place, (mount, &path), told), ..Found::default() }),
            Err(failure) if failure.why == Why::Denied => {
                let entity = Entity::new(kv::key(place, mount, &path), mount.of(place, &path))
                    .within(mount.key(place))
                    .with(field::FINGERPRINT, Reading::NotPermitted);
                Ok::<_, Failure>(Found { entities: vec![entity], denied: Some(failure), ..Found::default() })
            }
            Err(failure) => Err(failure),
        }
    };
    Box::pin(parts.read(wanted, ("values", reader), to)).await?;
    parts.end(to).await
}

/// What stands in a secret: credentials by name and value, as in any environment, and other texts as what they are. A name
/// of an AWS key beside its id opens that key.
fn recognised(place: &Place<'_>, (mount, path): (&Mount, &str), told: Option<Told>) -> Vec<Entity> {
    let data = told.and_then(|it| it.data).unwrap_or_default();
    let texts = data.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let pairs: Vec<Pair<'_>> = texts
        .filter(|(_, value)| value.len() <= VALUE_MAX)
        .take(NAMES_MAX)
        .map(|(name, value)| Pair::new("", name, value))
        .collect();
    let looking = place.looking;
    let mut finds = Finds::new(looking.fingerprints, looking.turn.now);
    environment::search(&pairs, None, &mut finds);
    let (known, _) = finds.finish();
    let mut finds = Finds::new(looking.fingerprints, looking.turn.now);
    for pair in &pairs {
        let is_known = known.iter().any(|it| it.position == pair.position);
        if !is_known && !crate::host::value::is_aws_key_id(pair.value) {
            finds.value(Item::new(Kind::Secret, "kv_value", pair.position.clone(), pair.value));
        }
    }
    let (others, _) = finds.finish();
    known.into_iter().chain(others).map(|found| entity(place, (mount, path), found)).collect()
}

fn entity(place: &Place<'_>, (mount, path): (&Mount, &str), found: found::Found) -> Entity {
    let external = mount.external(&format!("{path}#{}", found.position));
    let name = format!("{}#{}", mount.of(place, path), found.position);
    let mut entity = Entity::new(place.key(found.kind, external), name.as_str()).within(kv::key(place, mount, path));
    entity.facts = found.facts;
    entity
        .with(field::NAME, name)
        .with(field::PATH, mount.of(place, path))
        .with(field::POSITION, found.position)
        .with(field::STORE_KIND, "vault_kv2".to_owned())
        // Whoever may read it there is let in by a policy: that is what the store is for.
        .with(field::PLAINTEXT, false)
        .with(field::LAST_USED_AT, Reading::NotReported)
}
