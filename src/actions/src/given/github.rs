//! What all that speak to GitHub share: where its interface is, and how its repositories are called.
//! It must never take a text for a repository's name that would lead elsewhere.

use std::sync::Arc;

use provost_client::{Limits, Provider, Web, authority::Token};

use super::{Handed, provider::provider, settings::reference};

/// Sent with every call.
pub(crate) const HEADERS: [(&str, &str); 2] =
    [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];

/// The way to GitHub by a token, for those reads and acts.
pub(crate) fn way(
    handed: &Handed,
    declared: (&[&str], &[&str]),
    (token, base): (&str, Option<&str>),
) -> Result<Web, String> {
    let token = Token::bearer(reference(handed, "token", token)?);
    let (api, _) = addresses(base.unwrap_or("https://api.github.com"));
    let headers = HEADERS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let provider = Provider { headers, ..provider(declared, api, Limits::default()) };
    Web::new(provider, Arc::new(token)).map_err(|said| format!("base_url: {said}"))
}

/// A repository's owner and name.
pub(crate) fn repository(text: &str) -> Result<(&str, &str), String> {
    let plain = |text: &&str| {
        !matches!(*text, "" | "." | "..")
            && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.'))
    };
    let parts = text.split_once('/').filter(|(owner, name)| plain(owner) && plain(name));
    parts.ok_or_else(|| "repository: expected OWNER/NAME".to_owned())
}

/// Where the interface is, and where the pages are: beside each other at a host `api.…`, else the one below `/api/v3` of the
/// other (GitHub Docs, "Getting started with the REST API", of each edition). A server on this machine stands in for both.
pub(crate) fn addresses(base: &str) -> (String, String) {
    let base = base.trim_end_matches('/');
    let web = base.strip_suffix("/api/v3").unwrap_or(base);
    match web.strip_prefix("https://") {
        None => (base.to_owned(), web.to_owned()),
        Some(host) => match host.strip_prefix("api.") {
            Some(host) => (base.to_owned(), format!("https://{host}")),
            None => (format!("{web}/api/v3"), web.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn every_github_has_its_addresses() {
        for (base, api, web) in [
            ("https://api.github.com", "https://api.github.com", "https://github.com"),
            ("https://api.acme.ghe.com/", "https://api.acme.ghe.com", "https://acme.ghe.com"),
            ("https://ghe.example.org", "https://ghe.example.org/api/v3", "https://ghe.example.org"),
            ("https://ghe.example.org/api/v3/", "https://ghe.example.org/api/v3", "https://ghe.example.org"),
            ("http://127.0.0.1:5210", "http://127.0.0.1:5210", "http://127.0.0.1:5210"),
        ] {
            assert_eq!(addresses(base), (api.to_owned(), web.to_owned()), "{base}");
        }
    }
}
