//! The catalogue: which things are whose, by name, tag or id.
//! It must never match everything: an entry that says nothing of a thing is refused.

use std::collections::HashMap;

use provost_model::{Kind, Record, field};
use serde::Serialize;

/// One entry: everything stated must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    /// Who answers: the id of a person or team.
    pub owner: String,
    /// Their name; `*` stands for any letters.
    pub name: Option<String>,
    /// A tag they carry, as `name=value`, the name in any case.
    pub tag: Option<String>,
    /// An external id or record id.
    pub id: Option<String>,
    /// Their realm (`aws:123456789012`) or its provider (`aws`).
    pub realm: Option<String>,
    /// Their kind.
    pub kind: Option<Kind>,
}

/// Entries, found by what they state.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalogue {
    entries: Vec<CatalogueEntry>,
    by_id: HashMap<String, Vec<usize>>,
    by_tag: HashMap<String, Vec<usize>>,
    by_name: Vec<usize>,
}

impl Catalogue {
    pub(super) fn of(entries: Vec<CatalogueEntry>) -> Self {
        let mut catalogue = Self::default();
        for (at, entry) in entries.iter().enumerate() {
            if let Some(id) = &entry.id {
                catalogue.by_id.entry(id.clone()).or_default().push(at);
            } else if let Some(tag) = entry.tag.as_deref().and_then(folded) {
                catalogue.by_tag.entry(tag).or_default().push(at);
            } else if entry.name.is_some() {
                catalogue.by_name.push(at);
            }
        }
        catalogue.entries = entries;
        catalogue
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn entries(&self) -> Vec<CatalogueEntry> {
        self.entries.clone()
    }

    /// Entries that hold of a record, in their order.
    pub(super) fn of_record(&self, record: &Record) -> Vec<&CatalogueEntry> {
        if self.is_empty() {
            return Vec::new();
        }
        let tags = record.get(field::TAGS).known().unwrap_or_default();
        let tags: Vec<String> = tags.iter().filter_map(|(name, value)| folded(&format!("{name}={value}"))).collect();
        let id = record.id.to_string();
        let by_id = record.externals.iter().chain([&id]).filter_map(|it| self.by_id.get(it));
        let by_tag = tags.iter().filter_map(|it| self.by_tag.get(it));
        let mut found: Vec<usize> = by_id.chain(by_tag).flatten().chain(&self.by_name).copied().collect();
        found.sort_unstable();
        found.dedup();
        let name = record.name();
        let holds = |entry: &&CatalogueEntry| {
            entry.name.as_deref().is_none_or(|pattern| fits(pattern, &name))
                && entry.tag.as_deref().is_none_or(|tag| folded(tag).is_some_and(|tag| tags.contains(&tag)))
                && entry.realm.as_deref().is_none_or(|it| it == record.realm.as_str() || it == record.realm.provider())
                && entry.kind.is_none_or(|kind| kind == record.kind)
        };
        found.into_iter().filter_map(|at| self.entries.get(at)).filter(holds).collect()
    }
}

/// `Name=value` with the name in small letters; `None` without a value.
pub(super) fn folded(tag: &str) -> Option<String> {
    let (name, value) = tag.split_once('=')?;
    (!name.is_empty() && !value.is_empty()).then(|| format!("{}={value}", name.to_lowercase()))
}

/// Whether a name fits a pattern with stars, in any case.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rules::sample::user;

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, name, expected) in [
            ("svc-pay-*", "svc-pay-deploy", true),
            ("svc-pay-*", "svc-payroll", false),
            ("*-prod", "a-prod", true),
            ("*-prod", "a-prod-2", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("exact", "Exact", true),
            ("exact", "exactly", false),
            ("*", "anything", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn everything_stated_must_hold() {
        let record = user()
            .with(field::NAME, "svc-pay-1".to_owned())
            .with(field::TAGS, BTreeMap::from([("Service".to_owned(), "pay".to_owned())]))
            .build();
        let entry = |edit: fn(&mut CatalogueEntry)| {
            let mut entry = CatalogueEntry { owner: "x".into(), ..CatalogueEntry::default() };
            edit(&mut entry);
            Catalogue::of(vec![entry]).of_record(&record).len() == 1
        };
        assert!(entry(|it| it.name = Some("svc-*".into())));
        assert!(entry(|it| it.tag = Some("service=pay".into())));
        assert!(entry(|it| it.id = Some("AIDA1".into())));
        assert!(entry(|it| {
            it.name = Some("svc-*".into());
            it.realm = Some("aws".into());
            it.kind = Some(Kind::User);
        }));
        assert!(!entry(|it| it.tag = Some("service=paid".into())));
        assert!(!entry(|it| {
            it.id = Some("AIDA1".into());
            it.kind = Some(Kind::Role);
        }));
        assert!(!entry(|it| {
            it.name = Some("svc-*".into());
            it.tag = Some("service=other".into());
        }));
        assert!(!entry(|it| {
            it.name = Some("svc-*".into());
            it.realm = Some("gcp".into());
        }));
    }
}
