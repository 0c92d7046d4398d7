//! How fast the rules are by themselves, on one core: `cargo run --release --example judging -p provost-engine [IDENTITIES]`.
//! Each identity has two access keys, every fourth a grant; owners are found by tags. It must never read a store.

#![allow(clippy::print_stdout, reason = "an example")]

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use provost_engine::{Attribution, Covered, Owning, Roster, Rule, Subject, Thresholds, judge_record, own::Asked};
use provost_model::{
    Facts, Key, Kind, PartId, Realm, Record, RecordId, ScopeNo, Span, Standing, Statement, Status, Time, field,
};

const NOW: Time = Time::from_seconds(1_795_521_600);

struct Household {
    identity: Record,
    credentials: Vec<Record>,
}

fn record(id: u64, kind: Kind, (name, of): (String, Option<Key>), facts: Facts) -> Record {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(id.to_be_bytes()).for_each(|(to, from)| *to = from);
    let (realm, scope) = (Realm::new("aws", "1"), ScopeNo(1));
    let said = Statement { scope, part: PartId::WHOLE, as_of: NOW, recorded: NOW, standing: Standing::Seen, facts };
    Record {
        id: RecordId::from_bytes(bytes),
        kind,
        realm,
        externals: vec![name],
        identity: of,
        container: None,
        first_seen: NOW - Span::days(500),
        baseline: false,
        statements: vec![said],
    }
}

fn household(number: u64) -> Household {
    let ago = |salt: u64| NOW - Span::days(i64::try_from(number.wrapping_mul(salt) % 900).unwrap_or(0));
    let env = if number.is_multiple_of(3) { "prod" } else { "dev" };
    let mut tags = BTreeMap::from([("env".to_owned(), env.to_owned())]);
    if !number.is_multiple_of(10) {
        tags.insert("owner".to_owned(), format!("person-{}@example.com", number % 500));
    }
    let facts = Facts::new()
        .with(field::NAME, format!("svc-{number}"))
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, ago(7))
        .with(field::ARN, format!("arn:aws:iam::1:user/service/svc-{number}"))
        .with(field::PATH, "/service/".to_owned())
        .with(field::TAGS, tags);
    let identity = record(number * 4, Kind::User, (format!("AIDA{number}"), None), facts);
    let credential = |slot: u64| {
        let used = ago(11 + slot);
        let facts = Facts::new()
            .with(field::STATUS, if number % 20 == slot { Status::Inactive } else { Status::Active })
            .with(field::CREATED_AT, ago(13 * slot))
            .with(field::LAST_USED_AT, used)
            .with(field::USAGE_SINCE, ago(13 * slot))
            .with(field::KEY_ID, format!("AKIA{number}-{slot}"));
        record(number * 4 + slot, Kind::AccessKey, (format!("AKIA{number}-{slot}"), Some(identity.key())), facts)
    };
    let mut credentials: Vec<Record> = [1, 2].map(credential).into();
    if number.is_multiple_of(4) {
        let facts = Facts::new().with(field::CREATED_AT, ago(5)).with(field::CLIENT, "deploy-bot".to_owned());
        let named = (format!("grant-{number}"), Some(identity.key()));
        credentials.push(record(number * 4 + 3, Kind::OauthGrant, named, facts));
    }
    Household { identity, credentials }
}

fn main() {
    let identities = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(20_000_u64);
    let households: Vec<Household> = (0..identities).map(household).collect();
    let (owning, roster, sources) = (Owning::default(), Roster::default(), HashMap::new());
    let by = Attribution { owning: &owning, roster: &roster, sources: &sources };
    let covers = [Covered { scope: ScopeNo(1), part: PartId::WHOLE, as_of: NOW, source: "s", path: "users" }];
    let (thresholds, mut known) = (Thresholds::default(), HashMap::new());
    for round in ["everything opens", "nothing changes"] {
        let (mut records, mut asked, mut open, begun) = (0_u64, 0_usize, 0, Instant::now());
        for it in &households {
            let subjects = std::iter::once((&it.identity, false)).chain(it.credentials.iter().map(|it| (it, true)));
            for (record, is_credential) in subjects {
                let identity = is_credential.then_some(&it.identity);
                let owner = Rule::asks_owner(record.kind, record.identity.is_some())
                    .then(|| by.owner_of(&Asked { identity, ..Asked::alone(record) }, NOW))
                    .flatten();
                let (siblings, credentials): (&[Record], &[Record]) =
                    if is_credential { (&it.credentials, &[]) } else { (&[], &it.credentials) };
                let (places, owner) = (&[], owner.as_ref());
                let subject = Subject { record, identity, siblings, credentials, places, owner, covers: &covers };
                let findings = known.entry(record.id).or_insert_with(Vec::new);
                judge_record(&subject, findings, (&thresholds, "owners"), NOW);
                records += 1;
                asked += Rule::about(record.kind).len();
                open += findings.len();
            }
        }
        let spent = begun.elapsed().as_secs_f64();
        println!(
            "{round}: {:.0} identities/s with {:.0} records/s, {:.0} rules asked/s; {open} findings",
            identities as f64 / spent,
            records as f64 / spent,
            asked as f64 / spent
        );
    }
}
