//! Secret ids in a real OpenBao, and what a server may answer else.
//! It must never leave a server behind.

use std::time::Duration;

use super::*;
use crate::{
    given::vault_testing::{
        self, accessor, handed,
        openbao::{self, ROOT},
    },
    testing::{
        act,
        loopback::{Loopback, Reply},
    },
};

const MARKED: &str = "provost 01234567-89ab-7cde-8f01-23456789abcd";

fn rotator(address: &str, token: &str) -> Box<dyn Rotator> {
    build(&handed(address, token, &json!({ "mount": "machines" }))).unwrap()
}

/// A server with a role, and the secret id that is to be changed, by its accessor and its value.
fn seeded(role: &Value, secret_id: &Value) -> Option<(openbao::Server, Target, String)> {
    let server = openbao::own()?;
    server.write("sys/auth/machines", &json!({ "type": "approle" }));
    server.write("auth/machines/role/ci", role);
    let made = server.write("auth/machines/role/ci/secret-id", secret_id);
    let rest = format!("ci/{}", made["secret_id_accessor"].as_str().unwrap());
    let target = vault_testing::target(Kind::ClientSecret, (&accessor(&server, "auth/machines"), &rest), "ci");
    Some((server, target, made["secret_id"].as_str().unwrap().to_owned()))
}

fn told(server: &openbao::Server, id: &str) -> Value {
    let accessor = id.rsplit('/').next().unwrap();
    let body = json!({ "secret_id_accessor": accessor });
    server.ask("POST", "auth/machines/role/ci/secret-id-accessor/lookup", Some(&body)).1["data"].clone()
}

/// How an application would sign in.
fn signs_in(server: &openbao::Server, secret_id: &str) -> bool {
    let (_, role) = server.ask("GET", "auth/machines/role/ci/role-id", None);
    let body = json!({ "role_id": role["data"]["role_id"], "secret_id": secret_id });
    server.ask("POST", "auth/machines/login", Some(&body)).0 == 200
}

