//! Certificates that a PKI engine issued: all of them by their listing, and one by one as far as the settings allow.
//! It must never read a private key: the engine keeps none of those it hands out.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use provost_client::{Ask, Failure};
use provost_model::{Entity, Key, Kind, Reading, Status, Trouble, Why, field};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    place::{Mount, Place, date, text, texts},
    session::{Listed, is_unsupported},
    tell::{self, Found, Parts, Wanted, Whole},
};
use crate::{Emitter, Stopped, host::x509::Certificate};

/// Serial numbers with what is in each certificate, in one answer; OpenBao has it.
const DETAILED: &str = "LIST /v1/{mount}/certs/detailed";
const LIST: &str = "LIST /v1/{mount}/certs";
const REVOKED: &str = "LIST /v1/{mount}/certs/revoked";
const READ: &str = "GET /v1/{mount}/cert/{serial}";
/// Longest certificate read, in bytes of PEM.
const PEM_MAX: usize = 64 << 10;

#[derive(Deserialize)]
struct Told {
    certificate: String,
    #[serde(default)]
    revocation_time: i64,
}

/// The certificates of a mount.
pub(super) async fn all(place: &Place<'_>, mount: &Mount, to: &mut Emitter) -> Result<(), Stopped> {
    let scope = (place.scope(&format!("pki/{}/certificates", mount.path)), Some(mount.key(place)));
    let listed = match list(place, mount).await {
        Ok(listed) => listed,
        Err(failure) => return tell::failed(place, (&scope.0, scope.1), &failure, to).await,
    };
    let mut denied = None;
    let revoked = match place.list(Ask::list(REVOKED, &[&mount.path])).await {
        Ok(revoked) => Some(revoked.keys.into_iter().collect::<HashSet<_>>()),
        Err(failure) if is_unsupported(&failure) => None,
        Err(failure) if failure.why == Why::Denied => {
            denied = Some(failure);
            None
        }
        Err(failure) => return tell::failed(place, (&scope.0, scope.1), &failure, to).await,
    };
    let info = listed.key_info.unwrap_or_default();
    let now = place.looking.turn.now;
    let mut entities: Vec<Entity> = Vec::with_capacity(listed.keys.len());
    for serial in &listed.keys {
        let mut entity = briefly(place, mount, serial, info.get(serial));
        let ended = entity.facts.get(field::EXPIRES_AT).known().is_some_and(|at| at <= now);
        let status = match &revoked {
            _ if ended => Reading::Known(Status::Expired),
            Some(revoked) if revoked.contains(serial) => Reading::Known(Status::Inactive),
            Some(_) => Reading::Known(Status::Active),
            None if denied.is_some() => Reading::NotPermitted,
            None => Reading::NotReported,
        };
        entity.facts.set(field::STATUS, status);
        entities.push(entity);
    }
    Box::pin(tell::whole(place, scope, Ok(Whole { entities, atomic: true, denied }), to)).await?;
    Box::pin(one_by_one(place, mount, (&listed.keys, &info), to)).await
}

async fn list(place: &Place<'_>, mount: &Mount) -> Result<Listed, Failure> {
    match place.list(Ask::list(DETAILED, &[&mount.path])).await {
        Err(failure) if is_unsupported(&failure) || failure.why == Why::Denied => {
            place.list(Ask::list(LIST, &[&mount.path])).await
        }
        // A server that takes the longer path for something else has nothing there: the plain listing settles it.
        Ok(listed) if listed.keys.is_empty() => place.list(Ask::list(LIST, &[&mount.path])).await,
        answer => answer,
    }
}

fn key(place: &Place<'_>, mount: &Mount, serial: &str) -> Key {
    place.key(Kind::Certificate, mount.external(serial))
}

