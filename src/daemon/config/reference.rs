//! References to secrets: where a value is to be found, never the value.
//! It must never repeat a text it refuses: that text may be the secret.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer};

/// Where a secret is to be found.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// In an environment variable: `env:NAME`.
    Env(String),
    /// In a file of its own: `file:/absolute/path`.
    File(PathBuf),
    /// In a credential that systemd hands over: `credential:ID`.
    Credential(String),
    /// On the standard output of a program: `exec:/absolute/path argument …`, without a shell.
    Exec {
        /// The program.
        program: PathBuf,
        /// Its arguments, split at blanks.
        arguments: Vec<String>,
    },
}

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedReference {
    /// It has none of the known beginnings: probably the secret itself.
    Literal,
    /// The part after the beginning is empty or impossible.
    Empty,
    /// The path does not begin at the root.
    Relative,
    /// The name has characters that names do not have.
    Name,
    /// Vault is known but not supported yet.
    Vault,
}

impl FromStr for Reference {
    type Err = MalformedReference;

    fn from_str(text: &str) -> Result<Self, MalformedReference> {
        let (scheme, rest) = text.split_once(':').ok_or(MalformedReference::Literal)?;
        if !["env", "file", "credential", "exec", "vault"].contains(&scheme) {
            return Err(MalformedReference::Literal);
        }
        if rest.trim().is_empty() || rest.contains('\0') {
            return Err(MalformedReference::Empty);
        }
        match scheme {
            "env" => named(rest, "_").map(Reference::Env),
            "credential" => named(rest, "_.-@:").map(Reference::Credential),
            "file" => absolute(rest).map(Reference::File),
            "exec" => {
                let mut words = rest.split_ascii_whitespace();
                let program = absolute(words.next().unwrap_or_default())?;
                Ok(Reference::Exec { program, arguments: words.map(str::to_owned).collect() })
            }
            _ => Err(MalformedReference::Vault),
        }
    }
}

fn absolute(path: &str) -> Result<PathBuf, MalformedReference> {
    let path = PathBuf::from(path);
    if path.is_absolute() { Ok(path) } else { Err(MalformedReference::Relative) }
}

/// Letters, digits and those signs; never a path.
fn named(name: &str, signs: &str) -> Result<String, MalformedReference> {
    let sound = |letter: char| letter.is_ascii_alphanumeric() || signs.contains(letter);
    if name.chars().all(sound) && name != "." && name != ".." {
        Ok(name.to_owned())
    } else {
        Err(MalformedReference::Name)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Env(name) => write!(f, "env:{name}"),
            Reference::File(path) => write!(f, "file:{}", path.display()),
            Reference::Credential(id) => write!(f, "credential:{id}"),
            // Arguments are left out: somebody may have put a secret there.
            Reference::Exec { program, .. } => write!(f, "exec:{}", program.display()),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MalformedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Literal => {
                "a secret is never written here, only where it is: env:NAME, file:/path, credential:ID or exec:/program; \
                 if that was the secret itself, replace it, it has been on disk"
            }
            Self::Empty => "the reference says no place after its colon",
            Self::Relative => "the path must be absolute",
            Self::Name => "the name has characters that such names do not have",
            Self::Vault => "vault: is not supported yet; use env:, file:, credential: or exec:",
        })
    }
}

impl std::error::Error for MalformedReference {}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Reference {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(env:[A-Za-z0-9_]+|file:/.+|credential:[A-Za-z0-9_.@:-]+|exec:/.+)$",
            "description": "Where a secret is: env:NAME, file:/path, credential:ID (systemd) or exec:/program. Never the secret."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_understood_and_literals_refused() {
        let good = ["env:TOKEN", "file:/run/secrets/t", "credential:github.token", "exec:/usr/bin/pass show x"];
        for text in good {
            assert!(text.parse::<Reference>().is_ok(), "{text}");
        }
        let bad = [
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", MalformedReference::Literal),
            ("https://user:pw@host/", MalformedReference::Literal),
            ("ENV:TOKEN", MalformedReference::Literal),
            ("env:", MalformedReference::Empty),
            ("env:A B", MalformedReference::Name),
            ("credential:../shadow", MalformedReference::Name),
            ("credential:..", MalformedReference::Name),
            ("file:token", MalformedReference::Relative),
            ("exec:pass show", MalformedReference::Relative),
            ("vault:secret/x", MalformedReference::Vault),
        ];
        for (text, why) in bad {
            assert_eq!(text.parse::<Reference>(), Err(why), "{text}");
        }
    }

    #[test]
    fn neither_errors_nor_debug_repeat_what_might_be_secret() {
        let secret = "s3cr3t-Value-0123456789";
        let error = secret.parse::<Reference>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret));
        let exec: Reference = format!("exec:/bin/x --token {secret}").parse().unwrap();
        assert!(!format!("{exec} {exec:?}").contains(secret));
    }
}
