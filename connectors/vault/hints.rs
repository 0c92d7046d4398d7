//! What an audit log says changed since the last run: which places are worth a look before their turn.
//! It must never be needed: without it everything is seen, only later.

use std::collections::BTreeSet;

/// Most places remembered of one run; more are found in their turn.
const MOST: usize = 20_000;

/// Places that were written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    written: BTreeSet<(String, String)>,
}

impl Hints {
    /// Notes that a path of a namespace was written to.
    pub(super) fn note(&mut self, namespace: &str, path: &str) {
        if self.written.len() < MOST {
            self.written.insert((namespace.to_owned(), path.to_owned()));
        }
    }

    /// Whether something at or below a path was written to.
    pub(super) fn is_written(&self, namespace: &str, path: &str) -> bool {
        let from = (namespace.to_owned(), path.to_owned());
        let next = self.written.range(from..).find(|(its, written)| {
            // What begins alike and goes on otherwise stands between a path and what is below it.
            its != namespace || !written.starts_with(path) || is_at(written, path)
        });
        next.is_some_and(|(its, written)| its == namespace && is_at(written, path))
    }
}

fn is_at(written: &str, path: &str) -> bool {
    written.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_to_where_something_below_it_is() {
        let mut hints = Hints::default();
        hints.note("", "auth/approle/role/ci-2");
        hints.note("", "auth/approle/role/ci/secret-id");
        hints.note("team", "kv/data/a");
        assert!(hints.is_written("", "auth/approle/role/ci"));
        assert!(hints.is_written("", "auth/approle/role/ci-2"));
        assert!(!hints.is_written("", "auth/approle/role/c"));
        assert!(!hints.is_written("", "kv/data/a") && hints.is_written("team", "kv"));
    }
}
