//! Groups records that are about one secret, identity or person: only what changed, and what hangs together with it.
//! It must never leave a group of which a member changed and was not looked at again.

mod around;
mod word;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use provost_engine::link::{Because, CARRIERS_MOST, Grouping, Member, VERSION};
use provost_model::{CorrelationKey, RecordId, Time, Unites};
use provost_store::{
    StoreError,
    inventory::{GroupRow, HeldRow, Inventory, KeyRef, LinkDraft, LinkedBy, LinkedRow},
};

use self::around::{Around, Met, carriers_of};
pub use self::word::{link_again, unlink};
use super::judge::Touched;
use crate::house::House;

/// Records grouped between two notes of how far it is.
const PAGE: usize = 256;
/// Records of which it is asked at a time whether they share anything.
const ASKED: usize = 4096;
/// Records grouped under one hold of the pen, so that a run's writer gets its turn.
const PART: usize = 64;

/// Groups these records anew, and whomever their change concerns; gives the number of groups that changed.
pub fn touched(house: &House, records: &[RecordId]) -> Result<u64, StoreError> {
    let all: HashSet<RecordId> = records.iter().copied().collect();
    let mut changed = 0;
    for part in records.chunks(PART) {
        changed += house.again(|| {
            let _pen = house.pen();
            let mut turn = Turn::begin(house, &all)?;
            turn.meet(part)?;
            for id in part {
                turn.follow(*id)?;
                if turn.draft.is_full() {
                    turn = turn.renew(house, &all)?;
                }
            }
            turn.end()
        })?;
    }
    Ok(changed)
}

/// Groups those of these records of which something changed that groups rest on, and whomever their change concerns; gives the
/// number of groups that changed.
pub fn changed(house: &House, records: &[Touched]) -> Result<u64, StoreError> {
    let regrouped: Vec<&Touched> = records.iter().filter(|it| it.regroups()).collect();
    let mut ids = Vec::new();
    for part in regrouped.chunks(ASKED) {
        ids.extend(not_alone(house.inventory(), part)?);
    }
    touched(house, &ids)
}

/// Leaves out whoever shares no key with anybody, and shared none when it was grouped last: nearly everybody, of whom nothing
/// is to be written. Whoever comes to share one with them is grouped with them.
fn not_alone(inventory: Inventory<'_>, records: &[&Touched]) -> Result<Vec<RecordId>, StoreError> {
    let made = inventory.linked_all(&records.iter().map(|it| it.id).collect::<Vec<_>>())?;
    let untied: Vec<bool> = made.iter().map(|made| *made == LinkedRow::default()).collect();
    let asked = records.iter().zip(&untied).filter(|(_, untied)| **untied).filter_map(|(it, _)| it.keys.as_ref());
    let carriers: HashMap<KeyRef, Vec<RecordId>> =
        carriers_of(inventory, asked.flatten().copied().collect(), 2)?.collect();
    let carries_it_alone = |key: &KeyRef, id: RecordId| carriers.get(key).is_some_and(|all| *all == [id]);
    let alone = |it: &Touched| it.keys.as_ref().is_some_and(|keys| keys.iter().all(|key| carries_it_alone(key, it.id)));
    Ok(records.iter().zip(untied).filter(|(it, untied)| !untied || !alone(it)).map(|(it, _)| it.id).collect())
}

/// Groups every record, unless that was done by this version of the engine. Before each page `go_on` says whether to go
/// on; the next turn goes on where this one stopped.
pub fn follow(house: &House, go_on: &mut dyn FnMut() -> bool) -> Result<(), StoreError> {
    let known = house.inventory().linked_by()?.filter(|it| it.version == VERSION);
    let mut mark = known.unwrap_or(LinkedBy { version: VERSION, up_to: None, everything: false });
    while !mark.everything && go_on() {
        let page: Vec<RecordId> =
            house.inventory().records_after(mark.up_to, PAGE)?.into_iter().map(|record| record.id).collect();
        touched(house, &page)?;
        mark = match page.last() {
            Some(last) => LinkedBy { up_to: Some(*last), ..mark },
            None => LinkedBy { up_to: None, everything: true, ..mark },
        };
        note(house, mark)?;
    }
    Ok(())
}

