//! What recognisers hand back: items in places, with what can be said of them and never their values.
//! It must never keep a value longer than it takes to fingerprint it.

use provost_model::{Facts, Kind, Reading, Status, Time, field};

use super::{
    value::{self, Claims},
    x509::Certificate,
};
use crate::fingerprint::FingerprintKey;

/// The word under which every textual secret is fingerprinted, whatever the place calls it: a password in a `.env` and
/// the same text as a token in a client's configuration are one secret.
pub(crate) const TEXT: &str = "secret";
/// The word for secret halves of AWS access keys.
pub(crate) const AWS: &str = "aws_secret_access_key";
/// Most items of one file; a file with more says so.
const PER_FILE: usize = 2_000;

/// One thing found in a file.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What it is.
    pub kind: Kind,
    /// Where in the file: part of its external id, and so stable as long as it stays there.
    pub position: String,
    /// The name people would use.
    pub name: String,
    /// What is special about it; facts about the file are added later.
    pub facts: Facts,
    /// As whom it authenticates.
    pub identity: Option<Of>,
}

/// The identity something belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// The AI agent at that position of the same file.
    Agent(String),
    /// The workload that a certificate names.
    Workload(String),
}

/// A value in a place, as a recogniser describes it.
pub(crate) struct Item<'v> {
    kind: Kind,
    sort: &'static str,
    position: String,
    value: &'v [u8],
    facts: Facts,
    domain: &'static str,
    identity: Option<Of>,
}

/// Collects what is found in one file.
pub(crate) struct Finds<'k> {
    prints: &'k FingerprintKey,
    now: Time,
    found: Vec<Found>,
    overflowed: bool,
}

impl<'v> Item<'v> {
    /// A value at a position; `sort` is the recogniser's word for it.
    pub(crate) fn new(kind: Kind, sort: &'static str, position: impl Into<String>, value: &'v str) -> Self {
        Self::of_bytes(kind, sort, position, value.as_bytes())
    }

    /// A value that need not be text.
    pub(crate) fn of_bytes(kind: Kind, sort: &'static str, position: impl Into<String>, value: &'v [u8]) -> Self {
        Self { kind, sort, position: position.into(), value, facts: Facts::new(), domain: TEXT, identity: None }
    }

    /// What it opens.
    pub(crate) fn service(mut self, service: &str) -> Self {
        if !service.is_empty() {
            self.facts.set(field::SERVICE, address(service));
        }
        self
    }

    /// The account beside it.
    pub(crate) fn username(mut self, username: &str) -> Self {
        if value::literal(username.as_bytes()).is_some() && value::looks(username.as_bytes()).is_none() {
            self.facts.set(field::USERNAME, username.to_owned());
        }
        self
    }

    /// The public half of the credential whose secret half this is.
    pub(crate) fn opens(mut self, key_id: &str) -> Self {
        if value::literal(key_id.as_bytes()).is_some() && key_id.len() <= 256 {
            self.facts.set(field::KEY_ID, key_id.to_owned());
            self.facts.set(field::OPENS, key_id.to_owned());
        }
        self
    }

    /// When it ends, as the file says.
    pub(crate) fn expires(mut self, at: Option<Time>) -> Self {
        if let Some(at) = at {
            self.facts.set(field::EXPIRES_AT, at);
            self.facts.set(field::LONG_LIVED, false);
        }
        self
    }

    /// Whether it works until somebody revokes it.
    pub(crate) fn long_lived(mut self, so: bool) -> Self {
        self.facts.set(field::LONG_LIVED, so);
        self
    }

    /// The secret half of an AWS access key.
    pub(crate) fn aws(mut self) -> Self {
        self.domain = AWS;
        self
    }

    /// As whom it authenticates.
    pub(crate) fn identity(mut self, of: Option<Of>) -> Self {
        self.identity = of;
        self
    }
}

