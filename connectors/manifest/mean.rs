//! From a manifest as typed to one as meant: every reference resolved, everything that makes no sense named with its place.
//! It must never let a slot's secret stand anywhere but where credentials are sent.

use std::{collections::BTreeSet, ops::Range};

use sha2::{Digest as _, Sha256};
use toml::Spanned;
use url::Url;

use super::{
    fault::{Fault, Faults},
    make::{Earlier, make},
    meant::{Client, Each, Jwt, List, Login, Manifest, RealmOf, TokenOf, Way},
    paging::{Paging, Style},
    pointer::Pointer,
    template::Template,
    typed::{Named, Short, Typed, TypedAuth, TypedJwt, TypedList, TypedPage, read},
};

/// Longest name of a manifest or a scope.
const NAME_MAX: usize = 40;
/// Holes that no setting fills: where the source is.
const PLACE: [&str; 2] = ["base", "host"];
/// For how long an assertion is valid unless the manifest says so.
const JWT_SECONDS: u32 = 300;

impl Manifest {
    /// Reads a manifest. Fails with everything that is wrong, in the order of the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let typed = read(text).map_err(|fault| vec![fault])?;
        let mut faults = Faults::new(text);
        let manifest = Meaning::new(&typed, &mut faults).manifest(&typed, text);
        let found = faults.into_found();
        if found.is_empty() { Ok(manifest) } else { Err(found) }
    }
}

/// What is known while a manifest is read.
struct Meaning<'a, 'b> {
    faults: &'a mut Faults<'b>,
    slots: BTreeSet<String>,
    settings: BTreeSet<String>,
    used: BTreeSet<String>,
    /// Lists that came before.
    scopes: BTreeSet<String>,
}

/// Where a template stands, and so what may fill it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Realm,
    /// In an address. Holes may name lists that come before.
    Path,
    /// What is sent to prove who is looking, beside the secret.
    Auth,
    /// What is sent to prove who is looking, with the secret.
    Login,
}

impl<'a, 'b> Meaning<'a, 'b> {
    fn new(typed: &Typed, faults: &'a mut Faults<'b>) -> Self {
        let names = |named: &Named<String>| named.keys().map(|it| it.get_ref().clone()).collect();
        Self {
            faults,
            slots: names(&typed.slots),
            settings: names(&typed.settings),
            used: BTreeSet::new(),
            scopes: BTreeSet::new(),
        }
    }

    fn manifest(mut self, typed: &Typed, text: &str) -> Manifest {
        self.names(typed);
        let ways = typed.auth.get_ref().iter().map(|it| self.way(it)).collect::<Vec<_>>();
        if ways.is_empty() {
            self.faults.note(&typed.auth.span(), "there must be one way to prove who is looking, at least");
        }
        let headers = self.templates(&typed.headers, At::Path);
        let realm = match typed.realm.get_ref() {
            Short::Short(template) => {
                self.holes(template, &typed.realm.span(), At::Realm);
                if template.holes().next().is_none() {
                    self.faults
                        .note(&typed.realm.span(), "every source would have the same realm: name a setting, or {host}");
                }
                RealmOf::Settings(template.clone())
            }
            Short::Table(asked) => {
                self.path(&asked.get, At::Path);
                let query = self.templates(&asked.query, At::Path);
                RealmOf::Asked { get: asked.get.get_ref().clone(), query, at: asked.at.clone() }
            }
        };
        let lists = self.lists(typed);
        for name in typed.slots.keys().chain(typed.settings.keys()) {
            if !self.used.contains(name.get_ref()) {
                self.faults.note(&name.span(), format!("nothing uses {:?}", name.get_ref()));
            }
        }
        let words =
            |named: &Named<String>| named.iter().map(|(name, it)| (name.get_ref().clone(), it.clone())).collect();
        Manifest {
            name: typed.name.get_ref().clone(),
            title: typed.title.clone(),
            about: typed.about.clone(),
            version: typed.version,
            documentation: typed.documentation.clone(),
            blind_spots: typed.blind_spots.clone(),
            base: typed.base.as_ref().map(|it| it.get_ref().trim_end_matches('/').to_owned()),
            digest: hex::encode(Sha256::digest(text.as_bytes())),
            slots: words(&typed.slots),
            settings: words(&typed.settings),
            ways,
            headers,
            realm,
            lists,
        }
    }

