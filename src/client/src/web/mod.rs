//! The gate for providers spoken to in plain HTTP: declared reads leave, paced and counted, and whole answers come back.
//! It must never open a connection for a call that was not declared, nor carry a credential to an origin it is not for.

mod act;
mod answer;
mod ask;
pub mod authority;
mod blame;
mod budget;
mod dial;
mod dialect;
mod graphql;
mod origin;
mod pages;
mod says;
mod template;
mod wire;
mod xml;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use provost_model::{Time, Why};
use tokio::sync::Semaphore;
use url::Url;

pub(crate) use self::wire::Wire;
pub use self::{
    act::{Fate, Undone},
    answer::{Answer, Gap},
    ask::{Ask, Body},
    budget::Budget,
    pages::{End, Page, Pages, Paging},
    xml::Element,
};
use self::{
    ask::{Place, Signing},
    budget::Budgets,
    origin::Origin,
    template::Template,
};
use crate::{
    Call, Egress, Failure, Limits, Mode, Pace, Patience, Refused,
    dated::Dated,
    retry::{Setback, with_setbacks},
    tally::Tally,
};

/// Redirects followed for one question.
const REDIRECTS: usize = 3;
/// Longest link taken from a provider, in bytes.
const LINK_MAX: usize = 16 << 10;
/// Headers that the transport sets, or that would change what it does.
const OURS: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "proxy-authorization",
    "accept-encoding",
    "expect",
];

/// Numbers between 0 and 1 that spread callers apart.
pub type Luck = Arc<dyn Fn() -> f64 + Send + Sync>;

/// What is known of a provider before the first call.
#[derive(Clone)]
pub struct Provider {
    /// Scheme, host and port, and a path that stands before every declared one: `https://api.github.com`,
    /// `https://ghe.example.org/api/v3`. Plain `http://` is for this machine only.
    pub origin: String,
    /// Other origins that links, redirects and reads that name them may lead to.
    pub also: Vec<String>,
    /// The only calls that pass: `GET /orgs/{org}/installations`, `POST https://login.example.org/{tenant}/token`. `{x}` is
    /// one segment or a part of one, `{x...}` one segment or more.
    /// `POST / Action=ListUsers` is a form that says so, `POST / X-Amz-Target=…` a body of JSON under such a header, where a
    /// provider tells calls apart by that and not by their path.
    pub reads: Vec<String>,
    /// The only calls that may change something there, and only for an order ([`Web::act`]): `PUT /rooms/{room}/send/{id}`.
    pub acts: Vec<String>,
    /// The only GraphQL documents that pass, each of one query.
    pub documents: Vec<&'static str>,
    /// Headers of every call, such as a version of the interface.
    pub headers: Vec<(String, String)>,
    /// How fast calls of one read may follow each other.
    pub pace: Mode,
    /// Share of the provider's budget that is left to others, between 0 and 1.
    pub reserve: f64,
    /// Bounds on what goes out and comes back.
    pub limits: Limits,
    /// The way out of this host.
    pub egress: Egress,
    /// How much is borne before a call counts as failed.
    pub patience: Patience,
    /// What spreads waits apart.
    pub luck: Luck,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            origin: String::new(),
            also: Vec::new(),
            reads: Vec::new(),
            acts: Vec::new(),
            documents: Vec::new(),
            headers: Vec::new(),
            pace: Mode::Full,
            reserve: 0.0,
            limits: Limits::default(),
            egress: Egress::default(),
            patience: Patience::default(),
            luck: Arc::new(|| 0.5),
        }
    }
}

/// Who signs the calls of a source.
#[async_trait]
pub trait Authority: Send + Sync {
    /// The headers that sign a call. `fresh` says that what was given last was refused with 401: it must not be given
    /// again. Calls that are needed to obtain them go through `web`, signed by themselves ([`Ask::signed_with`]).
    async fn headers(&self, web: &Web, fresh: bool) -> Result<Vec<(HeaderName, HeaderValue)>, Failure>;

    /// The headers that sign this very call, for those whose signature is over what is sent.
    async fn signature(
        &self,
        web: &Web,
        _call: &Outgoing<'_>,
        fresh: bool,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        self.headers(web, fresh).await
    }
}

