//! A GitHub App for tests: a key made at the first use, and whether something is signed with it.
//! It must only take a signature that holds, of claims that GitHub would take.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;

/// The App's id.
pub const ID: u64 = 77;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// The private key in PEM.
pub fn pem() -> String {
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&*KEY).unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Whether a header holds a token that this App signed: at most ten minutes long, as GitHub wants it.
pub fn is_signed(header: &str) -> bool {
    let Some(token) = header.strip_prefix("Bearer ") else { return false };
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, KEY.public_key().as_ref());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    if public.verify(signed.as_bytes(), &signature).is_err() {
        return false;
    }
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let (from, until) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    claims["iss"] == ID && until - from <= 600
}
