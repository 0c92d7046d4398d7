//! What a secret opens, where it is kept and who reads it: found for the page of one of its records.
//! It must never show what names alone suggest as if it were known.

use std::collections::BTreeMap;

use provost_engine::link::{Custody, Hop, Tie, name_hint};
use provost_model::{CorrelationKey, Kind, Noun, Record, RecordId, Sort, Unites, field};
use provost_store::{Go, StoreError, inventory::KeyRef};

use super::links::words;
use crate::{
    cli::custody::{CustodyRow, HintRow, HopRow, ReaderRow, TieRow},
    desk::Desk,
    jobs::link,
};

/// Most records whose names are compared.
const COMPARED: usize = 100_000;
/// Most hints shown, the strongest.
const HINTS: usize = 5;

/// The custody of the secret that a record is or keeps; `None` for what is no secret.
pub(super) fn custody(desk: &Desk, record: &Record) -> Result<Option<CustodyRow>, StoreError> {
    let inventory = desk.house.inventory();
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
            record: principal(desk, &reader.who)?,
            at: reader.at,
            of: reader.of,
            words: named.get(&reader.of).cloned().unwrap_or_default(),
            by: reader.by.word(),
        });
    }
    let (hints, all_compared) = hints(desk, record, &found)?;
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
fn principal(desk: &Desk, who: &str) -> Result<Option<RecordId>, StoreError> {
    let Some(arn) = role_of(who).or_else(|| who.starts_with("arn:").then(|| who.to_owned())) else { return Ok(None) };
    let key = CorrelationKey { sort: Sort::Arn, value: arn, within: None };
    Ok(match desk.house.inventory().carriers(KeyRef::of(&key), 2)?.as_slice() {
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

/// Records of other systems that bear a like name, where nothing better is known; and whether all were compared.
fn hints(desk: &Desk, record: &Record, found: &Custody) -> Result<(Vec<HintRow>, bool), StoreError> {
    let inventory = desk.house.inventory();
    let is_item = record.kind == Kind::Secret;
    let lacks = if is_item { found.opens.is_empty() } else { found.kept_in.is_empty() };
    if !lacks || record.get(field::LOCATION).is_answered() {
        return Ok((Vec::new(), true));
    }
    let mut names = vec![record.name()];
    if let Some(key) = &record.identity
        && let Some(id) = inventory.resolve(key)?
    {
        names.extend(inventory.record(id, None)?.map(|identity| identity.name()));
    }
    // An item may be of whatever credential or identity; a credential may be kept as whatever item.
    let wanted = |kind: Kind| match kind.noun() {
        Noun::Secret => true,
        Noun::Credential | Noun::Identity | Noun::Application => is_item,
        Noun::Grant | Noun::Person => false,
    };
    let (mut compared, mut hints) = (0, Vec::<HintRow>::new());
    inventory.each_of_kinds(None, &wanted, &mut |other| {
        compared += 1;
        if compared > COMPARED {
            return Ok(Go::Stop);
        }
        let elsewhere = other.realm != record.realm && !other.get(field::LOCATION).is_answered();
        if elsewhere && other.presence() == provost_model::Presence::Present {
            let name = other.name();
            let hint = names.iter().filter_map(|own| name_hint(own, &name)).max_by(f64::total_cmp);
            hints.extend(hint.map(|confidence| HintRow { id: other.id, words: words(&other), confidence }));
        }
        if hints.len() > 64 * HINTS {
            keep(&mut hints);
        }
        Ok(Go::On)
    })?;
    keep(&mut hints);
    Ok((hints, compared <= COMPARED))
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
