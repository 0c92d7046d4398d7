//! What loading a store in a database costs: records with their indexes through `inventory::Draft`, new and touched.
//! It must never be a test: it prints figures and asserts nothing.
//!
//! `cargo run --release -p provost-store --example database -- postgres://… [IDENTITIES [plain]]`: an empty database; two
//! credentials for each identity; `plain` leaves out the documents for people

#![allow(clippy::print_stdout, reason = "printing is all it does")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed measurement may end the program")]

use std::time::Instant;

use provost_model::{
    Change, Facts, Key, Kind, PartId, Realm, Record, RecordId, Scope, Span, Standing, Statement, Status, Time, What,
    field,
};
use provost_store::{
    Postgres, PostgresOptions, Shown, Store,
    inventory::{self, Draft, Inventory, RECORDS},
};

const AT: Time = Time::from_seconds(1_790_000_000);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("the address of an empty database");
    let identities: u64 = arguments.next().map_or(10_000, |count| count.parse().expect("a number of identities"));
    let shown = Shown { projector: inventory::shown, views: inventory::VIEWS, version: inventory::VIEWS_VERSION };
    let shown = arguments.next().is_none().then_some(shown);
    let store = Postgres::open(&url, PostgresOptions { shown, ..PostgresOptions::default() }).unwrap();
    for (name, what, day) in [("new", What::Appeared, 0), ("touched a day later", What::Touched, 1)] {
        let begun = Instant::now();
        let (mut records, mut commits) = (0_u64, 0_u64);
        let mut made = 0.0;
        let mut number = 0;
        while number < identities {
            let mut draft = Draft::new(Inventory::of(&store), AT + Span::days(day));
            let scope = draft.open_scope("source", &Scope::new(Realm::new("aws", "1"), "users")).unwrap();
            let first = number;
            while number < identities && !draft.is_full() {
                for after in household(number, scope.number, day) {
                    if what == What::Appeared {
                        draft.born(after.id);
                    }
                    draft.apply(Change { what, after, fields: Vec::new(), aliases: Vec::new() }).unwrap();
                    records += 1;
                }
                number += 1;
            }
            made += (number - first) as f64;
            draft.put_scope(scope);
            draft.commit().unwrap();
            commits += 1;
        }
        let took = begun.elapsed().as_secs_f64();
        println!(
            "{name}: {records} records in {took:.2} s, {:.0}/s, {commits} commits, {made:.0}",
            records as f64 / took
        );
    }
    let begun = Instant::now();
    let mut seen = 0;
    let mut each = |_: &[u8], _| {
        seen += 1;
        Ok(provost_store::Go::On)
    };
    store.scan(RECORDS, &provost_store::KeyRange::all(), None, &mut each).unwrap();
    println!("read through: {seen} records in {:.2} s", begun.elapsed().as_secs_f64());
    let mut took: Vec<_> = (0..2_000)
        .map(|number| {
            let begun = Instant::now();
            store.get(RECORDS, id(number % identities, 0).as_bytes(), None).unwrap().unwrap();
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!(
        "looked up: median {:?}, p95 {:?}; {} MiB",
        took.get(1_000),
        took.get(1_900),
        store.space().unwrap().used >> 20
    );
}

fn id(number: u64, part: u8) -> RecordId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[15] = part;
    RecordId::from_bytes(bytes)
}

/// An identity and two credentials.
fn household(number: u64, scope: provost_model::ScopeNo, day: i64) -> Vec<Record> {
    let realm = Realm::new("aws", "100000000000");
    let user = Key::new(realm.clone(), Kind::User, format!("AIDA{number:016}"));
    let statement =
        |facts| Statement { scope, part: PartId::WHOLE, as_of: AT, recorded: AT, standing: Standing::Seen, facts };
    let record = |part, kind, externals, facts| Record {
        id: id(number, part),
        kind,
        realm: realm.clone(),
        externals,
        identity: (part > 0).then(|| user.clone()),
        container: (part > 0).then(|| user.clone()),
        first_seen: AT,
        baseline: false,
        statements: vec![statement(facts)],
    };
    let facts = Facts::new()
        .with(field::NAME, format!("svc-{number}"))
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, AT - Span::days(i64::try_from(number % 900).unwrap()))
        .with(field::PATH, "/service/".to_owned())
        .with(field::ARN, format!("arn:aws:iam::100000000000:user/service/svc-{number}"))
        .with(field::GROUPS, vec![format!("team-{}-deployers", number % 400)])
        .with(field::ADMIN, number.is_multiple_of(40))
        .with(field::MFA, false);
    let arn = format!("arn:aws:iam::100000000000:user/service/svc-{number}");
    let mut all = vec![record(0, Kind::User, vec![user.external.clone(), arn], facts)];
    for part in [1, 2] {
        let key = format!("AKIA{part}{number:015}");
        let facts = Facts::new()
            .with(field::NAME, key.clone())
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, AT - Span::days(400))
            .with(field::ROTATED_AT, AT - Span::days(400))
            .with(field::LAST_USED_AT, AT + Span::days(day))
            .with(field::LAST_USED_SERVICE, "s3".to_owned())
            .with(field::KEY_ID, key.clone());
        all.push(record(part, Kind::AccessKey, vec![key], facts));
    }
    all
}