fn tokens(server: &openbao::Server) -> usize {
    server.ask("LIST", "auth/token/accessors", None).1["data"]["keys"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_id_is_replaced_by_one_that_works_and_the_old_one_stops_working() {
    let metadata = json!({ "metadata": r#"{"owner":"payments"}"#, "ttl": "7200s" });
    let Some((server, target, old)) = seeded(&json!({ "token_ttl": "1h" }), &metadata) else { return };
    let hands = rotator(&server.url(), ROOT);
    let order = act(Remedy::Rotate);
    assert!(hands.check().await.unwrap().ends_with("auth/machines is of type approle"));

    let before = hands.look(&target).await.unwrap();
    assert_eq!(before.len(), 1);
    assert_eq!((before[0].id.as_str(), before[0].active, &before[0].mark), (&*target.external_id, true, &None));
    assert!(before[0].made_at.known().is_some() && before[0].used_at == Reading::NotReported);

    let minted = hands.mint(&order, &target, MARKED, &Bundle::default()).await.unwrap();
    let after = hands.look(&target).await.unwrap();
    assert_eq!(after.len(), 2);
    let new = after.iter().find(|it| it.id == minted.id).unwrap();
    assert_eq!((new.active, new.mark.as_deref()), (true, Some(MARKED)));
    let truth = told(&server, &minted.id);
    assert_eq!(truth["metadata"], json!({ "owner": "payments", "provost": MARKED }));
    assert_eq!((&truth["secret_id_ttl"], &truth["secret_id_num_uses"]), (&json!(7200), &json!(0)));
    let value = minted.value.get(PART).unwrap().expose_secret().to_owned();
    assert!(!format!("{minted:?}").contains(&value));

    let counted = tokens(&server);
    hands.verify(&target, &minted.id, &minted.value).await.unwrap();
    assert_eq!(tokens(&server), counted, "the token that it tried was ended");
    let log = std::fs::read_to_string(server.audit_log()).unwrap();
    assert!(log.contains("auth/machines/login") && log.contains("auth/token/revoke-self"), "it did sign in");
    let wrong = Bundle::new([(PART.to_owned(), old.clone().into())]);
    let error = hands.verify(&target, &minted.id, &wrong).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("another")), "{error}");
    let wrong = Bundle::new([(PART.to_owned(), "hunter2".to_owned().into())]);
    let error = hands.verify(&target, &minted.id, &wrong).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("no such")), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));

    assert!(matches!(hands.disable(&order, &target, &target.external_id).await, Err(ActionError::GiveUp { .. })));
    hands.enable(&order, &target, &target.external_id).await.unwrap();
    assert!(signs_in(&server, &old));
    hands.delete(&order, &target, &target.external_id).await.unwrap();
    hands.delete(&order, &target, &target.external_id).await.unwrap();
    assert!(!signs_in(&server, &old) && signs_in(&server, &value));
    let left = hands.look(&target).await.unwrap();
    assert_eq!(left.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [minted.id.as_str()]);
    assert!(matches!(hands.enable(&order, &target, &target.external_id).await, Err(ActionError::GiveUp { .. })));
    let error = hands.mint(&order, &target, MARKED, &Bundle::default()).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("gone")), "{error}");

    server.delete("auth/machines/role/ci");
    assert_eq!(hands.look(&target).await.unwrap(), [], "nothing of a role that is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_bound_is_replaced_by_one_bound_alike_and_no_use_of_it_is_spent() {
    let role = json!({ "secret_id_ttl": "24h", "secret_id_num_uses": 5, "secret_id_bound_cidrs": ["10.0.0.0/8"] });
    let bound =
        json!({ "cidr_list": ["10.1.0.0/16"], "token_bound_cidrs": ["10.2.0.0/16"], "ttl": "2h", "num_uses": 3 });
    let Some((server, target, _)) = seeded(&role, &bound) else { return };
    let hands = rotator(&server.url(), ROOT);
    let minted = hands.mint(&act(Remedy::Rotate), &target, MARKED, &Bundle::default()).await.unwrap();
    let truth = told(&server, &minted.id);
    assert_eq!(truth["cidr_list"], json!(["10.1.0.0/16"]));
    assert_eq!(truth["token_bound_cidrs"], json!(["10.2.0.0/16"]));
    assert_eq!((&truth["secret_id_ttl"], &truth["secret_id_num_uses"]), (&json!(7200), &json!(5)));
    hands.verify(&target, &minted.id, &minted.value).await.unwrap();
    assert_eq!(told(&server, &minted.id)["secret_id_num_uses"], json!(5), "no use was spent");
    let slots = hands.look(&target).await.unwrap();
    assert!(slots.iter().all(|it| it.used_at == Reading::Never), "{slots:?}");

    // The role does not count, one of its secret ids does; and one that has ended is not active.
    server.write(
        "auth/machines/role/ci",
        &json!({ "secret_id_num_uses": 0, "secret_id_ttl": 0, "secret_id_bound_cidrs": "" }),
    );
    let minted = hands.mint(&act(Remedy::Rotate), &target, MARKED, &Bundle::default()).await.unwrap();
    assert_eq!(told(&server, &minted.id)["secret_id_num_uses"], json!(3));
    server.write("auth/machines/role/ci/secret-id", &json!({ "ttl": "1s" }));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let slots = hands.look(&target).await.unwrap();
    assert!(slots.iter().filter(|it| !it.active).count() <= 1 && slots.iter().filter(|it| it.active).count() == 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_never_destroys_what_it_signs_in_by_nor_acts_where_the_target_is_not() {
    let Some((server, target, own)) = seeded(&json!({ "token_policies": "hands" }), &json!({})) else { return };
    let policy = r#"path "auth/machines/role/ci*" { capabilities = ["create", "read", "update", "list"] }
        path "auth/machines/role/ci/*" { capabilities = ["create", "read", "update", "list"] }"#;
    server.write("sys/policies/acl/hands", &json!({ "policy": policy }));
    let (_, role) = server.ask("GET", "auth/machines/role/ci/role-id", None);
    let settings = json!({ "address": server.url(), "mount": "machines", "approle_mount": "machines",
        "role_id": format!("env:{}", role["data"]["role_id"].as_str().unwrap()), "secret_id": format!("env:{own}") });
    let hands = build(&crate::testing::handed(settings)).unwrap();
    assert_eq!(hands.look(&target).await.unwrap().len(), 1);
    assert_eq!(hands.own(), std::slice::from_ref(&target.external_id));
    let error = hands.delete(&act(Remedy::Revoke), &target, &target.external_id).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("itself")), "{error}");
    assert!(signs_in(&server, &own));
    let made = hands.mint(&act(Remedy::Rotate), &target, MARKED, &Bundle::default()).await.unwrap();
    hands.delete(&act(Remedy::Rotate), &target, &made.id).await.unwrap();

    // A role of that name at another mount is another role.
    server.write("sys/auth/other", &json!({ "type": "approle" }));
    server.write("auth/other/role/ci", &json!({}));
    let hands = build(&handed(&server.url(), ROOT, &json!({ "mount": "other" }))).unwrap();
    for error in [
        hands.look(&target).await.unwrap_err(),
        hands.mint(&act(Remedy::Rotate), &target, MARKED, &Bundle::default()).await.unwrap_err(),
        hands.delete(&act(Remedy::Rotate), &target, &target.external_id).await.unwrap_err(),
    ] {
        assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("auth/other")), "{error}");
    }
    assert_eq!(server.ask("LIST", "auth/other/role/ci/secret-id", None).0, 404);
    let mut strange = target.clone();
    strange.holder_name = "other".into();
    assert!(matches!(rotator(&server.url(), ROOT).look(&strange).await, Err(ActionError::GiveUp { .. })));
    assert!(rotator(&server.url(), "hunter2").look(&target).await.unwrap_err().may_repeat());
}

