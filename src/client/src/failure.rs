//! What went wrong with a call, named by what an operator does about it.
//! It must never repeat a secret that a provider's message echoes.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use provost_model::Why;
use thiserror::Error;

/// Longest message kept of a provider's answer, in bytes.
const SAID_MAX: usize = 300;
/// Runs of such characters this long could be a token, a signature or a key.
const TOKEN_LENGTH: usize = 40;
/// What is said when the provider finds the time of a request wrong.
const CLOCK: &str = "the clock of this machine and the provider's differ too much";

/// A call that gave no answer to work with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{operation}: {said}")]
pub struct Failure {
    /// The operation.
    pub operation: String,
    /// What to do about it.
    pub why: Why,
    /// The provider's error code where it gave one, such as `NoSuchEntity`.
    pub code: String,
    /// What the provider said, without secrets.
    pub said: String,
}

impl Failure {
    /// A failure in these words, cut short and with whatever could be a token masked.
    pub fn new(operation: &str, why: Why, code: &str, said: &str) -> Self {
        let (code, said) = (without_secrets(code), without_secrets(said));
        Self { operation: operation.to_owned(), why, code, said }
    }

    /// A call that was refused on this side.
    pub(crate) fn refused(operation: &str, refused: &Refused) -> Self {
        Self::new(operation, refused.why(), "", &refused.to_string())
    }

    /// Whether the provider says that there is nothing at that place: status 404 or 410 of a call through [`crate::Web`].
    /// Many providers say the same of what may not be seen.
    pub fn is_missing(&self) -> bool {
        matches!(self.code.as_str(), "404" | "410")
    }
}

/// Why a request did not leave, or its answer was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The operation is not among the reads the connector declared.
    #[error("{0} is not a read this source declares: refused before sending")]
    NotARead(String),
    /// The operation is not among the acts that whoever acts declared.
    #[error("{0} is not an act that is declared: refused before sending")]
    NotAnAct(String),
    /// The run has sent as many calls as it may.
    #[error("the {0} calls this source may send in a run are used up")]
    Budget(u64),
    /// The answer is larger than what is taken.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer did not come in the time allowed for it.
    #[error("no answer within {0} s")]
    Slow(u64),
    /// The answer broke off.
    #[error("the connection was cut before the end of the answer")]
    Cut,
    /// The answer is not whole, though it came to its end.
    #[error("the answer is not whole")]
    Broken,
    /// The request cannot be made as it was asked.
    #[error("the call was not sent: {0}")]
    Unfit(String),
    /// The provider, or the share of its budget that is left to others, wants the call to wait for longer than it may.
    #[error("what this source may take of the provider's budget is used up for another {0} s")]
    Spared(u64),
    /// There is no connection.
    #[error("{0}")]
    Unreached(&'static str),
}

impl Refused {
    fn why(&self) -> Why {
        match self {
            Refused::NotARead(_) | Refused::NotAnAct(_) => Why::Denied,
            Refused::Budget(_) | Refused::TooLarge(_) => Why::TooLarge,
            Refused::Slow(_) | Refused::Cut | Refused::Unreached(_) => Why::Unavailable,
            Refused::Spared(_) => Why::Throttled,
            Refused::Broken | Refused::Unfit(_) => Why::Malformed,
        }
    }
}

