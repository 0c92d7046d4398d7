//! One credential in two places: what three connectors say of an AWS key, put together, with what shows it; and names,
//! which link nothing.

use std::{collections::BTreeMap, sync::Arc};

use provost::{
    cli::custody::{CustodyRow, TieRow},
    commands,
    jobs::{
        judge::{self, Yardstick},
        link,
    },
};
use provost_model::{Entity, FindingState, Key, Kind, Realm, Record, RecordId, Span, Status, Time, field};
use provost_store::Go;

use super::script::{Desk, Lists, Nobody};

const KEY_ID: &str = "AKIAQ2W3E4R5T6Y7U8I9";
const PRINT: &str = "k1:000102030405060708090a0b0c0d0e0f";

fn aws() -> Realm {
    Realm::new("aws", "123456789012")
}

fn github() -> Realm {
    Realm::new("github", "org/1")
}

fn vault() -> Realm {
    Realm::new("openbao", "c1")
}

fn long_ago(desk: &Desk) -> Time {
    desk.house.now() - Span::days(200)
}

/// The user, its key, and a role that reads secrets.
fn at_aws(desk: &Desk) -> Vec<Entity> {
    let user = Key::new(aws(), Kind::User, "AIDA1");
    let key = Entity::new(Key::new(aws(), Kind::AccessKey, KEY_ID), KEY_ID)
        .of(user.clone())
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, long_ago(desk))
        .with(field::KEY_ID, KEY_ID.to_owned());
    let role = Entity::new(Key::new(aws(), Kind::Role, "AROA1"), "shop")
        .with(field::ARN, "arn:aws:iam::123456789012:role/shop".to_owned());
    vec![Entity::new(user, "deploy").with(field::STATUS, Status::Active), key, role]
}

/// Settings and secrets of a repository's CI. Of secrets only names are told; the value of a variable is, and it may be
/// the public half of a key.
fn at_github() -> Vec<Entity> {
    let item = |sort: &str, name: &str, store: &str| {
        Entity::new(Key::new(github(), Kind::Secret, format!("repos/7/actions/{sort}/{name}")), name)
            .with(field::LOCATION, "acme/shop".to_owned())
            .with(field::STORE_KIND, store.to_owned())
    };
    let variable = item("variables", "AWS_ACCESS_KEY_ID", "variable");
    let secret = |name: &str| item("secrets", name, "github_actions").with(field::PLAINTEXT, false);
    vec![
        variable.with(field::KEY_ID, KEY_ID.to_owned()).with(field::OPENS, KEY_ID.to_owned()),
        secret("AWS_SECRET_ACCESS_KEY"),
        secret("DEPLOY_TOKEN"),
    ]
}

/// A path that may be read: the value was fingerprinted, and the key id stands beside it.
fn in_vault(desk: &Desk) -> Vec<Entity> {
    let read = desk.house.now() - Span::days(2);
    let readers = BTreeMap::from([("arn:aws:iam::123456789012:role/shop".to_owned(), read.to_string())]);
    let item = |path: &str| {
        Entity::new(Key::new(vault(), Kind::Secret, path), path).with(field::STORE_KIND, "vault_kv".to_owned())
    };
    let kept = item("secret/ci/aws")
        .with(field::PLAINTEXT, true)
        .with(field::FINGERPRINT, PRINT.to_owned())
        .with(field::KEY_ID, KEY_ID.to_owned())
        .with(field::READERS, readers)
        .with(field::READS_SINCE, read - Span::days(30));
    vec![kept, item("secret/deploy").with(field::PLAINTEXT, false)]
}

/// All three looked at, grouped and judged.
fn looked_at() -> Desk {
    let desk = Desk::new();
    look(&desk, at_github());
    desk
}

fn look(desk: &Desk, github_says: Vec<Entity>) {
    let said = [("aws", aws(), at_aws(desk)), ("github", github(), github_says), ("vault", vault(), in_vault(desk))];
    for (source, realm, things) in said {
        desk.through(source, Arc::new(Lists { realm, things }), Box::new(Nobody)).unwrap();
    }
    let ids: Vec<RecordId> = records(desk).iter().map(|record| record.id).collect();
    link::touched(&desk.house, &ids).unwrap();
    judge::touched(&desk.house, &Yardstick::default(), &ids).unwrap();
}

fn records(desk: &Desk) -> Vec<Record> {
    let mut all = Vec::new();
    let mut each = |record: Record, _| {
        all.push(record);
        Ok(Go::On)
    };
    desk.house.inventory().each_record(None, &mut each).unwrap();
    all
}

fn called(desk: &Desk, name: &str) -> Record {
    records(desk).into_iter().find(|record| record.name() == name).unwrap_or_else(|| panic!("{name}"))
}

/// What the page of a record shows.
fn custody(desk: &Desk, of: &Record) -> CustodyRow {
    commands::custody::custody(desk.house.inventory(), of).unwrap().unwrap()
}

