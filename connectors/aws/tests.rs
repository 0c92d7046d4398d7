//! Whole runs against a fake IAM that does what real servers do rarely.
//! It must never need a network or a clock of the wall.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use provost_client::{Door, Gate, Limits, Mode, Pace};
use provost_model::{Clock, Cover, Entity, Kind, Reading, Sighting, Status, Time, Trouble, Why, field};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    SPEC, Settings,
    signed::Way,
    testing::{Account, FakeIam, FakeKey, FakeUser, Fault},
};
use crate::{Bookmarks, Emitter, Event, fingerprint::FingerprintKey};

/// A page whose list is never closed: the SDK's reader takes it for the last page.
const BROKEN: &str = "<GetAccountAuthorizationDetailsResponse><GetAccountAuthorizationDetailsResult><UserDetailList>\
    </GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>";
const NOW: &str = "2026-11-24T06:00:00Z";

pub(super) struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Time {
        NOW.parse().unwrap()
    }
}

/// Everything one run said.
#[derive(Default)]
pub(super) struct Said {
    pub(super) entities: Vec<(String, Entity)>,
    pub(super) covers: BTreeMap<String, &'static str>,
    parts: Vec<String>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) calls: BTreeMap<String, u64>,
    throttled: u64,
    pub(super) next: Bookmarks,
    pub(super) eyes: Option<(Reading<Vec<String>>, Reading<Time>)>,
    order: Vec<String>,
    pub(super) unwatched: Vec<String>,
    pub(super) gone: Vec<String>,
}

impl Said {
    fn keys(&self) -> BTreeSet<&str> {
        let keys = self.entities.iter().filter(|(scope, _)| scope == "iam/access-keys");
        keys.map(|(_, entity)| entity.key.external.as_str()).collect()
    }

    fn in_report(&self, kind: Kind) -> Vec<&Entity> {
        let told = self.entities.iter().filter(|(scope, it)| scope == "iam/credential-report" && it.key.kind == kind);
        told.map(|(_, entity)| entity).collect()
    }

    pub(super) fn why(&self, place: &str) -> Option<Why> {
        self.troubles.iter().find(|trouble| trouble.place == place).map(|trouble| trouble.why)
    }

    fn at(&self, what: &str) -> usize {
        self.order.iter().position(|it| it.starts_with(what)).unwrap_or_else(|| panic!("{what} in {:?}", self.order))
    }
}

pub(super) fn account() -> Account {
    let users = vec![
        FakeUser::new("ann", "AIDAANN", &[("AKIAANN1", true, "2026-01-01T00:00:00Z")]),
        FakeUser::new(
            "bob",
            "AIDABOB",
            &[("AKIABOB1", true, "2025-01-01T00:00:00Z"), ("AKIABOB2", false, "2025-02-01T00:00:00Z")],
        ),
        FakeUser::new("cid", "AIDACID", &[("AKIACID1", false, "2023-01-01T00:00:00Z")]),
        FakeUser::new("dan", "AIDADAN", &[]),
    ];
    Account { users, generated: "2026-11-24T05:00:00Z".to_owned(), ..Account::default() }
}

/// One run against the fake, with static credentials of its own.
pub(super) async fn run(fake: &FakeIam, known: &Bookmarks, settings: serde_json::Value) -> (Result<(), Trouble>, Said) {
    let mut table = settings.as_object().unwrap().clone();
    table.insert("endpoint_url".into(), json!(fake.url));
    // IAM alone, unless a test is about more.
    table.entry("regions").or_insert_with(|| json!([]));
    let mut settings = Settings::read(&table).unwrap();
    settings.lookup_every = Duration::ZERO;
    let limits = Limits { in_flight: 4, attempt: Duration::from_secs(5), ..Limits::default() };
    let gate = Gate::new(Pace::new(settings.pace), limits).unwrap();
    let (out, mut events) = mpsc::channel(16);
    let mut to = Emitter::new(out, Arc::new(Fixed), CancellationToken::new());
    let hearing = tokio::spawn(async move {
        let mut said = Said::default();
        while let Some(batch) = events.recv().await {
            batch.into_iter().for_each(|event| hear(&mut said, event));
        }
        said
    });
    let prints = Arc::new(FingerprintKey::new("k1", [7; 32]));
    let aws = super::Aws { settings, gate, prints };
    let session = super::Session::for_tests(&aws.settings, &aws.gate, to.stop().clone()).await;
    let result = aws.run(&session, known, &mut to).await;
    to.flush().await.unwrap();
    drop(to);
    (result, hearing.await.unwrap())
}

