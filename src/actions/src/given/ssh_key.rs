//! Keys of SSH: made new, and told apart by the digest of their public half, as `ssh-keygen -l` prints it.
//! It must never let a private half out but as a secret.
//! Source: OpenSSH's PROTOCOL.key, RFC 8709.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"openssh-key-v1\0";
const KIND: &[u8] = b"ssh-ed25519";
const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
/// Signs of base64 in a line, as `ssh-keygen` writes them.
const WIDTH: usize = 70;
/// What an unencrypted private part is filled up to a multiple of.
const BLOCK: usize = 8;
const SEED: usize = 32;

/// A new key.
pub(crate) struct NewKey {
    /// The private half, in OpenSSH's own form, without a passphrase.
    pub(crate) private: SecretString,
    /// The public half: `ssh-ed25519 AAAA…`, without a comment.
    pub(crate) public: String,
    /// The digest of the public half: `SHA256:…`.
    pub(crate) digest: String,
}

/// Makes an Ed25519 key. The comment stands in the private half too.
pub(crate) fn made(comment: &str) -> Result<NewKey, String> {
    let mut seed = Zeroizing::new([0_u8; SEED]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| "this machine has no randomness".to_owned())?;
    let mut check = [0; 4];
    getrandom::fill(&mut check).map_err(|_| "this machine has no randomness".to_owned())?;
    of(&seed, check, comment)
}

fn of(seed: &[u8; SEED], check: [u8; 4], comment: &str) -> Result<NewKey, String> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| "no key can be made".to_owned())?;
    let half = pair.public_key().as_ref();
    let mut blob = Vec::new();
    [KIND, half].iter().for_each(|it| string(&mut blob, it));
    // Room for all of it: what grows leaves copies behind.
    let mut private = Zeroizing::new(Vec::with_capacity(256 + comment.len()));
    [check, check].iter().for_each(|it| private.extend_from_slice(it));
    [KIND, half].iter().for_each(|it| string(&mut private, it));
    let mut both = Zeroizing::new([0_u8; 2 * SEED]);
    both.iter_mut().zip(seed.iter().chain(half)).for_each(|(to, from)| *to = *from);
    [both.as_slice(), comment.as_bytes()].iter().for_each(|it| string(&mut private, it));
    (1..).take((BLOCK - private.len() % BLOCK) % BLOCK).for_each(|fill| private.push(fill));
    let mut whole = Zeroizing::new(Vec::with_capacity(512 + comment.len()));
    whole.extend_from_slice(MAGIC);
    [b"none".as_slice(), b"none", b""].iter().for_each(|it| string(&mut whole, it));
    whole.extend_from_slice(&1_u32.to_be_bytes());
    [blob.as_slice(), &private].iter().for_each(|it| string(&mut whole, it));
    let encoded = Zeroizing::new(STANDARD.encode(&whole));
    let mut text = Zeroizing::new(String::with_capacity(encoded.len() + encoded.len() / WIDTH + 128));
    text.push_str(BEGIN);
    for (at, sign) in encoded.chars().enumerate() {
        if at % WIDTH == 0 {
            text.push('\n');
        }
        text.push(sign);
    }
    ["\n", END, "\n"].iter().for_each(|it| text.push_str(it));
    Ok(NewKey {
        private: SecretString::from(text.as_str()),
        public: format!("ssh-ed25519 {}", STANDARD.encode(&blob)),
        digest: digest(&blob),
    })
}

/// The digest of a public half.
pub(crate) fn digest(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// The digest of a public half as it is written: `ssh-ed25519 AAAA… comment`.
pub(crate) fn digest_of(public: &str) -> Option<String> {
    let blob = public.split_ascii_whitespace().nth(1)?;
    STANDARD.decode(blob).ok().map(|blob| digest(&blob))
}

/// The digest of the public half that stands in a private key of OpenSSH's form.
pub(crate) fn digest_of_private(private: &SecretString) -> Option<String> {
    let text = private.expose_secret().trim();
    let body = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let mut encoded = Zeroizing::new(String::with_capacity(body.len()));
    encoded.extend(body.chars().filter(|it| !it.is_ascii_whitespace()));
    let whole = Zeroizing::new(STANDARD.decode(encoded.as_bytes()).ok()?);
    let mut rest = whole.strip_prefix(MAGIC)?;
    for _ in 0..3 {
        rest = taken(rest)?.1;
    }
    let (_, rest) = rest.split_at_checked(4)?;
    Some(digest(taken(rest)?.0))
}

/// An id of the inventory, taken apart: what stands before the digest, and the digest. A `~2` behind it tells apart keys that
/// are there twice.
pub(crate) fn parts_of(id: &str) -> Option<(&str, &str)> {
    let (before, digest) = id.split_at_checked(id.rfind("SHA256:")?)?;
    let digest = digest.split('~').next()?;
    // 32 bytes without filling, behind the name.
    (digest.len() == 7 + 43).then_some((before, digest))
}

fn string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    to.extend_from_slice(bytes);
}

fn taken(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

    use super::*;

    #[test]
    fn ssh_keygen_reads_a_new_key_and_says_the_same_of_it() {
        // Every length of a comment, for every length of what it is filled up with.
        for comment in ["", "a", "provost 01234567-89ab-7cde-8f01-0123456789ab", "ann@acme: é"] {
            let key = made(comment).unwrap();
            assert_eq!(digest_of(&key.public).as_deref(), Some(key.digest.as_str()));
            assert_eq!(digest_of_private(&key.private).as_deref(), Some(key.digest.as_str()));
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("key");
            fs::write(&path, key.private.expose_secret()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let Ok(said) = Command::new("ssh-keygen").args(["-y", "-P", "", "-f"]).arg(&path).output() else { return };
            let public = String::from_utf8(said.stdout).unwrap();
            assert_eq!(public.trim_end(), format!("{} {comment}", key.public).trim_end(), "{:?}", said.stderr);
            let said = Command::new("ssh-keygen").args(["-l", "-f"]).arg(&path).output().unwrap();
            assert!(String::from_utf8(said.stdout).unwrap().contains(&key.digest));
        }
        assert_ne!(made("").unwrap().digest, made("").unwrap().digest);
    }

    #[test]
    fn the_key_of_a_seed_is_that_of_rfc_8032() {
        let bytes = |text: &str| -> Vec<u8> {
            text.as_bytes()
                .chunks(2)
                .map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap())
                .collect()
        };
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let half = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let key = of(&seed.try_into().unwrap(), [0; 4], "").unwrap();
        let blob = STANDARD.decode(key.public.strip_prefix("ssh-ed25519 ").unwrap()).unwrap();
        assert!(blob.ends_with(&half));
    }

    #[test]
    fn an_id_is_taken_apart() {
        let digest = made("").unwrap().digest;
        for (id, before) in [
            (digest.clone(), ""),
            (format!("/home/a/.ssh/authorized_keys#{digest}"), "/home/a/.ssh/authorized_keys#"),
            (format!("repos/7/keys/{digest}"), "repos/7/keys/"),
            (format!("/x#{digest}~2"), "/x#"),
        ] {
            assert_eq!(parts_of(&id), Some((before, digest.as_str())), "{id}");
        }
        for id in ["", "repos/7/keys/8", "SHA256:short"] {
            assert_eq!(parts_of(id), None, "{id}");
        }
        for junk in ["", "x", BEGIN, &format!("{BEGIN}\nAAAA\n{END}")] {
            assert_eq!(digest_of_private(&SecretString::from(junk)), None);
        }
    }
}
