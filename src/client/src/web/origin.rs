//! Where calls may go: scheme, host and port, pinned when a source is set up.
//! It must never be plain HTTP to another machine, nor carry a user or a password.

use std::fmt;

use url::{Host, Url};

/// One origin, as it stands in a URL: `https://api.example.org`, `http://127.0.0.1:8200`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin(String);

impl Origin {
    /// Reads an origin, and the path behind it: empty, or with a slash before and none after it.
    pub(crate) fn parse(text: &str) -> Result<(Self, String), String> {
        let url = Url::parse(text).map_err(|error| format!("the origin cannot be read: {error}"))?;
        let origin = Self::of(&url)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("an origin has neither query nor fragment".to_owned());
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.contains('%') || path.contains("//") {
            return Err("the path behind an origin must be plain".to_owned());
        }
        Ok((origin, path))
    }

    /// The origin of a URL, if calls may go to such a one at all.
    pub(crate) fn of(url: &Url) -> Result<Self, String> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address must not hold a user or password".to_owned());
        }
        match url.scheme() {
            "https" => {}
            "http" if is_this_machine(url) => {}
            "http" => return Err("http:// is for this machine only; use https://".to_owned()),
            _ => return Err("an address begins with https://".to_owned()),
        }
        let origin = url.origin().ascii_serialization();
        if url.host().is_none() { Err("the address names no host".to_owned()) } else { Ok(Self(origin)) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_https_or_this_machine() {
        let table = [
            ("https://API.example.org:443/", Some(("https://api.example.org", ""))),
            ("https://ghe.example.org/api/v3/", Some(("https://ghe.example.org", "/api/v3"))),
            ("http://127.0.0.1:8200", Some(("http://127.0.0.1:8200", ""))),
            ("http://[::1]:8200", Some(("http://[::1]:8200", ""))),
            ("http://localhost", Some(("http://localhost", ""))),
            ("http://2130706433:80", Some(("http://127.0.0.1", ""))),
            ("http://10.0.0.1", None),
            ("http://169.254.169.254", None),
            ("http://localhost.example.org", None),
            ("https://me:secret@example.org", None),
            ("https://me@example.org", None),
            ("file:///etc/passwd", None),
            ("https://example.org/?a", None),
            ("https://example.org/#a", None),
            ("https://example.org/%2e%2e", Some(("https://example.org", ""))),
            ("https://example.org/a%2fb", None),
            ("https://", None),
            ("example.org", None),
        ];
        for (text, expected) in table {
            let read = Origin::parse(text).ok();
            let read = read.as_ref().map(|(origin, path)| (origin.as_str(), path.as_str()));
            assert_eq!(read, expected, "{text}");
        }
    }
}