fn hear(said: &mut Said, event: Event) {
    match event {
        Event::See { scope, sightings, .. } => {
            said.order.push(format!("see {}", scope.path));
            for sighting in sightings {
                match sighting {
                    Sighting::Present(entity) => said.entities.push((scope.path.clone(), entity)),
                    Sighting::Gone(key) => said.gone.push(format!("{} {}", scope.path, key.external)),
                }
            }
        }
        Event::Cover { part: Some(part), .. } => said.parts.push(part),
        Event::Cover { scope, cover, part: None, .. } => {
            said.order.push(format!("cover {}", scope.path));
            if let Some(next) = cover.next() {
                said.next.cursors.insert(scope.path.clone(), next.clone());
            }
            assert!(
                !matches!(cover, Cover::Partial { .. }) || !said.troubles.is_empty(),
                "a partial cover without a reason"
            );
            said.covers.insert(scope.path, cover.word());
        }
        Event::Trouble(trouble) => said.troubles.push(trouble),
        Event::Unwatch(scope) => said.unwatched.push(scope.to_string()),
        Event::Eyes { could_write, expires_at } => said.eyes = Some((could_write, expires_at)),
        Event::Call { operation, throttled } => {
            *said.calls.entry(operation).or_default() += 1;
            said.throttled += u64::from(throttled);
        }
        _ => {}
    }
}

async fn once(account: Account) -> Said {
    let fake = FakeIam::start(account).await.unwrap();
    let (result, said) = run(&fake, &Bookmarks::default(), json!({"pace": "full"})).await;
    result.unwrap();
    said
}

#[tokio::test]
async fn short_pages_are_read_to_the_end_and_findings_come_before_per_user_calls() {
    let said = once(Account { page: 1, ..account() }).await;
    assert_eq!(said.covers["iam/authorization"], "full");
    assert_eq!(said.covers["iam/credential-report"], "full");
    assert_eq!(said.keys(), BTreeSet::from(["AKIAANN1", "AKIABOB1", "AKIABOB2", "AKIACID1"]));
    assert!(said.at("cover iam/credential-report") < said.at("see iam/access-keys"));
    let reported: Vec<&str> = said.in_report(Kind::User).iter().map(|it| it.key.external.as_str()).collect();
    assert_eq!(reported, ["AIDAANN", "AIDABOB", "AIDACID", "AIDADAN"], "each once");
    assert!(said.at("see iam/credential-report") < said.at("cover iam/authorization"));
    assert_eq!(said.parts.len(), 3, "dan has no keys and is not asked for: {:?}", said.parts);
    assert!(said.troubles.is_empty(), "{:?}", said.troubles);
}

#[tokio::test]
async fn a_slot_and_its_listed_key_are_one_thing() {
    let said = once(account()).await;
    let slots: BTreeSet<&str> = said.in_report(Kind::AccessKey).iter().map(|it| it.key.external.as_str()).collect();
    let aliases: BTreeSet<&str> =
        said.entities.iter().flat_map(|(_, it)| it.aliases.iter().map(String::as_str)).collect();
    assert_eq!(slots, aliases);
    let key = said.entities.iter().find(|(_, it)| it.key.external == "AKIACID1").unwrap();
    assert_eq!(key.1.facts.get(field::STATUS), Reading::Known(Status::Inactive));
    assert_eq!(said.in_report(Kind::AccessKey)[0].facts.get(field::CREATED_AT), Reading::NotCollected);
}

