//! What tests of any connector hand to it in place of the composition root's own.
//! It must never be part of the program: only tests are built with it.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::Secrets;

/// Secrets that are given with their references.
#[derive(Clone, Default)]
pub struct Told(BTreeMap<String, String>);

impl Told {
    /// Those secrets, each behind its reference.
    pub fn new<const N: usize>(secrets: [(&str, &str); N]) -> Self {
        Self(secrets.into_iter().map(|(reference, secret)| (reference.to_owned(), secret.to_owned())).collect())
    }
}

impl Secrets for Told {
    fn check(&self, reference: &str) -> Result<(), String> {
        if reference.contains(':') { Ok(()) } else { Err("it is no reference".to_owned()) }
    }

    fn get(&self, reference: &str) -> Result<SecretString, String> {
        let secret = self.0.get(reference).ok_or_else(|| format!("{reference} is not set"))?;
        Ok(secret.as_str().into())
    }
}
