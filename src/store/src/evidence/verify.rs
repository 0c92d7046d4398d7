//! Whether a file of evidence holds: entry by entry, without the store that it came from.
//! It must never say that all is well without saying what could not be excluded.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ChainEnd, Checkpoint, Exhibit, Hash};

/// Longest line taken, in bytes.
const LINE_MAX: usize = 1 << 20;
/// How a line begins that holds a checkpoint.
const CHECKPOINT: &[u8] = b"{\"checkpoint\":";

/// A line that holds a checkpoint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    checkpoint: Checkpoint,
}

/// Goes through a file line by line.
#[derive(Debug, Default)]
pub struct Verifier {
    lines: u64,
    chains: BTreeMap<String, Chain>,
    left_out: u64,
    first_bad: Option<Bad>,
    /// Keys whose checkpoints are believed; any if there are none.
    keys: BTreeSet<Hash>,
    /// Checkpoints that were kept elsewhere and are not met yet.
    expected: BTreeMap<(String, u64), Hash>,
    /// Up to which entry a checkpoint vouches for a chain.
    vouched: BTreeMap<String, u64>,
    checkpoints: u64,
}

#[derive(Clone, Copy, Debug)]
struct Chain {
    /// The sequence number of its first entry here.
    first: u64,
    end: ChainEnd,
}

/// The first entry that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bad {
    /// Its line, counted from 1.
    pub line: u64,
    /// Whose chain it says to be of, and which entry, as far as that can be read.
    pub entry: Option<(String, u64)>,
    /// What is wrong.
    pub said: String,
}

/// One chain of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// Whose it is.
    pub writer: String,
    /// Its first entry here.
    pub first: u64,
    /// Its last entry here.
    pub last: u64,
    /// The hash of the last.
    pub head: Hash,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything that is there holds.
    pub holds: bool,
    /// Entries read.
    pub entries: u64,
    /// The chains.
    pub chains: Vec<ChainReport>,
    /// Checkpoints that hold.
    pub checkpoints: u64,
    /// Facts that were left out: their digests are in the chain, what they said is not in the file.
    pub left_out: u64,
    /// The first entry that does not hold.
    pub first_bad: Option<Bad>,
    /// What could not be excluded.
    pub not_excluded: Vec<String>,
}

impl Verifier {
    /// Believes checkpoints of that key, and from then on of no other that is not named too.
    pub fn trust(&mut self, key: Hash) {
        self.keys.insert(key);
    }

    /// Expects what a line says that was kept elsewhere: a checkpoint that an entry of the file has to meet.
    pub fn expect(&mut self, line: &[u8]) -> Result<(), String> {
        let line: Line = serde_json::from_slice(line).map_err(|error| format!("it is no checkpoint ({error})"))?;
        self.believed(&line.checkpoint)?;
        self.expected.insert((line.checkpoint.writer, line.checkpoint.count), line.checkpoint.head);
        Ok(())
    }

    fn believed(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        if !self.keys.is_empty() && !self.keys.contains(&checkpoint.key) {
            return Err(format!("the checkpoint is of another key, {}", checkpoint.key));
        }
        if checkpoint.is_signed() { Ok(()) } else { Err("the signature of the checkpoint does not hold".to_owned()) }
    }

    /// A checkpoint in the file itself: of the chain as it is at that line.
    fn checked(&mut self, line: &[u8]) -> Result<(), String> {
        let line: Line = serde_json::from_slice(line).map_err(|error| format!("it is no checkpoint ({error})"))?;
        let checkpoint = line.checkpoint;
        self.believed(&checkpoint)?;
        let end = self.chains.get(&checkpoint.writer).map(|chain| chain.end).unwrap_or_default();
        if (checkpoint.count, checkpoint.head) != (end.count, end.head) {
            let (writer, count) = (&checkpoint.writer, checkpoint.count);
            return Err(format!(
                "the checkpoint is of {writer} at entry {count}, and what stands before it is not that"
            ));
        }
        self.vouch(&checkpoint.writer, checkpoint.count);
        Ok(())
    }

    fn vouch(&mut self, writer: &str, count: u64) {
        self.checkpoints += 1;
        let vouched = self.vouched.entry(writer.to_owned()).or_default();
        *vouched = count.max(*vouched);
    }

