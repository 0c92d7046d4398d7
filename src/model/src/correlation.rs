//! Correlation keys: values that show that several records are about one secret, one identity or one person.
//! It must never make a key of a name, nor let a key unite what its sort cannot: a fingerprint never unites identities.

use std::fmt;

use crate::{Attr, Field, Kind, Noun, Reading, Record, Statement, Value, field};

/// What a correlation key may unite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unites {
    /// Credentials, and the places where one secret is kept.
    Secrets,
    /// Identities and applications: one principal as several systems see it.
    Identities,
    /// People, and accounts of people.
    People,
}

/// What sort of value a correlation key is. It decides what the key may unite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// The public name of a credential, such as an access key id.
    KeyId,
    /// A digest of a public key.
    PublicKey,
    /// A keyed fingerprint of a secret value.
    Fingerprint,
    /// An Amazon Resource Name.
    Arn,
    /// The client id of an OAuth application.
    ClientId,
    /// The subject of an OpenID Connect issuer.
    OidcSubject,
    /// The subject of a certificate's issuer.
    CertificateSubject,
    /// An e-mail address.
    Email,
}

/// A value by which records recognise each other. Two keys are the same if sort, value and authority are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationKey {
    /// What sort of value.
    pub sort: Sort,
    /// The value, normalised. Never a secret.
    pub value: String,
    /// The authority within which the value is unique: an issuer, or the realm where the value is short.
    pub within: Option<String>,
}

/// Shorter ids are unique only within the realm that gave them: `17` is somebody's token in every system.
const UNIQUE_FROM: usize = 16;
/// The longest e-mail address (RFC 5321, 4.5.3.1).
const EMAIL_MOST: usize = 254;
/// Most addresses of one record that are heeded.
const EMAILS_MOST: usize = 16;

/// Mailboxes of an office, not of a person: those of RFC 2142 and what stands beside them in every directory.
const OFFICES: [&str; 26] = [
    "abuse",
    "admin",
    "administrator",
    "ci",
    "contact",
    "devops",
    "ftp",
    "hello",
    "help",
    "helpdesk",
    "hostmaster",
    "info",
    "it",
    "marketing",
    "news",
    "no-reply",
    "noc",
    "noreply",
    "office",
    "ops",
    "postmaster",
    "root",
    "sales",
    "security",
    "support",
    "webmaster",
];

impl Sort {
    /// What a key of this sort may unite.
    pub fn unites(self) -> Unites {
        match self {
            Sort::KeyId | Sort::PublicKey | Sort::Fingerprint => Unites::Secrets,
            Sort::Arn | Sort::ClientId | Sort::OidcSubject | Sort::CertificateSubject => Unites::Identities,
            Sort::Email => Unites::People,
        }
    }

    /// The words used in interfaces.
    pub fn words(self) -> &'static str {
        match self {
            Sort::KeyId => "key id",
            Sort::PublicKey => "public key",
            Sort::Fingerprint => "fingerprint",
            Sort::Arn => "ARN",
            Sort::ClientId => "client id",
            Sort::OidcSubject => "OIDC subject",
            Sort::CertificateSubject => "certificate subject",
            Sort::Email => "e-mail",
        }
    }
}

impl Unites {
    /// All of them.
    pub const ALL: [Unites; 3] = [Unites::Secrets, Unites::Identities, Unites::People];

    /// The word for one group, as used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Unites::Secrets => "secret",
            Unites::Identities => "identity",
            Unites::People => "person",
        }
    }

    /// The stable number used on disk.
    pub fn code(self) -> u8 {
        match self {
            Unites::Secrets => 1,
            Unites::Identities => 2,
            Unites::People => 3,
        }
    }

    /// What that number on disk stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }
}

impl CorrelationKey {
    /// What this key may unite.
    pub fn unites(&self) -> Unites {
        self.sort.unites()
    }

