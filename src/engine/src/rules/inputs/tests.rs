//! Random histories: whoever is concerned by nothing would be judged as before, by every rule.
//! It must never be compiled into the program.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use provost_model::{
    Believed, Change, Entity, Facts, Field, FieldSet, Finding, Key, Kind, PartId, Presence, Realm, Record, RecordId,
    ScopeNo, Span, Time, Value, field, field::Shape,
};

use super::*;
use crate::{
    absence,
    judge::{judge_record, timeless},
    own::{Asked, Attribution, Owning, Roster},
    reconcile::{self, Birth, Said},
    rules::{ALL, Beside, Check, Covered, Outcome, Place, Subject, Verdict, View, sample::NOW},
    thresholds::{Limits, Matcher, Override, Policy, PolicyConfig},
};

/// Every rule with every door open: what it reads without having declared it, it sees here.
static OPEN: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| {
    let all =
        [Neighbour::Identity, Neighbour::Siblings, Neighbour::Credentials, Neighbour::SameSecret, Neighbour::Owner];
    let all: &'static [Beside] =
        Box::leak(Box::new(all.map(|who| Beside { who, reads: FieldSet::ALL, dated: FieldSet::ALL, named: true })));
    let open = |rule: &&'static Rule| {
        let open = Rule { reads: FieldSet::ALL, neighbours: all, dates: true, ..(*rule).clone() };
        &*Box::leak(Box::new(open))
    };
    ALL.iter().map(open).collect()
});

/// Who there may be: a kind, a name, whose it is at first.
const CAST: [(Kind, &str, Option<&str>); 15] = [
    (Kind::User, "ann", None),
    (Kind::User, "root", None),
    (Kind::AiAgent, "agent", None),
    (Kind::AccessKey, "k1", Some("ann")),
    (Kind::AccessKey, "k2", Some("ann")),
    (Kind::AccessKey, "k3", Some("root")),
    (Kind::Password, "pw", Some("root")),
    (Kind::Password, "pw2", Some("ann")),
    (Kind::Certificate, "cert", None),
    (Kind::Certificate, "cert2", Some("agent")),
    (Kind::SshKey, "ssh", None),
    (Kind::Role, "role", None),
    (Kind::Secret, "item", None),
    (Kind::Token, "token", Some("agent")),
    (Kind::Application, "app", None),
];

/// What rules read of anybody, and two attributes that none reads.
static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let declared = ALL.iter().flat_map(|rule| RELATIONS.map(|relation| rule.inputs(relation).reads));
    let all = declared.fold(FieldSet::EMPTY, FieldSet::and);
    all.with(field::DESCRIPTION.field()).with(field::GROUPS.field()).iter().collect()
});

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A scope says of somebody what it said before, with these attributes otherwise; and perhaps whose it is, and by another
    /// name, of which the first becomes an alias.
    Says { who: usize, scope: u32, facts: Vec<(usize, u8)>, whose: Option<u8>, called: Option<u8> },
    /// A scope lacks somebody, is told of an end, or leaves the selection; or it proves to be somebody else.
    Ends { who: usize, scope: u32, how: u8 },
    /// A scope was read completely.
    Covered(u32),
    /// Time passes.
    Hours(i64),
    /// A figure of the policy is set, everywhere or for some.
    Figure { at: usize, days: u32, whom: u8 },
    /// Owners are named elsewhere.
    Owners(bool),
}

struct World {
    now: Time,
    records: BTreeMap<RecordId, Record>,
    covers: BTreeMap<u32, Time>,
    policy: PolicyConfig,
    owners: Owning,
}

fn realm() -> Realm {
    Realm::new("aws", "1")
}

fn key_of(at: usize) -> Key {
    let (kind, name, _) = CAST[at];
    Key::new(realm(), kind, name)
}

fn id_of(at: usize) -> RecordId {
    RecordId::from_bytes([u8::try_from(at).unwrap() + 1; 16])
}

fn texts(field: Field) -> &'static [&'static str] {
    match field.name() {
        "status" => &["active", "active", "active", "active", "inactive", "expired", "unknown"],
        "nature" => &["human", "machine", "unclear"],
        "fingerprint" | "key_id" | "opens" => &["f1", "f2"],
        "arn" => &["arn:aws:iam::1:root", "arn:aws:iam::1:user/x"],
        "path" => &["/", "/aws-service-role/"],
        "service" => &["a"],
        "store_kind" => &["dotenv", "aws_credentials", "github_actions"],
        "algorithm" => &["rsa", "ed25519", "dsa"],
        "passphrase" => &["present", "absent"],
        "rotation" => &["on", "off", "failing", "managed"],
        "leak" => &["open", "revoked"],
        "leak_validity" => &["active", "inactive"],
        "reach" => &["all", "all", "selected"],
        "environment" => &["prod", "dev"],
        "credential_type" => &["github_pat", "aws_secret_access_key"],
        _ => &["a", "prod"],
    }
}

