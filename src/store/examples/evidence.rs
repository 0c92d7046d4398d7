//! How fast evidence is checked, and whether a changed byte is found in a long chain.
//! It must never be a test: it prints figures.
//!
//! `cargo run --release -p provost-store --example evidence [ENTRIES]`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "an example measures and prints"
)]

use std::time::Instant;

use provost_model::Time;
use provost_store::evidence::{ChainEnd, Exhibit, Fact, Verifier};

/// Bytes changed, one at a time, spread over the file.
const CHANGES: usize = 50;

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(100_000, |word| word.parse().unwrap());
    let mut lines = Vec::new();
    let mut end = ChainEnd::default();
    for number in 1..=count {
        let salt = number.to_be_bytes().repeat(2).try_into().unwrap();
        let fact = |name: &str, value: String| Fact::new(name, &value, salt);
        let facts = vec![
            fact("decision", format!("01a226f6-d978-7bcb-9536-{number:012x}")),
            fact("subject", format!("01a226f6-d978-7bcb-9537-{number:012x}")),
            fact("ruling", "accept".into()),
            fact("rules", "CRED-AGE CRED-STALE".into()),
            fact("by", "ann".into()),
            fact("purpose", "replaced in spring".into()),
            fact("policy", "0123456789abcdef".into()),
        ];
        let at = Time::from_seconds(1_790_000_000 + i64::try_from(number).unwrap());
        let entry = Exhibit::after(&end, "decisions", (at, "decision.asked"), facts);
        end = entry.end();
        lines.push(serde_json::to_vec(&entry).unwrap());
    }
    let bytes: usize = lines.iter().map(Vec::len).sum();
    let begun = Instant::now();
    let mut verifier = Verifier::default();
    assert!(lines.iter().all(|line| verifier.take(line)));
    let took = begun.elapsed().as_secs_f64();
    assert!(verifier.report(&[end.head]).holds);
    println!(
        "{count} entries of 7 facts, {} bytes each: {:.0} a second on one core",
        bytes / lines.len(),
        count as f64 / took
    );
    let mut found = 0;
    for change in 0..CHANGES {
        let line = (change * 7_919 + 13) % lines.len();
        let place = (change * 104_729) % lines[line].len();
        let mut changed = lines[line].clone();
        changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
        let mut verifier = Verifier::default();
        for (number, text) in lines.iter().enumerate() {
            if !verifier.take(if number == line { &changed } else { text }) {
                break;
            }
        }
        let bad = verifier.report(&[end.head]).first_bad.unwrap();
        found += usize::from(bad.line == line as u64 + 1 || bad.line == line as u64 + 2);
    }
    println!("{found} of {CHANGES} changed bytes were located");
}
