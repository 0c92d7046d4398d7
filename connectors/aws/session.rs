//! How one run reaches the account: the credential chain, the SDK's clients, and one way to ask.
//! It must never send anything past the gate.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_config::{
    BehaviorVersion, Region, ecs::EcsCredentialsProvider, environment::EnvironmentVariableCredentialsProvider,
    imds::credentials::ImdsCredentialsProvider, meta::region::RegionProviderChain,
    profile::ProfileFileCredentialsProvider, profile::ProfileFileRegionProvider, provider_config::ProviderConfig,
    retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
    web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::{
    Credentials,
    credential_feature::AwsCredentialFeature,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder as AssumeRole;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::os_shim_internal::Env;
use provost_client::{CREDENTIAL_CALLS, Door, Failure, Gate, INSTANCE_CALLS, Patience, classified, with_patience};
use provost_model::{Reading, Realm, Time, Why};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    SPEC,
    eyes::{self, Who},
    settings::Settings,
    signed::Way,
};

/// Stands behind an operation that a sweep sends.
const SWEEP: &str = " (sweep)";
/// Where IAM's global endpoint signs for, unless told otherwise.
const REGION: &str = "us-east-1";

/// One run's way to the account.
pub(super) struct Session {
    pub(super) gate: Gate,
    /// For what a run needs.
    pub(super) iam: aws_sdk_iam::Client,
    /// For what a sweep asks; counted apart.
    pub(super) sweeping: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    /// For taking on roles: a credential call, not a read.
    assuming: aws_sdk_sts::Client,
    /// Another endpoint for every call, as set or as the environment or the profile says.
    endpoint: Option<String>,
    /// The region that the SDK chose.
    region: String,
    /// The ways of the call made by hand: for what a run needs, and for sweeps.
    ways: [OnceCell<Way>; 2],
    origin: Arc<Mutex<Origin>>,
    patience: Patience,
    luck: AtomicU64,
    stop: CancellationToken,
    at_once: usize,
}

/// Where the credentials in use came from.
struct Origin {
    /// In words; empty before any were found.
    words: String,
    lasts: Reading<Time>,
}

impl Default for Origin {
    fn default() -> Self {
        Self { words: String::new(), lasts: Reading::NotCollected }
    }
}

/// Where credentials come from, and the door through which they are asked for.
struct Found {
    chain: SharedCredentialsProvider,
    origin: Arc<Mutex<Origin>>,
    region: Option<Region>,
    door: Door,
}

/// Whose eyes these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) account: String,
    pub(super) arn: String,
    /// Where the credentials came from, in words.
    pub(super) origin: String,
}

impl Session {
    /// Sets up the chain and the clients; asks nobody yet.
    pub(super) async fn new(settings: &Settings, gate: &Gate, patience: Patience, stop: CancellationToken) -> Self {
        let mut allowed = CREDENTIAL_CALLS.to_vec();
        if settings.instance_credentials {
            allowed.extend(INSTANCE_CALLS);
        }
        let door = gate.credentials(allowed);
        let mut profile_region = ProfileFileRegionProvider::builder();
        if let Some(profile) = &settings.profile {
            profile_region = profile_region.profile_name(profile);
        }
        let region = RegionProviderChain::first_try(settings.region.clone().map(Region::new))
            .or_else(aws_config::environment::region::EnvironmentVariableRegionProvider::new())
            .or_else(profile_region.build())
            .or_else(Region::new(REGION));
        let region = region.region().await;
        let providers = ProviderConfig::without_region().with_region(region.clone()).with_http_client(door.clone());
        let origin = Arc::new(Mutex::new(Origin::default()));
        let chain = Chain { places: places(settings, &providers), origin: origin.clone() };
        let chain = SharedCredentialsProvider::new(chain);
        Self::with(settings, gate, (patience, stop), Found { chain, origin, region, door }).await
    }

    /// The same with credentials from elsewhere.
    async fn with(settings: &Settings, gate: &Gate, bounds: (Patience, CancellationToken), found: Found) -> Self {
        let (patience, stop) = bounds;
        let Found { chain, origin, region, door } = found;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(door)
            .region(region)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .credentials_provider(chain);
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let shared = loader.load().await;
        let assuming = aws_sdk_sts::Client::new(&shared);
        let reads = |purpose| gate.reads(SPEC.reads.iter().map(|read| read.0), purpose);
        let iam = |purpose| {
            let config = aws_sdk_iam::config::Builder::from(&shared).http_client(reads(purpose)).build();
            aws_sdk_iam::Client::from_conf(config)
        };
        let sts = aws_sdk_sts::config::Builder::from(&shared).http_client(reads("")).build();
        Self {
            gate: gate.clone(),
            iam: iam(""),
            sweeping: iam(SWEEP),
            sts: aws_sdk_sts::Client::from_conf(sts),
            assuming,
            endpoint: shared.endpoint_url().map(str::to_owned),
            region: shared.region().map_or(REGION, Region::as_ref).to_owned(),
            ways: [OnceCell::new(), OnceCell::new()],
            origin,
            patience,
            // Only spreads waits apart; no result depends on it.
            luck: AtomicU64::new(RandomState::new().build_hasher().finish()),
            stop,
            at_once: settings.in_flight,
        }
    }