fn reading(field: Field, seed: u8) -> Reading<Value> {
    let pick = |all: &[&str]| all[usize::from(seed / 12) % all.len()].to_owned();
    let days = i64::from(seed / 12) * 19;
    // Most credentials are at a provider.
    if field == field::LOCATION.field() && !seed.is_multiple_of(3) {
        return Reading::NotCollected;
    }
    match (seed % 12, field.spec().shape) {
        (0, _) => Reading::Never,
        (1, _) => Reading::NotPermitted,
        (2, _) => Reading::NotReported,
        (3, _) => Reading::NotCollected,
        (_, Shape::Bool) => Reading::Known(Value::Bool(seed % 24 > 11)),
        (_, Shape::Int) => Reading::Known(Value::Int(i64::from(seed) * 16)),
        (_, Shape::Time) if field == field::EXPIRES_AT.field() => {
            Reading::Known(Value::Time(NOW - Span::days(40) + Span::days(days / 4)))
        }
        (_, Shape::Time) => Reading::Known(Value::Time(NOW - Span::days(days))),
        (_, Shape::Text) => Reading::Known(Value::Text(pick(texts(field)))),
        (_, Shape::List) => Reading::Known(Value::List(vec![pick(&[
            "*",
            "x",
            "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2",
        ])])),
        (_, Shape::Map) => {
            let all = [("env", "prod"), ("owner", "ann"), ("contact", "bob"), ("env", "dev"), ("x", "y")];
            let (name, value) = all[usize::from(seed / 12) % all.len()];
            Reading::Known(Value::Map(BTreeMap::from([(name.to_owned(), value.to_owned())])))
        }
    }
}

/// Every figure that is a number of days, whether a rule declares it or not.
fn figures() -> Vec<String> {
    let all = serde_json::to_value(Limits::default()).unwrap();
    let names = all.as_object().unwrap().keys().filter(|it| it.ends_with("_days") && *it != "expiring_days");
    names.cloned().collect()
}

fn limits(figure: &str, days: u32) -> Limits {
    serde_json::from_value(serde_json::json!({ figure: days })).unwrap()
}

fn is_there(record: &Record) -> bool {
    matches!(record.presence(), Presence::Present | Presence::Missing)
}

impl World {
    fn new() -> Self {
        let (records, covers) = (BTreeMap::new(), BTreeMap::new());
        Self { now: NOW, records, covers, policy: PolicyConfig::default(), owners: Owning::default() }
    }

    fn identity(&self, of: &Record) -> Option<&Record> {
        let key = of.identity.as_ref()?;
        self.records.values().find(|it| it.kind == key.kind && it.externals.contains(&key.external))
    }

    fn tied(&self, to: &Record) -> Vec<Record> {
        let tied = |it: &&Record| {
            it.identity.as_ref().is_some_and(|key| to.kind == key.kind && to.externals.contains(&key.external))
        };
        self.records.values().filter(tied).filter(|it| is_there(it)).cloned().collect()
    }

    fn marks(record: &Record) -> BTreeSet<&str> {
        MARKS.into_iter().filter_map(|attr| record.text(attr).known()).collect()
    }

