//! The whole program against an IAM that breaks off, refuses, lies or empties: what was not seen must not be believed gone.
//! It must never rest on how fast anything is.

use provost::clock::WallClock;
use provost_connectors::aws::testing::{FakeUser, Fault};
use provost_model::Clock as _;
use rustix::process::Signal;
use serde_json::Value;

use super::{
    account::{DENIED, Fake, soon, user},
    place::{Place, calls, cover, sum, text, troubles},
};
use crate::program::until;

const DETAILS: &str = "GetAccountAuthorizationDetails";
/// A daemon looks once, and then not again while a test lives.
const YEARLY: &str = "schedule = \"0 0 1 1 *\"";
const REPORT: &str = "GetCredentialReport";

fn present(place: &Place, kind: &str) -> usize {
    place.records(kind).iter().filter(|row| row["presence"] == "present").count()
}

fn source(place: &Place) -> Value {
    let said = place.say(&["status", "--output", "json"]);
    serde_json::from_str::<Value>(&said.out).unwrap()["sources"][0].clone()
}

#[test]
fn a_listing_that_breaks_off_makes_the_run_partial_and_nothing_missing() {
    let fake = Fake::with_users(120);
    fake.with(|account| account.page = 20);
    let place = Place::new(fake.url(), "");
    let (status, run) = place.scan(&[]);
    assert_eq!((status, text(&run, "outcome")), (0, "complete"), "short pages are no end: {run:#}");
    assert_eq!((present(&place, "user"), present(&place, "access_key")), (120, 120));
    // The listing breaks off in its middle, the report as a whole.
    for (action, after, scope) in [(DETAILS, 3, "iam/authorization"), (REPORT, 0, "iam/credential-report")] {
        let faults = [
            ("denied", DENIED),
            ("unavailable", Fault::Error(500, "ServiceFailure", "internal failure")),
            ("malformed", Fault::Garbage("<html>a proxy's own page</html>")),
            ("unavailable", Fault::Cut),
        ];
        for (why, fault) in faults {
            let what = format!("{action}: {fault:?}");
            fake.fail(action, after, fault);
            let (status, run) = place.scan(&[]);
            assert_eq!((status, text(&run, "outcome")), (3, "partial"), "{what}: {run:#}");
            assert_eq!((sum(&run, "missing"), sum(&run, "gone"), sum(&run, "held")), (0, 0, 0), "{what}: {run:#}");
            assert_eq!(cover(&run, scope), "partial", "{what}: {run:#}");
            assert!(troubles(&run).contains(&format!("{scope}: {why}")), "{what}: {run:#}");
            let row = source(&place);
            assert_eq!(row["outcome"], "partial", "{what}");
            assert!(row["notes"].to_string().contains(&format!("not seen: {scope}")), "{what}: {row:#}");
            fake.heal();
        }
    }
    assert_eq!((present(&place, "user"), present(&place, "access_key")), (120, 120));
    let listed = place.say(&["sources", "list"]);
    assert!(listed.out.contains("partial"), "{listed:?}");
    assert_eq!(place.scan(&[]).0, 0, "all is well again");
    // The plain listing of users that stood in for the details must not keep a deleted user alive.
    fake.with(|account| account.users.truncate(119));
    for _ in 0..2 {
        place.scan(&[]);
    }
    let last = place.records("user").into_iter().find(|row| row["external_id"] == "AIDA0119").unwrap();
    assert_eq!(last["presence"], "gone", "{last:#}");
}

#[test]
fn a_provider_that_answers_no_more_ends_the_run_in_time_and_partial() {
    let fake = Fake::with_users(60);
    fake.with(|account| account.page = 20);
    let place = Place::new(fake.url(), "");
    assert_eq!(place.scan(&[]).0, 0);
    place.configure(fake.url(), "time_limit = \"4s\"");
    // Two calls of each action, and then none ever again.
    fake.with(|account| account.bucket = Some((0.0, 2.0)));
    let (status, run) = place.scan(&[]);
    assert_eq!((status, text(&run, "outcome")), (3, "partial"), "{run:#}");
    assert_eq!((sum(&run, "missing"), sum(&run, "gone")), (0, 0), "{run:#}");
    assert!(troubles(&run).iter().any(|it| it.ends_with(": timed_out")), "{run:#}");
    assert_eq!((present(&place, "user"), present(&place, "access_key")), (60, 60));
}

