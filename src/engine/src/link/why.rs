//! Why two records are one, or are not: the chain of keys between them, and where it is broken.
//! It must never show a way that the grouping did not take as if it had.

use std::collections::{BTreeMap, VecDeque};

use provost_model::{CorrelationKey, RecordId};

use super::{Because, Grouping, Member};

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// From this record …
    pub from: RecordId,
    /// … to that one …
    pub to: RecordId,
    /// … by the key both carry.
    pub key: CorrelationKey,
    /// Why that does not unite them, if it does not.
    pub stop: Option<Stop>,
}

/// Why a shared key does not unite two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The key was held back.
    Held(Because),
    /// An operator keeps the two, or those with them, apart.
    Apart,
}

/// The shortest way from one record to another over shared keys: over those that unite if there is one, else over any,
/// with every step that is broken. `None` if no keys lead from one to the other.
pub fn way(members: &[Member], grouping: &Grouping, (from, to): (RecordId, RecordId)) -> Option<Vec<Step>> {
    let bonds = grouping.bonds.iter().map(|bond| (&bond.key, bond.members.clone()));
    if let Some(steps) = shortest(bonds, (from, to)) {
        return Some(steps);
    }
    let mut carriers = BTreeMap::<&CorrelationKey, Vec<RecordId>>::new();
    for member in members {
        member.keys.iter().for_each(|key| carriers.entry(key).or_default().push(member.id));
    }
    let mut steps = shortest(carriers.into_iter(), (from, to))?;
    steps.iter_mut().for_each(|step| step.stop = stop(grouping, step));
    Some(steps)
}

/// What breaks a step, if anything does.
fn stop(grouping: &Grouping, step: &Step) -> Option<Stop> {
    let both = |ids: &[RecordId]| ids.contains(&step.from) && ids.contains(&step.to);
    if grouping.bonds.iter().any(|bond| bond.key == step.key && both(&bond.members)) {
        return None;
    }
    let held = grouping.held.iter().filter(|held| held.key == step.key);
    let mut held = held.filter(|held| held.members.contains(&step.from) || held.members.contains(&step.to));
    Some(held.next().map_or(Stop::Apart, |held| Stop::Held(held.because)))
}

fn shortest<'a>(
    edges: impl Iterator<Item = (&'a CorrelationKey, Vec<RecordId>)>,
    (from, to): (RecordId, RecordId),
) -> Option<Vec<Step>> {
    let edges: Vec<(&CorrelationKey, Vec<RecordId>)> = edges.collect();
    let mut of = BTreeMap::<RecordId, Vec<usize>>::new();
    for (at, (_, who)) in edges.iter().enumerate() {
        who.iter().for_each(|id| of.entry(*id).or_default().push(at));
    }
    let mut came = BTreeMap::<RecordId, Step>::new();
    let mut pending = VecDeque::from([from]);
    while let Some(id) = pending.pop_front() {
        if id == to {
            break;
        }
        for (key, who) in of.get(&id).into_iter().flatten().filter_map(|at| edges.get(*at)) {
            for next in who.iter().filter(|next| **next != from) {
                if !came.contains_key(next) {
                    came.insert(*next, Step { from: id, to: *next, key: (*key).clone(), stop: None });
                    pending.push_back(*next);
                }
            }
        }
    }
    let mut steps = Vec::new();
    let mut at = to;
    while at != from {
        let step = came.get(&at)?.clone();
        at = step.from;
        steps.push(step);
    }
    steps.reverse();
    Some(steps)
}
