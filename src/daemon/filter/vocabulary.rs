//! The names an expression may use, with the type of each and, for closed lists, the words it can have.
//! It must never lack a pinned field or an attribute.

use std::{collections::BTreeMap, sync::LazyLock};

use provost_model::{Kind, field};

/// The type of a name in an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A truth value.
    Bool,
    /// A whole number.
    Int,
    /// An instant; compare it with `timestamp("2026-10-01T00:00:00Z")`.
    Time,
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts; ask with `"x" in name`.
    List,
    /// Texts by name; ask with `tags.team` or `"team" in tags`.
    Map,
}

/// The names of one sort of rows.
#[derive(Debug)]
pub struct Vocabulary {
    names: BTreeMap<&'static str, Shape>,
    attributes: bool,
}

impl Vocabulary {
    /// Names of inventory rows.
    pub fn inventory() -> &'static Vocabulary {
        &INVENTORY
    }

    /// Names of finding rows.
    pub fn findings() -> &'static Vocabulary {
        &FINDINGS
    }

    /// Names of case rows.
    pub fn cases() -> &'static Vocabulary {
        &CASES
    }

    /// The type of a name, if there is such a name.
    pub fn shape(&self, name: &str) -> Option<Shape> {
        self.names.get(name).copied()
    }

    /// The vocabulary's own spelling of a name.
    pub(super) fn spelling(&self, name: &str) -> Option<&'static str> {
        self.names.get_key_value(name).map(|(name, _)| *name)
    }

    /// Whether `attributes.NAME` is another way to write `NAME`.
    pub(super) fn has_attributes(&self) -> bool {
        self.attributes
    }

    /// The name most like a mistyped one, if one is like it.
    pub fn nearest(&self, typed: &str) -> Option<&'static str> {
        nearest(typed, self.names.keys().copied())
    }

    /// Every name with its type, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, Shape)> {
        self.names.iter().map(|(name, shape)| (*name, *shape))
    }
}

/// The candidate most like a mistyped word, if one is like it.
pub(crate) fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

const STATUS: &[&str] = &["active", "inactive", "expired", "unknown"];
const PRESENCE: &[&str] = &["present", "missing", "gone", "unwatched"];
const STATE: &[&str] = &["open", "suspended", "resolved"];
const SEVERITY: &[&str] = &["info", "low", "medium", "high", "critical"];
const RESOLUTION: &[&str] = &["fixed", "gone", "accepted", "policy_changed", "rule_changed"];
const STAGE: &[&str] = &["open", "asked", "decided", "guarded"];
const ACTION: &[&str] = &["own", "mend", "restrict", "rotate", "disable", "revoke", "delete"];
static KINDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| Kind::ALL.into_iter().map(Kind::name).collect());

static INVENTORY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let mut names: BTreeMap<&'static str, Shape> = field::ALL
        .iter()
        .map(|field| {
            let shape = match field.spec().shape {
                field::Shape::Bool => Shape::Bool,
                field::Shape::Int => Shape::Int,
                field::Shape::Time => Shape::Time,
                field::Shape::Text => Shape::Text,
                field::Shape::List => Shape::List,
                field::Shape::Map => Shape::Map,
            };
            (field.name(), shape)
        })
        .collect();
    names.extend([
        ("id", Shape::Text),
        ("kind", Shape::Word(KINDS.as_slice())),
        ("source", Shape::List),
        ("external_id", Shape::Text),
        ("name", Shape::Text),
        ("identity", Shape::Text),
        ("owner", Shape::Text),
        ("status", Shape::Word(STATUS)),
        ("presence", Shape::Word(PRESENCE)),
        ("first_seen", Shape::Time),
        ("last_seen", Shape::Time),
        ("age_days", Shape::Int),
        ("idle_days", Shape::Int),
    ]);
    Vocabulary { names, attributes: true }
});

static FINDINGS: LazyLock<Vocabulary> = LazyLock::new(|| {
    let names = BTreeMap::from([
        ("id", Shape::Text),
        ("rule", Shape::Text),
        ("rule_version", Shape::Int),
        ("subject", Shape::Text),
        ("external_id", Shape::Text),
        ("state", Shape::Word(STATE)),
        ("severity", Shape::Word(SEVERITY)),
        ("opened_at", Shape::Time),
        ("resolved_at", Shape::Time),
        ("resolution", Shape::Word(RESOLUTION)),
        ("because", Shape::Text),
        ("frameworks", Shape::Map),
        ("age_days", Shape::Int),
    ]);
    Vocabulary { names, attributes: false }
});

static CASES: LazyLock<Vocabulary> = LazyLock::new(|| {
    let names = BTreeMap::from([
        ("id", Shape::Text),
        ("kind", Shape::Text),
        ("name", Shape::Text),
        ("external_id", Shape::Text),
        ("source", Shape::List),
        ("severity", Shape::Word(SEVERITY)),
        ("action", Shape::Word(ACTION)),
        ("owner", Shape::Text),
        ("deadline", Shape::Time),
        ("overdue", Shape::Bool),
        ("rules", Shape::List),
        ("opened_at", Shape::Time),
        ("stage", Shape::Word(STAGE)),
        ("decision", Shape::Text),
        ("baseline", Shape::Bool),
        ("age_days", Shape::Int),
    ]);
    Vocabulary { names, attributes: false }
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{CaseRow, FindingRow, InventoryRow, Row};

    #[test]
    fn every_pinned_field_and_attribute_has_a_name() {
        let pinned = InventoryRow::FIELDS.iter().copied().filter(|name| *name != "attributes");
        for name in pinned.chain(field::ALL.iter().map(|field| field.name())) {
            assert!(Vocabulary::inventory().shape(name).is_some(), "{name}");
        }
        for name in FindingRow::FIELDS {
            assert!(Vocabulary::findings().shape(name).is_some(), "{name}");
        }
        for name in CaseRow::FIELDS {
            assert!(Vocabulary::cases().shape(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_mistyped_name_has_a_neighbour_and_nonsense_has_none() {
        assert_eq!(Vocabulary::inventory().nearest("last_usd_at"), Some("last_used_at"));
        assert_eq!(Vocabulary::inventory().nearest("agedays"), Some("age_days"));
        assert_eq!(Vocabulary::inventory().nearest("zzz"), None);
    }
}
