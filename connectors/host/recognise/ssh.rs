//! Keys that may log in: every line of `authorized_keys` is access granted to whoever holds the private half.
//! It must never take the comment behind a key for proof of whose it is.
//! Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT".

use base64::{Engine, engine::general_purpose::STANDARD};
use provost_model::{Kind, field};

use super::{Recogniser, text};
use crate::host::{
    found::{Finds, Found},
    keys::{PublicKey, ssh_digest},
    place::Place,
    tree::Malformed,
    value,
};

pub(super) const AUTHORIZED_KEYS: Recogniser = Recogniser {
    name: "authorized_keys",
    title: "SSH keys that may log in",
    keeps_secrets: false,
    takes: |place| {
        matches!(place.name(), "authorized_keys" | "authorized_keys2") || place.below("ssh/authorized_keys.d")
    },
    read,
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(found) = key(line) {
            finds.push(found);
        }
    }
    Ok(())
}

/// `[options] type base64 [comment]`. The position is the key's digest: lines move.
fn key(line: &str) -> Option<Found> {
    let (options, rest) = if starts_with_type(line) { ("", line) } else { split_options(line)? };
    let mut words = rest.split_ascii_whitespace();
    let (name, blob) = (words.next()?, words.next()?);
    let blob = STANDARD.decode(blob).ok()?;
    let comment = words.collect::<Vec<_>>().join(" ");
    let digest = ssh_digest(&blob);
    let mut facts = PublicKey::from_ssh(&blob).map(|key| key.facts()).unwrap_or_default();
    facts.set(field::KEY_ID, digest.clone());
    facts.set(field::CREDENTIAL_TYPE, "ssh_authorized_key".to_owned());
    facts.set(field::PLAINTEXT, false);
    facts.set(field::LONG_LIVED, true);
    facts.set(field::RESTRICTIONS, restrictions(options));
    if let Some(end) = options_of(options).find_map(|it| it.strip_prefix("expiry-time=")).and_then(expiry) {
        facts.set(field::EXPIRES_AT, end);
        facts.set(field::LONG_LIVED, false);
    }
    if facts.get(field::ALGORITHM).known().is_none() {
        facts.set(field::ALGORITHM, name.to_owned());
    }
    let named = !comment.is_empty() && value::looks(comment.as_bytes()).is_none();
    let title = if named { comment.clone() } else { digest.clone() };
    if named {
        facts.set(field::DESCRIPTION, comment);
    }
    Some(Found { kind: Kind::SshKey, position: digest, name: title, facts, identity: None })
}

fn starts_with_type(line: &str) -> bool {
    let word = line.split_ascii_whitespace().next().unwrap_or_default();
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "rsa-sha2-"].iter().any(|start| word.starts_with(start))
}

/// Options end at the first blank outside of quotes.
fn split_options(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b' ' | b'\t' if !quoted => return Some((line.get(..at)?, line.get(at..)?.trim_start())),
            _ => {}
        }
    }
    None
}

fn options_of(options: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    options.split(move |letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    })
}

/// The options, without the values of environments and the arguments of commands: they may hold anything.
fn restrictions(options: &str) -> Vec<String> {
    let kept = options_of(options).filter(|it| !it.is_empty()).map(|option| match option.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("command") => {
            let program = value.trim_matches('"').split_ascii_whitespace().next().unwrap_or_default();
            format!("command={program}")
        }
        Some((name, value)) if name.eq_ignore_ascii_case("environment") => {
            format!("environment={}", value.trim_matches('"').split('=').next().unwrap_or_default())
        }
        Some((name, value)) => format!("{name}={}", value.trim_matches('"')),
        None => option.to_owned(),
    });
    kept.take(64).collect()
}

/// `YYYYMMDD[HHMM[SS]][Z]`; without `Z` the host's own zone is meant, of which only the day is sure.
fn expiry(text: &str) -> Option<provost_model::Time> {
    let text = text.trim_matches('"');
    let date = format!("{}-{}-{}", text.get(..4)?, text.get(4..6)?, text.get(6..8)?);
    provost_model::Time::parse_inclusive(&date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testtree::keys as made;

    #[test]
    fn options_stay_and_their_secrets_go() {
        let blob = STANDARD.encode(made::ssh_rsa(&made::modulus("a", 1024)));
        let line = format!(
            r#"from="10.0.0.0/8,*.example",command="/bin/run --token hidden",no-pty,environment="TOKEN=hidden" ssh-rsa {blob} deploy@ci"#
        );
        let found = key(&line).unwrap();
        let kept = found.facts.get(field::RESTRICTIONS).known().unwrap();
        assert_eq!(kept, ["from=10.0.0.0/8,*.example", "command=/bin/run", "no-pty", "environment=TOKEN"]);
        assert_eq!(found.name, "deploy@ci");
        assert!(found.position.starts_with("SHA256:"));
        assert_eq!(found.facts.get(field::BITS).known(), Some(1024));
        assert_eq!(key(&format!("ssh-rsa {blob}")).unwrap().position, found.position);
        assert!(key("ssh-rsa").is_none() && key("\"unclosed ssh-rsa AAAA").is_none());
    }
}
