//! The custody of one secret: what it opens, where it is kept, and who reads it, each with what shows it.
//! It must never take a name for a proof: names make hints, and a hint links nothing.

use std::collections::BTreeSet;

use provost_model::{CorrelationKey, Kind, Noun, Presence, Reading, Record, RecordId, Sort, Time, field};

use super::Grouping;
use crate::rules::holds_secret;

/// What is known of a secret's custody, seen from one of its records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Custody {
    /// Credentials at their providers that it is, and what lets it in.
    pub opens: Vec<Tie>,
    /// What the places themselves say that it opens, where no provider's record is known.
    pub named: Vec<String>,
    /// Places that keep it, this record among them if it is one.
    pub kept_in: Vec<Tie>,
    /// Who reads it, the latest first.
    pub read_by: Vec<Reader>,
    /// Since when nobody read it in any of its places, if reads are recorded in all of them and there were none.
    pub unread_since: Option<Time>,
}

/// A record of the same secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Tie {
    /// The record.
    pub id: RecordId,
    /// How sure that is, 0 to 1: the product over the steps of the surest way; within a step, keys count as independent.
    pub confidence: f64,
    /// The surest way there; empty for the record itself.
    pub way: Vec<Hop>,
    /// Whether the value can be taken there. Where it cannot, the place names it, or keeps it encrypted.
    pub readable: bool,
}

/// One step of a way: two records and the keys both carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// From this record …
    pub from: RecordId,
    /// … to that one …
    pub to: RecordId,
    /// … by these.
    pub keys: Vec<CorrelationKey>,
}

/// Somebody who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// As the log or configuration names them.
    pub who: String,
    /// The latest read, if that is known.
    pub at: Option<Time>,
    /// The place where they read it.
    pub of: RecordId,
    /// What shows it.
    pub by: By,
}

/// What shows that somebody reads a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The store's audit log names the read.
    AuditLog,
    /// The place hands it over: the configuration of an agent, or of a workload.
    Configuration,
}

/// What a record is to its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The credential as its provider knows it, or a public half.
    Opens,
    /// A place.
    Keeps,
}

impl By {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            By::AuditLog => "audit_log",
            By::Configuration => "configuration",
        }
    }
}

impl Custody {
    /// The custody of the secret that a record is or keeps. `others` are the records grouped with it; `grouping` says by
    /// which keys. `None` for what is no secret.
    pub fn of(subject: &Record, others: &[Record], grouping: &Grouping) -> Option<Self> {
        if !matches!(subject.kind.noun(), Noun::Credential | Noun::Secret) {
            return None;
        }
        let ways = ways(subject.id, grouping);
        let mut all: Vec<(&Record, f64, Vec<Hop>)> = vec![(subject, 1.0, Vec::new())];
        for other in others.iter().filter(|it| it.id != subject.id && is_there(it)) {
            let found = ways.iter().find(|way| way.to == other.id);
            all.extend(found.map(|way| (other, way.confidence, way.hops.clone())));
        }
        let mut it = Self::default();
        for (record, confidence, way) in &all {
            let tie = Tie { id: record.id, confidence: *confidence, way: way.clone(), readable: holds_secret(record) };
            match part(record) {
                Part::Opens if record.id != subject.id => it.opens.push(tie),
                Part::Opens => {}
                Part::Keeps => it.kept_in.push(tie),
            }
        }
        let surest = |one: &Tie, other: &Tie| other.confidence.total_cmp(&one.confidence).then(one.id.cmp(&other.id));
        it.opens.sort_by(surest);
        it.kept_in.sort_by(surest);
        if part(subject) == Part::Keeps && !it.opens.iter().any(|tie| is_provided(tie.id, others)) {
            it.named.extend(named(subject));
        }
        let records: Vec<&Record> = all.iter().map(|(record, ..)| *record).collect();
        it.read_by = readers(&records);
        it.unread_since = it.read_by.is_empty().then(|| unread_since(&records)).flatten();
        Some(it)
    }
}

/// How sure a key makes it that two records are about one secret.
fn weight(sort: Sort) -> f64 {
    match sort {
        // The value itself, or the public half that belongs to one private half only.
        Sort::Fingerprint | Sort::PublicKey => 0.99,
        // It stands beside the value; that the two belong together was not tried.
        Sort::KeyId => 0.9,
        Sort::Arn | Sort::ClientId | Sort::OidcSubject | Sort::CertificateSubject | Sort::Email => 0.0,
    }
}

struct Way {
    to: RecordId,
    confidence: f64,
    hops: Vec<Hop>,
}

