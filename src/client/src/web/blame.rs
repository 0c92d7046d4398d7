//! What an answer that is no success means, in whatever shape the provider puts its errors.
//! It must never repeat more of the body than the code and message it names, and those without secrets.

use bytes::Bytes;
use http::{Response, StatusCode};
use provost_model::Why;
use serde_json::Value;

use super::{Element, dialect};
use crate::Failure;

/// Longest body in which an error is looked for.
const BODY_MAX: usize = 64 << 10;

/// Where providers put a code, in the order in which it is taken.
const CODES: [&str; 15] = [
    "/__type",
    "/error/status",
    "/error/code",
    "/error/type",
    "/errors/0/code",
    "/errors/0/type",
    "/errors/0/error",
    "/errorCode",
    "/error_code",
    "/code",
    "/error",
    "/type",
    "/status",
    "/name",
    "/title",
];
/// Where they put a message.
const MESSAGES: [&str; 18] = [
    "/Message",
    "/error/message",
    "/error/detail",
    "/error_description",
    "/errorSummary",
    "/message",
    "/errors/0/message",
    "/errors/0/detail",
    "/errors/0/description",
    "/errors/0",
    "/error_message",
    "/detail",
    "/details",
    "/description",
    "/msg",
    "/reason",
    "/title",
    "/error",
];

/// What AWS says of keys that ended, or that it does not know (any more).
const STALE: [&str; 5] =
    ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken"];

/// The failure behind an answer that is neither a success nor an expected 304.
pub(crate) fn blamed(operation: &str, answer: &Response<Bytes>) -> Failure {
    let status = answer.status();
    let (code, message) = told(answer.body());
    let why = why(answer, code.as_deref().unwrap_or_default());
    let mut said = format!("HTTP {}", status.as_u16());
    for part in [&code, &message].into_iter().flatten() {
        if !part.is_empty() && !said.contains(part.as_str()) {
            said = format!("{said}: {part}");
        }
    }
    // What is missing must be told from what is not, whatever the provider calls it.
    let code = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => None,
        _ => code,
    };
    Failure::new(operation, why, &code.unwrap_or_else(|| status.as_u16().to_string()), &said)
}

fn why(answer: &Response<Bytes>, code: &str) -> Why {
    if is_throttle(answer) {
        return Why::Throttled;
    }
    match (answer.status().as_u16(), code) {
        // AWS says most things with 400 or 403.
        (400 | 403, code) if aws(code).is_some() => aws(code).unwrap_or(Why::Malformed),
        // OAuth says so with 400 (RFC 6749, 5.2).
        (400 | 401 | 403, "invalid_client" | "invalid_grant" | "invalid_token" | "unauthorized_client") => {
            Why::Unauthenticated
        }
        (401, _) => Why::Unauthenticated,
        (402 | 403 | 451, _) => Why::Denied,
        (404 | 410, _) => Why::Changed,
        (407 | 408 | 425 | 500.., _) => Why::Unavailable,
        _ => Why::Malformed,
    }
}

/// Whether an answer asks to slow down. Some providers say so with 403 and only the headers or the words tell it from a
/// denial (GitHub, "Rate limits for the REST API").
pub(crate) fn is_throttle(answer: &Response<Bytes>) -> bool {
    match answer.status().as_u16() {
        429 => true,
        400 | 503 => told(answer.body()).0.is_some_and(|code| aws(&code) == Some(Why::Throttled)),
        403 => {
            answer.headers().contains_key("retry-after")
                || dialect::told(answer.headers()).is_some_and(|told| told.remaining == 0)
                || dialect::is_secondary(answer)
        }
        _ => false,
    }
}

/// The provider's code and message, where its body has them in a usual place.
fn told(body: &[u8]) -> (Option<String>, Option<String>) {
    if body.len() > BODY_MAX {
        return (None, None);
    }
    if body.trim_ascii_start().first() == Some(&b'<') {
        return told_in_xml(body).unwrap_or_default();
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return (None, None) };
    let code = CODES.iter().filter_map(|place| body.pointer(place)).find_map(code_of);
    let message = MESSAGES.iter().filter_map(|place| body.pointer(place)).find_map(Value::as_str);
    (code, message.filter(|it| !it.trim().is_empty()).map(str::to_owned))
}

/// Code and message as AWS has them in XML: `<Error><Code>…</Code><Message>…</Message></Error>`.
fn told_in_xml(body: &[u8]) -> Option<(Option<String>, Option<String>)> {
    let document = Element::parse(body)?;
    let error = if document.name() == "Error" { &document } else { document.find("Error")? };
    let code = error.said("Code").and_then(|code| code_of(&Value::from(code)));
    // This answer repeats the request that could not be verified, session token and all.
    let message = error.said("Message").filter(|_| code.as_deref() != Some("SignatureDoesNotMatch"));
    Some((code, message.map(str::to_owned)))
}

/// What one of AWS's own codes means, where it is not what its status says.
fn aws(code: &str) -> Option<Why> {
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "TooManyUpdates"
        | "SlowDown" => Some(Why::Throttled),
        "AccessDenied" | "AccessDeniedException" | "NotAuthorized" | "OptInRequired" => Some(Why::Denied),
        "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => Some(Why::Unauthenticated),
        code if STALE.contains(&code) => Some(Why::Unauthenticated),
        _ => None,
    }
}