    /// Shows a record with its neighbourhood.
    fn with<T>(&self, id: RecordId, look: impl FnOnce(&Subject<'_>) -> T) -> T {
        let record = &self.records[&id];
        let identity = self.identity(record);
        let siblings = match &record.identity {
            Some(key) => {
                self.records.values().filter(|it| it.identity.as_ref() == Some(key) && is_there(it)).cloned().collect()
            }
            None => Vec::new(),
        };
        let credentials = if record.identity.is_none() { self.tied(record) } else { Vec::new() };
        let twins = self.records.values().filter(|it| it.id != id && is_there(it));
        let twins = twins.filter(|it| !Self::marks(it).is_disjoint(&Self::marks(record)));
        let places: Vec<Place> = twins.map(Place::of).collect();
        let (roster, sources) = (Roster::default(), std::collections::HashMap::new());
        let by = Attribution { owning: &self.owners, roster: &roster, sources: &sources };
        let owner = by.owner_of(&Asked { identity, ..Asked::alone(record) }, self.now);
        let covers: Vec<Covered<'_>> = (1..=3)
            .map(|scope| {
                let as_of = self.covers.get(&scope).copied().unwrap_or(Covered::NEVER);
                Covered {
                    scope: ScopeNo(scope),
                    part: PartId::WHOLE,
                    as_of,
                    source: if scope == 1 { "s1" } else { "s2" },
                    path: "p",
                }
            })
            .collect();
        look(&Subject {
            record,
            identity,
            siblings: &siblings,
            credentials: &credentials,
            places: &places,
            owner: owner.as_ref(),
            covers: &covers,
        })
    }

    /// What every rule about a record says of it, with all doors open or as declared.
    fn judged(&self, id: RecordId, policy: &Policy, open: bool) -> Vec<(&'static Rule, Verdict)> {
        self.with(id, |subject| {
            let (figures, believed) = (policy.of_record(subject.record, subject.covers), Believed::of(subject.record));
            let about = ALL.iter().zip(OPEN.iter()).filter(|(rule, _)| rule.needs.contains(&subject.record.kind));
            let verdict = |rule: &'static Rule, opened: &'static Rule| {
                let Check::Record(check) = rule.check else { panic!("about sources") };
                let view = View::new(subject, &believed, if open { opened } else { rule });
                let mut verdict = check(&view, &figures, self.now).unwrap_or_else(|early| early);
                let declared = View::new(subject, &believed, rule);
                let ends = declared.next_end(self.now).into_iter().chain(declared.owner_until(self.now));
                verdict.until = ends.chain(verdict.until).min();
                verdict
            };
            about.map(|(rule, opened)| (*rule, verdict(rule, opened))).collect()
        })
    }

    /// Does a step; gives the record that changed and what it was.
    fn take(&mut self, step: &Step) -> Option<(RecordId, News)> {
        let change: Option<Change> = match step {
            Step::Says { who, scope, facts, whose, called } => {
                let (kind, name, first) = CAST[*who];
                let before = self.records.get(&id_of(*who));
                let said = before.and_then(|it| it.statements.iter().find(|said| said.scope == ScopeNo(*scope)));
                let mut all: Facts = said.map(|said| said.facts.clone()).unwrap_or_default();
                for (at, seed) in facts {
                    let field = FIELDS[at % FIELDS.len()];
                    all.set_value(field, reading(field, *seed));
                }
                let named = whose.map_or(first, |at| ["ann", "root", "agent"].get(usize::from(at)).copied());
                let main = called.map_or_else(|| name.to_owned(), |called| format!("{name}-{called}"));
                let mut entity = Entity::new(Key::new(realm(), kind, main), name).alias(name);
                entity.facts = all;
                entity.identity = named
                    .filter(|_| kind.noun() == provost_model::Noun::Credential)
                    .map(|name| key_of(CAST.iter().position(|it| it.1 == name).unwrap()));
                let said = Said { scope: ScopeNo(*scope), part: PartId::WHOLE, as_of: self.now, recorded: self.now };
                reconcile::present(before, entity, said, Birth { id: id_of(*who), baseline: who % 2 == 0 })
            }
            Step::Ends { who, scope, how } => self.records.get(&id_of(*who)).and_then(|it| match how {
                0 => absence::absent(
                    it,
                    absence::Listing { scope: ScopeNo(*scope), part: PartId::WHOLE, began: self.now, atomic: false },
                ),
                1 => absence::told_gone(it, ScopeNo(*scope), PartId::WHOLE),
                2 => absence::unwatch(it, ScopeNo(*scope)),
                _ => absence::merged_away(it),
            }),
            Step::Covered(scope) => {
                self.covers.insert(*scope, self.now);
                None
            }
            Step::Hours(hours) => {
                self.now = self.now + Span::hours(*hours);
                None
            }
            Step::Figure { at, days, whom } => {
                let names = figures();
                let limits = limits(&names[at % names.len()], *days);
                let matching = match whom {
                    0 => None,
                    1 => Some(Matcher { source: Some("s1".into()), ..Matcher::default() }),
                    2 => Some(Matcher { tag: Some("env=prod".into()), ..Matcher::default() }),
                    _ => Some(Matcher { kind: Some(Kind::AccessKey), ..Matcher::default() }),
                };
                match matching {
                    None => self.policy.thresholds = limits,
                    Some(matching) => self.policy.overrides = vec![Override { matching, thresholds: limits }],
                }
                None
            }
            Step::Owners(contact) => {
                let tag = if *contact { "contact" } else { "owner" };
                self.owners = Owning { tags: vec![tag.to_owned()], ..Owning::default() };
                None
            }
        };
        let change = change?;
        let news = News::between(self.records.get(&change.after.id), &change.after);
        let id = change.after.id;
        self.records.insert(id, change.after);
        Some((id, news))
    }

    /// How a record stands to a subject, now or before the change.
    fn relations(&self, changed: RecordId, news: &News, id: RecordId) -> Vec<Relation> {
        let (one, subject) = (&self.records[&changed], &self.records[&id]);
        let former = news.former.as_deref().cloned().unwrap_or_default();
        let names = |it: &Record, key: &Key| it.kind == key.kind && it.externals.contains(&key.external);
        let whose = || one.identity.iter().chain(&former.identities);
        let mut relations = Vec::new();
        if changed == id {
            relations.push(Relation::Itself);
        }
        if subject.identity.as_ref().is_some_and(|key| names(one, key)) {
            relations.push(Relation::Identity);
        }
        if subject.identity.is_some() && whose().any(|key| Some(key) == subject.identity.as_ref()) {
            relations.push(Relation::Sibling);
        }
        if whose().any(|key| names(subject, key)) {
            relations.push(Relation::Credential);
        }
        let marks: BTreeSet<&str> =
            Self::marks(one).into_iter().chain(former.marks.iter().map(String::as_str)).collect();
        if changed != id && !marks.is_disjoint(&Self::marks(subject)) {
            relations.push(Relation::Twin);
        }
        relations
    }
}

/// What two verdicts that say the same have in common. How fresh the data are moves by itself: it says nothing new where
/// nobody waits for it.
fn told(verdict: &Verdict) -> (&'static str, Vec<String>, String, Option<Time>, bool) {
    let (words, raisers) = match &verdict.outcome {
        Outcome::Fail(because) => (because.words.clone(), format!("{:?}", because.raisers)),
        Outcome::Inconclusive(why) => (why.words(), String::new()),
        _ => (String::new(), String::new()),
    };
    let words = timeless(&words).map(str::to_owned).collect();
    (verdict.word(), words, raisers, verdict.until, verdict.waits)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let facts = prop::collection::vec((0_usize..160, any::<u8>()), 1..3);
    let (whose, called) = (prop::option::weighted(0.1, 0_u8..3), prop::option::weighted(0.1, 0_u8..2));
    let says = (0..CAST.len(), 1_u32..4, facts, whose, called)
        .prop_map(|(who, scope, facts, whose, called)| Step::Says { who, scope, facts, whose, called });
    let step = prop_oneof![
        10 => says,
        1 => (0..CAST.len(), 1_u32..4, 0_u8..4).prop_map(|(who, scope, how)| Step::Ends { who, scope, how }),
        3 => (1_u32..4).prop_map(Step::Covered),
        4 => (1_i64..700).prop_map(Step::Hours),
        3 => (any::<usize>(), 0_u32..200, 0_u8..4).prop_map(|(at, days, whom)| Step::Figure { at, days, whom }),
        1 => any::<bool>().prop_map(Step::Owners),
    ];
    prop::collection::vec(step, 1..60)
}

/// Everybody appears first, with a good deal said of them.
fn opening() -> impl Strategy<Value = Vec<Step>> {
    let facts = prop::collection::vec((0_usize..160, any::<u8>()), 20..80);
    prop::collection::vec(facts, CAST.len()).prop_map(|all| {
        let says = |(who, facts)| Step::Says { who, scope: 1, facts, whose: None, called: None };
        all.into_iter().enumerate().map(says).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn who_is_concerned_by_nothing_is_judged_as_before(opening in opening(), steps in steps()) {
        let mut world = World::new();
        let mut known: BTreeMap<(&str, RecordId), Verdict> = BTreeMap::new();
        let digests = |policy: &Policy| ALL.iter().map(|rule| (rule.id, policy.digest_of(rule))).collect::<BTreeMap<_, _>>();
        let mut policy = Policy::default();
        let mut figures = digests(&policy);
        for step in opening.iter().chain(&steps) {
            let (covers, owners, former_figures) = (world.covers.clone(), world.owners.clone(), figures.clone());
            let news = world.take(step);
            if matches!(step, Step::Figure { .. }) {
                policy = Policy::new(world.policy.clone()).unwrap();
                figures = digests(&policy);
            }
            for id in world.records.keys().copied().collect::<Vec<_>>() {
                let relations = news.iter().flat_map(|(changed, news)| world.relations(*changed, news, id)).collect::<Vec<_>>();
                let news = news.as_ref().map(|(_, news)| news);
                for (rule, verdict) in world.judged(id, &policy, true) {
                    let Some(former) = known.insert((rule.id, id), verdict.clone()) else { continue };
                    let by_news = news.is_some_and(|news| relations.iter().any(|it| rule.concerned(*it, news)));
                    let fresher = covers != world.covers
                        || news.is_some_and(|it| it.dated) && relations.iter().any(|it| rule.asks_freshness(*it));
                    let by_rules = former_figures.get(rule.id) != figures.get(rule.id)
                        || owners != world.owners && rule.looks_at(Neighbour::Owner);
                    let due = former.until.is_some_and(|until| until <= world.now);
                    if !(by_news || by_rules || due || former.waits && fresher) {
                        prop_assert_eq!(told(&former), told(&verdict), "{} about {:?} after {:?}", rule.id, world.records[&id], step);
                    }
                    if let Some(news) = news {
                        let kind = world.records[&id].kind;
                        for relation in &relations {
                            prop_assert!(!rule.concerned(*relation, news) || concerned(kind, *relation, news), "{}", rule.id);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_rule_reads_nothing_that_it_did_not_declare(opening in opening(), steps in steps()) {
        let mut world = World::new();
        for step in opening.iter().chain(&steps) {
            world.take(step);
        }
        let policy = Policy::new(world.policy.clone()).unwrap();
        for (id, record) in &world.records {
            let closed = world.judged(*id, &policy, false);
            for ((rule, open), (_, closed)) in world.judged(*id, &policy, true).into_iter().zip(closed) {
                prop_assert_eq!(told(&open), told(&closed), "{} about {:?}", rule.id, record);
            }
        }
    }

    #[test]
    fn verdicts_in_short_lead_to_the_same_findings(opening in opening(), steps in steps()) {
        let mut world = World::new();
        let mut findings: BTreeMap<RecordId, Vec<Finding>> = BTreeMap::new();
        let mut policy = Policy::default();
        for step in opening.iter().chain(&steps) {
            world.take(step);
            if matches!(step, Step::Figure { .. }) {
                policy = Policy::new(world.policy.clone()).unwrap();
            }
            for id in world.records.keys() {
                let known = findings.entry(*id).or_default();
                let (mut one, mut all) = (known.clone(), crate::judge::Judgement::default());
                world.with(*id, |subject| {
                    let figures = policy.of_record(subject.record, subject.covers);
                    all = judge_record(subject, known, (&figures, "o"), world.now);
                    let mut changed = 0;
                    for rule in Rule::about(subject.record.kind) {
                        let owners = rule.looks_at(Neighbour::Owner).then_some("o");
                        let case = crate::judge::Case {
                            rule, subject: *id, external_id: subject.record.external(), source: None,
                            presence: subject.record.presence(), baseline: subject.record.baseline,
                            measure: crate::judge::Measure { figures: figures.digest_of(rule.id), beside: owners }, now: world.now,
                        };
                        let verdict = rule.of_record(subject, &figures, world.now);
                        changed += u64::from(crate::judge::rejudge(&mut one, &verdict, &case));
                    }
                    assert_eq!(changed, all.changed);
                });
                prop_assert_eq!(&one, &*known);
            }
        }
    }
}

#[test]
fn anybody_is_concerned_where_somebody_of_some_kind_is() {
    let kinds: Vec<Kind> = (0..=u8::MAX).map_while(Kind::from_code).collect();
    let of_fields = field::ALL.iter().map(|it| News { fields: FieldSet::of(&[*it]), ..News::default() });
    let others = [
        News::default(),
        News { whole: true, ..News::default() },
        News { named: true, ..News::default() },
        News { spoken: true, ..News::default() },
        News { spoken: true, aged: true, ..News::default() },
        News { dated: true, ..News::default() },
    ];
    for news in of_fields.chain(others) {
        for relation in RELATIONS {
            let somebody = kinds.iter().any(|kind| concerned(*kind, relation, &news));
            assert_eq!(anybody_concerned(relation, &news), somebody, "{relation:?}, {news:?}");
        }
    }
}
