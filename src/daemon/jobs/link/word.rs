//! An operator's word that two records are not one, or that they are after all.
//! It must never be forgotten: what is taken back is kept too.

use std::collections::{BTreeSet, HashSet};

use provost_model::{RecordId, Unites};
use provost_store::{
    CommitNo, StoreError,
    inventory::{Inventory, PartedRow, Word},
};

use super::{Turn, neighbourhood};
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
    house.again(|| {
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
    let changes_of = |ids: &[RecordId]| -> Result<BTreeSet<CommitNo>, StoreError> {
        let mut changes = BTreeSet::new();
        for id in ids {
            changes.extend(inventory.linked_versions(*id)?.iter().map(|version| version.commit));
        }
        Ok(changes)
    };
    let group_at = |id: RecordId, at: CommitNo| -> Result<Option<RecordId>, StoreError> {
        Ok(inventory.linked(id, Some(at))?.part(unites).and_then(|part| part.group))
    };
    let together = |at: CommitNo| -> Result<bool, StoreError> {
        let group = group_at(one, at)?;
        Ok(group.is_some() && group == group_at(other, at)?)
    };
    let around_of = |ids: &[RecordId]| -> Result<Vec<RecordId>, StoreError> {
        Ok(neighbourhood(inventory, unites, ids)?.0.iter().map(|member| member.id).collect())
    };
    let around = around_of(&[one, other])?;
    let now = inventory.store().head()?.number;
    let mut changes = changes_of(&[one, other])?;
    let mut before = now;
    if together(now)? {
        // Since when they are together.
        while let Some(since) = changes.pop_last() {
            if !together(since)? {
                break;
            }
            before = CommitNo(since.0.saturating_sub(1));
        }
    } else if around_of(&[one])?.contains(&other) {
        // Keys lead from one to the other, but do not unite them: since that was found out, as far as it changed anything.
        before = changes_of(&around)?.pop_last().map_or(now, |since| CommitNo(since.0.saturating_sub(1)));
    }
    let side = |id: RecordId| -> Result<Vec<RecordId>, StoreError> {
        let Some(group) = group_at(id, before)? else { return Ok(Vec::new()) };
        let members = inventory.group(unites, group, Some(before))?.map_or_else(Vec::new, |known| known.it.members);
        Ok(members.into_iter().filter(|it| around.contains(it)).collect())
    };
    Ok((side(one)?, side(other)?))
}