/// Whether an answer refuses the credential itself: another one may be there by now.
pub(crate) fn is_stale(answer: &Response<Bytes>) -> bool {
    match answer.status().as_u16() {
        401 => true,
        400 | 403 => told(answer.body()).0.is_some_and(|code| STALE.contains(&code.as_str())),
        _ => false,
    }
}

/// A word or a number that can be a code: what has blanks is a sentence.
fn code_of(value: &Value) -> Option<String> {
    match value {
        // A shape's name may stand before it, as in `com.amazonaws.ssm#ParameterNotFound`.
        Value::String(word) if word.contains('#') => code_of(&Value::from(word.rsplit('#').next()?)),
        Value::String(word) if !word.is_empty() && word.len() <= 64 && !word.contains(char::is_whitespace) => {
            Some(word.clone())
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from(body.to_owned()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        answer
    }

    #[test]
    fn every_shape_of_error_is_named_by_what_to_do() {
        let table = [
            // GitHub, Graph, Google, OAuth, Vault, Datadog, Cloudflare, Okta, Twilio, RFC 9457.
            (404, r#"{"message":"Not Found"}"#, Why::Changed, "404", "HTTP 404: Not Found"),
            (
                403,
                r#"{"error":{"code":"Authorization_RequestDenied","message":"Insufficient"}}"#,
                Why::Denied,
                "Authorization_RequestDenied",
                "HTTP 403: Authorization_RequestDenied: Insufficient",
            ),
            (
                403,
                r#"{"error":{"code":403,"message":"No","status":"PERMISSION_DENIED"}}"#,
                Why::Denied,
                "PERMISSION_DENIED",
                "HTTP 403: PERMISSION_DENIED: No",
            ),
            (
                400,
                r#"{"error":"invalid_client","error_description":"unknown"}"#,
                Why::Unauthenticated,
                "invalid_client",
                "HTTP 400: invalid_client: unknown",
            ),
            (403, r#"{"errors":["permission denied"]}"#, Why::Denied, "403", "HTTP 403: permission denied"),
            (401, r#"{"errors":["Unauthorized"]}"#, Why::Unauthenticated, "401", "HTTP 401: Unauthorized"),
            (403, r#"{"errors":[{"code":9109,"message":"m"}]}"#, Why::Denied, "9109", "HTTP 403: 9109: m"),
            (
                401,
                r#"{"errorCode":"E0000011","errorSummary":"Invalid token"}"#,
                Why::Unauthenticated,
                "E0000011",
                "HTTP 401: E0000011: Invalid token",
            ),
            (422, r#"{"type":"t","title":"Wrong","detail":"x y"}"#, Why::Malformed, "t", "HTTP 422: t: x y"),
            (503, "<html>hunter2</html>", Why::Unavailable, "503", "HTTP 503"),
            (502, "", Why::Unavailable, "502", "HTTP 502"),
            // AWS: in XML, and in JSON with another status than others have.
            (
                403,
                "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>No</Message></Error></ErrorResponse>",
                Why::Unauthenticated,
                "InvalidClientTokenId",
                "HTTP 403: InvalidClientTokenId: No",
            ),
            (
                403,
                "<R><Error><Code>SignatureDoesNotMatch</Code><Message>hunter2</Message></Error></R>",
                Why::Unauthenticated,
                "SignatureDoesNotMatch",
                "HTTP 403: SignatureDoesNotMatch",
            ),
            (
                400,
                r#"{"__type":"com.amazonaws.ssm#AccessDeniedException","Message":"No"}"#,
                Why::Denied,
                "AccessDeniedException",
                "HTTP 400: AccessDeniedException: No",
            ),
            (
                400,
                r#"{"__type":"ParameterNotFound"}"#,
                Why::Malformed,
                "ParameterNotFound",
                "HTTP 400: ParameterNotFound",
            ),
            (404, r#"{"error":{"code":"NotFound"}}"#, Why::Changed, "404", "HTTP 404: NotFound"),
            (302, "", Why::Malformed, "302", "HTTP 302"),
        ];
        for (status, body, why, code, said) in table {
            let failure = blamed("GET /x", &answer(status, &[], body));
            assert_eq!((failure.why, failure.code.as_str(), failure.said.as_str()), (why, code, said), "{body}");
            assert_eq!(failure.is_missing(), status == 404);
        }
        let echoed = format!(r#"{{"message":"bad token ghp_{} given"}}"#, "a1".repeat(20));
        let failure = blamed("GET /x", &answer(401, &[], &echoed));
        assert!(!failure.said.contains("ghp_") && failure.said.contains("bad token"), "{failure}");
    }

    #[test]
    fn a_throttle_is_told_from_a_denial() {
        let table = [
            (answer(429, &[], ""), true),
            (answer(403, &[("x-ratelimit-remaining", "0")], ""), true),
            (answer(403, &[("x-ratelimit-remaining", "10")], ""), false),
            (answer(403, &[("retry-after", "60")], ""), true),
            (answer(403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#), true),
            (answer(403, &[], r#"{"message":"Resource not accessible by integration"}"#), false),
            (answer(400, &[], "<E><Error><Code>Throttling</Code></Error></E>"), true),
            (answer(400, &[], r#"{"__type":"ThrottlingException"}"#), true),
            (answer(400, &[], r#"{"__type":"ValidationException"}"#), false),
            (answer(503, &[("retry-after", "60")], ""), false),
        ];
        for (answer, throttle) in table {
            assert_eq!(is_throttle(&answer), throttle, "{answer:?}");
            assert_eq!(blamed("GET /x", &answer).why == Why::Throttled, throttle);
        }
    }
}