#[tokio::test]
async fn a_warm_run_asks_only_for_what_changed_and_before_telling_its_slot() {
    let fake = FakeIam::start(account()).await.unwrap();
    let (_, cold) = run(&fake, &Bookmarks::default(), json!({"pace": "full"})).await;
    let (_, warm) = run(&fake, &cold.next, json!({"pace": "full"})).await;
    assert!(!warm.calls.contains_key("iam:ListAccessKeys"), "{:?}", warm.calls);
    // Ann's key is deactivated: the slot's date moves, the key stays the same.
    fake.with(|account| {
        account.users[0].keys[0].active = false;
        account.users[0].keys[0].rotated = "2026-11-20T00:00:00Z".into();
    });
    let (_, changed) = run(&fake, &warm.next, json!({"pace": "full"})).await;
    assert_eq!(changed.calls["iam:ListAccessKeys"], 1);
    let told = |scope: &str, of: &str| {
        let mut all = changed.entities.iter();
        all.position(|(it, entity)| it == scope && entity.key.external.starts_with(of)).unwrap()
    };
    assert!(told("iam/access-keys", "AKIAANN1") < told("iam/credential-report", "AIDAANN/slot-1"));
    // Nobody else's keys have to be listed: what the report has of them is told with them.
    assert!(told("iam/credential-report", "AIDABOB/slot-1") < told("iam/access-keys", "AKIAANN1"));
    let key = changed.entities.iter().find(|(_, it)| it.key.external == "AKIAANN1").unwrap();
    assert_eq!(key.1.aliases, ["AIDAANN/slot-1@2026-11-20T00:00:00Z"]);
}

#[tokio::test]
async fn a_hidden_inactive_key_is_found_by_the_sweep_and_counted_apart() {
    let fake = FakeIam::start(Account { hides_inactive: true, ..account() }).await.unwrap();
    let (_, said) = run(&fake, &Bookmarks::default(), json!({"pace": "full"})).await;
    assert!(!said.keys().contains("AKIACID1"));
    let known = Bookmarks { sweep_now: true, ..said.next };
    let (_, swept) = run(&fake, &known, json!({"pace": "full"})).await;
    assert!(swept.keys().contains("AKIACID1"));
    assert_eq!(swept.calls["iam:ListAccessKeys (sweep)"], 2);
    assert!(!swept.calls.contains_key("iam:ListAccessKeys"));
}

#[tokio::test]
async fn a_run_survives_without_report_and_says_so() {
    for fault in [
        Fault::Error(403, "AccessDenied", "no"),
        Fault::Garbage("<html>"),
        Fault::Error(410, "ReportNotPresent", "none"),
    ] {
        let mut account = account();
        account.faults.insert("GenerateCredentialReport", Fault::Error(403, "AccessDenied", "no"));
        account.faults.insert("GetCredentialReport", fault);
        let said = once(account).await;
        assert_eq!(said.covers["iam/credential-report"], "partial");
        assert_eq!(said.why("iam/credential-report"), Some(Why::Denied));
        assert_eq!(said.keys().len(), 4, "every user is listed instead");
        assert_eq!(said.covers["iam/access-keys"], "delta");
        assert_eq!(said.calls["iam:ListAccessKeys (sweep)"], 4);
    }
}

