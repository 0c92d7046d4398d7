//! Keys of certificates that are made here, and the requests that are signed with them.
//! It must never let a private half out but as a secret, nor tell two keys apart by anything but their public halves.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{self, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType, string::Ia5String};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::certificate::Certificate;

/// Signs of base64 in a line (RFC 7468).
const WIDTH: usize = 64;

/// A sort of key that can be made here.
pub(super) struct Sort {
    /// The word in `key = "…"`.
    pub(super) word: &'static str,
    /// The same in a role's `key_type`.
    pub(super) family: &'static str,
    /// The same in its `key_bits`.
    bits: u64,
    make: Make,
}

enum Make {
    Rsa(KeySize),
    Curve(&'static EcdsaSigningAlgorithm),
    Edwards,
}

/// Every sort, the smallest of each family first.
pub(super) static SORTS: [Sort; 7] = [
    Sort { word: "rsa-2048", family: "rsa", bits: 2_048, make: Make::Rsa(KeySize::Rsa2048) },
    Sort { word: "rsa-3072", family: "rsa", bits: 3_072, make: Make::Rsa(KeySize::Rsa3072) },
    Sort { word: "rsa-4096", family: "rsa", bits: 4_096, make: Make::Rsa(KeySize::Rsa4096) },
    Sort { word: "ec-p256", family: "ec", bits: 256, make: Make::Curve(&ECDSA_P256_SHA256_ASN1_SIGNING) },
    Sort { word: "ec-p384", family: "ec", bits: 384, make: Make::Curve(&ECDSA_P384_SHA384_ASN1_SIGNING) },
    Sort { word: "ec-p521", family: "ec", bits: 521, make: Make::Curve(&ECDSA_P521_SHA512_ASN1_SIGNING) },
    Sort { word: "ed25519", family: "ed25519", bits: 0, make: Make::Edwards },
];

/// A new key.
pub(super) struct NewKey {
    /// The private half: PKCS #8 as PEM, in the first version, which every library reads.
    pub(super) private: SecretString,
    /// The mark of the public half.
    pub(super) mark: String,
}

/// The sort of that name; or what is wrong with it.
pub(super) fn named(word: &str) -> Result<&'static Sort, String> {
    let all = || SORTS.iter().map(|sort| sort.word).collect::<Vec<_>>().join(", ");
    SORTS.iter().find(|sort| sort.word == word).ok_or_else(|| format!("`key` is one of {}", all()))
}

