//! A manifest as meant: its calls, where things stand in the answers, and everything that is wrong with it at once.
//! It must never let a call be made that does not say which ticket it is about, nor a secret be written into a manifest.

use provost_client::{Ask, Body, End, Paging};
use provost_model::Severity;
use serde_json::Value;

use super::{
    template::{Document, Fillings, Text, is_name},
    typed::{Named, Typed, TypedAuth, TypedPage, TypedTest},
};
use crate::Dialect;

/// Methods of what looks, and of what changes something.
const READS: &[&str] = &["GET"];
const ACTS: &[&str] = &["POST", "PUT", "PATCH"];
/// What fills holes in each call, beside the manifest's own settings.
const OF_CREATE: &[&str] = &["title", "text", "mark", "severity"];
const OF_COMMENT: &[&str] = &["key", "text", "mark", "severity"];
const OF_TICKET: &[&str] = &["key"];
const OF_COMMENTS: &[&str] = &["key", "mark", "since"];
const OF_LIST: &[&str] = &["mark", "since"];
const OF_URL: &[&str] = &["base", "key"];
/// Every name that is filled by us.
const OURS: [&str; 7] = ["title", "text", "mark", "severity", "key", "since", "base"];
/// Parts of the names of headers and of a query that prove who calls.
const PROOFS: [&str; 6] = ["auth", "cookie", "token", "secret", "passw", "api-key"];
/// Signs of a path beside letters and digits.
const PLAIN: &str = "-._~:@!$&'()*+,;=";

/// A manifest.
pub(super) struct Manifest {
    /// What people call the tracker.
    pub title: String,
    pub origin: Option<String>,
    pub markup: Markup,
    pub headers: Vec<(String, String)>,
    pub auth: Auth,
    /// What has to be set, with what it is.
    pub settings: Named,
    /// What each severity is called there.
    pub severity: Named,
    /// Where people find a ticket.
    pub url: Text,
    pub create: Call,
    /// Where the key of a new ticket is in the answer.
    pub key: String,
    pub comment: Call,
    pub close: Call,
    pub reopen: Call,
    pub read: Read,
    pub comments: List,
    /// The list of tickets, where each one's key is, and whether it shows at once what was made.
    pub list: Option<(List, String, bool)>,
    pub check: (Call, Option<String>),
}

/// How a tracker shows texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    /// As they are.
    Plain,
    Markdown,
    Html,
    /// In a language of its own.
    Other,
}

/// How calls prove who makes them, by the names of slots.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Auth {
    Bearer(String),
    /// Who it is, and the slot of the password.
    Basic(Text, String),
    /// Headers, each with what stands before the secret, and its slot.
    Headers(Vec<(String, String, String)>),
}

/// One call.
#[derive(Default)]
pub(super) struct Call {
    /// As it is declared: `PUT /issues/{key}.json`.
    pub declared: String,
    path: Text,
    query: Vec<(String, Text)>,
    body: Option<Document>,
}

/// What shows a ticket.
pub(super) struct Read {
    pub call: Call,
    pub closed: Test,
    pub gone: Option<Test>,
    pub status: Option<String>,
    pub assignee: Option<String>,
    pub comments: Option<String>,
}

/// Whether what stands at a place counts.
pub(super) struct Test {
    pub at: String,
    /// The words that count; none where anything does.
    words: Vec<String>,
}

/// A list of records, and where each has the text that may have a mark.
pub(super) struct List {
    pub call: Call,
    pub paging: Paging,
    pub records: String,
    pub text: String,
}

impl Call {
    /// The call with its holes filled.
    pub(super) fn ask(&self, with: &Fillings) -> Result<Ask, String> {
        let values: Vec<String> = self.path.holes().filter_map(|name| with.get(name).cloned()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let body = self.body.as_ref().map(|it| it.fill(with)).transpose()?.map(Body::Json);
        let mut ask = Ask::act(self.declared.clone(), &values, body);
        for (name, value) in &self.query {
            ask = ask.query(name.clone(), value.fill(with)?);
        }
        Ok(ask)
    }

    fn has(&self, names: &[&str]) -> bool {
        let of_query = self.query.iter().flat_map(|(_, text)| text.holes());
        let of_body = self.body.iter().flat_map(Document::holes);
        self.path.holes().chain(of_query).chain(of_body).any(|hole| names.contains(&hole))
    }
}

impl Test {
    /// Whether it counts; `None` where the answer has no such place.
    pub(super) fn met(&self, answer: &Value) -> Option<bool> {
        let found = answer.pointer(&self.at)?;
        Some(match self.words.as_slice() {
            [] => !found.is_null(),
            words => words.contains(&super::scalar(found).unwrap_or_default()),
        })
    }
}

impl Markup {
    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::Plain | Self::Other => Dialect::Plain,
            Self::Markdown => Dialect::Markdown,
            Self::Html => Dialect::Html,
        }
    }
}