/// Has everything grouped anew where a run was cut before what it changed was grouped. `running` knows the sources that
/// are being looked at: those group for themselves.
pub fn take_up(house: &House, running: &dyn Fn(&str) -> bool) -> Result<(), StoreError> {
    let inventory = house.inventory();
    let cut = inventory.unjudged()?.iter().any(|source| !running(source));
    match inventory.linked_by()? {
        Some(mark) if cut => note(house, LinkedBy { up_to: None, everything: false, ..mark }),
        _ => Ok(()),
    }
}

fn note(house: &House, mark: LinkedBy) -> Result<(), StoreError> {
    house.again(|| {
        let _pen = house.pen();
        let mut draft = LinkDraft::new(house.inventory(), house.now(), VERSION)?;
        draft.put_linked_by(mark);
        draft.commit()?;
        Ok(())
    })
}

/// What one record hangs together with, as the grouping of now has it: for whoever wants to know why.
pub fn neighbourhood(
    inventory: Inventory<'_>,
    unites: Unites,
    ids: &[RecordId],
) -> Result<(Vec<Member>, Grouping), StoreError> {
    let mut around = Around::new(inventory)?;
    let mut members = BTreeMap::new();
    for id in ids {
        let met = match around.explore(unites, *id)? {
            Met::All(met) => met,
            Met::TooMany(met) => met,
        };
        for id in met {
            members.insert(id, around.member(unites, id)?);
        }
    }
    let members: Vec<Member> = members.into_values().collect();
    let grouping = around.grouping(&members)?;
    Ok((members, grouping))
}

/// Groups some records, and everybody whom that concerns.
struct Turn<'a> {
    around: Around<'a>,
    draft: LinkDraft<'a>,
    /// Records that have a turn of their own.
    all: &'a HashSet<RecordId>,
    /// What was made of each record so far, as to one sort of thing.
    made: HashMap<(Unites, RecordId), Option<RecordId>>,
    rows: HashMap<RecordId, LinkedRow>,
    held: HashMap<KeyRef, Option<HeldRow>>,
    to_do: VecDeque<(Unites, RecordId)>,
    now: Time,
    groups: u64,
}

impl<'a> Turn<'a> {
    fn begin(house: &'a House, all: &'a HashSet<RecordId>) -> Result<Self, StoreError> {
        let draft = LinkDraft::new(house.inventory(), house.now(), VERSION)?;
        Ok(Self {
            around: Around::new(house.inventory())?,
            draft,
            all,
            made: HashMap::new(),
            rows: HashMap::new(),
            held: HashMap::new(),
            to_do: VecDeque::new(),
            now: house.now(),
            groups: 0,
        })
    }

    fn end(self) -> Result<u64, StoreError> {
        self.draft.commit()?;
        Ok(self.groups)
    }

    fn renew(self, house: &'a House, all: &'a HashSet<RecordId>) -> Result<Self, StoreError> {
        let groups = self.end()?;
        Ok(Self { groups, ..Self::begin(house, all)? })
    }

    /// Reads what these records are grouped by, and what was made of them.
    fn meet(&mut self, ids: &[RecordId]) -> Result<(), StoreError> {
        self.around.meet(ids)?;
        let rows = self.around.inventory.linked_all(ids)?;
        self.rows.extend(ids.iter().copied().zip(rows));
        Ok(())
    }

    /// Groups a record, and everybody who was or is together with it.
    fn follow(&mut self, id: RecordId) -> Result<(), StoreError> {
        if self.around.known(id)?.is_none() {
            return Ok(());
        }
        self.to_do.extend(Unites::ALL.map(|unites| (unites, id)));
        while let Some((unites, id)) = self.to_do.pop_front() {
            if self.made.contains_key(&(unites, id)) {
                continue;
            }
            let keyless = self.around.named(id)?.keys(unites).next().is_none();
            if keyless && self.row(id)?.part(unites).is_none() {
                self.made.insert((unites, id), None);
                continue;
            }
            match self.around.explore(unites, id)? {
                Met::All(met) => self.settle(unites, &met)?,
                Met::TooMany(_) => self.leave_alone(unites, id)?,
            }
        }
        Ok(())
    }

