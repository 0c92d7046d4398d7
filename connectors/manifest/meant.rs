//! A manifest as meant: every name in it resolved, so that a run has nothing left to look up or to doubt.
//! It must never be made but from a text that was checked as a whole.

use std::collections::BTreeMap;

use provost_model::{Field, Kind, Reading, Value};

use super::{paging::Paging, pointer::Pointer, template::Template, time_form::TimeForm};

/// A manifest: a connector that needs list calls only.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The word in `connector = "…"`, and the provider's part of its realms.
    pub name: String,
    /// The provider's name.
    pub title: String,
    /// One sentence: what it looks at.
    pub about: String,
    /// Grows whenever the same answers would lead to other entities.
    pub version: u32,
    /// The provider's documentation.
    pub documentation: Vec<String>,
    /// What the provider shows nobody, or this manifest leaves out.
    pub blind_spots: Vec<String>,
    /// Where the provider is, if it is at one place for everybody.
    pub base: Option<String>,
    /// SHA-256 of its text, hexadecimal.
    pub digest: String,
    /// Secrets it needs a reference to, with what each is.
    pub slots: BTreeMap<String, String>,
    /// What else has to be said of a source, with what each is.
    pub settings: BTreeMap<String, String>,
    pub(super) ways: Vec<Way>,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) realm: RealmOf,
    pub(super) lists: Vec<List>,
}

/// One way to prove who is looking.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// Secrets in headers of every call: the header, what stands before the secret, the slot.
    Headers(Vec<(String, String, String)>),
    /// User name and password with every call (RFC 7617): the slot holds the password.
    Basic(Template, String),
    /// A token by OAuth 2 (RFC 6749, RFC 7523).
    Token(TokenOf),
    /// An assertion that is presented itself.
    Assertion(Jwt),
    /// A token that is asked for with JSON.
    Login(Login),
}

/// How a token is asked for by OAuth 2.
#[derive(Clone, Debug)]
pub(super) struct TokenOf {
    /// A path at the provider's own origin, or a whole URL.
    pub url: String,
    pub client: Option<Client>,
    pub jwt: Option<Jwt>,
    pub form: Vec<(String, Template)>,
}

/// The client of a grant.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub id: Template,
    /// The slot of its secret.
    pub secret: Option<String>,
    /// Whether the secret goes into the header, not into the form.
    pub in_header: bool,
}

/// How a token is asked for where OAuth is not spoken.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub url: String,
    pub json: Vec<(String, Template)>,
    /// Where the token stands in the answer.
    pub take: Pointer,
}

/// A signed assertion (RFC 7519).
#[derive(Clone, Debug)]
pub(super) struct Jwt {
    /// The slot of the private key.
    pub key: String,
    pub claims: Vec<(String, Template)>,
    pub key_id: Option<Template>,
    /// Whether it is signed on P-256 and not with RSA.
    pub elliptic: bool,
    /// For how long it is valid.
    pub seconds: u32,
    /// Whether every one has an id of its own.
    pub numbered: bool,
    /// Whether it is the grant itself, and does not stand for the client's secret.
    pub grant: bool,
}

/// Where the tenant's id is from.
#[derive(Clone, Debug)]
pub(super) enum RealmOf {
    /// From settings, or the host's name.
    Settings(Template),
    /// From the provider.
    Asked { get: Template, query: Vec<(String, Template)>, at: Pointer },
}

/// One list call, and what is made of its records.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub scope: String,
    pub get: Template,
    pub query: Vec<(String, Template)>,
    pub each: Option<Each>,
    /// The provider's word for the right to ask this.
    pub permission: String,
    pub optional: bool,
    pub why: String,
    pub paging: Paging,
    pub records: Pointer,
    pub id: Pointer,
    /// Whether the ids are unique within their parent only.
    pub scoped: bool,
    /// Whatever stands here, true or not null, says that the answer leaves something out.
    pub cut: Option<Pointer>,
    /// So many records in one answer are the most there can be: something is left out.
    pub cut_at: Option<u32>,
    pub makes: Vec<Make>,
    /// What later lists need of its records; none if nothing.
    pub keep: Option<Vec<Pointer>>,
}

/// One call for each record of an earlier list.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub list: usize,
    /// What fills the hole; the record's id if nothing is said.
    pub at: Option<Pointer>,
}

/// What is made of a record.
#[derive(Clone, Debug)]
pub(super) struct Make {
    pub kind: KindOf,
    pub only_if: Option<Pointer>,
    pub id: Option<Pointer>,
    /// Whether its end comes with its parent's.
    pub within: bool,
    pub identity: Vec<IdentityOf>,
    pub fields: Vec<(Field, Take)>,
    pub constants: Vec<(Field, Reading<Value>)>,
}

/// Of what kind it is.
#[derive(Clone, Debug)]
pub(super) enum KindOf {
    Fixed(Kind),
    /// As the record tells; `None` is left out.
    Told {
        at: Pointer,
        map: BTreeMap<String, Option<Kind>>,
        other: Option<Kind>,
    },
}

/// As whom a credential authenticates.
#[derive(Clone, Debug)]
pub(super) enum IdentityOf {
    /// As the record of that list whose id is there.
    Record(usize, Pointer),
    /// As the record of which the call was made.
    Above,
    /// As what was made first of the same record.
    Itself,
}

