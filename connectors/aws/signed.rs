//! Requests made by hand: signed with the credentials that the SDK would use, and sent through the gate's door.
//! It must never go out by another way than that door, nor sign with credentials that the chain did not give.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{AuthScheme, AuthSchemeId},
        http::{HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpConnector},
        identity::{Identity, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver},
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef},
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use provost_client::{Failure, answered_badly, classified, unanswered};
use provost_model::Why;

const AGENT: &str = concat!("provost/", env!("CARGO_PKG_VERSION"));
/// How long before their end credentials are taken for ended.
const BEFORE_END: Duration = Duration::from_secs(60);

/// A request to be signed and sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// The operation, for failures: the gate reads its own from the request.
    pub(super) operation: &'static str,
    pub(super) method: &'static str,
    pub(super) uri: &'a str,
    /// Region and service that the signature is scoped to.
    pub(super) scope: (&'a str, &'a str),
    pub(super) headers: &'a [(&'static str, &'a str)],
    pub(super) body: &'a [u8],
}

/// Code and message of an answer with an error, as its protocol says them.
pub(super) type Fault = fn(&HttpResponse) -> (Option<String>, Option<String>);

/// The way out as the SDK would take it: its endpoint for IAM, credentials, and the gate's door.
pub(super) struct Way {
    learned: Learned,
    settings: SigningSettings,
    /// Credentials got anew after the provider called the former ones expired.
    renewed: Mutex<Option<Identity>>,
}

/// What the SDK found out for a call that it prepared and did not send.
struct Learned {
    uri: String,
    region: String,
    service: String,
    components: RuntimeComponents,
    resolver: SharedIdentityResolver,
    door: SharedHttpConnector,
}

impl Way {
    /// Lets the SDK prepare a call, up to the point where it would be sent, and keeps what it found out.
    pub(super) async fn learn(client: &aws_sdk_iam::Client) -> Result<Self, Failure> {
        let operation = "iam:ListAccessKeys";
        let found = Arc::new(Mutex::new(None));
        let call = client.list_access_keys().customize().interceptor(Learning(found.clone()));
        let prepared = call.send().await;
        let learned = found.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (learned, prepared) {
            (Some(learned), _) => Ok(Self { learned, settings: SigningSettings::default(), renewed: Mutex::default() }),
            (None, Err(error)) => Err(classified(operation, &error)),
            (None, Ok(_)) => Err(failed(operation, "the call was sent before it could be learned from")),
        }
    }

    /// Where the SDK sends calls to IAM.
    pub(super) fn uri(&self) -> &str {
        &self.learned.uri
    }

    /// Region and service that the SDK signs calls to IAM for.
    pub(super) fn scope(&self) -> (&str, &str) {
        (&self.learned.region, &self.learned.service)
    }

    /// Signs and sends a request; an answer with an error is a failure. Where the credentials have ended, those that
    /// the chain gives then are tried once.
    pub(super) async fn send(&self, request: &Request<'_>, fault: Fault) -> Result<HttpResponse, Failure> {
        let identity = self.identity(request.operation).await?;
        match self.send_as(&identity, request, fault).await {
            Err(failure) if is_expired(&failure) => {
                let anew = self.renew(&identity, request.operation).await?;
                if is_same(&anew, &identity) {
                    return Err(failure);
                }
                self.send_as(&anew, request, fault).await
            }
            answer => answer,
        }
    }

    async fn send_as(&self, identity: &Identity, it: &Request<'_>, fault: Fault) -> Result<HttpResponse, Failure> {
        let request = self.signed(identity, it).map_err(|error| failed(it.operation, &error.to_string()))?;
        let answer = self.learned.door.call(request).await.map_err(|error| unanswered(it.operation, &error))?;
        if !answer.status().is_success() {
            let (code, message) = fault(&answer);
            return Err(answered_badly(it.operation, answer.status().as_u16(), code.as_deref(), message.as_deref()));
        }
        Ok(answer)
    }

