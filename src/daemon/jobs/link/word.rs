//! An operator's word that two records are not one, or that they are after all.
//! It must never be forgotten: what is taken back is kept too.

use std::collections::HashSet;

use provost_model::{RecordId, Unites};
use provost_store::{
    CommitNo, StoreError,
    inventory::{Inventory, PartedRow, Word},
};

use super::{Turn, again, neighbourhood};
use crate::{house::House, ids::Ids};

/// Keeps two records apart for good, and with them those who were with each of them before they came together.
pub fn unlink(house: &House, (one, other): (RecordId, RecordId), word: Word) -> Result<PartedRow, StoreError> {
    let id = Ids.make(word.at)?;
    let mut row = PartedRow { named: (one, other), one: vec![one], other: vec![other], word, released: None };
    for unites in Unites::ALL {
        let (first, second) = sides(house.inventory(), unites, (one, other))?;
        row.one.extend(first);
        row.other.extend(second);
    }
    for side in [&mut row.one, &mut row.other] {
        side.sort_unstable();
        side.dedup();
    }
    let both: Vec<RecordId> = row.one.iter().copied().filter(|id| row.other.contains(id)).collect();
    row.one.retain(|id| *id == one || !both.contains(id));
    row.other.retain(|id| *id == other || !both.contains(id));
    say(house, (id, &row))?;
    Ok(row)
}

/// Takes back every word that keeps two records apart.
pub fn link_again(
    house: &House,
    (one, other): (RecordId, RecordId),
    word: &Word,
) -> Result<Vec<PartedRow>, StoreError> {
    let mut released = Vec::new();
    for (id, row) in house.inventory().words_between(one, other)? {
        let row = PartedRow { released: Some(word.clone()), ..row };
        say(house, (id, &row))?;
        released.push(row);
    }
    Ok(released)
}

/// Writes a word, and groups anew whom it concerns, in one commit.
fn say(house: &House, (id, row): (RecordId, &PartedRow)) -> Result<(), StoreError> {
    let concerned: HashSet<RecordId> = row.one.iter().chain(&row.other).copied().collect();
    again(|| {
        let _pen = house.pen();
        let mut turn = Turn::begin(house, &concerned)?;
        turn.draft.put_parted(id, row)?;
        turn.around.heed(id, row);
        for id in &concerned {
            turn.follow(*id)?;
        }
        turn.end()
    })?;
    Ok(())
}

/// Who was with each of two records before they came together.
fn sides(
    inventory: Inventory<'_>,
    unites: Unites,
    (one, other): (RecordId, RecordId),
) -> Result<(Vec<RecordId>, Vec<RecordId>), StoreError> {
    let mut changes: Vec<CommitNo> = Vec::new();
    for id in [one, other] {
        changes.extend(inventory.linked_versions(id)?.iter().map(|version| version.commit));
    }
    changes.sort_unstable();
    changes.dedup();
    let group_at = |id: RecordId, at: CommitNo| -> Result<Option<RecordId>, StoreError> {
        Ok(inventory.linked(id, Some(at))?.part(unites).and_then(|part| part.group))
    };
    let together = |at: CommitNo| -> Result<bool, StoreError> {
        let group = group_at(one, at)?;
        Ok(group.is_some() && group == group_at(other, at)?)
    };
    // Since when they are together; or since when they get into each other's way.
    let Some(mut since) = changes.pop() else { return Ok((Vec::new(), Vec::new())) };
    if together(since)? {
        while let Some(at) = changes.pop() {
            if !together(at)? {
                break;
            }
            since = at;
        }
    }
    let before = CommitNo(since.0.saturating_sub(1));
    let around: HashSet<RecordId> =
        neighbourhood(inventory, unites, &[one, other])?.0.iter().map(|member| member.id).collect();
    let side = |id: RecordId| -> Result<Vec<RecordId>, StoreError> {
        let Some(group) = group_at(id, before)? else { return Ok(Vec::new()) };
        let members = inventory.group(unites, group, Some(before))?.map_or_else(Vec::new, |known| known.it.members);
        Ok(members.into_iter().filter(|it| around.contains(it)).collect())
    };
    Ok((side(one)?, side(other)?))
}