/// The sort that a role takes, by its family and the fewest bits it allows: the one that was set, else the smallest that will do.
/// Where it takes any, that is RSA of 2048 bits, which everything reads.
pub(super) fn fitting(set: Option<&'static Sort>, (family, bits): (&str, u64)) -> Result<&'static Sort, String> {
    let takes = |sort: &&Sort| match family {
        "any" => true,
        _ => sort.family == family && sort.bits >= bits,
    };
    let wanted = || format!("keys of the kind {family} with at least {bits} bits");
    match set {
        Some(set) if takes(&set) => Ok(set),
        Some(set) => Err(format!("the role takes only {}, and `key` says {}", wanted(), set.word)),
        None => SORTS.iter().find(takes).ok_or_else(|| format!("the role takes only {}: none is made here", wanted())),
    }
}

impl Sort {
    /// Makes a key; an RSA key takes a good part of a second.
    pub(super) fn made(&self) -> Option<NewKey> {
        match &self.make {
            Make::Rsa(size) => {
                let pair = rsa::KeyPair::generate(*size).ok()?;
                let whole: Pkcs8V1Der<'_> = pair.as_der().ok()?;
                Some(NewKey::of(whole.as_ref(), pair.public_key().as_ref()))
            }
            Make::Curve(curve) => {
                let pair = EcdsaKeyPair::generate(curve).ok()?;
                Some(NewKey::of(pair.to_pkcs8v1().ok()?.as_ref(), pair.public_key().as_ref()))
            }
            Make::Edwards => {
                let pair = Ed25519KeyPair::generate().ok()?;
                Some(NewKey::of(pair.to_pkcs8v1().ok()?.as_ref(), pair.public_key().as_ref()))
            }
        }
    }
}

impl NewKey {
    fn of(private: &[u8], public: &[u8]) -> Self {
        Self { private: SecretString::from(pem("PRIVATE KEY", private).as_str()), mark: mark(public) }
    }
}

/// By what a key is known: the digest of its public half as it stands in a certificate (RFC 5280, `subjectPublicKey`), without
/// what is said of it there.
pub(super) fn mark(public: &[u8]) -> String {
    let digest = Sha256::digest(public);
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A request for a certificate of that key with the names of another one, as PEM; or what is wrong.
pub(super) fn request(private: &SecretString, old: &Certificate) -> Result<String, &'static str> {
    let mut der = PrivateKeyDer::from_pem_slice(private.expose_secret().as_bytes()).map_err(|_| "the key is none")?;
    let pair = KeyPair::try_from(&der).map(Zeroizing::new);
    der.zeroize();
    let pair = pair.map_err(|_| "the key cannot be used")?;
    let mut asked = CertificateParams::default();
    asked.distinguished_name = DistinguishedName::new();
    asked.distinguished_name.push(DnType::CommonName, old.common_name.as_str());
    asked.subject_alt_names = names(old).ok_or("a name of the old certificate cannot be asked for again")?;
    let request = asked.serialize_request(&*pair).map_err(|_| "no request can be signed with the key")?;
    Ok(pem("CERTIFICATE REQUEST", request.der()).as_str().to_owned())
}

fn names(old: &Certificate) -> Option<Vec<SanType>> {
    let text = |it: &String| Ia5String::try_from(it.as_str()).ok();
    let hosts = old.hosts.iter().map(|it| text(it).map(SanType::DnsName));
    let mail = old.mail.iter().map(|it| text(it).map(SanType::Rfc822Name));
    let uris = old.uris.iter().map(|it| text(it).map(SanType::URI));
    let addresses = old.addresses.iter().map(|it| it.parse().ok().map(SanType::IpAddress));
    hosts.chain(mail).chain(addresses).chain(uris).collect()
}

/// PEM as RFC 7468 has it, wiped when it is dropped.
fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    // Room for all of it: what grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(encoded.len() + encoded.len() / WIDTH + 2 * label.len() + 64));
    ["-----BEGIN ", label, "-----"].iter().for_each(|it| text.push_str(it));
    for (at, sign) in encoded.chars().enumerate() {
        if at % WIDTH == 0 {
            text.push('\n');
        }
        text.push(sign);
    }
    ["\n-----END ", label, "-----\n"].iter().for_each(|it| text.push_str(it));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_says_which_key_it_takes_and_a_setting_says_more() {
        let word = |set: Option<&str>, family, bits| {
            fitting(set.map(|it| named(it).unwrap()), (family, bits)).map(|sort| sort.word)
        };
        for (set, family, bits, takes) in [
            (None, "rsa", 2_048, "rsa-2048"),
            (None, "rsa", 0, "rsa-2048"),
            (None, "rsa", 3_000, "rsa-3072"),
            (None, "ec", 224, "ec-p256"),
            (None, "ec", 384, "ec-p384"),
            (None, "ed25519", 0, "ed25519"),
            (None, "any", 0, "rsa-2048"),
            (Some("ec-p521"), "any", 0, "ec-p521"),
            (Some("rsa-4096"), "rsa", 2_048, "rsa-4096"),
        ] {
            assert_eq!(word(set, family, bits), Ok(takes), "{set:?} {family} {bits}");
        }
        for (set, family, bits, says) in [
            (Some("ec-p256"), "rsa", 2_048, "kind rsa with at least 2048 bits, and `key` says ec-p256"),
            (Some("rsa-2048"), "rsa", 4_096, "kind rsa with at least 4096 bits, and `key` says rsa-2048"),
            (None, "rsa", 8_192, "none is made here"),
            (None, "ml-dsa", 0, "none is made here"),
        ] {
            let said = word(set, family, bits).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
        let said = named("rsa-1024").map(|_| ()).unwrap_err();
        assert!(said.ends_with("rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384, ec-p521, ed25519"), "{said}");
    }

    #[test]
    fn a_request_has_the_names_and_the_public_half_and_nothing_private() {
        let old = Certificate {
            common_name: "api.corp.test".into(),
            hosts: ["api.corp.test", "*.c.corp.test"].map(str::to_owned).into(),
            mail: ["ops@corp.test".to_owned()].into(),
            addresses: ["10.0.0.1", "2001:db8::1"].map(str::to_owned).into(),
            uris: ["spiffe://corp.test/api".to_owned()].into(),
            ..Certificate::default()
        };
        for sort in &SORTS {
            let (key, other) = (sort.made().unwrap(), sort.made().unwrap());
            assert_ne!(key.mark, other.mark, "{}", sort.word);
            let text = request(&key.private, &old).unwrap();
            let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).unwrap();
            assert_eq!(pem.label, "CERTIFICATE REQUEST");
            assert!(text.lines().all(|line| line.len() <= WIDTH));
            let (_, asked) = <x509_parser::prelude::X509CertificationRequest<'_> as x509_parser::prelude::FromDer<
                '_,
                x509_parser::error::X509Error,
            >>::from_der(&pem.contents)
            .unwrap();
            let info = &asked.certification_request_info;
            assert_eq!(mark(&info.subject_pki.subject_public_key.data), key.mark, "{}", sort.word);
            let subject = info.subject.to_string();
            assert_eq!(subject, "CN=api.corp.test");
            let names = asked.requested_extensions().unwrap().find_map(|it| match it {
                x509_parser::extensions::ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
                _ => None,
            });
            assert_eq!(names.unwrap().len(), 6);
            let body = key.private.expose_secret().lines().nth(1).unwrap().to_owned();
            assert!(key.private.expose_secret().starts_with("-----BEGIN PRIVATE KEY-----\n") && !text.contains(&body));
        }
        let old = Certificate { hosts: ["bücher.test".to_owned()].into(), ..old };
        assert!(request(&SORTS[6].made().unwrap().private, &old).is_err());
        assert!(request(&SecretString::from("hunter2"), &Certificate::default()).unwrap_err().contains("none"));
    }
}
