//! Certificates of a real OpenBao, and what a server may answer else.
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
    build(&handed(address, ROOT, &json!({ "mount": "pki/web", "role": "web" }))).unwrap()
}

/// A key of its own, and a certificate for it.
async fn made(hands: &dyn Rotator, target: &Target) -> Result<Minted, ActionError> {
    let prepared = hands.prepare(target).await?;
    assert_eq!(prepared.value.parts().collect::<Vec<_>>(), [KEY]);
    hands.mint(&act(Remedy::Rotate), target, "m", &prepared.value).await
}

/// An authority below another one, a role, and a certificate of that one.
fn seed(server: &openbao::Server, issue: &Value) -> (Target, Value) {
    for mount in ["pki/root", "pki/web"] {
        server
            .write(&format!("sys/mounts/{mount}"), &json!({ "type": "pki", "config": { "max_lease_ttl": "87600h" } }));
    }
    server.write("pki/root/root/generate/internal", &json!({ "common_name": "Root", "ttl": "87600h" }));
    let asked = json!({ "common_name": "Below", "key_type": "ec", "key_bits": 256 });
    let request = server.write("pki/web/intermediate/generate/internal", &asked);
    let signed = server.write(
        "pki/root/root/sign-intermediate",
        &json!({ "csr": request["csr"], "common_name": "Below", "ttl": "43800h" }),
    );
    let chain = format!("{}\n{}", signed["certificate"].as_str().unwrap(), signed["issuing_ca"].as_str().unwrap());
    server.write("pki/web/intermediate/set-signed", &json!({ "certificate": chain }));
    let role = json!({ "allowed_domains": "corp.test", "allow_subdomains": true, "allow_bare_domains": true,
        "allowed_uri_sans": "spiffe://corp.test/*", "max_ttl": "72h", "key_type": "ec", "key_bits": 256 });
    server.write("pki/web/roles/web", &role);
    let issued = server.write("pki/web/issue/web", issue);
    (named(server, issued["serial_number"].as_str().unwrap()), issued)
}

fn named(server: &openbao::Server, serial: &str) -> Target {
    let mut target = vault_testing::target(Kind::Certificate, (&accessor(server, "pki/web"), serial), "");
    target.name = "api.corp.test".into();
    target
}

