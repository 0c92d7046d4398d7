//! How many views a second the built-in rules judge on one core: a view is one subject with its neighbours given, asked
//! about by every rule about its kind. It must never be a test: it prints figures and asserts nothing.
//!
//! `cargo run --release -p provost-engine --example judging -- [IDENTITIES]`: each with two access keys.

#![allow(clippy::print_stdout, reason = "printing is all it does")]

use std::time::Instant;

use provost_engine::{Covered, Subject, Thresholds, judge_record};
use provost_model::{
    Facts, Finding, Key, Kind, PartId, Reading, Realm, Record, RecordId, ScopeNo, Span, Standing, Statement, Status,
    Time, field,
};

const NOW: Time = Time::from_seconds(1_795_521_600);

/// An identity with its credentials.
struct Household {
    user: Record,
    keys: Vec<Record>,
}

fn main() {
    let identities = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(20_000_u64);
    let households: Vec<Household> = (0..identities).map(household).collect();
    let thresholds = Thresholds::default();
    let covers = [Covered { scope: ScopeNo(1), part: PartId::WHOLE, as_of: NOW, source: "aws", path: "iam/users" }];
    let views = identities * 3;
    let mut known: Vec<Vec<Finding>> = vec![Vec::new(); usize::try_from(views).unwrap_or(0)];
    println!("{identities} identities with two access keys each, {views} views a round");
    for round in ["nothing known", "findings known", "findings known"] {
        let (begun, mut open, mut at) = (Instant::now(), 0, 0);
        for it in &households {
            let alone = Subject { covers: &covers, ..Subject::alone(&it.user) };
            let user = Subject { credentials: &it.keys, ..alone };
            let key = |record| Subject { record, identity: Some(&it.user), siblings: &it.keys, ..alone };
            for subject in std::iter::once(user).chain(it.keys.iter().map(key)) {
                if let Some(findings) = known.get_mut(at) {
                    judge_record(&subject, findings, (&thresholds, "owners"), NOW);
                    open += findings.len();
                }
                at += 1;
            }
        }
        let took = begun.elapsed().as_secs_f64();
        let (a_second, each) = (views as f64 / took, took * 1e9 / views as f64);
        println!("{round:<16} {a_second:>12.0} views/s  {each:>6.0} ns a view  {open} findings");
    }
}

fn household(number: u64) -> Household {
    let owned = std::collections::BTreeMap::from([("owner".to_owned(), "payments".to_owned())]);
    // One in twenty is idle, has an old key, or is nobody's.
    let odd = |salt: u64| (number * 7 + salt).is_multiple_of(20);
    let name = format!("AIDA{number:012}");
    let user = Facts::new()
        .with(field::NAME, format!("service-{number}"))
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, NOW - Span::days(300))
        .with(field::NATURE, "machine".to_owned())
        .with(field::ARN, format!("arn:aws:iam::123456789012:user/service-{number}"))
        .with(field::PATH, "/".to_owned())
        .with(field::ADMIN, false)
        .with(field::TAGS, if odd(1) { std::collections::BTreeMap::new() } else { owned });
    let key = |slot: u64| {
        let born = if odd(slot + 2) { 200 } else { 40 };
        let facts = Facts::new()
            .with(field::STATUS, if slot == 0 { Status::Active } else { Status::Inactive })
            .with(field::CREATED_AT, NOW - Span::days(born))
            .with(field::LAST_USED_AT, NOW - Span::days(if odd(slot + 4) { 100 } else { 1 }))
            .with(field::LAST_USED_SERVICE, "s3".to_owned())
            .with(field::LAST_USED_REGION, "eu-west-1".to_owned())
            .with(field::USAGE_SINCE, NOW - Span::days(1000))
            .with(field::EXPIRES_AT, Reading::NotReported)
            .with(field::KEY_ID, format!("AKIA{slot}{number:011}"));
        record((number << 2) + slot + 1, (Kind::AccessKey, &format!("AKIA{slot}{number:011}")), facts, Some(&name))
    };
    let keys = vec![key(0), key(1)];
    Household { user: record(number << 2, (Kind::User, &name), user, None), keys }
}

fn record(id: u64, (kind, name): (Kind, &str), facts: Facts, of: Option<&str>) -> Record {
    let realm = Realm::new("aws", "123456789012");
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().rev().zip(id.to_le_bytes()) {
        *to = from;
    }
    let said = Statement {
        scope: ScopeNo(1),
        part: PartId::WHOLE,
        as_of: NOW - Span::hours(1),
        recorded: NOW - Span::hours(1),
        standing: Standing::Seen,
        facts,
    };
    Record {
        id: RecordId::from_bytes(bytes),
        kind,
        externals: vec![name.to_owned()],
        identity: of.map(|name| Key::new(realm.clone(), Kind::User, name)),
        realm,
        container: None,
        first_seen: NOW - Span::days(300),
        baseline: false,
        statements: vec![said],
    }
}
