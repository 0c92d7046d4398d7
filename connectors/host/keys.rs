//! Keys of SSH and X.509: their algorithm, size, public half and its digest, whatever the file format.
//! It must never keep a private half.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use provost_model::{Facts, field};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    der::{self, Der, Wire},
    digest,
};

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The algorithm's usual name: rsa, dsa, ecdsa, ed25519.
    pub algorithm: &'static str,
    /// Size in bits.
    pub bits: i64,
    /// SubjectPublicKeyInfo (RFC 5280), DER.
    pub spki: Vec<u8>,
}

/// What a private key file tells without its passphrase.
#[derive(Debug, Default)]
pub(crate) struct PrivateKey {
    /// The public half, if it can be told.
    pub public: Option<PublicKey>,
    /// The algorithm, if it can be told.
    pub algorithm: Option<&'static str>,
    /// Whether a passphrase is needed.
    pub encrypted: bool,
    /// Digest of the SSH form of the public half, as ssh-keygen prints it.
    pub ssh_digest: Option<String>,
    /// The private half where nothing else identifies the key; wiped when dropped.
    pub unnamed: Option<Zeroizing<Vec<u8>>>,
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const P224: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x21];
const P192: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x01];
const K256: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];

impl PublicKey {
    /// The key in an SSH public key blob (RFC 4253, 5656, 8709; OpenSSH's PROTOCOL.u2f).
    pub(crate) fn from_ssh(blob: &[u8]) -> Option<Self> {
        let mut wire = Wire(blob);
        match wire.string()? {
            b"ssh-rsa" => {
                let (exponent, modulus) = (wire.string()?, wire.string()?);
                Some(Self::rsa(modulus, exponent))
            }
            b"ssh-dss" => Some(Self::dsa([wire.string()?, wire.string()?, wire.string()?], wire.string()?)),
            b"ssh-ed25519" | b"sk-ssh-ed25519@openssh.com" => Some(Self::ed25519(wire.string()?)),
            b"ecdsa-sha2-nistp256"
            | b"ecdsa-sha2-nistp384"
            | b"ecdsa-sha2-nistp521"
            | b"sk-ecdsa-sha2-nistp256@openssh.com" => {
                let curve = match wire.string()? {
                    b"nistp256" => P256,
                    b"nistp384" => P384,
                    b"nistp521" => P521,
                    _ => return None,
                };
                Some(Self::ec(curve, wire.string()?))
            }
            _ => None,
        }
    }

    /// The key of a SubjectPublicKeyInfo.
    pub(crate) fn from_spki(spki: &[u8]) -> Option<Self> {
        let mut outer = Der(spki).sequence()?;
        let mut algorithm = outer.sequence()?;
        let oid = algorithm.take(der::OID)?;
        let key = outer.bits()?;
        let (name, bits) = match oid {
            RSA | RSA_PSS => ("rsa", bit_length(Der(key).sequence()?.take(der::INTEGER)?)),
            EC => ("ecdsa", curve_bits(algorithm.take(der::OID)?, key)),
            DSA => ("dsa", algorithm.sequence().and_then(|mut it| it.take(der::INTEGER)).map_or(0, bit_length)),
            ED25519 => ("ed25519", 256),
            _ => ("other", 0),
        };
        Some(Self { algorithm: name, bits, spki: spki.to_vec() })
    }

    /// SHA-256 of the SubjectPublicKeyInfo: the same for every place and format that holds this key.
    pub(crate) fn fingerprint(&self) -> String {
        format!("sha256:{}", digest(&self.spki))
    }

