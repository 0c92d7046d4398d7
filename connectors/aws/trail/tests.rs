//! Makers and readers as a whole run tells them: from the event history, from a trail's files, and where one of them fails.
//! It must never need a network or a clock of the wall.

use provost_model::{Entity, Reading, Why, field};
use serde_json::{Value, json};

use crate::{
    Bookmarks,
    aws::{
        testing::{Account, FakeIam},
        tests::{Said, account, run},
    },
};

const ADMIN: &str = "arn:aws:sts::123456789012:assumed-role/Admin/ann@corp.example";
const SHOP: &str = "arn:aws:iam::123456789012:role/svc/shop";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-AbCdEf";
const READS: &str = "regions/eu-west-1/secretsmanager/reads";
const BIRTHS: &str = "cloudtrail/births";
const BUCKET: &str = "eu-west-1 GET /corp-trail";
/// Below it are the files of the day of [`super::super::tests`]' clock.
const DAY: &str = "AWSLogs/123456789012/CloudTrail/eu-west-1/2026/11/24";

fn record(name: &str, at: &str, more: &Value) -> Value {
    let mut record = json!({"eventTime": at, "eventName": name, "awsRegion": "eu-west-1", "readOnly": name.starts_with("Get"),
        "userIdentity": {"type": "AssumedRole", "arn": ADMIN}});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn birth(user: &str, at: &str) -> Value {
    let made = json!({"requestParameters": {"userName": "ann"}, "responseElements": {"user": {"userId": user}}});
    record("CreateUser", at, &made)
}

fn read(secret: &str, at: &str) -> Value {
    let issuer = json!({"sessionIssuer": {"arn": SHOP}});
    let identity = json!({"arn": ADMIN, "sessionContext": issuer});
    record("GetSecretValue", at, &json!({"userIdentity": identity, "requestParameters": {"secretId": secret}}))
}

fn history(records: &[Value]) -> (u16, String) {
    let events: Vec<Value> = records.iter().map(|it| json!({"CloudTrailEvent": it.to_string()})).collect();
    (200, json!({"Events": events}).to_string())
}

fn refused() -> Vec<(u16, String)> {
    vec![(400, r#"{"__type":"AccessDeniedException"}"#.to_owned())]
}

fn secrets(names: &[(&str, &str)]) -> Vec<(u16, String)> {
    let one = |(arn, name): &(&str, &str)| json!({"ARN": arn, "Name": name, "CreatedDate": 1_700_000_000});
    let list: Vec<Value> = names.iter().map(one).collect();
    vec![(200, json!({"SecretList": list}).to_string())]
}

/// A file of the trail, of the minute: its key, and where the fake has it.
fn file(minute: &str) -> (String, String) {
    let key = format!("{DAY}/123456789012_CloudTrail_eu-west-1_20261124T{minute}Z_x.json.gz");
    (key.clone(), format!("eu-west-1 GET /corp-trail/{key}"))
}

fn listing(keys: &[&str], prefixes: &[&str]) -> (u16, String) {
    let keys: String = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
    let prefixes: String =
        prefixes.iter().map(|it| format!("<CommonPrefixes><Prefix>{it}</Prefix></CommonPrefixes>")).collect();
    let end = "<IsTruncated>false</IsTruncated>";
    (200, format!("<ListBucketResult>{keys}{prefixes}{end}</ListBucketResult>"))
}

/// The regions below which there are files, then the files themselves.
fn bucket(keys: &[&str]) -> Vec<(u16, String)> {
    vec![listing(&[], &["AWSLogs/123456789012/CloudTrail/eu-west-1/"]), listing(keys, &[])]
}

fn records(all: &[Value]) -> Vec<(u16, String)> {
    vec![(200, json!({"Records": all}).to_string())]
}

fn with_trail() -> Value {
    let trail = json!({"bucket": "corp-trail", "region": "eu-west-1"});
    json!({"pace": "full", "regions": ["eu-west-1"], "trail": trail})
}

async fn fake(cloud: Vec<(String, Vec<(u16, String)>)>) -> FakeIam {
    FakeIam::start(Account { cloud: cloud.into_iter().collect(), ..account() }).await.unwrap()
}

/// Changes what the cloud answers, and counts from nothing.
fn change(fake: &FakeIam, cloud: Vec<(String, Vec<(u16, String)>)>) {
    fake.with(|account| {
        account.calls.clear();
        account.cloud.extend(cloud);
    });
}

async fn look(fake: &FakeIam, known: &Bookmarks, settings: &Value) -> Said {
    let (result, said) = run(fake, known, settings.clone()).await;
    result.unwrap();
    said
}

fn told<'a>(said: &'a Said, scope: &str) -> Vec<&'a Entity> {
    said.entities.iter().filter(|(path, _)| path == scope).map(|(_, entity)| entity).collect()
}

/// Readers of the one secret that was told of.
fn readers(said: &Said) -> Vec<(String, String)> {
    let told = told(said, READS);
    let [one] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(one.key.external, SECRET);
    assert_eq!(one.facts.get(field::NAME), Reading::Known("app/db".to_owned()));
    one.facts.get(field::READERS).known().unwrap().into_iter().collect()
}

fn shop(at: &str) -> Vec<(String, String)> {
    vec![(SHOP.to_owned(), at.to_owned())]
}

#[tokio::test]
async fn the_history_tells_who_read_a_secret_and_a_secret_that_is_gone_is_let_go() {
    let lookup = "eu-west-1 LookupEvents".to_owned();
    let list = "eu-west-1 ListSecrets".to_owned();
    let events = [read("app/db", "2026-11-20T10:00:00Z"), read("nobody-has-it", "2026-11-20T10:00:00Z")];
    let fake = fake(vec![
        (list.clone(), secrets(&[(SECRET, "app/db")])),
        (lookup.clone(), vec![history(&events)]),
        ("us-east-1 LookupEvents".to_owned(), vec![history(&[])]),
    ])
    .await;
    let settings = json!({"pace": "full", "regions": ["eu-west-1"]});
    let cold = look(&fake, &Bookmarks::default(), &settings).await;
    assert_eq!(readers(&cold), shop("2026-11-20T10:00:00Z"));
    let since = told(&cold, READS)[0].facts.get(field::READS_SINCE).known().unwrap();
    assert_eq!(since.to_string(), "2026-08-26T06:00:00Z", "ninety days");

    change(&fake, vec![(lookup.clone(), vec![history(&[])])]);
    let warm = look(&fake, &cold.next, &settings).await;
    assert!(told(&warm, READS).is_empty(), "nothing is news");

    change(&fake, vec![(lookup.clone(), refused())]);
    let denied = look(&fake, &warm.next, &settings).await;
    assert_eq!(denied.why("cloudtrail:LookupEvents"), Some(Why::Denied));
    assert!(told(&denied, READS).is_empty() && denied.gone.is_empty());

    change(&fake, vec![(lookup, vec![history(&[])]), (list, secrets(&[]))]);
    let after = look(&fake, &warm.next, &settings).await;
    assert!(after.gone.contains(&format!("{READS} {SECRET}")), "{:?}", after.gone);
}

#[tokio::test]
async fn a_region_without_secrets_costs_no_question() {
    let fake = fake(vec![("eu-west-1 ListSecrets".to_owned(), secrets(&[]))]).await;
    look(&fake, &Bookmarks::default(), &json!({"pace": "full", "regions": ["eu-west-1"]})).await;
    assert_eq!(fake.with(|account| account.calls.get("eu-west-1 LookupEvents").copied()), None);
}

#[tokio::test]
async fn a_trail_tells_both_and_each_of_its_files_is_read_once() {
    let ((first, at_first), (second, at_second)) = (file("0500"), file("0550"));
    let events = [birth("AIDAANN", "2026-11-24T04:58:00Z"), read(SECRET, "2026-11-24T04:59:00Z")];
    let fake = fake(vec![
        ("eu-west-1 ListSecrets".to_owned(), secrets(&[(SECRET, "app/db")])),
        ("eu-west-1 LookupEvents".to_owned(), vec![history(&[])]),
        ("us-east-1 LookupEvents".to_owned(), vec![history(&[])]),
        (BUCKET.to_owned(), bucket(&[&first])),
        (at_first.clone(), records(&events)),
    ])
    .await;
    let cold = look(&fake, &Bookmarks::default(), &with_trail()).await;
    assert_eq!(cold.calls["s3:ListBucket"], 2);
    assert_eq!(cold.calls["s3:GetObject"], 1);
    assert!(cold.calls["cloudtrail:LookupEvents"] > 0, "what is older than a day the history tells");
    assert_eq!((readers(&cold), told(&cold, BIRTHS).len()), (shop("2026-11-24T04:59:00Z"), 1));

    // From now on the files alone are asked; one that came late is found behind a newer one.
    let late = file("0545");
    let (more, none) = (records(&[read("app/db", "2026-11-24T05:47:00Z")]), records(&[]));
    change(
        &fake,
        vec![
            (BUCKET.to_owned(), bucket(&[&first, &second])),
            (
                at_second.clone(),
                records(&[birth("AIDABOB", "2026-11-24T05:49:00Z"), read("x", "2026-11-24T05:49:00Z")]),
            ),
        ],
    );
    let warm = look(&fake, &cold.next, &with_trail()).await;
    assert_eq!(warm.calls.get("cloudtrail:LookupEvents"), None);
    assert_eq!(warm.calls["s3:GetObject"], 1, "the first was read");
    let born: Vec<&str> = told(&warm, BIRTHS).iter().map(|it| it.key.external.as_str()).collect();
    assert_eq!(born, ["AIDABOB"]);
    assert_eq!(told(&warm, BIRTHS)[0].facts.get(field::CREATED_BY), Reading::Known(ADMIN.to_owned()));

    change(&fake, vec![(BUCKET.to_owned(), bucket(&[&first, &late.0, &second])), (late.1, more), (at_first, none)]);
    let again = look(&fake, &warm.next, &with_trail()).await;
    assert_eq!(again.calls["s3:GetObject"], 1, "only the one that came late");
    assert_eq!(readers(&again), shop("2026-11-24T05:47:00Z"));
}

#[tokio::test]
async fn a_trail_that_cannot_be_read_or_has_stopped_is_said_and_the_history_stands_in() {
    let (key, at_key) = file("0500");
    let base = vec![
        ("eu-west-1 ListSecrets".to_owned(), secrets(&[(SECRET, "app/db")])),
        ("eu-west-1 LookupEvents".to_owned(), vec![history(&[read("app/db", "2026-11-23T10:00:00Z")])]),
        ("us-east-1 LookupEvents".to_owned(), vec![history(&[])]),
    ];
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".to_owned();
    for (answer, why) in [
        (vec![(403, denied)], ("s3:ListBucket", Why::Denied)),
        (vec![listing(&[], &[])], ("cloudtrail/files", Why::Stale)),
        (vec![(200, "<ListBucketResult/>".to_owned())], ("cloudtrail/files", Why::Malformed)),
    ] {
        let mut cloud = base.clone();
        cloud.push((BUCKET.to_owned(), answer));
        let said = look(&fake(cloud).await, &Bookmarks::default(), &with_trail()).await;
        assert_eq!(said.why(why.0), Some(why.1));
        assert_eq!(readers(&said), shop("2026-11-23T10:00:00Z"));
        assert!(!said.next.cursors.contains_key("cloudtrail/files"), "{why:?}");
    }
    // A file that makes no sense does not stand in the way of the others.
    let (other, at_other) = file("0505");
    let mut cloud = base;
    cloud.push((BUCKET.to_owned(), bucket(&[&key, &other])));
    cloud.push((at_key, vec![(200, r#"{"Records":[{"eventName":7}]}"#.to_owned())]));
    cloud.push((at_other, records(&[])));
    let said = look(&fake(cloud).await, &Bookmarks::default(), &with_trail()).await;
    assert_eq!(said.why("cloudtrail/files"), Some(Why::Malformed));
    assert!(said.next.cursors.contains_key("cloudtrail/files"));
}
