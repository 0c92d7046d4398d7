//! Links the labelled corpus and prints how well, in pairs of records, and how fast. `cargo run --release --example
//! linking --features testing -p provost-engine [SEED …]`. It must never be counted as a test: those are beside `link`.

#![allow(clippy::print_stdout, reason = "a benchmark is read on the terminal")]

use std::{collections::BTreeSet, time::Instant};

use provost_engine::link::{
    Apart, Member,
    corpus::{Corpus, Score},
    grouping,
};
use provost_model::Unites;

fn main() {
    let mut seeds: Vec<u64> = std::env::args().skip(1).filter_map(|it| it.parse().ok()).collect();
    if seeds.is_empty() {
        seeds.push(2026);
    }
    println!("| seed | records | things | keyed | groups | held keys | precision | recall | ms |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for seed in seeds {
        let corpus = Corpus::of(seed);
        for unites in Unites::ALL {
            let members: Vec<Member> = corpus.records.iter().map(|it| Member::of(&it.record, unites)).collect();
            let members: Vec<Member> = members.into_iter().filter(|it| !it.keys.is_empty()).collect();
            let began = Instant::now();
            let found = grouping(&members, &BTreeSet::new(), &Apart::default());
            let took = began.elapsed();
            let score = Score::of(found.groups.iter().map(|it| it.members.as_slice()), &corpus.truth(unites));
            println!(
                "| {seed} | {} | {} | {} | {} | {} | {:.2} % | {:.2} % | {} |",
                corpus.records.len(),
                unites.word(),
                members.len(),
                found.groups.len(),
                found.held.len(),
                score.precision() * 100.0,
                score.recall() * 100.0,
                took.as_millis()
            );
        }
    }
}