impl<'k> Finds<'k> {
    /// Nothing found yet. `now` decides whether what says when it ends has ended.
    pub(crate) fn new(prints: &'k FingerprintKey, now: Time) -> Self {
        Self { prints, now, found: Vec::new(), overflowed: false }
    }

    /// A slot made for a secret: what is written there is one, or a reference to one.
    pub(crate) fn slot(&mut self, item: Item<'_>) {
        match value::literal(item.value) {
            Some(literal) => self.literal(&item, literal),
            None if item.value.trim_ascii().is_empty() => {}
            None => self.unprinted(item, "a reference or placeholder: the value is elsewhere", false),
        }
    }

    /// A place where anything may stand: counts only if something is written out.
    pub(crate) fn value(&mut self, item: Item<'_>) {
        if let Some(literal) = value::literal(item.value) {
            self.literal(&item, literal);
        }
    }

    /// A secret that stands here encrypted: it is said that it is here, and what it opens.
    pub(crate) fn sealed(&mut self, item: Item<'_>, note: &str) {
        if !item.value.trim_ascii().is_empty() {
            self.unprinted(item, note, false);
        }
    }

    /// A secret that is veiled, but in a way that everybody can undo: as good as written out.
    pub(crate) fn veiled(&mut self, item: Item<'_>, note: &str) {
        if !item.value.trim_ascii().is_empty() {
            self.unprinted(item, note, true);
        }
    }

    /// Something that is described already.
    pub(crate) fn push(&mut self, found: Found) {
        if self.found.len() >= PER_FILE {
            self.overflowed = true;
            return;
        }
        self.found.push(found);
    }

    /// A secret that is kept here in a form that is not opened.
    pub(crate) fn closed(&mut self, sort: &'static str, position: &str, note: &str) {
        let facts = Facts::new()
            .with(field::CREDENTIAL_TYPE, sort.to_owned())
            .with(field::FINGERPRINT, Reading::NotReported)
            .with(field::FINGERPRINT_NOTE, note.to_owned());
        self.push(Found { kind: Kind::Secret, position: position.into(), name: sort.into(), facts, identity: None });
    }

    /// A certificate, and the workload it names if it is made for clients.
    pub(crate) fn certificate(&mut self, position: String, certificate: Certificate) {
        let status = if certificate.not_after < self.now { Status::Expired } else { Status::Unknown };
        let facts = certificate.facts().with(field::STATUS, status).with(field::PLAINTEXT, false);
        let identity = certificate.client.then(|| Of::Workload(certificate.identity()));
        self.push(Found { kind: Kind::Certificate, position, name: certificate.subject, facts, identity });
    }

    /// Fingerprint of a text under the common word; for values that a recogniser describes itself.
    pub(crate) fn print(&self, facts: &mut Facts, domain: &str, value: &[u8]) {
        match self.prints.of(domain, value) {
            Some(print) => facts.set(field::FINGERPRINT, print.to_string()),
            None => {
                facts.set(field::FINGERPRINT, Reading::NotReported);
                facts.set(field::FINGERPRINT_NOTE, "too weak to fingerprint".to_owned());
            }
        }
    }

    /// What was found, with positions made unique; and whether there was more than is kept.
    pub(crate) fn finish(mut self) -> (Vec<Found>, bool) {
        let mut seen = std::collections::HashMap::<(Kind, String), u32>::new();
        for found in &mut self.found {
            let times = seen.entry((found.kind, found.position.clone())).or_default();
            *times += 1;
            if *times > 1 {
                found.position = format!("{}~{times}", found.position);
            }
        }
        (self.found, self.overflowed)
    }

