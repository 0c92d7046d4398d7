//! Octocrab with our gate for its transport: as a GitHub App it signs, asks and reads, and every call of it is a declared one.
//! It must never get a transport or a retry of its own.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use octocrab::{
    AuthState, OctoBody, Octocrab, OctocrabBuilder,
    auth::{AppAuth, EncodingKey},
    models::AppId,
};
use provost_client::{Answer, Ask, Body, Failure, Web, authority::SecretOf};
use provost_model::Why;
use secrecy::ExposeSecret;
use tower_service::Service;

/// Reads that octocrab may send, with what its paths look like.
const READS: [(&str, &str, &str); 2] = [
    ("GET /app/installations", "/app/installations", ""),
    (super::signing::TOKENS, "/app/installations/", "/access_tokens"),
];

/// Octocrab as the App of that id, its key read anew.
pub(super) async fn as_app(web: &Web, id: u64, key: SecretOf) -> Result<Octocrab, Failure> {
    // The reference may be a program.
    let pem = tokio::task::spawn_blocking(move || key()).await;
    let pem = pem.unwrap_or_else(|_| Err("the private key could not be asked for".to_owned())).map_err(unsigned)?;
    let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())
        .map_err(|_| unsigned("the private key is no RSA key in PEM".to_owned()))?;
    let auth = AuthState::App(AppAuth { app_id: AppId(id), key });
    let built: Result<Octocrab, Infallible> =
        OctocrabBuilder::new_empty().with_service(Door(web.clone())).with_auth(auth).build();
    built.map_err(|never| match never {})
}

/// The failure behind an error of octocrab: ours if a call failed, another if it does not understand the answer.
pub(super) fn failed(read: &str, error: &octocrab::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.clone();
        }
        cause = error.source();
    }
    let said = match error {
        octocrab::Error::JWT { .. } => return unsigned("the private key cannot sign".to_owned()),
        _ => "the answer is not what it should be",
    };
    Failure::new(read, Why::Malformed, "", said)
}

pub(super) fn unsigned(said: String) -> Failure {
    Failure::new("authentication", Why::Unauthenticated, "", &said)
}

/// The gate as octocrab's transport.
#[derive(Clone)]
struct Door(Web);

impl Service<Request<OctoBody>> for Door {
    type Response = Response<Full<Bytes>>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        let web = self.0.clone();
        Box::pin(async move {
            let answer = web.ask(asked(request).await?).await?;
            Ok(response(&answer))
        })
    }
}

/// The question behind a request of octocrab. One that is not declared names no read, and so does not pass the gate.
async fn asked(request: Request<OctoBody>) -> Result<Ask, Failure> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let of = |(read, before, after): &(&'static str, &str, &str)| {
        let value = path.strip_prefix(before)?.strip_suffix(after)?;
        let is_get = read.starts_with("GET ") == (parts.method == http::Method::GET);
        (is_get && value.is_empty() == after.is_empty()).then_some((*read, value))
    };
    let (read, value) = READS.iter().find_map(of).unwrap_or((path, ""));
    let values: &[&str] = if value.is_empty() { &[] } else { &[value] };
    let mut ask = Ask::get(read, values);
    if parts.method == http::Method::POST {
        let bytes = body.collect().await.map_err(|_| Failure::new(read, Why::Malformed, "", "a body broke off"))?;
        let body = serde_json::from_slice(&bytes.to_bytes());
        let body = body.map_err(|_| Failure::new(read, Why::Malformed, "", "a body is no JSON"))?;
        ask = Ask::post(read, values, Body::Json(body));
    }
    for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        ask = ask.query(name, value);
    }
    let signature = signature(&parts.headers);
    Ok(ask.signed_with(signature))
}

fn signature(headers: &HeaderMap) -> Vec<(http::HeaderName, http::HeaderValue)> {
    headers.get(header::AUTHORIZATION).map(|value| (header::AUTHORIZATION, value.clone())).into_iter().collect()
}

fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(answer.body())));
    if let Ok(status) = http::StatusCode::from_u16(answer.status()) {
        *response.status_mut() = status;
    }
    if let Some(Ok(link)) = answer.header("link").map(http::HeaderValue::from_str) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}
