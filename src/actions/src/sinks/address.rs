//! The address of a webhook: whoever knows it may post there, so that its path is a secret.
//! It must never let the path or the query into an error, a log or its debug form.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use provost_client::{Answer, Ask, Body, Egress, Failure, Limits, Provider, Undone, Web, authority::Nobody};
use provost_model::Errand;
use url::Url;

use super::{SinkSpec, provider::provider};
use crate::ActionError;

/// What is posted to an address with a path.
pub(crate) const POST: &str = "POST /{path...}";
/// What is posted to an address without one.
pub(crate) const POST_ROOT: &str = "POST /";
/// What is asked of an address with a path.
pub(crate) const GET: &str = "GET /{path...}";
/// What is asked of an address without one.
pub(crate) const GET_ROOT: &str = "GET /";

/// Longest answer taken: nobody says more about a message.
pub(crate) const ANSWER_MAX: usize = 1 << 20;
/// Pieces of a path from this length on are taken for secrets wherever they stand.
const SECRET_MIN: usize = 6;

/// An address that may be posted to.
pub(crate) struct Address {
    web: Web,
    origin: String,
    path: String,
    has_fragment: bool,
    query: Vec<(String, String)>,
}

/// The way out of this machine; with the authorities of that file instead of the system's.
pub(crate) fn way(ca_file: Option<&Path>) -> Result<Egress, String> {
    let egress = Egress::of_environment();
    match ca_file {
        None => Ok(egress),
        Some(file) => egress.trusting_file(file).map_err(|said| format!("ca_file: {said}")),
    }
}

/// The way to whatever origin addresses have: it is made once for each, and holds nothing of their paths.
pub(crate) struct Ways {
    spec: &'static SinkSpec,
    out: Egress,
    answer: usize,
    known: Mutex<Option<(String, Web)>>,
}

impl Ways {
    /// Ways of that sink by that way out of this machine, which take answers of so many bytes at most.
    pub(crate) fn new(spec: &'static SinkSpec, out: Egress, answer: usize) -> Self {
        Self { spec, out, answer, known: Mutex::default() }
    }

    fn to(&self, origin: String) -> Result<Web, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, web)) = known.as_ref().filter(|(its, _)| *its == origin) {
            return Ok(web.clone());
        }
        let limits = Limits { answer: self.answer, ..Limits::default() };
        let provider = Provider {
            egress: self.out.clone(),
            ..provider((self.spec.reads, self.spec.acts), origin.clone(), limits)
        };
        let web = Web::new(provider, Arc::new(Nobody))?;
        *known = Some((origin, web.clone()));
        Ok(web)
    }
}

impl Address {
    /// Reads an address. An error does not repeat it.
    pub(crate) fn new(text: &str, ways: &Ways) -> Result<Self, String> {
        let url = Url::parse(text.trim()).map_err(|error| format!("the address cannot be read: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address must not hold a user or password".to_owned());
        }
        if url.path().contains('%') {
            return Err("the path of the address has signs that must be encoded".to_owned());
        }
        let query = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let path = url.path().strip_prefix('/').unwrap_or_default().to_owned();
        let (origin, has_fragment) = (url.origin().ascii_serialization(), url.fragment().is_some());
        Ok(Self { web: ways.to(origin.clone())?, origin, path, has_fragment, query })
    }

    /// The same with this in its query, instead of what was there by that name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.query.retain(|(it, _)| it != name);
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Posts once, for an order. What went wrong may hold the path: it is to be veiled.
    pub(crate) async fn post(
        &self,
        errand: &Errand,
        (body, headers): (Body, Vec<(&str, String)>),
    ) -> Result<Answer, Undone> {
        let ask = if self.path.is_empty() {
            Ask::act(POST_ROOT, &[], Some(body))
        } else {
            Ask::act(POST, &[&self.path], Some(body))
        };
        let ask = headers.into_iter().fold(self.queried(ask), |ask, (name, value)| ask.header(name, value));
        self.web.act(errand, ask).await
    }

    /// The origin, which is no secret.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it is a path and nothing else.
    pub(crate) fn is_path(&self) -> bool {
        !self.path.is_empty() && self.query.is_empty() && !self.has_fragment
    }