#[test]
fn throttling_costs_time_and_nothing_else() {
    let fake = Fake::with_users(40);
    fake.with(|account| account.bucket = Some((40.0, 5.0)));
    let place = Place::new(fake.url(), "");
    let (status, run) = place.scan(&[]);
    assert_eq!((status, text(&run, "outcome")), (0, "complete"), "{run:#}");
    assert!(fake.with(|account| account.throttled) > 0);
    let told: u64 = run["calls"].as_array().unwrap().iter().map(|it| it["throttled"].as_u64().unwrap()).sum();
    assert_eq!(told, fake.with(|account| account.throttled), "every throttled call is told: {run:#}");
    assert_eq!((present(&place, "user"), present(&place, "access_key")), (40, 40));
}

#[test]
fn credentials_that_expire_in_mid_run_lose_nothing_and_the_next_run_goes_on() {
    let fake = Fake::with_users(200);
    let place = Place::new(fake.url(), "in_flight = 4");
    fake.fail("ListAccessKeys", 150, Fault::Error(403, "ExpiredToken", "the security token is expired"));
    let (status, run) = place.scan(&[]);
    assert_eq!((status, text(&run, "outcome")), (3, "partial"), "{run:#}");
    assert!(troubles(&run).contains(&"iam/access-keys: unauthenticated".to_owned()), "{run:#}");
    assert_eq!(present(&place, "access_key"), 200, "the rest is known by its slot");
    fake.heal();
    let (status, run) = place.scan(&[]);
    assert_eq!(status, 0, "{run:#}");
    // 50 were left, and at most those in flight when it ended.
    assert!(calls(&run, "iam:ListAccessKeys") <= 54, "what was listed is not listed again: {run:#}");
    assert_eq!(place.records("access_key").len(), 200);
    assert!(place.records("access_key").iter().all(|row| text(row, "external_id").starts_with("AKIA")));
    // Expired from the start: nothing was seen, nothing is changed.
    fake.fail("GetCallerIdentity", 0, Fault::Error(403, "ExpiredToken", "the security token is expired"));
    let (status, run) = place.scan(&[]);
    assert_eq!((status, text(&run, "outcome")), (1, "failed"), "{run:#}");
    assert_eq!((present(&place, "user"), present(&place, "access_key")), (200, 200));
}

#[test]
fn without_the_report_keys_are_listed_and_their_use_is_not_known_rather_than_never() {
    let fake = Fake::with_users(10);
    let place = Place::new(fake.url(), "");
    for action in ["GenerateCredentialReport", "GetCredentialReport"] {
        fake.fail(action, 0, DENIED);
    }
    let (status, run) = place.scan(&[]);
    assert_eq!((status, cover(&run, "iam/credential-report")), (3, "partial"), "{run:#}");
    let before = place.records("access_key");
    assert_eq!(before.len(), 10);
    for row in &before {
        assert!(!["known", "never"].contains(&text(&row["last_used_at"], "reading")), "{row:#}");
    }
    let unused = |it: &Value| ["CRED-STALE", "CRED-NEVER"].contains(&text(it, "rule"));
    assert!(!place.open().iter().any(unused), "nobody can say that they are unused");
    fake.heal();
    assert_eq!(place.scan(&[]).0, 0);
    let after = place.records("access_key");
    let ids = |rows: &[Value]| rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&before), ids(&after));
    assert!(after.iter().all(|row| row["last_used_at"]["reading"] == "known"), "{after:#?}");
    let users = place.records("user");
    assert!(
        users.iter().all(|row| row["attributes"]["mfa"]["reading"] == "known"),
        "an older report corrects: {users:#?}"
    );
}

#[test]
fn inactive_keys_that_the_report_hides_are_found_by_a_sweep() {
    let fake = Fake::with_users(3);
    fake.with(|account| {
        account.hides_inactive = true;
        for number in 0..5 {
            let (name, id, key) = (format!("old{number}"), format!("AIDAOLD{number}"), format!("AKIAOLD{number}"));
            account.users.push(FakeUser::new(&name, &id, &[(&key, false, "2022-01-01T00:00:00Z")]));
        }
    });
    let place = Place::new(fake.url(), "");
    place.scan(&[]);
    let (status, run) = place.scan(&["--sweep"]);
    assert_eq!(status, 0, "{run:#}");
    assert!(calls(&run, "iam:ListAccessKeys (sweep)") >= 5, "a sweep is counted apart: {run:#}");
    let hidden: Vec<Value> =
        place.records("access_key").into_iter().filter(|row| text(row, "external_id").starts_with("AKIAOLD")).collect();
    assert_eq!(hidden.len(), 5);
    assert!(hidden.iter().all(|row| row["status"] == "inactive" && row["presence"] == "present"), "{hidden:#?}");
    // Seen by nobody in the runs between, and still there.
    place.scan(&[]);
    assert_eq!(present(&place, "access_key"), 8);
}

