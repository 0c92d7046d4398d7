//! Finds the owners of the labelled corpus and prints how often, how rightly and how fast. `cargo run --release --example
//! owning --features testing -p provost-engine [SEED …]`. It must never be counted as a test: those are beside `own`.

#![allow(clippy::print_stdout, reason = "a benchmark is read on the terminal")]

use std::time::Instant;

use provost_engine::own::{Owning, corpus::Owned};

fn main() {
    let mut seeds: Vec<u64> = std::env::args().skip(1).filter_map(|it| it.parse().ok()).collect();
    if seeds.is_empty() {
        seeds.push(2026);
    }
    println!("| seed | identities | owner ≥ 0.6 | right | owner ≥ 0.8 | right | µs each |");
    println!("|---|---|---|---|---|---|---|");
    for seed in seeds {
        let owned = Owned::of(seed);
        let began = Instant::now();
        let found = owned.measure(&Owning::default());
        let took = began.elapsed().as_secs_f64() * 1e6 / f64::from(found.identities.max(1));
        println!(
            "| {seed} | {} | {:.1} % | {:.1} % | {:.1} % | {:.1} % | {took:.1} |",
            found.identities,
            found.likely_share() * 100.0,
            found.likely_precision() * 100.0,
            found.sure_share() * 100.0,
            found.sure_precision() * 100.0,
        );
    }
}
