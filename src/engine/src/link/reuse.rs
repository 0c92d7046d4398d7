//! Keys that a system gave to several of its records: an address handed on to a successor, the ARN of a user that was
//! made anew, two accounts with one address. It must never guess whose such a key is.

use std::collections::BTreeMap;

use provost_model::{Kind, Realm, Time, Unites};

use super::{Because, Member};

/// Whom a key unites, and whom it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Places of those it unites: the present holders, the former ones.
    pub(super) sides: Vec<Vec<usize>>,
    /// Places of those of whom it says nothing, and why.
    pub(super) out: Vec<(usize, Because)>,
}

impl Claims {
    /// Whom a key unites of those in these places, all of which carry it. Secrets lie in many places of one system; but
    /// a system does not call two of its identities or people by one key at the same time.
    pub(super) fn of(members: &[Member], carriers: &[usize], unites: Unites) -> Self {
        let contested = if unites == Unites::Secrets { Vec::new() } else { contested(members, carriers) };
        if contested.is_empty() {
            return Self { sides: vec![carriers.to_vec()], out: Vec::new() };
        }
        let is_there = |at: &usize| members.get(*at).is_some_and(|it| it.there);
        let from = |at: usize| members.get(at).and_then(|it| it.from);
        let mut claims = Self::default();
        // Where several hold it at once, none of them is believed.
        let mut twins: Vec<usize> = Vec::new();
        let mut holders: Vec<usize> = Vec::new();
        for same in &contested {
            let there: Vec<usize> = same.iter().copied().filter(is_there).collect();
            match there.as_slice() {
                [] => {}
                [holder] => holders.push(*holder),
                _ => twins.extend(there),
            }
        }
        // The earliest time at which it had changed hands somewhere.
        let handed_on = holders.iter().filter_map(|at| from(*at)).min();
        let several_before = contested.iter().any(|same| same.iter().filter(|at| !is_there(at)).count() > 1);
        let succession = contested.iter().any(|same| same.iter().any(|at| !is_there(at)));
        let (mut now, mut before) = (Vec::new(), Vec::new());
        for at in carriers.iter().copied() {
            if twins.contains(&at) {
                claims.out.push((at, Because::Twins));
            } else if !succession || holders.contains(&at) {
                now.push(at);
            } else {
                match side(is_there(&at), from(at), handed_on) {
                    Some(true) => now.push(at),
                    Some(false) if !several_before => before.push(at),
                    _ => claims.out.push((at, Because::Reused)),
                }
            }
        }
        claims.sides = [now, before].into_iter().filter(|side| !side.is_empty()).collect();
        claims
    }
}

/// Whether a record belongs to the present holder (true) or to the former one; `None` where that cannot be told.
fn side(there: bool, from: Option<Time>, handed_on: Option<Time>) -> Option<bool> {
    let (from, handed_on) = (from?, handed_on?);
    match (there, from >= handed_on) {
        (true, true) => Some(true),
        (false, false) => Some(false),
        // Made in the time of the former holder and still there, or made in that of the present one and gone.
        _ => None,
    }
}

/// Carriers of one kind in one system, where there are several.
fn contested(members: &[Member], carriers: &[usize]) -> Vec<Vec<usize>> {
    let mut by = BTreeMap::<(&Realm, Kind), Vec<usize>>::new();
    for at in carriers {
        if let Some(member) = members.get(*at) {
            by.entry((&member.realm, member.kind)).or_default().push(*at);
        }
    }
    by.into_values().filter(|same| same.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use provost_model::{CorrelationKey, RecordId, Sort};

    use super::*;

    /// A realm, since when, and whether it is there.
    type Account = (&'static str, Option<i64>, bool);
    /// Accounts, whom their address unites, and whom it does not.
    type Case<'a> = (&'a [Account], Vec<Vec<usize>>, Vec<(usize, Because)>);
    type Expected = (Vec<Vec<usize>>, Vec<(usize, Because)>);

    fn claims(accounts: &[Account]) -> Expected {
        let members: Vec<Member> = (0_u8..)
            .zip(accounts)
            .map(|(number, (realm, from, there))| Member {
                id: RecordId::from_bytes([number; 16]),
                realm: Realm::from_text(*realm),
                kind: Kind::User,
                from: from.map(Time::from_seconds),
                there: *there,
                keys: vec![CorrelationKey { sort: Sort::Email, value: "a@x.org".into(), within: None }],
            })
            .collect();
        let all: Vec<usize> = (0..members.len()).collect();
        let claims = Claims::of(&members, &all, Unites::People);
        (claims.sides, claims.out)
    }

    #[test]
    fn an_address_handed_on_unites_the_successor_and_the_former_holder_each_for_themselves() {
        let (there, gone) = (true, false);
        let table: [Case<'_>; 8] = [
            // One account a system: one person, even where one of them ended.
            (&[("okta", Some(1), there), ("github", Some(2), gone)], vec![vec![0, 1]], vec![]),
            // Handed on in both systems.
            (
                &[
                    ("okta", Some(1), gone),
                    ("github", Some(2), gone),
                    ("okta", Some(50), there),
                    ("github", Some(51), there),
                ],
                vec![vec![2, 3], vec![0, 1]],
                vec![],
            ),
            // An account of before that was forgotten: whose is it?
            (
                &[("okta", Some(1), gone), ("okta", Some(50), there), ("jira", Some(2), there)],
                vec![vec![1], vec![0]],
                vec![(2, Because::Reused)],
            ),
            // Not known since when.
            (
                &[("okta", Some(1), gone), ("okta", Some(50), there), ("jira", None, there), ("github", None, gone)],
                vec![vec![1], vec![0]],
                vec![(2, Because::Reused), (3, Because::Reused)],
            ),
            // Two at once: neither is believed, the others are.
            (
                &[
                    ("github", Some(1), there),
                    ("github", Some(5), there),
                    ("okta", Some(2), there),
                    ("entra", Some(2), there),
                ],
                vec![vec![2, 3]],
                vec![(0, Because::Twins), (1, Because::Twins)],
            ),
            // Three in a row: the former two cannot be told apart elsewhere.
            (
                &[("okta", Some(1), gone), ("okta", Some(9), gone), ("okta", Some(50), there), ("jira", Some(2), gone)],
                vec![vec![2]],
                vec![(0, Because::Reused), (1, Because::Reused), (3, Because::Reused)],
            ),
            // All gone: nobody can say when it changed hands.
            (
                &[("okta", Some(1), gone), ("okta", Some(9), gone), ("jira", Some(2), there)],
                vec![],
                vec![(0, Because::Reused), (1, Because::Reused), (2, Because::Reused)],
            ),
            // Moved: gone from one system, there in another of the same provider.
            (&[("okta:old", Some(1), gone), ("okta:new", Some(50), there)], vec![vec![0, 1]], vec![]),
        ];
        for (accounts, sides, out) in table {
            assert_eq!(claims(accounts), (sides, out), "{accounts:?}");
        }
    }
}
