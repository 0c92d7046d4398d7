//! GraphQL, where the path says nothing: which documents are reads, and what an answer says of its own errors.
//! It must never take a document that could change anything, nor an answer that lacks parts for a whole one.

use provost_model::Why;
use serde_json::Value;

use super::answer::Gap;
use crate::failure::without_secrets;

/// Most errors of one answer that are kept.
const GAPS_MAX: usize = 1_000;

/// Refuses a document that is not exactly one query, with its fragments.
pub(crate) fn one_query(document: &str) -> Result<(), String> {
    let (mut queries, mut depth, mut begins) = (0_u32, 0_i32, true);
    for token in tokens(document)? {
        match token {
            "{" | "(" | "[" => {
                // A selection without a word before it is a query.
                queries += u32::from(depth == 0 && begins && token == "{");
                (depth, begins) = (depth + 1, false);
            }
            "}" => (depth, begins) = (depth - 1, depth == 1),
            ")" | "]" => depth -= 1,
            word if depth == 0 && begins => {
                match word {
                    "query" => queries += 1,
                    "fragment" => {}
                    _ => return Err(format!("a GraphQL document that begins with {word:?} is no query")),
                }
                begins = false;
            }
            _ => {}
        }
    }
    match (depth, queries) {
        (0, 1) => Ok(()),
        (0, _) => Err(format!("a GraphQL document must hold one query, not {queries}")),
        _ => Err("a GraphQL document does not close what it opens".to_owned()),
    }
}

/// Words and brackets of a document, without comments and strings.
fn tokens(document: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = document;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '"' => string(rest).ok_or("a GraphQL document has a string without an end")?,
            it if is_name(it) => rest.find(|it| !is_name(it)).unwrap_or(rest.len()),
            it => it.len_utf8(),
        };
        let (token, following) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if is_name(first) || matches!(first, '{' | '}' | '(' | ')' | '[' | ']') {
            found.push(token);
        }
        rest = following;
    }
    Ok(found)
}

fn is_name(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || sign == '_'
}

/// The length of the string that a text begins with.
fn string(text: &str) -> Option<usize> {
    if let Some(block) = text.strip_prefix("\"\"\"") {
        let mut from = 0;
        loop {
            let at = from + block.get(from..)?.find("\"\"\"")?;
            if !block.get(..at)?.ends_with('\\') {
                return Some(at + 6);
            }
            from = at + 3;
        }
    }
    let mut escaped = false;
    for (at, sign) in text.char_indices().skip(1) {
        match sign {
            '\n' | '\r' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What an answer lacks by its own word, and whether it has data at all; `None` if it is no GraphQL answer.
pub(crate) fn gaps_of(body: &[u8]) -> Option<(Vec<Gap>, bool)> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else { return None };
    let has_data = answer.get("data").is_some_and(|data| !data.is_null());
    let gaps = match answer.get("errors") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(errors)) => errors.iter().take(GAPS_MAX).map(gap).collect(),
        Some(_) => return None,
    };
    (has_data || !gaps.is_empty()).then_some((gaps, has_data))
}

/// Whether an answer with status 200 asks to slow down.
pub(crate) fn is_throttle(body: &[u8]) -> bool {
    let word = |word: &[u8]| body.windows(word.len()).any(|window| window == word);
    (word(b"RATE_LIMIT") || word(b"THROTTLED"))
        && gaps_of(body).is_some_and(|(gaps, _)| gaps.iter().any(|gap| gap.why == Why::Throttled))
}

fn gap(error: &Value) -> Gap {
    let text = |place: &str| error.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let code = [text("/type"), text("/extensions/code"), text("/code")];
    let code = code.into_iter().find(|code| !code.is_empty()).unwrap_or_default();
    let path = error.get("path").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let place = path.iter().map(|step| match step {
        // Step by step: a path as a whole is as long as a token.
        Value::String(name) => format!("/{}", without_secrets(name).replace('~', "~0").replace('/', "~1")),
        other => format!("/{other}"),
    });
    let place: String = place.take(32).collect();
    let why = match code.to_ascii_uppercase().as_str() {
        "RATE_LIMITED" | "RATE_LIMIT" | "THROTTLED" => Why::Throttled,
        "FORBIDDEN" | "INSUFFICIENT_SCOPES" | "SAML_FAILURE" | "UNPROCESSABLE_ACCESS" => Why::Denied,
        "UNAUTHENTICATED" | "UNAUTHORIZED" => Why::Unauthenticated,
        "NOT_FOUND" => Why::Changed,
        "SERVICE_UNAVAILABLE" | "INTERNAL" | "INTERNAL_SERVER_ERROR" => Why::Unavailable,
        // GitHub, which gives no code when its own time for a query is over.
        "" if text("/message").starts_with("Something went wrong while executing your query") => Why::Unavailable,
        _ => Why::Malformed,
    };
    let code: String = without_secrets(code);
    Gap { place, code, why, said: without_secrets(text("/message")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_query_passes() {
        let good = [
            "{ viewer { login } }",
            "query { a }",
            "# mutation\nquery Q($x: [String!] = [\"mutation {\"]) { a(b: {c: 1}) { ...F mutation } } fragment F on T { d }",
            "fragment mutation on T { a } query mutation { ...mutation }",
            "query Q($s: S = \"\"\"a \\\"\"\" mutation\"\"\") @d(x: 1) { a }",
        ];
        for document in good {
            assert_eq!(one_query(document), Ok(()), "{document}");
        }
        let bad = [
            "mutation { a }",
            "subscription { a }",
            "query { a } mutation { b }",
            "query A { a } query B { b }",
            "{ a } { b }",
            "fragment F on T { a }",
            "query { a",
            "\"\"\"d\"\"\" mutation { a }",
            "query Q($s: S = \"x) { a } mutation { b }",
            "",
        ];
        for document in bad {
            assert!(one_query(document).is_err(), "{document}");
        }
    }

    #[test]
    fn an_answer_names_what_it_lacks() {
        let body = br#"{"data":{"a":null},"errors":[{"type":"FORBIDDEN","path":["a",0,"b/c"],"message":"no"}]}"#;
        let (gaps, has_data) = gaps_of(body).unwrap();
        assert!(has_data);
        assert_eq!((gaps[0].place.as_str(), gaps[0].why, gaps[0].said.as_str()), ("/a/0/b~1c", Why::Denied, "no"));
        let deep = r#"{"data": {}, "errors": [{"path": ["organization", "membersWithRole", "edges", 0, "node", "verifiedEmails"]}]}"#;
        let (gaps, _) = gaps_of(deep.as_bytes()).unwrap();
        assert_eq!(gaps[0].place, "/organization/membersWithRole/edges/0/node/verifiedEmails", "a path is no token");
        let (gaps, has_data) = gaps_of(br#"{"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}"#).unwrap();
        assert!(!has_data);
        assert_eq!(gaps[0].why, Why::Unauthenticated);
        assert!(gaps_of(br#"{"data":{}}"#).unwrap().0.is_empty());
        for body in ["", "[]", "{}", r#"{"data":null}"#, r#"{"errors":"x","data":{}}"#] {
            assert!(gaps_of(body.as_bytes()).is_none(), "{body}");
        }
    }
}