    /// Every correlation key of a record, each once, in order.
    pub fn all_of(record: &Record) -> Vec<Self> {
        let mut keys = match record.kind.noun() {
            Noun::Credential | Noun::Secret => of_secret(record),
            Noun::Identity | Noun::Application => of_identity(record),
            Noun::Person | Noun::Grant => Vec::new(),
        };
        if is_somebody(record) {
            keys.extend(of_person(record));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The attribute of a record that gives this key, and the statement it comes from.
    pub fn said_by<'a>(&self, record: &'a Record) -> Option<(Field, &'a Statement)> {
        let fields = match self.sort {
            Sort::KeyId | Sort::PublicKey | Sort::Fingerprint => {
                vec![field::FINGERPRINT.field(), field::KEY_ID.field(), field::OPENS.field()]
            }
            Sort::Arn => vec![field::ARN.field()],
            Sort::ClientId => vec![field::CLIENT_ID.field()],
            Sort::OidcSubject => vec![field::OIDC_SUBJECT.field()],
            Sort::CertificateSubject => vec![field::SUBJECT.field()],
            Sort::Email => vec![field::EMAILS.field()],
        };
        let gives = |reading: &Reading<&Value>| match reading {
            Reading::Known(Value::Text(text)) => text.trim() == self.value,
            Reading::Known(Value::List(list)) => list.iter().any(|it| email(it).is_some_and(|it| it == self.value)),
            _ => false,
        };
        fields.into_iter().find_map(|field| {
            let (reading, said) = record.said(field)?;
            gives(&reading).then_some((field, said))
        })
    }

    fn new(sort: Sort, value: impl Into<String>) -> Self {
        Self { sort, value: value.into(), within: None }
    }

    /// An id that is unique everywhere if it is long, and in its realm if it is short.
    fn id(sort: Sort, value: String, record: &Record) -> Self {
        let within = (value.len() < UNIQUE_FROM).then(|| record.realm.to_string());
        Self { sort, value, within }
    }
}

fn of_secret(record: &Record) -> Vec<CorrelationKey> {
    let values = [field::FINGERPRINT, field::KEY_ID, field::OPENS].into_iter().filter_map(|attr| said(record, attr));
    values.map(|value| CorrelationKey::id(sort_of(&value), value, record)).collect()
}

/// Fingerprints, digests of public keys and key ids share the attributes; the value says which it is.
fn sort_of(value: &str) -> Sort {
    match value.split_once(':') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("sha256") => Sort::PublicKey,
        Some((scheme, digits))
            if scheme.starts_with('k') && digits.len() == 32 && digits.bytes().all(|it| it.is_ascii_hexdigit()) =>
        {
            Sort::Fingerprint
        }
        _ => Sort::KeyId,
    }
}

fn of_identity(record: &Record) -> Vec<CorrelationKey> {
    let mut keys = Vec::new();
    keys.extend(said(record, field::ARN).map(|arn| CorrelationKey::new(Sort::Arn, arn)));
    keys.extend(said(record, field::CLIENT_ID).map(|id| CorrelationKey::id(Sort::ClientId, id, record)));
    let issued = [
        (Sort::OidcSubject, field::OIDC_SUBJECT, field::OIDC_ISSUER),
        (Sort::CertificateSubject, field::SUBJECT, field::ISSUER),
    ];
    for (sort, subject, issuer) in issued {
        if let (Some(value), Some(issuer)) = (said(record, subject), said(record, issuer)) {
            keys.push(CorrelationKey { sort, value, within: Some(issuer) });
        }
    }
    keys
}

/// Whether it is a person, or an account that is not known to be a machine's.
fn is_somebody(record: &Record) -> bool {
    match record.kind {
        Kind::Person => true,
        Kind::User => record.get(field::NATURE) != Reading::Known("machine".to_owned()),
        _ => false,
    }
}

fn of_person(record: &Record) -> Vec<CorrelationKey> {
    let emails = record.get(field::EMAILS).known().unwrap_or_default();
    let emails = emails.iter().take(EMAILS_MOST).filter_map(|it| email(it));
    emails.map(|it| CorrelationKey::new(Sort::Email, it)).collect()
}

/// The address as it is compared: in small letters. Dots and plus signs stay, as not every server ignores them.
fn email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.split_once('@')?;
    let office = local.split_once('+').map_or(local, |(before, _)| before);
    let is_one = !local.is_empty()
        && domain.contains('.')
        && !domain.contains('@')
        && text.len() <= EMAIL_MOST
        && !text.contains(|it: char| it.is_whitespace() || it.is_control());
    (is_one && !OFFICES.contains(&office)).then_some(text)
}

