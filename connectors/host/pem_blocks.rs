//! PEM: the blocks in a text, and what keys and certificates in them tell.
//! It must never keep the content of a block after it was looked at.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use provost_model::{Facts, Kind, Reading, field};
use zeroize::Zeroizing;

use super::{
    found::{Finds, Found},
    keys::PrivateKey,
    x509::Certificate,
};

/// Most blocks of one text that are looked at.
const BLOCKS_MAX: usize = 512;
/// Like OpenSSL and OpenSSH, it does not mind missing padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One block.
pub(crate) struct Block<'t> {
    /// What stands behind BEGIN.
    pub label: &'t str,
    /// The decoded content; wiped when dropped.
    pub content: Zeroizing<Vec<u8>>,
    /// Whether its headers say that it is encrypted.
    pub encrypted: bool,
}

/// The blocks in a text, in order. What is between them, and blocks that make no sense, are left out.
pub(crate) fn blocks(bytes: &[u8]) -> Vec<Block<'_>> {
    // Outside of blocks there may be anything; in them there is only ASCII.
    let text: Vec<&str> = bytes.utf8_chunks().map(|chunk| chunk.valid()).collect();
    text.into_iter().flat_map(in_text).take(BLOCKS_MAX).collect()
}

/// What the first private key in a text tells.
pub(crate) fn first_private_key(bytes: &[u8]) -> Option<PrivateKey> {
    let key = |block: &Block<'_>| block.label.ends_with("PRIVATE KEY");
    blocks(bytes)
        .iter()
        .find(|block| key(block))
        .map(|block| PrivateKey::from_pem(block.label, &block.content, block.encrypted))
}

/// The certificates in a text.
pub(crate) fn certificates(bytes: &[u8]) -> Vec<Certificate> {
    let blocks = blocks(bytes);
    let labelled =
        blocks.iter().filter(|block| matches!(block.label, "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE"));
    labelled.filter_map(|block| Certificate::from_der(&block.content)).collect()
}

/// Puts a private key among the finds; `more` adds what the place knows of it.
pub(crate) fn keep_private_key(
    key: Option<PrivateKey>,
    (kind, sort): (Kind, &str),
    position: &str,
    finds: &mut Finds<'_>,
    more: impl FnOnce(Facts) -> Facts,
) {
    let key = key.unwrap_or_default();
    let mut facts = key.public.as_ref().map(|public| public.facts()).unwrap_or_default();
    facts.set(field::CREDENTIAL_TYPE, sort.to_owned());
    facts.set(field::PASSPHRASE, key.encrypted);
    facts.set(field::PLAINTEXT, !key.encrypted);
    if let Some(algorithm) = key.algorithm {
        facts.set(field::ALGORITHM, algorithm.to_owned());
    }
    if let Some(digest) = key.ssh_digest {
        facts.set(field::KEY_ID, digest);
    }
    if key.public.is_none() {
        match &key.unnamed {
            Some(private) => finds.print(&mut facts, "private_key", private),
            None => {
                facts.set(field::FINGERPRINT, Reading::NotReported);
                facts.set(field::FINGERPRINT_NOTE, "the file does not show the public half".to_owned());
            }
        }
    }
    finds.push(Found {
        kind,
        position: position.to_owned(),
        name: position.to_owned(),
        facts: more(facts),
        identity: None,
    });
}

fn in_text(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        rest = after;
        let Some((label, body)) = after.split_once("-----") else { break };
        if label.len() > 40 || label.contains('\n') {
            continue;
        }
        let Some((body, behind)) = body.split_once(&format!("-----END {label}-----")) else { continue };
        rest = behind;
        if let Some(block) = block(label, body) {
            found.push(block);
        }
        if found.len() >= BLOCKS_MAX {
            break;
        }
    }
    found
}

fn block<'t>(label: &'t str, body: &str) -> Option<Block<'t>> {
    // In JSON and environments line ends may be written as `\n`.
    let body = Zeroizing::new(body.replace("\\n", "\n").replace("\\r", ""));
    let headers = body.lines().filter(|line| line.contains(':'));
    let encrypted = headers.clone().any(|line| line.contains("ENCRYPTED"));
    let letters =
        body.lines().filter(|line| !line.contains(':')).flat_map(str::bytes).filter(|byte| !byte.is_ascii_whitespace());
    let letters = Zeroizing::new(letters.collect::<Vec<u8>>());
    let content = Zeroizing::new(LENIENT.decode(letters.as_slice()).ok()?);
    Some(Block { label, content, encrypted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_among_other_text() {
        let text = b"junk\n-----BEGIN A-----\nX: y\n\nAAEC\n-----END A-----\nmore \xff\n-----BEGIN B-----\\nAAE=\\n-----END B-----";
        let found = blocks(text);
        assert_eq!(
            found.iter().map(|it| (it.label, it.content.to_vec())).collect::<Vec<_>>(),
            [("A", vec![0, 1, 2]), ("B", vec![0, 1])]
        );
        assert!(blocks(b"-----BEGIN A-----\nAAEC\n-----END B-----\n-----BEGIN ").is_empty());
    }
}
