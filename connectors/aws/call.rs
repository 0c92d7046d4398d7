//! Calls of AWS's JSON protocols, for services of which a handful of listings is asked: signed, sent and read by hand.
//! It must never take an answer that lacks what its operation always gives for one in which there is nothing.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use provost_client::Failure;
use provost_model::{Time, Why};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::{
    session::Session,
    signed::{Request, failed},
};

/// Parts of China's partition end so; those of all others as below.
const DOMAIN_CHINA: &str = "amazonaws.com.cn";
const DOMAIN: &str = "amazonaws.com";

/// An operation of the RPC style.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rpc {
    /// Its name, such as `kms:ListKeys`.
    pub(super) operation: &'static str,
    /// The first label of the service's host.
    pub(super) host: &'static str,
    /// The name that signatures are scoped to.
    pub(super) service: &'static str,
    /// What stands in `X-Amz-Target`.
    pub(super) target: &'static str,
}

/// An operation of the REST style.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Its name, such as `eks:ListClusters`.
    pub(super) operation: &'static str,
    /// The first label of the service's host.
    pub(super) host: &'static str,
    /// The name that signatures are scoped to.
    pub(super) service: &'static str,
    pub(super) method: &'static str,
}

/// A time in an answer: seconds since 1970 as a number, or a text of RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(pub(super) Time);

impl Session {
    /// Asks an operation of the RPC style in a region.
    pub(super) async fn rpc<T: DeserializeOwned>(&self, api: &Rpc, region: &str, body: &Value) -> Result<T, Failure> {
        let uri = format!("{}/", self.origin_of(api.host, region));
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", api.target)];
        let body = body.to_string();
        let request = Request {
            operation: api.operation,
            method: "POST",
            uri: &uri,
            scope: (region, api.service),
            headers: &headers,
            body: body.as_bytes(),
        };
        self.json(&request).await
    }

    /// Asks an operation of the REST style in a region: path with query, and a body where the operation has one.
    pub(super) async fn rest<T: DeserializeOwned>(
        &self,
        api: &Rest,
        region: &str,
        (path, body): (&str, Option<&Value>),
    ) -> Result<T, Failure> {
        let uri = format!("{}{path}", self.origin_of(api.host, region));
        let (headers, body) = match body {
            Some(body) => (&[("content-type", "application/json")][..], body.to_string()),
            None => (&[][..], String::new()),
        };
        let request = Request {
            operation: api.operation,
            method: api.method,
            uri: &uri,
            scope: (region, api.service),
            headers,
            body: body.as_bytes(),
        };
        self.json(&request).await
    }

    async fn json<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, Failure> {
        let way = self.way(false).await?;
        let answer = self.patiently(request.operation, || way.send(request, fault)).await?;
        let body = answer.body().bytes().unwrap_or_default();
        // A parser's words may repeat what it read: they are left out.
        serde_json::from_slice(body).map_err(|error| {
            let said =
                format!("the answer is not of the form expected (line {}, column {})", error.line(), error.column());
            Failure { why: Why::Malformed, ..failed(request.operation, &said) }
        })
    }

    /// Scheme and host of a service in a region, or the endpoint that is set for everything.
    pub(super) fn origin_of(&self, host: &str, region: &str) -> String {
        match self.endpoint() {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => {
                format!("https://{host}.{region}.{}", if region.starts_with("cn-") { DOMAIN_CHINA } else { DOMAIN })
            }
        }
    }
}

/// Code and message of a JSON answer with an error: in a header, or in the body behind a namespace.
fn fault(answer: &HttpResponse) -> (Option<String>, Option<String>) {
    #[derive(Default, Deserialize)]
    struct Fault {
        #[serde(rename = "__type", alias = "code", alias = "Code")]
        code: Option<String>,
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let body = answer.body().bytes().unwrap_or_default();
    let said: Fault = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.headers().get("x-amzn-errortype").map(str::to_owned).or(said.code);
    let plain = |code: String| {
        let code = code.split(':').next().unwrap_or_default();
        code.rsplit('#').next().unwrap_or_default().to_owned()
    };
    (code.map(plain), said.message)
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("no time");
        match Value::deserialize(deserializer)? {
            Value::Number(seconds) => {
                let micros = seconds.as_f64().ok_or_else(wrong)? * 1e6;
                // Far beyond any date, and within what a float holds exactly.
                if micros.abs() > 9e15 {
                    return Err(wrong());
                }
                Ok(Self(Time::from_micros(micros.round() as i64)))
            }
            Value::String(text) => text_time(&text).map(Self).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

/// A list or map that is left out, or said to be nothing, where there is nothing in it.
pub(super) fn or_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A time as services write it: RFC 3339, or with an offset without its colon.
fn text_time(text: &str) -> Option<Time> {
    let text = match text.split_at_checked(text.len().saturating_sub(5)) {
        Some((before, "+0000")) => format!("{before}Z"),
        _ => text.to_owned(),
    };
    text.parse().ok()
}

/// The query of a REST call: pairs behind the path, with whatever is special in them encoded.
pub(super) fn with_query(path: &str, pairs: &[(&str, Option<&str>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    // A signature wants spaces as %20, and a plus is encoded already.
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.replace('+', "%20")) }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answer(header: Option<&str>, body: &str) -> HttpResponse {
        let mut answer = HttpResponse::new(400_u16.try_into().unwrap(), SdkBody::from(body));
        if let Some(value) = header {
            answer.headers_mut().insert("x-amzn-errortype", value.to_owned());
        }
        answer
    }

    #[test]
    fn an_error_is_named_in_whichever_place_it_stands() {
        let table = [
            (None, r#"{"__type":"AccessDeniedException","Message":"no"}"#, "AccessDeniedException", Some("no")),
            (None, r#"{"__type":"com.amazonaws.kms#NotFoundException","message":"x"}"#, "NotFoundException", Some("x")),
            (Some("ThrottlingException:http://internal"), "{}", "ThrottlingException", None),
        ];
        for (header, body, code, message) in table {
            assert_eq!(fault(&answer(header, body)), (Some(code.to_owned()), message.map(str::to_owned)), "{body}");
        }
        assert_eq!(fault(&answer(None, "<html>")), (None, None));
    }

    #[test]
    fn times_come_as_numbers_and_as_texts() {
        let time = |json: &str| serde_json::from_str::<At>(json).map(|at| at.0.to_string()).ok();
        assert_eq!(time("1700000000.25").as_deref(), Some("2023-11-14T22:13:20.25Z"));
        assert_eq!(time(r#""2026-01-02T03:04:05Z""#).as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!(time(r#""2026-01-02T03:04:05.120+0000""#).as_deref(), Some("2026-01-02T03:04:05.12Z"));
        for wrong in ["null", "true", "1e300", r#""yesterday""#, r#""+0000""#, r#""""#] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_query_is_encoded_as_a_signature_wants_it() {
        assert_eq!(with_query("/x", &[("a", None)]), "/x");
        assert_eq!(with_query("/x", &[("a", Some("b c+d/=")), ("n", Some("1"))]), "/x?a=b%20c%2Bd%2F%3D&n=1");
    }
}
