//! Judges every record anew when what is judged by has changed: thresholds, owning, people, rules of another version.
//! It must never say that a yardstick holds before every record was judged by it.

use provost_engine::rules::{ALL, Rule};
use provost_model::{Noun, Record, RecordId};
use provost_store::{
    StoreError,
    inventory::{Draft, Inventory, JudgedBy},
};

use super::{
    digest,
    judge::{self, Yardstick},
    owners::Owners,
};
use crate::house::House;

/// Records judged between two notes of how far it is.
const PAGE: usize = 256;

/// How far a turn got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Everything was judged by this yardstick already.
    Already,
    /// Everything is now.
    Now,
    /// It was told to stop; the next turn goes on there.
    NotYet,
}

/// Judges every record by this yardstick, unless that was done. Before each page `go_on` is told how many records this
/// turn has done, and says whether to go on.
pub fn follow(house: &House, yardstick: &Yardstick, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Reached, StoreError> {
    let digest = digest(yardstick, &Owners::new(house.inventory(), yardstick, None)?.digest(), ALL);
    let known = house.inventory().judged_by()?.filter(|known| known.digest == digest);
    let mut mark = known.unwrap_or(JudgedBy { digest, up_to: None, everything: false });
    if mark.everything {
        return Ok(Reached::Already);
    }
    // Written first: from the first verdict on, the former yardstick does not hold everywhere any more.
    if known.is_none() {
        note(house, &mark)?;
    }
    let mut done = 0;
    loop {
        if !go_on(done) {
            return Ok(Reached::NotYet);
        }
        let page = house.inventory().records_after(mark.up_to, PAGE)?;
        let Some(last) = page.last() else { break };
        let mut ids: Vec<RecordId> = Vec::with_capacity(page.len());
        for record in &page {
            if !judged_with_its_identity(house.inventory(), record)? {
                ids.push(record.id);
            }
        }
        judge::touched(house, yardstick, &ids)?;
        mark.up_to = Some(last.id);
        done += page.len() as u64;
        note(house, &mark)?;
    }
    mark = JudgedBy { up_to: None, everything: true, ..mark };
    note(house, &mark)?;
    Ok(Reached::Now)
}

/// Has everything judged anew where a run was cut before what it changed was judged. `running` knows the sources that are
/// being looked at: those judge for themselves.
pub fn take_up(house: &House, running: &dyn Fn(&str) -> bool) -> Result<(), StoreError> {
    house.again(|| take_up_once(house, running))
}

fn take_up_once(house: &House, running: &dyn Fn(&str) -> bool) -> Result<(), StoreError> {
    let _pen = house.pen();
    let inventory = house.inventory();
    let cut: Vec<String> = inventory.unjudged()?.into_iter().filter(|source| !running(source)).collect();
    if cut.is_empty() {
        return Ok(());
    }
    let mut draft = Draft::new(inventory, house.now());
    cut.iter().for_each(|source| draft.put_unjudged(source, false));
    if let Some(mark) = draft.judged_by()? {
        draft.put_judged_by(&JudgedBy { up_to: None, everything: false, ..mark })?;
    }
    draft.commit()?;
    tracing::info!(sources = cut.join(", "), "runs were cut before everything they changed was judged");
    Ok(())
}

/// Whether every record was judged by this yardstick.
pub fn holds(inventory: Inventory<'_>, yardstick: &Yardstick) -> Result<bool, StoreError> {
    let known = inventory.judged_by()?;
    let owners = Owners::new(inventory, yardstick, None)?.digest();
    Ok(known.is_some_and(|known| known.everything && known.digest == digest(yardstick, &owners, ALL)))
}

fn note(house: &House, mark: &JudgedBy) -> Result<(), StoreError> {
    house.again(|| {
        let _pen = house.pen();
        let mut draft = Draft::new(house.inventory(), house.now());
        draft.put_judged_by(mark)?;
        draft.commit()?;
        Ok(())
    })
}

/// Whether the record's turn comes with that of the identity it belongs to.
fn judged_with_its_identity(inventory: Inventory<'_>, record: &Record) -> Result<bool, StoreError> {
    let Some(key) = &record.identity else { return Ok(false) };
    let Some(id) = inventory.resolve(key)? else { return Ok(false) };
    let identity = inventory.record(id, None)?;
    Ok(identity.is_some_and(|it| {
        let called_so = it.realm == key.realm && it.kind == key.kind && it.externals.contains(&key.external);
        called_so && it.identity.is_none() && it.kind.noun() == Noun::Identity
    }))
}

/// Digest of everything a verdict rests on beside the records.
fn digest(yardstick: &Yardstick, owners: &str, rules: &[&Rule]) -> [u8; 16] {
    let figures = [yardstick.policy.digest().as_bytes().to_vec(), owners.as_bytes().to_vec()];
    let rules = rules.iter().flat_map(|rule| [rule.id.as_bytes().to_vec(), rule.version.to_be_bytes().to_vec()]);
    digest::half(figures.into_iter().chain(rules))
}

#[cfg(test)]
mod tests {
    use provost_engine::{Owning, Policy, PolicyConfig};

    use super::*;

    fn yardstick(policy: &str, owners: &[&str]) -> Yardstick {
        let config: PolicyConfig = toml::from_str(policy).unwrap();
        let tags = owners.iter().map(|it| (*it).to_owned()).collect();
        let owning = Owning { tags, ..Owning::default() };
        Yardstick { policy: Policy::new(config).unwrap(), owning, ..Yardstick::default() }
    }

    #[test]
    fn thresholds_owners_and_rules_each_move_the_digest() {
        let of = |policy: &str, owners: &[&str], rules: &[&Rule]| {
            let yardstick = yardstick(policy, owners);
            digest(&yardstick, &yardstick.owners_digest(), rules)
        };
        let usual = of("", &["owner"], ALL);
        let newer = Rule { version: ALL[0].version + 1, ..ALL[0].clone() };
        let mut rules = ALL.to_vec();
        rules[0] = &newer;
        let others = [
            of("thresholds = { grace_days = 8 }", &["owner"], ALL),
            of("", &["contact"], ALL),
            of("", &["owner"], &rules),
            of("", &["owner"], &ALL[1..]),
        ];
        assert_eq!(of("thresholds = { grace_days = 7 }", &["owner"], ALL), usual);
        for (at, other) in others.iter().enumerate() {
            assert!(*other != usual && !others[..at].contains(other), "{at}");
        }
    }
}
