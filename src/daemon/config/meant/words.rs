//! Words that entries share: the names people give them, and words that name nothing there is.
//! It must never let two entries of a list go by one name.

use std::collections::BTreeSet;

use super::{super::problem::nearest, Check};

/// Longest name of an entry.
const NAME_MAX: usize = 60;

impl Check {
    pub(super) fn called(&mut self, setting: String, name: &str, names: &mut BTreeSet<String>) {
        let sound = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(sound) {
            self.fault(setting, format!("letters, digits, - _ and . only, at most {NAME_MAX}"));
        } else if !names.insert(name.to_owned()) {
            self.fault(setting, format!("{name:?} is there twice"));
        }
    }

    /// A word that names nothing there is: the nearest that does, or where those are to be found.
    pub(super) fn unknown(&mut self, setting: String, (what, typed): (&str, &str), known: Vec<&str>, otherwise: &str) {
        let near = nearest(typed, known).map(|near| format!("did you mean {near:?}?"));
        self.fault(setting, format!("there is no {what} {typed:?}; {}", near.as_deref().unwrap_or(otherwise)));
    }

    /// The same for the kind of an entry, where all there are are named.
    pub(super) fn unknown_kind(&mut self, setting: String, typed: &str, known: Vec<&str>) {
        let otherwise = format!("there are {}", known.join(", "));
        self.unknown(setting, ("kind", typed), known, &otherwise);
    }
}