/// Where an attribute stands, and how it is read.
#[derive(Clone, Debug)]
pub(super) struct Take {
    pub places: Vec<Place>,
    pub time: TimeForm,
    pub map: BTreeMap<String, String>,
    pub other: Option<String>,
    pub null: Option<Reading<Value>>,
    pub absent: Option<Reading<Value>>,
    pub each: Option<Pointer>,
    /// The value is the id of a record of that list; what stands there in it is meant.
    pub lookup: Option<(usize, Pointer)>,
}

/// A place in a record, or in that of which the call was made.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub above: bool,
    pub at: Pointer,
}

impl Manifest {
    /// Every read it declares, in the form of [`crate::Read`]: the realm's first, then the lists', then the tokens'.
    pub fn reads(&self) -> Vec<String> {
        let mut reads: Vec<String> = Vec::new();
        if let RealmOf::Asked { get, .. } = &self.realm {
            reads.push(read_of(get));
        }
        reads.extend(self.lists.iter().map(|list| read_of(&list.get)));
        let tokens = self.ways.iter().filter_map(|way| way.token_url().map(|url| format!("POST {url}")));
        reads.extend(tokens);
        let mut seen = std::collections::BTreeSet::new();
        reads.retain(|read| seen.insert(read.clone()));
        reads
    }

    /// The scopes of its lists, in order.
    pub fn scopes(&self) -> Vec<&str> {
        self.lists.iter().map(|list| list.scope.as_str()).collect()
    }

    /// Where tokens are asked for: paths at the provider's own address, or whole ones.
    pub fn token_urls(&self) -> Vec<&str> {
        let mut urls: Vec<&str> = self.ways.iter().filter_map(Way::token_url).collect();
        urls.dedup();
        urls
    }

    /// The slots of the first way that needs no token to be asked for: what a mock server is shown.
    pub fn plain_slots(&self) -> Vec<String> {
        let plain = self.ways.iter().find(|way| way.token_url().is_none() && !matches!(way, Way::Assertion(_)));
        plain.or(self.ways.first()).map(|way| way.slots(&self.slots)).unwrap_or_default()
    }

    /// The holes that looking fills, with that way to prove who looks.
    pub(super) fn needs(&self, way: Option<&Way>) -> Vec<String> {
        let mut holes = way.map(Way::holes).unwrap_or_default();
        let mut add = |template: &Template| holes.extend(template.holes().map(str::to_owned));
        match &self.realm {
            RealmOf::Settings(template) => add(template),
            RealmOf::Asked { get, query, .. } => {
                add(get);
                query.iter().for_each(|(_, it)| add(it));
            }
        }
        for list in &self.lists {
            add(&list.get);
            list.query.iter().for_each(|(_, it)| add(it));
        }
        self.headers.iter().for_each(|(_, it)| add(it));
        holes
    }

    /// Kinds of records it can make, in their own order.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let makes = self.lists.iter().flat_map(|list| &list.makes);
        let mut kinds: Vec<Kind> = makes.flat_map(|make| make.kind.all()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

impl Way {
    /// Where it asks for a token, if it does.
    pub(super) fn token_url(&self) -> Option<&str> {
        match self {
            Way::Token(token) => Some(&token.url),
            Way::Login(login) => Some(&login.url),
            Way::Headers(_) | Way::Basic(..) | Way::Assertion(_) => None,
        }
    }

    /// The slots it needs.
    pub(super) fn slots(&self, known: &BTreeMap<String, String>) -> Vec<String> {
        let mut slots: Vec<String> = match self {
            Way::Headers(headers) => headers.iter().map(|(_, _, slot)| slot.clone()).collect(),
            Way::Basic(_, slot) => vec![slot.clone()],
            Way::Token(token) => {
                let secret = token.client.iter().filter_map(|it| it.secret.clone());
                secret.chain(token.jwt.iter().map(|it| it.key.clone())).collect()
            }
            Way::Assertion(jwt) => vec![jwt.key.clone()],
            Way::Login(_) => Vec::new(),
        };
        slots.extend(self.holes().into_iter().filter(|hole| known.contains_key(hole)));
        slots.sort();
        slots.dedup();
        slots
    }

    /// The holes of its templates.
    pub(super) fn holes(&self) -> Vec<String> {
        let values = |named: &[(String, Template)]| named.iter().map(|(_, it)| it.clone()).collect::<Vec<_>>();
        let signed = |jwt: &Jwt| values(&jwt.claims).into_iter().chain(jwt.key_id.clone()).collect::<Vec<_>>();
        let templates: Vec<Template> = match self {
            Way::Headers(_) => Vec::new(),
            Way::Basic(user, _) => vec![user.clone()],
            Way::Token(token) => {
                let client = token.client.iter().map(|it| it.id.clone());
                values(&token.form).into_iter().chain(client).chain(token.jwt.iter().flat_map(signed)).collect()
            }
            Way::Assertion(jwt) => signed(jwt),
            Way::Login(login) => values(&login.json),
        };
        templates.iter().flat_map(|it| it.holes().map(str::to_owned)).collect()
    }
}

impl KindOf {
    /// Every kind it may be.
    pub(super) fn all(&self) -> Vec<Kind> {
        match self {
            KindOf::Fixed(kind) => vec![*kind],
            KindOf::Told { map, other, .. } => map.values().flatten().chain(other).copied().collect(),
        }
    }
}

/// The read of a path.
pub(super) fn read_of(get: &Template) -> String {
    format!("GET {get}")
}
