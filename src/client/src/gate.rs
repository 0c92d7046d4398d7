//! The gate itself: an HTTP client for the AWS SDK that lets declared reads pass, one connection pool behind it.
//! It must never open a connection for an operation it refuses.

use std::{fmt, sync::Arc, time::Duration};

use aws_smithy_http_client::{
    pool::{Client, ConnectionPool},
    tls,
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use bytes::{Bytes, BytesMut};
use provost_model::Time;
use tokio::{sync::Semaphore, time::Instant};

use crate::{Call, Egress, Pace, Refused, dated::Dated, operation_of, tally::Tally, whole::is_whole};

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
    pool: Client,
    pace: Pace,
    tally: Tally,
    dated: Dated,
    limits: Limits,
    flight: Semaphore,
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
        let unset = |error: &dyn fmt::Display| format!("the HTTPS client cannot be set up: {error}");
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let mut pool = ConnectionPool::builder()
            .max_connections_per_host(limits.in_flight.max(1))
            .proxy_config(egress.proxy)
            .tls_provider(provider);
        if let Some(trust) = egress.trust {
            let trust = tls::TrustStore::empty().with_pem_certificate(&*trust);
            let context = tls::TlsContext::builder().with_trust_store(trust).build();
            pool = pool.tls_context(context.map_err(|error| unset(&error))?);
        }
        let pool = pool.build_https().map_err(|error| unset(&error))?;
        let pool = Client::new(&pool).map_err(|error| unset(&error))?;
        let flight = Semaphore::new(limits.in_flight.max(1));
        Ok(Self(Arc::new(Inner { pool, pace, tally: Tally::default(), dated: Dated::default(), limits, flight })))
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
    fn http_connector(&self, _: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let settings = HttpConnectorSettings::builder().connect_timeout(self.gate.0.limits.connect).build();
        let way = self.gate.0.pool.http_connector(&settings, components);
        SharedHttpConnector::new(Passage { door: self.clone(), way })
    }
}

/// A door with the connector behind it.
#[derive(Debug)]
struct Passage {
    door: Door,
    way: SharedHttpConnector,
}

impl HttpConnector for Passage {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation_of(&request);
        if !self.door.allowed.contains(&operation.as_str()) {
            tracing::warn!(operation, "refused a call that is not a declared read");
            return HttpConnectorFuture::ready(Err(ConnectorError::user(Refused::NotARead(operation).into())));
        }
        let (door, way) = (self.door.clone(), self.way.clone());
        HttpConnectorFuture::new(async move { door.pass(&operation, request, &way).await })
    }
}

impl Door {
    async fn pass(
        self,
        operation: &str,
        request: HttpRequest,
        way: &SharedHttpConnector,
    ) -> Result<HttpResponse, ConnectorError> {
        let inner = &self.gate.0;
        let sent = if self.paced { inner.pace.turn(operation).await } else { Instant::now() };
        let closed = |error: tokio::sync::AcquireError| ConnectorError::other(error.into(), None);
        let _place = if self.paced { Some(inner.flight.acquire().await.map_err(closed)?) } else { None };
        if !inner.tally.admit(inner.limits.calls) {
            return Err(ConnectorError::user(Refused::Budget(inner.limits.calls).into()));
        }
        let answer = tokio::time::timeout(inner.limits.attempt, whole(way.call(request), inner.limits.answer)).await;
        let answer = answer
            .unwrap_or_else(|_| Err(ConnectorError::timeout(Refused::Slow(inner.limits.attempt.as_secs()).into())));
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
        answer
    }
}

/// The answer with its whole body in memory, so that the connection is free again and the size is bounded.
async fn whole(call: HttpConnectorFuture, most: usize) -> Result<HttpResponse, ConnectorError> {
    let mut answer = call.await?;
    let mut body = ByteStream::new(answer.take_body());
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| ConnectorError::io(Refused::Cut.into()))?;
        length += chunk.len();
        if length > most {
            return Err(ConnectorError::user(Refused::TooLarge(most).into()));
        }
        chunks.push(chunk);
    }
    *answer.body_mut() = SdkBody::from(joined(chunks, length));
    Ok(answer)
}

/// Refuses an answer that says it went well and is not whole: what such an answer lacks is not absent.
fn checked(answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    if answer.status().is_success() && !is_whole(answer.body().bytes().unwrap_or_default()) {
        return Err(ConnectorError::user(Refused::Broken.into()));
    }
    Ok(answer)
}

fn joined(mut chunks: Vec<Bytes>, length: usize) -> Bytes {
    if chunks.len() <= 1 {
        return chunks.pop().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(length);
    for chunk in chunks {
        all.extend_from_slice(&chunk);
    }
    all.freeze()
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
