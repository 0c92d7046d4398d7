//! Private keys of SSH and X.509, and certificates, in files whose name promises them.
//! It must never report a bundle of other people's authorities as certificates of this host.

use provost_model::{Kind, field};

use super::{Recogniser, text};
use crate::host::{
    found::Finds,
    keys::{PrivateKey, PublicKey, ssh_digest},
    pem_blocks::{self, keep_private_key},
    place::Place,
    tree::Malformed,
    x509::Certificate,
};

/// From so many certificates without a key a file is a bundle of trusted authorities.
const BUNDLE: usize = 8;

pub(super) const KEYS: Recogniser = Recogniser {
    name: "key_file",
    title: "Private keys of SSH and X.509, and certificates",
    keeps_secrets: false,
    takes,
    read,
};

fn takes(place: &Place) -> bool {
    let name = place.name();
    let lower = name.to_ascii_lowercase();
    let extensions = ["pem", "key", "crt", "cer", "cert", "der", "p8", "pk8", "ppk", "p12", "pfx", "jks", "keystore"];
    let public =
        ["known_hosts", "config", "authorized_keys", "environment", "rc"].iter().any(|word| lower.starts_with(word));
    let in_ssh = place.parent() == ".ssh" && !public && !lower.ends_with(".pub") && !lower.ends_with(".old");
    let host_key = lower.starts_with("ssh_host_") && lower.ends_with("_key");
    let named = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"].iter().any(|start| lower.starts_with(start))
        && !lower.ends_with(".pub");
    in_ssh || host_key || named || extensions.iter().any(|it| place.has_extension(it))
}

fn read(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    if let [0x30, 0x80..=0x84, ..] = bytes {
        return binary(place, bytes, finds);
    }
    if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) || bytes.starts_with(&[0xce, 0xce, 0xce, 0xce]) {
        finds.closed("java_key_store", "", "a key store that is opened with a password");
        return Ok(());
    }
    if bytes.starts_with(b"PuTTY-User-Key-File-") {
        return putty(bytes, finds);
    }
    let ssh = is_ssh(place);
    let blocks = pem_blocks::blocks(bytes);
    let keys: Vec<_> = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY")).collect();
    let many = keys.len() > 1;
    for (index, block) in keys.iter().enumerate() {
        let openssh = block.label == "OPENSSH PRIVATE KEY";
        let what = if ssh || openssh { (Kind::SshKey, "ssh_private_key") } else { (Kind::Secret, "private_key") };
        let position = if many { format!("private key {}", index + 1) } else { "private key".to_owned() };
        let key = PrivateKey::from_pem(block.label, &block.content, block.encrypted);
        keep_private_key(Some(key), what, &position, finds, |facts| facts.with(field::LONG_LIVED, true));
    }
    let certificates = pem_blocks::certificates(bytes);
    if keys.is_empty() && certificates.len() >= BUNDLE {
        return Ok(());
    }
    own(certificates, finds);
    Ok(())
}

fn is_ssh(place: &Place) -> bool {
    place.parent() == ".ssh" || place.name().starts_with("ssh_host_") || place.name().starts_with("id_")
}

/// Of a chain only its end is a credential; an authority counts when it stands alone.
fn own(certificates: Vec<Certificate>, finds: &mut Finds<'_>) {
    let chain = certificates.iter().any(|it| !it.authority);
    let (mut number, mut done) = (0, false);
    for certificate in certificates {
        if (chain && certificate.authority) || (!chain && done) {
            continue;
        }
        number += 1;
        done = true;
        let position = if number == 1 { "certificate".to_owned() } else { format!("certificate {number}") };
        finds.certificate(position, certificate);
    }
}

/// DER: a certificate, an unencrypted key, or a PKCS #12 store, which is always closed.
fn binary(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    if place.has_extension("p12") || place.has_extension("pfx") {
        finds.closed("pkcs12_store", "", "a key store that is opened with a password");
        return Ok(());
    }
    if let Some(certificate) = Certificate::from_der(bytes) {
        finds.certificate("certificate".to_owned(), certificate);
        return Ok(());
    }
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        let key = PrivateKey::from_pem(label, bytes, false);
        if key.public.is_some() {
            keep_private_key(Some(key), (Kind::Secret, "private_key"), "private key", finds, |facts| {
                facts.with(field::LONG_LIVED, true)
            });
            return Ok(());
        }
    }
    Ok(())
}

/// PuTTY's own format: the public half stands in lines of its own.
fn putty(bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = text(bytes)?;
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let lines: usize = header("Public-Lines").and_then(|it| it.trim().parse().ok()).unwrap_or(0).min(1000);
    let public: String =
        text.lines().skip_while(|line| !line.starts_with("Public-Lines")).skip(1).take(lines).map(str::trim).collect();
    let blob = STANDARD.decode(public).unwrap_or_default();
    let public = PublicKey::from_ssh(&blob);
    let key = PrivateKey {
        algorithm: public.as_ref().map(|it| it.algorithm),
        ssh_digest: public.as_ref().map(|_| ssh_digest(&blob)),
        public,
        encrypted: header("Encryption").is_some_and(|it| it.trim() != "none"),
        unnamed: None,
    };
    keep_private_key(Some(key), (Kind::SshKey, "ssh_private_key"), "private key", finds, |facts| {
        facts.with(field::LONG_LIVED, true)
    });
    Ok(())
}