    /// Asks what is there, which changes nothing.
    pub(crate) async fn get(&self) -> Result<Answer, Failure> {
        let ask = if self.path.is_empty() { Ask::get(GET_ROOT, &[]) } else { Ask::get(GET, &[&self.path]) };
        self.web.ask(self.queried(ask)).await
    }

    /// Whether anybody answers there, whatever the answer: most receivers know nothing but POST.
    pub(crate) async fn reached(&self) -> Result<String, ActionError> {
        let status = match self.get().await {
            Ok(answer) => answer.status().to_string(),
            Err(failure) => match refusal(&failure) {
                Some(status) => status.to_owned(),
                None => return Err(self.veiled(failure.into())),
            },
        };
        Ok(format!("somebody is there (GET: HTTP {status}); whether letters are taken shows when one is sent"))
    }

    /// An error without anything of the path or the query.
    pub(crate) fn veiled(&self, error: ActionError) -> ActionError {
        let pieces = self.path.split('/').chain(self.query.iter().map(|(_, value)| value.as_str()));
        let mut secrets: Vec<&str> = pieces.filter(|it| it.len() >= SECRET_MIN).collect();
        // The whole before its parts.
        secrets.push(&self.path);
        secrets.sort_by_key(|it| std::cmp::Reverse(it.len()));
        secrets.retain(|it| it.len() >= SECRET_MIN);
        let veil = |said: String| secrets.iter().fold(said, |said, secret| without(&said, secret));
        match error {
            ActionError::Retry { after, said } => ActionError::Retry { after, said: veil(said) },
            ActionError::GiveUp { said } => ActionError::GiveUp { said: veil(said) },
            ActionError::Ambiguous { said } => ActionError::Ambiguous { said: veil(said) },
        }
    }

    fn queried(&self, ask: Ask) -> Ask {
        // Whoever knows the address may post: nothing is signed, nor sent again for being signed wrongly.
        let ask = ask.signed_with(Vec::new());
        self.query.iter().fold(ask, |ask, (name, value)| ask.query(name, value))
    }
}

/// The status of an answer that refuses a question, which a receiver of posts may.
fn refusal(failure: &Failure) -> Option<&str> {
    failure.said.strip_prefix("HTTP ")?.get(..3).filter(|status| status.starts_with('4'))
}

/// A text without a secret, even where its end was cut off with the text's.
fn without(said: &str, secret: &str) -> String {
    let said = said.replace(secret, "…");
    let begun = (SECRET_MIN..secret.len()).rev().filter_map(|end| secret.get(..end));
    match begun.into_iter().find_map(|begun| said.strip_suffix(begun)) {
        Some(rest) => format!("{rest}…"),
        None => said,
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("web", &self.web).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways() -> Ways {
        Ways::new(&super::super::webhook::SPEC, Egress::default(), ANSWER_MAX)
    }

    #[test]
    fn an_error_shows_nothing_of_the_path_or_the_query_even_where_it_was_cut() {
        let address = Address::new("https://chat.example/hooks/s3cr3tpath?key=s3cr3tkey", &ways()).unwrap();
        let table = [
            ("HTTP 500: no s3cr3tpath here", "HTTP 500: no … here"),
            ("HTTP 500: POST /hooks/s3cr3tpath?key=s3cr3tkey", "HTTP 500: POST /…?key=…"),
            ("HTTP 500: cut in hooks/s3cr3tpa", "HTTP 500: cut in …"),
            ("HTTP 500: cut in s3cr3tp", "HTTP 500: cut in …"),
            ("HTTP 500: hooks", "HTTP 500: hooks"),
        ];
        for (said, shown) in table {
            assert_eq!(address.veiled(ActionError::GiveUp { said: said.into() }).said(), shown);
        }
        assert!(!format!("{address:?}").contains("s3cr3t"));
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_being_repeated() {
        let wrong = [
            "s3cr3t",
            "https://s3cr3t@a.example/",
            "https://a:s3cr3t@a.example/",
            "http://a.example/s3cr3t",
            "https://a.example/s3cr3t%2f",
            "ftp://a.example/s3cr3t",
            "https://",
        ];
        for text in wrong {
            let said = Address::new(text, &ways()).unwrap_err();
            assert!(!said.contains("s3cr3t"), "{said}");
        }
    }
}