    /// The facts every record of such a key has.
    pub(crate) fn facts(&self) -> Facts {
        Facts::new()
            .with(field::ALGORITHM, self.algorithm.to_owned())
            .with(field::BITS, self.bits)
            .with(field::FINGERPRINT, self.fingerprint())
    }

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let key = der::write_sequence(&[der::write_integer(modulus), der::write_integer(exponent)]);
        let algorithm = der::write_sequence(&[der::write(der::OID, RSA), der::write(der::NULL, &[])]);
        Self {
            algorithm: "rsa",
            bits: bit_length(modulus),
            spki: der::write_sequence(&[algorithm, der::write_bits(&key)]),
        }
    }

    fn dsa(parameters: [&[u8]; 3], value: &[u8]) -> Self {
        let [p, q, g] = parameters;
        let shared = der::write_sequence(&[der::write_integer(p), der::write_integer(q), der::write_integer(g)]);
        let algorithm = der::write_sequence(&[der::write(der::OID, DSA), shared]);
        let spki = der::write_sequence(&[algorithm, der::write_bits(&der::write_integer(value))]);
        Self { algorithm: "dsa", bits: bit_length(p), spki }
    }

    fn ec(curve: &[u8], point: &[u8]) -> Self {
        let algorithm = der::write_sequence(&[der::write(der::OID, EC), der::write(der::OID, curve)]);
        let spki = der::write_sequence(&[algorithm, der::write_bits(point)]);
        Self { algorithm: "ecdsa", bits: curve_bits(curve, point), spki }
    }

    fn ed25519(key: &[u8]) -> Self {
        let algorithm = der::write_sequence(&[der::write(der::OID, ED25519)]);
        Self { algorithm: "ed25519", bits: 256, spki: der::write_sequence(&[algorithm, der::write_bits(key)]) }
    }
}