fn said(record: &Record, attr: Attr<String>) -> Option<String> {
    let value = record.get(attr).known()?;
    let trimmed = value.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

impl fmt::Display for CorrelationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sort.words(), self.value)?;
        self.within.as_ref().map_or(Ok(()), |within| write!(f, " of {within}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Facts, PartId, Realm, RecordId, ScopeNo, Standing, Statement, Time};

    fn record(kind: Kind, facts: Facts) -> Record {
        let at = Time::from_seconds(1);
        let said = Statement {
            scope: ScopeNo(1),
            part: PartId::WHOLE,
            as_of: at,
            recorded: at,
            standing: Standing::Seen,
            facts,
        };
        Record {
            id: RecordId::from_bytes([1; 16]),
            kind,
            realm: Realm::new("github", "org/1"),
            externals: vec!["X".into()],
            identity: None,
            container: None,
            first_seen: at,
            baseline: false,
            statements: vec![said],
        }
    }

    fn keys(kind: Kind, facts: Facts) -> Vec<String> {
        let record = record(kind, facts);
        let keys = CorrelationKey::all_of(&record);
        assert!(keys.iter().all(|key| key.said_by(&record).is_some()), "every key comes from a statement");
        keys.iter().map(ToString::to_string).collect()
    }

    fn everything() -> Facts {
        Facts::new()
            .with(field::NAME, "ann".to_owned())
            .with(field::ARN, "arn:aws:iam::1:user/ann".to_owned())
            .with(field::KEY_ID, "AKIAIOSFODNN7EXAMPLE".to_owned())
            .with(field::SUBJECT, "CN=ann".to_owned())
            .with(field::ISSUER, "CN=ca".to_owned())
            .with(field::FINGERPRINT, "k1:000102030405060708090a0b0c0d0e0f".to_owned())
            .with(field::EMAILS, vec!["Ann@X.org".to_owned()])
            .with(field::CLIENT_ID, "6f1b0c9e-0000-4000-8000-000000000001".to_owned())
            .with(field::OIDC_ISSUER, "https://a".to_owned())
            .with(field::OIDC_SUBJECT, "s".to_owned())
    }

    #[test]
    fn a_record_has_only_the_keys_that_may_unite_its_kind() {
        assert_eq!(
            keys(Kind::AccessKey, everything()),
            ["key id AKIAIOSFODNN7EXAMPLE", "fingerprint k1:000102030405060708090a0b0c0d0e0f"]
        );
        let of_identity = [
            "ARN arn:aws:iam::1:user/ann",
            "client id 6f1b0c9e-0000-4000-8000-000000000001",
            "OIDC subject s of https://a",
            "certificate subject CN=ann of CN=ca",
        ];
        assert_eq!(keys(Kind::ServiceAccount, everything()), of_identity);
        assert_eq!(keys(Kind::Application, everything()), of_identity);
        assert_eq!(keys(Kind::User, everything())[..4], of_identity);
        assert_eq!(keys(Kind::User, everything())[4..], ["e-mail ann@x.org"]);
        assert_eq!(keys(Kind::Person, everything()), ["e-mail ann@x.org"]);
        assert!(keys(Kind::Team, everything()).is_empty() && keys(Kind::Policy, everything()).is_empty());
        let machine = everything().with(field::NATURE, "machine".to_owned());
        assert_eq!(keys(Kind::User, machine), of_identity);
    }

    #[test]
    fn half_a_subject_an_empty_value_and_a_name_are_no_keys() {
        let facts = Facts::new()
            .with(field::NAME, "deploy".to_owned())
            .with(field::OIDC_SUBJECT, "s".to_owned())
            .with(field::SUBJECT, "CN=a".to_owned())
            .with(field::ARN, "  ".to_owned())
            .with(field::CLIENT_ID, Reading::NotPermitted);
        assert!(keys(Kind::ServiceAccount, facts).is_empty());
    }

    #[test]
    fn short_ids_are_unique_in_their_realm_only() {
        let facts = |id: &str| Facts::new().with(field::KEY_ID, id.to_owned());
        assert_eq!(keys(Kind::Token, facts("1234")), ["key id 1234 of github:org/1"]);
        assert_eq!(keys(Kind::Token, facts("sha256:00112233")), ["public key sha256:00112233 of github:org/1"]);
        assert_eq!(keys(Kind::Token, facts("SHA256:0011223344556677")), ["public key SHA256:0011223344556677"]);
    }

    #[test]
    fn addresses_are_compared_in_small_letters_and_offices_are_nobody() {
        let table = [
            (" Ann.Smith@X.Org ", Some("ann.smith@x.org")),
            ("ann+aws@x.org", Some("ann+aws@x.org")),
            ("ops@x.org", None),
            ("Support+eu@x.org", None),
            ("noreply@x.org", None),
            ("ann@localhost", None),
            ("ann", None),
            ("@x.org", None),
            ("a@b@x.org", None),
            ("a b@x.org", None),
        ];
        for (text, expected) in table {
            assert_eq!(email(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(email(&format!("{}@x.org", "a".repeat(250))), None);
    }
}
