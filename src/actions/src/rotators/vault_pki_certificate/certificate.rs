//! What a certificate says of itself, and whether a key and a chain are its own.
//! It must never put a private key into an error, nor judge a chain by anything but the library that TLS is judged by.

use std::{collections::BTreeSet, time::Duration};

use provost_model::{Span, Time};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret as _, SecretString};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer as _, X509Certificate},
};

use super::key;

/// What a certificate says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Certificate {
    /// `3d:1a:b1:…`, as the server writes it.
    pub(super) serial: String,
    /// Empty where it has none.
    pub(super) common_name: String,
    /// Names of hosts.
    pub(super) hosts: BTreeSet<String>,
    /// Addresses of mail.
    pub(super) mail: BTreeSet<String>,
    /// Addresses of the net.
    pub(super) addresses: BTreeSet<String>,
    /// Whole addresses, such as SPIFFE ids.
    pub(super) uris: BTreeSet<String>,
    /// Whether it has names of another kind.
    pub(super) others: bool,
    /// Extended key usages, by their numbers.
    pub(super) usages: BTreeSet<String>,
    /// By what its key is known.
    pub(super) key: String,
    /// Whether it may sign certificates.
    pub(super) authority: bool,
    pub(super) not_before: Time,
    pub(super) not_after: Time,
}

impl Certificate {
    /// The certificate in that PEM; none if it is none.
    pub(super) fn of_pem(pem: &str) -> Option<Self> {
        Self::of_der(&der(pem)?)
    }

    fn of_der(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let seconds = |time: &x509_parser::time::ASN1Time| Time::from_seconds(time.timestamp());
        let name = parsed.subject().iter_common_name().next().and_then(|it| it.as_str().ok());
        let bytes: Vec<String> = parsed.tbs_certificate.raw_serial().iter().map(|it| format!("{it:02x}")).collect();
        // A leading zero only says that the number is not a negative one.
        let bytes = if bytes.len() > 1 { bytes.strip_prefix(&["00".to_owned()]).unwrap_or(&bytes) } else { &bytes };
        let mut found = Self {
            serial: bytes.join(":"),
            common_name: name.unwrap_or_default().to_owned(),
            key: key::mark(&parsed.public_key().subject_public_key.data),
            authority: parsed.is_ca(),
            not_before: seconds(&parsed.validity().not_before),
            not_after: seconds(&parsed.validity().not_after),
            ..Self::default()
        };
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    names.general_names.iter().for_each(|name| found.name(name));
                }
                ParsedExtension::ExtendedKeyUsage(usage) => found.usages = usages(usage),
                _ => {}
            }
        }
        Some(found)
    }

    fn name(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(it) => self.hosts.insert((*it).to_owned()),
            GeneralName::RFC822Name(it) => self.mail.insert((*it).to_owned()),
            GeneralName::URI(it) => self.uris.insert((*it).to_owned()),
            GeneralName::IPAddress(bytes) => {
                let four = <[u8; 4]>::try_from(*bytes).map(|it| std::net::Ipv4Addr::from(it).to_string());
                let text =
                    four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|it| std::net::Ipv6Addr::from(it).to_string()));
                match text {
                    Ok(text) => self.addresses.insert(text),
                    Err(_) => std::mem::replace(&mut self.others, true),
                }
            }
            _ => std::mem::replace(&mut self.others, true),
        };
    }

    /// How long it was made for, where its beginning was put that far back.
    pub(super) fn lifetime(&self, back: Span) -> i64 {
        ((self.not_after - self.not_before).as_micros() - back.as_micros()) / 1_000_000
    }

    /// Whether it has every name and every usage of another one.
    pub(super) fn stands_for(&self, other: &Certificate) -> bool {
        self.common_name == other.common_name
            && self.hosts.is_superset(&other.hosts)
            && self.mail.is_superset(&other.mail)
            && self.addresses.is_superset(&other.addresses)
            && self.uris.is_superset(&other.uris)
            && self.usages.is_superset(&other.usages)
    }
}

fn usages(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> BTreeSet<String> {
    let flags = [
        (usage.any, "any"),
        (usage.server_auth, "server"),
        (usage.client_auth, "client"),
        (usage.code_signing, "code"),
        (usage.email_protection, "mail"),
        (usage.time_stamping, "time"),
        (usage.ocsp_signing, "status"),
    ];
    let named = flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned());
    named.chain(usage.other.iter().map(|it| it.to_id_string())).collect()
}

/// The first certificate in that PEM, as its bytes.
pub(super) fn der(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// Usages are compared with those of the old certificate; a chain holds whatever they are.
struct Whatever;

impl ExtendedKeyUsageValidator for Whatever {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Whether the key is that of the certificate, and the certificate hangs on the last one of its chain now; or what is wrong.
pub(super) fn holds(
    certificate: &CertificateDer<'static>,
    key: &SecretString,
    chain: &str,
    now: Time,
) -> Result<(), &'static str> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| "the private key is none")?;
    let signs = provider.key_provider.load_private_key(key).map_err(|_| "the private key cannot be used")?;
    let both = CertifiedKey::new(vec![certificate.clone()], signs);
    both.keys_match().map_err(|_| "the private key is not that of the certificate")?;
    let mut chain = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "the chain of authorities cannot be read")?;
    let root = chain.pop().ok_or("there is no chain of authorities")?;
    let anchor = anchor_from_trusted_cert(&root).map_err(|_| "the authority is none")?;
    let leaf = EndEntityCert::try_from(certificate).map_err(|_| "the certificate cannot be used")?;
    let now = UnixTime::since_unix_epoch(Duration::from_micros(now.as_micros().unsigned_abs()));
    let algorithms = provider.signature_verification_algorithms.all;
    leaf.verify_for_usage(algorithms, &[anchor], &chain, now, Whatever, None, None)
        .map(|_| ())
        .map_err(|_| "the certificate does not hang on its authority, or is not valid now")
}