    fn names(&mut self, typed: &Typed) {
        if !is_name(typed.name.get_ref()) {
            self.faults.note(&typed.name.span(), "a name is of small letters, digits and -, 40 at most");
        }
        if let Some(base) = &typed.base
            && let Err(said) = is_origin(base.get_ref())
        {
            self.faults.note(&base.span(), said);
        }
        for name in typed.slots.keys().chain(typed.settings.keys()) {
            let word = name.get_ref();
            let sound = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
            let taken = COMMON.contains(&word.as_str()) || PLACE.contains(&word.as_str());
            if word.is_empty() || word.len() > NAME_MAX || !word.chars().all(sound) {
                self.faults.note(&name.span(), "the name of a setting is of small letters, digits and _");
            } else if taken {
                self.faults.note(&name.span(), format!("{word:?} means something else already"));
            } else if typed.slots.contains_key(name) && typed.settings.contains_key(name) {
                self.faults.note(&name.span(), format!("{word:?} is a slot and a setting"));
            }
        }
        if typed.documentation.is_empty() {
            self.faults
                .note(&typed.name.span(), "say where the provider documents this: documentation = [\"https://…\"]");
        }
    }

    /// Notes the holes of a template that nothing may fill there.
    fn holes(&mut self, template: &Template, span: &Range<usize>, at: At) {
        for hole in template.holes() {
            if self.slots.contains(hole) {
                if at == At::Login {
                    self.used.insert(hole.to_owned());
                } else {
                    self.faults.note(span, format!("{{{hole}}} is a secret: it may not stand here"));
                }
            } else if self.settings.contains(hole) {
                self.used.insert(hole.to_owned());
            } else if at == At::Path && self.scopes.contains(hole) {
                // Of each record of that list: `each` sees to it.
            } else if !PLACE.contains(&hole) {
                self.faults.note(span, format!("{{{hole}}} is neither a setting nor a slot of this manifest"));
            }
        }
    }

    fn templates(&mut self, named: &Named<Spanned<Template>>, at: At) -> Vec<(String, Template)> {
        let mut all = Vec::new();
        for (name, template) in named {
            self.holes(template.get_ref(), &template.span(), at);
            all.push((name.get_ref().clone(), template.get_ref().clone()));
        }
        all
    }

    fn path(&mut self, get: &Spanned<Template>, at: At) {
        self.holes(get.get_ref(), &get.span(), at);
        let text = get.get_ref().as_str();
        if !text.starts_with('/') || text.contains(['?', '#']) {
            self.faults.note(&get.span(), "a path begins with /; what follows the ? belongs into query");
        }
    }

    fn way(&mut self, typed: &Spanned<TypedAuth>) -> Way {
        let auth = typed.get_ref();
        let forms = [auth.bearer.is_some(), !auth.headers.is_empty(), auth.basic.is_some(), auth.token.is_some()];
        let proofs = forms.iter().filter(|it| **it).count();
        if proofs > 1 || proofs == 0 && auth.jwt.is_none() {
            self.faults.note(&typed.span(), "a way is one of bearer, headers, basic, token or jwt");
        }
        let extra = !auth.form.is_empty() || !auth.json.is_empty() || auth.id.is_some() || auth.secret.is_some();
        if auth.token.is_none() && extra || !auth.form.is_empty() && !auth.json.is_empty() {
            self.faults
                .note(&typed.span(), "id and secret, and form or json, are sent to get a token: name its address");
        }
        let jwt = auth.jwt.as_ref().map(|it| self.jwt(it));
        if let Some(slot) = &auth.bearer {
            return Way::Headers(vec![("authorization".to_owned(), "Bearer ".to_owned(), self.slot(slot))]);
        }
        if let Some((user, slot)) = &auth.basic {
            self.holes(user.get_ref(), &user.span(), At::Auth);
            return Way::Basic(user.get_ref().clone(), self.slot(slot));
        }
        match (&auth.token, jwt) {
            (Some(url), jwt) if auth.json.is_empty() => Way::Token(self.token(url, auth, jwt)),
            (Some(url), _) => {
                self.token_url(url);
                let take = auth.take.clone().unwrap_or_else(Pointer::root);
                if auth.take.is_none() {
                    self.faults.note(&url.span(), "take is missing: where the token stands in the answer");
                }
                let json = self.templates(&auth.json, At::Login);
                Way::Login(Login { url: url.get_ref().clone(), json, take })
            }
            (None, Some(jwt)) => Way::Assertion(jwt),
            (None, None) => Way::Headers(self.secret_headers(&auth.headers)),
        }
    }