/// The failure behind an SDK error.
pub fn classified<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let (why, code, said) = match error {
        SdkError::ServiceError(answer) => {
            let (status, meta) = (answer.raw().status().as_u16(), answer.err().meta());
            answered(status, meta.code(), meta.message())
        }
        SdkError::ResponseError(answer) if answer.raw().status().is_server_error() => {
            let status = answer.raw().status().as_u16();
            (Why::Unavailable, String::new(), format!("HTTP {status} without a readable answer"))
        }
        SdkError::ResponseError(_) => (Why::Malformed, String::new(), "the answer cannot be read".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let source = failure.as_connector_error().map(|it| it as &(dyn Error + 'static));
            unsent(source, failure.is_timeout())
        }
        SdkError::TimeoutError(_) => (Why::Unavailable, String::new(), "no answer in time".to_owned()),
        other => unsent(other.source(), false),
    };
    Failure { operation: operation.to_owned(), why, code, said: without_secrets(&said) }
}

/// The failure behind an answer with an error, for calls made without the SDK.
pub fn answered_badly(operation: &str, status: u16, code: Option<&str>, message: Option<&str>) -> Failure {
    let (why, code, said) = answered(status, code, message);
    Failure { operation: operation.to_owned(), why, code, said: without_secrets(&said) }
}

/// The failure of a call made without the SDK that got no answer: it did not leave, or nothing came back.
pub fn unanswered(operation: &str, error: &(dyn Error + 'static)) -> Failure {
    let timed_out = error.downcast_ref::<ConnectorError>().is_some_and(ConnectorError::is_timeout);
    let (why, code, said) = unsent(Some(error), timed_out);
    Failure { operation: operation.to_owned(), why, code, said: without_secrets(&said) }
}

/// What an answer with an error code means.
fn answered(status: u16, code: Option<&str>, message: Option<&str>) -> (Why, String, String) {
    let code = code.unwrap_or_default();
    let why = match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "LimitExceeded"
        | "PriorRequestNotComplete" => Why::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "AuthorizationError"
        | "OptInRequired"
        | "UnauthorizedAccess" => Why::Denied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "RequestExpired"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "AuthFailure"
        | "RequestTimeTooSkewed"
        | "InvalidAccessKeyId"
        | "TokenRefreshRequired" => Why::Unauthenticated,
        _ if status == 429 => Why::Throttled,
        _ if status >= 500 => Why::Unavailable,
        _ if status == 401 => Why::Unauthenticated,
        _ if status == 403 => Why::Denied,
        _ => Why::Malformed,
    };
    let message = match (code, message) {
        ("RequestTimeTooSkewed", _) => Some(CLOCK),
        // IAM calls a clock that is wrong a signature that is too old or too new.
        ("SignatureDoesNotMatch", Some(text)) if text.starts_with("Signature expired") => Some(CLOCK),
        ("SignatureDoesNotMatch", Some(text)) if text.starts_with("Signature not yet current") => Some(CLOCK),
        // This answer repeats the request it could not verify, session token and all.
        ("SignatureDoesNotMatch", _) => None,
        (_, message) => message,
    };
    let said = match (code, message) {
        ("", None) => format!("HTTP {status}"),
        ("", Some(message)) => format!("HTTP {status}: {message}"),
        (code, None) => code.to_owned(),
        (code, Some(message)) => format!("{code}: {message}"),
    };
    (why, code.to_owned(), said)
}

/// Why a call gave no answer at all.
fn unsent(source: Option<&(dyn Error + 'static)>, timed_out: bool) -> (Why, String, String) {
    let mut cause = source;
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return (refused.why(), String::new(), refused.to_string());
        }
        if let Some(credentials) = error.downcast_ref::<CredentialsError>() {
            return (Why::Unauthenticated, String::new(), no_credentials(credentials));
        }
        cause = error.source();
    }
    let said = if timed_out { "no connection in time" } else { "the provider cannot be reached" };
    (Why::Unavailable, String::new(), said.to_owned())
}

/// Why there are no credentials, in words that name no file's content.
fn no_credentials(error: &CredentialsError) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials were found",
        CredentialsError::ProviderTimedOut(_) => "the place that gives out AWS credentials did not answer in time",
        CredentialsError::InvalidConfiguration(_) => "the AWS profile or its credentials are not valid",
        _ => "AWS credentials could not be obtained; a session may have ended: sign in again",
    }
    .to_owned()
}

/// The text cut short, with whatever could be a token masked.
pub(crate) fn without_secrets(text: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for sign in text.chars().chain(std::iter::once(' ')) {
        if sign.is_ascii_alphanumeric() || matches!(sign, '+' | '/' | '=' | '_' | '%') {
            run.push(sign);
            continue;
        }
        out.push_str(if run.len() >= TOKEN_LENGTH { "…" } else { &run });
        run.clear();
        out.push(sign);
        if out.len() >= SAID_MAX {
            break;
        }
    }
    out.trim().chars().take(SAID_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_named_by_what_to_do() {
        let table = [
            (400, Some("Throttling"), Why::Throttled),
            (503, Some("SlowDown"), Why::Throttled),
            (403, Some("AccessDenied"), Why::Denied),
            (403, Some("ExpiredToken"), Why::Unauthenticated),
            (403, Some("InvalidClientTokenId"), Why::Unauthenticated),
            (403, None, Why::Denied),
            (500, None, Why::Unavailable),
            (503, Some("ServiceUnavailable"), Why::Unavailable),
            (400, Some("ValidationError"), Why::Malformed),
        ];
        for (status, code, why) in table {
            assert_eq!(answered(status, code, Some("x")).0, why, "{status} {code:?}");
        }
    }

    #[test]
    fn a_token_in_a_message_is_masked() {
        let token = "IQoJb3JpZ2luX2VjEAEaCXVzLWVhc3QtMSJHMEUCIQ+abcdefghijklmnop/qrstuv==";
        let said = without_secrets(&format!("bad token {token} for arn:aws:iam::123456789012:user/app"));
        assert!(!said.contains("IQoJ"), "{said}");
        assert!(said.contains("arn:aws:iam::123456789012:user/app"), "{said}");
        let echoed = answered(403, Some("SignatureDoesNotMatch"), Some("x-amz-security-token:short"));
        assert_eq!(echoed.2, "SignatureDoesNotMatch");
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let expired = "Signature expired: 20261124T050000Z is now earlier than 20261124T055500Z";
        for (code, message) in [("SignatureDoesNotMatch", expired), ("RequestTimeTooSkewed", "x")] {
            let (why, _, said) = answered(403, Some(code), Some(message));
            assert_eq!(why, Why::Unauthenticated);
            assert!(said.ends_with(CLOCK), "{said}");
        }
    }
}
