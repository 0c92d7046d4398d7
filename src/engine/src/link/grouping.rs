//! Unites records that share keys, holds back what is not to be believed, and keeps apart what an operator parted.
//! It must never give another answer for another order of its members.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use provost_model::{CorrelationKey, RecordId};

use super::{
    Apart, Because, CARRIERS_MOST, GROUP_MOST, HORIZON, Member, bridge::bridges, forest::Forest, reuse::Claims,
};

/// Records that are one. Its id is that of its oldest record: it is given once, a merge keeps the older one, and a part
/// that is split off is called by its own oldest record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Its name.
    pub id: RecordId,
    /// At least two, in order.
    pub members: Vec<RecordId>,
}

/// A key that unites some of those who carry it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bond {
    /// The key.
    pub key: CorrelationKey,
    /// Whom it unites, in order.
    pub members: Vec<RecordId>,
}

/// A key that does not unite some of those who carry it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The key.
    pub key: CorrelationKey,
    /// Why.
    pub because: Because,
    /// Of whom it is not believed, in order.
    pub members: Vec<RecordId>,
}

/// How records hang together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// The groups, in order.
    pub groups: Vec<Group>,
    /// What holds them together.
    pub bonds: Vec<Bond>,
    /// What was held back.
    pub held: Vec<Held>,
}

/// A key with the places of those it joins.
#[derive(Clone, Debug)]
struct Edge<'a> {
    key: &'a CorrelationKey,
    who: Vec<usize>,
}

/// Groups records whose keys unite one sort of thing. Whoever shares a key with a member must be a member too, unless the
/// key is among the `crowded`. Cost follows the number of members and keys.
pub fn grouping(members: &[Member], crowded: &BTreeSet<CorrelationKey>, apart: &Apart) -> Grouping {
    let mut members: Vec<Member> = members.to_vec();
    members.sort_unstable_by_key(|it| it.id);
    members.dedup_by_key(|it| it.id);
    let mut made = Making { members: &members, apart, grouping: Grouping::default() };
    let mut carriers = BTreeMap::<&CorrelationKey, Vec<usize>>::new();
    for (at, member) in members.iter().enumerate() {
        member.keys.iter().for_each(|key| carriers.entry(key).or_default().push(at));
    }
    let mut edges = Vec::new();
    for (key, who) in carriers {
        if who.len() > CARRIERS_MOST || crowded.contains(key) {
            made.hold(key, (Because::Crowded, &who));
        } else {
            edges.extend(made.not_parted(who).into_iter().map(|who| Edge { key, who }));
        }
    }
    for cluster in clusters(edges) {
        if places(&cluster).len() > HORIZON || cluster.len() > HORIZON {
            cluster.iter().for_each(|edge| made.hold(edge.key, (Because::TooLarge, &edge.who)));
        } else {
            made.believe(cluster);
        }
    }
    let mut grouping = made.grouping;
    grouping.groups.sort();
    grouping.bonds.sort();
    grouping.held.sort();
    grouping
}

impl Grouping {
    /// The group a record is in.
    pub fn group_of(&self, id: RecordId) -> Option<&Group> {
        self.groups.iter().find(|group| group.members.binary_search(&id).is_ok())
    }
}

/// A grouping in the making.
struct Making<'a> {
    members: &'a [Member],
    apart: &'a Apart,
    grouping: Grouping,
}

