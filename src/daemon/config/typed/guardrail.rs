//! `[[guardrails]]` as typed.
//! It must never accept a name it does not know.

use schemars::JsonSchema;
use serde::Deserialize;

/// One entry of `[[guardrails]]`: what policy decides by itself. Everything said must hold; of a list, one of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedGuardrail {
    /// A name of your own.
    pub name: String,
    /// Whether it decides. Until then it shows what it would decide: provost cases guardrails NAME.
    #[serde(default)]
    pub enabled: bool,
    /// What it decides: `rotate` or `disable`, which can be taken back.
    pub remedy: String,
    /// About faults of these rules.
    pub rules: Vec<String>,
    /// Only about these kinds of things.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Only about what these sources see.
    #[serde(default)]
    pub sources: Vec<String>,
    /// About what is known to belong to production, too; not by default.
    #[serde(default)]
    pub production: bool,
    /// How long a fault stands before, in which people may decide; `1d` by default.
    pub after: Option<String>,
    /// How often it decides within a day at most; 1 by default.
    pub per_day: Option<u32>,
    /// The person of the people file who answers for what it decides.
    pub answers: String,
    /// Why it may, in that person's words: each of its decisions says so.
    pub purpose: String,
}
