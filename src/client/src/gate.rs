//! The gate itself: an HTTP client for the AWS SDK that lets declared reads pass, one connection pool behind it.
//! It must never open a connection for an operation it refuses.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use provost_model::Time;
use tokio::{sync::Semaphore, time::Instant};
use url::Url;

use crate::{Call, Egress, Pace, Refused, dated::Dated, operation_of, tally::Tally, web::Wire, whole::is_whole};

/// Bounds on what goes out and what comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls in flight, and so connections.
    pub in_flight: usize,
    /// Time for a connection.
    pub connect: Duration,
    /// Time for one call, from sending to the last byte of its answer.
    pub attempt: Duration,
    /// Largest answer, in bytes.
    pub answer: usize,
    /// Calls in one run.
    pub calls: u64,
}

/// The way out of one source.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

/// A door of a gate: an HTTP client for an SDK that lets certain operations pass. All doors share pool, pace and count.
#[derive(Clone)]
pub struct Door {
    gate: Gate,
    allowed: Arc<[&'static str]>,
    /// Stands behind the operation in the count, to tell purposes apart.
    purpose: &'static str,
    paced: bool,
}

struct Inner {
    wire: Wire,
    pace: Pace,
    tally: Tally,
    dated: Dated,
    limits: Limits,
    flight: Semaphore,
    /// The address of the last call.
    address: Mutex<Option<(http::Uri, Url)>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 16,
            connect: Duration::from_secs(5),
            attempt: Duration::from_secs(30),
            answer: 64 << 20,
            calls: u64::MAX,
        }
    }
}

impl Gate {
    /// A gate with that pace and those limits, straight out of this host. Fails if TLS cannot be set up.
    pub fn new(pace: Pace, limits: Limits) -> Result<Self, String> {
        Self::by(Egress::default(), pace, limits)
    }

    /// The same by another way out.
    pub fn by(egress: Egress, pace: Pace, limits: Limits) -> Result<Self, String> {
        // Not everything has TLS: a machine's own metadata service, and servers that stand in for a provider's.
        let wire = Wire::new(&egress, (&limits, limits.in_flight.max(1)), true)?;
        let flight = Semaphore::new(limits.in_flight.max(1));
        let (tally, dated, address) = (Tally::default(), Dated::default(), Mutex::default());
        Ok(Self(Arc::new(Inner { wire, pace, tally, dated, limits, flight, address })))
    }

    /// A door for those reads. `purpose` is empty, or a word that stands behind the operation in the count.
    pub fn reads(&self, allowed: impl IntoIterator<Item = &'static str>, purpose: &'static str) -> Door {
        Door { gate: self.clone(), allowed: allowed.into_iter().collect(), purpose, paced: true }
    }

    /// A door for what the credential chain sends: not paced, and no read passes it.
    pub fn credentials(&self, allowed: impl IntoIterator<Item = &'static str>) -> Door {
        Door { gate: self.clone(), allowed: allowed.into_iter().collect(), purpose: "", paced: false }
    }

    /// Calls sent since this was last asked.
    pub fn calls(&self) -> Vec<Call> {
        self.0.tally.drain()
    }

    /// Connections opened since the beginning.
    pub fn opened(&self) -> u64 {
        self.0.wire.opened()
    }

    /// The time it is at the provider, by its answers since this was last asked.
    pub fn provider_time(&self) -> Option<Time> {
        self.0.dated.now()
    }

    /// Begins a new run: its calls are counted from zero.
    pub fn begin(&self) {
        self.0.tally.reset();
        self.0.dated.forget();
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("allowed", &self.allowed.len()).field("purpose", &self.purpose).finish()
    }
}

impl HttpClient for Door {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Door {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation_of(&request);
        if !self.allowed.contains(&operation.as_str()) {
            tracing::warn!(operation, "refused a call that is not a declared read");
            return HttpConnectorFuture::ready(Err(ConnectorError::user(Refused::NotARead(operation).into())));
        }
        let door = self.clone();
        HttpConnectorFuture::new(async move { door.pass(&operation, request).await })
    }
}