    /// The same way with a role of another account, taken on with the credentials of this one.
    pub(super) async fn assuming(&self, settings: &Settings, role: Role) -> Result<Self, Failure> {
        let operation = "sts:AssumeRole";
        let first = self.ask(operation, || role.assume(&self.assuming).send()).await?;
        let first = credentials(first.credentials, &role.arn).map_err(|_| {
            let said = "the answer holds no credentials".to_owned();
            Failure { operation: operation.to_owned(), why: Why::Malformed, code: String::new(), said }
        })?;
        let origin = Origin { words: format!("role {}", role.arn), lasts: self.lasts() };
        let taken = Taken { role, sts: self.assuming.clone(), first: Mutex::new(Some(first)) };
        let found = Found {
            chain: SharedCredentialsProvider::new(taken),
            origin: Arc::new(Mutex::new(origin)),
            region: Some(Region::new(self.region.clone())),
            door: self.gate.credentials(CREDENTIAL_CALLS.iter().copied()),
        };
        Ok(Self::with(settings, &self.gate, (self.patience, self.stop.clone()), found).await)
    }

    /// A session with static credentials, as nothing but a test may have.
    #[cfg(test)]
    pub(super) async fn for_tests(settings: &Settings, gate: &Gate, stop: CancellationToken) -> Self {
        let patience = Patience { first: std::time::Duration::from_millis(1), ..Patience::default() };
        Self::trying(settings, gate, (patience, stop)).await
    }

    /// The same with so much patience.
    #[cfg(test)]
    pub(super) async fn trying(settings: &Settings, gate: &Gate, how: (Patience, CancellationToken)) -> Self {
        let keys = Credentials::new("AKIAEYES", "not-a-secret", None, None, "test");
        let chain = SharedCredentialsProvider::new(keys);
        let (origin, region) = (Arc::default(), Some(Region::new(REGION)));
        let door = gate.credentials(CREDENTIAL_CALLS.iter().copied());
        Self::with(settings, gate, how, Found { chain, origin, region, door }).await
    }

    /// Asks as whom this run looks.
    pub(super) async fn caller(&self) -> Result<Caller, Failure> {
        let operation = "sts:GetCallerIdentity";
        let answer = self.ask(operation, || self.sts.get_caller_identity().send()).await?;
        let account = answer.account.unwrap_or_default();
        if account.is_empty() || account.len() > 32 || !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let said = "the answer names no account".to_owned();
            return Err(Failure { operation: operation.to_owned(), why: Why::Malformed, code: String::new(), said });
        }
        Ok(Caller { account, arn: answer.arn.unwrap_or_default(), origin: self.origin() })
    }

    /// Where the credentials in use came from, in words; empty before the first call.
    pub(super) fn origin(&self) -> String {
        self.origin.lock().map(|origin| origin.words.clone()).unwrap_or_default()
    }

    /// Until when the credentials in use last without a human's help; known only after the first call.
    pub(super) fn lasts(&self) -> Reading<Time> {
        self.origin.lock().map_or(Reading::NotCollected, |origin| origin.lasts)
    }

    /// Makes a call, again and again where that may help, until the run is to stop.
    pub(super) async fn ask<T, E, F, A>(&self, operation: &str, call: F) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Fn() -> A,
        A: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        self.patiently(operation, || async { call().await.map_err(|error| classified(operation, &error)) }).await
    }

    /// The way of the call made by hand, found out when it is first wanted.
    pub(super) async fn way(&self, sweep: bool) -> Result<&Way, Failure> {
        let [needed, sweeping] = &self.ways;
        let (way, client) = if sweep { (sweeping, &self.sweeping) } else { (needed, &self.iam) };
        way.get_or_try_init(|| self.patiently("iam:ListAccessKeys", || Way::learn(client))).await
    }

    /// Makes a call without the SDK, as patiently.
    pub(super) async fn patiently<T, F, A>(&self, operation: &str, call: F) -> Result<T, Failure>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, Failure>>,
    {
        let luck = || self.luck();
        let tries = with_patience(self.patience, &luck, call);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(stopped(operation)),
            answer = tries => answer,
        }
    }

    /// Another endpoint for every call.
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The region for what has none of its own.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// How many calls to have in flight.
    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Whether the run is to end soon.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits, unless the run is to stop.
    pub(super) async fn wait(&self, time: std::time::Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// A number between 0 and 1 (SplitMix64).
    fn luck(&self) -> f64 {
        let mut z = self.luck.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from((z >> 32) as u32) / f64::from(u32::MAX)
    }
}

impl Caller {
    /// Which identity of the account it is.
    pub(super) fn who(&self) -> Who {
        Who::of(&self.arn)
    }

    /// The account as a realm.
    pub(super) fn realm(&self) -> Realm {
        Realm::new("aws", &self.account)
    }
}

/// The failure of a call that was not made because the run ends.
pub(super) fn stopped(operation: &str) -> Failure {
    let said = "the run was stopped".to_owned();
    Failure { operation: operation.to_owned(), why: Why::Stopped, code: String::new(), said }
}