#[tokio::test]
async fn a_stale_report_is_not_believed_over_a_newer_one() {
    let fake = FakeIam::start(account()).await.unwrap();
    let (_, first) = run(&fake, &Bookmarks::default(), json!({"pace": "full"})).await;
    fake.with(|account| account.generated = "2026-11-20T00:00:00Z".into());
    let (_, second) = run(&fake, &first.next, json!({"pace": "full"})).await;
    assert_eq!(
        (second.covers["iam/credential-report"], second.why("iam/credential-report")),
        ("partial", Some(Why::Stale))
    );
    // Known for the first time, but made hours ago: told with its own date, and the age is named.
    let (_, third) = run(&fake, &Bookmarks::default(), json!({"pace": "full"})).await;
    assert_eq!((third.covers["iam/credential-report"], third.why("iam/credential-report")), ("full", Some(Why::Stale)));
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_never_full() {
    let faults = [
        (Fault::Error(403, "AccessDenied", "no"), Why::Denied),
        (Fault::Error(500, "ServiceFailure", "oops"), Why::Unavailable),
        (Fault::Garbage("<html>not what you think"), Why::Malformed),
        (Fault::Garbage(BROKEN), Why::Malformed),
        (Fault::Cut, Why::Unavailable),
        (Fault::Error(403, "ExpiredToken", "expired"), Why::Unauthenticated),
    ];
    for (fault, why) in faults {
        let mut account = Account { page: 1, ..account() };
        account.faults.insert("GetAccountAuthorizationDetails", fault.clone());
        account.after.insert("GetAccountAuthorizationDetails", 3);
        let said = once(account).await;
        assert_eq!(said.covers["iam/authorization"], "partial", "{fault:?}");
        assert_eq!(said.why("iam/authorization"), Some(why), "{fault:?}");
        let seen = said.entities.iter().filter(|(scope, _)| scope == "iam/authorization").count();
        assert_eq!(seen, 2, "what was seen is told: {fault:?}");
    }
}

#[tokio::test]
async fn keys_listed_before_a_failure_are_remembered() {
    let mut account = account();
    account.faults.insert("ListAccessKeys", Fault::Error(403, "ExpiredToken", "expired"));
    account.after.insert("ListAccessKeys", 1);
    let fake = FakeIam::start(account).await.unwrap();
    let (_, said) = run(&fake, &Bookmarks::default(), json!({"pace": "full"})).await;
    assert_eq!((said.covers["iam/access-keys"], said.why("iam/access-keys")), ("partial", Some(Why::Unauthenticated)));
    assert_eq!(said.parts.len(), 1);
    fake.with(|account| account.faults.clear());
    let (_, resumed) = run(&fake, &said.next, json!({"pace": "full"})).await;
    assert_eq!(resumed.calls["iam:ListAccessKeys"], 2, "the first user is not asked for again");
}

#[tokio::test]
async fn a_user_born_again_under_its_name_does_not_inherit_the_old_row() {
    let mut account = account();
    account.users[0].id = "AIDANEW".into();
    account.users[0].created = "2026-11-24T05:30:00Z".into();
    account.users[0].reported = Some("2024-01-02T03:04:05Z".into());
    account.users[0].keys = vec![FakeKey {
        id: "AKIANEW1".into(),
        active: true,
        created: "2026-11-24T05:31:00Z".into(),
        rotated: "2026-01-01T00:00:00Z".into(),
    }];
    let said = once(account).await;
    assert!(said.in_report(Kind::AccessKey).iter().all(|it| !it.key.external.starts_with("AIDANEW")));
    let key = said.entities.iter().find(|(_, it)| it.key.external == "AKIANEW1").unwrap();
    assert!(key.1.aliases.is_empty(), "{:?}", key.1.aliases);
    assert_eq!(key.1.identity.as_ref().unwrap().external, "AIDANEW");
}

#[tokio::test]
async fn an_optional_permission_denied_is_a_blind_spot_only() {
    let mut account = account();
    account.faults.insert("ListServerCertificates", Fault::Error(403, "AccessDenied", "no"));
    account.faults.insert("ListServiceSpecificCredentials", Fault::Error(500, "InternalFailure", "no"));
    let said = once(account).await;
    assert!(said.troubles.iter().any(|it| it.place == "iam:ListServerCertificates" && it.blind_spot));
    assert!(!said.covers.contains_key("iam/server-certificates"));
    assert_eq!(said.covers["iam/service-specific-credentials"], "partial");
    assert_eq!(said.covers["iam/credential-report"], "full");
}

#[tokio::test]
async fn without_authorization_details_the_users_come_from_the_plain_listing() {
    let mut account = Account { page: 1, ..account() };
    account.faults.insert("GetAccountAuthorizationDetails", Fault::Error(403, "AccessDenied", "no"));
    let said = once(account).await;
    assert_eq!(said.covers["iam/users"], "full");
    assert_eq!(said.covers["iam/credential-report"], "full");
    assert_eq!(said.keys().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_run_is_never_lost() {
    let users = (0..60).map(|number| {
        let (name, id, key) = (format!("u{number}"), format!("AIDA{number}"), format!("AKIA{number}"));
        FakeUser::new(&name, &id, &[(key.as_str(), true, "2025-01-01T00:00:00Z")])
    });
    let account = Account { users: users.collect(), bucket: Some((5.0, 5.0)), ..account() };
    let fake = FakeIam::start(account).await.unwrap();
    let (result, said) = run(&fake, &Bookmarks::default(), json!({})).await;
    result.unwrap();
    assert_eq!(said.keys().len(), 60);
    assert_eq!(said.covers["iam/access-keys"], "delta");
    assert_eq!(said.throttled, fake.with(|account| account.throttled));
}

#[tokio::test]
async fn credentials_of_another_account_end_the_run_before_anything_is_said() {
    let fake = FakeIam::start(account()).await.unwrap();
    let (result, said) = run(&fake, &Bookmarks::default(), json!({"account": "999999999999"})).await;
    assert_eq!(result.unwrap_err().why, Why::Changed);
    assert!(said.entities.is_empty() && said.covers.is_empty());
}

#[tokio::test]
async fn a_write_never_reaches_the_socket() {
    let fake = FakeIam::start(account()).await.unwrap();
    let gate = Gate::new(Pace::new(Mode::Full), Limits::default()).unwrap();
    let client = aws_sdk_iam::Client::from_conf(config_for(&fake, gate.reads(SPEC.reads.iter().map(|it| it.0), "")));
    let error = client.create_user().user_name("mallory").send().await.unwrap_err();
    let failure = provost_client::classified("iam:CreateUser", &error);
    assert_eq!(failure.why, Why::Denied);
    assert!(failure.said.contains("refused before sending"), "{failure}");
    assert_eq!(fake.with(|account| account.bytes), 0);
    assert!(gate.calls().is_empty());
    // Nor does the call made by hand, through a door that does not name it.
    let config = config_for(&fake, gate.reads(["iam:ListUsers"], ""));
    let way = Way::learn(&aws_sdk_iam::Client::from_conf(config)).await.unwrap();
    let failure = way.keys("ann", None).await.unwrap_err();
    assert_eq!((failure.why, failure.operation.as_str()), (Why::Denied, "iam:ListAccessKeys"));
    assert!(failure.said.contains("refused before sending"), "{failure}");
    assert_eq!(fake.with(|account| account.bytes), 0);
    assert!(gate.calls().is_empty());
    // The same client reads.
    client.list_users().send().await.unwrap();
    assert!(fake.with(|account| account.bytes) > 0);
}

fn config_for(fake: &FakeIam, door: Door) -> aws_sdk_iam::Config {
    aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&fake.url)
        .credentials_provider(Credentials::new("AKIAEYES", "not-a-secret", None, None, "test"))
        .http_client(door)
        .build()
}

#[tokio::test]
async fn a_name_of_a_user_cannot_carry_a_second_action() {
    let name = "x&Action=CreateUser&UserName=mallory +=%41";
    let account =
        Account { users: vec![FakeUser::new(name, "AIDAX", &[("AKIAX", true, "2026-01-01T00:00:00Z")])], ..account() };
    let said = once(account).await;
    assert_eq!(said.keys(), BTreeSet::from(["AKIAX"]));
    assert!(!said.calls.keys().any(|operation| operation.contains("CreateUser")), "{:?}", said.calls);
}

/// Gives an ended session first, then a good one.
#[derive(Debug, Default)]
struct Renewing(AtomicU32);

impl ProvideCredentials for Renewing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let token = Some(format!("session-{number}"));
        future::ProvideCredentials::ready(Ok(Credentials::new("ASIAEYES", "not-a-secret", token, None, "test")))
    }
}