/// A call as it goes out, but for its signature. Nothing of it shows in a debug form.
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a str,
    /// The whole address.
    pub url: &'a Url,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body's bytes; none where there is no body.
    pub body: &'a [u8],
}

/// The way to one provider. Clones share connections, pace, budgets and counts.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

struct Inner {
    origin: Origin,
    /// The path behind the origin.
    base: String,
    also: HashSet<Origin>,
    reads: HashMap<String, Arc<Template>>,
    acts: HashMap<String, Arc<Template>>,
    documents: HashSet<&'static str>,
    headers: HeaderMap,
    authority: Arc<dyn Authority>,
    pace: Pace,
    budgets: Budgets,
    tally: Tally,
    dated: Dated,
    limits: Limits,
    flight: Semaphore,
    wire: Wire,
    patience: Patience,
    luck: Luck,
}

/// A call that got no answer, and how long it should wait.
struct Missed {
    refused: Refused,
    wait: Option<Duration>,
}

impl Missed {
    fn setback(&self, operation: &str) -> Setback {
        Setback { failure: Failure::refused(operation, &self.refused), wait: self.wait }
    }
}

/// A question that passed the gate.
struct Passed {
    template: Arc<Template>,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    /// Whether what signs calls may go there.
    home: bool,
}

impl Web {
    /// A way to that provider. Fails on declarations that make no sense, and if TLS cannot be set up.
    pub fn new(provider: Provider, authority: Arc<dyn Authority>) -> Result<Self, String> {
        let (origin, base) = Origin::parse(&provider.origin)?;
        let mut also = HashSet::new();
        for text in &provider.also {
            let (origin, path) = Origin::parse(text)?;
            if !path.is_empty() {
                return Err("another origin must have no path".to_owned());
            }
            also.insert(origin);
        }
        let named = |declared: &[String], parse: fn(&str) -> Result<Template, String>| {
            let mut calls = HashMap::new();
            for text in declared {
                let template = parse(text)?;
                if template.elsewhere().is_some_and(|it| *it != origin && !also.contains(it)) {
                    return Err(format!("{text:?} is at an origin that is not among the source's own"));
                }
                calls.insert(text.clone(), Arc::new(template));
            }
            Ok(calls)
        };
        let reads = named(&provider.reads, Template::parse)?;
        let acts = named(&provider.acts, Template::parse_act)?;
        for document in &provider.documents {
            graphql::one_query(document)?;
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("provost/", env!("CARGO_PKG_VERSION"))));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        put(&mut headers, &provider.headers)?;
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let plain = also.iter().chain([&origin]).any(|it| it.as_str().starts_with("http://"));
        // A connection that was closed meanwhile makes what is sent on it uncertain: whoever acts takes a new one each time.
        let idle = if acts.is_empty() { provider.limits.in_flight.max(1) } else { 0 };
        let wire = Wire::new(&provider.egress, (&provider.limits, idle), plain)?;
        Ok(Self(Arc::new(Inner {
            origin,
            base,
            also,
            reads,
            acts,
            documents: provider.documents.into_iter().collect(),
            headers,
            authority,
            pace: Pace::new(provider.pace),
            budgets: Budgets::new(provider.reserve),
            tally: Tally::default(),
            dated: Dated::default(),
            limits: provider.limits,
            flight: Semaphore::new(provider.limits.in_flight.max(1)),
            wire,
            patience: provider.patience,
            luck: provider.luck,
        })))
    }

    /// Asks until there is an answer or patience ends: an `Ok` is a success (2xx), or a 304 to a question with an entity
    /// tag. Waiting ends when the future is dropped.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, Failure> {
        let passed = self.passed_read(&ask).map_err(|refused| {
            tracing::warn!(read = ask.read, refused = %refused, "refused a call before sending");
            Failure::refused(&ask.read, &refused)
        })?;
        let luck = || (self.0.luck)();
        with_setbacks(self.0.patience, &luck, || self.attempt(&ask, &passed)).await
    }

    /// Calls sent since this was last asked.
    pub fn calls(&self) -> Vec<Call> {
        self.0.tally.drain()
    }

    /// Connections opened since the beginning.
    pub fn opened(&self) -> u64 {
        self.0.wire.opened()
    }

    /// Begins a new run: its calls are counted from zero.
    pub fn begin(&self) {
        self.0.tally.reset();
        self.0.dated.forget();
    }

    /// The time it is at the provider, by its answers since this was last asked.
    pub fn provider_time(&self) -> Option<Time> {
        self.0.dated.now()
    }

    /// What the provider's answers said of its budgets, by name.
    pub fn budgets(&self) -> Vec<Budget> {
        self.0.budgets.known()
    }

    /// The question as it may be sent, or why not. Opens no connection.
    fn passed_read(&self, ask: &Ask) -> Result<Passed, Refused> {
        let inner = &self.0;
        let template = inner.reads.get(&ask.read).ok_or_else(|| Refused::NotARead(ask.read.clone()))?.clone();
        let registered = ask.document.is_some_and(|document| inner.documents.contains(document));
        if (template.is_graphql() || ask.document.is_some()) && !registered {
            return Err(Refused::NotARead(format!("{} with another document", ask.read)));
        }
        if ask.body.is_some() != (template.method() == "POST") {
            return Err(Refused::Unfit("a body goes with POST, and only there".to_owned()));
        }
        self.passed(ask, template)
    }

    /// The call as it is sent. Opens no connection.
    fn passed(&self, ask: &Ask, template: Arc<Template>) -> Result<Passed, Refused> {
        let inner = &self.0;
        let ask = &*template.says().map_or(Ok(Cow::Borrowed(ask)), |says| says.said(ask))?;
        let mut url = match &ask.place {
            Place::Values(values) => self.place(&template, values)?,
            Place::Link(link) => self.linked(&template, link)?,
        };
        let query = ask.query_text();
        if !query.is_empty() {
            let query = url.query().map_or_else(|| query.clone(), |linked| format!("{linked}&{query}"));
            url.set_query(Some(&query));
        }
        let home = self.is_home(&template, &url);
        let mut headers = if home { inner.headers.clone() } else { stranger(&inner.headers) };
        put(&mut headers, &ask.headers).map_err(Refused::Unfit)?;
        if let Some(etag) = &ask.etag {
            let etag = HeaderValue::from_str(etag);
            headers.insert(header::IF_NONE_MATCH, etag.map_err(|_| Refused::Unfit("its entity tag".to_owned()))?);
        }
        let mut body = Bytes::new();
        if let Some(sent) = &ask.body {
            let (bytes, kind) = sent.bytes();
            body = bytes;
            headers.insert(header::CONTENT_TYPE, kind);
        }
        Ok(Passed { template, url, headers, body, home })
    }

    fn place(&self, template: &Template, values: &[String]) -> Result<Url, Refused> {
        let path = template.fill(values).map_err(|said| Refused::Unfit(said.to_owned()))?;
        let (origin, base) = match template.elsewhere() {
            Some(origin) => (origin, ""),
            None => (&self.0.origin, self.0.base.as_str()),
        };
        let unfit = || Refused::Unfit("its path is not one".to_owned());
        let url = Url::parse(&format!("{}{base}{path}", origin.as_str())).map_err(|_| unfit())?;
        // Reading the address must give what was written: nothing in it was taken for something else.
        if url.path() != format!("{base}{path}") { Err(unfit()) } else { Ok(url) }
    }

    fn linked(&self, template: &Template, link: &str) -> Result<Url, Refused> {
        let strange = || Refused::NotARead(format!("a link of another place, for {},", template.text()));
        if link.len() > LINK_MAX {
            return Err(strange());
        }
        let home = Url::parse(&format!("{}{}/", self.0.origin.as_str(), self.0.base)).map_err(|_| strange())?;
        let mut url = home.join(link).map_err(|_| strange())?;
        url.set_fragment(None);
        if self.is_at(template, &url) { Ok(url) } else { Err(strange()) }
    }

    /// Whether a URL is one that this read may ask for.
    fn is_at(&self, template: &Template, url: &Url) -> bool {
        let Ok(origin) = Origin::of(url) else { return false };
        let path = url.path();
        match template.elsewhere() {
            Some(its) => *its == origin && template.fits(path),
            None if origin == self.0.origin => {
                path.strip_prefix(self.0.base.as_str()).is_some_and(|path| template.fits(path))
            }
            None => self.0.also.contains(&origin) && template.fits(path),
        }
    }

    /// Whether what signs calls may go there: the provider's own origin, or one that the read itself names.
    fn is_home(&self, template: &Template, url: &Url) -> bool {
        let Ok(origin) = Origin::of(url) else { return false };
        template.elsewhere().map_or_else(|| origin == self.0.origin, |its| *its == origin)
    }

    async fn attempt(&self, ask: &Ask, passed: &Passed) -> Result<Answer, Setback> {
        let mut answer = self.followed(passed, self.signed(ask, passed, false).await?).await?;
        if blame::is_stale(&answer.1) && passed.home && matches!(ask.signing, Signing::Authority) {
            answer = self.followed(passed, self.signed(ask, passed, true).await?).await?;
        }
        self.judged(ask, answer)
    }

    /// The headers that sign a call.
    async fn signed(&self, ask: &Ask, passed: &Passed, fresh: bool) -> Result<HeaderMap, Failure> {
        let signature = match &ask.signing {
            Signing::With(headers) => headers.clone(),
            Signing::Authority if passed.home => {
                let (method, body) = (passed.template.method(), &*passed.body);
                let call = Outgoing { method, url: &passed.url, headers: &passed.headers, body };
                self.0.authority.signature(self, &call, fresh).await?
            }
            Signing::Authority => Vec::new(),
        };
        let mut headers = HeaderMap::new();
        for (name, mut value) in signature {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// The answer at the end of at most three redirects, each of them to a declared read.
    async fn followed(&self, passed: &Passed, signature: HeaderMap) -> Result<(Url, Response<Bytes>), Setback> {
        let mut headers = passed.headers.clone();
        headers.extend(signature);
        let (mut template, mut url) = (passed.template.clone(), passed.url.clone());
        for _ in 0..=REDIRECTS {
            let answer = self.sent(&template, (&url, headers.clone(), passed.body.clone())).await;
            let answer = answer.map_err(|missed| missed.setback(template.text()))?;
            if !is_redirect(answer.status()) {
                return Ok((url, answer));
            }
            let (read, to) = self.redirected(&template, &url, &answer)?;
            if to.origin() != url.origin() {
                headers = stranger(&headers);
            }
            (template, url) = (read, to);
        }
        Err(Failure::new(passed.template.text(), Why::Malformed, "redirects", "redirected too often").into())
    }

    /// Where a redirect leads: to a declared read without a body at an origin of the source, or nowhere.
    fn redirected(
        &self,
        template: &Template,
        from: &Url,
        answer: &Response<Bytes>,
    ) -> Result<(Arc<Template>, Url), Failure> {
        let code = answer.status().as_u16().to_string();
        let failed = |said: &str| Failure::new(template.text(), Why::Malformed, &code, said);
        let location = answer.headers().get(header::LOCATION).and_then(|it| it.to_str().ok());
        let location = location.filter(|it| it.len() <= LINK_MAX).ok_or_else(|| failed("redirected to no place"))?;
        let mut to = from.join(location).map_err(|_| failed("redirected to no place"))?;
        to.set_fragment(None);
        let may = |read: &&Arc<Template>| read.method() == template.method() && self.is_at(read, &to);
        let read = (template.method() != "POST").then(|| self.0.reads.values().find(may)).flatten();
        let read = read.ok_or_else(|| {
            let host = to.host_str().unwrap_or("nowhere");
            failed(&format!("redirected to a place at {host} that is not a declared read: not followed"))
        })?;
        Ok((read.clone(), to))
    }

    /// Sends one call in its turn, and learns from its answer.
    async fn sent(
        &self,
        template: &Template,
        (url, headers, body): (&Url, HeaderMap, Bytes),
    ) -> Result<Response<Bytes>, Missed> {
        let (inner, operation) = (&self.0, template.text());
        let refused = |refused: Refused| Missed { refused, wait: None };
        let method = reqwest::Method::from_bytes(template.method().as_bytes());
        let method = method.map_err(|_| refused(Refused::Unfit("its method is none".to_owned())))?;
        // The budget first: whoever waits for a new window must not keep others from their turn.
        let ticket = inner.budgets.admit(operation, inner.patience.window).await;
        let spared = |wait: Duration| Missed { refused: Refused::Spared(wait.as_secs()), wait: Some(wait) };
        let _ticket = ticket.map_err(spared)?;
        // Whoever acts has a pace of its own, by what each letter or step is worth; here only what others are left is kept.
        let paced = !inner.acts.contains_key(operation);
        let sent = if paced { Some(inner.pace.turn(operation).await) } else { None };
        let _place = inner.flight.acquire().await.map_err(|_| refused(Refused::Cut))?;
        if !inner.tally.admit(inner.limits.calls) {
            return Err(refused(Refused::Budget(inner.limits.calls)));
        }
        let mut request = reqwest::Request::new(method, url.clone());
        *request.headers_mut() = headers;
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        let answer = inner.wire.send(operation, request, &inner.limits).await;
        let throttled = answer.as_ref().is_ok_and(|answer| is_throttle(template, answer));
        inner.tally.note(operation.to_owned(), throttled);
        let answer = answer.map_err(refused)?;
        let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        inner.dated.note(text("date"));
        inner.budgets.learn(operation, &answer, throttled);
        match sent {
            Some(sent) if throttled => inner.pace.was_throttled(operation, sent),
            Some(_) => inner.pace.went_well(operation),
            None => {}
        }
        Ok(answer)
    }

    /// An answer for the asker, or the failure it stands for.
    fn judged(&self, ask: &Ask, (url, answer): (Url, Response<Bytes>)) -> Result<Answer, Setback> {
        let status = answer.status();
        let unchanged = status == StatusCode::NOT_MODIFIED && ask.etag.is_some();
        let missing = status == StatusCode::NOT_FOUND && ask.missing;
        if !status.is_success() && !unchanged && !missing {
            let failure = blame::blamed(&ask.read, &answer);
            let wait = dialect::wait(&answer, failure.why == Why::Throttled);
            return Err(Setback { failure, wait });
        }
        let mut gaps = Vec::new();
        if ask.document.is_some() {
            let malformed = || Failure::new(&ask.read, Why::Malformed, "", "the answer is not one of GraphQL");
            let (found, has_data) = graphql::gaps_of(answer.body()).ok_or_else(malformed)?;
            let throttled = found.iter().find(|gap| gap.why == Why::Throttled);
            if let Some(gap) = throttled.or(found.first().filter(|_| !ask.gaps || !has_data)) {
                let failure = Failure::new(&ask.read, gap.why, &gap.code, &gap.said);
                return Err(Setback { failure, wait: dialect::wait(&answer, gap.why == Why::Throttled) });
            }
            gaps = found;
        }
        let (head, body) = answer.into_parts();
        Ok(Answer { operation: ask.read.clone(), url, status, headers: head.headers, body, gaps })
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("origin", &self.0.origin)
            .field("reads", &self.0.reads.len())
            .finish_non_exhaustive()
    }
}

fn is_throttle(template: &Template, answer: &Response<Bytes>) -> bool {
    blame::is_throttle(answer) || (template.is_graphql() && graphql::is_throttle(answer.body()))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The headers that may go to an origin that is not the provider's own.
fn stranger(headers: &HeaderMap) -> HeaderMap {
    let harmless = [header::ACCEPT, header::ACCEPT_ENCODING, header::USER_AGENT];
    let kept = harmless.into_iter().filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)));
    kept.collect()
}

/// Puts headers in place of those of the same name.
fn put(headers: &mut HeaderMap, more: &[(String, String)]) -> Result<(), String> {
    for (name, value) in more {
        let unfit = || format!("a header {name:?} cannot be sent");
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
        if OURS.contains(&header.as_str()) {
            return Err(unfit());
        }
        headers.insert(header, HeaderValue::from_str(value).map_err(|_| unfit())?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