impl Manifest {
    /// Every slot that the settings have to bind.
    pub(super) fn slots(&self) -> Vec<&str> {
        match &self.auth {
            Auth::Bearer(slot) | Auth::Basic(_, slot) => vec![slot],
            Auth::Headers(all) => all.iter().map(|(_, _, slot)| slot.as_str()).collect(),
        }
    }

    /// What is sent to look, and what is sent to change something, as declared.
    pub(super) fn calls(&self) -> (Vec<String>, Vec<String>) {
        let list = self.list.as_ref().map(|(list, ..)| &list.call);
        let reads = [&self.read.call, &self.comments.call, &self.check.0].into_iter().chain(list);
        let acts = [&self.create, &self.comment, &self.close, &self.reopen].into_iter();
        (reads.map(|it| it.declared.clone()).collect(), acts.map(|it| it.declared.clone()).collect())
    }
}

/// What a manifest means, or everything that is wrong with it, each with its place.
pub(super) fn mean(typed: Typed) -> Result<Manifest, String> {
    let mut look = Look { settings: typed.settings.keys().cloned().collect(), faults: Vec::new() };
    look.head(&typed);
    let markup = look.markup(typed.markup.as_deref());
    let auth = look.auth(&typed.auth);
    let url = look.text("url", &typed.url, OF_URL);
    look.about("url", url.holes().any(|it| it == "key"), "key");
    let create = look.call("create", (&typed.create.call, &typed.create.query, typed.create.body), (ACTS, OF_CREATE));
    look.about("create", create.has(&["text", "mark"]), "text");
    let comment =
        look.call("comment", (&typed.comment.call, &typed.comment.query, typed.comment.body), (ACTS, OF_COMMENT));
    look.about("comment", comment.has(&["text", "mark"]), "text");
    let close = look.call("close", (&typed.close.call, &typed.close.query, typed.close.body), (ACTS, OF_TICKET));
    let reopen = look.call("reopen", (&typed.reopen.call, &typed.reopen.query, typed.reopen.body), (ACTS, OF_TICKET));
    let read = Read {
        call: look.call("read", (&typed.read.call, &typed.read.query, None), (READS, OF_TICKET)),
        closed: look.test("read.closed", typed.read.closed),
        gone: typed.read.gone.map(|it| look.test("read.gone", it)),
        status: look.maybe("read.status", typed.read.status),
        assignee: look.maybe("read.assignee", typed.read.assignee),
        comments: look.maybe("read.comments", typed.read.comments),
    };
    let said = typed.comments;
    let comments = List {
        call: look.list_call("comments", (&said.call, said.query), (&said.page, OF_COMMENTS)),
        paging: look.paging("comments.page", &said.page),
        records: look.maybe("comments.records", said.records).unwrap_or_default(),
        text: look.place("comments.text", said.text),
    };
    for (place, call) in [
        ("comment", &comment),
        ("close", &close),
        ("reopen", &reopen),
        ("read", &read.call),
        ("comments", &comments.call),
    ] {
        look.about(place, call.has(&["key"]), "key");
    }
    let list = typed.list.map(|said| {
        let list = List {
            call: look.list_call("list", (&said.call, said.query), (&said.page, OF_LIST)),
            paging: look.paging("list.page", &said.page),
            records: look.maybe("list.records", said.records).unwrap_or_default(),
            text: look.place("list.mark", said.mark),
        };
        (list, look.place("list.key", said.key), said.consistent)
    });
    let check = look.call("check", (&typed.check.call, &typed.check.query, None), (READS, &[]));
    let check = (check, look.maybe("check.who", typed.check.who));
    let key = look.place("create.key", typed.create.key);
    if !look.faults.is_empty() {
        return Err(look.faults.join("; "));
    }
    let Typed { title, origin, headers, settings, severity, .. } = typed;
    let headers = headers.into_iter().collect();
    Ok(Manifest {
        title,
        origin,
        markup,
        headers,
        auth,
        settings,
        severity,
        url,
        create,
        key,
        comment,
        close,
        reopen,
        read,
        comments,
        list,
        check,
    })
}

