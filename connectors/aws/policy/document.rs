//! A policy document as IAM returns it: percent-encoded JSON, string-or-list forms.
//! It must never take an element it does not know for one that does not matter.

use serde_json::{Map, Value};

/// Longest decoded document, in bytes. IAM allows customers 10,240 characters; AWS's own are longer.
const DOCUMENT_MAX: usize = 256 * 1024;
/// Longest action, resource or principal, in bytes.
const TEXT_MAX: usize = 2048;
/// Most statements read.
const STATEMENTS_MAX: usize = 1024;

/// A parsed document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Its statements, in order.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its `Sid`, if it has one.
    pub sid: Option<String>,
    /// Allow or Deny.
    pub effect: Effect,
    /// `Action` or `NotAction`.
    pub actions: Selection,
    /// `Resource` or `NotResource`; trust policies have none.
    pub resources: Option<Selection>,
    /// `Principal`, in trust and resource policies.
    pub principals: Vec<Principal>,
    /// Whether the principals are those that are *not* meant (`NotPrincipal`).
    pub not_principal: bool,
    /// `Condition`: (operator, key, values). Empty if there is none.
    pub conditions: Vec<(String, String, Vec<String>)>,
    /// Elements this reader does not know. They may narrow the statement, so it counts as conditional.
    pub unknown: Vec<String>,
}

/// Allow or Deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the provider's two words")]
pub enum Effect {
    Allow,
    Deny,
}

/// Patterns that are meant, or all but those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// `Action`, `Resource`.
    Only(Vec<String>),
    /// `NotAction`, `NotResource`.
    AllBut(Vec<String>),
}

/// One principal of a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// Anybody.
    Anyone,
    /// An account, role, user or unique id.
    Aws(String),
    /// An AWS service.
    Service(String),
    /// An identity provider.
    Federated(String),
    /// Any other type of principal: type and value.
    Other(String, String),
}

/// A text that is no policy document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is longer than any policy.
    #[error("the policy document is too long")]
    TooLong,
    /// It is not JSON, or nested beyond reason.
    #[error("the policy document is not JSON")]
    NotJson,
    /// It is JSON, but some element is not of the policy language.
    #[error("the policy document is malformed: {0}")]
    Malformed(&'static str),
}

impl Document {
    /// Reads a document, percent-encoded as IAM returns it, or plain JSON. Nesting is bounded by the JSON reader (128).
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > 3 * DOCUMENT_MAX {
            return Err(PolicyError::TooLong);
        }
        let plain = text.trim_start().starts_with('{');
        let decoded = if plain { text.as_bytes().to_vec() } else { percent_decoded(text)? };
        if decoded.len() > DOCUMENT_MAX {
            return Err(PolicyError::TooLong);
        }
        let root: Map<String, Value> = serde_json::from_slice(&decoded).map_err(|_| PolicyError::NotJson)?;
        let statements = match root.get("Statement") {
            Some(Value::Array(list)) => list.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err(PolicyError::Malformed("Statement")),
        };
        if statements.len() > STATEMENTS_MAX {
            return Err(PolicyError::TooLong);
        }
        let statements = statements.into_iter().map(statement).collect::<Result<_, _>>()?;
        Ok(Self { statements })
    }
}

impl Statement {
    /// Whether something that is not evaluated narrows it.
    pub fn is_conditional(&self) -> bool {
        !self.conditions.is_empty() || !self.unknown.is_empty()
    }
}

fn statement(value: &Value) -> Result<Statement, PolicyError> {
    let Value::Object(elements) = value else { return Err(PolicyError::Malformed("Statement")) };
    let effect = match elements.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(PolicyError::Malformed("Effect")),
    };
    let actions = selection(elements, "Action", "NotAction")?.ok_or(PolicyError::Malformed("Action"))?;
    let resources = selection(elements, "Resource", "NotResource")?;
    let not_principal = elements.contains_key("NotPrincipal");
    let principals = match elements.get("Principal").or_else(|| elements.get("NotPrincipal")) {
        Some(value) => principals(value)?,
        None => Vec::new(),
    };
    let known =
        ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"];
    let unknown = elements.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    let sid = elements.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty() && sid.len() <= 128);
    let conditions = elements.get("Condition").map_or(Ok(Vec::new()), conditions)?;
    Ok(Statement {
        sid: sid.map(str::to_owned),
        effect,
        actions,
        resources,
        principals,
        not_principal,
        conditions,
        unknown,
    })
}

