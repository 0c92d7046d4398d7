//! The arithmetic of owning: evidence for one person or team added up, candidates put in order, contradictions told.
//! It must never depend on the order in which evidence is found, nor lower anybody's confidence by further evidence.

use std::{cmp::Ordering, collections::BTreeMap};

use provost_model::{OtherOwner, Owner, OwnerEvidence, Party, Signal, Time};

use super::{Attribution, roster::Who, signals::Found};

/// Nobody is surer than this whom no human being confirmed.
const SUREST: f64 = 0.99;
/// So much less confidence is still comparable.
const COMPARABLE: f64 = 0.2;
/// Less confidence contradicts nobody.
const FAINT: f64 = 0.3;
/// A living candidate of that confidence goes before one who has left and whom nothing declares to be the owner.
const LIKELY: f64 = 0.6;
/// How much of what speaks for a person speaks for the team that they are a member of.
const OF_MEMBER: f64 = 0.8;
/// It comes after what speaks for the team itself.
const MEMBERS: usize = 10_000;
/// Confidences are kept to so many parts: what differs by less is equal, in whatever order it was added up.
const PARTS: f64 = 1e9;

/// Somebody whom evidence names.
#[derive(Clone, Debug)]
struct Candidate {
    who: Option<Who>,
    name: String,
    party: Party,
    evidence: Vec<(usize, OwnerEvidence)>,
    confidence: f64,
    left: Option<Time>,
    pinned: bool,
}

/// The owner that the evidence amounts to.
pub(super) fn weigh(by: &Attribution<'_>, found: Vec<Found>, now: Time) -> Option<Owner> {
    if found.is_empty() {
        return None;
    }
    let mut until: Option<Time> = None;
    let mut candidates = grouped(by, found, now, &mut until);
    let mut later = |at: Option<Time>| until = until.into_iter().chain(at.filter(|at| *at > now)).min();
    for candidate in &candidates {
        let person = candidate.who.and_then(|who| by.roster.person(who));
        later(person.and_then(|it| it.left));
        later(person.and_then(|it| it.moved));
    }
    let likely = candidates.iter().any(|it| it.left.is_none() && it.confidence >= LIKELY);
    candidates.sort_by(|one, other| before(one, other, likely));
    let mut candidates = candidates.into_iter();
    let first = candidates.next()?;
    let others: Vec<OtherOwner> = candidates.map(|it| other(by, it, &first)).collect();
    let person = first.who.and_then(|who| by.roster.person(who));
    let confirmed = first.evidence.iter().filter(|(_, it)| it.signal == Signal::Confirmation);
    let confirmed = confirmed.filter_map(|(_, it)| it.as_of).max();
    Some(Owner {
        moved: person.and_then(|it| it.moved).filter(|at| *at <= now),
        name: first.name,
        party: first.party,
        confidence: first.confidence,
        evidence: first.evidence.into_iter().map(|(_, it)| it).collect(),
        confirmed,
        left: first.left,
        others,
        until,
    })
}

/// Evidence by whom it names, each added up.
fn grouped(by: &Attribution<'_>, found: Vec<Found>, now: Time, until: &mut Option<Time>) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for it in found {
        let weight = by.owning.weights.of(it.signal) / f64::from(u32::try_from(it.shared).unwrap_or(u32::MAX));
        let (confidence, next) = match it.ages {
            true => by.owning.left_of(it.signal, weight, it.as_of, now),
            false => (weight, None),
        };
        if confidence <= 0.0 {
            continue;
        }
        *until = until.iter().copied().chain(next).min();
        let names = it.names.to_lowercase();
        let same = |candidate: &&mut Candidate| match it.who {
            Some(who) => candidate.who == Some(who),
            None => candidate.who.is_none() && candidate.name.to_lowercase() == names,
        };
        let evidence = OwnerEvidence {
            signal: it.signal,
            source: it.source,
            names: it.names.clone(),
            as_of: it.as_of,
            weight,
            confidence,
        };
        match candidates.iter_mut().find(same) {
            Some(candidate) => candidate.evidence.push((it.order, evidence)),
            None => {
                let (name, party) = it.who.map_or((it.names.as_str(), Party::Unknown), |who| by.roster.id(who));
                let left = it.who.and_then(|who| by.roster.person(who)?.left).filter(|at| *at <= now);
                candidates.push(Candidate {
                    who: it.who,
                    name: name.to_owned(),
                    party,
                    evidence: vec![(it.order, evidence)],
                    confidence: 0.0,
                    left,
                    pinned: false,
                });
            }
        }
    }
    of_members(by, &mut candidates);
    candidates.iter_mut().for_each(add_up);
    candidates
}