impl PrivateKey {
    /// What the content of a PEM block of that label tells; `encrypted` if its headers say so.
    pub(crate) fn from_pem(label: &str, content: &[u8], encrypted: bool) -> Self {
        match label {
            "OPENSSH PRIVATE KEY" => Self::openssh(content).unwrap_or_default(),
            "ENCRYPTED PRIVATE KEY" => Self { encrypted: true, ..Self::default() },
            "RSA PRIVATE KEY" if encrypted => Self { encrypted, algorithm: Some("rsa"), ..Self::default() },
            "DSA PRIVATE KEY" if encrypted => Self { encrypted, algorithm: Some("dsa"), ..Self::default() },
            "EC PRIVATE KEY" if encrypted => Self { encrypted, algorithm: Some("ecdsa"), ..Self::default() },
            _ if encrypted => Self { encrypted, ..Self::default() },
            "RSA PRIVATE KEY" => Self::known(pkcs1(content)),
            "DSA PRIVATE KEY" => Self::known(traditional_dsa(content)),
            "EC PRIVATE KEY" => Self::known(sec1(content, None)),
            "PRIVATE KEY" => Self::pkcs8(content).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    fn known(public: Option<PublicKey>) -> Self {
        Self { algorithm: public.as_ref().map(|it| it.algorithm), public, ..Self::default() }
    }

    /// OpenSSH's own format (PROTOCOL.key): the public half is never encrypted.
    fn openssh(content: &[u8]) -> Option<Self> {
        let mut wire = Wire(content.strip_prefix(b"openssh-key-v1\0")?);
        let cipher = wire.string()?;
        let (_derivation, _options) = (wire.string()?, wire.string()?);
        let _number_of_keys = wire.number()?;
        let blob = wire.string()?;
        let key = Self::known(PublicKey::from_ssh(blob));
        Some(Self { encrypted: cipher != b"none", ssh_digest: Some(ssh_digest(blob)), ..key })
    }

    /// RFC 5208 and 5958.
    fn pkcs8(content: &[u8]) -> Option<Self> {
        let mut outer = Der(content).sequence()?;
        outer.take(der::INTEGER)?;
        let mut algorithm = outer.sequence()?;
        let oid = algorithm.take(der::OID)?;
        let inner = outer.take(der::OCTETS)?;
        Some(match oid {
            RSA | RSA_PSS => Self::known(pkcs1(inner)),
            EC => {
                let curve = algorithm.take(der::OID);
                let key = Self::known(sec1(inner, curve));
                let unnamed = key.public.is_none().then(|| Zeroizing::new(inner.to_vec()));
                Self { algorithm: Some("ecdsa"), unnamed, ..key }
            }
            ED25519 => {
                // Attributes may stand before the public half, which is there in version 1 only.
                let mut rest = outer;
                let named = std::iter::from_fn(|| rest.next()).find(|(tag, _)| *tag == 0x81);
                let public = named.and_then(|(_, bits)| bits.split_first()).map(|(_, key)| PublicKey::ed25519(key));
                let unnamed = public.is_none().then(|| Zeroizing::new(inner.to_vec()));
                Self { algorithm: Some("ed25519"), public, unnamed, ..Self::default() }
            }
            _ => Self { unnamed: Some(Zeroizing::new(inner.to_vec())), ..Self::default() },
        })
    }
}

/// The digest of an SSH public key blob as ssh-keygen prints it.
pub(crate) fn ssh_digest(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// RFC 8017, appendix A.1.2: version, modulus, exponent, and the private rest.
fn pkcs1(content: &[u8]) -> Option<PublicKey> {
    let mut fields = Der(content).sequence()?;
    fields.take(der::INTEGER)?;
    let modulus = fields.take(der::INTEGER)?;
    Some(PublicKey::rsa(modulus, fields.take(der::INTEGER)?))
}

fn traditional_dsa(content: &[u8]) -> Option<PublicKey> {
    let mut fields = Der(content).sequence()?;
    fields.take(der::INTEGER)?;
    let shared = [fields.take(der::INTEGER)?, fields.take(der::INTEGER)?, fields.take(der::INTEGER)?];
    Some(PublicKey::dsa(shared, fields.take(der::INTEGER)?))
}

/// RFC 5915. In PKCS #8 the curve is named outside.
fn sec1(content: &[u8], outer_curve: Option<&[u8]>) -> Option<PublicKey> {
    let mut fields = Der(content).sequence()?;
    fields.take(der::INTEGER)?;
    fields.take(der::OCTETS)?;
    let named = fields.take(0xa0).and_then(|inner| Der(inner).take(der::OID));
    let point = fields.take(0xa1).and_then(|inner| Der(inner).bits())?;
    Some(PublicKey::ec(named.or(outer_curve)?, point))
}

fn bit_length(digits: &[u8]) -> i64 {
    let mut digits = digits.iter().skip_while(|digit| **digit == 0);
    match digits.next() {
        Some(first) => (digits.count() as i64) * 8 + i64::from(8 - first.leading_zeros()),
        None => 0,
    }
}

fn curve_bits(curve: &[u8], point: &[u8]) -> i64 {
    match curve {
        P192 => 192,
        P224 => 224,
        P256 | K256 => 256,
        P384 => 384,
        P521 => 521,
        // An uncompressed point has two coordinates of the field's size behind one byte.
        _ => (point.len().saturating_sub(1) as i64) * 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testtree::keys as made;

    #[test]
    fn one_key_has_one_fingerprint_in_every_format() {
        let modulus = made::modulus("rsa", 2048);
        let spki = PublicKey::rsa(&modulus, &[1, 0, 1]);
        let blob = made::ssh_rsa(&modulus);
        let traditional = PrivateKey::from_pem("RSA PRIVATE KEY", &made::pkcs1(&modulus), false).public.unwrap();
        let modern = PrivateKey::from_pem("PRIVATE KEY", &made::pkcs8_rsa(&modulus), false).public.unwrap();
        let openssh = PrivateKey::from_pem("OPENSSH PRIVATE KEY", &made::openssh(&blob, false), false);
        assert_eq!(PublicKey::from_ssh(&blob).unwrap(), spki);
        assert_eq!(PublicKey::from_spki(&spki.spki).unwrap(), spki);
        assert_eq!(traditional, spki);
        assert_eq!(modern, spki);
        assert_eq!(openssh.public.unwrap(), spki);
        assert_eq!(spki.bits, 2048);
    }

    #[test]
    fn a_passphrase_is_seen_in_every_format() {
        let blob = made::ssh_rsa(&made::modulus("rsa", 1024));
        assert!(PrivateKey::from_pem("OPENSSH PRIVATE KEY", &made::openssh(&blob, true), false).encrypted);
        assert!(!PrivateKey::from_pem("OPENSSH PRIVATE KEY", &made::openssh(&blob, false), false).encrypted);
        assert!(PrivateKey::from_pem("ENCRYPTED PRIVATE KEY", b"", false).encrypted);
        assert!(PrivateKey::from_pem("RSA PRIVATE KEY", b"junk", true).encrypted);
    }
}
