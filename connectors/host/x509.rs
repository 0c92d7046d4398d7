//! Certificates: what they say of themselves, and the identity a client certificate proves.
//! It must never take a certificate's word for more than it is: nothing is verified here.

use provost_model::{Facts, Reading, Time, field};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, ParsedExtension, X509Certificate},
};

use super::keys::PublicKey;

/// Most alternative names kept.
const NAMES_MAX: usize = 64;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Distinguished name of the subject.
    pub subject: String,
    /// Distinguished name of the issuer.
    pub issuer: String,
    /// End of validity.
    pub not_after: Time,
    /// Whether it may authenticate clients.
    pub client: bool,
    /// Whether it may sign certificates.
    pub authority: bool,
    not_before: Time,
    serial: String,
    signature: String,
    names: Vec<String>,
    usage: Vec<String>,
    key: Option<PublicKey>,
}

impl Certificate {
    /// The certificate in that DER; `None` if it is none.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let (client, usage) = usages(&parsed);
        let seconds = |time: &x509_parser::time::ASN1Time| Time::from_seconds(time.timestamp());
        Some(Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            not_after: seconds(&parsed.validity().not_after),
            not_before: seconds(&parsed.validity().not_before),
            client,
            authority: parsed.is_ca(),
            serial: parsed.tbs_certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            signature: signature_name(&parsed.signature_algorithm.algorithm.to_id_string()),
            names: alternative_names(&parsed),
            usage,
            key: PublicKey::from_spki(parsed.public_key().raw),
        })
    }

    /// The external id of the workload it names: subject and issuer, since several certificates may follow one another.
    pub(crate) fn identity(&self) -> String {
        format!("certificate:{};issuer:{}", self.subject, self.issuer)
    }

    /// What the certificate says, as facts.
    pub(crate) fn facts(&self) -> Facts {
        let mut facts = self.key.as_ref().map(PublicKey::facts).unwrap_or_default();
        facts.set(field::CREDENTIAL_TYPE, "x509_certificate".to_owned());
        facts.set(field::SUBJECT, self.subject.clone());
        facts.set(field::ISSUER, self.issuer.clone());
        facts.set(field::SERIAL, self.serial.clone());
        facts.set(field::SIGNATURE_ALGORITHM, self.signature.clone());
        facts.set(field::ALTERNATIVE_NAMES, self.names.clone());
        facts.set(field::KEY_USAGE, self.usage.clone());
        facts.set(field::ISSUED_AT, self.not_before);
        facts.set(field::EXPIRES_AT, Reading::Known(self.not_after));
        facts
    }
}

/// Whether clients may use it, and all usages in words.
fn usages(parsed: &X509Certificate<'_>) -> (bool, Vec<String>) {
    let mut words = Vec::new();
    let mut client = false;
    if let Ok(Some(extended)) = parsed.extended_key_usage() {
        let usage = extended.value;
        client = usage.client_auth;
        let flags = [
            (usage.any, "any"),
            (usage.server_auth, "serverAuth"),
            (usage.client_auth, "clientAuth"),
            (usage.code_signing, "codeSigning"),
            (usage.email_protection, "emailProtection"),
            (usage.time_stamping, "timeStamping"),
            (usage.ocsp_signing, "OCSPSigning"),
        ];
        words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, word)| (*word).to_owned()));
        words.extend(usage.other.iter().take(16).map(|oid| oid.to_id_string()));
    }
    if parsed.is_ca() {
        words.push("certificate authority".to_owned());
    }
    (client, words)
}

fn alternative_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let lists = parsed.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(list) => Some(&list.general_names),
        _ => None,
    });
    let word = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(it) | GeneralName::URI(it) | GeneralName::RFC822Name(it) => Some((*it).to_owned()),
        GeneralName::IPAddress([a, b, c, d]) => Some(format!("{a}.{b}.{c}.{d}")),
        GeneralName::IPAddress(bytes) => {
            let bytes: [u8; 16] = (*bytes).try_into().ok()?;
            Some(std::net::Ipv6Addr::from(bytes).to_string())
        }
        _ => None,
    };
    lists.flatten().filter_map(word).take(NAMES_MAX).collect()
}

/// Names of the signature algorithms one meets (RFC 3279, 4055, 5758, 8410); others stay numbers.
fn signature_name(oid: &str) -> String {
    let name = match oid {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10" => "rsassaPss",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.10040.4.3" => "dsa-with-sha1",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.3.101.112" => "ed25519",
        other => other,
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testtree::keys as made;

    #[test]
    fn a_client_certificate_tells_everything_that_matters() {
        let modulus = made::modulus("client", 1024);
        let certificate = Certificate::from_der(&made::certificate("builder", &modulus, made::Use::Client)).unwrap();
        assert!(certificate.client && !certificate.authority);
        let facts = certificate.facts();
        assert_eq!(facts.get(field::BITS), Reading::Known(1024));
        assert_eq!(facts.get(field::SIGNATURE_ALGORITHM), Reading::Known("sha1WithRSAEncryption".to_owned()));
        assert_eq!(facts.get(field::KEY_USAGE), Reading::Known(vec!["clientAuth".to_owned()]));
        assert!(facts.get(field::EXPIRES_AT).known().is_some());
        assert!(certificate.identity().contains("CN=builder"));
    }
}
