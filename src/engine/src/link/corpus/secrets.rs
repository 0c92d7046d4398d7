//! Credentials and the places that keep them, and what makes them hard: values from documentation, ids that two systems
//! count alike, renewed keys, fingerprints made with another key. It must never be compiled into the program.

use provost_model::{Facts, Kind, field};

use super::{Maker, Origin, Truth, machines::Principal};

const HOSTS: u64 = 60;
const EXAMPLE: &str = "AKIAIOSFODNN7EXAMPLE";

pub(super) fn fill(maker: &mut Maker, principals: &[Principal]) {
    for principal in principals {
        access_key(maker, principal);
        if maker.dice.chance(20) {
            access_key(maker, principal);
        }
    }
    (0..160).for_each(|_| key_pair(maker));
    (0..120).for_each(|_| certificate(maker));
    (0..150).for_each(|number| token(maker, number));
    (0..90).for_each(|_| password(maker));
    examples(maker);
    (0..6).for_each(|_| mixed_up(maker));
}

fn print(maker: &mut Maker) -> String {
    format!("k1:{}", maker.dice.hex(32))
}

/// A file on one of the hosts.
fn file(maker: &mut Maker, (kind, made): (Kind, i64), facts: Facts, truth: Truth) {
    let host = format!("host:{}", maker.dice.below(HOSTS));
    let place = format!("/srv/{}/credentials#default", maker.dice.hex(8));
    let facts = facts.with(field::LOCATION, place.clone()).with(field::PLAINTEXT, true);
    maker.put(Origin::new(&host, kind, place, made).undated(), "default", (facts, truth));
}

/// An access key, the files that keep it, and now and then the vault and a cluster. Some hosts use another fingerprint
/// key, some files show the secret part only.
fn access_key(maker: &mut Maker, of: &Principal) {
    let thing = maker.thing();
    let truth = Truth { secret: Some(thing), owner: of.owner, ..Truth::default() };
    let id = format!("AKIA{}", maker.dice.hex(16).to_uppercase());
    let print = print(maker);
    let made = of.made - 1;
    let known = Facts::new().with(field::KEY_ID, id.clone());
    let origin = Origin::new(of.key.realm.as_str(), Kind::AccessKey, id.clone(), made);
    maker.put_of(origin, &id, Some(of.key.clone()), (known, truth));
    for _ in 0..maker.dice.below(4) {
        let elsewhere = maker.dice.chance(8);
        let print = if elsewhere { format!("k2:{}", maker.dice.hex(32)) } else { print.clone() };
        let facts = Facts::new().with(field::FINGERPRINT, print);
        let facts = facts.with(field::KEY_ID, id.clone()).with(field::OPENS, id.clone());
        file(maker, (Kind::AccessKey, made), facts, truth);
    }
    if maker.dice.chance(25) {
        let facts = Facts::new().with(field::FINGERPRINT, print);
        let external = format!("kv/{}", maker.dice.hex(8));
        maker.put(Origin::new("openbao:cluster-1", Kind::Secret, external, made), "aws", (facts, truth));
    }
}

/// A key pair: the public half at the provider and on hosts that let it in, the private half in a file or two.
fn key_pair(maker: &mut Maker) {
    let truth = Truth { secret: Some(maker.thing()), owner: maker.owner(), ..Truth::default() };
    let (spki, ssh) = (format!("sha256:{}", maker.dice.hex(64)), format!("SHA256:{}", maker.dice.hex(43)));
    let made = maker.dice.between(20, 900);
    let public = Facts::new().with(field::FINGERPRINT, spki.clone()).with(field::KEY_ID, ssh.clone());
    for realm in ["github:org/42", "aws:111111111111"] {
        if maker.dice.chance(60) {
            // What GitHub shows is only the digest of the line; AWS shows the line.
            let facts = if realm.starts_with("github") {
                Facts::new().with(field::KEY_ID, ssh.clone())
            } else {
                public.clone()
            };
            let id = maker.dice.hex(10);
            maker.put(Origin::new(realm, Kind::SshKey, id, made), "laptop", (facts, truth));
        }
    }
    for _ in 0..maker.dice.below(7) {
        file(maker, (Kind::SshKey, made), public.clone(), truth);
    }
    if maker.dice.chance(70) {
        let private = Facts::new().with(field::FINGERPRINT, spki).with(field::PASSPHRASE, true);
        file(maker, (Kind::SshKey, made), private, truth);
    }
}

