//! What a manifest makes of its records, as meant: kinds, identities, attributes.
//! It must never let a manifest say nothing where silence would pass for an answer, nor name a secret as an attribute.

use std::{collections::BTreeMap, ops::Range};

use provost_model::{Field, Kind, Noun, Reading, Status, Value, field, field::Shape};
use toml::Spanned;

use super::{
    fault::Faults,
    mean::earlier_keep,
    meant::{Each, IdentityOf, KindOf, List, Make, Place, Take},
    pointer::Pointer,
    time_form::TimeForm,
    typed::{Constant, OneOrMore, Short, TypedField, TypedIdentity, TypedKind, TypedMake},
};

/// What a kind's map says of records that are left out.
const SKIP: &str = "skip";
/// Members that hold a secret by their name. Nothing of an inventory is read from there.
const SECRETS: [&str; 14] = [
    "secret",
    "client_secret",
    "clientSecret",
    "password",
    "auth_token",
    "authToken",
    "access_token",
    "accessToken",
    "refresh_token",
    "refreshToken",
    "private_key",
    "privateKey",
    "signing_secret",
    "token",
];

/// The lists before the one that is read, and where to note what is wrong.
pub(super) struct Earlier<'a, 'b> {
    pub lists: &'a mut [List],
    pub faults: &'a mut Faults<'b>,
}

/// What is made of a list's records.
pub(super) fn make(typed: &TypedMake, each: Option<&Each>, earlier: &mut Earlier<'_, '_>) -> Make {
    let kind = kind(&typed.kind, earlier);
    if typed.within && each.is_none_or(|each| earlier.lists.get(each.list).is_none_or(|it| it.makes.is_empty())) {
        earlier.faults.note(&typed.kind.span(), "within: nothing is made of a list above");
    }
    if let Some(id) = &typed.id {
        earlier.no_secret(id, &typed.kind.span());
    }
    let identity = typed.identity.iter().filter_map(|it| earlier.identity(it, each)).collect();
    let mut fields = Vec::new();
    let mut constants = Vec::new();
    for (name, it) in &typed.fields {
        let Some(field) = earlier.attribute(name) else { continue };
        let take = match it.get_ref() {
            Short::Short(places) => Some(simple(places)),
            Short::Table(table) => earlier.take(field, table, (&it.span(), each)),
        };
        for place in take.iter().flat_map(|it| &it.places) {
            earlier.no_secret(&place.at, &it.span());
        }
        fields.extend(take.map(|take| (field, take)));
    }
    for (name, it) in &typed.always {
        let Some(field) = earlier.attribute(name) else { continue };
        match constant(field, it.get_ref()) {
            Some(value) => constants.push((field, Reading::Known(value))),
            None => earlier.faults.note(&it.span(), format!("{} is not of that type", field.name())),
        }
    }
    for (names, reading) in [(&typed.not_reported, Reading::NotReported), (&typed.never, Reading::Never)] {
        for name in names {
            if let Some(field) = earlier.attribute(name) {
                constants.push((field, reading.clone()));
            }
        }
    }
    let said = fields.iter().map(|(field, _)| *field).chain(constants.iter().map(|(field, _)| *field));
    let mut said: Vec<Field> = said.collect();
    said.sort();
    for pair in said.windows(2) {
        if let [first, second] = pair
            && first == second
        {
            earlier.faults.note(&typed.kind.span(), format!("{} is said twice", first.name()));
        }
    }
    let silent = |attr: &Field| !said.contains(attr);
    if kind.all().iter().any(|kind| kind.noun() == Noun::Credential) {
        let asked = [field::CREATED_AT.field(), field::LAST_USED_AT.field(), field::EXPIRES_AT.field()];
        for attr in asked.into_iter().filter(silent) {
            let said = format!("nothing is said of {}: map it, or name it in not_reported or never", attr.name());
            earlier.faults.note(&typed.kind.span(), said);
        }
    }
    Make {
        kind,
        only_if: typed.only_if.clone(),
        id: typed.id.clone(),
        within: typed.within,
        identity,
        fields,
        constants,
    }
}

