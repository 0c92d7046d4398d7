//! One credential in two places: what three connectors say of an AWS key, put together, with what shows it; and names,
//! which link nothing.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use provost::jobs::{
    judge::{self, Yardstick},
    link,
};
use provost_connectors::{Access, Bookmarks, Connector, Emitter};
use provost_engine::link::{Custody, name_hint};
use provost_model::{
    Cover, Entity, FindingState, Key, Kind, Realm, Record, RecordId, Scope, Span, Status, Time, Trouble, Unites, field,
};
use provost_store::Go;

use super::script::{Desk, Nobody};

const KEY_ID: &str = "AKIAQ2W3E4R5T6Y7U8I9";
const PRINT: &str = "k1:000102030405060708090a0b0c0d0e0f";

/// A source that lists these things completely.
struct Lists {
    realm: Realm,
    things: Vec<Entity>,
}

#[async_trait]
impl Connector for Lists {
    async fn announce(&self) -> String {
        String::new()
    }
    async fn check(&self) -> Access {
        Access::default()
    }
    fn disposition(&self) -> String {
        String::new()
    }
    async fn discover(&self, _: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        let (scope, now) = (Scope::new(self.realm.clone(), "all"), to.now());
        to.realm(self.realm.clone()).await?;
        to.begin(&scope, None).await?;
        for thing in &self.things {
            to.see(&scope, None, now, thing.clone()).await?;
        }
        to.cover(&scope, None, now, Cover::Full { next: None, atomic: true }).await?;
        Ok(())
    }
}

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

/// Secrets of a repository: only names are told. The variable beside one of them has a value that tells the key.
fn at_github() -> Vec<Entity> {
    let item = |name: &str| {
        Entity::new(Key::new(github(), Kind::Secret, format!("repos/7/actions/secrets/{name}")), name)
            .with(field::STORE_KIND, "github_actions".to_owned())
    };
    vec![item("AWS_SECRET_ACCESS_KEY").with(field::OPENS, KEY_ID.to_owned()), item("DEPLOY_TOKEN")]
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

fn custody(desk: &Desk, of: &Record) -> Custody {
    let (members, grouping) = link::neighbourhood(desk.house.inventory(), Unites::Secrets, &[of.id]).unwrap();
    let others: Vec<Record> =
        members.iter().filter_map(|it| desk.house.inventory().record(it.id, None).unwrap()).collect();
    Custody::of(of, &others, &grouping).unwrap()
}

fn systems(desk: &Desk, ties: &[provost_engine::link::Tie]) -> Vec<String> {
    let realm = |id| desk.house.inventory().record(id, None).unwrap().unwrap().realm.provider().to_owned();
    let mut systems: Vec<String> = ties.iter().map(|tie| realm(tie.id)).collect();
    systems.sort();
    systems
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
    nameless[0].facts.set(field::OPENS, provost_model::Reading::NotReported);
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
    assert_eq!(name_hint("DEPLOY_TOKEN", "secret/deploy"), Some(0.2));
    assert!(desk.house.inventory().findings_of(secret.id).unwrap().iter().all(|it| it.rule != "AUTH-LEGACY"));
}

#[test]
fn what_no_longer_says_the_key_is_no_place_of_it_any_more() {
    let desk = looked_at();
    let mut changed = at_github();
    changed[0].facts.set(field::OPENS, "AKIAZZZZZZZZZZZZZZZZ".to_owned());
    look(&desk, changed);
    let key = called(&desk, KEY_ID);
    assert_eq!(systems(&desk, &custody(&desk, &key).kept_in), ["openbao"]);
    let findings = desk.house.inventory().findings_of(key.id).unwrap();
    let legacy: Vec<FindingState> = findings.iter().filter(|it| it.rule == "AUTH-LEGACY").map(|it| it.state).collect();
    assert_eq!(legacy, [FindingState::Resolved], "its copy in CI is another key's now");
}