/// The places credentials are looked for in, in the order of every AWS tool. A profile that was named comes alone.
fn places(settings: &Settings, providers: &ProviderConfig) -> Vec<(&'static str, SharedCredentialsProvider)> {
    let mut profile = ProfileFileCredentialsProvider::builder().configure(providers);
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
        return vec![("profile", SharedCredentialsProvider::new(profile.build()))];
    }
    let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(providers).build();
    let container = EcsCredentialsProvider::builder().configure(providers).build();
    let mut places = vec![
        ("environment", SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())),
        ("profile", SharedCredentialsProvider::new(profile.build())),
        ("web identity token", SharedCredentialsProvider::new(web_identity)),
        ("container", SharedCredentialsProvider::new(container)),
    ];
    if settings.instance_credentials {
        let instance = ImdsCredentialsProvider::builder().configure(providers).build();
        places.push(("instance metadata", SharedCredentialsProvider::new(instance)));
    }
    places
}

/// A role to be taken on.
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) arn: String,
    /// What the role's trust policy asks for, so that nobody else's request can be passed off as ours.
    pub(super) external_id: Option<String>,
}

impl Role {
    fn assume(&self, sts: &aws_sdk_sts::Client) -> AssumeRole {
        let call = sts.assume_role().role_arn(&self.arn).role_session_name("provost");
        call.set_external_id(self.external_id.clone())
    }
}

/// The credentials of a role: those that were got when it was taken on, and then anew whenever they are asked for.
struct Taken {
    role: Role,
    sts: aws_sdk_sts::Client,
    first: Mutex<Option<Credentials>>,
}

impl Taken {
    async fn again(&self) -> Result<Credentials, CredentialsError> {
        if let Some(first) = self.first.lock().ok().and_then(|mut first| first.take()) {
            return Ok(first);
        }
        let answer = self.role.assume(&self.sts).send().await.map_err(CredentialsError::provider_error)?;
        credentials(answer.credentials, &self.role.arn)
    }
}

impl ProvideCredentials for Taken {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.again())
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken").field("role", &self.role.arn).finish_non_exhaustive()
    }
}

fn credentials(given: Option<aws_sdk_sts::types::Credentials>, arn: &str) -> Result<Credentials, CredentialsError> {
    let given = given.ok_or_else(|| CredentialsError::provider_error(format!("no credentials of {arn}")))?;
    let end = std::time::SystemTime::try_from(given.expiration).map_err(CredentialsError::provider_error)?;
    let token = Some(given.session_token);
    Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, Some(end), "AssumeRole"))
}

/// The credential chain: the first place that has credentials gives them, and its name is kept.
struct Chain {
    places: Vec<(&'static str, SharedCredentialsProvider)>,
    origin: Arc<Mutex<Origin>>,
}

impl Chain {
    async fn look(&self) -> Result<Credentials, CredentialsError> {
        for (place, provider) in &self.places {
            match provider.provide_credentials().await {
                Ok(credentials) => {
                    if let Ok(mut origin) = self.origin.lock() {
                        *origin = Origin { words: described(place, &credentials), lasts: lasts(place, &credentials) };
                    }
                    return Ok(credentials);
                }
                Err(CredentialsError::CredentialsNotLoaded(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CredentialsError::not_loaded_no_source())
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.look())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.places.iter().map(|(place, _)| place)).finish()
    }
}

/// Whether one of these ways brought the credentials here.
fn came_by(credentials: &Credentials, ways: &[AwsCredentialFeature]) -> bool {
    let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
    features.is_some_and(|all| all.iter().any(|it| ways.contains(it)))
}

const SIGNED_IN: &[AwsCredentialFeature] =
    &[AwsCredentialFeature::CredentialsSso, AwsCredentialFeature::CredentialsProfileSso];
const BY_PROGRAM: &[AwsCredentialFeature] =
    &[AwsCredentialFeature::CredentialsProcess, AwsCredentialFeature::CredentialsProfileProcess];

fn lasts(place: &str, credentials: &Credentials) -> Reading<Time> {
    let needs_human = came_by(credentials, SIGNED_IN) || came_by(credentials, BY_PROGRAM);
    let assumed = came_by(credentials, &[AwsCredentialFeature::CredentialsStsAssumeRole]);
    let handed_over = matches!(place, "environment" | "profile") && !assumed;
    eyes::lasts(credentials.session_token().is_some(), needs_human, handed_over)
}

fn described(place: &str, credentials: &Credentials) -> String {
    let how = if came_by(credentials, SIGNED_IN) {
        " (single sign-on)"
    } else if came_by(credentials, BY_PROGRAM) {
        " (credential process)"
    } else if came_by(credentials, &[AwsCredentialFeature::CredentialsStsAssumeRole]) {
        " (assumed role)"
    } else {
        ""
    };
    match place {
        "environment" => "environment variables".to_owned(),
        "profile" => match Env::real().get("AWS_PROFILE") {
            Ok(name) => format!("profile {name}{how}"),
            Err(_) => format!("profile{how}"),
        },
        other => format!("{other}{how}"),
    }
}
