//! What a secret opens, where it is kept and who reads it: found for the page of one of its records.
//! It must never show what names alone suggest as if it were known.

use std::collections::BTreeMap;

use provost_engine::{
    link::{Custody, Hop, Tie, name_hint, secret_half_of},
    rules::is_in_file,
};
use provost_model::{CorrelationKey, Kind, Noun, Presence, Record, RecordId, Sort, Unites, field};
use provost_store::{
    Go, StoreError,
    inventory::{Inventory, KeyRef},
};

use super::links::words;
use crate::{
    cli::custody::{CustodyRow, HintRow, HopRow, ReaderRow, TieRow},
    jobs::link,
};

/// Most records whose names are compared.
const COMPARED: usize = 100_000;
/// Most hints shown, the strongest.
const HINTS: usize = 5;
/// How much it hints that a name is that of the secret half of a key whose public half stands beside it.
const BESIDE: f64 = 0.6;

/// The custody of the secret that a record is or keeps; `None` for what is no secret.
pub fn custody(inventory: Inventory<'_>, record: &Record) -> Result<Option<CustodyRow>, StoreError> {
    if !matches!(record.kind.noun(), Noun::Credential | Noun::Secret) {
        return Ok(None);
    }
    let (members, grouping) = link::neighbourhood(inventory, Unites::Secrets, &[record.id])?;
    let mut others = Vec::new();
    for member in members.iter().filter(|it| it.id != record.id) {
        others.extend(inventory.record(member.id, None)?);
    }
    let Some(found) = Custody::of(record, &others, &grouping) else { return Ok(None) };
    let named: BTreeMap<RecordId, String> =
        others.iter().chain([record]).map(|record| (record.id, words(record))).collect();
    let tie = |tie: &Tie| tie_row(tie, record.id, &named);
    let mut read_by = Vec::new();
    for reader in &found.read_by {
        read_by.push(ReaderRow {
            who: reader.who.clone(),
            record: principal(inventory, &reader.who)?,
            at: reader.at,
            of: reader.of,
            words: named.get(&reader.of).cloned().unwrap_or_default(),
            by: reader.by.word(),
        });
    }
    let all: Vec<&Record> = std::iter::once(record).chain(&others).collect();
    let (hints, all_compared) = hints(inventory, &all, &found)?;
    Ok(Some(CustodyRow {
        opens: found.opens.iter().map(tie).collect(),
        named: found.named.clone(),
        kept_in: found.kept_in.iter().map(tie).collect(),
        read_by,
        unread_since: found.unread_since,
        hints,
        all_compared,
    }))
}

fn tie_row(tie: &Tie, own: RecordId, named: &BTreeMap<RecordId, String>) -> TieRow {
    let words = |id: RecordId| named.get(&id).cloned().unwrap_or_default();
    let hop = |hop: &Hop| HopRow {
        from: hop.from,
        to: hop.to,
        words: words(hop.to),
        keys: hop.keys.iter().map(ToString::to_string).collect(),
    };
    TieRow {
        id: tie.id,
        itself: tie.id == own,
        words: words(tie.id),
        confidence: tie.confidence,
        readable: tie.readable,
        way: tie.way.iter().map(hop).collect(),
    }
}

/// The identity that a log calls so by its ARN. A session of a role is the role.
fn principal(inventory: Inventory<'_>, who: &str) -> Result<Option<RecordId>, StoreError> {
    let Some(arn) = role_of(who).or_else(|| who.starts_with("arn:").then(|| who.to_owned())) else { return Ok(None) };
    let key = CorrelationKey { sort: Sort::Arn, value: arn, within: None };
    Ok(match inventory.carriers(KeyRef::of(&key), 2)?.as_slice() {
        [one] => Some(*one),
        _ => None,
    })
}

/// `arn:aws:sts::1:assumed-role/app/i-1` is a session of `arn:aws:iam::1:role/app`. A role with a path is not found so:
/// its sessions do not tell the path.
fn role_of(session: &str) -> Option<String> {
    let mut parts = session.splitn(6, ':');
    let (arn, partition, service, region, account, rest) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let role = rest.strip_prefix("assumed-role/")?.split('/').next()?;
    (arn == "arn" && service == "sts" && region.is_empty())
        .then(|| format!("arn:{partition}:iam::{account}:role/{role}"))
}

