//! Machine identities as several systems see them, and what makes them hard: names that are the same everywhere, ARNs and
//! subjects that are used again, aliases given to the wrong entity. It must never be compiled into the program.

use std::collections::BTreeMap;

use provost_model::{Facts, Key, Kind, Realm, field};

use super::{Maker, Origin, Truth};

const NAMES: [&str; 12] = [
    "deploy", "default", "backup", "payments", "search", "mailer", "reports", "metrics", "ingest", "billing",
    "gateway", "cron",
];
const CLUSTERS: [&str; 3] = ["kubernetes:blue", "kubernetes:green", "kubernetes:edge"];
const ACCOUNTS: [&str; 3] = ["aws:111111111111", "aws:222222222222", "aws:333333333333"];
const VAULT: &str = "openbao:cluster-1";
const AUTHORITY: &str = "CN=corp issuing CA,O=Corp";

/// An identity that can hold credentials, and who answers for it.
pub(super) struct Principal {
    pub(super) key: Key,
    pub(super) owner: Option<u32>,
    pub(super) made: i64,
}

/// A machine identity in the making.
struct Machine {
    name: String,
    thing: u32,
    owner: Option<u32>,
    made: i64,
}

impl Machine {
    fn new(maker: &mut Maker) -> Self {
        let name = maker.dice.pick(&NAMES).to_owned();
        Self { name, thing: maker.thing(), owner: maker.owner(), made: maker.dice.between(20, 1500) }
    }

    fn truth(&self) -> Truth {
        Truth { identity: Some(self.thing), owner: self.owner, ..Truth::default() }
    }
}

pub(super) fn fill(maker: &mut Maker) -> Vec<Principal> {
    let mut principals = Vec::new();
    for number in 0..620 {
        let machine = Machine::new(maker);
        match number % 6 {
            0 => cluster_and_vault(maker, &machine),
            1 | 2 => principals.push(user_of_account(maker, &machine)),
            3 => role_and_vault(maker, &machine),
            4 => application(maker, &machine),
            _ => by_certificate(maker, &machine),
        }
    }
    for _ in 0..15 {
        wrong_alias(maker);
    }
    (0..6).for_each(|_| undetected_former(maker));
    principals
}

fn subject_of(cluster: &str, name: &str, number: &str) -> Facts {
    Facts::new()
        .with(field::OIDC_ISSUER, format!("https://{}.clusters.example", cluster.replace(':', "-")))
        .with(field::OIDC_SUBJECT, format!("system:serviceaccount:{name}-{number}:{name}"))
}

/// A service account of a cluster, known to the vault by its subject. One in ten was deleted and made anew.
fn cluster_and_vault(maker: &mut Maker, machine: &Machine) {
    let cluster = maker.dice.pick(&CLUSTERS);
    // The same namespace and name exist in every cluster.
    let number = maker.dice.below(40).to_string() + &maker.dice.hex(3);
    for other in CLUSTERS.iter().filter(|it| **it != cluster) {
        if maker.dice.chance(20) {
            let twin = Truth { identity: Some(maker.thing()), owner: machine.owner, ..Truth::default() };
            let uid = maker.dice.uuid();
            let facts = subject_of(other, &machine.name, &number);
            maker.put(Origin::new(other, Kind::ServiceAccount, uid, machine.made), &machine.name, (facts, twin));
        }
    }
    let facts = || subject_of(cluster, &machine.name, &number);
    if maker.dice.chance(10) {
        let former = Truth { identity: Some(maker.thing()), owner: machine.owner, ..Truth::default() };
        let uid = maker.dice.uuid();
        let origin = Origin::new(cluster, Kind::ServiceAccount, uid, machine.made + 200).gone(true);
        maker.put(origin, &machine.name, (facts(), former));
    }
    let uid = maker.dice.uuid();
    maker.put(Origin::new(cluster, Kind::ServiceAccount, uid, machine.made), &machine.name, (facts(), machine.truth()));
    let entity = maker.dice.uuid();
    let origin = Origin::new(VAULT, Kind::ServiceAccount, entity, machine.made - 3);
    maker.put(origin, &format!("jwt-{}", machine.name), (facts(), machine.truth()));
    if maker.dice.chance(40) {
        // Issued by the cluster, trusted by the cloud directory under the same subject.
        let id = maker.dice.uuid();
        let origin = Origin::new("entra:tenant-1", Kind::Workload, id, machine.made - 4);
        maker.put(origin, &machine.name, (facts(), machine.truth()));
    }
}

