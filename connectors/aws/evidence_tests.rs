//! What is found out about identities beside their listing: rights they do not use, and who made them.
//! It must never need a network or a clock of the wall.

use provost_model::{Entity, Kind, Reading, Why, field};
use serde_json::{Value, json};

use super::{
    testing::{Account, FakeIam, Fault},
    tests::{Said, account, run},
};
use crate::Bookmarks;

const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

async fn look(fake: &FakeIam, known: &Bookmarks, settings: Value) -> Said {
    let (result, said) = run(fake, known, settings).await;
    result.unwrap();
    said
}

fn in_scope<'a>(said: &'a Said, scope: &str) -> Vec<&'a Entity> {
    said.entities.iter().filter(|(path, _)| path == scope).map(|(_, entity)| entity).collect()
}

fn with_administrator() -> Account {
    let mut account = account();
    account.users[0].policy = Some(EVERYTHING.to_owned());
    account
}

#[tokio::test]
async fn only_those_with_far_rights_are_asked_about_and_only_at_leisure() {
    let fake = FakeIam::start(with_administrator()).await.unwrap();
    let cold = look(&fake, &Bookmarks::default(), json!({"pace": "full"})).await;
    let listed = in_scope(&cold, "iam/authorization");
    let ann = listed.iter().find(|it| it.key.external == "AIDAANN").unwrap();
    let escalates = ann.facts.get(field::ESCALATES).known().unwrap();
    assert!(escalates.contains(&"iam:CreatePolicyVersion".to_owned()), "{escalates:?}");
    assert!(in_scope(&cold, "iam/access-advisor").is_empty(), "nobody's turn has come");
    let swept = look(&fake, &Bookmarks { sweep_now: true, ..cold.next }, json!({"pace": "full"})).await;
    let told = in_scope(&swept, "iam/access-advisor");
    assert_eq!(told.iter().map(|it| it.key.external.as_str()).collect::<Vec<_>>(), ["AIDAANN"]);
    let unused = vec!["iam".to_owned(), "sqs".to_owned()];
    assert_eq!(told[0].facts.get(field::UNUSED_SERVICES), Reading::Known(unused));
    assert_eq!(told[0].facts.get(field::GRANTED_SERVICES), Reading::Known(3));
    assert!(told[0].facts.get(field::ADVISOR_SINCE).known().is_some());
    assert_eq!(swept.calls["iam:GenerateServiceLastAccessedDetails (sweep)"], 1);
    // The one told of is deleted: it must not live on in what was told.
    fake.with(|account| drop(account.users.remove(0)));
    let after = look(&fake, &swept.next, json!({"pace": "full"})).await;
    assert!(after.gone.contains(&"iam/access-advisor AIDAANN".to_owned()), "{:?}", after.gone);
}

#[tokio::test]
async fn a_refused_job_is_a_blind_spot_and_says_nothing_of_use() {
    let mut account = with_administrator();
    account.faults.insert("GenerateServiceLastAccessedDetails", Fault::Error(403, "AccessDenied", "no"));
    let fake = FakeIam::start(account).await.unwrap();
    let known = Bookmarks { sweep_now: true, ..Bookmarks::default() };
    let said = look(&fake, &known, json!({"pace": "full"})).await;
    assert_eq!(said.why("iam:GenerateServiceLastAccessedDetails"), Some(Why::Denied));
    assert!(in_scope(&said, "iam/access-advisor").is_empty());
}

fn event(name: &str, what: Value) -> (u16, String) {
    let identity = json!({"arn": "arn:aws:sts::123456789012:assumed-role/Admin/ann@corp.example"});
    let mut told = json!({"eventTime": "2026-09-21T14:13:20Z", "eventName": name, "userIdentity": identity});
    told.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    (200, json!({"Events": [{"EventTime": 1_790_000_000, "CloudTrailEvent": told.to_string()}]}).to_string())
}

fn nothing() -> (u16, String) {
    (200, r#"{"Events":[]}"#.to_owned())
}

#[tokio::test]
async fn who_made_what_is_told_as_long_as_it_is_there() {
    let births = vec![
        event(
            "CreateUser",
            json!({"requestParameters": {"userName": "ann"}, "responseElements": {"user": {"userId": "AIDAANN"}}}),
        ),
        event("CreateRole", json!({"responseElements": {"role": {"roleId": "AROAGONE"}}})),
        event("CreateAccessKey", json!({"responseElements": {"accessKey": {"accessKeyId": "AKIAANN1"}}})),
        nothing(),
    ];
    let what = "us-east-1 LookupEvents".to_owned();
    let fake = FakeIam::start(Account { cloud: [(what.clone(), births)].into(), ..account() }).await.unwrap();
    let settings = json!({"pace": "full", "regions": ["eu-west-1"]});
    let cold = look(&fake, &Bookmarks::default(), settings.clone()).await;
    let told = in_scope(&cold, "cloudtrail/births");
    let ids: Vec<(Kind, &str)> = told.iter().map(|it| (it.key.kind, it.key.external.as_str())).collect();
    assert_eq!(
        ids,
        [(Kind::User, "AIDAANN"), (Kind::AccessKey, "AKIAANN1")],
        "a role that is not there is not told of"
    );
    let by = "arn:aws:sts::123456789012:assumed-role/Admin/ann@corp.example".to_owned();
    assert!(told.iter().all(|it| it.facts.get(field::CREATED_BY) == Reading::Known(by.clone())));
    assert_eq!(cold.calls["cloudtrail:LookupEvents"], 36, "nine windows of four questions");

    let death = event("DeleteAccessKey", json!({"requestParameters": {"accessKeyId": "AKIAANN1"}}));
    fake.with(|account| {
        account.calls.clear();
        account.cloud.insert(what.clone(), vec![nothing(), nothing(), nothing(), death]);
        account.users.remove(0);
    });
    let warm = look(&fake, &cold.next, settings.clone()).await;
    assert_eq!(warm.calls["cloudtrail:LookupEvents"], 4);
    assert_eq!(warm.gone, ["cloudtrail/births AIDAANN", "cloudtrail/births AKIAANN1"]);

    fake.with(|account| account.cloud.insert(what, vec![(400, r#"{"__type":"AccessDeniedException"}"#.to_owned())]));
    let refused = look(&fake, &warm.next, settings).await;
    assert_eq!(refused.why("cloudtrail:LookupEvents"), Some(Why::Denied));
}
