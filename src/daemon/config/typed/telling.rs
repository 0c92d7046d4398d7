//! `[[sinks]]` and `[[routes]]` as typed.
//! It must never accept a name it does not know, except settings of a sink that are its kind's to judge.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use toml::{Table, Value};

use super::some;

/// One entry of `[[sinks]]`. Whatever is not listed here belongs to its kind.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
pub struct TypedSink {
    /// A name of your own.
    pub name: String,
    /// What kind of sink: see provost sinks kinds.
    pub kind: String,
    /// Letters a minute at most; what suits the kind by default.
    pub per_minute: Option<u32>,
    /// File of a template of your own for its messages.
    pub template: Option<String>,
    /// The kind's own settings.
    #[schemars(skip)]
    pub settings: Table,
}

/// One entry of `[[routes]]`: which cases are told of where. Everything said about cases must hold; of a list, one of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedRoute {
    /// A name of your own.
    pub name: String,
    /// The name of a sink.
    pub to: String,
    /// Cases at least that bad.
    pub severity: Option<String>,
    /// Cases of these persons or teams.
    #[serde(default)]
    pub owners: Vec<String>,
    /// Cases that have an owner, or none.
    pub owned: Option<bool>,
    /// Cases of these sources.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Cases about these kinds of things.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Cases with a fault of these rules.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Only cases that no other route takes.
    #[serde(default)]
    pub rest: bool,
    /// What is told: opened, worse, changed, overdue, settled, unproven. Messages to people leave changed out by default.
    pub events: Option<Vec<String>>,
    /// How long what happens is gathered into one message, such as `5m`, which is the default for messages to people; `0s`
    /// sends each case by itself.
    pub gather: Option<String>,
    /// Cases at least that bad do not wait for more; `critical` by default, `never` for none.
    pub at_once: Option<String>,
    /// One message for each owner, to the owner's own address in the people file, where the sink sends mail to `owner`.
    #[serde(default)]
    pub by_owner: bool,
    /// Hours in which nothing leaves, such as `22:00-07:00`.
    pub quiet: Option<String>,
    /// Cases at least that bad leave in those hours too; `critical` by default, `never` for none.
    pub quiet_but: Option<String>,
    /// Time zone of those hours; UTC by default.
    pub time_zone: Option<String>,
    /// Letters are written and shown in the outbox, and not sent.
    #[serde(default)]
    pub dry_run: bool,
}

impl<'de> Deserialize<'de> for TypedSink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SinkVisitor)
    }
}

/// By hand, for the reasons of a source's.
struct SinkVisitor;

impl<'de> Visitor<'de> for SinkVisitor {
    type Value = TypedSink;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with name and kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TypedSink, A::Error> {
        let mut sink = TypedSink::default();
        let (mut name, mut kind) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => name = Some(map.next_value()?),
                "kind" => kind = Some(map.next_value()?),
                "per_minute" => sink.per_minute = some(&mut map)?,
                "template" => sink.template = some(&mut map)?,
                _ => {
                    sink.settings.insert(key, map.next_value::<Value>()?);
                }
            }
        }
        sink.name = name.ok_or_else(|| A::Error::custom("the sink has no name"))?;
        sink.kind = kind.ok_or_else(|| A::Error::custom("the sink says no kind"))?;
        Ok(sink)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_is_not_common_goes_to_the_kind_and_a_route_has_no_unknown_setting() {
        let typed = parse("[[sinks]]\nname = \"a\"\nkind = \"slack\"\nchannel = \"C1\"\nper_minute = 3\n").unwrap();
        assert_eq!(typed.sinks[0].settings.keys().collect::<Vec<_>>(), ["channel"]);
        assert_eq!(typed.sinks[0].per_minute, Some(3));
        for (text, said) in [
            ("[[sinks]]\nname = \"a\"\n", "the sink says no kind"),
            ("[[routes]]\nname = \"a\"\nto = \"b\"\nseverty = \"high\"\n", "did you mean \"severity\"?"),
            ("[[routes]]\nname = \"a\"\n", "missing field `to`"),
        ] {
            let refused = parse(text).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