#[test]
fn a_user_born_again_under_its_name_takes_nothing_over() {
    let fake = Fake::with_users(12);
    let place = Place::new(fake.url(), "");
    place.scan(&[]);
    fake.with(|account| {
        account.users[3] = FakeUser::new("svc0003", "AIDANEW", &[("AKIANEW", true, "2025-06-07T08:09:10Z")])
    });
    for _ in 0..2 {
        assert_eq!(place.scan(&[]).0, 0);
    }
    let presence = |kind: &str, id: &str| {
        let row = place.records(kind).into_iter().find(|row| row["external_id"] == id);
        row.map_or_else(|| "none".to_owned(), |row| text(&row, "presence").to_owned())
    };
    assert_eq!((presence("user", "AIDA0003").as_str(), presence("user", "AIDANEW").as_str()), ("gone", "present"));
    assert_eq!(
        (presence("access_key", "AKIA0003").as_str(), presence("access_key", "AKIANEW").as_str()),
        ("gone", "present")
    );
    let open = place.open();
    assert!(!open.iter().any(|it| it["external_id"] == "AKIA0003"), "its findings ended with it");
    assert!(open.iter().any(|it| it["external_id"] == "AKIANEW"));
}

#[test]
fn a_provider_that_suddenly_lists_five_of_three_hundred_is_not_believed() {
    let fake = Fake::with_users(300);
    let place = Place::new(fake.url(), "");
    assert_eq!(place.scan(&[]).0, 0);
    fake.with(|account| {
        account.users.truncate(5);
        account.users.push(user(999));
    });
    let (status, run) = place.scan(&[]);
    assert_eq!((status, text(&run, "outcome")), (4, "held"), "{run:#}");
    assert!(sum(&run, "held") >= 295, "{run:#}");
    assert_eq!((present(&place, "user"), present(&place, "access_key")), (301, 301), "what is new is committed");
    let held = |open: &[Value]| open.iter().any(|it| it["rule"] == "SRC-HELD");
    assert!(held(&place.open()));
    let note = source(&place)["notes"].to_string();
    assert!(note.contains("held back") && note.contains("sources release aws"), "{note}");

    let said = place.say(&["sources", "release", "aws", "--reason", "the estate was closed down"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(present(&place, "user") <= 6, "let go");
    assert!(!held(&place.open()), "nothing is held any more");
    let (status, run) = place.scan(&[]);
    assert_eq!(status, 0, "{run:#}");
    let gone = |kind| place.records(kind).iter().filter(|row| row["presence"] == "gone").count();
    assert_eq!((gone("user"), gone("access_key")), (295, 295));
}

#[test]
fn another_account_stops_the_run_before_its_first_commit_until_it_is_accepted() {
    let fake = Fake::with_users(12);
    let place = Place::new(fake.url(), "");
    assert_eq!(place.scan(&[]).0, 0);
    let other = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::999999999999:user/eyes</Arn>\
        <UserId>AIDAEYES</UserId><Account>999999999999</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    fake.fail("GetCallerIdentity", 0, Fault::Garbage(other));
    fake.with(|account| account.users = vec![user(777)]);
    let said = place.say(&["scan"]);
    assert_eq!(said.status, 1, "failed, nothing changed: {said:?}");
    assert!(said.err.contains("aws:999999999999") && said.err.contains("repin"), "{said:?}");
    assert_eq!((present(&place, "user"), place.records("user").len()), (12, 12), "nothing of the other was committed");
    let row = source(&place);
    assert_eq!(row["outcome"], "failed", "the run has ended: {row:#}");
    let found = place.open().into_iter().find(|it| it["rule"] == "SRC-HELD").expect("a finding about the source");
    assert!(text(&found, "because").contains("aws:999999999999"), "{found:#}");

    let said = place.say(&["sources", "repin", "aws", "--reason", "moved to another account"]);
    assert_eq!(said.status, 0, "{said:?}");
    let (status, run) = place.scan(&[]);
    assert_eq!((status, text(&run, "realm")), (0, "aws:999999999999"), "{run:#}");
    let users = place.records("user");
    let unwatched = users.iter().filter(|row| row["presence"] == "unwatched").count();
    assert_eq!((unwatched, present(&place, "user")), (12, 1), "the former account is not looked at any more");
    assert!(users.iter().any(|row| row["external_id"] == "AIDA0777" && row["presence"] == "present"));
    assert!(!place.open().iter().any(|it| it["rule"] == "SRC-HELD"));
}

#[test]
fn a_check_says_what_is_denied_and_ends_so() {
    let fake = Fake::with_users(2);
    let place = Place::new(fake.url(), "");
    fake.fail("ListSSHPublicKeys", 0, DENIED);
    let said = place.say(&["check", "aws"]);
    assert_eq!(said.status, 0, "an optional read may be denied: {said:?}");
    assert!(said.out.contains("denied, optional"), "{}", said.out);
    fake.fail("ListAccessKeys", 0, DENIED);
    let said = place.say(&["check", "aws"]);
    assert_eq!(said.status, 3, "{said:?}");
    let line = said.out.lines().find(|line| line.contains("iam:ListAccessKeys")).unwrap();
    assert!(line.contains("denied") && !line.contains("optional"), "{line}");
    assert!(said.out.contains("write access  ") && said.out.contains("do not tell"), "{}", said.out);
    assert!(said.out.contains("\"Action\"") && said.out.contains("iam:GetCredentialReport"), "{}", said.out);
}

#[test]
fn a_run_under_way_ends_with_what_it_has_when_too_little_stays_free() {
    let fake = Fake::with_users(120);
    fake.with(|account| {
        account.page = 20;
        // Three answers at once, then one in ten seconds.
        account.bucket = Some((0.1, 3.0));
    });
    let place = Place::new(fake.url(), YEARLY);
    let (mut daemon, _manager) = place.daemon();
    until("it looks, and waits for the next answer", || fake.with(|account| account.throttled > 0));
    place.configure_with_free("9000TiB", fake.url(), YEARLY);
    daemon.signal(Signal::HUP);
    until("the run is over", || source(&place)["outcome"] == "partial");
    let row = source(&place);
    assert!(row["notes"].to_string().contains("stopped: the store's disk is nearly full"), "{row:#}");
    let status = place.rows(&["status"]).remove(0);
    assert!(status["notices"].to_string().contains("no run starts, running ones end early"), "{status:#}");
    assert!(present(&place, "user") > 0, "what it had is there");
    let said = place.say(&["scan"]);
    assert_eq!(said.status, 1, "no run starts: {said:?}");
    assert!(said.err.contains("must stay free"), "{said:?}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
}

#[test]
fn a_clock_far_from_the_provider_s_is_not_trusted_until_they_agree() {
    let fake = Fake::with_users(1);
    fake.with(|account| account.date = "Tue, 24 Nov 2020 12:00:00 GMT".to_owned());
    let place = Place::new(fake.url(), YEARLY);
    let (mut daemon, manager) = place.daemon();
    let notices = || place.rows(&["status"]).remove(0)["notices"].to_string();
    until("the provider is heard", || notices().contains("minutes ahead of a provider's clock"));
    manager.wait_for("STATUS=looking on schedule; the clock is not trusted");
    assert_eq!(place.scan(&[]).0, 0, "looking goes on");
    fake.with(|account| {
        let now = jiff::Timestamp::from_microsecond(WallClock.now().as_micros()).unwrap();
        account.date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    });
    assert_eq!(place.scan(&[]).0, 0);
    assert!(!notices().contains("clock"), "{}", notices());
    manager.wait_for("STATUS=looking on schedule");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
}

#[test]
fn a_credential_that_could_write_is_found_until_it_cannot() {
    let fake = Fake::with_users(3);
    let eyes = |actions: &str| {
        let document = format!(r#"{{"Statement":[{{"Effect":"Allow","Action":[{actions}],"Resource":"*"}}]}}"#);
        let user = FakeUser { policy: Some(document), ..FakeUser::new("eyes", "AIDAEYES", &[]) };
        fake.with(|account| {
            account.users.retain(|user| user.name != "eyes");
            account.users.push(user);
        });
    };
    eyes(r#""iam:Get*","iam:CreateAccessKey""#);
    let place = Place::new(fake.url(), "");
    assert_eq!(place.scan(&[]).0, 0);
    let found = |place: &Place| place.open().into_iter().find(|it| it["rule"] == "SRC-OVERPRIVILEGED");
    let finding = found(&place).expect("a finding about the source");
    assert!(text(&finding, "because").contains("iam:CreateAccessKey"), "{finding:#}");
    let said = place.say(&["check", "aws"]);
    assert!(said.out.contains("could also: iam:CreateAccessKey"), "{}", said.out);
    eyes(r#""iam:Get*","iam:List*""#);
    assert_eq!(place.scan(&[]).0, 0);
    assert!(found(&place).is_none(), "it only reads now");
    let said = place.say(&["check", "aws"]);
    assert!(
        said.out.contains("allow nothing beyond reading") && said.out.contains("nobody to renew it"),
        "{}",
        said.out
    );
    // Its rights cannot be told any more: neither a fault nor none.
    fake.fail(DETAILS, 0, DENIED);
    place.scan(&[]);
    assert!(found(&place).is_none());
}

#[test]
fn without_the_report_a_virtual_second_factor_still_shows_and_its_lack_stays_unknown() {
    let fake = Fake::with_users(5);
    fake.with(|account| account.users.iter_mut().take(2).for_each(|user| user.mfa = true));
    let place = Place::new(fake.url(), "");
    for action in ["GenerateCredentialReport", REPORT] {
        fake.fail(action, 0, DENIED);
    }
    let mfa = |place: &Place| {
        let readings = place.records("user").into_iter().map(|row| row["attributes"]["mfa"].clone());
        readings.filter(|it| it["reading"] == "known").map(|it| it["value"].as_bool()).collect::<Vec<_>>()
    };
    let (_, run) = place.scan(&[]);
    assert_eq!(calls(&run, "iam:ListVirtualMFADevices"), 1, "{run:#}");
    assert_eq!(mfa(&place), [Some(true), Some(true)]);
    fake.with(|account| account.users[1].mfa = false);
    place.scan(&[]);
    assert_eq!(mfa(&place), [Some(true)], "what is not listed any more is unknown");
    fake.heal();
    fake.with(|account| (account.users[0].mfa, account.generated) = (false, soon()));
    let (status, run) = place.scan(&[]);
    assert_eq!((status, calls(&run, "iam:ListVirtualMFADevices")), (0, 0), "{run:#}");
    let told = mfa(&place);
    assert_eq!((told.len(), told.iter().filter(|it| **it == Some(true)).count()), (5, 0), "the report is believed");
    // Refused as well: a blind spot beside the report's own trouble, and nothing is lost.
    for action in ["GenerateCredentialReport", REPORT, "ListVirtualMFADevices"] {
        fake.fail(action, 0, DENIED);
    }
    let (status, run) = place.scan(&[]);
    assert_eq!(status, 3, "{run:#}");
    assert!(troubles(&run).contains(&"iam:ListVirtualMFADevices: denied".to_owned()), "{run:#}");
    assert_eq!(mfa(&place).len(), 5);
}

#[test]
fn calls_leave_by_the_proxy_and_trust_the_bundle_that_the_environment_names() {
    let fake = Fake::with_users(3);
    let place = Place::new("http://iam.example.invalid", "");
    let proxied = place.say_with(&[("HTTP_PROXY", fake.url())], &["scan"]);
    assert_eq!(proxied.status, 0, "{proxied:?}");
    assert_eq!((present(&place, "user"), present(&place, "access_key")), (3, 3));
    let asked = fake.with(|account| account.bytes);
    let past = place.say_with(&[("HTTP_PROXY", fake.url()), ("NO_PROXY", "example.invalid")], &["scan"]);
    assert_ne!(past.status, 0, "{past:?}");
    assert_eq!(fake.with(|account| account.bytes), asked, "nothing went by the proxy");
    let refused = place.say_with(&[("AWS_CA_BUNDLE", "/dev/null")], &["scan"]);
    assert_ne!(refused.status, 0, "{refused:?}");
    assert!(refused.err.contains("AWS_CA_BUNDLE") && refused.err.contains("no certificate"), "{refused:?}");
}