    /// Groups records that hang together with nobody else.
    fn settle(&mut self, unites: Unites, met: &[RecordId]) -> Result<(), StoreError> {
        let members: Vec<Member> = met.iter().map(|id| self.around.member(unites, *id)).collect::<Result<_, _>>()?;
        let grouping = self.around.grouping(&members)?;
        for group in &grouping.groups {
            let row = GroupRow { unites, id: group.id, members: group.members.clone() };
            if self.around.inventory.group(unites, group.id, None)?.is_none_or(|known| known.it != row) {
                self.draft.put_group(&row)?;
                self.groups += 1;
            }
        }
        let mut held = BTreeMap::<&CorrelationKey, Vec<(u8, Vec<RecordId>)>>::new();
        for it in &grouping.held {
            // Of a crowded key everybody is meant, and nobody is counted.
            let of_whom = if self.around.is_crowded(&it.key)? { Vec::new() } else { it.members.clone() };
            held.entry(&it.key).or_default().push((it.because.code(), of_whom));
        }
        let mut keys: Vec<&CorrelationKey> = members.iter().flat_map(|it| &it.keys).collect();
        keys.sort_unstable();
        keys.dedup();
        // Of whom nothing was made before, and who is alone now, nothing was held back.
        let known = met.len() > 1 || !held.is_empty() || self.had_part(unites, met)?;
        for key in keys.into_iter().filter(|_| known) {
            self.hold(key, (&members, held.get(key).cloned().unwrap_or_default()))?;
        }
        for member in &members {
            let group = grouping.group_of(member.id).map(|group| group.id);
            let part = group.is_some() || member.keys.iter().any(|key| held.contains_key(key));
            self.make(unites, member, (group, part))?;
        }
        Ok(())
    }

    /// A record that hangs together with more than are looked at is in no group, and none of its keys is believed.
    fn leave_alone(&mut self, unites: Unites, id: RecordId) -> Result<(), StoreError> {
        let member = self.around.member(unites, id)?;
        for key in &member.keys {
            if self.around.is_crowded(key)? {
                self.hold(key, (std::slice::from_ref(&member), vec![(Because::Crowded.code(), Vec::new())]))?;
                continue;
            }
            let carriers = self.around.carriers(KeyRef::of(key))?;
            if carriers.len() < 2 {
                continue;
            }
            let known = self.held(KeyRef::of(key))?.map(|row| row.entries).unwrap_or_default();
            let too_large = Because::TooLarge.code();
            let listed = known.iter().filter(|(why, _)| *why == too_large).flat_map(|(_, ids)| ids.clone());
            let mut of_whom: Vec<RecordId> = listed.filter(|id| carriers.contains(id)).collect();
            let others = carriers.iter().filter(|other| !of_whom.contains(other));
            self.to_do.extend(others.map(|other| (unites, *other)));
            of_whom.push(id);
            of_whom.sort_unstable();
            of_whom.dedup();
            let carriers: Vec<Member> =
                of_whom.iter().map(|id| self.around.member(unites, *id)).collect::<Result<_, _>>()?;
            self.hold(key, (&carriers, vec![(too_large, of_whom)]))?;
        }
        self.make(unites, &member, (None, true))
    }

    /// Writes what was made of a record, and has those looked at again whom it was together with before.
    fn make(
        &mut self,
        unites: Unites,
        member: &Member,
        (group, part): (Option<RecordId>, bool),
    ) -> Result<(), StoreError> {
        self.made.insert((unites, member.id), group);
        let keys: Vec<KeyRef> = member.keys.iter().map(KeyRef::of).collect();
        let row = self.row(member.id)?.clone();
        let former = row.part(unites).cloned();
        let part = part.then(|| (keys.clone(), group));
        if former.as_ref().map(|it| (it.keys.clone(), it.group)) == part && !self.all.contains(&member.id) {
            return Ok(());
        }
        if let Some(former) = &former {
            // A group is there as long as its oldest record is in it.
            if former.group == Some(member.id) && group != Some(member.id) {
                self.draft.put_group(&GroupRow { unites, id: member.id, members: Vec::new() })?;
                self.groups += 1;
            }
            for key in former.keys.iter().filter(|key| !keys.contains(key)) {
                let carriers = self.around.carriers(*key)?;
                self.let_go(*key, &carriers)?;
                if carriers.len() <= CARRIERS_MOST {
                    self.look_again(unites, &carriers)?;
                }
            }
        }
        let mut now = row.clone();
        now.set(unites, part);
        if now != row {
            self.draft.put_linked(member.id, &now)?;
            self.rows.insert(member.id, now);
        }
        Ok(())
    }