impl Making<'_> {
    /// Unites what hangs together by these keys, as far as each is to be believed.
    fn believe(&mut self, cluster: Vec<Edge<'_>>) {
        let mut edges = Vec::new();
        for Edge { key, who } in cluster {
            if who.len() > GROUP_MOST {
                self.hold(key, (Because::Crowded, &who));
                continue;
            }
            let claims = Claims::of(self.members, &who, key.unites());
            // It joins the former holders' records, but not to those of the present one.
            let former = claims.sides.iter().skip(1).flatten().map(|at| (*at, Because::Reused));
            let out_of: Vec<(usize, Because)> = claims.out.iter().copied().chain(former).collect();
            for because in Because::ALL {
                let out: Vec<usize> = out_of.iter().filter(|it| it.1 == because).map(|it| it.0).collect();
                if !out.is_empty() {
                    self.hold(key, (because, &out));
                }
            }
            edges.extend(claims.sides.into_iter().filter(|side| side.len() > 1).map(|who| Edge { key, who }));
        }
        for cluster in clusters(edges) {
            let (bridges, firm) = bridges_of(cluster);
            bridges.iter().for_each(|edge| self.hold(edge.key, (Because::Bridge, &edge.who)));
            clusters(firm).iter().for_each(|edges| self.settle(edges));
        }
    }

    /// What is left is a group, unless it is too large; or several, where an operator parted some of it.
    fn settle(&mut self, edges: &[Edge<'_>]) {
        let all = places(edges);
        if all.len() > GROUP_MOST {
            edges.iter().for_each(|edge| self.hold(edge.key, (Because::TooLarge, &edge.who)));
            return;
        }
        for part in self.parted(&all, edges) {
            let members = self.ids(&part);
            let Some(id) = members.first().copied() else { continue };
            self.grouping.groups.push(Group { id, members });
            for edge in edges {
                let who: Vec<usize> = edge.who.iter().copied().filter(|at| part.contains(at)).collect();
                if who.len() > 1 {
                    self.grouping.bonds.push(Bond { key: edge.key.clone(), members: self.ids(&who) });
                }
            }
        }
    }

    /// Divides what hangs together so that nobody is with whom they are kept apart from: those who share most are united
    /// first, of equals the oldest.
    fn parted(&self, all: &[usize], edges: &[Edge<'_>]) -> Vec<Vec<usize>> {
        if !pairs(all).any(|pair| self.are_apart(pair)) {
            return vec![all.to_vec()];
        }
        let mut shared = BTreeMap::<(usize, usize), usize>::new();
        for edge in edges {
            pairs(&edge.who).for_each(|pair| *shared.entry(pair).or_default() += 1);
        }
        let mut closest: Vec<_> = shared.into_iter().collect();
        closest.sort_by_key(|(pair, count)| (Reverse(*count), *pair));
        let mut parts: Vec<Vec<usize>> = all.iter().map(|at| vec![*at]).collect();
        for ((one, other), _) in closest {
            let of = |place: usize| parts.iter().position(|part| part.contains(&place));
            let (Some(one), Some(other)) = (of(one), of(other)) else { continue };
            let (Some(first), Some(second)) = (parts.get(one), parts.get(other)) else { continue };
            let hostile = first.iter().any(|it| second.iter().any(|other| self.are_apart((*it, *other))));
            if one == other || hostile {
                continue;
            }
            let moved = parts.swap_remove(one.max(other));
            if let Some(part) = parts.get_mut(one.min(other)) {
                part.extend(moved);
                part.sort_unstable();
            }
        }
        parts.retain(|part| part.len() > 1);
        parts
    }

    /// The carriers of one key, divided where an operator parted all of one side from all of the other.
    fn not_parted(&self, who: Vec<usize>) -> Vec<Vec<usize>> {
        if self.apart.is_empty() {
            return if who.len() > 1 { vec![who] } else { Vec::new() };
        }
        let mut forest = Forest::new(who.len());
        for (one, other) in pairs(&(0..who.len()).collect::<Vec<_>>()) {
            let pair = who.get(one).copied().zip(who.get(other).copied());
            if pair.is_some_and(|pair| !self.are_apart(pair)) {
                forest.unite(one, other);
            }
        }
        let sets = forest.sets().into_iter().filter(|set| set.len() > 1);
        sets.map(|set| set.into_iter().filter_map(|at| who.get(at).copied()).collect()).collect()
    }

    fn are_apart(&self, (one, other): (usize, usize)) -> bool {
        match (self.members.get(one), self.members.get(other)) {
            (Some(one), Some(other)) => self.apart.holds(one.id, other.id),
            _ => false,
        }
    }

    fn hold(&mut self, key: &CorrelationKey, (because, who): (Because, &[usize])) {
        let members = self.ids(who);
        self.grouping.held.push(Held { key: key.clone(), because, members });
    }

    fn ids(&self, places: &[usize]) -> Vec<RecordId> {
        let mut ids: Vec<RecordId> = places.iter().filter_map(|at| self.members.get(*at)).map(|it| it.id).collect();
        ids.sort_unstable();
        ids
    }
}

/// Edges that hang together.
fn clusters(edges: Vec<Edge<'_>>) -> Vec<Vec<Edge<'_>>> {
    let all = places(&edges);
    let mut forest = Forest::new(all.len());
    edges.iter().for_each(|edge| forest.unite_all(&narrowed(&edge.who, &all)));
    let mut clusters = BTreeMap::<usize, Vec<Edge<'_>>>::new();
    for edge in edges {
        let first = narrowed(&edge.who, &all).first().map_or(0, |at| forest.root(*at));
        clusters.entry(first).or_default().push(edge);
    }
    clusters.into_values().collect()
}

/// The bridges among edges that hang together, and the others.
fn bridges_of(edges: Vec<Edge<'_>>) -> (Vec<Edge<'_>>, Vec<Edge<'_>>) {
    let all = places(&edges);
    let narrow: Vec<Vec<usize>> = edges.iter().map(|edge| narrowed(&edge.who, &all)).collect();
    let found = bridges(all.len(), &narrow);
    let (mut bridges, mut firm) = (Vec::new(), Vec::new());
    for (at, edge) in edges.into_iter().enumerate() {
        if found.contains(&at) { bridges.push(edge) } else { firm.push(edge) }
    }
    (bridges, firm)
}

/// The places that edges join, in order.
fn places(edges: &[Edge<'_>]) -> Vec<usize> {
    let all: BTreeSet<usize> = edges.iter().flat_map(|edge| edge.who.iter().copied()).collect();
    all.into_iter().collect()
}

/// Places by their place among all that are looked at.
fn narrowed(who: &[usize], all: &[usize]) -> Vec<usize> {
    who.iter().filter_map(|at| all.binary_search(at).ok()).collect()
}

fn pairs(places: &[usize]) -> impl Iterator<Item = (usize, usize)> + '_ {
    places.iter().enumerate().flat_map(|(at, one)| places.iter().skip(at + 1).map(|other| (*one, *other)))
}