    /// Takes the next line. After the first that does not hold nothing is looked at any more; gives whether to go on.
    pub fn take(&mut self, line: &[u8]) -> bool {
        self.lines += 1;
        if self.first_bad.is_some() || line.trim_ascii().is_empty() {
            return self.first_bad.is_none();
        }
        if line.len() > LINE_MAX {
            return self.bad(None, format!("it is longer than {} KiB", LINE_MAX >> 10));
        }
        if line.trim_ascii_start().starts_with(CHECKPOINT) {
            return match self.checked(line) {
                Ok(()) => true,
                Err(said) => self.bad(None, said),
            };
        }
        let Ok(text) = std::str::from_utf8(line) else { return self.bad(None, "it is no text".to_owned()) };
        let entry: Exhibit = match serde_json::from_str(text) {
            Ok(entry) => entry,
            Err(error) => return self.bad(None, format!("it is no entry ({error})")),
        };
        match self.held(&entry) {
            Ok(()) => true,
            Err(said) => self.bad(Some((entry.writer, entry.sequence)), said),
        }
    }

    fn held(&mut self, entry: &Exhibit) -> Result<(), String> {
        for fact in &entry.facts {
            self.left_out += u64::from(!fact.holds()?);
        }
        if entry.computed() != entry.hash {
            return Err("it was changed: its hash is another".to_owned());
        }
        match self.chains.get_mut(&entry.writer) {
            None => {
                if entry.sequence == 1 && entry.previous != Hash::default() {
                    return Err("it says to be the first of its chain, and follows another".to_owned());
                }
                self.chains.insert(entry.writer.clone(), Chain { first: entry.sequence, end: entry.end() });
            }
            Some(chain) => {
                let expected = chain.end.count + 1;
                if entry.sequence != expected {
                    return Err(format!("entry {expected} is expected here: some were removed, inserted or moved"));
                }
                if entry.previous != chain.end.head {
                    return Err("it does not follow the entry before: that one is another than it was".to_owned());
                }
                chain.end = entry.end();
            }
        }
        if self.expected.is_empty() {
            return Ok(());
        }
        match self.expected.remove(&(entry.writer.clone(), entry.sequence)) {
            Some(head) if head != entry.hash => Err("it is not the entry that a checkpoint vouches for".to_owned()),
            Some(_) => {
                self.vouch(&entry.writer, entry.sequence);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn bad(&mut self, entry: Option<(String, u64)>, said: String) -> bool {
        self.first_bad = Some(Bad { line: self.lines, entry, said });
        false
    }

    /// What came of it; `heads` are hashes of last entries that were kept elsewhere.
    pub fn report(self, heads: &[Hash]) -> Report {
        let mut not_excluded = Vec::new();
        let mut first_bad = self.first_bad;
        let mut unmet: Vec<&Hash> = heads.iter().collect();
        let mut vouched_whole = !self.keys.is_empty();
        for (writer, chain) in &self.chains {
            if chain.first > 1 {
                not_excluded
                    .push(format!("what entries 1 to {} of {writer} say: they are not in the file", chain.first - 1));
            }
            let before = unmet.len();
            unmet.retain(|head| **head != chain.end.head);
            if unmet.len() == before && first_bad.is_none() {
                not_excluded.push(format!(
                    "that entries of {writer} after {} were cut off: give --head with its last hash, or a later --checkpoint, \
                     kept elsewhere",
                    chain.end.count
                ));
            }
            vouched_whole &= self.vouched.get(writer) == Some(&chain.end.count);
        }
        for (writer, count) in self.expected.keys() {
            match self.chains.get(writer) {
                Some(chain) if *count < chain.first => {
                    not_excluded
                        .push(format!("what a checkpoint says of {writer} at entry {count}: it is not in the file"));
                }
                _ if first_bad.is_none() => {
                    let said =
                        format!("a checkpoint vouches for entry {count} of {writer}, which is not there: cut off");
                    first_bad = Some(Bad { line: self.lines, entry: Some((writer.clone(), *count)), said });
                }
                _ => {}
            }
        }
        if self.left_out > 0 {
            not_excluded.push(format!("what the {} facts said that were left out", self.left_out));
        }
        if !vouched_whole {
            let said = "that a whole chain was written anew by whoever can write where it is kept: give --key, of which a \
                        checkpoint vouches for its last entry";
            not_excluded.push(said.to_owned());
        }
        if let (None, Some(head)) = (&first_bad, unmet.first()) {
            let said = format!("no chain ends with {head}: its tail was cut off, or it is another chain");
            first_bad = Some(Bad { line: self.lines, entry: None, said });
        }
        let chain = |(writer, chain): (String, Chain)| ChainReport {
            writer,
            first: chain.first,
            last: chain.end.count,
            head: chain.end.head,
        };
        let chains: Vec<ChainReport> = self.chains.into_iter().map(chain).collect();
        let entries = chains.iter().map(|chain| chain.last + 1 - chain.first).sum();
        let (left_out, checkpoints) = (self.left_out, self.checkpoints);
        Report { holds: first_bad.is_none(), entries, chains, checkpoints, left_out, first_bad, not_excluded }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use provost_model::Time;

    use super::*;
    use crate::evidence::{Fact, Signer};

    fn lines(count: u64) -> Vec<String> {
        let mut end = ChainEnd::default();
        let entry = |number: u64| {
            let salt = [u8::try_from(number % 251).unwrap(); 16];
            let facts = vec![Fact::new("by", "ann", salt), Fact::new("number", &number.to_string(), salt)];
            let at = Time::from_seconds(i64::try_from(number).unwrap());
            let entry = Exhibit::after(&end, "local", (at, "decision.asked"), facts);
            end = entry.end();
            serde_json::to_string(&entry).unwrap()
        };
        (1..=count).map(entry).collect()
    }

    fn verify(lines: &[String], heads: &[Hash]) -> Report {
        let mut verifier = Verifier::default();
        for line in lines {
            if !verifier.take(line.as_bytes()) {
                break;
            }
        }
        verifier.report(heads)
    }

    fn entry(line: &str) -> Exhibit {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_whole_chain_holds_and_says_what_it_cannot_exclude() {
        let all = lines(9);
        let report = verify(&all, &[]);
        assert!(report.holds && report.entries == 9, "{report:?}");
        assert!(report.not_excluded.iter().any(|it| it.contains("after 9 were cut off")), "{report:?}");
        let head = entry(&all[8]).hash;
        let with_head = verify(&all, &[head]);
        assert!(with_head.holds && !with_head.not_excluded.iter().any(|it| it.contains("cut off")));
        let cut = verify(&all[..8], &[head]);
        assert!(!cut.holds && cut.first_bad.unwrap().said.contains("cut off"));
        let part = verify(&all[3..], &[head]);
        assert!(part.holds && part.not_excluded[0].contains("entries 1 to 3"), "{part:?}");
    }

    #[test]
    fn removed_inserted_moved_and_changed_entries_are_named() {
        let all = lines(9);
        let at = |lines: &[String]| verify(lines, &[]).first_bad.map(|bad| bad.line);
        let mut removed = all.clone();
        removed.remove(4);
        assert_eq!(at(&removed), Some(5));
        let mut inserted = all.clone();
        inserted.insert(4, all[2].clone());
        assert_eq!(at(&inserted), Some(5));
        let mut moved = all.clone();
        moved.swap(4, 5);
        assert_eq!(at(&moved), Some(5));
        // Changed with a hash that fits: the next one tells.
        let mut forged = entry(&all[4]);
        forged.facts[0] = Fact::new("by", "bob", [9; 16]);
        forged.hash = forged.computed();
        let mut changed = all.clone();
        changed[4] = serde_json::to_string(&forged).unwrap();
        assert_eq!(at(&changed), Some(6));
        // A fact that is told otherwise than its digest says.
        let mut told = entry(&all[4]);
        told.facts[0].value = Some("bob".to_owned());
        changed[4] = serde_json::to_string(&told).unwrap();
        assert_eq!(at(&changed), Some(5));
        // The last one cut off and written anew without a head is what cannot be found.
        assert_eq!(at(&all[..8]), None);
        assert!(!verify(&["{".repeat(LINE_MAX + 1)], &[]).holds);
    }

    fn checkpoint(signer: &Signer, of: &str) -> String {
        let end = entry(of).end();
        let checkpoint = signer.sign("local", &end, Time::from_seconds(99));
        format!("{{\"checkpoint\":{}}}", serde_json::to_string(&checkpoint).unwrap())
    }

    #[test]
    fn a_checkpoint_vouches_for_what_stands_before_it_and_finds_what_was_cut_off() {
        let (all, signer) = (lines(9), Signer::of_seed(&[3; 32]).unwrap());
        let signed = [all.as_slice(), &[checkpoint(&signer, &all[8])]].concat();
        let with = |lines: &[String], key: Option<Hash>, kept: &[String]| {
            let mut verifier = Verifier::default();
            key.into_iter().for_each(|key| verifier.trust(key));
            kept.iter().for_each(|line| verifier.expect(line.as_bytes()).unwrap());
            lines.iter().all(|line| verifier.take(line.as_bytes()));
            verifier.report(&[])
        };
        let anew = |report: &Report| report.not_excluded.iter().any(|it| it.contains("written anew"));
        let trusted = with(&signed, Some(signer.key()), &[]);
        assert!(trusted.holds && trusted.checkpoints == 1 && !anew(&trusted), "{trusted:?}");
        assert!(anew(&with(&signed, None, &[])), "anybody can make a key");
        assert!(anew(&with(&all, Some(signer.key()), &[])), "no checkpoint vouches for it");
        let stranger = Signer::of_seed(&[4; 32]).unwrap();
        let other = with(&signed, Some(stranger.key()), &[]);
        assert!(other.first_bad.unwrap().said.contains("another key"));
        // It was put behind another entry than the one it was made for.
        let misplaced = [&all[..5], &[checkpoint(&signer, &all[8])], &all[5..]].concat();
        assert_eq!(with(&misplaced, None, &[]).first_bad.unwrap().line, 6);
        // Kept elsewhere, one finds the cut and the change; an older one is met on the way.
        let kept = [checkpoint(&signer, &all[6])];
        assert!(with(&all, None, &kept).holds && with(&all, None, &kept).checkpoints == 1);
        let cut = with(&all[..6], None, &kept);
        assert!(!cut.holds && cut.first_bad.unwrap().said.contains("entry 7"));
        let mut forged = entry(&all[6]);
        forged.at = Time::from_seconds(1_000);
        forged.hash = forged.computed();
        let forged = [&all[..6], &[serde_json::to_string(&forged).unwrap()]].concat();
        assert_eq!(with(&forged, None, &kept).first_bad.unwrap().line, 7);
        let later = with(&all[7..], None, &kept);
        assert!(later.holds && later.not_excluded.iter().any(|it| it.contains("at entry 7")), "{later:?}");
        let mut verifier = Verifier::default();
        let broken = kept[0].replace("\"count\":7", "\"count\":8");
        assert!(verifier.expect(broken.as_bytes()).unwrap_err().contains("signature"));
    }

    #[test]
    fn what_is_left_out_is_counted_and_the_rest_still_checked() {
        let all = lines(5);
        let redacted: Vec<String> =
            all.iter().map(|line| serde_json::to_string(&entry(line).without(&|name| name == "by")).unwrap()).collect();
        let report = verify(&redacted, &[entry(&all[4]).hash]);
        assert!(report.holds && report.left_out == 5, "{report:?}");
        let mut half = entry(&redacted[1]);
        half.facts[0].value = Some("ann".to_owned());
        let mut wrong = redacted;
        wrong[1] = serde_json::to_string(&half).unwrap();
        assert_eq!(verify(&wrong, &[]).first_bad.unwrap().line, 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// Whichever byte is changed in whichever way, the line it stands in or the next is named, or the text means the
        /// same as before.
        #[test]
        fn a_changed_byte_is_found(line in 0_usize..20, at in 0.0..1.0_f64, to in any::<u8>()) {
            let all = lines(20);
            let mut bytes = all[line].clone().into_bytes();
            let place = ((bytes.len() - 1) as f64 * at) as usize;
            prop_assume!(bytes[place] != to && to != b'\n');
            bytes[place] = to;
            let mut verifier = Verifier::default();
            let head = entry(&all[19]).hash;
            for (number, text) in all.iter().enumerate() {
                let text = if number == line { bytes.as_slice() } else { text.as_bytes() };
                if !verifier.take(text) {
                    break;
                }
            }
            let same = serde_json::from_slice::<Exhibit>(&bytes).is_ok_and(|it| it == entry(&all[line]));
            let report = verifier.report(&[head]);
            match &report.first_bad {
                Some(bad) => prop_assert!(bad.line == line as u64 + 1 || bad.line == line as u64 + 2 || bad.line == 20),
                None => prop_assert!(same, "{}", String::from_utf8_lossy(&bytes)),
            }
        }
    }
}