    /// Headers of which each is one slot, with words before it.
    fn secret_headers(&mut self, headers: &Named<Spanned<Template>>) -> Vec<(String, String, String)> {
        let mut all = Vec::new();
        for (name, template) in headers {
            self.holes(template.get_ref(), &template.span(), At::Login);
            let parted = template.get_ref().as_str().strip_suffix('}').and_then(|text| text.split_once('{'));
            match parted {
                Some((before, slot)) if self.slots.contains(slot) => {
                    all.push((name.get_ref().clone(), before.to_owned(), slot.to_owned()));
                }
                _ => self.faults.note(&template.span(), "a header of auth ends with a slot: \"SSWS {token}\""),
            }
        }
        all
    }

    fn slot(&mut self, named: &Spanned<String>) -> String {
        let slot = named.get_ref();
        if self.slots.contains(slot) {
            self.used.insert(slot.clone());
        } else {
            self.faults.note(&named.span(), format!("{slot:?} is no slot of this manifest"));
        }
        slot.clone()
    }

    fn token(&mut self, url: &Spanned<String>, auth: &TypedAuth, jwt: Option<Jwt>) -> TokenOf {
        self.token_url(url);
        let form = self.templates(&auth.form, At::Auth);
        let secret = auth.secret.as_ref().map(|it| self.slot(it));
        let client = auth.id.as_ref().map(|id| {
            self.holes(id.get_ref(), &id.span(), At::Auth);
            Client { id: id.get_ref().clone(), secret: secret.clone(), in_header: auth.in_header }
        });
        if client.is_none() && secret.is_some() || secret.is_none() && jwt.is_none() {
            self.faults.note(&url.span(), "a token is given for id and secret, or for a jwt");
        }
        TokenOf { url: url.get_ref().clone(), client, jwt, form }
    }

    fn token_url(&mut self, url: &Spanned<String>) {
        let text = url.get_ref().as_str();
        let sound = text.starts_with('/') || text.starts_with("https://") && is_origin(text).is_ok();
        if !sound || text.contains(['?', '#', '{']) {
            let said = "a token's address is a path, or begins with https://; it has no holes and no query";
            self.faults.note(&url.span(), said);
        }
    }

    fn jwt(&mut self, typed: &Spanned<TypedJwt>) -> Jwt {
        let jwt = typed.get_ref();
        let algorithm = jwt.algorithm.as_ref().map(|it| (it.get_ref().as_str(), it.span()));
        if let Some((word, span)) = &algorithm
            && !["RS256", "ES256"].contains(word)
        {
            self.faults.note(span, "an algorithm is RS256 or ES256");
        }
        if let Some(key_id) = &jwt.key_id {
            self.holes(key_id.get_ref(), &key_id.span(), At::Auth);
        }
        Jwt {
            key: self.slot(&jwt.key),
            claims: self.templates(&jwt.claims, At::Auth),
            key_id: jwt.key_id.as_ref().map(|it| it.get_ref().clone()),
            elliptic: algorithm.is_some_and(|(word, _)| word == "ES256"),
            seconds: jwt.seconds.unwrap_or(JWT_SECONDS),
            numbered: jwt.numbered,
            grant: jwt.grant,
        }
    }

    fn lists(&mut self, typed: &Typed) -> Vec<List> {
        if typed.lists.is_empty() {
            self.faults.note(&typed.name.span(), "there is nothing to look at: add a [[list]]");
        }
        let mut lists: Vec<List> = Vec::new();
        for list in &typed.lists {
            let meant = self.list(list, typed, &mut lists);
            self.scopes.insert(meant.scope.clone());
            lists.push(meant);
        }
        lists
    }

    fn list(&mut self, typed: &TypedList, usual: &Typed, before: &mut [List]) -> List {
        let scope = typed.scope.get_ref();
        if !is_name(scope) || before.iter().any(|it| it.scope == *scope) {
            self.faults.note(&typed.scope.span(), "a scope has a name of its own, of small letters, digits and -");
        }
        self.path(&typed.get, At::Path);
        let query = self.templates(&typed.query, At::Path);
        let templates: Vec<&Template> = query.iter().map(|(_, it)| it).chain([typed.get.get_ref()]).collect();
        let each = self.each(typed, &templates, before);
        let paging = typed.page.as_ref().or(usual.page.as_ref()).map(|it| self.paging(it));
        let records = typed.records.clone().or_else(|| usual.records.clone());
        let id = typed.id.clone().or_else(|| usual.id.clone());
        if records.is_none() || id.is_none() {
            self.faults.note(
                &typed.scope.span(),
                "records says where the list is in an answer, id where a record's id is: both are needed",
            );
        }
        let makes = typed
            .make
            .iter()
            .map(|it| make(it, each.as_ref(), &mut Earlier { lists: before, faults: self.faults }))
            .collect();
        let mut earlier = Earlier { lists: before, faults: self.faults };
        id.iter().for_each(|id| earlier.no_secret(id, &typed.scope.span()));
        let get = typed.get.get_ref().clone();
        List {
            scope: scope.clone(),
            permission: typed.permission.clone().unwrap_or_else(|| super::meant::read_of(&get)),
            get,
            query,
            each,
            optional: typed.optional,
            why: typed.why.clone().unwrap_or_else(|| scope.replace('-', " ")),
            paging: paging.unwrap_or_else(whole),
            records: records.unwrap_or_else(Pointer::root),
            id: id.unwrap_or_else(Pointer::root),
            scoped: typed.scoped,
            cut: typed.cut.clone(),
            cut_at: typed.cut_at,
            makes,
            keep: None,
        }
    }

