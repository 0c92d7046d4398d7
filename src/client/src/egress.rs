//! How calls leave this host: through which proxy, and whose certificates are trusted at the other end.
//! It must never trust a certificate that was not read and understood before, nor send through a proxy what is for this
//! machine alone.

use std::{fmt, fs, path::Path, sync::Arc};

use reqwest::{Certificate, ClientBuilder, NoProxy, Proxy};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{Cassette, Recorder};

/// This machine, and the services of clouds that answer to this machine only.
const NEVER_BY_PROXY: &str =
    "localhost,127.0.0.0/8,::1,169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23";

/// Largest bundle of certificates read; the system's own is a quarter of a megabyte.
const BUNDLE_MAX: u64 = 16 << 20;

/// The way from this host to a provider.
#[derive(Clone, Default)]
pub struct Egress {
    /// Proxies for `http` and for `https`. They may hold a password.
    http: Option<String>,
    https: Option<String>,
    /// Hosts to which no proxy leads.
    direct: String,
    /// Certificates trusted instead of the system's own, in PEM.
    trust: Option<Arc<[u8]>>,
    /// What writes down the conversation.
    pub(crate) recorder: Option<Recorder>,
    /// What answers instead of anybody.
    pub(crate) cassette: Option<Cassette>,
}

impl Egress {
    /// Through the proxies that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name, in either case of letters; and
    /// recorded, if this process is ([`Recorder::of_this_process`]).
    pub fn of_environment() -> Self {
        let variable = |name: &str| {
            let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase()));
            value.ok().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
        };
        let all = || variable("ALL_PROXY");
        let (http, https) = (variable("HTTP_PROXY").or_else(all), variable("HTTPS_PROXY").or_else(all));
        Self {
            http,
            https,
            direct: variable("NO_PROXY").unwrap_or_default(),
            recorder: Recorder::of_process(),
            ..Self::default()
        }
    }

    /// Through that proxy, `http://host:port`, but to the hosts of that list, which is as in `NO_PROXY`.
    pub fn through(proxy: &str, direct: &str) -> Self {
        let proxy = Some(proxy.to_owned());
        Self { http: proxy.clone(), https: proxy, direct: direct.to_owned(), ..Self::default() }
    }

    /// To nobody: a conversation that was written down answers.
    pub fn replaying(cassette: Cassette) -> Self {
        Self { cassette: Some(cassette), ..Self::default() }
    }

    /// Written down by that recorder.
    pub fn recorded(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Trusts the certificates of this bundle in PEM, and no others. Fails if it holds none, or one that cannot be read.
    pub fn trusting(self, bundle: &[u8]) -> Result<Self, String> {
        let mut understood = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            let certificate = certificate.map_err(|_| "it is not in PEM")?;
            understood.add(certificate).map_err(|_| "a certificate in it cannot be read")?;
        }
        if understood.is_empty() {
            return Err("it holds no certificate".to_owned());
        }
        Ok(Self { trust: Some(bundle.into()), ..self })
    }

    /// The same with the bundle in that file, of at most 16 MiB. An error says what is wrong with it and does not name it.
    pub fn trusting_file(self, path: &Path) -> Result<Self, String> {
        let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
        if size > BUNDLE_MAX {
            return Err(format!("it is larger than {BUNDLE_MAX} bytes"));
        }
        self.trusting(&fs::read(path).map_err(|error| error.to_string())?)
    }

    /// A client that leaves by this way.
    pub(crate) fn applied(&self, client: ClientBuilder) -> Result<ClientBuilder, String> {
        let direct = NoProxy::from_string(&format!("{NEVER_BY_PROXY},{}", self.direct));
        // Not even by the environment, unless it was asked: then its proxies stand here.
        let mut client = client.no_proxy();
        let unread = |_| "a proxy's address cannot be read".to_owned();
        if let Some(proxy) = &self.http {
            client = client.proxy(Proxy::http(proxy).map_err(unread)?.no_proxy(direct.clone()));
        }
        if let Some(proxy) = &self.https {
            client = client.proxy(Proxy::https(proxy).map_err(unread)?.no_proxy(direct));
        }
        if let Some(trust) = &self.trust {
            let certificates = Certificate::from_pem_bundle(trust);
            client = client.tls_certs_only(certificates.map_err(|_| "the private certificates cannot be read")?);
        }
        Ok(client)
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (proxy, trust) = (self.https.is_some(), self.trust.is_some());
        f.debug_struct("Egress").field("proxy", &proxy).field("private trust", &trust).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_is_none_is_refused() {
        let wrong = [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
        ];
        for text in wrong {
            assert!(Egress::default().trusting(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
        let egress = Egress::through("http://me:hunter2@:x", "");
        let refused = egress.applied(reqwest::Client::builder()).map(drop).unwrap_err();
        assert!(!format!("{refused} {egress:?}").contains("hunter2"));
    }
}
