//! Transit keys of a real OpenBao, and what a server may answer else.
//! It must never leave a server behind.

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

fn rotator(address: &str) -> Box<dyn Rotator> {
    build(&handed(address, ROOT, &json!({}))).unwrap()
}

fn key(server: &openbao::Server, name: &str, body: &Value) -> Target {
    server.write(&format!("transit/keys/{name}"), body);
    vault_testing::target(Kind::Secret, (&accessor(server, "transit"), name), "")
}

fn active(slots: &[Slot]) -> Vec<&str> {
    slots.iter().filter(|it| it.active).map(|it| it.id.as_str()).collect()
}

/// Encrypts by that version, if it may.
fn encrypts(server: &openbao::Server, version: u64) -> Option<String> {
    let body = json!({ "plaintext": "YQ==", "key_version": version });
    let (status, answer) = server.ask("POST", "transit/encrypt/pay", Some(&body));
    (status == 200).then(|| answer["data"]["ciphertext"].as_str().unwrap().to_owned())
}

fn decrypts(server: &openbao::Server, text: &str) -> bool {
    server.ask("POST", "transit/decrypt/pay", Some(&json!({ "ciphertext": text }))).0 == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_stops_encrypting_comes_back_and_always_decrypts() {
    let Some(server) = openbao::own() else { return };
    server.write("sys/mounts/transit", &json!({ "type": "transit" }));
    let target = key(&server, "pay", &json!({}));
    let hands = rotator(&server.url());
    let order = act(Remedy::Rotate);
    assert!(hands.check().await.unwrap().ends_with("transit is of type transit"));
    let before = hands.look(&target).await.unwrap();
    assert_eq!(active(&before), ["1"]);
    assert!(before[0].made_at.known().is_some());
    let old = encrypts(&server, 1).unwrap();
    let alone = hands.disable(&order, &target, "1").await.unwrap_err();
    assert!(matches!(&alone, ActionError::GiveUp { said } if said.contains("newest")), "{alone}");

    let minted = hands.mint(&order, &target, "m", &Bundle::default()).await.unwrap();
    assert_eq!((minted.id.as_str(), minted.value.is_empty()), ("2", true));
    hands.verify(&target, "2", &minted.value).await.unwrap();
    let log = std::fs::read_to_string(server.audit_log()).unwrap();
    assert!(log.contains("transit/encrypt/pay"), "it was tried out");
    assert!(matches!(hands.verify(&target, "3", &minted.value).await, Err(ActionError::GiveUp { .. })));
    assert_eq!(active(&hands.look(&target).await.unwrap()), ["1", "2"]);

    hands.disable(&order, &target, "1").await.unwrap();
    hands.disable(&order, &target, "1").await.unwrap();
    let slots = hands.look(&target).await.unwrap();
    assert_eq!((active(&slots), slots.len()), (vec!["2"], 2));
    assert!(encrypts(&server, 1).is_none() && encrypts(&server, 2).is_some() && decrypts(&server, &old));
    assert!(matches!(hands.verify(&target, "1", &minted.value).await, Err(ActionError::GiveUp { .. })));
    hands.enable(&order, &target, "1").await.unwrap();
    hands.enable(&order, &target, "1").await.unwrap();
    assert!(encrypts(&server, 1).is_some());
    assert!(matches!(hands.delete(&order, &target, "1").await, Err(ActionError::GiveUp { .. })));

    // More than nine versions are in their order, and what does not decrypt is not brought back.
    for _ in 0..10 {
        hands.mint(&order, &target, "m", &Bundle::default()).await.unwrap();
    }
    hands.disable(&order, &target, "11").await.unwrap();
    let slots = hands.look(&target).await.unwrap();
    assert_eq!((active(&slots), slots[1].id.as_str(), slots[11].id.as_str()), (vec!["12"], "2", "12"));
    let (_, told) = server.ask("GET", "transit/keys/pay", None);
    assert_eq!(told["data"]["min_decryption_version"], json!(1), "never touched");
    server.write("transit/keys/pay/config", &json!({ "min_decryption_version": 5 }));
    assert!(matches!(hands.enable(&order, &target, "4").await, Err(ActionError::GiveUp { .. })));
    hands.disable(&order, &target, "4").await.unwrap();
    hands.enable(&order, &target, "11").await.unwrap();
    assert_eq!(active(&hands.look(&target).await.unwrap()), ["11", "12"]);

    // Keys that only sign, and derived ones, are not used.
    for (name, body) in [("sig", json!({ "type": "ed25519" })), ("der", json!({ "derived": true }))] {
        let target = key(&server, name, &body);
        let minted = hands.mint(&order, &target, "m", &Bundle::default()).await.unwrap();
        hands.verify(&target, &minted.id, &minted.value).await.unwrap();
        assert!(hands.look(&target).await.unwrap()[0].made_at.known().is_some());
    }
    let none = vault_testing::target(Kind::Secret, (&accessor(&server, "transit"), "none"), "");
    assert_eq!(hands.look(&none).await.unwrap(), []);
    assert!(matches!(hands.mint(&order, &none, "m", &Bundle::default()).await, Err(ActionError::GiveUp { .. })));
    // A secret of another engine has an id of the same form.
    let other = vault_testing::target(Kind::Secret, (&accessor(&server, "secret"), "pay"), "");
    assert!(matches!(hands.mint(&order, &other, "m", &Bundle::default()).await, Err(ActionError::GiveUp { .. })));
    assert_eq!(hands.look(&target).await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_rotation_without_a_clear_answer_may_have_happened() {
    let told = r#"{"data":{"latest_version":1,"min_decryption_version":1,"min_encryption_version":0,"keys":{"1":1}}}"#;
    let same = || Reply::new(204, &[], "");
    let cut = || Reply::new(204, &[], "").cut(10);
    let broken = || Reply::new(500, &[], "");
    for acted in [same as fn() -> Reply, cut, broken] {
        let to = Loopback::start(move |asked| match asked.target.as_str() {
            target if target.contains("/ui/mounts/") => Reply::json(r#"{"data":{"accessor":"t","type":"transit"}}"#),
            target if target.ends_with("/rotate") => acted(),
            _ => Reply::json(told),
        })
        .await;
        let target = vault_testing::target(Kind::Secret, ("t", "pay"), "");
        let error = rotator(&to.origin).mint(&act(Remedy::Rotate), &target, "m", &Bundle::default()).await.unwrap_err();
        assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
        assert_eq!(to.targets().iter().filter(|it| it.ends_with("/rotate")).count(), 1);
    }
}
