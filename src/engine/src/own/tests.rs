//! Owning as a whole: what it answered before weights, what it answers with people, and laws that hold for any evidence.
//! It must never take the corpus for the world.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use proptest::prelude::*;
use provost_model::{Kind, Owner, OwnerWord, Party, Record, Signal, Time, field};

use super::{Asked, Attribution, CatalogueEntry, Owning, People, Person, Roster, Team, signals::Found, told, weigh};
use crate::rules::sample::{NOW, Sample, ago, ahead, key, record, user};

fn person(id: &str) -> Person {
    Person { id: id.into(), emails: vec![format!("{id}@x.org")], ..Person::default() }
}

/// Made once: every piece of evidence asks for it.
static ROSTER: LazyLock<Roster> = LazyLock::new(made);

fn roster() -> &'static Roster {
    &ROSTER
}

fn made() -> Roster {
    let login = |realm: &str, login: &str| BTreeMap::from([(realm.to_owned(), vec![login.to_owned()])]);
    let persons = vec![
        Person {
            name: Some("Ann Miller".into()),
            logins: login("aws", "amiller"),
            teams: vec!["payments".into()],
            ..person("ann")
        },
        Person { logins: login("github:org/42", "bobby"), moved: Some(ago(20)), ..person("bob") },
        Person { left: Some(ago(30)), ..person("carol") },
        Person { left: Some(ahead(30)), ..person("dave") },
    ];
    let team =
        |id: &str, parent: Option<&str>| Team { id: id.into(), parent: parent.map(str::to_owned), ..Team::default() };
    let teams = vec![team("payments", Some("finance")), team("finance", None), team("data-platform", None)];
    let entry =
        CatalogueEntry { owner: "data-platform".into(), name: Some("etl-*".into()), ..CatalogueEntry::default() };
    Roster::new(People { persons, teams, catalogue: vec![entry] }).unwrap()
}

fn owned(record: &Record, identity: Option<&Record>, roster: &Roster, word: Option<&OwnerWord>) -> Option<Owner> {
    let (owning, sources) = (Owning::default(), HashMap::new());
    let by = Attribution { owning: &owning, roster, sources: &sources };
    by.owner_of(&Asked { identity, word, ..Asked::alone(record) }, NOW)
}

fn alone(of: Sample) -> Option<(String, f64)> {
    owned(&of.build(), None, &Roster::default(), None).map(|owner| (owner.name, owner.confidence))
}

fn among(of: Sample) -> Owner {
    owned(&of.build(), None, roster(), None).unwrap_or_default()
}