/// The surest way from a record to each that is grouped with it. Groups are small.
fn ways(from: RecordId, grouping: &Grouping) -> Vec<Way> {
    let Some(group) = grouping.group_of(from) else { return Vec::new() };
    let mut found = vec![Way { to: from, confidence: 1.0, hops: Vec::new() }];
    let mut done = BTreeSet::new();
    while let Some(at) = surest(&found, &done) {
        let Some(way) = found.get(at) else { break };
        let (here, confidence, hops) = (way.to, way.confidence, way.hops.clone());
        done.insert(here);
        for next in group.members.iter().copied().filter(|it| !done.contains(it)) {
            let both = grouping.bonds.iter().filter(|it| it.members.contains(&here) && it.members.contains(&next));
            let keys: Vec<CorrelationKey> = both.map(|bond| bond.key.clone()).collect();
            let step = 1.0 - keys.iter().map(|key| 1.0 - weight(key.sort)).product::<f64>();
            if keys.is_empty() || step <= 0.0 {
                continue;
            }
            let mut further = hops.clone();
            further.push(Hop { from: here, to: next, keys });
            let way = Way { to: next, confidence: confidence * step, hops: further };
            match found.iter_mut().find(|it| it.to == next) {
                Some(known) if known.confidence >= way.confidence => {}
                Some(known) => *known = way,
                None => found.push(way),
            }
        }
    }
    found.retain(|way| way.to != from);
    found
}

fn surest(found: &[Way], done: &BTreeSet<RecordId>) -> Option<usize> {
    let open = found.iter().enumerate().filter(|(_, way)| !done.contains(&way.to));
    open.max_by(|(_, one), (_, other)| one.confidence.total_cmp(&other.confidence).then(other.to.cmp(&one.to)))
        .map(|(at, _)| at)
}

fn is_there(record: &Record) -> bool {
    matches!(record.presence(), Presence::Present | Presence::Missing)
}

/// An item of a store is a place by itself; a credential is one where it lies in a file with its secret part.
fn part(record: &Record) -> Part {
    if record.kind == Kind::Secret {
        return Part::Keeps;
    }
    let somewhere = record.get(field::LOCATION).is_answered();
    if somewhere && holds_secret(record) { Part::Keeps } else { Part::Opens }
}

/// Whether a record is a credential as its provider knows it, not a public half that lies somewhere.
fn is_provided(id: RecordId, records: &[Record]) -> bool {
    records.iter().any(|it| it.id == id && !it.get(field::LOCATION).is_answered())
}

/// What a place says that its content opens, such as `files.example as robot`.
fn named(record: &Record) -> Option<String> {
    let service = record.get(field::SERVICE).known();
    let opens = record.get(field::OPENS).known();
    let user = record.get(field::USERNAME).known().map(|user| format!(" as {user}")).unwrap_or_default();
    match (service, opens) {
        (Some(service), Some(opens)) => Some(format!("{service}{user}, {opens}")),
        (Some(one), None) | (None, Some(one)) => Some(format!("{one}{user}")),
        (None, None) => None,
    }
}

fn readers(records: &[&Record]) -> Vec<Reader> {
    let mut readers: Vec<Reader> = Vec::new();
    for record in records {
        for (who, at) in record.get(field::READERS).known().unwrap_or_default() {
            readers.push(Reader { who, at: at.parse().ok(), of: record.id, by: By::AuditLog });
        }
        let handed = record.identity.as_ref().filter(|_| part(record) == Part::Keeps);
        if let Some(key) = handed.filter(|key| matches!(key.kind, Kind::AiAgent | Kind::Workload)) {
            readers.push(Reader { who: key.to_string(), at: None, of: record.id, by: By::Configuration });
        }
    }
    readers
        .sort_by(|one, other| other.at.cmp(&one.at).then_with(|| one.who.cmp(&other.who)).then(one.of.cmp(&other.of)));
    readers
}

/// Silence means something only where every place records its reads, and since the last of them began to.
fn unread_since(records: &[&Record]) -> Option<Time> {
    let places = records.iter().filter(|it| part(it) == Part::Keeps);
    let since = places.map(|it| match (it.get(field::READERS), it.get(field::READS_SINCE)) {
        (Reading::Known(_) | Reading::Never, Reading::Known(since)) => Some(since),
        _ => None,
    });
    since.collect::<Option<Vec<Time>>>()?.into_iter().max()
}

/// Words that say what sort of thing a secret is, and not which.
const GENERAL: [&str; 42] = [
    "access",
    "account",
    "actions",
    "api",
    "app",
    "auth",
    "aws",
    "azure",
    "ci",
    "client",
    "config",
    "creds",
    "credential",
    "credentials",
    "data",
    "default",
    "env",
    "file",
    "gcp",
    "github",
    "gitlab",
    "google",
    "id",
    "key",
    "keys",
    "kv",
    "login",
    "pass",
    "passwd",
    "password",
    "private",
    "prod",
    "public",
    "pwd",
    "secret",
    "secrets",
    "service",
    "test",
    "token",
    "user",
    "value",
    "vault",
];

