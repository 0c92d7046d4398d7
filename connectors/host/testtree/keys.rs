//! Key files and certificates of the right shape, made from a seed: they open nothing.
//! It must never be taken for cryptography: the parts of these keys do not belong together.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::super::der::{self, write, write_bits, write_integer, write_sequence};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const SHA1_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
const SHA256_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const EXTENDED_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// What a certificate is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Clients; signed with SHA-1.
    Client,
    /// Servers; signed with SHA-256.
    Server,
}

/// A number of so many bits that looks like a modulus.
pub fn modulus(seed: &str, bits: usize) -> Vec<u8> {
    let mut bytes = super::noise(seed, bits / 8);
    if let Some(first) = bytes.first_mut() {
        *first |= 0x80;
    }
    if let Some(last) = bytes.last_mut() {
        *last |= 1;
    }
    bytes
}

/// An SSH public key blob.
pub fn ssh_rsa(modulus: &[u8]) -> Vec<u8> {
    let mut number = vec![0];
    number.extend_from_slice(modulus);
    [wire(b"ssh-rsa"), wire(&[1, 0, 1]), wire(&number)].concat()
}

/// An SSH public key blob of an Ed25519 key.
pub fn ssh_ed25519(seed: &str) -> Vec<u8> {
    [wire(b"ssh-ed25519"), wire(&super::noise(seed, 32))].concat()
}

/// A traditional RSA private key.
pub fn pkcs1(modulus: &[u8]) -> Vec<u8> {
    let private = super::noise(&format!("private of {}", super::super::digest(modulus)), 64);
    write_sequence(&[write_integer(&[0]), write_integer(modulus), write_integer(&[1, 0, 1]), write_integer(&private)])
}

/// A PKCS #8 RSA private key.
pub fn pkcs8_rsa(modulus: &[u8]) -> Vec<u8> {
    let algorithm = write_sequence(&[write(der::OID, RSA), write(der::NULL, &[])]);
    write_sequence(&[write_integer(&[0]), algorithm, write(der::OCTETS, &pkcs1(modulus))])
}

/// An OpenSSH private key around a public key blob.
pub fn openssh(blob: &[u8], encrypted: bool) -> Vec<u8> {
    let (cipher, derivation): (&[u8], &[u8]) = if encrypted { (b"aes256-ctr", b"bcrypt") } else { (b"none", b"none") };
    let mut out = b"openssh-key-v1\0".to_vec();
    out.extend([wire(cipher), wire(derivation), wire(b""), vec![0, 0, 0, 1], wire(blob)].concat());
    out.extend(wire(&super::noise("private part", 160)));
    out
}

/// A certificate valid from 2024 to 2034, signed by nobody.
pub fn certificate(name: &str, modulus: &[u8], made_for: Use) -> Vec<u8> {
    let (signature, usage) = match made_for {
        Use::Client => (SHA1_RSA, CLIENT_AUTH),
        Use::Server => (SHA256_RSA, SERVER_AUTH),
    };
    let signature = write_sequence(&[write(der::OID, signature), write(der::NULL, &[])]);
    let key = write_sequence(&[write_integer(modulus), write_integer(&[1, 0, 1])]);
    let algorithm = write_sequence(&[write(der::OID, RSA), write(der::NULL, &[])]);
    let usages = write_sequence(&[write(der::OID, usage)]);
    let extension = write_sequence(&[write(der::OID, EXTENDED_USAGE), write(der::OCTETS, &usages)]);
    let body = write_sequence(&[
        write(0xa0, &write_integer(&[2])),
        write_integer(&super::noise(name, 8)),
        signature.clone(),
        distinguished("Test Authority"),
        write_sequence(&[write(0x17, b"240101000000Z"), write(0x17, b"340101000000Z")]),
        distinguished(name),
        write_sequence(&[algorithm, write_bits(&key)]),
        write(0xa3, &write_sequence(&[extension])),
    ]);
    write_sequence(&[body, signature, write_bits(&super::noise("signature", 128))])
}

/// PEM around some content.
pub fn pem(label: &str, content: &[u8]) -> String {
    let text = STANDARD.encode(content);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn distinguished(name: &str) -> Vec<u8> {
    let pair = write_sequence(&[write(der::OID, COMMON_NAME), write(0x0c, name.as_bytes())]);
    write_sequence(&[write(0x31, &pair)])
}

fn wire(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}