/// What the listing says of a certificate.
fn briefly(place: &Place<'_>, mount: &Mount, serial: &str, told: Option<&Value>) -> Entity {
    let name = told.and_then(|it| text(it.get("common_name"))).unwrap_or_else(|| serial.to_owned());
    let mut entity = Entity::new(key(place, mount, serial), name)
        .within(mount.key(place))
        .with(field::PATH, mount.of(place, &format!("cert/{serial}")))
        .with(field::CREDENTIAL_TYPE, "x509_certificate".to_owned())
        .with(field::SERIAL, serial.replace([':', '-'], ""))
        .with(field::LAST_USED_AT, Reading::NotReported);
    let Some(told) = told.and_then(Value::as_object) else {
        return entity.with(field::EXPIRES_AT, Reading::NotCollected);
    };
    let dated = |name: &str| date(told.get(name)).map_or(Reading::NotReported, Reading::Known);
    entity.facts.set(field::EXPIRES_AT, dated("not_after"));
    entity.facts.set(field::ISSUED_AT, dated("not_before"));
    entity.facts.set(field::CREATED_AT, dated("not_before"));
    if let Some(algorithm) = text(told.get("key_type")) {
        entity.facts.set(field::ALGORITHM, if algorithm == "ec" { "ecdsa".to_owned() } else { algorithm });
    }
    if let Some(bits) = told.get("key_bits").and_then(Value::as_i64) {
        entity.facts.set(field::BITS, bits);
    }
    let names = ["dns_names", "ip_addresses", "uris", "email_addresses"];
    let names: Vec<String> = names.iter().flat_map(|it| texts(told.get(*it))).collect();
    entity.with(field::ALTERNATIVE_NAMES, names)
}

/// Reads certificates one by one, each once: they never change. Those are left out that ended, and those beyond the bound.
async fn one_by_one(
    place: &Place<'_>,
    mount: &Mount,
    (serials, info): (&[String], &Map<String, Value>),
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let most = place.looking.settings.certificates;
    if most == 0 {
        return Ok(());
    }
    let scope = (place.scope(&format!("pki/{}/certificate-contents", mount.path)), Some(mount.key(place)));
    let mut parts = Parts::begin(place, scope, to).await?;
    let listed: HashSet<&str> = serials.iter().map(String::as_str).collect();
    let lost = parts.ledger.within("").map(|(name, _)| name).filter(|it| !listed.contains(it)).map(str::to_owned);
    let lost: Vec<String> = lost.collect();
    parts.vanish(lost, to).await?;
    let now = place.looking.turn.now;
    let lives = |serial: &str| date(info.get(serial).and_then(|it| it.get("not_after"))).is_none_or(|at| at > now);
    let known = parts.ledger.within("").count();
    let new: Vec<&String> = serials.iter().filter(|it| parts.ledger.part(it).is_none() && lives(it)).collect();
    let room = most.saturating_sub(known);
    let left = new.len().saturating_sub(room);
    let wanted = new.into_iter().take(room).map(|it| Wanted { name: it.clone(), digest: 0, payload: it.clone() });
    let wanted = wanted.collect();
    let reader = |serial: String| async move {
        let mut found = Found::default();
        match place.read::<Told>(Ask::get(READ, &[&mount.path, &serial])).await {
            Ok(told) => found.entities.extend(told.map(|told| in_full(place, mount, &serial, &told))),
            Err(failure) if failure.why == Why::Denied => {
                let entity = Entity::new(key(place, mount, &serial), serial).within(mount.key(place));
                found.entities.push(entity.with(field::FINGERPRINT, Reading::NotPermitted));
                found.denied = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
        Ok(found)
    };
    Box::pin(parts.read(wanted, ("certificates", reader), to)).await?;
    if left > 0 {
        let said = format!("{left} certificates are beyond certificates = {most}: their keys and usages are not read");
        let place = parts.scope().path;
        to.trouble(Trouble { place, why: Why::NotReached, said, blind_spot: true }).await?;
    }
    parts.end(to).await
}

/// What a certificate says of itself.
fn in_full(place: &Place<'_>, mount: &Mount, serial: &str, told: &Told) -> Entity {
    let mut entity = Entity::new(key(place, mount, serial), serial).within(mount.key(place));
    let Some(certificate) = of_pem(&told.certificate) else {
        return entity.with(field::FINGERPRINT_NOTE, "the certificate cannot be read".to_owned());
    };
    entity.facts = certificate.facts();
    entity.facts.set(field::NAME, common_name(&certificate.subject).unwrap_or_else(|| serial.to_owned()));
    if told.revocation_time > 0 {
        entity.facts.set(field::STATUS, Status::Inactive);
    }
    entity
}

fn common_name(subject: &str) -> Option<String> {
    let parts = subject.split(',').map(str::trim);
    parts.filter_map(|it| it.strip_prefix("CN=")).next().filter(|it| !it.is_empty()).map(str::to_owned)
}

fn of_pem(pem: &str) -> Option<Certificate> {
    if pem.len() > PEM_MAX {
        return None;
    }
    let body = pem.trim().strip_prefix("-----BEGIN CERTIFICATE-----")?.split("-----END").next()?;
    let compact: String = body.chars().filter(|it| !it.is_whitespace()).collect();
    Certificate::from_der(&STANDARD.decode(compact).ok()?)
}