fn selection(
    elements: &Map<String, Value>,
    only: &'static str,
    all_but: &'static str,
) -> Result<Option<Selection>, PolicyError> {
    match (elements.get(only), elements.get(all_but)) {
        (Some(value), None) => Ok(Some(Selection::Only(texts(value, only)?))),
        (None, Some(value)) => Ok(Some(Selection::AllBut(texts(value, all_but)?))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(PolicyError::Malformed(all_but)),
    }
}

fn principals(value: &Value) -> Result<Vec<Principal>, PolicyError> {
    let Value::Object(types) = value else {
        let anyone = texts(value, "Principal")?.into_iter().map(aws).collect();
        return Ok(anyone);
    };
    let mut found = Vec::new();
    for (kind, value) in types {
        for text in texts(value, "Principal")? {
            found.push(match kind.as_str() {
                "AWS" => aws(text),
                "Service" => Principal::Service(text),
                "Federated" => Principal::Federated(text),
                _ => Principal::Other(kind.clone(), text),
            });
        }
    }
    Ok(found)
}

fn aws(text: String) -> Principal {
    if text == "*" { Principal::Anyone } else { Principal::Aws(text) }
}

fn conditions(value: &Value) -> Result<Vec<(String, String, Vec<String>)>, PolicyError> {
    let Value::Object(operators) = value else { return Err(PolicyError::Malformed("Condition")) };
    let mut found = Vec::new();
    for (operator, keys) in operators {
        let Value::Object(keys) = keys else { return Err(PolicyError::Malformed("Condition")) };
        for (key, values) in keys {
            found.push((operator.clone(), key.clone(), texts(values, "Condition")?));
        }
    }
    Ok(found)
}

/// A string or a list of strings. Conditions also hold booleans and numbers.
fn texts(value: &Value, element: &'static str) -> Result<Vec<String>, PolicyError> {
    let one = |value: &Value| match value {
        Value::String(text) if text.len() <= TEXT_MAX => Ok(text.clone()),
        Value::Bool(it) if element == "Condition" => Ok(it.to_string()),
        Value::Number(it) if element == "Condition" => Ok(it.to_string()),
        _ => Err(PolicyError::Malformed(element)),
    };
    match value {
        Value::Array(list) => list.iter().map(one).collect(),
        other => Ok(vec![one(other)?]),
    }
}

/// RFC 3986 decoding: a plus sign is a plus sign.
fn percent_decoded(text: &str) -> Result<Vec<u8>, PolicyError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let ([high, low], after) = rest.split_first_chunk::<2>().ok_or(PolicyError::NotJson)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(PolicyError::NotJson);
        decoded.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).map_err(|_| PolicyError::NotJson)?);
        rest = after;
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_iam_returns_are_read() {
        let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Sid%22%3A%22A%22%2C%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3AGet%2B%22%2C%22Resource%22%3A%5B%22a+b%22%5D%7D%7D";
        let document = Document::parse(encoded).unwrap();
        let statement = &document.statements[0];
        assert_eq!(statement.sid.as_deref(), Some("A"));
        assert_eq!(statement.actions, Selection::Only(vec!["s3:Get+".into()]));
        assert_eq!(statement.resources, Some(Selection::Only(vec!["a+b".into()])), "a plus sign is a plus sign");
        assert!(!statement.is_conditional());
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        let deep = format!("{}{}", r#"{"Statement":"#, "[".repeat(100_000));
        let long = format!(r#"{{"Statement":[],"Id":"{}"}}"#, "x".repeat(DOCUMENT_MAX));
        for text in [
            "",
            "%",
            "%7",
            "%zz",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"Statement":1}"#,
            r#"{"Statement":[1]}"#,
            r#"{"Statement":{"Effect":"allow","Action":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*","NotAction":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":[1]}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*","Condition":[]}}"#,
            &deep,
            &long,
        ] {
            assert!(Document::parse(text).is_err(), "{}", &text[..text.len().min(80)]);
        }
        let many = vec![r#"{"Effect":"Allow","Action":"*"}"#; STATEMENTS_MAX + 1].join(",");
        assert_eq!(Document::parse(&format!(r#"{{"Statement":[{many}]}}"#)), Err(PolicyError::TooLong));
    }

    fn arbitrary_json() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec!["Allow", "Deny", "*", "iam:*", "sts:AssumeRole", "x"]);
        let name = prop::sample::select(vec![
            "Statement",
            "Effect",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Principal",
            "NotPrincipal",
            "Condition",
            "AWS",
            "Federated",
            "Bool",
            "Sid",
            "Odd",
        ]);
        let leaf = prop_oneof![
            word.prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..6).prop_map(|pairs| Value::Object(
                    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}", encoded in "(%[0-9a-fA-F]{0,2}|[{}a\"]){0,60}") {
            let _ = Document::parse(&text);
            let _ = Document::parse(&encoded);
        }

        #[test]
        fn any_json_is_read_or_refused(root in arbitrary_json(), wrapped in any::<bool>()) {
            let text = if wrapped { format!(r#"{{"Statement":{root}}}"#) } else { root.to_string() };
            if let Ok(document) = Document::parse(&text) {
                let _ = crate::aws::policy::Summary::of(&document);
                let _ = crate::aws::policy::trusted_principals(&document);
                let _ = crate::aws::policy::Trust::of(&document);
            }
        }
    }
}