fn ids(slots: &[Slot]) -> Vec<(&str, bool)> {
    slots.iter().map(|it| (it.id.as_str(), it.active)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_by_one_of_the_same_names_and_revoked() {
    let Some(server) = openbao::own() else { return };
    let names = json!({ "common_name": "api.corp.test", "alt_names": "b.corp.test,*.c.corp.test", "ttl": "5h",
        "ip_sans": "10.0.0.1,2001:db8::1", "uri_sans": "spiffe://corp.test/api" });
    let (target, old) = seed(&server, &names);
    server.write("pki/web/issue/web", &json!({ "common_name": "other.corp.test" }));
    let hands = rotator(&server.url());
    let order = act(Remedy::Rotate);
    assert!(
        hands
            .check()
            .await
            .unwrap()
            .ends_with("pki/web is of type pki, and has the role web, which takes keys of the kind ec-p256")
    );
    let before = hands.look(&target).await.unwrap();
    assert_eq!(ids(&before), [(target.external_id.as_str(), true)]);
    let made = before[0].made_at.known().unwrap();
    let now = vault_testing::handed("x", "x", &json!({})).clock.now();
    assert!((now - made).as_micros().abs() < 5_000_000, "{made} is now, as far as clocks agree");

    let (prepared, unused) = (hands.prepare(&target).await.unwrap(), hands.prepare(&target).await.unwrap());
    assert_ne!(prepared.mark, unused.mark);
    assert!(!format!("{prepared:?}").contains("BEGIN"));
    let minted = hands.mint(&order, &target, "m", &prepared.value).await.unwrap();
    let after = hands.look(&target).await.unwrap();
    // Whatever became of the answer: the certificate is known by its key.
    let bears: Vec<&str> =
        after.iter().filter(|it| it.mark.as_ref() == Some(&prepared.mark)).map(|it| &*it.id).collect();
    assert_eq!(bears, [minted.id.as_str()]);
    assert!(after.iter().all(|it| it.mark.is_some() && it.mark.as_ref() != Some(&unused.mark)));
    assert_eq!(ids(&after), [(target.external_id.as_str(), true), (minted.id.as_str(), true)]);
    let pem = |part: &str| minted.value.get(part).unwrap().expose_secret().to_owned();
    let (was, is) = (
        Certificate::of_pem(old["certificate"].as_str().unwrap()).unwrap(),
        Certificate::of_pem(&pem(CERTIFICATE)).unwrap(),
    );
    assert_eq!((&was.hosts, &was.addresses, &was.uris), (&is.hosts, &is.addresses, &is.uris));
    assert_eq!((was.hosts.len(), was.addresses.len(), was.uris.len()), (3, 2, 1));
    let (long, longer) = (was.lifetime(Span::seconds(30)), is.lifetime(Span::seconds(30)));
    assert!((long - longer).abs() <= 1 && (long - 18_000).abs() <= 1, "{long} {longer}");
    assert_ne!(pem(KEY), old["private_key"].as_str().unwrap());
    assert_eq!(pem(KEY), prepared.value.get(KEY).unwrap().expose_secret());
    assert_eq!(pem(CHAIN).matches("BEGIN").count(), 2);
    assert!(!format!("{minted:?}").contains("BEGIN"));
    hands.verify(&target, &minted.id, &minted.value).await.unwrap();

    // What does not belong together is found.
    let theirs = |part: &str| old[part].as_str().unwrap().to_owned();
    let root = pem(CHAIN).split_inclusive("-----END CERTIFICATE-----").nth(1).unwrap().to_owned();
    let other = server.write("pki/root/root/generate/internal", &json!({ "common_name": "Other" }));
    let strange = other["certificate"].as_str().unwrap();
    for (part, value, says) in [
        (KEY, theirs("private_key"), "not that of the certificate"),
        (KEY, "hunter2".to_owned(), "is none"),
        (CERTIFICATE, theirs("certificate"), "another certificate"),
        (CERTIFICATE, "hunter2".to_owned(), "cannot be read"),
        (CHAIN, root, "does not hang"),
        (CHAIN, strange.to_owned(), "does not hang"),
        (CHAIN, String::new(), "no chain"),
    ] {
        let parts = minted.value.iter().map(|(name, it)| (name.to_owned(), it.clone()));
        let parts: Vec<_> = parts.filter(|(name, _)| name != part).chain([(part.to_owned(), value.into())]).collect();
        let error = hands.verify(&target, &minted.id, &Bundle::new(parts)).await.unwrap_err();
        assert!(matches!(&error, ActionError::GiveUp { said } if said.contains(says)), "{part} {says}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    hands.enable(&order, &target, &target.external_id).await.unwrap();
    hands.delete(&order, &target, &target.external_id).await.unwrap();
    hands.delete(&order, &target, &target.external_id).await.unwrap();
    let left = hands.look(&target).await.unwrap();
    assert_eq!(ids(&left), [(target.external_id.as_str(), false), (minted.id.as_str(), true)]);
    let revoked = server.ask("LIST", "pki/web/certs/revoked", None).1["data"]["keys"].clone();
    assert_eq!(revoked, json!([target.external_id.split_once('/').unwrap().1]));
    for refused in [
        hands.enable(&order, &target, &target.external_id).await,
        hands.disable(&order, &target, &minted.id).await,
        hands.delete(&order, &target, "elsewhere/00:11").await,
    ] {
        assert!(matches!(refused, Err(ActionError::GiveUp { .. })), "{refused:?}");
    }
    hands.delete(&order, &target, &format!("{}/00:11", accessor(&server, "pki/web"))).await.unwrap();
    hands.delete(&order, &target, &minted.id).await.unwrap();
    let error = hands.verify(&target, &minted.id, &minted.value).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("revoked")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replaced_alike_is_left_alone() {
    let Some(server) = openbao::own() else { return };
    let (target, _) =
        seed(&server, &json!({ "common_name": "api.corp.test", "exclude_cn_from_sans": true, "ttl": "2h" }));
    let hands = rotator(&server.url());
    let order = act(Remedy::Rotate);
    let minted = made(&*hands, &target).await.unwrap();
    let is = Certificate::of_pem(minted.value.get(CERTIFICATE).unwrap().expose_secret()).unwrap();
    assert_eq!(is.hosts, BTreeSet::new(), "the common name is no alternative name, as it was");
    hands.verify(&target, &minted.id, &minted.value).await.unwrap();

    // The role gives other usages by now.
    server.write(
        "pki/web/roles/web",
        &json!({ "allowed_domains": "corp.test", "allow_subdomains": true, "key_type": "ec", "client_flag": false }),
    );
    let lesser = made(&*hands, &target).await.unwrap();
    let error = hands.verify(&target, &lesser.id, &lesser.value).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("usages")), "{error}");
    // The role allows other names by now: nothing is issued.
    server.write("pki/web/roles/web", &json!({ "allowed_domains": "else.test", "allow_subdomains": true }));
    let error = made(&*hands, &target).await.unwrap_err();
    assert!(matches!(error, ActionError::GiveUp { .. }), "{error}");
    server.write("pki/web/roles/web", &json!({ "allow_any_name": true, "no_store": true }));
    let error = made(&*hands, &target).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("no list")), "{error}");
    assert_eq!(hands.look(&target).await.unwrap().len(), 3);

    // Certificates of authorities: one that it has itself, and one that it gave to another.
    let root = build(&handed(&server.url(), ROOT, &json!({ "mount": "pki/root", "role": "any" }))).unwrap();
    server.write("pki/root/roles/any", &json!({ "allow_any_name": true, "enforce_hostnames": false }));
    let (_, listed) = server.ask("LIST", "pki/root/certs", None);
    let serials: Vec<&str> = listed["data"]["keys"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(serials.len(), 2);
    for serial in serials {
        let authority = vault_testing::target(Kind::Certificate, (&accessor(&server, "pki/root"), serial), "");
        for error in [
            made(&*root, &authority).await.unwrap_err(),
            root.delete(&order, &authority, &authority.external_id).await.unwrap_err(),
        ] {
            assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("authority")), "{error}");
        }
    }
    assert_eq!(server.ask("LIST", "pki/root/certs/revoked", None).0, 404);
    let gone = named(&server, "00:11");
    assert!(matches!(made(&*hands, &gone).await, Err(ActionError::GiveUp { .. })));
    assert_eq!(hands.look(&gone).await.unwrap().len(), 3, "what is left of its name");
    let elsewhere = build(&handed(&server.url(), ROOT, &json!({ "mount": "pki/root", "role": "web" }))).unwrap();
    assert!(matches!(elsewhere.delete(&order, &target, &target.external_id).await, Err(ActionError::GiveUp { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_longer_listing_is_read_one_by_one() {
    let Some(server) = openbao::own() else { return };
    let (target, _) = seed(&server, &json!({ "common_name": "api.corp.test", "ttl": "2h" }));
    let twin = server.write("pki/web/issue/web", &json!({ "common_name": "api.corp.test", "ttl": "2h" }));
    server.write("pki/web/issue/web", &json!({ "common_name": "other.corp.test", "ttl": "2h" }));
    server.write("pki/web/issue/web", &json!({ "common_name": "api.corp.test", "ttl": "1s" }));
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    // Stands between: Vault does not know that path.
    let to = Loopback::start(move |asked| {
        if asked.target.ends_with("/certs/detailed") {
            return Reply::new(404, &[], r#"{"errors":["1 error occurred:\n\t* unsupported path\n\n"]}"#);
        }
        let (status, answer) = server.ask(&asked.method, asked.target.strip_prefix("/v1/").unwrap(), None);
        Reply::new(status, &[], answer.to_string())
    })
    .await;
    let mut found = rotator(&to.origin).look(&target).await.unwrap();
    found.sort_by_key(|it| it.id != target.external_id);
    let other =
        target.external_id.split_once('/').unwrap().0.to_owned() + "/" + twin["serial_number"].as_str().unwrap();
    assert_eq!(ids(&found), [(target.external_id.as_str(), true), (other.as_str(), true)]);
    assert!(to.targets().iter().any(|it| it.ends_with("/certs")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_of_the_sort_that_the_role_takes() {
    let Some(server) = openbao::own() else { return };
    let names = json!({ "common_name": "api.corp.test", "alt_names": "b.corp.test", "ip_sans": "10.0.0.1", "ttl": "2h",
        "uri_sans": "spiffe://corp.test/api" });
    let (target, old) = seed(&server, &names);
    let was = Certificate::of_pem(old["certificate"].as_str().unwrap()).unwrap();
    let with = |key: Option<&str>| {
        let mut own = json!({ "mount": "pki/web", "role": "web" });
        key.into_iter().for_each(|key| own["key"] = key.into());
        build(&handed(&server.url(), ROOT, &own))
    };
    let role = |more: Value| {
        let mut role = json!({ "allow_any_name": true, "allowed_uri_sans": "*", "max_ttl": "72h" });
        role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.write("pki/web/roles/web", &role);
    };
    // A role as the server makes it, one that takes no names from requests, and one for each sort of key.
    let plain = json!({});
    let beside = json!({ "key_type": "ec", "key_bits": 256, "use_csr_common_name": false, "use_csr_sans": false });
    let any = json!({ "key_type": "any" });
    let mut roles = vec![(plain, None), (beside, None), (any.clone(), None), (json!({ "key_type": "ed25519" }), None)];
    roles.extend(key::SORTS.iter().map(|sort| (any.clone(), Some(sort.word))));
    let mut count = 0;
    for (more, key) in roles {
        role(more.clone());
        let hands = with(key).unwrap();
        let prepared = hands.prepare(&target).await.unwrap();
        let minted = hands.mint(&act(Remedy::Rotate), &target, "m", &prepared.value).await.unwrap();
        hands.verify(&target, &minted.id, &minted.value).await.unwrap();
        let is = Certificate::of_pem(minted.value.get(CERTIFICATE).unwrap().expose_secret()).unwrap();
        assert_eq!((&is.common_name, &is.hosts), (&was.common_name, &was.hosts), "{more} {key:?}");
        assert_eq!((&is.addresses, &is.uris), (&was.addresses, &was.uris), "{more} {key:?}");
        assert_eq!(is.key, prepared.mark, "{more} {key:?}");
        count += 1;
        let found = hands.look(&target).await.unwrap();
        assert_eq!(found.iter().filter(|it| it.mark.as_ref() == Some(&prepared.mark)).count(), 1);
        assert_eq!(found.len(), 1 + count);
    }
    // What the role refuses is said before anything is asked for.
    role(json!({}));
    let error = with(Some("ec-p256")).unwrap().prepare(&target).await.unwrap_err();
    let says = "the role takes only keys of the kind rsa with at least 2048 bits, and `key` says ec-p256";
    assert!(matches!(&error, ActionError::GiveUp { said } if said == says), "{error}");
    assert!(with(Some("ec-p256")).unwrap().check().await.is_err());
    assert!(with(Some("rsa-512")).is_err_and(|said| said.contains("`key` is one of rsa-2048, ")));
    // And so is what it refuses since: nothing was issued.
    let (hands, order) = (with(None).unwrap(), act(Remedy::Rotate));
    let prepared = hands.prepare(&target).await.unwrap();
    role(json!({ "key_type": "ec", "key_bits": 256 }));
    let error = hands.mint(&order, &target, "m", &prepared.value).await.unwrap_err();
    assert!(
        matches!(&error, ActionError::GiveUp { said } if said.contains("role requires keys of type ec")),
        "{error}"
    );
    let error = hands.mint(&order, &target, "m", &Bundle::default()).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("no key")), "{error}");
    assert_eq!(hands.look(&target).await.unwrap().len(), 1 + count);
}

const SERVER: &str = include_str!("../../../../../tests/servers/loopback/server.pem");

#[tokio::test]
async fn an_act_without_a_clear_answer_may_have_happened() {
    let pem = SERVER.split_inclusive("-----END CERTIFICATE-----").find(|it| it.contains("BEGIN CERTIFICATE")).unwrap();
    let told = json!({ "data": { "certificate": pem, "revocation_time": 0 } }).to_string();
    // Computed by another program: the SHA-256 of the point.
    let known = "sha256:e17c1848d90e850d8d428ff9966d8d6b1c93a04e82fd073a537cdd0435176027";
    assert_eq!(Certificate::of_pem(pem).unwrap().key, known);
    let broken = || Reply::new(500, &[], "");
    let cut = || Reply::json(r#"{"data":{"private_key":"hunter2"}}"#).cut(1);
    let strange = || Reply::json(r#"{"data":{"private_key":"hunter2"}}"#);
    for (call, acted) in
        [("/sign/web", broken as fn() -> Reply), ("/sign/web", cut), ("/sign/web", strange), ("/revoke", cut)]
    {
        let told = told.clone();
        let to = Loopback::start(move |asked| match asked.target.as_str() {
            target if target.contains("/ui/mounts/") => Reply::json(r#"{"data":{"accessor":"p","type":"pki"}}"#),
            target if target.ends_with(call) => acted(),
            target if target.contains("/cert/") => Reply::json(&told),
            _ => Reply::json(r#"{"data":{"not_before_duration":"30s","key_type":"ed25519"}}"#),
        })
        .await;
        let target = vault_testing::target(Kind::Certificate, ("p", "00:11"), "");
        let (hands, order) = (rotator(&to.origin), act(Remedy::Rotate));
        let error = match call {
            "/revoke" => hands.delete(&order, &target, "p/00:11").await.unwrap_err(),
            _ => made(&*hands, &target).await.unwrap_err(),
        };
        assert!(matches!(error, ActionError::Ambiguous { .. }) && !format!("{error:?}").contains("hunter2"), "{error}");
        let sent: Vec<_> = to.asked().into_iter().filter(|it| it.target.ends_with(call)).collect();
        assert_eq!(sent.len(), 1, "{call}");
        assert_eq!(sent[0].body.contains("BEGIN CERTIFICATE REQUEST"), call != "/revoke");
        assert!(to.asked().iter().all(|it| !it.body.contains("PRIVATE")), "a key never travels");
    }
}