    fn signed(&self, identity: &Identity, it: &Request<'_>) -> Result<HttpRequest, BoxError> {
        let headers = it.headers.iter().copied();
        let signable = SignableRequest::new(it.method, it.uri, headers, SignableBody::Bytes(it.body))?;
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(it.scope.0)
            .name(it.scope.1)
            .time(self.now())
            .settings(self.settings.clone())
            .build()?;
        let (signed, _) = sign(signable, &params.into())?.into_parts();
        let (signed, _) = signed.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(it.body));
        request.set_method(it.method)?;
        request.set_uri(it.uri)?;
        let into = request.headers_mut();
        for (name, value) in it.headers {
            into.try_insert(*name, (*value).to_owned())?;
        }
        into.try_insert("user-agent", AGENT)?;
        for header in signed {
            // Header values from the SDK's signer are marked so that they are not logged; nothing here logs them.
            into.try_insert(header.name(), header.value().to_owned())?;
        }
        Ok(request)
    }

    /// The credentials in use: the SDK's own, or those got anew since.
    async fn identity(&self, operation: &str) -> Result<Identity, Failure> {
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let soon = self.now() + BEFORE_END;
        if let Some(identity) = renewed.filter(|identity| identity.expiration().is_none_or(|end| end > soon)) {
            return Ok(identity);
        }
        let Learned { components, resolver, .. } = &self.learned;
        let (cache, config) = (components.identity_cache(), ConfigBag::base());
        let found = cache.resolve_cached_identity(resolver.clone(), components, &config).await;
        found.map_err(|error| unanswered(operation, &*error))
    }

    /// Asks the credential chain anew, unless another call did so since `former` was given out.
    async fn renew(&self, former: &Identity, operation: &str) -> Result<Identity, Failure> {
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(identity) = renewed.filter(|identity| !is_same(identity, former)) {
            return Ok(identity);
        }
        let Learned { components, resolver, .. } = &self.learned;
        let found = resolver.resolve_identity(components, &ConfigBag::base()).await;
        let identity = found.map_err(|error| unanswered(operation, &*error))?;
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity.clone());
        Ok(identity)
    }

    fn now(&self) -> SystemTime {
        self.learned.components.time_source().unwrap_or_default().now()
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("uri", &self.learned.uri).finish_non_exhaustive()
    }
}

/// Looks at the call when it is signed and about to be sent, and stops it there.
struct Learning(Arc<Mutex<Option<Learned>>>);

impl fmt::Debug for Learning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Learning")
    }
}

impl Intercept for Learning {
    fn name(&self) -> &'static str {
        "Learning"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let learned = learned(context.request(), components).ok_or("the SDK's call is not signed as expected")?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(learned);
        Err("prepared only".into())
    }
}

fn learned(request: &HttpRequest, components: &RuntimeComponents) -> Option<Learned> {
    let (region, service) = scope(request.headers().get("authorization")?)?;
    let scheme = components.auth_scheme(AuthSchemeId::from("sigv4"))?;
    let resolver = scheme.identity_resolver(components)?;
    let door = components.http_client()?.http_connector(&HttpConnectorSettings::default(), components);
    let (uri, components) = (request.uri().to_owned(), components.clone());
    Some(Learned { uri, region, service, components, resolver, door })
}

/// Region and service of a signature: `Credential=AKIA…/20261124/us-east-1/iam/aws4_request`.
fn scope(authorization: &str) -> Option<(String, String)> {
    let scope = authorization.split_once("Credential=")?.1.split(',').next()?;
    let mut parts = scope.trim().rsplit('/').skip(1);
    let (service, region) = (parts.next()?, parts.next()?);
    Some((region.to_owned(), service.to_owned()))
}

fn is_expired(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired")
}

/// Whether two identities are the same credentials.
fn is_same(one: &Identity, other: &Identity) -> bool {
    match (one.data::<Credentials>(), other.data::<Credentials>()) {
        (Some(one), Some(other)) => {
            one.access_key_id() == other.access_key_id() && one.session_token() == other.session_token()
        }
        _ => false,
    }
}

/// A call that could not be made, or was answered in no form that is known.
pub(super) fn failed(operation: &str, said: &str) -> Failure {
    Failure { operation: operation.to_owned(), why: Why::Unavailable, code: String::new(), said: said.to_owned() }
}