/// A certificate and its key, in the vault, in a cluster, on hosts; renewed with the same key or with another one.
fn certificate(maker: &mut Maker) {
    let made = maker.dice.between(20, 300);
    let subject = format!("CN={}.corp.example", maker.dice.hex(6));
    let facts = |spki: &str| {
        Facts::new()
            .with(field::FINGERPRINT, format!("sha256:{spki}"))
            .with(field::SUBJECT, subject.clone())
            .with(field::ISSUER, "CN=corp issuing CA,O=Corp".to_owned())
    };
    let owner = maker.owner();
    let generations = 1 + maker.dice.below(2);
    for _ in 0..generations {
        let truth = Truth { secret: Some(maker.thing()), owner, ..Truth::default() };
        let spki = maker.dice.hex(64);
        for realm in ["openbao:cluster-1", "kubernetes:blue"] {
            let serial = maker.dice.hex(20);
            maker.put(Origin::new(realm, Kind::Certificate, serial, made), &subject, (facts(&spki), truth));
        }
        for _ in 0..maker.dice.below(3) {
            file(maker, (Kind::Certificate, made), facts(&spki), truth);
        }
    }
}

/// Tokens that two systems number alike, and the files that keep them; only some files say which number it is.
fn token(maker: &mut Maker, number: u32) {
    let made = maker.dice.between(20, 600);
    for realm in ["github:org/42", "jira:site-1"] {
        let truth = Truth { secret: Some(maker.thing()), owner: maker.owner(), ..Truth::default() };
        let known = Facts::new().with(field::KEY_ID, format!("{}", 1000 + number));
        let name = maker.dice.pick(&["ci", "deploy", "token"]);
        maker.put(Origin::new(realm, Kind::Token, format!("{}", 1000 + number), made), name, (known, truth));
        if maker.dice.chance(6) {
            let facts = Facts::new().with(field::FINGERPRINT, print(maker));
            file(maker, (Kind::Token, made), facts, truth);
        }
    }
    let truth = Truth { secret: Some(maker.thing()), owner: maker.owner(), ..Truth::default() };
    let (accessor, print) = (maker.dice.hex(24), print(maker));
    let known = Facts::new().with(field::KEY_ID, accessor.clone());
    maker.put(Origin::new("openbao:cluster-1", Kind::Token, accessor.clone(), made), "token", (known, truth));
    for _ in 0..maker.dice.below(3) {
        let facts = Facts::new().with(field::FINGERPRINT, print.clone()).with(field::OPENS, accessor.clone());
        file(maker, (Kind::Token, made), facts, truth);
    }
}

/// A password that several identities share and several places keep: one secret.
fn password(maker: &mut Maker) {
    let truth = Truth { secret: Some(maker.thing()), owner: maker.owner(), ..Truth::default() };
    let print = print(maker);
    let made = maker.dice.between(20, 600);
    for _ in 0..2 + maker.dice.below(4) {
        file(maker, (Kind::Password, made), Facts::new().with(field::FINGERPRINT, print.clone()), truth);
    }
    if maker.dice.chance(50) {
        let external = format!("shop/{}", maker.dice.hex(6));
        let facts = Facts::new().with(field::FINGERPRINT, print);
        maker.put(Origin::new("kubernetes:green", Kind::Secret, external, made), "database", (facts, truth));
    }
}

/// A key id that documentation shows, with whatever secret part somebody typed beside it: nobody's key.
fn examples(maker: &mut Maker) {
    for _ in 0..90 {
        let truth = Truth { secret: Some(maker.thing()), ..Truth::default() };
        let facts = Facts::new().with(field::FINGERPRINT, print(maker)).with(field::OPENS, EXAMPLE.to_owned());
        file(maker, (Kind::AccessKey, 100), facts, truth);
    }
}

/// Whoever replaced a key in one file wrote the new secret part beside the old id: a wrong pair or two that no rule on
/// keys can avoid.
fn mixed_up(maker: &mut Maker) {
    let old = Truth { secret: Some(maker.thing()), owner: maker.owner(), ..Truth::default() };
    let new = Truth { secret: Some(maker.thing()), ..old };
    let (old_id, new_id) = (maker.dice.hex(16), maker.dice.hex(16));
    let print = print(maker);
    for (id, truth) in [(&old_id, old), (&new_id, new)] {
        let id = format!("AKIA{}", id.to_uppercase());
        let facts = Facts::new().with(field::KEY_ID, id.clone());
        maker.put(Origin::new("aws:111111111111", Kind::AccessKey, id.clone(), 200), &id, (facts, truth));
    }
    for id in [&old_id, &new_id] {
        let opens = format!("AKIA{}", id.to_uppercase());
        let facts = Facts::new().with(field::FINGERPRINT, print.clone()).with(field::OPENS, opens);
        file(maker, (Kind::AccessKey, 100), facts, new);
    }
}
