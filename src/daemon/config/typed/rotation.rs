//! `[rotation]` and `[[rotations]]` as typed.
//! It must never accept a name it does not know, except settings of a rotator or destination that are its kind's to judge.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use toml::{Table, Value};

use super::some;

/// `[rotation]`: how much may be changed at once.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypedRotation {
    /// Changes of one owner under way at a time; 1 by default.
    pub per_owner: Option<u32>,
    /// Changes by one entry that begin within a day: at least that many, 1 by default.
    pub per_day: Option<u32>,
    /// The same as a share of everything the entry could change, in hundredths; 5 by default, and whichever is more counts.
    pub per_day_share: Option<u32>,
    /// The first change by an entry ends well before a second one begins; true by default.
    pub canary: Option<bool>,
    /// Times in which nothing begins, each as `2026-12-20/2027-01-05 why`; a date on the right means its last instant.
    pub freezes: Vec<String>,
    /// State files of Terraform or OpenTofu: what they manage is left to people.
    pub state_files: Vec<String>,
}

/// One entry of `[[rotations]]`: what may be changed, by which rotator, and where new values go. Whatever is not listed here
/// belongs to its kind.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
pub struct TypedRotations {
    /// A name of your own.
    pub name: String,
    /// What kind of rotator: see provost rotate kinds.
    pub kind: String,
    /// Whether it acts. Until then it plans, and says what it would do.
    pub enabled: bool,
    /// Only what these sources see.
    pub sources: Vec<String>,
    /// Only what these identities have, by name or id; one `*` stands for anything.
    pub identities: Vec<String>,
    /// How long both credentials work at least; `1d` by default.
    pub overlap: Option<String>,
    /// How long the old one has not been used before it is let go, beside the provider's lag; `1d` by default.
    pub quiet: Option<String>,
    /// The same where the provider does not say when one was used; `7d` by default.
    pub blind: Option<String>,
    /// One that was not used for that long has no consumers who have to take up the new one; `90d` by default.
    pub idle: Option<String>,
    /// How long the old one stays disabled before it is removed; `7d` by default.
    pub watch: Option<String>,
    /// How often is looked meanwhile; `1h` by default.
    pub look_every: Option<String>,
    /// Where new values are put, in this order: `[[rotations.places]]`, each with its `kind`.
    #[schemars(skip)]
    pub places: Vec<Table>,
    /// The kind's own settings.
    #[schemars(skip)]
    pub settings: Table,
}

impl<'de> Deserialize<'de> for TypedRotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RotationVisitor)
    }
}

/// By hand, for the reasons of a source's.
struct RotationVisitor;

impl<'de> Visitor<'de> for RotationVisitor {
    type Value = TypedRotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with name and kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TypedRotations, A::Error> {
        let mut entry = TypedRotations::default();
        let (mut name, mut kind) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => name = Some(map.next_value()?),
                "kind" => kind = Some(map.next_value()?),
                "enabled" => entry.enabled = map.next_value()?,
                "sources" => entry.sources = map.next_value()?,
                "identities" => entry.identities = map.next_value()?,
                "overlap" => entry.overlap = some(&mut map)?,
                "quiet" => entry.quiet = some(&mut map)?,
                "blind" => entry.blind = some(&mut map)?,
                "idle" => entry.idle = some(&mut map)?,
                "watch" => entry.watch = some(&mut map)?,
                "look_every" => entry.look_every = some(&mut map)?,
                "places" => entry.places = map.next_value()?,
                _ => {
                    entry.settings.insert(key, map.next_value::<Value>()?);
                }
            }
        }
        entry.name = name.ok_or_else(|| A::Error::custom("the rotation has no name"))?;
        entry.kind = kind.ok_or_else(|| A::Error::custom("the rotation says no kind"))?;
        Ok(entry)
    }
}
