//! What PostgreSQL keeps of a password: a SCRAM-SHA-256 verifier (RFC 5802, RFC 7677), made here so that the server, its log
//! and its statistics never see the password. It must never use randomness or a salt twice.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// How often the hash is applied: what PostgreSQL does itself (`scram_iterations`).
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT: usize = 16;
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LONG: usize = 32;

/// A new password: 32 letters and digits, about 190 bits, the same in every encoding and in no need of quotes.
pub(super) fn password() -> Result<SecretString, getrandom::Error> {
    let mut password = Zeroizing::new(String::with_capacity(LONG));
    let mut drawn = Zeroizing::new([0_u8; 2 * LONG]);
    while password.len() < LONG {
        getrandom::fill(drawn.as_mut_slice())?;
        // Of the 256 values, the last eight would make some letters likelier than others.
        let even = drawn.iter().filter(|it| usize::from(**it) < 4 * LETTERS.len());
        let letters = even.filter_map(|it| LETTERS.get(usize::from(*it) % LETTERS.len()).copied().map(char::from));
        let wanted = LONG - password.len();
        password.extend(letters.take(wanted));
    }
    Ok(SecretString::from(password.as_str()))
}

/// The verifier of a password, with a salt of its own.
pub(super) fn verifier(password: &SecretString) -> Result<String, getrandom::Error> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt)?;
    let (stored, server) = keys(password.expose_secret().as_bytes(), &salt, ITERATIONS);
    let [salt, stored, server] = [salt.as_slice(), &stored, &server].map(|it| STANDARD.encode(it));
    Ok(format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}"))
}

/// StoredKey and ServerKey (RFC 5802, section 3). Letters and digits are the same after SASLprep.
fn keys(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> (Vec<u8>, Vec<u8>) {
    let mut salted = Zeroizing::new([0; digest::SHA256_OUTPUT_LEN]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, salted.as_mut_slice());
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_slice());
    let client = Zeroizing::new(hmac::sign(&key, b"Client Key").as_ref().to_vec());
    let stored = digest::digest(&digest::SHA256, &client).as_ref().to_vec();
    (stored, hmac::sign(&key, b"Server Key").as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_example_in_rfc_7677() {
        let decoded = |text: &str| STANDARD.decode(text).unwrap();
        let (stored, server) = keys(b"pencil", &decoded("W22ZaJ0SNY7soEsUEjb6gQ=="), ITERATIONS);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let auth =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");
        let signed =
            |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), auth.as_bytes()).as_ref().to_vec();
        assert_eq!(signed(&server), decoded("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        let proof = decoded("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let client: Vec<u8> = proof.iter().zip(signed(&stored)).map(|(proof, signed)| proof ^ signed).collect();
        assert_eq!(digest::digest(&digest::SHA256, &client).as_ref(), stored);
    }

    #[test]
    fn no_two_passwords_or_verifiers_are_the_same() {
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert!(one.expose_secret().len() == 32 && one.expose_secret().bytes().all(|it| it.is_ascii_alphanumeric()));
        let made = verifier(&one).unwrap();
        assert!(made.starts_with("SCRAM-SHA-256$4096:") && made != verifier(&one).unwrap());
        assert!(!made.contains(one.expose_secret()));
    }
}