#[tokio::test]
async fn an_ended_session_is_renewed_once_and_no_oftener() {
    let fake = FakeIam::start(account()).await.unwrap();
    let gate = Gate::new(Pace::new(Mode::Full), Limits::default()).unwrap();
    let provider = SharedCredentialsProvider::new(Renewing::default());
    let config = config_for(&fake, gate.reads(["iam:ListAccessKeys"], "")).to_builder().credentials_provider(provider);
    let way = Way::learn(&aws_sdk_iam::Client::from_conf(config.build())).await.unwrap();
    fake.with(|account| account.ended = Some("session-0".into()));
    assert_eq!(way.keys("ann", None).await.unwrap().keys.len(), 1);
    assert_eq!(way.keys("bob", None).await.unwrap().keys.len(), 2);
    assert_eq!(fake.with(|account| account.calls["ListAccessKeys"]), 3, "one refusal, two answers");
    fake.with(|account| {
        account.faults = HashMap::from([("ListAccessKeys", Fault::Error(403, "ExpiredToken", "ended"))])
    });
    assert_eq!(way.keys("ann", None).await.unwrap_err().why, Why::Unauthenticated);
    assert_eq!(fake.with(|account| account.calls["ListAccessKeys"]), 5, "asked once more, then given up");
}

const WRITER: &str = r#"{"Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:CreateUser"],"Resource":"*"}]}"#;
const READER: &str = r#"{"Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}]}"#;

