//! Evidence in a store: entries in the stream of that name, with the end of each chain beside it.
//! It must never append to a chain whose end was not read in the same commit.

use provost_model::Time;

use super::{CHAIN, Draft, Inventory, META, rows};
use crate::{
    Go, KeyRange, Op, StoreError,
    evidence::{ChainEnd, Exhibit, Fact, STREAM},
};

/// Entries read from a stream at a time.
const AT_ONCE: usize = 512;

impl Inventory<'_> {
    /// Visits every entry of evidence, the oldest first.
    pub fn each_exhibit(&self, each: &mut dyn FnMut(Exhibit) -> Result<Go, StoreError>) -> Result<(), StoreError> {
        let mut from = 1;
        loop {
            let entries = self.store.entries(STREAM, from, AT_ONCE)?;
            let Some(last) = entries.last() else { return Ok(()) };
            from = last.sequence + 1;
            for entry in entries {
                let exhibit = serde_json::from_slice(&entry.value)
                    .map_err(|error| StoreError::Codec(format!("an entry of evidence: {error}")))?;
                if each(exhibit)? == Go::Stop {
                    return Ok(());
                }
            }
        }
    }

    /// The end of every chain, by writer.
    pub fn chain_ends(&self) -> Result<Vec<(String, ChainEnd)>, StoreError> {
        let mut writers = Vec::new();
        self.store.scan(META, &KeyRange::prefix(CHAIN), None, &mut |key, _| {
            let name = key.strip_prefix(CHAIN).unwrap_or_default();
            writers.push(String::from_utf8_lossy(name).into_owned());
            Ok(Go::On)
        })?;
        writers.into_iter().map(|writer| self.chain_end(&writer).map(|end| (writer, end))).collect()
    }

    /// The end of a writer's chain.
    pub fn chain_end(&self, writer: &str) -> Result<ChainEnd, StoreError> {
        let key = key(writer);
        let row = self.store.get(META, &key, None)?;
        self.note(META, &key, row.as_ref());
        let kept: Option<(u64, [u8; 32])> =
            row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "the end of a chain")).transpose()?;
        Ok(kept.map(|(count, head)| ChainEnd { count, head: crate::evidence::Hash(head) }).unwrap_or_default())
    }
}

impl Draft<'_> {
    /// Adds an entry to a writer's chain, in the commit of this draft. Facts of which nothing is known are not told.
    pub fn witness(
        &mut self,
        writer: &str,
        (at, kind): (Time, &str),
        facts: &[(&str, Option<String>)],
    ) -> Result<(), StoreError> {
        let end = match self.chains.get(writer) {
            Some(end) => *end,
            None => self.inventory_noting().chain_end(writer)?,
        };
        let told = facts.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        let salted = told.map(|(name, value)| {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(std::io::Error::other)?;
            Ok(Fact::new(name, value, salt))
        });
        let facts = salted.collect::<Result<Vec<Fact>, std::io::Error>>()?;
        let exhibit = Exhibit::after(&end, writer, (at, kind), facts);
        self.chains.insert(writer.to_owned(), ChainEnd { count: exhibit.sequence, head: exhibit.hash });
        let value = serde_json::to_vec(&exhibit).map_err(|error| StoreError::Codec(error.to_string()))?;
        let end = rows::encode(&(exhibit.sequence, exhibit.hash.0))?;
        self.push(Op::Put { table: META, key: key(writer), value: end });
        self.push(Op::Append { stream: STREAM, value });
        Ok(())
    }
}

fn key(writer: &str) -> Vec<u8> {
    [CHAIN, writer.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, evidence::Verifier};

    fn witness(store: &dyn Store, writer: &str, at: i64) {
        let time = Time::from_seconds(at);
        let mut draft = Draft::new(Inventory::of(store), time);
        let facts = [("by", Some("ann".to_owned())), ("control", None)];
        // Two of them in one commit, one behind the other.
        for _ in 0..2 {
            draft.witness(writer, (time, "decision.asked"), &facts).unwrap();
        }
        draft.commit().unwrap();
    }

    #[test]
    fn entries_follow_each_other_in_chains_of_their_writers() {
        let store = crate::memory();
        for (at, writer) in [(1, "one"), (2, "two"), (3, "one"), (4, "one")] {
            witness(&store, writer, at);
        }
        let inventory = Inventory::of(&store);
        let (mut verifier, mut seen) = (Verifier::default(), Vec::new());
        inventory
            .each_exhibit(&mut |exhibit| {
                assert!(verifier.take(&serde_json::to_vec(&exhibit).unwrap()));
                assert_eq!((exhibit.fact("by"), exhibit.fact("control")), (Some("ann"), None));
                seen.push((exhibit.writer, exhibit.sequence));
                Ok(Go::On)
            })
            .unwrap();
        let wanted = [("one", 1), ("one", 2), ("two", 1), ("two", 2), ("one", 3), ("one", 4), ("one", 5), ("one", 6)]
            .map(|(writer, at)| (writer.to_owned(), at));
        assert_eq!(seen, wanted);
        let ends = inventory.chain_ends().unwrap();
        assert_eq!(
            ends.iter().map(|(writer, end)| (writer.as_str(), end.count)).collect::<Vec<_>>(),
            [("one", 6), ("two", 2)]
        );
        let heads = ["one", "two"].map(|writer| inventory.chain_end(writer).unwrap().head);
        let report = verifier.report(&heads);
        assert!(report.holds && report.entries == 8, "{report:?}");
    }
}