fn systems(desk: &Desk, ties: &[TieRow]) -> Vec<String> {
    let realm = |id| desk.house.inventory().record(id, None).unwrap().unwrap().realm.provider().to_owned();
    let mut systems: Vec<String> = ties.iter().map(|tie| realm(tie.id)).collect();
    systems.sort();
    systems
}

fn hints(row: &CustodyRow) -> Vec<(&str, f64)> {
    row.hints.iter().map(|hint| (hint.words.as_str(), hint.confidence)).collect()
}

#[test]
fn a_key_in_a_ci_secret_and_a_vault_path_is_one_credential_in_two_places() {
    let desk = looked_at();
    let key = called(&desk, KEY_ID);
    let of_key = custody(&desk, &key);
    assert_eq!(systems(&desk, &of_key.kept_in), ["github", "openbao"]);
    assert!(of_key.opens.is_empty());
    for tie in &of_key.kept_in {
        assert!((tie.confidence - 0.9).abs() < 1e-9, "by the key id: {tie:?}");
    }
    assert_eq!(of_key.read_by.len(), 1, "{of_key:?}");
    assert_eq!(of_key.read_by[0].who, "arn:aws:iam::123456789012:role/shop");
    assert_eq!(of_key.read_by[0].record, Some(called(&desk, "shop").id), "the log's name is an identity's ARN");
    let beside = [("secret AWS_SECRET_ACCESS_KEY at acme/shop in github:org/1", 0.6)];
    assert_eq!(hints(&of_key), beside, "the secret half's name stands beside the public half");
    assert_eq!(of_key.hints[0].by, "names of a pair");
    let of_half = custody(&desk, &called(&desk, "AWS_SECRET_ACCESS_KEY"));
    assert_eq!(hints(&of_half), [("secret AWS_ACCESS_KEY_ID at acme/shop in github:org/1", 0.6)]);
    assert_eq!((of_half.opens.len(), of_half.kept_in.len()), (0, 1), "a hint links nothing");

    let of_path = custody(&desk, &called(&desk, "secret/ci/aws"));
    assert_eq!(of_path.opens.iter().map(|tie| tie.id).collect::<Vec<_>>(), [key.id]);
    assert_eq!(systems(&desk, &of_path.kept_in), ["github", "openbao"]);

    // One group of three records, and the rule on lasting keys in CI speaks of the key, once.
    let mut groups = Vec::new();
    let mut each = |group: provost_store::inventory::GroupRow, _| {
        groups.push(group.members.len());
        Ok(Go::On)
    };
    desk.house.inventory().each_group(&mut each).unwrap();
    assert_eq!(groups, [3]);
    let legacy = |id| {
        let findings = desk.house.inventory().findings_of(id).unwrap();
        findings.iter().filter(|it| it.rule == "AUTH-LEGACY" && it.state == FindingState::Open).count()
    };
    assert_eq!(legacy(key.id), 1);
}

#[test]
fn a_name_alone_links_nothing_and_is_a_hint() {
    let desk = Desk::new();
    let mut nameless = at_github();
    nameless.remove(0);
    look(&desk, nameless);
    let secret = called(&desk, "AWS_SECRET_ACCESS_KEY");
    assert!(custody(&desk, &secret).opens.is_empty(), "its name says what it is, not which");
    assert_eq!(systems(&desk, &custody(&desk, &called(&desk, KEY_ID)).kept_in), ["openbao"]);
    let token = called(&desk, "DEPLOY_TOKEN");
    let of_token = custody(&desk, &token);
    assert_eq!(
        of_token.kept_in.iter().map(|it| it.id).collect::<Vec<_>>(),
        [token.id],
        "the vault's `deploy` is not it"
    );
    let hinted = hints(&of_token);
    let words = ["secret secret/deploy in openbao:c1", "user deploy in aws:123456789012"];
    assert!(words.iter().all(|words| hinted.contains(&(words, 0.2))) && hinted.len() == 2, "{hinted:?}");
    assert!(hints(&custody(&desk, &secret)).is_empty(), "what sort of secret it is hints at nothing");
    assert!(desk.house.inventory().findings_of(secret.id).unwrap().iter().all(|it| it.rule != "AUTH-LEGACY"));
}

#[test]
fn what_no_longer_says_the_key_is_no_place_of_it_any_more() {
    let desk = looked_at();
    let mut changed = at_github();
    changed[0].facts.set(field::OPENS, "AKIAZZZZZZZZZZZZZZZZ".to_owned());
    changed[0].facts.set(field::KEY_ID, "AKIAZZZZZZZZZZZZZZZZ".to_owned());
    look(&desk, changed);
    let key = called(&desk, KEY_ID);
    assert_eq!(systems(&desk, &custody(&desk, &key).kept_in), ["openbao"]);
    let findings = desk.house.inventory().findings_of(key.id).unwrap();
    let legacy: Vec<FindingState> = findings.iter().filter(|it| it.rule == "AUTH-LEGACY").map(|it| it.state).collect();
    assert_eq!(legacy, [FindingState::Resolved], "its copy in CI is another key's now");
}