#[tokio::test]
async fn a_run_says_what_its_own_credential_could_write() {
    let known = |words: &[&str]| Reading::Known(words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
    let table = [
        (None, known(&[])),
        (Some("arn:aws:sts::123456789012:assumed-role/audit/me"), known(&[])),
        (Some("arn:aws:sts::123456789012:assumed-role/deploy/me"), known(&["iam:CreateUser"])),
        (Some("arn:aws:iam::123456789012:root"), known(&["every action (root user)"])),
        (Some("arn:aws:sts::123456789012:assumed-role/unlisted/me"), Reading::NotCollected),
        (Some("arn:aws:sts::123456789012:federated-user/me"), Reading::NotCollected),
    ];
    for (caller, could) in table {
        let mut account = Account { caller, roles: vec![("audit", READER), ("deploy", WRITER)], ..account() };
        account.users.push(FakeUser { policy: Some(READER.into()), ..FakeUser::new("eyes", "AIDAEYES", &[]) });
        let said = once(account).await;
        assert_eq!(said.eyes.unwrap().0, could, "{caller:?}");
        let own = said.entities.iter().filter(|(_, it)| it.facts.get(field::LOOKED_BY) == Reading::Known(true));
        let own: Vec<String> = own.filter_map(|(_, it)| it.facts.get(field::ARN).known()).collect();
        let expected = match caller {
            None => vec!["arn:aws:iam::123456789012:user/eyes".to_owned()],
            Some(arn) if arn.contains("/audit/") => vec!["arn:aws:iam::123456789012:role/audit".to_owned()],
            Some(arn) if arn.contains("/deploy/") => vec!["arn:aws:iam::123456789012:role/deploy".to_owned()],
            Some(_) => Vec::new(),
        };
        assert_eq!(own, expected, "{caller:?}");
    }
    let mut denied = account();
    denied.faults.insert("GetAccountAuthorizationDetails", Fault::Error(403, "AccessDenied", "no"));
    assert_eq!(once(denied).await.eyes.unwrap().0, Reading::NotPermitted);
}