fn tags(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn tagged(all: &[(&str, &str)]) -> Sample {
    user().with(field::TAGS, tags(all))
}

fn word(owner: &str) -> OwnerWord {
    OwnerWord { owner: Some(owner.into()), by: "eve".into(), at: ago(10), reason: "asked".into() }
}

#[test]
fn tags_name_owners_in_order_and_in_any_case() {
    let some = |name: &str, confidence| Some((name.to_owned(), confidence));
    let table = [
        (tagged(&[("Owner", "ann@x.org")]), some("ann@x.org", 0.9)),
        (tagged(&[("TEAM", "payments"), ("contact", "bob")]), some("payments", 0.8)),
        (tagged(&[("contact", "bob")]), some("bob", 0.7)),
        (tagged(&[("owner", " N/A "), ("team", "payments")]), some("payments", 0.8)),
        (tagged(&[("owner", "")]), None),
        (tagged(&[("owner-id", "ann")]), None),
        (user().with(field::TAGS, provost_model::Reading::NotPermitted), None),
    ];
    for (sample, expected) in table {
        assert_eq!(alone(sample.clone()), expected, "{:?}", sample.build().get(field::TAGS));
    }
}

#[test]
fn an_ordinary_users_file_is_answered_for_and_a_systems_is_not() {
    let file = |name: &str, uid: i64| {
        record(Kind::Token).with(field::FILE_OWNER, name.to_owned()).with(field::FILE_OWNER_UID, uid)
    };
    let table = [
        (file("alice", 1000), 0.6),
        (file("www-data", 999), 0.3),
        (file("root", 0), 0.3),
        (file("nobodys", 65534), 0.3),
        (file("alice", 1).with(field::FILE_OWNER_UID, provost_model::Reading::NotReported), 0.3),
    ];
    for (sample, confidence) in table {
        assert_eq!(alone(sample).map(|(_, it)| it), Some(confidence));
    }
    let unnamed = record(Kind::Token).with(field::FILE_OWNER_UID, 1234_i64);
    assert_eq!(alone(unnamed), Some(("uid 1234".to_owned(), 0.6)));
}

#[test]
fn a_credential_is_answered_for_with_its_identity() {
    let identity = tagged(&[("owner", "ann")]).build();
    let nobody = Roster::default();
    let owner = owned(&key().build(), Some(&identity), &nobody, None).unwrap();
    assert_eq!((owner.name.as_str(), owner.evidence[0].source.as_str()), ("ann", "tag owner of its identity"));
    let file =
        |name: &str| key().with(field::FILE_OWNER, name.to_owned()).with(field::FILE_OWNER_UID, 1001_i64).build();
    let owner = owned(&file("bob"), Some(&identity), &nobody, None).unwrap();
    assert_eq!((owner.name.as_str(), owner.evidence.len(), owner.others.len()), ("ann", 1, 1));
    let owner = owned(&file("Ann"), Some(&identity), &nobody, None).unwrap();
    assert_eq!((owner.evidence.len(), owner.confidence), (2, 0.96), "both say the same");
}

#[test]
fn people_are_known_under_any_of_their_names() {
    for name in
        ["ann", "ANN@x.org", "Ann Miller", "Ann Miller <ann@x.org>", "ann+aws@x.org", "arn:aws:iam::1:user/amiller"]
    {
        let owner = among(tagged(&[("owner", name)]));
        assert_eq!((owner.name.as_str(), owner.party), ("ann", Party::Person), "{name}");
    }
    for name in ["payments", "Payments Team", "@acme/payments", "team:payments"] {
        assert_eq!(among(tagged(&[("owner", name)])).party, Party::Team, "{name}");
    }
    assert_eq!(among(tagged(&[("owner", "bobby")])).name, "bob", "no other realm has that login");
    assert_eq!(among(tagged(&[("owner", "zed")])).party, Party::Unknown);
    let both = among(tagged(&[("owner", "ann; bob")]));
    assert_eq!((both.name.as_str(), both.others[0].name.as_str(), both.conflicts().count()), ("ann", "bob", 1));
    assert_eq!(among(tagged(&[("owner", "ann; zed")])).name, "ann; zed", "not every part is known");
}

#[test]
fn a_name_that_fits_two_is_nobodys() {
    let twin = |id: &str| Person { name: Some("Sam Lee".into()), ..person(id) };
    let roster = Roster::new(People { persons: vec![twin("sam1"), twin("sam2")], ..People::default() }).unwrap();
    assert_eq!(roster.known("Sam Lee", None), None);
    assert_eq!(roster.known("sam2@x.org", None), Some(("sam2", Party::Person)));
}

#[test]
fn every_signal_is_found_where_it_is_said() {
    let one = |attr, name: &str| user().with(attr, name.to_owned());
    let list = |attr, names: &[&str]| user().with(attr, names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
    let table = [
        (list(field::APP_OWNER, &["payments"]), Signal::AppOwner, "payments", 0.8),
        (list(field::CODEOWNERS, &["@acme/payments"]), Signal::Author, "payments", 0.75),
        (list(field::AUTHORS, &["ann@x.org"]).with(field::AUTHORED_AT, ago(1)), Signal::Author, "ann", 0.75),
        (one(field::CREATED_BY, "ann").with(field::CREATED_AT, ago(1095)), Signal::Creator, "ann", 0.325),
        (list(field::REPO_ADMINS, &["bobby", "ann", "terraform"]), Signal::RepoAdmin, "ann", 0.225),
        (one(field::LAST_HUMAN_USER, "bob").with(field::LAST_HUMAN_USE_AT, ago(90)), Signal::LastUser, "bob", 0.2),
        (one(field::NAME, "etl-nightly"), Signal::Catalogue, "data-platform", 0.85),
        (one(field::NAME, "amiller"), Signal::Account, "ann", 0.965),
        (one(field::NAME, "svc-payments-deploy"), Signal::Naming, "payments", 0.3),
        (one(field::PATH, "/teams/data_platform/"), Signal::Naming, "data-platform", 0.3),
        (tagged(&[("CreatedBy", "ann@x.org")]), Signal::Creator, "ann", 0.65 * 0.5_f64.powf(0.25)),
        (
            tagged(&[("git_last_modified_by", "ann@x.org"), ("git_last_modified_at", "2026-11-20 08:00:00")]),
            Signal::Author,
            "ann",
            0.75,
        ),
    ];
    for (sample, signal, name, confidence) in table {
        let owner = among(sample);
        assert_eq!((owner.evidence[0].signal, owner.name.as_str()), (signal, name));
        assert!((owner.confidence - confidence).abs() < 1e-6, "{signal}: {}", owner.confidence);
    }
}

#[test]
fn who_is_near_a_thing_is_not_its_owner() {
    let list = |attr, names: &[&str]| user().with(attr, names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
    // Whoever may add credentials answers for nothing by that, whatever else is known.
    assert_eq!(among(list(field::DIRECTORY_OWNERS, &["ann"])), Owner::default());
    let with = among(list(field::DIRECTORY_OWNERS, &["bob"]).with(field::CREATED_BY, "ann".to_owned()));
    assert!(with.name == "ann" && with.others.is_empty(), "{with:?}");
    // Machines that made a thing.
    for machine in ["arn:aws:iam::1:role/deploy", "terraform", "renovate[bot]"] {
        assert_eq!(among(user().with(field::CREATED_BY, machine.to_owned())), Owner::default(), "{machine}");
    }
    // Letters that only look like a team.
    assert_eq!(among(user().with(field::NAME, "paymentsx-1".to_owned())), Owner::default());
}

#[test]
fn independent_evidence_adds_up_and_says_how() {
    let owner = among(
        user()
            .with(field::CREATED_BY, "amiller".to_owned())
            .with(field::CREATED_AT, ago(10))
            .with(field::LAST_HUMAN_USER, "ann@x.org".to_owned())
            .with(field::LAST_HUMAN_USE_AT, ago(95))
            .with(field::REPO_ADMINS, vec!["bobby".to_owned()]),
    );
    assert_eq!(
        told(&owner),
        [
            "ann (a person): confidence 0.72 = 1 - (1 - 0.65) × (1 - 0.20)",
            "  creator: created_by says amiller, 0.65, as of 2026-11-14T12:00:00Z",
            "  last_user: last_human_user says ann@x.org, 0.20 left of 0.40, as of 2026-08-21T12:00:00Z",
            "beside bob: confidence 0.45",
            "  repo_admin: repo_admins says bobby, 0.45",
        ]
    );
    assert_eq!(owner.until, Some(ago(95) + provost_model::Span::micros(5 * 90 * 86_400_000_000 / 4)));
}

#[test]
fn what_members_do_speaks_for_a_team_that_is_named() {
    let made = |by: &str| user().with(field::CREATED_BY, by.to_owned()).with(field::CREATED_AT, ago(1));
    let named = |it: Sample| it.with(field::NAME, "payments-export".to_owned());
    let team = among(named(made("ann")));
    assert_eq!((team.name.as_str(), team.confidence), ("payments", 0.664));
    assert_eq!(team.evidence[0].source, "created_by, a member,");
    assert_eq!(among(named(made("bob"))).name, "bob", "he is no member");
    assert_eq!(among(made("ann")).name, "ann", "nothing names the team");
    let tagged = among(tagged(&[("owner", "ann"), ("team", "payments")]));
    assert_eq!((tagged.name.as_str(), tagged.others[0].confidence), ("ann", 0.8), "a tag means whom it names");
}

#[test]
fn the_address_of_a_machine_is_that_of_whoever_looks_after_it() {
    let with = |it: Sample| it.with(field::EMAILS, vec!["ann@x.org".to_owned()]);
    assert_eq!(among(with(user())).evidence[0].signal, Signal::ContactTag);
    let human = among(with(user().with(field::NATURE, "human".to_owned())));
    assert_eq!((human.evidence[0].signal, human.confidence), (Signal::Account, 0.95));
    assert_eq!(among(with(record(Kind::ServiceAccount))).confidence, 0.7);
}

#[test]
fn contradictions_are_listed_and_lower_nothing() {
    let owner = among(tagged(&[("owner", "ann"), ("contact", "bob")]));
    assert_eq!((owner.name.as_str(), owner.confidence), ("ann", 0.9));
    assert_eq!(owner.conflicts().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["bob"]);
    let member = among(tagged(&[("owner", "ann"), ("team", "payments")]));
    assert_eq!(member.conflicts().count(), 0, "a person and their team agree");
    let above = among(tagged(&[("owner", "ann"), ("team", "finance")]));
    assert_eq!(above.conflicts().count(), 0, "and the team above");
    let other = among(tagged(&[("owner", "ann"), ("team", "data-platform")]));
    assert_eq!(other.conflicts().count(), 1);
    let weak = among(tagged(&[("owner", "ann")]).with(field::LAST_HUMAN_USER, "bob".to_owned()));
    assert_eq!(weak.conflicts().count(), 0);
}

#[test]
fn a_confirmation_holds_until_its_owner_leaves() {
    let sample = tagged(&[("owner", "ann"), ("team", "payments")]).build();
    let roster = roster();
    let bob = owned(&sample, None, roster, Some(&word("bob"))).unwrap();
    assert_eq!((bob.name.as_str(), bob.confidence, bob.confirmed), ("bob", 1.0, Some(ago(10))));
    assert_eq!((bob.others.len(), bob.conflicts().count(), bob.moved), (2, 0, Some(ago(20))));
    let carol = owned(&sample, None, roster, Some(&word("carol"))).unwrap();
    assert_eq!((carol.name.as_str(), carol.others[1].name.as_str()), ("ann", "carol"), "{carol:?}");
    let untagged = owned(&user().build(), None, roster, Some(&word("carol"))).unwrap();
    assert_eq!((untagged.name.as_str(), untagged.left, untagged.confidence), ("carol", Some(ago(30)), 0.7));
    let dave = owned(&sample, None, roster, Some(&word("dave"))).unwrap();
    assert_eq!((dave.left, dave.until), (None, Some(ahead(30))), "he will leave");
    let withdrawn = OwnerWord { owner: None, ..word("bob") };
    assert_eq!(owned(&sample, None, roster, Some(&withdrawn)).unwrap().name, "ann");
}

#[test]
fn whoever_left_goes_after_the_living_unless_declared() {
    let made = |by: &str| user().with(field::CREATED_BY, by.to_owned()).with(field::CREATED_AT, ago(1));
    let admin = |it: Sample| it.with(field::CODEOWNERS, vec!["bob".to_owned()]);
    assert_eq!(among(made("carol")).left, Some(ago(30)), "nobody else is known");
    assert_eq!(among(admin(made("carol"))).name, "bob");
    let declared = among(admin(tagged(&[("owner", "carol")])));
    assert_eq!((declared.name.as_str(), declared.left), ("carol", Some(ago(30))), "the tag was never changed");
}

#[test]
fn what_directories_say_joins_what_the_file_says() {
    let found =
        |id: &str, email: &str, left| Person { id: id.into(), emails: vec![email.into()], left, ..Person::default() };
    let of = |persons: Vec<Person>| roster().with(People { persons, ..People::default() });
    let gone = of(vec![found("okta:1", "ANN@x.org", Some(ago(3)))]);
    assert_eq!(gone.left("ann", NOW), Some(ago(3)));
    let still = of(vec![found("okta:1", "ann@x.org", Some(ago(3))), found("entra:1", "ann@x.org", None)]);
    assert_eq!(still.left("ann", NOW), None, "one directory still has her");
    let file = of(vec![found("okta:1", "carol@x.org", None)]);
    assert_eq!(file.left("carol", NOW), Some(ago(30)), "the file says so");
    let new = of(vec![found("okta:2", "fred@x.org", None), found("okta:2", "other@x.org", None)]);
    assert_eq!(new.known("fred@x.org", None), Some(("okta:2", Party::Person)));
    assert_ne!(new.digest(), roster().digest());
    assert_eq!(of(Vec::new()).digest(), roster().digest());
}

#[test]
fn sources_have_owner_tags_of_their_own() {
    let sample = user().with(field::TAGS, tags(&[("owner", "ann"), ("payer", "bob")])).build();
    let owning = Owning { tags_of: BTreeMap::from([("aws-prod".into(), vec!["payer".into()])]), ..Owning::default() };
    let roster = Roster::default();
    let name = |sources: HashMap<provost_model::ScopeNo, String>| {
        let by = Attribution { owning: &owning, roster: &roster, sources: &sources };
        by.owner_of(&Asked::alone(&sample), NOW).unwrap().name
    };
    assert_eq!(name(HashMap::new()), "ann");
    assert_eq!(name(HashMap::from([(provost_model::ScopeNo(1), "aws-prod".to_owned())])), "bob");
}

/// Any evidence: about whom, of which sort, how old.
fn evidence() -> impl Strategy<Value = Found> {
    let signals = prop::sample::select(super::weights::ALL_WEIGHTED.to_vec());
    (
        signals,
        prop::sample::select(vec!["ann", "bob", "carol", "dave", "zed", "payments", "finance"]),
        0_i64..2000,
        1_usize..4,
    )
        .prop_map(|(signal, name, age, shared)| Found {
            signal,
            source: format!("{signal}"),
            names: name.into(),
            who: roster().resolve(name, None),
            as_of: Some(ago(age)),
            ages: true,
            shared,
            order: 0,
        })
}

fn weighed(found: Vec<Found>, now: Time) -> Option<Owner> {
    let (owning, sources) = (Owning::default(), HashMap::new());
    weigh::weigh(&Attribution { owning: &owning, roster: roster(), sources: &sources }, found, now)
}

/// How sure it is of that one.
fn confidence(owner: Option<&Owner>, name: &str) -> f64 {
    let Some(owner) = owner else { return 0.0 };
    let other = owner.others.iter().find(|it| it.name == name).map_or(0.0, |it| it.confidence);
    if owner.name == name { owner.confidence } else { other }
}

fn confirmed(name: &str) -> Found {
    Found {
        signal: Signal::Confirmation,
        source: "confirmed by eve".into(),
        names: name.into(),
        who: roster().resolve(name, None),
        as_of: Some(ago(1)),
        ages: true,
        shared: 1,
        order: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_order_of_evidence_does_not_matter(
        (found, shuffled) in prop::collection::vec(evidence(), 0..12)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        prop_assert_eq!(weighed(found, NOW), weighed(shuffled, NOW));
    }

    #[test]
    fn more_evidence_for_somebody_never_lowers_their_confidence(
        found in prop::collection::vec(evidence(), 0..10), more in evidence(),
    ) {
        let before = weighed(found.clone(), NOW);
        let name = more.names.clone();
        let after = weighed(found.into_iter().chain([more]).collect(), NOW);
        for one in ["ann", "bob", "carol", "dave", "zed", "payments", "finance"] {
            let (was, is) = (confidence(before.as_ref(), one), confidence(after.as_ref(), one));
            prop_assert!(is >= was, "{}: {} after {}", one, is, was);
            // What a member does speaks for the team.
            let team = ["payments", "finance"].contains(&one) && name == "ann";
            prop_assert!(one == name || team || is == was, "{}: evidence for {} moved it", one, name);
        }
    }

    #[test]
    fn a_confirmation_always_wins(found in prop::collection::vec(evidence(), 0..12), name in "ann|bob|dave|zed|payments") {
        let owner = weighed(found.into_iter().chain([confirmed(&name)]).collect(), NOW).unwrap();
        prop_assert_eq!((owner.name, owner.confidence), (name, 1.0));
    }

    #[test]
    fn nothing_grows_with_age_and_nothing_changes_before_its_time(
        found in prop::collection::vec(evidence(), 0..8), hours in 0_i64..40_000,
    ) {
        let then = NOW + provost_model::Span::hours(hours);
        let (fresh, old) = (weighed(found.clone(), NOW), weighed(found, then));
        for one in ["ann", "bob", "carol", "dave", "zed", "payments", "finance"] {
            prop_assert!(confidence(old.as_ref(), one) <= confidence(fresh.as_ref(), one), "{}", one);
        }
        if let Some(fresh) = fresh && fresh.until.is_none_or(|until| then < until) {
            prop_assert_eq!(Some(Owner { until: None, ..fresh }), old.map(|old| Owner { until: None, ..old }));
        }
    }
}

#[test]
fn an_account_of_another_realm_is_not_the_persons_own() {
    let named = |realm: &str| user().realm(realm).with(field::NAME, "amiller".to_owned());
    assert!(among(named("aws:1")).evidence.iter().any(|it| it.signal == Signal::Account));
    assert!(among(named("github:org/1")).evidence.iter().all(|it| it.signal != Signal::Account));
}