    fn literal(&mut self, item: &Item<'_>, literal: &[u8]) {
        let looks = value::looks(literal);
        let mut facts = item.facts.clone();
        let mut kind = item.kind;
        let mut sort = item.sort;
        if let Some(looks) = looks {
            // The value knows best what it is, unless the place is made for one sort only.
            if item.kind != Kind::AccessKey && item.kind != Kind::ClientSecret {
                kind = looks.kind;
            }
            sort = looks.sort;
            if facts.get(field::SERVICE).known().is_none() && !looks.service.is_empty() {
                facts.set(field::SERVICE, looks.service.to_owned());
            }
            claims(&mut facts, looks.claims);
        }
        facts.set(field::CREDENTIAL_TYPE, sort.to_owned());
        facts.set(field::PLAINTEXT, true);
        self.print(&mut facts, item.domain, literal);
        self.status(&mut facts);
        self.push(Found {
            kind,
            position: item.position.clone(),
            name: item.position.clone(),
            facts,
            identity: item.identity.clone(),
        });
    }

    fn unprinted(&mut self, item: Item<'_>, note: &str, plaintext: bool) {
        let facts = item
            .facts
            .with(field::CREDENTIAL_TYPE, item.sort.to_owned())
            .with(field::PLAINTEXT, plaintext)
            .with(field::FINGERPRINT, Reading::NotReported)
            .with(field::FINGERPRINT_NOTE, note.to_owned());
        let name = item.position.clone();
        self.push(Found { kind: Kind::Secret, position: item.position, name, facts, identity: item.identity });
    }

    fn status(&self, facts: &mut Facts) {
        if let Some(end) = facts.get(field::EXPIRES_AT).known() {
            facts.set(field::STATUS, if end < self.now { Status::Expired } else { Status::Unknown });
        }
    }
}

/// A host name or address without user, query and fragment.
pub(crate) fn address(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(scheme);
        out.push_str("://");
    }
    out.push_str(host);
    for segment in path.into_iter().flat_map(|path| path.split('/')) {
        out.push('/');
        let secret = value::looks(segment.as_bytes()).is_some() || value::seems_random(segment);
        out.push_str(if secret { "…" } else { segment });
    }
    out
}

fn claims(facts: &mut Facts, claims: Claims) {
    let Claims { expires, issued, issuer, subject, id, told } = claims;
    if told {
        let ends = expires.map_or(Reading::Never, Reading::Known);
        facts.set(field::LONG_LIVED, expires.is_none());
        facts.set(field::EXPIRES_AT, ends);
    }
    if let Some(issued) = issued {
        facts.set(field::ISSUED_AT, issued);
    }
    if let Some(issuer) = issuer {
        facts.set(field::ISSUER, issuer);
    }
    if let Some(subject) = subject {
        facts.set(field::SUBJECT, subject);
    }
    if let Some(id) = id {
        facts.set(field::KEY_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_users_queries_and_secret_segments() {
        assert_eq!(address("https://user:pw@host:8443/a/b?token=x#y"), "https://host:8443/a/b");
        assert_eq!(address("user:pw@host"), "host");
        assert_eq!(address("https://h/api/s/Zx81Tq09LmNb72VcRt5Y3kPw/mcp"), "https://h/api/s/…/mcp");
        assert_eq!(address("//registry.npmjs.org/"), "//registry.npmjs.org/");
        assert_eq!(address("a@b@c/d"), "c/d");
    }

    #[test]
    fn one_text_has_one_fingerprint_whatever_the_place_calls_it() {
        let key = FingerprintKey::new("k1", [1; 32]);
        let mut finds = Finds::new(&key, Time::from_seconds(0));
        let value = "Zx81Tq09LmNb72VcRt5Y";
        finds.slot(Item::new(Kind::Password, "password", "A", value));
        finds.value(Item::new(Kind::Token, "token", "A", "\"Zx81Tq09LmNb72VcRt5Y\"\n"));
        finds.slot(Item::new(Kind::Token, "token", "A", "${X}"));
        let (found, _) = finds.finish();
        assert_eq!(found[0].facts.get(field::FINGERPRINT), found[1].facts.get(field::FINGERPRINT));
        assert_eq!(found[2].facts.get(field::PLAINTEXT), Reading::Known(false));
        assert_eq!(found.iter().map(|it| it.position.as_str()).collect::<Vec<_>>(), ["A", "A", "A"]);
        assert!(!format!("{found:?}").contains(value));
    }
}