impl Door {
    async fn pass(self, operation: &str, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let inner = &self.gate.0;
        let request = inner.outgoing(request).map_err(refused)?;
        let sent = if self.paced { inner.pace.turn(operation).await } else { Instant::now() };
        let closed = |error: tokio::sync::AcquireError| ConnectorError::other(error.into(), None);
        let _place = if self.paced { Some(inner.flight.acquire().await.map_err(closed)?) } else { None };
        if !inner.tally.admit(inner.limits.calls) {
            return Err(refused(Refused::Budget(inner.limits.calls)));
        }
        let answer = match self.paced {
            true => inner.wire.send(operation, request, &inner.limits).await,
            false => inner.wire.send_unrecorded(request, &inner.limits).await,
        };
        let answer = answer.and_then(incoming);
        // The credential chain's answers are not all XML, and nothing is taken for absent because of them.
        let answer = if self.paced { answer.and_then(checked) } else { answer };
        let throttled = answer.as_ref().is_ok_and(is_throttle);
        inner.tally.note(format!("{operation}{}", self.purpose), throttled);
        if let (Ok(answer), true) = (&answer, self.paced) {
            inner.dated.note(answer.headers().get("date"));
        }
        match &answer {
            Ok(_) if throttled => inner.pace.was_throttled(operation, sent),
            Ok(_) => inner.pace.went_well(operation),
            Err(_) => {}
        }
        answer.map_err(refused)
    }
}

impl Inner {
    /// A request of the SDK as the transport takes it: at the address that was signed, with a body in memory.
    fn outgoing(&self, request: HttpRequest) -> Result<reqwest::Request, Refused> {
        let unfit = || Refused::Unfit("the request is not one of HTTP".to_owned());
        let request = request.try_into_http1x().map_err(|_| unfit())?;
        let (mut head, body) = request.into_parts();
        let body = body.bytes().map(Bytes::copy_from_slice);
        let body = body.ok_or_else(|| Refused::Unfit("its body is not in memory".to_owned()))?;
        if let Some(signature) = head.headers.get_mut(http::header::AUTHORIZATION) {
            signature.set_sensitive(true);
        }
        let mut outgoing = reqwest::Request::new(head.method, self.address(head.uri).ok_or_else(unfit)?);
        *outgoing.headers_mut() = head.headers;
        *outgoing.body_mut() = Some(body.into());
        Ok(outgoing)
    }

    /// The address as the transport takes it. Nearly every call goes to the one before.
    fn address(&self, uri: http::Uri) -> Option<Url> {
        let mut last = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = last.as_ref().filter(|(known, _)| *known == uri) {
            return Some(url.clone());
        }
        let url = Url::parse(&uri.to_string()).ok()?;
        *last = Some((uri, url.clone()));
        Some(url)
    }
}

fn incoming(answer: http::Response<Bytes>) -> Result<HttpResponse, Refused> {
    HttpResponse::try_from(answer.map(SdkBody::from)).map_err(|_| Refused::Broken)
}

/// A refusal as the SDK hands it on.
fn refused(refused: Refused) -> ConnectorError {
    match refused {
        Refused::Slow(_) => ConnectorError::timeout(refused.into()),
        Refused::Cut | Refused::Unreached(_) => ConnectorError::io(refused.into()),
        _ => ConnectorError::user(refused.into()),
    }
}

/// Refuses an answer that says it went well and is not whole: what such an answer lacks is not absent.
fn checked(answer: HttpResponse) -> Result<HttpResponse, Refused> {
    if answer.status().is_success() && !is_whole(answer.body().bytes().unwrap_or_default()) {
        return Err(Refused::Broken);
    }
    Ok(answer)
}

/// How bodies say that it was too much: in XML a code, in JSON the name of an exception behind a namespace or alone.
const THROTTLES: [&[u8]; 10] = [
    b"<Code>Throttling",
    b"<Code>RequestLimitExceeded",
    b"<Code>SlowDown",
    b"<Code>TooManyRequests",
    b"#ThrottlingException\"",
    b"\"ThrottlingException\"",
    b"#TooManyRequestsException\"",
    b"\"TooManyRequestsException\"",
    b"\"RequestLimitExceeded\"",
    b"\"ThrottledException\"",
];

/// Whether an answer asks to slow down. IAM and others say so with status 400 and a code in the body.
fn is_throttle(answer: &HttpResponse) -> bool {
    let status = answer.status().as_u16();
    if status == 429 {
        return true;
    }
    if status != 400 && status != 503 {
        return false;
    }
    let body = answer.body().bytes().unwrap_or_default();
    let body = body.get(..body.len().min(2048)).unwrap_or_default();
    THROTTLES.iter().any(|code| body.windows(code.len()).any(|window| window == *code))
}
