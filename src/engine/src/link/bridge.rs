//! Keys that alone join what holds together without them: one shared mailbox, one wrong alias.
//! It must never call a key a bridge that everybody it joins carries.

use std::collections::BTreeSet;

use super::forest::Forest;

/// Which of these edges are bridges: without it, two parts or more are left that each hold a place the edge does not
/// touch. An edge joins all its places; all edges together join `places` places.
pub(super) fn bridges(places: usize, edges: &[Vec<usize>]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    // Two parts with one carrier and one other each are the least that there can be.
    if places < 4 || edges.len() < 3 {
        return found;
    }
    for (at, edge) in edges.iter().enumerate() {
        let mut forest = Forest::new(places);
        edges.iter().enumerate().filter(|(other, _)| *other != at).for_each(|(_, it)| forest.unite_all(it));
        let roots: BTreeSet<usize> = edge.iter().map(|place| forest.root(*place)).collect();
        if roots.len() < 2 {
            continue;
        }
        let carriers: BTreeSet<usize> = edge.iter().copied().collect();
        let solid: BTreeSet<usize> = (0..places)
            .filter(|place| !carriers.contains(place))
            .map(|place| forest.root(place))
            .filter(|root| roots.contains(root))
            .collect();
        if solid.len() > 1 {
            found.insert(at);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_leaves_two_parts_that_hold_without_it() {
        let table = [
            ("one key", "012", None),
            ("a chain of three records", "01 12", None),
            ("two pairs", "01 23 12", Some(2)),
            ("joined twice", "01 23 12 03", None),
            ("everybody carries it", "01 23 0123", None),
            ("a mailbox of three people", "01 23 45 135", Some(3)),
        ];
        for (name, edges, expected) in table {
            let digits = |edge: &str| edge.bytes().map(|digit| usize::from(digit - b'0')).collect();
            let edges: Vec<Vec<usize>> = edges.split(' ').map(digits).collect();
            let places = edges.iter().flatten().max().map_or(0, |most| most + 1);
            assert_eq!(bridges(places, &edges), expected.into_iter().collect(), "{name}");
        }
    }
}