    fn look_again(&mut self, unites: Unites, carriers: &[RecordId]) -> Result<(), StoreError> {
        for id in carriers {
            // The index of marks knows other records too.
            if self.around.known(*id)?.is_some_and(|it| it.keys(unites).next().is_some()) {
                self.to_do.push_back((unites, *id));
            }
        }
        Ok(())
    }

    /// Writes what is held back of a key among these members; what is held back among others stays.
    fn hold(
        &mut self,
        key: &CorrelationKey,
        (members, mut entries): (&[Member], Vec<(u8, Vec<RecordId>)>),
    ) -> Result<(), StoreError> {
        let key_ref = KeyRef::of(key);
        let known = self.held(key_ref)?;
        let crowded = Because::Crowded.code();
        let everybody =
            |entries: &[(u8, Vec<RecordId>)]| entries.iter().any(|(why, of)| *why == crowded && of.is_empty());
        if everybody(&entries) {
            entries = vec![(crowded, Vec::new())];
            if !known.as_ref().is_some_and(|row| everybody(&row.entries)) {
                // It became crowded now: whoever it united before is looked at again.
                let all = self.around.inventory.carriers(key_ref, usize::MAX)?;
                let others: Vec<RecordId> = all.into_iter().filter(|id| !self.all.contains(id)).collect();
                self.look_again(key.unites(), &others)?;
            }
        } else if let Some(row) = &known {
            let carriers = self.around.carriers(key_ref)?;
            if everybody(&row.entries) {
                self.look_again(key.unites(), &carriers)?;
            }
            let elsewhere = |id: &RecordId| carriers.contains(id) && members.iter().all(|it| it.id != *id);
            let others = row.entries.iter().filter(|(_, of)| !of.is_empty() && of.iter().all(elsewhere));
            entries.extend(others.cloned());
        }
        entries.sort();
        entries.dedup();
        if known.as_ref().map(|row| row.entries.clone()).unwrap_or_default() == entries {
            return Ok(());
        }
        let since = known.map_or(self.now, |row| row.since);
        let row = (!entries.is_empty()).then(|| HeldRow { key: key.clone(), since, entries });
        self.put_held(key_ref, row)
    }

    /// Forgets what was held back of a key among those who do not all carry it any more. Whoever carries it now may be alone
    /// with it and so have nothing written of it.
    fn let_go(&mut self, key: KeyRef, carriers: &[RecordId]) -> Result<(), StoreError> {
        let Some(known) = self.held(key)? else { return Ok(()) };
        if carriers.len() > CARRIERS_MOST {
            return Ok(());
        }
        let stays = |of: &[RecordId]| !of.is_empty() && of.iter().all(|id| carriers.contains(id));
        let entries: Vec<_> = known.entries.iter().filter(|(_, of)| stays(of)).cloned().collect();
        if entries == known.entries {
            return Ok(());
        }
        let row = (!entries.is_empty()).then_some(HeldRow { entries, ..known });
        self.put_held(key, row)
    }

    fn put_held(&mut self, key: KeyRef, row: Option<HeldRow>) -> Result<(), StoreError> {
        match &row {
            Some(row) => self.draft.put_held(row)?,
            None => self.draft.let_go(key),
        }
        self.held.insert(key, row);
        Ok(())
    }

    fn held(&mut self, key: KeyRef) -> Result<Option<HeldRow>, StoreError> {
        if !self.held.contains_key(&key) {
            let row = self.around.inventory.held_key(key)?;
            self.held.insert(key, row);
        }
        Ok(self.held.get(&key).cloned().flatten())
    }

    fn had_part(&mut self, unites: Unites, met: &[RecordId]) -> Result<bool, StoreError> {
        for id in met {
            if self.row(*id)?.part(unites).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was made of a record, as it will be.
    fn row(&mut self, id: RecordId) -> Result<&LinkedRow, StoreError> {
        if !self.rows.contains_key(&id) {
            let row = self.around.inventory.linked(id, None)?;
            self.rows.insert(id, row);
        }
        Ok(self.rows.entry(id).or_default())
    }
}
