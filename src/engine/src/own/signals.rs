//! What a record says about its owner: every piece of evidence, with whom it names and where that was found.
//! It must never take a directory owner for evidence: whoever may add credentials answers for nothing by that.

use std::collections::BTreeMap;

use provost_model::{Attr, Kind, Noun, OwnerWord, Record, ScopeNo, Signal, Time, field};

use super::{Attribution, names, roster::Who};

/// One piece of evidence before it is weighed.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub signal: Signal,
    /// Where it was found.
    pub source: String,
    /// Whom it names, as found.
    pub names: String,
    /// Who that is.
    pub who: Option<Who>,
    pub as_of: Option<Time>,
    /// Whether it says less as it gets older.
    pub ages: bool,
    /// Among how many the evidence is shared.
    pub shared: usize,
    /// Of equally strong ones, the lower comes first.
    pub order: usize,
}

/// Tags that name who made a thing, as tools write them.
const CREATOR_TAGS: [&str; 3] = ["created_by", "createdby", "creator"];
/// The tag in which tools that mark infrastructure code write who changed it last, and when.
const AUTHOR_TAG: &str = "git_last_modified_by";
const AUTHORED_TAG: &str = "git_last_modified_at";
/// The first uid of ordinary users on Linux (`UID_MIN` of login.defs), and that of `nobody`.
const UID_MIN: i64 = 1000;
const NOBODY: i64 = 65534;
/// What is inherited from the identity comes after what a record says itself.
const INHERITED: usize = 1000;
/// Most parts of a name that are taken together.
const PARTS_MAX: usize = 4;
/// Most people one list names.
const LIST_MAX: usize = 50;

/// Collects evidence.
pub(super) struct Collector<'a> {
    by: &'a Attribution<'a>,
    found: Vec<Found>,
    inherited: bool,
}

impl<'a> Collector<'a> {
    pub(super) fn new(by: &'a Attribution<'a>) -> Self {
        Self { by, found: Vec::new(), inherited: false }
    }

    /// Takes in what a record says, and what a human being said about it.
    pub(super) fn record(&mut self, record: &Record, word: Option<&OwnerWord>, inherited: bool) {
        self.inherited = inherited;
        self.word(word);
        self.account(record);
        self.tags(record);
        self.address(record);
        self.catalogue(record);
        self.attributes(record);
        self.file(record);
        self.naming(record);
    }

    pub(super) fn into_found(self) -> Vec<Found> {
        self.found
    }

    fn add(&mut self, record: &Record, signal: Signal, source: &str, names: &str) -> Option<&mut Found> {
        let names = names.trim();
        let machine = !signal.declares() && signal != Signal::SystemFile && names::is_machine(names);
        if machine || !names::names_somebody(names) {
            return None;
        }
        let who = self.by.roster.resolve(names, Some(&record.realm));
        self.put(signal, source, (names.to_owned(), who))
    }

    fn put(&mut self, signal: Signal, source: &str, (names, who): (String, Option<Who>)) -> Option<&mut Found> {
        let (source, order) = match self.inherited {
            true => (format!("{source} of its identity"), INHERITED),
            false => (source.to_owned(), 0),
        };
        self.found.push(Found { signal, source, names, who, as_of: None, ages: true, shared: 1, order });
        self.found.last_mut()
    }

    fn word(&mut self, word: Option<&OwnerWord>) {
        let Some((owner, word)) = word.and_then(|word| Some((word.owner.as_ref()?, word))) else { return };
        let who = self.by.roster.resolve(owner, None);
        let source = format!("confirmed by {}", word.by);
        if let Some(found) = self.put(Signal::Confirmation, &source, (owner.clone(), who)) {
            found.as_of = Some(word.at);
        }
    }

    /// A person's own account, by the logins of the people file.
    fn account(&mut self, record: &Record) {
        if record.kind != Kind::User || !self.by.roster.knows_names() {
            return;
        }
        let name = record.get(field::NAME).known();
        let addresses = if is_machine(record) { None } else { record.get(field::EMAILS).known() }.unwrap_or_default();
        let names = record.externals.iter().chain(&name).chain(&addresses);
        let own = names.into_iter().find_map(|it| Some((it.clone(), self.by.roster.account(it, &record.realm)?)));
        if let Some((name, who)) = own {
            self.put(Signal::Account, "the person's own login", (name, Some(who)));
        }
    }