/// A look through a manifest.
struct Look {
    /// The names of its own settings.
    settings: Vec<String>,
    faults: Vec<String>,
}

impl Look {
    fn note(&mut self, place: &str, said: &str) {
        self.faults.push(format!("{place}: {said}"));
    }

    /// What is said of the tracker as a whole.
    fn head(&mut self, typed: &Typed) {
        if typed.title.trim().is_empty() || typed.title.len() > 80 || typed.title.contains(char::is_control) {
            self.note("title", "expected what people call the tracker, in one line");
        }
        if !typed.documentation.iter().all(|it| it.starts_with("https://")) {
            self.note("documentation", "expected addresses that begin with https://");
        }
        for name in typed.headers.keys().filter(|name| proves(name)) {
            self.note(&format!("headers.{name}"), "it proves who calls: that is for auth, with a slot for the secret");
        }
        for name in typed.settings.keys() {
            if !is_name(name) || OURS.contains(&name.as_str()) {
                self.note(
                    "settings",
                    "a setting's name is of small letters, digits and _, and none that is filled here",
                );
            }
        }
        if !typed.severity.is_empty() {
            let known = Severity::ALL.map(Severity::word);
            if typed.severity.len() != known.len() || !known.iter().all(|word| typed.severity.contains_key(*word)) {
                self.note("severity", &format!("expected all of {}, or nothing", known.join(", ")));
            }
        }
    }

    fn markup(&mut self, word: Option<&str>) -> Markup {
        match word {
            None | Some("other") => Markup::Other,
            Some("plain") => Markup::Plain,
            Some("markdown") => Markup::Markdown,
            Some("html") => Markup::Html,
            Some(_) => {
                self.note("markup", "expected plain, markdown, html or other");
                Markup::Other
            }
        }
    }

    fn auth(&mut self, typed: &TypedAuth) -> Auth {
        match (&typed.bearer, &typed.basic, typed.header.is_empty()) {
            (Some(slot), None, true) => Auth::Bearer(self.slot("auth.bearer", slot)),
            (None, Some((user, slot)), true) => {
                Auth::Basic(self.text("auth.basic", user, &[]), self.slot("auth.basic", slot))
            }
            (None, None, false) => {
                let mut all = Vec::new();
                for (name, text) in &typed.header {
                    let place = format!("auth.header.{name}");
                    let text = Text::parse(text).unwrap_or_default();
                    match text.as_prefix() {
                        Some((before, slot)) => all.push((name.clone(), before.to_owned(), slot.to_owned())),
                        None => self.note(&place, "expected a slot in braces, with at most a word before it"),
                    }
                }
                Auth::Headers(all)
            }
            _ => {
                self.note("auth", "expected one of bearer, basic and header");
                Auth::Headers(Vec::new())
            }
        }
    }

    /// The name of a slot. What is none may be the secret itself.
    fn slot(&mut self, place: &str, name: &str) -> String {
        if !is_name(name) {
            self.note(place, "expected the name of a slot: what it stands for is bound in the configuration");
        }
        name.to_owned()
    }

    fn text(&mut self, place: &str, text: &str, names: &[&str]) -> Text {
        match Text::parse(text) {
            Ok(text) => {
                self.known(place, text.holes(), names);
                text
            }
            Err(said) => {
                self.note(place, said);
                Text::default()
            }
        }
    }