fn kind(typed: &Spanned<Short<Kind, TypedKind>>, earlier: &mut Earlier<'_, '_>) -> KindOf {
    let told = match typed.get_ref() {
        Short::Short(kind) => return KindOf::Fixed(*kind),
        Short::Table(told) => told,
    };
    let mut of = |word: &Spanned<String>| match word.get_ref().as_str() {
        SKIP => None,
        word_text => word_text.parse().map_or_else(
            |_| {
                let known = Kind::ALL.map(Kind::name).join(", ");
                earlier.faults.note(&word.span(), format!("{word_text:?} is no kind; kinds are {known}, or {SKIP}"));
                None
            },
            Some,
        ),
    };
    let map = told.map.iter().map(|(word, kind)| (word.clone(), of(kind))).collect();
    KindOf::Told { at: told.at.clone(), map, other: told.other.as_ref().and_then(of) }
}

/// A field that is nothing but a place.
fn simple(places: &OneOrMore) -> Take {
    Take {
        places: places.0.iter().map(|at| Place { above: false, at: at.clone() }).collect(),
        time: TimeForm::default(),
        map: BTreeMap::new(),
        other: None,
        null: None,
        absent: None,
        each: None,
        lookup: None,
    }
}

/// A constant as the attribute has it.
fn constant(field: Field, constant: &Constant) -> Option<Value> {
    Some(match (field.spec().shape, constant) {
        (Shape::Bool, Constant::Bool(it)) => Value::Bool(*it),
        (Shape::Int, Constant::Int(it)) => Value::Int(*it),
        (Shape::Text, Constant::Text(it)) if is_word_of(field, it) => Value::Text(it.clone()),
        (Shape::List, Constant::List(it)) => Value::List(it.clone()),
        _ => return None,
    })
}

/// Whether a word may stand in that attribute: some have a closed list of them.
fn is_word_of(field: Field, word: &str) -> bool {
    if field == field::STATUS.field() {
        Status::from_name(word).is_some()
    } else if field == field::NATURE.field() {
        ["human", "machine", "unclear"].contains(&word)
    } else {
        true
    }
}

impl Earlier<'_, '_> {
    /// The number of the list of that scope.
    pub(super) fn list(&mut self, scope: &str, span: &Range<usize>) -> Option<usize> {
        let found = self.lists.iter().position(|it| it.scope == scope);
        if found.is_none() {
            self.faults.note(span, format!("{scope:?} is no list that comes before this one"));
        }
        found
    }

    fn attribute(&mut self, name: &Spanned<String>) -> Option<Field> {
        let found = Field::from_name(name.get_ref());
        if found.is_none() {
            let word = name.get_ref();
            let known = field::ALL.iter().map(|it| it.name());
            let nearest = known.map(|it| (strsim::jaro_winkler(it, word), it)).max_by(|a, b| a.0.total_cmp(&b.0));
            let hint = nearest.map_or_else(String::new, |(_, it)| format!("; did you mean {it:?}?"));
            self.faults.note(&name.span(), format!("there is no attribute {word:?}{hint}"));
        }
        found
    }

    pub(super) fn no_secret(&mut self, at: &Pointer, span: &Range<usize>) {
        if SECRETS.contains(&at.last()) {
            self.faults.note(span, format!("{at} is the secret itself: it is not for an inventory"));
        }
    }

    fn identity(&mut self, typed: &Spanned<TypedIdentity>, each: Option<&Each>) -> Option<IdentityOf> {
        let it = typed.get_ref();
        let of = match (&it.of, &it.at, it.above, it.itself) {
            (None, None, true, false) if each.is_some() => {
                return each.map(|each| {
                    self.acts(each.list, &typed.span());
                    IdentityOf::Above
                });
            }
            (None, None, false, true) => return Some(IdentityOf::Itself),
            (Some(of), Some(at), false, false) => (of, at),
            _ => {
                let said = "an identity is { of = \"a list\", at = \"/…\" }, { above = true } or { itself = true }";
                self.faults.note(&typed.span(), said);
                return None;
            }
        };
        let list = self.list(of.0.get_ref(), &of.0.span())?;
        self.acts(list, &of.0.span());
        if self.lists.get(list).is_some_and(|it| it.scoped) {
            self.faults.note(&of.0.span(), "ids of that list are unique within what is above it only");
        }
        earlier_keep(self.lists, list, None);
        Some(IdentityOf::Record(list, of.1.clone()))
    }