    fn tags(&mut self, record: &Record) {
        let Some((tags, scope)) = spoken(record, field::TAGS) else { return };
        for (at, wanted) in self.by.tags_of(scope).iter().enumerate() {
            let Some((name, value)) = tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)) else { continue };
            let signal = match wanted.to_lowercase().as_str() {
                "owner" => Signal::Tag,
                "team" => Signal::TeamTag,
                _ => Signal::ContactTag,
            };
            for one in self.parts(record, value) {
                if let Some(found) = self.add(record, signal, &format!("tag {name}"), &one) {
                    found.order += at;
                }
            }
        }
        let called = |name: &str, wanted: &str| name.replace(['-', ':', ' '], "_").eq_ignore_ascii_case(wanted);
        let created = record.get(field::CREATED_AT).known();
        for (name, value) in tags.iter().filter(|(name, _)| CREATOR_TAGS.iter().any(|it| called(name, it))) {
            if let Some(found) = self.add(record, Signal::Creator, &format!("tag {name}"), value) {
                found.as_of = created;
            }
        }
        if let Some((name, value)) = tags.iter().find(|(name, _)| called(name, AUTHOR_TAG)) {
            let when = tags.iter().find(|(name, _)| called(name, AUTHORED_TAG)).and_then(|(_, text)| instant(text));
            if let Some(found) = self.add(record, Signal::Author, &format!("tag {name}"), value) {
                found.as_of = when;
            }
        }
    }

    /// The address a machine's account carries is that of whoever looks after it.
    fn address(&mut self, record: &Record) {
        if record.kind.noun() == Noun::Person || (record.kind == Kind::User && !is_machine(record)) {
            return;
        }
        for address in record.get(field::EMAILS).known().unwrap_or_default().iter().take(LIST_MAX) {
            self.add(record, Signal::ContactTag, field::EMAILS.field().name(), address);
        }
    }

    /// A value that names several, if every part of it is known; otherwise the value as it is.
    fn parts(&self, record: &Record, value: &str) -> Vec<String> {
        let known = |part: &str| self.by.roster.resolve(part, Some(&record.realm)).is_some();
        if !known(value) {
            let parts: Vec<&str> =
                value.split([',', ';', ' ', '/', '|']).map(str::trim).filter(|part| !part.is_empty()).collect();
            if parts.len() > 1 && parts.iter().all(|part| known(part)) {
                return parts.into_iter().map(str::to_owned).collect();
            }
        }
        vec![value.to_owned()]
    }

    fn catalogue(&mut self, record: &Record) {
        let by = self.by;
        for (at, entry) in by.roster.catalogue.of_record(record).into_iter().enumerate() {
            let why = [("name", &entry.name), ("tag", &entry.tag), ("id", &entry.id)];
            let why = why.into_iter().find_map(|(what, it)| Some(format!("catalogue: {what} {}", it.as_ref()?)));
            let who = by.roster.resolve(&entry.owner, None);
            if let Some(found) = self.put(Signal::Catalogue, &why.unwrap_or_default(), (entry.owner.clone(), who)) {
                found.order += at;
            }
        }
    }

    fn attributes(&mut self, record: &Record) {
        let created = record.get(field::CREATED_AT).known();
        let authored = record.get(field::AUTHORED_AT).known();
        self.list(record, (Signal::AppOwner, field::APP_OWNER), None);
        self.list(record, (Signal::Author, field::CODEOWNERS), None);
        self.list(record, (Signal::Author, field::AUTHORS), authored);
        self.one(record, (Signal::Creator, field::CREATED_BY), created);
        self.list(record, (Signal::RepoAdmin, field::REPO_ADMINS), None);
        self.one(record, (Signal::LastUser, field::LAST_HUMAN_USER), record.get(field::LAST_HUMAN_USE_AT).known());
    }

    fn one(&mut self, record: &Record, (signal, attr): (Signal, Attr<String>), as_of: Option<Time>) {
        let Some(name) = record.get(attr).known() else { return };
        if let Some(found) = self.add(record, signal, attr.field().name(), &name) {
            found.as_of = as_of;
        }
    }

    /// People in a list share what it says, unless it states who answers.
    fn list(&mut self, record: &Record, (signal, attr): (Signal, Attr<Vec<String>>), as_of: Option<Time>) {
        let Some(mut all) = record.get(attr).known() else { return };
        all.retain(|name| signal.declares() || !names::is_machine(name));
        all.sort();
        all.dedup();
        let shared = if signal.declares() { 1 } else { all.len().max(1) };
        // CODEOWNERS is in force as long as it stands.
        let ages = attr.field() != field::CODEOWNERS.field();
        for name in all.iter().take(LIST_MAX) {
            if let Some(found) = self.add(record, signal, attr.field().name(), name) {
                (found.shared, found.as_of, found.ages) = (shared, as_of, ages);
            }
        }
    }

    fn file(&mut self, record: &Record) {
        let uid = record.get(field::FILE_OWNER_UID).known();
        let name = record.get(field::FILE_OWNER).known().filter(|name| !name.is_empty());
        let Some(name) = name.or_else(|| uid.map(|uid| format!("uid {uid}"))) else { return };
        let ordinary = uid.is_some_and(|uid| uid >= UID_MIN && uid != NOBODY);
        let signal = if ordinary { Signal::FileOwner } else { Signal::SystemFile };
        self.add(record, signal, "file owner", &name);
    }

    /// The longest part of its name or path that is somebody's.
    fn naming(&mut self, record: &Record) {
        if !self.by.roster.knows_names() {
            return;
        }
        let texts = [("name", record.get(field::NAME).known()), ("path", record.get(field::PATH).known())];
        for (source, text) in texts {
            let Some(text) = text else { continue };
            let slug = names::slug(&text);
            let parts: Vec<&str> = slug.split('-').collect();
            let mut best: Vec<(String, Who)> = Vec::new();
            for length in (1..=PARTS_MAX.min(parts.len())).rev() {
                for part in parts.windows(length).map(|part| part.join("-")) {
                    if let Some(who) = self.by.roster.in_name(&part)
                        && !best.iter().any(|(_, it)| *it == who)
                    {
                        best.push((part, who));
                    }
                }
                if !best.is_empty() {
                    break;
                }
            }
            let shared = best.len().max(1);
            for (part, who) in best {
                if let Some(found) = self.put(Signal::Naming, source, (part, Some(who))) {
                    found.shared = shared;
                }
            }
        }
    }
}

fn is_machine(record: &Record) -> bool {
    record.get(field::NATURE).known().as_deref() == Some("machine")
}

/// What is known of an attribute, and which scope says it.
fn spoken(record: &Record, attr: Attr<BTreeMap<String, String>>) -> Option<(&BTreeMap<String, String>, ScopeNo)> {
    let (_, said) = record.said(attr.field())?;
    Some((record.pairs(attr).known()?, said.scope))
}

/// `2026-11-24 12:00:00` or any RFC 3339 instant.
fn instant(text: &str) -> Option<Time> {
    let text = text.trim();
    text.parse().ok().or_else(|| format!("{}Z", text.replacen(' ', "T", 1)).parse().ok())
}