/// Hints by names, the strongest first; and whether all names were compared.
fn hints(inventory: Inventory<'_>, all: &[&Record], found: &Custody) -> Result<(Vec<HintRow>, bool), StoreError> {
    let Some(record) = all.first().copied() else { return Ok((Vec::new(), true)) };
    let is_item = record.kind == Kind::Secret;
    // Files say what is in them.
    let lacks = if is_item { found.opens.is_empty() } else { found.kept_in.is_empty() };
    let names = if lacks && !is_in_file(record) { names_of(inventory, record)? } else { Vec::new() };
    let public: Vec<&Record> = all.iter().copied().filter(|it| secret_half_of(&it.name()).is_some()).collect();
    let is_secret_half = is_item && lacks && record.name().to_ascii_uppercase().contains("SECRET_ACCESS_KEY");
    if names.is_empty() && public.is_empty() && !is_secret_half {
        return Ok((Vec::new(), true));
    }
    // An item may be of whatever credential or identity; a credential may be kept as whatever item.
    let wanted = |kind: Kind| match kind.noun() {
        Noun::Secret => true,
        Noun::Credential | Noun::Identity | Noun::Application => is_item && !names.is_empty(),
        Noun::Grant | Noun::Person => false,
    };
    let (mut compared, mut hints) = (0, Vec::<HintRow>::new());
    inventory.each_of_kinds(None, &wanted, &mut |other| {
        compared += 1;
        if compared > COMPARED {
            return Ok(Go::Stop);
        }
        if other.presence() == Presence::Present && all.iter().all(|it| it.id != other.id) {
            let beside = public.iter().any(|it| is_beside(it, &other)) || (is_secret_half && is_beside(&other, record));
            let name = other.name();
            let like = names.iter().filter(|_| other.realm != record.realm && !is_in_file(&other));
            let like = like.filter_map(|own| name_hint(own, &name)).max_by(f64::total_cmp);
            let hint = if beside { Some((BESIDE, "names of a pair")) } else { like.map(|it| (it, "like names")) };
            hints.extend(hint.map(|(confidence, by)| HintRow { id: other.id, words: words(&other), confidence, by }));
        }
        if hints.len() > 64 * HINTS {
            keep(&mut hints);
        }
        Ok(Go::On)
    })?;
    keep(&mut hints);
    Ok((hints, compared <= COMPARED))
}

/// The record's name, and that of its identity.
fn names_of(inventory: Inventory<'_>, record: &Record) -> Result<Vec<String>, StoreError> {
    let mut names = vec![record.name()];
    if let Some(key) = record.identity.as_ref().filter(|_| record.kind != Kind::Secret)
        && let Some(id) = inventory.resolve(key)?
    {
        names.extend(inventory.record(id, None)?.map(|identity| identity.name()));
    }
    Ok(names)
}

/// Whether the public half of a key stands beside what bears the name of the secret half, in one place of one system.
fn is_beside(public: &Record, secret: &Record) -> bool {
    let place = |it: &Record| it.get(field::LOCATION).known();
    public.kind == Kind::Secret
        && secret.kind == Kind::Secret
        && public.realm == secret.realm
        && public.get(field::OPENS).is_answered()
        && place(public) == place(secret)
        && secret_half_of(&public.name()).is_some_and(|half| secret.name().eq_ignore_ascii_case(&half))
}

fn keep(hints: &mut Vec<HintRow>) {
    hints.sort_by(|one, other| other.confidence.total_cmp(&one.confidence).then(one.id.cmp(&other.id)));
    hints.truncate(HINTS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_of_a_role_is_the_role() {
        let role = |text| role_of(text);
        assert_eq!(role("arn:aws:sts::1:assumed-role/app/i-1").as_deref(), Some("arn:aws:iam::1:role/app"));
        assert_eq!(role("arn:aws-cn:sts::1:assumed-role/app/a/b").as_deref(), Some("arn:aws-cn:iam::1:role/app"));
        for other in ["arn:aws:iam::1:user/ann", "assumed-role/app/x", "arn:aws:sts::1:federated-user/x", ""] {
            assert_eq!(role(other), None, "{other}");
        }
    }
}