    /// The list of whose records a call is made for each: that which a hole names.
    fn each(&mut self, typed: &TypedList, templates: &[&Template], before: &mut [List]) -> Option<Each> {
        let holes: BTreeSet<&str> = templates.iter().flat_map(|it| it.holes()).collect();
        let mut lists = holes.iter().filter_map(|hole| before.iter().position(|it| it.scope == *hole));
        let (list, other) = (lists.next(), lists.next());
        let at = typed.each.as_ref().map(|it| it.get_ref());
        let Some(list) = list else {
            if let Some(each) = &typed.each {
                self.faults.note(&each.span(), "each fills the hole that names a list before this one: there is none");
            }
            return None;
        };
        if other.is_some() || before.get(list).is_some_and(|it| it.each.is_some()) {
            self.faults
                .note(&typed.get.span(), "a call for each record of one list is all there is: one level, no more");
        }
        earlier_keep(before, list, at);
        Some(Each { list, at: at.cloned() })
    }

    fn paging(&mut self, typed: &Spanned<TypedPage>) -> Paging {
        let page = typed.get_ref();
        let mut styles = Vec::new();
        styles.extend(page.whole.then_some(Style::Whole));
        styles.extend(page.link.then_some(Style::Link));
        styles.extend(page.next.clone().map(Style::Next));
        styles.extend(page.number.clone().map(|name| Style::Number(name, page.from.unwrap_or(1))));
        styles.extend(page.offset.clone().map(Style::Offset));
        if let Some(cursor) = &page.cursor {
            match &page.named {
                Some(name) => styles.push(Style::Cursor(cursor.clone(), name.clone())),
                None => self.faults.note(&typed.span(), "as = \"…\" is missing: the query that sends the cursor back"),
            }
        }
        if styles.len() != 1 {
            self.faults.note(&typed.span(), "pages are one of whole, link, next, cursor, number or offset");
        }
        if page.from.is_some() && page.number.is_none() || page.named.is_some() && page.cursor.is_none() {
            self.faults.note(&typed.span(), "from belongs to number, as to cursor");
        }
        if let Some((_, 0)) = page.size {
            self.faults.note(&typed.span(), "a page has one record at least");
        }
        Paging {
            style: styles.into_iter().next().unwrap_or(Style::Whole),
            more: page.more.clone(),
            total: page.total.clone(),
            size: page.size.clone(),
            absent_ends: page.absent_ends,
        }
    }
}

/// Settings that every source of a manifest has, and so no manifest may name otherwise.
pub(super) const COMMON: [&str; 5] = ["base_url", "pace", "sweep_every", "max_calls", "in_flight"];

/// A later list needs that of an earlier one's records; their ids, if no pointer is named.
pub(super) fn earlier_keep(lists: &mut [List], list: usize, at: Option<&Pointer>) {
    if let Some(list) = lists.get_mut(list) {
        let keep = list.keep.get_or_insert_default();
        if let Some(at) = at.filter(|at| !keep.contains(at)) {
            keep.push(at.clone());
        }
    }
}

/// The shipped form of every listing that is not said to go on.
fn whole() -> Paging {
    Paging { style: Style::Whole, more: None, total: None, size: None, absent_ends: false }
}

fn is_name(word: &str) -> bool {
    let sound = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    !word.is_empty()
        && word.len() <= NAME_MAX
        && word.chars().all(sound)
        && word.starts_with(|it: char| it.is_ascii_lowercase())
}

/// Whether that address is this machine.
pub(super) fn is_here(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Whether a text is an address to which calls may go: https, or this machine.
pub(super) fn is_origin(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "this is no address; it should be like https://api.example.org")?;
    let sound = url.scheme() == "https" || url.scheme() == "http" && is_here(&url);
    if !sound
        || !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(
            "an address begins with https:// (http:// on this machine only) and has no user, query or fragment",
        );
    }
    Ok(url)
}