    /// Notes a list of which nothing is made that could act.
    fn acts(&mut self, list: usize, span: &Range<usize>) {
        let is_one = |kind: Kind| matches!(kind.noun(), Noun::Identity | Noun::Application);
        let kinds =
            self.lists.get(list).and_then(|it| it.makes.first()).map(|make| make.kind.all()).unwrap_or_default();
        if !kinds.into_iter().any(is_one) {
            self.faults.note(span, "nothing that could act is made first of that list");
        }
    }

    fn take(&mut self, field: Field, it: &TypedField, (span, each): (&Range<usize>, Option<&Each>)) -> Option<Take> {
        let shape = field.spec().shape;
        let mut places = Vec::new();
        for (above, pointers) in [(false, &it.at), (true, &it.above)] {
            let pointers = pointers.iter().flat_map(|it| &it.0);
            places.extend(pointers.map(|at| Place { above, at: at.clone() }));
        }
        if places.is_empty() {
            self.faults.note(span, "at or above says where it stands");
        }
        for place in places.iter().filter(|it| it.above) {
            match each {
                Some(each) => earlier_keep(self.lists, each.list, Some(&place.at)),
                None => self.faults.note(span, "above: this list is not asked for each record of another"),
            }
        }
        let time = it.time.as_ref().map(|form| match (shape, TimeForm::named(form.get_ref())) {
            (Shape::Time, Ok(form)) => form,
            (Shape::Time, Err(said)) => {
                self.faults.note(&form.span(), said);
                TimeForm::default()
            }
            _ => {
                self.faults.note(&form.span(), format!("{} is no time", field.name()));
                TimeForm::default()
            }
        });
        let words = it.map.values().chain(&it.other);
        if words.into_iter().any(|word| !may_become(field, word)) {
            self.faults.note(span, format!("the map has a word that {} cannot be", field.name()));
        }
        if it.each.is_some() && shape != Shape::List {
            self.faults.note(span, format!("{} is no list: each makes no sense", field.name()));
        }
        let lookup = match (&it.of, &it.take) {
            (None, None) => None,
            (Some(of), Some(take)) => self.list(of.get_ref(), &of.span()).map(|list| {
                earlier_keep(self.lists, list, Some(take));
                (list, take.clone())
            }),
            _ => {
                self.faults.note(span, "of names a list, take what is meant of its record: both or neither");
                None
            }
        };
        let null = it.null.as_ref().and_then(|word| self.reading(word));
        let absent = it.absent.as_ref().and_then(|word| self.reading(word));
        let (map, other, each) = (it.map.clone(), it.other.clone(), it.each.clone());
        Some(Take { places, time: time.unwrap_or_default(), map, other, null, absent, each, lookup })
    }

    /// What a reading without a value is called.
    fn reading(&mut self, word: &Spanned<String>) -> Option<Reading<Value>> {
        let known = [Reading::Never, Reading::NotReported, Reading::NotPermitted, Reading::NotCollected];
        let found = known.into_iter().find(|it: &Reading<Value>| it.word() == word.get_ref());
        if found.is_none() {
            self.faults.note(&word.span(), "it is never, not_reported, not_permitted or not_collected");
        }
        found
    }
}

/// Whether a word of a map can become a value of that attribute.
fn may_become(field: Field, word: &str) -> bool {
    match field.spec().shape {
        Shape::Bool => ["true", "false"].contains(&word),
        Shape::Int => word.parse::<i64>().is_ok(),
        Shape::Text => is_word_of(field, word),
        Shape::Time | Shape::Map => false,
        Shape::List => true,
    }
}