fn tags(maker: &mut Maker, machine: &Machine) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::from([("service".to_owned(), machine.name.clone())]);
    if maker.dice.chance(60) {
        tags.extend(maker.email_of(machine.owner).map(|email| ("owner".to_owned(), email)));
    }
    tags
}

/// A user of an account, known to the vault by its ARN in one case of three. One in eight bears the ARN of a user that
/// was deleted before.
fn user_of_account(maker: &mut Maker, machine: &Machine) -> Principal {
    let account = maker.dice.pick(&ACCOUNTS);
    let name = format!("{}-{}", machine.name, maker.dice.hex(4));
    let arn = format!("arn:aws:iam::{}:user/{name}", account.trim_start_matches("aws:"));
    let facts = |tags| {
        Facts::new().with(field::ARN, arn.clone()).with(field::NATURE, "machine".to_owned()).with(field::TAGS, tags)
    };
    if maker.dice.chance(12) {
        let former = Truth { identity: Some(maker.thing()), owner: machine.owner, ..Truth::default() };
        let id = format!("AIDA{}", maker.dice.hex(16).to_uppercase());
        let origin = Origin::new(account, Kind::User, id, machine.made + 150).gone(true);
        let said = facts(tags(maker, machine));
        maker.put(origin, &name, (said, former));
    }
    let id = format!("AIDA{}", maker.dice.hex(16).to_uppercase());
    let said = facts(tags(maker, machine));
    maker.put(Origin::new(account, Kind::User, id.clone(), machine.made), &name, (said, machine.truth()));
    if maker.dice.chance(33) {
        let entity = maker.dice.uuid();
        let origin = Origin::new(VAULT, Kind::ServiceAccount, entity, machine.made - 5);
        let known = Facts::new().with(field::ARN, arn.clone());
        maker.put(origin, &format!("aws-{name}"), (known, machine.truth()));
    }
    Principal { key: Key::new(Realm::from_text(account), Kind::User, id), owner: machine.owner, made: machine.made }
}

/// A role, the vault's entity for it, and now and then the service account it is bound to there.
fn role_and_vault(maker: &mut Maker, machine: &Machine) {
    let account = maker.dice.pick(&ACCOUNTS);
    let name = format!("{}-{}", machine.name, maker.dice.hex(4));
    let arn = format!("arn:aws:iam::{}:role/{name}", account.trim_start_matches("aws:"));
    let role = Facts::new().with(field::ARN, arn.clone()).with(field::TAGS, tags(maker, machine));
    let id = format!("AROA{}", maker.dice.hex(16).to_uppercase());
    maker.put(Origin::new(account, Kind::Role, id, machine.made), &name, (role, machine.truth()));
    let bound = maker.dice.chance(30);
    let number = maker.dice.hex(5);
    let cluster = maker.dice.pick(&CLUSTERS);
    let mut known = if bound { subject_of(cluster, &machine.name, &number) } else { Facts::new() };
    known.set(field::ARN, arn);
    let entity = maker.dice.uuid();
    maker.put(Origin::new(VAULT, Kind::ServiceAccount, entity, machine.made - 2), &name, (known, machine.truth()));
    if bound {
        let uid = maker.dice.uuid();
        let facts = subject_of(cluster, &machine.name, &number);
        let origin = Origin::new(cluster, Kind::ServiceAccount, uid, machine.made);
        maker.put(origin, &machine.name, (facts, machine.truth()));
    }
}

/// An application and its service principals, in one tenant or two; the directory shows it too.
fn application(maker: &mut Maker, machine: &Machine) {
    let client = maker.dice.uuid();
    let facts = || Facts::new().with(field::CLIENT_ID, client.clone());
    let mut origins = vec![("entra:tenant-1", Kind::Application), ("entra:tenant-1", Kind::ServicePrincipal)];
    if maker.dice.chance(35) {
        origins.push(("entra:tenant-2", Kind::ServicePrincipal));
    }
    if maker.dice.chance(50) {
        origins.push(("okta:corp", Kind::Application));
    }
    for (realm, kind) in origins {
        let id = maker.dice.uuid();
        maker.put(Origin::new(realm, kind, id, machine.made), &machine.name, (facts(), machine.truth()));
    }
    // Numbered clients of two sites that number for themselves.
    if maker.dice.chance(20) {
        for site in ["jira:site-1", "jira:site-2"] {
            let truth = Truth { identity: Some(maker.thing()), owner: machine.owner, ..Truth::default() };
            let facts = Facts::new().with(field::CLIENT_ID, format!("{}", machine.thing % 500));
            let id = maker.dice.hex(8);
            maker.put(Origin::new(site, Kind::Application, id, machine.made), &machine.name, (facts, truth));
        }
    }
}