/// A server that answers all but that call.
async fn but(call: &'static str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> Loopback {
    Loopback::start(move |asked| match asked.target.as_str() {
        target if target.ends_with(call) && asked.method == "POST" => reply(),
        target if target.contains("/ui/mounts/") => Reply::json(r#"{"data":{"accessor":"auth_1","type":"approle"}}"#),
        target if target.ends_with("/lookup") => Reply::json(
            r#"{"data":{"secret_id_accessor":"a","creation_time":"2026-01-01T00:00:00Z","expiration_time":"0001-01-01T00:00:00Z"}}"#,
        ),
        _ => Reply::json(r#"{"data":{}}"#),
    })
    .await
}

#[tokio::test]
async fn what_became_of_an_act_without_a_clear_answer_is_not_known_and_it_is_sent_once() {
    let target = vault_testing::target(Kind::ClientSecret, ("auth_1", "ci/a"), "ci");
    let made = r#"{"data":{"secret_id":"hunter2","secret_id_accessor":"b"}}"#;
    for reply in [|| Reply::new(500, &[], ""), || Reply::json("{}"), || Reply::new(200, &[], "").cut(30)] {
        let to = but("/secret-id", reply).await;
        let error =
            rotator(&to.origin, "t").mint(&act(Remedy::Rotate), &target, MARKED, &Bundle::default()).await.unwrap_err();
        assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
        assert_eq!(to.targets().iter().filter(|it| it.ends_with("/secret-id")).count(), 1);
    }
    let to = but("/secret-id", move || Reply::json(made).cut(1)).await;
    let error =
        rotator(&to.origin, "t").mint(&act(Remedy::Rotate), &target, MARKED, &Bundle::default()).await.unwrap_err();
    assert!(matches!(error, ActionError::Ambiguous { .. }) && !format!("{error:?}").contains("hunter2"), "{error}");
    let to = but("/destroy", || Reply::new(200, &[], "").cut(30)).await;
    let error = rotator(&to.origin, "t").delete(&act(Remedy::Rotate), &target, &target.external_id).await.unwrap_err();
    assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
    for (status, repeats) in [(400, false), (403, true), (429, true)] {
        let to = but("/secret-id", move || Reply::new(status, &[], r#"{"errors":["no"]}"#)).await;
        let error =
            rotator(&to.origin, "t").mint(&act(Remedy::Rotate), &target, MARKED, &Bundle::default()).await.unwrap_err();
        assert_eq!(error.may_repeat(), repeats, "{error}");
        assert!(!matches!(error, ActionError::Ambiguous { .. }), "{error}");
    }
}
