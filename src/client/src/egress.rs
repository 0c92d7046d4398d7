//! How calls leave this host: through which proxy, and whose certificates are trusted at the other end.
//! It must never trust a certificate that was not read and understood before.

use std::sync::Arc;

use aws_smithy_http_client::proxy::ProxyConfig;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The way from this host to a provider.
#[derive(Clone, Debug)]
pub struct Egress {
    pub(crate) proxy: ProxyConfig,
    /// Whether that proxy is the environment's choice.
    pub(crate) by_environment: bool,
    /// Certificates trusted instead of the system's own, in PEM.
    pub(crate) trust: Option<Arc<[u8]>>,
}

impl Default for Egress {
    fn default() -> Self {
        Self { proxy: ProxyConfig::disabled(), by_environment: false, trust: None }
    }
}

impl Egress {
    /// Through the proxies that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name, in either case of letters.
    pub fn of_environment() -> Self {
        Self { proxy: ProxyConfig::from_env(), by_environment: true, ..Self::default() }
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
}