/// A workload that shows a certificate, on its host, to the vault and to a cluster.
fn by_certificate(maker: &mut Maker, machine: &Machine) {
    let common = format!("CN={}-{}.corp.example,O=Corp", machine.name, maker.dice.hex(4));
    let facts = |issuer: &str| Facts::new().with(field::SUBJECT, common.clone()).with(field::ISSUER, issuer.to_owned());
    let host = format!("host:{}", maker.dice.below(60));
    let id = maker.dice.hex(12);
    let origin = Origin::new(&host, Kind::Workload, id, machine.made).undated();
    maker.put(origin, &machine.name, (facts(AUTHORITY), machine.truth()));
    let entity = maker.dice.uuid();
    let origin = Origin::new(VAULT, Kind::ServiceAccount, entity, machine.made - 2);
    maker.put(origin, &machine.name, (facts(AUTHORITY), machine.truth()));
    if maker.dice.chance(30) {
        // Another authority names the same subject: somebody else.
        let other = Truth { identity: Some(maker.thing()), owner: machine.owner, ..Truth::default() };
        let id = maker.dice.hex(12);
        let origin = Origin::new(CLUSTERS[0], Kind::Workload, id, machine.made);
        maker.put(origin, &machine.name, (facts("CN=test CA"), other));
    }
}

/// The vault's entity of one service account carries the ARN of a role that belongs to another entity.
fn wrong_alias(maker: &mut Maker) {
    let (one, other) = (Machine::new(maker), Machine::new(maker));
    let number = maker.dice.hex(5);
    let cluster = maker.dice.pick(&CLUSTERS);
    let arn = format!("arn:aws:iam::111111111111:role/{}-{}", other.name, maker.dice.hex(5));
    let (subject, second) =
        (subject_of(cluster, &one.name, &number), subject_of(cluster, &other.name, &maker.dice.hex(6)));
    let uid = maker.dice.uuid();
    let origin = Origin::new(cluster, Kind::ServiceAccount, uid, one.made);
    maker.put(origin, &one.name, (subject.clone(), one.truth()));
    let entity = maker.dice.uuid();
    let origin = Origin::new(VAULT, Kind::ServiceAccount, entity, one.made - 1);
    maker.put(origin, &one.name, (subject.with(field::ARN, arn.clone()), one.truth()));
    let id = format!("AROA{}", maker.dice.hex(16).to_uppercase());
    let role = Facts::new().with(field::ARN, arn.clone());
    maker.put(Origin::new(ACCOUNTS[0], Kind::Role, id, other.made), &other.name, (role, other.truth()));
    // Kept by another vault, where it is right.
    let entity = maker.dice.uuid();
    let origin = Origin::new("openbao:cluster-2", Kind::ServiceAccount, entity, other.made - 1);
    maker.put(origin, &other.name, (second.clone().with(field::ARN, arn), other.truth()));
    let uid = maker.dice.uuid();
    maker.put(Origin::new(cluster, Kind::ServiceAccount, uid, other.made), &other.name, (second, other.truth()));
}

/// A role was deleted and made anew before anything was looked at; the vault still has the entity of the former one. A
/// wrong pair that no rule on keys can avoid.
fn undetected_former(maker: &mut Maker) {
    let (former, machine) = (Machine::new(maker), Machine::new(maker));
    let name = format!("{}-{}", machine.name, maker.dice.hex(5));
    let facts = || Facts::new().with(field::ARN, format!("arn:aws:iam::222222222222:role/{name}"));
    let id = format!("AROA{}", maker.dice.hex(16).to_uppercase());
    maker.put(Origin::new(ACCOUNTS[1], Kind::Role, id, 60), &name, (facts(), machine.truth()));
    let entity = maker.dice.uuid();
    maker.put(Origin::new(VAULT, Kind::ServiceAccount, entity, 700), &name, (facts(), former.truth()));
}