    /// Notes holes that nothing fills.
    fn known<'a>(&mut self, place: &str, holes: impl Iterator<Item = &'a str>, names: &[&str]) {
        let known: Vec<&str> = names.iter().copied().chain(self.settings.iter().map(String::as_str)).collect();
        let strange: Vec<&str> = holes.filter(|hole| !known.contains(hole)).collect();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        for hole in strange {
            self.note(place, &format!("nothing fills {{{hole}}} here; filled are {known}"));
        }
    }

    /// Notes a call that does not say what it is about.
    fn about(&mut self, place: &str, says: bool, hole: &str) {
        if !says {
            self.note(place, &format!("{{{hole}}} stands nowhere in it"));
        }
    }

    fn list_call(
        &mut self,
        place: &str,
        (call, mut query): (&str, Named),
        (page, names): (&TypedPage, &[&str]),
    ) -> Call {
        if let Some((name, size)) = &page.size {
            query.insert(name.clone(), size.to_string());
        }
        self.call(place, (call, &query, None), (READS, names))
    }

    fn call(
        &mut self,
        place: &str,
        (call, query, body): (&str, &Named, Option<toml::Table>),
        (methods, names): (&[&str], &[&str]),
    ) -> Call {
        let at = |part: &str| format!("{place}.{part}");
        let (method, path) = call.split_once(' ').unwrap_or_default();
        if !methods.contains(&method) {
            self.note(&at("call"), &format!("expected {} and a path", methods.join(", ")));
        }
        if let Err(said) = sound(path) {
            self.note(&at("call"), said);
        }
        let path = self.text(&at("call"), path, names);
        let mut filled = Vec::new();
        for (name, text) in query {
            if proves(name) {
                self.note(&at("query"), "what proves who calls does not belong into an address");
            }
            filled.push((name.clone(), self.text(&at(&format!("query.{name}")), text, names)));
        }
        let body = body.and_then(|body| match Document::parse(&at("body"), &toml::Value::Table(body)) {
            Ok(body) => {
                self.known(&at("body"), body.holes().into_iter(), names);
                Some(body)
            }
            Err(said) => {
                self.faults.push(said);
                None
            }
        });
        Call { declared: call.to_owned(), path, query: filled, body }
    }

    fn test(&mut self, place: &str, typed: TypedTest) -> Test {
        if typed.there != typed.words.is_empty() {
            self.note(place, "expected the words that count, or there = true, and not both");
        }
        Test { at: self.place(place, typed.at), words: typed.words }
    }

    /// A place in an answer.
    fn place(&mut self, place: &str, pointer: String) -> String {
        if !pointer.starts_with('/') {
            self.note(place, "expected a JSON Pointer, which begins with a slash");
        }
        pointer
    }

    fn maybe(&mut self, place: &str, pointer: Option<String>) -> Option<String> {
        pointer.map(|it| self.place(place, it))
    }

    fn paging(&mut self, place: &str, typed: &TypedPage) -> Paging {
        let end = match (&typed.total, &typed.more) {
            (None, None) => End::Empty,
            (Some(total), None) => End::Total(self.place(place, total.clone())),
            (None, Some(more)) => End::More(self.place(place, more.clone())),
            (Some(_), Some(_)) => {
                self.note(place, "expected total or more, and not both");
                End::Empty
            }
        };
        match (typed.whole, &typed.number, &typed.offset) {
            (true, None, None) if end == End::Empty && typed.from.is_none() => Paging::Whole,
            (false, Some(name), None) => {
                Paging::Number { parameter: name.clone(), first: typed.from.unwrap_or(1).into(), end }
            }
            (false, None, Some(name)) if typed.from.is_none() => Paging::Offset { parameter: name.clone(), end },
            _ => {
                self.note(place, "expected whole = true, or number with from, or offset");
                Paging::Whole
            }
        }
    }
}

/// Whether something of that name proves who calls.
fn proves(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    PROOFS.iter().any(|it| name.contains(it)) || name == "key" || name == "apikey"
}

/// Whether a path with holes is one.
fn sound(path: &str) -> Result<(), &'static str> {
    let path = path.strip_prefix('/').ok_or("its path begins with a slash; what stands before it is the origin's")?;
    for segment in path.split('/') {
        let (before, behind) = segment.split_once('{').unwrap_or((segment, ""));
        let after = behind.split_once('}').map_or("", |(_, after)| after);
        let plain = |text: &str| text.chars().all(|it| it.is_ascii_alphanumeric() || PLAIN.contains(it));
        if segment.is_empty() || matches!(segment, "." | "..") || !plain(before) || !plain(after) {
            return Err(
                "each part of its path is of letters, digits and a few signs, with one hole; a query is told apart",
            );
        }
    }
    if path.ends_with("graphql") {
        return Err("GraphQL is not spoken here");
    }
    Ok(())
}