/// How much two names hint that two records are about one secret, 0 to 1; `None` if they do not. It is never a proof:
/// `PAYMENTS_DB_PASSWORD` in one system and `payments/db` in another may be anything.
pub fn name_hint(one: &str, other: &str) -> Option<f64> {
    let (one, other) = (telling(one), telling(other));
    let both = one.intersection(&other).count();
    if both == 0 {
        return None;
    }
    if one == other {
        return Some(if both > 1 { 0.3 } else { 0.2 });
    }
    // All of the shorter name, if it is more than a word.
    (both > 1 && both == one.len().min(other.len())).then_some(0.1)
}

/// The words of a name that say which it is: in small letters, without those that say what.
fn telling(name: &str) -> BTreeSet<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut small = false;
    for letter in name.chars().take(256) {
        if !letter.is_alphanumeric() || (small && letter.is_uppercase()) {
            words.push(String::new());
        }
        small = letter.is_lowercase();
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
    }
    let tells =
        |word: &String| word.len() > 1 && !word.chars().all(char::is_numeric) && !GENERAL.contains(&word.as_str());
    words.into_iter().filter(tells).collect()
}

/// The name that the secret half of an AWS key has beside its public half in settings that stand together:
/// `DEV_AWS_SECRET_ACCESS_KEY` beside `DEV_AWS_ACCESS_KEY_ID`. `None` if the name is no public half's.
pub fn secret_half_of(name: &str) -> Option<String> {
    let (id, secret) = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY");
    let at = name.to_ascii_uppercase().rfind(id)?;
    let (before, rest) = (name.get(..at)?, name.get(at + id.len()..)?);
    Some(format!("{before}{secret}{rest}").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        link::{Apart, Member, grouping},
        rules::sample::{Sample, ago, key, record},
    };

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const PRINT: &str = "k1:000102030405060708090a0b0c0d0e0f";

    fn seen_from(subject: &Record, all: &[Record]) -> Custody {
        let members: Vec<Member> = all.iter().map(|it| Member::of(it, provost_model::Unites::Secrets)).collect();
        Custody::of(subject, all, &grouping(&members, &BTreeSet::new(), &Apart::default())).unwrap()
    }

    fn at_aws() -> Sample {
        key().id(1).named(ID).with(field::KEY_ID, ID.to_owned())
    }

    fn in_vault() -> Sample {
        let item = record(Kind::Secret).id(2).realm("openbao:c1").named("secret/ci/deploy");
        item.with(field::STORE_KIND, "vault_kv".to_owned()).with(field::PLAINTEXT, true)
    }

    fn ids(ties: &[Tie]) -> Vec<u8> {
        ties.iter().map(|it| it.id.as_bytes()[0]).collect()
    }

    #[test]
    fn one_credential_in_two_places() {
        let github = record(Kind::Secret).id(3).realm("github:org/1").named("repos/7/actions/AWS");
        let all = [
            at_aws().build(),
            in_vault().with(field::KEY_ID, ID.to_owned()).with(field::FINGERPRINT, PRINT.to_owned()).build(),
            github.with(field::OPENS, ID.to_owned()).build(),
        ];
        let key = seen_from(&all[0], &all);
        assert_eq!((ids(&key.opens), ids(&key.kept_in)), (vec![], vec![2, 3]));
        assert_eq!(key.kept_in.iter().map(|it| it.readable).collect::<Vec<_>>(), [true, false]);
        assert!(key.kept_in.iter().all(|it| (it.confidence - 0.9).abs() < 1e-9 && it.way.len() == 1));
        let vault = seen_from(&all[1], &all);
        assert_eq!((ids(&vault.opens), ids(&vault.kept_in)), (vec![1], vec![2, 3]));
        assert_eq!((vault.kept_in[0].confidence, vault.kept_in[0].way.len()), (1.0, 0), "the record itself");
        assert!(vault.named.is_empty());
    }

    #[test]
    fn a_way_of_several_steps_is_as_sure_as_all_of_them() {
        let other = "k1:ff0102030405060708090a0b0c0d0e0f";
        let print = |it: Sample, text: &str| it.with(field::FINGERPRINT, text.to_owned());
        // The vault's item and the file share a value, the file and AWS a key id; nothing joins the vault and AWS.
        let file = print(key().id(3).realm("host:a").named("/x#k").of_nobody(), PRINT)
            .with(field::LOCATION, "/x".to_owned())
            .with(field::PLAINTEXT, true)
            .with(field::KEY_ID, ID.to_owned());
        let more = print(in_vault().id(4).named("secret/b"), PRINT).build();
        let stranger = print(in_vault().id(5).named("secret/c"), other).build();
        let all = [at_aws().build(), print(in_vault(), PRINT).build(), file.build(), more, stranger];
        let it = seen_from(&all[1], &all);
        // A key id that alone joins two firm groups would be held back; here one side is a single record.
        let aws = it.opens.iter().find(|tie| tie.id == all[0].id);
        let aws = aws.unwrap_or_else(|| panic!("{it:?}"));
        assert_eq!(aws.way.len(), 2);
        assert!((aws.confidence - 0.99 * 0.9).abs() < 1e-9, "{aws:?}");
        assert_eq!(ids(&it.kept_in), [2, 3, 4]);
    }

    #[test]
    fn what_is_gone_or_no_secret_is_not_shown() {
        let mut gone = in_vault().with(field::KEY_ID, ID.to_owned()).build();
        gone.statements[0].standing = provost_model::Standing::Gone(provost_model::Because::Told);
        let all = [at_aws().build(), gone];
        assert!(seen_from(&all[0], &all).kept_in.is_empty());
        let user = record(Kind::User).build();
        assert_eq!(Custody::of(&user, &[], &Grouping::default()), None);
    }

    #[test]
    fn a_place_says_what_it_opens_where_no_provider_does() {
        let login = in_vault().with(field::SERVICE, "ftp.example".to_owned()).with(field::USERNAME, "robot".to_owned());
        assert_eq!(seen_from(&login.build(), &[]).named, ["ftp.example as robot"]);
        let keyed = in_vault().with(field::OPENS, ID.to_owned());
        assert_eq!(seen_from(&keyed.clone().build(), &[]).named, [ID]);
        let all = [at_aws().build(), keyed.build()];
        assert!(seen_from(&all[1], &all).named.is_empty());
    }

    #[test]
    fn readers_are_those_of_every_place_and_silence_needs_a_log() {
        let readers = |who: &str, at: Time| [(who.to_owned(), at.to_string())].into_iter().collect();
        let print = |it: Sample| it.with(field::FINGERPRINT, PRINT.to_owned());
        let one = print(in_vault()).with(field::READERS, Reading::Known(readers("role/app", ago(3)))).build();
        let two =
            print(in_vault().id(4).named("b")).with(field::READERS, Reading::Known(readers("ann", ago(1)))).build();
        let agent = provost_model::Key::new(one.realm.clone(), Kind::AiAgent, "/c#s");
        let mut handed = print(in_vault().id(5).named("c")).build();
        handed.identity = Some(agent);
        let all = [one, two, handed];
        let it = seen_from(&all[0], &all);
        let told: Vec<(&str, By)> = it.read_by.iter().map(|it| (it.who.as_str(), it.by)).collect();
        assert_eq!(told.iter().map(|it| it.1).collect::<Vec<_>>(), [By::AuditLog, By::AuditLog, By::Configuration]);
        assert_eq!((told[0].0, told[1].0), ("ann", "role/app"));

        let logged = |since| print(in_vault()).with(field::READERS, Reading::Never).with(field::READS_SINCE, since);
        let quiet = [logged(ago(90)).build(), logged(ago(30)).id(4).named("b").build()];
        assert_eq!(seen_from(&quiet[0], &quiet).unread_since, Some(ago(30)));
        let blind = [logged(ago(90)).build(), print(in_vault().id(4).named("b")).build()];
        assert_eq!(seen_from(&blind[0], &blind).unread_since, None, "one of the places records no reads");
    }

    #[test]
    fn the_halves_of_a_key_have_names_of_a_pair() {
        assert_eq!(secret_half_of("dev_aws_access_key_id").as_deref(), Some("DEV_AWS_SECRET_ACCESS_KEY"));
        assert_eq!(secret_half_of("AWS_ACCESS_KEY_ID_EU").as_deref(), Some("AWS_SECRET_ACCESS_KEY_EU"));
        assert_eq!(secret_half_of("AWS_REGION"), None);
    }

    #[test]
    fn names_hint_by_the_words_that_tell() {
        for (one, other, hint) in [
            ("PAYMENTS_DB_PASSWORD", "secret/data/payments/db", Some(0.3)),
            ("paymentsDb", "PAYMENTS-DB", Some(0.3)),
            ("DEPLOY_AWS_SECRET_ACCESS_KEY", "deploy", Some(0.2)),
            ("payments/db/eu", "PAYMENTS_DB", Some(0.1)),
            ("deploy/eu", "DEPLOY", None),
            ("AWS_SECRET_ACCESS_KEY", "aws-access-key", None),
            ("payments", "orders", None),
            ("", "", None),
        ] {
            assert_eq!(name_hint(one, other), hint, "{one} {other}");
            assert_eq!(name_hint(other, one), hint, "{other} {one}");
        }
    }
}
