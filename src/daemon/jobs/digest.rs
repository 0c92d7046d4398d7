//! The digest by which jobs notice that what former work rested on has changed.
//! It must never give two lists of parts the same bytes to digest.

use sha2::{Digest, Sha256};

/// The first half of SHA-256 over the parts, each with its length before it.
pub(super) fn half(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    half
}
