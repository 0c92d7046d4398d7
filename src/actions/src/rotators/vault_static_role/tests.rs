//! Static roles of a real OpenBao with a real database, and what a server may answer else.
//! It must never leave a server behind.

use serde_json::Value;

use super::*;
use crate::{
    given::vault_testing::{
        self, accessor, handed,
        openbao::{self, ROOT},
        postgres,
    },
    testing::{
        act,
        loopback::{Loopback, Reply},
    },
};

fn rotator(address: &str) -> Box<dyn Rotator> {
    build(&handed(address, ROOT, &json!({ "mount": "db/main" }))).unwrap()
}

/// A static role in a database of its own.
fn seed(server: &openbao::Server, database: &postgres::Server) -> Target {
    let url = database.fresh();
    let over = database.over_tcp(&url, database.port());
    let (user, rest) = over.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
    database.query(&url, "CREATE ROLE svc_pay LOGIN PASSWORD 'old'");
    server.write("sys/mounts/db/main", &json!({ "type": "database" }));
    let config = json!({ "plugin_name": "postgresql-database-plugin", "allowed_roles": "*",
        "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@{rest}"),
        "username": "postgres", "password": user.split_once(':').unwrap().1 });
    server.write("db/main/config/pg", &config);
    let role = json!({ "db_name": "pg", "username": "svc_pay", "rotation_period": 86_400 });
    server.write("db/main/static-roles/pay", &role);
    vault_testing::target(Kind::Password, (&accessor(server, "db/main"), "static-roles/pay"), "pay")
}

fn password(server: &openbao::Server) -> Value {
    server.ask("GET", "db/main/static-creds/pay", None).1["data"]["password"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_replaced_in_its_place_and_the_server_says_when() {
    let Some(server) = openbao::own() else { return };
    let Some(mut database) = postgres::own(false) else { return };
    let target = seed(&server, &database);
    let hands = rotator(&server.url());
    let order = act(Remedy::Rotate);
    assert!(hands.check().await.unwrap().ends_with("db/main is of type database"));
    let before = hands.look(&target).await.unwrap();
    assert_eq!(before.len(), 1);
    assert!(before[0].active && before[0].made_at.known().is_some());
    let old = password(&server);

    let minted = hands.mint(&order, &target, "m", &Bundle::default()).await.unwrap();
    assert!(minted.value.is_empty() && minted.id != before[0].id);
    assert_ne!(password(&server), old);
    let after = hands.look(&target).await.unwrap();
    assert_eq!(after.iter().map(|it| &it.id).collect::<Vec<_>>(), [&minted.id]);
    assert!(after[0].made_at.known() > before[0].made_at.known());
    hands.verify(&target, &minted.id, &minted.value).await.unwrap();
    hands.verify(&target, &before[0].id, &minted.value).await.unwrap();
    let later = hands.verify(&target, "2100-01-01T00:00:00Z", &minted.value).await.unwrap_err();
    assert!(matches!(later, ActionError::GiveUp { .. }), "{later}");
    let log = std::fs::read_to_string(server.audit_log()).unwrap();
    assert_eq!(log.matches("static-creds").count(), 4, "only the test reads passwords: asked and answered twice");

    hands.delete(&order, &target, &before[0].id).await.unwrap();
    for refused in [
        hands.delete(&order, &target, &minted.id).await,
        hands.disable(&order, &target, &minted.id).await,
        hands.enable(&order, &target, &before[0].id).await,
    ] {
        assert!(matches!(refused, Err(ActionError::GiveUp { .. })), "{refused:?}");
    }
    hands.enable(&order, &target, &minted.id).await.unwrap();

    // The server tries again later by itself: what it answers now says nothing of that.
    database.kill();
    let error = hands.mint(&order, &target, "m", &Bundle::default()).await.unwrap_err();
    assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
    assert_eq!(hands.look(&target).await.unwrap(), after, "nothing happened yet, by what it says");
    database.again();

    server.delete("db/main/static-roles/pay");
    assert_eq!(hands.look(&target).await.unwrap(), []);
    let error = hands.mint(&order, &target, "m", &Bundle::default()).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("not there")), "{error}");
    let mut strange = target.clone();
    strange.external_id = strange.external_id.replace("static-roles/", "roles/");
    assert!(matches!(hands.look(&strange).await, Err(ActionError::GiveUp { .. })));
    let elsewhere = build(&handed(&server.url(), ROOT, &json!({ "mount": "secret" }))).unwrap();
    let error = elsewhere.mint(&order, &target, "m", &Bundle::default()).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("mounted at secret")), "{error}");
}

#[tokio::test]
async fn a_rotation_without_a_clear_answer_may_have_happened() {
    type Answers = fn(usize) -> Reply;
    let same: Answers = |_| Reply::json(r#"{"data":{"last_vault_rotation":"2026-01-01T00:00:00Z"}}"#);
    let breaks: Answers = |number| match number {
        0 => Reply::json(r#"{"data":{"last_vault_rotation":"2026-01-01T00:00:00Z"}}"#),
        _ => Reply::new(503, &[], ""),
    };
    let rotated = || Reply::new(204, &[], "");
    let cut = || Reply::new(204, &[], "").cut(10);
    for (reads, acted) in [(same, rotated as fn() -> Reply), (breaks, rotated), (same, cut)] {
        let number = std::sync::atomic::AtomicUsize::new(0);
        let to = Loopback::start(move |asked| match asked.target.as_str() {
            target if target.contains("/ui/mounts/") => Reply::json(r#"{"data":{"accessor":"d","type":"database"}}"#),
            target if target.contains("/rotate-role/") => acted(),
            _ => reads(number.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
        })
        .await;
        let target = vault_testing::target(Kind::Password, ("d", "static-roles/pay"), "pay");
        let error = rotator(&to.origin).mint(&act(Remedy::Rotate), &target, "m", &Bundle::default()).await.unwrap_err();
        assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
        assert_eq!(to.targets().iter().filter(|it| it.contains("/rotate-role/")).count(), 1);
    }
}
