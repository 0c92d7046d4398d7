//! Judges anew where what a rule judges by has changed: its figures, its version, how owners are found if it asks.
//! It must never say that a rule holds before every record it is about was judged by it.

use std::collections::BTreeMap;

use provost_engine::{
    Neighbour,
    rules::{ALL, Rule, is_about_cases},
};
use provost_model::Record;
use provost_store::{
    StoreError,
    inventory::{Draft, Inventory, JudgedBy, RuleDigest, UnderWay},
};

use super::{
    digest,
    judge::{self, Yardstick},
    owners::Owners,
};
use crate::{house::House, worked::Worked};

/// Records read between two notes of how far it is.
const PAGE: usize = 1024;
/// Pages after which others who judge get their turn.
const STRETCH: usize = 16;

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

/// Judges by this yardstick every record that a rule is about which judges otherwise than before. Before each page `go_on`
/// is told how many records this turn has passed, and says whether to go on.
pub fn follow(house: &House, yardstick: &Yardstick, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Reached, StoreError> {
    let mut mark = house.inventory().judged_by()?;
    let wanted = digests(yardstick, &outside(house.inventory(), yardstick)?, ALL);
    let Some(mut under_way) = rest(&mark, &wanted) else { return Ok(Reached::Already) };
    if mark.under_way.as_ref() != Some(&under_way) {
        // Written first: from the first verdict on, what these rules judged by before does not hold everywhere any more.
        mark.rules.retain(|it| !under_way.rules.iter().any(|rule| rule.rule == it.rule));
        note(house, &mut mark, Some(&under_way))?;
    }
    let rules: Vec<&Rule> = under_way.rules.iter().filter_map(|it| Rule::of_id(&it.rule)).collect();
    // A rule that is gone leaves findings about any kind.
    let gone = rules.len() < under_way.rules.len();
    let concerned = |record: &Record| gone || rules.iter().any(|rule| rule.speaks_of(record.kind));
    let (mut done, mut after, mut end) = (0, under_way.up_to, None);
    while end.is_none() {
        let mut left = STRETCH;
        let mut next = || {
            if left == 0 {
                return Ok(None);
            }
            left -= 1;
            if !go_on(done) {
                end = Some(Reached::NotYet);
                return Ok(None);
            }
            let page = house.again(|| house.inventory().sealed_after(after, PAGE))?;
            let Some(last) = page.last() else {
                end = Some(Reached::Now);
                return Ok(None);
            };
            after = Some(last.id);
            done += page.len() as u64;
            Ok(Some(page))
        };
        judge::pages(house, yardstick, &concerned, &mut next, &mut |draft, last| {
            under_way.up_to = Some(last);
            mark.under_way = Some(under_way.clone());
            draft.put_judged_by(&mark)
        })?;
    }
    if end == Some(Reached::Now) {
        mark.rules = wanted;
        note(house, &mut mark, None)?;
    }
    Ok(end.unwrap_or(Reached::NotYet))
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
    // Read to be refused where another process writes it too.
    draft.judged_by()?;
    // Whoever changed may stand before the place that is reached, whatever rules are under way.
    draft.put_judged_by(&JudgedBy::default())?;
    draft.commit()?;
    tracing::info!(sources = cut.join(", "), "runs were cut before everything they changed was judged");
    Ok(())
}

/// Whether every record was judged by this yardstick.
pub fn holds(inventory: Inventory<'_>, yardstick: &Yardstick) -> Result<bool, StoreError> {
    Ok(rest(&inventory.judged_by()?, &digests(yardstick, &outside(inventory, yardstick)?, ALL)).is_none())
}

/// What is left to do until the rules hold that are wanted; `None` if they do.
fn rest(mark: &JudgedBy, wanted: &[RuleDigest]) -> Option<UnderWay> {
    let by_id = |all: &[RuleDigest]| -> BTreeMap<String, [u8; 16]> {
        all.iter().map(|it| (it.rule.clone(), it.digest)).collect()
    };
    let (held, new) = (by_id(&mark.rules), by_id(wanted));
    let mut rules: Vec<RuleDigest> =
        wanted.iter().filter(|it| held.get(&it.rule) != Some(&it.digest)).cloned().collect();
    // Rules that are gone, and those that a former turn took up and nobody wants any more.
    let begun = mark.under_way.iter().flat_map(|it| &it.rules);
    let gone = mark.rules.iter().chain(begun).filter(|it| !new.contains_key(&it.rule));
    rules.extend(gone.cloned());
    if rules.is_empty() {
        return mark.under_way.is_some().then(UnderWay::default);
    }
    // What a former turn began goes on where it was.
    match &mark.under_way {
        Some(begun) if begun.rules == rules => Some(begun.clone()),
        _ => Some(UnderWay { rules, up_to: None }),
    }
}

fn note(house: &House, mark: &mut JudgedBy, under_way: Option<&UnderWay>) -> Result<(), StoreError> {
    mark.under_way = under_way.cloned();
    house.again(|| {
        let _pen = house.pen();
        let mut draft = Draft::new(house.inventory(), house.now());
        draft.put_judged_by(mark)?;
        draft.commit()?;
        Ok(())
    })
}

/// Digests of what some rules rest on beside records and figures.
struct Outside {
    /// Everything that owners rest on beside records and words.
    owners: String,
    /// How long what may stand, and what is worked off.
    cases: String,
}

fn outside(inventory: Inventory<'_>, yardstick: &Yardstick) -> Result<Outside, StoreError> {
    let owners = Owners::new(inventory, yardstick, None)?.digest();
    Ok(Outside { owners, cases: yardstick.cases_digest(&Worked::of(inventory)?) })
}

/// For each rule, the digest of everything its verdicts rest on beside the records.
fn digests(yardstick: &Yardstick, outside: &Outside, rules: &[&Rule]) -> Vec<RuleDigest> {
    let of = |rule: &&Rule| {
        let owners = rule.looks_at(Neighbour::Owner).then(|| outside.owners.clone());
        let cases = is_about_cases(rule.id).then(|| outside.cases.clone());
        let figures = [rule.version.to_string(), yardstick.policy.digest_of(rule)];
        RuleDigest { rule: rule.id.to_owned(), digest: digest::half(figures.into_iter().chain(owners).chain(cases)) }
    };
    rules.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use provost_engine::{Owning, Policy, PolicyConfig};
    use provost_model::RecordId;

    use super::*;

    /// The digests of rules by that policy, where those tags name owners.
    fn judged_by(policy: &str, owners: &[&str], rules: &[&Rule]) -> Vec<RuleDigest> {
        let config: PolicyConfig = toml::from_str(policy).unwrap();
        let tags = owners.iter().map(|it| (*it).to_owned()).collect();
        let owning = Owning { tags, ..Owning::default() };
        let yardstick = Yardstick { policy: Policy::new(config).unwrap(), owning, ..Yardstick::default() };
        let outside = Outside { owners: yardstick.owners_digest(), cases: yardstick.cases_digest(&Worked::default()) };
        digests(&yardstick, &outside, rules)
    }

    /// The rules left to judge by after one list of digests, for another.
    fn left(mark: &[RuleDigest], wanted: &[RuleDigest]) -> Vec<String> {
        let mark = JudgedBy { rules: mark.to_vec(), under_way: None };
        rest(&mark, wanted).into_iter().flat_map(|it| it.rules).map(|it| it.rule).collect()
    }

    #[test]
    fn only_rules_that_judge_otherwise_are_left_to_judge_by() {
        let usual = judged_by("", &["owner"], ALL);
        let newer = Rule { version: ALL[0].version + 1, ..ALL[0].clone() };
        let mut rules = ALL.to_vec();
        rules[0] = &newer;
        let none: [&str; 0] = [];
        assert_eq!(left(&usual, &judged_by("thresholds = { grace_days = 7 }", &["owner"], ALL)), none);
        let idle = judged_by("thresholds = { idle_role_days = 8 }", &["owner"], ALL);
        assert_eq!(left(&usual, &idle), ["ID-IDLE"]);
        let contact = judged_by("", &["contact"], ALL);
        assert_eq!(left(&usual, &contact), ["AI-AGENT-UNGOV", "OWN-LEFT", "OWN-MOVED", "OWN-NONE"]);
        assert_eq!(left(&usual, &judged_by("", &["owner"], &rules)), [ALL[0].id]);
        assert_eq!(left(&usual, &usual[1..]), [ALL[0].id], "a rule that is gone");
        assert_eq!(left(&[], &usual).len(), ALL.len());
    }

    #[test]
    fn what_was_begun_goes_on_and_what_was_begun_otherwise_begins_anew() {
        let usual = judged_by("", &["owner"], ALL);
        let idle = judged_by("thresholds = { idle_role_days = 8 }", &["owner"], ALL);
        let mut mark = JudgedBy { rules: usual.clone(), under_way: None };
        let mut begun = rest(&mark, &idle).unwrap();
        begun.up_to = Some(RecordId::from_bytes([7; 16]));
        mark.rules.retain(|it| it.rule != "ID-IDLE");
        mark.under_way = Some(begun.clone());
        assert_eq!(rest(&mark, &idle), Some(begun));
        let back = rest(&mark, &usual).unwrap();
        assert_eq!((back.up_to, back.rules.len()), (None, 1), "some were judged by the figure that is taken back");
        let both = judged_by("thresholds = { idle_role_days = 8, rsa_bits = 9 }", &["owner"], ALL);
        let both = rest(&mark, &both).unwrap();
        assert_eq!((both.up_to, both.rules.len()), (None, 2));
    }
}