/// What members of a team were seen to do speaks for their team too, where something else names it.
fn of_members(by: &Attribution<'_>, candidates: &mut [Candidate]) {
    let persons = candidates.iter().filter(|it| it.party == Party::Person && it.left.is_none());
    let seen: Vec<(Who, OwnerEvidence)> = persons
        .filter_map(|it| Some((it.who?, it)))
        .flat_map(|(who, it)| {
            let inferred = it.evidence.iter().filter(|(_, it)| !it.signal.declares());
            inferred.map(move |(_, evidence)| (who, evidence.clone()))
        })
        .collect();
    for team in candidates.iter_mut().filter(|it| it.party == Party::Team) {
        let of_team = seen.iter().filter(|(who, _)| team.who.is_some_and(|team| by.roster.related(team, *who)));
        team.evidence.extend(of_team.map(|(_, it)| {
            let source = format!("{}, a member,", it.source);
            let (weight, confidence) = (it.weight * OF_MEMBER, it.confidence * OF_MEMBER);
            (MEMBERS, OwnerEvidence { source, weight, confidence, ..it.clone() })
        }));
    }
}

/// Adds up: of one signal the strongest counts, different signals count as independent.
fn add_up(candidate: &mut Candidate) {
    candidate.evidence.sort_by(|(at, one), (other_at, other)| {
        let stronger = other.confidence.total_cmp(&one.confidence);
        let words = |it: &OwnerEvidence| (it.signal, it.source.clone(), it.names.clone(), it.as_of);
        stronger.then_with(|| at.cmp(other_at)).then_with(|| words(one).cmp(&words(other)))
    });
    if candidate.who.is_none()
        && let Some(name) = candidate.evidence.iter().map(|(_, it)| &it.names).min()
    {
        // The same name in several spellings.
        candidate.name.clone_from(name);
    }
    candidate.pinned =
        candidate.left.is_none() && candidate.evidence.iter().any(|(_, it)| it.signal == Signal::Confirmation);
    if candidate.pinned {
        candidate.confidence = 1.0;
        for (_, it) in candidate.evidence.iter_mut().filter(|(_, it)| it.signal == Signal::Confirmation) {
            (it.weight, it.confidence) = (1.0, 1.0);
        }
        return;
    }
    let mut strongest: BTreeMap<Signal, f64> = BTreeMap::new();
    for (_, it) in &candidate.evidence {
        let known = strongest.entry(it.signal).or_insert(it.confidence);
        *known = known.max(it.confidence);
    }
    let doubt: f64 = strongest.values().map(|it| 1.0 - it).product();
    // Whoever has one piece of evidence is as sure as that says, to the last digit.
    let sum = if let (1, Some(one)) = (strongest.len(), strongest.values().next()) { *one } else { 1.0 - doubt };
    candidate.confidence = rounded(sum.min(SUREST));
}

/// Whoever is confirmed comes first; then the surer one; of equally sure ones the one with the better evidence.
fn before(one: &Candidate, other: &Candidate, likely: bool) -> Ordering {
    let rank = |it: &Candidate| {
        let declared = it.evidence.iter().any(|(_, it)| it.signal.declares());
        match (it.pinned, it.left.is_some() && !declared && likely) {
            (true, _) => 0,
            (_, false) => 1,
            (_, true) => 2,
        }
    };
    // A word about the record itself goes before one about its identity.
    let pin =
        |it: &Candidate| it.evidence.iter().filter(|(_, it)| it.signal == Signal::Confirmation).map(|it| it.0).min();
    let best = |it: &Candidate| it.evidence.first().map(|(at, it)| (it.signal, *at));
    let pins = if one.pinned && other.pinned { pin(one).cmp(&pin(other)) } else { Ordering::Equal };
    rank(one)
        .cmp(&rank(other))
        .then(pins)
        .then_with(|| other.confidence.total_cmp(&one.confidence))
        .then_with(|| best(one).cmp(&best(other)))
        .then_with(|| one.name.cmp(&other.name))
}

fn other(by: &Attribution<'_>, it: Candidate, first: &Candidate) -> OtherOwner {
    let related = it.who.zip(first.who).is_some_and(|(one, other)| by.roster.related(one, other));
    let comparable = it.confidence >= FAINT && rounded(it.confidence + COMPARABLE) >= first.confidence;
    OtherOwner {
        conflicts: comparable && !related && !first.pinned && it.left.is_none(),
        name: it.name,
        confidence: it.confidence,
        left: it.left,
        evidence: it.evidence.into_iter().map(|(_, it)| it).collect(),
    }
}

fn rounded(confidence: f64) -> f64 {
    (confidence * PARTS).round() / PARTS
}
