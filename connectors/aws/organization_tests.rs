//! An organization against the fake: accounts beside each other, one of which cannot be entered, and one that leaves.
//! It must never need a network or a clock of the wall.

use provost_model::{Reading, Why};
use serde_json::{Value, json};

use super::{
    testing::{Account, FakeIam},
    tests::{Said, account, run},
};
use crate::Bookmarks;

const MEMBERS: [&str; 3] = ["123456789012", "222222222222", "333333333333"];

fn page(accounts: &[(&str, &str)], next: Option<&str>) -> (u16, String) {
    let accounts: Vec<Value> = accounts.iter().map(|(id, state)| json!({"Id": id, "Status": state})).collect();
    (200, json!({"Accounts": accounts, "NextToken": next}).to_string())
}

fn organization(pages: Vec<(u16, String)>) -> Account {
    Account { cloud: [("us-east-1 ListAccounts".to_owned(), pages)].into(), ..account() }
}

async fn look(fake: &FakeIam, known: &Bookmarks) -> Said {
    let settings = json!({"pace": "full", "role_name": "provost", "external_id": "agreed"});
    let (result, said) = run(fake, known, settings).await;
    result.unwrap();
    said
}

fn whole() -> Vec<(u16, String)> {
    vec![page(&[(MEMBERS[0], "ACTIVE"), (MEMBERS[1], "ACTIVE")], Some("2")), page(&[(MEMBERS[2], "ACTIVE")], None)]
}

/// Accounts that are unwatched as a whole, not only a listing that another stood in for.
fn whole_accounts(said: &Said) -> Vec<&str> {
    said.unwatched.iter().map(String::as_str).filter(|scope| !scope.contains("/iam/")).collect()
}

#[tokio::test]
async fn every_account_is_a_realm_of_its_own_and_costs_two_calls_to_enter() {
    let fake = FakeIam::start(Account { external_id: Some("agreed"), ..organization(whole()) }).await.unwrap();
    let said = look(&fake, &Bookmarks::default()).await;
    assert!(said.troubles.is_empty(), "{:?}", said.troubles);
    for member in MEMBERS {
        for path in ["iam/authorization", "iam/credential-report"] {
            assert_eq!(said.covers[&format!("accounts/{member}/{path}")], "full");
        }
        let users = said.entities.iter().filter(|(scope, it)| {
            *scope == format!("accounts/{member}/iam/authorization") && it.key.realm.as_str() == format!("aws:{member}")
        });
        assert_eq!(users.count(), 4, "{member}");
    }
    assert_eq!((said.calls["sts:AssumeRole"], said.calls["sts:GetCallerIdentity"]), (2, 3));
    assert_eq!(said.calls["iam:ListAccessKeys"], 9, "three of four users have keys, in each account");
    assert_eq!(said.eyes.unwrap().0, Reading::NotCollected);
    // And again with what is known: nobody is listed anew.
    fake.with(|account| account.calls.clear());
    let warm = look(&fake, &said.next).await;
    assert!(!warm.calls.contains_key("iam:ListAccessKeys"), "{:?}", warm.calls);
}

#[tokio::test]
async fn an_account_that_cannot_be_entered_leaves_the_others_as_they_are() {
    let mut account = organization(whole());
    account.locked.push(MEMBERS[1]);
    let fake = FakeIam::start(account).await.unwrap();
    let said = look(&fake, &Bookmarks::default()).await;
    let place = format!("accounts/{}/sts:AssumeRole", MEMBERS[1]);
    assert_eq!(said.why(&place), Some(Why::Denied), "{:?}", said.troubles);
    assert_eq!(said.troubles.len(), 1);
    assert!(!said.troubles[0].blind_spot, "a whole account is no small thing");
    assert!(!said.covers.keys().any(|scope| scope.contains(MEMBERS[1])), "nothing is said of it");
    assert_eq!(said.covers[&format!("accounts/{}/iam/authorization", MEMBERS[2])], "full");
}

#[tokio::test]
async fn what_left_the_organization_is_unwatched_and_said_once() {
    let fake = FakeIam::start(organization(whole())).await.unwrap();
    let cold = look(&fake, &Bookmarks::default()).await;
    fake.with(|account| {
        let left = vec![page(&[(MEMBERS[0], "ACTIVE"), (MEMBERS[1], "SUSPENDED")], None)];
        account.cloud.insert("us-east-1 ListAccounts".to_owned(), left);
    });
    let said = look(&fake, &cold.next).await;
    let unwatched = [1, 2].map(|at| format!("aws:{0}/accounts/{0}", MEMBERS[at]));
    assert_eq!(whole_accounts(&said), unwatched);
    assert!(said.troubles.iter().all(|it| it.blind_spot && it.why == Why::Changed), "{:?}", said.troubles);
    assert!(!said.covers.keys().any(|scope| scope.contains(MEMBERS[1])), "a suspended account is left alone");
    let again = look(&fake, &said.next).await;
    assert!(again.troubles.is_empty() && whole_accounts(&again).is_empty(), "{:?}", again.troubles);
}

#[tokio::test]
async fn where_the_organization_cannot_be_listed_those_known_are_looked_at() {
    let fake = FakeIam::start(organization(whole())).await.unwrap();
    let cold = look(&fake, &Bookmarks::default()).await;
    for broken in [(500, "{}".to_owned()), (400, r#"{"__type":"AccessDeniedException"}"#.to_owned())] {
        fake.with(|account| {
            account.cloud.insert("us-east-1 ListAccounts".to_owned(), vec![broken.clone()]);
        });
        let said = look(&fake, &cold.next).await;
        assert!(!said.troubles.is_empty() && whole_accounts(&said).is_empty(), "{broken:?}");
        assert_eq!(said.covers[&format!("accounts/{}/iam/authorization", MEMBERS[2])], "full");
    }
}
